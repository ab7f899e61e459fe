//! Adapter to the DTLS library: DTLS 1.2 as server or client, fingerprint check, key export.
//!
//! Junk never kills. The library calls every error fatal, but whoever knows the path can cause
//! one: during a handshake it only makes us ready to begin anew with the next ClientHello, until
//! time is over; afterwards it is counted and the keys stay.
//! Nothing is handed out before the other side's certificate matches a fingerprint of its
//! description, which may come after the handshake.

use std::sync::Arc;

use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use dimpl::{Config, DtlsCertificate, Output};
use smallvec::SmallVec;
use subtle::{Choice, ConstantTimeEq as _};

use super::identity::Identity;
use super::srtp::{Srtp, SrtpProfile};
use crate::error::{CommandError, DropReason};
use crate::limits::{DTLS_QUEUE_BYTES, HANDSHAKE_TIMEOUT};
use crate::prefetch::prefetch;
use crate::sdp::description::{Fingerprint, Setup};
use crate::time::{Duration, Instant};

/// The largest DTLS datagram of ours, so that tunnels let it through.
const MTU: usize = 1_200;
/// First repetition of a flight; doubles. libwebrtc's client begins with less, so ours matters
/// only where our own flight was lost.
const FLIGHT_INTERVAL: Duration = Duration::from_millis(250);
const FLIGHT_TRIES: usize = 7;
/// The library is not called again sooner than this for time alone.
const TIMER_STEP: Duration = Duration::from_millis(1);
/// Datagrams the library buffers out of order: with those of `MTU` size about 36 KiB.
const REORDERED: usize = 30;
/// Handshakes begun anew after an error, within one `HANDSHAKE_TIMEOUT`; each costs a key
/// exchange. Then junk from a proved path can only wait it out.
const RESETS: u32 = 16;

/// What all handshakes of a shard share.
#[derive(Clone)]
pub(super) struct Shared {
    config: Arc<Config>,
    certificate: DtlsCertificate,
    /// What [`Instant::ZERO`] is to the libraries, which count in `std`'s instants.
    epoch: std::time::Instant,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Shared {
    pub(super) fn new(identity: &Identity) -> Result<Self, CommandError> {
        let unusable = |why: String| CommandError::Invalid {
            field: "identity",
            why,
        };
        let config = Config::builder()
            .mtu(MTU)
            .max_queue_rx(REORDERED)
            // ICE has proved the path; a cookie would cost a round trip and prove it again.
            .use_server_cookie(false)
            .flight_start_rto(FLIGHT_INTERVAL)
            .flight_retries(FLIGHT_TRIES)
            .handshake_timeout(HANDSHAKE_TIMEOUT)
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        let provider = config.crypto_provider();
        // The library would panic later on a key it cannot use.
        provider
            .key_provider
            .load_private_key(&identity.private_key)
            .map_err(|_| unusable("its private key cannot be used".to_owned()))?;
        if identity.certificate.is_empty() {
            return Err(unusable("it has no certificate".to_owned()));
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "an anchor only: all that is told to the libraries is this plus virtual time"
        )]
        let epoch = std::time::Instant::now();
        Ok(Self {
            config: Arc::new(config),
            certificate: DtlsCertificate {
                certificate: identity.certificate.clone(),
                private_key: identity.private_key.clone(),
            },
            epoch,
        })
    }

    pub(super) fn to_std(&self, now: Instant) -> std::time::Instant {
        self.epoch + Duration::from_micros(now.as_micros())
    }

    pub(super) fn to_instant(&self, at: std::time::Instant) -> Instant {
        Instant::ZERO + at.saturating_duration_since(self.epoch)
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing heard, nothing said.
    Idle,
    /// Until when it must be done.
    Handshake(Instant),
    /// Keys are exchanged.
    Established,
    /// Closed by either side, or out of time.
    Closed,
}

/// What the other side's datagram, or time, brought.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Datagrams to send, in order.
    pub(super) datagrams: Vec<Vec<u8>>,
    /// Opened application data, in order; empty before the certificate is verified.
    pub(super) received: Vec<Vec<u8>>,
}

impl Progress {
    fn is_empty(&self) -> bool {
        self.datagrams.is_empty() && self.received.is_empty()
    }
}

/// Why DTLS will not work any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The certificate is not the described one.
    Fingerprint,
    /// The handshake did not end in time.
    Timeout,
    /// The other side said goodbye.
    Closed,
}

/// DTLS of one transport.
#[derive(Debug)]
pub(super) struct Dtls {
    shared: Shared,
    inner: dimpl::Dtls,
    state: State,
    /// What the description says of the other side: its role, its certificates.
    remote: Option<(bool, Vec<Fingerprint>)>,
    /// Hashes of the certificate it showed.
    certificate: Option<[Fingerprint; 3]>,
    verified: bool,
    srtp: Option<Box<Srtp>>,
    failure: Option<Failure>,
    next_at: Option<Instant>,
    resets: u32,
    /// The library reported an error: the next ClientHello begins anew.
    suspect: bool,
    /// The library has sent something.
    answered: bool,
}

impl Dtls {
    pub(super) fn new(shared: &Shared, now: Instant) -> Self {
        Self {
            inner: library(shared, now, false),
            shared: shared.clone(),
            state: State::Idle,
            remote: None,
            certificate: None,
            verified: false,
            srtp: None,
            failure: None,
            next_at: None,
            resets: 0,
            suspect: false,
            answered: false,
        }
    }

    /// What the description says. The role and the fingerprints count once and for all.
    pub(super) fn set_remote(
        &mut self,
        now: Instant,
        setup: Setup,
        fingerprints: Vec<Fingerprint>,
    ) -> Result<(), CommandError> {
        let invalid = |field, why: &str| CommandError::Invalid {
            field,
            why: why.to_owned(),
        };
        let we_are_client = setup == Setup::Passive;
        if fingerprints.is_empty() {
            return Err(invalid("fingerprint", "there is none of a strong hash"));
        }
        if let Some((known_role, known)) = &self.remote {
            if *known != fingerprints {
                return Err(invalid(
                    "fingerprint",
                    "it changed; a new transport is needed",
                ));
            }
            if *known_role != we_are_client {
                return Err(invalid("setup", "the DTLS role changed within a transport"));
            }
            return Ok(());
        }
        if we_are_client {
            // A ClientHello that came early came from one who has just said it is the server.
            self.inner = library(&self.shared, now, true);
            self.state = State::Idle;
            self.certificate = None;
            self.srtp = None;
        }
        self.remote = Some((we_are_client, fingerprints));
        self.verify();
        Ok(())
    }

    /// We send the first flight: as client, as soon as there is a path.
    pub(super) fn wants_start(&self) -> bool {
        self.state == State::Idle && self.we_are_client()
    }

    pub(super) fn we_are_client(&self) -> bool {
        matches!(self.remote, Some((true, _)))
    }

    /// Verified, and keys are there.
    pub(super) fn is_connected(&self) -> bool {
        self.verified && self.state == State::Established
    }

    /// Keys for SRTP, once, after the certificate is verified.
    pub(super) fn take_srtp(&mut self) -> Option<Box<Srtp>> {
        self.is_connected().then(|| self.srtp.take()).flatten()
    }

    pub(super) fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    /// Asks for what sending looks at.
    pub(super) fn prefetch(&self) {
        prefetch(&self.state);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// A datagram from a proved path.
    pub(super) fn handle(&mut self, now: Instant, datagram: &[u8]) -> Result<Progress, DropReason> {
        // RFC 6347 §4.1.2.7: an alert outside the encryption is anyone's; the library obeys it.
        if records(datagram).any(|(kind, epoch)| kind == ALERT && epoch == 0) {
            return Err(DropReason::DtlsRejected);
        }
        match self.state {
            State::Closed => return Err(DropReason::NotReady),
            State::Idle => self.state = State::Handshake(now + HANDSHAKE_TIMEOUT),
            State::Handshake(_) | State::Established => {}
        }
        // As long as no hello was answered, each one begins anew: a forged fragment would
        // otherwise stand in the place of the real one.
        if (self.suspect || !self.answered) && is_client_hello(datagram) {
            self.begin_anew(now);
        }
        let at = self.shared.to_std(now);
        let handled = self
            .inner
            .handle_timeout(at)
            .and_then(|()| self.inner.handle_packet(datagram));
        self.suspect |= handled.is_err();
        let mut progress = Progress::default();
        self.drain(now, &mut progress);
        // An error may have come behind something good in the same datagram.
        if handled.is_err() && progress.is_empty() {
            return Err(DropReason::DtlsRejected);
        }
        Ok(progress)
    }

    /// Whatever is due by `now`; as client also the first flight.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Progress {
        if self.wants_start() {
            self.state = State::Handshake(now + HANDSHAKE_TIMEOUT);
        }
        if let State::Handshake(deadline) = self.state
            && deadline <= now
        {
            self.fail(Failure::Timeout);
        }
        if matches!(self.state, State::Closed | State::Idle) {
            return Progress::default();
        }
        if self.inner.handle_timeout(self.shared.to_std(now)).is_err() {
            // Out of repetitions.
            self.begin_anew(now);
        }
        let mut progress = Progress::default();
        self.drain(now, &mut progress);
        progress
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Closed | State::Idle => None,
            State::Handshake(deadline) => {
                Some(self.next_at.map_or(deadline, |at| at.min(deadline)))
            }
            State::Established => self.next_at,
        }
    }

    /// Seals application data into one datagram.
    pub(super) fn send(&mut self, now: Instant, bytes: &[u8]) -> Result<Progress, DropReason> {
        if !self.is_connected() {
            return Err(DropReason::NotReady);
        }
        let sent = self
            .inner
            .handle_timeout(self.shared.to_std(now))
            .and_then(|()| self.inner.send_application_data(bytes));
        let mut progress = Progress::default();
        self.drain(now, &mut progress);
        sent.map(|_| progress).map_err(|_| DropReason::DtlsRejected)
    }

    /// Says goodbye where the other side could hear it.
    pub(super) fn close(&mut self, now: Instant) -> Progress {
        let established = self.state == State::Established;
        self.state = State::Closed;
        let mut progress = Progress::default();
        if established && self.inner.close().is_ok() {
            self.drain(now, &mut progress);
        }
        progress
    }

    /// During a handshake another one begins, until its time is over.
    fn begin_anew(&mut self, now: Instant) {
        let State::Handshake(_) = self.state else {
            return;
        };
        if self.answered {
            if self.resets >= RESETS {
                return;
            }
            self.resets += 1;
        }
        self.inner = library(&self.shared, now, self.we_are_client());
        self.certificate = None;
        self.verified = false;
        self.srtp = None;
        self.next_at = None;
        self.suspect = false;
        self.answered = false;
    }

    /// Takes all the library has to say.
    fn drain(&mut self, now: Instant, progress: &mut Progress) {
        let mut buffer: SmallVec<[u8; 2_048]> = SmallVec::from_elem(0, 2_048);
        // Bounded: the library's queues are, and each turn takes one of their entries.
        for _ in 0..256 {
            match self.inner.poll_output(&mut buffer) {
                Output::Packet(packet) => {
                    self.answered = true;
                    progress.datagrams.push(packet.to_vec());
                }
                Output::Timeout(at) => {
                    // Where nothing is due the library names a moment far away.
                    let at = self.shared.to_instant(at).max(now + TIMER_STEP);
                    self.next_at = (at < now + 2 * HANDSHAKE_TIMEOUT).then_some(at);
                    break;
                }
                Output::Connected if self.state != State::Closed => {
                    self.state = State::Established;
                }
                Output::PeerCert(der) => {
                    self.certificate = Some(hashes(der));
                    self.verify();
                }
                Output::KeyingMaterial(material, profile) => {
                    let client = self.inner.is_active();
                    self.srtp = srtp_profile(profile)
                        .and_then(|profile| Srtp::new(profile, &material, client))
                        .map(Box::new);
                }
                Output::ApplicationData(bytes) if self.verified => {
                    progress.received.push(bytes.to_vec());
                }
                Output::CloseNotify => self.fail(Failure::Closed),
                Output::BufferTooSmall { needed } if needed <= DTLS_QUEUE_BYTES => {
                    buffer.resize(needed, 0);
                }
                Output::BufferTooSmall { .. } => break,
                // Data before the certificate is verified: SCTP repeats it.
                Output::Connected | Output::ApplicationData(_) | _ => {}
            }
        }
    }

    fn verify(&mut self) {
        let (Some((_, described)), Some(shown)) = (&self.remote, &self.certificate) else {
            return;
        };
        let mut matches = Choice::from(0);
        for described in described {
            for shown in shown {
                matches |= equal(described, shown);
            }
        }
        self.verified = bool::from(matches);
        if !self.verified {
            self.fail(Failure::Fingerprint);
        }
    }

    fn fail(&mut self, failure: Failure) {
        if self.state != State::Closed {
            self.state = State::Closed;
            self.failure = Some(failure);
            self.srtp = None;
        }
    }
}

/// Record content types (RFC 5246 §6.2.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// Content type and epoch of each record of a datagram (RFC 6347 §4.1).
fn records(mut datagram: &[u8]) -> impl Iterator<Item = (u8, u16)> + '_ {
    std::iter::from_fn(move || {
        let (&[kind, _, _, e0, e1, _, _, _, _, _, _, l0, l1], rest) =
            datagram.split_first_chunk::<13>()?;
        datagram = rest
            .get(usize::from(u16::from_be_bytes([l0, l1]))..)
            .unwrap_or_default();
        Some((kind, u16::from_be_bytes([e0, e1])))
    })
}

/// Whether a datagram begins with the beginning of a ClientHello (handshake type 1, fragment
/// offset 0) outside the encryption.
fn is_client_hello(datagram: &[u8]) -> bool {
    records(datagram).next() == Some((HANDSHAKE, 0))
        && datagram.get(13) == Some(&1)
        && datagram.get(19..22) == Some(&[0; 3])
}

fn library(shared: &Shared, now: Instant, client: bool) -> dimpl::Dtls {
    let at = shared.to_std(now);
    let mut inner = dimpl::Dtls::new_12(Arc::clone(&shared.config), shared.certificate.clone(), at);
    inner.set_active(client);
    inner
}

fn srtp_profile(profile: dimpl::SrtpProfile) -> Option<SrtpProfile> {
    match profile {
        dimpl::SrtpProfile::AEAD_AES_256_GCM => Some(SrtpProfile::Aes256Gcm),
        dimpl::SrtpProfile::AEAD_AES_128_GCM => Some(SrtpProfile::Aes128Gcm),
        dimpl::SrtpProfile::AES128_CM_SHA1_80 => Some(SrtpProfile::Aes128CmSha1),
        _ => None,
    }
}

fn hashes(der: &[u8]) -> [Fingerprint; 3] {
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest::digest(&SHA256, der).as_ref());
    let mut sha384 = [0; 48];
    sha384.copy_from_slice(digest::digest(&SHA384, der).as_ref());
    let mut sha512 = [0; 64];
    sha512.copy_from_slice(digest::digest(&SHA512, der).as_ref());
    [
        Fingerprint::Sha256(sha256),
        Fingerprint::Sha384(sha384),
        Fingerprint::Sha512(sha512),
    ]
}

/// Constant time in the bytes; the kind of hash is public.
fn equal(one: &Fingerprint, other: &Fingerprint) -> Choice {
    match (one, other) {
        (Fingerprint::Sha256(one), Fingerprint::Sha256(other)) => one.ct_eq(other),
        (Fingerprint::Sha384(one), Fingerprint::Sha384(other)) => one.ct_eq(other),
        (Fingerprint::Sha512(one), Fingerprint::Sha512(other)) => one.ct_eq(other),
        (Fingerprint::Sha256(_) | Fingerprint::Sha384(_) | Fingerprint::Sha512(_), _) => {
            Choice::from(0)
        }
    }
}

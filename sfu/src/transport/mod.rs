//! One remote host: ICE, DTLS, SRTP, SCTP. Knows nothing of tracks.
//!
//! | file | what it is |
//! |---|---|
//! | `ice` | ICE-lite agent: checks, nomination, consent, restart, return-path proof |
//! | [`ufrag`] | what our ICE user fragments say |
//! | `dtls` | adapter to the DTLS library; fingerprint check; key export |
//! | [`identity`] | the certificate all transports of a node share |
//! | [`srtp`] | contexts, rollover, replay window; seal and open in place |
//! | `sctp` | adapter to the SCTP library: data channels, DCEP, bounded buffers |
//! | `arrival` | what arrived, when: transport-wide feedback |
//! | `reception`, `numbered` | the same by source, ours of theirs and theirs of ours (RFC 8888) |
//! | `estimation` | what the estimator is told and asked |
//! | [`congestion`] | how fast it may send |

mod arrival;
pub mod congestion;
mod dtls;
mod estimation;
mod ice;
pub mod identity;
mod numbered;
mod reception;
mod sctp;
pub mod srtp;
#[cfg(test)]
pub(crate) mod support;
#[cfg(test)]
mod tests;
pub mod ufrag;

pub use congestion::BudgetClass;
pub use identity::Identity;
pub use ufrag::{UfragParts, username_key};

use std::collections::VecDeque;

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use smallvec::SmallVec;

use crate::error::{CommandError, DropReason, LeaveReason};
use crate::limits::CONTROL_QUEUE;
use crate::path::Path;
use crate::sdp::description::{Fingerprint, IceCredentials, Setup};
use crate::time::{Duration, Instant};
use crate::wheel::soonest;
use crate::wire::rtp::Tail;

/// Headers below ours on the wire (RFC 791 §3.1, RFC 768; RFC 8200 §3).
const IPV4_UDP: u32 = 20 + 8;
const IPV6_UDP: u32 = 40 + 8;

/// Room a slot needs behind a plaintext RTP packet: the longest tag (RFC 7714 §12).
pub const SRTP_OVERHEAD: usize = 16;
/// Room a slot needs behind a plaintext RTCP compound: tag and index (RFC 7714 §9).
pub const SRTCP_OVERHEAD: usize = 20;

/// What a datagram of `length` bytes takes on the wire to `path`.
#[must_use]
pub fn wire_bytes(path: Path, length: usize) -> u32 {
    let below = if path.remote.is_ipv6() {
        IPV6_UDP
    } else {
        IPV4_UDP
    };
    u32::try_from(length)
        .unwrap_or(u32::MAX)
        .saturating_add(below)
}

/// What all transports of a shard share.
#[derive(Clone, Debug)]
pub struct TransportShared {
    dtls: dtls::Shared,
}

impl TransportShared {
    /// From the node's certificate.
    ///
    /// # Errors
    /// The certificate or its key cannot be used.
    pub fn new(identity: &Identity) -> Result<Self, CommandError> {
        Ok(Self {
            dtls: dtls::Shared::new(identity)?,
        })
    }
}

/// What a description says of the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteParameters {
    /// Their credentials.
    pub ice: IceCredentials,
    /// Their certificate is one of these.
    pub fingerprints: Vec<Fingerprint>,
    /// Their role as it counts: `Active` makes us the DTLS server.
    pub setup: Setup,
}

/// How a data channel bears loss (RFC 8832 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reliability {
    /// In the order of sending.
    pub ordered: bool,
    /// How long a message is tried.
    pub limit: ReliabilityLimit,
}

/// How long a message is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReliabilityLimit {
    /// Until it is there.
    Unlimited,
    /// So many times more after the first.
    Retransmits(u16),
    /// So long.
    Lifetime(Duration),
}

/// Why a data channel is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataCloseReason {
    /// One of the two sides closed it.
    Closed,
    /// A reliable channel whose receiver does not keep up: `DATA_BACKLOG_BYTES` were waiting.
    BacklogFull,
    /// The association is gone.
    AssociationLost,
}

/// News of a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportEvent {
    /// The other side's certificate is verified and keys are there.
    Connected,
    /// Media goes here from now on.
    PathSelected(Path),
    /// It will not work any more.
    Failed(LeaveReason),
    /// A data channel, theirs, or ours now acknowledged.
    DataOpened {
        /// SCTP stream.
        stream: u16,
        /// As they named it.
        label: String,
        /// Subprotocol.
        protocol: String,
        /// As they chose.
        reliability: Reliability,
    },
    /// A whole message.
    DataMessage {
        /// SCTP stream.
        stream: u16,
        /// Text, otherwise binary.
        text: bool,
        /// The message.
        payload: Bytes,
    },
    /// A data channel is gone.
    DataClosed {
        /// SCTP stream.
        stream: u16,
        /// Why.
        reason: DataCloseReason,
    },
}

/// What a STUN message changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StunOutcome {
    /// The path is now one of this transport's: map it here.
    pub new_path: bool,
    /// These are no more.
    pub lost_paths: SmallVec<[Path; 2]>,
}

/// One remote host.
#[derive(Debug)]
pub struct Transport {
    shared: TransportShared,
    ice: ice::Agent,
    dtls: dtls::Dtls,
    srtp: Option<Box<srtp::Srtp>>,
    sctp: Option<Box<sctp::Sctp>>,
    /// Data channels are negotiated, with this port on the other side.
    sctp_port: Option<u16>,
    arrivals: arrival::Log,
    /// The same by source, for those who are told so.
    reception: reception::Reception,
    /// Our own numbers of what was sent, for those who tell of packets by source.
    numbered: numbered::Numbered,
    budget: congestion::Budget,
    pacer: congestion::Pacer,
    /// The last transport-wide number given; its low 16 bits go on the wire.
    transport_sequence: u64,
    /// What the other side itself says that the path carries.
    ceiling: congestion::Ceiling,
    /// From the first numbered packet on.
    estimator: Option<Box<congestion::Estimator>>,
    control: VecDeque<ice::Outgoing>,
    events: VecDeque<TransportEvent>,
    told: Told,
}

/// What the shard was told, so that it is told once.
#[derive(Debug, Default)]
struct Told {
    selected: Option<Path>,
    connected: bool,
    expired: bool,
}

impl Transport {
    /// A transport that waits for the other side's first check.
    pub fn new(
        shared: &TransportShared,
        key: u32,
        shard: u16,
        now: Instant,
        rng: &mut ChaCha20Rng,
    ) -> Self {
        Self {
            shared: shared.clone(),
            ice: ice::Agent::new(shard, key, now, rng),
            dtls: dtls::Dtls::new(&shared.dtls, now),
            srtp: None,
            sctp: None,
            sctp_port: None,
            arrivals: arrival::Log::default(),
            reception: reception::Reception::default(),
            numbered: numbered::Numbered::default(),
            budget: congestion::Budget::default(),
            pacer: congestion::Pacer::default(),
            transport_sequence: 0,
            ceiling: congestion::Ceiling::default(),
            estimator: None,
            control: VecDeque::new(),
            events: VecDeque::new(),
            told: Told::default(),
        }
    }

    /// Our credentials of the newest generation.
    #[must_use]
    pub fn local_credentials(&self) -> &IceCredentials {
        self.ice.credentials()
    }

    /// A new generation of our credentials; the old one lives until the new one is nominated, or
    /// `RESTART_OVERLAP` after the other side's new ones are known.
    pub fn restart_ice(&mut self, _now: Instant, rng: &mut ChaCha20Rng) {
        self.ice.restart(rng);
    }

    /// What the other side's description says. Saying the same again changes nothing; changed
    /// credentials belong to our newest generation.
    ///
    /// # Errors
    /// No fingerprint, or the certificate or the role changed.
    pub fn set_remote(
        &mut self,
        now: Instant,
        remote: RemoteParameters,
    ) -> Result<(), CommandError> {
        self.dtls
            .set_remote(now, remote.setup, remote.fingerprints)?;
        self.ice.set_remote(now, remote.ice);
        self.drive(now);
        Ok(())
    }

    /// Data channels are negotiated: an association begins once DTLS is up.
    pub fn enable_data(&mut self, now: Instant, remote_sctp_port: u16) {
        self.sctp_port = Some(remote_sctp_port);
        self.drive(now);
    }

    /// There is an association, or one is being made: channels can be opened and written to.
    #[must_use]
    pub const fn has_data(&self) -> bool {
        self.sctp.is_some()
    }

    /// A STUN message whose user fragment or path is ours.
    ///
    /// # Errors
    /// Why it was dropped.
    pub fn handle_stun(
        &mut self,
        now: Instant,
        path: Path,
        bytes: &[u8],
    ) -> Result<StunOutcome, DropReason> {
        let outcome = self.ice.handle(now, path, bytes)?;
        if let Some(answer) = outcome.answer {
            self.enqueue(answer);
        }
        self.drive(now);
        Ok(StunOutcome {
            new_path: outcome.new_path,
            lost_paths: outcome.lost_paths.into_iter().collect(),
        })
    }

    /// A DTLS datagram. It is taken from any path with one good check, before nomination and
    /// before the other side's description is known.
    ///
    /// # Errors
    /// Why it was dropped.
    pub fn handle_dtls(
        &mut self,
        now: Instant,
        path: Path,
        bytes: &mut [u8],
    ) -> Result<(), DropReason> {
        if !self.ice.is_known(path) {
            return Err(DropReason::UnknownPath);
        }
        let progress = self.dtls.handle(now, bytes)?;
        if !progress.received.is_empty() {
            self.ice.note_authenticated(now, path);
        }
        let back = self.ice.selected().unwrap_or(path);
        let taken = self.take(now, progress, Some(back));
        self.drive(now);
        taken
    }

    /// Opens an SRTP packet in place; the plaintext's length.
    ///
    /// # Errors
    /// Why it was dropped.
    pub fn open_rtp(
        &mut self,
        now: Instant,
        path: Path,
        bytes: &mut [u8],
    ) -> Result<usize, DropReason> {
        let length = self.inbound(path)?.open_rtp(bytes)?;
        self.ice.note_authenticated(now, path);
        Ok(length)
    }

    /// Media or a report leaves by the selected path, from which its consent has to be asked for
    /// again in time. True where [`Transport::poll_timeout`] is sooner for it.
    pub fn use_path(&mut self) -> bool {
        self.ice.note_sent()
    }

    /// From now on it is to be known within seconds whether the other side is there, or not any more.
    pub fn watch(&mut self, now: Instant, is_watched: bool) {
        self.ice.watch(now, is_watched);
    }

    /// Opens an SRTCP packet in place; the plaintext's length.
    ///
    /// # Errors
    /// Why it was dropped.
    pub fn open_rtcp(
        &mut self,
        now: Instant,
        path: Path,
        bytes: &mut [u8],
    ) -> Result<usize, DropReason> {
        let length = self.inbound(path)?.open_rtcp(bytes)?;
        self.ceiling.tick(now);
        self.ice.note_authenticated(now, path);
        Ok(length)
    }

    fn inbound(&mut self, path: Path) -> Result<&mut srtp::Srtp, DropReason> {
        if !self.ice.is_known(path) {
            return Err(DropReason::UnknownPath);
        }
        self.srtp.as_deref_mut().ok_or(DropReason::NotReady)
    }

    /// A received SSRC is of no use any more: its place is free for another.
    pub fn forget_ssrc(&mut self, ssrc: u32) {
        if let Some(srtp) = self.srtp.as_deref_mut() {
            srtp.forget(ssrc);
        }
    }

    /// A packet with this transport-wide sequence number arrived.
    pub fn log_arrival(&mut self, transport_sequence: u16, arrived_at: Instant) {
        self.arrivals.push(transport_sequence, arrived_at);
    }

    /// A packet arrived whose sender is told by SSRC and sequence number (RFC 8888).
    pub fn log_packet(&mut self, ssrc: u32, sequence: u16, arrived_at: Instant) {
        self.reception.push(ssrc, sequence, arrived_at);
    }

    /// Writes a feedback packet about what arrived (plaintext RTCP) when one is due; call until none.
    pub fn write_twcc(
        &mut self,
        now: Instant,
        sender_ssrc: u32,
        media_ssrc: u32,
        out: &mut [u8],
    ) -> Option<usize> {
        let written = self.arrivals.write(now, sender_ssrc, media_ssrc, out);
        written.or_else(|| self.reception.write(now, sender_ssrc, out))
    }

    /// Whether [`Transport::write_twcc`] has something by `now`.
    #[must_use]
    pub fn has_twcc(&self, now: Instant) -> bool {
        let due = soonest([self.arrivals.due_at(), self.reception.due_at()]);
        due.is_some_and(|at| at <= now)
    }

    /// Seals the RTP packet `slot[..length]` in place; the whole length. The slot has
    /// [`SRTP_OVERHEAD`] more room.
    ///
    /// # Errors
    /// Why it must not be sent.
    pub fn seal_rtp(&mut self, slot: &mut [u8], length: usize) -> Result<usize, DropReason> {
        self.seal_rtp_tail(slot, length, Tail::default())
    }

    /// As [`Transport::seal_rtp`], of a packet of which `tail` is the rest, for which the slot has
    /// room as well.
    ///
    /// # Errors
    /// Why it must not be sent.
    pub fn seal_rtp_tail(
        &mut self,
        slot: &mut [u8],
        length: usize,
        tail: Tail<'_>,
    ) -> Result<usize, DropReason> {
        let srtp = self.srtp.as_deref_mut().ok_or(DropReason::NotReady)?;
        srtp.seal_rtp_tail(slot, length, tail)
    }

    /// As [`Transport::seal_rtp`], of a packet that was sealed before and is the same, byte for
    /// byte: that is for the caller to know.
    ///
    /// # Errors
    /// `Expired`: nothing says that it was sealed before.
    pub fn reseal_rtp(&self, slot: &mut [u8], length: usize) -> Result<usize, DropReason> {
        let srtp = self.srtp.as_deref().ok_or(DropReason::NotReady)?;
        srtp.reseal_rtp(slot, length)
    }

    /// Seals the RTCP compound `slot[..length]` in place; the whole length. The slot has
    /// [`SRTCP_OVERHEAD`] more room.
    ///
    /// # Errors
    /// Why it must not be sent.
    pub fn seal_rtcp(&mut self, slot: &mut [u8], length: usize) -> Result<usize, DropReason> {
        let srtp = self.srtp.as_deref_mut().ok_or(DropReason::NotReady)?;
        srtp.seal_rtcp(slot, length)
    }

    /// Writes the next STUN or DTLS datagram; call until none. `out` holds `PACKET_BYTES`.
    pub fn poll_control(&mut self, now: Instant, out: &mut [u8]) -> Option<(Path, usize)> {
        if self.control.is_empty() {
            self.pull_data(now);
        }
        loop {
            let next = self.control.pop_front()?;
            let length = next.bytes.len();
            // None of ours is longer than `PACKET_BYTES`.
            if let Some(place) = out.get_mut(..length) {
                place.copy_from_slice(&next.bytes);
                self.budget.charge(BudgetClass::Control, length);
                return Some((next.path, length));
            }
        }
    }

    /// Whether [`Transport::poll_control`] has something, as far as can be told without asking.
    #[must_use]
    pub fn has_control(&self) -> bool {
        let data = self.sctp.as_deref().is_some_and(sctp::Sctp::has_packet);
        !self.control.is_empty() || (data && self.ice.selected().is_some())
    }

    /// Where media goes; none before a nomination and after consent is gone.
    #[must_use]
    pub fn selected_path(&self) -> Option<Path> {
        self.ice.selected()
    }

    /// The other side's certificate is verified and keys are there.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.told.connected && !self.dtls.is_closed()
    }

    /// Keys and a path are there: what is sent arrives.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.is_connected() && self.selected_path().is_some()
    }

    /// What media is protected with, once keys are there.
    #[must_use]
    pub fn srtp_profile(&self) -> Option<&'static str> {
        self.srtp.as_deref().map(|srtp| srtp.profile().as_str())
    }

    /// Whatever is due by `now` is done.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.dtls.poll_timeout().is_some_and(|at| at <= now) {
            let progress = self.dtls.handle_timeout(now);
            // Time alone opens nothing.
            self.take(now, progress, None).unwrap_or_default();
        }
        if let Some(sctp) = self.sctp.as_deref_mut() {
            sctp.handle_timeout(self.shared.dtls.to_std(now));
        }
        self.drive(now);
    }

    /// When [`Transport::handle_timeout`] (then departure) wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let sctp = self.sctp.as_deref().and_then(sctp::Sctp::poll_timeout);
        [
            self.ice.poll_timeout(),
            self.dtls.poll_timeout(),
            sctp.map(|at| self.shared.dtls.to_instant(at)),
            self.feedback_due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When the other side is to be told next of what arrived: the part of
    /// [`Transport::poll_timeout`] that a packet of media can change.
    #[must_use]
    pub fn feedback_due(&self) -> Option<Instant> {
        let due = soonest([self.arrivals.due_at(), self.reception.due_at()]);
        // Without a path there is nobody to tell.
        due.filter(|_| self.ice.selected().is_some())
    }

    /// The next piece of news.
    pub fn poll_event(&mut self) -> Option<TransportEvent> {
        self.events
            .pop_front()
            .or_else(|| self.sctp.as_deref_mut().and_then(sctp::Sctp::poll_event))
    }

    /// The proved paths.
    pub fn paths(&self) -> impl Iterator<Item = Path> + '_ {
        self.ice.paths()
    }

    /// Says goodbye: a close_notify is queued where there is someone to hear it.
    pub fn close(&mut self, now: Instant) {
        let progress = self.dtls.close(now);
        self.take(now, progress, None).unwrap_or_default();
        self.sctp = None;
        self.srtp = None;
    }

    /// Opens a data channel; its stream. Messages may be sent at once.
    ///
    /// # Errors
    /// Not negotiated or not connected yet, or a limit.
    pub fn open_data(
        &mut self,
        _now: Instant,
        label: &str,
        protocol: &str,
        reliability: Reliability,
    ) -> Result<u16, CommandError> {
        let sctp = self.sctp.as_deref_mut().ok_or(CommandError::Closed)?;
        sctp.open(label, protocol, reliability)
    }

    /// Sends a message. Where `DATA_BACKLOG_BYTES` wait already, an unreliable channel drops its
    /// oldest and a reliable one closes.
    ///
    /// # Errors
    /// Why it was not taken.
    pub fn send_data(
        &mut self,
        _now: Instant,
        stream: u16,
        text: bool,
        payload: &Bytes,
    ) -> Result<(), DropReason> {
        let sctp = self.sctp.as_deref_mut().ok_or(DropReason::NotReady)?;
        sctp.send(stream, text, payload)
    }

    /// Closes a data channel.
    pub fn close_data(&mut self, _now: Instant, stream: u16) {
        if let Some(sctp) = self.sctp.as_deref_mut() {
            sctp.close(stream);
        }
    }

    /// `bytes` of `class` leave.
    pub fn charge(&mut self, class: BudgetClass, bytes: usize) {
        self.budget.charge(class, bytes);
    }

    /// Bytes charged to `class` so far.
    #[must_use]
    pub fn charged(&self, class: BudgetClass) -> u64 {
        self.budget.charged(class)
    }

    /// Round trip of our last answered Binding request: old where nothing is sent and the other side
    /// checks by itself.
    #[must_use]
    pub fn rtt(&self) -> Option<Duration> {
        self.ice.rtt()
    }

    /// When the other side last proved it is there.
    #[must_use]
    pub fn last_authenticated_at(&self) -> Instant {
        self.ice.authenticated_at()
    }

    fn enqueue(&mut self, outgoing: ice::Outgoing) {
        if self.control.len() >= CONTROL_QUEUE {
            self.control.pop_front();
        }
        self.control.push_back(outgoing);
    }

    /// Queues what DTLS wants sent and hands on what it opened. Without a path nothing can be
    /// sent; DTLS repeats it.
    fn take(
        &mut self,
        now: Instant,
        progress: dtls::Progress,
        back: Option<Path>,
    ) -> Result<(), DropReason> {
        if let Some(path) = back.or_else(|| self.ice.provisional()) {
            for bytes in progress.datagrams {
                self.enqueue(ice::Outgoing { path, bytes });
            }
        }
        let mut taken = Ok(());
        for packet in progress.received {
            // An association may begin in the flight that connects us.
            self.start_data();
            taken = match self.sctp.as_deref_mut() {
                Some(sctp) => sctp.handle(self.shared.dtls.to_std(now), packet),
                None => Err(DropReason::NotReady),
            };
        }
        taken
    }

    /// Moves one SCTP packet through DTLS into the control queue.
    fn pull_data(&mut self, now: Instant) {
        let (Some(path), Some(sctp)) = (self.ice.selected(), self.sctp.as_deref_mut()) else {
            return;
        };
        let Some(packet) = sctp.poll_packet(self.shared.dtls.to_std(now)) else {
            return;
        };
        self.budget.charge(BudgetClass::Data, packet.len());
        if let Ok(progress) = self.dtls.send(now, &packet) {
            self.take(now, progress, Some(path)).unwrap_or_default();
        }
    }

    fn start_data(&mut self) {
        if let Some(port) = self.sctp_port
            && self.sctp.is_none()
            && self.dtls.is_connected()
        {
            self.sctp = Some(Box::new(sctp::Sctp::new(port, self.dtls.we_are_client())));
        }
    }

    /// Lets what changed in one part reach the others, and the events.
    fn drive(&mut self, now: Instant) {
        // At most a proof and a consent check.
        while let Some(request) = self.ice.handle_timeout(now) {
            self.enqueue(request);
        }
        let selected = self.ice.selected();
        if selected != self.told.selected {
            let before = std::mem::replace(&mut self.told.selected, selected);
            if before.is_some()
                && selected.is_some()
                && let Some(estimator) = self.estimator.as_deref_mut()
            {
                estimator.path_changed(now);
                self.pacer.clear();
            }
            if let Some(path) = selected {
                self.told.expired = false;
                self.events.push_back(TransportEvent::PathSelected(path));
            }
        }
        if self.ice.is_expired() && !self.told.expired {
            self.told.expired = true;
            self.fail(LeaveReason::ConsentExpired);
        }
        if self.dtls.wants_start() && self.ice.provisional().is_some() {
            let progress = self.dtls.handle_timeout(now);
            self.take(now, progress, None).unwrap_or_default();
        }
        if self.dtls.take_failure().is_some() {
            self.srtp = None;
            self.fail(LeaveReason::TransportFailed);
        }
        if self.dtls.is_connected() && !self.told.connected {
            self.told.connected = true;
            self.srtp = self.dtls.take_srtp();
            self.events.push_back(TransportEvent::Connected);
        }
        self.start_data();
    }

    fn fail(&mut self, reason: LeaveReason) {
        self.events.push_back(TransportEvent::Failed(reason));
    }
}

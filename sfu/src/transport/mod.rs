//! One remote host: ICE, DTLS, SRTP, SCTP. Knows nothing of tracks.
//!
//! | file | what it is |
//! |---|---|
//! | [`congestion`] | the one byte budget of a transport |
//! | [`identity`] | the certificate all transports of a node share |
//! | [`srtp`] | contexts, rollover, replay window; seal and open in place
//! | [`ufrag`] | what our ICE user fragments say |

pub mod congestion;
pub mod identity;
pub mod srtp;
pub mod ufrag;

pub use congestion::BudgetClass;
pub use identity::Identity;
pub use ufrag::{UfragParts, username_key};

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use smallvec::SmallVec;

use crate::error::{CommandError, DropReason, LeaveReason};
use crate::path::Path;
use crate::sdp::description::{Fingerprint, IceCredentials, Setup};
use crate::time::{Duration, Instant};

/// Room a slot needs behind a plaintext RTP packet: the longest tag (RFC 7714 §12).
pub const SRTP_OVERHEAD: usize = 16;
/// Room a slot needs behind a plaintext RTCP compound: tag and index (RFC 7714 §9).
pub const SRTCP_OVERHEAD: usize = 20;

/// What all transports of a shard share.
#[derive(Clone, Debug)]
pub struct TransportShared {}

impl TransportShared {
    /// From the node's certificate.
    ///
    /// # Errors
    /// The certificate's key cannot be used.
    pub fn new(_identity: &Identity) -> Result<Self, CommandError> {
        Ok(Self {})
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
    credentials: IceCredentials,
    transport_sequence: u16,
    budget: congestion::Budget,
}

impl Transport {
    /// A transport that waits for the other side's first check.
    pub fn new(
        _shared: &TransportShared,
        _key: u32,
        _shard: u16,
        _now: Instant,
        _rng: &mut ChaCha20Rng,
    ) -> Self {
        Self {
            credentials: IceCredentials {
                ufrag: String::new(),
                password: String::new(),
            },
            transport_sequence: 0,
            budget: congestion::Budget::default(),
        }
    }

    /// Our credentials of the newest generation.
    #[must_use]
    pub fn local_credentials(&self) -> &IceCredentials {
        &self.credentials
    }

    /// A new generation of our credentials; the old one lives `RESTART_OVERLAP`, or until the new
    /// one is nominated.
    pub fn restart_ice(&mut self, _now: Instant, _rng: &mut ChaCha20Rng) {}

    /// What the other side's description says. Saying the same again changes nothing.
    ///
    /// # Errors
    /// The certificate or the role changed after they counted.
    pub fn set_remote(
        &mut self,
        _now: Instant,
        _remote: RemoteParameters,
    ) -> Result<(), CommandError> {
        Ok(())
    }

    /// Data channels are negotiated: an association begins once DTLS is up.
    pub fn enable_data(&mut self, _now: Instant, _remote_sctp_port: u16) {}

    /// A STUN message whose user fragment or path is ours.
    ///
    /// # Errors
    /// Why it was dropped.
    pub fn handle_stun(
        &mut self,
        _now: Instant,
        _path: Path,
        _bytes: &[u8],
    ) -> Result<StunOutcome, DropReason> {
        Err(DropReason::NotReady)
    }

    /// A DTLS datagram.
    ///
    /// # Errors
    /// Why it was dropped.
    pub fn handle_dtls(
        &mut self,
        _now: Instant,
        _path: Path,
        _bytes: &mut [u8],
    ) -> Result<(), DropReason> {
        Err(DropReason::NotReady)
    }

    /// Opens an SRTP packet in place; the plaintext's length.
    ///
    /// # Errors
    /// Why it was dropped.
    pub fn open_rtp(
        &mut self,
        _now: Instant,
        _path: Path,
        _bytes: &mut [u8],
    ) -> Result<usize, DropReason> {
        Err(DropReason::NotReady)
    }

    /// Opens an SRTCP packet in place; the plaintext's length.
    ///
    /// # Errors
    /// Why it was dropped.
    pub fn open_rtcp(
        &mut self,
        _now: Instant,
        _path: Path,
        _bytes: &mut [u8],
    ) -> Result<usize, DropReason> {
        Err(DropReason::NotReady)
    }

    /// A packet with this transport-wide sequence number arrived.
    pub fn log_arrival(&mut self, _transport_sequence: u16, _arrived_at: Instant) {}

    /// Writes a transport-wide feedback packet (plaintext RTCP) when one is due; call until none.
    pub fn write_twcc(
        &mut self,
        _now: Instant,
        _sender_ssrc: u32,
        _media_ssrc: u32,
        _out: &mut [u8],
    ) -> Option<usize> {
        None
    }

    /// Seals the RTP packet `slot[..length]` in place; the whole length. The slot has
    /// [`SRTP_OVERHEAD`] more room.
    ///
    /// # Errors
    /// Why it must not be sent.
    pub fn seal_rtp(&mut self, _slot: &mut [u8], _length: usize) -> Result<usize, DropReason> {
        Err(DropReason::NotReady)
    }

    /// Seals the RTCP compound `slot[..length]` in place; the whole length. The slot has
    /// [`SRTCP_OVERHEAD`] more room.
    ///
    /// # Errors
    /// Why it must not be sent.
    pub fn seal_rtcp(&mut self, _slot: &mut [u8], _length: usize) -> Result<usize, DropReason> {
        Err(DropReason::NotReady)
    }

    /// The next transport-wide sequence number.
    pub fn next_transport_sequence(&mut self) -> u16 {
        self.transport_sequence = self.transport_sequence.wrapping_add(1);
        self.transport_sequence
    }

    /// Writes the next STUN or DTLS datagram; call until none. `out` holds `PACKET_BYTES`.
    pub fn poll_control(&mut self, _now: Instant, _out: &mut [u8]) -> Option<(Path, usize)> {
        None
    }

    /// Whether [`Transport::poll_control`] has something.
    #[must_use]
    pub fn has_control(&self) -> bool {
        false
    }

    /// Where media goes; none before a nomination and after consent is gone.
    #[must_use]
    pub fn selected_path(&self) -> Option<Path> {
        None
    }

    /// Keys are there.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        false
    }

    /// Whatever is due by `now` is done.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// When [`Transport::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The next piece of news.
    pub fn poll_event(&mut self) -> Option<TransportEvent> {
        None
    }

    /// The proved paths.
    pub fn paths(&self) -> impl Iterator<Item = Path> + '_ {
        std::iter::empty()
    }

    /// Says goodbye: a close_notify is queued where there is someone to hear it.
    pub fn close(&mut self, _now: Instant) {}

    /// Opens a data channel; its stream. Messages may be sent at once.
    ///
    /// # Errors
    /// Not negotiated, or a limit.
    pub fn open_data(
        &mut self,
        _now: Instant,
        _label: &str,
        _protocol: &str,
        _reliability: Reliability,
    ) -> Result<u16, CommandError> {
        Err(CommandError::Closed)
    }

    /// Sends a message. Where `DATA_BACKLOG_BYTES` wait already, an unreliable channel drops its
    /// oldest and a reliable one closes.
    ///
    /// # Errors
    /// Why it was not taken.
    pub fn send_data(
        &mut self,
        _now: Instant,
        _stream: u16,
        _text: bool,
        _payload: &Bytes,
    ) -> Result<(), DropReason> {
        Err(DropReason::NotReady)
    }

    /// Closes a data channel.
    pub fn close_data(&mut self, _now: Instant, _stream: u16) {}

    /// Whether `bytes` of `class` may leave now; charged if so.
    pub fn allow(&mut self, class: BudgetClass, bytes: usize, now: Instant) -> bool {
        self.budget.allow(class, bytes, now)
    }

    /// When the other side last proved it is there.
    #[must_use]
    pub fn last_authenticated_at(&self) -> Instant {
        Instant::ZERO
    }
}

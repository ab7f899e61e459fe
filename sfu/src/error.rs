//! Every loss has a name.
//!
//! A datagram ends forwarded, consumed, or dropped with a [`DropReason`]. A command fails with a
//! [`CommandError`]. A participant is out with a [`LeaveReason`]. These three lists are closed:
//! what is not on them does not happen.

use crate::id::{ParticipantId, RoomId, TrackId};

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $name:ident = $label:literal,)*) => {
        /// Why a datagram, a packet or a ticket went no further. Counted, never logged above trace.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum DropReason { $($(#[$doc])* $name,)* }

        impl DropReason {
            /// All of them, in the order of their counters.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The metric label.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }
        }
    };
}

drop_reasons! {
    /// The first byte belongs to no protocol of ours (RFC 7983 §7).
    Unclassified = "unclassified",
    /// Not STUN, and from a path no check has proved.
    UnknownPath = "unknown_path",
    /// A STUN check for a ufrag that is not ours or no more.
    UnknownUfrag = "unknown_ufrag",
    /// Shorter than its own header or lengths say, or otherwise not well formed.
    Malformed = "malformed",
    /// Integrity, fingerprint or tag does not verify.
    Unauthenticated = "unauthenticated",
    /// Seen before, or older than the replay window.
    Replayed = "replayed",
    /// Media before keys, or after they are gone.
    NotReady = "not_ready",
    /// DTLS the library would not take.
    DtlsRejected = "dtls_rejected",
    /// SCTP the library would not take.
    SctpRejected = "sctp_rejected",
    /// No encoding by SSRC, MID or RID.
    UnknownTrack = "unknown_track",
    /// A payload type this section did not negotiate.
    UnknownPayloadType = "unknown_payload_type",
    /// The packet was received before.
    Duplicate = "duplicate",
    /// Too old to be of use to anyone.
    TooLate = "too_late",
    /// The track is muted by the server or its publisher.
    Muted = "muted",
    /// Sound of one who is not among the loudest of a large room.
    Quieter = "quieter",
    /// Comfort padding without a payload.
    Padding = "padding",
    /// A packet of a ticket that the history no longer holds.
    Expired = "expired",
    /// A bounded queue was full.
    QueueFull = "queue_full",
    /// A bound of `limits.rs` was reached.
    LimitReached = "limit_reached",
    /// Larger than a slot of the outbox.
    TooLarge = "too_large",
    /// Valid, but of a kind nothing here acts on.
    Unsupported = "unsupported",
    /// Asked for again too soon or too often, or what was never sent.
    Throttled = "throttled",
    /// Repeats have taken their share of the path: a key frame mends more.
    RepairBudget = "repair_budget",
    /// More is asked for again than any loss explains.
    NackStorm = "nack_storm",
    /// The handshake queue of the slice was full.
    HandshakeBusy = "handshake_busy",
    /// No nominated, consented path to send to.
    NoPath = "no_path",
    /// An `invariant!` did not hold.
    Bug = "bug",
}

/// Why a participant is out. The same list in events, proto and the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeaveReason {
    /// It said so.
    LeftItself,
    /// A backend or an admin removed it.
    Removed,
    /// A second join under the same identity.
    Replaced,
    /// It was moved to another room.
    Moved,
    /// Its room was deleted.
    RoomDeleted,
    /// Its room reached its longest duration.
    RoomExpired,
    /// 30 s without consent (RFC 7675 §5.1).
    ConsentExpired,
    /// DTLS failed or closed.
    TransportFailed,
    /// Its token was revoked.
    TokenRevoked,
    /// The node is going down.
    NodeDrained,
    /// A bound was reached.
    LimitReached,
    /// A bug ended the room.
    ServerFailed,
}

impl LeaveReason {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::LeftItself,
        Self::Removed,
        Self::Replaced,
        Self::Moved,
        Self::RoomDeleted,
        Self::RoomExpired,
        Self::ConsentExpired,
        Self::TransportFailed,
        Self::TokenRevoked,
        Self::NodeDrained,
        Self::LimitReached,
        Self::ServerFailed,
    ];
}

/// What a command named that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The room.
    Room(RoomId),
    /// The participant.
    Participant(ParticipantId),
    /// The track.
    Track(TrackId),
    /// The port.
    Port(crate::id::PortId),
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// It names something that is not there.
    #[error("{0:?} does not exist")]
    NotFound(Missing),
    /// The id is taken by something different.
    #[error("{what} exists with a different configuration")]
    AlreadyExists {
        /// What kind of thing.
        what: &'static str,
    },
    /// A field makes no sense here.
    #[error("{field}: {why}")]
    Invalid {
        /// The field, as the API names it.
        field: &'static str,
        /// What is wrong and what would be right.
        why: String,
    },
    /// The description cannot be used.
    #[error("SDP section {section:?}: {why}")]
    Unusable {
        /// The m-line, counted from 0, where one is at fault.
        section: Option<usize>,
        /// What is wrong and what would be right.
        why: String,
    },
    /// Nothing of what the other side offers is known here.
    #[error("no codec in common in m-line {section}: it offers {offered}")]
    UnsupportedCodec {
        /// The m-line, counted from 0.
        section: usize,
        /// What it offers.
        offered: String,
    },
    /// A bound of `limits.rs` or of the room was reached.
    #[error("limit reached: {limit} is {value}")]
    LimitReached {
        /// The bound's name.
        limit: &'static str,
        /// Its value.
        value: u64,
    },
    /// The room it leads to lives on another shard, and a transport cannot change shards: its
    /// addresses lead here.
    #[error("room {0:?} is on another shard; leave and join there")]
    OnOtherShard(RoomId),
    /// The shard or the room is closing.
    #[error("closed")]
    Closed,
}

/// A promise on a boundary: panics in tests and simulation; in release it is counted and the
/// caller gives up the packet with [`DropReason::Bug`], never the shard.
///
/// Use inside functions that return `Result<_, DropReason>`.
#[macro_export]
macro_rules! invariant {
    ($holds:expr, $sentence:literal) => {
        if !$holds {
            debug_assert!(false, $sentence);
            return Err($crate::error::DropReason::Bug);
        }
    };
}

//! What the world is told by a shard. Derived from dirty bits per object, so that a slow reader
//! finds fewer, newer facts and never an old or a missing one.

use crate::error::LeaveReason;
use crate::id::{Mid, ParticipantId, Rid, RoomId, TrackId};
use crate::router::allocator::Reason;
use crate::sdp::Description;
use crate::time::Instant;
use crate::transport::congestion::Cause;
use crate::units::{AudioLevel, Bitrate, Layer, MediaKind};
use crate::wire::payload::Codec;

/// A published track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackFacts {
    /// Its id.
    pub track: TrackId,
    /// Who publishes it.
    pub participant: ParticipantId,
    /// The publisher's m-line.
    pub mid: Mid,
    /// Audio or video.
    pub kind: MediaKind,
    /// What it is coded in now; the first negotiated one before its first packet.
    pub codec: Codec,
    /// Muted by the server.
    pub muted: bool,
    /// It shows a screen, as far as was said.
    pub screen: bool,
}

/// What an outgoing m-line shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionBinding {
    /// The m-line.
    pub mid: Mid,
    /// The track it shows now.
    pub track: Option<TrackId>,
}

/// Why a wanted track is not being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseReason {
    /// The subscriber wished so.
    Wished,
    /// The subscriber negotiated no codec the track comes in.
    CodecUnsupported,
    /// The server muted the track.
    Muted,
    /// Its path does not carry the least of it beside what matters more.
    Bandwidth {
        /// What the least of it needs, on the wire.
        needed: Bitrate,
        /// What is left for it.
        available: Bitrate,
    },
    /// Others are louder, in a room that selects (`shard/slots`).
    Quieter,
    /// No more m-lines: `SECTIONS_PER_TRANSPORT`, or those of an offer of one who takes none.
    LimitReached,
}

/// What became of one wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionFacts {
    /// For which track.
    pub track: TrackId,
    /// By which m-line, once there is one.
    pub mid: Option<Mid>,
    /// Why nothing is sent, where nothing is sent.
    pub paused: Option<PauseReason>,
}

/// Which sizes of a track its publisher is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedEncodings {
    /// The publisher's m-line.
    pub mid: Mid,
    /// Those somebody has use for, in the publisher's order; the others need not be sent.
    pub rids: Vec<Rid>,
}

/// What is sent of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenLayer {
    /// Which, of those that are there.
    pub layer: Layer,
    /// What it costs, on the wire.
    pub bitrate: Bitrate,
}

/// What one subscription to a picture is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerFacts {
    /// Of which track.
    pub track: TrackId,
    /// None: nothing is sent.
    pub layer: Option<GivenLayer>,
    /// Why that and not more.
    pub reason: Reason,
}

/// What a path carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EstimateFacts {
    /// In all, on the wire.
    pub bitrate: Bitrate,
    /// Why that is what it is.
    pub cause: Cause,
}

/// What a participant's path carries, and what it is given of each picture it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayersFacts {
    /// None: nothing is known yet.
    pub estimate: Option<EstimateFacts>,
    /// When it was decided: the clock of [`Reason::Held`].
    pub decided_at: Instant,
    /// Every picture that is shown and not paused by wish.
    pub subscriptions: Vec<LayerFacts>,
}

/// Somebody who can be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// Who.
    pub participant: ParticipantId,
    /// How loud, smoothed.
    pub level: AudioLevel,
}

/// How good a participant's connection is, both ways together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quality {
    /// What gets lost is not noticed.
    #[default]
    Good,
    /// More than 2 % is lost, or it takes more than 200 ms there and back.
    Fair,
    /// More than 8 %, or more than 500 ms.
    Poor,
}

/// News of a shard.
#[derive(Clone, Debug)]
pub enum Event {
    /// ICE and DTLS are up: media can flow.
    ParticipantConnected {
        /// Where.
        room: RoomId,
        /// Who.
        participant: ParticipantId,
        /// Its SRTP profile as the IANA registry spells it: "AEAD_AES_256_GCM".
        srtp: &'static str,
    },
    /// Nothing authenticated has come for `SILENCE_TOLD`, or something has come again.
    ParticipantSilent {
        /// Where.
        room: RoomId,
        /// Who.
        participant: ParticipantId,
        /// Silent, or back.
        silent: bool,
    },
    /// Its connection is better or worse than was told; at first it is good. Not more than once in two
    /// seconds.
    QualityChanged {
        /// Where.
        room: RoomId,
        /// Who.
        participant: ParticipantId,
        /// Since now.
        quality: Quality,
    },
    /// Gone, everything freed. Also after `Leave`, `DeleteRoom`, a lost consent, a bug.
    ParticipantLeft {
        /// Where.
        room: RoomId,
        /// Who.
        participant: ParticipantId,
        /// Why.
        reason: LeaveReason,
    },
    /// The room is gone (always after a `ParticipantLeft` for each who was inside).
    RoomDeleted {
        /// Which.
        room: RoomId,
        /// Why.
        reason: LeaveReason,
    },
    /// An offer of ours; at most one is out, and at most one per 100 ms. It travels apart from
    /// replies: a door that waits for one reads it first, or the other side would see an offer
    /// before the answer it comes after. That is safe, since a reply has left the shard's thread
    /// before any news that follows it; `Description::session_version` counts both.
    Offer {
        /// Where.
        room: RoomId,
        /// To whom.
        participant: ParticipantId,
        /// What it says.
        description: Box<Description>,
    },
    /// A track is there, or something about it changed.
    TrackChanged {
        /// Where.
        room: RoomId,
        /// What it is now.
        facts: TrackFacts,
    },
    /// A track is gone.
    TrackUnpublished {
        /// Where.
        room: RoomId,
        /// Who published it.
        participant: ParticipantId,
        /// Which.
        track: TrackId,
    },
    /// Which m-line shows which track, and what became of each wish: the whole map.
    SubscriptionsChanged {
        /// Where.
        room: RoomId,
        /// Whose.
        participant: ParticipantId,
        /// Every open outgoing m-line.
        sections: Vec<SectionBinding>,
        /// Every wish.
        subscriptions: Vec<SubscriptionFacts>,
    },
    /// Which sizes of its pictures a publisher is asked for: all that come in several.
    EncodingsWanted {
        /// Where.
        room: RoomId,
        /// Who publishes them.
        participant: ParticipantId,
        /// From now on.
        tracks: Vec<WantedEncodings>,
    },
    /// What the participant is given of each picture, and why, changed: all of it. At most twice a
    /// second. Not of one whose path cannot be asked: it is given the best of everything.
    LayersChanged {
        /// Where.
        room: RoomId,
        /// Whose.
        participant: ParticipantId,
        /// As it is now.
        facts: LayersFacts,
    },
    /// Who can be heard, loudest first; empty: nobody. At most every 200 ms.
    SpeakersChanged {
        /// Where.
        room: RoomId,
        /// Loudest first.
        speakers: Vec<Speaker>,
    },
    /// A data channel of ours was opened towards `participant`, carrying what `from` sends.
    DataChannelOpened {
        /// Where.
        room: RoomId,
        /// Who receives.
        participant: ParticipantId,
        /// SCTP stream id: `RTCDataChannel.id`.
        stream: u16,
        /// Who sends.
        from: ParticipantId,
    },
}

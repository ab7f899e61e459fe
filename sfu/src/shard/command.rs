//! What is asked of a shard, and its answers. Domain types only: no proto, no JSON.
//!
//! Commands are idempotent: the caller chooses ids, the same create twice gives the same answer.

use crate::error::LeaveReason;
use crate::id::{ParticipantId, PortId, RoomId, TrackId};
use crate::sdp::Description;
use crate::shard::stats::{ShardStats, TableSizes};
use crate::time::Duration;
use crate::wire::payload::Codec;

/// What a room allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomParameters {
    /// Participants at the same time.
    pub participants_max: usize,
    /// Codecs that may be negotiated, in order of preference; empty: all.
    pub codecs: Vec<Codec>,
    /// Voices sent to each participant at the same time where the room selects: 1 to `AUDIO_SLOTS`.
    pub audio_slots: usize,
    /// With more sounds published than this the room selects: the loudest alone are sent.
    pub audio_slots_above: usize,
}

impl Default for RoomParameters {
    fn default() -> Self {
        Self {
            participants_max: 100,
            codecs: Vec::new(),
            audio_slots: 3,
            audio_slots_above: 10,
        }
    }
}

/// What a participant may do. Enforced in the shard.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a permission of its own; every combination is meant"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// Send sound.
    pub publish_audio: bool,
    /// Send pictures.
    pub publish_video: bool,
    /// A new track is muted until [`Command::SetTrackMuted`] says otherwise: of a caller who allows
    /// some sources of a kind only. It knows which m-line is what; here kinds are known.
    pub muted_at_first: bool,
    /// Receive tracks.
    pub subscribe: bool,
    /// Send over data channels.
    pub send_data: bool,
    /// Tracks published at the same time.
    pub tracks_max: usize,
}

impl Default for Permissions {
    fn default() -> Self {
        Self {
            publish_audio: true,
            publish_video: true,
            muted_at_first: false,
            subscribe: true,
            send_data: true,
            tracks_max: crate::limits::TRACKS_PER_PARTICIPANT,
        }
    }
}

/// A new member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantParameters {
    /// Its id as people know it ("ada"): the stream id of its tracks, and what a data channel's
    /// protocol names to reach it alone. At most 128 bytes.
    pub name: String,
    /// What it may do.
    pub permissions: Permissions,
    /// Receives every track of the others unless it wishes otherwise.
    pub subscribe_all: bool,
    /// Takes offers of ours. False for those who only ask (WHIP, WHEP: RFC 9725 §3): tracks go
    /// into sections of their own offer, and what finds none is not sent.
    pub offers: bool,
}

/// One wish for one track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The track.
    pub track: TrackId,
    /// Wanted at all; false gives the section back.
    pub wanted: bool,
    /// Wanted, but not now: the section stays, nothing is sent.
    pub paused: bool,
    /// 1 (least) to 255; 128 unless said.
    pub priority: u8,
    /// Pixels it is shown at, 0 unless said.
    pub height: u16,
    /// A sound that is sent however loud it is, in a room that selects.
    pub pinned: bool,
}

/// Something asked of a shard.
#[derive(Clone, Debug)]
pub enum Command {
    /// Makes a room. The same id with the same parameters again: done.
    CreateRoom {
        /// Drawn by the caller.
        room: RoomId,
        /// What it allows.
        parameters: RoomParameters,
    },
    /// Changes what a room allows; who is inside stays.
    UpdateRoom {
        /// Which.
        room: RoomId,
        /// From now on.
        parameters: RoomParameters,
    },
    /// Removes everybody and the room. Missing: done.
    DeleteRoom {
        /// Which.
        room: RoomId,
        /// What the participants are told.
        reason: LeaveReason,
    },
    /// A participant enters; its transport exists from now on.
    Join {
        /// Where.
        room: RoomId,
        /// Drawn by the caller, one for each join.
        participant: ParticipantId,
        /// Who.
        parameters: ParticipantParameters,
    },
    /// Changes what a participant may do, at once.
    UpdateParticipant {
        /// Where.
        room: RoomId,
        /// Who.
        participant: ParticipantId,
        /// From now on.
        permissions: Permissions,
    },
    /// The other side's description (offer, answer or rollback).
    Negotiate {
        /// Where.
        room: RoomId,
        /// Whose.
        participant: ParticipantId,
        /// What it says.
        description: Box<Description>,
    },
    /// New credentials by a server offer.
    RestartIce {
        /// Where.
        room: RoomId,
        /// Whose.
        participant: ParticipantId,
    },
    /// The other side's new credentials, said without a description (RFC 9725 §4.3.3): DTLS, SRTP
    /// and m-lines stay. Answered by [`Reply::Restarted`]; the same again gives the same answer.
    RestartRemoteIce {
        /// Where.
        room: RoomId,
        /// Whose.
        participant: ParticipantId,
        /// Their new user fragment.
        ufrag: String,
        /// Their new password.
        pwd: String,
    },
    /// A participant goes to another room of this shard: its transport lives on, its tracks are
    /// published there under their ids, its sections are filled from there. On an error it stays
    /// where it was.
    MoveParticipant {
        /// Where it is.
        room: RoomId,
        /// Who.
        participant: ParticipantId,
        /// Where it goes.
        destination: RoomId,
    },
    /// A participant is out, for `reason`. Missing: done.
    Leave {
        /// Where.
        room: RoomId,
        /// Who.
        participant: ParticipantId,
        /// Why.
        reason: LeaveReason,
    },
    /// How long nothing authenticated may arrive before the participant is gone
    /// (`CONSENT_TIMEOUT` unless said; a door whose socket has closed shortens it).
    SetSilenceMax {
        /// Where.
        room: RoomId,
        /// Who.
        participant: ParticipantId,
        /// At most `CONSENT_TIMEOUT`.
        silence_max: Duration,
    },
    /// Nobody tells the participant which rungs of its tracks are wanted
    /// ([`Event::EncodingsWanted`](crate::shard::Event::EncodingsWanted)), as its door cannot: where it
    /// offers REMB, it is held by that under what they need.
    HoldByRemb {
        /// Where.
        room: RoomId,
        /// Who.
        participant: ParticipantId,
    },
    /// A muted track's packets end at ingress.
    SetTrackMuted {
        /// Where.
        room: RoomId,
        /// Which.
        track: TrackId,
        /// Muted or not.
        muted: bool,
    },
    /// What a track shows: of a screen, sharp pictures matter more than smooth ones, and it is what
    /// the talk is about.
    SetTrackContent {
        /// Where.
        room: RoomId,
        /// Which.
        track: TrackId,
        /// A screen, not a camera.
        screen: bool,
    },
    /// The track is gone for everybody, until its publisher negotiates its m-line anew: direction
    /// away and back, or another m-line.
    UnpublishTrack {
        /// Where.
        room: RoomId,
        /// Which.
        track: TrackId,
    },
    /// Wishes of one participant; tracks not named keep theirs.
    UpdateSubscriptions {
        /// Where.
        room: RoomId,
        /// Whose.
        participant: ParticipantId,
        /// Replaces `subscribe_all`, where given.
        subscribe_all: Option<bool>,
        /// Replaces the room's `audio_slots` for this participant, where given.
        audio_slots: Option<usize>,
        /// One for each track named.
        wishes: Vec<Wish>,
    },
    /// Asks the publisher for a key frame of each encoding.
    RequestKeyframe {
        /// Where.
        room: RoomId,
        /// Which.
        track: TrackId,
    },
    /// A door for plaintext media. The same again: done.
    OpenPort {
        /// Where.
        room: RoomId,
        /// Drawn by the caller.
        port: PortId,
    },
    /// The door is gone, with what waited behind it.
    ClosePort {
        /// Which.
        port: PortId,
    },
    /// Joins a room to the same room on another shard, by a port that has the same id there. Closed by
    /// [`Command::ClosePort`]. The same again: done.
    OpenPipe {
        /// Which; it is made on both shards first.
        room: RoomId,
        /// Drawn by the caller.
        port: PortId,
        /// The other shard's number.
        shard: u16,
    },
    /// Counters and sizes of all tables.
    Inspect,
}

/// What became of a description.
#[derive(Clone, Debug)]
pub enum Negotiated {
    /// It was an offer: here is the answer.
    Answer(Box<Description>),
    /// It was an answer (or a rollback): taken.
    Accepted,
    /// It was an offer while ours stands. We are the impolite peer (W3C webrtc §10.7): answer
    /// ours, then offer again.
    Ignored,
}

/// A shard's answer to a command.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Carried out.
    Done,
    /// Answer to [`Command::Negotiate`].
    Negotiated(Negotiated),
    /// Answer to [`Command::RestartRemoteIce`]: our new credentials.
    Restarted {
        /// Our user fragment.
        ufrag: String,
        /// Our password.
        pwd: String,
    },
    /// Answer to [`Command::Inspect`].
    Inspected(Box<Inspection>),
}

/// Counters and sizes of a shard.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Counters since the start.
    pub stats: ShardStats,
    /// How full the tables are.
    pub sizes: TableSizes,
}

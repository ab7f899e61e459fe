//! What a shard keeps of one room: its router, and for each member the transport, the negotiation
//! and what it publishes and wishes. Everything a room owns hangs here, so dropping it frees all.

use std::collections::VecDeque;

use smallvec::SmallVec;

use crate::id::{MemberKey, Mid, ParticipantId, RoomId, SectionKey, TrackId, TrackKey};
use crate::limits;
use crate::router::Router;
use crate::sdp::negotiate::MediaPlan;
use crate::shard::adaptation::Adaptation;
use crate::shard::command::{Permissions, RoomParameters, Wish};
use crate::shard::data::Channels;
use crate::shard::distant::Distant;
use crate::shard::event::{PauseReason, Speaker};
use crate::shard::members::Members;
use crate::shard::negotiation::Negotiation;
use crate::shard::quality::Judgement;
use crate::time::{Duration, Instant, ServerClock};
use crate::transport::Transport;
use crate::wheel::TimerId;
use crate::wire::payload::Format;

/// One room on this shard.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) id: RoomId,
    pub(super) parameters: RoomParameters,
    pub(super) router: Router,
    /// Same keys as the router's members.
    pub(super) members: Members,
    /// Those of other shards who publish; at most `DISTANT_PER_ROOM`.
    pub(super) distant: Vec<Distant>,
    pub(super) timer: TimerId,
    /// Members with something to send, each once. Whose turn came first departs first: those who
    /// were there do not wait for hundreds who have just come.
    pub(super) visits: VecDeque<MemberKey>,
    /// Members that had their turn in this departure and whose deadlines moved.
    pub(super) departed: Vec<MemberKey>,
    /// Stands in the shard's list of rooms to depart.
    pub(super) departing: bool,
    /// Stands in the shard's list of rooms that may have news.
    pub(super) has_news: bool,
    /// Loudest first; set when it changed.
    pub(super) speakers: Option<Vec<Speaker>>,
    /// Numbers of the loudest that members were given, a bit for each.
    pub(super) slot_sizes: u16,
    /// When members were told last what their slots show.
    pub(super) slots_told_at: Option<Instant>,
}

impl Room {
    pub(super) fn new(
        id: RoomId,
        parameters: RoomParameters,
        timer: TimerId,
        clock: ServerClock,
    ) -> Self {
        Self {
            id,
            parameters,
            router: Router::new(clock),
            members: Members::default(),
            distant: Vec::new(),
            timer,
            visits: VecDeque::new(),
            departed: Vec::new(),
            departing: false,
            has_news: false,
            speakers: None,
            slot_sizes: 0,
            slots_told_at: None,
        }
    }

    /// Where `participant` sits. Rooms are small: a walk is cheaper than a table to keep true.
    pub(super) fn member(&self, participant: ParticipantId) -> Option<MemberKey> {
        self.members
            .iter()
            .find(|(_, member)| member.id == participant)
            .map(|(index, _)| MemberKey::from_index(index))
    }

    /// Who publishes `track`, and its key in the router.
    pub(super) fn track(&self, track: TrackId) -> Option<(MemberKey, TrackKey)> {
        let mut tracks = self.tracks();
        let (publisher, published) = tracks.find(|(_, one)| one.id == track)?;
        Some((publisher, published.key))
    }

    /// Everything published here, with its publisher.
    pub(super) fn tracks(&self) -> impl Iterator<Item = (MemberKey, &Published)> {
        let own = self.members.iter().flat_map(|(index, member)| {
            let key = MemberKey::from_index(index);
            member.published.iter().map(move |track| (key, track))
        });
        own.chain(self.distant_tracks())
    }

    /// `member` has control or RTCP to send.
    pub(super) fn visit(&mut self, key: MemberKey) {
        if let Some(member) = self.members.get_mut(key.index())
            && !member.visiting
        {
            member.visiting = true;
            self.visits.push_back(key);
        }
    }
}

/// A track as its publisher's side knows it.
#[derive(Clone, Debug)]
pub(super) struct Published {
    pub(super) id: TrackId,
    pub(super) key: TrackKey,
    pub(super) mid: Mid,
    /// Something about it changed since the world was told.
    pub(super) news: bool,
}

/// An open outgoing m-line.
#[derive(Debug)]
pub(super) struct OpenSection {
    pub(super) key: SectionKey,
    pub(super) ssrc: u32,
    pub(super) plan: MediaPlan,
    pub(super) track: Option<TrackId>,
    /// What its path lacks for it, where nothing of it is sent.
    pub(super) lacks: Option<PauseReason>,
    /// Its picture was let begin, and has not been taken away since.
    pub(super) has_begun: bool,
}

/// A wanted track that has no section, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unplaced {
    pub(super) track: TrackId,
    /// What it came in when it was last looked at.
    pub(super) format: Option<Format>,
    /// None: a section has been asked for and is on its way.
    pub(super) why: Option<PauseReason>,
}

/// What the world has yet to be told of a member.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own; any of them may wait"
)]
pub(super) struct Dirty {
    pub(super) connected: bool,
    pub(super) subscriptions: bool,
    pub(super) presence: bool,
    pub(super) encodings: bool,
    pub(super) quality: bool,
}

/// One participant of a room.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own; no two exclude each other"
)]
pub(super) struct Member {
    pub(super) id: ParticipantId,
    pub(super) name: String,
    pub(super) permissions: Permissions,
    pub(super) subscribe_all: bool,
    /// Takes offers of ours.
    pub(super) offers: bool,
    /// Nobody tells it what is wanted of its tracks.
    pub(super) is_held_by_remb: bool,
    pub(super) wishes: Vec<Wish>,
    /// Voices it is sent, where it wishes another number than the room's.
    pub(super) audio_slots: Option<usize>,
    /// Which numbers of the loudest its slots were filled from, a bit for each.
    pub(super) slot_sizes: u16,
    /// Slots changed hands; told with the subscriptions, when it is time.
    pub(super) slots_changed: bool,
    pub(super) transport: Transport,
    /// Its place in the shard's table of transports; part of the ufrag.
    pub(super) transport_key: u32,
    pub(super) negotiation: Negotiation,
    pub(super) timer: TimerId,
    pub(super) published: SmallVec<[Published; 2]>,
    pub(super) sections: Vec<OpenSection>,
    /// Those that are closed and may open again under their SSRCs and numbers: no more than there
    /// are m-lines.
    pub(super) resting: Vec<OpenSection>,
    pub(super) unplaced: Vec<Unplaced>,
    pub(super) channels: Channels,
    pub(super) adaptation: Adaptation,
    /// An offer of ours waits to be told.
    pub(super) offer: Option<Box<crate::sdp::Description>>,
    pub(super) dirty: Dirty,
    pub(super) visiting: bool,
    pub(super) silence_max: Duration,
    /// Silence that ends the membership counts from here on.
    pub(super) silence_from: Instant,
    /// Nothing authenticated has come for `SILENCE_TOLD`.
    pub(super) silent: bool,
    pub(super) judgement: Judgement,
    /// Sender of our RTCP where no section of ours speaks.
    pub(super) rtcp_ssrc: u32,
    /// Source of the last packet with a transport-wide number: what feedback of it names.
    pub(super) heard_ssrc: u32,
}

impl Member {
    /// What it wishes of `track`: said, or by default.
    pub(super) fn wish(&self, track: TrackId) -> Wish {
        self.wishes
            .iter()
            .find(|wish| wish.track == track)
            .copied()
            .unwrap_or(Wish {
                track,
                wanted: self.subscribe_all,
                paused: false,
                priority: 128,
                height: 0,
                pinned: false,
            })
    }

    /// Notes a wish; false where the table is full.
    pub(super) fn set_wish(&mut self, wish: Wish) -> bool {
        if let Some(known) = self.wishes.iter_mut().find(|one| one.track == wish.track) {
            *known = wish;
            return true;
        }
        if self.wishes.len() >= limits::SUBSCRIPTIONS_PER_PARTICIPANT {
            return false;
        }
        self.wishes.push(wish);
        true
    }

    pub(super) fn has_news(&self) -> bool {
        self.dirty.connected
            || self.dirty.subscriptions
            || self.dirty.presence
            || self.dirty.encodings
            || self.dirty.quality
            || self.offer.is_some()
            || self.published.iter().any(|track| track.news)
            || self.adaptation.decisions.has_news()
            || self.channels.has_news()
    }
}

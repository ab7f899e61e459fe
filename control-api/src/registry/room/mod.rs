//! One room's record: who is inside, what they publish, who is told of what. Pure: events and
//! operations in, news into the members' queues and the log out. No engine, no waiting.
//!
//! | file | what it is |
//! |---|---|
//! | `mod` | the room: coming, going, what is said of whom |
//! | `member` | one participant |
//! | `tracks` | what they publish |
//! | `messages` | what they say |
//! | `waiting` | who is not admitted yet |

mod member;
mod messages;
mod tracks;
mod waiting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sfu::error::LeaveReason;
use sfu::id::{ParticipantId, RoomId, TrackId};
use sfu::shard::Event;
use sfu::shard::command::Wish;
use sfu::shard::event::{LayersFacts, SectionBinding, Speaker, SubscriptionFacts};
use sfu::units::AudioLevel;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::log::{EventKind, EventLog, Subject};
use super::name::{ParticipantName, RoomName};
use super::news::{LeaveAction, RoomNews};
use super::quality::Quality;
use super::spec::{
    ParticipantSpec, ParticipantState, ParticipantView, RoomSpec, RoomView, TrackView,
};
use super::{Arrival, Seat};
use crate::clock::{Ulid, UnixTime};
use crate::limits::EVENTS_PARKED;
use crate::status::{Failure, Reason};

pub(super) use member::Member;
use messages::History;
use tracks::Track;

/// Something the shard has to be told because of a change here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MuteOrder {
    pub(super) track: TrackId,
    pub(super) muted: bool,
}

/// Where one who is out has been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Inside: its shard is to forget it.
    Inside,
    /// Waiting: no shard knows of it.
    Waiting,
}

/// A room's record.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) id: RoomId,
    pub(super) name: RoomName,
    pub(super) uid: Ulid,
    /// The shard it was made on.
    pub(super) shard: usize,
    /// Those it has been spread to.
    pub(super) shards_beside: Vec<usize>,
    pub(super) spec: Arc<RoomSpec>,
    pub(super) create_time: UnixTime,
    pub(super) update_time: UnixTime,
    pub(super) revision: u64,
    pub(super) created_at: Instant,
    /// Since when nobody is inside or waits.
    pub(super) empty_at: Option<Instant>,
    /// Held by whoever creates, changes, joins or deletes: such things happen one by one.
    pub(super) turnstile: Arc<Mutex<()>>,
    log: Arc<EventLog>,
    members: BTreeMap<ParticipantId, Member>,
    names: BTreeMap<ParticipantName, ParticipantId>,
    waiting: BTreeMap<ParticipantId, Member>,
    tracks: BTreeMap<TrackId, Track>,
    history: History,
    /// Who can be heard, loudest first.
    speakers: Vec<Speaker>,
    /// Who is on its way here from another room, and what its shard has said of it already.
    expected: Option<(ParticipantId, Vec<Event>)>,
}

impl Room {
    pub(super) fn new(
        id: RoomId,
        (name, uid): (RoomName, Ulid),
        shard: usize,
        spec: RoomSpec,
        log: Arc<EventLog>,
    ) -> Self {
        let (time, at) = (UnixTime::now(), Instant::now());
        Self {
            id,
            name,
            uid,
            shard,
            shards_beside: Vec::new(),
            spec: Arc::new(spec),
            create_time: time,
            update_time: time,
            revision: 0,
            created_at: at,
            empty_at: Some(at),
            turnstile: Arc::new(Mutex::new(())),
            log,
            members: BTreeMap::new(),
            names: BTreeMap::new(),
            waiting: BTreeMap::new(),
            tracks: BTreeMap::new(),
            history: History::default(),
            speakers: Vec::new(),
            expected: None,
        }
    }

    pub(super) fn view(&self) -> RoomView {
        let viewers = self.viewer_count();
        RoomView {
            id: self.id,
            name: self.name.clone(),
            uid: self.uid,
            shard: self.shard,
            spec: Arc::clone(&self.spec),
            participant_count: self.members.len().saturating_sub(viewers),
            viewer_count: viewers,
            create_time: self.create_time,
            update_time: self.update_time,
            revision: self.revision,
        }
    }

    /// Every shard it is on, the first it was made on.
    pub(super) fn shards(&self) -> impl Iterator<Item = usize> + '_ {
        std::iter::once(self.shard).chain(self.shards_beside.iter().copied())
    }

    /// Where the transport of one who is inside is.
    pub(super) fn shard_of(&self, id: ParticipantId) -> usize {
        self.members
            .get(&id)
            .map_or(self.shard, |member| member.shard)
    }

    /// Where the publisher of a track is.
    pub(super) fn shard_of_track(&self, track: TrackId) -> usize {
        let owner = self.tracks.get(&track).map(|track| track.owner);
        owner.map_or(self.shard, |owner| self.shard_of(owner))
    }

    /// Everybody inside, viewers too.
    pub(super) fn count(&self) -> usize {
        self.members.len()
    }

    pub(super) fn viewer_count(&self) -> usize {
        let members = self.members.values();
        members.filter(|member| member.is_viewer()).count()
    }

    pub(super) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    pub(super) fn member(&self, id: ParticipantId) -> Result<&Member, Failure> {
        self.members
            .get(&id)
            .ok_or_else(|| Failure::of(Reason::ParticipantNotFound))
    }

    pub(super) fn member_mut(&mut self, id: ParticipantId) -> Result<&mut Member, Failure> {
        self.members
            .get_mut(&id)
            .ok_or_else(|| Failure::of(Reason::ParticipantNotFound))
    }

    /// Who of that name is inside.
    pub(super) fn id_of(&self, name: &ParticipantName) -> Option<ParticipantId> {
        self.names.get(name).copied()
    }

    /// Who of that name is inside or waits.
    pub(super) fn find(&self, name: &ParticipantName) -> Result<&Member, Failure> {
        let inside = self.id_of(name).and_then(|id| self.members.get(&id));
        let waiting = || self.waiting.get(&self.waiting_of(name)?);
        inside
            .or_else(waiting)
            .ok_or_else(|| Failure::of(Reason::ParticipantNotFound))
    }

    pub(super) fn view_of(&self, member: &Member) -> ParticipantView {
        let own = self
            .tracks
            .values()
            .filter(|track| track.owner == member.id);
        ParticipantView {
            id: member.id,
            room: self.name.clone(),
            name: member.name.clone(),
            uid: member.uid,
            spec: Arc::clone(&member.spec),
            door: member.door,
            state: member.state(),
            join_time: member.join_time,
            leave_time: None,
            leave_reason: None,
            revision: member.revision,
            tracks: own.map(|track| TrackView::clone(&track.view)).collect(),
            quality: member.quality(),
        }
    }

    /// Everybody inside, and who waits.
    pub(super) fn views(&self) -> Vec<ParticipantView> {
        let all = self.members.values().chain(self.waiting.values());
        all.map(|member| self.view_of(member)).collect()
    }

    /// Those inside that others may know of, in order of joining: their keys are drawn.
    pub(super) fn roster(&self) -> Vec<ParticipantView> {
        let shown = self.members.values().filter(|member| member.shown);
        let mut views: Vec<_> = shown.map(|member| self.view_of(member)).collect();
        views.sort_by_key(|view| view.uid);
        views
    }

    /// What one who has come in is told: the others, the room, what was said before.
    pub(super) fn arrival(&self, id: ParticipantId) -> Result<Arrival, Failure> {
        let member = self.member(id)?;
        let mut others = self.roster();
        others.retain(|view| view.id != id);
        Ok(Arrival {
            seat: Seat {
                room: self.id,
                participant: id,
            },
            view: self.view_of(member),
            others,
            room: self.view(),
            history: self.history(),
            resume_token: member.resume_token.clone(),
        })
    }

    /// Whether one more may come in.
    pub(super) fn check_space(&self, viewer: bool) -> Result<(), Failure> {
        let config = &self.spec.config;
        let viewers = self.viewer_count();
        let (what, there, most) = match viewer {
            true => ("viewers", viewers, config.viewers_max),
            false => {
                let there = self.members.len().saturating_sub(viewers);
                ("participants", there, config.participants_max)
            }
        };
        if there >= most {
            let why = format!("the room has {most} {what}, its most");
            return Err(Failure::new(Reason::RoomFull, why));
        }
        Ok(())
    }

    fn record(&self, kind: EventKind, subject: Subject) {
        self.log.record(&self.name, self.uid, kind, subject);
    }

    pub(super) fn record_participant(&self, kind: EventKind, view: ParticipantView) {
        self.record(kind, Subject::Participant(Box::new(view)));
    }

    /// A new member; the others are told. Its name must be free.
    pub(super) fn enter(&mut self, member: Member, kind: EventKind) {
        self.empty_at = None;
        let id = member.id;
        self.names.insert(member.name.clone(), id);
        self.members.insert(id, member);
        if let Some(member) = self.members.get(&id) {
            self.record_participant(kind, self.view_of(member));
        }
        self.reveal(id);
    }

    /// The others are told of one they may know of by now. True: they have been.
    fn reveal(&mut self, id: ParticipantId) -> bool {
        let publishes = self.tracks.values().any(|track| track.owner == id);
        let Some(member) = self.members.get_mut(&id) else {
            return false;
        };
        let hidden = member.spec.permissions.hidden;
        if member.shown || hidden || member.is_viewer() && !publishes {
            return false;
        }
        member.shown = true;
        if let Some(member) = self.members.get(&id) {
            let view = Arc::new(self.view_of(member));
            self.tell_others(id, &RoomNews::Joined(view));
        }
        true
    }

    /// A member is out, with its tracks, or one who waited; it and the others are told. None: it
    /// was out already.
    pub(super) fn exit(
        &mut self,
        id: ParticipantId,
        reason: LeaveReason,
        message: Option<String>,
    ) -> Option<Exit> {
        if let Some(member) = self.waiting.remove(&id) {
            self.say_farewell(&member, reason, message);
            self.note_empty();
            self.tell_admins();
            return Some(Exit::Waiting);
        }
        let member = self.take_out(id)?;
        self.say_farewell(&member, reason, message);
        self.tell_of_leaving(&member, reason);
        Some(Exit::Inside)
    }

    /// Out of the tables; nobody is told.
    fn take_out(&mut self, id: ParticipantId) -> Option<Member> {
        let member = self.members.remove(&id)?;
        if self.names.get(&member.name) == Some(&id) {
            self.names.remove(&member.name);
        }
        self.tracks.retain(|_, track| track.owner != id);
        self.note_empty();
        Some(member)
    }

    /// A member goes to another room: the others are told that it is out.
    pub(super) fn release(&mut self, id: ParticipantId) -> Option<Member> {
        let mut view = self.view_of(self.members.get(&id)?);
        view.state = ParticipantState::Left;
        view.leave_time = Some(UnixTime::now());
        view.leave_reason = Some(LeaveReason::Moved);
        let mut member = self.take_out(id)?;
        self.record_participant(EventKind::ParticipantLeft, view);
        self.tell_of_leaving(&member, LeaveReason::Moved);
        member.moved();
        Some(member)
    }

    fn note_empty(&mut self) {
        if self.members.is_empty() && self.waiting.is_empty() {
            self.empty_at = Some(Instant::now());
        }
    }

    fn say_farewell(&self, member: &Member, reason: LeaveReason, message: Option<String>) {
        let mut view = self.view_of(member);
        view.state = ParticipantState::Left;
        view.leave_time = Some(UnixTime::now());
        view.leave_reason = Some(reason);
        self.record_participant(EventKind::ParticipantLeft, view);
        member.tell(RoomNews::Leave {
            reason,
            action: LeaveAction::of(reason),
            message,
        });
    }

    fn tell_of_leaving(&self, member: &Member, reason: LeaveReason) {
        if member.shown {
            self.tell_others(member.id, &RoomNews::Left(member.name.clone(), reason));
        }
    }

    /// Everybody is told that it is over.
    pub(super) fn close(&mut self, reason: LeaveReason, message: Option<&str>) {
        let members = std::mem::take(&mut self.members).into_values();
        let waiting = std::mem::take(&mut self.waiting).into_values();
        for member in members.chain(waiting) {
            self.say_farewell(&member, reason, message.map(str::to_owned));
        }
    }

    fn tell_others(&self, except: ParticipantId, news: &RoomNews) {
        for member in self.members.values().filter(|member| member.id != except) {
            member.tell(news.clone());
        }
    }

    /// Something of a member: it is told, and the others where they know of it.
    fn tell_of(&self, id: ParticipantId, news: &RoomNews) {
        self.tell(id, news.clone());
        if self.members.get(&id).is_some_and(|member| member.shown) {
            self.tell_others(id, news);
        }
    }

    pub(super) fn tell(&self, id: ParticipantId, news: RoomNews) {
        if let Some(member) = self.members.get(&id) {
            member.tell(news);
        }
    }

    /// The room is like this from now on; everybody is told.
    pub(super) fn change(&mut self, spec: RoomSpec) {
        self.history.trim(spec.config.message_history_max);
        self.spec = Arc::new(spec);
        self.update_time = UnixTime::now();
        self.revision += 1;
        let view = self.view();
        self.record(EventKind::RoomUpdated, Subject::Room(view.clone()));
        let view = Arc::new(view);
        for member in self.members.values().chain(self.waiting.values()) {
            member.tell(RoomNews::RoomUpdated(Arc::clone(&view)));
        }
    }

    /// Something about a member changed: the others are told.
    pub(super) fn updated(&mut self, id: ParticipantId) {
        if let Some(member) = self.members.get_mut(&id) {
            member.revision += 1;
        }
        let Some(member) = self.members.get(&id) else {
            return;
        };
        let view = self.view_of(member);
        let kind = match view.state {
            ParticipantState::Resuming => EventKind::ParticipantResuming,
            ParticipantState::Waiting
            | ParticipantState::Joining
            | ParticipantState::Active
            | ParticipantState::Left => EventKind::ParticipantUpdated,
        };
        self.record_participant(kind, view.clone());
        if member.shown {
            self.tell_others(id, &RoomNews::Updated(Arc::new(view)));
        }
    }

    /// New words about a member, or one who waits. Its tracks fall silent or are heard again as it
    /// may publish them.
    pub(super) fn describe(
        &mut self,
        id: ParticipantId,
        spec: ParticipantSpec,
    ) -> Result<Vec<MuteOrder>, Failure> {
        if let Some(member) = self.waiting.get_mut(&id) {
            member.spec = Arc::new(spec);
            member.revision += 1;
            self.tell_admins();
            return Ok(Vec::new());
        }
        let member = self.member_mut(id)?;
        let becomes_admin = spec.permissions.admin && !member.is_admin();
        let hides = spec.permissions.hidden && member.shown;
        member.spec = Arc::new(spec);
        if hides {
            member.shown = false;
            let name = member.name.clone();
            self.tell_others(id, &RoomNews::Left(name, LeaveReason::LeftItself));
        }
        // It is told of itself too, and first: what it may do is why its tracks are muted, which it
        // would take for a host's mute.
        let member = self.member(id)?;
        member.tell(RoomNews::Updated(Arc::new(self.view_of(member))));
        let orders = self.settle_tracks(id);
        self.updated(id);
        self.reveal(id);
        if becomes_admin {
            self.tell_admin(id);
        }
        Ok(orders)
    }

    /// Empty or old for too long.
    pub(super) fn expired(&self, now: Instant) -> Option<LeaveReason> {
        let config = &self.spec.config;
        let since = |at: Instant| now.saturating_duration_since(at);
        if config
            .duration_max
            .is_some_and(|most| since(self.created_at) >= most)
        {
            return Some(LeaveReason::RoomExpired);
        }
        let empty_for = self.empty_at.map(since)?;
        (config.empty_timeout > Duration::ZERO && empty_for >= config.empty_timeout)
            .then_some(LeaveReason::RoomExpired)
    }

    /// Which m-line shows what, for one member.
    pub(super) fn subscriptions_changed(
        &mut self,
        id: ParticipantId,
        sections: Vec<SectionBinding>,
        subscriptions: Vec<SubscriptionFacts>,
    ) {
        if let Some(member) = self.members.get_mut(&id) {
            member.facts.clone_from(&subscriptions);
            member.tell(RoomNews::Subscriptions(Arc::new((sections, subscriptions))));
        }
    }

    /// A member's connection is better or worse than it was. While nothing comes of it that is told,
    /// and this once it is back.
    pub(super) fn quality_changed(&mut self, id: ParticipantId, quality: Quality) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        member.quality = quality;
        let told = member.quality();
        if told == quality {
            let news = RoomNews::Quality(member.name.clone(), told);
            self.tell_of(id, &news);
        }
    }

    /// What one member's path carries, and what it is given of each picture.
    pub(super) fn layers_changed(&mut self, id: ParticipantId, facts: LayersFacts) {
        if let Some(member) = self.members.get_mut(&id) {
            let facts = Arc::new(facts);
            member.layers = Some(Arc::clone(&facts));
            member.tell(RoomNews::Layers(facts));
        }
    }

    /// What a member wishes from now on of the tracks named.
    pub(super) fn note_wishes(&mut self, id: ParticipantId, wishes: &[Wish]) {
        // One whose track has gone meanwhile would stay for ever.
        let tracks = &self.tracks;
        if let Some(member) = self.members.get_mut(&id) {
            let there = wishes
                .iter()
                .filter(|wish| tracks.contains_key(&wish.track));
            member.wishes.extend(there.map(|wish| (wish.track, *wish)));
        }
    }

    /// Who can be heard, of those the others know of.
    pub(super) fn speakers_changed(&mut self, speakers: Vec<Speaker>) {
        self.speakers = speakers;
        let news = RoomNews::Speakers(Arc::new(self.named_speakers()));
        for member in self.members.values() {
            member.tell(news.clone());
        }
    }

    /// One who has just come in is told who speaks: others would know by the last change.
    pub(super) fn tell_speakers(&self, id: ParticipantId) {
        let named = self.named_speakers();
        if !named.is_empty() {
            self.tell(id, RoomNews::Speakers(Arc::new(named)));
        }
    }

    fn named_speakers(&self) -> Vec<(ParticipantName, AudioLevel)> {
        let named = self.speakers.iter().filter_map(|speaker| {
            let member = self.members.get(&speaker.participant)?;
            member.shown.then(|| (member.name.clone(), speaker.level))
        });
        named.collect()
    }

    /// Somebody is about to come from another room; what its shard says of it is kept until then.
    pub(super) fn expect(&mut self, id: ParticipantId) {
        self.expected = Some((id, Vec::new()));
    }

    /// It has come, or will not come: what was kept.
    pub(super) fn expect_no_more(&mut self) -> Vec<Event> {
        self.expected
            .take()
            .map(|(_, events)| events)
            .unwrap_or_default()
    }

    /// Keeps an event about one who is on its way; gives it back if it is not about that one.
    pub(super) fn park(&mut self, about: ParticipantId, event: Event) -> Option<Event> {
        match &mut self.expected {
            Some((id, events)) if *id == about => {
                if events.len() < EVENTS_PARKED {
                    events.push(event);
                }
                None
            }
            Some(_) | None => Some(event),
        }
    }
}

#[cfg(test)]
mod tests;

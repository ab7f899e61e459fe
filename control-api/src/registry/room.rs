//! One room's record: who is inside, what they publish, who is told of what. Pure: events and
//! operations in, news into the members' queues out. No engine, no waiting.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sfu::error::LeaveReason;
use sfu::id::{Mid, ParticipantId, RoomId, TrackId};
use sfu::shard::event::{SectionBinding, Speaker, SubscriptionFacts, TrackFacts};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::name::{ParticipantName, RoomName};
use super::news::{DataMessage, LeaveAction, NewsSender, RoomNews};
use super::spec::{
    Door, ParticipantSpec, ParticipantState, ParticipantView, RoomSpec, RoomView, TrackSource,
    TrackView,
};
use crate::clock::{Ulid, UnixTime};
use crate::limits::MIDS_PER_PARTICIPANT;
use crate::status::{Failure, Reason};

/// What a participant said of an own m-line.
#[derive(Clone, Copy, Debug, Default)]
struct MidNote {
    source: Option<TrackSource>,
    muted: bool,
}

/// A participant's record.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: ParticipantId,
    pub(super) name: ParticipantName,
    pub(super) uid: Ulid,
    pub(super) spec: Arc<ParticipantSpec>,
    pub(super) door: Door,
    pub(super) state: ParticipantState,
    pub(super) join_time: UnixTime,
    pub(super) resume_token: String,
    pub(super) news: Option<NewsSender>,
    /// Its socket is closed: when it is out.
    pub(super) gone_at: Option<Instant>,
    /// Nothing of its media has been heard for a while.
    pub(super) silent: bool,
    pub(super) revision: u64,
    mids: BTreeMap<Mid, MidNote>,
}

impl Member {
    pub(super) fn new(
        id: ParticipantId,
        name: ParticipantName,
        uid: Ulid,
        spec: Arc<ParticipantSpec>,
        door: Door,
    ) -> Self {
        Self {
            id,
            name,
            uid,
            spec,
            door,
            state: ParticipantState::Joining,
            join_time: UnixTime::now(),
            resume_token: String::new(),
            news: None,
            gone_at: None,
            silent: false,
            revision: 0,
            mids: BTreeMap::new(),
        }
    }

    fn tell(&self, news: RoomNews) {
        if let Some(queue) = &self.news {
            queue.tell(news);
        }
    }
}

/// A published track's record.
#[derive(Debug)]
struct Track {
    view: Arc<TrackView>,
    owner: ParticipantId,
    /// A backend said so; apart from what permissions come to, which may change.
    muted_by_order: bool,
}

/// Something the shard has to be told because of a change here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MuteOrder {
    pub(super) track: TrackId,
    pub(super) muted: bool,
}

/// A room's record.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) id: RoomId,
    pub(super) name: RoomName,
    pub(super) uid: Ulid,
    pub(super) shard: usize,
    pub(super) spec: Arc<RoomSpec>,
    pub(super) create_time: UnixTime,
    pub(super) update_time: UnixTime,
    pub(super) revision: u64,
    pub(super) created_at: Instant,
    /// Since when nobody is inside.
    pub(super) empty_at: Option<Instant>,
    /// Held by whoever creates, changes, joins or deletes: such things happen one by one.
    pub(super) turnstile: Arc<Mutex<()>>,
    members: BTreeMap<ParticipantId, Member>,
    names: BTreeMap<ParticipantName, ParticipantId>,
    tracks: BTreeMap<TrackId, Track>,
}

impl Room {
    pub(super) fn new(id: RoomId, name: RoomName, uid: Ulid, shard: usize, spec: RoomSpec) -> Self {
        let (time, at) = (UnixTime::now(), Instant::now());
        Self {
            id,
            name,
            uid,
            shard,
            spec: Arc::new(spec),
            create_time: time,
            update_time: time,
            revision: 0,
            created_at: at,
            empty_at: Some(at),
            turnstile: Arc::new(Mutex::new(())),
            members: BTreeMap::new(),
            names: BTreeMap::new(),
            tracks: BTreeMap::new(),
        }
    }

    pub(super) fn view(&self) -> RoomView {
        RoomView {
            id: self.id,
            name: self.name.clone(),
            uid: self.uid,
            shard: self.shard,
            spec: Arc::clone(&self.spec),
            participant_count: self.members.len(),
            viewer_count: 0,
            revision: self.revision,
            create_time: self.create_time,
            update_time: self.update_time,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.members.len()
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

    pub(super) fn id_of(&self, name: &ParticipantName) -> Option<ParticipantId> {
        self.names.get(name).copied()
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
            state: member.state,
            join_time: member.join_time,
            leave_time: None,
            leave_reason: None,
            revision: member.revision,
            tracks: own.map(|track| TrackView::clone(&track.view)).collect(),
        }
    }

    pub(super) fn views(&self) -> Vec<ParticipantView> {
        self.members
            .values()
            .map(|member| self.view_of(member))
            .collect()
    }

    pub(super) fn track(&self, id: TrackId) -> Result<&TrackView, Failure> {
        let track = self.tracks.get(&id);
        track
            .map(|track| &*track.view)
            .ok_or_else(|| Failure::of(Reason::TrackNotFound))
    }

    /// A new member; the others are told. Its name must be free.
    pub(super) fn enter(&mut self, member: Member) {
        self.empty_at = None;
        let (id, view) = (member.id, Arc::new(self.view_of(&member)));
        self.names.insert(member.name.clone(), id);
        self.members.insert(id, member);
        self.tell_others(id, &RoomNews::Joined(view));
    }

    /// A member is out, with its tracks; it and the others are told. False: it was out already.
    pub(super) fn exit(
        &mut self,
        id: ParticipantId,
        reason: LeaveReason,
        message: Option<String>,
    ) -> bool {
        let Some(member) = self.members.remove(&id) else {
            return false;
        };
        if self.names.get(&member.name) == Some(&id) {
            self.names.remove(&member.name);
        }
        self.tracks.retain(|_, track| track.owner != id);
        if self.members.is_empty() {
            self.empty_at = Some(Instant::now());
        }
        member.tell(RoomNews::Leave {
            reason,
            action: LeaveAction::of(reason),
            message,
        });
        self.tell_others(id, &RoomNews::Left(member.name, reason));
        true
    }

    /// Everybody is told that it is over.
    pub(super) fn close(&mut self, reason: LeaveReason, message: Option<&str>) {
        for member in std::mem::take(&mut self.members).into_values() {
            member.tell(RoomNews::Leave {
                reason,
                action: LeaveAction::of(reason),
                message: message.map(str::to_owned),
            });
        }
    }

    fn tell_others(&self, except: ParticipantId, news: &RoomNews) {
        for member in self.members.values().filter(|member| member.id != except) {
            member.tell(news.clone());
        }
    }

    pub(super) fn tell(&self, id: ParticipantId, news: RoomNews) {
        if let Some(member) = self.members.get(&id) {
            member.tell(news);
        }
    }

    pub(super) fn updated(&mut self, id: ParticipantId) {
        if let Some(member) = self.members.get_mut(&id) {
            member.revision += 1;
        }
        if let Some(member) = self.members.get(&id) {
            let view = Arc::new(self.view_of(member));
            self.tell_others(id, &RoomNews::Updated(view));
        }
    }

    /// New words about a member. Its tracks fall silent or are heard again as it may publish them.
    pub(super) fn describe(
        &mut self,
        id: ParticipantId,
        spec: ParticipantSpec,
    ) -> Result<Vec<MuteOrder>, Failure> {
        self.member_mut(id)?.spec = Arc::new(spec);
        let own = self.tracks.values().filter(|track| track.owner == id);
        let mids: Vec<Mid> = own.map(|track| track.view.mid).collect();
        let orders = mids.into_iter();
        let orders = orders.filter_map(|mid| self.change_track(id, mid, |_| {}));
        let orders = orders.collect();
        self.updated(id);
        let view = Arc::new(self.view_of(self.member(id)?));
        self.tell(id, RoomNews::Updated(view));
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

    /// What own m-lines are. Tracks that are there already change at once.
    pub(super) fn note_sources(
        &mut self,
        id: ParticipantId,
        sources: &[(Mid, TrackSource)],
    ) -> Result<Vec<MuteOrder>, Failure> {
        let member = self.member_mut(id)?;
        let refused = |(_, source): &&(Mid, TrackSource)| {
            let permissions = &member.spec.permissions;
            !permissions.may_publish(*source)
        };
        if let Some((_, source)) = sources.iter().find(refused) {
            let what = format!("publishing {}", source.as_str());
            return Err(super::spec::not_permitted(&what));
        }
        for &(mid, source) in sources {
            note(&mut member.mids, mid)?.source = Some(source);
        }
        Ok(sources
            .iter()
            .filter_map(|&(mid, source)| self.change_track(id, mid, |view| view.source = source))
            .collect())
    }

    /// The publisher's own mute.
    pub(super) fn note_muted(
        &mut self,
        id: ParticipantId,
        mid: Mid,
        muted: bool,
    ) -> Result<Option<MuteOrder>, Failure> {
        let member = self.member_mut(id)?;
        note(&mut member.mids, mid)?.muted = muted;
        Ok(self.change_track(id, mid, |view| view.muted_by_publisher = muted))
    }

    /// The server's mute.
    pub(super) fn mute_by_server(
        &mut self,
        track: TrackId,
        muted: bool,
    ) -> Result<Option<MuteOrder>, Failure> {
        let track = self.tracks.get_mut(&track);
        let track = track.ok_or_else(|| Failure::of(Reason::TrackNotFound))?;
        track.muted_by_order = muted;
        let (owner, mid) = (track.owner, track.view.mid);
        Ok(self.change_track(owner, mid, |_| {}))
    }

    fn change_track(
        &mut self,
        owner: ParticipantId,
        mid: Mid,
        change: impl FnOnce(&mut TrackView),
    ) -> Option<MuteOrder> {
        let permissions = self.members.get(&owner)?.spec.permissions.clone();
        let track = self
            .tracks
            .values_mut()
            .find(|track| track.owner == owner && track.view.mid == mid)?;
        let before = Arc::clone(&track.view);
        let mut view = TrackView::clone(&before);
        change(&mut view);
        view.muted_by_server = track.muted_by_order || !permissions.may_publish(view.source);
        if view == *before {
            return None;
        }
        let order = (view.muted() != before.muted()).then_some(MuteOrder {
            track: view.id,
            muted: view.muted(),
        });
        track.view = Arc::new(view);
        let news = RoomNews::TrackUpdated(Arc::clone(&track.view));
        for member in self.members.values() {
            member.tell(news.clone());
        }
        order
    }

    /// A track appeared or changed. The shard is to be told where its mute differs from ours.
    pub(super) fn track_changed(&mut self, facts: &TrackFacts) -> Option<MuteOrder> {
        let member = self.members.get(&facts.participant)?;
        let note = member.mids.get(&facts.mid).copied().unwrap_or_default();
        let source = note.source.unwrap_or_else(|| TrackSource::of(facts.kind));
        let known = self.tracks.get(&facts.track);
        let uid = known.map_or_else(|| Ulid::new(UnixTime::now()), |track| Ok(track.view.uid));
        let uid = uid.unwrap_or(member.uid);
        let muted_by_order = known.is_some_and(|track| track.muted_by_order);
        let view = Arc::new(TrackView {
            id: facts.track,
            uid,
            create_time: uid.time(),
            participant: member.name.clone(),
            mid: facts.mid,
            kind: facts.kind,
            source,
            codec: facts.codec,
            muted_by_publisher: note.muted,
            // A source that may not be published is heard and seen by nobody.
            muted_by_server: muted_by_order || !member.spec.permissions.may_publish(source),
        });
        let order = (view.muted() != facts.muted).then_some(MuteOrder {
            track: facts.track,
            muted: view.muted(),
        });
        let news = match known {
            Some(track) if track.view == view => return order,
            Some(_) => RoomNews::TrackUpdated(Arc::clone(&view)),
            None => RoomNews::Published(Arc::clone(&view)),
        };
        let owner = facts.participant;
        let track = Track {
            view,
            owner,
            muted_by_order,
        };
        self.tracks.insert(facts.track, track);
        for member in self.members.values() {
            member.tell(news.clone());
        }
        order
    }

    /// A track is gone.
    pub(super) fn track_unpublished(&mut self, track: TrackId) {
        if self.tracks.remove(&track).is_some() {
            for member in self.members.values() {
                member.tell(RoomNews::Unpublished(track));
            }
        }
    }

    /// Which m-line shows what, for one member.
    pub(super) fn subscriptions_changed(
        &self,
        id: ParticipantId,
        sections: Vec<SectionBinding>,
        subscriptions: Vec<SubscriptionFacts>,
    ) {
        self.tell(
            id,
            RoomNews::Subscriptions(Arc::new((sections, subscriptions))),
        );
    }

    /// Who can be heard.
    pub(super) fn speakers_changed(&self, speakers: &[Speaker]) {
        let named = speakers.iter().filter_map(|speaker| {
            let member = self.members.get(&speaker.participant)?;
            Some((member.name.clone(), speaker.level))
        });
        let news = RoomNews::Speakers(Arc::new(named.collect()));
        for member in self.members.values() {
            member.tell(news.clone());
        }
    }

    /// A message of one member to others; says how many it went to.
    pub(super) fn relay(&self, from: ParticipantId, data: &Arc<DataMessage>) -> usize {
        let mut count = 0;
        let named = |name: &ParticipantName| data.to.is_empty() || data.to.contains(name);
        for member in self.members.values() {
            if member.id != from && member.news.is_some() && named(&member.name) {
                member.tell(RoomNews::Data(Arc::clone(data)));
                count += 1;
            }
        }
        count
    }
}

fn note(mids: &mut BTreeMap<Mid, MidNote>, mid: Mid) -> Result<&mut MidNote, Failure> {
    if !mids.contains_key(&mid) && mids.len() >= MIDS_PER_PARTICIPANT {
        let why = format!("more than {MIDS_PER_PARTICIPANT} m-lines are named");
        return Err(Failure::new(Reason::LimitExceeded, why));
    }
    Ok(mids.entry(mid).or_default())
}

#[cfg(test)]
mod tests {
    use sfu::units::{AudioLevel, MediaKind};
    use sfu::wire::payload::Codec;

    use super::super::news::{NewsReceiver, channel};
    use super::super::spec::Permissions;
    use super::*;

    const ADA: ParticipantId = ParticipantId(1);
    const LIN: ParticipantId = ParticipantId(2);
    const CAMERA: TrackId = TrackId(7);

    fn enter(
        room: &mut Room,
        id: ParticipantId,
        name: &str,
        spec: ParticipantSpec,
    ) -> NewsReceiver {
        let name = ParticipantName::new(name).unwrap();
        let uid = Ulid::from_u128(u128::from(id.0));
        let (sender, receiver) = channel();
        let mut member = Member::new(id, name, uid, Arc::new(spec), Door::WebSocket);
        member.news = Some(sender);
        room.enter(member);
        receiver
    }

    fn pair(ada: ParticipantSpec) -> (Room, NewsReceiver, NewsReceiver) {
        let name = RoomName::new("standup").unwrap();
        let mut room = Room::new(RoomId(1), name, Ulid::from_u128(1), 0, RoomSpec::default());
        let ada = enter(&mut room, ADA, "ada", ada);
        let lin = enter(&mut room, LIN, "lin", ParticipantSpec::default());
        (room, ada, lin)
    }

    fn facts(muted: bool) -> TrackFacts {
        TrackFacts {
            track: CAMERA,
            participant: ADA,
            mid: mid(),
            kind: MediaKind::Video,
            codec: Codec::Vp8,
            muted,
        }
    }

    fn mid() -> Mid {
        Mid::new("0").unwrap()
    }

    async fn told(receiver: &mut NewsReceiver) -> Vec<String> {
        let mut batch = Vec::new();
        receiver.receive(&mut batch).await.unwrap();
        let word = |news: &RoomNews| match news {
            RoomNews::Published(it) => format!("published {} {}", it.source.as_str(), it.muted()),
            RoomNews::TrackUpdated(it) => format!("updated {} {}", it.source.as_str(), it.muted()),
            RoomNews::Unpublished(_) => "unpublished".to_owned(),
            RoomNews::Left(name, _) => format!("left {name}"),
            RoomNews::Leave { .. } => "leave".to_owned(),
            RoomNews::Joined(view) => format!("joined {}", view.name),
            RoomNews::Updated(view) => format!("is {}", view.state.as_str()),
            RoomNews::Speakers(list) => format!("speakers {}", list.len()),
            RoomNews::Subscriptions(_)
            | RoomNews::Offer(_)
            | RoomNews::Data(_)
            | RoomNews::RoomUpdated(_)
            | RoomNews::Waiting(_)
            | RoomNews::Admitted(_)
            | RoomNews::Moved(_)
            | RoomNews::DataChannel { .. } => "other".to_owned(),
        };
        batch.iter().map(word).collect()
    }

    #[tokio::test]
    async fn what_was_said_of_an_m_line_holds_for_the_track_that_comes_later() {
        let (mut room, _ada, mut lin) = pair(ParticipantSpec::default());
        assert_eq!(
            room.note_sources(ADA, &[(mid(), TrackSource::Screen)])
                .unwrap(),
            []
        );
        assert_eq!(room.note_muted(ADA, mid(), true).unwrap(), None);
        let order = room.track_changed(&facts(false));
        assert_eq!(
            order,
            Some(MuteOrder {
                track: CAMERA,
                muted: true
            })
        );
        // The shard's echo of that order says nothing new.
        assert_eq!(room.track_changed(&facts(true)), None);
        let unmuted = room.note_muted(ADA, mid(), false).unwrap();
        assert_eq!(
            unmuted,
            Some(MuteOrder {
                track: CAMERA,
                muted: false
            })
        );
        room.track_unpublished(CAMERA);
        room.track_unpublished(CAMERA);
        let expected = [
            "published SCREEN true",
            "updated SCREEN false",
            "unpublished",
        ];
        assert_eq!(told(&mut lin).await, expected);
    }

    #[tokio::test]
    async fn a_servers_mute_stands_whatever_the_publisher_says() {
        let (mut room, _ada, _lin) = pair(ParticipantSpec::default());
        room.track_changed(&facts(false));
        let muted = room.mute_by_server(CAMERA, true).unwrap();
        assert_eq!(
            muted,
            Some(MuteOrder {
                track: CAMERA,
                muted: true
            })
        );
        assert_eq!(room.note_muted(ADA, mid(), true).unwrap(), None);
        assert_eq!(room.note_muted(ADA, mid(), false).unwrap(), None);
        assert!(room.track(CAMERA).unwrap().muted());
        assert!(room.mute_by_server(TrackId(8), true).is_err());
    }

    #[tokio::test]
    async fn a_source_that_may_not_be_published_is_refused_or_silent() {
        let permissions = Permissions {
            publish_sources: Some(vec![TrackSource::Screen]),
            ..Permissions::default()
        };
        let spec = ParticipantSpec {
            permissions,
            ..ParticipantSpec::default()
        };
        let (mut room, _ada, _lin) = pair(spec);
        let refused = room
            .note_sources(ADA, &[(mid(), TrackSource::Camera)])
            .unwrap_err();
        assert_eq!(refused.reason, Reason::PermissionMissing);
        // Unnamed, a picture counts as a camera's.
        let order = room.track_changed(&facts(false));
        assert_eq!(
            order,
            Some(MuteOrder {
                track: CAMERA,
                muted: true
            })
        );
    }

    #[tokio::test]
    async fn a_permission_taken_away_silences_what_is_published_and_given_back_is_heard() {
        let (mut room, _ada, _lin) = pair(ParticipantSpec::default());
        room.track_changed(&facts(false));
        let only = |source: TrackSource| ParticipantSpec {
            permissions: Permissions {
                publish_sources: Some(vec![source]),
                ..Permissions::default()
            },
            ..ParticipantSpec::default()
        };
        for (source, muted) in [(TrackSource::Screen, true), (TrackSource::Camera, false)] {
            let orders = room.describe(ADA, only(source)).unwrap();
            let track = CAMERA;
            assert_eq!(orders, [MuteOrder { track, muted }], "{source:?}");
        }
        // A backend's mute is another matter: no permission lifts it.
        room.mute_by_server(CAMERA, true).unwrap();
        for source in [TrackSource::Screen, TrackSource::Camera] {
            assert_eq!(room.describe(ADA, only(source)).unwrap(), []);
        }
        assert!(room.track(CAMERA).unwrap().muted());
    }

    #[tokio::test]
    async fn leaving_takes_tracks_along_and_is_told_once() {
        let (mut room, mut ada, mut lin) = pair(ParticipantSpec::default());
        room.connected(ADA);
        room.track_changed(&facts(false));
        room.speakers_changed(&[
            Speaker {
                participant: ADA,
                level: AudioLevel(9),
            },
            Speaker {
                participant: ParticipantId(99),
                level: AudioLevel(9),
            },
        ]);
        assert!(room.exit(ADA, LeaveReason::ConsentExpired, None));
        assert!(!room.exit(ADA, LeaveReason::ConsentExpired, None));
        assert!(room.track(CAMERA).is_err());
        let expected = [
            "is ACTIVE",
            "published CAMERA false",
            "speakers 1",
            "left ada",
        ];
        assert_eq!(told(&mut lin).await, expected);
        let expected = [
            "joined lin",
            "published CAMERA false",
            "speakers 1",
            "leave",
        ];
        assert_eq!(told(&mut ada).await, expected);
        assert_eq!((room.count(), room.empty_at), (1, None));
        room.exit(LIN, LeaveReason::LeftItself, None);
        assert!(room.empty_at.is_some());
    }

    #[test]
    fn notes_about_m_lines_are_bounded() {
        let (mut room, _ada, _lin) = pair(ParticipantSpec::default());
        for n in 0..MIDS_PER_PARTICIPANT {
            room.note_muted(ADA, Mid::new(&n.to_string()).unwrap(), true)
                .unwrap();
        }
        let failure = room
            .note_muted(ADA, Mid::new("x").unwrap(), true)
            .unwrap_err();
        assert_eq!(failure.reason, Reason::LimitExceeded);
        room.note_muted(ADA, mid(), false).unwrap();
    }
}

//! What members publish: notes about m-lines that may come before them, mutes of several hands.

use std::collections::BTreeMap;
use std::sync::Arc;

use sfu::id::{Mid, ParticipantId, TrackId};
use sfu::shard::event::TrackFacts;

use super::member::{Member, MidNote};
use super::{MuteOrder, Room};
use crate::clock::{Ulid, UnixTime};
use crate::limits::MIDS_PER_PARTICIPANT;
use crate::registry::log::{EventKind, Subject};
use crate::registry::news::RoomNews;
use crate::registry::spec::{TrackSource, TrackView, not_permitted};
use crate::status::{Failure, Reason};

/// A published track's record.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) view: Arc<TrackView>,
    pub(super) owner: ParticipantId,
    /// The shard takes it for a screen.
    pub(super) screen_told: bool,
}

impl Room {
    pub(in crate::registry) fn track(&self, id: TrackId) -> Result<&TrackView, Failure> {
        let track = self.tracks.get(&id);
        track
            .map(|track| &*track.view)
            .ok_or_else(|| Failure::of(Reason::TrackNotFound))
    }

    pub(in crate::registry) fn track_views(&self) -> impl Iterator<Item = &TrackView> {
        self.tracks.values().map(|track| &*track.view)
    }

    /// Tracks of a member that the server mutes by order.
    pub(in crate::registry) fn muted_by_order(&self, owner: ParticipantId) -> Vec<TrackId> {
        let tracks = self.tracks.iter();
        tracks
            .filter(|(_, track)| track.owner == owner && track.view.muted_by_server)
            .map(|(&id, _)| id)
            .collect()
    }

    /// What own m-lines are. Tracks that are there already change at once.
    pub(in crate::registry) fn note_sources(
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
            return Err(not_permitted(&what));
        }
        for &(mid, source) in sources {
            note(&mut member.mids, mid)?.source = Some(source);
        }
        Ok(sources
            .iter()
            .filter_map(|&(mid, source)| self.change_track(id, mid, |view| view.source = source))
            .collect())
    }

    /// Tracks of a member of which the shard does not know yet whether they show a screen: each
    /// once.
    pub(in crate::registry) fn screens_untold(
        &mut self,
        owner: ParticipantId,
    ) -> Vec<(TrackId, bool)> {
        let own = self.tracks.iter_mut();
        let own = own.filter(|(_, track)| track.owner == owner);
        own.filter_map(|(&id, track)| {
            let screen = track.view.source == TrackSource::Screen;
            (std::mem::replace(&mut track.screen_told, screen) != screen).then_some((id, screen))
        })
        .collect()
    }

    /// The publisher's own mute.
    pub(in crate::registry) fn note_muted(
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
    pub(in crate::registry) fn mute_by_server(
        &mut self,
        track: TrackId,
        muted: bool,
    ) -> Result<Option<MuteOrder>, Failure> {
        let track = self.tracks.get(&track);
        let track = track.ok_or_else(|| Failure::of(Reason::TrackNotFound))?;
        let (owner, mid) = (track.owner, track.view.mid);
        Ok(self.change_track(owner, mid, |view| view.muted_by_server = muted))
    }

    /// A member may publish something else than before.
    pub(super) fn settle_tracks(&mut self, owner: ParticipantId) -> Vec<MuteOrder> {
        let own = self.tracks.values().filter(|track| track.owner == owner);
        let mids: Vec<Mid> = own.map(|track| track.view.mid).collect();
        mids.into_iter()
            .filter_map(|mid| self.change_track(owner, mid, |_| {}))
            .collect()
    }

    fn change_track(
        &mut self,
        owner: ParticipantId,
        mid: Mid,
        change: impl FnOnce(&mut TrackView),
    ) -> Option<MuteOrder> {
        let permissions = &self.members.get(&owner)?.spec.permissions;
        let track = self
            .tracks
            .values_mut()
            .find(|track| track.owner == owner && track.view.mid == mid)?;
        let before = Arc::clone(&track.view);
        let mut view = TrackView::clone(&before);
        change(&mut view);
        view.forbidden = !permissions.may_publish(view.source);
        if view == *before {
            return None;
        }
        let order = (view.muted() != before.muted()).then_some(MuteOrder {
            track: view.id,
            muted: view.muted(),
        });
        track.view = Arc::new(view);
        let view = Arc::clone(&track.view);
        self.track_news(owner, &before, view);
        order
    }

    /// A track changed: whoever may know of it is told.
    fn track_news(&self, owner: ParticipantId, before: &TrackView, view: Arc<TrackView>) {
        let kind = if view.muted() == before.muted() {
            EventKind::TrackUpdated
        } else {
            EventKind::TrackMuted
        };
        self.record(kind, Subject::Track(TrackView::clone(&view)));
        self.tell_of(owner, &RoomNews::TrackUpdated(view));
    }

    /// A track appeared or changed. The shard is to be told where its mute differs from ours.
    pub(in crate::registry) fn track_changed(&mut self, facts: &TrackFacts) -> Option<MuteOrder> {
        let member = self.members.get(&facts.participant)?;
        let known = self.tracks.get(&facts.track);
        let muted_by_order = known.is_some_and(|track| track.view.muted_by_server);
        let uid = known.map(|track| track.view.uid);
        let view = Arc::new(seen(member, facts, muted_by_order, uid));
        let order = (view.muted() != facts.muted).then_some(MuteOrder {
            track: facts.track,
            muted: view.muted(),
        });
        let before = known.map(|track| Arc::clone(&track.view));
        if before.as_ref() == Some(&view) {
            if let Some(track) = self.tracks.get_mut(&facts.track) {
                track.screen_told = facts.screen;
            }
            return order;
        }
        let owner = facts.participant;
        let track = Track {
            view: Arc::clone(&view),
            owner,
            screen_told: facts.screen,
        };
        self.tracks.insert(facts.track, track);
        if let Some(before) = before {
            self.track_news(owner, &before, view);
            return order;
        }
        self.record(
            EventKind::TrackPublished,
            Subject::Track(TrackView::clone(&view)),
        );
        // Who is shown only because of it is told with it.
        if self.reveal(owner) {
            self.tell(owner, RoomNews::Published(view));
        } else {
            self.tell_of(owner, &RoomNews::Published(view));
        }
        order
    }

    /// A track is gone.
    pub(in crate::registry) fn track_unpublished(&mut self, id: TrackId) {
        let Some(track) = self.tracks.remove(&id) else {
            return;
        };
        for member in self.members.values_mut() {
            member.wishes.remove(&id);
        }
        self.record(
            EventKind::TrackUnpublished,
            Subject::Track(TrackView::clone(&track.view)),
        );
        self.tell_of(track.owner, &RoomNews::Unpublished(id));
    }
}

fn seen(member: &Member, facts: &TrackFacts, by_order: bool, uid: Option<Ulid>) -> TrackView {
    let note = member.mids.get(&facts.mid).copied().unwrap_or_default();
    let source = note.source.unwrap_or_else(|| TrackSource::of(facts.kind));
    // Without chance there are no ids; its owner's is unique among owners at least.
    let uid = uid.unwrap_or_else(|| Ulid::new(UnixTime::now()).unwrap_or(member.uid));
    TrackView {
        id: facts.track,
        uid,
        create_time: uid.time(),
        participant: member.name.clone(),
        mid: facts.mid,
        kind: facts.kind,
        source,
        codec: facts.codec,
        muted_by_publisher: note.muted,
        muted_by_server: by_order,
        forbidden: !member.spec.permissions.may_publish(source),
    }
}

fn note(mids: &mut BTreeMap<Mid, MidNote>, mid: Mid) -> Result<&mut MidNote, Failure> {
    if !mids.contains_key(&mid) && mids.len() >= MIDS_PER_PARTICIPANT {
        let why = format!("more than {MIDS_PER_PARTICIPANT} m-lines are named");
        return Err(Failure::new(Reason::LimitExceeded, why));
    }
    Ok(mids.entry(mid).or_default())
}

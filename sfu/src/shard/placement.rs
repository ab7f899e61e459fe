//! Which track goes through which section.
//!
//! A participant wants tracks; its transport has sections, each able to carry some formats. A
//! wanted track keeps the section it has, else takes a free one that can carry it (no SDP), else
//! one more is asked of the negotiation. A section whose track is not wanted any more is free; its
//! numbering runs on under the next track.

use super::Shard;
use super::event::PauseReason;
use super::negotiation::SectionRequest;
use super::places::Place;
use super::room::{Member, Room, Unplaced};
use smallvec::SmallVec;

use crate::id::{MemberKey, RoomKey, SectionKey, TrackId, TrackKey};
use crate::limits;
use crate::router::{Router, Track};
use crate::time::Instant;
use crate::units::MediaKind;
use crate::wire::payload::Format;

/// A track that somebody may want.
#[derive(Clone, Debug)]
struct Wanted {
    id: TrackId,
    key: TrackKey,
    paused: bool,
    /// It has a section of its own where others stand in slots.
    pinned: bool,
    /// The publisher's name: the stream id of a new m-line.
    stream: String,
}

impl Shard {
    /// `tracks` are gone from `room`: sections free up, wishes for them end.
    pub(super) fn lose_tracks(&mut self, now: Instant, room: RoomKey, tracks: &[TrackId]) {
        self.look_at_size(now, room);
        for member in self.member_keys(room) {
            let place = Place::new(room, member);
            if let Some(member) = self.member_mut(place) {
                member.wishes.retain(|wish| !tracks.contains(&wish.track));
                for section in &mut member.sections {
                    if section.track.is_some_and(|track| tracks.contains(&track)) {
                        section.track = None;
                        member.dirty.subscriptions = true;
                    }
                }
            }
            self.place_tracks_of(now, place);
            self.settle_member(now, place);
        }
        self.settle_room(now, room);
    }

    /// A track of `room` is new or comes in another format: everybody is looked at again.
    pub(super) fn place_tracks_in(&mut self, now: Instant, room: RoomKey) {
        self.look_at_size(now, room);
        for member in self.member_keys(room) {
            let place = Place::new(room, member);
            self.place_tracks_of(now, place);
            self.settle_member(now, place);
        }
    }

    /// Brings the sections of one member into line with what it wants.
    pub(super) fn place_tracks_of(&mut self, now: Instant, place: Place) {
        let Some(room) = self.rooms.get_mut(place.room.index()) else {
            return;
        };
        let wanted = room.wanted_by(place.member);
        let Some(member) = room.members.get_mut(place.member.index()) else {
            return;
        };
        let router = &mut room.router;
        let mut begun = member.keep_sections(now, &wanted, router);
        let before = std::mem::take(&mut member.unplaced);
        for wanted in &wanted {
            if member
                .sections
                .iter()
                .any(|one| one.track == Some(wanted.id))
            {
                continue;
            }
            let free = member
                .sections
                .iter_mut()
                .find(|one| one.track.is_none() && router.can_carry(one.key, wanted.key));
            if let Some(section) = free {
                section.track = Some(wanted.id);
                section.lacks = None;
                router.bind(now, section.key, Some(wanted.key));
                router.set_paused(now, section.key, wanted.paused);
                router.set_pinned(now, section.key, wanted.pinned);
                member.dirty.subscriptions = true;
                begun.push(section.key);
                continue;
            }
            // A refused track stays refused until its format changes or a new section opens.
            let format = router.track(wanted.key).map(Track::format);
            let mut known = before.iter();
            let known = known.find(|one| one.track == wanted.id && one.format == format);
            member.unplaced.push(Unplaced {
                track: wanted.id,
                format,
                why: known.and_then(|known| known.why),
            });
        }
        member.dirty.subscriptions |= before != member.unplaced;
        let missing = room.place_slots_of(now, place.member);
        let Some(member) = room.members.get_mut(place.member.index()) else {
            return;
        };
        member.request_sections(&wanted, missing);
        if !begun.is_empty() {
            let scratch = &mut self.commons.adapting;
            room.begin(now, place.member, &begun, scratch);
        }
    }

    fn look_at_size(&mut self, now: Instant, room: RoomKey) {
        if let Some(room) = self.rooms.get_mut(room.index()) {
            room.look_at_size(now);
        }
    }

    fn member_keys(&self, room: RoomKey) -> Vec<MemberKey> {
        let room = self.rooms.get(room.index());
        let members = room.into_iter().flat_map(|room| room.members.iter());
        members
            .map(|(index, _)| MemberKey::from_index(index))
            .collect()
    }
}

impl Room {
    fn is_sound(&self, track: TrackKey) -> bool {
        let kind = self.router.track(track).map(Track::kind);
        kind == Some(MediaKind::Audio)
    }

    fn wanted_by(&self, key: MemberKey) -> Vec<Wanted> {
        let Some(member) = self.members.get(key.index()) else {
            return Vec::new();
        };
        if !member.permissions.subscribe {
            return Vec::new();
        }
        let selects = self.router.selects();
        self.tracks()
            .filter(|(publisher, _)| *publisher != key)
            .filter_map(|(publisher, track)| {
                let wish = member.wish(track.id);
                // Of a sound, in a room that selects, only what has a section of its own.
                let pinned = selects && self.is_sound(track.key);
                if pinned && !wish.pinned && member.subscribe_all {
                    return None;
                }
                let (_, name) = self.participant(publisher)?;
                wish.wanted.then(|| Wanted {
                    id: track.id,
                    key: track.key,
                    paused: wish.paused,
                    pinned,
                    stream: name.to_owned(),
                })
            })
            .collect()
    }
}

impl Member {
    /// Sections whose tracks are wanted go on, the others are free. Which of them are paused no more.
    fn keep_sections(
        &mut self,
        now: Instant,
        wanted: &[Wanted],
        router: &mut Router,
    ) -> SmallVec<[SectionKey; 4]> {
        let mut begun: SmallVec<[SectionKey; 4]> = SmallVec::new();
        for section in &mut self.sections {
            let keeps = section
                .track
                .and_then(|track| wanted.iter().find(|wanted| wanted.id == track))
                .filter(|wanted| router.can_carry(section.key, wanted.key));
            if router.selects() && keeps.is_none() && section.plan.kind == MediaKind::Audio {
                // It is a slot from now on, if it was none.
                router.set_pinned(now, section.key, false);
                continue;
            }
            match keeps {
                Some(wanted) => {
                    router.set_pinned(now, section.key, wanted.pinned);
                    let resumes = router.set_paused(now, section.key, wanted.paused);
                    begun.extend(resumes.then_some(section.key));
                }
                None if router.bound(section.key).is_some() || section.track.is_some() => {
                    section.track = None;
                    section.lacks = None;
                    router.bind(now, section.key, None);
                    self.dirty.subscriptions = true;
                }
                None => {}
            }
        }
        begun
    }

    /// Asks the negotiation for one m-line for each wanted track that found no section.
    /// And for each slot that is `missing`: first, for sound comes first.
    fn request_sections(&mut self, wanted: &[Wanted], missing: usize) {
        let mut requests = self.slot_requests(missing);
        let room = limits::SECTIONS_PER_TRANSPORT.saturating_sub(self.negotiation.sections());
        for one in &mut self.unplaced {
            let Some(track) = wanted.iter().find(|track| track.id == one.track) else {
                continue;
            };
            let Some(format) = one.format else {
                continue;
            };
            if one.why.is_none() && self.negotiation.refuses(&format) {
                one.why = Some(PauseReason::CodecUnsupported);
            }
            if one.why.is_some() {
                continue;
            }
            if requests.len() >= room || !self.offers {
                one.why = Some(PauseReason::LimitReached);
                continue;
            }
            requests.push(SectionRequest {
                kind: format.codec.kind(),
                format,
                stream: track.stream.clone(),
            });
        }
        self.negotiation.set_requests(&requests);
    }

    /// A new section may carry what was refused before.
    pub(super) fn retry_refused(&mut self) {
        for one in &mut self.unplaced {
            one.why = None;
        }
    }

    /// Our offer came back without a section of `format`: whoever waits for it waits in vain.
    pub(super) fn refuse(&mut self, format: Format) {
        for one in &mut self.unplaced {
            if one.format == Some(format) && one.why.is_none() {
                one.why = Some(PauseReason::CodecUnsupported);
                self.dirty.subscriptions = true;
            }
        }
    }
}

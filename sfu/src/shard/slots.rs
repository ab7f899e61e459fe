//! Sound in a large room: a few sections, the slots, that show whoever is loudest.
//!
//! A room *selects* once more sounds are published in it than `audio_slots_above`, and sends
//! everybody's again once a quarter fewer are. Each participant has as many slots as voices are sent
//! to it; they are m-lines like all others, asked for once, and which voice stands in which is told,
//! not negotiated. A voice that falls silent keeps its slot until another needs it: it is not cut in
//! its last word, and nobody is told anything when it goes on. What changes hands begins anew
//! (marker, numbers and time run on: `router/section`), at most so often as the ranking allows
//! (`router/loudest`), and is told twice a second.
//!
//! When a room begins to select, who is heard then stays in the section it has; when it ends, who
//! stands in a slot stays there too: nobody who speaks is cut.
//!
//! Nobody is sent its own voice: who speaks is sent the next one. A pinned sound has a section of
//! its own, as in a small room; so has each wanted one of those who do not subscribe to all.

use arrayvec::ArrayVec;

use super::negotiation::SectionRequest;
use super::room::{Member, OpenSection, Room};
use crate::id::{MemberKey, TrackKey};
use crate::limits::{AUDIO_SLOTS, LOUDEST_RANKS};
use crate::router::Router;
use crate::time::{Duration, Instant};
use crate::units::MediaKind;
use crate::wire::payload::{Codec, Format};

/// What slots show is told at most this often.
const TOLD_INTERVAL: Duration = Duration::from_millis(500);
/// The stream of a slot's m-line: nobody's, so that no picture is held up for it.
const STREAM: &str = "loudest";

/// The voices for one participant.
type Voices = ArrayVec<TrackKey, AUDIO_SLOTS>;

impl Room {
    /// Looks whether the room selects, by how many sounds there are.
    pub(super) fn look_at_size(&mut self, now: Instant) {
        let (sounds, above) = (
            self.router.audio_tracks(),
            self.parameters.audio_slots_above,
        );
        let selects = if self.router.selects() {
            sounds > above - above / 4
        } else {
            sounds > above
        };
        self.router.set_selecting(now, selects);
    }

    /// The ranking may have changed: slots follow it.
    pub(super) fn turn_slots(&mut self, now: Instant) {
        let changed = self.router.take_ranking_changes();
        if !self.router.selects() {
            return;
        }
        if changed & self.slot_sizes != 0 {
            self.slot_sizes = 0;
            for (index, member) in self.members.iter_mut() {
                if changed & member.slot_sizes != 0 {
                    let key = MemberKey::from_index(index);
                    let places = member.places(self.parameters.audio_slots);
                    member.turn_slots(now, key, places, &mut self.router);
                }
                self.slot_sizes |= member.slot_sizes;
            }
            self.router.open_ranked(now, self.slot_sizes);
        }
        self.tell_slots(now);
    }

    fn tell_slots(&mut self, now: Instant) {
        let waits = |at| now.since(at) < TOLD_INTERVAL;
        if self.slots_told_at.is_some_and(waits) {
            return;
        }
        for (_, member) in self.members.iter_mut() {
            if std::mem::take(&mut member.slots_changed) {
                member.dirty.subscriptions = true;
                self.slots_told_at = Some(now);
            }
        }
    }

    /// Slots of one member whose wishes, sections or surroundings have changed. How many of them
    /// have yet to be asked for.
    pub(super) fn place_slots_of(&mut self, now: Instant, key: MemberKey) -> usize {
        let sounds = self.router.audio_tracks();
        let Some(member) = self.members.get_mut(key.index()) else {
            return 0;
        };
        if !self.router.selects() {
            member.slot_sizes = 0;
            return 0;
        }
        let places = member.places(self.parameters.audio_slots);
        member.turn_slots(now, key, places, &mut self.router);
        member.dirty.subscriptions |= std::mem::take(&mut member.slots_changed);
        self.slot_sizes |= member.slot_sizes;
        self.router.open_ranked(now, self.slot_sizes);
        let slots = member.sections.iter();
        let slots = slots.filter(|one| is_slot(one, &self.router)).count();
        places.min(sounds).saturating_sub(slots)
    }
}

impl Member {
    /// How many voices it is sent.
    fn places(&self, default: usize) -> usize {
        if !self.permissions.subscribe || !self.subscribe_all {
            return 0;
        }
        self.audio_slots.unwrap_or(default).min(AUDIO_SLOTS)
    }

    /// Slots for those it lacks.
    pub(super) fn slot_requests(&self, missing: usize) -> Vec<SectionRequest> {
        let format = Format::of(Codec::Opus);
        if !self.offers || self.negotiation.refuses(&format) {
            return Vec::new();
        }
        let request = SectionRequest {
            kind: MediaKind::Audio,
            format,
            stream: STREAM.to_owned(),
        };
        vec![request; missing]
    }

    /// Brings the slots into line with the ranking.
    fn turn_slots(&mut self, now: Instant, key: MemberKey, places: usize, router: &mut Router) {
        let slots = self.sections.iter();
        let slots = slots.filter(|one| is_slot(one, router)).count();
        let places = places.min(slots);
        let voices = self.voices(key, places, router);
        let mut kept = 0;
        for place in 0..self.sections.len() {
            let Some(section) = self.sections.get(place) else {
                break;
            };
            if !is_slot(section, router) {
                continue;
            }
            let shown = router.bound(section.key);
            let stays = shown.is_some_and(|track| {
                voices.contains(&track)
                    || kept + voices.len() < places && self.takes(key, track, router)
            });
            kept += usize::from(stays && !shown.is_some_and(|track| voices.contains(&track)));
            if !stays && (shown.is_some() || section.track.is_some()) {
                self.show(now, place, None, router);
            }
        }
        for voice in voices {
            self.seat(now, voice, router);
        }
    }

    /// Gives a voice a slot, where it has none.
    fn seat(&mut self, now: Instant, voice: TrackKey, router: &mut Router) {
        let slots = self.sections.iter();
        let mut slots = slots.filter(|one| is_slot(one, router));
        if slots.any(|one| router.bound(one.key) == Some(voice)) {
            return;
        }
        let free = self.sections.iter().position(|one| {
            is_slot(one, router)
                && router.bound(one.key).is_none()
                && router.can_carry(one.key, voice)
        });
        if let Some(place) = free {
            self.show(now, place, Some(voice), router);
        }
    }

    fn show(&mut self, now: Instant, place: usize, voice: Option<TrackKey>, router: &mut Router) {
        let Some(section) = self.sections.get_mut(place) else {
            return;
        };
        let track = voice.and_then(|key| router.track(key));
        section.track = track.map(crate::router::Track::id);
        section.lacks = None;
        router.bind(now, section.key, voice);
        router.set_paused(now, section.key, false);
        self.slots_changed = true;
    }

    /// The loudest of those it takes, and which sizes of the ranking they were read from.
    fn voices(&mut self, key: MemberKey, places: usize, router: &Router) -> Voices {
        self.slot_sizes = 0;
        let mut voices = Voices::new();
        for n in places..=LOUDEST_RANKS {
            if n == 0 {
                break;
            }
            self.slot_sizes |= 1 << (n - 1);
            let ranked = router.loudest(n);
            let taken = ranked.filter(|track| self.takes(key, *track, router));
            voices = taken.take(places).collect();
            if voices.len() >= places || router.loudest(n).count() < n {
                break;
            }
        }
        voices
    }

    /// Whether it is sent a sound where that is loud enough: somebody else's, wanted, and not in a
    /// section of its own.
    fn takes(&self, key: MemberKey, track: TrackKey, router: &Router) -> bool {
        let Some(track) = router.track(track) else {
            return false;
        };
        let wish = self.wish(track.id());
        track.member() != key && wish.wanted && !wish.paused && !wish.pinned
    }
}

/// Whether a section is a slot, in a room that selects.
pub(super) fn is_slot(section: &OpenSection, router: &Router) -> bool {
    section.plan.kind == MediaKind::Audio && !router.is_pinned(section.key)
}

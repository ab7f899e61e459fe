//! What passes the door of a large room: sound of the ranking's voices, of those somebody has pinned,
//! and of what a port takes. Of all others a packet is looked at for its level and ends there.

use super::{Loudest, UNTOLD};
use crate::id::{EncodingKey, MemberKey, SectionKey, TrackKey};
use crate::limits::LOUDEST_RANKS;
use crate::router::Router;
use crate::router::speaker::Speakers;
use crate::router::track::Track;
use crate::time::Instant;
use crate::units::{AudioLevel, MediaKind};

impl Router {
    /// Published sounds, muted ones too.
    #[must_use]
    pub fn audio_tracks(&self) -> usize {
        let tracks = self.tracks.iter();
        tracks
            .filter(|(_, it)| it.kind() == MediaKind::Audio)
            .count()
    }

    /// Whether sound of the loudest alone is sent.
    #[must_use]
    pub const fn selects(&self) -> bool {
        self.selects
    }

    /// From now on sound of the loudest alone is sent, or everybody's.
    pub fn set_selecting(&mut self, now: Instant, selects: bool) {
        if self.selects == selects {
            return;
        }
        self.selects = selects;
        for track in std::mem::take(&mut self.ranked) {
            if let Some(found) = self.tracks.get_mut(track.index()) {
                found.is_ranked = false;
            }
        }
        let sounds = self.tracks.iter();
        let sounds = sounds.filter(|(_, track)| track.kind() == MediaKind::Audio);
        let keys: Vec<_> = sounds.map(|(key, _)| TrackKey::from_index(key)).collect();
        for track in keys {
            // What ended at the door meanwhile has no numbers; what comes next has to be tied anew.
            if !selects {
                self.restart_track(now, track);
            }
        }
        if selects {
            self.loudest.handle_timeout(now);
        }
    }

    /// The loudest `n` tracks, loudest first; fewer where fewer speak. At most `LOUDEST_RANKS`.
    pub fn loudest(&self, n: usize) -> impl Iterator<Item = TrackKey> + '_ {
        self.loudest.set(n)
    }

    /// The ranking, loudest first: for whoever mixes.
    pub fn ranking(&self, now: Instant) -> impl Iterator<Item = (TrackKey, AudioLevel)> + '_ {
        let ranked = self.loudest.set(LOUDEST_RANKS);
        ranked.map(move |track| (track, self.loudest.level(now, track)))
    }

    /// Which numbers of the loudest have become others since the last call: bit `n - 1` is `n`.
    pub const fn take_ranking_changes(&mut self) -> u16 {
        self.loudest.take_changed()
    }

    /// The loudest of each number in `sizes` (as [`Router::take_ranking_changes`] writes them) are
    /// sent to somebody: they pass the door.
    pub fn open_ranked(&mut self, now: Instant, sizes: u16) {
        if !self.selects {
            return;
        }
        let mut ranked: Vec<TrackKey> = Vec::new();
        for n in (1..=LOUDEST_RANKS).filter(|n| sizes & (1 << (n - 1)) != 0) {
            ranked.extend(self.loudest.set(n));
        }
        ranked.sort_unstable();
        ranked.dedup();
        if ranked == self.ranked {
            return;
        }
        let before = std::mem::replace(&mut self.ranked, ranked);
        for track in before {
            if self.ranked.binary_search(&track).is_err()
                && let Some(found) = self.tracks.get_mut(track.index())
            {
                found.is_ranked = false;
            }
        }
        let mut place = 0;
        while let Some(&track) = self.ranked.get(place) {
            place += 1;
            self.admit(now, track, |track| track.is_ranked = true);
        }
    }

    /// Whether a section shows its sound however loud that is.
    #[must_use]
    pub fn is_pinned(&self, section: SectionKey) -> bool {
        let found = self.sections.get(section.index());
        found.is_some_and(|found| found.is_pinned)
    }

    /// A section is to be sent what it shows however loud that is, or no more.
    pub fn set_pinned(&mut self, now: Instant, section: SectionKey, pinned: bool) {
        let Some(found) = self.sections.get_mut(section.index()) else {
            return;
        };
        let Some(track) = found.track().filter(|_| found.is_pinned != pinned) else {
            return;
        };
        found.is_pinned = pinned;
        self.admit(now, track, |track| {
            track.pins = if pinned {
                track.pins + 1
            } else {
                track.pins.saturating_sub(1)
            };
        });
    }

    /// Changes what lets a track pass. What was shut and passes now begins anew.
    fn admit(&mut self, now: Instant, key: TrackKey, change: impl FnOnce(&mut Track)) {
        let selects = self.selects;
        let Some(track) = self.tracks.get_mut(key.index()) else {
            return;
        };
        let before = is_shut(selects, track);
        change(track);
        if before && !is_shut(selects, track) {
            self.restart_track(now, key);
        }
    }

    fn restart_track(&mut self, now: Instant, track: TrackKey) {
        let mut place = 0;
        while let Some(&section) = self.track(track).and_then(|t| t.sections.get(place)) {
            self.restart_section(now, section);
            place += 1;
        }
    }

    /// Whether a packet of an encoding ends at the door. A port that takes it has it pass.
    pub(in crate::router) fn ends_at_door(&self, encoding: EncodingKey) -> bool {
        if !self.selects {
            return false;
        }
        let found = self.encodings.get(encoding.index());
        let track = found.and_then(|found| self.track(found.track));
        track.is_some_and(|track| is_shut(true, track)) && !self.is_wanted_by_port(encoding)
    }

    /// When the ranking is judged next: never where nobody asks for it.
    pub(in crate::router) fn ranking_due(&self) -> Option<Instant> {
        let is_asked = self.selects || !self.ports.is_empty();
        self.loudest.next_due().filter(|_| is_asked)
    }
}

/// Whether nobody is sent a track of a room that selects.
const fn is_shut(selects: bool, track: &Track) -> bool {
    selects && !track.is_ranked && track.pins == 0 && matches!(track.plan.kind, MediaKind::Audio)
}

/// A sound's packet says how loud it is; one that says nothing is taken to be barely loud enough,
/// unless it is as small as DTX makes them (RFC 6716 §2.1.9: at most two bytes).
pub(in crate::router) fn hear(
    now: Instant,
    (speakers, loudest): (&mut Speakers, &mut Loudest),
    (member, track): (MemberKey, TrackKey),
    level: Option<AudioLevel>,
    payload_bytes: usize,
) {
    if let Some(level) = level {
        speakers.heard(now, member, level);
    }
    let untold = if payload_bytes > 2 {
        UNTOLD
    } else {
        AudioLevel::SILENCE
    };
    loudest.heard(now, track, level.unwrap_or(untold));
}

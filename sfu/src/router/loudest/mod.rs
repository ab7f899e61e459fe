//! Who is loudest: the ranking of a room's voices by their audio levels (RFC 6464), from which a
//! large room's audio slots are filled and a mix takes its voices. Nothing is decoded.
//!
//! A voice is *active* while it was at or above -35 dBov for two fifths of the last 400 ms, so that
//! a click, a keystroke or a short cough is none. For each number of voices somebody may want there
//! is one set: an active voice takes a free place at once, and an occupied one where it is 3 dB
//! louder than the weakest that has had its place for 800 ms or is not active. A place is lost 1.5 s after the last
//! activity. Sets of different sizes are judged apart, each with its own memory, so that each is as
//! steady as if it were the only one.
//!
//! The work of a packet does not depend on how many voices there are. Sets are judged once in
//! [`TICK`], among those that have been loud of late; while all are silent there is no tick.
//!
//! | file | what it is |
//! |---|---|
//! | `gate` | which tracks pass ingress, in a room that selects |
//! | `voice` | one track's loudness over the last 400 ms |

pub(super) mod gate;
mod voice;

use arrayvec::ArrayVec;

use crate::id::TrackKey;
use crate::limits::LOUDEST_RANKS;
use crate::time::{Duration, Instant};
use crate::units::AudioLevel;

use voice::Voice;

/// The sets are judged this often, while anybody is loud.
pub const TICK: Duration = Duration::from_millis(20);
/// A voice keeps its place at least this long, while it is active.
const HOLD: Duration = Duration::from_millis(800);
/// A voice that was not active for this long has no place: a sentence has pauses.
const LEAVE: Duration = Duration::from_millis(1_500);
/// Who takes a place is this many times as strong as who loses it: 3 dB.
const DISPLACE: u64 = 2;

/// The level of a packet that carries none: barely loud enough. A publisher that does not tell its
/// levels is heard while it sends more than DTX does, and is the first to make place.
pub const UNTOLD: AudioLevel = AudioLevel(35);

/// A voice with a place.
#[derive(Clone, Copy, Debug)]
struct Seat {
    track: TrackKey,
    since: Instant,
    energy: u64,
    is_active: bool,
}

/// The voices with a place, of one number of places.
type Set = ArrayVec<Seat, LOUDEST_RANKS>;

/// A voice among the active ones.
type Candidates = ArrayVec<(u64, TrackKey), LOUDEST_RANKS>;

/// The ranking of a room.
#[derive(Debug)]
pub struct Loudest {
    /// By track key; tracks without sound have an idle one.
    voices: Vec<Voice>,
    /// Those that have been loud of late, each once.
    live: Vec<TrackKey>,
    /// The set of `n` places at `n - 1`.
    sets: [Set; LOUDEST_RANKS],
    /// Bit `n - 1`: the set of `n` places has changed since that was read.
    changed: u16,
    ticked_at: Option<Instant>,
}

impl Default for Loudest {
    fn default() -> Self {
        Self {
            voices: Vec::new(),
            live: Vec::new(),
            sets: std::array::from_fn(|_| Set::new()),
            changed: 0,
            ticked_at: None,
        }
    }
}

impl Loudest {
    /// A packet of `track` says how loud it is.
    pub fn heard(&mut self, now: Instant, track: TrackKey, level: AudioLevel) {
        let place = track.index();
        if self.voices.len() <= place {
            self.voices.resize_with(place + 1, Voice::default);
        }
        let Some(voice) = self.voices.get_mut(place) else {
            return;
        };
        if voice.hear(now, level) && !std::mem::replace(&mut voice.is_live, true) {
            self.live.push(track);
        }
    }

    /// A track is gone or mute: it has no place from now on.
    pub fn forget(&mut self, track: TrackKey) {
        if let Some(voice) = self.voices.get_mut(track.index()) {
            *voice = Voice::default();
        }
        self.live.retain(|&live| live != track);
        for (number, set) in self.sets.iter_mut().enumerate() {
            let before = set.len();
            set.retain(|seat| seat.track != track);
            if set.len() != before {
                self.changed |= bit(number);
            }
        }
    }

    /// Judges the sets, where that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next_due().is_none_or(|due| due > now) {
            return;
        }
        self.ticked_at = Some(now);
        let candidates = self.candidates(now);
        let voices = &self.voices;
        for (number, set) in self.sets.iter_mut().enumerate() {
            if judge(now, set, number + 1, voices, &candidates) {
                self.changed |= bit(number);
            }
        }
        let voices = &mut self.voices;
        self.live.retain(|track| {
            let Some(voice) = voices.get_mut(track.index()) else {
                return false;
            };
            voice.is_live = now.since(voice.loud_at) <= LEAVE + voice::WINDOW;
            voice.is_live
        });
    }

    /// When to judge next; never while all are silent.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        let due = self.ticked_at.map_or(Instant::ZERO, |at| at + TICK);
        (!self.live.is_empty()).then_some(due)
    }

    /// The loudest `n` tracks, loudest first; fewer where fewer speak. At most `LOUDEST_RANKS`.
    pub fn set(&self, n: usize) -> impl Iterator<Item = TrackKey> + '_ {
        let n = n.min(LOUDEST_RANKS).checked_sub(1);
        let set = n.and_then(|number| self.sets.get(number));
        set.into_iter().flatten().map(|seat| seat.track)
    }

    /// How loud a voice has been over the last 400 ms.
    #[must_use]
    pub fn level(&self, now: Instant, track: TrackKey) -> AudioLevel {
        let voice = self.voices.get(track.index());
        voice.map_or(AudioLevel::SILENCE, |voice| voice.level(now))
    }

    /// Which sets have changed since the last call: bit `n - 1` is that of `n` places.
    pub const fn take_changed(&mut self) -> u16 {
        let changed = self.changed;
        self.changed = 0;
        changed
    }

    /// The strongest active voices, strongest first.
    fn candidates(&mut self, now: Instant) -> Candidates {
        let mut found = Candidates::new();
        for &track in &self.live {
            let Some(voice) = self.voices.get_mut(track.index()) else {
                continue;
            };
            voice.measure(now);
            if !voice.is_active {
                continue;
            }
            let energy = voice.energy;
            let place = found.partition_point(|&(other, _)| other >= energy);
            if found.is_full() {
                if place == LOUDEST_RANKS {
                    continue;
                }
                found.pop();
            }
            found.insert(place, (energy, track));
        }
        found
    }
}

/// The bit of the set at `number`.
const fn bit(number: usize) -> u16 {
    1 << number
}

/// Brings one set up to date. True where somebody came or went.
fn judge(
    now: Instant,
    set: &mut Set,
    places: usize,
    voices: &[Voice],
    candidates: &Candidates,
) -> bool {
    let before = set.len();
    set.retain(|seat| {
        let voice = voices.get(seat.track.index());
        (seat.energy, seat.is_active) = voice.map_or((0, false), |it| (it.energy, it.is_active));
        voice.is_some_and(|voice| now.since(voice.active_at) <= LEAVE)
    });
    let mut changed = set.len() != before;
    for &(energy, track) in candidates {
        if set.iter().any(|seat| seat.track == track) {
            continue;
        }
        let seat = Seat {
            track,
            since: now,
            energy,
            is_active: true,
        };
        if set.len() < places {
            set.push(seat);
            changed = true;
            continue;
        }
        let yields = |seat: &&mut Seat| !seat.is_active || now.since(seat.since) >= HOLD;
        let yielding = set.iter_mut().filter(yields);
        let weakest = yielding.min_by_key(|seat| seat.energy);
        match weakest.filter(|weakest| energy / DISPLACE > weakest.energy) {
            Some(weakest) => {
                *weakest = seat;
                changed = true;
            }
            // Those who follow are weaker still.
            None => break,
        }
    }
    set.sort_unstable_by_key(|seat| std::cmp::Reverse((seat.energy, seat.track)));
    changed
}

#[cfg(test)]
mod tests;

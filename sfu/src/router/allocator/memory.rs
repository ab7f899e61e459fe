//! What was given last time, and what came of it.
//!
//! An upgrade that has to be taken back is a setback: the track is held where it is for 2 s, twice
//! as long each time, to 60 s; and the next upgrade needs more headroom, so that an estimate that
//! swings wider than the window of `stable` is long ends the flipping too. One setback is forgotten
//! for each three minutes without one.

use crate::id::SectionKey;
use crate::time::{Duration, Instant};

/// An upgrade taken back within this time was a setback, whatever the reason.
const FAILS_WITHIN: Duration = Duration::from_secs(2);
/// One taken back within this time was a setback if the budget fell only a little.
const SHAKY_WITHIN: Duration = Duration::from_secs(60);
/// A little: to no less than four fifths of what was sent. Below, the path has changed, and what
/// was learnt of its noise says nothing.
const SHAKY_PARTS: (u128, u128) = (4, 5);
/// The first hold.
const HOLD_FIRST: Duration = Duration::from_secs(2);
/// The longest hold.
const HOLD_MAX: Duration = Duration::from_secs(60);
/// As many as double the first hold to the longest.
const SETBACKS_MAX: u8 = 6;
/// Calm for so long after a hold, and one setback is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(180);
/// Parts of the budget that stay free above a new layer, by setbacks: 3, 9 and 20 %. A wide one
/// for all would leave a path unused; a narrow one for all would let it flip.
const HEADROOMS: [u64; 3] = [2, 6, 13];

/// Parts of the budget to stay free above a new layer, after so many setbacks.
pub(super) fn headroom(setbacks: u8) -> u64 {
    let place = usize::from(setbacks).min(HEADROOMS.len() - 1);
    HEADROOMS.get(place).copied().unwrap_or(0)
}

/// One section's memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    pub(super) section: SectionKey,
    /// Spatial, temporal, and what it cost.
    pub(super) given: Option<(u8, u8, u64)>,
    /// It has been given something before.
    pub(super) was_shown: bool,
    rose_at: Option<Instant>,
    setbacks: u8,
    /// End of the last hold.
    pub(super) held_until: Instant,
}

/// What happened to a section now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) now: Instant,
    pub(super) section: SectionKey,
    pub(super) given: Option<(u8, u8, u64)>,
    pub(super) rises: bool,
    pub(super) falls: bool,
    /// The budget, and what the path carries.
    pub(super) fast: u64,
    pub(super) carried: u64,
    /// What all that was given before would cost.
    pub(super) kept_cost: u64,
}

/// The memory of a section: most likely at the same place as last time.
pub(super) fn find(past: &[Past], place: usize, section: SectionKey) -> Option<&Past> {
    let same = |past: &&Past| past.section == section;
    past.get(place)
        .filter(same)
        .or_else(|| past.iter().find(same))
}

impl Past {
    /// Setbacks not yet forgotten.
    pub(super) fn setbacks(&self, now: Instant) -> u8 {
        let calm = now.since(self.held_until).as_secs() / FORGOTTEN_AFTER.as_secs();
        self.setbacks
            .saturating_sub(u8::try_from(calm).unwrap_or(u8::MAX))
    }

    /// What is remembered after a turn.
    pub(super) fn after(turn: &Turn, before: Option<&Self>) -> Self {
        let mut past = Self {
            section: turn.section,
            given: turn.given,
            was_shown: turn.given.is_some() || before.is_some_and(|before| before.was_shown),
            rose_at: before.and_then(|before| before.rose_at),
            setbacks: before.map_or(0, |before| before.setbacks),
            held_until: before.map_or(Instant::ZERO, |before| before.held_until),
        };
        if turn.rises {
            past.rose_at = Some(turn.now);
        } else if turn.falls {
            if past.rose_at.is_some_and(|rose_at| turn.is_setback(rose_at)) {
                past.setbacks = past.setbacks(turn.now).saturating_add(1).min(SETBACKS_MAX);
                let doublings = u32::from(past.setbacks - 1);
                let hold = HOLD_FIRST.saturating_mul(1 << doublings).min(HOLD_MAX);
                past.held_until = turn.now + hold;
            }
            past.rose_at = None;
        }
        past
    }
}

impl Turn {
    /// Whether the budget has taken back what rose at `rose_at`.
    fn is_setback(&self, rose_at: Instant) -> bool {
        let stood = self.now.since(rose_at);
        let (part, whole) = SHAKY_PARTS;
        let shaky = u128::from(self.carried) * whole >= u128::from(self.kept_cost) * part;
        self.kept_cost > self.fast && (stood <= FAILS_WITHIN || (shaky && stood <= SHAKY_WITHIN))
    }
}

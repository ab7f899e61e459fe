//! Who gets what.
//!
//! Lowest layers first, by weight. Then, again and again, the step that is worth most for its
//! bits; where it does not fit, the best one of that track that might. Since no later step is
//! worth more for a bit than one that did not fit, a larger budget never buys less.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::ops::Range;

use super::claim::{Budget, Claim};
use super::ladder::Ladder;
use super::memory::{self, Past, Turn};
use crate::id::SectionKey;
use crate::time::Instant;

/// Headrooms are counted in this many parts of the budget.
pub(super) const HEADROOM_PARTS: u64 = 64;

/// One claim, ready to be computed with.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) section: SectionKey,
    pub(super) ladder: Ladder,
    pub(super) weight: u32,
    pub(super) may_pause: bool,
    pub(super) is_hidden: bool,
    /// Never shown before: its lowest layer needs no headroom.
    is_new: bool,
    /// The level given now.
    pub(super) kept: usize,
    /// The highest level that costs at most half of it.
    halved: usize,
    /// The highest level it may be given: its top, or `kept` while it is held.
    pub(super) ceiling: usize,
    pub(super) held_until: Option<Instant>,
    /// Of [`HEADROOM_PARTS`], those that have to stay free above a new layer.
    headroom: u64,
}

impl Entry {
    pub(super) fn new(now: Instant, claim: &Claim<'_>, past: Option<&Past>) -> Self {
        let ladder = Ladder::new(claim);
        let present = match past {
            Some(past) => past.given,
            None => claim.current.and_then(|place| {
                let layer = claim.layers.get(place)?;
                Some((layer.spatial, layer.temporal, layer.bitrate.as_bps()))
            }),
        };
        // A layer that costs no more than the present one adds nothing to what is sent; and who is
        // shown is not new, whatever has become of the layers.
        let kept = present.map_or(0, |(spatial, temporal, cost)| {
            let same =
                |layer: &&super::Layer| (layer.spatial, layer.temporal) == (spatial, temporal);
            let now = claim
                .layers
                .iter()
                .find(same)
                .map(|layer| layer.bitrate.as_bps());
            let cost = now.filter(|&cost| cost > 0).unwrap_or(cost);
            ladder.affordable(cost).max(1).min(ladder.top())
        });
        let held_until = past
            .map(|past| past.held_until)
            .filter(|&until| until > now);
        let mut ceiling = if held_until.is_some() {
            kept
        } else {
            ladder.top()
        };
        if !claim.may_pause {
            ceiling = ceiling.max(1).min(ladder.top());
        }
        Self {
            section: claim.section,
            weight: claim.weight.factor(),
            may_pause: claim.may_pause,
            is_hidden: claim.is_hidden,
            is_new: !past.is_some_and(|past| past.was_shown),
            kept,
            halved: ladder.affordable(ladder.cost(kept) / 2),
            ceiling,
            held_until,
            headroom: memory::headroom(past.map_or(0, |past| past.setbacks(now))),
            ladder,
        }
    }

    /// What the memory is told.
    pub(super) fn turn(&self, now: Instant, level: usize, budget: Budget, kept_cost: u64) -> Turn {
        let step = self.ladder.step(level);
        let given = step.map(|step| (step.name.0, step.name.1, step.cost));
        Turn {
            now,
            section: self.section,
            given,
            rises: level > self.kept,
            falls: level < self.kept,
            fast: budget.fast.as_bps(),
            carried: budget.carried.as_bps(),
            kept_cost,
        }
    }

    /// What everything together may cost if this one is given `level`.
    pub(super) fn limit(&self, level: usize, stable: u64) -> u64 {
        if level <= self.kept || (self.is_new && level == 1) {
            return stable;
        }
        // In parts first: an unlimited budget must not overflow.
        stable / HEADROOM_PARTS * (HEADROOM_PARTS - self.headroom)
    }

    /// What `stable` has to be next time for all to cost `total` with this one at `level`, above
    /// what it is given now.
    pub(super) fn stable_for(&self, level: usize, total: u64) -> u64 {
        if self.is_new && level == 1 {
            return total;
        }
        let parts = HEADROOM_PARTS - self.headroom;
        total.div_ceil(parts).saturating_mul(HEADROOM_PARTS)
    }
}

/// An entry's place in the order of weight. Sorts heaviest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Standing {
    /// Those that have to be shown come first, so that what they cost is known; then by weight;
    /// then shown before not shown, so that equals do not take turns.
    key: (bool, Reverse<u32>, bool),
    section: SectionKey,
    /// Where the entry is.
    pub(super) place: u16,
}

/// Which levels a step may lead to.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    pub(super) ceiling: usize,
    pub(super) except: Range<usize>,
}

/// A possible step up of one entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    gain: u64,
    pub(super) cost: u64,
    /// Gain for a bit. The rounding of the last of 53 places decides between equals only.
    density: f64,
    /// The entry's place in the order of weight.
    rank: u16,
    place: u16,
    level: u8,
    /// Up to the level given now: at equal worth it goes before a new one, so that ties swap
    /// nothing.
    is_kept: bool,
}

impl Move {
    /// The best step from `from` to a level of `levels`: the lowest of equals.
    pub(super) fn best(
        entry: &Entry,
        (rank, place): (u16, u16),
        from: usize,
        levels: &Reach,
    ) -> Option<Self> {
        let (cost, utility) = (entry.ladder.cost(from), entry.ladder.utility(from));
        let mut best: Option<Self> = None;
        for (level, step) in entry.ladder.above(from, levels.ceiling) {
            if levels.except.contains(&level) {
                continue;
            }
            let step = Self {
                gain: step.utility.saturating_sub(utility),
                cost: step.cost.saturating_sub(cost),
                density: 0.0,
                rank,
                place,
                level: u8::try_from(level).unwrap_or(u8::MAX),
                is_kept: level <= entry.kept,
            };
            if best.is_none_or(|best| step.is_denser(&best)) {
                best = Some(step);
            }
        }
        let best = best?;
        Some(Self {
            density: best.gain as f64 / best.cost.max(1) as f64,
            ..best
        })
    }

    /// Where the entry is.
    pub(super) fn place(&self) -> usize {
        usize::from(self.place)
    }

    /// The level after it.
    pub(super) fn level(&self) -> usize {
        usize::from(self.level)
    }

    /// Compares worth for a bit, without a division.
    fn is_denser(&self, other: &Self) -> bool {
        let ours = u128::from(self.gain) * u128::from(other.cost);
        ours > u128::from(other.gain) * u128::from(self.cost)
    }
}

impl Ord for Move {
    fn cmp(&self, other: &Self) -> Ordering {
        self.density
            .total_cmp(&other.density)
            .then_with(|| self.is_kept.cmp(&other.is_kept))
            .then_with(|| other.rank.cmp(&self.rank))
            .then_with(|| other.level.cmp(&self.level))
    }
}

impl PartialOrd for Move {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Move {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Move {}

/// What a share is bounded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    /// Only what is given now, within this.
    Kept(u64),
    /// Anything that is not held; each within its own limit of this.
    Stable(u64),
}

impl Bound {
    fn reach(self, entry: &Entry) -> Reach {
        match self {
            // Cut by half at least, or not at all: a budget that shrinks shrinks on, and few that
            // are cut deep move less often than many that are cut a little.
            Self::Kept(_) => Reach {
                ceiling: entry.kept,
                except: entry.halved + 1..entry.kept,
            },
            Self::Stable(_) => Reach {
                ceiling: entry.ceiling,
                except: 0..0,
            },
        }
    }

    fn limit(self, entry: &Entry, level: usize) -> u64 {
        match self {
            Self::Kept(fast) => fast,
            Self::Stable(stable) => entry.limit(level, stable),
        }
    }
}

/// A level for each entry.
#[derive(Debug, Default)]
struct Levels {
    levels: Vec<usize>,
    used: u64,
}

/// The computation's buffers.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    entries: Vec<Entry>,
    /// Places of entries, heaviest first.
    order: Vec<Standing>,
    chosen: Levels,
    fresh: Levels,
    heap: BinaryHeap<Move>,
    fast: u64,
    stable: u64,
}

/// The result: entries, with a level for each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share<'a> {
    pub(super) entries: &'a [Entry],
    pub(super) order: &'a [Standing],
    pub(super) levels: &'a [usize],
    pub(super) used: u64,
}

impl Share<'_> {
    /// What was given before would cost now.
    pub(super) fn kept_cost(&self) -> u64 {
        let costs = self
            .entries
            .iter()
            .map(|entry| entry.ladder.cost(entry.kept));
        costs.fold(0, u64::saturating_add)
    }

    pub(super) fn utility(&self) -> u64 {
        let pairs = self.entries.iter().zip(self.levels);
        let utilities = pairs.map(|(entry, &level)| entry.ladder.utility(level));
        utilities.fold(0, u64::saturating_add)
    }
}

impl Workspace {
    pub(super) fn begin(&mut self, budget: Budget) {
        self.entries.clear();
        self.fast = budget.fast.as_bps();
        self.stable = budget.stable.as_bps();
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    pub(super) fn share(&self) -> Share<'_> {
        Share {
            entries: &self.entries,
            order: &self.order,
            levels: &self.chosen.levels,
            used: self.chosen.used,
        }
    }

    /// Computes the shares and chooses.
    pub(super) fn decide(&mut self) {
        let Self {
            entries,
            order,
            chosen,
            fresh,
            heap,
            fast,
            stable,
        } = self;
        order.clear();
        order.extend((0..).zip(&*entries).map(|(place, entry)| Standing {
            key: (entry.may_pause, Reverse(entry.weight), entry.kept == 0),
            section: entry.section,
            place,
        }));
        order.sort_unstable();
        if chosen.give_all(entries, *stable) {
            return;
        }
        let grown = Bound::Stable(*stable);
        chosen.keep(entries, order, *fast, heap);
        chosen.show(entries, order, grown);
        chosen.climb(entries, order, grown, heap);
        let satisfied = |(entry, &level): (&Entry, &usize)| level >= entry.ceiling;
        let all_satisfied = entries.iter().zip(&chosen.levels).all(satisfied);
        // Where nothing was given before, it is fresh already.
        if all_satisfied || entries.iter().all(|entry| entry.kept == 0) {
            return;
        }
        fresh.clear(entries.len());
        fresh.show(entries, order, grown);
        fresh.climb(entries, order, grown, heap);
        if pays(entries, chosen, fresh) {
            std::mem::swap(chosen, fresh);
        }
    }
}

impl Levels {
    fn clear(&mut self, n_entries: usize) {
        self.levels.clear();
        self.levels.resize(n_entries, 0);
        self.used = 0;
    }

    /// Everything to everyone, where it fits.
    fn give_all(&mut self, entries: &[Entry], stable: u64) -> bool {
        self.give(entries, |entry| entry.ceiling);
        entries
            .iter()
            .all(|entry| self.used <= entry.limit(entry.ceiling, stable))
    }

    fn give(&mut self, entries: &[Entry], level: impl Fn(&Entry) -> usize) {
        self.levels.clear();
        self.levels.extend(entries.iter().map(&level));
        let costs = entries.iter().map(|entry| entry.ladder.cost(level(entry)));
        self.used = costs.fold(0, u64::saturating_add);
    }

    /// What is given now, cut to what fits.
    fn keep(
        &mut self,
        entries: &[Entry],
        order: &[Standing],
        fast: u64,
        heap: &mut BinaryHeap<Move>,
    ) {
        let bound = Bound::Kept(fast);
        self.give(entries, |entry| {
            let least = usize::from(!entry.may_pause).min(entry.ladder.top());
            entry.kept.max(least)
        });
        if self.used > fast {
            self.clear(entries.len());
        }
        self.show(entries, order, bound);
        self.climb(entries, order, bound, heap);
    }

    /// The lowest layer of each that has none, by weight.
    fn show(&mut self, entries: &[Entry], order: &[Standing], bound: Bound) {
        for standing in order {
            let place = usize::from(standing.place);
            let (Some(entry), Some(level)) = (entries.get(place), self.levels.get_mut(place))
            else {
                continue;
            };
            if *level > 0 || entry.ladder.top() == 0 {
                continue;
            }
            let cost = self.used.saturating_add(entry.ladder.cost(1));
            let fits = bound.reach(entry).ceiling > 0 && cost <= bound.limit(entry, 1);
            if fits || !entry.may_pause {
                *level = 1;
                self.used = cost;
            }
        }
    }

    /// The most worth for a bit, until nothing fits.
    fn climb(
        &mut self,
        entries: &[Entry],
        order: &[Standing],
        bound: Bound,
        heap: &mut BinaryHeap<Move>,
    ) {
        heap.clear();
        for (rank, standing) in (0..).zip(order) {
            let place = usize::from(standing.place);
            let from = self.levels.get(place).copied().unwrap_or(0);
            if let Some(entry) = entries.get(place).filter(|_| from > 0) {
                let reach = self.reach(entry, from, bound);
                if let Some(step) = Move::best(entry, (rank, standing.place), from, &reach) {
                    heap.push(step);
                }
            }
        }
        while let Some(mut top) = heap.peek_mut() {
            let step = *top;
            let place = step.place();
            let (Some(entry), Some(&from)) = (entries.get(place), self.levels.get(place)) else {
                PeekMut::pop(top);
                continue;
            };
            let used = self.used.saturating_add(step.cost);
            let fits = used <= bound.limit(entry, step.level());
            let mut from = from;
            if fits && let Some(level) = self.levels.get_mut(place) {
                from = step.level();
                *level = from;
                self.used = used;
            }
            let mut reach = self.reach(entry, from, bound);
            if !fits {
                reach.ceiling = reach.ceiling.min(step.level() - 1);
            }
            match Move::best(entry, (step.rank, step.place), from, &reach) {
                Some(next) => *top = next,
                None => drop(PeekMut::pop(top)),
            }
        }
    }

    /// Where a step may lead: what does not fit now does not fit later, since the room only
    /// shrinks. A lower level has at least as much of it.
    fn reach(&self, entry: &Entry, from: usize, bound: Bound) -> Reach {
        let mut reach = bound.reach(entry);
        let room = bound.limit(entry, from).saturating_sub(self.used);
        let cost = entry.ladder.cost(from).saturating_add(room);
        reach.ceiling = reach.ceiling.min(entry.ladder.affordable(cost));
        reach
    }
}

/// Of what moves, this much more has to be won than lost: the picture changes for people who did
/// not ask for it.
const SWAP_WINS: u128 = 5;
/// See [`SWAP_WINS`].
const SWAP_LOSSES: u128 = 4;

/// Whether to leave `present` for `fresh`.
fn pays(entries: &[Entry], present: &Levels, fresh: &Levels) -> bool {
    let (mut won, mut lost) = (0u128, 0u128);
    let (mut shown, mut paused) = (0, 0);
    let levels = present.levels.iter().zip(&fresh.levels);
    for (entry, (&before, &after)) in entries.iter().zip(levels) {
        let (old, new) = (entry.ladder.utility(before), entry.ladder.utility(after));
        won += u128::from(new.saturating_sub(old));
        lost += u128::from(old.saturating_sub(new));
        if before == 0 && after > 0 {
            shown = entry.weight.max(shown);
        }
        if before > 0 && after == 0 {
            paused = entry.weight.max(paused);
        }
    }
    match (shown, paused) {
        (0, 0) => won * SWAP_LOSSES > lost * SWAP_WINS,
        _ => shown > paused,
    }
}

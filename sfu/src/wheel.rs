//! The one timer wheel of a shard: 1 ms slots, cascading to 10 s.
//!
//! Every object owns at most one entry, named by a dense timer number it gets from
//! [`Wheel::register`]. Scheduling replaces what was there. An idle object costs one entry in a
//! slot and nothing between its deadlines.
//!
//! Two levels: 1,024 slots of 1 ms, and 64 slots of 1,024 ms that cascade down; what is further
//! away than that waits in the last slot and is placed again when it comes by.

use crate::time::{Duration, Instant};

const FINE: usize = 1_024;
const COARSE: usize = 64;
const NONE: u32 = u32::MAX;

/// A timer's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerId(u32);

#[derive(Clone, Copy, Debug)]
struct Entry<K> {
    key: K,
    due: Instant,
    /// Slot it hangs in, `NONE` where unscheduled.
    slot: u32,
    next: u32,
    previous: u32,
}

/// Deadlines of keys of type `K`.
#[derive(Debug)]
pub struct Wheel<K> {
    entries: slab::Slab<Entry<K>>,
    /// Heads of the slots: fine ones first, then coarse ones.
    heads: Vec<u32>,
    /// A bit for each fine slot that is not empty: the next one is looked for at each wake.
    filled: [u64; FINE / 64],
    /// Milliseconds that have been expired.
    cursor: u64,
    scheduled: usize,
}

impl<K: Copy> Wheel<K> {
    /// A wheel that stands at `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            entries: slab::Slab::new(),
            heads: vec![NONE; FINE + COARSE],
            filled: [0; FINE / 64],
            cursor: now.as_millis(),
            scheduled: 0,
        }
    }

    /// A timer for `key`, not scheduled yet.
    pub fn register(&mut self, key: K) -> TimerId {
        let entry = Entry {
            key,
            due: Instant::ZERO,
            slot: NONE,
            next: NONE,
            previous: NONE,
        };
        TimerId(u32::try_from(self.entries.insert(entry)).unwrap_or(NONE))
    }

    /// Gives the timer back.
    pub fn unregister(&mut self, timer: TimerId) {
        self.cancel(timer);
        self.entries.try_remove(timer.0 as usize);
    }

    /// The key of `timer` is due at `due`, and no longer at what was scheduled before.
    pub fn schedule(&mut self, timer: TimerId, due: Instant) {
        self.cancel(timer);
        let slot = self.slot_of(due);
        let head = self.heads.get(slot as usize).copied().unwrap_or(NONE);
        let Some(entry) = self.entries.get_mut(timer.0 as usize) else {
            return;
        };
        entry.due = due;
        entry.slot = slot;
        entry.previous = NONE;
        entry.next = head;
        if let Some(after) = self.entries.get_mut(head as usize) {
            after.previous = timer.0;
        }
        if let Some(place) = self.heads.get_mut(slot as usize) {
            *place = timer.0;
        }
        self.mark(slot, true);
        self.scheduled += 1;
    }

    /// Slot `slot` is filled, or empty.
    fn mark(&mut self, slot: u32, filled: bool) {
        // Coarse slots have no bit.
        if let Some(word) = self.filled.get_mut(slot as usize / 64) {
            let bit = slot % 64;
            *word = *word & !(1 << bit) | u64::from(filled) << bit;
        }
    }

    /// Milliseconds from the cursor on to the first slot that is not empty, before the cursor
    /// comes to another stretch; a stretch where there is none.
    fn empty_ahead(&self) -> u64 {
        let at = fine_slot(self.cursor);
        let mut rest = self.filled.iter().enumerate().skip(at / 64);
        let found = rest.find_map(|(word, &bits)| {
            let from = if word == at / 64 { at % 64 } else { 0 };
            let bits = bits & (u64::MAX << from);
            (bits != 0).then(|| word * 64 + bits.trailing_zeros() as usize)
        });
        (found.unwrap_or(FINE) - at) as u64
    }

    /// The timer is not due any more.
    pub fn cancel(&mut self, timer: TimerId) {
        let Some(entry) = self.entries.get_mut(timer.0 as usize) else {
            return;
        };
        if entry.slot == NONE {
            return;
        }
        let (slot, next, previous) = (entry.slot, entry.next, entry.previous);
        entry.slot = NONE;
        self.scheduled -= 1;
        if let Some(after) = self.entries.get_mut(next as usize) {
            after.previous = previous;
        }
        if previous == NONE {
            if let Some(head) = self.heads.get_mut(slot as usize) {
                *head = next;
            }
            if next == NONE {
                self.mark(slot, false);
            }
        } else if let Some(before) = self.entries.get_mut(previous as usize) {
            before.next = next;
        }
    }

    /// When the timer is due, if it is scheduled.
    #[must_use]
    pub fn due(&self, timer: TimerId) -> Option<Instant> {
        let entry = self.entries.get(timer.0 as usize)?;
        (entry.slot != NONE).then_some(entry.due)
    }

    /// Takes one timer that is due by `now`, or none.
    pub fn expire(&mut self, now: Instant) -> Option<(TimerId, K)> {
        let target = now.as_millis();
        loop {
            if let Some(found) = self.due_in_slot(now) {
                return Some(found);
            }
            if self.cursor >= target {
                return None;
            }
            self.advance(target);
        }
    }

    /// The next deadline: the first non-empty slot, no earlier than a due entry.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        if self.scheduled == 0 {
            return None;
        }
        // Fine slots are those of the cursor's own stretch.
        let slot = fine_slot(self.cursor + self.empty_ahead());
        if let Some(due) = self.earliest_in(slot) {
            return Some(due);
        }
        let base = self.cursor / FINE as u64;
        (1..=COARSE as u64).find_map(|ahead| {
            let slot = coarse_slot(base + ahead);
            self.earliest_in(slot)
                .map(|due| due.max(Instant::from_millis((base + ahead) * FINE as u64)))
        })
    }

    /// Scheduled timers.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.scheduled
    }

    /// Whether nothing is scheduled.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.scheduled == 0
    }

    /// Registered timers, scheduled or not.
    #[must_use]
    pub fn registered(&self) -> usize {
        self.entries.len()
    }

    fn slot_of(&self, due: Instant) -> u32 {
        let at = due.as_millis().max(self.cursor);
        let slot = if at / FINE as u64 == self.cursor / FINE as u64 {
            at % FINE as u64
        } else {
            let base = self.cursor / FINE as u64;
            let ahead = (at / FINE as u64 - base).min(COARSE as u64 - 1);
            FINE as u64 + (base + ahead) % COARSE as u64
        };
        u32::try_from(slot).unwrap_or(0)
    }

    fn due_in_slot(&mut self, now: Instant) -> Option<(TimerId, K)> {
        let slot = fine_slot(self.cursor);
        let mut at = self.heads.get(slot).copied().unwrap_or(NONE);
        while let Some(entry) = self.entries.get(at as usize) {
            if entry.due <= now {
                let key = entry.key;
                self.cancel(TimerId(at));
                return Some((TimerId(at), key));
            }
            at = entry.next;
        }
        None
    }

    /// Moves the cursor to the next non-empty slot or `target`, cascading on the way.
    fn advance(&mut self, target: u64) {
        if self.scheduled == 0 {
            self.cursor = target;
            return;
        }
        while self.cursor < target {
            // The slot of the cursor itself holds nothing that is due: on from the next one.
            self.cursor += 1;
            if self.cursor.is_multiple_of(FINE as u64) {
                self.cascade();
            }
            let ahead = self.empty_ahead();
            if ahead == 0 {
                return;
            }
            let to_next = FINE as u64 - self.cursor % FINE as u64;
            self.cursor = (self.cursor + ahead.min(to_next) - 1).min(target);
        }
    }

    fn cascade(&mut self) {
        let slot = coarse_slot(self.cursor / FINE as u64);
        let mut at = self.heads.get(slot).copied().unwrap_or(NONE);
        while let Some(entry) = self.entries.get(at as usize) {
            let (due, next) = (entry.due, entry.next);
            self.schedule(TimerId(at), due);
            at = next;
        }
    }

    fn earliest_in(&self, slot: usize) -> Option<Instant> {
        let mut at = self.heads.get(slot).copied().unwrap_or(NONE);
        let mut earliest: Option<Instant> = None;
        while let Some(entry) = self.entries.get(at as usize) {
            earliest = Some(earliest.map_or(entry.due, |found| found.min(entry.due)));
            at = entry.next;
        }
        earliest
    }
}

/// The 1 ms slot of a millisecond.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a remainder below the number of slots"
)]
const fn fine_slot(millis: u64) -> usize {
    (millis % FINE as u64) as usize
}

/// The slot of a stretch of `FINE` milliseconds, counted from zero.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a remainder below the number of slots"
)]
const fn coarse_slot(stretch: u64) -> usize {
    FINE + (stretch % COARSE as u64) as usize
}

/// The soonest of several deadlines, none of them necessarily set.
#[must_use]
pub fn soonest<const N: usize>(deadlines: [Option<Instant>; N]) -> Option<Instant> {
    deadlines.into_iter().flatten().min()
}

/// How long until `due`; zero where it has passed.
#[must_use]
pub fn until(due: Instant, now: Instant) -> Duration {
    due.since(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_expire_in_time_and_once() {
        let mut wheel = Wheel::new(Instant::from_millis(500));
        let mut random = 12_345u64;
        let mut expected = Vec::new();
        for key in 0..2_000u32 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let due = Instant::from_micros(500_000 + (random >> 33) % 90_000_000);
            let timer = wheel.register(key);
            wheel.schedule(timer, due);
            expected.push((due, key));
        }
        expected.sort();
        let mut now = Instant::from_millis(500);
        let mut seen = Vec::new();
        while let Some(next) = wheel.next() {
            assert!(next >= now, "the next deadline lies in the past");
            now = next;
            while let Some((timer, key)) = wheel.expire(now) {
                seen.push((now, key));
                wheel.unregister(timer);
            }
        }
        assert_eq!(seen.len(), expected.len());
        let mut late = std::collections::BTreeMap::new();
        for (due, key) in &expected {
            late.insert(*key, *due);
        }
        for (at, key) in seen {
            let due = late[&key];
            assert!(
                at >= due && at.since(due) <= Duration::from_millis(1),
                "{at:?} for {due:?}"
            );
        }
        assert!(wheel.is_empty() && wheel.registered() == 0);
    }

    #[test]
    fn scheduling_again_replaces() {
        let mut wheel = Wheel::new(Instant::ZERO);
        let timer = wheel.register('a');
        wheel.schedule(timer, Instant::from_millis(5));
        wheel.schedule(timer, Instant::from_millis(3_000));
        assert_eq!(wheel.len(), 1);
        assert!(wheel.expire(Instant::from_millis(10)).is_none());
        assert_eq!(
            wheel
                .expire(Instant::from_millis(3_000))
                .map(|(_, key)| key),
            Some('a')
        );
    }
}

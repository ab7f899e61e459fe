//! What became of the recent frames of one encoding.

use std::num::NonZeroU32;

use crate::limits::{DEPENDENCY_FRAMES, SPATIAL_LAYERS};

/// What became of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing of it has come.
    #[default]
    Unseen,
    /// Nothing of it has come, and something that passed leans on it: it will pass.
    Promised,
    /// It passes.
    Passes,
    /// It does not.
    LeftOut,
}

/// What of an encoding passes at a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Passing {
    /// The structure that it is meant by.
    pub(super) structure: u32,
    /// The decode target; none: it could not be read, and all passed.
    pub(super) target: Option<u8>,
    /// The highest spatial layer of it.
    pub(super) spatial: u8,
}

/// One frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) number: u64,
    /// Frames of one timestamp are one picture.
    pub(super) timestamp: u32,
    pub(super) fate: Fate,
    /// What passed then.
    pub(super) passing: Passing,
    /// What its packets tell the receiver of the active decode targets.
    pub(super) active: Option<NonZeroU32>,
}

impl Record {
    const fn is_decided(&self) -> bool {
        matches!(self.fate, Fate::Passes | Fate::LeftOut)
    }
}

/// The last [`DEPENDENCY_FRAMES`] frames by their unwrapped number.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    /// By number modulo its length; empty until it is needed.
    records: Box<[Record]>,
    newest: Option<u64>,
}

impl Window {
    /// The newest frame of which something was decided.
    pub(super) const fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// What is known of a frame.
    pub(super) fn get(&self, number: u64) -> Option<&Record> {
        let record = self.records.get(place(number))?;
        let is_it = record.number == number && record.fate != Fate::Unseen;
        (is_it && !self.is_forgotten(number)).then_some(record)
    }

    /// What became of a frame.
    pub(super) fn fate(&self, number: u64) -> Fate {
        self.get(number).map_or(Fate::Unseen, |record| record.fate)
    }

    /// It is older than all that is remembered.
    pub(super) fn is_forgotten(&self, number: u64) -> bool {
        let newest = self.newest.unwrap_or(number);
        number.saturating_add(DEPENDENCY_FRAMES) <= newest
    }

    /// The nearest frame before `number` of which something was decided.
    pub(super) fn before(&self, number: u64) -> Option<&Record> {
        let numbers = number.saturating_sub(DEPENDENCY_FRAMES)..number;
        let mut decided = numbers.rev().filter_map(|at| self.get(at));
        decided.find(|record| record.is_decided())
    }

    /// The frame by which one that comes late is judged: the nearest of its own picture, since the
    /// target may have changed where that was first seen, or else the nearest before it.
    pub(super) fn beside(&self, number: u64, timestamp: u32) -> Option<&Record> {
        let before = self.before(number);
        if before.is_some_and(|record| record.timestamp == timestamp) {
            return before;
        }
        let rest = number.saturating_add(1)..=number.saturating_add(SPATIAL_LAYERS as u64);
        let mut rest = rest.filter_map(|at| self.get(at));
        let after = rest.find(|record| record.is_decided() && record.timestamp == timestamp);
        after.or(before)
    }

    /// Writes down what was decided of a frame.
    pub(super) fn decide(&mut self, record: Record) {
        let number = record.number;
        self.newest = Some(self.newest.map_or(number, |newest| newest.max(number)));
        self.put(record);
    }

    /// Something that passes leans on this frame, which has not come.
    pub(super) fn promise(&mut self, number: u64) {
        if self.fate(number) == Fate::Unseen && !self.is_forgotten(number) {
            self.put(Record {
                number,
                fate: Fate::Promised,
                ..Record::default()
            });
        }
    }

    /// Forgets all frames.
    pub(super) fn clear(&mut self) {
        self.records.fill(Record::default());
        self.newest = None;
    }

    fn put(&mut self, record: Record) {
        if self.records.is_empty() {
            let records = (0..DEPENDENCY_FRAMES).map(|_| Record::default());
            self.records = records.collect();
        }
        if let Some(found) = self.records.get_mut(place(record.number)) {
            *found = record;
        }
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number % DEPENDENCY_FRAMES).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(number: u64) -> Record {
        Record {
            number,
            fate: Fate::Passes,
            ..Record::default()
        }
    }

    #[test]
    fn frames_too_long_ago_are_forgotten_and_leaps_leave_nothing_behind() {
        let mut window = Window::default();
        assert_eq!(window.fate(7), Fate::Unseen);
        window.decide(passes(1_000));
        window.decide(passes(1_255));
        assert_eq!(window.fate(1_000), Fate::Passes);
        window.decide(passes(1_256));
        assert_eq!(window.fate(1_000), Fate::Unseen);
        assert!(window.is_forgotten(1_000) && !window.is_forgotten(1_001));
        window.decide(passes(5_000));
        assert_eq!(window.fate(1_256), Fate::Unseen);
        assert!(window.before(5_000).is_none());
    }

    #[test]
    fn a_late_frame_stands_beside_its_own_picture_before_any_other() {
        let at = |number, timestamp| Record {
            timestamp,
            ..passes(number)
        };
        let mut window = Window::default();
        assert!(window.beside(10, 1).is_none());
        window.decide(at(9, 1));
        window.decide(at(12, 2));
        let beside = |window: &Window, number, timestamp| {
            window.beside(number, timestamp).map(|record| record.number)
        };
        assert_eq!(beside(&window, 10, 1), Some(9), "its own, before it");
        assert_eq!(beside(&window, 10, 2), Some(12), "its own, behind it");
        assert_eq!(beside(&window, 10, 3), Some(9), "none of its own");
        window.promise(11);
        assert_eq!(
            beside(&window, 10, 2),
            Some(12),
            "what was promised has not come"
        );
        window.decide(at(13, 3));
        assert_eq!(beside(&window, 10, 3), Some(13));
        assert_eq!(beside(&window, 8, 3), None, "no picture is so long");
    }

    #[test]
    fn a_promise_is_not_made_of_what_is_decided_or_forgotten() {
        let mut window = Window::default();
        window.decide(passes(1_000));
        window.promise(1_000);
        assert_eq!(window.fate(1_000), Fate::Passes);
        window.promise(999);
        assert_eq!(window.fate(999), Fate::Promised);
        assert!(window.before(1_000).is_none(), "it has not come");
        window.promise(700);
        assert_eq!(window.fate(700), Fate::Unseen);
        window.clear();
        assert_eq!((window.fate(1_000), window.newest()), (Fate::Unseen, None));
    }
}

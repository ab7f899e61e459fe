//! What became of the recent frames of one encoding: which were passed, which chains were whole
//! there, and who refers to whom.

use crate::limits::DEPENDENCY_FRAMES;

/// One frame.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry {
    /// It was passed, and the receiver has not said that it misses it.
    pub(super) passed: bool,
    /// Chains that were whole up to this frame, one bit each.
    pub(super) whole: u32,
    /// Frames it refers to: bit n for the one n + 1 before it, the last bit for all farther ones.
    pub(super) references: u64,
    /// What its packets tell the receiver of the active decode targets.
    pub(super) active: Option<u32>,
}

/// The last [`DEPENDENCY_FRAMES`] frames by their unwrapped number.
#[derive(Clone, Debug)]
pub(super) struct Window {
    entries: Box<[Option<Entry>]>,
    /// The one it began with.
    first: Option<u64>,
    newest: Option<u64>,
    newest_passed: Option<u64>,
}

impl Window {
    pub(super) fn new() -> Self {
        let entries = (0..DEPENDENCY_FRAMES).map(|_| None).collect();
        Self {
            entries,
            first: None,
            newest: None,
            newest_passed: None,
        }
    }

    /// Forgets all frames.
    pub(super) fn clear(&mut self) {
        self.entries.fill(None);
        self.first = None;
        self.newest = None;
        self.newest_passed = None;
    }

    /// What became of a frame; `None` where none of its packets was seen, or too long ago.
    pub(super) fn get(&self, number: u64) -> Option<&Entry> {
        if !self.holds(number) {
            return None;
        }
        self.entries.get(place(number))?.as_ref()
    }

    /// The frame a distance before `number`, if it was passed.
    pub(super) fn passed(&self, number: u64, distance: u16) -> Option<&Entry> {
        let number = number.checked_sub(u64::from(distance))?;
        self.get(number).filter(|entry| entry.passed)
    }

    /// Nothing newer was seen.
    pub(super) fn is_newest(&self, number: u64) -> bool {
        self.newest.is_none_or(|newest| number > newest)
    }

    /// Something newer was passed.
    pub(super) fn is_overtaken(&self, number: u64) -> bool {
        self.newest_passed.is_some_and(|newest| number < newest)
    }

    /// It is older than all that is remembered.
    pub(super) fn is_forgotten(&self, number: u64) -> bool {
        let kept = |newest: u64| number.saturating_add(DEPENDENCY_FRAMES) > newest;
        !self.newest.is_none_or(kept)
    }

    /// Writes down a frame.
    pub(super) fn put(&mut self, number: u64, entry: Entry) {
        let newest = self.newest.unwrap_or(number);
        // The places of the numbers that were jumped over hold frames of a lap ago.
        for skipped in (newest + 1..number).rev().take(self.entries.len()) {
            self.place(skipped, None);
        }
        self.first = self.first.or(Some(number));
        self.newest = Some(newest.max(number));
        if entry.passed {
            self.newest_passed = self.newest_passed.max(Some(number));
        }
        self.place(number, Some(entry));
    }

    /// No chain counts as whole any more.
    pub(super) fn break_chains(&mut self) {
        for entry in self.entries.iter_mut().flatten() {
            entry.whole = 0;
        }
    }

    /// The receiver misses a frame for good, and with it all that refer to it; whether
    /// `precious` is among them.
    pub(super) fn lose(&mut self, number: u64, precious: Option<u64>) -> bool {
        let (Some(first), Some(newest)) = (self.first, self.newest) else {
            return false;
        };
        if number < first {
            return false;
        }
        if self.is_forgotten(number) {
            // Who refers to it is not known any more.
            self.entries.fill(None);
            return true;
        }
        let mut hit = false;
        let mut lost = [0_u64; 4];
        for later in number..=newest {
            let distance = later - number;
            let refers = self.get(later).is_some_and(|entry| {
                entry.passed && (distance == 0 || refers(entry.references, distance, &lost))
            });
            if refers {
                mark(&mut lost, distance);
                if let Some(Some(entry)) = self.entries.get_mut(place(later)) {
                    entry.passed = false;
                }
                hit |= precious == Some(later);
            }
        }
        hit
    }

    fn holds(&self, number: u64) -> bool {
        self.newest.is_some_and(|newest| number <= newest) && !self.is_forgotten(number)
    }

    fn place(&mut self, number: u64, entry: Option<Entry>) {
        if let Some(found) = self.entries.get_mut(place(number)) {
            *found = entry;
        }
    }
}

/// References as [`Entry::references`] has them.
pub(super) fn references(frame_diffs: &[u16]) -> u64 {
    let bit = |&diff: &u16| 1_u64 << diff.saturating_sub(1).min(63);
    frame_diffs.iter().map(bit).fold(0, |all, bit| all | bit)
}

/// Whether a frame at `distance` from the first lost one refers to a lost one.
fn refers(references: u64, distance: u64, lost: &[u64; 4]) -> bool {
    (0..distance)
        .filter(|&at| is_marked(lost, at))
        .any(|at| references >> (distance - at - 1).min(63) & 1 != 0)
}

fn mark(lost: &mut [u64; 4], at: u64) {
    if let Some(word) = usize::try_from(at / 64)
        .ok()
        .and_then(|at| lost.get_mut(at))
    {
        *word |= 1 << (at % 64);
    }
}

fn is_marked(lost: &[u64; 4], at: u64) -> bool {
    let word = usize::try_from(at / 64).ok().and_then(|at| lost.get(at));
    word.is_some_and(|word| word >> (at % 64) & 1 != 0)
}

fn place(number: u64) -> usize {
    usize::try_from(number % DEPENDENCY_FRAMES).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames from 1,000 on that were passed, each with the distances to those it refers to.
    fn window(frames: &[&[u16]]) -> Window {
        let mut window = Window::new();
        for (frame_diffs, number) in frames.iter().zip(1_000..) {
            let entry = Entry {
                passed: true,
                references: references(frame_diffs),
                ..Entry::default()
            };
            window.put(number, entry);
        }
        window
    }

    fn passed(window: &Window) -> Vec<u64> {
        let numbers = 900..1_900;
        numbers
            .filter(|&number| window.passed(number, 0).is_some())
            .collect()
    }

    #[test]
    fn a_lost_frame_takes_along_what_refers_to_it_through_others_too() {
        let frames: &[&[u16]] = &[&[], &[1], &[2], &[2, 1], &[2], &[4]];
        let check = |lost: u64, left: &[u64]| {
            let mut window = window(frames);
            assert_eq!(window.lose(lost, Some(1_003)), !left.contains(&1_003));
            assert_eq!(passed(&window), left, "{lost}");
        };
        check(1_000, &[]);
        check(1_001, &[1_000, 1_002, 1_004]);
        check(1_002, &[1_000, 1_001, 1_005]);
        check(1_003, &[1_000, 1_001, 1_002, 1_004, 1_005]);
        // Of another rung, or not sent yet.
        check(999, &[1_000, 1_001, 1_002, 1_003, 1_004, 1_005]);
        check(1_006, &[1_000, 1_001, 1_002, 1_003, 1_004, 1_005]);
    }

    #[test]
    fn far_references_are_taken_for_all_that_is_far() {
        let mut frames: Vec<&[u16]> = vec![&[]; 100];
        frames[90] = &[70];
        frames[91] = &[63];
        let mut window = window(&frames);
        window.lose(1_010, None);
        let gone: Vec<u64> = (1_000..1_100)
            .filter(|number| !passed(&window).contains(number))
            .collect();
        // It refers to 1,020, which is as far as 1,010.
        assert_eq!(gone, [1_010, 1_090]);
        window.lose(1_028, None);
        assert!(window.passed(1_091, 0).is_none());
    }

    #[test]
    fn frames_too_long_ago_are_forgotten_and_leaps_leave_nothing_behind() {
        let mut window = window(&[&[], &[]]);
        let entry = Entry {
            passed: true,
            ..Entry::default()
        };
        window.put(1_200, entry);
        assert_eq!(passed(&window), [1_000, 1_001, 1_200]);
        window.put(1_256, entry);
        assert_eq!(passed(&window), [1_001, 1_200, 1_256]);
        assert!(window.is_forgotten(1_000) && !window.is_forgotten(1_001));
        assert!(window.is_overtaken(1_255) && !window.is_overtaken(1_257));
        assert!(window.is_newest(1_257) && !window.is_newest(1_256));
        window.put(1_800, entry);
        assert_eq!(passed(&window), [1_800]);
        // Who refers to what is forgotten nobody knows.
        assert!(window.lose(1_256, None));
        assert_eq!(passed(&window), []);
        window.clear();
        assert!(!window.lose(1_256, None));
    }
}

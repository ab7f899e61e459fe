//! Which numbers of a stream were seen, from 16 bits.

use std::collections::VecDeque;

/// Numbers remembered one by one; older ones are only counted.
const WINDOW: usize = 1 << 15;

/// What seeing a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// For the first time.
    New,
    /// Again, with the same bytes.
    Same,
    /// Again, with other bytes.
    Different,
}

/// The numbers of one stream.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// The number of the window's first place.
    start: u64,
    /// Digests, 0 where the number was not seen.
    window: VecDeque<u64>,
    /// Numbers from the first one to the newest.
    span: u64,
    count: u64,
}

impl Numbers {
    /// Packet `sequence` with this digest was seen.
    pub fn see(&mut self, sequence: u16, digest: u64) -> Verdict {
        let digest = digest.max(1);
        let number = self.unwrap(sequence);
        if self.window.is_empty() {
            self.start = number;
        }
        while number < self.start {
            self.window.push_front(0);
            self.start -= 1;
            self.span += 1;
        }
        let place = usize::try_from(number - self.start).unwrap_or(usize::MAX);
        while self.window.len() <= place {
            self.window.push_back(0);
            self.span += 1;
        }
        let verdict = match self.window.get_mut(place) {
            Some(seen) if *seen == 0 => {
                *seen = digest;
                self.count += 1;
                Verdict::New
            }
            Some(seen) if *seen == digest => Verdict::Same,
            Some(_) | None => Verdict::Different,
        };
        while self.window.len() > WINDOW {
            self.window.pop_front();
            self.start += 1;
        }
        verdict
    }

    /// Different numbers seen.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Numbers between the lowest and the newest that were not seen.
    #[must_use]
    pub const fn holes(&self) -> u64 {
        self.span - self.count
    }

    /// The first of them that are remembered one by one.
    pub fn missing(&self) -> impl Iterator<Item = u64> + '_ {
        let unseen = (self.start..)
            .zip(&self.window)
            .filter(|(_, digest)| **digest == 0);
        unseen.map(|(number, _)| number)
    }

    /// The newest number, extended.
    #[must_use]
    pub fn newest(&self) -> Option<u64> {
        (!self.window.is_empty()).then(|| self.start + self.window.len() as u64 - 1)
    }

    /// The number nearest to the newest one.
    #[must_use]
    pub fn unwrap(&self, sequence: u16) -> u64 {
        let Some(newest) = self.newest() else {
            return 0x1_0000 + u64::from(sequence);
        };
        let ahead = sequence.wrapping_sub((newest & 0xffff) as u16);
        if ahead < 0x8000 {
            newest + u64::from(ahead)
        } else {
            newest.saturating_sub(0x1_0000 - u64::from(ahead))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_counted_across_the_wrap() {
        let mut numbers = Numbers::default();
        for sequence in [65_533, 65_535, 1, 0, 65_534] {
            assert_eq!(numbers.see(sequence, 7), Verdict::New, "{sequence}");
        }
        assert_eq!((numbers.count(), numbers.holes()), (5, 0));
        numbers.see(4, 7);
        assert_eq!(numbers.holes(), 2);
        numbers.see(65_531, 7);
        assert_eq!(numbers.holes(), 3);
    }

    #[test]
    fn a_number_seen_again_is_the_same_or_a_different_packet() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.see(5, 7), Verdict::New);
        assert_eq!(numbers.see(5, 7), Verdict::Same);
        assert_eq!(numbers.see(5, 8), Verdict::Different);
    }
}

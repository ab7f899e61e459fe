//! What is remembered of one outgoing number, for late inputs and for repeats.
//!
//! In 24 bytes, since each packet writes one and the ring has left the cache when a subscriber's next
//! frame comes: numbers are kept by their low 32 bits (the ring is far shorter), times by the low 32
//! bits of their microseconds.

use crate::router::decode_target::FrameChange;
use crate::router::layers::Verdict;
use crate::time::{Duration, Instant};

/// One outgoing number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    number: u32,
    input: u32,
    /// Of the last answer, where `answers` is not 0.
    answered_at: u32,
    /// What its dependency descriptor told instead, where it is `NARROWED`.
    active_decode_targets: u32,
    frame_offset: u16,
    /// Pictures that were left out before it.
    pub(super) dropped: u16,
    pub(super) binding: u16,
    pub(super) answers: u8,
    facts: u8,
}

/// A packet went out under it.
const SENT: u8 = 1;
/// Nothing was sent but the number, of what had been left out.
const FILLING: u8 = 2;
/// It was given the marker.
const ENDS_PICTURE: u8 = 4;
/// The receiver was told of other decode targets.
const NARROWED: u8 = 8;

impl Sent {
    /// `number` is kept for `input`, or `is_sent`.
    pub(super) fn new(number: u64, input: u64, binding: u16, is_sent: bool) -> Self {
        Self {
            number: low_32(number),
            input: low_32(input),
            binding,
            facts: if is_sent { SENT } else { 0 },
            ..Self::default()
        }
    }

    /// Whether it is `number` that is remembered here.
    pub(super) const fn is(&self, number: u64) -> bool {
        self.number == low_32(number)
    }

    /// Whether it stands for `input`.
    pub(super) const fn is_of(&self, input: u64) -> bool {
        self.input == low_32(input)
    }

    /// The input it stands for, which is `highest` or before it.
    pub(super) const fn input(&self, highest: u64) -> u64 {
        highest.saturating_sub(low_32(highest).wrapping_sub(self.input) as u64)
    }

    pub(super) const fn is_sent(&self) -> bool {
        self.facts & SENT != 0
    }

    pub(super) const fn is_filling(&self) -> bool {
        self.facts & FILLING != 0
    }

    pub(super) const fn ends_picture(&self) -> bool {
        self.facts & ENDS_PICTURE != 0
    }

    /// What its dependency descriptor told instead.
    pub(super) fn change(&self) -> FrameChange {
        let is_narrowed = self.facts & NARROWED != 0;
        FrameChange {
            offset: self.frame_offset,
            active_decode_targets: is_narrowed.then_some(self.active_decode_targets),
        }
    }

    /// It is sent now; false where it was before.
    pub(super) const fn send(&mut self) -> bool {
        let is_first = !self.is_sent();
        self.facts |= SENT;
        is_first
    }

    /// A repeat of it shall be like it: as the verdict has it, or a filling.
    pub(super) fn note(&mut self, verdict: &Verdict, passes: bool) {
        let change = verdict.change;
        self.dropped = verdict.dropped;
        self.frame_offset = change.offset;
        self.active_decode_targets = change.active_decode_targets.unwrap_or(0);
        let fact = |is: bool, fact: u8| if is { fact } else { 0 };
        self.facts = (self.facts & SENT)
            | fact(!passes, FILLING)
            | fact(verdict.ends_picture, ENDS_PICTURE)
            | fact(change.active_decode_targets.is_some(), NARROWED);
    }

    /// It is asked for and answered.
    pub(super) const fn answer(&mut self, now: Instant) {
        self.answers = self.answers.saturating_add(1);
        self.answered_at = low_32(now.as_micros());
    }

    /// Whether it was answered less than `window` ago.
    pub(super) fn is_answered_within(&self, now: Instant, window: Duration) -> bool {
        let ago = low_32(now.as_micros()).wrapping_sub(self.answered_at);
        self.answers > 0 && Duration::from_micros(ago.into()) < window
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
const fn low_32(number: u64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_24_bytes_and_keeps_what_it_was_given() {
        assert_eq!(size_of::<Sent>(), 24);
        let high = 7 << 32;
        for (number, input, highest) in [
            (1 << 16, 0, 0),
            (high, high - 3, high + 2),
            (u64::from(u32::MAX), high - 1, high - 1),
        ] {
            let mut sent = Sent::new(number, input, 9, false);
            assert!(sent.is(number) && !sent.is(number + 1) && sent.is_of(input));
            assert_eq!(sent.input(highest), input);
            assert!(sent.send() && !sent.send() && sent.is_sent());
            for active in [None, Some(5)] {
                let change = FrameChange {
                    offset: 3,
                    active_decode_targets: active,
                };
                let verdict = Verdict {
                    passes: true,
                    ends_picture: true,
                    dropped: 11,
                    change,
                };
                sent.note(&verdict, true);
                assert_eq!((sent.change(), sent.dropped), (change, 11));
                assert!(sent.ends_picture() && !sent.is_filling() && sent.is_sent());
                sent.note(&Verdict::default(), false);
                assert!(!sent.ends_picture() && sent.is_filling() && sent.is_sent());
            }
        }
    }

    #[test]
    fn an_answer_is_recent_for_as_long_as_it_is_asked() {
        let window = Duration::from_millis(75);
        // The low half of the microseconds comes round in between.
        for at in [0, u64::from(u32::MAX) - 10_000] {
            let at = Instant::from_micros(at);
            let mut sent = Sent::new(1, 1, 0, true);
            assert!(!sent.is_answered_within(at, window));
            sent.answer(at);
            assert!(sent.is_answered_within(at + Duration::from_millis(74), window));
            assert!(!sent.is_answered_within(at + window, window));
        }
    }
}

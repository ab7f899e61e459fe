//! The receiver's clock, as transport-wide feedback tells it.

use crate::time::Instant;

/// A clock that differs by this from what it was, µs, for so many feedbacks, was set.
const JUMP: i64 = 400_000;
const JUMP_FEEDBACKS: u8 = 3;

/// Receiver's time, unwrapped from 24 bits of 64 ms.
#[derive(Debug, Default)]
pub(super) struct ReceiverClock {
    last: Option<(i32, i64)>,
    /// How far it is behind ours, µs, and for how many feedbacks it has been elsewhere.
    behind: Option<i64>,
    elsewhere: u8,
}

impl ReceiverClock {
    /// µs.
    pub(super) fn micros(&mut self, reference: i32) -> i64 {
        let unwrapped = match self.last {
            None => i64::from(reference),
            Some((before, at)) => {
                let step = (reference.wrapping_sub(before) << 8) >> 8;
                at + i64::from(step)
            }
        };
        self.last = Some((reference, unwrapped));
        unwrapped * 64_000
    }

    /// Whether somebody set it: no queue grows faster than time passes, and no feedback is late for
    /// long.
    pub(super) fn has_jumped(&mut self, now: Instant, base: i64) -> bool {
        let behind = i64::try_from(now.as_micros()).unwrap_or(i64::MAX) - base;
        let known = *self.behind.get_or_insert(behind);
        if (behind - known).abs() < JUMP {
            // Slowly, so that what drifts is followed.
            self.behind = Some(known + (behind - known) / 16);
            self.elsewhere = 0;
            return false;
        }
        self.elsewhere += 1;
        let has_jumped = self.elsewhere >= JUMP_FEEDBACKS;
        if has_jumped {
            self.behind = Some(behind);
            self.elsewhere = 0;
        }
        has_jumped
    }
}

//! How much is lost, and how much of that was lost before we sent this fast.
//!
//! Loss while no queue stands is the path's own (radio, a policer far below us): cutting the rate
//! would not mend it. Only loss beyond what the path showed by itself, in two windows on end, is
//! taken for a bottleneck without a buffer.

use crate::time::{Duration, Instant};

/// One window of counting.
const WINDOW: Duration = Duration::from_millis(500);
/// Fewer packets than this say nothing.
const PACKETS_MIN: u32 = 10;
/// Loss the path may have by itself; more is never taken for its own.
const INHERENT_MAX: f64 = 0.25;
/// Loss below this may be a full queue's, now and then.
const INHERENT_LITTLE: f64 = 0.03;
/// Beyond the path's own, this much in each of two windows is a bottleneck.
const EXCESS: f64 = 0.15;

/// Losses of one transport.
#[derive(Debug, Default)]
pub(super) struct Loss {
    told: u32,
    lost: u32,
    window_until: Instant,
    /// Of the last whole window.
    newest: f64,
    /// Slowly smoothed.
    inherent: f64,
    has_inherent: bool,
    excessive: u32,
    /// Told of and lost since they were last asked for.
    event: (u32, u32),
}

impl Loss {
    /// One packet was told of.
    pub(super) fn push(&mut self, is_lost: bool) {
        self.told = self.told.saturating_add(1);
        self.lost += u32::from(is_lost);
        let (told, lost) = &mut self.event;
        *told = told.saturating_add(1);
        *lost += u32::from(is_lost);
    }

    /// Whether packets were lost since this was last asked, more than the path loses anyhow.
    pub(super) fn take_event(&mut self) -> bool {
        let (told, lost) = std::mem::take(&mut self.event);
        let is_usual = self.inherent > INHERENT_LITTLE
            && f64::from(lost) < f64::from(told) * self.inherent * 2.0;
        lost > 0 && !is_usual
    }

    /// Closes a window where one ends; true where the loss of two on end is a bottleneck's. Where a
    /// buffer `overflows`, what was lost says nothing of the path's own.
    pub(super) fn settle(&mut self, now: Instant, overflows: bool) -> bool {
        if now < self.window_until || self.told < PACKETS_MIN {
            return false;
        }
        self.newest = f64::from(self.lost) / f64::from(self.told);
        (self.told, self.lost) = (0, 0);
        self.window_until = now + WINDOW;
        let own = if self.has_inherent {
            self.inherent.min(INHERENT_MAX)
        } else {
            0.0
        };
        let allowed = (own + EXCESS).max(INHERENT_MAX);
        self.excessive = if self.newest > allowed {
            self.excessive.saturating_add(1)
        } else {
            0
        };
        if overflows {
            // As it was.
        } else if self.has_inherent {
            self.inherent += (self.newest - self.inherent) * 0.1;
        } else {
            self.inherent = self.newest;
            self.has_inherent = true;
        }
        self.excessive >= 2
    }

    /// Lost of sent, smoothed over about five seconds: 0 to 1.
    pub(super) const fn fraction(&self) -> f64 {
        self.inherent
    }

    /// Forgets the path's own loss: the path is another.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows with this much loss of 100 packets, from `start`; whether any was excessive.
    fn windows(loss: &mut Loss, start: u64, lost: u32, count: u64) -> bool {
        let mut any = false;
        for window in start..start + count {
            for packet in 0..100 {
                loss.push(packet < lost);
            }
            any |= loss.settle(Instant::from_millis(1 + window * 501), false);
        }
        any
    }

    #[test]
    fn steady_loss_is_the_paths_own_and_a_leap_is_a_bottleneck() {
        let mut loss = Loss::default();
        assert!(!windows(&mut loss, 0, 20, 20));
        assert!((loss.fraction() - 0.2).abs() < 0.01);
        assert!(!windows(&mut loss, 20, 60, 1), "one window is chance");
        assert!(windows(&mut loss, 21, 60, 1));
        let mut shallow = Loss::default();
        assert!(windows(&mut shallow, 0, 50, 2));
    }

    #[test]
    fn what_a_full_buffer_loses_is_not_the_paths_own() {
        let mut loss = Loss::default();
        windows(&mut loss, 0, 1, 20);
        let before = loss.fraction();
        for window in 20..24 {
            for packet in 0..100 {
                loss.push(packet < 40);
            }
            loss.settle(Instant::from_millis(1 + window * 501), true);
        }
        assert!((loss.fraction() - before).abs() < 1e-9);
        windows(&mut loss, 24, 40, 1);
        assert!(loss.fraction() > before + 0.02);
    }
}

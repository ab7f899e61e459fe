//! Probes of an estimator: when one is sent, how fast, and what is made of what it found.

use super::{ANOTHER, Estimator, IDLE, YIELD};
use crate::time::{Duration, Instant};
use crate::transport::congestion::estimate::Cause;
use crate::transport::congestion::probe::{Found, Probe};

/// A probe follows the end of the last queue by this.
const CLEAR: Duration = Duration::from_secs(1);
/// And the probe before by this, where that one found more.
pub(super) const PROBE_EVERY: Duration = Duration::from_millis(1_000);
/// Else half as long again each time, up to this.
const PROBE_SELDOM: Duration = Duration::from_millis(2_000);
/// So many that could not be read in a row are chance.
const UNREAD: u8 = 2;
/// A probe leaps by no more than this.
const LEAP: f64 = 4.0;
/// A finding of more than this many times what the path carried when a queue last stood is asked for
/// twice.
const MUCH: f64 = 1.5;
/// And the second within this time, or it is another first one.
const DOUBTED: Duration = Duration::from_secs(2);

impl Estimator {
    pub(super) fn learn(&mut self, now: Instant, found: Option<Found>, is_queued: bool) {
        let before = self.target;
        self.probed_until = now + self.rtt + Duration::from_millis(100);
        if found.is_none() && !is_queued && self.unread < UNREAD {
            // Chance took too much of it to be read: nothing is known of the path by that.
            self.unread += 1;
            self.probe_at = now + self.rtt;
            let doubted = self.doubted.filter(|it| now.since(it.1) < DOUBTED);
            self.probe_next.extend(doubted.map(|it| it.0));
            return;
        }
        self.unread = 0;
        let mut wait = None;
        if let Some(found) = found {
            let rate = if found.is_saturated {
                found.rate * YIELD
            } else {
                found.rate
            };
            if rate > self.target && !is_queued {
                if self.is_hard_to_believe(now, rate) {
                    self.probe_next.push_front(rate);
                    return;
                }
                self.target = rate;
                self.cause = Cause::Growing;
                if self
                    .capacity
                    .is_some_and(|capacity| rate > capacity * (1.0 + ANOTHER))
                {
                    self.capacity = None;
                }
                // It went through whole: as soon as more is wanted that is asked for.
                wait = (!found.is_saturated).then_some(Duration::ZERO);
                // It is evidence: `stable` need not wait for more of it.
                self.lows.clear();
                if !found.is_saturated && self.probe_next.is_empty() && rate < self.wanted {
                    self.probe_next.push_back(rate * 2.0);
                }
            } else {
                self.doubted = None;
            }
        }
        if self.target > before * 1.1 {
            self.probe_wait = PROBE_EVERY;
        } else {
            self.probe_wait = (self.probe_wait * 3 / 2).min(PROBE_SELDOM);
        }
        self.probe_at = now + wait.unwrap_or(self.probe_wait);
    }

    /// A probe to send, if it is time for one.
    pub fn probe(&mut self, now: Instant) -> Option<Probe> {
        let is_idle = self.sent_at.is_none_or(|at| now.since(at) > IDLE);
        if is_idle {
            // Nothing is on its way, so nothing waits there: where all was paused nobody else
            // would say so.
            self.is_empty = true;
            self.owd.drain();
            self.cause = Cause::Unused;
        }
        if self.prober.is_busy() || self.wanted <= self.target {
            return None;
        }
        let media = if is_idle {
            0.0
        } else {
            self.acked.rate(Duration::from_millis(400)).unwrap_or(0.0)
        };
        if let Some(rate) = self.probe_next.pop_front() {
            let goal = rate.min((self.wanted * 1.2).max(self.target * 1.5));
            return Some(self.begin_probe(now, goal, media));
        }
        let is_clear = now.since(self.clear_since) > CLEAR && self.is_empty;
        // What is used and bounded by a queue grows by itself, and gently.
        let is_growing = self.capacity.is_some() && self.cause != Cause::Unused;
        if !is_clear || is_growing || now < self.probe_at || !self.is_heard {
            return None;
        }
        let goal = (self.wanted * 1.1).min(self.target * LEAP);
        Some(self.begin_probe(now, goal, media))
    }

    /// Whether a probe says much more than the path is known to carry, for the first time. A receiver
    /// that was busy for some milliseconds reads a probe faster than the link served it; that it does
    /// so twice in a row is another link.
    fn is_hard_to_believe(&mut self, now: Instant, rate: f64) -> bool {
        let is_much = self.capacity.is_some_and(|known| rate > known * MUCH);
        let was_doubted = self
            .doubted
            .take()
            .is_some_and(|it| now.since(it.1) < DOUBTED);
        self.doubted = (is_much && !was_doubted).then_some((rate, now));
        self.doubted.is_some()
    }

    fn begin_probe(&mut self, now: Instant, goal: f64, media: f64) -> Probe {
        let beside = (media, self.owd.noise());
        self.prober.begin(now, self.target, goal, beside, self.rtt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::congestion::START;

    const PRESSED: f64 = 1.5e6;

    /// A path that carried 500 kb/s when a queue last stood, a little of which is used.
    fn narrow() -> Estimator {
        let mut estimator = Estimator::new(Instant::ZERO, START);
        estimator.capacity = Some(500_000.0);
        estimator.target = 450_000.0;
        estimator.probe_next.clear();
        estimator
    }

    fn learn(estimator: &mut Estimator, rate: f64) -> f64 {
        learn_at(estimator, Instant::from_millis(1_000), rate)
    }

    fn learn_at(estimator: &mut Estimator, now: Instant, rate: f64) -> f64 {
        let found = Found {
            rate,
            is_saturated: false,
        };
        estimator.learn(now, Some(found), false);
        estimator.target
    }

    #[test]
    fn much_more_than_the_path_is_known_to_carry_has_to_be_found_twice_in_a_row() {
        let mut estimator = narrow();
        assert_eq!(learn(&mut estimator, PRESSED), 450_000.0, "not yet");
        assert_eq!(estimator.probe_next, [PRESSED], "it is asked again");
        estimator.probe_next.clear();
        assert_eq!(learn(&mut estimator, PRESSED), PRESSED);
        assert_eq!(estimator.capacity, None, "it is another link");
        assert_eq!(learn(&mut estimator, 3.0 * PRESSED), 3.0 * PRESSED);
    }

    #[test]
    fn a_second_probe_that_says_otherwise_ends_the_matter() {
        let mut estimator = narrow();
        learn(&mut estimator, PRESSED);
        assert_eq!(learn(&mut estimator, 400_000.0), 450_000.0);
        assert_eq!(learn(&mut estimator, PRESSED), 450_000.0, "the first again");
        assert_eq!(learn(&mut estimator, 520_000.0), 520_000.0, "a little more");
        assert_eq!(learn(&mut estimator, PRESSED), 520_000.0, "and again");
    }

    #[test]
    fn a_doubt_that_is_not_settled_in_time_is_forgotten() {
        let mut estimator = narrow();
        let first = Instant::from_millis(1_000);
        learn_at(&mut estimator, first, PRESSED);
        let late = learn_at(&mut estimator, first + DOUBTED, PRESSED);
        assert_eq!(late, 450_000.0, "the first of two again");
        let soon = first + DOUBTED + Duration::from_millis(500);
        assert_eq!(learn_at(&mut estimator, soon, PRESSED), PRESSED);
    }

    #[test]
    fn the_repeat_of_a_probe_in_doubt_that_cannot_be_read_is_sent_again_while_it_may_settle_it() {
        let mut estimator = narrow();
        let first = Instant::from_millis(1_000);
        learn_at(&mut estimator, first, PRESSED);
        estimator.probe_next.clear();
        estimator.learn(first + Duration::from_millis(300), None, false);
        assert_eq!(estimator.probe_next, [PRESSED], "asked for once more");
        estimator.probe_next.clear();
        estimator.learn(first + DOUBTED, None, false);
        assert!(estimator.probe_next.is_empty(), "it would settle nothing");
    }
}

//! What the receiver itself says that the path carries (REMB, draft-alvestrand-rmcat-remb-03): a
//! ceiling over our own estimate, and in place of it where the receiver tells nothing of single
//! packets. Said every second or so, it is believed for a few.

use super::{Cause, Estimate};
use crate::time::{Duration, Instant};
use crate::units::Bitrate;

/// Believed for so long: receivers repeat it at least each second, and some of it is lost.
const BELIEVED: Duration = Duration::from_secs(5);
/// Less is no estimate of a path that carries media at all.
const LEAST: Bitrate = Bitrate::from_kbps(30);
/// For going up the least of so long counts, as with our own.
const STABLE: Duration = Duration::from_millis(2_500);

/// What the receiver said.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ceiling {
    said: Option<(Instant, Bitrate)>,
    /// The lowest of late, and when it was said.
    low: Option<(Instant, Bitrate)>,
    now: Instant,
}

impl Ceiling {
    /// The receiver says `bitrate`.
    pub(crate) fn say(&mut self, now: Instant, bitrate: Bitrate) {
        self.tick(now);
        let bitrate = bitrate.max(LEAST);
        self.said = Some((now, bitrate));
        let holds = |&(at, low): &(Instant, Bitrate)| low <= bitrate && now.since(at) < STABLE;
        if !self.low.as_ref().is_some_and(holds) {
            self.low = Some((now, bitrate));
        }
    }

    /// It is so late now.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.now = now;
    }

    /// What is believed now: for going down, and for going up.
    fn believed(&self) -> Option<(Bitrate, Bitrate)> {
        let (at, fast) = self.said?;
        let stable = self.low.map_or(fast, |(_, low)| low.min(fast));
        (self.now.since(at) < BELIEVED).then_some((fast, stable))
    }

    /// `own` under the ceiling; the ceiling alone where there is no own.
    pub(crate) fn over(&self, own: Option<Estimate>, rtt: Duration) -> Option<Estimate> {
        let Some((fast, stable)) = self.believed() else {
            return own;
        };
        let Some(own) = own else {
            return Some(Estimate {
                fast,
                carried: fast,
                stable,
                queue: Duration::ZERO,
                ahead: Duration::ZERO,
                loss: 0.0,
                rtt,
                // The receiver's word for a full path.
                cause: Cause::Queue,
            });
        };
        Some(Estimate {
            fast: own.fast.min(fast),
            carried: own.carried.min(fast),
            stable: own.stable.min(stable),
            cause: if fast < own.fast {
                Cause::Queue
            } else {
                own.cause
            },
            ..own
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn own(kbps: u64) -> Estimate {
        Estimate {
            fast: Bitrate::from_kbps(kbps),
            carried: Bitrate::from_kbps(kbps),
            stable: Bitrate::from_kbps(kbps),
            queue: Duration::from_millis(3),
            ahead: Duration::from_millis(3),
            loss: 0.01,
            rtt: Duration::from_millis(40),
            cause: Cause::Growing,
        }
    }

    /// In kb/s: for going down, for going up.
    fn check(mut ceiling: Ceiling, now: u64, own: Option<Estimate>, expected: Option<(u64, u64)>) {
        ceiling.tick(at(now));
        let found = ceiling.over(own, Duration::from_millis(70));
        let found = found.map(|it| (it.fast.as_bps() / 1_000, it.stable.as_bps() / 1_000));
        assert_eq!(found, expected);
    }

    #[test]
    fn the_smaller_counts_and_the_ceiling_ages() {
        let mut ceiling = Ceiling::default();
        check(ceiling, 0, None, None);
        check(ceiling, 0, Some(own(500)), Some((500, 500)));
        ceiling.say(at(1_000), Bitrate::from_kbps(300));
        check(ceiling, 1_000, Some(own(500)), Some((300, 300)));
        check(ceiling, 1_000, Some(own(200)), Some((200, 200)));
        check(ceiling, 5_999, Some(own(500)), Some((300, 300)));
        check(ceiling, 6_000, Some(own(500)), Some((500, 500)));
        let limited = ceiling.over(Some(own(500)), Duration::ZERO);
        assert_eq!(limited.map(|it| it.cause), Some(Cause::Queue));
        let limited = ceiling.over(Some(own(200)), Duration::ZERO);
        assert_eq!(limited.map(|it| it.cause), Some(Cause::Growing));
    }

    #[test]
    fn alone_it_is_the_estimate_and_goes_up_by_the_least_of_late() {
        let mut ceiling = Ceiling::default();
        ceiling.say(at(0), Bitrate::from_bps(1));
        check(ceiling, 0, None, Some((30, 30)));
        for (now, said, expected) in [
            (1_000, 400, (400, 30)),
            (2_600, 900, (900, 900)),
            (3_000, 700, (700, 700)),
            (4_000, 800, (800, 700)),
            (5_600, 800, (800, 800)),
        ] {
            ceiling.say(at(now), Bitrate::from_kbps(said));
            check(ceiling, now, None, Some(expected));
        }
        check(ceiling, 10_600, None, None);
    }
}

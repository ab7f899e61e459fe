//! One direction of a virtual network path: when, whether and how often a datagram arrives.
//!
//! Everything is drawn from the link's own generator, in the order of sending, so a link repeats
//! itself from its seed whatever the rest of the world does.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sfu::time::{Duration, Instant};

/// A chance in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chance(pub u32);

impl Chance {
    /// `percent` of 100.
    #[must_use]
    pub const fn percent(percent: u32) -> Self {
        Self(percent.saturating_mul(10_000))
    }
}

/// Losses in bursts: a two-state chain, where the bad state loses everything (Gilbert 1960).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bursts {
    /// From good to bad, at each datagram.
    pub begin: Chance,
    /// From bad to good, at each datagram.
    pub end: Chance,
}

/// A bottleneck: serialization at a rate behind a queue that drops its tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bottleneck {
    /// Bits per second.
    pub bits_per_second: u64,
    /// Bytes that may wait.
    pub queue_bytes: u64,
}

/// What a link does to datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkParameters {
    /// Propagation.
    pub delay: Duration,
    /// Up to this much more for each datagram; order is kept.
    pub jitter: Duration,
    /// Independent losses.
    pub loss: Chance,
    /// Losses in bursts.
    pub bursts: Option<Bursts>,
    /// Overtaken: comes `reorder_by` later than its turn.
    pub reorder: Chance,
    /// How much later.
    pub reorder_by: Duration,
    /// Arrives twice.
    pub duplicate: Chance,
    /// Rate and queue, where there is a bottleneck.
    pub bottleneck: Option<Bottleneck>,
}

impl LinkParameters {
    /// A clean link with this delay.
    #[must_use]
    pub fn with_delay(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::default()
        }
    }
}

/// What became of the datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Handed in.
    pub sent: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Dropped at the queue's tail.
    pub overflowed: u64,
    /// Arrived twice.
    pub duplicated: u64,
    /// Were overtaken.
    pub reordered: u64,
}

/// The arrivals of one datagram: none, one, or two.
pub type Arrivals = [Option<Instant>; 2];

/// One direction of a path.
#[derive(Debug)]
pub struct Link {
    parameters: LinkParameters,
    chance: ChaCha8Rng,
    bad: bool,
    cut: bool,
    idle_at: Instant,
    newest_arrival: Instant,
    stats: LinkStats,
}

impl Link {
    /// A link that repeats itself from `seed`.
    #[must_use]
    pub fn new(parameters: LinkParameters, seed: u64) -> Self {
        Self {
            parameters,
            chance: ChaCha8Rng::seed_from_u64(seed),
            bad: false,
            cut: false,
            idle_at: Instant::ZERO,
            newest_arrival: Instant::ZERO,
            stats: LinkStats::default(),
        }
    }

    /// Behaves differently from now on.
    pub const fn set_parameters(&mut self, parameters: LinkParameters) {
        self.parameters = parameters;
    }

    /// Loses everything, or no more.
    pub const fn set_cut(&mut self, cut: bool) {
        self.cut = cut;
    }

    /// What became of the datagrams so far.
    #[must_use]
    pub const fn stats(&self) -> LinkStats {
        self.stats
    }

    /// A datagram of `bytes` sets out: when it arrives.
    pub fn send(&mut self, now: Instant, bytes: usize) -> Arrivals {
        self.stats.sent += 1;
        // Every draw is made for every datagram, so that one fate never shifts the next one's.
        let lost = self.draw(self.parameters.loss) | self.draw_burst() | self.cut;
        let late = self.draw(self.parameters.reorder);
        let twice = self.draw(self.parameters.duplicate);
        let jitter = self.draw_up_to(self.parameters.jitter);
        let Some(leaves_at) = self.serialize(now, bytes) else {
            self.stats.overflowed += 1;
            return [None, None];
        };
        if lost {
            self.stats.lost += 1;
            return [None, None];
        }
        let mut arrival = leaves_at + self.parameters.delay + jitter;
        if late {
            self.stats.reordered += 1;
            arrival += self.parameters.reorder_by;
        } else {
            arrival = arrival.max(self.newest_arrival);
            self.newest_arrival = arrival;
        }
        let again = twice.then(|| arrival + Duration::from_micros(100));
        self.stats.duplicated += u64::from(twice);
        [Some(arrival), again]
    }

    fn draw(&mut self, chance: Chance) -> bool {
        self.chance.next_u32() % 1_000_000 < chance.0
    }

    fn draw_burst(&mut self) -> bool {
        let Some(bursts) = self.parameters.bursts else {
            return false;
        };
        let turn = if self.bad { bursts.end } else { bursts.begin };
        self.bad ^= self.draw(turn);
        self.bad
    }

    fn draw_up_to(&mut self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        let drawn = self.chance.next_u64();
        Duration::from_micros(drawn.checked_rem(micros).unwrap_or(0))
    }

    /// When its last bit has left, or nothing where the queue is full.
    fn serialize(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let Some(bottleneck) = self.parameters.bottleneck else {
            return Some(now);
        };
        let rate = bottleneck.bits_per_second.max(1);
        let waiting_micros = self.idle_at.since(now).as_micros();
        let waiting_bytes = waiting_micros * u128::from(rate) / 8_000_000;
        let bits = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(8);
        if waiting_bytes + u128::from(bits / 8) > u128::from(bottleneck.queue_bytes) {
            return None;
        }
        let takes = Duration::from_micros(bits.saturating_mul(1_000_000) / rate);
        self.idle_at = self.idle_at.max(now) + takes;
        Some(self.idle_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: LinkParameters = LinkParameters {
        delay: Duration::from_millis(50),
        jitter: Duration::ZERO,
        loss: Chance(0),
        bursts: None,
        reorder: Chance(0),
        reorder_by: Duration::from_millis(20),
        duplicate: Chance(0),
        bottleneck: None,
    };

    /// Sends `count` datagrams of 1,000 bytes, one each millisecond.
    fn run(parameters: LinkParameters, count: u64) -> (Vec<Arrivals>, LinkStats) {
        let mut link = Link::new(parameters, 11);
        let arrivals = (0..count)
            .map(|i| link.send(Instant::from_millis(i), 1_000))
            .collect();
        (arrivals, link.stats())
    }

    #[test]
    fn a_clean_link_only_delays() {
        let (arrivals, _) = run(CLEAN, 100);
        for (sent, arrival) in (0..).zip(arrivals) {
            assert_eq!(arrival, [Some(Instant::from_millis(sent + 50)), None]);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_arrivals() {
        let rough = LinkParameters {
            jitter: Duration::from_millis(7),
            loss: Chance::percent(5),
            bursts: Some(Bursts {
                begin: Chance::percent(1),
                end: Chance::percent(30),
            }),
            reorder: Chance::percent(3),
            duplicate: Chance::percent(2),
            ..CLEAN
        };
        assert_eq!(run(rough, 2_000), run(rough, 2_000));
    }

    #[test]
    fn losses_duplicates_and_reordering_come_as_often_as_asked() {
        let (_, stats) = run(
            LinkParameters {
                loss: Chance::percent(5),
                reorder: Chance::percent(10),
                duplicate: Chance::percent(2),
                ..CLEAN
            },
            100_000,
        );
        assert!((4_700..5_300).contains(&stats.lost), "{stats:?}");
        assert!((9_200..9_800).contains(&stats.reordered), "{stats:?}");
        assert!((1_750..2_050).contains(&stats.duplicated), "{stats:?}");
    }

    #[test]
    fn bursts_lose_neighbours() {
        let bursts = Some(Bursts {
            begin: Chance::percent(1),
            end: Chance::percent(20),
        });
        let (arrivals, stats) = run(LinkParameters { bursts, ..CLEAN }, 100_000);
        // Stationary share of the bad state is 1 / (1 + 20); a burst is five long on average.
        assert!((4_000..5_500).contains(&stats.lost), "{stats:?}");
        let begins = arrivals
            .windows(2)
            .filter(|pair| pair[0][0].is_some() && pair[1][0].is_none());
        let mean = stats.lost as f64 / begins.count() as f64;
        assert!((4.0..6.0).contains(&mean), "{mean}");
    }

    #[test]
    fn jitter_keeps_the_order_and_reordering_does_not() {
        let in_order = |parameters| {
            let (arrivals, _) = run(parameters, 5_000);
            arrivals.iter().flatten().flatten().is_sorted()
        };
        let jitter = Duration::from_millis(30);
        assert!(in_order(LinkParameters { jitter, ..CLEAN }));
        assert!(!in_order(LinkParameters {
            reorder: Chance::percent(1),
            ..CLEAN
        }));
    }

    #[test]
    fn a_bottleneck_spaces_datagrams_and_drops_the_tail() {
        // 1,000 bytes each millisecond are 8 Mb/s; 4 Mb/s pass, the queue holds five.
        let bottleneck = Some(Bottleneck {
            bits_per_second: 4_000_000,
            queue_bytes: 5_000,
        });
        let (arrivals, stats) = run(
            LinkParameters {
                bottleneck,
                ..CLEAN
            },
            1_000,
        );
        assert!((480..500).contains(&stats.overflowed), "{stats:?}");
        let times: Vec<_> = arrivals.iter().filter_map(|arrival| arrival[0]).collect();
        assert!(
            times
                .windows(2)
                .all(|pair| pair[1].since(pair[0]) == Duration::from_millis(2))
        );
    }

    #[test]
    fn a_cut_link_loses_everything_until_it_is_mended() {
        let mut link = Link::new(CLEAN, 3);
        link.set_cut(true);
        assert_eq!(link.send(Instant::ZERO, 100), [None, None]);
        link.set_cut(false);
        assert_eq!(
            link.send(Instant::ZERO, 100),
            [Some(Instant::from_millis(50)), None]
        );
    }
}

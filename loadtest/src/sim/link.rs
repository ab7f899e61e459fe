//! One direction of a virtual network path: when, whether and how often a datagram arrives.
//!
//! A datagram's fate follows from the link's seed, what the datagram is, and, for jitter, when it
//! was sent: not from what was sent before it. So a link repeats itself from its seed, even where
//! two datagrams of one moment change places (the robots' stack serves its streams in the order of
//! its hash maps, which the process draws). Bursts and bottlenecks have a memory, by nature.

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
    /// DTLS is only delayed. When a lost flight is repeated is drawn by the library, which no seed
    /// reaches: a scene that is to repeat itself exactly loses none.
    pub spares_dtls: bool,
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
    seed: u64,
    bad: bool,
    cut: bool,
    idle_at: Instant,
    newest_arrival: Instant,
    waited: Duration,
    stats: LinkStats,
}

impl Link {
    /// A link that repeats itself from `seed`.
    #[must_use]
    pub fn new(parameters: LinkParameters, seed: u64) -> Self {
        Self {
            parameters,
            seed,
            bad: false,
            cut: false,
            idle_at: Instant::ZERO,
            newest_arrival: Instant::ZERO,
            waited: Duration::ZERO,
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

    /// The longest that anything has waited in the queue since this was asked last.
    pub const fn take_waited(&mut self) -> Duration {
        std::mem::replace(&mut self.waited, Duration::ZERO)
    }

    /// A DTLS record sets out, as [`Link::send`] has it or, where the link spares them, unharmed.
    pub fn send_dtls(&mut self, now: Instant, bytes: usize, identity: u64) -> Arrivals {
        if self.parameters.spares_dtls && !self.cut {
            self.stats.sent += 1;
            return [Some(now + self.parameters.delay), None];
        }
        self.send(now, bytes, identity)
    }

    /// A datagram of `bytes` sets out: when it arrives. `identity` tells it from all others.
    pub fn send(&mut self, now: Instant, bytes: usize, identity: u64) -> Arrivals {
        self.stats.sent += 1;
        let mut dice = Dice(mixed(self.seed ^ mixed(identity)));
        let bursts = self.parameters.bursts;
        let lost = dice.draw(self.parameters.loss)
            | bursts.is_some_and(|bursts| self.draw_burst(bursts, &mut dice))
            | self.cut;
        let late = dice.draw(self.parameters.reorder);
        let twice = dice.draw(self.parameters.duplicate);
        let jitter = Dice(mixed(self.seed ^ now.as_micros())).up_to(self.parameters.jitter);
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

    fn draw_burst(&mut self, bursts: Bursts, dice: &mut Dice) -> bool {
        let turn = if self.bad { bursts.end } else { bursts.begin };
        self.bad ^= dice.draw(turn);
        self.bad
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
        self.waited = self.waited.max(self.idle_at.since(now));
        self.idle_at = self.idle_at.max(now) + takes;
        Some(self.idle_at)
    }
}

/// The draws of one datagram.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    fn draw(&mut self, chance: Chance) -> bool {
        self.next() % 1_000_000 < u64::from(chance.0)
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.next().checked_rem(micros).unwrap_or(0))
    }
}

/// Every bit of the input changes every bit of the output (the finalizer of SplitMix64).
const fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
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
        spares_dtls: false,
    };

    /// Sends `count` datagrams of 1,000 bytes, one each millisecond.
    fn run(parameters: LinkParameters, count: u64) -> (Vec<Arrivals>, LinkStats) {
        let mut link = Link::new(parameters, 11);
        let arrivals = (0..count)
            .map(|i| link.send(Instant::from_millis(i), 1_000, i))
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
    fn it_tells_how_long_the_queue_has_been() {
        let bottleneck = Some(Bottleneck {
            bits_per_second: 8_000_000,
            queue_bytes: 5_000,
        });
        let parameters = LinkParameters {
            bottleneck,
            ..CLEAN
        };
        let mut link = Link::new(parameters, 1);
        for identity in 0..4 {
            link.send(Instant::ZERO, 1_000, identity);
        }
        assert_eq!(link.take_waited(), Duration::from_millis(3));
        link.send(Instant::from_millis(2), 1_000, 9);
        assert_eq!(link.take_waited(), Duration::from_millis(2));
    }

    #[test]
    fn a_cut_link_loses_everything_until_it_is_mended() {
        let mut link = Link::new(CLEAN, 3);
        link.set_cut(true);
        assert_eq!(link.send(Instant::ZERO, 100, 1), [None, None]);
        link.set_cut(false);
        assert_eq!(
            link.send(Instant::ZERO, 100, 1),
            [Some(Instant::from_millis(50)), None]
        );
    }
}

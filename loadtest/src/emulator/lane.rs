//! One direction of an emulated link: a queue that drops its tail, served at a rate, before the
//! simulator's own [`Link`] of delay, loss, bursts, jitter and reordering.
//!
//! The queue is kept here and not in the link, because a rate that changes changes the fate of what
//! waits already: half a buffer at 2 Mb/s is a long time at 0.6.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use sfu::time::{Duration, Instant};

use super::order::{Buffer, Setting};
use crate::sim::link::{Link, LinkParameters};

/// IPv4 and UDP headers of each datagram: the wire carries them too.
pub const HEADERS: usize = 28;
/// Bytes that may wait, whatever the buffer says: 30 s at 2 Mb/s.
const QUEUE_BYTES_MAX: u64 = 8 << 20;
/// Datagrams on their way behind the queue: 10,000 a second for 6 s.
const UNDERWAY_MAX: usize = 65_536;

/// What became of the datagrams of a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct LaneStats {
    /// Handed in.
    pub sent: u64,
    /// Their bytes, with headers.
    pub sent_bytes: u64,
    /// Lost by chance, or while the link was cut.
    pub lost: u64,
    /// Dropped at the queue's tail.
    pub overflowed: u64,
    /// Arrived.
    pub delivered: u64,
    /// Bytes that arrived, with headers.
    pub delivered_bytes: u64,
    /// The longest queue since the last look.
    pub queue_ms_max: u64,
}

/// One direction of a link; `T` goes through it.
#[derive(Debug)]
pub struct Lane<T> {
    /// Bits per second; none: everything passes at once.
    rate: Option<u64>,
    buffer: Buffer,
    parameters: LinkParameters,
    link: Link,
    queue: VecDeque<Waiting<T>>,
    queue_bytes: u64,
    /// Bits that the first of the queue still needs at `at`.
    head_bits: f64,
    at: Instant,
    underway: BinaryHeap<Reverse<Underway<T>>>,
    count: u64,
    stats: LaneStats,
}

#[derive(Debug)]
struct Waiting<T> {
    bytes: u64,
    what: T,
}

#[derive(Debug)]
struct Underway<T> {
    arrives: Instant,
    /// Those of one moment keep their order.
    number: u64,
    bytes: u64,
    what: T,
}

impl<T> PartialEq for Underway<T> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl<T> Eq for Underway<T> {}
impl<T> PartialOrd for Underway<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Underway<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.arrives, self.number).cmp(&(other.arrives, other.number))
    }
}

impl<T: Clone> Lane<T> {
    /// A lane that only passes on, and repeats itself from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let parameters = LinkParameters::default();
        Self {
            rate: None,
            buffer: Buffer::default(),
            parameters,
            link: Link::new(parameters, seed),
            queue: VecDeque::new(),
            queue_bytes: 0,
            head_bits: 0.0,
            at: Instant::ZERO,
            underway: BinaryHeap::new(),
            count: 0,
            stats: LaneStats::default(),
        }
    }

    /// Behaves differently from `now` on, towards what waits too.
    pub fn set(&mut self, now: Instant, setting: Setting) {
        self.serve(now);
        let parameters = &mut self.parameters;
        match setting {
            Setting::Rate(rate) => self.rate = rate,
            Setting::Buffer(buffer) => self.buffer = buffer,
            Setting::Delay(delay) => parameters.delay = delay,
            Setting::Jitter(jitter) => parameters.jitter = jitter,
            Setting::Loss(loss) => parameters.loss = loss,
            Setting::Bursts(bursts) => parameters.bursts = bursts,
            Setting::Reorder { chance, by } => {
                parameters.reorder = chance;
                parameters.reorder_by = by;
            }
            Setting::Duplicate(duplicate) => parameters.duplicate = duplicate,
            Setting::Cut(cut) => self.link.set_cut(cut),
        }
        self.link.set_parameters(self.parameters);
        // Without a rate nothing waits any more.
        self.serve(now);
    }

    /// A datagram of `length` payload bytes sets out.
    pub fn send(&mut self, now: Instant, length: usize, what: T) {
        self.serve(now);
        self.stats.sent += 1;
        let bytes = u64::try_from(length.saturating_add(HEADERS)).unwrap_or(u64::MAX);
        self.stats.sent_bytes += bytes;
        if self.rate.is_none() {
            self.leave(now, Waiting { bytes, what });
            return;
        }
        if self.queue_bytes.saturating_add(bytes) > self.room() {
            self.stats.overflowed += 1;
            return;
        }
        if self.queue.is_empty() {
            self.head_bits = bits(bytes);
        }
        self.queue_bytes += bytes;
        self.queue.push_back(Waiting { bytes, what });
        let wait = u64::try_from(self.wait().as_millis()).unwrap_or(u64::MAX);
        self.stats.queue_ms_max = self.stats.queue_ms_max.max(wait);
    }

    /// What has arrived by `now`, one after the other.
    pub fn poll(&mut self, now: Instant) -> Option<(Instant, T)> {
        self.serve(now);
        let first = self.underway.peek()?;
        if first.0.arrives > now {
            return None;
        }
        let Reverse(arrived) = self.underway.pop()?;
        self.stats.delivered += 1;
        self.stats.delivered_bytes += arrived.bytes;
        Some((arrived.arrives, arrived.what))
    }

    /// When to look again, without anything having been sent.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        let arrives = self.underway.peek().map(|first| first.0.arrives);
        let leaves = self.head_leaves_at();
        match (arrives, leaves) {
            (Some(arrives), Some(leaves)) => Some(arrives.min(leaves)),
            (one, other) => one.or(other),
        }
    }

    /// What became of the datagrams; the longest queue is counted anew.
    pub fn take_stats(&mut self) -> LaneStats {
        let link = self.link.stats();
        let stats = LaneStats {
            lost: link.lost,
            ..self.stats
        };
        self.stats.queue_ms_max = 0;
        stats
    }

    /// How long one handed in now would wait.
    fn wait(&self) -> Duration {
        let Some(rate) = self.rate else {
            return Duration::ZERO;
        };
        let behind = self.queue_bytes - self.queue.front().map_or(0, |head| head.bytes);
        Duration::from_secs_f64((bits(behind) + self.head_bits) / per_second(rate))
    }

    /// Bytes that may wait.
    fn room(&self) -> u64 {
        let bytes = match (self.buffer, self.rate) {
            (Buffer::Bytes(bytes), _) => bytes,
            (Buffer::Time(_), None) => QUEUE_BYTES_MAX,
            (Buffer::Time(time), Some(rate)) => {
                let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                millis.saturating_mul(rate) / 8_000
            }
        };
        bytes.min(QUEUE_BYTES_MAX)
    }

    fn head_leaves_at(&self) -> Option<Instant> {
        self.queue.front()?;
        let Some(rate) = self.rate else {
            return Some(self.at);
        };
        let takes = Duration::from_secs_f64(self.head_bits / per_second(rate));
        // Rounded up: at that moment it has left.
        Some(self.at + takes + Duration::from_micros(1))
    }

    /// Lets time pass.
    fn serve(&mut self, now: Instant) {
        while let Some(leaves) = self.head_leaves_at() {
            if leaves > now {
                let rate = self.rate.map_or(0.0, per_second);
                let served = rate * now.since(self.at).as_secs_f64();
                self.head_bits = (self.head_bits - served).max(0.0);
                break;
            }
            let Some(head) = self.queue.pop_front() else {
                break;
            };
            self.at = leaves;
            self.queue_bytes -= head.bytes;
            self.head_bits = self.queue.front().map_or(0.0, |next| bits(next.bytes));
            self.leave(leaves, head);
        }
        self.at = self.at.max(now);
    }

    fn leave(&mut self, now: Instant, waiting: Waiting<T>) {
        self.count += 1;
        let bytes = usize::try_from(waiting.bytes).unwrap_or(usize::MAX);
        let arrivals = self.link.send(now, bytes, self.count);
        for arrives in arrivals.into_iter().flatten() {
            if self.underway.len() >= UNDERWAY_MAX {
                self.stats.overflowed += 1;
                continue;
            }
            self.underway.push(Reverse(Underway {
                arrives,
                number: self.count,
                bytes: waiting.bytes,
                what: waiting.what.clone(),
            }));
        }
    }
}

/// Bits of so many bytes.
fn bits(bytes: u64) -> f64 {
    // Queues are bounded far below what an f64 counts exactly.
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) * 8.0
}

/// A rate as a divisor; a rate of nothing is one bit a second, so that nothing divides by zero.
fn per_second(rate: u64) -> f64 {
    f64::from(u32::try_from(rate).unwrap_or(u32::MAX)).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::link::{Bursts, Chance};

    /// Sends `count` datagrams of 1,000 wire bytes, one each `every` ms, with these settings at
    /// these moments; when which arrive.
    fn run(count: u64, every: u64, settings: &[(u64, Setting)]) -> (Vec<(u64, u64)>, LaneStats) {
        let mut lane = Lane::new(11);
        let mut arrivals = Vec::new();
        let mut settings = settings.iter().peekable();
        for millis in 0..count * every + 20_000 {
            let now = Instant::from_millis(millis);
            while let Some((_, setting)) = settings.next_if(|(at, _)| *at <= millis) {
                lane.set(now, *setting);
            }
            if millis % every == 0 && millis / every < count {
                lane.send(now, 1_000 - HEADERS, millis / every);
            }
            while let Some((at, number)) = lane.poll(now) {
                arrivals.push((number, at.as_micros() / 1_000));
            }
        }
        (arrivals, lane.take_stats())
    }

    const fn rate(kbps: u64) -> Setting {
        Setting::Rate(Some(kbps * 1_000))
    }

    #[test]
    fn a_lane_without_settings_passes_everything_at_once() {
        let (arrivals, stats) = run(100, 1, &[]);
        assert!(arrivals.iter().all(|(number, at)| number == at));
        assert_eq!((stats.delivered, stats.delivered_bytes), (100, 100_000));
    }

    #[test]
    fn a_rate_spaces_datagrams_with_their_headers_and_the_buffer_drops_the_tail() {
        // 8 Mb/s come for a second, 4 Mb/s pass; 100 ms of those wait: 50,000 bytes.
        let buffer = Setting::Buffer(Buffer::Time(Duration::from_millis(100)));
        let (arrivals, stats) = run(1_000, 1, &[(0, rate(4_000)), (0, buffer)]);
        assert_eq!(stats.delivered + stats.overflowed, 1_000);
        assert!((545..=552).contains(&stats.delivered), "{stats:?}");
        assert!((98..=100).contains(&stats.queue_ms_max), "{stats:?}");
        let last = arrivals.last().expect("some arrive").1;
        assert!((1_090..=1_105).contains(&last), "{last}");
    }

    #[test]
    fn what_waits_when_the_rate_falls_leaves_at_the_new_rate() {
        // 50 datagrams at once are 400,000 bits: 200 ms at 2 Mb/s. After 100 ms half is left.
        let mut ends = Vec::new();
        for later in [
            None,
            Some((100, rate(500))),
            Some((100, Setting::Rate(None))),
        ] {
            let mut lane = Lane::new(1);
            lane.set(Instant::ZERO, rate(2_000));
            lane.set(Instant::ZERO, Setting::Buffer(Buffer::Bytes(60_000)));
            for number in 0..50 {
                lane.send(Instant::ZERO, 1_000 - HEADERS, number);
            }
            if let Some((at, setting)) = later {
                lane.set(Instant::from_millis(at), setting);
            }
            let end = std::iter::from_fn(|| lane.poll(Instant::from_millis(10_000)))
                .map(|(at, _)| at.as_millis());
            ends.push(end.max());
        }
        assert_eq!(ends, [Some(200), Some(500), Some(100)]);
    }

    #[test]
    fn next_at_finds_every_arrival_to_the_microsecond() {
        let mut lane = Lane::new(5);
        lane.set(Instant::ZERO, rate(700));
        lane.set(Instant::ZERO, Setting::Delay(Duration::from_millis(30)));
        for number in 0..20 {
            lane.send(Instant::ZERO, 333, number);
        }
        let mut seen = 0;
        while let Some(at) = lane.next_at() {
            while let Some((arrived, number)) = lane.poll(at) {
                assert_eq!((arrived, number), (at, seen));
                seen += 1;
            }
        }
        assert_eq!(seen, 20);
    }

    #[test]
    fn losses_bursts_and_reordering_come_as_asked() {
        let (_, stats) = run(20_000, 1, &[(0, Setting::Loss(Chance::percent(10)))]);
        assert!((1_850..2_150).contains(&stats.lost), "{stats:?}");
        let bursts = Bursts {
            begin: Chance::percent(1),
            end: Chance::percent(20),
        };
        let (_, stats) = run(20_000, 1, &[(0, Setting::Bursts(Some(bursts)))]);
        assert!((700..1_250).contains(&stats.lost), "{stats:?}");
        let reorder = Setting::Reorder {
            chance: Chance::percent(2),
            by: Duration::from_millis(20),
        };
        let (arrivals, stats) = run(5_000, 1, &[(0, reorder)]);
        assert_eq!(stats.delivered, 5_000);
        let overtaken = arrivals.windows(2).filter(|pair| pair[0].0 > pair[1].0);
        assert!((60..140).contains(&overtaken.count()));
    }

    #[test]
    fn a_cut_lane_loses_all_until_it_is_mended() {
        let cut = [(10, Setting::Cut(true)), (20, Setting::Cut(false))];
        let (arrivals, stats) = run(30, 1, &cut);
        let numbers: Vec<u64> = arrivals.into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, (0..10).chain(20..30).collect::<Vec<_>>());
        assert_eq!(stats.lost, 10);
    }
}

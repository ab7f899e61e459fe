//! What a run has to say: latency, loss, CPU; for people and, as one line of JSON, for machines.

use std::fmt;

use serde_json::{Value, json};
use sfu::time::Duration;

use crate::robot::Robot;

/// Buckets of a histogram: 0 to 2^32 µs in steps of about 9 %.
const BUCKETS: usize = 8 * 33;

/// Durations, counted in buckets that grow with the value: eight for each doubling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: Duration,
}

impl Histogram {
    /// One more.
    pub fn add(&mut self, duration: Duration) {
        if self.counts.is_empty() {
            self.counts = vec![0; BUCKETS];
        }
        if let Some(count) = self.counts.get_mut(bucket(duration)) {
            *count += 1;
        }
        self.total += 1;
        self.longest = self.longest.max(duration);
    }

    /// All of another's.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.is_empty() {
            self.counts = vec![0; BUCKETS];
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }

    /// How many.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.total
    }

    /// The longest of all.
    #[must_use]
    pub const fn longest(&self) -> Duration {
        self.longest
    }

    /// The value that `per_mille` of 1,000 do not exceed, to about 9 %; zero where there is none.
    #[must_use]
    pub fn quantile(&self, per_mille: u64) -> Duration {
        let rank = (self.total * per_mille).div_ceil(1_000).max(1);
        let mut below = 0;
        for (index, count) in self.counts.iter().enumerate() {
            below += count;
            if below >= rank {
                return upper_bound(index).min(self.longest);
            }
        }
        self.longest
    }

    /// The same, as if what fell into one bucket lay evenly in it: for differences that are smaller
    /// than a bucket.
    #[must_use]
    pub fn quantile_within(&self, per_mille: u64) -> Duration {
        let rank = (self.total * per_mille).div_ceil(1_000).max(1);
        let (mut below, mut lower) = (0, Duration::ZERO);
        for (index, &count) in self.counts.iter().enumerate() {
            let upper = upper_bound(index);
            if below + count >= rank {
                let part = (rank - below) as f64 / count as f64;
                let width = upper.min(self.longest).saturating_sub(lower);
                return lower + width.mul_f64(part);
            }
            (below, lower) = (below + count, upper);
        }
        self.longest
    }
}

/// What a load run has to say.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Rooms.
    pub rooms: u32,
    /// Participants in all rooms.
    pub participants: u32,
    /// How long media flowed.
    pub seconds: f64,
    /// From the first signal to ICE and DTLS.
    pub connected: Histogram,
    /// From making to arrival of each packet.
    pub latency: Histogram,
    /// Between two decoded frames of a video: the longest for each.
    pub freezes: Histogram,
    /// Media packets received.
    pub packets: u64,
    /// Frames received whole.
    pub frames: u64,
    /// Frames of which something is missing.
    pub frames_lost: u64,
    /// Payloads that did not arrive as somebody made them.
    pub spoiled: u64,
    /// Participants that did not connect, or gave up.
    pub failures: Vec<String>,
    /// CPU the server used, where its process is known.
    pub server_cpu: Option<Duration>,
    /// CPU this process used.
    pub own_cpu: Duration,
}

impl Report {
    /// What one robot has seen.
    pub fn add(&mut self, robot: &Robot, joined_after: Duration) {
        self.connected.add(joined_after);
        self.spoiled += robot.receiver().spoiled();
        for received in robot.receiver().sources().values() {
            self.latency.merge(&received.latency);
            self.freezes.add(received.freeze_max);
            self.packets += received.packets;
            self.frames += received.frames;
            self.frames_lost += received.frames_lost();
        }
    }

    /// Microseconds of the server's CPU for each packet delivered.
    #[must_use]
    pub fn cpu_per_packet(&self) -> Option<f64> {
        let cpu = self.server_cpu.filter(|_| self.packets > 0)?;
        Some(cpu.as_secs_f64() * 1e6 / self.packets as f64)
    }

    /// The same as one line for machines.
    #[must_use]
    pub fn json(&self) -> Value {
        let quantiles = |histogram: &Histogram| {
            let micros = |per_mille| histogram.quantile(per_mille).as_micros();
            json!({
                "count": histogram.count(),
                "p50_us": micros(500),
                "p95_us": micros(950),
                "p99_us": micros(990),
                "p999_us": micros(999),
                "max_us": histogram.longest().as_micros(),
            })
        };
        json!({
            "rooms": self.rooms,
            "participants": self.participants,
            "seconds": self.seconds,
            "connected": quantiles(&self.connected),
            "latency": quantiles(&self.latency),
            "freezes": quantiles(&self.freezes),
            "packets": self.packets,
            "frames": self.frames,
            "frames_lost": self.frames_lost,
            "spoiled": self.spoiled,
            "failures": self.failures,
            "server_cpu_s": self.server_cpu.map(|it| it.as_secs_f64()),
            "server_cpu_us_per_packet": self.cpu_per_packet(),
            "own_cpu_s": self.own_cpu.as_secs_f64(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, name: &str, it: &Histogram| {
            let ms = |per_mille| it.quantile(per_mille).as_secs_f64() * 1e3;
            writeln!(
                f,
                "{name:<12} p50 {:>9.3} ms   p95 {:>9.3} ms   p99 {:>9.3} ms   max {:>9.3} ms   ({})",
                ms(500),
                ms(950),
                ms(990),
                it.longest().as_secs_f64() * 1e3,
                it.count()
            )
        };
        writeln!(
            f,
            "{} participants in {} rooms, {:.1} s",
            self.participants, self.rooms, self.seconds
        )?;
        line(f, "connected", &self.connected)?;
        line(f, "latency", &self.latency)?;
        line(f, "freeze", &self.freezes)?;
        writeln!(
            f,
            "packets      {} ({:.0}/s), frames {} whole, {} not, {} payloads spoiled",
            self.packets,
            self.packets as f64 / self.seconds.max(1e-3),
            self.frames,
            self.frames_lost,
            self.spoiled
        )?;
        if let Some(cpu) = self.server_cpu {
            let share = cpu.as_secs_f64() / self.seconds.max(1e-3) * 100.0;
            let each = self.cpu_per_packet().unwrap_or(0.0);
            writeln!(
                f,
                "server CPU   {:.2} s, {share:.0} % of a core, {each:.2} us a packet delivered",
                cpu.as_secs_f64()
            )?;
        }
        writeln!(f, "own CPU      {:.2} s", self.own_cpu.as_secs_f64())?;
        self.failures
            .iter()
            .try_for_each(|failure| writeln!(f, "failed       {failure}"))
    }
}

/// What a process holds and has used, from `/proc`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Time on CPUs, of all threads there are.
    pub cpu: Duration,
    /// Resident memory.
    pub resident_bytes: u64,
    /// Open descriptors.
    pub descriptors: usize,
}

impl Process {
    /// Looks at a process; `None` where it is not there.
    #[must_use]
    pub fn look(pid: u32) -> Option<Self> {
        let folder = std::path::PathBuf::from(format!("/proc/{pid}"));
        let tasks = std::fs::read_dir(folder.join("task")).ok()?;
        let nanos = tasks.filter_map(|task| {
            // Kernel's Documentation/scheduler/sched-stats: time on the CPU, in ns, comes first.
            let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        });
        let cpu = Duration::from_nanos(nanos.sum());
        let status = std::fs::read_to_string(folder.join("status")).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|it| it.split_whitespace().next()?.parse::<u64>().ok());
        let descriptors = std::fs::read_dir(folder.join("fd")).map_or(0, Iterator::count);
        Some(Self {
            cpu,
            resident_bytes: kib.unwrap_or(0) * 1_024,
            descriptors,
        })
    }

    /// This process.
    #[must_use]
    pub fn own() -> Self {
        Self::look(std::process::id()).unwrap_or_default()
    }
}

/// Three bits behind the leading one choose among eight buckets of a doubling.
fn bucket(duration: Duration) -> usize {
    let micros = u64::try_from(duration.as_micros())
        .unwrap_or(u64::MAX)
        .max(8);
    let exponent = micros.ilog2();
    let fraction = (micros >> (exponent - 3)) & 7;
    let index = u64::from(exponent - 3) * 8 + fraction;
    usize::try_from(index).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

fn upper_bound(index: usize) -> Duration {
    let (exponent, fraction) = (index / 8, index as u64 % 8);
    Duration::from_micros((((8 + fraction + 1) << exponent.min(40)) - 1).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_ninth() {
        let mut histogram = Histogram::default();
        for micros in 1..=10_000 {
            histogram.add(Duration::from_micros(micros));
        }
        for (per_mille, micros) in [(500, 5_000.0), (950, 9_500.0), (10, 100.0)] {
            let ratio = histogram.quantile(per_mille).as_micros() as f64 / micros;
            assert!((0.99..1.13).contains(&ratio), "{per_mille}: {ratio}");
        }
        assert_eq!(histogram.quantile(1_000), Duration::from_micros(10_000));
        for (per_mille, micros) in [(500, 5_000.0), (515, 5_150.0), (10, 100.0)] {
            let ratio = histogram.quantile_within(per_mille).as_micros() as f64 / micros;
            assert!((0.99..1.01).contains(&ratio), "{per_mille}: {ratio}");
        }
    }

    #[test]
    fn merged_histograms_count_as_one() {
        let (mut left, mut right, mut both) = (
            Histogram::default(),
            Histogram::default(),
            Histogram::default(),
        );
        for millis in 0..200 {
            let duration = Duration::from_millis(millis);
            if millis % 3 == 0 {
                left.add(duration);
            } else {
                right.add(duration);
            }
            both.add(duration);
        }
        left.merge(&right);
        assert_eq!(left, both);
    }

    #[test]
    fn an_empty_histogram_says_zero_and_a_huge_value_fits() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(500), Duration::ZERO);
        histogram.add(Duration::from_secs(100_000));
        assert_eq!(histogram.count(), 1);
    }
}

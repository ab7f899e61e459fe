//! What a run has to say: latency, loss, CPU; for people and, as one line of JSON, for machines.

use sfu::time::Duration;

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

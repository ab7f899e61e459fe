//! What arrived per second, by the receiver's clock.

use std::collections::VecDeque;

use crate::time::Duration;

/// Arrivals kept: half a second of 5,000 packets a second; the oldest leave.
const KEPT: usize = 2_560;
/// How far back a rate may look.
const REACH: i64 = 500_000;

/// Arrivals of the last half second.
#[derive(Debug, Default)]
pub(super) struct Acked {
    /// Receiver's time in µs, bytes.
    arrivals: VecDeque<(i64, u32)>,
}

impl Acked {
    /// A packet arrived at the receiver's time `at` (µs).
    pub(super) fn push(&mut self, at: i64, bytes: u32) {
        // Overtaken ones are put where they belong, near the end.
        let later = self
            .arrivals
            .iter()
            .rev()
            .take_while(|(time, _)| *time > at);
        let place = self.arrivals.len() - later.count();
        self.arrivals.insert(place, (at, bytes));
        let newest = self.arrivals.back().map_or(at, |(time, _)| *time);
        while self.arrivals.len() > KEPT
            || self
                .arrivals
                .front()
                .is_some_and(|(time, _)| newest - time > REACH)
        {
            self.arrivals.pop_front();
        }
    }

    /// Bits per second over the last `window`, or over what there is, if that is at least a third
    /// of it. The bytes of the first packet came before its time and do not count.
    pub(super) fn rate(&self, window: Duration) -> Option<f64> {
        let (newest, _) = self.arrivals.back()?;
        let window = i64::try_from(window.as_micros()).unwrap_or(REACH);
        let opens = newest - window;
        let (mut bytes, mut first, mut size) = (0.0, *newest, 0.0);
        for (time, arrived) in self.arrivals.iter().rev() {
            if *time < opens {
                // The window opens in the gap before `first`: that part of its bytes is in it.
                #[expect(clippy::cast_precision_loss, reason = "spans of half a second")]
                let part = (first - opens) as f64 / (first - time).max(1) as f64;
                bytes += size * part;
                first = opens;
                break;
            }
            bytes += size;
            (first, size) = (*time, f64::from(*arrived));
        }
        let span = newest - first;
        if span * 3 < window {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "spans of half a second")]
        Some(bytes * 8e6 / span as f64)
    }

    /// Forgets all: the path is another.
    pub(super) fn clear(&mut self) {
        self.arrivals.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_window() {
        let mut acked = Acked::default();
        assert!(acked.rate(Duration::from_millis(150)).is_none());
        // 1,250 bytes each 10 ms are 1 Mb/s; then each 20 ms: a half.
        for at in 0..50 {
            acked.push(at * 10_000, 1_250);
        }
        let rate = acked.rate(Duration::from_millis(150));
        assert!(
            rate.is_some_and(|rate| (rate - 1e6).abs() < 1e3),
            "{rate:?}"
        );
        for at in 1..=10 {
            acked.push(490_000 + at * 20_000, 1_250);
        }
        let rate = acked.rate(Duration::from_millis(150));
        assert!(
            rate.is_some_and(|rate| (rate - 0.5e6).abs() < 5e4),
            "{rate:?}"
        );
        // An overtaken packet changes nothing but the sum.
        acked.push(600_000, 1_250);
        assert!(acked.rate(Duration::from_millis(150)).is_some());
    }
}

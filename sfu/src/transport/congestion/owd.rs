//! One-way delay above its floor: how long packets wait in queues.
//!
//! The two clocks are not aligned, so only differences mean anything: the floor is the least delay
//! of the last ten seconds (two buckets of five, so that it forgets in steps and costs nothing).

use crate::time::{Duration, Instant};

/// A bucket of the floor.
const BUCKET: Duration = Duration::from_secs(5);

/// Jitter beyond this is looked through, µs.
const NOISE_HIGH: f64 = 6_000.0;
/// Packets that tell a queue from jitter.
const ENOUGH: u32 = 8;
/// Packets of which one has not waited behind another by chance.
const FEW: u32 = 3;

/// Queueing delay, µs.
#[derive(Debug, Default)]
pub(super) struct Owd {
    /// Least delay of the bucket before, and of this one, µs.
    floors: [Option<i64>; 2],
    bucket_until: Instant,
    /// Smoothed spread of the delay inside one feedback: jitter that no queue of ours makes.
    noise: f64,
    /// The newest feedbacks, newest first.
    recent: [Batch; 6],
    /// The least and the last queueing delay of the newest feedback.
    least: i64,
    last: i64,
}

/// Delays taken together.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Batch {
    count: u32,
    least: i64,
    last: i64,
    rises: i64,
    falls: i64,
}

impl Batch {
    /// One packet's delay, µs by two clocks.
    pub(super) fn push(&mut self, delay: i64) {
        if self.count == 0 {
            self.least = delay;
        } else {
            let step = delay - self.last;
            self.rises += step.max(0);
            self.falls -= step.min(0);
        }
        self.least = self.least.min(delay);
        self.last = delay;
        self.count += 1;
    }

    /// Nothing in it.
    pub(super) const fn is_empty(self) -> bool {
        self.count == 0
    }

    /// What came before, then what came after.
    fn join(self, after: Self) -> Self {
        if self.count == 0 || after.count == 0 {
            return if self.count == 0 { after } else { self };
        }
        Self {
            count: self.count + after.count,
            least: self.least.min(after.least),
            last: after.last,
            rises: self.rises + after.rises,
            falls: self.falls + after.falls,
        }
    }
}

impl Owd {
    /// Takes a feedback's delays in.
    #[expect(clippy::cast_precision_loss, reason = "delays, far below 2^52 µs")]
    pub(super) fn push(&mut self, now: Instant, batch: Batch) {
        if batch.count == 0 {
            return;
        }
        if now >= self.bucket_until {
            self.bucket_until = now + BUCKET;
            self.floors[0] = self.floors[1].take();
        }
        let least = self.floors[1].map_or(batch.least, |floor| floor.min(batch.least));
        self.floors[1] = Some(least);
        // Feedbacks of few packets say little each: the newest ones together, up to enough.
        self.recent.rotate_right(1);
        self.recent[0] = batch;
        let mut window = Batch::default();
        let mut least = i64::MAX;
        for batch in self.recent.into_iter().take_while(|batch| batch.count > 0) {
            // Through jitter a queue shows only in what even the luckiest of many packets waited.
            if window.count < FEW || self.noise >= NOISE_HIGH {
                least = least.min(batch.least);
            }
            if window.count < ENOUGH {
                window = batch.join(window);
            }
        }
        let floor = self.floor();
        self.least = least - floor;
        self.last = window.last - floor;
        if window.count >= ENOUGH {
            // A queue that fills or drains goes one way; what goes to and fro is noise.
            let to_and_fro = window.rises.min(window.falls) as f64;
            let amount = to_and_fro / f64::from(window.count).sqrt();
            self.noise += (amount - self.noise) * 0.1;
        }
    }

    /// The floor stays what it was: what is measured now has somebody's queue in it.
    pub(super) fn hold(&mut self, now: Instant) {
        self.bucket_until = self.bucket_until.max(now + BUCKET);
    }

    /// The least delay of late, µs by two clocks; zero before anything came.
    pub(super) fn floor(&self) -> i64 {
        let [before, this] = self.floors;
        match (before, this) {
            (Some(before), Some(this)) => before.min(this),
            (one, other) => one.or(other).unwrap_or(0),
        }
    }

    /// The least queueing delay of the newest feedback, µs: what even the luckiest packet waited.
    #[expect(clippy::cast_precision_loss, reason = "delays, far below 2^52 µs")]
    pub(super) fn queue(&self) -> f64 {
        self.least.max(0) as f64
    }

    /// The queueing delay of the last packet told of, µs.
    #[expect(clippy::cast_precision_loss, reason = "delays, far below 2^52 µs")]
    pub(super) fn last(&self) -> f64 {
        self.last.max(0) as f64
    }

    /// Jitter that is not a queue's, µs.
    pub(super) const fn noise(&self) -> f64 {
        self.noise
    }

    /// Nothing is on its way any more, and so nothing waits.
    pub(super) fn drain(&mut self) {
        (self.least, self.last) = (0, 0);
        self.recent = Default::default();
    }

    /// Forgets the floor: the path is another.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(delays: &[i64]) -> Batch {
        let mut batch = Batch::default();
        for delay in delays {
            batch.push(*delay);
        }
        batch
    }

    #[test]
    fn a_queue_is_seen_above_the_floor_and_noise_is_told_from_it() {
        let mut owd = Owd::default();
        owd.push(
            Instant::from_millis(100),
            batch(&[5_000, 5_100, 5_000, 5_100]),
        );
        assert!(owd.queue() < 1.0);
        for at in [200, 300] {
            let rising = [15_000, 18_000, 21_000, 24_000];
            owd.push(Instant::from_millis(at), batch(&rising));
        }
        assert!((owd.queue() - 10_000.0).abs() < 1.0);
        assert!((owd.last() - 19_000.0).abs() < 1.0);
        assert!(owd.noise() < 100.0, "{}", owd.noise());
        for at in 3..40 {
            let noisy = [5_000, 30_000, 6_000, 20_000, 9_000, 33_000];
            owd.push(Instant::from_millis(at * 100), batch(&noisy));
        }
        assert!(owd.noise() > 10_000.0, "{}", owd.noise());
        // The floor rises once its buckets have passed.
        for at in 40..200 {
            owd.push(Instant::from_millis(at * 100), batch(&[40_000, 40_000]));
        }
        assert!(owd.queue() < 1.0, "{}", owd.queue());
    }
}

//! How often a message of each kind may come from one socket: token buckets that start full.

use std::time::Duration;

use tokio::time::Instant;

use super::incoming::Incoming;
use crate::limits::{COMMANDS_PER_SECOND, DATA_PER_SECOND, NEGOTIATIONS_PER_SECOND};
use crate::status::{Failure, Reason};

/// So many, then one every `interval`.
#[derive(Debug)]
struct Bucket {
    burst: u32,
    interval: Duration,
    left: u32,
    filled_at: Instant,
}

impl Bucket {
    fn new(per_second: u32, now: Instant) -> Self {
        Self {
            burst: per_second,
            interval: Duration::from_secs(1) / per_second,
            left: per_second,
            filled_at: now,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.filled_at);
        let grown = since.as_nanos() / self.interval.as_nanos().max(1);
        let grown = u32::try_from(grown).unwrap_or(u32::MAX);
        if grown >= self.burst - self.left {
            self.left = self.burst;
            self.filled_at = now;
        } else {
            self.left += grown;
            self.filled_at += self.interval * grown;
        }
        let taken = self.left > 0;
        self.left = self.left.saturating_sub(1);
        taken
    }
}

/// The buckets of one socket.
#[derive(Debug)]
pub(super) struct Rates {
    negotiations: Bucket,
    commands: Bucket,
    data: Bucket,
    others: Bucket,
}

impl Rates {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            negotiations: Bucket::new(NEGOTIATIONS_PER_SECOND, now),
            commands: Bucket::new(COMMANDS_PER_SECOND, now),
            data: Bucket::new(DATA_PER_SECOND, now),
            others: Bucket::new(COMMANDS_PER_SECOND, now),
        }
    }

    /// # Errors
    /// `LIMIT_EXCEEDED`: the message is not acted on.
    pub(super) fn check(&mut self, message: &Incoming, now: Instant) -> Result<(), Failure> {
        let (bucket, kind) = match message {
            Incoming::Description(_) => (&mut self.negotiations, "descriptions"),
            Incoming::Data(_) => (&mut self.data, "data messages"),
            Incoming::Tracks(_)
            | Incoming::Mute(_)
            | Incoming::Subscribe(_)
            | Incoming::Restart => (&mut self.commands, "commands"),
            // Candidates come in bursts and cost nothing.
            Incoming::Nothing | Incoming::Leave => return Ok(()),
            Incoming::Join(_) => (&mut self.others, "joins"),
        };
        if bucket.take(now) {
            return Ok(());
        }
        let why = format!("too many {kind}: at most {} a second", bucket.burst);
        Err(Failure::new(Reason::LimitExceeded, why))
    }

    /// Something unreadable came.
    pub(super) fn check_garbage(&mut self, now: Instant) -> bool {
        self.others.take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bucket_gives_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, start);
        assert_eq!((0..20).filter(|_| bucket.take(start)).count(), 10);
        let later = start + Duration::from_millis(250);
        assert_eq!((0..20).filter(|_| bucket.take(later)).count(), 2);
        // Half an interval was left over and is not lost.
        let later = start + Duration::from_millis(300);
        assert_eq!((0..20).filter(|_| bucket.take(later)).count(), 1);
        let later = start + Duration::from_secs(60);
        assert_eq!((0..20).filter(|_| bucket.take(later)).count(), 10);
    }
}

//! How often a message of each kind may come from one socket: token buckets that start full.

use std::time::Duration;

use tokio::time::Instant;

use super::incoming::Incoming;
use crate::limits::{
    COMMANDS_PER_SECOND, DATA_BYTES_PER_SECOND, DATA_PER_SECOND, LOOKS_PER_SECOND,
    NEGOTIATIONS_PER_SECOND, PINGS_PER_SECOND, REQUESTS_PER_SECOND, TOKENS_PER_SECOND,
    UPDATES_PER_SECOND,
};
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
        self.take_many(1, now)
    }

    fn take_many(&mut self, count: u32, now: Instant) -> bool {
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
        let left = self.left.checked_sub(count);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

/// The buckets of one socket.
#[derive(Debug)]
pub(super) struct Rates {
    negotiations: Bucket,
    commands: Bucket,
    data: Bucket,
    data_bytes: Bucket,
    others: Bucket,
    looks: Bucket,
    updates: Bucket,
    requests: Bucket,
    tokens: Bucket,
    pings: Bucket,
}

impl Rates {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            negotiations: Bucket::new(NEGOTIATIONS_PER_SECOND, now),
            commands: Bucket::new(COMMANDS_PER_SECOND, now),
            data: Bucket::new(DATA_PER_SECOND, now),
            data_bytes: Bucket::new(DATA_BYTES_PER_SECOND, now),
            others: Bucket::new(COMMANDS_PER_SECOND, now),
            looks: Bucket::new(LOOKS_PER_SECOND, now),
            updates: Bucket::new(UPDATES_PER_SECOND, now),
            requests: Bucket::new(REQUESTS_PER_SECOND, now),
            tokens: Bucket::new(TOKENS_PER_SECOND, now),
            pings: Bucket::new(PINGS_PER_SECOND, now),
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
            Incoming::Join(_) | Incoming::Resume(_) => (&mut self.others, "joins"),
            Incoming::Look(_) => (&mut self.looks, "looks"),
            Incoming::Update(_) => (&mut self.updates, "updates"),
            Incoming::Command(_) => (&mut self.requests, "commands of the API"),
            Incoming::Token(_) => (&mut self.tokens, "tokens"),
            Incoming::Ping => (&mut self.pings, "pings"),
        };
        if bucket.take(now) {
            return self.check_bytes(message, now);
        }
        let why = format!("too many {kind}: at most {} a second", bucket.burst);
        Err(Failure::new(Reason::LimitExceeded, why))
    }

    fn check_bytes(&mut self, message: &Incoming, now: Instant) -> Result<(), Failure> {
        let Incoming::Data(data) = message else {
            return Ok(());
        };
        let bytes = u32::try_from(data.payload.get().len()).unwrap_or(u32::MAX);
        if self.data_bytes.take_many(bytes, now) {
            return Ok(());
        }
        let why = format!("too much data: at most {DATA_BYTES_PER_SECOND} bytes a second");
        Err(Failure::new(Reason::LimitExceeded, why))
    }

    /// Something unreadable came.
    pub(super) fn check_garbage(&mut self, now: Instant) -> bool {
        self.others.take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::super::incoming;
    use super::*;

    #[tokio::test]
    async fn data_is_counted_by_its_bytes_too() {
        let start = Instant::now();
        let mut rates = Rates::new(start);
        let payload = "x".repeat(64 << 10);
        let text = format!(r#"{{"type":"data","topic":"a","payload":"{payload}"}}"#);
        let message = incoming::read(&text).unwrap();
        let passed = |rates: &mut Rates, at| {
            (0..20)
                .filter(|_| rates.check(&message, at).is_ok())
                .count()
        };
        assert_eq!(passed(&mut rates, start), 7);
        let later = start + Duration::from_secs(60);
        assert_eq!(passed(&mut rates, later), 7);
    }

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

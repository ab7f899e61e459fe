//! A link that many flows share: a rate that changes, a queue that drops its tail, loss and jitter.

use fastrand::Rng;
use sfu::time::{Duration, Instant};

/// Loss on the way, before the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Losses {
    /// None.
    #[default]
    None,
    /// Each packet by itself, of one.
    Random(f64),
    /// In bursts of `mean` packets, together this part of one.
    Bursts {
        /// Of all packets.
        part: f64,
        /// Packets of a burst.
        mean: f64,
    },
}

/// What the link is like.
#[derive(Clone, Debug)]
pub struct Bottleneck {
    /// Rates, bits per second, from these moments on.
    pub rates: Vec<(Instant, f64)>,
    /// Bytes that may wait.
    pub buffer: f64,
    /// Loss before the queue.
    pub losses: Losses,
    /// Up to this much more delay behind the queue; order is kept.
    pub jitter: Duration,
}

/// The link at work.
#[derive(Debug)]
pub struct Queue {
    link: Bottleneck,
    /// Bytes that wait, at `at`.
    backlog: f64,
    at: Instant,
    newest_arrival: Instant,
    is_bad: bool,
    random: Rng,
}

impl Queue {
    /// An empty one.
    #[must_use]
    pub fn new(link: Bottleneck, seed: u64) -> Self {
        Self {
            link,
            backlog: 0.0,
            at: Instant::ZERO,
            newest_arrival: Instant::ZERO,
            is_bad: false,
            random: Rng::with_seed(seed),
        }
    }

    /// From `now` on the link is another; what waits goes on waiting.
    pub fn change(&mut self, now: Instant, link: Bottleneck) {
        self.serve(now);
        self.link = link;
    }

    /// What waits is gone, as when a radio is.
    pub fn empty(&mut self, now: Instant) {
        self.serve(now);
        self.backlog = 0.0;
    }

    /// Bits per second at `now`.
    #[must_use]
    pub fn rate(&self, now: Instant) -> f64 {
        let rates = self.link.rates.iter().rev();
        let mut current = rates.filter(|(from, _)| *from <= now);
        current.next().map_or(f64::MAX, |(_, rate)| *rate)
    }

    /// How long a byte handed in now would wait.
    pub fn wait(&mut self, now: Instant) -> Duration {
        self.serve(now);
        Duration::from_secs_f64(self.backlog * 8.0 / self.rate(now))
    }

    /// Lets time pass; steps are short against those of the rate.
    fn serve(&mut self, now: Instant) {
        let served = self.rate(now) * now.since(self.at).as_secs_f64() / 8.0;
        self.backlog = (self.backlog - served).max(0.0);
        self.at = now;
    }

    fn is_lost(&mut self) -> bool {
        match self.link.losses {
            Losses::None => false,
            Losses::Random(part) => self.random.f64() < part,
            Losses::Bursts { part, mean } => {
                let end = 1.0 / mean;
                let begin = end * part / (1.0 - part);
                let chance = if self.is_bad { end } else { begin };
                if self.random.f64() < chance {
                    self.is_bad = !self.is_bad;
                }
                self.is_bad
            }
        }
    }

    /// Hands a packet in; when it leaves the link, if it does.
    pub fn push(&mut self, now: Instant, bytes: u32) -> Option<Instant> {
        self.serve(now);
        if self.is_lost() || self.backlog + f64::from(bytes) > self.link.buffer {
            return None;
        }
        self.backlog += f64::from(bytes);
        let waits = Duration::from_secs_f64(self.backlog * 8.0 / self.rate(now));
        let jitter = self.link.jitter.mul_f64(self.random.f64());
        self.newest_arrival = self.newest_arrival.max(now + waits + jitter);
        Some(self.newest_arrival)
    }
}

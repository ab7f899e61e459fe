//! Flows on one link, played through, and what can be read off afterwards.

use sfu::time::{Duration, Instant};

use super::bottleneck::{Bottleneck, Queue};
use super::sender::{Part, Record, Sender};

/// A step of time.
pub(super) const STEP: Duration = Duration::from_micros(500);
/// A sample of what cannot be read from packets.
const SAMPLE: Duration = Duration::from_millis(10);

/// Sampled each 10 ms.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When.
    pub at: Instant,
    /// The link's, bits per second.
    pub capacity: f64,
    /// Seconds that a byte handed in would wait.
    pub queue: f64,
    /// `fast` of each flow, bits per second.
    pub targets: Vec<f64>,
}

/// A scene that was played.
pub struct Played {
    /// Each 10 ms.
    pub samples: Vec<Sample>,
    /// All packets of each flow.
    pub flows: Vec<Record>,
}

/// Plays flows on a link for so long.
#[must_use]
pub fn play(link: Bottleneck, parts: &[Part], lasts: Duration, seed: u64) -> Played {
    let mut queue = Queue::new(link, seed);
    let mut flows: Vec<Sender> = (0_u64..)
        .zip(parts)
        .map(|(number, part)| Sender::new(part, seed * 100 + number))
        .collect();
    let mut samples = Vec::new();
    let (mut now, end) = (Instant::ZERO, Instant::ZERO + lasts);
    let mut sample_at = now;
    while now < end {
        for flow in &mut flows {
            flow.step(now, &mut queue);
        }
        if now >= sample_at {
            sample_at += SAMPLE;
            samples.push(Sample {
                at: now,
                capacity: queue.rate(now),
                queue: queue.wait(now).as_secs_f64(),
                targets: flows.iter().map(Sender::target).collect(),
            });
        }
        now += STEP;
    }
    Played {
        samples,
        flows: flows.into_iter().map(Sender::into_record).collect(),
    }
}

/// The value below which this part of all lies.
#[must_use]
pub fn percentile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let place = ((values.len().saturating_sub(1)) as f64 * part).round() as usize;
    values.get(place).copied().unwrap_or(f64::NAN)
}

/// Jain's index of fairness: 1 where all are equal.
#[must_use]
pub fn jain(rates: &[f64]) -> f64 {
    let sum: f64 = rates.iter().sum();
    let squares: f64 = rates.iter().map(|rate| rate * rate).sum();
    #[expect(clippy::cast_precision_loss, reason = "a few flows")]
    let count = rates.len() as f64;
    if squares > 0.0 {
        sum * sum / (count * squares)
    } else {
        0.0
    }
}

impl Played {
    /// Seconds from `from` until `flow`'s target reaches `rate`; the scene's length if never.
    #[must_use]
    pub fn reaches(&self, flow: usize, from: Instant, rate: f64) -> f64 {
        let target = |sample: &Sample| sample.targets.get(flow).copied().unwrap_or(0.0);
        let start = self.samples.partition_point(|sample| sample.at < from);
        let later = self.samples.get(start..).unwrap_or_default();
        // There, and still about there in the two seconds after.
        let found = later.windows(200).find_map(|window| {
            let stays = window.iter().all(|sample| target(sample) >= rate * 0.85);
            let first = window.first()?;
            (target(first) >= rate && stays).then_some(first)
        });
        found.map_or(f64::INFINITY, |sample| sample.at.since(from).as_secs_f64())
    }

    /// Bits per second that arrived of a flow between two moments.
    #[must_use]
    pub fn arrived(&self, flow: usize, from: Instant, until: Instant) -> f64 {
        let Some(flow) = self.flows.get(flow) else {
            return 0.0;
        };
        let packets = flow
            .arrivals
            .iter()
            .filter(|packet| packet.at >= from && packet.at < until);
        let bytes: f64 = packets.map(|packet| f64::from(packet.bytes)).sum();
        bytes * 8.0 / until.since(from).as_secs_f64()
    }

    /// Bits per second that left a flow between two moments.
    #[must_use]
    pub fn left(&self, flow: usize, from: Instant, until: Instant) -> f64 {
        let Some(flow) = self.flows.get(flow) else {
            return 0.0;
        };
        let packets = flow
            .departures
            .iter()
            .filter(|(at, _)| *at >= from && *at < until);
        let bytes: f64 = packets.map(|(_, bytes)| f64::from(*bytes)).sum();
        bytes * 8.0 / until.since(from).as_secs_f64()
    }

    /// Seconds of queue, sampled between two moments.
    #[must_use]
    pub fn queues(&self, from: Instant, until: Instant) -> Vec<f64> {
        let samples = self
            .samples
            .iter()
            .filter(|sample| sample.at >= from && sample.at < until);
        samples.map(|sample| sample.queue).collect()
    }

    /// Seconds from `from` until a packet of `layer` arrived.
    #[must_use]
    pub fn layer(&self, flow: usize, layer: usize, from: Instant) -> f64 {
        let Some(flow) = self.flows.get(flow) else {
            return f64::INFINITY;
        };
        let mut packets = flow.arrivals.iter().filter(|packet| packet.at >= from);
        let found = packets.find(|packet| packet.layer == layer);
        found.map_or(f64::INFINITY, |packet| packet.at.since(from).as_secs_f64())
    }
}

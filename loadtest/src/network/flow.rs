//! One flow: an app that sends what the estimator allows, a receiver that tells what arrived.

use std::collections::VecDeque;

use fastrand::Rng;
use sfu::time::{Duration, Instant};
use sfu::transport::congestion::{Estimator, Probe, estimator};
use sfu::units::Bitrate;
use sfu::wire::twcc::{TransportFeedback, TransportFeedbackWriter};

use super::bottleneck::Queue;
use super::sender::{Arrival, Record};

/// A media packet on the wire.
const PACKET: u32 = 1_200;
/// An audio packet on the wire: 24 kb/s of Opus, headers included.
const AUDIO: u32 = 130;
const AUDIO_EVERY: Duration = Duration::from_millis(20);
/// Bits on the wire of the layers that an app of layers has: 150, 500 and 1,500 kb/s and headers.
pub const LAYERS: [f64; 3] = [157_000.0, 523_000.0, 1_568_000.0];
/// Between frames of an app of frames; each so many is a key frame of so many bytes.
const FRAME: Duration = Duration::from_millis(66);
const KEY_EVERY: u64 = 60;
const KEY_BYTES: f64 = 60_000.0;
/// Of an estimate, what an app of layers fills.
const FILL: f64 = 0.95;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum App {
    /// As much as is allowed, up to this.
    Elastic(f64),
    /// The highest of [`LAYERS`] that fits.
    Layers,
    /// As [`App::Elastic`], but each 66 ms a frame at once, and each four seconds one of 60 kB.
    Frames(f64),
    /// This, whatever is allowed: an oracle that knows what is right.
    Constant(f64),
}

/// Where a flow is and what it sends.
#[derive(Clone, Copy, Debug)]
pub struct FlowParameters {
    /// What is sent.
    pub app: App,
    /// From this moment on.
    pub from: Instant,
    /// No video between these.
    pub muted: Option<(Instant, Instant)>,
    /// Another path from this moment on, with this propagation; the estimator is told of it.
    pub moves: Option<(Instant, Duration)>,
    /// The receiver's clock is ahead by this, µs.
    pub far_clock: u64,
    /// Propagation, one way.
    pub delay: Duration,
    /// Feedback lost, of one.
    pub feedback_loss: f64,
    /// Jitter of the way back, up to.
    pub feedback_jitter: Duration,
}

/// One flow at work.
pub struct Flow {
    /// May change on the way.
    pub parameters: FlowParameters,
    /// The estimator under test.
    pub estimator: Estimator,
    random: Rng,
    sequence: u64,
    layer: usize,
    frames: u64,
    media_at: Instant,
    audio_at: Instant,
    probe: Option<(Probe, u32)>,
    probe_at: Instant,
    tick_at: Instant,
    /// Arrival, sequence.
    on_the_way: VecDeque<(Instant, u64)>,
    told: u64,
    waiting: Vec<(u64, Instant)>,
    feedback_due: Option<Instant>,
    feedback_count: u8,
    answers: VecDeque<(Instant, Vec<u8>)>,
    /// Every packet.
    pub record: Record,
}

impl std::fmt::Debug for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flow").finish_non_exhaustive()
    }
}

impl Flow {
    /// Before its first packet.
    #[must_use]
    pub fn new(parameters: FlowParameters, seed: u64) -> Self {
        let from = parameters.from;
        Self {
            parameters,
            estimator: Estimator::new(from, estimator::START),
            random: Rng::with_seed(seed),
            sequence: 0,
            layer: 0,
            frames: 0,
            media_at: from,
            audio_at: from,
            probe: None,
            probe_at: from,
            tick_at: from,
            on_the_way: VecDeque::new(),
            told: 0,
            waiting: Vec::new(),
            feedback_due: None,
            feedback_count: 0,
            answers: VecDeque::new(),
            record: Record::new("Plenum"),
        }
    }

    /// One step of time.
    pub fn step(&mut self, now: Instant, queue: &mut Queue) {
        if now < self.parameters.from {
            return;
        }
        if let Some((_, delay)) = self.parameters.moves.take_if(|(at, _)| *at <= now) {
            self.parameters.delay = delay;
            self.estimator.path_changed(now);
        }
        self.receive(now);
        while self.answers.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, answer)) = self.answers.pop_front() else {
                break;
            };
            if let Ok(feedback) = TransportFeedback::parse(answer.get(4..).unwrap_or_default()) {
                self.estimator.feedback(now, &feedback);
            }
        }
        if now >= self.tick_at {
            self.tick_at = now + Duration::from_millis(25);
            self.estimator.tick(now);
        }
        self.send(now, queue);
    }

    fn is_muted(&self, now: Instant) -> bool {
        let muted = self.parameters.muted;
        muted.is_some_and(|(from, until)| now >= from && now < until)
    }

    fn media_rate(&mut self, now: Instant) -> f64 {
        if self.is_muted(now) {
            self.estimator.want(Bitrate::from_kbps(60));
            return 0.0;
        }
        let estimate = self.estimator.estimate();
        #[expect(clippy::cast_precision_loss, reason = "rates far below 2^52")]
        let (fast, stable) = (
            estimate.fast.as_bps() as f64,
            estimate.stable.as_bps() as f64,
        );
        let audio = f64::from(AUDIO) * 8.0 / AUDIO_EVERY.as_secs_f64();
        match self.parameters.app {
            App::Elastic(want) | App::Frames(want) => {
                self.want(want);
                want.min(fast - audio).max(10_000.0)
            }
            App::Constant(rate) => rate - audio,
            App::Layers => {
                let fits = |budget: f64| {
                    LAYERS
                        .iter()
                        .rposition(|rate| *rate <= budget * FILL - audio)
                };
                let down = fits(fast);
                let up = fits(
                    if now.since(self.parameters.from) < Duration::from_secs(3) {
                        fast
                    } else {
                        stable
                    },
                );
                self.layer = match (down, up) {
                    (None, _) => 0,
                    (Some(most), _) if most < self.layer => most,
                    (_, Some(up)) => up.max(self.layer),
                    (Some(_), None) => self.layer,
                };
                self.want(LAYERS.last().map_or(0.0, |rate| (rate + audio) / FILL));
                LAYERS.get(self.layer).copied().unwrap_or_default()
            }
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate"
    )]
    fn want(&mut self, wanted: f64) {
        self.estimator.want(Bitrate::from_bps(wanted as u64));
    }

    fn send(&mut self, now: Instant, queue: &mut Queue) {
        while self.audio_at <= now {
            self.audio_at += AUDIO_EVERY;
            self.packet(now, queue, AUDIO, 0, true);
        }
        let rate = self.media_rate(now);
        if self.media_at + FRAME < now {
            self.media_at = now;
        }
        let in_frames = matches!(self.parameters.app, App::Frames(_));
        while in_frames && rate > 0.0 && self.media_at <= now {
            self.media_at += FRAME;
            self.frames += 1;
            let bytes = if self.frames.is_multiple_of(KEY_EVERY) {
                KEY_BYTES
            } else {
                rate * FRAME.as_secs_f64() / 8.0
            };
            let mut left = bytes / f64::from(PACKET);
            while left > 0.0 {
                left -= 1.0;
                self.packet(now, queue, PACKET, 0, false);
            }
        }
        while !in_frames && rate > 0.0 && self.media_at <= now {
            // Encoders do not send like clocks.
            let spread = 0.7 + 0.6 * self.random.f64();
            self.media_at += Duration::from_secs_f64(f64::from(PACKET) * 8.0 / rate * spread);
            self.packet(now, queue, PACKET, 0, false);
        }
        if self.probe.is_none()
            && let Some(probe) = self.estimator.probe(now)
        {
            self.probe = Some((probe, probe.bytes));
            self.probe_at = now;
        }
        while let Some((probe, left)) = self.probe
            && self.probe_at <= now
        {
            #[expect(clippy::cast_precision_loss, reason = "rates far below 2^52")]
            let rate = probe.rate.as_bps() as f64;
            let bytes = probe.packet_bytes;
            self.probe_at += Duration::from_secs_f64(f64::from(bytes) * 8.0 / rate);
            self.packet(now, queue, bytes, probe.id, false);
            self.probe = left
                .checked_sub(bytes)
                .filter(|left| *left > 0)
                .map(|left| (probe, left));
        }
    }

    fn packet(&mut self, now: Instant, queue: &mut Queue, bytes: u32, probe: u32, is_audio: bool) {
        let sequence = self.sequence;
        self.sequence += 1;
        self.estimator.sent(now, sequence, bytes, probe);
        self.record.departures.push((now, bytes));
        if let Some(left) = queue.push(now, bytes) {
            let newest = self.on_the_way.back().map_or(now, |(at, _)| *at);
            let at = (left + self.parameters.delay).max(newest);
            self.on_the_way.push_back((at, sequence));
            self.record.arrivals.push(Arrival {
                at,
                bytes,
                is_audio,
                layer: if is_audio || probe != 0 {
                    0
                } else {
                    self.layer
                },
            });
        }
    }

    /// What arrives is told 50 to 100 ms later, as browsers do.
    fn receive(&mut self, now: Instant) {
        while self.on_the_way.front().is_some_and(|(at, _)| *at <= now) {
            let Some((at, sequence)) = self.on_the_way.pop_front() else {
                break;
            };
            self.waiting.push((sequence, at));
            let soon = at + Duration::from_millis(50);
            let due = self.feedback_due.unwrap_or(at + Duration::from_millis(100));
            self.feedback_due = Some(if self.waiting.len() >= 8 {
                due.min(soon)
            } else {
                due
            });
        }
        if self.feedback_due.is_some_and(|due| due <= now) {
            self.feedback_due = None;
            self.tell(now);
        }
    }

    fn tell(&mut self, now: Instant) {
        let Some((last, _)) = self.waiting.last() else {
            return;
        };
        let count = usize::try_from(last + 1 - self.told).unwrap_or(0);
        let mut arrivals = vec![None; count];
        for (sequence, at) in self.waiting.drain(..) {
            let place = usize::try_from(sequence - self.told).unwrap_or(usize::MAX);
            if let Some(entry) = arrivals.get_mut(place) {
                *entry = Some(at + Duration::from_micros(self.parameters.far_clock));
            }
        }
        let mut rest = arrivals.as_slice();
        while !rest.is_empty() {
            let mut out = vec![0; 1_200];
            let writer = TransportFeedbackWriter {
                sender: 1,
                media: 2,
                feedback_count: self.feedback_count,
            };
            let [.., high, low] = self.told.to_be_bytes();
            let base = u16::from_be_bytes([high, low]);
            let Some(written) = writer.write(base, rest.iter().copied(), &mut out) else {
                let gap = rest.iter().take_while(|at| at.is_none()).count().max(1);
                self.told += gap as u64;
                rest = rest.get(gap..).unwrap_or_default();
                continue;
            };
            self.feedback_count = self.feedback_count.wrapping_add(1);
            out.truncate(written.bytes);
            let jitter = self.parameters.feedback_jitter.mul_f64(self.random.f64());
            if self.random.f64() >= self.parameters.feedback_loss {
                let newest = self.answers.back().map_or(now, |(at, _)| *at);
                let at = (now + self.parameters.delay + jitter).max(newest);
                self.answers.push_back((at, out));
            }
            self.told += u64::from(written.packets);
            rest = rest.get(usize::from(written.packets)..).unwrap_or_default();
        }
    }
}

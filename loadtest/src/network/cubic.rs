//! A TCP download by CUBIC (RFC 9438), as far as its window goes: slow start, the cubic and the
//! Reno-friendly region, fast convergence, loss by selective acknowledgement (RFC 6675),
//! retransmission timeout (RFC 6298), delayed acknowledgements (RFC 1122). There is always more to
//! send. Left out: HyStart++ (its absence fills the queue once more, at the start), pacing, ECN.

use std::collections::{BTreeSet, VecDeque};

use sfu::time::{Duration, Instant};

use super::bottleneck::Queue;
use super::sender::{Arrival, Record};

/// A full segment on the wire.
const SEGMENT: u32 = 1_500;
/// RFC 9438 §4.6, multiplicative decrease.
const BETA: f64 = 0.7;
/// RFC 9438 §5, aggressiveness in the cubic region.
const C: f64 = 0.4;
/// RFC 6928: the first window, segments.
const WINDOW_FIRST: f64 = 10.0;
/// RFC 6675 §2, DupThresh: this many beyond it are told of, so it is lost.
const BEYOND: usize = 3;
/// The receiver acknowledges every second segment, or one after this.
const DELAYED: Duration = Duration::from_millis(40);
/// As Linux has it; RFC 6298 would have a second.
const TIMEOUT_LEAST: Duration = Duration::from_millis(200);

/// Where a download is.
#[derive(Clone, Copy, Debug)]
pub struct CubicParameters {
    /// From this moment on.
    pub from: Instant,
    /// Propagation, one way.
    pub delay: Duration,
}

/// A segment that is not acknowledged yet.
#[derive(Clone, Copy, Debug)]
struct Segment {
    sent_at: Instant,
    is_told: bool,
    is_lost: bool,
    is_again: bool,
}

/// What the receiver says: all below `next` is there, and `also` is.
#[derive(Clone, Copy, Debug)]
struct Answer {
    at: Instant,
    next: u64,
    also: u64,
}

/// A download at work.
#[derive(Debug)]
pub struct Cubic {
    parameters: CubicParameters,
    window: f64,
    threshold: f64,
    /// The window before the last reduction, and when that was.
    window_most: f64,
    epoch_at: Option<Instant>,
    window_epoch: f64,
    /// What Reno would have: RFC 9438 §4.3.
    window_reno: f64,
    /// Recovery ends when all below is acknowledged.
    recovers_until: Option<u64>,
    rtt: Duration,
    rtt_varies: Duration,
    heard_at: Instant,
    /// The first segment not acknowledged.
    first: u64,
    segments: VecDeque<Segment>,
    /// The receiver's.
    arriving: VecDeque<(Instant, u64)>,
    expected: u64,
    early: BTreeSet<u64>,
    delayed: Option<(Instant, u64)>,
    answers: VecDeque<Answer>,
    /// Every packet.
    pub record: Record,
}

impl Cubic {
    /// Before its first segment; the handshake is left out.
    #[must_use]
    pub fn new(parameters: CubicParameters) -> Self {
        Self {
            parameters,
            window: WINDOW_FIRST,
            threshold: f64::MAX,
            window_most: 0.0,
            epoch_at: None,
            window_epoch: 0.0,
            window_reno: 0.0,
            recovers_until: None,
            rtt: Duration::ZERO,
            rtt_varies: Duration::ZERO,
            heard_at: parameters.from,
            first: 0,
            segments: VecDeque::new(),
            arriving: VecDeque::new(),
            expected: 0,
            early: BTreeSet::new(),
            delayed: None,
            answers: VecDeque::new(),
            record: Record::new("CUBIC"),
        }
    }

    /// A window each round trip, bits per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        if self.rtt.is_zero() {
            return 0.0;
        }
        self.window * f64::from(SEGMENT) * 8.0 / self.rtt.as_secs_f64()
    }

    /// One step of time.
    pub fn step(&mut self, now: Instant, queue: &mut Queue) {
        if now < self.parameters.from {
            return;
        }
        self.receive(now);
        while self.answers.front().is_some_and(|it| it.at <= now) {
            if let Some(answer) = self.answers.pop_front() {
                self.acknowledged(now, answer);
            }
        }
        let timeout = (self.rtt + self.rtt_varies * 4).max(TIMEOUT_LEAST);
        if !self.segments.is_empty() && now.since(self.heard_at) > timeout.max(self.rtt * 2) {
            self.time_out(now);
        }
        self.send(now, queue);
    }

    fn send(&mut self, now: Instant, queue: &mut Queue) {
        let on_the_way = |it: &&Segment| !it.is_told && !it.is_lost;
        #[expect(clippy::cast_precision_loss, reason = "a window of segments")]
        let mut flying = self.segments.iter().filter(on_the_way).count() as f64;
        while flying + 1.0 <= self.window {
            flying += 1.0;
            let lost = self.segments.iter().position(|it| it.is_lost);
            let segment = Segment {
                sent_at: now,
                is_told: false,
                is_lost: false,
                is_again: lost.is_some(),
            };
            let place = if let Some(place) = lost {
                if let Some(entry) = self.segments.get_mut(place) {
                    *entry = segment;
                }
                place
            } else {
                if self.segments.is_empty() {
                    self.heard_at = now;
                }
                self.segments.push_back(segment);
                self.segments.len() - 1
            };
            self.record.departures.push((now, SEGMENT));
            if let Some(left) = queue.push(now, SEGMENT) {
                let at = left + self.parameters.delay;
                self.arriving.push_back((at, self.first + place as u64));
                self.record.arrivals.push(Arrival {
                    at,
                    bytes: SEGMENT,
                    is_audio: false,
                    layer: 0,
                });
            }
        }
    }

    fn receive(&mut self, now: Instant) {
        while self.arriving.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, number)) = self.arriving.pop_front() else {
                break;
            };
            let is_next = number == self.expected;
            if number >= self.expected {
                self.early.insert(number);
            }
            while self.early.remove(&self.expected) {
                self.expected += 1;
            }
            // RFC 5681 §4.2: what is out of order, or fills a gap, is acknowledged at once.
            if !is_next || !self.early.is_empty() || self.delayed.is_some() {
                self.delayed = None;
                self.answer(now, number);
            } else {
                self.delayed = Some((now + DELAYED, number));
            }
        }
        if let Some((_, number)) = self.delayed.take_if(|(at, _)| *at <= now) {
            self.answer(now, number);
        }
    }

    fn answer(&mut self, now: Instant, also: u64) {
        self.answers.push_back(Answer {
            at: now + self.parameters.delay,
            next: self.expected,
            also,
        });
    }

    fn acknowledged(&mut self, now: Instant, answer: Answer) {
        self.heard_at = now;
        let place = answer.also.checked_sub(self.first);
        let place = place.and_then(|place| usize::try_from(place).ok());
        let told = place.and_then(|place| self.segments.get_mut(place));
        let sample = told.and_then(|segment| {
            segment.is_told = true;
            segment.is_lost = false;
            // RFC 6298 §3, Karn: which of the two is told of is not known.
            (!segment.is_again).then_some(now.since(segment.sent_at))
        });
        if let Some(sample) = sample {
            self.round_trip(sample);
        }
        let mut acknowledged = 0;
        while self.first < answer.next && self.segments.pop_front().is_some() {
            self.first += 1;
            acknowledged += 1;
        }
        if self.recovers_until.is_some_and(|end| self.first >= end) {
            self.recovers_until = None;
        }
        self.find_losses(now);
        if self.recovers_until.is_none() {
            for _ in 0..acknowledged {
                self.grow(now);
            }
        }
    }

    /// RFC 6298 §2.
    fn round_trip(&mut self, sample: Duration) {
        if self.rtt.is_zero() {
            (self.rtt, self.rtt_varies) = (sample, sample / 2);
            return;
        }
        let differs = self.rtt.abs_diff(sample);
        self.rtt_varies = self.rtt_varies * 3 / 4 + differs / 4;
        self.rtt = self.rtt * 7 / 8 + sample / 8;
    }

    fn find_losses(&mut self, now: Instant) {
        let mut beyond = 0;
        let mut any = false;
        for segment in self.segments.iter_mut().rev() {
            if segment.is_told {
                beyond += 1;
            } else if beyond >= BEYOND
                && !segment.is_lost
                // What was sent again is given a round trip.
                && (!segment.is_again || now.since(segment.sent_at) > self.rtt * 5 / 4)
            {
                segment.is_lost = true;
                any = true;
            }
        }
        if any && self.recovers_until.is_none() {
            self.recovers_until = Some(self.first + self.segments.len() as u64);
            self.reduce();
        }
    }

    /// RFC 9438 §4.6 and §4.7.
    fn reduce(&mut self) {
        self.window_most = if self.window < self.window_most {
            self.window * f64::midpoint(1.0, BETA)
        } else {
            self.window
        };
        self.window = (self.window * BETA).max(2.0);
        self.threshold = self.window;
        self.epoch_at = None;
    }

    fn time_out(&mut self, now: Instant) {
        self.heard_at = now;
        self.reduce();
        self.window = 1.0;
        self.recovers_until = None;
        for segment in &mut self.segments {
            segment.is_lost = !segment.is_told;
        }
    }

    /// One segment more was acknowledged.
    fn grow(&mut self, now: Instant) {
        if self.window < self.threshold {
            self.window += 1.0;
            return;
        }
        let epoch_at = *self.epoch_at.get_or_insert_with(|| {
            self.window_epoch = self.window;
            self.window_reno = self.window;
            self.window_most = self.window_most.max(self.window);
            now
        });
        let t = now.since(epoch_at).as_secs_f64();
        let k = ((self.window_most - self.window_epoch) / C).cbrt();
        let cubic = |t: f64| C * (t - k).powi(3) + self.window_most;
        // §4.3: Reno's growth with CUBIC's reduction.
        self.window_reno += 3.0 * (1.0 - BETA) / (1.0 + BETA) / self.window;
        if cubic(t) < self.window_reno {
            self.window = self.window.max(self.window_reno);
            return;
        }
        let target = cubic(t + self.rtt.as_secs_f64()).clamp(self.window, self.window * 1.5);
        self.window += (target - self.window) / self.window;
    }
}

#[cfg(test)]
mod tests {
    use super::super::bottleneck::{Bottleneck, Losses};
    use super::super::run::play;
    use super::super::sender::Part;
    use super::*;

    fn downloads(count: u64, lasts: u64) -> super::super::run::Played {
        let link = Bottleneck {
            rates: vec![(Instant::ZERO, 2e6)],
            buffer: 75_000.0,
            losses: Losses::None,
            jitter: Duration::ZERO,
        };
        let parts: Vec<Part> = (0..count)
            .map(|number| {
                Part::Cubic(CubicParameters {
                    from: Instant::from_millis(number * 5_000),
                    delay: Duration::from_millis(25),
                })
            })
            .collect();
        play(link, &parts, Duration::from_secs(lasts), 1)
    }

    #[test]
    fn a_download_fills_its_link_and_saws() {
        let played = downloads(1, 60);
        let (from, until) = (Instant::from_millis(10_000), Instant::from_millis(60_000));
        assert!(played.arrived(0, from, until) > 1.95e6);
        let mut queues = played.queues(from, until);
        let most = super::super::run::percentile(&mut queues, 1.0);
        let least = super::super::run::percentile(&mut queues, 0.02);
        // 0.7 of 350 ms are 245: the queue falls to about 195 ms and fills again to 300.
        assert!(most > 0.28 && most < 0.31, "{most}");
        assert!(least > 0.12 && least < 0.23, "{least}");
    }

    #[test]
    fn two_downloads_share_about_equally() {
        let played = downloads(2, 120);
        let (from, until) = (Instant::from_millis(60_000), Instant::from_millis(120_000));
        let rates = [
            played.arrived(0, from, until),
            played.arrived(1, from, until),
        ];
        assert!(super::super::run::jain(&rates) > 0.9, "{rates:?}");
    }
}

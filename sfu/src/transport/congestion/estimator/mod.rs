//! How fast a transport may send: from transport-wide feedback to a target.
//!
//! Four things bound the target, each kept apart so that a decision can name its cause:
//!
//! 1. **Queue.** One-way delay above its floor ([`Owd`]) is time spent in a queue. Beyond a
//!    threshold that follows the path's jitter, the target is what arrives, less a part that grows
//!    with the queue, so that it drains within about a third of a second; as it drains the target
//!    returns. A gradient alone does not see a queue that stands (Carlucci et al. 2016, §V).
//!    A queue that stands although hardly anything is sent is somebody else's ([`Rival`]): then the
//!    target is what is fair beside a download.
//! 2. **Loss** beyond what the path shows by itself ([`Loss`]).
//! 3. **What was tried**: never more than half as much again as what arrived.
//! 4. **Growth**: a constant number of bits per second each second where the path is full of other
//!    flows, so that equals come out equal (Chiu and Jain 1989, additive increase), and probes
//!    ([`Prober`]) where it is empty.
//!
//! What probes tell is taken in by `learn`.
//!
//! Nothing is averaged on its way out. `fast` is the target; `stable` is its least value of the
//! last two and a half seconds, for decisions that are costly to take back.

mod learn;

use std::collections::VecDeque;

use crate::prefetch::prefetch;
use crate::time::{Duration, Instant};
use crate::transport::congestion::acked::Acked;
use crate::transport::congestion::clock::ReceiverClock;
use crate::transport::congestion::estimate::{Cause, Estimate};
use crate::transport::congestion::history::History;
use crate::transport::congestion::loss::Loss;
use crate::transport::congestion::owd::{Batch, Owd};
use crate::transport::congestion::probe::Prober;
use crate::transport::congestion::rival::{READ_WINDOW, Rival};
use crate::transport::congestion::train::Trains;
use crate::units::Bitrate;
use crate::wire::ccfb::Arrival;
use crate::wire::sequence::TimestampUnwrapper;
use crate::wire::twcc::TransportFeedback;

use learn::PROBE_EVERY;

/// Where a transport begins.
pub const START: Bitrate = Bitrate::from_kbps(300);
/// Below this a target never goes: audio and one small picture.
pub const LEAST: Bitrate = Bitrate::from_kbps(30);
/// A queue shorter than this part of the threshold is none.
const QUEUE_NONE: f64 = 0.7;
/// And than this many times the jitter, so that what the luckiest of many packets waited is below it.
const NOISE: f64 = 4.0;
/// A packet of this many bits is on the wire for a while itself: what would be one or two of them at
/// the rate that arrives is no queue. The floor may be of a time when the link was faster.
const PACKET_BITS: f64 = 1.2 * 9_600.0;
/// A queue longer than this is one, µs, on a path without jitter.
const QUEUE_SOFT: f64 = 10_000.0;
/// And on any path, µs.
const QUEUE_SOFT_MOST: f64 = 120_000.0;
/// What arrives while a queue stands is looked at for so long, and for so long where it just begins.
const LONG_WINDOW: Duration = Duration::from_millis(400);
const SHORT_WINDOW: Duration = Duration::from_millis(120);
/// Beyond this, µs, a queue is no picture's, and what is decided upon is that part of what the path
/// carries.
const DEEP: f64 = 100_000.0;
const DEEP_PART: f64 = 0.6;
/// A queue is drained within about this, µs.
const DRAIN: f64 = 300_000.0;
/// What is left to send of what arrives, where the queue is longest.
const DRAIN_LEAST: f64 = 0.35;
/// What is sent of what arrives, where a queue just begins.
const YIELD: f64 = 0.95;
/// Growth each second, bits per second: a constant part, which makes equals of those who share a
/// link, and a part of the target; together no more than the most.
const GROWTH: f64 = 30_000.0;
const GROWTH_PART: f64 = 0.05;
const GROWTH_MOST: f64 = 150_000.0;
/// Who uses less of the target than this learns nothing of the path by what it sends: it would grow
/// into a target that nothing has tried. Probes are for that.
const USED: f64 = 0.85;
/// A round trip that nobody has seen yet.
const RTT_FIRST: Duration = Duration::from_millis(100);
/// The window of `stable`.
const STABLE: Duration = Duration::from_millis(2_500);
/// Samples of `stable` kept: one each 25 ms.
const STABLE_KEPT: usize = 101;
/// Feedback that does not come for this long halves the target, and again each time.
const SILENCE: Duration = Duration::from_millis(500);

/// The estimator of one transport. No clock, no socket; nothing is allocated per packet.
#[derive(Debug)]
pub struct Estimator {
    history: History,
    acked: Acked,
    trains: Trains,
    owd: Owd,
    loss: Loss,
    rival: Rival,
    prober: Prober,
    /// The newest sequence number sent.
    newest: u64,
    /// The first one of this path; what is told of those before says nothing of it.
    path_first: u64,
    clock: ReceiverClock,
    control_clock: TimestampUnwrapper,
    /// The next sequence number not told of.
    next: Option<u64>,
    /// Bytes sent up to the newest packet told of ([`History::sent_since`]).
    told_total: Option<u32>,
    /// The number of the last feedback itself.
    feedback_count: Option<u8>,
    target: f64,
    wanted: f64,
    cause: Cause,
    rtt: Duration,
    settled_at: Instant,
    /// Feedback has come at all.
    is_heard: bool,
    /// When the first packet after the last feedback was sent.
    waiting_since: Option<Instant>,
    sent_at: Option<Instant>,
    /// When the first packet of the newest group that was told of was sent.
    group_at: Option<Instant>,
    /// Since when no queue stood.
    clear_since: Instant,
    /// Since when a queue has stood.
    queued_since: Option<Instant>,
    /// No queue stands.
    is_empty: bool,
    /// The newest feedback told of a pause of the link.
    is_pausing: bool,
    /// What arrived when a queue last stood: about the capacity.
    capacity: Option<f64>,
    probe_at: Instant,
    probe_wait: Duration,
    /// So many in a row could not be read.
    unread: u8,
    /// What one found that is hard to believe, and when: it is asked again.
    doubted: Option<(f64, Instant)>,
    /// Until then a short queue is the probe's.
    probed_until: Instant,
    /// Initial or chained: does not wait for its time.
    probe_next: VecDeque<f64>,
    lows: VecDeque<(Instant, f64)>,
}

/// How long the packets of one feedback were on their way.
#[derive(Debug, Default)]
struct Delays {
    large: Batch,
    small: Batch,
}

/// Bits per second as a number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "rates are far below 2^52")]
fn number(rate: Bitrate) -> f64 {
    rate.as_bps().min(1 << 50) as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is positive and finite; casts of floats saturate"
)]
fn rate(number: f64) -> Bitrate {
    Bitrate::from_bps(number.max(0.0) as u64)
}

impl Estimator {
    /// A transport's estimator; `start` is what it may send before anything is known.
    #[must_use]
    pub fn new(now: Instant, start: Bitrate) -> Self {
        let target = number(start.max(LEAST));
        Self {
            history: History::default(),
            acked: Acked::default(),
            trains: Trains::default(),
            owd: Owd::default(),
            loss: Loss::default(),
            rival: Rival::default(),
            prober: Prober::default(),
            newest: 0,
            path_first: 0,
            clock: ReceiverClock::default(),
            control_clock: TimestampUnwrapper::default(),
            next: None,
            told_total: None,
            feedback_count: None,
            target,
            wanted: target,
            cause: Cause::Growing,
            rtt: RTT_FIRST,
            settled_at: now,
            is_heard: false,
            waiting_since: None,
            sent_at: None,
            group_at: None,
            clear_since: now,
            queued_since: None,
            is_empty: true,
            is_pausing: false,
            capacity: None,
            probe_at: now,
            probe_wait: PROBE_EVERY,
            unread: 0,
            doubted: None,
            probed_until: now,
            probe_next: VecDeque::from([target * 3.0, target * 6.0]),
            lows: VecDeque::with_capacity(STABLE_KEPT),
        }
    }

    /// A packet with transport-wide `sequence` was handed to the kernel. `bytes` are the wire's, IP
    /// and UDP included; `probe` is the id of the probe it belongs to, or 0.
    pub fn sent(&mut self, now: Instant, sequence: u64, bytes: u32, probe: u32) {
        let probe = self.prober.sent(probe, bytes);
        if self.is_heard {
            self.history.make_room(sequence, now);
        }
        self.history.push(sequence, now, bytes, probe);
        self.newest = self.newest.max(sequence);
        if self.sent_at == Some(now) && self.waiting_since.is_some() {
            return;
        }
        // Silence counts from what could have been answered: a pause of ours is none.
        let paused = self.sent_at.is_some_and(|at| now.since(at) >= SILENCE);
        if paused || self.waiting_since.is_none() {
            self.waiting_since = Some(now);
        }
        self.sent_at = Some(now);
    }

    /// Asks for what [`Estimator::sent`] looks at.
    pub(crate) fn prefetch(&self) {
        prefetch(&self.history);
        prefetch(&self.newest);
        prefetch(&self.target);
        prefetch(&self.cause);
        prefetch(&self.is_heard);
        prefetch(&self.waiting_since);
        prefetch(&self.sent_at);
        prefetch(&self.lows);
    }

    /// And for what that points to: `sequence` is sent next.
    pub(crate) fn prefetch_history(&self, sequence: u64) {
        self.history.prefetch(sequence);
        if let Some(low) = self.lows.back() {
            prefetch(low);
        }
    }

    /// A packet has left at this very time: it was told to [`Estimator::tick`] then.
    pub(crate) fn has_sent_at(&self, now: Instant) -> bool {
        self.sent_at == Some(now)
    }

    /// What is told of this number from now on is not looked at.
    pub fn forget(&mut self, sequence: u16) {
        if let Some(sequence) = self.whole(sequence) {
            self.history.take(sequence);
        }
    }

    /// Whether feedback has come at all.
    #[must_use]
    pub const fn is_heard(&self) -> bool {
        self.is_heard
    }

    /// What may be sent now: [`Estimate::fast`], alone.
    #[must_use]
    pub fn target(&self) -> Bitrate {
        rate(self.target)
    }

    /// Why it is what it is.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        self.cause
    }

    /// How much would be sent if it fitted: the goal of probes.
    pub fn want(&mut self, wanted: Bitrate) {
        self.wanted = number(wanted);
    }

    /// Takes a feedback packet in.
    pub fn feedback(&mut self, now: Instant, feedback: &TransportFeedback<'_>) {
        let base = self.clock.micros(feedback.reference_time());
        if self.clock.has_jumped(now, base) {
            self.far_clock_changed();
        }
        self.fill_gap(feedback, base);
        let mut delays = Delays::default();
        for (sequence, arrival) in feedback {
            let Some(sequence) = self.whole(sequence) else {
                continue;
            };
            self.next = Some(
                self.next
                    .map_or(sequence + 1, |next| next.max(sequence + 1)),
            );
            self.told(
                now,
                sequence,
                arrival.map(|after| base + after),
                &mut delays,
            );
        }
        self.conclude(now, delays);
    }

    /// Takes feedback in that tells of packets by their source (RFC 8888): by our numbers, in their
    /// order, and when it was written, in 65,536ths of a second.
    pub fn control_feedback(
        &mut self,
        now: Instant,
        timestamp: u32,
        told: &[(u64, Option<Arrival>)],
    ) {
        let base = self.control_clock.unwrap(timestamp);
        let base = i64::try_from(u128::from(base) * 1_000_000 / 65_536).unwrap_or(i64::MAX);
        let mut delays = Delays::default();
        for (sequence, arrival) in told {
            let at = match arrival {
                Some(Arrival::Before(ticks)) => Some(base - i64::from(*ticks) * 1_000_000 / 1_024),
                // It came, and says nothing of the path.
                Some(Arrival::Unknown) => continue,
                None => None,
            };
            self.told(now, *sequence, at, &mut delays);
        }
        self.conclude(now, delays);
    }

    /// One packet is told of: when it arrived by the receiver's clock, or that it did not.
    fn told(&mut self, now: Instant, sequence: u64, at: Option<i64>, delays: &mut Delays) {
        let Some(sent) = self.history.take(sequence) else {
            return;
        };
        if sequence < self.path_first {
            return;
        }
        let newer =
            |known: u32| self.history.sent_since(known) > self.history.sent_since(sent.total);
        if self.told_total.is_none_or(newer) {
            self.told_total = Some(sent.total);
        }
        self.loss.push(at.is_none());
        if sent.probe != 0 {
            self.prober.told(sent.probe, sent.bytes, sent.sent_at, at);
        }
        let Some(at) = at else {
            return;
        };
        self.acked.push(at, sent.bytes);
        let sent_at = i64::try_from(sent.sent_at.as_micros()).unwrap_or(i64::MAX);
        let queued = at - sent_at - self.owd.floor();
        self.trains.push(at, sent.bytes, queued);
        // What leaves at once waits behind itself: the first of it tells of the path.
        let follows = self
            .group_at
            .is_some_and(|first| sent.sent_at.since(first) < GROUP && sent.sent_at >= first);
        if !follows {
            self.group_at = Some(sent.sent_at);
        }
        // Small ones wait behind large ones: that to and fro is no jitter of the path.
        match (follows, sent.bytes >= LARGE) {
            (true, _) => {}
            (false, true) => delays.large.push(at - sent_at),
            (false, false) => delays.small.push(at - sent_at),
        }
        let trip = now.since(sent.sent_at);
        self.rtt = if trip < self.rtt {
            trip
        } else {
            // Rises slowly: the receiver's waiting is in it.
            self.rtt + (trip - self.rtt) / 256
        };
    }

    /// A feedback is at its end.
    fn conclude(&mut self, now: Instant, delays: Delays) {
        let Delays { large, small } = delays;
        self.owd
            .push(now, if large.is_empty() { small } else { large });
        self.is_heard = true;
        self.waiting_since = None;
        self.settle(now);
    }

    /// The whole number behind 16 bits of it: nothing is told of before it was sent.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low half is what is told"
    )]
    fn whole(&self, sequence: u16) -> Option<u64> {
        let behind = (self.newest as u16).wrapping_sub(sequence);
        self.newest.checked_sub(u64::from(behind))
    }

    /// Numbers between the last feedback and this one. Where feedback itself was lost, they did not
    /// all go lost: they count as arrived with the first that is told of after them, or each lost
    /// feedback would look like a drop of the rate. Where none was, they are lost: some receivers
    /// begin a feedback with the first packet that came.
    fn fill_gap(&mut self, feedback: &TransportFeedback<'_>, base: i64) {
        let count = feedback.feedback_count();
        let follows = self.feedback_count.replace(count) == Some(count.wrapping_sub(1));
        let Some(first) = self.whole(feedback.base_sequence()) else {
            return;
        };
        let Some(next) = self.next.filter(|next| *next < first) else {
            return;
        };
        let gap = next..first.min(next + CREDITED);
        if follows {
            for sent in gap.filter_map(|sequence| self.history.take(sequence)) {
                self.loss.push(true);
                if sent.probe != 0 {
                    let (bytes, sent_at) = (sent.bytes, sent.sent_at);
                    self.prober.told(sent.probe, bytes, sent_at, None);
                }
            }
            return;
        }
        let Some(at) = feedback.iter().find_map(|(_, arrival)| arrival) else {
            return;
        };
        let mut bytes = 0_u32;
        for sequence in gap {
            bytes = bytes.saturating_add(self.history.get(sequence).map_or(0, |sent| sent.bytes));
        }
        if bytes > 0 {
            self.acked.push(base + at, bytes);
        }
    }

    /// Time passes: feedback that stays away is a signal too. Call every 25 ms or so.
    pub fn tick(&mut self, now: Instant) {
        let is_sending = self.sent_at.is_some_and(|at| now.since(at) < SILENCE);
        let is_silent = self
            .waiting_since
            .is_some_and(|at| now.since(at) > SILENCE + self.rtt * 2);
        // Who has never spoken may have no keys yet.
        if is_sending && is_silent && self.is_heard {
            self.target = (self.target * 0.5).max(number(LEAST));
            self.cause = Cause::Silence;
            self.waiting_since = Some(now);
            self.probe_next.clear();
        }
        self.remember(now);
    }

    fn settle(&mut self, now: Instant) {
        let since = now.since(self.settled_at).min(Duration::from_millis(250));
        self.settled_at = now;
        let overflows = self.is_drained() && self.owd.queue() > LONG;
        let is_lossy = self.loss.settle(now, overflows);
        // The target may not run away from what was tried.
        let arrived = self.acked.rate(Duration::from_millis(400));
        let found = self.prober.take(now, self.owd.noise() < STEADY);
        let noise = self.owd.noise();
        let serial = PACKET_BITS / arrived.unwrap_or(self.target).max(number(LEAST)) * 1e6;
        let soft = (noise * NOISE)
            .max(serial)
            .clamp(QUEUE_SOFT, QUEUE_SOFT_MOST);
        let queue = self.owd.queue().max(self.owd.last() - noise * 3.0);
        // What a probe put there goes by itself.
        let soft = if now < self.probed_until {
            soft + PROBED
        } else {
            soft
        };
        self.is_empty = queue < soft * QUEUE_NONE;
        if self.is_empty {
            self.queued_since = None;
            self.is_pausing = false;
        }
        let has_lost = self.loss.take_event();
        // What is left to us beside a rival is not how fast the link is.
        let apart = PACKET_BITS / (self.rival.before() / 8.0).max(number(LEAST)) * 1e6;
        let apart = (noise * NOISE).max(apart.min(serial));
        let apart = apart.clamp(QUEUE_SOFT, QUEUE_SOFT_MOST);
        let through = self.acked.rate(READ_WINDOW);
        if self.rival.look(now, (queue, apart), self.target, through) {
            if self.rival.is_evident() {
                self.owd.hold(now);
            }
            self.contend(now, (since, queue), arrived, has_lost);
        } else if queue > soft && self.has_paused() {
            // The next feedback tells more.
        } else if queue > soft {
            self.drain(now, queue, soft);
        } else if let (true, Some(arrived)) = (is_lossy, arrived) {
            self.target = self.target.min(arrived);
            self.cause = Cause::Loss;
            self.clear_since = now;
        } else {
            self.grow(now, since, arrived);
        }
        if let Some(found) = found {
            self.learn(now, found, queue > soft);
        }
        self.target = self.target.max(number(LEAST));
        self.remember(now);
    }

    /// What waited has waited for a pause: the next feedback tells whether it is over.
    fn has_paused(&mut self) -> bool {
        let is_steady = self.owd.noise() < FALL_NOISE;
        let is_new = self.cause != Cause::Queue && !self.is_pausing && is_steady;
        self.is_pausing = is_new && self.trains.has_paused(self.target);
        self.is_pausing
    }

    /// A queue stands: send less than arrives, the less the longer it is.
    fn drain(&mut self, now: Instant, queue: f64, soft: f64) {
        // A queue that rises fast is a new one: the window must not reach behind its beginning.
        let window = if queue > soft * 3.0 { 80 } else { 200 };
        // Few packets make a short window's rate rough, and too high is the costly side. Of the time
        // before the queue, what arrived is what was sent.
        let stood = now.since(*self.queued_since.get_or_insert(now));
        let long = self.acked.rate(LONG_WINDOW.min(stood + SHORT_WINDOW));
        let short = self.acked.rate(Duration::from_millis(window));
        let arrived = match (short, long) {
            (Some(short), Some(long)) => Some(short.min(long)),
            (short, long) => short.or(long),
        };
        let Some(arrived) = arrived else { return };
        // Where pictures stood in line for a moment only, what arrived is what was sent.
        let served = self.trains.rate().filter(|rate| *rate > arrived * SPARSE);
        let arrived = match served {
            // In a long queue a line keeps a target and raises none: it may be of before, or read
            // pressed together by a busy receiver, and what arrives is what the link carries.
            Some(served) if queue > LONG => served.min(self.target.max(arrived)),
            Some(served) => served,
            None => arrived,
        };
        // The newest tell of a link that has just become slower what no window shows yet.
        let arrived = match self.trains.fallen(self.target) {
            Some(fallen) if self.owd.noise() < FALL_NOISE => arrived.min(fallen),
            Some(_) | None => arrived,
        };
        let keep = (YIELD - (queue - soft) / DRAIN).clamp(DRAIN_LEAST, YIELD);
        self.target = if self.cause == Cause::Queue {
            // On its way down already: follow what arrives, both ways.
            (arrived * keep).min(self.target.max(arrived * 0.9))
        } else {
            self.target.min(arrived * keep)
        };
        // Few packets: a little more or less is how they fell, much is another link.
        self.capacity = Some(match self.capacity {
            Some(known) if (arrived / known - 1.0).abs() < ANOTHER => {
                known + (arrived - known) * 0.25
            }
            _ => arrived,
        });
        self.cause = Cause::Queue;
        self.clear_since = now;
        self.probe_next.clear();
    }

    /// Somebody else's queue stands: the target is what is fair beside it.
    fn contend(
        &mut self,
        now: Instant,
        (since, queue): (Duration, f64),
        arrived: Option<f64>,
        has_lost: bool,
    ) {
        let Some(arrived) = arrived else { return };
        let trip = self.rtt + Duration::from_secs_f64(queue / 1e6);
        let target = self.rival.target(now, self.target, (since, trip), has_lost);
        let ceiling = (arrived * 1.5 + 10_000.0).max(self.target);
        self.target = target.min(ceiling);
        self.cause = Cause::Queue;
        // What one's share of a queue was is no capacity.
        self.capacity = None;
        self.clear_since = now;
        self.probe_next.clear();
    }

    fn grow(&mut self, now: Instant, since: Duration, arrived: Option<f64>) {
        let Some(arrived) = arrived else { return };
        if self.cause == Cause::Queue {
            // Drained: back to what the path carried.
            if let Some(capacity) = self.capacity {
                self.target = self.target.max(capacity * YIELD);
            }
        }
        let used = arrived / (1.0 - self.loss.fraction().min(0.5));
        if used < self.target * USED {
            self.cause = Cause::Unused;
            return;
        }
        self.cause = Cause::Growing;
        if self.is_empty {
            let growth = (GROWTH + self.target * GROWTH_PART).min(GROWTH_MOST);
            let step = growth * since.as_secs_f64();
            let ceiling = (used * 1.5 + 10_000.0).max(self.target);
            self.target = (self.target + step).min(ceiling);
            // What comes through for a while without a queue fits, whoever allowed it. A little more
            // than the target is what goes on at the edge, and says nothing.
            if arrived > self.target * BEYOND && now.since(self.clear_since) > THROUGH {
                self.target = arrived;
            }
        }
        if self
            .capacity
            .is_some_and(|capacity| self.target > capacity * (1.0 + ANOTHER))
        {
            // More goes through than did when a queue last stood: the path has changed.
            self.capacity = None;
            self.probe_wait = PROBE_EVERY;
            self.probe_at = now;
        }
    }

    /// The receiver's clock was set: what was measured against it says nothing any more. The path
    /// is the same.
    fn far_clock_changed(&mut self) {
        self.acked.clear();
        self.owd.clear();
        self.prober.clear();
        self.rival = Rival::default();
        self.capacity = None;
        self.cause = Cause::Unused;
    }

    /// The path is another (ICE restart, other candidate): what was learned of it is void.
    pub fn path_changed(&mut self, now: Instant) {
        self.acked.clear();
        self.trains.clear();
        self.owd.clear();
        self.loss.clear();
        self.rival = Rival::default();
        self.prober.clear();
        self.path_first = self.newest + 1;
        self.rtt = RTT_FIRST;
        self.capacity = None;
        self.target = self.target.min(number(START));
        self.probe_wait = PROBE_EVERY;
        self.probe_next = VecDeque::from([self.target * 3.0, self.target * 6.0]);
        self.clear_since = now;
        self.queued_since = None;
        self.told_total = None;
        self.lows.clear();
    }

    /// Less is sent than the path carries, so that a queue of ours drains.
    fn is_drained(&self) -> bool {
        self.cause == Cause::Queue && self.target < self.carried()
    }

    /// How long a packet sent now would wait.
    fn ahead(&self) -> Duration {
        let queue = Duration::from_secs_f64(self.owd.queue() / 1e6);
        let Some(told) = self.told_total.filter(|_| self.is_drained()) else {
            return queue;
        };
        // What has arrived and was not told of yet takes a round trip and the feedback's interval.
        let bits = f64::from(self.history.sent_since(told)) * 8.0;
        let takes = Duration::from_secs_f64(bits / self.carried().max(number(LEAST)));
        queue.max(takes.saturating_sub(self.rtt + FEEDBACK))
    }

    /// What the path carries, also while less is sent so that a queue drains.
    fn carried(&self) -> f64 {
        let drained = self.capacity.filter(|_| self.cause == Cause::Queue);
        drained.map_or(self.target, |capacity| self.target.max(capacity * YIELD))
    }

    /// Keeps the least of each 25 ms for `stable`: of what the path carries, since how deep a queue
    /// made us yield says nothing of the time after it; while a long one stands, a good part of that.
    fn remember(&mut self, now: Instant) {
        let is_deep = self.cause == Cause::Queue && self.owd.queue() > DEEP;
        let part = if is_deep { DEEP_PART } else { 1.0 };
        let carried = (self.carried() * part).max(self.target);
        match self.lows.back_mut() {
            Some((at, low)) if now.since(*at) < Duration::from_millis(25) => {
                *low = low.min(carried);
            }
            _ => {
                if self.lows.len() >= STABLE_KEPT {
                    self.lows.pop_front();
                }
                self.lows.push_back((now, carried));
            }
        }
        while self
            .lows
            .front()
            .is_some_and(|(at, _)| now.since(*at) > STABLE)
        {
            self.lows.pop_front();
        }
    }

    /// What is known.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        let low = self
            .lows
            .iter()
            .map(|(_, low)| *low)
            .fold(self.target, f64::min);
        Estimate {
            fast: rate(self.target),
            carried: rate(self.carried()),
            stable: rate(low),
            queue: Duration::from_secs_f64(self.owd.queue() / 1e6),
            ahead: self.ahead(),
            loss: self.loss.fraction(),
            rtt: self.rtt,
            cause: self.cause,
        }
    }
}

/// Nothing sent for this long: no queue of ours stands any more.
const IDLE: Duration = Duration::from_millis(1_000);
/// Packets sent within this are one group, as a frame that leaves in one batch is.
const GROUP: Duration = Duration::from_millis(1);
/// Packets whose delay is looked at: pictures, not sound.
const LARGE: u32 = 400;
/// A path with less jitter than this is steady, µs.
const STEADY: f64 = 5_000.0;
/// With more jitter than this, packets come at even distances by chance, µs.
const FALL_NOISE: f64 = 8_000.0;
/// A queue that no key frame of ours alone makes, µs.
const LONG: f64 = 150_000.0;
/// A link that serves what stands in line this much faster than packets arrive is not full.
const SPARSE: f64 = 1.3;
/// A capacity that differs by this part is another.
const ANOTHER: f64 = 0.15;
/// Between two feedbacks, about.
const FEEDBACK: Duration = Duration::from_millis(60);
/// Packets credited for lost feedback at most.
const CREDITED: u64 = 1_024;
/// What comes through for so long without a queue is what fits.
const THROUGH: Duration = Duration::from_millis(500);
/// Where it is so much more than the target.
const BEYOND: f64 = 1.5;
/// Queue that a probe may leave behind, µs.
const PROBED: f64 = 30_000.0;

//! A25: hours of whatever may happen to a path. No panic, never below the least, and never low for
//! long where nothing on the way explains it.

use fastrand::Rng;
use sfu::time::{Duration, Instant};
use sfu::transport::congestion::estimator;

use super::bottleneck::{Bottleneck, Losses, Queue};
use super::flow::{App, Flow, FlowParameters};
use super::run::STEP;
use super::scenes::flow;

/// Wanted by the app that takes all it gets.
const WANTED: f64 = 4e6;
/// No estimate is ever above: what was tried bounds it.
const HIGHEST: f64 = 40e6;
/// A queue longer than this explains a low target, seconds.
const QUEUE: f64 = 0.05;
/// A target below this part of what would fit is low.
const LOW: f64 = 0.5;
/// Low for so long is stuck, seconds.
pub const STUCK: f64 = 30.0;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(25);
/// The other clock begins here, so that it may also jump back, µs.
const FAR_CLOCK: u64 = 3_600_000_000;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Looks at which a law was broken.
    pub faults: u64,
    /// The first of them.
    pub first_fault: Option<String>,
    /// The longest time that a target was low without a cause, seconds.
    pub stuck: f64,
    /// Where that was, and in what weather.
    pub stuck_in: Option<String>,
    /// Times the weather changed.
    pub changes: u64,
}

struct World {
    flow: Flow,
    queue: Queue,
    link: Bottleneck,
    random: Rng,
    wanted: f64,
    low_since: Option<Instant>,
    outcome: Outcome,
}

/// Plays so long.
#[must_use]
pub fn chance(seed: u64, lasts: Duration) -> Outcome {
    let link = Bottleneck {
        rates: vec![(Instant::ZERO, 2e6)],
        buffer: 62_500.0,
        losses: Losses::None,
        jitter: Duration::ZERO,
    };
    let (app, wanted) = if seed.is_multiple_of(2) {
        (App::Layers, 1.6e6)
    } else {
        (App::Elastic(WANTED), WANTED)
    };
    let parameters = FlowParameters {
        far_clock: FAR_CLOCK,
        ..flow(app)
    };
    let mut world = World {
        flow: Flow::new(parameters, seed),
        queue: Queue::new(link.clone(), seed),
        link,
        random: Rng::with_seed(seed),
        wanted,
        low_since: None,
        outcome: Outcome::default(),
    };
    let (mut now, end) = (Instant::ZERO, Instant::ZERO + lasts);
    let (mut look_at, mut change_at) = (now, now + Duration::from_secs(10));
    while now < end {
        world.flow.step(now, &mut world.queue);
        if now >= look_at {
            look_at = now + LOOK;
            world.look(now);
        }
        if now >= change_at {
            change_at = now + Duration::from_millis(world.random.u64(2_000..60_000));
            world.change(now);
        }
        now += STEP;
    }
    world.outcome
}

impl World {
    /// Another weather: each thing by itself.
    fn change(&mut self, now: Instant) {
        self.outcome.changes += 1;
        let random = &mut self.random;
        let parameters = &mut self.flow.parameters;
        if random.u32(..100) < 60 {
            // 100 kb/s to 10 Mb/s, each decade as often; up to half a second of queue.
            let rate = 1e5 * 10_f64.powf(random.f64() * 2.0);
            self.link.rates = vec![(Instant::ZERO, rate)];
            self.link.buffer = (rate / 8.0 * (0.05 + random.f64() * 0.45)).max(6_000.0);
        }
        self.link.losses = match random.u32(..100) {
            ..60 => Losses::None,
            60..85 => Losses::Random(random.f64() * 0.2),
            _ => Losses::Bursts {
                part: random.f64() * 0.1,
                mean: 2.0 + random.f64() * 8.0,
            },
        };
        let jitter = if random.u32(..100) < 30 { 60 } else { 1 };
        self.link.jitter = Duration::from_millis(random.u64(..jitter));
        let lossy = random.u32(..100) < 20;
        parameters.feedback_loss = if lossy { random.f64() * 0.3 } else { 0.0 };
        parameters.feedback_jitter = Duration::from_millis(random.u64(..100));
        if random.u32(..100) < 10 {
            // Up to half an hour, or a little: somebody set the clock.
            let most = if random.bool() {
                1_800_000_000
            } else {
                500_000
            };
            parameters.far_clock = FAR_CLOCK - most + random.u64(..most * 2);
        }
        let muted = random.u32(..100) < 15;
        parameters.muted =
            muted.then(|| (now, now + Duration::from_millis(random.u64(1_000..40_000))));
        let delay = Duration::from_millis(random.u64(5..150));
        match random.u32(..100) {
            ..5 => parameters.moves = Some((now, delay)),
            // Nobody says so.
            5..10 => parameters.delay = delay,
            _ => {}
        }
        self.queue.change(now, self.link.clone());
    }

    fn look(&mut self, now: Instant) {
        // Nobody judges packets here, and hours of them are many.
        self.flow.record.arrivals.clear();
        self.flow.record.departures.clear();
        let estimate = self.flow.estimator.estimate();
        let (fast, stable) = (estimate.fast, estimate.stable);
        #[expect(clippy::cast_precision_loss, reason = "rates far below 2^52")]
        let target = fast.as_bps() as f64;
        if fast < estimator::LEAST || stable > fast || target > HIGHEST {
            self.outcome.faults += 1;
            let fault = || format!("{now:?}: {estimate:?}");
            self.outcome.first_fault.get_or_insert_with(fault);
        }
        let fits = self.queue.rate(now).min(self.wanted);
        let muted = self.flow.parameters.muted;
        let is_muted = muted.is_some_and(|(_, until)| now < until);
        let waits = self.queue.wait(now).as_secs_f64();
        if target >= fits * LOW || is_muted || waits > QUEUE {
            self.low_since = None;
            return;
        }
        let since = *self.low_since.get_or_insert(now);
        let lasts = now.since(since).as_secs_f64();
        if lasts > self.outcome.stuck {
            self.outcome.stuck = lasts;
            let (link, parameters) = (&self.link, self.flow.parameters);
            self.outcome.stuck_in = (lasts > STUCK)
                .then(|| format!("from {since:?}: {link:?} {parameters:?} {estimate:?}"));
        }
    }
}

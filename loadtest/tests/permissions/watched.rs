//! Robots that publish and talk, and what one of them received, seen from outside.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use loadtest::net::{Clock, Seat, Wire};
use loadtest::robot::publication::PublishParameters;
use loadtest::robot::{Message, Robot};
use sfu::time::{Duration, Instant};
use str0m::channel::ChannelConfig;

use crate::node::{PATIENCE, QUIET};

/// Longer than any test.
const LIFE: Duration = Duration::from_secs(600);
/// Between two messages of one who talks.
const TALK_EVERY: Duration = Duration::from_millis(20);

/// What of all that arrives is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counted {
    /// Packets of every track.
    Packets,
    /// Packets of tracks with this number among their publisher's.
    Track(u8),
    /// Messages of data channels.
    Messages,
}

/// What a robot received so far, seen from outside while it runs.
#[derive(Debug)]
pub(crate) struct Watched {
    counted: Counted,
    is_connected: AtomicBool,
    count: AtomicU64,
    /// Of the last one, in microseconds of the clock.
    last_at: AtomicU64,
}

impl Watched {
    fn look(&self, robot: &mut Robot, now: Instant) {
        if robot.is_connected() {
            self.is_connected.store(true, Ordering::Release);
        }
        let before = self.count();
        let count = match self.counted {
            Counted::Messages => {
                let messages = std::iter::from_fn(|| robot.poll_message());
                before + messages.count() as u64
            }
            Counted::Packets => robot
                .receiver()
                .sources()
                .values()
                .map(|it| it.packets)
                .sum(),
            Counted::Track(number) => {
                let sources = robot.receiver().sources().iter();
                let tracks = sources.filter(|((_, track), _)| *track == number);
                tracks.map(|(_, received)| received.packets).sum()
            }
        };
        if count != before {
            // The time first: whoever sees the count takes it for that one's.
            self.last_at.store(now.as_micros(), Ordering::Release);
            self.count.store(count, Ordering::Release);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    fn last_at(&self) -> Instant {
        Instant::from_micros(self.last_at.load(Ordering::Acquire))
    }
}

/// Starts a robot that publishes what it is given; what it receives is watched.
pub(crate) async fn robot(
    number: u32,
    clock: Clock,
    near: Wire,
    publishes: &[PublishParameters],
) -> Arc<Watched> {
    let mut seat = seat(number, clock).await;
    let now = seat.now();
    seat.robot.publish_all(now, publishes);
    live(seat, near, clock, Counted::Packets)
}

/// Starts a robot that publishes nothing; what it receives of one kind is watched.
pub(crate) async fn listener(
    number: u32,
    clock: Clock,
    near: Wire,
    counted: Counted,
) -> Arc<Watched> {
    live(seat(number, clock).await, near, clock, counted)
}

/// Starts a robot that sends a message now and now, by a data channel of its own.
pub(crate) async fn talker(number: u32, clock: Clock, mut near: Wire) {
    let mut seat = seat(number, clock).await;
    let config = ChannelConfig {
        label: "talk".to_owned(),
        ..ChannelConfig::default()
    };
    seat.robot.open_channel(clock.now(), config);
    drop(tokio::spawn(async move {
        let message = Message {
            label: "talk".to_owned(),
            text: true,
            payload: b"still here".to_vec(),
        };
        let mut due_at = clock.now();
        let driven = seat.drive(&mut near, clock.now() + LIFE, |robot| {
            let now = clock.now();
            if due_at <= now {
                robot.send_message(now, &message);
                due_at = now + TALK_EVERY;
            }
            false
        });
        drop(driven.await);
    }));
}

async fn seat(number: u32, clock: Clock) -> Seat {
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let seat = Seat::open(number, u64::from(number), clock, ip).await;
    seat.unwrap()
}

fn live(mut seat: Seat, mut near: Wire, clock: Clock, counted: Counted) -> Arc<Watched> {
    let watched = Arc::new(Watched {
        counted,
        is_connected: AtomicBool::new(false),
        count: AtomicU64::new(0),
        last_at: AtomicU64::new(0),
    });
    let seen = Arc::clone(&watched);
    drop(tokio::spawn(async move {
        let driven = seat.drive(&mut near, clock.now() + LIFE, |robot| {
            seen.look(robot, clock.now());
            false
        });
        drop(driven.await);
    }));
    watched
}

/// Waits until a robot is there: only then does silence say that something does not pass.
pub(crate) async fn connected(watched: &Watched, clock: Clock, what: &str) {
    let began_at = clock.now();
    while !watched.is_connected.load(Ordering::Acquire) {
        assert!(clock.now().since(began_at) < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until more arrives; when the first of it did.
pub(crate) async fn more(watched: &Watched, clock: Clock, what: &str) -> Instant {
    let (before, began_at) = (watched.count(), clock.now());
    while watched.count() <= before {
        assert!(clock.now().since(began_at) < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    watched.last_at()
}

/// Waits until nothing has arrived for a while; when the last of it did.
pub(crate) async fn quiet(watched: &Watched, clock: Clock, what: &str) -> Instant {
    let began_at = clock.now();
    while clock.now().since(watched.last_at().max(began_at)) < QUIET {
        assert!(clock.now().since(began_at) < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    watched.last_at()
}

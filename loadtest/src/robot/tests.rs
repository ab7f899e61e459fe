//! Two robots and nothing else: what they find wrong is not the server's fault.

use super::*;
use crate::sim::link::{Chance, LinkParameters};
use str0m::channel::Reliability;
use support::Pair;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn two_robots_hear_and_see_each_other() {
    let mut pair = Pair::new(1, LinkParameters::with_delay(Duration::from_millis(20)));
    pair.publish_from_both();
    pair.run_for(5 * SECOND);
    for robot in &pair.robots {
        assert_eq!(robot.failure(), None);
        assert!(
            robot
                .connected_at()
                .is_some_and(|at| at < Instant::from_millis(500))
        );
        assert_eq!(robot.receiver().spoiled(), 0);
        let frames: Vec<u64> = robot
            .receiver()
            .sources()
            .values()
            .map(|it| it.decoded)
            .collect();
        assert!(
            matches!(frames[..], [audio, video] if audio > 200 && video > 120),
            "{frames:?}"
        );
    }
}

#[test]
fn a_lost_packet_is_sent_again() {
    let lossy = LinkParameters {
        loss: Chance::percent(5),
        ..LinkParameters::with_delay(Duration::from_millis(20))
    };
    let mut pair = Pair::new(2, lossy);
    pair.publish_from_both();
    pair.run_for(10 * SECOND);
    for robot in &pair.robots {
        let video = robot.receiver().sources().values().nth(1).expect("video");
        assert!(video.decoded > 250, "{video:?}");
        assert!(pair.links.iter().all(|link| link.stats().lost > 40));
    }
}

#[test]
fn a_robot_that_has_lost_too_much_asks_for_a_key_frame_and_gets_it() {
    let mut pair = Pair::new(3, LinkParameters::with_delay(Duration::from_millis(20)));
    pair.publish_from_both();
    pair.run_for(2 * SECOND);
    pair.links.iter_mut().for_each(|link| link.set_cut(true));
    pair.run_for(2 * SECOND);
    pair.links.iter_mut().for_each(|link| link.set_cut(false));
    pair.run_for(3 * SECOND);
    for robot in &pair.robots {
        let video = robot.receiver().sources().values().nth(1).expect("video");
        assert!(
            video.keyframes >= 2 && robot.receiver().keyframe_requests() >= 1,
            "{video:?}"
        );
        assert!(
            video
                .last_decoded_at
                .is_some_and(|at| at > Instant::from_millis(6_900))
        );
    }
}

#[test]
fn the_same_seed_makes_the_same_robots() {
    let run = |seed| {
        let mut pair = Pair::new(seed, LinkParameters::with_delay(Duration::from_millis(20)));
        pair.publish_from_both();
        pair.run_for(3 * SECOND);
        pair.signals
    };
    let signals = run(4);
    assert_eq!(signals, run(4));
    assert_ne!(signals, run(5));
}

#[test]
fn messages_arrive_in_all_modes() {
    let mut pair = Pair::new(6, LinkParameters::with_delay(Duration::from_millis(20)));
    let modes = [
        ("reliable", true, Reliability::Reliable),
        ("unordered", false, Reliability::Reliable),
        (
            "lifetime",
            true,
            Reliability::MaxPacketLifetime { lifetime: 500 },
        ),
        (
            "once",
            false,
            Reliability::MaxRetransmits { retransmits: 0 },
        ),
    ];
    for (label, ordered, reliability) in modes {
        let label = label.to_owned();
        let config = ChannelConfig {
            label,
            ordered,
            reliability,
            ..ChannelConfig::default()
        };
        pair.robots[0].open_channel(Instant::ZERO, config);
    }
    pair.run_for(2 * SECOND);
    let (sent, mut received) = (["reliable", "unordered", "lifetime", "once"], Vec::new());
    for label in sent {
        let payload = label.as_bytes().repeat(1_000);
        let message = Message {
            label: label.to_owned(),
            text: false,
            payload,
        };
        assert!(pair.robots[0].send_message(pair.now, &message), "{label}");
        pair.run_for(SECOND);
        received.extend(
            pair.robots[1]
                .poll_message()
                .filter(|it| *it == message)
                .map(|it| it.label),
        );
    }
    assert_eq!(received, sent);
}

mod support {
    use super::*;
    use crate::sim::link::Link;

    /// Two robots, a link each way, and signals that arrive at once.
    pub(super) struct Pair {
        pub(super) robots: [Robot; 2],
        /// By the robot that sends.
        pub(super) links: [Link; 2],
        pub(super) signals: Vec<Signal>,
        pub(super) now: Instant,
        flying: Vec<(Instant, usize, Transmit)>,
        sent: u64,
    }

    impl Pair {
        #[expect(
            clippy::disallowed_methods,
            reason = "the stack counts from some moment of its own"
        )]
        pub(super) fn new(seed: u64, parameters: LinkParameters) -> Self {
            let epoch = std::time::Instant::now();
            let robot = |number: u32| {
                let address = ([10, 0, 0, u8::try_from(number).unwrap()], 4_000).into();
                let seed = seed << 8 | u64::from(number);
                let parameters = RobotParameters {
                    number,
                    seed,
                    address,
                    epoch,
                    traced: false,
                    takes_copies: false,
                    patience: PATIENCE,
                };
                Robot::new(parameters, Instant::ZERO).expect("a robot")
            };
            Self {
                robots: [robot(1), robot(2)],
                links: [Link::new(parameters, seed), Link::new(parameters, !seed)],
                signals: Vec::new(),
                now: Instant::ZERO,
                flying: Vec::new(),
                sent: 0,
            }
        }

        /// One after the other: at once would be glare, and both of them are polite.
        pub(super) fn publish_from_both(&mut self) {
            for index in [0, 1] {
                self.robots[index].publish(self.now, PublishParameters::audio());
                self.carry();
                self.carry();
                self.robots[index].publish(self.now, PublishParameters::video(2));
                self.carry();
                self.carry();
            }
        }

        pub(super) fn run_for(&mut self, duration: Duration) {
            let until = self.now + duration;
            while self.step(until) {}
            self.now = until;
        }

        fn step(&mut self, until: Instant) -> bool {
            self.carry();
            let arrivals = self.flying.iter().map(|it| it.0);
            let timeouts = self.robots.iter().filter_map(Robot::poll_timeout);
            let Some(next) = arrivals.chain(timeouts).min().filter(|at| *at <= until) else {
                return false;
            };
            self.now = self.now.max(next);
            let due = self.flying.iter().position(|it| it.0 <= self.now);
            if let Some((_, to, transmit)) = due.map(|index| self.flying.remove(index)) {
                self.robots[to].handle_datagram(self.now, transmit.source, &transmit.bytes);
            }
            for robot in &mut self.robots {
                if robot.poll_timeout().is_some_and(|at| at <= self.now) {
                    robot.handle_timeout(self.now);
                }
            }
            true
        }

        fn carry(&mut self) {
            for from in [0, 1] {
                let to = 1 - from;
                while let Some(signal) = self.robots[from].poll_signal() {
                    self.robots[to].handle_signal(self.now, &signal);
                    self.signals.push(signal);
                }
                while let Some(transmit) = self.robots[from].poll_transmit() {
                    self.sent += 1;
                    let arrivals = self.links[from].send(self.now, transmit.bytes.len(), self.sent);
                    for arrival in arrivals.into_iter().flatten() {
                        self.flying.push((arrival, to, transmit.clone()));
                    }
                }
            }
            self.flying.sort_by_key(|it| it.0);
        }
    }
}

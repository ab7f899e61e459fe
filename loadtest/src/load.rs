//! The load generator: robots in rooms of a running server, over its WebSocket and UDP.

use std::net::{IpAddr, Ipv4Addr};

use sfu::time::{Duration, Instant};
use tokio::task::JoinSet;

use crate::net::websocket::{Ticket, join};
use crate::net::{Clock, NetError, Seat};
use crate::report::{Process, Report};
use crate::robot::Robot;
use crate::robot::publication::PublishParameters;

/// Robots of one run.
pub const ROBOTS_MAX: u32 = 2_000;
/// Who has not connected by then has failed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How much of it.
#[derive(Clone, Debug)]
pub struct LoadParameters {
    /// The server's `/v1/connect`.
    pub url: String,
    /// Rooms.
    pub rooms: u32,
    /// Participants of each.
    pub participants: u32,
    /// Those among them who publish.
    pub publishers: u32,
    /// How long media flows once all have been started.
    pub seconds: u32,
    /// Packets of a video frame; 0: no video.
    pub video_packets: u16,
    /// Between two joins.
    pub join_interval: Duration,
    /// The server's process, for its CPU time.
    pub pid: Option<u32>,
    /// All chance of the robots.
    pub seed: u64,
}

/// Runs it. Robots that fail are in the report.
pub async fn run(parameters: &LoadParameters) -> Report {
    let clock = Clock::start();
    let robots = parameters
        .rooms
        .saturating_mul(parameters.participants)
        .min(ROBOTS_MAX);
    let starting = parameters.join_interval * robots;
    let until = clock.now() + starting + Duration::from_secs(u64::from(parameters.seconds));
    let (server_before, own_before) = (look(parameters.pid), Process::own());
    let mut tasks = JoinSet::new();
    for number in 0..robots {
        let delay = parameters.join_interval * number;
        let attendance = Attendance::new(parameters, number, clock, until);
        tasks.spawn(async move {
            tokio::time::sleep(delay).await;
            attendance.attend().await
        });
    }
    let mut report = Report {
        rooms: parameters.rooms,
        participants: robots,
        seconds: f64::from(parameters.seconds),
        ..Report::default()
    };
    while let Some(attended) = tasks.join_next().await {
        match attended {
            Ok(Ok((robot, joined_after))) => report.add(&robot, joined_after),
            Ok(Err(error)) => report.failures.push(error.to_string()),
            Err(error) => report.failures.push(error.to_string()),
        }
    }
    report.server_cpu = match (server_before, look(parameters.pid)) {
        (Some(before), Some(after)) => Some(after.cpu.saturating_sub(before.cpu)),
        (_, _) => None,
    };
    report.own_cpu = Process::own().cpu.saturating_sub(own_before.cpu);
    report
}

fn look(pid: Option<u32>) -> Option<Process> {
    pid.and_then(Process::look)
}

/// One robot's part.
struct Attendance {
    ticket: Ticket,
    number: u32,
    seed: u64,
    publishes: bool,
    video_packets: u16,
    clock: Clock,
    until: Instant,
}

impl Attendance {
    fn new(parameters: &LoadParameters, number: u32, clock: Clock, until: Instant) -> Self {
        let (room, place) = (
            number / parameters.participants.max(1),
            number % parameters.participants.max(1),
        );
        Self {
            ticket: Ticket {
                url: parameters.url.clone(),
                room: format!("load-{room}"),
                participant: format!("robot-{number}"),
                token: None,
            },
            number,
            seed: parameters.seed ^ (u64::from(number) << 32),
            publishes: place < parameters.publishers,
            video_packets: parameters.video_packets,
            clock,
            until,
        }
    }

    async fn attend(self) -> Result<(Robot, Duration), NetError> {
        let began_at = self.clock.now();
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut wire = join(&self.ticket).await?;
        let mut seat = Seat::open(self.number, self.seed, self.clock, ip).await?;
        let now = seat.now();
        if self.publishes {
            seat.robot.publish(now, PublishParameters::audio());
            if self.video_packets > 0 {
                seat.robot
                    .publish(now, PublishParameters::video(self.video_packets));
            }
        }
        // Who publishes nothing gets the server's offers as soon as others publish.
        let deadline = if self.publishes {
            now + CONNECT_TIMEOUT
        } else {
            self.until
        };
        let connected = seat
            .drive(&mut wire, deadline, |robot| robot.is_connected())
            .await?;
        if !connected {
            return Err(NetError::GaveUp(
                self.number,
                "not connected in time".to_owned(),
            ));
        }
        let joined_after = seat
            .robot
            .connected_at()
            .unwrap_or(began_at)
            .since(began_at);
        seat.drive(&mut wire, self.until, |_| false).await?;
        Ok((seat.robot, joined_after))
    }
}

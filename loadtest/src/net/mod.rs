#![expect(
    clippy::disallowed_methods,
    reason = "this is the shell: the one place in the crate where a robot meets a real clock"
)]
//! World two: the same robots on real sockets, in real time.
//!
//! | file | what it is |
//! |---|---|
//! | `mod` | one robot on one UDP socket |
//! | [`engine`] | its signaling by an engine in this process |
//! | [`backend`] | its signaling by an app backend, over gRPC |
//! | [`websocket`] | its signaling by a server's WebSocket |

pub mod backend;
pub mod engine;
pub mod websocket;

use std::io;
use std::net::{IpAddr, SocketAddr};

use sfu::time::{Duration, Instant};
use str0m::RtcError;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::robot::{Robot, RobotParameters, Signal};

/// Signals that may wait, each way.
const SIGNALS: usize = 64;
/// Datagrams taken from a socket before the robot's own timers get their turn.
const BATCH: usize = 64;
/// The longest sleep; a robot without a timer is looked at this often.
const SLEEP_MAX: Duration = Duration::from_millis(100);

/// Why a robot on real sockets could not go on.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The socket.
    #[error("socket: {0}")]
    Socket(#[from] io::Error),
    /// The robot's stack.
    #[error("robot: {0}")]
    Robot(#[from] RtcError),
    /// Its stack would not take something.
    #[error("robot {0} gave up: {1}")]
    GaveUp(u32, String),
    /// The other end of its signaling is gone.
    #[error("the signaling has ended: {0}")]
    Signaling(String),
}

/// Real time as the robots count it: one clock for all of them, so that a stamp made by one can
/// be read by another.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: std::time::Instant,
}

impl Clock {
    /// Now is [`Instant::ZERO`].
    #[must_use]
    pub fn start() -> Self {
        Self {
            epoch: std::time::Instant::now(),
        }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Instant {
        let micros = self.epoch.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

/// A robot's end of its signaling.
#[derive(Debug)]
pub struct Wire {
    /// What the server says.
    pub incoming: mpsc::Receiver<Signal>,
    /// What the robot says.
    pub outgoing: mpsc::Sender<Signal>,
}

/// The server's end of it.
#[derive(Debug)]
pub struct FarWire {
    /// What the robot says.
    pub incoming: mpsc::Receiver<Signal>,
    /// What the server says.
    pub outgoing: mpsc::Sender<Signal>,
}

/// Both ends of a robot's signaling.
#[must_use]
pub fn wire() -> (Wire, FarWire) {
    let (down, incoming) = mpsc::channel(SIGNALS);
    let (outgoing, up) = mpsc::channel(SIGNALS);
    (
        Wire { incoming, outgoing },
        FarWire {
            incoming: up,
            outgoing: down,
        },
    )
}

/// One robot on one UDP socket.
#[derive(Debug)]
pub struct Seat {
    /// The robot.
    pub robot: Robot,
    socket: UdpSocket,
    clock: Clock,
    buffer: Vec<u8>,
}

impl Seat {
    /// A robot on a fresh port of `ip`.
    ///
    /// # Errors
    /// No port, or no robot.
    pub async fn open(number: u32, seed: u64, clock: Clock, ip: IpAddr) -> Result<Self, NetError> {
        let socket = UdpSocket::bind(SocketAddr::new(ip, 0)).await?;
        let address = socket.local_addr()?;
        let parameters = RobotParameters {
            number,
            seed,
            address,
            epoch: clock.epoch,
            traced: false,
            takes_copies: false,
            patience: crate::robot::PATIENCE,
        };
        let robot = Robot::new(parameters, clock.now())?;
        Ok(Self {
            robot,
            socket,
            clock,
            buffer: vec![0; 2_048],
        })
    }

    /// Now, on the robot's clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Lets the robot live until `done` says so (true) or until `until` (false).
    ///
    /// # Errors
    /// The robot cannot go on.
    pub async fn drive(
        &mut self,
        wire: &mut Wire,
        until: Instant,
        mut done: impl FnMut(&mut Robot) -> bool,
    ) -> Result<bool, NetError> {
        loop {
            self.flush(wire).await?;
            if let Some(failure) = self.robot.failure() {
                return Err(NetError::GaveUp(self.robot.number(), failure.to_owned()));
            }
            if done(&mut self.robot) {
                return Ok(true);
            }
            let now = self.clock.now();
            if now >= until {
                return Ok(false);
            }
            let wake = self
                .robot
                .poll_timeout()
                .map_or(SLEEP_MAX, |at| at.since(now));
            let sleep = wake.min(SLEEP_MAX).min(until.since(now));
            tokio::select! {
                biased;
                signal = wire.incoming.recv() => match signal {
                    Some(signal) => self.robot.handle_signal(self.clock.now(), &signal),
                    None => return Err(NetError::Signaling("closed by the other end".to_owned())),
                },
                () = tokio::time::sleep(sleep), if !sleep.is_zero() => {}
                readable = self.socket.readable() => {
                    readable?;
                    self.receive();
                }
                () = std::future::ready(()), if sleep.is_zero() => self.receive(),
            }
            let now = self.clock.now();
            if self.robot.poll_timeout().is_some_and(|at| at <= now) {
                self.robot.handle_timeout(now);
            }
        }
    }

    /// Takes what the socket holds, up to a batch.
    fn receive(&mut self) {
        for _ in 0..BATCH {
            let Ok((length, source)) = self.socket.try_recv_from(&mut self.buffer) else {
                return;
            };
            let bytes = self.buffer.get(..length).unwrap_or_default();
            self.robot.handle_datagram(self.clock.now(), source, bytes);
        }
    }

    async fn flush(&mut self, wire: &Wire) -> Result<(), NetError> {
        while let Some(transmit) = self.robot.poll_transmit() {
            match self
                .socket
                .send_to(&transmit.bytes, transmit.destination)
                .await
            {
                // Nobody listens there any more: what a network would lose as well.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                sent => drop(sent?),
            }
        }
        while let Some(signal) = self.robot.poll_signal() {
            if wire.outgoing.send(signal).await.is_err() {
                return Err(NetError::Signaling("closed by the other end".to_owned()));
            }
        }
        while self.robot.poll_observed().is_some() {}
        Ok(())
    }
}

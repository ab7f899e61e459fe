//! The only I/O of this crate: threads, sockets, clocks, queues around pure shards. One OS thread
//! and one UDP port per shard; nothing is shared between them.
//!
//! | file | what it is |
//! |---|---|
//! | [`config`] | what the engine is told at its start |
//! | [`address`] | which addresses browsers are told |
//! | [`handle`] | how the async world asks shards |
//! | `driver` | one shard's loop: receive, feed, depart, send, sleep |
//! | `socket` | batches in by GRO, runs out by GSO, local addresses |
//! | `bundle` | runs of many destinations with one call |
//! | `pipe` | packets between shards |
//! | `clock` | the one reading of real time; the deadline timer |
//! | [`stats`] | counters of sockets and threads |

#![expect(
    clippy::disallowed_methods,
    reason = "the engine is where clocks are read and threads are made"
)]

pub mod address;
mod bundle;
mod clock;
pub mod config;
mod driver;
pub mod handle;
mod pipe;
mod socket;
pub mod stats;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::error::CommandError;
use crate::limits::{EVENT_QUEUE, INBOX_COMMANDS};
use crate::shard::{Event, Shard, ShardConfig};
use crate::transport::Identity;

use clock::Clock;
pub use config::{Advertised, EngineConfig};
use driver::{Driver, Ended};
pub use handle::{CallError, EngineHandle, ShardInspection};
use handle::{ShardDoor, Threads};
pub use stats::IoStats;

/// Why the engine did not start. Each names the cure.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// `udp` is empty.
    #[error("udp names no address; give at least one, such as 0.0.0.0:10000")]
    NoAddress,
    /// Entries of `udp` differ in their port.
    #[error("the addresses of udp must all have the same port: it is shard 0's")]
    PortsDiffer,
    /// More addresses than anybody needs.
    #[error("{key} names more than {max} addresses")]
    TooManyAddresses {
        /// The configuration key.
        key: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// `shards` out of range.
    #[error("shards is {asked}; it must be 1 to {max}")]
    Shards {
        /// What was asked for.
        asked: usize,
        /// `SHARDS`.
        max: usize,
    },
    /// The last shards would have no port.
    #[error(
        "{shards} shards need as many ports from {base} on, and they end at 65535; choose a lower port"
    )]
    PortRange {
        /// The port of shard 0.
        base: u16,
        /// How many shards.
        shards: usize,
    },
    /// The certificate or its key cannot be used.
    #[error("the node's certificate cannot be used: {0}; it must be ECDSA P-256, key in PKCS #8")]
    Identity(CommandError),
    /// The kernel refused an address.
    #[error("cannot bind UDP {address}: {source}; {cure}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
        /// What helps.
        cure: &'static str,
    },
    /// The kernel refused something else.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Starts engines.
#[derive(Debug)]
pub struct Engine;

impl Engine {
    /// Binds every port, then starts one thread per shard. The receivers are the shards' news, in
    /// the order of shards; who does not read them delays news, not media.
    ///
    /// # Errors
    /// Nothing was started then.
    pub fn start(
        config: EngineConfig,
        identity: Arc<Identity>,
    ) -> Result<(EngineHandle, Vec<mpsc::Receiver<Event>>), EngineError> {
        let count = config.check()?;
        let clock = Clock::start();
        let host = match config.offer_host {
            true => address::host_addresses(),
            false => Vec::new(),
        };
        let (stop, stopped) = watch::channel(false);
        let (alive, all_ended) = mpsc::channel(1);
        let (mut drivers, mut doors, mut news) = (Vec::new(), Vec::new(), Vec::new());
        for (index, pipes) in pipe::join(count).into_iter().enumerate() {
            let bound = socket::bind(&config, index)?;
            let local: Vec<SocketAddr> = bound.iter().map(|socket| socket.address).collect();
            let candidates = address::candidates(
                index,
                &local,
                &config.advertise,
                &host,
                config.offer_loopback,
            );
            tracing::info!(shard = index, ?local, ?candidates, "shard listens");
            if candidates.is_empty() {
                tracing::warn!(
                    shard = index,
                    "no address a browser can reach; set --advertise"
                );
            }
            let shard = Shard::new(
                ShardConfig {
                    index: u16::try_from(index).unwrap_or(u16::MAX),
                    candidates: candidates.clone(),
                    identity: Arc::clone(&identity),
                    clock: clock.server_clock(),
                },
                seed()?,
                clock.now(),
            )
            .map_err(EngineError::Identity)?;
            let (inbox, orders) = mpsc::channel(INBOX_COMMANDS);
            let (events, reader) = mpsc::channel(EVENT_QUEUE);
            doors.push(ShardDoor { inbox, candidates });
            news.push(reader);
            drivers.push(Driver::prepare(driver::Parts {
                index,
                shard,
                bound,
                clock,
                orders,
                events,
                stopped: stopped.clone(),
                pipes,
            })?);
        }
        let mut joins = Vec::with_capacity(count);
        for (index, driver) in drivers.into_iter().enumerate() {
            joins.push(spawn(index, driver, alive.clone())?);
        }
        let threads = Threads {
            joins,
            alive: all_ended,
        };
        Ok((EngineHandle::new(doors, stop, threads), news))
    }
}

/// One shard's thread. `alive` is dropped at its very end.
fn spawn(
    index: usize,
    driver: driver::Prepared,
    alive: mpsc::Sender<()>,
) -> Result<std::thread::JoinHandle<()>, EngineError> {
    std::thread::Builder::new()
        .name(format!("shard-{index}"))
        .spawn(move || {
            let ended = driver.run();
            if ended == Ended::TooManyPanics {
                // A shard that keeps failing would keep its browsers in a dead meeting; without the
                // process they go elsewhere, and whoever supervises it starts a fresh one.
                tracing::error!(
                    shard = index,
                    "too many panics in a minute; the process ends"
                );
                std::process::exit(70);
            }
            drop(alive);
        })
        .map_err(|source| EngineError::System {
            what: "start a shard's thread",
            source,
        })
}

/// The root of all chance in one shard.
fn seed() -> Result<[u8; 32], EngineError> {
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed).map_err(|_| EngineError::System {
        what: "draw random bytes from the operating system",
        source: io::Error::other("the random source failed"),
    })?;
    Ok(seed)
}

//! A shard: a pure function of (datagram | command | port message | time) to (datagrams | replies |
//! port messages | events). Joins transports and routers; no I/O.
//!
//! | file | what it is |
//! |---|---|
//! | [`command`] | what is asked, and the answers |
//! | [`event`] | what the world is told |
//! | [`negotiation`] | the JSEP state machine of one participant |
//! | [`stats`] | counters and table sizes |

pub mod command;
pub mod event;
pub mod negotiation;
pub mod stats;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::error::{CommandError, DropReason};
use crate::outbox::Outbox;
use crate::path::{Ecn, LocalId, Path};
use crate::time::{Instant, ServerClock};
use crate::transport::Identity;

pub use command::{Command, Reply};
pub use event::Event;
pub use stats::{ShardStats, TableSizes};

/// What a shard is told once.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Its number; first bytes of every ufrag.
    pub index: u16,
    /// Where browsers are told to send: host candidates, best first.
    pub candidates: Vec<SocketAddr>,
    /// The node's certificate.
    pub identity: Arc<Identity>,
    /// The server's clock.
    pub clock: ServerClock,
}

/// A datagram that arrived.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// Where it came from and arrived.
    pub path: Path,
    /// Kernel's time where known.
    pub arrived_at: Instant,
    /// Its ECN bits.
    pub ecn: Ecn,
    /// UDP payload; decrypted in place.
    pub bytes: &'a mut [u8],
}

/// Whether a departure is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departed {
    /// Nothing more to send now.
    Done,
    /// The outbox is full: send it, clear it, call again.
    Full,
}

/// One thread's share of the rooms.
#[derive(Debug)]
pub struct Shard {
    config: ShardConfig,
    stats: ShardStats,
}

impl Shard {
    /// An empty shard. All its chance comes from `seed`.
    ///
    /// # Errors
    /// The certificate cannot be used.
    pub fn new(config: ShardConfig, _seed: [u8; 32], _now: Instant) -> Result<Self, CommandError> {
        Ok(Self {
            config,
            stats: ShardStats::default(),
        })
    }

    /// A bug panicked in the midst of a room: the room falls, the shard stands.
    pub fn discard_current_room(&mut self, _now: Instant) {}

    /// A datagram arrived.
    pub fn handle_datagram(&mut self, _now: Instant, datagram: Datagram<'_>) {
        self.stats.datagrams_in += 1;
        self.stats.bytes_in += datagram.bytes.len() as u64;
        self.stats.dropped.count(DropReason::Unclassified);
    }

    /// A local address or connection is gone.
    pub fn handle_path_closed(&mut self, _now: Instant, _local: LocalId) {}

    /// Carries out a command.
    ///
    /// # Errors
    /// Why not; nothing has changed then.
    pub fn handle_command(
        &mut self,
        _now: Instant,
        _command: Command,
    ) -> Result<Reply, CommandError> {
        Err(CommandError::Closed)
    }

    /// Whatever is due by `now` is done.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// Fills `outbox` with what may leave now.
    pub fn depart(&mut self, _now: Instant, _outbox: &mut Outbox) -> Departed {
        Departed::Done
    }

    /// When [`Shard::handle_timeout`] (then [`Shard::depart`]) wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The next piece of news.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// Counters so far.
    #[must_use]
    pub const fn stats(&self) -> &ShardStats {
        &self.stats
    }

    /// How full the tables are.
    #[must_use]
    pub fn sizes(&self) -> TableSizes {
        TableSizes::default()
    }

    /// What the shard was told at its start.
    #[must_use]
    pub const fn config(&self) -> &ShardConfig {
        &self.config
    }
}

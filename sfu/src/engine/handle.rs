//! How the async world talks to shards: bounded inboxes, oneshot replies. A full inbox is an
//! answer ([`CallError::Busy`]), never a wait.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{Mutex, mpsc, oneshot, watch};

use super::stats::IoStats;
use crate::error::CommandError;
use crate::shard::command::{Command, Inspection, Reply};

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The shard's inbox holds `INBOX_COMMANDS`; try again later.
    #[error("the shard has too much to do; try again")]
    Busy,
    /// The engine is going down, or the command ended in a bug.
    #[error("the shard is closing")]
    Closed,
    /// The shard refused.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// What waits in an inbox.
#[derive(Debug)]
pub(super) enum Order {
    /// A command and where its reply goes.
    Command {
        command: Command,
        reply: oneshot::Sender<Result<Reply, CommandError>>,
    },
    /// Counters of shard and sockets.
    Inspect {
        reply: oneshot::Sender<ShardInspection>,
    },
}

/// Counters of one shard and its shell.
#[derive(Clone, Debug)]
pub struct ShardInspection {
    /// The shard's own counters and table sizes.
    pub inspection: Inspection,
    /// Its sockets' counters.
    pub io: IoStats,
}

/// One shard, as its callers see it.
#[derive(Debug)]
pub(super) struct ShardDoor {
    pub(super) inbox: mpsc::Sender<Order>,
    /// Candidates its browsers are told.
    pub(super) candidates: Vec<SocketAddr>,
}

#[derive(Debug)]
struct Shared {
    doors: Vec<ShardDoor>,
    addresses: Vec<Vec<SocketAddr>>,
    stop: watch::Sender<bool>,
    threads: Mutex<Threads>,
}

/// What there is to wait for at the end.
#[derive(Debug)]
pub(super) struct Threads {
    pub(super) joins: Vec<JoinHandle<()>>,
    /// Every thread holds a sender until it is through; nothing is ever sent.
    pub(super) alive: mpsc::Receiver<()>,
}

/// The way to the shards. Cheap to clone; the engine lives until [`EngineHandle::shutdown`] or
/// until the last clone is gone.
#[derive(Clone, Debug)]
pub struct EngineHandle(Arc<Shared>);

impl EngineHandle {
    pub(super) fn new(doors: Vec<ShardDoor>, stop: watch::Sender<bool>, threads: Threads) -> Self {
        let addresses = doors.iter().map(|door| door.candidates.clone()).collect();
        Self(Arc::new(Shared {
            doors,
            addresses,
            stop,
            threads: Mutex::new(threads),
        }))
    }

    /// How many shards there are; they are numbered from 0.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.0.doors.len()
    }

    /// What browsers are told, shard by shard, best first. An empty list: nothing a browser could
    /// reach was found, and the node is not ready.
    #[must_use]
    pub fn addresses(&self) -> &[Vec<SocketAddr>] {
        &self.0.addresses
    }

    /// Asks `shard` and waits for its reply.
    ///
    /// # Errors
    /// At once where the inbox is full or closed; else what the shard says.
    pub async fn call(&self, shard: usize, command: Command) -> Result<Reply, CallError> {
        let (reply, answer) = oneshot::channel();
        self.put(shard, Order::Command { command, reply })?;
        Ok(answer.await.map_err(|_| CallError::Closed)??)
    }

    /// Asks `shard` without waiting for the reply, for callers that cannot wait.
    ///
    /// # Errors
    /// The inbox is full or closed.
    pub fn post(&self, shard: usize, command: Command) -> Result<(), CallError> {
        let (reply, _unread) = oneshot::channel();
        self.put(shard, Order::Command { command, reply })
    }

    /// Counters and table sizes of every shard, in their order.
    ///
    /// # Errors
    /// A shard is too busy to say, or closing.
    pub async fn inspect(&self) -> Result<Vec<ShardInspection>, CallError> {
        let mut answers = Vec::with_capacity(self.shards());
        for shard in 0..self.shards() {
            let (reply, answer) = oneshot::channel();
            self.put(shard, Order::Inspect { reply })?;
            answers.push(answer);
        }
        let mut inspections = Vec::with_capacity(answers.len());
        for answer in answers {
            inspections.push(answer.await.map_err(|_| CallError::Closed)?);
        }
        Ok(inspections)
    }

    /// Lets every shard carry out what its inbox holds and send what that gives rise to, then
    /// ends the threads and waits for them. Calling it again does nothing.
    pub async fn shutdown(&self) {
        self.0.stop.send_replace(true);
        let mut threads = self.0.threads.lock().await;
        // Waited for here, so that the joins below do not block the caller's runtime.
        while threads.alive.recv().await.is_some() {}
        for thread in threads.joins.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a shard's thread ended by a panic");
            }
        }
    }

    fn put(&self, shard: usize, order: Order) -> Result<(), CallError> {
        let Some(door) = self.0.doors.get(shard) else {
            let why = format!("is {shard}, of {}", self.shards());
            return Err(CommandError::Invalid {
                field: "shard",
                why,
            }
            .into());
        };
        door.inbox.try_send(order).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CallError::Busy,
            mpsc::error::TrySendError::Closed(_) => CallError::Closed,
        })
    }
}

//! One shard's loop: receive a batch, feed it, carry out commands, do what is due, let depart, send,
//! tell, sleep. Between two lines of it nothing else touches the shard.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use super::EngineError;
use super::bundle::Headers;
use super::clock::{Clock, Deadline, arrived_at, unix_time};
use super::handle::{Order, ShardInspection};
use super::pipe::{Incoming, Outgoing, Parcel};
use super::socket::{Batch, Bound, Sockets};
use super::stats::IoStats;
use crate::error::CommandError;
use crate::limits::{DEPARTURES_PER_BATCH, ORDERS_PER_BATCH, PANICS_PER_MINUTE, PARCELS};
use crate::outbox::Outbox;
use crate::path::Path;
use crate::shard::command::Inspection;
use crate::shard::{Datagram, Departed, Event, Shard};
use crate::time::Instant;

/// What a driver is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) index: usize,
    pub(super) shard: Shard,
    pub(super) bound: Vec<Bound>,
    pub(super) clock: Clock,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) stopped: watch::Receiver<bool>,
    pub(super) pipes: (Outgoing, Incoming),
}

/// How a loop came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was told to, or nobody can ask it anything any more.
    Stopped,
    /// More than `PANICS_PER_MINUTE`.
    TooManyPanics,
}

/// Why a loop woke.
#[derive(Debug)]
enum Woken {
    /// Datagrams, a deadline, room for news: the loop looks for itself.
    Work,
    /// A command.
    Order(Order),
    /// Something from another shard.
    Parcel(Parcel),
    /// The end.
    Stop,
}

/// A driver and the runtime its thread will run.
#[derive(Debug)]
pub(super) struct Prepared {
    runtime: Runtime,
    driver: Driver,
}

impl Prepared {
    /// Runs on the calling thread until the end.
    pub(super) fn run(self) -> Ended {
        self.runtime.block_on(self.driver.run())
    }
}

/// One shard with everything around it.
#[derive(Debug)]
pub(super) struct Driver {
    index: usize,
    shard: Shard,
    sockets: Sockets,
    clock: Clock,
    deadline: Deadline,
    orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<Event>,
    stopped: watch::Receiver<bool>,
    outgoing: Outgoing,
    incoming: Incoming,
    batch: Batch,
    outbox: Outbox,
    stats: IoStats,
    panics: PanicLog,
    /// The reader of news is behind; the shard keeps (and coalesces) the rest.
    news_waits: bool,
    /// The last departure was cut short.
    departs_on: bool,
}

impl Driver {
    /// Makes the runtime and everything that belongs to it.
    pub(super) fn prepare(parts: Parts) -> Result<Prepared, EngineError> {
        let system = |what| move |source: io::Error| EngineError::System { what, source };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(system("build a shard's runtime"))?;
        let entered = runtime.enter();
        let sockets = Sockets::new(parts.bound).map_err(system("set up a shard's sockets"))?;
        let deadline = Deadline::new(parts.clock).map_err(system("make a shard's timer"))?;
        drop(entered);
        if sockets.gso().any(|gso| !gso) {
            tracing::info!(
                shard = parts.index,
                "no segmentation offload here: sending costs more"
            );
        }
        let (outgoing, incoming) = parts.pipes;
        let driver = Self {
            index: parts.index,
            shard: parts.shard,
            sockets,
            clock: parts.clock,
            deadline,
            orders: parts.orders,
            events: parts.events,
            stopped: parts.stopped,
            outgoing,
            incoming,
            batch: Batch::new(),
            outbox: Outbox::new(),
            stats: IoStats::default(),
            panics: PanicLog::default(),
            news_waits: false,
            departs_on: false,
        };
        Ok(Prepared { runtime, driver })
    }

    async fn run(mut self) -> Ended {
        // Full of pointers, so made on the thread that uses them.
        let mut headers = Headers::new();
        loop {
            let woken = self.sleep().await;
            let stop = matches!(woken, Woken::Stop);
            match woken {
                Woken::Order(order) => self.carry_out(order),
                Woken::Parcel(parcel) => self.take_parcel(parcel),
                Woken::Work | Woken::Stop => {}
            }
            for socket in 0..self.sockets.count() {
                self.receive(socket);
            }
            self.take_parcels();
            self.take_orders(if stop { usize::MAX } else { ORDERS_PER_BATCH });
            let now = self.clock.now();
            self.do_what_is_due(now);
            // First, so that the other shard sends while this one does.
            self.hand_over();
            self.depart(now, &mut headers).await;
            self.hand_over();
            self.tell();
            if self.panics.too_many() {
                return Ended::TooManyPanics;
            }
            if stop {
                return Ended::Stopped;
            }
        }
    }

    /// Waits for the next thing to do.
    async fn sleep(&mut self) -> Woken {
        let due = self.shard.poll_timeout();
        let now = self.clock.now();
        if self.departs_on || due.is_some_and(|due| due <= now) {
            // Sockets become readable only while the runtime gets its turn.
            tokio::task::yield_now().await;
            return Woken::Work;
        }
        if let Err(error) = self.deadline.set(due) {
            tracing::error!(shard = self.index, %error, "the deadline timer cannot be set");
        }
        tokio::select! {
            biased;
            _ = self.stopped.wait_for(|stop| *stop) => {
                // From here on callers are refused; what waits is still carried out.
                self.orders.close();
                Woken::Stop
            }
            order = self.orders.recv() => order.map_or(Woken::Stop, Woken::Order),
            () = self.sockets.readable() => Woken::Work,
            Some(parcel) = self.incoming.next() => Woken::Parcel(parcel),
            () = self.deadline.passed() => Woken::Work,
            _ = self.events.reserve(), if self.news_waits => Woken::Work,
            () = self.outgoing.room(), if self.outgoing.is_waiting() => Woken::Work,
        }
    }

    /// Feeds one batch of one socket. `now` is stamped once for all of it.
    fn receive(&mut self, socket: usize) {
        if let Err(error) = self.sockets.receive(socket, &mut self.batch) {
            self.stats.receive_errors += 1;
            tracing::debug!(shard = self.index, %error, "receiving failed");
            return;
        }
        if self.batch.is_empty() {
            return;
        }
        self.stats.batches_in += 1;
        let (now, wall) = (self.clock.now(), unix_time());
        let Self {
            batch,
            sockets,
            shard,
            panics,
            stats,
            index,
            ..
        } = self;
        for received in batch.datagrams() {
            let datagram = Datagram {
                path: Path {
                    local: sockets.local(socket, received.local),
                    remote: received.remote,
                },
                arrived_at: arrived_at(now, wall, received.stamp),
                ecn: received.ecn,
                bytes: received.bytes,
            };
            if guarded(|| shard.handle_datagram(now, datagram)).is_none() {
                panics.note(now, *index, stats);
                discard_room(shard, now);
            }
        }
    }

    fn take_parcels(&mut self) {
        for _ in 0..PARCELS {
            match self.incoming.take() {
                Some(parcel) => self.take_parcel(parcel),
                None => break,
            }
        }
    }

    fn take_parcel(&mut self, parcel: Parcel) {
        self.stats.parcels_in += 1;
        let now = self.clock.now();
        let taken = guarded(|| self.shard.handle_parcel(now, parcel.port, &parcel.bytes));
        if taken.is_none() {
            self.note_panic(now);
        }
        self.incoming.give_back(parcel);
    }

    fn hand_over(&mut self) {
        let Self {
            outgoing,
            shard,
            stats,
            ..
        } = self;
        if guarded(|| outgoing.hand_over(shard, stats)).is_none() {
            self.note_panic(self.clock.now());
        }
    }

    fn take_orders(&mut self, most: usize) {
        for _ in 0..most {
            match self.orders.try_recv() {
                Ok(order) => self.carry_out(order),
                Err(_) => break,
            }
        }
    }

    fn carry_out(&mut self, order: Order) {
        let now = self.clock.now();
        match order {
            Order::Command { command, reply } => {
                let result = guarded(|| self.shard.handle_command(now, command));
                let result = result.unwrap_or_else(|| {
                    self.note_panic(now);
                    Err(CommandError::Closed)
                });
                // The caller may have stopped waiting.
                let _unread = reply.send(result);
            }
            Order::Inspect { reply } => {
                let inspection = Inspection {
                    stats: self.shard.stats().clone(),
                    sizes: self.shard.sizes(),
                };
                let io = self.stats;
                let _unread = reply.send(ShardInspection { inspection, io });
            }
        }
    }

    fn do_what_is_due(&mut self, now: Instant) {
        if self.shard.poll_timeout().is_some_and(|due| due <= now)
            && guarded(|| self.shard.handle_timeout(now)).is_none()
        {
            self.note_panic(now);
        }
    }

    /// Lets leave what may leave. After `DEPARTURES_PER_BATCH` full outboxes the sockets get a look
    /// first, so that a flood out does not become a loss in.
    async fn depart(&mut self, mut now: Instant, headers: &mut Headers) {
        self.departs_on = false;
        for _ in 0..DEPARTURES_PER_BATCH {
            let departed = guarded(|| self.shard.depart(now, &mut self.outbox));
            if departed.is_none() {
                self.note_panic(now);
            }
            let Self {
                sockets,
                outbox,
                stats,
                ..
            } = self;
            sockets.send(outbox, headers, stats).await;
            self.outbox.clear();
            if departed != Some(Departed::Full) {
                return;
            }
            now = self.clock.now();
        }
        self.departs_on = true;
    }

    /// Hands news over as far as their reader has room.
    fn tell(&mut self) {
        loop {
            let permit = match self.events.try_reserve() {
                Ok(permit) => permit,
                Err(mpsc::error::TrySendError::Full(())) => {
                    self.news_waits = true;
                    return;
                }
                Err(mpsc::error::TrySendError::Closed(())) => break,
            };
            match guarded(|| self.shard.poll_event()) {
                Some(Some(event)) => permit.send(event),
                Some(None) => {
                    self.news_waits = false;
                    return;
                }
                None => {
                    drop(permit);
                    return self.note_panic(self.clock.now());
                }
            }
        }
        // Nobody reads news any more: they must not pile up.
        self.news_waits = false;
        while guarded(|| self.shard.poll_event()).flatten().is_some() {}
    }

    fn note_panic(&mut self, now: Instant) {
        self.panics.note(now, self.index, &mut self.stats);
        discard_room(&mut self.shard, now);
    }
}

/// Calls into the shard; none: it panicked, and the room at hand may be half-changed.
fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

/// The room in which a bug panicked falls; the others stand. A second panic on the way is not
/// counted again: what is broken shows at the next call.
fn discard_room(shard: &mut Shard, now: Instant) {
    let _fell = guarded(|| shard.discard_current_room(now));
}

/// The panics of the last minute.
#[derive(Debug, Default)]
struct PanicLog {
    at: VecDeque<Instant>,
}

impl PanicLog {
    /// One more, at `now`. The panic hook has told where.
    fn note(&mut self, now: Instant, shard: usize, stats: &mut IoStats) {
        stats.panics += 1;
        tracing::error!(
            shard,
            total = stats.panics,
            "a call into the shard panicked"
        );
        let since = now - Duration::from_secs(60);
        self.at.retain(|&at| at > since);
        // One beyond the limit says all there is to say.
        self.at.truncate(PANICS_PER_MINUTE);
        self.at.push_back(now);
    }

    fn too_many(&self) -> bool {
        self.at.len() > PANICS_PER_MINUTE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_panic_too_many_within_a_minute_is_noticed() {
        let mut stats = IoStats::default();
        let mut log = PanicLog::default();
        for second in [0, 30, 59, 61] {
            log.note(Instant::from_millis(second * 1_000), 0, &mut stats);
            assert!(!log.too_many(), "{second} s");
        }
        log.note(Instant::from_millis(62_000), 0, &mut stats);
        assert!(log.too_many());
        assert_eq!(stats.panics, 5);
    }

    #[test]
    fn a_panic_inside_a_guarded_call_ends_there() {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let result = guarded(|| -> u8 { panic!("planted") });
        std::panic::set_hook(hook);
        assert_eq!(result, None);
        assert_eq!(guarded(|| 7), Some(7));
    }
}

//! Packets between shards: the parcels of a room that is spread over several.
//!
//! A parcel is what one room had to say to another shard in one turn of its loop: a buffer that
//! changes hands, so nothing in it is copied here, nothing is shared, and whoever receives it is woken
//! once for all of it. Its buffer goes back empty. Where an inbox is full, what is said waits in the
//! room's own queue (`router/port`), which drops media and says so.

use tokio::sync::mpsc;

use super::stats::IoStats;
use crate::id::PortId;
use crate::limits::{PARCEL_SPARES, PARCELS};
use crate::shard::Shard;

/// One room's messages to its other half.
#[derive(Debug)]
pub(super) struct Parcel {
    from: usize,
    /// By which it goes into the other shard.
    pub(super) port: PortId,
    /// Messages (`wire::port`).
    pub(super) bytes: Vec<u8>,
}

/// One shard's way to the others.
#[derive(Debug)]
pub(super) struct Outgoing {
    shard: usize,
    inboxes: Vec<mpsc::Sender<Parcel>>,
    /// Empty buffers that come back.
    returned: mpsc::Receiver<Vec<u8>>,
    spare: Option<Vec<u8>>,
    /// What found an inbox full, and whose.
    waiting: Option<(usize, Parcel)>,
}

/// What comes from the others.
#[derive(Debug)]
pub(super) struct Incoming {
    inbox: mpsc::Receiver<Parcel>,
    /// Where empty buffers go back to.
    returns: Vec<mpsc::Sender<Vec<u8>>>,
}

/// Both ends for each of so many shards.
pub(super) fn join(shards: usize) -> Vec<(Outgoing, Incoming)> {
    let (inboxes, arriving): (Vec<_>, Vec<_>) = (0..shards).map(|_| mpsc::channel(PARCELS)).unzip();
    let (returns, returned): (Vec<_>, Vec<_>) =
        (0..shards).map(|_| mpsc::channel(PARCEL_SPARES)).unzip();
    let ends = arriving.into_iter().zip(returned).enumerate();
    ends.map(|(shard, (inbox, returned))| {
        let outgoing = Outgoing {
            shard,
            inboxes: inboxes.clone(),
            returned,
            spare: None,
            waiting: None,
        };
        let returns = returns.clone();
        (outgoing, Incoming { inbox, returns })
    })
    .collect()
}

impl Outgoing {
    /// Sends what the rooms of this shard have to say to others.
    pub(super) fn hand_over(&mut self, shard: &mut Shard, stats: &mut IoStats) {
        if !shard.is_spread() && self.waiting.is_none() {
            return;
        }
        if let Some((to, parcel)) = self.waiting.take() {
            self.send(to, parcel, stats);
        }
        while self.waiting.is_none() {
            let mut bytes = self.buffer();
            let Some((to, port)) = shard.poll_pipe(&mut bytes) else {
                self.spare = Some(bytes);
                return;
            };
            let from = self.shard;
            self.send(to.into(), Parcel { from, port, bytes }, stats);
        }
    }

    fn send(&mut self, to: usize, parcel: Parcel, stats: &mut IoStats) {
        let Some(inbox) = self.inboxes.get(to) else {
            return;
        };
        match inbox.try_send(parcel) {
            Ok(()) => stats.parcels_out += 1,
            Err(mpsc::error::TrySendError::Full(parcel)) => self.waiting = Some((to, parcel)),
            // That shard has ended, and with it whoever would be shown anything.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
    }

    fn buffer(&mut self) -> Vec<u8> {
        let spare = self.spare.take().or_else(|| self.returned.try_recv().ok());
        spare.unwrap_or_default()
    }

    /// Something waits for an inbox.
    pub(super) const fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Until the inbox that was full has room.
    pub(super) async fn room(&self) {
        let waiting = self.waiting.as_ref();
        if let Some(inbox) = waiting.and_then(|(to, _)| self.inboxes.get(*to)) {
            // Room for another's parcel may be taken by then: it is tried again.
            drop(inbox.reserve().await);
        }
    }
}

impl Incoming {
    /// The next parcel, once there is one.
    pub(super) async fn next(&mut self) -> Option<Parcel> {
        self.inbox.recv().await
    }

    /// The next parcel, if there is one.
    pub(super) fn take(&mut self) -> Option<Parcel> {
        self.inbox.try_recv().ok()
    }

    /// A parcel has been read.
    pub(super) fn give_back(&self, parcel: Parcel) {
        let Parcel {
            from, mut bytes, ..
        } = parcel;
        bytes.clear();
        if let Some(returns) = self.returns.get(from) {
            // Where enough are on their way back, it is not kept.
            let _surplus = returns.try_send(bytes);
        }
    }
}

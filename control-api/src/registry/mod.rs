//! The one façade all doors share: rooms, participants and tracks by the names people know, over
//! the engine's shards. Doors convert, call one of these, convert back; no door talks to a shard.
//!
//! | file | what it is |
//! |---|---|
//! | [`name`] | `RoomName`, `ParticipantName`: checked ids |
//! | [`spec`] | what callers say and are shown: specs, views, permissions |
//! | [`news`] | what a participant is told, in a bounded queue |
//! | [`page`] | pages of a list |
//! | [`log`] | what happened, in a ring |
//! | `watching` | what is and what happened, for backends |
//! | `room` | one room's record, pure |
//! | `presence` | whether a member is there: socket, media, windows |
//! | `quality` | how good a connection is |
//! | `rooms` | rooms made, found, changed, ended |
//! | `joining` | coming in, at once or after waiting |
//! | `participants` | participants found, described, put out |
//! | `moving` | from room to room with the same transport |
//! | `tracks` | tracks listed, muted, ended |
//! | `subscriptions` | what is wished and what became of it |
//! | `messages` | a backend's messages |
//! | `transports` | transports of those who ask for what others are told |
//! | `revocation` | tokens made void, bans |
//! | `events` | shards' events into the records; what expires |
//! | `seat` | what one who is inside may do |
//! | `spread` | a room on several shards |
//!
//! | operation | semantics | fails with |
//! |---|---|---|
//! | `create_room(Option<RoomName>, RoomSpec) -> RoomView` | equal spec exists: that room; no name: drawn | `CONFIG_DIFFERS` `NODE_DRAINING` `NODE_OVERLOADED` `FIELD_INVALID` |
//! | `get_room(&RoomName) -> RoomView` | | `ROOM_NOT_FOUND` |
//! | `list_rooms(&PageRequest, keep) -> Page<RoomView>` | in order of creation | `PAGE_TOKEN_INVALID` |
//! | `update_room(&RoomName, etag, FnOnce(&mut RoomSpec) -> Result<(), Failure>) -> RoomView` | the closure edits a copy; checked, then it counts and is told | `ROOM_NOT_FOUND` `ETAG_MISMATCH` `FIELD_INVALID`, the closure's |
//! | `delete_room(&RoomName, etag, message)` | missing: done; everybody inside is told | `ETAG_MISMATCH` |
//! | `join(JoinRequest) -> Entered` | the same id inside: that one is `REPLACED`; with a waiting room, who is no admin waits | `ROOM_NOT_FOUND` `ROOM_FULL` `ROOM_LOCKED` `TOKEN_REVOKED` `PARTICIPANT_BANNED` `NODE_DRAINING` |
//! | `admit_participant(&RoomName, &ParticipantName) -> ParticipantView` | | `NOT_WAITING` `ROOM_FULL` |
//! | `get_participant(&RoomName, &ParticipantName) -> ParticipantView` | one who waits too | `ROOM_NOT_FOUND` `PARTICIPANT_NOT_FOUND` |
//! | `list_participants(Option<&RoomName>, &PageRequest, keep) -> Page<ParticipantView>` | none: of all rooms | `ROOM_NOT_FOUND` `PAGE_TOKEN_INVALID` |
//! | `update_participant(&RoomName, &ParticipantName, etag, FnOnce(&mut ParticipantSpec) -> Result<(), Failure>) -> ParticipantView` | at once, permissions too | as above, `ETAG_MISMATCH` |
//! | `update_self(Seat, SelfChange) -> ParticipantView` | its own words | `FIELD_INVALID` |
//! | `remove_participant(&RoomName, &ParticipantName, message, ban)` | missing: done; its tokens so far are void | |
//! | `move_participant(&RoomName, &ParticipantName, &RoomName) -> ParticipantView` | the transport lives on | `ROOM_FULL` `ROOM_ELSEWHERE` |
//! | `list_tracks get_track set_track_muted unpublish_track request_keyframe` | by room and `TrackId` | `ROOM_NOT_FOUND` `TRACK_NOT_FOUND` |
//! | `list_subscriptions update_subscriptions` | wish and what became of it | `PARTICIPANT_NOT_FOUND` `TRACK_NOT_FOUND` `PERMISSION_MISSING` |
//! | `send_message(&RoomName, BackendMessage) -> usize` | how many it goes to | `PARTICIPANT_NOT_FOUND` `FIELD_INVALID` |
//! | `transport(&RoomName, &ParticipantName) -> TransportView` | the newest offer of ours with it | `PARTICIPANT_NOT_FOUND` |
//! | `revoke_tokens(Revocation) -> usize` | how many were put out | `FIELD_INVALID` |
//! | `leave describe_tracks mute subscribe send_data negotiate restart_ice socket_closed` | by `Seat`: what one who is inside does | |
//! | `drain() drained(reason)` | no new rooms; everybody out | |
//!
//! Every failure is a [`Failure`] with a typed `Reason`; nothing has changed then. Operations are
//! carried through even where their caller goes away.

mod events;
mod joining;
pub mod log;
mod messages;
mod moving;
pub mod name;
pub mod news;
pub mod page;
mod participants;
mod presence;
mod quality;
mod revocation;
mod room;
mod rooms;
mod seat;
pub mod spec;
mod spread;
mod subscriptions;
mod tracks;
mod transports;
mod watching;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use sfu::engine::EngineHandle;
use sfu::engine::handle::CallError;
use sfu::error::LeaveReason;
use sfu::id::{ParticipantId, RoomId};
use sfu::shard::command::{Command, Reply};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tracing::Instrument as _;

use crate::clock::{Ulid, random};
use crate::placement::Placement;
use crate::status::{Failure, Reason};

pub use joining::{Arrival, Entered, JoinRequest, Joined, MissingRoom, Waiting};
pub use log::{EventKind, Recorded, Subject, WatchEnd, Watcher};
pub use messages::BackendMessage;
pub use name::{ParticipantName, RoomName};
pub use news::{DataMessage, LeaveAction, NewsReceiver, RoomNews, TooSlow};
pub use page::{Page, PageRequest};
pub use participants::SelfChange;
pub use quality::Quality;
pub use revocation::Revocation;
pub use seat::Seat;
pub use spec::{
    Door, ParticipantKind, ParticipantSpec, ParticipantState, ParticipantView, Permissions,
    RoomConfig, RoomSpec, RoomView, SubscriptionView, TrackSource, TrackView, TransportState,
    TransportView,
};
pub use subscriptions::Wishes;
pub use watching::RoomSnapshot;

use log::EventLog;
use revocation::Voided;
use room::Room;

#[derive(Debug)]
struct Inner {
    engine: EngineHandle,
    placement: Placement,
    // Lock order: `names`, `rooms`, `moved`, the log within; never the other way round. No two rooms
    // at once: they may share a lock.
    names: DashMap<RoomName, RoomId>,
    rooms: DashMap<RoomId, Room>,
    /// Where those are who were moved, for who still holds the place they had.
    moved: DashMap<ParticipantId, RoomId>,
    voided: Mutex<Voided>,
    draining: AtomicBool,
    log: Arc<EventLog>,
}

/// All rooms of this node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Inner>);

impl Registry {
    /// An empty one over these shards. [`Registry::run`] keeps it true.
    #[must_use]
    pub fn new(engine: EngineHandle) -> Self {
        Self::with_placement(engine, 0)
    }

    /// The same; rooms are spread over shards once one has `participants_full`; 0: never.
    #[must_use]
    pub fn with_placement(engine: EngineHandle, participants_full: usize) -> Self {
        Self(Arc::new(Inner {
            placement: Placement::new(engine.shards(), participants_full),
            engine,
            names: DashMap::new(),
            rooms: DashMap::new(),
            moved: DashMap::new(),
            voided: Mutex::default(),
            draining: AtomicBool::new(false),
            log: Arc::default(),
        }))
    }

    /// From now on no room is made.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    /// Whether no room is made any more.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire)
    }

    /// Ends every room.
    pub fn close_all(&self, reason: LeaveReason) {
        let ids: Vec<_> = self.0.rooms.iter().map(|room| room.id).collect();
        for id in ids {
            self.close_room(id, reason, None);
        }
    }

    /// How many rooms and participants there are.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.0.rooms.len(), self.0.placement.participants())
    }

    /// The engine below, for counters.
    #[must_use]
    pub fn engine(&self) -> &EngineHandle {
        &self.0.engine
    }

    // What the operations are made of.

    fn id_of(&self, name: &RoomName) -> Result<RoomId, Failure> {
        let id = self.0.names.get(name).map(|id| *id);
        id.ok_or_else(|| Failure::of(Reason::RoomNotFound))
    }

    fn room(&self, id: RoomId) -> Result<impl std::ops::Deref<Target = Room> + '_, Failure> {
        let room = self.0.rooms.get(&id);
        room.ok_or_else(|| Failure::of(Reason::RoomNotFound))
    }

    fn room_mut(&self, id: RoomId) -> Result<impl std::ops::DerefMut<Target = Room> + '_, Failure> {
        let room = self.0.rooms.get_mut(&id);
        room.ok_or_else(|| Failure::of(Reason::RoomNotFound))
    }

    /// Takes the turn in a room that is there.
    async fn enter(&self, name: &RoomName) -> Result<(RoomId, OwnedMutexGuard<()>), Failure> {
        let id = self.id_of(name)?;
        let turnstile = Arc::clone(&self.room(id)?.turnstile);
        let turn = turnstile.lock_owned().await;
        // It may have been deleted while we waited.
        drop(self.room(id)?);
        Ok((id, turn))
    }

    async fn call(&self, shard: usize, command: Command) -> Result<Reply, Failure> {
        self.0.engine.call(shard, command).await.map_err(from_call)
    }

    /// Has a command carried out that may not be lost: a full inbox is tried again.
    fn insist(&self, shard: usize, command: Command) {
        if self.0.engine.post(shard, command.clone()) != Err(CallError::Busy) {
            return;
        }
        let engine = self.0.engine.clone();
        drop(tokio::spawn(async move {
            for _ in 0..500 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                if engine.post(shard, command.clone()) != Err(CallError::Busy) {
                    return;
                }
            }
            tracing::error!(shard, ?command, "the shard took no command for 10 s");
        }));
    }
}

/// Runs an operation to its end, whether or not its caller waits for it.
async fn carried_through<T: Send + 'static>(
    operation: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let task = tokio::spawn(operation.in_current_span());
    task.await
        .unwrap_or_else(|_| Err(Failure::of(Reason::ServerFailed)))
}

/// Whether a change that was meant for `wanted` may be made; none: whatever it is now.
fn check_etag(wanted: Option<&str>, present: &str) -> Result<(), Failure> {
    match wanted {
        Some(wanted) if wanted != present => Err(Failure::of(Reason::EtagMismatch)),
        Some(_) | None => Ok(()),
    }
}

fn from_call(error: CallError) -> Failure {
    match error {
        CallError::Busy => Failure::of(Reason::NodeOverloaded),
        CallError::Closed => Failure::of(Reason::NodeDraining),
        CallError::Command(error) => error.into(),
    }
}

/// An id nobody chose: a letter and 26 random characters.
fn drawn_id(letter: &str) -> Result<String, Failure> {
    let bits = u128::from_le_bytes(random::<16>()?);
    Ok(format!("{letter}{}", Ulid::from_u128(bits)).to_ascii_lowercase())
}

#[cfg(test)]
mod tests;

//! Rooms: made, found, changed, ended.

use std::sync::Arc;

use dashmap::mapref::entry::Entry;
use sfu::error::LeaveReason;
use sfu::id::RoomId;
use sfu::shard::command::Command;
use tokio::sync::OwnedMutexGuard;

use super::log::EventKind;
use super::name::RoomName;
use super::page::{self, Page, PageRequest};
use super::revocation::Stone;
use super::room::Room;
use super::spec::{RoomSpec, RoomView};
use super::{Registry, carried_through, check_etag, drawn_id};
use crate::clock::{Ulid, UnixTime, random_id};
use crate::limits::ROOMS_PER_NODE;
use crate::status::{Failure, Reason};

impl Registry {
    /// Makes a room. One with an equal spec exists: that one.
    ///
    /// # Errors
    /// See the table of `registry`.
    pub async fn create_room(
        &self,
        name: Option<RoomName>,
        spec: RoomSpec,
    ) -> Result<RoomView, Failure> {
        spec.check()?;
        let name = name.map_or_else(|| RoomName::new(drawn_id("r")?), Ok)?;
        let this = self.clone();
        carried_through(async move {
            let (id, _turn) = this.obtain_room(&name, &spec, None).await?;
            let room = this.room(id)?;
            if *room.spec != spec {
                let why = format!("room {name} exists with a different configuration");
                return Err(Failure::new(Reason::ConfigDiffers, why));
            }
            Ok(room.view())
        })
        .await
    }

    /// The room of that name.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`.
    pub fn get_room(&self, name: &RoomName) -> Result<RoomView, Failure> {
        Ok(self.room(self.id_of(name)?)?.view())
    }

    /// Rooms in order of creation, of those to `keep`.
    ///
    /// # Errors
    /// `PAGE_TOKEN_INVALID`.
    pub fn list_rooms(
        &self,
        request: &PageRequest,
        keep: impl Fn(&RoomView) -> bool,
    ) -> Result<Page<RoomView>, Failure> {
        let rooms = self.0.rooms.iter().map(|room| room.view());
        page::cut(request, "rooms", rooms.filter(|view| keep(view)).collect())
    }

    /// Changes a room by `change`, which edits a copy of its spec. Without a waiting room, whoever
    /// waits comes in.
    ///
    /// # Errors
    /// See the table of `registry`.
    pub async fn update_room(
        &self,
        name: &RoomName,
        etag: Option<String>,
        change: impl FnOnce(&mut RoomSpec) -> Result<(), Failure> + Send + 'static,
    ) -> Result<RoomView, Failure> {
        let (this, name) = (self.clone(), name.clone());
        carried_through(async move {
            let (id, _turn) = this.enter(&name).await?;
            let (before, shards) = {
                let room = this.room(id)?;
                check_etag(etag.as_deref(), &room.view().etag())?;
                (Arc::clone(&room.spec), room.shards().collect::<Vec<_>>())
            };
            let mut spec = RoomSpec::clone(&before);
            change(&mut spec)?;
            spec.check()?;
            if spec.config.codecs != before.config.codecs {
                let mut failure = Failure::field("config.codecs", "fixed once the room exists");
                failure.reason = Reason::MaskInvalid;
                return Err(failure);
            }
            let parameters = spec.config.parameters();
            if parameters != before.config.parameters() {
                let command = Command::UpdateRoom {
                    room: id,
                    parameters,
                };
                for shard in shards {
                    this.call(shard, command.clone()).await?;
                }
            }
            if spec != *before {
                this.room_mut(id)?.change(spec);
            }
            if !this.room(id)?.spec.config.waiting_room {
                this.admit_all(id).await?;
            }
            Ok(this.room(id)?.view())
        })
        .await
    }

    /// Ends a room. Missing: done.
    ///
    /// # Errors
    /// `ETAG_MISMATCH`.
    pub async fn delete_room(
        &self,
        name: &RoomName,
        etag: Option<String>,
        message: Option<String>,
    ) -> Result<(), Failure> {
        let (this, name) = (self.clone(), name.clone());
        carried_through(async move {
            if etag.is_some()
                && let Ok(view) = this.get_room(&name)
            {
                check_etag(etag.as_deref(), &view.etag())?;
            }
            // First, so that nobody who waits for this turn makes the room again with an old token.
            this.make_void(Stone::Remake(name.clone())).await;
            match this.enter(&name).await {
                Ok((id, _turn)) => {
                    this.close_room(id, LeaveReason::RoomDeleted, message.as_deref());
                }
                Err(failure) if failure.reason == Reason::RoomNotFound => {}
                Err(failure) => return Err(failure),
            }
            Ok(())
        })
        .await
    }

    /// Takes the turn in a room, which is made if it is not there, unless the token that asks for
    /// it was `issued_at` a time before the room was deleted.
    pub(super) async fn obtain_room(
        &self,
        name: &RoomName,
        spec: &RoomSpec,
        issued_at: Option<UnixTime>,
    ) -> Result<(RoomId, OwnedMutexGuard<()>), Failure> {
        // A room deleted while we wait for its turn is one that is not there: look again, but not
        // for ever.
        for _ in 0..8 {
            match self.enter(name).await {
                Err(failure) if failure.reason == Reason::RoomNotFound => {}
                entered => return entered,
            }
            if self.is_past(name, issued_at).await {
                return Err(Failure::of(Reason::RoomNotFound));
            }
            if let Some((id, shard, turn)) = self.reserve(name, spec)? {
                let parameters = spec.config.parameters();
                let command = Command::CreateRoom {
                    room: id,
                    parameters,
                };
                if let Err(failure) = self.call(shard, command).await {
                    self.forget_room(id);
                    return Err(failure);
                }
                let room = self.room(id)?;
                self.record_room(&room, EventKind::RoomCreated);
                drop(room);
                tracing::info!(room = %name, shard, "room created");
                return Ok((id, turn));
            }
        }
        Err(Failure::of(Reason::NodeOverloaded))
    }

    /// A record for a room not made yet, with the turn taken. None: the name is taken by now.
    fn reserve(
        &self,
        name: &RoomName,
        spec: &RoomSpec,
    ) -> Result<Option<(RoomId, usize, OwnedMutexGuard<()>)>, Failure> {
        if self.is_draining() {
            return Err(Failure::of(Reason::NodeDraining));
        }
        if self.0.names.len() >= ROOMS_PER_NODE {
            let why = format!("the node has {ROOMS_PER_NODE} rooms, its most");
            return Err(Failure::new(Reason::NodeOverloaded, why));
        }
        let (id, uid) = (RoomId(random_id()?), Ulid::new(UnixTime::now())?);
        let shard = self.0.placement.choose();
        let log = Arc::clone(&self.0.log);
        let room = Room::new(id, (name.clone(), uid), shard, spec.clone(), log);
        let Ok(turn) = Arc::clone(&room.turnstile).try_lock_owned() else {
            return Err(Failure::of(Reason::ServerFailed));
        };
        match self.0.names.entry(name.clone()) {
            Entry::Occupied(_) => Ok(None),
            Entry::Vacant(place) => {
                self.0.rooms.insert(id, room);
                place.insert(id);
                self.0.placement.room_made(shard);
                Ok(Some((id, shard, turn)))
            }
        }
    }

    fn forget_room(&self, id: RoomId) -> Option<Room> {
        let (_, room) = self.0.rooms.remove(&id)?;
        self.0.names.remove_if(&room.name, |_, named| *named == id);
        for shard in room.shards() {
            self.0.placement.room_gone(shard);
        }
        for member in room.members() {
            self.0.placement.left(member.shard);
        }
        Some(room)
    }

    pub(super) fn close_room(&self, id: RoomId, reason: LeaveReason, message: Option<&str>) {
        if let Some(mut room) = self.forget_room(id) {
            tracing::info!(room = %room.name, ?reason, participants = room.count(), "room ended");
            for member in room.members() {
                self.0.moved.remove(&member.id);
            }
            room.close(reason, message);
            self.record_room(&room, EventKind::RoomDeleted);
            for shard in room.shards() {
                self.insist(shard, Command::DeleteRoom { room: id, reason });
            }
        }
    }
}

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
//! | `presence` | whether a member is there: socket, media, windows |
//! | `room` | one room's record, pure |
//! | `tombstones` | tokens made void |
//! | `events` | shards' events into the records; what expires |
//! | `seat` | what one who is inside may do |
//!
//! | operation | semantics | fails with |
//! |---|---|---|
//! | `create_room(Option<RoomName>, RoomSpec) -> RoomView` | equal spec exists: that room; no name: drawn | `CONFIG_DIFFERS` `NODE_DRAINING` `NODE_OVERLOADED` `FIELD_INVALID` |
//! | `get_room(&RoomName) -> RoomView` | | `ROOM_NOT_FOUND` |
//! | `list_rooms(&PageRequest, visible) -> Page<RoomView>` | in order of creation | `PAGE_TOKEN_INVALID` |
//! | `update_room(&RoomName, FnOnce(&mut RoomSpec) -> Result<(), Failure>) -> RoomView` | the closure edits a copy; checked, then it counts | `ROOM_NOT_FOUND` `FIELD_INVALID`, the closure's |
//! | `delete_room(&RoomName, message)` | missing: done; everybody inside is told | |
//! | `join(JoinRequest) -> Joined` | the same id inside: that one is `REPLACED` | `ROOM_NOT_FOUND` `ROOM_FULL` `ROOM_LOCKED` `TOKEN_REVOKED` `NODE_DRAINING` |
//! | `get_participant(&RoomName, &ParticipantName) -> ParticipantView` | | `ROOM_NOT_FOUND` `PARTICIPANT_NOT_FOUND` |
//! | `list_participants(Option<&RoomName>, &PageRequest, visible) -> Page<ParticipantView>` | none: of all rooms | `ROOM_NOT_FOUND` `PAGE_TOKEN_INVALID` |
//! | `update_participant(&RoomName, &ParticipantName, FnOnce(&mut ParticipantSpec) -> Result<(), Failure>) -> ParticipantView` | at once, permissions too | as above |
//! | `remove_participant(&RoomName, &ParticipantName, message)` | missing: done; its tokens so far are void | |
//! | `set_track_muted(&RoomName, TrackId, bool) -> TrackView` | the server's mute | `ROOM_NOT_FOUND` `TRACK_NOT_FOUND` |
//! | `leave describe_tracks mute subscribe send_data negotiate restart_ice socket_closed` | by `Seat`: what one who is inside does | |
//! | `drain() drained(reason)` | no new rooms; everybody out | |
//!
//! Every failure is a [`Failure`] with a typed `Reason`; nothing has changed then. Operations are
//! carried through even where their caller goes away.

mod events;
pub mod log;
pub mod name;
pub mod news;
pub mod page;
mod presence;
mod room;
mod seat;
pub mod spec;
mod stubs;
mod tombstones;
mod watching;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use sfu::engine::EngineHandle;
use sfu::engine::handle::CallError;
use sfu::error::LeaveReason;
use sfu::id::{ParticipantId, RoomId, TrackId};
use sfu::shard::command::{Command, ParticipantParameters, Reply};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tracing::Instrument as _;

use crate::clock::{Ulid, UnixTime, random, random_id};
use crate::limits::{PARTICIPANTS_PER_NODE, ROOMS_PER_NODE};
use crate::placement::Placement;
use crate::status::{Failure, Reason};

pub use name::{ParticipantName, RoomName};
pub use news::{DataMessage, LeaveAction, NewsReceiver, RoomNews, TooSlow};
pub use page::{Page, PageRequest};
pub use seat::Seat;
pub use spec::{
    Door, ParticipantKind, ParticipantSpec, ParticipantState, ParticipantView, Permissions,
    RoomConfig, RoomSpec, RoomView, SubscriptionView, TrackSource, TrackView, TransportState,
    TransportView,
};
pub use stubs::{BackendMessage, Revocation, SelfChange};

pub use log::{EventKind, Recorded, Subject, WatchEnd, Watcher};
pub use watching::RoomSnapshot;

use log::EventLog;
use room::{Member, Room};
use tombstones::Tombstones;

/// What a join does about a room that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MissingRoom {
    /// `ROOM_NOT_FOUND`.
    Refuse,
    /// Makes it like this.
    Create(Box<RoomSpec>),
}

/// Somebody wants in. Its token has been checked.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// Where.
    pub room: RoomName,
    /// Who; none: an id is drawn.
    pub participant: Option<ParticipantName>,
    /// How it is described.
    pub spec: ParticipantSpec,
    /// By which door.
    pub door: Door,
    /// What if there is no such room.
    pub missing_room: MissingRoom,
    /// When its token was issued, where there was one.
    pub issued_at: Option<UnixTime>,
    /// Its token's `jti`, where there was one.
    pub token_id: Option<String>,
    /// From an earlier welcome: where nobody is named, the id of that join is taken over, if it is
    /// still inside.
    pub resume_token: Option<String>,
}

/// What somebody is told who has come in, by joining, by being admitted or by being moved.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Its place, for what it does from now on.
    pub seat: Seat,
    /// Itself.
    pub view: ParticipantView,
    /// Who was there before; news about them follow this moment without a gap.
    pub others: Vec<ParticipantView>,
    /// Where it is.
    pub room: RoomView,
    /// Messages kept for those who join later, oldest first.
    pub history: Vec<Arc<DataMessage>>,
    /// Proof of identity for a later join.
    pub resume_token: String,
}

/// Somebody is in.
#[derive(Debug)]
pub struct Joined {
    /// What it is told.
    pub arrival: Arrival,
    /// What happens from now on.
    pub news: NewsReceiver,
}

impl std::ops::Deref for Joined {
    type Target = Arrival;

    fn deref(&self) -> &Arrival {
        &self.arrival
    }
}

/// Somebody waits to be admitted. `RoomNews::Admitted` or `RoomNews::Leave` comes.
#[derive(Debug)]
pub struct Waiting {
    /// Its place; the one it has once it is admitted. `socket_closed` and `leave` end the waiting.
    pub seat: Seat,
    /// Itself.
    pub view: ParticipantView,
    /// Where it waits.
    pub room: RoomView,
    /// What happens from now on.
    pub news: NewsReceiver,
}

/// What became of a join.
#[derive(Debug)]
pub enum Entered {
    /// Inside.
    Inside(Box<Joined>),
    /// To be admitted first: by the WebSocket only.
    Waiting(Box<Waiting>),
}

impl Entered {
    /// For doors by which nobody waits.
    ///
    /// # Errors
    /// It waits.
    pub fn inside(self) -> Result<Joined, Failure> {
        match self {
            Self::Inside(joined) => Ok(*joined),
            Self::Waiting(_) => Err(Failure::of(Reason::ServerFailed)),
        }
    }
}

#[derive(Debug)]
struct Inner {
    engine: EngineHandle,
    placement: Placement,
    // Lock order: `names` before `rooms`, never the other way round.
    names: DashMap<RoomName, RoomId>,
    rooms: DashMap<RoomId, Room>,
    tombstones: Mutex<Tombstones>,
    draining: AtomicBool,
    log: EventLog,
}

/// All rooms of this node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Inner>);

impl Registry {
    /// An empty one over these shards. [`Registry::run`] keeps it true.
    #[must_use]
    pub fn new(engine: EngineHandle) -> Self {
        Self(Arc::new(Inner {
            placement: Placement::new(engine.shards()),
            engine,
            names: DashMap::new(),
            rooms: DashMap::new(),
            tombstones: Mutex::default(),
            draining: AtomicBool::new(false),
            log: EventLog::default(),
        }))
    }

    /// Makes a room. One with an equal spec exists: that one.
    ///
    /// # Errors
    /// See the table above.
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

    /// Changes a room by `change`, which edits a copy of its spec.
    ///
    /// # Errors
    /// See the table above.
    pub async fn update_room(
        &self,
        name: &RoomName,
        etag: Option<String>,
        change: impl FnOnce(&mut RoomSpec) -> Result<(), Failure> + Send + 'static,
    ) -> Result<RoomView, Failure> {
        let (this, name) = (self.clone(), name.clone());
        carried_through(async move {
            let (id, _turn) = this.enter(&name).await?;
            let (before, shard) = {
                let room = this.room(id)?;
                check_etag(etag.as_deref(), &room.view().etag())?;
                (Arc::clone(&room.spec), room.shard)
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
                this.call(shard, command).await?;
            }
            let mut room = this.room_mut(id)?;
            if spec != *before {
                room.spec = Arc::new(spec);
                room.revision += 1;
                room.update_time = UnixTime::now();
                this.record_room(&room, EventKind::RoomUpdated);
            }
            Ok(room.view())
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
            this.make_void(name.clone(), None).await;
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

    /// Lets somebody in. The same id inside is replaced.
    ///
    /// # Errors
    /// See the table above.
    pub async fn join(&self, request: JoinRequest) -> Result<Entered, Failure> {
        request.spec.check()?;
        let this = self.clone();
        carried_through(async move {
            this.refuse_void(&request).await?;
            let (id, turn) = match &request.missing_room {
                MissingRoom::Refuse => this.enter(&request.room).await?,
                MissingRoom::Create(spec) => {
                    let issued_at = request.issued_at;
                    this.obtain_room(&request.room, spec, issued_at).await?
                }
            };
            // Whoever had the turn before may have removed this one.
            this.refuse_void(&request).await?;
            let joined = this.admit(id, request).await;
            drop(turn);
            joined.map(|joined| Entered::Inside(Box::new(joined)))
        })
        .await
    }

    /// The participant of that name.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `PARTICIPANT_NOT_FOUND`.
    pub fn get_participant(
        &self,
        room: &RoomName,
        name: &ParticipantName,
    ) -> Result<ParticipantView, Failure> {
        let room = self.room(self.id_of(room)?)?;
        let id = room.id_of(name);
        let id = id.ok_or_else(|| Failure::of(Reason::ParticipantNotFound))?;
        Ok(room.view_of(room.member(id)?))
    }

    /// Participants of a room, or of all, in order of joining, of those to `keep`. Who is
    /// unlisted (viewers, hidden ones) is there too: it is for `keep` to leave them out.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `PAGE_TOKEN_INVALID`.
    pub fn list_participants(
        &self,
        room: Option<&RoomName>,
        request: &PageRequest,
        keep: impl Fn(&ParticipantView) -> bool,
    ) -> Result<Page<ParticipantView>, Failure> {
        let (query, mut views) = match room {
            Some(name) => {
                let views = self.room(self.id_of(name)?)?.views();
                (format!("rooms/{name}/participants"), views)
            }
            None => {
                let views = self.0.rooms.iter().flat_map(|room| room.views()).collect();
                ("rooms/-/participants".to_owned(), views)
            }
        };
        views.retain(keep);
        page::cut(request, &query, views)
    }

    /// Changes what is said of a participant by `change`, which edits a copy of its spec.
    ///
    /// # Errors
    /// See the table above.
    pub async fn update_participant(
        &self,
        room: &RoomName,
        name: &ParticipantName,
        etag: Option<String>,
        change: impl FnOnce(&mut ParticipantSpec) -> Result<(), Failure> + Send + 'static,
    ) -> Result<ParticipantView, Failure> {
        let (this, room, name) = (self.clone(), room.clone(), name.clone());
        carried_through(async move {
            let (room_id, _turn) = this.enter(&room).await?;
            let view = this.get_participant(&room, &name)?;
            check_etag(etag.as_deref(), &view.etag())?;
            let shard = this.room(room_id)?.shard;
            let mut spec = ParticipantSpec::clone(&view.spec);
            change(&mut spec)?;
            spec.check()?;
            if spec.permissions != view.spec.permissions {
                let command = Command::UpdateParticipant {
                    room: room_id,
                    participant: view.id,
                    permissions: spec.permissions.parameters(),
                };
                this.call(shard, command).await?;
            }
            if spec != *view.spec {
                let mut room = this.room_mut(room_id)?;
                for order in room.describe(view.id, spec)? {
                    this.order_mute(&room, order);
                }
            }
            this.get_participant(&room, &name)
        })
        .await
    }

    /// Puts a participant out and voids its tokens issued so far. It or its room is missing: done.
    ///
    /// # Errors
    /// None today.
    pub async fn remove_participant(
        &self,
        room: &RoomName,
        name: &ParticipantName,
        message: Option<String>,
        ban: Option<Duration>,
    ) -> Result<(), Failure> {
        if ban.is_some() {
            return Err(Failure::absent("ban_duration"));
        }
        let (this, room, name) = (self.clone(), room.clone(), name.clone());
        carried_through(async move {
            // First, so that one who waits for this turn does not come back with an old token.
            this.make_void(room.clone(), Some(name.clone())).await;
            match this.enter(&room).await {
                Ok((room, _turn)) => {
                    let inside = this.room(room)?.id_of(&name);
                    if let Some(participant) = inside {
                        let seat = Seat { room, participant };
                        this.put_out(seat, LeaveReason::Removed, message);
                    }
                }
                Err(failure) if failure.reason == Reason::RoomNotFound => {}
                Err(failure) => return Err(failure),
            }
            Ok(())
        })
        .await
    }

    /// The server's mute of a track.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `TRACK_NOT_FOUND`.
    pub async fn set_track_muted(
        &self,
        room: &RoomName,
        track: TrackId,
        muted: bool,
    ) -> Result<TrackView, Failure> {
        let id = self.id_of(room)?;
        let (order, shard) = {
            let mut room = self.room_mut(id)?;
            (room.mute_by_server(track, muted)?, room.shard)
        };
        if let Some(order) = order {
            let command = Command::SetTrackMuted {
                room: id,
                track: order.track,
                muted: order.muted,
            };
            self.call(shard, command).await?;
        }
        self.room(id)?.track(track).cloned()
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
        (self.0.placement.rooms(), self.0.placement.participants())
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

    /// Takes the turn in a room, which is made if it is not there, unless the token that asks for
    /// it was `issued_at` a time before the room was deleted.
    async fn obtain_room(
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
            if self.is_void(name, None, issued_at).await {
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
        let room = Room::new(id, name.clone(), uid, shard, spec.clone());
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
        self.0.placement.room_gone(room.shard, room.count());
        Some(room)
    }

    fn close_room(&self, id: RoomId, reason: LeaveReason, message: Option<&str>) {
        if let Some(mut room) = self.forget_room(id) {
            tracing::info!(room = %room.name, ?reason, participants = room.count(), "room ended");
            room.close(reason, message);
            self.record_room(&room, EventKind::RoomDeleted);
            self.insist(room.shard, Command::DeleteRoom { room: id, reason });
        }
    }

    /// Tokens issued up to now for this are void.
    async fn make_void(&self, room: RoomName, participant: Option<ParticipantName>) {
        let mut tombstones = self.0.tombstones.lock().await;
        tombstones.add(room, participant, UnixTime::now());
    }

    async fn is_void(
        &self,
        room: &RoomName,
        participant: Option<&ParticipantName>,
        issued_at: Option<UnixTime>,
    ) -> bool {
        let Some(issued_at) = issued_at else {
            return false;
        };
        let tombstones = self.0.tombstones.lock().await;
        tombstones.covers(room, participant, issued_at)
    }

    async fn refuse_void(&self, request: &JoinRequest) -> Result<(), Failure> {
        let name = request.participant.as_ref();
        if name.is_some() && self.is_void(&request.room, name, request.issued_at).await {
            return Err(Failure::of(Reason::TokenRevoked));
        }
        Ok(())
    }

    /// Lets somebody into a room whose turn we have.
    async fn admit(&self, id: RoomId, request: JoinRequest) -> Result<Joined, Failure> {
        let (name, shard) = {
            let room = self.room(id)?;
            let resumed = request.resume_token.as_deref().and_then(|token| {
                let mut members = room.members();
                members
                    .find(|member| member.resume_token == token)
                    .map(|member| member.name.clone())
            });
            // Who is named is that one, whatever else it can prove.
            let name = match request.participant.or(resumed) {
                Some(name) => name,
                None => ParticipantName::new(drawn_id("p")?)?,
            };
            let before = room.id_of(&name);
            if room.spec.locked && before.is_none() {
                return Err(Failure::of(Reason::RoomLocked));
            }
            let most = room.spec.config.participants_max;
            if before.is_none() && room.count() >= most {
                let why = format!("the room has {most} participants, its most");
                return Err(Failure::new(Reason::RoomFull, why));
            }
            if before.is_none() && self.0.placement.participants() >= PARTICIPANTS_PER_NODE {
                let why = format!("the node has {PARTICIPANTS_PER_NODE} participants, its most");
                return Err(Failure::new(Reason::NodeOverloaded, why));
            }
            (name, room.shard)
        };
        self.replace(id, &name)?;
        let participant = ParticipantId(random_id()?);
        // What is not in their own offer cannot be told to them; viewers' tracks are chosen.
        let by_http = matches!(request.door, Door::Whip | Door::Whep);
        let command = Command::Join {
            room: id,
            participant,
            parameters: ParticipantParameters {
                name: name.as_str().to_owned(),
                permissions: request.spec.permissions.parameters(),
                subscribe_all: !by_http,
                offers: !by_http,
            },
        };
        self.call(shard, command).await?;
        let (sender, news) = news::channel();
        let resume_token = drawn_id("s")?;
        let spec = Arc::new(request.spec);
        let uid = Ulid::new(UnixTime::now())?;
        let mut member = Member::new(participant, name, uid, spec, request.door);
        member.resume_token.clone_from(&resume_token);
        member.news = (request.door != Door::Grpc).then_some(sender);
        let mut room = self.room_mut(id)?;
        let others = room.views();
        room.enter(member);
        self.0.placement.entered(shard);
        Ok(Joined {
            arrival: Arrival {
                seat: Seat {
                    room: id,
                    participant,
                },
                view: room.view_of(room.member(participant)?),
                others,
                room: room.view(),
                history: Vec::new(),
                resume_token,
            },
            news,
        })
    }

    fn replace(&self, room: RoomId, name: &ParticipantName) -> Result<(), Failure> {
        let before = self.room(room)?.id_of(name);
        if let Some(participant) = before {
            self.put_out(Seat { room, participant }, LeaveReason::Replaced, None);
        }
        Ok(())
    }

    /// Takes a participant out of the record, tells everybody, and has the shard free it.
    fn put_out(&self, seat: Seat, reason: LeaveReason, message: Option<String>) {
        let Ok(mut room) = self.room_mut(seat.room) else {
            return;
        };
        let shard = room.shard;
        if room.exit(seat.participant, reason, message) {
            tracing::info!(room = %room.name, ?reason, "participant left");
            drop(room);
            self.0.placement.left(shard);
            let Seat { room, participant } = seat;
            let command = Command::Leave {
                room,
                participant,
                reason,
            };
            self.insist(shard, command);
        }
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

//! Coming in: at once, or after waiting to be admitted.

use std::sync::Arc;

use sfu::error::LeaveReason;
use sfu::id::{ParticipantId, RoomId};
use sfu::shard::command::{Command, ParticipantParameters};

use super::log::EventKind;
use super::name::{ParticipantName, RoomName};
use super::news::{self, DataMessage, NewsReceiver, RoomNews};
use super::room::Member;
use super::spec::{Door, ParticipantSpec, ParticipantView, RoomSpec, RoomView, is_viewer};
use super::{Registry, Seat, carried_through, drawn_id};
use crate::clock::{Ulid, UnixTime, random_id};
use crate::limits::PARTICIPANTS_PER_NODE;
use crate::status::{Failure, Reason};

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

impl Registry {
    /// Lets somebody in, or has it wait. The same id inside is replaced.
    ///
    /// # Errors
    /// See the table of `registry`.
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
            let entered = this.receive(id, request).await;
            drop(turn);
            entered
        })
        .await
    }

    /// Lets one in who waits.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `PARTICIPANT_NOT_FOUND`, `NOT_WAITING`, `ROOM_FULL`.
    pub async fn admit_participant(
        &self,
        room: &RoomName,
        name: &ParticipantName,
    ) -> Result<ParticipantView, Failure> {
        let (this, room, name) = (self.clone(), room.clone(), name.clone());
        carried_through(async move {
            let (id, _turn) = this.enter(&room).await?;
            let waiting = {
                let room = this.room(id)?;
                match room.waiting_of(&name) {
                    Some(waiting) => waiting,
                    None if room.id_of(&name).is_some() => {
                        return Err(Failure::of(Reason::NotWaiting));
                    }
                    None => return Err(Failure::of(Reason::ParticipantNotFound)),
                }
            };
            this.admit(id, waiting).await?;
            this.get_participant(&room, &name)
        })
        .await
    }

    /// Lets everybody in who waits and for whom there is space, into a room whose turn we have.
    pub(super) async fn admit_all(&self, id: RoomId) -> Result<(), Failure> {
        let waiting: Vec<_> = self.room(id)?.waiting().map(|member| member.id).collect();
        for waiting in waiting {
            if let Err(failure) = self.admit(id, waiting).await {
                tracing::info!(reason = %failure.reason, "one who waits stays outside");
            }
        }
        Ok(())
    }

    /// Lets one in who waits, into a room whose turn we have.
    async fn admit(&self, id: RoomId, waiting: ParticipantId) -> Result<(), Failure> {
        let gone = || Failure::of(Reason::NotWaiting);
        let (name, spec, door) = {
            let room = self.room(id)?;
            let mut all = room.waiting();
            let member = all.find(|member| member.id == waiting).ok_or_else(gone)?;
            let (name, spec) = (member.name.clone(), Arc::clone(&member.spec));
            (name, spec, member.door)
        };
        let shard = self.occupy(id, waiting, &name, &spec, door).await?;
        let mut room = self.room_mut(id)?;
        let Some(mut member) = room.stop_waiting(waiting) else {
            drop(room);
            let command = Command::Leave {
                room: id,
                participant: waiting,
                reason: LeaveReason::LeftItself,
            };
            self.insist(shard, command);
            return Err(gone());
        };
        self.0.placement.entered(shard);
        member.shard = shard;
        room.enter(member, EventKind::ParticipantJoined);
        let arrival = Arc::new(room.arrival(waiting)?);
        room.tell(waiting, RoomNews::Admitted(arrival));
        room.tell_speakers(waiting);
        room.tell_admins();
        Ok(())
    }

    /// Somebody stands before a room whose turn we have.
    async fn receive(&self, id: RoomId, request: JoinRequest) -> Result<Entered, Failure> {
        let (name, inside, waits) = {
            let room = self.room(id)?;
            let resumed = request.resume_token.as_deref().and_then(|token| {
                let mut members = room.members();
                members
                    .find(|member| member.resume_token == token)
                    .map(|member| member.name.clone())
            });
            // Who is named is that one, whatever else it can prove.
            let name = match request.participant.clone().or(resumed) {
                Some(name) => name,
                None => ParticipantName::new(drawn_id("p")?)?,
            };
            let inside = room.id_of(&name).is_some();
            if room.spec.locked && !inside {
                return Err(Failure::of(Reason::RoomLocked));
            }
            // A backend that drives a transport has admitted whom it brings.
            let admitted = request.spec.permissions.admin || request.door == Door::Grpc;
            let waits = room.spec.config.waiting_room && !inside && !admitted;
            (name, inside, waits)
        };
        if waits {
            return self.wait(id, name, request);
        }
        let participant = ParticipantId(random_id()?);
        let (mut member, news) = membership(participant, name, request)?;
        if inside {
            self.replace(id, &member.name)?;
        }
        self.stop_waiting(id, &member.name)?;
        member.shard = self
            .occupy(id, participant, &member.name, &member.spec, member.door)
            .await?;
        let mut room = self.room_mut(id)?;
        self.0.placement.entered(member.shard);
        room.enter(member, EventKind::ParticipantJoined);
        room.tell_admin(participant);
        room.tell_speakers(participant);
        let arrival = room.arrival(participant)?;
        Ok(Entered::Inside(Box::new(Joined { arrival, news })))
    }

    /// Has somebody wait before a room whose turn we have.
    fn wait(
        &self,
        id: RoomId,
        name: ParticipantName,
        request: JoinRequest,
    ) -> Result<Entered, Failure> {
        if request.door != Door::WebSocket {
            let why = "this meeting has a waiting room, and nobody can wait by this door; \
                       the permissions do not include admin";
            return Err(Failure::new(Reason::PermissionMissing, why));
        }
        self.stop_waiting(id, &name)?;
        let participant = ParticipantId(random_id()?);
        let (member, news) = membership(participant, name, request)?;
        let mut room = self.room_mut(id)?;
        room.wait(member)?;
        let mut waiting = room.waiting();
        let member = waiting.find(|member| member.id == participant);
        let member = member.ok_or_else(|| Failure::of(Reason::ServerFailed))?;
        Ok(Entered::Waiting(Box::new(Waiting {
            seat: Seat {
                room: id,
                participant,
            },
            view: room.view_of(member),
            room: room.view(),
            news,
        })))
    }

    /// A place on a shard, where there is space; which shard.
    async fn occupy(
        &self,
        id: RoomId,
        participant: ParticipantId,
        name: &ParticipantName,
        spec: &ParticipantSpec,
        door: Door,
    ) -> Result<usize, Failure> {
        self.room(id)?.check_space(is_viewer(spec.kind, door))?;
        if self.0.placement.participants() >= PARTICIPANTS_PER_NODE {
            let why = format!("the node has {PARTICIPANTS_PER_NODE} participants, its most");
            return Err(Failure::new(Reason::NodeOverloaded, why));
        }
        let shard = self.choose_shard(id).await?;
        let by_http = matches!(door, Door::Whip | Door::Whep);
        let command = Command::Join {
            room: id,
            participant,
            parameters: ParticipantParameters {
                name: name.as_str().to_owned(),
                permissions: spec.permissions.parameters(),
                // WHIP and WHEP only ask (RFC 9725 §3): what is not in their own offer cannot be told
                // to them; viewers' tracks are chosen.
                subscribe_all: !by_http,
                offers: !by_http,
            },
        };
        self.call(shard, command).await?;
        // Which rungs are wanted is told by the WebSocket alone.
        if door != Door::WebSocket {
            let room = id;
            self.insist(shard, Command::HoldByRemb { room, participant });
        }
        Ok(shard)
    }

    /// Whoever of that name is inside is out.
    pub(super) fn replace(&self, room: RoomId, name: &ParticipantName) -> Result<(), Failure> {
        let before = self.room(room)?.id_of(name);
        if let Some(participant) = before {
            self.put_out(Seat { room, participant }, LeaveReason::Replaced, None);
        }
        Ok(())
    }

    /// Whoever of that name waits does so no more.
    fn stop_waiting(&self, room: RoomId, name: &ParticipantName) -> Result<(), Failure> {
        let before = self.room(room)?.waiting_of(name);
        if let Some(participant) = before {
            self.put_out(Seat { room, participant }, LeaveReason::Replaced, None);
        }
        Ok(())
    }
}

/// The record of one who comes, and the other end of its queue.
fn membership(
    id: ParticipantId,
    name: ParticipantName,
    request: JoinRequest,
) -> Result<(Member, NewsReceiver), Failure> {
    let (sender, news) = news::channel();
    let uid = Ulid::new(UnixTime::now())?;
    let mut member = Member::new(id, name, uid, Arc::new(request.spec), request.door);
    member.resume_token = drawn_id("s")?;
    member.token_id = request.token_id;
    member.issued_at = request.issued_at;
    member.news = Some(sender);
    Ok((member, news))
}

//! Participants: found, described, put out.

use std::collections::BTreeMap;
use std::time::Duration;

use sfu::error::LeaveReason;
use sfu::shard::command::Command;

use super::name::{ParticipantName, RoomName};
use super::page::{self, Page, PageRequest};
use super::revocation::Stone;
use super::room::Exit;
use super::spec::{ParticipantSpec, ParticipantState, ParticipantView};
use super::{Registry, Seat, carried_through, check_etag};
use crate::status::{Failure, Reason};

/// What a participant changes about itself. What is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelfChange {
    /// For people.
    pub display_name: Option<String>,
    /// Opaque.
    pub metadata: Option<String>,
    /// Merged into what there is; `None` takes away.
    pub attributes: BTreeMap<String, Option<String>>,
}

impl SelfChange {
    fn apply(self, spec: &mut ParticipantSpec) {
        if let Some(display_name) = self.display_name {
            spec.display_name = display_name;
        }
        if let Some(metadata) = self.metadata {
            spec.metadata = metadata;
        }
        for (key, value) in self.attributes {
            match value {
                Some(value) => drop(spec.attributes.insert(key, value)),
                None => drop(spec.attributes.remove(&key)),
            }
        }
    }
}

impl Registry {
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
        Ok(room.view_of(room.find(name)?))
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

    /// Viewers inside a room, or all that are `visible`. No such room: none.
    pub fn count_viewers(
        &self,
        room: Option<&RoomName>,
        visible: impl Fn(&RoomName) -> bool,
    ) -> usize {
        if let Some(name) = room {
            let room = self.id_of(name).and_then(|id| self.room(id));
            return room.map_or(0, |room| room.viewer_count());
        }
        let rooms = self.0.rooms.iter().filter(|room| visible(&room.name));
        rooms.map(|room| room.viewer_count()).sum()
    }

    /// The seat of one who is inside.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `PARTICIPANT_NOT_FOUND`.
    pub fn seat(&self, room: &RoomName, participant: &ParticipantName) -> Result<Seat, Failure> {
        let room = self.room(self.id_of(room)?)?;
        let id = room.id_of(participant);
        let participant = id.ok_or_else(|| Failure::of(Reason::ParticipantNotFound))?;
        Ok(Seat {
            room: room.id,
            participant,
        })
    }

    /// Changes what is said of a participant by `change`, which edits a copy of its spec. What it
    /// may do counts at once. Its kind stays.
    ///
    /// # Errors
    /// See the table of `registry`.
    pub async fn update_participant(
        &self,
        room: &RoomName,
        name: &ParticipantName,
        etag: Option<String>,
        change: impl FnOnce(&mut ParticipantSpec) -> Result<(), Failure> + Send + 'static,
    ) -> Result<ParticipantView, Failure> {
        let (this, room, name) = (self.clone(), room.clone(), name.clone());
        carried_through(async move {
            let (_, _turn) = this.enter(&room).await?;
            let view = this.get_participant(&room, &name)?;
            check_etag(etag.as_deref(), &view.etag())?;
            let mut spec = ParticipantSpec::clone(&view.spec);
            change(&mut spec)?;
            spec.kind = view.spec.kind;
            this.describe(&view, spec).await?;
            this.get_participant(&room, &name)
        })
        .await
    }

    /// Changes what a participant says of itself.
    ///
    /// # Errors
    /// `FIELD_INVALID`, `PARTICIPANT_NOT_FOUND`.
    pub async fn update_self(
        &self,
        seat: Seat,
        change: SelfChange,
    ) -> Result<ParticipantView, Failure> {
        let this = self.clone();
        carried_through(async move {
            let name = this.room(this.locate(seat).room)?.name.clone();
            let (_, _turn) = this.enter(&name).await?;
            // In its turn: it may have been moved meanwhile.
            let seat = this.locate(seat);
            let view = {
                let room = this.room(seat.room)?;
                room.view_of(room.member(seat.participant)?)
            };
            let mut spec = ParticipantSpec::clone(&view.spec);
            change.apply(&mut spec);
            this.describe(&view, spec).await?;
            let room = this.room(seat.room)?;
            Ok(room.view_of(room.member(seat.participant)?))
        })
        .await
    }

    /// New words about one whose room's turn we have.
    async fn describe(&self, view: &ParticipantView, spec: ParticipantSpec) -> Result<(), Failure> {
        spec.check()?;
        if spec == *view.spec {
            return Ok(());
        }
        let id = self.id_of(&view.room)?;
        let permitted = spec.permissions.parameters();
        // Of one who waits no shard knows.
        let known = view.state != ParticipantState::Waiting;
        if known && permitted != view.spec.permissions.parameters() {
            let shard = self.room(id)?.shard_of(view.id);
            let command = Command::UpdateParticipant {
                room: id,
                participant: view.id,
                permissions: permitted,
            };
            self.call(shard, command).await?;
        }
        let mut room = self.room_mut(id)?;
        for order in room.describe(view.id, spec)? {
            self.order_mute(&room, order);
        }
        Ok(())
    }

    /// Puts a participant out, or one who waits, and voids its tokens issued so far. It or its room is
    /// missing: done. With a ban it does not come back for so long, whatever token it shows.
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
        let (this, room, name) = (self.clone(), room.clone(), name.clone());
        carried_through(async move {
            // First, so that one who waits for this turn does not come back with an old token.
            if let Some(time) = ban {
                this.ban(room.clone(), name.clone(), time).await;
            }
            this.make_void(Stone::Participant(room.clone(), name.clone()))
                .await;
            match this.enter(&room).await {
                Ok((room, _turn)) => {
                    let there = this.room(room)?.find(&name).map(|member| member.id);
                    if let Ok(participant) = there {
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

    /// Where a seat is by now: whoever was moved may still hold the place it had.
    pub(super) fn locate(&self, seat: Seat) -> Seat {
        let moved = self.0.moved.get(&seat.participant).map(|room| *room);
        Seat {
            room: moved.unwrap_or(seat.room),
            ..seat
        }
    }

    /// Takes a participant out of the record, tells everybody, and has the shard free it.
    pub(super) fn put_out(&self, seat: Seat, reason: LeaveReason, message: Option<String>) {
        let Seat { room, participant } = self.locate(seat);
        if let Some(shard) = self.record_exit(seat, reason, message) {
            let command = Command::Leave {
                room,
                participant,
                reason,
            };
            self.insist(shard, command);
        }
    }

    /// Takes a participant out of the record and tells everybody. The shard that knows of it.
    pub(super) fn record_exit(
        &self,
        seat: Seat,
        reason: LeaveReason,
        message: Option<String>,
    ) -> Option<usize> {
        let Seat { room, participant } = self.locate(seat);
        let mut room = self.room_mut(room).ok()?;
        let shard = room.shard_of(participant);
        let exit = room.exit(participant, reason, message)?;
        tracing::info!(room = %room.name, ?reason, ?exit, "participant left");
        drop(room);
        self.0.moved.remove(&participant);
        if exit == Exit::Waiting {
            return None;
        }
        self.0.placement.left(shard);
        Some(shard)
    }
}

//! From room to room with the same transport.

use std::sync::Arc;

use sfu::error::LeaveReason;
use sfu::id::{ParticipantId, RoomId, TrackId};
use sfu::shard::Event;
use sfu::shard::command::Command;

use super::log::EventKind;
use super::name::{ParticipantName, RoomName};
use super::news::RoomNews;
use super::spec::ParticipantView;
use super::{Registry, carried_through};
use crate::status::{Failure, Reason};

impl Registry {
    /// Takes a participant to another room; its transport lives on. It is told by
    /// `RoomNews::Moved`, and operations with the seat it had go on. On a failure it stays where it
    /// was.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `PARTICIPANT_NOT_FOUND`, `ROOM_FULL`, and `ROOM_ELSEWHERE` where the rooms
    /// live on different shards: its addresses lead to one of them alone.
    pub async fn move_participant(
        &self,
        room: &RoomName,
        name: &ParticipantName,
        destination: &RoomName,
    ) -> Result<ParticipantView, Failure> {
        let (this, room) = (self.clone(), room.clone());
        let (name, destination) = (name.clone(), destination.clone());
        carried_through(async move {
            if room == destination {
                this.seat(&room, &name)?;
                return this.get_participant(&room, &name);
            }
            // Two turns at once are always taken in the order of names, so that two who move
            // against each other do not wait for ever.
            let (first, second) = if room < destination {
                (&room, &destination)
            } else {
                (&destination, &room)
            };
            let (_, _first) = this.enter(first).await?;
            let (_, _second) = this.enter(second).await?;
            let participant = this.seat(&room, &name)?.participant;
            let ends = (this.id_of(&room)?, this.id_of(&destination)?);
            this.carry_over(ends, participant).await?;
            this.get_participant(&destination, &name)
        })
        .await
    }

    /// Between two rooms whose turns we have.
    async fn carry_over(
        &self,
        (from, to): (RoomId, RoomId),
        participant: ParticipantId,
    ) -> Result<(), Failure> {
        let (shard, viewer, muted) = {
            let room = self.room(from)?;
            let member = room.member(participant)?;
            let muted = room.muted_by_order(participant);
            (member.shard, member.is_viewer(), muted)
        };
        {
            let mut room = self.room_mut(to)?;
            if room.shards().all(|there| there != shard) {
                return Err(Failure::of(Reason::RoomElsewhere));
            }
            room.check_space(viewer)?;
            // The shard's news of it there may come before we know that it is there.
            room.expect(participant);
        }
        let command = Command::MoveParticipant {
            room: from,
            participant,
            destination: to,
        };
        let asked = self.call(shard, command).await;
        let arrived = asked.and_then(|_| self.hand_over((from, to), shard, participant));
        match arrived {
            Ok(events) => {
                for event in events {
                    self.apply(event);
                }
                self.mute_again(to, &muted);
                Ok(())
            }
            Err(failure) => {
                if let Ok(mut room) = self.room_mut(to) {
                    room.expect_no_more();
                }
                Err(failure)
            }
        }
    }

    /// The shard has moved it: the records follow. What the shard has said of it since.
    fn hand_over(
        &self,
        (from, to): (RoomId, RoomId),
        shard: usize,
        participant: ParticipantId,
    ) -> Result<Vec<Event>, Failure> {
        let member = self.room_mut(from)?.release(participant);
        let Some(member) = member else {
            // It left meanwhile, and the shard does not know yet.
            let command = Command::Leave {
                room: to,
                participant,
                reason: LeaveReason::LeftItself,
            };
            self.insist(shard, command);
            return Err(Failure::of(Reason::ParticipantNotFound));
        };
        self.replace(to, &member.name)?;
        let mut room = self.room_mut(to)?;
        let events = room.expect_no_more();
        room.enter(member, EventKind::ParticipantMoved);
        self.0.moved.insert(participant, to);
        let arrival = Arc::new(room.arrival(participant)?);
        room.tell(participant, RoomNews::Moved(arrival));
        room.tell_speakers(participant);
        room.tell_admin(participant);
        Ok(events)
    }

    /// A backend's mute goes along.
    fn mute_again(&self, room: RoomId, tracks: &[TrackId]) {
        let Ok(mut room) = self.room_mut(room) else {
            return;
        };
        for &track in tracks {
            // One that was not published there is not to be muted.
            if let Ok(Some(order)) = room.mute_by_server(track, true) {
                self.order_mute(&room, order);
            }
        }
    }
}

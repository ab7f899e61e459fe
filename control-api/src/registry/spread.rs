//! A room on several shards: made on each, and joined by a pipe between every two of them. Doors and
//! participants see one room; which shard somebody's transport is on is in its record.
//!
//! A room is spread when a newcomer's shard has to be another one (`placement`), under the turn of the
//! room, and stays spread until it ends: whoever has left a shard comes back to it, if it is less loaded.

use sfu::error::LeaveReason;
use sfu::id::{PortId, RoomId};
use sfu::shard::command::Command;

use super::Registry;
use crate::clock::random_id;
use crate::status::{Failure, Reason};

impl Registry {
    /// The shard for a newcomer's transport, in a room whose turn we have.
    pub(super) async fn choose_shard(&self, id: RoomId) -> Result<usize, Failure> {
        let there: Vec<usize> = self.room(id)?.shards().collect();
        let shard = self.0.placement.seat(&there);
        if there.contains(&shard) {
            return Ok(shard);
        }
        match self.spread(id, &there, shard).await {
            Ok(()) => Ok(shard),
            Err(failure) => {
                tracing::warn!(room = %self.room(id)?.name, shard, %failure.reason, "the room stays as it is");
                there
                    .first()
                    .copied()
                    .ok_or_else(|| Failure::of(Reason::ServerFailed))
            }
        }
    }

    /// Makes a room on one more shard. On a failure it is as it was.
    async fn spread(&self, id: RoomId, there: &[usize], shard: usize) -> Result<(), Failure> {
        let parameters = self.room(id)?.spec.config.parameters();
        let mut pipes = Vec::new();
        let joined = self.join_shards((id, parameters), there, shard, &mut pipes);
        if let Err(failure) = joined.await {
            for (other, port) in pipes {
                self.insist(other, Command::ClosePort { port });
            }
            let reason = LeaveReason::RoomDeleted;
            self.insist(shard, Command::DeleteRoom { room: id, reason });
            return Err(failure);
        }
        let mut room = self.room_mut(id)?;
        room.shards_beside.push(shard);
        self.0.placement.room_made(shard);
        tracing::info!(room = %room.name, shard, "room spread to one more shard");
        Ok(())
    }

    async fn join_shards(
        &self,
        (room, parameters): (RoomId, sfu::shard::command::RoomParameters),
        there: &[usize],
        shard: usize,
        pipes: &mut Vec<(usize, PortId)>,
    ) -> Result<(), Failure> {
        self.call(shard, Command::CreateRoom { room, parameters })
            .await?;
        for &other in there {
            let port = PortId(random_id()?);
            let pipe = |to: usize| {
                let shard = u16::try_from(to).unwrap_or(u16::MAX);
                Command::OpenPipe { room, port, shard }
            };
            pipes.push((other, port));
            self.call(shard, pipe(other)).await?;
            self.call(other, pipe(shard)).await?;
        }
        Ok(())
    }
}

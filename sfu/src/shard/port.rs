//! Plaintext doors of the shard: a port belongs to a room and ends with it.

use super::Shard;
use super::command::Reply;
use crate::error::{CommandError, DropReason, Missing};
use crate::id::{PortId, RoomId, RoomKey};
use crate::time::Instant;
use crate::wire::port::PortMessage;

impl Shard {
    pub(super) fn open_port(&mut self, room: RoomId, port: PortId) -> Result<Reply, CommandError> {
        let key = self.room_key(room)?;
        if self.ports.get(&port).is_some_and(|known| *known != key) {
            return Err(CommandError::AlreadyExists { what: "port" });
        }
        let room = self.rooms.get_mut(key.index());
        room.ok_or(CommandError::Closed)?.router.open_port(port)?;
        self.ports.insert(port, key);
        Ok(Reply::Done)
    }

    pub(super) fn close_port(&mut self, now: Instant, port: PortId) -> Result<Reply, CommandError> {
        let missing = CommandError::NotFound(Missing::Port(port));
        let key = self.ports.remove(&port).ok_or(missing)?;
        self.forget_pipe(now, key, port);
        if let Some(room) = self.rooms.get_mut(key.index()) {
            room.router.close_port(port);
        }
        Ok(Reply::Done)
    }

    /// The room is gone, and its ports with it.
    pub(super) fn forget_ports(&mut self, room: RoomKey) {
        self.ports.retain(|_, key| *key != room);
        self.pipes.retain(|pipe| !pipe.is_of(room));
    }

    /// A message came in through a port.
    ///
    /// # Errors
    /// There is no such port or track, or the message is of a kind nothing here acts on.
    pub fn handle_port(
        &mut self,
        now: Instant,
        port: PortId,
        message: &PortMessage<'_>,
    ) -> Result<(), DropReason> {
        self.current = None;
        let key = self.ports.get(&port).copied();
        let key = key.ok_or(DropReason::UnknownTrack)?;
        self.current = Some(key);
        let room = self.rooms.get_mut(key.index());
        let room = room.ok_or(DropReason::UnknownTrack)?;
        let taken = room
            .router
            .handle_port(now, port, message, &mut self.commons.pages);
        self.settle_departure(now, key);
        taken
    }

    /// The next message for the other side of `port`, in its binary form (`wire::port`); its
    /// length. `out` holds `wire::port::MESSAGE_BYTES_MAX`.
    pub fn poll_port(&mut self, port: PortId, out: &mut [u8]) -> Option<usize> {
        let key = self.ports.get(&port).copied()?;
        let room = self.rooms.get_mut(key.index())?;
        room.router.poll_port(port, out)
    }
}

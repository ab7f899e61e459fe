//! Transports of those who ask for what others are told: the gRPC door.

use super::Registry;
use super::name::{ParticipantName, RoomName};
use super::spec::{Door, TransportState, TransportView};
use crate::status::Failure;

impl Registry {
    /// A participant's transport.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `PARTICIPANT_NOT_FOUND`.
    pub fn transport(
        &self,
        room: &RoomName,
        participant: &ParticipantName,
    ) -> Result<TransportView, Failure> {
        let seat = self.seat(room, participant)?;
        let room = self.room(seat.room)?;
        let member = room.member(seat.participant)?;
        let news = member.news.as_ref().filter(|_| member.door == Door::Grpc);
        Ok(TransportView {
            state: match member.srtp {
                Some(_) => TransportState::Connected,
                None => TransportState::Connecting,
            },
            srtp: member.srtp,
            offer: news.and_then(|news| news.standing().offer),
        })
    }
}

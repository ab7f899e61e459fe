//! Transports of those who ask for what others are told: the gRPC door.

use std::future::Future;

use super::Registry;
use super::name::{ParticipantName, RoomName};
use super::seat::Seat;
use super::spec::{Door, TransportState, TransportView};
use crate::status::{Failure, Reason};

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

    /// Resolves with the first offer of ours that comes after this call, or when the participant is
    /// out.
    ///
    /// # Errors
    /// `PARTICIPANT_NOT_FOUND`.
    pub fn next_offer(&self, seat: Seat) -> Result<impl Future<Output = ()> + use<>, Failure> {
        let seat = self.locate(seat);
        let room = self.room(seat.room)?;
        let news = room.member(seat.participant)?.news.as_ref();
        let news = news.ok_or_else(|| Failure::of(Reason::ParticipantNotFound))?;
        let mut standing = news.watch();
        let before = standing.borrow_and_update().offers;
        Ok(async move {
            // An error means that it is out.
            drop(standing.wait_for(|standing| standing.offers > before).await);
        })
    }
}

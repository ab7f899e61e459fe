//! What participants wish to receive, and what became of it.

use sfu::shard::command::{Command, Wish};

use super::name::{ParticipantName, RoomName};
use super::spec::{SubscriptionView, check_audio_slots, not_permitted};
use super::{Registry, Seat};
use crate::status::{Failure, Reason};

/// What a participant wishes of what the others publish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Every track of the others unless wished otherwise; none: as before.
    pub subscribe_all: Option<bool>,
    /// Voices sent at the same time, in a room that selects the loudest; none: as before.
    pub audio_slots: Option<usize>,
    /// Of single tracks; those that are not named keep theirs.
    pub tracks: Vec<Wish>,
}

impl Registry {
    /// A participant's wishes, in order of track.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `PARTICIPANT_NOT_FOUND`.
    pub fn list_subscriptions(
        &self,
        room: &RoomName,
        participant: &ParticipantName,
    ) -> Result<Vec<SubscriptionView>, Failure> {
        let seat = self.seat(room, participant)?;
        let room = self.room(seat.room)?;
        Ok(room.member(seat.participant)?.subscriptions())
    }

    /// States a participant's wishes; tracks that are not named keep theirs. What is known of those
    /// named, in their order; what becomes of them is seen once the shard has said so.
    ///
    /// # Errors
    /// As [`Registry::subscribe`], and `ROOM_NOT_FOUND`.
    pub async fn update_subscriptions(
        &self,
        room: &RoomName,
        participant: &ParticipantName,
        wishes: Wishes,
    ) -> Result<Vec<SubscriptionView>, Failure> {
        let named: Vec<_> = wishes.tracks.iter().map(|wish| wish.track).collect();
        let seat = self.seat(room, participant)?;
        self.subscribe(seat, wishes).await?;
        let views = self.list_subscriptions(room, participant)?;
        let view = |track| views.iter().find(|view| view.track == track).cloned();
        Ok(named.into_iter().filter_map(view).collect())
    }

    /// Its wishes.
    ///
    /// # Errors
    /// `PERMISSION_MISSING`, `TRACK_NOT_FOUND`, `PARTICIPANT_NOT_FOUND`, `LIMIT_EXCEEDED`.
    pub async fn subscribe(&self, seat: Seat, wishes: Wishes) -> Result<(), Failure> {
        let seat = self.locate(seat);
        if let Some(slots) = wishes.audio_slots {
            check_audio_slots("audio_slots", slots)?;
        }
        let Wishes {
            subscribe_all,
            audio_slots,
            tracks: wishes,
        } = wishes;
        {
            let room = self.room(seat.room)?;
            if !room.member(seat.participant)?.spec.permissions.subscribe {
                return Err(not_permitted("subscribe"));
            }
            for (index, wish) in wishes.iter().enumerate() {
                if room.track(wish.track).is_err() {
                    let mut failure = Failure::of(Reason::TrackNotFound);
                    failure.field = Some(format!("subscriptions[{index}]"));
                    return Err(failure);
                }
            }
        }
        let command = Command::UpdateSubscriptions {
            room: seat.room,
            participant: seat.participant,
            subscribe_all,
            audio_slots,
            wishes: wishes.clone(),
        };
        self.ask(seat, command).await?;
        self.room_mut(seat.room)?
            .note_wishes(seat.participant, &wishes);
        Ok(())
    }
}

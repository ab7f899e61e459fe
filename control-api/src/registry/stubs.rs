//! Operations whose shape is agreed and whose behaviour follows: each says `FEATURE_ABSENT`.

use std::collections::BTreeMap;

use sfu::id::TrackId;
use sfu::shard::command::Wish;

use super::name::{ParticipantName, RoomName};
use super::page::{Page, PageRequest};
use super::spec::{ParticipantView, SubscriptionView, TrackView, TransportView};
use super::{Registry, Seat};
use crate::clock::UnixTime;
use crate::status::Failure;

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

/// A message of a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendMessage {
    /// What it is about.
    pub topic: String,
    /// The message.
    pub payload: Vec<u8>,
    /// The payload is UTF-8 text.
    pub text: bool,
    /// To whom; empty: everybody.
    pub to: Vec<ParticipantName>,
}

/// Which tokens are void from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Of which room.
    pub room: RoomName,
    /// Of which participant; none: of everybody.
    pub participant: Option<ParticipantName>,
    /// Single tokens, by `jti`; empty: all of them.
    pub ids: Vec<String>,
    /// Those issued up to then; none: up to now.
    pub issued_at_max: Option<UnixTime>,
    /// Who is inside by one of them is put out.
    pub remove: bool,
}

#[expect(
    clippy::unused_async,
    clippy::unused_self,
    clippy::missing_errors_doc,
    clippy::missing_const_for_fn,
    unused_variables,
    missing_docs,
    reason = "shapes first"
)]
impl Registry {
    pub fn count_viewers(
        &self,
        room: Option<&RoomName>,
        visible: impl Fn(&RoomName) -> bool,
    ) -> usize {
        0
    }

    pub async fn update_self(
        &self,
        seat: Seat,
        change: SelfChange,
    ) -> Result<ParticipantView, Failure> {
        Err(Failure::absent("update"))
    }

    pub async fn admit_participant(
        &self,
        room: &RoomName,
        name: &ParticipantName,
    ) -> Result<ParticipantView, Failure> {
        Err(Failure::absent("AdmitParticipant"))
    }

    pub async fn move_participant(
        &self,
        room: &RoomName,
        name: &ParticipantName,
        destination: &RoomName,
    ) -> Result<ParticipantView, Failure> {
        Err(Failure::absent("MoveParticipant"))
    }

    pub fn list_tracks(
        &self,
        room: &RoomName,
        request: &PageRequest,
        keep: impl Fn(&TrackView) -> bool,
    ) -> Result<Page<TrackView>, Failure> {
        Err(Failure::absent("ListTracks"))
    }

    pub fn get_track(&self, room: &RoomName, track: TrackId) -> Result<TrackView, Failure> {
        Err(Failure::absent("GetTrack"))
    }

    /// Missing track: done.
    pub async fn unpublish_track(&self, room: &RoomName, track: TrackId) -> Result<(), Failure> {
        Err(Failure::absent("UnpublishTrack"))
    }

    pub async fn request_keyframe(&self, room: &RoomName, track: TrackId) -> Result<(), Failure> {
        Err(Failure::absent("RequestKeyframe"))
    }

    pub fn list_subscriptions(
        &self,
        room: &RoomName,
        participant: &ParticipantName,
    ) -> Result<Vec<SubscriptionView>, Failure> {
        Err(Failure::absent("ListSubscriptions"))
    }

    /// Tracks that are not named keep their wishes. In the order of the wishes.
    pub async fn update_subscriptions(
        &self,
        room: &RoomName,
        participant: &ParticipantName,
        subscribe_all: Option<bool>,
        wishes: Vec<Wish>,
    ) -> Result<Vec<SubscriptionView>, Failure> {
        Err(Failure::absent("UpdateSubscriptions"))
    }

    /// How many were put out.
    pub async fn revoke_tokens(&self, revocation: Revocation) -> Result<usize, Failure> {
        Err(Failure::absent("RevokeTokens"))
    }

    /// How many it goes to.
    pub fn send_message(&self, room: &RoomName, message: BackendMessage) -> Result<usize, Failure> {
        Err(Failure::absent("SendMessage"))
    }

    pub fn transport(
        &self,
        room: &RoomName,
        participant: &ParticipantName,
    ) -> Result<TransportView, Failure> {
        Err(Failure::absent("transport"))
    }

    /// The seat of one who is inside.
    pub fn seat(&self, room: &RoomName, participant: &ParticipantName) -> Result<Seat, Failure> {
        let record = self.room(self.id_of(room)?)?;
        let id = record.id_of(participant);
        let id = id.ok_or_else(|| Failure::of(crate::status::Reason::ParticipantNotFound))?;
        Ok(Seat {
            room: record.id,
            participant: id,
        })
    }
}

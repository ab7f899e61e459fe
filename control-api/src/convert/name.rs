//! Resource names and ids (AIP-122).

use sfu::id::TrackId;

use super::at;
use crate::registry::spec::track_from_label;
use crate::registry::{ParticipantName, RoomName};
use crate::status::{Failure, Reason};

/// `rooms/{room}`.
pub(crate) fn room_name(field: &'static str, name: &str) -> Result<RoomName, Failure> {
    let id = name.strip_prefix("rooms/");
    let id = id.ok_or_else(|| Failure::field(field, "write rooms/{room}"))?;
    RoomName::new(id).map_err(at(field))
}

/// `rooms/{room}`; none: `rooms/-`, all.
pub(crate) fn parent(field: &'static str, name: &str) -> Result<Option<RoomName>, Failure> {
    match name {
        "rooms/-" => Ok(None),
        name => room_name(field, name).map(Some),
    }
}

/// `rooms/{room}/participants/{participant}`.
pub(crate) fn participant_name(
    field: &'static str,
    name: &str,
) -> Result<(RoomName, ParticipantName), Failure> {
    let why = "write rooms/{room}/participants/{participant}";
    let split = name.split_once("/participants/");
    let (room, id) = split.ok_or_else(|| Failure::field(field, why))?;
    let id = ParticipantName::new(id).map_err(at(field))?;
    Ok((room_name(field, room)?, id))
}

/// A bare id; none: empty, the server draws one.
pub(crate) fn chosen_room_id(field: &'static str, id: String) -> Result<Option<RoomName>, Failure> {
    let id = (!id.is_empty()).then(|| RoomName::new(id));
    id.transpose().map_err(at(field))
}

/// A bare id; none: empty.
pub(crate) fn chosen_participant_id(
    field: &'static str,
    id: String,
) -> Result<Option<ParticipantName>, Failure> {
    let id = (!id.is_empty()).then(|| ParticipantName::new(id));
    id.transpose().map_err(at(field))
}

/// The resource name of a participant.
pub(crate) fn participant_path(room: &RoomName, participant: &ParticipantName) -> String {
    format!("rooms/{room}/participants/{participant}")
}

/// `rooms/{room}/tracks/{track}`. Tracks are named by us: another id is of none there is.
pub(crate) fn track_name(field: &'static str, name: &str) -> Result<(RoomName, TrackId), Failure> {
    let split = name.split_once("/tracks/");
    let (room, id) =
        split.ok_or_else(|| Failure::field(field, "write rooms/{room}/tracks/{track}"))?;
    let room = room_name(field, room)?;
    track_id(field, id).map(|id| (room, id))
}

fn track_id(field: &'static str, id: &str) -> Result<TrackId, Failure> {
    let id = ParticipantName::new(id).map_err(at(field))?;
    track_from_label(id.as_str()).ok_or_else(|| Failure::of(Reason::TrackNotFound))
}

/// `rooms/{room}/participants/{participant}/transport`.
pub(crate) fn transport_name(
    field: &'static str,
    name: &str,
) -> Result<(RoomName, ParticipantName), Failure> {
    let why = "write rooms/{room}/participants/{participant}/transport";
    let owner = name.strip_suffix("/transport");
    participant_name(field, owner.ok_or_else(|| Failure::field(field, why))?)
}

/// `rooms/{room}/participants/{participant}/subscriptions/{track}`, of this participant.
pub(crate) fn subscription_name(
    field: &'static str,
    name: &str,
    (room, participant): (&RoomName, &ParticipantName),
) -> Result<TrackId, Failure> {
    let prefix = format!("{}/subscriptions/", participant_path(room, participant));
    let id = name.strip_prefix(&prefix);
    let why = || Failure::field(field, format!("write {prefix}{{track}}"));
    track_id(field, id.ok_or_else(why)?)
}

/// `rooms/{room}` or `rooms/{room}/participants/{participant}`.
pub(crate) fn room_or_participant_name(
    field: &'static str,
    name: &str,
) -> Result<(RoomName, Option<ParticipantName>), Failure> {
    if name.contains("/participants/") {
        return participant_name(field, name).map(|(room, name)| (room, Some(name)));
    }
    room_name(field, name).map(|room| (room, None))
}

//! Resource names and ids (AIP-122).

use super::at;
use crate::registry::{ParticipantName, RoomName};
use crate::status::Failure;

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

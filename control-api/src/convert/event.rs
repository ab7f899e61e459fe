//! Events.

use proto::v1;

use super::filter::{Field, Filter, Kind, Value};
use super::time::timestamp;
use super::track::track;
use super::{participant, room};
use crate::registry::{EventKind, ParticipantView, Recorded, RoomSnapshot, Subject};
use crate::status::Failure;

/// An event for an answer.
pub(crate) fn event(recorded: &Recorded) -> v1::Event {
    let payload = match &recorded.subject {
        Subject::Room(view) => v1::event::Payload::RoomPayload(room(view)),
        Subject::Participant(view) => v1::event::Payload::Participant(participant(view)),
        Subject::Track(view) => v1::event::Payload::Track(track(&recorded.room, view)),
    };
    v1::Event {
        id: recorded.id.to_string(),
        sequence: i64::try_from(recorded.sequence).unwrap_or(i64::MAX),
        room: format!("rooms/{}", recorded.room),
        room_uid: recorded.room_uid.to_string(),
        time: Some(timestamp(recorded.time)),
        r#type: recorded.kind.as_str().to_owned(),
        payload: Some(payload),
    }
}

/// What is, in the words of what made it so; the sequence is the newest that is in it already.
/// `wanted` says which kinds of things.
pub(crate) fn snapshot(
    snapshot: &RoomSnapshot,
    wanted: impl Fn(EventKind) -> bool,
) -> Vec<v1::Event> {
    let item = |kind: EventKind, time, payload| v1::Event {
        id: String::new(),
        sequence: i64::try_from(snapshot.sequence).unwrap_or(i64::MAX),
        room: format!("rooms/{}", snapshot.room.name),
        room_uid: snapshot.room.uid.to_string(),
        time: Some(timestamp(time)),
        r#type: kind.as_str().to_owned(),
        payload: Some(payload),
    };
    let mut items = Vec::new();
    if wanted(EventKind::RoomCreated) {
        let payload = v1::event::Payload::RoomPayload(room(&snapshot.room));
        items.push(item(
            EventKind::RoomCreated,
            snapshot.room.create_time,
            payload,
        ));
    }
    let inside = |view: &ParticipantView| {
        let joined = wanted(EventKind::ParticipantJoined).then(|| {
            let payload = v1::event::Payload::Participant(participant(view));
            item(EventKind::ParticipantJoined, view.join_time, payload)
        });
        let tracks = wanted(EventKind::TrackPublished)
            .then_some(&view.tracks)
            .into_iter()
            .flatten();
        let tracks = tracks.map(|published| {
            let payload = v1::event::Payload::Track(track(&view.room, published));
            item(EventKind::TrackPublished, view.join_time, payload)
        });
        joined.into_iter().chain(tracks).collect::<Vec<_>>()
    };
    items.extend(snapshot.participants.iter().flat_map(inside));
    items
}

/// What ListEvents can be asked for.
const FIELDS: &[Field<Recorded>] = &[
    Field {
        name: "type",
        kind: Kind::Text,
        get: |event, _| Value::Text(Some(event.kind.as_str())),
    },
    Field {
        name: "time",
        kind: Kind::Time,
        get: |event, _| Value::Time(event.time),
    },
];

/// Which events are asked for.
pub(crate) fn event_filter(text: &str) -> Result<Filter<Recorded>, Failure> {
    Filter::new(text, FIELDS)
}

//! Participants.

use prost_types::FieldMask;
use proto::v1;
use sfu::error::LeaveReason;

use super::filter::{Field, Filter, Kind, Value};
use super::mask::masked;
use super::name::participant_path;
use super::permissions::{permissions, permissions_out};
use super::time::timestamp;
use super::track::track;
use super::{map_in, map_out, within};
use crate::registry::{Door, ParticipantKind, ParticipantSpec, ParticipantState, ParticipantView};
use crate::status::Failure;

/// A participant for an answer.
pub(crate) fn participant(view: &ParticipantView) -> v1::Participant {
    v1::Participant {
        name: participant_path(&view.room, &view.name),
        uid: view.uid.to_string(),
        etag: view.etag(),
        state: match view.state {
            ParticipantState::Waiting => v1::participant::State::Waiting,
            ParticipantState::Left => v1::participant::State::Left,
            ParticipantState::Joining => v1::participant::State::Joining,
            ParticipantState::Active => v1::participant::State::Active,
            ParticipantState::Resuming => v1::participant::State::Resuming,
        }
        .into(),
        kind: kind_out(view.spec.kind).into(),
        door: match view.door {
            Door::WebSocket => v1::participant::Door::Websocket,
            Door::Whip => v1::participant::Door::Whip,
            Door::Whep => v1::participant::Door::Whep,
            Door::Grpc => v1::participant::Door::Grpc,
        }
        .into(),
        display_name: view.spec.display_name.clone(),
        metadata: view.spec.metadata.clone(),
        attributes: map_out(&view.spec.attributes),
        permissions: Some(permissions_out(&view.spec.permissions)),
        tracks: view
            .tracks
            .iter()
            .map(|published| track(&view.room, published))
            .collect(),
        join_time: Some(timestamp(view.join_time)),
        leave_time: view.leave_time.map(timestamp),
        leave_reason: view
            .leave_reason
            .map_or(v1::LeaveReason::Unspecified, leave_reason)
            .into(),
    }
}

const fn kind_out(kind: ParticipantKind) -> v1::participant::Kind {
    use v1::participant::Kind;
    match kind {
        ParticipantKind::Standard => Kind::Standard,
        ParticipantKind::Recorder => Kind::Recorder,
        ParticipantKind::Ingress => Kind::Ingress,
        ParticipantKind::Phone => Kind::Phone,
        ParticipantKind::Viewer => Kind::Viewer,
    }
}

/// What kind; not said: a person.
fn kind_in(field: &'static str, number: i32) -> Result<ParticipantKind, Failure> {
    let kind = v1::participant::Kind::try_from(number).ok();
    match kind {
        Some(v1::participant::Kind::Unspecified) => Some(ParticipantKind::Standard),
        kind => kind.and_then(|kind| ParticipantKind::from_label(kind.as_str_name())),
    }
    .ok_or_else(|| Failure::field(field, format!("{number} is no kind known here")))
}

const fn leave_reason(reason: LeaveReason) -> v1::LeaveReason {
    match reason {
        LeaveReason::LeftItself => v1::LeaveReason::LeftItself,
        LeaveReason::Removed => v1::LeaveReason::Removed,
        LeaveReason::Replaced => v1::LeaveReason::Replaced,
        LeaveReason::Moved => v1::LeaveReason::Moved,
        LeaveReason::RoomDeleted => v1::LeaveReason::RoomDeleted,
        LeaveReason::RoomExpired => v1::LeaveReason::RoomExpired,
        LeaveReason::ConsentExpired => v1::LeaveReason::ConsentExpired,
        LeaveReason::TransportFailed => v1::LeaveReason::TransportFailed,
        LeaveReason::TokenRevoked => v1::LeaveReason::TokenRevoked,
        LeaveReason::NodeDrained => v1::LeaveReason::NodeDrained,
        LeaveReason::LimitReached => v1::LeaveReason::LimitReached,
        LeaveReason::ServerFailed => v1::LeaveReason::ServerFailed,
    }
}

/// How a participant is described, by the token to be issued.
pub(crate) fn token_spec(request: &mut v1::IssueTokenRequest) -> Result<ParticipantSpec, Failure> {
    let spec = ParticipantSpec {
        display_name: std::mem::take(&mut request.display_name),
        metadata: std::mem::take(&mut request.metadata),
        attributes: map_in(std::mem::take(&mut request.attributes)),
        kind: kind_in("kind", request.kind)?,
        permissions: permissions("permissions", request.permissions.take())?,
    };
    spec.check()?;
    Ok(spec)
}

/// A checked change of a participant.
#[derive(Debug)]
pub(crate) struct ParticipantEdit {
    wanted: ParticipantSpec,
    paths: Vec<&'static str>,
}

impl ParticipantEdit {
    pub(crate) fn new(
        participant: v1::Participant,
        mask: Option<FieldMask>,
    ) -> Result<Self, Failure> {
        let permitted = participant.permissions.is_some();
        let part = |path: &String| path.starts_with("permissions.");
        let in_part = mask
            .as_ref()
            .is_some_and(|mask| mask.paths.iter().any(part));
        let fields = [
            ("display_name", !participant.display_name.is_empty()),
            ("metadata", !participant.metadata.is_empty()),
            ("attributes", !participant.attributes.is_empty()),
            ("permissions.publish_sources", permitted),
            ("permissions.subscribe", permitted),
            ("permissions.send_data", permitted),
            ("permissions.hidden", permitted),
            ("permissions.admin", permitted),
            ("permissions.record", permitted),
            ("permissions.tracks_max", permitted),
        ];
        const ABSENT: &[&str] = &[
            "permissions.video_height_max",
            "permissions.publish_bitrate_bps_max",
            "permissions.subscribe_bitrate_bps_max",
            "permissions.data_bitrate_bps_max",
        ];
        let paths = masked("participant", mask, &fields, ABSENT)?;
        // Left out as a whole they are all given back; one that is named and not set is cleared.
        let given = participant.permissions;
        let given = given.or_else(|| in_part.then(v1::Permissions::default));
        let wanted = ParticipantSpec {
            display_name: participant.display_name,
            metadata: participant.metadata,
            attributes: map_in(participant.attributes),
            permissions: permissions("participant.permissions", given)?,
            ..ParticipantSpec::default()
        };
        wanted.check().map_err(within("participant"))?;
        Ok(Self { wanted, paths })
    }

    /// Fields of the mask as wanted, the others as they are.
    pub(crate) fn apply(self, spec: &mut ParticipantSpec) {
        let wanted = self.wanted;
        let (from, to) = (&wanted.permissions, &mut spec.permissions);
        for path in self.paths {
            match path {
                "display_name" => spec.display_name.clone_from(&wanted.display_name),
                "metadata" => spec.metadata.clone_from(&wanted.metadata),
                "attributes" => spec.attributes.clone_from(&wanted.attributes),
                "permissions.publish_sources" => {
                    to.publish_sources.clone_from(&from.publish_sources);
                }
                "permissions.subscribe" => to.subscribe = from.subscribe,
                "permissions.send_data" => to.send_data = from.send_data,
                "permissions.hidden" => to.hidden = from.hidden,
                "permissions.admin" => to.admin = from.admin,
                "permissions.record" => to.record = from.record,
                "permissions.tracks_max" => to.tracks_max = from.tracks_max,
                _ => {}
            }
        }
    }
}

/// What ListParticipants can be asked for.
const FIELDS: &[Field<ParticipantView>] = &[
    Field {
        name: "name",
        kind: Kind::Text,
        get: |view, _| Value::Made(participant_path(&view.room, &view.name)),
    },
    Field {
        name: "display_name",
        kind: Kind::Text,
        get: |view, _| Value::Text(Some(&view.spec.display_name)),
    },
    Field {
        name: "attributes",
        kind: Kind::Map,
        get: |view, key| Value::Text(view.spec.attributes.get(key).map(String::as_str)),
    },
    Field {
        name: "kind",
        kind: Kind::Word(&["STANDARD", "RECORDER", "INGRESS", "PHONE", "VIEWER"]),
        get: |view, _| Value::Text(Some(view.spec.kind.as_str())),
    },
    Field {
        name: "door",
        kind: Kind::Word(&["WEBSOCKET", "WHIP", "WHEP", "GRPC"]),
        get: |view, _| Value::Text(Some(view.door.as_str())),
    },
    Field {
        name: "state",
        kind: Kind::Word(&["WAITING", "JOINING", "ACTIVE", "RESUMING"]),
        get: |view, _| Value::Text(Some(view.state.as_str())),
    },
    Field {
        name: "hidden",
        kind: Kind::Flag,
        get: |view, _| Value::Flag(view.spec.permissions.hidden),
    },
    Field {
        name: "join_time",
        kind: Kind::Time,
        get: |view, _| Value::Time(view.join_time),
    },
];

/// Which participants are asked for. Viewers and hidden ones only where the filter says so.
pub(crate) fn participant_filter(
    text: &str,
) -> Result<impl Fn(&ParticipantView) -> bool + use<>, Failure> {
    let filter = Filter::new(text, FIELDS)?;
    let viewers = filter.asks("kind", "VIEWER") || filter.asks("door", "WHEP");
    let hidden = filter.asks("hidden", "true");
    Ok(move |view: &ParticipantView| {
        filter.passes(view)
            && (viewers || !view.is_viewer())
            && (hidden || !view.spec.permissions.hidden)
    })
}

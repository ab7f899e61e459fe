//! Participants.

use prost_types::FieldMask;
use proto::v1;

use super::mask::masked;
use super::name::participant_path;
use super::permissions::{permissions, permissions_out};
use super::time::timestamp;
use super::track::track;
use super::{map_in, map_out, within};
use crate::registry::{Door, ParticipantSpec, ParticipantState, ParticipantView};
use crate::status::Failure;

/// A participant for an answer.
pub(crate) fn participant(view: &ParticipantView) -> v1::Participant {
    v1::Participant {
        name: participant_path(&view.room, &view.name),
        uid: view.uid.to_string(),
        etag: String::new(),
        state: match view.state {
            ParticipantState::Joining => v1::participant::State::Joining,
            ParticipantState::Active => v1::participant::State::Active,
            ParticipantState::Resuming => v1::participant::State::Resuming,
        }
        .into(),
        kind: v1::participant::Kind::Standard.into(),
        door: match view.door {
            Door::WebSocket => v1::participant::Door::Websocket,
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
        leave_time: None,
        leave_reason: v1::LeaveReason::Unspecified.into(),
    }
}

/// How a participant is described, by the token to be issued.
pub(crate) fn token_spec(request: &mut v1::IssueTokenRequest) -> Result<ParticipantSpec, Failure> {
    let spec = ParticipantSpec {
        display_name: std::mem::take(&mut request.display_name),
        metadata: std::mem::take(&mut request.metadata),
        attributes: map_in(std::mem::take(&mut request.attributes)),
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
            ("permissions.tracks_max", permitted),
        ];
        const ABSENT: &[&str] = &[
            "permissions.hidden",
            "permissions.admin",
            "permissions.record",
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
                "permissions.tracks_max" => to.tracks_max = from.tracks_max,
                _ => {}
            }
        }
    }
}

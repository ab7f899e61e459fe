//! Tracks.

use proto::v1;
use sfu::units::MediaKind;

use super::filter::{Field, Filter, Kind, Value};
use super::name::participant_path;
use super::time::timestamp;
use crate::registry::spec::codec_label;
use crate::registry::{RoomName, TrackSource, TrackView};
use crate::status::Failure;

/// A track for an answer.
pub(crate) fn track(room: &RoomName, track: &TrackView) -> v1::Track {
    v1::Track {
        name: format!("rooms/{room}/tracks/{}", track.label()),
        participant: participant_path(room, &track.participant),
        kind: match track.kind {
            MediaKind::Audio => v1::track::Kind::Audio,
            MediaKind::Video => v1::track::Kind::Video,
        }
        .into(),
        source: source_out(track.source).into(),
        codec: codec_label(track.codec),
        muted: track.muted(),
        server_muted: track.muted_by_server,
        create_time: Some(timestamp(track.create_time)),
    }
}

pub(super) const fn source_out(source: TrackSource) -> v1::TrackSource {
    match source {
        TrackSource::Camera => v1::TrackSource::Camera,
        TrackSource::Microphone => v1::TrackSource::Microphone,
        TrackSource::Screen => v1::TrackSource::Screen,
        TrackSource::ScreenAudio => v1::TrackSource::ScreenAudio,
        TrackSource::Other => v1::TrackSource::Other,
    }
}

/// What ListTracks can be asked for; a participant by its id, as all are of one room.
const FIELDS: &[Field<TrackView>] = &[
    Field {
        name: "participant",
        kind: Kind::Text,
        get: |track, _| Value::Text(Some(track.participant.as_str())),
    },
    Field {
        name: "kind",
        kind: Kind::Word(&["AUDIO", "VIDEO"]),
        get: |track, _| {
            Value::Text(Some(match track.kind {
                MediaKind::Audio => "AUDIO",
                MediaKind::Video => "VIDEO",
            }))
        },
    },
    Field {
        name: "source",
        kind: Kind::Word(&["CAMERA", "MICROPHONE", "SCREEN", "SCREEN_AUDIO", "OTHER"]),
        get: |track, _| Value::Text(Some(track.source.as_str())),
    },
    Field {
        name: "muted",
        kind: Kind::Flag,
        get: |track, _| Value::Flag(track.muted()),
    },
];

/// Which tracks are asked for.
pub(crate) fn track_filter(text: &str) -> Result<Filter<TrackView>, Failure> {
    Filter::new(text, FIELDS)
}

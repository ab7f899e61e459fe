//! Tracks.

use proto::v1;
use sfu::units::MediaKind;

use super::name::participant_path;
use crate::registry::spec::codec_label;
use crate::registry::{RoomName, TrackSource, TrackView};

/// A track for an answer.
pub(super) fn track(room: &RoomName, track: &TrackView) -> v1::Track {
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
        create_time: None,
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

//! What a participant may do.

use proto::v1;
use sfu::limits::TRACKS_PER_PARTICIPANT;

use super::count;
use super::track::source_out;
use crate::registry::{Permissions, TrackSource};
use crate::status::Failure;

pub(super) fn permissions_out(permissions: &Permissions) -> v1::Permissions {
    let all = TrackSource::ALL.to_vec();
    let sources = permissions.publish_sources.as_ref().unwrap_or(&all);
    v1::Permissions {
        publish_sources: sources
            .iter()
            .map(|&source| source_out(source).into())
            .collect(),
        subscribe: permissions.subscribe,
        send_data: permissions.send_data,
        hidden: permissions.hidden,
        admin: permissions.admin,
        record: permissions.record,
        tracks_max: Some(count(
            permissions.tracks_max.unwrap_or(TRACKS_PER_PARTICIPANT),
        )),
        ..v1::Permissions::default()
    }
}

/// What a participant may do; not set: all.
pub(crate) fn permissions(
    field: &'static str,
    permissions: Option<v1::Permissions>,
) -> Result<Permissions, Failure> {
    let Some(permissions) = permissions else {
        return Ok(Permissions::default());
    };
    let under = |name: &str| format!("{field}.{name}");
    for (set, name) in [
        (permissions.video_height_max.is_some(), "video_height_max"),
        (
            permissions.publish_bitrate_bps_max.is_some(),
            "publish_bitrate_bps_max",
        ),
        (
            permissions.subscribe_bitrate_bps_max.is_some(),
            "subscribe_bitrate_bps_max",
        ),
        (
            permissions.data_bitrate_bps_max.is_some(),
            "data_bitrate_bps_max",
        ),
    ] {
        if set {
            return Err(Failure::absent(under(name)));
        }
    }
    let source = |&number: &i32| {
        let known = v1::TrackSource::try_from(number).ok();
        let known = known.and_then(|source| TrackSource::from_label(source.as_str_name()));
        let why = format!("{number} is no source known here");
        known.ok_or_else(|| Failure::field(under("publish_sources"), why))
    };
    let sources = permissions.publish_sources.iter().map(source);
    let most = permissions.tracks_max.map(|most| {
        let why = "must not be below 0";
        usize::try_from(most).map_err(|_| Failure::field(under("tracks_max"), why))
    });
    Ok(Permissions {
        publish_sources: Some(sources.collect::<Result<_, _>>()?),
        subscribe: permissions.subscribe,
        send_data: permissions.send_data,
        hidden: permissions.hidden,
        admin: permissions.admin,
        record: permissions.record,
        tracks_max: most.transpose()?,
    })
}

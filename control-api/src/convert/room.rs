//! Rooms and their configuration.

use prost_types::FieldMask;
use proto::v1;

use super::filter::{Field, Filter, Kind, Value};
use super::mask::masked;
use super::time::{duration, duration_out, timestamp};
use super::{count, map_in, map_out, renamed, within};
use crate::registry::spec::{codec_from_label, codec_label};
use crate::registry::{RoomConfig, RoomSpec, RoomView};
use crate::status::Failure;

/// A room for an answer.
pub(crate) fn room(view: &RoomView) -> v1::Room {
    v1::Room {
        name: format!("rooms/{}", view.name),
        uid: view.uid.to_string(),
        etag: view.etag(),
        state: v1::room::State::Open.into(),
        display_name: view.spec.display_name.clone(),
        metadata: view.spec.metadata.clone(),
        labels: map_out(&view.spec.labels),
        config: Some(room_config_out(&view.spec.config)),
        locked: view.spec.locked,
        participant_count: count(view.participant_count),
        viewer_count: count(view.viewer_count),
        recordings: Vec::new(),
        create_time: Some(timestamp(view.create_time)),
        update_time: Some(timestamp(view.update_time)),
    }
}

/// Values in effect, also of what cannot be set to anything else yet.
fn room_config_out(config: &RoomConfig) -> v1::RoomConfig {
    v1::RoomConfig {
        empty_timeout: Some(duration_out(config.empty_timeout)),
        resume_window: Some(duration_out(config.resume_window)),
        duration_max: config.duration_max.map(duration_out),
        participants_max: Some(count(config.participants_max)),
        viewers_max: Some(count(config.viewers_max)),
        audio_slots: Some(count(config.audio_slots)),
        audio_slots_above: Some(count(config.audio_slots_above)),
        codecs: config.codecs.iter().copied().map(codec_label).collect(),
        e2ee_required: Some(false),
        waiting_room: Some(config.waiting_room),
        message_history_max: Some(count(config.message_history_max)),
        auto_recording: None,
    }
}

/// A room as the request's `room` wants it; what it does not say is the default.
pub(crate) fn room_spec(room: v1::Room, defaults: &RoomConfig) -> Result<RoomSpec, Failure> {
    let spec = RoomSpec {
        display_name: room.display_name,
        metadata: room.metadata,
        labels: map_in(room.labels),
        config: room_config("room.config", room.config, defaults)?,
        locked: room.locked,
    };
    spec.check().map_err(within("room"))?;
    Ok(spec)
}

/// A room's configuration; what it does not say is the default.
pub(crate) fn room_config(
    field: &'static str,
    config: Option<v1::RoomConfig>,
    defaults: &RoomConfig,
) -> Result<RoomConfig, Failure> {
    let Some(config) = config else {
        return Ok(defaults.clone());
    };
    let under = |name: &str| format!("{field}.{name}");
    for (acted_on, name) in [
        (config.e2ee_required != Some(true), "e2ee_required"),
        (config.auto_recording.is_none(), "auto_recording"),
    ] {
        if !acted_on {
            return Err(Failure::absent(under(name)));
        }
    }
    let time = |name, value| duration(&under(name), value);
    let codecs = config.codecs.iter().map(|label| {
        codec_from_label(label).map_err(|failure| renamed(failure, Some(under("codecs"))))
    });
    let most = |name: &str, most: Option<i32>, default| match most {
        Some(most) => {
            usize::try_from(most).map_err(|_| Failure::field(under(name), "must not be below 0"))
        }
        None => Ok(default),
    };
    Ok(RoomConfig {
        empty_timeout: time("empty_timeout", config.empty_timeout)?
            .unwrap_or(defaults.empty_timeout),
        resume_window: time("resume_window", config.resume_window)?
            .unwrap_or(defaults.resume_window),
        duration_max: time("duration_max", config.duration_max)?.or(defaults.duration_max),
        participants_max: most(
            "participants_max",
            config.participants_max,
            defaults.participants_max,
        )?,
        viewers_max: most("viewers_max", config.viewers_max, defaults.viewers_max)?,
        waiting_room: config.waiting_room.unwrap_or(defaults.waiting_room),
        message_history_max: most(
            "message_history_max",
            config.message_history_max,
            defaults.message_history_max,
        )?,
        audio_slots: most("audio_slots", config.audio_slots, defaults.audio_slots)?,
        audio_slots_above: most(
            "audio_slots_above",
            config.audio_slots_above,
            defaults.audio_slots_above,
        )?,
        codecs: codecs.collect::<Result<_, _>>()?,
    })
}

/// A checked change of a room.
#[derive(Debug)]
pub(crate) struct RoomEdit {
    wanted: RoomSpec,
    paths: Vec<&'static str>,
}

impl RoomEdit {
    pub(crate) fn new(
        room: v1::Room,
        mask: Option<FieldMask>,
        defaults: &RoomConfig,
    ) -> Result<Self, Failure> {
        let config = room.config.clone().unwrap_or_default();
        let fields = [
            ("display_name", !room.display_name.is_empty()),
            ("metadata", !room.metadata.is_empty()),
            ("labels", !room.labels.is_empty()),
            ("locked", room.locked),
            ("config.empty_timeout", config.empty_timeout.is_some()),
            ("config.resume_window", config.resume_window.is_some()),
            ("config.duration_max", config.duration_max.is_some()),
            ("config.participants_max", config.participants_max.is_some()),
            ("config.viewers_max", config.viewers_max.is_some()),
            ("config.waiting_room", config.waiting_room.is_some()),
            (
                "config.message_history_max",
                config.message_history_max.is_some(),
            ),
            ("config.audio_slots", config.audio_slots.is_some()),
            (
                "config.audio_slots_above",
                config.audio_slots_above.is_some(),
            ),
            ("config.codecs", !config.codecs.is_empty()),
        ];
        const ABSENT: &[&str] = &["config.e2ee_required", "config.auto_recording"];
        // "*" and "config" mean what can be changed; codecs are fixed once the room exists.
        let by_name = |mask: &FieldMask| mask.paths.iter().any(|path| path == "config.codecs");
        let codecs = !config.codecs.is_empty() || mask.as_ref().is_some_and(by_name);
        let mut paths = masked("room", mask, &fields, ABSENT)?;
        paths.retain(|path| codecs || *path != "config.codecs");
        let wanted = room_spec(room, defaults)?;
        Ok(Self { wanted, paths })
    }

    /// Fields of the mask as wanted, the others as they are.
    pub(crate) fn apply(self, spec: &mut RoomSpec) {
        let wanted = self.wanted;
        for path in self.paths {
            match path {
                "display_name" => spec.display_name.clone_from(&wanted.display_name),
                "metadata" => spec.metadata.clone_from(&wanted.metadata),
                "labels" => spec.labels.clone_from(&wanted.labels),
                "locked" => spec.locked = wanted.locked,
                "config.empty_timeout" => spec.config.empty_timeout = wanted.config.empty_timeout,
                "config.resume_window" => spec.config.resume_window = wanted.config.resume_window,
                "config.duration_max" => spec.config.duration_max = wanted.config.duration_max,
                "config.participants_max" => {
                    spec.config.participants_max = wanted.config.participants_max;
                }
                "config.viewers_max" => spec.config.viewers_max = wanted.config.viewers_max,
                "config.waiting_room" => spec.config.waiting_room = wanted.config.waiting_room,
                "config.message_history_max" => {
                    spec.config.message_history_max = wanted.config.message_history_max;
                }
                "config.audio_slots" => spec.config.audio_slots = wanted.config.audio_slots,
                "config.audio_slots_above" => {
                    spec.config.audio_slots_above = wanted.config.audio_slots_above;
                }
                "config.codecs" => spec.config.codecs.clone_from(&wanted.config.codecs),
                _ => {}
            }
        }
    }
}

/// A failure of a room's configuration alone, as one of `room_config`.
pub(crate) fn as_room_config(failure: Failure) -> Failure {
    let field = failure.field.as_deref().unwrap_or_default();
    let field = field.replacen("config.", "room_config.", 1);
    renamed(failure, Some(field))
}

/// What ListRooms can be asked for.
const FIELDS: &[Field<RoomView>] = &[
    Field {
        name: "name",
        kind: Kind::Text,
        get: |room, _| Value::Made(format!("rooms/{}", room.name)),
    },
    Field {
        name: "display_name",
        kind: Kind::Text,
        get: |room, _| Value::Text(Some(&room.spec.display_name)),
    },
    Field {
        name: "labels",
        kind: Kind::Map,
        get: |room, key| Value::Text(room.spec.labels.get(key).map(String::as_str)),
    },
    Field {
        name: "locked",
        kind: Kind::Flag,
        get: |room, _| Value::Flag(room.spec.locked),
    },
    Field {
        name: "create_time",
        kind: Kind::Time,
        get: |room, _| Value::Time(room.create_time),
    },
];

/// Which rooms are asked for.
pub(crate) fn room_filter(text: &str) -> Result<Filter<RoomView>, Failure> {
    Filter::new(text, FIELDS)
}

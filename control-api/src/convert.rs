//! Protocol buffers to and from domain types: beside `status.rs` the only place that names both.
//!
//! A request becomes checked domain values or a failure that names the field, as the request's
//! path. A field this build does not act on is refused where it is set to anything but what we do
//! anyway. What the server alone writes is passed over in requests (AIP-203), so that an answer,
//! edited, can be sent back.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use prost_types::{FieldMask, Timestamp};
use proto::v1;
use sfu::limits::TRACKS_PER_PARTICIPANT;
use sfu::units::MediaKind;

use crate::clock::UnixTime;
use crate::limits::FAREWELL_BYTES;
use crate::registry::spec::{codec_from_label, codec_label};
use crate::registry::{
    Door, PageRequest, ParticipantName, ParticipantSpec, ParticipantState, ParticipantView,
    Permissions, RoomConfig, RoomName, RoomSpec, RoomView, TrackSource, TrackView,
};
use crate::status::{Failure, Reason};

// Names.

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

// Refusals.

/// Refuses the first field that is set: nothing here acts on it.
pub(crate) fn refuse_set(fields: &[(bool, &'static str)]) -> Result<(), Failure> {
    match fields.iter().find(|(set, _)| *set) {
        Some((_, field)) => Err(Failure::absent(*field)),
        None => Ok(()),
    }
}

/// A failure of a part, as one of the request that holds it: `config.codecs` of `room` is
/// `room.config.codecs`.
pub(crate) fn within(prefix: &'static str) -> impl Fn(Failure) -> Failure {
    move |failure| {
        let field = failure
            .field
            .as_ref()
            .map(|field| format!("{prefix}.{field}"));
        renamed(failure, field)
    }
}

/// A failure as one of this field.
fn at(field: &'static str) -> impl Fn(Failure) -> Failure {
    move |failure| renamed(failure, Some(field.to_owned()))
}

fn renamed(failure: Failure, field: Option<String>) -> Failure {
    let Some(field) = field else {
        return failure;
    };
    let old = failure.field.as_deref().unwrap_or_default();
    let why = failure.message.strip_prefix(old);
    let why = why.unwrap_or(&failure.message).trim_start_matches(": ");
    Failure {
        message: format!("{field}: {why}"),
        field: Some(field),
        ..failure
    }
}

/// A failure of a room's configuration alone, as one of `room_config`.
pub(crate) fn as_room_config(failure: Failure) -> Failure {
    let field = failure.field.as_deref().unwrap_or_default();
    let field = field.replacen("config.", "room_config.", 1);
    renamed(failure, Some(field))
}

/// Words for those who are put out; none: empty.
pub(crate) fn words(field: &'static str, words: String) -> Result<Option<String>, Failure> {
    if words.len() > FAREWELL_BYTES {
        let why = format!("at most {FAREWELL_BYTES} bytes");
        return Err(Failure::field(field, why));
    }
    Ok((!words.is_empty()).then_some(words))
}

// Lists.

/// What is asked of a list.
pub(crate) fn page(size: i32, token: String) -> Result<PageRequest, Failure> {
    let size = usize::try_from(size)
        .map_err(|_| Failure::field("page_size", "must not be below 0; 0 means 100"))?;
    Ok(PageRequest { size, token })
}

// Time.

fn timestamp(time: UnixTime) -> Timestamp {
    let millis = time.as_millis();
    Timestamp {
        seconds: i64::try_from(millis / 1_000).unwrap_or(i64::MAX),
        nanos: i32::try_from(millis % 1_000 * 1_000_000).unwrap_or_default(),
    }
}

/// When something happened, as an answer's field.
pub(crate) fn moment(time: UnixTime) -> Option<Timestamp> {
    Some(timestamp(time))
}

/// A duration that is not negative; none: not set.
pub(crate) fn duration(
    field: &str,
    duration: Option<prost_types::Duration>,
) -> Result<Option<Duration>, Failure> {
    // The range of google.protobuf.Duration: 10,000 years.
    const SECONDS_MAX: u64 = 315_576_000_000;
    let read = |duration: prost_types::Duration| {
        let seconds = u64::try_from(duration.seconds).ok();
        let nanos = u32::try_from(duration.nanos).ok();
        seconds
            .zip(nanos)
            .filter(|(seconds, nanos)| *seconds <= SECONDS_MAX && *nanos < 1_000_000_000)
            .map(|(seconds, nanos)| Duration::new(seconds, nanos))
            .ok_or_else(|| Failure::field(field, "no duration from 0 to 315576000000 s"))
    };
    duration.map(read).transpose()
}

fn duration_out(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
    }
}

fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

// Rooms.

/// A room for an answer.
pub(crate) fn room(view: &RoomView) -> v1::Room {
    v1::Room {
        name: format!("rooms/{}", view.name),
        uid: view.uid.to_string(),
        etag: String::new(),
        state: v1::room::State::Open.into(),
        display_name: view.spec.display_name.clone(),
        metadata: view.spec.metadata.clone(),
        labels: map_out(&view.spec.labels),
        config: Some(room_config_out(&view.spec.config)),
        locked: view.spec.locked,
        participant_count: count(view.participant_count),
        viewer_count: 0,
        recordings: Vec::new(),
        create_time: Some(timestamp(view.create_time)),
        update_time: Some(timestamp(view.update_time)),
    }
}

/// Values in effect, also of what cannot be set to anything else yet. `audio_slots` has none: every
/// voice is sent.
fn room_config_out(config: &RoomConfig) -> v1::RoomConfig {
    v1::RoomConfig {
        empty_timeout: Some(duration_out(config.empty_timeout)),
        resume_window: Some(duration_out(config.resume_window)),
        duration_max: config.duration_max.map(duration_out),
        participants_max: Some(count(config.participants_max)),
        viewers_max: Some(0),
        audio_slots: None,
        codecs: config.codecs.iter().copied().map(codec_label).collect(),
        e2ee_required: Some(false),
        waiting_room: Some(false),
        message_history_max: Some(0),
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
        (
            config.viewers_max.is_none_or(|most| most == 0),
            "viewers_max",
        ),
        (config.audio_slots.is_none(), "audio_slots"),
        (config.e2ee_required != Some(true), "e2ee_required"),
        (config.waiting_room != Some(true), "waiting_room"),
        (
            config.message_history_max.is_none_or(|most| most == 0),
            "message_history_max",
        ),
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
    let most = config.participants_max.map(|most| {
        let why = "must be above 0";
        usize::try_from(most).map_err(|_| Failure::field(under("participants_max"), why))
    });
    Ok(RoomConfig {
        empty_timeout: time("empty_timeout", config.empty_timeout)?
            .unwrap_or(defaults.empty_timeout),
        resume_window: time("resume_window", config.resume_window)?
            .unwrap_or(defaults.resume_window),
        duration_max: time("duration_max", config.duration_max)?.or(defaults.duration_max),
        participants_max: most.transpose()?.unwrap_or(defaults.participants_max),
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
            ("config.codecs", !config.codecs.is_empty()),
        ];
        const ABSENT: &[&str] = &[
            "config.viewers_max",
            "config.audio_slots",
            "config.e2ee_required",
            "config.waiting_room",
            "config.message_history_max",
            "config.auto_recording",
        ];
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
                "config.codecs" => spec.config.codecs.clone_from(&wanted.config.codecs),
                _ => {}
            }
        }
    }
}

/// The fields a mask names, of those that can be changed: `fields`, each with whether the request
/// sets it. No mask: every set field. `*`: all of them; a message: all below it.
fn masked(
    resource: &'static str,
    mask: Option<FieldMask>,
    fields: &[(&'static str, bool)],
    absent: &[&str],
) -> Result<Vec<&'static str>, Failure> {
    let named = mask.unwrap_or_default().paths;
    if named.is_empty() {
        let set = fields.iter().filter(|(_, set)| *set);
        return Ok(set.map(|(path, _)| *path).collect());
    }
    let mut paths = Vec::new();
    for name in named {
        let below = format!("{name}.");
        let before = paths.len();
        let matching = |path: &str| name == "*" || path == name || path.starts_with(&below);
        paths.extend(
            fields
                .iter()
                .map(|(path, _)| *path)
                .filter(|path| matching(path)),
        );
        if absent.contains(&name.as_str()) {
            return Err(Failure::absent(format!("{resource}.{name}")));
        }
        if paths.len() == before {
            let known: Vec<_> = fields.iter().map(|(path, _)| *path).collect();
            let why = format!("{name:?} cannot be changed; what can: {}", known.join(", "));
            return Err(Failure {
                reason: Reason::MaskInvalid,
                ..Failure::field("update_mask", why)
            });
        }
    }
    Ok(paths)
}

fn map_in(map: HashMap<String, String>) -> BTreeMap<String, String> {
    map.into_iter().collect()
}

fn map_out(map: &BTreeMap<String, String>) -> HashMap<String, String> {
    map.clone().into_iter().collect()
}

// Participants.

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
            .map(|track| track_out(&view.room, track))
            .collect(),
        join_time: Some(timestamp(view.join_time)),
        leave_time: None,
        leave_reason: v1::LeaveReason::Unspecified.into(),
    }
}

fn track_out(room: &RoomName, track: &TrackView) -> v1::Track {
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

const fn source_out(source: TrackSource) -> v1::TrackSource {
    match source {
        TrackSource::Camera => v1::TrackSource::Camera,
        TrackSource::Microphone => v1::TrackSource::Microphone,
        TrackSource::Screen => v1::TrackSource::Screen,
        TrackSource::ScreenAudio => v1::TrackSource::ScreenAudio,
        TrackSource::Other => v1::TrackSource::Other,
    }
}

fn permissions_out(permissions: &Permissions) -> v1::Permissions {
    let all = TrackSource::ALL.to_vec();
    let sources = permissions.publish_sources.as_ref().unwrap_or(&all);
    v1::Permissions {
        publish_sources: sources
            .iter()
            .map(|&source| source_out(source).into())
            .collect(),
        subscribe: permissions.subscribe,
        send_data: permissions.send_data,
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
        (permissions.hidden, "hidden"),
        (permissions.admin, "admin"),
        (permissions.record, "record"),
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
        tracks_max: most.transpose()?,
    })
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

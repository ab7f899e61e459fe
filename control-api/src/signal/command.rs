//! `command`: what admins do to others and to the room, and everybody to own tracks, by the methods
//! and messages of the gRPC API in proto3 JSON (snake_case). The operations are the registry's, so
//! they fail as they do there.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use sfu::id::TrackId;

use super::incoming::CommandIn;
use super::outgoing::moment;
use crate::auth::TokenRequest;
use crate::limits::{FAREWELL_BYTES, TOKEN_TTL};
use crate::node::Node;
use crate::registry::spec::{codec_label, not_permitted, track_from_label};
use crate::registry::{
    ParticipantName, ParticipantSpec, ParticipantView, Permissions, RoomName, RoomSpec, RoomView,
    Seat, TrackSource, TrackView,
};
use crate::status::{Failure, Reason};

/// Carries a command out; the response's JSON.
///
/// # Errors
/// `FEATURE_ABSENT`, `PERMISSION_MISSING`, `FIELD_INVALID`, and what the operation fails with.
pub(super) async fn carry_out(
    node: &Node,
    seat: Seat,
    command: &CommandIn,
) -> Result<Value, Failure> {
    let (room, own) = node.registry().names(seat)?;
    let admin = || {
        let view = node.registry().get_participant(&room, &own)?;
        let admin = view.spec.permissions.admin;
        admin.then_some(()).ok_or_else(|| not_permitted("admin"))
    };
    let asked = Asked {
        node,
        room: &room,
        own: &own,
    };
    match command.method.as_str() {
        "SetTrackMuted" => asked.set_track_muted(read(command)?, admin).await,
        "UnpublishTrack" => asked.unpublish_track(read(command)?, admin).await,
        "RemoveParticipant" => {
            admin()?;
            asked.remove_participant(read(command)?).await
        }
        "AdmitParticipant" => {
            admin()?;
            let Named { name } = read(command)?;
            let name = asked.participant("name", &name)?;
            let admitted = node.registry().admit_participant(&room, &name).await?;
            Ok(participant(&admitted))
        }
        "UpdateParticipant" => {
            admin()?;
            asked.update_participant(read(command)?).await
        }
        "UpdateRoom" => {
            admin()?;
            asked.update_room(read(command)?).await
        }
        "IssueToken" => {
            admin()?;
            asked.issue_token(read(command)?)
        }
        other => Err(Failure::absent(format!("method {other:?}"))),
    }
}

fn read<T: DeserializeOwned>(command: &CommandIn) -> Result<T, Failure> {
    let text = command.body.as_ref().map_or("{}", |body| body.get());
    serde_json::from_str(text).map_err(|error| Failure::field("body", error))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetTrackMuted {
    name: String,
    #[serde(default)]
    muted: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RemoveParticipant {
    name: String,
    #[serde(default)]
    message: String,
    #[serde(default, deserialize_with = "duration")]
    ban_duration: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdateParticipant {
    participant: ParticipantBody,
    #[serde(default)]
    update_mask: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParticipantBody {
    name: String,
    #[serde(default)]
    etag: Option<String>,
    display_name: Option<String>,
    metadata: Option<String>,
    attributes: Option<BTreeMap<String, String>>,
    permissions: Option<PermissionsBody>,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "the names are the API's")]
struct PermissionsBody {
    publish_sources: Vec<String>,
    subscribe: bool,
    send_data: bool,
    hidden: bool,
    admin: bool,
    record: bool,
    tracks_max: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdateRoom {
    room: RoomBody,
    #[serde(default)]
    update_mask: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoomBody {
    name: String,
    #[serde(default)]
    etag: Option<String>,
    display_name: Option<String>,
    metadata: Option<String>,
    locked: Option<bool>,
    config: Option<ConfigBody>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigBody {
    waiting_room: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssueToken {
    room: String,
    #[serde(default)]
    display_name: String,
    #[serde(default, deserialize_with = "duration")]
    ttl: Option<Duration>,
}

/// Who asks, and where.
struct Asked<'a> {
    node: &'a Node,
    room: &'a RoomName,
    own: &'a ParticipantName,
}

impl Asked<'_> {
    async fn set_track_muted(
        &self,
        body: SetTrackMuted,
        admin: impl Fn() -> Result<(), Failure>,
    ) -> Result<Value, Failure> {
        let id = self.track(&body.name, admin)?;
        let registry = self.node.registry();
        let view = registry.set_track_muted(self.room, id, body.muted).await?;
        Ok(track(self.room, &view))
    }

    async fn unpublish_track(
        &self,
        body: Named,
        admin: impl Fn() -> Result<(), Failure>,
    ) -> Result<Value, Failure> {
        let id = self.track(&body.name, admin)?;
        self.node.registry().unpublish_track(self.room, id).await?;
        Ok(json!({}))
    }

    async fn remove_participant(&self, body: RemoveParticipant) -> Result<Value, Failure> {
        let name = self.participant("name", &body.name)?;
        if body.message.len() > FAREWELL_BYTES {
            return Err(Failure::field("message", "at most 1 KiB"));
        }
        let message = (!body.message.is_empty()).then_some(body.message);
        let registry = self.node.registry();
        registry
            .remove_participant(self.room, &name, message, body.ban_duration)
            .await?;
        Ok(json!({}))
    }

    async fn update_participant(&self, body: UpdateParticipant) -> Result<Value, Failure> {
        let wanted = body.participant;
        let name = self.participant("participant.name", &wanted.name)?;
        let permissions = wanted.permissions.map(permissions).transpose()?;
        let set = [
            ("display_name", wanted.display_name.is_some()),
            ("metadata", wanted.metadata.is_some()),
            ("attributes", wanted.attributes.is_some()),
            ("permissions", permissions.is_some()),
        ];
        let paths = paths(body.update_mask.as_deref(), &set)?;
        let (display_name, metadata) = (wanted.display_name, wanted.metadata);
        let attributes = wanted.attributes;
        let change = move |spec: &mut ParticipantSpec| {
            for path in paths {
                match path {
                    "display_name" => spec.display_name = display_name.clone().unwrap_or_default(),
                    "metadata" => spec.metadata = metadata.clone().unwrap_or_default(),
                    "attributes" => spec.attributes = attributes.clone().unwrap_or_default(),
                    _ => spec.permissions = permissions.clone().unwrap_or_default(),
                }
            }
            Ok(())
        };
        let registry = self.node.registry();
        let view = registry
            .update_participant(self.room, &name, wanted.etag, change)
            .await?;
        Ok(participant(&view))
    }

    async fn update_room(&self, body: UpdateRoom) -> Result<Value, Failure> {
        let wanted = body.room;
        self.check_room("room.name", &wanted.name)?;
        let waiting_room = wanted.config.and_then(|config| config.waiting_room);
        let set = [
            ("display_name", wanted.display_name.is_some()),
            ("metadata", wanted.metadata.is_some()),
            ("locked", wanted.locked.is_some()),
            ("config.waiting_room", waiting_room.is_some()),
        ];
        let paths = paths(body.update_mask.as_deref(), &set)?;
        let (display_name, metadata) = (wanted.display_name, wanted.metadata);
        let locked = wanted.locked.unwrap_or_default();
        let default = self.node.config().room_config().waiting_room;
        let change = move |spec: &mut RoomSpec| {
            for path in paths {
                match path {
                    "display_name" => spec.display_name = display_name.clone().unwrap_or_default(),
                    "metadata" => spec.metadata = metadata.clone().unwrap_or_default(),
                    "locked" => spec.locked = locked,
                    _ => spec.config.waiting_room = waiting_room.unwrap_or(default),
                }
            }
            Ok(())
        };
        let registry = self.node.registry();
        let view = registry.update_room(self.room, wanted.etag, change).await?;
        Ok(room(&view))
    }

    /// An invitation: a link to this room that says nothing of its bearer.
    fn issue_token(&self, body: IssueToken) -> Result<Value, Failure> {
        self.check_room("room", &body.room)?;
        let wanted = TokenRequest {
            room: self.room.clone(),
            participant: None,
            spec: ParticipantSpec {
                display_name: body.display_name,
                ..ParticipantSpec::default()
            },
            ttl: body.ttl.unwrap_or(TOKEN_TTL),
            room_config: None,
        };
        wanted.spec.check()?;
        let issued = self.node.authority().issue(&wanted)?;
        let urls = self.node.urls();
        Ok(json!({
            "token_id": issued.id.to_string(),
            "expire_time": moment(issued.expire_time),
            "connect_url": urls.connect(),
            "page_url": urls.page(self.room, Some(&issued.token)),
            "token": issued.token,
        }))
    }

    fn check_room(&self, field: &'static str, name: &str) -> Result<(), Failure> {
        let id = name.strip_prefix("rooms/");
        let id = id.ok_or_else(|| Failure::field(field, "write rooms/{room}"))?;
        self.check_own(id)
    }

    fn check_own(&self, room: &str) -> Result<(), Failure> {
        if room == self.room.as_str() {
            return Ok(());
        }
        let why = "a participant's permissions are for its own room";
        Err(Failure::new(Reason::PermissionMissing, why))
    }

    fn participant(&self, field: &'static str, name: &str) -> Result<ParticipantName, Failure> {
        let parts = name.strip_prefix("rooms/");
        let parts = parts.and_then(|rest| rest.split_once("/participants/"));
        let why = "write rooms/{room}/participants/{participant}";
        let (room, id) = parts.ok_or_else(|| Failure::field(field, why))?;
        self.check_own(room)?;
        ParticipantName::new(id.to_owned())
    }

    /// A track of this room: an own one, or anybody's for an admin.
    fn track(
        &self,
        name: &str,
        admin: impl Fn() -> Result<(), Failure>,
    ) -> Result<TrackId, Failure> {
        let parts = name.strip_prefix("rooms/");
        let parts = parts.and_then(|rest| rest.split_once("/tracks/"));
        let why = "write rooms/{room}/tracks/{track}";
        let (room, label) = parts.ok_or_else(|| Failure::field("name", why))?;
        self.check_own(room)?;
        let id = track_from_label(label).ok_or_else(|| Failure::of(Reason::TrackNotFound))?;
        let view = self.node.registry().get_participant(self.room, self.own)?;
        if !view.tracks.iter().any(|track| track.id == id) {
            admin()?;
        }
        Ok(id)
    }
}

/// Fields a mask names, of those that can be changed here; no mask: those that are set.
fn paths(
    mask: Option<&str>,
    fields: &[(&'static str, bool)],
) -> Result<Vec<&'static str>, Failure> {
    let Some(mask) = mask.filter(|mask| !mask.is_empty()) else {
        let set = fields.iter().filter(|(_, set)| *set);
        return Ok(set.map(|(path, _)| *path).collect());
    };
    let known = |name: &str| {
        let found = fields.iter().find(|(path, _)| *path == name.trim());
        found.map(|(path, _)| *path).ok_or_else(|| {
            let known: Vec<_> = fields.iter().map(|(path, _)| *path).collect();
            let why = format!("what can be changed here: {}", known.join(", "));
            Failure {
                reason: Reason::MaskInvalid,
                ..Failure::field("update_mask", why)
            }
        })
    };
    mask.split(',').map(known).collect()
}

fn permissions(body: PermissionsBody) -> Result<Permissions, Failure> {
    let source = |label: &String| {
        let why = "must be CAMERA, MICROPHONE, SCREEN, SCREEN_AUDIO or OTHER";
        let source = TrackSource::from_label(label);
        source.ok_or_else(|| Failure::field("participant.permissions.publish_sources", why))
    };
    let sources = body.publish_sources.iter().map(source);
    Ok(Permissions {
        publish_sources: Some(sources.collect::<Result<_, _>>()?),
        subscribe: body.subscribe,
        send_data: body.send_data,
        hidden: body.hidden,
        admin: body.admin,
        record: body.record,
        tracks_max: body.tracks_max,
    })
}

/// "3.5s", as proto3 JSON writes google.protobuf.Duration.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let wrong = || serde::de::Error::custom("a duration is written \"3.5s\"");
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let seconds = text.strip_suffix('s').and_then(|text| text.parse().ok());
    let duration = seconds.and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok());
    duration.map(Some).ok_or_else(wrong)
}

fn participant(view: &ParticipantView) -> Value {
    let permissions = super::outgoing::PermissionsOut::from(&view.spec.permissions);
    let tracks: Vec<Value> = view.tracks.iter().map(|it| track(&view.room, it)).collect();
    json!({
        "name": format!("rooms/{}/participants/{}", view.room, view.name),
        "uid": view.uid.to_string(),
        "etag": view.etag(),
        "state": view.state.as_str(),
        "kind": view.spec.kind.as_str(),
        "door": view.door.as_str(),
        "display_name": view.spec.display_name,
        "metadata": view.spec.metadata,
        "attributes": view.spec.attributes,
        "permissions": permissions,
        "tracks": tracks,
        "join_time": moment(view.join_time),
    })
}

fn track(room: &RoomName, view: &TrackView) -> Value {
    json!({
        "name": format!("rooms/{room}/tracks/{}", view.label()),
        "participant": format!("rooms/{room}/participants/{}", view.participant),
        "kind": view.kind.as_str().to_ascii_uppercase(),
        "source": view.source.as_str(),
        "codec": codec_label(view.codec),
        "muted": view.muted(),
        "server_muted": view.muted_by_server,
        "create_time": moment(view.create_time),
    })
}

fn room(view: &RoomView) -> Value {
    json!({
        "name": format!("rooms/{}", view.name),
        "uid": view.uid.to_string(),
        "etag": view.etag(),
        "state": "OPEN",
        "display_name": view.spec.display_name,
        "metadata": view.spec.metadata,
        "locked": view.spec.locked,
        "config": { "waiting_room": view.spec.config.waiting_room },
        "participant_count": view.participant_count,
        "viewer_count": view.viewer_count,
        "create_time": moment(view.create_time),
        "update_time": moment(view.update_time),
    })
}

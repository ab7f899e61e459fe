//! The JSON of a token's `plenum` claim (the proto3 JSON of token.proto: snake_case or lowerCamel
//! names) and its way to and from domain types. A field this build does not act on is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::registry::spec::{codec_from_label, codec_label};
use crate::registry::{ParticipantKind, ParticipantSpec, Permissions, RoomConfig, TrackSource};
use crate::status::Failure;

/// All of a token but its signature.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sub: Option<String>,
    pub(super) aud: serde_json::Value,
    pub(super) exp: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) iat: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) jti: Option<String>,
    pub(super) plenum: serde_json::Value,
}

/// A participant's `plenum` claim.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ParticipantClaim {
    pub(super) room: String,
    #[serde(alias = "displayName", skip_serializing_if = "String::is_empty")]
    display_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    metadata: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<PermissionsClaim>,
    #[serde(alias = "roomConfig", skip_serializing_if = "Option::is_none")]
    pub(super) room_config: Option<RoomConfigClaim>,
}

/// A backend's `plenum` claim.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BackendClaim {
    pub(super) scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) rooms: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "the names are the API's")]
struct PermissionsClaim {
    #[serde(alias = "publishSources")]
    publish_sources: Vec<String>,
    subscribe: bool,
    #[serde(alias = "sendData")]
    send_data: bool,
    #[serde(skip_serializing_if = "is_false")]
    hidden: bool,
    #[serde(skip_serializing_if = "is_false")]
    admin: bool,
    #[serde(skip_serializing_if = "is_false")]
    record: bool,
    #[serde(alias = "tracksMax", skip_serializing_if = "Option::is_none")]
    tracks_max: Option<u32>,
    #[serde(alias = "videoHeightMax", skip_serializing)]
    video_height_max: Option<serde_json::Value>,
    #[serde(alias = "publishBitrateBpsMax", skip_serializing)]
    publish_bitrate_bps_max: Option<serde_json::Value>,
    #[serde(alias = "subscribeBitrateBpsMax", skip_serializing)]
    subscribe_bitrate_bps_max: Option<serde_json::Value>,
    #[serde(alias = "dataBitrateBpsMax", skip_serializing)]
    data_bitrate_bps_max: Option<serde_json::Value>,
}

/// A room's configuration in a token.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RoomConfigClaim {
    #[serde(alias = "emptyTimeout", skip_serializing_if = "Option::is_none")]
    empty_timeout: Option<String>,
    #[serde(alias = "resumeWindow", skip_serializing_if = "Option::is_none")]
    resume_window: Option<String>,
    #[serde(alias = "durationMax", skip_serializing_if = "Option::is_none")]
    duration_max: Option<String>,
    #[serde(alias = "participantsMax", skip_serializing_if = "Option::is_none")]
    participants_max: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    codecs: Vec<String>,
    #[serde(alias = "viewersMax", skip_serializing_if = "Option::is_none")]
    viewers_max: Option<u32>,
    #[serde(alias = "audioSlots", skip_serializing_if = "Option::is_none")]
    audio_slots: Option<u32>,
    #[serde(alias = "audioSlotsAbove", skip_serializing_if = "Option::is_none")]
    audio_slots_above: Option<u32>,
    #[serde(alias = "e2eeRequired", skip_serializing)]
    e2ee_required: Option<serde_json::Value>,
    #[serde(alias = "waitingRoom", skip_serializing_if = "Option::is_none")]
    waiting_room: Option<bool>,
    #[serde(alias = "messageHistoryMax", skip_serializing_if = "Option::is_none")]
    message_history_max: Option<u32>,
    #[serde(alias = "autoRecording", skip_serializing)]
    auto_recording: Option<serde_json::Value>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl ParticipantClaim {
    pub(super) fn new(room: &str, spec: &ParticipantSpec, config: Option<&RoomConfig>) -> Self {
        let everything = spec.permissions == Permissions::default();
        Self {
            room: room.to_owned(),
            display_name: spec.display_name.clone(),
            metadata: spec.metadata.clone(),
            attributes: spec.attributes.clone(),
            kind: (spec.kind != ParticipantKind::Standard).then(|| spec.kind.as_str().to_owned()),
            permissions: (!everything).then(|| PermissionsClaim::new(&spec.permissions)),
            room_config: config.map(RoomConfigClaim::new),
        }
    }

    pub(super) fn spec(&self) -> Result<ParticipantSpec, Failure> {
        let kind = self.kind.as_deref().map(|label| {
            ParticipantKind::from_label(label)
                .ok_or_else(|| Failure::field("plenum.kind", "is no kind known here"))
        });
        let permissions = self.permissions.as_ref().map(PermissionsClaim::permissions);
        let spec = ParticipantSpec {
            display_name: self.display_name.clone(),
            metadata: self.metadata.clone(),
            attributes: self.attributes.clone(),
            kind: kind.transpose()?.unwrap_or_default(),
            permissions: permissions.transpose()?.unwrap_or_default(),
        };
        spec.check()?;
        Ok(spec)
    }
}

impl PermissionsClaim {
    fn new(permissions: &Permissions) -> Self {
        let all = TrackSource::ALL.to_vec();
        let sources = permissions.publish_sources.as_ref().unwrap_or(&all);
        Self {
            publish_sources: sources
                .iter()
                .map(|source| source.as_str().to_owned())
                .collect(),
            subscribe: permissions.subscribe,
            send_data: permissions.send_data,
            hidden: permissions.hidden,
            admin: permissions.admin,
            record: permissions.record,
            tracks_max: permissions
                .tracks_max
                .and_then(|most| u32::try_from(most).ok()),
            ..Self::default()
        }
    }

    fn permissions(&self) -> Result<Permissions, Failure> {
        for (set, field) in [
            (self.video_height_max.is_some(), "video_height_max"),
            (
                self.publish_bitrate_bps_max.is_some(),
                "publish_bitrate_bps_max",
            ),
            (
                self.subscribe_bitrate_bps_max.is_some(),
                "subscribe_bitrate_bps_max",
            ),
            (self.data_bitrate_bps_max.is_some(), "data_bitrate_bps_max"),
        ] {
            if set {
                return Err(Failure::absent(format!("plenum.permissions.{field}")));
            }
        }
        let source = |label: &String| {
            TrackSource::from_label(label).ok_or_else(|| {
                Failure::field(
                    "plenum.permissions.publish_sources",
                    "names an unknown source",
                )
            })
        };
        let sources = self.publish_sources.iter().map(source);
        Ok(Permissions {
            publish_sources: Some(sources.collect::<Result<_, _>>()?),
            subscribe: self.subscribe,
            send_data: self.send_data,
            hidden: self.hidden,
            admin: self.admin,
            record: self.record,
            tracks_max: self
                .tracks_max
                .map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
        })
    }
}

impl RoomConfigClaim {
    fn new(config: &RoomConfig) -> Self {
        let text = |time: Duration| Some(duration_label(time));
        Self {
            empty_timeout: text(config.empty_timeout),
            resume_window: text(config.resume_window),
            duration_max: config.duration_max.and_then(text),
            participants_max: u32::try_from(config.participants_max).ok(),
            viewers_max: u32::try_from(config.viewers_max).ok(),
            waiting_room: Some(config.waiting_room),
            message_history_max: u32::try_from(config.message_history_max).ok(),
            audio_slots: u32::try_from(config.audio_slots).ok(),
            audio_slots_above: u32::try_from(config.audio_slots_above).ok(),
            codecs: config
                .codecs
                .iter()
                .map(|&codec| codec_label(codec))
                .collect(),
            ..Self::default()
        }
    }

    pub(super) fn config(&self) -> Result<RoomConfig, Failure> {
        for (set, field) in [
            (self.e2ee_required.is_some(), "e2ee_required"),
            (self.auto_recording.is_some(), "auto_recording"),
        ] {
            if set {
                return Err(Failure::absent(format!("plenum.room_config.{field}")));
            }
        }
        let time = |text: &Option<String>, field: &str| {
            let read = text.as_deref().map(duration_from_label);
            read.map(|time| {
                let field = format!("plenum.room_config.{field}");
                time.ok_or_else(|| Failure::field(field, "write seconds, such as \"300s\""))
            })
            .transpose()
        };
        let default = RoomConfig::default();
        let most = |most: Option<u32>, default| {
            most.map_or(default, |most| usize::try_from(most).unwrap_or(usize::MAX))
        };
        let codecs = self.codecs.iter().map(|label| codec_from_label(label));
        Ok(RoomConfig {
            empty_timeout: time(&self.empty_timeout, "empty_timeout")?
                .unwrap_or(default.empty_timeout),
            resume_window: time(&self.resume_window, "resume_window")?
                .unwrap_or(default.resume_window),
            duration_max: time(&self.duration_max, "duration_max")?,
            participants_max: most(self.participants_max, default.participants_max),
            viewers_max: most(self.viewers_max, default.viewers_max),
            waiting_room: self.waiting_room.unwrap_or(default.waiting_room),
            message_history_max: most(self.message_history_max, default.message_history_max),
            audio_slots: most(self.audio_slots, default.audio_slots),
            audio_slots_above: most(self.audio_slots_above, default.audio_slots_above),
            codecs: codecs.collect::<Result<_, _>>()?,
        })
    }
}

/// proto3 JSON of a Duration: seconds with "s".
fn duration_label(time: Duration) -> String {
    let millis = time.subsec_millis();
    match millis {
        0 => format!("{}s", time.as_secs()),
        millis => format!("{}.{millis:03}s", time.as_secs()),
    }
}

fn duration_from_label(text: &str) -> Option<Duration> {
    let digits = text.strip_suffix('s')?;
    let seconds = digits.parse::<f64>().ok()?;
    let sane = digits
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    sane.then(|| Duration::try_from_secs_f64(seconds).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_with_an_s() {
        for (text, expected) in [
            ("300s", Some(Duration::from_secs(300))),
            ("1.5s", Some(Duration::from_millis(1_500))),
            ("0s", Some(Duration::ZERO)),
            ("300", None),
            ("-1s", None),
            ("infs", None),
            ("1e9s", None),
            ("s", None),
        ] {
            assert_eq!(duration_from_label(text), expected, "{text}");
        }
        assert_eq!(duration_label(Duration::from_millis(1_500)), "1.500s");
    }

    #[test]
    fn a_claim_says_what_the_domain_says() {
        let mut spec = ParticipantSpec {
            display_name: "Ada".into(),
            ..ParticipantSpec::default()
        };
        spec.permissions.publish_sources = Some(vec![TrackSource::Camera]);
        spec.permissions.tracks_max = Some(2);
        let config = RoomConfig {
            participants_max: 7,
            duration_max: Some(Duration::from_secs(9)),
            ..RoomConfig::default()
        };
        let claim = ParticipantClaim::new("standup", &spec, Some(&config));
        let json = serde_json::to_string(&claim).unwrap();
        let read: ParticipantClaim = serde_json::from_str(&json).unwrap();
        assert_eq!(read.spec().unwrap(), spec);
        assert_eq!(read.room_config.unwrap().config().unwrap(), config);
    }
}

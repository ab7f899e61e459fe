//! Messages of the server, as JSON. The schemas in `proto/websocket/` say the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use sfu::id::TrackId;
use sfu::sdp::Description;
use sfu::shard::event::{PauseReason, SectionBinding, SubscriptionFacts, WantedEncodings};
use sfu::units::AudioLevel;

use super::description;
use super::incoming::RequestId;
use super::layers::LayersOut;
use crate::clock::UnixTime;
use crate::ice_servers::IceServer;
use crate::limits;
use crate::registry::spec::{leave_label, track_label};
use crate::registry::{
    Arrival, DataMessage, LeaveAction, ParticipantName, ParticipantView, Permissions, Quality,
    RoomView, TrackSource, TrackView,
};
use crate::status::Failure;

#[derive(Debug, Serialize)]
pub(super) struct DescriptionOut {
    #[serde(rename = "type")]
    pub(super) sdp_type: &'static str,
    pub(super) sdp: String,
}

/// A published track.
#[derive(Debug, Serialize)]
pub(super) struct TrackOut {
    track: String,
    participant: String,
    kind: &'static str,
    source: &'static str,
    codec: &'static str,
    muted: bool,
    /// By a host or a backend, so that its owner can tell that from its own mute under way.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    server_muted: bool,
}

impl From<&TrackView> for TrackOut {
    fn from(view: &TrackView) -> Self {
        Self {
            track: view.label(),
            participant: view.participant.to_string(),
            kind: view.kind.as_str(),
            source: view.source.as_str(),
            codec: view.codec.name(),
            muted: view.muted(),
            server_muted: view.muted_by_server,
        }
    }
}

/// A participant.
#[derive(Debug, Serialize)]
pub(super) struct ParticipantOut {
    participant: String,
    uid: String,
    display_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    metadata: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
    tracks: Vec<TrackOut>,
    state: &'static str,
    /// Not said where it is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<&'static str>,
}

impl From<&ParticipantView> for ParticipantOut {
    fn from(view: &ParticipantView) -> Self {
        Self {
            participant: view.name.to_string(),
            uid: view.uid.to_string(),
            display_name: view.spec.display_name.clone(),
            metadata: view.spec.metadata.clone(),
            attributes: view.spec.attributes.clone(),
            tracks: view.tracks.iter().map(TrackOut::from).collect(),
            state: view.state.as_str(),
            quality: (view.quality != Quality::Good).then_some(view.quality.as_str()),
        }
    }
}

impl ParticipantOut {
    /// Without what its owner may have made long.
    pub(super) fn brief(view: &ParticipantView) -> Self {
        Self {
            metadata: String::new(),
            attributes: BTreeMap::new(),
            ..Self::from(view)
        }
    }

    /// About how many bytes of JSON it is; never fewer.
    pub(super) fn bytes(&self) -> usize {
        let words = self
            .attributes
            .iter()
            .map(|(key, value)| key.len() + value.len() + 8);
        // An escaped byte takes up to six.
        let text = self.metadata.len() + self.display_name.len() + words.sum::<usize>();
        text * 6 + self.participant.len() + self.tracks.len() * 400 + 256
    }
}

#[derive(Debug, Serialize)]
pub(super) struct LeftOut {
    pub(super) participant: String,
    pub(super) reason: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct SectionOut {
    mid: String,
    track: Option<String>,
}

impl From<&SectionBinding> for SectionOut {
    fn from(binding: &SectionBinding) -> Self {
        Self {
            mid: binding.mid.to_string(),
            track: binding.track.map(track_label),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct SubscriptionOut {
    track: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<&'static str>,
}

impl From<&SubscriptionFacts> for SubscriptionOut {
    fn from(facts: &SubscriptionFacts) -> Self {
        Self {
            track: track_label(facts.track),
            mid: facts.mid.map(|mid| mid.to_string()),
            paused: facts.paused.map(|reason| match reason {
                PauseReason::Wished => "WISHED",
                PauseReason::CodecUnsupported => "CODEC_UNSUPPORTED",
                PauseReason::Muted => "MUTED",
                PauseReason::LimitReached => "LIMIT_REACHED",
                PauseReason::Quieter => "QUIETER",
                PauseReason::Bandwidth { .. } => "BANDWIDTH",
            }),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct WantedOut {
    mid: String,
    rids: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct QualityOut {
    pub(super) participant: String,
    pub(super) quality: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct SpeakerOut {
    pub(super) participant: String,
    pub(super) level: u8,
}

#[derive(Debug, Serialize)]
struct LimitsOut {
    participants_max: usize,
    message_bytes_max: usize,
    data_bytes_max: usize,
}

#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the names are the API's")]
pub(super) struct PermissionsOut {
    publish_sources: Vec<&'static str>,
    subscribe: bool,
    send_data: bool,
    hidden: bool,
    admin: bool,
    record: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracks_max: Option<usize>,
}

impl From<&Permissions> for PermissionsOut {
    fn from(permissions: &Permissions) -> Self {
        let may = |source: &TrackSource| permissions.may_publish(*source);
        Self {
            publish_sources: TrackSource::ALL
                .into_iter()
                .filter(may)
                .map(TrackSource::as_str)
                .collect(),
            subscribe: permissions.subscribe,
            send_data: permissions.send_data,
            hidden: permissions.hidden,
            admin: permissions.admin,
            record: permissions.record,
            tracks_max: permissions.tracks_max,
        }
    }
}

/// A room as those inside see it.
#[derive(Debug, Serialize)]
pub(super) struct RoomOut {
    name: String,
    display_name: String,
    metadata: String,
    locked: bool,
    waiting_room: bool,
}

impl From<&RoomView> for RoomOut {
    fn from(view: &RoomView) -> Self {
        Self {
            name: view.name.to_string(),
            display_name: view.spec.display_name.clone(),
            metadata: view.spec.metadata.clone(),
            locked: view.spec.locked,
            waiting_room: view.spec.config.waiting_room,
        }
    }
}

/// What this build does beyond joining and media; what is not named here is FEATURE_ABSENT.
const FEATURES: [&str; 5] = ["admin", "data", "history", "resume", "waiting_room"];

/// The first message of the server.
#[derive(Debug, Serialize)]
pub(super) struct WelcomeOut {
    room: RoomOut,
    participant: String,
    uid: String,
    own: ParticipantOut,
    participants: Vec<ParticipantOut>,
    ice_servers: Vec<IceServer>,
    limits: LimitsOut,
    resume_token: String,
    permissions: PermissionsOut,
    features: [&'static str; FEATURES.len()],
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<DescriptionOut>,
}

impl WelcomeOut {
    /// With the first of `participants` that fit; the rest follow as `joined`.
    pub(super) fn new(
        joined: &Arrival,
        participants: Vec<ParticipantOut>,
        answer: Option<&Description>,
        ice_servers: Vec<IceServer>,
    ) -> Self {
        Self {
            room: RoomOut::from(&joined.room),
            participant: joined.view.name.to_string(),
            uid: joined.view.uid.to_string(),
            own: ParticipantOut::from(&joined.view),
            participants,
            ice_servers,
            limits: LimitsOut {
                participants_max: joined.room.spec.config.participants_max,
                message_bytes_max: limits::MESSAGE_BYTES_IN,
                data_bytes_max: limits::DATA_BYTES,
            },
            resume_token: joined.resume_token.clone(),
            permissions: PermissionsOut::from(&joined.view.spec.permissions),
            features: FEATURES,
            description: answer.map(description::write),
        }
    }
}

#[derive(Debug, Default, Serialize)]
pub(super) struct ParticipantsOut {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) joined: Vec<ParticipantOut>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) updated: Vec<ParticipantOut>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) left: Vec<LeftOut>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct TracksOut {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) published: Vec<TrackOut>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) updated: Vec<TrackOut>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) unpublished: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sections: Option<Vec<SectionOut>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subscriptions: Option<Vec<SubscriptionOut>>,
}

#[derive(Debug, Serialize)]
pub(super) struct DataOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    from_name: String,
    topic: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    to: Vec<String>,
    payload: Box<RawValue>,
    time: String,
}

/// All there is, in place of news that were lost.
#[derive(Debug, Serialize)]
pub(super) struct SnapshotOut {
    room: RoomOut,
    own: ParticipantOut,
    participants: Vec<ParticipantOut>,
    permissions: PermissionsOut,
}

impl SnapshotOut {
    /// With the first of `participants` that fit; the rest follow as `joined`.
    pub(super) fn new(arrival: &Arrival, participants: Vec<ParticipantOut>) -> Self {
        Self {
            room: RoomOut::from(&arrival.room),
            own: ParticipantOut::from(&arrival.view),
            participants,
            permissions: PermissionsOut::from(&arrival.view.spec.permissions),
        }
    }
}

/// A message from before the join.
#[derive(Debug, Serialize)]
pub(super) struct HistoryOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    from_name: String,
    topic: String,
    payload: Box<RawValue>,
    time: String,
}

/// A room seen from outside.
#[derive(Debug, Serialize)]
pub(super) struct LobbyRoomOut {
    pub(super) name: String,
    pub(super) display_name: String,
    pub(super) locked: bool,
    pub(super) waiting_room: bool,
}

/// Why a request was refused.
#[derive(Debug, Serialize)]
pub(super) struct ErrorOut {
    reason: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

/// A typed message of the server.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Outgoing {
    Welcome(Box<WelcomeOut>),
    Participants(ParticipantsOut),
    Tracks(TracksOut),
    Layers(LayersOut),
    /// Which sizes of the receiver's own pictures are asked for.
    Encodings {
        tracks: Vec<WantedOut>,
    },
    Quality {
        participants: Vec<QualityOut>,
    },
    Speakers {
        speakers: Vec<SpeakerOut>,
    },
    Data(DataOut),
    #[serde(rename = "data")]
    Channel {
        channel: u16,
        from: String,
    },
    Leave {
        reason: &'static str,
        action: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    Error {
        reason: &'static str,
        message: String,
        fatal: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<usize>,
    },
    Reply {
        id: RequestId,
        #[serde(skip_serializing_if = "Option::is_none")]
        body: Option<serde_json::Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<ErrorOut>,
    },
    /// The answer to `resume`; what was missed follows. Without a number of its own.
    Resumed {
        resume_token: String,
        missed: usize,
        /// Anew: a name and password for TURN may have ended since the welcome.
        ice_servers: Vec<IceServer>,
    },
    /// Anew: a name and password for TURN end.
    IceServers {
        ice_servers: Vec<IceServer>,
    },
    Snapshot(Box<SnapshotOut>),
    Lobby {
        room: LobbyRoomOut,
        participants: Vec<String>,
        count: usize,
    },
    Waiting {
        #[serde(skip_serializing_if = "Option::is_none")]
        participant: Option<Box<ParticipantOut>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        participants: Option<Vec<ParticipantOut>>,
    },
    Room {
        room: Box<RoomOut>,
    },
    Permissions {
        permissions: PermissionsOut,
    },
    History {
        messages: Vec<HistoryOut>,
    },
    TokenNeeded {
        expire_time: String,
    },
    /// Without a number of its own.
    Pong {},
    #[serde(untagged)]
    Description {
        description: DescriptionOut,
    },
}

#[derive(Serialize)]
struct Numbered<'a> {
    #[serde(flatten)]
    message: &'a Outgoing,
    sequence: u64,
}

impl Outgoing {
    /// The frame's text.
    ///
    /// # Errors
    /// Never with these types; a failure ends the socket.
    pub(super) fn text(&self, sequence: u64) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Numbered {
            message: self,
            sequence,
        })
    }

    /// Says the number of the last message instead of having one.
    pub(super) const fn is_unnumbered(&self) -> bool {
        matches!(self, Self::Resumed { .. } | Self::Pong {})
    }

    pub(super) fn is_offer(&self) -> bool {
        matches!(self, Self::Description { description } if description.sdp_type == "offer")
    }

    pub(super) fn offer(description: &Description) -> Self {
        Self::Description {
            description: description::write(description),
        }
    }

    pub(super) fn error(failure: &Failure, fatal: bool) -> Self {
        Self::Error {
            reason: failure.reason.as_str(),
            message: failure.message.clone(),
            fatal,
            line: failure.line,
        }
    }

    /// What came of a request.
    pub(super) fn reply(id: RequestId, outcome: Result<serde_json::Value, Failure>) -> Self {
        let (body, error) = match outcome {
            Ok(body) => (Some(body), None),
            Err(failure) => (
                None,
                Some(ErrorOut {
                    reason: failure.reason.as_str(),
                    message: failure.message,
                    field: failure.field,
                }),
            ),
        };
        Self::Reply { id, body, error }
    }

    pub(super) fn leave(
        reason: sfu::error::LeaveReason,
        action: LeaveAction,
        message: Option<String>,
    ) -> Self {
        Self::Leave {
            reason: leave_label(reason),
            action: action.as_str(),
            message,
        }
    }

    /// None where the payload is no JSON, which a door would have refused.
    pub(super) fn data(data: &DataMessage) -> Option<Self> {
        Some(Self::Data(DataOut {
            from: data.from.as_ref().map(ToString::to_string),
            from_name: data.from_name.clone(),
            time: moment(data.time),
            topic: data.topic.clone(),
            to: data.to.iter().map(ToString::to_string).collect(),
            payload: RawValue::from_string(data.payload.clone()).ok()?,
        }))
    }

    /// The newest of the messages that fit, oldest first; none where there are none.
    pub(super) fn history(kept: &[Arc<DataMessage>]) -> Option<Self> {
        let mut bytes = 0;
        let mut messages = Vec::new();
        for data in kept.iter().rev() {
            // An escaped byte takes up to six; the payload is JSON already.
            bytes += data.payload.len() + (data.topic.len() + data.from_name.len()) * 6 + 512;
            if bytes > limits::MESSAGE_BYTES_OUT {
                break;
            }
            messages.push(HistoryOut {
                from: data.from.as_ref().map(ToString::to_string),
                from_name: data.from_name.clone(),
                topic: data.topic.clone(),
                payload: RawValue::from_string(data.payload.clone()).ok()?,
                time: moment(data.time),
            });
        }
        messages.reverse();
        (!messages.is_empty()).then_some(Self::History { messages })
    }

    pub(super) fn encodings(tracks: &[WantedEncodings]) -> Self {
        let tracks = tracks.iter().map(|track| WantedOut {
            mid: track.mid.to_string(),
            rids: track.rids.iter().map(ToString::to_string).collect(),
        });
        Self::Encodings {
            tracks: tracks.collect(),
        }
    }

    pub(super) fn speakers(speakers: &[(ParticipantName, AudioLevel)]) -> Self {
        let speakers = speakers.iter().map(|(name, level)| SpeakerOut {
            participant: name.to_string(),
            level: level.0,
        });
        Self::Speakers {
            speakers: speakers.collect(),
        }
    }
}

/// RFC 3339.
pub(super) fn moment(time: UnixTime) -> String {
    crate::convert::moment(time).map_or_else(String::new, |time| time.to_string())
}

pub(super) fn unpublished(track: TrackId) -> String {
    track_label(track)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_carry_type_and_sequence_and_negotiation_has_no_type() {
        let description = Outgoing::Description {
            description: DescriptionOut {
                sdp_type: "offer",
                sdp: "v=0".into(),
            },
        };
        let data = Outgoing::data(&DataMessage {
            from: Some(ParticipantName::new("ada").unwrap()),
            from_name: "Ada".into(),
            time: UnixTime::default(),
            keep: false,
            topic: "chat".into(),
            to: Vec::new(),
            payload: r#"{"a":[1, 2]}"#.into(),
        });
        for (message, expected) in [
            (
                description,
                r#"{"description":{"type":"offer","sdp":"v=0"},"sequence":3}"#,
            ),
            (
                data.unwrap(),
                r#"{"type":"data","from":"ada","from_name":"Ada","topic":"chat","payload":{"a":[1, 2]},"time":"1970-01-01T00:00:00Z","sequence":3}"#,
            ),
            (
                Outgoing::Channel {
                    channel: 5,
                    from: "ada".into(),
                },
                r#"{"type":"data","channel":5,"from":"ada","sequence":3}"#,
            ),
            (
                Outgoing::Participants(ParticipantsOut {
                    left: vec![LeftOut {
                        participant: "ada".into(),
                        reason: "REMOVED",
                    }],
                    ..ParticipantsOut::default()
                }),
                r#"{"type":"participants","left":[{"participant":"ada","reason":"REMOVED"}],"sequence":3}"#,
            ),
            (
                Outgoing::Speakers {
                    speakers: Vec::new(),
                },
                r#"{"type":"speakers","speakers":[],"sequence":3}"#,
            ),
        ] {
            assert_eq!(message.text(3).unwrap(), expected);
        }
    }
}

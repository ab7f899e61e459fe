//! Messages of browsers, as JSON. Unknown types and unknown fields are passed over; what is known
//! must be well formed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::limits::{JSON_DEPTH, REQUEST_ID_BYTES};
use crate::status::{Failure, Reason};

/// `{type, sdp}` as `RTCSessionDescription` serializes itself.
#[derive(Debug, Deserialize)]
pub(super) struct DescriptionIn {
    #[serde(rename = "type")]
    pub(super) sdp_type: String,
    #[serde(default)]
    pub(super) sdp: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct JoinIn {
    pub(super) room: Option<String>,
    pub(super) token: Option<String>,
    pub(super) participant: Option<String>,
    pub(super) display_name: Option<String>,
    pub(super) metadata: Option<String>,
    #[serde(default)]
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) resume_token: Option<String>,
    pub(super) description: Option<DescriptionIn>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ResumeIn {
    pub(super) resume_token: String,
    pub(super) sequence: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct LookIn {
    pub(super) room: String,
    pub(super) token: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct UpdateIn {
    pub(super) id: Option<RequestId>,
    pub(super) display_name: Option<String>,
    pub(super) metadata: Option<String>,
    /// Null takes away.
    #[serde(default)]
    pub(super) attributes: BTreeMap<String, Option<String>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CommandIn {
    pub(super) id: RequestId,
    pub(super) method: String,
    pub(super) body: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct TokenIn {
    pub(super) token: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct TracksIn {
    pub(super) tracks: Vec<TrackSourceIn>,
}

#[derive(Debug, Deserialize)]
pub(super) struct TrackSourceIn {
    pub(super) mid: String,
    pub(super) source: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct MuteIn {
    pub(super) mid: String,
    pub(super) muted: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct SubscribeIn {
    pub(super) all: Option<bool>,
    pub(super) audio_slots: Option<usize>,
    #[serde(default)]
    pub(super) tracks: Vec<WishIn>,
}

#[derive(Debug, Deserialize)]
pub(super) struct WishIn {
    pub(super) track: String,
    #[serde(default = "yes")]
    pub(super) wanted: bool,
    #[serde(default)]
    pub(super) paused: bool,
    #[serde(default)]
    pub(super) height: u16,
    #[serde(default)]
    pub(super) pinned: bool,
    #[serde(default = "middle")]
    pub(super) priority: u8,
}

const fn yes() -> bool {
    true
}

const fn middle() -> u8 {
    128
}

#[derive(Debug, Deserialize)]
pub(super) struct DataIn {
    pub(super) topic: String,
    #[serde(default)]
    pub(super) to: Vec<String>,
    pub(super) payload: Box<RawValue>,
    /// Also for those who join later.
    #[serde(default)]
    pub(super) keep: bool,
    pub(super) id: Option<RequestId>,
}

/// A request's name for itself, given back by its reply.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub(super) struct RequestId(String);

impl TryFrom<String> for RequestId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() || text.len() > REQUEST_ID_BYTES {
            return Err(format!("an id has 1 to {REQUEST_ID_BYTES} bytes"));
        }
        Ok(Self(text))
    }
}

/// A message of a browser.
#[derive(Debug)]
pub(super) enum Incoming {
    Join(Box<JoinIn>),
    Resume(ResumeIn),
    Look(LookIn),
    Update(UpdateIn),
    Command(CommandIn),
    Token(TokenIn),
    Tracks(TracksIn),
    Mute(MuteIn),
    Subscribe(SubscribeIn),
    Data(DataIn),
    Restart,
    Leave,
    /// Asks for a sign of life.
    Ping,
    Description(DescriptionIn),
    /// A candidate, or something newer than this build: nothing to do.
    Nothing,
}

impl Incoming {
    /// By which the browser knows the reply to this message, where it wants one.
    pub(super) const fn id(&self) -> Option<&RequestId> {
        match self {
            Self::Data(DataIn { id, .. }) | Self::Update(UpdateIn { id, .. }) => id.as_ref(),
            Self::Command(CommandIn { id, .. }) => Some(id),
            Self::Join(_)
            | Self::Resume(_)
            | Self::Look(_)
            | Self::Token(_)
            | Self::Tracks(_)
            | Self::Mute(_)
            | Self::Subscribe(_)
            | Self::Restart
            | Self::Leave
            | Self::Ping
            | Self::Description(_)
            | Self::Nothing => None,
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: Option<String>,
    description: Option<DescriptionIn>,
}

/// # Errors
/// `MESSAGE_INVALID`.
pub(super) fn read(text: &str) -> Result<Incoming, Failure> {
    if !is_shallow(text) {
        return Err(Failure::new(
            Reason::MessageInvalid,
            format!("nested deeper than {JSON_DEPTH}"),
        ));
    }
    let wrong = |error: serde_json::Error| Failure::new(Reason::MessageInvalid, error.to_string());
    fn of<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, serde_json::Error> {
        serde_json::from_str(text)
    }
    // A `join` carries its description under the same name, so the type decides first.
    let envelope: Envelope = of(text).map_err(wrong)?;
    let message = match (envelope.kind.as_deref(), envelope.description) {
        (Some("join"), _) => of(text).map(|join| Incoming::Join(Box::new(join))),
        (Some("resume"), _) => of(text).map(Incoming::Resume),
        (Some("look"), _) => of(text).map(Incoming::Look),
        (Some("update"), _) => of(text).map(Incoming::Update),
        (Some("command"), _) => of(text).map(Incoming::Command),
        (Some("token"), _) => of(text).map(Incoming::Token),
        (Some("tracks"), _) => of(text).map(Incoming::Tracks),
        (Some("mute"), _) => of(text).map(Incoming::Mute),
        (Some("subscribe"), _) => of(text).map(Incoming::Subscribe),
        (Some("data"), _) => of(text).map(Incoming::Data),
        (Some("restart"), _) => Ok(Incoming::Restart),
        (Some("leave"), _) => Ok(Incoming::Leave),
        (Some("ping"), _) => Ok(Incoming::Ping),
        (None, Some(description)) => Ok(Incoming::Description(description)),
        (Some(_) | None, _) => Ok(Incoming::Nothing),
    };
    message.map_err(wrong)
}

/// Whether brackets nest no deeper than `JSON_DEPTH`. Looked at before anything is built.
fn is_shallow(text: &str) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match (quoted, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => quoted = !quoted,
            (false, b'{' | b'[') => {
                depth += 1;
                if depth > JSON_DEPTH {
                    return false;
                }
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            (true | false, _) => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> String {
        match read(text) {
            Ok(message) => format!("{message:?}")
                .split(['(', ' '])
                .next()
                .unwrap_or_default()
                .to_owned(),
            Err(failure) => failure.reason.to_string(),
        }
    }

    #[test]
    fn a_message_is_known_by_its_type_and_negotiation_by_its_lack_of_one() {
        for (text, expected) in [
            (
                r#"{"type":"join","room":"a","description":{"type":"offer","sdp":""}}"#,
                "Join",
            ),
            (r#"{"description":{"type":"rollback"}}"#, "Description"),
            (r#"{"candidate":null}"#, "Nothing"),
            (r#"{"candidate":{"candidate":"x"}}"#, "Nothing"),
            (
                r#"{"type":"wave","description":{"type":"offer","sdp":""}}"#,
                "Nothing",
            ),
            (r#"{"type":"leave","colour":"red"}"#, "Leave"),
            (
                r#"{"type":"subscribe","tracks":[{"track":"t1"}]}"#,
                "Subscribe",
            ),
            (
                r#"{"type":"data","topic":"chat","payload":{"a":[1]}}"#,
                "Data",
            ),
            (r#"{"type":"data","topic":"chat"}"#, "MESSAGE_INVALID"),
            (
                r#"{"type":"mute","mid":"0","muted":"yes"}"#,
                "MESSAGE_INVALID",
            ),
            (
                r#"{"type":"subscribe","tracks":[{"track":"t1","priority":300}]}"#,
                "MESSAGE_INVALID",
            ),
            (r#"[]"#, "MESSAGE_INVALID"),
            ("nonsense", "MESSAGE_INVALID"),
            ("", "MESSAGE_INVALID"),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }

    #[test]
    fn depth_is_counted_outside_of_strings() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_shallow(&nested(JSON_DEPTH)));
        assert!(!is_shallow(&nested(JSON_DEPTH + 1)));
        assert!(is_shallow(&format!(r#""\"{}""#, "[".repeat(100))));
    }
}

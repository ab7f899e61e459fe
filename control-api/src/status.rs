//! Why a request failed: one table for every door, and the error all domain operations return.
//!
//! `Reason` is apart from `LeaveReason` (why a participant is out). gRPC code, HTTP status,
//! WebSocket close code, whether to try again, and the page's sentence stand side by side here and
//! nowhere else.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use sfu::error::{CommandError, Missing};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::limits::FAILURE_BYTES;

macro_rules! reasons {
    ($($name:ident $label:literal $code:ident $http:literal $close:literal $retry:literal $sentence:literal;)*) => {
        /// Why a request failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $(#[doc = $sentence] $name,)* }

        impl Reason {
            /// All of them, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As the API writes it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// The gRPC code.
            #[must_use]
            pub const fn code(self) -> Code {
                match self { $(Self::$name => Code::$code,)* }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$name => $http,)* }
            }

            /// The WebSocket close code, where the failure ends the socket.
            #[must_use]
            pub const fn close_code(self) -> u16 {
                match self { $(Self::$name => $close,)* }
            }

            /// Whether the same request may succeed later.
            #[must_use]
            pub const fn retry(self) -> bool {
                match self { $(Self::$name => $retry,)* }
            }

            /// What a person is told.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }
        }
    };
}

reasons! {
    RoomNotFound "ROOM_NOT_FOUND" NotFound 404 4001 false "This meeting does not exist.";
    RoomFull "ROOM_FULL" ResourceExhausted 503 4002 true "The meeting is full.";
    RoomClosed "ROOM_CLOSED" FailedPrecondition 410 4003 false "The meeting was closed.";
    RoomLocked "ROOM_LOCKED" FailedPrecondition 423 4004 true "The meeting is locked.";
    ParticipantNotFound "PARTICIPANT_NOT_FOUND" NotFound 404 4005 false "This participant is not in the meeting.";
    ParticipantBanned "PARTICIPANT_BANNED" PermissionDenied 403 4006 false "You cannot join this meeting.";
    NotWaiting "NOT_WAITING" FailedPrecondition 409 4007 false "This participant is not waiting.";
    NodeDraining "NODE_DRAINING" Unavailable 503 4008 true "The server is restarting. Try again in a moment.";
    NodeOverloaded "NODE_OVERLOADED" ResourceExhausted 503 4009 true "The server is busy. Try again in a moment.";
    SdpInvalid "SDP_INVALID" InvalidArgument 400 4010 false "The session description cannot be used.";
    SdpUnsupportedCodec "SDP_UNSUPPORTED_CODEC" InvalidArgument 422 4011 false "No codec in common.";
    EtagMismatch "ETAG_MISMATCH" Aborted 412 4012 true "It was changed by someone else meanwhile.";
    RequestIdReused "REQUEST_ID_REUSED" InvalidArgument 409 4013 false "This request_id was used for another request.";
    ConfigDiffers "CONFIG_DIFFERS" AlreadyExists 409 4014 false "It exists with a different configuration.";
    FeatureAbsent "FEATURE_ABSENT" Unimplemented 501 4015 false "This server does not do that.";
    MaskInvalid "MASK_INVALID" InvalidArgument 400 4016 false "The update mask names a field that cannot be changed.";
    FilterInvalid "FILTER_INVALID" InvalidArgument 400 4017 false "The filter cannot be used.";
    PageTokenInvalid "PAGE_TOKEN_INVALID" InvalidArgument 400 4018 false "The page token is not of this list, or too old.";
    ResumeTokenExpired "RESUME_TOKEN_EXPIRED" NotFound 410 4019 false "Too much time has passed. Join again.";
    WatcherTooSlow "WATCHER_TOO_SLOW" Unavailable 503 4020 true "The news came faster than they were read.";
    TokenInvalid "TOKEN_INVALID" Unauthenticated 401 4021 false "This link is not valid.";
    TokenExpired "TOKEN_EXPIRED" Unauthenticated 401 4022 false "This link has expired. Ask for a new one.";
    TokenRevoked "TOKEN_REVOKED" Unauthenticated 401 4023 false "This link is not valid any more.";
    TokenKind "TOKEN_KIND" PermissionDenied 403 4024 false "This token is of the wrong kind here.";
    ScopeMissing "SCOPE_MISSING" PermissionDenied 403 4025 false "The token does not cover this.";
    PermissionMissing "PERMISSION_MISSING" PermissionDenied 403 4026 false "You may not do this here.";
    NoSigningKey "NO_SIGNING_KEY" FailedPrecondition 409 4027 false "The server has no key to sign with.";
    LayoutInvalid "LAYOUT_INVALID" InvalidArgument 400 4028 false "The layout cannot be used.";
    E2eeRoom "E2EE_ROOM" FailedPrecondition 409 4029 false "The meeting is end-to-end encrypted.";
    OutputUnreachable "OUTPUT_UNREACHABLE" Unavailable 502 4030 true "The output cannot be reached.";
    StorageUnknown "STORAGE_UNKNOWN" NotFound 404 4031 false "No such storage.";
    DiskFull "DISK_FULL" ResourceExhausted 507 4032 true "The disk is full.";
    StoreUnavailable "STORE_UNAVAILABLE" Unavailable 503 4033 true "The store cannot be reached.";
    LimitExceeded "LIMIT_EXCEEDED" ResourceExhausted 429 4034 true "A limit was reached.";
    // Beyond api.md's list: what any door needs for input that has no reason of its own there.
    TrackNotFound "TRACK_NOT_FOUND" NotFound 404 4040 false "This track does not exist.";
    FieldInvalid "FIELD_INVALID" InvalidArgument 400 4041 false "A field of the request makes no sense.";
    MessageInvalid "MESSAGE_INVALID" InvalidArgument 400 4042 false "The message could not be understood.";
    OriginRefused "ORIGIN_REFUSED" PermissionDenied 403 4043 false "This page may not connect here.";
    RoomElsewhere "ROOM_ELSEWHERE" FailedPrecondition 409 4045 false "The other meeting is on another part of the server. Leave, and join it anew.";
    ServerFailed "SERVER_FAILED" Internal 500 4044 true "Something went wrong on the server.";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a domain operation was refused. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Failure {
    /// The typed reason.
    pub reason: Reason,
    /// What is wrong and what would be right. Never a secret, never a person's name.
    pub message: String,
    /// The field at fault, as the API names it.
    pub field: Option<String>,
    /// The m-line of an SDP at fault, counted from 0.
    pub section: Option<usize>,
    /// The line of an SDP at fault, counted from 1.
    pub line: Option<usize>,
}

impl Failure {
    /// For `reason`, in words.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(FAILURE_BYTES));
        Self {
            reason,
            message,
            field: None,
            section: None,
            line: None,
        }
    }

    /// A field that makes no sense.
    #[must_use]
    pub fn field(field: impl Into<String>, why: impl fmt::Display) -> Self {
        let field = field.into();
        Self {
            field: Some(field.clone()),
            ..Self::new(Reason::FieldInvalid, format!("{field}: {why}"))
        }
    }

    /// A field, value or method this build does not act on.
    #[must_use]
    pub fn absent(field: impl Into<String>) -> Self {
        let field = field.into();
        let why = format!("{field} is not acted on by this server");
        Self {
            field: Some(field),
            ..Self::new(Reason::FeatureAbsent, why)
        }
    }

    /// For `reason`, with the reason's own sentence.
    #[must_use]
    pub fn of(reason: Reason) -> Self {
        Self::new(reason, reason.sentence())
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        let message = error.to_string();
        match error {
            CommandError::NotFound(missing) => Self::of(match missing {
                Missing::Room(_) => Reason::RoomNotFound,
                Missing::Participant(_) => Reason::ParticipantNotFound,
                Missing::Track(_) | Missing::Port(_) => Reason::TrackNotFound,
            }),
            CommandError::AlreadyExists { .. } => Self::new(Reason::ConfigDiffers, message),
            CommandError::Invalid { field, why } => Self::field(field, why),
            CommandError::Unusable { section, .. } => Self {
                section,
                ..Self::new(Reason::SdpInvalid, message)
            },
            CommandError::UnsupportedCodec { section, .. } => Self {
                section: Some(section),
                ..Self::new(Reason::SdpUnsupportedCodec, message)
            },
            CommandError::LimitReached { limit, .. } => {
                let reason = match limit {
                    "participants_max" | "PARTICIPANTS_PER_ROOM" => Reason::RoomFull,
                    "ROOMS" | "TRANSPORTS" => Reason::NodeOverloaded,
                    _ => Reason::LimitExceeded,
                };
                Self::new(reason, message)
            }
            CommandError::OnOtherShard(_) => Self::of(Reason::RoomElsewhere),
            CommandError::Closed => Self::of(Reason::RoomClosed),
        }
    }
}

/// The domain of our reasons in `google.rpc.ErrorInfo`.
pub const ERROR_DOMAIN: &str = "plenum";

/// When to try again, where that may help.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl From<Failure> for Status {
    /// The reason as ErrorInfo, and what belongs to its code: the field of a bad request, the
    /// quota, the precondition, when to try again.
    fn from(failure: Failure) -> Self {
        let (reason, code) = (failure.reason, failure.reason.code());
        let mut places = HashMap::new();
        for (name, place) in [
            (
                "section",
                failure.section.map(|section| section.to_string()),
            ),
            ("line", failure.line.map(|line| line.to_string())),
            ("field", failure.field.clone()),
        ] {
            places.extend(place.map(|place| (name.to_owned(), place)));
        }
        let mut details = ErrorDetails::with_error_info(reason.as_str(), ERROR_DOMAIN, places);
        if let Some(field) = &failure.field {
            details.add_bad_request_violation(field, &failure.message);
        }
        if code == Code::ResourceExhausted {
            details.add_quota_failure_violation(reason.as_str(), &failure.message);
        }
        if code == Code::FailedPrecondition {
            details.add_precondition_failure_violation(reason.as_str(), "", &failure.message);
        }
        if reason.retry() {
            details.set_retry_info(Some(RETRY_AFTER));
        }
        Self::with_error_details(code, failure.message, details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_label_and_close_code() {
        for (index, a) in Reason::ALL.iter().enumerate() {
            assert!((4001..5000).contains(&a.close_code()), "{a}");
            assert!((400..600).contains(&a.http_status()), "{a}");
            assert!(a.sentence().ends_with('.'), "{a}");
            for b in &Reason::ALL[index + 1..] {
                assert_ne!(a.as_str(), b.as_str());
                assert_ne!(a.close_code(), b.close_code(), "{a} and {b}");
            }
        }
    }

    #[test]
    fn what_a_caller_wrote_makes_no_failure_long() {
        let long = "é".repeat(FAILURE_BYTES);
        for failure in [
            Failure::new(Reason::MessageInvalid, long.as_str()),
            Failure::field("config.codecs", &long),
        ] {
            assert!(failure.message.len() <= FAILURE_BYTES);
            assert!(failure.message.ends_with('é'));
        }
    }

    #[test]
    fn a_command_error_keeps_what_it_names() {
        let failure = Failure::from(CommandError::Invalid {
            field: "silence_max",
            why: "at most 30 s".into(),
        });
        assert_eq!(failure.field.as_deref(), Some("silence_max"));
        assert_eq!(failure.reason.code(), Code::InvalidArgument);
        let full = Failure::from(CommandError::LimitReached {
            limit: "participants_max",
            value: 2,
        });
        assert_eq!(full.reason, Reason::RoomFull);
    }
}

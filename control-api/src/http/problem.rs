//! A refusal as `application/problem+json` (RFC 9457): what WHIP and WHEP answer where something is
//! wrong. `reason` is the API's own word; `section` and `line` name the place in an SDP.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::status::{Failure, Reason};

/// When to try again, in seconds, where that may help.
const RETRY_AFTER: &str = "2";

/// A failure with its HTTP status and what else the answer says.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    failure: Failure,
    headers: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Serialize)]
struct Problem<'a> {
    /// RFC 9457 §4.2.1: it says no more than the status; `reason` does.
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    section: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
}

impl Refusal {
    /// With a status that HTTP has a word for and our reasons do not.
    pub(crate) fn new(status: StatusCode, reason: Reason, why: impl Into<String>) -> Self {
        Self {
            status,
            failure: Failure::new(reason, why),
            headers: Vec::new(),
        }
    }

    /// A request by a method that is not one of `allowed`.
    pub(crate) fn method(allowed: &'static str) -> Self {
        let why = format!("only {allowed} are understood here");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, Reason::MessageInvalid, why)
            .with(header::ALLOW, allowed)
    }

    /// The same with one more header.
    pub(crate) fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    /// A token was shown, and it is not good (RFC 6750 §3.1).
    pub(crate) fn shown(failure: Failure) -> Self {
        let mut refusal = Self::from(failure);
        if refusal.status == StatusCode::UNAUTHORIZED {
            refusal.headers.clear();
            let challenge = "Bearer realm=\"plenum\", error=\"invalid_token\"";
            refusal = refusal.with(header::WWW_AUTHENTICATE, challenge);
        }
        refusal
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let status = StatusCode::from_u16(failure.reason.http_status());
        let refusal = Self {
            status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            failure,
            headers: Vec::new(),
        };
        if refusal.status == StatusCode::UNAUTHORIZED {
            return refusal.with(header::WWW_AUTHENTICATE, "Bearer realm=\"plenum\"");
        }
        refusal
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let failure = &self.failure;
        let problem = Problem {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Refused"),
            status: self.status.as_u16(),
            detail: &failure.message,
            reason: failure.reason.as_str(),
            field: failure.field.as_deref(),
            section: failure.section,
            line: failure.line,
        };
        let body = serde_json::to_string(&problem).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        let media_type = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, media_type);
        let again = matches!(
            self.status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
        );
        if again && failure.reason.retry() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        response
    }
}

//! What WHIP and WHEP requests have in common: body, token, and who wants in where.

use axum::body::to_bytes;
use axum::extract::{Query, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use sfu::sdp::Description;
use sfu::sdp::description::SdpType;
use tokio::time::timeout;

use crate::auth::ParticipantGrant;
use crate::http::problem::Refusal;
use crate::limits::{HTTP_BODY_BYTES, HTTP_BODY_TIMEOUT};
use crate::node::{Node, bearer};
use crate::registry::{
    Door, JoinRequest, MissingRoom, ParticipantKind, ParticipantName, ParticipantSpec, RoomName,
};
use crate::status::{Failure, Reason};

/// The media type of a POST.
pub(super) const SDP: &str = "application/sdp";

/// The text of a request of `media_type`, whatever parameters stand beside it.
///
/// # Errors
/// 415, 413, 408, 400.
pub(super) async fn body(request: Request, media_type: &str) -> Result<String, Refusal> {
    let named = request.headers().get(header::CONTENT_TYPE);
    let named = named.and_then(|value| value.to_str().ok()).unwrap_or("");
    let named = named.split(';').next().unwrap_or_default().trim();
    if !named.eq_ignore_ascii_case(media_type) {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        let why = format!("Content-Type must be {media_type}");
        return Err(Refusal::new(status, Reason::MessageInvalid, why));
    }
    let read = timeout(
        HTTP_BODY_TIMEOUT,
        to_bytes(request.into_body(), HTTP_BODY_BYTES),
    );
    let bytes = read.await.map_err(|_| {
        let why = "the body did not come in time";
        Refusal::new(StatusCode::REQUEST_TIMEOUT, Reason::MessageInvalid, why)
    })?;
    let bytes = bytes.map_err(|_| {
        let why = format!("the body must come whole, with at most {HTTP_BODY_BYTES} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, Reason::LimitExceeded, why)
    })?;
    String::from_utf8(bytes.into()).map_err(|_| {
        let why = "the body is no UTF-8";
        Failure::new(Reason::SdpInvalid, why).into()
    })
}

/// The text of a POST.
///
/// # Errors
/// As [`body`]; a 415 says what would be taken.
pub(super) async fn post(request: Request) -> Result<String, Refusal> {
    let read = body(request, SDP).await;
    read.map_err(|refusal| refusal.with(super::whip::ACCEPT_POST, SDP))
}

/// The offer of a POST.
///
/// # Errors
/// `SDP_INVALID`, with the line.
pub(super) fn offer(text: &str) -> Result<Description, Failure> {
    let offer = sfu::sdp::parse::parse(SdpType::Offer, text).map_err(|error| Failure {
        line: Some(error.line),
        ..Failure::new(Reason::SdpInvalid, error.to_string())
    })?;
    if offer.sections.is_empty() {
        let why = "there is no m-line in it";
        return Err(Failure::new(Reason::SdpInvalid, why));
    }
    Ok(offer)
}

/// The token of a POST, checked. None: development, and none was shown.
///
/// # Errors
/// `TOKEN_INVALID`, `TOKEN_EXPIRED`, `TOKEN_KIND`.
pub(super) async fn grant(
    node: &Node,
    headers: &HeaderMap,
) -> Result<Option<ParticipantGrant>, Refusal> {
    let shown = headers.get(header::AUTHORIZATION);
    // Encoders whose token is left empty send the scheme all the same.
    let empty = |value: &&HeaderValue| {
        value
            .as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"bearer")
    };
    let Some(value) = shown.filter(|value| !empty(value)) else {
        if node.is_development() {
            return Ok(None);
        }
        let why = "a token is needed: Authorization: Bearer <token>";
        return Err(Failure::new(Reason::TokenInvalid, why).into());
    };
    let token = value.to_str().ok().and_then(bearer).ok_or_else(|| {
        let why = "write \"Authorization: Bearer <token>\"";
        Refusal::shown(Failure::new(Reason::TokenInvalid, why))
    })?;
    node.authority().learn(token).await;
    node.authority()
        .participant(token)
        .map(Some)
        .map_err(Refusal::shown)
}

/// The names and values of a query, in order.
///
/// # Errors
/// `FIELD_INVALID`.
pub(super) fn query(uri: &Uri) -> Result<Vec<(String, String)>, Failure> {
    let read = Query::<Vec<(String, String)>>::try_from_uri(uri);
    let Query(pairs) = read.map_err(|_| Failure::field("query", "cannot be read"))?;
    Ok(pairs)
}

/// What a POST says of who comes, where its token leaves that open.
#[derive(Debug, Default)]
pub(super) struct OwnWords {
    pub(super) participant: Option<ParticipantName>,
    pub(super) display_name: String,
}

impl OwnWords {
    /// `participant` and `display_name` of a query.
    ///
    /// # Errors
    /// `FIELD_INVALID`.
    pub(super) fn of(query: &[(String, String)]) -> Result<Self, Failure> {
        let mut own = Self::default();
        for (name, value) in query {
            match name.as_str() {
                "participant" => own.participant = Some(ParticipantName::new(value)?),
                "display_name" => own.display_name.clone_from(value),
                _ => {}
            }
        }
        Ok(own)
    }
}

/// What a POST asks of the registry.
///
/// # Errors
/// `PERMISSION_MISSING`: the token is for somewhere or somebody else.
pub(super) fn join(
    node: &Node,
    room: RoomName,
    grant: Option<ParticipantGrant>,
    own: OwnWords,
    door: Door,
) -> Result<JoinRequest, Failure> {
    let mut missing_room = MissingRoom::Refuse;
    if node.is_development() {
        missing_room = MissingRoom::Create(Box::new(node.room_spec(None)));
    }
    let mut request = JoinRequest {
        room,
        participant: own.participant,
        spec: ParticipantSpec::default(),
        door,
        missing_room,
        issued_at: None,
        token_id: None,
        resume_token: None,
    };
    if let Some(grant) = grant {
        if grant.room != request.room {
            let why = "the token is for another room";
            return Err(Failure::new(Reason::PermissionMissing, why));
        }
        let named = request.participant.as_ref();
        if grant.participant.is_some() && named.is_some() && named != grant.participant.as_ref() {
            let why = "the token is for another participant";
            return Err(Failure::new(Reason::PermissionMissing, why));
        }
        if let Some(config) = grant.room_config {
            request.missing_room = MissingRoom::Create(Box::new(node.room_spec(Some(config))));
        }
        request.participant = grant.participant.or(request.participant);
        request.spec = grant.spec;
        request.issued_at = Some(grant.issued_at);
        request.token_id = grant.token_id;
    }
    let spec = &mut request.spec;
    if spec.kind == ParticipantKind::Standard {
        spec.kind = match door {
            Door::Whep => ParticipantKind::Viewer,
            Door::Whip | Door::WebSocket | Door::Grpc => ParticipantKind::Ingress,
        };
    }
    if spec.display_name.is_empty() {
        spec.display_name = own.display_name;
    }
    if spec.display_name.is_empty() {
        let name = request.participant.as_ref();
        spec.display_name = name.map(ToString::to_string).unwrap_or_default();
    }
    Ok(request)
}

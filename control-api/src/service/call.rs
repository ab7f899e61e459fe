//! Around every call: its token and scope are checked, its deadline runs.
//!
//! Nothing starts after a deadline has passed, and nobody waits beyond it; an operation that has
//! begun is carried through by the registry.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use crate::auth::BackendGrant;
use crate::limits::CALL_TIMEOUT;
use crate::node::Node;
use crate::status::Failure;

/// What each method needs. One that is not here answers UNIMPLEMENTED to any backend.
const SCOPES: &[(&str, &str)] = &[
    ("/plenum.v1.RoomService/CreateRoom", "rooms.write"),
    ("/plenum.v1.RoomService/GetRoom", "rooms.read"),
    ("/plenum.v1.RoomService/ListRooms", "rooms.read"),
    ("/plenum.v1.RoomService/UpdateRoom", "rooms.write"),
    ("/plenum.v1.RoomService/DeleteRoom", "rooms.write"),
    ("/plenum.v1.TokenService/IssueToken", "tokens.issue"),
    (
        "/plenum.v1.ParticipantService/GetParticipant",
        "participants.read",
    ),
    (
        "/plenum.v1.ParticipantService/ListParticipants",
        "participants.read",
    ),
    (
        "/plenum.v1.ParticipantService/UpdateParticipant",
        "participants.write",
    ),
    (
        "/plenum.v1.ParticipantService/RemoveParticipant",
        "participants.write",
    ),
    ("/plenum.v1.EventService/WatchEvents", "events.read"),
    ("/plenum.v1.EventService/ListEvents", "events.read"),
];

/// Health checks need no token.
const HEALTH: &str = "/grpc.health.v1.Health/";

/// Whoever watches health may do so for as long as they like.
const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// Lets a call through to its method, or answers it.
pub(crate) async fn around(State(node): State<Node>, mut request: Request, next: Next) -> Response {
    if request.uri().path() == WATCH {
        return next.run(request).await;
    }
    let path = request.uri().path().to_owned();
    let started = Instant::now();
    let deadline = match timeout(request.headers()) {
        Ok(timeout) => started + timeout,
        Err(status) => return status.into_http(),
    };
    if !path.starts_with(HEALTH) {
        match grant(&node, &path, request.headers()) {
            Ok(grant) => drop(request.extensions_mut().insert(grant)),
            Err(failure) => return Status::from(failure).into_http(),
        }
    }
    let answer = tokio::select! {
        () = sleep_until(deadline) => late(),
        answer = in_time(deadline, next.run(request)) => answer,
    };
    let code = answer.extensions().get::<Status>().map(Status::code);
    tracing::debug!(method = path, ?code, took = ?started.elapsed(), "call");
    answer
}

/// Runs a call only while its deadline has not passed. The timer alone would not do: it rounds up
/// to milliseconds.
async fn in_time(deadline: Instant, call: impl Future<Output = Response>) -> Response {
    let mut call = pin!(call);
    poll_fn(|waker| {
        if Instant::now() >= deadline {
            return Poll::Ready(late());
        }
        call.as_mut().poll(waker)
    })
    .await
}

fn late() -> Response {
    Status::deadline_exceeded("the deadline has passed").into_http()
}

/// What the caller may do, if it may make this call at all.
fn grant(node: &Node, path: &str, headers: &HeaderMap) -> Result<BackendGrant, Failure> {
    let authorization = headers
        .get(header::AUTHORIZATION)
        .map(|value| value.to_str().unwrap_or_default());
    let grant = match authorization {
        // TLS has checked who it is.
        None if node.config().grpc.client_ca.is_some() => BackendGrant::everything(),
        authorization => node.backend(authorization)?,
    };
    if let Some((_, scope)) = SCOPES.iter().find(|(method, _)| *method == path) {
        grant.check(scope, None)?;
    }
    Ok(grant)
}

/// How long the call may take: what its caller says, `CALL_TIMEOUT` at most.
fn timeout(headers: &HeaderMap) -> Result<Duration, Status> {
    let Some(value) = headers.get("grpc-timeout") else {
        return Ok(CALL_TIMEOUT);
    };
    let timeout = value.to_str().ok().and_then(read_timeout);
    let timeout = timeout.ok_or_else(|| Status::invalid_argument("grpc-timeout is unreadable"))?;
    Ok(timeout.min(CALL_TIMEOUT))
}

/// At most eight digits and a unit (gRPC over HTTP/2, "Timeout").
fn read_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3_600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth;

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3_600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("6n", Some(Duration::from_nanos(6))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3_600))),
            ("999999999S", None),
            ("S", None),
            ("", None),
            ("1", None),
            ("1s", None),
            ("-1S", None),
            ("1é", None),
        ] {
            assert_eq!(read_timeout(text), expected, "{text}");
        }
    }

    #[test]
    fn the_scopes_exist() {
        for (method, scope) in SCOPES {
            assert!(auth::SCOPES.contains(scope), "{method}: {scope}");
        }
    }
}

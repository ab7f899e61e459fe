//! Around every call: its token and scope are checked, its message is one, its deadline runs, and
//! what repeats an earlier call gets that one's answer.
//!
//! Nothing starts after a deadline has passed, and nobody waits beyond it; an operation that has
//! begun is carried through by the registry.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use super::absent;
use super::methods::{METHODS, Method, Needs};
use super::repeats::{Asked, Repeats};
use super::shape;
use crate::auth::BackendGrant;
use crate::limits::{CALL_TIMEOUT, GRPC_MESSAGE_BYTES};
use crate::node::{Node, bearer};
use crate::status::{Failure, Reason};
use crate::tls::Shown;

/// What stands around the calls.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    /// The node.
    pub(crate) node: Node,
    /// What may be repeated.
    pub(crate) repeats: Repeats,
}

/// Health checks need no token.
const HEALTH: &str = "/grpc.health.v1.Health/";

/// Whoever watches health may do so for as long as they like.
const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// What reflection serves needs a backend's token outside development.
const REFLECTION: &str = "/grpc.reflection.";

/// When the caller stops to wait, where it said so. A stream goes on until then; the head of its
/// answer, as other calls, until [`CALL_TIMEOUT`] at the latest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(pub(crate) Instant);

/// Lets a call through to its method, or answers it.
pub(crate) async fn around(
    State(calls): State<Calls>,
    mut request: Request,
    next: Next,
) -> Response {
    if request.uri().path() == WATCH {
        return next.run(request).await;
    }
    let path = request.uri().path().to_owned();
    let started = Instant::now();
    let deadline = match timeout(request.headers()) {
        Ok(timeout) => timeout.map(|timeout| started + timeout),
        Err(status) => return status.into_http(),
    };
    if let Some(deadline) = deadline {
        request.extensions_mut().insert(Deadline(deadline));
    }
    let most = started + CALL_TIMEOUT;
    let deadline = deadline.map_or(most, |deadline| deadline.min(most));
    let answer = tokio::select! {
        () = sleep_until(deadline) => late(),
        answer = in_time(deadline, answered(&calls, &path, request, next)) => answer,
    };
    let code = answer.extensions().get::<Status>().map(Status::code);
    tracing::debug!(method = path, ?code, took = ?started.elapsed(), "call");
    answer
}

async fn answered(calls: &Calls, path: &str, mut request: Request, next: Next) -> Response {
    if path.starts_with(HEALTH) {
        return next.run(request).await;
    }
    let method = METHODS.get(path);
    let needs = method.map_or(Needs::Backend, |method| method.needs);
    calls.node.learn(request.headers()).await;
    let shown = request.extensions().get::<Shown>();
    let grant = match grant(&calls.node, needs, request.headers(), shown) {
        Ok(grant) => grant,
        Err(failure) => return Status::from(failure).into_http(),
    };
    let principal = grant.as_ref().map(BackendGrant::principal);
    if let Some(grant) = grant {
        request.extensions_mut().insert(grant);
    }
    match method {
        Some(method) if method.acted_on => {
            let principal = principal.unwrap_or_default();
            let call = read(calls, &principal, (path, method), request, next).await;
            call.unwrap_or_else(|failure| Status::from(failure).into_http())
        }
        None if path.starts_with(REFLECTION) => next.run(request).await,
        Some(_) | None => absent(path).into_http(),
    }
}

/// Reads the message of a call, and runs it once.
async fn read(
    calls: &Calls,
    principal: &str,
    (path, method): (&str, &Method),
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, GRPC_MESSAGE_BYTES + PREFIX_BYTES);
    let body = body.collect().await.map_err(|_| too_long())?.to_bytes();
    let Some(message) = message(&body)? else {
        // What tonic has a word of its own for: another encoding, or no message at all.
        return Ok(next.run(Request::from_parts(parts, Body::from(body))).await);
    };
    let wrong = || {
        Failure::new(
            Reason::MessageInvalid,
            "the bytes are no message of this method",
        )
    };
    let form = METHODS.shapes.canonical(&method.request, &message);
    let form = form.ok_or_else(wrong)?;
    let id = match method.request_id {
        Some(number) => shape::text(&form, number).ok_or_else(wrong)?,
        None => "",
    };
    let call = next.run(Request::from_parts(parts, Body::from(body)));
    if id.is_empty() {
        return Ok(call.await);
    }
    let asked = Asked {
        principal,
        method: path,
        id,
        request: &form,
    };
    Ok(calls.repeats.once(asked, call).await)
}

/// Before each message: whether it is compressed, and its length (gRPC over HTTP/2).
const PREFIX_BYTES: usize = 5;

/// The one message of a body; none: it is not one plain message.
fn message(body: &Bytes) -> Result<Option<Bytes>, Failure> {
    let Some((&[encoded, ref length @ ..], rest)) = body.split_first_chunk::<PREFIX_BYTES>() else {
        return Ok(None);
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length > GRPC_MESSAGE_BYTES {
        return Err(too_long());
    }
    if rest.len() > length {
        let why = "more than one message in a call that takes one";
        return Err(Failure::new(Reason::MessageInvalid, why));
    }
    Ok((encoded == 0 && rest.len() == length).then(|| body.slice(PREFIX_BYTES..)))
}

fn too_long() -> Failure {
    let why = format!("a request has at most {GRPC_MESSAGE_BYTES} bytes");
    Failure::new(Reason::LimitExceeded, why)
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

/// What the caller may do, if it may make this call at all. None: a participant asks what any may.
fn grant(
    node: &Node,
    needs: Needs,
    headers: &HeaderMap,
    shown: Option<&Shown>,
) -> Result<Option<BackendGrant>, Failure> {
    let authorization = headers
        .get(header::AUTHORIZATION)
        .map(|value| value.to_str().unwrap_or_default());
    let backend = match (authorization, shown) {
        // TLS has checked that it is of an authority of ours.
        (None, Some(Shown(own))) => Ok(BackendGrant::of_certificate(own)),
        (authorization, _) => node.backend(authorization),
    };
    match (needs, backend) {
        (Needs::AnyToken, Err(failure)) if failure.reason == Reason::TokenKind => {
            let token = authorization.and_then(bearer).unwrap_or_default();
            node.authority().participant(token).map(|_| None)
        }
        (Needs::Scope(scope), Ok(grant)) => {
            grant.check(scope, None)?;
            Ok(Some(grant))
        }
        (_, grant) => grant.map(Some),
    }
}

/// How long the caller waits; none: as long as we do.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get("grpc-timeout") else {
        return Ok(None);
    };
    let timeout = value.to_str().ok().and_then(read_timeout);
    let why = "grpc-timeout is unreadable";
    timeout
        .map(Some)
        .ok_or_else(|| Failure::new(Reason::MessageInvalid, why).into())
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
}

//! Cross-origin rules of WHIP and WHEP (Fetch §3.2): pages of allowed origins may ask, and may read
//! what the protocols say in headers. Programs that are no browsers are not concerned.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::origin;
use super::problem::Refusal;
use crate::node::Node;

const EXPOSED: &str = "Location, ETag, Link, Allow, Accept-Post, Accept-Patch, Retry-After, \
    WWW-Authenticate, Access-Control-Allow-Methods";
const METHODS: &str = "GET, HEAD, POST, PATCH, DELETE, OPTIONS";
/// `ETag` and `Link`: some publishers send in a request what belongs into an answer.
const HEADERS: &str = "Authorization, Content-Type, If-Match, ETag, Link";
/// Browsers keep the answer of a preflight this long, in seconds; Chromium no longer than this.
const MAX_AGE: &str = "7200";

/// Refuses pages from elsewhere; lets the others read the answer, whatever it is.
pub(crate) async fn guard(State(node): State<Node>, request: Request, next: Next) -> Response {
    let allowed = &node.config().cors.origins;
    if let Err(failure) = origin::check(request.headers(), allowed, node.is_development()) {
        return Refusal::from(failure).into_response();
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let preflight = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else {
        return response;
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let mut rules = vec![(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED)];
    if preflight {
        rules.extend([
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ]);
    }
    for (name, value) in rules {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

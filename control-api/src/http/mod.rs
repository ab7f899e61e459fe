//! The HTTP door: the page, health, metrics, and the way to `/v1/connect`. HTTP/1.1 only.
//!
//! | file | what it is |
//! |---|---|
//! | `assets` | `web/`, embedded |
//! | `origin` | which pages may connect |
//! | `cors` | what pages of other origins may ask of WHIP and WHEP |
//! | `problem` | refusals as `application/problem+json` |
//! | `serve` | connections: their number, TLS, header sizes, timeouts, shutdown |
//! | `patience` | how long a connection may be silent |
//! | `sources` | connections of one source |

mod assets;
pub(crate) mod cors;
pub(crate) mod origin;
mod patience;
pub(crate) mod problem;
mod serve;
mod sources;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::metrics;
use crate::node::Node;
use crate::signal::{websocket, whip};
use crate::status::Failure;

pub use serve::{Door, serve};

/// What `--http` answers.
pub fn public(node: &Node) -> Router {
    let mut router = Router::new()
        .route("/v1/connect", get(websocket::connect))
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .merge(whip::routes(node));
    if node.is_development() {
        router = router.route("/metrics", get(metrics));
    }
    router
        .fallback(assets::answer)
        .layer(DefaultBodyLimit::max(0))
        .with_state(node.clone())
}

/// What `--admin` answers.
pub fn admin(node: &Node) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .layer(DefaultBodyLimit::max(0))
        .with_state(node.clone())
}

async fn live() -> &'static str {
    "live\n"
}

async fn ready(State(node): State<Node>) -> Response {
    match node.ready() {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics(State(node): State<Node>, headers: HeaderMap) -> Response {
    // Beyond loopback, counters are a backend's business; one with a certificate has shown it.
    let admin = &node.config().admin;
    if !admin.address.ip().is_loopback() && admin.client_ca.is_none() {
        let value = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        node.learn(&headers).await;
        let grant = node.backend(value);
        if let Err(failure) = grant.and_then(|grant| grant.check("stats.read", None)) {
            return refused(&failure);
        }
    }
    match metrics::text(&node).await {
        Ok(text) => {
            let media_type = "text/plain; version=0.0.4; charset=utf-8";
            ([(header::CONTENT_TYPE, media_type)], text).into_response()
        }
        Err(failure) => refused(&failure),
    }
}

/// A failure as an answer.
pub(crate) fn refused(failure: &Failure) -> Response {
    let status = StatusCode::from_u16(failure.reason.http_status())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, format!("{failure}\n")).into_response()
}

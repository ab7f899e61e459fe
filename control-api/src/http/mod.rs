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

use crate::limits::LOG_LEVEL_BYTES;
use crate::metrics;
use crate::node::Node;
use crate::signal::{websocket, whip};
use crate::status::{Failure, Reason};

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
        .route(
            "/log-level",
            get(log_level)
                .put(set_log_level)
                .layer(DefaultBodyLimit::max(LOG_LEVEL_BYTES)),
        )
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
    if let Err(failure) = permitted(&node, &headers, "stats.read").await {
        return refused(&failure);
    }
    match metrics::text(&node).await {
        Ok(text) => {
            let media_type = "text/plain; version=0.0.4; charset=utf-8";
            ([(header::CONTENT_TYPE, media_type)], text).into_response()
        }
        Err(failure) => refused(&failure),
    }
}

/// What log lines pass.
async fn log_level(State(node): State<Node>, headers: HeaderMap) -> Response {
    if let Err(failure) = permitted(&node, &headers, "nodes.read").await {
        return refused(&failure);
    }
    match node.filter() {
        Some(filter) => format!("{}\n", filter.current()).into_response(),
        None => refused(&Failure::absent("log-level")),
    }
}

/// Lets other log lines pass, until the next change, reload or start.
async fn set_log_level(State(node): State<Node>, headers: HeaderMap, level: String) -> Response {
    // No page sets it, not even one whose name leads to loopback by a trick of DNS.
    if headers.contains_key(header::ORIGIN) {
        let why = "pages may not change the log level";
        return refused(&Failure::new(Reason::PermissionMissing, why));
    }
    if let Err(failure) = permitted(&node, &headers, "nodes.write").await {
        return refused(&failure);
    }
    let Some(filter) = node.filter() else {
        return refused(&Failure::absent("log-level"));
    };
    match filter.replace(&level) {
        Ok(()) => {
            tracing::info!(level = filter.current(), "the log level is changed");
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => refused(&Failure::field("level", error)),
    }
}

/// Beyond loopback, admin is a backend's business; one with a certificate has shown it.
async fn permitted(node: &Node, headers: &HeaderMap, scope: &'static str) -> Result<(), Failure> {
    let admin = &node.config().admin;
    if admin.address.ip().is_loopback() || admin.client_ca.is_some() {
        return Ok(());
    }
    let value = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    node.learn(headers).await;
    node.backend(value)?.check(scope, None)
}

/// A failure as an answer.
pub(crate) fn refused(failure: &Failure) -> Response {
    let status = StatusCode::from_u16(failure.reason.http_status())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, format!("{failure}\n")).into_response()
}

//! Connections of one listener: at most so many, few of one source, TLS and headers complete in
//! time, nobody silent for long, and an orderly end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::map_request;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::Instrument as _;

use super::patience::{Quiet, TimedBody};
use super::sources::Sources;
use crate::limits::{
    HTTP_BODY_TIMEOUT, HTTP_CONNECTIONS, HTTP_HEADER_BYTES, HTTP_HEADER_TIMEOUT, HTTP_IDLE_TIMEOUT,
    TLS_HANDSHAKE_TIMEOUT,
};
use crate::logs::shown;
use crate::node::Node;
use crate::tls::Tls;

/// Open requests may take this long once the node is ending.
const GRACE: Duration = Duration::from_secs(2);

/// Where connections come from, and how.
#[derive(Debug)]
pub struct Door {
    /// The listener.
    pub listener: TcpListener,
    /// How they are encrypted, if they are.
    pub tls: Option<Tls>,
    /// Connections of one source at the same time; 0: any number.
    pub per_source: usize,
}

/// Serves `router` until the node ends.
pub async fn serve(door: Door, router: Router, node: Node) {
    let router = router.layer(map_request(async |request: Request| {
        request.map(|body| Body::new(TimedBody::new(body, HTTP_BODY_TIMEOUT)))
    }));
    let places = Arc::new(Semaphore::new(HTTP_CONNECTIONS));
    let sources = Sources::new(door.per_source);
    let mut ending = std::pin::pin!(node.ending());
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            accepted = door.listener.accept() => accepted,
            () = &mut ending => break,
        };
        let (stream, source) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: some will be given back.
                tracing::warn!(%error, "no connection could be accepted");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Whoever has too many is closed without a word: an answer would be work for a flood.
        let Some(seat) = sources.enter(source.ip()) else {
            let source = shown(source.ip(), node.config().log.addresses);
            tracing::debug!(source, "a source has too many connections");
            continue;
        };
        let (tls, router, node) = (door.tls.clone(), router.clone(), node.clone());
        drop(tokio::spawn(async move {
            let source = shown(source.ip(), node.config().log.addresses);
            let span = tracing::debug_span!("http", source);
            connection(stream, tls, router, node).instrument(span).await;
            drop((place, seat));
        }));
    }
    drop(door);
    // All places back: every connection is over.
    let all = u32::try_from(HTTP_CONNECTIONS).unwrap_or(u32::MAX);
    if timeout(GRACE, places.acquire_many(all)).await.is_err() {
        tracing::debug!("some requests did not end in time");
    }
}

async fn connection(mut stream: TcpStream, tls: Option<Tls>, router: Router, node: Node) {
    // Small messages leave at once; where that cannot be asked for, they leave a little later.
    drop(stream.set_nodelay(true));
    let Some(tls) = tls else {
        return speak(stream, router, node).await;
    };
    if !is_tls(&stream).await {
        answer_in_the_clear(&mut stream, node.urls().origin()).await;
        return;
    }
    tokio::select! {
        accepted = tls.accept(stream) => match accepted {
            Ok(stream) => speak(stream, router, node.clone()).await,
            Err(error) => tracing::debug!(%error, "a TLS handshake failed"),
        },
        () = node.ending() => {}
    }
}

async fn speak(stream: impl Io, router: Router, node: Node) {
    let stream = Quiet::new(stream, HTTP_IDLE_TIMEOUT);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request| without_length(router.call(request)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Runs between requests too: a connection kept open and unused is closed by it.
        .header_read_timeout(HTTP_HEADER_TIMEOUT)
        .max_buf_size(HTTP_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let mut ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = node.ending() => None,
    };
    if ended.is_none() {
        connection.as_mut().graceful_shutdown();
        ended = timeout(GRACE, connection).await.ok();
    }
    if let Some(Err(error)) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// 204 has no content and so no length of it (RFC 9110 §8.6); the router writes one for HEAD, after
/// its layers.
async fn without_length<E>(
    answer: impl Future<Output = Result<Response, E>>,
) -> Result<Response, E> {
    let mut answer = answer.await?;
    if answer.status() == StatusCode::NO_CONTENT {
        answer.headers_mut().remove(header::CONTENT_LENGTH);
    }
    Ok(answer)
}

/// What a connection is read from and written to.
trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// Whether the other side speaks TLS: its first record is a handshake (RFC 8446 §5.1). Nobody who
/// says nothing is waited for longer than a handshake may take.
async fn is_tls(stream: &TcpStream) -> bool {
    let mut first = [0];
    let peeked = timeout(TLS_HANDSHAKE_TIMEOUT, stream.peek(&mut first)).await;
    !matches!(peeked, Ok(Ok(_))) || first == [22]
}

/// Somebody typed the address without `https://`. Browsers then begin in the clear, so they are
/// sent to where the page is; nothing of their request is read.
async fn answer_in_the_clear(stream: &mut TcpStream, origin: Option<&str>) {
    let location = origin.filter(|origin| origin.starts_with("https://"));
    let location = location.map_or_else(String::new, |origin| format!("location: {origin}/\r\n"));
    let status = if location.is_empty() {
        "400 Bad Request"
    } else {
        "307 Temporary Redirect"
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\n{location}connection: close\r\ncontent-type: text/plain\r\n\
         content-length: 31\r\n\r\nThis address speaks https only.\n"
    );
    // Whoever does not take it has lost nothing.
    drop(timeout(TLS_HANDSHAKE_TIMEOUT, stream.write_all(answer.as_bytes())).await);
    drop(stream.shutdown().await);
}

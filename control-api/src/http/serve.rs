//! Connections of one listener: at most so many, headers complete in time, and an orderly end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::limits::{HTTP_CONNECTIONS, HTTP_HEADER_BYTES, HTTP_HEADER_TIMEOUT};
use crate::node::Node;

/// Open requests may take this long once the node is ending.
const GRACE: Duration = Duration::from_secs(2);

/// Serves `router` until the node ends.
pub async fn serve(listener: TcpListener, router: Router, node: Node) {
    let places = Arc::new(Semaphore::new(HTTP_CONNECTIONS));
    let mut ending = std::pin::pin!(node.ending());
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut ending => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: some will be given back.
                tracing::warn!(%error, "no connection could be accepted");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Small messages leave at once; where that cannot be asked for, they leave a little later.
        drop(stream.set_nodelay(true));
        let service = TowerToHyperService::new(router.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HTTP_HEADER_TIMEOUT)
            .max_buf_size(HTTP_HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let node = node.clone();
        drop(tokio::spawn(async move {
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
            drop(place);
        }));
    }
    drop(listener);
    // All places back: every connection is over.
    let all = u32::try_from(HTTP_CONNECTIONS).unwrap_or(u32::MAX);
    if timeout(GRACE, places.acquire_many(all)).await.is_err() {
        tracing::debug!("some requests did not end in time");
    }
}

//! The gRPC listener: services, health, and connections over HTTP/2.
//!
//! Connections, calls at the same time, headers and messages are bounded; a silent connection is
//! asked whether it lives; an old one is asked to go.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::{Extension, Router, middleware};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use proto::v1::event_service_server::EventServiceServer;
use proto::v1::participant_service_server::ParticipantServiceServer;
use proto::v1::room_service_server::RoomServiceServer;
use proto::v1::server_service_server::ServerServiceServer;
use proto::v1::subscription_service_server::SubscriptionServiceServer;
use proto::v1::token_service_server::TokenServiceServer;
use proto::v1::track_service_server::TrackServiceServer;
use proto::v1::transport_service_server::TransportServiceServer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::limits::{
    CALL_TIMEOUT, GRPC_CONNECTION_AGE, GRPC_CONNECTIONS, GRPC_HEADER_BYTES,
    GRPC_KEEPALIVE_INTERVAL, GRPC_KEEPALIVE_TIMEOUT, GRPC_MESSAGE_BYTES, GRPC_STREAMS,
    HEALTH_INTERVAL, HTTP_HEADER_TIMEOUT,
};
use crate::node::Node;
use crate::service::call::Calls;
use crate::service::event::Events;
use crate::service::participant::Participants;
use crate::service::repeats::Repeats;
use crate::service::room::Rooms;
use crate::service::server::Server;
use crate::service::subscription::Subscriptions;
use crate::service::token::Tokens;
use crate::service::track::Tracks;
use crate::service::transport::Transports;
use crate::service::{absent, call};
use crate::tls::{Shown, Tls};

/// Open calls may take this long once the node is ending.
const GRACE: Duration = Duration::from_secs(2);

/// Registers services, and says what health is told of: the server as a whole, and each of them.
macro_rules! services {
    ($($server:ident $service:ident $name:literal;)*) => {
        const SERVICES: &[&str] = &["", $($name,)*];

        fn services(routes: Routes, node: &Node) -> Routes {
            routes$(.add_service(
                $server::new($service::new(node.clone())).max_decoding_message_size(GRPC_MESSAGE_BYTES),
            ))*
        }
    };
}

services! {
    RoomServiceServer Rooms "plenum.v1.RoomService";
    TokenServiceServer Tokens "plenum.v1.TokenService";
    ParticipantServiceServer Participants "plenum.v1.ParticipantService";
    ServerServiceServer Server "plenum.v1.ServerService";
    TransportServiceServer Transports "plenum.v1.TransportService";
    TrackServiceServer Tracks "plenum.v1.TrackService";
    SubscriptionServiceServer Subscriptions "plenum.v1.SubscriptionService";
    EventServiceServer Events "plenum.v1.EventService";
}

/// Serves gRPC until the node ends.
pub(crate) async fn serve(listener: TcpListener, tls: Option<Tls>, node: Node) {
    let (reporter, health) = tonic_health::server::health_reporter();
    let calls = Calls {
        node: node.clone(),
        repeats: Repeats::default(),
    };
    let mut routes = services(Routes::new(health), &node);
    // Old and new tools ask by the one or the other name.
    match (reflection().build_v1(), reflection().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => routes = routes.add_service(v1).add_service(v1alpha),
        (Err(error), _) | (_, Err(error)) => tracing::error!(%error, "no reflection"),
    }
    let router = routes
        .into_axum_router()
        .fallback(async |request: axum::extract::Request| {
            absent(request.uri().path()).into_http::<axum::body::Body>()
        })
        .layer(middleware::from_fn_with_state(calls, call::around));
    // Before anybody can ask: a service that is not registered yet would be NOT_FOUND.
    let told = tell_health(&node, &reporter, None).await;
    tokio::select! {
        () = report_health(&node, &reporter, told) => {}
        () = accept(listener, tls, router, node.clone()) => {}
    }
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// Tells whoever watches whether the node is ready. Never ends.
async fn report_health(node: &Node, reporter: &HealthReporter, mut told: ServingStatus) {
    let mut ticks = interval(HEALTH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        told = tell_health(node, reporter, Some(told)).await;
    }
}

/// Tells health how the node stands, where that is news; how it stands.
async fn tell_health(
    node: &Node,
    reporter: &HealthReporter,
    told: Option<ServingStatus>,
) -> ServingStatus {
    let status = match node.ready() {
        Ok(()) => ServingStatus::Serving,
        Err(_) => ServingStatus::NotServing,
    };
    if told != Some(status) {
        for service in SERVICES {
            reporter.set_service_status(service, status).await;
        }
    }
    status
}

async fn accept(listener: TcpListener, tls: Option<Tls>, router: Router, node: Node) {
    let places = Arc::new(Semaphore::new(GRPC_CONNECTIONS));
    let mut ending = std::pin::pin!(node.ending());
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut ending => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: some will be given back.
                tracing::warn!(%error, "no gRPC connection could be accepted");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (tls, router, node) = (tls.clone(), router.clone(), node.clone());
        drop(tokio::spawn(async move {
            connection(stream, tls, router, node).await;
            drop(place);
        }));
    }
    drop(listener);
    // All places back: every connection is over.
    let all = u32::try_from(GRPC_CONNECTIONS).unwrap_or(u32::MAX);
    if timeout(GRACE, places.acquire_many(all)).await.is_err() {
        tracing::debug!("some gRPC calls did not end in time");
    }
}

/// One connection, until it closes, is too old, or the node ends.
async fn connection(stream: TcpStream, tls: Option<Tls>, router: Router, node: Node) {
    // Small messages leave at once; where that cannot be asked for, they leave a little later.
    drop(stream.set_nodelay(true));
    // Whoever connects and says nothing gives the place back.
    if !matches!(
        timeout(HTTP_HEADER_TIMEOUT, stream.readable()).await,
        Ok(Ok(()))
    ) {
        return;
    }
    let Some(tls) = tls else {
        return speak(stream, router, node).await;
    };
    match tls.accept(stream).await {
        Ok(stream) => {
            // Who it is goes with every call of the connection.
            let router = match Shown::of(&stream) {
                Some(shown) => router.layer(Extension(shown)),
                None => router,
            };
            speak(stream, router, node).await;
        }
        Err(error) => tracing::debug!(%error, "a TLS handshake of gRPC failed"),
    }
}

async fn speak<S>(stream: S, router: Router, node: Node)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    // So does one who does not say enough.
    let Ok(Ok(stream)) = timeout(HTTP_HEADER_TIMEOUT, greeted(stream)).await else {
        return;
    };
    let (age, aging) = Aging::begin();
    let service = TowerToHyperService::new(router.layer(Extension(aging)));
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(GRPC_KEEPALIVE_INTERVAL)
        .keep_alive_timeout(GRPC_KEEPALIVE_TIMEOUT)
        .max_concurrent_streams(u32::try_from(GRPC_STREAMS).unwrap_or(u32::MAX))
        .max_header_list_size(u32::try_from(GRPC_HEADER_BYTES).unwrap_or(u32::MAX))
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let grace = tokio::select! {
        ended = connection.as_mut() => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a gRPC connection ended early");
            }
            return;
        }
        () = sleep(GRPC_CONNECTION_AGE) => {
            // Streams end with a word of why; calls are waited for.
            drop(age);
            CALL_TIMEOUT
        }
        // What streams do at a node's end is theirs: there are last events to be told.
        () = node.ending() => GRACE,
    };
    connection.as_mut().graceful_shutdown();
    if timeout(grace, connection).await.is_err() {
        tracing::debug!("a gRPC connection did not end in time");
    }
}

/// Whether a connection is to end, for streams that would outlive it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aging(Option<watch::Receiver<()>>);

impl Aging {
    /// It ends with the first of both.
    fn begin() -> (watch::Sender<()>, Self) {
        let (age, aging) = watch::channel(());
        (age, Self(Some(aging)))
    }

    /// Waits until it is to end.
    pub(crate) async fn ended(&mut self) {
        match &mut self.0 {
            // Nothing is ever sent.
            Some(aging) => while aging.changed().await.is_ok() {},
            None => std::future::pending().await,
        }
    }
}

/// What a connection over HTTP/2 begins with (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose preface is there, for HTTP/2 to read it again: the library itself would wait for
/// the rest of it for ever.
struct Greeted<S> {
    preface: &'static [u8],
    stream: S,
}

async fn greeted<S: AsyncRead + Unpin>(mut stream: S) -> io::Result<Greeted<S>> {
    let mut preface = [0; PREFACE.len()];
    stream.read_exact(&mut preface).await?;
    if preface != *PREFACE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let preface = PREFACE.as_slice();
    Ok(Greeted { preface, stream })
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        waker: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let now = self.preface.len().min(buffer.remaining());
        if now == 0 {
            return Pin::new(&mut self.stream).poll_read(waker, buffer);
        }
        let (taken, rest) = self.preface.split_at_checked(now).unwrap_or_default();
        buffer.put_slice(taken);
        self.preface = rest;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        waker: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(waker, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, waker: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(waker)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, waker: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(waker)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        waker: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(waker, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

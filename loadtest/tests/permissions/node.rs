//! A node in this process, and the ways into its rooms.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use control_api::auth::TokenRequest;
use control_api::config::Config;
use control_api::node::Running;
use control_api::registry::{
    ParticipantName, ParticipantSpec, Permissions, RoomConfig, RoomName, TrackSource,
};
use loadtest::net::backend::Backend;
use loadtest::net::websocket::{Ticket, join};
use loadtest::net::{FarWire, NetError, Wire, wire};
use loadtest::robot::Signal;
use proto::v1;
use sfu::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Nothing here takes that long, whatever else the machine does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The last packet of what was revoked is forwarded by then.
pub(crate) const REVOKED_WITHIN: Duration = Duration::from_millis(500);
/// What was granted works by then.
pub(crate) const GRANTED_WITHIN: Duration = Duration::from_secs(1);
/// Nothing arrives for so long where nothing may pass.
pub(crate) const QUIET: Duration = Duration::from_millis(700);

/// By which door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    WebSocket,
    Whip,
    Whep,
    /// An app backend that carries descriptions by TransportService.
    Grpc,
}

pub(crate) fn keys() -> std::path::PathBuf {
    // A file of its own for each node: tests run at the same time.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("plenum-permission-keys-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, "main: 0123456789abcdef0123456789abcdef\n").unwrap();
    path
}

pub(crate) async fn start() -> Running {
    let config = Config {
        keys_file: Some(keys()),
        ..Config::on_free_ports()
    };
    Running::start(config).await.unwrap()
}

pub(crate) fn token(
    running: &Running,
    room: &str,
    participant: &str,
    permissions: Permissions,
) -> String {
    let request = TokenRequest {
        room: RoomName::new(room).unwrap(),
        participant: Some(ParticipantName::new(participant).unwrap()),
        spec: ParticipantSpec {
            permissions,
            ..ParticipantSpec::default()
        },
        ttl: Duration::from_secs(60),
        room_config: Some(RoomConfig::default()),
    };
    running.node.authority().issue(&request).unwrap().token
}

/// A backend's token.
pub(crate) fn backend_token(running: &Running) -> String {
    let authority = running.node.authority();
    let issued = authority.issue_backend(vec!["*".to_owned()], Vec::new(), PATIENCE * 3);
    issued.unwrap().token
}

/// As gRPC writes them.
pub(crate) fn written(permissions: &Permissions) -> v1::Permissions {
    let all = [
        TrackSource::Camera,
        TrackSource::Microphone,
        TrackSource::Screen,
        TrackSource::ScreenAudio,
    ];
    // In proto an empty list is none; all of them is all of them.
    let sources = permissions.publish_sources.clone();
    let sources = sources.unwrap_or_else(|| all.to_vec());
    let sources = sources.into_iter().map(|source| match source {
        TrackSource::Camera => v1::TrackSource::Camera,
        TrackSource::Microphone => v1::TrackSource::Microphone,
        TrackSource::Screen => v1::TrackSource::Screen,
        TrackSource::ScreenAudio => v1::TrackSource::ScreenAudio,
        TrackSource::Other => panic!("not used here"),
    });
    v1::Permissions {
        publish_sources: sources.map(i32::from).collect(),
        subscribe: permissions.subscribe,
        send_data: permissions.send_data,
        hidden: permissions.hidden,
        tracks_max: permissions.tracks_max.map(|most| most.try_into().unwrap()),
        ..v1::Permissions::default()
    }
}

/// The app backend of one participant.
pub(crate) async fn backend(
    running: &Running,
    (room, participant): (&str, &str),
    permissions: &Permissions,
) -> Backend {
    let channel = channel(running).await;
    Backend::new(channel, room, participant)
        .with_permissions(written(permissions))
        .with_token(&backend_token(running))
        .unwrap()
}

pub(crate) async fn channel(running: &Running) -> tonic::transport::Channel {
    let url = format!("http://{}", running.grpc);
    let place = tonic::transport::Channel::from_shared(url).unwrap();
    place.connect().await.unwrap()
}

/// One POST; status and body.
pub(crate) async fn post(http: SocketAddr, path: &str, token: &str, offer: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(http).await.unwrap();
    let length = offer.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {http}\r\nContent-Type: application/sdp\r\n\
         Authorization: Bearer {token}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{offer}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// Carries a robot's one offer to WHIP or WHEP and brings the answer.
pub(crate) async fn exchange(mut far: FarWire, http: SocketAddr, path: String, token: String) {
    while let Some(signal) = far.incoming.recv().await {
        let Signal::Offer(offer) = signal else {
            continue;
        };
        let (status, body) = post(http, &path, &token, &offer).await;
        assert_eq!(status, 201, "{path}: {body}");
        drop(far.outgoing.send(Signal::Answer(body)).await);
    }
}

pub(crate) async fn enter(
    running: &Running,
    way: Way,
    (room, participant): (&str, &str),
    permissions: Permissions,
) -> Result<Wire, NetError> {
    let token = token(running, room, participant, permissions.clone());
    let path = match way {
        Way::WebSocket => {
            let ticket = Ticket {
                url: format!("ws://{}/v1/connect", running.http),
                room: room.to_owned(),
                participant: participant.to_owned(),
                token: Some(token),
            };
            return join(&ticket).await;
        }
        Way::Whip => format!("/whip/{room}"),
        Way::Whep => format!("/whep/{room}"),
        Way::Grpc => {
            let backend = backend(running, (room, participant), &permissions).await;
            return Ok(backend.carry().0);
        }
    };
    let (near, far) = wire();
    drop(tokio::spawn(exchange(far, running.http, path, token)));
    Ok(near)
}

pub(crate) async fn permit(
    running: &Running,
    room: &str,
    participant: &str,
    change: impl FnOnce(&mut Permissions) + Send + 'static,
) {
    let room = RoomName::new(room).unwrap();
    let name = ParticipantName::new(participant).unwrap();
    let registry = running.node.registry();
    let changed = registry.update_participant(&room, &name, None, |spec| {
        change(&mut spec.permissions);
        Ok(())
    });
    changed.await.unwrap();
}

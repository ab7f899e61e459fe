//! Permission × door, with robots on real sockets against a node in this process: what is denied is
//! refused with its reason and nothing passes; what is granted live works within a second; what is
//! revoked live has its last packet forwarded half a second later at most.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test: what fails here fails it, and says where"
)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use control_api::auth::TokenRequest;
use control_api::config::Config;
use control_api::node::Running;
use control_api::registry::{
    ParticipantName, ParticipantSpec, Permissions, RoomConfig, RoomName, TrackSource,
};
use loadtest::net::backend::Backend;
use loadtest::net::websocket::{Ticket, join};
use loadtest::net::{Clock, FarWire, NetError, Seat, Wire, wire};
use loadtest::robot::publication::PublishParameters;
use loadtest::robot::{Robot, Signal};
use proto::v1;
use proto::v1::subscription_service_client::SubscriptionServiceClient;
use sfu::time::{Duration, Instant};
use sfu::units::MediaKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Nothing here takes that long, whatever else the machine does.
const PATIENCE: Duration = Duration::from_secs(20);
/// The last packet of what was revoked is forwarded by then.
const REVOKED_WITHIN: Duration = Duration::from_millis(500);
/// What was granted works by then.
const GRANTED_WITHIN: Duration = Duration::from_secs(1);
/// Nothing arrives for so long where nothing may pass.
const QUIET: Duration = Duration::from_millis(700);

/// By which door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    WebSocket,
    Whip,
    Whep,
    /// An app backend that carries descriptions by TransportService.
    Grpc,
}

fn keys() -> std::path::PathBuf {
    // A file of its own for each node: tests run at the same time.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("plenum-permission-keys-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, "main: 0123456789abcdef0123456789abcdef\n").unwrap();
    path
}

async fn start() -> Running {
    let config = Config {
        keys_file: Some(keys()),
        ..Config::on_free_ports()
    };
    Running::start(config).await.unwrap()
}

fn token(running: &Running, room: &str, participant: &str, permissions: Permissions) -> String {
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
fn backend_token(running: &Running) -> String {
    let authority = running.node.authority();
    let issued = authority.issue_backend(vec!["*".to_owned()], Vec::new(), PATIENCE * 3);
    issued.unwrap().token
}

/// As gRPC writes them.
fn written(permissions: &Permissions) -> v1::Permissions {
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
        ..v1::Permissions::default()
    }
}

/// The app backend of one participant.
async fn backend(
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

async fn channel(running: &Running) -> tonic::transport::Channel {
    let url = format!("http://{}", running.grpc);
    let place = tonic::transport::Channel::from_shared(url).unwrap();
    place.connect().await.unwrap()
}

/// One POST; status and body.
async fn post(http: SocketAddr, path: &str, token: &str, offer: &str) -> (u16, String) {
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
async fn exchange(mut far: FarWire, http: SocketAddr, path: String, token: String) {
    while let Some(signal) = far.incoming.recv().await {
        let Signal::Offer(offer) = signal else {
            continue;
        };
        let (status, body) = post(http, &path, &token, &offer).await;
        assert_eq!(status, 201, "{path}: {body}");
        drop(far.outgoing.send(Signal::Answer(body)).await);
    }
}

async fn enter(
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

/// What a robot received so far, seen from outside while it runs.
#[derive(Debug, Default)]
struct Watched {
    packets: AtomicU64,
    /// Of the last packet, in microseconds of the clock.
    last_at: AtomicU64,
}

impl Watched {
    fn look(&self, robot: &Robot, now: Instant) {
        let sources = robot.receiver().sources().values();
        let packets = sources.map(|received| received.packets).sum();
        if self.packets.swap(packets, Ordering::AcqRel) != packets {
            self.last_at.store(now.as_micros(), Ordering::Release);
        }
    }

    fn packets(&self) -> u64 {
        self.packets.load(Ordering::Acquire)
    }

    fn last_at(&self) -> Instant {
        Instant::from_micros(self.last_at.load(Ordering::Acquire))
    }
}

/// Starts a robot that publishes what it is given; what it receives is watched.
async fn robot(
    number: u32,
    clock: Clock,
    mut near: Wire,
    publishes: Option<PublishParameters>,
) -> Arc<Watched> {
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut seat = Seat::open(number, u64::from(number), clock, ip)
        .await
        .unwrap();
    if let Some(parameters) = publishes {
        let now = seat.now();
        seat.robot.publish(now, parameters);
    }
    let watched = Arc::new(Watched::default());
    let seen = Arc::clone(&watched);
    drop(tokio::spawn(async move {
        let until = clock.now() + Duration::from_secs(600);
        let driven = seat.drive(&mut near, until, |robot| {
            seen.look(robot, clock.now());
            false
        });
        drop(driven.await);
    }));
    watched
}

/// Waits until more arrives; when the first of it did.
async fn more(watched: &Watched, clock: Clock, what: &str) -> Instant {
    let (before, began_at) = (watched.packets(), clock.now());
    while watched.packets() <= before {
        assert!(clock.now().since(began_at) < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    watched.last_at()
}

/// Waits until nothing has arrived for a while; when the last of it did.
async fn quiet(watched: &Watched, clock: Clock, what: &str) -> Instant {
    let began_at = clock.now();
    while clock.now().since(watched.last_at().max(began_at)) < QUIET {
        assert!(clock.now().since(began_at) < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    watched.last_at()
}

async fn permit(
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

fn all_but(kind: MediaKind) -> Permissions {
    let others = match kind {
        MediaKind::Audio => vec![TrackSource::Camera, TrackSource::Screen],
        MediaKind::Video => vec![TrackSource::Microphone, TrackSource::ScreenAudio],
    };
    Permissions {
        publish_sources: Some(others),
        ..Permissions::default()
    }
}

fn media(kind: MediaKind) -> PublishParameters {
    match kind {
        MediaKind::Audio => PublishParameters::audio(),
        MediaKind::Video => PublishParameters::video(2),
    }
}

const PUBLISHING: [(Way, MediaKind); 6] = [
    (Way::WebSocket, MediaKind::Audio),
    (Way::WebSocket, MediaKind::Video),
    (Way::Whip, MediaKind::Audio),
    (Way::Whip, MediaKind::Video),
    (Way::Grpc, MediaKind::Audio),
    (Way::Grpc, MediaKind::Video),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_is_revoked_and_granted_live_at_every_door() {
    let running = start().await;
    let clock = Clock::start();
    for (index, (way, kind)) in (0_u32..).zip(PUBLISHING) {
        let what = format!("{way:?} {kind:?}");
        let room = format!("publish-{index}");
        let full = Permissions::default;
        let near = enter(&running, Way::WebSocket, (&room, "lin"), full());
        let lin = robot(2 * index, clock, near.await.unwrap(), None).await;
        let near = enter(&running, way, (&room, "ada"), full()).await.unwrap();
        robot(2 * index + 1, clock, near, Some(media(kind))).await;
        more(&lin, clock, &format!("{what}: nothing arrives")).await;

        let without = all_but(kind).publish_sources;
        let revoked_at = clock.now();
        permit(&running, &room, "ada", move |it| {
            it.publish_sources = without;
        })
        .await;
        let last_at = quiet(&lin, clock, &format!("{what}: it does not end")).await;
        assert!(last_at.since(revoked_at) <= REVOKED_WITHIN, "{what}");

        let granted_at = clock.now();
        permit(&running, &room, "ada", |it| it.publish_sources = None).await;
        let first_at = more(&lin, clock, &format!("{what}: it does not begin again")).await;
        assert!(first_at.since(granted_at) <= GRANTED_WITHIN, "{what}");
    }
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receiving_is_revoked_and_granted_live_at_every_door() {
    let running = start().await;
    let clock = Clock::start();
    for (index, way) in (0_u32..).zip([Way::WebSocket, Way::Whep, Way::Grpc]) {
        let what = format!("{way:?}");
        let room = format!("receive-{index}");
        let full = Permissions::default;
        let near = enter(&running, Way::WebSocket, (&room, "ada"), full());
        let audio = Some(PublishParameters::audio());
        robot(100 + 2 * index, clock, near.await.unwrap(), audio).await;
        let near = enter(&running, way, (&room, "lin"), full()).await.unwrap();
        // A player offers its own m-line (and sends nothing, where the answer takes nothing); a
        // backend's transport begins with an offer too.
        let offered = (way != Way::WebSocket).then_some(PublishParameters {
            receives: true,
            ..PublishParameters::audio()
        });
        let lin = robot(101 + 2 * index, clock, near, offered).await;
        more(&lin, clock, &format!("{what}: nothing arrives")).await;

        let revoked_at = clock.now();
        permit(&running, &room, "lin", |it| it.subscribe = false).await;
        let last_at = quiet(&lin, clock, &format!("{what}: it does not end")).await;
        assert!(last_at.since(revoked_at) <= REVOKED_WITHIN, "{what}");

        let granted_at = clock.now();
        permit(&running, &room, "lin", |it| it.subscribe = true).await;
        let first_at = more(&lin, clock, &format!("{what}: it does not begin again")).await;
        assert!(first_at.since(granted_at) <= GRANTED_WITHIN, "{what}");
    }
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_token_does_not_permit_is_refused_or_passes_nothing() {
    let running = start().await;
    let clock = Clock::start();
    for (index, (way, kind)) in (0_u32..).zip(PUBLISHING) {
        let what = format!("{way:?} {kind:?}");
        let room = format!("denied-{index}");
        let full = Permissions::default();
        let near = enter(&running, Way::WebSocket, (&room, "lin"), full);
        let lin = robot(200 + 2 * index, clock, near.await.unwrap(), None).await;
        if way == Way::Whip {
            let ada = token(&running, &room, "ada", all_but(kind));
            let offer = offer_of(index, clock, kind).await;
            let path = format!("/whip/{room}");
            let (status, body) = post(running.http, &path, &ada, &offer).await;
            assert_eq!(status, 403, "{what}: {body}");
            assert!(body.contains("\"PERMISSION_MISSING\""), "{what}: {body}");
        } else {
            let near = enter(&running, way, (&room, "ada"), all_but(kind));
            let near = near.await.unwrap();
            robot(201 + 2 * index, clock, near, Some(media(kind))).await;
        }
        quiet(&lin, clock, &format!("{what}: it does not end")).await;
        assert_eq!(lin.packets(), 0, "{what}");
        if way != Way::Whip {
            // It was there all the time.
            let granted_at = clock.now();
            permit(&running, &room, "ada", |it| it.publish_sources = None).await;
            let why = format!("{what}: granted, and nothing arrives");
            let first_at = more(&lin, clock, &why);
            assert!(first_at.await.since(granted_at) <= GRANTED_WITHIN, "{what}");
        }
    }
    let deaf = Permissions {
        subscribe: false,
        ..Permissions::default()
    };
    let deaf = token(&running, "deaf", "lin", deaf);
    let offer = offer_of(99, clock, MediaKind::Audio).await;
    let offer = offer.replace("a=sendonly", "a=recvonly");
    let (status, body) = post(running.http, "/whep/deaf", &deaf, &offer).await;
    assert_eq!(status, 403, "{body}");
    assert!(body.contains("\"PERMISSION_MISSING\""), "{body}");
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_denied_by_grpc_is_refused_with_its_reason() {
    let running = start().await;
    let clock = Clock::start();
    let deaf = Permissions {
        subscribe: false,
        ..Permissions::default()
    };
    let ada = enter(
        &running,
        Way::WebSocket,
        ("deaf", "ada"),
        Permissions::default(),
    );
    robot(
        400,
        clock,
        ada.await.unwrap(),
        Some(media(MediaKind::Audio)),
    )
    .await;
    let lin = enter(&running, Way::Grpc, ("deaf", "lin"), deaf).await;
    let offered = Some(PublishParameters {
        receives: true,
        ..PublishParameters::audio()
    });
    let lin = robot(401, clock, lin.unwrap(), offered).await;
    quiet(&lin, clock, "the deaf one hears").await;
    assert_eq!(lin.packets(), 0);

    let mut calls = SubscriptionServiceClient::new(channel(&running).await);
    let mut asked = tonic::Request::new(v1::UpdateSubscriptionsRequest {
        parent: "rooms/deaf/participants/lin".to_owned(),
        subscribe_all: Some(true),
        ..v1::UpdateSubscriptionsRequest::default()
    });
    let bearer = format!("Bearer {}", backend_token(&running));
    asked
        .metadata_mut()
        .insert("authorization", bearer.parse().unwrap());
    let refused = calls.update_subscriptions(asked).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied, "{refused:?}");
    let details = String::from_utf8_lossy(refused.details()).into_owned();
    assert!(details.contains("PERMISSION_MISSING"), "{details}");
    // It was there all the time.
    permit(&running, "deaf", "lin", |it| it.subscribe = true).await;
    more(&lin, clock, "granted, and nothing arrives").await;
    running.end().await;
}

/// What a robot that publishes would offer.
async fn offer_of(number: u32, clock: Clock, kind: MediaKind) -> String {
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut seat = Seat::open(300 + number, 1, clock, ip).await.unwrap();
    let now = seat.now();
    seat.robot.publish(now, media(kind));
    match seat.robot.poll_signal() {
        Some(Signal::Offer(offer)) => offer,
        other => panic!("no offer: {other:?}"),
    }
}

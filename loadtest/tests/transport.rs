//! An app backend lets two robots meet by gRPC alone: real media over real sockets, every
//! description carried by TransportService.

#![expect(
    clippy::unwrap_used,
    reason = "a test: what fails here fails it, and says where"
)]

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};

use control_api::config::Config;
use control_api::node::Running;
use loadtest::net::backend::{Backend, Restarts};
use loadtest::net::{Clock, Seat, Wire};
use loadtest::robot::Robot;
use loadtest::robot::publication::PublishParameters;
use proto::v1;
use proto::v1::participant_service_client::ParticipantServiceClient;
use proto::v1::subscription_service_client::SubscriptionServiceClient;
use proto::v1::track_service_client::TrackServiceClient;
use proto::v1::transport_service_client::TransportServiceClient;
use sfu::time::Duration;
use tonic::transport::Channel;

const ROOM: &str = "rooms/standup";
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A robot with its backend.
struct Guest {
    seat: Seat,
    wire: Wire,
    restarts: Restarts,
}

impl Guest {
    async fn enter(number: u32, participant: &str, clock: Clock, channel: &Channel) -> Self {
        let mut seat = Seat::open(number, 7 + u64::from(number), clock, HOME)
            .await
            .unwrap();
        let now = seat.now();
        seat.robot.publish(now, PublishParameters::audio());
        seat.robot.publish(now, PublishParameters::video(2));
        let (wire, restarts) = Backend::new(channel.clone(), "standup", participant).carry();
        Self {
            seat,
            wire,
            restarts,
        }
    }
}

/// Frames of every track of the other, of the track that has the fewest.
fn decoded(robot: &Robot) -> u64 {
    let sources = robot.receiver().sources();
    let fewest = sources.values().map(|received| received.decoded).min();
    if sources.len() < 2 {
        0
    } else {
        fewest.unwrap_or_default()
    }
}

/// Both live until each has decoded so many frames of each track of the other; one that has seen
/// enough goes on sending.
async fn meet(ada: &mut Guest, lin: &mut Guest, frames: u64) {
    let until = ada.seat.now() + Duration::from_secs(30);
    let (first, second) = (Cell::new(false), Cell::new(false));
    let done = |mine: &Cell<bool>, robot: &Robot| {
        mine.set(mine.get() || decoded(robot) >= frames);
        first.get() && second.get()
    };
    let (a, l) = tokio::join!(
        ada.seat
            .drive(&mut ada.wire, until, |robot| done(&first, robot)),
        lin.seat
            .drive(&mut lin.wire, until, |robot| done(&second, robot)),
    );
    let (a, l) = (a.unwrap(), l.unwrap());
    assert!(a && l, "frames seen: ada {a}, lin {l}");
}

#[tokio::test]
async fn two_robots_meet_by_an_app_backend_alone() {
    let running = Running::start(Config::on_free_ports()).await.unwrap();
    let url = format!("http://{}", running.grpc);
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    let clock = Clock::start();
    let mut ada = Guest::enter(1, "ada", clock, &channel).await;
    let mut lin = Guest::enter(2, "lin", clock, &channel).await;
    meet(&mut ada, &mut lin, 25).await;
    let seen = seen_by_services(&channel).await;

    // New credentials, the same media.
    assert!(ada.restarts.ask().await, "a backend");
    meet(&mut ada, &mut lin, 100).await;
    assert_eq!(seen_by_services(&channel).await, seen);

    leave(&channel).await;
    running.end().await;
}

/// What the other services know of the two: tracks and who gets them.
async fn seen_by_services(channel: &Channel) -> Vec<String> {
    let mut people = ParticipantServiceClient::new(channel.clone());
    let listed = people.list_participants(v1::ListParticipantsRequest {
        parent: ROOM.to_owned(),
        filter: "door = \"GRPC\" AND state = \"ACTIVE\"".to_owned(),
        ..v1::ListParticipantsRequest::default()
    });
    let listed = listed.await.unwrap().into_inner().participants;
    assert_eq!(listed.len(), 2, "{listed:?}");
    let mut tracks = TrackServiceClient::new(channel.clone());
    let videos = tracks.list_tracks(v1::ListTracksRequest {
        parent: ROOM.to_owned(),
        filter: "kind = \"VIDEO\" AND participant = \"ada\"".to_owned(),
        ..v1::ListTracksRequest::default()
    });
    let videos = videos.await.unwrap().into_inner().tracks;
    assert_eq!(videos.len(), 1, "{videos:?}");
    let mut subscriptions = SubscriptionServiceClient::new(channel.clone());
    let lin = subscriptions.list_subscriptions(v1::ListSubscriptionsRequest {
        parent: format!("{ROOM}/participants/lin"),
        ..v1::ListSubscriptionsRequest::default()
    });
    let lin = lin.await.unwrap().into_inner().subscriptions;
    assert_eq!(lin.len(), 2, "sound and picture of ada: {lin:?}");
    let mut seen: Vec<String> = lin.into_iter().map(|each| each.name).collect();
    seen.sort();
    let video = videos.first().unwrap().name.rsplit('/').next().unwrap();
    assert!(seen.iter().any(|name| name.ends_with(video)), "{seen:?}");
    seen
}

/// Deleted, twice, and gone.
async fn leave(channel: &Channel) {
    let mut calls = TransportServiceClient::new(channel.clone());
    for _ in 0..2 {
        let deleted = calls.delete_transport(v1::DeleteTransportRequest {
            name: format!("{ROOM}/participants/ada/transport"),
            request_id: String::new(),
        });
        deleted.await.unwrap();
    }
    let mut people = ParticipantServiceClient::new(channel.clone());
    let asked = people.get_participant(v1::GetParticipantRequest {
        name: format!("{ROOM}/participants/ada"),
    });
    assert_eq!(asked.await.unwrap_err().code(), tonic::Code::NotFound);
}

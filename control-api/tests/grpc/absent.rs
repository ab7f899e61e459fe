//! What nothing acts on yet is refused, never ignored; and what stands around every call.

use control_api::limits;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use proto::v1;
use proto::v1::room_service_client::RoomServiceClient;
use tonic::Code::{self, Unauthenticated, Unimplemented};
use tonic::Status;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{Bench, create, named, of, refused, table, with_config};

#[tokio::test]
async fn what_a_room_does_not_do_yet_is_refused_by_name() {
    let bench = Bench::open().await;
    bench.create(create("standup")).await.unwrap();
    for (name, config) in [
        (
            "e2ee_required",
            of!(RoomConfig {
                e2ee_required: Some(true)
            }),
        ),
        (
            "auto_recording",
            of!(RoomConfig {
                auto_recording: Some(v1::Recording::default())
            }),
        ),
    ] {
        let mut room = named("rooms/standup");
        room.config = Some(config.clone());
        let (path, field) = (format!("config.{name}"), &format!("room.config.{name}"));
        let issue = of!(IssueTokenRequest {
            room: "rooms/new",
            room_config: Some(config.clone())
        });
        table! {
            bench.create(with_config("new", config)) => Unimplemented "FEATURE_ABSENT" at field;
            bench.update(room, &[]) => Unimplemented "FEATURE_ABSENT" at field;
            bench.update(named("rooms/standup"), &[&path]) => Unimplemented "FEATURE_ABSENT" at field;
            bench.issue(issue) => Unimplemented "FEATURE_ABSENT" at &format!("room_config.{name}");
        }
    }
    bench.running.end().await;
}

#[tokio::test]
async fn permissions_that_change_nothing_yet_are_refused_by_name() {
    let bench = Bench::open().await;
    let ada = "rooms/standup/participants/ada";
    for (name, permissions) in [
        (
            "video_height_max",
            of!(Permissions {
                video_height_max: Some(1)
            }),
        ),
        (
            "publish_bitrate_bps_max",
            of!(Permissions {
                publish_bitrate_bps_max: Some(1)
            }),
        ),
        (
            "subscribe_bitrate_bps_max",
            of!(Permissions {
                subscribe_bitrate_bps_max: Some(1)
            }),
        ),
        (
            "data_bitrate_bps_max",
            of!(Permissions {
                data_bitrate_bps_max: Some(1)
            }),
        ),
    ] {
        let wanted = || Some(permissions.clone());
        let issue = of!(IssueTokenRequest {
            room: "rooms/new",
            permissions: wanted()
        });
        let person = of!(Participant {
            name: ada,
            permissions: wanted()
        });
        table! {
            bench.issue(issue) => Unimplemented "FEATURE_ABSENT" at &format!("permissions.{name}");
            bench.update_participant(person, &[]) => Unimplemented "FEATURE_ABSENT" at &format!("participant.permissions.{name}");
        }
    }
    bench.running.end().await;
}

#[tokio::test]
async fn fields_of_requests_nothing_acts_on_are_refused_by_name() {
    let bench = Bench::open().await;
    bench.create(create("standup")).await.unwrap();
    let _ada = bench.join("standup", "ada").await;
    let (room, ada) = ("rooms/standup", "rooms/standup/participants/ada");
    let wish = |wish: v1::Wish| {
        let name = format!("{ada}/subscriptions/t1");
        let wish = Some(wish);
        let stated = vec![of!(Subscription {
            name: name,
            wish: wish
        })];
        bench.call::<_, v1::UpdateSubscriptionsResponse>(
            "SubscriptionService/UpdateSubscriptions",
            of!(UpdateSubscriptionsRequest {
                parent: ada,
                subscriptions: stated
            }),
        )
    };
    let send = of!(SendMessageRequest {
        name: room,
        unreliable: true
    });
    table! {
        bench.call::<_, v1::SendMessageResponse>("RoomService/SendMessage", send) => Unimplemented "FEATURE_ABSENT" at "unreliable";
        wish(of!(Wish { width: 640 })) => Unimplemented "FEATURE_ABSENT" at "subscriptions.wish.width";
        wish(of!(Wish { frame_rate: 15 })) => Unimplemented "FEATURE_ABSENT" at "subscriptions.wish.frame_rate";
    }
    bench.running.end().await;
}

/// Services and methods the next issues bring; every other one of the descriptors works.
const ABSENT: [&str; 12] = [
    "MixService/",
    "RecordingService/",
    "StatsService/",
    "DiagnosticsService/",
    "NodeService/",
    "EventService/CreateWebhook",
    "EventService/GetWebhook",
    "EventService/ListWebhooks",
    "EventService/UpdateWebhook",
    "EventService/DeleteWebhook",
    "EventService/TestWebhook",
    "EventService/RedeliverEvents",
];

pub(crate) fn is_absent(method: &str) -> bool {
    let named = |name: &&str| method == *name || name.ends_with('/') && method.starts_with(*name);
    ABSENT.iter().any(named)
}

/// Calls a method with an empty message.
async fn call(bench: &Bench, method: &str) -> Result<(), Status> {
    bench.call::<(), ()>(method, ()).await
}

#[tokio::test]
async fn every_other_method_says_that_it_is_absent() {
    let bench = Bench::open().await;
    let files = FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap().file;
    let services = files.iter().flat_map(|file| &file.service);
    let methods = services.flat_map(|service| {
        let names = service.method.iter();
        names.map(|method| format!("{}/{}", service.name(), method.name()))
    });
    let absent: Vec<_> = methods.filter(|method| is_absent(method)).collect();
    assert!(absent.len() >= 29, "{}", absent.len());
    for method in absent
        .iter()
        .map(String::as_str)
        .chain(["NoService/DoNothing"])
    {
        refused(call(&bench, method), Unimplemented, "FEATURE_ABSENT", "").await;
        let status = call(&bench, method).await.unwrap_err();
        assert!(status.message().contains(method), "{status:?}");
    }
    bench.running.end().await;

    let guarded = Bench::guarded("absent").await;
    for method in absent {
        refused(
            call(&guarded, &method),
            Unauthenticated,
            "TOKEN_INVALID",
            "",
        )
        .await;
    }
    guarded.running.end().await;
}

#[tokio::test]
async fn nothing_starts_after_its_deadline() {
    let bench = Bench::open().await;
    for (timeout, code) in [
        ("0n", Code::DeadlineExceeded),
        ("soon", Code::InvalidArgument),
    ] {
        // By hand: the library would not send what it knows to be late.
        let mut request = bench.request(create("late"));
        let timeout = timeout.parse().unwrap();
        request.metadata_mut().insert("grpc-timeout", timeout);
        let mut client = RoomServiceClient::new(bench.channel.clone());
        let status = client.create_room(request).await.unwrap_err();
        assert!(
            [code, Code::Cancelled].contains(&status.code()),
            "{status:?}"
        );
    }
    refused(
        bench.get("rooms/late"),
        Code::NotFound,
        "ROOM_NOT_FOUND",
        "",
    )
    .await;
    bench.create(create("in_time")).await.unwrap();
    bench.running.end().await;
}

#[tokio::test]
async fn a_request_beyond_its_bound_is_refused() {
    let bench = Bench::open().await;
    let mut room = create("large");
    room.room.get_or_insert_default().metadata = "x".repeat(limits::GRPC_MESSAGE_BYTES);
    let status = bench.create(room).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let mut room = create("large");
    room.room.get_or_insert_default().metadata = "x".repeat(limits::METADATA_BYTES + 1);
    refused(
        bench.create(room),
        Code::InvalidArgument,
        "FIELD_INVALID",
        "room.metadata",
    )
    .await;
    bench.running.end().await;
}

#[tokio::test]
async fn health_needs_no_token_and_turns_when_the_node_drains() {
    let bench = Bench::guarded("health").await;
    let mut client = HealthClient::new(bench.channel.clone());
    let request = HealthCheckRequest {
        service: "plenum.v1.RoomService".into(),
    };
    let watched = client.watch(request).await.unwrap();
    let mut watched = watched.into_inner();
    let mut next = async |expected: ServingStatus| loop {
        let seen = watched.message().await.unwrap().unwrap();
        if seen.status() == expected {
            break;
        }
    };
    next(ServingStatus::Serving).await;
    bench.running.node.registry().drain();
    next(ServingStatus::NotServing).await;
    bench.running.end().await;
}

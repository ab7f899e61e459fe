//! Receiving.

use control_api::registry::Permissions;
use loadtest::net::Clock;
use loadtest::robot::publication::PublishParameters;
use proto::v1;
use proto::v1::subscription_service_client::SubscriptionServiceClient;

use crate::node::*;
use crate::publishing::offer_of;
use crate::watched::{more, quiet, robot};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receiving_is_revoked_and_granted_live_at_every_door() {
    let running = start().await;
    let clock = Clock::start();
    for (index, way) in (0_u32..).zip([Way::WebSocket, Way::Whep, Way::Grpc]) {
        let what = format!("{way:?}");
        let room = format!("receive-{index}");
        let full = Permissions::default;
        let near = enter(&running, Way::WebSocket, (&room, "ada"), full());
        let audio = PublishParameters::audio();
        robot(100 + 2 * index, clock, near.await.unwrap(), &[audio]).await;
        let near = enter(&running, way, (&room, "lin"), full()).await.unwrap();
        // A player offers its own m-line (and sends nothing, where the answer takes nothing); a
        // backend's transport begins with an offer too.
        let offered = (way != Way::WebSocket).then_some(PublishParameters {
            receives: true,
            ..PublishParameters::audio()
        });
        let lin = robot(101 + 2 * index, clock, near, offered.as_slice()).await;
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
async fn who_may_not_receive_is_refused_by_whep_with_the_reason() {
    let running = start().await;
    let deaf = Permissions {
        subscribe: false,
        ..Permissions::default()
    };
    let deaf = token(&running, "deaf", "lin", deaf);
    let offer = offer_of(&[PublishParameters::audio()]);
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
        &[PublishParameters::audio()],
    )
    .await;
    let lin = enter(&running, Way::Grpc, ("deaf", "lin"), deaf).await;
    let offered = Some(PublishParameters {
        receives: true,
        ..PublishParameters::audio()
    });
    let lin = robot(401, clock, lin.unwrap(), offered.as_slice()).await;
    quiet(&lin, clock, "the deaf one hears").await;
    assert_eq!(lin.count(), 0);

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

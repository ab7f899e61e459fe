//! Data channels.

use control_api::registry::Permissions;
use loadtest::net::Clock;

use crate::node::*;
use crate::watched::{Counted, listener, more, quiet, talker};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sending_data_is_denied_revoked_and_granted_live_at_every_door() {
    let running = start().await;
    let clock = Clock::start();
    for (index, way) in (0_u32..).zip([Way::WebSocket, Way::Grpc]) {
        let what = format!("{way:?}");
        let room = format!("data-{index}");
        let near = enter(
            &running,
            Way::WebSocket,
            (&room, "lin"),
            Permissions::default(),
        );
        let near = near.await.unwrap();
        let lin = listener(500 + 2 * index, clock, near, Counted::Messages).await;
        let silent = Permissions {
            send_data: false,
            ..Permissions::default()
        };
        let near = enter(&running, way, (&room, "ada"), silent).await;
        talker(501 + 2 * index, clock, near.unwrap()).await;
        quiet(&lin, clock, &format!("{what}: it does not end")).await;
        assert_eq!(lin.count(), 0, "{what}");

        // The first message finds a receiver that has no association yet.
        permit(&running, &room, "ada", |it| it.send_data = true).await;
        more(&lin, clock, &format!("{what}: nothing arrives")).await;

        let revoked_at = clock.now();
        permit(&running, &room, "ada", |it| it.send_data = false).await;
        let last_at = quiet(&lin, clock, &format!("{what}: it does not end")).await;
        assert!(last_at.since(revoked_at) <= REVOKED_WITHIN, "{what}");

        let granted_at = clock.now();
        permit(&running, &room, "ada", |it| it.send_data = true).await;
        let first_at = more(&lin, clock, &format!("{what}: it does not begin again")).await;
        assert!(first_at.since(granted_at) <= GRANTED_WITHIN, "{what}");
    }
    running.end().await;
}

//! What ends by itself, and how the node ends.

use std::time::Duration;

use control_api::config::Time;
use control_api::registry::{RoomConfig, RoomName, RoomSpec};
use serde_json::json;

use crate::support::{Socket, config, eventually, start};

#[tokio::test]
async fn an_empty_room_goes_after_its_timeout_and_one_with_a_longest_duration_after_that() {
    let running = start(config()).await;
    let registry = running.node.registry();
    let room = |empty: u64, most: Option<u64>| RoomSpec {
        config: RoomConfig {
            empty_timeout: Duration::from_millis(empty),
            duration_max: most.map(Duration::from_millis),
            ..RoomConfig::default()
        },
        ..RoomSpec::default()
    };
    for (name, spec) in [
        ("brief", room(1, None)),
        ("forever", room(0, None)),
        ("limited", room(0, Some(1_500))),
    ] {
        registry
            .create_room(Some(RoomName::new(name).unwrap()), spec)
            .await
            .unwrap();
    }
    let (mut ada, _) = Socket::join(&running, "limited", "ada").await;
    assert_eq!(ada.next_of("leave").await["reason"], "ROOM_EXPIRED");
    eventually("only the room without a timeout is left", || {
        registry.counts() == (1, 0)
    })
    .await;
    assert!(
        registry
            .get_room(&RoomName::new("forever").unwrap())
            .is_ok()
    );
    running.end().await;
}

#[tokio::test]
async fn a_socket_that_dies_takes_its_participant_along_once_the_window_is_over() {
    let mut config = config();
    config.room.resume_window = Time(Duration::from_millis(1));
    let running = start(config).await;
    let (mut ada, _) = Socket::join(&running, "standup", "ada").await;
    let (lin, _) = Socket::join(&running, "standup", "lin").await;
    ada.next_of("participants").await;
    lin.kill();
    let news = ada.next_of("participants").await;
    assert_eq!(news["left"][0]["participant"], "lin");
    running.end().await;
}

#[tokio::test]
async fn a_draining_node_makes_no_rooms_lets_people_finish_and_sends_the_rest_elsewhere() {
    let mut config = config();
    config.drain.timeout = Time(Duration::from_secs(20));
    let running = start(config).await;
    let (mut ada, _) = Socket::join(&running, "standup", "ada").await;
    running.node.registry().drain();
    assert!(running.node.ready().is_err());
    let mut late = Socket::open(&running).await;
    late.say(json!({"type": "join", "room": "another"})).await;
    assert_eq!(late.next_of("error").await["reason"], "NODE_DRAINING");
    assert_eq!(late.closed().await.code, 4_008);
    // Into a room that is there one may still go.
    let (_lin, _) = Socket::join(&running, "standup", "lin").await;

    let ended = tokio::spawn(async move { running.end().await });
    let leave = ada.next_of("leave").await;
    assert_eq!(
        (&leave["reason"], &leave["action"]),
        (&json!("NODE_DRAINED"), &json!("REJOIN"))
    );
    assert_eq!(ada.closed().await.code, 1_000);
    ended.await.unwrap();
}

#[tokio::test]
async fn drain_waits_for_the_last_one_to_leave() {
    let mut config = config();
    config.drain.timeout = Time(Duration::from_secs(20));
    let running = start(config).await;
    let (mut ada, _) = Socket::join(&running, "standup", "ada").await;
    let node = running.node.clone();
    let drained = tokio::spawn(async move {
        running.drain().await;
        running
    });
    eventually("it drains", || node.registry().is_draining()).await;
    assert!(!drained.is_finished());
    ada.say(json!({"type": "leave"})).await;
    drained.await.unwrap().end().await;
}

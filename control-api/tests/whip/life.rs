//! Presence: how one who came by WHIP or WHEP is shown, and when it is gone.

use std::time::Duration;

use control_api::node::Running;
use control_api::registry::{
    Door, ParticipantKind, ParticipantName, ParticipantView, RoomName, RoomSpec, TrackSource,
};

use crate::support::{Answer, ask, config, eventually, offer, player, post, start};

fn room() -> RoomName {
    RoomName::new("standup").unwrap()
}

fn named(running: &Running, name: &str) -> Option<ParticipantView> {
    let name = ParticipantName::new(name).unwrap();
    running.node.registry().get_participant(&room(), &name).ok()
}

async fn gone(running: &Running, made: &Answer) {
    let location = made.header("location").unwrap();
    for _ in 0..2_000 {
        let headers = [("Content-Type", "application/trickle-ice-sdpfrag")];
        let body = "a=end-of-candidates\r\n";
        let answer = ask(running.http, "PATCH", location, &headers, body).await;
        if answer.status == 404 {
            return;
        }
        assert_eq!(answer.status, 204, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{location} is still there");
}

#[tokio::test]
async fn a_publisher_is_a_participant_with_tracks_and_a_name() {
    let running = start(config()).await;
    let path = "/whip/standup?participant=camera-1&display_name=Door%20camera";
    assert_eq!(post(&running, path, &offer()).await.status, 201);
    let path = "/whip/standup?participant=camera-2";
    assert_eq!(post(&running, path, &offer()).await.status, 201);
    let view = named(&running, "camera-1").unwrap();
    assert_eq!(view.door, Door::Whip);
    assert_eq!(view.spec.kind, ParticipantKind::Ingress);
    assert_eq!(view.spec.display_name, "Door camera");
    let view = named(&running, "camera-2").unwrap();
    assert_eq!(view.spec.display_name, "camera-2");
    eventually("both tracks are told of", || {
        named(&running, "camera-1").is_some_and(|view| view.tracks.len() == 2)
    })
    .await;
    let view = named(&running, "camera-1").unwrap();
    let sources: Vec<_> = view.tracks.iter().map(|track| track.source).collect();
    assert!(sources.contains(&TrackSource::Camera), "{sources:?}");
    assert!(sources.contains(&TrackSource::Microphone), "{sources:?}");
    assert!(view.tracks.iter().all(|track| !track.muted()));
    running.end().await;
}

#[tokio::test]
async fn a_second_post_under_the_same_name_replaces_the_first() {
    let running = start(config()).await;
    let path = "/whip/standup?participant=camera";
    let first = post(&running, path, &offer()).await;
    let uid = named(&running, "camera").unwrap().uid;
    let second = post(&running, path, &offer()).await;
    assert_eq!((first.status, second.status), (201, 201));
    gone(&running, &first).await;
    assert_ne!(named(&running, "camera").unwrap().uid, uid);
    let location = second.header("location").unwrap();
    let answer = ask(running.http, "DELETE", location, &[], "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(named(&running, "camera").is_none());
    running.end().await;
}

#[tokio::test]
async fn a_resource_is_gone_with_its_participant_or_its_room() {
    let running = start(config()).await;
    let registry = running.node.registry();
    let removed = post(&running, "/whip/standup?participant=camera", &offer()).await;
    let viewer = post(&running, "/whep/standup", &player()).await;
    let name = ParticipantName::new("camera").unwrap();
    let room = room();
    registry
        .remove_participant(&room, &name, None, None)
        .await
        .unwrap();
    gone(&running, &removed).await;
    registry.delete_room(&room, None, None).await.unwrap();
    gone(&running, &viewer).await;
    assert_eq!(registry.counts(), (0, 0));
    running.end().await;
}

#[tokio::test]
async fn an_offer_that_is_refused_late_leaves_nobody_behind() {
    let running = start(config()).await;
    let registry = running.node.registry();
    let mut spec = RoomSpec::default();
    spec.config.codecs = vec![control_api::registry::spec::codec_from_label("audio/opus").unwrap()];
    registry.create_room(Some(room()), spec).await.unwrap();
    // Only the room knows that it has no pictures.
    for (path, body) in [("/whip/standup", offer()), ("/whep/standup", player())] {
        let answer = post(&running, path, &body).await;
        assert_eq!(answer.status, 422, "{answer:?}");
        assert_eq!(answer.problem()["reason"], "SDP_UNSUPPORTED_CODEC");
        assert_eq!(answer.problem()["section"], 1);
    }
    eventually("nobody is inside", || registry.counts() == (1, 0)).await;
    running.end().await;
}

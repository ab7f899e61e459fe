//! POST to `/whep/{room}`.

use crate::support::{config, eventually, offer, player, post, start};

const CHROMIUM: &str = include_str!("../../../sfu/tests/fixtures/sdp/chromium-recvonly.sdp");
const FIREFOX: &str = include_str!("../../../sfu/tests/fixtures/sdp/firefox-recvonly.sdp");

#[tokio::test]
async fn a_player_is_answered_before_anybody_publishes() {
    let running = start(config()).await;
    for (what, offer) in [
        ("by hand", player()),
        ("Chromium", CHROMIUM.to_owned()),
        ("Firefox", FIREFOX.to_owned()),
        ("both ways", player().replace("recvonly", "sendrecv")),
        ("passive", player().replace("actpass", "passive")),
    ] {
        let answer = post(&running, "/whep/standup", &offer).await;
        assert_eq!(answer.status, 201, "{what}: {answer:?}");
        let location = answer.header("location").unwrap();
        assert!(location.starts_with("/whep/standup/"), "{location}");
        assert!(answer.header("etag").unwrap().starts_with('"'));
        assert_eq!(answer.body.matches("a=sendonly\r\n").count(), 2, "{what}");
        // Sound and picture are one stream, so that a page finds both in `streams[0]`.
        let streams = answer.body.split("\r\n");
        let streams = streams.filter_map(|line| line.strip_prefix("a=msid:"));
        let streams: Vec<_> = streams.filter_map(|it| it.split(' ').next()).collect();
        assert_eq!(streams.len(), 2, "{}", answer.body);
        assert_eq!(streams[0], streams[1]);
    }
    running.end().await;
}

#[tokio::test]
async fn a_player_offer_that_cannot_be_used_is_refused() {
    let running = start(config()).await;
    let unknown = player().replace("VP8/90000", "theora/90000");
    let unknown = unknown.replace("rtx/90000", "theora/90000");
    for (what, body, status, reason, section) in [
        ("a publisher's", offer(), 400, "SDP_INVALID", Some(0)),
        (
            "inactive",
            player().replace("recvonly", "inactive"),
            400,
            "SDP_INVALID",
            None,
        ),
        ("no SDP", "v=1".to_owned(), 400, "SDP_INVALID", None),
        ("unknown", unknown, 422, "SDP_UNSUPPORTED_CODEC", Some(1)),
    ] {
        let answer = post(&running, "/whep/standup", &body).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        let problem = answer.problem();
        assert_eq!(problem["reason"], reason, "{what}");
        assert_eq!(problem["section"].as_u64(), section, "{what}");
    }
    assert_eq!(running.node.registry().counts().1, 0);
    running.end().await;
}

#[tokio::test]
async fn one_may_ask_for_somebody_who_is_not_there_yet() {
    let running = start(config()).await;
    for path in [
        "/whep/standup?participant=ada",
        "/whep/standup?track=t1f",
        "/whep/standup?track=t1f&track=t20",
        "/whep/standup?unknown=1",
    ] {
        let answer = post(&running, path, &player()).await;
        assert_eq!(answer.status, 201, "{path}: {answer:?}");
        let location = answer.header("location").unwrap();
        assert!(location.starts_with("/whep/standup/"), "{location}");
    }
    eventually("the room is there", || {
        running.node.registry().counts().0 == 1
    })
    .await;
    running.end().await;
}

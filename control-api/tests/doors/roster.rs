//! Who is there, who comes and goes, and what they say to each other.

use serde_json::json;

use crate::support::{Socket, config, start};

#[tokio::test]
async fn each_learns_of_the_other_and_of_its_leaving() {
    let running = start(config()).await;
    let (mut ada, welcome) = Socket::join(&running, "standup", "ada").await;
    assert_eq!(welcome["room"]["name"], "standup");
    assert_eq!(welcome["own"]["display_name"], "ADA");
    assert_eq!(welcome["participants"], json!([]));
    let (mut lin, welcome) = Socket::join(&running, "standup", "lin").await;
    assert_eq!(welcome["participants"][0]["participant"], "ada");
    assert_eq!(welcome["participants"][0]["display_name"], "ADA");
    let news = ada.next_of("participants").await;
    assert_eq!(news["joined"][0]["participant"], "lin");
    assert_eq!(news["joined"][0]["state"], "JOINING");

    lin.say(json!({"type": "leave"})).await;
    let leave = lin.next_of("leave").await;
    assert_eq!(
        (&leave["reason"], &leave["action"]),
        (&json!("LEFT_ITSELF"), &json!("STOP"))
    );
    assert_eq!(lin.closed().await.code, 1_000);
    let news = ada.next_of("participants").await;
    assert_eq!(
        news["left"],
        json!([{"participant": "lin", "reason": "LEFT_ITSELF"}])
    );
    assert_eq!(running.node.registry().counts(), (1, 1));
    running.end().await;
}

#[tokio::test]
async fn a_second_join_under_the_same_id_replaces_the_first() {
    let running = start(config()).await;
    let (mut lin, _) = Socket::join(&running, "standup", "lin").await;
    let (mut first, old) = Socket::join(&running, "standup", "ada").await;
    lin.next_of("participants").await;
    let (_second, new) = Socket::join(&running, "standup", "ada").await;
    assert_ne!(old["uid"], new["uid"]);
    let leave = first.next_of("leave").await;
    assert_eq!(
        (&leave["reason"], &leave["action"]),
        (&json!("REPLACED"), &json!("STOP"))
    );
    assert_eq!(first.closed().await.code, 1_000);
    assert_eq!(lin.next().await["left"][0]["reason"], "REPLACED");
    assert_eq!(lin.next().await["joined"][0]["uid"], new["uid"]);
    assert_eq!(running.node.registry().counts(), (1, 2));
    running.end().await;
}

#[tokio::test]
async fn a_resume_token_takes_a_drawn_id_over() {
    let running = start(config()).await;
    let mut first = Socket::open(&running).await;
    first.say(json!({"type": "join", "room": "standup"})).await;
    let old = first.next().await;
    let mut second = Socket::open(&running).await;
    let token = &old["resume_token"];
    second
        .say(json!({"type": "join", "room": "standup", "resume_token": token}))
        .await;
    let new = second.next().await;
    assert_eq!(old["participant"], new["participant"]);
    assert_ne!(old["resume_token"], new["resume_token"]);
    assert_eq!(first.next_of("leave").await["reason"], "REPLACED");
    running.end().await;
}

#[tokio::test]
async fn data_reaches_everybody_else_or_only_those_named() {
    let running = start(config()).await;
    let (mut ada, _) = Socket::join(&running, "standup", "ada").await;
    let (mut lin, _) = Socket::join(&running, "standup", "lin").await;
    let (mut bob, _) = Socket::join(&running, "standup", "bob").await;
    let payload = json!({"text": "héllo", "n": [1, 2.5, null]});
    ada.say(json!({"type": "data", "topic": "chat", "payload": payload}))
        .await;
    ada.say(json!({"type": "data", "topic": "whisper", "to": ["bob"], "payload": 7}))
        .await;
    let heard = lin.next_of("data").await;
    assert_eq!(
        (&heard["from"], &heard["topic"]),
        (&json!("ada"), &json!("chat"))
    );
    assert_eq!(heard["payload"], payload);
    assert_eq!(heard.get("to"), None);
    bob.next_of("data").await;
    let heard = bob.next_of("data").await;
    assert_eq!(
        (&heard["to"], &heard["payload"]),
        (&json!(["bob"]), &json!(7))
    );

    ada.say(json!({"type": "data", "topic": "chat", "to": ["nobody"], "payload": 1}))
        .await;
    let error = ada.next_of("error").await;
    assert_eq!(error["reason"], "PARTICIPANT_NOT_FOUND");
    assert_eq!(error["fatal"], false);
    // Neither the whisper nor the failed message came to Lin: the next one does.
    ada.say(json!({"type": "data", "topic": "last", "payload": 1}))
        .await;
    assert_eq!(lin.next_of("data").await["topic"], "last");
    running.end().await;
}

#[tokio::test]
async fn a_removed_participant_is_told_why_and_the_others_too() {
    let running = start(config()).await;
    let (mut ada, _) = Socket::join(&running, "standup", "ada").await;
    let (mut lin, _) = Socket::join(&running, "standup", "lin").await;
    let registry = running.node.registry();
    let room = control_api::registry::RoomName::new("standup").unwrap();
    let name = control_api::registry::ParticipantName::new("lin").unwrap();
    registry
        .remove_participant(&room, &name, Some("enough".into()), None)
        .await
        .unwrap();
    let leave = lin.next_of("leave").await;
    assert_eq!(leave["reason"], "REMOVED");
    assert_eq!(leave["message"], "enough");
    ada.next_of("participants").await;
    assert_eq!(
        ada.next_of("participants").await["left"][0]["reason"],
        "REMOVED"
    );
    assert!(registry.get_participant(&room, &name).is_err());

    registry
        .delete_room(&room, None, Some("closed for today".into()))
        .await
        .unwrap();
    let leave = ada.next_of("leave").await;
    assert_eq!(
        (&leave["reason"], &leave["message"]),
        (&json!("ROOM_DELETED"), &json!("closed for today"))
    );
    assert_eq!(registry.counts(), (0, 0));
    running.end().await;
}

#[tokio::test]
async fn commands_before_any_media_are_taken_or_refused_by_name() {
    let running = start(config()).await;
    let (mut ada, _) = Socket::join(&running, "standup", "ada").await;
    for (message, reason) in [
        (
            json!({"type": "mute", "mid": "", "muted": true}),
            "FIELD_INVALID",
        ),
        (
            json!({"type": "tracks", "tracks": [{"mid": "0", "source": "TV"}]}),
            "FIELD_INVALID",
        ),
        (
            json!({"type": "subscribe", "tracks": [{"track": "x"}]}),
            "FIELD_INVALID",
        ),
        (
            json!({"type": "subscribe", "tracks": [{"track": "t1"}]}),
            "TRACK_NOT_FOUND",
        ),
        (
            json!({"type": "join", "room": "standup"}),
            "MESSAGE_INVALID",
        ),
        (json!({"type": "data", "topic": "a"}), "MESSAGE_INVALID"),
        (
            json!({"description": {"type": "pranswer", "sdp": ""}}),
            "FIELD_INVALID",
        ),
        (
            json!({"description": {"type": "offer", "sdp": "v=0\r\nnonsense\r\n"}}),
            "SDP_INVALID",
        ),
    ] {
        ada.say(message.clone()).await;
        let error = ada.next_of("error").await;
        assert_eq!(error["reason"], reason, "{message}: {error}");
        assert_eq!(error["fatal"], false, "{error}");
    }
    // Nothing comes of these, and the socket lives on.
    ada.say(json!({"type": "mute", "mid": "0", "muted": true}))
        .await;
    ada.say(json!({"type": "tracks", "tracks": [{"mid": "0", "source": "CAMERA"}]}))
        .await;
    ada.say(json!({"type": "wave"})).await;
    ada.say(json!({"candidate": null})).await;
    ada.say(json!({"type": "leave"})).await;
    assert_eq!(ada.next_of("leave").await["reason"], "LEFT_ITSELF");
    running.end().await;
}

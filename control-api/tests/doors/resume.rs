//! Sockets that die, and others that go on where they ended.

use control_api::registry::{ParticipantName, RoomName};
use serde_json::{Value, json};

use crate::support::{Closed, Socket, config, eventually, start};

/// What a refused resume gets.
async fn assert_void(running: &control_api::node::Running, token: &Value) {
    let (mut socket, answer) = Socket::resume(running, token, 1).await;
    assert_eq!(answer["reason"], "RESUME_TOKEN_EXPIRED", "{answer}");
    assert_eq!(answer["fatal"], true);
    assert_eq!(socket.closed().await.code, 4_019);
}

/// Says a number to everybody, again where it was too soon.
async fn say_number(socket: &mut Socket, number: u64) {
    loop {
        socket
            .say(json!({"type": "data", "topic": "n", "payload": number, "id": "x"}))
            .await;
        if socket.next_of("reply").await.get("body").is_some() {
            return;
        }
    }
}

#[tokio::test]
async fn a_hundred_cuts_lose_no_message_and_double_none() {
    const CUTS: u64 = 100;
    let running = start(config()).await;
    let (mut ada, welcome) = Socket::join(&running, "standup", "ada").await;
    let (mut lin, _) = Socket::join(&running, "standup", "lin").await;
    let mut token = welcome["resume_token"].clone();
    let (mut said, mut heard) = (0_u64, 0_u64);
    for cut in 0..CUTS {
        let mut sequence = ada.sequence();
        // Some of what lin says reaches the old socket and is lost with it, some waits.
        for _ in 0..cut % 4 {
            say_number(&mut lin, said).await;
            said += 1;
        }
        if cut % 3 == 0 {
            sequence = ada.sequence();
            ada.kill();
        } else {
            // The server takes it for living.
            std::mem::forget(ada);
        }
        let visitor = if cut % 5 == 0 {
            Some(Socket::join(&running, "standup", &format!("visitor{cut}")).await)
        } else {
            None
        };
        for _ in 0..cut % 3 {
            say_number(&mut lin, said).await;
            said += 1;
        }
        let (socket, resumed) = Socket::resume(&running, &token, sequence).await;
        assert_eq!(resumed["type"], "resumed", "{resumed}");
        assert_eq!(resumed["sequence"], sequence, "it goes on where it ended");
        assert_ne!(resumed["resume_token"], token);
        token = resumed["resume_token"].clone();
        ada = socket;
        while heard < said {
            // The numbers are checked by `next`, one after the other across all sockets.
            let message = ada.next().await;
            assert_ne!(message["type"], "snapshot");
            if message["type"] == "data" {
                assert_eq!(message["payload"], heard, "{message}");
                heard += 1;
            }
        }
        drop(visitor);
    }
    assert_eq!((said, heard), (249, 249));
    running.end().await;
}

#[tokio::test]
async fn each_token_is_good_once_and_void_when_its_bearer_is_out() {
    let running = start(config()).await;
    let registry = running.node.registry();
    let room = RoomName::new("standup").unwrap();
    let (ada, first) = Socket::join(&running, "standup", "ada").await;
    let (mut lin, lins) = Socket::join(&running, "standup", "lin").await;
    let first = &first["resume_token"];
    // A letter and 26 digits of 5 bits: 128 random ones.
    assert_eq!(first.as_str().unwrap().len(), 27);
    let sequence = ada.sequence();
    ada.kill();
    let (ada, resumed) = Socket::resume(&running, first, sequence).await;
    let second = &resumed["resume_token"];
    assert_void(&running, first).await;
    assert_void(&running, &json!("s0")).await;

    // A backend puts her out while no socket is there.
    ada.kill();
    let name = ParticipantName::new("ada").unwrap();
    registry
        .remove_participant(&room, &name, None, None)
        .await
        .unwrap();
    assert_void(&running, second).await;

    lin.say(json!({"type": "leave"})).await;
    lin.closed().await;
    assert_void(&running, &lins["resume_token"]).await;

    let (bob, welcome) = Socket::join(&running, "standup", "bob").await;
    bob.kill();
    registry.delete_room(&room, None, None).await.unwrap();
    assert_void(&running, &welcome["resume_token"]).await;
    running.end().await;
}

#[tokio::test]
async fn of_two_sockets_the_newer_one_goes_on() {
    let running = start(config()).await;
    let (mut old, welcome) = Socket::join(&running, "standup", "ada").await;
    let (mut lin, _) = Socket::join(&running, "standup", "lin").await;
    old.next_of("participants").await;
    let (mut new, resumed) =
        Socket::resume(&running, &welcome["resume_token"], old.sequence()).await;
    assert_eq!(
        (&resumed["type"], &resumed["missed"]),
        (&json!("resumed"), &json!(0))
    );
    let reason = "RESUME_TOKEN_EXPIRED".to_owned();
    assert_eq!(
        old.closed().await,
        Closed {
            code: 4_019,
            reason
        }
    );
    lin.say(json!({"type": "data", "topic": "hello", "payload": 1}))
        .await;
    assert_eq!(new.next().await["topic"], "hello");
    new.say(json!({"type": "data", "topic": "hello", "payload": 2}))
        .await;
    // Nobody was told that ada had been away: she was not.
    assert_eq!(lin.next().await["payload"], 2);
    running.end().await;
}

#[tokio::test]
async fn who_missed_too_much_is_told_all_there_is() {
    let running = start(config()).await;
    let (ada, welcome) = Socket::join(&running, "standup", "ada").await;
    let sequence = ada.sequence();
    ada.kill();
    let mut senders = Vec::new();
    for name in ["lin", "bob", "eve"] {
        let (mut sender, _) = Socket::join(&running, "standup", name).await;
        let payload = "x".repeat(60 << 10);
        for id in ["1", "2", "3", "4", "5", "6", "7"] {
            sender
                .say(json!({"type": "data", "topic": "long", "payload": payload, "id": id, "to": ["ada"]}))
                .await;
            let reply = sender.next_of("reply").await;
            assert_eq!(reply["body"]["recipient_count"], 1, "{reply}");
        }
        senders.push(sender);
    }
    let (mut ada, resumed) = Socket::resume(&running, &welcome["resume_token"], sequence).await;
    assert_eq!(resumed["type"], "resumed");
    let snapshot = ada.next().await;
    assert_eq!(snapshot["type"], "snapshot", "{snapshot}");
    let there = snapshot["participants"].as_array().unwrap();
    let mut there: Vec<_> = there.iter().map(|it| it["participant"].as_str()).collect();
    there.sort_unstable();
    assert_eq!(there, [Some("bob"), Some("eve"), Some("lin")]);
    assert_eq!(snapshot["own"]["participant"], "ada");
    senders[0]
        .say(json!({"type": "data", "topic": "after", "payload": 1}))
        .await;
    assert_eq!(ada.next().await["topic"], "after");

    // A number that was never given is no place to go on from.
    let (mut ada, resumed) = Socket::resume(&running, &resumed["resume_token"], 9_999).await;
    assert_eq!(
        (&resumed["type"], &resumed["missed"]),
        (&json!("resumed"), &json!(1))
    );
    assert_eq!(ada.next().await["type"], "snapshot");
    running.end().await;
}

#[tokio::test]
async fn the_others_are_told_once_nobody_comes_back() {
    let running = start(config()).await;
    let (ada, welcome) = Socket::join(&running, "standup", "ada").await;
    let (mut lin, _) = Socket::join(&running, "standup", "lin").await;
    let sequence = ada.sequence();
    ada.kill();
    // Without media there is nothing that could prove life: six seconds, then gone.
    let news = lin.next_of("participants").await;
    assert_eq!(news["left"][0]["participant"], "ada", "{news}");
    eventually("the line is forgotten", || {
        running.node.registry().counts().1 == 1
    })
    .await;
    let (_, answer) = Socket::resume(&running, &welcome["resume_token"], sequence).await;
    assert_eq!(answer["reason"], "RESUME_TOKEN_EXPIRED");
    running.end().await;
}

//! What is refused at the door, by which reason and close code.

use std::time::Duration;

use control_api::auth::TokenRequest;
use control_api::registry::{ParticipantName, ParticipantSpec, RoomConfig, RoomName, RoomSpec};
use serde_json::{Value, json};

use crate::support::{Closed, Socket, config, keys, start};

async fn refused(running: &control_api::node::Running, first: String) -> (Value, Closed) {
    let mut socket = Socket::open(running).await;
    socket.say_text(first).await;
    let error = socket.next().await;
    assert_eq!(error["type"], "error", "{error}");
    assert_eq!(error["fatal"], true, "{error}");
    (error, socket.closed().await)
}

#[tokio::test]
async fn a_bad_first_message_ends_the_socket_with_its_reason() {
    let running = start(config()).await;
    for (first, reason, code) in [
        ("nonsense".to_owned(), "MESSAGE_INVALID", 4_042),
        (
            json!({"type": "leave"}).to_string(),
            "MESSAGE_INVALID",
            4_042,
        ),
        (
            format!("{}{}", "[".repeat(33), "]".repeat(33)),
            "MESSAGE_INVALID",
            4_042,
        ),
        (json!({"type": "join"}).to_string(), "FIELD_INVALID", 4_041),
        (
            json!({"type": "join", "room": "a/b"}).to_string(),
            "FIELD_INVALID",
            4_041,
        ),
        (
            json!({"type": "join", "room": "a", "display_name": "x".repeat(129)}).to_string(),
            "FIELD_INVALID",
            4_041,
        ),
        (
            json!({"type": "join", "room": "a", "token": "a.b.c"}).to_string(),
            "TOKEN_INVALID",
            4_021,
        ),
    ] {
        let (error, closed) = refused(&running, first.clone()).await;
        assert_eq!(error["reason"], reason, "{first}: {error}");
        assert_eq!((closed.code, closed.reason.as_str()), (code, reason));
    }
    assert_eq!(running.node.registry().counts(), (0, 0));
    running.end().await;
}

#[tokio::test]
async fn a_message_beyond_256_kib_ends_the_socket() {
    let running = start(config()).await;
    let (mut ada, _) = Socket::join(&running, "standup", "ada").await;
    ada.say(json!({"type": "data", "topic": "a", "payload": "x".repeat(64 << 10)}))
        .await;
    // With its quotes, that was two bytes too many: refused, and the socket lives on.
    assert_eq!(ada.next_of("error").await["reason"], "FIELD_INVALID");
    let long = " ".repeat(256 << 10) + "{}";
    ada.say_text(long).await;
    assert_eq!(ada.next_of("error").await["reason"], "LIMIT_EXCEEDED");
    assert_eq!(ada.closed().await.code, 4_034);
    let (mut lin, _) = Socket::join(&running, "standup", "lin").await;
    // Beyond twice as much nothing is read at all.
    lin.say_text(" ".repeat(600 << 10) + "{}").await;
    assert_eq!(lin.closed().await.code, 4_034);
    running.end().await;
}

#[tokio::test]
async fn pages_from_elsewhere_do_not_connect() {
    let running = start(config()).await;
    let own = format!("http://{}", running.http);
    assert!(Socket::open_from(&running, Some(&own)).await.is_ok());
    let refused = Socket::open_from(&running, Some("http://evil.example")).await;
    assert!(refused.err().unwrap().contains("403"));
    running.end().await;
}

#[tokio::test]
async fn a_room_that_is_full_or_locked_says_so_and_lets_its_own_back_in() {
    let running = start(config()).await;
    let registry = running.node.registry();
    let room = RoomName::new("standup").unwrap();
    let spec = RoomSpec {
        config: RoomConfig {
            participants_max: 1,
            ..RoomConfig::default()
        },
        ..RoomSpec::default()
    };
    registry
        .create_room(Some(room.clone()), spec.clone())
        .await
        .unwrap();
    let (mut ada, _) = Socket::join(&running, "standup", "ada").await;
    let join = |who: &str| json!({"type": "join", "room": "standup", "participant": who});
    let (error, closed) = refused(&running, join("lin").to_string()).await;
    assert_eq!(
        (&error["reason"], closed.code),
        (&json!("ROOM_FULL"), 4_002)
    );

    registry
        .update_room(&room, None, |spec| {
            spec.locked = true;
            spec.config.participants_max = 5;
            Ok(())
        })
        .await
        .unwrap();
    let (error, closed) = refused(&running, join("lin").to_string()).await;
    assert_eq!(
        (&error["reason"], closed.code),
        (&json!("ROOM_LOCKED"), 4_004)
    );
    let (_again, _) = Socket::join(&running, "standup", "ada").await;
    assert_eq!(ada.next_of("leave").await["reason"], "REPLACED");

    // Creating it again: equal is fine, different is not.
    let failure = registry.create_room(Some(room), spec).await.unwrap_err();
    assert_eq!(failure.reason.as_str(), "CONFIG_DIFFERS");
    running.end().await;
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story: each step needs what stood before it"
)]
async fn with_keys_only_a_good_token_for_an_existing_room_gets_in() {
    let mut config = config();
    config.keys_file = Some(keys());
    let running = start(config).await;
    let node = &running.node;
    let token = |room: &str, who: Option<&str>, room_config: Option<RoomConfig>| {
        let request = TokenRequest {
            room: RoomName::new(room).unwrap(),
            participant: who.map(|who| ParticipantName::new(who).unwrap()),
            spec: ParticipantSpec::default(),
            ttl: Duration::from_secs(60),
            room_config,
        };
        node.authority().issue(&request).unwrap().token
    };
    let backend = node
        .authority()
        .issue_backend(vec!["*".into()], vec![], Duration::from_secs(60));
    let join = |fields: Value| {
        let mut join = json!({"type": "join"});
        let own = join.as_object_mut().unwrap();
        own.extend(fields.as_object().unwrap().clone());
        join.to_string()
    };
    let ada = token("standup", Some("ada"), None);
    for (first, reason) in [
        (join(json!({"room": "standup"})), "TOKEN_INVALID"),
        (join(json!({"token": backend.unwrap().token})), "TOKEN_KIND"),
        (join(json!({"token": ada})), "ROOM_NOT_FOUND"),
        (
            join(json!({"token": ada, "room": "other"})),
            "FIELD_INVALID",
        ),
        (
            join(json!({"token": ada, "participant": "lin"})),
            "FIELD_INVALID",
        ),
    ] {
        let (error, _) = refused(&running, first.clone()).await;
        assert_eq!(error["reason"], reason, "{first}: {error}");
    }

    // A token with a room's configuration makes the room; an invitation gives each its own id.
    let invitation = token("standup", None, Some(RoomConfig::default()));
    let mut ids = Vec::new();
    let mut sockets = Vec::new();
    for _ in 0..2 {
        let mut socket = Socket::open(&running).await;
        socket
            .say_text(join(json!({"token": invitation, "display_name": "Guest"})))
            .await;
        ids.push(socket.next_of("welcome").await["participant"].clone());
        sockets.push(socket);
    }
    assert_ne!(ids[0], ids[1]);

    // Removed: tokens from before are void, one from after is not.
    let mut socket = Socket::open(&running).await;
    socket.say_text(join(json!({"token": ada}))).await;
    socket.next_of("welcome").await;
    let (room, name) = (
        RoomName::new("standup").unwrap(),
        ParticipantName::new("ada").unwrap(),
    );
    node.registry()
        .remove_participant(&room, &name, None, None)
        .await
        .unwrap();
    assert_eq!(socket.next_of("leave").await["reason"], "REMOVED");
    let (error, _) = refused(&running, join(json!({"token": ada}))).await;
    assert_eq!(error["reason"], "TOKEN_REVOKED");
    tokio::time::sleep(Duration::from_millis(2)).await;
    let mut socket = Socket::open(&running).await;
    socket
        .say_text(join(json!({"token": token("standup", Some("ada"), None)})))
        .await;
    socket.next_of("welcome").await;

    // Deleted: a token from before cannot make the room again.
    node.registry()
        .delete_room(&room, None, None)
        .await
        .unwrap();
    let (error, _) = refused(&running, join(json!({"token": invitation}))).await;
    assert_eq!(error["reason"], "ROOM_NOT_FOUND");
    running.end().await;
}

//! What passes over a socket beside media: looks, changes, commands, waiting, messages kept.

use std::time::Duration;

use control_api::auth::TokenRequest;
use control_api::config::{Secret, Time};
use control_api::node::Running;
use control_api::registry::{
    ParticipantName, ParticipantSpec, Permissions, RoomConfig, RoomName, RoomSpec, TrackSource,
};
use serde_json::{Value, json};

use crate::support::{Socket, config, start};

/// A token for `standup`, of an admin or of anybody.
fn token(running: &Running, name: &str, admin: bool, ttl: u64) -> String {
    let wanted = TokenRequest {
        room: RoomName::new("standup").unwrap(),
        participant: Some(ParticipantName::new(name).unwrap()),
        spec: ParticipantSpec {
            display_name: name.to_uppercase(),
            permissions: Permissions {
                admin,
                ..Permissions::default()
            },
            ..ParticipantSpec::default()
        },
        ttl: Duration::from_secs(ttl),
        room_config: None,
    };
    running.node.authority().issue(&wanted).unwrap().token
}

/// Joins by a token; the socket and the first answer.
async fn enter(running: &Running, token: &str) -> (Socket, Value) {
    let mut socket = Socket::open(running).await;
    socket.say(json!({"type": "join", "token": token})).await;
    let answer = socket.next().await;
    (socket, answer)
}

/// Sends a command and gives its reply.
async fn command(socket: &mut Socket, method: &str, body: Value) -> Value {
    let message = json!({"type": "command", "id": "c", "method": method, "body": body});
    socket.say(message).await;
    let reply = socket.next_of("reply").await;
    assert_eq!(reply["id"], "c");
    reply
}

#[tokio::test]
async fn a_look_tells_who_is_there_and_the_join_follows_on_the_same_socket() {
    let running = start(config()).await;
    let mut socket = Socket::open(&running).await;
    let look = json!({"type": "look", "room": "standup"});
    socket.say(look.clone()).await;
    let lobby = socket.next().await;
    assert_eq!(
        (&lobby["participants"], &lobby["count"]),
        (&json!([]), &json!(0))
    );
    let (_ada, _) = Socket::join(&running, "standup", "ada").await;
    socket.say(look).await;
    let lobby = socket.next().await;
    assert_eq!(
        (&lobby["participants"], &lobby["count"]),
        (&json!(["ADA"]), &json!(1))
    );
    assert_eq!(lobby["room"]["locked"], false);
    for (room, token, reason) in [
        ("two words", None, "FIELD_INVALID"),
        ("standup", Some("a.b.c".to_owned()), "TOKEN_INVALID"),
        (
            "other",
            Some(token(&running, "lin", false, 60)),
            "FIELD_INVALID",
        ),
    ] {
        socket
            .say(json!({"type": "look", "room": room, "token": token}))
            .await;
        assert_eq!(socket.next().await["reason"], reason, "{room}");
    }
    let join = json!({"type": "join", "room": "standup", "participant": "lin"});
    socket.say(join).await;
    assert_eq!(socket.next().await["type"], "welcome");
    running.end().await;
}

#[tokio::test]
async fn a_welcome_tells_the_servers_for_ice() {
    let mut with = config();
    with.ice.servers = ["stun:127.0.0.1", "turn:127.0.0.1"]
        .map(|url| url.parse().unwrap())
        .to_vec();
    with.ice.turn_secret = Some(Secret::new("s".repeat(32)));
    let running = start(with).await;
    let (_socket, welcome) = Socket::join(&running, "standup", "ada").await;
    let told = &welcome["ice_servers"];
    assert_eq!(told[0], json!({"urls": ["stun:127.0.0.1"]}));
    assert_eq!(told[1]["urls"], json!(["turn:127.0.0.1"]));
    let name = told[1]["username"].as_str().unwrap();
    let who = welcome["uid"].as_str().unwrap();
    assert!(name.ends_with(&format!(":{who}")), "{name}");
    assert_eq!(told[1]["credential"].as_str().unwrap().len(), 28);
    running.end().await;
}

#[tokio::test]
async fn a_password_for_turn_is_told_anew_before_it_ends() {
    let mut with = config();
    with.ice.servers = vec!["turn:127.0.0.1".parse().unwrap()];
    with.ice.turn_secret = Some(Secret::new("s".repeat(32)));
    // Shorter than a configuration may say, and than a test waits for a message.
    let holds = Duration::from_secs(20);
    with.ice.turn_ttl = Time(holds);
    let running = start(with).await;
    let (mut socket, welcome) = Socket::join(&running, "standup", "ada").await;
    let ends = |servers: &Value| {
        let name = servers[0]["username"].as_str().unwrap();
        let (ends, who) = name.split_once(':').unwrap();
        assert_eq!(who, welcome["uid"].as_str().unwrap());
        ends.parse::<u64>().unwrap()
    };
    let mut last = ends(&welcome["ice_servers"]);
    // From here on time passes where nobody has anything to do, and only there.
    tokio::time::pause();
    let begins = tokio::time::Instant::now();
    for turn in 1..=3 {
        let told = ends(&socket.next_of("ice_servers").await["ice_servers"]);
        assert!(told >= last, "{last} {told}");
        last = told;
        let passed = begins.elapsed();
        let by = holds / 2 * turn;
        let timely = by - holds / 2..=by + Duration::from_millis(10);
        assert!(timely.contains(&passed), "{turn}: {passed:?}");
    }
    running.end().await;
}

#[tokio::test]
async fn other_servers_for_ice_are_told_at_once_to_who_is_here() {
    let with = |url: &str| {
        let mut config = config();
        config.ice.servers = vec![url.parse().unwrap()];
        config
    };
    let running = start(with("stun:127.0.0.1")).await;
    let (mut socket, _) = Socket::join(&running, "standup", "ada").await;
    let replace = |url: &str| {
        let servers = with(url).ice_servers().unwrap();
        running.node.replace_ice_servers(servers);
    };
    // A reload that changes something else is no news.
    replace("stun:127.0.0.1");
    replace("stun:127.0.0.2");
    let told = socket.next_of("ice_servers").await;
    assert_eq!(told["ice_servers"], json!([{"urls": ["stun:127.0.0.2"]}]));
    running.end().await;
}

#[tokio::test]
async fn a_ping_is_answered_before_and_after_the_join_and_has_no_number() {
    let running = start(config()).await;
    let mut socket = Socket::open(&running).await;
    socket.say(json!({"type": "ping"})).await;
    assert_eq!(socket.next().await["type"], "pong");
    let (mut ada, _) = Socket::join(&running, "standup", "ada").await;
    ada.say(json!({"type": "ping"})).await;
    let pong = ada.next().await;
    assert_eq!(
        (&pong["type"], &pong["sequence"]),
        (&json!("pong"), &json!(1))
    );
    running.end().await;
}

#[tokio::test]
async fn a_participant_changes_itself_and_everybody_is_told() {
    let running = start(config()).await;
    let (mut ada, _) = Socket::join(&running, "standup", "ada").await;
    let (mut lin, _) = Socket::join(&running, "standup", "lin").await;
    ada.say(
        json!({"type": "update", "id": "1", "display_name": "Ada L.",
        "attributes": {"hand": "2026-01-01T00:00:00Z", "mood": "good"}}),
    )
    .await;
    let reply = ada.next_of("reply").await;
    assert_eq!(reply["body"], json!({}), "{reply}");
    let told = &lin.next_of("participants").await["updated"][0];
    assert_eq!(told["display_name"], "Ada L.");
    ada.say(json!({"type": "update", "id": "2", "attributes": {"mood": null}}))
        .await;
    ada.next_of("reply").await;
    let told = &lin.next_of("participants").await["updated"][0];
    assert_eq!(told["display_name"], "Ada L.", "what is not named stays");
    assert_eq!(told["attributes"], json!({"hand": "2026-01-01T00:00:00Z"}));
    ada.say(json!({"type": "update", "id": "3", "display_name": "a\u{7}"}))
        .await;
    let reply = ada.next_of("reply").await;
    assert_eq!(reply["error"]["field"], "display_name", "{reply}");
    running.end().await;
}

#[tokio::test]
async fn what_a_token_does_not_permit_is_refused_with_its_reason() {
    let running = start(config()).await;
    let all = Permissions::default;
    let unseen = json!({"type": "subscribe", "all": true});
    for (what, permissions, message) in [
        (
            "the permissions do not include publishing CAMERA",
            Permissions {
                publish_sources: Some(vec![TrackSource::Microphone]),
                ..all()
            },
            json!({"type": "tracks", "tracks": [{"mid": "0", "source": "CAMERA"}]}),
        ),
        (
            "the permissions do not include publishing SCREEN",
            Permissions {
                publish_sources: Some(Vec::new()),
                ..all()
            },
            json!({"type": "tracks", "tracks": [{"mid": "0", "source": "SCREEN"}]}),
        ),
        (
            "the permissions do not include subscribe",
            Permissions {
                subscribe: false,
                ..all()
            },
            unseen,
        ),
        (
            "the permissions do not include send_data",
            Permissions {
                send_data: false,
                ..all()
            },
            json!({"type": "data", "topic": "chat", "payload": "hi"}),
        ),
    ] {
        let wanted = TokenRequest {
            room: RoomName::new("standup").unwrap(),
            participant: Some(ParticipantName::new("lin").unwrap()),
            spec: ParticipantSpec {
                permissions,
                ..ParticipantSpec::default()
            },
            ttl: Duration::from_secs(60),
            room_config: None,
        };
        let token = running.node.authority().issue(&wanted).unwrap().token;
        let (mut lin, welcome) = enter(&running, &token).await;
        assert_eq!(welcome["type"], "welcome", "{what}: {welcome}");
        lin.say(message.clone()).await;
        let error = lin.next_of("error").await;
        assert_eq!(error["reason"], "PERMISSION_MISSING", "{what}: {error}");
        assert_eq!(error["message"], what, "{error}");
        assert_eq!(error["fatal"], false, "{error}");
        // With an id, the same comes as its reply.
        if message["type"] == "data" {
            let mut asked = message;
            asked["id"] = json!("d");
            lin.say(asked).await;
            let reply = lin.next_of("reply").await;
            assert_eq!(reply["error"]["reason"], "PERMISSION_MISSING", "{reply}");
        }
        lin.say(json!({"type": "leave"})).await;
        lin.closed().await;
    }
    running.end().await;
}

#[tokio::test]
async fn commands_need_the_permission_the_room_and_a_method_that_is_there() {
    let running = start(config()).await;
    let (mut ada, welcome) = enter(&running, &token(&running, "ada", true, 60)).await;
    assert_eq!(welcome["permissions"]["admin"], true);
    let (mut lin, _) = enter(&running, &token(&running, "lin", false, 60)).await;
    let lins = json!({"name": "rooms/standup/participants/lin"});
    for (method, body) in [
        (
            "RemoveParticipant",
            json!({"name": "rooms/standup/participants/ada"}),
        ),
        ("AdmitParticipant", lins.clone()),
        (
            "UpdateRoom",
            json!({"room": {"name": "rooms/standup", "locked": true}}),
        ),
        ("IssueToken", json!({"room": "rooms/standup"})),
    ] {
        let reply = command(&mut lin, method, body).await;
        assert_eq!(
            reply["error"]["reason"], "PERMISSION_MISSING",
            "{method}: {reply}"
        );
    }
    for (method, body, reason) in [
        ("MoveParticipant", json!({}), "FEATURE_ABSENT"),
        ("RemoveParticipant", json!({"name": "lin"}), "FIELD_INVALID"),
        (
            "RemoveParticipant",
            json!({"name": "rooms/other/participants/lin"}),
            "PERMISSION_MISSING",
        ),
        ("RemoveParticipant", json!({"who": "lin"}), "FIELD_INVALID"),
        ("AdmitParticipant", lins, "NOT_WAITING"),
        (
            "SetTrackMuted",
            json!({"name": "rooms/standup/tracks/t1", "muted": true}),
            "TRACK_NOT_FOUND",
        ),
        (
            "UpdateRoom",
            json!({"room": {"name": "rooms/standup"}, "update_mask": "labels"}),
            "MASK_INVALID",
        ),
        (
            "UpdateRoom",
            json!({"room": {"name": "rooms/standup", "etag": "x", "locked": true}}),
            "ETAG_MISMATCH",
        ),
    ] {
        let reply = command(&mut ada, method, body.clone()).await;
        assert_eq!(reply["error"]["reason"], reason, "{method} {body}: {reply}");
    }
    running.end().await;
}

#[tokio::test]
async fn an_admin_locks_changes_invites_and_removes() {
    let running = start(config()).await;
    let (mut ada, _) = enter(&running, &token(&running, "ada", true, 60)).await;
    let (mut lin, _) = enter(&running, &token(&running, "lin", false, 60)).await;
    let locked =
        json!({"room": {"name": "rooms/standup", "locked": true, "display_name": "Daily"}});
    let reply = command(&mut ada, "UpdateRoom", locked).await;
    assert_eq!(reply["body"]["locked"], true, "{reply}");
    let room = &lin.next_of("room").await["room"];
    assert_eq!(
        (&room["locked"], &room["display_name"]),
        (&json!(true), &json!("Daily"))
    );

    let less = json!({"participant": {"name": "rooms/standup/participants/lin",
        "permissions": {"publish_sources": ["MICROPHONE"], "subscribe": true}}});
    let reply = command(&mut ada, "UpdateParticipant", less).await;
    assert_eq!(reply["body"]["display_name"], "LIN", "{reply}");
    let told = &lin.next_of("permissions").await["permissions"];
    assert_eq!(told["publish_sources"], json!(["MICROPHONE"]));
    assert_eq!(told["send_data"], false);

    let reply = command(
        &mut ada,
        "IssueToken",
        json!({"room": "rooms/standup", "ttl": "60s"}),
    )
    .await;
    let invitation = reply["body"]["token"].as_str().unwrap();
    let (_, answer) = enter(&running, invitation).await;
    assert_eq!(answer["reason"], "ROOM_LOCKED", "{answer}");

    let removed = json!({"name": "rooms/standup/participants/lin", "message": "Bye."});
    let reply = command(&mut ada, "RemoveParticipant", removed).await;
    assert_eq!(reply["body"], json!({}), "{reply}");
    let leave = lin.next_of("leave").await;
    assert_eq!(
        (&leave["reason"], &leave["message"]),
        (&json!("REMOVED"), &json!("Bye."))
    );
    running.end().await;
}

#[tokio::test]
async fn who_waits_is_shown_to_admins_and_welcomed_once_admitted() {
    let running = start(config()).await;
    let spec = RoomSpec {
        config: RoomConfig {
            waiting_room: true,
            ..RoomConfig::default()
        },
        ..RoomSpec::default()
    };
    let room = RoomName::new("standup").unwrap();
    let registry = running.node.registry();
    registry.create_room(Some(room), spec).await.unwrap();
    let (mut ada, welcome) = enter(&running, &token(&running, "ada", true, 60)).await;
    assert_eq!(welcome["room"]["waiting_room"], true);
    for (name, admitted) in [("lin", true), ("bob", false)] {
        let (mut guest, waiting) = enter(&running, &token(&running, name, false, 60)).await;
        assert_eq!(waiting["type"], "waiting", "{waiting}");
        assert_eq!(waiting["participant"]["state"], "WAITING");
        // The list as it was when ada came may be told first.
        loop {
            let told = ada.next_of("waiting").await;
            let list = told["participants"].as_array().unwrap();
            if list.iter().any(|it| it["participant"] == name) {
                break;
            }
        }
        let body = json!({"name": format!("rooms/standup/participants/{name}")});
        if admitted {
            let reply = command(&mut ada, "AdmitParticipant", body).await;
            assert_eq!(reply["body"]["state"], "JOINING", "{reply}");
            let welcome = guest.next_of("welcome").await;
            assert_eq!(welcome["participants"][0]["participant"], "ada");
            guest
                .say(json!({"type": "data", "topic": "hello", "payload": 1}))
                .await;
            assert_eq!(ada.next_of("data").await["from"], name);
        } else {
            command(&mut ada, "RemoveParticipant", body).await;
            assert_eq!(guest.next_of("leave").await["reason"], "REMOVED");
        }
    }
    running.end().await;
}

#[tokio::test]
async fn messages_that_were_kept_are_told_to_those_who_come_later() {
    let running = start(config()).await;
    let (mut ada, _) = Socket::join(&running, "standup", "ada").await;
    for (text, keep) in [("one", true), ("lost", false), ("two", true)] {
        ada.say(json!({"type": "data", "id": "d", "topic": "chat", "payload": text, "keep": keep}))
            .await;
        let reply = ada.next_of("reply").await;
        assert_eq!(reply["body"]["recipient_count"], 0, "{reply}");
    }
    let (mut lin, _) = Socket::join(&running, "standup", "lin").await;
    let history = lin.next_of("history").await;
    let messages = history["messages"].as_array().unwrap();
    let texts: Vec<_> = messages.iter().map(|it| it["payload"].clone()).collect();
    assert_eq!(texts, ["one", "two"]);
    assert_eq!(
        (&messages[0]["from"], &messages[0]["from_name"]),
        (&json!("ada"), &json!("ADA"))
    );
    running.end().await;
}

#[tokio::test]
async fn a_token_that_ends_soon_is_asked_for_anew() {
    let running = start(config()).await;
    let (mut ada, _) = enter(&running, &token(&running, "ada", false, 30)).await;
    let needed = ada.next_of("token_needed").await;
    assert!(
        needed["expire_time"].as_str().unwrap().ends_with('Z'),
        "{needed}"
    );
    let fresh = token(&running, "ada", false, 30);
    ada.say(json!({"type": "token", "token": fresh})).await;
    ada.next_of("token_needed").await;
    for (fresh, reason) in [
        ("a.b.c".to_owned(), "TOKEN_INVALID"),
        (token(&running, "lin", false, 30), "FIELD_INVALID"),
    ] {
        ada.say(json!({"type": "token", "token": fresh})).await;
        assert_eq!(ada.next_of("error").await["reason"], reason);
    }
    running.end().await;
}

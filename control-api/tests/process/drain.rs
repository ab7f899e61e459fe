//! SIGTERM: not ready, no new rooms, a while for those inside, word to who stays, the end.

use std::time::Duration;

use proto::v1::CreateRoomRequest;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;

use super::support::{Folder, PATIENCE, SECRET, Server, Socket};

/// The first answer to a join.
async fn join(server: &Server, room: &str, participant: &str) -> (Socket, Value) {
    let mut socket = Socket::open(server).await;
    let join = json!({"type": "join", "room": room, "participant": participant});
    socket.say(&join).await;
    let answer = socket.next().await.unwrap();
    (socket, answer)
}

async fn is_draining(server: &Server) {
    let draining = async {
        while server.get("/readyz").await != (503, "draining\n".to_owned()) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, draining).await.unwrap();
}

#[tokio::test]
async fn a_draining_node_lets_everybody_finish_and_lets_nobody_begin() {
    let folder = Folder::new("drain");
    let config = folder.write("config.toml", "drain.timeout = \"5m\"\n");
    let mut server = Server::start(&folder, &["--config", &config]).await;
    assert_eq!(server.get("/readyz").await, (200, "ready\n".to_owned()));
    let (mut ada, welcome) = join(&server, "standup", "ada").await;
    assert_eq!(welcome["type"], "welcome");

    server.signal("TERM");
    is_draining(&server).await;
    // It lives, so that nobody restarts it, and says what it says to who is inside.
    assert_eq!(server.get("/livez").await.0, 200);
    let mut rooms = server.rooms().await;
    let made = rooms.create_room(CreateRoomRequest::default()).await;
    let refused = made.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    let (_, answer) = join(&server, "another", "lin").await;
    assert_eq!(answer["reason"], "NODE_DRAINING", "{answer}");
    // A meeting that is under way may still be come to.
    let (mut lin, answer) = join(&server, "standup", "lin").await;
    assert_eq!(answer["type"], "welcome", "{answer}");
    ada.say(&json!({"type": "ping"})).await;
    while ada.next().await.unwrap()["type"] != "pong" {}

    // The last one gone, it ends, long before its time is over.
    let before = Instant::now();
    for socket in [&mut ada, &mut lin] {
        socket.say(&json!({"type": "leave"})).await;
        while socket.next().await.is_some() {}
    }
    assert!(server.ended().await.success(), "{}", server.log());
    assert!(before.elapsed() < PATIENCE);
    assert!(server.log().contains("drained"));
}

#[tokio::test]
async fn who_stays_until_the_end_of_a_drain_is_told_why() {
    let folder = Folder::new("drain-timeout");
    let config = folder.write("config.toml", "drain.timeout = \"1s\"\n");
    let mut server = Server::start(&folder, &["--config", &config]).await;
    let (mut ada, _) = join(&server, "standup", "ada").await;
    server.signal("INT");
    let leave = loop {
        let message = ada.next().await.expect("a word before the end");
        if message["type"] == "leave" {
            break message;
        }
    };
    assert_eq!(leave["reason"], "NODE_DRAINED", "{leave}");
    assert!(server.ended().await.success(), "{}", server.log());
}

#[tokio::test]
async fn a_second_signal_ends_a_drain_at_once() {
    let folder = Folder::new("drain-twice");
    let config = folder.write("config.toml", "drain.timeout = \"5m\"\n");
    let mut server = Server::start(&folder, &["--config", &config]).await;
    let (_ada, _) = join(&server, "standup", "ada").await;
    server.signal("TERM");
    is_draining(&server).await;
    // A reload is no end, and no reason to begin anew.
    server.signal("HUP");
    is_draining(&server).await;
    server.signal("TERM");
    assert_eq!(server.ended().await.code(), Some(1));
    assert!(server.log().contains("ended at once"));
}

#[tokio::test]
async fn a_reload_that_hangs_does_not_hold_up_the_end() {
    let folder = Folder::new("drain-reload");
    let keys = folder.write("keys", format!("main: {SECRET}\n"));
    let mut server = Server::start(&folder, &["--keys-file", &keys]).await;
    std::fs::remove_file(&keys).unwrap();
    // Nobody writes into it, so whoever reads it waits.
    let made = std::process::Command::new("mkfifo").arg(&keys).status();
    assert!(made.unwrap().success());
    server.signal("HUP");
    sleep(Duration::from_millis(200)).await;
    server.signal("TERM");
    assert!(server.ended().await.success(), "{}", server.log());
    assert!(!server.log().contains("reloaded"));
}

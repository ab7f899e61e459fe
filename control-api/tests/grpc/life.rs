//! Rooms, participants and tokens, made and ended.

use control_api::registry::RoomNews;
use proto::v1;
use sfu::error::LeaveReason;
use tonic::Code::{AlreadyExists, NotFound, PermissionDenied};

use crate::support::{Bench, create, named, of, refused, seconds, table, with_config};

#[tokio::test]
async fn a_room_is_made_once_found_changed_and_ended() {
    let bench = Bench::open().await;
    let mut wanted = with_config(
        "standup",
        v1::RoomConfig {
            participants_max: Some(7),
            empty_timeout: seconds(60),
            codecs: vec!["video/VP8".into(), "audio/opus".into()],
            ..v1::RoomConfig::default()
        },
    );
    let room = wanted.room.as_mut().unwrap();
    room.display_name = "Stand-up".into();
    room.labels.insert("team".into(), "blue".into());
    let made = bench.create(wanted.clone()).await.unwrap();
    assert_eq!((made.name.as_str(), made.uid.len()), ("rooms/standup", 26));
    assert_eq!(made.state(), v1::room::State::Open);
    let config = made.config.clone().unwrap();
    assert_eq!(config.participants_max, Some(7));
    // Answers show the values in effect.
    assert_eq!(config.resume_window, seconds(30));
    assert!(made.create_time.is_some());

    // The same again is the same room, and so is the answer sent back.
    assert_eq!(bench.create(wanted.clone()).await.unwrap(), made);
    let mut echoed = wanted.clone();
    echoed.room = Some(made.clone());
    assert_eq!(bench.create(echoed).await.unwrap(), made);
    wanted.room.as_mut().unwrap().locked = true;
    refused(bench.create(wanted), AlreadyExists, "CONFIG_DIFFERS", "").await;
    assert_eq!(bench.get("rooms/standup").await.unwrap(), made);

    // No mask: every set field.
    let mut change = named("rooms/standup");
    change.metadata = "{}".into();
    change.locked = true;
    let changed = bench.update(change, &[]).await.unwrap();
    assert_eq!((changed.metadata.as_str(), changed.locked), ("{}", true));
    assert_eq!(
        (&changed.display_name, &changed.labels),
        (&made.display_name, &made.labels)
    );
    // Named but not set: cleared. Set but not named: let alone.
    let mut change = named("rooms/standup");
    change.metadata = "ignored".into();
    let mask = ["locked", "display_name", "config.participants_max"];
    let cleared = bench.update(change, &mask).await.unwrap();
    assert_eq!((cleared.metadata.as_str(), cleared.locked), ("{}", false));
    assert_eq!(cleared.display_name, "");
    assert_eq!(cleared.config.as_ref().unwrap().participants_max, Some(100));
    assert_eq!(cleared.config.as_ref().unwrap().empty_timeout, seconds(60));
    // Everything that can be cleared.
    let cleared = bench.update(named("rooms/standup"), &["*"]).await.unwrap();
    assert!(cleared.labels.is_empty() && cleared.metadata.is_empty());
    assert_eq!(cleared.config.as_ref().unwrap().empty_timeout, seconds(300));
    assert_eq!(cleared.config.unwrap().codecs, ["video/VP8", "audio/opus"]);
    assert_eq!(cleared.uid, made.uid);

    let delete = v1::DeleteRoomRequest {
        name: "rooms/standup".into(),
        ..v1::DeleteRoomRequest::default()
    };
    bench.delete(delete.clone()).await.unwrap();
    bench.delete(delete).await.unwrap();
    refused(bench.get("rooms/standup"), NotFound, "ROOM_NOT_FOUND", "").await;
    let drawn = bench.create(create("")).await.unwrap();
    assert_eq!(bench.get(&drawn.name).await.unwrap(), drawn);
    bench.running.end().await;
}

#[tokio::test]
async fn lists_come_in_pages_bound_to_their_query() {
    let bench = Bench::open().await;
    for id in ["one", "two", "three"] {
        bench.create(create(id)).await.unwrap();
    }
    let page = |page_token: &str| v1::ListRoomsRequest {
        page_size: 2,
        page_token: page_token.into(),
        filter: String::new(),
    };
    let first = bench.list(page("")).await.unwrap();
    let second = bench.list(page(&first.next_page_token)).await.unwrap();
    let names = first
        .rooms
        .iter()
        .chain(&second.rooms)
        .map(|room| room.name.as_str());
    // Made within one millisecond, two may change places; nobody is there twice.
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    assert_eq!(names, ["rooms/one", "rooms/three", "rooms/two"]);
    assert_eq!(
        (first.rooms.len(), second.next_page_token.as_str()),
        (2, "")
    );

    let (_ada, _lin) = (
        bench.join("one", "ada").await,
        bench.join("two", "lin").await,
    );
    let people = |parent: &str, token: &str| v1::ListParticipantsRequest {
        parent: parent.into(),
        page_size: 1,
        page_token: token.into(),
        filter: String::new(),
    };
    let all = bench.participants(people("rooms/-", "")).await.unwrap();
    let rest = people("rooms/-", &all.next_page_token);
    let rest = bench.participants(rest).await.unwrap();
    let mut names = [&all, &rest].map(|page| page.participants[0].name.as_str());
    names.sort_unstable();
    assert_eq!(
        names,
        ["rooms/one/participants/ada", "rooms/two/participants/lin"]
    );
    let one = bench.participants(people("rooms/one", "")).await.unwrap();
    assert_eq!(
        (one.participants.len(), one.next_page_token.as_str()),
        (1, "")
    );

    let (rooms, all) = (&first.next_page_token, &all.next_page_token);
    table! {
        bench.participants(people("rooms/-", rooms)) => InvalidArgument "PAGE_TOKEN_INVALID" at "page_token";
        bench.participants(people("rooms/one", all)) => InvalidArgument "PAGE_TOKEN_INVALID" at "page_token";
        bench.list(page("nonsense")) => InvalidArgument "PAGE_TOKEN_INVALID" at "page_token";
    }
    bench.running.end().await;
}

#[tokio::test]
async fn one_permission_that_is_named_and_not_set_is_taken_away() {
    let bench = Bench::open().await;
    bench.create(create("standup")).await.unwrap();
    let _ada = bench.join("standup", "ada").await;
    let bare = of!(Participant {
        name: "rooms/standup/participants/ada"
    });
    let changed = bench.update_participant(bare, &["permissions.send_data"]);
    let permissions = changed.await.unwrap().permissions.unwrap();
    assert!(permissions.subscribe && !permissions.send_data);
    bench.running.end().await;
}

#[tokio::test]
async fn a_participant_is_shown_changed_and_removed_with_words() {
    let bench = Bench::open().await;
    bench.create(create("standup")).await.unwrap();
    let mut ada = bench.join("standup", "ada").await;
    let name = "rooms/standup/participants/ada";
    let shown = bench.get_participant(name).await.unwrap();
    assert_eq!(shown.state(), v1::participant::State::Joining);
    assert_eq!(shown.door(), v1::participant::Door::Websocket);
    assert_eq!(shown.permissions.as_ref().unwrap().publish_sources.len(), 5);
    assert_eq!(
        bench.get("rooms/standup").await.unwrap().participant_count,
        1
    );

    let microphone = i32::from(v1::TrackSource::Microphone);
    let listener = of!(Permissions {
        publish_sources: vec![microphone],
        subscribe: true
    });
    let mut change = of!(Participant {
        name: name,
        display_name: "Ada",
        permissions: Some(listener)
    });
    let changed = bench.update_participant(change.clone(), &[]).await.unwrap();
    assert_eq!(changed.display_name, "Ada");
    let permissions = changed.permissions.unwrap();
    assert_eq!(
        permissions.publish_sources,
        [i32::from(v1::TrackSource::Microphone)]
    );
    assert!(permissions.subscribe && !permissions.send_data);
    assert_eq!(changed.uid, shown.uid);
    // One permission alone; then all of them back.
    change.permissions.as_mut().unwrap().send_data = true;
    let changed = bench.update_participant(change, &["permissions.send_data"]);
    let permissions = changed.await.unwrap().permissions.unwrap();
    assert!(permissions.send_data && permissions.publish_sources.len() == 1);
    let bare = of!(Participant { name: name });
    let changed = bench
        .update_participant(bare, &["permissions"])
        .await
        .unwrap();
    assert_eq!(
        (changed.permissions, changed.display_name.as_str()),
        (shown.permissions, "Ada")
    );

    let remove = of!(RemoveParticipantRequest {
        name: name,
        message: "Enough."
    });
    bench.remove(remove.clone()).await.unwrap();
    let mut news = Vec::new();
    while ada.news.receive(&mut news).await.unwrap() {}
    let Some(RoomNews::Leave {
        reason, message, ..
    }) = news.last()
    else {
        panic!("{news:?}");
    };
    assert_eq!(*reason, LeaveReason::Removed);
    assert_eq!(message.as_deref(), Some("Enough."));
    bench.remove(remove).await.unwrap();
    refused(
        bench.get_participant(name),
        NotFound,
        "PARTICIPANT_NOT_FOUND",
        "",
    )
    .await;
    bench.running.end().await;
}

#[tokio::test]
async fn an_issued_token_lets_in_whom_it_names() {
    let mut bench = Bench::guarded("issue").await;
    bench.show(&["tokens.issue"], &["acme-*"]);
    let wanted = v1::IssueTokenRequest {
        room: "rooms/acme-1".into(),
        participant_id: "ada".into(),
        display_name: "Ada".into(),
        room_config: Some(v1::RoomConfig {
            participants_max: Some(3),
            ..v1::RoomConfig::default()
        }),
        ..v1::IssueTokenRequest::default()
    };
    let issued = bench.issue(wanted.clone()).await.unwrap();
    assert_eq!(issued.participant, "rooms/acme-1/participants/ada");
    assert_eq!(issued.token_id.len(), 26);
    let http = bench.running.http;
    assert_eq!(issued.connect_url, format!("ws://{http}/v1/connect"));
    let page = format!("http://{http}/r/acme-1#token={}", issued.token);
    assert_eq!(issued.page_url, page);
    let grant = bench
        .running
        .node
        .authority()
        .participant(&issued.token)
        .unwrap();
    assert_eq!(grant.spec.display_name, "Ada");
    assert_eq!(grant.room_config.unwrap().participants_max, 3);
    // A participant's token is none for a backend.
    bench.token = issued.token;
    refused(bench.issue(wanted), PermissionDenied, "TOKEN_KIND", "").await;
    bench.running.end().await;
}

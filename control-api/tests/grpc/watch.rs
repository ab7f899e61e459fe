//! WatchEvents: cut and taken up again, slow, with a snapshot; each time nothing missing, nothing
//! twice.

use std::collections::BTreeMap;
use std::time::Duration;

use control_api::limits::WATCH_BACKLOG;
use proto::v1;
use proto::v1::event_service_client::EventServiceClient;
use proto::v1::watch_events_response::Item;
use tokio::task::JoinSet;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::support::{Bench, create, named, of, table};

type Seen = Vec<(String, i64, String)>;

async fn watch(
    bench: &Bench,
    request: v1::WatchEventsRequest,
) -> Result<Streaming<v1::WatchEventsResponse>, Status> {
    let mut client = EventServiceClient::new(bench.channel.clone());
    let stream = client.watch_events(bench.request(request)).await?;
    Ok(stream.into_inner())
}

fn everywhere(resume_token: &str) -> v1::WatchEventsRequest {
    of!(WatchEventsRequest {
        parent: "rooms/-",
        resume_token: resume_token
    })
}

/// All that is kept, page by page.
async fn listed(bench: &Bench) -> Seen {
    let mut client = EventServiceClient::new(bench.channel.clone());
    let (mut seen, mut page_token) = (Seen::new(), String::new());
    loop {
        let request = v1::ListEventsRequest {
            parent: "rooms/-".into(),
            page_size: 1_000,
            page_token,
            ..v1::ListEventsRequest::default()
        };
        let page = client.list_events(bench.request(request)).await.unwrap();
        let page = page.into_inner();
        seen.extend(page.events.iter().map(short));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return seen;
        }
    }
}

fn short(event: &v1::Event) -> (String, i64, String) {
    (event.room_uid.clone(), event.sequence, event.r#type.clone())
}

fn assert_gapless(seen: &Seen) {
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for (uid, sequence, kind) in seen {
        let before = last.insert(uid, *sequence).unwrap_or(0);
        assert_eq!(*sequence, before + 1, "{uid} {kind}");
    }
}

/// Rooms come, change and go, drawn from a seed.
async fn churn(bench: &Bench, seed: u64, rounds: usize) {
    let mut state = seed;
    let mut draw = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };
    for round in 0..rounds {
        let room = format!("room-{}", draw(5));
        match draw(8) {
            0 => bench
                .delete(of!(DeleteRoomRequest {
                    name: format!("rooms/{room}")
                }))
                .await
                .unwrap(),
            1 | 2 => drop(bench.create(create(&room)).await),
            _ => {
                let change = v1::Room {
                    display_name: format!("round {round}"),
                    ..named(&format!("rooms/{room}"))
                };
                // The room may not be there: then nothing happens.
                drop(bench.update(change, &["display_name"]).await);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_cut_a_hundred_times_misses_nothing_and_hears_nothing_twice() {
    let bench = Bench::open().await;
    let mut stream = watch(&bench, everywhere("")).await.unwrap();
    let reading = async {
        let (mut seen, mut cuts) = (Seen::new(), 0);
        loop {
            // A stream that says nothing for so long has said all there was.
            let item = tokio::time::timeout(Duration::from_secs(2), stream.message()).await;
            let Ok(item) = item else { break };
            let item = item.unwrap().unwrap();
            let Some(Item::Event(event)) = item.item else {
                continue;
            };
            seen.push(short(&event));
            if seen.len() % 7 == 0 {
                cuts += 1;
                let token = item.resume_token;
                stream = watch(&bench, everywhere(&token)).await.unwrap();
            }
        }
        (seen, cuts)
    };
    let ((seen, cuts), ()) = tokio::join!(reading, churn(&bench, 7, 1_500));
    assert!(cuts >= 100, "{cuts}");
    assert_gapless(&seen);
    assert_eq!(seen, listed(&bench).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_watcher_is_cut_and_goes_on_where_it_was() {
    let bench = Bench::open().await;
    let mut stream = watch(&bench, everywhere("")).await.unwrap();
    bench.create(create("busy")).await.unwrap();
    let first = stream.message().await.unwrap().unwrap();
    let mut token = first.resume_token;
    let mut seen = 1;
    // Beside the backlog, what the connection buffers for a reader that does not read (2 MiB).
    let most = WATCH_BACKLOG + 20_000;
    let mut calls = JoinSet::new();
    for task in 0..8 {
        let registry = bench.running.node.registry().clone();
        calls.spawn(async move {
            for round in 0..most / 8 {
                let registry = registry.clone();
                rename(&registry, format!("{task} {round}")).await;
            }
        });
    }
    while calls.join_next().await.is_some() {}
    let status = loop {
        match stream.message().await {
            Ok(item) => {
                let item = item.expect("it is cut, not ended");
                token = item.resume_token;
                seen += i64::from(matches!(item.item, Some(Item::Event(_))));
            }
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Unavailable);
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "WATCHER_TOO_SLOW");
    assert!(details.retry_info().is_some());
    let mut stream = watch(&bench, everywhere(&token)).await.unwrap();
    let all = i64::try_from(listed(&bench).await.len()).unwrap();
    assert!(all > seen + 1_000, "{all} {seen}");
    while seen < all {
        let item = stream.message().await.unwrap().unwrap();
        let Some(Item::Event(event)) = item.item else {
            continue;
        };
        seen += 1;
        assert_eq!(event.sequence, seen);
    }
}

#[tokio::test]
async fn a_watch_ends_when_its_caller_stops_to_wait() {
    let bench = Bench::open().await;
    bench.create(create("here")).await.unwrap();
    for (snapshot, wait) in [(false, 300), (true, 300), (false, 30)] {
        let mut client = EventServiceClient::new(bench.channel.clone());
        let mut request = bench.request(of!(WatchEventsRequest {
            parent: "rooms/-",
            snapshot: snapshot
        }));
        let wait = Duration::from_millis(wait);
        request.set_timeout(wait);
        let started = tokio::time::Instant::now();
        // On a busy machine even the head of the answer may come too late.
        let status = match client.watch_events(request).await {
            Err(status) => status,
            Ok(stream) => {
                let mut stream = stream.into_inner();
                loop {
                    match stream.message().await {
                        Ok(item) => assert!(item.is_some(), "it ends with a word of why"),
                        Err(status) => break status,
                    }
                }
            }
        };
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
        let took = started.elapsed();
        assert!(took >= wait && took < Duration::from_secs(20), "{took:?}");
    }
    // One that says nothing goes on.
    let mut stream = watch(&bench, everywhere("")).await.unwrap();
    let quiet = tokio::time::timeout(Duration::from_millis(400), stream.message());
    assert!(quiet.await.is_err());
}

async fn rename(registry: &control_api::registry::Registry, display_name: String) {
    let name = control_api::registry::RoomName::new("busy").unwrap();
    let change = move |spec: &mut control_api::registry::RoomSpec| {
        spec.display_name = display_name;
        Ok(())
    };
    registry.update_room(&name, None, change).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_snapshot_each_room_goes_on_from_what_was_in_it() {
    let bench = Bench::open().await;
    churn(&bench, 3, 60).await;
    let watching = async {
        let request = of!(WatchEventsRequest {
            parent: "rooms/-",
            snapshot: true
        });
        let mut stream = watch(&bench, request).await.unwrap();
        let (mut last, mut ended) = (BTreeMap::<String, i64>::new(), false);
        let (mut items, mut events) = (0, 0);
        loop {
            let item = tokio::time::timeout(Duration::from_secs(2), stream.message()).await;
            let Ok(item) = item else { break };
            let item = item.unwrap().unwrap();
            assert_eq!(item.resume_token.is_empty(), !ended && !is_end(&item));
            match item.item.unwrap() {
                Item::SnapshotItem(event) => {
                    assert!(!ended);
                    last.insert(event.room_uid, event.sequence);
                    items += 1;
                }
                Item::SnapshotEnd(()) => ended = true,
                Item::Event(event) => {
                    let before = last.insert(event.room_uid, event.sequence).unwrap_or(0);
                    assert_eq!(event.sequence, before + 1);
                    events += 1;
                }
                Item::Bookmark(()) => {}
            }
        }
        assert!(ended && items > 0 && events > 50, "{items} {events}");
    };
    tokio::join!(watching, churn(&bench, 4, 300));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_while_a_snapshot_is_read_is_in_it_or_told_and_never_both() {
    let bench = Bench::open().await;
    // More than a connection holds for a reader that pauses: the last rooms are read after that.
    let rooms: Vec<String> = (0..100).map(|number| format!("room-{number}")).collect();
    for room in &rooms {
        let room = v1::CreateRoomRequest {
            room: Some(v1::Room {
                metadata: "x".repeat(60_000),
                ..v1::Room::default()
            }),
            ..create(room)
        };
        bench.create(room).await.unwrap();
    }
    let request = of!(WatchEventsRequest {
        parent: "rooms/-",
        snapshot: true
    });
    let mut stream = watch(&bench, request).await.unwrap();
    let mut read = vec![stream.message().await.unwrap().unwrap()];
    for room in &rooms {
        let change = v1::Room {
            display_name: "meanwhile".into(),
            ..named(&format!("rooms/{room}"))
        };
        bench.update(change, &["display_name"]).await.unwrap();
    }
    while !is_end(&read[read.len() - 1]) {
        read.push(stream.message().await.unwrap().unwrap());
    }
    let (mut shown, mut told) = (BTreeMap::new(), BTreeMap::new());
    for item in read {
        match item.item {
            Some(Item::SnapshotItem(event)) => drop(shown.insert(event.room, event.sequence)),
            Some(Item::Event(event)) => drop(told.insert(event.room, event.sequence)),
            Some(Item::SnapshotEnd(()) | Item::Bookmark(())) | None => {}
        }
    }
    let shown_changed = shown.values().filter(|&&sequence| sequence == 2).count();
    assert!(
        shown_changed > 0 && !told.is_empty(),
        "{shown_changed} {}",
        told.len()
    );
    assert_eq!(shown_changed + told.len(), rooms.len());
    for (room, sequence) in &shown {
        assert_eq!(told.contains_key(room), *sequence == 1, "{room}");
    }
}

fn is_end(item: &v1::WatchEventsResponse) -> bool {
    matches!(item.item, Some(Item::SnapshotEnd(())))
}

#[tokio::test]
async fn a_watch_shows_what_its_token_covers_and_its_types_name() {
    let mut bench = Bench::guarded("watch").await;
    bench.show(&["*"], &[]);
    for room in ["acme-1", "other-1"] {
        bench.create(create(room)).await.unwrap();
    }
    bench.show(&["events.read"], &["acme-*"]);
    let request = of!(WatchEventsRequest {
        parent: "rooms/-",
        snapshot: true
    });
    let mut stream = watch(&bench, request).await.unwrap();
    let first = stream.message().await.unwrap().unwrap();
    let Some(Item::SnapshotItem(item)) = first.item else {
        panic!("{first:?}");
    };
    assert_eq!(
        (item.room.as_str(), item.r#type.as_str()),
        ("rooms/acme-1", "room.created")
    );
    assert!(is_end(&stream.message().await.unwrap().unwrap()));
    let wants = |parent: &str, types: &[&str], snapshot: bool, resume_token: &str| {
        let types = types.iter().map(|&label| label.to_owned()).collect();
        let (parent, resume_token) = (parent.to_owned(), resume_token.to_owned());
        let request = v1::WatchEventsRequest {
            parent,
            types,
            snapshot,
            resume_token,
        };
        watch(&bench, request)
    };
    let other_process = "AAAAAAAAAAAAAAAAAAAAAA";
    table! {
        wants("rooms/other-1", &[], false, "") => PermissionDenied "SCOPE_MISSING" at "";
        wants("rooms/!", &[], false, "") => InvalidArgument "FIELD_INVALID" at "parent";
        wants("rooms/-", &["room.painted"], false, "") => InvalidArgument "FIELD_INVALID" at "types";
        wants("rooms/-", &[], false, "?") => InvalidArgument "FIELD_INVALID" at "resume_token";
        wants("rooms/-", &[], true, other_process) => InvalidArgument "FIELD_INVALID" at "snapshot";
        wants("rooms/-", &[], false, other_process) => NotFound "RESUME_TOKEN_EXPIRED" at "";
    }
    bench.show(&["rooms.read"], &[]);
    table! {
        watch(&bench, everywhere("")) => PermissionDenied "SCOPE_MISSING" at "";
    }
}

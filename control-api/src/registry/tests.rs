//! Operations that meet: what one who waits for its turn finds when it comes.

use std::time::Duration;

use sfu::engine::{Engine, EngineConfig};
use sfu::id::TrackId;
use sfu::shard::TableSizes;
use sfu::transport::Identity;

use super::*;
use crate::clock::UnixTime;

/// Over one shard on loopback.
fn registry() -> Registry {
    Registry::new(engine(1).0)
}

fn engine(
    shards: usize,
) -> (
    EngineHandle,
    Vec<tokio::sync::mpsc::Receiver<sfu::shard::Event>>,
) {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["plenum".to_owned()]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    let identity = Identity::new(certificate.der().to_vec(), key.serialize_der());
    let config = EngineConfig {
        udp: vec![([127, 0, 0, 1], 0).into()],
        shards: Some(shards),
        ..EngineConfig::default()
    };
    Engine::start(config, Arc::new(identity)).unwrap()
}

fn room() -> RoomName {
    RoomName::new("standup").unwrap()
}

fn ada() -> ParticipantName {
    ParticipantName::new("ada").unwrap()
}

fn request(participant: Option<ParticipantName>, issued_at: Option<UnixTime>) -> JoinRequest {
    JoinRequest {
        room: room(),
        participant,
        spec: ParticipantSpec::default(),
        door: Door::WebSocket,
        missing_room: MissingRoom::Create(Box::default()),
        issued_at,
        token_id: None,
        resume_token: None,
    }
}

/// What becomes of a join that waits for its turn while `first` has it before.
async fn join_after<F>(first: impl FnOnce(Registry) -> F) -> Reason
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let registry = registry();
    let issued_at = Some(UnixTime::now());
    registry.join(request(Some(ada()), None)).await.unwrap();
    let (id, turn) = registry.enter(&room()).await.unwrap();
    let turnstile = Arc::clone(&registry.room(id).unwrap().turnstile);
    let first = tokio::spawn(first(registry.clone()));
    // Held here, by the one who has the turn, and by each who waits for it.
    let waiting = async |count: usize| {
        while Arc::strong_count(&turnstile) < 3 + count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    waiting(1).await;
    let this = registry.clone();
    let join = tokio::spawn(async move { this.join(request(Some(ada()), issued_at)).await });
    // One that is refused at once never waits.
    while !join.is_finished() && Arc::strong_count(&turnstile) < 5 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(turn);
    first.await.unwrap().unwrap();
    let refused = join.await.unwrap().unwrap_err().reason;
    registry.engine().shutdown().await;
    refused
}

#[tokio::test]
async fn a_token_from_before_a_removal_or_deletion_is_void_for_those_who_wait_at_the_door() {
    let refused = join_after(|registry| async move {
        registry
            .remove_participant(&room(), &ada(), None, None)
            .await
    });
    assert_eq!(refused.await, Reason::TokenRevoked);
    let refused =
        join_after(|registry| async move { registry.delete_room(&room(), None, None).await });
    assert_eq!(refused.await, Reason::RoomNotFound);
}

#[tokio::test]
async fn who_is_named_is_that_one_whatever_it_resumes() {
    let registry = registry();
    let lin = registry.join(request(None, None)).await.unwrap();
    let lin = lin.inside().unwrap();
    for (participant, expected) in [(Some(ada()), "ada"), (None, lin.view.name.as_str())] {
        let joined = registry.join(JoinRequest {
            resume_token: Some(lin.resume_token.clone()),
            ..request(participant, None)
        });
        let joined = joined.await.unwrap().inside().unwrap();
        assert_eq!(joined.view.name.as_str(), expected);
    }
    registry.engine().shutdown().await;
}

fn named(name: &str) -> JoinRequest {
    request(Some(ParticipantName::new(name).unwrap()), None)
}

fn admin(name: &str) -> JoinRequest {
    let mut request = named(name);
    request.spec.permissions.admin = true;
    request
}

fn into(mut request: JoinRequest, room: &str) -> JoinRequest {
    request.room = RoomName::new(room).unwrap();
    request
}

async fn inside(registry: &Registry, request: JoinRequest) -> Joined {
    registry.join(request).await.unwrap().inside().unwrap()
}

/// What has been told by now, in words.
async fn told(news: &mut NewsReceiver) -> Vec<String> {
    let mut batch = Vec::new();
    let once = Duration::from_millis(20);
    while tokio::time::timeout(once, news.receive(&mut batch))
        .await
        .is_ok_and(|it| it == Ok(true))
    {}
    let word = |news: &RoomNews| match news {
        RoomNews::Joined(view) => format!("joined {}", view.name),
        RoomNews::Updated(view) => format!("updated {}", view.name),
        RoomNews::Left(name, reason) => format!("left {name} {}", spec::leave_label(*reason)),
        RoomNews::RoomUpdated(view) => format!("locked {}", view.spec.locked),
        RoomNews::Waiting(views) => {
            let names: Vec<_> = views.iter().map(|view| view.name.as_str()).collect();
            format!("waiting {names:?}")
        }
        RoomNews::Admitted(arrival) => format!("admitted with {}", arrival.others.len()),
        RoomNews::Moved(arrival) => format!("moved to {}", arrival.room.name),
        RoomNews::Data(data) => format!("data {}", data.payload),
        RoomNews::Leave { reason, .. } => format!("leave {}", spec::leave_label(*reason)),
        RoomNews::Published(_)
        | RoomNews::TrackUpdated(_)
        | RoomNews::Unpublished(_)
        | RoomNews::Subscriptions(_)
        | RoomNews::Layers(_)
        | RoomNews::Encodings(_)
        | RoomNews::Quality(..)
        | RoomNews::Speakers(_)
        | RoomNews::Offer(_)
        | RoomNews::DataChannel { .. } => "media".to_owned(),
    };
    let words = batch.iter().map(word);
    words.filter(|word| word != "media").collect()
}

async fn edit(registry: &Registry, change: impl FnOnce(&mut RoomSpec) + Send + 'static) {
    let change = |spec: &mut RoomSpec| {
        change(spec);
        Ok(())
    };
    registry.update_room(&room(), None, change).await.unwrap();
}

#[tokio::test]
async fn who_is_no_admin_waits_until_it_is_let_in_denied_or_the_waiting_room_is_gone() {
    let registry = registry();
    let mut chair = inside(&registry, admin("chair")).await;
    edit(&registry, |spec| spec.config.waiting_room = true).await;
    let mut waiting = Vec::new();
    for name in ["ada", "lin", "bob", "eve"] {
        let Entered::Waiting(it) = registry.join(named(name)).await.unwrap() else {
            panic!("{name} is inside");
        };
        waiting.push(it);
    }
    let by_whip = JoinRequest {
        door: Door::Whip,
        ..named("whip")
    };
    let refused = registry.join(by_whip).await.unwrap_err();
    assert_eq!(refused.reason, Reason::PermissionMissing);
    assert_eq!(registry.counts().1, 1);
    let name = |name: &str| ParticipantName::new(name).unwrap();
    let view = registry.get_participant(&room(), &ada()).unwrap();
    assert_eq!(view.state, ParticipantState::Waiting);
    let admitted = registry.admit_participant(&room(), &ada()).await.unwrap();
    assert_eq!(admitted.state, ParticipantState::Joining);
    assert_eq!(admitted.id, waiting[0].seat.participant);
    let again = registry
        .admit_participant(&room(), &ada())
        .await
        .unwrap_err();
    assert_eq!(again.reason, Reason::NotWaiting);
    let nobody = registry
        .admit_participant(&room(), &name("zoe"))
        .await
        .unwrap_err();
    assert_eq!(nobody.reason, Reason::ParticipantNotFound);
    let (standup, lin) = (room(), name("lin"));
    let denied = registry.remove_participant(&standup, &lin, None, None);
    denied.await.unwrap();
    registry.socket_closed(waiting[2].seat);
    edit(&registry, |spec| spec.config.waiting_room = false).await;
    let expected = [
        "locked false",
        r#"waiting ["ada"]"#,
        r#"waiting ["ada", "lin"]"#,
        r#"waiting ["ada", "lin", "bob"]"#,
        r#"waiting ["ada", "lin", "bob", "eve"]"#,
    ];
    let heard = told(&mut chair.news).await;
    assert_eq!(heard[..5].len(), expected.len());
    for (index, expected) in expected.iter().enumerate() {
        // Ids are drawn, so that the order among those who wait is none.
        assert_eq!(heard[index].len(), expected.len(), "{heard:?}");
    }
    assert_eq!(heard.last().unwrap(), "waiting []");
    assert_eq!(told(&mut waiting[0].news).await[0], "admitted with 1");
    assert_eq!(told(&mut waiting[1].news).await, ["leave REMOVED"]);
    assert_eq!(told(&mut waiting[2].news).await, ["leave LEFT_ITSELF"]);
    assert!(
        told(&mut waiting[3].news)
            .await
            .contains(&"admitted with 2".to_owned())
    );
    assert_eq!(registry.counts().1, 3);
    registry.engine().shutdown().await;
}

#[tokio::test]
async fn who_comes_is_told_of_the_others_in_order_of_joining() {
    let registry = registry();
    let mut there: Vec<String> = Vec::new();
    for name in ["zoe", "ada", "mia", "bob", "lin", "eve", "cleo"] {
        let joined = inside(&registry, named(name)).await;
        let others = joined.others.iter().map(|view| view.name.to_string());
        assert_eq!(others.collect::<Vec<_>>(), there);
        there.push(name.to_owned());
        // Two of one millisecond came at the same time.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    registry.engine().shutdown().await;
}

#[tokio::test]
async fn viewers_and_hidden_ones_are_counted_apart_and_told_to_nobody() {
    let registry = registry();
    let mut she = inside(&registry, named("ada")).await;
    let mut hidden = named("hidden");
    hidden.spec.permissions.hidden = true;
    let hidden = inside(&registry, hidden).await;
    let mut viewer = named("viewer");
    viewer.spec.kind = ParticipantKind::Viewer;
    inside(&registry, viewer).await;
    let whep = JoinRequest {
        door: Door::Whep,
        ..named("whep")
    };
    let whep = inside(&registry, whep).await;
    assert_eq!(whep.others.len(), 1);
    assert!(
        !hidden
            .view
            .spec
            .permissions
            .may_publish(TrackSource::Camera)
    );
    let view = registry.get_room(&room()).unwrap();
    assert_eq!((view.participant_count, view.viewer_count), (2, 2));
    assert_eq!(told(&mut she.news).await, Vec::<String>::new());
    for (most, viewers, who, expected) in [
        (2, 2, named("lin"), Reason::RoomFull),
        (
            3,
            2,
            JoinRequest {
                door: Door::Whep,
                ..named("lin")
            },
            Reason::RoomFull,
        ),
    ] {
        edit(&registry, move |spec| {
            spec.config.participants_max = most;
            spec.config.viewers_max = viewers;
        })
        .await;
        let refused = registry.join(who).await.unwrap_err();
        assert_eq!(refused.reason, expected);
    }
    told(&mut she.news).await;
    let show = |hidden: bool| {
        move |spec: &mut ParticipantSpec| {
            spec.permissions.hidden = hidden;
            Ok(())
        }
    };
    for hides in [false, true] {
        let standup = room();
        let changed = registry.update_participant(&standup, &hidden.view.name, None, show(hides));
        changed.await.unwrap();
    }
    let heard = told(&mut she.news).await;
    assert_eq!(heard, ["joined hidden", "left hidden LEFT_ITSELF"]);
    registry.engine().shutdown().await;
}

#[tokio::test]
async fn etags_guard_changes_and_locks_let_only_those_back_who_are_inside() {
    let registry = registry();
    let she = inside(&registry, named("ada")).await;
    let before = she.room.etag();
    let lock = |spec: &mut RoomSpec| {
        spec.locked = true;
        Ok(())
    };
    let locked = registry
        .update_room(&room(), Some(before.clone()), lock)
        .await
        .unwrap();
    assert_ne!(locked.etag(), before);
    let stale = registry
        .update_room(&room(), Some(before.clone()), lock)
        .await;
    assert_eq!(stale.unwrap_err().reason, Reason::EtagMismatch);
    let stale = registry.delete_room(&room(), Some(before), None).await;
    assert_eq!(stale.unwrap_err().reason, Reason::EtagMismatch);
    let stranger = registry.join(named("lin")).await.unwrap_err();
    assert_eq!(stranger.reason, Reason::RoomLocked);
    let back = inside(&registry, named("ada")).await;
    let change = SelfChange {
        display_name: Some("Ada".into()),
        attributes: [("hand".to_owned(), Some("up".to_owned()))].into(),
        ..SelfChange::default()
    };
    let changed = registry.update_self(back.seat, change).await.unwrap();
    assert_ne!(changed.etag(), back.view.etag());
    assert_eq!(changed.spec.attributes["hand"], "up");
    let change = SelfChange {
        attributes: [("hand".to_owned(), None)].into(),
        ..SelfChange::default()
    };
    let changed = registry.update_self(back.seat, change).await.unwrap();
    assert_eq!(
        (
            changed.spec.display_name.as_str(),
            changed.spec.attributes.len()
        ),
        ("Ada", 0)
    );
    let stale = registry
        .update_participant(&room(), &ada(), Some(back.view.etag()), |_| Ok(()))
        .await;
    assert_eq!(stale.unwrap_err().reason, Reason::EtagMismatch);
    let gone = registry
        .update_self(she.seat, SelfChange::default())
        .await
        .unwrap_err();
    assert_eq!(gone.reason, Reason::ParticipantNotFound);
    registry.engine().shutdown().await;
}

#[tokio::test]
async fn whoever_is_moved_keeps_its_seat_and_stays_where_the_other_room_is_full() {
    let registry = registry();
    let mut lin = inside(&registry, named("lin")).await;
    let mut there = inside(&registry, into(named("bob"), "other")).await;
    let mut she = inside(&registry, named("ada")).await;
    let other = RoomName::new("other").unwrap();
    let full = |most: usize| {
        move |spec: &mut RoomSpec| {
            spec.config.participants_max = most;
            Ok(())
        }
    };
    registry.update_room(&other, None, full(1)).await.unwrap();
    let refused = registry.move_participant(&room(), &ada(), &other).await;
    assert_eq!(refused.unwrap_err().reason, Reason::RoomFull);
    assert!(registry.get_participant(&room(), &ada()).is_ok());
    registry.update_room(&other, None, full(2)).await.unwrap();
    let moved = registry
        .move_participant(&room(), &ada(), &other)
        .await
        .unwrap();
    assert_eq!((moved.uid, &moved.room), (she.view.uid, &other));
    // With the place it had.
    let change = SelfChange {
        metadata: Some("here".into()),
        ..SelfChange::default()
    };
    let changed = registry.update_self(she.seat, change).await.unwrap();
    assert_eq!(changed.room, other);
    assert_eq!(told(&mut lin.news).await, ["joined ada", "left ada MOVED"]);
    let heard = told(&mut there.news).await;
    let expected = ["locked false", "locked false", "joined ada", "updated ada"];
    assert_eq!(heard, expected);
    assert_eq!(told(&mut she.news).await[0], "moved to other");
    registry.leave(she.seat, LeaveReason::LeftItself);
    assert!(registry.get_participant(&other, &ada()).is_err());
    assert_eq!(registry.counts(), (2, 2));
    assert!(registry.0.moved.is_empty());
    registry.engine().shutdown().await;
}

#[tokio::test]
async fn revoked_tokens_put_out_those_inside_by_them_and_nobody_else() {
    let by = |name: &str, id: &str, millis: u64| JoinRequest {
        issued_at: Some(UnixTime::from_millis(millis)),
        token_id: Some(id.to_owned()),
        ..named(name)
    };
    for (participant, ids, max, expected) in [
        (None, vec!["a"], None, vec!["lin", "none"]),
        (None, vec![], Some(5), vec!["lin", "none"]),
        (None, vec![], None, vec!["none"]),
        (Some("lin"), vec![], None, vec!["ada", "none"]),
    ] {
        let registry = registry();
        inside(&registry, by("ada", "a", 5)).await;
        inside(&registry, by("lin", "l", 6)).await;
        inside(&registry, named("none")).await;
        let revocation = Revocation {
            room: room(),
            participant: participant.map(|name| ParticipantName::new(name).unwrap()),
            ids: ids.iter().map(|&id| id.to_owned()).collect(),
            issued_at_max: max.map(UnixTime::from_millis),
            remove: true,
        };
        let count = registry.revoke_tokens(revocation).await.unwrap();
        assert_eq!(count, 3 - expected.len());
        let page = registry.list_participants(Some(&room()), &PageRequest::default(), |_| true);
        let mut left: Vec<_> = page
            .unwrap()
            .items
            .iter()
            .map(|it| it.name.to_string())
            .collect();
        left.sort();
        assert_eq!(left, expected);
        let refused = registry.join(by(
            if participant.is_some() { "lin" } else { "ada" },
            "a",
            5,
        ));
        assert_eq!(refused.await.unwrap_err().reason, Reason::TokenRevoked);
        registry.engine().shutdown().await;
    }
}

/// A small generator, so that a failure says its seed and can be run again.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most as u64).unwrap()
    }
}

/// Nobody is lost or counted twice, and each room's events are numbered without a gap.
fn check_laws(registry: &Registry, seed: u64) {
    let rooms = registry
        .list_rooms(&PageRequest::default(), |_| true)
        .unwrap();
    let people = registry
        .list_participants(None, &PageRequest::default(), |_| true)
        .unwrap();
    let counted: usize = rooms
        .items
        .iter()
        .map(|it| it.participant_count + it.viewer_count)
        .sum();
    let waiting = |view: &&ParticipantView| view.state == ParticipantState::Waiting;
    let inside = people.items.len() - people.items.iter().filter(waiting).count();
    assert_eq!(inside, counted, "seed {seed}");
    assert_eq!(
        registry.counts(),
        (rooms.items.len(), counted),
        "seed {seed}"
    );
    let mut sequences = std::collections::BTreeMap::new();
    let mut there = std::collections::BTreeSet::new();
    for event in registry.0.log.kept(|_| true) {
        let last = sequences
            .insert(event.room_uid, event.sequence)
            .unwrap_or_default();
        assert_eq!(event.sequence, last + 1, "seed {seed}: {:?}", event.kind);
        if let Subject::Participant(view) = &event.subject {
            let key = (event.room_uid, view.uid);
            let news = match event.kind {
                EventKind::ParticipantLeft => there.remove(&key),
                EventKind::ParticipantWaiting | EventKind::ParticipantMoved => there.insert(key),
                EventKind::ParticipantJoined => there.insert(key) || view.door == Door::WebSocket,
                EventKind::ParticipantUpdated | EventKind::ParticipantResuming => {
                    there.contains(&key)
                }
                EventKind::RoomCreated
                | EventKind::RoomUpdated
                | EventKind::RoomDeleted
                | EventKind::TrackPublished
                | EventKind::TrackUpdated
                | EventKind::TrackMuted
                | EventKind::TrackUnpublished => false,
            };
            assert!(news, "seed {seed}: {:?} of {}", event.kind, view.name);
        }
    }
    assert_eq!(there.len(), people.items.len(), "seed {seed}");
}

#[tokio::test]
async fn nobody_is_lost_whatever_happens_in_whatever_order() {
    for seed in 1..=4_u64 {
        let registry = registry();
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut held: Vec<Seat> = Vec::new();
        let room = |n: usize| RoomName::new(format!("r{n}")).unwrap();
        let who = |n: usize| ParticipantName::new(format!("p{n}")).unwrap();
        for step in 0..300 {
            let (from, to, name) = (chance.below(3), chance.below(3), who(chance.below(6)));
            match chance.below(10) {
                0..=3 => {
                    let mut request = into(named(name.as_str()), room(from).as_str());
                    request.spec.permissions.hidden = chance.below(4) == 0;
                    request.spec.permissions.admin = chance.below(3) == 0;
                    if chance.below(4) == 0 {
                        request.spec.kind = ParticipantKind::Viewer;
                    }
                    match registry.join(request).await {
                        Ok(Entered::Inside(it)) => held.push(it.seat),
                        Ok(Entered::Waiting(it)) => held.push(it.seat),
                        Err(failure) => assert_eq!(failure.reason, Reason::RoomFull),
                    }
                }
                4 => drop(
                    registry
                        .move_participant(&room(from), &name, &room(to))
                        .await,
                ),
                5 => drop(registry.admit_participant(&room(from), &name).await),
                6 if !held.is_empty() => {
                    let seat = held.swap_remove(chance.below(held.len()));
                    registry.leave(seat, LeaveReason::LeftItself);
                }
                7 => drop(
                    registry
                        .remove_participant(&room(from), &name, None, None)
                        .await,
                ),
                8 => {
                    let waits = chance.below(2) == 0;
                    let change = move |spec: &mut RoomSpec| {
                        spec.config.waiting_room = waits;
                        spec.config.participants_max = 4;
                        Ok(())
                    };
                    drop(registry.update_room(&room(from), None, change).await);
                }
                9 if step % 7 == 0 => registry.delete_room(&room(from), None, None).await.unwrap(),
                _ => {
                    let hide = chance.below(2) == 0;
                    let change = move |spec: &mut ParticipantSpec| {
                        spec.permissions.hidden = hide;
                        Ok(())
                    };
                    drop(
                        registry
                            .update_participant(&room(from), &name, None, change)
                            .await,
                    );
                }
            }
            check_laws(&registry, seed);
        }
        registry.engine().shutdown().await;
    }
}

/// Waits until the shards' tables are as expected.
async fn until(registry: &Registry, expected: impl Fn(&[TableSizes]) -> bool) {
    let mut seen = Vec::new();
    for _ in 0..2_000 {
        let shards = registry.engine().inspect().await.unwrap();
        seen = shards.iter().map(|it| it.inspection.sizes).collect();
        if expected(&seen) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{seen:#?}");
}

/// A track of the room: the shards have it before the registry is told.
async fn first_track(registry: &Registry) -> TrackId {
    for _ in 0..2_000 {
        let tracks = registry.list_tracks(&room(), &PageRequest::default(), |_| true);
        if let Some(track) = tracks.unwrap().items.first() {
            return track.id;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the registry knows of no track");
}

#[tokio::test]
async fn a_room_is_spread_once_its_shard_is_full_and_ends_on_every_shard() {
    let (engine, events) = engine(3);
    let registry = Registry::with_placement(engine, 2);
    let _tasks = registry.run(events);
    let mut seats = Vec::new();
    for name in ["ada", "lin", "eve", "bob", "cyd"] {
        seats.push(inside(&registry, named(name)).await.seat);
    }
    let id = registry.id_of(&room()).unwrap();
    let shards: Vec<usize> = {
        let room = registry.room(id).unwrap();
        assert_eq!(room.shards().collect::<Vec<_>>(), [0, 1, 2]);
        seats
            .iter()
            .map(|it| room.shard_of(it.participant))
            .collect()
    };
    assert_eq!(shards, [0, 0, 1, 1, 2], "whole until it is full");
    // Each two of them are joined.
    until(&registry, |all| all.iter().all(|it| it.ports == 2)).await;
    let text = include_str!("../../../sfu/tests/fixtures/sdp/chromium-sendrecv.sdp");
    let offer = sfu::sdp::parse(sfu::sdp::description::SdpType::Offer, text).unwrap();
    registry.negotiate(seats[3], offer).await.unwrap();
    until(&registry, |all| all.iter().all(|it| it.tracks == 2)).await;
    // What is said of a track goes to the shard of its publisher, wishes to that of the one who wishes.
    let track = first_track(&registry).await;
    registry
        .set_track_muted(&room(), track, true)
        .await
        .unwrap();
    registry.request_keyframe(&room(), track).await.unwrap();
    let wishes = Wishes {
        subscribe_all: Some(false),
        ..Wishes::default()
    };
    registry.subscribe(seats[4], wishes).await.unwrap();
    edit(&registry, |spec| spec.config.audio_slots = 2).await;
    registry.unpublish_track(&room(), track).await.unwrap();
    until(&registry, |all| all.iter().all(|it| it.tracks == 1)).await;
    // Who leaves makes room where it was.
    registry.leave(seats[3], LeaveReason::LeftItself);
    until(&registry, |all| all.iter().all(|it| it.tracks == 0)).await;
    let dan = inside(&registry, named("dan")).await.seat;
    assert_eq!(registry.room(id).unwrap().shard_of(dan.participant), 1);
    assert_eq!(registry.counts(), (1, 5));
    registry.delete_room(&room(), None, None).await.unwrap();
    until(&registry, |all| {
        all.iter().all(|it| *it == TableSizes::default())
    })
    .await;
    assert_eq!(registry.counts(), (0, 0));
    registry.engine().shutdown().await;
}

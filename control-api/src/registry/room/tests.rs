//! What members are told, and what the record comes to.

use sfu::id::Mid;
use sfu::shard::event::TrackFacts;
use sfu::units::{AudioLevel, MediaKind};
use sfu::wire::payload::Codec;

use super::*;
use crate::limits::MIDS_PER_PARTICIPANT;
use crate::registry::news::{NewsReceiver, channel};
use crate::registry::spec::{Door, Permissions, TrackSource};

const ADA: ParticipantId = ParticipantId(1);
const LIN: ParticipantId = ParticipantId(2);
const CAMERA: TrackId = TrackId(7);

fn enter(room: &mut Room, id: ParticipantId, name: &str, spec: ParticipantSpec) -> NewsReceiver {
    let name = ParticipantName::new(name).unwrap();
    let uid = Ulid::from_u128(u128::from(id.0));
    let (sender, receiver) = channel();
    let mut member = Member::new(id, name, uid, Arc::new(spec), Door::WebSocket);
    member.news = Some(sender);
    room.enter(member, EventKind::ParticipantJoined);
    receiver
}

fn pair(ada: ParticipantSpec) -> (Room, NewsReceiver, NewsReceiver) {
    let name = RoomName::new("standup").unwrap();
    let key = (name, Ulid::from_u128(1));
    let mut room = Room::new(RoomId(1), key, 0, RoomSpec::default(), Arc::default());
    let ada = enter(&mut room, ADA, "ada", ada);
    let lin = enter(&mut room, LIN, "lin", ParticipantSpec::default());
    (room, ada, lin)
}

fn facts(muted: bool) -> TrackFacts {
    TrackFacts {
        track: CAMERA,
        participant: ADA,
        mid: mid(),
        kind: MediaKind::Video,
        codec: Codec::Vp8,
        muted,
        screen: false,
    }
}

fn mid() -> Mid {
    Mid::new("0").unwrap()
}

async fn told(receiver: &mut NewsReceiver) -> Vec<String> {
    let mut batch = Vec::new();
    receiver.receive(&mut batch).await.unwrap();
    let word = |news: &RoomNews| match news {
        RoomNews::Published(it) => format!("published {} {}", it.source.as_str(), it.muted()),
        RoomNews::TrackUpdated(it) => format!("updated {} {}", it.source.as_str(), it.muted()),
        RoomNews::Unpublished(_) => "unpublished".to_owned(),
        RoomNews::Left(name, _) => format!("left {name}"),
        RoomNews::Leave { .. } => "leave".to_owned(),
        RoomNews::Joined(view) => format!("joined {}", view.name),
        RoomNews::Updated(view) => format!("is {}", view.state.as_str()),
        RoomNews::Encodings(tracks) => format!("encodings {}", tracks.len()),
        RoomNews::Layers(facts) => format!("layers {}", facts.subscriptions.len()),
        RoomNews::Quality(name, quality) => format!("{name} {}", quality.as_str()),
        RoomNews::Speakers(list) => format!("speakers {}", list.len()),
        RoomNews::Subscriptions(_)
        | RoomNews::Offer(_)
        | RoomNews::Data(_)
        | RoomNews::RoomUpdated(_)
        | RoomNews::Waiting(_)
        | RoomNews::Admitted(_)
        | RoomNews::Moved(_)
        | RoomNews::DataChannel { .. } => "other".to_owned(),
    };
    batch.iter().map(word).collect()
}

#[tokio::test]
async fn what_was_said_of_an_m_line_holds_for_the_track_that_comes_later() {
    let (mut room, _ada, mut lin) = pair(ParticipantSpec::default());
    assert_eq!(
        room.note_sources(ADA, &[(mid(), TrackSource::Screen)])
            .unwrap(),
        []
    );
    assert_eq!(room.note_muted(ADA, mid(), true).unwrap(), None);
    let order = room.track_changed(&facts(false));
    assert_eq!(
        order,
        Some(MuteOrder {
            track: CAMERA,
            muted: true
        })
    );
    // The shard's echo of that order says nothing new.
    assert_eq!(room.track_changed(&facts(true)), None);
    let unmuted = room.note_muted(ADA, mid(), false).unwrap();
    assert_eq!(
        unmuted,
        Some(MuteOrder {
            track: CAMERA,
            muted: false
        })
    );
    room.track_unpublished(CAMERA);
    room.track_unpublished(CAMERA);
    let expected = [
        "published SCREEN true",
        "updated SCREEN false",
        "unpublished",
    ];
    assert_eq!(told(&mut lin).await, expected);
}

#[tokio::test]
async fn the_shard_is_told_once_that_a_track_shows_a_screen() {
    let (mut room, _ada, _lin) = pair(ParticipantSpec::default());
    let screen = [(mid(), TrackSource::Screen)];
    room.note_sources(ADA, &screen).unwrap();
    assert_eq!(room.screens_untold(ADA), [], "there is no track yet");
    room.track_changed(&facts(false));
    assert_eq!(room.screens_untold(ADA), [(CAMERA, true)]);
    assert_eq!(room.screens_untold(ADA), []);
    // Its echo.
    room.track_changed(&TrackFacts {
        screen: true,
        ..facts(false)
    });
    assert_eq!(room.screens_untold(ADA), []);
    room.note_sources(ADA, &[(mid(), TrackSource::Camera)])
        .unwrap();
    assert_eq!(room.screens_untold(ADA), [(CAMERA, false)]);
    // In another room, or after a restart, the shard knows nothing of it.
    room.note_sources(ADA, &screen).unwrap();
    room.screens_untold(ADA);
    room.track_changed(&facts(false));
    assert_eq!(room.screens_untold(ADA), [(CAMERA, true)]);
}

#[tokio::test]
async fn a_servers_mute_stands_whatever_the_publisher_says() {
    let (mut room, _ada, _lin) = pair(ParticipantSpec::default());
    room.track_changed(&facts(false));
    let muted = room.mute_by_server(CAMERA, true).unwrap();
    assert_eq!(
        muted,
        Some(MuteOrder {
            track: CAMERA,
            muted: true
        })
    );
    assert_eq!(room.note_muted(ADA, mid(), true).unwrap(), None);
    assert_eq!(room.note_muted(ADA, mid(), false).unwrap(), None);
    assert!(room.track(CAMERA).unwrap().muted());
    assert!(room.mute_by_server(TrackId(8), true).is_err());
}

#[tokio::test]
async fn a_source_that_may_not_be_published_is_refused_or_silent() {
    let permissions = Permissions {
        publish_sources: Some(vec![TrackSource::Screen]),
        ..Permissions::default()
    };
    let spec = ParticipantSpec {
        permissions,
        ..ParticipantSpec::default()
    };
    let (mut room, _ada, _lin) = pair(spec);
    let refused = room
        .note_sources(ADA, &[(mid(), TrackSource::Camera)])
        .unwrap_err();
    assert_eq!(refused.reason, Reason::PermissionMissing);
    // Unnamed, a picture counts as a camera's.
    let order = room.track_changed(&facts(false));
    assert_eq!(
        order,
        Some(MuteOrder {
            track: CAMERA,
            muted: true
        })
    );
    let told = |room: &Room| {
        let track = room.track(CAMERA).unwrap();
        (track.muted(), track.muted_by_server)
    };
    assert_eq!(told(&room), (true, false), "nobody has ordered it");
    room.mute_by_server(CAMERA, true).unwrap();
    assert_eq!(told(&room), (true, true));
    room.track_changed(&facts(true));
    room.mute_by_server(CAMERA, false).unwrap();
    assert_eq!(told(&room), (true, false), "it may not be published still");
}

#[tokio::test]
async fn a_permission_taken_away_silences_what_is_published_and_given_back_is_heard() {
    let (mut room, mut ada, _lin) = pair(ParticipantSpec::default());
    room.track_changed(&facts(false));
    let only = |source: TrackSource| ParticipantSpec {
        permissions: Permissions {
            publish_sources: Some(vec![source]),
            ..Permissions::default()
        },
        ..ParticipantSpec::default()
    };
    for (source, muted) in [(TrackSource::Screen, true), (TrackSource::Camera, false)] {
        let orders = room.describe(ADA, only(source)).unwrap();
        let track = CAMERA;
        assert_eq!(orders, [MuteOrder { track, muted }], "{source:?}");
    }
    // Who is concerned learns first what it may do, and then what became of its track.
    let changes = [
        "joined lin",
        "published CAMERA false",
        "is JOINING",
        "updated CAMERA true",
        "is JOINING",
        "updated CAMERA false",
    ];
    assert_eq!(told(&mut ada).await, changes);
    // A backend's mute is another matter: no permission lifts it.
    room.mute_by_server(CAMERA, true).unwrap();
    for source in [TrackSource::Screen, TrackSource::Camera] {
        assert_eq!(room.describe(ADA, only(source)).unwrap(), []);
    }
    assert!(room.track(CAMERA).unwrap().muted());
}

#[tokio::test]
async fn how_good_a_connection_is_is_told_to_all_and_lost_while_nothing_comes() {
    let (mut room, mut ada, mut lin) = pair(ParticipantSpec::default());
    room.connected(ADA, "AEAD_AES_128_GCM");
    told(&mut ada).await;
    told(&mut lin).await;
    room.quality_changed(ADA, Quality::Poor);
    for news in [&mut ada, &mut lin] {
        assert_eq!(told(news).await, ["ada POOR"]);
    }
    let quality = |room: &Room| room.view_of(room.member(ADA).unwrap()).quality;
    assert_eq!(quality(&room), Quality::Poor);
    // Its state says more than a word that is old by now.
    room.silent(ADA, true);
    assert_eq!(quality(&room), Quality::Lost);
    room.quality_changed(ADA, Quality::Fair);
    room.silent(ADA, false);
    assert_eq!(told(&mut lin).await, ["is RESUMING", "is ACTIVE"]);
    assert_eq!(quality(&room), Quality::Fair);
}

/// Ada, and one who is not inside.
fn speakers() -> Vec<Speaker> {
    let speaks = |participant| Speaker {
        participant,
        level: AudioLevel(9),
    };
    vec![speaks(ADA), speaks(ParticipantId(99))]
}

#[tokio::test]
async fn leaving_takes_tracks_along_and_is_told_once() {
    let (mut room, mut ada, mut lin) = pair(ParticipantSpec::default());
    room.connected(ADA, "AEAD_AES_128_GCM");
    room.track_changed(&facts(false));
    room.speakers_changed(speakers());
    // Lin has just come, so to speak.
    room.tell_speakers(LIN);
    let out = |room: &mut Room| room.exit(ADA, LeaveReason::ConsentExpired, None);
    assert_eq!(out(&mut room), Some(Exit::Inside));
    assert_eq!(out(&mut room), None);
    // Nobody is left who speaks: nothing to tell.
    room.tell_speakers(LIN);
    assert!(room.track(CAMERA).is_err());
    let expected = [
        "is ACTIVE",
        "published CAMERA false",
        "speakers 1",
        "speakers 1",
        "left ada",
    ];
    assert_eq!(told(&mut lin).await, expected);
    let expected = [
        "joined lin",
        "published CAMERA false",
        "speakers 1",
        "leave",
    ];
    assert_eq!(told(&mut ada).await, expected);
    assert_eq!((room.count(), room.empty_at), (1, None));
    room.exit(LIN, LeaveReason::LeftItself, None);
    assert!(room.empty_at.is_some());
}

#[test]
fn notes_about_m_lines_are_bounded() {
    let (mut room, _ada, _lin) = pair(ParticipantSpec::default());
    for n in 0..MIDS_PER_PARTICIPANT {
        room.note_muted(ADA, Mid::new(&n.to_string()).unwrap(), true)
            .unwrap();
    }
    let failure = room
        .note_muted(ADA, Mid::new("x").unwrap(), true)
        .unwrap_err();
    assert_eq!(failure.reason, Reason::LimitExceeded);
    room.note_muted(ADA, mid(), false).unwrap();
}

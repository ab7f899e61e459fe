//! Which rungs a publisher is asked for: what somebody is given, and what becomes of the others.

use super::adaptation::Scene;
use super::*;

/// What the first publisher is asked for, in its order; the last word of those told meanwhile.
fn asked(scene: &mut Scene, milliseconds: u64) -> Option<String> {
    let ada = scene.publishers[0].id;
    let mut asked = None;
    for _ in 0..milliseconds / 20 {
        scene.run(20);
        for event in guest::events(&mut scene.shard) {
            if let Event::EncodingsWanted {
                participant,
                tracks,
                ..
            } = event
                && participant == ada
            {
                assert_eq!(tracks.len(), 1);
                let rids: Vec<String> = tracks[0].rids.iter().map(ToString::to_string).collect();
                asked = Some(rids.join(""));
            }
        }
    }
    asked
}

#[test]
fn what_nobody_is_given_is_asked_for_no_more_and_again_at_once_when_somebody_wants_it() {
    let mut scene = Scene::new(4_000);
    assert_eq!(asked(&mut scene, 3_000).as_deref(), Some("qhf"));
    scene.wish(0, 128, 180);
    // The middle one has not been given for longer.
    assert_eq!(asked(&mut scene, 4_500).as_deref(), Some("qf"));
    assert_eq!(asked(&mut scene, 2_500).as_deref(), Some("q"));
    scene.rungs = 0..1;
    scene.run(20_000);
    assert_eq!(scene.shows().0, 1, "{:?}", scene.shown);
    // A tile is made large: what is off can be had, and is asked for.
    scene.wish(0, 128, 720);
    assert_eq!(asked(&mut scene, 200).as_deref(), Some("qf"));
    scene.rungs = 0..3;
    scene.run(500);
    assert_eq!(scene.shows().0, 3, "{:?}", scene.shown);
}

#[test]
fn a_rung_that_does_not_come_when_asked_for_is_not_waited_for() {
    let mut scene = Scene::new(4_000);
    scene.run(3_000);
    scene.wish(0, 128, 180);
    asked(&mut scene, 8_000);
    scene.rungs = 0..1;
    scene.run(2_000);
    scene.wish(0, 128, 720);
    asked(&mut scene, 1_000);
    // The middle one comes, the top one does not.
    scene.rungs = 0..2;
    asked(&mut scene, 4_000);
    assert_eq!(scene.shows().0, 2, "{:?}", scene.shown);
}

#[test]
fn where_nobody_looks_the_top_goes_first_and_the_lowest_last() {
    let mut scene = Scene::new(4_000);
    scene.run(3_000);
    let (track, room, lin) = (scene.track(0), scene.lin.room, scene.lin.id);
    let pause = |paused| Command::UpdateSubscriptions {
        room,
        participant: lin,
        subscribe_all: None,
        audio_slots: None,
        wishes: vec![command::Wish {
            track,
            wanted: true,
            paused,
            priority: 128,
            height: 0,
            pinned: false,
        }],
    };
    asked(&mut scene, 20);
    assert!(scene.shard.handle_command(scene.now, pause(true)).is_ok());
    assert_eq!(asked(&mut scene, 6_000).as_deref(), Some("q"));
    scene.rungs = 0..1;
    assert_eq!(asked(&mut scene, 5_000).as_deref(), Some(""));
    scene.rungs = 0..0;
    asked(&mut scene, 5_000);
    assert!(scene.shard.handle_command(scene.now, pause(false)).is_ok());
    let now = asked(&mut scene, 100).expect("it is asked for at once");
    assert!(now.starts_with('q'), "{now}");
    scene.rungs = 0..3;
    scene.run(2_000);
    assert_eq!(scene.shows().0, 3, "{:?}", scene.shown);
}

#[test]
fn who_is_moved_with_rungs_off_is_asked_for_all_of_them_where_it_comes() {
    let mut scene = Scene::new(4_000);
    scene.run(3_000);
    scene.wish(0, 128, 180);
    assert_eq!(asked(&mut scene, 9_000).as_deref(), Some("q"));
    scene.rungs = 0..1;
    scene.run(1_000);
    let there = RoomId(8);
    support::create(&mut scene.shard, there.0, 10);
    let (room, ada, lin) = (scene.lin.room, scene.publishers[0].id, scene.lin.id);
    let go = |participant| Command::MoveParticipant {
        room,
        participant,
        destination: there,
    };
    // Lin first, so that somebody looks when Ada comes.
    assert!(scene.shard.handle_command(scene.now, go(lin)).is_ok());
    scene.run(200);
    assert!(scene.shard.handle_command(scene.now, go(ada)).is_ok());
    assert_eq!(asked(&mut scene, 200).as_deref(), Some("qhf"));
    scene.rungs = 0..3;
    scene.run(4_000);
    // She wished for a small one in the room she left.
    assert_eq!(scene.shows().0, 3, "{:?}", scene.shown);
}

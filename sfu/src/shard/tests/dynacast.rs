//! Which rungs a publisher is asked for: what somebody is given, and what becomes of the others.

use super::adaptation::Scene;
use super::*;
use crate::wire::feedback::Feedback;
use crate::wire::rtcp::{RtcpPacket, packets};

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
fn who_declares_its_ssrcs_is_asked_for_by_rid_all_the_same() {
    let mut scene = Scene::declaring(4_000);
    scene.run(3_000);
    scene.wish(0, 128, 180);
    assert_eq!(asked(&mut scene, 8_000).as_deref(), Some("q"));
    scene.rungs = 0..1;
    scene.run(1_000);
    scene.wish(0, 128, 720);
    assert_eq!(asked(&mut scene, 200).as_deref(), Some("qf"));
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

/// Nobody tells the first publisher what is wanted.
fn hold(scene: &mut Scene) {
    let command = Command::HoldByRemb {
        room: scene.lin.room,
        participant: scene.publishers[0].id,
    };
    assert!(scene.shard.handle_command(scene.now, command).is_ok());
}

/// What the first publisher is told by REMB, in kb/s, and how many milliseconds later.
fn told(scene: &mut Scene, milliseconds: u64) -> Vec<(u64, u64)> {
    let mut told = Vec::new();
    for passed in (0..milliseconds).step_by(20) {
        scene.run(20);
        for compound in scene.publishers[0].compounds.drain(..) {
            for packet in packets(&compound) {
                if let Ok(RtcpPacket::Feedback(Feedback::Remb { bitrate, .. })) = packet {
                    told.push((bitrate.as_bps() / 1_000, passed));
                }
            }
        }
    }
    told
}

/// Nothing limits it, as 18 bits and an exponent say it.
const OPEN: u64 = 999_997;

fn figures(told: &[(u64, u64)]) -> Vec<u64> {
    let mut figures: Vec<u64> = told.iter().map(|(kbps, _)| *kbps).collect();
    figures.dedup();
    figures
}

#[test]
fn who_is_not_told_what_is_wanted_is_held_under_it_by_remb_and_let_go_at_once() {
    let mut scene = Scene::new(4_000);
    hold(&mut scene);
    assert_eq!(told(&mut scene, 3_000), [], "all is wanted up to the top");
    scene.wish(0, 128, 360);
    // 200 kb/s for 180 lines and 691 for 360, with headers.
    let middle = told(&mut scene, 8_000);
    assert_eq!(figures(&middle), [980]);
    assert!((2..=4).contains(&middle.len()), "once a second: {middle:?}");
    scene.rungs = 0..2;
    scene.wish(0, 128, 180);
    assert_eq!(figures(&told(&mut scene, 8_000)), [980, 220]);
    scene.rungs = 0..1;
    assert_eq!(figures(&told(&mut scene, 5_000)), [220]);
    scene.wish(0, 128, 720);
    let open = told(&mut scene, 5_000);
    assert_eq!(figures(&open), [OPEN]);
    assert_eq!(open.len(), 3, "{open:?}");
    assert!(open[0].1 < 100, "{open:?}");
}

#[test]
fn who_is_told_what_is_wanted_is_not_held_by_remb() {
    let mut scene = Scene::new(4_000);
    scene.run(3_000);
    scene.wish(0, 128, 180);
    assert_eq!(told(&mut scene, 12_000), []);
}

#[test]
fn who_was_held_and_is_moved_is_let_go_in_the_other_room() {
    let mut scene = Scene::new(4_000);
    hold(&mut scene);
    scene.run(3_000);
    scene.wish(0, 128, 180);
    assert_eq!(figures(&told(&mut scene, 12_000)).last(), Some(&220));
    scene.rungs = 0..1;
    let there = RoomId(8);
    support::create(&mut scene.shard, there.0, 10);
    let go = Command::MoveParticipant {
        room: scene.lin.room,
        participant: scene.publishers[0].id,
        destination: there,
    };
    assert!(scene.shard.handle_command(scene.now, go).is_ok());
    let open = told(&mut scene, 4_000);
    assert_eq!(figures(&open), [OPEN]);
    assert!(open[0].1 < 100, "{open:?}");
}

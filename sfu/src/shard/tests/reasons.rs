//! Why a track does not come, and what is believed of a path: each word, by the scene that provokes it.
//! Why a picture is no better is in `decisions`.
//!
//! | word | scene |
//! |---|---|
//! | `Wished` | a pause |
//! | `Muted` | a mute |
//! | `Bandwidth` | five pictures on a path for two |
//! | `CodecUnsupported` | an offer of ours comes back without the codec |
//! | `LimitReached` | one m-line for two tracks, and no offers are taken |
//! | `Quieter` | a faint voice that is wished for, in a large room |
//! | `Unused` | a wide path |
//! | `Growing` | a path that has widened |
//! | `Queue` | a path that narrows |
//! | `Loss` | half of all packets lost from one moment to the next |
//! | `Silence` | feedback that stays away |

use super::adaptation::Scene;
use super::event::PauseReason;
use super::guest::*;
use super::slots::{Meeting, wish};
use super::*;
use crate::transport::congestion::Cause;

/// Why the subscriptions of a guest are paused, by what was told last.
fn last_paused(events: &[Event], guest: &Guest) -> Vec<Option<PauseReason>> {
    let told = events.iter().rev().find_map(|event| {
        let Event::SubscriptionsChanged {
            participant,
            subscriptions,
            ..
        } = event
        else {
            return None;
        };
        (*participant == guest.id).then_some(subscriptions)
    });
    let told = told.into_iter().flatten();
    told.map(|facts| facts.paused).collect()
}

fn paused() -> Vec<Option<PauseReason>> {
    let mut scene = Scene::new(4_000);
    scene.run(1_000);
    let command = Command::UpdateSubscriptions {
        room: ROOM,
        participant: scene.lin.id,
        subscribe_all: None,
        audio_slots: None,
        wishes: vec![command::Wish {
            paused: true,
            ..wish(scene.track(0), true, false)
        }],
    };
    assert!(scene.shard.handle_command(scene.now, command).is_ok());
    scene.run(200);
    scene.paused()
}

fn muted() -> Vec<Option<PauseReason>> {
    let mut scene = Scene::new(4_000);
    scene.run(1_000);
    let command = Command::SetTrackMuted {
        room: ROOM,
        track: scene.track(0),
        muted: true,
    };
    assert!(scene.shard.handle_command(scene.now, command).is_ok());
    scene.run(200);
    scene.paused()
}

fn starved() -> Vec<Option<PauseReason>> {
    let mut scene = Scene::with(400, 5);
    scene.run(6_000);
    scene.paused()
}

/// A viewer with one m-line of sound, and one who publishes a picture.
fn viewer(offers: bool) -> (Shard, Guest, Vec<Event>) {
    let mut shard = shard();
    support::create(&mut shard, 7, 10);
    let hears = [line("a", false, "recvonly", 0)];
    let mut viewer = connected(Instant::ZERO, &mut shard, 1, offers, &hears);
    let publishes = [line("v", true, "sendonly", 12)];
    let mut ada = connected(Instant::ZERO, &mut shard, 2, false, &publishes);
    pass(
        Instant::ZERO,
        2_000,
        &mut shard,
        &mut [&mut viewer, &mut ada],
    );
    let news = events(&mut shard);
    (shard, viewer, news)
}

fn undecodable() -> Vec<Option<PauseReason>> {
    let (mut shard, mut viewer, news) = viewer(true);
    let is_offer = |event: &Event| matches!(event, Event::Offer { participant, .. } if *participant == viewer.id);
    let offer = news.iter().find(|event| is_offer(event));
    let Some(Event::Offer { description, .. }) = offer else {
        panic!("no offer: {news:#?}");
    };
    let mid = description
        .sections
        .last()
        .map(|section| section.mid.to_string());
    let mut lines = [
        line("a", false, "recvonly", 0),
        line("", true, "recvonly", 0),
    ];
    lines[1].mid = Box::leak(mid.expect("a picture's m-line").into_boxed_str());
    lines[1].codec = "VP9";
    let now = Instant::from_millis(2_100);
    let answered = viewer.answer(now, &mut shard, &lines);
    assert!(answered.is_ok(), "{answered:?}");
    pass(now, 1_000, &mut shard, &mut [&mut viewer]);
    last_paused(&events(&mut shard), &viewer)
}

fn without_place() -> Vec<Option<PauseReason>> {
    let (_, viewer, news) = viewer(false);
    last_paused(&news, &viewer)
}

fn faint() -> Vec<Option<PauseReason>> {
    let mut meeting = Meeting::new(4, (1, 2), 1);
    meeting.talk(2_000, &[60, 20, 60, 60]);
    let faint = meeting.track(2);
    meeting.wish(0, None, Some(wish(faint, true, false)));
    meeting.talk(2_000, &[60, 20, 60, 60]);
    last_paused(&meeting.events, &meeting.guests[0])
}

#[test]
fn each_reason_of_a_pause_is_told_by_the_scene_that_provokes_it() {
    type Play = fn() -> Vec<Option<PauseReason>>;
    type Provoked = fn(&PauseReason) -> bool;
    let scenes: [(&str, Play, Provoked); 6] = [
        ("a pause", paused, |it| *it == PauseReason::Wished),
        ("a mute", muted, |it| *it == PauseReason::Muted),
        (
            "five pictures on a path for two",
            starved,
            |it| matches!(it, PauseReason::Bandwidth { needed, available } if needed > available),
        ),
        ("without the codec", undecodable, |it| {
            *it == PauseReason::CodecUnsupported
        }),
        ("one m-line for two tracks", without_place, |it| {
            *it == PauseReason::LimitReached
        }),
        ("a faint voice", faint, |it| *it == PauseReason::Quieter),
    ];
    for (name, play, provoked) in scenes {
        let told = play();
        assert!(told.iter().flatten().any(provoked), "{name}: {told:?}");
    }
}

/// Every cause in so much time. What is told of them comes every two seconds only.
fn causes(scene: &mut Scene, milliseconds: u64) -> Vec<Cause> {
    let mut causes = Vec::new();
    for _ in 0..milliseconds / 20 {
        scene.run(20);
        let room = scene.shard.rooms.iter().next().expect("a room").1;
        let lin = room.member(scene.lin.id).expect("inside");
        let estimate = room.members.get(lin.index()).unwrap().transport.estimate();
        causes.extend(estimate.map(|estimate| estimate.cause));
        causes.dedup();
    }
    causes
}

#[test]
fn each_cause_of_an_estimate_is_told_by_the_scene_that_provokes_it() {
    type Play = fn() -> Vec<Cause>;
    let scenes: [(&str, Play, Cause); 5] = [
        (
            "a wide path",
            || causes(&mut Scene::new(8_000), 10_000),
            Cause::Unused,
        ),
        (
            "a path that has widened",
            || {
                let mut scene = Scene::new(700);
                scene.run(5_000);
                scene.narrow(4_000);
                causes(&mut scene, 5_000)
            },
            Cause::Growing,
        ),
        (
            "a path that narrows",
            || {
                let mut scene = Scene::new(4_000);
                scene.run(3_000);
                scene.narrow(500);
                causes(&mut scene, 2_000)
            },
            Cause::Queue,
        ),
        (
            "half of all packets lost from one moment to the next",
            || {
                let mut scene = Scene::new(8_000);
                scene.run(5_000);
                scene.lose(2);
                causes(&mut scene, 5_000)
            },
            Cause::Loss,
        ),
        (
            "feedback that stays away",
            || {
                let mut scene = Scene::new(4_000);
                scene.run(5_000);
                scene.speaks = false;
                causes(&mut scene, 5_000)
            },
            Cause::Silence,
        ),
    ];
    let played = scenes.map(|(name, play, cause)| (name, cause, play()));
    let missing = played
        .iter()
        .filter(|(_, cause, seen)| !seen.contains(cause));
    assert_eq!(missing.count(), 0, "{played:#?}");
}

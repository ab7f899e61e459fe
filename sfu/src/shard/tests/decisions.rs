//! What the world is told of decisions: each reason, by the scene that provokes it.
//!
//! | reason | scene |
//! |---|---|
//! | `Full` | a wide path |
//! | `WantedSize` | a small tile on a wide path |
//! | `Budget` | a path that carries the middle rung |
//! | `Paused` | five pictures on a path for two |
//! | `MayNotPause` | a picture without rungs begins on a path too narrow for it |
//! | `Held` | an upgrade that had to be taken back, and a path that is wide again |
//! | `NoLayer` | a publisher falls silent |
//!
//! `NotWanted` is told by the allocator alone (`router/allocator/tests/reasons.rs`): a picture that
//! is paused by wish is not asked about here, its subscription says `Wished`.

use super::adaptation::Scene;
use super::*;
use crate::router::allocator::Reason;
use crate::shard::event::LayersFacts;

/// What Lin was told, in order.
fn told(scene: &mut Scene) -> Vec<LayersFacts> {
    let lin = scene.lin.id;
    let mut layers = Vec::new();
    for event in guest::events(&mut scene.shard) {
        if let Event::LayersChanged {
            participant, facts, ..
        } = event
            && participant == lin
        {
            layers.push(facts);
        }
    }
    layers
}

/// Runs on, asking for events as an engine does, and gives every reason told meanwhile.
fn reasons(scene: &mut Scene, milliseconds: u64) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for _ in 0..milliseconds / 20 {
        scene.run(20);
        for facts in told(scene) {
            reasons.extend(facts.subscriptions.iter().map(|one| one.reason));
        }
    }
    reasons
}

#[test]
fn each_reason_is_told_by_the_scene_that_provokes_it() {
    type Play = fn() -> Vec<Reason>;
    type Provoked = fn(&Reason) -> bool;
    let scenes: [(&str, Play, Provoked); 7] = [
        (
            "a wide path",
            || reasons(&mut Scene::new(4_000), 6_000),
            |reason| *reason == Reason::Full,
        ),
        (
            "a small tile on a wide path",
            || {
                let mut scene = Scene::new(4_000);
                scene.wish(0, 128, 180);
                reasons(&mut scene, 3_000)
            },
            |reason| *reason == Reason::WantedSize { height: 180 },
        ),
        (
            "a path that carries the middle rung",
            || reasons(&mut Scene::new(900), 6_000),
            |reason| matches!(reason, Reason::Budget { needed, available } if needed > available),
        ),
        (
            "five pictures on a path for two",
            || reasons(&mut Scene::with(400, 5), 6_000),
            |reason| matches!(reason, Reason::Paused { needed, available } if needed > available),
        ),
        (
            "a picture without rungs begins on a path too narrow for it",
            || reasons(&mut Scene::single(500), 3_000),
            |reason| matches!(reason, Reason::MayNotPause { needed, available } if needed > available),
        ),
        (
            "an upgrade that had to be taken back, and a path that is wide again",
            || {
                let mut scene = Scene::new(2_500);
                scene.run(2_000);
                scene.narrow(500);
                scene.run(1_000);
                scene.narrow(4_000);
                reasons(&mut scene, 5_000)
            },
            |reason| matches!(reason, Reason::Held { .. }),
        ),
        (
            "a publisher falls silent",
            || {
                let mut scene = Scene::with(6_000, 2);
                scene.run(3_000);
                scene.publishers.pop();
                // What was switched off for want of use is asked for first.
                reasons(&mut scene, 6_000)
            },
            |reason| *reason == Reason::NoLayer,
        ),
    ];
    for (name, play, provoked) in scenes {
        let reasons = play();
        assert!(reasons.iter().any(provoked), "{name}: {reasons:?}");
    }
}

#[test]
fn what_is_told_has_the_estimate_and_comes_twice_a_second_at_most() {
    let mut scene = Scene::with(1_200, 3);
    let (mut times, mut last) = (Vec::new(), None);
    for round in 0..500 {
        // A path that changes all the time.
        scene.narrow(if round % 50 < 25 { 1_200 } else { 350 });
        scene.run(20);
        for facts in told(&mut scene) {
            times.push(scene.now);
            last = Some(facts);
        }
    }
    let soonest = times.windows(2).map(|pair| pair[1].since(pair[0])).min();
    assert!(soonest >= Some(Duration::from_millis(480)), "{soonest:?}");
    assert!(times.len() >= 5, "{}", times.len());
    let last = last.expect("something was told");
    let estimate = last.estimate.expect("feedback has come").bitrate.as_bps();
    assert!((30_000..2_000_000).contains(&estimate), "{estimate}");
    assert_eq!(last.subscriptions.len(), 3);
    let given = last.subscriptions.iter().filter_map(|one| one.layer);
    let used: u64 = given.map(|given| given.bitrate.as_bps()).sum();
    assert!(used > 0);
}

#[test]
fn while_a_rise_is_given_up_what_passes_is_told() {
    let mut scene = Scene::new(4_000);
    scene.wish(0, 128, 360);
    scene.run(6_000);
    assert_eq!(scene.shows().0, 2, "{:?}", scene.shown);
    told(&mut scene);
    scene.keyless = Some(2);
    scene.wish(0, 128, 720);
    let began = scene.now;
    let mut said = Vec::new();
    for _ in 0..140 {
        scene.run(20);
        for facts in told(&mut scene) {
            let one = facts.subscriptions[0];
            let height = one.layer.map(|given| given.layer.spatial);
            said.push((scene.now.since(began).as_millis(), height, one.reason));
        }
    }
    assert_eq!(scene.shows().0, 2, "{:?}", scene.shown);
    // It is waited for at most a second and a decision; then the middle one is told, and why.
    let (at, height, reason) = said.last().copied().expect("something is told");
    assert!((1_000..=2_500).contains(&at), "{said:?}");
    assert_eq!(height, Some(1), "{said:?}");
    assert!(matches!(reason, Reason::Held { .. }), "{said:?}");
}

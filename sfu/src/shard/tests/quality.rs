//! How good a connection is, as the others are told it, through whole shards.

use super::adaptation::Scene;
use super::event::Quality;
use super::guest::*;
use super::*;

/// What is told of whom in so much time.
fn told(scene: &mut Scene, milliseconds: u64) -> Vec<(ParticipantId, Quality)> {
    scene.run(milliseconds);
    let events = events(&mut scene.shard);
    let told = events.into_iter().filter_map(|event| {
        let Event::QualityChanged {
            participant,
            quality,
            ..
        } = event
        else {
            return None;
        };
        Some((participant, quality))
    });
    told.collect()
}

#[test]
fn who_loses_what_comes_down_is_poorly_connected_until_it_does_not() {
    let mut scene = Scene::new(8_000);
    let lin = scene.lin.id;
    assert_eq!(told(&mut scene, 6_000), [], "nothing is wrong");
    scene.lose(8);
    let worse = told(&mut scene, 12_000);
    assert!(worse.iter().all(|(who, _)| *who == lin), "{worse:?}");
    assert_eq!(worse.last(), Some(&(lin, Quality::Poor)), "{worse:?}");
    assert!(worse.len() <= 2, "{worse:?}");
    scene.lose(0);
    let better = told(&mut scene, 40_000);
    assert_eq!(better.last(), Some(&(lin, Quality::Good)), "{better:?}");
}

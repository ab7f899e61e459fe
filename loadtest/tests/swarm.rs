//! Scenes, links and troubles drawn from a seed: every law holds. A failure prints its seed and
//! the smallest scene that still fails; that pair then becomes a test in `regressions.rs`.

use std::hash::{BuildHasher, Hasher, RandomState};

use loadtest::scene::Scene;

fn play(seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        let scene = Scene::random(seed);
        let failed = scene
            .play(seed)
            .map(drop)
            .map_err(|failure| format!("seed {seed}: {failure}\n{}", scene.minimal(seed)));
        assert_eq!(failed, Ok(()));
    }
}

#[test]
fn ten_seeds_hold_every_law() {
    play(0..10);
}

#[test]
fn ten_more_seeds_hold_every_law() {
    play(10..20);
}

/// Run by `make soak`: seeds nobody has seen.
#[test]
fn slow_fresh_seeds_hold_every_law() {
    let first = RandomState::new().build_hasher().finish();
    println!("fresh seeds from {first}");
    play((0..500).map(|index| first.wrapping_add(index)));
}

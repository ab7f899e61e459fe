//! The gates of the network bench, with fixed seeds: a change of the estimator that loses one shows
//! here and not only in the table.

use loadtest::network::chance::chance;
use loadtest::network::scenes::{ROOMS, SCENES, Scene};
use sfu::time::Duration;

/// Seeds of each scene. The table takes twenty.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=5;

/// Of the whole shard, which takes longer.
const SEEDS_OF_ROOMS: std::ops::RangeInclusive<u64> = 1..=2;
/// Gates of rooms that are not met yet, or by a hair, and what may not be exceeded meanwhile by any
/// seed; `docs/adaptation.md` has the figures of twenty seeds.
const NOT_YET: [(&str, f64); 1] = [("same: longest gap of sound, ms", 150.0)];

/// A gate that is missed.
#[derive(Debug, PartialEq)]
struct Miss {
    row: String,
    /// NaN: the scene has no figure, since a law was broken in it.
    worst: f64,
}

#[test]
fn every_gate_is_met_at_the_median_of_five_seeds() {
    assert_eq!(missed(SCENES, &SEEDS), []);
}

#[test]
fn every_gate_of_a_room_is_met_but_those_that_are_known_not_to_be() {
    let mut missed = missed(ROOMS, &SEEDS_OF_ROOMS);
    missed.retain(|miss| {
        let known = NOT_YET.iter().find(|known| miss.row.contains(known.0));
        known.is_none_or(|known| miss.worst.is_nan() || miss.worst > known.1)
    });
    assert_eq!(missed, []);
}

/// The rows of scenes that are not at their gates.
fn missed(scenes: &[Scene], seeds: &std::ops::RangeInclusive<u64>) -> Vec<Miss> {
    let mut missed = Vec::new();
    for scene in scenes {
        let figures: Vec<_> = seeds.clone().map(|seed| (scene.measure)(seed).0).collect();
        let rows = figures.first().map_or(0, Vec::len);
        assert!(rows > 0, "{} measures nothing", scene.name);
        for row in 0..rows {
            let column: Vec<_> = figures.iter().filter_map(|each| each.get(row)).collect();
            assert_eq!(column.len(), figures.len(), "{}", scene.name);
            let Some(first) = column.first() else {
                continue;
            };
            let mut values: Vec<f64> = column.iter().map(|figure| figure.value).collect();
            let has_all = !values.iter().any(|value| value.is_nan());
            let (median, worst, verdict) = first.judge(&mut values);
            if !verdict.is_met() || !has_all {
                missed.push(Miss {
                    row: format!(
                        "{} {}: {median:.2}, worst {worst:.2}, gate {}",
                        first.row, first.what, first.gate
                    ),
                    worst: if has_all { worst } else { f64::NAN },
                });
            }
        }
    }
    missed
}

/// The table plays a day; here an hour, on both kinds of app.
#[test]
fn an_hour_of_whatever_may_happen_breaks_no_law_and_leaves_no_target_low() {
    for seed in [1, 2] {
        let outcome = chance(seed, Duration::from_secs(1_800));
        assert!(outcome.changes > 40, "seed {seed}: {outcome:?}");
        assert_eq!(outcome.faults, 0, "seed {seed}: {outcome:?}");
        assert!(outcome.stuck <= 30.0, "seed {seed}: {outcome:?}");
    }
}

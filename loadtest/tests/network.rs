//! The gates of the network bench, with fixed seeds: a change of the estimator that loses one shows
//! here and not only in the table.

use loadtest::network::chance::chance;
use loadtest::network::scenes::SCENES;
use sfu::time::Duration;

/// Seeds of each scene. The table takes twenty.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=5;

#[test]
fn every_gate_is_met_at_the_median_of_five_seeds() {
    let mut missed = Vec::new();
    for scene in SCENES {
        let figures: Vec<_> = SEEDS.map(|seed| (scene.measure)(seed).0).collect();
        let rows = figures.first().map_or(0, Vec::len);
        assert!(rows > 0, "{} measures nothing", scene.name);
        for row in 0..rows {
            let column: Vec<_> = figures.iter().filter_map(|each| each.get(row)).collect();
            assert_eq!(column.len(), figures.len(), "{}", scene.name);
            let Some(first) = column.first() else {
                continue;
            };
            let mut values: Vec<f64> = column.iter().map(|figure| figure.value).collect();
            let (median, worst, verdict) = first.judge(&mut values);
            if !verdict.is_met() {
                missed.push(format!(
                    "{} {}: {median:.2}, worst {worst:.2}, gate {}",
                    first.row, first.what, first.gate
                ));
            }
        }
    }
    assert_eq!(missed, Vec::<String>::new());
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

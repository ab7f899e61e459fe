//! The gates of the network bench, with fixed seeds: a change of the estimator that loses one shows
//! here and not only in the table.

use loadtest::network::scenes::SCENES;

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

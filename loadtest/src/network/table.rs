//! The table: medians and worsts over seeds, held against the gates; a picture of each scene.

use std::fmt::Write as _;
use std::path::Path;

use super::picture::picture;
use super::run::percentile;
use super::scenes::{Figure, SCENES};

/// What came out: the table, one line of JSON, and whether every gate was met.
pub struct Report {
    /// For people.
    pub table: String,
    /// For machines.
    pub json: String,
    /// At the median every gate, at the worst seed time gates x 1.5.
    pub is_met: bool,
}

/// Plays the scenes whose names begin so, seeds 1 to `seeds`; pictures go to `folder`.
///
/// # Errors
/// A picture cannot be written.
pub fn bench(only: &str, seeds: u64, folder: Option<&Path>) -> std::io::Result<Report> {
    let mut table = format!(
        "{:4} {:44} {:>9} {:>9} {:>9} {:>9}\n",
        "", "", "gate", "stretch", "median", "worst"
    );
    let mut rows = Vec::new();
    let mut is_met = true;
    for scene in SCENES.iter().filter(|scene| scene.name.starts_with(only)) {
        let mut figures: Vec<Vec<Figure>> = Vec::new();
        for seed in 1..=seeds {
            let (measured, played) = (scene.measure)(seed);
            if let (1, Some(folder)) = (seed, folder) {
                std::fs::write(
                    folder.join(format!("{}.svg", scene.name)),
                    picture(scene.name, &played),
                )?;
            }
            figures.push(measured);
        }
        let count = figures.first().map_or(0, Vec::len);
        for place in 0..count {
            let column: Vec<Figure> = figures
                .iter()
                .filter_map(|row| row.get(place).copied())
                .collect();
            is_met &= row(&column, &mut table, &mut rows);
        }
    }
    let json =
        serde_json::json!({ "bench": "network", "seeds": seeds, "met": is_met, "rows": rows });
    Ok(Report {
        table,
        json: json.to_string(),
        is_met,
    })
}

fn row(column: &[Figure], table: &mut String, rows: &mut Vec<serde_json::Value>) -> bool {
    let Some(first) = column.first() else {
        return true;
    };
    let mut values: Vec<f64> = column.iter().map(|figure| figure.value).collect();
    let median = percentile(&mut values, 0.5);
    let worst = percentile(&mut values, if first.is_more_better { 0.0 } else { 1.0 });
    let holds = |value: f64, bound: f64| {
        if first.is_more_better {
            value >= bound
        } else {
            value <= bound
        }
    };
    let is_met = holds(median, first.gate);
    let mark = match (is_met, holds(median, first.stretch)) {
        (true, true) => "stretch",
        (true, false) => "met",
        (false, _) => "MISSED",
    };
    // A String takes all that is written.
    let _ = writeln!(
        table,
        "{:4} {:44} {:9.2} {:9.2} {median:9.2} {worst:9.2}  {mark}",
        first.row, first.what, first.gate, first.stretch
    );
    rows.push(serde_json::json!({ "row": first.row, "what": first.what, "median": median, "worst": worst, "met": is_met }));
    is_met
}

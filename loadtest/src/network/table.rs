//! The table: medians and worsts over seeds, held against the gates; a picture of each scene.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use sfu::time::Duration;

use super::chance::chance;
use super::figure::{Figure, Verdict};
use super::picture::picture;
use super::scenes::{ROOMS, SCENES, Scene};

/// Where the table stands in the documentation.
const BEGIN: &str = "<!-- network-bench -->\n";
const END: &str = "<!-- /network-bench -->\n";

/// The name of the hours of whatever may happen.
const CHANCE: &str = "chance";

/// What came out: the table, one line of JSON, and whether every gate was met.
pub struct Report {
    /// For people.
    pub table: String,
    /// For the documentation.
    pub markdown: String,
    /// For machines.
    pub json: String,
    /// At the median every gate, at the worst seed half as much again or twice the shortfall.
    pub is_met: bool,
}

/// Plays the scenes whose names begin so, seeds 1 to `seeds`; pictures go to `folder`.
///
/// # Errors
/// A picture cannot be written.
pub fn bench(only: &str, seeds: u64, folder: Option<&Path>) -> io::Result<Report> {
    let mut rows = Vec::new();
    let scenes = SCENES.iter().chain(ROOMS);
    for scene in scenes.filter(|scene| scene.name.starts_with(only)) {
        rows.extend(scene_rows(scene, seeds, folder)?);
    }
    if CHANCE.starts_with(only) {
        rows.extend(chance_rows(seeds));
    }
    Ok(report(&rows, seeds))
}

/// Renews the pictures and the table of `docs/adaptation.md`.
///
/// # Errors
/// The folder is not that of the documentation, or cannot be written to.
pub fn document(docs: &Path, seeds: u64) -> io::Result<Report> {
    let page = docs.join("adaptation.md");
    let before = std::fs::read_to_string(&page)?;
    let parts = before.split_once(BEGIN);
    let parts = parts.and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
    let (head, tail) = parts.ok_or_else(|| io::Error::other("no place for the table"))?;
    let pictures = docs.join("adaptation");
    let mut rows = Vec::new();
    for scene in SCENES.iter().chain(ROOMS) {
        let folder = scene.title.map(|_| pictures.as_path());
        rows.extend(scene_rows(scene, seeds, folder)?);
    }
    rows.extend(chance_rows(seeds));
    let report = report(&rows, seeds);
    let text = format!("{head}{BEGIN}{}{END}{tail}", report.markdown);
    std::fs::write(&page, text)?;
    Ok(report)
}

/// A day in all, whatever the number of seeds.
fn chance_rows(seeds: u64) -> Vec<Row> {
    let lasts = Duration::from_secs(24 * 3_600 / seeds.max(1));
    let outcomes: Vec<_> = (1..=seeds).map(|seed| chance(seed, lasts)).collect();
    let faults: u64 = outcomes.iter().map(|outcome| outcome.faults).sum();
    #[expect(clippy::cast_precision_loss, reason = "none, or too many to count")]
    let faults = faults as f64;
    let stuck = outcomes.iter().map(|outcome| outcome.stuck);
    let stuck = stuck.fold(0.0, f64::max);
    // A day is one figure: no median hides an hour of it.
    let whole = |figure: Figure| {
        let (median, worst, verdict) = figure.judge(&mut [figure.value]);
        Row {
            figure,
            median,
            worst,
            verdict,
        }
    };
    vec![
        whole(Figure::less(
            "A25",
            "24 h of chance: faults",
            (0.0, 0.0),
            faults,
        )),
        whole(Figure::less(
            "A25",
            "24 h of chance: low without cause, longest, s",
            (30.0, 30.0),
            stuck,
        )),
    ]
}

/// A figure over all seeds.
struct Row {
    figure: Figure,
    median: f64,
    worst: f64,
    verdict: Verdict,
}

fn scene_rows(scene: &Scene, seeds: u64, folder: Option<&Path>) -> io::Result<Vec<Row>> {
    let mut figures: Vec<Vec<Figure>> = Vec::new();
    for seed in 1..=seeds {
        let (measured, played) = (scene.measure)(seed);
        if let (1, Some(folder)) = (seed, folder) {
            let path = folder.join(format!("{}.svg", scene.name));
            std::fs::write(path, picture(scene.title.unwrap_or(scene.name), &played))?;
        }
        figures.push(measured);
    }
    let columns = figures.first().cloned().unwrap_or_default();
    let rows = columns.into_iter().enumerate().map(|(place, figure)| {
        let column = figures.iter().filter_map(|row| row.get(place));
        let mut values: Vec<f64> = column.map(|figure| figure.value).collect();
        let (median, worst, verdict) = figure.judge(&mut values);
        Row {
            figure,
            median,
            worst,
            verdict,
        }
    });
    Ok(rows.collect())
}

// A String takes all that is written.
fn report(rows: &[Row], seeds: u64) -> Report {
    let mut table = format!(
        "{:4} {:44} {:>9} {:>9} {:>9} {:>9}\n",
        "", "", "gate", "stretch", "median", "worst"
    );
    let mut markdown = "| | what | gate | aim | median | worst | |\n\
                        |---|---|--:|--:|--:|--:|---|\n"
        .to_owned();
    let mut json = Vec::new();
    for row in rows {
        let (figure, verdict) = (row.figure, row.verdict.as_str());
        let _ = writeln!(
            table,
            "{:4} {:44} {:9.2} {:9.2} {:9.2} {:9.2}  {verdict}",
            figure.row, figure.what, figure.gate, figure.stretch, row.median, row.worst
        );
        let bound = if figure.is_more_better { "≥" } else { "≤" };
        let _ = writeln!(
            markdown,
            "| {} | {} | {bound} {} | {bound} {} | {:.2} | {:.2} | {verdict} |",
            figure.row, figure.what, figure.gate, figure.stretch, row.median, row.worst
        );
        json.push(serde_json::json!({
            "row": figure.row, "what": figure.what, "median": row.median, "worst": row.worst,
            "verdict": verdict,
        }));
    }
    let is_met = rows.iter().all(|row| row.verdict.is_met());
    let reached = rows.iter().filter(|row| row.verdict == Verdict::Stretch);
    let reached = reached.count();
    let _ = writeln!(table, "{reached} of {} at the aim", rows.len());
    let _ = writeln!(
        markdown,
        "\nSeeds 1 to {seeds}; {reached} of {} figures are at the aim.",
        rows.len()
    );
    let json = serde_json::json!({
        "bench": "network", "seeds": seeds, "met": is_met, "stretch": reached, "rows": json,
    });
    Report {
        table,
        markdown,
        json: json.to_string(),
        is_met,
    }
}

//! The part of `docs/performance.md` that comes from the stand: every documented scenario played in
//! one go, a table, a picture of the ratios beside others' figures.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use serde_json::json;

use super::picture::{Bar, picture};
use super::scenario::Scenario;
use super::sheet::Sheet;
use super::table::Outcome;
use super::{BenchParameters, BenchReport, Played, play};

const BEGIN: &str = "<!-- bench -->";
const END: &str = "<!-- /bench -->";
/// What stands in the document, in this order.
const DOCUMENTED: &[&str] = &[
    "broadcast-100",
    "broadcast-500",
    "broadcast-uneven-100",
    "broadcast-4m-50",
    "conference-10",
    "audio-forward-100",
    "audio-room-100",
    "latency-1",
    "latency-100",
    "latency-loaded",
    "join-storm-500",
    "loss-100",
    "hot-room",
    "hot-room-500",
    "idle-1000",
    "idle-10000",
];
/// Others' ratios to the same kind of floor, from runs of their own (see "Beside others").
const OTHERS: &[(&str, &[(&str, f64)])] = &[
    (
        "broadcast-100",
        &[
            ("mediasoup 3.27.1", 4.3),
            ("Janus 1.1.2, tuned", 4.6),
            ("str0m 0.25, minimal", 5.0),
        ],
    ),
    (
        "broadcast-4m-50",
        &[
            ("mediasoup 3.27.1", 5.3),
            ("Janus 1.1.2, tuned", 6.3),
            ("str0m 0.25, minimal", 6.0),
        ],
    ),
    (
        "audio-forward-100",
        &[
            ("mediasoup 3.27.1", 2.6),
            ("Janus 1.1.2, tuned", 4.8),
            ("str0m 0.25, minimal", 2.6),
        ],
    ),
];

/// Plays all of it and renews tables and picture below `docs`; `said` is told each scenario's.
///
/// # Errors
/// As [`super::bench()`]; or the folder is not that of the documentation.
pub(super) fn document(
    docs: &Path,
    parameters: &BenchParameters,
    mut said: impl FnMut(&str),
) -> anyhow::Result<BenchReport> {
    let page = docs.join("performance.md");
    let before = std::fs::read_to_string(&page)?;
    let parts = before.split_once(BEGIN);
    let parts = parts.and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
    let (head, tail) = parts.ok_or_else(|| io::Error::other("no place for the table"))?;
    let (mut outcomes, mut sheets) = (Vec::new(), Vec::new());
    let mut all = Vec::new();
    for scenario in DOCUMENTED.iter().filter_map(|name| Scenario::find(name)) {
        let played = play(scenario, parameters)?;
        let report = played.report();
        said(&report.table);
        all.push((report.is_met, played.json()));
        match played {
            Played::Compared(outcome) => outcomes.push(outcome),
            Played::Sheet(sheet) => sheets.push(sheet),
        }
    }
    let markdown = markdown(&outcomes, &sheets);
    std::fs::write(&page, format!("{head}{BEGIN}\n{markdown}{END}{tail}"))?;
    let folder = docs.join("performance");
    std::fs::create_dir_all(&folder)?;
    let title = "CPU of a forwarded packet, as a multiple of the ideal forwarder's";
    std::fs::write(folder.join("ratios.svg"), picture(title, &bars(&outcomes)))?;
    let told: Vec<_> = all.iter().map(|(_, json)| json).collect();
    Ok(BenchReport {
        table: markdown,
        json: json!(told).to_string(),
        is_met: all.iter().all(|(is_met, _)| *is_met),
    })
}

fn bars(outcomes: &[Outcome]) -> Vec<Bar> {
    let mut bars = Vec::new();
    for outcome in outcomes {
        let Scenario {
            name, gate, aim, ..
        } = outcome.scenario;
        if !gate.is_finite() {
            continue;
        }
        bars.push(Bar {
            name: (*name).to_owned(),
            ratio: outcome.ratio().0,
            marks: Some((*gate, *aim)),
        });
        let others = OTHERS.iter().filter(|(of, _)| of == name);
        bars.extend(
            others
                .flat_map(|(_, others)| *others)
                .map(|&(name, ratio)| Bar {
                    name: name.to_owned(),
                    ratio,
                    marks: None,
                }),
        );
    }
    bars
}

fn markdown(outcomes: &[Outcome], sheets: &[Sheet]) -> String {
    // A String takes all that is written: the results below say nothing.
    let mut text = String::from(
        "| `bench` | floor | floor us/packet (spread) | Plenum us/packet | ratio (spread) | gate / aim | latency p50 / p99 / p99.9, ms | until the last has it, p50 ms | |\n\
         |---|---|--:|--:|--:|---|--:|--:|---|\n",
    );
    for outcome in outcomes {
        let _ = writeln!(text, "{}", outcome.row());
    }
    text.push_str("\n| `bench` | | | gate / aim | |\n|---|---|--:|---|---|\n");
    for sheet in sheets {
        text.push_str(&sheet.rows());
    }
    text
}

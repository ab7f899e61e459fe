#![expect(
    clippy::disallowed_methods,
    reason = "a measurement reads clocks; this is the shell"
)]
//! The measuring stand: what a packet costs, as a multiple of what it costs at least on this machine
//! and in this run.
//!
//! `cargo run -p loadtest --release -- bench broadcast-100`. Subject and floor are processes of their
//! own on one core, the load is a thread on another. Rounds alternate between the two; the ratio is
//! taken in each round, and its median counts. Read it on a quiet machine: where the floor's own
//! figures spread by more than a quarter, the set is void.
//!
//! | file | what it is |
//! |---|---|
//! | `scenario` | what is measured, and what counts as good |
//! | `programme` | all scenarios |
//! | `idle` | participants who only are there |
//! | `storm` | many who join at once |
//! | `loss` | what is lost and repeated |
//! | `spread` | a room on one shard, and the same on several |
//! | `sheet` | their outcome |
//! | `floor` | the ideal forwarder: receive, open, seal, send |
//! | `bare` | its cryptography |
//! | `subject` | an engine or a floor in a process of its own |
//! | `child` | that process as its parent sees it |
//! | `fleet` | all peers in one thread: sends, receives, counts, opens a sample |
//! | `peer` | one of them: a socket, ICE, DTLS, SRTP |
//! | `offer` | their offers |
//! | `publication` | what they send, and when |
//! | `feedback` | what they tell a server of what arrives |
//! | `received` | what arrived, counted and looked into |
//! | `repair` | lossy paths, and what is asked for again |
//! | `round` | floor and subject in turn |
//! | `table` | the outcome, for people and for machines |
//! | `document`, `picture` | the same in `docs/performance.md` |
//! | `processor` | cores and CPU time |

mod bare;
mod child;
mod document;
mod feedback;
mod fleet;
mod floor;
mod idle;
mod loss;
mod offer;
mod peer;
mod picture;
mod processor;
mod programme;
mod publication;
mod received;
mod repair;
mod round;
mod scenario;
mod sheet;
mod spread;
mod storm;
mod subject;
mod table;

use std::path::Path;

use serde_json::Value;
use sfu::time::Duration;

use floor::Mode;
use processor::{Cores, pin};
use programme::SCENARIOS;
use round::{Stage, Window};
use scenario::{Kind, Scenario};
use sheet::Sheet;
pub use subject::serve;
use table::Outcome;

/// What a set is made of.
#[derive(Clone, Debug)]
pub struct BenchParameters {
    /// Which; see [`scenarios`].
    pub scenario: String,
    /// Rounds of floor and subject.
    pub rounds: usize,
    /// What is measured of each.
    pub window: Duration,
    /// Also a window of each way to send without a server.
    pub modes: bool,
    /// One short round: shows that the stand works, judges nothing.
    pub quick: bool,
}

/// What it comes to.
#[derive(Debug)]
pub struct BenchReport {
    /// For people.
    pub table: String,
    /// For machines, on one line.
    pub json: String,
    /// The set is valid and every gate is met.
    pub is_met: bool,
}

/// Names and what they are, one line each.
#[must_use]
pub fn scenarios() -> String {
    let line = |scenario: &Scenario| format!("{:<22} {}\n", scenario.name, scenario.about);
    SCENARIOS.iter().map(line).collect()
}

/// Plays a scenario on the calling thread, which is bound to a core.
///
/// # Errors
/// The machine refuses something, or somebody does not join.
pub fn bench(parameters: &BenchParameters) -> anyhow::Result<BenchReport> {
    let Some(scenario) = Scenario::find(&parameters.scenario) else {
        let known = scenarios();
        anyhow::bail!("no scenario {:?}; there are:\n{known}", parameters.scenario);
    };
    Ok(play(scenario, parameters)?.report())
}

/// Plays every scenario of `docs/performance.md` and renews its tables and its picture; `said` is
/// told of each as it ends.
///
/// # Errors
/// As [`bench()`]; or the folder is not that of the documentation.
pub fn document(
    docs: &Path,
    parameters: &BenchParameters,
    said: impl FnMut(&str),
) -> anyhow::Result<BenchReport> {
    document::document(docs, parameters, said)
}

/// What a scenario came to.
enum Played {
    /// Beside a floor.
    Compared(Outcome),
    /// By itself.
    Sheet(Sheet),
}

impl Played {
    fn json(&self) -> Value {
        match self {
            Self::Compared(outcome) => outcome.json(),
            Self::Sheet(sheet) => sheet.json(),
        }
    }

    fn report(&self) -> BenchReport {
        let (table, misses) = match self {
            Self::Compared(outcome) => (outcome.to_string(), outcome.misses()),
            Self::Sheet(sheet) => (sheet.to_string(), sheet.misses()),
        };
        BenchReport {
            table,
            json: self.json().to_string(),
            is_met: misses.is_empty(),
        }
    }
}

fn play(scenario: &'static Scenario, parameters: &BenchParameters) -> anyhow::Result<Played> {
    let cores = Cores::choose()?;
    pin(cores.load)?;
    let core = cores.subject;
    let set = (parameters.rounds, parameters.window, !parameters.quick);
    Ok(match scenario.kind {
        Kind::Forwarding => Played::Compared(compare(scenario, core, parameters)?),
        Kind::Idle => {
            let (_, window, judged) = set;
            Played::Sheet(idle::measure(scenario, core, window, judged)?)
        }
        Kind::Storm { newcomers } => Played::Sheet(storm::measure(scenario, newcomers, core, set)?),
        Kind::Loss { per_mille } => Played::Sheet(loss::measure(scenario, per_mille, core, set)?),
        Kind::Spread { shards } => Played::Sheet(spread::measure(scenario, shards, core, set)?),
    })
}

/// Floor and engine in turn.
fn compare(
    scenario: &'static Scenario,
    core: usize,
    parameters: &BenchParameters,
) -> anyhow::Result<Outcome> {
    let mut modes = Vec::new();
    if parameters.modes {
        for mode in modes_of(scenario) {
            let window = Stage::floor(scenario, mode, core)?.measure(parameters.window)?;
            modes.push((mode, window));
        }
    }
    let mut floor = Stage::floor(scenario, scenario.floor, core)?;
    let mut engine = Stage::engine(scenario, core, !parameters.quick)?;
    let mut rounds: Vec<(Window, Window)> = Vec::with_capacity(parameters.rounds);
    for _ in 0..parameters.rounds {
        let floor = floor.measure(parameters.window)?;
        rounds.push((floor, engine.measure(parameters.window)?));
    }
    Ok(Outcome {
        scenario,
        modes,
        rounds,
        judged: !parameters.quick,
    })
}

/// Gathering makes nothing of packets that come alone.
fn modes_of(scenario: &Scenario) -> impl Iterator<Item = Mode> + use<> {
    let gathers = scenario.gathers();
    [
        Mode::Sendto,
        Mode::Sendmmsg,
        Mode::GsoAsReceived,
        Mode::Gather,
    ]
    .into_iter()
    .filter(move |mode| gathers || matches!(mode, Mode::Sendto | Mode::Sendmmsg))
}

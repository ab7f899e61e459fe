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
//! | `idle` | participants who only are there |
//! | `floor` | the ideal forwarder: receive, open, seal, send |
//! | `bare` | its cryptography |
//! | `subject` | an engine or a floor in a process of its own |
//! | `child` | that process as its parent sees it |
//! | `fleet` | all peers in one thread: sends, receives, counts, opens a sample |
//! | `peer` | one of them: a socket, ICE, DTLS, SRTP |
//! | `offer` | their offers |
//! | `publication` | what they send, and when |
//! | `round` | floor and subject in turn |
//! | `table` | the outcome, for people and for machines |
//! | `processor` | cores and CPU time |

mod bare;
mod child;
mod fleet;
mod floor;
mod idle;
mod offer;
mod peer;
mod processor;
mod publication;
mod round;
mod scenario;
mod subject;
mod table;

use sfu::time::Duration;

use floor::Mode;
use idle::Idle;
use processor::{Cores, pin};
use round::{Stage, Window};
use scenario::{SCENARIOS, Scenario};
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
    let cores = Cores::choose()?;
    pin(cores.load)?;
    if scenario.idle {
        let judged = !parameters.quick;
        let idle = Idle::measure(scenario, cores.subject, parameters.window, judged)?;
        return Ok(BenchReport {
            table: idle.to_string(),
            json: idle.json().to_string(),
            is_met: idle.misses().is_empty(),
        });
    }
    let mut modes = Vec::new();
    if parameters.modes {
        for mode in modes_of(scenario) {
            let window = Stage::floor(scenario, mode, cores.subject)?.measure(parameters.window)?;
            modes.push((mode, window));
        }
    }
    let mut floor = Stage::floor(scenario, scenario.floor, cores.subject)?;
    let mut engine = Stage::engine(scenario, cores.subject)?;
    let mut rounds: Vec<(Window, Window)> = Vec::with_capacity(parameters.rounds);
    for _ in 0..parameters.rounds {
        let floor = floor.measure(parameters.window)?;
        rounds.push((floor, engine.measure(parameters.window)?));
    }
    let outcome = Outcome {
        scenario,
        modes,
        rounds,
        judged: !parameters.quick,
    };
    Ok(BenchReport {
        table: outcome.to_string(),
        json: outcome.json().to_string(),
        is_met: outcome.misses().is_empty(),
    })
}

/// Gathering makes nothing of packets that come alone.
fn modes_of(scenario: &Scenario) -> impl Iterator<Item = Mode> + use<> {
    let gathers = scenario.frame_packets > 1;
    [
        Mode::Sendto,
        Mode::Sendmmsg,
        Mode::GsoAsReceived,
        Mode::Gather,
    ]
    .into_iter()
    .filter(move |mode| gathers || matches!(mode, Mode::Sendto | Mode::Sendmmsg))
}

//! What participants cost who only are there: memory of the engine's process, time of its thread;
//! and what it cost to let them in.

use std::fmt;

use serde_json::{Value, json};
use sfu::time::Duration;

use super::child::Subject;
use super::fleet::Fleet;
use super::publication::Publication;
use super::scenario::Scenario;
use super::subject::Ask;

/// Participants of a room.
pub(super) const ROOM_PARTICIPANTS: usize = 100;
/// After the last join, before anything is looked at: handshake state is dropped.
const SETTLE: Duration = Duration::from_secs(2);
/// Consent is asked for every five seconds: a window holds it at least twice.
const WINDOW_MIN: Duration = Duration::from_secs(10);
/// Of the process, for each: at most.
const KILOBYTES_MAX: f64 = 40.0;
/// Of the thread, for each and second: at most.
const MICROS_MAX: f64 = 2.0;
/// Of the thread, for each join: at most.
const JOIN_MICROS_MAX: f64 = 800.0;

/// What a set saw.
#[derive(Debug)]
pub(super) struct Idle {
    scenario: &'static Scenario,
    participants: usize,
    kilobytes_each: f64,
    micros_each_second: f64,
    join_micros: f64,
    join_process_micros: f64,
    judged: bool,
}

impl Idle {
    /// Everybody joins, and then nothing happens.
    pub(super) fn measure(
        scenario: &'static Scenario,
        core: usize,
        window: Duration,
        judged: bool,
    ) -> anyhow::Result<Self> {
        let participants_max = ROOM_PARTICIPANTS;
        let mut subject = Subject::start(&Ask::Engine { participants_max }, core)?;
        let participants = scenario.peers();
        let mut fleet = Fleet::open(participants)?;
        let nothing = &mut Publication::new(scenario, false);
        let (before, cpu) = (subject.process()?, subject.cpu()?);
        fleet.join(scenario, &mut subject)?;
        let joined = subject.cpu()?.saturating_sub(cpu);
        let process = subject.process()?.cpu.saturating_sub(before.cpu);
        fleet.run(std::time::Instant::now() + SETTLE, nothing)?;
        let window = if judged {
            window.max(WINDOW_MIN)
        } else {
            window
        };
        let cpu = subject.cpu()?;
        fleet.run(std::time::Instant::now() + window, nothing)?;
        let cpu = subject.cpu()?.saturating_sub(cpu);
        let grown = subject.process()?.resident_bytes;
        let grown = grown.saturating_sub(before.resident_bytes);
        let each = 1.0 / participants.max(1) as f64;
        let micros = |time: Duration| time.as_secs_f64() * 1e6 * each;
        Ok(Self {
            scenario,
            participants,
            kilobytes_each: grown as f64 / 1_000.0 * each,
            micros_each_second: micros(cpu) / window.as_secs_f64().max(1e-9),
            join_micros: micros(joined),
            join_process_micros: micros(process),
            judged,
        })
    }

    pub(super) fn misses(&self) -> Vec<String> {
        let figures = [
            ("kB each", self.kilobytes_each, KILOBYTES_MAX),
            ("us each a second", self.micros_each_second, MICROS_MAX),
            ("us a join", self.join_micros, JOIN_MICROS_MAX),
        ];
        let missed = figures
            .into_iter()
            .filter(|&(_, figure, gate)| self.judged && figure > gate);
        missed
            .map(|(what, figure, gate)| format!("{figure:.1} {what}, gate {gate}"))
            .collect()
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "bench": self.scenario.name,
            "participants": self.participants,
            "kilobytes_each": self.kilobytes_each,
            "us_each_second": self.micros_each_second,
            "join_us": self.join_micros,
            "join_process_us": self.join_process_micros,
            "judged": self.judged,
            "misses": self.misses(),
        })
    }
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}\n", self.scenario.name, self.scenario.about)?;
        let lines = [
            ("memory, kB each", self.kilobytes_each, KILOBYTES_MAX),
            (
                "idle, us each a second",
                self.micros_each_second,
                MICROS_MAX,
            ),
            ("join, us of the shard", self.join_micros, JOIN_MICROS_MAX),
            (
                "join, us of the process",
                self.join_process_micros,
                f64::INFINITY,
            ),
        ];
        for (name, figure, gate) in lines {
            writeln!(f, "{name:<26} {figure:>8.1}   (gate {gate})")?;
        }
        for miss in self.misses() {
            writeln!(f, "missed: {miss}")?;
        }
        Ok(())
    }
}

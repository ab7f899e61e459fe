//! What participants cost who only are there: memory of the engine's process, time of its thread;
//! and what it cost to let them in.

use sfu::time::Duration;

use super::child::Subject;
use super::fleet::Fleet;
use super::publication::Publication;
use super::scenario::Scenario;
use super::sheet::{Figure, Sheet};

/// After the last join, before anything is looked at: handshake state is dropped.
const SETTLE: Duration = Duration::from_secs(2);
/// Who is sent nothing is asked for consent every twelve seconds: a window holds it twice.
const WINDOW_MIN: Duration = Duration::from_secs(24);
/// kB of the process, for each: gate and aim.
const KILOBYTES: (f64, f64) = (40.0, 16.0);
/// Microseconds of the thread, for each and second.
const MICROS: (f64, f64) = (2.0, 2.0);
/// Microseconds of the thread, for each join.
const JOIN_MICROS: (f64, f64) = (800.0, 300.0);

/// Everybody joins, and then nothing happens.
pub(super) fn measure(
    scenario: &'static Scenario,
    core: usize,
    window: Duration,
    judged: bool,
) -> anyhow::Result<Sheet> {
    let participants_max = scenario.room_participants();
    let mut subject = Subject::engine(participants_max, 1, core)?;
    let participants = scenario.peers();
    let mut fleet = Fleet::open(participants)?;
    let nothing = &mut Publication::new(scenario, false);
    let (before, cpu) = (subject.process()?, subject.cpu()?);
    fleet.join(scenario, &mut subject, participants)?;
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
    let figures = vec![
        Figure::told("participants", "participants", participants as f64),
        Figure::judged(
            ("memory, kB each", "kilobytes_each"),
            grown as f64 / 1_000.0 * each,
            KILOBYTES,
        ),
        Figure::judged(
            ("idle, us of the shard each a second", "us_each_second"),
            micros(cpu) / window.as_secs_f64().max(1e-9),
            MICROS,
        ),
        Figure::judged(
            ("join, us of the shard", "join_us"),
            micros(joined),
            JOIN_MICROS,
        ),
        Figure::told(
            "join, us of the process",
            "join_process_us",
            micros(process),
        ),
    ];
    Ok(Sheet {
        scenario,
        figures,
        faults: Vec::new(),
        rounds: Vec::new(),
        judged,
    })
}

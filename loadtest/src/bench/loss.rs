//! What it costs to repeat what a path loses. In each round: the floor that sends packet by packet,
//! the engine with whole paths, the engine with lossy ones. What the second of the engine's windows
//! costs more, over the repeats, is the cost of one.

use serde_json::{Value, json};
use sfu::time::Duration;

use super::floor::Mode;
use super::round::{Stage, Window};
use super::scenario::Scenario;
use super::sheet::{Figure, Sheet};
use super::table::middle;

/// Not brought back by the first repeat, in hundredths of what was missed: gate and aim.
const LEFT_BY_FIRST: (f64, f64) = (3.0, 3.0);
/// Nor by the third.
const LEFT_BY_THIRD: (f64, f64) = (0.1, 0.1);
/// A repeat over a packet of the floor's.
const RATIO: (f64, f64) = (1.5, 1.2);

struct Round {
    floor: Window,
    whole: Window,
    lossy: Window,
}

/// Plays all rounds; `per_mille` of packets are lost in the lossy windows.
pub(super) fn measure(
    scenario: &'static Scenario,
    per_mille: u32,
    core: usize,
    (count, length, judged): (usize, Duration, bool),
) -> anyhow::Result<Sheet> {
    let mut floor = Stage::floor(scenario, Mode::Sendmmsg, core)?;
    let mut engine = Stage::engine(scenario, core, judged)?;
    let mut rounds = Vec::with_capacity(count);
    for _ in 0..count {
        let floor = floor.measure(length)?;
        engine.lose(0);
        let whole = engine.measure(length)?;
        engine.lose(per_mille);
        let lossy = engine.measure(length)?;
        rounds.push(Round {
            floor,
            whole,
            lossy,
        });
    }
    let middle = |each: &dyn Fn(&Round) -> f64| middle(rounds.iter().map(each).collect()).0;
    let left = |repeats| {
        let all = |pick: &dyn Fn(&Round) -> u64| rounds.iter().map(pick).sum::<u64>() as f64;
        let missed = all(&|round| round.lossy.repairs.missed);
        let back = |round: &Round| round.lossy.repairs.recovered.iter().take(repeats).sum();
        (1.0 - all(&back) / missed) * 100.0
    };
    let figures = vec![
        Figure::told(
            "repeats of a round",
            "repeats",
            middle(&|round| round.lossy.repairs.repeats as f64),
        ),
        Figure::judged(
            ("not back by the first repeat, %", "left_by_first_percent"),
            left(1),
            LEFT_BY_FIRST,
        ),
        Figure::judged(
            ("not back by the third, %", "left_by_third_percent"),
            left(3),
            LEFT_BY_THIRD,
        ),
        Figure::told(
            "floor by sendmmsg, us a packet",
            "floor_us",
            middle(&|round| round.floor.micros_per_packet()),
        ),
        Figure::told("a repeat, us", "repeat_us", middle(&Round::repeat_micros)),
        Figure::judged(
            ("a repeat over the floor's packet", "ratio"),
            middle(&|round| round.repeat_micros() / round.floor.micros_per_packet()),
            RATIO,
        ),
    ];
    Ok(Sheet {
        scenario,
        figures,
        faults: (1..)
            .zip(&rounds)
            .flat_map(|(number, round)| round.faults(number))
            .collect(),
        rounds: rounds.iter().map(Round::json).collect(),
        judged,
    })
}

impl Round {
    /// Both windows bring the same frames, but for one that may lie at an edge.
    fn repeat_micros(&self) -> f64 {
        let each = |window: &Window| window.cpu.as_secs_f64() * 1e6 / window.wanted.max(1) as f64;
        let more = (each(&self.lossy) - each(&self.whole)) * self.lossy.wanted as f64;
        more / self.lossy.repairs.repeats as f64
    }

    fn faults(&self, number: usize) -> Vec<String> {
        let windows = [
            ("floor", &self.floor),
            ("whole", &self.whole),
            ("lossy", &self.lossy),
        ];
        let mut faults: Vec<String> = windows
            .into_iter()
            .filter_map(|(what, window)| {
                Some(format!("round {number}: {what}: {}", window.fault()?))
            })
            .collect();
        let repairs = &self.lossy.repairs;
        if repairs.repeats == 0 || repairs.spoiled > 0 {
            faults.push(format!(
                "round {number}: {} of {} repeats are not what they stand for",
                repairs.spoiled, repairs.repeats
            ));
        }
        faults
    }

    fn json(&self) -> Value {
        let repairs = &self.lossy.repairs;
        json!({
            "floor": self.floor.json(),
            "whole": self.whole.json(),
            "lossy": self.lossy.json(),
            "repeat_us": self.repeat_micros(),
            "thrown_away": repairs.thrown_away,
            "missed": repairs.missed,
            "repeats": repairs.repeats,
            "back_by_first": repairs.share(1),
            "back_by_third": repairs.share(3),
        })
    }
}

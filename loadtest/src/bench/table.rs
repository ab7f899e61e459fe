//! The outcome of a set: a table, a line of JSON, and what was missed.

use std::fmt;

use serde_json::{Value, json};
use sfu::time::Duration;

use super::floor::Mode;
use super::round::Window;
use super::scenario::{Media, Scenario};

/// Where the floor's own figures lie farther apart, measured by their median, nothing was measured.
const FLOOR_SPREAD_MAX: f64 = 0.25;

/// Everything a set saw.
pub(super) struct Outcome {
    pub(super) scenario: &'static Scenario,
    pub(super) modes: Vec<(Mode, Window)>,
    /// Floor and subject.
    pub(super) rounds: Vec<(Window, Window)>,
    /// Times are looked at; otherwise only whether everything arrived.
    pub(super) judged: bool,
}

/// The middle one of some figures, and how far they lie apart as a part of it.
pub(super) fn middle(mut figures: Vec<f64>) -> (f64, f64) {
    figures.sort_by(f64::total_cmp);
    let median = figures.get(figures.len() / 2).copied().unwrap_or(0.0);
    let range = figures.last().zip(figures.first());
    let range = range.map_or(0.0, |(last, first)| last - first);
    (median, if median > 0.0 { range / median } else { 0.0 })
}

impl Outcome {
    /// Of the subject's cost in each round over the floor's in the same.
    pub(super) fn ratio(&self) -> (f64, f64) {
        let each = |(floor, subject): &(Window, Window)| {
            subject.micros_per_packet() / floor.micros_per_packet().max(1e-9)
        };
        middle(self.rounds.iter().map(each).collect())
    }

    fn floor(&self) -> (f64, f64) {
        let each = |(floor, _): &(Window, Window)| floor.micros_per_packet();
        middle(self.rounds.iter().map(each).collect())
    }

    fn subject(&self) -> (f64, f64) {
        let each = |(_, subject): &(Window, Window)| subject.micros_per_packet();
        middle(self.rounds.iter().map(each).collect())
    }

    /// Of the medians of latency, the subject's less the floor's.
    fn added_latency_us(&self) -> f64 {
        let each = |(floor, subject): &(Window, Window)| {
            (subject.median().as_secs_f64() - floor.median().as_secs_f64()) * 1e6
        };
        middle(self.rounds.iter().map(each).collect()).0
    }

    /// What is not as it should be; empty: all is well.
    pub(super) fn misses(&self) -> Vec<String> {
        let mut misses = Vec::new();
        for (number, (floor, subject)) in self.rounds.iter().enumerate() {
            for (what, window) in [("floor", floor), ("subject", subject)] {
                if let Some(fault) = window.fault() {
                    misses.push(format!("round {}: {what}: {fault}", number + 1));
                }
            }
        }
        if !self.judged {
            return misses;
        }
        let (_, spread) = self.floor();
        if spread > FLOOR_SPREAD_MAX {
            misses.push(format!(
                "void: the floor's own figures spread by {:.0} %",
                spread * 100.0
            ));
        }
        let (ratio, _) = self.ratio();
        if ratio > self.scenario.gate {
            let gate = self.scenario.gate;
            misses.push(format!("{ratio:.2} x the floor, gate {gate}"));
        }
        let added = self.added_latency_us();
        if let Some(gate) = self.scenario.latency_gate
            && added > gate.as_secs_f64() * 1e6
        {
            let gate = gate.as_micros();
            misses.push(format!(
                "latency {added:.0} us above the floor's, gate {gate}"
            ));
        }
        let last = self.last_us();
        if let Some(gate) = self.scenario.last_gate
            && last > gate.as_secs_f64() * 1e6
        {
            let gate = gate.as_micros();
            misses.push(format!("the last after {last:.0} us, gate {gate}"));
        }
        misses
    }

    /// As a row of a table.
    pub(super) fn row(&self) -> String {
        let Scenario {
            name, gate, aim, ..
        } = self.scenario;
        let (floor, floor_spread) = self.floor();
        let (subject, _) = self.subject();
        let (ratio, ratio_spread) = self.ratio();
        let millis = |per_mille| {
            let each = |(_, subject): &(Window, Window)| {
                subject.received.latency.quantile(per_mille).as_secs_f64() * 1e3
            };
            middle(self.rounds.iter().map(each).collect()).0
        };
        let gates = if let Some(gate) = self.scenario.latency_gate {
            let added = self.added_latency_us();
            format!("p50 {added:+.0} us, gate +{}", gate.as_micros())
        } else if let Some(gate) = self.scenario.last_gate {
            format!("last p50 {:.1} ms", gate.as_secs_f64() * 1e3)
        } else {
            format!("{gate} / {aim}")
        };
        // The last packet of a frame of sound is every packet.
        let last = match self.scenario.media {
            Media::Video => format!("{:.2}", self.last_us() / 1e3),
            Media::Audio => "-".to_owned(),
        };
        let verdict = if self.misses().is_empty() {
            "met"
        } else if floor_spread > FLOOR_SPREAD_MAX {
            "void"
        } else {
            "MISSED"
        };
        format!(
            "| {name} | {} | {floor:.2} ({:.0} %) | {subject:.2} | **{ratio:.2}** ({:.0} %) | {gates} \
             | {:.2} / {:.2} / {:.2} | {last} | {verdict} |",
            self.scenario.floor.as_str(),
            floor_spread * 100.0,
            ratio_spread * 100.0,
            millis(500),
            millis(990),
            millis(999),
        )
    }

    /// The median until the last peer has a frame.
    fn last_us(&self) -> f64 {
        let each = |(_, subject): &(Window, Window)| {
            subject.received.last().quantile(500).as_secs_f64() * 1e6
        };
        middle(self.rounds.iter().map(each).collect()).0
    }

    pub(super) fn json(&self) -> Value {
        let (floor, floor_spread) = self.floor();
        let (subject, subject_spread) = self.subject();
        let (ratio, ratio_spread) = self.ratio();
        let finite = |figure: f64| figure.is_finite().then_some(figure);
        let modes = self.modes.iter();
        let modes: Vec<Value> = modes
            .map(|(mode, window)| json!({"mode": mode.as_str(), "window": window.json()}))
            .collect();
        let rounds = self.rounds.iter();
        let rounds: Vec<Value> = rounds
            .map(|(floor, subject)| json!({"floor": floor.json(), "subject": subject.json()}))
            .collect();
        json!({
            "bench": self.scenario.name,
            "floor_mode": self.scenario.floor.as_str(),
            "floor_us": floor,
            "floor_spread": floor_spread,
            "subject_us": subject,
            "subject_spread": subject_spread,
            "ratio": ratio,
            "ratio_spread": ratio_spread,
            "gate": finite(self.scenario.gate),
            "aim": finite(self.scenario.aim),
            "latency_above_floor_us": self.added_latency_us(),
            "last_us": self.last_us(),
            "judged": self.judged,
            "misses": self.misses(),
            "modes": modes,
            "rounds": rounds,
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}\n", self.scenario.name, self.scenario.about)?;
        writeln!(
            f,
            "{:<24} {:>7} {:>7} {:>8} {:>8} {:>8} {:>8} {:>7} {:>7} {:>8}",
            "",
            "us/pkt",
            "core %",
            "p50 ms",
            "p99 ms",
            "p999 ms",
            "last ms",
            "pkt/msg",
            "load %",
            "missing"
        )?;
        for (mode, window) in &self.modes {
            line(f, mode.as_str(), window)?;
        }
        for (number, (floor, subject)) in self.rounds.iter().enumerate() {
            line(
                f,
                &format!("{} {}", number + 1, self.scenario.floor.as_str()),
                floor,
            )?;
            line(f, &format!("{} plenum", number + 1), subject)?;
        }
        let (floor, floor_spread) = self.floor();
        let (subject, subject_spread) = self.subject();
        let (ratio, ratio_spread) = self.ratio();
        writeln!(
            f,
            "\nfloor {floor:.2} us (spread {:.0} %), plenum {subject:.2} us (spread {:.0} %)",
            floor_spread * 100.0,
            subject_spread * 100.0
        )?;
        writeln!(
            f,
            "ratio {ratio:.2} (spread {:.0} %; gate {}, aim {}), median latency {:+.0} us, last {:.0} us",
            ratio_spread * 100.0,
            self.scenario.gate,
            self.scenario.aim,
            self.added_latency_us(),
            self.last_us()
        )?;
        for miss in self.misses() {
            writeln!(f, "missed: {miss}")?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, window: &Window) -> fmt::Result {
    let latency = &window.received.latency;
    let millis = |per_mille| latency.quantile(per_mille).as_secs_f64() * 1e3;
    let share = |cpu: Duration| cpu.as_secs_f64() / window.length.as_secs_f64().max(1e-9) * 100.0;
    let counts = window.counts;
    let run = match counts.messages_out {
        0 => "-".to_owned(),
        messages => format!("{:.1}", counts.datagrams_out as f64 / messages as f64),
    };
    writeln!(
        f,
        "{name:<24} {:>7.2} {:>7.1} {:>8.3} {:>8.3} {:>8.3} {:>8.3} {run:>7} {:>7.1} {:>8}",
        window.micros_per_packet(),
        share(window.cpu),
        millis(500),
        millis(990),
        millis(999),
        window.received.last().quantile(500).as_secs_f64() * 1e3,
        share(window.load_cpu),
        window.missing()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_spread_are_of_all_figures() {
        for (figures, expected) in [
            (vec![3.0, 1.0, 2.0], (2.0, 1.0)),
            (vec![4.0; 5], (4.0, 0.0)),
            (vec![], (0.0, 0.0)),
        ] {
            assert_eq!(middle(figures), expected);
        }
    }
}

//! The outcome of a set that has no floor beside it: figures, each with what it may be at most.

use std::fmt;

use serde_json::{Map, Value, json};

use super::scenario::Scenario;

/// One figure of a set; all of them are better the lower they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figure {
    /// For people, with its unit.
    pub(super) name: &'static str,
    /// For machines.
    pub(super) key: &'static str,
    pub(super) value: f64,
    /// At most; infinity: reported only.
    pub(super) gate: f64,
    /// What is hoped for.
    pub(super) aim: f64,
}

impl Figure {
    pub(super) const fn judged(
        (name, key): (&'static str, &'static str),
        value: f64,
        (gate, aim): (f64, f64),
    ) -> Self {
        Self {
            name,
            key,
            value,
            gate,
            aim,
        }
    }

    pub(super) const fn told(name: &'static str, key: &'static str, value: f64) -> Self {
        Self::judged((name, key), value, (f64::INFINITY, f64::INFINITY))
    }
}

/// Everything a set has to say.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) scenario: &'static Scenario,
    pub(super) figures: Vec<Figure>,
    /// What must not be, whatever the times are.
    pub(super) faults: Vec<String>,
    /// What each round saw, for machines.
    pub(super) rounds: Vec<Value>,
    /// Figures are compared with their gates.
    pub(super) judged: bool,
}

impl Sheet {
    /// What is not as it should be; empty: all is well.
    pub(super) fn misses(&self) -> Vec<String> {
        let mut misses = self.faults.clone();
        let over = self.figures.iter().filter(|figure| {
            // What could not be measured is no figure below a gate.
            self.judged && (figure.value > figure.gate || figure.value.is_nan())
        });
        misses.extend(over.map(|figure| {
            let Figure {
                name, value, gate, ..
            } = figure;
            format!("{name}: {value:.2}, gate {gate}")
        }));
        misses
    }

    /// As rows of a table.
    pub(super) fn rows(&self) -> String {
        let mut rows = String::new();
        for figure in &self.figures {
            let Figure {
                name,
                value,
                gate,
                aim,
                ..
            } = figure;
            let (gates, verdict) = match (gate.is_finite(), value <= gate) {
                (false, _) => (String::new(), ""),
                (true, true) if value <= aim => (format!("{gate} / {aim}"), "at the aim"),
                (true, true) => (format!("{gate} / {aim}"), "met"),
                (true, false) => (format!("{gate} / {aim}"), "MISSED"),
            };
            let bench = self.scenario.name;
            rows.push_str(&format!(
                "| {bench} | {name} | {value:.2} | {gates} | {verdict} |\n"
            ));
        }
        for fault in &self.faults {
            rows.push_str(&format!(
                "| {} | {fault} | | | FAULT |\n",
                self.scenario.name
            ));
        }
        rows
    }

    /// For machines.
    pub(super) fn json(&self) -> Value {
        let mut told = Map::new();
        told.insert("bench".to_owned(), json!(self.scenario.name));
        for figure in &self.figures {
            told.insert(figure.key.to_owned(), json!(figure.value));
        }
        told.insert("judged".to_owned(), json!(self.judged));
        told.insert("misses".to_owned(), json!(self.misses()));
        told.insert("rounds".to_owned(), json!(self.rounds));
        Value::Object(told)
    }
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}\n", self.scenario.name, self.scenario.about)?;
        for figure in &self.figures {
            write!(f, "{:<44} {:>10.2}", figure.name, figure.value)?;
            if figure.gate.is_finite() {
                write!(f, "   (gate {}, aim {})", figure.gate, figure.aim)?;
            }
            writeln!(f)?;
        }
        for miss in self.misses() {
            writeln!(f, "missed: {miss}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(value: f64, judged: bool) -> Sheet {
        Sheet {
            scenario: Scenario::find("idle-1000").unwrap(),
            figures: vec![
                Figure::judged(("a figure", "figure"), value, (2.0, 1.0)),
                Figure::told("another", "other", 1e9),
            ],
            faults: Vec::new(),
            rounds: Vec::new(),
            judged,
        }
    }

    #[test]
    fn a_figure_above_its_gate_is_missed_where_it_is_judged() {
        for (value, judged, misses) in [
            (2.0, true, 0),
            (2.1, true, 1),
            (2.1, false, 0),
            (f64::NAN, true, 1),
        ] {
            assert_eq!(sheet(value, judged).misses().len(), misses, "{value}");
        }
    }

    #[test]
    fn a_fault_is_missed_whether_times_are_judged_or_not() {
        let mut sheet = sheet(0.0, false);
        sheet.faults.push("somebody did not join".to_owned());
        assert_eq!(sheet.misses(), ["somebody did not join"]);
        assert_eq!(sheet.json()["figure"], json!(0.0));
    }
}

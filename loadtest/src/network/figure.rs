//! One figure of a scene, and what is asked of it.

/// One figure of one scene, with what is asked of it.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// The row: "A4".
    pub row: &'static str,
    /// What is measured, with its unit.
    pub what: &'static str,
    /// Must be met.
    pub gate: f64,
    /// The aim.
    pub stretch: f64,
    /// More is better; else less.
    pub is_more_better: bool,
    /// What could be had at most, where more is better.
    pub whole: f64,
    /// What came out.
    pub value: f64,
}

/// What comes out of a scene's figure over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The median is at the aim.
    Stretch,
    /// The median is at the gate.
    Met,
    /// The median is not at the gate.
    Missed,
    /// The median is, the worst seed is further off than it may be.
    WorstMissed,
}

impl Verdict {
    /// As the table says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stretch => "stretch",
            Self::Met => "met",
            Self::Missed => "MISSED",
            Self::WorstMissed => "WORST MISSED",
        }
    }

    /// Whether it is at the gate.
    #[must_use]
    pub const fn is_met(self) -> bool {
        matches!(self, Self::Stretch | Self::Met)
    }
}

impl Figure {
    /// Less is better.
    #[must_use]
    pub const fn less(
        row: &'static str,
        what: &'static str,
        (gate, stretch): (f64, f64),
        value: f64,
    ) -> Self {
        Self {
            row,
            what,
            gate,
            stretch,
            is_more_better: false,
            whole: 0.0,
            value,
        }
    }

    /// More is better, up to `whole`.
    #[must_use]
    pub const fn more(
        row: &'static str,
        what: &'static str,
        (gate, stretch, whole): (f64, f64, f64),
        value: f64,
    ) -> Self {
        Self {
            row,
            what,
            gate,
            stretch,
            is_more_better: true,
            whole,
            value,
        }
    }

    fn holds(&self, value: f64, bound: f64) -> bool {
        if self.is_more_better {
            value >= bound
        } else {
            value <= bound
        }
    }

    /// What the worst seed may be: half as much again, or twice the shortfall.
    #[must_use]
    pub const fn worst_allowed(&self) -> f64 {
        if self.is_more_better {
            self.whole - (self.whole - self.gate) * 2.0
        } else {
            self.gate * 1.5
        }
    }

    /// Median, worst and the verdict on the same figure of many seeds.
    #[must_use]
    pub fn judge(&self, values: &mut [f64]) -> (f64, f64, Verdict) {
        let median = super::run::percentile(values, 0.5);
        let worst = super::run::percentile(values, if self.is_more_better { 0.0 } else { 1.0 });
        let verdict = if !self.holds(median, self.gate) {
            Verdict::Missed
        } else if !self.holds(worst, self.worst_allowed()) {
            Verdict::WorstMissed
        } else if self.holds(median, self.stretch) {
            Verdict::Stretch
        } else {
            Verdict::Met
        };
        (median, worst, verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worst_seed_may_be_off_by_half_or_by_twice_the_shortfall() {
        let time = Figure::less("A1", "s", (2.0, 1.0), 0.0);
        assert_eq!(time.judge(&mut [1.0, 1.0, 3.0]).2, Verdict::Stretch);
        assert_eq!(time.judge(&mut [1.0, 2.0, 3.0]).2, Verdict::Met);
        assert_eq!(time.judge(&mut [1.0, 1.0, 3.1]).2, Verdict::WorstMissed);
        assert_eq!(time.judge(&mut [1.0, 2.1, 3.0]).2, Verdict::Missed);
        let part = Figure::more("A3", "%", (92.0, 95.0, 100.0), 0.0);
        assert_eq!(part.judge(&mut [84.0, 96.0, 96.0]).2, Verdict::Stretch);
        assert_eq!(part.judge(&mut [83.9, 96.0, 96.0]).2, Verdict::WorstMissed);
        // Nothing at all is no figure.
        assert_eq!(part.judge(&mut []).2, Verdict::Missed);
    }
}

//! What it costs that a room is on several shards. In each round: an engine of one shard, then one of
//! several, with the same viewers dealt out to them; the publisher is on the first. All shards share
//! the subject's core, so that work is compared and not how much of it is done at the same time.
//!
//! What the second engine takes more, over the packets that went through the pipes, bounds a pipe's
//! cost from above: it holds also that each further shard wakes, and looks at its viewers by itself.
//! The pipe's own part alone: `cargo bench -p sfu --bench pipe`.

use serde_json::{Value, json};
use sfu::time::Duration;

use super::round::{Stage, Window};
use super::scenario::Scenario;
use super::sheet::{Figure, Sheet};
use super::table::middle;

/// CPU of a forwarded packet, all threads, over that of one shard: gate and aim.
const RATIO: (f64, f64) = (1.18, 1.05);
/// Milliseconds of the median of latency above one shard's.
const ADDED_MILLIS: (f64, f64) = (0.2, 0.2);
/// Percent of a core: above it more waits than is carried.
const LOAD_PERCENT: (f64, f64) = (30.0, 30.0);
/// Where one shard's figures lie farther apart, measured by their median, nothing was measured.
const SPREAD_MAX: f64 = 0.25;
/// Of as many packets one may have been carried at an edge of the window.
const SURPLUS_SLACK: u64 = 10;

struct Round {
    alone: Window,
    spread: Window,
    /// Packets that each of the other shards is to be sent.
    published: u64,
}

/// Plays all rounds of one shard and `shards`.
pub(super) fn measure(
    scenario: &'static Scenario,
    shards: usize,
    core: usize,
    (count, length, judged): (usize, Duration, bool),
) -> anyhow::Result<Sheet> {
    let mut alone = Stage::engine(scenario, core, judged)?;
    let mut spread = Stage::spread(scenario, shards, core, judged)?;
    let viewers = (scenario.viewers as u64).max(1);
    let mut rounds = Vec::with_capacity(count);
    for _ in 0..count {
        let alone = alone.measure(length)?;
        let spread = spread.measure(length)?;
        rounds.push(Round {
            published: spread.wanted / viewers * (shards as u64 - 1),
            alone,
            spread,
        });
    }
    let numbered = (1..).zip(&rounds);
    let mut faults: Vec<String> = numbered
        .flat_map(|(number, round)| round.faults(number))
        .collect();
    let (_, apart) = middle(rounds.iter().map(|it| micros(&it.alone)).collect());
    if judged && apart > SPREAD_MAX {
        let percent = apart * 100.0;
        faults.push(format!(
            "void: one shard's own figures spread by {percent:.0} %"
        ));
    }
    Ok(Sheet {
        scenario,
        figures: figures(scenario, &rounds),
        faults,
        rounds: rounds.iter().map(Round::json).collect(),
        judged,
    })
}

fn figures(scenario: &Scenario, rounds: &[Round]) -> Vec<Figure> {
    let both = |each: &dyn Fn(&Round) -> f64| middle(rounds.iter().map(each).collect());
    let middle = |each: &dyn Fn(&Round) -> f64| both(each).0;
    let (ratio, apart) = both(&Round::ratio);
    vec![
        Figure::told("viewers", "viewers", scenario.viewers as f64),
        Figure::told(
            "one shard, all threads, us a packet",
            "alone_us",
            middle(&|round| micros(&round.alone)),
        ),
        Figure::told(
            "two shards, all threads, us a packet",
            "spread_us",
            middle(&|round| micros(&round.spread)),
        ),
        Figure::judged(("two shards over one", "ratio"), ratio, RATIO),
        Figure::told("its spread, %", "ratio_spread_percent", apart * 100.0),
        Figure::told(
            "more, us a packet carried, all wakes in it",
            "carried_us_at_most",
            middle(&Round::carried_micros),
        ),
        Figure::judged(
            ("p50 of latency above one shard's, ms", "added_p50_ms"),
            middle(&Round::added_millis),
            ADDED_MILLIS,
        ),
        Figure::judged(
            ("load of two shards, % of a core", "load_percent"),
            middle(&|round| 100.0 * share(&round.spread)),
            LOAD_PERCENT,
        ),
    ]
}

/// Of all threads, for each forwarded packet.
fn micros(window: &Window) -> f64 {
    window.process_cpu.as_secs_f64() * 1e6 / window.received.packets.max(1) as f64
}

/// Of a core.
fn share(window: &Window) -> f64 {
    window.process_cpu.as_secs_f64() / window.length.as_secs_f64().max(1e-9)
}

impl Round {
    fn ratio(&self) -> f64 {
        micros(&self.spread) / micros(&self.alone)
    }

    /// Both windows bring the same packets, but for a frame that may lie at an edge.
    fn carried_micros(&self) -> f64 {
        let more = (micros(&self.spread) - micros(&self.alone)) * self.spread.wanted as f64;
        more / self.spread.counts.carried as f64
    }

    fn added_millis(&self) -> f64 {
        let millis = |window: &Window| {
            // A bucket of a frame to hundreds is longer than what is looked for.
            let median = window.received.latency.quantile_within(500);
            median.as_secs_f64() * 1e3
        };
        millis(&self.spread) - millis(&self.alone)
    }

    fn faults(&self, number: usize) -> Vec<String> {
        let windows = [("one shard", &self.alone), ("several", &self.spread)];
        let mut faults: Vec<String> = windows
            .into_iter()
            .filter_map(|(what, window)| {
                Some(format!("round {number}: {what}: {}", window.fault()?))
            })
            .collect();
        let (carried, lost) = (self.spread.counts.carried, self.spread.counts.not_carried);
        let most = self.published + self.published / SURPLUS_SLACK;
        if lost > 0 || carried < self.published || carried > most {
            faults.push(format!(
                "round {number}: {carried} of {} packets carried, {lost} lost in pipes",
                self.published
            ));
        }
        if self.alone.counts.carried > 0 {
            faults.push(format!("round {number}: one shard carries packets"));
        }
        faults
    }

    fn json(&self) -> Value {
        json!({
            "alone": self.alone.json(),
            "spread": self.spread.json(),
            "alone_us": micros(&self.alone),
            "spread_us": micros(&self.spread),
            "ratio": self.ratio(),
            "published": self.published,
            "carried": self.spread.counts.carried,
            "carried_us_at_most": self.carried_micros(),
            "added_p50_ms": self.added_millis(),
        })
    }
}

//! The scenes of the table: what is played, and which figures are read off.

use sfu::time::{Duration, Instant};

use super::bottleneck::{Bottleneck, Losses};
use super::flow::{App, FlowParameters};
use super::run::{Played, jain, percentile, play};

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
    /// What came out.
    pub value: f64,
}

const fn less(
    row: &'static str,
    what: &'static str,
    gate: f64,
    stretch: f64,
    value: f64,
) -> Figure {
    Figure {
        row,
        what,
        gate,
        stretch,
        is_more_better: false,
        value,
    }
}

const fn more(
    row: &'static str,
    what: &'static str,
    gate: f64,
    stretch: f64,
    value: f64,
) -> Figure {
    Figure {
        row,
        what,
        gate,
        stretch,
        is_more_better: true,
        value,
    }
}

/// A scene: its name and what it measures from a seed.
pub struct Scene {
    /// For pictures and the command line.
    pub name: &'static str,
    /// Plays it.
    pub measure: fn(u64) -> (Vec<Figure>, Played),
}

/// All of them.
pub const SCENES: &[Scene] = &[
    Scene {
        name: "start-elastic",
        measure: start,
    },
    Scene {
        name: "start-layers",
        measure: start_layers,
    },
    Scene {
        name: "steady",
        measure: steady,
    },
    Scene {
        name: "drop-elastic",
        measure: drop_elastic,
    },
    Scene {
        name: "drop-layers",
        measure: drop_layers,
    },
    Scene {
        name: "loss-5",
        measure: |seed| {
            loss(
                seed,
                Losses::Random(0.05),
                "kept of 2.5 Mb/s at 5 % loss, Mb/s",
                2.4,
                2.5,
                "A7",
            )
        },
    },
    Scene {
        name: "loss-10",
        measure: |seed| {
            loss(
                seed,
                Losses::Random(0.10),
                "kept at 10 %, Mb/s",
                2.3,
                2.4,
                "A7",
            )
        },
    },
    Scene {
        name: "loss-20",
        measure: |seed| {
            loss(
                seed,
                Losses::Random(0.20),
                "kept at 20 %, Mb/s",
                1.8,
                2.2,
                "A7",
            )
        },
    },
    Scene {
        name: "bursts-5",
        measure: |seed| {
            loss(
                seed,
                Losses::Bursts {
                    part: 0.05,
                    mean: 5.0,
                },
                "kept at 5 % in bursts, Mb/s",
                2.3,
                2.5,
                "A9",
            )
        },
    },
    Scene {
        name: "bursts-10",
        measure: |seed| {
            loss(
                seed,
                Losses::Bursts {
                    part: 0.10,
                    mean: 5.0,
                },
                "kept at 10 % in bursts, Mb/s",
                2.2,
                2.5,
                "A9",
            )
        },
    },
    Scene {
        name: "jitter-10",
        measure: |seed| jitter(seed, 10),
    },
    Scene {
        name: "jitter-30",
        measure: |seed| jitter(seed, 30),
    },
    Scene {
        name: "jitter-60",
        measure: |seed| jitter(seed, 60),
    },
    Scene {
        name: "two-flows",
        measure: two_flows,
    },
    Scene {
        name: "round-trips",
        measure: round_trips,
    },
    Scene {
        name: "feedback-10",
        measure: |seed| feedback(seed, 0.10, 90.0, 95.0),
    },
    Scene {
        name: "feedback-30",
        measure: |seed| feedback(seed, 0.30, 75.0, 85.0),
    },
    Scene {
        name: "mute",
        measure: mute,
    },
    Scene {
        name: "weak-newcomer",
        measure: newcomer,
    },
];

const fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1_000)
}

fn link(rates: &[(u64, f64)]) -> Bottleneck {
    Bottleneck {
        rates: rates
            .iter()
            .map(|(from, rate)| (at(*from), *rate))
            .collect(),
        // 250 ms at the highest rate.
        buffer: rates.iter().map(|(_, rate)| *rate).fold(0.0, f64::max) * 0.25 / 8.0,
        losses: Losses::None,
        jitter: Duration::ZERO,
    }
}

const fn flow(app: App) -> FlowParameters {
    FlowParameters {
        app,
        from: Instant::ZERO,
        muted: None,
        delay: Duration::from_millis(25),
        feedback_loss: 0.0,
        feedback_jitter: Duration::ZERO,
    }
}

const GREEDY: App = App::Elastic(4e6);

fn start(seed: u64) -> (Vec<Figure>, Played) {
    let played = play(
        link(&[(0, 2e6)]),
        &[flow(GREEDY)],
        Duration::from_secs(10),
        seed,
    );
    let t = played.reaches(0, at(0), 1.8e6);
    (
        vec![less("A1", "300 k to 90 % of 2 Mb/s, s", 0.8, 0.5, t)],
        played,
    )
}

fn start_layers(seed: u64) -> (Vec<Figure>, Played) {
    let played = play(
        link(&[(0, 2e6)]),
        &[flow(App::Layers)],
        Duration::from_secs(10),
        seed,
    );
    // The first packet of the layer and one frame of it.
    let t = played.layer(0, 2, at(0)) + 0.033;
    (
        vec![less("A2", "top layer decoded, s", 1.2, 0.8, t)],
        played,
    )
}

fn steady(seed: u64) -> (Vec<Figure>, Played) {
    let played = play(
        link(&[(0, 2e6)]),
        &[flow(GREEDY)],
        Duration::from_secs(60),
        seed,
    );
    let part = played.arrived(0, at(10), at(60)) / 2e6 * 100.0;
    let mut queues = played.queues(at(10), at(60));
    let p95 = percentile(&mut queues, 0.95) * 1e3;
    let most = percentile(&mut queues, 1.0) * 1e3;
    let figures = vec![
        more("A3", "steady: goodput, %", 92.0, 93.0, part),
        less("A3", "steady: queue p95, ms", 45.0, 30.0, p95),
        less("A3", "steady: queue max, ms", 80.0, 60.0, most),
    ];
    (figures, played)
}

/// 2 Mb/s, at 20 s 0.5, at 50 s 2 again.
fn dropped(app: App, seed: u64) -> Played {
    let link = link(&[(0, 2e6), (20, 0.5e6), (50, 2e6)]);
    play(link, &[flow(app)], Duration::from_secs(70), seed)
}

/// Seconds from 20 s until 100 ms of departures are within the capacity.
fn within_capacity(played: &Played) -> f64 {
    (0..1_000_u64)
        .map(|step| 20_000 + step * 10)
        .find(|ms| {
            let from = Instant::from_millis(*ms);
            played.left(0, from, from + Duration::from_millis(100)) <= 0.5e6
        })
        .map_or(f64::INFINITY, |ms| {
            Instant::from_millis(ms).since(at(20)).as_secs_f64()
        })
}

/// Seconds from 20 s until the queue is below 100 ms for good, and its p95 from then to 50 s, ms.
fn settled(played: &Played) -> (f64, f64) {
    let mut window = played
        .samples
        .iter()
        .filter(|sample| sample.at >= at(20) && sample.at < at(50));
    let last = window.rfind(|sample| sample.queue >= 0.1);
    let until = last.map_or(at(20), |sample| sample.at);
    let mut after = played.queues(until + Duration::from_millis(10), at(50));
    (
        until.since(at(20)).as_secs_f64(),
        percentile(&mut after, 0.95) * 1e3,
    )
}

fn drop_elastic(seed: u64) -> (Vec<Figure>, Played) {
    let played = dropped(GREEDY, seed);
    let (settles, p95) = settled(&played);
    let figures = vec![
        less(
            "A4",
            "2 to 0.5 Mb/s: sent within capacity, s",
            0.7,
            0.5,
            within_capacity(&played),
        ),
        less(
            "A5",
            "same: queue below 100 ms for good, s",
            3.0,
            2.0,
            settles,
        ),
        less("A5", "same: queue p95 afterwards, ms", 60.0, 40.0, p95),
        more(
            "A5",
            "same: goodput at 0.5 Mb/s, 25..50 s, %",
            90.0,
            93.0,
            played.arrived(0, at(25), at(50)) / 0.5e6 * 100.0,
        ),
        less(
            "A6",
            "0.5 to 2 Mb/s: 90 %, s",
            3.0,
            2.0,
            played.reaches(0, at(50), 1.8e6),
        ),
    ];
    (figures, played)
}

fn drop_layers(seed: u64) -> (Vec<Figure>, Played) {
    let played = dropped(App::Layers, seed);
    let (settles, p95) = settled(&played);
    let figures = vec![
        less(
            "A4",
            "layers: sent within capacity, s",
            0.7,
            0.5,
            within_capacity(&played),
        ),
        less(
            "A5",
            "layers: queue below 100 ms for good, s",
            3.0,
            2.0,
            settles,
        ),
        less("A5", "layers: queue p95 afterwards, ms", 60.0, 40.0, p95),
        less(
            "A6",
            "layers: top layer back, s",
            5.0,
            3.0,
            played.layer(0, 2, at(50)),
        ),
    ];
    (figures, played)
}

fn loss(
    seed: u64,
    losses: Losses,
    what: &'static str,
    gate: f64,
    stretch: f64,
    row: &'static str,
) -> (Vec<Figure>, Played) {
    let link = Bottleneck {
        losses,
        ..link(&[(0, 5e6)])
    };
    let played = play(
        link,
        &[flow(App::Elastic(2.5e6))],
        Duration::from_secs(60),
        seed,
    );
    let kept = played.left(0, at(30), at(60)) / 1e6;
    (vec![more(row, what, gate, stretch, kept)], played)
}

fn jitter(seed: u64, millis: u64) -> (Vec<Figure>, Played) {
    let link = Bottleneck {
        jitter: Duration::from_millis(millis),
        ..link(&[(0, 5e6)])
    };
    let played = play(
        link,
        &[flow(App::Elastic(2.5e6))],
        Duration::from_secs(60),
        seed,
    );
    let kept =
        (10..60).filter(|second| played.left(0, at(*second), at(second + 1)) >= 2.5e6 * 0.98);
    #[expect(clippy::cast_precision_loss, reason = "at most 50")]
    let part = kept.count() as f64 * 2.0;
    let what = match millis {
        10 => "seconds at 2.5 Mb/s, jitter 10 ms, %",
        30 => "jitter 30 ms, %",
        _ => "jitter 60 ms, %",
    };
    (vec![more("A10", what, 100.0, 100.0, part)], played)
}

fn two_flows(seed: u64) -> (Vec<Figure>, Played) {
    let second = FlowParameters {
        from: at(30),
        ..flow(GREEDY)
    };
    let played = play(
        link(&[(0, 2e6)]),
        &[flow(GREEDY), second],
        Duration::from_secs(150),
        seed,
    );
    let shares = |from: Instant, until: Instant| {
        jain(&[
            played.arrived(0, from, until),
            played.arrived(1, from, until),
        ])
    };
    let windows: Vec<f64> = (0..4)
        .map(|window| shares(at(30 + window * 30), at(60 + window * 30)))
        .collect();
    let least = windows.iter().copied().fold(1.0, f64::min);
    let fair = (0..60_u64).find(|half| {
        let from = at(30) + Duration::from_millis(half * 500);
        shares(from, from + Duration::from_secs(1)) >= 0.9
    });
    #[expect(clippy::cast_precision_loss, reason = "at most 60")]
    let fair = fair.map_or(f64::INFINITY, |half| half as f64 * 0.5);
    let mut queues = played.queues(at(30), at(150));
    let figures = vec![
        more("A11", "two flows: least Jain of 30 s", 0.95, 0.98, least),
        more(
            "A11",
            "two flows: mean Jain",
            0.98,
            0.98,
            windows.iter().sum::<f64>() / 4.0,
        ),
        less("A11", "two flows: to Jain 0.9, s", 8.0, 5.0, fair),
        less(
            "A11",
            "two flows: queue p95, ms",
            100.0,
            60.0,
            percentile(&mut queues, 0.95) * 1e3,
        ),
    ];
    (figures, played)
}

fn round_trips(seed: u64) -> (Vec<Figure>, Played) {
    let flows = [5, 25, 50, 100].map(|millis| FlowParameters {
        delay: Duration::from_millis(millis),
        ..flow(GREEDY)
    });
    let played = play(link(&[(0, 4e6)]), &flows, Duration::from_secs(120), seed);
    let rates: Vec<f64> = (0..4)
        .map(|flow| played.arrived(flow, at(30), at(120)))
        .collect();
    (
        vec![more(
            "A14",
            "RTT 10 to 200 ms: Jain",
            0.85,
            0.92,
            jain(&rates),
        )],
        played,
    )
}

fn feedback(seed: u64, part: f64, gate: f64, stretch: f64) -> (Vec<Figure>, Played) {
    let bad = FlowParameters {
        feedback_loss: part,
        feedback_jitter: Duration::from_millis(100),
        ..flow(GREEDY)
    };
    let lasts = Duration::from_secs(60);
    let played = play(link(&[(0, 2e6)]), &[bad], lasts, seed);
    let clean = play(link(&[(0, 2e6)]), &[flow(GREEDY)], lasts, seed);
    let kept = played.arrived(0, at(10), at(60)) / clean.arrived(0, at(10), at(60)) * 100.0;
    let what = if part < 0.2 {
        "feedback loss 10 %: rate of clean, %"
    } else {
        "feedback loss 30 %, %"
    };
    (vec![more("A15", what, gate, stretch, kept)], played)
}

fn mute(seed: u64) -> (Vec<Figure>, Played) {
    let app = FlowParameters {
        muted: Some((at(20), at(30))),
        ..flow(App::Layers)
    };
    let played = play(link(&[(0, 2e6)]), &[app], Duration::from_secs(40), seed);
    (
        vec![less(
            "A19",
            "unmuted: old layer back, s",
            1.0,
            0.5,
            played.layer(0, 2, at(30)),
        )],
        played,
    )
}

fn newcomer(seed: u64) -> (Vec<Figure>, Played) {
    let link = Bottleneck {
        buffer: 62_500.0,
        ..link(&[(0, 0.3e6)])
    };
    let played = play(link, &[flow(App::Layers)], Duration::from_secs(20), seed);
    let mut queues = played.queues(at(0), at(5));
    let audio = played.flows.first().map(|flow| {
        flow.arrivals
            .iter()
            .filter(|packet| packet.is_audio)
            .map(|packet| packet.at)
            .collect::<Vec<_>>()
    });
    let audio = audio.unwrap_or_default();
    let gaps = audio
        .windows(2)
        .filter(|pair| matches!(pair, [a, b] if b.since(*a) > Duration::from_millis(100)));
    #[expect(clippy::cast_precision_loss, reason = "few")]
    let gaps = gaps.count() as f64;
    let figures = vec![
        less(
            "A20",
            "newcomer on 300 kb/s: worst queue, ms",
            400.0,
            200.0,
            percentile(&mut queues, 1.0) * 1e3,
        ),
        less("A20", "newcomer: audio gaps over 100 ms", 0.0, 0.0, gaps),
    ];
    (figures, played)
}

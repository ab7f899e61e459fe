//! One flow on a link of its own: A1 to A7, A9, A10, A15, A19, A20.

use sfu::time::{Duration, Instant};

use super::super::bottleneck::{Bottleneck, Losses};
use super::super::figure::Figure;
use super::super::flow::{App, FlowParameters};
use super::super::run::{Played, Sample, percentile, play};
use super::{GREEDY, at, flow, link};

pub(super) fn start(seed: u64) -> (Vec<Figure>, Played) {
    let played = play(
        link(&[(0, 2e6)]),
        &[flow(GREEDY).into()],
        Duration::from_secs(10),
        seed,
    );
    let t = played.reaches(0, at(0), 1.8e6);
    (
        vec![Figure::less(
            "A1",
            "300 k to 90 % of 2 Mb/s, s",
            (0.8, 0.5),
            t,
        )],
        played,
    )
}

pub(super) fn start_layers(seed: u64) -> (Vec<Figure>, Played) {
    let played = play(
        link(&[(0, 2e6)]),
        &[flow(App::Layers).into()],
        Duration::from_secs(10),
        seed,
    );
    // The first packet of the layer and one frame of it.
    let t = played.layer(0, 2, at(0)) + 0.033;
    (
        vec![Figure::less("A2", "top layer decoded, s", (1.2, 0.8), t)],
        played,
    )
}

pub(super) fn steady(seed: u64) -> (Vec<Figure>, Played) {
    let played = play(
        link(&[(0, 2e6)]),
        &[flow(GREEDY).into()],
        Duration::from_secs(60),
        seed,
    );
    let part = played.arrived(0, at(10), at(60)) / 2e6 * 100.0;
    let mut queues = played.queues(at(10), at(60));
    let p95 = percentile(&mut queues, 0.95) * 1e3;
    let most = percentile(&mut queues, 1.0) * 1e3;
    let figures = vec![
        Figure::more("A3", "steady: goodput, %", (92.0, 93.0, 100.0), part),
        Figure::less("A3", "steady: queue p95, ms", (45.0, 30.0), p95),
        Figure::less("A3", "steady: queue max, ms", (80.0, 60.0), most),
    ];
    (figures, played)
}

/// 2 Mb/s, at 20 s 0.5, at 50 s 2 again.
fn dropped(app: App, seed: u64) -> Played {
    let link = link(&[(0, 2e6), (20, 0.5e6), (50, 2e6)]);
    play(link, &[flow(app).into()], Duration::from_secs(70), seed)
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

pub(super) fn drop_elastic(seed: u64) -> (Vec<Figure>, Played) {
    let played = dropped(GREEDY, seed);
    let (settles, p95) = settled(&played);
    let figures = vec![
        Figure::less(
            "A4",
            "2 to 0.5 Mb/s: sent within capacity, s",
            (0.7, 0.5),
            within_capacity(&played),
        ),
        Figure::less(
            "A5",
            "same: queue below 100 ms for good, s",
            (3.0, 2.0),
            settles,
        ),
        Figure::less("A5", "same: queue p95 afterwards, ms", (60.0, 40.0), p95),
        Figure::more(
            "A5",
            "same: goodput at 0.5 Mb/s, 25..50 s, %",
            (90.0, 93.0, 100.0),
            played.arrived(0, at(25), at(50)) / 0.5e6 * 100.0,
        ),
        Figure::less(
            "A6",
            "0.5 to 2 Mb/s: 90 %, s",
            (3.0, 2.0),
            played.reaches(0, at(50), 1.8e6),
        ),
    ];
    (figures, played)
}

pub(super) fn drop_layers(seed: u64) -> (Vec<Figure>, Played) {
    let played = dropped(App::Layers, seed);
    let (settles, p95) = settled(&played);
    let figures = vec![
        Figure::less(
            "A4",
            "layers: sent within capacity, s",
            (0.7, 0.5),
            within_capacity(&played),
        ),
        Figure::less(
            "A5",
            "layers: queue below 100 ms for good, s",
            (3.0, 2.0),
            settles,
        ),
        Figure::less("A5", "layers: queue p95 afterwards, ms", (60.0, 40.0), p95),
        Figure::less(
            "A6",
            "layers: top layer back, s",
            (5.0, 3.0),
            played.layer(0, 2, at(50)),
        ),
    ];
    (figures, played)
}

pub(super) fn jitter(seed: u64, millis: u64) -> (Vec<Figure>, Played) {
    let link = Bottleneck {
        jitter: Duration::from_millis(millis),
        ..link(&[(0, 5e6)])
    };
    let played = play(
        link,
        &[flow(App::Elastic(2.5e6)).into()],
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
    (
        vec![Figure::more("A10", what, (100.0, 100.0, 100.0), part)],
        played,
    )
}

pub(super) fn feedback(seed: u64, part: f64, gate: f64, stretch: f64) -> (Vec<Figure>, Played) {
    let bad = FlowParameters {
        feedback_loss: part,
        feedback_jitter: Duration::from_millis(100),
        ..flow(GREEDY)
    };
    let lasts = Duration::from_secs(60);
    let played = play(link(&[(0, 2e6)]), &[bad.into()], lasts, seed);
    let clean = play(link(&[(0, 2e6)]), &[flow(GREEDY).into()], lasts, seed);
    let kept = played.arrived(0, at(10), at(60)) / clean.arrived(0, at(10), at(60)) * 100.0;
    let what = if part < 0.2 {
        "feedback loss 10 %: rate of clean, %"
    } else {
        "feedback loss 30 %, %"
    };
    (
        vec![Figure::more("A15", what, (gate, stretch, 100.0), kept)],
        played,
    )
}

pub(super) fn mute(seed: u64) -> (Vec<Figure>, Played) {
    let app = FlowParameters {
        muted: Some((at(20), at(30))),
        ..flow(App::Layers)
    };
    let played = play(
        link(&[(0, 2e6)]),
        &[app.into()],
        Duration::from_secs(40),
        seed,
    );
    (
        vec![Figure::less(
            "A19",
            "unmuted: old layer back, s",
            (1.0, 0.5),
            played.layer(0, 2, at(30)),
        )],
        played,
    )
}

pub(super) fn newcomer(seed: u64) -> (Vec<Figure>, Played) {
    let link = Bottleneck {
        buffer: 62_500.0,
        ..link(&[(0, 0.3e6)])
    };
    let played = play(
        link,
        &[flow(App::Layers).into()],
        Duration::from_secs(20),
        seed,
    );
    let mut queues = played.queues(at(0), at(5));
    let audio = played
        .flows
        .first()
        .map_or(f64::INFINITY, |flow| flow.audio_gap(at(0)));
    let figures = vec![
        Figure::less(
            "A20",
            "newcomer on 300 kb/s: worst queue, ms",
            (400.0, 200.0),
            percentile(&mut queues, 1.0) * 1e3,
        ),
        Figure::less(
            "A20",
            "newcomer: longest gap of audio, ms",
            (100.0, 100.0),
            audio * 1e3,
        ),
    ];
    (figures, played)
}

/// What is kept of 2.5 Mb/s that are wanted on 5 Mb/s that lose.
fn loss(seed: u64, losses: Losses) -> (f64, Played) {
    let link = Bottleneck {
        losses,
        ..link(&[(0, 5e6)])
    };
    let app = flow(App::Elastic(2.5e6));
    let played = play(link, &[app.into()], Duration::from_secs(60), seed);
    (played.left(0, at(30), at(60)) / 1e6, played)
}

pub(super) fn loss_random(
    seed: u64,
    percent: u32,
    what: &'static str,
    bounds: (f64, f64),
) -> (Vec<Figure>, Played) {
    let (kept, played) = loss(seed, Losses::Random(f64::from(percent) / 100.0));
    let (gate, stretch) = bounds;
    let figure = Figure::more("A7", what, (gate, stretch, 2.5), kept);
    (vec![figure], played)
}

pub(super) fn loss_bursts(
    seed: u64,
    percent: u32,
    what: &'static str,
    bounds: (f64, f64),
) -> (Vec<Figure>, Played) {
    let losses = Losses::Bursts {
        part: f64::from(percent) / 100.0,
        mean: 5.0,
    };
    let (kept, played) = loss(seed, losses);
    let (gate, stretch) = bounds;
    let figure = Figure::more("A9", what, (gate, stretch, 2.5), kept);
    (vec![figure], played)
}

/// 2 to 0.6 Mb/s, frames at once, and key frames that take most of a second: all queues are ours.
pub(super) fn drop_frames(seed: u64) -> (Vec<Figure>, Played) {
    let link = link(&[(0, 2e6), (20, 0.6e6), (50, 2e6)]);
    let app = flow(App::Frames(2.5e6));
    let played = play(link, &[app.into()], Duration::from_secs(70), seed);
    let after = |sample: &&Sample| sample.at >= at(22) && sample.at < at(50);
    let targets = played.samples.iter().filter(after);
    let targets = targets.map(|sample| sample.targets.first().copied().unwrap_or(f64::NAN));
    let most = targets.fold(0.0, f64::max) / 1e6;
    let what = "frames, 2 to 0.6 Mb/s: highest target, Mb/s";
    (vec![Figure::less("A5", what, (0.8, 0.7), most)], played)
}

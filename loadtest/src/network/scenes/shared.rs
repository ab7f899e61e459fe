//! Flows that share a link: A11, A12, A14.

use sfu::time::{Duration, Instant};

use super::super::bottleneck::Bottleneck;
use super::super::cubic::CubicParameters;
use super::super::figure::Figure;
use super::super::flow::{App, FlowParameters};
use super::super::run::{Played, jain, percentile, play};
use super::super::sender::Part;
use super::{GREEDY, at, flow, link};

pub(super) fn two_flows(seed: u64) -> (Vec<Figure>, Played) {
    let second = FlowParameters {
        from: at(30),
        ..flow(GREEDY)
    };
    let played = play(
        link(&[(0, 2e6)]),
        &[flow(GREEDY).into(), second.into()],
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
        Figure::more(
            "A11",
            "two flows: least Jain of 30 s",
            (0.95, 0.98, 1.0),
            least,
        ),
        Figure::more(
            "A11",
            "two flows: mean Jain",
            (0.98, 0.98, 1.0),
            windows.iter().sum::<f64>() / 4.0,
        ),
        Figure::less("A11", "two flows: to Jain 0.9, s", (8.0, 5.0), fair),
        Figure::less(
            "A11",
            "two flows: queue p95, ms",
            (100.0, 60.0),
            percentile(&mut queues, 0.95) * 1e3,
        ),
    ];
    (figures, played)
}

pub(super) fn round_trips(seed: u64) -> (Vec<Figure>, Played) {
    let flows = [5, 25, 50, 100].map(|millis| {
        Part::from(FlowParameters {
            delay: Duration::from_millis(millis),
            ..flow(GREEDY)
        })
    });
    let played = play(link(&[(0, 4e6)]), &flows, Duration::from_secs(120), seed);
    let rates: Vec<f64> = (0..4)
        .map(|flow| played.arrived(flow, at(30), at(120)))
        .collect();
    (
        vec![Figure::more(
            "A14",
            "RTT 10 to 200 ms: Jain",
            (0.85, 0.92, 1.0),
            jain(&rates),
        )],
        played,
    )
}

/// A download comes after ten seconds, and goes on.
fn beside_download(seed: u64, app: App) -> Played {
    let link = Bottleneck {
        // 300 ms.
        buffer: 75_000.0,
        ..link(&[(0, 2e6)])
    };
    let download = Part::Cubic(CubicParameters {
        from: at(10),
        delay: Duration::from_millis(25),
    });
    let parts = [flow(app).into(), download];
    play(link, &parts, Duration::from_secs(130), seed)
}

fn share(played: &Played, from: Instant, until: Instant) -> f64 {
    let (ours, theirs) = (
        played.arrived(0, from, until),
        played.arrived(1, from, until),
    );
    ours / (ours + theirs) * 100.0
}

pub(super) fn download(seed: u64) -> (Vec<Figure>, Played) {
    let played = beside_download(seed, GREEDY);
    let part = share(&played, at(40), at(130));
    let figure = Figure::more(
        "A12",
        "beside a CUBIC download: our share, %",
        (25.0, 40.0, 50.0),
        part,
    );
    (vec![figure], played)
}

/// What one gets who knows that half is fair, and sends that whatever happens.
pub(super) fn download_oracle(seed: u64) -> (Vec<Figure>, Played) {
    let played = beside_download(seed, App::Constant(1e6));
    let part = share(&played, at(40), at(130));
    let figure = Figure::more(
        "A12",
        "same: half sent whatever happens, %",
        (25.0, 40.0, 50.0),
        part,
    );
    (vec![figure], played)
}

//! A path that becomes another: A21.

use sfu::time::Duration;

use super::super::bottleneck::Bottleneck;
use super::super::figure::Figure;
use super::super::flow::FlowParameters;
use super::super::run::{Played, play};
use super::{GREEDY, at, flow, link};

/// From Wi-Fi (20 Mb/s, 20 ms there and back) to LTE (3 Mb/s, 80 ms), by an ICE restart at 20 s.
pub(super) fn restart(seed: u64) -> (Vec<Figure>, Played) {
    let link = Bottleneck {
        // 250 ms of the slower one.
        buffer: 93_750.0,
        ..link(&[(0, 20e6), (20, 3e6)])
    };
    let app = FlowParameters {
        delay: Duration::from_millis(10),
        moves: Some((at(20), Duration::from_millis(40))),
        ..flow(GREEDY)
    };
    let played = play(link, &[app.into()], Duration::from_secs(40), seed);
    let stable = stable_after(&played);
    let gap = played
        .flows
        .first()
        .map_or(f64::INFINITY, |flow| flow.audio_gap(at(20)));
    let figures = vec![
        Figure::less(
            "A21",
            "Wi-Fi to LTE: 85 % of 3 Mb/s, no queue, s",
            (2.0, 1.0),
            stable,
        ),
        Figure::less(
            "A21",
            "same: longest gap of audio, ms",
            (300.0, 300.0),
            gap * 1e3,
        ),
    ];
    (figures, played)
}

/// Seconds until the target is between 85 % of the capacity and all of it and no queue is above
/// 100 ms, for two seconds.
fn stable_after(played: &Played) -> f64 {
    let start = played.samples.partition_point(|sample| sample.at < at(20));
    let later = played.samples.get(start..).unwrap_or_default();
    let found = later.windows(200).find_map(|window| {
        let first = window.first()?;
        let is_stable = window.iter().all(|sample| {
            let target = sample.targets.first().copied().unwrap_or(0.0);
            target >= sample.capacity * 0.8 && sample.queue < 0.1
        });
        let target = first.targets.first().copied().unwrap_or(0.0);
        (is_stable && target >= first.capacity * 0.85).then_some(first.at)
    });
    found.map_or(f64::INFINITY, |found| found.since(at(20)).as_secs_f64())
}

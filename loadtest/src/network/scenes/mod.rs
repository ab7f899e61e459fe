//! The scenes of the table: what is played, and which figures are read off.
//!
//! | module | scenes |
//! |---|---|
//! | `alone` | one flow on a link of its own |
//! | `orders` | six people who send what they are asked for |
//! | `path` | a path that becomes another |
//! | `room` | the whole shard |
//! | `shared` | flows that share a link |

mod alone;
mod orders;
mod path;
mod room;
mod shared;

use sfu::time::{Duration, Instant};

use super::bottleneck::{Bottleneck, Losses};
use super::figure::Figure;
use super::flow::{App, FlowParameters};
use super::run::Played;

/// A scene: its name and what it measures from a seed.
pub struct Scene {
    /// For pictures and the command line.
    pub name: &'static str,
    /// Over its picture in the documentation; none: it is not shown there.
    pub title: Option<&'static str>,
    /// Plays it.
    pub measure: fn(u64) -> (Vec<Figure>, Played),
}

const fn scene(name: &'static str, measure: fn(u64) -> (Vec<Figure>, Played)) -> Scene {
    Scene {
        name,
        title: None,
        measure,
    }
}

const fn shown(
    name: &'static str,
    title: &'static str,
    measure: fn(u64) -> (Vec<Figure>, Played),
) -> Scene {
    Scene {
        name,
        title: Some(title),
        measure,
    }
}

/// All of them.
pub const SCENES: &[Scene] = &[
    shown(
        "start-elastic",
        "Start at 300 kb/s on a link of 2 Mb/s",
        alone::start,
    ),
    scene("start-layers", alone::start_layers),
    scene("steady", alone::steady),
    shown(
        "drop-elastic",
        "2 to 0.5 Mb/s and back: as much as is allowed is sent",
        alone::drop_elastic,
    ),
    shown(
        "drop-layers",
        "2 to 0.5 Mb/s and back: layers of 150, 500 and 1,500 kb/s",
        alone::drop_layers,
    ),
    scene("drop-frames", alone::drop_frames),
    scene("loss-5", |seed| {
        alone::loss_random(seed, 5, "kept of 2.5 Mb/s at 5 % loss, Mb/s", (2.4, 2.5))
    }),
    scene("loss-10", |seed| {
        alone::loss_random(seed, 10, "kept at 10 %, Mb/s", (2.3, 2.4))
    }),
    shown(
        "loss-20",
        "20 % of all packets are lost, 2.5 of 5 Mb/s are wanted",
        |seed| alone::loss_random(seed, 20, "kept at 20 %, Mb/s", (1.8, 2.2)),
    ),
    scene("bursts-5", |seed| {
        alone::loss_bursts(seed, 5, "kept at 5 % in bursts, Mb/s", (2.3, 2.5))
    }),
    scene("bursts-10", |seed| {
        alone::loss_bursts(seed, 10, "kept at 10 % in bursts, Mb/s", (2.2, 2.5))
    }),
    scene("jitter-10", |seed| alone::jitter(seed, 10)),
    scene("jitter-30", |seed| alone::jitter(seed, 30)),
    scene("jitter-60", |seed| alone::jitter(seed, 60)),
    shown(
        "two-flows",
        "Two of ours on 2 Mb/s, the second from 30 s on",
        shared::two_flows,
    ),
    shown(
        "download",
        "Beside a CUBIC download from 10 s on, 2 Mb/s with a queue of 300 ms",
        shared::download,
    ),
    scene("download-oracle", shared::download_oracle),
    scene("round-trips", shared::round_trips),
    scene("feedback-10", |seed| {
        alone::feedback(seed, 0.10, 90.0, 95.0)
    }),
    scene("feedback-30", |seed| {
        alone::feedback(seed, 0.30, 75.0, 85.0)
    }),
    scene("mute", alone::mute),
    scene("weak-newcomer", alone::newcomer),
    shown(
        "restart",
        "From Wi-Fi to LTE at 20 s: 20 to 3 Mb/s, 20 to 80 ms",
        path::restart,
    ),
    scene("voices", super::voices::measure),
];

/// Those of the whole shard, which take longer.
pub const ROOMS: &[Scene] = &[
    scene("room-loss-5", |seed| {
        let what = ["pictures never whole at 5 % loss, %", "sounds not heard, %"];
        room::loss(seed, 5, what, [(0.1, 0.05), (0.1, 0.05)])
    }),
    scene("room-loss-10", |seed| {
        let what = ["pictures never whole at 10 %, %", "sounds not heard, %"];
        room::loss(seed, 10, what, [(0.5, 0.25), (0.3, 0.15)])
    }),
    scene("room-loss-20", |seed| {
        let what = ["pictures never whole at 20 %, %", "sounds not heard, %"];
        room::loss(seed, 20, what, [(2.0, 1.0), (1.2, 0.6)])
    }),
    scene("room-layer-stops", room::layer_stops),
    scene("room-halves", room::halves),
    scene("room-shrinks", room::shrinks),
    scene("room-trembles", room::trembles),
    scene("room-newcomer", room::newcomer),
    scene("room-orders", orders::conference),
];

/// So many seconds after the beginning.
pub(super) const fn at(seconds: u64) -> Instant {
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

pub(super) const fn flow(app: App) -> FlowParameters {
    FlowParameters {
        app,
        from: Instant::ZERO,
        muted: None,
        moves: None,
        far_clock: 0,
        delay: Duration::from_millis(25),
        feedback_loss: 0.0,
        feedback_jitter: Duration::ZERO,
    }
}

const GREEDY: App = App::Elastic(4e6);

//! A scene as a picture: rates and the queue over time.

use std::fmt::Write as _;

use sfu::time::{Duration, Instant};

use super::run::{Played, Sample};

const WIDTH: f64 = 900.0;
/// Of the rates, and of the queue below them.
const HEIGHT: f64 = 260.0;
const BELOW: f64 = 90.0;
/// The queue's axis ends here, seconds.
const QUEUE_MOST: f64 = 0.3;
/// Target and arrived, of each flow.
const COLOURS: [(&str, &str); 2] = [("#25c", "#2a4"), ("#82d", "#a82")];

struct Canvas {
    svg: String,
    seconds: f64,
    most: f64,
}

impl Canvas {
    fn x(&self, at: f64) -> f64 {
        50.0 + at / self.seconds * (WIDTH - 60.0)
    }

    fn y(&self, rate: f64) -> f64 {
        HEIGHT - (rate / self.most).min(1.0) * (HEIGHT - 20.0)
    }

    fn line(&mut self, colour: &str, points: impl Iterator<Item = (f64, f64)>) {
        let path: String = points.map(|(x, y)| format!("{x:.1},{y:.1} ")).collect();
        // A String takes all that is written.
        let _ = write!(
            self.svg,
            "<polyline fill='none' stroke='{colour}' stroke-width='1' points='{path}'/>"
        );
    }

    fn text(&mut self, x: f64, y: f64, text: &str) {
        let _ = write!(self.svg, "<text x='{x:.0}' y='{y:.0}'>{text}</text>");
    }

    fn axes(&mut self) {
        for step in 0..=4 {
            let rate = self.most / 1.3 * f64::from(step) / 4.0;
            self.text(5.0, self.y(rate) + 4.0, &format!("{:.2}", rate / 1e6));
        }
        self.text(5.0, HEIGHT + 14.0, &format!("{:.0}", QUEUE_MOST * 1e3));
        self.text(5.0, HEIGHT + BELOW, "0");
        for step in 0..=10 {
            let at = self.seconds * f64::from(step) / 10.0;
            self.text(self.x(at), HEIGHT + BELOW + 18.0, &format!("{at:.0}"));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "minutes in µs")]
fn seconds(at: Instant) -> f64 {
    at.as_micros() as f64 / 1e6
}

/// Capacity, target and what arrived; below, the queue. An SVG.
pub(super) fn picture(name: &str, played: &Played) -> String {
    let samples = &played.samples;
    let capacities = samples.iter().map(|sample| sample.capacity);
    let mut canvas = Canvas {
        svg: format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {}' \
             font-family='sans-serif' font-size='11'>\
             <rect width='100%' height='100%' fill='white'/>",
            HEIGHT + BELOW + 30.0
        ),
        seconds: samples.last().map_or(1.0, |sample| seconds(sample.at)),
        most: capacities.fold(1e6, f64::max) * 1.3,
    };
    let title = format!(
        "{name}: capacity (grey), target (blue), arrived (green), Mb/s; below: queue (red), ms"
    );
    canvas.text(50.0, 14.0, &title);
    let points = |canvas: &Canvas, every: usize, y: &dyn Fn(&Canvas, &Sample) -> f64| {
        let samples = samples.iter().step_by(every);
        let point = |sample: &Sample| (canvas.x(seconds(sample.at)), y(canvas, sample));
        samples.map(point).collect::<Vec<_>>()
    };
    let capacity = points(&canvas, 1, &|canvas, sample| canvas.y(sample.capacity));
    canvas.line("#999", capacity.into_iter());
    for flow in 0..played.flows.len() {
        let [first, others] = COLOURS;
        let (target, arrived) = if flow == 0 { first } else { others };
        let targets = points(&canvas, 5, &|canvas, sample| {
            canvas.y(sample.targets.get(flow).copied().unwrap_or(0.0))
        });
        canvas.line(target, targets.into_iter());
        let arrivals = points(&canvas, 25, &|canvas, sample| {
            let half = Duration::from_millis(125);
            canvas.y(played.arrived(flow, sample.at - half, sample.at + half))
        });
        canvas.line(arrived, arrivals.into_iter());
    }
    let queue = points(&canvas, 1, &|_, sample| {
        HEIGHT + BELOW - (sample.queue / QUEUE_MOST).min(1.0) * (BELOW - 10.0)
    });
    canvas.line("#c22", queue.into_iter());
    canvas.axes();
    canvas.svg.push_str("</svg>\n");
    canvas.svg
}

//! A scene as a picture: rates, and below them the queue, over time. Colours and lines are chosen
//! to be read on white and on black.

use std::fmt::Write as _;

use sfu::time::{Duration, Instant};

use super::run::{Played, Sample};

const WIDTH: f64 = 920.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 12.0;
/// Where the rates' axes begin and end.
const TOP: f64 = 72.0;
const BOTTOM: f64 = 282.0;
/// And the queue's.
const QUEUE_TOP: f64 = 316.0;
const QUEUE_BOTTOM: f64 = 396.0;
const HEIGHT: f64 = 432.0;
/// Points of a line at most: more are not seen.
const POINTS: usize = 420;
/// Target and arrived, of each flow in turn.
const COLOURS: [(&str, &str); 4] = [
    ("#3b82f6", "#16a34a"),
    ("#a855f7", "#d97706"),
    ("#0891b2", "#65a30d"),
    ("#db2777", "#b45309"),
];
const QUEUE: &str = "#e5484d";
const TEXT: &str = "#7d838c";

struct Canvas {
    svg: String,
    seconds: f64,
    /// Bits per second at the top, and seconds of queue.
    most: f64,
    queue_most: f64,
}

/// The least of 1, 2, 2.5, 5 times a power of ten that is not below.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(1e-6).log10().floor());
    let steps = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0].into_iter();
    let mut fitting = steps.map(|step| step * power);
    fitting
        .find(|step| *step >= value * 0.999)
        .unwrap_or(power * 10.0)
}

impl Canvas {
    fn x(&self, at: Instant) -> f64 {
        LEFT + seconds(at) / self.seconds * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, rate: f64) -> f64 {
        BOTTOM - (rate / self.most).clamp(0.0, 1.0) * (BOTTOM - TOP)
    }

    fn queue_y(&self, queue: f64) -> f64 {
        QUEUE_BOTTOM - (queue / self.queue_most).clamp(0.0, 1.0) * (QUEUE_BOTTOM - QUEUE_TOP)
    }

    // A String takes all that is written: the results below say nothing.

    fn line(&mut self, style: &str, points: &[(f64, f64)]) {
        let mut path = String::new();
        for (x, y) in points {
            let _ = write!(path, "{x:.0},{y:.1} ");
        }
        let _ = writeln!(
            self.svg,
            "<polyline fill='none' {style} points='{}'/>",
            path.trim_end()
        );
    }

    /// The same, and filled down to `bottom`.
    fn area(&mut self, style: &str, points: &[(f64, f64)], bottom: f64) {
        let mut path = String::new();
        let ends = (points.first(), points.last());
        let (Some((first, _)), Some((last, _))) = ends else {
            return;
        };
        let _ = write!(path, "{first:.0},{bottom} ");
        for (x, y) in points {
            let _ = write!(path, "{x:.0},{y:.1} ");
        }
        let _ = writeln!(
            self.svg,
            "<polygon {style} points='{path}{last:.0},{bottom}'/>"
        );
    }

    fn text(&mut self, (x, y): (f64, f64), anchor: &str, text: &str) {
        let _ = writeln!(
            self.svg,
            "<text x='{x:.0}' y='{y:.0}' text-anchor='{anchor}'>{text}</text>"
        );
    }

    fn ruler(&mut self, y: f64, label: &str) {
        let _ = writeln!(
            self.svg,
            "<line x1='{LEFT}' x2='{}' y1='{y:.1}' y2='{y:.1}' stroke='{TEXT}' \
             stroke-opacity='.25'/>",
            WIDTH - RIGHT
        );
        self.text((LEFT - 8.0, y + 4.0), "end", label);
    }

    fn axes(&mut self) {
        let step = round_up(self.most / 6.0);
        let mut rate = 0.0;
        while rate <= self.most * 1.001 {
            self.ruler(self.y(rate), &format!("{:.1}", rate / 1e6));
            rate += step;
        }
        for half in 0..=2 {
            let queue = self.queue_most * f64::from(half) / 2.0;
            self.ruler(self.queue_y(queue), &format!("{:.0}", queue * 1e3));
        }
        self.text((LEFT, TOP - 10.0), "start", "Mb/s on the wire");
        let label = "ms that a packet waits in the queue";
        self.text((LEFT, QUEUE_TOP - 10.0), "start", label);
        let step = round_up(self.seconds / 12.0);
        let mut at = 0.0;
        while at <= self.seconds {
            let x = LEFT + at / self.seconds * (WIDTH - LEFT - RIGHT);
            let unit = if at + step > self.seconds { " s" } else { "" };
            let label = format!("{at:.0}{unit}");
            self.text((x, QUEUE_BOTTOM + 20.0), "middle", &label);
            at += step;
        }
    }

    /// What each line is, side by side.
    fn legend(&mut self, entries: &[(String, String)]) {
        let mut x = LEFT;
        for (style, label) in entries {
            let _ = writeln!(
                self.svg,
                "<line x1='{x:.0}' x2='{:.0}' y1='34' y2='34' {style}/>",
                x + 22.0
            );
            self.text((x + 28.0, 38.0), "start", label);
            #[expect(clippy::cast_precision_loss, reason = "a few letters")]
            let width = label.chars().count() as f64 * 6.6;
            x += 28.0 + width + 18.0;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "minutes in µs")]
fn seconds(at: Instant) -> f64 {
    at.as_micros() as f64 / 1e6
}

/// The samples in as many groups as a line has points.
fn groups(samples: &[Sample]) -> impl Iterator<Item = &[Sample]> {
    samples.chunks(samples.len().div_ceil(POINTS).max(1))
}

fn stroke(colour: &str, width: f64) -> String {
    format!("stroke='{colour}' stroke-width='{width}' stroke-linejoin='round'")
}

/// Capacity, target and what arrived; below, the queue. An SVG.
pub(super) fn picture(title: &str, played: &Played) -> String {
    let samples = &played.samples;
    let highest = |value: &dyn Fn(&Sample) -> f64| samples.iter().map(value).fold(0.0, f64::max);
    let sent = highest(&|sample| sample.targets.iter().copied().fold(0.0, f64::max));
    let capacity = highest(&|sample| sample.capacity);
    let mut canvas = Canvas {
        svg: format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' \
             font-family='system-ui,sans-serif' font-size='12' fill='{TEXT}'>\n<title>{title}</title>\n"
        ),
        seconds: samples
            .last()
            .map_or(1.0, |sample| (seconds(sample.at) * 10.0).round() / 10.0),
        // A link that is far wider than what is sent would press the lines down.
        most: round_up(capacity.min(sent * 1.3).max(1e5) * 1.1),
        queue_most: round_up(highest(&|sample| sample.queue).max(0.1)),
    };
    let _ = writeln!(
        canvas.svg,
        "<text x='{LEFT}' y='18' font-size='14' font-weight='600'>{title}</text>"
    );
    canvas.axes();
    let mut legend = vec![(
        format!("stroke='{TEXT}' stroke-width='8' stroke-opacity='.35'"),
        "capacity".to_owned(),
    )];
    canvas.capacity(samples);
    for (flow, (target, arrived)) in (0..played.flows.len()).zip(COLOURS) {
        let name = if played.flows.len() > 1 {
            let name = played.flows.get(flow).map_or("", |flow| flow.name);
            format!("{name} {}: ", flow + 1)
        } else {
            String::new()
        };
        canvas.flow(played, flow, (target, arrived));
        legend.push((stroke(arrived, 2.5), format!("{name}arrived")));
        legend.push((stroke(target, 1.5), format!("{name}target")));
    }
    legend.push((stroke(QUEUE, 2.0), "queue".to_owned()));
    canvas.legend(&legend);
    let queue: Vec<_> = groups(samples)
        .filter_map(|group| {
            let most = group.iter().map(|sample| sample.queue).fold(0.0, f64::max);
            Some((canvas.x(group.first()?.at), canvas.queue_y(most)))
        })
        .collect();
    canvas.area(
        &format!("fill='{QUEUE}' fill-opacity='.25'"),
        &queue,
        QUEUE_BOTTOM,
    );
    canvas.line(&stroke(QUEUE, 1.2), &queue);
    canvas.svg.push_str("</svg>\n");
    canvas.svg
}

impl Canvas {
    /// Only where it changes: the steps are sharp.
    fn capacity(&mut self, samples: &[Sample]) {
        let mut points: Vec<(f64, f64)> = Vec::new();
        for sample in samples {
            let (x, y) = (self.x(sample.at), self.y(sample.capacity));
            match points.last().copied() {
                Some((_, before)) if (before - y).abs() < 0.05 => {}
                Some((_, before)) => points.extend([(x, before), (x, y)]),
                None => points.push((x, y)),
            }
        }
        if let (Some(last), Some((_, y))) = (samples.last(), points.last().copied()) {
            points.push((self.x(last.at), y));
        }
        let style = format!("fill='{TEXT}' fill-opacity='.16'");
        self.area(&style, &points, BOTTOM);
    }

    fn flow(&mut self, played: &Played, flow: usize, (target, arrived): (&str, &str)) {
        let arrivals: Vec<_> = groups(&played.samples)
            .step_by(2)
            .filter_map(|group| {
                let at = group.first()?.at;
                let half = Duration::from_millis(125);
                let from = Instant::from_micros(at.as_micros().saturating_sub(125_000));
                Some((self.x(at), self.y(played.arrived(flow, from, at + half))))
            })
            .collect();
        self.line(&stroke(arrived, 2.0), &arrivals);
        let targets: Vec<_> = groups(&played.samples)
            .filter_map(|group| {
                let first = group.first()?;
                let target = first.targets.get(flow).copied().unwrap_or(0.0);
                Some((self.x(first.at), self.y(target)))
            })
            .collect();
        self.line(&stroke(target, 1.2), &targets);
    }
}

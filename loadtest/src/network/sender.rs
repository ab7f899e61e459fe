//! Who sends on a link: the estimator under test, or somebody else beside it.

use sfu::time::{Duration, Instant};

use super::bottleneck::Queue;
use super::cubic::{Cubic, CubicParameters};
use super::flow::{Flow, FlowParameters};

/// A packet that arrived: what the scenes judge.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// When.
    pub at: Instant,
    /// Its bytes.
    pub bytes: u32,
    /// Sound.
    pub is_audio: bool,
    /// The layer it is of (an app of layers), else 0.
    pub layer: usize,
}

/// All packets of one flow.
#[derive(Debug)]
pub struct Record {
    /// Whose.
    pub name: &'static str,
    /// Every packet that arrived.
    pub arrivals: Vec<Arrival>,
    /// Every packet that left: when, bytes.
    pub departures: Vec<(Instant, u32)>,
}

impl Record {
    /// Before the first packet.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            arrivals: Vec::new(),
            departures: Vec::new(),
        }
    }

    /// The longest time between two packets of sound that arrived from `from` on, seconds.
    #[must_use]
    pub fn audio_gap(&self, from: Instant) -> f64 {
        let mut audio = self.arrivals.iter().filter(|packet| packet.is_audio);
        let mut last = audio.rfind(|packet| packet.at < from).map(|it| it.at);
        let mut most = Duration::ZERO;
        let audio = self.arrivals.iter().filter(|packet| packet.is_audio);
        for packet in audio.filter(|packet| packet.at >= from) {
            most = most.max(last.map_or(Duration::ZERO, |last| packet.at.since(last)));
            last = Some(packet.at);
        }
        most.as_secs_f64()
    }
}

/// Who is to send.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// Plenum's estimator and an app.
    Plenum(FlowParameters),
    /// A download.
    Cubic(CubicParameters),
}

/// One of them at work.
#[derive(Debug)]
pub(super) enum Sender {
    Plenum(Box<Flow>),
    Cubic(Box<Cubic>),
}

impl Sender {
    pub(super) fn new(part: &Part, seed: u64) -> Self {
        match part {
            Part::Plenum(parameters) => Self::Plenum(Box::new(Flow::new(*parameters, seed))),
            Part::Cubic(parameters) => Self::Cubic(Box::new(Cubic::new(*parameters))),
        }
    }

    /// One step of time.
    pub(super) fn step(&mut self, now: Instant, queue: &mut Queue) {
        match self {
            Self::Plenum(flow) => flow.step(now, queue),
            Self::Cubic(flow) => flow.step(now, queue),
        }
    }

    /// What it means to send, bits per second.
    pub(super) fn target(&self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "rates far below 2^52")]
            Self::Plenum(flow) => flow.estimator.estimate().fast.as_bps() as f64,
            Self::Cubic(flow) => flow.rate(),
        }
    }

    pub(super) fn into_record(self) -> Record {
        match self {
            Self::Plenum(flow) => flow.record,
            Self::Cubic(flow) => flow.record,
        }
    }
}

impl From<FlowParameters> for Part {
    fn from(parameters: FlowParameters) -> Self {
        Self::Plenum(parameters)
    }
}

//! Rounds: floor and subject in turn under the same load, and what their ratio comes to.

use std::time::Instant;

use serde_json::{Value, json};
use sfu::time::Duration;

use super::child::Subject;
use super::fleet::{Fleet, Received};
use super::floor::{FloorParameters, Mode};
use super::processor::thread_time;
use super::publication::Publication;
use super::scenario::Scenario;
use super::subject::{Ask, Counts};

/// Before a window is measured.
const WARM_UP: Duration = Duration::from_millis(700);

/// What one window saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    pub(super) received: Received,
    /// Packets that were to arrive.
    pub(super) wanted: u64,
    /// The forwarding thread's time on a core.
    pub(super) cpu: Duration,
    /// The load's.
    pub(super) load_cpu: Duration,
    pub(super) length: Duration,
    /// An engine's own counters.
    pub(super) counts: Counts,
}

impl Window {
    /// CPU of a forwarded packet.
    pub(super) fn micros_per_packet(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / (self.received.packets.max(1) as f64)
    }

    /// Packets that did not arrive, of those that were to.
    pub(super) const fn missing(&self) -> u64 {
        self.wanted.saturating_sub(self.received.packets)
    }

    pub(super) fn median(&self) -> Duration {
        self.received.latency.quantile(500)
    }

    /// For machines.
    pub(super) fn json(&self) -> Value {
        let micros = |per_mille| {
            let latency = self.received.latency.quantile(per_mille);
            u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)
        };
        let share = |cpu: Duration| cpu.as_secs_f64() / self.length.as_secs_f64().max(1e-9);
        let per = |all: u64, each: u64| all as f64 / each.max(1) as f64;
        json!({
            "us_per_packet": self.micros_per_packet(),
            "packets": self.received.packets,
            "missing": self.missing(),
            "lost": self.received.lost,
            "samples": self.received.samples,
            "spoiled": self.received.spoiled,
            "core": share(self.cpu),
            "load_core": share(self.load_cpu),
            "p50_us": micros(500),
            "p99_us": micros(990),
            "p999_us": micros(999),
            "datagrams_per_message": per(self.counts.datagrams_out, self.counts.messages_out),
            "datagrams_per_receive": per(self.received.packets, self.received.calls),
        })
    }
}

/// A subject with the peers that face it.
pub(super) struct Stage {
    subject: Subject,
    fleet: Fleet,
    publication: Publication,
    scenario: &'static Scenario,
    is_engine: bool,
}

impl Stage {
    /// An engine that everybody has joined.
    pub(super) fn engine(scenario: &'static Scenario, core: usize) -> anyhow::Result<Self> {
        let participants_max = scenario.peers() + 1;
        let mut subject = Subject::start(&Ask::Engine { participants_max }, core)?;
        let mut fleet = Fleet::open(scenario.peers())?;
        fleet.join(scenario, &mut subject)?;
        Ok(Self {
            subject,
            fleet,
            publication: Publication::new(scenario, true),
            scenario,
            is_engine: true,
        })
    }

    /// A floor that knows everybody.
    pub(super) fn floor(
        scenario: &'static Scenario,
        mode: Mode,
        core: usize,
    ) -> anyhow::Result<Self> {
        let mut fleet = Fleet::open(scenario.peers())?;
        let first = if scenario.mutual {
            0
        } else {
            scenario.publishers
        };
        let receivers = fleet.peers.iter().skip(first);
        let ask = Ask::Floor(FloorParameters {
            mode,
            speakers: scenario.speakers,
            receivers: receivers.map(|peer| (peer.number, peer.address)).collect(),
            publishers: scenario.publishers,
        });
        let subject = Subject::start(&ask, core)?;
        for peer in &mut fleet.peers {
            peer.face_floor()?;
            peer.turn_to(subject.address);
        }
        Ok(Self {
            subject,
            fleet,
            publication: Publication::new(scenario, false),
            scenario,
            is_engine: false,
        })
    }

    /// Media flows for `WARM_UP` and then for `length`, which is measured.
    pub(super) fn measure(&mut self, length: Duration) -> anyhow::Result<Window> {
        let Self {
            subject,
            fleet,
            publication,
            ..
        } = self;
        let begun = Instant::now();
        fleet.learn_anew();
        publication.begin(begun);
        // Between two frames: what was sent has arrived.
        let half = self.scenario.interval / 2;
        fleet.run(begun + WARM_UP + half, publication)?;
        let counts_before = if self.is_engine {
            subject.count()?
        } else {
            Counts::default()
        };
        fleet.forget();
        let frames_before = publication.frames_sent;
        let (cpu, load) = (subject.cpu()?, own_time());
        let started = Instant::now();
        fleet.run(started + length, publication)?;
        let cpu = subject.cpu()?.saturating_sub(cpu);
        let load_cpu = own_time().saturating_sub(load);
        let length = started.elapsed();
        fleet.drain(publication)?;
        let counts = if self.is_engine {
            subject.count()?.since(counts_before)
        } else {
            Counts::default()
        };
        let frames = publication.frames_sent - frames_before;
        Ok(Window {
            received: fleet.forget(),
            wanted: frames * self.scenario.copies() as u64,
            cpu,
            load_cpu,
            length,
            counts,
        })
    }
}

impl Counts {
    const fn since(self, before: Self) -> Self {
        Self {
            datagrams_out: self.datagrams_out - before.datagrams_out,
            messages_out: self.messages_out - before.messages_out,
            batches_in: self.batches_in - before.batches_in,
            dropped: self.dropped - before.dropped,
        }
    }
}

fn own_time() -> Duration {
    let thread = u32::try_from(nix::unistd::gettid().as_raw()).unwrap_or(0);
    thread_time(std::process::id(), thread).unwrap_or_default()
}

//! Rounds: floor and subject in turn under the same load, and what their ratio comes to.

use std::time::Instant;

use serde_json::{Value, json};
use sfu::time::Duration;

use super::child::Subject;
use super::fleet::Fleet;
use super::floor::{FloorParameters, Mode};
use super::processor::thread_time;
use super::publication::Publication;
use super::received::Received;
use super::repair::Repairs;
use super::scenario::Scenario;
use super::subject::{Ask, Counts};

/// Before a window is measured.
const WARM_UP: Duration = Duration::from_millis(700);

/// What is shown is looked at in steps of this.
const SLICE: Duration = Duration::from_millis(500);
/// So many of them in a row as wanted: nothing changes any more.
const CALM_SLICES: u32 = 3;
/// Before the first window of a set that is judged, paths have been known for so long: a meeting lasts.
const KNOWN_FOR: Duration = Duration::from_secs(10);
/// One packet of so many may be on its way.
const SLICE_SLACK: u64 = 50;
/// Of as many packets one may have been sent before the window and arrive in it.
const SURPLUS_SLACK: u64 = 10;
/// By then it has.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(30);

/// What one window saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    pub(super) received: Received,
    /// Packets that were to arrive.
    pub(super) wanted: u64,
    /// What lossy paths lost of it, and what came back.
    pub(super) repairs: Repairs,
    /// The forwarding threads' time on a core.
    pub(super) cpu: Duration,
    /// That of all the subject's threads.
    pub(super) process_cpu: Duration,
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
        let arrived = self.received.packets + self.repairs.thrown_away;
        self.wanted.saturating_sub(arrived)
    }

    /// Packets that were not to arrive; those of a frame at an edge of the window are none.
    const fn surplus(&self) -> u64 {
        let arrived = self.received.packets + self.repairs.thrown_away;
        arrived.saturating_sub(self.wanted + self.wanted / SURPLUS_SLACK)
    }

    /// What must not be, whatever the times are.
    pub(super) fn fault(&self) -> Option<String> {
        let (missing, surplus) = (self.missing(), self.surplus());
        let Received {
            samples, spoiled, ..
        } = self.received;
        let is_right = missing == 0 && surplus == 0 && spoiled == 0 && samples > 0;
        (!is_right).then(|| {
            format!(
                "{missing} packets missing, {surplus} too many, {spoiled} of {samples} samples spoiled"
            )
        })
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
        let of_last = self.received.last();
        let last = |per_mille| {
            let latency = of_last.quantile(per_mille);
            u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)
        };
        let share = |cpu: Duration| cpu.as_secs_f64() / self.length.as_secs_f64().max(1e-9);
        let per = |all: u64, each: u64| all as f64 / each.max(1) as f64;
        json!({
            "us_per_packet": self.micros_per_packet(),
            "packets": self.received.packets,
            "missing": self.missing(),
            "repairs": self.received.repairs,
            "lost": self.received.lost,
            "samples": self.received.samples,
            "spoiled": self.received.spoiled,
            "core": share(self.cpu),
            "load_core": share(self.load_cpu),
            "p50_us": micros(500),
            "p99_us": micros(990),
            "p999_us": micros(999),
            "last_p50_us": last(500),
            "last_p999_us": last(999),
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
    /// Media flows so long before the next window, where paths are to be known.
    settle_for: Duration,
}

impl Stage {
    /// An engine of one shard that everybody has joined.
    pub(super) fn engine(
        scenario: &'static Scenario,
        core: usize,
        judged: bool,
    ) -> anyhow::Result<Self> {
        Self::spread(scenario, 1, core, judged)
    }

    /// An engine of so many shards, whose rooms are on all of them.
    pub(super) fn spread(
        scenario: &'static Scenario,
        shards: usize,
        core: usize,
        judged: bool,
    ) -> anyhow::Result<Self> {
        let participants_max = scenario.room_participants();
        let mut subject = Subject::engine(participants_max, shards, core)?;
        let mut fleet = Fleet::open(scenario.peers())?;
        fleet.join(scenario, &mut subject, scenario.peers())?;
        if scenario.encodings.len() > 1 {
            for number in 0..scenario.peers() {
                let shown = (0..scenario.publishers).filter_map(|publisher| {
                    let encoding = scenario.encodings.get(scenario.shown(number, publisher)?)?;
                    Some((publisher, encoding.height))
                });
                subject.show(scenario.room(number), number, shown.collect())?;
            }
        }
        Ok(Self {
            subject,
            fleet,
            publication: Publication::new(scenario, true),
            scenario,
            is_engine: true,
            settle_for: if judged { KNOWN_FOR } else { Duration::ZERO },
        })
    }

    /// A floor that knows everybody.
    pub(super) fn floor(
        scenario: &'static Scenario,
        mode: Mode,
        core: usize,
    ) -> anyhow::Result<Self> {
        let mut fleet = Fleet::open(scenario.peers())?;
        let encodings = scenario.encodings.len();
        let route = |stream: usize| {
            let (publisher, encoding) = (stream / encodings, stream % encodings);
            let receivers = 0..scenario.peers();
            let receivers = receivers.filter(|&it| scenario.shown(it, publisher) == Some(encoding));
            receivers.collect()
        };
        let receivers = fleet.peers.iter();
        let ask = Ask::Floor(FloorParameters {
            mode,
            publishers: scenario.publishers,
            encodings,
            receivers: receivers.map(|peer| (peer.number, peer.address)).collect(),
            routes: (0..scenario.publishers * encodings).map(route).collect(),
        });
        let subject = Subject::start(&ask, core)?;
        for peer in &mut fleet.peers {
            peer.face_floor()?;
            peer.turn_to(subject.address(peer.number)?);
        }
        Ok(Self {
            subject,
            fleet,
            publication: Publication::new(scenario, false),
            scenario,
            is_engine: false,
            settle_for: Duration::ZERO,
        })
    }

    /// From now on so many of 1,000 packets are lost on the way to each peer.
    pub(super) const fn lose(&mut self, per_mille: u32) {
        self.fleet.lose(per_mille);
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
        if self.scenario.estimated && self.is_engine {
            let settle_for = std::mem::take(&mut self.settle_for);
            settle(fleet, publication, settle_for)?;
        }
        let counts_before = if self.is_engine {
            subject.count()?
        } else {
            Counts::default()
        };
        fleet.forget();
        fleet.repairs();
        let wanted = publication.wanted;
        let (process, cpu, load) = (subject.process()?.cpu, subject.cpu()?, own_time());
        let started = Instant::now();
        fleet.run(started + length, publication)?;
        let cpu = subject.cpu()?.saturating_sub(cpu);
        let process_cpu = subject.process()?.cpu.saturating_sub(process);
        let load_cpu = own_time().saturating_sub(load);
        let length = started.elapsed();
        fleet.drain(publication)?;
        let counts = if self.is_engine {
            subject.count()?.merged(counts_before, u64::saturating_sub)
        } else {
            Counts::default()
        };
        Ok(Window {
            received: fleet.forget(),
            repairs: fleet.repairs(),
            wanted: publication.wanted - wanted,
            cpu,
            process_cpu,
            load_cpu,
            length,
            counts,
        })
    }
}

/// Until everybody is given what it is to see: paths are found out first, sizes of pictures change
/// at key frames.
fn settle(
    fleet: &mut Fleet,
    publication: &mut Publication,
    at_least: Duration,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut calm = 0;
    while calm < CALM_SLICES || begun.elapsed() < at_least {
        anyhow::ensure!(
            begun.elapsed() < SETTLE_TIMEOUT,
            "what is shown did not become what is wanted"
        );
        let wanted = publication.wanted;
        fleet.forget();
        fleet.run(Instant::now() + SLICE, publication)?;
        let wanted = publication.wanted - wanted;
        let packets = fleet.forget().packets;
        // At both ends of a slice a frame may be on its way.
        let is_calm = packets.abs_diff(wanted) <= wanted / SLICE_SLACK;
        calm = if is_calm { calm + 1 } else { 0 };
    }
    fleet.learn_anew();
    Ok(())
}

fn own_time() -> Duration {
    let thread = u32::try_from(nix::unistd::gettid().as_raw()).unwrap_or(0);
    thread_time(std::process::id(), thread).unwrap_or_default()
}

//! A join storm: many join one room at once where some already are. What a join costs the shard, how
//! long a newcomer waits for its first media, and what those notice who were there before.
//!
//! Newcomers come at even times whatever became of those before them. Their offers go to the subject
//! from a thread of its own, so that the load goes on sending and receiving meanwhile. Latency is
//! taken by the kernel's time of arrival: the load is busy with five hundred handshakes itself.

use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use serde_json::{Value, json};
use sfu::sdp::Description;
use sfu::sdp::description::SdpType;
use sfu::time::Duration;

use super::child::Subject;
use super::fleet::Fleet;
use super::offer::offer;
use super::publication::Publication;
use super::received::Received;
use super::scenario::Scenario;
use super::sheet::{Figure, Sheet};
use super::table::middle;
use crate::report::Histogram;

/// Between two newcomers: five hundred in a second.
const SPACING: Duration = Duration::from_millis(2);
/// Before a round's first window.
const WARM_UP: Duration = Duration::from_millis(700);
/// Microseconds of the shard's thread for each join, its forwarding meanwhile included: gate and aim.
const JOIN_MICROS: (f64, f64) = (800.0, 300.0);
/// Milliseconds from the time of asking to first media, p99.
const FIRST_MEDIA_MILLIS: (f64, f64) = (500.0, 100.0);
/// Milliseconds above the same round's idle p99.
const ADDED_MILLIS: (f64, f64) = (5.0, 5.0);

/// What one storm saw.
struct Round {
    joined: usize,
    /// Until the last one had media.
    length: Duration,
    shard_each: Duration,
    process_each: Duration,
    first_media: Histogram,
    idle: Received,
    storm: Received,
}

/// Plays `rounds` storms, each on an engine of its own.
pub(super) fn measure(
    scenario: &'static Scenario,
    newcomers: usize,
    core: usize,
    (rounds, window, judged): (usize, Duration, bool),
) -> anyhow::Result<Sheet> {
    let rounds: Vec<Round> = (0..rounds)
        .map(|_| Round::play(scenario, newcomers, core, window))
        .collect::<anyhow::Result<_>>()?;
    let middle = |each: &dyn Fn(&Round) -> f64| middle(rounds.iter().map(each).collect()).0;
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let p99 = |received: &Received| millis(received.latency.quantile(990));
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let figures = vec![
        Figure::told("newcomers", "newcomers", newcomers as f64),
        Figure::judged(
            ("a join, us of the shard", "join_us"),
            middle(&|round| micros(round.shard_each)),
            JOIN_MICROS,
        ),
        Figure::told(
            "a join, us of the process",
            "join_process_us",
            middle(&|round| micros(round.process_each)),
        ),
        Figure::judged(
            ("first media, p99 ms", "first_media_p99_ms"),
            middle(&|round| millis(round.first_media.quantile(990))),
            FIRST_MEDIA_MILLIS,
        ),
        Figure::told(
            "first media, p50 ms",
            "first_media_p50_ms",
            middle(&|round| millis(round.first_media.quantile(500))),
        ),
        Figure::told(
            "who was there: idle p99, ms",
            "idle_p99_ms",
            middle(&|round| p99(&round.idle)),
        ),
        Figure::judged(
            (
                "who was there: p99 above it in the storm, ms",
                "added_p99_ms",
            ),
            middle(&|round| p99(&round.storm) - p99(&round.idle)),
            ADDED_MILLIS,
        ),
        Figure::told(
            "until all have media, ms",
            "all_ms",
            middle(&|round| millis(round.length)),
        ),
    ];
    let numbered = (1..).zip(&rounds);
    Ok(Sheet {
        scenario,
        figures,
        faults: numbered
            .flat_map(|(number, round)| round.faults(number, newcomers))
            .collect(),
        rounds: rounds.iter().map(Round::json).collect(),
        judged,
    })
}

impl Round {
    fn play(
        scenario: &'static Scenario,
        newcomers: usize,
        core: usize,
        window: Duration,
    ) -> anyhow::Result<Self> {
        let participants_max = scenario.room_participants();
        let mut subject = Subject::engine(participants_max, 1, core)?;
        let mut fleet = Fleet::open(scenario.peers())?;
        let residents = scenario.peers() - newcomers;
        fleet.join(scenario, &mut subject, residents)?;
        fleet.time_only(residents);
        let mut publication = Publication::new(scenario, true);
        publication.begin(Instant::now());
        fleet.run(Instant::now() + WARM_UP, &mut publication)?;
        fleet.forget();
        fleet.run(Instant::now() + window, &mut publication)?;
        let idle = fleet.forget();

        let (shard, process) = (subject.cpu()?, subject.process()?.cpu);
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let (told, answers) = channel();
            let subject = &mut subject;
            let address = subject.address(residents)?;
            let asking = scope.spawn(move || ask(scenario, subject, residents, (begun, &told)));
            fleet.take_in(residents, address, &answers, &mut publication)?;
            let asked = asking.join();
            asked.unwrap_or_else(|_| Err(anyhow::anyhow!("asking ended by a panic")))
        })?;
        let length = begun.elapsed();
        let shard = subject.cpu()?.saturating_sub(shard);
        let process = subject.process()?.cpu.saturating_sub(process);
        let storm = fleet.forget();
        let mut first_media = Histogram::default();
        let mut joined = 0;
        for place in 0..newcomers {
            let due = begun + due_after(place);
            if let Some(at) = fleet.first_media(residents + place) {
                joined += 1;
                first_media.add(at.saturating_duration_since(due));
            }
        }
        let each = u32::try_from(newcomers)?.max(1);
        Ok(Self {
            joined,
            length,
            shard_each: shard / each,
            process_each: process / each,
            first_media,
            idle,
            storm,
        })
    }

    fn faults(&self, number: usize, newcomers: usize) -> Vec<String> {
        let mut faults = Vec::new();
        if self.joined < newcomers {
            faults.push(format!(
                "round {number}: {} of {newcomers} have media",
                self.joined
            ));
        }
        for (what, received) in [("before", &self.idle), ("in the storm", &self.storm)] {
            let Received {
                lost,
                samples,
                spoiled,
                ..
            } = received;
            if *lost > 0 || *spoiled > 0 || *samples == 0 {
                faults.push(format!(
                    "round {number}: {what}: {lost} packets lost, {spoiled} of {samples} samples spoiled"
                ));
            }
        }
        faults
    }

    fn json(&self) -> Value {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        json!({
            "joined": self.joined,
            "length_us": micros(self.length),
            "join_us": micros(self.shard_each),
            "join_process_us": micros(self.process_each),
            "first_media_p50_us": micros(self.first_media.quantile(500)),
            "first_media_p99_us": micros(self.first_media.quantile(990)),
            "idle_p99_us": micros(self.idle.latency.quantile(990)),
            "storm_p99_us": micros(self.storm.latency.quantile(990)),
            "packets": self.storm.packets,
            "samples": self.storm.samples,
        })
    }
}

/// When newcomer `place` comes.
fn due_after(place: usize) -> Duration {
    SPACING * u32::try_from(place).unwrap_or(u32::MAX)
}

/// Brings the newcomers' offers, each when it is due, and passes the answers on.
fn ask(
    scenario: &'static Scenario,
    subject: &mut Subject,
    residents: usize,
    (begun, told): (Instant, &Sender<(usize, Description)>),
) -> anyhow::Result<()> {
    for number in residents..scenario.peers() {
        let due = begun + due_after(number - residents);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let answer = subject.join(scenario.room(number), number, offer(scenario, number))?;
        let answer = sfu::sdp::parse(SdpType::Answer, &answer)?;
        if told.send((number, answer)).is_err() {
            // Nobody waits any more: what went wrong there is what is told.
            return Ok(());
        }
    }
    Ok(())
}

//! A22: a thousand people, twenty of whom talk at random. Does the ranking of a room's voices name
//! those who are truly loudest, and how soon?
//!
//! Levels are drawn as microphones give them: syllables in words in phrases, each with its own
//! stress; noise below; keyboards and coughs among those who do not talk; DTX, loss and jitter on
//! the way. The ranking sees rounded levels of speech and noise together. The reference sees the
//! speech alone: its energy over the same 400 ms, of those who talk. A voice of the reference counts
//! as found where it is in the ranking, or where each of the ranking's is at most 3 dB (the
//! hysteresis) fainter than it.

use std::collections::VecDeque;

use sfu::id::TrackKey;
use sfu::router::loudest::Loudest;
use sfu::time::{Duration, Instant};
use sfu::units::AudioLevel;

use super::figure::Figure;
use super::run::{Played, percentile};

/// People in the room.
const PEOPLE: usize = 1_000;
/// The first of them talk.
const TALKERS: usize = 20;
/// Voices heard.
const PLACES: usize = 3;
/// One packet.
const STEP_MS: u64 = 20;
/// Steps of the reference's window.
const WINDOW: usize = 20;
/// How long a scene lasts.
const LASTS: Duration = Duration::from_secs(60);
/// What comes before this is no change: the room begins in silence.
const SETTLED: u64 = 1_000;
/// Whoever began to talk less than this ago need not be found yet.
const GRACE: u64 = 400;
/// 3 dB.
const TOLERANCE: f64 = 2.0;

/// What a scene showed.
#[derive(Clone, Copy, Debug)]
pub struct Voiced {
    /// Voices of the reference that were found, percent of packets.
    pub found: f64,
    /// The same without the tolerance of 3 dB.
    pub found_strictly: f64,
    /// From when somebody is among the loudest three to its place, milliseconds, median.
    pub latency_ms: f64,
    /// The same, of the slowest twentieth.
    pub latency_ms_p95: f64,
    /// Changes of the set each minute.
    pub changes: f64,
    /// Of those in the set, who were neither talking nor had within two seconds, percent.
    pub strangers: f64,
}

/// The row of the table.
#[must_use]
pub fn figures(seed: u64) -> Vec<Figure> {
    let voiced = play(seed);
    vec![
        Figure::more(
            "A22",
            "loudest 3 of 1000 found, %",
            (95.0, 98.0, 100.0),
            voiced.found,
        ),
        Figure::less(
            "A22",
            "until one who is among them is, ms",
            (400.0, 300.0),
            voiced.latency_ms,
        ),
    ]
}

/// For the table of scenes; there is no link to draw.
#[must_use]
pub fn measure(seed: u64) -> (Vec<Figure>, Played) {
    let nothing = Played {
        samples: Vec::new(),
        flows: Vec::new(),
    };
    (figures(seed), nothing)
}

/// One person's microphone.
struct Person {
    /// Of speech, in dBov.
    loudness: f64,
    /// Of noise, in dBov.
    noise: f64,
    /// Noise is not sent.
    has_dtx: bool,
    /// Nothing is sent but speech.
    is_muted: bool,
    /// Spurts each minute.
    spurts: f64,
    /// Coughs and keystrokes each minute.
    coughs: f64,
    keys: f64,
    /// Power of what is to come: of speech, and of other sounds.
    speech: VecDeque<f64>,
    bursts: VecDeque<f64>,
    /// Steps since a packet was sent.
    silent_for: u64,
    /// A packet that jitter held up.
    late: Option<u8>,
    window: VecDeque<f64>,
    /// When this spurt began, in milliseconds.
    begun: Option<u64>,
    /// When it was first among the loudest since then.
    wanted_at: Option<u64>,
    /// It has had its place since then.
    has_place: bool,
    talked_at: Option<u64>,
}

/// Plays a minute.
#[must_use]
pub fn play(seed: u64) -> Voiced {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut people: Vec<Person> = (0..PEOPLE)
        .map(|number| Person::new(number < TALKERS, &mut random))
        .collect();
    let mut loudest = Loudest::default();
    let mut score = Score::default();
    let lasts = u64::try_from(LASTS.as_millis()).unwrap_or(0);
    for ms in (0..lasts).step_by(usize::try_from(STEP_MS).unwrap_or(1)) {
        let now = Instant::from_millis(ms);
        for (person, key) in people.iter_mut().zip(0..) {
            person.act(ms, &mut random);
            for level in person.sent(&mut random) {
                loudest.heard(now, TrackKey(key), AudioLevel(level));
            }
        }
        // The room's timer is due at any time between two packets.
        loudest.handle_timeout(now);
        let set: Vec<usize> = loudest.set(PLACES).map(|track| track.0 as usize).collect();
        score.look(ms, &mut people, set);
    }
    score.sum()
}

impl Person {
    fn new(talks: bool, random: &mut fastrand::Rng) -> Self {
        let kind = random.f64();
        Self {
            loudness: between(random, -28.0, -16.0),
            noise: if random.f64() < 0.1 {
                between(random, -50.0, -42.0)
            } else {
                between(random, -78.0, -52.0)
            },
            has_dtx: kind < 0.4,
            is_muted: !talks && kind > 0.7,
            // Three talk at a time on average: a spurt lasts about three seconds.
            spurts: if talks {
                between(random, 2.0, 4.0)
            } else {
                0.0
            },
            coughs: if talks { 0.0 } else { 0.02 },
            keys: if talks || random.f64() > 0.05 {
                0.0
            } else {
                20.0
            },
            speech: VecDeque::new(),
            bursts: VecDeque::new(),
            silent_for: 0,
            late: None,
            window: VecDeque::new(),
            begun: None,
            wanted_at: None,
            has_place: false,
            talked_at: None,
        }
    }

    /// One step of its life.
    fn act(&mut self, ms: u64, random: &mut fastrand::Rng) {
        #[expect(clippy::cast_precision_loss, reason = "20")]
        let step = STEP_MS as f64 / 60_000.0;
        if self.speech.is_empty() {
            self.begun = None;
            if random.f64() < self.spurts * step {
                self.speech = spurt(self.loudness, random);
                self.begun = Some(ms);
                self.wanted_at = None;
                self.has_place = false;
            }
        }
        if self.bursts.is_empty() && random.f64() < self.coughs * step {
            let level = between(random, -28.0, -10.0);
            let lasts = random.usize(4..16);
            self.bursts
                .extend((0..lasts).map(|_| power(level + between(random, -6.0, 0.0))));
        }
        if self.bursts.is_empty() && random.f64() < self.keys * step {
            self.bursts.push_back(power(between(random, -38.0, -22.0)));
        }
    }

    /// What arrives of it in this step.
    fn sent(&mut self, random: &mut fastrand::Rng) -> impl Iterator<Item = u8> + use<> {
        let speech = self.speech.pop_front().unwrap_or(0.0);
        let burst = self.bursts.pop_front().unwrap_or(0.0);
        if self.window.len() == WINDOW {
            self.window.pop_front();
        }
        self.window.push_back(speech);
        let noise = power(self.noise + between(random, -1.5, 1.5));
        let sounds = speech + burst > 0.0 || !self.speech.is_empty();
        self.silent_for = if sounds { 0 } else { self.silent_for + 1 };
        let is_sent = if self.is_muted {
            sounds
        } else {
            !self.has_dtx || self.silent_for < 10 || self.silent_for.is_multiple_of(20)
        };
        let level = level(speech + burst + noise);
        let mut arrives = [self.late.take(), None];
        if is_sent && random.f64() > 0.01 {
            if random.f64() < 0.05 {
                self.late = Some(level);
            } else {
                arrives[1] = Some(level);
            }
        }
        arrives.into_iter().flatten()
    }

    /// Its true energy.
    fn energy(&self) -> f64 {
        self.window.iter().sum()
    }
}

#[derive(Default)]
struct Score {
    wanted: usize,
    found: usize,
    found_strictly: usize,
    latencies: Vec<f64>,
    changes: usize,
    places: usize,
    strangers: usize,
    before: Vec<usize>,
}

impl Score {
    fn look(&mut self, ms: u64, people: &mut [Person], mut set: Vec<usize>) {
        for person in people
            .iter_mut()
            .take(TALKERS)
            .filter(|it| !it.speech.is_empty())
        {
            person.talked_at = Some(ms);
        }
        let mut reference: Vec<(f64, usize)> = people
            .iter()
            .enumerate()
            .take(TALKERS)
            .filter(|(_, person)| person.begun.is_some())
            .map(|(number, person)| (person.energy(), number))
            .filter(|(energy, _)| *energy > 0.0)
            .collect();
        reference.sort_by(|a, b| b.0.total_cmp(&a.0));
        reference.truncate(PLACES);
        for (_, number) in &reference {
            if let Some(person) = people.get_mut(*number) {
                person.wanted_at.get_or_insert(ms);
            }
        }
        // How soon a voice is found is the other row.
        let begins = |number: usize| {
            let begun = people.get(number).and_then(|person| person.begun);
            begun.is_some_and(|begun| ms < begun + GRACE)
        };
        reference.retain(|(_, number)| !begins(*number));
        let weakest = set
            .iter()
            .filter_map(|&number| Some(people.get(number)?.energy()))
            .fold(f64::INFINITY, f64::min);
        for (energy, number) in &reference {
            let has_place = set.contains(number);
            self.wanted += 1;
            self.found_strictly += usize::from(has_place);
            let full = set.len() == PLACES;
            self.found += usize::from(has_place || full && weakest * TOLERANCE >= *energy);
        }
        let recent = |number: &usize| {
            let person = people.get(*number);
            let talked_at = person.and_then(|person| person.talked_at);
            talked_at.is_some_and(|at| ms - at <= 2_000)
        };
        self.places += set.len();
        self.strangers += set.iter().filter(|number| !recent(number)).count();
        for number in &set {
            let Some(person) = people.get_mut(*number) else {
                continue;
            };
            if let Some(wanted_at) = person.wanted_at
                && !std::mem::replace(&mut person.has_place, true)
                && wanted_at >= SETTLED
                // Who had its place since the spurt before did not wait.
                && !(ms == wanted_at && self.before.contains(number))
            {
                #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
                self.latencies.push((ms - wanted_at) as f64);
            }
        }
        set.sort_unstable();
        self.changes += usize::from(set != self.before);
        self.before = set;
    }

    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    fn sum(mut self) -> Voiced {
        let share = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
        Voiced {
            found: share(self.found, self.wanted),
            found_strictly: share(self.found_strictly, self.wanted),
            latency_ms: percentile(&mut self.latencies, 0.5),
            latency_ms_p95: percentile(&mut self.latencies, 0.95),
            changes: self.changes as f64 * 60.0 / LASTS.as_secs_f64(),
            strangers: share(self.strangers, self.places),
        }
    }
}

/// The power of each step of one spurt: syllables in words in phrases.
fn spurt(loudness: f64, random: &mut fastrand::Rng) -> VecDeque<f64> {
    let loudness = loudness + between(random, -3.0, 3.0);
    let lasts = (-random.f64().max(1e-9).ln() * 2_500.0).clamp(600.0, 12_000.0) + 500.0;
    let mut steps = VecDeque::new();
    #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
    while (steps.len() as f64) * (STEP_MS as f64) < lasts {
        for _ in 0..random.usize(3..9) {
            for _ in 0..random.usize(1..4) {
                let stress = between(random, -4.0, 2.0);
                let lasts = random.usize(6..13);
                for step in 0..lasts {
                    let place = (step as f64 + 0.5) / lasts as f64;
                    let envelope = 20.0 * (place * std::f64::consts::PI).sin().max(0.05).log10();
                    steps.push_back(power(
                        loudness + stress + envelope + between(random, -2.0, 2.0),
                    ));
                }
            }
            steps.extend((0..random.usize(1..5)).map(|_| 0.0));
        }
        steps.extend((0..random.usize(10..30)).map(|_| 0.0));
    }
    while steps.back() == Some(&0.0) {
        steps.pop_back();
    }
    steps
}

fn between(random: &mut fastrand::Rng, low: f64, high: f64) -> f64 {
    low + random.f64() * (high - low)
}

fn power(level: f64) -> f64 {
    10_f64.powf(level / 10.0)
}

/// As RFC 6464 writes it.
fn level(power: f64) -> u8 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within 0 to 127"
    )]
    let level = (-10.0 * power.log10()).round().clamp(0.0, 127.0) as u8;
    level
}

//! What one decision of the allocator costs: 50 tracks with 9 layers each, in four situations.
//!
//! `cargo bench -p sfu --bench allocator`. Prints a table, then one line of JSON; exits 1 where a
//! gate is missed: at most 20 us for a decision in the worst situation, and no allocation.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(
    clippy::indexing_slicing,
    reason = "a benchmark that cannot run as it should ends at once and says why"
)]

use std::hint::black_box;
use std::time::Duration as Wall;

use nix::time::{ClockId, clock_gettime};

use sfu::id::SectionKey;
use sfu::router::allocator::{Allocator, Budget, Claim, Layer, Scratch, Weight};
use sfu::time::{Duration, Instant};
use sfu::units::Bitrate;

#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);

/// Tracks of one participant.
const TRACKS: u32 = 50;
/// Layers of each.
const LAYERS: usize = 9;
/// Decisions of one round.
const DECISIONS: u32 = 2_000;
/// The median of so many rounds counts.
const ROUNDS: usize = 9;
/// The gate.
const MICROS_MAX: f64 = 20.0;

/// What happens from one decision to the next.
#[derive(Clone, Copy)]
enum Situation {
    /// Everything fits.
    Plenty,
    /// Half of it fits, and nothing changes.
    Steady,
    /// The budget jumps about: cuts and upgrades in turn.
    Wavering,
    /// Each time nothing is known of anyone, and half of it fits.
    Newcomer,
}

const SITUATIONS: [(&str, Situation); 4] = [
    ("plenty", Situation::Plenty),
    ("steady", Situation::Steady),
    ("wavering", Situation::Wavering),
    ("newcomer", Situation::Newcomer),
];

struct Row {
    name: &'static str,
    micros: f64,
    allocated_bytes: usize,
    used_kbps: u64,
}

fn main() -> std::process::ExitCode {
    let rows = SITUATIONS.map(|(name, situation)| measure(name, situation));
    println!("situation  us/decision  allocated B  given kb/s");
    for row in &rows {
        println!(
            "{:9}  {:11.2}  {:11}  {:10}",
            row.name, row.micros, row.allocated_bytes, row.used_kbps
        );
    }
    let met = rows
        .iter()
        .all(|row| row.micros < MICROS_MAX && row.allocated_bytes == 0);
    let rows: Vec<String> = rows.iter().map(Row::json).collect();
    println!(
        "{{\"bench\":\"allocator\",\"tracks\":{TRACKS},\"layers\":{LAYERS},\"micros_max\":{MICROS_MAX},\"met\":{met},\"rows\":[{}]}}",
        rows.join(",")
    );
    std::process::ExitCode::from(u8::from(!met))
}

impl Row {
    fn json(&self) -> String {
        format!(
            "{{\"situation\":\"{}\",\"micros\":{:.2},\"allocated_bytes\":{},\"used_kbps\":{}}}",
            self.name, self.micros, self.allocated_bytes, self.used_kbps
        )
    }
}

/// Three sizes at three rates, no two tracks alike.
fn layers(track: u32) -> [Layer; LAYERS] {
    let mut place = 0u8;
    [(); LAYERS].map(|()| {
        let (spatial, temporal) = (place / 3, place % 3);
        place += 1;
        let (size, rate) = (usize::from(spatial), usize::from(temporal));
        let kbps = [150, 500, 1_500][size] * [40, 60, 100][rate] / 100;
        Layer {
            spatial,
            temporal,
            height: [180, 360, 720][size],
            fps: [7, 15, 30][rate],
            bitrate: Bitrate::from_kbps(kbps * u64::from(90 + track % 21) / 100),
        }
    })
}

fn measure(name: &'static str, situation: Situation) -> Row {
    let ladders: Vec<_> = (0..TRACKS).map(layers).collect();
    let mut stage = Stage {
        ladders: &ladders,
        allocator: Allocator::default(),
        scratch: Scratch::default(),
        now: Instant::ZERO,
        used: Bitrate::default(),
    };
    // Buffers grow to their size before anything is counted.
    stage.play(situation);
    let mut rounds = Vec::new();
    let mut allocated_bytes = 0;
    for _ in 0..ROUNDS {
        let before = ALLOCATOR.total_allocated();
        let spent = cpu(|| stage.play(situation));
        allocated_bytes += ALLOCATOR.total_allocated() - before;
        rounds.push(spent.as_secs_f64() * 1e6 / f64::from(DECISIONS));
    }
    rounds.sort_by(f64::total_cmp);
    Row {
        name,
        micros: rounds[ROUNDS / 2],
        allocated_bytes,
        used_kbps: stage.used.as_bps() / 1_000,
    }
}

struct Stage<'a> {
    ladders: &'a [[Layer; LAYERS]],
    allocator: Allocator,
    scratch: Scratch,
    now: Instant,
    used: Bitrate,
}

impl Stage<'_> {
    fn play(&mut self, situation: Situation) {
        for turn in 0..DECISIONS {
            self.now += Duration::from_millis(500);
            let rate = match situation {
                Situation::Plenty => 100_000,
                Situation::Steady | Situation::Newcomer => 15_000,
                Situation::Wavering => 8_000 + u64::from(turn * 7_919 % 14_000),
            };
            if matches!(situation, Situation::Newcomer) {
                // Forgets by having no claims; that is not a decision worth counting.
                self.decide(rate, 0, turn);
            }
            self.decide(rate, self.ladders.len(), turn);
        }
    }

    fn decide(&mut self, rate: u64, n_tracks: usize, turn: u32) {
        let speaker = turn / 16 % TRACKS;
        let tracks = (0..).zip(self.ladders).take(n_tracks);
        let claims = tracks.map(|(track, layers)| Claim {
            section: SectionKey(track),
            weight: Weight {
                priority: 128,
                is_active_speaker: track == speaker,
                is_pinned: track == 7,
                is_screen_share: track == 11,
            },
            wanted_height: 0,
            may_pause: true,
            is_hidden: false,
            layers,
            current: None,
        });
        let budget = Budget {
            fast: Bitrate::from_kbps(rate),
            carried: Bitrate::from_kbps(rate),
            stable: Bitrate::from_kbps(rate),
        };
        let outcome = self
            .allocator
            .allocate(&mut self.scratch, self.now, budget, claims);
        self.used = black_box(outcome).used;
    }
}

/// CPU time of this thread while `work` ran: other load on the machine does not count.
fn cpu(work: impl FnOnce()) -> Wall {
    let before = thread_time();
    work();
    thread_time() - before
}

fn thread_time() -> Wall {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map(Wall::from)
        .unwrap_or_default()
}

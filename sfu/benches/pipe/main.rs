//! What a pipe costs: CPU of a packet that goes to one subscriber on another shard, less that of one
//! that goes to a subscriber on the same, in memory, with the same bytes in the same run.
//!
//! `cargo bench -p sfu --bench pipe`. Prints a table, then one line of JSON; exits 1 where a gate is
//! missed: at most 0.3 us for each packet carried, and no allocation.
//!
//! The difference holds all that is done twice or besides: the message written and read, a second
//! history, a second shard's turn for each frame. What is not in it is the other thread's wake: that is
//! the kernel's, and in `loadtest bench hot-room`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a benchmark that cannot run as it should ends at once and says why"
)]

#[path = "../forward/host.rs"]
mod host;

use std::time::Duration as Wall;

use nix::time::{ClockId, clock_gettime};

use host::{Media, Stage};

#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);

/// Bytes of one RTP packet, header and all, before it is sealed.
const PACKET_BYTES: usize = 1_200;
/// Packets of one frame: 1 Mb/s at 30 frames a second.
const FRAME_PACKETS: usize = 4;
/// Before anything is counted, twice.
const WARM_UP_FRAMES: usize = 500;
/// Of a round; it ends before consent is due again.
const FRAMES: usize = 1_000;
/// One shard and two in turn; the median of their differences counts.
const ROUNDS: usize = 15;
/// At most this much for each packet carried.
const CARRIED_NS_MAX: f64 = 300.0;

/// What is shown; the first is judged.
const MEDIA: [Media; 6] = [
    Media::Vp8Plain,
    Media::Vp8,
    Media::Vp9,
    Media::H264,
    Media::Av1,
    Media::Opus,
];

/// What one kind of media came to.
struct Row {
    media: Media,
    near_ns: f64,
    far_ns: f64,
    carried_ns: f64,
    allocated_bytes: usize,
}

fn main() -> std::process::ExitCode {
    let rows = MEDIA.map(measure);
    println!("media     one shard ns/pkt  two ns/pkt  carried ns/pkt  allocated B");
    for row in &rows {
        println!(
            "{:8}  {:16.0}  {:10.0}  {:14.0}  {:11}",
            format!("{:?}", row.media),
            row.near_ns,
            row.far_ns,
            row.carried_ns,
            row.allocated_bytes
        );
    }
    let allocates = rows.iter().any(|row| row.allocated_bytes > 0);
    let met = !allocates && rows[0].carried_ns <= CARRIED_NS_MAX;
    let rows = rows.map(|row| row.json());
    println!(
        "{{\"bench\":\"pipe\",\"packet_bytes\":{PACKET_BYTES},\"carried_ns_max\":{CARRIED_NS_MAX},\"met\":{met},\"rows\":[{}]}}",
        rows.join(",")
    );
    std::process::ExitCode::from(u8::from(!met))
}

impl Row {
    fn json(&self) -> String {
        format!(
            "{{\"media\":\"{:?}\",\"near_ns\":{:.0},\"far_ns\":{:.0},\"carried_ns\":{:.0},\"allocated_bytes\":{}}}",
            self.media, self.near_ns, self.far_ns, self.carried_ns, self.allocated_bytes
        )
    }
}

fn measure(media: Media) -> Row {
    let packets = (FRAMES * FRAME_PACKETS) as f64;
    let mut stages = [false, true].map(|spread| Stage::new(1, media, spread));
    // Tables and rings grow to their size before anything is counted.
    for stage in &mut stages {
        for _ in 0..2 {
            stage.refresh();
            let mut warm_up = stage.frames(WARM_UP_FRAMES);
            stage.play(&mut warm_up);
        }
    }
    let mut rounds = Vec::new();
    let mut allocated_bytes = 0;
    for _ in 0..ROUNDS {
        let [near, far] = stages.each_mut().map(|stage| {
            stage.refresh();
            let mut sealed = stage.frames(FRAMES);
            let before = ALLOCATOR.total_allocated();
            let time = cpu(|| stage.play(&mut sealed));
            allocated_bytes += ALLOCATOR.total_allocated() - before;
            time.as_secs_f64() * 1e9 / packets
        });
        rounds.push((near, far));
    }
    let wanted = (ROUNDS * FRAMES + 2 * WARM_UP_FRAMES) * FRAME_PACKETS;
    for stage in &stages {
        let sent = stage.sent();
        assert_eq!(sent.packets as usize, wanted, "packets went missing");
    }
    rounds.sort_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)));
    let (near_ns, far_ns) = rounds[ROUNDS / 2];
    Row {
        media,
        near_ns,
        far_ns,
        carried_ns: far_ns - near_ns,
        allocated_bytes,
    }
}

/// What a call takes of a core.
fn cpu(call: impl FnOnce()) -> Wall {
    let now = || {
        let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
        Wall::from(time.expect("the kernel counts CPU time"))
    };
    let begun = now();
    call();
    now() - begun
}

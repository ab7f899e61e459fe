//! What forwarding costs: CPU per forwarded packet at fan-out 1, 10 and 100, and of each codec, in
//! memory, against a bare loop that copies and seals the same bytes in the same run.
//!
//! `cargo bench -p sfu --bench forward`. Prints a table, then one line of JSON; exits 1 where a
//! gate is missed: at fan-out 100 no allocation, and at most 3 times the bare loop.
//!
//! Everything is real but the network: offers of a browser, ICE checks, DTLS by the library, SRTP
//! by AEAD_AES_256_GCM (what the handshake agrees on). One publisher sends frames of 10 packets.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a benchmark that cannot run as it should ends at once and says why"
)]

mod bare;
mod host;

use std::time::Duration as Wall;

use nix::time::{ClockId, clock_gettime};

use host::{Media, Stage};

#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);

/// Bytes of one RTP packet, header and all, before it is sealed.
const PACKET_BYTES: usize = 1_200;
/// Packets of one frame.
const FRAME_PACKETS: usize = 10;
/// Before anything is counted, twice.
const WARM_UP_FRAMES: usize = 150;
/// Rounds of subject and bare loop, one after the other; the median of their ratios counts.
const ROUNDS: usize = 7;
/// At most this many times the bare loop, at the highest fan-out.
const RATIO_MAX: f64 = 3.0;

/// The highest fan-out, which is judged, and what else is shown.
const JUDGED: (usize, Media) = (100, Media::Vp8Plain);
const SHOWN: [(usize, Media); 8] = [
    (1, Media::Vp8Plain),
    // More than a cache of the second level holds.
    (500, Media::Vp8Plain),
    (10, Media::Vp8Plain),
    (10, Media::Opus),
    (10, Media::Vp8),
    (10, Media::Vp9),
    (10, Media::H264),
    (10, Media::Av1),
];

/// What one fan-out came to.
struct Row {
    media: Media,
    fan_out: usize,
    forward_ns: f64,
    bare_ns: f64,
    ratio: f64,
    allocated_bytes: usize,
    run_segments: f64,
}

fn main() -> std::process::ExitCode {
    let rows: Vec<Row> = SHOWN.into_iter().chain([JUDGED]).map(measure).collect();
    println!("media     fan-out  forward ns/pkt  bare ns/pkt  ratio  allocated B  segments/run");
    for row in &rows {
        println!(
            "{:8}  {:7}  {:14.0}  {:11.0}  {:5.2}  {:11}  {:12.1}",
            format!("{:?}", row.media),
            row.fan_out,
            row.forward_ns,
            row.bare_ns,
            row.ratio,
            row.allocated_bytes,
            row.run_segments
        );
    }
    let met = rows
        .last()
        .is_some_and(|row| row.allocated_bytes == 0 && row.ratio <= RATIO_MAX);
    let rows: Vec<String> = rows.iter().map(Row::json).collect();
    println!(
        "{{\"bench\":\"forward\",\"packet_bytes\":{PACKET_BYTES},\"ratio_max\":{RATIO_MAX},\"met\":{met},\"rows\":[{}]}}",
        rows.join(",")
    );
    std::process::ExitCode::from(u8::from(!met))
}

impl Row {
    fn json(&self) -> String {
        format!(
            "{{\"media\":\"{:?}\",\"fan_out\":{},\"forward_ns\":{:.0},\"bare_ns\":{:.0},\"ratio\":{:.3},\"allocated_bytes\":{},\"run_segments\":{:.1}}}",
            self.media,
            self.fan_out,
            self.forward_ns,
            self.bare_ns,
            self.ratio,
            self.allocated_bytes,
            self.run_segments
        )
    }
}

fn measure((fan_out, media): (usize, Media)) -> Row {
    // About 60,000 forwarded packets a round, but never so few frames that a wake-up shows.
    let frames = (6_000 / fan_out).clamp(60, 1_000);
    let packets = (frames * FRAME_PACKETS * fan_out) as f64;
    let mut stage = Stage::new(fan_out, media, false);
    let mut bare = bare::Bare::new(fan_out, media.bytes());
    // Tables and rings grow to their size before anything is counted.
    for _ in 0..2 {
        stage.refresh();
        let mut warm_up = stage.frames(WARM_UP_FRAMES);
        stage.play(&mut warm_up);
    }
    let mut rounds = Vec::new();
    let mut allocated_bytes = 0;
    for _ in 0..ROUNDS {
        stage.refresh();
        let mut sealed = stage.frames(frames);
        let before = ALLOCATOR.total_allocated();
        let forward = cpu(|| stage.play(&mut sealed));
        allocated_bytes += ALLOCATOR.total_allocated() - before;
        let floor = cpu(|| bare.play(frames));
        rounds.push((nanos(forward) / packets, nanos(floor) / packets));
    }
    let sent = stage.sent();
    let wanted = (ROUNDS * frames + 2 * WARM_UP_FRAMES) * FRAME_PACKETS * fan_out;
    assert_eq!(sent.packets as usize, wanted, "packets went missing");
    rounds.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (forward_ns, bare_ns) = rounds[ROUNDS / 2];
    Row {
        media,
        fan_out,
        forward_ns,
        bare_ns,
        ratio: forward_ns / bare_ns,
        allocated_bytes,
        run_segments: sent.packets as f64 / sent.runs as f64,
    }
}

fn nanos(time: Wall) -> f64 {
    time.as_secs_f64() * 1e9
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

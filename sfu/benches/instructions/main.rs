//! The guard against slower forwarding: instructions for each forwarded packet, which unlike times
//! repeat, at fan-out 1, 10 and 100 and for the rewriting of each codec; and for each packet that the
//! estimator and the pacer look at.
//!
//! `cargo bench -p sfu --bench instructions` counts them with valgrind's callgrind and compares
//! them with `counts.txt`; it exits 1 where forwarding takes over 4 % more. `-- --renew` writes the
//! file anew: do so where something was gained, or it may be lost again unseen.
//!
//! What is counted is this program's own part, from a datagram handed in to the outbox being full:
//! neither the cryptography (which chooses its code by the processor) nor libc. Another compiler
//! makes other code, so where it is not the file's the counts are shown and not judged.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its table"
)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a benchmark that cannot run as it should ends at once and says why"
)]

mod callgrind;
mod counts;
#[path = "../estimator/estimation.rs"]
mod estimation;
#[path = "../forward/host.rs"]
mod host;

use std::process::ExitCode;

use counts::Counts;
use estimation::{Estimation, TOLD};
use host::{Media, Stage};

/// Bytes of one RTP packet of a picture, header and all, before it is sealed.
const PACKET_BYTES: usize = 1_200;
/// Packets of one frame.
const FRAME_PACKETS: usize = 10;
/// Tables and rings grow to their size before anything is counted.
const WARM_UP_FRAMES: usize = 60;
/// Forwarded packets that are counted, at least.
const PACKETS: usize = 4_000;
/// Feedbacks of as many packets.
const FEEDBACKS: u32 = (PACKETS / TOLD) as u32;
/// What packets wait at most before the estimator hears of them, by turns, in µs.
const QUEUE: u64 = 6_000;

/// What is counted.
struct Case {
    name: &'static str,
    work: Work,
}

enum Work {
    Forward { fan_out: usize, media: Media },
    Estimate,
}

const CASES: [Case; 9] = [
    case("fan-out-1", 1, Media::Vp8Plain),
    case("fan-out-10", 10, Media::Vp8Plain),
    case("fan-out-100", 100, Media::Vp8Plain),
    case("opus", 10, Media::Opus),
    case("vp8", 10, Media::Vp8),
    case("vp9", 10, Media::Vp9),
    case("h264", 10, Media::H264),
    case("av1", 10, Media::Av1),
    Case {
        name: "estimator",
        work: Work::Estimate,
    },
];

const fn case(name: &'static str, fan_out: usize, media: Media) -> Case {
    Case {
        name,
        work: Work::Forward { fan_out, media },
    }
}

impl Case {
    /// Works under callgrind's eyes.
    fn play(&self) {
        match self.work {
            Work::Forward { fan_out, media } => forward(fan_out, media),
            Work::Estimate => Estimation::new(QUEUE).play(FEEDBACKS, false),
        }
    }

    /// Instructions for each packet.
    fn count(&self) -> u64 {
        let instructions = callgrind::count(self.name, callgrind::MEASURED);
        let packets = match self.work {
            Work::Forward { fan_out, .. } => frames(fan_out) * FRAME_PACKETS * fan_out,
            Work::Estimate => FEEDBACKS as usize * TOLD,
        };
        instructions / packets as u64
    }
}

/// Frames that are counted.
const fn frames(fan_out: usize) -> usize {
    (PACKETS / FRAME_PACKETS).div_ceil(fan_out)
}

fn forward(fan_out: usize, media: Media) {
    let mut stage = Stage::new(fan_out, media, false);
    stage.refresh();
    let mut warm_up = stage.frames(WARM_UP_FRAMES);
    stage.play(&mut warm_up);
    stage.refresh();
    let mut sealed = stage.frames(frames(fan_out));
    measured(&mut stage, &mut sealed);
    let sent = stage.sent();
    let wanted = (WARM_UP_FRAMES + frames(fan_out)) * FRAME_PACKETS * fan_out;
    assert_eq!(
        sent.packets as usize, wanted,
        "packets went missing in {} runs",
        sent.runs
    );
}

/// What callgrind counts, by its name.
#[inline(never)]
fn measured(stage: &mut Stage, sealed: &mut [Vec<u8>]) {
    stage.play(sealed);
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["--case", name] => {
            let case = CASES.iter().find(|case| case.name == *name);
            case.expect("a case of this bench").play();
            ExitCode::SUCCESS
        }
        rest => judge(rest.contains(&"--renew")),
    }
}

/// Counts all cases and says how they stand to the file.
fn judge(renew: bool) -> ExitCode {
    // Two at a time: they share nothing but the machine.
    let mut found = Vec::new();
    for pair in CASES.chunks(2) {
        std::thread::scope(|scope| {
            let running: Vec<_> = pair
                .iter()
                .map(|case| scope.spawn(|| (case.name, case.count())))
                .collect();
            found.extend(running.into_iter().map(|one| one.join().expect("a count")));
        });
    }
    let found = Counts::of_this_compiler(found);
    if renew {
        found.write();
        println!("{found}");
        return ExitCode::SUCCESS;
    }
    let known = Counts::read();
    print!("{}", found.beside(&known));
    let misses = found.misses(&known);
    for miss in &misses {
        eprintln!("{miss}");
    }
    if misses.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("If that is meant to be: cargo bench -p sfu --bench instructions -- --renew");
    ExitCode::FAILURE
}

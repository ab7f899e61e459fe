//! `loadtest`: robots against a running server, churn against one in this process, scenes against
//! a simulated one, a bad network between real programs.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use loadtest::allocator::{Counting, counting};
use loadtest::bench::{BenchParameters, bench as stand, document as document_stand};
use loadtest::churn::{ChurnParameters, churn};
use loadtest::emulator::ports::{Ports, emulate};
use loadtest::load::{LoadParameters, run};
use loadtest::network::{bench, document};
use loadtest::scene::Scene;
use tokio::sync::mpsc;

#[global_allocator]
static ALLOCATOR: Counting = counting();

/// Robots for Plenum.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Robots in rooms of a running server.
    Run(RunArguments),
    /// Joins and leaves over real sockets, in this process: is anything left behind?
    Churn(ChurnArguments),
    /// The estimator on simulated bad networks: the table of gates, one line of JSON, pictures.
    NetworkBench(NetworkBenchArguments),
    /// The measuring stand: what a packet costs beside an ideal forwarder in the same run.
    Bench(BenchArguments),
    /// What the stand measures, told by lines of its input.
    #[command(hide = true)]
    BenchSubject(BenchSubjectArguments),
    /// A bad network between real programs, told by lines of its input.
    Emulate(EmulateArguments),
    /// Plays scenes in the simulated world; the laws hold, or the smallest scene is printed.
    Scene(SceneArguments),
}

#[derive(Debug, Args)]
struct RunArguments {
    /// The server's WebSocket.
    #[arg(long, default_value = "ws://127.0.0.1:8080/v1/connect")]
    url: String,
    /// Rooms.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=500))]
    rooms: u32,
    /// Participants of each room.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=500))]
    participants: u32,
    /// Participants of each room who publish; all of them unless said.
    #[arg(long)]
    publishers: Option<u32>,
    /// How long.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,
    /// Packets of 1,100 bytes in a video frame, 30 frames a second; 0: only audio.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=50))]
    video_packets: u16,
    /// Between two joins.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    join_interval_ms: u64,
    /// The server's process, for its CPU time.
    #[arg(long)]
    pid: Option<u32>,
    /// All chance of the robots.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Args)]
struct ChurnArguments {
    /// Rooms made and emptied.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(20..=1_000_000))]
    cycles: u32,
    /// Rooms at the same time.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    lanes: u32,
    /// All chance of the robots.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Args)]
struct NetworkBenchArguments {
    /// Only scenes whose name begins so.
    #[arg(default_value = "")]
    only: String,
    /// Seeds 1 to this.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    seeds: u64,
    /// A folder for pictures, one SVG for each scene.
    #[arg(long)]
    pictures: Option<std::path::PathBuf>,
    /// The folder of the documentation: renews the pictures and the table of its `adaptation.md`.
    #[arg(long, conflicts_with_all = ["only", "pictures"])]
    docs: Option<std::path::PathBuf>,
}

#[derive(Debug, Args)]
struct BenchArguments {
    /// Which; without it, all are listed.
    scenario: Option<String>,
    /// The folder of the documentation: plays what stands in its `performance.md`, in one go, and
    /// renews tables and picture.
    #[arg(long, conflicts_with_all = ["scenario", "quick", "modes"])]
    docs: Option<std::path::PathBuf>,
    /// Rounds of floor and server.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Measured of each, in every round.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Also the other ways to send without a server, once each.
    #[arg(long)]
    modes: bool,
    /// One round of a second, times unjudged: shows that the stand works.
    #[arg(long)]
    quick: bool,
}

#[derive(Debug, Args)]
struct BenchSubjectArguments {
    /// Where it runs.
    #[arg(long)]
    core: usize,
}

#[derive(Debug, Args)]
struct EmulateArguments {
    /// Where its ports are: an address of this machine.
    #[arg(long, default_value = "127.0.0.1")]
    address: std::net::IpAddr,
    /// Lines to follow before those of the input.
    #[arg(long)]
    script: Option<std::path::PathBuf>,
    /// All chance of the links.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Args)]
struct SceneArguments {
    /// A file with a scene; random ones unless said.
    file: Option<std::path::PathBuf>,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    seeds: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().what {
        What::Run(arguments) => load(arguments).await,
        What::Churn(arguments) => churned(arguments).await,
        What::NetworkBench(arguments) => benched(&arguments),
        What::Bench(arguments) => stood(arguments).await,
        What::BenchSubject(arguments) => {
            let core = arguments.core;
            tokio::task::spawn_blocking(move || loadtest::bench::serve(core)).await??;
            Ok(ExitCode::SUCCESS)
        }
        What::Emulate(arguments) => emulated(arguments).await,
        What::Scene(arguments) => played(&arguments),
    }
}

async fn load(arguments: RunArguments) -> anyhow::Result<ExitCode> {
    let parameters = LoadParameters {
        url: arguments.url,
        rooms: arguments.rooms,
        participants: arguments.participants,
        publishers: arguments.publishers.unwrap_or(arguments.participants),
        seconds: arguments.seconds,
        video_packets: arguments.video_packets,
        join_interval: Duration::from_millis(arguments.join_interval_ms),
        pid: arguments.pid,
        seed: arguments.seed,
    };
    let report = run(&parameters).await;
    say(&format!("{report}{}\n", report.json()))?;
    let failed = !report.failures.is_empty() || report.spoiled > 0;
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn churned(arguments: ChurnArguments) -> anyhow::Result<ExitCode> {
    let parameters = ChurnParameters {
        cycles: arguments.cycles,
        lanes: arguments.lanes,
        seed: arguments.seed,
    };
    let report = churn(parameters, || ALLOCATOR.allocated()).await?;
    say(&format!("{report}\n"))?;
    let misses = report.misses();
    for miss in &misses {
        say(&format!("missed: {miss}\n"))?;
    }
    Ok(if misses.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn benched(arguments: &NetworkBenchArguments) -> anyhow::Result<ExitCode> {
    let report = if let Some(docs) = &arguments.docs {
        document(docs, arguments.seeds)?
    } else {
        let pictures = arguments.pictures.as_deref();
        bench(&arguments.only, arguments.seeds, pictures)?
    };
    say(&format!("{}{}\n", report.table, report.json))?;
    Ok(if report.is_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn stood(arguments: BenchArguments) -> anyhow::Result<ExitCode> {
    if arguments.scenario.is_none() && arguments.docs.is_none() {
        say(&loadtest::bench::scenarios())?;
        return Ok(ExitCode::SUCCESS);
    }
    let (rounds, seconds) = if arguments.quick {
        (1, 1)
    } else {
        (arguments.rounds, arguments.seconds)
    };
    let parameters = BenchParameters {
        scenario: arguments.scenario.unwrap_or_default(),
        rounds: usize::try_from(rounds)?,
        window: Duration::from_secs(u64::from(seconds)),
        modes: arguments.modes,
        quick: arguments.quick,
    };
    // It binds its thread to a core: not one of the runtime's.
    let played = tokio::task::spawn_blocking(move || match arguments.docs {
        // What cannot be said now is in the table as well.
        Some(docs) => document_stand(&docs, &parameters, |table| drop(say(table))),
        None => stand(&parameters),
    });
    let report = played.await??;
    say(&format!("{}{}\n", report.table, report.json))?;
    Ok(if report.is_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn emulated(arguments: EmulateArguments) -> anyhow::Result<ExitCode> {
    let script = arguments.script.map(std::fs::read_to_string).transpose()?;
    let (told, lines) = mpsc::channel(64);
    tokio::task::spawn_blocking(move || {
        let script = script.unwrap_or_default();
        let input = std::io::stdin().lines().map_while(Result::ok);
        for line in script.lines().map(str::to_owned).chain(input) {
            if told.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let ports = Ports::new(arguments.address, arguments.seed);
    emulate(ports, lines, |answer| say(&format!("{answer}\n"))).await?;
    Ok(ExitCode::SUCCESS)
}

fn played(arguments: &SceneArguments) -> anyhow::Result<ExitCode> {
    let script = arguments
        .file
        .as_ref()
        .map(std::fs::read_to_string)
        .transpose()?;
    let script = script.map(|text| Scene::parse(&text)).transpose()?;
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.seeds) {
        let scene = script.clone().unwrap_or_else(|| Scene::random(seed));
        if let Err(failure) = scene.play(seed) {
            say(&format!("seed {seed}: {failure}\n{}", scene.minimal(seed)))?;
            return Ok(ExitCode::FAILURE);
        }
    }
    say(&format!(
        "{} seeds from {}: every law held\n",
        arguments.seeds, arguments.seed
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// To people; the lint against `println!` keeps stray prints out, this is the one meant.
fn say(text: &str) -> std::io::Result<()> {
    std::io::Write::write_all(&mut std::io::stdout().lock(), text.as_bytes())
}

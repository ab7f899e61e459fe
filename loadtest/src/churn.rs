//! Do comings and goings leave anything behind? Rooms are made, two robots meet in each over real
//! sockets, publish, see each other and leave; heap, tables, tasks and descriptors are looked at
//! while nobody is there.
//!
//! Robots and server share this process and its counting allocator: what either leaves is found.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, bail, ensure};
use sfu::engine::{Engine, EngineConfig};
use sfu::id::{ParticipantId, RoomId};
use sfu::shard::TableSizes;
use sfu::time::Duration;

use crate::net::engine::{Joined, Lobby};
use crate::net::{Clock, Seat};
use crate::report::Process;
use crate::robot::Robot;
use crate::robot::publication::PublishParameters;

/// Live heap may be this much larger after all cycles than after half of them.
pub const GROWTH_MAX: usize = 32 << 10;
/// A cycle that takes longer has failed.
const CYCLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Until the last one's things are put away.
const REST_TIMEOUT: Duration = Duration::from_secs(15);
/// Video is a robot's second publication.
const VIDEO: u8 = 1;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct ChurnParameters {
    /// Rooms made and emptied.
    pub cycles: u32,
    /// Rooms at the same time.
    pub lanes: u32,
    /// All chance of the robots.
    pub seed: u64,
}

/// What there is while nobody is here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Live heap bytes, of the whole process.
    pub heap_bytes: usize,
    /// Tasks of the runtime.
    pub tasks: usize,
    /// The process, by the kernel.
    pub process: Process,
    /// The shard's tables.
    pub sizes: TableSizes,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct ChurnReport {
    /// How much of it.
    pub cycles: u32,
    /// After a few cycles that fill what is made once.
    pub start: Snapshot,
    /// After half the cycles.
    pub half: Snapshot,
    /// After all of them.
    pub end: Snapshot,
}

impl ChurnReport {
    /// What is larger than it may be.
    #[must_use]
    pub fn misses(&self) -> Vec<String> {
        let mut misses = Vec::new();
        let growth = self.end.heap_bytes.saturating_sub(self.half.heap_bytes);
        if growth > GROWTH_MAX {
            misses.push(format!(
                "the heap grew by {growth} bytes, at most {GROWTH_MAX}"
            ));
        }
        let (start, end) = (&self.start, &self.end);
        if end.sizes != start.sizes {
            misses.push(format!(
                "tables: {:?}, at the start {:?}",
                end.sizes, start.sizes
            ));
        }
        if end.tasks > start.tasks {
            misses.push(format!("{} tasks, at the start {}", end.tasks, start.tasks));
        }
        let (before, after) = (start.process.descriptors, end.process.descriptors);
        if after > before {
            misses.push(format!("{after} descriptors, at the start {before}"));
        }
        misses
    }
}

impl fmt::Display for ChurnReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} cycles: join, publish, see each other, leave",
            self.cycles
        )?;
        for (name, it) in [
            ("start", &self.start),
            ("half", &self.half),
            ("end", &self.end),
        ] {
            writeln!(
                f,
                "{name:<6} heap {:>9} B   RSS {:>6} KiB   {} tasks, {} descriptors, {} timers",
                it.heap_bytes,
                it.process.resident_bytes >> 10,
                it.tasks,
                it.process.descriptors,
                it.sizes.timers
            )?;
        }
        let growth =
            i128::from(self.end.heap_bytes as u64) - i128::from(self.half.heap_bytes as u64);
        write!(
            f,
            "heap from half to end: {growth:+} B (at most +{GROWTH_MAX})"
        )
    }
}

/// Runs all cycles. `allocated`: live heap bytes of this process.
///
/// # Errors
/// A cycle failed, or the last one's things are not put away.
pub async fn churn(
    parameters: ChurnParameters,
    allocated: fn() -> usize,
) -> anyhow::Result<ChurnReport> {
    let udp = vec![SocketAddr::new(
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        free_port().await?,
    )];
    let config = EngineConfig {
        udp,
        shards: Some(1),
        offer_loopback: true,
        ..EngineConfig::default()
    };
    let (engine, mut news) = Engine::start(config, Arc::new(crate::identity::node()))?;
    let lobby = Lobby::open(engine, 0, news.remove(0));
    let run = Run {
        lobby,
        clock: Clock::start(),
        seed: parameters.seed,
        allocated,
    };
    let (warm, half) = (parameters.lanes * 2, parameters.cycles / 2);
    run.cycles(0..warm, parameters.lanes).await?;
    let start = run.snapshot().await?;
    run.cycles(warm..half.max(warm), parameters.lanes).await?;
    let half_way = run.snapshot().await?;
    run.cycles(half.max(warm)..parameters.cycles, parameters.lanes)
        .await?;
    let end = run.snapshot().await?;
    run.lobby.engine().shutdown().await;
    Ok(ChurnReport {
        cycles: parameters.cycles,
        start,
        half: half_way,
        end,
    })
}

/// What all lanes share.
#[derive(Clone)]
struct Run {
    lobby: Lobby,
    clock: Clock,
    seed: u64,
    allocated: fn() -> usize,
}

impl Run {
    async fn cycles(&self, range: std::ops::Range<u32>, lanes: u32) -> anyhow::Result<()> {
        let next = Arc::new(AtomicU32::new(range.start));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..lanes {
            let (run, next, end) = (self.clone(), Arc::clone(&next), range.end);
            tasks.spawn(async move {
                loop {
                    let cycle = next.fetch_add(1, Ordering::Relaxed);
                    if cycle >= end {
                        return anyhow::Ok(());
                    }
                    run.cycle(cycle)
                        .await
                        .with_context(|| format!("cycle {cycle}"))?;
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    }

    async fn cycle(&self, cycle: u32) -> anyhow::Result<()> {
        let base = (u64::from(cycle) + 1) << 8;
        let room = RoomId(base);
        self.lobby.create_room(room).await?;
        let (mut ada, mut ada_in) = self.enter(room, base, 1).await?;
        let (mut bob, mut bob_in) = self.enter(room, base, 2).await?;
        let until = self.clock.now() + CYCLE_TIMEOUT;
        // Both go on until both are content.
        let content = AtomicU32::new(0);
        let (first, second) = tokio::join!(
            ada.drive(&mut ada_in.wire, until, |robot| both_content(
                robot, 2, &content
            )),
            bob.drive(&mut bob_in.wire, until, |robot| both_content(
                robot, 1, &content
            )),
        );
        if !(first? && second?) {
            let seen = [&ada.robot, &bob.robot].map(|robot| {
                (
                    robot.connected_at(),
                    robot.is_stable(),
                    robot.receiver().sources().len(),
                )
            });
            bail!("they did not see each other: {seen:?}");
        }
        // One says goodbye to the door, the other one only closes its stack.
        self.lobby.leave(ada_in).await?;
        bob.robot.close(bob.now());
        let soon = self.clock.now() + Duration::from_millis(20);
        bob.drive(&mut bob_in.wire, soon, |_| false).await?;
        self.lobby.forget(bob_in).await?;
        self.lobby.delete_room(room).await?;
        Ok(())
    }

    async fn enter(&self, room: RoomId, base: u64, number: u32) -> anyhow::Result<(Seat, Joined)> {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let seed = self.seed ^ (base | u64::from(number));
        let mut seat = Seat::open(number, seed, self.clock, ip).await?;
        let participant = ParticipantId(base | u64::from(number));
        let joined = self.lobby.join(room, participant).await?;
        seat.robot.publish(seat.now(), PublishParameters::audio());
        seat.robot.publish(seat.now(), PublishParameters::video(2));
        Ok((seat, joined))
    }

    /// Waits until nothing is left, then looks.
    async fn snapshot(&self) -> anyhow::Result<Snapshot> {
        let until = self.clock.now() + REST_TIMEOUT;
        loop {
            let mut inspections = self.lobby.engine().inspect().await?;
            ensure!(inspections.len() == 1, "one shard was asked for");
            let inspection = inspections.remove(0).inspection;
            let sizes = inspection.sizes;
            if sizes == TableSizes::default() {
                drop(inspections);
                // Tasks of robots that have just been dropped end in their own time.
                tokio::time::sleep(Duration::from_millis(300)).await;
                return Ok(Snapshot {
                    heap_bytes: (self.allocated)(),
                    tasks: tokio::runtime::Handle::current()
                        .metrics()
                        .num_alive_tasks(),
                    process: Process::own(),
                    sizes,
                });
            }
            ensure!(self.clock.now() < until, "all have left, but {sizes:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Whether this robot has decoded video of the other, and the other of this one.
fn both_content(robot: &Robot, other: u32, content: &AtomicU32) -> bool {
    let seen = robot.receiver().sources().get(&(other, VIDEO));
    if seen.is_some_and(|it| it.decoded > 0) {
        content.fetch_or(robot.number(), Ordering::Relaxed);
    }
    content.load(Ordering::Relaxed) == 3
}

/// A UDP port of loopback that nobody had a moment ago.
async fn free_port() -> std::io::Result<u16> {
    let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    Ok(socket.local_addr()?.port())
}

//! What is measured, in a process of its own on one core: an engine or a floor. It is told what to
//! do by lines of JSON on its input, and answers each with one line.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use sfu::engine::{Engine, EngineConfig, EngineHandle, ShardInspection};
use sfu::id::{ParticipantId, PortId, RoomId, TrackId};
use sfu::sdp::description::SdpType;
use sfu::shard::command::{Negotiated, ParticipantParameters, Permissions, RoomParameters, Wish};
use sfu::shard::{Command, Event, Reply};
use sfu::time::Duration;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{mpsc, watch};

use super::floor::{Floor, FloorParameters};
use super::processor::{pin, thread_named};

/// As the engine asks for.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// A shard may take so long to tell what it has already done.
const TELLING_MAX: Duration = Duration::from_secs(2);

/// Asked of a subject.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    /// Become an engine of so many shards; its rooms are for so many.
    Engine {
        participants_max: usize,
        shards: usize,
    },
    /// Become a floor; the last thing that is read.
    Floor(FloorParameters),
    /// A participant's offer.
    Join {
        room: usize,
        number: usize,
        sdp: String,
    },
    /// Lines of the picture, by publisher, that a participant is shown.
    Show {
        room: usize,
        number: usize,
        heights: Vec<(usize, u16)>,
    },
    /// Counters.
    Count,
}

/// Answered by a subject.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Told {
    /// It forwards what arrives at `addresses`, one of each shard; `threads` are those whose time counts.
    Ready {
        addresses: Vec<SocketAddr>,
        threads: Vec<u32>,
    },
    /// To an offer.
    Answer { sdp: String },
    /// Carried out.
    Done,
    /// What it has sent so far.
    Counts(Counts),
    /// It cannot.
    Failed { why: String },
}

/// Counters of an engine.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) datagrams_out: u64,
    /// Messages of the kernel's: runs and single datagrams.
    pub(super) messages_out: u64,
    pub(super) batches_in: u64,
    pub(super) dropped: u64,
    /// Packets that went from one shard to another.
    pub(super) carried: u64,
    /// And those that were to, and did not.
    pub(super) not_carried: u64,
}

impl Counts {
    const fn of(shard: &ShardInspection) -> Self {
        let (io, stats) = (&shard.io, &shard.inspection.stats);
        Self {
            datagrams_out: io.datagrams_out,
            messages_out: io.sends,
            batches_in: io.batches_in,
            dropped: io.dropped_full + io.dropped_refused + io.dropped_unreachable,
            carried: stats.pipe_packets_in,
            not_carried: stats.pipe_packets_dropped + stats.pipe_refused,
        }
    }

    /// Each counter of both by `merge`.
    pub(super) fn merged(self, other: Self, merge: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            datagrams_out: merge(self.datagrams_out, other.datagrams_out),
            messages_out: merge(self.messages_out, other.messages_out),
            batches_in: merge(self.batches_in, other.batches_in),
            dropped: merge(self.dropped, other.dropped),
            carried: merge(self.carried, other.carried),
            not_carried: merge(self.not_carried, other.not_carried),
        }
    }
}

/// Serves until its input ends.
///
/// # Errors
/// Whoever started it talks nonsense, or the machine refuses.
pub fn serve(core: usize) -> anyhow::Result<()> {
    // Threads inherit the core of who makes them.
    pin(core)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut engine = None;
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 {
        let ask = serde_json::from_str(&line).context("not a thing to ask")?;
        line.clear();
        if let Ask::Floor(parameters) = ask {
            return forward(&parameters, &mut output);
        }
        let told = match runtime.block_on(answer(&mut engine, ask)) {
            Ok(told) => told,
            Err(error) => Told::Failed {
                why: format!("{error:#}"),
            },
        };
        say(&mut output, &told)?;
    }
    Ok(())
}

fn say(output: &mut impl Write, told: &Told) -> anyhow::Result<()> {
    writeln!(output, "{}", serde_json::to_string(told)?)?;
    Ok(output.flush()?)
}

fn forward(parameters: &FloorParameters, output: &mut impl Write) -> anyhow::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
    let address = socket.local_addr()?.as_socket().context("no address")?;
    let floor = Floor::new(parameters, socket).context("a receiver without an IPv4 address")?;
    let thread = u32::try_from(nix::unistd::gettid().as_raw())?;
    let (addresses, threads) = (vec![address], vec![thread]);
    say(output, &Told::Ready { addresses, threads })?;
    Ok(floor.forward()?)
}

async fn answer(engine: &mut Option<Running>, ask: Ask) -> anyhow::Result<Told> {
    match (ask, engine.as_mut()) {
        (
            Ask::Engine {
                participants_max,
                shards,
            },
            None,
        ) => {
            let (handle, tracks) = start(shards)?;
            let addresses = handle.addresses().iter();
            let addresses: Option<_> = addresses.map(|all| all.first().copied()).collect();
            let addresses = addresses.context("a shard without an address")?;
            // They name themselves; by their first answer they have.
            let _counts = handle.inspect().await?;
            let threads: Option<_> = (0..shards)
                .map(|shard| thread_named(&format!("shard-{shard}")))
                .collect();
            let threads = threads.context("no threads named after shards")?;
            *engine = Some(Running {
                handle,
                participants_max,
                tracks,
                rooms: HashMap::new(),
                ports: 0,
            });
            Ok(Told::Ready { addresses, threads })
        }
        (Ask::Join { room, number, sdp }, Some(engine)) => engine.join(room, number, &sdp).await,
        (Ask::Count, Some(engine)) => {
            let shards = engine.handle.inspect().await?;
            Ok(Told::Counts(
                shards
                    .iter()
                    .map(Counts::of)
                    .fold(Counts::default(), |all, one| {
                        all.merged(one, |all, one| all + one)
                    }),
            ))
        }
        (
            Ask::Show {
                room,
                number,
                heights,
            },
            Some(engine),
        ) => engine.show(room, number, heights).await,
        (Ask::Engine { .. } | Ask::Floor(_) | Ask::Join { .. }, _)
        | (Ask::Show { .. } | Ask::Count, _) => {
            anyhow::bail!("not now")
        }
    }
}

/// Who publishes which track.
type Tracks = HashMap<ParticipantId, TrackId>;

fn start(shards: usize) -> anyhow::Result<(EngineHandle, watch::Receiver<Tracks>)> {
    let config = EngineConfig {
        udp: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
        shards: Some(shards),
        ..EngineConfig::default()
    };
    let identity = Arc::new(crate::identity::node());
    let (engine, news) = Engine::start(config, identity)?;
    let (told, tracks) = watch::channel(Tracks::new());
    for news in news {
        // Read, so that news do not wait in the shard.
        drop(tokio::spawn(hear(news, told.clone())));
    }
    Ok((engine, tracks))
}

async fn hear(mut news: mpsc::Receiver<Event>, told: watch::Sender<Tracks>) {
    while let Some(event) = news.recv().await {
        if let Event::TrackChanged { facts, .. } = event {
            told.send_modify(|tracks| {
                tracks.insert(facts.participant, facts.track);
            });
        }
    }
}

const fn participant(number: usize) -> ParticipantId {
    ParticipantId(number as u64 + 1)
}

/// An engine at work.
struct Running {
    handle: EngineHandle,
    participants_max: usize,
    tracks: watch::Receiver<Tracks>,
    /// Which shards a room is on.
    rooms: HashMap<RoomId, Vec<usize>>,
    /// Pipes that were opened so far.
    ports: u64,
}

/// The shard of participant `number`: they are dealt out, whoever publishes first.
pub(super) const fn shard_of(number: usize, shards: usize) -> usize {
    number % shards
}

impl Running {
    async fn show(
        &self,
        room: usize,
        number: usize,
        heights: Vec<(usize, u16)>,
    ) -> anyhow::Result<Told> {
        let mut wishes = Vec::with_capacity(heights.len());
        for (publisher, height) in heights {
            wishes.push(Wish {
                track: self.track(publisher).await?,
                wanted: true,
                paused: false,
                priority: 128,
                height,
                pinned: false,
            });
        }
        let command = Command::UpdateSubscriptions {
            room: RoomId(room as u64 + 1),
            participant: participant(number),
            subscribe_all: None,
            audio_slots: None,
            wishes,
        };
        let shard = shard_of(number, self.handle.shards());
        self.handle.call(shard, command).await?;
        Ok(Told::Done)
    }

    /// What a publisher publishes; the shard tells it beside its answers.
    async fn track(&self, publisher: usize) -> anyhow::Result<TrackId> {
        let publisher = participant(publisher);
        let mut tracks = self.tracks.clone();
        let told = tracks.wait_for(|tracks| tracks.contains_key(&publisher));
        let told = tokio::time::timeout(TELLING_MAX, told).await;
        let told = told.context("somebody publishes nothing")??;
        let track = told.get(&publisher).copied();
        track.context("somebody publishes nothing")
    }

    /// A room is made where its first participant is, and spread to where others are: by the commands
    /// of the registry's (`control-api/registry/spread`), in its order.
    async fn open(&mut self, room: RoomId, shard: usize) -> anyhow::Result<()> {
        let there = self.rooms.entry(room).or_default();
        if there.contains(&shard) {
            return Ok(());
        }
        let parameters = RoomParameters {
            participants_max: self.participants_max,
            ..RoomParameters::default()
        };
        let command = Command::CreateRoom { room, parameters };
        self.handle.call(shard, command).await?;
        for &other in there.iter() {
            self.ports += 1;
            let port = PortId(self.ports);
            for (at, to) in [(shard, other), (other, shard)] {
                let shard = u16::try_from(to)?;
                let command = Command::OpenPipe { room, port, shard };
                self.handle.call(at, command).await?;
            }
        }
        there.push(shard);
        Ok(())
    }

    async fn join(&mut self, room: usize, number: usize, sdp: &str) -> anyhow::Result<Told> {
        let room = RoomId(room as u64 + 1);
        let shard = shard_of(number, self.handle.shards());
        self.open(room, shard).await?;
        let participant = participant(number);
        let parameters = ParticipantParameters {
            name: format!("p{number}"),
            permissions: Permissions::default(),
            subscribe_all: true,
            // Everything is in the peer's own offer, as with WHIP and WHEP.
            offers: false,
        };
        let command = Command::Join {
            room,
            participant,
            parameters,
        };
        self.handle.call(shard, command).await?;
        let command = Command::Negotiate {
            room,
            participant,
            description: Box::new(sfu::sdp::parse(SdpType::Offer, sdp)?),
        };
        let reply = self.handle.call(shard, command).await?;
        let Reply::Negotiated(Negotiated::Answer(answer)) = reply else {
            anyhow::bail!("no answer but {reply:?}");
        };
        Ok(Told::Answer {
            sdp: sfu::sdp::write(&answer),
        })
    }
}

//! What is measured, in a process of its own on one core: an engine or a floor. It is told what to
//! do by lines of JSON on its input, and answers each with one line.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use sfu::engine::{Engine, EngineConfig, EngineHandle};
use sfu::id::{ParticipantId, RoomId, TrackId};
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
    /// Become an engine; its rooms are for so many.
    Engine { participants_max: usize },
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
    /// It forwards what arrives at `address`; `thread` is the one whose time counts.
    Ready { address: SocketAddr, thread: u32 },
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
    say(output, &Told::Ready { address, thread })?;
    Ok(floor.forward()?)
}

async fn answer(engine: &mut Option<Running>, ask: Ask) -> anyhow::Result<Told> {
    match (ask, engine.as_ref()) {
        (Ask::Engine { participants_max }, None) => {
            let (handle, tracks) = start()?;
            let address = handle.addresses().first().and_then(|all| all.first());
            let address = *address.context("an engine without an address")?;
            // It names itself; by its first answer it has.
            let _counts = handle.inspect().await?;
            let thread = thread_named("shard-0").context("no thread named shard-0")?;
            *engine = Some(Running {
                handle,
                participants_max,
                tracks,
            });
            Ok(Told::Ready { address, thread })
        }
        (Ask::Join { room, number, sdp }, Some(engine)) => engine.join(room, number, &sdp).await,
        (Ask::Count, Some(engine)) => {
            let shards = engine.handle.inspect().await?;
            let io = shards.first().context("an engine without a shard")?.io;
            Ok(Told::Counts(Counts {
                datagrams_out: io.datagrams_out,
                messages_out: io.sends,
                batches_in: io.batches_in,
                dropped: io.dropped_full + io.dropped_refused + io.dropped_unreachable,
            }))
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

fn start() -> anyhow::Result<(EngineHandle, watch::Receiver<Tracks>)> {
    let config = EngineConfig {
        udp: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
        shards: Some(1),
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
        self.handle.call(0, command).await?;
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

    async fn join(&self, room: usize, number: usize, sdp: &str) -> anyhow::Result<Told> {
        let room = RoomId(room as u64 + 1);
        let participants_max = self.participants_max;
        let parameters = RoomParameters {
            participants_max,
            ..RoomParameters::default()
        };
        // The same room again is no error.
        let command = Command::CreateRoom { room, parameters };
        self.handle.call(0, command).await?;
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
        self.handle.call(0, command).await?;
        let command = Command::Negotiate {
            room,
            participant,
            description: Box::new(sfu::sdp::parse(SdpType::Offer, sdp)?),
        };
        let reply = self.handle.call(0, command).await?;
        let Reply::Negotiated(Negotiated::Answer(answer)) = reply else {
            anyhow::bail!("no answer but {reply:?}");
        };
        Ok(Told::Answer {
            sdp: sfu::sdp::write(&answer),
        })
    }
}

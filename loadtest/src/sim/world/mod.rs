//! One virtual clock over a shard, or several, robots and the links between them.
//!
//! Time jumps from one deadline to the next: a datagram's arrival, a signal's, a robot's timer,
//! the shard's. All that is due at one moment is handed in, then the shard departs, as the engine
//! does after each batch. Everything follows from the seed; see `trace` for what that leaves out.
//!
//! | file | what it is |
//! |---|---|
//! | `step` | what lands, what departs, what the laws are asked |
//! | `look` | what can be looked at |
//! | `spread` | rooms that are on several shards |

mod look;
mod spread;
mod step;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sfu::error::{CommandError, LeaveReason};
use sfu::id::{Mid, ParticipantId, PortId, RoomId, TrackId};
use sfu::outbox::Outbox;
use sfu::shard::command::{ParticipantParameters, RoomParameters};
use sfu::shard::event::{LayersFacts, SectionBinding, SubscriptionFacts, TrackFacts};
use sfu::shard::{Command, Reply, Shard, ShardConfig};
use sfu::time::{Duration, Instant, ServerClock};
use str0m::RtcError;

use super::checks::Laws;
use super::fault::Tap;
use super::link::{Link, LinkParameters};
use super::trace::Trace;
use crate::robot::publication::RIDS;
use crate::robot::{PATIENCE, Robot, RobotParameters};

/// Where the shard listens.
const SERVER: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
    5_000,
);
/// Until nothing is on its way any more; and, after the last one has left, until timers ran out.
const REST: Duration = Duration::from_secs(2);

/// Why a world could not be made or driven. Not a law: the scene itself is wrong.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The shard would not be made.
    #[error("the shard: {0}")]
    Shard(CommandError),
    /// The robot would not be made.
    #[error("a robot: {0}")]
    Robot(#[from] RtcError),
    /// There is no such member.
    #[error("there is no member {0}")]
    NoMember(usize),
}

/// How somebody leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// Says so, as a closed page does by its socket.
    Says,
    /// By its stack alone: BYE and close_notify.
    Closes,
    /// Is cut off and says nothing.
    Dies,
    /// Is removed by a command.
    Removed,
}

/// How somebody enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// Wants to be shown everything.
    pub subscribes: bool,
    /// Takes sound with copies.
    pub takes_copies: bool,
    /// How long it waits for what is missing of a picture.
    pub patience: Duration,
    /// Sends those sizes of its pictures only that it is asked for, as our page does (dynacast).
    pub obeys: bool,
}

impl Default for Entrance {
    fn default() -> Self {
        Self {
            subscribes: true,
            takes_copies: false,
            patience: PATIENCE,
            obeys: true,
        }
    }
}

/// What a member knows of a track, by events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Whose.
    pub member: usize,
    /// As the shard told it last.
    pub facts: TrackFacts,
}

/// One who joined.
struct Member {
    robot: Robot,
    /// Where its transport is.
    shard: usize,
    room: RoomId,
    participant: ParticipantId,
    up: Link,
    down: Link,
    /// What the server sees as its address.
    outside: SocketAddr,
    signal_delay: Duration,
    obeys: bool,
    /// The last signal's arrival, each way: signals keep their order.
    signals_until: [Instant; 2],
    left: Option<LeaveReason>,
    bindings: Vec<SectionBinding>,
    subscriptions: Vec<SubscriptionFacts>,
    given: Option<LayersFacts>,
    /// Offers of the server that were sent to it and answers of it that were taken.
    offers: (u64, u64),
}

/// Something on its way.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Flight {
    ToServer {
        member: usize,
        source: SocketAddr,
        bytes: Vec<u8>,
    },
    ToRobot {
        member: usize,
        bytes: Vec<u8>,
    },
    SignalToServer {
        member: usize,
        signal: (bool, String),
    },
    SignalToRobot {
        member: usize,
        signal: (bool, String),
    },
    /// Which encodings it is asked for, lowest first, of a track of this m-line.
    OrderToRobot {
        member: usize,
        order: (Mid, [bool; RIDS.len()]),
    },
    Parcel {
        shard: usize,
        port: PortId,
        bytes: Vec<u8>,
    },
}

/// The simulated world.
pub struct World {
    seed: u64,
    now: Instant,
    epoch: std::time::Instant,
    chance: ChaCha8Rng,
    /// One, or several over which every room is spread.
    shards: Vec<Shard>,
    outbox: Outbox,
    members: Vec<Member>,
    /// When each robot wants to be called.
    wakes: Vec<Option<Instant>>,
    outsides: BTreeMap<SocketAddr, usize>,
    rooms: Vec<RoomId>,
    tracks: BTreeMap<TrackId, Published>,
    /// Whose m-line each track came by, also of those that are gone.
    lines: BTreeMap<TrackId, (usize, Mid)>,
    flying: BinaryHeap<Reverse<(Instant, u64, Flight)>>,
    flights: u64,
    /// Steps of late, and since when.
    steps: u32,
    steps_since: Instant,
    next_outside: u16,
    link: LinkParameters,
    datagrams: (u64, u64),
    sizes_at: Instant,
    refusals: Vec<(usize, CommandError)>,
    laws: Laws,
    tap: Tap,
    trace: Trace,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "World(seed {}, {} µs, {} members)",
            self.seed,
            self.now.as_micros(),
            self.members.len()
        )
    }
}

impl World {
    /// An empty world.
    ///
    /// # Errors
    /// The shard would not be made.
    pub fn new(seed: u64) -> Result<Self, WorldError> {
        Self::spread(seed, 1)
    }

    /// The same with so many shards: every room is on all of them, and those who join take turns.
    ///
    /// # Errors
    /// A shard would not be made.
    #[expect(
        clippy::disallowed_methods,
        reason = "the robots' stack counts from some moment of its own"
    )]
    pub fn spread(seed: u64, shards: u16) -> Result<Self, WorldError> {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let identity = Arc::new(crate::identity::node());
        let mut all = Vec::new();
        for index in 0..shards.max(1) {
            let config = ShardConfig {
                index,
                candidates: vec![SERVER],
                identity: Arc::clone(&identity),
                clock: ServerClock::from_unix(Duration::from_secs(1_764_000_000)),
            };
            let mut shard_seed = [0; 32];
            chance.fill_bytes(&mut shard_seed);
            let shard = Shard::new(config, shard_seed, Instant::ZERO);
            all.push(shard.map_err(WorldError::Shard)?);
        }
        Ok(Self {
            seed,
            now: Instant::ZERO,
            epoch: std::time::Instant::now(),
            chance,
            shards: all,
            outbox: Outbox::new(),
            members: Vec::new(),
            wakes: Vec::new(),
            outsides: BTreeMap::new(),
            rooms: Vec::new(),
            tracks: BTreeMap::new(),
            lines: BTreeMap::new(),
            flying: BinaryHeap::new(),
            flights: 0,
            steps: 0,
            steps_since: Instant::ZERO,
            next_outside: 10_000,
            link: LinkParameters::with_delay(Duration::from_millis(20)),
            datagrams: (0, 0),
            sizes_at: Instant::ZERO,
            refusals: Vec::new(),
            laws: Laws::default(),
            tap: Tap::default(),
            trace: Trace::default(),
        })
    }

    /// Keeps a trace of everything from now on; robots that join from now on keep their RTCP.
    pub fn start_trace(&mut self) {
        self.trace.start();
    }

    /// Shows the laws something that did not happen.
    pub const fn set_tap(&mut self, tap: Tap) {
        self.tap = tap;
    }

    /// Both directions of those who join from now on.
    pub const fn set_link(&mut self, link: LinkParameters) {
        self.link = link;
    }

    /// Both directions of one who is here already.
    pub fn set_link_of(&mut self, member: usize, link: LinkParameters) {
        if let Some(member) = self.members.get_mut(member) {
            member.up.set_parameters(link);
            member.down.set_parameters(link);
        }
    }

    /// The way down of one who is here already.
    pub fn set_link_down(&mut self, member: usize, link: LinkParameters) {
        if let Some(member) = self.members.get_mut(member) {
            member.down.set_parameters(link);
        }
    }

    /// The longest that anything on a member's way down has waited since this was asked last.
    pub fn take_waited(&mut self, member: usize) -> Duration {
        let member = self.members.get_mut(member);
        member.map_or(Duration::ZERO, |it| it.down.take_waited())
    }

    /// Loses everything of one who is here, both ways, or no more. Signals go on.
    pub fn set_cut(&mut self, member: usize, cut: bool) {
        self.laws.handle_cut(member, cut);
        if let Some(member) = self.members.get_mut(member) {
            member.up.set_cut(cut);
            member.down.set_cut(cut);
        }
    }

    /// A NAT forgets: the member's datagrams come from a new port, those to the old one are lost.
    pub fn rebind(&mut self, member: usize) {
        let outside = self.draw_outside();
        if let Some(it) = self.members.get_mut(member) {
            self.outsides.remove(&it.outside);
            self.outsides.insert(outside, member);
            it.outside = outside;
        }
    }

    /// A new room.
    pub fn create_room(&mut self) -> RoomId {
        let room = RoomId(self.chance.next_u64());
        self.rooms.push(room);
        let parameters = RoomParameters::default();
        self.command_as(None, Command::CreateRoom { room, parameters });
        self.join_shards(room);
        room
    }

    /// One more robot enters a room; its number is its place among the members.
    ///
    /// # Errors
    /// The robot would not be made.
    pub fn join(&mut self, room: RoomId) -> Result<usize, WorldError> {
        self.join_as(room, Entrance::default())
    }

    /// The same, in another way than most.
    ///
    /// # Errors
    /// The robot would not be made.
    pub fn join_as(&mut self, room: RoomId, entrance: Entrance) -> Result<usize, WorldError> {
        let index = self.members.len();
        let participant = ParticipantId(self.chance.next_u64());
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        let [_, high, middle, low] = number.to_be_bytes();
        let parameters = RobotParameters {
            number,
            seed: self.chance.next_u64(),
            address: ([10, high, middle, low], 4_000).into(),
            epoch: self.epoch,
            traced: self.trace.is_on(),
            takes_copies: entrance.takes_copies,
            patience: entrance.patience,
        };
        let outside = self.draw_outside();
        let member = Member {
            robot: Robot::new(parameters, self.now)?,
            shard: index % self.shards.len(),
            room,
            participant,
            up: Link::new(self.link, self.chance.next_u64()),
            down: Link::new(self.link, self.chance.next_u64()),
            outside,
            signal_delay: self.link.delay,
            obeys: entrance.obeys,
            signals_until: [self.now; 2],
            left: None,
            bindings: Vec::new(),
            subscriptions: Vec::new(),
            given: None,
            offers: (0, 0),
        };
        self.members.push(member);
        self.wakes.push(None);
        self.outsides.insert(outside, index);
        self.laws.handle_join(index, room.0);
        let parameters = ParticipantParameters {
            name: format!("robot{index}"),
            permissions: sfu::shard::command::Permissions::default(),
            subscribe_all: entrance.subscribes,
            offers: true,
        };
        self.command_as(
            Some(index),
            Command::Join {
                room,
                participant,
                parameters,
            },
        );
        Ok(index)
    }

    /// A command of a door, carried out at once. A refusal is kept.
    pub fn command(&mut self, command: Command) -> Result<Reply, CommandError> {
        // A size is wished of what goes on; nothing of it may be lost by that.
        if let Command::UpdateSubscriptions {
            participant,
            wishes,
            subscribe_all,
            ..
        } = &command
            && (subscribe_all.is_some() || wishes.iter().any(|it| !it.wanted || it.paused))
            && let Some(member) = self.member_of(*participant)
        {
            self.laws.handle_wish(member);
        }
        if let Command::SetTrackMuted {
            track, muted: true, ..
        } = &command
            && let Some(source) = self.source_of(*track)
        {
            self.laws.handle_muted(source);
        }
        let reply = self.carry_out(command);
        self.depart();
        reply
    }

    /// Somebody leaves.
    pub fn leave(&mut self, member: usize, how: Farewell) {
        let Some(it) = self.members.get_mut(member) else {
            return;
        };
        let (room, participant) = (it.room, it.participant);
        match how {
            Farewell::Dies => {
                self.set_cut(member, true);
                return;
            }
            Farewell::Closes => {
                it.robot.close(self.now);
                self.handle_robot(member);
                return;
            }
            Farewell::Says => {
                it.robot.close(self.now);
                self.handle_robot(member);
            }
            Farewell::Removed => {}
        }
        let reason = if how == Farewell::Says {
            LeaveReason::LeftItself
        } else {
            LeaveReason::Removed
        };
        self.command_as(
            Some(member),
            Command::Leave {
                room,
                participant,
                reason,
            },
        );
        self.depart();
    }

    /// Does something with a robot, and takes what follows.
    ///
    /// # Errors
    /// There is no such member.
    pub fn with_robot<T>(
        &mut self,
        member: usize,
        act: impl FnOnce(&mut Robot, Instant) -> T,
    ) -> Result<T, WorldError> {
        let it = self
            .members
            .get_mut(member)
            .ok_or(WorldError::NoMember(member))?;
        let outcome = act(&mut it.robot, self.now);
        self.handle_robot(member);
        self.depart();
        Ok(outcome)
    }

    /// Lets virtual time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.step(until) {}
        self.now = until;
    }

    /// All fall silent until nothing is on its way; everybody leaves, every room is deleted,
    /// timers run out: nothing may be left.
    pub fn end(&mut self) {
        self.members
            .iter_mut()
            .for_each(|it| it.robot.fall_silent());
        self.run_for(REST);
        self.laws.handle_rest(self.now);
        for member in 0..self.members.len() {
            if self.left(member).is_none() {
                self.leave(member, Farewell::Says);
            }
        }
        for room in std::mem::take(&mut self.rooms) {
            let reason = LeaveReason::RoomDeleted;
            self.command_as(None, Command::DeleteRoom { room, reason });
        }
        self.run_for(REST);
        let sizes = self.tap.sizes(self.sizes());
        self.laws.handle_end(self.now, &sizes);
    }

    fn draw_outside(&mut self) -> SocketAddr {
        self.next_outside += 1;
        ([198, 51, 100, 7], self.next_outside).into()
    }

    fn command_as(&mut self, member: Option<usize>, command: Command) {
        if let Err(error) = self.command(command) {
            self.refusals.push((member.unwrap_or(usize::MAX), error));
        }
    }
}

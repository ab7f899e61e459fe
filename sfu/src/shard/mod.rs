//! A shard: a pure function of (datagram | command | port message | time) to (datagrams | replies |
//! port messages | events). Joins transports and routers; no I/O.
//!
//! | file | what it is |
//! |---|---|
//! | [`command`] | what is asked, and the answers |
//! | [`event`] | what the world is told |
//! | [`stats`] | counters and table sizes |
//! | `room` | what is kept of one room and its members |
//! | `places` | which transport a datagram is for |
//! | `ingress` | the way in: one datagram, in order |
//! | `departure` | the only way out: control first, then tickets |
//! | `lifecycle` | what a transport reports of itself: connected, failed, data |
//! | `membership` | rooms and participants: made, changed, removed |
//! | [`negotiation`] | the JSEP state machine of one participant |
//! | `description` | a description arrives: what it changes in transport and router |
//! | `decisions` | what a participant is told of what it is given |
//! | `placement` | which track goes through which section |
//! | `slots` | the sections of a large room that show whoever is loudest |
//! | `relocation` | a participant goes to another room |
//! | `feedback` | RTCP that crosses the graph |
//! | `quality` | how good each connection is, in one word |
//! | `report` | RTCP of our own, one compound at a time |
//! | `port` | plaintext doors of its rooms |
//! | `members` | places in a room: participants here, and of other shards |
//! | `distant` | participants of other shards, in a room that is spread |
//! | `data` | data channels across a room |
//! | `news` | events from dirty bits |

mod adaptation;
pub mod command;
mod data;
mod decisions;
mod departure;
mod description;
mod distant;
pub mod event;
mod feedback;
mod ingress;
mod lifecycle;
mod members;
mod membership;
pub mod negotiation;
mod news;
mod placement;
mod places;
mod port;
mod quality;
mod relocation;
mod report;
mod room;
mod slots;
pub mod stats;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use slab::Slab;

use crate::error::{CommandError, LeaveReason, Missing};
use crate::id::{MemberKey, ParticipantId, PortId, RoomId, RoomKey};
use crate::limits;
use crate::path::{Ecn, LocalId, Path};
use crate::router::PagePool;
use crate::time::{Instant, ServerClock};
use crate::transport::congestion::Estimate;
use crate::transport::{Identity, TransportShared};
use crate::wheel::{TimerId, Wheel};

pub use command::{Command, Reply};
pub use event::Event;
pub use stats::{ShardStats, TableSizes};

use ingress::Handshakes;
use places::{Place, Places};
use room::Room;

/// What a shard is told once.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Its number; first bytes of every ufrag.
    pub index: u16,
    /// Where browsers are told to send: host candidates, best first.
    pub candidates: Vec<SocketAddr>,
    /// The node's certificate.
    pub identity: Arc<Identity>,
    /// The server's clock.
    pub clock: ServerClock,
}

/// A datagram that arrived.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// Where it came from and arrived.
    pub path: Path,
    /// Kernel's time where known.
    pub arrived_at: Instant,
    /// Its ECN bits.
    pub ecn: Ecn,
    /// UDP payload; decrypted in place.
    pub bytes: &'a mut [u8],
}

/// Whether a departure is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departed {
    /// Nothing more to send now.
    Done,
    /// The outbox is full: send it, clear it, call again.
    Full,
}

/// What is due by a timer of the wheel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Room(RoomKey),
    Member(Place),
}

/// What all rooms of a shard share; a field of its own so that a room can be borrowed beside it.
#[derive(Debug)]
struct Commons {
    config: ShardConfig,
    stats: ShardStats,
    random: ChaCha20Rng,
    wheel: Wheel<Due>,
    places: Places,
    pages: PagePool,
    transports: TransportShared,
    /// Facts that dirty bits cannot carry, since their object is gone. Bounded by `EVENTS`: where
    /// it is full no one joins and nothing is negotiated until it has been read.
    parting: VecDeque<Event>,
    /// What transports that are gone had to say last. Bounded by `GOODBYES`.
    goodbyes: VecDeque<(Path, Vec<u8>)>,
    scratch: Box<[u8]>,
    adapting: adaptation::Scratch,
}

/// One thread's share of the rooms.
#[derive(Debug)]
pub struct Shard {
    commons: Commons,
    rooms: Slab<Room>,
    room_keys: HashMap<RoomId, RoomKey, SeedableRandomState>,
    /// Where each plaintext door leads; at most `PORTS_PER_ROOM` to a room.
    ports: HashMap<PortId, RoomKey, SeedableRandomState>,
    /// Those of them that lead to other shards.
    pipes: Vec<distant::Pipe>,
    handshakes: Handshakes,
    /// Rooms with something to send, each once.
    departing: VecDeque<RoomKey>,
    /// Rooms that may have news, each once.
    with_news: VecDeque<RoomKey>,
    /// Whose turn it is: what falls if a bug panics.
    current: Option<RoomKey>,
}

impl Shard {
    /// An empty shard. All its chance comes from `seed`.
    ///
    /// # Errors
    /// The certificate cannot be used.
    pub fn new(config: ShardConfig, seed: [u8; 32], now: Instant) -> Result<Self, CommandError> {
        let mut random = ChaCha20Rng::from_seed(seed);
        let transports = TransportShared::new(&config.identity)?;
        let keyed = SeedableRandomState::with_seed(random.next_u64(), SharedSeed::global_fixed());
        let commons = Commons {
            places: Places::new(random.next_u64()),
            config,
            stats: ShardStats::default(),
            random,
            wheel: Wheel::new(now),
            pages: PagePool::default(),
            transports,
            parting: VecDeque::new(),
            goodbyes: VecDeque::new(),
            scratch: vec![0; limits::DATAGRAM_BYTES].into_boxed_slice(),
            adapting: adaptation::Scratch::default(),
        };
        Ok(Self {
            commons,
            rooms: Slab::new(),
            room_keys: HashMap::with_hasher(keyed.clone()),
            ports: HashMap::with_hasher(keyed),
            pipes: Vec::new(),
            handshakes: Handshakes::default(),
            departing: VecDeque::new(),
            with_news: VecDeque::new(),
            current: None,
        })
    }

    /// A local address or connection is gone.
    pub fn handle_path_closed(&mut self, _now: Instant, local: LocalId) {
        self.commons.places.close(local);
    }

    /// Whatever is due by `now` is done.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, due)) = self.commons.wheel.expire(now) {
            self.commons.stats.deadlines += 1;
            match due {
                Due::Room(key) => self.room_timeout(now, key),
                Due::Member(place) => self.member_timeout(now, place),
            }
        }
        self.shake_next_hand(now);
    }

    /// When [`Shard::handle_timeout`] (then [`Shard::depart`]) wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.handshakes.is_waiting() {
            return Some(Instant::ZERO);
        }
        self.commons.wheel.next()
    }

    /// Counters so far.
    #[must_use]
    pub const fn stats(&self) -> &ShardStats {
        &self.commons.stats
    }

    /// How full the tables are.
    #[must_use]
    pub fn sizes(&self) -> TableSizes {
        let mut sizes = TableSizes {
            rooms: self.rooms.len(),
            paths: self.commons.places.paths(),
            timers: self.commons.wheel.registered(),
            history_pages: self.commons.pages.in_use(),
            ..TableSizes::default()
        };
        for (_, room) in &self.rooms {
            let router = room.router.sizes();
            sizes.participants += room.members.len();
            sizes.tracks += router.tracks;
            sizes.encodings += router.encodings;
            sizes.sections += router.sections;
            sizes.ports += router.ports;
            sizes.subscriptions += room
                .members
                .iter()
                .map(|(_, m)| m.wishes.len())
                .sum::<usize>();
        }
        sizes
    }

    /// What a participant's path carries; none where it says nothing of what arrives.
    #[must_use]
    pub fn estimate(&self, room: RoomId, participant: ParticipantId) -> Option<Estimate> {
        let room = self.rooms.get(self.room_key(room).ok()?.index())?;
        let member = room.members.get(room.member(participant)?.index())?;
        member.transport.estimate()
    }

    /// What the shard was told at its start.
    #[must_use]
    pub const fn config(&self) -> &ShardConfig {
        &self.commons.config
    }

    /// A bug panicked in the midst of a room: the room falls, the shard stands.
    pub fn discard_current_room(&mut self, now: Instant) {
        if let Some(key) = self.current.take() {
            self.close_room(now, key, LeaveReason::ServerFailed);
        }
    }

    fn room_timeout(&mut self, now: Instant, key: RoomKey) {
        self.current = Some(key);
        let Some(room) = self.rooms.get_mut(key.index()) else {
            return;
        };
        room.router.handle_timeout(now);
        room.take_speakers();
        room.turn_slots(now);
        room.take_order_changes();
        self.settle_room(now, key);
    }

    fn member_timeout(&mut self, now: Instant, place: Place) {
        self.current = Some(place.room);
        let Some(room) = self.rooms.get_mut(place.room.index()) else {
            return;
        };
        let Some(member) = room.members.get_mut(place.member.index()) else {
            return;
        };
        member.transport.handle_timeout(now);
        if member.silent_at().is_some_and(|at| at <= now) {
            self.close_member(now, place, LeaveReason::ConsentExpired);
            return;
        }
        member.adaptation.decisions.review(now);
        room.give_all(now, place.member);
        room.adapt_due(now, place.member, &mut self.commons.adapting);
        room.visit(place.member);
        self.settle_alone(now, place);
    }

    /// After anything happened to a member that others in the room may notice.
    fn settle_member(&mut self, now: Instant, place: Place) {
        self.settle_alone(now, place);
        self.settle_news(place.room);
    }

    /// After anything happened to a member: its transport's events, its offers, its deadline, its
    /// place in the departure. Nobody else has news of it: a room of a thousand is not looked
    /// through for a check or a report of one.
    fn settle_alone(&mut self, now: Instant, place: Place) {
        self.take_transport_events(now, place);
        self.take_offer(now, place);
        let Some(room) = self.rooms.get_mut(place.room.index()) else {
            return;
        };
        let Some(member) = room.members.get_mut(place.member.index()) else {
            return;
        };
        member.deliver_early(now, &mut self.commons.stats);
        member.note_presence(now);
        let due = member.due();
        self.commons.schedule(now, member.timer, due);
        let has_news = member.has_news();
        if member.transport.has_control() {
            room.visit(place.member);
        }
        self.settle_departure(now, place.room);
        if has_news {
            self.settle_news(place.room);
        }
    }

    /// After anything happened in a room that the world may want to know.
    fn settle_room(&mut self, now: Instant, key: RoomKey) {
        self.settle_departure(now, key);
        self.settle_news(key);
    }

    /// The room is looked at when news are asked for: this is called for every packet.
    fn settle_news(&mut self, key: RoomKey) {
        if let Some(room) = self.rooms.get_mut(key.index())
            && !room.has_news
        {
            room.has_news = true;
            self.with_news.push_back(key);
        }
    }

    /// After a packet: the room's deadline, and its place among those that depart.
    fn settle_departure(&mut self, now: Instant, key: RoomKey) {
        self.settle_deadline(now, key);
        let Some(room) = self.rooms.get_mut(key.index()) else {
            return;
        };
        let leaves = !room.visits.is_empty() || room.router.has_ready(now);
        if !room.departing && (leaves || room.router.lone().is_some()) {
            room.departing = true;
            self.departing.push_back(key);
        }
    }

    fn settle_deadline(&mut self, now: Instant, key: RoomKey) {
        let Some(room) = self.rooms.get_mut(key.index()) else {
            return;
        };
        while let Some((member, ssrc)) = room.router.poll_forgotten() {
            if let Some(member) = room.members.get_mut(member.index()) {
                member.transport.forget_ssrc(ssrc);
            }
        }
        let due = room.router.poll_timeout();
        self.commons.schedule(now, room.timer, due);
    }

    fn room_key(&self, room: RoomId) -> Result<RoomKey, CommandError> {
        let key = self.room_keys.get(&room).copied();
        key.ok_or(CommandError::NotFound(Missing::Room(room)))
    }

    fn place(&self, room: RoomId, participant: ParticipantId) -> Result<Place, CommandError> {
        let room = self.room_key(room)?;
        let found = self.rooms.get(room.index());
        let member = found.and_then(|found| found.member(participant));
        let missing = CommandError::NotFound(Missing::Participant(participant));
        member.map(|member| Place { room, member }).ok_or(missing)
    }
}

impl Commons {
    /// Sets a timer to `due`, or to soon where that has passed, so that nothing spins. A timer that
    /// was put off so once stays: packets that come faster would put it off for ever.
    fn schedule(&mut self, now: Instant, timer: TimerId, due: Option<Instant>) {
        let Some(due) = due else {
            self.wheel.cancel(timer);
            return;
        };
        let latest = due.max(now + lifecycle::AGAIN_AFTER);
        let set = self.wheel.due(timer);
        if !set.is_some_and(|set| due <= set && set <= latest) {
            self.wheel.schedule(timer, latest);
        }
    }

    /// A number nobody can guess.
    fn draw(&mut self) -> u64 {
        self.random.next_u64()
    }

    /// An SSRC for a section of `taken`'s transport: not 0, not one that is in use there.
    fn draw_ssrc(random: &mut ChaCha20Rng, taken: &[u32]) -> u32 {
        loop {
            let ssrc = random.next_u32();
            if ssrc != 0 && !taken.contains(&ssrc) {
                return ssrc;
            }
        }
    }

    fn can_part(&self) -> Result<(), CommandError> {
        if self.parting.len() < limits::EVENTS {
            return Ok(());
        }
        Err(CommandError::LimitReached {
            limit: "EVENTS",
            value: limits::EVENTS as u64,
        })
    }
}

impl Place {
    const fn new(room: RoomKey, member: MemberKey) -> Self {
        Self { room, member }
    }
}

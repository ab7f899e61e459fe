//! A whole shard: bytes are a program of datagrams and commands, from strangers and from
//! participants that know their credentials. No handshake ends here, so no media flows; that is
//! `route`'s.
//!
//! Checked: nothing panics; timers come to rest; every datagram is accounted for; a shard that
//! everybody has left holds nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use sfu::error::LeaveReason;
use sfu::id::{Mid, ParticipantId, RoomId, TrackId};
use sfu::outbox::Outbox;
use sfu::path::{Ecn, LocalId, Path};
use sfu::sdp::Description;
use sfu::sdp::description::{Direction, Fingerprint, IceCredentials, SdpType, Setup};
use sfu::shard::command::{Negotiated, ParticipantParameters, Permissions, RoomParameters, Wish};
use sfu::shard::{Command, Datagram, Departed, Event, Reply, Shard, ShardConfig, TableSizes};
use sfu::time::{Duration, Instant, ServerClock};
use sfu::transport::Identity;
use sfu::wire::stun::{Class, IceRole, IntegrityKey, Message, TransactionId, Writer};

use super::program::Program;

const AGENTS: u8 = 4;
const OFFERS: [&str; 5] = [
    include_str!("../tests/fixtures/sdp/chromium-everything.sdp"),
    include_str!("../tests/fixtures/sdp/firefox-sendrecv.sdp"),
    include_str!("../tests/fixtures/sdp/chromium-simulcast.sdp"),
    include_str!("../tests/fixtures/sdp/chromium-data.sdp"),
    include_str!("../tests/fixtures/sdp/firefox-recvonly.sdp"),
];

/// What one participant's browser knows.
#[derive(Default)]
struct Agent {
    /// Its own, as offered.
    ours: Option<IceCredentials>,
    fingerprints: Vec<Fingerprint>,
    /// Which of the offers it made first.
    choice: Option<u8>,
    /// The shard's, as answered.
    theirs: Option<IceCredentials>,
    /// The last offer of the shard.
    offered: Option<Description>,
    /// The last check of the shard.
    asked: Option<TransactionId>,
}

struct World {
    shard: Shard,
    outbox: Outbox,
    now: Instant,
    agents: [Agent; AGENTS as usize],
    tracks: Vec<TrackId>,
}

/// The program.
pub(crate) fn datagram(bytes: &[u8]) {
    let program = Program::new(bytes);
    let mut world = World::new();
    // Most of what there is to find is behind a join.
    world.create(7);
    for agent in 0..2 {
        world.join(agent);
        world.offer(agent, agent, &Program::new(&[]));
    }
    while let Some(step) = program.u8() {
        world.step(step, &program);
        world.settle();
    }
    for room in [7, 8] {
        let room = RoomId(room);
        let reason = LeaveReason::RoomDeleted;
        assert!(
            world
                .command(Command::DeleteRoom { room, reason })
                .is_some()
        );
    }
    world.settle();
    world.wait(Duration::from_secs(1));
    assert_eq!(world.shard.sizes(), TableSizes::default());
    let stats = world.shard.stats();
    assert!(stats.datagrams_in <= stats.forwarded + stats.consumed + stats.dropped.total());
}

fn path(agent: u8) -> Path {
    Path {
        local: LocalId(u32::from(agent / AGENTS)),
        remote: SocketAddr::from(([192, 0, 2, agent], 40_000)),
    }
}

fn participant(agent: u8) -> ParticipantId {
    ParticipantId(u64::from(agent % AGENTS) + 1)
}

impl World {
    fn new() -> Self {
        let identity = Identity::new(
            include_bytes!("../../loadtest/fixtures/node.certificate.der").to_vec(),
            include_bytes!("../../loadtest/fixtures/node.key.der").to_vec(),
        );
        let config = ShardConfig {
            index: 0,
            candidates: vec![([127, 0, 0, 1], 10_000).into()],
            identity: Arc::new(identity),
            clock: ServerClock::from_unix(Duration::from_secs(1_700_000_000)),
        };
        let now = Instant::from_millis(1);
        Self {
            shard: Shard::new(config, [7; 32], now).expect("a usable certificate"),
            outbox: Outbox::new(),
            now,
            agents: Default::default(),
            tracks: Vec::new(),
        }
    }

    fn agent(&mut self, choice: u8) -> &mut Agent {
        &mut self.agents[usize::from(choice % AGENTS)]
    }

    fn step(&mut self, step: u8, program: &Program<'_>) {
        let choice = step % 8;
        match step {
            0..=31 => {
                let mut bytes = program.take(program.or_zero().into()).to_vec();
                self.feed(choice, &mut bytes);
            }
            32..=79 => self.check(choice, program),
            80..=95 => self.answer_check(choice, program),
            96..=127 => self.handshake(choice, program),
            128..=143 => {
                let [low, high] = program.array();
                let time = u64::from(low) * if high < 200 { 1 } else { u64::from(high) };
                self.wait(Duration::from_millis(time));
            }
            144..=151 => self.house(program),
            152..=167 => {
                if program.or_zero().is_multiple_of(4) {
                    let room = RoomId(7);
                    let reason = LeaveReason::LeftItself;
                    let participant = participant(choice);
                    self.agent(choice).choice = None;
                    self.command(Command::Leave {
                        room,
                        participant,
                        reason,
                    });
                } else {
                    self.join(choice);
                }
            }
            168..=199 => self.offer(choice, program.or_zero(), program),
            200..=215 => self.accept(choice, program),
            216..=247 => self.wish(choice, program),
            248.. => {
                self.shard
                    .handle_path_closed(self.now, LocalId(u32::from(choice % 2)));
                assert!(self.command(Command::Inspect).is_some());
            }
        }
    }

    fn feed(&mut self, from: u8, bytes: &mut [u8]) {
        let datagram = Datagram {
            path: path(from),
            arrived_at: self.now,
            ecn: Ecn::NotEct,
            bytes,
        };
        self.shard.handle_datagram(self.now, datagram);
    }

    fn command(&mut self, command: Command) -> Option<Reply> {
        self.shard.handle_command(self.now, command).ok()
    }

    /// A connectivity check of one agent, from its own or another's address.
    fn check(&mut self, from: u8, program: &Program<'_>) {
        let [whose, flags, chance, at] = program.array();
        let agent = self.agent(whose);
        let (Some(theirs), Some(ours)) = (agent.theirs.clone(), agent.ours.clone()) else {
            return;
        };
        let mut out = [0; 300];
        let mut transaction = [chance; 12];
        transaction[0] = at;
        let class = if flags & 0x60 == 0x60 {
            Class::Indication
        } else {
            Class::Request
        };
        let mut writer = Writer::new(&mut out, class, transaction);
        writer.username(format!("{}:{}", theirs.ufrag, ours.ufrag).as_bytes());
        if flags & 1 == 0 {
            writer.priority(u32::from_be_bytes([flags; 4]));
        }
        if flags & 2 != 0 {
            writer.use_candidate();
        }
        writer.role(match flags & 12 {
            4 => IceRole::Controlled(chance.into()),
            _ => IceRole::Controlling(chance.into()),
        });
        let Some(len) = writer.finish(&IntegrityKey::new(theirs.password.as_bytes())) else {
            return;
        };
        if flags & 0x90 == 0x90 {
            out[usize::from(at) % len] ^= 1 << (chance % 8);
        }
        self.feed(from, &mut out[..len]);
    }

    /// An answer to the last check of the shard.
    fn answer_check(&mut self, from: u8, program: &Program<'_>) {
        let flags = program.or_zero();
        let agent = self.agent(from);
        let (Some(ours), Some(asked)) = (agent.ours.clone(), agent.asked) else {
            return;
        };
        let mut out = [0; 200];
        let class = if flags % 8 == 7 {
            Class::Error
        } else {
            Class::Success
        };
        let mut writer = Writer::new(&mut out, class, asked);
        if flags & 0x10 == 0 {
            writer.mapped_address(SocketAddr::from(([127, 0, 0, 1], 10_000)));
        }
        if class == Class::Error {
            writer.error_code(u16::from(flags) * 3);
        }
        if let Some(len) = writer.finish(&IntegrityKey::new(ours.password.as_bytes())) {
            self.feed(from, &mut out[..len]);
        }
    }

    /// A DTLS record whose lengths are right: a ClientHello, or whatever the program says.
    fn handshake(&mut self, from: u8, program: &Program<'_>) {
        let [kind, message, number, flips] = program.array();
        let mut body = if kind % 2 == 0 {
            CLIENT_HELLO.to_vec()
        } else {
            program.take(program.or_zero().into()).to_vec()
        };
        for _ in 0..flips % 4 {
            let [at, bits] = program.array();
            let len = body.len().max(1);
            if let Some(byte) = body.get_mut(usize::from(at) % len) {
                *byte ^= bits;
            }
        }
        let len = u32::try_from(body.len()).unwrap_or(0).to_be_bytes();
        let [_, a, b, c] = len;
        // RFC 6347 §4.2.2: type, length, number, and the whole as one fragment.
        let message = if kind % 2 == 0 { 1 } else { message };
        let head = [message, a, b, c, 0, number % 4, 0, 0, 0, a, b, c];
        let is_handshake = kind % 16 < 12;
        let inner = if is_handshake {
            [&head[..], &body].concat()
        } else {
            body
        };
        let [high, low] = u16::try_from(inner.len()).unwrap_or(0).to_be_bytes();
        // RFC 6347 §4.1: type, version, epoch, number, length.
        let content = if is_handshake { 22 } else { 20 + kind % 8 };
        let record = [
            content,
            254,
            253,
            0,
            kind >> 6,
            0,
            0,
            0,
            0,
            0,
            number,
            high,
            low,
        ];
        self.feed(from, &mut [&record[..], &inner].concat());
    }

    fn create(&mut self, room: u64) {
        let parameters = RoomParameters {
            participants_max: 3,
            ..RoomParameters::default()
        };
        self.command(Command::CreateRoom {
            room: RoomId(room),
            parameters,
        });
    }

    fn house(&mut self, program: &Program<'_>) {
        let [choice, other] = program.array();
        let room = RoomId(7 + u64::from(other % 2));
        match choice % 4 {
            0 => self.create(room.0),
            1 => {
                let reason = LeaveReason::RoomDeleted;
                self.command(Command::DeleteRoom { room, reason });
            }
            2 => {
                let participants_max = usize::from(other >> 4);
                let parameters = RoomParameters {
                    participants_max,
                    audio_slots: usize::from(other & 3),
                    audio_slots_above: usize::from(other >> 2 & 3),
                    ..RoomParameters::default()
                };
                self.command(Command::UpdateRoom { room, parameters });
            }
            _ => {
                let participant = participant(other);
                self.command(Command::RestartIce { room, participant });
            }
        }
    }

    fn join(&mut self, agent: u8) {
        let parameters = ParticipantParameters {
            name: format!("agent{agent}"),
            permissions: Permissions::default(),
            subscribe_all: true,
            offers: true,
        };
        let (room, participant) = (RoomId(7), participant(agent));
        self.command(Command::Join {
            room,
            participant,
            parameters,
        });
    }

    fn negotiate(&mut self, agent: u8, description: Description) {
        let (room, participant) = (RoomId(7), participant(agent));
        let first = description.sections.first();
        let ours = first.and_then(|section| section.ice.clone());
        let fingerprints = first
            .map(|section| section.fingerprints.clone())
            .unwrap_or_default();
        let description = Box::new(description);
        let reply = self.command(Command::Negotiate {
            room,
            participant,
            description,
        });
        let agent = self.agent(agent);
        if let Some(Reply::Negotiated(Negotiated::Answer(answer))) = reply {
            agent.ours = ours;
            agent.fingerprints = fingerprints;
            let ice = answer
                .sections
                .iter()
                .find_map(|section| section.ice.clone());
            agent.theirs = ice.or_else(|| agent.theirs.take());
        }
    }

    fn offer(&mut self, agent: u8, choice: u8, program: &Program<'_>) {
        // An m-line once offered stays (RFC 9429 §5.2.2): most further offers are the first again.
        let first = *self.agent(agent).choice.get_or_insert(choice);
        let choice = if choice % 4 == 3 { choice / 4 } else { first };
        let text = OFFERS[usize::from(choice) % OFFERS.len()];
        let mut offer = sfu::sdp::parse(SdpType::Offer, text).expect("a real offer");
        mutate(&mut offer, program);
        self.negotiate(agent, offer);
    }

    /// Answers the shard's last offer, or takes our own back.
    fn accept(&mut self, choice: u8, program: &Program<'_>) {
        let ours = self.agent(choice).ours.clone();
        let fingerprints = self.agent(choice).fingerprints.clone();
        let Some(mut answer) = self.agent(choice).offered.clone() else {
            return;
        };
        answer.sdp_type = match program.or_zero() % 8 {
            0 => SdpType::Rollback,
            1 => SdpType::Offer,
            _ => SdpType::Answer,
        };
        for section in &mut answer.sections {
            section.direction = match section.direction {
                Direction::SendOnly => Direction::RecvOnly,
                Direction::RecvOnly => Direction::SendOnly,
                both @ (Direction::SendRecv | Direction::Inactive) => both,
            };
            section.setup = Some(Setup::Active);
            section.ice = ours.clone();
            section.fingerprints = fingerprints.clone();
            section.ssrcs.clear();
            section.candidates.clear();
        }
        mutate(&mut answer, program);
        self.negotiate(choice, answer);
    }

    fn wish(&mut self, choice: u8, program: &Program<'_>) {
        let [kind, other, flags] = program.array();
        let (room, participant) = (RoomId(7), participant(choice));
        let track = self
            .tracks
            .get(usize::from(other) % self.tracks.len().max(1))
            .copied();
        let track = track.unwrap_or_else(|| TrackId(other.into()));
        let wanted = flags & 1 != 0;
        let paused = flags & 2 != 0;
        self.command(match kind % 6 {
            0 => Command::SetTrackMuted {
                room,
                track,
                muted: wanted,
            },
            1 => Command::RequestKeyframe { room, track },
            2 => Command::UpdateParticipant {
                room,
                participant,
                permissions: Permissions {
                    publish_audio: wanted,
                    publish_video: paused,
                    muted_at_first: flags & 2 != 0,
                    subscribe: flags & 4 != 0,
                    send_data: flags & 8 != 0,
                    tracks_max: usize::from(flags >> 4),
                },
            },
            3 => Command::SetSilenceMax {
                room,
                participant,
                silence_max: Duration::from_millis(u64::from(other) * u64::from(flags)),
            },
            _ => Command::UpdateSubscriptions {
                room,
                participant,
                subscribe_all: (kind & 0x40 != 0).then_some(kind & 0x80 != 0),
                audio_slots: (kind & 0x20 != 0).then_some(usize::from(other)),
                wishes: vec![Wish {
                    track,
                    wanted,
                    paused,
                    priority: flags,
                    height: other.into(),
                    pinned: kind & 0x10 != 0,
                }],
            },
        });
    }

    /// Lets time pass, from deadline to deadline.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        let mut steps = 0;
        while let Some(due) = self.shard.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.shard.handle_timeout(self.now);
            self.settle();
            steps += 1;
            assert!(steps < 20_000, "timers do not come to rest");
        }
        self.now = end;
    }

    /// Everything leaves; news are read.
    fn settle(&mut self) {
        loop {
            let departed = self.shard.depart(self.now, &mut self.outbox);
            for run in self.outbox.runs() {
                let from = self
                    .agents
                    .iter_mut()
                    .zip(0..)
                    .filter(|(_, agent)| run.path.remote == path(*agent).remote);
                for (agent, _) in from {
                    for datagram in run.datagrams() {
                        let check = Message::parse(datagram).ok();
                        let check = check.filter(|message| message.class() == Class::Request);
                        agent.asked = check.map(|check| check.transaction()).or(agent.asked);
                    }
                }
            }
            self.outbox.clear();
            if departed == Departed::Done {
                break;
            }
        }
        while let Some(event) = self.shard.poll_event() {
            if let Event::Offer {
                participant,
                description,
                ..
            } = event
            {
                let agent = u8::try_from(participant.0 - 1).unwrap_or(0);
                self.agent(agent).offered = Some(*description);
            } else if let Event::TrackChanged { facts, .. } = event {
                self.tracks.retain(|&track| track != facts.track);
                self.tracks.push(facts.track);
            } else if let Event::TrackUnpublished { track, .. } = event {
                self.tracks.retain(|&known| known != track);
            }
        }
    }
}

/// Changes a description in up to three places.
fn mutate(description: &mut Description, program: &Program<'_>) {
    for _ in 0..program.or_zero() % 4 {
        let [place, kind, value] = program.array();
        let count = description.sections.len().max(1);
        let Some(section) = description.sections.get_mut(usize::from(place) % count) else {
            return;
        };
        let keep = usize::from(value % 4);
        match kind % 16 {
            0 => section.direction = Direction::Inactive,
            1 => section.direction = Direction::SendRecv,
            2 => section.rejected = !section.rejected,
            3 => section.mid = Mid::new(&value.to_string()).unwrap_or(section.mid),
            4 => section.payloads.truncate(keep),
            5 => section.rids_send.truncate(keep),
            6 => section.ssrcs.truncate(keep),
            7 => section
                .extensions
                .iter_mut()
                .for_each(|extension| extension.id ^= value),
            8 => section
                .payloads
                .iter_mut()
                .for_each(|payload| payload.payload_type ^= value & 0x7F),
            9 => section.setup = [None, Some(Setup::Passive), Some(Setup::ActPass)][keep % 3],
            10 => {
                section.ice = Some(IceCredentials {
                    ufrag: format!("fuzz{value}"),
                    password: format!("passwordpasswordpassword{value}"),
                });
            }
            11 => section.fingerprints = vec![Fingerprint::Sha384([value; 48]); keep],
            12 => section.sctp_port = (value > 100).then_some(value.into()),
            13 => section.message_bytes_max = u64::from(value) << (value % 40),
            14 => {
                let again = section.clone();
                description.sections.push(again);
            }
            _ => {
                description.sections.truncate(keep);
                description.bundle.truncate(keep);
            }
        }
    }
}

/// A ClientHello of DTLS 1.2 with the extensions browsers send (RFC 5246 §7.4.1.2, RFC 5764 §4.1).
const CLIENT_HELLO: &[u8] = &[
    254, 253, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
    24, 25, 26, 27, 28, 29, 30, 31, 32, // random
    0, 0, // no session, no cookie
    0, 4, 0xC0, 0x2B, 0xC0, 0x2F, 1, 0, // suites, no compression
    0, 46, // extensions
    0, 10, 0, 6, 0, 4, 0, 29, 0, 23, // groups
    0, 11, 0, 2, 1, 0, // points
    0, 13, 0, 6, 0, 4, 4, 3, 8, 4, // signatures
    0, 14, 0, 7, 0, 4, 0, 7, 0, 1, 0, // SRTP
    0, 23, 0, 0, // extended master secret
    0xFF, 1, 0, 1, 0, // renegotiation
];

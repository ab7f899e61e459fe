//! One publisher and its subscribers around a shard, all in memory; or around two, where a pipe carries
//! what is published to the subscribers'.

#[path = "media.rs"]
mod media;

use std::sync::Arc;
use std::time::Duration as Wall;

use sfu::id::{ParticipantId, PortId, RoomId};
use sfu::outbox::Outbox;
use sfu::path::{Ecn, LocalId, Path};
use sfu::sdp::description::{Fingerprint, IceCredentials, SdpType};
use sfu::sdp::{self, Description};
use sfu::shard::command::{
    Command, Negotiated, ParticipantParameters, Permissions, Reply, RoomParameters,
};
use sfu::shard::{Datagram, Departed, Shard, ShardConfig};
use sfu::time::{Duration, Instant, ServerClock};
use sfu::transport::Identity;
use sfu::transport::srtp::{Srtp, SrtpProfile};
use sfu::wire::demux::{Class as Kind, classify};
use sfu::wire::stun::{Class, IceRole, IntegrityKey, Message, Writer};

use crate::FRAME_PACKETS;
pub(crate) use media::Media;

const ROOM: RoomId = RoomId(1);
const PASSWORD: &str = "the-peer-s-own-password";
const PUBLISHER_OFFER: &str = include_str!("../../tests/fixtures/sdp/chromium-sendrecv.sdp");
const SUBSCRIBER_OFFER: &str = include_str!("../../tests/fixtures/sdp/chromium-recvonly.sdp");
/// Remote port of the publisher; subscribers follow.
const FIRST_PORT: u16 = 20_000;
/// So short that a round of 1,000 frames ends before consent is due again.
const FRAME_INTERVAL: Duration = Duration::from_millis(4);

/// What left the shard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) packets: u64,
    pub(crate) runs: u64,
}

pub(crate) struct Stage {
    shard: Shard,
    /// The subscribers', where it is another.
    far: Option<Shard>,
    /// What is on its way between the two.
    parcel: Vec<u8>,
    outbox: Outbox,
    now: Instant,
    publisher: Host,
    subscribers: Vec<Host>,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    media: Media,
    picture: u16,
    sent: Sent,
}

/// One remote host: its path, its ICE password's other half, its DTLS.
struct Host {
    id: ParticipantId,
    path: Path,
    local: IceCredentials,
    dtls: dimpl::Dtls,
    epoch: std::time::Instant,
    srtp: Option<Srtp>,
}

fn identity(certificate: &[u8], key: &[u8]) -> Identity {
    Identity::new(certificate.to_vec(), key.to_vec())
}

fn robot() -> Identity {
    identity(
        include_bytes!("../../../loadtest/fixtures/robot.certificate.der"),
        include_bytes!("../../../loadtest/fixtures/robot.key.der"),
    )
}

/// A shard with the room.
fn shard(index: u16, now: Instant, participants_max: usize) -> Shard {
    let node = identity(
        include_bytes!("../../../loadtest/fixtures/node.certificate.der"),
        include_bytes!("../../../loadtest/fixtures/node.key.der"),
    );
    let config = ShardConfig {
        index,
        candidates: vec![([127, 0, 0, 1], 10_000).into()],
        identity: Arc::new(node),
        clock: ServerClock::from_unix(Duration::from_secs(1_700_000_000)),
    };
    let mut shard = Shard::new(config, [1; 32], now).expect("a usable certificate");
    let room = Command::CreateRoom {
        room: ROOM,
        parameters: RoomParameters {
            participants_max,
            ..RoomParameters::default()
        },
    };
    shard.handle_command(now, room).expect("a room");
    shard
}

impl Stage {
    /// Subscribers are on the publisher's shard, or on another where the room is `spread`.
    pub(crate) fn new(fan_out: usize, media: Media, spread: bool) -> Self {
        let now = Instant::from_millis(1);
        let mut near = shard(0, now, fan_out + 1);
        let far = spread.then(|| {
            let mut far = shard(1, now, fan_out + 1);
            for (at, to) in [(&mut far, 0), (&mut near, 1)] {
                let pipe = Command::OpenPipe {
                    room: ROOM,
                    port: PortId(1),
                    shard: to,
                };
                at.handle_command(now, pipe).expect("a pipe");
            }
            far
        });
        let (publisher, offer) = Host::join(&mut near, now, 0, PUBLISHER_OFFER);
        // Pictures have a second one, for repairs.
        let several = media != Media::Opus;
        let line = offer
            .sections
            .iter()
            .find(|one| (one.ssrcs.len() > 1) == several);
        let ssrc = line.expect("an m-line of its kind").ssrcs[0].ssrc;
        let mut stage = Self {
            shard: near,
            far,
            parcel: Vec::new(),
            outbox: Outbox::new(),
            now,
            publisher,
            subscribers: Vec::new(),
            sequence: 0,
            timestamp: 0,
            ssrc,
            media,
            picture: 0,
            sent: Sent::default(),
        };
        stage.carry();
        for index in 1..=fan_out {
            let (host, _) = Host::join(stage.shard_of(index), now, index, SUBSCRIBER_OFFER);
            stage.subscribers.push(host);
        }
        stage.connect();
        stage
    }

    /// `count` frames of the publisher's, sealed: a key frame first, then deltas.
    pub(crate) fn frames(&mut self, count: usize) -> Vec<Vec<u8>> {
        let mut sealed = Vec::with_capacity(count * FRAME_PACKETS);
        for frame in 0..count {
            self.timestamp = self.timestamp.wrapping_add(3_000);
            self.picture = self.picture.wrapping_add(1);
            for index in 0..FRAME_PACKETS {
                self.sequence = self.sequence.wrapping_add(1);
                sealed.push(self.packet(frame == 0, index));
            }
        }
        sealed
    }

    fn packet(&mut self, key_frame: bool, index: usize) -> Vec<u8> {
        let plain = self.media.bytes();
        let mut packet = vec![0; plain + 16];
        packet[0] = 0x80;
        packet[1] = self.media.payload_type() | if index + 1 == FRAME_PACKETS { 0x80 } else { 0 };
        packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        packet[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        let head = self.media.head(key_frame, index, self.picture);
        packet[12..12 + head.len()].copy_from_slice(&head);
        let srtp = self.publisher.srtp.as_mut().expect("keys");
        let length = srtp.seal_rtp(&mut packet, plain).expect("it seals");
        packet.truncate(length);
        packet
    }

    /// Where host `index` is.
    fn shard_of(&mut self, index: usize) -> &mut Shard {
        match &mut self.far {
            Some(far) if index > 0 => far,
            _ => &mut self.shard,
        }
    }

    fn shards(&mut self) -> impl Iterator<Item = &mut Shard> {
        [&mut self.shard].into_iter().chain(&mut self.far)
    }

    /// Both shards have what the other has to say.
    fn carry(&mut self) {
        let Some(far) = &mut self.far else {
            return;
        };
        while let Some((_, port)) = self.shard.poll_pipe(&mut self.parcel) {
            far.handle_parcel(self.now, port, &self.parcel);
        }
        while let Some((_, port)) = far.poll_pipe(&mut self.parcel) {
            self.shard.handle_parcel(self.now, port, &self.parcel);
        }
    }

    /// Between rounds everybody proves that it is still there (RFC 7675): what is measured ends
    /// before the next check is due.
    pub(crate) fn refresh(&mut self) {
        self.now += Duration::from_secs(6);
        let now = self.now;
        let Self {
            shard,
            far,
            outbox,
            publisher,
            subscribers,
            ..
        } = self;
        for shard in [shard].into_iter().chain(far) {
            shard.handle_timeout(now);
            let mut full = true;
            while full {
                full = shard.depart(now, outbox) == Departed::Full;
                for run in outbox.runs() {
                    let index = usize::from(run.path.remote.port() - FIRST_PORT);
                    let host = match index.checked_sub(1) {
                        None => &mut *publisher,
                        Some(index) => &mut subscribers[index],
                    };
                    for bytes in run.datagrams() {
                        if let Some(mut answer) = host.take(bytes) {
                            hand(shard, now, run.path, &mut answer);
                        }
                    }
                }
                outbox.clear();
            }
        }
        self.carry();
    }

    /// The frames arrive one by one, and leave again.
    pub(crate) fn play(&mut self, sealed: &mut [Vec<u8>]) {
        for frame in sealed.chunks_mut(FRAME_PACKETS) {
            self.now += FRAME_INTERVAL;
            self.pass_time();
            for bytes in frame {
                self.shard.handle_datagram(
                    self.now,
                    Datagram {
                        path: self.publisher.path,
                        arrived_at: self.now,
                        ecn: Ecn::NotEct,
                        bytes,
                    },
                );
            }
            self.depart();
        }
        // Sound that came in one batch is held for a moment.
        self.now += FRAME_INTERVAL / 2;
        self.pass_time();
    }

    /// What is due happens.
    fn pass_time(&mut self) {
        let now = self.now;
        let is_due = |shard: &Shard| shard.poll_timeout().is_some_and(|due| due <= now);
        while self.shards().any(|shard| is_due(shard)) {
            for shard in self.shards().filter(|shard| is_due(shard)) {
                shard.handle_timeout(now);
            }
            self.depart();
        }
    }

    /// As a shard's loop does it: first what goes to the other, which sends while this one does.
    fn depart(&mut self) {
        self.carry();
        let shards = [&mut self.shard].into_iter().chain(&mut self.far);
        for shard in shards {
            loop {
                let departed = shard.depart(self.now, &mut self.outbox);
                for run in self.outbox.runs() {
                    let media = classify(run.bytes) == Some(Kind::Rtp);
                    let packets = run.bytes.len().div_ceil(run.segment_size) as u64;
                    self.sent.packets += if media { packets } else { 0 };
                    self.sent.runs += u64::from(media);
                }
                self.outbox.clear();
                if departed == Departed::Done {
                    break;
                }
            }
        }
        self.carry();
    }

    pub(crate) const fn sent(&self) -> Sent {
        self.sent
    }

    /// Everybody checks, nominates, shakes hands.
    fn connect(&mut self) {
        let mut hosts = std::mem::take(&mut self.subscribers);
        for index in 0..=hosts.len() {
            let host = match index.checked_sub(1) {
                None => &mut self.publisher,
                Some(index) => &mut hosts[index],
            };
            let shard = match &mut self.far {
                Some(far) if index > 0 => far,
                _ => &mut self.shard,
            };
            let mut check = host.check();
            hand(shard, self.now, host.path, &mut check);
            for _ in 0..50 {
                self.now += Duration::from_millis(1);
                for mut datagram in host.drain(self.now) {
                    hand(shard, self.now, host.path, &mut datagram);
                }
                shard.handle_timeout(self.now);
                while shard.depart(self.now, &mut self.outbox) == Departed::Full {}
                let path = host.path;
                for run in self.outbox.runs().filter(|run| run.path == path) {
                    for bytes in run.datagrams() {
                        if let Some(mut answer) = host.take(bytes) {
                            hand(shard, self.now, host.path, &mut answer);
                        }
                    }
                }
                self.outbox.clear();
                // Whoever came first is asked for consent before hundreds are through.
                if host.srtp.is_some() {
                    break;
                }
            }
            assert!(host.srtp.is_some(), "host {index} has no keys");
        }
        self.subscribers = hosts;
        self.carry();
    }
}

fn hand(shard: &mut Shard, now: Instant, path: Path, bytes: &mut [u8]) {
    let datagram = Datagram {
        path,
        arrived_at: now,
        ecn: Ecn::NotEct,
        bytes,
    };
    shard.handle_datagram(now, datagram);
}

impl Host {
    /// Joins and offers; the offer as it was sent.
    fn join(shard: &mut Shard, now: Instant, index: usize, offer: &str) -> (Self, Description) {
        let participant = ParticipantId(index as u64 + 1);
        let join = Command::Join {
            room: ROOM,
            participant,
            parameters: ParticipantParameters {
                name: format!("p{index}"),
                permissions: Permissions::default(),
                subscribe_all: true,
                offers: true,
            },
        };
        shard.handle_command(now, join).expect("room for one more");
        let identity = robot();
        let mut offer = sdp::parse(SdpType::Offer, offer).expect("a browser's offer");
        for section in &mut offer.sections {
            section.ice = Some(IceCredentials {
                ufrag: format!("peer{index}"),
                password: PASSWORD.to_owned(),
            });
            section.fingerprints = vec![Fingerprint::Sha256(identity.fingerprint)];
        }
        let negotiate = Command::Negotiate {
            room: ROOM,
            participant,
            description: Box::new(offer.clone()),
        };
        let reply = shard.handle_command(now, negotiate).expect("an answer");
        let Reply::Negotiated(Negotiated::Answer(answer)) = reply else {
            panic!("no answer but {reply:?}");
        };
        let local = answer.sections[0].ice.clone().expect("credentials");
        let host = Self::new(participant, index, local, identity);
        (host, offer)
    }

    fn new(id: ParticipantId, index: usize, local: IceCredentials, identity: Identity) -> Self {
        #[expect(clippy::disallowed_methods, reason = "an anchor for virtual time")]
        let epoch = std::time::Instant::now();
        let config = dimpl::Config::builder().use_server_cookie(false).build();
        let certificate = dimpl::DtlsCertificate {
            certificate: identity.certificate,
            private_key: identity.private_key,
        };
        let config = Arc::new(config.expect("a plain config"));
        let mut dtls = dimpl::Dtls::new_12(config, certificate, epoch);
        dtls.set_active(true);
        dtls.handle_timeout(epoch).expect("a first time");
        Self {
            id,
            path: Path {
                local: LocalId(0),
                remote: (
                    [127, 0, 0, 1],
                    FIRST_PORT + u16::try_from(index).unwrap_or(0),
                )
                    .into(),
            },
            local,
            dtls,
            epoch,
            srtp: None,
        }
    }

    fn check(&self) -> Vec<u8> {
        let mut out = [0; 512];
        let mut writer = Writer::new(&mut out, Class::Request, [3; 12]);
        let index = self.id.0 - 1;
        writer.username(format!("{}:peer{index}", self.local.ufrag).as_bytes());
        writer.priority(1);
        writer.role(IceRole::Controlling(9));
        writer.use_candidate();
        let key = IntegrityKey::new(self.local.password.as_bytes());
        let length = writer.finish(&key).expect("it fits");
        out[..length].to_vec()
    }

    /// A datagram of the shard's; the answer to a check of its own.
    fn take(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        match classify(bytes)? {
            Kind::Stun => self.answer(bytes),
            Kind::Dtls => {
                self.dtls.handle_packet(bytes).expect("good records");
                None
            }
            Kind::Rtp | Kind::Rtcp => None,
        }
    }

    fn answer(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let message = Message::parse(bytes).expect("good STUN");
        if message.class() != Class::Request {
            return None;
        }
        let mut out = [0; 128];
        let mut writer = Writer::new(&mut out, Class::Success, message.transaction());
        writer.mapped_address(([127, 0, 0, 1], 10_000).into());
        let key = IntegrityKey::new(PASSWORD.as_bytes());
        let length = writer.finish(&key).expect("it fits");
        Some(out[..length].to_vec())
    }

    fn drain(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let at = self.epoch + Wall::from_micros(now.as_micros());
        self.dtls.handle_timeout(at).expect("time passes");
        let mut datagrams = Vec::new();
        let mut buffer = [0; 4_096];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                dimpl::Output::Packet(packet) => datagrams.push(packet.to_vec()),
                dimpl::Output::Timeout(_) => return datagrams,
                dimpl::Output::KeyingMaterial(material, _) => {
                    self.srtp = Srtp::new(SrtpProfile::Aes256Gcm, &material, true);
                }
                _ => {}
            }
        }
    }
}

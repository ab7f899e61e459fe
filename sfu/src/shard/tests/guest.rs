//! Whole remote hosts around one shard: an offer of their own making, ICE checks, DTLS by the
//! library, SRTP both ways, in virtual time and without loss.

use super::*;
use crate::outbox::Outbox;
use crate::sdp::Description;
use crate::sdp::description::{IceCredentials, SdpType, Setup};
use crate::shard::command::Negotiated;
use crate::transport::support::{Host, identities};
use crate::wire::demux::{self, classify};
use crate::wire::extension::{Extension, ExtensionMap, ExtensionValues};
use crate::wire::rtp::RtpPacket;

pub(super) const ROOM: RoomId = RoomId(7);

/// One m-line of a guest's offer.
#[derive(Clone, Debug)]
pub(super) struct LineText {
    pub(super) mid: &'static str,
    pub(super) video: bool,
    pub(super) direction: &'static str,
    /// 0: none is declared.
    pub(super) ssrc: u32,
    /// Of a picture.
    pub(super) codec: &'static str,
    /// Further lines of it.
    pub(super) more: String,
}

pub(super) fn line(mid: &'static str, video: bool, direction: &'static str, ssrc: u32) -> LineText {
    LineText {
        mid,
        video,
        direction,
        ssrc,
        codec: "VP8",
        more: String::new(),
    }
}

/// A packet as a guest received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) ssrc: u32,
    pub(super) sequence: u16,
    pub(super) payload_type: u8,
    pub(super) payload: Vec<u8>,
}

/// A remote host and its participant.
pub(super) struct Guest {
    pub(super) id: ParticipantId,
    pub(super) room: RoomId,
    pub(super) setup: &'static str,
    pub(super) ice: IceCredentials,
    pub(super) path: Path,
    pub(super) host: Option<Host>,
    pub(super) heard: Vec<Heard>,
    /// SSRCs a key frame was asked of.
    pub(super) plis: Vec<u32>,
    /// RTCP that came.
    pub(super) compounds: Vec<Vec<u8>>,
    /// Transport-wide numbers of what arrived (header extension 5), with the bytes of the datagram.
    pub(super) numbered: Vec<(u16, usize)>,
    /// It answers and says nothing while this is set.
    pub(super) mute: bool,
    version: u32,
}

impl Guest {
    /// Joins; `offers` as in the parameters.
    pub(super) fn join(shard: &mut Shard, id: u64, offers: bool) -> Self {
        let mut command = join(ROOM.0, id, &format!("guest{id}"));
        if let Command::Join { parameters, .. } = &mut command {
            parameters.offers = offers;
        }
        shard.handle_command(Instant::ZERO, command).unwrap();
        let port = 20_000 + u16::try_from(id).unwrap();
        Self {
            id: ParticipantId(id),
            room: ROOM,
            setup: "actpass",
            ice: IceCredentials {
                ufrag: format!("guest{id}a"),
                password: format!("guest-{id}-has-a-long-password"),
            },
            path: Path {
                local: LocalId(0),
                remote: ([192, 0, 2, 1], port).into(),
            },
            host: None,
            heard: Vec::new(),
            plis: Vec::new(),
            compounds: Vec::new(),
            numbered: Vec::new(),
            mute: false,
            version: 0,
        }
    }

    /// The text of an offer with `lines`.
    pub(super) fn text(&mut self, lines: &[LineText]) -> String {
        self.version += 1;
        let mids: Vec<&str> = lines.iter().map(|line| line.mid).collect();
        let mut text = format!(
            "v=0\r\no=- 42 {} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\n",
            self.version,
            mids.join(" ")
        );
        let (_, identity) = identities();
        let hash: Vec<String> = identity
            .fingerprint
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        for line in lines {
            let (kind, formats) = if line.video {
                (
                    "video",
                    format!(
                        "a=rtpmap:120 {}/90000\r\na=rtcp-fb:120 nack\r\na=rtcp-fb:120 nack pli\r\na=rtpmap:121 rtx/90000\r\na=fmtp:121 apt=120\r\n",
                        line.codec
                    ),
                )
            } else {
                ("audio", "a=rtpmap:96 opus/48000/2\r\n".to_owned())
            };
            let numbers = if line.video { "120 121" } else { "96" };
            text += &format!(
                "m={kind} 9 UDP/TLS/RTP/SAVPF {numbers}\r\nc=IN IP4 0.0.0.0\r\na=mid:{}\r\na={}\r\n\
                 a=rtcp-mux\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 {}\r\n\
                 a=setup:{}\r\na=extmap:9 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
                 a=extmap:7 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n{formats}",
                line.mid,
                line.direction,
                self.ice.ufrag,
                self.ice.password,
                hash.join(":"),
                self.setup,
            );
            if line.ssrc != 0 {
                text += &format!("a=ssrc:{} cname:guest\r\n", line.ssrc);
            }
            text += &line.more;
        }
        text
    }

    /// Offers; what the shard replies.
    pub(super) fn offer(
        &mut self,
        now: Instant,
        shard: &mut Shard,
        lines: &[LineText],
    ) -> Result<Negotiated, CommandError> {
        let offer = crate::sdp::parse(SdpType::Offer, &self.text(lines)).expect("sound SDP");
        let command = Command::Negotiate {
            room: self.room,
            participant: self.id,
            description: Box::new(offer),
        };
        match shard.handle_command(now, command)? {
            Reply::Negotiated(negotiated) => Ok(negotiated),
            other @ (Reply::Done | Reply::Restarted { .. } | Reply::Inspected(_)) => {
                panic!("not negotiated but {other:?}")
            }
        }
    }

    /// Answers an offer of the shard's with `lines`, as the DTLS client it is.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        shard: &mut Shard,
        lines: &[LineText],
    ) -> Result<Reply, CommandError> {
        let setup = std::mem::replace(&mut self.setup, "active");
        let answer = crate::sdp::parse(SdpType::Answer, &self.text(lines)).expect("sound SDP");
        self.setup = setup;
        let command = Command::Negotiate {
            room: self.room,
            participant: self.id,
            description: Box::new(answer),
        };
        shard.handle_command(now, command)
    }

    /// Offers and is answered; its host follows the answer.
    pub(super) fn negotiate(
        &mut self,
        now: Instant,
        shard: &mut Shard,
        lines: &[LineText],
    ) -> Description {
        let reply = self.offer(now, shard, lines);
        let Ok(Negotiated::Answer(answer)) = reply else {
            panic!("no answer but {reply:?}");
        };
        let told = answer.sections.iter().find(|section| !section.rejected);
        let told = told.expect("an m-line that is on");
        self.follow(told.ice.as_ref().expect("ICE credentials"), told.setup);
        *answer
    }

    /// The shard's credentials count from now on.
    pub(super) fn follow(&mut self, theirs: &IceCredentials, setup: Option<Setup>) {
        let is_client = setup == Some(Setup::Passive);
        let path = self.path;
        let host = self
            .host
            .get_or_insert_with(|| Host::facing(theirs, path, is_client));
        host.peer.local = theirs.clone();
        host.peer.credentials = self.ice.clone();
    }

    /// A check that nominates its path.
    pub(super) fn nominate(&self, now: Instant, shard: &mut Shard) {
        let check = self.host.as_ref().unwrap().peer.nomination();
        self.send(now, shard, check);
    }

    pub(super) fn send(&self, now: Instant, shard: &mut Shard, mut bytes: Vec<u8>) {
        let datagram = Datagram {
            path: self.path,
            arrived_at: now,
            ecn: Ecn::NotEct,
            bytes: &mut bytes,
        };
        shard.handle_datagram(now, datagram);
    }

    /// Sends one RTP packet. `named`: mid and rid in header extensions 9 and 7.
    pub(super) fn rtp(
        &mut self,
        now: Instant,
        shard: &mut Shard,
        (payload_type, ssrc, sequence): (u8, u32, u16),
        named: &[(u8, &str)],
        payload: &[u8],
    ) {
        let mut packet = vec![
            if named.is_empty() { 0x80 } else { 0x90 },
            payload_type | 0x80,
        ];
        packet.extend(sequence.to_be_bytes());
        packet.extend((u32::from(sequence) * 3_000).to_be_bytes());
        packet.extend(ssrc.to_be_bytes());
        if !named.is_empty() {
            let mut block = Vec::new();
            for (id, text) in named {
                block.push(id << 4 | u8::try_from(text.len() - 1).unwrap());
                block.extend(text.as_bytes());
            }
            block.resize(block.len().next_multiple_of(4), 0);
            packet.extend([0xBE, 0xDE]);
            packet.extend(u16::try_from(block.len() / 4).unwrap().to_be_bytes());
            packet.extend(block);
        }
        packet.extend(payload);
        let length = packet.len();
        packet.resize(length + 16, 0);
        let srtp = self.host.as_mut().unwrap().srtp.as_mut().expect("keys");
        let sealed = srtp.seal_rtp(&mut packet, length).unwrap();
        packet.truncate(sealed);
        self.send(now, shard, packet);
    }

    /// Sends one RTCP compound.
    pub(super) fn rtcp(&mut self, now: Instant, shard: &mut Shard, compound: &[u8]) {
        let mut packet = compound.to_vec();
        packet.resize(compound.len() + 20, 0);
        let srtp = self.host.as_mut().unwrap().srtp.as_mut().expect("keys");
        let sealed = srtp.seal_rtcp(&mut packet, compound.len()).unwrap();
        packet.truncate(sealed);
        self.send(now, shard, packet);
    }

    fn hear(&mut self, now: Instant, shard: &mut Shard, bytes: &[u8]) {
        let Some(host) = self.host.as_mut() else {
            return;
        };
        match classify(bytes) {
            Some(demux::Class::Rtp) => {
                let mut packet = bytes.to_vec();
                let srtp = host.srtp.as_mut().expect("keys before media");
                let opened = srtp.open_rtp(&mut packet);
                let length = opened.expect("each index is used once, under the keys agreed");
                let packet = RtpPacket::parse(&packet[..length]).unwrap();
                let mut named = ExtensionMap::default();
                named.set(Extension::TransportWideCc, 5);
                let values = ExtensionValues::read(&packet, &named);
                if let Some(number) = values.transport_sequence {
                    self.numbered.push((number, bytes.len()));
                }
                self.heard.push(Heard {
                    ssrc: packet.ssrc(),
                    sequence: packet.sequence(),
                    payload_type: packet.payload_type(),
                    payload: packet.payload().to_vec(),
                });
            }
            Some(demux::Class::Rtcp) => {
                let mut compound = bytes.to_vec();
                let srtp = host.srtp.as_mut().expect("keys before RTCP");
                let length = srtp.open_rtcp(&mut compound).expect("a fresh index");
                self.plis.extend(plis(&compound[..length]));
                compound.truncate(length);
                self.compounds.push(compound);
            }
            _ => {
                if let Some(answer) = host.handle(bytes).filter(|_| !self.mute) {
                    self.send(now, shard, answer);
                }
            }
        }
    }
}

/// The SSRCs that PLIs of a compound name (RFC 4585 §6.3.1).
fn plis(mut compound: &[u8]) -> Vec<u32> {
    let mut found = Vec::new();
    while let [first, kind, high, low, rest @ ..] = compound {
        if (first & 0x1F, *kind) == (1, 206) {
            found.push(u32::from_be_bytes(rest[4..8].try_into().unwrap()));
        }
        let words = usize::from(u16::from_be_bytes([*high, *low]));
        compound = &compound[4 + words * 4..];
    }
    found
}

/// Everybody talks until all are silent.
pub(super) fn exchange(now: Instant, shard: &mut Shard, guests: &mut [&mut Guest]) {
    let mut outbox = Outbox::new();
    for _ in 0..200 {
        if shard.poll_timeout().is_some_and(|due| due <= now) {
            shard.handle_timeout(now);
        }
        let departed = shard.depart(now, &mut outbox);
        let mut quiet = outbox.is_empty();
        let mut sent = Vec::new();
        for run in outbox.runs() {
            sent.extend(run.datagrams().map(|bytes| (run.path, bytes.to_vec())));
        }
        outbox.clear();
        for (path, bytes) in sent {
            if let Some(guest) = guests.iter_mut().find(|guest| guest.path == path) {
                guest.hear(now, shard, &bytes);
            }
        }
        for guest in guests.iter_mut().filter(|guest| !guest.mute) {
            let said = guest.host.as_mut().map(|host| host.drain(now));
            for datagram in said.unwrap_or_default() {
                quiet = false;
                guest.send(now, shard, datagram);
            }
        }
        if quiet && departed == Departed::Done {
            return;
        }
    }
    panic!("they never fall silent");
}

/// Time passes in steps of 10 ms, with everybody talking.
pub(super) fn pass(
    from: Instant,
    milliseconds: u64,
    shard: &mut Shard,
    guests: &mut [&mut Guest],
) -> Instant {
    let mut now = from;
    for _ in 0..milliseconds.div_ceil(10) {
        now += Duration::from_millis(10);
        exchange(now, shard, guests);
    }
    now
}

/// Joins, offers and connects.
pub(super) fn connected(
    now: Instant,
    shard: &mut Shard,
    id: u64,
    offers: bool,
    lines: &[LineText],
) -> Guest {
    let mut guest = Guest::join(shard, id, offers);
    guest.negotiate(now, shard, lines);
    guest.nominate(now, shard);
    exchange(now, shard, &mut [&mut guest]);
    assert!(
        guest.host.as_ref().is_some_and(|host| host.srtp.is_some()),
        "guest {id} has no keys"
    );
    guest
}

pub(super) fn events(shard: &mut Shard) -> Vec<Event> {
    std::iter::from_fn(|| shard.poll_event()).collect()
}

/// The tracks a guest publishes by what the events say.
pub(super) fn tracks_of(events: &[Event], guest: &Guest) -> Vec<TrackId> {
    let mut found = Vec::new();
    for event in events {
        if let Event::TrackChanged { facts, .. } = event
            && facts.participant == guest.id
            && !found.contains(&facts.track)
        {
            found.push(facts.track);
        }
    }
    found
}

/// The payload of a VP8 frame in one packet, and of Opus (the second: what was sent).
pub(super) fn picture(key: bool, content: u8) -> Vec<u8> {
    // RFC 7741 §4.2: S alone; §4.3: P is 0 in a key frame, then start code and size.
    let kind = if key { 0x10 } else { 0x11 };
    let mut payload = vec![0x10, kind, 0, 0, 0x9D, 0x01, 0x2A, 64, 1, 240, 0];
    payload.extend([content; 100]);
    payload
}

pub(super) fn sound(content: u8) -> Vec<u8> {
    [&[0x78][..], &[content; 60]].concat()
}

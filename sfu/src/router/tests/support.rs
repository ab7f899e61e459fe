//! A room with a clock: packets in, packets out.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::id::{MemberKey, Mid, Rid, SectionKey, TrackId, TrackKey};
use crate::router::{PagePool, Routed, Router};
use crate::sdp::negotiate::{MediaPlan, PayloadPlan};
use crate::time::{Duration, Instant, ServerClock};
use crate::units::MediaKind;
use crate::wire::extension::{Extension, ExtensionMap, ExtensionValues, descriptor};
use crate::wire::feedback::Feedback;
use crate::wire::payload::{Codec, Format};
use crate::wire::rtcp::{CompoundWriter, ReportBlock, RtcpPacket, SenderReport, packets};
use crate::wire::rtp::{RtpHeader, RtpPacket, pad};

pub(super) const VP8: u8 = 96;
pub(super) const VP8_RTX: u8 = 97;
pub(super) const OPUS: u8 = 111;
pub(super) const RED: u8 = 63;

pub(super) fn extensions() -> ExtensionMap {
    let mut map = ExtensionMap::default();
    for (extension, id) in Extension::ALL.into_iter().zip(1..) {
        map.set(extension, id);
    }
    map
}

pub(super) fn payload(payload_type: u8, rtx: Option<u8>, codec: Codec) -> PayloadPlan {
    let video = codec.kind() == MediaKind::Video;
    PayloadPlan {
        payload_type,
        rtx,
        format: Format::of(codec),
        parameters: String::new(),
        nack: video,
        pli: video,
        fir: false,
        transport_cc: true,
        ccfb: false,
        remb: false,
    }
}

pub(super) fn plan(mid: &str, kind: MediaKind) -> MediaPlan {
    MediaPlan {
        mid: Mid::new(mid).unwrap(),
        kind,
        payloads: match kind {
            MediaKind::Audio => vec![payload(OPUS, None, Codec::Opus)],
            MediaKind::Video => vec![payload(VP8, Some(VP8_RTX), Codec::Vp8)],
        },
        extensions: extensions(),
        reduced_size: true,
        rids: Vec::new(),
        ssrcs: Vec::new(),
        msid: None,
    }
}

pub(super) fn with_red(mut plan: MediaPlan) -> MediaPlan {
    let mut red = payload(RED, None, Codec::Red);
    red.parameters = format!("{OPUS}/{OPUS}");
    plan.payloads.push(red);
    plan
}

/// A packet before it is bytes.
#[derive(Clone)]
pub(super) struct Packet {
    pub(super) header: RtpHeader,
    pub(super) values: ExtensionValues,
    pub(super) payload: Vec<u8>,
    pub(super) padding: usize,
    /// Its dependency descriptor.
    pub(super) descriptor: Vec<u8>,
}

impl Packet {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = vec![0; 1_500];
        let len = self
            .header
            .write_described(&self.values, &self.descriptor, &extensions(), &mut out)
            .unwrap();
        let end = len + self.payload.len();
        out[len..end].copy_from_slice(&self.payload);
        assert!(pad(&mut out, end, end + self.padding));
        out.truncate(end + self.padding);
        out
    }

    pub(super) fn marker(mut self) -> Self {
        self.header.marker = true;
        self
    }

    pub(super) fn padding_only(mut self) -> Self {
        self.payload.clear();
        self.padding = 200;
        self
    }

    pub(super) fn mid(mut self, mid: &str) -> Self {
        self.values.mid = Mid::new(mid);
        self
    }

    pub(super) fn rid(mut self, rid: &str) -> Self {
        self.values.rid = Rid::new(rid);
        self
    }

    /// The same as a retransmission.
    pub(super) fn into_rtx(mut self, ssrc: u32, sequence: u16) -> Self {
        let mut payload = self.header.sequence.to_be_bytes().to_vec();
        payload.extend(&self.payload);
        self.payload = payload;
        self.header.payload_type = VP8_RTX;
        self.header.ssrc = ssrc;
        self.header.sequence = sequence;
        self
    }
}

/// A VP8 packet of picture `picture`; `key`: the first of a key frame.
pub(super) fn video(ssrc: u32, sequence: u16, picture: u16, key: bool) -> Packet {
    // X, then S where a partition starts; I and L; 15-bit picture id; TL0PICIDX (RFC 7741 §4.2).
    let [high, low] = (picture | 0x8000).to_be_bytes();
    let tl0 = low;
    let mut payload = vec![if key { 0x90 } else { 0x80 }, 0xC0, high, low, tl0];
    // RFC 7741 §4.3: P is 0 in a key frame; then the start code and the size.
    payload.extend([
        if key { 0x10 } else { 0x11 },
        0,
        0,
        0x9D,
        0x01,
        0x2A,
        64,
        1,
        240,
        0,
    ]);
    payload.extend(sequence.to_be_bytes());
    payload.extend([7; 900]);
    Packet {
        header: RtpHeader {
            payload_type: VP8,
            marker: false,
            sequence,
            timestamp: u32::from(picture) * 3_000,
            ssrc,
        },
        values: ExtensionValues::default(),
        payload,
        padding: 0,
        descriptor: Vec::new(),
    }
}

/// An Opus packet.
pub(super) fn audio(ssrc: u32, sequence: u16) -> Packet {
    Packet {
        header: RtpHeader {
            payload_type: OPUS,
            marker: false,
            sequence,
            timestamp: u32::from(sequence) * 960,
            ssrc,
        },
        values: ExtensionValues::default(),
        payload: [&[0x78][..], &sequence.to_be_bytes(), &[9; 90]].concat(),
        padding: 0,
        descriptor: Vec::new(),
    }
}

/// A packet as a subscriber sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) ssrc: u32,
    pub(super) payload_type: u8,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    pub(super) payload: Vec<u8>,
    pub(super) padding: usize,
    pub(super) values: ExtensionValues,
    pub(super) descriptor: Vec<u8>,
}

impl Seen {
    fn of(packet: &[u8]) -> Self {
        let packet = RtpPacket::parse(packet).unwrap();
        Self {
            ssrc: packet.ssrc(),
            payload_type: packet.payload_type(),
            sequence: packet.sequence(),
            timestamp: packet.timestamp(),
            marker: packet.marker(),
            payload: packet.payload().to_vec(),
            padding: packet.padding(),
            values: ExtensionValues::read(&packet, &extensions()),
            descriptor: descriptor(&packet, &extensions()).to_vec(),
        }
    }

    /// The input sequence number that [`video`] and [`audio`] write into their payload.
    pub(super) fn input(&self) -> u16 {
        let at = match self.payload_type {
            OPUS | RED => 1,
            VP8_RTX => 17,
            _ => 15,
        };
        u16::from_be_bytes([self.payload[at], self.payload[at + 1]])
    }

    pub(super) fn picture(&self) -> u16 {
        u16::from_be_bytes([self.payload[2], self.payload[3]]) & 0x7FFF
    }
}

/// RTCP that was written.
#[derive(Clone, Debug, Default)]
pub(super) struct Reports {
    pub(super) senders: Vec<SenderReport>,
    pub(super) cnames: Vec<(u32, String)>,
    pub(super) blocks: Vec<ReportBlock>,
    pub(super) nacked: Vec<(u32, u16)>,
    pub(super) plis: Vec<u32>,
}

pub(super) struct Room {
    pub(super) router: Router,
    pub(super) pages: PagePool,
    pub(super) now: Instant,
    pub(super) clock: ServerClock,
    pub(super) rng: ChaCha20Rng,
    transport_sequence: u16,
    /// How what [`Room::take`] took was to be sealed.
    pub(super) seals: Vec<crate::router::Seal>,
    /// How many of them were written like the one before.
    pub(super) alike: usize,
}

pub(super) const ADA: MemberKey = MemberKey(0);
pub(super) const BOB: MemberKey = MemberKey(1);
pub(super) const CLEO: MemberKey = MemberKey(2);

impl Room {
    /// Ada, Bob and Cleo, 10 s after the start.
    pub(super) fn new() -> Self {
        let clock = ServerClock::from_unix(Duration::from_secs(1_700_000_000));
        let mut router = Router::new(clock);
        for (member, name) in [(ADA, "ada"), (BOB, "bob"), (CLEO, "cleo")] {
            router.add_member(member, name);
        }
        Self {
            router,
            pages: PagePool::new(),
            now: Instant::from_millis(10_000),
            clock,
            rng: ChaCha20Rng::from_seed([7; 32]),
            transport_sequence: 0,
            seals: Vec::new(),
            alike: 0,
        }
    }

    pub(super) fn publish(&mut self, member: MemberKey, plan: &MediaPlan) -> TrackKey {
        let id = TrackId(u64::from(member.0) * 100 + self.router.sizes().tracks as u64);
        self.router.publish(self.now, member, id, plan).unwrap()
    }

    pub(super) fn section(&mut self, member: MemberKey, plan: &MediaPlan, ssrc: u32) -> SectionKey {
        let rtx = (plan.kind == MediaKind::Video).then_some(ssrc + 1);
        let rng = &mut self.rng;
        self.router
            .open_section(member, plan, ssrc, rtx, rng)
            .unwrap()
    }

    /// Ada shows Bob a picture; the first key frame (input 100) has passed.
    pub(super) fn with_picture() -> (Self, TrackKey, SectionKey) {
        let mut room = Self::new();
        let plan = plan("v", MediaKind::Video);
        let track = room.publish(ADA, &plan);
        let section = room.section(BOB, &plan, 7_000);
        room.router.bind(room.now, section, Some(track));
        room.send(ADA, &video(1, 100, 10, true).marker());
        assert_eq!(room.inputs(BOB), [100]);
        (room, track, section)
    }

    pub(super) fn send(&mut self, member: MemberKey, packet: &Packet) -> Routed {
        let bytes = packet.bytes();
        self.router
            .route(self.now, self.now, member, &bytes, &mut self.pages)
            .unwrap()
    }

    /// Lets `ms` pass in steps of 1 ms, with timeouts.
    pub(super) fn pass(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now += Duration::from_millis(1);
            if self
                .router
                .poll_timeout()
                .is_some_and(|due| due <= self.now)
            {
                self.router.handle_timeout(self.now);
            }
        }
    }

    /// What leaves for a member now.
    pub(super) fn take(&mut self, member: MemberKey) -> Vec<Seen> {
        self.take_by(member, usize::MAX)
    }

    /// The same, so many packets at most by one rewriter.
    pub(super) fn take_by(&mut self, member: MemberKey, most: usize) -> Vec<Seen> {
        let mut seen = Vec::new();
        let ready = self.router.ready(self.now);
        if !(0..ready).any(|place| self.router.ready_member(place) == Some(member)) {
            return seen;
        }
        loop {
            let mut rewriter = match self.router.rewriter(self.now, member) {
                None => return seen,
                Some(Err(_)) => continue,
                Some(Ok(rewriter)) => rewriter,
            };
            let mut left = most;
            while left > 0
                && let Some(number) = rewriter.take()
            {
                left -= 1;
                self.alike += usize::from(rewriter.is_alike(number));
                let mut out = [0; 1_500];
                let next = &mut self.transport_sequence;
                let sequence = || {
                    *next = next.wrapping_add(1);
                    *next
                };
                // It never stands still.
                let abs_send = 0x12_3456 + self.seals.len() as u32;
                let Ok(written) = rewriter.write(number, sequence, abs_send, &mut out) else {
                    continue;
                };
                self.seals.push(written.seal);
                let whole = written.tail.copy(&mut out, written.len).unwrap();
                seen.push(Seen::of(&out[..whole]));
            }
        }
    }

    /// The input numbers of what leaves for a member now.
    pub(super) fn inputs(&mut self, member: MemberKey) -> Vec<u16> {
        self.take(member).iter().map(Seen::input).collect()
    }

    /// The RTCP that is written for a member now.
    pub(super) fn rtcp(&mut self, member: MemberKey) -> Reports {
        let mut found = Reports::default();
        self.router.handle_timeout(self.now);
        if !self.router.has_feedback(member) {
            return found;
        }
        let mut out = [0; 1_200];
        let mut writer = CompoundWriter::new(&mut out);
        self.router.write_reports(self.now, member, &mut writer);
        self.router.write_feedback(self.now, member, &mut writer);
        let len = writer.len();
        for packet in packets(&out[..len]) {
            match packet.unwrap() {
                RtcpPacket::SenderReport {
                    ssrc,
                    ntp,
                    rtp,
                    packets,
                    bytes,
                    ..
                } => found.senders.push(SenderReport {
                    ssrc,
                    ntp,
                    rtp,
                    packets,
                    bytes,
                }),
                RtcpPacket::ReceiverReport { reports, .. } => found.blocks.extend(reports),
                RtcpPacket::Sdes(sdes) => {
                    let names = sdes.cnames().map(|(ssrc, name)| (ssrc, name.to_owned()));
                    found.cnames.extend(names);
                }
                RtcpPacket::Feedback(Feedback::Nack {
                    media, sequences, ..
                }) => found.nacked.extend(sequences.map(|number| (media, number))),
                RtcpPacket::Feedback(Feedback::Pli { media, .. }) => found.plis.push(media),
                other => panic!("{other:?}"),
            }
        }
        found
    }
}

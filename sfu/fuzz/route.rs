//! One room without network and keys: bytes are a program of packets, requests and changes.
//!
//! Checked: nothing panics; what is written parses; no number of an SSRC is used twice (SRTP would
//! break); a room that everybody has left holds nothing.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sfu::id::{MemberKey, PortId, SectionKey, TrackId, TrackKey};
use sfu::router::{PagePool, Router, Seal};
use sfu::sdp::description::SdpType;
use sfu::sdp::negotiate::{MediaPlan, plan};
use sfu::time::{Duration, Instant, NtpTime, ServerClock};
use sfu::wire::extension::ExtensionValues;
use sfu::wire::port::PortMessage;
use sfu::wire::rtcp::{CompoundWriter, ReportBlock, packets};
use sfu::wire::rtp::{RtpHeader, RtpPacket};
use sfu::wire::sequence::SequenceUnwrapper;

use super::program::Program;

const MEMBERS: u32 = 3;
const OFFERS: [&str; 2] = [
    include_str!("../tests/fixtures/sdp/chromium-simulcast.sdp"),
    include_str!("../tests/fixtures/sdp/firefox-sendrecv.sdp"),
];

/// A room with its members, and what was seen of it.
struct Room {
    router: Router,
    pages: PagePool,
    random: ChaCha20Rng,
    now: Instant,
    plans: Vec<MediaPlan>,
    /// How many of them are of the first offer.
    first_offer: usize,
    /// Published tracks, with the place of their plan.
    tracks: Vec<(TrackKey, u8)>,
    sections: Vec<(MemberKey, SectionKey, u32)>,
    /// Last sequence number and timestamp of each SSRC sent in.
    sources: BTreeMap<u32, (u16, u32)>,
    numbers: BTreeMap<u32, (SequenceUnwrapper, BTreeSet<u64>)>,
    next_id: u32,
}

/// The program.
pub(crate) fn route(bytes: &[u8]) {
    let program = Program::new(bytes);
    let mut room = Room::new();
    while let Some(step) = program.u8() {
        room.step(step, &program);
    }
    room.now += Duration::from_secs(1);
    room.depart();
    for member in 0..MEMBERS {
        room.router
            .remove_member(room.now, MemberKey(member), &mut room.pages);
    }
    let left = room.router.sizes();
    assert_eq!((left.tracks, left.encodings, left.sections), (0, 0, 0));
    assert_eq!(left.tickets, 0);
    assert_eq!(room.pages.in_use(), 0);
}

impl Room {
    fn new() -> Self {
        let clock = ServerClock::from_unix(Duration::from_secs(1_700_000_000));
        let [first, second] = OFFERS.map(|text| {
            let offer = sfu::sdp::parse(SdpType::Offer, text).expect("a real offer");
            let sections = offer.sections.iter();
            sections
                .filter_map(|section| plan(section, &[]))
                .collect::<Vec<_>>()
        });
        let mut room = Self {
            router: Router::new(clock),
            pages: PagePool::new(),
            random: ChaCha20Rng::from_seed([7; 32]),
            now: Instant::from_millis(1),
            first_offer: first.len(),
            plans: [first, second].concat(),
            tracks: Vec::new(),
            sections: Vec::new(),
            sources: BTreeMap::new(),
            numbers: BTreeMap::new(),
            next_id: 1_000,
        };
        for member in 0..MEMBERS {
            room.router.add_member(MemberKey(member), "cname");
        }
        // The first offer's tracks are the first member's, the others the second's.
        let first = room.first_offer;
        for choice in (0_u8..).take(room.plans.len()) {
            let of_first = usize::from(choice) < first;
            room.publish(u8::from(!of_first), choice);
            room.open(2, choice, choice);
            if of_first {
                room.open(1, choice, choice);
            }
        }
        room
    }

    fn plan(&self, choice: u8) -> MediaPlan {
        self.plans[usize::from(choice) % self.plans.len()].clone()
    }

    fn publish(&mut self, member: u8, choice: u8) {
        self.next_id += 1;
        let (member, id) = (
            MemberKey(u32::from(member) % MEMBERS),
            TrackId(self.next_id.into()),
        );
        let track = self
            .router
            .publish(self.now, member, id, &self.plan(choice));
        self.tracks.extend(track.ok().map(|track| (track, choice)));
    }

    fn open(&mut self, member: u8, choice: u8, track: u8) {
        self.next_id += 2;
        let (member, ssrc) = (MemberKey(u32::from(member) % MEMBERS), self.next_id);
        let plan = self.plan(choice);
        let section =
            self.router
                .open_section(member, &plan, ssrc, Some(ssrc + 1), &mut self.random);
        let Some(section) = section else {
            return;
        };
        self.sections.push((member, section, ssrc));
        self.bind(section, track);
    }

    fn bind(&mut self, section: SectionKey, track: u8) {
        let track = self
            .track(track)
            .filter(|&track| self.router.can_carry(section, track));
        self.router.bind(self.now, section, track);
    }

    fn section(&self, choice: u8) -> Option<(MemberKey, SectionKey, u32)> {
        self.sections
            .get(usize::from(choice) % self.sections.len().max(1))
            .copied()
    }

    fn track(&self, choice: u8) -> Option<TrackKey> {
        let track = self
            .tracks
            .get(usize::from(choice) % self.tracks.len().max(1));
        track.map(|&(track, _)| track)
    }

    fn step(&mut self, step: u8, program: &Program<'_>) {
        match step {
            0..=127 => self.packet(step, program),
            128..=159 => {
                let step = Duration::from_millis(program.or_zero().into());
                self.now += step;
                self.router.handle_timeout(self.now);
                self.depart();
            }
            160..=191 => self.request(step, program),
            192..=223 => self.change(step, program),
            224..=239 => self.door(step, program),
            240.. => {
                let bytes = program.take(usize::from(program.or_zero()));
                let member = MemberKey(u32::from(step) % MEMBERS);
                let routed = self
                    .router
                    .route(self.now, self.now, member, bytes, &mut self.pages);
                assert!(routed.is_ok() || RtpPacket::parse(bytes).is_err());
            }
        }
    }

    /// A packet that is likely to find its track.
    fn packet(&mut self, step: u8, program: &Program<'_>) {
        let [choice, ahead, flags, len] = program.array();
        let place = step % u8::try_from(self.tracks.len()).unwrap_or(u8::MAX).max(1);
        let Some(&(track, of)) = self.tracks.get(usize::from(place)) else {
            return;
        };
        let plan = self.plan(of);
        let rung = choice % 4;
        let member = self.router.track(track).map(|track| track.member());
        let payload = plan
            .payloads
            .get(usize::from(flags & 0x07))
            .or_else(|| plan.payloads.first());
        let (Some(member), Some(payload)) = (member, payload) else {
            return;
        };
        let repeat = flags & 0x10 != 0;
        let ssrc = 50 + u32::from(place) * 8 + u32::from(rung) + if repeat { 4 } else { 0 };
        let (sequence, timestamp) = self.sources.entry(ssrc).or_default();
        *sequence = sequence.wrapping_add_signed(i16::from(ahead.cast_signed()) / 8 + 1);
        *timestamp = timestamp.wrapping_add(u32::from(ahead) * 960);
        let header = RtpHeader {
            payload_type: payload
                .rtx
                .filter(|_| repeat)
                .unwrap_or(payload.payload_type),
            marker: flags & 0x20 != 0,
            sequence: *sequence,
            timestamp: *timestamp,
            ssrc,
        };
        let rid = plan.rids.get(usize::from(rung)).copied();
        let values = ExtensionValues {
            mid: (flags & 0x40 != 0).then_some(plan.mid),
            rid: rid.filter(|_| !repeat),
            repaired_rid: rid.filter(|_| repeat),
            transport_sequence: Some(*sequence),
            ..ExtensionValues::default()
        };
        let mut out = [0; 1_500];
        let start = header
            .write(&values, &plan.extensions, &mut out)
            .expect("there is room");
        let body = program.take(usize::from(len));
        out[start..start + body.len()].copy_from_slice(body);
        let bytes = &out[..start + body.len()];
        let routed = self
            .router
            .route(self.now, self.now, member, bytes, &mut self.pages);
        assert!(routed.is_ok(), "a well-formed packet of a member");
    }

    fn request(&mut self, step: u8, program: &Program<'_>) {
        let [choice, a, b, c] = program.array();
        let Some((member, _, ssrc)) = self.section(choice) else {
            return;
        };
        match step % 6 {
            0 => {
                let base = u16::from_be_bytes([a, b]);
                let asked = (0..u16::from(c)).map(|at| base.wrapping_add(at));
                self.router.handle_nack(self.now, member, ssrc, asked);
            }
            1 => {
                // What was really sent.
                let sent = self
                    .numbers
                    .get(&ssrc)
                    .map(|(_, all)| all.clone())
                    .unwrap_or_default();
                let asked = sent.iter().map(|number| (number & 0xFFFF) as u16);
                self.router.handle_nack(
                    self.now,
                    member,
                    ssrc,
                    asked.step_by(usize::from(a % 5) + 1),
                );
            }
            2 => self.router.handle_keyframe_request(self.now, member, ssrc),
            3 => {
                let block = ReportBlock {
                    ssrc,
                    fraction_lost: choice,
                    last_sr: a.into(),
                    delay_since_sr: b.into(),
                    ..ReportBlock::default()
                };
                self.router.handle_report_block(self.now, member, &block);
            }
            4 => {
                let ntp = NtpTime(u64::from_be_bytes([a, b, c, choice, a, b, c, choice]));
                self.router.handle_sender_report(
                    self.now,
                    member,
                    50 + u32::from(a),
                    ntp,
                    b.into(),
                );
            }
            _ => {
                let source = 50 + u32::from(a);
                self.router
                    .handle_bye(self.now, member, source, &mut self.pages);
            }
        }
    }

    fn change(&mut self, step: u8, program: &Program<'_>) {
        let [choice, other] = program.array();
        match step % 8 {
            0 => self.publish(choice, other),
            1 => {
                if !self.tracks.is_empty() {
                    let track = self.tracks.remove(usize::from(choice) % self.tracks.len());
                    self.router.unpublish(self.now, track.0, &mut self.pages);
                }
            }
            2 => self.open(choice >> 6, choice, other),
            3 => {
                if !self.sections.is_empty() {
                    let place = usize::from(choice) % self.sections.len();
                    self.router.close_section(self.sections.remove(place).1);
                }
            }
            4 => {
                if let Some((_, section, _)) = self.section(choice) {
                    self.bind(section, other);
                    if other % 7 == 0 {
                        self.router.bind(self.now, section, None);
                    }
                }
            }
            5 => {
                if let Some((_, section, _)) = self.section(choice) {
                    self.router.set_paused(self.now, section, other % 2 == 0);
                }
            }
            6 => {
                if let Some(track) = self.track(choice) {
                    self.router
                        .set_muted(self.now, track, other % 2 == 0, &mut self.pages);
                    self.router.request_keyframe(self.now, track);
                }
            }
            _ => {
                let member = MemberKey(u32::from(choice) % MEMBERS);
                self.router.set_receiving(self.now, member, other % 2 == 0);
            }
        }
    }

    fn door(&mut self, step: u8, program: &Program<'_>) {
        let port = PortId(u64::from(step % 2));
        let [choice, mask] = program.array();
        match step % 3 {
            0 => {
                let opened = self.router.open_port(port);
                assert!(opened.is_ok());
                let track = self
                    .track(choice)
                    .and_then(|track| self.router.track(track));
                if let Some(track) = track.map(|track| track.id()) {
                    let wanted = PortMessage::EncodingsWanted { track, mask };
                    let _ = self
                        .router
                        .handle_port(self.now, port, &wanted, &mut self.pages);
                }
            }
            1 => {
                let mut out = [0; 2_000];
                while let Some(len) = self.router.poll_port(port, &mut out) {
                    assert!(PortMessage::decode(&out[..len]).is_ok());
                }
            }
            _ => {
                if let Ok(message) = PortMessage::decode(program.take(usize::from(mask))) {
                    let _ = self
                        .router
                        .handle_port(self.now, port, &message, &mut self.pages);
                } else {
                    self.router.close_port(port);
                }
            }
        }
    }

    /// Everything that may leave, leaves.
    fn depart(&mut self) {
        self.router.release_lone(self.now);
        let mut out = [0; 1_600];
        for place in 0..self.router.ready(self.now) {
            let Some(member) = self.router.ready_member(place) else {
                continue;
            };
            let mut compound = [0; 1_400];
            let mut writer = CompoundWriter::new(&mut compound);
            self.router.write_reports(self.now, member, &mut writer);
            self.router.write_feedback(self.now, member, &mut writer);
            let len = writer.len();
            assert!(packets(&compound[..len]).all(|packet| packet.is_ok()));
            while let Some(rewriter) = self.router.rewriter(self.now, member) {
                let Ok(mut rewriter) = rewriter else {
                    continue;
                };
                while let Some(number) = rewriter.take() {
                    let written = rewriter.write(number, || 7, 9, &mut out);
                    let Ok(written) = written else { continue };
                    let whole = written.tail.copy(&mut out, written.len).expect("room");
                    let packet = RtpPacket::parse(&out[..whole]).expect("what is written parses");
                    let (unwrapper, seen) = self.numbers.entry(packet.ssrc()).or_default();
                    let number = unwrapper.unwrap(packet.sequence());
                    let is_new = seen.insert(number);
                    assert_eq!(
                        is_new,
                        written.seal == Seal::Once,
                        "{number} of {}",
                        packet.ssrc()
                    );
                }
            }
        }
        while self.router.poll_track_change().is_some() {}
        drop(self.router.poll_speakers());
    }
}

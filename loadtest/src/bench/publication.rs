//! What the load sends: packets whose plaintext says which one it is, at even times.

use std::collections::VecDeque;
use std::time::Instant;

use sfu::time::Duration;

use super::bare::{publisher_of, ssrc_of};
use super::offer::{LEVEL_ID, PAYLOAD_TYPE};
use super::peer::Peer;
use super::scenario::{Media, Scenario};

/// Begins every payload, behind a codec's descriptor.
const MAGIC: [u8; 4] = *b"PLEN";
/// What a payload says of itself: magic, publisher, sequence number.
const LABEL_BYTES: usize = 10;
/// Room for what a scenario may put into one packet, sealed.
const PACKET_BYTES: usize = 1_500;
/// A frame that can be decoded alone comes as often.
const KEYFRAME_EVERY: u64 = 30;
/// Times of sending that are remembered, of each publisher.
const REMEMBERED: usize = 4_096;
/// -dBov (RFC 6464): somebody speaks.
const LOUD: u8 = 20;
/// A room's noise.
const QUIET: u8 = 90;
/// From one publisher to who sends next; prime, so that each has its turn.
const PHASE_STRIDE: usize = 37;
/// In the second byte of an RTP header.
const MARKER: u8 = 0x80;

/// Which packet it is, by its own plaintext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) publisher: usize,
    pub(super) sequence: u16,
}

/// One publisher's numbers.
#[derive(Debug)]
struct Source {
    publisher: usize,
    sequence: u16,
    timestamp: u32,
    frames: u64,
    /// By sequence number, since the beginning of the programme.
    sent_at: Vec<Duration>,
}

/// All publishers' packets.
#[derive(Debug)]
pub(super) struct Publication {
    scenario: &'static Scenario,
    /// To a server that wants levels in the clear; the floor takes bare headers.
    levels: bool,
    sources: Vec<Source>,
    /// Who is next, and when.
    due: VecDeque<(Instant, usize)>,
    pub(super) frames_sent: u64,
}

impl Publication {
    pub(super) fn new(scenario: &'static Scenario, levels: bool) -> Self {
        let source = |publisher| Source {
            publisher,
            sequence: 0,
            timestamp: 0,
            frames: 0,
            sent_at: vec![Duration::ZERO; REMEMBERED],
        };
        Self {
            scenario,
            levels: levels && scenario.media == Media::Audio,
            sources: (0..scenario.publishers).map(source).collect(),
            due: VecDeque::new(),
            frames_sent: 0,
        }
    }

    /// From now on; the publishers' phases are even over an interval.
    pub(super) fn begin(&mut self, now: Instant) {
        let publishers = self.scenario.publishers;
        let step = self.scenario.interval / u32::try_from(publishers).unwrap_or(1).max(1);
        let mut at = now;
        self.due.clear();
        for place in 0..publishers {
            // The loud ones do not stand beside each other.
            self.due.push_back((at, place * PHASE_STRIDE % publishers));
            at += step;
        }
        self.frames_sent = 0;
    }

    /// When the next frame is due.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.due.front().map(|&(at, _)| at)
    }

    /// Sends every frame that is due. `epoch` is where the times of sending begin.
    pub(super) fn send_due(
        &mut self,
        now: Instant,
        epoch: Instant,
        peers: &mut [Peer],
    ) -> anyhow::Result<()> {
        while let Some(&(at, publisher)) = self.due.front() {
            if at > now {
                break;
            }
            self.due.pop_front();
            self.due.push_back((at + self.scenario.interval, publisher));
            if let (Some(source), Some(peer)) =
                (self.sources.get_mut(publisher), peers.get_mut(publisher))
            {
                source.send_frame(self.scenario, self.levels, epoch, peer)?;
                self.frames_sent += u64::from(publisher < self.scenario.speakers);
            }
        }
        Ok(())
    }

    /// When a packet was sent; none where that was too long ago to say.
    pub(super) fn sent_at(&self, label: Label) -> Option<Duration> {
        let source = self.sources.get(label.publisher)?;
        let behind = source.sequence.wrapping_sub(label.sequence);
        if usize::from(behind) >= REMEMBERED {
            return None;
        }
        source
            .sent_at
            .get(usize::from(label.sequence) % REMEMBERED)
            .copied()
    }
}

impl Source {
    fn send_frame(
        &mut self,
        scenario: &Scenario,
        levels: bool,
        epoch: Instant,
        peer: &mut Peer,
    ) -> anyhow::Result<()> {
        let clock_rate = match scenario.media {
            Media::Video => 90_000,
            Media::Audio => 48_000,
        };
        let ticks = scenario.interval.as_micros() * clock_rate / 1_000_000;
        self.timestamp = self.timestamp.wrapping_add(u32::try_from(ticks)?);
        let level = if self.publisher < scenario.speakers {
            LOUD
        } else {
            QUIET
        };
        let (mut plain, mut sealed) = ([0; PACKET_BYTES], [0; PACKET_BYTES]);
        for index in 0..scenario.frame_packets {
            self.sequence = self.sequence.wrapping_add(1);
            let begins = index == 0;
            let ends = index + 1 == scenario.frame_packets;
            let length = self.write(
                &mut plain,
                scenario,
                (begins, ends),
                levels.then_some(level),
                scenario.payload_bytes(index),
            );
            let plain = length.and_then(|length| plain.get(..length));
            let Some(length) = plain.and_then(|plain| peer.seal_packet(plain, &mut sealed)) else {
                anyhow::bail!("a packet that does not fit");
            };
            let place = usize::from(self.sequence) % REMEMBERED;
            if let Some(sent_at) = self.sent_at.get_mut(place) {
                *sent_at = epoch.elapsed();
            }
            peer.send(sealed.get(..length).unwrap_or_default())?;
        }
        self.frames += 1;
        Ok(())
    }

    /// One packet in plaintext; its length.
    fn write(
        &self,
        out: &mut [u8],
        scenario: &Scenario,
        (begins, ends): (bool, bool),
        level: Option<u8>,
        payload_bytes: usize,
    ) -> Option<usize> {
        let ssrc = ssrc_of(self.publisher);
        let marker = ends && scenario.media == Media::Video;
        let mut head: Vec<u8> = Vec::with_capacity(64);
        head.push(if level.is_some() { 0x90 } else { 0x80 });
        head.push(PAYLOAD_TYPE | if marker { MARKER } else { 0 });
        head.extend_from_slice(&self.sequence.to_be_bytes());
        head.extend_from_slice(&self.timestamp.to_be_bytes());
        head.extend_from_slice(&ssrc.to_be_bytes());
        if let Some(level) = level {
            // RFC 8285 §4.2: one-byte headers, one word of elements.
            head.extend_from_slice(&[0xBE, 0xDE, 0, 1, LEVEL_ID << 4, 0x80 | level, 0, 0]);
        }
        let header = head.len();
        if scenario.media == Media::Video {
            // RFC 7741 §4.2: S where the frame starts; then P, clear in a key frame.
            let key = begins && self.frames.is_multiple_of(KEYFRAME_EVERY);
            head.extend_from_slice(&[if begins { 0x10 } else { 0 }, u8::from(!key)]);
        }
        head.extend_from_slice(&MAGIC);
        head.extend_from_slice(&ssrc.to_be_bytes());
        head.extend_from_slice(&self.sequence.to_be_bytes());
        let length = header + payload_bytes;
        let (place, rest) = out.get_mut(..length)?.split_at_mut_checked(head.len())?;
        place.copy_from_slice(&head);
        rest.fill(0x5A);
        Some(length)
    }
}

/// What an opened packet says of itself.
pub(super) fn label(packet: &[u8]) -> Option<Label> {
    let start = packet.windows(MAGIC.len()).position(|it| it == MAGIC)?;
    let bytes: [u8; LABEL_BYTES] = *packet.get(start..)?.first_chunk()?;
    let [_, _, _, _, p0, p1, p2, p3, s0, s1] = bytes;
    Some(Label {
        publisher: publisher_of(u32::from_be_bytes([p0, p1, p2, p3])),
        sequence: u16::from_be_bytes([s0, s1]),
    })
}

//! What the load sends: packets whose plaintext says which one it is, at even times.

use std::collections::VecDeque;
use std::time::Instant;

use sfu::time::Duration;

use super::bare::{ssrc_of, stream_of};
use super::offer::{LEVEL_ID, PAYLOAD_TYPE, RID_ID};
use super::peer::Peer;
use super::scenario::{Encoding, Media, Scenario};

/// Begins every payload, behind a codec's descriptor.
const MAGIC: [u8; 4] = *b"PLEN";
/// What a payload says of itself: magic, stream, sequence number.
const LABEL_BYTES: usize = 10;
/// Room for what a scenario may put into one packet, sealed.
const PACKET_BYTES: usize = 1_500;
/// A frame that can be decoded alone comes as often.
const KEYFRAME_EVERY: u64 = 30;
/// Times of sending that are remembered, of each stream.
const REMEMBERED: usize = 4_096;
/// -dBov (RFC 6464): somebody speaks.
const LOUD: u8 = 20;
/// A room's noise.
const QUIET: u8 = 90;
/// From one publisher to who sends next; prime, so that each has its turn.
const PHASE_STRIDE: usize = 37;
/// In the second byte of an RTP header.
pub(super) const MARKER: u8 = 0x80;

/// Which packet it is, by its own plaintext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) stream: usize,
    pub(super) sequence: u16,
}

/// One stream's numbers: an encoding of a publisher's.
#[derive(Debug)]
struct Source {
    stream: usize,
    encoding: Encoding,
    /// To a server that wants it in the clear.
    level: Option<u8>,
    sequence: u16,
    timestamp: u32,
    frames: u64,
    picture: u16,
    base_layer: u8,
    /// The next frame is to be one that can be decoded alone.
    keyframe: bool,
    /// By sequence number, since the beginning of the programme.
    sent_at: Vec<Duration>,
}

/// All publishers' packets.
#[derive(Debug)]
pub(super) struct Publication {
    pub(super) scenario: &'static Scenario,
    /// A publisher's encodings one after another.
    sources: Vec<Source>,
    /// Packets that are to arrive for a frame, by publisher.
    copies: Vec<u64>,
    /// Who is next, and when.
    due: VecDeque<(Instant, usize)>,
    /// Packets that are to arrive so far.
    pub(super) wanted: u64,
}

impl Publication {
    /// To a server, or to a floor, which takes bare headers.
    pub(super) fn new(scenario: &'static Scenario, to_server: bool) -> Self {
        let encodings = scenario.encodings;
        let streams = scenario.publishers * encodings.len();
        let source = |(stream, &encoding): (usize, &Encoding)| {
            let loud = stream / encodings.len() < scenario.speakers;
            let level = if loud { LOUD } else { QUIET };
            let levels = to_server && scenario.media == Media::Audio;
            // What the floor is sent has the header of RFC 3550 and nothing else.
            let rid = if to_server { encoding.rid } else { "" };
            Source {
                stream,
                encoding: Encoding { rid, ..encoding },
                level: levels.then_some(level),
                sequence: 0,
                timestamp: 0,
                frames: 0,
                picture: 0,
                base_layer: 0,
                keyframe: true,
                sent_at: vec![Duration::ZERO; REMEMBERED],
            }
        };
        let all = encodings.iter().cycle().take(streams);
        Self {
            scenario,
            sources: (0..).zip(all).map(source).collect(),
            copies: (0..scenario.publishers)
                .map(|publisher| scenario.copies(publisher))
                .collect(),
            due: VecDeque::new(),
            wanted: 0,
        }
    }

    /// Somebody wants a frame of a stream that can be decoded alone.
    pub(super) fn want_keyframe(&mut self, ssrc: u32) {
        if let Some(source) = self.sources.get_mut(stream_of(ssrc)) {
            source.keyframe = true;
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
        self.wanted = 0;
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
            let encodings = self.scenario.encodings.len();
            let sources = self.sources.iter_mut().skip(publisher * encodings);
            let Some(peer) = peers.get_mut(publisher) else {
                continue;
            };
            for source in sources.take(encodings) {
                source.send_frame(self.scenario, epoch, peer)?;
            }
            self.wanted += self.copies.get(publisher).copied().unwrap_or(0);
        }
        Ok(())
    }

    /// When a packet was sent; none where that was too long ago to say.
    pub(super) fn sent_at(&self, label: Label) -> Option<Duration> {
        let source = self.sources.get(label.stream)?;
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
        epoch: Instant,
        peer: &mut Peer,
    ) -> anyhow::Result<()> {
        let clock_rate = match scenario.media {
            Media::Video => 90_000,
            Media::Audio => 48_000,
        };
        let ticks = scenario.interval.as_micros() * clock_rate / 1_000_000;
        self.timestamp = self.timestamp.wrapping_add(u32::try_from(ticks)?);
        let key = std::mem::take(&mut self.keyframe) || self.frames.is_multiple_of(KEYFRAME_EVERY);
        let (mut plain, mut sealed) = ([0; PACKET_BYTES], [0; PACKET_BYTES]);
        let packets = self.encoding.frame_packets;
        for index in 0..packets {
            self.sequence = self.sequence.wrapping_add(1);
            let begins = index == 0;
            let ends = index + 1 == packets;
            let mut head: Vec<u8> = Vec::with_capacity(64);
            self.write_header(&mut head, ends && scenario.media == Media::Video);
            let header = head.len();
            if scenario.media == Media::Video {
                self.write_descriptor(&mut head, begins, key);
            }
            head.extend_from_slice(&MAGIC);
            head.extend_from_slice(&ssrc_of(self.stream).to_be_bytes());
            head.extend_from_slice(&self.sequence.to_be_bytes());
            let length = header + scenario.payload_bytes(&self.encoding, index);
            let plain = filled(&mut plain, &head, length);
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
        self.picture = self.picture.wrapping_add(1) & 0x7FFF;
        self.base_layer = self.base_layer.wrapping_add(1);
        Ok(())
    }

    fn write_header(&self, head: &mut Vec<u8>, marker: bool) {
        // RFC 8285 §4.2: one-byte headers, in whole words.
        let mut elements: Vec<u8> = Vec::new();
        if let Some(level) = self.level {
            elements.extend_from_slice(&[LEVEL_ID << 4, 0x80 | level]);
        }
        if let Ok(rid @ 1..=16) = u8::try_from(self.encoding.rid.len()) {
            elements.push(RID_ID << 4 | (rid - 1));
            elements.extend_from_slice(self.encoding.rid.as_bytes());
        }
        elements.resize(elements.len().next_multiple_of(4), 0);
        head.push(if elements.is_empty() { 0x80 } else { 0x90 });
        head.push(PAYLOAD_TYPE | if marker { MARKER } else { 0 });
        head.extend_from_slice(&self.sequence.to_be_bytes());
        head.extend_from_slice(&self.timestamp.to_be_bytes());
        head.extend_from_slice(&ssrc_of(self.stream).to_be_bytes());
        if let (Ok(words @ 1..), false) = (u8::try_from(elements.len() / 4), elements.is_empty()) {
            head.extend_from_slice(&[0xBE, 0xDE, 0, words]);
            head.extend_from_slice(&elements);
        }
    }

    /// RFC 7741 §4.2 and §4.3: S where the frame starts; then P, clear in a key frame. Sizes that are
    /// told come with the numbers a browser gives them: picture id, TL0PICIDX, temporal layer 0.
    fn write_descriptor(&self, head: &mut Vec<u8>, begins: bool, key: bool) {
        let starts = if begins { 0x10 } else { 0 };
        let inter = u8::from(!(begins && key));
        if self.encoding.height == 0 {
            head.extend_from_slice(&[starts, inter]);
            return;
        }
        head.extend_from_slice(&[0x80 | starts, 0xE0]);
        head.extend_from_slice(&(0x8000 | self.picture).to_be_bytes());
        head.extend_from_slice(&[self.base_layer, 0]);
        head.push(inter);
        if begins && key {
            // RFC 6386 §9.1: the rest of the tag, the start code, width and height.
            let height = self.encoding.height;
            head.extend_from_slice(&[0, 0, 0x9D, 0x01, 0x2A]);
            head.extend_from_slice(&(height / 9 * 16).to_le_bytes());
            head.extend_from_slice(&height.to_le_bytes());
        }
    }
}

/// The first `length` bytes of `out`, `head` and then something.
fn filled<'a>(out: &'a mut [u8], head: &[u8], length: usize) -> Option<&'a [u8]> {
    let out = out.get_mut(..length)?;
    let (place, rest) = out.split_at_mut_checked(head.len())?;
    place.copy_from_slice(head);
    rest.fill(0x5A);
    Some(out)
}

/// What an opened packet says of itself.
pub(super) fn label(packet: &[u8]) -> Option<Label> {
    let start = packet.windows(MAGIC.len()).position(|it| it == MAGIC)?;
    let bytes: [u8; LABEL_BYTES] = *packet.get(start..)?.first_chunk()?;
    let [_, _, _, _, p0, p1, p2, p3, s0, s1] = bytes;
    Some(Label {
        stream: stream_of(u32::from_be_bytes([p0, p1, p2, p3])),
        sequence: u16::from_be_bytes([s0, s1]),
    })
}

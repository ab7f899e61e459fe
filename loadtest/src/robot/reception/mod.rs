//! What a robot was sent: every packet examined, frames put together, key frames asked for.
//!
//! | file | what it is |
//! |---|---|
//! | `playout` | what a decoder makes of it |

mod playout;

pub use playout::leans;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sfu::time::{Duration, Instant};
use sfu::units::Layer;
use str0m::rtp::RtpPacket;

use super::publication::descriptor::{Description, Value};
use crate::media::{Spoiled, Stamp, VideoCodec, VideoPacket, read_audio, read_video};
use crate::report::Histogram;
use playout::Playout;

/// Frames that may become whole yet.
const PARTS_MAX: usize = 256;
/// Sounds that are remembered: copies come within a few.
const HEARD_MAX: usize = 64;
/// Changes of what is shown that are remembered.
const SHOWN_MAX: usize = 16_384;
/// Observations kept until they are taken.
const OBSERVED_MAX: usize = 65_536;

/// A media packet that arrived, decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Of the section.
    pub ssrc: u32,
    /// Extended by the stack.
    pub sequence: u64,
    /// As received.
    pub timestamp: u32,
    /// As received.
    pub payload_type: u8,
    /// As received.
    pub marker: bool,
    /// What it carries.
    pub packet: Result<Packet, Spoiled>,
}

/// What a media packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// Sound.
    Audio(Stamp),
    /// Pictures.
    Video(VideoPacket),
}

impl Packet {
    /// Its stamp.
    #[must_use]
    pub const fn stamp(&self) -> &Stamp {
        match self {
            Self::Audio(stamp) | Self::Video(VideoPacket { stamp, .. }) => stamp,
        }
    }
}

/// What a payload type stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carried {
    Sound { has_copies: bool },
    Pictures(VideoCodec),
}

/// Who made something: (number of the robot, number of its publication).
pub type Source = (u32, u8);

/// What arrived of one source.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Packets, whatever section they came by.
    pub packets: u64,
    /// Whole frames, as long as they were waited for: of pictures the first layer that came.
    pub frames: u64,
    /// Frames of which every packet came, however late: of pictures those of the lowest layer, which
    /// does not pass where layers lean on each other in key pictures only.
    pub whole: u64,
    /// Frames that could be decoded.
    pub decoded: u64,
    /// Key frames among them.
    pub keyframes: u64,
    /// When the first one was decoded.
    pub first_decoded_at: Option<Instant>,
    /// When the last one was.
    pub last_decoded_at: Option<Instant>,
    /// The longest time between two decoded frames.
    pub freeze_max: Duration,
    /// Frames of a layer that came whole and leaned on what had not.
    pub useless: u64,
    /// Which encoding, and the highest layers of it: from when on.
    pub shown: Vec<Shown>,
    /// Numbers of the first and of the newest frame of which anything arrived.
    pub span: Option<(u32, u32)>,
    /// From making to arrival of each packet.
    pub latency: Histogram,
    /// Packets that came of the newest frames that are not whole, by number and encoding.
    parts: BTreeMap<(u32, u8), u16>,
    /// The last sounds that were heard: each counts once.
    heard: BTreeSet<u32>,
}

/// What is shown from some moment on: the encoding and the highest spatial layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// When its first frame was decoded.
    pub at: Instant,
    /// Of the track.
    pub encoding: u8,
    /// Within the encoding.
    pub spatial: u8,
    /// The picture it began with.
    frame: u32,
}

/// Everything a robot was sent.
#[derive(Debug, Default)]
pub struct Receiver {
    patience: Duration,
    /// By SSRC.
    playouts: BTreeMap<u32, Playout>,
    /// By SSRC, where dependency descriptors go along.
    descriptions: BTreeMap<u32, Description>,
    sources: BTreeMap<Source, Received>,
    observed: VecDeque<Observed>,
    spoiled: u64,
    keyframe_requests: u64,
}

impl Receiver {
    /// `patience`: how long it waits for what is missing.
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            patience,
            ..Self::default()
        }
    }

    /// What arrived, by source.
    #[must_use]
    pub const fn sources(&self) -> &BTreeMap<Source, Received> {
        &self.sources
    }

    /// Payloads that were not as somebody made them.
    #[must_use]
    pub const fn spoiled(&self) -> u64 {
        self.spoiled
    }

    /// Key frames it asked for.
    #[must_use]
    pub const fn keyframe_requests(&self) -> u64 {
        self.keyframe_requests
    }

    pub(super) fn poll_observed(&mut self) -> Option<Observed> {
        self.observed.pop_front()
    }

    /// A packet.
    pub(super) fn handle_packet(&mut self, now: Instant, what: Carried, packet: &RtpPacket) {
        let (ssrc, sequence) = (*packet.header.ssrc, *packet.seq_no);
        // Padding carries nothing, but may fill a place.
        if packet.payload.is_empty() {
            if let Some(playout) = self.playouts.get_mut(&ssrc)
                && let Some(source) = playout.source()
            {
                let received = self.sources.entry(source).or_default();
                playout.take(now, sequence, None, received);
            }
            return;
        }
        let carried = match what {
            Carried::Sound { has_copies: false } => read_audio(&packet.payload).map(Packet::Audio),
            Carried::Sound { has_copies: true } => self.take_copies(now, &packet.payload),
            Carried::Pictures(codec) => read_video(codec, &packet.payload)
                .and_then(|found| self.check_descriptor(found, packet))
                .map(Packet::Video),
        };
        if self.observed.len() < OBSERVED_MAX {
            self.observed.push_back(Observed {
                ssrc,
                sequence,
                timestamp: packet.header.timestamp,
                payload_type: *packet.header.payload_type,
                marker: packet.header.marker,
                packet: carried,
            });
        }
        match carried {
            Ok(carried) => self.count(now, (ssrc, sequence), &carried),
            Err(_) => self.spoiled += 1,
        }
    }

    /// What has layers and does not tell of them itself has a descriptor that does, and it is that of
    /// this packet.
    fn check_descriptor(
        &mut self,
        found: VideoPacket,
        packet: &RtpPacket,
    ) -> Result<VideoPacket, Spoiled> {
        if found.codec.tells_layers() || found.stamp.unit.spatial_layers == 0 {
            return Ok(found);
        }
        let value = packet.header.ext_vals.user_values.get::<Value>();
        let description = self.descriptions.entry(*packet.header.ssrc).or_default();
        let is_it = description.tells(value, &found.stamp);
        is_it.then_some(found).ok_or(Spoiled::Contradiction)
    }

    /// Sound with copies of what came before it, which count as heard; the sound itself.
    fn take_copies(&mut self, now: Instant, payload: &[u8]) -> Result<Packet, Spoiled> {
        let blocks = read_blocks(payload).ok_or(Spoiled::Short)?;
        let (primary, copies) = blocks.split_last().ok_or(Spoiled::Short)?;
        for copy in copies {
            let stamp = read_audio(copy)?;
            let received = self.sources.entry((stamp.sender, stamp.track)).or_default();
            received.hear(now, stamp.frame);
        }
        read_audio(primary).map(Packet::Audio)
    }

    fn count(&mut self, now: Instant, (ssrc, sequence): (u32, u64), carried: &Packet) {
        let stamp = carried.stamp();
        let received = self.sources.entry((stamp.sender, stamp.track)).or_default();
        received.packets += 1;
        let (first, newest) = received.span.unwrap_or((stamp.frame, stamp.frame));
        received.span = Some((first.min(stamp.frame), newest.max(stamp.frame)));
        received.latency.add(now.since(stamp.sent_at));
        match carried {
            Packet::Audio(_) => received.hear(now, stamp.frame),
            Packet::Video(_) => {
                received.put_together(stamp);
                let new = || Playout::new(self.patience);
                let playout = self.playouts.entry(ssrc).or_insert_with(new);
                playout.take(now, sequence, Some(*stamp), received);
            }
        }
    }

    /// SSRCs of streams that cannot go on without a key frame, each at most twice a second.
    pub(super) fn take_keyframes_wanted(&mut self, now: Instant) -> Vec<u32> {
        let wanting = self
            .playouts
            .iter_mut()
            .filter_map(|(ssrc, playout)| playout.take_keyframe_wanted(now).then_some(*ssrc));
        let wanted: Vec<u32> = wanting.collect();
        self.keyframe_requests += wanted.len() as u64;
        wanted
    }
}

impl Received {
    /// Frames between the first and the newest that never became whole; the newest may still.
    #[must_use]
    pub fn frames_lost(&self) -> u64 {
        let span = self
            .span
            .map_or(0, |(first, newest)| u64::from(newest - first));
        span.saturating_sub(self.frames)
    }

    /// A packet came that had not come before.
    fn put_together(&mut self, stamp: &Stamp) {
        if stamp.unit.layer.spatial > 0 {
            return;
        }
        let key = (stamp.frame, stamp.unit.encoding);
        let parts = self.parts.entry(key).or_default();
        *parts += 1;
        if *parts == stamp.packets {
            self.parts.remove(&key);
            self.whole += 1;
        }
        while self.parts.len() > PARTS_MAX {
            self.parts.pop_first();
        }
    }

    /// A packet of sound was heard, or a copy of it.
    fn hear(&mut self, now: Instant, number: u32) {
        let is_new = self.heard.insert(number);
        while self.heard.len() > HEARD_MAX {
            self.heard.pop_first();
        }
        if is_new {
            self.frames += 1;
            self.whole += 1;
            self.decode(now, true);
        }
    }

    /// A frame of a layer was decoded.
    fn show(&mut self, now: Instant, (encoding, layer): (u8, Layer), frame: u32) {
        let spatial = layer.spatial;
        let shown = Shown {
            at: now,
            encoding,
            spatial,
            frame,
        };
        let Some(last) = self.shown.last_mut() else {
            self.shown.push(shown);
            return;
        };
        let is_same_picture = last.frame == frame && last.encoding == encoding;
        if is_same_picture && spatial > last.spatial {
            // The lower layers of a picture come first.
            last.spatial = spatial;
            let count = self.shown.len();
            let before = count.checked_sub(2).and_then(|at| self.shown.get(at));
            let is_as_before =
                before.is_some_and(|it| (it.encoding, it.spatial) == (encoding, spatial));
            if is_as_before {
                self.shown.pop();
            }
        } else if !is_same_picture && (last.encoding, last.spatial) != (encoding, spatial) {
            self.shown.push(shown);
        }
        self.shown.truncate(SHOWN_MAX);
    }

    fn decode(&mut self, now: Instant, keyframe: bool) {
        self.decoded += 1;
        self.keyframes += u64::from(keyframe);
        self.first_decoded_at = self.first_decoded_at.or(Some(now));
        if let Some(last) = self.last_decoded_at.replace(now) {
            self.freeze_max = self.freeze_max.max(now.since(last));
        }
    }
}

/// The blocks of a packet with copies, the newest last (RFC 2198 §3): headers of four bytes with an
/// offset of 14 bits and a length of 10, and one of a byte.
fn read_blocks(payload: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut lengths, mut rest) = (Vec::new(), payload);
    while rest.first()? & 0x80 != 0 {
        let (head, after) = rest.split_first_chunk::<4>()?;
        let [_, _, high, low] = *head;
        lengths.push(usize::from(u16::from_be_bytes([high & 0x03, low])));
        rest = after;
    }
    let (_, mut rest) = rest.split_first()?;
    let mut blocks = Vec::new();
    for length in lengths {
        let (block, after) = rest.split_at_checked(length)?;
        blocks.push(block);
        rest = after;
    }
    blocks.push(rest);
    Some(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sounds_are_read_with_the_copies_before_them() {
        let payload = [0xef, 0x0f, 0x00, 0x02, 0x6f, 1, 2, 3, 4, 5];
        let blocks: [&[u8]; 2] = [&[1, 2], &[3, 4, 5]];
        assert_eq!(read_blocks(&payload).as_deref(), Some(&blocks[..]));
        assert_eq!(read_blocks(&[0x6f, 9]).as_deref(), Some(&[&[9][..]][..]));
        assert_eq!(read_blocks(&payload[..6]), None);
        assert_eq!(read_blocks(&[]), None);
    }
}

//! What a robot was sent: every packet examined, frames assembled, key frames asked for.
//!
//! A frame counts as decoded when it is whole and either a key frame or the successor of the last
//! decoded one, as for a decoder without concealment.

use std::collections::{BTreeMap, VecDeque};

use sfu::time::{Duration, Instant};
use sfu::units::MediaKind;
use str0m::rtp::RtpPacket;

use crate::media::{Spoiled, Stamp, VideoPacket, read_audio, read_video};
use crate::report::Histogram;

/// Frames that may be incomplete at the same time.
const FRAMES_OPEN_MAX: usize = 64;
/// A gap this old is not worth waiting for.
const PATIENCE: Duration = Duration::from_millis(300);
/// At most one key frame request for one stream in this time.
const KEYFRAME_REQUEST_INTERVAL: Duration = Duration::from_millis(500);
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

/// Who made something: (number of the robot, number of its publication).
pub type Source = (u32, u8);

/// What arrived of one source.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Packets, whatever section they came by.
    pub packets: u64,
    /// Whole frames.
    pub frames: u64,
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
    /// Numbers of the first and of the newest frame of which anything arrived.
    pub span: Option<(u32, u32)>,
    /// From making to arrival of each packet.
    pub latency: Histogram,
}

/// Everything a robot was sent.
#[derive(Debug, Default)]
pub struct Receiver {
    streams: BTreeMap<u32, Stream>,
    sources: BTreeMap<Source, Received>,
    observed: VecDeque<Observed>,
    spoiled: u64,
    keyframe_requests: u64,
}

/// One SSRC.
#[derive(Debug)]
struct Stream {
    kind: MediaKind,
    source: Option<Source>,
    open: BTreeMap<u32, OpenFrame>,
    decoded: Option<u32>,
    broken_since: Option<Instant>,
    requested_at: Option<Instant>,
}

/// A frame of which packets are missing.
#[derive(Debug)]
struct OpenFrame {
    keyframe: bool,
    missing: u32,
    seen: Vec<bool>,
    since: Instant,
}

impl Receiver {
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

    pub(super) fn handle_packet(&mut self, now: Instant, kind: MediaKind, packet: &RtpPacket) {
        // Padding probes carry nothing.
        if packet.payload.is_empty() {
            return;
        }
        let ssrc = *packet.header.ssrc;
        let carried = match kind {
            MediaKind::Audio => read_audio(&packet.payload).map(Packet::Audio),
            MediaKind::Video => read_video(&packet.payload).map(Packet::Video),
        };
        if self.observed.len() < OBSERVED_MAX {
            self.observed.push_back(Observed {
                ssrc,
                sequence: *packet.seq_no,
                timestamp: packet.header.timestamp,
                payload_type: *packet.header.payload_type,
                marker: packet.header.marker,
                packet: carried,
            });
        }
        match carried {
            Ok(carried) => self.count(now, ssrc, kind, carried.stamp()),
            Err(_) => self.spoiled += 1,
        }
    }

    fn count(&mut self, now: Instant, ssrc: u32, kind: MediaKind, stamp: &Stamp) {
        let source = (stamp.sender, stamp.track);
        let received = self.sources.entry(source).or_default();
        received.packets += 1;
        let (first, newest) = received.span.unwrap_or((stamp.frame, stamp.frame));
        received.span = Some((first.min(stamp.frame), newest.max(stamp.frame)));
        received.latency.add(now.since(stamp.sent_at));
        let stream = self
            .streams
            .entry(ssrc)
            .or_insert_with(|| Stream::new(kind));
        if stream.source != Some(source) {
            *stream = Stream {
                source: Some(source),
                ..Stream::new(kind)
            };
        }
        stream.take(now, stamp, received);
    }

    /// SSRCs of streams that cannot go on without a key frame, each at most twice a second.
    pub(super) fn take_keyframes_wanted(&mut self, now: Instant) -> Vec<u32> {
        let wanting = self
            .streams
            .iter_mut()
            .filter(|(_, stream)| stream.wants_keyframe(now));
        let wanted: Vec<u32> = wanting
            .map(|(ssrc, stream)| {
                stream.requested_at = Some(now);
                *ssrc
            })
            .collect();
        self.keyframe_requests += wanted.len() as u64;
        wanted
    }
}

impl Stream {
    const fn new(kind: MediaKind) -> Self {
        Self {
            kind,
            source: None,
            open: BTreeMap::new(),
            decoded: None,
            broken_since: None,
            requested_at: None,
        }
    }

    fn take(&mut self, now: Instant, stamp: &Stamp, received: &mut Received) {
        if self.kind == MediaKind::Audio {
            received.frames += 1;
            received.decode(now, true);
            return;
        }
        if self.decoded.is_some_and(|decoded| stamp.frame <= decoded) {
            return;
        }
        let frame = self.open.entry(stamp.frame).or_insert_with(|| OpenFrame {
            keyframe: stamp.keyframe,
            missing: u32::from(stamp.packets),
            seen: vec![false; usize::from(stamp.packets)],
            since: now,
        });
        if let Some(seen) = frame.seen.get_mut(usize::from(stamp.packet))
            && !std::mem::replace(seen, true)
        {
            frame.missing -= 1;
            received.frames += u64::from(frame.missing == 0);
        }
        self.decode_on(now, received);
        while self.open.len() > FRAMES_OPEN_MAX {
            self.open.pop_first();
        }
    }

    /// Decodes whatever can be by now.
    fn decode_on(&mut self, now: Instant, received: &mut Received) {
        loop {
            let successor = self.decoded.map(|decoded| decoded + 1);
            let next = self.open.iter().find(|(number, frame)| {
                frame.missing == 0 && (frame.keyframe || Some(**number) == successor)
            });
            let Some((&number, keyframe)) = next.map(|(number, frame)| (number, frame.keyframe))
            else {
                break;
            };
            self.decoded = Some(number);
            self.open = self.open.split_off(&(number + 1));
            received.decode(now, keyframe);
        }
        let whole = self.open.values().find(|frame| frame.missing == 0);
        self.broken_since = match (self.decoded, whole) {
            (None, _) => self.open.values().next().map(|frame| frame.since),
            (Some(_), whole) => whole.map(|frame| self.broken_since.unwrap_or(frame.since)),
        };
    }

    fn wants_keyframe(&self, now: Instant) -> bool {
        let patient = |since: Instant| now.since(since) < PATIENCE;
        let asked = |at: Instant| now.since(at) < KEYFRAME_REQUEST_INTERVAL;
        self.kind == MediaKind::Video
            && self.broken_since.is_some_and(|since| !patient(since))
            && !self.requested_at.is_some_and(asked)
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

    fn decode(&mut self, now: Instant, keyframe: bool) {
        self.decoded += 1;
        self.keyframes += u64::from(keyframe);
        self.first_decoded_at = self.first_decoded_at.or(Some(now));
        if let Some(last) = self.last_decoded_at.replace(now) {
            self.freeze_max = self.freeze_max.max(now.since(last));
        }
    }
}

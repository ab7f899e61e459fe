//! A track that a robot publishes: frames at their time, key frames when asked; one encoding, several
//! by rid, or layers within one.
//!
//! | file | what it is |
//! |---|---|
//! | `pattern` | what leans on what |
//! | `descriptor` | what a dependency descriptor says of that |

pub(super) mod descriptor;
mod pattern;

use std::time::Instant as StdInstant;

use sfu::time::{Duration, Instant};
use sfu::units::MediaKind;
use str0m::Rtc;
use str0m::format::Codec;
use str0m::media::{Mid, Pt, Rid, Simulcast, SimulcastLayer};
use str0m::rtp::{ExtensionValues, RtpWrite, StreamTx};

use super::reception::Source;
use crate::media::{Numbers, Stamp, Unit, VideoCodec, write_audio, write_video};
use descriptor::Describer;
use pattern::Shape;

/// Names of encodings, lowest first.
pub const RIDS: [&str; 3] = ["q", "h", "f"];
/// Lines of the smallest picture.
const HEIGHT_LEAST: u16 = 180;

/// In what form pictures are published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// One encoding without layers.
    #[default]
    Single,
    /// Three encodings by rid; those of VP8 and VP9 have three temporal layers each.
    Simulcast,
    /// One encoding of VP9 or AV1 with three spatial and three temporal layers; those of AV1 are told
    /// by dependency descriptors.
    Svc,
    /// The same, where a spatial layer leans on the one below in key pictures only.
    SvcKey,
}

/// One size of a layered picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Packets of a frame.
    pub packets: u16,
    /// Bytes of a payload.
    pub bytes: usize,
}

/// About 150, 500 and 1,500 kb/s at 30 frames a second.
const RUNGS: [Rung; 3] = [
    Rung {
        packets: 1,
        bytes: 600,
    },
    Rung {
        packets: 2,
        bytes: 1_000,
    },
    Rung {
        packets: 6,
        bytes: 1_030,
    },
];

/// What a track is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishParameters {
    /// Sound or pictures.
    pub kind: MediaKind,
    /// Of pictures.
    pub codec: VideoCodec,
    /// Of pictures.
    pub mode: Mode,
    /// Sizes of layered pictures, lowest first.
    pub rungs: [Rung; 3],
    /// Between frames.
    pub interval: Duration,
    /// Packets of a frame.
    pub packets: u16,
    /// Packets of a key frame.
    pub keyframe_packets: u16,
    /// Bytes of a payload.
    pub packet_bytes: usize,
    /// Of sound, in dBov.
    pub level: i8,
    /// Whether the m-line is to receive as well.
    pub receives: bool,
}

impl PublishParameters {
    /// 50 packets of 120 bytes a second.
    #[must_use]
    pub const fn audio() -> Self {
        Self {
            kind: MediaKind::Audio,
            codec: VideoCodec::Vp8,
            mode: Mode::Single,
            rungs: RUNGS,
            interval: Duration::from_millis(20),
            packets: 1,
            keyframe_packets: 1,
            packet_bytes: 120,
            level: -20,
            receives: false,
        }
    }

    /// Sound of somebody who says nothing: a packet each 400 ms, as by DTX.
    #[must_use]
    pub const fn silence() -> Self {
        Self {
            interval: Duration::from_millis(400),
            packet_bytes: 0,
            level: -127,
            ..Self::audio()
        }
    }

    /// 30 frames a second of `packets` packets of 1,100 bytes; key frames are three times as big.
    #[must_use]
    pub const fn video(packets: u16) -> Self {
        Self {
            kind: MediaKind::Video,
            codec: VideoCodec::Vp8,
            mode: Mode::Single,
            rungs: RUNGS,
            interval: Duration::from_micros(33_333),
            packets,
            keyframe_packets: packets.saturating_mul(3),
            packet_bytes: 1_100,
            level: 0,
            receives: false,
        }
    }

    /// 30 frames a second in three sizes of about 150, 500 and 1,500 kb/s; key frames are three
    /// times as big.
    #[must_use]
    pub const fn layered(codec: VideoCodec, mode: Mode) -> Self {
        Self {
            codec,
            mode,
            ..Self::video(1)
        }
    }

    /// What an m-line of it offers to send, where that is more than one encoding.
    pub(super) fn simulcast(&self) -> Option<Simulcast> {
        (self.mode == Mode::Simulcast).then(|| {
            let mut simulcast = Simulcast::new();
            let layers = RIDS.map(SimulcastLayer::new);
            layers
                .into_iter()
                .for_each(|it| simulcast.add_send_layer(it));
            simulcast
        })
    }

    fn shape(&self) -> Shape {
        match self.mode {
            Mode::Simulcast if self.codec.tells_layers() => Shape::Temporal {
                is_vp9: self.codec == VideoCodec::Vp9,
            },
            Mode::Single | Mode::Simulcast => Shape::Chain,
            Mode::Svc => Shape::Spatial {
                in_keys_only: false,
            },
            Mode::SvcKey => Shape::Spatial { in_keys_only: true },
        }
    }

    /// Who describes its frames, where its packets do not.
    fn describer(&self) -> Option<Describer> {
        let describer = || Describer::new(self.shape(), HEIGHT_LEAST);
        self.is_described().then(describer)?
    }

    /// Its layers are told by dependency descriptors.
    pub(super) const fn is_described(&self) -> bool {
        matches!(self.mode, Mode::Svc | Mode::SvcKey) && matches!(self.codec, VideoCodec::Av1)
    }

    const fn encodings(&self) -> u8 {
        match self.mode {
            Mode::Single | Mode::Svc | Mode::SvcKey => 1,
            Mode::Simulcast => 3,
        }
    }

    /// (packets, bytes of each) of a unit.
    fn size(&self, unit: &Unit, keyframe: bool) -> (u16, usize) {
        if self.mode == Mode::Single {
            let packets = if self.kind == MediaKind::Video && keyframe {
                self.keyframe_packets
            } else {
                self.packets
            };
            return (packets, self.packet_bytes);
        }
        let rung = usize::from(unit.encoding.max(unit.layer.spatial));
        let rung = self.rungs.get(rung).copied();
        let times = if keyframe { 3 } else { 1 };
        rung.map_or((1, 0), |rung| {
            (rung.packets.saturating_mul(times), rung.bytes)
        })
    }
}

/// Where a publication stands between wish and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// To be offered.
    Wanted,
    /// Negotiated.
    Live(Mid),
    /// To be taken back.
    Ending(Mid),
    /// Taken back.
    Ended,
}

/// What has been sent of a track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Frames.
    pub frames: u32,
    /// Key frames among them.
    pub keyframes: u32,
    /// Packets.
    pub packets: u64,
}

/// One RTP stream of a track.
#[derive(Debug)]
struct Encoding {
    /// None: the m-line's only one.
    rid: Option<Rid>,
    ssrc: Option<u32>,
    sequence: u64,
    timestamp_start: u32,
    numbers: Numbers,
    /// Where its packets do not tell of their layers.
    describer: Option<Describer>,
    /// Pictures so far.
    pictures: u32,
    /// Pictures since the last key picture.
    place: u32,
    keyframe_wanted: bool,
    is_sent: bool,
}

impl Encoding {
    fn new(rid: Option<Rid>) -> Self {
        Self {
            rid,
            ssrc: None,
            // RFC 3711 §3.3.1 wants the first one below 2^15, so that a lost start does not
            // confuse the rollover counter; far enough from the wrap is as good, and wraps sooner.
            sequence: fastrand::u64(1..65_000),
            timestamp_start: fastrand::u32(..),
            numbers: Numbers {
                picture: fastrand::u16(..0x8000),
                base_layer: 0,
            },
            describer: None,
            pictures: 0,
            place: 0,
            keyframe_wanted: true,
            is_sent: true,
        }
    }
}

/// A track that a robot publishes.
#[derive(Debug)]
pub struct Publication {
    sender: u32,
    track: u8,
    parameters: PublishParameters,
    pub(super) stage: Stage,
    due_at: Instant,
    silent: bool,
    /// Lowest first.
    encodings: Vec<Encoding>,
    sent: Sent,
}

impl Publication {
    /// Draws its numbers from the thread's generator, which the robot has seeded.
    pub(super) fn new(sender: u32, track: u8, parameters: PublishParameters, now: Instant) -> Self {
        let phase = fastrand::u64(
            ..u64::try_from(parameters.interval.as_micros())
                .unwrap_or(1)
                .max(1),
        );
        let encodings = if parameters.mode == Mode::Simulcast {
            RIDS.map(|rid| Encoding::new(Some(rid.into()))).into()
        } else {
            let describer = parameters.describer();
            vec![Encoding {
                describer,
                ..Encoding::new(None)
            }]
        };
        Self {
            sender,
            track,
            parameters,
            stage: Stage::Wanted,
            due_at: now + Duration::from_micros(phase),
            silent: false,
            encodings,
            sent: Sent::default(),
        }
    }

    /// What it is like.
    #[must_use]
    pub const fn parameters(&self) -> &PublishParameters {
        &self.parameters
    }

    /// Its number among the robot's publications.
    #[must_use]
    pub const fn track(&self) -> u8 {
        self.track
    }

    /// Its m-line, once negotiated and until it is taken back.
    #[must_use]
    pub const fn mid(&self) -> Option<Mid> {
        match self.stage {
            Stage::Live(mid) => Some(mid),
            Stage::Wanted | Stage::Ending(_) | Stage::Ended => None,
        }
    }

    /// The same, also while it is being taken back.
    pub(super) const fn line(&self) -> Option<Mid> {
        match self.stage {
            Stage::Live(mid) | Stage::Ending(mid) => Some(mid),
            Stage::Wanted | Stage::Ended => None,
        }
    }

    /// Who made it, as payloads say.
    #[must_use]
    pub const fn source(&self) -> Source {
        (self.sender, self.track)
    }

    /// Whether `ssrc` is of one of its encodings, once something was sent.
    #[must_use]
    pub fn sends(&self, ssrc: u32) -> bool {
        self.encodings.iter().any(|it| it.ssrc == Some(ssrc))
    }

    /// What has been sent so far.
    #[must_use]
    pub const fn sent(&self) -> Sent {
        self.sent
    }

    /// Stops or starts to make frames, without a word to anybody.
    pub const fn set_silent(&mut self, silent: bool) {
        self.silent = silent;
    }

    /// Sends an encoding from now on, beginning with a key frame, or no more; without a word.
    pub fn set_sent(&mut self, encoding: u8, is_sent: bool) {
        if let Some(found) = self.encodings.get_mut(usize::from(encoding)) {
            found.keyframe_wanted |= is_sent && !found.is_sent;
            found.is_sent = is_sent;
        }
    }

    /// Whether an encoding is sent.
    #[must_use]
    pub fn is_sent(&self, encoding: u8) -> bool {
        let found = self.encodings.get(usize::from(encoding));
        found.is_some_and(|it| it.is_sent)
    }

    /// How loud its sound is from now on, in dBov.
    pub const fn set_level(&mut self, level: i8) {
        self.parameters.level = level;
    }

    /// The sizes of its pictures from now on.
    pub const fn set_rungs(&mut self, rungs: [Rung; 3]) {
        self.parameters.rungs = rungs;
    }

    pub(super) const fn end(&mut self) {
        self.stage = match self.stage {
            Stage::Live(mid) => Stage::Ending(mid),
            Stage::Wanted | Stage::Ended => Stage::Ended,
            Stage::Ending(mid) => Stage::Ending(mid),
        };
    }

    /// Of an encoding by its rid, or of all.
    pub(super) fn want_keyframe(&mut self, rid: Option<Rid>) {
        let meant = self.encodings.iter_mut();
        meant
            .filter(|it| rid.is_none() || it.rid == rid)
            .for_each(|it| it.keyframe_wanted = true);
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        match self.stage {
            Stage::Live(_) => Some(self.due_at),
            Stage::Wanted | Stage::Ending(_) | Stage::Ended => None,
        }
    }

    /// How many encodings have a frame due: their number, once for each frame.
    pub(super) fn take_due(&mut self, now: Instant) -> u8 {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return 0;
        }
        // One frame at most: who was asleep does not catch up.
        // Nor do two share a media time.
        while self.due_at <= now + Duration::from_millis(1) {
            self.due_at += self.parameters.interval;
        }
        if self.silent {
            0
        } else {
            self.parameters.encodings()
        }
    }

    /// Hands the frame of an encoding to the stack.
    pub(super) fn write_due(
        &mut self,
        (now, at): (Instant, StdInstant),
        encoding: u8,
        rtc: &mut Rtc,
    ) {
        let Stage::Live(mid) = self.stage else {
            return;
        };
        let is_last = encoding + 1 == self.parameters.encodings();
        if let Some(payload_type) = self.payload_type(mid, rtc) {
            let written = self.write_frame((now, at), encoding, (mid, payload_type), rtc);
            let counts = is_last && written.is_some();
            self.sent.frames += u32::from(counts);
        }
    }

    /// The first payload type the other side takes that is of this track's codec.
    fn payload_type(&self, mid: Mid, rtc: &Rtc) -> Option<Pt> {
        let codec = match (self.parameters.kind, self.parameters.codec) {
            (MediaKind::Audio, _) => Codec::Opus,
            (MediaKind::Video, VideoCodec::Vp8) => Codec::Vp8,
            (MediaKind::Video, VideoCodec::Vp9) => Codec::Vp9,
            (MediaKind::Video, VideoCodec::H264) => Codec::H264,
            (MediaKind::Video, VideoCodec::Av1) => Codec::Av1,
        };
        let media = rtc.media(mid).filter(|it| it.direction().is_sending())?;
        media.remote_pts().iter().copied().find(|pt| {
            rtc.codec_config()
                .iter()
                .any(|it| it.pt() == *pt && it.spec().codec == codec)
        })
    }

    /// All layers of one picture of an encoding; none where the stack has no stream for it.
    fn write_frame(
        &mut self,
        times: (Instant, StdInstant),
        place: u8,
        line: (Mid, Pt),
        rtc: &mut Rtc,
    ) -> Option<()> {
        let Self {
            parameters,
            encodings,
            sent,
            ..
        } = self;
        let encoding = encodings.get_mut(usize::from(place))?;
        let mut direct = rtc.direct_api();
        let out = direct.stream_tx_by_mid(line.0, encoding.rid)?;
        encoding.ssrc = Some(*out.ssrc());
        if !encoding.is_sent {
            return Some(());
        }
        let video = parameters.kind == MediaKind::Video;
        let keyframe = !video || std::mem::take(&mut encoding.keyframe_wanted);
        if keyframe {
            encoding.place = 0;
        }
        let shape = parameters.shape();
        encoding.count_base(shape);
        for spatial in 0..shape.spatial_layers() {
            let mut unit = shape.unit(encoding.place, spatial);
            unit.encoding = place;
            unit.height = HEIGHT_LEAST << place.max(spatial);
            let (packets, bytes) = parameters.size(&unit, keyframe);
            let stamp = Stamp {
                sender: self.sender,
                track: self.track,
                unit,
                keyframe,
                frame: sent.frames,
                packet: 0,
                packets,
                sent_at: times.0,
            };
            let marks = spatial + 1 == shape.spatial_layers();
            encoding.write_unit(out, &stamp, (parameters, bytes, marks), (line.1, times.1));
            sent.packets += u64::from(packets);
        }
        encoding.place += 1;
        encoding.pictures += 1;
        encoding.numbers.picture = (encoding.numbers.picture + 1) & 0x7fff;
        sent.keyframes += u32::from(keyframe && video);
        Some(())
    }
}

impl Encoding {
    fn write_unit(
        &mut self,
        out: &mut StreamTx,
        first: &Stamp,
        (parameters, bytes, marks): (&PublishParameters, usize, bool),
        (payload_type, at): (Pt, StdInstant),
    ) {
        let (kind, level) = (parameters.kind, parameters.level);
        let video = kind == MediaKind::Video;
        for packet in 0..first.packets {
            let stamp = Stamp { packet, ..*first };
            let payload = if video {
                write_video(parameters.codec, &stamp, self.numbers, bytes)
            } else {
                write_audio(&stamp, bytes)
            };
            let mut extensions = ExtensionValues {
                audio_level: (!video).then_some(level),
                voice_activity: (!video).then_some(level > -100),
                ..ExtensionValues::default()
            };
            let describer = self.describer.as_ref();
            if let Some(value) =
                describer.and_then(|it| it.describe(&stamp, self.place, self.pictures))
            {
                extensions.user_values.set(value);
            }
            let timestamp = self.timestamp(kind, first.sent_at);
            let write = RtpWrite::new(payload_type, self.sequence.into(), timestamp, at, payload)
                .marker(stamp.ends() && video && marks)
                .nackable(video)
                .ext_vals(extensions);
            out.write_rtp(write);
            self.sequence += 1;
        }
    }

    /// A picture of the base layer has the next number (RFC 7741 §4.2, TL0PICIDX).
    fn count_base(&mut self, shape: Shape) {
        let unit = shape.unit(self.place, 0);
        let is_base = unit.spatial_layers > 0 && unit.layer.temporal == 0;
        self.numbers.base_layer = self.numbers.base_layer.wrapping_add(u8::from(is_base));
    }

    /// Media time is virtual time on the codec's clock.
    #[expect(clippy::cast_possible_truncation, reason = "RTP timestamps wrap")]
    const fn timestamp(&self, kind: MediaKind, now: Instant) -> u32 {
        let rate = match kind {
            MediaKind::Audio => 48,
            MediaKind::Video => 90,
        };
        self.timestamp_start
            .wrapping_add((now.as_micros() * rate / 1_000) as u32)
    }
}

//! A track that a robot publishes: frames at their time, key frames when asked.

use std::time::Instant as StdInstant;

use sfu::time::{Duration, Instant};
use sfu::units::MediaKind;
use str0m::Rtc;
use str0m::format::Codec;
use str0m::media::{Mid, Pt};
use str0m::rtp::{ExtensionValues, RtpWrite};

use super::reception::Source;
use crate::media::{Stamp, write_audio, write_video};

/// What a track is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishParameters {
    /// Sound or pictures.
    pub kind: MediaKind,
    /// Between frames.
    pub interval: Duration,
    /// Packets of a frame.
    pub packets: u16,
    /// Packets of a key frame.
    pub keyframe_packets: u16,
    /// Bytes of a payload.
    pub packet_bytes: usize,
    /// Whether the m-line is to receive as well.
    pub receives: bool,
}

impl PublishParameters {
    /// 50 packets of 120 bytes a second.
    #[must_use]
    pub const fn audio() -> Self {
        Self {
            kind: MediaKind::Audio,
            interval: Duration::from_millis(20),
            packets: 1,
            keyframe_packets: 1,
            packet_bytes: 120,
            receives: false,
        }
    }

    /// 30 frames a second of `packets` packets of 1,100 bytes; key frames are three times as big.
    #[must_use]
    pub const fn video(packets: u16) -> Self {
        Self {
            kind: MediaKind::Video,
            interval: Duration::from_micros(33_333),
            packets,
            keyframe_packets: packets.saturating_mul(3),
            packet_bytes: 1_100,
            receives: false,
        }
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

/// A track that a robot publishes.
#[derive(Debug)]
pub struct Publication {
    sender: u32,
    track: u8,
    parameters: PublishParameters,
    pub(super) stage: Stage,
    due_at: Instant,
    keyframe_wanted: bool,
    silent: bool,
    sequence: u64,
    timestamp_start: u32,
    picture_id: u16,
    ssrc: Option<u32>,
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
        Self {
            sender,
            track,
            parameters,
            stage: Stage::Wanted,
            due_at: now + Duration::from_micros(phase),
            keyframe_wanted: true,
            silent: false,
            // RFC 3711 §3.3.1 wants the first one below 2^15, so that a lost start does not
            // confuse the rollover counter; far enough from the wrap is as good, and wraps sooner.
            sequence: fastrand::u64(1..65_000),
            timestamp_start: fastrand::u32(..),
            picture_id: fastrand::u16(..0x8000),
            ssrc: None,
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

    /// Who made it, as payloads say.
    #[must_use]
    pub const fn source(&self) -> Source {
        (self.sender, self.track)
    }

    /// Its SSRC, once something was sent.
    #[must_use]
    pub const fn ssrc(&self) -> Option<u32> {
        self.ssrc
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

    pub(super) const fn end(&mut self) {
        self.stage = match self.stage {
            Stage::Live(mid) => Stage::Ending(mid),
            Stage::Wanted | Stage::Ended => Stage::Ended,
            Stage::Ending(mid) => Stage::Ending(mid),
        };
    }

    pub(super) const fn want_keyframe(&mut self) {
        self.keyframe_wanted = true;
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        match self.stage {
            Stage::Live(_) => Some(self.due_at),
            Stage::Wanted | Stage::Ending(_) | Stage::Ended => None,
        }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.poll_timeout().is_some_and(|at| at <= now)
    }

    /// Hands the frame that is due to the stack.
    pub(super) fn write_due(&mut self, now: Instant, at: StdInstant, rtc: &mut Rtc) {
        let Stage::Live(mid) = self.stage else {
            return;
        };
        // One frame at most: who was asleep does not catch up.
        while self.due_at <= now {
            self.due_at += self.parameters.interval;
        }
        if self.silent {
            return;
        }
        if let Some(payload_type) = self.payload_type(mid, rtc) {
            self.write_frame(now, at, (mid, payload_type), rtc);
        }
    }

    /// The first payload type the other side takes that is of this track's codec.
    fn payload_type(&self, mid: Mid, rtc: &Rtc) -> Option<Pt> {
        let codec = match self.parameters.kind {
            MediaKind::Audio => Codec::Opus,
            MediaKind::Video => Codec::Vp8,
        };
        let media = rtc.media(mid).filter(|it| it.direction().is_sending())?;
        media.remote_pts().iter().copied().find(|pt| {
            rtc.codec_config()
                .iter()
                .any(|it| it.pt() == *pt && it.spec().codec == codec)
        })
    }

    fn write_frame(&mut self, now: Instant, at: StdInstant, line: (Mid, Pt), rtc: &mut Rtc) {
        let mut direct = rtc.direct_api();
        let Some(stream) = direct.stream_tx_by_mid(line.0, None) else {
            return;
        };
        self.ssrc = Some(*stream.ssrc());
        let video = self.parameters.kind == MediaKind::Video;
        let keyframe = !video || std::mem::take(&mut self.keyframe_wanted);
        let packets = if video && keyframe {
            self.parameters.keyframe_packets
        } else {
            self.parameters.packets
        };
        for packet in 0..packets {
            let stamp = Stamp {
                sender: self.sender,
                track: self.track,
                keyframe,
                frame: self.sent.frames,
                packet,
                packets,
                sent_at: now,
            };
            let payload = if video {
                write_video(&stamp, self.picture_id, self.parameters.packet_bytes)
            } else {
                write_audio(&stamp, self.parameters.packet_bytes)
            };
            let extensions = ExtensionValues {
                audio_level: (!video).then_some(-20),
                voice_activity: (!video).then_some(true),
                ..ExtensionValues::default()
            };
            let write = RtpWrite::new(
                line.1,
                self.sequence.into(),
                self.timestamp(now),
                at,
                payload,
            )
            .marker(packet + 1 == packets && video)
            .nackable(video)
            .ext_vals(extensions);
            stream.write_rtp(write);
            self.sequence += 1;
            self.sent.packets += 1;
        }
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        self.sent.frames += 1;
        self.sent.keyframes += u32::from(keyframe && video);
    }

    /// Media time is virtual time on the codec's clock.
    #[expect(clippy::cast_possible_truncation, reason = "RTP timestamps wrap")]
    const fn timestamp(&self, now: Instant) -> u32 {
        let rate = match self.parameters.kind {
            MediaKind::Audio => 48,
            MediaKind::Video => 90,
        };
        self.timestamp_start
            .wrapping_add((now.as_micros() * rate / 1_000) as u32)
    }
}

//! Codecs, and what a payload says of itself without being decoded.
//!
//! | file | what it is |
//! |---|---|
//! | [`opus`] | Opus, alone and in RED |
//! | [`red`] | copies of sound within later packets, read and written |
//! | [`vp8`] | VP8 descriptor, read and rewritten |
//! | [`vp9`] | VP9 descriptor, read and rewritten |
//! | [`h264`] | NAL units of H264 |
//! | [`h265`] | NAL units of H265 |
//! | [`av1`] | OBUs of AV1 |
//! | `picture_id` | the picture id of VP8 and VP9 |
//!
//! [`describe`] is tolerant: what makes no sense is described as an ordinary packet, since only a
//! decoder may call it wrong.

pub mod av1;
pub mod h264;
pub mod h265;
pub mod opus;
mod picture_id;
pub mod red;
pub mod vp8;
pub mod vp9;

pub use picture_id::PictureId;

use arrayvec::ArrayVec;

use crate::limits::SPATIAL_LAYERS;
use crate::units::{Layer, MediaKind};

/// A payload format that can be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// RFC 7587.
    Opus,
    /// Redundant audio around Opus, RFC 2198.
    Red,
    /// G.711 µ-law, RFC 3551.
    Pcmu,
    /// G.711 A-law, RFC 3551.
    Pcma,
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// RFC 6184.
    H264,
    /// RFC 7798.
    H265,
    /// AV1 RTP payload specification 1.0.
    Av1,
}

impl Codec {
    /// All of them, in our own order of preference.
    pub const ALL: [Self; 9] = [
        Self::Opus,
        Self::Red,
        Self::Pcmu,
        Self::Pcma,
        Self::Vp8,
        Self::Vp9,
        Self::H264,
        Self::Av1,
        Self::H265,
    ];

    /// The encoding name of `a=rtpmap`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Red => "red",
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::H264 => "H264",
            Self::H265 => "H265",
            Self::Av1 => "AV1",
        }
    }

    /// Sound or pictures.
    #[must_use]
    pub const fn kind(self) -> MediaKind {
        match self {
            Self::Opus | Self::Red | Self::Pcmu | Self::Pcma => MediaKind::Audio,
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::H265 | Self::Av1 => MediaKind::Video,
        }
    }

    /// RTP clock, in Hz.
    #[must_use]
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Opus | Self::Red => 48_000,
            Self::Pcmu | Self::Pcma => 8_000,
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::H265 | Self::Av1 => 90_000,
        }
    }
}

/// A codec with what must be equal at both ends for its packets to be decodable unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Format {
    /// The codec.
    pub codec: Codec,
    /// VP9 profile-id, AV1 profile, H264 profile_idc and constraint flags (`profile-level-id >> 8`),
    /// H265 profile-id; 0 elsewhere.
    pub profile: u32,
    /// H264 packetization-mode; 0 elsewhere.
    pub packetization_mode: u8,
}

impl Format {
    /// A format whose codec has no profiles, or its default one.
    #[must_use]
    pub const fn of(codec: Codec) -> Self {
        Self {
            codec,
            profile: 0,
            packetization_mode: 0,
        }
    }
}

/// What one payload says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, read from a bit of its own"
)]
pub struct PayloadFacts {
    /// A decoder that has seen nothing can start with this packet, which is the first of its frame
    /// or of the parameters before it. Always so for audio.
    pub keyframe: bool,
    /// Nothing of the frame (of the layer's frame, where there are spatial layers) comes before
    /// this packet. H264 and H265 say it of parameters and of the first slice both.
    pub starts_frame: bool,
    /// Whether the layer's frame ends here; `None` where only the marker bit tells.
    pub ends_frame: Option<bool>,
    /// Which layer it belongs to. A packet of AV1 that only continues another says 0.
    pub layer: Layer,
    /// Whether layers can be changed here, one encoding's own.
    pub layer_switch: LayerSwitch,
    /// What a decoder must know first (H264 and H265: SPS, AV1: sequence header) is in here.
    pub decodable_parameters: bool,
    /// Silence: the encoder has almost stopped.
    pub dtx: bool,
}

/// Where a receiver of the lower layers may go up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LayerSwitch {
    /// Nothing is said.
    #[default]
    Unknown,
    /// This very frame depends on lower layers only, so it can be the first of its layer.
    Here,
    /// Later frames of higher layers depend on nothing before this frame that is above its layer.
    Above,
}

/// What `payload`, of an RTP packet without padding, says of itself.
#[must_use]
pub fn describe(codec: Codec, payload: &[u8]) -> PayloadFacts {
    match codec {
        Codec::Opus => opus::describe(payload),
        Codec::Red => opus::describe_red(payload),
        Codec::Pcmu | Codec::Pcma => opus::SOUND,
        Codec::Vp8 => vp8::describe(payload),
        Codec::Vp9 => vp9::describe(payload),
        Codec::H264 => h264::describe(payload),
        Codec::H265 => h265::describe(payload),
        Codec::Av1 => av1::describe(payload),
    }
}

/// The heights of the pictures that a key frame's first packet tells, by spatial layer; none where
/// it does not.
#[must_use]
pub fn heights(codec: Codec, payload: &[u8]) -> ArrayVec<u16, SPATIAL_LAYERS> {
    match codec {
        Codec::Vp8 => vp8::height(payload).into_iter().collect(),
        Codec::Vp9 => vp9::heights(payload),
        Codec::Opus
        | Codec::Red
        | Codec::Pcmu
        | Codec::Pcma
        | Codec::H264
        | Codec::H265
        | Codec::Av1 => ArrayVec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_payload_starts_nothing_in_any_video_codec() {
        for codec in Codec::ALL {
            let facts = describe(codec, &[]);
            assert_eq!(
                facts.keyframe,
                codec.kind() == MediaKind::Audio,
                "{codec:?}"
            );
            assert!(!facts.decodable_parameters);
        }
    }

    #[test]
    fn no_cut_of_a_payload_matters() {
        // Any bytes, cut anywhere: an answer, never a panic.
        let bytes: Vec<u8> = (0..=255_u8).map(|byte| byte.wrapping_mul(167)).collect();
        for codec in Codec::ALL {
            for start in 0..bytes.len() {
                for end in start..bytes.len().min(start + 40) {
                    let _ = describe(codec, &bytes[start..end]);
                }
            }
        }
    }
}

//! Codecs, and what a payload says of itself without being decoded.

use crate::units::MediaKind;

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

//! What a publisher sends: payloads of each codec, as far as anybody on the way looks into them.

use crate::PACKET_BYTES;

/// What the publisher sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Opus,
    /// With no numbers in its payload descriptor.
    Vp8Plain,
    Vp8,
    Vp9,
    H264,
    Av1,
}

impl Media {
    /// As the publisher's offer numbers it.
    pub(crate) const fn payload_type(self) -> u8 {
        match self {
            Self::Opus => 111,
            Self::Vp8Plain | Self::Vp8 => 96,
            Self::Vp9 => 98,
            Self::H264 => 108,
            Self::Av1 => 45,
        }
    }

    /// Of a packet, header and all, before it is sealed.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::Opus => 130,
            _ => PACKET_BYTES,
        }
    }

    /// The beginning of packet `index` of a picture's.
    pub(crate) fn head(self, key: bool, index: usize, picture: u16) -> Vec<u8> {
        let first = index == 0;
        let key = key && first;
        let [high, low] = (picture & 0x7FFF | 0x8000).to_be_bytes();
        match self {
            Self::Opus => vec![0x78],
            // RFC 7741 §4.2: S where the frame starts; then P of the payload header, clear in a key
            // frame.
            Self::Vp8Plain => vec![if first { 0x10 } else { 0 }, u8::from(!key)],
            // X, S; I, L, T; picture id, TL0PICIDX, TID.
            Self::Vp8 => vec![
                if first { 0x90 } else { 0x80 },
                0xE0,
                high,
                low,
                low,
                0,
                u8::from(!key),
            ],
            // RFC 9628 §4.2: I, P, L, B; picture id; no layers; TL0PICIDX.
            Self::Vp9 => {
                let inter = if key { 0 } else { 0x40 };
                let begins = if first { 0x08 } else { 0 };
                vec![0xA0 | inter | begins, high, low, 0, low]
            }
            // RFC 6184 §5.6 and §5.8: parameters of a sequence, or FU-A of a slice: S, its first
            // macroblock.
            Self::H264 if key => vec![0x67, 0x42, 0xE0, 0x1F],
            Self::H264 => vec![0x7C, if first { 0x81 } else { 0x01 }, 0x80],
            // AV1 RTP §4.4: Z but in the first, W of 1, N with a key frame; a sequence header or a
            // frame.
            Self::Av1 => {
                let continues = if first { 0 } else { 0x80 };
                let begins = if key { 0x08 } else { 0 };
                vec![continues | 0x10 | begins, if key { 0x08 } else { 0x30 }]
            }
        }
    }
}

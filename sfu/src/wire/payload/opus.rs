//! Audio: Opus (RFC 7587, RFC 6716), also as the primary of RED (RFC 2198). Every packet can be
//! decoded on its own; all there is to know is whether it is silence.

use super::red::Red;
use super::{LayerSwitch, PayloadFacts};
use crate::units::Layer;

/// A packet of sound, of any audio codec.
pub(super) const SOUND: PayloadFacts = PayloadFacts {
    keyframe: true,
    starts_frame: true,
    ends_frame: Some(true),
    layer: Layer {
        spatial: 0,
        temporal: 0,
    },
    layer_switch: LayerSwitch::Here,
    decodable_parameters: false,
    dtx: false,
};

/// Nothing but the TOC byte and a frame of at most one byte: RFC 6716 §3.1 and §3.2.1 (DTX, or a
/// frame lost on purpose), RFC 7587 §3.1.3.
const DTX_BYTES_MAX: usize = 2;

/// An Opus packet.
#[must_use]
pub fn describe(payload: &[u8]) -> PayloadFacts {
    PayloadFacts {
        dtx: payload.len() <= DTX_BYTES_MAX,
        ..SOUND
    }
}

/// A RED packet around Opus: what its primary, the last block, says.
#[must_use]
pub fn describe_red(payload: &[u8]) -> PayloadFacts {
    Red::parse(payload).map_or(SOUND, |red| describe(red.primary.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is silence, in Opus and in RED.
    fn check(input: &[u8], expected: (bool, bool)) {
        assert_eq!(
            (describe(input).dtx, describe_red(input).dtx),
            expected,
            "{input:02x?}"
        );
        assert!(describe(input).keyframe && describe_red(input).keyframe);
    }

    #[test]
    fn silence_is_a_packet_of_two_bytes_at_most() {
        check(&[0x78], (true, true));
        check(&[0x08, 0xFF], (true, true));
        check(&[0x78, 0xC3, 0x11, 0x90], (false, false));
        check(&[111, 0x78, 0xC3, 0x11], (false, false));
        // A redundant block of three bytes before a primary of one, then of four.
        check(
            &[0x80 | 111, 0x0F, 0x00, 3, 111, 1, 2, 3, 0x78],
            (false, true),
        );
        check(
            &[0x80 | 111, 0x0F, 0x00, 3, 111, 1, 2, 3, 0x78, 1, 2, 3],
            (false, false),
        );
        // A block longer than the packet.
        check(&[0x80 | 111, 0x0F, 0x03, 0xFF, 111, 1, 2], (false, false));
    }
}

//! AV1 (RTP payload format for AV1, version 1.0): the aggregation header and the headers of the
//! OBUs behind it.

use super::{LayerSwitch, PayloadFacts};
use crate::error::DropReason;
use crate::units::Layer;
use crate::wire::bytes::Reader;

/// OBU types (AV1 bitstream specification §6.2.2).
mod obu {
    pub(super) const SEQUENCE_HEADER: u8 = 1;
}

/// An AV1 packet.
#[must_use]
pub fn describe(payload: &[u8]) -> PayloadFacts {
    let mut reader = Reader::new(payload);
    let Ok(aggregation) = reader.u8() else {
        return PayloadFacts::default();
    };
    // §4.4: Z, Y, two bits W, N. Z: the first element continues the last of the packet before.
    let continues = aggregation & 0x80 != 0;
    let mut facts = PayloadFacts {
        starts_frame: !continues,
        // N: the first packet of a coded video sequence; it cannot continue another.
        keyframe: aggregation & 0x08 != 0 && !continues,
        ..PayloadFacts::default()
    };
    let counted = usize::from(aggregation >> 4 & 0x03);
    let mut layer = None;
    let mut at = 0;
    while let Ok(element) = next_element(&mut reader, counted, at) {
        if (at > 0 || !continues)
            && let Some(header) = ObuHeader::parse(element)
        {
            layer = layer.or(header.layer);
            if header.kind == obu::SEQUENCE_HEADER {
                facts.decodable_parameters = true;
                // Some senders leave N out; a sequence header comes before key frames only.
                facts.keyframe |= !continues;
            }
        }
        at += 1;
    }
    facts.layer = layer.unwrap_or_default();
    if facts.keyframe {
        facts.layer_switch = LayerSwitch::Here;
    }
    facts
}

/// §4.4: `counted` elements of which the last has no length; with 0 each has one and they go on
/// to the end of the packet. Each one found takes at least a byte, so this ends.
fn next_element<'a>(
    reader: &mut Reader<'a>,
    counted: usize,
    at: usize,
) -> Result<&'a [u8], DropReason> {
    if reader.is_empty() || (counted > 0 && at >= counted) {
        return Err(DropReason::Malformed);
    }
    let len = if counted > 0 && at + 1 == counted {
        reader.rest().len()
    } else {
        leb128(reader)?
    };
    reader.take(len)
}

/// AV1 bitstream specification §4.10.5: seven bits a byte, the lowest first. It allows eight bytes
/// for 32 bits; no packet is longer than five tell.
fn leb128(reader: &mut Reader<'_>) -> Result<usize, DropReason> {
    let mut value = 0_u64;
    for shift in [0, 7, 14, 21, 28] {
        let byte = reader.u8()?;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return usize::try_from(value).map_err(|_| DropReason::Malformed);
        }
    }
    Err(DropReason::Malformed)
}

/// AV1 bitstream specification §5.3.2.
struct ObuHeader {
    kind: u8,
    layer: Option<Layer>,
}

impl ObuHeader {
    fn parse(element: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(element);
        let first = reader.u8().ok()?;
        let has_extension = first & 0x04 != 0;
        let extension = if has_extension {
            reader.u8().ok()
        } else {
            None
        };
        Some(Self {
            kind: first >> 3 & 0x0F,
            layer: extension.map(|byte| Layer {
                spatial: byte >> 3 & 0x03,
                temporal: byte >> 5,
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key frame, starts a frame, has the sequence header, (spatial, temporal).
    fn check(input: &[u8], expected: (bool, bool, bool, (u8, u8))) {
        let facts = describe(input);
        let layer = (facts.layer.spatial, facts.layer.temporal);
        let got = (
            facts.keyframe,
            facts.starts_frame,
            facts.decodable_parameters,
            layer,
        );
        assert_eq!(got, expected, "{input:02x?}");
    }

    #[test]
    fn the_first_packet_of_a_sequence_is_a_key_frame() {
        // Browser: N, two elements; sequence header with its length, then the frame's start.
        check(
            &[
                0x68, 0x0B, 0x08, 0, 0, 0, 0x42, 0xA7, 0xBF, 0xE6, 0x2E, 0xDF, 0xC8, 0x30, 0x10, 0,
            ],
            (true, true, true, (0, 0)),
        );
        // N on a packet that continues another makes no sense.
        check(&[0x98, 0x10, 0x00], (false, false, false, (0, 0)));
        // The same without N.
        check(
            &[0x20, 0x02, 0x08, 0x00, 0x30, 0x10],
            (true, true, true, (0, 0)),
        );
    }

    #[test]
    fn other_packets_start_or_continue_a_frame() {
        check(&[0x10, 0x30, 0x20, 0x11], (false, true, false, (0, 0)));
        check(&[0x90, 0x08, 0x20, 0x11], (false, false, false, (0, 0)));
        check(&[0xD0, 0x08], (false, false, false, (0, 0)));
        // What is continued has no header; what comes behind it has.
        check(
            &[0xA0, 0x02, 0x08, 0x08, 0x34, 0x48, 0x20],
            (false, false, false, (1, 2)),
        );
        check(&[0x10, 0x34, 0x48, 0x20], (false, true, false, (1, 2)));
    }

    #[test]
    fn elements_without_a_count_go_on_to_the_end() {
        check(
            &[0x00, 0x01, 0x30, 0x02, 0x08, 0x00],
            (true, true, true, (0, 0)),
        );
        check(
            &[0x00, 0x01, 0x30, 0x00, 0x01, 0x08],
            (true, true, true, (0, 0)),
        );
        // A length of more bytes than there are, or than a length may have.
        check(&[0x00, 0x05, 0x08, 0x00], (false, true, false, (0, 0)));
        check(&[0x00, 0x82, 0x00, 0x08, 0x00], (true, true, true, (0, 0)));
        check(
            &[0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0x08],
            (false, true, false, (0, 0)),
        );
        check(&[0x30, 0x01], (false, true, false, (0, 0)));
    }
}

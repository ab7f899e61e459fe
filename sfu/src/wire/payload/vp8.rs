//! VP8 (RFC 7741): the descriptor before the payload, read, and rewritten in place when a
//! receiver is switched between encodings whose picture ids run apart.

use super::{LayerSwitch, PayloadFacts, PictureId};
use crate::error::DropReason;
use crate::units::Layer;
use crate::wire::bytes::Reader;

/// The payload descriptor (RFC 7741 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// S: a partition starts here.
    pub starts_partition: bool,
    /// PID: which partition, 0 being the one with the frame's header.
    pub partition: u8,
    /// N: no other frame depends on this one.
    pub non_reference: bool,
    /// The picture, counted up by one per frame.
    pub picture_id: Option<PictureId>,
    /// TL0PICIDX: the frame of the base layer that this one belongs to.
    pub tl0_index: Option<u8>,
    /// TID: temporal layer.
    pub temporal: Option<u8>,
    /// Y: it depends on the base layer only.
    pub layer_sync: bool,
    /// Length of the descriptor.
    pub bytes: usize,
    picture_id_at: usize,
    tl0_at: usize,
}

impl Descriptor {
    /// Reads the descriptor in front of `payload`.
    ///
    /// # Errors
    /// [`DropReason::Malformed`] where it is cut short.
    pub fn parse(payload: &[u8]) -> Result<Self, DropReason> {
        let mut reader = Reader::new(payload);
        let place = |reader: &Reader<'_>| payload.len() - reader.rest().len();
        let first = reader.u8()?;
        let mut descriptor = Self {
            starts_partition: first & 0x10 != 0,
            partition: first & 0x07,
            non_reference: first & 0x20 != 0,
            picture_id: None,
            tl0_index: None,
            temporal: None,
            layer_sync: false,
            bytes: 1,
            picture_id_at: 0,
            tl0_at: 0,
        };
        if first & 0x80 == 0 {
            return Ok(descriptor);
        }
        let extensions = reader.u8()?;
        if extensions & 0x80 != 0 {
            descriptor.picture_id_at = place(&reader);
            descriptor.picture_id = Some(PictureId::parse(&mut reader)?);
        }
        if extensions & 0x40 != 0 {
            descriptor.tl0_at = place(&reader);
            descriptor.tl0_index = Some(reader.u8()?);
        }
        // T and K share one byte, there with either.
        if extensions & 0x30 != 0 {
            let byte = reader.u8()?;
            if extensions & 0x20 != 0 {
                descriptor.temporal = Some(byte >> 6);
                descriptor.layer_sync = byte & 0x20 != 0;
            }
        }
        descriptor.bytes = place(&reader);
        Ok(descriptor)
    }
}

/// Puts other numbers into the descriptor in front of `payload`, each in the width that is there.
/// False, and nothing changed, where a number given has no place in it.
pub fn rewrite(payload: &mut [u8], picture_id: Option<u16>, tl0_index: Option<u8>) -> bool {
    let Ok(descriptor) = Descriptor::parse(payload) else {
        return false;
    };
    let has_place = (picture_id.is_none() || descriptor.picture_id.is_some())
        && (tl0_index.is_none() || descriptor.tl0_index.is_some());
    if !has_place {
        return false;
    }
    if let (Some(value), Some(old)) = (picture_id, descriptor.picture_id) {
        old.replace(value, descriptor.picture_id_at, payload);
    }
    if let (Some(value), Some(place)) = (tl0_index, payload.get_mut(descriptor.tl0_at)) {
        *place = value;
    }
    true
}

/// The height that the first packet of a key frame tells.
#[must_use]
pub fn height(payload: &[u8]) -> Option<u16> {
    let descriptor = Descriptor::parse(payload).ok()?;
    let mut reader = Reader::new(payload.get(descriptor.bytes..)?);
    // RFC 6386 §9.1: a tag of three bytes, the start code, width and height of 14 bits, little
    // end first, two bits of scaling above each.
    reader.take(3).ok()?;
    if reader.take(3).ok()? != [0x9D, 0x01, 0x2A] {
        return None;
    }
    reader.take(2).ok()?;
    Some(u16::from_le_bytes(reader.array().ok()?) & 0x3FFF)
}

/// A VP8 packet.
#[must_use]
pub fn describe(payload: &[u8]) -> PayloadFacts {
    let Ok(descriptor) = Descriptor::parse(payload) else {
        return PayloadFacts::default();
    };
    let starts_frame = descriptor.starts_partition && descriptor.partition == 0;
    // RFC 7741 §4.3: the first bit behind the descriptor of a frame's start is 0 in key frames.
    let keyframe = starts_frame
        && payload
            .get(descriptor.bytes)
            .is_some_and(|tag| tag & 1 == 0);
    PayloadFacts {
        keyframe,
        starts_frame,
        layer: Layer {
            spatial: 0,
            temporal: descriptor.temporal.unwrap_or(0),
        },
        layer_switch: if keyframe || descriptor.layer_sync {
            LayerSwitch::Here
        } else {
            LayerSwitch::Unknown
        },
        decodable_parameters: keyframe,
        ..PayloadFacts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key frame, starts a frame, temporal layer, picture id, base layer index, descriptor length.
    type Expected = (bool, bool, u8, Option<u16>, Option<u8>, usize);

    fn check(input: &[u8], expected: Expected) {
        let facts = describe(input);
        let descriptor = Descriptor::parse(input).unwrap();
        let got = (
            facts.keyframe,
            facts.starts_frame,
            facts.layer.temporal,
            descriptor.picture_id.map(|id| id.value),
            descriptor.tl0_index,
            descriptor.bytes,
        );
        assert_eq!(got, expected, "{input:02x?}");
    }

    #[test]
    fn descriptors_are_read_as_rfc_7741_says() {
        // Bare; key frame (first bit 0, start code), interframe.
        check(
            &[0x10, 0x50, 0x1A, 0x00, 0x9D, 0x01, 0x2A],
            (true, true, 0, None, None, 1),
        );
        check(&[0x10, 0x51, 0x1A, 0x00], (false, true, 0, None, None, 1));
        // A later packet of the first partition, another partition.
        check(&[0x00, 0x50], (false, false, 0, None, None, 1));
        check(&[0x12, 0x50], (false, false, 0, None, None, 1));
        // Browser: 15 bits of picture id, base layer index, temporal layer with key index.
        check(
            &[0x90, 0xF0, 0x92, 0x34, 0x07, 0x00, 0x10, 0x02, 0x00],
            (true, true, 0, Some(0x1234), Some(7), 6),
        );
        check(
            &[0xB0, 0xE0, 0x7F, 0x07, 0xA0, 0x11],
            (false, true, 2, Some(127), Some(7), 5),
        );
        // Key index only: no temporal layer in the byte.
        check(&[0x90, 0x10, 0xC5, 0x10], (true, true, 0, None, None, 3));
        // Nothing behind the descriptor.
        check(&[0x90, 0x00], (false, true, 0, None, None, 2));
    }

    #[test]
    fn a_sync_frame_can_be_the_first_of_its_layer() {
        let facts = describe(&[0x90, 0x20, 0x60, 0x11]);
        assert_eq!(
            (facts.layer.temporal, facts.layer_switch),
            (1, LayerSwitch::Here)
        );
        assert_eq!(
            describe(&[0x90, 0x20, 0x40, 0x11]).layer_switch,
            LayerSwitch::Unknown
        );
    }

    #[test]
    fn what_is_cut_short_is_malformed() {
        let whole = [0x90, 0xF0, 0x92, 0x34, 0x07, 0x40];
        for end in 0..whole.len() - 1 {
            assert_eq!(Descriptor::parse(&whole[..end]), Err(DropReason::Malformed));
            assert_eq!(describe(&whole[..end]), PayloadFacts::default());
        }
    }

    #[test]
    fn numbers_are_rewritten_in_the_width_they_have() {
        for (input, picture_id, tl0_index, expected) in [
            (
                &[0x90, 0xC0, 0x92, 0x34, 7, 9][..],
                Some(0xFFFF),
                Some(1),
                Some(&[0x90, 0xC0, 0xFF, 0xFF, 1, 9][..]),
            ),
            (
                &[0x90, 0xC0, 0x12, 7, 9],
                Some(0x0181),
                Some(2),
                Some(&[0x90, 0xC0, 0x01, 2, 9]),
            ),
            (
                &[0x90, 0x40, 7, 9],
                None,
                Some(8),
                Some(&[0x90, 0x40, 8, 9]),
            ),
            (&[0x90, 0x40, 7, 9], Some(1), Some(8), None),
            (&[0x10, 0x50], None, None, Some(&[0x10, 0x50])),
            (&[0x90, 0x80], Some(1), None, None),
        ] {
            let mut payload = input.to_vec();
            assert_eq!(
                rewrite(&mut payload, picture_id, tl0_index),
                expected.is_some()
            );
            assert_eq!(payload, expected.unwrap_or(input));
        }
    }
}

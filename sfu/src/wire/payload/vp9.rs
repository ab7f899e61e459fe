//! VP9 (RFC 9628): the descriptor before the payload, flexible and non-flexible, with its
//! scalability structure; picture id and base layer index rewritten in place.

use super::{LayerSwitch, PayloadFacts, PictureId};
use arrayvec::ArrayVec;

use crate::error::DropReason;
use crate::limits::SPATIAL_LAYERS;
use crate::units::Layer;
use crate::wire::bytes::Reader;

/// The payload descriptor (RFC 9628 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the bits of the descriptor's first two bytes"
)]
pub struct Descriptor {
    /// P: it depends on earlier pictures.
    pub inter_picture: bool,
    /// F: references are told one by one.
    pub flexible: bool,
    /// B: the layer's frame starts here.
    pub starts_frame: bool,
    /// E: the layer's frame ends here.
    pub ends_frame: bool,
    /// Z: no higher spatial layer of this picture depends on it.
    pub not_for_upper: bool,
    /// The picture; the same for all its spatial layers.
    pub picture_id: Option<PictureId>,
    /// TL0PICIDX, in non-flexible mode: the base layer picture this one belongs to.
    pub tl0_index: Option<u8>,
    /// TID and SID.
    pub layer: Option<Layer>,
    /// U: after this picture one may go up in temporal layers.
    pub switching_up: bool,
    /// D: it depends on the spatial layer below.
    pub inter_layer: bool,
    /// N_S + 1, where the scalability structure is here.
    pub spatial_layers: Option<u8>,
    /// Where the heights of the spatial layers are told; 0: nowhere.
    sizes_at: usize,
    /// Length of the descriptor.
    pub bytes: usize,
    picture_id_at: usize,
    tl0_at: usize,
}

impl Descriptor {
    /// Reads the descriptor in front of `payload`.
    ///
    /// # Errors
    /// [`DropReason::Malformed`] where it is cut short, or names more than three references.
    pub fn parse(payload: &[u8]) -> Result<Self, DropReason> {
        let mut reader = Reader::new(payload);
        let place = |reader: &Reader<'_>| payload.len() - reader.rest().len();
        let first = reader.u8()?;
        let mut descriptor = Self {
            inter_picture: first & 0x40 != 0,
            flexible: first & 0x10 != 0,
            starts_frame: first & 0x08 != 0,
            ends_frame: first & 0x04 != 0,
            not_for_upper: first & 0x01 != 0,
            picture_id: None,
            tl0_index: None,
            layer: None,
            switching_up: false,
            inter_layer: false,
            spatial_layers: None,
            sizes_at: 0,
            bytes: 0,
            picture_id_at: 0,
            tl0_at: 0,
        };
        if first & 0x80 != 0 {
            descriptor.picture_id_at = place(&reader);
            descriptor.picture_id = Some(PictureId::parse(&mut reader)?);
        }
        if first & 0x20 != 0 {
            let byte = reader.u8()?;
            descriptor.layer = Some(Layer {
                spatial: byte >> 1 & 0x07,
                temporal: byte >> 5,
            });
            descriptor.switching_up = byte & 0x10 != 0;
            descriptor.inter_layer = byte & 0x01 != 0;
            if !descriptor.flexible {
                descriptor.tl0_at = place(&reader);
                descriptor.tl0_index = Some(reader.u8()?);
            }
        }
        if descriptor.flexible && descriptor.inter_picture {
            references(&mut reader)?;
        }
        if first & 0x02 != 0 {
            if reader.rest().first().is_some_and(|head| head & 0x10 != 0) {
                descriptor.sizes_at = place(&reader) + 1;
            }
            descriptor.spatial_layers = Some(scalability(&mut reader)?);
        }
        descriptor.bytes = place(&reader);
        Ok(descriptor)
    }
}

/// Passes over P_DIFF bytes: up to three, N telling whether another follows.
fn references(reader: &mut Reader<'_>) -> Result<(), DropReason> {
    for _ in 0..3 {
        if reader.u8()? & 0x01 == 0 {
            return Ok(());
        }
    }
    Err(DropReason::Malformed)
}

/// Passes over the scalability structure (RFC 9628 §4.2.1); the number of spatial layers.
fn scalability(reader: &mut Reader<'_>) -> Result<u8, DropReason> {
    let head = reader.u8()?;
    let layers = (head >> 5) + 1;
    if head & 0x10 != 0 {
        // Y: width and height of each layer.
        reader.take(usize::from(layers) * 4)?;
    }
    if head & 0x08 != 0 {
        // G: the pictures of a group, each with up to three references.
        for _ in 0..reader.u8()? {
            let references = reader.u8()? >> 2 & 0x03;
            reader.take(usize::from(references))?;
        }
    }
    Ok(layers)
}

/// The heights that the first packet of a key frame tells, by spatial layer.
#[must_use]
pub fn heights(payload: &[u8]) -> ArrayVec<u16, SPATIAL_LAYERS> {
    let mut heights = ArrayVec::new();
    let Ok(descriptor) = Descriptor::parse(payload) else {
        return heights;
    };
    let layers = descriptor
        .spatial_layers
        .filter(|_| descriptor.sizes_at > 0);
    let sizes = payload.get(descriptor.sizes_at..).unwrap_or_default();
    for size in sizes.chunks_exact(4).take(layers.unwrap_or(0).into()) {
        if let &[_, _, high, low] = size {
            // More layers than are told apart: the rest is not measured either.
            let _full = heights.try_push(u16::from_be_bytes([high, low]));
        }
    }
    heights
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

/// A VP9 packet.
#[must_use]
pub fn describe(payload: &[u8]) -> PayloadFacts {
    let Ok(descriptor) = Descriptor::parse(payload) else {
        return PayloadFacts::default();
    };
    let layer = descriptor.layer.unwrap_or_default();
    // RFC 9628 §4.2: a key picture has P = 0 in all its layers, and starts with the lowest.
    let independent = !descriptor.inter_picture;
    let keyframe = independent
        && descriptor.starts_frame
        && layer.spatial == 0
        && payload.len() > descriptor.bytes;
    PayloadFacts {
        keyframe,
        starts_frame: descriptor.starts_frame,
        ends_frame: Some(descriptor.ends_frame),
        layer,
        layer_switch: if independent {
            LayerSwitch::Here
        } else if descriptor.switching_up {
            LayerSwitch::Above
        } else {
            LayerSwitch::Unknown
        },
        decodable_parameters: keyframe,
        dtx: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key frame, starts and ends a frame, (spatial, temporal), picture id, base layer index,
    /// descriptor length.
    type Expected = (bool, bool, bool, (u8, u8), Option<u16>, Option<u8>, usize);

    fn check(input: &[u8], expected: Expected) {
        let facts = describe(input);
        let descriptor = Descriptor::parse(input).unwrap();
        let got = (
            facts.keyframe,
            facts.starts_frame,
            facts.ends_frame.unwrap(),
            (facts.layer.spatial, facts.layer.temporal),
            descriptor.picture_id.map(|id| id.value),
            descriptor.tl0_index,
            descriptor.bytes,
        );
        assert_eq!(got, expected, "{input:02x?}");
    }

    #[test]
    fn descriptors_are_read_as_rfc_9628_says() {
        // Non-flexible, one layer: key picture with its structure (Y and G), in one packet.
        check(
            &[
                0x8E, 0x92, 0x34, 0x18, 0x02, 0x80, 0x01, 0x68, 0x01, 0x04, 0x01, 0x82, 0x49,
            ],
            (true, true, true, (0, 0), Some(0x1234), None, 11),
        );
        // The same source's next picture; then a middle packet.
        check(
            &[0xC8, 0x92, 0x35, 0x86],
            (false, true, false, (0, 0), Some(0x1235), None, 3),
        );
        check(
            &[0xC0, 0x92, 0x35, 0x86],
            (false, false, false, (0, 0), Some(0x1235), None, 3),
        );
        // Layers, non-flexible: base layer index behind them.
        check(
            &[0xAC, 0x05, 0x00, 0x07, 0x82],
            (true, true, true, (0, 0), Some(5), Some(7), 4),
        );
        // Spatial layer 1 of a key picture: no key frame on its own.
        check(
            &[0xAC, 0x05, 0x03, 0x07, 0x82],
            (false, true, true, (1, 0), Some(5), Some(7), 4),
        );
        check(
            &[0xEC, 0x05, 0x52, 0x08, 0x86],
            (false, true, true, (1, 2), Some(5), Some(8), 4),
        );
        // Flexible: no base layer index, references one by one.
        check(
            &[0xF8, 0x05, 0x20, 0x03, 0x04, 0x86],
            (false, true, false, (0, 1), Some(5), None, 5),
        );
        check(
            &[0xB8, 0x05, 0x00, 0x82],
            (true, true, false, (0, 0), Some(5), None, 3),
        );
        // Three spatial layers with sizes.
        check(
            &[0x0A, 0x50, 0, 80, 0, 45, 0, 160, 0, 90, 1, 64, 0, 180, 0x82],
            (true, true, false, (0, 0), None, None, 14),
        );
    }

    #[test]
    fn it_tells_where_one_may_go_up() {
        assert_eq!(
            describe(&[0xEC, 0x05, 0x30, 0x08, 0x86]).layer_switch,
            LayerSwitch::Above
        );
        assert_eq!(
            describe(&[0xEC, 0x05, 0x20, 0x08, 0x86]).layer_switch,
            LayerSwitch::Unknown
        );
        assert_eq!(
            describe(&[0xAC, 0x05, 0x03, 0x08, 0x86]).layer_switch,
            LayerSwitch::Here
        );
    }

    #[test]
    fn what_is_cut_short_or_refers_too_often_is_malformed() {
        let whole = [
            0xFA, 0x92, 0x34, 0x20, 0x03, 0x05, 0x02, 0x18, 1, 2, 3, 4, 1, 0x08, 1, 2,
        ];
        for end in 0..whole.len() {
            let got = Descriptor::parse(&whole[..end]);
            assert_eq!(got, Err(DropReason::Malformed), "{end}");
            assert_eq!(describe(&whole[..end]), PayloadFacts::default());
        }
        assert_eq!(
            Descriptor::parse(&whole).map(|descriptor| descriptor.bytes),
            Ok(whole.len())
        );
        assert!(Descriptor::parse(&[0x50, 3, 3, 3, 2]).is_err());
    }

    #[test]
    fn numbers_are_rewritten_in_the_width_they_have() {
        for (input, picture_id, tl0_index, expected) in [
            (
                &[0xAC, 0x92, 0x34, 0, 7, 9][..],
                Some(0x0001),
                Some(1),
                Some(&[0xAC, 0x80, 0x01, 0, 1, 9][..]),
            ),
            (
                &[0xAC, 0x12, 0, 7, 9],
                Some(0x00FF),
                None,
                Some(&[0xAC, 0x7F, 0, 7, 9]),
            ),
            (&[0xBC, 0x12, 0, 9], Some(1), Some(1), None),
            (&[0x2C, 0, 7, 9], Some(1), None, None),
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

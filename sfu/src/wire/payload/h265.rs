//! H265 (RFC 7798): single NAL units, aggregates (AP), fragments (FU) and units wrapped in PACI.
//! Decoding order numbers are not negotiated (sprop-max-don-diff is 0).

use super::{LayerSwitch, PayloadFacts};
use crate::wire::bytes::Reader;

/// NAL unit types (ITU-T H.265 table 7-1, RFC 7798 §4.4).
mod unit {
    /// Slices of pictures that others do not start with.
    pub(super) const SLICES: std::ops::RangeInclusive<u8> = 0..=9;
    /// Slices of pictures a decoder can start with: BLA, IDR, CRA.
    pub(super) const RANDOM_ACCESS: std::ops::RangeInclusive<u8> = 16..=21;
    pub(super) const VPS: u8 = 32;
    pub(super) const SPS: u8 = 33;
    pub(super) const PPS: u8 = 34;
    pub(super) const DELIMITER: u8 = 35;
    pub(super) const PREFIX_SEI: u8 = 39;
    pub(super) const AGGREGATE: u8 = 48;
    pub(super) const FRAGMENT: u8 = 49;
    pub(super) const PACI: u8 = 50;
}

/// An H265 packet.
#[must_use]
pub fn describe(payload: &[u8]) -> PayloadFacts {
    let mut facts = PayloadFacts::default();
    let mut reader = Reader::new(payload);
    let Ok(header) = reader.u16() else {
        return facts;
    };
    // RFC 7798 §1.1.4: F, six bits of type, six of layer, three of temporal id plus one.
    let [_, low] = header.to_be_bytes();
    facts.layer.temporal = (low & 0x07).saturating_sub(1);
    let mut kind = unit_type(header);
    if kind == unit::PACI {
        // RFC 7798 §4.4.4: the type of what is within, and the length of the extension before it.
        let Ok(fields) = reader.u16() else {
            return facts;
        };
        let extension = usize::from(fields >> 4 & 0x1F);
        if reader.take(extension).is_err() {
            return facts;
        }
        kind = unit_type(fields);
    }
    match kind {
        unit::AGGREGATE => aggregate(&mut facts, reader),
        unit::FRAGMENT => {
            // RFC 7798 §4.4.3: only the fragment with the start bit begins a unit.
            if let Ok(fragment) = reader.u8()
                && fragment & 0x80 != 0
            {
                add(&mut facts, fragment & 0x3F, reader.rest());
            }
        }
        single => add(&mut facts, single, reader.rest()),
    }
    if facts.keyframe {
        facts.layer_switch = LayerSwitch::Here;
    }
    facts
}

fn unit_type(header: u16) -> u8 {
    let [high, _] = header.to_be_bytes();
    high >> 1 & 0x3F
}

/// RFC 7798 §4.4.2: units, each behind two bytes of length. A cut one ends the list.
fn aggregate(facts: &mut PayloadFacts, mut reader: Reader<'_>) {
    while let Ok(unit) = reader.u16().and_then(|len| reader.take(usize::from(len))) {
        let mut unit = Reader::new(unit);
        if let Ok(header) = unit.u16() {
            add(facts, unit_type(header), unit.rest());
        }
    }
}

/// Adds what the unit whose first bytes behind its header are `body` says.
fn add(facts: &mut PayloadFacts, kind: u8, body: &[u8]) {
    // ITU-T H.265 §7.3.6.1: the first bit of a slice is first_slice_segment_in_pic_flag.
    let first_slice = body.first().is_some_and(|bits| bits & 0x80 != 0);
    if unit::RANDOM_ACCESS.contains(&kind) {
        facts.keyframe |= first_slice;
        facts.starts_frame |= first_slice;
    } else if unit::SLICES.contains(&kind) {
        facts.starts_frame |= first_slice;
    }
    match kind {
        // Parameters come right before the picture that needs them: the key frame starts here.
        unit::VPS => {
            facts.keyframe = true;
            facts.starts_frame = true;
        }
        unit::SPS => {
            facts.keyframe = true;
            facts.starts_frame = true;
            facts.decodable_parameters = true;
        }
        unit::PPS | unit::DELIMITER | unit::PREFIX_SEI => facts.starts_frame = true,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key frame, starts a frame, has parameters, temporal layer.
    fn check(input: &[u8], expected: (bool, bool, bool, u8)) {
        let facts = describe(input);
        let temporal = facts.layer.temporal;
        let got = (
            facts.keyframe,
            facts.starts_frame,
            facts.decodable_parameters,
            temporal,
        );
        assert_eq!(got, expected, "{input:02x?}");
    }

    #[test]
    fn single_units_tell_their_type() {
        check(&[0x40, 0x01, 0x0C, 0x01], (true, true, false, 0));
        check(&[0x42, 0x01, 0x01, 0x01], (true, true, true, 0));
        check(&[0x44, 0x01, 0xC1, 0x72], (false, true, false, 0));
        // IDR_W_RADL, its first and a later slice; a trailing picture of temporal layer 2.
        check(&[0x26, 0x01, 0xAF, 0x08], (true, true, false, 0));
        check(&[0x26, 0x01, 0x2F, 0x08], (false, false, false, 0));
        check(&[0x02, 0x03, 0xD0, 0x10], (false, true, false, 2));
        check(&[0x26, 0x01], (false, false, false, 0));
        // Temporal id plus one may not be 0.
        check(&[0x02, 0x00, 0xD0], (false, true, false, 0));
        check(&[0x26], (false, false, false, 0));
    }

    #[test]
    fn an_aggregate_says_what_its_units_say() {
        check(
            &[0x60, 0x01, 0, 3, 0x40, 1, 0x0C, 0, 3, 0x42, 1, 1],
            (true, true, true, 0),
        );
        check(&[0x60, 0x01, 0, 3, 0x02, 1, 0xD0], (false, true, false, 0));
        check(
            &[0x60, 0x01, 0, 1, 0x42, 0, 9, 0x42, 1],
            (false, false, false, 0),
        );
    }

    #[test]
    fn a_fragment_speaks_only_at_its_start() {
        check(&[0x62, 0x01, 0x93, 0xAF, 0x08], (true, true, false, 0));
        check(&[0x62, 0x01, 0x13, 0xAF, 0x08], (false, false, false, 0));
        check(&[0x62, 0x01, 0x81, 0xD0], (false, true, false, 0));
        check(&[0x62, 0x01], (false, false, false, 0));
    }

    #[test]
    fn a_wrapped_unit_is_found_behind_its_extension() {
        // cType 19 (IDR) behind an extension of three bytes.
        check(
            &[0x64, 0x01, 0x26, 0x30, 1, 2, 3, 0xAF],
            (true, true, false, 0),
        );
        check(
            &[0x64, 0x01, 0x62, 0x00, 0x93, 0xAF],
            (true, true, false, 0),
        );
        check(&[0x64, 0x01, 0x27, 0xF0, 1, 2], (false, false, false, 0));
        check(&[0x64, 0x01, 0x26], (false, false, false, 0));
    }
}

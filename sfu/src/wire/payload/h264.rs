//! H264 (RFC 6184): single NAL units, aggregates (STAP-A) and fragments (FU-A). Packetization
//! mode 2 with its other units is not negotiated.

use super::{LayerSwitch, PayloadFacts};
use crate::wire::bytes::Reader;

/// NAL unit types (ITU-T H.264 table 7-1, RFC 6184 §5.2).
mod unit {
    pub(super) const SLICE: u8 = 1;
    pub(super) const IDR: u8 = 5;
    pub(super) const SEI: u8 = 6;
    pub(super) const SPS: u8 = 7;
    pub(super) const PPS: u8 = 8;
    pub(super) const DELIMITER: u8 = 9;
    pub(super) const STAP_A: u8 = 24;
    pub(super) const FU_A: u8 = 28;
}

/// An H264 packet.
#[must_use]
pub fn describe(payload: &[u8]) -> PayloadFacts {
    let mut facts = PayloadFacts::default();
    let mut reader = Reader::new(payload);
    let Ok(header) = reader.u8() else {
        return facts;
    };
    match header & 0x1F {
        unit::STAP_A => {
            // RFC 6184 §5.7.1: units, each behind two bytes of length. A cut one ends the list.
            while let Ok(unit) = reader.u16().and_then(|len| reader.take(usize::from(len))) {
                if let Some((header, body)) = unit.split_first() {
                    add(&mut facts, header & 0x1F, body);
                }
            }
        }
        unit::FU_A => {
            // RFC 6184 §5.8: only the fragment with the start bit begins a unit.
            if let Ok(fragment) = reader.u8()
                && fragment & 0x80 != 0
            {
                add(&mut facts, fragment & 0x1F, reader.rest());
            }
        }
        single => add(&mut facts, single, reader.rest()),
    }
    if facts.keyframe {
        facts.layer_switch = LayerSwitch::Here;
    }
    facts
}

/// Adds what the unit whose first bytes are `body` says.
fn add(facts: &mut PayloadFacts, unit: u8, body: &[u8]) {
    // ITU-T H.264 §7.3.3: a slice starts with the number of its first macroblock as ue(v), where a
    // first bit of 1 means 0.
    let first_slice = body.first().is_some_and(|bits| bits & 0x80 != 0);
    match unit {
        // Parameters come right before the IDR picture, often in a packet of their own: the key
        // frame starts with them.
        unit::SPS => {
            facts.keyframe = true;
            facts.starts_frame = true;
            facts.decodable_parameters = true;
        }
        unit::IDR => {
            facts.keyframe |= first_slice;
            facts.starts_frame |= first_slice;
        }
        unit::SLICE => facts.starts_frame |= first_slice,
        unit::SEI | unit::PPS | unit::DELIMITER => facts.starts_frame = true,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key frame, starts a frame, has parameters.
    fn check(input: &[u8], expected: (bool, bool, bool)) {
        let facts = describe(input);
        let got = (
            facts.keyframe,
            facts.starts_frame,
            facts.decodable_parameters,
        );
        assert_eq!(got, expected, "{input:02x?}");
        assert_eq!(facts.ends_frame, None);
    }

    #[test]
    fn single_units_tell_their_type() {
        check(&[0x67, 0x42, 0xC0, 0x1F], (true, true, true));
        check(&[0x68, 0xCE, 0x3C, 0x80], (false, true, false));
        check(&[0x65, 0xB8, 0x00, 0x04], (true, true, false));
        // The second slice of an IDR picture; a slice; the second slice.
        check(&[0x65, 0x00, 0x6E, 0x22], (false, false, false));
        check(&[0x41, 0x9A, 0x21, 0x6C], (false, true, false));
        check(&[0x41, 0x00, 0x6E, 0x22], (false, false, false));
        check(&[0x09, 0xF0], (false, true, false));
        check(&[0x65], (false, false, false));
    }

    #[test]
    fn an_aggregate_says_what_its_units_say() {
        // Browser: SPS and PPS together before the IDR picture.
        check(
            &[
                0x78, 0, 4, 0x67, 0x42, 0xC0, 0x1F, 0, 4, 0x68, 0xCE, 0x3C, 0x80,
            ],
            (true, true, true),
        );
        check(
            &[0x78, 0, 2, 0x68, 0xCE, 0, 3, 0x65, 0xB8, 0x00],
            (true, true, false),
        );
        check(&[0x78, 0, 3, 0x41, 0x9A, 0x21], (false, true, false));
        // Empty unit, then one longer than the packet.
        check(&[0x78, 0, 0, 0, 9, 0x67, 0x42], (false, false, false));
        check(&[0x78, 0], (false, false, false));
    }

    #[test]
    fn a_fragment_speaks_only_at_its_start() {
        check(&[0x7C, 0x85, 0xB8, 0x00, 0x04], (true, true, false));
        check(&[0x7C, 0x05, 0xB8, 0x00, 0x04], (false, false, false));
        check(&[0x7C, 0x45, 0xB8, 0x00, 0x04], (false, false, false));
        check(&[0x5C, 0x81, 0x9A, 0x21], (false, true, false));
        check(&[0x7C, 0x87, 0x42], (true, true, true));
        check(&[0x7C], (false, false, false));
    }
}

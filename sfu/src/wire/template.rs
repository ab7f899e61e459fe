//! The header that the packets of one outgoing m-line have in common, written once and then copied:
//! only its fixed fields, its stamps and the level of sound differ from packet to packet.

use super::extension::{ExtensionMap, ExtensionValues};
use super::rtp::RtpHeader;
use crate::id::Mid;
use crate::units::AudioLevel;

/// The longest it can be: the fixed header, the head of the block, the longest mid, level, send time
/// and sequence number, each in the one-byte form, and padding.
const TEMPLATE_BYTES: usize = 48;

/// What differs from packet to packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filling {
    /// Loudness, and whether the sender thinks it is voice.
    pub audio_level: Option<(AudioLevel, bool)>,
    /// 24 bits of 6.18 fixed-point seconds.
    pub abs_send_time: u32,
    /// Sequence number of the transport.
    pub transport_sequence: Option<u16>,
}

/// A header with nothing in it but a mid and what is filled in.
#[derive(Clone, Debug)]
pub struct HeaderTemplate {
    bytes: [u8; TEMPLATE_BYTES],
    /// 0: there is none.
    len: u8,
    /// Where each value stands; 0: it was not negotiated.
    level_at: u8,
    send_time_at: u8,
    sequence_at: u8,
}

impl HeaderTemplate {
    /// For the m-line `mid` whose extensions have the ids of `map`.
    #[must_use]
    pub fn new(mid: Mid, map: &ExtensionMap) -> Self {
        Self::lay_out(mid, map).unwrap_or(Self {
            bytes: [0; TEMPLATE_BYTES],
            len: 0,
            level_at: 0,
            send_time_at: 0,
            sequence_at: 0,
        })
    }

    /// Where something stands is seen by writing it twice: there is one place that knows the layout.
    /// `None` where it would be too long.
    fn lay_out(mid: Mid, map: &ExtensionMap) -> Option<Self> {
        let with = |level: u8, time: u32, sequence: u16| {
            let values = ExtensionValues {
                mid: Some(mid),
                audio_level: Some((AudioLevel(level), false)),
                abs_send_time: Some(time),
                transport_sequence: Some(sequence),
                ..ExtensionValues::default()
            };
            let mut bytes = [0; TEMPLATE_BYTES];
            let len = RtpHeader::default().write(&values, map, &mut bytes)?;
            Some((bytes, len))
        };
        let (bytes, len) = with(0, 0, 0)?;
        let differs = |(other, _): ([u8; TEMPLATE_BYTES], usize)| {
            let at = bytes
                .iter()
                .zip(&other)
                .position(|(one, other)| one != other);
            u8::try_from(at.unwrap_or(0)).ok()
        };
        Some(Self {
            bytes,
            len: u8::try_from(len).ok()?,
            level_at: differs(with(0x7F, 0, 0)?)?,
            send_time_at: differs(with(0, 0xFF_FFFF, 0)?)?,
            sequence_at: differs(with(0, 0, 0xFFFF)?)?,
        })
    }

    /// The same as [`RtpHeader::write`] with these values; `None`, and `out` may be written to, where
    /// it has to be written out: a value is missing, or `out` is short.
    #[must_use]
    pub fn write(&self, header: &RtpHeader, filling: &Filling, out: &mut [u8]) -> Option<usize> {
        let missing = (self.level_at != 0 && filling.audio_level.is_none())
            || (self.sequence_at != 0 && filling.transport_sequence.is_none());
        if self.len == 0 || missing {
            return None;
        }
        // All of it, whatever its length: what lies behind is written over or not sent.
        let place: &mut [u8; TEMPLATE_BYTES] = out.first_chunk_mut()?;
        *place = self.bytes;
        let [_, kind, q0, q1, t0, t1, t2, t3, s0, s1, s2, s3, ..] = place;
        *kind = (header.payload_type & 0x7F) | if header.marker { 0x80 } else { 0 };
        [*q0, *q1] = header.sequence.to_be_bytes();
        [*t0, *t1, *t2, *t3] = header.timestamp.to_be_bytes();
        [*s0, *s1, *s2, *s3] = header.ssrc.to_be_bytes();
        if let Some((level, voice)) = filling.audio_level {
            let voice = if voice { 0x80 } else { 0 };
            fill(place, self.level_at, [(level.0 & 0x7F) | voice]);
        }
        let [_, a, b, c] = filling.abs_send_time.to_be_bytes();
        fill(place, self.send_time_at, [a, b, c]);
        if let Some(sequence) = filling.transport_sequence {
            fill(place, self.sequence_at, sequence.to_be_bytes());
        }
        Some(self.len.into())
    }
}

fn fill<const N: usize>(bytes: &mut [u8; TEMPLATE_BYTES], at: u8, value: [u8; N]) {
    let place = bytes.get_mut(usize::from(at)..).filter(|_| at != 0);
    if let Some(place) = place.and_then(<[u8]>::first_chunk_mut) {
        *place = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::extension::Extension;

    #[test]
    fn it_writes_what_the_header_writes() {
        // Knuth's multiplier; its high bits.
        let mut state = 1_u64;
        let mut below = |n: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % n
        };
        let mut used = 0;
        for _ in 0..2_000 {
            let mut map = ExtensionMap::default();
            for (extension, id) in Extension::ALL.into_iter().zip(1..) {
                if below(3) > 0 {
                    // Some need the two-byte form.
                    let far = if below(20) == 0 { 20 } else { 0 };
                    map.set(extension, id + far);
                }
            }
            let mid = "abcdefghijklmnop"
                .get(..=usize::try_from(below(16)).expect("small"))
                .expect("short");
            let mid = Mid::new(mid).expect("a mid");
            let template = HeaderTemplate::new(mid, &map);
            let filling = Filling {
                audio_level: (below(2) > 0).then_some((AudioLevel(99), true)),
                abs_send_time: 0x0012_3456,
                transport_sequence: (below(2) > 0).then_some(0x789A),
            };
            let header = RtpHeader {
                payload_type: 111,
                marker: below(2) > 0,
                sequence: 0xABCD,
                timestamp: 0x0102_0304,
                ssrc: 0xFEDC_BA98,
            };
            let values = ExtensionValues {
                mid: Some(mid),
                audio_level: filling.audio_level,
                abs_send_time: Some(filling.abs_send_time),
                transport_sequence: filling.transport_sequence,
                ..ExtensionValues::default()
            };
            let mut expected = [0; 100];
            let len = header.write(&values, &map, &mut expected).expect("room");
            let mut out = [0; 100];
            if let Some(found) = template.write(&header, &filling, &mut out) {
                assert_eq!(out.get(..found), expected.get(..len));
                used += 1;
            }
            assert_eq!(template.write(&header, &filling, &mut [0; 40]), None);
        }
        assert!(used > 500, "{used} of them were written");
    }
}

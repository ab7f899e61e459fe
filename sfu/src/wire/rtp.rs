//! An RTP packet as a view of its bytes, and its header written (RFC 3550 §5.1).
//!
//! [`RtpPacket`] points into the packet and copies nothing. Padding is taken off; what the payload
//! means is [`crate::wire::payload`]'s matter, what the header extensions mean
//! [`crate::wire::extension`]'s.

use crate::error::DropReason;
use crate::wire::bytes::{Reader, Writer};
use crate::wire::extension::{Elements, ExtensionMap, ExtensionValues};

/// The fixed part of the header.
pub const HEADER_BYTES: usize = 12;

/// Length of the header with its CSRCs and extension block: what SRTP leaves clear.
///
/// # Errors
/// [`DropReason::Malformed`] where it is not RTP version 2, or shorter than it says.
pub fn header_bytes(packet: &[u8]) -> Result<usize, DropReason> {
    let header = ClearHeader::parse(packet)?;
    Ok(packet.len() - header.rest.len())
}

/// What can be read without the key.
struct ClearHeader<'a> {
    fixed: [u8; HEADER_BYTES],
    csrcs: &'a [u8],
    profile: u16,
    block: &'a [u8],
    rest: &'a [u8],
}

impl<'a> ClearHeader<'a> {
    fn parse(packet: &'a [u8]) -> Result<Self, DropReason> {
        let mut reader = Reader::new(packet);
        let fixed = reader.array::<HEADER_BYTES>()?;
        let [first, ..] = fixed;
        if first >> 6 != 2 {
            return Err(DropReason::Malformed);
        }
        let csrcs = reader.take(usize::from(first & 0x0F) * 4)?;
        // RFC 3550 §5.3.1: profile, length in words, words.
        let (profile, block) = if first & 0x10 == 0 {
            (0, &[][..])
        } else {
            let profile = reader.u16()?;
            let words = usize::from(reader.u16()?);
            (profile, reader.take(words * 4)?)
        };
        Ok(Self {
            fixed,
            csrcs,
            profile,
            block,
            rest: reader.rest(),
        })
    }
}

/// A view of one plaintext RTP packet.
#[derive(Clone, Copy, Debug)]
pub struct RtpPacket<'a> {
    header: RtpHeader,
    csrcs: &'a [u8],
    profile: u16,
    block: &'a [u8],
    payload: &'a [u8],
    header_bytes: usize,
    padding: usize,
}

impl<'a> RtpPacket<'a> {
    /// Reads a decrypted packet.
    ///
    /// # Errors
    /// [`DropReason::Malformed`] where it is not RTP version 2, or its lengths do not add up.
    pub fn parse(packet: &'a [u8]) -> Result<Self, DropReason> {
        let clear = ClearHeader::parse(packet)?;
        let [first, second, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = clear.fixed;
        // RFC 3550 §5.1: the last byte counts the padding, itself included.
        let padding = if first & 0x20 == 0 {
            0
        } else {
            let padding = usize::from(*clear.rest.last().ok_or(DropReason::Malformed)?);
            if padding == 0 {
                return Err(DropReason::Malformed);
            }
            padding
        };
        let payload_bytes = clear
            .rest
            .len()
            .checked_sub(padding)
            .ok_or(DropReason::Malformed)?;
        Ok(Self {
            header: RtpHeader {
                payload_type: second & 0x7F,
                marker: second & 0x80 != 0,
                sequence: u16::from_be_bytes([s0, s1]),
                timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
                ssrc: u32::from_be_bytes([i0, i1, i2, i3]),
            },
            csrcs: clear.csrcs,
            profile: clear.profile,
            block: clear.block,
            payload: clear
                .rest
                .get(..payload_bytes)
                .ok_or(DropReason::Malformed)?,
            header_bytes: packet.len() - clear.rest.len(),
            padding,
        })
    }

    /// 0 to 127.
    #[must_use]
    pub const fn payload_type(&self) -> u8 {
        self.header.payload_type
    }

    /// Last packet of a picture; first packet of a talk spurt.
    #[must_use]
    pub const fn marker(&self) -> bool {
        self.header.marker
    }

    /// As on the wire; [`crate::wire::sequence`] makes it long.
    #[must_use]
    pub const fn sequence(&self) -> u16 {
        self.header.sequence
    }

    /// In the clock rate of the codec.
    #[must_use]
    pub const fn timestamp(&self) -> u32 {
        self.header.timestamp
    }

    /// Who sends.
    #[must_use]
    pub const fn ssrc(&self) -> u32 {
        self.header.ssrc
    }

    /// The fixed fields together, to change some and write them anew.
    #[must_use]
    pub const fn header(&self) -> RtpHeader {
        self.header
    }

    /// Who contributed.
    pub fn csrcs(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.csrcs
            .as_chunks::<4>()
            .0
            .iter()
            .map(|csrc| u32::from_be_bytes(*csrc))
    }

    /// Header extensions by id, of the one- or two-byte form.
    #[must_use]
    pub const fn extensions(&self) -> Elements<'a> {
        Elements::new(self.profile, self.block)
    }

    /// The payload, without padding. Empty in a packet that only probes.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Bytes of padding behind the payload.
    #[must_use]
    pub const fn padding(&self) -> usize {
        self.padding
    }

    /// Where the payload starts.
    #[must_use]
    pub const fn header_bytes(&self) -> usize {
        self.header_bytes
    }
}

/// The fixed fields of a header, for writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RtpHeader {
    /// 0 to 127.
    pub payload_type: u8,
    /// Last packet of a picture; first packet of a talk spurt.
    pub marker: bool,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
}

impl RtpHeader {
    /// Writes the header with those of `extensions` that `map` has an id for. Its length; `None`
    /// where it does not fit.
    #[must_use]
    pub fn write(
        &self,
        extensions: &ExtensionValues,
        map: &ExtensionMap,
        out: &mut [u8],
    ) -> Option<usize> {
        self.write_described(extensions, &[], map, out)
    }

    /// The same with a dependency descriptor; empty: none.
    #[must_use]
    pub fn write_described(
        &self,
        extensions: &ExtensionValues,
        descriptor: &[u8],
        map: &ExtensionMap,
        out: &mut [u8],
    ) -> Option<usize> {
        let mut writer = Writer::new(out);
        let [q0, q1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [s0, s1, s2, s3] = self.ssrc.to_be_bytes();
        let marker = if self.marker { 0x80 } else { 0 };
        let second = (self.payload_type & 0x7F) | marker;
        writer.put(&[0x80, second, q0, q1, t0, t1, t2, t3, s0, s1, s2, s3])?;
        if extensions.write(map, descriptor, &mut writer)? {
            writer.set(0, &[0x90])?;
        }
        Some(writer.len())
    }
}

/// What follows the part of a packet that stands in its slot: bytes where they lie, and padding.
/// They need not be copied before they are sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail<'a> {
    /// Mostly the payload.
    pub bytes: &'a [u8],
    /// So many bytes of padding (RFC 3550 §5.1), of which the header has to tell.
    pub padding: u8,
}

impl Tail<'_> {
    /// Bytes that follow.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len() + self.padding as usize
    }

    /// Whether nothing follows.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies it behind `packet[..len]`; the whole length. `None` where it does not fit.
    #[must_use]
    pub fn copy(&self, packet: &mut [u8], len: usize) -> Option<usize> {
        let end = len + self.bytes.len();
        packet.get_mut(len..end)?.copy_from_slice(self.bytes);
        let padding = packet.get_mut(end..end + usize::from(self.padding))?;
        let whole = end + padding.len();
        if let Some((last, zeros)) = padding.split_last_mut() {
            zeros.fill(0);
            *last = self.padding;
        }
        Some(whole)
    }
}

/// Says in a header that padding ends its packet.
pub fn mark_padded(header: &mut [u8]) {
    if let Some(first) = header.first_mut() {
        *first |= 0x20;
    }
}

/// Pads the packet in `packet[..len]` to `target` bytes (RFC 3550 §5.1) and says so in its header.
/// False, and nothing changed, where it is padded already, would need more than 255 bytes, or has
/// no room.
pub fn pad(packet: &mut [u8], len: usize, target: usize) -> bool {
    let Some(count) = target
        .checked_sub(len)
        .and_then(|count| u8::try_from(count).ok())
    else {
        return false;
    };
    if count == 0 {
        return true;
    }
    let Some(packet) = packet.get_mut(..target) else {
        return false;
    };
    match packet.first_mut() {
        Some(first) if len >= HEADER_BYTES && *first & 0x20 == 0 => *first |= 0x20,
        Some(_) | None => return false,
    }
    if let Some((last, zeros)) = packet.get_mut(len..).and_then(<[u8]>::split_last_mut) {
        zeros.fill(0);
        *last = count;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Mid, Rid};
    use crate::time::NtpTime;
    use crate::units::AudioLevel;
    use crate::wire::extension::{AbsCaptureTime, Extension};

    /// Header length, payload, padding.
    fn check(input: &[u8], expected: Result<(usize, &[u8], usize), DropReason>) {
        let parsed = RtpPacket::parse(input);
        let got = parsed.map(|packet| (packet.header_bytes(), packet.payload(), packet.padding()));
        assert_eq!(got, expected, "{input:02x?}");
        if let Ok((len, ..)) = got {
            assert_eq!(header_bytes(input), Ok(len));
        }
    }

    const FIXED: [u8; 10] = [0x12, 0x34, 0, 0, 0x0B, 0xB8, 0xCA, 0xFE, 0xBA, 0xBE];

    fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
        [&[first, 0xE0][..], &FIXED, rest].concat()
    }

    #[test]
    fn lengths_are_believed_only_where_they_add_up() {
        let malformed = Err(DropReason::Malformed);
        check(&[], malformed);
        check(&[0x80; 11], malformed);
        check(&packet(0x40, &[]), malformed);
        check(&packet(0x80, &[]), Ok((12, &[], 0)));
        check(&packet(0x80, &[1, 2, 3]), Ok((12, &[1, 2, 3], 0)));
        check(&packet(0x81, &[0, 0, 0, 9, 1]), Ok((16, &[1], 0)));
        check(&packet(0x81, &[0, 0, 9]), malformed);
        check(
            &packet(0x90, &[0xBE, 0xDE, 0, 1, 0x10, 7, 0, 0, 5]),
            Ok((20, &[5], 0)),
        );
        check(&packet(0x90, &[0xBE, 0xDE, 0, 0, 5]), Ok((16, &[5], 0)));
        check(
            &packet(0x90, &[0xBE, 0xDE, 0, 2, 0x10, 7, 0, 0, 5]),
            malformed,
        );
        check(&packet(0x90, &[0xBE, 0xDE]), malformed);
        check(&packet(0xA0, &[1, 2, 0, 2]), Ok((12, &[1, 2], 2)));
        check(&packet(0xA0, &[0, 0, 0, 4]), Ok((12, &[], 4)));
        check(&packet(0xA0, &[0, 0, 0, 5]), malformed);
        check(&packet(0xA0, &[0, 0, 0, 0]), malformed);
        check(&packet(0xA0, &[]), malformed);
    }

    #[test]
    fn fields_are_where_rfc_3550_puts_them() {
        let bytes = packet(0x82, &[0, 0, 0, 1, 0, 0, 0, 2, 9]);
        let packet = RtpPacket::parse(&bytes).unwrap();
        assert_eq!(packet.payload_type(), 96);
        assert!(packet.marker());
        assert_eq!(packet.sequence(), 0x1234);
        assert_eq!(packet.timestamp(), 3_000);
        assert_eq!(packet.ssrc(), 0xCAFE_BABE);
        assert_eq!(packet.csrcs().collect::<Vec<_>>(), [1, 2]);
    }

    fn all_values() -> ExtensionValues {
        ExtensionValues {
            mid: Mid::new("audio-0123456789"),
            rid: Rid::new("hi"),
            repaired_rid: Rid::new("lo"),
            audio_level: Some((AudioLevel(42), true)),
            abs_send_time: Some(0x0A_BC_DE),
            transport_sequence: Some(0xFEDC),
            orientation: Some(3),
            playout_delay: Some([1, 2, 3]),
            abs_capture_time: Some(AbsCaptureTime {
                ntp: NtpTime(0x0102_0304_0506_0708),
                offset: Some(-5),
            }),
        }
    }

    #[test]
    fn what_is_written_is_read_back_in_both_forms() {
        let header = RtpHeader {
            payload_type: 111,
            marker: true,
            sequence: 65_535,
            timestamp: u32::MAX,
            ssrc: 7,
        };
        for first_id in [1, 6, 15, 200] {
            let mut map = ExtensionMap::default();
            for (extension, id) in Extension::ALL.into_iter().zip(first_id..) {
                map.set(extension, id);
            }
            let mut out = [0xFF; 200];
            let len = header.write(&all_values(), &map, &mut out).unwrap();
            let packet = RtpPacket::parse(&out[..len]).unwrap();
            assert_eq!(packet.header(), header);
            assert_eq!(ExtensionValues::read(&packet, &map), all_values());
            assert!(packet.payload().is_empty());
            for short in 0..len {
                assert_eq!(header.write(&all_values(), &map, &mut out[..short]), None);
            }
        }
    }

    #[test]
    fn what_has_no_id_is_not_written() {
        let mut map = ExtensionMap::default();
        let mut out = [0; 64];
        let header = RtpHeader::default();
        assert_eq!(header.write(&all_values(), &map, &mut out), Some(12));
        assert_eq!(out[0], 0x80);
        map.set(Extension::TransportWideCc, 3);
        assert_eq!(header.write(&all_values(), &map, &mut out), Some(20));
        assert_eq!(out[12..20], [0xBE, 0xDE, 0, 1, 0x31, 0xFE, 0xDC, 0]);
    }

    #[test]
    fn a_tail_is_what_follows() {
        let mut bytes = packet(0x80, &[]);
        bytes.resize(40, 0xFF);
        let tail = |padding| Tail {
            bytes: &[1, 2, 3],
            padding,
        };
        assert_eq!(tail(0).copy(&mut bytes, 12), Some(15));
        check(&bytes[..15], Ok((12, &[1, 2, 3], 0)));
        mark_padded(&mut bytes);
        assert_eq!(tail(5).copy(&mut bytes, 12), Some(20));
        check(&bytes[..20], Ok((12, &[1, 2, 3], 5)));
        assert_eq!(bytes[15..20], [0, 0, 0, 0, 5]);
        assert_eq!(tail(26).copy(&mut bytes, 12), None);
        assert!(Tail::default().is_empty() && !tail(0).is_empty());
    }

    #[test]
    fn a_padded_packet_keeps_its_payload() {
        let mut bytes = packet(0x80, &[1, 2, 3]);
        bytes.resize(400, 0xFF);
        assert!(!pad(&mut bytes, 15, 300));
        assert!(!pad(&mut bytes, 15, 401));
        assert!(pad(&mut bytes, 15, 15));
        assert_eq!(bytes[0], 0x80);
        assert!(pad(&mut bytes, 15, 100));
        check(&bytes[..100], Ok((12, &[1, 2, 3], 85)));
        assert!(!pad(&mut bytes, 100, 200));
    }
}

//! RTCP feedback (RFC 4585 §6): generic NACK, PLI, FIR (RFC 5104 §4.3.1), REMB
//! (draft-alvestrand-rmcat-remb-03); transport-wide feedback is [`crate::wire::twcc`]'s,
//! that of RFC 8888 [`crate::wire::ccfb`]'s.
//!
//! What a feedback leads to is not known here.

use crate::error::DropReason;
use crate::units::Bitrate;
use crate::wire::bytes::{Reader, Writer};
use crate::wire::ccfb::{self, ControlFeedback};
use crate::wire::rtcp::{Ssrcs, packet_type};
use crate::wire::twcc::{self, TransportFeedback};

/// Format of a generic NACK (RFC 4585 §6.2.1).
pub(crate) const NACK: u8 = 1;
/// Format of a picture loss indication (RFC 4585 §6.3.1).
pub(crate) const PLI: u8 = 1;
/// Format of a full intra request (RFC 5104 §4.3.1).
pub(crate) const FIR: u8 = 4;
/// Format of application layer feedback (RFC 4585 §6.4), of which REMB is one.
pub(crate) const APPLICATION: u8 = 15;
/// What marks application layer feedback as REMB.
const REMB: [u8; 4] = *b"REMB";

/// One feedback packet.
#[derive(Clone, Copy, Debug)]
pub enum Feedback<'a> {
    /// Packets asked for again.
    Nack {
        /// Who asks.
        sender: u32,
        /// Of which source.
        media: u32,
        /// Which, as asked: not necessarily sorted or distinct.
        sequences: NackSequences<'a>,
    },
    /// A picture is lost: a key frame is wanted.
    Pli {
        /// Who asks.
        sender: u32,
        /// Of which source.
        media: u32,
    },
    /// Key frames are commanded.
    Fir {
        /// Who commands.
        sender: u32,
        /// Of which sources.
        entries: FirEntries<'a>,
    },
    /// Estimate of the receiver.
    Remb {
        /// Who estimates.
        sender: u32,
        /// How much it takes.
        bitrate: Bitrate,
        /// Of these sources together.
        ssrcs: Ssrcs<'a>,
    },
    /// What arrived when, over all sources of a transport.
    TransportWide(TransportFeedback<'a>),
    /// What arrived when, source by source.
    Control(ControlFeedback<'a>),
    /// Something else.
    Unknown,
}

impl<'a> Feedback<'a> {
    /// Reads what follows the first word of a feedback packet.
    pub(crate) fn parse(packet_type: u8, format: u8, body: &'a [u8]) -> Result<Self, DropReason> {
        // RFC 8888 §3.1: the one feedback that names no source in its head.
        if (packet_type, format) == (packet_type::TRANSPORT_FEEDBACK, ccfb::FORMAT) {
            return ControlFeedback::parse(body).map(Self::Control);
        }
        let mut reader = Reader::new(body);
        let sender = reader.u32()?;
        let media = reader.u32()?;
        match (packet_type, format) {
            (packet_type::TRANSPORT_FEEDBACK, NACK) => {
                let (pairs, odd) = reader.rest().as_chunks();
                // RFC 4585 §6.2.1: at least one pair.
                if pairs.is_empty() || !odd.is_empty() {
                    return Err(DropReason::Malformed);
                }
                let sequences = NackSequences { pairs, next: 0 };
                Ok(Self::Nack {
                    sender,
                    media,
                    sequences,
                })
            }
            (packet_type::TRANSPORT_FEEDBACK, twcc::FORMAT) => {
                TransportFeedback::parse(body).map(Self::TransportWide)
            }
            (packet_type::PAYLOAD_FEEDBACK, PLI) => Ok(Self::Pli { sender, media }),
            (packet_type::PAYLOAD_FEEDBACK, FIR) => {
                let (entries, odd) = reader.rest().as_chunks();
                if entries.is_empty() || !odd.is_empty() {
                    return Err(DropReason::Malformed);
                }
                Ok(Self::Fir {
                    sender,
                    entries: FirEntries { entries },
                })
            }
            (packet_type::PAYLOAD_FEEDBACK, APPLICATION) if reader.rest().starts_with(&REMB) => {
                let (bitrate, ssrcs) = parse_remb(reader)?;
                Ok(Self::Remb {
                    sender,
                    bitrate,
                    ssrcs,
                })
            }
            _ => Ok(Self::Unknown),
        }
    }
}

/// Sequence numbers of a generic NACK.
#[derive(Clone, Copy, Debug)]
pub struct NackSequences<'a> {
    pairs: &'a [[u8; 4]],
    /// Of the first pair: 0 its packet id, 1 to 16 the bits behind it.
    next: u16,
}

impl Iterator for NackSequences<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        loop {
            let ([p0, p1, b0, b1], rest) = self.pairs.split_first()?;
            let at = self.next;
            if at > 16 {
                self.pairs = rest;
                self.next = 0;
                continue;
            }
            self.next = at + 1;
            let id = u16::from_be_bytes([*p0, *p1]);
            let bits = u16::from_be_bytes([*b0, *b1]);
            // RFC 4585 §6.2.1: bit i, from the least significant, stands for PID + i + 1.
            if at == 0 || bits >> (at - 1) & 1 == 1 {
                return Some(id.wrapping_add(at));
            }
        }
    }
}

/// Packs sequence numbers, sorted in the order they were sent, into pairs of id and bits.
pub(crate) fn write_nack(sequences: &[u16], out: &mut Writer<'_>) -> Option<()> {
    let mut rest = sequences.iter().copied().peekable();
    while let Some(id) = rest.next() {
        let mut bits = 0_u16;
        while let Some(behind) = rest.peek().map(|next| next.wrapping_sub(id)) {
            match behind {
                0 => {}
                1..=16 => bits |= 1 << (behind - 1),
                17.. => break,
            }
            rest.next();
        }
        out.u16(id)?;
        out.u16(bits)?;
    }
    Some(())
}

/// Sources of a full intra request, each with the number of the command.
#[derive(Clone, Copy, Debug)]
pub struct FirEntries<'a> {
    entries: &'a [[u8; 8]],
}

impl Iterator for FirEntries<'_> {
    type Item = (u32, u8);

    fn next(&mut self) -> Option<(u32, u8)> {
        let ([a, b, c, d, number, ..], rest) = self.entries.split_first()?;
        self.entries = rest;
        Some((u32::from_be_bytes([*a, *b, *c, *d]), *number))
    }
}

/// Bits of the mantissa of a REMB bitrate.
const MANTISSA_BITS: u32 = 18;

fn parse_remb(mut reader: Reader<'_>) -> Result<(Bitrate, Ssrcs<'_>), DropReason> {
    let [.., count] = reader.array::<5>()?;
    let bits = reader.u24()?;
    let mantissa = u64::from(bits & ((1 << MANTISSA_BITS) - 1));
    let exponent = bits >> MANTISSA_BITS;
    // Six bits of exponent reach beyond 64 bits; that much is no limit at all.
    let bps = mantissa
        .checked_mul(1 << exponent)
        .map_or(Bitrate::UNLIMITED, Bitrate::from_bps);
    let ssrcs = reader.take(usize::from(count) * 4)?;
    Ok((bps, Ssrcs::new(ssrcs)))
}

pub(crate) fn write_remb(bitrate: Bitrate, ssrcs: &[u32], out: &mut Writer<'_>) -> Option<()> {
    out.put(&REMB)?;
    out.u8(u8::try_from(ssrcs.len()).ok()?)?;
    // The mantissa is cut, not rounded: never more than was meant.
    let width = u64::BITS - bitrate.as_bps().leading_zeros();
    let exponent = width.saturating_sub(MANTISSA_BITS);
    let mantissa = u32::try_from(bitrate.as_bps() >> exponent).ok()?;
    out.u24(exponent << MANTISSA_BITS | mantissa)?;
    ssrcs.iter().try_for_each(|&ssrc| out.u32(ssrc))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtcp::{CompoundWriter, RtcpPacket, packets};

    fn read(packet: &[u8]) -> Result<Feedback<'_>, DropReason> {
        let RtcpPacket::Feedback(feedback) = packets(packet).next().unwrap()? else {
            panic!("{packet:02x?}");
        };
        Ok(feedback)
    }

    /// The sequence numbers that the pairs of a NACK stand for.
    fn check(input: &[u8], expected: &[u16]) {
        let words = u8::try_from(input.len() / 4 + 2).unwrap();
        let packet = [&[0x81, 205, 0, words, 0, 0, 0, 1, 0, 0, 0, 2], input].concat();
        let Ok(Feedback::Nack {
            sender: 1,
            media: 2,
            sequences,
        }) = read(&packet)
        else {
            panic!("{packet:02x?}");
        };
        assert_eq!(sequences.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_nack_stands_for_its_id_and_its_bits() {
        check(&[0, 10, 0, 0], &[10]);
        check(&[0, 10, 0b1000_0000, 0b0000_0101], &[10, 11, 13, 26]);
        check(&[0xFF, 0xFF, 0, 1, 0, 9, 0, 0], &[65_535, 0, 9]);
    }

    #[test]
    fn a_nack_is_packed_tightly_and_read_back() {
        for (sequences, pairs) in [
            (&[1][..], 1),
            (&[1, 2, 17], 1),
            (&[1, 18], 2),
            (&[65_530, 65_535, 3, 10], 1),
            (&[65_530, 11, 28], 3),
            (&[5, 5, 6], 1),
        ] {
            let mut out = [0; 64];
            let mut writer = CompoundWriter::new(&mut out);
            assert!(writer.nack(7, 8, sequences));
            let len = writer.len();
            assert_eq!(len, 12 + 4 * pairs, "{sequences:?}");
            let Ok(Feedback::Nack {
                sender: 7,
                media: 8,
                sequences: got,
            }) = read(&out[..len])
            else {
                panic!("{out:02x?}");
            };
            let mut distinct = sequences.to_vec();
            distinct.dedup();
            assert_eq!(got.collect::<Vec<_>>(), distinct);
        }
    }

    #[test]
    fn requests_for_key_frames_are_read_back() {
        let mut out = [0; 20];
        assert!(CompoundWriter::new(&mut out).pli(1, 2));
        assert!(matches!(
            read(&out),
            Ok(Feedback::Pli {
                sender: 1,
                media: 2
            })
        ));
        assert!(CompoundWriter::new(&mut out).fir(1, 2, 200));
        let Ok(Feedback::Fir { sender: 1, entries }) = read(&out) else {
            panic!("{out:02x?}");
        };
        assert_eq!(entries.collect::<Vec<_>>(), [(2, 200)]);
    }

    #[test]
    fn a_bitrate_keeps_its_first_eighteen_bits() {
        for (given, expected) in [
            (0, 0),
            (262_143, 262_143),
            (262_145, 262_144),
            (2_500_001, 2_500_000),
            (u64::MAX, 0xFFFF_C000_0000_0000),
        ] {
            let mut out = [0; 28];
            assert!(CompoundWriter::new(&mut out).remb(1, Bitrate::from_bps(given), &[4, 5]));
            let Ok(Feedback::Remb {
                sender: 1,
                bitrate,
                ssrcs,
            }) = read(&out)
            else {
                panic!("{out:02x?}");
            };
            assert_eq!(bitrate, Bitrate::from_bps(expected));
            assert_eq!(ssrcs.collect::<Vec<_>>(), [4, 5]);
        }
    }

    #[test]
    fn a_bitrate_beyond_64_bits_is_no_limit() {
        let mut out = [0; 20];
        assert!(CompoundWriter::new(&mut out).remb(1, Bitrate::from_bps(1), &[]));
        out[17] = 0xFF;
        assert!(matches!(
            read(&out),
            Ok(Feedback::Remb {
                bitrate: Bitrate::UNLIMITED,
                ..
            })
        ));
    }

    #[test]
    fn what_is_cut_short_is_malformed_and_what_is_strange_unknown() {
        let head = |first, kind, words, rest: &[u8]| {
            [&[first, kind, 0, words, 0, 0, 0, 1, 0, 0, 0, 2], rest].concat()
        };
        for (packet, malformed) in [
            (head(0x81, 205, 2, &[]), true),
            (head(0x84, 206, 2, &[]), true),
            (head(0x84, 206, 3, &[0, 0, 0, 1]), true),
            (head(0x8F, 206, 4, b"REMB\x01\x00\x00\x01"), true),
            (head(0x8F, 206, 3, b"REMB"), true),
            (vec![0x81, 206, 0, 1, 0, 0, 0, 1], true),
            (head(0x8F, 206, 3, b"REMA"), false),
            (head(0x83, 205, 3, &[0; 4]), false),
            (head(0x9F, 206, 2, &[]), false),
        ] {
            let got = read(&packet);
            assert_eq!(got.is_err(), malformed, "{packet:02x?}");
            assert!(malformed || matches!(got, Ok(Feedback::Unknown)));
        }
    }
}

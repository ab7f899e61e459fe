//! RTCP: a compound packet taken apart, and one put together (RFC 3550 §6; reduced size, RFC
//! 5506, so any packet may come first).
//!
//! Packets are views; lists in them are iterators. Feedback packets (205, 206) are
//! [`crate::wire::feedback`]'s. Nothing is known here of intervals or of who asks.

use crate::error::DropReason;
use crate::time::NtpTime;
use crate::units::Bitrate;
use crate::wire::bytes::{Reader, Writer};
use crate::wire::feedback::{self, Feedback};

/// RTCP packet types in use (RFC 3550 §12.1, RFC 4585 §6.1).
pub(crate) mod packet_type {
    pub(crate) const SENDER_REPORT: u8 = 200;
    pub(crate) const RECEIVER_REPORT: u8 = 201;
    pub(crate) const SDES: u8 = 202;
    pub(crate) const BYE: u8 = 203;
    pub(crate) const TRANSPORT_FEEDBACK: u8 = 205;
    pub(crate) const PAYLOAD_FEEDBACK: u8 = 206;
}

/// Entries one packet can count in its five bits (RFC 3550 §6.4.1).
const ENTRIES_MAX: usize = 31;
/// The SDES item that names a source (RFC 3550 §6.5.1).
const CNAME: u8 = 1;

/// The packets of a compound, in order.
///
/// A packet whose inside is wrong is an error of its own and the next one follows; where a length
/// is wrong there is no next one.
pub fn packets(compound: &[u8]) -> Packets<'_> {
    Packets {
        rest: Reader::new(compound),
    }
}

/// Iterator of [`packets`].
#[derive(Clone, Copy, Debug)]
pub struct Packets<'a> {
    rest: Reader<'a>,
}

impl<'a> Packets<'a> {
    fn split(&mut self) -> Result<(u8, u8, &'a [u8]), DropReason> {
        let [first, packet_type] = self.rest.array()?;
        if first >> 6 != 2 {
            return Err(DropReason::Malformed);
        }
        // RFC 3550 §6.4.1: words less one, the header's own word being the one.
        let words = usize::from(self.rest.u16()?);
        let mut body = self.rest.take(words * 4)?;
        if first & 0x20 != 0 {
            let padding = usize::from(*body.last().ok_or(DropReason::Malformed)?);
            let end = body.len().checked_sub(padding.max(1));
            body = end
                .and_then(|end| body.get(..end))
                .ok_or(DropReason::Malformed)?;
        }
        Ok((packet_type, first & 0x1F, body))
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<RtcpPacket<'a>, DropReason>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match self.split() {
            Ok((packet_type, count, body)) => Some(RtcpPacket::parse(packet_type, count, body)),
            Err(reason) => {
                self.rest = Reader::new(&[]);
                Some(Err(reason))
            }
        }
    }
}

/// One RTCP packet.
#[derive(Clone, Copy, Debug)]
pub enum RtcpPacket<'a> {
    /// A sender's clocks and counts, with what it received from others (RFC 3550 §6.4.1).
    SenderReport {
        /// Who reports.
        ssrc: u32,
        /// Its wall clock at the time of the report.
        ntp: NtpTime,
        /// The same moment on its media clock.
        rtp: u32,
        /// Packets it sent so far.
        packets: u32,
        /// Payload bytes it sent so far.
        bytes: u32,
        /// What it received.
        reports: ReportBlocks<'a>,
    },
    /// What a receiver received (RFC 3550 §6.4.2).
    ReceiverReport {
        /// Who reports.
        ssrc: u32,
        /// What it received.
        reports: ReportBlocks<'a>,
    },
    /// Names of sources.
    Sdes(Sdes<'a>),
    /// Sources that leave.
    Bye(Ssrcs<'a>),
    /// Feedback on transport or payload.
    Feedback(Feedback<'a>),
    /// Something else, such as an extended report (RFC 3611).
    Unknown {
        /// Its type.
        packet_type: u8,
    },
}

impl<'a> RtcpPacket<'a> {
    fn parse(packet_type: u8, count: u8, body: &'a [u8]) -> Result<Self, DropReason> {
        let mut reader = Reader::new(body);
        match packet_type {
            packet_type::SENDER_REPORT => Ok(Self::SenderReport {
                ssrc: reader.u32()?,
                ntp: NtpTime(reader.u64()?),
                rtp: reader.u32()?,
                packets: reader.u32()?,
                bytes: reader.u32()?,
                reports: ReportBlocks::parse(reader, count)?,
            }),
            packet_type::RECEIVER_REPORT => Ok(Self::ReceiverReport {
                ssrc: reader.u32()?,
                reports: ReportBlocks::parse(reader, count)?,
            }),
            packet_type::SDES => Ok(Self::Sdes(Sdes { body })),
            packet_type::BYE => {
                let ssrcs = reader.take(usize::from(count) * 4)?;
                Ok(Self::Bye(Ssrcs::new(ssrcs)))
            }
            packet_type::TRANSPORT_FEEDBACK | packet_type::PAYLOAD_FEEDBACK => {
                Feedback::parse(packet_type, count, body).map(Self::Feedback)
            }
            packet_type => Ok(Self::Unknown { packet_type }),
        }
    }
}

/// What one receiver says of one source (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: u32,
    /// Lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost in all, 24 bits signed: duplicates make it negative.
    pub packets_lost: i32,
    /// Highest sequence number received, with the laps in its high half.
    pub sequence_highest: u32,
    /// Interarrival jitter, in units of the media clock.
    pub jitter: u32,
    /// Middle of the NTP time of the last sender report; 0 where there was none.
    pub last_sr: u32,
    /// Since it came, in 1/65536 s.
    pub delay_since_sr: u32,
}

impl ReportBlock {
    /// On the wire.
    const BYTES: usize = 24;

    fn parse(bytes: &[u8; Self::BYTES]) -> Result<Self, DropReason> {
        let mut reader = Reader::new(bytes);
        Ok(Self {
            ssrc: reader.u32()?,
            fraction_lost: reader.u8()?,
            packets_lost: (reader.u24()? << 8).cast_signed() >> 8,
            sequence_highest: reader.u32()?,
            jitter: reader.u32()?,
            last_sr: reader.u32()?,
            delay_since_sr: reader.u32()?,
        })
    }

    fn write(&self, out: &mut Writer<'_>) -> Option<()> {
        out.u32(self.ssrc)?;
        out.u8(self.fraction_lost)?;
        // RFC 3550 §A.3: the count stops at the ends of its 24 bits.
        out.u24(
            self.packets_lost
                .clamp(-0x80_0000, 0x7F_FFFF)
                .cast_unsigned(),
        )?;
        out.u32(self.sequence_highest)?;
        out.u32(self.jitter)?;
        out.u32(self.last_sr)?;
        out.u32(self.delay_since_sr)
    }
}

/// The report blocks of a packet.
#[derive(Clone, Copy, Debug)]
pub struct ReportBlocks<'a> {
    bytes: &'a [u8],
}

impl<'a> ReportBlocks<'a> {
    fn parse(mut reader: Reader<'a>, count: u8) -> Result<Self, DropReason> {
        let bytes = reader.take(usize::from(count) * ReportBlock::BYTES)?;
        Ok(Self { bytes })
    }
}

impl Iterator for ReportBlocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (block, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        ReportBlock::parse(block).ok()
    }
}

/// A list of SSRCs.
#[derive(Clone, Copy, Debug)]
pub struct Ssrcs<'a> {
    bytes: &'a [u8],
}

impl<'a> Ssrcs<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }
}

impl Iterator for Ssrcs<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (ssrc, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(u32::from_be_bytes(*ssrc))
    }
}

/// Source descriptions (RFC 3550 §6.5). Only names are of use here; what is cut short or not
/// UTF-8 is passed over.
#[derive(Clone, Copy, Debug)]
pub struct Sdes<'a> {
    body: &'a [u8],
}

impl<'a> Sdes<'a> {
    /// Sources with their canonical names.
    pub fn cnames(&self) -> impl Iterator<Item = (u32, &'a str)> + use<'a> {
        let body = self.body;
        let mut reader = Reader::new(body);
        let mut source = None;
        std::iter::from_fn(move || {
            loop {
                let Some(ssrc) = source else {
                    source = Some(reader.u32().ok()?);
                    continue;
                };
                let item = reader.u8().ok()?;
                if item == 0 {
                    // RFC 3550 §6.5: a chunk ends on a word of the packet.
                    let read = body.len() - reader.rest().len();
                    reader.take(read.next_multiple_of(4) - read).ok()?;
                    source = None;
                    continue;
                }
                let len = reader.u8().ok()?;
                let text = std::str::from_utf8(reader.take(usize::from(len)).ok()?);
                if let (CNAME, Ok(text)) = (item, text) {
                    return Some((ssrc, text));
                }
            }
        })
    }
}

/// The first half of a sender report, for writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderReport {
    /// Who reports.
    pub ssrc: u32,
    /// The wall clock.
    pub ntp: NtpTime,
    /// The same moment on the media clock.
    pub rtp: u32,
    /// Packets sent so far.
    pub packets: u32,
    /// Payload bytes sent so far.
    pub bytes: u32,
}

/// Puts a compound packet together. What does not fit is left out whole and answered with false.
#[derive(Debug)]
pub struct CompoundWriter<'a> {
    out: Writer<'a>,
}

impl<'a> CompoundWriter<'a> {
    /// Over the room for one datagram.
    #[must_use]
    pub const fn new(out: &'a mut [u8]) -> Self {
        Self {
            out: Writer::new(out),
        }
    }

    /// Bytes written so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.out.len()
    }

    /// Nothing was written yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.out.len() == 0
    }

    /// RFC 3550 §6.4.1; at most 31 blocks.
    pub fn sender_report(&mut self, sender: &SenderReport, blocks: &[ReportBlock]) -> bool {
        self.packet(packet_type::SENDER_REPORT, count(blocks.len()), |out| {
            out.u32(sender.ssrc)?;
            out.u64(sender.ntp.0)?;
            out.u32(sender.rtp)?;
            out.u32(sender.packets)?;
            out.u32(sender.bytes)?;
            blocks.iter().try_for_each(|block| block.write(out))
        })
    }

    /// RFC 3550 §6.4.2; at most 31 blocks.
    pub fn receiver_report(&mut self, ssrc: u32, blocks: &[ReportBlock]) -> bool {
        self.packet(packet_type::RECEIVER_REPORT, count(blocks.len()), |out| {
            out.u32(ssrc)?;
            blocks.iter().try_for_each(|block| block.write(out))
        })
    }

    /// RFC 3550 §6.5.1: one source with its canonical name of at most 255 bytes.
    pub fn sdes_cname(&mut self, ssrc: u32, cname: &str) -> bool {
        self.packet(packet_type::SDES, Some(1), |out| {
            out.u32(ssrc)?;
            out.u8(CNAME)?;
            out.u8(u8::try_from(cname.len()).ok()?)?;
            out.put(cname.as_bytes())?;
            // RFC 3550 §6.5: at least one zero ends the list, and zeros fill its last word.
            let end = 6 + cname.len();
            let zeros = 4 - end % 4;
            out.put([0; 4].get(..zeros)?)
        })
    }

    /// RFC 3550 §6.6; at most 31 sources.
    pub fn bye(&mut self, ssrcs: &[u32]) -> bool {
        self.packet(packet_type::BYE, count(ssrcs.len()), |out| {
            ssrcs.iter().try_for_each(|&ssrc| out.u32(ssrc))
        })
    }

    /// Asks for `sequences` again, sorted in the order they were sent (RFC 4585 §6.2.1).
    pub fn nack(&mut self, sender: u32, media: u32, sequences: &[u16]) -> bool {
        !sequences.is_empty()
            && self.packet(
                packet_type::TRANSPORT_FEEDBACK,
                Some(feedback::NACK),
                |out| {
                    out.u32(sender)?;
                    out.u32(media)?;
                    feedback::write_nack(sequences, out)
                },
            )
    }

    /// Asks for a key frame (RFC 4585 §6.3.1).
    pub fn pli(&mut self, sender: u32, media: u32) -> bool {
        self.packet(packet_type::PAYLOAD_FEEDBACK, Some(feedback::PLI), |out| {
            out.u32(sender)?;
            out.u32(media)
        })
    }

    /// Commands a key frame of `media`; a new `number` for each command, the same for its
    /// repetitions (RFC 5104 §4.3.1).
    pub fn fir(&mut self, sender: u32, media: u32, number: u8) -> bool {
        self.packet(packet_type::PAYLOAD_FEEDBACK, Some(feedback::FIR), |out| {
            out.u32(sender)?;
            out.u32(0)?;
            out.u32(media)?;
            out.put(&[number, 0, 0, 0])
        })
    }

    /// Tells the bitrate that `ssrcs` together may have (draft-alvestrand-rmcat-remb-03 §2.2).
    pub fn remb(&mut self, sender: u32, bitrate: Bitrate, ssrcs: &[u32]) -> bool {
        self.packet(
            packet_type::PAYLOAD_FEEDBACK,
            Some(feedback::APPLICATION),
            |out| {
                out.u32(sender)?;
                out.u32(0)?;
                feedback::write_remb(bitrate, ssrcs, out)
            },
        )
    }

    /// A packet that was written elsewhere.
    pub fn raw(&mut self, packet: &[u8]) -> bool {
        self.out.put(packet).is_some()
    }

    fn packet(
        &mut self,
        packet_type: u8,
        count: Option<u8>,
        body: impl FnOnce(&mut Writer<'a>) -> Option<()>,
    ) -> bool {
        let start = self.out.len();
        let written = self.try_packet(packet_type, count, body);
        if written.is_none() {
            self.out.truncate(start);
        }
        written.is_some()
    }

    fn try_packet(
        &mut self,
        packet_type: u8,
        count: Option<u8>,
        body: impl FnOnce(&mut Writer<'a>) -> Option<()>,
    ) -> Option<()> {
        let start = self.out.len();
        self.out.put(&[0x80 | count?, packet_type, 0, 0])?;
        body(&mut self.out)?;
        let words = (self.out.len() - start) / 4 - 1;
        self.out
            .set(start + 2, &u16::try_from(words).ok()?.to_be_bytes())
    }
}

/// The five-bit count of a packet's entries.
fn count(entries: usize) -> Option<u8> {
    (entries <= ENTRIES_MAX).then(|| u8::try_from(entries).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types of the packets, in order; `None` for a malformed one.
    fn check(input: &[u8], expected: &[Option<&str>]) {
        let got: Vec<Option<&str>> = packets(input)
            .map(|packet| {
                packet.ok().map(|packet| match packet {
                    RtcpPacket::SenderReport { .. } => "sr",
                    RtcpPacket::ReceiverReport { .. } => "rr",
                    RtcpPacket::Sdes(_) => "sdes",
                    RtcpPacket::Bye(_) => "bye",
                    RtcpPacket::Feedback(_) => "feedback",
                    RtcpPacket::Unknown { .. } => "unknown",
                })
            })
            .collect();
        assert_eq!(got, expected, "{input:02x?}");
    }

    #[test]
    fn a_compound_is_split_by_its_lengths() {
        check(&[], &[]);
        check(&[0x80, 201, 0, 1, 0, 0, 0, 1], &[Some("rr")]);
        check(
            &[0x80, 201, 0, 1, 0, 0, 0, 1, 0x81, 203, 0, 1, 0, 0, 0, 1],
            &[Some("rr"), Some("bye")],
        );
        check(
            &[0x80, 207, 0, 1, 0, 0, 0, 1, 0x81, 202, 0, 0],
            &[Some("unknown"), Some("sdes")],
        );
        check(&[0x80, 201, 0, 2, 0, 0, 0, 1], &[None]);
        check(&[0x40, 201, 0, 1, 0, 0, 0, 1], &[None]);
        check(&[0x80, 201], &[None]);
        check(
            &[0x81, 201, 0, 1, 0, 0, 0, 1, 0x80, 203, 0, 0],
            &[None, Some("bye")],
        );
        check(&[0x80, 200, 0, 1, 0, 0, 0, 1], &[None]);
        check(&[0x82, 203, 0, 1, 0, 0, 0, 1], &[None]);
        check(&[0xA0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4], &[Some("rr")]);
        check(&[0xA0, 201, 0, 1, 0, 0, 0, 1], &[None]);
        check(&[0xA0, 201, 0, 1, 0, 0, 0, 0], &[None]);
        check(&[0xA0, 201, 0, 0], &[None]);
    }

    fn block() -> ReportBlock {
        ReportBlock {
            ssrc: 0xDEAD_BEEF,
            fraction_lost: 64,
            packets_lost: -3,
            sequence_highest: 0x0001_FFFF,
            jitter: 90,
            last_sr: 0x1234_5678,
            delay_since_sr: 65_536,
        }
    }

    #[test]
    fn reports_are_read_back_as_written() {
        let sender = SenderReport {
            ssrc: 1,
            ntp: NtpTime(0x0102_0304_0506_0708),
            rtp: 3,
            packets: 4,
            bytes: 5,
        };
        let mut out = [0; 200];
        let mut writer = CompoundWriter::new(&mut out);
        assert!(writer.sender_report(&sender, &[block(), ReportBlock::default()]));
        assert!(writer.receiver_report(9, &[block()]));
        let len = writer.len();
        let read: Vec<_> = packets(&out[..len]).map(Result::unwrap).collect();
        let [
            RtcpPacket::SenderReport {
                ssrc: 1,
                ntp,
                rtp: 3,
                packets: 4,
                bytes: 5,
                reports,
            },
            RtcpPacket::ReceiverReport {
                ssrc: 9,
                reports: received,
            },
        ] = read[..]
        else {
            panic!("{read:?}");
        };
        assert_eq!(ntp, sender.ntp);
        assert_eq!(
            reports.collect::<Vec<_>>(),
            [block(), ReportBlock::default()]
        );
        assert_eq!(received.collect::<Vec<_>>(), [block()]);
    }

    #[test]
    fn losses_beyond_24_bits_stop_at_the_end() {
        for (given, read) in [
            (i32::MAX, 0x7F_FFFF),
            (i32::MIN, -0x80_0000),
            (0x7F_FFFF, 0x7F_FFFF),
        ] {
            let mut out = [0; 32];
            let mut writer = CompoundWriter::new(&mut out);
            assert!(writer.receiver_report(
                1,
                &[ReportBlock {
                    packets_lost: given,
                    ..block()
                }]
            ));
            let Some(Ok(RtcpPacket::ReceiverReport { mut reports, .. })) = packets(&out).next()
            else {
                panic!("{out:02x?}");
            };
            assert_eq!(reports.next().map(|block| block.packets_lost), Some(read));
        }
    }

    #[test]
    fn names_of_every_length_are_read_back() {
        for len in 0..=255 {
            let name = "n".repeat(len);
            let mut out = [0; 600];
            let mut writer = CompoundWriter::new(&mut out);
            assert!(writer.sdes_cname(7, &name) && writer.bye(&[7, 8]));
            let len = writer.len();
            let mut read = packets(&out[..len]);
            let Some(Ok(RtcpPacket::Sdes(sdes))) = read.next() else {
                panic!("{out:02x?}");
            };
            assert_eq!(sdes.cnames().collect::<Vec<_>>(), [(7, name.as_str())]);
            let Some(Ok(RtcpPacket::Bye(ssrcs))) = read.next() else {
                panic!("{out:02x?}");
            };
            assert_eq!(ssrcs.collect::<Vec<_>>(), [7, 8]);
        }
    }

    #[test]
    fn the_name_is_found_among_other_items_and_chunks() {
        // RFC 3550 §6.5: NOTE, CNAME; then a source without a name; then one cut short.
        let body = [
            0, 0, 0, 1, 7, 1, b'x', 1, 2, b'a', b'b', 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 1, 9,
        ];
        let sdes = Sdes { body: &body };
        assert_eq!(sdes.cnames().collect::<Vec<_>>(), [(1, "ab")]);
    }

    #[test]
    fn what_does_not_fit_leaves_no_trace() {
        let mut out = [0; 31];
        let mut writer = CompoundWriter::new(&mut out);
        assert!(!writer.receiver_report(1, &[block()]));
        assert!(writer.is_empty());
        assert!(!writer.bye(&[0; 32]));
        assert!(!writer.sdes_cname(1, &"n".repeat(256)));
        assert!(!writer.nack(1, 2, &[]));
        assert!(writer.pli(1, 2) && writer.raw(&[0x80, 203, 0, 0]));
        assert!(!writer.fir(1, 2, 3));
        assert_eq!(writer.len(), 16);
    }
}

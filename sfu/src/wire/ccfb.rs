//! Congestion control feedback (RFC 8888): which packets of which source arrived, and when. Needs no
//! header extension: packets are named by SSRC and sequence number.

use crate::error::DropReason;
use crate::wire::bytes::{Reader, Writer};
use crate::wire::rtcp::packet_type;

/// Its format among transport layer feedback (RFC 8888 §5).
pub(crate) const FORMAT: u8 = 11;
/// The packet arrived.
const RECEIVED: u16 = 1 << 15;
/// The 13 bits of how long before the report, in 1,024ths of a second.
const OFFSET: u16 = (1 << 13) - 1;
/// It arrived, and nobody knows when, or longer ago than can be said.
const OFFSET_UNKNOWN: u16 = OFFSET - 1;
/// Header, sender and the time of the report.
const FRAME_BYTES: usize = 4 + 4 + 4;
/// Head of one source.
const SOURCE_BYTES: usize = 8;

/// Feedback as it was received.
#[derive(Clone, Copy, Debug)]
pub struct ControlFeedback<'a> {
    /// Who says it.
    pub sender: u32,
    /// When, by its clock: in 65,536ths of a second.
    pub timestamp: u32,
    blocks: &'a [u8],
}

impl<'a> ControlFeedback<'a> {
    /// Reads what follows the first word.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn parse(body: &'a [u8]) -> Result<Self, DropReason> {
        let mut reader = Reader::new(body);
        let sender = reader.u32()?;
        let (blocks, timestamp) = reader
            .rest()
            .split_last_chunk::<4>()
            .ok_or(DropReason::Malformed)?;
        let mut rest = Reader::new(blocks);
        while !rest.is_empty() {
            rest.u32()?;
            rest.u16()?;
            let count = usize::from(rest.u16()?);
            // RFC 8888 §3.1: a half word of padding where the number is odd.
            rest.take(count.next_multiple_of(2) * 2)?;
        }
        Ok(Self {
            sender,
            timestamp: u32::from_be_bytes(*timestamp),
            blocks,
        })
    }

    /// Every packet it tells of.
    #[must_use]
    pub const fn iter(&self) -> Told<'a> {
        Told {
            rest: Reader::new(self.blocks),
            ssrc: 0,
            next: 0,
            left: 0,
            is_odd: false,
        }
    }
}

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Of which source.
    pub ssrc: u32,
    /// Its number.
    pub sequence: u16,
    /// None: it did not arrive.
    pub arrival: Option<Arrival>,
}

/// When a packet arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// So many 1,024ths of a second before the report.
    Before(u16),
    /// Nobody knows.
    Unknown,
}

/// Packets of a feedback.
#[derive(Clone, Debug)]
pub struct Told<'a> {
    rest: Reader<'a>,
    ssrc: u32,
    next: u16,
    left: u16,
    is_odd: bool,
}

impl Iterator for Told<'_> {
    type Item = Report;

    fn next(&mut self) -> Option<Report> {
        while self.left == 0 {
            if std::mem::take(&mut self.is_odd) {
                self.rest.u16().ok()?;
            }
            self.ssrc = self.rest.u32().ok()?;
            self.next = self.rest.u16().ok()?;
            self.left = self.rest.u16().ok()?;
            self.is_odd = !self.left.is_multiple_of(2);
        }
        self.left -= 1;
        let sequence = self.next;
        self.next = sequence.wrapping_add(1);
        let bits = self.rest.u16().ok()?;
        let arrival = match bits & OFFSET {
            _ if bits & RECEIVED == 0 => None,
            offset if offset >= OFFSET_UNKNOWN => Some(Arrival::Unknown),
            offset => Some(Arrival::Before(offset)),
        };
        Some(Report {
            ssrc: self.ssrc,
            sequence,
            arrival,
        })
    }
}

/// Packets of one source, in order; `None`: it did not arrive.
pub(crate) type Block<'a> = (u32, u16, &'a [Option<u64>]);

/// Bytes of feedback about so many sources with so many packets in all, at most.
pub(crate) const fn bytes(sources: usize, packets: usize) -> usize {
    FRAME_BYTES + sources * (SOURCE_BYTES + 2) + packets * 2
}

/// Writes feedback; its length. Arrivals are microseconds before the report.
pub(crate) fn write(
    sender: u32,
    timestamp: u32,
    blocks: &[Block<'_>],
    out: &mut [u8],
) -> Option<usize> {
    let mut writer = Writer::new(out);
    writer.put(&[0x80 | FORMAT, packet_type::TRANSPORT_FEEDBACK, 0, 0])?;
    writer.u32(sender)?;
    for &(ssrc, first, packets) in blocks {
        writer.u32(ssrc)?;
        writer.u16(first)?;
        writer.u16(u16::try_from(packets.len()).ok()?)?;
        for arrival in packets {
            writer.u16(arrival.map_or(0, |ago| {
                let offset = u16::try_from(ago.saturating_mul(1_024) / 1_000_000);
                RECEIVED | offset.unwrap_or(u16::MAX).min(OFFSET_UNKNOWN)
            }))?;
        }
        if !packets.len().is_multiple_of(2) {
            writer.u16(0)?;
        }
    }
    writer.u32(timestamp)?;
    let words = u16::try_from(writer.len() / 4 - 1).ok()?;
    writer.set(2, &words.to_be_bytes())?;
    Some(writer.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two sources: three packets, of which the second is missing, and one.
    const TOLD: [u8; 40] = [
        0x8B, 205, 0, 9, 0, 0, 0, 1, 0, 0, 0, 7, 0xFF, 0xFF, 0, 3, 0x80, 0x66, 0, 0, 0x80, 0x33, 0,
        0, 0, 0, 0, 8, 0, 5, 0, 1, 0x9F, 0xFE, 0, 0, 0, 1, 0x80, 0,
    ];

    #[test]
    fn feedback_is_written_and_read_back() {
        let mut out = [0; 64];
        let first = [Some(100_000), None, Some(50_000)];
        let blocks = [(7, 65_535, &first[..]), (8, 5, &[Some(9_000_000)])];
        let len = write(1, 0x1_8000, &blocks, &mut out).unwrap();
        assert_eq!(out[..len], TOLD);
        assert!(len <= bytes(2, 4));
        let told = ControlFeedback::parse(&TOLD[4..]).unwrap();
        assert_eq!((told.sender, told.timestamp), (1, 0x1_8000));
        let report = |ssrc, sequence, arrival| Report {
            ssrc,
            sequence,
            arrival,
        };
        assert_eq!(
            told.iter().collect::<Vec<_>>(),
            [
                report(7, 65_535, Some(Arrival::Before(102))),
                report(7, 0, None),
                report(7, 1, Some(Arrival::Before(51))),
                report(8, 5, Some(Arrival::Unknown)),
            ]
        );
    }

    #[test]
    fn what_is_cut_short_is_malformed() {
        // Whole sources may be missing: the time of the report stands last.
        for end in (4..TOLD.len()).filter(|end| ![12, 28].contains(end)) {
            let whole = ControlFeedback::parse(&TOLD[4..end]);
            assert!(whole.is_err(), "{end}: {whole:?}");
        }
        assert_eq!(
            ControlFeedback::parse(&TOLD[4..12]).unwrap().iter().count(),
            0
        );
        let mut none = TOLD;
        none[15] = 0xFF;
        assert!(ControlFeedback::parse(&none[4..]).is_err());
    }
}

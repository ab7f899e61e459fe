//! Transport-wide feedback: what arrived when, over all sources of a transport
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1), read and written.
//!
//! Sequence numbers are the transport's, from the header extension; times are the receiver's, in
//! ticks of 250 µs. Whether the numbers mean anything is known to the one who sent them.

use arrayvec::ArrayVec;

use crate::error::DropReason;
use crate::limits;
use crate::time::Instant;
use crate::wire::bytes::{Reader, Writer};
use crate::wire::rtcp::packet_type;

/// Its format among the transport-layer feedback.
pub(crate) const FORMAT: u8 = 15;
/// One tick of a receive delta.
const TICK_MICROS: i64 = 250;
/// Ticks of one unit of the reference time, 64 ms.
const REFERENCE_TICKS: i64 = 256;
/// Everything before the status chunks.
const HEADER_BYTES: usize = 20;

/// A feedback packet as a view. All its chunks and deltas are there: `parse` has counted them.
#[derive(Clone, Copy, Debug)]
pub struct TransportFeedback<'a> {
    sender: u32,
    media: u32,
    base_sequence: u16,
    packet_count: u16,
    reference_time: i32,
    feedback_count: u8,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

impl<'a> TransportFeedback<'a> {
    /// Reads what follows the first word of the packet.
    ///
    /// # Errors
    /// [`DropReason::Malformed`] where chunks or deltas are missing, a reserved symbol occurs, it
    /// tells of no packet or of more than [`limits::TRANSPORT_FEEDBACK_PACKETS`].
    pub fn parse(body: &'a [u8]) -> Result<Self, DropReason> {
        let mut reader = Reader::new(body);
        let sender = reader.u32()?;
        let media = reader.u32()?;
        let base_sequence = reader.u16()?;
        let packet_count = reader.u16()?;
        let reference_time = (reader.u24()? << 8).cast_signed() >> 8;
        let feedback_count = reader.u8()?;
        // A run of 8,191 takes two bytes: without a bound a small packet would make much work.
        if packet_count == 0 || usize::from(packet_count) > limits::TRANSPORT_FEEDBACK_PACKETS {
            return Err(DropReason::Malformed);
        }
        let start = reader.rest();
        let mut left = packet_count;
        let mut delta_bytes = 0;
        while left > 0 {
            let chunk = Chunk(reader.u16()?);
            let told = chunk.len().min(left);
            delta_bytes += chunk.delta_bytes(told)?;
            left -= told;
        }
        let chunk_bytes = start.len() - reader.rest().len();
        Ok(Self {
            sender,
            media,
            base_sequence,
            packet_count,
            reference_time,
            feedback_count,
            chunks: start.get(..chunk_bytes).ok_or(DropReason::Malformed)?,
            deltas: reader.take(delta_bytes)?,
        })
    }

    /// Who reports.
    #[must_use]
    pub const fn sender(&self) -> u32 {
        self.sender
    }

    /// One of the sources reported on, usually the first.
    #[must_use]
    pub const fn media(&self) -> u32 {
        self.media
    }

    /// The first sequence number told of.
    #[must_use]
    pub const fn base_sequence(&self) -> u16 {
        self.base_sequence
    }

    /// How many sequence numbers are told of, never 0.
    #[must_use]
    pub const fn packet_count(&self) -> u16 {
        self.packet_count
    }

    /// Receiver's time that the deltas start from, in 64 ms; 24 bits signed, wrapping.
    #[must_use]
    pub const fn reference_time(&self) -> i32 {
        self.reference_time
    }

    /// Number of this feedback among those of its sender, wrapping: shows lost feedback.
    #[must_use]
    pub const fn feedback_count(&self) -> u8 {
        self.feedback_count
    }

    /// Every sequence number told of, with its arrival in µs after the reference time where it
    /// arrived.
    #[must_use]
    pub const fn iter(&self) -> Arrivals<'a> {
        Arrivals {
            chunks: Reader::new(self.chunks),
            deltas: Reader::new(self.deltas),
            chunk: Chunk(0),
            at: 0,
            sequence: self.base_sequence,
            left: self.packet_count,
            ticks: 0,
        }
    }
}

impl<'a> IntoIterator for &TransportFeedback<'a> {
    type Item = (u16, Option<i64>);
    type IntoIter = Arrivals<'a>;

    fn into_iter(self) -> Arrivals<'a> {
        self.iter()
    }
}

/// Iterator of [`TransportFeedback::iter`].
#[derive(Clone, Copy, Debug)]
pub struct Arrivals<'a> {
    chunks: Reader<'a>,
    deltas: Reader<'a>,
    chunk: Chunk,
    /// Symbols of `chunk` already told.
    at: u16,
    sequence: u16,
    left: u16,
    ticks: i64,
}

impl Iterator for Arrivals<'_> {
    type Item = (u16, Option<i64>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        while self.at >= self.chunk.len() {
            self.chunk = Chunk(self.chunks.u16().ok()?);
            self.at = 0;
        }
        let delta = match self.chunk.symbol(self.at) {
            SMALL => Some(i64::from(self.deltas.u8().ok()?)),
            LARGE => Some(i64::from(self.deltas.u16().ok()?.cast_signed())),
            _ => None,
        };
        self.at += 1;
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        let arrival = delta.map(|delta| {
            self.ticks += delta;
            self.ticks * TICK_MICROS
        });
        Some((sequence, arrival))
    }
}

/// Status symbols (§3.1.1): not received, received with a delta of one byte, of two bytes.
const MISSING: u8 = 0;
const SMALL: u8 = 1;
const LARGE: u8 = 2;

/// A packet status chunk (§3.1.2 to §3.1.4): a run of one symbol, or a vector of 14 or 7.
#[derive(Clone, Copy, Debug)]
struct Chunk(u16);

/// Longest run.
const RUN_MAX: usize = 0x1FFF;
/// Symbols of a vector of one bit each.
const ONE_BIT: usize = 14;
/// Symbols of a vector of two bits each.
const TWO_BIT: usize = 7;

impl Chunk {
    /// How many packets it tells of.
    const fn len(self) -> u16 {
        match self.0 >> 14 {
            0b10 => 14,
            0b11 => 7,
            _ => self.0 & 0x1FFF,
        }
    }

    fn symbol(self, at: u16) -> u8 {
        let symbol = match self.0 >> 14 {
            0b10 => self.0.checked_shr(u32::from(13 - at.min(13))).unwrap_or(0) & 1,
            0b11 => {
                self.0
                    .checked_shr(u32::from(12 - 2 * at.min(6)))
                    .unwrap_or(0)
                    & 3
            }
            _ => self.0 >> 13 & 3,
        };
        u8::try_from(symbol).unwrap_or(MISSING)
    }

    /// Bytes of deltas behind its first `told` symbols.
    fn delta_bytes(self, told: u16) -> Result<usize, DropReason> {
        let size = |symbol| match symbol {
            MISSING | SMALL | LARGE => Ok(usize::from(symbol)),
            _ => Err(DropReason::Malformed),
        };
        if self.0 >> 15 == 0 {
            return Ok(size(self.symbol(0))? * usize::from(told));
        }
        (0..told).try_fold(0, |sum, at| Ok(sum + size(self.symbol(at))?))
    }
}

/// What [`TransportFeedbackWriter::write`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedbackWritten {
    /// Length of the RTCP packet.
    pub bytes: usize,
    /// Sequence numbers it tells of: the next packet starts that far behind this one's base.
    pub packets: u16,
}

/// Builds feedback packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransportFeedbackWriter {
    /// Who reports.
    pub sender: u32,
    /// One of the sources reported on.
    pub media: u32,
    /// Number of this packet among ours.
    pub feedback_count: u8,
}

/// Symbols and ticks of the packets of one feedback.
#[derive(Debug, Default)]
struct Statuses {
    symbols: ArrayVec<u8, { limits::TRANSPORT_FEEDBACK_WRITTEN }>,
    deltas: ArrayVec<i16, { limits::TRANSPORT_FEEDBACK_WRITTEN }>,
    delta_bytes: usize,
    /// In units of 64 ms.
    reference: i64,
}

impl TransportFeedbackWriter {
    /// Writes one RTCP packet for `base` and what follows it: the arrivals of consecutive sequence
    /// numbers, `None` for what did not arrive. Takes as many as `out` holds and deltas of 16 bits
    /// span, up to the last that arrived. `None` where nothing fits, or nothing arrived among the
    /// first [`limits::TRANSPORT_FEEDBACK_WRITTEN`]: let `base` be one that did.
    #[must_use]
    pub fn write(
        &self,
        base: u16,
        arrivals: impl IntoIterator<Item = Option<Instant>>,
        out: &mut [u8],
    ) -> Option<FeedbackWritten> {
        let statuses = Statuses::collect(arrivals, out.len())?;
        let packets = u16::try_from(statuses.symbols.len()).ok()?;
        let mut writer = Writer::new(out);
        writer.put(&[0x80 | FORMAT, packet_type::TRANSPORT_FEEDBACK, 0, 0])?;
        writer.u32(self.sender)?;
        writer.u32(self.media)?;
        writer.u16(base)?;
        writer.u16(packets)?;
        writer.u24(u32::try_from(statuses.reference & 0x00FF_FFFF).ok()?)?;
        writer.u8(self.feedback_count)?;
        statuses.write(&mut writer)?;
        // RFC 3550 §6.4.1: padded to words, and the header says so.
        let padding = writer.len().next_multiple_of(4) - writer.len();
        if padding > 0 {
            writer.put([0; 3].get(1..padding)?)?;
            writer.u8(u8::try_from(padding).ok()?)?;
            writer.set(0, &[0xA0 | FORMAT])?;
        }
        let words = u16::try_from(writer.len() / 4 - 1).ok()?;
        writer.set(2, &words.to_be_bytes())?;
        Some(FeedbackWritten {
            bytes: writer.len(),
            packets,
        })
    }
}

impl Statuses {
    fn collect(arrivals: impl IntoIterator<Item = Option<Instant>>, room: usize) -> Option<Self> {
        let mut statuses = Self::default();
        let mut last_tick = None;
        let mut told = 0;
        for arrival in arrivals {
            let delta = match arrival {
                None => None,
                Some(at) => {
                    let tick = i64::try_from(at.as_micros()).ok()? / TICK_MICROS;
                    let from = last_tick.unwrap_or_else(|| {
                        statuses.reference = tick / REFERENCE_TICKS;
                        statuses.reference * REFERENCE_TICKS
                    });
                    last_tick = Some(tick);
                    let Ok(delta) = i16::try_from(tick - from) else {
                        break;
                    };
                    Some(delta)
                }
            };
            if !statuses.push(delta, room) {
                break;
            }
            if delta.is_some() {
                told = statuses.symbols.len();
            }
        }
        statuses.symbols.truncate(told);
        (told > 0).then_some(statuses)
    }

    /// False where there is no room for one more.
    fn push(&mut self, delta: Option<i16>, room: usize) -> bool {
        let symbol = match delta {
            None => MISSING,
            Some(0..=255) => SMALL,
            Some(_) => LARGE,
        };
        let delta_bytes = self.delta_bytes + usize::from(symbol);
        // No chunk but the last tells of fewer than seven.
        let chunk_bytes = 2 * (self.symbols.len() + 1).div_ceil(TWO_BIT);
        let bytes = (HEADER_BYTES + chunk_bytes + delta_bytes).next_multiple_of(4);
        if bytes > room || self.symbols.try_push(symbol).is_err() {
            return false;
        }
        self.delta_bytes = delta_bytes;
        delta.is_none_or(|delta| self.deltas.try_push(delta).is_ok())
    }

    fn write(&self, out: &mut Writer<'_>) -> Option<()> {
        let mut rest = self.symbols.as_slice();
        while let Some((&first, _)) = rest.split_first() {
            let run = rest
                .iter()
                .take(RUN_MAX)
                .take_while(|&&symbol| symbol == first)
                .count();
            let one_bit = rest.get(..ONE_BIT.min(rest.len()))?;
            let (chunk, told) = if run >= ONE_BIT || run == rest.len() {
                (u16::from(first) << 13 | u16::try_from(run).ok()?, run)
            } else if one_bit.iter().all(|&symbol| symbol <= SMALL) {
                (0x8000 | vector(one_bit, 1, 13), one_bit.len())
            } else {
                let two_bit = rest.get(..TWO_BIT.min(rest.len()))?;
                (0xC000 | vector(two_bit, 2, 12), two_bit.len())
            };
            out.u16(chunk)?;
            rest = rest.get(told..)?;
        }
        let mut deltas = self.deltas.iter();
        for &symbol in &self.symbols {
            match symbol {
                SMALL => out.u8(u8::try_from(*deltas.next()?).ok()?)?,
                LARGE => out.u16(deltas.next()?.cast_unsigned())?,
                _ => {}
            }
        }
        Some(())
    }
}

/// The symbols side by side, the first in the highest bits.
fn vector(symbols: &[u8], width: u16, highest: u16) -> u16 {
    symbols
        .iter()
        .zip(0..)
        .map(|(&symbol, at)| u16::from(symbol) << highest.saturating_sub(at * width))
        .fold(0, |bits, symbol| bits | symbol)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::feedback::Feedback;
    use crate::wire::rtcp::{RtcpPacket, packets};

    const TOLD: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 2];

    /// Body behind the SSRCs; arrivals in ticks.
    fn check(input: &[u8], expected: Result<&[(u16, Option<i64>)], DropReason>) {
        let body = [&TOLD, input].concat();
        let got = TransportFeedback::parse(&body).map(|feedback| {
            assert_eq!((feedback.sender(), feedback.media()), (1, 2));
            let arrivals = feedback.iter();
            arrivals
                .map(|(sequence, at)| (sequence, at.map(|at| at / 250)))
                .collect::<Vec<_>>()
        });
        assert_eq!(
            got.as_deref(),
            expected.as_ref().map(|arrivals| *arrivals),
            "{input:02x?}"
        );
    }

    #[test]
    fn chunks_and_deltas_are_read_as_the_draft_says() {
        let malformed = Err(DropReason::Malformed);
        // A run of two small deltas.
        check(
            &[0, 5, 0, 2, 0, 0, 1, 0, 0x20, 2, 4, 8],
            Ok(&[(5, Some(4)), (6, Some(12))]),
        );
        // A run of missing ones across the wrap, then one of large deltas.
        check(
            &[0xFF, 0xFF, 0, 3, 0, 0, 1, 0, 0, 2, 0x40, 1, 0xFF, 0xFE],
            Ok(&[(65_535, None), (0, None), (1, Some(-2))]),
        );
        // §3.1.4, example: one-bit vector.
        check(
            &[0, 0, 0, 4, 0, 0, 1, 0, 0b1010_1000, 0, 1, 2],
            Ok(&[(0, Some(1)), (1, None), (2, Some(3)), (3, None)]),
        );
        // Two-bit vector: missing, small, large.
        check(
            &[0, 0, 0, 3, 0, 0, 1, 0, 0b1100_0110, 0, 7, 1, 0],
            Ok(&[(0, None), (1, Some(7)), (2, Some(263))]),
        );
        // An empty run says nothing and is passed over.
        check(
            &[0, 0, 0, 1, 0, 0, 1, 0, 0x20, 0, 0x20, 1, 9],
            Ok(&[(0, Some(9))]),
        );
        // No packets; a reserved symbol; missing chunk; missing deltas; too many.
        check(&[0, 0, 0, 0, 0, 0, 1, 0], malformed);
        check(&[0, 0, 0, 1, 0, 0, 1, 0, 0x60, 1, 9, 9, 9], malformed);
        check(
            &[0, 0, 0, 1, 0, 0, 1, 0, 0b1111_0000, 0, 9, 9, 9],
            malformed,
        );
        check(&[0, 0, 0, 9, 0, 0, 1, 0, 0xC0, 0], malformed);
        check(&[0, 0, 0, 2, 0, 0, 1, 0, 0x20, 2, 4], malformed);
        check(&[0, 0, 0x20, 1, 0, 0, 1, 0, 0x1F, 0xFF, 0, 2], malformed);
        check(&[0, 0, 0, 1, 0, 0, 1], malformed);
    }

    #[test]
    fn the_reference_time_is_signed() {
        let body = [&TOLD[..], &[0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 7, 0, 1]].concat();
        let feedback = TransportFeedback::parse(&body).unwrap();
        assert_eq!(feedback.reference_time(), -1);
        assert_eq!(feedback.feedback_count(), 7);
        assert_eq!((feedback.base_sequence(), feedback.packet_count()), (0, 1));
    }

    /// Writes, reads back, and compares arrivals to the tick. Answers what was written.
    fn round_trip(base: u16, arrivals: &[Option<u64>], room: usize) -> FeedbackWritten {
        let writer = TransportFeedbackWriter {
            sender: 1,
            media: 2,
            feedback_count: 3,
        };
        let mut out = vec![0xEE; room];
        let given = arrivals.iter().map(|at| at.map(Instant::from_micros));
        let written = writer.write(base, given, &mut out).unwrap();
        let Some(Ok(RtcpPacket::Feedback(Feedback::TransportWide(feedback)))) =
            packets(&out[..written.bytes]).next()
        else {
            panic!("{out:02x?}");
        };
        assert_eq!(feedback.packet_count(), written.packets);
        let reference = i64::from(feedback.reference_time()) * 64_000;
        let mut sequence = base;
        for ((got, at), given) in feedback.iter().zip(arrivals) {
            assert_eq!(got, sequence);
            let at = at.map(|at| u64::try_from(reference + at).unwrap());
            assert_eq!(at, given.map(|given| given / 250 * 250));
            sequence = sequence.wrapping_add(1);
        }
        written
    }

    #[test]
    fn arrivals_are_read_back_as_written() {
        let steady: Vec<Option<u64>> = (0..100).map(|at| Some(1_000_000 + at * 5_000)).collect();
        // 20 + a run + a hundred small deltas, the first up to 64 ms behind the reference.
        assert_eq!(
            round_trip(65_500, &steady, 1_200),
            FeedbackWritten {
                bytes: 124,
                packets: 100
            }
        );

        let third: Vec<Option<u64>> = (0..50)
            .map(|at| (at % 3 == 0).then_some(at * 700))
            .collect();
        assert_eq!(round_trip(0, &third, 1_200).packets, 49);

        let wild: Vec<Option<u64>> = (0..60)
            .map(|at| (at % 7 != 3).then(|| 9_000_000 + (at * 7_919) % 60 * 100_000))
            .collect();
        assert_eq!(round_trip(9, &wild, 1_200).packets, 59);

        let late = [None, None, Some(64_000 * 0x7F_FFFF), None];
        assert_eq!(round_trip(7, &late, 1_200).packets, 3);
    }

    #[test]
    fn what_a_packet_cannot_hold_is_left_for_the_next() {
        let gap = [Some(0), Some(8_191_000), Some(16_383_000), Some(16_383_250)];
        assert_eq!(round_trip(0, &gap, 100).packets, 2);
        let back = [Some(17_000_000), Some(8_900_000), Some(1)];
        assert_eq!(round_trip(0, &back, 100).packets, 2);
        let steady: Vec<Option<u64>> = (0..2_000).map(|at| Some(at * 1_000)).collect();
        let written = round_trip(0, &steady, 64);
        assert!(written.bytes <= 64 && written.packets > 25, "{written:?}");
        let all = round_trip(0, &steady, 1_472).packets;
        assert_eq!(usize::from(all), limits::TRANSPORT_FEEDBACK_WRITTEN);
    }

    #[test]
    fn nothing_is_written_where_nothing_arrived_or_fits() {
        let writer = TransportFeedbackWriter::default();
        assert_eq!(writer.write(0, [], &mut [0; 100]), None);
        assert_eq!(writer.write(0, [None, None], &mut [0; 100]), None);
        assert_eq!(writer.write(0, [Some(Instant::ZERO)], &mut [0; 23]), None);
        assert!(
            writer
                .write(0, [Some(Instant::ZERO)], &mut [0; 24])
                .is_some()
        );
    }
}

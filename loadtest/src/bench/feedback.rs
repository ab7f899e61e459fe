//! What a peer tells the server: what of its packets arrived when (transport-wide feedback), as
//! browsers do; and what the server asks a publisher for.

use std::collections::BTreeMap;

use sfu::time::{Duration, Instant};
use sfu::wire::feedback::Feedback;
use sfu::wire::rtcp::{CompoundWriter, RtcpPacket, packets};
use sfu::wire::twcc::TransportFeedbackWriter;

use super::offer::TRANSPORT_WIDE_ID;

/// Between two reports: what a browser takes at a few Mb/s.
pub(super) const REPORT_EVERY: Duration = Duration::from_millis(50);
/// Of a peer that sends nothing itself (RFC 3550 §5.1 leaves the choice to it).
const OWN_SSRC: u32 = 1;
/// Numbers on the wire come again after so many.
const WRAP: u64 = 1 << 16;
/// Room for one compound; the largest feedback takes 1,192 bytes.
const COMPOUND_BYTES: usize = 1_400;
/// Of it what SRTCP puts behind: a tag and an index.
const PROTECTION_BYTES: usize = 32;

/// What one peer has to tell.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// By transport-wide number, unwrapped.
    pending: BTreeMap<u64, Instant>,
    newest: Option<u64>,
    reports: u8,
}

impl Arrivals {
    /// A packet with the transport-wide number `sequence` came.
    pub(super) fn note(&mut self, at: Instant, sequence: u16) {
        let newest = *self
            .newest
            .get_or_insert_with(|| WRAP + u64::from(sequence));
        let ahead = sequence.wrapping_sub(low(newest));
        let number = if ahead < 1 << 15 {
            newest + u64::from(ahead)
        } else {
            newest - u64::from(low(newest).wrapping_sub(sequence))
        };
        self.newest = Some(newest.max(number));
        self.pending.insert(number, at);
    }

    /// The next compound in plaintext, in a buffer with room for what protects it; none where
    /// nothing is left to tell.
    pub(super) fn report(&mut self) -> Option<(Vec<u8>, usize)> {
        let base = *self.pending.keys().next()?;
        let writer = TransportFeedbackWriter {
            sender: OWN_SSRC,
            media: 0,
            feedback_count: self.reports,
        };
        let last = *self.pending.keys().next_back()?;
        let arrivals = (base..=last).map(|number| self.pending.get(&number).copied());
        let mut feedback = [0; COMPOUND_BYTES - 100];
        let written = writer.write(low(base), arrivals, &mut feedback)?;
        self.reports = self.reports.wrapping_add(1);
        self.pending = self.pending.split_off(&(base + u64::from(written.packets)));
        let mut bytes = vec![0; COMPOUND_BYTES];
        let mut compound = CompoundWriter::new(bytes.get_mut(..COMPOUND_BYTES - PROTECTION_BYTES)?);
        let fits = compound.receiver_report(OWN_SSRC, &[])
            && compound.raw(feedback.get(..written.bytes).unwrap_or_default());
        let length = compound.len();
        fits.then_some((bytes, length))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is on the wire"
)]
const fn low(number: u64) -> u16 {
    number as u16
}

/// The transport-wide number of an RTP packet, which is in the clear (RFC 8285 §4.2).
pub(super) fn transport_sequence(packet: &[u8]) -> Option<u16> {
    let (&[first, ..], rest) = packet.split_first_chunk::<12>()?;
    if first & 0x10 == 0 {
        return None;
    }
    let rest = rest.get(usize::from(first & 0x0F) * 4..)?;
    let (&[0xBE, 0xDE, w0, w1], rest) = rest.split_first_chunk()? else {
        return None;
    };
    let words = usize::from(u16::from_be_bytes([w0, w1]));
    let mut elements = rest.get(..words * 4)?;
    while let Some((&head, rest)) = elements.split_first() {
        let length = if head == 0 {
            0
        } else {
            usize::from(head & 0x0F) + 1
        };
        if head >> 4 == TRANSPORT_WIDE_ID {
            return Some(u16::from_be_bytes(*rest.first_chunk()?));
        }
        elements = rest.get(length..)?;
    }
    None
}

/// A compound in plaintext that asks for packets of `ssrc` again, in a buffer with room for what
/// protects it.
pub(super) fn repeats_wanted(ssrc: u32, sequences: &[u16]) -> Option<(Vec<u8>, usize)> {
    let mut bytes = vec![0; COMPOUND_BYTES];
    let mut compound = CompoundWriter::new(bytes.get_mut(..COMPOUND_BYTES - PROTECTION_BYTES)?);
    let fits = compound.receiver_report(OWN_SSRC, &[]) && compound.nack(OWN_SSRC, ssrc, sequences);
    let length = compound.len();
    fits.then_some((bytes, length))
}

/// Of which sources an opened compound asks for a key frame.
pub(super) fn keyframes_wanted(compound: &[u8]) -> Vec<u32> {
    let mut wanted = Vec::new();
    for packet in packets(compound).filter_map(Result::ok) {
        if let RtcpPacket::Feedback(Feedback::Pli { media, .. }) = packet {
            wanted.push(media);
        } else if let RtcpPacket::Feedback(Feedback::Fir { entries, .. }) = packet {
            wanted.extend(entries.map(|(ssrc, _)| ssrc));
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_told_once_and_what_did_not_is_a_gap() {
        let mut arrivals = Arrivals::default();
        for (sequence, at) in [(65_534, 10), (65_535, 12), (2, 14), (1, 15)] {
            arrivals.note(Instant::from_millis(at), sequence);
        }
        let mut told = Vec::new();
        let (bytes, length) = arrivals.report().unwrap();
        for packet in packets(&bytes[..length]) {
            if let RtcpPacket::Feedback(Feedback::TransportWide(feedback)) = packet.unwrap() {
                told.extend(feedback.iter().map(|(number, at)| (number, at.is_some())));
            }
        }
        let expected = [
            (65_534, true),
            (65_535, true),
            (0, false),
            (1, true),
            (2, true),
        ];
        assert_eq!(told, expected);
        assert!(arrivals.report().is_none());
    }

    #[test]
    fn the_transport_wide_number_is_found_behind_other_elements() {
        let mut packet = vec![0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 3, 232, 0xBE, 0xDE, 0, 2];
        packet.extend_from_slice(&[0x40, b'0', 0, TRANSPORT_WIDE_ID << 4 | 1, 0x12, 0x34, 0, 0]);
        assert_eq!(transport_sequence(&packet), Some(0x1234));
        packet[0] = 0x80;
        assert_eq!(transport_sequence(&packet), None);
    }
}

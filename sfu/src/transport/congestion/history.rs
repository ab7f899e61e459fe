//! What was sent and not told of yet, by transport-wide sequence number.

use crate::time::Instant;

/// Packets remembered. At 20 Mb/s of 1,200 bytes they last two seconds, longer than any feedback
/// takes that would still be worth anything.
const REMEMBERED: usize = 4_096;

/// One packet on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    sequence: u64,
    /// When it was handed to the kernel.
    pub(super) sent_at: Instant,
    /// Its bytes on the wire, IP and UDP included.
    pub(super) bytes: u32,
    /// The probe it belongs to; 0: none.
    pub(super) probe: u32,
}

/// A ring of packets on their way.
#[derive(Debug)]
pub(super) struct History {
    ring: Box<[Option<Sent>]>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            ring: vec![None; REMEMBERED].into_boxed_slice(),
        }
    }
}

impl History {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the remainder is less than the ring's length"
    )]
    fn place(sequence: u64) -> usize {
        (sequence % REMEMBERED as u64) as usize
    }

    /// Remembers a packet; the one in its place is forgotten.
    pub(super) fn push(&mut self, sequence: u64, sent_at: Instant, bytes: u32, probe: u32) {
        if let Some(entry) = self.ring.get_mut(Self::place(sequence)) {
            *entry = Some(Sent {
                sequence,
                sent_at,
                bytes,
                probe,
            });
        }
    }

    /// Takes a packet out: each is told of once.
    pub(super) fn take(&mut self, sequence: u64) -> Option<Sent> {
        let entry = self.ring.get_mut(Self::place(sequence))?;
        entry.take_if(|sent| sent.sequence == sequence)
    }

    /// Looks at a packet that may still be told of as arrived.
    pub(super) fn get(&self, sequence: u64) -> Option<Sent> {
        let entry = self.ring.get(Self::place(sequence))?;
        entry.filter(|sent| sent.sequence == sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_taken_once_and_an_old_one_not_at_all() {
        let mut history = History::default();
        history.push(7, Instant::from_millis(1), 1_200, 0);
        assert_eq!(history.get(7).map(|sent| sent.bytes), Some(1_200));
        assert_eq!(history.take(7).map(|sent| sent.bytes), Some(1_200));
        assert!(history.take(7).is_none());
        history.push(8, Instant::from_millis(2), 100, 3);
        history.push(8 + REMEMBERED as u64, Instant::from_millis(3), 200, 0);
        assert!(history.take(8).is_none());
    }
}

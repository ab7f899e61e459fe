//! What was sent and not told of yet, by transport-wide sequence number.

use crate::prefetch::prefetch;
use crate::time::{Duration, Instant};

/// Packets remembered at first: a second of two small pictures. Most transports need no more.
const FIRST: usize = 256;
/// Packets remembered at most. At 20 Mb/s of 1,200 bytes they last two seconds, longer than any
/// feedback takes that would still be worth anything.
const MOST: usize = 4_096;
const _: () = assert!(FIRST.is_power_of_two() && MOST.is_power_of_two());
/// A packet that may still be told of is not overwritten while there is room to grow.
const AWAITED: Duration = Duration::from_secs(2);

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
    /// Bytes sent up to it, itself included; wraps.
    pub(super) total: u32,
}

/// A ring of packets on their way. It doubles where packets are sent faster than they are told of,
/// so that a thousand quiet transports do not hold the memory of busy ones.
#[derive(Debug)]
pub(super) struct History {
    ring: Vec<Option<Sent>>,
    /// Bytes sent at all; wraps.
    total: u32,
}

impl Default for History {
    fn default() -> Self {
        Self {
            ring: vec![None; FIRST],
            total: 0,
        }
    }
}

impl History {
    /// The ring's length is a power of two: a mask costs less than the remainder it stands for.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the mask is less than the ring's length"
    )]
    const fn place(&self, sequence: u64) -> usize {
        (sequence & (self.ring.len() as u64).wrapping_sub(1)) as usize
    }

    /// Makes room for the packet that is sent next, where the one in its place may still be told
    /// of. Not for who has never told of any.
    pub(super) fn make_room(&mut self, sequence: u64, now: Instant) {
        while self.ring.len() < MOST && self.is_awaited(sequence, now) {
            self.grow();
        }
    }

    /// Asks for the places of `sequence` and of the three behind it.
    pub(super) fn prefetch(&self, sequence: u64) {
        let place = self.place(sequence);
        let end = self.ring.len().min(place + 4);
        prefetch(self.ring.get(place..end).unwrap_or_default());
    }

    /// Remembers a packet; the one in its place is forgotten.
    pub(super) fn push(&mut self, sequence: u64, sent_at: Instant, bytes: u32, probe: u32) {
        let place = self.place(sequence);
        self.total = self.total.wrapping_add(bytes);
        let total = self.total;
        if let Some(entry) = self.ring.get_mut(place) {
            *entry = Some(Sent {
                sequence,
                sent_at,
                bytes,
                probe,
                total,
            });
        }
    }

    /// Whether the packet in the way of `sequence` may still be told of.
    fn is_awaited(&self, sequence: u64, now: Instant) -> bool {
        let known = self.ring.get(self.place(sequence)).copied().flatten();
        known.is_some_and(|known| known.sequence != sequence && now.since(known.sent_at) < AWAITED)
    }

    fn grow(&mut self) {
        let larger = vec![None; self.ring.len() * 2];
        let before = std::mem::replace(&mut self.ring, larger);
        for sent in before.into_iter().flatten() {
            let place = self.place(sent.sequence);
            if let Some(entry) = self.ring.get_mut(place) {
                *entry = Some(sent);
            }
        }
    }

    /// Bytes sent since a packet, of which nothing but its [`Sent::total`] need be known.
    pub(super) const fn sent_since(&self, total: u32) -> u32 {
        self.total.wrapping_sub(total)
    }

    /// Takes a packet out: each is told of once.
    pub(super) fn take(&mut self, sequence: u64) -> Option<Sent> {
        let place = self.place(sequence);
        let entry = self.ring.get_mut(place)?;
        entry.take_if(|sent| sent.sequence == sequence)
    }

    /// Looks at a packet that may still be told of as arrived.
    pub(super) fn get(&self, sequence: u64) -> Option<Sent> {
        let entry = self.ring.get(self.place(sequence))?;
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
        history.push(8 + MOST as u64, Instant::from_millis(9_000), 200, 0);
        assert!(history.take(8).is_none());
    }

    #[test]
    fn what_follows_a_packet_is_known_after_it_was_taken() {
        let mut history = History::default();
        for sequence in 0..10 {
            history.push(sequence, Instant::from_millis(sequence), 500_000_000, 0);
        }
        let told = history.take(6).map(|sent| sent.total).unwrap();
        assert_eq!(history.sent_since(told), 1_500_000_000);
    }

    #[test]
    fn the_ring_grows_for_what_is_awaited_and_no_further_than_it_may() {
        let mut history = History::default();
        // Told of in time: as it was.
        for sequence in 0..10_000 {
            history.make_room(sequence, Instant::from_millis(sequence));
            history.push(sequence, Instant::from_millis(sequence), 100, 0);
            assert!(history.take(sequence.wrapping_sub(100)).is_some() || sequence < 100);
        }
        assert_eq!(history.ring.len(), FIRST);
        // Not told of: each is kept for as long as there is room.
        for sequence in 10_000..20_000 {
            history.make_room(sequence, Instant::from_millis(10_000));
            history.push(sequence, Instant::from_millis(10_000), 100, 0);
            let oldest = sequence.saturating_sub(MOST as u64 - 1).max(10_000);
            assert!(history.get(oldest).is_some(), "{sequence}");
        }
        assert_eq!(history.ring.len(), MOST);
    }
}

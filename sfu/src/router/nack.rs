//! What to ask a publisher for again, and when to give up.
//!
//! First after a reorder window (5 ms, or two newer packets), again each max(RTT, 20 ms), at most
//! `NACK_TRIES` times and for 500 ms, never across a newer key frame. More gaps than `NACK_LIST`
//! mean that repair is hopeless: a key frame instead.

use arrayvec::ArrayVec;

use crate::limits::{NACK_LIST, NACK_TRIES};
use crate::time::{Duration, Instant};

/// A packet that is only late arrives within this.
const REORDER_WINDOW: Duration = Duration::from_millis(5);
/// As many newer packets end the reorder window early.
const REORDER_PACKETS: u64 = 2;
/// Never ask more often than this, however near the publisher is.
const RETRY_MIN: Duration = Duration::from_millis(20);
/// A receiver's play-out is past it by then.
const AGE_MAX: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug)]
struct Gap {
    sequence: u64,
    found_at: Instant,
    /// Packets received before the gap was seen.
    packets_before: u64,
    asked_at: Option<Instant>,
    tries: u8,
}

/// The gaps of one encoding, in order of sequence.
#[derive(Debug, Default)]
pub(super) struct NackList {
    gaps: Vec<Gap>,
    /// Packets received so far.
    packets: u64,
}

/// What the list thinks of what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repair {
    /// Packet by packet.
    Possible,
    /// Too much is missing: ask for a key frame.
    Hopeless,
}

impl NackList {
    /// Packets `from..to` were jumped over by the one received now.
    pub(super) fn missing(&mut self, now: Instant, from: u64, to: u64) -> Repair {
        let missing = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
        if self.gaps.len().saturating_add(missing) > NACK_LIST {
            self.gaps.clear();
            return Repair::Hopeless;
        }
        let packets_before = self.packets;
        self.gaps.extend((from..to).map(|sequence| Gap {
            sequence,
            found_at: now,
            packets_before,
            asked_at: None,
            tries: 0,
        }));
        Repair::Possible
    }

    /// A packet arrived that was not late.
    pub(super) const fn count_packet(&mut self) {
        self.packets += 1;
    }

    /// A late or repeated packet arrived. True where it was missed.
    pub(super) fn arrived(&mut self, sequence: u64) -> bool {
        match self
            .gaps
            .binary_search_by_key(&sequence, |gap| gap.sequence)
        {
            Ok(place) => {
                self.gaps.remove(place);
                true
            }
            Err(_) => false,
        }
    }

    /// A decoder can start at `sequence`: what is older is not worth asking for.
    pub(super) fn give_up_before(&mut self, sequence: u64) {
        self.gaps.retain(|gap| gap.sequence >= sequence);
    }

    /// Forgets all gaps.
    pub(super) fn clear(&mut self) {
        self.gaps.clear();
    }

    /// What to ask for now, sorted. Each is counted as asked.
    pub(super) fn take_due(&mut self, now: Instant, rtt: Duration) -> ArrayVec<u16, NACK_LIST> {
        self.gaps
            .retain(|gap| gap.tries < NACK_TRIES && now.since(gap.found_at) <= AGE_MAX);
        let packets = self.packets;
        let mut due = ArrayVec::new();
        for gap in &mut self.gaps {
            if gap.due(packets, rtt) > now || due.is_full() {
                continue;
            }
            gap.asked_at = Some(now);
            gap.tries += 1;
            let [.., high, low] = gap.sequence.to_be_bytes();
            due.push(u16::from_be_bytes([high, low]));
        }
        due
    }

    /// When [`NackList::take_due`] has something next.
    pub(super) fn next_due(&self, rtt: Duration) -> Option<Instant> {
        let packets = self.packets;
        self.gaps.iter().map(|gap| gap.due(packets, rtt)).min()
    }
}

impl Gap {
    fn due(&self, packets: u64, rtt: Duration) -> Instant {
        match self.asked_at {
            Some(asked_at) => asked_at + rtt.max(RETRY_MIN),
            None if packets.saturating_sub(self.packets_before) >= REORDER_PACKETS => self.found_at,
            None => self.found_at + REORDER_WINDOW,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(50);

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn a_gap_is_asked_for_after_the_reorder_window_and_again_each_round_trip() {
        let mut list = NackList::default();
        assert_eq!(list.missing(at(0), 10, 12), Repair::Possible);
        list.count_packet();
        assert_eq!(list.next_due(RTT), Some(at(5)));
        assert!(list.take_due(at(4), RTT).is_empty());
        assert_eq!(list.take_due(at(5), RTT).as_slice(), [10, 11]);
        assert!(list.take_due(at(54), RTT).is_empty());
        assert!(list.arrived(10) && !list.arrived(10));
        assert_eq!(list.take_due(at(55), RTT).as_slice(), [11]);
        assert_eq!(list.next_due(RTT), Some(at(105)));
    }

    #[test]
    fn two_newer_packets_end_the_reorder_window() {
        let mut list = NackList::default();
        list.missing(at(0), 10, 11);
        list.count_packet();
        assert!(list.take_due(at(1), RTT).is_empty());
        list.count_packet();
        assert_eq!(list.take_due(at(1), RTT).as_slice(), [10]);
    }

    #[test]
    fn asking_ends_after_the_tries_the_age_or_a_key_frame() {
        let mut list = NackList::default();
        list.missing(at(0), 10, 11);
        let asked = (0..400).filter(|&ms| !list.take_due(at(ms), Duration::ZERO).is_empty());
        assert_eq!(asked.count(), usize::from(NACK_TRIES));

        let mut list = NackList::default();
        list.missing(at(0), 10, 11);
        assert!(list.take_due(at(501), RTT).is_empty());
        assert_eq!(list.next_due(RTT), None);

        list.missing(at(600), 20, 24);
        list.give_up_before(22);
        assert_eq!(list.take_due(at(605), RTT).as_slice(), [22, 23]);
    }

    #[test]
    fn too_many_gaps_are_hopeless() {
        let mut list = NackList::default();
        assert_eq!(list.missing(at(0), 0, 200), Repair::Possible);
        assert_eq!(list.missing(at(0), 300, 400), Repair::Hopeless);
        assert_eq!(list.next_due(RTT), None);
        assert_eq!(list.missing(at(0), 0, u64::MAX), Repair::Hopeless);
    }
}

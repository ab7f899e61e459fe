//! What arrived when, source by source, turned into congestion control feedback (RFC 8888) for a
//! publisher that numbers its packets by no extension.
//!
//! Each report begins where the last one ended. A packet that was told of as lost is not told of
//! again.

use std::collections::VecDeque;

use crate::limits::{CONTROL_FEEDBACK_PACKETS, SSRCS_PER_TRANSPORT};
use crate::time::{Duration, Instant};
use crate::wire::ccfb;
use crate::wire::sequence::SequenceUnwrapper;

/// Feedback is due so long after the first untold arrival.
const INTERVAL: Duration = Duration::from_millis(50);

/// One source.
#[derive(Debug)]
struct Source {
    ssrc: u32,
    unwrapper: SequenceUnwrapper,
    /// Sequence number of the first entry; all before was told.
    base: Option<u64>,
    arrivals: VecDeque<Option<Instant>>,
}

impl Source {
    fn new(ssrc: u32) -> Self {
        Self {
            ssrc,
            unwrapper: SequenceUnwrapper::default(),
            base: None,
            arrivals: VecDeque::new(),
        }
    }

    /// True where it has to be told.
    fn push(&mut self, sequence: u16, arrived_at: Instant) -> bool {
        let sequence = self.unwrapper.unwrap(sequence);
        let base = *self.base.get_or_insert(sequence);
        let Some(place) = sequence.checked_sub(base) else {
            return false;
        };
        let most = CONTROL_FEEDBACK_PACKETS as u64;
        if place >= most {
            // A leap: what lies before it is given up.
            let skipped = place + 1 - most;
            for _ in 0..skipped.min(self.arrivals.len() as u64) {
                self.arrivals.pop_front();
            }
            self.base = Some(base + skipped);
        }
        let place = usize::try_from(place.min(most - 1)).unwrap_or(0);
        if self.arrivals.len() <= place {
            self.arrivals.resize(place + 1, None);
        }
        let entry = self.arrivals.get_mut(place).filter(|entry| entry.is_none());
        entry.map(|entry| *entry = Some(arrived_at)).is_some()
    }
}

/// Arrivals not told yet.
#[derive(Debug, Default)]
pub(super) struct Reception {
    sources: Vec<Source>,
    due_at: Option<Instant>,
}

impl Reception {
    /// A packet arrived.
    pub(super) fn push(&mut self, ssrc: u32, sequence: u16, arrived_at: Instant) {
        let place = self.sources.iter().position(|source| source.ssrc == ssrc);
        let place = place.unwrap_or_else(|| {
            if self.sources.len() >= SSRCS_PER_TRANSPORT {
                self.sources.remove(0);
            }
            self.sources.push(Source::new(ssrc));
            self.sources.len() - 1
        });
        let source = self.sources.get_mut(place);
        if source.is_some_and(|source| source.push(sequence, arrived_at)) {
            self.due_at.get_or_insert(arrived_at + INTERVAL);
        }
    }

    /// When [`Reception::write`] has something.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.due_at
    }

    /// Writes one feedback packet where one is due; call until none.
    pub(super) fn write(&mut self, now: Instant, sender: u32, out: &mut [u8]) -> Option<usize> {
        self.due_at.filter(|at| *at <= now)?;
        let mut left = CONTROL_FEEDBACK_PACKETS;
        let mut blocks: Vec<(u32, u16, Vec<Option<u64>>)> = Vec::new();
        for source in &mut self.sources {
            let count = source.arrivals.len().min(left);
            let Some(base) = source.base.filter(|_| count > 0) else {
                continue;
            };
            // The room of a packet: the rest goes into the next.
            if ccfb::bytes(blocks.len() + 1, CONTROL_FEEDBACK_PACKETS - left + count) > out.len() {
                break;
            }
            left -= count;
            let ago = |at: Instant| u64::try_from(now.since(at).as_micros()).unwrap_or(u64::MAX);
            let told = source.arrivals.drain(..count);
            let told = told.map(|arrival| arrival.map(ago)).collect();
            source.base = Some(base + count as u64);
            let [.., high, low] = base.to_be_bytes();
            blocks.push((source.ssrc, u16::from_be_bytes([high, low]), told));
        }
        if self.sources.iter().all(|it| it.arrivals.is_empty()) || blocks.is_empty() {
            self.due_at = None;
        }
        let blocks = blocks
            .iter()
            .map(|(ssrc, first, told)| (*ssrc, *first, told.as_slice()));
        let blocks: Vec<ccfb::Block<'_>> = blocks.collect();
        if blocks.is_empty() {
            return None;
        }
        ccfb::write(sender, timestamp(now), &blocks, out)
    }
}

/// The middle of an NTP time on a clock of our own: only differences are looked at.
fn timestamp(now: Instant) -> u32 {
    let ticks = u128::from(now.as_micros()) * 65_536 / 1_000_000;
    u32::try_from(ticks & 0xFFFF_FFFF).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ccfb::{Arrival, ControlFeedback};

    fn told(log: &mut Reception, now: u64) -> Vec<(u32, u16, Option<u16>)> {
        let mut told = Vec::new();
        let mut out = [0; 1_200];
        while let Some(length) = log.write(Instant::from_millis(now), 1, &mut out) {
            let feedback = ControlFeedback::parse(&out[4..length]).unwrap();
            told.extend(feedback.iter().map(|it| {
                let ago = it.arrival.map(|arrival| match arrival {
                    Arrival::Before(ago) => ago,
                    Arrival::Unknown => u16::MAX,
                });
                (it.ssrc, it.sequence, ago)
            }));
        }
        told
    }

    #[test]
    fn arrivals_and_gaps_of_each_source_are_told_once_when_due() {
        let mut log = Reception::default();
        for (ssrc, sequence, at) in [(7, 65_535, 10), (7, 1, 20), (8, 5, 30), (7, 1, 31)] {
            log.push(ssrc, sequence, Instant::from_millis(at));
        }
        assert_eq!(log.due_at(), Some(Instant::from_millis(60)));
        assert!(told(&mut log, 59).is_empty());
        let expected = [
            (7, 65_535, Some(51)),
            (7, 0, None),
            (7, 1, Some(40)),
            (8, 5, Some(30)),
        ];
        assert_eq!(told(&mut log, 60), expected);
        assert_eq!(log.due_at(), None);
        // Told of as lost already; the next begins where that ended.
        log.push(7, 0, Instant::from_millis(61));
        assert_eq!(log.due_at(), None);
        log.push(7, 3, Instant::from_millis(70));
        assert_eq!(told(&mut log, 120), [(7, 2, None), (7, 3, Some(51))]);
    }

    #[test]
    fn leaps_and_floods_stay_within_bounds() {
        let mut log = Reception::default();
        for n in 0..20_000_u32 {
            let sequence = u16::try_from(n * 7_919 % 65_536).unwrap();
            log.push(n % 100, sequence, Instant::from_millis(10));
            assert!(log.sources.len() <= SSRCS_PER_TRANSPORT);
        }
        let most = log.sources.iter().map(|source| source.arrivals.len()).max();
        assert!(most <= Some(CONTROL_FEEDBACK_PACKETS));
        assert!(!told(&mut log, 1_000).is_empty());
        assert_eq!(log.due_at(), None);
        assert!(log.sources.iter().all(|source| source.arrivals.is_empty()));
    }
}

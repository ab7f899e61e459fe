//! What arrived when, turned into transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-
//! extensions-01) for the publisher's own estimator.
//!
//! Times are the kernel's. Feedback goes out every 50 to 100 ms: less often the less there is.

use std::collections::VecDeque;

use crate::limits::TRANSPORT_FEEDBACK_WRITTEN;
use crate::prefetch::prefetch;
use crate::time::{Duration, Instant};
use crate::wire::sequence::SequenceUnwrapper;
use crate::wire::twcc::TransportFeedbackWriter;

/// Arrivals waiting to be told; the oldest leave. At 100 ms that is 20,000 packets a second.
const WAITING: usize = 2_048;
/// Feedback is due this long after the first untold arrival where many wait.
const INTERVAL_MIN: Duration = Duration::from_millis(50);
/// And this long where few do.
const INTERVAL_MAX: Duration = Duration::from_millis(100);
/// Many.
const MANY: usize = 20;

/// Arrivals not told yet.
#[derive(Debug, Default)]
pub(super) struct Log {
    unwrapper: SequenceUnwrapper,
    /// The sequence number of the first entry.
    base: u64,
    arrivals: VecDeque<Option<Instant>>,
    waiting: usize,
    /// Everything below was told, or given up.
    told: u64,
    due_at: Option<Instant>,
    feedback_count: u8,
}

impl Log {
    /// Asks for what a departure looks at.
    pub(super) fn prefetch(&self) {
        prefetch(&self.waiting);
        prefetch(&self.due_at);
    }

    /// A packet arrived. A repeated one counts once; one that was told of as lost comes too late.
    pub(super) fn push(&mut self, sequence: u16, arrived_at: Instant) {
        let sequence = self.unwrapper.unwrap(sequence);
        if sequence < self.told {
            return;
        }
        if self.arrivals.is_empty() {
            self.base = if self.told == 0 { sequence } else { self.told };
        }
        if sequence < self.base {
            // Before anything was told, a packet may come ahead of the first one.
            let missing = usize::try_from(self.base - sequence).unwrap_or(usize::MAX);
            if missing + self.arrivals.len() > WAITING {
                return;
            }
            for _ in 0..missing {
                self.arrivals.push_front(None);
            }
            self.base = sequence;
        }
        let mut place = sequence - self.base;
        if place >= WAITING as u64 {
            // A leap: what lies before it is given up.
            let skipped = place + 1 - WAITING as u64;
            self.skip(skipped);
            place -= skipped;
        }
        let place = usize::try_from(place).unwrap_or(WAITING);
        if self.arrivals.len() <= place {
            self.arrivals.resize(place + 1, None);
        }
        if let Some(entry) = self.arrivals.get_mut(place).filter(|entry| entry.is_none()) {
            *entry = Some(arrived_at);
            self.waiting += 1;
        }
        self.schedule(arrived_at);
    }

    fn schedule(&mut self, from: Instant) {
        let soon = from + INTERVAL_MIN;
        self.due_at = Some(match self.due_at {
            Some(due_at) if self.waiting < MANY => due_at,
            Some(due_at) => due_at.min(soon),
            None => from + INTERVAL_MAX,
        });
    }

    /// Forgets the first `count` entries.
    fn skip(&mut self, count: u64) {
        for _ in 0..count.min(self.arrivals.len() as u64) {
            if self.arrivals.pop_front().flatten().is_some() {
                self.waiting = self.waiting.saturating_sub(1);
            }
        }
        self.base += count;
        self.told = self.told.max(self.base);
    }

    /// When [`Log::write`] has something.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.due_at
    }

    /// Writes one feedback packet where one is due; call until none.
    pub(super) fn write(
        &mut self,
        now: Instant,
        sender: u32,
        media: u32,
        out: &mut [u8],
    ) -> Option<usize> {
        if self.due_at.is_none_or(|at| at > now) {
            return None;
        }
        let writer = TransportFeedbackWriter {
            sender,
            media,
            feedback_count: self.feedback_count,
        };
        // The media source's number on the wire is the low half.
        let [.., high, low] = self.base.to_be_bytes();
        let arrivals = self
            .arrivals
            .iter()
            .copied()
            .take(TRANSPORT_FEEDBACK_WRITTEN);
        let Some(written) = writer.write(u16::from_be_bytes([high, low]), arrivals, out) else {
            // The first ones are all missing, or times lie too far apart: move on past them.
            let lost = self
                .arrivals
                .iter()
                .take_while(|entry| entry.is_none())
                .count();
            self.skip(lost.max(1) as u64);
            self.settle(now);
            return None;
        };
        self.feedback_count = self.feedback_count.wrapping_add(1);
        self.skip(u64::from(written.packets.max(1)));
        self.settle(now);
        Some(written.bytes)
    }

    fn settle(&mut self, now: Instant) {
        self.due_at = (self.waiting > 0).then_some(now);
        if self.waiting == 0 {
            self.arrivals.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::twcc::TransportFeedback;

    fn told(log: &mut Log, now: Instant) -> Vec<(u16, bool)> {
        let mut told = Vec::new();
        let mut out = [0; 1_200];
        while let Some(length) = log.write(now, 1, 2, &mut out) {
            let feedback = TransportFeedback::parse(&out[4..length]).unwrap();
            told.extend(
                feedback
                    .iter()
                    .map(|(sequence, arrival)| (sequence, arrival.is_some())),
            );
        }
        told
    }

    #[test]
    fn arrivals_and_gaps_are_told_once_when_due() {
        let mut log = Log::default();
        for sequence in [65_534, 65_535, 1, 1] {
            log.push(sequence, Instant::from_millis(10));
        }
        assert_eq!(told(&mut log, Instant::from_millis(109)), []);
        assert_eq!(log.due_at(), Some(Instant::from_millis(110)));
        let expected = [(65_534, true), (65_535, true), (0, false), (1, true)];
        assert_eq!(told(&mut log, Instant::from_millis(110)), expected);
        assert_eq!(log.due_at(), None);
        // Told as lost already.
        log.push(0, Instant::from_millis(111));
        assert_eq!(log.due_at(), None);
        log.push(3, Instant::from_millis(120));
        assert_eq!(
            told(&mut log, Instant::from_millis(220)),
            [(2, false), (3, true)]
        );
    }

    #[test]
    fn many_arrivals_are_told_sooner() {
        let mut log = Log::default();
        for sequence in 0..40 {
            log.push(sequence, Instant::from_millis(u64::from(sequence)));
        }
        assert_eq!(log.due_at(), Some(Instant::from_millis(69)));
        assert_eq!(told(&mut log, Instant::from_millis(69)).len(), 40);
    }

    #[test]
    fn a_leap_and_a_flood_stay_within_bounds() {
        let mut log = Log::default();
        for round in 0..50_u16 {
            log.push(
                round.wrapping_mul(20_000),
                Instant::from_millis(u64::from(round)),
            );
            assert!(log.arrivals.len() <= WAITING);
        }
        for sequence in 0..20_000_u16 {
            log.push(sequence, Instant::from_millis(100));
            assert!(log.arrivals.len() <= WAITING);
        }
        let first = told(&mut log, Instant::from_millis(400));
        assert!(first.len() <= 3 * WAITING);
        assert_eq!(log.waiting, 0);
    }
}

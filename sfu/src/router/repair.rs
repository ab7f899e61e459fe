//! Repeats to a subscriber: what it asks for again (generic NACK, RFC 4585 §6.2.1), what that may
//! cost, and what is refused.
//!
//! Every answer is taken from the shared history. A packet is repeated `RETRANSMISSIONS_PER_PACKET`
//! times at most, about a round trip apart, and from the second time on twice each; all repeats of a
//! subscriber together take a quarter of what its path carries. Beyond that a key frame mends more
//! than repeats would, and one is asked for. Who asks for more numbers than any loss explains is not
//! listened to.

use super::{Router, member_mut};
use crate::id::{MemberKey, SectionKey};
use crate::limits::NACKED_PER_SECOND;
use crate::router::ticket::{Ticket, TicketClass};
use crate::time::{Duration, Instant};
use crate::units::{Bitrate, MediaKind};

/// Of what a path carries, and of what is sent to one that is not known: one in so many.
const SHARE: u64 = 4;
/// What may be repeated at once however narrow the path: the larger part of a key frame.
const BURST_MIN: u64 = 32 << 10;
/// And on a path that is not known: a second of a large picture.
const BURST_UNKNOWN: u64 = 128 << 10;
/// Time is taken in steps of this, so that nothing is lost to rounding.
const STEP: Duration = Duration::from_millis(1);
/// A subscriber whose repeats are refused makes its publisher send a key frame to all not more
/// often than this. It may still ask for one itself.
const KEYFRAME_EVERY: Duration = Duration::from_secs(2);

/// What one subscriber may have repeated.
#[derive(Clone, Copy, Debug)]
pub(super) struct RepairBudget {
    /// What its path carries, where that is known.
    estimate: Option<Bitrate>,
    /// Bytes that may be repeated now.
    credit: u64,
    /// Numbers that may be asked for now.
    numbers: u64,
    settled_at: Instant,
    keyframe_at: Option<Instant>,
    is_told: bool,
}

impl Default for RepairBudget {
    fn default() -> Self {
        Self {
            estimate: None,
            credit: BURST_MIN,
            numbers: NACKED_PER_SECOND,
            settled_at: Instant::ZERO,
            keyframe_at: None,
            is_told: false,
        }
    }
}

impl RepairBudget {
    /// What the path carries; none where nothing is known of it.
    pub(super) fn set_estimate(&mut self, now: Instant, estimate: Option<Bitrate>) {
        self.settle(now);
        self.estimate = estimate;
        self.credit = self.credit.min(self.burst());
    }

    /// Whether it is known what the path loses.
    pub(super) fn is_told(&self) -> bool {
        self.is_told
    }

    /// So many bytes of media were sent for the first time.
    pub(super) fn sent(&mut self, bytes: usize) {
        if self.estimate.is_none() {
            self.credit = (self.credit + bytes as u64 / SHARE).min(BURST_UNKNOWN);
        }
    }

    /// Whether a number that is asked for is looked at.
    fn listens(&mut self, now: Instant) -> bool {
        self.settle(now);
        let rest = self.numbers.checked_sub(1);
        self.numbers = rest.unwrap_or(0);
        rest.is_some()
    }

    /// Whether a packet of so many bytes may be repeated; if so it is paid for.
    fn spend(&mut self, bytes: usize) -> bool {
        let rest = self.credit.checked_sub(bytes as u64);
        self.credit = rest.unwrap_or(self.credit);
        rest.is_some()
    }

    /// Whether a key frame is to be asked for in place of repeats; if so it counts as asked.
    fn wants_keyframe(&mut self, now: Instant) -> bool {
        let wants = self
            .keyframe_at
            .is_none_or(|at| now.since(at) >= KEYFRAME_EVERY);
        if wants {
            self.keyframe_at = Some(now);
        }
        wants
    }

    fn settle(&mut self, now: Instant) {
        let passed = now.since(self.settled_at);
        if passed < STEP {
            return;
        }
        self.settled_at = now;
        // What has gathered after a second is as much as there may be.
        let micros = u64::try_from(passed.as_micros()).map_or(1_000_000, |it| it.min(1_000_000));
        self.numbers =
            (self.numbers + micros * NACKED_PER_SECOND / 1_000_000).min(NACKED_PER_SECOND);
        if let Some(per_second) = self.per_second() {
            self.credit = (self.credit + micros * per_second / 1_000_000).min(self.burst());
        }
    }

    /// Bytes, bounded so that a second of microseconds can be multiplied by them.
    fn per_second(&self) -> Option<u64> {
        let estimate = self.estimate?.as_bps() / 8 / SHARE;
        Some(estimate.min(u64::from(u32::MAX)))
    }

    fn burst(&self) -> u64 {
        self.per_second()
            .map_or(BURST_UNKNOWN, |bytes| bytes.max(BURST_MIN))
    }
}

/// Why a number that was asked for is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// Too soon, too often, never sent, forgotten, or not negotiated.
    Throttled,
    /// It would cost too much.
    Budget,
}

impl Router {
    /// A subscriber misses packets of a section.
    pub fn handle_nack(
        &mut self,
        now: Instant,
        member: MemberKey,
        media_ssrc: u32,
        sequences: impl Iterator<Item = u16>,
    ) {
        let Some((section, _)) = self.section_by_ssrc(member, media_ssrc) else {
            return;
        };
        let mut is_over = false;
        for sequence in sequences {
            let Some(subscriber) = member_mut(&mut self.members, member) else {
                return;
            };
            if !subscriber.repairs.listens(now) {
                self.stats.nack_storms += 1;
                break;
            }
            self.stats.nacks_in += 1;
            match self.answer(now, member, section, sequence) {
                Ok(()) => {}
                Err(Refusal::Throttled) => self.stats.throttled += 1,
                Err(Refusal::Budget) => {
                    self.stats.over_budget += 1;
                    is_over = true;
                }
            }
        }
        if is_over {
            self.mend_by_keyframe(now, member, section);
        }
        self.activate(member);
    }

    /// What the path to a member carries; none where that is not known.
    pub fn set_estimate(&mut self, now: Instant, member: MemberKey, estimate: Option<Bitrate>) {
        if let Some(found) = member_mut(&mut self.members, member) {
            found.repairs.set_estimate(now, estimate);
        }
    }

    /// Whether what arrives at a member is told by SSRC and sequence number (RFC 8888).
    #[must_use]
    pub fn is_reported(&self, member: MemberKey) -> bool {
        let sections = self.members.get(member.index()).and_then(Option::as_ref);
        let sections = sections.map_or(&[][..], |found| &found.sections);
        let mut sections = sections
            .iter()
            .filter_map(|key| self.sections.get(key.index()));
        sections.any(|section| section.is_reported)
    }

    /// So much is lost on the path to a member, in thousandths: its sound gets copies,
    /// and its pictures wait for repeats.
    pub fn set_loss(&mut self, now: Instant, member: MemberKey, loss: u16) {
        let Some(found) = member_mut(&mut self.members, member) else {
            return;
        };
        found.repairs.is_told = true;
        let rtt = found.rtt;
        for key in &found.sections {
            if let Some(section) = self.sections.get_mut(key.index()) {
                section.redundancy.note_loss(now, loss);
                if section.plan.kind == MediaKind::Video && section.repeats() {
                    section.playout.note(now, loss, rtt);
                }
            }
        }
    }

    /// Makes a ticket for a packet that is asked for.
    fn answer(
        &mut self,
        now: Instant,
        member: MemberKey,
        key: SectionKey,
        sequence: u16,
    ) -> Result<(), Refusal> {
        let section = self.sections.get_mut(key.index());
        let section = section.ok_or(Refusal::Throttled)?;
        let subscriber = member_mut(&mut self.members, member).ok_or(Refusal::Throttled)?;
        let asked = section.numbers.asked(now, sequence, subscriber.rtt);
        let asked = asked
            .filter(|_| section.repeats())
            .ok_or(Refusal::Throttled)?;
        let encoding = self.encodings.get(asked.encoding.index());
        let entry = encoding.and_then(|encoding| encoding.history.get(asked.input));
        let bytes = entry.ok_or(Refusal::Throttled)?.bytes();
        if !subscriber.repairs.spend(bytes) {
            return Err(Refusal::Budget);
        }
        section.numbers.answered(now, asked.number);
        let before = subscriber.queue.len();
        let ticket = Ticket::new(key, asked.encoding, asked.number, TicketClass::Repair);
        let mut push = || subscriber.queue.push(ticket);
        let mut dropped = push();
        // Who waits for it already hardly has the time to ask once more: twice, then.
        if asked.is_again && subscriber.repairs.spend(bytes) {
            dropped += push();
        }
        self.stats.queue_full += dropped;
        self.tickets = (self.tickets + subscriber.queue.len()).saturating_sub(before);
        Ok(())
    }

    /// Repeats are refused: what the section shows begins anew instead.
    fn mend_by_keyframe(&mut self, now: Instant, member: MemberKey, key: SectionKey) {
        let Some(section) = self.sections.get(key.index()) else {
            return;
        };
        let shown = section.selector.current();
        let Some(shown) = shown.filter(|_| section.plan.kind == MediaKind::Video) else {
            return;
        };
        let subscriber = member_mut(&mut self.members, member);
        if subscriber.is_some_and(|found| found.repairs.wants_keyframe(now)) {
            self.want_keyframe(now, shown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    /// Packets of 1,000 bytes that may be repeated now.
    fn spent(budget: &mut RepairBudget) -> usize {
        (0..1_000).take_while(|_| budget.spend(1_000)).count()
    }

    #[test]
    fn a_quarter_of_the_estimate_is_for_repeats() {
        let mut budget = RepairBudget::default();
        budget.set_estimate(at(0), Some(Bitrate::from_kbps(4_000)));
        assert_eq!(spent(&mut budget), 32, "BURST_MIN");
        for step in 1..=10 {
            // Called often and rarely, it is the same.
            for ms in 0..100 {
                budget.settle(at((step - 1) * 100 + ms));
            }
        }
        budget.settle(at(1_000));
        assert_eq!(spent(&mut budget), 125, "a quarter of a second of 4 Mb/s");
        budget.settle(at(60_000));
        assert_eq!(spent(&mut budget), 125, "no more gathers than a second's");
        budget.set_estimate(at(60_000), Some(Bitrate::UNLIMITED));
        budget.settle(at(61_000));
        assert_eq!(spent(&mut budget), 1_000);
    }

    #[test]
    fn where_nothing_is_known_a_quarter_of_what_is_sent_is_for_repeats() {
        let mut budget = RepairBudget::default();
        assert_eq!(spent(&mut budget), 32);
        budget.settle(at(10_000));
        assert_eq!(spent(&mut budget), 0, "time alone gives nothing");
        for _ in 0..40 {
            budget.sent(1_200);
        }
        assert_eq!(spent(&mut budget), 12);
        for _ in 0..10_000 {
            budget.sent(1_200);
        }
        assert_eq!(spent(&mut budget), 131, "BURST_UNKNOWN");
    }

    #[test]
    fn a_storm_is_not_listened_to_and_passes() {
        let mut budget = RepairBudget::default();
        let heard = |budget: &mut RepairBudget, now| {
            (0..10_000).take_while(|_| budget.listens(now)).count() as u64
        };
        assert_eq!(heard(&mut budget, at(0)), NACKED_PER_SECOND);
        assert_eq!(heard(&mut budget, at(500)), NACKED_PER_SECOND / 2);
        assert_eq!(heard(&mut budget, at(9_000)), NACKED_PER_SECOND);
    }
}

//! What is charged to whom; the estimator against a link that becomes slower.

use super::*;
use crate::time::{Duration, Instant};
use crate::units::Bitrate;
use crate::wire::ccfb::Arrival;

/// Of a packet on the wire.
const PACKET: u32 = 1_250;
/// One way.
const DELAY: u64 = 25_000;
/// Between feedbacks, µs.
const TOLD_EVERY: u64 = 60_000;
/// Between pictures, and between packets of one, as a pacer lets them go, µs.
const PICTURE: u64 = 66_000;
const SPACE: u64 = 3_500;

/// A link that serves one packet after the other.
struct Link {
    estimator: Estimator,
    now: u64,
    free_at: u64,
    /// Their numbers and when they arrive, µs.
    flying: std::collections::VecDeque<(u64, u64)>,
    next: u64,
}

impl Link {
    fn new() -> Self {
        Self {
            estimator: Estimator::new(Instant::ZERO, Bitrate::from_kbps(2_000)),
            now: 0,
            free_at: 0,
            flying: std::collections::VecDeque::new(),
            next: 1,
        }
    }

    /// Time that a packet sent now would wait, µs.
    fn wait(&self) -> u64 {
        self.free_at.saturating_sub(self.now)
    }

    /// Pictures of so many packets for so long over `bps`; or until what is believed is below `until`.
    fn play(&mut self, packets: u64, millis: u64, bps: u64, until: Bitrate) {
        let end = self.now + millis * 1_000;
        while self.now < end && self.estimator.estimate().carried >= until {
            let (place, rest) = (self.now % PICTURE / SPACE, self.now % PICTURE % SPACE);
            if rest == 0 && place < packets {
                let at = Instant::from_micros(self.now);
                self.estimator.sent(at, self.next, PACKET, 0);
                self.free_at = self.free_at.max(self.now) + u64::from(PACKET) * 8_000_000 / bps;
                self.flying.push_back((self.next, self.free_at + DELAY));
                self.next += 1;
            }
            if self.now % TOLD_EVERY == DELAY {
                self.tell();
            }
            self.now += 100;
        }
    }

    /// What had arrived one way ago.
    fn tell(&mut self) {
        let written = self.now.saturating_sub(DELAY);
        let mut told = Vec::new();
        while let Some(&(number, at)) = self.flying.front().filter(|(_, at)| *at <= written) {
            let ticks = u16::try_from((written - at) * 1_024 / 1_000_000).unwrap();
            told.push((number, Some(Arrival::Before(ticks))));
            self.flying.pop_front();
        }
        let timestamp = u32::try_from(written * 65_536 / 1_000_000).unwrap();
        let now = Instant::from_micros(self.now);
        self.estimator.control_feedback(now, timestamp, &told);
    }
}

#[test]
fn a_link_that_becomes_slower_is_known_within_two_feedbacks_and_with_it_what_stands_before_it() {
    for begins in [0, 13, 29, 41, 57] {
        let mut link = Link::new();
        link.play(11, 3_000 + begins, 2_000_000, Bitrate::default());
        let before = link.estimator.estimate();
        assert!(before.carried > Bitrate::from_kbps(1_600), "{before:?}");
        assert!(before.ahead < Duration::from_millis(40), "{before:?}");
        let fell = link.now;
        link.play(11, 1_000, 600_000, Bitrate::from_kbps(800));
        let (took, estimate) = ((link.now - fell) / 1_000, link.estimator.estimate());
        // A picture that shows it, the way here and there, and the feedback's interval.
        assert!(took <= 210, "{begins}: {took} ms");
        let off = estimate.carried.as_bps().abs_diff(570_000);
        assert!(off < 120_000, "{begins}: {estimate:?}");
        let ahead = u64::try_from(estimate.ahead.as_micros()).unwrap();
        assert!(
            ahead.abs_diff(link.wait()) < 110_000,
            "{begins}: {estimate:?}, {} µs",
            link.wait()
        );
    }
}

#[test]
fn a_pause_of_a_link_is_no_slower_link() {
    // However much of what was found to fit is used.
    for (packets, pause) in [(11, 60), (3, 70), (3, 120), (5, 100)] {
        let mut link = Link::new();
        link.play(packets, 3_000, 2_000_000, Bitrate::default());
        let before = link.estimator.estimate();
        // Nothing is served, as where a radio looks at other channels.
        link.free_at = link.now + pause * 1_000;
        let half = Bitrate::from_bps(before.carried.as_bps() / 2);
        link.play(packets, 600, 2_000_000, half);
        let after = link.estimator.estimate();
        assert!(
            after.carried > half,
            "{packets}, {pause}: {before:?} {after:?}"
        );
    }
}

#[test]
fn everything_sent_is_charged_to_its_class() {
    let mut budget = Budget::default();
    budget.charge(BudgetClass::Audio, 100);
    budget.charge(BudgetClass::Video, 1_200);
    budget.charge(BudgetClass::Audio, 50);
    assert_eq!(budget.charged(BudgetClass::Audio), 150);
    assert_eq!(budget.charged(BudgetClass::Video), 1_200);
    assert_eq!(budget.charged(BudgetClass::Data), 0);
}

//! How good each participant's connection is, in one word, for the others to see.
//!
//! Judged by what is lost on the way up (our receiver reports), on the way down (its feedback) and by
//! how long it takes there and back; whenever the participant says something of what it receives, and
//! at most every two seconds. So it needs no timer, and who says nothing costs nothing. Worse is told
//! at once, better once it has been better for a while: the word stands on a tile and must not flicker.

use super::event::Quality;
use super::room::Room;
use crate::id::MemberKey;
use crate::time::{Duration, Instant};

/// Between two judgements.
const PACE: Duration = Duration::from_secs(2);
/// So many better judgements on end make it better.
const STEADY: u8 = 3;
/// Thousandths lost, and there and back: beyond these it is fair, or poor.
const FAIR: (u16, Duration) = (20, Duration::from_millis(200));
const POOR: (u16, Duration) = (80, Duration::from_millis(500));

/// What was judged of one participant.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    quality: Quality,
    /// Thousandths lost on the way up: a report is about one second, in which one packet of fifty
    /// is chance.
    up: u16,
    better: u8,
    due: Instant,
}

impl Judgement {
    /// What was last judged.
    pub(super) const fn quality(&self) -> Quality {
        self.quality
    }

    fn is_due(&self, now: Instant) -> bool {
        self.due <= now
    }

    /// Judges by thousandths lost up and down; true where it comes to another word.
    fn judge(&mut self, now: Instant, (up, down): (u16, u16), rtt: Duration) -> bool {
        self.due = now + PACE;
        self.up = self.up / 2 + up / 2;
        let loss = self.up.max(down);
        let beyond = |(most, longest): (u16, Duration)| loss > most || rtt > longest;
        let seen = if beyond(POOR) {
            Quality::Poor
        } else if beyond(FAIR) {
            Quality::Fair
        } else {
            Quality::Good
        };
        self.better = if seen < self.quality {
            self.better + 1
        } else {
            0
        };
        if seen <= self.quality && self.better < STEADY {
            return false;
        }
        self.better = 0;
        self.quality = seen;
        true
    }
}

impl Room {
    /// A participant has told how things arrive: looks how good its connection is.
    pub(super) fn judge_quality(&mut self, now: Instant, key: MemberKey) {
        let Some(member) = self.members.get_mut(key.index()) else {
            return;
        };
        if !member.judgement.is_due(now) {
            return;
        }
        let up = self.router.uplink_loss(key);
        // Sums (REMB) say nothing of losses.
        let told = member.transport.estimate();
        let told = told.filter(|_| member.transport.is_paced());
        let down = told.map_or(0, |estimate| super::feedback::thousandths(estimate.loss));
        let rtt = member.transport.rtt().unwrap_or_default();
        if member.judgement.judge(now, (up, down), rtt) {
            member.dirty.quality = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of judgements two seconds apart, each (thousandths up, down, milliseconds), and
    /// when.
    fn told(judgements: &[(u16, u16, u64)]) -> Vec<(usize, Quality)> {
        let mut judgement = Judgement::default();
        let mut told = Vec::new();
        for (place, &(up, down, rtt)) in judgements.iter().enumerate() {
            let now = Instant::from_millis(2_000 * (place as u64 + 1));
            assert!(judgement.is_due(now));
            if judgement.judge(now, (up, down), Duration::from_millis(rtt)) {
                told.push((place, judgement.quality()));
            }
            assert!(!judgement.is_due(now + Duration::from_millis(1_999)));
        }
        told
    }

    #[test]
    fn worse_is_told_at_once_and_better_when_it_lasts() {
        use Quality::{Fair, Good, Poor};
        let good = (0, 0, 30);
        for (what, judgements, expected) in [
            ("nothing is wrong", vec![good; 5], vec![]),
            ("at the border", vec![(20, 20, 200); 5], vec![]),
            (
                "lost on the way down",
                vec![good, (0, 21, 30)],
                vec![(1, Fair)],
            ),
            (
                "one packet of fifty, once",
                vec![good, (20, 0, 30), good],
                vec![],
            ),
            ("lost on the way up", vec![(50, 0, 30); 3], vec![(0, Fair)]),
            (
                "much of it, which a second report confirms",
                vec![(150, 0, 30); 3],
                vec![(0, Fair), (1, Poor)],
            ),
            ("far away", vec![(0, 0, 201)], vec![(0, Fair)]),
            (
                "a queue of half a second",
                vec![(0, 0, 501)],
                vec![(0, Poor)],
            ),
            (
                "better for a moment",
                vec![(0, 100, 30), good, good, (0, 100, 30), good, good],
                vec![(0, Poor)],
            ),
            (
                "better for good",
                vec![(0, 100, 30), good, good, good, good],
                vec![(0, Poor), (3, Good)],
            ),
            (
                "somewhat better",
                vec![(0, 100, 30), (0, 30, 30), (0, 30, 30), (0, 30, 30)],
                vec![(0, Poor), (3, Fair)],
            ),
        ] {
            assert_eq!(told(&judgements), expected, "{what}");
        }
    }
}

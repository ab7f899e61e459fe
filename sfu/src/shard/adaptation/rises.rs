//! The queue that the key frame of a larger picture makes.
//!
//! A picture that grows begins with a key frame, of some tenths of a second of a narrow path. It waits
//! before the path, and what is read of the path meanwhile is rough: taken for a path that carries less
//! it would be the reason to take the larger picture back as soon as it is there, and to try it again
//! some seconds later. So for as long as that key frame needs to pass, a queue that is not longer than
//! it explains takes nothing away.

use super::{QUEUE_SHORT, is_ours};
use crate::router::Router;
use crate::shard::room::Member;
use crate::time::{Duration, Instant};
use crate::units::Bitrate;

/// A payload with its headers on the wire, in hundredths of the payload.
const WIRE: u64 = 110;
/// A key frame explains no more than this.
const EXPLAINS_MOST: Duration = Duration::from_millis(250);
/// What was before it in the queue, and the feedback that tells of its end, take so long.
const AROUND: Duration = Duration::from_millis(450);

/// How long the key frame of a rise takes on a path of `carried`; none: it is through. `rise`: how
/// long ago it came, and its bytes.
fn takes((since, bytes): (Duration, u64), carried: Bitrate) -> Option<Duration> {
    let bits = bytes.saturating_mul(WIRE) * 8 / 100;
    let takes = bits.saturating_mul(1_000_000) / carried.as_bps().max(1);
    let takes = Duration::from_micros(takes).min(EXPLAINS_MOST);
    (since <= takes + AROUND).then_some(takes)
}

/// Whether what is `ahead` in the queue is no more than rises explain.
fn explains(
    rises: impl Iterator<Item = (Duration, u64)>,
    carried: Bitrate,
    ahead: Duration,
) -> bool {
    let takes = rises.filter_map(|rise| takes(rise, carried));
    let explained = takes.reduce(|sum, one| sum + one);
    explained.is_some_and(|explained| ahead < QUEUE_SHORT + explained.min(EXPLAINS_MOST))
}

impl Member {
    /// Notes whether what waits before it is the key frame of a picture that has just become larger.
    pub(super) fn look_at_rises(&mut self, now: Instant, router: &Router) {
        let adaptation = &mut self.adaptation;
        let Some(estimate) = self.transport.estimate().filter(is_ours) else {
            adaptation.is_of_a_rise = false;
            return;
        };
        let sections = self.sections.iter();
        let risen = sections.filter_map(|open| router.risen(open.key));
        let risen = risen.map(|(at, bytes)| (now.since(at), bytes));
        // What was known before the queue, or is known by now.
        let carried = estimate.carried.max(adaptation.decided_on);
        adaptation.is_of_a_rise = explains(risen, carried, estimate.ahead);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::adaptation::{Adaptation, UNMEASURED};
    use crate::transport::congestion::{Cause, Estimate};

    const CARRIED: Bitrate = Bitrate::from_kbps(400);

    /// Rises as (ms ago, bytes of the key frame), and ms that are ahead.
    fn explained(rises: &[(u64, u64)], ahead: u64) -> bool {
        let rises = rises.iter();
        let rises = rises.map(|&(since, bytes)| (Duration::from_millis(since), bytes));
        explains(rises, CARRIED, Duration::from_millis(ahead))
    }

    #[test]
    fn a_key_frame_explains_the_queue_it_makes_while_it_passes_and_no_more() {
        // 5,000 bytes are 110 ms of 400 kb/s.
        assert!(explained(&[(0, 5_000)], 205) && explained(&[(550, 5_000)], 205));
        assert!(!explained(&[(0, 5_000)], 215), "longer than it explains");
        assert!(!explained(&[(565, 5_000)], 205), "it is through");
        assert!(!explained(&[], 50), "nothing has risen");
        assert!(explained(&[(700, 500_000)], 345) && !explained(&[(0, 500_000)], 355));
        // Each is looked at by itself.
        assert!(explained(&[(500, 2_000), (150, 5_000)], 205));
        assert!(!explained(&[(500, 2_000), (150, 5_000)], 215));
        assert!(explained(&[(150, 2_000), (150, 5_000)], 245));
    }

    #[test]
    fn what_a_rise_explains_takes_nothing_away() {
        let estimate = Estimate {
            fast: Bitrate::from_kbps(290),
            carried: Bitrate::from_kbps(300),
            stable: Bitrate::from_kbps(200),
            queue: Duration::from_millis(120),
            ahead: Duration::from_millis(120),
            loss: 0.0,
            rtt: Duration::from_millis(50),
            cause: Cause::Queue,
        };
        let mut adaptation = Adaptation {
            given: Bitrate::from_kbps(380),
            decided_on: CARRIED,
            ..Adaptation::default()
        };
        assert!(adaptation.kept_within(&estimate) < adaptation.given);
        adaptation.is_of_a_rise = true;
        assert!(adaptation.kept_within(&estimate) >= adaptation.given);
        // More than was known before it is no rise's due.
        adaptation.given = UNMEASURED;
        assert_eq!(adaptation.kept_within(&estimate), Bitrate::from_kbps(500));
    }
}

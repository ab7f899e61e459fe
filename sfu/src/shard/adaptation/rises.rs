//! The queue that the key frame of a larger picture makes.
//!
//! A picture that grows begins with a key frame, of some tenths of a second of a narrow path. It waits
//! before the path, and what is read of the path meanwhile is rough: taken for a path that carries less
//! it would be the reason to take the larger picture back as soon as it is there, and to try it again
//! some seconds later. So for as long as that key frame needs to pass, a queue that is not longer than
//! it explains takes nothing away.

use super::QUEUE_SHORT;
use crate::router::Router;
use crate::shard::room::Member;
use crate::time::{Duration, Instant};
use crate::transport::congestion::{Cause, Estimate};

/// A payload with its headers on the wire, in hundredths of the payload.
const WIRE: u64 = 110;
/// A key frame explains no more than this.
const EXPLAINS_MOST: Duration = Duration::from_millis(250);
/// What was before it in the queue, and the feedback that tells of its end, take so long.
const AROUND: Duration = Duration::from_millis(350);

/// Whether a queue is that of key frames of so many bytes, the first of which came `since` ago.
fn explains(bytes: u64, since: Duration, estimate: &Estimate) -> bool {
    let bits = bytes.saturating_mul(WIRE) * 8 / 100;
    let carried = estimate.carried.as_bps().max(1);
    let takes = Duration::from_micros(bits.saturating_mul(1_000_000) / carried).min(EXPLAINS_MOST);
    bytes > 0 && since <= takes + AROUND && estimate.ahead < QUEUE_SHORT + takes
}

impl Member {
    /// Notes whether what waits before it is the key frame of a picture that has just become larger.
    pub(super) fn look_at_rises(&mut self, now: Instant, router: &Router) {
        let estimate = self.transport.estimate();
        let Some(estimate) = estimate.filter(|it| it.cause == Cause::Queue) else {
            self.adaptation.is_of_a_rise = false;
            return;
        };
        let within = EXPLAINS_MOST + AROUND;
        let sections = self.sections.iter();
        let risen = sections.filter_map(|open| router.risen(now, open.key, within));
        let (first, bytes) = risen.fold((now, 0_u64), |(first, bytes), (at, keyframe)| {
            (first.min(at), bytes.saturating_add(keyframe))
        });
        self.adaptation.is_of_a_rise = explains(bytes, now.since(first), &estimate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Bitrate;

    fn estimate(kbps: u64, ahead: u64) -> Estimate {
        let rate = Bitrate::from_kbps(kbps);
        Estimate {
            fast: rate,
            carried: rate,
            stable: rate,
            queue: Duration::from_millis(ahead),
            ahead: Duration::from_millis(ahead),
            loss: 0.0,
            rtt: Duration::from_millis(50),
            cause: Cause::Queue,
        }
    }

    #[test]
    fn a_key_frame_explains_the_queue_it_makes_while_it_passes_and_no_more() {
        // 5,000 bytes are 110 ms of 400 kb/s.
        let explained = |bytes, since, ahead| {
            explains(bytes, Duration::from_millis(since), &estimate(400, ahead))
        };
        assert!(explained(5_000, 0, 205) && explained(5_000, 450, 205));
        assert!(!explained(5_000, 0, 215), "longer than it explains");
        assert!(!explained(5_000, 465, 205), "it is through");
        assert!(!explained(0, 0, 50), "nothing has risen");
        assert!(explained(500_000, 600, 345) && !explained(500_000, 0, 355));
    }
}

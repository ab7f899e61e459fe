//! A queue that is not ours: somebody beside us fills the link until it loses.
//!
//! Who sends less because packets wait is left with nothing beside a download by Reno or CUBIC,
//! which sends more until packets are lost (Carlucci et al. 2016, §V.D). Such a queue betrays itself:
//! it stands although less and less of ours goes through it. In a queue of our own as much arrives as
//! the link carries, for as long as it stands, however little is sent meanwhile. While it does, the target grows and shrinks as theirs does (RFC
//! 9438: by three tenths less where packets are lost, then back in a cubic curve), so that equals come
//! out equal. It ends when the queue does: a rival that stops leaves a link that the next reduction
//! empties.

use crate::time::{Duration, Instant};

/// A queue below this is nobody's download, µs.
const QUEUE_MIN: f64 = 60_000.0;
/// A queue that we could have drained does not stand for so long: this, and twice its length.
const STANDS: Duration = Duration::from_secs(2);
/// What arrived when the queue began to stand is read this much later, over the window before: none
/// of it is of the time before.
const READ_AFTER: Duration = Duration::from_millis(350);
/// See [`READ_AFTER`].
pub(super) const READ_WINDOW: Duration = Duration::from_millis(200);
/// Of that, less than this arrives where the queue is not ours, and for so long.
const LESS: f64 = 0.5;
/// See [`LESS`].
const LESS_FOR: Duration = Duration::from_secs(1);
/// It is being drained where it falls to this part of its length.
const DRAINS: f64 = 0.5;
/// RFC 9438 §4.6.
const REDUCED: f64 = 0.7;
/// RFC 9438 §4.3: packets more each round trip, so that the reduction above is as fair as Reno's.
const GROWTH: f64 = 0.53;
/// RFC 9438 §5: how steep the curve is.
const STEEP: f64 = 0.4;
/// Bits of a packet on the wire.
const PACKET_BITS: f64 = 9_600.0;
/// RFC 9438 §4.7: the half of what is kept and all.
const YIELDS: f64 = 0.85;
/// Up to half of what was sent before it came, the target grows by this part each round trip; what
/// is lost below a quarter was the rival's beginning.
const RETURN: f64 = 0.25;
/// Whether it saws is looked at for so long: a longer path looks like a queue, but does not.
const EVIDENCE: Duration = Duration::from_secs(10);
/// A queue that saws falls to this part of its length.
const SAWS: f64 = 0.8;

/// Whether somebody else's queue stands.
#[derive(Debug, Default)]
pub(super) struct Rival {
    /// Since when a queue stands, and how long it has been, µs.
    stands: Option<(Instant, f64)>,
    /// What arrived when it began to, bits per second, and since when much less does.
    first: Option<f64>,
    less_since: Option<Instant>,
    /// The target before it stood.
    before: f64,
    is_here: bool,
    /// When packets were last lost, and the target until then.
    reduced: Option<(Instant, f64)>,
    /// Since when it is looked at, and its least and longest since, µs.
    saw: Option<(Instant, f64, f64)>,
    /// It did not fall by much when it was last looked at.
    is_flat: bool,
    /// Its share is found: no more leaps.
    is_settled: bool,
}

impl Rival {
    /// Looks at a queue of so many µs, where one longer than `soft` is one; whether it is a rival's.
    /// `arrived` is what arrived in the last [`READ_WINDOW`].
    pub(super) fn look(
        &mut self,
        now: Instant,
        (queue, soft): (f64, f64),
        target: f64,
        arrived: Option<f64>,
    ) -> bool {
        if queue <= soft {
            *self = Self {
                before: target,
                ..Self::default()
            };
            return false;
        }
        if self.is_here {
            let (since, least, most) = self.saw.get_or_insert((now, queue, queue));
            (*least, *most) = (least.min(queue), most.max(queue));
            if now.since(*since) > EVIDENCE {
                self.is_flat = *least > *most * SAWS;
                self.saw = None;
            }
            return true;
        }
        if queue < QUEUE_MIN.max(soft * 2.0) {
            self.stands = None;
            return false;
        }
        match &mut self.stands {
            Some((since, level)) if queue >= *level * DRAINS => {
                *level = level.max(queue);
                let stands = STANDS + Duration::from_secs_f64(*level * 2.0 / 1e6);
                let (lasts, is_long) = (now.since(*since), now.since(*since) > stands);
                self.is_here = self.is_left_less(now, lasts, arrived) && is_long;
            }
            _ => {
                self.stands = Some((now, queue));
                (self.first, self.less_since) = (None, None);
            }
        }
        self.is_here
    }

    /// Whether much less arrives through the queue than did when it began to stand.
    fn is_left_less(&mut self, now: Instant, lasts: Duration, arrived: Option<f64>) -> bool {
        let Some(arrived) = arrived else {
            return self.less_since.is_some_and(|at| now.since(at) > LESS_FOR);
        };
        if lasts < READ_AFTER {
            return false;
        }
        let first = *self.first.get_or_insert(arrived);
        if arrived > first * LESS {
            self.less_since = None;
            return false;
        }
        now.since(*self.less_since.get_or_insert(now)) > LESS_FOR
    }

    /// The target before a queue stood; 0: none has.
    pub(super) const fn before(&self) -> f64 {
        self.before
    }

    /// The target beside a rival: `since` the last look, on a round trip of `trip` with the queue.
    pub(super) fn target(
        &mut self,
        now: Instant,
        target: f64,
        (since, trip): (Duration, Duration),
        has_lost: bool,
    ) -> f64 {
        let trip_seconds = trip.as_secs_f64().max(0.01);
        if has_lost {
            let rested = self.reduced.is_none_or(|(at, _)| now.since(at) > trip);
            if !rested {
                return target;
            }
            self.is_settled |= target > self.before * 0.25;
            // RFC 9438 §4.7: who had to yield twice leaves room.
            let yields = self.reduced.is_some_and(|(_, most)| target < most);
            let most = if yields { target * YIELDS } else { target };
            self.reduced = Some((now, most));
            return target * REDUCED;
        }
        let trips = since.as_secs_f64() / trip_seconds;
        self.is_settled |= target > self.before * 0.5;
        if !self.is_settled {
            return target * (1.0 + RETURN * trips);
        }
        let packet = PACKET_BITS / trip_seconds;
        let even = target + GROWTH * packet * trips;
        let Some((at, most)) = self.reduced else {
            return even;
        };
        // RFC 9438 §4.2, in bits per second instead of segments.
        let back = (most * (1.0 - REDUCED) / packet / STEEP).cbrt();
        let after = now.since(at).as_secs_f64() - back;
        even.max((most + STEEP * packet * after.powi(3)).min(target * 1.5))
    }

    /// Whether the floor of the delay is to be kept: what was measured meanwhile has its queue in it.
    pub(super) const fn is_evident(&self) -> bool {
        self.is_here && !self.is_flat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks each 50 ms at the queue (ms) that `queue` says, for so many; whether a rival was seen.
    /// What is sent falls to a tenth, and so does what arrives.
    fn looks(rival: &mut Rival, count: u64, queue: impl Fn(u64) -> f64) -> bool {
        let mut any = false;
        for look in 0..count {
            let at = Instant::from_millis(1_000 + look * 50);
            let arrived = if look < 12 { 1e6 } else { 1e5 };
            any = rival.look(at, (queue(look) * 1e3, 10_000.0), 1e6, Some(arrived));
        }
        any
    }

    #[test]
    fn a_queue_through_which_as_much_arrives_as_before_is_ours() {
        let mut rival = Rival::default();
        for look in 0..400 {
            let at = Instant::from_millis(1_000 + look * 50);
            assert!(!rival.look(at, (200_000.0, 10_000.0), 1e6, Some(6e5)));
        }
    }

    #[test]
    fn a_queue_that_stands_is_a_rivals_and_one_that_drains_is_ours() {
        // 250 to 300 ms for four seconds.
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let saw = |look: u64| 250.0 + (look % 10) as f64 * 5.0;
        assert!(looks(&mut Rival::default(), 80, saw));
        // Three seconds of queue, drained in three.
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let drains = |look: u64| (3_000.0 - look as f64 * 35.0).max(0.0);
        assert!(!looks(&mut Rival::default(), 90, drains));
        // Short ones are nobody's.
        assert!(!looks(&mut Rival::default(), 200, |_| 40.0));
        // It ends with the queue.
        let mut rival = Rival::default();
        assert!(looks(&mut rival, 80, saw));
        assert!(!rival.look(Instant::from_millis(9_000), (5_000.0, 10_000.0), 1e6, None));
        assert!(!rival.is_evident());
    }

    #[test]
    fn a_longer_path_is_no_rival_for_long() {
        let mut rival = Rival::default();
        assert!(looks(&mut rival, 80, |_| 200.0));
        assert!(rival.is_evident());
        assert!(looks(&mut rival, 400, |_| 200.0));
        assert!(!rival.is_evident());
    }

    #[test]
    fn beside_a_rival_the_target_saws_as_it_does() {
        let mut rival = Rival::default();
        let trip = Duration::from_millis(100);
        let at = Instant::from_millis(5_000);
        let more = rival.target(at, 1e6, (trip, trip), false);
        assert!((more - 1e6 - GROWTH * 96_000.0).abs() < 1.0, "{more}");
        assert!((rival.target(at, 1e6, (trip, trip), true) - 0.7e6).abs() < 1.0);
        // Once each round trip.
        let again = at + Duration::from_millis(50);
        assert!((rival.target(again, 0.7e6, (trip, trip), true) - 0.7e6).abs() < 1.0);
        let later = at + Duration::from_millis(150);
        assert!(rival.target(later, 0.7e6, (trip, trip), true) < 0.5e6);
    }
}

//! How long a receiver is asked to hold pictures back (playout-delay header extension): on a path that
//! loses much, until what was lost has been repeated.
//!
//! A browser shows a picture as soon as it may, and by itself waits for a repeat only where nothing
//! else can be decoded: of a picture with temporal layers those that nothing leans on are skipped, one
//! in three at 10 % loss and a round trip of 100 ms, and the rest comes by jerks. What is asked for is
//! a wait of so many repeats as the loss makes necessary, and no longer than [`MOST`]: of who loses
//! little nothing is asked.

use crate::time::{Duration, Instant};

/// A loss above this, in thousandths, asks for time for one repeat, or for two, or for three. A picture
/// has some eight packets: at 3 % one repeat leaves one picture in 140, at 10 % one in 12, and two
/// leave one in 125.
const ON: [u16; 3] = [30, 60, 80];
/// Below this they are not needed any more.
const OFF: [u16; 3] = [15, 40, 60];
/// And only after they have not been needed for this long.
const KEPT: Duration = Duration::from_secs(5);
/// Until a loss is seen: a packet that follows has to come, at worst that of the next picture.
const SEEN: Duration = Duration::from_millis(70);
/// Of a repeat, in tenths of the round trip.
const REPEAT: u32 = 12;
/// Longer nobody talks with each other.
const MOST: Duration = Duration::from_millis(450);
/// Less than this apart, in hundredths, is the same.
const ALIKE: u32 = 20;
/// The unit on the wire.
const UNIT: Duration = Duration::from_millis(10);
/// No upper bound: ten seconds, which is what browsers take at most.
const UNBOUNDED: u16 = 1_000;

/// What is asked of the receiver of one section.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Playout {
    repeats: u8,
    /// When so many were needed last.
    needed_at: Instant,
    /// In units of 10 ms; none: nothing was ever asked.
    least: Option<u16>,
}

impl Playout {
    /// So much is lost on the way, in thousandths, and a round trip takes that long.
    pub(super) fn note(&mut self, now: Instant, loss: u16, rtt: Duration) {
        let above = |levels: [u16; 3]| levels.map(|level| u8::from(loss > level)).iter().sum();
        let (on, off): (u8, u8) = (above(ON), above(OFF));
        if off >= self.repeats {
            self.needed_at = now;
        }
        if on > self.repeats {
            self.repeats = on;
        } else if now.since(self.needed_at) >= KEPT {
            self.repeats = off;
            self.needed_at = now;
        }
        if self.repeats == 0 {
            // Once asked for, it has to be taken back.
            self.least = self.least.map(|_| 0);
            return;
        }
        let wait = SEEN + rtt * REPEAT / 10 * u32::from(self.repeats);
        let units = wait.min(MOST).as_millis() / UNIT.as_millis();
        let least = u16::try_from(units).unwrap_or(UNBOUNDED);
        let known = u32::from(self.least.unwrap_or(0));
        if u32::from(least).abs_diff(known) * 100 > known * ALIKE {
            self.least = Some(least);
        }
    }

    /// As the extension says it: 12 bits of least, 12 of most.
    pub(super) fn value(&self) -> Option<[u8; 3]> {
        let least = self.least?;
        let [_, high, middle, low] = (u32::from(least) << 12 | u32::from(UNBOUNDED)).to_be_bytes();
        Some([high, middle, low])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_loses_much_is_asked_to_wait_for_repeats_and_later_no_more() {
        let mut playout = Playout::default();
        let rtt = Duration::from_millis(100);
        let steps = [
            (0, 0, None),
            (1, 20, None),
            (2, 40, Some(19)),
            (3, 100, Some(43)),
            // Less, but not for long enough.
            (4, 10, Some(43)),
            (6, 65, Some(43)),
            (10, 10, Some(43)),
            (11, 10, Some(0)),
            (19, 100, Some(43)),
        ];
        for (seconds, loss, expected) in steps {
            playout.note(Instant::from_millis(seconds * 1_000), loss, rtt);
            assert_eq!(playout.least, expected, "{seconds} s, {loss}");
        }
    }

    #[test]
    fn it_follows_the_round_trip_in_steps_and_no_further_than_people_bear() {
        let mut playout = Playout::default();
        for (millis, expected) in [(100, 43), (110, 43), (60, 28), (900, 45), (20, 14)] {
            let rtt = Duration::from_millis(millis);
            playout.note(Instant::from_millis(1), 100, rtt);
            assert_eq!(playout.least, Some(expected), "{millis}");
        }
        assert_eq!(playout.value(), Some([0x00, 0xE3, 0xE8]));
    }
}

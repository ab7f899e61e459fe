//! How many pictures begin at once: as many as the path takes key frames of within a moment.
//!
//! Who comes into a room of many is shown many pictures for the first time. Each begins with a key
//! frame, and all of them at once would fill the queue of a narrow path before it has said a word,
//! with sound waiting behind them. So what begins is counted as a bucket that drains: the heaviest
//! pictures begin at once, the next as soon as the key frames before it have had the time to pass.
//! Where the path turns out to be wide the bucket drains as fast as that, and nobody waits.

use std::cmp::Reverse;

use crate::id::SectionKey;
use crate::time::{Duration, Instant};
use crate::units::Bitrate;

/// Key frames of so much time of the path may be on their way together.
const AT_ONCE: Duration = Duration::from_millis(60);
/// What the path carries beside them, in hundredths: sound, and what has begun before.
const BESIDE: u64 = 50;
/// Bytes of a key frame none of which has been seen.
const UNSEEN: u64 = 3_000;
/// A payload with its headers on the wire, in hundredths of the payload.
const WIRE: u64 = 110;
/// Until what had to wait is looked at again.
const STEP: Duration = Duration::from_millis(25);

/// The key frames of pictures that have begun, as far as they are not through.
#[derive(Debug, Default)]
pub(super) struct Beginnings {
    /// Bytes.
    level: u64,
    drained_at: Instant,
    is_holding: bool,
}

/// A picture that is to begin. Sorts heaviest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Beginning {
    pub(super) weight: Reverse<u32>,
    pub(super) section: SectionKey,
    /// It is known what it carries.
    pub(super) is_measured: bool,
    /// Bytes of its key frame; zero: not known.
    pub(super) keyframe: u64,
}

impl Beginnings {
    /// A decision begins on a path that carries `rate`.
    pub(super) fn drain(&mut self, now: Instant, rate: Bitrate) {
        let micros = u64::try_from(now.since(self.drained_at).as_micros()).unwrap_or(u64::MAX);
        let free = rate.as_bps().saturating_mul(100 - BESIDE) / 100;
        let passed = free.saturating_mul(micros) / 8_000_000;
        self.level = self.level.saturating_sub(passed);
        self.drained_at = now;
        self.is_holding = false;
    }

    /// Whether a picture may begin with a key frame of so many bytes; zero: not known. `is_clear`:
    /// no long queue stands; then the first may in any case.
    pub(super) fn admit(&mut self, rate: Bitrate, keyframe: u64, is_clear: bool) -> bool {
        let bytes = if keyframe == 0 { UNSEEN } else { keyframe };
        let bytes = bytes.saturating_mul(WIRE) / 100;
        let millis = u64::try_from(AT_ONCE.as_millis()).unwrap_or(u64::MAX);
        let most = rate.as_bps().saturating_mul(millis) / 8_000;
        let fits = self.level == 0 || self.level.saturating_add(bytes) <= most;
        if self.is_holding || !fits || !is_clear {
            self.is_holding = true;
            return false;
        }
        self.level = self.level.saturating_add(bytes);
        true
    }

    /// When to look again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.is_holding.then(|| self.drained_at + STEP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When each of nine pictures begins, in ms, with key frames of so many bytes.
    fn begun(kbps: u64, keyframe: u64) -> Vec<u64> {
        let rate = Bitrate::from_kbps(kbps);
        let mut beginnings = Beginnings::default();
        let mut begun = Vec::new();
        let mut now = Instant::from_millis(10_000);
        for _ in 0..200 {
            beginnings.drain(now, rate);
            while begun.len() < 9 && beginnings.admit(rate, keyframe, true) {
                begun.push(now.as_micros() / 1_000 - 10_000);
            }
            match beginnings.due() {
                Some(at) => now = at,
                None => break,
            }
        }
        begun
    }

    #[test]
    fn pictures_begin_as_fast_as_the_path_takes_their_key_frames() {
        // 1,800 bytes are 53 ms of 300 kb/s, of which half is for what has begun.
        let narrow = begun(300, 1_800);
        let last = *narrow.last().unwrap();
        assert!(
            narrow.len() == 9 && (600..=1_000).contains(&last),
            "{narrow:?}"
        );
        assert_eq!(begun(5_000, 1_800), [0; 9]);
        let wide = begun(5_000, 20_000);
        assert!(wide.len() == 9 && *wide.last().unwrap() <= 700, "{wide:?}");
        // One that is larger than all that may be on its way begins alone.
        let large = begun(300, 40_000);
        assert!(large[0] == 0 && large[1] >= 1_000, "{large:?}");
    }

    #[test]
    fn nothing_begins_into_a_long_queue_and_nothing_overtakes_what_waits() {
        let rate = Bitrate::from_kbps(300);
        let mut beginnings = Beginnings::default();
        beginnings.drain(Instant::from_millis(1_000), rate);
        assert!(!beginnings.admit(rate, 1_000, false));
        assert!(!beginnings.admit(rate, 100, true), "it would overtake");
        beginnings.drain(Instant::from_millis(1_025), rate);
        assert!(beginnings.admit(rate, 0, true) && beginnings.due().is_none());
        // Nothing is known of it: 3,000 bytes are assumed.
        assert!(!beginnings.admit(rate, 1_600, true));
    }
}

//! How soon the next picture packet may leave: a little faster than the path carries, so that a key
//! frame does not fill a short queue on its way, and sound does not wait behind it.
//!
//! A bucket that drains. What leaves fills it, probes excepted, which are to be too fast; pictures
//! and repairs wait while it is full, until it is empty again, so that what leaves still leaves in
//! batches. Nothing waits longer than [`WAIT_MOST`]: the bucket drains as fast as that needs.

use crate::time::{Duration, Instant};
use crate::units::Bitrate;

/// How much faster than the target, in hundredths. Slower would let queues of ours grow with the
/// natural swing of a picture's size; libwebrtc's senders use 250 towards us.
const HASTE: u64 = 150;
/// What may leave at once: this much of the drain,
const BURST: Duration = Duration::from_millis(5);
/// and no less than two full packets.
const BURST_LEAST: u64 = 2 * 1_250;
/// Nothing waits longer than this.
const WAIT_MOST: Duration = Duration::from_millis(100);

/// The bucket of one transport.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pacer {
    /// Bytes times eight million, so that a drain of whole µs loses nothing.
    level: u64,
    drained_at: Instant,
    /// It has been full, and is not empty yet.
    is_full: bool,
}

/// Level of one byte.
const BYTE: u64 = 8_000_000;

impl Pacer {
    /// So many bytes left.
    pub fn spend(&mut self, bytes: u32) {
        self.level = self
            .level
            .saturating_add(u64::from(bytes).saturating_mul(BYTE));
    }

    /// When the next picture packet may leave; none: now. `target` is what the path carries,
    /// `waiting` the bytes that wait.
    pub fn poll(&mut self, now: Instant, target: Bitrate, waiting: u64) -> Option<Instant> {
        let least = waiting.saturating_mul(BYTE) / micros(WAIT_MOST).max(1);
        let drain = (target.as_bps().saturating_mul(HASTE) / 100)
            .max(least)
            .max(1);
        let passed = micros(now.since(self.drained_at));
        self.drained_at = now;
        self.level = self.level.saturating_sub(passed.saturating_mul(drain));
        if self.level == 0 {
            self.is_full = false;
            return None;
        }
        let burst = (drain.saturating_mul(micros(BURST))).max(BURST_LEAST * BYTE);
        self.is_full |= self.level >= burst;
        self.is_full.then(|| {
            let wait = Duration::from_micros(self.level.div_ceil(drain));
            now + wait.min(WAIT_MOST)
        })
    }

    /// Another path: what left on the old one does not count.
    pub const fn clear(&mut self) {
        self.level = 0;
        self.is_full = false;
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `count` packets of 1,250 bytes as soon as they may leave; when each left.
    fn left(target: Bitrate, count: u64) -> Vec<u128> {
        let mut pacer = Pacer::default();
        let mut now = Instant::from_millis(1_000);
        let mut left = Vec::new();
        let mut waiting = count;
        while waiting > 0 {
            match pacer.poll(now, target, waiting * 1_250) {
                None => {
                    pacer.spend(1_250);
                    waiting -= 1;
                    left.push(now.since(Instant::from_millis(1_000)).as_micros());
                }
                Some(at) => {
                    assert!(at > now, "it would spin");
                    now = at;
                }
            }
        }
        left
    }

    #[test]
    fn a_frame_leaves_half_as_fast_again_as_the_path_carries() {
        // 20 packets of 10,000 bits at 3 Mb/s are 67 ms; the first two do not wait.
        let left = left(Bitrate::from_kbps(2_000), 20);
        assert_eq!(left[..2], [0, 0]);
        let last = *left.last().unwrap();
        assert!((55_000..=67_000).contains(&last), "{left:?}");
        let gaps = left.windows(2).map(|two| two[1] - two[0]);
        assert!(gaps.max().unwrap() <= 10_000, "{left:?}");
    }

    #[test]
    fn nothing_waits_longer_than_a_tenth_of_a_second_or_so() {
        let left = left(Bitrate::from_kbps(100), 50);
        // What waits drains ever more slowly, as e^-t: most of it is gone by then.
        let most = left.iter().filter(|&&at| at <= 100_000).count();
        assert!(most >= 30, "{left:?}");
    }

    #[test]
    fn a_slow_stream_never_waits() {
        let mut pacer = Pacer::default();
        let mut now = Instant::from_millis(1);
        for _ in 0..1_000 {
            assert_eq!(pacer.poll(now, Bitrate::from_kbps(2_000), 1_250), None);
            pacer.spend(1_250);
            now += Duration::from_millis(5);
        }
    }
}

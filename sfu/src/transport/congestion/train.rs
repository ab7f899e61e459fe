//! How fast a link serves what waits: packets that were sent before the one ahead of them had
//! arrived stood in line behind it, and arrive one after the other as fast as the link carries them
//! (packet trains, Jain and Routhier 1986).
//!
//! What arrives per second tells the same only of a sender that always has something to send. A
//! picture comes every 66 ms, a key frame is ten of them at once: such a queue is a moment's, and
//! the rate of what arrived is what was sent.

use arrayvec::ArrayVec;

/// A train shorter than this says little, µs: receivers read in batches.
const SPAN_LEAST: i64 = 15_000;
/// And than so many packets.
const PACKETS_LEAST: u32 = 6;
/// A longer one begins anew, µs: the rate may change under way.
const SPAN_MOST: i64 = 150_000;
/// What the last one showed holds for so long, µs.
const HOLDS: i64 = 500_000;
/// The newest packets of a line that tell of a link that has just become slower: so many,
const FALL_LEAST: usize = 4;
/// over so long, µs, at least,
const FALL_SPAN: i64 = 35_000;
/// of which no pause is more than this part: one packet that waited for something that passed, or a
/// receiver that read late, tells nothing;
const FALL_PAUSE: f64 = 0.6;
/// and so much slower than what was thought to fit.
const FALL: f64 = 0.6;
/// So many at once behind a pause tell that it was one.
const PAUSE_LEAST: usize = 2;
/// Packets of a line that are looked at.
const FALL_MOST: usize = 12;

/// The train that arrives, and what the last one showed.
#[derive(Debug, Default)]
pub(super) struct Trains {
    first: i64,
    last: i64,
    /// After the first packet, whose bytes came before its time.
    bytes: u32,
    count: u32,
    /// When, and bits per second.
    found: Option<(i64, f64)>,
    /// Pauses and bytes of the newest packets of the line.
    newest: ArrayVec<(i64, u32), FALL_MOST>,
}

impl Trains {
    /// A packet arrived at the receiver's time `at`, `queued` µs later than an empty path brings it.
    pub(super) fn push(&mut self, at: i64, bytes: u32, queued: i64) {
        let gap = at - self.last;
        if gap < 0 {
            // Overtaken.
            return;
        }
        self.last = at;
        if queued < gap {
            self.newest.clear();
        } else {
            if self.newest.is_full() {
                self.newest.remove(0);
            }
            self.newest.push((gap, bytes));
        }
        if self.count == 0 || queued < gap || at - self.first > SPAN_MOST {
            (self.first, self.bytes, self.count) = (at, 0, 1);
            return;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.count += 1;
        let span = at - self.first;
        if self.count >= PACKETS_LEAST && span >= SPAN_LEAST {
            #[expect(clippy::cast_precision_loss, reason = "a span of milliseconds")]
            let rate = f64::from(self.bytes) * 8e6 / span as f64;
            self.found = Some((at, rate));
        }
    }

    /// Bits per second that the link carries, where the newest packets show that this is much less
    /// than the `target`.
    #[expect(clippy::cast_precision_loss, reason = "a span of milliseconds")]
    pub(super) fn fallen(&self, target: f64) -> Option<f64> {
        let (mut span, mut longest, mut bits) = (0, 0, 0.0);
        for (count, &(gap, bytes)) in (1..).zip(self.newest.iter().rev()) {
            span += gap;
            longest = longest.max(gap);
            bits += f64::from(bytes) * 8.0;
            if count >= FALL_LEAST && span >= FALL_SPAN {
                let rate = bits * 1e6 / span as f64;
                let is_even = (longest as f64) < span as f64 * FALL_PAUSE;
                return Some(rate).filter(|rate| is_even && *rate < target * FALL);
            }
        }
        None
    }

    /// Whether the newest packets were served as fast as `target` once it was their turn: what they
    /// waited for was a pause of the link, or of who reads them, and no queue of ours.
    #[expect(clippy::cast_precision_loss, reason = "a span of milliseconds")]
    pub(super) fn has_paused(&self, target: f64) -> bool {
        let span: i64 = self.newest.iter().map(|&(gap, _)| gap).sum();
        let bits: f64 = self
            .newest
            .iter()
            .map(|&(_, bytes)| f64::from(bytes) * 8.0)
            .sum();
        self.newest.len() >= PAUSE_LEAST && bits * 1e6 >= target * span as f64
    }

    /// Bits per second of the last one, where it is not long ago.
    pub(super) fn rate(&self) -> Option<f64> {
        let (at, rate) = self.found?;
        (self.last - at < HOLDS).then_some(rate)
    }

    /// The path is another.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pictures of `packets` of 1,250 bytes every 66 ms for two seconds, over a link of `bps`.
    fn seen(packets: u32, bps: i64) -> Option<f64> {
        let takes = 1_250 * 8 * 1_000_000 / bps;
        let mut trains = Trains::default();
        let mut idle_at = 0;
        for sent in (0..30).map(|picture| picture * 66_000) {
            for _ in 0..packets {
                idle_at = idle_at.max(sent) + takes;
                trains.push(idle_at, 1_250, idle_at - sent - takes);
            }
        }
        trains.rate()
    }

    #[test]
    fn pictures_that_stand_in_line_show_what_the_link_carries() {
        // (packets of a picture, link): 1.5 Mb/s of pictures at most, but for the last.
        for (packets, bps) in [
            (10, 2_000_000),
            (10, 5_000_000),
            (8, 3_000_000),
            (20, 2_000_000),
        ] {
            let rate = seen(packets, bps).expect("trains");
            let expected = f64::from(u32::try_from(bps).unwrap());
            assert!(
                (rate / expected - 1.0).abs() < 0.05,
                "{packets}, {bps}: {rate}"
            );
        }
    }

    #[test]
    fn single_packets_and_small_pictures_show_nothing() {
        for (packets, bps) in [(1, 600_000), (3, 5_000_000), (5, 10_000_000)] {
            assert_eq!(seen(packets, bps), None, "{packets}, {bps}");
        }
    }

    #[test]
    fn a_link_that_becomes_slower_shows_it_with_the_next_few_packets() {
        let mut trains = Trains::default();
        let mut push = |at, queued| {
            trains.push(at, 1_250, queued);
            trains.fallen(1.9e6)
        };
        for packet in 0..20 {
            assert_eq!(push(packet * 5_000, 20_000), None, "2 Mb/s");
        }
        // 0.6 Mb/s: 16.7 ms each.
        let seen =
            [1, 2, 3, 4].map(|packet| push(95_000 + packet * 16_667, 20_000 + packet * 12_000));
        assert_eq!(seen.iter().flatten().count(), 3, "{seen:?}");
        let rate = seen[3].unwrap();
        assert!((rate / 6e5 - 1.0).abs() < 0.05, "{rate}");
        // One pause, and what had waited for it all at once.
        for packet in 0..8 {
            let at = 300_000 + packet * 100;
            assert_eq!(push(at, 140_000 - packet * 5_000), None, "{packet}");
        }
    }

    #[test]
    fn what_was_shown_long_ago_is_forgotten() {
        let mut trains = Trains::default();
        for packet in 0..20 {
            trains.push(packet * 5_000, 1_250, 50_000);
        }
        assert!(trains.rate().is_some_and(|rate| (rate - 2e6).abs() < 1e3));
        trains.push(700_000, 1_250, 0);
        assert_eq!(trains.rate(), None);
        // Overtaken ones are no part of a line.
        trains.push(100_000, 1_250, 50_000);
        assert_eq!(trains.rate(), None);
    }
}

//! One track's loudness over the last 400 ms: its energy, and for how long it was loud.
//!
//! Levels are means of a packet's power (RFC 6464 §3), so power is what is summed, each packet for
//! the time since the one before. A pause that DTX makes is silence and counts as such.

use crate::time::{Duration, Instant};
use crate::units::AudioLevel;

/// What is looked back at.
pub(super) const WINDOW: Duration = Duration::from_millis(400);
/// Steps of the window.
const BINS: usize = 10;
/// One step, in microseconds.
const BIN: u64 = 40_000;
/// A packet at this level (-dBov) or above is loud.
const LOUD: u8 = 35;
/// A voice is active where it was loud this long in the window, in microseconds: two fifths of it.
const ACTIVE: u64 = 160_000;
/// The longest packet, in microseconds (RFC 6716 §2.1.4). What comes later after another is the
/// first after a pause: DTX sends one in 400 ms.
const PACKET_MAX: u64 = 120_000;
/// What a packet is taken to last until more is known, in microseconds.
const PACKET: u64 = 20_000;

/// One step of the window.
#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    /// Power times microseconds.
    energy: u64,
    /// Microseconds.
    loud: u64,
}

/// One track's loudness.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Voice {
    bins: [Bin; BINS],
    /// The number of the newest step.
    newest: u64,
    heard_at: Option<Instant>,
    /// How long a packet lasts, by the time between packets, in microseconds.
    packet: u64,
    /// When it was loud last, if it ever was.
    pub(super) loud_at: Instant,
    /// When it was active last, if it ever was.
    pub(super) active_at: Instant,
    /// As [`Voice::measure`] found it.
    pub(super) energy: u64,
    /// As [`Voice::measure`] found it.
    pub(super) is_active: bool,
    /// It is among those that have been loud of late.
    pub(super) is_live: bool,
}

impl Voice {
    /// Takes a packet in. True where it is loud.
    pub(super) fn hear(&mut self, now: Instant, level: AudioLevel) -> bool {
        let lasted = self.lasted(now);
        let is_loud = level.0 <= LOUD;
        let number = now.as_micros() / BIN;
        self.advance(number);
        if let Some(bin) = self.bins.get_mut(slot(number)) {
            bin.energy += power(level) * lasted;
            bin.loud += if is_loud { lasted } else { 0 };
        }
        if is_loud {
            self.loud_at = now;
        }
        is_loud
    }

    /// How long a packet that comes now stands for: for those that were lost before it too, not for
    /// a pause.
    fn lasted(&mut self, now: Instant) -> u64 {
        let before = self.heard_at.replace(now);
        let packet = self.packet.max(PACKET / 2);
        let passed = before.map(|at| micros(now.since(at)));
        let Some(passed) = passed.filter(|&it| it <= PACKET_MAX) else {
            return packet;
        };
        self.packet = (packet * 15 + passed) / 16;
        if passed <= packet * 2 + PACKET / 2 {
            passed
        } else {
            packet
        }
    }

    /// Sums the window up.
    pub(super) fn measure(&mut self, now: Instant) {
        let (energy, loud) = self.sums(now);
        self.energy = energy;
        self.is_active = loud >= ACTIVE;
        if self.is_active {
            self.active_at = now;
        }
    }

    /// Mean level of the window.
    pub(super) fn level(&self, now: Instant) -> AudioLevel {
        let mean = self.sums(now).0 / micros(WINDOW);
        let fainter = POWERS.partition_point(|&power| power > mean);
        u8::try_from(fainter).map_or(AudioLevel::SILENCE, |level| AudioLevel(level.min(127)))
    }

    fn sums(&self, now: Instant) -> (u64, u64) {
        let number = now.as_micros() / BIN;
        let mut sums = (0, 0);
        for age in 0..BINS as u64 {
            let Some(step) = number.checked_sub(age) else {
                break;
            };
            // What stands in a slot is of this step only where it is not older than the window.
            if step > self.newest || step + (BINS as u64) <= self.newest {
                continue;
            }
            if let Some(bin) = self.bins.get(slot(step)) {
                sums = (sums.0 + bin.energy, sums.1 + bin.loud);
            }
        }
        sums
    }

    /// Empties the steps that nothing was heard in.
    fn advance(&mut self, number: u64) {
        let skipped = number.saturating_sub(self.newest).min(BINS as u64);
        for back in 0..skipped {
            if let Some(bin) = self.bins.get_mut(slot(number - back)) {
                *bin = Bin::default();
            }
        }
        self.newest = self.newest.max(number);
    }
}

/// Where a step's sums stand.
fn slot(number: u64) -> usize {
    usize::try_from(number % BINS as u64).unwrap_or(0)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Full scale.
const FULL: u64 = 1 << 32;
/// One dB less, in units of full scale: 10^-0.1.
const ONE_DB: u64 = 3_411_613_798;

/// The power of each level.
const POWERS: [u64; 128] = powers();

const fn powers() -> [u64; 128] {
    let mut powers = [0; 128];
    let mut power = FULL;
    let mut level = 0;
    while level < 127 {
        let (_, rest) = powers.split_at_mut(level);
        if let Some(place) = rest.first_mut() {
            *place = power;
        }
        power = (power * ONE_DB + FULL / 2) >> 32;
        level += 1;
    }
    // 127 is digital silence.
    powers
}

fn power(level: AudioLevel) -> u64 {
    POWERS.get(usize::from(level.0)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_powers_agree() {
        for (level, expected) in [(0, 1.0), (3, 0.501_187), (10, 0.1), (35, 3.162_28e-4)] {
            #[expect(clippy::cast_precision_loss, reason = "32 bits")]
            let power = power(AudioLevel(level)) as f64 / FULL as f64;
            assert!((power / expected - 1.0).abs() < 1e-4, "{level}: {power}");
        }
        for level in [0, 20, 35, 60, 90] {
            let mut voice = Voice::default();
            for step in 0..50 {
                voice.hear(Instant::from_millis(step * 20), AudioLevel(level));
            }
            let found = voice.level(Instant::from_millis(980)).0;
            assert!(found.abs_diff(level) <= 1, "{level}: {found}");
        }
        assert_eq!(power(AudioLevel(127)), 0);
    }

    /// Packets each `packet` ms, loud in the first `loud` ms of each `period`; active at the end?
    fn active(packet: u64, loud: u64, period: u64) -> bool {
        let mut voice = Voice::default();
        let mut active = 0;
        for now in (0..8_000).step_by(usize::try_from(packet).unwrap()) {
            let level = if now % period < loud { 20 } else { 70 };
            voice.hear(Instant::from_millis(now), AudioLevel(level));
            voice.measure(Instant::from_millis(now));
            active += u64::from(voice.is_active && now >= 1_000);
        }
        active * packet > 3_500
    }

    #[test]
    fn a_voice_is_active_where_it_is_loud_for_two_fifths_whatever_its_packets_last() {
        for packet in [10, 20, 40, 60, 120] {
            assert!(active(packet, 1, 1), "{packet}");
            assert!(active(packet, 240, 400) || packet == 120, "{packet}");
            assert!(!active(packet, 60, 600), "{packet}");
        }
    }

    #[test]
    fn what_dtx_sends_in_silence_makes_nobody_active() {
        let mut voice = Voice::default();
        for step in 0..20 {
            voice.hear(Instant::from_millis(step * 400), AudioLevel(10));
            voice.measure(Instant::from_millis(step * 400));
            assert!(!voice.is_active, "{step}");
        }
    }

    #[test]
    fn the_window_forgets_what_lies_behind_it() {
        let mut voice = Voice::default();
        for step in 0..100 {
            voice.hear(Instant::from_millis(step * 20), AudioLevel(10));
        }
        voice.measure(Instant::from_millis(2_000));
        assert!(voice.is_active && voice.energy > 0);
        voice.measure(Instant::from_millis(2_500));
        assert_eq!((voice.is_active, voice.energy), (false, 0));
        voice.hear(Instant::from_millis(9_000), AudioLevel(10));
        voice.measure(Instant::from_millis(9_000));
        assert_eq!(voice.energy, power(AudioLevel(10)) * voice.packet);
    }
}

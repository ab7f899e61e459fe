//! Time as an argument: microseconds since the engine started, and their NTP reading.
//!
//! Nothing below the engine reads a clock. The engine (or the simulated world) stamps an
//! [`Instant`] and hands it in; [`ServerClock`] turns it into the NTP time of sender reports.

use std::ops::{Add, AddAssign, Sub};
pub use std::time::Duration;

/// A moment: microseconds since the engine started. Never goes backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The moment the engine started.
    pub const ZERO: Self = Self(0);

    /// From microseconds since the engine started.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// From milliseconds since the engine started.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Microseconds since the engine started.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the engine started.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// Time since `earlier`; zero where `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, after: Duration) -> Self {
        let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, after: Duration) {
        *self = *self + after;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, before: Duration) -> Self {
        let micros = u64::try_from(before.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(micros))
    }
}

/// An NTP timestamp: 32 bits of seconds since 1900, 32 bits of fraction (RFC 5905 §6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// The middle 32 bits, as report blocks carry them (RFC 3550 §6.4.1, LSR).
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the middle 32 bits are what is meant"
    )]
    pub const fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// Signed distance `self - other` in microseconds.
    #[must_use]
    pub fn micros_since(self, other: Self) -> i64 {
        let (negative, distance) = if self.0 >= other.0 {
            (false, self.0 - other.0)
        } else {
            (true, other.0 - self.0)
        };
        let micros = (u128::from(distance) * 1_000_000) >> 32;
        let micros = i64::try_from(micros).unwrap_or(i64::MAX);
        if negative { -micros } else { micros }
    }
}

/// Maps [`Instant`] to NTP: the one clock of every report, port and recording of this node.
#[derive(Clone, Copy, Debug)]
pub struct ServerClock {
    /// NTP time of [`Instant::ZERO`].
    started_at: NtpTime,
}

/// Seconds between the NTP epoch (1900) and the Unix epoch (1970), RFC 868.
const UNIX_EPOCH_IN_NTP: u64 = 2_208_988_800;

impl ServerClock {
    /// A clock whose [`Instant::ZERO`] was at `unix` since 1970-01-01.
    #[must_use]
    pub fn from_unix(unix: Duration) -> Self {
        Self {
            started_at: NtpTime(fixed_point(unix).wrapping_add(UNIX_EPOCH_IN_NTP << 32)),
        }
    }

    /// The NTP time of `now`.
    #[must_use]
    pub fn ntp(&self, now: Instant) -> NtpTime {
        let since = fixed_point(Duration::from_micros(now.as_micros()));
        NtpTime(self.started_at.0.wrapping_add(since))
    }
}

/// Seconds as 32.32 fixed point, wrapping with the NTP era.
fn fixed_point(time: Duration) -> u64 {
    let fraction = (u64::from(time.subsec_nanos()) << 32) / 1_000_000_000;
    (time.as_secs() << 32) | fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_follows_the_instant_to_the_microsecond() {
        let clock = ServerClock::from_unix(Duration::from_secs(1_700_000_000));
        let a = clock.ntp(Instant::from_micros(5));
        let b = clock.ntp(Instant::from_micros(1_250_005));
        assert!((b.micros_since(a) - 1_250_000).abs() <= 1);
        assert_eq!(a.0 >> 32, 1_700_000_000 + UNIX_EPOCH_IN_NTP);
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Instant::ZERO - Duration::from_secs(1), Instant::ZERO);
        assert_eq!(Instant::ZERO.since(Instant::from_millis(3)), Duration::ZERO);
    }
}

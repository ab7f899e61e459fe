//! The control plane's one look at the calendar, and its one source of chance.
#![expect(
    clippy::disallowed_methods,
    reason = "create times, ULIDs and token expiry are calendar time; this file alone reads it"
)]

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::status::{Failure, Reason};

/// Time since 1970-01-01 in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// From milliseconds since 1970-01-01.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970-01-01.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000
    }

    /// This much later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// Time since `earlier`; zero where `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Random bytes from the operating system.
///
/// # Errors
/// The system gives none.
pub fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Failure::new(Reason::ServerFailed, "the system's random source failed"))?;
    Ok(bytes)
}

/// A random number, for ids.
///
/// # Errors
/// The system gives none.
pub fn random_id() -> Result<u64, Failure> {
    random::<8>().map(u64::from_le_bytes)
}

/// A ULID: 48 bits of milliseconds, 80 random bits, in Crockford's base 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ulid(u128);

impl Ulid {
    /// A new one.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new(time: UnixTime) -> Result<Self, Failure> {
        let random = u128::from_le_bytes(random::<16>()?) >> 48;
        Ok(Self(u128::from(time.as_millis()) << 80 | random))
    }

    /// From its 128 bits.
    #[must_use]
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// When it was made.
    #[must_use]
    pub const fn time(self) -> UnixTime {
        UnixTime((self.0 >> 80) as u64)
    }

    /// Its 128 bits.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        for place in (0..26).rev() {
            let digit = usize::try_from(self.0 >> (5 * place) & 31).unwrap_or(0);
            let digit = DIGITS.get(digit).copied().unwrap_or(b'0');
            write!(f, "{}", char::from(digit))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ulid_has_26_digits_and_sorts_by_time() {
        let early = Ulid::new(UnixTime::from_millis(1_469_918_176_385)).unwrap();
        let late = Ulid::new(UnixTime::from_millis(1_469_918_176_386)).unwrap();
        assert_eq!(early.to_string().len(), 26);
        assert_eq!(&early.to_string()[..10], "01ARYZ6S41");
        assert!(early < late && early.to_string() < late.to_string());
    }
}

//! Counters that wrap on the wire, unwrapped to 64 bits (RFC 3550 §5.1, RFC 1982 arithmetic).
//!
//! The first value is put one lap above zero, so what is older than it does not underflow. What
//! is exactly half a lap away counts as older.

/// 16-bit RTP sequence numbers as 64-bit ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequenceUnwrapper {
    newest: Option<u64>,
}

impl SequenceUnwrapper {
    /// The long form of `value`, which becomes the newest where nothing newer was seen.
    pub fn unwrap(&mut self, value: u16) -> u64 {
        let long = self.peek(value);
        self.newest = Some(self.newest.map_or(long, |newest| newest.max(long)));
        long
    }

    /// The long form of `value`, without remembering it.
    #[must_use]
    pub fn peek(&self, value: u16) -> u64 {
        let Some(newest) = self.newest else {
            return (1 << 16) | u64::from(value);
        };
        let [.., high, low] = newest.to_be_bytes();
        let ahead = value.wrapping_sub(u16::from_be_bytes([high, low]));
        // `newest` never falls and starts a lap above zero, so half a lap back is above zero too.
        newest.saturating_add_signed(i64::from(ahead.cast_signed()))
    }

    /// The newest long form seen.
    #[must_use]
    pub const fn newest(&self) -> Option<u64> {
        self.newest
    }
}

/// 32-bit RTP timestamps as 64-bit ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimestampUnwrapper {
    newest: Option<u64>,
}

impl TimestampUnwrapper {
    /// The long form of `value`, which becomes the newest where nothing newer was seen.
    pub fn unwrap(&mut self, value: u32) -> u64 {
        let long = self.peek(value);
        self.newest = Some(self.newest.map_or(long, |newest| newest.max(long)));
        long
    }

    /// The long form of `value`, without remembering it.
    #[must_use]
    pub fn peek(&self, value: u32) -> u64 {
        let Some(newest) = self.newest else {
            return (1 << 32) | u64::from(value);
        };
        let [.., a, b, c, d] = newest.to_be_bytes();
        let ahead = value.wrapping_sub(u32::from_be_bytes([a, b, c, d]));
        newest.saturating_add_signed(i64::from(ahead.cast_signed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u16], expected: &[u64]) {
        let mut unwrapper = SequenceUnwrapper::default();
        let got: Vec<u64> = input.iter().map(|&value| unwrapper.unwrap(value)).collect();
        assert_eq!(got, expected, "{input:?}");
        assert_eq!(unwrapper.newest(), expected.iter().copied().max());
    }

    #[test]
    fn sequence_numbers_run_on_across_the_wrap() {
        check(&[0], &[65_536]);
        check(
            &[65_534, 65_535, 0, 1],
            &[131_070, 131_071, 131_072, 131_073],
        );
        check(&[0, 65_535, 1], &[65_536, 65_535, 65_537]);
        check(&[10, 12, 11, 13], &[65_546, 65_548, 65_547, 65_549]);
        check(&[0, 32_767], &[65_536, 98_303]);
        check(&[0, 32_768], &[65_536, 32_768]);
        check(&[1, 65_535, 2], &[65_537, 65_535, 65_538]);
    }

    #[test]
    fn peeking_leaves_no_trace() {
        let mut unwrapper = SequenceUnwrapper::default();
        assert_eq!(unwrapper.peek(7), 65_543);
        assert_eq!(unwrapper.newest(), None);
        unwrapper.unwrap(7);
        assert_eq!(unwrapper.peek(9), 65_545);
        assert_eq!(unwrapper.newest(), Some(65_543));
    }

    #[test]
    fn timestamps_run_on_across_the_wrap() {
        let mut unwrapper = TimestampUnwrapper::default();
        assert_eq!(unwrapper.unwrap(u32::MAX), 0x1_FFFF_FFFF);
        assert_eq!(unwrapper.unwrap(2_999), 0x2_0000_0BB7);
        assert_eq!(unwrapper.unwrap(u32::MAX), 0x1_FFFF_FFFF);
        assert_eq!(unwrapper.peek(3_000), 0x2_0000_0BB8);
    }
}

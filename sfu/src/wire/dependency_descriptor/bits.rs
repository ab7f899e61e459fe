//! Cursors over bits, the highest bit of a byte first (A.8.2: `f(n)` and `ns(n)`). Neither can
//! leave its slice.

use super::Unreadable;

/// Reads from the front of a slice.
#[derive(Clone, Copy, Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    /// From the bit `at` on.
    pub(super) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// The place of the next bit.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) fn bit(&mut self) -> Result<bool, Unreadable> {
        let byte = self.bytes.get(self.at / 8).ok_or(Unreadable::Malformed)?;
        let bit = byte << (self.at % 8) & 0x80 != 0;
        self.at += 1;
        Ok(bit)
    }

    /// `f(n)`, n ≤ 32.
    pub(super) fn u32(&mut self, n: u32) -> Result<u32, Unreadable> {
        let mut value = 0_u32;
        for _ in 0..n {
            value = value << 1 | u32::from(self.bit()?);
        }
        Ok(value)
    }

    /// `f(n)`, n ≤ 16.
    pub(super) fn u16(&mut self, n: u32) -> Result<u16, Unreadable> {
        u16::try_from(self.u32(n)?).map_err(|_| Unreadable::Malformed)
    }

    /// `f(n)`, n ≤ 8.
    pub(super) fn u8(&mut self, n: u32) -> Result<u8, Unreadable> {
        u8::try_from(self.u32(n)?).map_err(|_| Unreadable::Malformed)
    }

    /// `ns(n)`: one of n values, the lower ones in a bit less; n ≤ 33.
    pub(super) fn non_symmetric(&mut self, n: u8) -> Result<u8, Unreadable> {
        let (width, short) = non_symmetric(n);
        let value = self.u8(width.saturating_sub(1))?;
        if value < short {
            return Ok(value);
        }
        Ok((value << 1 | u8::from(self.bit()?)).saturating_sub(short))
    }
}

/// The bits of the longer form, and how many values have the shorter one.
fn non_symmetric(n: u8) -> (u32, u8) {
    let width = u8::BITS - n.leading_zeros();
    let short = (1_u16 << width).saturating_sub(u16::from(n));
    (width, u8::try_from(short).unwrap_or(u8::MAX))
}

/// Writes to the front of a slice.
#[derive(Debug)]
pub(super) struct BitWriter<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> BitWriter<'a> {
    pub(super) const fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0 }
    }

    /// Bytes begun so far; the rest of the last one is zeros.
    pub(super) const fn bytes(&self) -> usize {
        self.at.div_ceil(8)
    }

    pub(super) fn bit(&mut self, bit: bool) -> Option<()> {
        let byte = self.out.get_mut(self.at / 8)?;
        let place = self.at % 8;
        if place == 0 {
            *byte = 0;
        }
        if bit {
            *byte |= 0x80 >> place;
        }
        self.at += 1;
        Some(())
    }

    /// `f(n)`: the low n bits, n ≤ 32; nothing is cut off.
    pub(super) fn put(&mut self, value: u32, n: u32) -> Option<()> {
        if u64::from(value) >> n != 0 {
            return None;
        }
        (0..n)
            .rev()
            .try_for_each(|at| self.bit(value >> at & 1 != 0))
    }

    /// `ns(n)`.
    pub(super) fn non_symmetric(&mut self, value: u8, n: u8) -> Option<()> {
        if value >= n {
            return None;
        }
        let (width, short) = non_symmetric(n);
        if value < short {
            self.put(u32::from(value), width.saturating_sub(1))
        } else {
            self.put(u32::from(value) + u32::from(short), width)
        }
    }

    /// The bits of `bytes` from one place up to another.
    pub(super) fn copy(&mut self, bytes: &[u8], from: usize, to: usize) -> Option<()> {
        let mut reader = BitReader::new(bytes, from);
        for _ in from..to {
            self.bit(reader.bit().ok()?)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_ends_where_its_slice_ends() {
        let mut reader = BitReader::new(&[0xA5, 0xC0], 0);
        assert_eq!(reader.u8(3), Ok(0b101));
        assert_eq!(reader.u16(7), Ok(0b001_0111));
        assert_eq!(reader.at(), 10);
        assert_eq!(reader.u32(7), Err(Unreadable::Malformed));
    }

    #[test]
    fn one_of_five_takes_two_bits_or_three() {
        // A.8.2, the table of ns(5).
        for (value, bits, n) in [
            (0, 0b00, 2),
            (1, 0b01, 2),
            (2, 0b10, 2),
            (3, 0b110, 3),
            (4, 0b111, 3),
        ] {
            let mut out = [0xFF];
            let mut writer = BitWriter::new(&mut out);
            assert_eq!(writer.non_symmetric(value, 5), Some(()));
            assert_eq!(out, [bits << (8 - n)]);
            let mut reader = BitReader::new(&out, 0);
            assert_eq!(reader.non_symmetric(5), Ok(value));
            assert_eq!(reader.at(), n);
        }
    }

    #[test]
    fn every_choice_of_up_to_33_is_read_as_it_was_written() {
        for n in 1..=33 {
            for value in 0..n {
                let mut out = [0; 2];
                let mut writer = BitWriter::new(&mut out);
                assert_eq!(writer.non_symmetric(value, n), Some(()));
                let bits = writer.at;
                let mut reader = BitReader::new(&out, 0);
                assert_eq!(reader.non_symmetric(n), Ok(value), "{value} of {n}");
                assert_eq!(reader.at(), bits);
            }
            assert_eq!(BitWriter::new(&mut [0; 2]).non_symmetric(n, n), None);
        }
    }

    #[test]
    fn a_writer_cuts_nothing_off() {
        let mut out = [0xFF; 2];
        let mut writer = BitWriter::new(&mut out);
        assert_eq!(writer.put(4, 2), None);
        assert_eq!(writer.put(3, 2), Some(()));
        assert_eq!(writer.copy(&[0x0F, 0xF0], 6, 10), Some(()));
        assert_eq!(writer.bytes(), 1);
        assert_eq!(writer.put(0, 10), Some(()));
        assert_eq!(writer.bit(true), None);
        assert_eq!(out, [0b1111_1100, 0]);
    }
}

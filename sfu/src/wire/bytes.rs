//! Cursors over network bytes: the one place where a length is compared with what is there.
//!
//! [`Reader`] gives big-endian values or [`DropReason::Malformed`]; [`Writer`] gives `None` where
//! the room ends. Neither can index past its slice.

use crate::error::DropReason;

/// Reads from the front of a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What is left, without taking it.
    #[inline]
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], DropReason> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(len)
            .ok_or(DropReason::Malformed)?;
        self.bytes = rest;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DropReason> {
        let (taken, rest) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or(DropReason::Malformed)?;
        self.bytes = rest;
        Ok(*taken)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, DropReason> {
        self.array().map(u8::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, DropReason> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u24(&mut self) -> Result<u32, DropReason> {
        self.array()
            .map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, DropReason> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, DropReason> {
        self.array().map(u64::from_be_bytes)
    }
}

/// Writes to the front of a slice.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    #[inline]
    pub(crate) const fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// Bytes written so far.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Forgets what was written after the first `len` bytes.
    #[inline]
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.len.checked_add(bytes.len())?;
        self.out.get_mut(self.len..end)?.copy_from_slice(bytes);
        self.len = end;
        Some(())
    }

    /// Overwrites bytes already written.
    #[inline]
    pub(crate) fn set(&mut self, at: usize, bytes: &[u8]) -> Option<()> {
        let end = at.checked_add(bytes.len())?;
        self.out
            .get_mut(..self.len)?
            .get_mut(at..end)?
            .copy_from_slice(bytes);
        Some(())
    }

    #[inline]
    pub(crate) fn u8(&mut self, value: u8) -> Option<()> {
        self.put(&[value])
    }

    #[inline]
    pub(crate) fn u16(&mut self, value: u16) -> Option<()> {
        self.put(&value.to_be_bytes())
    }

    /// The low 24 bits.
    #[inline]
    pub(crate) fn u24(&mut self, value: u32) -> Option<()> {
        let [_, a, b, c] = value.to_be_bytes();
        self.put(&[a, b, c])
    }

    #[inline]
    pub(crate) fn u32(&mut self, value: u32) -> Option<()> {
        self.put(&value.to_be_bytes())
    }

    #[inline]
    pub(crate) fn u64(&mut self, value: u64) -> Option<()> {
        self.put(&value.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_ends_where_its_slice_ends() {
        let mut reader = Reader::new(&[1, 2, 3, 4, 5, 6]);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u24(), Ok(0x02_03_04));
        assert_eq!(reader.u32(), Err(DropReason::Malformed));
        assert_eq!(reader.u16(), Ok(0x05_06));
        assert!(reader.is_empty());
        assert_eq!(reader.u8(), Err(DropReason::Malformed));
    }

    #[test]
    fn a_writer_writes_all_or_nothing() {
        let mut out = [0; 5];
        let mut writer = Writer::new(&mut out);
        assert_eq!(writer.u24(0x01_02_03), Some(()));
        assert_eq!(writer.u32(9), None);
        assert_eq!(writer.set(2, &[7, 7]), None);
        assert_eq!(writer.set(1, &[8, 9]), Some(()));
        assert_eq!(writer.len(), 3);
        assert_eq!(out, [1, 8, 9, 0, 0]);
    }
}

//! The picture id of VP8 (RFC 7741 §4.2) and VP9 (RFC 9628 §4.2): 7 or 15 bits behind a bit that
//! tells which.

use crate::error::DropReason;
use crate::wire::bytes::Reader;

/// A picture id as a descriptor carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureId {
    /// The number.
    pub value: u16,
    /// It has 15 bits, not 7.
    pub long: bool,
}

impl PictureId {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, DropReason> {
        let first = reader.u8()?;
        if first & 0x80 == 0 {
            return Ok(Self {
                value: u16::from(first),
                long: false,
            });
        }
        let value = u16::from_be_bytes([first & 0x7F, reader.u8()?]);
        Ok(Self { value, long: true })
    }

    /// Writes `value` over this one at `at`, in the same width: what is above it is cut off.
    pub(super) fn replace(self, value: u16, at: usize, payload: &mut [u8]) -> bool {
        let [high, low] = value.to_be_bytes();
        let place = payload.get_mut(at..).unwrap_or_default();
        match (self.long, place) {
            (true, [first, second, ..]) => (*first, *second) = (high | 0x80, low),
            (false, [first, ..]) => *first = low & 0x7F,
            _ => return false,
        }
        true
    }
}

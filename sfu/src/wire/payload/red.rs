//! RED (RFC 2198): a packet of sound that carries copies of earlier ones before its own. Read and
//! written; what a copy belongs to is known only by how much older it is.

use arrayvec::ArrayVec;

use crate::error::DropReason;
use crate::limits::RED_BLOCKS;
use crate::wire::bytes::{Reader, Writer};

/// A copy is at most so much older than its packet, in ticks of the clock: 14 bits.
pub const OFFSET_MAX: u32 = (1 << 14) - 1;
/// And at most so long: 10 bits.
pub const BLOCK_BYTES_MAX: usize = (1 << 10) - 1;
/// Marks a header that another follows.
const FOLLOWED: u8 = 0x80;
/// Bits of a block's length.
const LENGTH_BITS: u32 = 10;

/// One block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block<'a> {
    /// What it is coded in.
    pub payload_type: u8,
    /// How much older it is than the packet, in ticks of the clock.
    pub offset: u32,
    /// What it carries.
    pub bytes: &'a [u8],
}

/// The blocks of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Red<'a> {
    /// Copies of what was sent before, as they stand: the oldest first. Of more than `RED_BLOCKS`
    /// the last.
    pub redundant: ArrayVec<Block<'a>, RED_BLOCKS>,
    /// The packet's own.
    pub primary: Block<'a>,
}

impl<'a> Red<'a> {
    /// Reads a payload. RFC 2198 §3: headers of four bytes for the copies, of one for the primary,
    /// then the blocks in the same order.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn parse(payload: &'a [u8]) -> Result<Self, DropReason> {
        let mut headers = Reader::new(payload);
        let mut blocks = Reader::new(payload);
        // The blocks begin behind the last header: find it first.
        while blocks.u8()? & FOLLOWED != 0 {
            blocks.take(3)?;
        }
        let mut redundant = ArrayVec::new();
        loop {
            let first = headers.u8()?;
            let payload_type = first & !FOLLOWED;
            if first & FOLLOWED == 0 {
                let primary = Block {
                    payload_type,
                    offset: 0,
                    bytes: blocks.rest(),
                };
                return Ok(Self { redundant, primary });
            }
            let rest = headers.u24()?;
            let length = usize::try_from(rest & ((1 << LENGTH_BITS) - 1));
            let block = Block {
                payload_type,
                offset: rest >> LENGTH_BITS,
                bytes: blocks.take(length.map_err(|_| DropReason::Malformed)?)?,
            };
            if redundant.is_full() {
                redundant.remove(0);
            }
            redundant.push(block);
        }
    }

    /// Writes it as a payload; its length. `None`: a copy is too old or too long, or there is no
    /// room.
    #[must_use]
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let mut writer = Writer::new(out);
        for block in &self.redundant {
            let length = u32::try_from(block.bytes.len()).ok()?;
            if block.offset > OFFSET_MAX || block.bytes.len() > BLOCK_BYTES_MAX {
                return None;
            }
            writer.u8(block.payload_type | FOLLOWED)?;
            writer.u24(block.offset << LENGTH_BITS | length)?;
        }
        writer.u8(self.primary.payload_type & !FOLLOWED)?;
        for block in &self.redundant {
            writer.put(block.bytes)?;
        }
        writer.put(self.primary.bytes)?;
        Some(writer.len())
    }

    /// How long it is when written.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let copies: usize = self.redundant.iter().map(|it| it.bytes.len() + 4).sum();
        copies + 1 + self.primary.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Payload type, offset and bytes.
    type Told<'a> = (u8, u32, &'a [u8]);

    /// The copies and the primary, or nothing.
    fn check(input: &[u8], expected: Option<(&[Told<'_>], Told<'_>)>) {
        let block = |(payload_type, offset, bytes)| Block {
            payload_type,
            offset,
            bytes,
        };
        let expected = expected.map(|(redundant, primary)| Red {
            redundant: redundant.iter().copied().map(block).collect(),
            primary: block(primary),
        });
        let got = Red::parse(input);
        assert_eq!(
            got,
            expected.clone().ok_or(DropReason::Malformed),
            "{input:02x?}"
        );
        if let Some(red) = expected {
            let mut out = [0; 64];
            assert_eq!(red.bytes(), input.len());
            assert_eq!(red.write(&mut out), Some(input.len()));
            assert_eq!(&out[..input.len()], input);
            assert_eq!(red.write(&mut out[..input.len() - 1]), None);
        }
    }

    #[test]
    fn blocks_are_read_and_written_back() {
        check(&[111, 1, 2], Some((&[], (111, 0, &[1, 2]))));
        check(&[111], Some((&[], (111, 0, &[]))));
        // 960 ticks are 0x3C0: 14 bits of it and 10 of length.
        check(
            &[0x80 | 111, 0x0F, 0x00, 3, 111, 1, 2, 3, 9, 8],
            Some((&[(111, 960, &[1, 2, 3])], (111, 0, &[9, 8]))),
        );
        check(
            &[
                0x80 | 111,
                0x1E,
                0x00,
                1,
                0x80 | 96,
                0x0F,
                0x00,
                2,
                111,
                1,
                2,
                3,
                7,
            ],
            Some((&[(111, 1_920, &[1]), (96, 960, &[2, 3])], (111, 0, &[7]))),
        );
    }

    #[test]
    fn what_is_cut_short_is_malformed() {
        for input in [
            &[][..],
            &[0x80 | 111],
            &[0x80 | 111, 0, 0, 1],
            &[0x80 | 111, 0x0F, 0x03, 0xFF, 111, 1, 2],
            &[0xFF; 40],
        ] {
            check(input, None);
        }
    }

    #[test]
    fn of_too_many_copies_the_newest_are_kept_and_what_does_not_fit_is_not_written() {
        let count = u8::try_from(RED_BLOCKS).unwrap() + 3;
        let mut packet = Vec::new();
        for n in 0..count {
            packet.extend([0x80 | 111, 0, u8::from(n == 0) << 2, 1]);
        }
        packet.push(111);
        packet.extend(0..count);
        let red = Red::parse(&packet).unwrap();
        let kept: Vec<u8> = red.redundant.iter().map(|block| block.bytes[0]).collect();
        assert_eq!(kept, (3..count).collect::<Vec<_>>());
        let mut out = [0; 2_000];
        for (offset, bytes, fits) in [
            (OFFSET_MAX, &[0; BLOCK_BYTES_MAX][..], true),
            (OFFSET_MAX + 1, &[0][..], false),
            (0, &[0; BLOCK_BYTES_MAX + 1], false),
        ] {
            let block = Block {
                payload_type: 111,
                offset,
                bytes,
            };
            let red = Red {
                redundant: [block].into_iter().collect(),
                primary: Block::default(),
            };
            assert_eq!(red.write(&mut out).is_some(), fits);
        }
    }
}

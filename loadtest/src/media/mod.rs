//! Synthetic audio and video whose bytes say who, when and which frame.
//!
//! A payload looks to a forwarder like what it claims to be: an Opus packet begins with its TOC
//! byte (RFC 6716 §3.1), a picture's with what its codec puts there (`picture`). Behind that stands
//! a [`Stamp`] and a filling derived from it, so that one flipped bit anywhere is seen.
//! No decoder would make a picture of it.
//!
//! | file | what it is |
//! |---|---|
//! | `picture` | VP8, VP9, H264 and AV1 before the stamp |

mod picture;
#[cfg(test)]
mod tests;

pub use picture::{Numbers, VideoCodec, VideoPacket, read_video, write_video};

use sfu::time::Instant;
use sfu::units::Layer;

/// What a frame of one layer is among the others, and what it leans on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// Which encoding of its track, lowest first.
    pub encoding: u8,
    /// Its layer within it.
    pub layer: Layer,
    /// Spatial layers of the encoding; 0: its packets say nothing of layers.
    pub spatial_layers: u8,
    /// Lines of its picture.
    pub height: u16,
    /// How many frames before it, in its own spatial layer, those are that it leans on; 0: none.
    pub leans: [u8; 3],
    /// It leans on the spatial layer below, of its own picture.
    pub leans_below: bool,
    /// One may go up here: VP8's Y (RFC 7741 §4.2), VP9's U (RFC 9628 §4.2).
    pub is_switch: bool,
}

/// What a packet says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Number of the robot that made it.
    pub sender: u32,
    /// Which of its publications.
    pub track: u8,
    /// Of which layer, and what it leans on.
    pub unit: Unit,
    /// Whether its picture can be decoded without others.
    pub keyframe: bool,
    /// Number of its picture, from 0, in all encodings alike.
    pub frame: u32,
    /// Which packet of the unit, from 0.
    pub packet: u16,
    /// Packets of the unit.
    pub packets: u16,
    /// When it was made.
    pub sent_at: Instant,
}

impl Stamp {
    /// A decoder can start with this packet.
    #[must_use]
    pub const fn starts(&self) -> bool {
        self.keyframe && self.packet == 0 && self.unit.layer.spatial == 0
    }

    /// It is the last of its unit.
    #[must_use]
    pub const fn ends(&self) -> bool {
        self.packet + 1 == self.packets
    }
}

/// Why a payload is not one of ours, or not as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Spoiled {
    /// Too short for its own header.
    #[error("the payload is cut short")]
    Short,
    /// No robot made it.
    #[error("the payload carries no stamp")]
    NoStamp,
    /// The filling does not follow from the stamp.
    #[error("the payload's filling is damaged")]
    Damaged,
    /// The header says something else than the stamp.
    #[error("the payload's header contradicts its stamp")]
    Contradiction,
}

/// Bytes of a stamp.
const STAMP_BYTES: usize = 38;
/// First bytes of a stamp: "Plnm".
const MAGIC: u32 = 0x506c_6e6d;
/// CELT-only, 20 ms, mono, one frame in the packet (RFC 6716 §3.1).
const OPUS_TOC: u8 = 0xf8;
/// An audio payload of `length` bytes, or as many as its stamp needs.
#[must_use]
pub fn write_audio(stamp: &Stamp, length: usize) -> Vec<u8> {
    let mut payload = Vec::with_capacity(length.max(1 + STAMP_BYTES));
    payload.push(OPUS_TOC);
    write_stamp(stamp, length, &mut payload);
    payload
}

/// Reads an audio payload back.
///
/// # Errors
/// It is not as [`write_audio`] made it.
pub fn read_audio(payload: &[u8]) -> Result<Stamp, Spoiled> {
    let (&toc, rest) = payload.split_first().ok_or(Spoiled::Short)?;
    if toc != OPUS_TOC {
        return Err(Spoiled::Contradiction);
    }
    read_stamp(rest)
}

fn write_stamp(stamp: &Stamp, length: usize, payload: &mut Vec<u8>) {
    let unit = &stamp.unit;
    let flags =
        u8::from(stamp.keyframe) | u8::from(unit.leans_below) << 1 | u8::from(unit.is_switch) << 2;
    payload.extend_from_slice(&MAGIC.to_be_bytes());
    payload.extend_from_slice(&stamp.sender.to_be_bytes());
    payload.extend_from_slice(&stamp.frame.to_be_bytes());
    payload.extend_from_slice(&stamp.sent_at.as_micros().to_be_bytes());
    payload.extend_from_slice(&stamp.packet.to_be_bytes());
    payload.extend_from_slice(&stamp.packets.to_be_bytes());
    payload.extend_from_slice(&unit.height.to_be_bytes());
    payload.extend_from_slice(&[
        stamp.track,
        flags,
        unit.encoding,
        unit.layer.spatial,
        unit.layer.temporal,
        unit.spatial_layers,
    ]);
    payload.extend_from_slice(&unit.leans);
    // Of all the above, so that a flipped bit is seen where there is no filling.
    let sum = payload.iter().rev().take(STAMP_BYTES - 3);
    let sum = sum.fold(0x5a_u8, |sum, byte| sum.rotate_left(3) ^ byte);
    payload.extend_from_slice(&[sum, !sum, 0]);
    let mut filling = Filling::of(stamp);
    while payload.len() < length {
        let word = filling.next_word().to_be_bytes();
        let wanted = (length - payload.len()).min(word.len());
        payload.extend(word.iter().take(wanted));
    }
}

fn read_stamp(bytes: &[u8]) -> Result<Stamp, Spoiled> {
    let (head, rest) = bytes
        .split_first_chunk::<STAMP_BYTES>()
        .ok_or(Spoiled::Short)?;
    let number = |at: usize, bytes: usize| {
        let part = head.iter().skip(at).take(bytes);
        part.fold(0_u64, |value, byte| value << 8 | u64::from(*byte))
    };
    if number(0, 4) != u64::from(MAGIC) {
        return Err(Spoiled::NoStamp);
    }
    let stamp = Stamp {
        sender: low_32(number(4, 4)),
        frame: low_32(number(8, 4)),
        sent_at: Instant::from_micros(number(12, 8)),
        packet: low_16(number(20, 2)),
        packets: low_16(number(22, 2)),
        track: low_8(number(26, 1)),
        keyframe: number(27, 1) & 1 != 0,
        unit: Unit {
            height: low_16(number(24, 2)),
            leans_below: number(27, 1) & 2 != 0,
            is_switch: number(27, 1) & 4 != 0,
            encoding: low_8(number(28, 1)),
            layer: Layer {
                spatial: low_8(number(29, 1)),
                temporal: low_8(number(30, 1)),
            },
            spatial_layers: low_8(number(31, 1)),
            leans: [
                low_8(number(32, 1)),
                low_8(number(33, 1)),
                low_8(number(34, 1)),
            ],
        },
    };
    // What is not as it would be written is not as it was.
    let mut again = Vec::with_capacity(STAMP_BYTES);
    write_stamp(&stamp, 0, &mut again);
    if again != head {
        return Err(Spoiled::Damaged);
    }
    let mut filling = Filling::of(&stamp);
    let whole = rest
        .chunks(8)
        .all(|chunk| filling.next_word().to_be_bytes().starts_with(chunk));
    if whole {
        Ok(stamp)
    } else {
        Err(Spoiled::Damaged)
    }
}

/// Pseudo-random words that follow from a stamp (xorshift64*).
struct Filling(u64);

impl Filling {
    fn of(stamp: &Stamp) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for part in [
            u64::from(stamp.sender) << 16 | u64::from(stamp.unit.height),
            u64::from(stamp.track) << 1 | u64::from(stamp.keyframe),
            u64::from(stamp.unit.encoding) << 16 | u64::from(stamp.unit.layer.spatial),
            u64::from(stamp.frame),
            u64::from(stamp.packet) << 16 | u64::from(stamp.packets),
            stamp.sent_at.as_micros(),
        ] {
            state = (state ^ part)
                .wrapping_mul(0x0000_0100_0000_01b3)
                .rotate_left(23);
        }
        Self(state | 1)
    }

    const fn next_word(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "what does not fit was not read"
)]
const fn low_32(value: u64) -> u32 {
    value as u32
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "what does not fit was not read"
)]
const fn low_16(value: u64) -> u16 {
    value as u16
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "what does not fit was not read"
)]
const fn low_8(value: u64) -> u8 {
    value as u8
}

//! Synthetic audio and video whose bytes say who, when and which frame.
//!
//! A payload looks to a forwarder like what it claims to be: an Opus packet begins with its TOC
//! byte (RFC 6716 §3.1), a VP8 packet with its payload descriptor with a 15-bit picture id
//! (RFC 7741 §4.2) and, at the start of a frame, the frame tag (RFC 6386 §9.1). Behind that stands
//! a [`Stamp`] and a filling derived from it, so that one flipped bit anywhere is seen.
//! No decoder would make a picture of it.

use sfu::time::Instant;

/// What a packet says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Number of the robot that made it.
    pub sender: u32,
    /// Which of its publications.
    pub track: u8,
    /// Whether its frame can be decoded without others.
    pub keyframe: bool,
    /// Number of its frame, from 0.
    pub frame: u32,
    /// Which packet of the frame, from 0.
    pub packet: u16,
    /// Packets of the frame.
    pub packets: u16,
    /// When it was made.
    pub sent_at: Instant,
}

/// A VP8 packet, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoPacket {
    /// Its stamp.
    pub stamp: Stamp,
    /// 15 bits of the payload descriptor.
    pub picture_id: u16,
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
const STAMP_BYTES: usize = 28;
/// First bytes of a stamp: "Plnm".
const MAGIC: u32 = 0x506c_6e6d;
/// CELT-only, 20 ms, mono, one frame in the packet (RFC 6716 §3.1).
const OPUS_TOC: u8 = 0xf8;
/// X (extension) and S (start of partition 0) of the descriptor's first byte, RFC 7741 §4.2.
const EXTENDED: u8 = 0x80;
const STARTS: u8 = 0x10;
/// I: a picture id follows.
const HAS_PICTURE_ID: u8 = 0x80;
/// Descriptor: X byte, I byte, two bytes of picture id.
const DESCRIPTOR_BYTES: usize = 4;
/// Frame tag, start code and size of a key frame, RFC 6386 §9.1; 320x240, no scaling.
const KEYFRAME_HEADER: [u8; 10] = [0x10, 0x02, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00];
/// Frame tag of another frame: the lowest bit says so.
const FRAME_HEADER: [u8; 3] = [0x31, 0x02, 0];

/// An audio payload of `length` bytes, or as many as its stamp needs.
#[must_use]
pub fn write_audio(stamp: &Stamp, length: usize) -> Vec<u8> {
    let mut payload = Vec::with_capacity(length.max(1 + STAMP_BYTES));
    payload.push(OPUS_TOC);
    write_stamp(stamp, length, &mut payload);
    payload
}

/// A video payload of `length` bytes, or as many as its header and stamp need.
#[must_use]
pub fn write_video(stamp: &Stamp, picture_id: u16, length: usize) -> Vec<u8> {
    let mut payload = Vec::with_capacity(length.max(64));
    let starts = if stamp.packet == 0 { STARTS } else { 0 };
    payload.extend_from_slice(&[EXTENDED | starts, HAS_PICTURE_ID]);
    payload.extend_from_slice(&(picture_id | 0x8000).to_be_bytes());
    match (stamp.packet, stamp.keyframe) {
        (0, true) => payload.extend_from_slice(&KEYFRAME_HEADER),
        (0, false) => payload.extend_from_slice(&FRAME_HEADER),
        (_, _) => {}
    }
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

/// Reads a video payload back. A forwarder may have changed the picture id, nothing else.
///
/// # Errors
/// It is not as [`write_video`] made it.
pub fn read_video(payload: &[u8]) -> Result<VideoPacket, Spoiled> {
    let (descriptor, rest) = payload
        .split_first_chunk::<DESCRIPTOR_BYTES>()
        .ok_or(Spoiled::Short)?;
    let &[first, second, high, low] = descriptor;
    if first & !STARTS != EXTENDED || second != HAS_PICTURE_ID || high & 0x80 == 0 {
        return Err(Spoiled::Contradiction);
    }
    let starts = first & STARTS != 0;
    let (keyframe, rest) = match rest.first() {
        None => return Err(Spoiled::Short),
        Some(_) if !starts => (None, rest),
        Some(tag) if tag & 1 == 0 => (Some(true), after(rest, &KEYFRAME_HEADER)?),
        Some(_) => (Some(false), after(rest, &FRAME_HEADER)?),
    };
    let stamp = read_stamp(rest)?;
    if starts != (stamp.packet == 0) || keyframe.is_some_and(|it| it != stamp.keyframe) {
        return Err(Spoiled::Contradiction);
    }
    let picture_id = u16::from_be_bytes([high & 0x7f, low]);
    Ok(VideoPacket { stamp, picture_id })
}

fn after<'a>(bytes: &'a [u8], header: &[u8]) -> Result<&'a [u8], Spoiled> {
    bytes.strip_prefix(header).ok_or(Spoiled::Contradiction)
}

fn write_stamp(stamp: &Stamp, length: usize, payload: &mut Vec<u8>) {
    payload.extend_from_slice(&MAGIC.to_be_bytes());
    payload.extend_from_slice(&stamp.sender.to_be_bytes());
    payload.extend_from_slice(&[stamp.track, u8::from(stamp.keyframe)]);
    payload.extend_from_slice(&stamp.packet.to_be_bytes());
    payload.extend_from_slice(&stamp.packets.to_be_bytes());
    payload.extend_from_slice(&[0; 2]);
    payload.extend_from_slice(&stamp.frame.to_be_bytes());
    payload.extend_from_slice(&stamp.sent_at.as_micros().to_be_bytes());
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
    let word = |at: usize| {
        let mut word = [0; 4];
        word.iter_mut()
            .zip(head.iter().skip(at))
            .for_each(|(to, from)| *to = *from);
        u32::from_be_bytes(word)
    };
    let [
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        track,
        keyframe,
        p0,
        p1,
        n0,
        n1,
        z0,
        z1,
        ..,
    ] = *head;
    if word(0) != MAGIC {
        return Err(Spoiled::NoStamp);
    }
    if keyframe > 1 || z0 != 0 || z1 != 0 {
        return Err(Spoiled::Damaged);
    }
    let stamp = Stamp {
        sender: word(4),
        track,
        keyframe: keyframe == 1,
        packet: u16::from_be_bytes([p0, p1]),
        packets: u16::from_be_bytes([n0, n1]),
        frame: word(16),
        sent_at: Instant::from_micros((u64::from(word(20)) << 32) | u64::from(word(24))),
    };
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
            u64::from(stamp.sender),
            u64::from(stamp.track) << 1 | u64::from(stamp.keyframe),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(packet: u16, keyframe: bool) -> Stamp {
        Stamp {
            sender: 7,
            track: 1,
            keyframe,
            frame: 0x0102_0304,
            packet,
            packets: 3,
            sent_at: Instant::from_micros(0x1_2345_6789),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for length in [0, 60, 120, 1_100] {
            let audio = stamp(0, true);
            assert_eq!(read_audio(&write_audio(&audio, length)), Ok(audio));
            for (packet, keyframe) in [(0, true), (0, false), (1, true), (2, false)] {
                let stamp = stamp(packet, keyframe);
                let payload = write_video(&stamp, 0x7abc, length);
                let picture_id = 0x7abc;
                assert_eq!(read_video(&payload), Ok(VideoPacket { stamp, picture_id }));
            }
        }
    }

    #[test]
    fn one_flipped_bit_is_seen_wherever_it_is() {
        let payload = write_video(&stamp(0, true), 5, 200);
        for bit in 0..payload.len() * 8 {
            let mut damaged = payload.clone();
            damaged[bit / 8] ^= 0x80 >> (bit % 8);
            let picture_id = (17..32).contains(&bit);
            assert_eq!(read_video(&damaged).is_ok(), picture_id, "bit {bit}");
        }
    }

    #[test]
    fn a_cut_header_is_refused() {
        let payload = write_video(&stamp(0, true), 5, 200);
        for length in 0..DESCRIPTOR_BYTES + KEYFRAME_HEADER.len() + STAMP_BYTES {
            assert!(read_video(&payload[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn the_server_takes_the_headers_for_what_they_are() {
        // The first bytes of a key frame and of another one, by RFC 7741 §4.3: P is the lowest
        // bit of the payload header's first byte.
        let tag = |keyframe| write_video(&stamp(0, keyframe), 0, 100)[DESCRIPTOR_BYTES] & 1;
        assert_eq!((tag(true), tag(false)), (0, 1));
    }
}

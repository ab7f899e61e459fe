//! What stands before the stamp of a picture's packet: payload descriptors and the first bytes that
//! forwarders look at, of four codecs.
//!
//! A payload is read back by writing what should stand before its stamp and comparing: so nothing
//! but the numbers that a forwarder may change can differ unseen.

use super::{MAGIC, Spoiled, Stamp, read_stamp, write_stamp};

/// What pictures are coded in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum VideoCodec {
    /// RFC 7741.
    #[default]
    Vp8,
    /// RFC 9628, non-flexible.
    Vp9,
    /// RFC 6184, packetization mode 1.
    H264,
    /// AV1 RTP payload specification 1.0.
    Av1,
}

impl VideoCodec {
    /// Whether its packets tell temporal layers.
    #[must_use]
    pub const fn tells_layers(self) -> bool {
        matches!(self, Self::Vp8 | Self::Vp9)
    }
}

/// The numbers of pictures that VP8 and VP9 carry, and that a forwarder may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// 15 bits; 0 where the codec has none.
    pub picture: u16,
    /// TL0PICIDX; 0 where there is none.
    pub base_layer: u8,
}

/// A picture's packet, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoPacket {
    /// Its codec.
    pub codec: VideoCodec,
    /// Its stamp.
    pub stamp: Stamp,
    /// Its numbers, as they came.
    pub numbers: Numbers,
}

/// The longest that stands before a stamp.
const HEAD_MAX: usize = 64;
/// Parameters that no decoder would take: SPS and PPS by their types alone (ITU-T H.264 table 7-1).
const SPS: [u8; 4] = [0x67, 0x42, 0xe0, 0x1f];
const PPS: [u8; 2] = [0x68, 0xce];
/// A sequence header OBU by its type alone (AV1 bitstream specification §5.3.2).
const SEQUENCE_HEADER: [u8; 3] = [0x08, 0, 0];
/// A frame OBU.
const FRAME_OBU: u8 = 0x30;

/// A picture's payload of `length` bytes, or as many as its header and stamp need.
#[must_use]
pub fn write_video(codec: VideoCodec, stamp: &Stamp, numbers: Numbers, length: usize) -> Vec<u8> {
    let mut payload = Vec::with_capacity(length.max(2 * HEAD_MAX));
    write_head(codec, stamp, numbers, &mut payload);
    let head = payload.len();
    write_stamp(stamp, length, &mut payload);
    set_unit_length(codec, stamp, head, &mut payload);
    payload
}

/// Reads a picture's payload back. A forwarder may have changed its numbers, nothing else.
///
/// # Errors
/// It is not as [`write_video`] made it.
pub fn read_video(codec: VideoCodec, payload: &[u8]) -> Result<VideoPacket, Spoiled> {
    let magic = MAGIC.to_be_bytes();
    let mut places = payload.windows(magic.len()).take(HEAD_MAX);
    let head = places.position(|window| window == magic);
    let head = head.ok_or(if payload.len() < 2 * HEAD_MAX {
        Spoiled::Short
    } else {
        Spoiled::NoStamp
    })?;
    let stamp = read_stamp(payload.get(head..).unwrap_or_default())?;
    let numbers = read_numbers(codec, &stamp, payload);
    let mut expected = Vec::with_capacity(HEAD_MAX);
    write_head(codec, &stamp, numbers, &mut expected);
    if expected.len() != head {
        return Err(Spoiled::Contradiction);
    }
    expected.extend_from_slice(payload.get(head..).unwrap_or_default());
    set_unit_length(codec, &stamp, head, &mut expected);
    if payload.get(..head) != expected.get(..head) {
        return Err(Spoiled::Contradiction);
    }
    Ok(VideoPacket {
        codec,
        stamp,
        numbers,
    })
}

fn write_head(codec: VideoCodec, stamp: &Stamp, numbers: Numbers, out: &mut Vec<u8>) {
    match codec {
        VideoCodec::Vp8 => write_vp8(stamp, numbers, out),
        VideoCodec::Vp9 => write_vp9(stamp, numbers, out),
        VideoCodec::H264 => write_h264(stamp, out),
        VideoCodec::Av1 => write_av1(stamp, out),
    }
}

fn read_numbers(codec: VideoCodec, stamp: &Stamp, payload: &[u8]) -> Numbers {
    let byte = |at: usize| payload.get(at).copied().unwrap_or_default();
    let (picture_at, base_at) = match codec {
        VideoCodec::Vp8 => (2, 4),
        VideoCodec::Vp9 => (1, 4),
        VideoCodec::H264 | VideoCodec::Av1 => return Numbers::default(),
    };
    let has_base = codec == VideoCodec::Vp9 || stamp.unit.spatial_layers > 0;
    Numbers {
        picture: u16::from_be_bytes([byte(picture_at) & 0x7f, byte(picture_at + 1)]),
        base_layer: if has_base { byte(base_at) } else { 0 },
    }
}

/// RFC 7741 §4.2: X, S; I, L and T where there are layers; then the frame tag (RFC 6386 §9.1).
fn write_vp8(stamp: &Stamp, numbers: Numbers, out: &mut Vec<u8>) {
    let unit = &stamp.unit;
    let is_layered = unit.spatial_layers > 0;
    let starts = stamp.packet == 0;
    out.push(0x80 | if starts { 0x10 } else { 0 });
    out.push(if is_layered { 0xe0 } else { 0x80 });
    out.extend_from_slice(&(numbers.picture | 0x8000).to_be_bytes());
    if is_layered {
        out.push(numbers.base_layer);
        out.push(unit.layer.temporal << 6 | u8::from(unit.is_switch) << 5);
    }
    match (starts, stamp.keyframe) {
        (true, true) => {
            out.extend_from_slice(&[0x10, 0x02, 0, 0x9d, 0x01, 0x2a]);
            out.extend_from_slice(&(unit.height * 4 / 3).to_le_bytes());
            out.extend_from_slice(&unit.height.to_le_bytes());
        }
        (true, false) => out.extend_from_slice(&[0x31, 0x02, 0]),
        (false, _) => {}
    }
}

/// RFC 9628 §4.2: I, P, L, B, E, V and Z; the structure with its sizes (§4.2.1) begins a key picture.
fn write_vp9(stamp: &Stamp, numbers: Numbers, out: &mut Vec<u8>) {
    let unit = &stamp.unit;
    let layers = unit.spatial_layers.max(1);
    let (spatial, temporal) = (unit.layer.spatial, unit.layer.temporal);
    let bit = |set: bool, bit: u8| if set { bit } else { 0 };
    out.push(
        0xa0 | bit(!stamp.keyframe, 0x40)
            | bit(stamp.packet == 0, 0x08)
            | bit(stamp.ends(), 0x04)
            | bit(stamp.starts(), 0x02)
            | bit(spatial + 1 == layers, 0x01),
    );
    out.extend_from_slice(&(numbers.picture | 0x8000).to_be_bytes());
    out.push(
        temporal << 5 | bit(unit.is_switch, 0x10) | spatial << 1 | bit(unit.leans_below, 0x01),
    );
    out.push(numbers.base_layer);
    if stamp.starts() {
        out.push((layers - 1) << 5 | 0x10);
        for spatial in 0..layers {
            let height = unit.height << spatial;
            out.extend_from_slice(&(height * 4 / 3).to_be_bytes());
            out.extend_from_slice(&height.to_be_bytes());
        }
    }
    out.push(if stamp.keyframe { 0x82 } else { 0x86 });
}

/// RFC 6184: the parameters of a key frame in an aggregate (§5.7.1), which ends with SEI or the
/// picture; what has several packets in fragments (§5.8).
fn write_h264(stamp: &Stamp, out: &mut Vec<u8>) {
    let last = stamp.ends();
    match (stamp.keyframe, stamp.packet) {
        (true, 0) => {
            out.extend_from_slice(&[0x78, 0, 4]);
            out.extend_from_slice(&SPS);
            out.extend_from_slice(&[0, 2]);
            out.extend_from_slice(&PPS);
            // Its length is known when the rest is there.
            out.extend_from_slice(&[0, 0]);
            out.extend_from_slice(if last { &[0x65, 0x88] } else { &[0x06] });
        }
        (false, 0) if last => out.extend_from_slice(&[0x41, 0x9a]),
        (keyframe, packet) => {
            let first = packet == u16::from(keyframe);
            let kind = if keyframe { 5 } else { 1 };
            let start = if first { 0x80 } else { 0 };
            let end = if last { 0x40 } else { 0 };
            out.extend_from_slice(&[0x7c, start | end | kind, 0x9a]);
        }
    }
}

/// AV1 RTP payload specification §4.4: Z, Y, W, N; a sequence header begins a key frame.
fn write_av1(stamp: &Stamp, out: &mut Vec<u8>) {
    let continued = if stamp.ends() { 0 } else { 0x40 };
    // §4.4: N, where a coded video sequence begins; its header is in the lowest layer alone.
    match (stamp.packet, stamp.starts()) {
        (0, true) => {
            out.extend_from_slice(&[0x28 | continued, 3]);
            out.extend_from_slice(&SEQUENCE_HEADER);
            out.push(FRAME_OBU);
        }
        (0, false) => out.extend_from_slice(&[0x10 | continued, FRAME_OBU]),
        (_, _) => out.push(0x90 | continued),
    }
}

/// The last unit of an H264 aggregate goes to the end of the packet.
fn set_unit_length(codec: VideoCodec, stamp: &Stamp, head: usize, payload: &mut [u8]) {
    if codec != VideoCodec::H264 || !(stamp.keyframe && stamp.packet == 0) {
        return;
    }
    let begins = head - if stamp.ends() { 2 } else { 1 };
    let length = u16::try_from(payload.len() - begins).unwrap_or(u16::MAX);
    if let Some(place) = payload.get_mut(begins - 2..begins) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

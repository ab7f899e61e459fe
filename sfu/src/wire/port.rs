//! What passes through a port, and its one versioned binary form: the ring between shards, the
//! socket of a child process and, later, the relay between nodes carry the same bytes.
//!
//! A message is the version, a kind, and its fields, big-endian; what has no fixed length comes
//! last. Every message has exactly one form, so bytes that decode encode to themselves again.
//! Frame lengths around messages, where a carrier needs them, are the carrier's.

use crate::error::DropReason;
use crate::id::TrackId;
use crate::limits;
use crate::time::{Instant, NtpTime};
use crate::units::{AudioLevel, Bitrate};
use crate::wire::bytes::{Reader, Writer};
use crate::wire::payload::{Codec, Format};

/// The form written and read here.
pub const VERSION: u8 = 1;

/// The longest message without its payload or parameters.
pub const HEADER_BYTES_MAX: usize = 32;

/// An encoding's number within one port, given by the side that sends its media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortEncoding(pub u16);

/// One packet of media, after repair, without header extensions and padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortMedia<'a> {
    /// Whose.
    pub encoding: PortEncoding,
    /// Unwrapped ([`crate::wire::sequence`]).
    pub sequence: u64,
    /// Unwrapped.
    pub timestamp: u64,
    /// When it came in from the network, on the clock of the shards that share this port.
    pub arrived_at: Instant,
    /// The marker bit.
    pub marker: bool,
    /// Camera, flip and rotation bits, where the packet said so.
    pub orientation: Option<u8>,
    /// At most [`limits::PACKET_BYTES`].
    pub payload: &'a [u8],
}

/// A message through a port. Forward is where the media goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortMessage<'a> {
    /// Forward: a packet.
    Media(PortMedia<'a>),
    /// Forward: from here on `encoding` means this.
    EncodingStarted {
        /// Its number.
        encoding: PortEncoding,
        /// Of which track.
        track: TrackId,
        /// Which of the track's encodings, the lowest being 0.
        rung: u8,
        /// Its codec, with what must be equal at both ends.
        format: Format,
        /// `a=fmtp`; at most [`limits::PORT_PARAMETERS_BYTES`].
        parameters: &'a str,
    },
    /// Forward: the number is free again.
    EncodingEnded {
        /// Its number.
        encoding: PortEncoding,
    },
    /// Forward: the encoding's media clock showed `timestamp` at `server` time.
    Clock {
        /// Whose clock.
        encoding: PortEncoding,
        /// Unwrapped.
        timestamp: u64,
        /// On the server's clock, the same for all ports of this node.
        server: NtpTime,
    },
    /// Forward: loudness, as its publisher measures it.
    Level {
        /// Of which encoding.
        encoding: PortEncoding,
        /// How loud.
        level: AudioLevel,
        /// It is taken for voice.
        voice: bool,
    },
    /// Forward: the track was muted, or speaks again.
    Muted {
        /// Which.
        track: TrackId,
        /// Which of the two.
        muted: bool,
    },
    /// Forward: the queue was full, and so many messages of media were dropped here.
    Gap {
        /// How many.
        messages: u32,
    },
    /// Backward: a decoder waits.
    KeyframeWanted {
        /// For which encoding.
        encoding: PortEncoding,
    },
    /// Backward: these of the track's encodings are wanted, and no others.
    EncodingsWanted {
        /// Of which track.
        track: TrackId,
        /// Bit i stands for rung i.
        mask: u8,
    },
    /// Backward: no use in more than this of the track.
    BitrateMax {
        /// Which.
        track: TrackId,
        /// At most so much.
        bitrate: Bitrate,
    },
}

/// Kinds on the wire. Numbers are never used again for something else.
mod kind {
    pub(super) const MEDIA: u8 = 1;
    pub(super) const ENCODING_STARTED: u8 = 2;
    pub(super) const ENCODING_ENDED: u8 = 3;
    pub(super) const CLOCK: u8 = 4;
    pub(super) const LEVEL: u8 = 5;
    pub(super) const MUTED: u8 = 6;
    pub(super) const GAP: u8 = 7;
    pub(super) const KEYFRAME_WANTED: u8 = 16;
    pub(super) const ENCODINGS_WANTED: u8 = 17;
    pub(super) const BITRATE_MAX: u8 = 18;
}

/// Flags of a packet of media.
const MARKER: u8 = 0x01;
const ORIENTATION: u8 = 0x02;

impl<'a> PortMessage<'a> {
    /// Writes the message; its length. `None` where it does not fit, or is longer than allowed.
    #[must_use]
    pub fn encode(&self, out: &mut [u8]) -> Option<usize> {
        let mut out = Writer::new(out);
        out.u8(VERSION)?;
        match *self {
            Self::Media(media) => media.encode(&mut out)?,
            Self::EncodingStarted {
                encoding,
                track,
                rung,
                format,
                parameters,
            } => {
                out.u8(kind::ENCODING_STARTED)?;
                out.u16(encoding.0)?;
                out.u64(track.0)?;
                out.put(&[rung, codec_number(format.codec)])?;
                out.u32(format.profile)?;
                out.u8(format.packetization_mode)?;
                if parameters.len() > limits::PORT_PARAMETERS_BYTES {
                    return None;
                }
                out.put(parameters.as_bytes())?;
            }
            Self::EncodingEnded { encoding } => {
                out.u8(kind::ENCODING_ENDED)?;
                out.u16(encoding.0)?;
            }
            Self::Clock {
                encoding,
                timestamp,
                server,
            } => {
                out.u8(kind::CLOCK)?;
                out.u16(encoding.0)?;
                out.u64(timestamp)?;
                out.u64(server.0)?;
            }
            Self::Level {
                encoding,
                level,
                voice,
            } => {
                out.u8(kind::LEVEL)?;
                out.u16(encoding.0)?;
                out.put(&[level.0.min(AudioLevel::SILENCE.0), u8::from(voice)])?;
            }
            Self::Muted { track, muted } => {
                out.u8(kind::MUTED)?;
                out.u64(track.0)?;
                out.u8(u8::from(muted))?;
            }
            Self::Gap { messages } => {
                out.u8(kind::GAP)?;
                out.u32(messages)?;
            }
            Self::KeyframeWanted { encoding } => {
                out.u8(kind::KEYFRAME_WANTED)?;
                out.u16(encoding.0)?;
            }
            Self::EncodingsWanted { track, mask } => {
                out.u8(kind::ENCODINGS_WANTED)?;
                out.u64(track.0)?;
                out.u8(mask)?;
            }
            Self::BitrateMax { track, bitrate } => {
                out.u8(kind::BITRATE_MAX)?;
                out.u64(track.0)?;
                out.u64(bitrate.as_bps())?;
            }
        }
        Some(out.len())
    }

    /// Reads the message that fills `bytes`.
    ///
    /// # Errors
    /// [`DropReason::Unsupported`] for another version or kind, [`DropReason::Malformed`] where it
    /// is too short, too long or says what cannot be.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DropReason> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(DropReason::Unsupported);
        }
        let kind = reader.u8()?;
        let message = match kind {
            kind::MEDIA => Self::Media(PortMedia::decode(&mut reader)?),
            kind::ENCODING_STARTED => Self::decode_started(&mut reader)?,
            kind::CLOCK => Self::Clock {
                encoding: PortEncoding(reader.u16()?),
                timestamp: reader.u64()?,
                server: NtpTime(reader.u64()?),
            },
            kind::LEVEL => Self::Level {
                encoding: PortEncoding(reader.u16()?),
                level: audio_level(reader.u8()?)?,
                voice: flag(reader.u8()?)?,
            },
            kind::MUTED => Self::Muted {
                track: TrackId(reader.u64()?),
                muted: flag(reader.u8()?)?,
            },
            kind::GAP => Self::Gap {
                messages: reader.u32()?,
            },
            kind::ENCODING_ENDED => Self::EncodingEnded {
                encoding: PortEncoding(reader.u16()?),
            },
            kind::KEYFRAME_WANTED => Self::KeyframeWanted {
                encoding: PortEncoding(reader.u16()?),
            },
            kind::ENCODINGS_WANTED => Self::EncodingsWanted {
                track: TrackId(reader.u64()?),
                mask: reader.u8()?,
            },
            kind::BITRATE_MAX => Self::BitrateMax {
                track: TrackId(reader.u64()?),
                bitrate: Bitrate::from_bps(reader.u64()?),
            },
            _ => return Err(DropReason::Unsupported),
        };
        if reader.is_empty() {
            Ok(message)
        } else {
            Err(DropReason::Malformed)
        }
    }

    fn decode_started(reader: &mut Reader<'a>) -> Result<Self, DropReason> {
        let encoding = PortEncoding(reader.u16()?);
        let track = TrackId(reader.u64()?);
        let rung = reader.u8()?;
        let format = Format {
            codec: codec(reader.u8()?).ok_or(DropReason::Unsupported)?,
            profile: reader.u32()?,
            packetization_mode: reader.u8()?,
        };
        let parameters = rest(reader, limits::PORT_PARAMETERS_BYTES)?;
        let parameters = std::str::from_utf8(parameters).map_err(|_| DropReason::Malformed)?;
        Ok(Self::EncodingStarted {
            encoding,
            track,
            rung,
            format,
            parameters,
        })
    }
}

impl<'a> PortMedia<'a> {
    fn encode(&self, out: &mut Writer<'_>) -> Option<()> {
        let orientation = self.orientation.map_or(0, |_| ORIENTATION);
        let flags = orientation | if self.marker { MARKER } else { 0 };
        out.u8(kind::MEDIA)?;
        out.u16(self.encoding.0)?;
        out.u64(self.sequence)?;
        out.u64(self.timestamp)?;
        out.u64(self.arrived_at.as_micros())?;
        out.put(&[flags, self.orientation.unwrap_or(0)])?;
        if self.payload.len() > limits::PACKET_BYTES {
            return None;
        }
        out.put(self.payload)
    }

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DropReason> {
        let encoding = PortEncoding(reader.u16()?);
        let sequence = reader.u64()?;
        let timestamp = reader.u64()?;
        let arrived_at = Instant::from_micros(reader.u64()?);
        let [flags, orientation] = reader.array()?;
        let oriented = flags & ORIENTATION != 0;
        if flags & !(MARKER | ORIENTATION) != 0 || (!oriented && orientation != 0) {
            return Err(DropReason::Malformed);
        }
        Ok(Self {
            encoding,
            sequence,
            timestamp,
            arrived_at,
            marker: flags & MARKER != 0,
            orientation: oriented.then_some(orientation),
            payload: rest(reader, limits::PACKET_BYTES)?,
        })
    }
}

/// All that is left, where that is not too much.
fn rest<'a>(reader: &mut Reader<'a>, bytes_max: usize) -> Result<&'a [u8], DropReason> {
    let len = reader.rest().len();
    if len > bytes_max {
        return Err(DropReason::Malformed);
    }
    reader.take(len)
}

/// RFC 6464 §3: seven bits.
fn audio_level(byte: u8) -> Result<AudioLevel, DropReason> {
    let level = AudioLevel(byte);
    if level <= AudioLevel::SILENCE {
        Ok(level)
    } else {
        Err(DropReason::Malformed)
    }
}

fn flag(byte: u8) -> Result<bool, DropReason> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DropReason::Malformed),
    }
}

/// Codecs on the wire. Numbers are never used again for something else.
const fn codec_number(codec: Codec) -> u8 {
    match codec {
        Codec::Opus => 1,
        Codec::Red => 2,
        Codec::Pcmu => 3,
        Codec::Pcma => 4,
        Codec::Vp8 => 5,
        Codec::Vp9 => 6,
        Codec::H264 => 7,
        Codec::H265 => 8,
        Codec::Av1 => 9,
    }
}

fn codec(number: u8) -> Option<Codec> {
    Codec::ALL
        .into_iter()
        .find(|&codec| codec_number(codec) == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENCODING: PortEncoding = PortEncoding(0x0102);
    const TRACK: TrackId = TrackId(0x0304_0506_0708_090A);

    fn media(orientation: Option<u8>, payload: &[u8]) -> PortMessage<'_> {
        PortMessage::Media(PortMedia {
            encoding: ENCODING,
            sequence: 1 << 40,
            timestamp: (1 << 33) + 90,
            arrived_at: Instant::from_millis(5),
            marker: true,
            orientation,
            payload,
        })
    }

    fn every_kind() -> Vec<PortMessage<'static>> {
        let encoding = ENCODING;
        let track = TRACK;
        let mut all = vec![
            media(None, &[]),
            media(None, &[1, 2, 3]),
            media(Some(0), &[4]),
            media(Some(3), &[9; limits::PACKET_BYTES]),
            PortMessage::EncodingEnded { encoding },
            PortMessage::Clock {
                encoding,
                timestamp: u64::MAX,
                server: NtpTime(7),
            },
            PortMessage::Level {
                encoding,
                level: AudioLevel(42),
                voice: true,
            },
            PortMessage::Muted { track, muted: true },
            PortMessage::Muted {
                track,
                muted: false,
            },
            PortMessage::Gap {
                messages: 1_000_000,
            },
            PortMessage::KeyframeWanted { encoding },
            PortMessage::EncodingsWanted { track, mask: 0b101 },
            PortMessage::BitrateMax {
                track,
                bitrate: Bitrate::UNLIMITED,
            },
        ];
        all.extend(Codec::ALL.map(|codec| PortMessage::EncodingStarted {
            encoding,
            track,
            rung: 2,
            format: Format {
                codec,
                profile: 0x42_E0,
                packetization_mode: 1,
            },
            parameters: "level-asymmetry-allowed=1;profile-level-id=42e01f",
        }));
        all
    }

    fn check(input: &[u8], expected: Result<PortMessage<'_>, DropReason>) {
        assert_eq!(PortMessage::decode(input), expected, "{input:02x?}");
    }

    #[test]
    fn every_message_is_read_back_as_written() {
        for message in every_kind() {
            let mut out = [0xEE; 2_000];
            let len = message.encode(&mut out).unwrap();
            check(&out[..len], Ok(message));
            for short in 0..len {
                assert_eq!(message.encode(&mut out[..short]), None);
            }
        }
    }

    #[test]
    fn a_message_cut_short_is_malformed_unless_its_end_is_open() {
        for message in every_kind() {
            let mut out = [0; 2_000];
            let len = message.encode(&mut out).unwrap();
            let open = if let PortMessage::Media(media) = message {
                media.payload.len()
            } else if let PortMessage::EncodingStarted { parameters, .. } = message {
                parameters.len()
            } else {
                0
            };
            for short in 0..len - open {
                check(&out[..short], Err(DropReason::Malformed));
            }
            if open == 0 && !matches!(message, PortMessage::Media(_)) {
                check(&out[..=len], Err(DropReason::Malformed));
            }
            assert!(len - open <= HEADER_BYTES_MAX);
        }
    }

    #[test]
    fn the_form_is_fixed() {
        check(&[1, 7, 0, 0, 0, 9], Ok(PortMessage::Gap { messages: 9 }));
        let level = PortMessage::Level {
            encoding: ENCODING,
            level: AudioLevel(5),
            voice: false,
        };
        check(&[1, 5, 1, 2, 5, 0], Ok(level));
        check(&[1, 5, 1, 2, 5, 2], Err(DropReason::Malformed));
        check(&[1, 5, 1, 2, 128, 0], Err(DropReason::Malformed));
        check(&[2, 7, 0, 0, 0, 9], Err(DropReason::Unsupported));
        check(&[1, 99], Err(DropReason::Unsupported));
        check(&[], Err(DropReason::Malformed));
        let head = [1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        check(
            &[&head[..], &[10, 0, 0, 0, 0, 0]].concat(),
            Err(DropReason::Unsupported),
        );
        check(
            &[&head[..], &[1, 0, 0, 0, 0, 0, 0xFF]].concat(),
            Err(DropReason::Malformed),
        );
        let mut bytes = [0; 40];
        let len = media(None, &[1]).encode(&mut bytes).unwrap();
        bytes[28] = 4;
        check(&bytes[..len], Err(DropReason::Malformed));
        bytes[28..30].copy_from_slice(&[1, 4]);
        check(&bytes[..len], Err(DropReason::Malformed));
    }

    #[test]
    fn what_is_too_long_is_neither_written_nor_read() {
        let mut out = [0; 4_000];
        assert_eq!(
            media(None, &[0; limits::PACKET_BYTES + 1]).encode(&mut out),
            None
        );
        let len = media(None, &[0; limits::PACKET_BYTES])
            .encode(&mut out)
            .unwrap();
        check(&out[..=len], Err(DropReason::Malformed));
        let parameters = "p".repeat(limits::PORT_PARAMETERS_BYTES + 1);
        let started = PortMessage::EncodingStarted {
            encoding: ENCODING,
            track: TRACK,
            rung: 0,
            format: Format::of(Codec::Vp8),
            parameters: &parameters,
        };
        assert_eq!(started.encode(&mut out), None);
    }
}

//! What passes through a port, and its one versioned binary form: the ring between shards, the
//! socket of a child process and, later, the relay between nodes carry the same bytes.
//!
//! A message is the version, a kind, and its fields, big-endian; what has no fixed length comes
//! last. Every message has exactly one form, so bytes that decode encode to themselves again.
//! Many messages that travel together are a *parcel*: each behind its length ([`split`]).
//!
//! | file | what it is |
//! |---|---|
//! | `mod` | the messages |
//! | [`media`] | one packet of media |
//! | [`track`] | a track, as the other side shows it |

mod media;
mod track;

use crate::error::DropReason;
use crate::id::TrackId;
use crate::limits;
use crate::time::NtpTime;
use crate::units::{AudioLevel, Bitrate};
use crate::wire::bytes::{Reader, Writer};
use crate::wire::payload::{Codec, Format};

pub use media::{PortMedia, PortValues};
pub use track::{PortFormats, PortTrack};

/// The form written and read here.
pub const VERSION: u8 = 2;

/// The longest message without what has no fixed length: a packet of media that says everything.
pub const HEADER_BYTES_MAX: usize = 56;

/// The longest message: a packet of media with its dependency descriptor.
pub const MESSAGE_BYTES_MAX: usize = HEADER_BYTES_MAX + u8::MAX as usize + limits::PACKET_BYTES;

/// An encoding's number within one port, given by the side that sends its media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortEncoding(pub u16);

/// Before each message of a parcel.
const LENGTH_BYTES: usize = 2;

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
    /// Forward: what was said before of tracks and encodings is void, and what was wanted of them is
    /// forgotten; what there is follows.
    Opened,
    /// Forward: a track of a participant of that side is there, or something about it changed.
    TrackChanged(PortTrack<'a>),
    /// Forward: such a track is gone.
    TrackUnpublished {
        /// Which.
        track: TrackId,
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
    pub(super) const OPENED: u8 = 8;
    pub(super) const TRACK_CHANGED: u8 = 9;
    pub(super) const TRACK_UNPUBLISHED: u8 = 10;
    pub(super) const KEYFRAME_WANTED: u8 = 16;
    pub(super) const ENCODINGS_WANTED: u8 = 17;
    pub(super) const BITRATE_MAX: u8 = 18;
}

impl<'a> PortMessage<'a> {
    /// Writes the message; its length. `None` where it does not fit, or is longer than allowed.
    #[must_use]
    pub fn encode(&self, out: &mut [u8]) -> Option<usize> {
        let mut out = Writer::new(out);
        out.u8(VERSION)?;
        match *self {
            Self::Media(media) => {
                out.u8(kind::MEDIA)?;
                media.encode(&mut out)?;
            }
            Self::Opened => out.u8(kind::OPENED)?,
            Self::TrackChanged(track) => {
                out.u8(kind::TRACK_CHANGED)?;
                track.encode(&mut out)?;
            }
            Self::TrackUnpublished { track } => {
                out.u8(kind::TRACK_UNPUBLISHED)?;
                out.u64(track.0)?;
            }
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
                out.u8(rung)?;
                encode_format(format, &mut out)?;
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
            Self::KeyframeWanted { .. }
            | Self::EncodingsWanted { .. }
            | Self::BitrateMax { .. } => self.encode_backward(&mut out)?,
        }
        Some(out.len())
    }

    fn encode_backward(&self, out: &mut Writer<'_>) -> Option<()> {
        match *self {
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
            Self::Media(_)
            | Self::EncodingStarted { .. }
            | Self::EncodingEnded { .. }
            | Self::Clock { .. }
            | Self::Level { .. }
            | Self::Muted { .. }
            | Self::Opened
            | Self::TrackChanged(_)
            | Self::TrackUnpublished { .. }
            | Self::Gap { .. } => return None,
        }
        Some(())
    }

    /// Not less than what it takes on the wire.
    fn bytes_max(&self) -> usize {
        HEADER_BYTES_MAX
            + match self {
                Self::Media(media) => media.descriptor.len() + media.payload.len(),
                Self::EncodingStarted { parameters, .. } => parameters.len(),
                Self::TrackChanged(track) => track.bytes_max(),
                Self::EncodingEnded { .. }
                | Self::Clock { .. }
                | Self::Level { .. }
                | Self::Muted { .. }
                | Self::Opened
                | Self::TrackUnpublished { .. }
                | Self::Gap { .. }
                | Self::KeyframeWanted { .. }
                | Self::EncodingsWanted { .. }
                | Self::BitrateMax { .. } => 0,
            }
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
            kind::OPENED => Self::Opened,
            kind::TRACK_CHANGED => Self::TrackChanged(PortTrack::decode(&mut reader)?),
            kind::TRACK_UNPUBLISHED => Self::TrackUnpublished {
                track: TrackId(reader.u64()?),
            },
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
        let format = decode_format(reader)?;
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

fn encode_format(format: Format, out: &mut Writer<'_>) -> Option<()> {
    out.u8(codec_number(format.codec))?;
    out.u32(format.profile)?;
    out.u8(format.packetization_mode)
}

fn decode_format(reader: &mut Reader<'_>) -> Result<Format, DropReason> {
    Ok(Format {
        codec: codec(reader.u8()?).ok_or(DropReason::Unsupported)?,
        profile: reader.u32()?,
        packetization_mode: reader.u8()?,
    })
}

/// Puts a message behind its length at the end of a parcel, where that grows to `bytes_max` at most.
pub fn append(message: &PortMessage<'_>, parcel: &mut Vec<u8>, bytes_max: usize) -> bool {
    let start = parcel.len();
    let room = (bytes_max.saturating_sub(start)).min(LENGTH_BYTES + message.bytes_max());
    parcel.resize(start + room, 0);
    let end = put_behind_length(message, parcel.get_mut(start..).unwrap_or_default());
    parcel.truncate(start + end.unwrap_or(0));
    end.is_some()
}

fn put_behind_length(message: &PortMessage<'_>, out: &mut [u8]) -> Option<usize> {
    let (prefix, out) = out.split_first_chunk_mut::<LENGTH_BYTES>()?;
    let len = message.encode(out)?;
    *prefix = u16::try_from(len).ok()?.to_be_bytes();
    Some(LENGTH_BYTES + len)
}

/// Takes the bytes of the next message off a parcel. What is cut short ends it.
pub fn split<'a>(parcel: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (prefix, rest) = parcel.split_first_chunk::<LENGTH_BYTES>()?;
    let (message, rest) = rest.split_at_checked(u16::from_be_bytes(*prefix).into())?;
    *parcel = rest;
    Some(message)
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
mod tests;

//! A track as the other side of a port shows it: who publishes it, and what its packets may be.

use super::{decode_format, encode_format};
use crate::error::DropReason;
use crate::id::{ParticipantId, TrackId};
use crate::limits;
use crate::units::MediaKind;
use crate::wire::bytes::{Reader, Writer};
use crate::wire::payload::Format;

/// A track of a participant of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortTrack<'a> {
    /// Its name, on both sides.
    pub track: TrackId,
    /// Who publishes it.
    pub participant: ParticipantId,
    /// What that one is called: at most 255 bytes.
    pub name: &'a str,
    /// Sound or picture.
    pub kind: MediaKind,
    /// Muted by the server.
    pub muted: bool,
    /// Its publisher may not publish it now.
    pub forbidden: bool,
    /// It shows a screen.
    pub screen: bool,
    /// How many encodings it may come in, from 1 on.
    pub rungs: u8,
    /// What its payload types mean; first the one it is coded in now.
    pub formats: PortFormats<'a>,
}

/// Payload types with their formats, in their binary form. At most [`limits::PORT_FORMATS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortFormats<'a>(&'a [u8]);

/// Payload type, codec, profile, packetization mode.
const FORMAT_BYTES: usize = 7;
const VIDEO: u8 = 0x01;
const MUTED: u8 = 0x02;
const FORBIDDEN: u8 = 0x04;
const SCREEN: u8 = 0x08;

impl<'a> PortFormats<'a> {
    /// Writes `formats` into `out`. Those beyond the bound are left out.
    pub fn write(formats: impl Iterator<Item = (u8, Format)>, out: &'a mut Vec<u8>) -> Self {
        out.clear();
        for (payload_type, format) in formats.take(limits::PORT_FORMATS) {
            let mut bytes = [0; FORMAT_BYTES];
            let mut writer = Writer::new(&mut bytes);
            let written = writer
                .u8(payload_type)
                .and_then(|()| encode_format(format, &mut writer));
            if written.is_some() {
                out.extend(bytes);
            }
        }
        Self(out)
    }

    /// Each payload type with its format.
    pub fn iter(self) -> impl Iterator<Item = (u8, Format)> + 'a {
        self.0
            .chunks_exact(FORMAT_BYTES)
            .filter_map(|chunk| read_format(&mut Reader::new(chunk)).ok())
    }

    fn decode(bytes: &'a [u8], kind: MediaKind) -> Result<Self, DropReason> {
        if bytes.len() > limits::PORT_FORMATS * FORMAT_BYTES {
            return Err(DropReason::Malformed);
        }
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let (payload_type, format) = read_format(&mut reader)?;
            if payload_type > 0x7F || format.codec.kind() != kind {
                return Err(DropReason::Malformed);
            }
        }
        Ok(Self(bytes))
    }
}

fn read_format(reader: &mut Reader<'_>) -> Result<(u8, Format), DropReason> {
    Ok((reader.u8()?, decode_format(reader)?))
}

impl<'a> PortTrack<'a> {
    pub(super) const fn bytes_max(&self) -> usize {
        self.name.len() + self.formats.0.len()
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) -> Option<()> {
        out.u64(self.track.0)?;
        out.u64(self.participant.0)?;
        let all = [
            (self.kind == MediaKind::Video, VIDEO),
            (self.muted, MUTED),
            (self.forbidden, FORBIDDEN),
            (self.screen, SCREEN),
        ];
        let set = all.into_iter().filter(|(is_set, _)| *is_set);
        out.u8(set.fold(0, |flags, (_, bit)| flags | bit))?;
        out.u8(self.rungs)?;
        out.u8(u8::try_from(self.name.len()).ok()?)?;
        out.put(self.name.as_bytes())?;
        out.put(self.formats.0)
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, DropReason> {
        let track = TrackId(reader.u64()?);
        let participant = ParticipantId(reader.u64()?);
        let flags = reader.u8()?;
        let rungs = reader.u8()?;
        let known = VIDEO | MUTED | FORBIDDEN | SCREEN;
        let rungs_max = limits::ENCODINGS_PER_TRACK;
        if flags & !known != 0 || !(1..=rungs_max).contains(&usize::from(rungs)) {
            return Err(DropReason::Malformed);
        }
        let kind = match flags & VIDEO {
            0 => MediaKind::Audio,
            _ => MediaKind::Video,
        };
        let name = usize::from(reader.u8()?);
        let name = std::str::from_utf8(reader.take(name)?);
        let formats = PortFormats::decode(reader.rest(), kind)?;
        reader.take(reader.rest().len())?;
        Ok(Self {
            track,
            participant,
            name: name.map_err(|_| DropReason::Malformed)?,
            kind,
            muted: flags & MUTED != 0,
            forbidden: flags & FORBIDDEN != 0,
            screen: flags & SCREEN != 0,
            rungs,
            formats,
        })
    }
}

//! One packet of media through a port: what the publisher sent, less what belongs to its transport.

use super::{audio_level, flag, rest};
use crate::error::DropReason;
use crate::limits;
use crate::time::{Instant, NtpTime};
use crate::units::AudioLevel;
use crate::wire::bytes::{Reader, Writer};
use crate::wire::extension::AbsCaptureTime;
use crate::wire::port::PortEncoding;

/// What a packet's header extensions say that is handed on as it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortValues {
    /// Loudness, and whether the sender thinks it is voice.
    pub audio_level: Option<(AudioLevel, bool)>,
    /// Camera, flip and rotation bits, where the packet or one before it said so.
    pub orientation: Option<u8>,
    /// Minimum and maximum, as they are on the wire.
    pub playout_delay: Option<[u8; 3]>,
    /// Capture time.
    pub abs_capture_time: Option<AbsCaptureTime>,
}

/// One packet of media, after repair and without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortMedia<'a> {
    /// Whose.
    pub encoding: PortEncoding,
    /// Its publisher's number for its format: seven bits.
    pub payload_type: u8,
    /// Unwrapped ([`crate::wire::sequence`]).
    pub sequence: u64,
    /// Unwrapped.
    pub timestamp: u64,
    /// When it came in from the network, on the clock of the shards that share this port.
    pub arrived_at: Instant,
    /// The marker bit.
    pub marker: bool,
    /// It ends what left together on the other side: nothing is to be waited for.
    pub leaves: bool,
    /// Of its header extensions.
    pub values: PortValues,
    /// Its dependency descriptor; empty where it came without.
    pub descriptor: &'a [u8],
    /// At most [`limits::PACKET_BYTES`]. Empty: its sequence number carries nothing, and nothing is
    /// missing there.
    pub payload: &'a [u8],
}

const MARKER: u8 = 0x01;
const ORIENTATION: u8 = 0x02;
const LEVEL: u8 = 0x04;
const PLAYOUT_DELAY: u8 = 0x08;
const CAPTURE_TIME: u8 = 0x10;
const CAPTURE_OFFSET: u8 = 0x20;
const LEAVES: u8 = 0x40;
const KNOWN: u8 = 0x7F;

impl<'a> PortMedia<'a> {
    /// One that says nothing beyond its payload.
    #[must_use]
    pub fn plain(encoding: PortEncoding, sequence: u64, timestamp: u64, payload: &'a [u8]) -> Self {
        Self {
            encoding,
            payload_type: 0,
            sequence,
            timestamp,
            arrived_at: Instant::ZERO,
            marker: false,
            leaves: false,
            values: PortValues::default(),
            descriptor: &[],
            payload,
        }
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) -> Option<()> {
        if self.payload.len() > limits::PACKET_BYTES || self.payload_type > 0x7F {
            return None;
        }
        out.u16(self.encoding.0)?;
        out.u8(self.payload_type)?;
        out.u64(self.sequence)?;
        out.u64(self.timestamp)?;
        out.u64(self.arrived_at.as_micros())?;
        out.u8(self.flags())?;
        let values = &self.values;
        if let Some(orientation) = values.orientation {
            out.u8(orientation)?;
        }
        if let Some((level, voice)) = values.audio_level {
            out.put(&[level.0.min(AudioLevel::SILENCE.0), u8::from(voice)])?;
        }
        if let Some(delay) = values.playout_delay {
            out.put(&delay)?;
        }
        if let Some(capture) = values.abs_capture_time {
            out.u64(capture.ntp.0)?;
            if let Some(offset) = capture.offset {
                out.put(&offset.to_be_bytes())?;
            }
        }
        out.u8(u8::try_from(self.descriptor.len()).ok()?)?;
        out.put(self.descriptor)?;
        out.put(self.payload)
    }

    fn flags(&self) -> u8 {
        let values = &self.values;
        let capture = values.abs_capture_time;
        let offset = capture.and_then(|capture| capture.offset);
        let all = [
            (self.marker, MARKER),
            (values.orientation.is_some(), ORIENTATION),
            (values.audio_level.is_some(), LEVEL),
            (values.playout_delay.is_some(), PLAYOUT_DELAY),
            (capture.is_some(), CAPTURE_TIME),
            (offset.is_some(), CAPTURE_OFFSET),
            (self.leaves, LEAVES),
        ];
        let set = all.into_iter().filter(|(is_set, _)| *is_set);
        set.fold(0, |flags, (_, bit)| flags | bit)
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, DropReason> {
        let encoding = PortEncoding(reader.u16()?);
        let payload_type = reader.u8()?;
        let sequence = reader.u64()?;
        let timestamp = reader.u64()?;
        let arrived_at = Instant::from_micros(reader.u64()?);
        let flags = reader.u8()?;
        let has = |bit| flags & bit != 0;
        if payload_type > 0x7F || has(!KNOWN) || has(CAPTURE_OFFSET) && !has(CAPTURE_TIME) {
            return Err(DropReason::Malformed);
        }
        let mut values = PortValues::default();
        if has(ORIENTATION) {
            values.orientation = Some(reader.u8()?);
        }
        if has(LEVEL) {
            values.audio_level = Some((audio_level(reader.u8()?)?, flag(reader.u8()?)?));
        }
        if has(PLAYOUT_DELAY) {
            values.playout_delay = Some(reader.array()?);
        }
        if has(CAPTURE_TIME) {
            let ntp = NtpTime(reader.u64()?);
            let offset = match has(CAPTURE_OFFSET) {
                true => Some(i64::from_be_bytes(reader.array()?)),
                false => None,
            };
            values.abs_capture_time = Some(AbsCaptureTime { ntp, offset });
        }
        let descriptor = usize::from(reader.u8()?);
        Ok(Self {
            encoding,
            payload_type,
            sequence,
            timestamp,
            arrived_at,
            marker: has(MARKER),
            leaves: has(LEAVES),
            values,
            descriptor: reader.take(descriptor)?,
            payload: rest(reader, limits::PACKET_BYTES)?,
        })
    }
}

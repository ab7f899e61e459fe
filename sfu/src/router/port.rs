//! A door for plaintext media: a mixer, a recorder, another shard. Messages leave in the binary
//! form of [`crate::wire::port`], copied once into a bounded ring.
//!
//! A port wants *encodings*, not a switched stream: it gets every packet of them after repair,
//! with 64-bit sequence and arrival time. A full queue drops media, says so by `Gap` once there is
//! room, and asks the publisher for a key frame; what is said about encodings has room of its own.
//! Media coming *in* through a port is not taken yet: `Unsupported`.

use std::collections::VecDeque;

use crate::error::{CommandError, DropReason};
use crate::id::{EncodingKey, PortId, TrackId, TrackKey};
use crate::limits::{
    ENCODINGS_PER_TRACK, PACKET_BYTES, PORT_QUEUE_BYTES, PORT_QUEUE_MESSAGES, PORT_TRACKS,
    PORTS_PER_ROOM,
};
use crate::router::Router;
use crate::time::{Duration, Instant, NtpTime};
use crate::units::MediaKind;
use crate::wire::port::{HEADER_BYTES_MAX, PortEncoding, PortMedia, PortMessage};
use crate::wire::sequence::TimestampUnwrapper;

/// Media leaves this share of the queue to what is said about encodings.
const RESERVE: usize = 8;

/// One door.
#[derive(Debug)]
pub(super) struct Port {
    id: PortId,
    /// Tracks of which something is wanted, and which rungs.
    wants: Vec<(TrackId, u8)>,
    flows: Vec<PortFlow>,
    next_number: u16,
    queue: PortQueue,
}

/// An encoding that passes a port.
#[derive(Debug)]
struct PortFlow {
    key: EncodingKey,
    number: PortEncoding,
    timestamps: TimestampUnwrapper,
}

/// Messages in a ring of bytes, each behind its length.
#[derive(Debug, Default)]
struct PortQueue {
    bytes: VecDeque<u8>,
    messages: usize,
    /// Media dropped since the last `Gap`.
    missed: u32,
}

impl PortQueue {
    /// False: there was no room, and the message was dropped.
    fn push(&mut self, message: &PortMessage<'_>) -> bool {
        let is_media = matches!(message, PortMessage::Media(_) | PortMessage::Level { .. });
        if self.missed > 0 && self.has_room(HEADER_BYTES_MAX, is_media) {
            let messages = std::mem::take(&mut self.missed);
            self.put(&PortMessage::Gap { messages }, false);
        }
        let queued = self.missed == 0 && self.put(message, is_media)
            || !is_media && self.put(message, false);
        if !queued && is_media {
            self.missed = self.missed.saturating_add(1);
        }
        queued
    }

    fn put(&mut self, message: &PortMessage<'_>, is_media: bool) -> bool {
        let mut scratch = [0; PACKET_BYTES + 4 * HEADER_BYTES_MAX];
        let Some(len) = message.encode(&mut scratch) else {
            return false;
        };
        let Some(bytes) = scratch.get(..len).filter(|_| self.has_room(len, is_media)) else {
            return false;
        };
        let prefix = u16::try_from(len).unwrap_or(0).to_be_bytes();
        self.bytes.extend(prefix);
        self.bytes.extend(bytes);
        self.messages += 1;
        true
    }

    fn has_room(&self, len: usize, is_media: bool) -> bool {
        let share = if is_media { RESERVE - 1 } else { RESERVE };
        self.bytes.len() + len + 2 <= PORT_QUEUE_BYTES / RESERVE * share
            && self.messages < PORT_QUEUE_MESSAGES / RESERVE * share
    }

    /// The next message into `out`; its length. What does not fit is dropped.
    fn pop(&mut self, out: &mut [u8]) -> Option<usize> {
        let prefix = [self.bytes.pop_front()?, self.bytes.pop_front()?];
        let len = usize::from(u16::from_be_bytes(prefix)).min(self.bytes.len());
        self.messages = self.messages.saturating_sub(1);
        let fits = out.len() >= len;
        for (place, byte) in out.iter_mut().zip(self.bytes.drain(..len)) {
            *place = byte;
        }
        fits.then_some(len)
    }
}

impl Port {
    fn flow(&mut self, key: EncodingKey) -> Option<&mut PortFlow> {
        self.flows.iter_mut().find(|flow| flow.key == key)
    }

    fn wants(&self, track: TrackId, rung: u8) -> bool {
        let wanted = self.wants.iter().find(|&&(wanted, _)| wanted == track);
        wanted.is_some_and(|&(_, mask)| 1_u8.checked_shl(u32::from(rung)).unwrap_or(0) & mask != 0)
    }
}

impl Router {
    /// A door for plaintext media that wants nothing yet (`EncodingsWanted` says what). The same
    /// again: done.
    ///
    /// # Errors
    /// `LimitReached`: `PORTS_PER_ROOM`.
    pub fn open_port(&mut self, port: PortId) -> Result<(), CommandError> {
        if self.ports.iter().any(|known| known.id == port) {
            return Ok(());
        }
        if self.ports.len() >= PORTS_PER_ROOM {
            return Err(CommandError::LimitReached {
                limit: "PORTS_PER_ROOM",
                value: PORTS_PER_ROOM as u64,
            });
        }
        self.ports.push(Port {
            id: port,
            wants: Vec::new(),
            flows: Vec::new(),
            next_number: 0,
            queue: PortQueue::default(),
        });
        Ok(())
    }

    /// The door is gone, with what waited behind it.
    pub fn close_port(&mut self, port: PortId) {
        self.ports.retain(|known| known.id != port);
    }

    /// A message came in through a port.
    ///
    /// # Errors
    /// `UnknownTrack`, `LimitReached`; `Unsupported` for media.
    pub fn handle_port(
        &mut self,
        now: Instant,
        port: PortId,
        message: &PortMessage<'_>,
    ) -> Result<(), DropReason> {
        let place = self.ports.iter().position(|known| known.id == port);
        let place = place.ok_or(DropReason::NoPath)?;
        match *message {
            PortMessage::KeyframeWanted { encoding } => {
                let port = self.ports.get(place).ok_or(DropReason::NoPath)?;
                let flow = port.flows.iter().find(|flow| flow.number == encoding);
                let key = flow.ok_or(DropReason::UnknownTrack)?.key;
                self.want_keyframe(now, key);
                Ok(())
            }
            PortMessage::EncodingsWanted { track, mask } => {
                self.want_encodings(now, place, track, mask)
            }
            PortMessage::BitrateMax { .. }
            | PortMessage::Media(_)
            | PortMessage::EncodingStarted { .. }
            | PortMessage::EncodingEnded { .. }
            | PortMessage::Clock { .. }
            | PortMessage::Level { .. }
            | PortMessage::Muted { .. }
            | PortMessage::Gap { .. } => Err(DropReason::Unsupported),
        }
    }

    /// The next message for the other side of a port, into `out`; its length.
    pub fn poll_port(&mut self, port: PortId, out: &mut [u8]) -> Option<usize> {
        let port = self.ports.iter_mut().find(|known| known.id == port)?;
        port.queue.pop(out)
    }

    fn want_encodings(
        &mut self,
        now: Instant,
        place: usize,
        track: TrackId,
        mask: u8,
    ) -> Result<(), DropReason> {
        let port = self.ports.get_mut(place).ok_or(DropReason::NoPath)?;
        let others = port.wants.iter().filter(|&&(other, _)| other != track);
        if others.count() >= PORT_TRACKS {
            return Err(DropReason::LimitReached);
        }
        port.wants.retain(|&(other, _)| other != track);
        if mask != 0 {
            port.wants.push((track, mask));
        }
        let Some((_, found)) = self.tracks.iter().find(|(_, found)| found.id() == track) else {
            return Ok(());
        };
        let keys: arrayvec::ArrayVec<EncodingKey, ENCODINGS_PER_TRACK> =
            found.encodings.iter().copied().collect();
        for key in keys {
            let wanted = self.rung(key).zip(self.ports.get(place));
            let wanted = wanted.is_some_and(|((track, rung), port)| port.wants(track, rung));
            let flows = self
                .ports
                .get_mut(place)
                .and_then(|port| port.flow(key))
                .is_some();
            match (wanted, flows) {
                (true, false) => self.start_flow(now, place, key),
                (false, true) => self.end_flow(place, key),
                (true, true) | (false, false) => {}
            }
        }
        Ok(())
    }

    /// Which rung of which track an encoding is.
    fn rung(&self, key: EncodingKey) -> Option<(TrackId, u8)> {
        let track = self.track(self.encodings.get(key.index())?.track)?;
        let rung = track.encodings.iter().position(|&other| other == key)?;
        Some((track.id(), u8::try_from(rung).ok()?))
    }

    fn start_flow(&mut self, now: Instant, place: usize, key: EncodingKey) {
        let Some((track_id, rung)) = self.rung(key) else {
            return;
        };
        let Some(track) = self
            .encodings
            .get(key.index())
            .map(|encoding| encoding.track)
        else {
            return;
        };
        let Some(track) = self.tracks.get(track.index()) else {
            return;
        };
        let Some(port) = self.ports.get_mut(place) else {
            return;
        };
        let number = PortEncoding(port.next_number);
        port.next_number = port.next_number.wrapping_add(1);
        port.flows.push(PortFlow {
            key,
            number,
            timestamps: TimestampUnwrapper::default(),
        });
        port.queue.push(&PortMessage::EncodingStarted {
            encoding: number,
            track: track_id,
            rung,
            format: track.format(),
            parameters: track
                .payload_plan()
                .map_or("", |plan| plan.parameters.as_str()),
        });
        if track.kind() == MediaKind::Video {
            self.want_keyframe(now, key);
        }
        self.tell_ports_clock(now, key);
    }

    fn end_flow(&mut self, place: usize, key: EncodingKey) {
        let Some(port) = self.ports.get_mut(place) else {
            return;
        };
        if let Some(at) = port.flows.iter().position(|flow| flow.key == key) {
            let encoding = port.flows.swap_remove(at).number;
            port.queue.push(&PortMessage::EncodingEnded { encoding });
        }
    }

    /// An encoding began, or began anew.
    pub(super) fn tell_ports_started(&mut self, now: Instant, key: EncodingKey) {
        for place in 0..self.ports.len() {
            self.end_flow(place, key);
            let wanted = self.rung(key).zip(self.ports.get(place));
            if wanted.is_some_and(|((track, rung), port)| port.wants(track, rung)) {
                self.start_flow(now, place, key);
            }
        }
    }

    /// An encoding is over.
    pub(super) fn tell_ports_ended(&mut self, key: EncodingKey) {
        for place in 0..self.ports.len() {
            self.end_flow(place, key);
        }
    }

    pub(super) fn tell_ports_muted(&mut self, track: TrackKey, muted: bool) {
        let Some(id) = self.track(track).map(super::Track::id) else {
            return;
        };
        let wants = |port: &&mut Port| port.wants.iter().any(|&(wanted, _)| wanted == id);
        for port in self.ports.iter_mut().filter(wants) {
            port.queue.push(&PortMessage::Muted { track: id, muted });
        }
    }

    /// The track is gone for good: nobody can want it any more.
    pub(super) fn forget_in_ports(&mut self, track: TrackId) {
        for port in &mut self.ports {
            port.wants.retain(|&(wanted, _)| wanted != track);
        }
    }

    /// Where an encoding's clock stands, as far as its publisher has said.
    pub(super) fn tell_ports_clock(&mut self, now: Instant, key: EncodingKey) {
        let Some(encoding) = self.encodings.get(key.index()) else {
            return;
        };
        let Some(report) = encoding.clock else {
            return;
        };
        let clock = self.member(encoding.member).map(|m| &m.clock);
        let Some(ago) = clock.and_then(|c| c.micros_ago(now, report.ntp, &self.clock)) else {
            return;
        };
        let server = self.server_time(now, ago);
        for port in &mut self.ports {
            if let Some(flow) = port.flows.iter().find(|flow| flow.key == key) {
                let message = PortMessage::Clock {
                    encoding: flow.number,
                    timestamp: flow.timestamps.peek(report.rtp),
                    server,
                };
                port.queue.push(&message);
            }
        }
    }

    fn server_time(&self, now: Instant, micros_ago: i64) -> NtpTime {
        let distance = Duration::from_micros(micros_ago.unsigned_abs());
        self.clock.ntp(if micros_ago < 0 {
            now + distance
        } else {
            now - distance
        })
    }

    /// Whether some port takes an encoding.
    pub(super) fn is_wanted_by_port(&self, key: EncodingKey) -> bool {
        let takes = |port: &Port| port.flows.iter().any(|flow| flow.key == key);
        self.ports.iter().any(takes)
    }

    /// Packets of an encoding to every port that takes it.
    pub(super) fn offer_to_ports(&mut self, now: Instant, key: EncodingKey, sequences: &[u64]) {
        let mut missed = false;
        let Some(encoding) = self.encodings.get(key.index()) else {
            return;
        };
        for port in &mut self.ports {
            let Some(flow) = port.flows.iter_mut().find(|flow| flow.key == key) else {
                continue;
            };
            for &sequence in sequences {
                let entry = encoding.history.get(sequence).filter(|entry| !entry.empty);
                let Some((entry, payload)) =
                    entry.zip(entry.and_then(|e| encoding.history.payload(e)))
                else {
                    continue;
                };
                let media = PortMedia {
                    encoding: flow.number,
                    sequence,
                    timestamp: flow.timestamps.unwrap(entry.timestamp),
                    arrived_at: entry.arrived_at,
                    marker: entry.marker,
                    orientation: entry.passed.orientation,
                    payload,
                };
                missed |= !port.queue.push(&PortMessage::Media(media));
                if let Some((level, voice)) = entry.passed.audio_level {
                    port.queue.push(&PortMessage::Level {
                        encoding: flow.number,
                        level,
                        voice,
                    });
                }
            }
        }
        if missed {
            self.want_keyframe(now, key);
        }
    }
}

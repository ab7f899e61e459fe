//! Doors for plaintext media: a mixer, a recorder, another shard. Messages leave in the binary form
//! of [`crate::wire::port`], copied once into a bounded queue.
//!
//! A port wants *encodings*, not a switched stream: it gets every packet of them after repair,
//! with 64-bit sequence and arrival time. A full queue drops media, says so by `Gap` once there is
//! room, and asks the publisher for a key frame; what is said about encodings has room of its own.
//!
//! A *pipe* is a port to the same room on another shard. It also says which tracks there are, and
//! takes those of the other side in.
//!
//! | file | what it is |
//! |---|---|
//! | `mod` | doors opened and closed, and what is asked through them |
//! | `queue` | what waits behind a door |
//! | `outward` | what is told: tracks, encodings, media |
//! | `inward` | tracks whose publishers are on the other side, and their media |

mod inward;
mod outward;
mod queue;

use crate::error::{CommandError, DropReason};
use crate::id::{EncodingKey, PortId, TrackId};
use crate::limits::{
    ENCODINGS_PER_TRACK, PIPE_TRACKS, PIPES_PER_ROOM, PORT_TRACKS, PORTS_PER_ROOM,
};
use crate::router::{PagePool, Router};
use crate::time::Instant;
use crate::wire::port::{PortEncoding, PortMessage};
use crate::wire::sequence::TimestampUnwrapper;

use inward::Inflow;
use queue::{Bounds, PortQueue};

/// One door.
#[derive(Debug)]
pub(super) struct Port {
    id: PortId,
    /// It leads to the same room on another shard.
    is_pipe: bool,
    /// Tracks of which something is wanted, and which rungs.
    wants: Vec<(TrackId, u8)>,
    /// Sorted by key.
    flows: Vec<PortFlow>,
    next_number: u16,
    /// What comes in; sorted by number.
    inflows: Vec<Inflow>,
    queue: PortQueue,
}

/// An encoding that passes a port.
#[derive(Debug)]
struct PortFlow {
    key: EncodingKey,
    number: PortEncoding,
    timestamps: TimestampUnwrapper,
}

impl Port {
    fn flow_place(&self, key: EncodingKey) -> Result<usize, usize> {
        self.flows.binary_search_by_key(&key, |flow| flow.key)
    }

    fn flow(&mut self, key: EncodingKey) -> Option<&mut PortFlow> {
        let place = self.flow_place(key).ok()?;
        self.flows.get_mut(place)
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
        self.open(port, Bounds::PORT, false)
    }

    /// A door to the same room on another shard: it is told what is published here, and what is
    /// published there comes in. The same again: done.
    ///
    /// # Errors
    /// `LimitReached`: `PIPES_PER_ROOM`.
    pub fn open_pipe(&mut self, port: PortId) -> Result<(), CommandError> {
        let is_new = !self.ports.iter().any(|known| known.id == port);
        self.open(port, Bounds::PIPE, true)?;
        if is_new && let Some(place) = self.port_place(port) {
            self.tell_all(place);
        }
        Ok(())
    }

    fn open(&mut self, port: PortId, bounds: Bounds, is_pipe: bool) -> Result<(), CommandError> {
        if self.ports.iter().any(|known| known.id == port) {
            return Ok(());
        }
        let (limit, most) = match is_pipe {
            true => ("PIPES_PER_ROOM", PIPES_PER_ROOM),
            false => ("PORTS_PER_ROOM", PORTS_PER_ROOM),
        };
        let alike = self.ports.iter().filter(|known| known.is_pipe == is_pipe);
        if alike.count() >= most {
            let value = most as u64;
            return Err(CommandError::LimitReached { limit, value });
        }
        self.ports.push(Port {
            id: port,
            is_pipe,
            wants: Vec::new(),
            flows: Vec::new(),
            next_number: 0,
            inflows: Vec::new(),
            queue: PortQueue::new(bounds),
        });
        Ok(())
    }

    /// The door is gone, with what waited behind it. Tracks that came in by it have to be unpublished
    /// before.
    pub fn close_port(&mut self, port: PortId) {
        self.ports.retain(|known| known.id != port);
    }

    /// Whether the room is on other shards too.
    #[must_use]
    pub fn is_spread(&self) -> bool {
        self.ports.iter().any(|port| port.is_pipe)
    }

    fn port_place(&self, port: PortId) -> Option<usize> {
        self.ports.iter().position(|known| known.id == port)
    }

    /// A message came in through a port. What is said of tracks (`Opened`, `TrackChanged`,
    /// `TrackUnpublished`) is for whoever keeps the room's members.
    ///
    /// # Errors
    /// `UnknownTrack`, `LimitReached`; what `route` says of a packet; `Unsupported` for the rest.
    pub fn handle_port(
        &mut self,
        now: Instant,
        port: PortId,
        message: &PortMessage<'_>,
        pages: &mut PagePool,
    ) -> Result<(), DropReason> {
        let place = self.port_place(port).ok_or(DropReason::NoPath)?;
        match *message {
            PortMessage::Media(ref media) => self.take_media(now, place, media, pages),
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
            PortMessage::EncodingStarted {
                encoding,
                track,
                rung,
                ..
            } => self.start_inflow(now, place, (encoding, track, rung), pages),
            PortMessage::EncodingEnded { encoding } => self.end_inflow(now, place, encoding, pages),
            PortMessage::Clock {
                encoding,
                timestamp,
                server,
            } => self.take_clock(now, place, (encoding, timestamp, server)),
            PortMessage::Gap { .. } => {
                self.mend_gap(now, place);
                Ok(())
            }
            PortMessage::BitrateMax { .. }
            | PortMessage::Level { .. }
            | PortMessage::Muted { .. }
            | PortMessage::Opened
            | PortMessage::TrackChanged(_)
            | PortMessage::TrackUnpublished { .. } => Err(DropReason::Unsupported),
        }
    }

    /// The next message for the other side of a port, into `out`; its length.
    pub fn poll_port(&mut self, port: PortId, out: &mut [u8]) -> Option<usize> {
        let port = self.ports.iter_mut().find(|known| known.id == port)?;
        port.queue.pop(out)
    }

    /// All that waits for the other side of a pipe, in place of what `parcel` holds. False: nothing
    /// waits.
    pub fn poll_pipe(&mut self, port: PortId, parcel: &mut Vec<u8>) -> bool {
        let Some(place) = self.port_place(port) else {
            return false;
        };
        let Some(port) = self.ports.get_mut(place) else {
            return false;
        };
        if port.queue.is_broken {
            self.tell_all(place);
        }
        let port = self.ports.get_mut(place);
        port.is_some_and(|port| port.queue.take(parcel))
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
        let most = if port.is_pipe {
            PIPE_TRACKS
        } else {
            PORT_TRACKS
        };
        if others.count() >= most {
            return Err(DropReason::LimitReached);
        }
        port.wants.retain(|&(other, _)| other != track);
        if mask != 0 {
            port.wants.push((track, mask));
        }
        self.touch_orders(now);
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
}

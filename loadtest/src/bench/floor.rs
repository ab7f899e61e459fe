//! The ideal forwarder: receive, open once, seal for each, send. No WebRTC, no state, no choice but
//! how to send. Whatever costs less than this is not on this kernel to be had with sockets.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use arrayvec::ArrayVec;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, sendmmsg, sendto};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};
use serde::{Deserialize, Serialize};
use socket2::Socket;

use super::bare::{BareKey, TAG_BYTES, stream_of};

/// One message of the kernel's, at most.
const MESSAGE_BYTES: usize = 1 << 16;
/// Messages handed over with one call.
const MESSAGES: usize = 32;
/// Where sealed packets stand; about what a second-level cache holds beside them.
const ARENA_BYTES: usize = 256 << 10;
/// A frame has no more packets: the kernel takes 64 segments and 65,507 bytes.
const FRAME_PACKETS: usize = 50;
/// None is longer.
const PACKET_BYTES: usize = 1_500;
/// In the second byte of an RTP header: the frame's last packet.
const MARKER: u8 = 0x80;
/// In its first byte: padding follows the payload.
const PADDING: u8 = 0x20;

/// How the floor sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Mode {
    /// A call for each packet.
    Sendto,
    /// Up to 32 packets with one call.
    Sendmmsg,
    /// What came with one receive call leaves to each subscriber as one segmented message.
    GsoAsReceived,
    /// A whole frame leaves to each subscriber as one segmented message.
    Gather,
}

impl Mode {
    /// In tables.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Sendto => "sendto",
            Self::Sendmmsg => "sendmmsg",
            Self::GsoAsReceived => "GSO as received",
            Self::Gather => "gather + GSO",
        }
    }
}

/// What a floor is told at its start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct FloorParameters {
    pub(super) mode: Mode,
    /// How many publish.
    pub(super) publishers: usize,
    /// In how many streams each.
    pub(super) encodings: usize,
    /// Address of every peer that receives, with its number.
    pub(super) receivers: Vec<(usize, SocketAddr)>,
    /// For each stream the places of its receivers; what has none is opened and dropped.
    pub(super) routes: Vec<Vec<usize>>,
}

struct Receiver {
    address: SockaddrIn,
    key: BareKey,
}

/// A forwarder at work.
pub(super) struct Floor {
    mode: Mode,
    encodings: usize,
    socket: Socket,
    publishers: Vec<BareKey>,
    receivers: Vec<Receiver>,
    routes: Vec<Vec<usize>>,
    frame: Frame,
    out: Out,
}

/// Opened packets that wait for the rest of their frame.
#[derive(Default)]
struct Frame {
    stream: usize,
    packets: Vec<Vec<u8>>,
    filled: usize,
}

/// Sealed bytes, and how they are cut into messages: all of one segment size.
struct Out {
    mode: Mode,
    arena: Vec<u8>,
    used: usize,
    messages: Vec<(usize, usize)>,
    addresses: Vec<Option<SockaddrIn>>,
    segment: u16,
    headers: MultiHeaders<SockaddrIn>,
}

impl Floor {
    /// `None` where a receiver has no IPv4 address.
    pub(super) fn new(parameters: &FloorParameters, socket: Socket) -> Option<Self> {
        let receivers = parameters.receivers.iter().map(|&(number, address)| {
            let SocketAddr::V4(address) = address else {
                return None;
            };
            Some(Receiver {
                address: address.into(),
                key: BareKey::of(number)?,
            })
        });
        let publishers = (0..parameters.publishers).map(BareKey::of);
        Some(Self {
            mode: parameters.mode,
            encodings: parameters.encodings.max(1),
            socket,
            publishers: publishers.collect::<Option<_>>()?,
            receivers: receivers.collect::<Option<_>>()?,
            routes: parameters.routes.clone(),
            frame: Frame::default(),
            out: Out::new(parameters.mode),
        })
    }

    /// Forwards until the process ends.
    pub(super) fn forward(mut self) -> io::Result<()> {
        let state = UdpSocketState::new(UdpSockRef::from(&self.socket))?;
        let mut bytes = vec![0; MESSAGE_BYTES * BATCH_SIZE];
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        loop {
            wait(&self.socket, PollFlags::POLLIN)?;
            let mut slices: ArrayVec<IoSliceMut<'_>, BATCH_SIZE> = bytes
                .chunks_mut(MESSAGE_BYTES)
                .map(IoSliceMut::new)
                .collect();
            let socket = UdpSockRef::from(&self.socket);
            let filled = match state.recv(socket, &mut slices, &mut metas) {
                Ok(filled) => filled,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            drop(slices);
            let messages = bytes.chunks_mut(MESSAGE_BYTES).zip(&metas).take(filled);
            for (message, meta) in messages {
                let message = message.get_mut(..meta.len).unwrap_or_default();
                for packet in message.chunks_mut(meta.stride.max(1)) {
                    self.take(packet)?;
                }
            }
            if self.mode == Mode::GsoAsReceived {
                self.leave()?;
            }
            self.out.flush(&self.socket)?;
        }
    }

    fn take(&mut self, packet: &mut [u8]) -> io::Result<()> {
        let Some(&[_, second, _, _, _, _, _, _, s0, s1, s2, s3]) = packet.first_chunk() else {
            return Ok(());
        };
        let stream = stream_of(u32::from_be_bytes([s0, s1, s2, s3]));
        let key = self.publishers.get(stream / self.encodings);
        let Some(length) = key.and_then(|key| key.open(packet)) else {
            return Ok(());
        };
        if self.routes.get(stream).is_none_or(Vec::is_empty) {
            return Ok(());
        }
        let full = self
            .frame
            .push(stream, packet.get(..length).unwrap_or_default());
        let ends = match self.mode {
            Mode::Sendto | Mode::Sendmmsg => true,
            Mode::GsoAsReceived => false,
            Mode::Gather => second & MARKER != 0,
        };
        if ends || full { self.leave() } else { Ok(()) }
    }

    /// What was gathered goes to everybody who is to have it.
    fn leave(&mut self) -> io::Result<()> {
        if matches!(self.mode, Mode::Gather | Mode::GsoAsReceived) {
            self.frame.level();
        }
        let packets = self.frame.packets.iter().take(self.frame.filled);
        let route = self.routes.get(self.frame.stream);
        let places = route.map(Vec::as_slice).unwrap_or_default();
        for receiver in places.iter().filter_map(|&place| self.receivers.get(place)) {
            for packet in packets.clone() {
                if !self.out.put(receiver, packet) {
                    self.out.flush(&self.socket)?;
                    self.out.put(receiver, packet);
                }
            }
        }
        self.frame.filled = 0;
        Ok(())
    }
}

impl Frame {
    /// Whether it holds no further packet.
    fn push(&mut self, stream: usize, packet: &[u8]) -> bool {
        self.stream = stream;
        if self.filled == self.packets.len() {
            self.packets.push(Vec::with_capacity(PACKET_BYTES));
        }
        if let Some(place) = self.packets.get_mut(self.filled) {
            place.clear();
            place.extend_from_slice(packet);
        }
        self.filled += 1;
        self.filled >= FRAME_PACKETS
    }

    /// RTP padding (RFC 3550 §5.1) makes all but the last as long as the longest, so that the frame
    /// is one message.
    fn level(&mut self) {
        let packets = self.packets.get_mut(..self.filled).unwrap_or_default();
        let longest = packets.iter().map(Vec::len).max().unwrap_or(0);
        let Some((_, before)) = packets.split_last_mut() else {
            return;
        };
        for packet in before {
            let missing = longest - packet.len();
            if let (Ok(count @ 1..), Some(first)) = (u8::try_from(missing), packet.first_mut()) {
                *first |= PADDING;
                packet.resize(longest - 1, 0);
                packet.push(count);
            }
        }
    }
}

impl Out {
    fn new(mode: Mode) -> Self {
        let segmented = matches!(mode, Mode::Gather | Mode::GsoAsReceived);
        let space = segmented.then(|| nix::cmsg_space!(u16));
        Self {
            mode,
            arena: vec![0; ARENA_BYTES],
            used: 0,
            messages: Vec::with_capacity(MESSAGES),
            addresses: Vec::with_capacity(MESSAGES),
            segment: 0,
            headers: MultiHeaders::preallocate(MESSAGES, space),
        }
    }

    /// Seals a packet behind what waits for the same receiver, or as a message of its own. False:
    /// full, or of another size; flush first.
    fn put(&mut self, receiver: &Receiver, packet: &[u8]) -> bool {
        let length = u16::try_from(packet.len() + TAG_BYTES).unwrap_or(u16::MAX);
        let segmented = matches!(self.mode, Mode::Gather | Mode::GsoAsReceived);
        let joins = segmented
            && self.addresses.last() == Some(&Some(receiver.address))
            && length <= self.segment;
        if !joins {
            let differs = segmented && !self.messages.is_empty() && length != self.segment;
            if differs || self.messages.len() == MESSAGES {
                return false;
            }
        }
        let place = self.arena.get_mut(self.used..).unwrap_or_default();
        let Some(length) = receiver.key.seal_into(packet, place) else {
            return false;
        };
        let start = self.used;
        self.used += length;
        if joins {
            if let Some((_, end)) = self.messages.last_mut() {
                *end = self.used;
            }
        } else {
            self.segment = u16::try_from(length).unwrap_or(u16::MAX);
            self.messages.push((start, self.used));
            self.addresses.push(Some(receiver.address));
        }
        true
    }

    fn flush(&mut self, socket: &Socket) -> io::Result<()> {
        if self.mode == Mode::Sendto {
            self.flush_singly(socket)?;
        } else {
            self.flush_at_once(socket)?;
        }
        self.messages.clear();
        self.addresses.clear();
        self.used = 0;
        Ok(())
    }

    fn flush_singly(&self, socket: &Socket) -> io::Result<()> {
        for (&(start, end), address) in self.messages.iter().zip(&self.addresses) {
            let bytes = self.arena.get(start..end).unwrap_or_default();
            let Some(address) = address else { continue };
            while let Err(errno) = sendto(socket.as_raw_fd(), bytes, address, MsgFlags::empty()) {
                blocked(socket, errno)?;
            }
        }
        Ok(())
    }

    fn flush_at_once(&mut self, socket: &Socket) -> io::Result<()> {
        let slices: ArrayVec<[IoSlice<'_>; 1], MESSAGES> = self
            .messages
            .iter()
            .map(|&(start, end)| [IoSlice::new(self.arena.get(start..end).unwrap_or_default())])
            .collect();
        let segment = [ControlMessage::UdpGsoSegments(&self.segment)];
        let segmented = matches!(self.mode, Mode::Gather | Mode::GsoAsReceived);
        let control = if segmented { &segment[..] } else { &[] };
        let mut done = 0;
        while done < slices.len() {
            let sent = sendmmsg(
                socket.as_raw_fd(),
                &mut self.headers,
                slices.get(done..).unwrap_or_default(),
                self.addresses.get(done..).unwrap_or_default(),
                control,
                MsgFlags::empty(),
            );
            match sent {
                Ok(results) => done += results.count(),
                Err(errno) => blocked(socket, errno)?,
            }
        }
        Ok(())
    }
}

/// A full socket buffer is waited for; anything else ends it.
fn blocked(socket: &Socket, errno: Errno) -> io::Result<()> {
    if errno == Errno::EAGAIN {
        return wait(socket, PollFlags::POLLOUT);
    }
    if errno == Errno::EINTR {
        return Ok(());
    }
    Err(errno.into())
}

fn wait(socket: &Socket, flags: PollFlags) -> io::Result<()> {
    let mut polled = [PollFd::new(socket.as_fd(), flags)];
    match poll(&mut polled, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

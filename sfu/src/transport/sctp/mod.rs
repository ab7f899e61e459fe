//! Adapter to the SCTP library: one association inside DTLS (RFC 8831), data channels by DCEP
//! (RFC 8832), bounded both ways.
//!
//! Browsers begin the association themselves; as DTLS client we begin too, for those that wait.
//! Where both do, the other side's association is taken and ours dropped, as long as ours was not
//! answered: its INIT-ACK then finds nobody, and their own handshake goes on.
//!
//! When `DATA_BACKLOG_BYTES` wait to be sent, an unreliable channel drops its oldest messages and
//! a reliable one closes.

mod dcep;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;

use bytes::Bytes;
use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event,
    Payload, PayloadProtocolIdentifier as Ppid, ReliabilityType, ServerConfig, StreamEvent,
    TransportConfig,
};

use super::{DataCloseReason, Reliability, ReliabilityLimit, TransportEvent};
use crate::error::{CommandError, DropReason};
use crate::limits::{
    DATA_BACKLOG_BYTES, DATA_CHANNELS_PER_TRANSPORT, DATA_LABEL_BYTES, DATA_MESSAGE_BYTES,
    DATA_STREAMS,
};

/// Our SCTP port, as our descriptions say.
const PORT: u16 = 5_000;
/// The library is given more only while less than this is on its way; the rest waits here, where
/// it can be dropped.
const IN_FLIGHT_BYTES: usize = 256 << 10;
/// User data of one SCTP packet: with its headers in a DTLS datagram 1,185 bytes. Bundled small
/// messages make up to 200 more, since the library does not count their padding.
const PACKET_PAYLOAD_BYTES: u32 = 1_120;

/// Chunk types (RFC 9260 §3.2).
const CHUNK_INIT: u8 = 1;
const CHUNK_INIT_ACK: u8 = 2;
/// Associations the other side may begin, one after the other, until one stands.
const ASSOCIATIONS: usize = 8;

/// A message waiting for its turn.
#[derive(Debug)]
struct Waiting {
    ppid: Ppid,
    payload: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Ours, the association is not up yet.
    Queued,
    /// Ours, not yet acknowledged.
    Opening,
    Open,
}

/// How far the association is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Beginning,
    /// Our INIT was acknowledged.
    Answered,
    Established,
}

/// One data channel.
#[derive(Debug)]
struct Channel {
    stream: u16,
    label: String,
    protocol: String,
    reliability: Reliability,
    state: State,
    queue: VecDeque<Waiting>,
    queued_bytes: usize,
}

/// The association of one transport.
#[derive(Debug)]
pub(super) struct Sctp {
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    stage: Stage,
    /// The initiate tag of the INIT that was taken.
    peer_tag: Option<[u8; 4]>,
    /// Associations the other side began.
    associations: usize,
    we_are_dtls_client: bool,
    /// In order of stream.
    channels: Vec<Channel>,
    /// Whose turn it is.
    turn: usize,
    packets: VecDeque<Bytes>,
    /// The library may have something to say.
    dirty: bool,
    events: VecDeque<TransportEvent>,
}

impl Sctp {
    /// Begins: as DTLS client with an INIT of ours, otherwise by waiting for one.
    pub(super) fn new(remote_port: u16, we_are_dtls_client: bool) -> Self {
        let transport = Arc::new(
            TransportConfig::default()
                .with_max_receive_message_size(
                    u32::try_from(DATA_MESSAGE_BYTES).unwrap_or(u32::MAX),
                )
                .with_max_send_message_size(u32::try_from(DATA_MESSAGE_BYTES).unwrap_or(u32::MAX))
                .with_max_receive_buffer_size(u32::try_from(DATA_BACKLOG_BYTES).unwrap_or(u32::MAX))
                .with_max_num_inbound_streams(DATA_STREAMS)
                .with_max_num_outbound_streams(DATA_STREAMS)
                .with_max_init_retransmits(None)
                .with_rto_initial_ms(500)
                .with_rto_min_ms(200)
                .with_rto_max_ms(5_000)
                .with_local_port(PORT)
                .with_remote_port(remote_port.max(1)),
        );
        let mut server = ServerConfig::new();
        server.transport = Arc::clone(&transport);
        let mut config = EndpointConfig::new();
        config.max_payload_size(PACKET_PAYLOAD_BYTES);
        let mut endpoint = Endpoint::new(Arc::new(config), Some(Arc::new(server)));
        let association = if we_are_dtls_client {
            let mut client = ClientConfig::new();
            client.transport = transport;
            endpoint.connect(client, nowhere()).ok()
        } else {
            None
        };
        Self {
            endpoint,
            association,
            stage: Stage::Beginning,
            peer_tag: None,
            associations: 0,
            we_are_dtls_client,
            channels: Vec::new(),
            turn: 0,
            packets: VecDeque::new(),
            dirty: true,
            events: VecDeque::new(),
        }
    }

    /// An SCTP packet out of DTLS.
    pub(super) fn handle(
        &mut self,
        now: std::time::Instant,
        packet: Vec<u8>,
    ) -> Result<(), DropReason> {
        let is_begin = self.admit(&packet)?;
        let (handle, event) = self
            .endpoint
            .handle(now, nowhere(), None, None, Bytes::from(packet))
            .ok_or(DropReason::SctpRejected)?;
        match event {
            DatagramEvent::NewAssociation(association) => {
                self.associations += usize::from(is_begin);
                self.association = Some((handle, association));
            }
            DatagramEvent::AssociationEvent(event) => {
                let (known, association) =
                    self.association.as_mut().ok_or(DropReason::SctpRejected)?;
                if *known != handle {
                    return Err(DropReason::SctpRejected);
                }
                association.handle_event(event);
            }
        }
        self.work();
        Ok(())
    }

    /// Whether a packet may reach the library: each INIT it takes costs it an association that it
    /// keeps. True for an INIT.
    fn admit(&mut self, packet: &[u8]) -> Result<bool, DropReason> {
        let kind = *packet.get(12).ok_or(DropReason::SctpRejected)?;
        match kind {
            CHUNK_INIT_ACK if self.stage == Stage::Beginning => self.stage = Stage::Answered,
            CHUNK_INIT => {
                let tag = packet.get(16..20).ok_or(DropReason::SctpRejected)?;
                let tag: [u8; 4] = tag.try_into().map_err(|_| DropReason::SctpRejected)?;
                let repeated = self.peer_tag == Some(tag);
                // RFC 9260 §5.2.2: an INIT out of place changes nothing. In DTLS nobody restarts.
                if !repeated && self.stage != Stage::Beginning {
                    return Err(DropReason::SctpRejected);
                }
                if !repeated && self.associations >= ASSOCIATIONS {
                    return Err(DropReason::LimitReached);
                }
                self.peer_tag = Some(tag);
            }
            _ => {}
        }
        Ok(kind == CHUNK_INIT)
    }

    pub(super) fn handle_timeout(&mut self, now: std::time::Instant) {
        if let Some((_, association)) = self.association.as_mut()
            && association.poll_timeout().is_some_and(|at| at <= now)
        {
            association.handle_timeout(now);
            self.work();
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<std::time::Instant> {
        self.association.as_ref()?.1.poll_timeout()
    }

    pub(super) fn poll_event(&mut self) -> Option<TransportEvent> {
        self.events.pop_front()
    }

    /// Whether [`Sctp::poll_packet`] is worth a call.
    pub(super) fn has_packet(&self) -> bool {
        self.dirty || !self.packets.is_empty()
    }

    /// The next SCTP packet to go into DTLS.
    pub(super) fn poll_packet(&mut self, now: std::time::Instant) -> Option<Bytes> {
        if self.packets.is_empty() && self.dirty {
            self.dirty = false;
            self.feed();
            if let Some((_, association)) = self.association.as_mut()
                && let Some(transmit) = association.poll_transmit(now)
            {
                self.dirty = true;
                if let Payload::RawEncode(packets) = transmit.payload {
                    self.packets.extend(packets);
                }
            }
        }
        self.packets.pop_front()
    }

    /// Opens a channel of ours.
    pub(super) fn open(
        &mut self,
        label: &str,
        protocol: &str,
        reliability: Reliability,
    ) -> Result<u16, CommandError> {
        if self.channels.len() >= DATA_CHANNELS_PER_TRANSPORT {
            return Err(CommandError::LimitReached {
                limit: "DATA_CHANNELS_PER_TRANSPORT",
                value: DATA_CHANNELS_PER_TRANSPORT as u64,
            });
        }
        if label.len().max(protocol.len()) > DATA_LABEL_BYTES {
            return Err(CommandError::LimitReached {
                limit: "DATA_LABEL_BYTES",
                value: DATA_LABEL_BYTES as u64,
            });
        }
        // RFC 8832 §6: the DTLS client's streams are even, the server's odd.
        let first = u16::from(!self.we_are_dtls_client);
        let stream = (first..DATA_STREAMS)
            .step_by(2)
            .find(|stream| self.place(*stream).is_err() && self.is_free(*stream))
            .ok_or_else(|| CommandError::LimitReached {
                limit: "DATA_STREAMS",
                value: u64::from(DATA_STREAMS),
            })?;
        self.insert(Channel {
            stream,
            label: label.to_owned(),
            protocol: protocol.to_owned(),
            reliability,
            state: State::Queued,
            queue: VecDeque::new(),
            queued_bytes: 0,
        });
        if self.stage == Stage::Established {
            self.open_queued();
        }
        Ok(stream)
    }

    fn is_free(&mut self, stream: u16) -> bool {
        self.association
            .as_mut()
            .is_none_or(|(_, association)| association.stream(stream).is_err())
    }

    /// Sends a message, or lets it wait.
    pub(super) fn send(
        &mut self,
        stream: u16,
        text: bool,
        payload: &Bytes,
    ) -> Result<(), DropReason> {
        if payload.len() > DATA_MESSAGE_BYTES {
            return Err(DropReason::TooLarge);
        }
        let at = self.place(stream).map_err(|_| DropReason::UnknownTrack)?;
        let mut backlog = self.backlog();
        let channel = self.channels.get_mut(at).ok_or(DropReason::Bug)?;
        let reliable = channel.reliability.limit == ReliabilityLimit::Unlimited;
        while backlog + payload.len() > DATA_BACKLOG_BYTES {
            if reliable {
                self.close_at(at, DataCloseReason::BacklogFull);
                return Err(DropReason::QueueFull);
            }
            let oldest = channel.queue.pop_front().ok_or(DropReason::QueueFull)?;
            channel.queued_bytes -= oldest.payload.len();
            backlog -= oldest.payload.len();
        }
        // RFC 8831 §6.6: SCTP knows no empty message, so one zero byte stands for it.
        let (ppid, payload) = match (text, payload.is_empty()) {
            (true, false) => (Ppid::String, payload.clone()),
            (false, false) => (Ppid::Binary, payload.clone()),
            (true, true) => (Ppid::StringEmpty, Bytes::from_static(&[0])),
            (false, true) => (Ppid::BinaryEmpty, Bytes::from_static(&[0])),
        };
        channel.queued_bytes += payload.len();
        channel.queue.push_back(Waiting { ppid, payload });
        self.dirty = true;
        Ok(())
    }

    /// Closes a channel of either side's.
    pub(super) fn close(&mut self, stream: u16) {
        if let Ok(at) = self.place(stream) {
            self.close_at(at, DataCloseReason::Closed);
        }
    }

    /// Bytes waiting here and in the library.
    fn backlog(&mut self) -> usize {
        let queued: usize = self
            .channels
            .iter()
            .map(|channel| channel.queued_bytes)
            .sum();
        queued + self.in_flight()
    }

    fn in_flight(&mut self) -> usize {
        let Some((_, association)) = self.association.as_mut() else {
            return 0;
        };
        self.channels
            .iter()
            .filter_map(|channel| {
                association
                    .stream(channel.stream)
                    .ok()?
                    .buffered_amount()
                    .ok()
            })
            .sum()
    }

    fn place(&self, stream: u16) -> Result<usize, usize> {
        self.channels
            .binary_search_by_key(&stream, |channel| channel.stream)
    }

    fn insert(&mut self, channel: Channel) {
        if let Err(at) = self.place(channel.stream) {
            self.channels.insert(at, channel);
        }
    }

    fn close_at(&mut self, at: usize, reason: DataCloseReason) {
        if at >= self.channels.len() {
            return;
        }
        let channel = self.channels.remove(at);
        if let Some((_, association)) = self.association.as_mut()
            && let Ok(mut stream) = association.stream(channel.stream)
        {
            // Only fails where there is no association to close it in.
            stream.close().unwrap_or_default();
        }
        self.dirty = true;
        self.events.push_back(TransportEvent::DataClosed {
            stream: channel.stream,
            reason,
        });
    }

    /// Hands waiting messages to the library, one of each channel in turn.
    fn feed(&mut self) {
        if self.stage != Stage::Established {
            return;
        }
        let mut room = IN_FLIGHT_BYTES.saturating_sub(self.in_flight());
        let mut idle = 0;
        while room > 0 && idle < self.channels.len() {
            self.turn = (self.turn + 1) % self.channels.len().max(1);
            let Some(channel) = self.channels.get_mut(self.turn) else {
                return;
            };
            let Some(message) = channel.queue.pop_front() else {
                idle += 1;
                continue;
            };
            idle = 0;
            channel.queued_bytes -= message.payload.len();
            room = room.saturating_sub(message.payload.len());
            let stream = channel.stream;
            self.write(stream, message.ppid, &message.payload);
        }
    }

    fn write(&mut self, stream: u16, ppid: Ppid, payload: &Bytes) -> bool {
        self.dirty = true;
        let Some((_, association)) = self.association.as_mut() else {
            return false;
        };
        let stream = association.stream(stream);
        stream.is_ok_and(|mut stream| stream.write_sctp(payload, ppid).is_ok())
    }

    /// Takes the library's news.
    fn work(&mut self) {
        self.dirty = true;
        loop {
            let Some((_, association)) = self.association.as_mut() else {
                return;
            };
            let Some(event) = association.poll() else {
                break;
            };
            match event {
                Event::Connected => {
                    self.stage = Stage::Established;
                    self.open_queued();
                }
                Event::HandshakeFailed { .. } | Event::AssociationLost { .. } => self.lose(),
                Event::Stream(StreamEvent::Opened { .. }) => {
                    while association.accept_stream().is_some() {}
                }
                Event::Stream(StreamEvent::Readable { id }) => self.read(id),
                Event::Stream(StreamEvent::Finished { id }) => {
                    if let Ok(at) = self.place(id) {
                        self.close_at(at, DataCloseReason::Closed);
                    }
                }
                Event::Stream(_)
                | Event::DataChannelStatsFinal(_)
                | Event::DatagramReceived
                | _ => {}
            }
        }
        self.retire_endpoint_events();
    }

    fn retire_endpoint_events(&mut self) {
        let Some((handle, association)) = self.association.as_mut() else {
            return;
        };
        let mut drained = false;
        while let Some(event) = association.poll_endpoint_event() {
            drained = true;
            if let Some(event) = self.endpoint.handle_event(*handle, event) {
                association.handle_event(event);
            }
        }
        if drained && association.is_drained() {
            self.lose();
        }
    }

    /// The association is gone, and with it every channel.
    fn lose(&mut self) {
        self.association = None;
        self.stage = Stage::Beginning;
        self.packets.clear();
        for channel in std::mem::take(&mut self.channels) {
            self.events.push_back(TransportEvent::DataClosed {
                stream: channel.stream,
                reason: DataCloseReason::AssociationLost,
            });
        }
    }

    /// Says OPEN for the channels that waited for the association.
    fn open_queued(&mut self) {
        let Some((_, association)) = self.association.as_mut() else {
            return;
        };
        for channel in &mut self.channels {
            if channel.state != State::Queued {
                continue;
            }
            channel.state = State::Opening;
            let open = dcep::Open {
                label: channel.label.clone(),
                protocol: channel.protocol.clone(),
                reliability: channel.reliability,
            };
            if let Ok(mut stream) = association.open_stream(channel.stream, Ppid::Binary) {
                // The library refuses only what is too large; this is below 1 KiB.
                stream
                    .write_sctp(&Bytes::from(open.encode()), Ppid::Dcep)
                    .unwrap_or_default();
                // RFC 8832 §6: ordered until acknowledged.
                apply(&mut stream, channel.reliability, true);
            }
        }
        self.dirty = true;
    }

    fn read(&mut self, stream: u16) {
        loop {
            let Some((_, association)) = self.association.as_mut() else {
                return;
            };
            let Ok(Some(message)) = association
                .stream(stream)
                .and_then(|mut stream| stream.read_sctp())
            else {
                return;
            };
            let mut payload = vec![0; message.len()];
            if message.read(&mut payload).is_err() {
                continue;
            }
            let (text, payload) = match message.ppi {
                Ppid::Dcep => {
                    self.handle_dcep(stream, &payload);
                    continue;
                }
                Ppid::String => (true, Bytes::from(payload)),
                Ppid::Binary => (false, Bytes::from(payload)),
                Ppid::StringEmpty => (true, Bytes::new()),
                Ppid::BinaryEmpty => (false, Bytes::new()),
                Ppid::Unknown => continue,
            };
            if self.place(stream).is_ok() {
                self.events.push_back(TransportEvent::DataMessage {
                    stream,
                    text,
                    payload,
                });
            }
        }
    }

    fn handle_dcep(&mut self, stream: u16, message: &[u8]) {
        match dcep::decode(message) {
            Some(dcep::Message::Ack) => self.acknowledged(stream),
            Some(dcep::Message::Open(open)) => self.opened(stream, open),
            None => self.refuse(stream),
        }
    }

    fn acknowledged(&mut self, stream: u16) {
        let Ok(at) = self.place(stream) else {
            return;
        };
        let Some(channel) = self
            .channels
            .get_mut(at)
            .filter(|known| known.state == State::Opening)
        else {
            return;
        };
        channel.state = State::Open;
        if let Some((_, association)) = self.association.as_mut()
            && let Ok(mut stream) = association.stream(stream)
        {
            apply(&mut stream, channel.reliability, false);
        }
        self.events.push_back(TransportEvent::DataOpened {
            stream,
            label: channel.label.clone(),
            protocol: channel.protocol.clone(),
            reliability: channel.reliability,
        });
    }

    fn opened(&mut self, stream: u16, open: dcep::Open) {
        let theirs = stream.is_multiple_of(2) != self.we_are_dtls_client;
        let fits = stream < DATA_STREAMS
            && self.channels.len() < DATA_CHANNELS_PER_TRANSPORT
            && open.label.len().max(open.protocol.len()) <= DATA_LABEL_BYTES;
        if !theirs || !fits || self.place(stream).is_ok() {
            self.refuse(stream);
            return;
        }
        self.write(stream, Ppid::Dcep, &Bytes::from_static(&dcep::ACK));
        if let Some((_, association)) = self.association.as_mut()
            && let Ok(mut stream) = association.stream(stream)
        {
            apply(&mut stream, open.reliability, false);
        }
        self.events.push_back(TransportEvent::DataOpened {
            stream,
            label: open.label.clone(),
            protocol: open.protocol.clone(),
            reliability: open.reliability,
        });
        self.insert(Channel {
            stream,
            label: open.label,
            protocol: open.protocol,
            reliability: open.reliability,
            state: State::Open,
            queue: VecDeque::new(),
            queued_bytes: 0,
        });
    }

    /// RFC 8832 §6: an OPEN that makes no sense closes the channel.
    fn refuse(&mut self, stream: u16) {
        if let Ok(at) = self.place(stream) {
            self.close_at(at, DataCloseReason::Closed);
        } else if let Some((_, association)) = self.association.as_mut()
            && let Ok(mut stream) = association.stream(stream)
        {
            stream.close().unwrap_or_default();
            self.dirty = true;
        }
    }
}

/// The association has one path, DTLS; the library wants an address nonetheless.
fn nowhere() -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT))
}

fn apply(stream: &mut sctp_proto::Stream<'_>, reliability: Reliability, force_order: bool) {
    let (kind, value) = match reliability.limit {
        ReliabilityLimit::Unlimited => (ReliabilityType::Reliable, 0),
        ReliabilityLimit::Retransmits(times) => (ReliabilityType::Rexmit, u32::from(times)),
        ReliabilityLimit::Lifetime(time) => (
            ReliabilityType::Timed,
            u32::try_from(time.as_millis()).unwrap_or(u32::MAX),
        ),
    };
    let unordered = !reliability.ordered && !force_order;
    stream
        .set_reliability_params(unordered, kind, value)
        .unwrap_or_default();
}

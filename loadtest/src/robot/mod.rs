//! A virtual participant on an independent WebRTC stack: it signals as a browser does, publishes
//! synthetic media, answers key frame requests, and examines everything that it is sent.
//!
//! It does no I/O and reads no clock: the simulated world and the load generator drive the same
//! robot. Its stack draws its chance from a generator of the thread; a robot seeds that on every
//! entry from its own state, so robots neither disturb each other nor depend on their order.
//!
//! | file | what it is |
//! |---|---|
//! | `signaling` | descriptions as text, the polite side of perfect negotiation |
//! | [`publication`] | what it sends |
//! | [`reception`] | what it was sent, assembled and examined |

pub mod publication;
pub mod reception;
mod signaling;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use sfu::time::{Duration, Instant};
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::config::CryptoProvider;
use str0m::format::{Codec, CodecConfig, FormatParams};
use str0m::media::{Frequency, KeyframeRequestKind};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RawPacket, RtpPacket};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcError};

use crate::media::VideoCodec;
use publication::{Publication, PublishParameters};
use reception::{Carried, Observed, Receiver};
use signaling::Negotiation;
pub use signaling::Signal;

/// One of the numbers that the stack leaves free; who offers may have another.
const DESCRIPTOR_ID: u8 = 12;
/// Messages of data channels a robot keeps until they are taken.
const MESSAGES_MAX: usize = 1_024;
/// Datagrams a robot keeps until they are taken; beyond: a bug of whoever drives it.
const TRANSMITS_MAX: usize = 65_536;

/// How long a robot waits for what is missing of a picture, unless it is told.
pub const PATIENCE: Duration = Duration::from_millis(300);

/// What a robot is told once.
#[derive(Clone, Debug)]
pub struct RobotParameters {
    /// Its number, found in every payload it makes.
    pub number: u32,
    /// All its chance comes from here.
    pub seed: u64,
    /// Its one host candidate.
    pub address: SocketAddr,
    /// What [`Instant::ZERO`] is on the clock of its stack.
    pub epoch: std::time::Instant,
    /// Whether plaintext RTCP is kept for a trace.
    pub traced: bool,
    /// Takes sound with copies of what came before it (RFC 2198).
    pub takes_copies: bool,
    /// How long it waits for what is missing of a picture.
    pub patience: Duration,
}

/// A datagram to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The robot's own address.
    pub source: SocketAddr,
    /// Where to.
    pub destination: SocketAddr,
    /// What.
    pub bytes: Vec<u8>,
}

/// A message of a data channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The channel's label.
    pub label: String,
    /// Whether it is text.
    pub text: bool,
    /// What it says.
    pub payload: Vec<u8>,
}

/// A virtual participant.
pub struct Robot {
    parameters: RobotParameters,
    rtc: Rtc,
    chance: u64,
    now: Instant,
    timeout_at: Option<Instant>,
    negotiation: Negotiation,
    publications: Vec<Publication>,
    receiver: Receiver,
    channels: Vec<Channel>,
    messages: VecDeque<Message>,
    transmits: VecDeque<Transmit>,
    rtcp: VecDeque<String>,
    connected_at: Option<Instant>,
    ice: IceConnectionState,
    failure: Option<String>,
}

/// A data channel, by either side.
struct Channel {
    config: ChannelConfig,
    id: Option<ChannelId>,
    open: bool,
}

impl std::fmt::Debug for Robot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Robot({} at {})",
            self.parameters.number, self.parameters.address
        )
    }
}

impl Robot {
    /// A robot that has not joined yet.
    ///
    /// # Errors
    /// Its address makes no candidate.
    pub fn new(parameters: RobotParameters, now: Instant) -> Result<Self, RtcError> {
        fastrand::seed(parameters.seed);
        let started_at = to_std(parameters.epoch, now);
        let mut config = Rtc::builder()
            .set_crypto_provider(Arc::clone(&provider()))
            .set_dtls_cert(crate::identity::robot())
            .set_rtp_mode(true)
            .enable_raw_packets(parameters.traced)
            .clear_codecs()
            .enable_opus(true, parameters.takes_copies)
            .enable_vp8(true)
            .set_extension(DESCRIPTOR_ID, publication::descriptor::extension());
        add_codecs(config.codec_config());
        let mut rtc = config.build(started_at);
        let candidate = Candidate::host(parameters.address, "udp").map_err(RtcError::Ice)?;
        rtc.add_local_candidate(candidate);
        Ok(Self {
            chance: fastrand::get_seed(),
            receiver: Receiver::new(parameters.patience),
            parameters,
            rtc,
            now,
            timeout_at: None,
            negotiation: Negotiation::default(),
            publications: Vec::new(),
            channels: Vec::new(),
            messages: VecDeque::new(),
            transmits: VecDeque::new(),
            rtcp: VecDeque::new(),
            connected_at: None,
            ice: IceConnectionState::New,
            failure: None,
        })
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.parameters.number
    }

    /// Its own address; behind a NAT others see another one.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.parameters.address
    }

    /// A datagram arrived at its address.
    pub fn handle_datagram(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        let destination = self.parameters.address;
        let Ok(receive) = Receive::new(Protocol::Udp, source, destination, bytes) else {
            return;
        };
        let at = self.enter(now);
        let outcome = self.rtc.handle_input(Input::Receive(at, receive));
        self.leave(outcome);
    }

    /// Whatever is due by `now` is done: timers of the stack, frames to be sent.
    pub fn handle_timeout(&mut self, now: Instant) {
        let at = self.enter(now);
        let outcome = self.rtc.handle_input(Input::Timeout(at));
        self.leave(outcome);
        // One publication after the other: which of two waiting streams the stack would serve
        // first is drawn by its hash maps, and those by the process.
        for index in 0..self.publications.len() {
            let connected = self.is_connected();
            let publication = self.publications.get_mut(index);
            let due = publication.filter(|_| connected);
            let encodings = due.map_or(0, |it| it.take_due(self.now));
            for encoding in 0..encodings {
                fastrand::seed(self.chance);
                if let Some(publication) = self.publications.get_mut(index) {
                    publication.write_due((self.now, at), encoding, &mut self.rtc);
                }
                let outcome = self.rtc.handle_input(Input::Timeout(at));
                self.leave(outcome);
            }
        }
    }

    /// When [`Robot::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let media = self.publications.iter().filter_map(|it| it.poll_timeout());
        let media = media
            .min()
            .filter(|_| self.is_connected() && self.rtc.is_alive());
        [self.timeout_at, media].into_iter().flatten().min()
    }

    /// The next datagram to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next media packet that arrived, decrypted.
    pub fn poll_observed(&mut self) -> Option<Observed> {
        self.receiver.poll_observed()
    }

    /// The next RTCP packet that arrived, decrypted; only where traced.
    pub fn poll_rtcp(&mut self) -> Option<String> {
        self.rtcp.pop_front()
    }

    /// The next message of a data channel.
    pub fn poll_message(&mut self) -> Option<Message> {
        self.messages.pop_front()
    }

    /// Publishes one more track; [`Robot::poll_signal`] has the offer then. Answers its number.
    pub fn publish(&mut self, now: Instant, parameters: PublishParameters) -> u8 {
        let track = u8::try_from(self.publications.len()).unwrap_or(u8::MAX);
        self.publish_all(now, &[parameters]);
        track
    }

    /// Publishes several tracks by one offer, as those who may offer once do.
    pub fn publish_all(&mut self, now: Instant, all: &[PublishParameters]) {
        let at = self.enter(now);
        for parameters in all {
            let track = u8::try_from(self.publications.len()).unwrap_or(u8::MAX);
            let publication = Publication::new(self.parameters.number, track, *parameters, now);
            self.publications.push(publication);
        }
        self.negotiate();
        let outcome = self.rtc.handle_input(Input::Timeout(at));
        self.leave(outcome);
    }

    /// Stops publishing a track.
    pub fn unpublish(&mut self, now: Instant, track: u8) {
        let at = self.enter(now);
        if let Some(publication) = self.publications.get_mut(usize::from(track)) {
            publication.end();
        }
        self.negotiate();
        let outcome = self.rtc.handle_input(Input::Timeout(at));
        self.leave(outcome);
    }

    /// Makes no more frames, of any track, without a word to anybody.
    pub fn fall_silent(&mut self) {
        self.publications
            .iter_mut()
            .for_each(|it| it.set_silent(true));
    }

    /// Asks for new ICE credentials by an offer of its own; there must be something to restart.
    pub fn restart_ice(&mut self, now: Instant) {
        if !self.is_connected() {
            return;
        }
        let at = self.enter(now);
        self.negotiation.want_restart();
        self.negotiate();
        let outcome = self.rtc.handle_input(Input::Timeout(at));
        self.leave(outcome);
    }

    /// Opens a data channel.
    pub fn open_channel(&mut self, now: Instant, config: ChannelConfig) {
        let at = self.enter(now);
        self.channels.push(Channel {
            config,
            id: None,
            open: false,
        });
        self.negotiate();
        let outcome = self.rtc.handle_input(Input::Timeout(at));
        self.leave(outcome);
    }

    /// Sends over the open data channel of this label. Whether it was taken.
    pub fn send_message(&mut self, now: Instant, message: &Message) -> bool {
        let open = |it: &&Channel| it.open && it.config.label == message.label;
        let Some(id) = self.channels.iter().find(open).and_then(|it| it.id) else {
            return false;
        };
        let at = self.enter(now);
        let written = self
            .rtc
            .channel(id)
            .map(|mut it| it.write(!message.text, &message.payload));
        let outcome = self.rtc.handle_input(Input::Timeout(at));
        self.leave(outcome);
        matches!(written, Some(Ok(true)))
    }

    /// Says goodbye: BYE and close_notify are on their way.
    pub fn close(&mut self, now: Instant) {
        let at = self.enter(now);
        let closed = self.rtc.close();
        let outcome = self.rtc.handle_input(Input::Timeout(at)).and(closed);
        self.leave(outcome);
    }

    /// ICE and DTLS are up.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.connected_at.is_some()
    }

    /// When ICE and DTLS came up.
    #[must_use]
    pub const fn connected_at(&self) -> Option<Instant> {
        self.connected_at
    }

    /// ICE says that the other side is gone, or the stack has ended.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.ice == IceConnectionState::Disconnected || !self.rtc.is_alive()
    }

    /// Why it gave up, where it did: its stack would not take something.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// What it has sent.
    #[must_use]
    pub fn publications(&self) -> &[Publication] {
        &self.publications
    }

    /// The one whose m-line has this name, until it is taken back.
    #[must_use]
    pub fn publication_at(&self, mid: &str) -> Option<&Publication> {
        let mut ours = self.publications.iter();
        ours.find(|it| it.line().is_some_and(|ours| ours.to_string().trim() == mid))
    }

    /// The same, to be changed.
    pub fn publication_at_mut(&mut self, mid: &str) -> Option<&mut Publication> {
        let mut ours = self.publications.iter_mut();
        ours.find(|it| it.line().is_some_and(|ours| ours.to_string().trim() == mid))
    }

    /// One of them, to be changed.
    pub fn publication_mut(&mut self, track: u8) -> Option<&mut Publication> {
        self.publications.get_mut(usize::from(track))
    }

    /// What it has been sent.
    #[must_use]
    pub const fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    /// Whether an m-line is there to receive, as its stack sees it.
    #[must_use]
    pub fn is_receiving(&self, mid: &str) -> bool {
        self.rtc
            .media(mid.into())
            .is_some_and(|it| it.direction().is_receiving())
    }

    /// Data channels that are open, by label.
    pub fn channels_open(&self) -> impl Iterator<Item = &str> {
        self.channels
            .iter()
            .filter(|it| it.open)
            .map(|it| it.config.label.as_str())
    }

    /// The stack's time, after its chance was made the robot's own.
    fn enter(&mut self, now: Instant) -> std::time::Instant {
        fastrand::seed(self.chance);
        self.now = self.now.max(now);
        to_std(self.parameters.epoch, self.now)
    }

    /// Takes everything the stack has to say after one change, and what follows from that.
    fn leave(&mut self, outcome: Result<(), RtcError>) {
        let mut outcome = outcome;
        loop {
            if let Err(error) = outcome.and_then(|()| self.drain()) {
                self.failure.get_or_insert_with(|| error.to_string());
                self.timeout_at = None;
                break;
            }
            let wanted = self.receiver.take_keyframes_wanted(self.now);
            if wanted.is_empty() {
                break;
            }
            for ssrc in wanted {
                if let Some(stream) = self.rtc.direct_api().stream_rx(&ssrc.into()) {
                    stream.request_keyframe(KeyframeRequestKind::Pli);
                }
            }
            let at = to_std(self.parameters.epoch, self.now);
            outcome = self.rtc.handle_input(Input::Timeout(at));
        }
        self.chance = fastrand::get_seed();
    }

    fn drain(&mut self) -> Result<(), RtcError> {
        loop {
            match self.rtc.poll_output()? {
                Output::Transmit(it) if self.transmits.len() < TRANSMITS_MAX => {
                    self.transmits.push_back(Transmit {
                        source: it.source,
                        destination: it.destination,
                        bytes: it.contents.to_vec(),
                    });
                }
                Output::Transmit(_) => {}
                Output::Event(event) => self.handle_event(event),
                Output::Timeout(at) => {
                    self.timeout_at = from_std(self.parameters.epoch, at);
                    return Ok(());
                }
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the stack's enum is non-exhaustive"
    )]
    fn handle_event(&mut self, event: Event) {
        match event {
            Event::Connected => self.connected_at = self.connected_at.or(Some(self.now)),
            Event::IceConnectionStateChange(state) => self.ice = state,
            Event::RtpPacket(packet) => self.handle_packet(&packet),
            Event::KeyframeRequest(request) => {
                let ours = self.publications.iter_mut();
                ours.filter(|it| it.mid() == Some(request.mid))
                    .for_each(|it| it.want_keyframe(request.rid));
            }
            Event::ChannelOpen(id, label) => self.handle_channel_open(id, label),
            Event::ChannelData(data) if self.messages.len() < MESSAGES_MAX => {
                let channel = self.channels.iter().find(|it| it.id == Some(data.id));
                self.messages.push_back(Message {
                    label: channel
                        .map(|it| it.config.label.clone())
                        .unwrap_or_default(),
                    text: !data.binary,
                    payload: data.data,
                });
            }
            Event::ChannelClose(id) => {
                let closed = self.channels.iter_mut().filter(|it| it.id == Some(id));
                closed.for_each(|it| it.open = false);
            }
            Event::RawPacket(raw) if self.rtcp.len() < TRANSMITS_MAX => {
                if let RawPacket::RtcpRx(rtcp) = *raw {
                    self.rtcp.push_back(format!("{rtcp:?}"));
                }
            }
            _ => {}
        }
    }

    fn handle_packet(&mut self, packet: &RtpPacket) {
        let payload_type = packet.header.payload_type;
        let format = self
            .rtc
            .codec_config()
            .iter()
            .find(|it| it.pt() == payload_type || it.red() == Some(payload_type));
        let has_copies = format.is_some_and(|it| it.red() == Some(payload_type));
        let kind = match format.map(|it| it.spec().codec) {
            Some(Codec::Vp8) => Carried::Pictures(VideoCodec::Vp8),
            Some(Codec::Vp9) => Carried::Pictures(VideoCodec::Vp9),
            Some(Codec::H264) => Carried::Pictures(VideoCodec::H264),
            Some(Codec::Av1) => Carried::Pictures(VideoCodec::Av1),
            Some(codec) if codec.is_audio() => Carried::Sound { has_copies },
            Some(_) | None => return,
        };
        self.receiver.handle_packet(self.now, kind, packet);
    }

    fn handle_channel_open(&mut self, id: ChannelId, label: String) {
        if let Some(ours) = self.channels.iter_mut().find(|it| it.id == Some(id)) {
            ours.open = true;
            return;
        }
        let config = ChannelConfig {
            label,
            ..ChannelConfig::default()
        };
        self.channels.push(Channel {
            config,
            id: Some(id),
            open: true,
        });
    }
}

/// Beside VP8, one profile of each: what is negotiated is what is sent.
fn add_codecs(codecs: &mut CodecConfig) {
    let profile = |profile_id| FormatParams {
        profile_id,
        ..FormatParams::default()
    };
    let clock = Frequency::NINETY_KHZ;
    let (vp9, av1) = (profile(Some(0)), profile(None));
    codecs.add_config(98.into(), Some(99.into()), Codec::Vp9, clock, None, vp9);
    codecs.add_h264(108.into(), Some(109.into()), true, 0x42_e01f);
    codecs.add_config(45.into(), Some(46.into()), Codec::Av1, clock, None, av1);
}

/// One crypto provider for all robots.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: std::sync::OnceLock<Arc<CryptoProvider>> = std::sync::OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(str0m::crypto::from_feature_flags())))
}

fn to_std(epoch: std::time::Instant, now: Instant) -> std::time::Instant {
    epoch
        .checked_add(Duration::from_micros(now.as_micros()))
        .unwrap_or(epoch)
}

/// Rounded up, so that a timer is never too early by a fraction of a microsecond.
fn from_std(epoch: std::time::Instant, at: std::time::Instant) -> Option<Instant> {
    let nanos = at.saturating_duration_since(epoch).as_nanos();
    u64::try_from(nanos.div_ceil(1_000))
        .ok()
        .map(Instant::from_micros)
}

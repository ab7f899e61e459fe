//! A light peer: one UDP socket, real ICE and DTLS to join a server, then SRTP of which only a sample
//! is opened. What it sees of every packet is its header.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use sfu::sdp::Description;
use sfu::sdp::description::IceCredentials;
use sfu::transport::srtp::{Srtp, SrtpProfile};
use sfu::wire::demux::{Class as Kind, classify};
use sfu::wire::stun::{Class, IceRole, IntegrityKey, Message, Writer};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::bare::BareKey;
use super::feedback::{Arrivals, repeats_wanted};

/// Our side of ICE; a peer's user fragment carries its number.
pub(super) const PASSWORD: &str = "the-peer-s-own-password";
/// Messages taken with one receive call.
pub(super) const MESSAGES: usize = 4;
/// The kernel's longest.
pub(super) const MESSAGE_BYTES: usize = 1 << 16;
/// Asked for; the kernel grants at most `rmem_max`.
const SOCKET_BUFFER_BYTES: usize = 1 << 20;

/// How packets are protected.
#[derive(Debug)]
pub(super) enum Keys {
    /// Not yet.
    None,
    /// Towards the floor.
    Bare(BareKey),
    /// Towards a server.
    Srtp(Box<Srtp>),
}

/// What only a peer that joins has.
struct Handshake {
    dtls: dimpl::Dtls,
    credentials: IceCredentials,
    checked: bool,
}

/// One peer.
pub(super) struct Peer {
    pub(super) number: usize,
    pub(super) address: SocketAddr,
    pub(super) keys: Keys,
    pub(super) arrivals: Arrivals,
    socket: Socket,
    state: UdpSocketState,
    handshake: Option<Box<Handshake>>,
    server: Option<SockAddr>,
}

impl Peer {
    /// On a free loopback port.
    pub(super) fn open(number: usize) -> anyhow::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let address = socket.local_addr()?.as_socket();
        Ok(Self {
            number,
            address: address.context("a socket without an address")?,
            keys: Keys::None,
            arrivals: Arrivals::default(),
            socket,
            state,
            handshake: None,
            server: None,
        })
    }

    pub(super) const fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Its packets go to a floor, under its constant key.
    pub(super) fn face_floor(&mut self) -> anyhow::Result<()> {
        let key = BareKey::of(self.number).context("no key")?;
        self.keys = Keys::Bare(key);
        Ok(())
    }

    /// Begins ICE and DTLS with the server of an answer.
    pub(super) fn join(
        &mut self,
        answer: &Description,
        server: SocketAddr,
        config: &Arc<dimpl::Config>,
    ) -> anyhow::Result<()> {
        let ice = answer.sections.iter().find_map(|one| one.ice.clone());
        let credentials = ice.context("an answer without ICE credentials")?;
        let certificate = crate::identity::robot();
        let certificate = dimpl::DtlsCertificate {
            certificate: certificate.certificate,
            private_key: certificate.private_key,
        };
        let now = Instant::now();
        let mut dtls = dimpl::Dtls::new_12(Arc::clone(config), certificate, now);
        dtls.set_active(true);
        dtls.handle_timeout(now)?;
        self.handshake = Some(Box::new(Handshake {
            dtls,
            credentials,
            checked: false,
        }));
        self.server = Some(server.into());
        self.nudge(now)
    }

    pub(super) const fn is_ready(&self) -> bool {
        !matches!(self.keys, Keys::None)
    }

    /// Says again what was not answered.
    pub(super) fn nudge(&mut self, now: Instant) -> anyhow::Result<()> {
        let Some(handshake) = &mut self.handshake else {
            return Ok(());
        };
        if !handshake.checked {
            let check = check(self.number, &handshake.credentials);
            return self.send(&check.context("a check that does not fit")?);
        }
        handshake.dtls.handle_timeout(now)?;
        self.shake_hands()
    }

    /// What a receive call gives: datagrams in `buffer`, described by `metas`.
    pub(super) fn receive(
        &self,
        buffer: &mut [u8],
        metas: &mut [RecvMeta; MESSAGES],
    ) -> io::Result<usize> {
        let slices = buffer.chunks_mut(MESSAGE_BYTES).take(MESSAGES);
        let mut slices: arrayvec::ArrayVec<IoSliceMut<'_>, MESSAGES> =
            slices.map(IoSliceMut::new).collect();
        match self
            .state
            .recv(UdpSockRef::from(&self.socket), &mut slices, metas)
        {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            received => received,
        }
    }

    /// A datagram that is no media.
    pub(super) fn take_control(&mut self, now: Instant, bytes: &[u8]) -> anyhow::Result<()> {
        match classify(bytes) {
            Some(Kind::Stun) => self.take_stun(now, bytes),
            Some(Kind::Dtls) => {
                let Some(handshake) = &mut self.handshake else {
                    return Ok(());
                };
                handshake.dtls.handle_packet(bytes)?;
                self.shake_hands()
            }
            Some(Kind::Rtp | Kind::Rtcp) | None => Ok(()),
        }
    }

    fn take_stun(&mut self, now: Instant, bytes: &[u8]) -> anyhow::Result<()> {
        let Ok(message) = Message::parse(bytes) else {
            return Ok(());
        };
        if message.class() == Class::Request {
            let mut out = [0; 128];
            let mut writer = Writer::new(&mut out, Class::Success, message.transaction());
            let server = self.server.as_ref().and_then(SockAddr::as_socket);
            writer.mapped_address(server.unwrap_or(self.address));
            let length = writer.finish(&IntegrityKey::new(PASSWORD.as_bytes()));
            let length = length.context("an answer that does not fit")?;
            return self.send(out.get(..length).unwrap_or_default());
        }
        if let Some(handshake) = &mut self.handshake
            && !std::mem::replace(&mut handshake.checked, true)
        {
            handshake.dtls.handle_timeout(now)?;
            return self.shake_hands();
        }
        Ok(())
    }

    /// Sends what DTLS wants sent; at its end the keys are here.
    fn shake_hands(&mut self) -> anyhow::Result<()> {
        let mut buffer = [0; 4_096];
        while let Some(handshake) = &mut self.handshake {
            match handshake.dtls.poll_output(&mut buffer) {
                dimpl::Output::Packet(packet) => {
                    let packet = packet.to_vec();
                    self.send(&packet)?;
                }
                dimpl::Output::KeyingMaterial(material, profile) => {
                    anyhow::ensure!(
                        profile == dimpl::SrtpProfile::AEAD_AES_256_GCM,
                        "the server chose {profile:?}"
                    );
                    let srtp = Srtp::new(SrtpProfile::Aes256Gcm, &material, true);
                    self.keys = Keys::Srtp(Box::new(srtp.context("too little key material")?));
                }
                dimpl::Output::Timeout(_) => break,
                dimpl::Output::BufferTooSmall { needed } => {
                    anyhow::bail!("a DTLS flight of {needed} bytes")
                }
                // Nobody's identity is in question here, and nothing is said over DTLS itself.
                dimpl::Output::Connected
                | dimpl::Output::PeerCert(_)
                | dimpl::Output::ApplicationData(_)
                | dimpl::Output::CloseNotify
                | _ => {}
            }
        }
        if self.is_ready() {
            self.handshake = None;
        }
        Ok(())
    }

    /// Opens a received packet; its plaintext's length.
    pub(super) fn open_packet(&mut self, packet: &mut [u8]) -> Option<usize> {
        match &mut self.keys {
            Keys::None => None,
            Keys::Bare(key) => key.open(packet),
            Keys::Srtp(srtp) => srtp.open_rtp(packet).ok(),
        }
    }

    /// Opens a received compound of control packets; its plaintext's length.
    pub(super) fn open_compound(&mut self, compound: &mut [u8]) -> Option<usize> {
        match &mut self.keys {
            Keys::None | Keys::Bare(_) => None,
            Keys::Srtp(srtp) => srtp.open_rtcp(compound).ok(),
        }
    }

    /// Tells what arrived since it last did.
    pub(super) fn report(&mut self) -> anyhow::Result<()> {
        while let Some((mut bytes, length)) = self.arrivals.report() {
            self.send_compound(&mut bytes, length)?;
        }
        Ok(())
    }

    /// Asks for packets of `ssrc` again.
    pub(super) fn ask_for(&mut self, ssrc: u32, sequences: &[u16]) -> anyhow::Result<()> {
        let (mut bytes, length) = repeats_wanted(ssrc, sequences).context("too much is missing")?;
        self.send_compound(&mut bytes, length)
    }

    /// Seals and sends the first `length` bytes of `compound`, which has room for the tag.
    fn send_compound(&mut self, compound: &mut [u8], length: usize) -> anyhow::Result<()> {
        let Keys::Srtp(srtp) = &mut self.keys else {
            return Ok(());
        };
        let sealed = srtp.seal_rtcp(compound, length);
        let length = sealed.ok().context("a compound that does not fit")?;
        self.send(compound.get(..length).unwrap_or_default())
    }

    /// Seals `packet` into `out`; the whole length.
    pub(super) fn seal_packet(&mut self, packet: &[u8], out: &mut [u8]) -> Option<usize> {
        match &mut self.keys {
            Keys::None => None,
            Keys::Bare(key) => key.seal_into(packet, out),
            Keys::Srtp(srtp) => {
                out.get_mut(..packet.len())?.copy_from_slice(packet);
                srtp.seal_rtp(out, packet.len()).ok()
            }
        }
    }

    /// To where its packets go.
    pub(super) fn turn_to(&mut self, server: SocketAddr) {
        self.server = Some(server.into());
    }

    pub(super) fn send(&self, bytes: &[u8]) -> anyhow::Result<()> {
        let server = self.server.as_ref().context("a peer without a server")?;
        match self.socket.send_to(bytes, server) {
            Ok(_) => Ok(()),
            // As on any link: what does not fit is lost.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn check(number: usize, credentials: &IceCredentials) -> Option<Vec<u8>> {
    let mut out = [0; 512];
    let mut writer = Writer::new(&mut out, Class::Request, [3; 12]);
    writer.username(format!("{}:peer{number}", credentials.ufrag).as_bytes());
    writer.priority(1);
    writer.role(IceRole::Controlling(9));
    writer.use_candidate();
    let key = IntegrityKey::new(credentials.password.as_bytes());
    let length = writer.finish(&key)?;
    out.get(..length).map(<[u8]>::to_vec)
}

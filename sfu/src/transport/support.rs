//! The other side of a transport in tests: hand-built checks, DTLS by the library.

use std::sync::Arc;

use super::srtp::{Srtp, SrtpProfile};
use super::{Identity, RemoteParameters, Transport};
use crate::path::Path;
use crate::sdp::description::{Fingerprint, IceCredentials, Setup};
use crate::time::{Duration, Instant};
use crate::wire::demux::{self, classify};
use crate::wire::stun::{Class, IceRole, IntegrityKey, Message, Writer};

/// A full ICE agent's messages, as far as a test needs them.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// The transport's.
    pub(crate) local: IceCredentials,
    /// Its own.
    pub(crate) credentials: IceCredentials,
}

impl Peer {
    pub(crate) fn new(local: &IceCredentials, ufrag: &str) -> Self {
        Self {
            local: local.clone(),
            credentials: IceCredentials {
                ufrag: ufrag.to_owned(),
                password: "the-peer-s-own-password".to_owned(),
            },
        }
    }

    pub(crate) fn check(&self) -> Vec<u8> {
        self.check_as(IceRole::Controlling(9), false)
    }

    pub(crate) fn nomination(&self) -> Vec<u8> {
        self.check_as(IceRole::Controlling(9), true)
    }

    pub(crate) fn check_as(&self, role: IceRole, nominate: bool) -> Vec<u8> {
        let mut out = [0; 512];
        let mut writer = Writer::new(&mut out, Class::Request, [3; 12]);
        writer.username(format!("{}:{}", self.local.ufrag, self.credentials.ufrag).as_bytes());
        writer.priority(1);
        writer.role(role);
        if nominate {
            writer.use_candidate();
        }
        let key = IntegrityKey::new(self.local.password.as_bytes());
        let length = writer.finish(&key).unwrap();
        out[..length].to_vec()
    }

    /// The answer to a request of the transport's, signed with the peer's own password.
    pub(crate) fn answer(&self, request: &[u8]) -> Vec<u8> {
        let message = Message::parse(request).unwrap();
        let mut out = [0; 128];
        let mut writer = Writer::new(&mut out, Class::Success, message.transaction());
        writer.mapped_address("203.0.113.1:7".parse().unwrap());
        let key = IntegrityKey::new(self.credentials.password.as_bytes());
        let length = writer.finish(&key).unwrap();
        out[..length].to_vec()
    }
}

/// The constant certificates of the test world: ours and the other side's.
pub(crate) fn identities() -> (Identity, Identity) {
    let node = Identity::new(
        include_bytes!("../../../loadtest/fixtures/node.certificate.der").to_vec(),
        include_bytes!("../../../loadtest/fixtures/node.key.der").to_vec(),
    );
    let robot = Identity::new(
        include_bytes!("../../../loadtest/fixtures/robot.certificate.der").to_vec(),
        include_bytes!("../../../loadtest/fixtures/robot.key.der").to_vec(),
    );
    (node, robot)
}

/// A whole remote host at one address: checks, DTLS by the library, SRTP by our contexts.
pub(crate) struct Host {
    pub(crate) peer: Peer,
    pub(crate) path: Path,
    pub(crate) identity: Identity,
    pub(crate) dtls: dimpl::Dtls,
    pub(crate) srtp: Option<Srtp>,
    pub(crate) data: Vec<Vec<u8>>,
    pub(crate) closed: bool,
    epoch: std::time::Instant,
    is_client: bool,
}

impl Host {
    pub(crate) fn new(transport: &Transport, path: Path, is_client: bool) -> Self {
        Self::facing(transport.local_credentials(), path, is_client)
    }

    /// One that knows a transport by what its description says.
    pub(crate) fn facing(local: &IceCredentials, path: Path, is_client: bool) -> Self {
        let (_, identity) = identities();
        #[expect(clippy::disallowed_methods, reason = "an anchor for virtual time")]
        let epoch = std::time::Instant::now();
        let config = dimpl::Config::builder()
            .use_server_cookie(false)
            .flight_start_rto(Duration::from_millis(50))
            .flight_retries(8)
            .build()
            .unwrap();
        let certificate = dimpl::DtlsCertificate {
            certificate: identity.certificate.clone(),
            private_key: identity.private_key.clone(),
        };
        let mut dtls = dimpl::Dtls::new_12(Arc::new(config), certificate, epoch);
        dtls.set_active(is_client);
        // The library wants the time before the first datagram.
        dtls.handle_timeout(epoch).unwrap();
        Self {
            peer: Peer::new(local, "peer1"),
            path,
            identity,
            dtls,
            srtp: None,
            data: Vec::new(),
            closed: false,
            epoch,
            is_client,
        }
    }

    pub(crate) fn parameters(&self) -> RemoteParameters {
        RemoteParameters {
            ice: self.peer.credentials.clone(),
            fingerprints: vec![Fingerprint::Sha256(self.identity.fingerprint)],
            setup: if self.is_client {
                Setup::Active
            } else {
                Setup::Passive
            },
        }
    }

    pub(crate) fn at(&self, now: Instant) -> std::time::Instant {
        self.epoch + Duration::from_micros(now.as_micros())
    }

    /// What DTLS wants to send by `now`.
    pub(crate) fn drain(&mut self, now: Instant) -> Vec<Vec<u8>> {
        self.dtls.handle_timeout(self.at(now)).unwrap();
        let mut datagrams = Vec::new();
        let mut buffer = [0; 4_096];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                dimpl::Output::Packet(packet) => datagrams.push(packet.to_vec()),
                dimpl::Output::Timeout(_) => return datagrams,
                dimpl::Output::KeyingMaterial(material, profile) => {
                    assert_eq!(profile, dimpl::SrtpProfile::AEAD_AES_256_GCM);
                    self.srtp = Srtp::new(SrtpProfile::Aes256Gcm, &material, self.is_client);
                }
                dimpl::Output::ApplicationData(data) => self.data.push(data.to_vec()),
                dimpl::Output::CloseNotify => self.closed = true,
                dimpl::Output::BufferTooSmall { .. }
                | dimpl::Output::Connected
                | dimpl::Output::PeerCert(_)
                | _ => {}
            }
        }
    }

    /// A datagram of the transport's; an answer where one is due at once.
    pub(crate) fn handle(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        match classify(bytes)? {
            demux::Class::Stun => {
                let message = Message::parse(bytes).unwrap();
                (message.class() == Class::Request).then(|| self.peer.answer(bytes))
            }
            demux::Class::Dtls => {
                self.dtls.handle_packet(bytes).unwrap();
                None
            }
            demux::Class::Rtp | demux::Class::Rtcp => None,
        }
    }

    /// Both sides talk until both are silent; true where anything was said.
    pub(crate) fn exchange(&mut self, now: Instant, transport: &mut Transport) -> bool {
        let mut any = false;
        loop {
            let mut quiet = true;
            let mut out = [0; 1_472];
            while let Some((path, length)) = transport.poll_control(now, &mut out) {
                quiet = false;
                assert!(length <= 1_280, "{length}");
                if path == self.path
                    && let Some(answer) = self.handle(&out[..length])
                {
                    transport.handle_stun(now, self.path, &answer).unwrap();
                }
            }
            for mut datagram in self.drain(now) {
                quiet = false;
                // Refused datagrams are lost.
                transport
                    .handle_dtls(now, self.path, &mut datagram)
                    .unwrap_or_default();
            }
            if quiet {
                return any;
            }
            any = true;
        }
    }

    /// Checks, nominates and shakes hands.
    pub(crate) fn connect(&mut self, now: Instant, transport: &mut Transport) {
        transport
            .handle_stun(now, self.path, &self.peer.nomination())
            .unwrap();
        self.exchange(now, transport);
    }
}

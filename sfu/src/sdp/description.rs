//! A session description as values: what `parse` makes of text, what `write` makes text of, and
//! what commands carry into a shard. Bounded by `limits.rs` once parsed.

use std::net::SocketAddr;

use crate::error::CommandError;
use crate::id::{Mid, Rid};
use crate::sdp::attribute;
use crate::units::MediaKind;

/// Offer or answer, as JSEP says it (RFC 9429 §4.1.8). `pranswer` is refused by `parse`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SdpType {
    /// An offer.
    Offer,
    /// An answer.
    Answer,
    /// The offer before this one is void; no text with it.
    Rollback,
}

/// A session description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Offer, answer or rollback.
    pub sdp_type: SdpType,
    /// `o=` session id.
    pub session_id: u64,
    /// `o=` session version.
    pub session_version: u64,
    /// `a=ice-lite`.
    pub ice_lite: bool,
    /// `a=extmap-allow-mixed` at session level.
    pub extmap_allow_mixed: bool,
    /// `a=group:BUNDLE`, in order.
    pub bundle: Vec<Mid>,
    /// The m-lines, in order. Session-level ice, fingerprint, setup and direction attributes have
    /// been copied down into each that has none of its own.
    pub sections: Vec<SectionDescription>,
}

/// What an m-line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// Sound or pictures over RTP.
    Media(MediaKind),
    /// Data channels (`UDP/DTLS/SCTP webrtc-datachannel`, RFC 8841).
    Data,
    /// Something else; it can only be answered with port 0.
    Unknown,
}

/// Which way media may flow, seen by the one who wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// The writer sends.
    SendOnly,
    /// The writer receives.
    RecvOnly,
    /// Neither.
    Inactive,
}

/// `a=setup` (RFC 8842 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// The writer is the DTLS client.
    Active,
    /// The writer is the DTLS server.
    Passive,
    /// Offers only: the answerer chooses.
    ActPass,
}

/// ICE credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// 4 to 256 characters.
    pub ufrag: String,
    /// 22 to 256 characters. Secret.
    pub password: String,
}

impl Direction {
    /// From whether the writer sends and receives.
    #[must_use]
    pub const fn of(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// The writer sends.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// The writer receives.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same as the reader sees it.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self::of(self.receives(), self.sends())
    }

    /// The attribute's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// The direction named so.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::SendRecv,
            Self::SendOnly,
            Self::RecvOnly,
            Self::Inactive,
        ]
        .into_iter()
        .find(|direction| direction.as_str() == name)
    }
}

impl IceCredentials {
    /// Credentials that come without SDP, held to the same rules (RFC 8839 §5.4).
    ///
    /// # Errors
    /// `Invalid`: which of the two cannot be used, and why.
    pub fn checked(ufrag: String, password: String) -> Result<Self, CommandError> {
        for (field, value, shortest) in [("ufrag", &ufrag, 4), ("pwd", &password, 22)] {
            attribute::ice(value, shortest).map_err(|why| CommandError::Invalid { field, why })?;
        }
        Ok(Self { ufrag, password })
    }
}

impl std::fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IceCredentials({}, …)", self.ufrag)
    }
}

/// Hash of a certificate (RFC 8122 §5). Only strong hashes get here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fingerprint {
    /// SHA-256.
    Sha256([u8; 32]),
    /// SHA-384.
    Sha384([u8; 48]),
    /// SHA-512.
    Sha512([u8; 64]),
}

/// One payload type of an m-line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// 0 to 127.
    pub payload_type: u8,
    /// Encoding name as written.
    pub name: String,
    /// Hz.
    pub clock_rate: u32,
    /// 1 where not said.
    pub channels: u8,
    /// `a=fmtp`, as written; empty where there is none.
    pub parameters: String,
    /// `a=rtcp-fb` values for this type and for `*`, as written ("nack pli").
    pub feedback: Vec<String>,
}

/// `a=extmap` (RFC 8285 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extmap {
    /// 1 to 255 (15 and above need the two-byte form).
    pub id: u8,
    /// Which way it travels, seen by the writer.
    pub direction: Direction,
    /// What it means.
    pub uri: String,
}

/// `a=candidate` of a kind that can be used: UDP, component 1, an IP address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Foundation, as written.
    pub foundation: String,
    /// Priority (RFC 8445 §5.1.2).
    pub priority: u32,
    /// Where.
    pub address: SocketAddr,
}

/// One `a=ssrc` with what was said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SsrcDescription {
    /// The SSRC.
    pub ssrc: u32,
    /// `cname`.
    pub cname: Option<String>,
}

/// `a=ssrc-group` (RFC 5576 §4.2), FID and SIM only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SsrcGroup {
    /// `FID` or `SIM`.
    pub semantics: String,
    /// The SSRCs in order.
    pub ssrcs: Vec<u32>,
}

/// `a=msid` (RFC 8830).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Msid {
    /// The stream; "-" where the track is in none.
    pub stream: String,
    /// The track.
    pub track: Option<String>,
}

/// One m-line with its attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one attribute that is there or not, independent of the others"
)]
pub struct SectionDescription {
    /// Line number of the `m=` line, counted from 1, for error messages; 0 where we wrote it.
    pub line: usize,
    /// Its mid; made up by `parse` where the other side gave none.
    pub mid: Mid,
    /// Audio, video, data or unknown.
    pub kind: SectionKind,
    /// The media field, as written, to be answered alike.
    pub media: String,
    /// The protocol field, as written, to be answered alike.
    pub protocol: String,
    /// The formats as written, needed to reject an unknown m-line with the same.
    pub formats: Vec<String>,
    /// Port 0 and not bundle-only: it is off.
    pub rejected: bool,
    /// `a=bundle-only`.
    pub bundle_only: bool,
    /// Direction, seen by the writer.
    pub direction: Direction,
    /// Credentials.
    pub ice: Option<IceCredentials>,
    /// Strong fingerprints.
    pub fingerprints: Vec<Fingerprint>,
    /// DTLS role.
    pub setup: Option<Setup>,
    /// Payload types in order of preference.
    pub payloads: Vec<Payload>,
    /// Header extensions.
    pub extensions: Vec<Extmap>,
    /// `a=rid` with direction send, in order.
    pub rids_send: Vec<Rid>,
    /// `a=rid` with direction recv, in order.
    pub rids_receive: Vec<Rid>,
    /// Declared SSRCs.
    pub ssrcs: Vec<SsrcDescription>,
    /// Groups of them.
    pub ssrc_groups: Vec<SsrcGroup>,
    /// Streams of the track.
    pub msids: Vec<Msid>,
    /// Usable candidates.
    pub candidates: Vec<Candidate>,
    /// `a=end-of-candidates`.
    pub end_of_candidates: bool,
    /// `a=rtcp-mux`.
    pub rtcp_mux: bool,
    /// `a=rtcp-rsize`.
    pub rtcp_reduced_size: bool,
    /// `a=sctp-port`.
    pub sctp_port: Option<u16>,
    /// `a=max-message-size`; 64 KiB where not said (RFC 8841 §6.1).
    pub message_bytes_max: u64,
}

impl SectionDescription {
    /// An m-line that says nothing yet: inactive, without transport.
    #[must_use]
    pub fn empty(mid: Mid, kind: SectionKind) -> Self {
        let (media, protocol) = match kind {
            SectionKind::Media(kind) => (kind.as_str(), "UDP/TLS/RTP/SAVPF"),
            SectionKind::Data | SectionKind::Unknown => ("application", "UDP/DTLS/SCTP"),
        };
        Self {
            line: 0,
            mid,
            kind,
            media: media.to_owned(),
            protocol: protocol.to_owned(),
            formats: Vec::new(),
            rejected: false,
            bundle_only: false,
            direction: Direction::Inactive,
            ice: None,
            fingerprints: Vec::new(),
            setup: None,
            payloads: Vec::new(),
            extensions: Vec::new(),
            rids_send: Vec::new(),
            rids_receive: Vec::new(),
            ssrcs: Vec::new(),
            ssrc_groups: Vec::new(),
            msids: Vec::new(),
            candidates: Vec::new(),
            end_of_candidates: false,
            rtcp_mux: false,
            rtcp_reduced_size: false,
            sctp_port: None,
            message_bytes_max: MESSAGE_BYTES_UNSAID,
        }
    }
}

/// What `a=max-message-size` means where it is missing (RFC 8841 §6.1).
pub const MESSAGE_BYTES_UNSAID: u64 = 64 << 10;

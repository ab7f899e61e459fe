//! RTP header extensions by negotiated id (RFC 8285).

/// A header extension this server reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Extension {
    /// RFC 9143 §15: which m-line.
    Mid,
    /// RFC 8852 §3.1: which simulcast encoding.
    Rid,
    /// RFC 8852 §3.2: which encoding a retransmission repairs.
    RepairedRid,
    /// RFC 6464: loudness.
    AudioLevel,
    /// When the packet left, 6.18 fixed-point seconds.
    AbsSendTime,
    /// One number space for all packets of a transport.
    TransportWideCc,
    /// 3GPP TS 26.114 §7.4.5: camera and rotation.
    VideoOrientation,
    /// Bounds of the receiver's buffer.
    PlayoutDelay,
    /// Capture time on the sender's clock.
    AbsCaptureTime,
}

impl Extension {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Mid,
        Self::Rid,
        Self::RepairedRid,
        Self::AudioLevel,
        Self::AbsSendTime,
        Self::TransportWideCc,
        Self::VideoOrientation,
        Self::PlayoutDelay,
        Self::AbsCaptureTime,
    ];

    /// As `a=extmap` names it.
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::TransportWideCc => {
                "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
            }
            Self::VideoOrientation => "urn:3gpp:video-orientation",
            Self::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            Self::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
        }
    }

    /// The extension named so.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|extension| extension.uri() == uri)
    }
}

/// Which id means which extension, on one transport.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtensionMap {
    /// By place in [`Extension::ALL`]; 0 where not negotiated.
    ids: [u8; Extension::ALL.len()],
}

impl ExtensionMap {
    /// `extension` travels as `id` from now on; 0 takes it out.
    pub fn set(&mut self, extension: Extension, id: u8) {
        for (slot, candidate) in self.ids.iter_mut().zip(Extension::ALL) {
            if candidate == extension {
                *slot = id;
            }
        }
    }

    /// The id of `extension`.
    #[must_use]
    pub fn id(&self, extension: Extension) -> Option<u8> {
        self.ids
            .iter()
            .zip(Extension::ALL)
            .find(|(id, candidate)| *candidate == extension && **id != 0)
            .map(|(id, _)| *id)
    }

    /// What `id` means.
    #[must_use]
    pub fn extension(&self, id: u8) -> Option<Extension> {
        self.ids
            .iter()
            .zip(Extension::ALL)
            .find(|(slot, _)| id != 0 && **slot == id)
            .map(|(_, extension)| extension)
    }
}

//! What an m-line comes to once both sides have spoken: an offered section met with our
//! capabilities gives the answering section and a [`MediaPlan`]; our offer met with its answer
//! gives a [`MediaPlan`]. No state; `shard/negotiation.rs` holds that.

use crate::id::{Mid, Rid};
use crate::sdp::description::Msid;
use crate::units::MediaKind;
use crate::wire::extension::ExtensionMap;
use crate::wire::payload::Format;

/// One payload type both sides agreed on, with the feedback that may be sent about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one a=rtcp-fb line, independent of the others"
)]
pub struct PayloadPlan {
    /// The number on the wire.
    pub payload_type: u8,
    /// The number of its retransmissions (RFC 4588).
    pub rtx: Option<u8>,
    /// What it is.
    pub format: Format,
    /// `a=fmtp` as the other side wrote it.
    pub parameters: String,
    /// Generic NACK (RFC 4585 §6.2.1).
    pub nack: bool,
    /// Picture loss indication (RFC 4585 §6.3.1).
    pub pli: bool,
    /// Full intra request (RFC 5104 §4.3.1).
    pub fir: bool,
    /// Transport-wide feedback.
    pub transport_cc: bool,
    /// Receiver estimated maximum bitrate; only where there is no transport-wide feedback.
    pub remb: bool,
}

/// What one m-line carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaPlan {
    /// Its name.
    pub mid: Mid,
    /// Audio or video.
    pub kind: MediaKind,
    /// Agreed payload types in order of preference.
    pub payloads: Vec<PayloadPlan>,
    /// Agreed header extensions.
    pub extensions: ExtensionMap,
    /// Reduced-size RTCP (RFC 5506) may be sent.
    pub reduced_size: bool,
    /// Simulcast rids the other side sends, in its order; empty without simulcast.
    pub rids: Vec<Rid>,
    /// SSRCs the other side declared, each with that of its retransmissions.
    pub ssrcs: Vec<(u32, Option<u32>)>,
    /// Stream and track: theirs where they send, ours where we do.
    pub msid: Option<Msid>,
}

impl MediaPlan {
    /// What a received or outgoing payload type means; true where it is the retransmission of it.
    #[must_use]
    pub fn payload(&self, payload_type: u8) -> Option<(&PayloadPlan, bool)> {
        self.payloads.iter().find_map(|plan| {
            if plan.payload_type == payload_type {
                Some((plan, false))
            } else if plan.rtx == Some(payload_type) {
                Some((plan, true))
            } else {
                None
            }
        })
    }

    /// The payload type that carries packets of `format` unchanged.
    #[must_use]
    pub fn for_format(&self, format: &Format) -> Option<&PayloadPlan> {
        self.payloads.iter().find(|plan| plan.format == *format)
    }
}

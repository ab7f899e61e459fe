//! What an m-line comes to once both sides have spoken: an offered section met with our
//! capabilities gives the answering section and a [`MediaPlan`]; our offer met with its answer
//! gives a [`MediaPlan`]. No state; `shard/negotiation.rs` holds that.
//!
//! Answered are the codecs of [`Codec`] with their retransmissions, in the other side's order and
//! under its numbers, and the header extensions of [`Extension`] under its ids. Redundancy other
//! than RED, comfort noise and telephone events are not.

use crate::id::{Mid, Rid};
use crate::limits;
use crate::sdp::attribute::parameter;
use crate::sdp::description::{Direction, Extmap, Msid, Payload, SectionDescription, SectionKind};
use crate::units::MediaKind;
use crate::wire::extension::{Extension, ExtensionMap};
use crate::wire::payload::{Codec, Format};

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
    /// Congestion control feedback (RFC 8888); only where there is no transport-wide feedback.
    pub ccfb: bool,
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

    /// Whether what arrives is told by SSRC and sequence number (RFC 8888).
    #[must_use]
    pub fn reports_packets(&self) -> bool {
        self.payloads.iter().any(|plan| plan.ccfb)
    }

    /// Whether any of it is retransmitted.
    #[must_use]
    pub fn retransmits(&self) -> bool {
        self.payloads.iter().any(|plan| plan.rtx.is_some())
    }
}

/// What the other side's m-line comes to with `codecs` (all where empty). `None`: no codec in
/// common, or no media.
///
/// The order is the other side's, or that of `codecs` where a room has its own.
#[must_use]
pub fn plan(section: &SectionDescription, codecs: &[Codec]) -> Option<MediaPlan> {
    let SectionKind::Media(kind) = section.kind else {
        return None;
    };
    let mut extensions = extensions(section);
    let mut payloads = payloads(section, codecs, &extensions);
    if !codecs.is_empty() {
        payloads.sort_by_key(|plan| {
            codecs
                .iter()
                .position(|codec| *codec == carried(plan.format))
        });
    }
    drop_lone_red(&mut payloads);
    if payloads.is_empty() {
        return None;
    }
    let sends = section.direction.sends();
    // Where it goes along, Chromium leaves picture id and layers out of VP8's payload: whom the
    // extension is not sent to could then not tell a picture left out from a lost one.
    let is_vp8 = payloads.first().map(|plan| plan.format.codec) == Some(Codec::Vp8);
    if sends && is_vp8 {
        extensions.set(Extension::DependencyDescriptor, 0);
    }
    // Without the extension the encodings could not be told apart.
    let rids = if sends && extensions.id(Extension::Rid).is_some() {
        let rids = section.rids_send.iter().copied();
        rids.take(limits::ENCODINGS_PER_TRACK).collect()
    } else {
        Vec::new()
    };
    Some(MediaPlan {
        mid: section.mid,
        kind,
        payloads,
        extensions,
        reduced_size: section.rtcp_reduced_size,
        rids,
        ssrcs: if sends {
            declared_ssrcs(section)
        } else {
            Vec::new()
        },
        msid: section.msids.first().cloned(),
    })
}

/// What our offered m-line comes to with their answer: only what both named alike.
#[must_use]
pub fn plan_answered(ours: &MediaPlan, answer: &SectionDescription) -> Option<MediaPlan> {
    let mut theirs = plan(answer, &[])?;
    theirs.payloads.retain_mut(|plan| {
        let offered = ours
            .payloads
            .iter()
            .find(|ours| ours.payload_type == plan.payload_type);
        let Some(offered) = offered.filter(|ours| ours.format == plan.format) else {
            return false;
        };
        plan.rtx = plan.rtx.filter(|rtx| offered.rtx == Some(*rtx));
        true
    });
    for extension in Extension::ALL {
        if theirs.extensions.id(extension) != ours.extensions.id(extension) {
            theirs.extensions.set(extension, 0);
        }
    }
    theirs.rids.retain(|rid| ours.rids.contains(rid));
    (!theirs.payloads.is_empty()).then_some(theirs)
}

/// An m-line that says `plan`, with `direction` as we see it. Transport, SSRCs and msid are left
/// to the caller.
#[must_use]
pub fn describe(plan: &MediaPlan, direction: Direction) -> SectionDescription {
    let mut section = SectionDescription::empty(plan.mid, SectionKind::Media(plan.kind));
    section.direction = direction;
    section.rtcp_mux = true;
    section.rtcp_reduced_size = plan.reduced_size;
    for payload in &plan.payloads {
        section.payloads.push(describe_payload(payload));
        section.payloads.extend(payload.rtx.map(|rtx| Payload {
            payload_type: rtx,
            name: RTX.to_owned(),
            clock_rate: payload.format.codec.clock_rate(),
            channels: 1,
            parameters: format!("apt={}", payload.payload_type),
            feedback: Vec::new(),
        }));
    }
    let numbers = section.payloads.iter();
    section.formats = numbers
        .map(|payload| payload.payload_type.to_string())
        .collect();
    for extension in Extension::ALL {
        section
            .extensions
            .extend(plan.extensions.id(extension).map(|id| Extmap {
                id,
                direction: Direction::SendRecv,
                uri: extension.uri().to_owned(),
            }));
    }
    if direction.receives() {
        section.rids_receive.clone_from(&plan.rids);
    }
    section
}

/// The same m-line turned down (RFC 9429 §5.3.1: port 0, its formats kept).
#[must_use]
pub fn reject(offered: &SectionDescription) -> SectionDescription {
    let mut section = SectionDescription::empty(offered.mid, offered.kind);
    section.media.clone_from(&offered.media);
    section.protocol.clone_from(&offered.protocol);
    section.formats.clone_from(&offered.formats);
    section.rejected = true;
    section
}

/// The codecs an m-line offers, in words, for an error message.
#[must_use]
pub fn names_offered(section: &SectionDescription) -> String {
    let mut names: Vec<&str> = Vec::new();
    for payload in section.payloads.iter().take(NAMES_TOLD) {
        let name = payload.name.as_str();
        if !name.eq_ignore_ascii_case(RTX) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
        .join(", ")
        .chars()
        .take(NAMES_TOLD_CHARACTERS)
        .collect()
}

/// What a payload type is, where it can be forwarded.
pub(super) fn format_of(payload: &Payload, kind: MediaKind) -> Option<Format> {
    let codec = Codec::ALL.into_iter().find(|codec| {
        codec.kind() == kind
            && codec.name().eq_ignore_ascii_case(&payload.name)
            && codec.clock_rate() == payload.clock_rate
            && channels(*codec) == payload.channels
    })?;
    let number = |name: &str, unsaid: u32| match parameter(&payload.parameters, name) {
        Some(value) => value.parse::<u32>().ok(),
        None => Some(unsaid),
    };
    let mut format = Format::of(codec);
    match codec {
        Codec::Opus | Codec::Red | Codec::Pcmu | Codec::Pcma | Codec::Vp8 => {}
        // RFC 9628 §6.1: profiles 1 and 3 (4:4:4) are not for meetings.
        Codec::Vp9 => {
            format.profile = number("profile-id", 0).filter(|id| matches!(id, 0 | 2))?;
        }
        Codec::Av1 => format.profile = number("profile", 0).filter(|id| *id <= 2)?,
        Codec::H265 => format.profile = number("profile-id", 1).filter(|id| *id <= 31)?,
        Codec::H264 => {
            // RFC 6184 §8.1: Baseline, level 1 where it is not said.
            let level = parameter(&payload.parameters, "profile-level-id").unwrap_or("42000a");
            let level = u32::from_str_radix(level, 16)
                .ok()
                .filter(|id| *id <= 0x00ff_ffff)?;
            format.profile = h264_profile(level >> 8);
            let mode = number("packetization-mode", 0)?;
            // Mode 2 interleaves; no browser does.
            format.packetization_mode = u8::try_from(mode).ok().filter(|mode| *mode <= 1)?;
        }
    }
    Some(format)
}

/// One way to write each H264 profile (RFC 6184 table 5): constrained Baseline is written in
/// three, and one decoder takes them all.
const fn h264_profile(profile: u32) -> u32 {
    let (idc, constraints) = (profile >> 8, profile & 0xff);
    let constrained = match idc {
        0x42 => constraints & 0x40 != 0,
        0x4d => constraints & 0x80 != 0,
        0x58 => constraints & 0xc0 == 0xc0,
        _ => false,
    };
    if constrained { 0x42e0 } else { profile }
}

/// Channels as `a=rtpmap` says them.
const fn channels(codec: Codec) -> u8 {
    match codec {
        Codec::Opus | Codec::Red => 2,
        Codec::Pcmu
        | Codec::Pcma
        | Codec::Vp8
        | Codec::Vp9
        | Codec::H264
        | Codec::H265
        | Codec::Av1 => 1,
    }
}

fn payloads(
    section: &SectionDescription,
    codecs: &[Codec],
    extensions: &ExtensionMap,
) -> Vec<PayloadPlan> {
    let SectionKind::Media(kind) = section.kind else {
        return Vec::new();
    };
    let mut plans: Vec<PayloadPlan> = Vec::new();
    for payload in &section.payloads {
        let format = format_of(payload, kind);
        let allowed = |format: &Format| codecs.is_empty() || codecs.contains(&carried(*format));
        if let Some(format) = format.filter(allowed) {
            plans.push(plan_payload(section, payload, format, extensions));
        }
    }
    plans
}

fn plan_payload(
    section: &SectionDescription,
    payload: &Payload,
    format: Format,
    extensions: &ExtensionMap,
) -> PayloadPlan {
    let offers = |value: &str| payload.feedback.iter().any(|feedback| feedback == value);
    // The feedback speaks of numbers that only the extension carries.
    let numbered = extensions.id(Extension::TransportWideCc).is_some();
    let transport_cc = numbered && offers(TRANSPORT_CC);
    let video = format.codec.kind() == MediaKind::Video;
    // Of what we receive it is a ceiling over what the sender finds by transport-wide feedback; of
    // what we send we find that ourselves.
    let sends_only = video && section.direction == Direction::SendOnly;
    PayloadPlan {
        payload_type: payload.payload_type,
        rtx: rtx_of(section, payload.payload_type).filter(|_| video),
        format,
        parameters: payload.parameters.clone(),
        nack: offers(NACK),
        pli: offers(PLI),
        fir: offers(FIR),
        transport_cc,
        ccfb: !transport_cc && offers(CCFB),
        remb: (!transport_cc || sends_only) && offers(REMB),
    }
}

/// The retransmission payload type of `payload_type`.
pub(super) fn rtx_of(section: &SectionDescription, payload_type: u8) -> Option<u8> {
    let mut payloads = section.payloads.iter();
    let rtx = payloads.find(|payload| {
        payload.name.eq_ignore_ascii_case(RTX)
            && parameter(&payload.parameters, "apt").and_then(|apt| apt.parse().ok())
                == Some(payload_type)
    });
    rtx.map(|rtx| rtx.payload_type)
}

/// A room's choice of codecs is one of what is inside RED: who may send Opus may send it twice.
pub(super) const fn carried(format: Format) -> Codec {
    if matches!(format.codec, Codec::Red) {
        Codec::Opus
    } else {
        format.codec
    }
}

/// RED without the Opus it wraps cannot be sent. Its place is the other side's to choose: who names
/// it first sends it.
fn drop_lone_red(payloads: &mut Vec<PayloadPlan>) {
    let opus = payloads.iter();
    let opus = opus.filter(|plan| plan.format.codec == Codec::Opus);
    let opus: Vec<u8> = opus.map(|plan| plan.payload_type).collect();
    payloads.retain(|plan| {
        plan.format.codec != Codec::Red || wrapped(plan).is_some_and(|it| opus.contains(&it))
    });
}

/// What RED wraps (RFC 2198 §5: the payload types inside, the newest first).
fn wrapped(red: &PayloadPlan) -> Option<u8> {
    red.parameters.split('/').next()?.trim().parse().ok()
}

/// In our own offers RED stands right after the Opus it wraps, so that nobody sends it unasked;
/// without that Opus it is dropped.
pub(super) fn red_after_opus(payloads: &mut Vec<PayloadPlan>) {
    let is_red = |plan: &mut PayloadPlan| plan.format.codec == Codec::Red;
    let reds: Vec<PayloadPlan> = payloads.extract_if(.., is_red).collect();
    for red in reds.into_iter().rev() {
        let primary = wrapped(&red);
        let opus = payloads.iter().position(|plan| {
            plan.format.codec == Codec::Opus && Some(plan.payload_type) == primary
        });
        if let Some(index) = opus {
            payloads.insert(index.saturating_add(1), red);
        }
    }
}

fn extensions(section: &SectionDescription) -> ExtensionMap {
    let mut map = ExtensionMap::default();
    for extmap in &section.extensions {
        if let Some(extension) = Extension::from_uri(&extmap.uri)
            && extmap.direction != Direction::Inactive
            && map.id(extension).is_none()
        {
            map.set(extension, extmap.id);
        }
    }
    map
}

/// Main SSRCs with those of their retransmissions, in the order of a SIM group where there is one.
fn declared_ssrcs(section: &SectionDescription) -> Vec<(u32, Option<u32>)> {
    let groups = |semantics: &'static str| {
        let groups = section.ssrc_groups.iter();
        groups.filter(move |group| group.semantics == semantics)
    };
    let repairs = |ssrc: u32| {
        groups("FID").any(|group| group.ssrcs.iter().skip(1).any(|repair| *repair == ssrc))
    };
    let rtx = |ssrc: u32| {
        groups("FID").find_map(|group| match group.ssrcs.as_slice() {
            [main, repair, ..] if *main == ssrc => Some(*repair),
            _ => None,
        })
    };
    let mut mains: Vec<u32> = Vec::new();
    let grouped = groups("SIM").flat_map(|group| group.ssrcs.iter().copied());
    let listed = section.ssrcs.iter().map(|described| described.ssrc);
    for ssrc in grouped.chain(listed) {
        if mains.len() < limits::ENCODINGS_PER_TRACK && !mains.contains(&ssrc) && !repairs(ssrc) {
            mains.push(ssrc);
        }
    }
    mains.into_iter().map(|ssrc| (ssrc, rtx(ssrc))).collect()
}

fn describe_payload(plan: &PayloadPlan) -> Payload {
    let feedback = [
        (plan.remb, REMB),
        (plan.transport_cc, TRANSPORT_CC),
        (plan.ccfb, CCFB),
        (plan.fir, FIR),
        (plan.nack, NACK),
        (plan.pli, PLI),
    ];
    let codec = plan.format.codec;
    Payload {
        payload_type: plan.payload_type,
        name: codec.name().to_owned(),
        clock_rate: codec.clock_rate(),
        channels: channels(codec),
        parameters: parameters_echoed(&plan.parameters),
        feedback: feedback
            .into_iter()
            .filter(|(agreed, _)| *agreed)
            .map(|(_, value)| value.to_owned())
            .collect(),
    }
}

/// `a=fmtp` given back: without what only describes the stream of its writer (`sprop-…`) and
/// what bounds a decoder, since we have none.
fn parameters_echoed(parameters: &str) -> String {
    let kept = parameters.split(';').map(str::trim).filter(|parameter| {
        let name = parameter
            .split_once('=')
            .map_or(*parameter, |(name, _)| name);
        !name.is_empty() && !name.starts_with("sprop-") && !matches!(name, "max-fs" | "max-fr")
    });
    kept.collect::<Vec<_>>().join(";")
}

const RTX: &str = "rtx";
const NACK: &str = "nack";
const PLI: &str = "nack pli";
const FIR: &str = "ccm fir";
const TRANSPORT_CC: &str = "transport-cc";
const REMB: &str = "goog-remb";
/// RFC 8888 §6.
const CCFB: &str = "ack ccfb";
/// Payload types looked at, and characters told, in an error message.
const NAMES_TOLD: usize = 64;
const NAMES_TOLD_CHARACTERS: usize = 200;

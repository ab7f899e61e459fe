//! Which payload types and header extension ids a BUNDLE group uses for what. RFC 9143 §9.1: one
//! number means one thing on all its m-lines; so what the other side has numbered keeps its
//! number in our offers, and new things get numbers nobody has used.

use crate::id::Mid;
use crate::limits;
use crate::sdp::description::{SectionDescription, SectionKind};
use crate::sdp::negotiate::{MediaPlan, PayloadPlan, carried, format_of, red_after_opus, rtx_of};
use crate::units::MediaKind;
use crate::wire::extension::{Extension, ExtensionMap};
use crate::wire::payload::{Codec, Format};

/// A format with the numbers it has.
#[derive(Clone, Debug)]
struct Numbered {
    format: Format,
    payload_type: u8,
    rtx: Option<u8>,
    parameters: String,
}

/// The numbers of one BUNDLE group.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    formats: Vec<Numbered>,
    /// One bit for each payload type ever seen.
    types_used: u128,
    extensions: ExtensionMap,
    /// One bit for each id up to 14 ever seen; ours stay in the one-byte form.
    ids_used: u16,
}

impl Numbers {
    /// Takes note of what an m-line, theirs or ours, uses.
    pub fn learn(&mut self, section: &SectionDescription) {
        let SectionKind::Media(kind) = section.kind else {
            return;
        };
        for payload in &section.payloads {
            self.types_used |= bit(payload.payload_type);
            if let Some(format) = format_of(payload, kind) {
                self.learn_format(Numbered {
                    format,
                    payload_type: payload.payload_type,
                    rtx: rtx_of(section, payload.payload_type),
                    parameters: payload.parameters.clone(),
                });
            }
        }
        for extmap in &section.extensions {
            self.ids_used |= 1_u16.checked_shl(extmap.id.into()).unwrap_or(0);
            if let Some(extension) = Extension::from_uri(&extmap.uri)
                && self.extensions.id(extension).is_none()
                && self.extensions.extension(extmap.id).is_none()
            {
                self.extensions.set(extension, extmap.id);
            }
        }
    }

    /// The first number of a format stays, unless the number has come to mean something else.
    fn learn_format(&mut self, learned: Numbered) {
        self.formats.retain(|known| {
            known.payload_type != learned.payload_type || known.format == learned.format
        });
        let mut known = self.formats.iter_mut();
        if let Some(known) = known.find(|known| known.format == learned.format) {
            if known.payload_type == learned.payload_type {
                known.rtx = learned.rtx.or(known.rtx);
            }
        } else if self.formats.len() < limits::SDP_PAYLOADS {
            self.formats.push(learned);
        }
    }

    /// Whether `id` means `extension` here, or nothing yet.
    #[must_use]
    pub fn agrees(&self, extension: Extension, id: u8) -> bool {
        self.extensions
            .id(extension)
            .is_none_or(|known| known == id)
            && self
                .extensions
                .extension(id)
                .is_none_or(|known| known == extension)
    }

    /// What a new m-line of ours offers: `wanted`, all the other side has shown of `kind`, and the
    /// rest of what we forward, within `codecs` (all where empty).
    pub fn offer(
        &mut self,
        mid: Mid,
        kind: MediaKind,
        wanted: Option<Format>,
        codecs: &[Codec],
    ) -> MediaPlan {
        let known = self.formats.iter().map(|numbered| numbered.format);
        let mut formats: Vec<Format> = Vec::new();
        for format in known
            .chain(CATALOGUE.iter().map(|entry| entry.format))
            .chain(wanted)
        {
            let allowed = codecs.is_empty() || codecs.contains(&carried(format));
            if format.codec.kind() == kind && allowed && !formats.contains(&format) {
                formats.push(format);
            }
        }
        let extensions = self.offer_extensions(kind);
        let mut payloads = Vec::new();
        for format in formats {
            // Each takes up to two of the 64 an m-line may have; RED needs the Opus before it.
            let opus = payloads
                .iter()
                .find(|plan: &&PayloadPlan| plan.format.codec == Codec::Opus);
            let opus = opus.map(|plan| plan.payload_type);
            if payloads.len() < limits::SDP_PAYLOADS / 2
                && let Some(numbered) = self.number(format, opus)
            {
                payloads.push(offer_payload(numbered));
            }
        }
        red_after_opus(&mut payloads);
        MediaPlan {
            mid,
            kind,
            payloads,
            extensions,
            reduced_size: true,
            rids: Vec::new(),
            ssrcs: Vec::new(),
            msid: None,
        }
    }

    /// The numbers of `format`: those it has, else those most browsers use, else free ones.
    fn number(&mut self, format: Format, opus: Option<u8>) -> Option<Numbered> {
        if let Some(known) = self.formats.iter().find(|known| known.format == format) {
            return Some(known.clone());
        }
        let entry = CATALOGUE.iter().find(|entry| entry.format == format);
        let payload_type = self.take(entry.map(|entry| entry.payload_type))?;
        let rtx = match format.codec.kind() {
            MediaKind::Audio => None,
            MediaKind::Video => self.take(entry.map(|entry| entry.rtx)),
        };
        let parameters = match (format.codec, opus) {
            // RFC 2198 §5.
            (Codec::Red, Some(opus)) => format!("{opus}/{opus}"),
            _ => parameters(format),
        };
        let numbered = Numbered {
            format,
            payload_type,
            rtx,
            parameters,
        };
        self.learn_format(numbered.clone());
        Some(numbered)
    }

    /// `preferred`, else a free dynamic payload type (RFC 3551 §6); with RTCP on the same port 64
    /// to 95 are not for RTP (RFC 5761 §4).
    fn take(&mut self, preferred: Option<u8>) -> Option<u8> {
        let free = |number: &u8| self.types_used & bit(*number) == 0;
        let number = preferred
            .filter(|number| free(number))
            .or_else(|| (96..=127).chain(35..=63).find(free))?;
        self.types_used |= bit(number);
        Some(number)
    }

    fn offer_extensions(&mut self, kind: MediaKind) -> ExtensionMap {
        let mut map = ExtensionMap::default();
        let wanted: &[Extension] = match kind {
            MediaKind::Audio => &[
                Extension::Mid,
                Extension::AudioLevel,
                Extension::AbsSendTime,
                Extension::TransportWideCc,
            ],
            MediaKind::Video => &[
                Extension::Mid,
                Extension::AbsSendTime,
                Extension::TransportWideCc,
                Extension::VideoOrientation,
                Extension::PlayoutDelay,
                Extension::DependencyDescriptor,
            ],
        };
        for extension in wanted {
            let known = self.extensions.id(*extension);
            let unused = |id: &u8| self.ids_used & (1 << id) == 0;
            let free = || usual_id(*extension).filter(unused);
            if let Some(id) = known.or_else(free).or_else(|| (1..=14).find(unused)) {
                self.ids_used |= 1_u16.checked_shl(id.into()).unwrap_or(0);
                self.extensions.set(*extension, id);
                map.set(*extension, id);
            }
        }
        map
    }
}

/// The id Chromium gives an extension, asked or not. It keeps its own ids when it rolls an offer
/// back for ours, so that one of ours which means another extension there makes its next offer
/// collide with itself, and fail: no id of ours may be one Chromium gives something else.
const fn usual_id(extension: Extension) -> Option<u8> {
    match extension {
        Extension::AudioLevel => Some(1),
        Extension::AbsSendTime => Some(2),
        Extension::TransportWideCc => Some(3),
        Extension::Mid => Some(4),
        Extension::PlayoutDelay => Some(5),
        Extension::Rid => Some(10),
        Extension::RepairedRid => Some(11),
        Extension::DependencyDescriptor => Some(12),
        Extension::VideoOrientation => Some(13),
        Extension::AbsCaptureTime => None,
    }
}

const fn bit(payload_type: u8) -> u128 {
    1_u128 << (payload_type & 0x7f)
}

fn offer_payload(numbered: Numbered) -> PayloadPlan {
    let video = numbered.format.codec.kind() == MediaKind::Video;
    PayloadPlan {
        payload_type: numbered.payload_type,
        rtx: numbered.rtx.filter(|_| video),
        format: numbered.format,
        parameters: numbered.parameters,
        nack: video,
        pli: video,
        fir: video,
        transport_cc: numbered.format.codec != Codec::Red,
        ccfb: false,
        // For those who have nothing better; who takes both sends feedback of packets only.
        remb: video,
    }
}

/// `a=fmtp` of a format nobody has described yet.
fn parameters(format: Format) -> String {
    let profile = format.profile;
    match format.codec {
        Codec::Opus => "minptime=10;useinbandfec=1".to_owned(),
        Codec::Red | Codec::Pcmu | Codec::Pcma | Codec::Vp8 => String::new(),
        Codec::Vp9 => format!("profile-id={profile}"),
        Codec::Av1 => format!("level-idx=5;profile={profile};tier=0"),
        Codec::H265 => format!("level-id=93;profile-id={profile};tier-flag=0;tx-mode=SRST"),
        // Level 3.1 as every browser says; the asymmetry makes it no bound.
        Codec::H264 => format!(
            "level-asymmetry-allowed=1;packetization-mode={};profile-level-id={profile:04x}1f",
            format.packetization_mode
        ),
    }
}

struct Entry {
    format: Format,
    payload_type: u8,
    rtx: u8,
}

const fn entry(codec: Codec, profile: u32, mode: u8, payload_type: u8, rtx: u8) -> Entry {
    let format = Format {
        codec,
        profile,
        packetization_mode: mode,
    };
    Entry {
        format,
        payload_type,
        rtx,
    }
}

/// What we offer to somebody who has not shown otherwise, under Chromium's numbers. What only few
/// can decode comes by request: payload types are scarce, and Chromium fails to offer without.
const CATALOGUE: &[Entry] = &[
    entry(Codec::Opus, 0, 0, 111, 0),
    entry(Codec::Red, 0, 0, 63, 0),
    entry(Codec::Pcmu, 0, 0, 0, 0),
    entry(Codec::Pcma, 0, 0, 8, 0),
    entry(Codec::Vp8, 0, 0, 96, 97),
    entry(Codec::Vp9, 0, 0, 98, 99),
    entry(Codec::Vp9, 2, 0, 100, 101),
    entry(Codec::H264, 0x4200, 1, 102, 103),
    entry(Codec::H264, 0x4200, 0, 104, 107),
    entry(Codec::H264, 0x42e0, 1, 108, 109),
    entry(Codec::H264, 0x42e0, 0, 114, 115),
    entry(Codec::H264, 0x4d00, 1, 116, 117),
    entry(Codec::H264, 0x4d00, 0, 39, 40),
    entry(Codec::Av1, 0, 0, 45, 46),
];

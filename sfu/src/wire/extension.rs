//! RTP header extensions by negotiated id (RFC 8285).
//!
//! [`ExtensionMap`] is what SDP agreed on; [`ExtensionValues`] is what one packet says, or is to
//! say. The values of a packet are all small and `Copy`: a forwarder changes some and writes the
//! rest on. Unknown ids are skipped; ill-formed values count as absent, as RFC 8285 §4.1.1 wants
//! for what is not understood.

use crate::id::{Mid, Rid};
use crate::time::NtpTime;
use crate::units::AudioLevel;
use crate::wire::bytes::{Reader, Writer};
use crate::wire::rtp::RtpPacket;

macro_rules! extensions {
    ($($(#[$doc:meta])* $name:ident = $uri:literal,)*) => {
        /// A header extension that is known here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Extension { $($(#[$doc])* $name,)* }

        impl Extension {
            /// All of them.
            pub const ALL: [Self; COUNT] = [$(Self::$name,)*];

            /// Its name in `a=extmap`.
            #[must_use]
            pub const fn uri(self) -> &'static str {
                match self { $(Self::$name => $uri,)* }
            }
        }
    };
}

/// How many there are.
const COUNT: usize = 10;

extensions! {
    /// The m-line (RFC 9143 §15).
    Mid = "urn:ietf:params:rtp-hdrext:sdes:mid",
    /// The encoding within the m-line (RFC 8852 §3.1).
    Rid = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    /// The encoding a retransmission repairs (RFC 8852 §3.2).
    RepairedRid = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
    /// Loudness (RFC 6464).
    AudioLevel = "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    /// When it left, 6.18 fixed-point seconds.
    AbsSendTime = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    /// Sequence number of the transport (draft-holmer-rmcat-transport-wide-cc-extensions-01 §2).
    TransportWideCc = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    /// Coordination of video orientation (3GPP TS 26.114 §7.4.5).
    VideoOrientation = "urn:3gpp:video-orientation",
    /// Bounds of the play-out delay, two times 12 bits of 10 ms.
    PlayoutDelay = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
    /// When it was captured, on the capturer's clock.
    AbsCaptureTime = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
    /// Which frame, and what it depends on (RTP payload format for AV1, appendix A): too long to be
    /// among the values, see [`descriptor`].
    DependencyDescriptor = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
}

impl Extension {
    /// By its name in `a=extmap`.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|extension| extension.uri() == uri)
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// Which id means which extension on one transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionMap {
    /// By [`Extension::index`]; 0 where not negotiated (RFC 8285 §4.2 reserves it for padding).
    ids: [u8; COUNT],
}

impl ExtensionMap {
    /// Gives `extension` the id, taking it from another that had it. Id 0 takes it off the map.
    pub fn set(&mut self, extension: Extension, id: u8) {
        for taken in self.ids.iter_mut().filter(|taken| **taken == id) {
            *taken = 0;
        }
        if let Some(place) = self.ids.get_mut(extension.index()) {
            *place = id;
        }
    }

    /// The id of `extension`, where it was negotiated.
    #[must_use]
    pub fn id(&self, extension: Extension) -> Option<u8> {
        self.ids
            .get(extension.index())
            .copied()
            .filter(|&id| id != 0)
    }

    /// Whether any id needs the two-byte form (RFC 8285 §4.3).
    fn has_long_ids(&self) -> bool {
        self.ids.iter().any(|&id| id > 14)
    }

    /// The meaning of `id`.
    #[must_use]
    pub fn extension(&self, id: u8) -> Option<Extension> {
        let known = Extension::ALL.into_iter().zip(self.ids);
        known
            .filter(|&(_, taken)| taken != 0 && taken == id)
            .map(|(extension, _)| extension)
            .next()
    }
}

/// When a packet was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsCaptureTime {
    /// On the capturer's clock.
    pub ntp: NtpTime,
    /// What the one who last rewrote it believes the capturer's clock to be ahead of its own,
    /// 32.32 fixed-point seconds.
    pub offset: Option<i64>,
}

/// The header extensions of one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionValues {
    /// The m-line.
    pub mid: Option<Mid>,
    /// The encoding.
    pub rid: Option<Rid>,
    /// The encoding repaired.
    pub repaired_rid: Option<Rid>,
    /// Loudness, and whether the sender thinks it is voice.
    pub audio_level: Option<(AudioLevel, bool)>,
    /// 24 bits of 6.18 fixed-point seconds.
    pub abs_send_time: Option<u32>,
    /// Sequence number of the transport.
    pub transport_sequence: Option<u16>,
    /// Camera, flip and rotation bits.
    pub orientation: Option<u8>,
    /// Minimum and maximum, as they are on the wire.
    pub playout_delay: Option<[u8; 3]>,
    /// Capture time.
    pub abs_capture_time: Option<AbsCaptureTime>,
}

/// The longest value written here: a 16-byte MID, or a capture time with its offset. It is also
/// the longest that the one-byte form can hold (RFC 8285 §4.2).
const VALUE_BYTES: usize = 16;

impl ExtensionValues {
    /// What `packet` says, as far as `map` knows it. Of a repeated id the last counts.
    #[must_use]
    pub fn read(packet: &RtpPacket<'_>, map: &ExtensionMap) -> Self {
        let mut values = Self::default();
        for (id, bytes) in packet.extensions() {
            if let Some(extension) = map.extension(id) {
                values.set(extension, bytes);
            }
        }
        values
    }

    fn set(&mut self, extension: Extension, bytes: &[u8]) {
        match extension {
            Extension::Mid => self.mid = text(bytes).and_then(Mid::new),
            Extension::Rid => self.rid = text(bytes).and_then(Rid::new),
            Extension::RepairedRid => self.repaired_rid = text(bytes).and_then(Rid::new),
            // RFC 6464 §4: one byte; a second, for padding in the two-byte form, is ignored.
            Extension::AudioLevel => {
                self.audio_level = bytes
                    .first()
                    .map(|&byte| (AudioLevel(byte & 0x7F), byte & 0x80 != 0));
            }
            Extension::AbsSendTime => self.abs_send_time = Reader::new(bytes).u24().ok(),
            // The second draft version adds two bytes of feedback request behind the number.
            Extension::TransportWideCc => self.transport_sequence = Reader::new(bytes).u16().ok(),
            Extension::VideoOrientation => self.orientation = bytes.first().copied(),
            Extension::PlayoutDelay => self.playout_delay = Reader::new(bytes).array().ok(),
            Extension::AbsCaptureTime => self.abs_capture_time = capture_time(bytes),
            Extension::DependencyDescriptor => {}
        }
    }

    /// Writes the extension block (RFC 8285 §4.1.2), word-aligned, for what has both a value and
    /// an id. Nothing is written where there is nothing to say; `None` where it does not fit.
    pub(crate) fn write(
        &self,
        map: &ExtensionMap,
        descriptor: &[u8],
        out: &mut Writer<'_>,
    ) -> Option<bool> {
        // RFC 8285 §4.3: ids above 14 need the two-byte form, and a packet has one form only.
        // §4.2: nor does the one-byte form take more than 16 bytes.
        let described = map.id(Extension::DependencyDescriptor);
        let described = described.filter(|_| !descriptor.is_empty());
        let is_long = described.is_some_and(|id| id > 14 || descriptor.len() > VALUE_BYTES)
            || map.has_long_ids() && self.has_long_id(map);
        let head = out.len();
        out.u16(if is_long { TWO_BYTE } else { ONE_BYTE })?;
        out.u16(0)?;
        let start = out.len();
        let mut elements = ElementWriter { map, is_long, out };
        self.write_elements(&mut elements)?;
        elements.put(Extension::DependencyDescriptor, descriptor)?;
        let len = out.len() - start;
        if len == 0 {
            out.truncate(head);
            return Some(false);
        }
        out.put([0; 3].get(..len.wrapping_neg() % 4)?)?;
        let words = u16::try_from(len.div_ceil(4)).ok()?;
        out.set(head + 2, &words.to_be_bytes())?;
        Some(true)
    }

    /// In the order of [`Extension::ALL`]. Straight on and not in a loop over them: this is a large
    /// part of what forwarding a packet takes.
    #[inline]
    fn write_elements(&self, out: &mut ElementWriter<'_, '_>) -> Option<()> {
        if let Some(mid) = &self.mid {
            out.put(Extension::Mid, mid.as_str().as_bytes())?;
        }
        if let Some(rid) = &self.rid {
            out.put(Extension::Rid, rid.as_str().as_bytes())?;
        }
        if let Some(rid) = &self.repaired_rid {
            out.put(Extension::RepairedRid, rid.as_str().as_bytes())?;
        }
        if let Some((level, voice)) = self.audio_level {
            let voice = if voice { 0x80 } else { 0 };
            out.put(Extension::AudioLevel, &[(level.0 & 0x7F) | voice])?;
        }
        if let Some(time) = self.abs_send_time {
            let [_, a, b, c] = time.to_be_bytes();
            out.put(Extension::AbsSendTime, &[a, b, c])?;
        }
        if let Some(sequence) = self.transport_sequence {
            out.put(Extension::TransportWideCc, &sequence.to_be_bytes())?;
        }
        if let Some(orientation) = self.orientation {
            out.put(Extension::VideoOrientation, &[orientation])?;
        }
        if let Some(delay) = &self.playout_delay {
            out.put(Extension::PlayoutDelay, delay)?;
        }
        if let Some(time) = self.abs_capture_time {
            let mut value = [0; VALUE_BYTES];
            let (ntp, offset) = value.split_at_mut(VALUE_BYTES / 2);
            ntp.copy_from_slice(&time.ntp.0.to_be_bytes());
            offset.copy_from_slice(&time.offset.unwrap_or(0).to_be_bytes());
            let len = if time.offset.is_some() { 16 } else { 8 };
            out.put(Extension::AbsCaptureTime, value.get(..len)?)?;
        }
        Some(())
    }

    /// Whether anything of it has an id that the one-byte form does not take.
    fn has_long_id(&self, map: &ExtensionMap) -> bool {
        let is_long = |extension: &Extension| map.id(*extension) > Some(14);
        let mut long = Extension::ALL.into_iter().filter(is_long);
        long.any(|extension| match extension {
            Extension::Mid => self.mid.is_some(),
            Extension::Rid => self.rid.is_some(),
            Extension::RepairedRid => self.repaired_rid.is_some(),
            Extension::AudioLevel => self.audio_level.is_some(),
            Extension::AbsSendTime => self.abs_send_time.is_some(),
            Extension::TransportWideCc => self.transport_sequence.is_some(),
            Extension::VideoOrientation => self.orientation.is_some(),
            Extension::PlayoutDelay => self.playout_delay.is_some(),
            Extension::AbsCaptureTime => self.abs_capture_time.is_some(),
            Extension::DependencyDescriptor => false,
        })
    }
}

/// Writes the elements of an extension block.
struct ElementWriter<'m, 'o> {
    map: &'m ExtensionMap,
    is_long: bool,
    out: &'m mut Writer<'o>,
}

impl ElementWriter<'_, '_> {
    /// Nothing where `extension` has no id or no value.
    #[inline]
    fn put(&mut self, extension: Extension, value: &[u8]) -> Option<()> {
        let Some(id) = self.map.id(extension).filter(|_| !value.is_empty()) else {
            return Some(());
        };
        let len = u8::try_from(value.len()).ok()?;
        if self.is_long {
            self.out.put(&[id, len])?;
        } else {
            self.out.u8((id << 4) | ((len - 1) & 0x0F))?;
        }
        self.out.put(value)
    }
}

/// The dependency descriptor of `packet`; empty where it has none.
#[must_use]
pub fn descriptor<'a>(packet: &RtpPacket<'a>, map: &ExtensionMap) -> &'a [u8] {
    let Some(id) = map.id(Extension::DependencyDescriptor) else {
        return &[];
    };
    let mut elements = packet.extensions();
    let found = elements.find(|&(other, _)| other == id);
    found.map_or(&[], |(_, bytes)| bytes)
}

/// Profile of the one-byte form (RFC 8285 §4.2).
pub(crate) const ONE_BYTE: u16 = 0xBEDE;
/// Profile of the two-byte form; its low four bits are the application's (RFC 8285 §4.3).
pub(crate) const TWO_BYTE: u16 = 0x1000;

/// The NTP time as 6.18 fixed-point seconds, 24 bits that wrap every 64 s.
#[must_use]
pub fn abs_send_time(now: NtpTime) -> u32 {
    u32::try_from((now.0 >> 14) & 0x00FF_FFFF).unwrap_or_default()
}

/// RFC 8852 §3 and RFC 9143 §15: UTF-8 without a terminator; some senders pad with zeros.
fn text(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|&byte| byte == 0);
    std::str::from_utf8(bytes.get(..end.unwrap_or(bytes.len()))?).ok()
}

fn capture_time(bytes: &[u8]) -> Option<AbsCaptureTime> {
    let mut reader = Reader::new(bytes);
    Some(AbsCaptureTime {
        ntp: NtpTime(reader.u64().ok()?),
        offset: reader.u64().ok().map(u64::cast_signed),
    })
}

/// The elements of an extension block, one- or two-byte form; nothing for other profiles.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a> {
    profile: u16,
    bytes: Reader<'a>,
}

impl<'a> Elements<'a> {
    pub(crate) const fn new(profile: u16, block: &'a [u8]) -> Self {
        Self {
            profile,
            bytes: Reader::new(block),
        }
    }

    fn one_byte(&mut self) -> Option<(u8, &'a [u8])> {
        loop {
            let head = self.bytes.u8().ok()?;
            match (head >> 4, head & 0x0F) {
                (0, 0) => {}
                // RFC 8285 §4.2: id 0 with a length, and id 15, end the block.
                (0 | 15, _) => return None,
                (id, len) => return Some((id, self.bytes.take(usize::from(len) + 1).ok()?)),
            }
        }
    }

    fn two_byte(&mut self) -> Option<(u8, &'a [u8])> {
        loop {
            let id = self.bytes.u8().ok()?;
            if id != 0 {
                let len = self.bytes.u8().ok()?;
                return Some((id, self.bytes.take(usize::from(len)).ok()?));
            }
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let element = match self.profile {
            ONE_BYTE => self.one_byte(),
            profile if profile & 0xFFF0 == TWO_BYTE => self.two_byte(),
            _ => None,
        };
        if element.is_none() {
            self.bytes = Reader::new(&[]);
        }
        element
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(profile: u16, block: &[u8], expected: &[(u8, &[u8])]) {
        let got: Vec<(u8, &[u8])> = Elements::new(profile, block).collect();
        assert_eq!(got, expected, "{profile:04x} {block:02x?}");
    }

    #[test]
    fn elements_are_split_as_rfc_8285_says() {
        check(ONE_BYTE, &[0x10, 0xAA, 0, 0], &[(1, &[0xAA])]);
        // RFC 8285 §4.2, the figure: two elements with padding between.
        check(
            ONE_BYTE,
            &[0x10, 1, 0x21, 2, 3, 0, 0, 0x33, 4, 5, 6, 7],
            &[(1, &[1]), (2, &[2, 3]), (3, &[4, 5, 6, 7])],
        );
        check(ONE_BYTE, &[0x10, 1, 0xF0, 9, 0x20, 2, 0, 0], &[(1, &[1])]);
        check(ONE_BYTE, &[0x10, 1, 0x01, 9, 0x20, 2, 0, 0], &[(1, &[1])]);
        check(ONE_BYTE, &[0x10, 1, 0x23, 9], &[(1, &[1])]);
        check(
            0x1000,
            &[1, 0, 2, 1, 9, 0, 3, 2, 7, 8, 0, 0],
            &[(1, &[]), (2, &[9]), (3, &[7, 8])],
        );
        check(0x100F, &[200, 1, 9, 0], &[(200, &[9])]);
        check(0x1000, &[1, 9, 0, 0], &[]);
        check(0x1234, &[0x10, 0xAA, 0, 0], &[]);
    }

    #[test]
    fn an_id_has_one_meaning() {
        let mut map = ExtensionMap::default();
        map.set(Extension::Mid, 4);
        map.set(Extension::Rid, 4);
        assert_eq!(map.id(Extension::Mid), None);
        assert_eq!(map.extension(4), Some(Extension::Rid));
        assert_eq!(map.extension(0), None);
        map.set(Extension::Rid, 0);
        assert_eq!(map, ExtensionMap::default());
    }

    #[test]
    fn every_uri_leads_back_to_its_extension() {
        for extension in Extension::ALL {
            assert_eq!(Extension::from_uri(extension.uri()), Some(extension));
        }
        assert_eq!(
            Extension::from_uri("urn:ietf:params:rtp-hdrext:toffset"),
            None
        );
    }

    #[test]
    fn abs_send_time_is_six_bits_of_seconds_and_eighteen_of_fraction() {
        assert_eq!(abs_send_time(NtpTime(0x0000_0001_8000_0000)), 0x06_0000);
        assert_eq!(abs_send_time(NtpTime(0xFFFF_FFC1_0000_4000)), 0x04_0001);
    }
}

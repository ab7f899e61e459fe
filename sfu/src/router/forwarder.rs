//! What is changed in a packet on its way through a section: timestamp, and VP8 and VP9 picture
//! numbers, so that a decoder sees one unbroken stream across switches and re-bindings.
//!
//! Both are changed by an offset that is fixed when the first packet of a binding departs; a late
//! packet of the same binding gets the same offset and so lands in its place.
//!
//! Between two encodings of one publisher its sender reports tell how far apart two pictures were
//! taken; before they have come, and between publishers, when they arrived stands for it.

use crate::id::EncodingKey;
use crate::time::{Duration, Instant};
use crate::units::MediaKind;
use crate::wire::payload::{Codec, vp8, vp9};

use super::encoding::ticks;

/// A new picture lies at least this far behind the last one.
const STEP_MIN: Duration = Duration::from_millis(1);
/// Reports that differ more from what is seen are not believed.
const REPORTS_OFF: Duration = Duration::from_secs(1);

/// Picture numbers in a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pictures {
    picture: Option<u16>,
    base_layer: Option<u8>,
}

/// What to add to a binding's picture numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PictureOffsets {
    picture: u16,
    base_layer: u8,
}

/// The newest of what a section has sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timeline {
    /// Timestamp as sent, and the arrival of that packet.
    newest: Option<(u32, Instant)>,
    /// The same packet as it came.
    shown: Option<(EncodingKey, u32)>,
    pictures: Pictures,
}

impl Timeline {
    /// The newest timestamp sent.
    pub(super) fn timestamp(&self) -> Option<u32> {
        self.newest.map(|(timestamp, _)| timestamp)
    }

    /// Encoding and timestamp of the newest packet sent, as it came.
    pub(super) const fn shown(&self) -> Option<(EncodingKey, u32)> {
        self.shown
    }

    /// The offset that puts `timestamp` behind what was sent by the time that has passed since, by
    /// the publisher's reports where they are `told`; `first` is where a section's very first packet
    /// stands.
    pub(super) fn timestamp_offset(
        &self,
        timestamp: u32,
        arrived_at: Instant,
        (clock_rate, told): (u32, Option<i64>),
        first: u32,
    ) -> u32 {
        let out = self.newest.map_or(first, |(newest, newest_at)| {
            let seen = arrived_at.since(newest_at);
            // Back in time is nothing a report may say.
            let told = told.and_then(|micros| u64::try_from(micros).ok());
            let told = told.map(Duration::from_micros);
            let told = told.filter(|told| told.abs_diff(seen) <= REPORTS_OFF);
            let passed = told.unwrap_or(seen).max(STEP_MIN);
            newest.wrapping_add(ticks(passed, clock_rate))
        });
        out.wrapping_sub(timestamp)
    }

    /// The offsets that put the pictures of `payload` behind those that were sent.
    pub(super) fn picture_offsets(&self, codec: Codec, payload: &[u8]) -> PictureOffsets {
        let found = pictures(codec, payload);
        let picture = |last: u16, now: u16| last.wrapping_add(1).wrapping_sub(now);
        let layer = |last: u8, now: u8| last.wrapping_add(1).wrapping_sub(now);
        PictureOffsets {
            picture: zip(self.pictures.picture, found.picture).map_or(0, |(a, b)| picture(a, b)),
            base_layer: zip(self.pictures.base_layer, found.base_layer)
                .map_or(0, |(a, b)| layer(a, b)),
        }
    }

    /// A packet newer than all before departs with this timestamp; `payload` as it is sent.
    pub(super) fn sent(
        &mut self,
        timestamp: u32,
        (shown, arrived_at): ((EncodingKey, u32), Instant),
        codec: Codec,
        payload: &[u8],
    ) {
        let before = self.newest.zip(self.shown);
        let is_known = before.is_some_and(|((of, _), (key, _))| of == timestamp && key == shown.0);
        self.newest = Some((timestamp, arrived_at));
        self.shown = Some(shown);
        // Packets of one picture tell the same of it (RFC 7741 §4.2, RFC 9628 §4.2), and RFC 3550 §5.1
        // has no two pictures with one timestamp.
        if is_known {
            return;
        }
        if codec.kind() == MediaKind::Video {
            let found = pictures(codec, payload);
            self.pictures.picture = found.picture.or(self.pictures.picture);
            self.pictures.base_layer = found.base_layer.or(self.pictures.base_layer);
        }
    }

    /// Another packet of the newest picture departs.
    pub(super) fn also_sent(&mut self, arrived_at: Instant) {
        if let Some((_, newest_at)) = self.newest.as_mut() {
            *newest_at = arrived_at;
        }
    }
}

impl PictureOffsets {
    /// Whether payloads stay as they came.
    pub(super) fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Where so many VP8 pictures were left out.
    pub(super) const fn less(self, dropped: u16) -> Self {
        Self {
            picture: self.picture.wrapping_sub(dropped),
            ..self
        }
    }

    /// Changes the picture numbers of a payload in place.
    pub(super) fn apply(self, codec: Codec, payload: &mut [u8]) {
        if self.is_none() {
            return;
        }
        let found = pictures(codec, payload);
        let picture = found.picture.map(|id| id.wrapping_add(self.picture));
        let base_layer = found.base_layer.map(|id| id.wrapping_add(self.base_layer));
        match codec {
            Codec::Vp8 => vp8::rewrite(payload, picture, base_layer),
            Codec::Vp9 => vp9::rewrite(payload, picture, base_layer),
            Codec::Opus
            | Codec::Red
            | Codec::Pcmu
            | Codec::Pcma
            | Codec::H264
            | Codec::H265
            | Codec::Av1 => false,
        };
    }
}

/// The picture numbers that a payload carries.
fn pictures(codec: Codec, payload: &[u8]) -> Pictures {
    let found = match codec {
        Codec::Vp8 => vp8::Descriptor::parse(payload)
            .ok()
            .map(|descriptor| (descriptor.picture_id, descriptor.tl0_index)),
        Codec::Vp9 => vp9::Descriptor::parse(payload)
            .ok()
            .map(|descriptor| (descriptor.picture_id, descriptor.tl0_index)),
        Codec::Opus
        | Codec::Red
        | Codec::Pcmu
        | Codec::Pcma
        | Codec::H264
        | Codec::H265
        | Codec::Av1 => None,
    };
    found.map_or_else(Pictures::default, |(picture, base_layer)| Pictures {
        picture: picture.map(|id| id.value),
        base_layer,
    })
}

fn zip<T>(a: Option<T>, b: Option<T>) -> Option<(T, T)> {
    Some((a?, b?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// VP8 with a picture number of 15 bits (RFC 7741 §4.2).
    fn vp8(picture: u8) -> [u8; 5] {
        [0x90, 0x80, 0x80, picture, 0]
    }

    fn sent(timeline: &mut Timeline, encoding: usize, timestamp: u32, picture: u8) {
        let key = EncodingKey::from_index(encoding);
        let shown = ((key, timestamp), Instant::ZERO);
        timeline.sent(timestamp, shown, Codec::Vp8, &vp8(picture));
    }

    #[test]
    fn a_picture_tells_its_number_once_and_each_one_its_own() {
        let mut timeline = Timeline::default();
        let follows = |timeline: &Timeline| {
            let offsets = timeline.picture_offsets(Codec::Vp8, &vp8(0));
            offsets.picture
        };
        sent(&mut timeline, 0, 3_000, 7);
        assert_eq!(follows(&timeline), 8);
        sent(&mut timeline, 0, 3_000, 7);
        assert_eq!(follows(&timeline), 8, "of the same picture");
        sent(&mut timeline, 0, 6_000, 8);
        assert_eq!(follows(&timeline), 9);
        sent(&mut timeline, 1, 6_000, 20);
        assert_eq!(follows(&timeline), 21, "of another encoding at that time");
    }
}

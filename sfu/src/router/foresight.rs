//! What is about to be sent, as far as it can be known before: how much sound, how large a key
//! frame, and which rung of a picture is the lowest while none of them is measured yet.

use super::Router;
use super::rungs::Target;
use crate::id::{EncodingKey, MemberKey, TrackKey};
use crate::router::encoding::Origin;
use crate::router::layers::EVERYTHING;
use crate::router::rungs::STEP_MILLIS;
use crate::time::{Duration, Instant};
use crate::units::{Bitrate, MediaKind};

/// What a packet of sound costs beside its payload, on the wire.
const SOUND_HEADERS: u64 = 64;
/// Bytes of sound that somebody who speaks makes in 20 ms, at least: below it is silence.
const SPOKEN: u64 = 20;

/// What has come within this goes on, or did until a moment ago: of what stopped sooner than it could
/// be measured nothing more is to be expected.
const LATELY: Duration = Duration::from_secs(2);

/// The bytes of the newest key frame of an encoding.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyframeSize {
    /// Of the one before the newest.
    known: u64,
    /// Of the newest, as far as it has come.
    newest: u64,
}

impl KeyframeSize {
    /// A packet of a key frame came; `begins`: the first of it.
    pub(super) const fn count(&mut self, bytes: u64, begins: bool) {
        if begins {
            (self.known, self.newest) = (self.newest, 0);
        }
        self.newest = self.newest.saturating_add(bytes);
    }

    fn bytes(self) -> u64 {
        self.known.max(self.newest)
    }
}

impl Router {
    /// What the sound that a member is sent costs on the wire, by what its sources make now; none
    /// of it need have been sent yet.
    #[must_use]
    pub fn foreseen_sound(&self, member: MemberKey) -> Bitrate {
        let sections = self.member(member).map(|found| found.sections.as_slice());
        let frames = STEP_MILLIS / 20;
        let bytes = sections.unwrap_or_default().iter().filter_map(|key| {
            let section = self.sections.get(key.index())?;
            let is_sound = section.plan.kind == MediaKind::Audio && section.is_open();
            let track = self.track(section.track().filter(|_| is_sound)?)?;
            let encoding = self.encodings.get(track.encodings.first()?.index())?;
            let payloads = encoding.flow.rate();
            let is_spoken = payloads >= frames * SPOKEN;
            let packets = if is_spoken { frames } else { 1 };
            Some(payloads.saturating_add(packets * SOUND_HEADERS))
        });
        let bytes: u64 = bytes.sum();
        Bitrate::from_bps(bytes.saturating_mul(8_000) / STEP_MILLIS)
    }

    /// A picture of which an encoding has just come for the first time.
    pub fn poll_begun(&mut self) -> Option<TrackKey> {
        self.begun.pop()
    }

    /// Whether anything of a track has come lately, however little.
    #[must_use]
    pub fn has_come(&self, now: Instant, track: TrackKey) -> bool {
        let encodings = self.track(track).map(|track| track.encodings.as_slice());
        encodings.unwrap_or_default().iter().any(|key| {
            let newest = self.encodings.get(key.index()).and_then(|it| it.newest);
            newest.is_some_and(|(_, at)| now.since(at) < LATELY)
        })
    }

    /// Bytes of a key frame of an encoding; zero: none has come yet.
    #[must_use]
    pub fn keyframe_bytes(&self, encoding: EncodingKey) -> u64 {
        let found = self.encodings.get(encoding.index());
        found.map_or(0, |found| found.keyframe_size.bytes())
    }

    /// The lowest of a picture's encodings that have come, while nothing of it is measured: by height,
    /// which key frames tell, or else by their order in the description. None where there is nothing
    /// to choose from.
    #[must_use]
    pub fn lowest_unmeasured(&self, track: TrackKey) -> Option<Target> {
        let track = self.track(track)?;
        if track.encodings.len() < 2 {
            return None;
        }
        let rank = |key: &EncodingKey| {
            let found = self.encodings.get(key.index());
            let place = found.and_then(|found| {
                let mut rids = track.plan.rids.iter();
                rids.position(|rid| found.origin == Origin::Rid(*rid))
            });
            (found.map_or(0, |found| found.rates.tallest()), place)
        };
        let has_come = |key: &&EncodingKey| {
            let found = self.encodings.get(key.index());
            found.is_some_and(|found| found.newest.is_some())
        };
        let encoding = *track
            .encodings
            .iter()
            .filter(has_come)
            .min_by_key(|key| rank(key))?;
        Some(Target {
            encoding,
            layer: EVERYTHING,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_frame_is_as_large_as_the_last_whole_one_or_larger() {
        let mut size = KeyframeSize::default();
        assert_eq!(size.bytes(), 0);
        size.count(1_000, true);
        size.count(500, false);
        assert_eq!(size.bytes(), 1_500);
        size.count(1_000, true);
        assert_eq!(size.bytes(), 1_500, "it is not whole yet");
        size.count(1_000, false);
        assert_eq!(size.bytes(), 2_000);
    }
}

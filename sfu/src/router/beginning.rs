//! An encoding begins: for the first time, or in the place of another stream of its track.

use crate::error::DropReason;
use crate::id::{EncodingKey, MemberKey, TrackKey};
use crate::limits::ENCODINGS_PER_TRACK;
use crate::router::encoding::{Encoding, Origin};
use crate::router::history::PagePool;
use crate::router::track::Track;
use crate::router::{Router, member_mut};
use crate::time::Instant;
use crate::units::MediaKind;

impl Router {
    /// A stream begins, wherever its packets come from: a new encoding, or one that another stream had.
    pub(super) fn begin_encoding(
        &mut self,
        now: Instant,
        (track_key, member): (TrackKey, MemberKey),
        (origin, ssrc): (Origin, u32),
        pages: &mut PagePool,
    ) -> Result<EncodingKey, DropReason> {
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1);
        let track = self.track(track_key).ok_or(DropReason::UnknownTrack)?;
        let same = match origin {
            // A declared stream takes the place of one that is declared no more.
            Origin::Declared => self.encoding_undeclared(track),
            Origin::Rid(_) | Origin::Only => self.encoding_of(track, origin),
        };
        let kind = track.kind();
        let full = track.encodings.len() >= ENCODINGS_PER_TRACK;
        let key = if let Some(key) = same {
            self.clear_encoding(key, pages);
            if let Some(publisher) = member_mut(&mut self.members, member) {
                publisher.forget_sources(key, |ssrc| self.forgotten.push((member, ssrc)));
            }
            if let Some(encoding) = self.encodings.get_mut(key.index()) {
                encoding.restart(ssrc, serial);
            }
            key
        } else if full {
            return Err(DropReason::LimitReached);
        } else {
            let encoding = Encoding::new((track_key, member), kind, origin, ssrc, serial);
            let key = EncodingKey::from_index(self.encodings.insert(encoding));
            let track = self.tracks.get_mut(track_key.index());
            let track = track.ok_or(DropReason::UnknownTrack)?;
            track.encodings.push(key);
            track.best = track.best.or(Some(key));
            if kind == MediaKind::Video {
                self.flows_due = self.flows_due.or(Some(now));
                if !self.begun.contains(&track_key) {
                    self.begun.push(track_key);
                }
            }
            key
        };
        self.tell_ports_started(now, key);
        let shown = self
            .track(track_key)
            .is_some_and(|track| !track.sections.is_empty());
        if shown {
            self.want_keyframe(now, key);
        }
        Ok(key)
    }

    pub(super) fn encoding_of(&self, track: &Track, origin: Origin) -> Option<EncodingKey> {
        let is_it = |key: &&EncodingKey| {
            let encoding = self.encodings.get(key.index());
            encoding.is_some_and(|encoding| encoding.origin == origin)
        };
        track.encodings.iter().find(is_it).copied()
    }

    fn encoding_undeclared(&self, track: &Track) -> Option<EncodingKey> {
        let declared = |ssrc: u32| track.plan.ssrcs.iter().any(|&(main, _)| main == ssrc);
        let is_it = |key: &&EncodingKey| {
            let encoding = self.encodings.get(key.index());
            encoding.is_some_and(|e| e.origin == Origin::Declared && !declared(e.ssrc))
        };
        track.encodings.iter().find(is_it).copied()
    }
}

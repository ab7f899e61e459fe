//! What a decoder makes of one outgoing stream: packets in the order of their numbers, frames of
//! layers put together, each decoded when all it leans on was.
//!
//! What is missing is waited for, but not for ever; then, or when a whole key frame lies beyond, it
//! goes on without. A frame that leans on one that was not decoded is not decoded either; where it is
//! of the base layer, only a key frame helps.

use std::collections::{BTreeMap, BTreeSet};

use sfu::time::{Duration, Instant};

use super::{Received, Source};
use crate::media::Stamp;

/// Where nothing can be begun for so long a key frame is asked for.
const KEYFRAME_AFTER: Duration = Duration::from_millis(300);
/// At most one key frame request in this time.
const KEYFRAME_REQUEST_INTERVAL: Duration = Duration::from_millis(500);
/// Packets that may wait behind a gap.
const WAITING_MAX: usize = 4_096;
/// Frames back that something may lean on.
const MEMORY: u32 = 64;

/// A frame of a layer: its encoding, number and spatial layer.
type Frame = (u8, u32, u8);
/// Frames of one time: their encoding and number.
type Picture = (u8, u32);

/// One outgoing stream of pictures.
#[derive(Debug, Default)]
pub(super) struct Playout {
    /// A gap this old is not worth waiting for.
    patience: Duration,
    source: Option<Source>,
    /// By number; nothing where it carried nothing.
    waiting: BTreeMap<u64, Option<Stamp>>,
    /// The number that comes next; none: a key frame is waited for.
    next: Option<u64>,
    hole_since: Option<Instant>,
    /// The newest packet of a frame that is being put together.
    gathered: Option<Stamp>,
    decoded: BTreeSet<Frame>,
    /// The newest picture of which a frame became whole, and the newest of which one was decoded: by
    /// encoding and number. Its lowest layer need not be among them.
    whole: Option<Picture>,
    pictured: Option<Picture>,
    /// Since when only a key frame helps.
    broken_since: Option<Instant>,
    requested_at: Option<Instant>,
}

impl Playout {
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            patience,
            ..Self::default()
        }
    }

    /// Whose pictures it shows.
    pub(super) const fn source(&self) -> Option<Source> {
        self.source
    }

    /// A packet arrived; without a stamp it carried nothing.
    pub(super) fn take(
        &mut self,
        now: Instant,
        sequence: u64,
        stamp: Option<Stamp>,
        received: &mut Received,
    ) {
        if self.next.is_some_and(|next| sequence < next) {
            return;
        }
        self.waiting.insert(sequence, stamp);
        while self.waiting.len() > WAITING_MAX {
            self.waiting.pop_first();
        }
        if stamp.is_some_and(|stamp| stamp.keyframe) || self.next.is_none() {
            self.leap();
        }
        self.go_on(now, received);
    }

    /// Whether a key frame is to be asked for now; if so it counts as asked.
    pub(super) fn take_keyframe_wanted(&mut self, now: Instant) -> bool {
        let asked = |at: Instant| now.since(at) < KEYFRAME_REQUEST_INTERVAL;
        let wants = self.broken_since.is_some_and(|since| since <= now)
            && !self.requested_at.is_some_and(asked);
        if wants {
            self.requested_at = Some(now);
        }
        wants
    }

    /// To the next whole key frame, where there is one.
    fn leap(&mut self) {
        let starts = self
            .waiting
            .iter()
            .filter_map(|(number, stamp)| Some((*number, stamp.filter(Stamp::starts)?)));
        let whole = |start: u64, first: &Stamp| {
            let last = start + u64::from(first.packets).saturating_sub(1);
            let there = self.waiting.range(start..=last);
            let ours =
                there.filter(|(_, stamp)| stamp.is_some_and(|it| frame(&it) == frame(first)));
            ours.count() == usize::from(first.packets)
        };
        let found = starts
            .filter(|(number, first)| whole(*number, first))
            .map(|(number, _)| number)
            .next();
        if let Some(number) = found {
            self.waiting = self.waiting.split_off(&number);
            self.next = Some(number);
            self.hole_since = None;
            self.gathered = None;
        }
    }

    fn go_on(&mut self, now: Instant, received: &mut Received) {
        while let Some((&number, _)) = self.waiting.first_key_value() {
            let Some(next) = self.next else {
                // It may come yet: after a while it is asked for.
                self.broken_since.get_or_insert(now + KEYFRAME_AFTER);
                return;
            };
            if number > next {
                let since = *self.hole_since.get_or_insert(now);
                if now.since(since) < self.patience {
                    return;
                }
                self.gathered = None;
            }
            self.hole_since = None;
            self.next = Some(number + 1);
            if let Some((_, Some(stamp))) = self.waiting.pop_first() {
                self.gather(now, &stamp, received);
            }
        }
    }

    fn gather(&mut self, now: Instant, stamp: &Stamp, received: &mut Received) {
        let source = (stamp.sender, stamp.track);
        if self.source.replace(source) != Some(source) {
            self.decoded.clear();
            self.gathered = None;
            (self.whole, self.pictured) = (None, None);
        }
        let follows = self.gathered.is_some_and(|before| {
            frame(&before) == frame(stamp) && before.packet + 1 == stamp.packet
        });
        self.gathered = (follows || stamp.packet == 0).then_some(*stamp);
        if self.gathered.is_some() && stamp.ends() {
            self.gathered = None;
            self.decode(now, stamp, received);
        }
    }

    /// A frame is whole.
    fn decode(&mut self, now: Instant, stamp: &Stamp, received: &mut Received) {
        let (unit, layer) = (stamp.unit, stamp.unit.layer);
        let picture = (unit.encoding, stamp.frame);
        received.frames += u64::from(self.whole.replace(picture) != Some(picture));
        let is_start = stamp.keyframe && layer.spatial == 0;
        if !is_start && !self.has_all(stamp) {
            received.useless += 1;
            if layer.temporal == 0 {
                self.broken_since.get_or_insert(now);
            }
            return;
        }
        if is_start {
            self.decoded.clear();
            self.broken_since = None;
        }
        self.decoded
            .insert((unit.encoding, stamp.frame, layer.spatial));
        let oldest = stamp.frame.saturating_sub(MEMORY);
        self.decoded.retain(|(_, frame, _)| *frame >= oldest);
        if self.pictured.replace(picture) != Some(picture) {
            received.decode(now, stamp.keyframe);
        }
        received.show(now, (unit.encoding, layer), stamp.frame);
    }

    fn has_all(&self, stamp: &Stamp) -> bool {
        leans(stamp).all(|frame| self.decoded.contains(&frame))
    }
}

/// The frames that one leans on.
pub fn leans(stamp: &Stamp) -> impl Iterator<Item = Frame> + use<> {
    let (unit, number) = (stamp.unit, stamp.frame);
    let before = unit.leans.into_iter().filter(|lean| *lean > 0);
    let before = before.map(move |lean| {
        let number = number.wrapping_sub(u32::from(lean));
        (unit.encoding, number, unit.layer.spatial)
    });
    let below = unit
        .layer
        .spatial
        .checked_sub(1)
        .filter(|_| unit.leans_below);
    before.chain(below.map(|below| (unit.encoding, number, below)))
}

const fn frame(stamp: &Stamp) -> (u32, u8, Frame) {
    let unit = &stamp.unit;
    let frame = (unit.encoding, stamp.frame, unit.layer.spatial);
    (stamp.sender, stamp.track, frame)
}

//! Which layers of the encoding a section shows pass through it: temporal and spatial layers that
//! the payload descriptors of VP8 (RFC 7741) and VP9 (RFC 9628) tell, or the dependency descriptors
//! of AV1, H264 and VP9 (see `decode_target`).
//!
//! What passes is decided once, picture by picture, where the first packet of a picture is offered;
//! every later packet of it, be it late or asked for again, is told the same. Fewer pictures a
//! second: at once. More: at a picture that leans on nothing which was left out. A smaller picture:
//! at once, since the lower layers of what passes have passed all along. A larger one: at a key
//! frame.
//!
//! VP8 pictures are counted without gaps, or a receiver takes what was left out for lost; those of
//! VP9 keep their numbers, which tell what leans on what.

use std::cmp::Ordering;
use std::collections::VecDeque;

use crate::limits::DECIDED_PICTURES;
use crate::router::decode_target::{
    DecodeTargetSelector, FrameChange, FramePacket, FramePassage, Frames,
};
use crate::router::history::Entry;
use crate::router::patience::Wait;
use crate::units::Layer;
use crate::wire::payload::{Codec, LayerSwitch, PayloadFacts};

/// All there is.
pub(super) const EVERYTHING: Layer = Layer {
    spatial: u8::MAX,
    temporal: u8::MAX,
};

/// Who tells of a packet's layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Layering {
    /// Nobody: all of it passes.
    #[default]
    None,
    /// Its VP8 payload descriptor.
    Vp8,
    /// Its VP9 payload descriptor.
    Vp9,
    /// Its dependency descriptor.
    Descriptor,
}

impl Layering {
    /// By what a packet is coded in.
    pub(super) const fn of(codec: Codec) -> Self {
        match codec {
            Codec::Vp8 => Self::Vp8,
            Codec::Vp9 => Self::Vp9,
            Codec::Opus
            | Codec::Red
            | Codec::Pcmu
            | Codec::Pcma
            | Codec::H264
            | Codec::H265
            | Codec::Av1 => Self::None,
        }
    }
}

/// What was decided of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) passes: bool,
    /// It is the last of its picture now, if not before.
    pub(super) ends_picture: bool,
    /// So many pictures before it were left out of the count.
    pub(super) dropped: u16,
    /// What its dependency descriptor tells instead.
    pub(super) change: FrameChange,
}

impl Verdict {
    const PASSES: Self = Self {
        passes: true,
        ends_picture: false,
        dropped: 0,
        change: FrameChange {
            offset: 0,
            active_decode_targets: None,
        },
    };
}

impl Verdict {
    const fn of(passage: FramePassage, entry: &Entry) -> Self {
        Self {
            passes: passage.passes,
            ends_picture: passage.is_highest && entry.frame.ends,
            dropped: 0,
            change: passage.change,
        }
    }
}

/// What becomes of a packet that is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// It is sent.
    Passes,
    /// It is not.
    Stays,
    /// It is not, but it comes late: a place may have been kept for it, which is filled.
    Fills,
}

/// One picture.
#[derive(Clone, Copy, Debug)]
struct Decided {
    binding: u16,
    timestamp: u32,
    limit: Layer,
    /// It was left out whole.
    is_left_out: bool,
    /// Pictures left out before it.
    dropped: u16,
}

/// How few of what passes is enough until a key frame leads down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Haste {
    None,
    /// What passes is too much for the path, and the key frame of what takes its place is waited
    /// for: as few pictures a second as there are.
    Left,
    /// That of a lower layer of the same encoding has not come in time: the same.
    Weary,
}

/// What passes of one encoding.
#[derive(Debug)]
pub(super) struct Layers {
    wish: Layer,
    passing: Layer,
    haste: Haste,
    /// As few pictures a second as there are, for as long as a queue drains.
    is_thin: bool,
    /// From the next picture on as many a second pass as are wanted.
    is_open_above: bool,
    /// Of the present binding.
    dropped: u16,
    newest: u64,
    decided: VecDeque<Decided>,
    /// Where dependency descriptors tell.
    frames: DecodeTargetSelector,
    by_frames: bool,
}

impl Default for Layers {
    fn default() -> Self {
        Self {
            wish: EVERYTHING,
            passing: EVERYTHING,
            haste: Haste::None,
            is_thin: false,
            is_open_above: false,
            dropped: 0,
            newest: 0,
            decided: VecDeque::new(),
            frames: DecodeTargetSelector::default(),
            by_frames: false,
        }
    }
}

impl Layers {
    /// What should pass.
    pub(super) const fn wish(&self) -> Layer {
        self.wish
    }

    /// From now on this should pass.
    pub(super) const fn set_wish(&mut self, wish: Layer) {
        self.wish = wish;
    }

    /// Whether an encoding that costs less takes this one's place with its next key frame.
    pub(super) const fn leave(&mut self, is_left: bool) {
        self.haste = if is_left { Haste::Left } else { Haste::None };
    }

    /// As few pictures a second as there are pass, or all that are wished again.
    pub(super) const fn set_thin(&mut self, is_thin: bool) {
        self.is_thin = is_thin;
    }

    /// What should pass of the encoding that is shown.
    const fn present_wish(&self) -> Layer {
        let is_left = matches!(self.haste, Haste::Left);
        let size = if is_left { EVERYTHING } else { self.wish };
        if is_left || self.is_thin {
            Layer {
                temporal: 0,
                ..size
            }
        } else {
            size
        }
    }

    /// Only a key frame leads to what is wished.
    pub(super) const fn needs_keyframe(&self) -> bool {
        if self.by_frames {
            return self.frames.lacks_keyframe();
        }
        self.wish.spatial > self.passing.spatial
    }

    /// Which key frame within the encoding that passes is waited for.
    pub(super) fn wait(&self) -> Option<Wait> {
        let shown = self.shown().filter(|_| self.needs_keyframe())?;
        match self.wish.spatial.cmp(&shown.spatial) {
            Ordering::Greater => Some(Wait::Rise),
            Ordering::Less => Some(Wait::Fall),
            Ordering::Equal => None,
        }
    }

    /// The layer that passes.
    pub(super) fn shown(&self) -> Option<Layer> {
        if self.by_frames {
            return self.frames.layer();
        }
        Some(self.passing)
    }

    /// Only the base layer passes until a key frame, or no longer so.
    pub(super) const fn set_weary(&mut self, is_weary: bool) {
        match self.haste {
            Haste::Left => {}
            Haste::None | Haste::Weary if is_weary => self.haste = Haste::Weary,
            Haste::None | Haste::Weary => self.haste = Haste::None,
        }
    }

    /// What passes shows that a key frame is needed.
    pub(super) const fn lacks_keyframe(&self) -> bool {
        self.by_frames && self.frames.lacks_keyframe()
    }

    /// A packet of `binding` is offered; `begins`: the binding's first. Inputs up to `departed` have
    /// their numbers, or a place that is kept.
    pub(super) fn offer(
        &mut self,
        (binding, departed): (u16, u64),
        entry: &Entry,
        begins: bool,
        frames: &Frames,
    ) -> Offered {
        if begins {
            self.by_frames = entry.layering == Layering::Descriptor;
            self.haste = Haste::None;
            self.passing = self.wish;
            self.is_open_above = false;
            self.dropped = 0;
            self.newest = entry.sequence;
        }
        let is_late = entry.sequence < self.newest;
        self.newest = self.newest.max(entry.sequence);
        // An encoder may begin to describe its frames, or end, with any key frame.
        let is_described = entry.layering == Layering::Descriptor;
        let changes = entry.starts && !is_late && is_described != self.by_frames;
        if changes {
            self.by_frames = is_described;
        }
        match entry.layering {
            Layering::None => return Offered::Passes,
            Layering::Descriptor => {
                let packet = FramePacket {
                    sequence: entry.sequence,
                    timestamp: entry.timestamp,
                    frame: &entry.frame,
                    frames,
                };
                let wish = (self.present_wish(), self.haste == Haste::Weary);
                self.frames.offer(binding, packet, wish, begins || changes);
                return self.answer(binding, entry, is_late);
            }
            Layering::Vp8 | Layering::Vp9 => {}
        }
        if is_late && entry.layering == Layering::Vp8 && entry.sequence > departed {
            self.insert_picture(binding, entry);
        }
        let last = self.decided.back();
        let last = last.filter(|last| last.binding == binding);
        // In order by its number it is of the same picture or of the next, whatever clock that has.
        if !is_late && last.is_none_or(|last| entry.timestamp != last.timestamp) {
            self.begin_picture(binding, entry);
        }
        self.answer(binding, entry, is_late)
    }

    /// What [`continues`](Entry::continues) a packet that passes goes on to `sequence`, and passes.
    pub(super) const fn go_on(&mut self, sequence: u64) {
        if self.newest < sequence {
            self.newest = sequence;
        }
    }

    fn answer(&self, binding: u16, entry: &Entry, is_late: bool) -> Offered {
        match self.verdict(binding, entry) {
            Some(Verdict { passes: true, .. }) => Offered::Passes,
            Some(_) | None if is_late => Offered::Fills,
            Some(_) | None => Offered::Stays,
        }
    }

    /// What was decided of the picture of a packet.
    fn decided(&self, binding: u16, entry: &Entry) -> Option<&Decided> {
        let of_binding = |decided: &&Decided| decided.binding == binding;
        let is_before = |decided: &&Decided| !is_after(decided.timestamp, entry.timestamp);
        // Mostly it is of the newest picture.
        let newest = self.decided.back();
        if let Some(newest) = newest.filter(of_binding).filter(is_before) {
            return Some(newest);
        }
        // A picture of which nothing came in time is treated like the one before it.
        let mut known = self.decided.iter().filter(of_binding);
        let decided = known.clone().rev().find(is_before);
        decided.or_else(|| known.next())
    }

    /// What was decided of a packet; none where that is forgotten.
    pub(super) fn verdict(&self, binding: u16, entry: &Entry) -> Option<Verdict> {
        match entry.layering {
            Layering::None => return Some(Verdict::PASSES),
            Layering::Descriptor => {
                let passage = self.frames.passage(binding, entry.sequence, &entry.frame)?;
                return Some(Verdict::of(passage, entry));
            }
            Layering::Vp8 | Layering::Vp9 => {}
        }
        let decided = self.decided(binding, entry)?;
        let (layer, limit) = (entry.facts.layer, decided.limit);
        let after = u16::from(is_after(entry.timestamp, decided.timestamp) && decided.is_left_out);
        Some(Verdict {
            passes: is_within(layer, limit),
            ends_picture: entry.layering == Layering::Vp9
                && entry.facts.ends_frame == Some(true)
                && layer.spatial == limit.spatial,
            dropped: decided.dropped.wrapping_add(after),
            ..Verdict::default()
        })
    }

    /// A VP8 picture of which nothing came before newer ones, none of which has departed: where it is
    /// left out it has no number, and so they are counted without it.
    fn insert_picture(&mut self, binding: u16, entry: &Entry) {
        let is_of = |decided: &Decided| decided.binding == binding;
        let mut known = self.decided.iter();
        if known.any(|it| is_of(it) && it.timestamp == entry.timestamp) {
            return;
        }
        let mut known = self.decided.iter();
        let newer = known.position(|it| is_of(it) && is_after(it.timestamp, entry.timestamp));
        let is_full = self.decided.len() >= DECIDED_PICTURES;
        let Some(place) = newer.and_then(|it| it.checked_sub(usize::from(is_full))) else {
            return;
        };
        if is_full {
            self.decided.pop_front();
        }
        let before = place.checked_sub(1).and_then(|it| self.decided.get(it));
        let before = before.filter(|it| is_of(it)).copied();
        let Some(next) = self.decided.get(place).copied() else {
            return;
        };
        let limit = before.unwrap_or(next).limit;
        let is_left_out = entry.facts.layer.temporal > limit.temporal;
        for later in self.decided.iter_mut().skip(place) {
            later.dropped = later.dropped.wrapping_add(u16::from(is_left_out));
        }
        self.dropped = self.dropped.wrapping_add(u16::from(is_left_out));
        let inserted = Decided {
            timestamp: entry.timestamp,
            limit,
            is_left_out,
            ..next
        };
        self.decided.insert(place, inserted);
    }

    fn begin_picture(&mut self, binding: u16, entry: &Entry) {
        self.choose(entry.layering, &entry.facts);
        let layer = entry.facts.layer;
        let is_left_out = entry.layering == Layering::Vp8 && layer.temporal > self.passing.temporal;
        if self.decided.capacity() == 0 {
            self.decided.reserve_exact(DECIDED_PICTURES);
        }
        if self.decided.len() >= DECIDED_PICTURES {
            self.decided.pop_front();
        }
        self.decided.push_back(Decided {
            binding,
            timestamp: entry.timestamp,
            limit: self.passing,
            is_left_out,
            dropped: self.dropped,
        });
        self.dropped = self.dropped.wrapping_add(u16::from(is_left_out));
    }

    /// What passes from this picture on.
    fn choose(&mut self, layering: Layering, facts: &PayloadFacts) {
        let (wish, layer) = (self.present_wish(), facts.layer);
        if facts.keyframe {
            self.passing = wish;
            self.is_open_above = false;
            return;
        }
        let passing = &mut self.passing;
        passing.spatial = passing.spatial.min(wish.spatial);
        if std::mem::take(&mut self.is_open_above) {
            passing.temporal = passing.temporal.max(wish.temporal);
        }
        passing.temporal = passing.temporal.min(wish.temporal);
        if wish.temporal <= passing.temporal {
            return;
        }
        match (layering, facts.layer_switch) {
            // RFC 7741 §4.2, Y: it leans on the base layer only. Layer by layer: what leans on
            // this one and on its like has all it needs.
            (Layering::Vp8, LayerSwitch::Here) if layer.temporal == passing.temporal + 1 => {
                passing.temporal = layer.temporal;
            }
            // RFC 9628 §4.2, U: higher layers of later pictures lean on nothing above it that came
            // before.
            (Layering::Vp9, LayerSwitch::Above) if layer.temporal <= passing.temporal => {
                self.is_open_above = true;
            }
            (Layering::None | Layering::Vp8 | Layering::Vp9 | Layering::Descriptor, _) => {}
        }
    }
}

const fn is_within(layer: Layer, limit: Layer) -> bool {
    layer.spatial <= limit.spatial && layer.temporal <= limit.temporal
}

/// RFC 3550 §5.1: timestamps wrap.
const fn is_after(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 1 << 31
}

//! Which frames of a scalable encoding pass a section: those of one decode target, as the
//! Dependency Descriptor tells them (RTP payload format for AV1, version 1.0, appendix A).
//!
//! | file | what it is |
//! |---|---|
//! | `frame` | what packets say, read where they arrive |
//! | `window` | what became of the recent frames |
//!
//! The law: whatever passes refers only to what passes. What has not come yet may still come, by a
//! repair; where something that passes leans on it, it is *promised* to pass, whatever is wished by
//! then. So a loss upstream costs nobody a key frame.
//!
//! Another decode target begins at a key frame; where all of it has been passing, with the next
//! picture; and at a frame that says Switch (A.5) and refers to nothing that was left out. Where
//! layers lean on each other in key frames only, frames of lower layers are no part of a higher
//! target: they do not pass, and a switch of the spatial layer, up or down, needs a key frame. Until
//! it comes what passed goes on.
//!
//! A picture is not raised once its first frame was seen: what ended it lower has been told so. What
//! comes late passes by what was decided of its own picture, or else of the one before.

mod frame;
#[cfg(test)]
pub(super) mod tests;
mod window;

use std::num::NonZeroU32;

use crate::units::Layer;
use crate::wire::dependency_descriptor::{
    DependencyStructure, Indication, rewrite_active_decode_targets, rewrite_frame_number,
};
use crate::wire::sequence::SequenceUnwrapper;

pub use frame::{Frame, Frames, Told};
use window::{Fate, Passing, Record, Window};

/// A packet, as far as the choice depends on it.
#[derive(Clone, Copy, Debug)]
pub struct FramePacket<'a> {
    /// Its unwrapped RTP sequence number.
    pub sequence: u64,
    /// Frames of one timestamp are one picture.
    pub timestamp: u32,
    /// What it says.
    pub frame: &'a Frame,
    /// The reader of its encoding.
    pub frames: &'a Frames,
}

/// What the selector says of a packet. All packets of a frame get the same answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FramePassage {
    /// It passes.
    pub passes: bool,
    /// It belongs to the highest spatial layer of those that pass.
    pub is_highest: bool,
    /// What the receiver is told instead.
    pub change: FrameChange,
}

/// What a receiver is told otherwise than the publisher said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameChange {
    /// Is added to the frame number.
    pub offset: u16,
    /// The active decode targets; none: the packet says it well.
    pub active_decode_targets: Option<u32>,
}

impl FrameChange {
    /// Writes a descriptor as the receiver is told it; its length, 0 where there is none or it does
    /// not fit.
    #[must_use]
    pub fn write(self, value: &[u8], frame: &Frame, frames: &Frames, out: &mut [u8]) -> usize {
        let known = frame.told.and_then(|told| frames.structure_of(&told));
        let narrowed = self.active_decode_targets.zip(known);
        let narrowed = narrowed.and_then(|(active, known)| {
            rewrite_active_decode_targets(value, Some(known), active, out)
        });
        let len = match narrowed {
            Some(len) => len,
            // The structure it was read with is gone: it is told as it came.
            None => match out.get_mut(..value.len()) {
                Some(place) => {
                    place.copy_from_slice(value);
                    value.len()
                }
                None => 0,
            },
        };
        rewrite_frame_number(
            out.get_mut(..len).unwrap_or_default(),
            frame.number.wrapping_add(self.offset),
        );
        len
    }
}

/// Frames that are counted on from each other.
#[derive(Clone, Debug, Default)]
struct Stretch {
    binding: u16,
    /// The first RTP sequence number of it.
    start: u64,
    numbers: SequenceUnwrapper,
    /// What is added to frame numbers.
    offset: u16,
    window: Window,
}

/// Chooses the frames of one section.
#[derive(Clone, Debug, Default)]
pub struct DecodeTargetSelector {
    now: Stretch,
    /// Of the one before packets may still wait to depart.
    before: Stretch,
    /// The decode target that passes, and its layer.
    target: Option<(u8, Layer)>,
    /// The first frame of which that was so.
    since: u64,
    /// The structure that it is meant by.
    structure: u32,
    /// What was produced at the newest frame.
    produced: u32,
    /// The receiver was told of fewer decode targets than are produced, and nothing has taken that
    /// back.
    is_narrowed: bool,
    /// The newest picture.
    picture: Option<u32>,
    /// The newest RTP sequence number.
    newest: u64,
    /// The newest frame number a receiver was told.
    told: Option<u16>,
    lacks: bool,
    /// Something of the target was left out, which later frames may need.
    is_broken: bool,
}

impl DecodeTargetSelector {
    /// Only a key frame leads to what is wished.
    #[must_use]
    pub const fn lacks_keyframe(&self) -> bool {
        self.lacks || self.is_broken
    }

    /// The layer that passes; none: nothing was chosen yet.
    #[must_use]
    pub fn layer(&self) -> Option<Layer> {
        self.target.map(|(_, layer)| layer)
    }

    /// A packet is offered, and what becomes of its frame is decided. `begins`: the first of
    /// `binding`. The wish is weary where, until a key frame leads down to it, only the temporal
    /// base layer of what passes goes on.
    pub fn offer(
        &mut self,
        binding: u16,
        packet: FramePacket<'_>,
        wish: (Layer, bool),
        begins: bool,
    ) {
        let frame = packet.frame;
        let is_late = !begins && packet.sequence <= self.newest;
        if begins || !is_late && self.starts_again(frame) {
            self.begin(binding, packet);
        }
        if !is_late {
            self.newest = packet.sequence;
        }
        // A straggler of the stretch before has been decided on, or is void.
        if self.now.binding != binding || packet.sequence < self.now.start {
            return;
        }
        let number = self.now.numbers.unwrap(frame.number);
        match self.now.window.fate(number) {
            Fate::Passes | Fate::LeftOut => {}
            Fate::Unseen | Fate::Promised => self.decide(number, packet, wish),
        }
    }

    /// What was decided of a packet; none where that is forgotten.
    #[must_use]
    pub fn passage(&self, binding: u16, sequence: u64, frame: &Frame) -> Option<FramePassage> {
        let holds = |stretch: &&Stretch| stretch.binding == binding && stretch.start <= sequence;
        let stretch = [&self.now, &self.before].into_iter().find(holds)?;
        let number = stretch.numbers.peek(frame.number);
        let record = stretch.window.get(number)?;
        let told = frame.told.unwrap_or_default();
        match record.fate {
            Fate::Unseen | Fate::Promised => None,
            Fate::Passes | Fate::LeftOut => Some(FramePassage {
                passes: record.fate == Fate::Passes,
                is_highest: frame.told.is_some() && told.layer.spatial == record.passing.spatial,
                change: FrameChange {
                    offset: stretch.offset,
                    active_decode_targets: record.active.map(NonZeroU32::get),
                },
            }),
        }
    }

    /// An encoder that was started anew counts from anywhere: from a key frame whose number is not
    /// after what was.
    fn starts_again(&self, frame: &Frame) -> bool {
        let brings_structure = frame.told.is_some_and(|told| told.brings_structure);
        let number = self.now.numbers.peek(frame.number);
        frame.starts && brings_structure && Some(number) <= self.now.window.newest()
    }

    /// Frames are counted anew, behind those that were told.
    fn begin(&mut self, binding: u16, packet: FramePacket<'_>) {
        let own = packet.frame.number;
        let next = self.told.map_or(own, |told| told.wrapping_add(1));
        // Who publishes may begin anew with every packet: nothing is allocated for it.
        let mut window = std::mem::take(&mut self.before.window);
        window.clear();
        let stretch = Stretch {
            binding,
            start: packet.sequence,
            numbers: SequenceUnwrapper::default(),
            offset: next.wrapping_sub(own),
            window,
        };
        self.before = std::mem::replace(&mut self.now, stretch);
        self.target = None;
        self.picture = None;
        self.is_narrowed = false;
        self.lacks = false;
        self.is_broken = false;
    }

    fn decide(&mut self, number: u64, packet: FramePacket<'_>, wish: (Layer, bool)) {
        let is_newest = self
            .now
            .window
            .newest()
            .is_none_or(|newest| number > newest);
        if is_newest {
            self.aim(number, packet, wish);
        }
        let beside = self.now.window.beside(number, packet.timestamp);
        let passing = match beside.filter(|_| !is_newest) {
            None => self.passing(packet.frame),
            Some(beside) => late(beside.passing, packet),
        };
        let passes = self.may_pass(number, packet.frame, is_newest, passing.target);
        let mut record = Record {
            number,
            timestamp: packet.timestamp,
            fate: if passes { Fate::Passes } else { Fate::LeftOut },
            passing,
            active: None,
        };
        if passes {
            record.active = self.active(packet, passing.target);
            self.keep(number, packet.frame);
        }
        self.now.window.decide(record);
    }

    /// What passes at the newest frame.
    fn passing(&self, frame: &Frame) -> Passing {
        let target = self.target.filter(|_| frame.told.is_some());
        Passing {
            structure: self.structure,
            target: target.map(|(target, _)| target),
            spatial: target.map_or(u8::MAX, |(_, layer)| layer.spatial),
        }
    }

    /// What the receiver is told of the active decode targets, while it gets fewer than there are.
    fn active(&mut self, packet: FramePacket<'_>, target: Option<u8>) -> Option<NonZeroU32> {
        let told = packet.frame.told.as_ref()?;
        let structure = packet.frames.structure_of(told)?;
        let receives = structure.within(target?) & told.produced;
        if receives != told.produced {
            self.is_narrowed = true;
        } else if told.brings_structure {
            self.is_narrowed = false;
        }
        NonZeroU32::new(receives).filter(|_| self.is_narrowed)
    }

    /// A frame passes: what it leans on will too, should it come yet.
    fn keep(&mut self, number: u64, frame: &Frame) {
        for before in references(number, frame) {
            self.now.window.promise(before);
        }
        let told = frame.number.wrapping_add(self.now.offset);
        let is_newer = |newest: u16| told.wrapping_sub(newest) < 1 << 15;
        if self.told.is_none_or(is_newer) {
            self.told = Some(told);
        }
    }

    fn may_pass(
        &mut self,
        number: u64,
        frame: &Frame,
        is_newest: bool,
        target: Option<u8>,
    ) -> bool {
        let window = &self.now.window;
        let is_promised = window.fate(number) == Fate::Promised;
        if window.is_forgotten(number) {
            return false;
        }
        let Some(told) = &frame.told else {
            // Of another structure, whose packet is missing: all of it passes until that comes.
            return is_newest || is_promised || target.is_none();
        };
        let is_left_out = |at: u64| window.fate(at) == Fate::LeftOut;
        if is_promised {
            let passes = !references(number, frame).any(is_left_out);
            self.is_broken |= !passes;
            return passes;
        }
        let Some(target) = target else {
            return true;
        };
        let indication = told.is(target);
        // Without the structure nothing else can be read.
        if indication == Indication::NotPresent && !told.brings_structure {
            return false;
        }
        // What is older than the target and was not leaned on may have been left out, had it come.
        let since = self.since;
        let passes = references(number, frame).all(|at| match window.fate(at) {
            Fate::Passes | Fate::Promised => true,
            Fate::LeftOut => false,
            Fate::Unseen => !is_newest || at >= since || window.is_forgotten(at),
        });
        if !passes && indication != Indication::Discardable {
            self.is_broken = true;
        }
        passes
    }

    /// Which decode target passes from this frame on.
    fn aim(&mut self, number: u64, packet: FramePacket<'_>, wish: (Layer, bool)) {
        let (wish, is_weary) = wish;
        let is_next = self.picture.replace(packet.timestamp) != Some(packet.timestamp);
        let Some(told) = &packet.frame.told else {
            return;
        };
        let Some(structure) = packet.frames.structure_of(told) else {
            return;
        };
        let begins = told.brings_structure && told.diffs().is_empty();
        if begins {
            self.target = None;
            self.is_broken = false;
        } else if self.structure != told.structure {
            // Its key frame came late; all has passed since.
            self.target = targets(structure, told.produced).max_by_key(|&(_, layer)| layer);
            self.since = 0;
        }
        self.structure = told.structure;
        let Some(wished) = wished(structure, told.produced, wish) else {
            return;
        };
        let before = std::mem::replace(&mut self.produced, told.produced);
        // Where the packet with the word is missing, or comes late, it began before.
        let fate = self.now.window.fate(number.wrapping_sub(1));
        let is_told_in_time = told.says_produced && matches!(fate, Fate::Passes | Fate::LeftOut);
        let begun = told.produced & !before;
        let step = Step {
            structure,
            told,
            is_next,
            begun: if is_told_in_time { begun } else { 0 },
            is_whole: references(number, packet.frame).all(|at| {
                let fate = self.now.window.fate(at);
                matches!(fate, Fate::Passes | Fate::Promised)
            }),
        };
        let next = match self.target {
            None => Some(wished),
            Some(present) => step.next(present, wished.1).or_else(|| {
                // It is smaller than what can be reached now.
                let temporal = if is_weary { 0 } else { wished.1.temporal };
                let spatial = present.1.spatial;
                step.next(present, Layer { spatial, temporal })
            }),
        };
        if let Some(next) = next.filter(|next| Some(*next) != self.target) {
            let present = self.target.replace(next).map(|(target, _)| target);
            let goes_on =
                present.is_some_and(|present| structure.within(present) >> next.0 & 1 != 0);
            // Of a part of what passed all that has not come yet is waited for.
            if !goes_on {
                self.since = number;
            }
        }
        let spatial = self.target.map(|(_, layer)| layer.spatial);
        self.lacks = spatial != Some(wished.1.spatial);
    }
}

/// What a frame allows.
struct Step<'a> {
    structure: &'a DependencyStructure,
    told: &'a Told,
    /// It is the first of its picture.
    is_next: bool,
    /// Decode targets that are produced from here on.
    begun: u32,
    /// All it refers to passes.
    is_whole: bool,
}

impl Step<'_> {
    /// The best decode target up to what is wished; none: what passed goes on.
    fn next(&self, present: (u8, Layer), wished: Layer) -> Option<(u8, Layer)> {
        targets(self.structure, self.told.produced)
            .filter(|&(_, layer)| is_within(layer, wished))
            .filter(|&target| self.leads_to(target, present))
            .max_by_key(|&(_, layer)| layer)
    }

    fn leads_to(&self, (target, layer): (u8, Layer), (present, now): (u8, Layer)) -> bool {
        if target == present {
            return true;
        }
        let is_in = |mask: u32, target: u8| mask >> target & 1 != 0;
        let begins = is_in(self.begun, target) && is_in(self.structure.within(target), present);
        let switches = self.is_whole && self.told.is(target) == Indication::Switch;
        self.is_next && (is_in(self.structure.within(present), target) || begins)
            || switches && (self.is_next || layer.spatial <= now.spatial)
    }
}

/// What passes at a frame that comes late, beside one of which that is known. Of another structure,
/// all that was produced has been passing since.
fn late(beside: Passing, packet: FramePacket<'_>) -> Passing {
    let Some(told) = &packet.frame.told else {
        return beside;
    };
    let structure = told.structure;
    let known = packet.frames.structure_of(told);
    let known = known.filter(|_| beside.target.is_some() && beside.structure != structure);
    let best =
        known.and_then(|known| targets(known, told.produced).max_by_key(|&(_, layer)| layer));
    match best {
        None => Passing {
            structure,
            ..beside
        },
        Some((target, layer)) => Passing {
            structure,
            target: Some(target),
            spatial: layer.spatial,
        },
    }
}

/// The frames that a frame refers to.
fn references(number: u64, frame: &Frame) -> impl Iterator<Item = u64> {
    let diffs = frame.told.as_ref().map_or(&[][..], Told::diffs);
    diffs
        .iter()
        .map(move |&diff| number.saturating_sub(u64::from(diff)))
}

/// The decode targets of a mask.
fn targets(
    structure: &DependencyStructure,
    produced: u32,
) -> impl Iterator<Item = (u8, Layer)> + Clone {
    (0..structure.decode_targets())
        .filter(move |&target| produced >> target & 1 != 0)
        .filter_map(|target| Some((target, structure.layer(target)?)))
}

/// The highest decode target that is produced and wished; where nothing that low is produced, the
/// lowest that is.
fn wished(structure: &DependencyStructure, produced: u32, wish: Layer) -> Option<(u8, Layer)> {
    let all = targets(structure, produced);
    let under = all.clone().filter(|&(_, layer)| is_within(layer, wish));
    let highest = under.max_by_key(|&(_, layer)| layer);
    highest.or_else(|| all.min_by_key(|&(_, layer)| layer))
}

const fn is_within(layer: Layer, limit: Layer) -> bool {
    layer.spatial <= limit.spatial && layer.temporal <= limit.temporal
}

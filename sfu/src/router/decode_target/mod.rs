//! Which frames of a scalable encoding pass a section: those of one decode target, as the
//! Dependency Descriptor tells them (RTP payload format for AV1, version 1.0, appendix A).
//!
//! | file | what it is |
//! |---|---|
//! | `window` | what became of the recent frames |
//!
//! The law here: whatever passes is decodable from what passed before and was not reported missing,
//! in the order of its frame numbers. A higher decode target begins at a frame that says Switch,
//! can itself be decoded, and at which the target's chain is whole (A.5, A.7). A lower one whose
//! frames have been passing all along begins at once; one whose frames have not (a lower spatial
//! layer where layers depend on each other in key frames only, a lower simulcast rung) needs a key
//! frame too, and until it comes only the lowest decodable part of what passed goes on. Where a
//! chain breaks, the highest target that still has a whole one goes on; where none has, nothing
//! passes until a key frame.
//!
//! Of the rungs of a simulcast each has its own structure and its own frame numbers; the passing
//! rung changes at a key frame, and the numbers run on.

#[cfg(test)]
mod tests;
mod window;

use crate::units::Layer;
use crate::wire::dependency_descriptor::{
    DependencyDescriptor, DependencyStructure, Indication, StructureNews,
};
use crate::wire::sequence::SequenceUnwrapper;
use window::{Entry, Window, references};

/// What a receiver shall get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Simulcast rung, lowest is 0; 0 where there is one encoding.
    pub rung: u8,
    /// The highest layer within it. Where nothing that low is produced, the lowest that is passes.
    pub layer: Layer,
}

/// A packet, as far as the choice depends on it.
#[derive(Clone, Copy, Debug)]
pub struct FramePacket<'a> {
    /// Simulcast rung it arrived on.
    pub rung: u8,
    /// What it says.
    pub descriptor: &'a DependencyDescriptor,
    /// The structure it was read with.
    pub structure: &'a DependencyStructure,
}

/// What the selector says of one packet. All packets of a frame get the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramePassage {
    /// Not through this section.
    No,
    /// It passes, with these changes.
    Yes {
        /// The frame number the receiver is told.
        frame_number: u16,
        /// The active decode targets the receiver is told; `None` where the packet says it well.
        active_decode_targets: Option<u32>,
    },
}

/// Chooses the frames of one section.
#[derive(Clone, Debug)]
pub struct DecodeTargetSelector {
    wish: Option<Wish>,
    rung: Option<u8>,
    /// The decode target that passes, and its layer.
    target: Option<(u8, Layer)>,
    /// Its chain broke: it goes on where the missing frame comes late after all.
    is_stuck: bool,
    numbers: SequenceUnwrapper,
    /// What is added to the frame numbers of the passing rung.
    offset: u16,
    /// The newest frame number the receiver was told.
    newest_told: Option<u16>,
    /// What the publisher produces.
    produced: u32,
    /// The receiver was told of fewer decode targets than the publisher produces, and no structure
    /// has taken that back.
    narrowed: bool,
    /// The passed frame that brought the structure in force.
    structure_at: Option<u64>,
    window: Window,
    keyframe_wanted: bool,
}

impl Default for DecodeTargetSelector {
    fn default() -> Self {
        Self::new()
    }
}

impl DecodeTargetSelector {
    /// Lets nothing pass until there is a wish.
    #[must_use]
    pub fn new() -> Self {
        Self {
            wish: None,
            rung: None,
            target: None,
            is_stuck: false,
            numbers: SequenceUnwrapper::default(),
            offset: 0,
            newest_told: None,
            produced: 0,
            narrowed: false,
            structure_at: None,
            window: Window::new(),
            keyframe_wanted: false,
        }
    }

    /// Asks for a layer from the next frame on; `None` lets nothing pass, and what comes after it
    /// begins with a key frame.
    pub fn set_wish(&mut self, wish: Option<Wish>) {
        self.wish = wish;
        if wish.is_none() {
            self.rung = None;
            self.target = None;
        }
    }

    /// The rung and the layer that pass now.
    #[must_use]
    pub fn current(&self) -> Option<Wish> {
        let (rung, (_, layer)) = (self.rung?, self.target?);
        (!self.is_stuck).then_some(Wish { rung, layer })
    }

    /// The rung of which a key frame is needed to fulfil the wish.
    #[must_use]
    pub fn keyframe_wanted(&self) -> Option<u8> {
        let wish = self.wish?;
        (self.rung != Some(wish.rung) || self.keyframe_wanted).then_some(wish.rung)
    }

    /// Whether a packet passes. Packets are given in the order of their sequence numbers, rung by
    /// rung; a frame whose first packet comes behind another of it does not pass, nor does one
    /// that comes behind a later frame that passed.
    pub fn passes(&mut self, packet: FramePacket<'_>) -> FramePassage {
        let Some(wish) = self.wish else {
            return FramePassage::No;
        };
        if self.rung == Some(packet.rung) {
            self.follow(wish, packet)
        } else if packet.rung == wish.rung {
            self.start(wish, packet)
        } else {
            FramePassage::No
        }
    }

    /// The receiver misses the frame that it was told has this number, and will not get it any
    /// more: what refers to it does not pass.
    pub fn lose(&mut self, frame_number: u16) {
        let number = self.numbers.peek(frame_number.wrapping_sub(self.offset));
        if self.window.lose(number, self.structure_at) {
            self.structure_at = None;
        }
    }

    /// A packet of a rung that does not pass yet: it does from a key frame on.
    fn start(&mut self, wish: Wish, packet: FramePacket<'_>) -> FramePassage {
        let FramePacket {
            descriptor,
            structure,
            ..
        } = packet;
        let begins = descriptor.mandatory.starts_frame
            && descriptor.structure != StructureNews::None
            && descriptor.dependencies.frame_diffs.is_empty();
        if !begins {
            return FramePassage::No;
        }
        let whole = descriptor.dependencies.chain_diffs.iter().zip(0..);
        let whole = whole
            .filter(|&(&diff, _)| diff == 0)
            .fold(0, |whole, (_, chain)| whole | 1 << chain);
        let produced = produced(descriptor, structure);
        let view = View {
            packet,
            produced,
            whole,
            decodable: true,
        };
        let Some(target) = view.best(None, wish.layer) else {
            return FramePassage::No;
        };
        self.window.clear();
        self.numbers = SequenceUnwrapper::default();
        let number = self.numbers.unwrap(descriptor.mandatory.frame_number);
        let next = self.newest_told.map(|told| told.wrapping_add(1));
        self.offset = next.map_or(0, |next| {
            next.wrapping_sub(descriptor.mandatory.frame_number)
        });
        self.rung = Some(packet.rung);
        self.target = Some(target);
        self.is_stuck = false;
        self.structure_at = None;
        self.produced = produced;
        self.keyframe_wanted = view.is_broken(view.wished(wish.layer), self.target);
        self.pass(number, &view, structure.within(target.0) & produced)
    }

    /// A packet of the rung that passes.
    fn follow(&mut self, wish: Wish, packet: FramePacket<'_>) -> FramePassage {
        let FramePacket {
            descriptor,
            structure,
            ..
        } = packet;
        let number = self.numbers.peek(descriptor.mandatory.frame_number);
        if let Some(&entry) = self.window.get(number) {
            return self.answer(packet, entry);
        }
        if self.window.is_forgotten(number) {
            // So far back no packet is late; an encoder that starts again counts from anywhere.
            return self.start(wish, packet);
        }
        let in_order = self.window.is_newest(number);
        if in_order {
            self.numbers.unwrap(descriptor.mandatory.frame_number);
            self.learn(descriptor, structure);
        }
        let view = self.view(number, packet);
        if in_order {
            self.choose(wish, &view);
        }
        // Where a chain broke nothing overtakes the frame that would mend it.
        let is_shut = in_order && self.is_stuck || self.window.is_overtaken(number);
        match self.target {
            Some((target, _)) if !is_shut && view.passes(target) => {
                self.pass(number, &view, structure.within(target) & self.produced)
            }
            Some(_) | None => {
                let entry = Entry {
                    whole: view.whole,
                    ..Entry::default()
                };
                self.window.put(number, entry);
                FramePassage::No
            }
        }
    }

    /// What the packet says of all that follow.
    fn learn(&mut self, descriptor: &DependencyDescriptor, structure: &DependencyStructure) {
        if let Some(active) = descriptor.active_decode_targets {
            self.produced = active & structure.all_decode_targets();
        }
        if descriptor.structure == StructureNews::New {
            // Chains and decode targets are other ones now.
            self.window.break_chains();
            self.structure_at = None;
            self.target = None;
        }
    }

    /// How things stand at a frame.
    fn view<'a>(&self, number: u64, packet: FramePacket<'a>) -> View<'a> {
        let descriptor = packet.descriptor;
        let own = &descriptor.dependencies;
        let readable = self.structure_at.is_some() || descriptor.structure != StructureNews::None;
        let decodable = readable
            && descriptor.mandatory.starts_frame
            && own
                .frame_diffs
                .iter()
                .all(|&diff| self.window.passed(number, diff).is_some());
        let mut whole = 0;
        for (&diff, chain) in own.chain_diffs.iter().zip(0_u32..) {
            let bit = 1 << chain;
            let last = self.window.passed(number, u16::from(diff));
            let is_whole = if diff == 0 {
                decodable
            } else {
                last.is_some_and(|last| last.whole & bit != 0)
            };
            if is_whole {
                whole |= bit;
            }
        }
        let mut view = View {
            packet,
            produced: self.produced,
            whole,
            decodable,
        };
        // A.5: chains that protect no active decode target say nothing.
        view.whole &= view.chains_in_use();
        view
    }

    /// Decides which decode target passes from this frame on.
    fn choose(&mut self, wish: Wish, view: &View<'_>) {
        let present = self.target.map(|(target, _)| target);
        // While a higher rung is waited for, this one gives all it has.
        let limit = if self.rung < Some(wish.rung) {
            Layer {
                spatial: u8::MAX,
                temporal: u8::MAX,
            }
        } else {
            wish.layer
        };
        let mut best = None;
        if self.rung <= Some(wish.rung) {
            best = view.best(present, limit);
        }
        self.keyframe_wanted = view.is_broken(view.wished(limit), best);
        let chosen = best.or_else(|| view.lowest(present));
        self.is_stuck = chosen.is_none();
        // Without chains only a frame that says Switch shows that nothing is missing any more.
        let kept = self.target.filter(|&(target, _)| !view.has_lost(target));
        self.target = chosen.or(kept);
    }

    fn pass(&mut self, number: u64, view: &View<'_>, receives: u32) -> FramePassage {
        let descriptor = view.packet.descriptor;
        let attached = descriptor.structure != StructureNews::None;
        if descriptor.structure == StructureNews::New || (attached && self.structure_at.is_none()) {
            self.structure_at = Some(number);
        }
        if receives != self.produced {
            self.narrowed = true;
        } else if attached {
            self.narrowed = false;
        }
        let entry = Entry {
            passed: true,
            whole: view.whole,
            references: references(&descriptor.dependencies.frame_diffs),
            active: self.narrowed.then_some(receives),
        };
        // Nothing passes behind a newer frame that passed, so this number is the highest.
        let told = descriptor.mandatory.frame_number.wrapping_add(self.offset);
        self.newest_told = Some(told);
        self.window.put(number, entry);
        self.answer(view.packet, entry)
    }

    /// The answer to each packet of a frame.
    fn answer(&self, packet: FramePacket<'_>, entry: Entry) -> FramePassage {
        if !entry.passed {
            return FramePassage::No;
        }
        let (descriptor, structure) = (packet.descriptor, packet.structure);
        // A publisher may say another structure within a frame, or use a number twice.
        let active = entry
            .active
            .map(|active| active & structure.all_decode_targets());
        FramePassage::Yes {
            frame_number: descriptor.mandatory.frame_number.wrapping_add(self.offset),
            active_decode_targets: active.filter(|_| descriptor.active_decode_targets != active),
        }
    }
}

/// How things stand at a frame.
#[derive(Clone, Copy, Debug)]
struct View<'a> {
    packet: FramePacket<'a>,
    /// Decode targets that are produced.
    produced: u32,
    /// Chains that are whole up to this frame.
    whole: u32,
    /// All it refers to was passed.
    decodable: bool,
}

impl View<'_> {
    /// The highest decode target under `limit` that can pass from here on, where `present` has
    /// passed up to here.
    fn best(&self, present: Option<u8>, limit: Layer) -> Option<(u8, Layer)> {
        self.under(limit)
            .filter(|&(target, _)| self.is_open(target, present))
            .max_by_key(|&(_, layer)| layer)
    }

    /// The lowest part of `present` that can pass.
    fn lowest(&self, present: Option<u8>) -> Option<(u8, Layer)> {
        let within = self.packet.structure.within(present?);
        self.targets()
            .filter(|&(target, _)| within >> target & 1 != 0)
            .filter(|&(target, _)| self.is_open(target, present))
            .min_by_key(|&(_, layer)| layer)
    }

    /// The decode target that `limit` means.
    fn wished(&self, limit: Layer) -> Option<(u8, Layer)> {
        self.under(limit).max_by_key(|&(_, layer)| layer)
    }

    /// The produced decode targets under `limit`; where nothing that low is produced, the lowest.
    fn under(&self, limit: Layer) -> impl Iterator<Item = (u8, Layer)> {
        let is_under = |layer: Layer, limit: Layer| {
            layer.spatial <= limit.spatial && layer.temporal <= limit.temporal
        };
        let layers = self.targets().map(|(_, layer)| layer);
        let limit = if layers.clone().any(|layer| is_under(layer, limit)) {
            limit
        } else {
            layers.min().unwrap_or(limit)
        };
        self.targets()
            .filter(move |&(_, layer)| is_under(layer, limit))
    }

    /// Only a key frame leads to what is wished. Where it is only waited for a frame that says
    /// Switch, none is needed.
    fn is_broken(&self, wished: Option<(u8, Layer)>, reached: Option<(u8, Layer)>) -> bool {
        let Some((target, layer)) = wished else {
            return false;
        };
        let spatial = |reached: Option<(u8, Layer)>| reached.map(|(_, layer)| layer.spatial);
        match self.packet.structure.chain(target) {
            Some(_) => !self.is_whole(target) || reached.is_none(),
            None => spatial(reached) != Some(layer.spatial),
        }
    }

    /// Whether the frame passes with a decode target.
    fn passes(&self, target: u8) -> bool {
        self.decodable && self.indication(target) != Indication::NotPresent
    }

    fn is_open(&self, target: u8, present: Option<u8>) -> bool {
        let present = present.filter(|&present| !self.has_lost(present));
        let goes_on =
            present.is_some_and(|present| self.packet.structure.within(present) >> target & 1 != 0);
        let begins = self.decodable && self.indication(target) == Indication::Switch;
        self.is_whole(target) && (goes_on || begins)
    }

    /// A frame that later ones of the target lean on cannot be decoded, and there is no chain that
    /// would tell whether it matters.
    fn has_lost(&self, target: u8) -> bool {
        let needed = match self.indication(target) {
            Indication::NotPresent | Indication::Discardable => false,
            Indication::Switch | Indication::Required => true,
        };
        self.packet.structure.chain(target).is_none() && needed && !self.decodable
    }

    fn is_whole(&self, target: u8) -> bool {
        let chain = self.packet.structure.chain(target);
        chain.is_none_or(|chain| self.whole.checked_shr(chain.into()).unwrap_or(0) & 1 != 0)
    }

    fn indication(&self, target: u8) -> Indication {
        self.packet.descriptor.dependencies.indications.get(target)
    }

    /// The decode targets that are produced.
    fn targets(&self) -> impl Iterator<Item = (u8, Layer)> + Clone {
        let structure = self.packet.structure;
        (0..structure.decode_targets())
            .filter(|&target| self.produced >> target & 1 != 0)
            .filter_map(|target| Some((target, structure.layer(target)?)))
    }

    fn chains_in_use(&self) -> u32 {
        self.targets()
            .filter_map(|(target, _)| self.packet.structure.chain(target))
            .fold(0, |chains, chain| chains | 1 << chain)
    }
}

/// The decode targets that a packet with a structure says are produced.
fn produced(descriptor: &DependencyDescriptor, structure: &DependencyStructure) -> u32 {
    let all = structure.all_decode_targets();
    descriptor.active_decode_targets.unwrap_or(all) & all
}

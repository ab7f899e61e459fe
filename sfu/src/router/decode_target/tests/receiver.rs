//! A selector with the receiver behind it, which has a decoder that goes by the frames' references
//! alone, and believes what the descriptors tell it.

use std::collections::BTreeMap;

use crate::router::decode_target::{DecodeTargetSelector, FramePacket, FramePassage};
use crate::wire::dependency_descriptor::{
    DependencyDescriptor, DependencyStructure, Unreadable, rewrite_active_decode_targets,
    rewrite_frame_number,
};
use crate::wire::sequence::SequenceUnwrapper;

/// What became of a frame that was passed.
#[derive(Clone, Debug)]
struct Received {
    refers_to: Vec<u64>,
    arrival: Arrival,
    /// It and all it leans on were got.
    decodable: bool,
    /// It leans on something that never passed, or that the selector was told is missing.
    forlorn: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    Got,
    Missing,
    /// The selector knows that it is missing.
    Reported,
}

/// The receiver.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    known: Option<Box<DependencyStructure>>,
    active: u32,
    numbers: SequenceUnwrapper,
    frames: BTreeMap<u64, Received>,
    /// Frames that are missing and the selector does not know it.
    unreported: u32,
}

impl Receiver {
    /// Draws the consequences for a frame and all behind it.
    fn settle(&mut self, from: u64) {
        let numbers: Vec<u64> = self
            .frames
            .range(from..)
            .map(|(number, _)| *number)
            .collect();
        for number in numbers {
            let frame = &self.frames[&number];
            let leant_on = frame.refers_to.iter().map(|at| self.frames.get(at));
            let leant_on: Vec<_> = leant_on.collect();
            let has = |at: &Option<&Received>| at.is_some_and(|frame| frame.decodable);
            let misses = |at: &Option<&Received>| at.is_none_or(|frame| frame.forlorn);
            let decodable = frame.arrival == Arrival::Got && leant_on.iter().all(has);
            let forlorn = frame.arrival == Arrival::Reported || leant_on.iter().any(misses);
            let frame = self.frames.get_mut(&number).unwrap();
            (frame.decodable, frame.forlorn) = (decodable, forlorn);
        }
    }

    fn has(&self, number: u64) -> bool {
        self.frames
            .get(&number)
            .is_some_and(|frame| frame.decodable)
    }

    /// A packet arrives, or is lost on the way.
    fn take(&mut self, value: &[u8], sent: &DependencyDescriptor, arrives: bool) -> u16 {
        let told = u16::from_be_bytes([value[1], value[2]]);
        let number = self.numbers.unwrap(told);
        if sent.mandatory.starts_frame {
            let newest = self.frames.last_key_value().map(|(newest, _)| *newest);
            assert!(newest < Some(number), "frame numbers go up: {number}");
            let diffs = sent.dependencies.frame_diffs.iter();
            let frame = Received {
                refers_to: diffs.map(|&diff| number - u64::from(diff)).collect(),
                arrival: Arrival::Got,
                decodable: true,
                forlorn: false,
            };
            self.frames.insert(number, frame);
            if self.frames.len() > 150 {
                self.frames.pop_first();
            }
            self.settle(number);
            assert!(!self.frames[&number].forlorn, "undecodable: {sent:?}");
        }
        if arrives {
            self.read(value, number);
        } else if let Some(frame) = self.frames.get_mut(&number)
            && frame.arrival == Arrival::Got
        {
            frame.arrival = Arrival::Missing;
            self.unreported += 1;
            self.settle(number);
        }
        told
    }

    fn read(&mut self, value: &[u8], number: u64) {
        let read = match DependencyDescriptor::parse(value, &mut self.known) {
            Ok(read) => read,
            Err(why) => {
                let excused = why == Unreadable::StructureUnknown && self.unreported > 0;
                assert!(excused, "{value:02x?}: {why:?}");
                return;
            }
        };
        self.active = read.active_decode_targets.unwrap_or(self.active);
        if self.unreported > 0 || !read.mandatory.starts_frame {
            return;
        }
        assert!(
            self.has(number),
            "nothing is missing, yet not decodable: {read:?}"
        );
        // A.5: the chains of the active decode targets are whole.
        let structure = self.known.as_deref().unwrap();
        assert_ne!(self.active, 0);
        for target in (0..structure.decode_targets()).filter(|at| self.active >> at & 1 != 0) {
            let chain = structure.chain(target).map(usize::from);
            let Some(diff) = chain.map(|chain| read.dependencies.chain_diffs[chain]) else {
                continue;
            };
            let whole = diff == 0 || self.has(number - u64::from(diff));
            assert!(
                whole,
                "chain {chain:?} is broken: {:b} {read:?}",
                self.active
            );
        }
    }

    fn report(&mut self, told: u16) {
        let number = self.numbers.peek(told);
        self.unreported -= 1;
        if let Some(frame) = self.frames.get_mut(&number) {
            frame.arrival = Arrival::Reported;
            self.settle(number);
        }
    }
}

/// A selector between encoders and a receiver.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) selector: DecodeTargetSelector,
    pub(super) receiver: Receiver,
    /// By rung.
    pub(super) known: [Option<Box<DependencyStructure>>; 3],
    /// Frame numbers at the publisher of what passed, in order.
    pub(super) passed: Vec<u16>,
}

impl Link {
    /// A packet arrives from the publisher; the frame number the receiver was told, if it passed.
    /// On its way to the receiver it may be lost.
    pub(super) fn feed(
        &mut self,
        rung: u8,
        value: &[u8],
        arrives: bool,
    ) -> Result<Option<u16>, Unreadable> {
        let known = &mut self.known[usize::from(rung)];
        let descriptor = DependencyDescriptor::parse(value, known)?;
        let structure = known.as_deref().unwrap();
        let packet = FramePacket {
            rung,
            descriptor: &descriptor,
            structure,
        };
        let FramePassage::Yes {
            frame_number,
            active_decode_targets,
        } = self.selector.passes(packet)
        else {
            return Ok(None);
        };
        if descriptor.mandatory.starts_frame {
            self.passed.push(descriptor.mandatory.frame_number);
        }
        let mut rewritten = value.to_vec();
        if let Some(active) = active_decode_targets {
            let mut out = [0; 260];
            let len = rewrite_active_decode_targets(value, known.as_deref(), active, &mut out);
            rewritten = out[..len.unwrap()].to_vec();
        }
        assert!(rewrite_frame_number(&mut rewritten, frame_number));
        Ok(Some(self.receiver.take(&rewritten, &descriptor, arrives)))
    }

    /// The receiver says that a frame is missing for good.
    pub(super) fn report(&mut self, told: u16) {
        self.selector.lose(told);
        self.receiver.report(told);
    }
}

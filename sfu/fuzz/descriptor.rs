//! Fuzzed bytes as Dependency Descriptors on three rungs, with a selector behind them.
//!
//! Each step is a byte that says what is done, a length, and so many bytes of a descriptor. What is
//! read is written again, with other numbers too, and what passes the selector is decodable from
//! what passed before.

use std::collections::BTreeMap;

use sfu::router::decode_target::{DecodeTargetSelector, FramePacket, FramePassage, Wish};
use sfu::units::Layer;
use sfu::wire::dependency_descriptor::{
    DependencyDescriptor, DependencyStructure, Mandatory, StructureNews,
    rewrite_active_decode_targets, rewrite_frame_number,
};

use super::program::Program;

type Known = Option<Box<DependencyStructure>>;

/// Steps as the head of this file has them.
pub(crate) fn dependency_descriptor(bytes: &[u8]) {
    let program = Program::new(bytes);
    let mut known: [Known; 3] = [None, None, None];
    let mut link = Link::default();
    while let Some(step) = program.u8() {
        let rung = step & 0x03;
        let len = usize::from(program.or_zero());
        if rung == 3 {
            link.wish(step);
            continue;
        }
        let value = program.take(len);
        let known = &mut known[usize::from(rung)];
        let before = known.clone();
        let Ok(descriptor) = DependencyDescriptor::parse(value, known) else {
            assert_eq!(*known, before);
            continue;
        };
        let structure = known.as_deref().expect("it was read with one");
        written_again(&descriptor, structure, &before);
        rewritten(value, &descriptor, structure, &before, u32::from(step) << 1);
        link.pass(rung, &descriptor, structure);
        if step & 0x80 != 0 {
            link.lose(usize::from(step >> 2 & 0x0F));
        }
    }
}

fn written_again(
    descriptor: &DependencyDescriptor,
    structure: &DependencyStructure,
    before: &Known,
) {
    let mut out = [0; 2_000];
    let len = descriptor
        .write(structure, &mut out)
        .expect("what is read can be written");
    let again = DependencyDescriptor::parse(&out[..len], &mut before.clone());
    assert_eq!(again.as_ref(), Ok(descriptor));
    assert!(structure.layer(structure.decode_targets()).is_none());
    assert!(descriptor.dependencies.indications.present() & !structure.all_decode_targets() == 0);
}

fn rewritten(
    value: &[u8],
    descriptor: &DependencyDescriptor,
    structure: &DependencyStructure,
    before: &Known,
    wanted: u32,
) {
    let active = wanted & structure.all_decode_targets();
    let mut out = [0; 300];
    let len = rewrite_active_decode_targets(value, before.as_deref(), active, &mut out)
        .expect("what is read can be rewritten");
    assert!(len <= value.len() + 5);
    assert!(rewrite_frame_number(&mut out[..len], 7));
    let expected = DependencyDescriptor {
        mandatory: Mandatory {
            frame_number: 7,
            ..descriptor.mandatory
        },
        active_decode_targets: Some(active),
        ..descriptor.clone()
    };
    let again = DependencyDescriptor::parse(&out[..len], &mut before.clone());
    assert_eq!(again, Ok(expected));
}

/// The selector, and the frames that passed it by the numbers the receiver was told.
#[derive(Default)]
struct Link {
    selector: DecodeTargetSelector,
    /// What each refers to; those that can be decoded only.
    frames: BTreeMap<u16, Vec<u16>>,
    /// In the order they passed.
    told: Vec<u16>,
    knows_structure: bool,
    /// The newest frame number of each rung.
    newest: [u16; 3],
}

impl Link {
    fn wish(&mut self, step: u8) {
        let wish = Wish {
            rung: step >> 2 & 0x03,
            layer: Layer {
                spatial: step >> 4 & 0x03,
                temporal: step >> 6,
            },
        };
        self.selector.set_wish((wish.rung < 3).then_some(wish));
    }

    fn pass(
        &mut self,
        rung: u8,
        descriptor: &DependencyDescriptor,
        structure: &DependencyStructure,
    ) {
        self.keep_track(rung, descriptor.mandatory.frame_number);
        let packet = FramePacket {
            rung,
            descriptor,
            structure,
        };
        let passage = self.selector.passes(packet);
        let FramePassage::Yes {
            frame_number,
            active_decode_targets,
        } = passage
        else {
            return;
        };
        let all = structure.all_decode_targets();
        assert!(active_decode_targets.is_none_or(|active| active & !all == 0));
        assert_eq!(passage, self.selector.passes(packet), "asked once more");
        if self.told.contains(&frame_number) {
            return;
        }
        // A frame begins.
        assert!(descriptor.mandatory.starts_frame);
        self.knows_structure |= descriptor.structure != StructureNews::None;
        assert!(self.knows_structure);
        let diffs = descriptor.dependencies.frame_diffs.iter();
        let refers_to: Vec<u16> = diffs.map(|&diff| frame_number.wrapping_sub(diff)).collect();
        for number in &refers_to {
            assert!(self.frames.contains_key(number), "{number} never passed");
        }
        self.frames.insert(frame_number, refers_to);
        self.told.push(frame_number);
        self.newest[usize::from(rung)] = descriptor.mandatory.frame_number;
    }

    /// Sixteen bits say who refers to whom only while numbers do not leap ahead: there all begins
    /// anew. Back they may.
    fn keep_track(&mut self, rung: u8, number: u16) {
        let newest = &mut self.newest[usize::from(rung)];
        let ahead = number.wrapping_sub(*newest);
        if ahead < 1 << 15 {
            *newest = number;
        }
        if (64..1 << 15).contains(&ahead) {
            let newest = self.newest;
            *self = Self {
                newest,
                ..Self::default()
            };
            self.wish(0xF0);
        }
    }

    /// The receiver misses the frame that passed so many frames ago.
    fn lose(&mut self, back: usize) {
        let Some(&number) = self.told.iter().rev().nth(back) else {
            return;
        };
        self.selector.lose(number);
        let mut lost = vec![number];
        for number in self.told.iter().rev().take(back).rev() {
            let refers_to = self.frames.get(number);
            if refers_to.is_none_or(|at| at.iter().any(|number| lost.contains(number))) {
                lost.push(*number);
            }
        }
        for number in lost {
            self.frames.remove(&number);
        }
    }
}

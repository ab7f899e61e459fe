//! Fuzzed bytes as Dependency Descriptors of three encodings, with a selector behind them.
//!
//! Each step is a byte that says what is done, a length, and so many bytes of a descriptor. What is
//! read is written again, with other numbers too, and what passes the selector leans on nothing that
//! was left out.

use sfu::router::decode_target::{DecodeTargetSelector, FramePacket, Frames};
use sfu::units::Layer;
use sfu::wire::dependency_descriptor::{
    DependencyDescriptor, DependencyStructure, Mandatory, rewrite_active_decode_targets,
    rewrite_frame_number,
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
            link.wish = layer(step);
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
        link.pass(rung, step, value);
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

fn layer(step: u8) -> Layer {
    Layer {
        spatial: step >> 4 & 0x03,
        temporal: step >> 6,
    }
}

/// The selector, and what was offered to it.
#[derive(Default)]
struct Link {
    selector: DecodeTargetSelector,
    frames: [Frames; 3],
    wish: Layer,
    /// The encoding that passes.
    rung: u8,
    binding: u16,
    sequence: u64,
}

impl Link {
    fn pass(&mut self, rung: u8, step: u8, value: &[u8]) {
        // Some come late.
        let sequence = if step & 0x04 != 0 {
            self.sequence.saturating_sub(u64::from(step >> 3))
        } else {
            self.sequence += 1;
            self.sequence
        };
        let frames = &mut self.frames[usize::from(rung)];
        let Some(frame) = frames.read(sequence, value) else {
            return;
        };
        let starts = frame.starts && frame.told.is_some_and(|told| told.brings_structure);
        let begins = starts && rung != self.rung;
        if begins {
            self.binding = self.binding.wrapping_add(1);
            self.rung = rung;
        }
        if rung != self.rung {
            return;
        }
        let packet = FramePacket {
            sequence,
            timestamp: u32::from(step >> 3),
            frame: &frame,
            frames,
        };
        let wish = (self.wish, step & 0x08 != 0);
        self.selector.offer(self.binding, packet, wish, begins);
        let passage = self.selector.passage(self.binding, sequence, &frame);
        self.selector.offer(self.binding, packet, wish, false);
        let again = self.selector.passage(self.binding, sequence, &frame);
        assert_eq!(passage, again, "asked once more");
        let Some(passage) = passage.filter(|passage| passage.passes) else {
            return;
        };
        let mut out = [0; 300];
        let len = passage.change.write(value, &frame, frames, &mut out);
        // What pads a value at its end does not go along.
        assert!(len <= value.len() + 5);
        let told = Mandatory::parse(&out[..len]).expect("it has a number");
        let expected = frame.number.wrapping_add(passage.change.offset);
        assert_eq!(told.frame_number, expected);
    }
}

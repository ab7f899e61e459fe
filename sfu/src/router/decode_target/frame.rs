//! What the Dependency Descriptors of one encoding say, read once, where a packet arrives.
//!
//! A structure is read in the order of sequence numbers: a repeated old key frame does not bring
//! an old one back, and what comes late is read with the one in force or the one before. What cannot
//! be read, since the packet with its structure is missing, is known by its frame's number only.

use arrayvec::ArrayVec;

use crate::limits::FRAME_REFERENCES;
use crate::units::Layer;
use crate::wire::dependency_descriptor::{
    DependencyDescriptor, DependencyStructure, Indication, Indications, Mandatory, StructureNews,
};

/// What a packet says of its frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// As it is on the wire.
    pub number: u16,
    /// The frame's first packet.
    pub starts: bool,
    /// The frame's last packet.
    pub ends: bool,
    /// What the rest says; none: it cannot be read.
    pub told: Option<Told>,
}

/// What only the structure explains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Spatial and temporal layer.
    pub layer: Layer,
    /// It comes with the structure: a key frame.
    pub brings_structure: bool,
    /// Tells structures apart.
    pub structure: u32,
    /// What it is to each decode target.
    pub indications: Indications,
    /// The decode targets that are produced.
    pub produced: u32,
    /// It says so itself.
    pub says_produced: bool,
    diffs: [u16; FRAME_REFERENCES],
    references: u8,
}

impl Told {
    /// How many frames before it the frames are that it refers to.
    #[must_use]
    pub fn diffs(&self) -> &[u16] {
        self.diffs
            .get(..usize::from(self.references))
            .unwrap_or_default()
    }

    /// What it is to a decode target.
    #[must_use]
    pub fn is(&self, target: u8) -> Indication {
        self.indications.get(target)
    }
}

/// The reader of one encoding.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    structure: Option<Box<DependencyStructure>>,
    /// Counts the structures.
    serial: u32,
    /// The first packet known to have brought the one in force.
    since: u64,
    /// The newest packet that brought any.
    brought_at: u64,
    /// The one before it, by which what comes late is read, and its first packet.
    before: Option<Box<DependencyStructure>>,
    before_since: u64,
    produced: Produced,
}

/// The decode targets that are produced: a word holds until the next one, in the order of sequence
/// numbers (A.4). A word that comes late is its own packet's alone.
#[derive(Clone, Copy, Debug, Default)]
struct Produced {
    now: u32,
    /// The first packet known to be of that.
    since: u64,
    /// The newest packet that said anything.
    said_at: u64,
    before: u32,
}

impl Produced {
    /// At packet `sequence`, which says it of itself or does not.
    const fn at(&mut self, sequence: u64, said: Option<u32>) -> u32 {
        match said {
            Some(said) => {
                if sequence >= self.said_at {
                    self.said_at = sequence;
                    if said != self.now {
                        self.before = self.now;
                        self.now = said;
                        self.since = sequence;
                    }
                }
                said
            }
            None if sequence >= self.since => self.now,
            None => self.before,
        }
    }
}

impl Frames {
    /// The structure in force.
    #[must_use]
    pub fn structure(&self) -> Option<&DependencyStructure> {
        self.structure.as_deref()
    }

    /// The structure that a packet was read with, while it is kept.
    pub(super) fn structure_of(&self, told: &Told) -> Option<&DependencyStructure> {
        self.structure_with(told.structure)
    }

    fn structure_with(&self, serial: u32) -> Option<&DependencyStructure> {
        match self.serial.wrapping_sub(serial) {
            0 => self.structure.as_deref(),
            1 => self.before.as_deref(),
            _ => None,
        }
    }

    /// Reads what packet `sequence` says; none where it is too short to name its frame.
    pub fn read(&mut self, sequence: u64, value: &[u8]) -> Option<Frame> {
        let mandatory = Mandatory::parse(value).ok()?;
        Some(Frame {
            number: mandatory.frame_number,
            starts: mandatory.starts_frame,
            ends: mandatory.ends_frame,
            told: self.told(sequence, value),
        })
    }

    /// By the structure in force, or by another that the packet brings, unless something newer has
    /// brought one.
    fn read_now(&mut self, sequence: u64, value: &[u8]) -> Option<DependencyDescriptor> {
        let read = DependencyDescriptor::read(value, self.structure.as_deref());
        let (descriptor, attached) = read.ok()?;
        let is_old = sequence < self.brought_at;
        if attached.is_some() {
            if is_old {
                return None;
            }
            self.before = std::mem::replace(&mut self.structure, attached);
            self.before_since = std::mem::replace(&mut self.since, sequence);
            self.serial = self.serial.wrapping_add(1);
        }
        if descriptor.structure != StructureNews::None && !is_old {
            self.brought_at = sequence;
        }
        Some(descriptor)
    }

    /// By the structure before; none where that is not it either.
    fn read_late(&self, sequence: u64, value: &[u8]) -> Option<DependencyDescriptor> {
        let is_of_it = sequence >= self.before_since;
        let before = self.before.as_deref().filter(|_| is_of_it)?;
        let (descriptor, attached) = DependencyDescriptor::read(value, Some(before)).ok()?;
        attached.is_none().then_some(descriptor)
    }

    fn told(&mut self, sequence: u64, value: &[u8]) -> Option<Told> {
        let is_late = self.structure.is_some() && sequence < self.since;
        let (descriptor, serial) = if is_late {
            let before = self.serial.wrapping_sub(1);
            (self.read_late(sequence, value)?, before)
        } else {
            (self.read_now(sequence, value)?, self.serial)
        };
        let all = self.structure_with(serial)?.all_decode_targets();
        let said = descriptor.active_decode_targets;
        let produced = self.produced.at(sequence, said.map(|active| active & all)) & all;
        let own: &ArrayVec<u16, FRAME_REFERENCES> = &descriptor.dependencies.frame_diffs;
        let mut diffs = [0; FRAME_REFERENCES];
        for (place, diff) in diffs.iter_mut().zip(own) {
            *place = *diff;
        }
        Some(Told {
            layer: descriptor.layer,
            brings_structure: descriptor.structure != StructureNews::None,
            structure: serial,
            indications: descriptor.dependencies.indications,
            produced,
            says_produced: said.is_some(),
            diffs,
            references: u8::try_from(own.len()).unwrap_or_default(),
        })
    }

    /// Nothing is known any more; what is learned then is another structure.
    pub fn forget(&mut self) {
        *self = Self {
            serial: self.serial.wrapping_add(1),
            ..Self::default()
        };
    }

    /// Whether the structure in force tells how large pictures are.
    #[must_use]
    pub fn tells_sizes(&self) -> bool {
        self.structure()
            .is_some_and(|found| found.resolution(0).is_some())
    }

    /// Whether the highest spatial layer leans on the lower ones in key frames only (k-SVC).
    #[must_use]
    pub fn leans_in_keyframes_only(&self) -> bool {
        let Some(structure) = self.structure() else {
            return false;
        };
        let targets = 0..structure.decode_targets();
        let highest = targets
            .filter_map(|target| Some((structure.layer(target)?, target)))
            .max();
        let Some((top, target)) = highest.filter(|(top, _)| top.spatial > 0) else {
            return false;
        };
        let (_, templates) = structure.templates();
        templates.iter().all(|template| {
            let own = &template.dependencies;
            let is_part = own.indications.get(target) != Indication::NotPresent;
            // A template without references is a key frame's.
            template.layer.spatial == top.spatial || !is_part || leads(template.layer, own)
        })
    }
}

/// Whether frames of a template can only be of a key picture: they refer to nothing, or to the
/// picture's own lower layers.
fn leads(layer: Layer, own: &crate::wire::dependency_descriptor::Dependencies) -> bool {
    let below = u16::from(layer.spatial);
    layer.temporal == 0 && own.frame_diffs.iter().all(|&diff| diff <= below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::decode_target::tests::encoder::{Encoder, Leaning};

    #[test]
    fn what_is_produced_goes_by_the_order_of_numbers_and_a_late_word_is_its_packets_own() {
        let mut produced = Produced::default();
        for (sequence, said, expected) in [
            (10, Some(0b111), 0b111),
            (11, None, 0b111),
            // Said again by a key frame, before what is said at 15 comes by a repair.
            (20, Some(0b111), 0b111),
            (15, Some(0b001), 0b001),
            (21, None, 0b111),
            (30, Some(0b011), 0b011),
            (25, None, 0b111),
            (31, None, 0b011),
        ] {
            assert_eq!(produced.at(sequence, said), expected, "{sequence}");
        }
    }

    /// The value of the first packet of a key frame, and of a frame behind it.
    fn key(encoder: &mut Encoder, renumber: bool) -> [Vec<u8>; 2] {
        encoder.start_again(renumber);
        let mut first = || encoder.picture(false)[0].packets[0].clone();
        [first(), first()]
    }

    #[test]
    fn a_structure_is_in_force_from_its_packet_on_and_an_old_one_does_not_come_back() {
        let mut encoder = Encoder::new(Leaning::Always, (2, 2), 0);
        let [first, of_first] = key(&mut encoder, false);
        let [other, of_other] = key(&mut encoder, true);
        let mut frames = Frames::default();
        let mut serial = |sequence: u64, value: &[u8]| {
            let told = frames.read(sequence, value).unwrap().told;
            let known = told.is_none_or(|told| frames.structure_of(&told).is_some());
            assert!(known, "{sequence}");
            told.map(|told| told.structure)
        };
        assert_eq!(serial(9, &of_first), None);
        assert_eq!(serial(10, &first), Some(1));
        assert_eq!(serial(30, &first), Some(1), "the same again");
        assert_eq!(serial(20, &other), None, "and what was between comes late");
        assert_eq!(serial(31, &of_first), Some(1));
        assert_eq!(serial(40, &other), Some(2));
        assert_eq!(serial(39, &of_first), Some(1), "read by the one before");
        assert_eq!(serial(12, &of_first), Some(1));
        assert_eq!(serial(9, &first), None, "older than that");
        assert_eq!(serial(38, &other), None, "of neither, as far as is known");
        assert_eq!(serial(41, &of_other), Some(2));
        frames.forget();
        let told = frames.read(50, &of_other).unwrap().told;
        assert_eq!(told, None);
        let told = frames.read(51, &first).unwrap().told.unwrap();
        assert!(told.structure > 2 && told.brings_structure);
        assert_eq!(frames.read(49, &of_other).unwrap().told, None);
    }
}

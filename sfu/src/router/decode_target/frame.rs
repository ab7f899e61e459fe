//! What the Dependency Descriptors of one encoding say, read once, where a packet arrives.
//!
//! A structure is read in the order of sequence numbers: a repeated old key frame does not bring
//! an old one back. What cannot be read, since the packet with its structure is still missing, is
//! known by its frame's number only.

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
    /// The packet that brought the one in force.
    structure_at: u64,
    produced: u32,
}

impl Frames {
    /// The structure in force.
    #[must_use]
    pub fn structure(&self) -> Option<&DependencyStructure> {
        self.structure.as_deref()
    }

    /// The structure, if it is the one a packet was read with.
    pub(super) fn structure_of(&self, told: &Told) -> Option<&DependencyStructure> {
        self.structure().filter(|_| told.structure == self.serial)
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

    fn told(&mut self, sequence: u64, value: &[u8]) -> Option<Told> {
        if self.structure.is_some() && sequence < self.structure_at {
            return None;
        }
        let descriptor = DependencyDescriptor::parse(value, &mut self.structure).ok()?;
        let brings_structure = descriptor.structure != StructureNews::None;
        if brings_structure {
            self.structure_at = sequence;
        }
        if descriptor.structure == StructureNews::New {
            self.serial = self.serial.wrapping_add(1);
        }
        let structure = self.structure.as_deref()?;
        if let Some(active) = descriptor.active_decode_targets {
            self.produced = active & structure.all_decode_targets();
        }
        let own: &ArrayVec<u16, FRAME_REFERENCES> = &descriptor.dependencies.frame_diffs;
        let mut diffs = [0; FRAME_REFERENCES];
        for (place, diff) in diffs.iter_mut().zip(own) {
            *place = *diff;
        }
        Some(Told {
            layer: descriptor.layer,
            brings_structure,
            structure: self.serial,
            indications: descriptor.dependencies.indications,
            produced: self.produced,
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

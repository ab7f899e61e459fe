//! The Dependency Descriptor, a header extension (RTP payload format for AV1, version 1.0,
//! appendix A): which frame a packet belongs to, what the frame depends on, and for which decode
//! targets it is needed. It is said outside the payload, so it serves encrypted media and other
//! codecs too.
//!
//! | file | what it is |
//! |---|---|
//! | `bits` | a cursor that reads bits and one that writes them |
//! | `structure` | the templates that a key frame brings and later packets refer to |
//! | `write` | a descriptor written; frame number and active decode targets rewritten |
//!
//! Most packets have three bytes: a template's number and the frame's. What they mean is said by
//! the structure that came last, so reading needs it. It has to be read in the order of RTP
//! sequence numbers: a repeated old key frame would bring back an old structure.

mod bits;
#[cfg(test)]
pub(crate) mod fixtures;
mod structure;
#[cfg(test)]
mod tests;
mod write;

pub use structure::{DependencyStructure, Resolution, Template};
pub use write::{rewrite_active_decode_targets, rewrite_frame_number};

use arrayvec::ArrayVec;

use crate::error::DropReason;
use crate::limits::{DECODE_TARGETS, FRAME_REFERENCES};
use crate::units::Layer;
use bits::BitReader;

/// Its name in `a=extmap` (A.9).
pub const URI: &str =
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";

/// Why a descriptor cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is cut short, contradicts itself, or says more than a bound allows.
    Malformed,
    /// The structure it refers to is not the one that is known: the packet that brought it is
    /// lost, and a key frame brings another.
    StructureUnknown,
}

impl From<Unreadable> for DropReason {
    fn from(why: Unreadable) -> Self {
        match why {
            Unreadable::Malformed => Self::Malformed,
            Unreadable::StructureUnknown => Self::NotReady,
        }
    }
}

/// What a frame is to a decode target (table A.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Indication {
    /// Not part of it.
    #[default]
    NotPresent,
    /// Part of it, and nothing in it refers to this frame.
    Discardable,
    /// Part of it; who can decode this frame can decode all later ones of the target.
    Switch,
    /// Part of it, and neither of the above.
    Required,
}

impl Indication {
    const fn from_bits(bits: u64) -> Self {
        match bits & 0x03 {
            0 => Self::NotPresent,
            1 => Self::Discardable,
            2 => Self::Switch,
            _ => Self::Required,
        }
    }

    const fn to_bits(self) -> u8 {
        match self {
            Self::NotPresent => 0,
            Self::Discardable => 1,
            Self::Switch => 2,
            Self::Required => 3,
        }
    }
}

/// What a frame is to each decode target, two bits each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indications(u64);

impl Indications {
    /// What the frame is to one decode target.
    #[must_use]
    pub fn get(self, target: u8) -> Indication {
        let bits = self.0.checked_shr(u32::from(target) * 2);
        Indication::from_bits(bits.unwrap_or(0))
    }

    /// Says what it is to one; a target there cannot be is ignored.
    pub fn set(&mut self, target: u8, indication: Indication) {
        let shift = u32::from(target) * 2;
        if let (Some(mask), Some(bits)) = (
            3_u64.checked_shl(shift),
            u64::from(indication.to_bits()).checked_shl(shift),
        ) {
            self.0 = self.0 & !mask | bits;
        }
    }

    /// The decode targets the frame is part of.
    #[must_use]
    pub fn present(self) -> u32 {
        (0..32)
            .filter(|&target| self.get(target) != Indication::NotPresent)
            .fold(0, |mask, target| mask | 1 << target)
    }
}

/// What a frame depends on and what depends on it; the part a template stands in for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies {
    /// What it is to each decode target.
    pub indications: Indications,
    /// How many frames before it the frames are it refers to; from 1.
    pub frame_diffs: ArrayVec<u16, FRAME_REFERENCES>,
    /// By chain: how many frames before it the chain's last frame is. 0: the chain starts anew.
    pub chain_diffs: ArrayVec<u8, DECODE_TARGETS>,
}

/// The first three bytes, which mean the same whatever the structure is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mandatory {
    /// The frame's first packet.
    pub starts_frame: bool,
    /// The frame's last packet. Other frames of the same picture may follow.
    pub ends_frame: bool,
    /// Which template it follows, 6 bits.
    pub template_id: u8,
    /// Counts the frames in decode order.
    pub frame_number: u16,
}

impl Mandatory {
    /// Reads them from the front of the extension's value.
    ///
    /// # Errors
    /// [`Unreadable::Malformed`] where it is shorter.
    pub fn parse(value: &[u8]) -> Result<Self, Unreadable> {
        let &[first, high, low] = value
            .first_chunk::<MANDATORY_BYTES>()
            .ok_or(Unreadable::Malformed)?;
        Ok(Self {
            starts_frame: first & 0x80 != 0,
            ends_frame: first & 0x40 != 0,
            template_id: first & 0x3F,
            frame_number: u16::from_be_bytes([high, low]),
        })
    }
}

/// Whether a packet brings a structure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StructureNews {
    /// It brings none.
    #[default]
    None,
    /// It brings the one that was known.
    Repeated,
    /// It brings another, and what was said by means of the old one is over.
    New,
}

/// What a packet says of its frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DependencyDescriptor {
    /// The first three bytes.
    pub mandatory: Mandatory,
    /// Whether it brings a structure.
    pub structure: StructureNews,
    /// The decode targets that are produced, bit 0 the first, where this packet says so; a
    /// structure without a word about them says all. It holds until the next word (A.4).
    pub active_decode_targets: Option<u32>,
    /// Spatial and temporal layer of the frame.
    pub layer: Layer,
    /// What it depends on and what depends on it.
    pub dependencies: Dependencies,
    /// The largest picture of the frame's spatial layer, where the structure says it.
    pub resolution: Option<Resolution>,
}

impl DependencyDescriptor {
    /// Reads the extension's value. `known` is the structure that came last; where the packet
    /// brings another, that one takes its place. Where reading fails it stays.
    ///
    /// # Errors
    /// [`Unreadable::StructureUnknown`] where the structure is missing, else
    /// [`Unreadable::Malformed`].
    pub fn parse(
        value: &[u8],
        known: &mut Option<Box<DependencyStructure>>,
    ) -> Result<Self, Unreadable> {
        let (descriptor, attached) = Self::read(value, known.as_deref())?;
        if attached.is_some() {
            *known = attached;
        }
        Ok(descriptor)
    }

    /// Reads the extension's value; beside the descriptor stands the structure that the packet brings,
    /// where it is not the one that was known.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn read(
        value: &[u8],
        known: Option<&DependencyStructure>,
    ) -> Result<(Self, Option<Box<DependencyStructure>>), Unreadable> {
        let mut reading = Reading::of(value, known)?;
        let attached = reading.attached.take();
        let is_known = attached.as_deref() == known;
        reading.descriptor.structure = match &attached {
            None => StructureNews::None,
            Some(_) if is_known => StructureNews::Repeated,
            Some(_) => StructureNews::New,
        };
        Ok((reading.descriptor, attached.filter(|_| !is_known)))
    }
}

const MANDATORY_BYTES: usize = 3;

/// The flags before the extended fields (A.8.2).
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a bit of its own on the wire"
)]
struct Flags {
    structure: bool,
    active: bool,
    indications: bool,
    frame_diffs: bool,
    chains: bool,
}

impl Flags {
    fn parse(reader: &mut BitReader<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            structure: reader.bit()?,
            active: reader.bit()?,
            indications: reader.bit()?,
            frame_diffs: reader.bit()?,
            chains: reader.bit()?,
        })
    }
}

/// A descriptor with the places of its parts, in bits.
#[derive(Debug)]
struct Reading {
    descriptor: DependencyDescriptor,
    attached: Option<Box<DependencyStructure>>,
    flags: Flags,
    /// Where the flags end.
    flags_end: usize,
    /// Where the active decode targets are, or would be.
    active_at: usize,
    /// Where what follows them begins.
    rest_at: usize,
    /// Where the zeros of the padding begin.
    end: usize,
}

impl Reading {
    fn of(value: &[u8], known: Option<&DependencyStructure>) -> Result<Self, Unreadable> {
        let mandatory = Mandatory::parse(value)?;
        let mut reader = BitReader::new(value, 8 * MANDATORY_BYTES);
        // A.8.2: the flags are there where there is a fourth byte.
        let flags = if value.len() > MANDATORY_BYTES {
            Flags::parse(&mut reader)?
        } else {
            Flags::default()
        };
        let flags_end = reader.at();
        let attached = if flags.structure {
            Some(Box::new(DependencyStructure::parse(&mut reader)?))
        } else {
            None
        };
        let structure = attached
            .as_deref()
            .or(known)
            .ok_or(Unreadable::StructureUnknown)?;
        let active_at = reader.at();
        let active = if flags.active {
            Some(reader.u32(u32::from(structure.decode_targets()))?)
        } else {
            attached.is_some().then(|| structure.all_decode_targets())
        };
        let rest_at = reader.at();
        let Some(template) = structure.template(mandatory.template_id) else {
            return Err(if flags.structure {
                Unreadable::Malformed
            } else {
                Unreadable::StructureUnknown
            });
        };
        let dependencies = dependencies(&mut reader, flags, structure, template)?;
        let descriptor = DependencyDescriptor {
            mandatory,
            structure: StructureNews::None,
            active_decode_targets: active,
            layer: template.layer,
            dependencies,
            resolution: structure.resolution(template.layer.spatial),
        };
        Ok(Self {
            descriptor,
            flags,
            flags_end,
            active_at,
            rest_at,
            end: reader.at(),
            attached,
        })
    }
}

/// The template's, less what the packet says itself.
fn dependencies(
    reader: &mut BitReader<'_>,
    flags: Flags,
    structure: &DependencyStructure,
    template: &Template,
) -> Result<Dependencies, Unreadable> {
    let mut dependencies = template.dependencies.clone();
    if flags.indications {
        dependencies.indications = structure::indications(reader, structure.decode_targets())?;
    }
    if flags.frame_diffs {
        dependencies.frame_diffs.clear();
        loop {
            let size = reader.u32(2)?;
            if size == 0 {
                break;
            }
            let diff = reader.u16(4 * size)? + 1;
            push(&mut dependencies.frame_diffs, diff)?;
        }
    }
    if flags.chains {
        for diff in &mut dependencies.chain_diffs {
            *diff = reader.u8(8)?;
        }
    }
    Ok(dependencies)
}

fn push<T, const N: usize>(list: &mut ArrayVec<T, N>, value: T) -> Result<(), Unreadable> {
    list.try_push(value).map_err(|_| Unreadable::Malformed)
}

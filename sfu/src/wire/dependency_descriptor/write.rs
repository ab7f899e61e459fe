//! A descriptor written, and the two things in it a forwarder changes: the frame's number, where it
//! joins two sources of one picture to one sequence, and the active decode targets, where it
//! passes on only some of them (A.4).

use super::bits::BitWriter;
use super::structure::write_indications;
use super::{
    DependencyDescriptor, DependencyStructure, Flags, MANDATORY_BYTES, Reading, StructureNews,
    Template,
};

/// Puts another frame number into the extension's value. False where it is too short.
pub fn rewrite_frame_number(value: &mut [u8], frame_number: u16) -> bool {
    let Some([_, high, low]) = value.first_chunk_mut::<MANDATORY_BYTES>() else {
        return false;
    };
    [*high, *low] = frame_number.to_be_bytes();
    true
}

/// Writes the extension's value to `out` with other active decode targets, and all else as it is;
/// the length written, at most five bytes more than `value` has. `known` is the structure that was
/// in force before this packet. `None` where the value cannot be read, where it does not fit, or
/// where `active` names decode targets that do not exist.
#[must_use]
pub fn rewrite_active_decode_targets(
    value: &[u8],
    known: Option<&DependencyStructure>,
    active: u32,
    out: &mut [u8],
) -> Option<usize> {
    let reading = Reading::of(value, known).ok()?;
    let structure = reading.attached.as_deref().or(known)?;
    let mut out = BitWriter::new(out);
    out.copy(value, 0, 8 * MANDATORY_BYTES)?;
    let flags = Flags {
        active: true,
        ..reading.flags
    };
    flags.write(&mut out)?;
    out.copy(value, reading.flags_end, reading.active_at)?;
    out.put(active, u32::from(structure.decode_targets()))?;
    out.copy(value, reading.rest_at, reading.end)?;
    Some(out.bytes())
}

impl Flags {
    fn write(self, out: &mut BitWriter<'_>) -> Option<()> {
        out.bit(self.structure)?;
        out.bit(self.active)?;
        out.bit(self.indications)?;
        out.bit(self.frame_diffs)?;
        out.bit(self.chains)
    }

    const fn any(self) -> bool {
        self.structure || self.active || self.indications || self.frame_diffs || self.chains
    }
}

impl DependencyDescriptor {
    /// Writes it as the extension's value, in the shortest form that says it; the length, or `None`
    /// where it does not fit, in the room or to the structure. The structure is written along
    /// where the descriptor says that it brings one.
    #[must_use]
    pub fn write(&self, structure: &DependencyStructure, out: &mut [u8]) -> Option<usize> {
        let template = structure.template(self.mandatory.template_id)?;
        let flags = self.flags(structure, template);
        let mut out = BitWriter::new(out);
        out.bit(self.mandatory.starts_frame)?;
        out.bit(self.mandatory.ends_frame)?;
        out.put(u32::from(self.mandatory.template_id), 6)?;
        out.put(u32::from(self.mandatory.frame_number), 16)?;
        if !flags.any() {
            return Some(out.bytes());
        }
        flags.write(&mut out)?;
        if flags.structure {
            structure.write(&mut out)?;
        }
        if flags.active {
            let targets = u32::from(structure.decode_targets());
            out.put(self.active_decode_targets?, targets)?;
        }
        let own = &self.dependencies;
        if flags.indications {
            write_indications(&mut out, own.indications, structure.decode_targets())?;
        }
        if flags.frame_diffs {
            for &diff in &own.frame_diffs {
                let value = u32::from(diff).checked_sub(1)?;
                let size = (32 - value.leading_zeros()).div_ceil(4).max(1);
                out.put(size, 2)?;
                out.put(value, 4 * size)?;
            }
            out.put(0, 2)?;
        }
        if flags.chains {
            // The structure says how many there are.
            if own.chain_diffs.len() != template.dependencies.chain_diffs.len() {
                return None;
            }
            for &diff in &own.chain_diffs {
                out.put(u32::from(diff), 8)?;
            }
        }
        Some(out.bytes())
    }

    /// What the template does not say already.
    fn flags(&self, structure: &DependencyStructure, template: &Template) -> Flags {
        let (own, usual) = (&self.dependencies, &template.dependencies);
        let attached = self.structure != StructureNews::None;
        let implied = attached.then(|| structure.all_decode_targets());
        Flags {
            structure: attached,
            active: self.active_decode_targets.is_some() && self.active_decode_targets != implied,
            indications: own.indications != usual.indications,
            frame_diffs: own.frame_diffs != usual.frame_diffs,
            chains: own.chain_diffs != usual.chain_diffs,
        }
    }
}

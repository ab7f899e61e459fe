//! The template dependency structure (A.8.2, A.8.3): how many decode targets and chains there are,
//! and the templates that packets refer to. A key frame's first packet brings it.

use arrayvec::ArrayVec;

use super::bits::{BitReader, BitWriter};
use super::{Dependencies, Indication, Indications, Unreadable, push};
use crate::limits::{DECODE_TARGETS, DEPENDENCY_TEMPLATES, SPATIAL_LAYERS, TEMPORAL_LAYERS};
use crate::units::Layer;

/// What many frames have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// Spatial and temporal layer.
    pub layer: Layer,
    /// The dependencies; differences up to 16 frames, of chains up to 15.
    pub dependencies: Dependencies,
}

/// The size of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// In pixels, 1 to 65,536.
    pub width: u32,
    /// In pixels, 1 to 65,536.
    pub height: u32,
}

/// What the numbers in later descriptors mean. One that exists is consistent in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DependencyStructure {
    template_id_offset: u8,
    decode_targets: u8,
    templates: ArrayVec<Template, DEPENDENCY_TEMPLATES>,
    /// The chain of each decode target; empty where there are no chains.
    protected_by: ArrayVec<u8, DECODE_TARGETS>,
    /// By spatial layer, or empty.
    resolutions: ArrayVec<Resolution, SPATIAL_LAYERS>,
    /// By decode target: the highest layer of its templates.
    layers: ArrayVec<Layer, DECODE_TARGETS>,
    /// By decode target: those whose templates are all part of it too.
    within: ArrayVec<u32, DECODE_TARGETS>,
}

impl DependencyStructure {
    /// A structure of these parts; `protected_by` is empty where there are no chains,
    /// `resolutions` where none are told. `None` where the parts do not fit together or cannot be
    /// written.
    #[must_use]
    pub fn new(
        template_id_offset: u8,
        decode_targets: u8,
        templates: ArrayVec<Template, DEPENDENCY_TEMPLATES>,
        protected_by: ArrayVec<u8, DECODE_TARGETS>,
        resolutions: ArrayVec<Resolution, SPATIAL_LAYERS>,
    ) -> Option<Self> {
        let first = templates.first()?;
        let chains = first.dependencies.chain_diffs.len();
        let targets = usize::from(decode_targets);
        let known = u32::MAX.checked_shr(32 - u32::from(decode_targets).min(32))?;
        let fits = |template: &Template| {
            let Dependencies {
                indications,
                frame_diffs,
                chain_diffs,
            } = &template.dependencies;
            chain_diffs.len() == chains
                && chain_diffs.iter().all(|&diff| diff < 16)
                && frame_diffs.iter().all(|diff| (1..=16).contains(diff))
                && indications.present() & !known == 0
                && template.layer.temporal < TEMPORAL_LAYERS
        };
        let spatial = usize::from(templates.last()?.layer.spatial) + 1;
        let consistent = template_id_offset < 64
            && (1..=DECODE_TARGETS).contains(&targets)
            && first.layer == Layer::default()
            && templates.windows(2).all(|pair| next_layer(pair).is_some())
            && templates.iter().all(fits)
            && spatial <= SPATIAL_LAYERS
            && chains <= targets
            && protected_by.len() == if chains == 0 { 0 } else { targets }
            && protected_by
                .iter()
                .all(|&chain| usize::from(chain) < chains)
            && (resolutions.is_empty() || resolutions.len() == spatial)
            && resolutions.iter().all(|size| size.in_words().is_some());
        consistent.then(|| {
            let all = 0..decode_targets;
            let layers = all.clone().map(|target| layer_of(&templates, target));
            let within = all.map(|target| within(&templates, target) & known);
            Self {
                layers: layers.collect(),
                within: within.collect(),
                template_id_offset,
                decode_targets,
                templates,
                protected_by,
                resolutions,
            }
        })
    }

    /// How many decode targets there are, 1 to 32.
    #[must_use]
    pub const fn decode_targets(&self) -> u8 {
        self.decode_targets
    }

    /// All of them, as a mask.
    #[must_use]
    pub fn all_decode_targets(&self) -> u32 {
        u32::MAX >> (32 - u32::from(self.decode_targets))
    }

    /// The highest spatial and the highest temporal layer of a decode target (A.8.2,
    /// `decode_target_layers`).
    #[must_use]
    pub fn layer(&self, target: u8) -> Option<Layer> {
        self.layers.get(usize::from(target)).copied()
    }

    /// The decode targets that need no frame which `target` does not need, itself among them: who
    /// is sent this one has those too.
    #[must_use]
    pub fn within(&self, target: u8) -> u32 {
        let mask = self.within.get(usize::from(target));
        mask.copied().unwrap_or_default()
    }

    /// The chain that protects a decode target; `None` where there are no chains.
    #[must_use]
    pub fn chain(&self, target: u8) -> Option<u8> {
        self.protected_by.get(usize::from(target)).copied()
    }

    /// The template a packet means.
    #[must_use]
    pub fn template(&self, template_id: u8) -> Option<&Template> {
        let index = template_id.wrapping_sub(self.template_id_offset) & 0x3F;
        self.templates.get(usize::from(index))
    }

    /// The templates, and the number of the first; it counts on modulo 64.
    #[must_use]
    pub fn templates(&self) -> (u8, &[Template]) {
        (self.template_id_offset, &self.templates)
    }

    /// The largest picture of a spatial layer, where it is told.
    #[must_use]
    pub fn resolution(&self, spatial: u8) -> Option<Resolution> {
        self.resolutions.get(usize::from(spatial)).copied()
    }

    pub(super) fn parse(reader: &mut BitReader<'_>) -> Result<Self, Unreadable> {
        let template_id_offset = reader.u8(6)?;
        let decode_targets = reader.u8(5)? + 1;
        let mut templates = layers(reader)?;
        for template in &mut templates {
            template.dependencies.indications = indications(reader, decode_targets)?;
        }
        for template in &mut templates {
            while reader.bit()? {
                let diff = reader.u16(4)? + 1;
                push(&mut template.dependencies.frame_diffs, diff)?;
            }
        }
        let chains = reader.non_symmetric(decode_targets + 1)?;
        let mut protected_by = ArrayVec::new();
        if chains > 0 {
            for _ in 0..decode_targets {
                push(&mut protected_by, reader.non_symmetric(chains)?)?;
            }
            for template in &mut templates {
                for _ in 0..chains {
                    push(&mut template.dependencies.chain_diffs, reader.u8(4)?)?;
                }
            }
        }
        let mut resolutions = ArrayVec::new();
        if reader.bit()? {
            let spatial = templates.last().map_or(0, |last| last.layer.spatial);
            for _ in 0..=spatial {
                let width = reader.u32(16)? + 1;
                let height = reader.u32(16)? + 1;
                push(&mut resolutions, Resolution { width, height })?;
            }
        }
        Self::new(
            template_id_offset,
            decode_targets,
            templates,
            protected_by,
            resolutions,
        )
        .ok_or(Unreadable::Malformed)
    }

    pub(super) fn write(&self, out: &mut BitWriter<'_>) -> Option<()> {
        out.put(u32::from(self.template_id_offset), 6)?;
        out.put(u32::from(self.decode_targets).checked_sub(1)?, 5)?;
        for pair in self.templates.windows(2) {
            out.put(u32::from(next_layer(pair)?), 2)?;
        }
        out.put(u32::from(NO_MORE_LAYERS), 2)?;
        let all = self.templates.iter().map(|template| &template.dependencies);
        for dependencies in all.clone() {
            write_indications(out, dependencies.indications, self.decode_targets)?;
        }
        for dependencies in all.clone() {
            for &diff in &dependencies.frame_diffs {
                out.bit(true)?;
                out.put(u32::from(diff).checked_sub(1)?, 4)?;
            }
            out.bit(false)?;
        }
        let chains = self.templates.first()?.dependencies.chain_diffs.len();
        let chains = u8::try_from(chains).ok()?;
        out.non_symmetric(chains, self.decode_targets + 1)?;
        for &chain in &self.protected_by {
            out.non_symmetric(chain, chains)?;
        }
        for dependencies in all {
            for &diff in &dependencies.chain_diffs {
                out.put(u32::from(diff), 4)?;
            }
        }
        out.bit(!self.resolutions.is_empty())?;
        for resolution in &self.resolutions {
            let [width, height] = resolution.in_words()?;
            out.put(u32::from(width), 16)?;
            out.put(u32::from(height), 16)?;
        }
        Some(())
    }
}

impl Resolution {
    /// As it is on the wire, one less.
    fn in_words(self) -> Option<[u16; 2]> {
        let word = |pixels: u32| u16::try_from(pixels.checked_sub(1)?).ok();
        Some([word(self.width)?, word(self.height)?])
    }
}

const SAME_LAYER: u8 = 0;
const NEXT_TEMPORAL_LAYER: u8 = 1;
const NEXT_SPATIAL_LAYER: u8 = 2;
const NO_MORE_LAYERS: u8 = 3;

/// `template_layers`: each template's layer by what it is to the one before (table A.2).
fn layers(
    reader: &mut BitReader<'_>,
) -> Result<ArrayVec<Template, DEPENDENCY_TEMPLATES>, Unreadable> {
    let mut templates = ArrayVec::new();
    let mut layer = Layer::default();
    loop {
        let template = Template {
            layer,
            ..Template::default()
        };
        push(&mut templates, template)?;
        match reader.u8(2)? {
            SAME_LAYER => {}
            NEXT_TEMPORAL_LAYER => layer.temporal += 1,
            NEXT_SPATIAL_LAYER => {
                layer.temporal = 0;
                layer.spatial += 1;
            }
            _ => return Ok(templates),
        }
    }
}

/// The second template's layer by what it is to the first's.
fn next_layer(pair: &[Template]) -> Option<u8> {
    let [before, after] = pair else {
        return None;
    };
    let (before, after) = (before.layer, after.layer);
    if after == before {
        Some(SAME_LAYER)
    } else if after.spatial == before.spatial && after.temporal == before.temporal + 1 {
        Some(NEXT_TEMPORAL_LAYER)
    } else if after.spatial == before.spatial + 1 && after.temporal == 0 {
        Some(NEXT_SPATIAL_LAYER)
    } else {
        None
    }
}

pub(super) fn indications(
    reader: &mut BitReader<'_>,
    decode_targets: u8,
) -> Result<Indications, Unreadable> {
    let mut indications = Indications::default();
    for target in 0..decode_targets {
        indications.set(target, Indication::from_bits(reader.u32(2)?.into()));
    }
    Ok(indications)
}

pub(super) fn write_indications(
    out: &mut BitWriter<'_>,
    indications: Indications,
    decode_targets: u8,
) -> Option<()> {
    (0..decode_targets)
        .try_for_each(|target| out.put(u32::from(indications.get(target).to_bits()), 2))
}

fn layer_of(templates: &[Template], target: u8) -> Layer {
    let mut highest = Layer::default();
    for template in templates {
        if template.dependencies.indications.get(target) != Indication::NotPresent {
            highest.spatial = highest.spatial.max(template.layer.spatial);
            highest.temporal = highest.temporal.max(template.layer.temporal);
        }
    }
    highest
}

fn within(templates: &[Template], target: u8) -> u32 {
    let mut within = u32::MAX;
    for template in templates {
        let indications = template.dependencies.indications;
        if indications.get(target) == Indication::NotPresent {
            within &= !indications.present();
        }
    }
    within
}

//! The layers of one track worth having: each costs more than the one below and is worth more.
//!
//! Worth is weight x size x motion, both concave in what is given of what is wanted, so that the
//! first bits of each tile count most. All in integers: the same everywhere, to the last bit.

use arrayvec::ArrayVec;

use super::claim::{Claim, Layer};
use crate::limits::LAYERS_PER_TRACK;

/// One layer worth having.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Its place among the claim's layers.
    pub(super) layer: u8,
    /// Spatial and temporal, to be found again if the layers change.
    pub(super) name: (u8, u8),
    /// Bits per second.
    pub(super) cost: u64,
    pub(super) utility: u64,
}

/// Layers by cost. *Level* 0 is nothing, level 1 the first step.
#[derive(Clone, Debug, Default)]
pub(super) struct Ladder {
    steps: ArrayVec<Step, LAYERS_PER_TRACK>,
    /// The wanted height, where something flows that is larger.
    pub(super) cut_at: Option<u16>,
}

/// Pictures per second below which a larger picture is not worth its stutter. Well below 15, which
/// is what half of a camera's rate is: measured it comes out as 14 or 16 now and then, and a layer
/// that is worth having every other second would make the picture flip.
const SMOOTH_FPS: u8 = 12;
/// The same of a slow camera's rate, in fifths: half of it is no stutter.
const SMOOTH_FIFTHS: u8 = 2;
/// Shares of motion are told apart in twelfths: halves, thirds and quarters are exact, and what a
/// measure of pictures a second is off by does not show. Half the pictures of the full size are
/// worth exactly what all of half the size are, so every tremble would make the picture flip.
const MOTION_PARTS: u32 = 12;
/// Taller than any video; keeps its square within 28 bits.
const HEIGHT_MAX: u32 = 16_000;
/// Binary places of a track's scale; a weight has at most 15.
const SCALE_PLACES: u32 = 44;
/// Binary places dropped from the product, so that 8 remain.
const PRODUCT_PLACES: u32 = 36;

impl Ladder {
    /// The steps of a claim; none where it is hidden or nothing flows.
    pub(super) fn new(claim: &Claim<'_>) -> Self {
        let mut ladder = Self::default();
        if claim.is_hidden {
            return ladder;
        }
        let Some(span) = Span::of(claim.layers, u16::MAX) else {
            return ladder;
        };
        let height_max = match claim.wanted_height {
            0 => u16::MAX,
            wanted => fitting(claim.layers, wanted).max(span.lowest),
        };
        let mut wanted = span;
        if span.highest > height_max {
            ladder.cut_at = Some(claim.wanted_height);
            wanted = Span::of(claim.layers, height_max).unwrap_or(span);
        }
        let worth = Worth::new(claim, &wanted);
        let fps_least = if claim.weight.is_screen_share {
            0
        } else {
            SMOOTH_FPS.min(span.fps / 5 * SMOOTH_FIFTHS)
        };
        for (place, layer) in flowing(claim.layers) {
            let stutters = layer.height > span.lowest && layer.fps < fps_least;
            if layer.height <= height_max && !stutters {
                ladder.insert(place, layer, worth.of(layer));
            }
        }
        ladder
    }

    /// Keeps the steps in order of cost, and none that costs more without being worth more.
    fn insert(&mut self, place: u8, layer: &Layer, utility: u64) {
        let step = Step {
            layer: place,
            name: (layer.spatial, layer.temporal),
            cost: layer.bitrate.as_bps(),
            utility,
        };
        if self.steps.is_full() {
            return;
        }
        // Nearly always they come in order.
        let last = self.steps.last().copied().unwrap_or_default();
        if last.cost < step.cost {
            if last.utility < utility {
                self.steps.push(step);
            }
            return;
        }
        let beaten = |other: &Step| other.cost >= step.cost && other.utility <= utility;
        self.steps.retain(|other| !beaten(other));
        let at = self.affordable(step.cost);
        if self.utility(at) < utility {
            self.steps.insert(at, step);
        }
    }

    /// The highest level.
    pub(super) fn top(&self) -> usize {
        self.steps.len()
    }

    /// What is at a level; nothing at level 0.
    pub(super) fn step(&self, level: usize) -> Option<&Step> {
        self.steps.get(level.checked_sub(1)?)
    }

    /// The steps above a level, to at most `ceiling`, each with its level.
    pub(super) fn above(
        &self,
        level: usize,
        ceiling: usize,
    ) -> impl Iterator<Item = (usize, &Step)> {
        let steps = self.steps.get(..ceiling.min(self.steps.len()));
        let steps = steps.and_then(|steps| steps.get(level..));
        (level + 1..).zip(steps.unwrap_or_default())
    }

    /// Bits per second of a level.
    pub(super) fn cost(&self, level: usize) -> u64 {
        self.step(level).map_or(0, |step| step.cost)
    }

    /// What a level is worth.
    pub(super) fn utility(&self, level: usize) -> u64 {
        self.step(level).map_or(0, |step| step.utility)
    }

    /// The highest level that costs at most `cost`.
    pub(super) fn affordable(&self, cost: u64) -> usize {
        let dear = self.steps.iter().rev().take_while(|step| step.cost > cost);
        self.steps.len() - dear.count()
    }
}

/// The height worth having for a picture shown at `wanted`: no more than that, unless what there is
/// up to it would be blown up by more than a third, which is seen.
fn fitting(layers: &[Layer], wanted: u16) -> u16 {
    let heights = || flowing(layers).map(|(_, layer)| layer.height);
    let below = heights().filter(|&height| height <= wanted).max();
    let above = heights().filter(|&height| height > wanted).min();
    match (below, above) {
        (Some(below), Some(above)) if u32::from(below) * 4 < u32::from(wanted) * 3 => above,
        _ => wanted,
    }
}

/// Layers that can be given, each with its place.
fn flowing(layers: &[Layer]) -> impl Iterator<Item = (u8, &Layer)> {
    let layers = (0..).zip(layers).take(LAYERS_PER_TRACK);
    layers.filter(|(_, layer)| layer.bitrate.as_bps() > 0)
}

/// What flows, from the lowest to the best.
#[derive(Clone, Copy, Debug)]
struct Span {
    lowest: u16,
    highest: u16,
    fps: u8,
}

impl Span {
    /// Of the layers up to a height.
    fn of(layers: &[Layer], height_max: u16) -> Option<Self> {
        let mut span = Self {
            lowest: u16::MAX,
            highest: 0,
            fps: 0,
        };
        let mut is_empty = true;
        for (_, layer) in flowing(layers).filter(|(_, layer)| layer.height <= height_max) {
            is_empty = false;
            span.lowest = layer.height.min(span.lowest);
            span.highest = layer.height.max(span.highest);
            span.fps = layer.fps.max(span.fps);
        }
        (!is_empty).then_some(span)
    }
}

/// Measures layers of one track against the best that is wanted of it.
struct Worth {
    /// Weight over what the product below is at its most, less one height.
    scale: u64,
    height: u32,
    fps: u32,
    is_screen_share: bool,
}

impl Worth {
    fn new(claim: &Claim<'_>, wanted: &Span) -> Self {
        let weight = claim.weight.factor();
        let height = u32::from(wanted.highest).clamp(1, HEIGHT_MAX);
        let fps = u32::from(wanted.fps).max(1);
        let most = 4 * u64::from(height) * u64::from(MOTION_PARTS * MOTION_PARTS);
        Self {
            scale: (u64::from(weight) << SCALE_PLACES) / most,
            height,
            fps,
            is_screen_share: claim.weight.is_screen_share,
        }
    }

    /// Parabolas that reach their top, and flatten there, at what is wanted: with `x` the share
    /// given, `1 - (1 - x)^2`. Size is multiplied by the wanted height, so that a large tile
    /// outweighs a small one; motion is a factor of at most one, and for a screen of at least
    /// three quarters.
    fn of(&self, layer: &Layer) -> u64 {
        let given = u32::from(layer.height).clamp(1, self.height);
        let size = given * (2 * self.height - given);
        let given = u32::from(layer.fps).clamp(1, self.fps);
        let given = (2 * given * MOTION_PARTS + self.fps) / (2 * self.fps);
        let given = given.clamp(1, MOTION_PARTS);
        let motion = given * (2 * MOTION_PARTS - given);
        let motion = if self.is_screen_share {
            3 * MOTION_PARTS * MOTION_PARTS + motion
        } else {
            4 * motion
        };
        let product = u64::from(size) * u64::from(motion);
        let utility = (u128::from(product) * u128::from(self.scale)) >> PRODUCT_PLACES;
        u64::try_from(utility).unwrap_or(u64::MAX).max(1)
    }
}

//! What each layer of an encoding carries, with all it leans on: its share of the bytes, its
//! pictures a second, its height. Measured in steps, evened out over a few.

use arrayvec::ArrayVec;

use crate::limits::{LAYERS_PER_TRACK, MEASURED_LAYERS};
use crate::router::decode_target::Frames;
use crate::units::Layer;

/// Spatial and temporal layers that are told apart, of each; what lies above counts as the last.
const SIDE: usize = MEASURED_LAYERS;
/// Pictures a second are evened out over so many steps.
const STEPS_EVENED: u8 = 7;
/// A layer that has not been seen for so many steps is gone.
const STEPS_GONE: u8 = 6;

/// One layer, in its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) layer: Layer,
    /// Of the encoding's bytes, in 1,024ths.
    pub(super) share: u64,
    pub(super) fps: u8,
    /// Zero: unknown.
    pub(super) height: u16,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    bytes: u64,
    frames: u64,
    /// Of the newest of them.
    timestamp: Option<u32>,
    /// Of the last steps.
    usual_bytes: u64,
    /// In 256ths of a frame.
    usual_frames: u64,
    /// Steps that made `usual_frames` what it is.
    steps: u8,
    /// Steps since something of this very layer came.
    silent: u8,
}

/// The layers of an encoding.
#[derive(Clone, Debug, Default)]
pub(super) struct Rates {
    /// By layer: what is of it and of no higher one.
    cells: [[Cell; SIDE]; SIDE],
    heights: [u16; SIDE],
    /// Of spatial layers only the highest passes, but in key frames.
    is_alone: bool,
}

impl Rates {
    /// A packet of `layer` came; packets of one timestamp are one picture.
    pub(super) fn count(&mut self, layer: Layer, bytes: usize, timestamp: u32) {
        let row = self.cells.get_mut(usize::from(layer.spatial).min(SIDE - 1));
        let cell = row.and_then(|row| row.get_mut(usize::from(layer.temporal).min(SIDE - 1)));
        if let Some(cell) = cell {
            cell.bytes += bytes as u64;
            let is_next = cell.timestamp.replace(timestamp) != Some(timestamp);
            cell.frames += u64::from(is_next);
        }
    }

    /// A key frame told the height of a spatial layer.
    pub(super) fn learn_height(&mut self, spatial: u8, height: u16) {
        if let Some(known) = self.heights.get_mut(usize::from(spatial)) {
            *known = height;
        }
    }

    /// A key frame told of the layers.
    pub(super) fn learn(&mut self, frames: &Frames) {
        self.is_alone = frames.leans_in_keyframes_only();
        for (known, spatial) in self.heights.iter_mut().zip(0..) {
            let size = frames
                .structure()
                .and_then(|found| found.resolution(spatial));
            let height = size.and_then(|size| u16::try_from(size.height).ok());
            *known = height.unwrap_or(*known);
        }
    }

    /// A step has ended. `is_off`: nothing is to come, by our own wish; what was switched off flows as
    /// it used to when it comes again.
    pub(super) fn step(&mut self, is_off: bool) {
        if is_off && self.cells.iter().flatten().all(|cell| cell.bytes == 0) {
            return;
        }
        for cell in self.cells.iter_mut().flatten() {
            let is_new = cell.usual_bytes == 0 && cell.usual_frames == 0;
            let frames = cell.frames * 256;
            if is_new {
                (cell.usual_bytes, cell.usual_frames) = (cell.bytes, frames);
            } else {
                cell.usual_bytes = (cell.usual_bytes * 3 + cell.bytes) / 4;
                // An encoder leaves pictures out for a second behind a key frame: that makes no
                // slow camera.
                let known = u64::from(cell.steps);
                cell.usual_frames =
                    (cell.usual_frames * known + frames + known.div_ceil(2)) / (known + 1);
            }
            cell.steps = (cell.steps + 1).min(STEPS_EVENED);
            cell.silent = if cell.bytes > 0 {
                0
            } else {
                cell.silent.saturating_add(1)
            };
            if cell.silent >= STEPS_GONE {
                (cell.usual_bytes, cell.usual_frames, cell.steps) = (0, 0, 0);
            }
            (cell.bytes, cell.frames) = (0, 0);
        }
    }

    /// Nothing is known any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The highest layer that flows.
    pub(super) fn top(&self) -> Layer {
        let mut top = Layer::default();
        for (row, spatial) in self.cells.iter().zip(0..) {
            for (cell, temporal) in row.iter().zip(0..) {
                if cell.usual_bytes > 0 {
                    top.spatial = top.spatial.max(spatial);
                    top.temporal = top.temporal.max(temporal);
                }
            }
        }
        top
    }

    /// The layers that flow, lowest first; a step lasts `step` milliseconds. Of what has not flowed a step yet
    /// one layer is told, which is all of it.
    pub(super) fn layers(&self, step: u64) -> ArrayVec<Rate, LAYERS_PER_TRACK> {
        let mut rates = ArrayVec::new();
        let top = self.top();
        let cells = self.cells.iter().flatten();
        let all = cells.map(|cell| cell.usual_bytes).sum::<u64>().max(1);
        for spatial in 0..=top.spatial {
            for temporal in 0..=top.temporal {
                let layer = Layer { spatial, temporal };
                let (bytes, frames) = self.below(layer);
                let per_second = frames * 1_000 / step.max(1);
                let rate = Rate {
                    layer,
                    share: if layer == top && (!self.is_alone || top.spatial == 0) {
                        1_024
                    } else {
                        bytes * 1_024 / all
                    },
                    fps: u8::try_from((per_second + 128) / 256).unwrap_or(u8::MAX),
                    height: self.height(spatial),
                };
                // Beyond the bound the highest are not given, which are told last.
                let _full = rates.try_push(rate);
            }
        }
        rates
    }

    /// Of the largest picture; 0: not known.
    pub(super) fn tallest(&self) -> u16 {
        self.heights.iter().copied().max().unwrap_or_default()
    }

    fn height(&self, spatial: u8) -> u16 {
        let known = self.heights.get(usize::from(spatial)).copied();
        known.unwrap_or_default()
    }

    /// Bytes and pictures of a layer and all below it.
    fn below(&self, layer: Layer) -> (u64, u64) {
        let (mut bytes, mut frames) = (0, 0);
        let skipped = if self.is_alone { layer.spatial } else { 0 };
        let rows = self.cells.iter().take(usize::from(layer.spatial) + 1);
        for (row, spatial) in rows.zip(0_u8..).skip(usize::from(skipped)) {
            for cell in row.iter().take(usize::from(layer.temporal) + 1) {
                bytes += cell.usual_bytes;
                if spatial == layer.spatial {
                    frames += cell.usual_frames;
                }
            }
        }
        (bytes, frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: u64 = 500;

    fn layer(spatial: u8, temporal: u8) -> Layer {
        Layer { spatial, temporal }
    }

    #[test]
    fn each_layer_is_told_with_what_it_leans_on() {
        let mut rates = Rates::default();
        rates.learn_height(1, 720);
        for step in 0..4 {
            for picture in 0..15 {
                let temporal = picture % 2;
                let at = step * 15 + u32::from(picture);
                rates.count(layer(0, temporal), 100, at);
                rates.count(layer(1, temporal), 200, at);
                rates.count(layer(1, temporal), 100, at);
            }
            rates.step(false);
        }
        let told: Vec<_> = rates
            .layers(STEP)
            .iter()
            .map(|rate| (rate.layer, rate.share, rate.fps, rate.height))
            .collect();
        assert_eq!(
            told,
            [
                (layer(0, 0), 136, 16, 0),
                (layer(0, 1), 256, 30, 0),
                (layer(1, 0), 546, 16, 720),
                (layer(1, 1), 1_024, 30, 720),
            ]
        );
        for _ in 0..STEPS_GONE {
            rates.count(layer(0, 0), 100, 0);
            rates.step(false);
        }
        assert_eq!(
            rates.top(),
            layer(0, 0),
            "what is not sent any more is gone"
        );
    }

    #[test]
    fn what_was_switched_off_is_known_as_it_was() {
        let mut rates = Rates::default();
        for picture in 0..8 {
            let temporal = u8::try_from(picture % 2).unwrap_or_default();
            rates.count(layer(0, temporal), 100, picture);
        }
        rates.step(false);
        let before = rates.layers(STEP);
        assert_eq!(
            before.last().map(|it| (it.layer, it.fps)),
            Some((layer(0, 1), 16))
        );
        for _ in 0..100 {
            rates.step(true);
        }
        assert_eq!(rates.layers(STEP), before);
        for _ in 0..STEPS_GONE {
            rates.step(false);
        }
        assert_eq!(rates.top(), layer(0, 0), "what stopped by itself is not");
    }

    #[test]
    fn what_has_not_flowed_is_one_layer() {
        let told = Rates::default().layers(STEP);
        let shares: Vec<_> = told.iter().map(|rate| (rate.layer, rate.share)).collect();
        assert_eq!(shares, [(layer(0, 0), 1_024)]);
    }
}

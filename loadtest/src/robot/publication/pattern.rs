//! What the frames of an encoding lean on: temporal layers as encoders make them, spatial ones over
//! them.

use sfu::units::Layer;

use crate::media::Unit;

/// Temporal layer, the frames it leans on (so many before it), whether one may go up there by
/// VP8's Y and by VP9's U.
///
/// Eight pictures. The second of layer 1 leans on the first one too, so it is no place to go up;
/// and so the base picture before it says nothing of what comes after it.
const PATTERN: [(u8, [u8; 3], bool, bool); 8] = [
    (0, [4, 0, 0], false, true),
    (2, [1, 0, 0], true, false),
    (1, [2, 0, 0], true, true),
    (2, [1, 3, 0], false, false),
    (0, [4, 0, 0], false, false),
    (2, [1, 0, 0], true, false),
    (1, [2, 4, 0], false, true),
    (2, [1, 3, 0], false, false),
];

/// How the pictures of one encoding lean on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Each on the one before it; nothing is said of layers.
    Chain,
    /// Three temporal layers, told by VP8 (`Y`) or VP9 (`U`).
    Temporal {
        /// By U.
        is_vp9: bool,
    },
    /// Three temporal and three spatial layers.
    Spatial {
        /// A layer leans on the one below in key pictures only.
        in_keys_only: bool,
    },
}

impl Shape {
    /// Layers of each picture.
    pub(super) const fn spatial_layers(self) -> u8 {
        match self {
            Self::Chain | Self::Temporal { .. } => 1,
            Self::Spatial { .. } => 3,
        }
    }

    /// What one layer of the picture that is `place` pictures behind a key picture is.
    pub(super) fn unit(self, place: u32, spatial: u8) -> Unit {
        let keyframe = place == 0;
        let in_pattern = usize::try_from(place % 8).unwrap_or(0);
        let told = PATTERN.get(in_pattern).copied().unwrap_or_default();
        let (temporal, leans, goes_up, leaves_open) = told;
        let leans = if keyframe { [0; 3] } else { leans };
        match self {
            Self::Chain => Unit {
                leans: [u8::from(!keyframe), 0, 0],
                ..Unit::default()
            },
            Self::Temporal { is_vp9 } => Unit {
                layer: Layer {
                    spatial: 0,
                    temporal,
                },
                spatial_layers: 1,
                leans,
                is_switch: if is_vp9 { leaves_open } else { goes_up },
                ..Unit::default()
            },
            Self::Spatial { in_keys_only } => Unit {
                layer: Layer { spatial, temporal },
                spatial_layers: 3,
                leans,
                leans_below: spatial > 0 && (keyframe || !in_keys_only),
                is_switch: leaves_open,
                ..Unit::default()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leans_on_a_higher_layer_and_a_place_to_go_up_leans_on_nothing_that_may_be_missing() {
        let shape = Shape::Temporal { is_vp9: false };
        for place in 0..64 {
            let unit = shape.unit(place, 0);
            let leans = unit.leans.iter().filter(|lean| **lean > 0);
            let below = leans.map(|lean| shape.unit(place - u32::from(*lean), 0).layer.temporal);
            let highest = below.max().unwrap_or(0);
            assert!(highest <= unit.layer.temporal, "{place}");
            // RFC 7741 §4.2: Y leans on the base layer alone.
            assert!(!unit.is_switch || highest == 0, "{place}");
        }
        // RFC 9628 §4.2: behind a picture with U nothing higher leans on what is higher and before.
        let shape = Shape::Temporal { is_vp9: true };
        for place in (0..64).filter(|place| shape.unit(*place, 0).is_switch) {
            let base = shape.unit(place, 0).layer.temporal;
            for later in place + 1..place + 16 {
                let unit = shape.unit(later, 0);
                let leans = unit.leans.iter().filter(|lean| **lean > 0);
                let before = leans.map(|lean| later - u32::from(*lean));
                let mut before = before.filter(|on| *on < place);
                let is_higher = |on: u32| shape.unit(on, 0).layer.temporal > base;
                assert!(
                    unit.layer.temporal <= base || !before.any(is_higher),
                    "{place} {later}"
                );
            }
        }
    }
}

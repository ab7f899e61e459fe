//! What the dependency descriptor (AV1 RTP payload specification, appendix A) says of the frames of a
//! shape with spatial layers: worked out from what leans on what.

use sfu::units::Layer;
use sfu::wire::dependency_descriptor::{
    Dependencies, DependencyDescriptor, DependencyStructure, Indication, Mandatory, Resolution,
    StructureNews, Template, URI, Unreadable,
};
use str0m::rtp::{Extension, ExtensionSerializer, ExtensionValues};

use super::pattern::Shape;
use crate::media::Stamp;

/// Spatial and temporal layers.
const LAYERS: u8 = 3;
/// Pictures behind a key picture until what leans on what repeats itself.
const PERIOD: u32 = 8;
/// The longest that a descriptor with its structure can be here.
const BYTES_MAX: usize = 255;

/// The extension's value, as it is on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::robot) struct Value(pub(in crate::robot) Vec<u8>);

/// Carries [`Value`]s.
#[derive(Debug)]
struct Carrier;

/// For the stack's configuration.
pub(in crate::robot) fn extension() -> Extension {
    Extension::with_serializer(URI, Carrier)
}

impl ExtensionSerializer for Carrier {
    fn write_to(&self, out: &mut [u8], values: &ExtensionValues) -> usize {
        let Some(Value(bytes)) = values.user_values.get::<Value>() else {
            return 0;
        };
        match out.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                bytes.len()
            }
            None => 0,
        }
    }

    fn parse_value(&self, bytes: &[u8], values: &mut ExtensionValues) -> bool {
        values.user_values.set(Value(bytes.to_vec()));
        true
    }

    fn is_video(&self) -> bool {
        true
    }

    fn is_audio(&self) -> bool {
        false
    }

    // RFC 8285 §4.2: the one-byte form takes 16 bytes at most.
    fn requires_two_byte_form(&self, values: &ExtensionValues) -> bool {
        let value = values.user_values.get::<Value>();
        value.is_some_and(|Value(bytes)| bytes.len() > 16)
    }
}

/// Describes the frames of one encoding.
#[derive(Debug)]
pub(super) struct Describer {
    structure: DependencyStructure,
    /// The template of each frame of the first [`PERIOD`] pictures and of those that follow, by
    /// picture and spatial layer.
    templates: Vec<u8>,
}

impl Describer {
    /// For frames of this shape; the lowest picture has so many lines.
    pub(super) fn new(shape: Shape, lines: u16) -> Option<Self> {
        let frames = Frames { shape };
        let all = 0..2 * PERIOD * u32::from(LAYERS);
        let said: Vec<_> = all
            .map(|frame| (frames.layer(frame), frames.dependencies(frame)))
            .collect();
        let mut distinct: Vec<_> = Vec::new();
        for one in &said {
            if !distinct.contains(one) {
                distinct.push(one.clone());
            }
        }
        distinct.sort_by_key(|(layer, _)| (layer.spatial, layer.temporal));
        let place = |one| distinct.iter().position(|known| known == one);
        let templates: Option<Vec<u8>> = said
            .iter()
            .map(|one| place(one).and_then(|at| u8::try_from(at).ok()))
            .collect();
        let templates = templates?;
        let sizes = (0..LAYERS).map(|spatial| {
            let height = u32::from(lines) << spatial;
            Resolution {
                width: height * 4 / 3,
                height,
            }
        });
        let rows = distinct.iter().map(|(layer, dependencies)| Template {
            layer: *layer,
            dependencies: dependencies.clone(),
        });
        let structure = DependencyStructure::new(
            0,
            LAYERS * LAYERS,
            rows.collect(),
            targets().map(|target| target.spatial).collect(),
            sizes.collect(),
        )?;
        Some(Self {
            structure,
            templates,
        })
    }

    /// What is said of a packet, whose picture is `place` behind a key picture and the `picture`-th of
    /// its encoding.
    pub(super) fn describe(&self, stamp: &Stamp, place: u32, picture: u32) -> Option<Value> {
        let in_table = if place < PERIOD {
            place
        } else {
            PERIOD + place % PERIOD
        };
        let layers = u32::from(LAYERS);
        let spatial = u32::from(stamp.unit.layer.spatial);
        let at = usize::try_from(in_table * layers + spatial).ok()?;
        let template_id = *self.templates.get(at)?;
        let descriptor = DependencyDescriptor {
            mandatory: Mandatory {
                starts_frame: stamp.packet == 0,
                ends_frame: stamp.ends(),
                template_id,
                frame_number: number(picture, stamp.unit.layer.spatial),
            },
            structure: if stamp.starts() {
                StructureNews::New
            } else {
                StructureNews::None
            },
            layer: stamp.unit.layer,
            dependencies: self.structure.template(template_id)?.dependencies.clone(),
            ..DependencyDescriptor::default()
        };
        let mut value = vec![0; BYTES_MAX];
        let len = descriptor.write(&self.structure, &mut value)?;
        value.truncate(len);
        Some(Value(value))
    }
}

/// What the descriptors of one outgoing stream have told so far. Its frames are numbered with one
/// offset to their publisher's numbers until a key frame begins it anew.
#[derive(Debug, Default)]
pub(in crate::robot) struct Description {
    structure: Option<Box<DependencyStructure>>,
    offset: Option<u16>,
}

impl Description {
    /// Whether a value is what a packet needs. Until the first structure came, which may be lost,
    /// nothing need be told; a packet that a decoder can start with brings one.
    pub(in crate::robot) fn tells(&mut self, value: Option<&Value>, stamp: &Stamp) -> bool {
        let was_known = self.structure.is_some();
        let Some(Value(value)) = value else {
            return !was_known && !stamp.starts();
        };
        match DependencyDescriptor::parse(value, &mut self.structure) {
            Ok(read) => self.is_of(&read, stamp),
            Err(Unreadable::StructureUnknown) => !was_known && !stamp.starts(),
            Err(Unreadable::Malformed) => false,
        }
    }

    fn is_of(&mut self, read: &DependencyDescriptor, stamp: &Stamp) -> bool {
        let unit = &stamp.unit;
        let number = number(stamp.frame, unit.layer.spatial);
        let offset = read.mandatory.frame_number.wrapping_sub(number);
        if stamp.starts() {
            self.offset = Some(offset);
        }
        let leans = unit.leans.iter().filter(|lean| **lean > 0);
        let own = leans.map(|lean| u16::from(*lean) * u16::from(LAYERS));
        let leans = own.chain(unit.leans_below.then_some(1));
        let present = read.dependencies.indications.present();
        read.layer == unit.layer
            && read.mandatory.starts_frame == (stamp.packet == 0)
            && read.mandatory.ends_frame == stamp.ends()
            && (read.structure != StructureNews::None) == stamp.starts()
            && *self.offset.get_or_insert(offset) == offset
            && leans.eq(read.dependencies.frame_diffs.iter().copied())
            && read
                .active_decode_targets
                .is_none_or(|active| present & active != 0)
    }
}

/// Of a frame, as its publisher numbers it.
fn number(picture: u32, spatial: u8) -> u16 {
    let number = picture
        .wrapping_mul(u32::from(LAYERS))
        .wrapping_add(u32::from(spatial));
    let [.., high, low] = number.to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// Decode targets, the best first.
fn targets() -> impl Iterator<Item = Layer> {
    (0..LAYERS).rev().flat_map(|spatial| {
        let all = (0..LAYERS).rev();
        all.map(move |temporal| Layer { spatial, temporal })
    })
}

/// The frames of a shape from a key picture on, counted layer by layer.
struct Frames {
    shape: Shape,
}

impl Frames {
    fn parts(frame: u32) -> (u32, u8) {
        let layers = u32::from(LAYERS);
        let spatial = u8::try_from(frame % layers).unwrap_or(0);
        (frame / layers, spatial)
    }

    fn layer(&self, frame: u32) -> Layer {
        let (place, spatial) = Self::parts(frame);
        self.shape.unit(place, spatial).layer
    }

    /// The frames that one leans on.
    fn leans(&self, frame: u32) -> Vec<u32> {
        let (place, spatial) = Self::parts(frame);
        let unit = self.shape.unit(place, spatial);
        let own = unit.leans.iter().filter(|lean| **lean > 0);
        let own = own.map(|lean| frame.saturating_sub(u32::from(*lean) * u32::from(LAYERS)));
        let below = unit.leans_below.then(|| frame.saturating_sub(1));
        own.chain(below).collect()
    }

    /// Whether a frame of a lower spatial layer is of use to those above.
    fn serves_above(&self, place: u32) -> bool {
        self.shape.unit(place, 1).leans_below
    }

    fn is_part(&self, frame: u32, target: Layer) -> bool {
        let (place, spatial) = Self::parts(frame);
        let is_above = spatial < target.spatial && self.serves_above(place);
        self.layer(frame).temporal <= target.temporal && (spatial == target.spatial || is_above)
    }

    /// Everything that is needed for a frame, and it.
    fn needed(&self, frame: u32) -> Vec<u32> {
        let mut found = vec![frame];
        let mut next = 0;
        while let Some(&one) = found.get(next) {
            for lean in self.leans(one) {
                if !found.contains(&lean) {
                    found.push(lean);
                }
            }
            next += 1;
        }
        found
    }

    /// Table A.1.
    fn indication(&self, frame: u32, target: Layer) -> Indication {
        if !self.is_part(frame, target) {
            return Indication::NotPresent;
        }
        let later = frame + 1..=frame + 2 * PERIOD * u32::from(LAYERS);
        let later = later.filter(|later| self.is_part(*later, target));
        let leans: Vec<u32> = later.flat_map(|later| self.leans(later)).collect();
        if !leans.contains(&frame) {
            return Indication::Discardable;
        }
        let needed = self.needed(frame);
        let mut before = leans.into_iter().filter(|lean| *lean < frame);
        if before.all(|lean| needed.contains(&lean)) {
            Indication::Switch
        } else {
            Indication::Required
        }
    }

    /// How many frames back the last one of a chain is: each spatial layer has one, of base pictures.
    fn chain_diff(&self, frame: u32, spatial: u8) -> u8 {
        let chain = Layer {
            spatial,
            temporal: 0,
        };
        let mut before = (0..frame).rev();
        let last = before.find(|before| self.is_part(*before, chain));
        last.map_or(0, |last| u8::try_from(frame - last).unwrap_or(u8::MAX))
    }

    fn dependencies(&self, frame: u32) -> Dependencies {
        let mut found = Dependencies::default();
        for (target, number) in targets().zip(0..) {
            let indication = self.indication(frame, target);
            found.indications.set(number, indication);
        }
        let diffs = self.leans(frame).into_iter().map(|lean| frame - lean);
        found.frame_diffs = diffs.filter_map(|diff| u16::try_from(diff).ok()).collect();
        found.chain_diffs = (0..LAYERS)
            .map(|spatial| self.chain_diff(frame, spatial))
            .collect();
        found
    }
}

#[cfg(test)]
mod tests {
    use sfu::time::Instant;

    use super::*;

    fn stamp(shape: Shape, place: u32, spatial: u8) -> Stamp {
        Stamp {
            sender: 1,
            track: 0,
            unit: shape.unit(place, spatial),
            keyframe: place == 0,
            frame: place,
            packet: 0,
            packets: 2,
            sent_at: Instant::ZERO,
        }
    }

    /// As the frames of a picture are to the targets, the best first.
    fn symbols(shape: Shape, place: u32, spatial: u8) -> String {
        let frames = Frames { shape };
        let frame = place * u32::from(LAYERS) + u32::from(spatial);
        let symbol = |target| match frames.indication(frame, target) {
            Indication::NotPresent => '-',
            Indication::Discardable => 'D',
            Indication::Switch => 'S',
            Indication::Required => 'R',
        };
        targets().map(symbol).collect()
    }

    #[test]
    fn indications_are_as_the_specification_has_them() {
        let leaning = Shape::Spatial {
            in_keys_only: false,
        };
        // A.10.2.2.
        for (spatial, expected) in [(0, "SSSSSSSSS"), (1, "SSSSSS---"), (2, "SSS------")] {
            assert_eq!(symbols(leaning, 0, spatial), expected);
        }
        for (spatial, expected) in [(0, "RRRRRRSSS"), (1, "RRRSSS---"), (2, "SSS------")] {
            assert_eq!(symbols(leaning, 8, spatial), expected);
        }
        for (spatial, expected) in [(0, "R--R--D--"), (1, "R--D-----"), (2, "D--------")] {
            assert_eq!(symbols(leaning, 9, spatial), expected);
        }
        // The second of layer 1 leans on the first: no place to go up.
        assert_eq!(symbols(leaning, 4, 2), "RRS------");
        let apart = Shape::Spatial { in_keys_only: true };
        assert_eq!(symbols(apart, 0, 0), "SSSSSSSSS");
        assert_eq!(symbols(apart, 8, 0), "------SSS");
        assert_eq!(symbols(apart, 8, 1), "---SSS---");
    }

    #[test]
    fn what_is_written_is_read_back_and_says_what_leans_on_what() {
        for in_keys_only in [false, true] {
            let shape = Shape::Spatial { in_keys_only };
            let describer = Describer::new(shape, 180).expect("a structure");
            let mut known = None;
            for place in 0..40 {
                for spatial in 0..LAYERS {
                    let stamp = stamp(shape, place, spatial);
                    let value = describer.describe(&stamp, place, 30_000 + place);
                    let Value(bytes) = value.expect("a value");
                    let read = DependencyDescriptor::parse(&bytes, &mut known).expect("readable");
                    assert_eq!(read.layer, stamp.unit.layer);
                    assert!(read.mandatory.starts_frame && !read.mandatory.ends_frame);
                    let leans = stamp.unit.leans.iter().filter(|lean| **lean > 0);
                    let own = leans.map(|lean| u16::from(*lean) * u16::from(LAYERS));
                    let below = stamp.unit.leans_below.then_some(1);
                    let expected: Vec<u16> = own.chain(below).collect();
                    assert_eq!(read.dependencies.frame_diffs.as_slice(), expected);
                    let height = read.resolution.map(|it| it.height);
                    assert_eq!(height, Some(180 << spatial));
                }
            }
        }
    }
}

//! An encoder that says what it makes: some temporal layers in each of some spatial layers,
//! described as the tables of A.10.2 do it. Everything but what a frame is to a decode target is
//! said frame by frame.

use arrayvec::ArrayVec;

use crate::units::Layer;
use crate::wire::dependency_descriptor::{
    Dependencies, DependencyDescriptor, DependencyStructure, Indication, Indications, Mandatory,
    StructureNews, Template,
};

/// What the spatial layers have to do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::router) enum Leaning {
    /// Each leans on the one below.
    Always,
    /// Only in key frames.
    InKeyFrames,
}

/// One frame, as it is sent.
#[derive(Clone, Debug)]
pub(in crate::router) struct Sent {
    pub(in crate::router) descriptor: DependencyDescriptor,
    /// The value of each packet.
    pub(in crate::router) packets: Vec<Vec<u8>>,
}

/// The encoder.
pub(in crate::router) struct Encoder {
    pub(in crate::router) leaning: Leaning,
    /// Spatial layers it can make.
    spatial: u8,
    temporal: u8,
    /// Spatial layers it makes.
    pub(in crate::router) produced: u8,
    offset: u8,
    number: u64,
    /// Pictures since the key frame.
    pictures: usize,
    keyframe: bool,
    /// The last frame of each spatial layer by temporal layer.
    last: [[u64; 3]; 3],
    /// The last frame of each chain.
    chains: [u64; 3],
}

impl Encoder {
    pub(in crate::router) fn new(
        leaning: Leaning,
        (spatial, temporal): (u8, u8),
        first_number: u16,
    ) -> Self {
        Self {
            leaning,
            spatial,
            temporal,
            produced: spatial,
            offset: 0,
            number: (1 << 20) + u64::from(first_number),
            pictures: 0,
            keyframe: true,
            last: [[0; 3]; 3],
            chains: [0; 3],
        }
    }

    /// The next picture is a key frame, with the structure under new numbers or as it was.
    pub(in crate::router) fn start_again(&mut self, renumber: bool) {
        self.keyframe = true;
        if renumber {
            self.offset = (self.offset + 25) % 64;
        }
    }

    /// It is started anew, and counts from `back` frames before where it was.
    pub(in crate::router) fn restart(&mut self, back: u64) {
        self.number -= back;
        self.keyframe = true;
    }

    /// Makes so many spatial layers; more than now only from a key frame on.
    pub(in crate::router) fn produce(&mut self, spatial: u8) {
        if spatial > self.produced {
            self.keyframe = true;
        }
        self.produced = spatial;
    }

    /// The frames of the next picture, each in one packet, or in two.
    pub(in crate::router) fn picture(&mut self, in_two: bool) -> Vec<Sent> {
        let keyframe = std::mem::take(&mut self.keyframe);
        if keyframe {
            self.pictures = 0;
        }
        let pattern: &[(u8, usize)] = match self.temporal {
            1 => &[(0, 0)],
            2 => &[(0, 0), (1, 0)],
            _ => &[(0, 0), (2, 0), (1, 0), (2, 1)],
        };
        let (temporal, leans_on) = pattern[self.pictures % pattern.len()];
        self.pictures += 1;
        let structure = self.structure();
        (0..self.produced)
            .map(|spatial| {
                let number = self.number;
                self.number += 1;
                let place = usize::from(spatial);
                let mut referred = Vec::new();
                if !keyframe {
                    referred.push(self.last[place][leans_on]);
                }
                if spatial > 0 && self.leans(keyframe) {
                    referred.push(number - 1);
                }
                let dependencies = Dependencies {
                    indications: self.indications(Layer { spatial, temporal }, keyframe),
                    frame_diffs: referred.iter().map(|at| low(number - at)).collect(),
                    chain_diffs: self.chain_diffs(number, spatial, keyframe),
                };
                self.last[place][usize::from(temporal)] = number;
                if keyframe || temporal == 0 {
                    self.join_chains(number, spatial, keyframe);
                }
                let attached = keyframe && spatial == 0;
                let all = structure.all_decode_targets();
                let produced = all & ((1 << (self.temporal * self.produced)) - 1);
                let descriptor = DependencyDescriptor {
                    mandatory: Mandatory {
                        starts_frame: true,
                        ends_frame: !in_two,
                        template_id: self.template_id(Layer { spatial, temporal }, keyframe),
                        frame_number: low(number),
                    },
                    structure: if attached {
                        StructureNews::New
                    } else {
                        StructureNews::None
                    },
                    active_decode_targets: (attached || produced != all).then_some(produced),
                    layer: Layer { spatial, temporal },
                    dependencies,
                    resolution: None,
                };
                let packets = packets(&descriptor, &structure, in_two);
                Sent {
                    descriptor,
                    packets,
                }
            })
            .collect()
    }

    fn leans(&self, keyframe: bool) -> bool {
        match self.leaning {
            Leaning::Always => true,
            Leaning::InKeyFrames => keyframe,
        }
    }

    fn chain_diffs(&self, number: u64, spatial: u8, keyframe: bool) -> ArrayVec<u8, 32> {
        (0..self.spatial)
            .map(|chain| {
                if keyframe && spatial == 0 {
                    return 0;
                }
                // A chain without an active decode target may say anything.
                u8::try_from(number - self.chains[usize::from(chain)]).unwrap_or(u8::MAX)
            })
            .collect()
    }

    fn join_chains(&mut self, number: u64, spatial: u8, keyframe: bool) {
        for chain in 0..self.spatial {
            let joins = chain == spatial || chain > spatial && self.leans(keyframe);
            if joins {
                self.chains[usize::from(chain)] = number;
            }
        }
    }

    /// A decode target for each temporal layer of each spatial layer, the lowest first.
    fn indications(&self, layer: Layer, keyframe: bool) -> Indications {
        let mut indications = Indications::default();
        for target in 0..self.temporal * self.spatial {
            let (spatial, temporal) = (target / self.temporal, target % self.temporal);
            let leant_on = spatial > layer.spatial && self.leans(keyframe);
            let part = (spatial == layer.spatial || leant_on) && layer.temporal <= temporal;
            let indication = if !part {
                Indication::NotPresent
            } else if keyframe {
                Indication::Switch
            } else if leant_on {
                Indication::Required
            } else if layer.temporal == temporal && temporal > 0 {
                Indication::Discardable
            } else {
                Indication::Switch
            };
            indications.set(target, indication);
        }
        indications
    }

    fn template_id(&self, layer: Layer, keyframe: bool) -> u8 {
        let within = if keyframe { 0 } else { 1 + layer.temporal };
        (self.offset + (1 + self.temporal) * layer.spatial + within) % 64
    }

    fn structure(&self) -> DependencyStructure {
        let templates = (0..self.spatial).flat_map(|spatial| {
            let later = (0..self.temporal).map(|temporal| (temporal, false));
            let kinds = std::iter::once((0, true)).chain(later);
            kinds.map(move |(temporal, keyframe)| {
                let layer = Layer { spatial, temporal };
                let dependencies = Dependencies {
                    indications: self.indications(layer, keyframe),
                    frame_diffs: ArrayVec::new(),
                    chain_diffs: (0..self.spatial).map(|_| 0).collect(),
                };
                Template {
                    layer,
                    dependencies,
                }
            })
        });
        DependencyStructure::new(
            self.offset,
            self.temporal * self.spatial,
            templates.collect(),
            (0..self.temporal * self.spatial)
                .map(|target| target / self.temporal)
                .collect(),
            ArrayVec::new(),
        )
        .expect("a consistent structure")
    }
}

/// The low 16 bits.
fn low(number: u64) -> u16 {
    u16::try_from(number & 0xFFFF).unwrap()
}

fn packets(
    descriptor: &DependencyDescriptor,
    structure: &DependencyStructure,
    in_two: bool,
) -> Vec<Vec<u8>> {
    let write = |descriptor: &DependencyDescriptor| {
        let mut out = [0; 255];
        let len = descriptor.write(structure, &mut out).expect("it fits");
        out[..len].to_vec()
    };
    let mut all = vec![write(descriptor)];
    if in_two {
        let mut second = descriptor.clone();
        second.mandatory.starts_frame = false;
        second.mandatory.ends_frame = true;
        second.structure = StructureNews::None;
        if second.active_decode_targets == Some(structure.all_decode_targets()) {
            second.active_decode_targets = None;
        }
        all.push(write(&second));
    }
    all
}

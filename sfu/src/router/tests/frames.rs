//! AV1 by its dependency descriptors: many switches of layers, and whatever passes leans on what
//! passed.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::support::*;
use crate::id::TrackKey;
use crate::router::decode_target::tests::encoder::{Encoder, Leaning};
use crate::router::decode_target::{DecodeTargetSelector, FramePacket, Frames};
use crate::router::rungs::Target;
use crate::units::{Layer, MediaKind};
use crate::wire::dependency_descriptor::fixtures::capture;
use crate::wire::dependency_descriptor::{DependencyDescriptor, DependencyStructure, Mandatory};
use crate::wire::payload::Codec;
use crate::wire::rtp::RtpHeader;
use crate::wire::sequence::SequenceUnwrapper;

const AV1: u8 = 45;
const AV1_RTX: u8 = 46;

/// What was sent of a frame.
struct Made {
    number: u16,
    picture: u32,
    layer: Layer,
    leans_on: Vec<u16>,
}

/// What is lost on its way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Losses {
    /// A quarter of it for good, and no structure.
    Some,
    /// All of it is repaired, and no structure is lost.
    Repaired,
    /// All of it is repaired, structures too.
    AllRepaired,
}

struct Scene {
    room: Room,
    encoder: Encoder,
    dice: ChaCha20Rng,
    sequence: u16,
    picture: u32,
    /// By the number within the payload.
    made: BTreeMap<u16, Made>,
    /// Lost on its way to the server, for good.
    lost: BTreeSet<u16>,
    /// Lost, and repaired so many pictures later.
    late: Vec<(u32, Packet)>,
    percent: u32,
    losses: Losses,
    /// Pictures of which something was lost.
    hurt: BTreeSet<u32>,
    seen: Vec<Seen>,
}

impl Scene {
    fn new(leaning: Leaning, layers: (u8, u8), seed: u8) -> Self {
        let mut room = Room::new();
        let mut plan = plan("v", MediaKind::Video);
        plan.payloads = vec![payload(AV1, Some(AV1_RTX), Codec::Av1)];
        let track = room.publish(ADA, &plan);
        let section = room.section(BOB, &plan, 7_000);
        room.router.bind(room.now, section, Some(track));
        Self {
            room,
            encoder: Encoder::new(leaning, layers, 65_500),
            dice: ChaCha20Rng::from_seed([seed; 32]),
            sequence: 65_000,
            picture: 0,
            made: BTreeMap::new(),
            lost: BTreeSet::new(),
            late: Vec::new(),
            percent: 0,
            losses: Losses::Some,
            hurt: BTreeSet::new(),
            seen: Vec::new(),
        }
    }

    fn below(&mut self, n: u32) -> u32 {
        self.dice.next_u32() % n
    }

    fn wish(&mut self, layer: Layer) {
        let encoding = self.room.router.track(TrackKey(0)).unwrap().encodings[0];
        let target = Target { encoding, layer };
        let now = self.room.now;
        let section = self.room.router.pictures(BOB).next().unwrap().0;
        self.room.router.set_target(now, section, Some(target));
    }

    /// The next picture, a key frame where one was asked for.
    fn picture(&mut self) {
        if !self.room.rtcp(ADA).plis.is_empty() {
            self.encoder.start_again(self.picture.is_multiple_of(2));
        }
        self.picture += 1;
        let in_two = self.picture.is_multiple_of(3);
        let frames = self.encoder.picture(in_two);
        let packets = frames
            .iter()
            .map(|frame| frame.packets.len())
            .sum::<usize>();
        let mut place = 0;
        for frame in &frames {
            let number = frame.descriptor.mandatory.frame_number;
            let diffs = &frame.descriptor.dependencies.frame_diffs;
            for value in &frame.packets {
                place += 1;
                let sequence = self.sequence;
                self.sequence = sequence.wrapping_add(1);
                let made = Made {
                    number,
                    picture: self.picture,
                    layer: frame.descriptor.layer,
                    leans_on: diffs
                        .iter()
                        .map(|diff| number.wrapping_sub(*diff))
                        .collect(),
                };
                self.made.insert(sequence, made);
                let packet = packet(sequence, self.picture, value, place == packets);
                self.send(packet, number);
            }
        }
        self.repair();
        self.room.pass(33);
        let seen = self.room.take(BOB);
        self.seen.extend(seen);
    }

    fn send(&mut self, packet: Packet, number: u16) {
        // A structure that is lost for good is asked for again; that is another test's matter.
        let is_spared = packet.descriptor.len() > 20 && self.losses != Losses::AllRepaired;
        if !is_spared && self.below(100) < self.percent {
            self.hurt.insert(self.picture);
            if self.below(4) == 0 && self.losses == Losses::Some {
                self.lost.insert(number);
            } else {
                let due = self.picture + self.below(4);
                self.late.push((due, packet));
            }
            return;
        }
        self.room.send(ADA, &packet);
    }

    fn repair(&mut self) {
        let now = self.picture;
        let (due, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|late| late.0 <= now);
        self.late = rest;
        for (_, packet) in due {
            self.room.send(ADA, &packet);
        }
    }

    /// All that passed, by the laws.
    fn check(&mut self, name: &str) {
        let mut seen = std::mem::take(&mut self.seen);
        let first = seen[0].sequence;
        seen.sort_by_key(|it| it.sequence.wrapping_sub(first));
        let mut told: BTreeMap<u16, u16> = BTreeMap::new();
        let mut passed = BTreeSet::new();
        let mut reader = Receiver::default();
        let (mut steps, mut offsets) = (0, BTreeSet::new());
        for (place, it) in seen.iter().enumerate() {
            if place > 0 {
                let step = it.sequence.wrapping_sub(seen[place - 1].sequence);
                assert!(step > 0, "{name}: a number twice");
                steps += usize::from(step - 1);
            }
            if it.payload.is_empty() {
                continue;
            }
            let input = u16::from_be_bytes([it.payload[0], it.payload[1]]);
            let made = &self.made[&input];
            let frame = Mandatory::parse(&it.descriptor).unwrap();
            assert_eq!(
                *told.entry(made.number).or_insert(frame.frame_number),
                frame.frame_number
            );
            offsets.insert(frame.frame_number.wrapping_sub(made.number));
            for on in &made.leans_on {
                assert!(
                    passed.contains(on) || self.lost.contains(on),
                    "{name}: {} {:?} leans on {on}, which was left out",
                    made.number,
                    made.layer,
                );
            }
            if self.lost.is_empty() {
                reader.read(it, name);
            }
            passed.insert(made.number);
            let next = seen[place + 1..]
                .iter()
                .find(|next| !next.payload.is_empty());
            let ends = next.is_none_or(|next| next.timestamp != it.timestamp);
            if self.lost.is_empty() {
                // What comes too late for the picture before a key frame is not waited for.
                let is_cut = self.hurt.contains(&made.picture)
                    && next.is_some_and(|next| {
                        let input = u16::from_be_bytes([next.payload[0], next.payload[1]]);
                        self.made[&input].leans_on.is_empty()
                    });
                let is_marked = it.marker == ends || is_cut && !it.marker;
                assert!(is_marked, "{name}: {place} of {}", seen.len());
            }
        }
        assert_eq!(offsets.len(), 1, "{name}: one stream, one offset");
        let holes = self.lost.len() * 2;
        assert!(
            steps <= holes,
            "{name}: {steps} holes, {holes} packets lost at most"
        );
    }
}

/// One who believes what the descriptors say of the active decode targets (A.4).
#[derive(Default)]
struct Receiver {
    known: Option<Box<DependencyStructure>>,
    active: u32,
    /// Frames by the numbers it was told.
    got: BTreeSet<u64>,
    numbers: SequenceUnwrapper,
}

impl Receiver {
    fn read(&mut self, it: &Seen, name: &str) {
        let read = DependencyDescriptor::parse(&it.descriptor, &mut self.known).unwrap();
        self.active = read.active_decode_targets.unwrap_or(self.active);
        let number = self.numbers.unwrap(read.mandatory.frame_number);
        let is_active = read.dependencies.indications.present() & self.active != 0;
        assert!(is_active, "{name}: of no active decode target: {read:?}");
        // A.5: the chains of the active decode targets are whole.
        let structure = self.known.as_deref().unwrap();
        for target in (0..structure.decode_targets()).filter(|at| self.active >> at & 1 != 0) {
            let chain = usize::from(structure.chain(target).unwrap());
            let diff = u64::from(read.dependencies.chain_diffs[chain]);
            let is_whole = diff == 0 || self.got.contains(&(number - diff));
            assert!(is_whole, "{name}: {target} of {:b}: {read:?}", self.active);
        }
        self.got.insert(number);
    }
}

/// A packet whose payload says its number; nothing can be read out of it.
fn packet(sequence: u16, picture: u32, value: &[u8], marker: bool) -> Packet {
    let mut payload = sequence.to_be_bytes().to_vec();
    payload.extend([0xEE; 300]);
    Packet {
        header: RtpHeader {
            payload_type: AV1,
            marker,
            sequence,
            timestamp: picture.wrapping_mul(3_000).wrapping_sub(90_000),
            ssrc: 1,
        },
        values: crate::wire::extension::ExtensionValues::default(),
        payload,
        padding: 0,
        descriptor: value.to_vec(),
    }
}

/// Name, leaning, spatial and temporal layers.
const MODES: [(&str, Leaning, (u8, u8)); 8] = [
    ("L1T2", Leaning::Always, (1, 2)),
    ("L1T3", Leaning::Always, (1, 3)),
    ("L2T1", Leaning::Always, (2, 1)),
    ("L2T2", Leaning::Always, (2, 2)),
    ("L2T3", Leaning::Always, (2, 3)),
    ("L3T3", Leaning::Always, (3, 3)),
    ("L2T2_KEY", Leaning::InKeyFrames, (2, 2)),
    ("L3T3_KEY", Leaning::InKeyFrames, (3, 3)),
];

#[test]
fn five_hundred_switches_of_each_mode_forward_only_what_can_be_decoded() {
    for (place, (name, leaning, layers)) in MODES.into_iter().enumerate() {
        for (percent, losses) in [
            (0, Losses::Some),
            (4, Losses::Some),
            (4, Losses::Repaired),
            (4, Losses::AllRepaired),
        ] {
            let mut scene = Scene::new(leaning, layers, place as u8 + 1);
            scene.losses = losses;
            for _ in 0..40 {
                scene.picture();
            }
            scene.percent = percent;
            let mut shown = BTreeSet::new();
            for _ in 0..500 {
                let layer = Layer {
                    spatial: scene.below(layers.0.into()) as u8,
                    temporal: scene.below(layers.1.into()) as u8,
                };
                scene.wish(layer);
                if scene.below(10) == 0 {
                    let produced = 1 + scene.below(layers.0.into());
                    scene.encoder.produce(produced as u8);
                }
                let before = scene.seen.len();
                for _ in 0..1 + scene.below(8) {
                    scene.picture();
                }
                if scene.seen.len() > before {
                    shown.insert(layer);
                }
            }
            assert_eq!(
                shown.len(),
                usize::from(layers.0 * layers.1),
                "{name}: each is shown"
            );
            // The last repairs come.
            scene.percent = 0;
            for _ in 0..8 {
                scene.picture();
            }
            scene.check(&format!("{name} {percent} % {losses:?}"));
        }
    }
}

#[test]
fn what_is_wished_comes() {
    for (name, leaning, layers) in MODES {
        let mut scene = Scene::new(leaning, layers, 9);
        for _ in 0..40 {
            scene.picture();
        }
        let (spatial, top) = (layers.0 - 1, layers.1 - 1);
        let steps = [
            (0, 0),
            (spatial, top),
            (0, top.min(1)),
            (spatial, 0),
            (0, top),
        ];
        for (wished, temporal) in steps {
            let layer = Layer {
                spatial: wished,
                temporal,
            };
            scene.wish(layer);
            // A key frame is asked for at most three times a second.
            for _ in 0..20 {
                scene.picture();
            }
            let start = scene.seen.len();
            for _ in 0..8 {
                scene.picture();
            }
            let layers = scene.seen[start..].iter().map(|it| {
                let input = u16::from_be_bytes([it.payload[0], it.payload[1]]);
                scene.made[&input].layer
            });
            let layers: BTreeSet<Layer> = layers.collect();
            assert_eq!(
                layers.iter().map(|it| it.spatial).max(),
                Some(wished),
                "{name} {layer:?}"
            );
            assert_eq!(
                layers.iter().map(|it| it.temporal).max(),
                Some(temporal),
                "{name} {layer:?}"
            );
        }
        scene.check(name);
    }
}

#[test]
fn an_encoder_that_starts_anew_is_counted_on_and_misses_nothing() {
    for back in [0, 1, 5, 100, 300, 40_000] {
        let mut scene = Scene::new(Leaning::Always, (2, 2), 3);
        for _ in 0..200 {
            scene.picture();
        }
        scene.encoder.restart(back);
        scene.seen.clear();
        scene.picture();
        scene.picture();
        let first = Mandatory::parse(&scene.seen[0].descriptor).unwrap();
        let told: Vec<u16> = scene.seen.iter().map(frame_number).collect();
        let expected: Vec<u16> = (0..4)
            .map(|at| first.frame_number.wrapping_add(at))
            .collect();
        let mut distinct = told.clone();
        distinct.dedup();
        assert_eq!(distinct, expected, "{back}: {told:?}");
        let markers = scene.seen.iter().filter(|it| it.marker).count();
        assert_eq!(markers, 2, "{back}");
    }
}

fn frame_number(it: &Seen) -> u16 {
    Mandatory::parse(&it.descriptor).unwrap().frame_number
}

#[test]
fn what_chromium_sent_is_switched_through_all_its_layers() {
    let names = [
        ("chromium-av1-l1t3", (1, 3)),
        ("chromium-av1-l3t3", (3, 3)),
        ("chromium-vp9-l3t3-key", (3, 3)),
        ("chromium-vp8-l1t3", (1, 3)),
    ];
    for (name, (spatial, temporal)) in names {
        let values = capture(name);
        let mut left_out = 0;
        for wish in (0..spatial).flat_map(|s| (0..temporal).map(move |t| (s, t))) {
            let wish = Layer {
                spatial: wish.0,
                temporal: wish.1,
            };
            let passed = replay(&values, wish);
            let highest = passed.iter().map(|layer| layer.spatial).max();
            assert_eq!(highest, Some(wish.spatial), "{name} {wish:?}");
            let highest = passed.iter().map(|layer| layer.temporal).max();
            assert_eq!(highest, Some(wish.temporal), "{name} {wish:?}");
            left_out += values.len() - passed.len();
        }
        assert!(left_out > 0, "{name}");
        let mut frames = Frames::default();
        frames.read(1, &values[0]).unwrap();
        let is_alone = name == "chromium-vp9-l3t3-key";
        assert_eq!(frames.leans_in_keyframes_only(), is_alone, "{name}");
    }
}

/// Layers of the packets that pass.
fn replay(values: &[Vec<u8>], wish: Layer) -> Vec<Layer> {
    let mut frames = Frames::default();
    let mut selector = DecodeTargetSelector::default();
    let (mut passed, mut numbers) = (Vec::new(), BTreeSet::new());
    let (mut picture, mut spatial) = (0, 0);
    for (value, sequence) in values.iter().zip(100..) {
        let frame = frames.read(sequence, value).unwrap();
        let told = frame.told.expect("nothing is missing");
        picture += u32::from(frame.starts && told.layer.spatial <= spatial);
        spatial = told.layer.spatial;
        let packet = FramePacket {
            sequence,
            timestamp: picture,
            frame: &frame,
            frames: &frames,
        };
        selector.offer(7, packet, (wish, false), sequence == 100);
        if selector.passage(7, sequence, &frame).unwrap().passes {
            for diff in told.diffs() {
                let on = frame.number.wrapping_sub(*diff);
                assert!(numbers.contains(&on), "{told:?} leans on {on}");
            }
            numbers.insert(frame.number);
            passed.push(told.layer);
        }
    }
    assert!(!selector.lacks_keyframe());
    passed
}

#[test]
fn no_picture_is_missing_where_the_size_changes() {
    for (name, leaning, layers) in MODES {
        let mut scene = Scene::new(leaning, layers, 5);
        for _ in 0..40 {
            scene.picture();
        }
        scene.seen.clear();
        for step in 0..100 {
            let spatial = if step % 2 == 0 { 0 } else { layers.0 - 1 };
            scene.wish(Layer {
                spatial,
                temporal: layers.1 - 1,
            });
            for _ in 0..17 + step % 5 {
                scene.picture();
            }
        }
        for pair in scene.seen.windows(2) {
            let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
            assert!(
                step == 0 || step == 3_000,
                "{name}: {} pictures",
                step / 3_000
            );
        }
        let shown = scene.seen.iter().map(|it| {
            let input = u16::from_be_bytes([it.payload[0], it.payload[1]]);
            scene.made[&input].layer.spatial
        });
        let shown: BTreeSet<u8> = shown.collect();
        assert!(shown.contains(&0), "{name}");
        assert!(shown.contains(&(layers.0 - 1)), "{name}");
    }
}

#[test]
fn vp8_whose_payload_says_nothing_of_layers_passes_by_its_descriptor() {
    let mut room = Room::new();
    let plan = plan("v", MediaKind::Video);
    let track = room.publish(ADA, &plan);
    let section = room.section(BOB, &plan, 7_000);
    room.router.bind(room.now, section, Some(track));
    let values = capture("chromium-vp8-l1t3");
    let mut seen = Vec::new();
    for (value, number) in values.iter().zip(0..) {
        let mut packet = video(1, number, number, number == 0).marker();
        // RFC 7741 §4.2: no X, so no picture id, no TID.
        packet.payload.drain(1..5);
        packet.payload[0] = 0x10;
        packet.descriptor.clone_from(value);
        room.send(ADA, &packet);
        room.pass(33);
        seen.extend(room.take(BOB));
        if number == 40 {
            assert_eq!(seen.len(), 41, "all of it");
            let rungs = room.router.rungs(track);
            let layers: Vec<u8> = rungs.iter().map(|rung| rung.rank.temporal).collect();
            assert_eq!(layers, [0, 1, 2]);
            assert_eq!(rungs[0].height, 180, "as the descriptor says");
            let target = Target {
                encoding: rungs[0].target.encoding,
                layer: Layer::default(),
            };
            room.router.set_target(room.now, section, Some(target));
            seen.clear();
        }
    }
    let rest = values.len() - 41;
    assert!((rest / 4..=rest / 4 + 1).contains(&seen.len()), "{rest}");
    for pair in seen.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        let numbers = [&pair[0], &pair[1]].map(frame_number);
        assert_eq!(numbers[1].wrapping_sub(numbers[0]), 4);
    }
}

/// A packet without a descriptor: its aggregation header says whether a key frame begins.
fn plain(scene: &mut Scene, key: bool) {
    scene.picture += 1;
    let sequence = scene.sequence;
    scene.sequence = sequence.wrapping_add(1);
    let mut packet = packet(sequence, scene.picture, &[], true);
    packet.payload[0] = if key { 0x08 } else { 0 };
    scene.room.send(ADA, &packet);
    scene.room.pass(33);
}

#[test]
fn who_begins_to_describe_its_frames_with_a_key_frame_goes_on_and_who_ends_too() {
    let mut scene = Scene::new(Leaning::Always, (1, 3), 1);
    scene.sequence = 100;
    plain(&mut scene, true);
    let section = scene.room.router.pictures(BOB).next().unwrap().0;
    let now = scene.room.now;
    // The section is tied a second time, to a stream that describes nothing.
    scene.room.router.set_paused(now, section, true);
    scene.room.router.set_paused(now, section, false);
    plain(&mut scene, true);
    plain(&mut scene, false);
    assert_eq!(scene.room.take(BOB).len(), 3);
    scene.room.rtcp(ADA);
    for _ in 0..12 {
        scene.picture();
    }
    let described: BTreeSet<u32> = scene.seen.iter().map(|it| it.timestamp).collect();
    assert_eq!(described.len(), 12, "all pictures pass");
    // A structure that cannot be read leaves the payload to tell.
    scene.seen.clear();
    plain(&mut scene, true);
    plain(&mut scene, false);
    assert_eq!(scene.room.take(BOB).len(), 2);
    scene.room.pass(2_000);
    assert_eq!(scene.room.rtcp(ADA).plis, [], "no key frame is lacking");
}

#[test]
fn what_a_structure_that_is_lost_would_tell_the_payload_tells() {
    let mut scene = Scene::new(Leaning::Always, (1, 3), 1);
    scene.sequence = 100;
    // Template 0 of a structure that never came, start and end of frame 1 and on.
    for frame in 1..5_u8 {
        scene.picture += 1;
        let sequence = scene.sequence;
        scene.sequence += 1;
        let mut packet = packet(sequence, scene.picture, &[0xC0, 0, frame], true);
        packet.payload[0] = if frame == 1 { 0x08 } else { 0 };
        scene.room.send(ADA, &packet);
        scene.room.pass(33);
    }
    assert_eq!(scene.room.take(BOB).len(), 4);
}

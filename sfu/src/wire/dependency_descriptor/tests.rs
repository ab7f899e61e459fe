//! Tables of the specification, descriptors from Chromium, and everything that is none.

use arrayvec::ArrayVec;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::fixtures::{
    CAPTURES, L1T3, L3T3, L3T3_PROTECTED_BY, Row, bytes, capture, indications, structure, templates,
};
use super::{
    Dependencies, DependencyDescriptor, DependencyStructure, Indication, Mandatory, Reading,
    Resolution, StructureNews, Unreadable, rewrite_active_decode_targets, rewrite_frame_number,
};
use crate::units::Layer;

type Known = Option<Box<DependencyStructure>>;

fn parse(value: &[u8], known: &mut Known) -> DependencyDescriptor {
    DependencyDescriptor::parse(value, known).unwrap_or_else(|why| panic!("{value:02x?}: {why:?}"))
}

/// Reads a capture; each value with what was known before it.
fn read(name: &str) -> Vec<(Vec<u8>, Known, DependencyDescriptor)> {
    let mut known = None;
    capture(name)
        .into_iter()
        .map(|value| {
            let before = known.clone();
            let descriptor = parse(&value, &mut known);
            (value, before, descriptor)
        })
        .collect()
}

#[test]
fn the_structures_that_chromium_sends_are_read() {
    let l1t3: &[Row<'_>] = &[
        (0, 0, "SSS", &[], &[0]),
        (0, 0, "SSS", &[4], &[4]),
        (0, 1, "-DS", &[2], &[2]),
        (0, 2, "--D", &[1], &[1]),
        (0, 2, "--D", &[1], &[3]),
    ];
    let s2t3: &[Row<'_>] = &[
        (0, 0, "SSS---", &[8], &[8, 7]),
        (0, 0, "SSS---", &[], &[0, 0]),
        (0, 1, "-DS---", &[4], &[4, 3]),
        (0, 2, "--D---", &[2], &[2, 1]),
        (0, 2, "--D---", &[2], &[6, 5]),
        (1, 0, "---SSS", &[8], &[1, 8]),
        (1, 0, "---SSS", &[], &[1, 0]),
        (1, 1, "----DS", &[4], &[5, 4]),
        (1, 2, "-----D", &[2], &[3, 2]),
        (1, 2, "-----D", &[2], &[7, 6]),
    ];
    let without_chains: &[Row<'_>] = &[
        (0, 0, "SSS", &[], &[]),
        (0, 0, "SSS", &[4], &[]),
        (0, 0, "SRR", &[4], &[]),
        (0, 1, "-SS", &[2], &[]),
        (0, 1, "-DS", &[4, 2], &[]),
        (0, 2, "--D", &[1], &[]),
        (0, 2, "--D", &[3, 1], &[]),
    ];
    for (name, expected) in [
        (
            "chromium-av1-l1t3",
            structure(0, l1t3, &[0, 0, 0], &[(320, 180)]),
        ),
        (
            "chromium-av1-s2t3",
            structure(0, s2t3, &[0, 0, 0, 1, 1, 1], &[(320, 180), (640, 360)]),
        ),
        (
            "chromium-vp8-l1t3",
            structure(0, without_chains, &[], &[(320, 180)]),
        ),
    ] {
        let mut known = None;
        let first = parse(&capture(name)[0], &mut known);
        assert_eq!(known.as_deref(), Some(&expected), "{name}");
        assert_eq!(first.structure, StructureNews::New);
        assert_eq!(
            first.active_decode_targets,
            Some(expected.all_decode_targets())
        );
    }
}

#[test]
fn frames_that_follow_a_template_and_frames_that_do_not_are_read() {
    let mut known = None;
    let key = parse(&capture("chromium-av1-l3t3")[0], &mut known);
    assert_eq!(key.active_decode_targets, Some(0b11_1111));
    assert_eq!(key.mandatory.frame_number, 1);
    let mut check = |hex: &str, layer: (u8, u8), symbols: &str, diffs: &[u16], chains: &[u8]| {
        let read = parse(&bytes(hex), &mut known);
        assert_eq!((read.layer.spatial, read.layer.temporal), layer, "{hex}");
        let expected = Dependencies {
            indications: indications(symbols),
            frame_diffs: diffs.iter().copied().collect(),
            chain_diffs: chains.iter().copied().collect(),
        };
        assert_eq!(read.dependencies, expected, "{hex}");
        assert_eq!(read.structure, StructureNews::None);
    };
    check("860173", (1, 0), "---SSSSSS", &[1], &[1, 1, 1]);
    check("880174", (1, 2), "-----D--R", &[3, 1], &[4, 3, 2]);
    // Its own frame and chain differences, as one more spatial layer begins.
    check("c300031a20100800", (0, 2), "--D--R--R", &[2], &[2, 1, 0]);
    check(
        "c800041a2800604000",
        (1, 2),
        "-----D--R",
        &[2, 1],
        &[3, 2, 0],
    );
    // The same, and all nine decode targets are produced now.
    check("c300075ffd10181414", (0, 2), "--D--R--R", &[2], &[6, 5, 5]);
    let read = parse(&bytes("c300075ffd10181414"), &mut known);
    assert_eq!(read.active_decode_targets, Some(0b1_1111_1111));
}

#[test]
fn the_tables_of_the_specification_come_back_as_they_were_written() {
    let l1t3 = structure(60, L1T3, &[0, 0, 0], &[]);
    let sizes = [(320, 180), (640, 360), (65_536, 1)];
    let l3t3 = structure(63, L3T3, L3T3_PROTECTED_BY, &sizes);
    for structure in [l1t3, l3t3] {
        let (offset, templates) = structure.templates();
        let mut known = None;
        for (template, index) in templates.iter().zip(offset..) {
            let descriptor = DependencyDescriptor {
                mandatory: Mandatory {
                    starts_frame: true,
                    ends_frame: false,
                    template_id: index & 0x3F,
                    frame_number: 0xFFFE,
                },
                structure: if known.is_none() {
                    StructureNews::New
                } else {
                    StructureNews::None
                },
                active_decode_targets: known.is_none().then_some(5),
                layer: template.layer,
                dependencies: template.dependencies.clone(),
                resolution: structure.resolution(template.layer.spatial),
            };
            let mut out = [0xFF; 255];
            let len = descriptor.write(&structure, &mut out).unwrap();
            assert_eq!(parse(&out[..len], &mut known), descriptor);
            assert_eq!(known.as_deref(), Some(&structure));
            assert!(len == 3 || index == offset);
        }
    }
}

#[test]
fn a_decode_target_has_a_layer_and_others_within() {
    let structure = structure(0, L3T3, L3T3_PROTECTED_BY, &[]);
    let layers: Vec<(u8, u8)> = (0..9)
        .map(|target| structure.layer(target).unwrap())
        .map(|layer| (layer.spatial, layer.temporal))
        .collect();
    assert_eq!(
        layers,
        [
            (2, 2),
            (2, 1),
            (2, 0),
            (1, 2),
            (1, 1),
            (1, 0),
            (0, 2),
            (0, 1),
            (0, 0)
        ]
    );
    assert_eq!(structure.within(0), 0b1_1111_1111);
    assert_eq!(structure.within(4), 0b1_1011_0000);
    assert_eq!(structure.within(8), 0b1_0000_0000);
    assert_eq!((structure.layer(9), structure.within(9)), (None, 0));
    assert_eq!((structure.chain(0), structure.chain(9)), (Some(2), None));
    // Where a layer leans on the one below in key frames only, it has nothing else within.
    let mut known = None;
    parse(&capture("chromium-vp9-l3t3-key")[0], &mut known);
    assert_eq!(known.unwrap().within(8), 0b1_1100_0000);
}

#[test]
fn what_chromium_wrote_is_written_in_the_same_bytes() {
    for (name, _) in CAPTURES {
        let mut of_three_bytes = 0;
        for (value, before, descriptor) in read(name) {
            let mut known = before.clone();
            parse(&value, &mut known);
            let mut out = [0xFF; 255];
            let len = descriptor
                .write(known.as_deref().unwrap(), &mut out)
                .unwrap();
            assert_eq!(out[..len], value, "{name}");
            of_three_bytes += usize::from(len == 3);
            for room in 0..len {
                let written = descriptor.write(known.as_deref().unwrap(), &mut out[..room]);
                assert_eq!(written, None, "{name} {room}");
            }
        }
        assert!(of_three_bytes > 40, "{name}");
    }
}

#[test]
fn every_prefix_is_read_without_a_structure_or_told_off() {
    for (name, _) in CAPTURES {
        for (value, before, whole) in read(name) {
            let end = Reading::of(&value, before.as_deref()).unwrap().end;
            for len in 0..value.len() {
                let mut known = before.clone();
                let got = DependencyDescriptor::parse(&value[..len], &mut known);
                match got {
                    // Three bytes are a whole descriptor, less what was cut.
                    Ok(read) if len == 3 => assert_eq!(read.mandatory, whole.mandatory),
                    Ok(read) => {
                        assert!(len * 8 >= end, "{name} {len}");
                        assert_eq!(read, whole);
                        continue;
                    }
                    Err(why) => {
                        let unknown = len == 3
                            && (before.is_none() || whole.structure != StructureNews::None);
                        let expected = if unknown {
                            Unreadable::StructureUnknown
                        } else {
                            Unreadable::Malformed
                        };
                        assert_eq!(why, expected, "{name} {len} {value:02x?}");
                    }
                }
                assert_eq!(known, before, "{name} {len}");
            }
        }
    }
}

#[test]
fn other_active_decode_targets_change_nothing_else() {
    for (name, _) in CAPTURES {
        for (value, before, whole) in read(name) {
            let mut known = before.clone();
            parse(&value, &mut known);
            let all = known.as_deref().unwrap().all_decode_targets();
            for active in [0, 1, all / 2, all] {
                let mut out = [0xFF; 260];
                let len =
                    rewrite_active_decode_targets(&value, before.as_deref(), active, &mut out)
                        .unwrap();
                assert!(len <= value.len() + 5);
                let expected = DependencyDescriptor {
                    active_decode_targets: Some(active),
                    ..whole.clone()
                };
                let mut again = before.clone();
                assert_eq!(parse(&out[..len], &mut again), expected, "{name}");
                assert_eq!(again, known);
                let room = &mut out[..len - 1];
                let cut = rewrite_active_decode_targets(&value, before.as_deref(), active, room);
                assert_eq!(cut, None);
            }
            let mut out = [0; 260];
            let too_many =
                rewrite_active_decode_targets(&value, before.as_deref(), all + 1, &mut out);
            assert_eq!(too_many, None);
        }
    }
    assert_eq!(
        rewrite_active_decode_targets(&[0xC0, 0, 1], None, 0, &mut [0; 9]),
        None
    );
}

#[test]
fn another_frame_number_changes_nothing_else() {
    for (value, before, whole) in read("chromium-av1-l3t3") {
        let mut rewritten = value.clone();
        assert!(rewrite_frame_number(&mut rewritten, 0xABCD));
        let mut expected = whole.clone();
        expected.mandatory.frame_number = 0xABCD;
        assert_eq!(parse(&rewritten, &mut before.clone()), expected);
    }
    assert!(!rewrite_frame_number(&mut [0; 2], 1));
}

#[test]
fn a_repeated_structure_is_told_from_a_new_one() {
    let news: Vec<StructureNews> = read("chromium-av1-s2t3")
        .into_iter()
        .map(|(_, _, descriptor)| descriptor.structure)
        .take(3)
        .collect();
    assert_eq!(
        news,
        [
            StructureNews::New,
            StructureNews::Repeated,
            StructureNews::None
        ]
    );
}

#[test]
fn what_refers_to_an_unknown_structure_or_template_says_so() {
    let unknown = Err(Unreadable::StructureUnknown);
    let mut known = None;
    let value = [0xC1, 0, 1];
    assert_eq!(DependencyDescriptor::parse(&value, &mut known), unknown);
    // The first three bytes can be read all the same.
    let mandatory = Mandatory::parse(&value).unwrap();
    assert_eq!((mandatory.template_id, mandatory.frame_number), (1, 1));
    assert_eq!(Mandatory::parse(&value[..2]), Err(Unreadable::Malformed));
    parse(&capture("chromium-av1-l1t3")[0], &mut known);
    // Five templates from 0 on.
    assert!(DependencyDescriptor::parse(&[0xC4, 0, 1], &mut known).is_ok());
    for template in [5, 63] {
        let value = [0xC0 | template, 0, 1];
        assert_eq!(DependencyDescriptor::parse(&value, &mut known), unknown);
    }
}

#[test]
fn parts_that_do_not_fit_together_make_no_structure() {
    let build = |rows: &[Row<'_>], protected_by: &[u8], sizes: usize| {
        let resolution = Resolution {
            width: 1,
            height: 65_537,
        };
        DependencyStructure::new(
            0,
            2,
            templates(rows),
            protected_by.iter().copied().collect(),
            (0..sizes).map(|_| resolution).collect(),
        )
    };
    let good: Row<'_> = (0, 0, "SS", &[16], &[15]);
    assert!(build(&[good, good], &[0, 0], 0).is_some());
    let check = |rows: &[Row<'_>], protected_by: &[u8], sizes| {
        assert_eq!(build(rows, protected_by, sizes), None, "{rows:?}");
    };
    check(&[], &[], 0);
    // A size too large, and too few of them.
    check(&[good], &[0, 0], 1);
    check(&[good, (1, 0, "SS", &[], &[0])], &[0, 0], 1);
    // Differences a template cannot hold.
    check(&[(0, 0, "SS", &[17], &[0])], &[0, 0], 0);
    check(&[(0, 0, "SS", &[0], &[0])], &[0, 0], 0);
    check(&[(0, 0, "SS", &[1], &[16])], &[0, 0], 0);
    // Layers out of order.
    check(&[(0, 1, "SS", &[], &[0])], &[0, 0], 0);
    check(&[good, (0, 2, "SS", &[], &[0])], &[0, 0], 0);
    check(&[good, (1, 1, "SS", &[], &[0])], &[0, 0], 0);
    // Chains that do not exist, or exist for some only.
    check(&[good], &[0, 1], 0);
    check(&[good], &[0], 0);
    check(&[good, (0, 0, "SS", &[], &[])], &[0, 0], 0);
    check(&[(0, 0, "SS", &[], &[0, 0, 0])], &[0, 0], 0);
    // A decode target that does not exist.
    check(&[(0, 0, "SSS", &[], &[0])], &[0, 0], 0);
    let (none, targets) = (ArrayVec::new(), templates(&[(0, 0, "", &[], &[])]));
    for count in [0, 33] {
        let built =
            DependencyStructure::new(0, count, targets.clone(), none.clone(), ArrayVec::new());
        assert_eq!(built, None);
    }
}

/// Bits from a string of them, padded with zeros.
fn from_bits(bits: &str) -> Vec<u8> {
    let bits: Vec<char> = bits.chars().filter(|bit| *bit != ' ').collect();
    let byte = |bits: &[char]| {
        let set = bits.iter().zip([128, 64, 32, 16, 8, 4, 2, 1]);
        set.map(|(bit, value)| if *bit == '1' { value } else { 0_u8 })
            .sum()
    };
    bits.chunks(8).map(byte).collect()
}

#[test]
fn what_exceeds_a_bound_is_malformed() {
    let start = format!("11000000 {:016b} 10000 000000 00000", 1);
    let check = |rest: String, expected: Option<Unreadable>| {
        let value = from_bits(&format!("{start} {rest}"));
        let got = DependencyDescriptor::parse(&value, &mut None);
        assert_eq!(got.err(), expected, "{rest}");
    };
    let malformed = Some(Unreadable::Malformed);
    // So many templates of one layer with one decode target, without differences and chains.
    let many = |count: usize| {
        let layers = "00".repeat(count - 1) + "11";
        layers + &"10".repeat(count) + &"0".repeat(count) + "0 0"
    };
    check(many(64), None);
    check(many(65), malformed);
    // So many temporal, then spatial layers.
    let layers = |step: &str, count: usize| {
        step.repeat(count - 1) + "11" + &"10".repeat(count) + &"0".repeat(count) + "0 0"
    };
    check(layers("01", 8), None);
    check(layers("01", 9), malformed);
    check(layers("10", 4), None);
    check(layers("10", 5), malformed);
    // So many references of a template.
    let references = |count: usize| format!("11 10 {} 0 0 0", "1 0000 ".repeat(count));
    check(references(8), None);
    check(references(9), malformed);
    // So many of a frame.
    let mut known = None;
    parse(&from_bits(&format!("{start} {}", many(1))), &mut known);
    for (count, expected) in [(8, None), (9, malformed)] {
        let own = "11 111111111111 ".repeat(count);
        let value = from_bits(&format!("11000000 {:016b} 00010 {own} 00", 2));
        let got = DependencyDescriptor::parse(&value, &mut known);
        if let Ok(read) = &got {
            assert_eq!(read.dependencies.frame_diffs[..], [4_096; 8]);
        }
        assert_eq!(got.err(), expected);
    }
}

#[test]
fn any_bytes_are_read_or_refused_and_what_is_read_can_be_written() {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let mut known = None;
    parse(&capture("chromium-av1-l3t3")[0], &mut known);
    let seeds: Vec<Vec<u8>> = CAPTURES
        .iter()
        .flat_map(|(name, _)| capture(name))
        .filter(|value| value.len() > 3)
        .collect();
    let mut read = 0;
    for _ in 0..60_000 {
        let mut below = |n: usize| usize::try_from(rng.next_u32()).unwrap() % n;
        let mut value = if below(4) == 0 {
            let len = below(120);
            (0..len)
                .map(|_| u8::try_from(below(256)).unwrap())
                .collect()
        } else {
            seeds[below(seeds.len())].clone()
        };
        for _ in 0..below(4) {
            let at = below(value.len().max(1));
            if let Some(byte) = value.get_mut(at) {
                *byte ^= 1 << below(8);
            }
        }
        let mut after = known.clone();
        let Ok(descriptor) = DependencyDescriptor::parse(&value, &mut after) else {
            assert_eq!(after, known);
            continue;
        };
        read += 1;
        let mut out = [0; 400];
        let structure = after.as_deref().unwrap();
        let len = descriptor.write(structure, &mut out).unwrap();
        assert_eq!(parse(&out[..len], &mut known.clone()), descriptor);
        let layer = structure.template(descriptor.mandatory.template_id);
        assert_eq!(layer.map(|found| found.layer), Some(descriptor.layer));
        for target in structure.decode_targets()..=255 {
            let indication = descriptor.dependencies.indications.get(target);
            assert_eq!(indication, Indication::NotPresent);
            assert_eq!(structure.layer(target), None::<Layer>);
        }
    }
    assert!(read > 10_000, "{read}");
}

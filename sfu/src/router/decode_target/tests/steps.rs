//! Picture by picture: what passes when, and when a key frame is asked for.

use super::encoder::{Encoder, Leaning, Sent};
use super::receiver::Link;
use super::{Dice, wish};
use crate::router::decode_target::{DecodeTargetSelector, FramePacket, FramePassage};
use crate::wire::dependency_descriptor::fixtures::{CAPTURES, capture, structure};
use crate::wire::dependency_descriptor::{
    DependencyDescriptor, DependencyStructure, Indication, Mandatory, StructureNews,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// A picture arrives whole; the layers of the frames that passed.
fn feed(link: &mut Link, rung: u8, picture: &[Sent]) -> Vec<(u8, u8)> {
    let mut passed = Vec::new();
    for frame in picture {
        let told: Vec<bool> = frame
            .packets
            .iter()
            .map(|value| link.feed(rung, value, true).unwrap().is_some())
            .collect();
        assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
        if told[0] {
            let layer = frame.descriptor.layer;
            passed.push((layer.spatial, layer.temporal));
        }
    }
    passed
}

fn start(leaning: Leaning, spatial: u8, first: super::Wish) -> (Encoder, Link) {
    let mut link = Link::default();
    link.selector.set_wish(Some(first));
    (Encoder::new(leaning, spatial, 65_530), link)
}

#[test]
fn with_one_wish_exactly_the_frames_of_its_decode_target_pass() {
    for leaning in [Leaning::Always, Leaning::InKeyFrames, Leaning::Never] {
        for target in 0..9_u8 {
            let (mut encoder, mut link) = start(leaning, 3, wish(0, target / 3, target % 3));
            let mut expected = Vec::new();
            for picture in 0..60 {
                if picture % 23 == 22 {
                    encoder.start_again(picture % 2 == 0);
                }
                for frame in encoder.picture(picture % 3 == 0) {
                    let own = &frame.descriptor;
                    let indication = own.dependencies.indications.get(target);
                    // Simulcast in one encoding: the key frame of a lower one is a way to begin.
                    let begins =
                        own.structure == StructureNews::New && own.layer.spatial < target / 3;
                    if indication != Indication::NotPresent
                        || (begins && leaning == Leaning::Never && picture != 45)
                    {
                        expected.push(own.mandatory.frame_number);
                    }
                    for value in &frame.packets {
                        link.feed(0, value, true).unwrap();
                    }
                }
                assert_eq!(link.selector.keyframe_wanted(), None);
            }
            assert_eq!(link.passed, expected, "{leaning:?} {target}");
        }
    }
}

#[test]
fn temporal_layers_go_down_at_once_and_up_without_a_key_frame() {
    let (mut encoder, mut link) = start(Leaning::Always, 1, wish(0, 0, 2));
    let mut next = |link: &mut Link| feed(link, 0, &encoder.picture(false));
    assert_eq!(next(&mut link), [(0, 0)]);
    assert_eq!(next(&mut link), [(0, 2)]);
    link.selector.set_wish(Some(wish(0, 0, 0)));
    assert_eq!(next(&mut link), []);
    link.selector.set_wish(Some(wish(0, 0, 2)));
    // Its frame of the middle layer was not passed, so the next one above it is not decodable.
    assert_eq!(next(&mut link), []);
    assert_eq!(next(&mut link), [(0, 0)]);
    assert_eq!(next(&mut link), [(0, 2)]);
    assert_eq!(next(&mut link), [(0, 1)]);
    assert_eq!(next(&mut link), [(0, 2)]);
    assert_eq!(link.selector.keyframe_wanted(), None);
}

#[test]
fn spatial_layers_go_down_at_once_and_up_at_a_key_frame() {
    let (mut encoder, mut link) = start(Leaning::Always, 3, wish(0, 2, 2));
    let all = [(0, 0), (1, 0), (2, 0)];
    assert_eq!(feed(&mut link, 0, &encoder.picture(false)), all);
    link.selector.set_wish(Some(wish(0, 1, 2)));
    assert_eq!(
        feed(&mut link, 0, &encoder.picture(false)),
        [(0, 2), (1, 2)]
    );
    // Nothing that later frames lean on was left out yet.
    link.selector.set_wish(Some(wish(0, 2, 2)));
    let passed = feed(&mut link, 0, &encoder.picture(false));
    assert_eq!(passed, [(0, 1), (1, 1), (2, 1)]);
    link.selector.set_wish(Some(wish(0, 0, 2)));
    assert_eq!(feed(&mut link, 0, &encoder.picture(false)), [(0, 2)]);
    assert_eq!(feed(&mut link, 0, &encoder.picture(false)), [(0, 0)]);
    assert_eq!(link.selector.keyframe_wanted(), None);
    link.selector.set_wish(Some(wish(0, 1, 2)));
    assert_eq!(feed(&mut link, 0, &encoder.picture(false)), [(0, 2)]);
    assert_eq!(link.selector.keyframe_wanted(), Some(0));
    encoder.start_again(false);
    assert_eq!(
        feed(&mut link, 0, &encoder.picture(false)),
        [(0, 0), (1, 0)]
    );
    assert_eq!(link.selector.keyframe_wanted(), None);
}

#[test]
fn a_lower_layer_that_was_not_passed_waits_for_a_key_frame_at_the_lowest_rate() {
    for leaning in [Leaning::InKeyFrames, Leaning::Never] {
        let (mut encoder, mut link) = start(leaning, 3, wish(0, 2, 2));
        let all = [(0, 0), (1, 0), (2, 0)];
        assert_eq!(feed(&mut link, 0, &encoder.picture(false)), all);
        for temporal in [2, 1, 2, 0, 2] {
            let passed = feed(&mut link, 0, &encoder.picture(false));
            assert_eq!(passed, [(2, temporal)]);
        }
        link.selector.set_wish(Some(wish(0, 0, 2)));
        for expected in [&[][..], &[], &[(2, 0)], &[], &[]] {
            assert_eq!(feed(&mut link, 0, &encoder.picture(false)), expected);
            assert_eq!(link.selector.current(), Some(wish(0, 2, 0)));
            assert_eq!(link.selector.keyframe_wanted(), Some(0));
        }
        encoder.start_again(true);
        assert_eq!(feed(&mut link, 0, &encoder.picture(false)), [(0, 0)]);
        assert_eq!(link.selector.current(), Some(wish(0, 0, 2)));
        assert_eq!(link.selector.keyframe_wanted(), None);
    }
}

#[test]
fn where_a_chain_breaks_the_highest_whole_one_goes_on() {
    let (mut encoder, mut link) = start(Leaning::Always, 3, wish(0, 2, 2));
    for _ in 0..4 {
        feed(&mut link, 0, &encoder.picture(false));
    }
    // The middle one of the lowest temporal layer is lost before it gets here.
    let picture = encoder.picture(false);
    assert_eq!(feed(&mut link, 0, &picture[..1]), [(0, 0)]);
    assert_eq!(feed(&mut link, 0, &picture[2..]), []);
    assert_eq!(link.selector.current(), Some(wish(0, 0, 2)));
    assert_eq!(link.selector.keyframe_wanted(), Some(0));
    assert_eq!(feed(&mut link, 0, &encoder.picture(false)), [(0, 2)]);
    encoder.start_again(false);
    let passed = feed(&mut link, 0, &encoder.picture(false));
    assert_eq!(passed, [(0, 0), (1, 0), (2, 0)]);
}

#[test]
fn a_lost_frame_nothing_leans_on_breaks_nothing() {
    let (mut encoder, mut link) = start(Leaning::Always, 1, wish(0, 0, 2));
    feed(&mut link, 0, &encoder.picture(false));
    let discardable = encoder.picture(false);
    let told = link.feed(0, &discardable[0].packets[0], false).unwrap();
    link.report(told.unwrap());
    assert_eq!(feed(&mut link, 0, &encoder.picture(false)), [(0, 1)]);
    assert_eq!(link.selector.keyframe_wanted(), None);
    // One of the middle layer takes along what leans on it, and no more.
    feed(&mut link, 0, &encoder.picture(false));
    feed(&mut link, 0, &encoder.picture(false));
    feed(&mut link, 0, &encoder.picture(false));
    let middle = encoder.picture(false);
    let told = link.feed(0, &middle[0].packets[0], false).unwrap();
    link.report(told.unwrap());
    assert_eq!(feed(&mut link, 0, &encoder.picture(false)), []);
    assert_eq!(feed(&mut link, 0, &encoder.picture(false)), [(0, 0)]);
    assert_eq!(link.selector.keyframe_wanted(), None);
    // One of the lowest layer stops all.
    feed(&mut link, 0, &encoder.picture(false));
    feed(&mut link, 0, &encoder.picture(false));
    feed(&mut link, 0, &encoder.picture(false));
    let lowest = encoder.picture(false);
    let told = link.feed(0, &lowest[0].packets[0], false).unwrap();
    let later = feed(&mut link, 0, &encoder.picture(false));
    assert_eq!(later, [(0, 2)]);
    link.report(told.unwrap());
    for _ in 0..6 {
        assert_eq!(feed(&mut link, 0, &encoder.picture(false)), []);
        assert_eq!(link.selector.keyframe_wanted(), Some(0));
    }
}

#[test]
fn a_rung_changes_at_a_key_frame_and_the_numbers_run_on() {
    let mut encoders: Vec<Encoder> = [9, 40_000, 500]
        .map(|first| Encoder::new(Leaning::Always, 1, first))
        .into();
    let mut link = Link::default();
    let mut told = Vec::new();
    let mut step = |link: &mut Link, keyframe: Option<usize>| {
        if let Some(rung) = keyframe {
            encoders[rung].start_again(false);
        }
        let mut passed = Vec::new();
        for (encoder, rung) in encoders.iter_mut().zip(0..) {
            let picture = encoder.picture(false);
            let passes = link.feed(rung, &picture[0].packets[0], true).unwrap();
            passed.extend(passes.map(|number| (rung, number)));
        }
        told.extend(passed.iter().map(|&(_, number)| number));
        passed.last().map(|&(rung, _)| rung)
    };
    assert_eq!(step(&mut link, None), None);
    link.selector.set_wish(Some(wish(2, 0, 2)));
    assert_eq!(link.selector.keyframe_wanted(), Some(2));
    assert_eq!(step(&mut link, Some(1)), None);
    assert_eq!(step(&mut link, Some(2)), Some(2));
    assert_eq!(link.selector.keyframe_wanted(), None);
    assert_eq!(step(&mut link, None), Some(2));
    // Down: its lowest temporal layer only, until the lower rung has a key frame.
    link.selector.set_wish(Some(wish(0, 0, 2)));
    assert_eq!(link.selector.keyframe_wanted(), Some(0));
    let passed: Vec<_> = (0..6).map(|_| step(&mut link, None)).collect();
    assert_eq!(passed, [None, None, Some(2), None, None, None]);
    assert_eq!(step(&mut link, Some(0)), Some(0));
    // Up: all the lower rung has, whatever was wished of it.
    link.selector.set_wish(Some(wish(0, 0, 0)));
    assert_eq!(step(&mut link, None), None);
    link.selector.set_wish(Some(wish(1, 0, 0)));
    let passed: Vec<_> = (0..4).map(|_| step(&mut link, None)).collect();
    assert_eq!(passed, [Some(0); 4]);
    assert_eq!(step(&mut link, Some(1)), Some(1));
    assert_eq!(step(&mut link, None), None);
    // Paused: nothing, and then a key frame.
    link.selector.set_wish(None);
    assert_eq!(step(&mut link, Some(1)), None);
    link.selector.set_wish(Some(wish(1, 0, 2)));
    assert_eq!(step(&mut link, None), None);
    assert_eq!(step(&mut link, Some(1)), Some(1));
    assert!(told.windows(2).all(|pair| pair[0] < pair[1]), "{told:?}");
    // Within a rung the gaps of what is left out stay; from one to the next there is none.
    assert_eq!(told[..4], [502, 503, 506, 507]);
}

#[test]
fn a_late_frame_passes_unless_a_later_one_did() {
    let (mut encoder, mut link) = start(Leaning::Always, 1, wish(0, 0, 2));
    let pictures: Vec<Vec<Sent>> = (0..8).map(|_| encoder.picture(false)).collect();
    let mut one = |at: usize| feed(&mut link, 0, &pictures[at]).len();
    // 4 is the lowest layer's, so nothing behind it passes before it; 6 and 7 do not wait for it.
    let order = [0, 1, 2, 3, 5, 4, 6, 7];
    assert_eq!(order.map(&mut one), [1, 1, 1, 1, 0, 1, 1, 1]);
    // Behind a frame that passed, or seen before, is too late.
    let (mut encoder, mut link) = start(Leaning::Always, 1, wish(0, 0, 2));
    let pictures: Vec<Vec<Sent>> = (0..8).map(|_| encoder.picture(false)).collect();
    let mut one = |at: usize| feed(&mut link, 0, &pictures[at]).len();
    assert_eq!([0, 2, 1, 4].map(&mut one), [1, 1, 0, 1]);
}

#[test]
fn a_frame_that_has_begun_goes_on_and_one_that_lacks_its_front_does_not_pass() {
    let (mut encoder, mut link) = start(Leaning::Always, 1, wish(0, 0, 2));
    feed(&mut link, 0, &encoder.picture(true));
    let picture = encoder.picture(true);
    let [first, second] = &picture[0].packets[..] else {
        panic!("two packets");
    };
    assert!(link.feed(0, first, true).unwrap().is_some());
    link.selector.set_wish(Some(wish(0, 0, 0)));
    assert!(link.feed(0, second, true).unwrap().is_some());
    link.selector.set_wish(Some(wish(0, 0, 2)));
    feed(&mut link, 0, &encoder.picture(true));
    let picture = encoder.picture(true);
    let [first, second] = &picture[0].packets[..] else {
        panic!("two packets");
    };
    assert_eq!(link.feed(0, second, true), Ok(None));
    assert_eq!(link.feed(0, first, true), Ok(None));
}

#[test]
fn an_encoder_that_counts_from_elsewhere_begins_anew() {
    let (mut encoder, mut link) = start(Leaning::Always, 1, wish(0, 0, 2));
    for _ in 0..20 {
        feed(&mut link, 0, &encoder.picture(false));
    }
    let mut encoder = Encoder::new(Leaning::Always, 1, 45_000);
    assert_eq!(feed(&mut link, 0, &encoder.picture(false)), [(0, 0)]);
    assert_eq!(feed(&mut link, 0, &encoder.picture(false)), [(0, 2)]);
}

/// Frames of each capture that pass with a wish for spatial layer 0, 1, 2, each with temporal layer
/// 0, 1, 2; and the spatial layers that are produced in the end.
const PASSED: [(&str, [usize; 9], u8); 5] = [
    (
        "chromium-av1-l1t3",
        [87, 172, 342, 87, 172, 342, 87, 172, 342],
        1,
    ),
    (
        "chromium-av1-l3t3",
        [21, 41, 82, 42, 82, 164, 42, 82, 164],
        2,
    ),
    ("chromium-av1-s2t3", [21, 42, 84, 22, 43, 85, 22, 43, 85], 2),
    (
        "chromium-vp8-l1t3",
        [30, 59, 120, 30, 59, 120, 30, 59, 120],
        1,
    ),
    (
        "chromium-vp9-l3t3-key",
        [51, 101, 199, 42, 80, 152, 44, 81, 151],
        3,
    ),
];

#[test]
fn what_chromium_sent_passes_layer_by_layer_and_is_decodable() {
    for (name, expected, spatial) in PASSED {
        for (target, expected) in (0..9).zip(expected) {
            let mut link = Link::default();
            let asked = wish(0, target / 3, target % 3);
            link.selector.set_wish(Some(asked));
            let mut of_the_layer = 0;
            for value in capture(name) {
                link.feed(0, &value, true).unwrap();
                let mut known = link.known[0].clone();
                let read = DependencyDescriptor::parse(&value, &mut known).unwrap();
                let is_part = read.layer.temporal <= asked.layer.temporal;
                of_the_layer += usize::from(read.mandatory.starts_frame && is_part);
            }
            let passed = link.passed.len();
            assert_eq!(passed, expected, "{name} {target} of {of_the_layer}");
            assert!(passed == of_the_layer || spatial > 1, "{name} {target}");
            let reached = wish(0, asked.layer.spatial.min(spatial - 1), target % 3);
            assert_eq!(link.selector.current(), Some(reached));
        }
    }
}

#[test]
fn what_chromium_sent_stays_decodable_under_wishes_and_losses_by_chance() {
    for (name, _) in CAPTURES {
        let mut passed = 0;
        for seed in 0..20 {
            let mut dice = Dice(ChaCha20Rng::seed_from_u64(seed));
            let mut link = Link::default();
            let mut lost = false;
            for (value, at) in capture(name).iter().zip(0_u32..) {
                if at % 12 == 0 {
                    let layer = u8::try_from(dice.below(9)).unwrap();
                    link.selector.set_wish(Some(wish(0, layer / 3, layer % 3)));
                }
                if value[0] & 0x80 != 0 {
                    // Key frames come through, as there is no one to ask for others.
                    lost = value.len() < 20 && dice.percent(1);
                }
                let arrives = value.len() > 20 || !dice.percent(1);
                if !lost
                    && let Some(told) = link.feed(0, value, arrives).unwrap()
                    && !arrives
                {
                    link.report(told);
                }
            }
            passed += link.passed.len();
        }
        assert!(passed > 400, "{name}: {passed}");
    }
}

/// Whether a frame passes that its template describes; the first one brings the structure, and says
/// what is produced.
fn passes(
    selector: &mut DecodeTargetSelector,
    structure: &DependencyStructure,
    frame_number: u16,
    template_id: u8,
    produced: u32,
) -> bool {
    let template = structure.template(template_id).unwrap();
    let descriptor = DependencyDescriptor {
        mandatory: Mandatory {
            starts_frame: true,
            ends_frame: true,
            template_id,
            frame_number,
        },
        structure: if frame_number == 1 {
            StructureNews::New
        } else {
            StructureNews::None
        },
        active_decode_targets: (frame_number == 1).then_some(produced),
        dependencies: template.dependencies.clone(),
        ..DependencyDescriptor::default()
    };
    let passage = selector.passes(FramePacket {
        rung: 0,
        descriptor: &descriptor,
        structure,
    });
    passage != FramePassage::No
}

#[test]
fn behind_a_broken_chain_nothing_passes_that_could_overtake_the_missing_frame() {
    let rows = [
        (0, 0, "S", &[][..], &[0][..]),
        (0, 0, "S", &[1], &[1]),
        (0, 0, "D", &[2], &[1]),
        (0, 0, "S", &[2], &[2]),
    ];
    let structure = structure(0, &rows, &[0], &[]);
    let mut selector = DecodeTargetSelector::new();
    selector.set_wish(Some(wish(0, 0, 0)));
    let mut check = |frame_number: u16, template_id: u8, expected: bool| {
        let passed = passes(&mut selector, &structure, frame_number, template_id, 1);
        assert_eq!(passed, expected, "{frame_number}");
        let current = selector.current();
        assert_eq!(
            current.is_some(),
            !(3..=4).contains(&frame_number),
            "{frame_number}"
        );
    };
    check(1, 0, true);
    check(2, 1, true);
    // 3 is missing; 4 leans on 2 alone, and a decoder that had it could not go back for 3.
    check(4, 2, false);
    check(3, 1, true);
    check(5, 3, true);
    check(6, 1, true);
}

#[test]
fn where_nothing_so_low_is_produced_the_lowest_passes() {
    let rows = [
        (0, 0, "SS", &[][..], &[0, 0][..]),
        (1, 0, "-S", &[], &[0, 0]),
        (1, 0, "-S", &[1], &[0, 1]),
    ];
    let structure = structure(0, &rows, &[0, 1], &[]);
    let mut selector = DecodeTargetSelector::new();
    selector.set_wish(Some(wish(0, 0, 0)));
    for (frame_number, template_id) in [(1, 1), (2, 2), (3, 2)] {
        let passed = passes(&mut selector, &structure, frame_number, template_id, 0b10);
        assert!(passed, "{frame_number}");
        assert_eq!(selector.current(), Some(wish(0, 1, 0)));
        assert_eq!(selector.keyframe_wanted(), None);
    }
}

#[test]
fn without_chains_a_lost_frame_that_others_need_stops_all_until_a_switch() {
    let rows = [
        (0, 0, "S", &[][..], &[][..]),
        (0, 0, "R", &[1], &[]),
        (0, 0, "D", &[1], &[]),
        (0, 0, "S", &[4], &[]),
    ];
    let structure = structure(0, &rows, &[], &[]);
    let mut selector = DecodeTargetSelector::new();
    selector.set_wish(Some(wish(0, 0, 0)));
    let mut check = |frame_number: u16, template_id: u8, expected: bool, wanted: bool| {
        let passed = passes(&mut selector, &structure, frame_number, template_id, 1);
        assert_eq!(passed, expected, "{frame_number}");
        assert_eq!(selector.keyframe_wanted(), wanted.then_some(0));
    };
    check(1, 0, true, false);
    check(2, 1, true, false);
    check(3, 1, true, false);
    // 4 is missing; what could do without it is all right.
    check(5, 2, false, false);
    check(7, 3, true, false);
    // 8 is missing.
    check(9, 1, false, true);
    check(10, 1, false, true);
    check(11, 3, true, false);
    check(12, 1, true, false);
}

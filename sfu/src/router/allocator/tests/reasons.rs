//! Single decisions, and each reason with its figures.

use super::super::{Allocator, Claim, Reason, Weight};
use super::support::{PLAIN, SPEAKER, ask, budget, claim, kbps, layer, nine, once, three};
use crate::time::{Duration, Instant};

#[test]
fn full_is_said_where_the_best_layer_fits() {
    let layers = three();
    let answer = once(budget(2_000, 2_000), &[claim(1, &layers)]);
    assert_eq!(answer.layers(), [Some(2)]);
    assert_eq!(answer.reasons(), [Reason::Full]);
    assert_eq!(answer.used, kbps(1_500));
    assert_eq!(answer.next_useful, None);
    assert_eq!(answer.reconsider_at, None);
}

#[test]
fn the_wanted_size_is_said_where_larger_layers_flow() {
    let layers = three();
    let check = |wanted_height, expected, reason| {
        let wanted = Claim {
            wanted_height,
            ..claim(1, &layers)
        };
        let answer = once(budget(9_000, 9_000), &[wanted]);
        assert_eq!(answer.layers(), [Some(expected)], "{wanted_height}");
        assert_eq!(answer.reasons(), [reason], "{wanted_height}");
        assert_eq!(answer.next_useful, None);
    };
    check(0, 2, Reason::Full);
    check(720, 2, Reason::Full);
    check(719, 2, Reason::Full);
    // What would be blown up by more than a third is not good enough.
    check(481, 2, Reason::Full);
    check(480, 1, Reason::WantedSize { height: 480 });
    check(360, 1, Reason::WantedSize { height: 360 });
    check(180, 0, Reason::WantedSize { height: 180 });
    // The lowest always counts.
    check(90, 0, Reason::WantedSize { height: 90 });
}

#[test]
fn the_lowest_height_counts_with_all_its_rates_however_small_the_tile() {
    let layers = nine();
    let tiny = Claim {
        wanted_height: 90,
        ..claim(1, &layers)
    };
    assert_eq!(once(budget(9_000, 9_000), &[tiny]).layers(), [Some(2)]);
}

#[test]
fn budget_is_said_with_what_the_next_layer_needs_and_what_there_is() {
    let layers = three();
    let answer = once(budget(480, 480), &[claim(1, &layers)]);
    assert_eq!(answer.layers(), [Some(0)]);
    // 3 % stay free above a new layer: 480 - 2 x 480/64.
    let reason = Reason::Budget {
        needed: kbps(500),
        available: kbps(465),
    };
    assert_eq!(answer.reasons(), [reason]);
    // 500 kb/s are 62/64 of 516.13: 36.13 more than there are.
    let more = answer.next_useful.map(|more| more.as_bps() / 100);
    assert_eq!(more, Some(361));
    let enough = budget(480 + 37, 480 + 37);
    assert_eq!(once(enough, &[claim(1, &layers)]).layers(), [Some(1)]);
}

#[test]
fn paused_is_said_with_what_the_lowest_layer_needs_and_what_is_left() {
    let layers = three();
    let claims = [claim(1, &layers), claim(2, &layers)];
    let answer = once(budget(240, 240), &claims);
    assert_eq!(answer.layers(), [Some(0), None]);
    let reason = Reason::Paused {
        needed: kbps(150),
        available: kbps(90),
    };
    assert_eq!(answer.reasons()[1], reason);
    assert_eq!(answer.next_useful, Some(kbps(60)));
}

#[test]
fn held_is_said_until_a_failed_upgrade_may_be_tried_again() {
    let layers = three();
    let claims = [claim(1, &layers)];
    let mut allocator = Allocator::default();
    let mut at = |millis, rate| {
        let now = Instant::from_millis(millis);
        ask(&mut allocator, now, budget(rate, rate), &claims)
    };
    assert_eq!(at(0, 300).layers(), [Some(0)]);
    assert_eq!(at(1_000, 600).layers(), [Some(1)]);
    assert_eq!(at(2_000, 300).layers(), [Some(0)]);
    let answer = at(2_100, 900);
    let until = Instant::from_millis(4_000);
    assert_eq!(answer.layers(), [Some(0)]);
    assert_eq!(answer.reasons(), [Reason::Held { until }]);
    assert_eq!(answer.reconsider_at, Some(until));
    assert_eq!(answer.next_useful, None, "no probe for what is held");
    assert_eq!(at(3_999, 900).layers(), [Some(0)]);
    assert_eq!(at(4_000, 900).layers(), [Some(1)]);
}

#[test]
fn may_not_pause_is_said_where_the_lowest_layer_does_not_fit() {
    let layers = three();
    let firm = Claim {
        may_pause: false,
        ..claim(2, &layers)
    };
    // It comes first, though the other is heavier: what it costs is not to be had anyway.
    let heavy = Claim {
        weight: SPEAKER,
        ..claim(1, &layers)
    };
    let answer = once(budget(100, 100), &[heavy, firm]);
    assert_eq!(answer.layers(), [None, Some(0)]);
    let reason = Reason::MayNotPause {
        needed: kbps(150),
        available: kbps(100),
    };
    assert_eq!(answer.reasons()[1], reason);
    assert_eq!(answer.used, kbps(150));
}

#[test]
fn not_wanted_is_said_where_the_viewer_does_not_look() {
    let layers = three();
    let hidden = Claim {
        is_hidden: true,
        may_pause: false,
        current: Some(2),
        ..claim(1, &layers)
    };
    let answer = once(budget(9_000, 9_000), &[hidden, claim(2, &layers)]);
    assert_eq!(answer.layers(), [None, Some(2)]);
    assert_eq!(answer.reasons(), [Reason::NotWanted, Reason::Full]);
}

#[test]
fn no_layer_is_said_where_nothing_flows() {
    let silent = [layer((0, 0), 180, 30, 0), layer((1, 0), 360, 30, 0)];
    let half = [layer((0, 0), 180, 30, 0), layer((1, 0), 360, 30, 500)];
    let claims = [claim(1, &[]), claim(2, &silent), claim(3, &half)];
    let answer = once(budget(9_000, 9_000), &claims);
    assert_eq!(answer.layers(), [None, None, Some(1)]);
    let reasons = [Reason::NoLayer, Reason::NoLayer, Reason::Full];
    assert_eq!(answer.reasons(), reasons);
}

#[test]
fn a_kept_layer_needs_fast_and_a_new_one_stable() {
    let layers = three();
    let check = |current, fast, stable, expected| {
        let claims = [Claim {
            current,
            ..claim(1, &layers)
        }];
        let answer = once(budget(fast, stable), &claims);
        assert_eq!(answer.layers(), [expected], "{current:?} {fast} {stable}");
    };
    check(Some(1), 500, 100, Some(1));
    check(Some(1), 499, 100, Some(0));
    check(Some(1), 149, 100, None);
    check(Some(0), 9_000, 499, Some(0));
    check(Some(0), 9_000, 520, Some(1));
    check(None, 9_000, 149, None);
    check(None, 150, 150, Some(0));
    // `stable` above `fast` is a mistake of the caller's windows.
    check(Some(0), 400, 900, Some(0));
}

#[test]
fn where_patience_is_enough_no_probe_is_asked_for() {
    let layers = three();
    let claims = [Claim {
        current: Some(0),
        ..claim(1, &layers)
    }];
    assert_eq!(once(budget(900, 300), &claims).next_useful, None);
    let more = once(budget(510, 300), &claims).next_useful;
    assert!(more.is_some_and(|more| more > kbps(6) && more < kbps(7)));
}

#[test]
fn lowest_layers_go_by_weight_and_the_light_ones_are_paused() {
    let layers = three();
    let weighted = |section, weight| Claim {
        weight,
        ..claim(section, &layers)
    };
    let weights = [
        Weight {
            priority: 1,
            ..PLAIN
        },
        PLAIN,
        SPEAKER,
        Weight {
            is_screen_share: true,
            ..PLAIN
        },
        Weight {
            is_pinned: true,
            ..PLAIN
        },
        Weight {
            priority: 255,
            ..PLAIN
        },
    ];
    let claims: Vec<_> = (0..)
        .zip(weights)
        .map(|(section, weight)| weighted(section, weight))
        .collect();
    let shown = |rate| -> Vec<usize> {
        let layers = once(budget(rate, rate), &claims).layers();
        (0..6)
            .filter(|&place: &usize| layers[place].is_some())
            .collect()
    };
    assert_eq!(shown(150), [4]);
    assert_eq!(shown(300), [2, 4], "equals go by section");
    assert_eq!(shown(450), [2, 3, 4]);
    assert_eq!(shown(600), [2, 3, 4, 5]);
    assert_eq!(shown(750), [1, 2, 3, 4, 5]);
    assert_eq!(shown(900), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn what_is_too_dear_does_not_keep_lighter_ones_from_being_shown() {
    let dear = [layer((0, 0), 720, 30, 1_500)];
    let layers = three();
    let heavy = Claim {
        weight: SPEAKER,
        ..claim(1, &dear)
    };
    let answer = once(
        budget(400, 400),
        &[heavy, claim(2, &layers), claim(3, &layers)],
    );
    assert_eq!(answer.layers(), [None, Some(0), Some(0)]);
}

#[test]
fn a_large_picture_that_stutters_is_passed_over_unless_it_is_a_screen() {
    let layers = nine();
    let share = Weight {
        is_screen_share: true,
        ..PLAIN
    };
    let mut camera = Vec::new();
    let mut screen = Vec::new();
    for rate in (50..2_000).step_by(10) {
        let given = |weight| {
            let claims = [Claim {
                weight,
                ..claim(1, &layers)
            }];
            once(budget(rate, rate), &claims).layers()[0]
        };
        camera.extend(given(PLAIN));
        screen.extend(given(share));
    }
    camera.dedup();
    screen.dedup();
    assert!(camera.contains(&0), "the lowest may stutter: {camera:?}");
    assert!(!camera.contains(&3) && !camera.contains(&6), "{camera:?}");
    assert!(screen.contains(&3) && screen.contains(&6), "{screen:?}");
}

#[test]
fn a_slow_camera_is_not_called_a_stutter() {
    let slow = [layer((0, 0), 180, 10, 60), layer((1, 0), 720, 10, 600)];
    let answer = once(budget(9_000, 9_000), &[claim(1, &slow)]);
    assert_eq!(answer.layers(), [Some(1)]);
}

#[test]
fn what_a_measured_rate_trembles_by_flips_no_picture() {
    // As a browser's three temporal layers come out, step by step.
    let mut given = Vec::new();
    let mut allocator = Allocator::default();
    for (step, (half, full)) in [(15, 30), (16, 31), (14, 29), (15, 31), (16, 30)]
        .into_iter()
        .cycle()
        .take(40)
        .enumerate()
    {
        let layers = [
            layer((0, 2), 180, full, 150),
            layer((1, 1), 360, half, 250),
            layer((1, 2), 360, full, 500),
            layer((2, 1), 720, half, 800),
            layer((2, 2), 720, full, 1_600),
        ];
        let now = Instant::from_millis(500 * step as u64);
        let answer = ask(
            &mut allocator,
            now,
            budget(1_400, 1_400),
            &[claim(1, &layers)],
        );
        given.extend(answer.layers());
    }
    given.dedup();
    assert_eq!(given.len(), 1, "{given:?}");
}

#[test]
fn a_layer_that_costs_more_and_is_worth_less_is_never_given() {
    // Measured rates are not always in the order of rank.
    let odd = [
        layer((0, 0), 180, 15, 90),
        layer((0, 1), 180, 30, 300),
        layer((1, 0), 360, 30, 280),
        layer((2, 0), 720, 30, 1_500),
    ];
    for rate in (90..2_000).step_by(5) {
        let layers = once(budget(rate, rate), &[claim(1, &odd)]).layers();
        assert_ne!(layers, [Some(1)], "{rate}");
    }
    let kept = Claim {
        current: Some(1),
        ..claim(1, &odd)
    };
    assert_eq!(once(budget(300, 100), &[kept]).layers(), [Some(2)]);
}

#[test]
fn a_layer_that_stops_is_left_for_the_best_that_costs_no_more() {
    let mut layers = three();
    let mut allocator = Allocator::default();
    let now = Instant::from_millis(10);
    let first = ask(
        &mut allocator,
        now,
        budget(2_000, 2_000),
        &[claim(1, &layers)],
    );
    assert_eq!(first.layers(), [Some(2)]);
    layers[2].bitrate = kbps(0);
    let now = now + Duration::from_millis(10);
    // Nothing new would fit `stable`; the middle one is no news.
    let then = ask(&mut allocator, now, budget(600, 100), &[claim(1, &layers)]);
    assert_eq!(then.layers(), [Some(1)]);
    assert_eq!(then.reasons(), [Reason::Full]);
}

//! What holds for any ladders, weights and budgets: drawn from seeds.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::super::{Allocator, Budget, Claim, Layer, Reason, Scratch, Weight};
use super::support::{Answer, ask, budget, claim, kbps, layer, nine, once, three};
use crate::id::SectionKey;
use crate::limits::SECTIONS_PER_TRANSPORT;
use crate::time::{Duration, Instant};
use crate::units::Bitrate;

struct Dice(ChaCha8Rng);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn below(&mut self, end: u32) -> u32 {
        self.0.next_u32() % end
    }

    fn place(&mut self, len: usize) -> usize {
        self.below(u32::try_from(len).unwrap()) as usize
    }

    fn layers(&mut self) -> Vec<Layer> {
        match self.below(8) {
            0 => return Vec::new(),
            1 => return three(),
            2 => return nine(),
            _ => {}
        }
        let mut layers = Vec::new();
        for spatial in 0..=self.below(3) {
            for temporal in 0..=self.below(3) {
                let height = [90, 180, 360, 720][(spatial + self.below(2)) as usize];
                let fps = [7, 15, 30][temporal as usize];
                let rate = (spatial + 1) * (temporal + 1) * (20 + self.below(300)) - 20;
                let name = (
                    u8::try_from(spatial).unwrap(),
                    u8::try_from(temporal).unwrap(),
                );
                layers.push(layer(name, height, fps, u64::from(rate)));
            }
        }
        layers
    }

    fn claim<'a>(&mut self, section: u32, layers: &'a [Layer]) -> Claim<'a> {
        let current = self.place(layers.len() + 1);
        Claim {
            section: SectionKey(section),
            weight: Weight {
                priority: [1, 64, 128, 128, 255][self.below(5) as usize],
                is_active_speaker: self.below(6) == 0,
                is_pinned: self.below(10) == 0,
                is_screen_share: self.below(6) == 0,
            },
            wanted_height: [0, 0, 100, 180, 360, 720][self.below(6) as usize],
            may_pause: self.below(12) > 0,
            is_hidden: self.below(10) == 0,
            layers,
            current: current.checked_sub(1),
        }
    }

    fn claims<'a>(&mut self, ladders: &'a [Vec<Layer>]) -> Vec<Claim<'a>> {
        let sections = (0..).zip(ladders);
        sections
            .map(|(section, layers)| self.claim(section, layers))
            .collect()
    }

    fn ladders(&mut self) -> Vec<Vec<Layer>> {
        (0..=self.below(30)).map(|_| self.layers()).collect()
    }
}

/// Heaviest first, those that may not pause before all: who is shown.
fn shown(claims: &[Claim<'_>], answer: &Answer) -> Vec<bool> {
    let mut order: Vec<_> = claims.iter().zip(answer.layers()).collect();
    order.sort_by_key(|(claim, _)| {
        (
            claim.may_pause,
            std::cmp::Reverse(claim.weight.factor()),
            claim.section,
        )
    });
    order.iter().map(|(_, layer)| layer.is_some()).collect()
}

/// What cannot be avoided: the lowest layers of those that may not pause.
fn unavoidable(claims: &[Claim<'_>]) -> Bitrate {
    let firm: Vec<_> = claims
        .iter()
        .filter(|claim| !claim.may_pause)
        .copied()
        .collect();
    once(budget(0, 0), &firm).used
}

#[test]
fn more_budget_never_gives_less() {
    for seed in 0..400 {
        let mut dice = Dice::new(seed);
        let ladders = dice.ladders();
        let mut claims = dice.claims(&ladders);
        for claim in &mut claims {
            claim.current = None;
        }
        let mut before = once(budget(0, 0), &claims);
        for rate in (0..12_000).step_by(37) {
            let answer = once(budget(rate, rate), &claims);
            let order = shown(&claims, &answer).cmp(&shown(&claims, &before));
            // Whoever is shown first is shown, whatever it takes from the others; among the same
            // tracks, all of it together is worth more or the same.
            assert!(order.is_ge(), "seed {seed} at {rate}");
            if order.is_eq() {
                assert!(answer.utility >= before.utility, "seed {seed} at {rate}");
            }
            before = answer;
        }
    }
}

#[test]
fn the_same_question_has_the_same_answer_in_any_order() {
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let ladders = dice.ladders();
        let mut claims = dice.claims(&ladders);
        let rate = u64::from(dice.below(8_000));
        let sorted = |claims: &[Claim<'_>]| {
            let mut answer = once(budget(rate, rate), claims);
            answer.decisions.sort_by_key(|decision| decision.section);
            answer
        };
        let first = sorted(&claims);
        assert_eq!(first, sorted(&claims));
        for _ in 0..3 {
            let (a, b) = (dice.place(claims.len()), dice.place(claims.len()));
            claims.swap(a, b);
        }
        assert_eq!(first, sorted(&claims), "seed {seed}");
    }
}

/// Checks one answer of a long random story.
fn check(claims: &[Claim<'_>], budget: Budget, answer: &Answer, place: &str) {
    let mut used = 0;
    for (claim, decision) in claims.iter().zip(&answer.decisions) {
        assert_eq!(claim.section, decision.section, "{place}");
        let given = decision.layer.map(|layer| claim.layers[layer]);
        used += given.map_or(0, |layer| layer.bitrate.as_bps());
        assert!(given.is_none_or(|layer| layer.bitrate > kbps(0)), "{place}");
        match decision.reason {
            Reason::NotWanted => assert!(claim.is_hidden && given.is_none(), "{place}"),
            Reason::NoLayer => assert!(given.is_none() && !claim.is_hidden, "{place}"),
            Reason::Paused { needed, available } => {
                assert!(
                    given.is_none() && claim.may_pause && needed > available,
                    "{place}"
                );
            }
            Reason::Budget { needed, available } => {
                assert!(
                    given.is_some() && needed > available,
                    "{place} {decision:?}"
                );
            }
            Reason::MayNotPause { needed, available } => {
                assert!(!claim.may_pause && needed > available, "{place}");
            }
            Reason::Held { until } => {
                assert!(
                    answer.reconsider_at.is_some_and(|at| at <= until),
                    "{place}"
                );
            }
            Reason::Full | Reason::WantedSize { .. } => assert!(given.is_some(), "{place}"),
        }
    }
    assert_eq!(answer.used.as_bps(), used, "{place}");
    let most = budget.fast.max(unavoidable(claims));
    assert!(
        answer.used <= most,
        "{place}: {} of {}",
        answer.used,
        budget.fast
    );
}

#[test]
fn no_story_exceeds_the_budget_or_gives_a_reason_that_is_not_true() {
    for seed in 0..150 {
        let mut dice = Dice::new(seed);
        let ladders = dice.ladders();
        let mut claims = dice.claims(&ladders);
        let mut allocator = Allocator::default();
        let mut now = Instant::ZERO;
        for turn in 0..120 {
            now += Duration::from_millis(u64::from(dice.below(1_500)));
            let fast = u64::from(dice.below(9_000));
            let stable = fast * u64::from(dice.below(11)) / 10;
            if dice.below(3) == 0 {
                let place = dice.place(claims.len());
                let layers = &ladders[dice.place(ladders.len())];
                claims[place] = dice.claim(claims[place].section.0, layers);
            }
            let budget = budget(fast, stable);
            let answer = ask(&mut allocator, now, budget, &claims);
            check(
                &claims,
                budget,
                &answer,
                &format!("seed {seed} turn {turn}"),
            );
        }
    }
}

#[test]
fn what_the_next_upgrade_needs_is_enough_for_it() {
    let mut n_probed = 0;
    for seed in 0..300 {
        let mut dice = Dice::new(seed);
        let ladders = dice.ladders();
        let claims = dice.claims(&ladders);
        let rate = kbps(u64::from(dice.below(6_000)));
        let mut allocator = Allocator::default();
        let at = |rate: Bitrate| Budget {
            fast: rate,
            carried: rate,
            stable: rate,
        };
        let before = ask(&mut allocator, Instant::ZERO, at(rate), &claims);
        let Some(more) = before.next_useful else {
            continue;
        };
        n_probed += 1;
        let rate = Bitrate::from_bps(rate.as_bps() + more.as_bps());
        let now = Instant::from_millis(3_000);
        let after = ask(&mut allocator, now, at(rate), &claims);
        let order = shown(&claims, &after).cmp(&shown(&claims, &before));
        assert!(
            order.is_gt() || after.utility > before.utility,
            "seed {seed}"
        );
    }
    assert!(n_probed > 200, "{n_probed}");
}

#[test]
fn nothing_moves_where_nothing_changes() {
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let ladders = dice.ladders();
        let claims = dice.claims(&ladders);
        let rate = u64::from(dice.below(8_000));
        let mut allocator = Allocator::default();
        let first = ask(&mut allocator, Instant::ZERO, budget(rate, rate), &claims);
        let mut settled = first;
        // One more turn may use what the first left: what was new then needs no headroom now.
        for millis in [500, 1_000, 1_500] {
            let now = Instant::from_millis(millis);
            settled = ask(&mut allocator, now, budget(rate, rate), &claims);
        }
        for millis in (2_000..100_000).step_by(500) {
            let now = Instant::from_millis(millis);
            let answer = ask(&mut allocator, now, budget(rate, rate), &claims);
            assert_eq!(
                answer.layers(),
                settled.layers(),
                "seed {seed} at {millis} ms"
            );
        }
    }
}

#[test]
fn the_memory_ends_with_the_sections_and_at_their_bound() {
    let layers = three();
    let claims: Vec<_> = (0..200).map(|section| claim(section, &layers)).collect();
    let mut allocator = Allocator::default();
    let answer = ask(
        &mut allocator,
        Instant::ZERO,
        budget(99_000, 99_000),
        &claims,
    );
    assert_eq!(answer.decisions.len(), SECTIONS_PER_TRANSPORT);
    assert_eq!(allocator.past.len(), SECTIONS_PER_TRANSPORT);
    ask(
        &mut allocator,
        Instant::ZERO,
        budget(99_000, 99_000),
        &claims[..1],
    );
    assert_eq!(allocator.past.len(), 1);
}

#[test]
fn an_unlimited_budget_and_absurd_layers_do_not_overflow() {
    let absurd = [
        layer((0, 0), 0, 0, 1),
        layer((9, 200), u16::MAX, u8::MAX, u64::MAX),
        layer((1, 0), u16::MAX, 1, u64::MAX / 2_000),
    ];
    let unlimited = Budget {
        fast: Bitrate::UNLIMITED,
        carried: Bitrate::UNLIMITED,
        stable: Bitrate::UNLIMITED,
    };
    let heavy = Claim {
        weight: Weight {
            priority: 255,
            is_active_speaker: true,
            is_pinned: true,
            is_screen_share: true,
        },
        ..claim(1, &absurd)
    };
    let claims = [heavy, claim(2, &absurd), claim(3, &absurd)];
    let mut allocator = Allocator::default();
    let mut scratch = Scratch::default();
    for _ in 0..3 {
        let outcome = allocator.allocate(&mut scratch, Instant::ZERO, unlimited, claims);
        assert!(
            outcome
                .decisions
                .iter()
                .all(|decision| decision.layer.is_some())
        );
    }
}

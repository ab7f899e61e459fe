//! What passes is decodable: shown by a receiver that goes by the frames' references.

mod encoder;
mod receiver;
mod steps;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::Wish;
use crate::units::Layer;
use encoder::{Encoder, Leaning};
use receiver::Link;

/// Chance.
struct Dice(ChaCha20Rng);

impl Dice {
    fn below(&mut self, n: u32) -> u32 {
        self.0.next_u32() % n
    }

    fn percent(&mut self, chance: u32) -> bool {
        self.below(100) < chance
    }
}

const fn wish(rung: u8, spatial: u8, temporal: u8) -> Wish {
    Wish {
        rung,
        layer: Layer { spatial, temporal },
    }
}

/// Simulcast is some encoders, and all else is one.
struct Course {
    encoders: Vec<Encoder>,
    /// Percent of the frames lost before the selector and behind it.
    loss: (u32, u32),
    /// Pictures until the selector is told of a loss behind it.
    report_after: u32,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    passed: usize,
    wishes: usize,
    fulfilled: usize,
}

/// Pictures between wishes.
const STAY: u32 = 16;
/// A key frame comes at most so much later than it is asked for.
const KEYFRAME_AFTER: u32 = 4;

impl Course {
    fn new(leaning: Leaning, rungs: u8, spatial: u8) -> Self {
        let encoder = |rung: u8| Encoder::new(leaning, spatial, 65_500 + 7 * u16::from(rung));
        Self {
            encoders: (0..rungs).map(encoder).collect(),
            loss: (0, 0),
            report_after: 0,
        }
    }

    /// 500 wishes by chance.
    fn run(&mut self, seed: u64) -> Outcome {
        let mut dice = Dice(ChaCha20Rng::seed_from_u64(seed));
        let mut link = Link::default();
        let mut outcome = Outcome::default();
        let mut keyframe_due: Option<(u8, u32)> = None;
        let mut reports: Vec<(u32, u16)> = Vec::new();
        let mut now = None;
        for picture in 0..500 * STAY {
            if picture % STAY == 0 {
                now = self.wish(&mut dice);
                link.selector.set_wish(now);
                outcome.wishes += 1;
            }
            if keyframe_due.is_none() {
                let after = dice.below(KEYFRAME_AFTER);
                keyframe_due = link
                    .selector
                    .keyframe_wanted()
                    .map(|rung| (rung, picture + after));
            }
            if let Some((rung, due)) = keyframe_due
                && due <= picture
            {
                let renumber = dice.percent(20);
                self.encoders[usize::from(rung)].start_again(renumber);
                keyframe_due = None;
            }
            self.picture(picture, &mut link, &mut dice, &mut reports);
            for (due, told) in std::mem::take(&mut reports) {
                if due <= picture {
                    link.report(told);
                } else {
                    reports.push((due, told));
                }
            }
            if picture % STAY == STAY - 1 && self.fulfils(now, link.selector.current()) {
                outcome.fulfilled += 1;
            }
        }
        outcome.passed = link.passed.len();
        outcome
    }

    fn picture(
        &mut self,
        picture: u32,
        link: &mut Link,
        dice: &mut Dice,
        reports: &mut Vec<(u32, u16)>,
    ) {
        for (encoder, rung) in self.encoders.iter_mut().zip(0..) {
            if picture % 160 == 80 && encoder.leaning != Leaning::Never {
                let most = encoder.spatial();
                encoder.produce(1 + u8::try_from(dice.below(most.into())).unwrap());
            }
            for frame in encoder.picture(dice.percent(30)) {
                if dice.percent(self.loss.0) {
                    // The frame, or its last packet.
                    if dice.percent(50) || frame.packets.len() == 1 {
                        continue;
                    }
                    let told = link.feed(rung, &frame.packets[0], false);
                    if let Ok(Some(told)) = told {
                        link.report(told);
                    }
                    continue;
                }
                let arrives = !dice.percent(self.loss.1);
                let told: Vec<_> = frame
                    .packets
                    .iter()
                    .filter_map(|value| link.feed(rung, value, arrives).ok().flatten())
                    .collect();
                if let (false, Some(&told)) = (arrives, told.first()) {
                    if self.report_after == 0 {
                        link.report(told);
                    } else {
                        reports.push((picture + self.report_after, told));
                    }
                }
            }
        }
    }

    fn wish(&self, dice: &mut Dice) -> Option<Wish> {
        let mut any =
            |count: usize| u8::try_from(dice.below(u32::try_from(count).unwrap())).unwrap();
        let rung = any(self.encoders.len());
        let spatial = any(usize::from(self.encoders[usize::from(rung)].spatial()));
        let temporal = any(3);
        (any(20) != 0).then_some(wish(rung, spatial, temporal))
    }

    fn fulfils(&self, wish: Option<Wish>, current: Option<Wish>) -> bool {
        let Some(mut wish) = wish else {
            return current.is_none();
        };
        let produced = self.encoders[usize::from(wish.rung)].produced;
        wish.layer.spatial = wish.layer.spatial.min(produced - 1);
        current == Some(wish)
    }
}

/// L1T3, L3T3, L3T3_KEY, S3T3, and simulcast of L1T3.
fn courses() -> Vec<(&'static str, Course)> {
    vec![
        ("L1T3", Course::new(Leaning::Always, 1, 1)),
        ("L3T3", Course::new(Leaning::Always, 1, 3)),
        ("L3T3_KEY", Course::new(Leaning::InKeyFrames, 1, 3)),
        ("S3T3", Course::new(Leaning::Never, 1, 3)),
        ("simulcast", Course::new(Leaning::Always, 3, 1)),
    ]
}

#[test]
fn without_loss_500_random_wishes_come_true_and_all_is_decodable() {
    for (name, mut course) in courses() {
        let outcome = course.run(1);
        assert_eq!(outcome.wishes, 500, "{name}");
        assert_eq!(outcome.fulfilled, 500, "{name} {outcome:?}");
        assert!(outcome.passed > 3_000, "{name} {outcome:?}");
    }
}

#[test]
fn under_loss_500_random_wishes_never_let_pass_what_is_not_decodable() {
    for seed in 0..3 {
        for loss in [(2, 0), (0, 2), (2, 2), (10, 5)] {
            for (name, mut course) in courses() {
                course.loss = loss;
                let outcome = course.run(seed);
                assert!(outcome.fulfilled > 250, "{name} {loss:?} {outcome:?}");
                assert!(outcome.passed > 2_000, "{name} {loss:?} {outcome:?}");
            }
        }
    }
}

#[test]
fn a_loss_that_is_told_late_ends_what_leans_on_it() {
    for seed in 0..2 {
        for report_after in [1, 3, 7] {
            for (name, mut course) in courses() {
                course.loss = (1, 2);
                course.report_after = report_after;
                let outcome = course.run(seed);
                assert!(outcome.fulfilled > 200, "{name} {report_after} {outcome:?}");
            }
        }
    }
}

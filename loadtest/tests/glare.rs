//! Both sides offer whenever they like, against the whole shard: in the end they agree.
#![expect(
    clippy::expect_used,
    reason = "a test fails by a panic, its helpers too"
)]

use loadtest::robot::publication::PublishParameters;
use loadtest::sim::link::LinkParameters;
use loadtest::sim::world::World;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sfu::time::Duration;

/// Media matters little here: one frame each second.
const RARE: PublishParameters = PublishParameters {
    interval: Duration::from_secs(1),
    ..PublishParameters::audio()
};
const RARE_VIDEO: PublishParameters = PublishParameters {
    interval: Duration::from_secs(1),
    ..PublishParameters::video(1)
};

/// Plays one seed; answers how many offers of robots gave way.
fn play(seed: u64) -> u64 {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut below = |bound: u32| chance.next_u32() % bound;
    let mut world = World::new(seed).expect("a world");
    let room = world.create_room();
    // Three are for each fifth sequence: they cost twice as much as two.
    let people = 2 + usize::from(below(5) == 0);
    for _ in 0..people {
        // Signals take as long as datagrams do.
        let delay = Duration::from_millis(u64::from(1 + below(90)));
        world.set_link(LinkParameters::with_delay(delay));
        let member = world.join(room).expect("a robot");
        let receives = below(2) == 0;
        let first = PublishParameters { receives, ..RARE };
        world
            .with_robot(member, |robot, now| robot.publish(now, first))
            .expect("a track");
    }
    for _ in 0..3 + below(6) {
        world.run_for(Duration::from_millis(u64::from(below(150))));
        let member = below(u32::try_from(people).expect("few")) as usize;
        let (what, receives) = (below(5), below(2) == 0);
        let parameters = if below(2) == 0 { RARE } else { RARE_VIDEO };
        let acted = world.with_robot(member, |robot, now| match what {
            0 if !robot.publications().is_empty() => {
                let last = robot.publications().len() - 1;
                robot.unpublish(now, u8::try_from(last).expect("few"));
            }
            1 if robot.is_connected() => robot.restart_ice(now),
            _ if robot.publications().len() < 6 => {
                robot.publish(
                    now,
                    PublishParameters {
                        receives,
                        ..parameters
                    },
                );
            }
            _ => {}
        });
        acted.expect("a member");
    }
    world.run_for(Duration::from_millis(1_500));
    assert_eq!(world.refusals(), [], "seed {seed}");
    assert_eq!(world.disagreement(), None, "seed {seed}");
    assert_eq!(world.violations(), [], "seed {seed}");
    (0..people)
        .filter_map(|member| world.robot(member))
        .map(|robot| robot.offers().1)
        .sum()
}

#[test]
fn a_thousand_glare_sequences_end_in_agreement() {
    let rollbacks: u64 = (0..1_000).map(play).sum();
    println!("1,000 sequences, {rollbacks} offers of robots gave way");
    assert!(rollbacks > 500, "there was hardly any glare: {rollbacks}");
}

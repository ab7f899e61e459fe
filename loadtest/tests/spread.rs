//! A room on several shards: the same laws hold as on one, and everybody sees and hears everybody.
#![expect(
    clippy::expect_used,
    reason = "a test fails by a panic, its helpers too"
)]

use loadtest::robot::publication::PublishParameters;
use loadtest::sim::link::{Chance, LinkParameters};
use loadtest::sim::world::{Farewell, World};
use sfu::shard::Shard;
use sfu::time::Duration;

/// So many on so many shards, each with sound and picture.
fn meet(people: usize, shards: u16, seed: u64, link: LinkParameters) -> World {
    let mut world = World::spread(seed, shards).expect("a world");
    world.set_link(link);
    let room = world.create_room();
    for _ in 0..people {
        let member = world.join(room).expect("a robot");
        for parameters in [PublishParameters::audio(), PublishParameters::video(2)] {
            world
                .with_robot(member, |robot, now| robot.publish(now, parameters))
                .expect("a track");
        }
        world.run_for(Duration::from_millis(500));
    }
    world.run_for(Duration::from_secs(3));
    world
}

/// Whether each is shown all the others have published.
fn all_are_shown(world: &World, people: usize) {
    for member in (0..world.members()).filter(|it| world.left(*it).is_none()) {
        let shown = world
            .bindings(member)
            .iter()
            .filter(|it| it.track.is_some());
        assert_eq!(shown.count(), 2 * (people - 1), "robot {member}");
    }
}

#[test]
fn the_laws_hold_for_a_room_on_two_shards_and_on_three() {
    for (people, shards) in [(4, 2), (6, 3)] {
        let link = LinkParameters::with_delay(Duration::from_millis(20));
        let mut world = meet(people, shards, 1, link);
        all_are_shown(&world, people);
        let carried = world.shards().iter().map(|it| it.stats().pipe_packets_in);
        assert!(carried.min() > Some(200), "{shards} shards");
        let refused = world.shards().iter().map(|it| it.stats().pipe_refused);
        assert_eq!(refused.sum::<u64>(), 0);
        world.leave(1, Farewell::Says);
        world.run_for(Duration::from_secs(1));
        all_are_shown(&world, people - 1);
        world.leave(2, Farewell::Dies);
        world.run_for(Duration::from_secs(40));
        all_are_shown(&world, people - 2);
        world.end();
        assert_eq!(world.violations(), []);
        assert_eq!(world.refusals(), []);
    }
}

#[test]
fn what_is_lost_on_the_way_is_repaired_on_both_sides_of_a_pipe() {
    let mut link = LinkParameters::with_delay(Duration::from_millis(20));
    link.loss = Chance::percent(2);
    let mut world = meet(4, 2, 7, link);
    world.run_for(Duration::from_secs(5));
    all_are_shown(&world, 4);
    let asked = world.shards().iter().map(Shard::stats);
    for stats in asked {
        assert!(stats.nacks_out > 0, "publishers are asked where they are");
        assert!(
            stats.retransmissions_out > 0,
            "and subscribers served there"
        );
    }
    world.end();
    assert_eq!(world.violations(), []);
}

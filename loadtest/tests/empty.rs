//! Comings and goings in virtual time leave nothing behind.

use loadtest::robot::publication::PublishParameters;
use loadtest::sim::world::{Farewell, World};
use sfu::shard::TableSizes;
use sfu::time::Duration;

const FAREWELLS: [Farewell; 4] = [
    Farewell::Says,
    Farewell::Closes,
    Farewell::Dies,
    Farewell::Removed,
];

/// A tenth of what people send: comings and goings are meant here, not media.
const AUDIO: PublishParameters = PublishParameters {
    interval: Duration::from_millis(100),
    ..PublishParameters::audio()
};
const VIDEO: PublishParameters = PublishParameters {
    interval: Duration::from_millis(100),
    ..PublishParameters::video(1)
};

#[test]
fn a_hundred_come_and_go_and_the_shard_is_empty() {
    let mut world = World::new(3).expect("a world");
    let room = world.create_room();
    for guest in 0..100 {
        let member = world.join(room).expect("a robot");
        for parameters in [AUDIO, VIDEO] {
            world
                .with_robot(member, |robot, now| robot.publish(now, parameters))
                .expect("a track");
        }
        world.run_for(Duration::from_millis(250));
        // Four at a time: who came four ago leaves, each in another way.
        if let Some(leaves) = member.checked_sub(3) {
            world.leave(leaves, FAREWELLS[guest % 4]);
        }
        assert_eq!(world.violations(), [], "guest {guest}");
    }
    for member in 0..world.members() {
        world
            .with_robot(member, |robot, _| robot.fall_silent())
            .expect("a member");
    }
    // Who died is missed after thirty seconds.
    world.run_for(Duration::from_secs(35));
    let here = (0..100)
        .filter(|member| world.left(*member).is_none())
        .count();
    assert_eq!(here, 3);
    assert_eq!(
        world
            .refusals()
            .iter()
            .filter(|it| world.left(it.0).is_none())
            .count(),
        0
    );
    world.end();
    assert_eq!(world.shard().sizes(), TableSizes::default());
    assert_eq!(world.violations(), []);
}

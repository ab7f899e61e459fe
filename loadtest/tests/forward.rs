//! A conference with bad links, in virtual time.

use loadtest::report::Process;
use loadtest::robot::publication::PublishParameters;
use loadtest::sim::link::{Chance, LinkParameters};
use loadtest::sim::world::World;
use sfu::time::{Duration, Instant};

/// Ten participants for ten seconds with 5 % loss and 100 ms between robot and robot and back:
/// 25 ms for each of the four links of a round trip. CPU time is printed, not judged.
#[test]
fn ten_people_see_and_hear_each_other_over_bad_links() {
    let before = Process::own().cpu;
    let mut world = World::new(7).expect("a world");
    world.set_link(LinkParameters {
        loss: Chance::percent(5),
        jitter: Duration::from_millis(5),
        ..LinkParameters::with_delay(Duration::from_millis(25))
    });
    let room = world.create_room();
    for _ in 0..10 {
        let member = world.join(room).expect("a robot");
        let publish = |parameters| {
            move |robot: &mut loadtest::robot::Robot, now| robot.publish(now, parameters)
        };
        world
            .with_robot(member, publish(PublishParameters::audio()))
            .expect("audio");
        world
            .with_robot(member, publish(PublishParameters::video(2)))
            .expect("video");
    }
    world.run_for(Duration::from_secs(10));
    let cpu = Process::own().cpu - before;
    println!(
        "ten participants, ten seconds: {:.2} s of CPU",
        cpu.as_secs_f64()
    );
    assert_eq!(world.violations(), []);
    assert_eq!(world.refusals(), []);
    assert_eq!(world.disagreement(), None);
    for member in 0..10 {
        let robot = world.robot(member).expect("a robot");
        let sources = robot.receiver().sources();
        assert_eq!(
            sources.len(),
            18,
            "robot {member} receives two tracks of nine others"
        );
        for (source, received) in sources {
            // Nine pictures are more than a new path is trusted with: the last begin when it has
            // shown within seconds that it carries them.
            let at_least = if source.1 == 0 { 350 } else { 170 };
            assert!(
                received.decoded >= at_least,
                "robot {member} of {source:?}: {received:?}"
            );
            let late = Instant::ZERO + Duration::from_millis(9_000);
            assert!(
                received.last_decoded_at.is_some_and(|at| at > late),
                "{member} {source:?}"
            );
        }
    }
    world.end();
    assert_eq!(world.violations(), []);
    assert!(
        world.sections_watched() >= 10 * 18,
        "{}",
        world.sections_watched()
    );
}

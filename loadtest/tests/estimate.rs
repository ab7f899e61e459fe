//! What a shard learns of its subscribers' paths from the feedback of a real stack.
#![expect(
    clippy::expect_used,
    reason = "a test fails by a panic, its helpers too"
)]

use loadtest::robot::publication::PublishParameters;
use loadtest::sim::link::{Bottleneck, LinkParameters};
use loadtest::sim::world::World;
use sfu::time::Duration;
use sfu::transport::congestion::Estimate;

/// Ada's picture of some 800 kb/s for Bob, who has this link down: what is known of it after so
/// many seconds.
fn watch(seed: u64, down: LinkParameters, seconds: u64) -> Estimate {
    let mut world = World::new(seed).expect("a world");
    let room = world.create_room();
    let clean = LinkParameters::with_delay(Duration::from_millis(20));
    world.set_link(clean);
    let ada = world.join(room).expect("a robot");
    world.set_link(down);
    let bob = world.join(room).expect("a robot");
    world
        .with_robot(ada, |robot, now| {
            robot.publish(now, PublishParameters::video(3))
        })
        .expect("video");
    world.run_for(Duration::from_secs(seconds));
    let (room, participant) = world.names(bob).expect("inside");
    let estimate = world.shard().estimate(room, participant);
    let (room, publisher) = world.names(ada).expect("inside");
    assert_eq!(
        world.shard().estimate(room, publisher),
        None,
        "sent nothing"
    );
    world.end();
    assert_eq!(world.violations(), [], "seed {seed}");
    estimate.expect("feedback has come")
}

#[test]
fn a_wide_path_carries_what_is_sent() {
    let clean = LinkParameters::with_delay(Duration::from_millis(20));
    for seed in 1..=3 {
        let estimate = watch(seed, clean, 8);
        assert!(estimate.fast.as_bps() > 800_000, "{seed}: {estimate:?}");
        assert!(
            estimate.queue < Duration::from_millis(10),
            "{seed}: {estimate:?}"
        );
        let rtt = estimate.rtt;
        assert!(
            rtt >= Duration::from_millis(40) && rtt < Duration::from_millis(200),
            "{rtt:?}"
        );
    }
}

#[test]
fn a_narrow_path_is_known_to_be_narrow() {
    for seed in 1..=3 {
        let narrow = LinkParameters {
            bottleneck: Some(Bottleneck {
                bits_per_second: 500_000,
                queue_bytes: 16_000,
            }),
            ..LinkParameters::with_delay(Duration::from_millis(20))
        };
        let estimate = watch(seed, narrow, 8);
        let fast = estimate.fast.as_bps();
        assert!((100_000..520_000).contains(&fast), "{seed}: {estimate:?}");
        // A picture that does not fit is paused: nothing waits behind it for long.
        assert!(
            estimate.queue < Duration::from_millis(100),
            "{seed}: {estimate:?}"
        );
    }
}

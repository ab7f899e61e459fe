//! What links do to datagrams, and what must come through all the same.
#![expect(
    clippy::expect_used,
    reason = "a test fails by a panic, its helpers too"
)]

use loadtest::robot::publication::PublishParameters;
use loadtest::robot::reception::Received;
use loadtest::sim::link::{Bottleneck, Bursts, Chance, LinkParameters};
use loadtest::sim::world::World;
use sfu::time::{Duration, Instant};

const CLEAN: LinkParameters = LinkParameters {
    delay: Duration::from_millis(20),
    jitter: Duration::ZERO,
    loss: Chance(0),
    bursts: None,
    reorder: Chance(0),
    reorder_by: Duration::from_millis(15),
    duplicate: Chance(0),
    bottleneck: None,
    spares_dtls: false,
};

/// Two people for eight seconds: what the second one has of the first one's picture.
fn watch(seed: u64, up: LinkParameters, down: LinkParameters) -> Received {
    let mut world = World::new(seed).expect("a world");
    let room = world.create_room();
    world.set_link(up);
    let ada = world.join(room).expect("a robot");
    world.set_link(down);
    let bob = world.join(room).expect("a robot");
    for member in [ada, bob] {
        world
            .with_robot(member, |robot, now| {
                robot.publish(now, PublishParameters::video(3))
            })
            .expect("video");
    }
    world.run_for(Duration::from_secs(8));
    let received = world
        .robot(bob)
        .and_then(|it| it.receiver().sources().get(&(0, 0)).cloned());
    assert_eq!(world.refusals(), []);
    world.end();
    assert_eq!(world.violations(), [], "seed {seed}");
    received.expect("bob sees ada")
}

/// Decoded frames among all of which anything arrived, in per cent.
fn share(received: &Received) -> u64 {
    let (first, newest) = received.span.expect("something arrived");
    received.decoded * 100 / u64::from(newest - first + 1)
}

#[test]
fn a_clean_picture_is_whole() {
    let received = watch(1, CLEAN, CLEAN);
    assert!(received.decoded > 225, "{received:?}");
    assert_eq!(received.keyframes, 1, "{received:?}");
    assert_eq!(received.frames_lost(), 0);
    assert!(
        received.freeze_max < Duration::from_millis(80),
        "{received:?}"
    );
    // 40 ms of links; a gathered frame is not held beyond its marker.
    assert!(
        received.latency.quantile(500) < Duration::from_millis(46),
        "{received:?}"
    );
}

#[test]
fn loss_on_either_side_is_repaired() {
    let lossy = LinkParameters {
        loss: Chance::percent(5),
        ..CLEAN
    };
    for (seed, up, down) in [(2, lossy, CLEAN), (3, CLEAN, lossy), (4, lossy, lossy)] {
        let received = watch(seed, up, down);
        assert!(share(&received) > 90, "seed {seed}: {received:?}");
        let latest = Instant::ZERO + Duration::from_millis(7_500);
        assert!(
            received.last_decoded_at.is_some_and(|at| at > latest),
            "seed {seed}: {received:?}"
        );
    }
}

#[test]
fn bursts_cost_a_key_frame_and_no_more() {
    let bursts = Some(Bursts {
        begin: Chance(5_000),
        end: Chance::percent(10),
    });
    let rough = LinkParameters { bursts, ..CLEAN };
    for (seed, up, down) in [(5, rough, CLEAN), (6, CLEAN, rough)] {
        let received = watch(seed, up, down);
        assert!(received.decoded > 180, "seed {seed}: {received:?}");
        assert!(
            received.freeze_max < Duration::from_millis(1_500),
            "seed {seed}: {received:?}"
        );
    }
}

#[test]
fn reordered_and_doubled_packets_are_forwarded_once() {
    let messy = LinkParameters {
        jitter: Duration::from_millis(10),
        reorder: Chance::percent(5),
        duplicate: Chance::percent(5),
        ..CLEAN
    };
    let received = watch(7, messy, messy);
    assert!(share(&received) > 92, "{received:?}");
    assert!(
        received.freeze_max < Duration::from_millis(120),
        "{received:?}"
    );
}

#[test]
fn a_narrow_link_delays_and_drops_but_breaks_no_law() {
    // 3 x 1,100 bytes 30 times a second are 0.8 Mb/s.
    let narrow = LinkParameters {
        bottleneck: Some(Bottleneck {
            bits_per_second: 900_000,
            queue_bytes: 30_000,
        }),
        ..CLEAN
    };
    let received = watch(8, narrow, CLEAN);
    assert!(received.decoded > 180, "{received:?}");
    watch(
        9,
        CLEAN,
        LinkParameters {
            bottleneck: Some(Bottleneck {
                bits_per_second: 500_000,
                queue_bytes: 20_000,
            }),
            ..CLEAN
        },
    );
}

#[test]
fn a_new_address_behind_a_nat_goes_on_receiving() {
    let mut world = World::new(10).expect("a world");
    let room = world.create_room();
    for _ in 0..2 {
        let member = world.join(room).expect("a robot");
        world
            .with_robot(member, |robot, now| {
                robot.publish(now, PublishParameters::video(2))
            })
            .expect("video");
    }
    world.run_for(Duration::from_secs(3));
    world.rebind(0);
    world.run_for(Duration::from_secs(9));
    for (member, other) in [(0, 1), (1, 0)] {
        let received = world
            .robot(member)
            .and_then(|it| it.receiver().sources().get(&(other, 0)));
        let received = received.expect("a picture");
        let latest = Instant::ZERO + Duration::from_millis(11_500);
        assert!(
            received.last_decoded_at.is_some_and(|at| at > latest),
            "robot {member}: {received:?}"
        );
    }
    world.end();
    assert_eq!(world.violations(), []);
}

//! Twenty people with pictures in three sizes, one of them behind a narrow way down.
#![expect(
    clippy::expect_used,
    reason = "a test fails by a panic, its helpers too"
)]

use loadtest::media::VideoCodec;
use loadtest::robot::publication::{Mode, PublishParameters, Rung};
use loadtest::robot::reception::Received;
use loadtest::sim::link::{Bottleneck, LinkParameters};
use loadtest::sim::world::World;
use sfu::shard::event::PauseReason;
use sfu::time::Duration;

const PEOPLE: usize = 20;
/// Who is behind the narrow way, and comes last.
const WEAK: usize = PEOPLE - 1;
/// Who talks.
const SPEAKER: usize = 0;
/// What everybody publishes.
const SOUND: u8 = 0;
const PICTURE: u8 = 1;
/// 15 pictures a second, of about 130, 360 and 740 kb/s: few enough packets for a test.
const CAMERA: PublishParameters = PublishParameters {
    interval: Duration::from_micros(66_667),
    rungs: [
        Rung {
            packets: 1,
            bytes: 1_080,
        },
        Rung {
            packets: 3,
            bytes: 1_000,
        },
        Rung {
            packets: 6,
            bytes: 1_030,
        },
    ],
    ..PublishParameters::layered(VideoCodec::Vp8, Mode::Simulcast)
};

/// One more enters with sound and picture.
fn enter(world: &mut World, room: sfu::id::RoomId) -> usize {
    let member = world.join(room).expect("a robot");
    let sound = match member {
        SPEAKER => PublishParameters {
            packet_bytes: 80,
            ..PublishParameters::audio()
        },
        _ => PublishParameters::silence(),
    };
    world
        .with_robot(member, |robot, now| {
            robot.publish_all(now, &[sound, CAMERA]);
        })
        .expect("tracks");
    member
}

/// What `member` has of a track of another.
fn received(world: &World, member: usize, of: usize, track: u8) -> Received {
    let robot = world.robot(member).expect("a robot");
    let source = (u32::try_from(of).expect("a number"), track);
    let received = robot.receiver().sources().get(&source);
    received.cloned().unwrap_or_default()
}

#[test]
fn one_of_twenty_on_a_narrow_way_keeps_sound_and_the_speaker_and_the_others_the_largest() {
    let clean = LinkParameters::with_delay(Duration::from_millis(20));
    let mut world = World::new(20).expect("a world");
    world.set_link(clean);
    let room = world.create_room();
    for _ in 0..WEAK {
        enter(&mut world, room);
    }
    world.run_for(Duration::from_secs(4));
    let weak = enter(&mut world, room);
    let narrow = Bottleneck {
        bits_per_second: 300_000,
        queue_bytes: 300_000 / 8 / 4,
    };
    world.set_link_down(
        weak,
        LinkParameters {
            bottleneck: Some(narrow),
            ..clean
        },
    );
    world.run_for(Duration::from_secs(6));
    let settled = world.now();
    let before = received(&world, weak, SPEAKER, SOUND);
    for _ in 0..6 {
        let seen = received(&world, weak, SPEAKER, PICTURE).decoded;
        world.run_for(Duration::from_secs(1));
        let given = world.given(weak);
        let now = received(&world, weak, SPEAKER, PICTURE).decoded;
        assert!(now > seen, "the speaker's picture stands: {given:?}");
    }

    // All others see all others at their largest, all the time.
    for member in 0..WEAK {
        for of in (0..PEOPLE).filter(|of| *of != member) {
            let shown = received(&world, member, of, PICTURE).shown;
            let last = shown.last().expect("it is shown");
            assert_eq!(last.encoding, 2, "robot {member} of {of}: {shown:?}");
            assert!(last.at < settled, "robot {member} of {of}: {shown:?}");
        }
    }
    // The weak one hears what is said.
    let after = received(&world, weak, SPEAKER, SOUND);
    let said = after.span.map(|it| it.1).zip(before.span.map(|it| it.1));
    let said = said.map(|(newest, before)| u64::from(newest - before));
    let (said, heard) = (said.unwrap_or(0), after.whole - before.whole);
    assert!(said > 290, "{said}");
    // What a full queue drops is the link's: one of a hundred at most.
    assert!(heard * 100 >= said * 99, "{heard} of {said}");
    // Of the rest it is told why it does not see them, with figures.
    let subscriptions = world.subscriptions(weak).iter();
    let paused: Vec<_> = subscriptions.filter_map(|it| it.paused).collect();
    let lacking = paused.iter().filter(
        |it| matches!(it, PauseReason::Bandwidth { needed, available } if needed > available),
    );
    assert!(lacking.count() >= 10, "{paused:?}");
    assert_eq!(world.refusals(), []);
    world.end();
    assert_eq!(world.violations(), []);
}

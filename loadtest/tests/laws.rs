//! The laws catch what is planted, and find nothing where nothing is; a seed repeats itself.
#![expect(
    clippy::expect_used,
    reason = "a test fails by a panic, its helpers too"
)]

use loadtest::robot::publication::PublishParameters;
use loadtest::sim::checks::Law;
use loadtest::sim::fault::{Fault, Tap};
use loadtest::sim::link::{Chance, LinkParameters};
use loadtest::sim::world::World;
use sfu::time::Duration;

/// Some people for four seconds.
fn meet(people: u32, seed: u64, tap: Tap, link: LinkParameters, traced: bool) -> World {
    let mut world = World::new(seed).expect("a world");
    if traced {
        world.start_trace();
    }
    world.set_tap(tap);
    world.set_link(link);
    let room = world.create_room();
    for _ in 0..people {
        let member = world.join(room).expect("a robot");
        for parameters in [PublishParameters::audio(), PublishParameters::video(2)] {
            world
                .with_robot(member, |robot, now| robot.publish(now, parameters))
                .expect("a track");
        }
    }
    world.run_for(Duration::from_secs(4));
    world.end();
    world
}

#[test]
fn each_law_catches_its_planted_fault() {
    let link = LinkParameters::with_delay(Duration::from_millis(20));
    assert_eq!(meet(3, 1, Tap::default(), link, false).violations(), []);
    for fault in Fault::ALL {
        let law = match fault {
            Fault::RepeatedIndex => Law::IndexOnce,
            Fault::RepeatedReportIndex => Law::ReportIndexOnce,
            Fault::SkippedNumber => Law::Gapless,
            Fault::TimeBack => Law::TimeForward,
            Fault::LostFrame => Law::Decodable,
            Fault::MiscountedPicture => Law::PicturesCounted,
            Fault::Stranger => Law::ProvedAddress,
            Fault::MiscountedIn | Fault::MiscountedOut => Law::Counted,
            Fault::ForgottenParticipant => Law::Bounded,
            Fault::LeftOver => Law::Empty,
            Fault::Damaged => Law::Intact,
            Fault::Echo => Law::OthersOnly,
        };
        let world = meet(3, 1, Tap::with(fault), link, false);
        let first = world.violations().first().map(|it| it.law);
        assert_eq!(first, Some(law), "{fault:?}: {:?}", world.violations());
    }
}

/// Where a robot has several pictures and loses packets of two of them at once, its stack asks for
/// them in the order of a hash map, which the process draws: lossy scenes repeat themselves exactly
/// between two, clean ones among many.
#[test]
fn the_same_seed_gives_the_same_trace() {
    let clean = LinkParameters {
        jitter: Duration::from_millis(10),
        spares_dtls: true,
        ..LinkParameters::with_delay(Duration::from_millis(20))
    };
    let lossy = LinkParameters {
        loss: Chance::percent(3),
        ..clean
    };
    for (people, link) in [(2, lossy), (5, clean)] {
        let trace = |seed| {
            meet(people, seed, Tap::default(), link, true)
                .trace()
                .clone()
        };
        let (first, second) = (trace(5), trace(5));
        let parted = first
            .log()
            .iter()
            .zip(second.log())
            .find(|(one, other)| one != other);
        assert_eq!(parted, None, "the first entries that differ");
        assert_eq!(first.hash(), second.hash());
        println!(
            "trace hash {:016x} over {} entries",
            first.hash().0,
            first.hash().1
        );
        assert!(first.hash().1 > 2_000, "{:?}", first.hash());
        assert_ne!(first.hash(), trace(6).hash());
    }
}

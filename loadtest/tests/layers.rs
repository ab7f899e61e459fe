//! Pictures in several sizes and layers, from robot to robot: what passes can be decoded, whatever
//! is wished, lost or narrow, and it is what was wished.
#![expect(
    clippy::expect_used,
    reason = "a test fails by a panic, its helpers too"
)]

use loadtest::media::VideoCodec;
use loadtest::robot::publication::{Mode, PublishParameters};
use loadtest::robot::reception::Received;
use loadtest::sim::link::LinkParameters;
use loadtest::sim::world::World;
use sfu::time::Duration;

/// Every form in which pictures are published.
const FORMS: [(VideoCodec, Mode); 6] = [
    (VideoCodec::Vp8, Mode::Simulcast),
    (VideoCodec::Vp9, Mode::Simulcast),
    (VideoCodec::H264, Mode::Simulcast),
    (VideoCodec::Av1, Mode::Simulcast),
    (VideoCodec::Vp9, Mode::Svc),
    (VideoCodec::Vp9, Mode::SvcKey),
];

/// Ada publishes, Bob watches.
fn pair(seed: u64, form: (VideoCodec, Mode), link: LinkParameters) -> World {
    let mut world = World::new(seed).expect("a world");
    world.set_link(link);
    let room = world.create_room();
    let ada = world.join(room).expect("a robot");
    world.join(room).expect("a robot");
    let parameters = PublishParameters::layered(form.0, form.1);
    world
        .with_robot(ada, |robot, now| robot.publish(now, parameters))
        .expect("a track");
    world
}

fn received(world: &World) -> &Received {
    let bob = world.robot(1).expect("bob");
    bob.receiver()
        .sources()
        .get(&(0, 0))
        .expect("ada's picture")
}

/// What Bob is shown: (encoding, spatial layer). Of the very last picture only a part may be there.
fn showing(world: &World) -> (u8, u8) {
    let settled = |at| world.now().since(at) > Duration::from_millis(50);
    let mut shown = received(world).shown.iter().rev();
    let shown = shown.find(|it| settled(it.at)).expect("something is shown");
    (shown.encoding, shown.spatial)
}

/// The highest size there is: (encoding, spatial layer).
const fn top(mode: Mode) -> (u8, u8) {
    match mode {
        Mode::Simulcast => (2, 0),
        Mode::Svc | Mode::SvcKey => (0, 2),
        Mode::Single => (0, 0),
    }
}

#[test]
fn who_has_room_for_it_is_shown_the_largest_picture_in_every_form() {
    for (seed, form) in (1..).zip(FORMS) {
        let mut world = pair(
            seed,
            form,
            LinkParameters::with_delay(Duration::from_millis(20)),
        );
        world.run_for(Duration::from_secs(6));
        let received = received(&world);
        assert_eq!(showing(&world), top(form.1), "{form:?}");
        assert_eq!(received.useless, 0, "{form:?}");
        assert!(received.decoded > 150, "{form:?}: {}", received.decoded);
        world.end();
        assert_eq!(world.violations(), [], "{form:?}");
        assert_eq!(world.refusals(), [], "{form:?}");
    }
}

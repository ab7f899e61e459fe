//! Pictures in several sizes and layers, from robot to robot: what passes can be decoded, whatever
//! is wished, lost or narrow, and it is what was wished.
#![expect(
    clippy::expect_used,
    reason = "a test fails by a panic, its helpers too"
)]

use loadtest::media::VideoCodec;
use loadtest::robot::publication::{Mode, PublishParameters};
use loadtest::robot::reception::Received;
use loadtest::sim::link::{Bottleneck, Chance, LinkParameters};
use loadtest::sim::world::World;
use sfu::shard::Command;
use sfu::shard::command::Wish;
use sfu::time::Duration;

/// Every form in which pictures are published.
const FORMS: [(VideoCodec, Mode); 8] = [
    (VideoCodec::Vp8, Mode::Simulcast),
    (VideoCodec::Vp9, Mode::Simulcast),
    (VideoCodec::H264, Mode::Simulcast),
    (VideoCodec::Av1, Mode::Simulcast),
    (VideoCodec::Vp9, Mode::Svc),
    (VideoCodec::Vp9, Mode::SvcKey),
    (VideoCodec::Av1, Mode::Svc),
    (VideoCodec::Av1, Mode::SvcKey),
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

/// Something of Ada's picture has come to Bob.
fn is_watching(world: &World) -> bool {
    let bob = world.robot(1).expect("bob");
    bob.receiver().sources().contains_key(&(0, 0))
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
        // In the first second less than every picture may be given.
        assert!(received.decoded > 120, "{form:?}: {}", received.decoded);
        world.end();
        assert_eq!(world.violations(), [], "{form:?}");
    }
}

/// Bob wishes Ada's picture at this height.
fn wish(world: &mut World, height: u16) {
    let (room, participant) = world.names(1).expect("bob");
    let track = *world.tracks().keys().next().expect("ada's picture");
    let wish = Wish {
        track,
        wanted: true,
        paused: false,
        priority: 128,
        height,
        pinned: false,
    };
    let command = Command::UpdateSubscriptions {
        room,
        participant,
        subscribe_all: None,
        audio_slots: None,
        wishes: vec![wish],
    };
    world.command(command).expect("it may be wished");
}

/// A way of 20 ms that loses so many of a hundred and carries so much, with a queue of 250 ms.
fn lossy(percent: u32, kbps: Option<u64>) -> LinkParameters {
    LinkParameters {
        loss: Chance::percent(percent),
        bottleneck: kbps.map(|kbps| Bottleneck {
            bits_per_second: kbps * 1_000,
            queue_bytes: kbps * 1_000 / 32,
        }),
        ..LinkParameters::with_delay(Duration::from_millis(20))
    }
}

/// The second of every two is not drawn again: it would be no switch.
fn other<T: Copy + PartialEq>(random: &mut fastrand::Rng, all: &[T], now: &mut T) -> T {
    let choices: Vec<T> = all.iter().copied().filter(|it| it != now).collect();
    *now = choices
        .get(random.usize(..choices.len()))
        .copied()
        .unwrap_or(*now);
    *now
}

/// All there is passes, kb/s.
const WIDE: u64 = 5_000;

/// Five hundred times what Bob is shown changes, by the sizes he wishes, then some more by what his
/// way down carries, while both ways lose two to four of a hundred: the laws say that nothing is sent
/// that cannot be decoded.
fn switch_at_random(seed: u64, form: (VideoCodec, Mode)) {
    let percent = 2 + u32::try_from(seed % 3).expect("a small number");
    let mut world = pair(seed, form, lossy(percent, Some(WIDE)));
    let mut random = fastrand::Rng::with_seed(seed);
    // The stack repeats a flight of a handshake after 1, 2 and 4 s.
    let joined = world.now();
    while !is_watching(&world) {
        world.run_for(Duration::from_millis(100));
        let waits = world.now().since(joined);
        assert!(waits < Duration::from_secs(8), "{form:?}: no picture");
    }
    world.run_for(Duration::from_secs(3));
    let mut height = 0;
    let changes = |world: &World| received(world).shown.len();
    let check = |world: &World| {
        let first = world.violations().first();
        assert_eq!(
            first,
            None,
            "{form:?}, seed {seed}, {} changes",
            changes(world)
        );
    };
    let mut turns = 0;
    while changes(&world) < 500 {
        let height = other(&mut random, &[180, 360, 0], &mut height);
        wish(&mut world, height);
        world.run_for(Duration::from_millis(random.u64(100..700)));
        check(&world);
        turns += 1;
        assert!(turns < 1_000, "{form:?}: {} changes", changes(&world));
    }
    wish(&mut world, 0);
    let wished = world.now();
    while showing(&world) != top(form.1) {
        world.run_for(Duration::from_secs(1));
        let waits = world.now().since(wished);
        let given = world.given(1);
        assert!(waits < Duration::from_secs(20), "{form:?}: {given:?}");
    }
    for _ in 0..10 {
        for kbps in [random.u64(200..2_500), WIDE] {
            world.set_link_down(1, lossy(percent, Some(kbps)));
            world.run_for(Duration::from_millis(random.u64(1_000..4_000)));
            check(&world);
        }
    }
    let late = world.now() - Duration::from_millis(300);
    let received = received(&world);
    assert!(received.last_decoded_at > Some(late), "{form:?}");
    world.end();
    assert_eq!(world.violations(), [], "{form:?}");
    let spoiled = world.robot(1).map(|bob| bob.receiver().spoiled());
    assert_eq!(spoiled, Some(0), "{form:?}");
}

#[test]
fn five_hundred_switches_of_vp8_under_loss_show_nothing_undecodable() {
    switch_at_random(1, FORMS[0]);
}

#[test]
fn five_hundred_switches_of_vp9_simulcast_under_loss_show_nothing_undecodable() {
    switch_at_random(2, FORMS[1]);
}

#[test]
fn five_hundred_switches_of_h264_under_loss_show_nothing_undecodable() {
    switch_at_random(3, FORMS[2]);
}

#[test]
fn five_hundred_switches_of_av1_under_loss_show_nothing_undecodable() {
    switch_at_random(4, FORMS[3]);
}

#[test]
fn five_hundred_switches_of_vp9_layers_under_loss_show_nothing_undecodable() {
    switch_at_random(5, FORMS[4]);
}

#[test]
fn five_hundred_switches_of_vp9_layers_leaning_in_key_pictures_show_nothing_undecodable() {
    switch_at_random(6, FORMS[5]);
}

#[test]
fn five_hundred_switches_of_av1_layers_under_loss_show_nothing_undecodable() {
    switch_at_random(7, FORMS[6]);
}

#[test]
fn five_hundred_switches_of_av1_layers_leaning_in_key_pictures_show_nothing_undecodable() {
    switch_at_random(8, FORMS[7]);
}

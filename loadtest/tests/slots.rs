//! A large room in which all talk at once: the loudest are heard, by as many streams as there are
//! slots, whoever they are and whatever is lost, and nobody negotiates for it.
#![expect(
    clippy::expect_used,
    reason = "a test fails by a panic, its helpers too"
)]

use loadtest::robot::publication::PublishParameters;
use loadtest::sim::link::{Chance, LinkParameters};
use loadtest::sim::world::{Entrance, World};
use sfu::time::Duration;

/// Who talk.
const PEOPLE: usize = 24;
/// Voices that are heard, of a room of the server's defaults.
const SLOTS: usize = 3;
/// Of those who talk in the background, and of the loudest, dBov.
const FAINT: i8 = -32;
const LOUD: [i8; SLOTS] = [-15, -18, -21];
/// From one turn to the next: first a while in which slots may change, then one in which the loudest
/// have them.
const CHANGES: Duration = Duration::from_millis(800);
const STANDS: Duration = Duration::from_millis(1_500);
/// Packets of a voice meanwhile.
const SAID: u64 = 75;
const TURNS: usize = 8;

/// Ada and all others talk, two listen: one by a clean way, one by one that loses.
fn gather(seed: u64) -> (World, [usize; 2]) {
    let clean = LinkParameters {
        jitter: Duration::from_millis(5),
        ..LinkParameters::with_delay(Duration::from_millis(30))
    };
    let lossy = LinkParameters {
        jitter: Duration::from_millis(10),
        loss: Chance::percent(5),
        ..clean
    };
    let mut world = World::new(seed).expect("a world");
    world.set_link(LinkParameters {
        loss: Chance::percent(2),
        ..clean
    });
    let room = world.create_room();
    for _ in 0..PEOPLE {
        let entrance = Entrance {
            subscribes: false,
            ..Entrance::default()
        };
        let member = world.join_as(room, entrance).expect("a robot");
        let voice = PublishParameters {
            level: FAINT,
            packet_bytes: 80,
            ..PublishParameters::audio()
        };
        let published = world.with_robot(member, |robot, now| robot.publish(now, voice));
        published.expect("a voice");
    }
    world.run_for(Duration::from_secs(2));
    let listeners = [clean, lossy].map(|link| {
        world.set_link(link);
        let listener = world.join(room).expect("a robot");
        let silence = PublishParameters::silence();
        let published = world.with_robot(listener, |robot, now| robot.publish(now, silence));
        published.expect("a microphone");
        listener
    });
    world.run_for(Duration::from_secs(2));
    (world, listeners)
}

fn set_level(world: &mut World, of: usize, level: i8) {
    let set = world.with_robot(of, |robot, _| {
        let voice = robot.publication_mut(0).expect("a voice");
        voice.set_level(level);
    });
    set.expect("a robot");
}

/// Packets that a listener has of each.
fn heard(world: &World, listener: usize) -> Vec<u64> {
    let sources = world.robot(listener).expect("a robot").receiver().sources();
    let of = |person: usize| sources.get(&(u32::try_from(person).expect("a number"), 0));
    (0..PEOPLE)
        .map(|it| of(it).map_or(0, |it| it.packets))
        .collect()
}

/// How many more of each.
fn since(before: &[u64], now: &[u64]) -> Vec<u64> {
    before
        .iter()
        .zip(now)
        .map(|(before, now)| now - before)
        .collect()
}

/// Lets so much time pass; never do more come to a listener than all slots carry.
fn pass(world: &mut World, listeners: [usize; 2], lasts: Duration) {
    const LOOK: Duration = Duration::from_millis(100);
    // Five packets of each, as many again that were late, and a slot that changed hands.
    const MOST: u64 = SLOTS as u64 * 5 + 5;
    let until = world.now() + lasts;
    while world.now() < until {
        let before = listeners.map(|it| heard(world, it));
        world.run_for(LOOK);
        for (listener, before) in listeners.into_iter().zip(&before) {
            let came: u64 = since(before, &heard(world, listener)).iter().sum();
            assert!(came <= MOST, "robot {listener}: {came} packets in {LOOK:?}");
        }
    }
}

fn the_loudest_are_heard(seed: u64) {
    let (mut world, listeners) = gather(seed);
    let offers = listeners.map(|it| world.offers(it));
    let mut loudest: Vec<usize> = Vec::new();
    for turn in 0..TURNS {
        for person in loudest.drain(..) {
            set_level(&mut world, person, FAINT);
        }
        for (place, level) in LOUD.into_iter().enumerate() {
            let person = (turn * 5 + place * 7) % PEOPLE;
            set_level(&mut world, person, level);
            loudest.push(person);
        }
        pass(&mut world, listeners, CHANGES);
        let before = listeners.map(|it| heard(&world, it));
        pass(&mut world, listeners, STANDS);
        for (listener, before) in listeners.into_iter().zip(&before) {
            let came = since(before, &heard(&world, listener));
            for (person, count) in came.into_iter().enumerate() {
                let is_heard = count >= SAID * 85 / 100;
                let context =
                    format!("seed {seed}, turn {turn}, robot {listener}: {person} {count}");
                assert_eq!(is_heard, loudest.contains(&person), "{context}");
                // What is repeated late of one who was heard before.
                assert!(is_heard || count <= 2, "{context}");
            }
        }
    }
    assert_eq!(
        listeners.map(|it| world.offers(it)),
        offers,
        "nobody negotiates"
    );
    for listener in listeners {
        assert_eq!(world.bindings(listener).len(), SLOTS);
    }
    assert_eq!(world.refusals(), []);
    world.end();
    assert_eq!(world.violations(), []);
}

#[test]
fn of_24_who_talk_the_three_loudest_are_heard_by_three_streams_under_loss() {
    for seed in [1, 2] {
        the_loudest_are_heard(seed);
    }
}

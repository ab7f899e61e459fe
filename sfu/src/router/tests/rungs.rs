//! Rungs of a simulcast track: which of them can be given, and how one gives way to another.

use std::collections::BTreeSet;

use super::support::*;
use crate::id::{EncodingKey, Rid, SectionKey, TrackKey};
use crate::router::rungs::Target;
use crate::units::{Layer, MediaKind};

const LOW: u32 = 11;
const HIGH: u32 = 22;
/// Input numbers of the high rung begin here.
const HIGH_FIRST: u16 = 5_000;
const ALL: Layer = Layer {
    spatial: 0,
    temporal: 2,
};

/// What is sent of a picture time, 33 ms.
#[derive(Clone, Copy)]
struct Sent {
    low: bool,
    high: bool,
    low_key: bool,
}

const BOTH: Sent = Sent {
    low: true,
    high: true,
    low_key: false,
};

struct Scene {
    room: Room,
    track: TrackKey,
    section: SectionKey,
    low: EncodingKey,
    high: EncodingKey,
    picture: u16,
    /// Pictures are told apart by temporal layer.
    has_layers: bool,
    low_sequence: u16,
    high_sequence: u16,
    seen: Vec<u16>,
}

impl Scene {
    /// A section that shows the high rung, both measured for two seconds.
    fn new() -> Self {
        Self::of(true)
    }

    fn of(has_layers: bool) -> Self {
        let mut room = Room::new();
        let mut simulcast = plan("v", MediaKind::Video);
        simulcast.rids = ["q", "f"].map(|rid| Rid::new(rid).unwrap()).to_vec();
        let track = room.publish(ADA, &simulcast);
        let section = room.section(BOB, &plan("v", MediaKind::Video), 7_000);
        room.router.bind(room.now, section, Some(track));
        let mut scene = Self {
            room,
            track,
            section,
            low: EncodingKey(0),
            high: EncodingKey(1),
            picture: 8,
            has_layers,
            low_sequence: 0,
            high_sequence: HIGH_FIRST,
            seen: Vec::new(),
        };
        scene.send(
            Sent {
                low_key: true,
                ..BOTH
            },
            true,
        );
        let encodings = scene.room.router.track(track).unwrap().encodings.clone();
        (scene.low, scene.high) = (encodings[0], encodings[1]);
        scene.play(60, BOTH);
        scene.send(BOTH, true);
        assert!(scene.play(4, BOTH).iter().all(|&input| input >= HIGH_FIRST));
        scene.room.rtcp(ADA);
        scene
    }

    fn send(&mut self, sent: Sent, high_key: bool) {
        let temporal = [0, 2, 1, 2][usize::from(self.picture % 4)];
        let temporal = if self.has_layers { temporal } else { 0 };
        if sent.low {
            let low = in_layer(
                video(LOW, self.low_sequence, self.picture, sent.low_key),
                temporal,
            );
            self.room.send(ADA, &low.mid("v").rid("q").marker());
            self.low_sequence += 1;
        }
        for packet in 0..3 {
            if sent.high {
                let high = video(
                    HIGH,
                    self.high_sequence,
                    self.picture,
                    high_key && packet == 0,
                );
                let mut high = in_layer(high, temporal).mid("v").rid("f");
                high.header.marker = packet == 2;
                self.room.send(ADA, &high);
                self.high_sequence += 1;
            }
        }
        self.picture += 1;
        self.room.pass(33);
        // The sender's number, behind a descriptor that is longer by one.
        let number = |it: &Seen| u16::from_be_bytes([it.payload[16], it.payload[17]]);
        self.seen.extend(self.room.take(BOB).iter().map(number));
    }

    /// So many picture times; what arrives meanwhile.
    fn play(&mut self, pictures: u32, sent: Sent) -> Vec<u16> {
        self.seen.clear();
        for _ in 0..pictures {
            self.send(sent, false);
        }
        std::mem::take(&mut self.seen)
    }

    /// A packet of the high rung that is on its way for long.
    fn delay_one(&mut self) -> Packet {
        let packet = video(HIGH, self.high_sequence, self.picture, false);
        self.high_sequence += 1;
        packet.mid("v").rid("f")
    }

    fn give(&mut self, encoding: EncodingKey) {
        let target = Target {
            encoding,
            layer: ALL,
        };
        let (now, section) = (self.room.now, self.section);
        self.room.router.set_target(now, section, Some(target));
    }

    fn given(&self) -> Option<EncodingKey> {
        self.room
            .router
            .target(self.section)
            .map(|target| target.encoding)
    }
}

/// RFC 7741 §4.2: T beside I and L; TID, and Y, since all lean on the lowest layer only.
fn in_layer(mut packet: Packet, temporal: u8) -> Packet {
    packet.payload[1] |= 0x20;
    packet.payload[0] |= 0x10;
    packet.payload[4] = 0;
    packet.payload.insert(5, temporal << 6 | 0x20);
    packet
}

#[test]
fn a_low_rung_that_is_silent_for_a_second_is_kept_where_a_higher_one_flows() {
    let mut scene = Scene::new();
    let (low, high) = (scene.low, scene.high);
    scene.give(low);
    scene.send(
        Sent {
            low_key: true,
            ..BOTH
        },
        false,
    );
    assert!(scene.play(30, BOTH).iter().all(|&input| input < HIGH_FIRST));
    // Its encoder leaves pictures out behind a key frame.
    let seen = scene.play(45, Sent { low: false, ..BOTH });
    assert_eq!(
        (seen, scene.given()),
        (Vec::new(), Some(low)),
        "the high one was not asked for"
    );
    assert!(!scene.play(10, BOTH).is_empty());
    // After more than two seconds it has stopped: what flows is better than nothing.
    scene.play(90, Sent { low: false, ..BOTH });
    assert_eq!(scene.given(), Some(high));
    assert!(scene.room.rtcp(ADA).plis.contains(&HIGH));
}

#[test]
fn a_high_rung_that_stops_gives_way_to_the_one_below_within_a_third_of_a_second() {
    let mut scene = Scene::new();
    let (low, high) = (scene.low, scene.high);
    scene.give(high);
    // Long enough to know how many pictures a second there are.
    scene.play(40, BOTH);
    let stopped = Sent {
        high: false,
        ..BOTH
    };
    // A picture or two may be late.
    scene.play(5, stopped);
    assert_eq!(scene.given(), Some(high));
    scene.play(5, stopped);
    assert_eq!(scene.given(), Some(low));
    let can_be_given = |scene: &Scene| {
        let rungs = scene.room.router.rungs(scene.track);
        let flowing = rungs.iter().filter(|rung| rung.bitrate.as_bps() > 0);
        flowing
            .map(|rung| rung.target.encoding)
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(can_be_given(&scene), BTreeSet::from([low]));
    scene.play(5, BOTH);
    assert_eq!(can_be_given(&scene), BTreeSet::from([low, high]));
    assert!(scene.room.rtcp(ADA).plis.contains(&LOW));
}

#[test]
fn what_an_encoder_leaves_out_behind_a_key_frame_is_waited_for() {
    let mut scene = Scene::new();
    scene.give(scene.high);
    scene.play(10, BOTH);
    scene.send(BOTH, true);
    let stutters = Sent {
        high: false,
        ..BOTH
    };
    scene.play(24, stutters);
    assert_eq!(scene.given(), Some(scene.high));
    scene.play(12, stutters);
    assert_eq!(scene.given(), Some(scene.low));
}

#[test]
fn what_is_left_for_a_lower_rung_passes_at_its_lowest_rate_until_that_begins() {
    let mut scene = Scene::new();
    scene.give(scene.high);
    scene.play(8, BOTH);
    scene.give(scene.low);
    let seen = scene.play(16, BOTH);
    assert_eq!(seen.len(), 4 * 3, "a quarter of the pictures: {seen:?}");
    assert!(seen.iter().all(|&input| input >= HIGH_FIRST));
    scene.send(
        Sent {
            low_key: true,
            ..BOTH
        },
        false,
    );
    let seen = scene.play(16, BOTH);
    assert_eq!(seen.len(), 16, "all of the lower one: {seen:?}");
    assert!(seen.iter().all(|&input| input < HIGH_FIRST));
    // The way up leaves nothing out before the higher one is there.
    scene.give(scene.high);
    assert_eq!(scene.play(16, BOTH).len(), 16);
}

#[test]
fn where_a_long_queue_stands_what_is_left_ends_at_once() {
    for is_layered in [false, true] {
        leaves_at_once(Scene::of(is_layered), is_layered);
    }
}

fn leaves_at_once(mut scene: Scene, is_layered: bool) {
    let section = scene.section;
    scene.give(scene.high);
    scene.play(8, BOTH);
    scene.room.router.leave_at_once(section);
    assert_eq!(scene.play(8, BOTH).len(), 8 * 3, "nothing is being left");
    scene.give(scene.low);
    let left = if is_layered { 1 } else { 4 };
    assert_eq!(scene.play(4, BOTH).len(), left * 3);
    scene.room.router.leave_at_once(section);
    assert_eq!(scene.play(8, BOTH), []);
    assert!(
        scene.room.router.shows(section),
        "it is given, and begins soon"
    );
    scene.send(
        Sent {
            low_key: true,
            ..BOTH
        },
        false,
    );
    assert_eq!(scene.play(8, BOTH).len(), 8);
    // The way up is never cut.
    scene.give(scene.high);
    scene.room.router.leave_at_once(section);
    assert_eq!(scene.play(8, BOTH).len(), 8);
}

#[test]
fn while_a_queue_drains_the_base_layer_of_what_is_given_passes_and_then_all_of_it() {
    let mut scene = Scene::new();
    let section = scene.section;
    scene.give(scene.high);
    assert_eq!(scene.play(8, BOTH).len(), 8 * 3);
    scene.room.router.set_thin(section, true);
    assert_eq!(scene.play(16, BOTH).len(), 4 * 3, "a quarter");
    // Another decision in between changes nothing of that.
    scene.give(scene.high);
    assert_eq!(scene.play(16, BOTH).len(), 4 * 3);
    scene.room.router.set_thin(section, false);
    let _until_all_layers_can_follow = scene.play(4, BOTH);
    assert_eq!(scene.play(16, BOTH).len(), 16 * 3, "without a key frame");
}

#[test]
fn what_comes_late_of_a_rung_that_was_left_fills_the_number_that_was_kept_for_it() {
    let mut scene = Scene::of(false);
    let late = scene.delay_one();
    scene.play(2, BOTH);
    scene.give(scene.low);
    let key = Sent {
        low_key: true,
        ..BOTH
    };
    scene.send(key, false);
    let shown = scene.play(3, BOTH);
    assert!(shown.iter().all(|input| *input < HIGH_FIRST), "{shown:?}");
    scene.room.send(ADA, &late);
    let filled = scene.room.take(BOB);
    let inputs: Vec<u16> = filled.iter().map(Seen::input).collect();
    assert_eq!(inputs, [late.header.sequence]);
    // Once.
    scene.room.send(ADA, &late);
    assert!(scene.room.take(BOB).is_empty());
    // What never had a place has none now.
    let never = video(HIGH, HIGH_FIRST - 1, 1, false).mid("v").rid("f");
    scene.room.send(ADA, &never);
    assert!(scene.room.take(BOB).is_empty());
}

//! Two rungs of one picture, and key frames that come late or never.

use super::layers::temporal;
use super::support::*;
use crate::id::{EncodingKey, Rid, SectionKey, TrackKey};
use crate::router::rungs::Target;
use crate::time::{Duration, Instant, ServerClock};
use crate::units::{Layer, MediaKind};

const LOW: usize = 0;
const HIGH: usize = 1;
/// What each rung's clock shows at picture 0.
const CLOCKS: [u32; 2] = [500_000, 4_000_000_000];

struct Rungs {
    room: Room,
    track: TrackKey,
    section: SectionKey,
    picture: u16,
    sequences: [u16; 2],
    /// The next picture of the rung is a key frame.
    keys: [bool; 2],
    /// PLIs so far.
    plis: [usize; 2],
}

impl Rungs {
    /// Both flow; what is given is shown.
    fn new(given: usize) -> Self {
        let mut room = Room::new();
        let mut plan = plan("v", MediaKind::Video);
        plan.rids = ["l", "h"].map(|rid| Rid::new(rid).unwrap()).to_vec();
        let track = room.publish(ADA, &plan);
        let section = room.section(BOB, &plan, 7_000);
        room.router.bind(room.now, section, Some(track));
        let mut rungs = Self {
            room,
            track,
            section,
            picture: 0,
            sequences: [1_000, 30_000],
            keys: [true, true],
            plis: [0, 0],
        };
        rungs.pictures(1);
        rungs.aim(given);
        rungs.keys[given] = true;
        rungs.pictures(40);
        assert_eq!(rungs.shown(), given);
        rungs.plis = [0, 0];
        rungs
    }

    fn encoding(&self, rung: usize) -> EncodingKey {
        self.room.router.track(self.track).unwrap().encodings[rung]
    }

    fn aim(&mut self, rung: usize) {
        let target = Target {
            encoding: self.encoding(rung),
            layer: Layer {
                spatial: u8::MAX,
                temporal: u8::MAX,
            },
        };
        let (now, section) = (self.room.now, self.section);
        self.room.router.set_target(now, section, Some(target));
    }

    fn given(&self) -> usize {
        let given = self.room.router.target(self.section).unwrap().encoding;
        usize::from(given == self.encoding(HIGH))
    }

    /// So many pictures of both, 33 ms apart; what is seen of them.
    fn pictures(&mut self, count: u16) -> Vec<Seen> {
        let mut seen = Vec::new();
        for _ in 0..count {
            self.picture += 1;
            for (rung, packets) in [(LOW, 1), (HIGH, 3)] {
                let key = std::mem::take(&mut self.keys[rung]);
                for packet in 0..packets {
                    self.send(
                        rung,
                        (packet == 0 && key, packet == packets - 1),
                        packet == 0,
                    );
                }
            }
            self.room.pass(33);
            seen.extend(self.room.take(BOB));
            for ssrc in self.room.rtcp(ADA).plis {
                self.plis[ssrc as usize - 1] += 1;
            }
        }
        seen
    }

    fn send(&mut self, rung: usize, (key, ends): (bool, bool), starts: bool) {
        let mut packet = temporal(self.sequences[rung], self.picture, key);
        self.sequences[rung] = self.sequences[rung].wrapping_add(1);
        packet.header.ssrc = rung as u32 + 1;
        packet.header.marker = ends;
        packet.header.timestamp = self.timestamp(rung);
        if !starts {
            packet.payload[0] &= !0x10;
        }
        let packet = packet.mid("v").rid(["l", "h"][rung]);
        self.room.send(ADA, &packet);
    }

    fn timestamp(&self, rung: usize) -> u32 {
        CLOCKS[rung].wrapping_add(u32::from(self.picture) * 2_970)
    }

    /// The rung of which the next picture is.
    fn shown(&mut self) -> usize {
        usize::from(self.pictures(4).len() > 4)
    }
}

#[test]
fn a_rise_whose_key_frame_does_not_come_is_given_up_and_tried_again_later() {
    let mut rungs = Rungs::new(LOW);
    rungs.aim(HIGH);
    rungs.pictures(60);
    let asked = rungs.plis[HIGH];
    assert!((3..=6).contains(&asked), "asked {asked} times");
    assert_eq!(rungs.given(), LOW);
    // Not again at once, and nobody is asked.
    rungs.aim(HIGH);
    rungs.keys[HIGH] = true;
    assert_eq!(rungs.pictures(20).len(), 20);
    assert_eq!((rungs.given(), rungs.plis[HIGH]), (LOW, asked));
    rungs.pictures(40);
    rungs.aim(HIGH);
    rungs.pictures(2);
    rungs.keys[HIGH] = true;
    rungs.pictures(1);
    assert_eq!(rungs.shown(), HIGH);
    assert!(rungs.plis[HIGH] > asked);
}

#[test]
fn a_fall_that_nothing_presses_leaves_all_pictures_for_a_while() {
    let mut rungs = Rungs::new(HIGH);
    rungs.aim(LOW);
    rungs.room.router.spare(rungs.section);
    assert_eq!(rungs.pictures(9).len(), 27, "for 300 ms all goes on");
    rungs.pictures(4);
    assert_eq!(rungs.pictures(16).len(), 12, "then every fourth picture");
    rungs.keys[LOW] = true;
    assert_eq!(rungs.pictures(16).len(), 16);
    rungs.aim(HIGH);
    rungs.keys[HIGH] = true;
    let seen = rungs.pictures(16).len();
    assert_eq!(
        seen, 49,
        "and the small one of its first picture, which came before"
    );
}

#[test]
fn a_fall_that_is_taken_back_brings_all_pictures_back() {
    let mut rungs = Rungs::new(HIGH);
    rungs.aim(LOW);
    rungs.pictures(20);
    rungs.aim(HIGH);
    rungs.pictures(5);
    assert_eq!(rungs.pictures(8).len(), 24);
}

#[test]
fn a_rise_is_remembered_and_nothing_else_is_taken_for_one() {
    let mut rungs = Rungs::new(LOW);
    let risen = |rungs: &Rungs| {
        let risen = rungs.room.router.risen(rungs.section);
        risen.map(|(at, bytes)| (rungs.room.now.since(at).as_millis(), bytes > 0))
    };
    rungs.aim(HIGH);
    rungs.pictures(5);
    assert_eq!(risen(&rungs), None, "it is waited for");
    rungs.aim(LOW);
    rungs.pictures(5);
    assert_eq!(risen(&rungs), None, "it was called off");
    rungs.aim(HIGH);
    rungs.pictures(5);
    rungs.keys[HIGH] = true;
    rungs.pictures(2);
    assert_eq!(risen(&rungs), Some((66, true)), "with its key frame");
    rungs.aim(LOW);
    rungs.pictures(2);
    rungs.keys[LOW] = true;
    rungs.pictures(2);
    assert_eq!(risen(&rungs), None, "a smaller picture is no rise");
    // Paused while a rise is waited for, and back at the smaller size.
    rungs.aim(HIGH);
    rungs.pictures(5);
    for is_starved in [true, false] {
        let (now, section) = (rungs.room.now, rungs.section);
        rungs.room.router.set_starved(now, section, is_starved);
        rungs.pictures(2);
    }
    rungs.aim(LOW);
    rungs.keys[LOW] = true;
    rungs.pictures(3);
    assert_eq!(rungs.shown(), LOW);
    assert_eq!(risen(&rungs), None, "what begins anew is no rise");
}

#[test]
fn between_rungs_pictures_are_as_far_apart_as_their_publisher_says() {
    let mut rungs = Rungs::new(HIGH);
    let theirs = ServerClock::from_unix(Duration::from_secs(900_000_000));
    for (rung, at) in [(LOW, 1_000), (HIGH, 1_400)] {
        // Reports are taken at other times than pictures, and arrive when they do.
        let ntp = theirs.ntp(Instant::from_millis(at));
        let rtp = rungs.timestamp(rung).wrapping_add((at as u32 - 1_000) * 90);
        let now = rungs.room.now;
        let router = &mut rungs.room.router;
        router.handle_sender_report(now, ADA, rung as u32 + 1, ntp, rtp);
        rungs.room.pass(7);
    }
    let last = rungs.pictures(1).pop().unwrap();
    rungs.aim(LOW);
    // The network holds it for a while.
    rungs.room.pass(50);
    rungs.keys[LOW] = true;
    let first = rungs.pictures(1).remove(0);
    let step = first.timestamp.wrapping_sub(last.timestamp);
    assert!(step.abs_diff(2_970) <= 2, "{step}");
}

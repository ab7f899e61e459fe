//! Layers within one encoding: what passes, and how it is counted.

use std::collections::BTreeSet;

use super::support::*;
use crate::id::{EncodingKey, SectionKey, TrackKey};
use crate::router::rungs::Target;
use crate::units::{Layer, MediaKind};
use crate::wire::payload::Codec;
use crate::wire::rtp::RtpHeader;

pub(super) const VP9: u8 = 98;
pub(super) const VP9_RTX: u8 = 99;

/// Temporal layers of four pictures, and which lean on the base layer only, as Chromium's encoder
/// has them.
const PATTERN: [(u8, bool); 4] = [(0, false), (2, true), (1, true), (2, false)];

fn layer(spatial: u8, temporal: u8) -> Layer {
    Layer { spatial, temporal }
}

/// A VP8 packet of picture `picture` in three temporal layers.
pub(super) fn temporal(sequence: u16, picture: u16, key: bool) -> Packet {
    let (temporal, sync) = PATTERN[usize::from(picture % 4)];
    let mut packet = video(1, sequence, picture, key);
    // RFC 7741 §4.2: T beside I and L; TID, Y.
    packet.payload[1] |= 0x20;
    packet.payload[0] |= 0x10;
    packet.payload[4] = (picture / 4) as u8;
    let byte = temporal << 6 | u8::from(sync) << 5;
    packet.payload.insert(5, byte);
    packet
}

/// A VP9 packet of `spatial` in picture `picture`, non-flexible (RFC 9628 §4.2).
pub(super) fn spatial(
    sequence: u16,
    picture: u16,
    (spatial, last): (u8, bool),
    key: bool,
) -> Packet {
    let [high, low] = (picture | 0x8000).to_be_bytes();
    let temporal = (picture % 2) as u8;
    let first = 0xA0 | 0x0C | if key { 0 } else { 0x40 };
    // TID, U where it is a base picture, SID, D.
    let up = if temporal == 0 { 0x10 } else { 0 };
    let layers = temporal << 5 | up | spatial << 1 | u8::from(spatial > 0);
    let mut payload = vec![first, high, low, layers, (picture / 2) as u8, 0x86];
    payload.resize(15, 0);
    payload.extend(sequence.to_be_bytes());
    payload.extend([7; 400]);
    Packet {
        header: RtpHeader {
            payload_type: VP9,
            marker: last,
            sequence,
            timestamp: u32::from(picture) * 3_000,
            ssrc: 1,
        },
        values: crate::wire::extension::ExtensionValues::default(),
        payload,
        padding: 0,
        descriptor: Vec::new(),
    }
}

struct Scene {
    room: Room,
    section: SectionKey,
    encoding: EncodingKey,
    sequence: u16,
    picture: u16,
}

impl Scene {
    fn new(codec: Codec) -> Self {
        let mut room = Room::new();
        let mut plan = plan("v", MediaKind::Video);
        if codec == Codec::Vp9 {
            plan.payloads = vec![payload(VP9, Some(VP9_RTX), codec)];
        }
        let track = room.publish(ADA, &plan);
        let section = room.section(BOB, &plan, 7_000);
        room.router.bind(room.now, section, Some(track));
        let mut scene = Self {
            room,
            section,
            encoding: EncodingKey(0),
            sequence: 100,
            picture: 8,
        };
        scene.send(codec, true);
        scene.encoding = scene.encoding_of(track);
        scene
    }

    fn encoding_of(&self, track: TrackKey) -> EncodingKey {
        self.room.router.track(track).unwrap().encodings[0]
    }

    /// The packets of the next picture.
    fn packets(&mut self, codec: Codec, key: bool) -> Vec<Packet> {
        let picture = self.picture;
        self.picture += 1;
        let mut next = || {
            self.sequence += 1;
            self.sequence - 1
        };
        if codec == Codec::Vp9 {
            let layers = [(0, false), (1, false), (2, true)];
            return layers.map(|at| spatial(next(), picture, at, key)).to_vec();
        }
        let rest = |mut packet: Packet| {
            // Not the start of a partition.
            packet.payload[0] &= !0x10;
            packet.marker()
        };
        vec![
            temporal(next(), picture, key),
            rest(temporal(next(), picture, false)),
        ]
    }

    fn send(&mut self, codec: Codec, key: bool) {
        for packet in self.packets(codec, key) {
            self.room.send(ADA, &packet);
        }
        self.room.pass(33);
    }

    fn wish(&mut self, layer: Layer) {
        let target = Target {
            encoding: self.encoding,
            layer,
        };
        let (now, section) = (self.room.now, self.section);
        self.room.router.set_target(now, section, Some(target));
    }

    /// Sends pictures, and what of them arrives.
    fn play(&mut self, codec: Codec, pictures: usize) -> Vec<Seen> {
        let mut seen = Vec::new();
        for _ in 0..pictures {
            self.send(codec, false);
            seen.extend(self.room.take(BOB));
        }
        seen
    }
}

fn temporals(seen: &[Seen]) -> BTreeSet<u8> {
    seen.iter().map(|it| it.payload[5] >> 6).collect()
}

/// Numbers without gaps, picture numbers without gaps.
fn is_gapless(seen: &[Seen]) -> bool {
    let steps = |a: u16, b: u16| b.wrapping_sub(a);
    seen.windows(2).all(|pair| {
        let [a, b] = pair else { return true };
        let pictures = steps(a.picture(), b.picture());
        let same = a.timestamp == b.timestamp;
        steps(a.sequence, b.sequence) == 1 && pictures == u16::from(!same)
    })
}

#[test]
fn temporal_layers_of_vp8_go_at_once_and_come_back_where_nothing_is_missing() {
    let mut scene = Scene::new(Codec::Vp8);
    let mut seen = scene.room.take(BOB);
    // A second makes the layers known.
    seen.extend(scene.play(Codec::Vp8, 36));
    assert_eq!(temporals(&seen), BTreeSet::from([0, 1, 2]));
    for (limit, expected) in [(0, &[0][..]), (1, &[0, 1]), (0, &[0]), (2, &[0, 1, 2])] {
        scene.wish(layer(0, limit));
        let first = scene.play(Codec::Vp8, 1);
        assert!(
            first.iter().all(|it| it.payload[5] >> 6 <= limit),
            "{limit}: less is given at once"
        );
        seen.extend(first);
        seen.extend(scene.play(Codec::Vp8, 8));
        let since = seen.len();
        seen.extend(scene.play(Codec::Vp8, 8));
        let since = &seen[since..];
        assert_eq!(
            temporals(since),
            expected.iter().copied().collect(),
            "{limit}"
        );
        assert!(since.iter().filter(|it| it.marker).count() * 2 == since.len());
    }
    assert!(is_gapless(&seen));
    assert!(scene.room.rtcp(ADA).plis.len() <= 1, "none but the first");
}

#[test]
fn going_up_never_leans_on_what_was_left_out() {
    for wait in 0..8 {
        let mut scene = Scene::new(Codec::Vp8);
        scene.play(Codec::Vp8, 36);
        scene.wish(layer(0, 0));
        scene.play(Codec::Vp8, 8 + wait);
        scene.wish(layer(0, 2));
        let seen = scene.play(Codec::Vp8, 12);
        let first = |temporal: u8| {
            seen.iter()
                .find(|it| it.payload[5] >> 6 == temporal)
                .unwrap()
        };
        let (one, two) = (first(1), first(2));
        assert!(
            one.payload[5] & 0x20 != 0 && two.payload[5] & 0x20 != 0,
            "{wait}"
        );
        assert!(one.input() <= two.input(), "{wait}: layer by layer");
    }
}

#[test]
fn a_picture_left_out_that_comes_behind_newer_ones_is_not_counted() {
    for late in 1..4 {
        let mut scene = Scene::new(Codec::Vp8);
        scene.play(Codec::Vp8, 36);
        scene.wish(layer(0, 0));
        let mut seen = scene.play(Codec::Vp8, 8);
        for _ in 0..40 {
            let mut held = Vec::new();
            for place in 0..5 {
                let packets = scene.packets(Codec::Vp8, false);
                if place == late {
                    held = packets;
                } else {
                    for packet in packets {
                        scene.room.send(ADA, &packet);
                    }
                }
            }
            // Before anything newer has left.
            for packet in held {
                scene.room.send(ADA, &packet);
            }
            scene.room.pass(33);
            seen.extend(scene.room.take(BOB));
        }
        assert_eq!(temporals(&seen), BTreeSet::from([0]));
        assert!(seen.len() > 80, "{}", seen.len());
        assert!(is_gapless(&seen), "{late}");
    }
}

#[test]
fn a_late_packet_of_a_layer_that_does_not_pass_fills_its_place() {
    let mut scene = Scene::new(Codec::Vp8);
    scene.play(Codec::Vp8, 36);
    scene.wish(layer(0, 0));
    scene.play(Codec::Vp8, 3);
    let mut seen = Vec::new();
    // The second packet of a picture of layer 0, and one of layer 2 come after the next picture.
    let mut late = Vec::new();
    for place in 0..8 {
        let mut packets = scene.packets(Codec::Vp8, false);
        if place < 2 {
            late.extend(packets.pop());
        }
        for packet in packets {
            scene.room.send(ADA, &packet);
        }
        scene.room.pass(33);
        seen.extend(scene.room.take(BOB));
    }
    for packet in late {
        scene.room.send(ADA, &packet);
        seen.extend(scene.room.take(BOB));
    }
    seen.sort_by_key(|it| it.sequence);
    let steps = seen
        .windows(2)
        .map(|pair| pair[1].sequence - pair[0].sequence);
    assert!(
        steps.clone().all(|step| step == 1),
        "every number is used once"
    );
    let filled: Vec<_> = seen.iter().filter(|it| it.payload.is_empty()).collect();
    assert_eq!(filled.len(), 1, "of what does not pass nothing is shown");
    assert!(filled[0].padding > 0);
    let (now, number) = (scene.room.now, filled[0].sequence);
    let router = &mut scene.room.router;
    router.handle_nack(now, BOB, 7_000, [number].into_iter());
    let again = scene.room.take(BOB);
    assert_eq!(again.len(), 1);
    assert_eq!(
        again[0].payload,
        number.to_be_bytes(),
        "nor when it is lost"
    );
    let shown: Vec<Seen> = seen
        .iter()
        .filter(|it| !it.payload.is_empty())
        .cloned()
        .collect();
    assert_eq!(temporals(&shown), BTreeSet::from([0]));
    let pictures: BTreeSet<u16> = shown.iter().map(Seen::picture).collect();
    let first = *pictures.first().unwrap();
    assert_eq!(pictures, (first..first + pictures.len() as u16).collect());
}

#[test]
fn a_repeat_is_what_was_sent_though_other_layers_pass_by_then() {
    let mut scene = Scene::new(Codec::Vp8);
    scene.play(Codec::Vp8, 36);
    scene.wish(layer(0, 0));
    scene.play(Codec::Vp8, 16);
    let sent = scene.play(Codec::Vp8, 4);
    let sent = sent.last().expect("a base picture among four").clone();
    scene.wish(layer(0, 2));
    scene.play(Codec::Vp8, 8);
    let now = scene.room.now;
    scene
        .room
        .router
        .handle_nack(now, BOB, 7_000, [sent.sequence].into_iter());
    let again = scene.room.take(BOB);
    assert_eq!(again.len(), 1);
    let again = &again[0];
    assert_eq!(again.payload[..2], sent.sequence.to_be_bytes());
    assert_eq!(again.payload[2..], sent.payload);
    assert_eq!(
        (again.timestamp, again.marker),
        (sent.timestamp, sent.marker)
    );
}

#[test]
fn spatial_layers_of_vp9_go_at_once_and_come_back_with_a_key_frame() {
    let mut scene = Scene::new(Codec::Vp9);
    let mut seen = scene.room.take(BOB);
    seen.extend(scene.play(Codec::Vp9, 36));
    scene.room.rtcp(ADA);
    let sid = |it: &Seen| it.payload[3] >> 1 & 7;
    let tid = |it: &Seen| it.payload[3] >> 5;
    assert_eq!(seen.iter().map(sid).max(), Some(2));
    scene.wish(layer(1, 0));
    let low = scene.play(Codec::Vp9, 10);
    let is_low = |it: &Seen| sid(it) <= 1 && tid(it) == 0;
    assert!(
        low.iter().all(is_low),
        "{:?}",
        low.iter()
            .map(|it| (sid(it), tid(it), it.picture()))
            .collect::<Vec<_>>()
    );
    assert!(
        low.iter().all(|it| it.marker == (sid(it) == 1)),
        "the picture ends with its highest layer"
    );
    seen.extend(low);
    scene.room.pass(1_000);
    scene.wish(layer(2, 1));
    assert_eq!(
        scene.room.rtcp(ADA).plis.len(),
        1,
        "a key frame is asked for"
    );
    let waiting = scene.play(Codec::Vp9, 6);
    assert!(waiting.iter().all(|it| sid(it) <= 1));
    assert_eq!(waiting.iter().map(tid).max(), Some(1), "pictures need none");
    seen.extend(waiting);
    scene.send(Codec::Vp9, true);
    seen.extend(scene.room.take(BOB));
    let high = scene.play(Codec::Vp9, 4);
    assert_eq!(high.len(), 12);
    assert!(high.iter().all(|it| it.marker == (sid(it) == 2)));
    seen.extend(high);
    let steps = seen
        .windows(2)
        .map(|pair| pair[1].sequence.wrapping_sub(pair[0].sequence));
    assert!(steps.clone().all(|step| step == 1));
    // What leans on what is told by the distance of these.
    let picture =
        |it: &Seen| u32::from(u16::from_be_bytes([it.payload[1], it.payload[2]]) & 0x7FFF);
    let ticks = |it: &Seen| it.timestamp.wrapping_sub(seen[0].timestamp);
    assert!(seen.iter().all(|it| (picture(it) - 8) * 3_000 == ticks(it)));
}

#[test]
fn the_layers_of_a_track_are_told_with_height_rate_and_share() {
    let mut scene = Scene::new(Codec::Vp8);
    for _ in 0..60 {
        scene.send(Codec::Vp8, false);
        scene.room.take(BOB);
    }
    let rungs = scene.room.router.rungs(TrackKey(0));
    let ranks: Vec<_> = rungs.iter().map(|it| (it.rank, it.height)).collect();
    let expected: Vec<_> = (0..3).map(|it| (layer(0, it), 240)).collect();
    assert_eq!(ranks, expected);
    let rates: Vec<_> = rungs.iter().map(|it| it.fps).collect();
    assert!(
        (6..=8).contains(&rates[0]) && (28..=32).contains(&rates[2]),
        "{rates:?}"
    );
    let kbps: Vec<_> = rungs.iter().map(|it| it.bitrate.as_bps() / 1_000).collect();
    assert!(kbps[0] * 3 < kbps[2] && kbps[1] < kbps[2], "{kbps:?}");
}

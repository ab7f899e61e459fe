//! What is found out for one packet of a picture is not found out again for the next. That must not
//! show: a viewer whose packets are written in one go sees what one sees whose packets are not.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::layers::{VP9, VP9_RTX, spatial, temporal};
use super::support::*;
use crate::id::{EncodingKey, SectionKey};
use crate::router::layers::EVERYTHING;
use crate::units::{Layer, MediaKind};
use crate::wire::extension::{Extension, ExtensionMap};
use crate::wire::payload::Codec;

type Make = fn(Of) -> Packet;

/// A packet of one layer of one picture.
#[derive(Clone, Copy)]
struct Of {
    sequence: u16,
    picture: u16,
    layer: u8,
    /// Of its layer.
    is_first: bool,
    is_last: bool,
    /// A decoder can start with it.
    starts: bool,
}

/// A room with one viewer.
struct Side {
    room: Room,
    section: SectionKey,
    /// Its packets are offered and written one by one.
    is_slow: bool,
    /// Of its first packet: sequence number and timestamp.
    first: Option<(u16, u32)>,
    /// The last number that was sent.
    newest: u16,
}

impl Side {
    fn new(is_slow: bool) -> Self {
        let mut room = Room::new();
        let mut plan = plan("v", MediaKind::Video);
        plan.payloads.push(payload(VP9, Some(VP9_RTX), Codec::Vp9));
        // Without a level, which pictures do not have, headers come from a template.
        plan.extensions = ExtensionMap::default();
        for (extension, id) in Extension::ALL.into_iter().zip(1..) {
            if extension != Extension::AudioLevel {
                plan.extensions.set(extension, id);
            }
        }
        let track = room.publish(ADA, &plan);
        let section = room.section(BOB, &plan, 7_000);
        room.router.bind(room.now, section, Some(track));
        Self {
            room,
            section,
            is_slow,
            first: None,
            newest: 0,
        }
    }

    fn send(&mut self, packet: &Packet) {
        self.room.send(ADA, packet);
        let encoding = self.room.router.encodings.iter().next();
        if let Some((key, _)) = encoding.filter(|_| self.is_slow) {
            let key = EncodingKey::from_index(key);
            self.room.router.release(self.room.now, key);
        }
    }

    /// What its viewer sees, but for where numbers begin and how much padding makes packets equal.
    fn seen(&mut self) -> Vec<Seen> {
        let most = if self.is_slow { 1 } else { usize::MAX };
        let mut seen = self.room.take_by(BOB, most);
        for packet in &mut seen {
            if packet.ssrc == 7_000 {
                self.newest = packet.sequence;
                let whole = (packet.sequence, packet.timestamp);
                let (sequence, timestamp) = *self.first.get_or_insert(whole);
                packet.sequence = packet.sequence.wrapping_sub(sequence);
                packet.timestamp = packet.timestamp.wrapping_sub(timestamp);
            } else {
                // A repeat begins with the number it had (RFC 4588 §4).
                let (first, at) = self.first.unwrap();
                let number = u16::from_be_bytes([packet.payload[0], packet.payload[1]]);
                packet.payload[..2].copy_from_slice(&number.wrapping_sub(first).to_be_bytes());
                packet.timestamp = packet.timestamp.wrapping_sub(at);
                packet.sequence = 0;
            }
            packet.padding = packet.padding.min(usize::from(packet.payload.is_empty()));
            packet.values.abs_send_time = None;
        }
        seen
    }

    /// The viewer asks for the number that lies so far back.
    fn ask(&mut self, back: u16) {
        let (router, now) = (&mut self.room.router, self.room.now);
        let asked = self.newest.wrapping_sub(back);
        router.handle_nack(now, BOB, 7_000, [asked].into_iter());
    }
}

/// Two rooms in which the same happens, one of them packet by packet.
struct Two {
    sides: [Side; 2],
    random: ChaCha20Rng,
    sent: usize,
    late: Vec<Packet>,
    repairs: u16,
}

impl Two {
    fn new(seed: u8) -> Self {
        Self {
            sides: [Side::new(false), Side::new(true)],
            random: ChaCha20Rng::from_seed([seed; 32]),
            sent: 0,
            late: Vec::new(),
            repairs: 0,
        }
    }

    fn below(&mut self, n: u32) -> u32 {
        self.random.next_u32() % n
    }

    fn wish(&mut self) {
        let layer = Layer {
            spatial: self.below(3) as u8,
            temporal: self.below(3) as u8,
        };
        let layer = if self.below(3) == 0 {
            EVERYTHING
        } else {
            layer
        };
        for Side { room, section, .. } in &mut self.sides {
            let section = room.router.sections.get_mut(section.index()).unwrap();
            section.layers.set_wish(layer);
        }
    }

    /// Arrives, or is lost and comes again later, or never.
    fn send(&mut self, packet: Packet) {
        match self.below(20) {
            0 => {}
            1 => self.late.push(packet),
            _ => self.sides.iter_mut().for_each(|side| side.send(&packet)),
        }
    }

    fn repair(&mut self) {
        for packet in std::mem::take(&mut self.late) {
            self.repairs += 1;
            let is_vp9 = packet.header.payload_type == VP9;
            let mut repair = packet.into_rtx(2, self.repairs);
            if is_vp9 {
                repair.header.payload_type = VP9_RTX;
            }
            self.sides.iter_mut().for_each(|side| side.send(&repair));
        }
    }

    fn ask(&mut self) {
        let back = self.below(12) as u16;
        self.sides.iter_mut().for_each(|side| side.ask(back));
    }

    fn pass(&mut self) {
        self.sides.iter_mut().for_each(|side| side.room.pass(6));
    }

    fn compare(&mut self) {
        let [one, other] = self.sides.each_mut().map(Side::seen);
        self.sent += one.len();
        assert_eq!(one.len(), other.len());
        for (one, other) in one.iter().zip(&other) {
            assert_eq!(one, other);
        }
    }

    /// A picture of `layers` layers, each of some packets; from the 200th on some lie on their side.
    fn picture(&mut self, make: Make, (next, picture): (&mut u16, u16), layers: u8) {
        let key = picture.is_multiple_of(40);
        for layer in 0..layers {
            let packets = 1 + self.below(8);
            for place in 0..packets {
                let of = Of {
                    sequence: *next,
                    picture,
                    layer,
                    is_first: place == 0,
                    is_last: place + 1 == packets,
                    starts: key && layer == 0 && place == 0,
                };
                let mut packet = make(of);
                // Some encoders leave it out; the next picture may leave with this one then.
                let is_marked = self.below(6) > 0;
                packet.header.marker = is_marked && of.is_last && layer + 1 == layers;
                packet.payload.extend(vec![5; self.below(4) as usize]);
                if key && packet.header.marker {
                    packet.values.orientation = Some(u8::from(picture >= 200));
                }
                *next = next.wrapping_add(1);
                self.send(packet);
            }
        }
    }
}

fn vp8(of: Of) -> Packet {
    let mut packet = temporal(of.sequence, of.picture, of.starts);
    // S (RFC 7741 §4.2).
    packet.payload[0] &= if of.is_first { 0xFF } else { !0x10 };
    packet
}

/// Without layers.
fn plain(of: Of) -> Packet {
    video(1, of.sequence, of.picture, of.starts)
}

fn vp9(of: Of) -> Packet {
    let mut packet = spatial(of.sequence, of.picture, (of.layer, false), of.starts);
    // B and E (RFC 9628 §4.2).
    packet.payload[0] &= if of.is_first { 0xFF } else { !0x08 };
    packet.payload[0] &= if of.is_last { 0xFF } else { !0x04 };
    packet
}

#[test]
fn in_one_go_or_packet_by_packet_it_is_written_the_same() {
    for (make, layers) in [(plain as Make, 1), (vp8, 1), (vp9, 3)] {
        let mut alike = 0;
        for seed in 1..=8 {
            let mut two = Two::new(seed);
            let mut next = 65_400;
            for picture in 0..300 {
                two.picture(make, (&mut next, picture), layers);
                if two.below(4) == 0 {
                    continue;
                }
                two.pass();
                two.compare();
                match two.below(8) {
                    0 => two.wish(),
                    1 | 2 => two.repair(),
                    3 | 4 => two.ask(),
                    _ => continue,
                }
                two.compare();
            }
            assert!(two.sent > 600, "{} were sent", two.sent);
            let [one, other] = two.sides.each_ref().map(|side| side.room.alike);
            assert_eq!(other, 0, "that side has nothing to be like");
            alike += one;
        }
        assert!(alike > 2_000, "{alike} were like the one before");
    }
}

//! RED both ways: what a publisher's copies bring back, and copies for those who lose packets.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::support::*;
use crate::units::MediaKind;
use crate::wire::payload::red::{Block, Red};

/// Sound number `n`, each 20 ms.
fn sound(n: u16) -> Packet {
    audio(1, n).mid("a")
}

/// The same with copies of the `copies` before it.
fn red(n: u16, copies: u16) -> Packet {
    let payloads: Vec<_> = (1..=copies)
        .rev()
        .map(|back| (back, sound(n - back).payload))
        .collect();
    wrapped(n, &payloads)
}

fn wrapped(n: u16, copies: &[(u16, Vec<u8>)]) -> Packet {
    let mut packet = sound(n);
    let own = packet.payload.clone();
    let block = |back: u16, bytes| Block {
        payload_type: OPUS,
        offset: u32::from(back) * 960,
        bytes,
    };
    let red = Red {
        redundant: copies
            .iter()
            .map(|(back, bytes)| block(*back, bytes))
            .collect(),
        primary: block(0, &own),
    };
    let mut payload = vec![0; 1_400];
    let len = red.write(&mut payload).unwrap();
    payload.truncate(len);
    packet.payload = payload;
    packet.header.payload_type = RED;
    packet
}

/// Ada is heard by Bob, who takes plain sound, and by Cleo, who takes RED.
fn room() -> Room {
    let mut room = Room::new();
    let plain = plan("a", MediaKind::Audio);
    let red = with_red(plain.clone());
    let track = room.publish(ADA, &red);
    for (member, plan, ssrc) in [(BOB, &plain, 500), (CLEO, &red, 600)] {
        let section = room.section(member, plan, ssrc);
        room.router.bind(room.now, section, Some(track));
    }
    room
}

/// Sends a packet and lets 20 ms pass; what Bob and Cleo get.
fn turn(room: &mut Room, packet: &Packet) -> [Vec<Seen>; 2] {
    room.send(ADA, packet);
    room.pass(2);
    let seen = [room.take(BOB), room.take(CLEO)];
    room.pass(18);
    seen
}

#[test]
fn a_publishers_red_is_plain_to_all_who_lose_nothing() {
    let mut room = room();
    for n in 100..110 {
        let packet = if n % 3 == 0 { sound(n) } else { red(n, 1) };
        for seen in turn(&mut room, &packet) {
            let [seen] = seen.as_slice() else {
                panic!("{seen:?}");
            };
            assert_eq!(seen.payload_type, OPUS);
            assert_eq!(seen.payload, sound(n).payload);
        }
    }
    assert_eq!(
        room.router.poll_track_change(),
        None,
        "it is Opus all along"
    );
}

#[test]
fn what_was_lost_on_the_way_here_comes_back_out_of_copies() {
    for (lost, copies) in [(1, 1), (1, 2), (2, 2)] {
        let mut room = room();
        let mut got: [Vec<Seen>; 2] = Default::default();
        for n in 100..120_u16 {
            if (105..105 + lost).contains(&n) || (112..112 + lost).contains(&n) {
                room.pass(20);
                continue;
            }
            for (got, seen) in got.iter_mut().zip(turn(&mut room, &red(n, copies))) {
                got.extend(seen);
            }
        }
        for got in got {
            let inputs: Vec<u16> = got.iter().map(Seen::input).collect();
            assert_eq!(inputs, (100..120).collect::<Vec<_>>(), "{lost} of {copies}");
            for pair in got.windows(2) {
                assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
                assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(960));
            }
        }
        assert!(room.rtcp(ADA).nacked.is_empty());
        let lost_in_all = room
            .rtcp(ADA)
            .blocks
            .first()
            .map(|block| block.packets_lost);
        assert!(lost_in_all.is_none_or(|it| it == i32::from(2 * lost)));
    }
}

#[test]
fn the_original_that_comes_after_its_copy_is_a_duplicate() {
    let mut room = room();
    turn(&mut room, &red(100, 1));
    turn(&mut room, &red(102, 1));
    let routed = room.send(ADA, &red(101, 1));
    assert_eq!(routed.dropped, Some(crate::error::DropReason::Duplicate));
    assert!(room.take(BOB).is_empty());
}

#[test]
fn a_copy_whose_place_is_not_clear_is_left_out() {
    let mut room = room();
    turn(&mut room, &sound(100));
    // Three are missing, and the copy's time lies between two of them.
    let mut packet = wrapped(104, &[(1, sound(103).payload), (2, sound(102).payload)]);
    packet.payload[1..3].copy_from_slice(&[0x10, 0x00]);
    let [bob, _] = turn(&mut room, &packet);
    let inputs: Vec<u16> = bob.iter().map(Seen::input).collect();
    assert!(
        !inputs.contains(&103) && inputs.ends_with(&[104]),
        "{inputs:?}"
    );
    // What makes no sense is dropped whole, and so is what is coded in something else.
    let mut broken = sound(105);
    broken.header.payload_type = RED;
    broken.payload = vec![0xFF; 50];
    let malformed = Some(crate::error::DropReason::Malformed);
    assert_eq!(room.send(ADA, &broken).dropped, malformed);
    broken.payload = vec![13, 1, 2, 3];
    let unknown = Some(crate::error::DropReason::UnknownPayloadType);
    assert_eq!(room.send(ADA, &broken).dropped, unknown);
}

/// The copies in what Cleo got: their distances in ticks.
fn offsets(seen: &[Seen]) -> Vec<u32> {
    let [seen] = seen else { panic!("{seen:?}") };
    if seen.payload_type == OPUS {
        return Vec::new();
    }
    let red = Red::parse(&seen.payload).unwrap();
    red.redundant.iter().map(|block| block.offset).collect()
}

#[test]
fn copies_are_given_to_whom_they_help_and_taken_away_again() {
    let mut room = room();
    turn(&mut room, &sound(100));
    for (n, loss, expected) in [(101, 25, &[960][..]), (102, 90, &[1_920, 960])] {
        room.router.set_loss(room.now, CLEO, loss);
        room.router.set_loss(room.now, BOB, loss);
        let [bob, cleo] = turn(&mut room, &sound(n));
        assert_eq!(offsets(&cleo), expected);
        assert_eq!(bob[0].payload, sound(n).payload, "he did not negotiate it");
    }
    let red = Red::parse(&turn(&mut room, &sound(103))[1][0].payload).map(|red| red.bytes());
    assert_eq!(red, Ok(3 * 93 + 9));
    let mut n = 104;
    for _ in 0..600 {
        room.router.set_loss(room.now, CLEO, 0);
        turn(&mut room, &sound(n));
        n += 1;
    }
    let [_, cleo] = turn(&mut room, &sound(n));
    assert_eq!(cleo[0].payload_type, OPUS);
}

#[test]
fn a_receiver_report_asks_for_copies_where_nothing_better_is_known() {
    let mut room = room();
    turn(&mut room, &sound(100));
    let block = crate::wire::rtcp::ReportBlock {
        ssrc: 600,
        fraction_lost: 26,
        packets_lost: 0,
        sequence_highest: 0,
        jitter: 0,
        last_sr: 0,
        delay_since_sr: 0,
    };
    room.router.handle_report_block(room.now, CLEO, &block);
    let [_, cleo] = turn(&mut room, &sound(101));
    assert_eq!(offsets(&cleo), [960]);
    let [_, cleo] = turn(&mut room, &sound(102));
    assert_eq!(offsets(&cleo), [1_920, 960], "one in ten is lost");
}

#[test]
fn silence_long_pauses_and_long_frames_have_no_copies() {
    let mut room = room();
    turn(&mut room, &sound(100));
    room.router.set_loss(room.now, CLEO, 500);
    // RFC 7587 §3.1.3: silence, then a packet each 400 ms, which is further than 14 bits reach.
    let mut at = sound(100).header.timestamp;
    for (n, step, bytes, expected) in [
        (101, 960, 93, &[960][..]),
        (102, 960, 1, &[1_920, 960]),
        (103, 19_200, 1, &[]),
        (104, 19_200, 93, &[]),
        (105, 960, 93, &[960]),
        // Only one fits, and itself it is too long to be a copy.
        (106, 960, 1_100, &[960]),
        (107, 960, 93, &[1_920]),
        (108, 960, 93, &[960]),
    ] {
        let mut packet = sound(n);
        at += step;
        packet.header.timestamp = at;
        packet.payload.resize(bytes, 5);
        let [_, cleo] = turn(&mut room, &packet);
        assert_eq!(offsets(&cleo), expected, "{n}");
    }
}

#[test]
fn another_speaker_begins_without_the_copies_of_the_last() {
    let mut room = room();
    let red = with_red(plan("a", MediaKind::Audio));
    let section = room.section(BOB, &red, 700);
    let (first, second) = (
        room.router.bound(section),
        room.publish(CLEO, &with_red(plan("b", MediaKind::Audio))),
    );
    assert_eq!(first, None);
    room.router.set_loss(room.now, BOB, 500);
    let heard = |room: &mut Room, n: u16| {
        let mut packet = audio(9, n).mid("b");
        packet.header.payload_type = OPUS;
        room.send(CLEO, &packet);
        room.pass(2);
        let mut seen = room.take(BOB);
        seen.retain(|seen| seen.ssrc == 700);
        seen
    };
    assert!(heard(&mut room, 50).is_empty());
    room.router.bind(room.now, section, Some(second));
    assert_eq!(offsets(&heard(&mut room, 51)), [], "50 was not for it");
    assert_eq!(offsets(&heard(&mut room, 52)), [960]);
    assert_eq!(offsets(&heard(&mut room, 53)), [1_920, 960]);
}

/// Sound over a path that loses so many of a thousand; what of it is missing at the receiver in the
/// end, in millionths.
fn residual(seed: u8, loss: u64, uplink: u64) -> u64 {
    const PACKETS: u16 = 30_000;
    let mut random = ChaCha20Rng::from_seed([seed; 32]);
    let mut chance =
        move |of_thousand: u64| (u64::from(random.next_u32()) * 1_000) >> 32 < of_thousand;
    let mut room = room();
    let mut heard = vec![false; usize::from(PACKETS)];
    let (mut lost, mut told) = (0_u64, 0_u64);
    let first = 10;
    let mut zero = None;
    for n in first..first + PACKETS {
        if chance(uplink) && n > first {
            room.pass(20);
            continue;
        }
        for seen in &turn(&mut room, &red(n, 2.min(n - first)))[1] {
            told += 1;
            if chance(loss) && told > 1 {
                lost += 1;
                continue;
            }
            let own = Block {
                payload_type: OPUS,
                offset: 0,
                bytes: &seen.payload,
            };
            let parsed = match seen.payload_type {
                OPUS => Red {
                    redundant: Default::default(),
                    primary: own,
                },
                _ => Red::parse(&seen.payload).unwrap(),
            };
            let zero = *zero.get_or_insert(seen.timestamp);
            for block in parsed.redundant.iter().chain([&parsed.primary]) {
                let ticks = seen.timestamp.wrapping_sub(block.offset).wrapping_sub(zero);
                let place = u16::try_from(ticks / 960).unwrap();
                assert_eq!(
                    block.bytes,
                    sound(first + place).payload,
                    "the copy of its time"
                );
                heard[usize::from(place)] = true;
            }
        }
        if told.is_multiple_of(50) {
            room.router
                .set_loss(room.now, CLEO, (lost * 1_000 / told) as u16);
        }
    }
    // The last two have nobody to bring their copies; the first 200 came before loss was known.
    let counted = &heard[200..usize::from(PACKETS) - 2];
    let missing = counted.iter().filter(|heard| !**heard).count() as u64;
    missing * 1_000_000 / counted.len() as u64
}

#[test]
fn a8_what_of_sound_is_lost_in_the_end() {
    // Gates of the acceptance table: 0.1, 0.3 and 1.2 % of sound where 5, 10 and 20 % of packets
    // are lost at random.
    for (loss, gate) in [(50, 1_000), (100, 3_000), (200, 12_000)] {
        let mut residuals: Vec<u64> = (1..=5).map(|seed| residual(seed, loss, 0)).collect();
        residuals.sort_unstable();
        eprintln!("{} %: {residuals:?} of a million", loss / 10);
        assert!(residuals[4] < gate, "{loss}: {residuals:?}");
    }
    // And where the way here loses as much, its copies bring it back.
    let both = residual(6, 100, 100);
    eprintln!("10 % twice: {both}");
    assert!(both < 6_000, "{both}");
}

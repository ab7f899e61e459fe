//! Outgoing numbers, timestamps and picture numbers, across changes of source.

use super::support::*;
use crate::units::MediaKind;

#[test]
fn numbers_run_on_over_a_re_binding() {
    let (mut room, _, section) = Room::with_picture();
    let other = room.publish(CLEO, &plan("v", MediaKind::Video));
    let mut seen = Vec::new();
    for n in 1..5 {
        room.send(ADA, &video(1, 100 + n, 10 + n, false).marker());
        room.pass(33);
        seen.extend(room.take(BOB));
    }
    room.router.bind(room.now, section, Some(other));
    room.pass(200);
    // What comes before Cleo's key frame is not shown.
    room.send(CLEO, &video(2, 9_000, 700, false).marker());
    room.send(CLEO, &video(2, 9_001, 701, true).marker());
    room.send(CLEO, &video(2, 9_002, 702, false).marker());
    seen.extend(room.take(BOB));
    let inputs: Vec<u16> = seen.iter().map(Seen::input).collect();
    assert_eq!(inputs, [101, 102, 103, 104, 9_001, 9_002]);
    for pair in seen.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert_eq!(pair[1].picture(), (pair[0].picture() + 1) & 0x7FFF);
        assert_eq!(
            pair[1].payload[4],
            pair[0].payload[4].wrapping_add(1),
            "TL0PICIDX"
        );
        assert_eq!(pair[1].ssrc, 7_000);
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!((1..100_000).contains(&step), "timestamps run on: {step}");
    }
    let switch = seen[4].timestamp.wrapping_sub(seen[3].timestamp);
    assert_eq!(switch, 233 * 90, "by the time that passed");
}

#[test]
fn a_late_packet_is_forwarded_once_and_in_its_place() {
    let (mut room, ..) = Room::with_picture();
    for n in [101, 103, 104] {
        room.send(ADA, &video(1, n, n, false).marker());
    }
    let first = room.take(BOB);
    let late = video(1, 102, 102, false).marker();
    assert!(room.send(ADA, &late).forwarded);
    assert!(room.send(ADA, &late).dropped.is_some());
    let second = room.take(BOB);
    assert_eq!(second.len(), 1);
    let base = first[0].sequence;
    let numbers: Vec<u16> = first
        .iter()
        .chain(&second)
        .map(|p| p.sequence.wrapping_sub(base))
        .collect();
    assert_eq!(numbers, [0, 2, 3, 1]);
    assert_eq!(second[0].input(), 102);
}

#[test]
fn padding_leaves_no_hole() {
    let (mut room, ..) = Room::with_picture();
    let mut seen = Vec::new();
    for n in 101..120 {
        let packet = video(1, n, n, false).marker();
        let routed = if n % 3 == 0 {
            room.send(ADA, &packet.padding_only())
        } else {
            room.send(ADA, &packet)
        };
        assert_eq!((routed.forwarded, routed.dropped), (n % 3 != 0, None));
        seen.extend(room.take(BOB));
    }
    assert_eq!(seen.len(), 13);
    for pair in seen.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
    }
    room.pass(100);
    assert!(room.rtcp(ADA).nacked.is_empty(), "padding has arrived");
}

#[test]
fn a_number_kept_for_what_turns_out_to_be_padding_is_filled() {
    let (mut room, ..) = Room::with_picture();
    for n in [101, 103] {
        room.send(ADA, &video(1, n, n, false).marker());
    }
    let seen = room.take(BOB);
    room.send(ADA, &video(1, 102, 102, false).padding_only());
    let filled = room.take(BOB);
    assert_eq!(filled.len(), 1);
    assert_eq!(filled[0].sequence, seen[0].sequence.wrapping_add(1));
    assert!(filled[0].payload.is_empty() && filled[0].padding > 0);
}

#[test]
fn what_is_lost_for_good_leaves_one_hole_and_no_number_is_used_twice() {
    let (mut room, ..) = Room::with_picture();
    let mut random = 99_u64;
    let mut chance = |of: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % of
    };
    let mut given = std::collections::BTreeMap::new();
    let mut waiting: Vec<u16> = Vec::new();
    let mut lost = 0;
    let mut sent = 0;
    for n in 101..2_101_u16 {
        match chance(10) {
            0 => lost += 1,
            1 => waiting.push(n),
            2 => {
                room.send(ADA, &video(1, n, n, false).padding_only());
            }
            _ => {
                room.send(ADA, &video(1, n, n, false).marker());
                sent += 1;
            }
        }
        if chance(3) == 0 && waiting.len() > 3 {
            room.send(ADA, &video(1, waiting.remove(0), 5, false).marker());
            sent += 1;
        }
        room.pass(1);
        for packet in room.take(BOB) {
            let before = given.insert(packet.sequence, packet.input());
            assert_eq!(before, None, "number {} twice", packet.sequence);
        }
    }
    assert_eq!(given.len(), sent);
    // In the order of their numbers, inputs are in their own order.
    let inputs: Vec<u16> = given.values().copied().collect();
    assert!(inputs.is_sorted());
    let (first, last) = (given.keys().next().unwrap(), given.keys().last().unwrap());
    let holes = usize::from(last - first) + 1 - given.len();
    assert!(holes <= lost + waiting.len(), "{holes} holes, {lost} lost");
}

#[test]
fn sound_begins_anew_with_the_marker_and_a_running_clock() {
    let mut room = Room::new();
    let plan = plan("a", MediaKind::Audio);
    let (ada, cleo) = (room.publish(ADA, &plan), room.publish(CLEO, &plan));
    let section = room.section(BOB, &plan, 500);
    room.router.bind(room.now, section, Some(ada));
    let mut seen = Vec::new();
    for n in 0..10 {
        room.send(ADA, &audio(1, n));
        room.send(CLEO, &audio(2, 30_000 + n));
        if n == 5 {
            room.router.bind(room.now, section, Some(cleo));
        }
        room.pass(20);
        seen.extend(room.take(BOB));
    }
    let markers: Vec<bool> = seen.iter().map(|packet| packet.marker).collect();
    let inputs: Vec<u16> = seen.iter().map(Seen::input).collect();
    assert_eq!(inputs.len(), 10, "{inputs:?}");
    for (n, &marker) in markers.iter().enumerate() {
        let begins = n == 0 || (inputs[n] >= 30_000 && inputs[n - 1] < 30_000);
        assert_eq!(marker, begins, "{inputs:?} {markers:?}");
    }
    for pair in seen.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), 960);
    }
}

#[test]
fn a_jump_of_the_publisher_is_one_hole() {
    let (mut room, ..) = Room::with_picture();
    room.send(ADA, &video(1, 101, 11, false).marker());
    let before = room.take(BOB);
    room.send(ADA, &video(1, 20_000, 12, true).marker());
    let after = room.take(BOB);
    assert_eq!(after[0].sequence, before[0].sequence.wrapping_add(2));
}

#[test]
fn extensions_are_the_sections_own() {
    let (mut room, ..) = Room::with_picture();
    let mut packet = video(1, 101, 11, false).marker().mid("v").rid("hi");
    packet.values.orientation = Some(1);
    packet.values.transport_sequence = Some(4_711);
    packet.values.abs_send_time = Some(1);
    packet.values.playout_delay = Some([0, 1, 2]);
    let routed = room.send(ADA, &packet);
    assert_eq!(routed.transport_sequence, Some(4_711));
    let seen = room.take(BOB).remove(0);
    assert_eq!(seen.values.mid.unwrap().as_str(), "v");
    assert_eq!((seen.values.rid, seen.values.repaired_rid), (None, None));
    assert!(seen.values.abs_send_time >= Some(0x12_3456));
    assert!(
        seen.values
            .transport_sequence
            .is_some_and(|number| number != 4_711)
    );
    assert_eq!(seen.values.playout_delay, Some([0, 1, 2]));
    room.send(ADA, &video(1, 102, 12, false).marker());
    let next = room.take(BOB).remove(0);
    assert_eq!(next.values.orientation, Some(1), "said once, kept");
}

#[test]
fn what_comes_late_and_empty_fills_its_number_in_an_old_stream_too() {
    let (mut room, ..) = Room::with_picture();
    // More than its history holds: the first page is gone.
    for n in 101..1_500 {
        room.send(ADA, &video(1, n, n, false).marker());
        assert_eq!(room.take(BOB).len(), 1);
        room.pass(3);
    }
    room.send(ADA, &video(1, 1_501, 1_501, false).marker());
    let after = room.take(BOB).remove(0).sequence;
    room.send(ADA, &video(1, 1_500, 1_500, false).padding_only());
    let filling = room.take(BOB).remove(0);
    assert_eq!(filling.sequence, after - 1);
    assert!(filling.payload.is_empty() && filling.padding > 0);
}

#[test]
fn who_loses_much_is_asked_to_hold_pictures_back_and_the_publishers_own_word_counts_more() {
    let (mut room, ..) = Room::with_picture();
    let mut said = |loss, number, own| {
        room.router.set_loss(room.now, BOB, loss);
        let mut packet = video(1, number, number, false).marker();
        packet.values.playout_delay = own;
        room.send(ADA, &packet);
        room.take(BOB).remove(0).values.playout_delay
    };
    assert_eq!(said(10, 101, None), None);
    let [high, middle, _] = said(100, 102, None).unwrap();
    let least = u16::from(high) << 4 | u16::from(middle >> 4);
    assert!((10..=45).contains(&least), "{least} times 10 ms");
    assert_eq!(said(100, 103, Some([0, 1, 2])), Some([0, 1, 2]));
}

#[test]
fn sound_that_starts_with_a_late_packet_has_no_false_hole() {
    let mut room = Room::new();
    let plan = plan("a", MediaKind::Audio);
    let track = room.publish(ADA, &plan);
    for n in [100, 101, 103, 104] {
        room.send(ADA, &audio(1, n));
        room.pass(5);
    }
    // Bob comes while 102 is on its way.
    let section = room.section(BOB, &plan, 7_000);
    room.router.bind(room.now, section, Some(track));
    for n in [102, 105] {
        room.send(ADA, &audio(1, n));
        room.pass(5);
    }
    let seen = room.take(BOB);
    let mut numbers: Vec<u16> = seen.iter().map(|packet| packet.sequence).collect();
    numbers.sort_unstable();
    let first = numbers[0];
    let whole: Vec<u16> = (0..4).map(|n| first.wrapping_add(n)).collect();
    assert_eq!(
        numbers, whole,
        "102, then 103 and 104, which belong behind it, and 105"
    );
}

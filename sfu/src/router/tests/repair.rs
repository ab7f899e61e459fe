//! NACK and RTX both ways.

use super::support::*;
use crate::error::DropReason;
use crate::units::MediaKind;

#[test]
fn a_nack_is_answered_from_the_shared_history_once_per_round_trip() {
    let (mut room, ..) = Room::with_picture();
    for n in 101..110 {
        room.send(ADA, &video(1, n, n, false).marker());
    }
    let seen = room.take(BOB);
    let lost = &seen[4];
    let ask = |room: &mut Room| {
        let now = room.now;
        room.router
            .handle_nack(now, BOB, 7_000, [lost.sequence].into_iter());
        room.take(BOB)
    };
    let answer = ask(&mut room);
    assert_eq!(answer.len(), 1);
    let repeat = &answer[0];
    assert_eq!((repeat.ssrc, repeat.payload_type), (7_001, VP8_RTX));
    assert_eq!(repeat.payload[..2], lost.sequence.to_be_bytes(), "OSN");
    assert_eq!(repeat.payload[2..], lost.payload);
    assert_eq!(
        (repeat.timestamp, repeat.marker),
        (lost.timestamp, lost.marker)
    );
    assert_eq!(repeat.values.mid, lost.values.mid);
    assert!(ask(&mut room).is_empty(), "too soon");
    // A little sooner than a round trip; and what was repeated in vain comes twice.
    room.pass(76);
    let again: Vec<_> = ask(&mut room).iter().map(|it| it.sequence).collect();
    let own_numbering = [1, 2].map(|after| repeat.sequence.wrapping_add(after));
    assert_eq!(again, own_numbering);
    for _ in 0..20 {
        room.pass(101);
        ask(&mut room);
    }
    room.pass(101);
    assert!(ask(&mut room).is_empty(), "RETRANSMISSIONS_PER_PACKET");
    let stats = room.router.take_stats();
    assert_eq!(stats.nacks_in - stats.throttled, 3);
    assert_eq!((stats.over_budget, stats.nack_storms), (0, 0));
}

#[test]
fn a_repeat_carries_the_picture_numbers_it_was_first_sent_with() {
    let (mut room, _, section) = Room::with_picture();
    let other = room.publish(CLEO, &plan("v", MediaKind::Video));
    room.send(ADA, &video(1, 101, 11, false).marker());
    let before = room.take(BOB).remove(0);
    room.router.bind(room.now, section, Some(other));
    room.send(CLEO, &video(2, 500, 900, true).marker());
    let after = room.take(BOB).remove(0);
    room.router.handle_nack(
        room.now,
        BOB,
        7_000,
        [before.sequence, after.sequence].into_iter(),
    );
    let repeats = room.take(BOB);
    assert_eq!(repeats[0].payload[2..], before.payload);
    assert_eq!(repeats[1].payload[2..], after.payload);
    assert_eq!(repeats[1].timestamp, after.timestamp);
}

/// Ada shows Bob a picture without RTX, both ways; `nack`: generic NACK is negotiated.
fn without_rtx(nack: bool) -> (Room, crate::id::SectionKey) {
    let mut room = Room::new();
    let mut without = plan("v", MediaKind::Video);
    without.payloads[0].rtx = None;
    without.payloads[0].nack = nack;
    let track = room.publish(ADA, &without);
    let section = room
        .router
        .open_section(BOB, &without, 7_000, None, &mut room.rng)
        .unwrap();
    room.router.bind(room.now, section, Some(track));
    (room, section)
}

#[test]
fn without_rtx_the_packet_itself_is_sent_again_byte_for_byte() {
    let (mut room, _) = without_rtx(true);
    let mut seen = Vec::new();
    for n in 100..110 {
        room.send(ADA, &video(1, n, n, n == 100).mid("v").marker());
        seen.extend(room.take(BOB));
        room.pass(33);
    }
    for lost in [&seen[0], &seen[9]] {
        room.router
            .handle_nack(room.now, BOB, 7_000, [lost.sequence].into_iter());
        // Header, stamps and payload alike: one SRTP index stands for one packet.
        assert_eq!(room.take(BOB).as_slice(), std::slice::from_ref(lost));
    }
    let again = crate::router::Seal::Again {
        transport_sequence: seen[9].values.transport_sequence,
    };
    assert_eq!(room.seals[room.seals.len() - 1], again);
    assert!(seen[0].values.transport_sequence.is_some());
}

#[test]
fn without_rtx_and_nack_nothing_is_sent_again() {
    let (mut room, _) = without_rtx(false);
    room.send(ADA, &video(1, 100, 10, true).mid("v").marker());
    let seen = room.take(BOB);
    room.router
        .handle_nack(room.now, BOB, 7_000, [seen[0].sequence].into_iter());
    assert!(room.take(BOB).is_empty());
    assert_eq!(room.router.take_stats().throttled, 1);
}

#[test]
fn what_would_not_come_out_the_same_is_not_sent_again() {
    let (mut room, section) = without_rtx(true);
    room.send(ADA, &video(1, 100, 10, true).mid("v").marker());
    let seen = room.take(BOB);
    // Another payload type from now on: under the same number it would be another packet.
    let mut changed = plan("v", MediaKind::Video);
    changed.payloads[0].rtx = None;
    changed.payloads[0].payload_type = 120;
    room.router.update_section(room.now, section, &changed);
    room.router
        .handle_nack(room.now, BOB, 7_000, [seen[0].sequence].into_iter());
    assert!(room.take(BOB).is_empty());
}

#[test]
fn a_publisher_without_rtx_is_asked_and_sends_the_packet_itself() {
    let (mut room, _) = without_rtx(true);
    room.send(ADA, &video(1, 100, 10, true).mid("v").marker());
    for n in [101, 103] {
        room.send(ADA, &video(1, n, n, false).marker());
    }
    let seen = room.take(BOB);
    room.pass(6);
    assert_eq!(room.rtcp(ADA).nacked, [(1, 102)]);
    let repeat = video(1, 102, 102, false).marker();
    assert!(room.send(ADA, &repeat).forwarded);
    let repaired = room.take(BOB).remove(0);
    assert_eq!(repaired.sequence, seen[1].sequence.wrapping_add(1));
    assert_eq!(repaired.input(), 102);
    let routed = room.send(ADA, &repeat);
    assert_eq!(routed.dropped, Some(DropReason::Duplicate));
    room.pass(200);
    assert!(room.rtcp(ADA).nacked.is_empty());
}

/// Ada sends `count` packets of one picture and Bob asks for all of them.
fn ask_for_all(room: &mut Room, first: u16, count: u16) -> usize {
    let mut sent = Vec::new();
    for n in first..first + count {
        room.send(ADA, &video(1, n, n, false).marker());
        sent.extend(room.take(BOB).iter().map(|seen| seen.sequence));
    }
    room.router
        .handle_nack(room.now, BOB, 7_000, sent.into_iter());
    room.take(BOB).len()
}

#[test]
fn repeats_beyond_a_quarter_of_the_path_are_refused_for_a_key_frame() {
    let (mut room, ..) = Room::with_picture();
    room.rtcp(ADA);
    room.pass(1_000);
    let estimate = crate::units::Bitrate::from_kbps(800);
    room.router.set_estimate(room.now, BOB, Some(estimate));
    // 917 bytes each; 32 KiB may be repeated at once, then 25,000 bytes a second.
    assert_eq!(ask_for_all(&mut room, 101, 60), 35);
    let stats = room.router.take_stats();
    assert_eq!((stats.nacks_in, stats.over_budget), (60, 25));
    assert_eq!(room.rtcp(ADA).plis, [1], "one mends what many would");
    room.pass(1_000);
    room.send(ADA, &video(1, 161, 161, true).marker());
    assert_eq!(room.inputs(BOB), [161]);
    assert_eq!(ask_for_all(&mut room, 162, 60), 27);
    assert!(room.rtcp(ADA).plis.is_empty(), "not for each refusal");
    room.pass(1_000);
    assert_eq!(ask_for_all(&mut room, 222, 60), 28);
    assert_eq!(room.rtcp(ADA).plis, [1]);
}

#[test]
fn where_the_path_is_not_known_a_quarter_of_what_was_sent_is_repeated() {
    let (mut room, ..) = Room::with_picture();
    let mut repeated = 0;
    for round in 0..10 {
        repeated += ask_for_all(&mut room, 101 + round * 100, 100);
        room.pass(100);
    }
    // 1,000 packets were sent, and 32 KiB were free at first.
    assert!((270..=300).contains(&repeated), "{repeated}");
    assert!(room.router.take_stats().over_budget > 0);
}

#[test]
fn a_storm_of_nacks_is_refused_by_name() {
    let (mut room, ..) = Room::with_picture();
    for _ in 0..20 {
        room.router
            .handle_nack(room.now, BOB, 7_000, (0..1_000_u16).cycle().take(6_000));
    }
    let stats = room.router.take_stats();
    assert_eq!((stats.nacks_in, stats.nack_storms), (2_048, 20));
    room.take(BOB);
    room.pass(1_000);
    assert_eq!(ask_for_all(&mut room, 101, 10), 10, "and it passes");
}

#[test]
fn what_was_never_sent_is_not_repeated() {
    let (mut room, ..) = Room::with_picture();
    room.send(ADA, &video(1, 102, 12, false).marker());
    let seen = room.take(BOB).remove(0);
    let hole = seen.sequence.wrapping_sub(1);
    let ahead = seen.sequence.wrapping_add(1);
    room.router
        .handle_nack(room.now, BOB, 7_000, [hole, ahead, 0xFFFF].into_iter());
    assert!(room.take(BOB).is_empty());
}

#[test]
fn an_incoming_retransmission_repairs_and_is_forwarded_as_the_original() {
    let (mut room, ..) = Room::with_picture();
    for n in [101, 103] {
        room.send(ADA, &video(1, n, n, false).marker());
    }
    let seen = room.take(BOB);
    room.pass(6);
    assert_eq!(room.rtcp(ADA).nacked, [(1, 102)]);
    let repeat = video(1, 102, 102, false).marker().into_rtx(55, 9);
    assert!(room.send(ADA, &repeat).forwarded);
    let repaired = room.take(BOB).remove(0);
    assert_eq!(repaired.sequence, seen[0].sequence.wrapping_add(1));
    assert_eq!((repaired.input(), repaired.ssrc), (102, 7_000));
    let routed = room.send(ADA, &repeat);
    assert_eq!(routed.dropped, Some(DropReason::Duplicate));
    room.pass(1_100);
    let reports = room.rtcp(ADA);
    assert!(reports.nacked.is_empty());
    assert_eq!(
        reports.blocks[0].packets_lost, 1,
        "repairs do not hide the loss"
    );
}

#[test]
fn an_empty_retransmission_is_a_probe() {
    let (mut room, ..) = Room::with_picture();
    let probe = video(1, 100, 10, false).into_rtx(55, 9).padding_only();
    let routed = room.send(ADA, &probe);
    assert_eq!((routed.forwarded, routed.dropped), (false, None));
}

#[test]
fn an_own_gap_is_asked_for_in_time_and_not_for_ever() {
    let (mut room, ..) = Room::with_picture();
    room.router
        .set_rtt(ADA, crate::time::Duration::from_millis(40));
    room.send(ADA, &video(1, 102, 12, false).marker());
    let mut asked = Vec::new();
    for ms in 0..1_000 {
        if !room.rtcp(ADA).nacked.is_empty() {
            asked.push(ms);
        }
        room.pass(1);
    }
    assert_eq!(asked[..3], [5, 45, 85]);
    assert_eq!(asked.len(), 10, "NACK_TRIES");
    // A key frame makes older gaps worthless.
    room.send(ADA, &video(1, 104, 14, false).marker());
    room.send(ADA, &video(1, 105, 15, true).marker());
    room.pass(10);
    assert!(room.rtcp(ADA).nacked.is_empty());
}

#[test]
fn a_great_loss_asks_for_a_key_frame_instead() {
    let (mut room, ..) = Room::with_picture();
    room.rtcp(ADA);
    room.pass(600);
    room.send(ADA, &video(1, 500, 12, false).marker());
    let reports = room.rtcp(ADA);
    assert!(reports.nacked.is_empty());
    assert_eq!(reports.plis, [1]);
}

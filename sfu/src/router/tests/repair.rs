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
    room.pass(101);
    let again = ask(&mut room);
    assert_eq!(
        again[0].sequence,
        repeat.sequence.wrapping_add(1),
        "own numbering"
    );
    for _ in 0..20 {
        room.pass(101);
        ask(&mut room);
    }
    room.pass(101);
    assert!(ask(&mut room).is_empty(), "RETRANSMISSIONS_PER_PACKET");
    let stats = room.router.take_stats();
    assert_eq!(stats.nacks_in - stats.throttled, 8);
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

#[test]
fn without_rtx_a_nack_is_not_answered() {
    let mut room = Room::new();
    let mut without = plan("v", MediaKind::Video);
    without.payloads[0].rtx = None;
    let track = room.publish(ADA, &without);
    let section = room
        .router
        .open_section(BOB, &without, 7_000, None, &mut room.rng)
        .unwrap();
    room.router.bind(room.now, section, Some(track));
    room.send(ADA, &video(1, 100, 10, true).mid("v").marker());
    let seen = room.take(BOB);
    room.router
        .handle_nack(room.now, BOB, 7_000, [seen[0].sequence].into_iter());
    assert!(
        room.take(BOB).is_empty(),
        "an SRTP index is never used twice"
    );
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

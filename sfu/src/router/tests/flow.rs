//! What leaves when: frames held and released, queues and tables at their bounds.

use super::support::*;
use crate::error::DropReason;
use crate::limits::{ENCODINGS_PER_TRACK, SSRCS_PER_TRANSPORT, TICKETS_PER_TRANSPORT};
use crate::router::RouterSizes;
use crate::units::MediaKind;
use crate::wire::payload::Codec;

#[test]
fn packets_of_a_frame_leave_together_and_at_the_latest_after_the_hold() {
    let (mut room, ..) = Room::with_picture();
    room.send(ADA, &video(1, 101, 11, false));
    room.send(ADA, &video(1, 102, 11, false));
    assert!(room.inputs(BOB).is_empty());
    room.pass(4);
    assert!(room.inputs(BOB).is_empty());
    room.send(ADA, &video(1, 103, 11, false).marker());
    assert_eq!(room.inputs(BOB), [101, 102, 103]);
    room.send(ADA, &video(1, 104, 12, false));
    assert!(room.router.poll_timeout().is_some());
    room.pass(5);
    assert_eq!(room.inputs(BOB), [104]);
}

#[test]
fn a_lone_packet_of_sound_in_an_idle_room_is_not_held() {
    let (mut room, ..) = Room::with_picture();
    let sound = plan("a", MediaKind::Audio);
    for (publisher, ssrc) in [(ADA, 500), (CLEO, 501)] {
        let track = room.publish(publisher, &sound);
        let section = room.section(BOB, &sound, ssrc);
        room.router.bind(room.now, section, Some(track));
    }
    room.send(ADA, &audio(3, 1).mid("a"));
    assert!(room.inputs(BOB).is_empty());
    room.router.release_lone(room.now);
    assert_eq!(room.inputs(BOB), [1]);
    room.send(ADA, &audio(3, 2).mid("a"));
    room.send(CLEO, &audio(4, 7).mid("a"));
    room.router.release_lone(room.now);
    assert!(room.inputs(BOB).is_empty(), "two may leave together");
    room.pass(1);
    assert_eq!(room.inputs(BOB), [2, 7]);
}

#[test]
fn the_first_packet_of_a_picture_waits_for_the_others_in_an_idle_room_too() {
    let (mut room, ..) = Room::with_picture();
    room.send(ADA, &video(1, 101, 11, false));
    room.router.release_lone(room.now);
    assert!(room.inputs(BOB).is_empty());
    room.send(ADA, &video(1, 102, 11, false).marker());
    assert_eq!(room.inputs(BOB), [101, 102]);
}

#[test]
fn a_frame_of_nearly_equal_packets_leaves_as_equal_ones_and_is_repeated_as_it_came() {
    let (mut room, ..) = Room::with_picture();
    let longer = |mut packet: Packet, by: usize| {
        packet.payload.extend(vec![9; by]);
        packet
    };
    room.send(ADA, &video(1, 101, 11, false));
    room.send(ADA, &longer(video(1, 102, 11, false), 1));
    room.send(ADA, &longer(video(1, 103, 11, false), 1).marker());
    let seen = room.take(BOB);
    let paddings: Vec<usize> = seen.iter().map(|packet| packet.padding).collect();
    assert_eq!(paddings, [1, 0, 0]);
    let lengths = seen.iter().map(|one| one.payload.len() + one.padding);
    let lengths: Vec<usize> = lengths.collect();
    assert_eq!(lengths, [lengths[1]; 3]);
    assert_eq!(
        seen[0].payload.len() + 1,
        seen[1].payload.len(),
        "padding is no payload"
    );
}

#[test]
fn disorder_within_a_frame_is_mended() {
    let (mut room, ..) = Room::with_picture();
    for n in [103, 101, 102] {
        room.send(ADA, &video(1, n, 11, false));
    }
    room.send(ADA, &video(1, 104, 11, false).marker());
    assert_eq!(room.inputs(BOB), [101, 102, 103, 104]);
}

#[test]
fn mute_ends_at_ingress_and_unmute_starts_at_a_key_frame() {
    let (mut room, track, _) = Room::with_picture();
    room.router
        .set_muted(room.now, track, true, &mut room.pages);
    for n in 101..110 {
        let routed = room.send(ADA, &video(1, n, n, n == 105).marker());
        assert_eq!(routed.dropped, Some(DropReason::Muted));
    }
    assert!(room.inputs(BOB).is_empty());
    assert!(room.rtcp(ADA).plis.is_empty());
    room.pass(600);
    room.router
        .set_muted(room.now, track, false, &mut room.pages);
    assert_eq!(room.rtcp(ADA).plis, [1]);
    room.send(ADA, &video(1, 110, 110, false).marker());
    room.send(ADA, &video(1, 111, 111, true).marker());
    assert_eq!(room.inputs(BOB), [111]);
    room.router
        .set_forbidden(room.now, track, true, &mut room.pages);
    room.router
        .set_muted(room.now, track, true, &mut room.pages);
    room.router
        .set_muted(room.now, track, false, &mut room.pages);
    let routed = room.send(ADA, &video(1, 112, 112, true).marker());
    assert_eq!(routed.dropped, Some(DropReason::Muted));
}

#[test]
fn payload_types_in_turn_change_the_format_twice_a_second_at_most() {
    let mut room = Room::new();
    let mut both = plan("a", MediaKind::Audio);
    both.payloads.push(payload(0, None, Codec::Pcmu));
    room.publish(ADA, &both);
    let mut changes = 0;
    for n in 0..1_000 {
        let mut packet = audio(1, n).mid("a");
        packet.header.payload_type = if n % 2 == 0 { 0 } else { OPUS };
        room.send(ADA, &packet);
        room.pass(1);
        changes += u32::from(room.router.poll_track_change().is_some());
    }
    assert!((1..=3).contains(&changes), "{changes}");
}

#[test]
fn a_full_queue_drops_the_oldest_picture_and_sound_gets_through() {
    let (mut room, ..) = Room::with_picture();
    let sound = plan("a", MediaKind::Audio);
    let track = room.publish(CLEO, &sound);
    let section = room.section(BOB, &sound, 500);
    room.router.bind(room.now, section, Some(track));
    room.send(CLEO, &audio(2, 1));
    room.pass(1);
    let surplus = 10;
    for n in 0..(TICKETS_PER_TRANSPORT as u16 + surplus) {
        room.send(ADA, &video(1, 101 + n, 11, false).marker());
        room.router.ready(room.now);
    }
    assert_eq!(room.router.sizes().tickets, TICKETS_PER_TRANSPORT);
    assert_eq!(room.router.take_stats().queue_full, u64::from(surplus) + 1);
    let inputs = room.inputs(BOB);
    assert_eq!(inputs[0], 1, "sound first");
    assert!(inputs[1] > 101 + surplus);
    assert_eq!(room.router.sizes().tickets, 0);
}

#[test]
fn ssrcs_and_encodings_are_learned_up_to_their_bounds() {
    let mut room = Room::new();
    let mut simulcast = plan("v", MediaKind::Video);
    let names = ["a", "b", "c", "d", "e"];
    simulcast.rids = names.map(|rid| crate::id::Rid::new(rid).unwrap()).to_vec();
    room.publish(ADA, &simulcast);
    for (n, rid) in names.into_iter().enumerate() {
        let packet = video(n as u32, 1, 1, true).mid("v").rid(rid);
        let limit = n >= ENCODINGS_PER_TRACK;
        let expected = limit.then_some(DropReason::LimitReached);
        assert_eq!(room.send(ADA, &packet).dropped, expected);
    }
    let unknown = room.send(ADA, &video(90, 1, 1, true).mid("v").rid("z"));
    assert_eq!(unknown.dropped, Some(DropReason::UnknownTrack));
    let unknown = room.send(ADA, &video(91, 1, 1, true).mid("w"));
    assert_eq!(unknown.dropped, Some(DropReason::UnknownTrack));
    for n in 0..100 {
        let mut repair = video(1, 1, 1, true).mid("v").into_rtx(1_000 + n, 1);
        repair.values.repaired_rid = crate::id::Rid::new("a");
        // Four streams and their repairs.
        let full = ENCODINGS_PER_TRACK + n as usize >= SSRCS_PER_TRANSPORT;
        let expected = if full {
            DropReason::LimitReached
        } else {
            DropReason::Duplicate
        };
        assert_eq!(room.send(ADA, &repair).dropped, Some(expected), "{n}");
    }
}

#[test]
fn a_changed_ssrc_goes_on_in_the_same_place() {
    let (mut room, ..) = Room::with_picture();
    room.send(ADA, &video(2, 40_000, 500, false).marker());
    room.send(ADA, &video(2, 40_001, 501, true).marker());
    assert_eq!(room.inputs(BOB), [40_001]);
    assert_eq!(room.router.sizes().encodings, 1);
}

#[test]
fn declared_ssrcs_need_no_mid_and_a_new_declaration_replaces_the_old() {
    let mut room = Room::new();
    let mut declared = plan("v", MediaKind::Video);
    declared.ssrcs = vec![(10, Some(20))];
    let track = room.publish(ADA, &declared);
    let section = room.section(BOB, &declared, 7_000);
    room.router.bind(room.now, section, Some(track));
    assert_eq!(
        room.send(ADA, &video(10, 99, 9, true).into_rtx(20, 1))
            .dropped,
        Some(DropReason::UnknownTrack)
    );
    for (n, ssrc) in (10..18).enumerate() {
        declared.ssrcs = vec![(ssrc, Some(ssrc + 10))];
        room.router
            .update_track(room.now, track, &declared, &mut room.pages);
        let first = 100 * (n as u16 + 1);
        room.send(ADA, &video(ssrc, first, 10, true).marker());
        room.send(ADA, &video(ssrc, first + 2, 12, false).marker());
        let repeat = video(ssrc, first + 1, 11, false).marker();
        assert!(room.send(ADA, &repeat.into_rtx(ssrc + 10, 1)).forwarded);
        assert_eq!(room.inputs(BOB), [first, first + 2, first + 1]);
    }
    assert_eq!(room.router.sizes().encodings, 1);
}

#[test]
fn everything_is_freed_when_a_member_leaves() {
    let (mut room, ..) = Room::with_picture();
    let video_plan = plan("v", MediaKind::Video);
    let bobs = room.publish(BOB, &video_plan);
    let section = room.section(ADA, &video_plan, 9_000);
    room.router.bind(room.now, section, Some(bobs));
    for n in 0..2_000 {
        room.send(ADA, &video(1, 101 + n, 11 + n, false).marker());
        room.send(BOB, &video(5, 101 + n, 11 + n, n == 0).marker());
        room.pass(1);
    }
    assert!(room.pages.in_use() > 20 && room.router.sizes().tickets > 0);
    room.router.remove_member(room.now, ADA, &mut room.pages);
    let left = room.router.sizes();
    assert_eq!((left.tracks, left.encodings, left.sections), (1, 1, 1));
    assert!(
        room.take(BOB).is_empty(),
        "tickets of what is gone are void"
    );
    for member in [BOB, CLEO] {
        room.router.remove_member(room.now, member, &mut room.pages);
    }
    assert_eq!(room.router.sizes(), RouterSizes::default());
    assert_eq!(room.pages.in_use(), 0);
    room.pass(1_000);
    assert_eq!(room.router.poll_timeout(), None, "nothing is due any more");
}

#[test]
fn closing_frees_all_at_once() {
    let (mut room, ..) = Room::with_picture();
    room.router.close(&mut room.pages);
    assert_eq!(room.pages.in_use(), 0);
    assert_eq!(room.router.sizes(), RouterSizes::default());
}

#[test]
fn nothing_piles_up_for_one_who_cannot_receive_yet() {
    let (mut room, track, _) = Room::with_picture();
    let section = room.section(CLEO, &plan("v", MediaKind::Video), 8_000);
    room.router.set_receiving(room.now, CLEO, false);
    room.router.bind(room.now, section, Some(track));
    room.rtcp(ADA);
    room.send(ADA, &video(1, 101, 11, true).marker());
    assert_eq!(room.inputs(BOB), [101]);
    assert_eq!(room.router.sizes().tickets, 0);
    room.pass(1_000);
    room.router.set_receiving(room.now, CLEO, true);
    assert_eq!(room.rtcp(ADA).plis, [1]);
    room.send(ADA, &video(1, 102, 12, true).marker());
    assert_eq!(room.inputs(CLEO), [102]);
}

#[test]
fn any_bytes_are_refused_or_taken_but_never_a_panic() {
    let (mut room, ..) = Room::with_picture();
    let mut random = 5_u64;
    for _ in 0..20_000 {
        let mut bytes = video(1, 101, 11, true).mid("v").bytes();
        for _ in 0..4 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let at = (random >> 33) as usize % 60;
            bytes[at] = (random >> 24) as u8;
        }
        bytes.truncate((random >> 40) as usize % 940);
        let _ = room
            .router
            .route(room.now, room.now, ADA, &bytes, &mut room.pages);
        room.pass(1);
        room.take(BOB);
        room.rtcp(ADA);
    }
}

#[test]
fn ssrcs_of_an_ended_track_are_given_back() {
    let (mut room, track, _) = Room::with_picture();
    assert_eq!(room.router.poll_forgotten(), None);
    room.router.unpublish(room.now, track, &mut room.pages);
    let forgotten: Vec<_> = std::iter::from_fn(|| room.router.poll_forgotten()).collect();
    assert!(forgotten.contains(&(ADA, 1)), "{forgotten:?}");
    assert!(forgotten.iter().all(|(member, _)| *member == ADA));
}

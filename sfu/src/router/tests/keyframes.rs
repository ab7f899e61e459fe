//! Who asks for a picture, and when.

use super::support::*;
use crate::units::MediaKind;
use crate::wire::payload::Codec;

#[test]
fn requests_of_many_are_gathered() {
    let (mut room, track, _) = Room::with_picture();
    room.rtcp(ADA);
    room.pass(1_000);
    let section = room.section(CLEO, &plan("v", MediaKind::Video), 8_000);
    room.router.bind(room.now, section, Some(track));
    let mut plis = 0;
    for _ in 0..400 {
        room.router.handle_keyframe_request(room.now, BOB, 7_000);
        room.router.handle_keyframe_request(room.now, CLEO, 8_000);
        plis += room.rtcp(ADA).plis.len();
        room.pass(1);
    }
    assert_eq!(plis, 2);
    assert_eq!(room.router.take_stats().keyframe_requests_in, 800);
}

#[test]
fn a_late_joiner_gets_a_picture_from_the_key_frame_that_is_asked_at_once() {
    let (mut room, track, _) = Room::with_picture();
    room.rtcp(ADA);
    room.pass(2_000);
    let section = room.section(CLEO, &plan("v", MediaKind::Video), 8_000);
    room.router.bind(room.now, section, Some(track));
    assert_eq!(room.rtcp(ADA).plis, [1]);
    room.send(ADA, &video(1, 101, 11, false).marker());
    room.send(ADA, &video(1, 102, 12, true));
    room.send(ADA, &video(1, 103, 12, false).marker());
    assert_eq!(room.inputs(CLEO), [102, 103]);
    assert_eq!(room.inputs(BOB), [101, 102, 103]);
    room.pass(2_000);
    assert!(room.rtcp(ADA).plis.is_empty(), "the wait is over");
}

#[test]
fn asking_goes_on_until_a_key_frame_arrives_or_nobody_waits() {
    let (mut room, track, section) = Room::with_picture();
    room.router.request_keyframe(room.now, track);
    let count = |room: &mut Room, ms: u64| {
        let mut plis = 0;
        for _ in 0..ms {
            plis += room.rtcp(ADA).plis.len();
            room.pass(1);
        }
        plis
    };
    assert_eq!(count(&mut room, 1_990), 7);
    room.router.bind(room.now, section, None);
    assert_eq!(count(&mut room, 1_990), 0);
}

#[test]
fn pause_and_resume_start_at_a_key_frame() {
    let (mut room, _, section) = Room::with_picture();
    room.rtcp(ADA);
    room.router.set_paused(room.now, section, true);
    room.send(ADA, &video(1, 101, 11, false).marker());
    assert!(room.take(BOB).is_empty());
    room.pass(1_000);
    room.router.set_paused(room.now, section, false);
    assert_eq!(room.rtcp(ADA).plis, [1]);
    room.send(ADA, &video(1, 102, 12, false).marker());
    room.send(ADA, &video(1, 103, 13, true).marker());
    assert_eq!(room.inputs(BOB), [103]);
}

#[test]
fn a_key_frame_whose_first_packet_comes_late_is_shown_whole() {
    let mut room = Room::new();
    let plan = plan("v", MediaKind::Video);
    let track = room.publish(ADA, &plan);
    let section = room.section(BOB, &plan, 7_000);
    room.router.bind(room.now, section, Some(track));
    room.send(ADA, &video(1, 99, 9, false).marker());
    room.send(ADA, &video(1, 101, 10, false));
    room.send(ADA, &video(1, 102, 10, false).marker());
    assert!(room.inputs(BOB).is_empty());
    room.send(ADA, &video(1, 100, 10, true));
    let seen = room.take(BOB);
    let inputs: Vec<u16> = seen.iter().map(Seen::input).collect();
    assert_eq!(inputs, [100, 101, 102]);
    assert_eq!(seen[2].sequence.wrapping_sub(seen[0].sequence), 2);
}

#[test]
fn the_highest_encoding_is_shown_from_its_key_frame_on() {
    let mut room = Room::new();
    let mut simulcast = plan("v", MediaKind::Video);
    simulcast.rids = ["q", "f"]
        .map(|rid| crate::id::Rid::new(rid).unwrap())
        .to_vec();
    let track = room.publish(ADA, &simulcast);
    let section = room.section(BOB, &plan("v", MediaKind::Video), 7_000);
    room.router.bind(room.now, section, Some(track));
    let mut seen = Vec::new();
    let mut asked = Vec::new();
    for n in 0..60_u16 {
        let key = n == 0;
        let low = video(11, 100 + n, 10 + n, key).mid("v").rid("q").marker();
        room.send(ADA, &low);
        for packet in 0..3 {
            let key = (n == 0 || n == 40) && packet == 0;
            let mut high = video(22, 5_000 + n * 3 + packet, 300 + n, key)
                .mid("v")
                .rid("f");
            high.header.marker = packet == 2;
            room.send(ADA, &high);
        }
        room.pass(33);
        asked.extend(room.rtcp(ADA).plis);
        seen.extend(room.take(BOB));
    }
    assert!(asked.contains(&22), "{asked:?}");
    let switch = seen
        .iter()
        .position(|packet| packet.input() >= 5_000)
        .unwrap();
    assert_eq!(seen[switch].input(), 5_000 + 40 * 3);
    assert!(seen[switch..].iter().all(|packet| packet.input() >= 5_000));
    for pair in seen.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert!(pair[1].timestamp.wrapping_sub(pair[0].timestamp) < 90_000);
    }
    assert_eq!(room.router.sizes().encodings, 2);
}

#[test]
fn a_rung_that_says_bye_gives_way_at_once_and_may_come_back() {
    let mut room = Room::new();
    let mut simulcast = plan("v", MediaKind::Video);
    simulcast.rids = ["q", "f"]
        .map(|rid| crate::id::Rid::new(rid).unwrap())
        .to_vec();
    let track = room.publish(ADA, &simulcast);
    let section = room.section(BOB, &plan("v", MediaKind::Video), 7_000);
    room.router.bind(room.now, section, Some(track));
    for n in 0..60_u16 {
        room.send(ADA, &video(11, n, n, n == 0).mid("v").rid("q").marker());
        for packet in 0..3 {
            let high = video(22, 5_000 + n * 3 + packet, n, packet == 0);
            room.send(ADA, &high.mid("v").rid("f").marker());
        }
        room.pass(33);
        room.rtcp(ADA);
    }
    assert_eq!(room.inputs(BOB).last(), Some(&5_179));
    room.router.handle_bye(room.now, ADA, 22, &mut room.pages);
    assert_eq!(room.rtcp(ADA).plis, [11], "nobody else would ask");
    room.send(ADA, &video(11, 60, 60, true).marker());
    assert_eq!(room.inputs(BOB), [60]);
    // Acknowledged long ago, a browser says mid and rid no more.
    let again = room.send(ADA, &video(22, 5_180, 90, true).marker());
    assert_eq!((again.forwarded, again.dropped), (true, None));
}

#[test]
fn an_h264_picture_waits_for_its_parameters() {
    let mut room = Room::new();
    let mut plan = plan("v", MediaKind::Video);
    plan.payloads = vec![payload(102, Some(103), Codec::H264)];
    let track = room.publish(ADA, &plan);
    let section = room.section(BOB, &plan, 7_000);
    room.router.bind(room.now, section, Some(track));
    // One unit in a packet: header, then a first macroblock number of 0.
    let unit = |sequence: u16, picture: u16, header: u8| {
        let mut packet = video(1, sequence, picture, false);
        packet.header.payload_type = 102;
        // Behind it stands what the sender put there to be known by.
        packet.payload.splice(..2, [header, 0x88]);
        packet
    };
    let (parameters, key, other) = (0x67, 0x65, 0x41);
    room.send(ADA, &unit(100, 10, other).marker());
    // The parameters (101) are late: the picture goes behind them.
    room.send(ADA, &unit(102, 11, key).marker());
    assert!(room.inputs(BOB).is_empty());
    room.pass(40);
    assert_eq!(room.rtcp(ADA).nacked, [(1, 101)]);
    room.send(ADA, &unit(101, 11, parameters));
    assert_eq!(room.inputs(BOB), [101, 102]);
    room.send(ADA, &unit(103, 12, other).marker());
    assert_eq!(room.inputs(BOB), [103]);
    // A sender of bare pictures is shown from the second one on.
    room.router.set_paused(room.now, section, true);
    room.router.set_paused(room.now, section, false);
    room.send(ADA, &unit(104, 13, key).marker());
    room.send(ADA, &unit(105, 14, key).marker());
    assert_eq!(room.inputs(BOB), [105]);
}

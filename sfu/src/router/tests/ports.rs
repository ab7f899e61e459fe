//! Plaintext doors: what goes through, what happens when one is full.

use super::support::*;
use crate::id::PortId;
use crate::limits::{PORT_QUEUE_BYTES, PORTS_PER_ROOM};
use crate::router::Router;
use crate::wire::port::{PortEncoding, PortMessage};

const PORT: PortId = PortId(3);

/// Asks for every encoding of a track.
fn want(room: &mut Room, track: crate::id::TrackKey, mask: u8) {
    let track = room.router.track(track).unwrap().id();
    let message = PortMessage::EncodingsWanted { track, mask };
    let Room {
        router, pages, now, ..
    } = room;
    router.handle_port(*now, PORT, &message, pages).unwrap();
}

/// Calls `see` with each message that has come through.
fn drain(router: &mut Router, mut see: impl FnMut(PortMessage<'_>)) {
    let mut out = [0; 2_000];
    while let Some(len) = router.poll_port(PORT, &mut out) {
        see(PortMessage::decode(&out[..len]).unwrap());
    }
}

#[test]
fn media_goes_through_a_port_and_a_request_comes_back() {
    let (mut room, track, _) = Room::with_picture();
    room.rtcp(ADA);
    room.pass(1_000);
    room.router.open_port(PORT).unwrap();
    room.router.open_port(PORT).unwrap();
    room.send(ADA, &video(1, 101, 11, false).marker());
    assert_eq!(
        room.router.poll_port(PORT, &mut [0; 2_000]),
        None,
        "nothing is wanted yet"
    );
    want(&mut room, track, 1);
    assert_eq!(room.rtcp(ADA).plis, [1]);
    room.send(ADA, &video(1, 103, 13, true).marker());
    room.send(ADA, &video(1, 102, 12, false).marker());
    let mut sequences = Vec::new();
    let mut started = None;
    drain(&mut room.router, |message| match message {
        PortMessage::EncodingStarted { encoding, rung, .. } => started = Some((encoding, rung)),
        PortMessage::Media(media) => {
            assert_eq!(media.payload.len(), 917);
            sequences.push(media.sequence & 0xFFFF);
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(started, Some((PortEncoding(0), 0)));
    assert_eq!(sequences, [103, 102], "as they come, repaired ones too");
    room.pass(1_000);
    let wanted = PortMessage::KeyframeWanted {
        encoding: PortEncoding(0),
    };
    let Room {
        router, pages, now, ..
    } = &mut room;
    router.handle_port(*now, PORT, &wanted, pages).unwrap();
    assert_eq!(room.rtcp(ADA).plis, [1]);
    want(&mut room, track, 0);
    let mut ended = 0;
    drain(&mut room.router, |message| {
        ended += u32::from(matches!(message, PortMessage::EncodingEnded { .. }));
    });
    assert_eq!(ended, 1);
    room.router.close_port(PORT);
    assert_eq!(room.router.sizes().ports, 0);
}

#[test]
fn a_full_port_drops_says_so_and_asks_for_a_key_frame() {
    let (mut room, track, _) = Room::with_picture();
    room.router.open_port(PORT).unwrap();
    want(&mut room, track, 1);
    room.rtcp(ADA);
    let packets = u16::try_from(PORT_QUEUE_BYTES / 900 + 100).unwrap();
    for n in 0..packets {
        room.send(ADA, &video(1, 101 + n, 11, n == 0).marker());
        room.take(BOB);
        room.pass(1);
    }
    assert_eq!(room.rtcp(ADA).plis, [1]);
    let (mut media, mut gaps) = (0, Vec::new());
    let mut count = |message: PortMessage<'_>| match message {
        PortMessage::Media(_) => media += 1,
        PortMessage::Gap { messages } => gaps.push(messages),
        _ => {}
    };
    drain(&mut room.router, &mut count);
    room.send(ADA, &video(1, 101 + packets, 12, false).marker());
    drain(&mut room.router, &mut count);
    assert_eq!(gaps.len(), 1);
    assert_eq!(media + gaps[0], u32::from(packets) + 1);
}

#[test]
fn ports_are_bounded() {
    let mut room = Room::new();
    for n in 0..PORTS_PER_ROOM as u64 {
        assert!(room.router.open_port(PortId(n)).is_ok());
    }
    assert!(room.router.open_port(PortId(99)).is_err());
}

//! What is written is read back, and nothing else.

use super::*;
use sfu::wire::payload::{Codec, describe, heights};

const CODECS: [(VideoCodec, Codec); 4] = [
    (VideoCodec::Vp8, Codec::Vp8),
    (VideoCodec::Vp9, Codec::Vp9),
    (VideoCodec::H264, Codec::H264),
    (VideoCodec::Av1, Codec::Av1),
];

fn stamp(packet: u16, keyframe: bool) -> Stamp {
    Stamp {
        sender: 7,
        track: 1,
        unit: Unit {
            height: 180,
            leans: [u8::from(!keyframe), 0, 0],
            ..Unit::default()
        },
        keyframe,
        frame: 0x0102_0304,
        packet,
        packets: 3,
        sent_at: Instant::from_micros(0x1_2345_6789),
    }
}

/// In the middle of three spatial and three temporal layers.
fn layered(packet: u16, keyframe: bool) -> Stamp {
    let plain = stamp(packet, keyframe);
    let unit = Unit {
        layer: Layer {
            spatial: 1,
            temporal: 2 * u8::from(!keyframe),
        },
        spatial_layers: 3,
        leans_below: true,
        is_switch: !keyframe,
        ..plain.unit
    };
    Stamp { unit, ..plain }
}

#[test]
fn what_is_written_is_read_back() {
    for length in [0, 60, 120, 1_100] {
        let audio = stamp(0, true);
        assert_eq!(read_audio(&write_audio(&audio, length)), Ok(audio));
        for (packet, keyframe) in [(0, true), (0, false), (1, true), (2, true), (2, false)] {
            for (codec, _) in CODECS {
                for stamp in [stamp(packet, keyframe), layered(packet, keyframe)] {
                    let is_numbered = codec.tells_layers();
                    let has_base = codec == VideoCodec::Vp9 || stamp.unit.spatial_layers > 0;
                    let numbers = Numbers {
                        picture: if is_numbered { 0x7abc } else { 0 },
                        base_layer: if is_numbered && has_base { 9 } else { 0 },
                    };
                    let payload = write_video(codec, &stamp, numbers, length);
                    let read = VideoPacket {
                        codec,
                        stamp,
                        numbers,
                    };
                    assert_eq!(read_video(codec, &payload), Ok(read));
                }
            }
        }
    }
}

#[test]
fn one_flipped_bit_is_seen_wherever_it_is_unless_it_is_of_a_picture_number() {
    let numbers = |codec, is_layered| match (codec, is_layered) {
        (VideoCodec::Vp8, false) => 17..32,
        (VideoCodec::Vp8, true) => 17..40,
        (VideoCodec::Vp9, _) => 9..24,
        (VideoCodec::H264 | VideoCodec::Av1, _) => 0..0,
    };
    for (codec, _) in CODECS {
        for (stamp, is_layered) in [(stamp(0, true), false), (layered(0, false), true)] {
            let payload = write_video(codec, &stamp, Numbers::default(), 200);
            for bit in 0..payload.len() * 8 {
                let mut damaged = payload.clone();
                damaged[bit / 8] ^= 0x80 >> (bit % 8);
                let is_base = codec == VideoCodec::Vp9 && (32..40).contains(&bit);
                let may_change = numbers(codec, is_layered).contains(&bit) || is_base;
                let read = read_video(codec, &damaged).is_ok();
                assert_eq!(read, may_change, "{codec:?} bit {bit}");
            }
        }
    }
}

#[test]
fn a_cut_packet_is_refused() {
    for (codec, _) in CODECS {
        let payload = write_video(codec, &stamp(0, true), Numbers::default(), 0);
        for length in 0..payload.len() {
            assert!(read_video(codec, &payload[..length]).is_err(), "{length}");
        }
    }
}

#[test]
fn the_server_takes_the_headers_for_what_they_are() {
    for (ours, theirs) in CODECS {
        for keyframe in [true, false] {
            let payload = write_video(ours, &stamp(0, keyframe), Numbers::default(), 100);
            let facts = describe(theirs, &payload);
            assert_eq!(
                (facts.keyframe, facts.starts_frame),
                (keyframe, true),
                "{ours:?}"
            );
            let payload = write_video(ours, &stamp(2, keyframe), Numbers::default(), 100);
            let facts = describe(theirs, &payload);
            assert_eq!(
                (facts.keyframe, facts.starts_frame),
                (false, false),
                "{ours:?}"
            );
        }
        let tells = ours.tells_layers();
        let payload = write_video(ours, &layered(0, false), Numbers::default(), 100);
        let spatial = u8::from(ours == VideoCodec::Vp9);
        let temporal = if tells { 2 } else { 0 };
        assert_eq!(
            describe(theirs, &payload).layer,
            Layer { spatial, temporal }
        );
        let payload = write_video(ours, &stamp(0, true), Numbers::default(), 100);
        let told = heights(theirs, &payload);
        assert_eq!(told.first().copied(), tells.then_some(180), "{ours:?}");
    }
}

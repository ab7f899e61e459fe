//! Each law, told of one thing that breaks it, and of the same thing done right.

use super::*;
use crate::media::Stamp;
use crate::media::{Numbers, Unit, VideoCodec, VideoPacket};
use crate::robot::reception::Packet;
use sfu::units::Layer;
use support::*;

/// One thing the laws can be told.
#[derive(Clone, Copy)]
enum Told {
    Media(RtpSeen),
    Report(u32),
    Decrypted(Observed),
    Sizes(TableSizes),
    Stats(u64, u64, u64),
    Left,
    Later,
    Rest,
    End(TableSizes),
}
use Told::{Decrypted, End, Later, Left, Media, Report, Rest, Sizes, Stats};

#[track_caller]
fn check(told: &[Told], broken: Option<Law>) {
    let mut laws = Laws::default();
    laws.handle_join(0, 7);
    laws.handle_join(1, 7);
    laws.handle_join(2, 8);
    laws.handle_description(0, "v=0\r\na=ssrc-group:FID 100 101\r\n");
    laws.handle_check(0, ADDRESS, true);
    let mut now = Instant::ZERO;
    for told in told {
        match told {
            Media(packet) => laws.handle_departure(now, ADDRESS, &Seen::Rtp(*packet)),
            Report(index) => laws.handle_departure(
                now,
                ADDRESS,
                &Seen::Rtcp {
                    ssrc: 9,
                    index: *index,
                },
            ),
            Decrypted(observed) => laws.handle_observed(now, 0, observed),
            Sizes(sizes) => laws.handle_sizes(now, sizes, (1, 1)),
            Stats(into, forwarded, out) => {
                let stats = ShardStats {
                    datagrams_in: *into,
                    forwarded: *forwarded,
                    datagrams_out: *out,
                    ..ShardStats::default()
                };
                laws.handle_stats(now, &stats, (3, 5));
            }
            Left => laws.handle_left(now, 0),
            Later => now += Duration::from_secs(1),
            Rest => laws.handle_rest(now),
            End(sizes) => laws.handle_end(now, sizes),
        }
    }
    assert_eq!(
        laws.violations().first().map(|it| it.law),
        broken,
        "{:?}",
        laws.violations()
    );
}

#[test]
fn an_index_is_used_for_one_packet() {
    check(&[Media(rtp(100, 5, 0, 1)), Media(rtp(100, 6, 0, 2))], None);
    check(&[Media(rtp(100, 5, 0, 1)), Media(rtp(100, 5, 0, 1))], None);
    check(
        &[Media(rtp(100, 5, 0, 1)), Media(rtp(100, 5, 0, 2))],
        Some(Law::IndexOnce),
    );
    check(&[Report(1), Report(2)], None);
    check(&[Report(2), Report(2)], Some(Law::ReportIndexOnce));
}

#[test]
fn numbers_have_holes_only_where_upstream_lost_packets() {
    let whole = [
        Media(rtp(100, 5, 0, 1)),
        Media(rtp(100, 6, 0, 2)),
        Decrypted(audio(100, 6)),
    ];
    check(&whole, None);
    let hole = [
        Media(rtp(100, 5, 0, 1)),
        Media(rtp(100, 7, 0, 2)),
        Decrypted(audio(100, 7)),
    ];
    check(&hole, None);
    check(
        &[&hole[..], &[Later, Decrypted(audio(100, 7))]].concat(),
        Some(Law::Gapless),
    );
    check(
        &[Media(rtp(101, 5, 0, 1)), Media(rtp(101, 7, 0, 2))],
        Some(Law::Gapless),
    );

    let mut laws = Laws::default();
    laws.handle_join(0, 7);
    laws.handle_join(1, 7);
    laws.handle_check(0, ADDRESS, true);
    for sequence in 1..=3 {
        laws.handle_published((1, 0), &rtp(50, sequence, 0, 1));
    }
    laws.handle_delivered((1, 0), &rtp(50, 1, 0, 1));
    laws.handle_delivered((1, 0), &rtp(50, 3, 0, 1));
    laws.handle_departure(Instant::ZERO, ADDRESS, &Seen::Rtp(rtp(100, 5, 0, 1)));
    laws.handle_departure(Instant::ZERO, ADDRESS, &Seen::Rtp(rtp(100, 7, 0, 2)));
    laws.handle_observed(Instant::ZERO, 0, &audio(100, 7));
    assert_eq!(laws.violations(), []);
    laws.handle_departure(Instant::ZERO, ADDRESS, &Seen::Rtp(rtp(100, 9, 0, 3)));
    laws.handle_cut(0, true);
    laws.handle_departure(Instant::ZERO, ADDRESS, &Seen::Rtp(rtp(100, 11, 0, 4)));
    laws.handle_rest(Instant::ZERO);
    assert_eq!(laws.violations(), [], "who is cut off cannot tell");
    laws.handle_cut(0, false);
    laws.handle_departure(Instant::ZERO, ADDRESS, &Seen::Rtp(rtp(100, 13, 0, 5)));
    laws.handle_departure(Instant::ZERO, ADDRESS, &Seen::Rtp(rtp(100, 15, 0, 6)));
    laws.handle_rest(Instant::ZERO);
    assert_eq!(
        laws.violations().first().map(|it| it.law),
        Some(Law::Gapless)
    );
}

#[test]
fn media_time_runs_forward_except_for_late_packets() {
    check(
        &[
            Media(rtp(100, 5, 90, 1)),
            Media(rtp(100, 6, 90, 2)),
            Media(rtp(100, 7, 180, 3)),
        ],
        None,
    );
    check(
        &[Media(rtp(100, 5, u32::MAX, 1)), Media(rtp(100, 6, 89, 2))],
        None,
    );
    check(&[Media(rtp(100, 7, 90, 1)), Media(rtp(100, 6, 0, 2))], None);
    check(
        &[Media(rtp(100, 5, 90, 1)), Media(rtp(100, 6, 89, 2))],
        Some(Law::TimeForward),
    );
    // Retransmissions carry the times of what they repeat.
    check(&[Media(rtp(101, 5, 90, 1)), Media(rtp(101, 6, 0, 2))], None);
}

#[test]
fn consecutive_numbers_can_be_decoded() {
    let play = |stamps: &[(u32, u16, bool)], broken| {
        let packets = stamps.iter().map(|&(frame, packet, keyframe)| Stamp {
            frame,
            packet,
            keyframe,
            unit: chain(keyframe),
            packets: 2,
            ..STAMP
        });
        check(&shown(packets), broken);
    };
    play(
        &[(3, 0, true), (3, 1, true), (4, 0, false), (4, 1, false)],
        None,
    );
    play(&[(3, 0, false), (3, 1, false)], Some(Law::Decodable));
    // What it leans on was not sent.
    play(
        &[(3, 0, true), (3, 1, true), (5, 0, false)],
        Some(Law::Decodable),
    );
    play(&[(3, 0, true), (3, 1, true), (9, 0, true)], None);
    // The end of a frame was not sent.
    play(&[(3, 0, true), (4, 0, false)], Some(Law::Decodable));
}

/// A frame of one packet: (encoding, number, temporal layer, key picture, what it leans on).
type Layered = (u8, u32, u8, bool, u8);

fn layers(frames: &[Layered]) -> Vec<Told> {
    let packets = frames
        .iter()
        .map(|&(encoding, frame, temporal, keyframe, lean)| {
            let unit = Unit {
                encoding,
                layer: Layer {
                    spatial: 0,
                    temporal,
                },
                spatial_layers: 1,
                leans: [lean, 0, 0],
                ..UNIT
            };
            Stamp {
                frame,
                keyframe,
                unit,
                ..STAMP
            }
        });
    shown(packets)
}

#[test]
fn layers_may_be_left_out_and_encodings_changed_where_nothing_leans_on_what_is_missing() {
    const BEGIN: [Layered; 2] = [(0, 3, 0, true, 0), (0, 4, 2, false, 1)];
    let play = |rest: &[Layered], broken| check(&layers(&[&BEGIN[..], rest].concat()), broken);
    play(&[(0, 5, 1, false, 2)], None);
    // The picture between was left out, and nothing leans on it.
    play(&[(0, 7, 0, false, 4)], None);
    play(&[(0, 6, 2, false, 1)], Some(Law::Decodable));
    // Another encoding: from a key picture on.
    play(&[(1, 4, 0, true, 0), (1, 5, 2, false, 1)], None);
    play(&[(1, 5, 1, false, 2)], Some(Law::Decodable));
    play(
        &[(1, 4, 0, true, 0), (0, 5, 1, false, 2)],
        Some(Law::Decodable),
    );
    // Backwards.
    play(&[(0, 3, 0, false, 4)], Some(Law::Decodable));
}

#[test]
fn what_a_frame_leans_on_may_have_been_lost_where_there_is_a_number_for_it() {
    let mut told = layers(&[
        (0, 3, 0, true, 0),
        (0, 4, 2, false, 1),
        (0, 5, 1, false, 2),
        (0, 6, 2, false, 1),
    ]);
    // The robot never read the third one.
    told.remove(5);
    check(&told, None);
}

#[test]
fn pictures_are_counted_and_have_one_time_and_one_marker() {
    let whole = layers(&[(0, 3, 0, true, 0), (0, 4, 2, false, 1)]);
    check(&whole, None);
    let spoil = |spoil: fn(&mut Observed)| {
        let mut told = whole.clone();
        for told in &mut told {
            if let Decrypted(observed) = told
                && observed.sequence == 6
            {
                spoil(observed);
            }
        }
        check(&told, Some(Law::PicturesCounted));
    };
    spoil(|observed| observed.timestamp = 9_000);
    spoil(|observed| {
        if let Ok(Packet::Video(video)) = &mut observed.packet {
            video.numbers.picture += 1;
        }
    });
    spoil(|observed| {
        if let Ok(Packet::Video(video)) = &mut observed.packet {
            video.numbers.base_layer += 1;
        }
    });
    let mut unmarked = whole.clone();
    if let Some(Decrypted(observed)) = unmarked.get_mut(1) {
        observed.marker = false;
    }
    check(&unmarked, Some(Law::PicturesCounted));
}

#[test]
fn nothing_goes_where_nobody_has_proved_to_be() {
    let send = |nominated: Option<bool>, seen: &Seen| {
        let mut laws = Laws::default();
        laws.handle_join(0, 7);
        if let Some(nominated) = nominated {
            laws.handle_check(0, ADDRESS, nominated);
        }
        laws.handle_departure(Instant::ZERO, ADDRESS, seen);
        laws.violations().first().map(|it| it.law)
    };
    let media = Seen::Rtp(rtp(100, 1, 0, 1));
    assert_eq!(send(None, &Seen::Stun), Some(Law::ProvedAddress));
    assert_eq!(send(Some(false), &Seen::Stun), None);
    assert_eq!(send(Some(false), &media), Some(Law::ProvedAddress));
    assert_eq!(send(Some(true), &media), None);
    check(&[Left, Report(1)], None);
    check(&[Left, Later, Report(1)], Some(Law::ProvedAddress));
}

#[test]
fn every_datagram_ends_in_one_way() {
    check(&[Stats(3, 3, 5)], None);
    check(&[Stats(3, 2, 5)], Some(Law::Counted));
    check(&[Stats(2, 2, 5)], Some(Law::Counted));
    check(&[Stats(3, 3, 4)], Some(Law::Counted));
}

#[test]
fn tables_stay_small_and_end_empty() {
    let sizes = TableSizes {
        rooms: 1,
        participants: 1,
        ..TableSizes::default()
    };
    check(&[Sizes(sizes)], None);
    check(
        &[Sizes(TableSizes {
            participants: 2,
            ..sizes
        })],
        Some(Law::Bounded),
    );
    let paths = limits::PATHS_PER_TRANSPORT + 1;
    check(&[Sizes(TableSizes { paths, ..sizes })], Some(Law::Bounded));
    check(&[End(TableSizes::default())], None);
    check(
        &[End(TableSizes {
            timers: 1,
            ..TableSizes::default()
        })],
        Some(Law::Empty),
    );
}

#[test]
fn payloads_come_whole_and_from_others_of_the_room() {
    let from = |sender| {
        let mut observed = audio(100, 5);
        if let Ok(Packet::Audio(stamp)) = &mut observed.packet {
            stamp.sender = sender;
        }
        [Media(rtp(100, 5, 0, 1)), Decrypted(observed)]
    };
    check(&from(1), None);
    check(&from(0), Some(Law::OthersOnly));
    check(&from(2), Some(Law::OthersOnly));
    let spoiled = Observed {
        packet: Err(Spoiled::Damaged),
        ..audio(100, 5)
    };
    check(&[Decrypted(spoiled)], Some(Law::Intact));
}

mod support {
    use super::*;

    pub(super) const ADDRESS: SocketAddr = SocketAddr::new(
        std::net::IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7)),
        9,
    );

    pub(super) const fn rtp(ssrc: u32, sequence: u16, timestamp: u32, digest: u64) -> RtpSeen {
        RtpSeen {
            ssrc,
            sequence,
            timestamp,
            payload_type: 96,
            digest,
        }
    }

    pub(super) const UNIT: Unit = Unit {
        encoding: 0,
        layer: Layer {
            spatial: 0,
            temporal: 0,
        },
        spatial_layers: 0,
        height: 180,
        leans: [0; 3],
        leans_below: false,
        is_switch: false,
    };

    pub(super) const STAMP: Stamp = Stamp {
        sender: 1,
        track: 0,
        unit: UNIT,
        keyframe: true,
        frame: 0,
        packet: 0,
        packets: 1,
        sent_at: Instant::ZERO,
    };

    pub(super) const fn audio(ssrc: u32, sequence: u64) -> Observed {
        Observed {
            ssrc,
            sequence,
            timestamp: 0,
            payload_type: 96,
            marker: false,
            packet: Ok(Packet::Audio(STAMP)),
        }
    }

    pub(super) const fn chain(keyframe: bool) -> Unit {
        Unit {
            leans: [if keyframe { 0 } else { 1 }, 0, 0],
            ..UNIT
        }
    }

    /// Packets that leave and are read, from number 5 on, counted as they should be.
    pub(super) fn shown(packets: impl Iterator<Item = Stamp>) -> Vec<Told> {
        let (mut told, mut last) = (Vec::new(), None);
        let (mut picture, mut base_layer) = (0, 0);
        for (number, stamp) in (5..).zip(packets) {
            let this = (stamp.unit.encoding, stamp.frame);
            if last.replace(this).is_some_and(|last| last != this) {
                picture += 1;
                let layered = stamp.unit.spatial_layers > 0;
                base_layer += u8::from(layered && stamp.unit.layer.temporal == 0);
            }
            let packet = Packet::Video(VideoPacket {
                codec: VideoCodec::Vp8,
                stamp,
                numbers: Numbers {
                    picture,
                    base_layer,
                },
            });
            let timestamp = 9_000 + 3_000 * u32::from(picture);
            told.push(Media(rtp(100, number, timestamp, u64::from(number))));
            told.push(Decrypted(Observed {
                timestamp,
                marker: stamp.ends(),
                packet: Ok(packet),
                ..audio(100, u64::from(number))
            }));
        }
        // Nothing more comes.
        told.push(Rest);
        told
    }
}

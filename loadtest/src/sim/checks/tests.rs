//! Each law, told of one thing that breaks it, and of the same thing done right.

use super::*;
use crate::media::Stamp;
use crate::media::VideoPacket;
use crate::robot::reception::Packet;
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
    End(TableSizes),
}
use Told::{Decrypted, End, Later, Left, Media, Report, Sizes, Stats};

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
        let mut told = Vec::new();
        for (number, &(frame, packet, keyframe)) in (5..).zip(stamps) {
            told.push(Media(rtp(100, number, 0, u64::from(number))));
            told.push(Decrypted(video(100, number, (frame, packet, keyframe))));
        }
        check(&told, broken);
    };
    play(
        &[(3, 0, true), (3, 1, true), (4, 0, false), (4, 1, false)],
        None,
    );
    play(&[(3, 0, false), (3, 1, false)], Some(Law::Decodable));
    play(
        &[(3, 0, true), (3, 1, true), (5, 0, false)],
        Some(Law::Decodable),
    );
    play(&[(3, 0, true), (3, 1, true), (9, 0, true)], None);
    play(&[(3, 0, true), (4, 0, false)], Some(Law::Decodable));
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

    const STAMP: Stamp = Stamp {
        sender: 1,
        track: 0,
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

    /// Of a publisher whose frames have two packets.
    pub(super) fn video(ssrc: u32, sequence: u16, stamp: (u32, u16, bool)) -> Observed {
        let (frame, packet, keyframe) = stamp;
        let stamp = Stamp {
            frame,
            packet,
            keyframe,
            packets: 2,
            ..STAMP
        };
        let packet = Packet::Video(VideoPacket {
            stamp,
            picture_id: 0,
        });
        Observed {
            packet: Ok(packet),
            ..audio(ssrc, u64::from(sequence))
        }
    }
}

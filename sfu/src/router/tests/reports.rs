//! Sender and receiver reports, on the server's clock; speakers.

use super::support::*;
use crate::time::{Duration, Instant, ServerClock};
use crate::units::{AudioLevel, MediaKind};
use crate::wire::rtcp::ReportBlock;

#[test]
fn sender_reports_are_on_the_servers_clock_and_keep_lips_and_voice_together() {
    let mut room = Room::new();
    let (sound, picture) = (plan("a", MediaKind::Audio), plan("v", MediaKind::Video));
    let tracks = [room.publish(ADA, &sound), room.publish(ADA, &picture)];
    let sections = [
        room.section(BOB, &sound, 500),
        room.section(BOB, &picture, 600),
    ];
    for (section, track) in sections.into_iter().zip(tracks) {
        room.router.bind(room.now, section, Some(track));
    }
    // The publisher's clock is years off. Both reports say: at its second 5, timestamp so.
    let theirs = ServerClock::from_unix(Duration::from_secs(900_000_000));
    let at = Instant::from_millis(5_000);
    room.send(ADA, &audio(1, 100).mid("a"));
    room.send(ADA, &video(2, 100, 10, true).mid("v").marker());
    // The audio report waited 80 ms, the video report 20 ms: the latter tells the offset.
    let sent_at = room.now;
    room.pass(20);
    room.router
        .handle_sender_report(room.now, ADA, 2, theirs.ntp(at), 30_000);
    room.pass(60);
    room.router
        .handle_sender_report(room.now, ADA, 1, theirs.ntp(at), 96_000);
    let seen = room.take(BOB);
    let reports = room.rtcp(BOB);
    assert_eq!(reports.senders.len(), 2, "at once with the first packets");
    for report in &reports.senders {
        let (rate, packet) = match report.ssrc {
            500 => (48_000, seen.iter().find(|p| p.ssrc == 500).unwrap()),
            _ => (90_000, seen.iter().find(|p| p.ssrc == 600).unwrap()),
        };
        assert_eq!(report.ntp, room.clock.ntp(room.now));
        // Input timestamps 96,000 and 30,000 were those of the first packets, sent 20 ms before
        // the quicker report came in, so 60 ms ago on the server's clock.
        let ahead = report.rtp.wrapping_sub(packet.timestamp);
        let expected = rate * 60 / 1_000;
        assert!(
            ahead.abs_diff(expected) <= 2,
            "{ahead} {expected} of {}",
            report.ssrc
        );
        assert_eq!(report.packets, 1);
    }
    assert!(room.now > sent_at);
    let names: Vec<&str> = reports
        .cnames
        .iter()
        .map(|(_, name)| name.as_str())
        .collect();
    assert_eq!(names, ["ada", "ada"]);
    let both = |room: &mut Room, number: u16| {
        room.send(ADA, &audio(1, number));
        room.send(ADA, &video(2, number, number, false).marker());
        room.pass(20);
        room.take(BOB);
    };
    both(&mut room, 101);
    room.pass(480);
    assert!(room.rtcp(BOB).senders.is_empty());
    room.pass(500);
    assert_eq!(room.rtcp(BOB).senders.len(), 1, "pictures each second");
    both(&mut room, 102);
    room.pass(980);
    assert_eq!(room.rtcp(BOB).senders.len(), 2, "sound each two");
    room.pass(10_000);
    assert!(room.rtcp(BOB).senders.is_empty(), "nothing is sent");
    both(&mut room, 103);
    assert_eq!(room.rtcp(BOB).senders.len(), 2, "at once when it goes on");
}

#[test]
fn a_publisher_that_falls_silent_is_told_nothing_more_until_it_speaks_again() {
    let (mut room, ..) = Room::with_picture();
    let reports = |room: &mut Room, ms: u64| {
        let mut blocks = 0;
        for _ in 0..ms / 100 {
            room.pass(100);
            blocks += room.rtcp(ADA).blocks.len();
        }
        blocks
    };
    assert!(reports(&mut room, 1_500) > 0);
    assert_eq!(reports(&mut room, 10_000), 0);
    room.send(ADA, &video(1, 101, 11, false).marker());
    assert_eq!(reports(&mut room, 3_000), 1);
}

#[test]
fn before_the_publishers_first_report_arrival_stands_for_sending() {
    let (mut room, ..) = Room::with_picture();
    room.pass(10);
    room.send(ADA, &video(1, 101, 11, false).marker());
    let packet = room.take(BOB).remove(0);
    room.pass(10);
    let report = room.rtcp(BOB).senders.remove(0);
    assert_eq!(report.rtp.wrapping_sub(packet.timestamp), 900);
    assert_eq!((report.packets, report.bytes), (2, 2 * 917));
}

#[test]
fn a_report_goes_with_the_first_packet_of_each_binding() {
    let (mut room, _, section) = Room::with_picture();
    assert_eq!(room.rtcp(BOB).senders.len(), 1);
    let other = room.publish(CLEO, &plan("v", MediaKind::Video));
    room.router.bind(room.now, section, Some(other));
    room.pass(30);
    assert!(room.rtcp(BOB).senders.is_empty());
    room.send(CLEO, &video(2, 500, 900, true).marker());
    let packet = room.take(BOB).remove(0);
    let reports = room.rtcp(BOB);
    assert_eq!(reports.senders[0].rtp, packet.timestamp);
    assert_eq!(reports.cnames, [(7_000, "cleo".to_owned())]);
}

#[test]
fn publishers_are_told_how_their_packets_arrive() {
    let (mut room, ..) = Room::with_picture();
    for n in [101, 102, 104] {
        room.send(ADA, &video(1, n, n, false).marker());
    }
    room.pass(100);
    let block = room.rtcp(ADA).blocks.remove(0);
    assert_eq!(
        (block.ssrc, block.packets_lost, block.fraction_lost),
        (1, 1, 51)
    );
    assert_eq!(block.sequence_highest, 104);
    room.pass(500);
    assert!(room.rtcp(ADA).blocks.is_empty());
    room.send(ADA, &video(1, 105, 105, false).marker());
    room.pass(500);
    assert_eq!(room.rtcp(ADA).blocks.len(), 1);
}

#[test]
fn round_trips_are_measured_from_report_blocks() {
    let (mut room, ..) = Room::with_picture();
    let sent = room.clock.ntp(room.now);
    for _ in 0..40 {
        room.pass(1);
        let late = room.now.since(Instant::from_millis(10_000));
        let block = ReportBlock {
            ssrc: 7_000,
            fraction_lost: 0,
            packets_lost: 0,
            sequence_highest: 0,
            jitter: 0,
            last_sr: sent.middle(),
            delay_since_sr: u32::try_from((late.as_micros() - 1_000) * 65_536 / 1_000_000).unwrap(),
        };
        room.router.handle_report_block(room.now, BOB, &block);
    }
    let rtt = room.router.rtt(BOB);
    assert!(
        rtt.abs_diff(Duration::from_millis(1)) < Duration::from_micros(200),
        "{rtt:?}"
    );
}

#[test]
fn bye_ends_an_encoding_and_frees_its_pages() {
    let (mut room, ..) = Room::with_picture();
    room.router.handle_bye(room.now, ADA, 1, &mut room.pages);
    assert_eq!((room.router.sizes().encodings, room.pages.in_use()), (0, 0));
    room.send(ADA, &video(1, 200, 50, true).marker());
    assert_eq!(room.inputs(BOB), [200], "the same SSRC may begin anew");
}

#[test]
fn levels_become_speakers_and_mute_ends_them() {
    let mut room = Room::new();
    let track = room.publish(ADA, &plan("a", MediaKind::Audio));
    let mut news = Vec::new();
    for n in 0..100 {
        let mut packet = audio(1, n).mid("a");
        packet.values.audio_level = Some((AudioLevel(20), true));
        room.send(ADA, &packet);
        room.pass(20);
        news.extend(room.router.poll_speakers());
        if n == 60 {
            room.router
                .set_muted(room.now, track, true, &mut room.pages);
        }
    }
    let who: Vec<Vec<_>> = news
        .iter()
        .map(|list| list.iter().map(|s| s.0).collect())
        .collect();
    assert_eq!(who, [vec![ADA], vec![]]);
}

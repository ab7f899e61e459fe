//! Congestion control feedback (RFC 8888) both ways, for those who have no transport-wide numbers.

use super::guest::*;
use super::*;
use crate::units::Bitrate;
use crate::wire::ccfb;
use crate::wire::feedback::Feedback;
use crate::wire::rtcp::{RtcpPacket, packets};

const CONTROL: &str = "a=rtcp-fb:* ack ccfb\r\n";

/// What of a compound tells of packets: SSRC, number, arrived.
fn told(compound: &[u8]) -> Vec<(u32, u16, bool)> {
    let mut told = Vec::new();
    for packet in packets(compound) {
        if let RtcpPacket::Feedback(Feedback::Control(feedback)) = packet.unwrap() {
            told.extend(
                feedback
                    .iter()
                    .map(|it| (it.ssrc, it.sequence, it.arrival.is_some())),
            );
        }
    }
    told
}

#[test]
fn a_publisher_without_transport_wide_numbers_is_told_what_arrived_by_source() {
    let mut shard = shard();
    support::create(&mut shard, 7, 10);
    let mut publishes = [line("v", true, "sendonly", 0)];
    publishes[0].more = CONTROL.to_owned();
    let mut ada = connected(Instant::ZERO, &mut shard, 1, false, &publishes);
    let mut now = Instant::from_millis(100);
    for number in (0..50).filter(|number| number % 10 != 3) {
        let payload = picture(number == 0, 1);
        ada.rtp(now, &mut shard, (120, 31, number), &[(9, "v")], &payload);
        now = pass(now, 20, &mut shard, &mut [&mut ada]);
    }
    now = pass(now, 200, &mut shard, &mut [&mut ada]);
    assert!(now > Instant::ZERO);
    let all: Vec<_> = ada.compounds.iter().flat_map(|it| told(it)).collect();
    let expected: Vec<_> = (0..50)
        .map(|number| (31, number, number % 10 != 3))
        .collect();
    assert_eq!(all, expected);
    let feedbacks = ada.compounds.iter().filter(|it| !told(it).is_empty());
    assert!((10..=25).contains(&feedbacks.count()), "each 50 ms or so");
}

#[test]
fn who_tells_of_packets_by_source_has_an_estimate() {
    let mut shard = shard();
    support::create(&mut shard, 7, 10);
    let mut ada = connected(
        Instant::ZERO,
        &mut shard,
        1,
        false,
        &[line("v", true, "sendonly", 0)],
    );
    let mut hears = [line("v", true, "recvonly", 0)];
    hears[0].more = CONTROL.to_owned();
    let mut lin = connected(Instant::ZERO, &mut shard, 2, false, &hears);
    let mut now = Instant::from_millis(100);
    let (mut estimates, mut heard) = (Vec::new(), Vec::new());
    for ms in 0..8_000_u64 {
        // 1 Mb/s: a packet each 8 ms.
        if ms.is_multiple_of(8) {
            let number = u16::try_from(ms / 8).unwrap();
            let mut payload = picture(number.is_multiple_of(100), 1);
            payload.resize(1_000, 1);
            ada.rtp(now, &mut shard, (120, 31, number), &[(9, "v")], &payload);
        }
        now += Duration::from_millis(1);
        exchange(now, &mut shard, &mut [&mut ada, &mut lin]);
        let came = lin.heard.drain(..);
        heard.extend(came.map(|heard| (heard.ssrc, heard.sequence, now)));
        if !ms.is_multiple_of(50) || heard.is_empty() {
            continue;
        }
        let arrivals: Vec<_> = heard
            .drain(..)
            .map(|(ssrc, sequence, at): (u32, u16, Instant)| {
                let ago = u64::try_from(now.since(at).as_micros()).unwrap();
                (ssrc, sequence, [Some(ago)])
            })
            .collect();
        let blocks: Vec<_> = arrivals
            .iter()
            .map(|(ssrc, sequence, ago)| (*ssrc, *sequence, &ago[..]))
            .collect();
        let mut out = [0; 1_200];
        let clock = u32::try_from(now.as_micros() * 65_536 / 1_000_000).unwrap();
        let len = ccfb::write(2, clock, &blocks, &mut out).unwrap();
        lin.rtcp(now, &mut shard, &out[..len]);
        estimates.extend(shard.estimate(ROOM, lin.id).map(|estimate| estimate.fast));
    }
    assert!(estimates.len() > 100, "{}", estimates.len());
    let last = estimates.last().copied();
    assert!(last > Some(Bitrate::from_kbps(600)), "{last:?}");
}

#[test]
fn where_both_are_offered_transport_wide_feedback_is_agreed_on() {
    for (more, expected) in [
        (CONTROL.to_owned(), ["ack ccfb", ""]),
        (
            format!(
                "{CONTROL}a=rtcp-fb:120 transport-cc\r\na=extmap:5 http://www.ietf.org/id/\
                 draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n"
            ),
            ["", "transport-cc"],
        ),
        (String::new(), ["", ""]),
    ] {
        let mut shard = shard();
        support::create(&mut shard, 7, 10);
        let mut ada = Guest::join(&mut shard, 1, false);
        let mut publishes = [line("v", true, "sendonly", 0)];
        publishes[0].more = more;
        let answer = ada.negotiate(Instant::ZERO, &mut shard, &publishes);
        let payload = &answer.sections[0].payloads[0];
        for (value, expected) in ["ack ccfb", "transport-cc"].into_iter().zip(expected) {
            let found = payload.feedback.iter().any(|feedback| feedback == value);
            assert_eq!(found, value == expected, "{:?}", payload.feedback);
        }
    }
}

//! Publishers by WHIP who send several encodings: the highest is forwarded. And what renegotiation
//! may not use up.

use super::guest::*;
use super::*;

/// Pictures of three sizes under SSRCs 31 (largest) to 33.
fn frames(now: Instant, shard: &mut Shard, ada: &mut Guest, number: u16, names: Option<[&str; 3]>) {
    for (rung, ssrc) in (31..=33).enumerate() {
        let content = u8::try_from(ssrc).unwrap();
        let mut payload = picture(number.is_multiple_of(25), content);
        payload.resize(payload.len() + [900, 300, 50][rung], content);
        let named: Vec<(u8, &str)> = match &names {
            Some(names) => vec![(9, "v"), (7, names[rung])],
            None => Vec::new(),
        };
        ada.rtp(now, shard, (120, ssrc, number), &named, &payload);
    }
}

/// Which of the three a guest was shown in the last `count` packets.
fn shown(guest: &Guest, count: usize) -> Vec<u8> {
    let last = guest.heard.iter().rev().take(count);
    let mut found: Vec<u8> = last.filter_map(|one| one.payload.last().copied()).collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn the_highest_layer_is_forwarded_whether_layers_are_named_by_rid_or_by_ssrc() {
    // OBS Studio names its layers by number, largest first, and says nothing of SSRCs.
    let by_rid = "a=rid:0 send\r\na=rid:1 send\r\na=rid:2 send\r\na=simulcast:send 0;1;2\r\n";
    let by_ssrc = "a=ssrc-group:SIM 31 32 33\r\na=ssrc:31 cname:x\r\na=ssrc:32 cname:x\r\n\
                   a=ssrc:33 cname:x\r\n";
    for (more, names) in [(by_rid, Some(["0", "1", "2"])), (by_ssrc, None)] {
        let mut shard = shard();
        support::create(&mut shard, 7, 10);
        let mut publishes = [line("v", true, "sendonly", 0)];
        publishes[0].more = more.to_owned();
        let mut ada = Guest::join(&mut shard, 1, false);
        let answer = ada.negotiate(Instant::ZERO, &mut shard, &publishes);
        let rids = answer.sections[0].rids_receive.len();
        assert_eq!(rids, if names.is_some() { 3 } else { 0 });
        ada.nominate(Instant::ZERO, &mut shard);
        exchange(Instant::ZERO, &mut shard, &mut [&mut ada]);
        let hears = [line("v", true, "recvonly", 0)];
        let mut lin = connected(Instant::ZERO, &mut shard, 2, false, &hears);
        let mut now = Instant::from_millis(100);
        for number in 0..100 {
            frames(now, &mut shard, &mut ada, number, names);
            now = pass(now, 40, &mut shard, &mut [&mut ada, &mut lin]);
        }
        assert_eq!(shard.sizes().encodings, 3, "{more}");
        assert_eq!(shown(&lin, 40), [31], "{more}");
        assert!(lin.heard.len() >= 70, "{} {more}", lin.heard.len());
    }
}

#[test]
fn layers_that_are_named_anew_do_not_use_up_the_track() {
    let mut shard = shard();
    support::create(&mut shard, 7, 10);
    let mut publishes = [line("v", true, "sendonly", 0)];
    let mut ada = Guest::join(&mut shard, 1, false);
    let hears = [line("v", true, "recvonly", 0)];
    let mut lin = connected(Instant::ZERO, &mut shard, 2, false, &hears);
    let mut now = Instant::from_millis(100);
    for round in 0..10_u16 {
        let names = ["a", "b", "c"].map(|name| format!("{name}{round}"));
        let [a, b, c] = &names;
        publishes[0].more = format!(
            "a=rid:{a} send\r\na=rid:{b} send\r\na=rid:{c} send\r\na=simulcast:send {a};{b};{c}\r\n"
        );
        ada.negotiate(now, &mut shard, &publishes);
        if round == 0 {
            ada.nominate(now, &mut shard);
            exchange(now, &mut shard, &mut [&mut ada]);
        }
        for number in 0..50 {
            let number = round * 50 + number;
            frames(now, &mut shard, &mut ada, number, Some([a, b, c]));
            now = pass(now, 40, &mut shard, &mut [&mut ada, &mut lin]);
        }
        assert_eq!(shard.sizes().encodings, 3, "round {round}");
        assert_eq!(shown(&lin, 10), [31], "round {round}");
    }
}

#[test]
fn an_m_line_switched_off_and_on_a_thousand_times_sends_on_under_its_ssrc() {
    let mut shard = shard();
    support::create(&mut shard, 7, 10);
    let publishes = [line("a", false, "sendonly", 11)];
    let mut ada = connected(Instant::ZERO, &mut shard, 1, false, &publishes);
    let mut lin = connected(
        Instant::ZERO,
        &mut shard,
        2,
        false,
        &[line("a", false, "recvonly", 0)],
    );
    let mut now = Instant::from_millis(100);
    for round in 0..1_100_u16 {
        ada.rtp(now, &mut shard, (96, 11, 2 * round), &[], &sound(1));
        now = pass(now, 10, &mut shard, &mut [&mut ada, &mut lin]);
        lin.negotiate(now, &mut shard, &[line("a", false, "inactive", 0)]);
        let heard = lin.heard.len();
        ada.rtp(now, &mut shard, (96, 11, 2 * round + 1), &[], &sound(2));
        now = pass(now, 10, &mut shard, &mut [&mut ada, &mut lin]);
        assert_eq!(
            lin.heard.len(),
            heard,
            "nothing is sent on an inactive m-line"
        );
        lin.negotiate(now, &mut shard, &[line("a", false, "recvonly", 0)]);
        events(&mut shard);
    }
    let last = lin.heard.last().expect("something was heard");
    assert_eq!(last.payload, sound(1));
    assert!(lin.heard.iter().all(|one| one.ssrc == last.ssrc));
    assert_eq!(lin.heard.len(), 1_100);
    assert_eq!(shard.sizes().sections, 1);
}

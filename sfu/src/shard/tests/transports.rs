//! DTLS roles, ICE restarts and what an answer keeps of an offer.

use super::guest::*;
use super::*;
use crate::outbox::{Outbox, Run};
use crate::path::Path;
use crate::sdp::description::{SdpType, Setup};
use crate::wire::demux::{self, classify};

#[test]
fn the_dtls_role_follows_the_offer_and_media_flows_in_either() {
    for (offered, answered) in [
        ("actpass", Setup::Passive),
        ("active", Setup::Passive),
        ("passive", Setup::Active),
    ] {
        let mut shard = shard();
        support::create(&mut shard, 7, 10);
        let mut ada = Guest::join(&mut shard, 1, false);
        ada.setup = offered;
        let lines = [line("a", false, "sendonly", 11)];
        let answer = ada.negotiate(Instant::ZERO, &mut shard, &lines);
        assert_eq!(answer.sections[0].setup, Some(answered), "{offered}");
        ada.nominate(Instant::ZERO, &mut shard);
        let lines = [line("v", false, "recvonly", 0)];
        exchange(Instant::ZERO, &mut shard, &mut [&mut ada]);
        let mut lin = connected(Instant::ZERO, &mut shard, 2, false, &lines);
        let now = Instant::from_millis(20);
        ada.rtp(now, &mut shard, (96, 11, 1), &[], &sound(5));
        pass(now, 20, &mut shard, &mut [&mut ada, &mut lin]);
        let heard: Vec<_> = lin.heard.iter().map(|one| &one.payload).collect();
        assert_eq!(heard, [&sound(5)], "{offered}");
        let profiles: Vec<_> = events(&mut shard)
            .into_iter()
            .filter_map(|event| {
                let Event::ParticipantConnected { srtp, .. } = event else {
                    return None;
                };
                Some(srtp)
            })
            .collect();
        assert_eq!(profiles, ["AEAD_AES_256_GCM"; 2], "{offered}");
    }
}

#[test]
fn an_answer_keeps_order_payload_types_and_extension_ids_of_the_offer() {
    let mut shard = shard();
    support::create(&mut shard, 7, 10);
    let mut ada = Guest::join(&mut shard, 1, false);
    let video_first = [
        line("pictures", true, "sendonly", 12),
        line("sound", false, "sendonly", 11),
    ];
    let answer = ada.negotiate(Instant::ZERO, &mut shard, &video_first);
    let mids: Vec<_> = answer.sections.iter().map(|s| s.mid.to_string()).collect();
    assert_eq!(mids, ["pictures", "sound"]);
    let numbers = |index: usize| {
        let payloads = answer.sections[index].payloads.iter();
        payloads.map(|p| p.payload_type).collect::<Vec<_>>()
    };
    assert_eq!((numbers(0), numbers(1)), (vec![120, 121], vec![96]));
    for section in &answer.sections {
        let ids: Vec<_> = section
            .extensions
            .iter()
            .map(|one| (one.id, one.uri.rsplit(':').next().unwrap()))
            .collect();
        assert!(ids.contains(&(9, "mid")), "{ids:?}");
    }
    // The text of it can be read back by the same rules.
    let text = crate::sdp::write(&answer);
    let again = crate::sdp::parse(SdpType::Answer, &text).expect("our own text");
    assert_eq!(again.sections.len(), 2);
}

/// Sends sound from `ada` until it is heard by `lin` or time is up.
fn is_heard(
    now: Instant,
    shard: &mut Shard,
    ada: &mut Guest,
    lin: &mut Guest,
    number: u16,
) -> bool {
    let content = sound(u8::try_from(number).unwrap());
    ada.rtp(now, shard, (96, 11, number), &[], &content);
    pass(now, 30, shard, &mut [ada, lin]);
    lin.heard.iter().any(|one| one.payload == content)
}

#[test]
fn both_ways_to_restart_ice_keep_dtls_srtp_and_sections() {
    for by_command in [false, true] {
        let mut shard = shard();
        support::create(&mut shard, 7, 10);
        let lines = [line("a", false, "sendonly", 11)];
        let mut ada = connected(Instant::ZERO, &mut shard, 1, false, &lines);
        let hears = [line("a", false, "recvonly", 0)];
        let mut lin = connected(Instant::ZERO, &mut shard, 2, false, &hears);
        let mut now = Instant::from_millis(100);
        assert!(is_heard(now, &mut shard, &mut ada, &mut lin, 1));
        events(&mut shard);

        now += Duration::from_millis(100);
        let before = ada.host.as_ref().unwrap().peer.local.clone();
        ada.ice.ufrag = "again".to_owned();
        ada.ice.password = "another-password-of-ada-s".to_owned();
        ada.path.remote.set_port(30_001);
        if by_command {
            let restart = Command::RestartRemoteIce {
                room: ROOM,
                participant: ada.id,
                ufrag: ada.ice.ufrag.clone(),
                pwd: ada.ice.password.clone(),
            };
            let mut replies = Vec::new();
            for _ in 0..2 {
                match shard.handle_command(now, restart.clone()) {
                    Ok(Reply::Restarted { ufrag, pwd }) => replies.push((ufrag, pwd)),
                    other => panic!("not restarted but {other:?}"),
                }
            }
            assert_eq!(replies[0], replies[1], "the same again changes nothing");
            let (ufrag, password) = replies.remove(0);
            ada.follow(
                &crate::sdp::description::IceCredentials { ufrag, password },
                None,
            );
        } else {
            ada.negotiate(now, &mut shard, &lines);
        }
        let after = ada.host.as_ref().unwrap().peer.local.clone();
        assert_ne!(before, after, "both sides have new credentials");
        // Media goes on before the new path is there, then over it, under the same keys.
        ada.nominate(now, &mut shard);
        assert!(
            is_heard(now, &mut shard, &mut ada, &mut lin, 2),
            "{by_command}"
        );
        let news = events(&mut shard);
        let lost = |event: &Event| {
            matches!(
                event,
                Event::TrackUnpublished { .. } | Event::ParticipantConnected { .. }
            )
        };
        assert!(!news.iter().any(lost), "{news:?}");
        // A later offer with the same credentials is no restart.
        ada.negotiate(now, &mut shard, &lines);
        assert_eq!(ada.host.as_ref().unwrap().peer.local, after);
    }
}

#[test]
fn a_restart_without_description_is_refused_where_there_is_nothing_to_restart() {
    let mut shard = shard();
    support::create(&mut shard, 7, 10);
    let ada = Guest::join(&mut shard, 1, false);
    let restart = |ufrag: &str, pwd: &str| Command::RestartRemoteIce {
        room: ROOM,
        participant: ada.id,
        ufrag: ufrag.to_owned(),
        pwd: pwd.to_owned(),
    };
    let long = "a-password-that-is-long-enough";
    let early = shard.handle_command(Instant::ZERO, restart("abcd", long));
    assert!(
        matches!(early, Err(CommandError::Unusable { .. })),
        "{early:?}"
    );
    for (ufrag, pwd, at_fault) in [
        ("abc", long, "ufrag"),
        ("ab:cd", long, "ufrag"),
        ("abcd", "short", "pwd"),
        ("abcd", "with a blank in between it", "pwd"),
    ] {
        let refused = shard.handle_command(Instant::ZERO, restart(ufrag, pwd));
        let Err(CommandError::Invalid { field, .. }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(field, at_fault, "{ufrag} {pwd}");
    }
}

#[test]
fn who_was_there_is_sent_a_packet_before_those_who_came_later() {
    let mut shard = shard();
    support::create(&mut shard, ROOM.0, 10);
    let line_of = |direction, ssrc| [line("a", false, direction, ssrc)];
    let mut ada = connected(
        Instant::ZERO,
        &mut shard,
        1,
        false,
        &line_of("sendonly", 11),
    );
    let later = 2..=6;
    let mut guests: Vec<Guest> = later
        .map(|id| {
            connected(
                Instant::ZERO,
                &mut shard,
                id,
                false,
                &line_of("recvonly", 0),
            )
        })
        .collect();
    let mut all: Vec<&mut Guest> = guests.iter_mut().collect();
    let now = pass(Instant::ZERO, 1_000, &mut shard, &mut all);
    ada.rtp(now, &mut shard, (96, 11, 1), &[], &sound(1));
    let mut outbox = Outbox::new();
    assert_eq!(shard.depart(now, &mut outbox), Departed::Done);
    let is_media = |run: &Run<'_>| classify(run.bytes) == Some(demux::Class::Rtp);
    let order = outbox.runs().filter(is_media).map(|run| run.path);
    let order: Vec<Path> = order.collect();
    let joined: Vec<Path> = guests.iter().map(|guest| guest.path).collect();
    assert_eq!(order, joined);
}

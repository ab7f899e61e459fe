//! The agent against hand-built checks, in virtual time.

use rand_chacha::rand_core::SeedableRng as _;

use super::*;
use crate::path::LocalId;
use crate::transport::support::Peer;

fn path(port: u16) -> Path {
    Path {
        local: LocalId(0),
        remote: format!("192.0.2.7:{port}").parse().unwrap(),
    }
}

fn agent() -> (Agent, ChaCha20Rng, Peer) {
    let mut rng = ChaCha20Rng::from_seed([5; 32]);
    let mut agent = Agent::new(2, 77, Instant::ZERO, &mut rng);
    let peer = Peer::new(agent.credentials(), "peer1");
    agent.set_remote(Instant::ZERO, peer.credentials.clone());
    (agent, rng, peer)
}

/// Lets the agent's due request be answered by `peer`.
fn prove(agent: &mut Agent, now: Instant, peer: &Peer) -> Outcome {
    let request = agent.handle_timeout(now).expect("a request is due");
    agent
        .handle(now, request.path, &peer.answer(&request.bytes))
        .unwrap()
}

fn connect(agent: &mut Agent, now: Instant, peer: &Peer, path: Path) {
    agent.handle(now, path, &peer.nomination()).unwrap();
    prove(agent, now, peer);
    assert_eq!(agent.selected(), Some(path));
}

#[test]
fn a_good_check_is_answered_and_media_waits_for_the_way_back() {
    let (mut agent, _, peer) = agent();
    let now = Instant::from_millis(10);
    let outcome = agent.handle(now, path(1), &peer.check()).unwrap();
    assert!(outcome.new_path);
    let answer = outcome.answer.unwrap();
    assert!(answer.bytes.len() <= peer.check().len());
    let message = Message::parse(&answer.bytes).unwrap();
    assert!(message.verify(&IntegrityKey::new(agent.credentials().password.as_bytes())));
    assert_eq!(message.mapped_address(), Some(path(1).remote));
    assert_eq!(agent.selected(), None);
    agent.handle(now, path(1), &peer.nomination()).unwrap();
    assert_eq!(
        agent.selected(),
        None,
        "not before our own request is answered"
    );
    prove(&mut agent, now, &peer);
    assert_eq!(agent.selected(), Some(path(1)));
}

#[test]
fn what_fails_integrity_or_is_for_others_gets_silence() {
    let (mut agent, _, peer) = agent();
    let mut wrong = peer.clone();
    wrong.local.password.push('x');
    let mut other = peer.clone();
    other.local.ufrag = "AAAAAAAAAAAAAAAA".to_owned();
    let mut stranger = peer;
    stranger.credentials.ufrag = "else".to_owned();
    for (bytes, reason) in [
        (wrong.nomination(), DropReason::Unauthenticated),
        (other.nomination(), DropReason::UnknownUfrag),
        (stranger.nomination(), DropReason::Unauthenticated),
        (vec![0; 20], DropReason::Malformed),
    ] {
        let refused = agent.handle(Instant::ZERO, path(1), &bytes).unwrap_err();
        assert_eq!(refused, reason);
    }
    assert_eq!(agent.paths().count(), 0);
    assert!(agent.proof.is_none());
}

#[test]
fn a_controlled_peer_is_told_of_the_role_conflict() {
    let (mut agent, _, peer) = agent();
    let bytes = peer.check_as(IceRole::Controlled(1), true);
    let outcome = agent.handle(Instant::ZERO, path(1), &bytes).unwrap();
    let answer = outcome.answer.unwrap();
    let message = Message::parse(&answer.bytes).unwrap();
    assert_eq!(message.class(), Class::Error);
    assert_eq!(message.error_code(), Some(487));
    assert!(!outcome.new_path && agent.proof.is_none());
}

#[test]
fn media_goes_to_the_last_nominated_path_once_it_is_proved() {
    let (mut agent, _, peer) = agent();
    let now = Instant::from_millis(10);
    connect(&mut agent, now, &peer, path(1));
    agent.handle(now, path(2), &peer.nomination()).unwrap();
    assert_eq!(agent.selected(), Some(path(1)));
    prove(&mut agent, now, &peer);
    assert_eq!(agent.selected(), Some(path(2)));
    // Back again: that way is proved already.
    agent.handle(now, path(1), &peer.nomination()).unwrap();
    assert_eq!(agent.selected(), Some(path(1)));
}

#[test]
fn an_answer_from_elsewhere_or_unsigned_proves_nothing() {
    let (mut agent, _, peer) = agent();
    agent
        .handle(Instant::ZERO, path(1), &peer.nomination())
        .unwrap();
    let request = agent.handle_timeout(Instant::ZERO).unwrap();
    let good = peer.answer(&request.bytes);
    let mut bad = peer;
    bad.credentials.password.push('x');
    let forged = bad.answer(&request.bytes);
    assert!(agent.handle(Instant::ZERO, path(2), &good).is_err());
    assert!(agent.handle(Instant::ZERO, path(1), &forged).is_err());
    assert_eq!(agent.selected(), None);
    assert!(agent.handle(Instant::ZERO, path(1), &good).is_ok());
    assert_eq!(agent.selected(), Some(path(1)));
    assert!(
        agent.handle(Instant::ZERO, path(1), &good).is_err(),
        "an answer counts once"
    );
}

#[test]
fn two_thousand_signed_sources_leave_sixteen_paths_and_media_where_it_is() {
    let (mut agent, _, peer) = agent();
    let now = Instant::from_millis(1);
    connect(&mut agent, now, &peer, path(1));
    let mut known = 1;
    for port in 2..2_002 {
        let now = Instant::from_millis(u64::from(port));
        let outcome = agent.handle(now, path(port), &peer.check()).unwrap();
        assert!(outcome.new_path);
        known += 1;
        known -= outcome.lost_paths.len();
        assert!(agent.paths().count() <= PATHS_PER_TRANSPORT);
    }
    assert_eq!(known, PATHS_PER_TRANSPORT);
    assert_eq!(agent.selected(), Some(path(1)));
    assert!(agent.is_known(path(1)) && agent.is_known(path(2_001)) && !agent.is_known(path(2)));
}

#[test]
fn consent_is_asked_for_every_five_seconds_and_every_twelve_while_nothing_is_sent() {
    for (in_use, seconds) in [(true, 4_000..=6_000), (false, 9_600..=14_400)] {
        let (mut agent, _, peer) = agent();
        connect(&mut agent, Instant::ZERO, &peer, path(1));
        let mut now = Instant::ZERO;
        for check in 0..20 {
            if in_use {
                agent.note_sent();
            }
            let next = agent.poll_timeout().unwrap();
            let after = next.since(now).as_millis();
            assert!(
                seconds.contains(&u64::try_from(after).unwrap()),
                "{in_use}, {check}: {after} ms"
            );
            assert_eq!(next.as_millis() % 100, 0, "at a beat");
            now = next;
            prove(&mut agent, now, &peer);
        }
    }
}

#[test]
fn a_path_that_is_used_again_is_asked_at_once_and_not_every_four_seconds_anew() {
    let (mut agent, _, peer) = agent();
    connect(&mut agent, Instant::ZERO, &peer, path(1));
    let asked_at = agent.poll_timeout().unwrap();
    prove(&mut agent, asked_at, &peer);
    let idle_until = agent.poll_timeout().unwrap();
    assert!(agent.note_sent(), "sooner than while it was idle");
    let due = agent.poll_timeout().unwrap();
    assert!(due < idle_until && due.since(asked_at) <= Duration::from_secs(6));
    assert!(!agent.note_sent(), "once is enough");
    // Much later: it is overdue.
    let late = asked_at + Duration::from_secs(9);
    prove(&mut agent, late, &peer);
    assert!(agent.poll_timeout().unwrap().since(late) >= Duration::from_secs(4));
}

#[test]
fn one_who_checks_by_itself_is_asked_only_while_its_path_is_used() {
    let (mut agent, _, peer) = agent();
    connect(&mut agent, Instant::ZERO, &peer, path(1));
    let (mut asked, mut woken) = (0, 0);
    for second in 1..=120 {
        let now = Instant::from_millis(second * 1_000);
        if second % 2 == 0 {
            agent.handle(now, path(1), &peer.nomination()).unwrap();
        }
        if agent.poll_timeout().is_some_and(|due| due <= now) {
            woken += 1;
            asked += usize::from(agent.handle_timeout(now).is_some());
        }
    }
    assert_eq!(asked, 0);
    assert!(woken <= 120 / 8, "{woken}");
    agent.note_sent();
    let now = Instant::from_millis(120_500);
    prove(&mut agent, now, &peer);
}

#[test]
fn consent_ends_thirty_seconds_after_the_last_answer_and_is_asked_for_until_then() {
    let (mut agent, _, peer) = agent();
    connect(&mut agent, Instant::ZERO, &peer, path(1));
    let mut now = agent.poll_timeout().unwrap();
    prove(&mut agent, now, &peer);
    let last_answer = now;
    let mut asked = Vec::new();
    while agent.selected().is_some() {
        now = agent.poll_timeout().unwrap();
        asked.extend(agent.handle_timeout(now).map(|_| now.since(last_answer)));
    }
    assert!(asked.len() >= 3, "one lost answer is no end: {asked:?}");
    assert!(asked[1] < crate::limits::SILENCE_TOLD, "{asked:?}");
    assert_eq!(now, last_answer + CONSENT_TIMEOUT);
    assert!(agent.is_expired());
    assert_eq!(agent.poll_timeout(), None);
    connect(&mut agent, now, &peer, path(3));
    assert!(!agent.is_expired());
}

#[test]
fn a_peer_that_never_checks_expires_too() {
    let (mut agent, _, _) = agent();
    assert_eq!(agent.poll_timeout(), Some(Instant::ZERO + CONSENT_TIMEOUT));
    agent.handle_timeout(Instant::ZERO + CONSENT_TIMEOUT);
    assert!(agent.is_expired());
}

#[test]
fn during_a_restart_both_generations_live_until_the_new_one_is_nominated() {
    let (mut agent, mut rng, old) = agent();
    let now = Instant::from_millis(100);
    connect(&mut agent, now, &old, path(1));
    agent.restart(&mut rng);
    let new = Peer::new(agent.credentials(), "peer2");
    assert_ne!(new.local.ufrag, old.local.ufrag);
    agent.handle(now, path(1), &old.nomination()).unwrap();
    // New checks may come before the new description.
    agent.handle(now, path(2), &new.nomination()).unwrap();
    assert!(
        agent.handle_timeout(now).is_none(),
        "nothing to sign with yet"
    );
    agent.set_remote(now, new.credentials.clone());
    agent.set_remote(now, old.credentials.clone());
    agent.handle(now, path(1), &old.nomination()).unwrap();
    assert_eq!(agent.selected(), Some(path(1)));
    let outcome = prove(&mut agent, now, &new);
    assert_eq!(agent.selected(), Some(path(2)));
    assert_eq!(outcome.lost_paths.as_slice(), [path(1)]);
    let refused = agent.handle(now, path(1), &old.check()).unwrap_err();
    assert_eq!(refused, DropReason::UnknownUfrag);
}

#[test]
fn the_old_generation_ends_thirty_seconds_after_the_new_is_known_where_nothing_needs_it() {
    let (mut agent, mut rng, old) = agent();
    agent.handle(Instant::ZERO, path(1), &old.check()).unwrap();
    agent.restart(&mut rng);
    let new = Peer::new(agent.credentials(), "peer2");
    let known_at = Instant::from_millis(1_000);
    agent.set_remote(known_at, new.credentials.clone());
    let end = known_at + RESTART_OVERLAP;
    agent.note_authenticated(end, path(1));
    agent.handle_timeout(end - Duration::from_millis(1));
    assert!(agent.handle(end, path(1), &old.check()).is_ok());
    agent.handle_timeout(end);
    assert!(agent.handle(end, path(1), &old.check()).is_err());
    connect(&mut agent, end, &new, path(1));
}

#[test]
fn a_restart_that_is_not_completed_leaves_media_and_consent_where_they_were() {
    let (mut agent, mut rng, old) = agent();
    connect(&mut agent, Instant::ZERO, &old, path(1));
    agent.restart(&mut rng);
    let new = Peer::new(agent.credentials(), "peer2");
    agent.set_remote(Instant::ZERO, new.credentials.clone());
    let (mut now, mut asked) = (Instant::ZERO, 0);
    while now < Instant::from_millis(120_000) {
        agent.note_sent();
        now = agent.poll_timeout().unwrap().max(now);
        if let Some(request) = agent.handle_timeout(now) {
            asked += 1;
            let answer = old.answer(&request.bytes);
            agent.handle(now, request.path, &answer).unwrap();
        }
    }
    assert!(asked >= 20, "asked {asked} times in two minutes");
    assert_eq!(agent.selected(), Some(path(1)));
    // Completed at last, the old credentials are worth nothing.
    connect(&mut agent, now, &new, path(2));
    assert!(agent.handle(now, path(1), &old.check()).is_err());
    assert_eq!(agent.generations.len(), 1);
}

#[test]
fn what_comes_by_other_paths_keeps_the_peer_but_not_the_selected_path() {
    let (mut agent, _, peer) = agent();
    connect(&mut agent, Instant::ZERO, &peer, path(1));
    let mut lost_at = None;
    for second in 1..=70 {
        let now = Instant::from_millis(second * 1_000);
        // Our requests go to the selected path and are not answered.
        while agent.handle_timeout(now).is_some() {}
        agent.handle(now, path(2), &peer.check()).unwrap();
        agent.note_authenticated(now, path(2));
        if agent.selected().is_none() {
            lost_at.get_or_insert(second);
        }
    }
    assert_eq!(lost_at, Some(30));
    assert!(!agent.is_expired(), "it is there, by another path");
    // What was proved long ago is proved again before media goes there.
    let now = Instant::from_millis(71_000);
    agent.handle(now, path(1), &peer.nomination()).unwrap();
    assert_eq!(agent.selected(), None);
    prove(&mut agent, now, &peer);
    assert_eq!(agent.selected(), Some(path(1)));
}

#[test]
fn a_thousand_restarts_do_not_grow_anything() {
    let (mut agent, mut rng, first) = agent();
    connect(&mut agent, Instant::ZERO, &first, path(1));
    for round in 0..1_000_u16 {
        let now = Instant::from_millis(u64::from(round) * 50);
        agent.restart(&mut rng);
        let peer = Peer::new(agent.credentials(), &format!("peer{round}"));
        agent.set_remote(now, peer.credentials.clone());
        connect(&mut agent, now, &peer, path(round % 40 + 1));
        assert!(agent.generations.len() == 1 && agent.paths().count() == 1);
    }
}

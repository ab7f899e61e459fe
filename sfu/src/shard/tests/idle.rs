//! What it costs to be there: how often a participant to whom nothing happens is looked at, and what
//! is sent to it.

use super::guest::*;
use super::*;
use crate::outbox::Outbox;

const GUESTS: u64 = 20;

/// From deadline to deadline until `end`, with everybody answering what it is asked.
fn sleep_until(from: Instant, end: Instant, shard: &mut Shard, guests: &mut [Guest]) -> u64 {
    let mut wakes = 0;
    let mut now = from;
    loop {
        now = shard.poll_timeout().unwrap_or(end).max(now);
        if now >= end {
            return wakes;
        }
        wakes += 1;
        let mut all: Vec<&mut Guest> = guests.iter_mut().collect();
        exchange(now, shard, &mut all);
        let told = events(shard);
        assert!(told.is_empty(), "nothing happens: {told:?}");
    }
}

fn together(lines: &[LineText], shard: &mut Shard) -> (Instant, Vec<Guest>) {
    support::create(shard, ROOM.0, 100);
    let mut guests: Vec<Guest> = (1..=GUESTS)
        .map(|id| connected(Instant::ZERO, shard, id, false, lines))
        .collect();
    let mut all: Vec<&mut Guest> = guests.iter_mut().collect();
    let now = pass(Instant::ZERO, 3_000, shard, &mut all);
    events(shard);
    (now, guests)
}

/// Deadlines, turns in departures and datagrams of each participant in a minute, and wakes of all.
fn minute(from: Instant, shard: &mut Shard, guests: &mut [Guest]) -> [u64; 4] {
    let before = shard.stats().clone();
    let wakes = sleep_until(from, from + Duration::from_secs(60), shard, guests);
    let after = shard.stats();
    [
        (after.deadlines - before.deadlines) / GUESTS,
        (after.visits - before.visits) / GUESTS,
        (after.datagrams_out - before.datagrams_out) / GUESTS,
        wakes,
    ]
}

#[test]
fn an_idle_participant_costs_its_consent_checks_and_they_come_together() {
    let mut shard = shard();
    let (now, mut guests) = together(&[line("a", false, "recvonly", 0)], &mut shard);
    let [deadlines, visits, datagrams, wakes] = minute(now, &mut shard, &mut guests);
    // A check in twelve seconds, some of them a little sooner, and nothing beside.
    assert!((4..=6).contains(&datagrams), "{datagrams} datagrams");
    assert!(deadlines <= 6, "{deadlines} deadlines");
    assert!(visits <= 6, "{visits} turns");
    assert!(wakes <= GUESTS * 6, "{wakes} wakes");
}

#[test]
fn who_is_only_there_and_loses_its_socket_is_asked_before_it_is_taken_for_gone() {
    let mut shard = shard();
    let (mut now, mut guests) = together(&[line("a", false, "recvonly", 0)], &mut shard);
    // Up to twelve seconds may have passed since it was asked last.
    sleep_until(now, now + Duration::from_secs(29), &mut shard, &mut guests);
    now += Duration::from_secs(29);
    let guest = |id| (ROOM, ParticipantId(id));
    for id in 1..=GUESTS {
        let (room, participant) = guest(id);
        let settle = Command::SetSilenceMax {
            room,
            participant,
            silence_max: Duration::from_secs(6),
        };
        assert!(shard.handle_command(now, settle).is_ok());
    }
    sleep_until(now, now + Duration::from_secs(30), &mut shard, &mut guests);
    now += Duration::from_secs(30);
    assert_eq!(shard.sizes().participants as u64, GUESTS, "all answer");
    // And who does not answer is gone in a few seconds.
    let gone = support::run(&mut shard, now + Duration::from_secs(7));
    assert_eq!(gone.len() as u64, GUESTS, "{gone:?}");
}

#[test]
fn a_room_in_which_all_have_fallen_silent_costs_no_more() {
    let mut shard = shard();
    let lines = [line("a", false, "recvonly", 0)];
    let (mut now, mut guests) = together(&lines, &mut shard);
    let speaks = [line("a", false, "sendonly", 11)];
    let mut ada = connected(now, &mut shard, GUESTS + 1, false, &speaks);
    for sequence in 0..50 {
        ada.rtp(now, &mut shard, (96, 11, sequence), &[], &sound(1));
        let mut all: Vec<&mut Guest> = guests.iter_mut().collect();
        all.push(&mut ada);
        now = pass(now, 20, &mut shard, &mut all);
    }
    assert!(guests.iter().all(|guest| guest.heard.len() >= 45));
    guests.push(ada);
    let mut all: Vec<&mut Guest> = guests.iter_mut().collect();
    now = pass(now, 2_000, &mut shard, &mut all);
    events(&mut shard);
    let [deadlines, visits, datagrams, _] = minute(now, &mut shard, &mut guests);
    // Sections that send nothing have nothing to report (RFC 3550 §6.4).
    assert!((4..=7).contains(&datagrams), "{datagrams} datagrams");
    assert!(deadlines <= 7, "{deadlines} deadlines");
    assert!(visits <= 7, "{visits} turns");
}

#[test]
fn time_alone_makes_nothing_leave_an_empty_room() {
    let mut shard = shard();
    let (now, mut guests) = together(&[line("a", false, "recvonly", 0)], &mut shard);
    for guest in &mut guests {
        guest.mute = true;
    }
    // Silent for thirty seconds: all are gone, and with them every deadline.
    let mut all: Vec<&mut Guest> = guests.iter_mut().collect();
    pass(now, 31_000, &mut shard, &mut all);
    assert_eq!(shard.sizes().participants, 0);
    assert_eq!(shard.poll_timeout(), None);
    let departed = shard.depart(now, &mut Outbox::new());
    assert_eq!(departed, Departed::Done);
}

//! Permissions taken and given while media flows.

use super::guest::*;
use super::*;

fn permit(guest: &Guest, change: impl FnOnce(&mut Permissions)) -> Command {
    let mut permissions = Permissions::default();
    change(&mut permissions);
    Command::UpdateParticipant {
        room: guest.room,
        participant: guest.id,
        permissions,
    }
}

/// Ada publishes sound and pictures, lin receives them.
fn pair() -> (Shard, Guest, Guest) {
    let mut shard = shard();
    support::create(&mut shard, 7, 10);
    let sends = [
        line("a", false, "sendonly", 11),
        line("v", true, "sendonly", 12),
    ];
    let ada = connected(Instant::ZERO, &mut shard, 1, false, &sends);
    let hears = [
        line("a", false, "recvonly", 0),
        line("v", true, "recvonly", 0),
    ];
    let lin = connected(Instant::ZERO, &mut shard, 2, false, &hears);
    (shard, ada, lin)
}

fn speak(now: Instant, shard: &mut Shard, ada: &mut Guest, number: u8, key: bool) {
    let sequence = u16::from(number);
    ada.rtp(now, shard, (96, 11, sequence), &[], &sound(number));
    ada.rtp(now, shard, (120, 12, sequence), &[], &picture(key, number));
}

fn heard(lin: &Guest, number: u8) -> (bool, bool) {
    let has = |payload: Vec<u8>| lin.heard.iter().any(|one| one.payload == payload);
    let pictures = has(picture(true, number)) || has(picture(false, number));
    (has(sound(number)), pictures)
}

#[test]
fn nothing_of_a_kind_leaves_after_its_permission_is_taken_and_all_of_it_once_it_is_back() {
    let (mut shard, mut ada, mut lin) = pair();
    let mut now = Instant::from_millis(100);
    speak(now, &mut shard, &mut ada, 1, true);
    now = pass(now, 100, &mut shard, &mut [&mut ada, &mut lin]);
    assert_eq!(heard(&lin, 1), (true, true));
    ada.plis.clear();

    // What has arrived and not left yet does not leave either.
    speak(now, &mut shard, &mut ada, 2, false);
    let revoke = permit(&ada, |may| may.publish_video = false);
    shard.handle_command(now, revoke).unwrap();
    now = pass(now, 100, &mut shard, &mut [&mut ada, &mut lin]);
    assert_eq!(heard(&lin, 2), (true, false));
    speak(now, &mut shard, &mut ada, 3, true);
    now = pass(now, 1_000, &mut shard, &mut [&mut ada, &mut lin]);
    assert_eq!(heard(&lin, 3), (true, false));
    assert_eq!(ada.plis, [0; 0], "nobody waits for a picture");

    let grant = permit(&ada, |_| {});
    shard.handle_command(now, grant).unwrap();
    now = pass(now, 20, &mut shard, &mut [&mut ada, &mut lin]);
    assert_eq!(ada.plis, [12], "asked for at once");
    speak(now, &mut shard, &mut ada, 4, false);
    speak(now, &mut shard, &mut ada, 5, true);
    pass(now, 100, &mut shard, &mut [&mut ada, &mut lin]);
    assert_eq!(heard(&lin, 4), (true, false), "not before a key frame");
    assert_eq!(heard(&lin, 5), (true, true));
}

#[test]
fn who_may_not_subscribe_any_more_gets_nothing_more_and_all_again_when_it_may() {
    let (mut shard, mut ada, mut lin) = pair();
    let mut now = Instant::from_millis(100);
    speak(now, &mut shard, &mut ada, 1, true);
    now = pass(now, 100, &mut shard, &mut [&mut ada, &mut lin]);
    assert_eq!(heard(&lin, 1), (true, true));
    speak(now, &mut shard, &mut ada, 2, true);
    let revoke = permit(&lin, |may| may.subscribe = false);
    shard.handle_command(now, revoke).unwrap();
    let before = lin.heard.len();
    now = pass(now, 100, &mut shard, &mut [&mut ada, &mut lin]);
    speak(now, &mut shard, &mut ada, 3, true);
    now = pass(now, 100, &mut shard, &mut [&mut ada, &mut lin]);
    assert_eq!(lin.heard.len(), before);
    let grant = permit(&lin, |_| {});
    shard.handle_command(now, grant).unwrap();
    speak(now, &mut shard, &mut ada, 4, true);
    pass(now, 100, &mut shard, &mut [&mut ada, &mut lin]);
    assert_eq!(heard(&lin, 4), (true, true));
}

#[test]
fn what_was_offered_without_permission_is_asked_for_when_it_is_given() {
    let mut shard = shard();
    support::create(&mut shard, 7, 10);
    let mut ada = Guest::join(&mut shard, 1, true);
    let revoke = permit(&ada, |may| may.publish_audio = false);
    shard.handle_command(Instant::ZERO, revoke).unwrap();
    let sends = [line("a", false, "sendonly", 11)];
    let answer = ada.negotiate(Instant::ZERO, &mut shard, &sends);
    assert!(!answer.sections[0].direction.receives());
    ada.nominate(Instant::ZERO, &mut shard);
    exchange(Instant::ZERO, &mut shard, &mut [&mut ada]);
    let hears = [line("a", false, "recvonly", 0)];
    let mut lin = connected(Instant::ZERO, &mut shard, 2, false, &hears);
    let now = pass(Instant::ZERO, 1_000, &mut shard, &mut [&mut ada, &mut lin]);
    assert_eq!(tracks_of(&events(&mut shard), &ada), []);

    let grant = permit(&ada, |_| {});
    shard.handle_command(now, grant.clone()).unwrap();
    let offers = |shard: &mut Shard| {
        let mut found = Vec::new();
        for event in events(shard) {
            if let Event::Offer { description, .. } = event {
                found.push(description.sections[0].direction);
            }
        }
        found
    };
    let asked = offers(&mut shard);
    assert!(
        matches!(asked.as_slice(), [direction] if direction.receives()),
        "{asked:?}"
    );
    ada.answer(now, &mut shard, &sends).unwrap();
    let now = now + Duration::from_millis(10);
    ada.rtp(now, &mut shard, (96, 11, 1), &[], &sound(1));
    let now = pass(now, 50, &mut shard, &mut [&mut ada, &mut lin]);
    assert_eq!(heard(&lin, 1), (true, false));
    // Nothing is withheld any more, so nothing is asked for.
    shard.handle_command(now, grant).unwrap();
    pass(now, 500, &mut shard, &mut [&mut ada, &mut lin]);
    assert_eq!(offers(&mut shard), []);
}

#[test]
fn a_track_whose_source_is_yet_to_be_told_is_muted_until_it_is() {
    let mut shard = shard();
    support::create(&mut shard, 7, 10);
    let mut ada = Guest::join(&mut shard, 1, true);
    let some = permit(&ada, |may| may.muted_at_first = true);
    shard.handle_command(Instant::ZERO, some).unwrap();
    let sends = [line("a", false, "sendonly", 11)];
    ada.negotiate(Instant::ZERO, &mut shard, &sends);
    ada.nominate(Instant::ZERO, &mut shard);
    exchange(Instant::ZERO, &mut shard, &mut [&mut ada]);
    let hears = [line("a", false, "recvonly", 0)];
    let mut lin = connected(Instant::ZERO, &mut shard, 2, false, &hears);
    let mut told = Vec::new();
    for event in events(&mut shard) {
        if let Event::TrackChanged { facts, .. } = event {
            told.push((facts.track, facts.muted));
        }
    }
    let [(track, true)] = told[..] else {
        panic!("{told:?}");
    };
    let mut now = Instant::from_millis(100);
    ada.rtp(now, &mut shard, (96, 11, 1), &[], &sound(1));
    now = pass(now, 100, &mut shard, &mut [&mut ada, &mut lin]);
    assert_eq!(heard(&lin, 1), (false, false));
    let command = Command::SetTrackMuted {
        room: ROOM,
        track,
        muted: false,
    };
    shard.handle_command(now, command).unwrap();
    ada.rtp(now, &mut shard, (96, 11, 2), &[], &sound(2));
    pass(now, 100, &mut shard, &mut [&mut ada, &mut lin]);
    assert_eq!(heard(&lin, 2), (true, false));
}

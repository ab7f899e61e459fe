//! A participant goes to another room of its shard.

use super::guest::*;
use super::*;

const THERE: RoomId = RoomId(8);

fn move_to(guest: &Guest, destination: RoomId) -> Command {
    Command::MoveParticipant {
        room: guest.room,
        participant: guest.id,
        destination,
    }
}

/// Sound 11 and pictures 12 both ways.
fn both() -> [LineText; 2] {
    [
        line("a", false, "sendrecv", 11),
        line("v", true, "sendrecv", 12),
    ]
}

/// Ada and lin in one room, eve in another; all publish and receive.
fn three() -> (Shard, Guest, Guest, Guest) {
    let mut shard = shard();
    support::create(&mut shard, 7, 10);
    support::create(&mut shard, 8, 2);
    let ada = connected(Instant::ZERO, &mut shard, 1, false, &both());
    let lin = connected(Instant::ZERO, &mut shard, 2, false, &both());
    let mut eve = connected(Instant::ZERO, &mut shard, 3, false, &both());
    // She joined where all guests do, and goes where she is wanted.
    shard
        .handle_command(Instant::ZERO, move_to(&eve, THERE))
        .unwrap();
    eve.room = THERE;
    (shard, ada, lin, eve)
}

/// What `speaker` says in packet `number`.
fn content(speaker: u64, number: u16) -> u8 {
    u8::try_from(speaker * 50 + u64::from(number % 50)).unwrap()
}

/// Everybody sends `number` as sound and as a key frame.
fn speak(now: Instant, shard: &mut Shard, guests: &mut [&mut Guest], number: u16) -> Instant {
    for guest in &mut *guests {
        let content = content(guest.id.0, number);
        guest.rtp(now, shard, (96, 11, number), &[], &sound(content));
        let frame = picture(true, content);
        guest.rtp(now, shard, (120, 12, number), &[], &frame);
    }
    pass(now, 50, shard, guests)
}

/// Whose sound and pictures of `number` a guest has heard.
fn heard(guest: &Guest, number: u16) -> Vec<(u64, &'static str)> {
    let mut found = Vec::new();
    for speaker in 1..=3 {
        let content = content(speaker, number);
        let has = |payload: Vec<u8>| guest.heard.iter().any(|one| one.payload == payload);
        if has(sound(content)) {
            found.push((speaker, "sound"));
        }
        if has(picture(true, content)) {
            found.push((speaker, "picture"));
        }
    }
    found
}

fn unpublished(events: &[Event]) -> Vec<(u64, TrackId)> {
    let gone = events.iter().filter_map(|event| {
        let Event::TrackUnpublished { room, track, .. } = event else {
            return None;
        };
        Some((room.0, *track))
    });
    gone.collect()
}

fn published(events: &[Event], guest: &Guest) -> Vec<(u64, TrackId)> {
    let here = events.iter().filter_map(|event| {
        let Event::TrackChanged { room, facts } = event else {
            return None;
        };
        (facts.participant == guest.id).then_some((room.0, facts.track))
    });
    here.collect()
}

/// The same SSRCs as before, and each number once and without a gap: [`Guest`] refuses a second use
/// of an SRTP index as well.
fn assert_runs_on(before: &[Heard], all: &[Heard]) {
    let ssrcs = |heard: &[Heard]| {
        let mut ssrcs: Vec<u32> = heard.iter().map(|one| one.ssrc).collect();
        ssrcs.sort_unstable();
        ssrcs.dedup();
        ssrcs
    };
    assert_eq!(ssrcs(all), ssrcs(before));
    for ssrc in ssrcs(before) {
        let of = all.iter().filter(|one| one.ssrc == ssrc);
        let numbers: Vec<u16> = of.map(|one| one.sequence).collect();
        let runs = |pair: &[u16]| pair[0].wrapping_add(1) == pair[1];
        assert!(numbers.windows(2).all(runs), "{numbers:?}");
    }
}

#[test]
fn a_moved_participant_keeps_transport_numbers_and_tracks() {
    let (mut shard, mut ada, mut lin, mut eve) = three();
    let mut now = Instant::from_millis(100);
    let tracks = tracks_of(&events(&mut shard), &ada);
    assert_eq!(tracks.len(), 2);
    for number in 1..=5 {
        now = speak(now, &mut shard, &mut [&mut ada, &mut lin, &mut eve], number);
    }
    let both_of = |id| vec![(id, "sound"), (id, "picture")];
    assert_eq!(heard(&ada, 5), both_of(2));
    assert_eq!(heard(&eve, 5), []);
    let before = ada.heard.clone();
    events(&mut shard);
    eve.plis.clear();

    shard.handle_command(now, move_to(&ada, THERE)).unwrap();
    // The same again: done. She is there.
    shard.handle_command(now, move_to(&ada, THERE)).unwrap();
    let news = events(&mut shard);
    let gone: Vec<_> = tracks.iter().map(|track| (7, *track)).collect();
    let here: Vec<_> = tracks.iter().map(|track| (8, *track)).collect();
    assert_eq!(unpublished(&news), gone);
    assert_eq!(published(&news, &ada), here);
    assert!(
        !news
            .iter()
            .any(|event| matches!(event, Event::ParticipantLeft { .. }))
    );
    ada.room = THERE;
    now = pass(now, 20, &mut shard, &mut [&mut ada, &mut lin, &mut eve]);
    assert_eq!(eve.plis, [12], "a key frame is asked for whoever comes");

    for number in 6..=10 {
        now = speak(now, &mut shard, &mut [&mut ada, &mut lin, &mut eve], number);
    }
    assert_eq!(heard(&ada, 10), both_of(3));
    assert_eq!(heard(&eve, 10), both_of(1));
    assert_eq!(heard(&lin, 10), []);
    assert_runs_on(&before, &ada.heard);
    // Her descriptions are taken in the new room, and all is freed when she leaves it.
    ada.negotiate(now, &mut shard, &both());
    let leave = Command::Leave {
        room: THERE,
        participant: ada.id,
        reason: LeaveReason::LeftItself,
    };
    shard.handle_command(now, leave).unwrap();
    let sizes = shard.sizes();
    assert_eq!(
        (sizes.participants, sizes.tracks, sizes.sections),
        (2, 4, 4)
    );
    assert_eq!((sizes.timers, sizes.paths), (4, 2));
}

#[test]
fn a_move_that_is_refused_leaves_all_as_it_was() {
    let (mut shard, mut ada, mut lin, mut eve) = three();
    let fourth = Guest::join(&mut shard, 4, false);
    shard
        .handle_command(Instant::ZERO, move_to(&fourth, THERE))
        .unwrap();
    events(&mut shard);
    let before = shard.sizes();
    let full = CommandError::LimitReached {
        limit: "participants_max",
        value: 2,
    };
    for (destination, error) in [
        (THERE, full),
        (RoomId(9), CommandError::OnOtherShard(RoomId(9))),
    ] {
        let refused = shard.handle_command(Instant::ZERO, move_to(&ada, destination));
        assert_eq!(refused.err(), Some(error));
        assert_eq!(shard.sizes(), before);
        assert!(events(&mut shard).is_empty());
    }
    let stranger = Command::MoveParticipant {
        room: ROOM,
        participant: ParticipantId(99),
        destination: THERE,
    };
    let missing = CommandError::NotFound(Missing::Participant(ParticipantId(99)));
    assert_eq!(
        shard.handle_command(Instant::ZERO, stranger).err(),
        Some(missing)
    );
    let now = Instant::from_millis(100);
    speak(now, &mut shard, &mut [&mut ada, &mut lin, &mut eve], 1);
    assert_eq!(heard(&lin, 1), [(1, "sound"), (1, "picture")]);
}

#[test]
fn there_and_back_a_hundred_times_grows_nothing() {
    let (mut shard, mut ada, mut lin, mut eve) = three();
    let mut now = Instant::from_millis(100);
    now = speak(now, &mut shard, &mut [&mut ada, &mut lin, &mut eve], 1);
    let before = shard.sizes();
    let mut number = 1;
    for _ in 0..100 {
        for destination in [THERE, ROOM] {
            shard
                .handle_command(now, move_to(&ada, destination))
                .unwrap();
            ada.room = destination;
            number += 1;
            now = speak(now, &mut shard, &mut [&mut ada, &mut lin, &mut eve], number);
            events(&mut shard);
        }
    }
    let after = shard.sizes();
    assert_eq!(
        (before.sections, before.tracks, before.timers, before.paths),
        (after.sections, after.tracks, after.timers, after.paths)
    );
    lin.heard.clear();
    number += 1;
    speak(now, &mut shard, &mut [&mut ada, &mut lin, &mut eve], number);
    assert_eq!(heard(&lin, number), [(1, "sound"), (1, "picture")]);
}

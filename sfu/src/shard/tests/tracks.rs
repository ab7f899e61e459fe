//! What becomes of tracks: taken away, forbidden, and given back.

use super::guest::*;
use super::*;

fn unpublish(track: TrackId) -> Command {
    Command::UnpublishTrack { room: ROOM, track }
}

#[test]
fn an_unpublished_track_is_gone_until_its_m_line_goes_away_and_comes_back() {
    let mut shard = shard();
    support::create(&mut shard, 7, 10);
    let two = |direction| {
        [
            line("a", false, direction, 11),
            line("b", false, "sendonly", 0),
        ]
    };
    let mut ada = connected(Instant::ZERO, &mut shard, 1, false, &two("sendonly"));
    let hears = [
        line("a", false, "recvonly", 0),
        line("b", false, "recvonly", 0),
    ];
    let mut lin = connected(Instant::ZERO, &mut shard, 2, false, &hears);
    let tracks = tracks_of(&events(&mut shard), &ada);
    let mut now = Instant::from_millis(100);
    let mut number = 0;
    let mut hears = |shard: &mut Shard, ada: &mut Guest, lin: &mut Guest, named: &[(u8, &str)]| {
        number += 1;
        now += Duration::from_millis(40);
        let content = sound(number);
        ada.rtp(now, shard, (96, 11, u16::from(number)), named, &content);
        pass(now, 30, shard, &mut [ada, lin]);
        lin.heard.iter().any(|one| one.payload == content)
    };
    assert!(hears(&mut shard, &mut ada, &mut lin, &[(9, "a")]));

    let missing = shard.handle_command(Instant::ZERO, unpublish(TrackId(99)));
    assert_eq!(
        missing.err(),
        Some(CommandError::NotFound(Missing::Track(TrackId(99))))
    );
    shard
        .handle_command(Instant::ZERO, unpublish(tracks[0]))
        .unwrap();
    let gone = |events: &[Event]| {
        let is_it = |event: &&Event| matches!(event, Event::TrackUnpublished { track, .. } if *track == tracks[0]);
        events.iter().filter(is_it).count()
    };
    assert_eq!(gone(&events(&mut shard)), 1);
    // Neither under its name nor, since both m-lines have the same payload type, as another's.
    assert!(!hears(&mut shard, &mut ada, &mut lin, &[(9, "a")]));
    assert!(!hears(&mut shard, &mut ada, &mut lin, &[]));
    // The same offer again changes nothing.
    ada.negotiate(Instant::from_millis(500), &mut shard, &two("sendonly"));
    assert!(!hears(&mut shard, &mut ada, &mut lin, &[(9, "a")]));
    assert_eq!(tracks_of(&events(&mut shard), &ada), []);

    ada.negotiate(Instant::from_millis(600), &mut shard, &two("inactive"));
    ada.negotiate(Instant::from_millis(700), &mut shard, &two("sendonly"));
    assert!(hears(&mut shard, &mut ada, &mut lin, &[(9, "a")]));
    let new = tracks_of(&events(&mut shard), &ada);
    assert_eq!(new.len(), 1);
    assert_ne!(new[0], tracks[0]);
}

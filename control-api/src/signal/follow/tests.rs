//! A viewer's choice, step by step: by participant, by track, by who speaks.

use std::sync::Arc;

use sfu::id::Mid;
use sfu::units::AudioLevel;
use sfu::wire::payload::Codec;

use super::*;
use crate::clock::{Ulid, UnixTime};
use sfu::error::LeaveReason;

const ONE: Places = Places { audio: 1, video: 1 };

fn name(text: &str) -> ParticipantName {
    ParticipantName::new(text).unwrap()
}

fn track(id: u64, owner: &str, source: TrackSource, muted: bool) -> RoomNews {
    let kind = match source {
        TrackSource::Microphone | TrackSource::ScreenAudio => MediaKind::Audio,
        TrackSource::Camera | TrackSource::Screen | TrackSource::Other => MediaKind::Video,
    };
    RoomNews::Published(Arc::new(TrackView {
        id: TrackId(id),
        participant: name(owner),
        mid: Mid::new("0").unwrap(),
        kind,
        source,
        codec: Codec::Vp8,
        muted_by_publisher: muted,
        muted_by_server: false,
        forbidden: false,
        uid: Ulid::from_u128(u128::from(id)),
        create_time: UnixTime::default(),
    }))
}

fn speakers(names: &[&str]) -> RoomNews {
    let named = names.iter().map(|it| (name(it), AudioLevel(20)));
    RoomNews::Speakers(Arc::new(named.collect()))
}

/// A viewer of a room with Ada (1, 2) and Lin (3, 4): microphone and camera each.
fn follow(rule: Rule, places: Places, now: Instant) -> Follow {
    let mut follow = Follow::new(rule, places, &name("viewer"), &[]);
    for (id, owner, source) in [
        (1, "ada", TrackSource::Microphone),
        (2, "ada", TrackSource::Camera),
        (3, "lin", TrackSource::Microphone),
        (4, "lin", TrackSource::Camera),
    ] {
        follow.hear(now, track(id, owner, source, false));
    }
    follow
}

/// What is shown once the wishes of `now` are stated.
fn shown(follow: &mut Follow, now: Instant) -> Vec<u64> {
    let wishes = follow.wishes(now);
    follow.stated(&wishes);
    follow.wanted.iter().map(|id| id.0).collect()
}

fn after(start: Instant, millis: u64) -> Instant {
    start + Duration::from_millis(millis)
}

#[test]
fn the_first_is_shown_until_somebody_speaks_and_a_cough_changes_nothing() {
    let start = Instant::now();
    let mut it = follow(Rule::Speaker, ONE, start);
    assert_eq!(shown(&mut it, start), [1, 2]);
    // The first to speak at all is shown at once.
    it.hear(after(start, 100), speakers(&["lin"]));
    assert_eq!(shown(&mut it, after(start, 100)), [3, 4]);
    // A cough: 300 ms, then Lin again.
    it.hear(after(start, 1_000), speakers(&["ada", "lin"]));
    assert_eq!(it.due(), Some(after(start, 2_500)));
    it.hear(after(start, 1_300), speakers(&["lin"]));
    assert_eq!(it.due(), None);
    assert_eq!(shown(&mut it, after(start, 4_000)), [3, 4]);
    // A turn, with a breath in it.
    it.hear(after(start, 5_000), speakers(&["ada"]));
    it.hear(after(start, 5_500), speakers(&[]));
    it.hear(after(start, 5_900), speakers(&["ada"]));
    assert_eq!(shown(&mut it, after(start, 6_499)), [3, 4]);
    assert_eq!(it.due(), Some(after(start, 6_500)));
    assert_eq!(shown(&mut it, after(start, 6_500)), [1, 2]);
    assert_eq!(it.due(), None);
    // One word, then silence: whoever had the turn keeps it.
    it.hear(after(start, 9_000), speakers(&["lin"]));
    it.hear(after(start, 9_200), speakers(&[]));
    assert_eq!(it.due(), Some(after(start, 10_200)));
    assert_eq!(shown(&mut it, after(start, 10_200)), [1, 2]);
    assert_eq!(it.due(), None);
}

#[test]
fn two_who_take_turns_faster_than_that_change_nothing() {
    let start = Instant::now();
    let mut it = follow(Rule::Speaker, ONE, start);
    it.hear(start, track(5, "eve", TrackSource::Camera, false));
    it.hear(start, speakers(&["ada"]));
    for step in 1..20 {
        let now = after(start, step * 700);
        let who = if step % 2 == 0 { "lin" } else { "eve" };
        it.hear(now, speakers(&[who]));
        assert_eq!(shown(&mut it, now), [1, 2], "{step}");
    }
}

#[test]
fn who_leaves_is_followed_by_the_next_and_wishes_are_stated_once() {
    let start = Instant::now();
    let mut it = follow(Rule::Speaker, ONE, start);
    it.hear(start, speakers(&["lin"]));
    assert_eq!(shown(&mut it, start), [3, 4]);
    assert_eq!(it.wishes(start), []);
    it.hear(start, RoomNews::Left(name("lin"), LeaveReason::LeftItself));
    let wishes = it.wishes(start);
    // Lin's wishes ended with the tracks: only new ones are left to state.
    assert!(wishes.iter().all(|wish| wish.wanted), "{wishes:?}");
    assert_eq!(shown(&mut it, start), [1, 2]);
    it.hear(start, RoomNews::Unpublished(TrackId(2)));
    assert_eq!(shown(&mut it, start), [1]);
    // A wish for what went meanwhile is not believed.
    let wish = Wish {
        track: TrackId(2),
        wanted: true,
        paused: false,
        priority: 128,
        height: 0,
        pinned: false,
    };
    it.stated(&[wish]);
    assert_eq!(shown(&mut it, start), [1]);
}

#[test]
fn what_is_muted_makes_room_for_what_is_not() {
    let start = Instant::now();
    let mut it = follow(Rule::Speaker, ONE, start);
    it.hear(start, speakers(&["ada"]));
    it.hear(start, track(2, "ada", TrackSource::Camera, true));
    // Ada is heard; the picture is Lin's.
    assert_eq!(shown(&mut it, start), [1, 4]);
    it.hear(start, track(4, "lin", TrackSource::Camera, true));
    assert_eq!(shown(&mut it, start), [1, 2]);
}

#[test]
fn rules_and_places_bound_what_is_shown() {
    let start = Instant::now();
    for (what, rule, places, expected) in [
        ("Lin", Rule::Participant(name("lin")), ONE, vec![3, 4]),
        ("nobody", Rule::Participant(name("eve")), ONE, vec![]),
        ("herself", Rule::Participant(name("viewer")), ONE, vec![]),
        (
            "by track",
            Rule::Tracks(vec![TrackId(4), TrackId(1), TrackId(9)]),
            ONE,
            vec![1, 4],
        ),
        (
            "two tracks, one place",
            Rule::Tracks(vec![TrackId(4), TrackId(2)]),
            ONE,
            vec![4],
        ),
        (
            "pictures only",
            Rule::Speaker,
            Places { audio: 0, video: 1 },
            vec![2],
        ),
        (
            "everybody",
            Rule::Speaker,
            Places { audio: 3, video: 3 },
            vec![1, 2, 3, 4],
        ),
        (
            "nothing",
            Rule::Speaker,
            Places { audio: 0, video: 0 },
            vec![],
        ),
    ] {
        let mut it = follow(rule, places, start);
        assert_eq!(shown(&mut it, start), expected, "{what}");
    }
}

#[test]
fn a_camera_comes_before_a_screen_of_the_same_person() {
    let start = Instant::now();
    let mut it = Follow::new(Rule::Speaker, ONE, &name("viewer"), &[]);
    it.hear(start, track(1, "ada", TrackSource::Screen, false));
    assert_eq!(shown(&mut it, start), [1]);
    it.hear(start, track(2, "ada", TrackSource::Camera, false));
    assert_eq!(shown(&mut it, start), [2]);
}

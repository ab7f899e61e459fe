//! Traces of levels, and who is among the loudest.

use super::*;

/// Feeds 20 ms packets of `voices` tracks; the members of the set of `n` whenever they change, in
/// order of track.
fn members(
    ms: u64,
    (voices, n): (u32, usize),
    level: impl Fn(u64, u32) -> Option<u8>,
) -> Vec<(u64, Vec<u32>)> {
    let mut loudest = Loudest::default();
    let mut told: Vec<(u64, Vec<u32>)> = Vec::new();
    for now in (0..ms).step_by(20) {
        let at = Instant::from_millis(now);
        for track in 0..voices {
            if let Some(level) = level(now, track) {
                loudest.heard(at, TrackKey(track), AudioLevel(level));
            }
        }
        loudest.handle_timeout(at);
        let mut set: Vec<u32> = loudest.set(n).map(|track| track.0).collect();
        set.sort_unstable();
        if told
            .last()
            .map_or(!set.is_empty(), |(_, last)| *last != set)
        {
            told.push((now, set));
        }
    }
    told
}

#[test]
fn a_voice_enters_a_free_place_within_200_ms_and_leaves_1500_ms_after_its_last_word() {
    let news = members(6_000, (3, 3), |now, track| {
        Some(if track == 1 && (1_000..3_000).contains(&now) {
            25
        } else {
            75
        })
    });
    assert_eq!(news.len(), 2, "{news:?}");
    assert!((1_100..=1_200).contains(&news[0].0), "{news:?}");
    assert_eq!(news[0].1, [1]);
    assert!((4_500..=4_900).contains(&news[1].0), "{news:?}");
    assert!(news[1].1.is_empty());
}

#[test]
fn three_db_are_needed_to_take_a_place() {
    for (newcomer, takes) in [(30, false), (28, false), (26, true), (10, true)] {
        let news = members(8_000, (2, 1), |now, track| match track {
            0 => Some(30),
            _ => (now >= 2_000).then_some(newcomer),
        });
        let taken = news.last().is_some_and(|(_, set)| *set == [1]);
        assert_eq!(taken, takes, "{newcomer}: {news:?}");
    }
}

#[test]
fn a_place_is_kept_for_800_ms() {
    let news = members(4_000, (2, 1), |now, track| match (track, now) {
        (0, 1_000..) => Some(30),
        (1, 1_200..) => Some(10),
        _ => Some(80),
    });
    assert_eq!(news[0].1, [0]);
    assert_eq!(news[1].1, [1]);
    let held = news[1].0 - news[0].0;
    assert!((800..=820).contains(&held), "{news:?}");
}

#[test]
fn voices_that_are_nearly_equal_do_not_take_turns() {
    let news = members(20_000, (4, 3), |now, track| {
        Some(30 + u8::try_from((now / 200 + u64::from(track)) % 3).unwrap())
    });
    assert_eq!(news.len(), 1, "{news:?}");
}

#[test]
fn a_click_and_a_short_cough_are_no_voices() {
    let news = members(4_000, (4, 3), |now, track| match track {
        0 => Some(20),
        1 => Some(if now % 1_000 < 40 { 5 } else { 60 }),
        2 => Some(if (2_000..2_140).contains(&now) { 5 } else { 60 }),
        _ => Some(50),
    });
    assert_eq!(news.len(), 1, "{news:?}");
    assert_eq!(news[0].1, [0]);
}

#[test]
fn a_voice_without_levels_has_a_place_that_is_free_and_makes_place_first() {
    let news = members(6_000, (4, 2), |now, track| match track {
        3 => Some(UNTOLD.0),
        2 => (now >= 3_000).then_some(28),
        1 => Some(15),
        _ => Some(90),
    });
    assert_eq!(news[0].1, [1, 3], "{news:?}");
    assert_eq!(news.last().unwrap().1, [1, 2], "{news:?}");
    // DTX: a packet in 400 ms.
    let silent = members(6_000, (1, 2), |now, _| {
        now.is_multiple_of(400).then_some(UNTOLD.0)
    });
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn the_ranking_is_read_loudest_first_and_sets_of_each_size_agree() {
    let mut loudest = Loudest::default();
    for now in (0..2_000).step_by(20) {
        for track in 0..20 {
            let level = AudioLevel(10 + u8::try_from(track).unwrap());
            loudest.heard(Instant::from_millis(now), TrackKey(19 - track), level);
        }
        loudest.handle_timeout(Instant::from_millis(now));
    }
    for n in 0..=20_usize {
        let set: Vec<u32> = loudest.set(n).map(|track| track.0).collect();
        let expected = (0..20).rev().take(n.min(LOUDEST_RANKS));
        assert_eq!(set, expected.collect::<Vec<u32>>(), "{n}");
    }
    assert_eq!(
        loudest.level(Instant::from_millis(1_980), TrackKey(19)).0,
        10
    );
    assert_ne!(loudest.take_changed(), 0);
    assert_eq!(loudest.take_changed(), 0);
}

#[test]
fn who_is_gone_has_no_place_and_silence_needs_no_tick() {
    let mut loudest = Loudest::default();
    for now in (0..1_000).step_by(20) {
        for track in 0..2 {
            loudest.heard(Instant::from_millis(now), TrackKey(track), AudioLevel(20));
        }
        loudest.handle_timeout(Instant::from_millis(now));
    }
    assert_eq!(loudest.take_changed(), u16::MAX);
    loudest.forget(TrackKey(0));
    assert_eq!(loudest.set(3).collect::<Vec<_>>(), [TrackKey(1)]);
    assert_eq!(loudest.take_changed(), u16::MAX);
    let mut ticks = 0;
    while let Some(due) = loudest.next_due() {
        loudest.handle_timeout(due);
        ticks += 1;
        assert!(ticks < 200, "ticks without anybody being loud");
    }
    assert_eq!(loudest.set(3).count(), 0);
}

#[test]
fn a_thousand_voices_at_once_fill_each_set_and_no_more() {
    let news = members(3_000, (1_000, LOUDEST_RANKS), |now, track| {
        Some(10 + u8::try_from((u64::from(track) * 7 + now / 20) % 20).unwrap())
    });
    assert!(news.iter().all(|(_, set)| set.len() <= LOUDEST_RANKS));
    assert_eq!(news.last().unwrap().1.len(), LOUDEST_RANKS);
}

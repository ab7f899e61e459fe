//! Who is silent, who takes no offers, and what an offer that nobody has seen is worth.

use super::guest::*;
use super::*;
use crate::shard::command::Negotiated;

fn silences(events: &[Event]) -> Vec<(u64, bool)> {
    let told = events.iter().filter_map(|event| {
        let Event::ParticipantSilent {
            participant,
            silent,
            ..
        } = event
        else {
            return None;
        };
        Some((participant.0, *silent))
    });
    told.collect()
}

#[test]
fn silence_is_told_after_20_s_and_its_end_at_once() {
    let mut shard = shard();
    support::create(&mut shard, 7, 10);
    let lines = [line("a", false, "sendonly", 11)];
    let mut ada = connected(Instant::ZERO, &mut shard, 1, false, &lines);
    let mut lin = connected(Instant::ZERO, &mut shard, 2, false, &lines);
    ada.mute = true;
    // Lin answers the shard's consent checks; ada answers nothing.
    let now = pass(Instant::ZERO, 19_900, &mut shard, &mut [&mut ada, &mut lin]);
    assert_eq!(silences(&events(&mut shard)), []);
    let now = pass(now, 200, &mut shard, &mut [&mut ada, &mut lin]);
    assert_eq!(silences(&events(&mut shard)), [(1, true)]);
    // One packet of media is enough; nothing else is said of it again.
    ada.rtp(now, &mut shard, (96, 11, 1), &[], &sound(1));
    assert_eq!(silences(&events(&mut shard)), [(1, false)]);
    pass(now, 5_000, &mut shard, &mut [&mut ada, &mut lin]);
    assert_eq!(silences(&events(&mut shard)), []);
}

#[test]
fn who_takes_no_offers_gets_none_and_tracks_go_into_its_own_sections_only() {
    for offers in [false, true] {
        let mut shard = shard();
        support::create(&mut shard, 7, 10);
        let hears = [line("a", false, "recvonly", 0)];
        let mut viewer = connected(Instant::ZERO, &mut shard, 1, offers, &hears);
        let publishes = [
            line("a", false, "sendonly", 11),
            line("v", true, "sendonly", 12),
        ];
        let mut ada = connected(Instant::ZERO, &mut shard, 2, false, &publishes);
        pass(
            Instant::ZERO,
            2_000,
            &mut shard,
            &mut [&mut viewer, &mut ada],
        );
        let news = events(&mut shard);
        let offered = news
            .iter()
            .filter(|event| matches!(event, Event::Offer { participant, .. } if *participant == viewer.id))
            .count();
        assert_eq!(offered, usize::from(offers), "{news:#?}");
        let last = news.iter().rev().find_map(|event| {
            let Event::SubscriptionsChanged {
                participant,
                sections,
                subscriptions,
                ..
            } = event
            else {
                return None;
            };
            (*participant == viewer.id).then_some((sections, subscriptions))
        });
        let (sections, subscriptions) = last.expect("news of its sections");
        assert_eq!(sections.len(), 1);
        let waits = subscriptions.iter().filter(|one| one.mid.is_none());
        let why: Vec<_> = waits.map(|one| one.paused).collect();
        let expected = if offers {
            None
        } else {
            Some(event::PauseReason::LimitReached)
        };
        assert_eq!(why, [expected]);
        // The m-line it lacked comes with its own next offer.
        if !offers {
            let both = [
                line("a", false, "recvonly", 0),
                line("v", true, "recvonly", 0),
            ];
            viewer.negotiate(Instant::from_millis(3_000), &mut shard, &both);
            assert_eq!(shard.sizes().sections, 2);
            let restart = Command::RestartIce {
                room: ROOM,
                participant: viewer.id,
            };
            let refused = shard.handle_command(Instant::from_millis(3_000), restart);
            assert!(matches!(refused, Err(CommandError::Invalid { .. })));
        }
    }
}

#[test]
fn an_offer_that_was_not_told_yet_gives_way_to_theirs() {
    let mut shard = shard();
    support::create(&mut shard, 7, 10);
    let hears = [line("a", false, "recvonly", 0)];
    let mut viewer = connected(Instant::ZERO, &mut shard, 1, true, &hears);
    let publishes = [line("v", true, "sendonly", 12)];
    let mut ada = connected(Instant::ZERO, &mut shard, 2, false, &publishes);
    let now = pass(
        Instant::ZERO,
        1_000,
        &mut shard,
        &mut [&mut viewer, &mut ada],
    );
    // Our offer of an m-line for ada's pictures is made and nobody has read it.
    let reply = viewer.offer(now, &mut shard, &hears);
    assert!(matches!(reply, Ok(Negotiated::Answer(_))), "{reply:?}");
    let offers = |events: &[Event]| {
        let mut found = 0;
        for event in events {
            if let Event::Offer { description, .. } = event {
                found = description.session_version;
            }
        }
        found
    };
    // It is made anew, and its number is above the answer's.
    let Ok(Negotiated::Answer(answer)) = reply else {
        return;
    };
    pass(now, 1_000, &mut shard, &mut [&mut viewer, &mut ada]);
    let told = offers(&events(&mut shard));
    assert!(told > answer.session_version, "{told}");
    // Now it stands: theirs is ignored.
    let reply = viewer.offer(now, &mut shard, &hears);
    assert!(matches!(reply, Ok(Negotiated::Ignored)), "{reply:?}");
}

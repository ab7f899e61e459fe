//! One room on two shards: what is published there is shown here.

use super::support::*;
use crate::id::{MemberKey, ParticipantId, PortId, SectionKey, TrackKey};
use crate::limits::{PIPE_QUEUE_BYTES, PIPE_QUEUE_MESSAGES};
use crate::sdp::negotiate::MediaPlan;
use crate::time::Duration;
use crate::units::{AudioLevel, MediaKind};
use crate::wire::port::{PortMessage, split};

const PIPE: PortId = PortId(4);
/// Where Ada sits on the shard she is not on.
const DISTANT: MemberKey = MemberKey(7);

/// Ada publishes on one shard; whoever is shown her is on the other.
struct Spread {
    home: Room,
    away: Room,
    /// What of her is known there.
    tracks: Vec<TrackKey>,
    /// Media carried.
    carried: usize,
    /// Kinds of the other messages that went to her shard.
    asked: Vec<String>,
}

impl Spread {
    fn new() -> Self {
        let (mut home, mut away) = (Room::new(), Room::new());
        home.router.set_participant(ADA, ParticipantId(11));
        home.router.open_pipe(PIPE).unwrap();
        away.router.open_pipe(PIPE).unwrap();
        Self {
            home,
            away,
            tracks: Vec::new(),
            carried: 0,
            asked: Vec::new(),
        }
    }

    /// With a picture of Ada's that Bob, on the other shard, is shown; a key frame has passed.
    fn with_picture(plan: &MediaPlan) -> (Self, TrackKey, SectionKey) {
        let mut spread = Self::new();
        let track = spread.home.publish(ADA, plan);
        spread.carry();
        let section = spread
            .away
            .section(BOB, &super::support::plan("v", plan.kind), 7_000);
        let shown = spread.tracks.first().copied();
        spread.away.router.bind(spread.away.now, section, shown);
        spread.pass(30);
        (spread, track, section)
    }

    /// Lets time pass on both, and what is said arrive.
    fn pass(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            self.home.pass(1);
            self.away.pass(1);
            self.carry();
        }
    }

    /// What waits on either side arrives on the other.
    fn carry(&mut self) {
        let mut parcel = Vec::new();
        while self.home.router.poll_pipe(PIPE, &mut parcel) {
            let mut rest = parcel.as_slice();
            while let Some(bytes) = split(&mut rest) {
                let message = PortMessage::decode(bytes).unwrap();
                self.arrive(&message);
            }
        }
        while self.away.router.poll_pipe(PIPE, &mut parcel) {
            let mut rest = parcel.as_slice();
            while let Some(bytes) = split(&mut rest) {
                let message = PortMessage::decode(bytes).unwrap();
                let said = format!("{message:?}");
                let kind = said.split([' ', '(']).next().unwrap_or_default();
                self.asked.push(kind.to_owned());
                let Room {
                    router, pages, now, ..
                } = &mut self.home;
                if message != PortMessage::Opened {
                    router.handle_port(*now, PIPE, &message, pages).unwrap();
                }
            }
        }
    }

    /// What the shard does of this, and the router of the rest.
    fn arrive(&mut self, message: &PortMessage<'_>) {
        let Room {
            router, pages, now, ..
        } = &mut self.away;
        match message {
            PortMessage::Opened => {
                router.remove_member(*now, DISTANT, pages);
                self.tracks.clear();
            }
            PortMessage::TrackChanged(told) => {
                assert_eq!((told.participant, told.name), (ParticipantId(11), "ada"));
                let is_it = |key: &&TrackKey| {
                    let track = router.track(**key);
                    track.is_some_and(|track| track.id() == told.track)
                };
                if let Some(&known) = self.tracks.iter().find(is_it) {
                    router.update_distant(*now, known, told, pages);
                    return;
                }
                if self.tracks.is_empty() {
                    router.add_distant_member(DISTANT, told.name, PIPE);
                }
                let key = router.publish_distant(*now, DISTANT, told).unwrap();
                self.tracks.push(key);
            }
            PortMessage::TrackUnpublished { track } => {
                let is_it = |key: &&TrackKey| router.track(**key).map(|it| it.id()) == Some(*track);
                let key = *self.tracks.iter().find(is_it).unwrap();
                router.unpublish(*now, key, pages);
                self.tracks.retain(|&other| other != key);
            }
            other => {
                self.carried += usize::from(matches!(other, PortMessage::Media(_)));
                router.handle_port(*now, PIPE, other, pages).unwrap();
            }
        }
    }

    /// How often something was asked of Ada's shard since the last call.
    fn asked(&mut self, kind: &str) -> usize {
        let asked = std::mem::take(&mut self.asked);
        asked.iter().filter(|it| *it == kind).count()
    }
}

fn simulcast() -> MediaPlan {
    let mut plan = plan("v", MediaKind::Video);
    plan.rids = ["q", "h"]
        .map(|rid| crate::id::Rid::new(rid).unwrap())
        .to_vec();
    plan
}

#[test]
fn a_picture_is_shown_on_another_shard_with_its_numbers_and_a_gap_is_repaired_there() {
    let plan = plan("v", MediaKind::Video);
    let (mut spread, ..) = Spread::with_picture(&plan);
    spread.home.send(ADA, &video(1, 100, 10, true).marker());
    // It is asked for since somebody looks, before it has ever come.
    spread.carry();
    assert_eq!(spread.away.inputs(BOB), [100]);
    spread.home.send(ADA, &video(1, 102, 12, false).marker());
    spread.carry();
    let behind = spread.away.take(BOB);
    spread.home.send(ADA, &video(1, 101, 11, false).marker());
    spread.carry();
    let filled = spread.away.take(BOB);
    assert_eq!((behind[0].input(), filled[0].input()), (102, 101));
    assert_eq!(behind[0].sequence, filled[0].sequence + 1, "in its place");
    assert!(spread.away.rtcp(DISTANT).nacked.is_empty());
    assert_eq!(spread.away.router.sizes().encodings, 1);
}

#[test]
fn what_nobody_looks_at_on_the_other_shard_is_not_carried() {
    let plan = plan("v", MediaKind::Video);
    let mut spread = Spread::new();
    spread.home.publish(ADA, &plan);
    spread.carry();
    for n in 0..50 {
        spread
            .home
            .send(ADA, &video(1, 100 + n, 10 + n, n == 0).marker());
        spread.pass(10);
    }
    assert_eq!((spread.tracks.len(), spread.carried), (1, 0));
    let section = spread.away.section(BOB, &plan, 7_000);
    let shown = spread.tracks.first().copied();
    spread.away.router.bind(spread.away.now, section, shown);
    spread.pass(30);
    assert_eq!(
        spread.home.rtcp(ADA).plis,
        [1],
        "it begins with a key frame"
    );
    spread.home.send(ADA, &video(1, 150, 60, true).marker());
    spread.pass(1);
    assert_eq!(spread.away.inputs(BOB), [150]);
    let mut n = 150;
    let mut send = |spread: &mut Spread, pictures: u16| {
        let mut last = 0;
        for sent in 0..pictures {
            n += 1;
            let before = spread.carried;
            spread.home.send(ADA, &video(1, n, n, false).marker());
            spread.pass(10);
            if spread.carried > before {
                last = sent;
            }
        }
        last
    };
    send(&mut spread, 200);
    // Paused for long: it is not carried any more, and begins anew at once when it is wanted.
    spread
        .away
        .router
        .set_paused(spread.away.now, section, true);
    let last = send(&mut spread, 1_500);
    assert!((900..1_100).contains(&last), "until {last}0 ms");
    spread.home.rtcp(ADA);
    spread.away.take(BOB);
    spread
        .away
        .router
        .set_paused(spread.away.now, section, false);
    spread.pass(30);
    assert_eq!(spread.home.rtcp(ADA).plis, [1]);
    spread
        .home
        .send(ADA, &video(1, 1_900, 1_900, true).marker());
    spread.pass(1);
    assert_eq!(spread.away.inputs(BOB), [1_900]);
}

#[test]
fn sound_is_carried_with_its_level_and_who_speaks_is_known_there() {
    let plan = plan("a", MediaKind::Audio);
    let mut spread = Spread::new();
    spread.home.publish(ADA, &plan);
    spread.carry();
    spread.carry();
    let section = spread.away.section(BOB, &plan, 7_000);
    let shown = spread.tracks.first().copied();
    spread.away.router.bind(spread.away.now, section, shown);
    let mut heard = Vec::new();
    for n in 0..100 {
        let mut packet = audio(1, n);
        packet.values.audio_level = Some((AudioLevel(20), true));
        spread.home.send(ADA, &packet);
        spread.home.pass(1);
        spread.carry();
        // What has waited there for others to leave with does not wait here.
        heard.extend(spread.away.take(BOB));
        spread.away.pass(1);
        spread.pass(19);
    }
    assert_eq!(heard.len(), 100);
    assert_eq!(heard[3].values.audio_level, Some((AudioLevel(20), true)));
    assert_eq!(spread.away.router.active_speaker(), Some(DISTANT));
    let spoke = spread.away.router.poll_speakers().unwrap();
    assert_eq!(spoke.first().map(|&(member, _)| member), Some(DISTANT));
}

#[test]
fn a_key_frame_is_asked_for_through_the_pipe_and_often_requests_become_few() {
    let plan = plan("v", MediaKind::Video);
    let (mut spread, ..) = Spread::with_picture(&plan);
    spread.home.send(ADA, &video(1, 100, 10, true).marker());
    spread.pass(1_000);
    spread.home.rtcp(ADA);
    spread.asked("KeyframeWanted");
    for _ in 0..100 {
        spread
            .away
            .router
            .handle_keyframe_request(spread.away.now, BOB, 7_000);
        spread.pass(2);
    }
    assert_eq!(spread.asked("KeyframeWanted"), 1);
    assert_eq!(spread.home.rtcp(ADA).plis, [1]);
}

#[test]
fn of_a_simulcast_track_only_what_somebody_is_given_is_carried() {
    let (mut spread, _, section) = Spread::with_picture(&simulcast());
    let mut n = 0;
    let mut send = |spread: &mut Spread, milliseconds: u64| {
        let before = spread.carried;
        for _ in 0..milliseconds / 20 {
            n += 1;
            let asked = spread.home.rtcp(ADA).plis;
            for (ssrc, rid) in [(1, "q"), (2, "h")] {
                let key = n == 1 || asked.contains(&ssrc);
                let mut packet = video(ssrc, n, n, key).marker().mid("v").rid(rid);
                packet.payload.resize(300 * ssrc as usize, 7);
                spread.home.send(ADA, &packet);
            }
            spread.pass(20);
            spread.away.take(BOB);
        }
        (spread.carried - before) as u64 * 20 / milliseconds
    };
    // Both are carried as long as it is not known what they are; then what is shown, and the lowest.
    assert_eq!(send(&mut spread, 2_000), 2);
    let low = spread.away.router.rungs(spread.tracks[0])[0].target;
    let Spread { away, .. } = &mut spread;
    away.router.set_target(away.now, section, Some(low));
    send(&mut spread, 8_000);
    assert_eq!(send(&mut spread, 1_000), 1);
    // What can be had is asked for once it is aimed at.
    let high = spread.away.router.rungs(spread.tracks[0])[1].target;
    let Spread { away, .. } = &mut spread;
    away.router.set_target(away.now, section, Some(high));
    send(&mut spread, 1_000);
    assert_eq!(send(&mut spread, 1_000), 2);
    assert_eq!(
        spread.away.router.bound(section),
        spread.tracks.first().copied()
    );
}

#[test]
fn a_full_pipe_drops_media_and_pictures_go_on_with_a_key_frame() {
    let plan = plan("v", MediaKind::Video);
    let (mut spread, ..) = Spread::with_picture(&plan);
    spread.home.send(ADA, &video(1, 100, 10, true).marker());
    spread.carry();
    spread.away.take(BOB);
    spread.pass(1_000);
    spread.home.rtcp(ADA);
    let packets = u16::try_from(PIPE_QUEUE_BYTES / 900).unwrap();
    for n in 0..packets {
        spread
            .home
            .send(ADA, &video(1, 101 + n, 11, false).marker());
        spread.home.pass(1);
    }
    let stats = spread.home.router.take_stats();
    assert!(stats.pipe_full > 0 && stats.piped > 1_000, "{stats:?}");
    spread.carry();
    assert_eq!(spread.home.rtcp(ADA).plis, [1], "the home shard saw to it");
    spread.away.pass(1_000);
    spread.home.pass(1_000);
    spread.away.take(BOB);
    spread
        .home
        .send(ADA, &video(1, 101 + packets, 12, false).marker());
    spread.pass(3);
    assert!(spread.asked("KeyframeWanted") > 0, "and so does the other");
}

#[test]
fn mute_and_the_end_of_a_track_and_padding_reach_the_other_shard() {
    let plan = plan("v", MediaKind::Video);
    let (mut spread, track, _) = Spread::with_picture(&plan);
    spread.home.send(ADA, &video(1, 100, 10, true).marker());
    // A number that carries nothing leaves no hole.
    spread
        .home
        .send(ADA, &video(1, 101, 10, false).padding_only());
    spread.home.send(ADA, &video(1, 102, 11, false).marker());
    spread.carry();
    let seen = spread.away.take(BOB);
    let numbers: Vec<u16> = seen.iter().map(|it| it.sequence).collect();
    assert_eq!(numbers, [numbers[0], numbers[0] + 1]);
    let Room {
        router, pages, now, ..
    } = &mut spread.home;
    router.set_muted(*now, track, true, pages);
    spread.carry();
    let there = spread.tracks[0];
    assert!(spread.away.router.track(there).unwrap().muted());
    let before = spread.carried;
    spread.home.send(ADA, &video(1, 103, 12, false).marker());
    spread.carry();
    assert_eq!(spread.carried, before);
    let Room {
        router, pages, now, ..
    } = &mut spread.home;
    router.set_muted(*now, track, false, pages);
    router.set_screen(track, true);
    spread.carry();
    let known = spread.away.router.track(there).unwrap();
    assert!(!known.muted() && known.is_screen());
    let Room {
        router, pages, now, ..
    } = &mut spread.home;
    router.remove_member(*now, ADA, pages);
    spread.carry();
    assert!(spread.tracks.is_empty());
    let sizes = spread.away.router.sizes();
    assert_eq!((sizes.tracks, sizes.encodings), (0, 0));
    let Room {
        router, pages, now, ..
    } = &mut spread.away;
    router.remove_member(*now, DISTANT, pages);
    assert_eq!(pages.in_use(), 0);
}

#[test]
fn whoever_opens_a_pipe_late_is_told_all_there_is() {
    let mut spread = Spread::new();
    spread.home.router.close_port(PIPE);
    spread.home.publish(ADA, &plan("v", MediaKind::Video));
    spread.home.publish(ADA, &plan("a", MediaKind::Audio));
    spread.home.router.open_pipe(PIPE).unwrap();
    spread.carry();
    assert_eq!(spread.tracks.len(), 2);
}

#[test]
fn what_there_is_is_said_anew_where_something_of_it_was_lost() {
    let plan = plan("v", MediaKind::Video);
    let (mut spread, track, _) = Spread::with_picture(&plan);
    spread.home.send(ADA, &video(1, 100, 10, true).marker());
    spread.carry();
    let there = spread.tracks[0];
    for n in 0..PIPE_QUEUE_MESSAGES {
        spread.home.router.set_screen(track, n % 2 == 0);
    }
    spread.home.router.set_screen(track, true);
    let sound = spread
        .home
        .publish(ADA, &super::support::plan("a", MediaKind::Audio));
    let sound = spread.home.router.track(sound).unwrap().id();
    spread.carry();
    assert_eq!(spread.tracks.len(), 2, "what was lost is known");
    let known = |key: &TrackKey| spread.away.router.track(*key).unwrap();
    assert_eq!(known(&spread.tracks[1]).id(), sound);
    assert!(known(&spread.tracks[0]).is_screen());
    // Media that is on its way under an old number goes nowhere; what is shown begins anew.
    let section = spread.away.section(BOB, &plan, 7_010);
    let shown = spread.tracks.first().copied();
    assert_eq!(shown, Some(there), "its place is free for another");
    spread.away.router.bind(spread.away.now, section, shown);
    spread.away.take(BOB);
    spread.pass(30);
    spread.home.send(ADA, &video(1, 101, 11, true).marker());
    spread.pass(1);
    assert_eq!(spread.away.inputs(BOB), [101]);
}

#[test]
fn pictures_and_sound_of_one_stay_together_on_the_other_shard() {
    let plan = plan("v", MediaKind::Video);
    let (mut spread, ..) = Spread::with_picture(&plan);
    spread.home.send(ADA, &video(1, 100, 10, true).marker());
    spread.carry();
    let theirs = crate::time::ServerClock::from_unix(Duration::from_secs(900_000_000));
    let sent_at = spread.home.now - Duration::from_millis(40);
    let ntp = theirs.ntp(sent_at);
    spread
        .home
        .router
        .handle_sender_report(spread.home.now, ADA, 1, ntp, 30_000);
    spread.carry();
    spread.away.take(BOB);
    spread.home.send(ADA, &video(1, 101, 11, false).marker());
    spread.carry();
    let shown = spread.away.take(BOB);
    spread.pass(1_000);
    let report = spread.away.rtcp(BOB).senders[0];
    // The picture of 33,000 was taken 100 ticks of 90 kHz per 1.1 ms after that of 30,000.
    let ticks = report.rtp.wrapping_sub(shown[0].timestamp);
    let shown_at = sent_at + Duration::from_micros(3_000 * 100 / 9);
    let passed = spread
        .away
        .clock
        .ntp(spread.away.now)
        .micros_since(spread.away.clock.ntp(shown_at));
    // What the network took at least counts as none: 40 ms.
    let apart = i64::from(ticks) * 100 / 9 - (passed - 40_000);
    assert!(apart.abs() < 1_000, "{apart} us");
}

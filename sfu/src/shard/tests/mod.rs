//! Commands without media: what is made, refused, told and freed. Media through whole shards is
//! proven in `loadtest`, by robots on an independent stack.

mod adaptation;
mod control;
mod decisions;
mod dynacast;
mod guest;
mod idle;
mod moves;
mod permissions;
mod presence;
mod quality;
mod reasons;
mod simulcast;
mod slots;
mod spread;
mod tracks;
mod transports;

use std::sync::Arc;

use super::command::{ParticipantParameters, Permissions, RoomParameters};
use super::*;
use crate::error::DropReason;
use crate::id::TrackId;
use crate::time::Duration;
use crate::wire::port::PortMessage;
use support::{JOINED, answered, join, shard};

#[test]
fn a_join_needs_a_room_and_a_second_equal_one_changes_nothing() {
    let mut shard = shard();
    let missing = shard.handle_command(Instant::ZERO, join(7, 1, "ada"));
    assert_eq!(
        missing.err(),
        Some(CommandError::NotFound(Missing::Room(RoomId(7))))
    );
    support::create(&mut shard, 7, 100);
    for _ in 0..2 {
        assert!(
            shard
                .handle_command(Instant::ZERO, join(7, 1, "ada"))
                .is_ok()
        );
        assert_eq!(shard.sizes(), JOINED);
    }
    let other = shard.handle_command(Instant::ZERO, join(7, 1, "lin"));
    assert!(matches!(other, Err(CommandError::AlreadyExists { .. })));
}

#[test]
fn a_full_room_refuses_with_its_limit() {
    let mut shard = shard();
    support::create(&mut shard, 7, 2);
    for id in 1..=2 {
        assert!(
            shard
                .handle_command(Instant::ZERO, join(7, id, "x"))
                .is_ok()
        );
    }
    let full = shard.handle_command(Instant::ZERO, join(7, 3, "x"));
    let limit = CommandError::LimitReached {
        limit: "participants_max",
        value: 2,
    };
    assert_eq!(full.err(), Some(limit));
}

#[test]
fn deleting_a_room_tells_everybody_and_frees_all() {
    let mut shard = shard();
    support::create(&mut shard, 7, 100);
    for id in 1..=3 {
        assert!(
            shard
                .handle_command(Instant::ZERO, join(7, id, "x"))
                .is_ok()
        );
    }
    let delete = Command::DeleteRoom {
        room: RoomId(7),
        reason: LeaveReason::RoomDeleted,
    };
    for _ in 0..2 {
        assert!(shard.handle_command(Instant::ZERO, delete.clone()).is_ok());
    }
    assert_eq!(shard.sizes(), TableSizes::default());
    let events: Vec<_> = std::iter::from_fn(|| shard.poll_event()).collect();
    let left = |event: &&Event| {
        let Event::ParticipantLeft { reason, .. } = event else {
            return false;
        };
        *reason == LeaveReason::RoomDeleted
    };
    assert_eq!(events.iter().filter(left).count(), 3, "{events:?}");
    assert!(matches!(events.last(), Some(Event::RoomDeleted { .. })));
}

#[test]
fn silence_ends_a_membership_once_there_is_a_transport_or_its_door_says_so() {
    let mut shard = shard();
    support::create(&mut shard, 7, 100);
    assert!(
        shard
            .handle_command(Instant::ZERO, join(7, 1, "ada"))
            .is_ok()
    );
    assert!(
        shard
            .handle_command(Instant::ZERO, join(7, 2, "lin"))
            .is_ok()
    );
    let eve = join(7, 3, "eve");
    assert!(shard.handle_command(Instant::ZERO, eve).is_ok());
    answered(&mut shard, 7, 1);
    let shorten = Command::SetSilenceMax {
        room: RoomId(7),
        participant: ParticipantId(2),
        silence_max: Duration::from_secs(6),
    };
    assert!(shard.handle_command(Instant::ZERO, shorten).is_ok());
    let gone = support::run(&mut shard, Instant::from_millis(40_000));
    let seconds: Vec<_> = gone
        .iter()
        .map(|(at, id)| (at.as_millis() / 1_000, id.0))
        .collect();
    assert_eq!(
        seconds,
        [(6, 2), (30, 1)],
        "eve has no transport to be silent"
    );
}

#[test]
fn a_deadline_is_not_put_off_by_what_happens_meanwhile() {
    let mut shard = shard();
    support::create(&mut shard, 7, 100);
    assert!(
        shard
            .handle_command(Instant::ZERO, join(7, 1, "ada"))
            .is_ok()
    );
    let settle = Command::SetSilenceMax {
        room: RoomId(7),
        participant: ParticipantId(1),
        silence_max: Duration::from_secs(6),
    };
    assert!(shard.handle_command(Instant::ZERO, settle.clone()).is_ok());
    let mut gone_at = None;
    for step in 0..40 {
        let now = Instant::from_micros(5_998_000 + step * 300);
        if shard.poll_timeout().is_some_and(|due| due <= now) {
            shard.handle_timeout(now);
        }
        if shard.sizes().participants == 0 {
            gone_at = Some(now);
            break;
        }
        assert!(shard.handle_command(now, settle.clone()).is_ok());
    }
    let late = gone_at.map(|at| at.since(Instant::from_millis(6_000)));
    assert!(
        late.is_some_and(|late| late <= Duration::from_millis(2)),
        "{gone_at:?}"
    );
}

#[test]
fn one_transport_cannot_fill_the_queue_of_handshakes() {
    let mut handshakes = Handshakes::default();
    let path = Path {
        local: LocalId(0),
        remote: ([127, 0, 0, 1], 9).into(),
    };
    let place = |member| Place::new(RoomKey(0), MemberKey(member));
    let taken = (0..1_000).filter(|_| handshakes.wait(place(1), path, &[22]).is_ok());
    assert_eq!(taken.count(), limits::HANDSHAKE_FLIGHTS_EACH);
    assert_eq!(handshakes.wait(place(2), path, &[22]), Ok(()));
}

#[test]
fn who_leaves_does_not_take_a_path_along_that_leads_to_another_by_now() {
    let mut places = Places::new(1);
    let path = Path {
        local: LocalId(0),
        remote: ([192, 0, 2, 1], 9).into(),
    };
    let place = |member| Place::new(RoomKey(0), MemberKey(member));
    let (first, second) = (place(1), place(2));
    let transport = places.add(first).expect("room");
    places.prove(path, first);
    places.prove(path, second);
    places.remove(transport, first, [path].into_iter());
    assert_eq!(places.by_path(path), Some(second));
}

#[test]
fn an_idle_shard_has_no_deadline() {
    let mut shard = shard();
    assert_eq!(shard.poll_timeout(), None);
    support::create(&mut shard, 7, 100);
    assert_eq!(shard.poll_timeout(), None);
}

#[test]
fn wishes_for_tracks_that_are_not_there_are_refused() {
    let mut shard = shard();
    support::create(&mut shard, 7, 100);
    assert!(
        shard
            .handle_command(Instant::ZERO, join(7, 1, "ada"))
            .is_ok()
    );
    let command = Command::UpdateSubscriptions {
        room: RoomId(7),
        participant: ParticipantId(1),
        subscribe_all: None,
        audio_slots: None,
        wishes: vec![command::Wish {
            track: TrackId(99),
            wanted: true,
            paused: false,
            priority: 128,
            height: 0,
            pinned: false,
        }],
    };
    let refused = shard.handle_command(Instant::ZERO, command);
    let missing = CommandError::NotFound(Missing::Track(TrackId(99)));
    assert_eq!(refused.err(), Some(missing));
}

#[test]
fn an_offer_is_answered_with_sections_and_its_track_is_told() {
    let mut shard = shard();
    support::create(&mut shard, 7, 100);
    assert!(
        shard
            .handle_command(Instant::ZERO, join(7, 1, "ada"))
            .is_ok()
    );
    assert!(
        shard
            .handle_command(Instant::ZERO, join(7, 2, "lin"))
            .is_ok()
    );
    let ada = answered(&mut shard, 7, 1);
    let lin = answered(&mut shard, 7, 2);
    assert_eq!(ada.sections.len(), lin.sections.len());
    let events: Vec<_> = std::iter::from_fn(|| shard.poll_event()).collect();
    let published = |event: &&Event| matches!(event, Event::TrackChanged { .. });
    assert_eq!(events.iter().filter(published).count(), 4, "{events:#?}");
    // Each offered one audio and one video m-line both ways: they carry the other's tracks.
    let shown = |event: &&Event| {
        let Event::SubscriptionsChanged { sections, .. } = event else {
            return false;
        };
        sections.iter().filter(|one| one.track.is_some()).count() == 2
    };
    assert_eq!(events.iter().filter(shown).count(), 2, "{events:#?}");
    // Nothing is missing, so nothing is offered.
    let offered = |event: &&Event| matches!(event, Event::Offer { .. });
    assert_eq!(events.iter().filter(offered).count(), 0);
    let sizes = shard.sizes();
    assert_eq!((sizes.tracks, sizes.sections), (4, 4));
}

#[test]
fn a_port_belongs_to_one_room_and_ends_with_it() {
    let mut shard = shard();
    let open = |room| Command::OpenPort {
        room: RoomId(room),
        port: PortId(5),
    };
    support::create(&mut shard, 7, 100);
    support::create(&mut shard, 8, 100);
    for _ in 0..2 {
        assert!(shard.handle_command(Instant::ZERO, open(7)).is_ok());
        assert_eq!(shard.sizes().ports, 1);
    }
    let elsewhere = shard.handle_command(Instant::ZERO, open(8));
    assert!(matches!(elsewhere, Err(CommandError::AlreadyExists { .. })));
    let wanted = PortMessage::EncodingsWanted {
        track: TrackId(9),
        mask: 1,
    };
    let unknown = shard.handle_port(Instant::ZERO, PortId(6), &wanted);
    assert_eq!(unknown, Err(DropReason::UnknownTrack));
    let delete = Command::DeleteRoom {
        room: RoomId(7),
        reason: LeaveReason::RoomDeleted,
    };
    assert!(shard.handle_command(Instant::ZERO, delete).is_ok());
    assert_eq!(shard.sizes().ports, 0);
    assert!(shard.handle_command(Instant::ZERO, open(8)).is_ok());
}

mod support {
    use super::*;
    use crate::sdp::Description;
    use crate::sdp::description::SdpType;

    pub(super) const JOINED: TableSizes = TableSizes {
        rooms: 1,
        participants: 1,
        tracks: 0,
        encodings: 0,
        sections: 0,
        subscriptions: 0,
        paths: 0,
        timers: 2,
        history_pages: 0,
        ports: 0,
    };

    pub(super) fn shard() -> Shard {
        shard_of(0)
    }

    pub(super) fn shard_of(index: u16) -> Shard {
        let (identity, _) = crate::transport::support::identities();
        let config = ShardConfig {
            index,
            candidates: vec![([127, 0, 0, 1], 10_000).into()],
            identity: Arc::new(identity),
            clock: ServerClock::from_unix(Duration::from_secs(1_700_000_000)),
        };
        let seed = [7 + u8::try_from(index).unwrap(); 32];
        Shard::new(config, seed, Instant::ZERO).expect("a usable certificate")
    }

    pub(super) fn create(shard: &mut Shard, room: u64, participants_max: usize) {
        let create = Command::CreateRoom {
            room: RoomId(room),
            parameters: RoomParameters {
                participants_max,
                ..RoomParameters::default()
            },
        };
        assert!(shard.handle_command(Instant::ZERO, create).is_ok());
    }

    pub(super) fn join(room: u64, participant: u64, name: &str) -> Command {
        Command::Join {
            room: RoomId(room),
            participant: ParticipantId(participant),
            parameters: ParticipantParameters {
                name: name.to_owned(),
                permissions: Permissions::default(),
                subscribe_all: true,
                offers: true,
            },
        }
    }

    /// Sends the fixture of a browser's first offer; the answer.
    pub(super) fn answered(shard: &mut Shard, room: u64, participant: u64) -> Description {
        let text = include_str!("../../../tests/fixtures/sdp/chromium-sendrecv.sdp");
        let offer = crate::sdp::parse(SdpType::Offer, text).expect("a real offer");
        let command = Command::Negotiate {
            room: RoomId(room),
            participant: ParticipantId(participant),
            description: Box::new(offer),
        };
        let reply = shard.handle_command(Instant::ZERO, command);
        match reply {
            Ok(Reply::Negotiated(command::Negotiated::Answer(answer))) => *answer,
            other => panic!("no answer but {other:?}"),
        }
    }

    /// Lets time pass till `end`; who left, and when.
    pub(super) fn run(shard: &mut Shard, end: Instant) -> Vec<(Instant, ParticipantId)> {
        let mut gone = Vec::new();
        let mut outbox = crate::outbox::Outbox::new();
        while let Some(now) = shard.poll_timeout().filter(|due| *due <= end) {
            shard.handle_timeout(now);
            while shard.depart(now, &mut outbox) == Departed::Full {
                outbox.clear();
            }
            outbox.clear();
            while let Some(event) = shard.poll_event() {
                if let Event::ParticipantLeft { participant, .. } = event {
                    gone.push((now, participant));
                }
            }
        }
        gone
    }
}

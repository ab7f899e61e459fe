//! Publishing: by source, by number of tracks, and unseen.

use control_api::registry::{Permissions, TrackSource};
use loadtest::net::{Clock, Wire};
use loadtest::robot::publication::PublishParameters;
use loadtest::robot::{Robot, RobotParameters, Signal};
use sfu::units::MediaKind;

use crate::node::*;
use crate::watched::{Counted, connected, listener, more, quiet, robot};

/// Why one may not publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Denied {
    /// No source of this kind.
    Kind,
    /// One source of this kind is allowed, and it is another one.
    Source,
    /// One track, and this is the second.
    Second,
    /// Whoever is hidden publishes nothing.
    Hidden,
}

impl Denied {
    fn deny(self, kind: MediaKind, permissions: &mut Permissions) {
        let (own, others) = match kind {
            MediaKind::Audio => (
                TrackSource::ScreenAudio,
                [TrackSource::Camera, TrackSource::Screen],
            ),
            MediaKind::Video => (
                TrackSource::Screen,
                [TrackSource::Microphone, TrackSource::ScreenAudio],
            ),
        };
        match self {
            Self::Kind => permissions.publish_sources = Some(others.to_vec()),
            Self::Source => permissions.publish_sources = Some(vec![own]),
            Self::Second => permissions.tracks_max = Some(1),
            Self::Hidden => permissions.hidden = true,
        }
    }

    fn permissions(self, kind: MediaKind) -> Permissions {
        let mut permissions = Permissions::default();
        self.deny(kind, &mut permissions);
        permissions
    }

    /// What is published by the one it is denied to, and what of it is denied.
    fn media(self, kind: MediaKind) -> (Vec<PublishParameters>, Counted) {
        let one = match kind {
            MediaKind::Audio => PublishParameters::audio(),
            MediaKind::Video => PublishParameters::video(2),
        };
        match self {
            Self::Second => (vec![one, one], Counted::Track(1)),
            Self::Kind | Self::Source | Self::Hidden => (vec![one], Counted::Packets),
        }
    }
}

fn rows() -> Vec<(Way, MediaKind, Denied)> {
    use {Denied::*, MediaKind::*, Way::*};
    let mut rows = Vec::new();
    for way in [WebSocket, Whip, Grpc] {
        for (kind, denied) in [
            (Audio, Kind),
            (Video, Kind),
            (Video, Source),
            (Audio, Second),
            (Audio, Hidden),
        ] {
            // What comes by WHIP is whatever source is allowed.
            if (way, denied) != (Whip, Source) {
                rows.push((way, kind, denied));
            }
        }
    }
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_is_revoked_and_granted_live_at_every_door() {
    let running = start().await;
    let clock = Clock::start();
    for (index, (way, kind, denied)) in (0_u32..).zip(rows()) {
        let what = format!("{way:?} {kind:?} {denied:?}");
        let room = format!("publish-{index}");
        let full = Permissions::default;
        let (media, counted) = denied.media(kind);
        let near = enter(&running, Way::WebSocket, (&room, "lin"), full());
        let lin = listener(2 * index, clock, near.await.unwrap(), counted).await;
        let near = enter(&running, way, (&room, "ada"), full()).await.unwrap();
        robot(2 * index + 1, clock, near, &media).await;
        more(&lin, clock, &format!("{what}: nothing arrives")).await;

        let revoked_at = clock.now();
        permit(&running, &room, "ada", move |it| denied.deny(kind, it)).await;
        let last_at = quiet(&lin, clock, &format!("{what}: it does not end")).await;
        assert!(last_at.since(revoked_at) <= REVOKED_WITHIN, "{what}");

        let granted_at = clock.now();
        permit(&running, &room, "ada", |it| *it = Permissions::default()).await;
        let first_at = more(&lin, clock, &format!("{what}: it does not begin again")).await;
        assert!(first_at.since(granted_at) <= GRANTED_WITHIN, "{what}");
    }
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_that_a_token_does_not_permit_is_refused_or_passes_nothing() {
    let running = start().await;
    let clock = Clock::start();
    for (index, (way, kind, denied)) in (0_u32..).zip(rows()) {
        let what = format!("{way:?} {kind:?} {denied:?}");
        let room = format!("denied-{index}");
        let (media, counted) = denied.media(kind);
        let near = enter(
            &running,
            Way::WebSocket,
            (&room, "lin"),
            Permissions::default(),
        );
        let lin = listener(200 + 2 * index, clock, near.await.unwrap(), counted).await;
        if way == Way::Whip {
            let ada = token(&running, &room, "ada", denied.permissions(kind));
            let path = format!("/whip/{room}");
            let (status, body) = post(running.http, &path, &ada, &offer_of(&media)).await;
            assert_eq!(status, 403, "{what}: {body}");
            assert!(body.contains("\"PERMISSION_MISSING\""), "{what}: {body}");
        } else {
            let near = enter(&running, way, (&room, "ada"), denied.permissions(kind));
            let near: Wire = near.await.unwrap();
            let ada = robot(201 + 2 * index, clock, near, &media).await;
            connected(&ada, clock, &format!("{what}: ada is not there")).await;
        }
        quiet(&lin, clock, &format!("{what}: it does not end")).await;
        assert_eq!(lin.count(), 0, "{what}");
        if way != Way::Whip {
            // It was there all the time.
            let granted_at = clock.now();
            permit(&running, &room, "ada", |it| *it = Permissions::default()).await;
            let why = format!("{what}: granted, and nothing arrives");
            let first_at = more(&lin, clock, &why).await;
            assert!(first_at.since(granted_at) <= GRANTED_WITHIN, "{what}");
        }
    }
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_is_told_what_of_an_offer_is_withheld_and_why() {
    let running = start().await;
    for (index, denied, withheld) in [
        (0, Denied::Kind, 1),
        (1, Denied::Second, 1),
        (2, Denied::Hidden, 1),
        // Which m-line is which source is the registry's to say: muted, not withheld.
        (3, Denied::Source, 0),
    ] {
        let kind = MediaKind::Audio;
        let room = format!("withheld-{index}");
        // There is a room.
        let near = enter(
            &running,
            Way::WebSocket,
            (&room, "lin"),
            Permissions::default(),
        );
        let near = near.await.unwrap();
        let mut backend = backend(&running, (&room, "ada"), &denied.permissions(kind)).await;
        let offer = offer_of(&denied.media(kind).0);
        let made = backend.create(offer.clone()).await.unwrap();
        assert_eq!(
            made.withheld_sections.len(),
            withheld,
            "{denied:?}: {made:?}"
        );
        for one in &made.withheld_sections {
            assert_eq!(one.reason, "PERMISSION_MISSING", "{denied:?}");
            assert!(offer.contains(&format!("a=mid:{}\r\n", one.mid)), "{one:?}");
            assert!(
                one.message.starts_with("the permissions do not include"),
                "{one:?}"
            );
        }
        // The same again is told the same.
        let again = backend.create(offer).await.unwrap();
        assert_eq!(
            again.withheld_sections, made.withheld_sections,
            "{denied:?}"
        );
        drop(near);
    }
    running.end().await;
}

/// What a robot that publishes this would offer.
pub(crate) fn offer_of(media: &[PublishParameters]) -> String {
    let now = sfu::time::Instant::ZERO;
    let parameters = RobotParameters {
        number: 999,
        seed: 1,
        address: "127.0.0.1:9".parse().unwrap(),
        epoch: tokio::time::Instant::now().into_std(),
        traced: false,
        takes_copies: false,
        patience: loadtest::robot::PATIENCE,
    };
    let mut robot = Robot::new(parameters, now).unwrap();
    robot.publish_all(now, media);
    match robot.poll_signal() {
        Some(Signal::Offer(offer)) => offer,
        other => panic!("no offer: {other:?}"),
    }
}

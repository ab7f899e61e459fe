//! Who may, outside development. The token is a participant's, in a header.

use std::time::Duration;

use control_api::auth::TokenRequest;
use control_api::node::Running;
use control_api::registry::{
    ParticipantName, ParticipantSpec, Permissions, RoomConfig, RoomName, TrackSource,
};

use crate::support::{AUDIO, Answer, SESSION, ask, config, keys, offer, player, start};

async fn guarded() -> Running {
    let mut guarded = config();
    guarded.keys_file = Some(keys());
    start(guarded).await
}

/// A token for `standup`, which it makes, with these permissions.
fn token(running: &Running, participant: Option<&str>, permissions: Permissions) -> String {
    let request = TokenRequest {
        room: RoomName::new("standup").unwrap(),
        participant: participant.map(|it| ParticipantName::new(it).unwrap()),
        spec: ParticipantSpec {
            permissions,
            ..ParticipantSpec::default()
        },
        ttl: Duration::from_secs(60),
        room_config: Some(RoomConfig::default()),
    };
    running.node.authority().issue(&request).unwrap().token
}

async fn with(running: &Running, path: &str, authorization: &str, body: &str) -> Answer {
    let headers = [
        ("Content-Type", "application/sdp"),
        ("Authorization", authorization),
    ];
    ask(running.http, "POST", path, &headers, body).await
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn without_a_good_token_nobody_comes_in() {
    let running = guarded().await;
    let good = token(&running, Some("ada"), Permissions::default());
    let scopes = vec!["*".to_owned()];
    let backend = running
        .node
        .authority()
        .issue_backend(scopes, Vec::new(), Duration::from_secs(60))
        .unwrap()
        .token;
    let (head, signature) = good.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    let shown = "Bearer realm=\"plenum\", error=\"invalid_token\"";
    for (what, authorization, status, reason, challenge) in [
        (
            "none",
            None,
            401,
            "TOKEN_INVALID",
            Some("Bearer realm=\"plenum\""),
        ),
        (
            "an empty one",
            Some("Bearer ".into()),
            401,
            "TOKEN_INVALID",
            Some("Bearer realm=\"plenum\""),
        ),
        (
            "no scheme",
            Some(good.clone()),
            401,
            "TOKEN_INVALID",
            Some(shown),
        ),
        (
            "another scheme",
            Some(format!("Basic {good}")),
            401,
            "TOKEN_INVALID",
            Some(shown),
        ),
        (
            "nonsense",
            Some("Bearer nonsense".into()),
            401,
            "TOKEN_INVALID",
            Some(shown),
        ),
        (
            "a forged one",
            Some(format!("Bearer {forged}")),
            401,
            "TOKEN_INVALID",
            Some(shown),
        ),
        (
            "a backend's",
            Some(format!("Bearer {backend}")),
            403,
            "TOKEN_KIND",
            None,
        ),
    ] {
        for (path, body) in [("/whip/standup", offer()), ("/whep/standup", player())] {
            let answer = match &authorization {
                Some(value) => with(&running, path, value, &body).await,
                None => {
                    let headers = [("Content-Type", "application/sdp")];
                    ask(running.http, "POST", path, &headers, &body).await
                }
            };
            assert_eq!(answer.status, status, "{what}: {answer:?}");
            assert_eq!(answer.problem()["reason"], reason, "{what}");
            assert_eq!(answer.header("www-authenticate"), challenge, "{what}");
        }
    }
    // A token in the address would stand in every log on the way: it counts for nothing.
    let path = format!("/whip/standup?token={good}");
    let headers = [("Content-Type", "application/sdp")];
    let answer = ask(running.http, "POST", &path, &headers, &offer()).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(running.node.registry().counts(), (0, 0));
    let answer = with(
        &running,
        "/whip/standup",
        &format!("bearer {good}"),
        &offer(),
    )
    .await;
    assert_eq!(answer.status, 201, "{answer:?}");
    running.end().await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn a_token_lets_its_bearer_do_what_it_says_where_it_says() {
    let running = guarded().await;
    let may = |sources: &[TrackSource]| Permissions {
        publish_sources: Some(sources.to_vec()),
        ..Permissions::default()
    };
    let sound = may(&[TrackSource::Microphone]);
    let deaf = Permissions {
        subscribe: false,
        ..Permissions::default()
    };
    let one = Permissions {
        tracks_max: Some(1),
        ..Permissions::default()
    };
    let audio = format!("{}{AUDIO}", SESSION.replace("BUNDLE 0 1", "BUNDLE 0"));
    let screen = may(&[TrackSource::Screen, TrackSource::ScreenAudio]);
    for (what, path, permissions, body, status, section) in [
        (
            "all",
            "/whip/standup",
            Permissions::default(),
            offer(),
            201,
            None,
        ),
        (
            "sound only, both",
            "/whip/standup",
            sound.clone(),
            offer(),
            403,
            Some(1),
        ),
        (
            "sound only, sound",
            "/whip/standup",
            sound,
            audio,
            201,
            None,
        ),
        ("nothing", "/whip/standup", may(&[]), offer(), 403, Some(0)),
        ("a screen", "/whip/standup", screen, offer(), 201, None),
        ("one track of two", "/whip/standup", one, offer(), 403, None),
        (
            "no ears, publishing",
            "/whip/standup",
            deaf.clone(),
            offer(),
            201,
            None,
        ),
        ("no ears", "/whep/standup", deaf, player(), 403, None),
        (
            "nothing to say",
            "/whep/standup",
            may(&[]),
            player(),
            201,
            None,
        ),
        (
            "another room",
            "/whip/other",
            Permissions::default(),
            offer(),
            403,
            None,
        ),
        (
            "another's room",
            "/whep/other",
            Permissions::default(),
            player(),
            403,
            None,
        ),
        (
            "as another",
            "/whip/standup?participant=lin",
            Permissions::default(),
            offer(),
            403,
            None,
        ),
        (
            "as oneself",
            "/whip/standup?participant=ada",
            Permissions::default(),
            offer(),
            201,
            None,
        ),
    ] {
        let bearer = format!("Bearer {}", token(&running, Some("ada"), permissions));
        let answer = with(&running, path, &bearer, &body).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        if status == 403 {
            let problem = answer.problem();
            assert_eq!(problem["reason"], "PERMISSION_MISSING", "{what}");
            assert_eq!(problem["section"].as_u64(), section, "{what}");
        }
    }
    running.end().await;
}

#[tokio::test]
async fn a_room_that_nobody_made_is_not_made_by_a_token_without_its_words() {
    let running = guarded().await;
    let request = TokenRequest {
        room: RoomName::new("standup").unwrap(),
        participant: None,
        spec: ParticipantSpec::default(),
        ttl: Duration::from_secs(60),
        room_config: None,
    };
    let token = running.node.authority().issue(&request).unwrap().token;
    let bearer = format!("Bearer {token}");
    for (path, body) in [("/whip/standup", offer()), ("/whep/standup", player())] {
        let answer = with(&running, path, &bearer, &body).await;
        assert_eq!(answer.status, 404, "{answer:?}");
        assert_eq!(answer.problem()["reason"], "ROOM_NOT_FOUND");
    }
    running.end().await;
}

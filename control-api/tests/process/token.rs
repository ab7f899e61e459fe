//! `plenum token`: what it signs, and how it refuses.

use control_api::auth::{Authority, Keys};
use control_api::registry::{ParticipantName, Permissions, RoomName, TrackSource};

use super::support::{Folder, SECRET, plenum};

struct Said {
    code: Option<i32>,
    token: String,
    words: String,
}

fn token(folder: &Folder, arguments: &[&str]) -> Said {
    let keys = folder.write("keys", format!("main: {SECRET}\n"));
    let output = plenum(&["token", "--keys-file", &keys])
        .args(arguments)
        .output()
        .unwrap();
    Said {
        code: output.status.code(),
        token: String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned(),
        words: String::from_utf8(output.stderr).unwrap(),
    }
}

fn authority() -> Authority {
    Authority::new(Keys::parse(&format!("main: {SECRET}")).unwrap())
}

#[test]
fn a_participants_token_grants_what_its_flags_say() {
    let folder = Folder::new("token");
    let nothing = Permissions {
        publish_sources: Some(Vec::new()),
        subscribe: false,
        send_data: false,
        ..Permissions::default()
    };
    let sources = |sources: &[TrackSource]| Some(sources.to_vec());
    for (permissions, expected) in [
        (None, Permissions::default()),
        (Some("all"), Permissions::default()),
        (
            Some("all,admin,record"),
            Permissions {
                publish_sources: sources(&TrackSource::ALL),
                admin: true,
                record: true,
                ..Permissions::default()
            },
        ),
        (
            Some("subscribe"),
            Permissions {
                subscribe: true,
                ..nothing.clone()
            },
        ),
        (
            Some("subscribe, hidden, send_data"),
            Permissions {
                subscribe: true,
                hidden: true,
                send_data: true,
                ..nothing.clone()
            },
        ),
        (
            Some("publish_sources=CAMERA,publish_sources=MICROPHONE,tracks_max=2"),
            Permissions {
                publish_sources: sources(&[TrackSource::Camera, TrackSource::Microphone]),
                tracks_max: Some(2),
                ..nothing
            },
        ),
    ] {
        let mut arguments = vec!["--room", "standup", "--participant", "ada"];
        arguments.extend(["--display-name", "Ada", "--ttl", "10m"]);
        if let Some(permissions) = permissions {
            arguments.extend(["--permissions", permissions]);
        }
        let said = token(&folder, &arguments);
        assert_eq!(said.code, Some(0), "{}", said.words);
        let grant = authority().participant(&said.token).unwrap();
        assert_eq!(grant.room, RoomName::new("standup").unwrap());
        assert_eq!(
            grant.participant,
            Some(ParticipantName::new("ada").unwrap())
        );
        assert_eq!(grant.spec.display_name, "Ada");
        assert_eq!(grant.spec.permissions, expected, "{permissions:?}");
        let life = grant.expires_at.since(grant.issued_at).as_secs();
        assert!((599..=600).contains(&life), "{life}");
        assert!(grant.room_config.is_none());
    }
    let invitation = token(&folder, &["--room", "standup", "--create"]);
    let grant = authority().participant(&invitation.token).unwrap();
    assert!(grant.participant.is_none() && grant.room_config.is_some());
}

#[test]
fn a_backends_token_covers_its_scopes_and_rooms() {
    let folder = Folder::new("token-backend");
    let room = |name: &str| RoomName::new(name).unwrap();
    let arguments = [
        "--scopes",
        "rooms.read,events.read",
        "--rooms",
        "acme-*,lobby",
    ];
    let grant = authority()
        .backend(&token(&folder, &arguments).token)
        .unwrap();
    for (scope, name, is_good) in [
        ("rooms.read", "acme-1", true),
        ("events.read", "lobby", true),
        ("rooms.write", "acme-1", false),
        ("rooms.read", "other", false),
    ] {
        assert_eq!(
            grant.check(scope, Some(&room(name))).is_ok(),
            is_good,
            "{scope} {name}"
        );
    }
    let everything = token(&folder, &["--scopes", "*"]);
    let grant = authority().backend(&everything.token).unwrap();
    assert!(grant.check("nodes.write", Some(&room("any"))).is_ok());
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_cannot_be_signed_is_refused_in_one_sentence_with_its_cure() {
    let folder = Folder::new("token-refused");
    for (arguments, flag, cure) in [
        (&[][..], "--room", "--scopes for a backend's"),
        (
            &["--room", "a", "--scopes", "*"],
            "--scopes",
            "give one of them",
        ),
        (
            &["--room", "a", "--rooms", "b"],
            "--rooms",
            "give one of them",
        ),
        (&["--room", "a b"], "--room", "A-Z"),
        (&["--room", ""], "--room", "must not be empty"),
        (
            &["--room", "a", "--participant", "a/b"],
            "--participant",
            "A-Z",
        ),
        (
            &["--room", "a", "--display-name", "a\nb"],
            "--display-name",
            "control",
        ),
        (&["--room", "a", "--ttl", "1s"], "--ttl", "write 10s to 24h"),
        (&["--room", "a", "--ttl", "2d"], "--ttl", "write 300s"),
        (&["--room", "a", "--ttl", ""], "--ttl", "write 300s"),
        (
            &["--room", "a", "--permissions", "fly"],
            "--permissions",
            "publish_sources=CAMERA",
        ),
        (
            &["--room", "a", "--permissions", ""],
            "--permissions",
            "subscribe",
        ),
        (
            &["--room", "a", "--permissions", "subscribe=yes"],
            "--permissions",
            "subscribe",
        ),
        (
            &["--room", "a", "--permissions", "publish_sources=EYE"],
            "--permissions",
            "MICROPHONE",
        ),
        (
            &["--room", "a", "--permissions", "tracks_max=-1"],
            "--permissions",
            "tracks_max=2",
        ),
        (
            &["--participant", "ada"],
            "--participant",
            "give --room too",
        ),
        (
            &["--scopes", "*", "--create"],
            "--create",
            "give --room too",
        ),
        (
            &["--scopes", "*", "--permissions", "all"],
            "--permissions",
            "give --room too",
        ),
        (&["--scopes", "fly"], "--scopes", "rooms.read"),
        (&["--scopes", "rooms.read,"], "--scopes", "rooms.read"),
        (&["--scopes", "*", "--rooms", "a b"], "--rooms", "acme-*"),
        (&["--scopes", "*", "--rooms", "*-acme"], "--rooms", "acme-*"),
        (&["--scopes", "*", "--rooms", ""], "--rooms", "acme-*"),
        (&["--rooms", "acme-*"], "--room", "--scopes for a backend's"),
        (&["--colour", "red"], "--colour", "--help"),
        (&["--room"], "--room", "--help"),
    ] {
        let said = token(&folder, arguments);
        assert_eq!(said.code, Some(2), "{arguments:?} {}", said.words);
        assert_eq!(
            said.words.lines().count(),
            1,
            "{arguments:?} {}",
            said.words
        );
        for needle in ["plenum: ", flag, cure] {
            assert!(
                said.words.contains(needle),
                "{arguments:?} {:?} {needle}",
                said.words
            );
        }
        assert!(said.token.is_empty());
    }
    let output = plenum(&["token", "--room", "a"]).output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(words, "plenum: give --keys-file: its first key signs\n");
}

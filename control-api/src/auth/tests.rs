//! The matrix of good and bad tokens.

use serde_json::{Value, json};

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn authority() -> Authority {
    let other = "f".repeat(32);
    Authority::new(Keys::parse(&format!("main: {SECRET}\nother: {other}")).unwrap())
}

fn signed(header: &Value, claims: &Value, secret: &str) -> String {
    use base64::Engine as _;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let text = format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(claims.to_string().as_bytes())
    );
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
    let tag = aws_lc_rs::hmac::sign(&key, text.as_bytes());
    format!("{text}.{}", encode(tag.as_ref()))
}

fn good_header() -> Value {
    json!({"alg": "HS256", "typ": "JWT", "kid": "main"})
}

fn good_claims() -> Value {
    let now = UnixTime::now().as_secs();
    json!({"iss": "main", "sub": "ada", "aud": "plenum", "exp": now + 60, "iat": now,
           "plenum": {"room": "standup"}})
}

fn with(mut value: Value, pointer: &str, new: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = value.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if new.is_null() {
        parent.remove(name);
    } else {
        parent.insert(name.to_owned(), new);
    }
    value
}

#[test]
fn a_token_signed_elsewhere_is_taken_for_what_it_says() {
    let claims = with(
        good_claims(),
        "/plenum",
        json!({"room": "rooms/standup", "displayName": "Ada", "permissions": {"subscribe": true},
               "room_config": {"participants_max": 3, "empty_timeout": "10s"}}),
    );
    let grant = authority()
        .participant(&signed(&good_header(), &claims, SECRET))
        .unwrap();
    assert_eq!(grant.room.as_str(), "standup");
    assert_eq!(grant.participant.unwrap().as_str(), "ada");
    assert_eq!(grant.spec.display_name, "Ada");
    // proto3: a set message whose fields are unset grants nothing but what it names.
    assert_eq!(grant.spec.permissions.publish_sources, Some(Vec::new()));
    assert!(grant.spec.permissions.subscribe && !grant.spec.permissions.send_data);
    let config = grant.room_config.unwrap();
    assert_eq!(
        (config.participants_max, config.empty_timeout.as_secs()),
        (3, 10)
    );
}

#[test]
fn a_participants_token_is_good_for_a_day_at_most() {
    let now = UnixTime::now().as_secs();
    let day = TOKEN_TTL_MAX.as_secs();
    for (iat, exp, expected) in [
        (json!(now), now + 60, now + 60),
        (json!(now), now + 30 * day, now + day),
        (json!(now - day + 60), now + 30 * day, now + 60),
    ] {
        let claims = with(with(good_claims(), "/iat", iat), "/exp", json!(exp));
        let grant = authority().participant(&signed(&good_header(), &claims, SECRET));
        assert_eq!(grant.unwrap().expires_at.as_secs(), expected);
    }
}

fn check_refused(cases: Vec<(String, Reason, &str)>) {
    for (token, reason, needle) in cases {
        let failure = authority().participant(&token).expect_err(needle);
        assert_eq!(failure.reason, reason, "{failure}");
        assert!(
            failure.message.contains(needle),
            "{failure} lacks {needle:?}"
        );
        assert!(!failure.message.contains(SECRET), "{failure}");
    }
}

#[test]
fn a_token_with_a_bad_frame_is_refused() {
    let header = |pointer: &str, new: Value| {
        signed(&with(good_header(), pointer, new), &good_claims(), SECRET)
    };
    let good = signed(&good_header(), &good_claims(), SECRET);
    let unsigned = format!("{}.", good.rsplit_once('.').unwrap().0);
    assert!(authority().participant(&good).is_ok());
    check_refused(vec![
        (String::new(), Reason::TokenInvalid, "no JWT"),
        ("a.b.c".into(), Reason::TokenInvalid, "no JWT"),
        (unsigned, Reason::TokenInvalid, "signature"),
        ("x".repeat(TOKEN_BYTES + 1), Reason::TokenInvalid, "longer"),
        (
            signed(&good_header(), &good_claims(), &"e".repeat(32)),
            Reason::TokenInvalid,
            "signature",
        ),
        (header("/alg", json!("none")), Reason::TokenInvalid, ""),
        (
            header("/alg", json!("HS512")),
            Reason::TokenInvalid,
            "HS256",
        ),
        (
            header("/alg", json!("RS256")),
            Reason::TokenInvalid,
            "HS256",
        ),
        (header("/kid", Value::Null), Reason::TokenInvalid, "kid"),
        (
            header("/kid", json!("nobody")),
            Reason::TokenInvalid,
            "no key",
        ),
        (
            header("/kid", json!("other")),
            Reason::TokenInvalid,
            "signature",
        ),
    ]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_token_with_a_bad_claim_is_refused_with_its_reason() {
    let now = UnixTime::now().as_secs();
    let claim = |pointer: &str, new: Value| {
        signed(&good_header(), &with(good_claims(), pointer, new), SECRET)
    };
    check_refused(vec![
        (claim("/iss", json!("other")), Reason::TokenInvalid, "iss"),
        (
            claim("/aud", json!("elsewhere")),
            Reason::TokenInvalid,
            "aud",
        ),
        (claim("/aud", Value::Null), Reason::TokenInvalid, "aud"),
        (claim("/exp", Value::Null), Reason::TokenInvalid, "exp"),
        (
            claim("/exp", json!(now - 6)),
            Reason::TokenExpired,
            "expired",
        ),
        (
            claim("/jti", json!("j".repeat(TOKEN_ID_BYTES + 1))),
            Reason::TokenInvalid,
            "jti",
        ),
        // Revocations are forgotten a day after, so no token is good for longer.
        (
            claim("/iat", json!(now - TOKEN_TTL_MAX.as_secs() - 6)),
            Reason::TokenExpired,
            "expired",
        ),
        (claim("/iat", json!(now + 60)), Reason::TokenInvalid, "iat"),
        // One whose age nobody knows would outlive what revoked it.
        (claim("/iat", Value::Null), Reason::TokenInvalid, "iat"),
        (claim("/iat", json!("now")), Reason::TokenInvalid, "read"),
        // Milliseconds, where seconds are meant.
        (
            claim("/iat", json!(now * 1_000)),
            Reason::TokenInvalid,
            "write seconds",
        ),
        (claim("/nbf", json!(now + 60)), Reason::TokenInvalid, "nbf"),
        (
            claim("/sub", json!("a/b")),
            Reason::TokenInvalid,
            "participant",
        ),
        (
            claim("/plenum", Value::Null),
            Reason::TokenInvalid,
            "plenum",
        ),
        (
            claim("/plenum/room", json!("a b")),
            Reason::TokenInvalid,
            "room",
        ),
        (
            claim("/plenum/room", Value::Null),
            Reason::TokenInvalid,
            "room",
        ),
        (
            claim("/plenum/colour", json!(1)),
            Reason::TokenInvalid,
            "colour",
        ),
        (
            claim("/plenum", json!({"scopes": ["*"]})),
            Reason::TokenKind,
            "backend",
        ),
        (
            claim("/plenum/kind", json!("GHOST")),
            Reason::TokenInvalid,
            "kind",
        ),
        (
            claim("/plenum/permissions", json!({"video_height_max": 720})),
            Reason::FeatureAbsent,
            "video_height_max",
        ),
        (
            claim("/plenum/room_config", json!({"e2ee_required": true})),
            Reason::FeatureAbsent,
            "e2ee_required",
        ),
        (
            claim("/plenum/room_config", json!({"empty_timeout": "soon"})),
            Reason::TokenInvalid,
            "empty_timeout",
        ),
    ]);
}

#[test]
fn an_issued_token_grants_what_was_asked() {
    let request = TokenRequest {
        room: RoomName::new("standup").unwrap(),
        participant: None,
        spec: ParticipantSpec {
            display_name: "Ada".into(),
            ..ParticipantSpec::default()
        },
        ttl: Duration::from_secs(60),
        room_config: Some(RoomConfig::default()),
    };
    let issued = authority().issue(&request).unwrap();
    assert!(!format!("{issued:?}").contains(&issued.token));
    let grant = authority().participant(&issued.token).unwrap();
    assert_eq!(grant.participant, None);
    assert_eq!(grant.spec, request.spec);
    assert_eq!(grant.room_config, request.room_config);
    assert!(UnixTime::now().since(grant.issued_at) < Duration::from_secs(5));
    for ttl in [Duration::from_secs(9), Duration::from_secs(24 * 3_600 + 1)] {
        let failure = authority()
            .issue(&TokenRequest {
                ttl,
                ..request.clone()
            })
            .unwrap_err();
        assert_eq!(failure.field.as_deref(), Some("ttl"));
    }
}

#[test]
fn a_backend_may_do_what_its_scopes_and_rooms_cover() {
    let rooms = vec!["acme-*".to_owned(), "lobby".to_owned()];
    let scopes = vec!["rooms.read".to_owned()];
    let issued = authority()
        .issue_backend(scopes, rooms, Duration::from_secs(60))
        .unwrap();
    let grant = authority().backend(&issued.token).unwrap();
    for (scope, room, good) in [
        ("rooms.read", Some("acme-1"), true),
        ("rooms.read", Some("lobby"), true),
        ("rooms.read", None, true),
        ("rooms.read", Some("lobby2"), false),
        ("rooms.write", Some("acme-1"), false),
    ] {
        let room = room.map(|name| RoomName::new(name).unwrap());
        assert_eq!(
            grant.check(scope, room.as_ref()).is_ok(),
            good,
            "{scope} {room:?}"
        );
    }
    assert!(
        BackendGrant::everything()
            .check("nodes.write", None)
            .is_ok()
    );
    let participant = signed(&good_header(), &good_claims(), SECRET);
    assert_eq!(
        authority().backend(&participant).unwrap_err().reason,
        Reason::TokenKind
    );
    let unknown = vec!["everything".to_owned()];
    assert!(
        authority()
            .issue_backend(unknown, Vec::new(), Duration::from_secs(60))
            .is_err()
    );
}

//! OPTIONS, and pages of other origins.

use control_api::config::CorsConfig;

use crate::support::{ask, config, keys, offer, post, start};

const PAGE: &str = "https://meet.example";

#[tokio::test]
async fn options_say_what_may_be_asked() {
    let running = start(config()).await;
    let made = post(&running, "/whip/standup", &offer()).await;
    let resource = made.header("location").unwrap();
    for (path, allow, accepts, media_type) in [
        (
            "/whip/standup",
            "GET, HEAD, POST, OPTIONS",
            "accept-post",
            "application/sdp",
        ),
        (
            "/whep/standup",
            "GET, HEAD, POST, OPTIONS",
            "accept-post",
            "application/sdp",
        ),
        (
            resource,
            "GET, HEAD, PATCH, DELETE, OPTIONS",
            "accept-patch",
            "application/trickle-ice-sdpfrag",
        ),
    ] {
        let answer = ask(running.http, "OPTIONS", path, &[], "").await;
        assert_eq!((answer.status, &*answer.body), (200, ""), "{path}");
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
        assert_eq!(answer.header(accepts), Some(media_type), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    running.end().await;
}

#[tokio::test]
async fn a_page_of_this_machine_may_ask_in_development_and_reads_the_headers() {
    let running = start(config()).await;
    let origin = ("Origin", "http://localhost:5000");
    let preflight = [
        origin,
        ("Access-Control-Request-Method", "POST"),
        (
            "Access-Control-Request-Headers",
            "authorization,content-type",
        ),
    ];
    let answer = ask(running.http, "OPTIONS", "/whip/standup", &preflight, "").await;
    assert_eq!(answer.status, 200);
    let says = |name: &str, words: &[&str]| {
        let value = answer.header(name).unwrap_or_default().to_ascii_lowercase();
        for word in words {
            assert!(value.contains(word), "{name}: {value}");
        }
    };
    says("access-control-allow-origin", &[origin.1]);
    says("access-control-allow-methods", &["post", "patch", "delete"]);
    let asked = ["authorization", "content-type", "if-match"];
    says("access-control-allow-headers", &asked);
    says("vary", &["origin"]);
    let headers = [origin, ("Content-Type", "application/sdp")];
    for (body, status) in [(offer(), 201), (String::new(), 400)] {
        let answer = ask(running.http, "POST", "/whip/standup", &headers, &body).await;
        assert_eq!(answer.status, status, "{answer:?}");
        let exposed = answer.header("access-control-expose-headers").unwrap();
        for name in ["Location", "ETag", "Link"] {
            assert!(exposed.split(", ").any(|it| it == name), "{exposed}");
        }
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin.1));
    }
    running.end().await;
}

#[tokio::test]
async fn pages_from_elsewhere_are_refused_and_cannot_read_why() {
    let running = start(config()).await;
    for (name, value) in [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Host", "rebound.example"),
    ] {
        for method in ["OPTIONS", "POST"] {
            let headers = [(name, value), ("Content-Type", "application/sdp")];
            let answer = ask(running.http, method, "/whip/standup", &headers, &offer()).await;
            assert_eq!(answer.status, 403, "{value} {method}: {answer:?}");
            assert_eq!(answer.problem()["reason"], "ORIGIN_REFUSED");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    assert_eq!(running.node.registry().counts(), (0, 0));
    running.end().await;
}

#[tokio::test]
async fn outside_development_the_configured_origins_may_ask() {
    let mut guarded = config();
    guarded.keys_file = Some(keys());
    guarded.cors = CorsConfig {
        origins: vec![PAGE.to_owned()],
    };
    let running = start(guarded).await;
    for (origin, status) in [(PAGE, 200), ("http://localhost:5000", 403)] {
        let headers = [("Origin", origin)];
        let answer = ask(running.http, "OPTIONS", "/whep/standup", &headers, "").await;
        assert_eq!(answer.status, status, "{origin}");
    }
    // A page must be able to read that its token is missing.
    let headers = [("Origin", PAGE), ("Content-Type", "application/sdp")];
    let answer = ask(running.http, "POST", "/whip/standup", &headers, &offer()).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
    running.end().await;
}

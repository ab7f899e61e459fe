//! What HTTP answers.

use crate::support::{Socket, config, request, start};

#[tokio::test]
async fn the_page_stands_at_its_addresses_under_a_strict_policy() {
    let running = start(config()).await;
    for path in [
        "/",
        "/r/standup",
        "/app.js",
        "/style.css",
        "/plenum/connection.js",
    ] {
        let (head, body) = request(running.http, &format!("GET {path} HTTP/1.1")).await;
        assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
        assert!(
            head.contains("content-security-policy: default-src 'self'"),
            "{head}"
        );
        assert!(head.contains("x-content-type-options: nosniff"), "{head}");
        assert!(!body.is_empty());
        let tag = head.split("etag: ").nth(1).unwrap().lines().next().unwrap();
        let again = format!("GET {path} HTTP/1.1\r\nIf-None-Match: {tag}");
        let (head, body) = request(running.http, &again).await;
        assert!(head.starts_with("http/1.1 304"), "{path}: {head}");
        assert_eq!(body, "");
    }
    for (head, status) in [
        ("GET /nothing HTTP/1.1", "404"),
        ("GET /package.json HTTP/1.1", "404"),
        ("GET /../Cargo.toml HTTP/1.1", "404"),
        ("POST / HTTP/1.1", "405"),
        ("GET /v1/connect HTTP/1.1", "400"),
    ] {
        let (answer, _) = request(running.http, head).await;
        assert!(
            answer.starts_with(&format!("http/1.1 {status}")),
            "{head}: {answer}"
        );
    }
    running.end().await;
}

#[tokio::test]
async fn health_and_counters_are_on_both_listeners_in_development() {
    let running = start(config()).await;
    let (_ada, _) = Socket::join(&running, "standup", "ada").await;
    for address in [running.http, running.admin] {
        for path in ["/livez", "/readyz"] {
            let (head, _) = request(address, &format!("GET {path} HTTP/1.1")).await;
            assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
        }
        let (_, body) = request(address, "GET /metrics HTTP/1.1").await;
        for line in [
            "plenum_rooms 1",
            "plenum_participants 1",
            "plenum_sockets 1",
            "plenum_joins_total{shard=\"0\"} 1",
            "plenum_dropped_total{shard=\"0\",reason=\"unclassified\"} 0",
            "plenum_participants_held{shard=\"0\"} 1",
        ] {
            assert!(
                body.lines().any(|it| it == line),
                "{line} is missing in\n{body}"
            );
        }
    }
    running.node.registry().drain();
    let (head, body) = request(running.http, "GET /readyz HTTP/1.1").await;
    assert!(head.starts_with("http/1.1 503"), "{head}");
    assert_eq!(body, "draining\n");
    running.end().await;
}

#[tokio::test]
async fn headers_beyond_their_bound_are_refused() {
    let running = start(config()).await;
    let head = format!("GET / HTTP/1.1\r\nX-Long: {}", "x".repeat(20 << 10));
    let (answer, _) = request(running.http, &head).await;
    assert!(answer.starts_with("http/1.1 431"), "{answer}");
    running.end().await;
}

//! PATCH and DELETE of what a POST made.

use control_api::node::Running;

use crate::support::{
    Answer, PASSWORD, UFRAG, ask, config, eventually, offer, player, post, start,
};

const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// A publisher or a viewer: where it is, and its ETag.
async fn made(running: &Running, door: &str) -> (String, String) {
    let offer = if door == "whip" { offer() } else { player() };
    let answer = post(running, &format!("/{door}/standup"), &offer).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let header = |name| answer.header(name).unwrap().to_owned();
    (header("location"), header("etag"))
}

async fn patch(running: &Running, path: &str, if_match: Option<&str>, body: &str) -> Answer {
    let mut headers = vec![("Content-Type", FRAGMENT)];
    headers.extend(if_match.map(|tag| ("If-Match", tag)));
    ask(running.http, "PATCH", path, &headers, body).await
}

fn fragment(ufrag: &str, password: &str) -> String {
    format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n")
}

fn candidates() -> String {
    fragment(UFRAG, PASSWORD)
        + "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
           a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0\r\n\
           a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active\r\n\
           a=candidate:4 1 udp 2122260223 0d1f6a3c.local 50000 typ host\r\n\
           a=end-of-candidates\r\n"
}

const NEW: &str = "vw5LmwG4y/e6dPP/zAP9Gp5k";

#[tokio::test]
async fn candidates_are_let_through_unless_they_are_of_another_time() {
    let running = start(config()).await;
    for door in ["whip", "whep"] {
        let (path, etag) = made(&running, door).await;
        let listed = format!("\"other\", {etag}");
        let weak = format!("W/{etag}");
        let bare = "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\n".to_owned();
        for (what, if_match, body, status) in [
            ("with the ETag", Some(&*etag), candidates(), 204),
            ("again", Some(&*etag), candidates(), 204),
            ("one of several", Some(&*listed), candidates(), 204),
            ("bare", None, candidates(), 204),
            ("any", Some("*"), candidates(), 204),
            ("without credentials", Some(&*etag), bare, 204),
            (
                "the end only",
                Some(&*etag),
                "a=end-of-candidates\r\n".into(),
                204,
            ),
            ("another ETag", Some("\"other\""), candidates(), 412),
            ("a weak one", Some(&*weak), candidates(), 412),
            (
                "without quotes",
                Some(etag.trim_matches('"')),
                candidates(),
                412,
            ),
            ("nothing", Some(&*etag), String::new(), 400),
            ("no fragment", Some(&*etag), "hello".into(), 400),
            ("an offer", Some(&*etag), offer(), 400),
            (
                "a candidate that is none",
                Some(&*etag),
                "a=candidate:x\r\n".into(),
                400,
            ),
            (
                "half of new credentials",
                Some("*"),
                "a=ice-ufrag:ysXw\r\n".into(),
                400,
            ),
        ] {
            let answer = patch(&running, &path, if_match, &body).await;
            assert_eq!(answer.status, status, "{door}, {what}: {answer:?}");
            match status {
                204 => {
                    assert_eq!(answer.body, "");
                    assert_eq!(answer.header("content-type"), None);
                }
                412 => assert_eq!(answer.problem()["reason"], "ETAG_MISMATCH"),
                _ => assert_eq!(answer.problem()["reason"], "SDP_INVALID", "{what}"),
            }
        }
    }
    running.end().await;
}

#[tokio::test]
async fn a_restart_gives_new_credentials_and_a_new_etag() {
    let running = start(config()).await;
    for door in ["whip", "whep"] {
        let (path, first) = made(&running, door).await;
        for (what, if_match, status) in [
            ("without If-Match", None, 428),
            ("with another ETag", Some("\"other\""), 412),
        ] {
            let answer = patch(&running, &path, if_match, &fragment("ysXw", NEW)).await;
            assert_eq!(answer.status, status, "{door}, {what}: {answer:?}");
            assert_eq!(answer.problem()["reason"], "ETAG_MISMATCH");
        }
        let restarted = patch(&running, &path, Some("*"), &fragment("ysXw", NEW)).await;
        assert_eq!(restarted.status, 200, "{door}: {restarted:?}");
        assert_eq!(restarted.header("content-type"), Some(FRAGMENT));
        let second = restarted.header("etag").unwrap().to_owned();
        assert_ne!(second, first);
        for line in [
            "a=ice-lite",
            "a=ice-ufrag:",
            "a=ice-pwd:",
            "a=mid:0",
            "a=candidate:",
        ] {
            let body = &restarted.body;
            assert!(body.contains(line), "{line} is missing in {body}");
        }
        assert!(!restarted.body.contains(NEW));
        // Candidates of the time before are void, those of now are taken.
        let old = patch(&running, &path, Some(&first), &candidates()).await;
        assert_eq!(old.status, 412, "{door}: {old:?}");
        let now = fragment("ysXw", NEW) + "a=end-of-candidates\r\n";
        let answer = patch(&running, &path, Some(&second), &now).await;
        assert_eq!(answer.status, 204, "{door}: {answer:?}");
    }
    running.end().await;
}

#[tokio::test]
async fn restarts_one_upon_another_are_held_up() {
    let running = start(config()).await;
    let (path, etag) = made(&running, "whip").await;
    let answer = patch(&running, &path, Some(&etag), &fragment("aaaa", NEW)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut refused = 0;
    for n in 0..20 {
        let answer = patch(
            &running,
            &path,
            Some("*"),
            &fragment(&format!("b{n:03}"), NEW),
        )
        .await;
        refused += usize::from(answer.status == 429);
        if answer.status == 429 {
            assert_eq!(answer.problem()["reason"], "LIMIT_EXCEEDED");
            assert!(answer.header("retry-after").is_some());
        }
    }
    assert!(refused > 0);
    running.end().await;
}

#[tokio::test]
async fn delete_ends_it_once() {
    let running = start(config()).await;
    for door in ["whip", "whep"] {
        let (path, _) = made(&running, door).await;
        // RFC 9725 §4.3.1: an ETag means nothing here.
        let headers = [("If-Match", "\"other\"")];
        let answer = ask(running.http, "DELETE", &path, &headers, "").await;
        assert_eq!((answer.status, &*answer.body), (200, ""), "{door}");
        let gone = || running.node.registry().counts().1 == 0;
        eventually("nobody is inside", gone).await;
        for method in ["DELETE", "PATCH"] {
            let headers = [("Content-Type", FRAGMENT)];
            let answer = ask(running.http, method, &path, &headers, &candidates()).await;
            assert_eq!(answer.status, 404, "{door} {method}: {answer:?}");
            assert_eq!(answer.problem()["reason"], "PARTICIPANT_NOT_FOUND");
        }
    }
    running.end().await;
}

#[tokio::test]
async fn a_resource_stands_at_its_own_place_only_and_takes_no_other_method() {
    let running = start(config()).await;
    let (path, etag) = made(&running, "whip").await;
    let id = path.rsplit('/').next().unwrap();
    let upper = format!("/whip/standup/{}", id.to_uppercase());
    let mut wrong = vec![
        format!("/whep/standup/{id}"),
        format!("/whip/other/{id}"),
        format!("/whip/standup/{}", "0".repeat(32)),
        format!("/whip/standup/{id}x"),
    ];
    // An id of digits only has no other case.
    wrong.extend((upper != path).then_some(upper));
    for place in &wrong {
        for method in ["PATCH", "DELETE"] {
            let headers = [("Content-Type", FRAGMENT), ("If-Match", etag.as_str())];
            let answer = ask(running.http, method, place, &headers, &candidates()).await;
            assert_eq!(answer.status, 404, "{method} {place}: {answer:?}");
        }
    }
    for method in ["PUT", "POST"] {
        let answer = ask(running.http, method, &path, &[], "").await;
        assert_eq!(answer.status, 405, "{method}: {answer:?}");
        let allowed = Some("GET, HEAD, PATCH, DELETE, OPTIONS");
        assert_eq!(answer.header("allow"), allowed);
    }
    // RFC 9725 §4.1: there is nothing to read, and nobody is blamed for asking.
    for method in ["GET", "HEAD"] {
        let answer = ask(running.http, method, &path, &[], "").await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{method}");
        for place in &wrong {
            let answer = ask(running.http, method, place, &[], "").await;
            assert_eq!(answer.status, 404, "{method} {place}: {answer:?}");
        }
    }
    for media_type in ["application/sdp", "application/json", "text/plain"] {
        let headers = [("Content-Type", media_type)];
        let answer = ask(running.http, "PATCH", &path, &headers, &candidates()).await;
        assert_eq!(answer.status, 415, "{media_type}: {answer:?}");
        assert_eq!(answer.header("accept-patch"), Some(FRAGMENT));
    }
    let headers = [(
        "Content-Type",
        "application/trickle-ice-sdpfrag; charset=utf-8",
    )];
    let answer = ask(running.http, "PATCH", &path, &headers, &candidates()).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    let long = candidates() + &"a=x:y\r\n".repeat(10_000);
    let answer = patch(&running, &path, Some(&etag), &long).await;
    assert_eq!(answer.status, 413, "{answer:?}");
    running.end().await;
}

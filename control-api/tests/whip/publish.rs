//! POST to `/whip/{room}`.

use control_api::clock::UnixTime;
use control_api::config::Secret;

use crate::support::{
    AUDIO, Answer, PASSWORD, SESSION, VIDEO, ask, config, eventually, offer, post, start,
};

const SIMULCAST: &str = include_str!("../../../sfu/tests/fixtures/sdp/chromium-simulcast.sdp");
const FIREFOX: &str = include_str!("../../../sfu/tests/fixtures/sdp/firefox-simulcast.sdp");
const SENDRECV: &str = include_str!("../../../sfu/tests/fixtures/sdp/chromium-sendrecv.sdp");

/// The values of an attribute, in order.
fn values<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
    let lines = answer.body.split("\r\n");
    lines.filter_map(|line| line.strip_prefix(name)).collect()
}

#[tokio::test]
async fn an_offer_is_answered_whole() {
    let running = start(config()).await;
    // Some encoders cannot leave the header out where they have no token.
    let headers = [
        ("Content-Type", "application/sdp"),
        ("Authorization", "Bearer "),
    ];
    let answer = ask(running.http, "POST", "/whip/standup", &headers, &offer()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/sdp"));
    let location = answer.header("location").unwrap();
    let id = location.strip_prefix("/whip/standup/").unwrap();
    assert_eq!(id.len(), 32, "128 bits: {id}");
    let etag = answer.header("etag").unwrap();
    assert!(
        etag.starts_with('"') && etag.ends_with('"') && etag.len() > 8,
        "{etag}"
    );
    // No server is configured, so there is none to name.
    assert_eq!(answer.header("link"), None);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.body.starts_with("v=0\r\n"), "{}", answer.body);
    assert!(answer.body.contains("a=ice-lite\r\n"));
    assert!(!answer.body.contains(PASSWORD));
    assert!(!values(&answer, "a=candidate:").is_empty());
    let again = post(&running, "/whip/standup", &offer()).await;
    assert_ne!(again.header("location"), Some(location));
    assert_ne!(again.header("etag"), Some(etag));
    eventually("both are participants", || {
        running.node.registry().counts().1 == 2
    })
    .await;
    running.end().await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn what_an_offer_says_is_said_in_the_answer() {
    let running = start(config()).await;
    let foreign = offer()
        .replace("111", "107")
        .replace("96", "121")
        .replace("97", "122")
        .replace("extmap:4 ", "extmap:9 ")
        .replace("extmap:10 ", "extmap:3 ");
    let reversed = format!(
        "{}{VIDEO}{AUDIO}",
        SESSION.replace("BUNDLE 0 1", "BUNDLE 1 0")
    );
    let without_groups = format!("{}{AUDIO}", SESSION.replace("a=group:BUNDLE 0 1\r\n", ""));
    for (what, offer, name, expected) in [
        ("actpass", offer(), "a=setup:", vec!["passive"; 2]),
        (
            "active",
            offer().replace("actpass", "active"),
            "a=setup:",
            vec!["passive"; 2],
        ),
        (
            "passive: we are the DTLS client",
            offer().replace("a=setup:actpass", "a=setup:passive"),
            "a=setup:",
            vec!["active"; 2],
        ),
        (
            "no setup at all",
            offer().replace("a=setup:actpass\r\n", ""),
            "a=setup:",
            vec!["passive"; 2],
        ),
        ("mids", offer(), "a=mid:", vec!["0", "1"]),
        ("sendonly", offer(), "a=recvonly", vec![""; 2]),
        (
            "sendrecv is answered recvonly too",
            offer().replace("a=sendonly", "a=sendrecv"),
            "a=recvonly",
            vec![""; 2],
        ),
        (
            "sendrecv as it is without a word",
            offer().replace("a=sendonly\r\n", ""),
            "a=recvonly",
            vec![""; 2],
        ),
        (
            "a browser's sendrecv",
            SENDRECV.into(),
            "a=recvonly",
            vec![""; 2],
        ),
        (
            "m-lines in another order",
            reversed.clone(),
            "a=mid:",
            vec!["1", "0"],
        ),
        (
            "their order in the group",
            reversed,
            "a=group:",
            vec!["BUNDLE 1 0"],
        ),
        (
            "foreign payload types",
            foreign.clone(),
            "m=",
            vec!["audio", "video"],
        ),
        (
            "foreign payload types have their names",
            foreign.clone(),
            "a=rtpmap:",
            vec!["107 opus/48000/2", "121 VP8/90000", "122 rtx/90000"],
        ),
        (
            "foreign extension ids",
            foreign,
            "a=extmap:",
            vec![
                "9 urn:ietf:params:rtp-hdrext:sdes:mid",
                "9 urn:ietf:params:rtp-hdrext:sdes:mid",
                "3 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
                "11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            ],
        ),
        ("simulcast", SIMULCAST.into(), "a=simulcast:", vec!["recv "]),
        (
            "Firefox's simulcast",
            FIREFOX.into(),
            "a=simulcast:",
            vec!["recv "],
        ),
        (
            "lines that end with LF",
            offer().replace("\r\n", "\n"),
            "a=mid:",
            vec!["0", "1"],
        ),
        ("one m-line, no group", without_groups, "a=mid:", vec!["0"]),
        (
            "candidates of every kind",
            offer().replace(
                "a=mid:0\r\n",
                "a=mid:0\r\na=candidate:1 1 udp 2122260223 6c4b.local 5000 typ host\r\n\
                 a=candidate:2 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active\r\n\
                 a=end-of-candidates\r\n",
            ),
            "a=mid:",
            vec!["0", "1"],
        ),
    ] {
        let answer = post(&running, "/whip/standup", &offer).await;
        assert_eq!(answer.status, 201, "{what}: {answer:?}");
        let found = values(&answer, name);
        assert_eq!(found.len(), expected.len(), "{what}: {}", answer.body);
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{what}: {found} {expected}");
        }
    }
    running.end().await;
}

#[tokio::test]
async fn the_media_type_may_have_parameters_and_any_case() {
    let running = start(config()).await;
    for (media_type, status) in [
        (Some("application/sdp"), 201),
        (Some("Application/SDP"), 201),
        (Some("application/sdp; charset=utf-8"), 201),
        (Some("application/sdp;charset=\"utf-8\""), 201),
        (Some("application/sdp ; version=1"), 201),
        (Some("application/trickle-ice-sdpfrag"), 415),
        (Some("application/json"), 415),
        (Some("application/sdpfrag"), 415),
        (Some("text/plain"), 415),
        (Some(""), 415),
        (None, 415),
    ] {
        let named = media_type.map(|it| ("Content-Type", it));
        let headers: Vec<_> = named.into_iter().collect();
        let answer = ask(running.http, "POST", "/whip/standup", &headers, &offer()).await;
        assert_eq!(answer.status, status, "{media_type:?}: {answer:?}");
        if status == 415 {
            let problem = answer.problem();
            assert_eq!(problem["reason"], "MESSAGE_INVALID");
            assert_eq!(answer.header("accept-post"), Some("application/sdp"));
        }
    }
    running.end().await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn what_cannot_be_used_is_refused_with_its_place_and_nobody_has_joined() {
    let running = start(config()).await;
    let no_ice = offer()
        .replace("a=ice-ufrag:EsAw\r\n", "")
        .replace("a=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\n", "");
    let unknown_video = offer()
        .replace("VP8/90000", "theora/90000")
        .replace("rtx/90000", "theora/90000");
    let unknown_both = unknown_video.replace("opus/48000/2", "speex/16000");
    let image = format!("{SESSION}{AUDIO}m=image 9 udptl t38\r\na=mid:1\r\n");
    let data = SESSION.replace("BUNDLE 0 1", "BUNDLE 0")
        + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\na=sctp-port:5000\r\n";
    let sized = |bytes: usize| {
        let mut text = offer();
        while text.len() < bytes {
            let left = bytes - text.len();
            let fill = "x".repeat(left.saturating_sub(5).min(1_000));
            text.push_str(&format!("a=y:{fill}\n"));
        }
        text.truncate(bytes);
        text
    };
    for (what, body, status, reason, section, line) in [
        ("nothing", String::new(), 400, "SDP_INVALID", None, Some(1)),
        ("no SDP", "hello".into(), 400, "SDP_INVALID", None, Some(1)),
        (
            "JSON",
            "{\"sdp\":\"v=0\"}".into(),
            400,
            "SDP_INVALID",
            None,
            Some(1),
        ),
        (
            "no m-line",
            SESSION.replace("a=group:BUNDLE 0 1\r\n", ""),
            400,
            "SDP_INVALID",
            None,
            None,
        ),
        (
            "a line that is none",
            offer() + "nonsense\r\n",
            400,
            "SDP_INVALID",
            None,
            Some(37),
        ),
        (
            "no ICE credentials",
            no_ice,
            400,
            "SDP_INVALID",
            None,
            Some(10),
        ),
        (
            "a short password",
            offer().replace(PASSWORD, "short"),
            400,
            "SDP_INVALID",
            None,
            Some(8),
        ),
        (
            "no fingerprint",
            offer().replace("a=fingerprint:sha-256 ", "a=x:"),
            400,
            "SDP_INVALID",
            None,
            Some(12),
        ),
        (
            "a weak fingerprint",
            offer().replace("sha-256", "sha-1"),
            400,
            "SDP_INVALID",
            None,
            Some(10),
        ),
        (
            "no rtcp-mux",
            offer().replacen("a=rtcp-mux\r\n", "", 1),
            400,
            "SDP_INVALID",
            Some(0),
            Some(12),
        ),
        (
            "a player's offer",
            offer().replace("sendonly", "recvonly"),
            400,
            "SDP_INVALID",
            Some(0),
            Some(12),
        ),
        (
            "half of it inactive",
            format!("{SESSION}{AUDIO}{}", VIDEO.replace("sendonly", "inactive")),
            400,
            "SDP_INVALID",
            Some(1),
            Some(21),
        ),
        ("data channels only", data, 400, "SDP_INVALID", None, None),
        (
            "a group with strangers",
            offer().replace("BUNDLE 0 1", "BUNDLE 0 7"),
            400,
            "SDP_INVALID",
            None,
            Some(5),
        ),
        (
            "two of one mid",
            offer()
                .replace("a=mid:1", "a=mid:0")
                .replace("BUNDLE 0 1", "BUNDLE 0"),
            400,
            "SDP_INVALID",
            None,
            Some(21),
        ),
        (
            "pictures unknown",
            unknown_video,
            422,
            "SDP_UNSUPPORTED_CODEC",
            Some(1),
            Some(21),
        ),
        (
            "nothing known",
            unknown_both,
            422,
            "SDP_UNSUPPORTED_CODEC",
            Some(0),
            Some(12),
        ),
        (
            "fax",
            image,
            422,
            "SDP_UNSUPPORTED_CODEC",
            Some(1),
            Some(21),
        ),
        (
            "64 KiB and one byte",
            sized((64 << 10) + 1),
            413,
            "LIMIT_EXCEEDED",
            None,
            None,
        ),
    ] {
        let answer = post(&running, "/whip/standup", &body).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        let problem = answer.problem();
        assert_eq!(problem["reason"], reason, "{what}: {problem}");
        assert_eq!(problem["section"].as_u64(), section, "{what}: {problem}");
        assert_eq!(problem["line"].as_u64(), line, "{what}: {problem}");
        assert_eq!(answer.header("location"), None);
    }
    assert_eq!(running.node.registry().counts(), (0, 0));
    let whole = post(&running, "/whip/standup", &sized(64 << 10)).await;
    assert_eq!(whole.status, 201, "{whole:?}");
    running.end().await;
}

#[tokio::test]
async fn other_methods_and_places_are_refused() {
    let running = start(config()).await;
    for method in ["GET", "HEAD"] {
        let bad = ask(running.http, method, "/whip/%20bad", &[], "").await;
        assert_eq!(bad.status, 400, "{method}");
        for path in ["/whip/standup", "/whep/standup"] {
            let answer = ask(running.http, method, path, &[], "").await;
            assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{method}");
            assert_eq!(answer.header("content-length"), None, "{method}");
        }
    }
    for method in ["PUT", "PATCH", "DELETE"] {
        for path in ["/whip/standup", "/whep/standup"] {
            let answer = ask(running.http, method, path, &[], "").await;
            assert_eq!(answer.status, 405, "{method} {path}: {answer:?}");
            assert_eq!(answer.header("allow"), Some("GET, HEAD, POST, OPTIONS"));
        }
    }
    for (path, status, reason) in [
        ("/whip/a%2Fb", 400, "FIELD_INVALID"),
        ("/whip/-", 400, "FIELD_INVALID"),
        ("/whip/standup?participant=a%20b", 400, "FIELD_INVALID"),
        ("/whip/standup?display_name=a%07b", 400, "FIELD_INVALID"),
        ("/whep/standup?participant=a%20b", 400, "FIELD_INVALID"),
        ("/whep/standup?track=camera", 404, "TRACK_NOT_FOUND"),
    ] {
        let body = match path.starts_with("/whip") {
            true => offer(),
            false => crate::support::player(),
        };
        let answer = post(&running, path, &body).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert_eq!(answer.problem()["reason"], reason, "{path}");
    }
    for path in ["/whip", "/whip/", "/whip/a/b/c", "/whep"] {
        let answer = ask(running.http, "GET", path, &[], "").await;
        assert_eq!(answer.status, 404, "{path}");
    }
    running.end().await;
}

#[tokio::test]
async fn a_node_that_ends_or_a_full_room_says_when_to_try_again() {
    let mut full = config();
    full.room.participants_max = 1;
    let running = start(full).await;
    assert_eq!(post(&running, "/whip/full", &offer()).await.status, 201);
    let refused = post(&running, "/whip/full", &offer()).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.problem()["reason"], "ROOM_FULL");
    assert!(refused.header("retry-after").is_some());
    running.node.registry().drain();
    let refused = post(&running, "/whip/another", &offer()).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.problem()["reason"], "NODE_DRAINING");
    assert!(
        refused
            .header("retry-after")
            .unwrap()
            .parse::<u32>()
            .is_ok()
    );
    running.end().await;
}

#[tokio::test]
async fn clients_are_told_the_servers_for_ice_with_passwords_that_end() {
    let mut with = config();
    let urls = ["stun:127.0.0.1:3478", "turn:127.0.0.1:3478?transport=udp"];
    with.ice.servers = urls.iter().map(|url| url.parse().unwrap()).collect();
    with.ice.turn_secret = Some(Secret::new("s".repeat(32)));
    let running = start(with).await;
    let mut names = Vec::new();
    for (path, body) in [
        ("/whip/standup", offer()),
        ("/whep/standup", crate::support::player()),
    ] {
        let answer = post(&running, path, &body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let links = answer.headers("link");
        assert_eq!(links.len(), 2, "{links:?}");
        assert_eq!(links[0], "<stun:127.0.0.1:3478>; rel=\"ice-server\"");
        let turn = "<turn:127.0.0.1:3478?transport=udp>; rel=\"ice-server\"; username=\"";
        let rest = links[1].strip_prefix(turn).unwrap();
        let (name, rest) = rest.split_once("\"; credential=\"").unwrap();
        let (ends, who) = name.split_once(':').unwrap();
        let left = ends.parse::<u64>().unwrap() - UnixTime::now().as_secs();
        assert!((43_000..=43_200).contains(&left), "{left} s");
        assert_eq!(who.len(), 26, "a ULID: {who}");
        assert!(
            rest.ends_with("=\"; credential-type=\"password\""),
            "{rest}"
        );
        names.push(name.to_owned());
        // Only who is in is told.
        let refused = post(&running, path, "v=0").await;
        assert!(refused.headers("link").is_empty(), "{refused:?}");
        let asked = ask(running.http, "OPTIONS", path, &[], "").await;
        assert!(asked.headers("link").is_empty(), "{asked:?}");
    }
    assert_ne!(names[0], names[1], "each has a name of its own");
    running.end().await;
}

//! The node under test, requests by hand, offers as text.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use control_api::config::Config;
use control_api::node::Running;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Nothing here takes that long, whatever else the machine does.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn config() -> Config {
    Config::on_free_ports()
}

/// A keys file; the process's temporary folder goes with it. Written once: tests run at the same
/// time, and a file that is being written is empty for a moment.
pub(crate) fn keys() -> PathBuf {
    static KEYS: LazyLock<PathBuf> = LazyLock::new(|| {
        let name = format!("plenum-whip-keys-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, "main: 0123456789abcdef0123456789abcdef\n").unwrap();
        path
    });
    KEYS.clone()
}

pub(crate) async fn start(config: Config) -> Running {
    Running::start(config).await.unwrap()
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// The first header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// All headers of that name, in order.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let those = self.headers.iter();
        let those = those.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        those.map(|(_, value)| value.as_str()).collect()
    }

    /// The body of a refusal, its form held against RFC 9457.
    pub(crate) fn problem(&self) -> Value {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        for name in ["type", "title", "detail", "reason"] {
            assert!(problem[name].is_string(), "{name} is missing: {problem}");
        }
        assert_eq!(problem["status"], self.status, "{problem}");
        problem
    }
}

/// One request on a connection of its own. A body brings its `Content-Length`.
pub(crate) async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        text.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method == "POST" {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("Connection: close\r\n\r\n");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    // A server that has refused by the headers alone may have closed by now.
    drop(stream.write_all(body.as_bytes()).await);
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    drop(read.expect("an answer comes"));
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_owned(), value.to_owned())
    });
    let answer = Answer {
        status: status.parse().unwrap(),
        headers: headers.collect(),
        body: body.to_owned(),
    };
    // Encoders read no other form than this one.
    if answer.status != 204 && method != "HEAD" {
        let length = answer.body.len().to_string();
        assert_eq!(
            answer.header("content-length"),
            Some(&*length),
            "{answer:?}"
        );
    }
    answer
}

/// A POST of an offer.
pub(crate) async fn post(running: &Running, path: &str, offer: &str) -> Answer {
    let headers = [("Content-Type", "application/sdp")];
    ask(running.http, "POST", path, &headers, offer).await
}

/// Waits until something becomes true that nobody tells of.
pub(crate) async fn eventually(what: &str, is_true: impl Fn() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !is_true() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}");
}

/// A publisher's offer: sound as Opus (111), pictures as VP8 (96, 97).
pub(crate) fn offer() -> String {
    format!("{SESSION}{AUDIO}{VIDEO}")
}

/// A player's.
pub(crate) fn player() -> String {
    offer()
        .replace("a=sendonly", "a=recvonly")
        .lines()
        .filter(|line| !line.starts_with("a=msid:") && !line.starts_with("a=ssrc"))
        .fold(String::new(), |text, line| text + line + "\r\n")
}

pub(crate) const UFRAG: &str = "EsAw";
pub(crate) const PASSWORD: &str = "bP+XJMM09aR8AiX1jdukzR6Y";

pub(crate) const SESSION: &str = "v=0\r\n\
    o=- 5228595038118931041 2 IN IP4 127.0.0.1\r\n\
    s=-\r\n\
    t=0 0\r\n\
    a=group:BUNDLE 0 1\r\n\
    a=extmap-allow-mixed\r\n\
    a=ice-ufrag:EsAw\r\n\
    a=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\n\
    a=ice-options:trickle\r\n\
    a=fingerprint:sha-256 DA:7B:57:DC:28:CE:04:4F:31:79:85:C4:31:67:EB:27:58:29:ED:77:2A:0D:24:\
    AE:ED:AD:30:BC:BD:F1:9C:02\r\n\
    a=setup:actpass\r\n";

pub(crate) const AUDIO: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n\
    c=IN IP4 0.0.0.0\r\n\
    a=mid:0\r\n\
    a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
    a=sendonly\r\n\
    a=msid:- d46fb922-d52a-4e9c-aa87-444eadc1521b\r\n\
    a=rtcp-mux\r\n\
    a=rtpmap:111 opus/48000/2\r\n\
    a=fmtp:111 minptime=10;useinbandfec=1\r\n";

pub(crate) const VIDEO: &str = "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n\
    c=IN IP4 0.0.0.0\r\n\
    a=mid:1\r\n\
    a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
    a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n\
    a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\n\
    a=sendonly\r\n\
    a=msid:- 1a1f8c2e-6c4b-4b52-9f7c-9f9a1c7b6f11\r\n\
    a=rtcp-mux\r\n\
    a=rtcp-rsize\r\n\
    a=rtpmap:96 VP8/90000\r\n\
    a=rtcp-fb:96 ccm fir\r\n\
    a=rtcp-fb:96 nack\r\n\
    a=rtcp-fb:96 nack pli\r\n\
    a=rtpmap:97 rtx/90000\r\n\
    a=fmtp:97 apt=96\r\n";

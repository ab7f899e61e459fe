//! The node under test and its visitors.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use control_api::config::Config;
use control_api::node::Running;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::schema;

/// Nothing here takes that long, whatever else the machine does.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn config() -> Config {
    Config::on_free_ports()
}

/// The secret of [`keys`].
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A keys file; the process's temporary folder goes with it. Written once: tests run at the same
/// time, and a file that is being written is empty for a moment.
pub(crate) fn keys() -> PathBuf {
    static KEYS: LazyLock<PathBuf> = LazyLock::new(|| {
        let name = format!("plenum-keys-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, format!("main: {SECRET}\n")).unwrap();
        path
    });
    KEYS.clone()
}

pub(crate) async fn start(config: Config) -> Running {
    Running::start(config).await.unwrap()
}

/// A visitor's socket.
pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    sequence: u64,
}

/// How a socket ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

impl Socket {
    pub(crate) async fn open(running: &Running) -> Self {
        Self::open_from(running, None).await.unwrap()
    }

    pub(crate) async fn open_from(running: &Running, origin: Option<&str>) -> Result<Self, String> {
        let url = format!("ws://{}/v1/connect", running.http);
        let mut request = url.into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", "plenum.v1.json".parse().unwrap());
        if let Some(origin) = origin {
            headers.insert("origin", origin.parse().unwrap());
        }
        let (stream, response) = connect_async(request)
            .await
            .map_err(|error| error.to_string())?;
        assert_eq!(
            response.headers()["sec-websocket-protocol"],
            "plenum.v1.json"
        );
        Ok(Self {
            stream,
            sequence: 0,
        })
    }

    /// Opens, joins, and gives the welcome.
    pub(crate) async fn join(running: &Running, room: &str, participant: &str) -> (Self, Value) {
        let mut socket = Self::open(running).await;
        let join = json!({"type": "join", "room": room, "participant": participant,
            "display_name": participant.to_uppercase()});
        socket.say(join).await;
        let welcome = socket.next().await;
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        (socket, welcome)
    }

    pub(crate) async fn say(&mut self, message: Value) {
        self.say_text(message.to_string()).await;
    }

    pub(crate) async fn say_text(&mut self, text: String) {
        self.stream.send(Message::text(text)).await.unwrap();
    }

    /// The next message, held against its schema and its number.
    pub(crate) async fn next(&mut self) -> Value {
        match self.frame().await {
            Ok(message) => message,
            Err(closed) => panic!("the socket closed: {closed:?}"),
        }
    }

    /// The next message of a type; others are passed over.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// Reads until the end.
    pub(crate) async fn closed(&mut self) -> Closed {
        loop {
            if let Err(closed) = self.frame().await {
                return closed;
            }
        }
    }

    /// Opens and goes on where another socket ended; the answer, which may be a refusal.
    pub(crate) async fn resume(running: &Running, token: &Value, sequence: u64) -> (Self, Value) {
        let mut socket = Self::open(running).await;
        let resume = json!({"type": "resume", "resume_token": token, "sequence": sequence});
        socket.say(resume).await;
        let answer = socket.next().await;
        (socket, answer)
    }

    /// The number of the last message.
    pub(crate) const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Ends without a word, as a killed tab does.
    pub(crate) fn kill(self) {
        drop(self);
    }

    async fn frame(&mut self) -> Result<Value, Closed> {
        loop {
            let frame = timeout(PATIENCE, self.stream.next())
                .await
                .expect("something comes");
            let text = match frame {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Close(frame))) => {
                    let (code, reason) = frame.map_or((1_005, String::new()), |frame| {
                        (frame.code.into(), frame.reason.to_string())
                    });
                    return Err(Closed { code, reason });
                }
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => {
                    let reason = "no close frame".to_owned();
                    return Err(Closed {
                        code: 1_006,
                        reason,
                    });
                }
            };
            let message: Value = serde_json::from_str(&text).unwrap();
            // A resume goes on behind the number it says; a pong has none of its own.
            match message["type"].as_str() {
                Some("resumed") => self.sequence = message["sequence"].as_u64().unwrap(),
                Some("pong") => {}
                Some(_) | None => self.sequence += 1,
            }
            assert_eq!(message["sequence"], self.sequence, "{message}");
            assert_eq!(schema::complaint(&message), None, "{message}");
            return Ok(message);
        }
    }
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

/// One HTTP request; status line and headers, and the body.
pub(crate) async fn request(address: SocketAddr, head: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let text = format!("{head}\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

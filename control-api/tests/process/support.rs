//! A process under test, its log, and those who call it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use control_api::auth::{Authority, Keys, TokenRequest};
use control_api::registry::{ParticipantName, ParticipantSpec, RoomConfig, RoomName};
use futures_util::{SinkExt as _, StreamExt as _};
use proto::v1::room_service_client::RoomServiceClient;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tonic::transport::Channel;
use tonic::{Code, Request};

/// Nothing here takes that long, whatever else the machine does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A folder that goes with its test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(test: &str) -> Self {
        static FOLDERS: AtomicUsize = AtomicUsize::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("plenum-{test}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file; its path as text.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

pub(crate) fn plenum(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plenum"));
    command.env_clear().args(arguments);
    command
}

/// A server on free ports of loopback.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
    pub(crate) http: String,
    pub(crate) grpc: String,
    pub(crate) admin: String,
}

impl Server {
    pub(crate) async fn start(folder: &Folder, arguments: &[&str]) -> Self {
        let log = folder.path().join("log");
        let quiet = ["--http", "--grpc", "--admin", "--udp"];
        let quiet = quiet.iter().flat_map(|flag| [*flag, "127.0.0.1:0"]);
        let child = plenum(arguments)
            .args(quiet)
            .args(["--shards", "1"])
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut server = Self::new(child, log);
        let up = server.logged("is up").await;
        server.addresses(&up);
        server
    }

    /// One that runs, and the line that says where.
    pub(crate) fn of(child: Child, log: PathBuf, up: &str) -> Self {
        let mut server = Self::new(child, log);
        server.addresses(up);
        server
    }

    const fn new(child: Child, log: PathBuf) -> Self {
        Self {
            child,
            log,
            http: String::new(),
            grpc: String::new(),
            admin: String::new(),
        }
    }

    fn addresses(&mut self, up: &str) {
        let address = |name: &str| {
            let words = up.split_whitespace();
            let found = words.filter_map(|word| word.strip_prefix(name)).next();
            found
                .unwrap_or_else(|| panic!("no {name} in {up}"))
                .to_owned()
        };
        self.http = address("http=");
        self.grpc = address("grpc=");
        self.admin = address("admin=");
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The first line of the log that has these words, once it is there.
    pub(crate) async fn logged(&mut self, words: &str) -> String {
        self.logged_after(words, 0).await
    }

    /// The same, after so many bytes of the log.
    pub(crate) async fn logged_after(&mut self, words: &str, start: usize) -> String {
        let found = async {
            loop {
                let log = self.log();
                let mut lines = log[start..].lines();
                if let Some(line) = lines.find(|line| line.contains(words)) {
                    return line.to_owned();
                }
                let ended = self.child.try_wait().unwrap();
                assert!(ended.is_none(), "ended, without {words:?}: {log}");
                sleep(Duration::from_millis(20)).await;
            }
        };
        let line = timeout(PATIENCE, found).await;
        line.unwrap_or_else(|_| panic!("no {words:?} in {}", self.log()))
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Makes it reload, and gives the line that says what came of it.
    pub(crate) async fn reload(&mut self) -> String {
        let start = self.log().len();
        self.signal("HUP");
        self.logged_after("reloaded", start).await
    }

    /// How it ended, once it has.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, ended).await.unwrap()
    }

    /// One more visitor; what it is welcomed with.
    pub(crate) async fn welcome(&self, room: &str, name: &str) -> Value {
        let mut socket = Socket::open(self).await;
        let token = participant(room, name);
        let join = serde_json::json!({"type": "join", "token": token});
        socket.say(&join).await;
        let welcome = socket.next().await.unwrap();
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        welcome
    }

    /// The status and the body of a GET.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        self.get_from(&self.http, path).await
    }

    pub(crate) async fn get_from(&self, address: &str, path: &str) -> (u16, String) {
        exchange(address, &format!("GET {path} HTTP/1.1\r\n"), "").await
    }

    /// The status and the body of a request with these headers.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> (u16, String) {
        let head = format!("{method} {path} HTTP/1.1\r\n{headers}");
        exchange(&self.http, &head, body).await
    }

    pub(crate) async fn channel(&self) -> Channel {
        let url = format!("http://{}", self.grpc);
        Channel::from_shared(url).unwrap().connect().await.unwrap()
    }

    pub(crate) async fn rooms(&self) -> RoomServiceClient<Channel> {
        RoomServiceClient::new(self.channel().await)
    }

    /// What ListRooms says to whoever has this token.
    pub(crate) async fn list_rooms(&self, token: &str) -> Code {
        let mut request = Request::new(proto::v1::ListRoomsRequest::default());
        let value = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        match self.rooms().await.list_rooms(request).await {
            Ok(_) => Code::Ok,
            Err(status) => status.code(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The status and the body of the answer to a request whose head may lack its end.
pub(crate) async fn exchange(address: &str, head: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{head}host: {address}\r\nconnection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.get(9..12).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, body.to_owned())
}

/// A visitor's socket.
pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub(crate) async fn open(server: &Server) -> Self {
        let url = format!("ws://{}/v1/connect", server.http);
        let mut request = url.into_client_request().unwrap();
        let name = "sec-websocket-protocol";
        request
            .headers_mut()
            .insert(name, "plenum.v1.json".parse().unwrap());
        Self(connect_async(request).await.unwrap().0)
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        self.0
            .send(Message::text(message.to_string()))
            .await
            .unwrap();
    }

    /// None: it closed.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            match timeout(PATIENCE, self.0.next()).await.unwrap()?.ok()? {
                Message::Text(text) => return Some(serde_json::from_str(&text).unwrap()),
                Message::Close(_) => return None,
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }
}

/// A participant's token of ours, which may make the room.
pub(crate) fn participant(room: &str, name: &str) -> String {
    let authority = Authority::new(Keys::parse(&format!("main: {SECRET}")).unwrap());
    let issued = authority.issue(&TokenRequest {
        room: RoomName::new(room).unwrap(),
        participant: Some(ParticipantName::new(name).unwrap()),
        spec: ParticipantSpec::default(),
        ttl: Duration::from_secs(600),
        room_config: Some(RoomConfig::default()),
    });
    issued.unwrap().token
}

/// A backend's token of the first key of a keys file.
pub(crate) fn backend(keys: &str) -> String {
    let authority = Authority::new(Keys::parse(keys).unwrap());
    let hour = Duration::from_secs(3_600);
    let issued = authority.issue_backend(vec!["*".to_owned()], Vec::new(), hour);
    issued.unwrap().token
}

//! Another issuer's tokens at every door, each door the first that has need of the issuer's keys.

use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use control_api::clock::UnixTime;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tonic::Code;

use super::support::{Folder, PATIENCE, SECRET, Server, Socket, backend};

/// How long the issuer takes to answer: a door that does not wait for it refuses before that.
const SLOWNESS: Duration = Duration::from_secs(1);

/// An issuer that is reached over HTTP.
struct Login {
    key: Ed25519KeyPair,
    url: String,
}

impl Login {
    async fn start() -> Self {
        let key = Ed25519KeyPair::generate().unwrap();
        let x = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
        let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "login-1", "x": x}]});
        let set = set.to_string();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        drop(tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 1_024];
                drop(stream.read(&mut head).await);
                sleep(SLOWNESS).await;
                let length = set.len();
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{set}");
                drop(stream.write_all(answer.as_bytes()).await);
            }
        }));
        Self { key, url }
    }

    fn token(&self, plenum: &Value) -> String {
        let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({"iss": "https://login.example", "aud": "plenum", "sub": "ada",
            "exp": UnixTime::now().as_secs() + 600, "iat": UnixTime::now().as_secs(), "plenum": plenum});
        let signed = format!(
            "{}.{}",
            text(&json!({"alg": "EdDSA", "kid": "login-1"})),
            text(&claims)
        );
        let signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Somebody who may make the room.
    fn ada(&self) -> String {
        self.token(&json!({"room": "standup", "room_config": {}}))
    }

    /// A server that has just begun to ask for the keys.
    async fn server(&self, folder: &Folder) -> Server {
        let config = format!(
            "[jwks]\nurl = {:?}\nissuer = \"https://login.example\"\n",
            self.url
        );
        let config = folder.write("config.toml", config);
        let keys = folder.write("keys", format!("main: {SECRET}\n"));
        Server::start(folder, &["--config", &config, "--keys-file", &keys]).await
    }
}

#[tokio::test]
async fn grpc_waits_for_the_key_of_a_backends_token() {
    let (login, folder) = (Login::start().await, Folder::new("issuer-grpc"));
    let server = login.server(&folder).await;
    let backend = login.token(&json!({"scopes": ["*"]}));
    assert_eq!(server.list_rooms(&backend).await, Code::Ok);
    assert_eq!(
        server.list_rooms(&login.ada()).await,
        Code::PermissionDenied
    );
}

#[tokio::test]
async fn a_websocket_waits_for_the_key_of_who_looks_and_of_who_joins() {
    let (login, folder) = (Login::start().await, Folder::new("issuer-look"));
    let server = login.server(&folder).await;
    let mut socket = Socket::open(&server).await;
    let look = json!({"type": "look", "room": "standup", "token": login.ada()});
    socket.say(&look).await;
    let lobby = socket.next().await.unwrap();
    assert_eq!(lobby["type"], "lobby", "{lobby}");

    let folder = Folder::new("issuer-join");
    let server = login.server(&folder).await;
    let mut socket = Socket::open(&server).await;
    socket
        .say(&json!({"type": "join", "token": login.ada()}))
        .await;
    let welcome = socket.next().await.unwrap();
    assert_eq!(welcome["type"], "welcome", "{welcome}");
}

#[tokio::test]
async fn a_websocket_waits_for_the_key_of_a_fresh_token() {
    let (login, folder) = (Login::start().await, Folder::new("issuer-renewal"));
    let server = login.server(&folder).await;
    let ours = super::support::participant("standup", "ada");
    let mut socket = Socket::open(&server).await;
    socket.say(&json!({"type": "join", "token": ours})).await;
    assert_eq!(socket.next().await.unwrap()["type"], "welcome");
    socket
        .say(&json!({"type": "token", "token": login.ada()}))
        .await;
    socket.say(&json!({"type": "ping"})).await;
    let answer = socket.next().await.unwrap();
    assert_eq!(answer["type"], "pong", "{answer}");
}

#[tokio::test]
async fn whip_and_whep_wait_for_the_key_of_who_comes() {
    for door in ["whip", "whep"] {
        let (login, folder) = (Login::start().await, Folder::new("issuer-whip"));
        let server = login.server(&folder).await;
        let head = format!(
            "content-type: application/sdp\r\nauthorization: Bearer {}\r\ncontent-length: 1\r\n",
            login.ada()
        );
        let path = format!("/{door}/standup");
        let (status, body) = server.ask("POST", &path, &head, "x").await;
        // The token is taken, so it is the offer that is looked at.
        assert!(body.contains("SDP_INVALID"), "{door} {status} {body}");
        let metrics = metrics(&server).await;
        for line in [
            "plenum_jwks_keys 1",
            "plenum_jwks_fetches_total{outcome=\"taken\"} 1",
            "plenum_jwks_fetches_total{outcome=\"failed\"} 0",
        ] {
            assert!(metrics.contains(line), "no {line} in {metrics}");
        }
    }
}

#[tokio::test]
async fn an_issuer_that_cannot_be_reached_is_said_once_and_keeps_nobody_else_out() {
    let folder = Folder::new("issuer-gone");
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut login = Login::start().await;
    login.url = format!("http://{}/keys", gone.local_addr().unwrap());
    drop(gone);
    let mut server = login.server(&folder).await;
    let said = server.logged("the keys known so far stay in use").await;
    assert!(said.contains("WARN") && said.contains(&login.url), "{said}");
    for _ in 0..5 {
        let token = login.token(&json!({"scopes": ["*"]}));
        assert_eq!(server.list_rooms(&token).await, Code::Unauthenticated);
    }
    let keys = format!("main: {SECRET}");
    assert_eq!(server.list_rooms(&backend(&keys)).await, Code::Ok);
    assert_eq!(server.get("/readyz").await.0, 200);
    // Asked anew by a reload, it is no better, which is nothing new.
    assert!(server.reload().await.contains("the newest"));
    let counted = async {
        while !metrics(&server)
            .await
            .contains("fetches_total{outcome=\"failed\"} 2")
        {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, counted).await.unwrap();
    assert_eq!(server.log().matches("stay in use").count(), 1);
}

async fn metrics(server: &Server) -> String {
    server.get_from(&server.admin, "/metrics").await.1
}

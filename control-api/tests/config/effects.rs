//! Each key does what its line says: set by its variable, seen where it acts.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use control_api::auth::Authority;
use control_api::auth::issuer::KeySource;
use control_api::clock::UnixTime;
use control_api::config::flags::ServeFlags;
use control_api::config::table::KEYS;
use control_api::config::{Config, load};
use control_api::discovery::discover;
use control_api::node::{Running, keys};
use control_api::registry::{
    Door, JoinRequest, MissingRoom, ParticipantName, ParticipantSpec, RoomName,
};
use control_api::urls::Urls;
use control_api::{lan, logs};
use sfu::engine::ShardInspection;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// What a start would have, with loopback and free ports where the key under test says nothing.
fn with(variables: &[(&str, &str)]) -> Config {
    let quiet = [
        ("PLENUM_HTTP", "127.0.0.1:0"),
        ("PLENUM_GRPC", "127.0.0.1:0"),
        ("PLENUM_ADMIN", "127.0.0.1:0"),
        ("PLENUM_UDP", "127.0.0.1:0"),
        ("PLENUM_SHARDS", "1"),
    ];
    let quiet = quiet.iter().filter(|(name, _)| {
        !variables
            .iter()
            .any(|(key, _)| key == name || key.starts_with(&format!("{name}__A")))
    });
    let all = quiet.chain(variables);
    let all = all.map(|&(name, value)| (name.into(), value.into()));
    let loaded = load(&ServeFlags::default(), all).unwrap();
    loaded.config.check().unwrap();
    loaded.config
}

async fn started(variables: &[(&str, &str)]) -> Running {
    Running::start(with(variables)).await.unwrap()
}

async fn answer(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8_lossy(&answer).into_owned()
}

fn scratch(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("plenum-effects-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Writes a certificate, its key and a keys file.
fn files(folder: &Path) -> (String, String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let cert = parameters.self_signed(&key).unwrap();
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    (
        write("cert", cert.pem()),
        write("key", key.serialize_pem()),
        write("keys", format!("file: {SECRET}\n")),
    )
}

fn free_port() -> u16 {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    taken.local_addr().unwrap().port()
}

/// The key id a token of these keys is signed with.
fn signer(config: &Config) -> String {
    let authority = Authority::new(keys(config).unwrap().unwrap());
    let scopes = vec!["*".to_owned()];
    let hour = std::time::Duration::from_secs(3_600);
    let token = authority
        .issue_backend(scopes, Vec::new(), hour)
        .unwrap()
        .token;
    let header = jsonwebtoken::decode_header(token).unwrap();
    header.kid.unwrap()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one step for each key")]
async fn every_key_has_its_effect() {
    let folder = scratch("all");
    let (cert, key, keys_file) = files(&folder);
    let mut seen: Vec<&str> = Vec::new();

    // Listeners.
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    for name in ["http", "grpc.address", "admin.address"] {
        let variable = KEYS.iter().find(|key| key.name == name).unwrap().variable();
        let running = started(&[(&variable, &address)]).await;
        let found = match name {
            "http" => running.http,
            "grpc.address" => running.grpc,
            _ => running.admin,
        };
        assert_eq!(found.to_string(), address, "{name}");
        running.end().await;
        seen.push(name);
    }
    let open = [
        ("PLENUM_GRPC", "0.0.0.0:0"),
        ("PLENUM_KEYS_FILE", keys_file.as_str()),
    ];
    let plain = [open[0], open[1], ("PLENUM_GRPC__PLAINTEXT", "true")];
    let refused = load(
        &ServeFlags::default(),
        open.map(|(name, value)| (name.into(), value.into())),
    );
    assert!(refused.unwrap().config.check().is_err());
    assert!(with(&plain).check().is_ok());
    assert_eq!(
        with(&[("PLENUM_HTTP_CONNECTIONS_PER_SOURCE", "7")]).http_connections_per_source,
        7
    );
    seen.extend(["grpc.plaintext", "http_connections_per_source"]);

    // TLS: a handshake begins where a request in the clear is turned away.
    for (name, prefix) in [
        ("http", "PLENUM_TLS"),
        ("grpc", "PLENUM_GRPC__TLS"),
        ("admin", "PLENUM_ADMIN__TLS"),
    ] {
        let (cert_name, key_name) = (format!("{prefix}_CERT"), format!("{prefix}_KEY"));
        let running = started(&[(&cert_name, &cert), (&key_name, &key)]).await;
        let place = match name {
            "http" => running.http,
            "grpc" => running.grpc,
            _ => running.admin,
        };
        let said = answer(place, "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        assert!(!said.contains("live"), "{name}: {said}");
        running.end().await;
    }
    seen.extend([
        "tls_cert",
        "tls_key",
        "grpc.tls_cert",
        "grpc.tls_key",
        "admin.tls_cert",
        "admin.tls_key",
    ]);
    // Whom an authority lets in is seen in tests/tls.rs; here, that the file is read.
    for prefix in ["PLENUM_GRPC", "PLENUM_ADMIN"] {
        let names = ["TLS_CERT", "TLS_KEY", "CLIENT_CA"].map(|name| format!("{prefix}__{name}"));
        let config = with(&[
            (&names[0], &cert),
            (&names[1], &key),
            (&names[2], "/no/such/file"),
        ]);
        let error = config.check_files().unwrap_err().to_string();
        assert!(error.contains("client_ca /no/such/file"), "{error}");
    }
    seen.extend(["grpc.client_ca", "admin.client_ca"]);

    // URLs, addresses, shards.
    let config = with(&[("PLENUM_PUBLIC_URL", "https://meet.example")]);
    assert_eq!(
        Urls::new(&config, address.parse().unwrap()).connect(),
        "wss://meet.example/v1/connect"
    );
    let engine = discover(&with(&[
        ("PLENUM_UDP", "127.0.0.1:4000"),
        ("PLENUM_SHARDS", "3"),
    ]))
    .await
    .engine;
    assert_eq!((engine.udp[0].port(), engine.shards), (4_000, Some(3)));
    let running = started(&[("PLENUM_SHARDS", "2"), ("PLENUM_SHARD_PARTICIPANTS", "1")]).await;
    for name in ["ada", "lin"] {
        let request = JoinRequest {
            room: RoomName::new("standup").unwrap(),
            participant: Some(ParticipantName::new(name).unwrap()),
            spec: ParticipantSpec::default(),
            door: Door::WebSocket,
            missing_room: MissingRoom::Create(Box::default()),
            issued_at: None,
            token_id: None,
            resume_token: None,
        };
        drop(running.node.registry().join(request).await.unwrap());
    }
    let shards = running.node.registry().engine().inspect().await.unwrap();
    let on = |it: &ShardInspection| it.inspection.sizes.participants;
    assert_eq!(shards.iter().map(on).collect::<Vec<_>>(), [1, 1]);
    running.end().await;
    seen.push("shard_participants");
    let engine = discover(&with(&[("PLENUM_ADVERTISE", "203.0.113.7:5, 203.0.113.8")]))
        .await
        .engine;
    assert_eq!(engine.advertise.len(), 2);
    let config = with(&[
        ("PLENUM_MEDIA__RECEIVE_BUFFER_BYTES", "65536"),
        ("PLENUM_MEDIA__SEND_BUFFER_BYTES", "32768"),
    ]);
    let engine = discover(&config).await.engine;
    assert_eq!(
        (engine.receive_buffer_bytes, engine.send_buffer_bytes),
        (65_536, 32_768)
    );
    seen.extend([
        "public_url",
        "udp",
        "shards",
        "advertise.addresses",
        "media.receive_buffer_bytes",
        "media.send_buffer_bytes",
    ]);
    // Which of them wins is seen in discovery.rs; here, that they get there.
    let config = with(&[
        ("PLENUM_ADVERTISE__PRIVATE", "true"),
        ("PLENUM_STUN__SERVERS", "a:1,b:2"),
    ]);
    assert!(config.advertise.private && config.stun.servers == ["a:1", "b:2"]);
    seen.extend(["advertise.private", "stun.servers"]);

    // Who is told of them is seen in tests/whip and tests/doors.
    let turn = folder.join("turn");
    std::fs::write(&turn, format!("{SECRET}\n")).unwrap();
    let turn_secret = turn.to_str().unwrap().to_owned();
    let servers = ("PLENUM_ICE__SERVERS", "stun:a,turn:b");
    let ttl = ("PLENUM_ICE__TURN_TTL", "1h");
    let mut told = Vec::new();
    for secret in [
        ("PLENUM_ICE__TURN_SECRET", SECRET),
        ("PLENUM_ICE__TURN_SECRET_FILE", turn_secret.as_str()),
    ] {
        let known = with(&[servers, ttl, secret]).ice_servers().unwrap();
        told.push(known.told("a", UnixTime::from_millis(0)));
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0][1].username.as_deref(), Some("3600:a"));
    seen.extend([
        "ice.servers",
        "ice.turn_secret",
        "ice.turn_secret_file",
        "ice.turn_ttl",
    ]);

    // Keys.
    let inline = format!("inline: {SECRET}");
    assert_eq!(signer(&with(&[("PLENUM_KEYS", &inline)])), "inline");
    assert_eq!(signer(&with(&[("PLENUM_KEYS_FILE", &keys_file)])), "file");
    seen.extend(["keys", "keys_file"]);

    // Another issuer. What its tokens grant is seen in auth/issuer; here, that the words get there.
    let claims = [
        ("PLENUM_JWKS__URL", "https://login.example/keys"),
        ("PLENUM_JWKS__CA", cert.as_str()),
        ("PLENUM_JWKS__ISSUER", "https://login.example"),
        ("PLENUM_JWKS__AUDIENCE", "meetings"),
        ("PLENUM_JWKS__CLAIMS", "room=r, sub=/a/b"),
        ("PLENUM_JWKS__REFRESH", "7m"),
    ];
    let config = with(&claims);
    assert!(!config.is_development());
    let rules = config.issuer().unwrap();
    assert_eq!(
        rules.source,
        KeySource::Url(
            "https://login.example/keys".parse().unwrap(),
            Some(cert.clone().into())
        )
    );
    assert_eq!(
        (rules.issuer.as_str(), rules.audience.as_str()),
        ("https://login.example", "meetings")
    );
    assert_eq!((rules.claims.len(), rules.refresh.as_secs()), (2, 420));
    let rules = with(&[("PLENUM_JWKS__FILE", "f"), ("PLENUM_JWKS__ISSUER", "i")]).issuer();
    assert_eq!(rules.unwrap().source, KeySource::File("f".into()));
    seen.extend([
        "jwks.url",
        "jwks.file",
        "jwks.ca",
        "jwks.issuer",
        "jwks.audience",
        "jwks.claims",
        "jwks.refresh",
    ]);

    // The network around us.
    let data = folder.join("data");
    let variables = [
        ("PLENUM_LAN", "true"),
        ("PLENUM_DATA_DIR", data.to_str().unwrap()),
        ("PLENUM_ADVERTISE", "192.168.7.7"),
    ];
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    let mut loaded = load(&ServeFlags::default(), variables).unwrap();
    lan::settle(&mut loaded).unwrap();
    assert!(data.join("lan.crt").exists() && loaded.config.http.port() == 8_443);
    seen.extend(["lan", "data_dir"]);

    // Rooms, pages of others, logs, the end.
    let config = with(&[
        ("PLENUM_ROOM__EMPTY_TIMEOUT", "7s"),
        ("PLENUM_ROOM__RESUME_WINDOW", "8s"),
        ("PLENUM_ROOM__PARTICIPANTS_MAX", "9"),
        ("PLENUM_ROOM__AUDIO_SLOTS", "5"),
        ("PLENUM_ROOM__AUDIO_SLOTS_ABOVE", "20"),
    ]);
    let room = config.room_config();
    assert_eq!(
        (
            room.empty_timeout.as_secs(),
            room.resume_window.as_secs(),
            room.participants_max
        ),
        (7, 8, 9)
    );
    // What the shard is told.
    let parameters = room.parameters();
    assert_eq!(
        (parameters.audio_slots, parameters.audio_slots_above),
        (5, 20)
    );
    let running = started(&[
        ("PLENUM_CORS__ORIGINS", "https://app.example"),
        ("PLENUM_DRAIN__TIMEOUT", "0"),
    ])
    .await;
    for (origin, status) in [
        ("https://app.example", "101"),
        ("https://other.example", "403"),
    ] {
        let mut stream = TcpStream::connect(running.http).await.unwrap();
        let request = format!(
            "GET /v1/connect HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-protocol: plenum.v1.json\r\norigin: {origin}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut said = [0; 12];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&said), format!("HTTP/1.1 {status}"));
    }
    let before = tokio::time::Instant::now();
    running.drain().await;
    assert!(before.elapsed().as_secs() < 20);
    running.end().await;
    assert!(
        logs::filter(&with(&[("PLENUM_LOG__LEVEL", "sfu=trace")]).log)
            .unwrap()
            .to_string()
            .contains("sfu")
    );
    let log = with(&[
        ("PLENUM_LOG__ADDRESSES", "none"),
        ("PLENUM_LOG__FORMAT", "json"),
    ])
    .log;
    assert_eq!(logs::shown([203, 0, 113, 7].into(), log.addresses), "-");
    assert_eq!(
        toml::Value::try_from(log.format).unwrap().as_str(),
        Some("json")
    );
    seen.extend([
        "room.empty_timeout",
        "room.resume_window",
        "room.participants_max",
        "room.audio_slots",
        "room.audio_slots_above",
        "cors.origins",
        "drain.timeout",
        "log.level",
        "log.addresses",
        "log.format",
    ]);

    std::fs::remove_dir_all(folder).unwrap();
    for key in KEYS {
        assert!(
            seen.contains(&key.name),
            "nothing shows what {} does",
            key.name
        );
    }
}

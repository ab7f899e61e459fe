//! SIGHUP: what is taken anew, and that nothing is where anything is wrong.

use std::sync::Arc;

use ::aws_lc_rs::hmac;
use ::aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use control_api::clock::UnixTime;
use proto::v1::token_service_client::TokenServiceClient;
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tonic::Code;

use super::support::{Folder, PATIENCE, SECRET, Server, backend, exchange};

#[tokio::test]
async fn a_turn_secret_changes_without_a_restart() {
    let folder = Folder::new("turn");
    let keys = folder.write("keys", format!("main: {SECRET}\n"));
    let secret = folder.write("turn", "a".repeat(32));
    let config = format!("ice.turn_secret_file = {secret:?}\nice.servers = [\"turn:a.example\"]\n");
    let config = folder.write("config.toml", config);
    let arguments = ["--keys-file", &keys, "--config", &config];
    let mut server = Server::start(&folder, &arguments).await;
    let told = |welcome: &serde_json::Value, secret: &str| {
        let server = &welcome["ice_servers"][0];
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
        let tag = hmac::sign(&key, server["username"].as_str().unwrap().as_bytes());
        assert_eq!(server["credential"], STANDARD.encode(tag), "{welcome}");
    };
    told(&server.welcome("a", "ada").await, &"a".repeat(32));

    folder.write("turn", "too short");
    let said = server.reload().await;
    assert!(said.contains("not reloaded"), "{said}");
    told(&server.welcome("a", "lin").await, &"a".repeat(32));

    folder.write("turn", "b".repeat(32));
    let said = server.reload().await;
    assert!(
        said.contains("the newest") && !said.contains("restart"),
        "{said}"
    );
    told(&server.welcome("a", "eve").await, &"b".repeat(32));
}

#[tokio::test]
async fn keys_and_the_log_level_change_without_a_restart_or_not_at_all() {
    let folder = Folder::new("reload");
    let (first, second) = (format!("first: {SECRET}\n"), format!("second: {SECRET}\n"));
    let keys = folder.write("keys", &first);
    let config = folder.write("config.toml", "log.level = \"info\"\n");
    let arguments = ["--keys-file", &keys, "--config", &config];
    let mut server = Server::start(&folder, &arguments).await;
    let (old, new) = (backend(&first), backend(&second));
    assert_eq!(server.list_rooms(&old).await, Code::Ok);
    assert_eq!(server.list_rooms(&new).await, Code::Unauthenticated);

    // Nothing of it is taken while any of it is wrong, and the line says what and where.
    for (name, text, needle) in [
        ("keys", "second: planted\n", "--keys-file"),
        ("keys", "", "there is no key in it"),
        ("config.toml", "log.level = \"a=b=c\"\n", "log.level"),
        ("config.toml", "htp = 1\n", "there is no key \"htp\""),
        (
            "config.toml",
            "room.participants_max = 0\n",
            "participants_max",
        ),
    ] {
        folder.write("keys", &second);
        folder.write("config.toml", "log.level = \"debug\"\n");
        folder.write(name, text);
        let said = server.reload().await;
        assert!(
            said.contains("not reloaded") && said.contains(needle),
            "{said}"
        );
        assert!(!server.log().contains("planted"));
        assert_eq!(server.list_rooms(&old).await, Code::Ok, "{needle}");
        assert_eq!(server.list_rooms(&new).await, Code::Unauthenticated);
        assert!(!server.log().contains("DEBUG"), "{}", server.log());
    }

    folder.write("keys", &second);
    folder.write(
        "config.toml",
        "log.level = \"debug\"\nroom.participants_max = 7\n",
    );
    let said = server.reload().await;
    assert!(
        said.contains("a restart is needed for room.participants_max"),
        "{said}"
    );
    assert_eq!(server.list_rooms(&old).await, Code::Unauthenticated);
    assert_eq!(server.list_rooms(&new).await, Code::Ok);
    server.logged("DEBUG").await;

    // Both at once, while the one is replaced by the other.
    folder.write("keys", format!("{second}{first}"));
    folder.write("config.toml", "log.level = \"info\"\n");
    let said = server.reload().await;
    assert!(
        said.contains("the newest") && !said.contains("restart"),
        "{said}"
    );
    assert_eq!(server.list_rooms(&old).await, Code::Ok);
    assert_eq!(server.list_rooms(&new).await, Code::Ok);
}

#[tokio::test]
async fn admin_changes_the_log_level_until_the_next_reload() {
    let folder = Folder::new("log-level");
    let mut server = Server::start(&folder, &[]).await;
    let ask = async |server: &Server, method: &str, headers: &str, level: &str| {
        let length = level.len();
        let head = format!(
            "{method} /log-level HTTP/1.1\r\n{headers}content-length: {length}\r\ncontent-type: text/plain\r\n"
        );
        exchange(&server.admin, &head, level).await
    };
    assert_eq!(
        ask(&server, "GET", "", "").await,
        (200, "info\n".to_owned())
    );
    for (headers, level, status) in [
        ("", "a=b=c", 400),
        ("", " ", 400),
        ("", &*"x".repeat(5_000), 413),
        ("origin: http://evil.example\r\n", "debug", 403),
    ] {
        let (found, body) = ask(&server, "PUT", headers, level).await;
        assert_eq!(found, status, "{body}");
    }
    assert_eq!(server.get("/log-level").await.0, 404);
    assert!(!server.log().contains("DEBUG"));
    assert_eq!(ask(&server, "PUT", "", "debug").await.0, 204);
    assert_eq!(ask(&server, "GET", "", "").await.1, "debug\n");
    drop(
        server
            .rooms()
            .await
            .list_rooms(proto::v1::ListRoomsRequest::default())
            .await,
    );
    server.logged("DEBUG").await;
    assert!(server.reload().await.contains("the newest"));
    assert_eq!(ask(&server, "GET", "", "").await.1, "info\n");
}

#[tokio::test]
async fn development_mode_neither_begins_nor_ends_with_a_reload() {
    let folder = Folder::new("reload-development");
    let config = folder.write("config.toml", "");
    let mut server = Server::start(&folder, &["--config", &config]).await;
    folder.write("config.toml", format!("keys = \"main: {SECRET}\"\n"));
    let said = server.reload().await;
    assert!(
        said.contains("not reloaded") && said.contains("restart"),
        "{said}"
    );
    folder.write("config.toml", "");
    let said = server.reload().await;
    assert!(said.contains("the newest"), "{said}");
    let mut rooms = server.rooms().await;
    let listed = rooms.list_rooms(proto::v1::ListRoomsRequest::default());
    assert!(listed.await.is_ok());
}

#[tokio::test]
async fn a_new_certificate_is_shown_and_a_bad_one_is_not() {
    let folder = Folder::new("reload-tls");
    let issue = || {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        folder.write("key", key.serialize_pem());
        folder.write("cert", certificate.pem());
        certificate.der().clone()
    };
    let first = issue();
    let (cert, key) = (folder.path().join("cert"), folder.path().join("key"));
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let keys = folder.write("keys", format!("main: {SECRET}\n"));
    let arguments = ["--tls-cert", cert, "--tls-key", key, "--keys-file", &keys];
    let mut server = Server::start(&folder, &arguments).await;
    assert!(shows(&server, &first).await);

    folder.write("cert", "no certificate");
    let said = server.reload().await;
    assert!(
        said.contains("not reloaded") && said.contains("--tls-cert"),
        "{said}"
    );
    assert!(shows(&server, &first).await);

    let second = issue();
    assert!(server.reload().await.contains("the newest"));
    let shown = async {
        while !shows(&server, &second).await {
            sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, shown).await.unwrap();
    assert!(!shows(&server, &first).await);
    assert_eq!(CertificateDer::from_pem_file(cert).unwrap(), second);
}

/// Whether a handshake succeeds with one who trusts this certificate only.
async fn shows(server: &Server, certificate: &CertificateDer<'static>) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(&server.http).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.is_ok()
}

#[tokio::test]
async fn the_keys_of_another_issuer_are_read_anew() {
    let folder = Folder::new("reload-jwks");
    let (first, second) = (
        Ed25519KeyPair::generate().unwrap(),
        Ed25519KeyPair::generate().unwrap(),
    );
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let set = |key: &Ed25519KeyPair| {
        let x = text(key.public_key().as_ref());
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": x}]}).to_string()
    };
    let token = |key: &Ed25519KeyPair| {
        let header = json!({"alg": "EdDSA", "kid": "a"}).to_string();
        let claims = json!({"iss": "https://login.example", "aud": "plenum",
            "exp": UnixTime::now().as_secs() + 600, "plenum": {"scopes": ["*"]}});
        let signed = format!(
            "{}.{}",
            text(header.as_bytes()),
            text(claims.to_string().as_bytes())
        );
        format!("{signed}.{}", text(key.sign(signed.as_bytes()).as_ref()))
    };
    let jwks = folder.write("jwks", set(&first));
    let config = format!("[jwks]\nfile = {jwks:?}\nissuer = \"https://login.example\"\n");
    let config = folder.write("config.toml", config);
    let mut server = Server::start(&folder, &["--config", &config]).await;
    assert_eq!(server.list_rooms(&token(&first)).await, Code::Ok);
    assert_eq!(
        server.list_rooms(&token(&second)).await,
        Code::Unauthenticated
    );

    folder.write("jwks", "{}");
    let said = server.reload().await;
    assert!(
        said.contains("not reloaded") && said.contains("jwks.file"),
        "{said}"
    );
    assert_eq!(server.list_rooms(&token(&first)).await, Code::Ok);

    folder.write("jwks", set(&second));
    assert!(server.reload().await.contains("the newest"));
    let taken = async {
        while server.list_rooms(&token(&second)).await != Code::Ok {
            sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, taken).await.unwrap();
    assert_eq!(
        server.list_rooms(&token(&first)).await,
        Code::Unauthenticated
    );
    // Nothing here signs: a key that only this process knows would be a surprise after a restart.
    let mut tokens = TokenServiceClient::new(server.channel().await);
    let mut asked = tonic::Request::new(proto::v1::IssueTokenRequest {
        room: "rooms/a".to_owned(),
        ..Default::default()
    });
    let value = format!("Bearer {}", token(&second)).parse().unwrap();
    asked.metadata_mut().insert("authorization", value);
    let refused = tokens.issue_token(asked).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
}

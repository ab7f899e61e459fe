//! Configurations that are refused: exit 2 and one sentence that names the key and the cure.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

const SECRET: &str = "planted-secret-planted-secret-00";

struct Case {
    /// The file of `--config`; empty: none.
    file: &'static str,
    flags: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
    /// Whether it takes a start to see it; else `check-config` does.
    starts: bool,
    key: &'static str,
    cure: &'static str,
}

const fn file(file: &'static str, key: &'static str, cure: &'static str) -> Case {
    Case {
        file,
        flags: &[],
        variables: &[],
        starts: false,
        key,
        cure,
    }
}

const fn flags(flags: &'static [&'static str], key: &'static str, cure: &'static str) -> Case {
    Case {
        flags,
        ..file("", key, cure)
    }
}

const fn variables(
    variables: &'static [(&'static str, &'static str)],
    key: &'static str,
    cure: &'static str,
) -> Case {
    Case {
        variables,
        ..file("", key, cure)
    }
}

const fn start(flags: &'static [&'static str], key: &'static str, cure: &'static str) -> Case {
    Case {
        flags,
        starts: true,
        ..file("", key, cure)
    }
}

/// `{F}` is a folder with the files the test writes, `{TCP}` and `{UDP}` are taken ports.
const CASES: &[Case] = &[
    // Listeners.
    flags(&["--http", "nowhere"], "--http", "write \"127.0.0.1:8080\""),
    flags(
        &["--http", "127.0.0.1"],
        "--http",
        "write \"127.0.0.1:8080\"",
    ),
    flags(
        &["--grpc", "127.0.0.1:70000"],
        "--grpc",
        "write \"127.0.0.1:50051\"",
    ),
    flags(
        &["--admin", "localhost:1"],
        "--admin",
        "write \"127.0.0.1:9464\"",
    ),
    flags(&["--http", "0.0.0.0:8080"], "--http", "give --keys-file"),
    flags(&["--grpc", "0.0.0.0:50051"], "--grpc", "give --keys-file"),
    flags(&["--admin", "[::]:9464"], "--admin", "give --keys-file"),
    flags(
        &["--grpc", "0.0.0.0:1", "--keys-file", "{F}/keys"],
        "--grpc",
        "grpc.plaintext = true",
    ),
    flags(
        &["--http", "127.0.0.1:50051"],
        "--grpc",
        "a port of its own",
    ),
    flags(
        &["--admin", "127.0.0.1:8080"],
        "--admin",
        "a port of its own",
    ),
    start(&["--http", "127.0.0.1:{TCP}"], "--http", "another port"),
    start(&["--grpc", "127.0.0.1:{TCP}"], "--grpc", "another port"),
    start(&["--admin", "127.0.0.1:{TCP}"], "--admin", "another port"),
    start(
        &["--http", "192.0.2.1:1", "--keys-file", "{F}/keys"],
        "--http",
        "this machine has",
    ),
    file(
        "http_connections_per_source = -1",
        "http_connections_per_source",
        "write 100",
    ),
    file(
        "http_connections_per_source = 99999999",
        "http_connections_per_source",
        "at most",
    ),
    // Media.
    flags(
        &["--udp", "127.0.0.1"],
        "--udp",
        "a port nor an address with a port",
    ),
    flags(
        &["--udp", "70000"],
        "--udp",
        "a port nor an address with a port",
    ),
    flags(&["--udp", "65535", "--shards", "2"], "shards", "65535"),
    start(
        &["--udp", "127.0.0.1:{UDP}", "--http", "127.0.0.1:0"],
        "--udp",
        "choose another",
    ),
    flags(
        &["--advertise", "meet.example"],
        "--advertise",
        "write 203.0.113.7",
    ),
    flags(
        &["--advertise", "203.0.113.7:0"],
        "--advertise",
        "write 203.0.113.7",
    ),
    variables(
        &[("PLENUM_ADVERTISE__PRIVATE", "perhaps")],
        "PLENUM_ADVERTISE__PRIVATE",
        "write true",
    ),
    file(
        "stun.servers = [\"stun.example.org\"]",
        "stun.servers",
        "stun.example.org:3478",
    ),
    file(
        "stun.servers = \"stun.example.org:3478\"",
        "stun.servers",
        "write [\"stun.example.org:3478\"]",
    ),
    file(
        "ice.servers = [\"stun.example.org:3478\"]",
        "ice.servers",
        "write stun:stun.example.org:3478",
    ),
    file(
        "ice.servers = [\"turn:turn.example.org\"]",
        "ice.servers",
        "give ice.turn_secret_file",
    ),
    file(
        "ice = { servers = [\"turn:a\"], turn_secret = \"short\" }",
        "ice.turn_secret",
        "at least 32 bytes",
    ),
    file(
        "ice.turn_secret_file = \"/etc/plenum/turn\"",
        "ice.turn_secret",
        "name a turn: server in ice.servers",
    ),
    file("ice.turn_ttl = \"7d\"", "ice.turn_ttl", "write"),
    file("ice.turn_ttl = \"10s\"", "ice.turn_ttl", "write 1m to 48h"),
    flags(&["--shards", "0"], "shards", "must be 1 to"),
    flags(&["--shards", "many"], "--shards", "write 2"),
    flags(&["--shards", "100000"], "shards", "must be 1 to"),
    file(
        "media.receive_buffer_bytes = \"4M\"",
        "media.receive_buffer_bytes",
        "write 4194304",
    ),
    // Keys.
    flags(
        &["--keys-file", "/no/such/file"],
        "--keys-file",
        "No such file",
    ),
    flags(
        &["--keys-file", "/dev/zero"],
        "--keys-file",
        "more than 1048576 bytes",
    ),
    flags(&["--config", "/dev/zero"], "--config", "more than"),
    flags(
        &["--tls-cert", "/dev/zero", "--tls-key", "{F}/key"],
        "--tls-cert",
        "more than",
    ),
    flags(
        &["--keys-file", "{F}/short"],
        "--keys-file",
        "at least 32 bytes",
    ),
    flags(
        &["--keys-file", "{F}/empty"],
        "--keys-file",
        "there is no key in it",
    ),
    flags(
        &["--keys-file", "{F}/twice"],
        "--keys-file",
        "is there twice",
    ),
    flags(
        &["--keys-file", "{F}/line"],
        "--keys-file",
        "write \"key-id: secret\"",
    ),
    variables(
        &[("PLENUM_KEYS", "main: short")],
        "keys",
        "at least 32 bytes",
    ),
    file("keys = 5", "keys", "write \"main"),
    variables(
        &[
            ("PLENUM_KEYS", "main: planted-secret-planted-secret-00"),
            ("PLENUM_KEYS_FILE", "{F}/keys"),
        ],
        "keys",
        "take one of them",
    ),
    // Another issuer.
    file(
        "jwks.url = \"http://login.example/keys\"",
        "jwks.url",
        "write https://login.example/keys",
    ),
    file(
        "jwks.url = \"https://me:planted@login.example/\"",
        "jwks.url",
        "write https://login.example/keys",
    ),
    file(
        "[jwks]\nurl = \"https://login.example/keys\"",
        "jwks.issuer",
        "write what the iss",
    ),
    file(
        "[jwks]\nurl = \"https://login.example/keys\"\nfile = \"f\"\nissuer = \"i\"",
        "jwks.file",
        "take one of them",
    ),
    file(
        "jwks.issuer = \"https://login.example\"",
        "jwks.issuer",
        "give jwks.url or jwks.file too",
    ),
    file(
        "jwks.claims = [\"room=r\"]",
        "jwks.claims",
        "give jwks.url or jwks.file too",
    ),
    file(
        "jwks.claims = [\"colour=r\"]",
        "jwks.claims",
        "write \"room=",
    ),
    variables(
        &[
            ("PLENUM_JWKS__FILE", "{F}/jwks"),
            ("PLENUM_JWKS__ISSUER", "i"),
            ("PLENUM_JWKS__CLAIMS", "room=a,room=b"),
        ],
        "jwks.claims",
        "write one of them",
    ),
    variables(
        &[
            ("PLENUM_JWKS__FILE", "{F}/jwks"),
            ("PLENUM_JWKS__ISSUER", "i"),
            ("PLENUM_JWKS__CA", "{F}/cert"),
        ],
        "jwks.ca",
        "give jwks.url too",
    ),
    variables(
        &[
            ("PLENUM_JWKS__FILE", "{F}/none"),
            ("PLENUM_JWKS__ISSUER", "i"),
        ],
        "jwks.file",
        "No such file",
    ),
    variables(
        &[
            ("PLENUM_JWKS__FILE", "{F}/keys"),
            ("PLENUM_JWKS__ISSUER", "i"),
        ],
        "jwks.file",
        "write {\"keys\": [...]}",
    ),
    variables(
        &[
            ("PLENUM_JWKS__URL", "https://login.example/keys"),
            ("PLENUM_JWKS__ISSUER", "i"),
            ("PLENUM_JWKS__CA", "{F}/empty"),
        ],
        "jwks.ca",
        "write PEM",
    ),
    file("jwks.refresh = \"1s\"", "jwks.refresh", "write 10s to 24h"),
    file("jwks.audience = \"\"", "jwks.audience", "write \"plenum\""),
    // TLS.
    flags(
        &["--tls-cert", "{F}/cert"],
        "--tls-cert",
        "give --tls-key too",
    ),
    flags(
        &["--tls-key", "{F}/key"],
        "--tls-key",
        "give --tls-cert too",
    ),
    flags(
        &["--tls-cert", "{F}/none", "--tls-key", "{F}/key"],
        "--tls-cert",
        "No such file",
    ),
    flags(
        &["--tls-cert", "{F}/empty", "--tls-key", "{F}/key"],
        "--tls-cert",
        "write PEM",
    ),
    flags(
        &["--tls-cert", "{F}/cert", "--tls-key", "{F}/keys"],
        "--tls-key",
        "write PEM",
    ),
    flags(
        &["--tls-cert", "{F}/cert", "--tls-key", "{F}/other"],
        "--tls-key",
        "the key of the certificate",
    ),
    file(
        "grpc.tls_cert = \"c\"",
        "grpc.tls_cert",
        "give grpc.tls_key too",
    ),
    file(
        "grpc.client_ca = \"c\"",
        "grpc.client_ca",
        "give grpc.tls_cert too",
    ),
    file(
        "admin.client_ca = \"c\"",
        "admin.client_ca",
        "give admin.tls_cert too",
    ),
    file(
        "[grpc]\nplaintext = true\ntls_cert = \"c\"\ntls_key = \"k\"",
        "grpc.plaintext",
        "take one of them",
    ),
    // The rest.
    flags(
        &["--public-url", "meet.example"],
        "--public-url",
        "write https://meet.example",
    ),
    flags(
        &["--public-url", "https://meet.example/app"],
        "--public-url",
        "no path",
    ),
    file(
        "cors.origins = [\"https://app.example/\"]",
        "cors.origins",
        "no path",
    ),
    file("drain.timeout = \"soon\"", "drain.timeout", "write 300s"),
    file("room.empty_timeout = 5", "room.empty_timeout", "write 300s"),
    file("room.participants_max = 0", "participants_max", "from 1 to"),
    file(
        "room.resume_window = \"2h\"",
        "resume_window",
        "at most 600 s",
    ),
    file("log.format = \"xml\"", "log.format", "`text` or `json`"),
    file("log.addresses = \"some\"", "log.addresses", "`prefix`"),
    variables(&[("PLENUM_LOG__LEVEL", "a=b=c")], "log.level", "write info"),
    variables(&[("PLENUM_LAN", "yes")], "PLENUM_LAN", "write true"),
    // Files and names.
    flags(&["--config", "/no/such/file"], "--config", "No such file"),
    file("http = ", "line 1", "no TOML"),
    file("htp = \"127.0.0.1:1\"", "htp", "check-config --print"),
    file(
        "[room]\ncolour = \"red\"",
        "room.colour",
        "check-config --print",
    ),
    file("[colour]\nred = 1", "colour.red", "check-config --print"),
    variables(
        &[("PLENUM_COLOUR", "red")],
        "PLENUM_COLOUR",
        "check-config --print",
    ),
];

fn scratch() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("plenum-broken-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let other = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let cert = parameters.self_signed(&key).unwrap();
    for (name, text) in [
        ("keys", format!("main: {SECRET}\n")),
        ("short", "main: planted\n".to_owned()),
        ("empty", String::new()),
        ("twice", format!("a: {SECRET}\na: {SECRET}\n")),
        ("line", SECRET.to_owned()),
        (
            "jwks",
            format!(
                "{{\"keys\": [{{\"kty\": \"OKP\", \"crv\": \"Ed25519\", \"kid\": \"a\", \"x\": \"{}\"}}]}}",
                "A".repeat(43)
            ),
        ),
        ("cert", cert.pem()),
        ("key", key.serialize_pem()),
        ("other", other.serialize_pem()),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    folder
}

#[test]
fn a_broken_configuration_is_refused_in_one_sentence_with_its_cure() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    #[expect(clippy::disallowed_types, reason = "only keeps a port from the server")]
    let taken_udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let folder = scratch();
    let fill = |text: &str| {
        text.replace("{F}", folder.to_str().unwrap())
            .replace("{TCP}", &taken.local_addr().unwrap().port().to_string())
            .replace("{UDP}", &taken_udp.local_addr().unwrap().port().to_string())
    };
    let mut wrong = Vec::new();
    for (number, case) in CASES.iter().enumerate() {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plenum"));
        command.env_clear();
        if !case.starts {
            command.arg("check-config");
        }
        if !case.file.is_empty() {
            let path = folder.join(format!("{number}.toml"));
            fs::write(&path, case.file).unwrap();
            command.arg("--config").arg(path);
        }
        command.args(case.flags.iter().map(|text| fill(text)));
        if case.starts {
            // What is not under test must not be what is in the way.
            for (flag, value) in [
                ("--http", "127.0.0.1:0"),
                ("--grpc", "127.0.0.1:0"),
                ("--admin", "127.0.0.1:0"),
                ("--udp", "127.0.0.1:0"),
            ] {
                if !case.flags.contains(&flag) {
                    command.args([flag, value]);
                }
            }
        }
        command.envs(
            case.variables
                .iter()
                .map(|(name, value)| (*name, fill(value))),
        );
        let output = command.output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        // A start says how far it came; the refusal is its last line.
        let said: Vec<&str> = words
            .lines()
            .filter(|line| line.starts_with("plenum: "))
            .collect();
        let is_one = said.len() == 1 && (case.starts || words.lines().count() == 1);
        let said = said.first().copied().unwrap_or_default();
        let is_good = output.status.code() == Some(2)
            && is_one
            && said.contains(case.key)
            && said.contains(case.cure)
            && !words.contains("planted");
        if !is_good {
            wrong.push(format!(
                "{:?} {:?} {:?}: {:?}, wanted {:?} and {:?}:\n  {words}",
                case.file,
                case.flags,
                case.variables,
                output.status.code(),
                case.key,
                case.cure
            ));
        }
    }
    fs::remove_dir_all(folder).unwrap();
    assert!(CASES.len() >= 50);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

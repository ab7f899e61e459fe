//! Another issuer's tokens, good and forged, and sources of keys that misbehave.

use std::sync::atomic::AtomicUsize;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::auth::{Authority, Keys};
use crate::clock::UnixTime;
use crate::limits::{JWKS_BYTES, JWKS_KEYS, TOKEN_BYTES};
use crate::status::Reason;

const ISSUER: &str = "https://login.example";

fn text(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Somebody who signs: with `ed` and `rsa` in its set.
struct Signer {
    ed: Ed25519KeyPair,
    rsa: RsaKeyPair,
}

impl Signer {
    fn new() -> Self {
        Self {
            ed: Ed25519KeyPair::generate().unwrap(),
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        }
    }

    fn ed_jwk(&self, kid: &str) -> Value {
        let x = text(self.ed.public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "x": x})
    }

    fn rsa_jwk(&self, kid: &str) -> Value {
        let public = self.rsa.public_key();
        let n = text(public.modulus().big_endian_without_leading_zero());
        let e = text(public.exponent().big_endian_without_leading_zero());
        json!({"kty": "RSA", "kid": kid, "alg": "RS256", "n": n, "e": e})
    }

    fn set(&self) -> String {
        json!({"keys": [self.ed_jwk("ed"), self.rsa_jwk("rsa")]}).to_string()
    }

    /// By the algorithm the header names, or the one given.
    fn sign(&self, header: &Value, claims: &Value, algorithm: &str) -> String {
        let signed = format!("{}.{}", text(header.to_string()), text(claims.to_string()));
        let signature = match algorithm {
            "EdDSA" => text(self.ed.sign(signed.as_bytes())),
            "RS256" => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                let random = SystemRandom::new();
                let bytes = signed.as_bytes();
                let padding = &RSA_PKCS1_SHA256;
                self.rsa
                    .sign(padding, &random, bytes, &mut signature)
                    .unwrap();
                text(signature)
            }
            "none" => String::new(),
            other => panic!("{other}"),
        };
        format!("{signed}.{signature}")
    }

    fn good(&self, kid: &str, claims: &Value) -> String {
        let algorithm = if kid == "rsa" { "RS256" } else { "EdDSA" };
        self.sign(&json!({"alg": algorithm, "kid": kid}), claims, algorithm)
    }
}

fn good_claims() -> Value {
    let now = UnixTime::now().as_secs();
    json!({"iss": ISSUER, "sub": "ada", "aud": "plenum", "exp": now + 60, "iat": now,
           "plenum": {"room": "standup"}})
}

fn with(mut claims: Value, name: &str, new: Value) -> Value {
    let members = claims.as_object_mut().unwrap();
    if new.is_null() {
        members.remove(name);
    } else {
        members.insert(name.to_owned(), new);
    }
    claims
}

fn rules(source: KeySource, claims: &[&str]) -> IssuerRules {
    IssuerRules {
        issuer: ISSUER.to_owned(),
        audience: "plenum".to_owned(),
        claims: claims.iter().map(|rule| rule.parse().unwrap()).collect(),
        source,
        refresh: Duration::from_secs(300),
    }
}

/// Takes the keys of `set`, and ours of `main`.
async fn authority(set: &str, claims: &[&str]) -> Authority {
    static FILES: AtomicUsize = AtomicUsize::new(0);
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let name = format!("plenum-jwks-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, set).unwrap();
    let issuer = Issuer::new(rules(KeySource::File(path.clone()), claims));
    issuer.reload().await.unwrap();
    std::fs::remove_file(path).unwrap();
    let keys = Keys::parse(&format!("main: {}", "s".repeat(32))).unwrap();
    Authority::new(keys).with_issuer(Some(issuer))
}

#[tokio::test]
async fn a_token_of_another_issuer_is_taken_by_its_public_key() {
    let signer = Signer::new();
    let authority = authority(&signer.set(), &[]).await;
    for kid in ["ed", "rsa"] {
        let grant = authority.participant(&signer.good(kid, &good_claims()));
        let grant = grant.unwrap();
        assert_eq!(grant.participant.unwrap().as_str(), "ada");
        let claims = with(good_claims(), "plenum", json!({"scopes": ["rooms.read"]}));
        let grant = authority.backend(&signer.good(kid, &claims)).unwrap();
        assert!(grant.check("rooms.read", None).is_ok());
        assert!(grant.check("rooms.write", None).is_err());
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn a_forged_token_of_another_issuer_is_refused() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let authority = authority(&signer.set(), &[]).await;
    let claims = good_claims();
    let now = UnixTime::now().as_secs();
    // RFC 8725 §2.1: the public key as the secret of an HMAC, in each form it is known by.
    let hmac = |kid: &str, secret: &[u8]| {
        let header = json!({"alg": "HS256", "kid": kid});
        let signed = format!("{}.{}", text(header.to_string()), text(claims.to_string()));
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
        let tag = aws_lc_rs::hmac::sign(&key, signed.as_bytes());
        format!("{signed}.{}", text(tag))
    };
    let der = signer.rsa.public_key().as_der().unwrap();
    let pkcs1 = signer.rsa.public_key().as_ref();
    let header = |alg: &str, kid: &str| json!({"alg": alg, "kid": kid});
    let claim = |name: &str, new: Value| signer.good("ed", &with(claims.clone(), name, new));
    let good = signer.good("ed", &claims);
    let (head, tail) = good.rsplit_once('.').unwrap();
    let mut cases = vec![
        (
            signer.sign(&header("none", "ed"), &claims, "none"),
            "no JWT",
        ),
        (
            signer.sign(&header("EdDSA", "ed"), &claims, "none"),
            "signature",
        ),
        (format!("{head}."), "signature"),
        (format!("{head}.{}", &tail[..tail.len() - 2]), "signature"),
        (hmac("ed", signer.ed.public_key().as_ref()), "EdDSA"),
        (hmac("rsa", der.as_ref()), "RS256"),
        (hmac("rsa", pkcs1), "RS256"),
        (hmac("rsa", signer.set().as_bytes()), "RS256"),
        // Its own key is good, but it names another one.
        (
            signer.sign(&header("RS256", "ed"), &claims, "RS256"),
            "EdDSA",
        ),
        (
            signer.sign(&header("EdDSA", "rsa"), &claims, "EdDSA"),
            "RS256",
        ),
        (
            signer.sign(&header("RS512", "rsa"), &claims, "RS256"),
            "RS256",
        ),
        (
            signer.sign(&header("EdDSA", "main"), &claims, "EdDSA"),
            "HS256",
        ),
        (
            signer.sign(&header("EdDSA", "who"), &claims, "EdDSA"),
            "no key",
        ),
        (
            signer.sign(&json!({"alg": "EdDSA"}), &claims, "EdDSA"),
            "kid",
        ),
        // A key in the token is nobody's (RFC 8725 §3.10).
        (
            stranger.sign(
                &json!({"alg": "EdDSA", "kid": "ed", "jwk": stranger.ed_jwk("ed")}),
                &claims,
                "EdDSA",
            ),
            "signature",
        ),
        (stranger.good("ed", &claims), "signature"),
        (stranger.good("rsa", &claims), "signature"),
        (claim("iss", json!("https://evil.example")), "iss"),
        (claim("iss", json!("ed")), "iss"),
        (claim("iss", Value::Null), "iss"),
        (claim("aud", json!("elsewhere")), "aud"),
        (claim("aud", Value::Null), "aud"),
        (claim("exp", Value::Null), "exp"),
        (claim("exp", json!("soon")), "exp"),
        (claim("nbf", json!(now + 60)), "nbf"),
        (claim("iat", json!(now + 60)), "iat"),
        // Written otherwise it must not count as not there: it would escape what goes by it.
        (claim("iat", json!((now + 60).to_string())), "iat"),
        (claim("iat", Value::Null), "iat"),
        (claim("jti", json!(7)), "jti"),
        (claim("sub", json!(42)), "sub"),
        (claim("sub", json!(["ada"])), "read"),
        (claim("plenum", Value::Null), "no plenum claim"),
        (claim("plenum", json!([1])), "no plenum claim"),
        (claim("pad", json!("x".repeat(TOKEN_BYTES))), "longer"),
    ];
    // Ours, signed by a key of ours, for the other issuer's name.
    let ours = hmac("main", "s".repeat(32).as_bytes());
    cases.push((ours, "iss"));
    for (token, needle) in cases {
        authority.learn(&token).await;
        let failure = authority.participant(&token).expect_err(needle);
        assert_eq!(failure.reason, Reason::TokenInvalid, "{failure}");
        assert!(
            failure.message.contains(needle),
            "{failure} lacks {needle:?}"
        );
    }
    let expired = authority.participant(&claim("exp", json!(now - 6)));
    assert_eq!(expired.unwrap_err().reason, Reason::TokenExpired);
    assert!(authority.participant(&good).is_ok());
}

#[tokio::test]
async fn a_token_changed_in_any_place_is_refused() {
    let signer = Signer::new();
    let authority = authority(&signer.set(), &[]).await;
    let keys = Keys::parse(&format!("main: {}", "s".repeat(32))).unwrap();
    let ours = Authority::new(keys).issue_backend(
        vec!["*".to_owned()],
        Vec::new(),
        Duration::from_secs(60),
    );
    let backend = with(good_claims(), "plenum", json!({"scopes": ["*"]}));
    for token in [
        signer.good("ed", &backend),
        signer.good("rsa", &backend),
        ours.unwrap().token,
    ] {
        assert!(authority.backend(&token).is_ok());
        for (place, old) in token.char_indices() {
            // In the last letter of a part some bits say nothing; they must be as they were.
            for new in ['A', 'B', 'Q', 'g', '_', '.', '='] {
                if new == old {
                    continue;
                }
                let mut changed = token.clone();
                changed.replace_range(place..=place, new.encode_utf8(&mut [0; 4]));
                let taken = authority.backend(&changed);
                assert!(taken.is_err(), "{place}: {old} to {new}");
            }
            assert!(authority.backend(&token[..place]).is_err());
        }
        assert!(authority.backend(&format!("{token}A")).is_err());
        assert!(authority.backend(&format!("{token}.A")).is_err());
    }
}

#[test]
fn a_set_of_keys_is_taken_for_what_can_be_used_of_it() {
    let signer = Signer::new();
    let small = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let n = small.public_key().modulus();
    let n = n.big_endian_without_leading_zero();
    let ed = |name: &str, new: Value| with(signer.ed_jwk("a"), name, new);
    let rsa = |name: &str, new: Value| with(signer.rsa_jwk("a"), name, new);
    let mut padded = vec![0];
    padded.extend(n);
    for (key, is_good) in [
        (signer.ed_jwk("a"), true),
        (signer.rsa_jwk("a"), true),
        (ed("alg", json!("EdDSA")), true),
        (ed("alg", json!("Ed25519")), true),
        (ed("key_ops", json!(["verify"])), true),
        (ed("x5c", json!(["unknown members are passed over"])), true),
        (rsa("alg", Value::Null), true),
        (rsa("n", json!(text(&padded))), true),
        (ed("kid", Value::Null), false),
        (ed("kid", json!("")), false),
        (ed("kid", json!("k".repeat(257))), false),
        (ed("use", json!("enc")), false),
        (ed("key_ops", json!(["encrypt"])), false),
        (ed("alg", json!("RS256")), false),
        (ed("alg", json!("none")), false),
        (ed("crv", json!("X25519")), false),
        (ed("x", json!("AAAA")), false),
        (ed("x", json!("!")), false),
        (rsa("alg", json!("RS512")), false),
        (rsa("alg", json!("RSA-OAEP")), false),
        (rsa("n", json!(text(&n[..255]))), false),
        (rsa("n", json!(text([0xff; 1_025]))), false),
        (rsa("n", json!(text([0; 256]))), false),
        (rsa("n", json!("")), false),
        (rsa("e", json!("AQ")), false),
        (rsa("e", json!("Ag")), false),
        (rsa("e", json!("")), false),
        (json!({"kty": "oct", "kid": "a", "k": text([7; 32])}), false),
        (
            json!({"kty": "EC", "kid": "a", "crv": "P-256", "x": "AA", "y": "AA"}),
            false,
        ),
        (json!({"kty": 5}), false),
        (json!("key"), false),
    ] {
        // Whatever is wrong with one key, the next one counts.
        let set = json!({"keys": [key, signer.ed_jwk("b")]}).to_string();
        let set = KeySet::parse(set.as_bytes()).unwrap();
        assert_eq!(set.find("a").is_some(), is_good, "{key}");
        assert!(set.find("b").is_some());
    }
    let twice = json!({"keys": [signer.ed_jwk("a"), signer.rsa_jwk("a")]}).to_string();
    let twice = KeySet::parse(twice.as_bytes()).unwrap();
    assert_eq!(twice.find("a").unwrap().algorithm, Algorithm::EdDSA);
    let many: Vec<Value> = (0..=JWKS_KEYS)
        .map(|it| signer.ed_jwk(&it.to_string()))
        .collect();
    let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for (bytes, error) in [
        (json!({"keys": many}).to_string(), JwksError::Many),
        (json!({"keys": {}}).to_string(), JwksError::Form),
        (signer.ed_jwk("a").to_string(), JwksError::Form),
        ("<html>".to_owned(), JwksError::Form),
        (format!("{{\"keys\": {nested}}}"), JwksError::Form),
        (String::new(), JwksError::Form),
    ] {
        assert_eq!(KeySet::parse(bytes.as_bytes()).unwrap_err(), error);
    }
}

#[tokio::test]
async fn an_issuer_that_withdraws_all_its_keys_is_believed() {
    let signer = Signer::new();
    let name = format!("plenum-jwks-withdrawn-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, signer.set()).unwrap();
    let issuer = Issuer::new(rules(KeySource::File(path.clone()), &[]));
    issuer.reload().await.unwrap();
    let keys = Keys::parse(&format!("main: {}", "s".repeat(32))).unwrap();
    let authority = Authority::new(keys).with_issuer(Some(issuer.clone()));
    let token = signer.good("ed", &good_claims());
    assert!(authority.participant(&token).is_ok());
    // What cannot be read changes nothing.
    std::fs::write(&path, "<html>").unwrap();
    issuer.reload().await.unwrap_err();
    assert!(authority.participant(&token).is_ok());
    let other = json!({"keys": [{"kty": "EC", "kid": "ed", "crv": "P-256"}]});
    std::fs::write(&path, other.to_string()).unwrap();
    issuer.reload().await.unwrap();
    let refused = authority.participant(&token).unwrap_err();
    assert_eq!(refused.reason, Reason::TokenInvalid);
    assert_eq!(issuer.counts().keys, 0);
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn the_claims_of_others_are_read_as_the_map_says() {
    let signer = Signer::new();
    let map = [
        "sub=email",
        "room=https://acme.example/room",
        "display_name=/profile/name",
        "attributes.team=team",
        "attributes.level=/profile/level",
        "permissions=may",
    ];
    let authority_of = async |map: &[&str]| authority(&signer.set(), map).await;
    let acme = authority_of(&map).await;
    let theirs = json!({"iss": ISSUER, "sub": "auth0|7", "aud": ["other", "plenum"],
        "exp": UnixTime::now().as_secs() + 60, "iat": UnixTime::now().as_secs(),
        "email": "ada@acme.example",
        "https://acme.example/room": "standup", "team": "core",
        "profile": {"name": "Ada", "level": 7}, "may": {"subscribe": true},
        "plenum": {"room": "elsewhere", "permissions": {"admin": true}}});
    let grant = acme.participant(&signer.good("rsa", &theirs)).unwrap();
    assert_eq!(grant.participant.unwrap().as_str(), "ada@acme.example");
    assert_eq!(grant.room.as_str(), "standup");
    assert_eq!(grant.spec.display_name, "Ada");
    assert_eq!(grant.spec.attributes["team"], "core");
    assert_eq!(grant.spec.attributes["level"], "7");
    assert!(grant.spec.permissions.subscribe && !grant.spec.permissions.admin);
    for (name, new, needle) in [
        ("may", Value::Null, "permissions"),
        ("may", json!(true), "plenum"),
        ("https://acme.example/room", Value::Null, "room"),
        ("https://acme.example/room", json!(7), "plenum"),
        ("email", json!("a b"), "participant"),
        // Not an invitation instead, whose bearer nobody could put out by name.
        ("email", Value::Null, "sub"),
        ("email", json!(["ada@acme.example"]), "sub"),
        ("profile", json!({"name": ["Ada"]}), "plenum"),
    ] {
        let token = signer.good("rsa", &with(theirs.clone(), name, new));
        let failure = acme.participant(&token).expect_err(needle);
        assert!(failure.message.contains(needle), "{failure} lacks {needle}");
    }

    // A service's: its scopes among others, its rooms always named.
    let service = authority_of(&["scopes=scope", "rooms=/acme/rooms"]).await;
    let theirs = json!({"iss": ISSUER, "sub": "s1", "aud": "plenum",
        "exp": UnixTime::now().as_secs() + 60, "scope": "openid rooms.read rooms.write",
        "acme": {"rooms": ["acme-*"]}});
    let grant = service.backend(&signer.good("ed", &theirs)).unwrap();
    let room = |name: &str| crate::registry::RoomName::new(name).unwrap();
    assert!(grant.check("rooms.write", Some(&room("acme-1"))).is_ok());
    assert!(grant.check("rooms.write", Some(&room("other"))).is_err());
    assert!(grant.check("tracks.read", None).is_err());
    for (name, new, reason) in [
        ("acme", Value::Null, Reason::TokenInvalid),
        ("acme", json!({"rooms": []}), Reason::TokenInvalid),
        ("scope", json!("openid profile"), Reason::TokenKind),
    ] {
        let token = signer.good("ed", &with(theirs.clone(), name, new));
        assert_eq!(
            service.backend(&token).unwrap_err().reason,
            reason,
            "{name}"
        );
    }
}

#[test]
fn entries_of_the_map_and_urls_are_taken_or_refused() {
    for (rule, is_good) in [
        ("room=r", true),
        (" sub = /a/b ", true),
        ("attributes.team=team", true),
        ("scopes=https://a.example/b=c", true),
        ("room", false),
        ("room=", false),
        ("=r", false),
        ("colour=r", false),
        ("attributes.=r", false),
        ("exp=r", false),
    ] {
        let read = rule.parse::<ClaimRule>();
        assert_eq!(read.is_ok(), is_good, "{rule}");
        if let Ok(read) = read {
            assert_eq!(read.to_string().parse(), Ok(read));
        }
    }
    for (url, is_good) in [
        ("https://login.example/keys", true),
        ("https://login.example:8443/keys?tenant=1", true),
        ("http://127.0.0.1:8080/keys", true),
        ("http://[::1]:8080/keys", true),
        ("http://localhost/keys", true),
        ("http://login.example/keys", false),
        ("http://127.0.0.1.evil.example/", false),
        ("http://localhost.evil.example/", false),
        ("https://user:password@login.example/", false),
        ("ftp://login.example/keys", false),
        ("file:///etc/passwd", false),
        ("login.example/keys", false),
        ("/keys", false),
        ("", false),
    ] {
        assert_eq!(url.parse::<JwksUrl>().is_ok(), is_good, "{url}");
    }
    let url = "https://login.example:8443/keys?code=planted";
    let source = KeySource::Url(url.parse().unwrap(), None);
    assert_eq!(
        source.to_string(),
        "jwks.url https://login.example:8443/keys"
    );
}

/// What the server of keys does with the next ones that ask.
#[derive(Clone)]
enum Answer {
    Raw(String),
    Silent,
}

struct Site {
    url: String,
    answer: watch::Sender<Answer>,
    asked: Arc<AtomicUsize>,
}

impl Site {
    async fn start(first: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys?a=b", listener.local_addr().unwrap());
        let (answer, answers) = watch::channel(first);
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        drop(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                drop(tokio::spawn(serve(stream, answers.borrow().clone())));
            }
        }));
        Self { url, answer, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn issuer(&self) -> Issuer {
        let source = KeySource::Url(self.url.parse().unwrap(), None);
        Issuer::new(rules(source, &[]))
    }
}

async fn serve(mut stream: TcpStream, answer: Answer) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"GET /keys?a=b HTTP/1.1\r\n"));
    match answer {
        Answer::Raw(text) => drop(stream.write_all(text.as_bytes()).await),
        Answer::Silent => std::future::pending().await,
    }
}

fn ok(body: &str) -> Answer {
    Answer::Raw(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn whatever_a_source_of_keys_does_the_last_good_ones_stay() {
    let signer = Signer::new();
    let site = Site::start(ok(&signer.set())).await;
    let issuer = site.issuer();
    issuer.reload().await.unwrap();
    let elsewhere = Site::start(ok(&Signer::new().set())).await;
    let head = "HTTP/1.1 200 OK\r\n";
    let large = "x".repeat(JWKS_BYTES + 1);
    let chunked = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let cases = [
        (
            Answer::Raw(format!(
                "HTTP/1.1 302 Found\r\nlocation: {}\r\n\r\n",
                elsewhere.url
            )),
            "redirects",
        ),
        (
            Answer::Raw("HTTP/1.1 307 T\r\ncontent-length: 0\r\n\r\n".into()),
            "redirects",
        ),
        (
            Answer::Raw("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n".into()),
            "500",
        ),
        (
            Answer::Raw("HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n".into()),
            "404",
        ),
        (Answer::Raw("HTTP/1.1 204 No\r\n\r\n".into()), "204"),
        (Answer::Raw("nonsense\r\n\r\n".into()), "jwks.url"),
        (Answer::Raw(String::new()), "jwks.url"),
        (
            Answer::Raw(format!("{head}content-length: 100\r\n\r\n{{\"keys\"")),
            "jwks.url",
        ),
        (
            Answer::Raw(format!(
                "{head}content-length: {}\r\n\r\n{large}",
                large.len()
            )),
            "more than",
        ),
        (
            Answer::Raw(format!("{head}transfer-encoding: chunked\r\n\r\n{chunked}")),
            "more than",
        ),
        (
            Answer::Raw(format!("{head}x: {}\r\n\r\n", "h".repeat(64 << 10))),
            "jwks.url",
        ),
        (ok("<html>"), "no JSON Web Key Set"),
    ];
    for (failed, (answer, needle)) in (1..).zip(cases) {
        site.answer.send_replace(answer);
        let error = issuer.reload().await.expect_err(needle);
        assert!(error.contains(needle), "{error} lacks {needle}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert_eq!(
            issuer.counts(),
            IssuerCounts {
                taken: 1,
                failed,
                keys: 2
            }
        );
    }
    assert_eq!(elsewhere.asked(), 0);
    let authority = Authority::new(Keys::none()).with_issuer(Some(issuer.clone()));
    assert!(
        authority
            .participant(&signer.good("ed", &good_claims()))
            .is_ok()
    );

    // One that comes back is taken, and a key that is gone is gone.
    let next = Signer::new();
    site.answer
        .send_replace(ok(&json!({"keys": [next.ed_jwk("ed")]}).to_string()));
    issuer.reload().await.unwrap();
    assert!(
        authority
            .participant(&signer.good("ed", &good_claims()))
            .is_err()
    );
    assert!(
        authority
            .participant(&signer.good("rsa", &good_claims()))
            .is_err()
    );
    assert!(
        authority
            .participant(&next.good("ed", &good_claims()))
            .is_ok()
    );
}

#[tokio::test(start_paused = true)]
async fn a_source_that_says_nothing_is_given_up() {
    let site = Site::start(Answer::Silent).await;
    let error = site.issuer().reload().await.unwrap_err();
    assert!(error.contains("no answer within 5 s"), "{error}");
}

#[tokio::test]
async fn tokens_of_unknown_keys_make_the_source_be_asked_but_seldom() {
    let signer = Signer::new();
    let site = Site::start(ok(&json!({"keys": [signer.ed_jwk("ed")]}).to_string())).await;
    let issuer = site.issuer();
    let authority = Authority::new(Keys::none()).with_issuer(Some(issuer));
    let good = signer.good("ed", &good_claims());
    // Known to the first that asks, and to all that came with it.
    let (first, second) = (authority.learn(&good), authority.learn(&good));
    tokio::join!(first, second);
    assert!(authority.participant(&good).is_ok());
    assert_eq!(site.asked(), 1);
    for kid in 0..50 {
        let header = json!({"alg": "EdDSA", "kid": format!("made-up-{kid}")});
        authority
            .learn(&signer.sign(&header, &good_claims(), "EdDSA"))
            .await;
    }
    authority.learn("nonsense").await;
    authority.learn(&good).await;
    assert_eq!(site.asked(), 1);

    // A key that is new is found once the pause is over.
    site.answer.send_replace(ok(&signer.set()));
    let fresh = signer.good("rsa", &good_claims());
    authority.learn(&fresh).await;
    assert!(authority.participant(&fresh).is_err());
    tokio::time::pause();
    tokio::time::advance(JWKS_REFETCH_INTERVAL).await;
    tokio::time::resume();
    authority.learn(&fresh).await;
    assert!(authority.participant(&fresh).is_ok());
    assert_eq!(site.asked(), 2);
}

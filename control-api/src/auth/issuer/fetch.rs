//! One small document from one place: a file, or a GET over HTTP/1.1 by hyper and rustls. Bounded
//! in time and size; redirects are not followed, since who may sign tokens is written down once.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use axum::http::{StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::files;
use crate::limits::{JWKS_BYTES, JWKS_HEADER_BYTES, JWKS_TIMEOUT, PEM_BYTES};

/// Where the authorities of the system are kept: Debian and its kin, Red Hat and its kin, Alpine.
const SYSTEM_AUTHORITIES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// A URL keys may come from: https, or http on loopback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JwksUrl(Uri);

impl FromStr for JwksUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Not quoted: somebody may have written a password into it.
        let wrong = || {
            "it is no URL for keys; write https://login.example/keys (http on loopback only, and no \
             password)"
                .to_owned()
        };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        let host = authority.host();
        // It would stand in the log.
        if host.is_empty() || authority.as_str().contains('@') {
            return Err(wrong());
        }
        match uri.scheme_str() {
            Some("https") => Ok(Self(uri)),
            Some("http") if is_loopback(host) => Ok(Self(uri)),
            Some(_) | None => Err(wrong()),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let ip: Option<IpAddr> = bare(host).parse().ok();
    ip.map_or(host == "localhost", |ip| ip.is_loopback())
}

/// Without the brackets of IPv6.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

impl TryFrom<String> for JwksUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<JwksUrl> for String {
    /// As `--print` shows it: what follows the question mark may be a key.
    fn from(url: JwksUrl) -> Self {
        let text = url.0.to_string();
        match text.split_once('?') {
            Some((place, _)) => format!("{place}?(secret)"),
            None => text,
        }
    }
}

/// Where the keys of an issuer come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// A URL, and the authorities its certificate may be of; none: the system's.
    Url(JwksUrl, Option<PathBuf>),
}

async fn in_time<T>(read: impl Future<Output = T>) -> Result<T, String> {
    let read = timeout(JWKS_TIMEOUT, read).await;
    read.map_err(|_| format!("no answer within {} s", JWKS_TIMEOUT.as_secs()))
}

impl KeySource {
    /// One file is read at a time: `reading` has one permit.
    ///
    /// # Errors
    /// What went wrong, as a sentence's end.
    pub(super) async fn read(&self, reading: &Arc<Semaphore>) -> Result<Vec<u8>, String> {
        match self.clone() {
            // A file may hang too, where its disk is a network's; then it holds one thread, not one
            // for each time it is asked for.
            Self::File(path) => {
                let permit = Arc::clone(reading).try_acquire_owned();
                let permit = permit.map_err(|_| "it has hung since it was read last")?;
                let read = tokio::task::spawn_blocking(move || {
                    let read = files::read(&path, JWKS_BYTES);
                    drop(permit);
                    read
                });
                in_time(read)
                    .await?
                    .map_err(|error| error.to_string())?
                    .map_err(|error| error.to_string())
            }
            Self::Url(url, authorities) => in_time(get(&url.0, authorities)).await?,
        }
    }
}

impl std::fmt::Display for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "jwks.file {}", path.display()),
            // Without its query, which may hold what is nobody's business.
            Self::Url(JwksUrl(uri), _) => write!(
                f,
                "jwks.url {}://{}{}",
                uri.scheme_str().unwrap_or_default(),
                uri.authority().map_or("", |it| it.as_str()),
                uri.path()
            ),
        }
    }
}

async fn get(uri: &Uri, authorities: Option<PathBuf>) -> Result<Vec<u8>, String> {
    let host = uri.host().unwrap_or_default();
    let is_tls = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let stream = TcpStream::connect((bare(host), port)).await;
    let stream = stream.map_err(|error| error.to_string())?;
    if !is_tls {
        return ask(stream, uri).await;
    }
    let roots = tokio::task::spawn_blocking(move || roots(authorities.as_deref()));
    let roots = roots.await.map_err(|error| error.to_string())??;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(bare(host).to_owned()).map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await;
    ask(stream.map_err(|error| error.to_string())?, uri).await
}

async fn ask<S>(stream: S, uri: &Uri) -> Result<Vec<u8>, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let wrong = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(JWKS_HEADER_BYTES)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(wrong)?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = hyper::Request::get(path)
        .header(header::HOST, uri.authority().map_or("", |it| it.as_str()))
        .header(header::ACCEPT, "application/jwk-set+json, application/json")
        .header(
            header::USER_AGENT,
            concat!("plenum/", env!("CARGO_PKG_VERSION")),
        )
        .header(header::CONNECTION, "close")
        .body(Empty::new())
        .map_err(|error| error.to_string())?;
    let asked = async {
        let answer = sender.send_request(request).await.map_err(wrong)?;
        match answer.status() {
            StatusCode::OK => {}
            status if status.is_redirection() => {
                return Err("it redirects; write the address it leads to".to_owned());
            }
            status => return Err(format!("the answer is {status}")),
        }
        let body = Limited::new(answer.into_body(), JWKS_BYTES).collect().await;
        let body = body.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                format!("it has more than {JWKS_BYTES} bytes")
            } else {
                error.to_string()
            }
        })?;
        Ok(body.to_bytes().to_vec())
    };
    let mut asked = std::pin::pin!(asked);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        answer = asked.as_mut() => answer,
        // It may end with the last byte read and the answer whole.
        _ = connection.as_mut() => asked.await,
    }
}

fn roots(authorities: Option<&Path>) -> Result<RootCertStore, String> {
    let (key, path) = match authorities {
        Some(path) => ("jwks.ca", path),
        None => SYSTEM_AUTHORITIES
            .iter()
            .map(Path::new)
            .find(|path| path.exists())
            .map(|path| ("the system's authorities", path))
            .ok_or("this system has no authorities; name a file of them by jwks.ca")?,
    };
    let wrong = |why: String| format!("{key} {}: {why}", path.display());
    let bytes = files::read(path, PEM_BYTES).map_err(|error| wrong(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok);
    // Systems keep a few that no verifier can read.
    let (taken, _) = roots.add_parsable_certificates(found);
    if taken == 0 {
        return Err(wrong("there is no certificate in it; write PEM".to_owned()));
    }
    Ok(roots)
}

/// Whether a file of authorities can be used.
///
/// # Errors
/// Why not.
pub fn check_authorities(path: &Path) -> Result<(), String> {
    roots(Some(path)).map(drop)
}

//! TLS of the listeners, by rustls: certificates from PEM files, taken anew when the files change.
//!
//! A new file that is no good keeps the old certificate and says so. Which protocol is spoken
//! inside is agreed by ALPN (RFC 7301): `http/1.1` for pages and admin, `h2` for gRPC.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::files;
use crate::limits::{PEM_BYTES, TLS_HANDSHAKE_TIMEOUT, TLS_RELOAD_INTERVAL};

/// Why a listener has no TLS: one sentence that names the key.
#[derive(Debug, thiserror::Error)]
#[error("{key} {path}: {why}")]
pub struct TlsError {
    key: &'static str,
    path: String,
    why: String,
}

/// What is spoken inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// The key (or flag) a path came from, and the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPath {
    /// What to name when it is wrong.
    pub key: &'static str,
    /// Where it is.
    pub path: PathBuf,
}

/// Where one listener's certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, its own certificate first.
    pub cert: NamedPath,
    /// The private key.
    pub key: NamedPath,
    /// Callers must show a certificate of one of these.
    pub client_ca: Option<NamedPath>,
}

/// One listener's TLS, always of the newest good files.
#[derive(Clone)]
pub struct Tls {
    config: watch::Receiver<Arc<ServerConfig>>,
    hurry: Arc<Notify>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls(…)")
    }
}

/// The bytes of all files of a listener: what a change is noticed by.
#[derive(PartialEq, Eq)]
struct Bytes {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    /// Of these files; the future looks for changes and is to be run beside the listener.
    ///
    /// # Errors
    /// Which file is no good, and why.
    pub fn start(
        files: TlsFiles,
        protocol: Protocol,
    ) -> Result<(Self, impl Future<Output = ()> + Send + use<>), TlsError> {
        let bytes = files.read()?;
        let (sender, receiver) = watch::channel(Arc::new(files.server_config(&bytes, protocol)?));
        let hurry = Arc::new(Notify::new());
        let tls = Self {
            config: receiver,
            hurry: Arc::clone(&hurry),
        };
        let known = (files, bytes, protocol);
        Ok((tls, reload(known, sender, hurry)))
    }

    /// Looks at the files now, and not only when it is time to.
    pub(crate) fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Lets one caller in, if the handshake is done in time.
    ///
    /// # Errors
    /// It is not, or fails.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.config.borrow());
        timeout(
            TLS_HANDSHAKE_TIMEOUT,
            TlsAcceptor::from(config).accept(stream),
        )
        .await?
    }
}

/// A caller that has shown a certificate of an authority of ours: its fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown(pub(crate) String);

impl Shown {
    /// Of the other side of `stream`, where it has shown one.
    pub(crate) fn of(stream: &TlsStream<TcpStream>) -> Option<Self> {
        let (_, handshake) = stream.get_ref();
        let own = handshake.peer_certificates()?.first()?;
        let digest = digest(&SHA256, own);
        Some(Self(URL_SAFE_NO_PAD.encode(digest)))
    }
}

async fn reload(
    (files, mut known, protocol): (TlsFiles, Bytes, Protocol),
    sender: watch::Sender<Arc<ServerConfig>>,
    hurry: Arc<Notify>,
) {
    let mut ticks = interval(TLS_RELOAD_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut complaint = String::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = hurry.notified() => {}
        }
        // Polled: a mounted secret changes by a link of a link, which watches of a file miss.
        let read = files.clone();
        let Ok(read) = tokio::task::spawn_blocking(move || read.read()).await else {
            return;
        };
        let outcome = match read {
            Ok(bytes) if bytes == known => {
                complaint.clear();
                continue;
            }
            Ok(bytes) => files
                .server_config(&bytes, protocol)
                .map(|config| (bytes, config)),
            Err(error) => Err(error),
        };
        match outcome {
            Ok((bytes, config)) => {
                known = bytes;
                complaint.clear();
                sender.send_replace(Arc::new(config));
                tracing::info!(key = files.cert.key, "a new certificate is in use");
            }
            // Once for each fault, not each time it is seen.
            Err(error) if complaint != error.to_string() => {
                complaint = error.to_string();
                tracing::warn!("the old certificate stays in use: {complaint}");
            }
            Err(_) => {}
        }
    }
}

impl TlsFiles {
    /// Whether a listener could be started with them.
    ///
    /// # Errors
    /// Which file is no good, and why.
    pub fn check(&self, protocol: Protocol) -> Result<(), TlsError> {
        self.server_config(&self.read()?, protocol).map(drop)
    }

    fn read(&self) -> Result<Bytes, TlsError> {
        Ok(Bytes {
            cert: read(&self.cert)?,
            key: read(&self.key)?,
            client_ca: self.client_ca.as_ref().map(read).transpose()?,
        })
    }

    fn server_config(&self, bytes: &Bytes, protocol: Protocol) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = certificates(&self.cert, &bytes.cert)?;
        // What is wrong is not quoted: it may be half a key.
        let key = PrivateKeyDer::from_pem_slice(&bytes.key)
            .map_err(|_| self.key.wrong("there is no private key in it; write PEM"))?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| self.cert.wrong(error))?;
        let builder = if let (Some(named), Some(bytes)) = (&self.client_ca, &bytes.client_ca) {
            let mut roots = RootCertStore::empty();
            for root in certificates(named, bytes)? {
                roots.add(root).map_err(|error| named.wrong(error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = verifier.build().map_err(|error| named.wrong(error))?;
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| {
            if matches!(error, rustls::Error::InconsistentKeys(_)) {
                self.key.wrong("it is not the key of the certificate")
            } else {
                self.cert.wrong(error)
            }
        })?;
        config.alpn_protocols = vec![match protocol {
            Protocol::Http1 => b"http/1.1".to_vec(),
            Protocol::Http2 => b"h2".to_vec(),
        }];
        Ok(config)
    }
}

impl NamedPath {
    /// `key` says so.
    #[must_use]
    pub fn new(key: &'static str, path: &Path) -> Self {
        Self {
            key,
            path: path.to_owned(),
        }
    }

    fn wrong(&self, why: impl ToString) -> TlsError {
        TlsError {
            key: self.key,
            path: self.path.display().to_string(),
            why: why.to_string(),
        }
    }
}

fn read(named: &NamedPath) -> Result<Vec<u8>, TlsError> {
    files::read(&named.path, PEM_BYTES).map_err(|error| named.wrong(error))
}

fn certificates(named: &NamedPath, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let found = found.map_err(|error| named.wrong(error))?;
    if found.is_empty() {
        return Err(named.wrong("there is no certificate in it; write PEM"));
    }
    Ok(found)
}

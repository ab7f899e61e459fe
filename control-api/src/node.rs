//! One process: engine, registry and doors, started together and ended together.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::{HeaderMap, header};
use sfu::engine::{Engine, EngineError, EngineHandle};
use sfu::error::LeaveReason;
use sfu::transport::Identity;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::auth::{Authority, BackendGrant, Issuer, Keys};
use crate::config::{Config, ConfigError};
use crate::discovery::{Discovery, discover};
use crate::files;
use crate::http;
use crate::ice_servers::IceServers;
use crate::limits::{KEYS_BYTES, SOCKETS};
use crate::logs::Filter;
use crate::registry::{Registry, RoomConfig, RoomSpec};
use crate::server;
use crate::signal::{Lines, Resources};
use crate::status::{Failure, Reason};
use crate::tls::{Protocol, Tls, TlsError, TlsFiles};
use crate::urls::Urls;

/// How long sockets may take to say good-bye once everybody has been told.
const FAREWELL: Duration = Duration::from_secs(3);

/// Why the node does not start: one sentence that names the flag.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("{flag} {address}: {source}; {}", cure(source.kind()))]
    Listen {
        /// Which flag.
        flag: &'static str,
        /// Which address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The media plane does not start.
    #[error("--udp: {0}")]
    Engine(#[from] EngineError),
    /// The keys file cannot be read.
    #[error("--keys-file {path}: {why}")]
    Keys {
        /// The file.
        path: String,
        /// What is wrong, never a secret.
        why: String,
    },
    /// The configured keys make no sense.
    #[error("keys: {0}")]
    KeysInline(String),
    /// No certificate could be made.
    #[error("no certificate could be made: {0}")]
    Identity(String),
    /// A file that is named is no good.
    #[error("{0}")]
    File(#[from] ConfigError),
    /// A listener's certificate is no good.
    #[error("{0}")]
    Tls(#[from] TlsError),
    /// Something the system should have given.
    #[error("{0}")]
    Failed(#[from] Failure),
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    authority: Authority,
    config: Config,
    urls: Urls,
    ice_servers: watch::Sender<Arc<IceServers>>,
    /// Becomes true when the process is to end.
    ending: watch::Sender<bool>,
    sockets: AtomicUsize,
    resources: Resources,
    lines: Lines,
    /// Unset where the process logs as it likes: in tests.
    filter: OnceLock<Arc<Filter>>,
}

/// What every door holds. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Node(Arc<Inner>);

/// A node with its listeners.
#[derive(Debug)]
pub struct Running {
    /// What the doors hold.
    pub node: Node,
    /// Where HTTP listens.
    pub http: SocketAddr,
    /// Where gRPC listens.
    pub grpc: SocketAddr,
    /// Where admin listens.
    pub admin: SocketAddr,
    engine: EngineHandle,
    doors: JoinSet<()>,
    /// What looks after files and keys for as long as the node runs.
    watches: JoinSet<()>,
    tls: Vec<Tls>,
    records: JoinSet<()>,
}

impl Node {
    /// All rooms.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Signs and checks tokens.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.0.authority
    }

    /// What the process was told.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The URLs handed out.
    #[must_use]
    pub fn urls(&self) -> &Urls {
        &self.0.urls
    }

    /// The STUN and TURN servers clients are told.
    #[must_use]
    pub fn ice_servers(&self) -> Arc<IceServers> {
        Arc::clone(&self.0.ice_servers.borrow())
    }

    /// Clients are told these from now on, those that are here at once.
    pub fn replace_ice_servers(&self, new: IceServers) {
        self.0.ice_servers.send_if_modified(|known| {
            let differs = **known != new;
            if differs {
                *known = Arc::new(new);
            }
            differs
        });
    }

    /// Wakes when clients are to be told of others.
    #[must_use]
    pub fn watch_ice_servers(&self) -> watch::Receiver<Arc<IceServers>> {
        self.0.ice_servers.subscribe()
    }

    /// Whether tokens are optional and rooms come into being at first join.
    #[must_use]
    pub fn is_development(&self) -> bool {
        self.0.config.is_development()
    }

    /// What a backend's `Authorization` value grants. A token shown is always checked; none is
    /// needed in development.
    ///
    /// # Errors
    /// `TOKEN_INVALID`, `TOKEN_EXPIRED`, `TOKEN_KIND`.
    pub fn backend(&self, authorization: Option<&str>) -> Result<BackendGrant, Failure> {
        match authorization {
            Some(value) => {
                let token = bearer(value).ok_or_else(|| {
                    let why = "write \"authorization: Bearer <token>\"";
                    Failure::new(Reason::TokenInvalid, why)
                })?;
                self.0.authority.backend(token)
            }
            None if self.is_development() => Ok(BackendGrant::everything()),
            None => {
                let why = "a backend's token is needed";
                Err(Failure::new(Reason::TokenInvalid, why))
            }
        }
    }

    /// To be awaited before [`Node::backend`]: see [`Authority::learn`].
    pub(crate) async fn learn(&self, headers: &HeaderMap) {
        let value = headers.get(header::AUTHORIZATION);
        let token = value.and_then(|value| bearer(value.to_str().ok()?));
        if let Some(token) = token {
            self.0.authority.learn(token).await;
        }
    }

    /// A room where its maker says nothing.
    #[must_use]
    pub fn room_spec(&self, config: Option<RoomConfig>) -> RoomSpec {
        RoomSpec {
            config: config.unwrap_or_else(|| self.0.config.room_config()),
            ..RoomSpec::default()
        }
    }

    /// Whether rooms can be made and media can arrive; else why not.
    ///
    /// # Errors
    /// A sentence.
    pub fn ready(&self) -> Result<(), &'static str> {
        if self.0.registry.is_draining() {
            return Err("draining");
        }
        let addresses = self.0.registry.engine().addresses();
        if addresses.iter().any(Vec::is_empty) {
            return Err("No address a browser can reach; set --advertise");
        }
        Ok(())
    }

    /// What log lines pass, for admin to change.
    #[must_use]
    pub fn filter(&self) -> Option<&Filter> {
        self.0.filter.get().map(|filter| &**filter)
    }

    /// Admin may change what log lines pass. The first one given counts.
    pub fn give_filter(&self, filter: Arc<Filter>) {
        drop(self.0.filter.set(filter));
    }

    /// Resolves once the process is to end: for listeners.
    pub async fn ending(&self) {
        let mut ending = self.0.ending.subscribe();
        // An error would mean that the node is gone, which is an end too.
        drop(ending.wait_for(|&ending| ending).await);
    }

    /// Participants by WHIP and WHEP.
    pub(crate) fn resources(&self) -> &Resources {
        &self.0.resources
    }

    /// Counts one more socket, if it may be opened.
    pub(crate) fn socket_opened(&self) -> Result<OpenSocket, Failure> {
        let before = self.0.sockets.fetch_add(1, Ordering::AcqRel);
        let open = OpenSocket(self.clone());
        if before >= SOCKETS {
            return Err(Failure::of(Reason::NodeOverloaded));
        }
        Ok(open)
    }

    /// What outlives sockets.
    pub(crate) fn lines(&self) -> &Lines {
        &self.0.lines
    }

    /// Sockets open now.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.0.sockets.load(Ordering::Acquire)
    }
}

/// Counts a socket while it lives.
#[derive(Debug)]
pub(crate) struct OpenSocket(Node);

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.0.0.sockets.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Running {
    /// Binds everything, then serves.
    ///
    /// # Errors
    /// Nothing runs then.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let keys = signing_keys(&config)?;
        config.check_files()?;
        let issuer = config.issuer().map(Issuer::new);
        let mut watches = JoinSet::new();
        if let Some(issuer) = issuer.clone() {
            watches.spawn(issuer.run());
        }
        let http_tls = tls(config.http_tls(), Protocol::Http1, &mut watches)?;
        let grpc_tls = tls(config.grpc_tls(), Protocol::Http2, &mut watches)?;
        let admin_tls = tls(config.admin_tls(), Protocol::Http1, &mut watches)?;
        let all_tls = [&http_tls, &grpc_tls, &admin_tls];
        let all_tls = all_tls.into_iter().flatten().cloned().collect();
        let http = listen("--http", config.http).await?;
        let grpc = listen("--grpc", config.grpc.address).await?;
        let admin = listen("--admin", config.admin.address).await?;
        let Discovery {
            engine: engine_config,
            source,
        } = discover(&config).await;
        let (engine, events) = Engine::start(engine_config, Arc::new(identity()?))?;
        tracing::info!(addresses = ?engine.addresses(), "browsers are told addresses of: {source}");
        let registry = Registry::with_placement(engine.clone(), config.shard_participants);
        let records = registry.run(events);
        let address = |flag, listener: &TcpListener| {
            listener.local_addr().map_err(|source| StartError::Listen {
                flag,
                address: ([0, 0, 0, 0], 0).into(),
                source,
            })
        };
        let http_address = address("--http", &http)?;
        let node = Node(Arc::new(Inner {
            registry,
            authority: Authority::new(keys).with_issuer(issuer),
            urls: Urls::new(&config, http_address),
            ice_servers: watch::Sender::new(Arc::new(config.ice_servers()?)),
            config,
            ending: watch::Sender::new(false),
            sockets: AtomicUsize::new(0),
            resources: Resources::default(),
            lines: Lines::default(),
            filter: OnceLock::new(),
        }));
        let mut running = Self {
            http: http_address,
            grpc: address("--grpc", &grpc)?,
            admin: address("--admin", &admin)?,
            node: node.clone(),
            engine,
            doors: JoinSet::new(),
            watches,
            tls: all_tls,
            records,
        };
        let public = http::public(&node);
        let per_source = node.config().http_connections_per_source;
        let door = |listener, tls| http::Door {
            listener,
            tls,
            per_source,
        };
        let served = http::serve(door(http, http_tls), public, node.clone());
        running.doors.spawn(served);
        let private = http::admin(&node);
        let served = http::serve(door(admin, admin_tls), private, node.clone());
        running.doors.spawn(served);
        running.doors.spawn(server::serve(grpc, grpc_tls, node));
        Ok(running)
    }

    /// Looks at files of certificates and another issuer's keys now.
    pub fn reload_files(&self) {
        for tls in &self.tls {
            tls.hurry();
        }
        if let Some(issuer) = self.node.authority().issuer().cloned() {
            // Not waited for: an issuer may take its time, and says itself what is wrong.
            drop(tokio::spawn(async move { drop(issuer.reload().await) }));
        }
    }

    /// From now on no room is made and the node is not ready. Waits until everybody has left, at
    /// most `drain.timeout`.
    pub async fn drain(&self) {
        self.node.registry().drain();
        let deadline = Instant::now() + self.node.config().drain.timeout.0;
        while self.node.registry().counts().1 > 0 && Instant::now() < deadline {
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Tells who is still there, ends the doors, then the engine.
    pub async fn end(mut self) {
        self.node.registry().drain();
        self.node.registry().close_all(LeaveReason::NodeDrained);
        let deadline = Instant::now() + FAREWELL;
        while self.node.sockets() > 0 && Instant::now() < deadline {
            sleep(Duration::from_millis(10)).await;
        }
        self.watches.shutdown().await;
        self.node.0.ending.send_replace(true);
        let doors = async { while self.doors.join_next().await.is_some() {} };
        if timeout(FAREWELL, doors).await.is_err() {
            self.doors.shutdown().await;
        }
        self.engine.shutdown().await;
        self.records.shutdown().await;
    }
}

/// The token of an `Authorization` value.
#[must_use]
pub fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn listen(flag: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen {
            flag,
            address,
            source,
        })
}

/// What to do about an address that cannot be listened on.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the system's list is open; for the rest it is said what a listener needs"
)]
const fn cure(kind: std::io::ErrorKind) -> &'static str {
    use std::io::ErrorKind;
    match kind {
        ErrorKind::AddrInUse => "stop what listens there or give another port",
        ErrorKind::AddrNotAvailable => "give an address this machine has",
        ErrorKind::PermissionDenied => "give a port from 1024 on",
        _ => "give an address and a port of this machine",
    }
}

/// A listener's TLS, where it has files for it; they are looked at for as long as the node runs.
fn tls(
    files: Option<TlsFiles>,
    protocol: Protocol,
    watches: &mut JoinSet<()>,
) -> Result<Option<Tls>, StartError> {
    let Some(files) = files else {
        return Ok(None);
    };
    let (tls, watch) = Tls::start(files, protocol)?;
    watches.spawn(watch);
    Ok(Some(tls))
}

/// The configured signing keys, if there are any.
///
/// # Errors
/// They cannot be read, or what is wrong in them.
pub fn keys(config: &Config) -> Result<Option<Keys>, StartError> {
    if let Some(path) = &config.keys_file {
        return read_keys(path).map(Some);
    }
    let keys = config
        .keys
        .as_ref()
        .map(|secret| Keys::parse(secret.reveal()));
    keys.transpose()
        .map_err(|error| StartError::KeysInline(error.to_string()))
}

/// What tokens are signed with: the configured keys, else one drawn for as long as the process
/// lives; none where only another issuer signs.
///
/// # Errors
/// They cannot be read, or what is wrong in them.
pub fn signing_keys(config: &Config) -> Result<Keys, StartError> {
    match keys(config)? {
        Some(keys) => Ok(keys),
        None if config.issuer().is_some() => Ok(Keys::none()),
        None => Ok(Keys::drawn()?),
    }
}

/// The keys of `--keys-file`.
///
/// # Errors
/// It cannot be read, or what is wrong in it.
fn read_keys(path: &std::path::Path) -> Result<Keys, StartError> {
    let wrong = |why: String| StartError::Keys {
        path: path.display().to_string(),
        why,
    };
    let text = files::read_text(path, KEYS_BYTES).map_err(|error| wrong(error.to_string()))?;
    Keys::parse(&text).map_err(|error| wrong(error.to_string()))
}

/// The certificate every transport of this process shows: new with each start, known to the other
/// side by its fingerprint in SDP (RFC 8122).
fn identity() -> Result<Identity, StartError> {
    let wrong = |error: rcgen::Error| StartError::Identity(error.to_string());
    let key = rcgen::KeyPair::generate().map_err(wrong)?;
    let parameters = rcgen::CertificateParams::new(vec!["plenum".to_owned()]).map_err(wrong)?;
    let certificate = parameters.self_signed(&key).map_err(wrong)?;
    Ok(Identity::new(
        certificate.der().to_vec(),
        key.serialize_der(),
    ))
}

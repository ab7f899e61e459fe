//! What the process is told: flags beat environment beats file beats default.
//!
//! One struct, unknown keys refused, checked once by [`Config::check`]; a field that nothing acts
//! on does not exist. Nested keys are `PLENUM_ROOM__EMPTY_TIMEOUT` in the environment.
//!
//! | file | what it is |
//! |---|---|
//! | [`flags`] | the command line |
//! | [`table`] | every key: how it is written, what it does |
//! | `layers` | file, environment and flags into one table |
//! | `values` | durations and addresses as people write them |
//! | `check` | what is refused at start |
//! | [`mod@print`] | what is in effect, and where it comes from |

mod check;
pub mod flags;
mod layers;
pub mod print;
pub mod table;
mod values;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sfu::engine::{Advertised, EngineConfig};

use crate::auth::AUDIENCE;
use crate::auth::issuer::{ClaimRule, IssuerRules, JwksUrl, KeySource};
use crate::limits::HTTP_CONNECTIONS_PER_SOURCE;
use crate::registry::RoomConfig;
use crate::tls::{NamedPath, TlsFiles};

pub use layers::{Loaded, load};
pub use values::{IceUrl, PublicUrl, Secret, Time, Udp};

/// Why the process does not start: one sentence that names the flag.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{flag} {path}: {source}")]
    Read {
        /// Which flag named it.
        flag: &'static str,
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A key or value makes no sense.
    #[error("{origin}: {why}")]
    Value {
        /// Where it stands: a flag, a variable or the file.
        origin: String,
        /// What is wrong.
        why: String,
    },
    /// It would be unsafe to start like this.
    #[error("{0}")]
    Refused(String),
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The page, `/v1/connect`, WHIP, WHEP, health.
    pub http: SocketAddr,
    /// HTTP connections of one source at the same time; 0: any number.
    pub http_connections_per_source: usize,
    /// HTTPS: the certificate chain.
    pub tls_cert: Option<PathBuf>,
    /// HTTPS: the private key.
    pub tls_key: Option<PathBuf>,
    /// What browsers and backends reach this node by, such as `https://meet.example`; every URL
    /// handed out begins with it.
    pub public_url: Option<PublicUrl>,
    /// A meeting in the same network, with an own certificate.
    pub lan: bool,
    /// gRPC.
    pub grpc: GrpcConfig,
    /// Metrics and health.
    pub admin: AdminConfig,
    /// Media: a port, or an address with a port; shard `i` listens `i` ports above.
    pub udp: Udp,
    /// Addresses browsers are told instead of the host's own.
    pub advertise: AdvertiseConfig,
    /// Who is asked for the host's public address.
    pub stun: StunConfig,
    /// Which STUN and TURN servers clients are told.
    pub ice: IceConfig,
    /// Threads of the media plane; unset: as many as quota and affinity give.
    pub shards: Option<usize>,
    /// Participants of a shard from which on newcomers to its rooms go to another; 0: rooms stay whole.
    pub shard_participants: usize,
    /// Signing keys, `key-id: secret` per line.
    pub keys: Option<Secret>,
    /// A file with what `keys` would hold.
    pub keys_file: Option<PathBuf>,
    /// Another issuer, whose tokens are taken by its public keys.
    pub jwks: JwksConfig,
    /// What outlives the process.
    pub data_dir: Option<PathBuf>,
    /// Which pages may connect.
    pub cors: CorsConfig,
    /// How a shutdown goes.
    pub drain: DrainConfig,
    /// What rooms are like where their maker says nothing.
    pub room: RoomDefaults,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Sockets of the media plane.
    pub media: MediaConfig,
}

/// The gRPC listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcConfig {
    /// Where it listens.
    pub address: SocketAddr,
    /// Allows another address than loopback without TLS.
    pub plaintext: bool,
    /// The certificate chain.
    pub tls_cert: Option<PathBuf>,
    /// The private key.
    pub tls_key: Option<PathBuf>,
    /// Backends must show a certificate of one of these, and need no token then.
    pub client_ca: Option<PathBuf>,
}

/// The admin listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Where it listens.
    pub address: SocketAddr,
    /// The certificate chain.
    pub tls_cert: Option<PathBuf>,
    /// The private key.
    pub tls_key: Option<PathBuf>,
    /// Callers must show a certificate of one of these, and need no token then.
    pub client_ca: Option<PathBuf>,
}

/// Another issuer, whose tokens are taken by its public keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JwksConfig {
    /// Where its keys are.
    pub url: Option<JwksUrl>,
    /// A file with its keys, instead.
    pub file: Option<PathBuf>,
    /// Whose certificates `url` may show; unset: the system's authorities.
    pub ca: Option<PathBuf>,
    /// The `iss` of its tokens.
    pub issuer: Option<String>,
    /// The `aud` of its tokens.
    pub audience: String,
    /// Which of its claims is which of ours.
    pub claims: Vec<ClaimRule>,
    /// How often its keys are asked for.
    pub refresh: Time,
}

/// Which addresses browsers are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdvertiseConfig {
    /// These, instead of the host's own.
    pub addresses: Vec<Advertised>,
    /// The host's private ones too.
    pub private: bool,
}

/// Who is asked for the host's public address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StunConfig {
    /// Hosts with ports.
    pub servers: Vec<String>,
}

/// Which STUN and TURN servers clients are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IceConfig {
    /// Their URLs.
    pub servers: Vec<IceUrl>,
    /// What TURN servers share with us.
    pub turn_secret: Option<Secret>,
    /// A file with what `turn_secret` would hold.
    pub turn_secret_file: Option<PathBuf>,
    /// How long a name and password for TURN hold.
    pub turn_ttl: Time,
}

/// Which pages may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorsConfig {
    /// Origins beside our own, such as `https://meet.example`.
    pub origins: Vec<String>,
}

/// How a shutdown goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrainConfig {
    /// How long participants may stay after SIGTERM.
    pub timeout: Time,
}

/// What rooms are like where their maker says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoomDefaults {
    /// An empty room goes after this long; 0: never.
    pub empty_timeout: Time,
    /// A participant whose socket closed may come back for this long.
    pub resume_window: Time,
    /// Participants at the same time.
    pub participants_max: usize,
    /// Voices sent to each participant at the same time, where a room selects the loudest.
    pub audio_slots: usize,
    /// With more sounds than this a room selects.
    pub audio_slots_above: usize,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `text` or `json`.
    pub format: LogFormat,
    /// A level, or tracing's directives.
    pub level: String,
    /// How much of people's addresses is shown.
    pub addresses: LogAddresses,
}

/// How much of people's addresses a log shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogAddresses {
    /// Nothing.
    None,
    /// The network: /24, IPv6 /48.
    #[default]
    Prefix,
    /// All.
    Full,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

/// Sockets of the media plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MediaConfig {
    /// `SO_RCVBUF` asked for.
    pub receive_buffer_bytes: usize,
    /// `SO_SNDBUF` asked for.
    pub send_buffer_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            http: loopback(8_080),
            http_connections_per_source: HTTP_CONNECTIONS_PER_SOURCE,
            tls_cert: None,
            tls_key: None,
            public_url: None,
            lan: false,
            grpc: GrpcConfig::default(),
            admin: AdminConfig::default(),
            udp: Udp::default(),
            advertise: AdvertiseConfig::default(),
            stun: StunConfig::default(),
            ice: IceConfig::default(),
            shards: None,
            shard_participants: 0,
            keys: None,
            keys_file: None,
            jwks: JwksConfig::default(),
            data_dir: None,
            cors: CorsConfig::default(),
            drain: DrainConfig::default(),
            room: RoomDefaults::default(),
            log: LogConfig::default(),
            media: MediaConfig::default(),
        }
    }
}

impl Default for GrpcConfig {
    fn default() -> Self {
        Self {
            address: loopback(50_051),
            plaintext: false,
            tls_cert: None,
            tls_key: None,
            client_ca: None,
        }
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            address: loopback(9_464),
            tls_cert: None,
            tls_key: None,
            client_ca: None,
        }
    }
}

impl Default for JwksConfig {
    fn default() -> Self {
        Self {
            url: None,
            file: None,
            ca: None,
            issuer: None,
            audience: AUDIENCE.to_owned(),
            claims: Vec::new(),
            refresh: Time(Duration::from_secs(300)),
        }
    }
}

impl Default for IceConfig {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            turn_secret: None,
            turn_secret_file: None,
            turn_ttl: Time(Duration::from_secs(12 * 3_600)),
        }
    }
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self {
            timeout: Time(Duration::from_secs(30)),
        }
    }
}

impl Default for RoomDefaults {
    fn default() -> Self {
        let room = RoomConfig::default();
        Self {
            empty_timeout: Time(room.empty_timeout),
            resume_window: Time(room.resume_window),
            participants_max: room.participants_max,
            audio_slots: room.audio_slots,
            audio_slots_above: room.audio_slots_above,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".to_owned(),
            addresses: LogAddresses::default(),
        }
    }
}

impl Default for MediaConfig {
    fn default() -> Self {
        let engine = EngineConfig::default();
        Self {
            receive_buffer_bytes: engine.receive_buffer_bytes,
            send_buffer_bytes: engine.send_buffer_bytes,
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

impl Config {
    /// A development node of one shard whose listeners take free ports of loopback: for programs
    /// that hold a node of their own, tests first of all.
    #[must_use]
    pub fn on_free_ports() -> Self {
        let free = loopback(0);
        Self {
            http: free,
            grpc: GrpcConfig {
                address: free,
                ..GrpcConfig::default()
            },
            admin: AdminConfig {
                address: free,
                ..AdminConfig::default()
            },
            udp: Udp::Address(free),
            shards: Some(1),
            ..Self::default()
        }
    }

    /// No key, everything on loopback: tokens are optional, rooms come into being at first join.
    #[must_use]
    pub const fn is_development(&self) -> bool {
        let is_unguarded = self.jwks.url.is_none() && self.jwks.file.is_none();
        self.keys_file.is_none() && self.keys.is_none() && !self.lan && is_unguarded
    }

    /// The other issuer, if there is one; [`Config::check`] refuses halves.
    #[must_use]
    pub fn issuer(&self) -> Option<IssuerRules> {
        let jwks = &self.jwks;
        let source = match (&jwks.file, &jwks.url) {
            (Some(file), _) => KeySource::File(file.clone()),
            (None, Some(url)) => KeySource::Url(url.clone(), jwks.ca.clone()),
            (None, None) => return None,
        };
        Some(IssuerRules {
            issuer: jwks.issuer.clone()?,
            audience: jwks.audience.clone(),
            claims: jwks.claims.clone(),
            source,
            refresh: jwks.refresh.0,
        })
    }

    /// What the engine is told, but for what is discovered.
    #[must_use]
    pub fn engine(&self) -> EngineConfig {
        EngineConfig {
            udp: self.udp.addresses(),
            shards: self.shards,
            advertise: self.advertise.addresses.clone(),
            offer_host: true,
            offer_loopback: self.is_development(),
            receive_buffer_bytes: self.media.receive_buffer_bytes,
            send_buffer_bytes: self.media.send_buffer_bytes,
        }
    }

    /// What a room is like where its maker says nothing.
    #[must_use]
    pub fn room_config(&self) -> RoomConfig {
        RoomConfig {
            empty_timeout: self.room.empty_timeout.0,
            resume_window: self.room.resume_window.0,
            participants_max: self.room.participants_max,
            audio_slots: self.room.audio_slots,
            audio_slots_above: self.room.audio_slots_above,
            ..RoomConfig::default()
        }
    }

    /// The certificate of HTTP, if it has one.
    #[must_use]
    pub fn http_tls(&self) -> Option<TlsFiles> {
        files(
            ("--tls-cert", self.tls_cert.as_deref()),
            ("--tls-key", self.tls_key.as_deref()),
            ("", None),
        )
    }

    /// The certificate of gRPC, if it has one.
    #[must_use]
    pub fn grpc_tls(&self) -> Option<TlsFiles> {
        files(
            ("grpc.tls_cert", self.grpc.tls_cert.as_deref()),
            ("grpc.tls_key", self.grpc.tls_key.as_deref()),
            ("grpc.client_ca", self.grpc.client_ca.as_deref()),
        )
    }

    /// The certificate of admin, if it has one.
    #[must_use]
    pub fn admin_tls(&self) -> Option<TlsFiles> {
        files(
            ("admin.tls_cert", self.admin.tls_cert.as_deref()),
            ("admin.tls_key", self.admin.tls_key.as_deref()),
            ("admin.client_ca", self.admin.client_ca.as_deref()),
        )
    }
}

/// What belongs together, where all of it is there; [`Config::check`] refuses halves.
fn files(
    cert: (&'static str, Option<&Path>),
    key: (&'static str, Option<&Path>),
    client_ca: (&'static str, Option<&Path>),
) -> Option<TlsFiles> {
    Some(TlsFiles {
        cert: NamedPath::new(cert.0, cert.1?),
        key: NamedPath::new(key.0, key.1?),
        client_ca: client_ca.1.map(|path| NamedPath::new(client_ca.0, path)),
    })
}

//! What the process is told: flags beat environment beats file beats default.
//!
//! One struct, unknown keys refused, checked once by [`Config::check`]; a field that nothing acts
//! on does not exist. Nested keys are `PLENUM_ROOM__EMPTY_TIMEOUT` in the environment.
//!
//! | file | what it is |
//! |---|---|
//! | [`flags`] | the command line |
//! | `layers` | file, environment and flags into one table |
//! | `values` | durations and addresses as people write them |

pub mod flags;
mod layers;
mod values;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sfu::engine::{Advertised, EngineConfig};

use crate::registry::RoomConfig;

use values::is_origin;

pub use layers::load;
pub use values::{PublicUrl, Time, Udp};

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
    /// The page, `/v1/connect`, health.
    pub http: SocketAddr,
    /// gRPC.
    pub grpc: GrpcConfig,
    /// Metrics and health.
    pub admin: SocketAddr,
    /// What browsers and backends reach this node by, such as `https://meet.example`; every URL
    /// handed out begins with it.
    pub public_url: Option<PublicUrl>,
    /// Media: a port, or an address with a port; shard `i` listens `i` ports above.
    pub udp: Udp,
    /// Addresses browsers are told instead of the host's own.
    pub advertise: Vec<Advertised>,
    /// Threads of the media plane; unset: as many as quota and affinity give.
    pub shards: Option<usize>,
    /// Signing keys, `key-id: secret` per line.
    pub keys_file: Option<PathBuf>,
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
    /// Allows another address than loopback although there is no TLS.
    pub plaintext: bool,
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
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `text` or `json`.
    pub format: LogFormat,
    /// A level, or tracing's directives.
    pub level: String,
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
            grpc: GrpcConfig::default(),
            admin: loopback(9_464),
            public_url: None,
            udp: Udp::default(),
            advertise: Vec::new(),
            shards: None,
            keys_file: None,
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
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".to_owned(),
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
    /// Refuses what would be unsafe or senseless.
    ///
    /// # Errors
    /// One sentence that names the flag.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (flag, address) in [
            ("--http", self.http),
            ("--grpc", self.grpc.address),
            ("--admin", self.admin),
        ] {
            if !address.ip().is_loopback() && self.keys_file.is_none() {
                return Err(ConfigError::Refused(format!(
                    "{flag} {address} is not loopback, which needs signing keys: give --keys-file"
                )));
            }
        }
        if !self.grpc.address.ip().is_loopback() && !self.grpc.plaintext {
            return Err(ConfigError::Refused(format!(
                "--grpc {} is not loopback and there is no TLS yet: set grpc.plaintext = true if \
                 something in front of it encrypts",
                self.grpc.address
            )));
        }
        if let Some(origin) = self.cors.origins.iter().find(|it| !is_origin(it)) {
            return Err(ConfigError::Value {
                origin: "cors.origins".to_owned(),
                why: format!("{origin:?} is no origin; write https://meet.example, no path"),
            });
        }
        self.room_config()
            .check()
            .map_err(|failure| ConfigError::Value {
                origin: "room".to_owned(),
                why: failure.message,
            })?;
        self.engine()
            .check()
            .map(drop)
            .map_err(|error| ConfigError::Refused(error.to_string()))
    }

    /// No key, everything on loopback: tokens are optional, rooms come into being at first join.
    #[must_use]
    pub const fn is_development(&self) -> bool {
        self.keys_file.is_none()
    }

    /// What the engine is told.
    #[must_use]
    pub fn engine(&self) -> EngineConfig {
        EngineConfig {
            udp: self.udp.addresses(),
            shards: self.shards,
            advertise: self.advertise.clone(),
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
            ..RoomConfig::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsafe_start_is_refused_by_its_flag() {
        let anywhere: SocketAddr = ([0, 0, 0, 0], 1).into();
        let keys = || Some(PathBuf::from("keys"));
        for (config, needle) in [
            (
                Config {
                    http: anywhere,
                    ..Config::default()
                },
                "--http",
            ),
            (
                Config {
                    admin: anywhere,
                    ..Config::default()
                },
                "--admin",
            ),
            (
                Config {
                    grpc: GrpcConfig {
                        address: anywhere,
                        plaintext: false,
                    },
                    keys_file: keys(),
                    ..Config::default()
                },
                "grpc.plaintext",
            ),
            (
                Config {
                    grpc: GrpcConfig {
                        address: anywhere,
                        plaintext: true,
                    },
                    ..Config::default()
                },
                "--keys-file",
            ),
            (
                Config {
                    shards: Some(0),
                    ..Config::default()
                },
                "shards",
            ),
            (
                Config {
                    room: RoomDefaults {
                        participants_max: 0,
                        ..RoomDefaults::default()
                    },
                    ..Config::default()
                },
                "participants_max",
            ),
        ] {
            let error = config.check().expect_err(needle).to_string();
            assert!(error.contains(needle), "{error} lacks {needle}");
        }
        assert!(Config::default().check().is_ok());
        let open = Config {
            http: anywhere,
            grpc: GrpcConfig {
                address: anywhere,
                plaintext: true,
            },
            keys_file: keys(),
            ..Config::default()
        };
        assert!(open.check().is_ok() && !open.is_development());
    }

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        for (origin, good) in [
            ("https://meet.example", true),
            ("http://[::1]:8080", true),
            ("https://meet.example/", false),
            ("https://Meet.example", false),
            ("meet.example", false),
            ("https://", false),
            ("*", false),
        ] {
            let cors = CorsConfig {
                origins: vec![origin.to_owned()],
            };
            let config = Config {
                cors,
                ..Config::default()
            };
            assert_eq!(config.check().is_ok(), good, "{origin}");
        }
    }
}

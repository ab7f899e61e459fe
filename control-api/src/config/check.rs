//! What is refused at start: the unsafe and the senseless, each in one sentence that names the flag
//! or the key and what to do.

use super::values::is_origin;
use super::{Config, ConfigError};
use crate::auth::issuer::{check_authorities, check_keys};
use crate::limits::{
    CLAIM_RULES, CORS_ORIGINS, HTTP_CONNECTIONS, ICE_SERVERS, JWKS_REFRESH_MAX, JWKS_REFRESH_MIN,
    STUN_SERVERS, TURN_TTL_MAX, TURN_TTL_MIN,
};
use crate::tls::{Protocol, TlsFiles};

impl Config {
    /// Refuses what would be unsafe or senseless.
    ///
    /// # Errors
    /// One sentence that names the flag.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_listeners()?;
        self.check_tls()?;
        self.check_jwks()?;
        self.check_ice()?;
        self.check_names()?;
        self.room_config()
            .check()
            .map_err(|failure| value("room", failure.message))?;
        self.engine()
            .check()
            .map(drop)
            .map_err(|error| ConfigError::Refused(error.to_string()))
    }

    /// Reads the files that a start would read.
    ///
    /// # Errors
    /// Which one is no good, and why.
    pub fn check_files(&self) -> Result<(), ConfigError> {
        drop(self.ice_servers()?);
        for (files, protocol) in [
            (self.http_tls(), Protocol::Http1),
            (self.admin_tls(), Protocol::Http1),
            (self.grpc_tls(), Protocol::Http2),
        ] {
            let checked = files.map_or(Ok(()), |files: TlsFiles| files.check(protocol));
            checked.map_err(|error| ConfigError::Refused(error.to_string()))?;
        }
        if let Some(path) = &self.jwks.file {
            let origin = format!("jwks.file {}", path.display());
            check_keys(path).map_err(|why| value(&origin, why))?;
        }
        if let Some(path) = &self.jwks.ca {
            check_authorities(path).map_err(ConfigError::Refused)?;
        }
        Ok(())
    }

    fn check_listeners(&self) -> Result<(), ConfigError> {
        if self.keys.is_some() && self.keys_file.is_some() {
            return refuse("keys and --keys-file are both given: take one of them");
        }
        for (flag, address) in [
            ("--http", self.http),
            ("--grpc", self.grpc.address),
            ("--admin", self.admin.address),
        ] {
            if !address.ip().is_loopback() && self.is_development() {
                return refuse(format!(
                    "{flag} {address} is not loopback, which needs signing keys: give --keys-file"
                ));
            }
        }
        let grpc = self.grpc.address;
        if self.grpc.plaintext && self.grpc.tls_cert.is_some() {
            return refuse("grpc.plaintext and grpc.tls_cert are both given: take one of them");
        }
        if !grpc.ip().is_loopback() && !self.grpc.plaintext && self.grpc.tls_cert.is_none() {
            return refuse(format!(
                "--grpc {grpc} is not loopback and has no TLS: give grpc.tls_cert and \
                 grpc.tls_key, or set grpc.plaintext = true if something in front of it encrypts"
            ));
        }
        for (first, second, one, two) in [
            ("--http", "--grpc", self.http, grpc),
            ("--http", "--admin", self.http, self.admin.address),
            ("--grpc", "--admin", grpc, self.admin.address),
        ] {
            if one == two && one.port() != 0 {
                return refuse(format!(
                    "{first} and {second} are both {one}: give each a port of its own"
                ));
            }
        }
        if self.http_connections_per_source > HTTP_CONNECTIONS {
            return Err(value(
                "http_connections_per_source",
                format!("write at most {HTTP_CONNECTIONS}, or 0 for any number"),
            ));
        }
        Ok(())
    }

    /// Halves of what only works as a whole.
    fn check_tls(&self) -> Result<(), ConfigError> {
        let (grpc, admin) = (&self.grpc, &self.admin);
        for (name, is_set, needed, has_needed) in [
            (
                "--tls-cert",
                self.tls_cert.is_some(),
                "--tls-key",
                self.tls_key.is_some(),
            ),
            (
                "--tls-key",
                self.tls_key.is_some(),
                "--tls-cert",
                self.tls_cert.is_some(),
            ),
            (
                "grpc.tls_cert",
                grpc.tls_cert.is_some(),
                "grpc.tls_key",
                grpc.tls_key.is_some(),
            ),
            (
                "grpc.tls_key",
                grpc.tls_key.is_some(),
                "grpc.tls_cert",
                grpc.tls_cert.is_some(),
            ),
            (
                "grpc.client_ca",
                grpc.client_ca.is_some(),
                "grpc.tls_cert",
                grpc.tls_cert.is_some(),
            ),
            (
                "admin.tls_cert",
                admin.tls_cert.is_some(),
                "admin.tls_key",
                admin.tls_key.is_some(),
            ),
            (
                "admin.tls_key",
                admin.tls_key.is_some(),
                "admin.tls_cert",
                admin.tls_cert.is_some(),
            ),
            (
                "admin.client_ca",
                admin.client_ca.is_some(),
                "admin.tls_cert",
                admin.tls_cert.is_some(),
            ),
        ] {
            if is_set && !has_needed {
                return refuse(format!("{name} does nothing alone: give {needed} too"));
            }
        }
        Ok(())
    }

    fn check_ice(&self) -> Result<(), ConfigError> {
        let ice = &self.ice;
        if ice.turn_secret.is_some() && ice.turn_secret_file.is_some() {
            return refuse(
                "ice.turn_secret and ice.turn_secret_file are both given: take one of them",
            );
        }
        if ice.servers.len() > ICE_SERVERS {
            return Err(value("ice.servers", format!("write at most {ICE_SERVERS}")));
        }
        let has_secret = ice.turn_secret.is_some() || ice.turn_secret_file.is_some();
        let turn = ice.servers.iter().find(|it| it.is_turn());
        match (turn, has_secret) {
            (Some(turn), false) => {
                return refuse(format!(
                    "ice.servers: {} wants a name and a password: give ice.turn_secret_file",
                    turn.as_str()
                ));
            }
            (None, true) => {
                return refuse(
                    "ice.turn_secret does nothing alone: name a turn: server in ice.servers",
                );
            }
            (Some(_), true) | (None, false) => {}
        }
        if !(TURN_TTL_MIN..=TURN_TTL_MAX).contains(&ice.turn_ttl.0) {
            return Err(value("ice.turn_ttl", "write 1m to 48h".to_owned()));
        }
        // What is in a file is asked when files are read.
        match ice.turn_secret_file {
            Some(_) => Ok(()),
            None => self.ice_servers().map(drop),
        }
    }

    fn check_jwks(&self) -> Result<(), ConfigError> {
        let jwks = &self.jwks;
        if jwks.url.is_some() && jwks.file.is_some() {
            return refuse("jwks.url and jwks.file are both given: take one of them");
        }
        let has_source = jwks.url.is_some() || jwks.file.is_some();
        for (name, is_set, needed, has_needed) in [
            (
                "jwks.issuer",
                jwks.issuer.is_some(),
                "jwks.url or jwks.file",
                has_source,
            ),
            (
                "jwks.claims",
                !jwks.claims.is_empty(),
                "jwks.url or jwks.file",
                has_source,
            ),
            ("jwks.ca", jwks.ca.is_some(), "jwks.url", jwks.url.is_some()),
        ] {
            if is_set && !has_needed {
                return refuse(format!("{name} does nothing alone: give {needed} too"));
            }
        }
        // RFC 8725 §3.8: keys are good for the tokens of their issuer only.
        if has_source && jwks.issuer.as_ref().is_none_or(String::is_empty) {
            return refuse(
                "jwks.issuer is missing: write what the iss of the issuer's tokens says, such as \
                 \"https://login.example\"",
            );
        }
        if jwks.audience.is_empty() {
            return Err(value(
                "jwks.audience",
                "is empty; write \"plenum\"".to_owned(),
            ));
        }
        if jwks.claims.len() > CLAIM_RULES {
            return Err(value("jwks.claims", format!("write at most {CLAIM_RULES}")));
        }
        let rules = jwks.claims.iter().enumerate();
        for (index, rule) in rules {
            if jwks.claims.iter().take(index).any(|it| it.is_rival(rule)) {
                let why = format!("\"{rule}\" maps what is mapped already: write one of them");
                return Err(value("jwks.claims", why));
            }
        }
        if !(JWKS_REFRESH_MIN..=JWKS_REFRESH_MAX).contains(&jwks.refresh.0) {
            return Err(value("jwks.refresh", "write 10s to 24h".to_owned()));
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), ConfigError> {
        if let Some(origin) = self.cors.origins.iter().find(|it| !is_origin(it)) {
            return Err(value(
                "cors.origins",
                format!("{origin:?} is no origin; write https://meet.example, no path"),
            ));
        }
        if self.cors.origins.len() > CORS_ORIGINS {
            return Err(value(
                "cors.origins",
                format!("write at most {CORS_ORIGINS}"),
            ));
        }
        if self.stun.servers.len() > STUN_SERVERS {
            return Err(value(
                "stun.servers",
                format!("write at most {STUN_SERVERS}"),
            ));
        }
        let is_server = |text: &str| {
            let parts = text.rsplit_once(':');
            parts.is_some_and(|(host, port)| {
                !host.is_empty()
                    && !host.contains(['/', ' '])
                    && port.parse::<u16>().is_ok_and(|port| port != 0)
            })
        };
        if let Some(server) = self.stun.servers.iter().find(|it| !is_server(it)) {
            return Err(value(
                "stun.servers",
                format!("{server:?} is no server; write stun.example.org:3478"),
            ));
        }
        Ok(())
    }
}

fn refuse(why: impl Into<String>) -> Result<(), ConfigError> {
    Err(ConfigError::Refused(why.into()))
}

fn value(origin: &str, why: String) -> ConfigError {
    ConfigError::Value {
        origin: origin.to_owned(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::path::PathBuf;

    use super::super::{AdminConfig, Config, CorsConfig, GrpcConfig, RoomDefaults};

    fn grpc(address: SocketAddr, plaintext: bool) -> GrpcConfig {
        GrpcConfig {
            address,
            plaintext,
            ..GrpcConfig::default()
        }
    }

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
                    admin: AdminConfig {
                        address: anywhere,
                        ..AdminConfig::default()
                    },
                    ..Config::default()
                },
                "--admin",
            ),
            (
                Config {
                    grpc: grpc(anywhere, false),
                    keys_file: keys(),
                    ..Config::default()
                },
                "grpc.plaintext",
            ),
            (
                Config {
                    grpc: grpc(anywhere, true),
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
            grpc: grpc(([0, 0, 0, 0], 2).into(), true),
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

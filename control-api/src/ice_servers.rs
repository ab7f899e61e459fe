//! STUN and TURN servers that clients are told, with names and passwords for TURN that hold for a
//! while: draft-uberti-behave-turn-rest-00 §2.2, as coturn's `use-auth-secret` checks them.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::auth::keys::SECRET_BYTES_MIN;
use crate::clock::UnixTime;
use crate::config::{Config, ConfigError, IceUrl, Secret};
use crate::files;
use crate::limits::TURN_SECRET_BYTES;

/// Servers of one kind, as `RTCIceServer` has them (W3C webrtc §4.2.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IceServer {
    /// Where they are.
    pub urls: Vec<String>,
    /// Who asks, and until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password of `username`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// What clients are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IceServers {
    servers: Vec<IceUrl>,
    secret: Option<Secret>,
    ttl: Duration,
}

impl IceServers {
    /// For somebody who is told at `now`.
    #[must_use]
    pub fn told(&self, who: &str, now: UnixTime) -> Vec<IceServer> {
        let urls = |is_turn| {
            let those = self.servers.iter().filter(|it| it.is_turn() == is_turn);
            those.map(|it| it.as_str().to_owned()).collect::<Vec<_>>()
        };
        let mut told = Vec::new();
        let stun = urls(false);
        if !stun.is_empty() {
            told.push(IceServer {
                urls: stun,
                username: None,
                credential: None,
            });
        }
        if let Some(secret) = &self.secret {
            let username = format!("{}:{who}", now.after(self.ttl).as_secs());
            // SHA-1 is what TURN servers of this kind know; as an HMAC it is sound still.
            let key = hmac::Key::new(
                hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                secret.reveal().as_bytes(),
            );
            let tag = hmac::sign(&key, username.as_bytes());
            told.push(IceServer {
                urls: urls(true),
                username: Some(username),
                credential: Some(STANDARD.encode(tag)),
            });
        }
        told
    }

    /// When who was told is to be told again: a name for TURN is good for `ttl` and ICE may begin anew
    /// at any moment of that. None where what was told holds for ever.
    #[must_use]
    pub fn again_after(&self) -> Option<Duration> {
        self.secret.is_some().then_some(self.ttl / 2)
    }

    /// The same as values of `Link` headers, one per server (RFC 9725 §4.6).
    #[must_use]
    pub fn links(&self, who: &str, now: UnixTime) -> Vec<String> {
        let mut links = Vec::new();
        for server in self.told(who, now) {
            let credentials = match (&server.username, &server.credential) {
                (Some(username), Some(credential)) => format!(
                    "; username=\"{username}\"; credential=\"{credential}\"; \
                     credential-type=\"password\""
                ),
                (Some(_), None) | (None, Some(_) | None) => String::new(),
            };
            let urls = server.urls.iter();
            links.extend(urls.map(|url| format!("<{url}>; rel=\"ice-server\"{credentials}")));
        }
        links
    }
}

impl Config {
    /// What clients are told, with the secret read.
    ///
    /// # Errors
    /// The secret cannot be read, or is too short.
    pub fn ice_servers(&self) -> Result<IceServers, ConfigError> {
        let ice = &self.ice;
        let wrong = |origin: String, why: String| ConfigError::Value { origin, why };
        let (origin, secret) = match (&ice.turn_secret, &ice.turn_secret_file) {
            (Some(secret), _) => ("ice.turn_secret".to_owned(), Some(secret.clone())),
            (None, Some(path)) => {
                let origin = format!("ice.turn_secret_file {}", path.display());
                let text = files::read_text(path, TURN_SECRET_BYTES)
                    .map_err(|error| wrong(origin.clone(), error.to_string()))?;
                (origin, Some(Secret::new(text.trim())))
            }
            (None, None) => (String::new(), None),
        };
        if let Some(secret) = &secret
            && secret.reveal().len() < SECRET_BYTES_MIN
        {
            let why = format!("a secret has at least {SECRET_BYTES_MIN} bytes");
            return Err(wrong(origin, why));
        }
        Ok(IceServers {
            servers: ice.servers.clone(),
            secret,
            ttl: ice.turn_ttl.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(urls: &[&str], secret: Option<&str>) -> IceServers {
        let mut config = Config::default();
        config.ice.servers = urls.iter().map(|url| url.parse().unwrap()).collect();
        config.ice.turn_secret = secret.map(Secret::new);
        config.ice_servers().unwrap()
    }

    #[test]
    fn a_password_for_turn_is_the_hmac_of_its_name() {
        let secret = "north-by-northwest-and-back-again";
        let urls = [
            "stun:a.example",
            "turn:b.example?transport=udp",
            "turns:b.example",
        ];
        let known = servers(&urls, Some(secret));
        let now = UnixTime::from_millis(1_700_000_000_999);
        let told = known.told("01ABC", now);
        assert_eq!(told[0].urls, ["stun:a.example"]);
        assert_eq!((&told[0].username, &told[0].credential), (&None, &None));
        assert_eq!(told[1].urls, urls[1..]);
        assert_eq!(told[1].username.as_deref(), Some("1700043200:01ABC"));
        // printf 1700043200:01ABC | openssl dgst -sha1 -hmac SECRET -binary | base64
        let password = "BgFRNWcjcZQzGKm1SuhFCx4ILP4=";
        assert_eq!(told[1].credential.as_deref(), Some(password));
        let credentials = format!(
            "; username=\"1700043200:01ABC\"; credential=\"{password}\"; credential-type=\"password\""
        );
        assert_eq!(
            known.links("01ABC", now),
            [
                "<stun:a.example>; rel=\"ice-server\"".to_owned(),
                format!("<turn:b.example?transport=udp>; rel=\"ice-server\"{credentials}"),
                format!("<turns:b.example>; rel=\"ice-server\"{credentials}"),
            ]
        );
        assert!(!format!("{known:?}").contains(secret));
    }

    #[test]
    fn without_servers_nobody_is_told_of_any() {
        let none = servers(&[], None);
        assert!(none.told("a", UnixTime::now()).is_empty());
        assert!(none.links("a", UnixTime::now()).is_empty());
    }
}

//! Values as people write them.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sfu::engine::config::DEFAULT_PORT;

/// A duration: `300s`, `500ms`, `5m`, `2h`, `0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "toml::Value", into = "String")]
pub struct Time(pub Duration);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no duration; write 300s, 500ms, 5m, 2h or 0");
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let count: u64 = digits.parse().map_err(|_| wrong())?;
        let unit = text.get(digits.len()..).unwrap_or_default();
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "" if count == 0 => 1,
            _ => return Err(wrong()),
        };
        let millis = count.checked_mul(millis).ok_or_else(wrong)?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl TryFrom<toml::Value> for Time {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        bare(&value).parse()
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        match time.0.subsec_millis() {
            0 => format!("{}s", time.0.as_secs()),
            _ => format!("{}ms", time.0.as_millis()),
        }
    }
}

/// A secret: never shown, wherever it is printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Of this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What it is. To be used, not to be kept.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(secret)")
    }
}

/// Where media enters: a port on every address, or one address with its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "toml::Value", into = "String")]
pub enum Udp {
    /// On every address of the host.
    Port(u16),
    /// On this one only.
    Address(SocketAddr),
}

impl Default for Udp {
    fn default() -> Self {
        Self::Port(DEFAULT_PORT)
    }
}

impl Udp {
    /// What the engine binds.
    #[must_use]
    pub fn addresses(self) -> Vec<SocketAddr> {
        match self {
            Self::Address(address) => vec![address],
            Self::Port(port) => vec![
                (Ipv4Addr::UNSPECIFIED, port).into(),
                (Ipv6Addr::UNSPECIFIED, port).into(),
            ],
        }
    }
}

impl FromStr for Udp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = text.parse().map(Self::Port);
        port.or_else(|_| text.parse().map(Self::Address))
            .map_err(|_| format!("{text:?} is neither a port nor an address with a port"))
    }
}

impl TryFrom<toml::Value> for Udp {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        bare(&value).parse()
    }
}

impl From<Udp> for String {
    fn from(udp: Udp) -> Self {
        udp.to_string()
    }
}

impl fmt::Display for Udp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => write!(f, "{port}"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// As browsers write one: a scheme, a host in lower case, a port where it is not the scheme's. One
/// written otherwise would never match.
pub(super) fn is_origin(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    host.is_some_and(|host| {
        !host.is_empty()
            && host
                .bytes()
                .all(|byte| known(byte) || b".-:[]_".contains(&byte))
    })
}

/// The origin of every URL handed out: scheme, host and port, no path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicUrl(String);

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let origin = text.strip_suffix('/').unwrap_or(text);
        if is_origin(origin) {
            return Ok(Self(origin.to_owned()));
        }
        Err(format!(
            "{text:?} is no origin; write https://meet.example, no path"
        ))
    }
}

impl TryFrom<String> for PublicUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<PublicUrl> for String {
    fn from(url: PublicUrl) -> Self {
        url.0
    }
}

/// A STUN server (RFC 7064) or a TURN server (RFC 7065).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IceUrl(String);

impl IceUrl {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it wants a name and a password.
    #[must_use]
    pub fn is_turn(&self) -> bool {
        self.0.starts_with("turn")
    }
}

impl FromStr for IceUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            // Before an @ stand names and passwords, where other software takes them.
            let shown = match text.contains('@') {
                true => "one of them".to_owned(),
                false => format!("{text:?}"),
            };
            format!(
                "{shown} is no STUN or TURN server; write stun:stun.example.org:3478 or \
                 turn:turn.example.org:3478?transport=udp"
            )
        };
        let (scheme, rest) = text.split_once(':').ok_or_else(wrong)?;
        let (place, transport) = match rest.split_once('?') {
            Some((place, query)) => (place, Some(query)),
            None => (rest, None),
        };
        let sound = match scheme {
            "stun" | "stuns" => transport.is_none(),
            "turn" | "turns" => {
                matches!(transport, None | Some("transport=udp" | "transport=tcp"))
            }
            _ => false,
        };
        if sound && is_place(place) {
            return Ok(Self(text.to_owned()));
        }
        Err(wrong())
    }
}

impl TryFrom<String> for IceUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<IceUrl> for String {
    fn from(url: IceUrl) -> Self {
        url.0
    }
}

/// `host`, `host:port` or `[::1]:port`.
fn is_place(text: &str) -> bool {
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0);
    let bracketed = text.strip_prefix('[').and_then(|it| it.split_once(']'));
    if let Some((address, rest)) = bracketed {
        let port = rest.strip_prefix(':');
        let is_end = rest.is_empty() || port.is_some_and(is_port);
        return is_end && address.parse::<Ipv6Addr>().is_ok();
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    !host.is_empty() && host.bytes().all(known) && port.is_none_or(is_port)
}

/// A TOML value as text, without quotes.
fn bare(value: &toml::Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_they_are_written() {
        for (text, expected) in [
            ("300s", Some(300_000)),
            ("500ms", Some(500)),
            ("5m", Some(300_000)),
            ("2h", Some(7_200_000)),
            ("0", Some(0)),
            ("5", None),
            ("s", None),
            ("-1s", None),
            ("1d", None),
            ("99999999999999999999h", None),
            ("9999999999999999h", None),
        ] {
            let read = text.parse::<Time>().ok().map(|time| time.0.as_millis());
            assert_eq!(read, expected, "{text}");
        }
        assert_eq!(String::from(Time(Duration::from_millis(1_500))), "1500ms");
    }

    #[test]
    fn a_public_url_is_an_origin() {
        for (text, expected) in [
            ("https://meet.example", Some("https://meet.example")),
            (
                "https://meet.example:8443/",
                Some("https://meet.example:8443"),
            ),
            ("https://meet.example/app", None),
            ("meet.example", None),
            ("wss://meet.example", None),
        ] {
            let read = text.parse::<PublicUrl>().ok().map(String::from);
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn an_ice_server_is_written_as_the_rfcs_write_it() {
        for (text, is_good) in [
            ("stun:stun.example.org", true),
            ("stuns:stun.example.org:5349", true),
            ("turn:192.0.2.1:3478?transport=udp", true),
            ("turns:[2001:db8::1]:443?transport=tcp", true),
            ("turn:[::1]", true),
            ("stun:stun.example.org?transport=udp", false),
            ("turn:turn.example.org?transport=sctp", false),
            ("turn:turn.example.org:0", false),
            ("turn:turn.example.org:70000", false),
            ("turn:name@turn.example.org", false),
            ("turn:a\"b", false),
            ("turn:a>b", false),
            ("turn:", false),
            ("stun://stun.example.org", false),
            ("stun.example.org:3478", false),
            ("turn:[::1", false),
            ("turn:[::1]x", false),
        ] {
            assert_eq!(text.parse::<IceUrl>().is_ok(), is_good, "{text}");
        }
    }

    #[test]
    fn udp_is_a_port_or_an_address() {
        assert_eq!("10000".parse(), Ok(Udp::Port(10_000)));
        assert_eq!(
            "[::1]:9".parse::<Udp>().unwrap().addresses(),
            ["[::1]:9".parse().unwrap()]
        );
        assert!("127.0.0.1".parse::<Udp>().is_err());
        assert_eq!(Udp::default().addresses().len(), 2);
    }
}

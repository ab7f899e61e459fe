//! Which addresses browsers are told, and which source they come from: what is advertised, else the
//! host's public ones, else those STUN servers see (RFC 8489), else its private ones where
//! `advertise.private` allows them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use sfu::engine::address::host_addresses;
use sfu::engine::{Advertised, EngineConfig};
use sfu::wire::stun::{Class, Message, TransactionId};
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::timeout;

use crate::clock::random;
use crate::config::Config;

/// A STUN server answers within this, or is asked again.
const ANSWER_TIME: Duration = Duration::from_millis(500);
/// How often one is asked (RFC 8489 §6.2.1 has more; a start should not take half a minute).
const ATTEMPTS: usize = 3;
/// An answer with one address; more is not read.
const ANSWER_BYTES: usize = 576;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// What the engine is told to offer.
    pub engine: EngineConfig,
    /// Which source won, for the log.
    pub source: String,
}

/// The engine's configuration with the addresses of the source that wins.
pub async fn discover(config: &Config) -> Discovery {
    let host = host_addresses();
    let settled = settle(config, &host);
    if let Some(settled) = settled {
        return settled;
    }
    for server in &config.stun.servers {
        let seen = ask(server).await;
        if !seen.is_empty() {
            let mut addresses = seen;
            if config.advertise.private {
                addresses.extend(host);
            }
            return told(config, &addresses, format!("stun.servers, {server}"));
        }
        tracing::warn!(%server, "the STUN server does not answer");
    }
    if config.advertise.private && !host.is_empty() {
        return told(config, &host, "private addresses of this host".to_owned());
    }
    told(config, &[], "none".to_owned())
}

/// What needs no STUN server; none where one has to be asked, or nothing is left but private
/// addresses.
fn settle(config: &Config, host: &[IpAddr]) -> Option<Discovery> {
    let as_is = |source: &str| {
        Some(Discovery {
            engine: config.engine(),
            source: source.to_owned(),
        })
    };
    if !config.advertise.addresses.is_empty() {
        return as_is("--advertise");
    }
    let bound = config.udp.addresses();
    if !bound.iter().any(|address| address.ip().is_unspecified()) {
        return as_is("--udp");
    }
    if config.is_development() {
        return as_is("every address of this host, for development");
    }
    let private = config.advertise.private;
    if host.iter().any(|address| !is_private(*address)) {
        let kept: Vec<IpAddr> = host
            .iter()
            .copied()
            .filter(|address| private || !is_private(*address))
            .collect();
        return Some(told(config, &kept, "addresses of this host".to_owned()));
    }
    None
}

fn told(config: &Config, addresses: &[IpAddr], source: String) -> Discovery {
    let advertise = addresses.iter().map(|&ip| Advertised { ip, port: None });
    Discovery {
        engine: EngineConfig {
            advertise: advertise.collect(),
            offer_host: false,
            ..config.engine()
        },
        source,
    }
}

/// Whether an address leads nowhere outside its own network: RFC 1918, RFC 6598, RFC 4193.
#[must_use]
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            v4.is_private() || (first == 100 && (64..128).contains(&second))
        }
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

/// The addresses a server sees us come from, one for each family it has.
async fn ask(server: &str) -> Vec<IpAddr> {
    let Ok(Ok(found)) = timeout(ANSWER_TIME * 4, lookup_host(server)).await else {
        return Vec::new();
    };
    let found: Vec<SocketAddr> = found.collect();
    let mut seen = Vec::new();
    for is_v6 in [false, true] {
        let server = found.iter().find(|address| address.is_ipv6() == is_v6);
        if let Some(&server) = server {
            seen.extend(ask_at(server).await);
        }
    }
    seen
}

async fn ask_at(server: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await.ok()?;
    // Connected: what others send is never read.
    socket.connect(server).await.ok()?;
    let transaction: TransactionId = random().ok()?;
    for _ in 0..ATTEMPTS {
        socket.send(&request(transaction)).await.ok()?;
        if let Ok(Some(seen)) = timeout(ANSWER_TIME, answer(&socket, transaction)).await {
            return Some(seen);
        }
    }
    None
}

/// A Binding request without attributes (RFC 8489 §5): servers want none.
fn request(transaction: TransactionId) -> [u8; 20] {
    let mut request = [0; 20];
    let (head, tail) = request.split_at_mut(8);
    head.copy_from_slice(&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42]);
    tail.copy_from_slice(&transaction);
    request
}

async fn answer(socket: &UdpSocket, transaction: TransactionId) -> Option<IpAddr> {
    let mut bytes = [0; ANSWER_BYTES];
    loop {
        let length = socket.recv(&mut bytes).await.ok()?;
        let message = bytes.get(..length).map(Message::parse);
        let Some(Ok(message)) = message else {
            continue;
        };
        if message.class() == Class::Success && message.transaction() == transaction {
            return message.mapped_address().map(|address| address.ip());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AdvertiseConfig, Secret, StunConfig, Udp};
    use sfu::wire::stun::{IntegrityKey, Writer};

    fn guarded() -> Config {
        let keys: Secret =
            serde_json::from_str("\"main: 0123456789abcdef0123456789abcdef\"").unwrap();
        Config {
            keys: Some(keys),
            ..Config::default()
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn the_first_source_that_has_something_wins() {
        let advertised = AdvertiseConfig {
            addresses: vec!["203.0.113.7".parse().unwrap()],
            private: false,
        };
        let private = AdvertiseConfig {
            addresses: Vec::new(),
            private: true,
        };
        let bound = Udp::Address("192.168.1.2:9".parse().unwrap());
        let home = "192.168.1.2";
        for (config, host, expected) in [
            (
                Config {
                    advertise: advertised,
                    ..guarded()
                },
                &["198.51.100.1"][..],
                Some(("--advertise", &["203.0.113.7"][..], true)),
            ),
            (
                Config {
                    udp: bound,
                    ..guarded()
                },
                &[home],
                Some(("--udp", &[], true)),
            ),
            (
                Config::default(),
                &[home],
                Some(("every address of this host, for development", &[], true)),
            ),
            (
                guarded(),
                &[home, "198.51.100.1", "fd00::1", "2001:db8::1"],
                Some((
                    "addresses of this host",
                    &["198.51.100.1", "2001:db8::1"],
                    false,
                )),
            ),
            (
                Config {
                    advertise: private,
                    ..guarded()
                },
                &[home, "198.51.100.1"],
                Some(("addresses of this host", &[home, "198.51.100.1"], false)),
            ),
            (
                guarded(),
                &[home, "100.64.0.1", "172.16.0.1", "10.0.0.1"],
                None,
            ),
            (guarded(), &[], None),
        ] {
            let host: Vec<IpAddr> = host.iter().map(|text| text.parse().unwrap()).collect();
            let found = settle(&config, &host);
            let found = found.map(|it| {
                let told: Vec<String> = it
                    .engine
                    .advertise
                    .iter()
                    .map(|it| it.ip.to_string())
                    .collect();
                (it.source, told, it.engine.offer_host)
            });
            let expected = expected.map(|(source, told, offer_host)| {
                let told: Vec<String> = told.iter().map(|&it| it.to_owned()).collect();
                (source.to_owned(), told, offer_host)
            });
            assert_eq!(found, expected);
        }
    }

    /// Answers one request as having come from `seen`, after something that is no answer.
    async fn stun_server(seen: &'static str) -> String {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap().to_string();
        drop(tokio::spawn(async move {
            let mut bytes = [0; 100];
            let (length, from) = socket.recv_from(&mut bytes).await.unwrap();
            let asked = Message::parse(&bytes[..length]).unwrap();
            assert_eq!(asked.class(), Class::Request);
            let transaction = asked.transaction();
            let mut out = [0; 200];
            let mut other = Writer::new(&mut out, Class::Success, [9; 12]);
            other.mapped_address("198.51.100.66:5".parse().unwrap());
            let length = other.finish(&IntegrityKey::new(b"x")).unwrap();
            socket.send_to(&out[..length], from).await.unwrap();
            let mut writer = Writer::new(&mut out, Class::Success, transaction);
            writer.mapped_address(seen.parse().unwrap());
            let length = writer.finish(&IntegrityKey::new(b"x")).unwrap();
            socket.send_to(&out[..length], from).await.unwrap();
        }));
        address
    }

    #[tokio::test]
    async fn a_stun_server_says_how_others_see_this_host() {
        let server = stun_server("198.51.100.9:4444").await;
        assert_eq!(
            ask(&server).await,
            ["198.51.100.9".parse::<IpAddr>().unwrap()]
        );
        // One that is not there, then one that is.
        let config = Config {
            stun: StunConfig {
                servers: vec!["127.0.0.1:1".into(), stun_server("198.51.100.8:1").await],
            },
            ..guarded()
        };
        if settle(&config, &host_addresses()).is_none() {
            let found = discover(&config).await;
            assert_eq!(found.engine.advertise, ["198.51.100.8".parse().unwrap()]);
            assert!(found.source.starts_with("stun.servers"), "{}", found.source);
        }
    }
}

//! What the engine is told at its start: addresses, shards, buffers. Unknown keys are refused, every
//! field has a default. Checked once by [`EngineConfig::check`]; nobody checks the same again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::EngineError;
use crate::limits::{CANDIDATES, SHARDS};

/// The UDP port of shard 0 unless said otherwise.
pub const DEFAULT_PORT: u16 = 10_000;

/// 4 MiB ride out a scheduling pause of 30 ms at 1 Gb/s; the kernel grants what `rmem_max` and
/// `wmem_max` allow.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Where media enters and leaves this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// Local addresses, all with the port of shard 0; shard `i` listens `i` ports above. Port 0:
    /// each shard takes a free one.
    pub udp: Vec<SocketAddr>,
    /// Threads, each with its own port. Unset: as many as the CPU quota and affinity give.
    pub shards: Option<usize>,
    /// Addresses browsers are told instead of the host's own. A port here is shard 0's as seen
    /// from outside.
    pub advertise: Vec<Advertised>,
    /// Without `advertise`, sockets bound to every address offer those of the host's interfaces;
    /// false: they offer nothing but what is advertised.
    pub offer_host: bool,
    /// Tells browsers of 127.0.0.1 and ::1 too: for development on one machine.
    pub offer_loopback: bool,
    /// `SO_RCVBUF` asked for, of each socket.
    pub receive_buffer_bytes: usize,
    /// `SO_SNDBUF` asked for, of each socket.
    pub send_buffer_bytes: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            udp: vec![
                SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), DEFAULT_PORT),
                SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), DEFAULT_PORT),
            ],
            shards: None,
            advertise: Vec::new(),
            offer_host: true,
            offer_loopback: true,
            receive_buffer_bytes: SOCKET_BUFFER_BYTES,
            send_buffer_bytes: SOCKET_BUFFER_BYTES,
        }
    }
}

impl EngineConfig {
    /// How many shards there will be.
    ///
    /// # Errors
    /// What makes no sense, naming the key and the cure.
    pub fn check(&self) -> Result<usize, EngineError> {
        let port = self.udp.first().ok_or(EngineError::NoAddress)?.port();
        if self.udp.iter().any(|address| address.port() != port) {
            return Err(EngineError::PortsDiffer);
        }
        if self.advertise.len() > CANDIDATES {
            return Err(EngineError::TooManyAddresses {
                key: "advertise",
                max: CANDIDATES,
            });
        }
        if self.udp.len() > CANDIDATES {
            return Err(EngineError::TooManyAddresses {
                key: "udp",
                max: CANDIDATES,
            });
        }
        let shards = self.shards.unwrap_or_else(shards_of_this_host);
        if shards == 0 || shards > SHARDS {
            return Err(EngineError::Shards {
                asked: shards,
                max: SHARDS,
            });
        }
        let advertised = self.advertise.iter().filter_map(|address| address.port);
        for base in advertised.chain([port]) {
            if base != 0 && nth_port(base, shards - 1).is_none() {
                return Err(EngineError::PortRange { base, shards });
            }
        }
        Ok(shards)
    }
}

/// The CPU quota of the cgroup within the affinity mask, at most `SHARDS`.
fn shards_of_this_host() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get().min(SHARDS))
}

/// The port of shard `index`, where shard 0 has `base`.
pub(super) fn nth_port(base: u16, index: usize) -> Option<u16> {
    base.checked_add(u16::try_from(index).ok()?)
}

/// An address as browsers see it: `203.0.113.7`, `203.0.113.7:40000`, `2001:db8::7`,
/// `[2001:db8::7]:40000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Advertised {
    /// The address.
    pub ip: IpAddr,
    /// Shard 0's port from outside; unset: the one it is bound to.
    pub port: Option<u16>,
}

/// Text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address; write 203.0.113.7, 203.0.113.7:40000 or [2001:db8::7]:40000")]
pub struct AddressError(String);

impl FromStr for Advertised {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = || AddressError(text.chars().take(80).collect());
        if let Ok(address) = text.parse::<SocketAddr>() {
            let port = Some(address.port()).filter(|&port| port != 0);
            return Ok(Self {
                ip: address.ip(),
                port: Some(port.ok_or_else(error)?),
            });
        }
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        let ip = bare.parse().map_err(|_| error())?;
        Ok(Self { ip, port: None })
    }
}

impl TryFrom<String> for Advertised {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Advertised> for String {
    fn from(address: Advertised) -> Self {
        match address.port {
            Some(port) => SocketAddr::new(address.ip, port).to_string(),
            None => address.ip.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advertised_address_reads_with_and_without_a_port() {
        for (text, expected) in [
            ("203.0.113.7", Some("203.0.113.7")),
            ("203.0.113.7:40000", Some("203.0.113.7:40000")),
            ("2001:db8::7", Some("2001:db8::7")),
            ("[2001:db8::7]", Some("2001:db8::7")),
            ("[2001:db8::7]:40000", Some("[2001:db8::7]:40000")),
            ("203.0.113.7:0", None),
            ("media.example", None),
            ("", None),
        ] {
            let read = text.parse::<Advertised>().ok().map(String::from);
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_key() {
        let with = |change: fn(&mut EngineConfig)| {
            let mut config = EngineConfig::default();
            change(&mut config);
            config.check().map_err(|error| error.to_string())
        };
        for (change, needle) in [
            (
                (|config| config.udp.clear()) as fn(&mut EngineConfig),
                "udp",
            ),
            (|config| config.shards = Some(0), "shards"),
            (|config| config.shards = Some(10_000), "shards"),
            (
                |config| {
                    config.udp = vec![([127, 0, 0, 1], 65_535).into()];
                    config.shards = Some(2);
                },
                "65535",
            ),
            (
                |config| config.udp.push(([127, 0, 0, 1], 9).into()),
                "same port",
            ),
        ] {
            let error = with(change).expect_err(needle);
            assert!(error.contains(needle), "{error}");
        }
        assert_eq!(with(|config| config.shards = Some(3)), Ok(3));
    }
}

//! Which addresses browsers are told: what is advertised, else what the sockets are bound to, with
//! "every address" spelled out as those of the host's interfaces.
//!
//! Only looks at the host; no STUN server is asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::net::if_::InterfaceFlags;

use super::config::{Advertised, nth_port};
use crate::limits::CANDIDATES;

/// Interfaces of container networks: their addresses lead nowhere outside this host.
const CONTAINER_INTERFACES: &[&str] = &[
    "docker", "br-", "veth", "virbr", "cni", "flannel", "cali", "cilium", "lxc", "lxd", "podman",
    "kube", "tun", "tap", "nerdctl", "vxlan", "weave",
];

/// The host's addresses a browser elsewhere may reach, in the order of its interfaces, IPv4 first.
/// Left out: loopback, link-local, container networks, tunnels, interfaces that are down.
#[must_use]
pub fn host_addresses() -> Vec<IpAddr> {
    let interfaces = match nix::ifaddrs::getifaddrs() {
        Ok(interfaces) => interfaces,
        Err(error) => {
            tracing::warn!(%error, "the host's addresses cannot be listed; set --advertise");
            return Vec::new();
        }
    };
    let mut found: Vec<IpAddr> = interfaces
        .filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP))
        .filter(|interface| !is_container(&interface.interface_name))
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        })
        .filter(|address| is_reachable(*address))
        .collect();
    found.sort_by_key(IpAddr::is_ipv6);
    found.dedup();
    found.truncate(CANDIDATES);
    found
}

/// What shard `index` offers, best first. `bound` are its sockets' addresses, `host` what
/// [`host_addresses`] found.
#[must_use]
pub fn candidates(
    index: usize,
    bound: &[SocketAddr],
    advertise: &[Advertised],
    host: &[IpAddr],
    offer_loopback: bool,
) -> Vec<SocketAddr> {
    let port = bound.first().map_or(0, SocketAddr::port);
    let mut offered: Vec<SocketAddr> = Vec::new();
    for address in advertise {
        let port = address
            .port
            .map_or(Some(port), |base| nth_port(base, index));
        offered.extend(port.map(|port| SocketAddr::new(address.ip, port)));
    }
    if advertise.is_empty() {
        for socket in bound {
            offered.extend(spelled_out(*socket, host, offer_loopback));
        }
        // Other hosts can do nothing with these; they serve a browser beside the server.
        offered.sort_by_key(|address| (address.ip().is_loopback(), address.is_ipv6()));
    }
    let mut unique = Vec::with_capacity(offered.len());
    for address in offered {
        if !unique.contains(&address) && unique.len() < CANDIDATES {
            unique.push(address);
        }
    }
    unique
}

fn spelled_out(socket: SocketAddr, host: &[IpAddr], offer_loopback: bool) -> Vec<SocketAddr> {
    if !socket.ip().is_unspecified() {
        return vec![socket];
    }
    let loopback: IpAddr = match socket {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    host.iter()
        .copied()
        .filter(|address| address.is_ipv6() == socket.is_ipv6())
        .chain(offer_loopback.then_some(loopback))
        .map(|address| SocketAddr::new(address, socket.port()))
        .collect()
}

fn is_container(interface: &str) -> bool {
    CONTAINER_INTERFACES
        .iter()
        .any(|prefix| interface.starts_with(prefix))
}

/// Whether another host may have a route to it. A global address on `lo` counts: routers and test
/// namespaces put theirs there.
fn is_reachable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified() && !v4.is_multicast()
        }
        IpAddr::V6(v6) => {
            !v6.is_loopback()
                && !v6.is_unicast_link_local()
                && !v6.is_unspecified()
                && !v6.is_multicast()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(index: usize, bound: &[&str], advertise: &[&str], loopback: bool, expected: &[&str]) {
        let host: Vec<IpAddr> = ["192.0.2.5", "2001:db8::5"]
            .map(|text| text.parse().expect("address"))
            .to_vec();
        let bound: Vec<SocketAddr> = bound.iter().map(|text| text.parse().expect(text)).collect();
        let advertise: Vec<Advertised> = advertise
            .iter()
            .map(|text| text.parse().expect(text))
            .collect();
        let offered: Vec<String> = candidates(index, &bound, &advertise, &host, loopback)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(offered, expected);
    }

    #[test]
    fn every_address_is_spelled_out_host_first() {
        check(
            1,
            &["0.0.0.0:10001", "[::]:10001"],
            &[],
            true,
            &[
                "192.0.2.5:10001",
                "[2001:db8::5]:10001",
                "127.0.0.1:10001",
                "[::1]:10001",
            ],
        );
        check(0, &["0.0.0.0:9"], &[], false, &["192.0.2.5:9"]);
    }

    #[test]
    fn a_bound_address_is_offered_alone() {
        check(0, &["127.0.0.1:9"], &[], false, &["127.0.0.1:9"]);
    }

    #[test]
    fn an_advertised_port_counts_up_with_the_shard() {
        check(
            2,
            &["0.0.0.0:10002"],
            &["203.0.113.7:40000", "203.0.113.8", "203.0.113.8"],
            true,
            &["203.0.113.7:40002", "203.0.113.8:10002"],
        );
    }

    #[test]
    fn container_networks_and_link_local_addresses_are_left_out() {
        assert!(is_container("docker0") && is_container("veth12ab") && !is_container("eth0"));
        for (text, reachable) in [
            ("127.0.0.1", false),
            ("169.254.3.4", false),
            ("10.88.0.1", true),
            ("fe80::1", false),
            ("fd00::1", true),
            ("::1", false),
        ] {
            assert_eq!(is_reachable(text.parse().expect(text)), reachable, "{text}");
        }
        assert!(host_addresses().into_iter().all(is_reachable));
    }
}

//! A path: a local address of ours and a remote one, between which datagrams travel.

use std::net::SocketAddr;

/// One local address of one socket, or one TCP connection. The engine keeps what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalId(pub u32);

/// Where a datagram came from and arrived, or leaves and goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// Our side.
    pub local: LocalId,
    /// The other side.
    pub remote: SocketAddr,
}

/// Explicit congestion notification of a datagram (RFC 3168 §5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ecn {
    /// Not ECN-capable.
    #[default]
    NotEct,
    /// ECT(0).
    Ect0,
    /// ECT(1).
    Ect1,
    /// Congestion experienced.
    Ce,
}

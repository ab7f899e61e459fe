//! Permission × door, with robots on real sockets against a node in this process: what is denied is
//! refused with its reason and nothing passes; what is granted live works within a second; what is
//! revoked live has its last packet forwarded half a second later at most.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test: what fails here fails it, and says where"
)]

mod data;
mod node;
mod publishing;
mod receiving;
mod watched;

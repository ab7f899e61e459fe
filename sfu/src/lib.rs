//! Plenum's media plane: a shard is a pure function of (datagram | command | port message | time)
//! to (datagrams | replies | port messages | events); the engine is a thin shell around it.
//!
//! | folder | rank | what it is |
//! |---|---|---|
//! | `time id units limits error path wheel outbox prefetch` | 0 | foundations |
//! | [`wire`] | 1 | bytes to values and back, no state |
//! | [`sdp`] | 2 | descriptions: text, negotiation |
//! | [`transport`] | 3 | one remote host: ICE, DTLS, SRTP, SCTP |
//! | [`router`] | 3 | one room: tracks, subscriptions, sections, ports |
//! | [`shard`] | 4 | joins transports and routers; still no I/O |
//! | [`engine`] | 5 | the only I/O: sockets, threads, clocks (feature `engine`) |
//!
//! A folder imports lower ranks only; `transport` and `router` never meet.

pub mod error;
pub mod id;
pub mod limits;
pub mod outbox;
pub mod path;
mod prefetch;
pub mod time;
pub mod units;
pub mod wheel;

pub mod wire;

pub mod sdp;

pub mod router;
pub mod transport;

pub mod shard;

#[cfg(feature = "engine")]
pub mod engine;

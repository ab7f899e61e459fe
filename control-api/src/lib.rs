//! Plenum's control plane: the doors people and backends come in by, and the process around the
//! media plane.
//!
//! | file | what it is |
//! |---|---|
//! | [`node`] | engine, registry and doors, started and ended together |
//! | [`config`] | flags > environment > file > default |
//! | [`registry`] | the one façade all doors share: rooms, participants, tracks by name |
//! | [`placement`] | which shard takes a room |
//! | [`auth`] | tokens: who may do what |
//! | [`http`] | the page, health, metrics, the way to the WebSocket |
//! | [`server`] | backends' door: the gRPC listener |
//! | [`service`] | the gRPC methods |
//! | `convert` | protocol buffers to and from domain types |
//! | [`signal`] | participants' doors: WebSocket |
//! | [`tls`] | certificates of the listeners |
//! | [`urls`] | the URLs handed out |
//! | [`metrics`] | counters as Prometheus text |
//! | [`discovery`] | which addresses browsers are told |
//! | [`lan`] | `--lan`: own certificate, own key, invitation |
//! | [`drain`] | SIGTERM |
//! | [`reload`] | SIGHUP |
//! | [`sign`] | `plenum token` |
//! | `files` | files that are read whole, up to a bound |
//! | [`logs`] | where log lines go |
//! | [`status`] | why a request failed: one table for every door |
//! | [`clock`] | calendar time, chance, ULIDs |
//! | [`ice_servers`] | STUN and TURN servers that clients are told |
//! | [`limits`] | every bound of this crate |

pub mod auth;
pub mod clock;
pub mod config;
mod convert;
pub mod discovery;
pub mod drain;
mod files;
pub mod http;
pub mod ice_servers;
pub mod lan;
pub mod limits;
pub mod logs;
pub mod metrics;
pub mod node;
pub mod placement;
pub mod registry;
pub mod reload;
pub mod server;
pub mod service;
pub mod sign;
pub mod signal;
pub mod status;
pub mod tls;
pub mod urls;

//! Plenum's control plane: the doors people and backends come in by, and the process around the
//! media plane.
//!
//! | file | what it is |
//! |---|---|
//! | [`auth`] | tokens: who may do what |
//! | [`registry`] | the one façade all doors share: rooms, participants, tracks by name |
//! | [`placement`] | which shard takes a room |
//! | [`status`] | why a request failed: one table for every door |
//! | [`clock`] | calendar time, chance, ULIDs |
//! | [`limits`] | every bound of this crate |

pub mod auth;
pub mod clock;
pub mod limits;
pub mod placement;
pub mod registry;
pub mod status;

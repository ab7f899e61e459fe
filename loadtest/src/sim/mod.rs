//! World one: shards, robots and links under one virtual clock and one seed.
//!
//! | file | what it is |
//! |---|---|
//! | [`link`] | delay, jitter, loss, bursts, reordering, duplication, rate |
//! | [`datagram`] | what a bystander can tell of a datagram |
//! | [`checks`] | the laws, asked on every report |
//! | `agreement` | whether both sides mean the same by what they have negotiated |
//! | [`fault`] | planted faults, that each law is shown to catch |
//! | [`trace`] | a hash over all that happens |
//! | [`world`] | one clock over all of it |

mod agreement;
pub mod checks;
pub mod datagram;
pub mod fault;
pub mod link;
pub mod trace;
pub mod world;

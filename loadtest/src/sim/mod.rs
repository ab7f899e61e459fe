//! World one: shards, robots and links under one virtual clock and one seed.
//!
//! | file | what it is |
//! |---|---|
//! | [`link`] | delay, jitter, loss, bursts, reordering, duplication, rate |
//! | [`datagram`] | what a bystander can tell of a datagram |
//! | [`checks`] | the laws, asked on every report |

pub mod checks;
pub mod datagram;
pub mod link;

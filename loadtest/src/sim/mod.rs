//! World one: shards, robots and links under one virtual clock and one seed.
//!
//! | file | what it is |
//! |---|---|
//! | [`link`] | delay, jitter, loss, bursts, reordering, duplication, rate |

pub mod link;

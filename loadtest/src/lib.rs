//! Robots: the same virtual participants in two worlds, and the laws they hold the server to.
//!
//! | file | what it is |
//! |---|---|
//! | [`media`] | synthetic audio and video whose bytes say who, when, which frame |
//! | [`sim`] | world one: shards, robots and links under one virtual clock and seed |
//! | [`allocator`] | counts live heap bytes |
//! | [`identity`] | constant certificates: test keys |

pub mod allocator;
pub mod identity;
pub mod media;
pub mod sim;

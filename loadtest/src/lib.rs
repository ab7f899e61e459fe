//! Robots: the same virtual participants in two worlds, and the laws they hold the server to.
//!
//! | file | what it is |
//! |---|---|
//! | [`allocator`] | counts live heap bytes |
//! | [`identity`] | constant certificates: test keys |

pub mod allocator;
pub mod identity;

//! Descriptions: text, values, negotiation. Used by control-api (text) and shard (values).
//!
//! | file | what it is |
//! |---|---|
//! | [`description`] | a session description as values |

pub mod description;

pub use description::Description;

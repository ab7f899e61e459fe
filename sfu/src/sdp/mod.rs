//! Descriptions: text, values, negotiation. Used by control-api (text) and shard (values).
//!
//! | file | what it is |
//! |---|---|
//! | [`description`] | a session description as values |
//! | [`negotiate`] | an m-line both sides have spoken about: answer and plan |

pub mod description;
pub mod negotiate;

pub use description::Description;

//! Descriptions: text, values, negotiation. Used by control-api (text) and shard (values).
//!
//! | file | what it is |
//! |---|---|
//! | [`description`] | a session description as values |
//! | [`mod@parse`] | text to values |
//! | `attribute` | values of single attributes |
//! | [`mod@write`] | values to text |
//! | [`negotiate`] | an m-line both sides have spoken about: answer and plan |
//! | [`numbers`] | payload types and extension ids of a BUNDLE group |

mod attribute;
pub mod description;
pub mod negotiate;
pub mod numbers;
pub mod parse;
pub mod write;

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;

pub use description::Description;
pub use parse::{SdpError, parse};
pub use write::write;

//! Bytes to values and back: no state, never panics, every file fuzzed.
//!
//! | file | what it is |
//! |---|---|
//! | [`extension`] | header extensions by negotiated id |
//! | [`payload`] | what a payload says of itself: key frame, layer |

pub mod extension;
pub mod payload;

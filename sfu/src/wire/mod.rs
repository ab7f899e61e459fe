//! Bytes to values and back: no state, never panics, every file fuzzed.
//!
//! | file | what it is |
//! |---|---|
//! | [`payload`] | what a payload says of itself: key frame, layer |

pub mod payload;

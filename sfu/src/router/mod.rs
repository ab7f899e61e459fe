//! router: see the crate's map.

//! transport: see the crate's map.

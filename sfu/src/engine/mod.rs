//! engine: see the crate's map.

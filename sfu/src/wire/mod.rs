//! wire: see the crate's map.

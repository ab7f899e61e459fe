//! shard: see the crate's map.

//! sdp: see the crate's map.

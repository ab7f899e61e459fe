//! Feeds `entry::dependency_descriptor`.
#![no_main]

#[path = "../entry.rs"]
#[allow(dead_code, reason = "each target uses one of the entries")]
mod entry;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entry::dependency_descriptor(bytes));

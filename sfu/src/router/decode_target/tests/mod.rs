//! An encoder for tests.

pub(in crate::router) mod encoder;

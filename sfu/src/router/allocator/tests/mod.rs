//! The allocator in virtual time: figures of single decisions, properties of random ones, and
//! meetings on links that shrink, waver and come back.

mod properties;
mod reasons;
mod scenes;
mod support;

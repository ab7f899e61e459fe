//! Robots: the same virtual participants in two worlds, and the laws they hold the server to.
//!
//! | file | what it is |
//! |---|---|
//! | [`robot`] | a virtual participant on an independent sans-IO WebRTC stack |
//! | [`scene`] | who joins, publishes, subscribes, leaves, when (text form) |
//! | [`media`] | synthetic audio and video whose bytes say who, when, which frame |
//! | [`sim`] | world one: shards, robots and links under one virtual clock and seed |
//! | [`net`] | world two: the same robots on real sockets |
//! | [`network`] | the estimator on simulated bad networks |
//! | [`emulator`] | a bad network between real programs |
//! | [`load`] | the load generator against a running server |
//! | [`mod@bench`] | the measuring stand: cost of a packet beside an ideal forwarder's |
//! | [`churn`] | joins and leaves over real sockets: is anything left behind? |
//! | [`report`] | latency histograms, loss, CPU: for people and as JSON |
//! | [`allocator`] | counts live heap bytes |
//! | [`identity`] | constant certificates: test keys |

pub mod allocator;
pub mod bench;
pub mod churn;
pub mod emulator;
pub mod identity;
pub mod load;
pub mod media;
pub mod net;
pub mod network;
pub mod report;
pub mod robot;
pub mod scene;
pub mod sim;

//! How the estimator behaves on bad networks: scenes A1 to A25 in a simulated one, seeds 1 to 20.
//!
//! | module | what it is |
//! |---|---|
//! | [`bottleneck`] | the link |
//! | [`flow`] | an app, its estimator and its receiver |
//! | `picture` | a scene as an SVG |
//! | [`run`] | flows on a link, sampled |
//! | [`scenes`] | what is played and measured |
//! | [`table`] | gates, medians, worsts, pictures |

pub mod bottleneck;
pub mod flow;
mod picture;
pub mod run;
pub mod scenes;
pub mod table;

pub use table::bench;

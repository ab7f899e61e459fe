//! How the estimator behaves on bad networks: scenes A1 to A25 in a simulated one, seeds 1 to 20.
//!
//! | module | what it is |
//! |---|---|
//! | [`bottleneck`] | the link |
//! | [`chance`] | hours of whatever may happen |
//! | [`cubic`] | a TCP download beside us |
//! | [`figure`] | what is asked of a figure, and whether it is met |
//! | [`flow`] | an app, its estimator and its receiver |
//! | `picture` | a scene as an SVG |
//! | [`run`] | flows on a link, sampled |
//! | [`scenes`] | what is played and measured |
//! | [`sender`] | who sends on a link |
//! | [`table`] | medians, worsts, pictures, the page of the documentation |
//! | [`voices`] | who is loudest of a thousand |

pub mod bottleneck;
pub mod chance;
pub mod cubic;
pub mod figure;
pub mod flow;
mod picture;
pub mod run;
pub mod scenes;
pub mod sender;
pub mod table;
pub mod voices;

pub use table::{bench, document};

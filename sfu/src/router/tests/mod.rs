//! The router's rules, driven by hand-built packets under virtual time.
//!
//! | file | what it asks |
//! |---|---|
//! | `support` | a room with a clock, packets in, packets out |
//! | `numbering` | outgoing numbers, timestamps, picture numbers |
//! | `repair` | NACK and RTX both ways |
//! | `keyframes` | who asks for a picture, and when |
//! | `flow` | learning, gathering, muting, queues, freeing |
//! | `red` | copies of sound, given and taken |
//! | `rungs` | simulcast: which can be given, how one gives way to another |
//! | `reports` | SR, RR, clocks, speakers |
//! | `ports` | a door and back |
//! | `rewriting` | packets written one like the other |

#![expect(
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "tests number small things, and look for one kind among many"
)]

mod flow;
mod frames;
mod keyframes;
mod layers;
mod numbering;
mod patience;
mod pipes;
mod ports;
mod red;
mod repair;
mod reports;
mod rewriting;
mod rungs;
mod support;

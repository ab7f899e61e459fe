//! One participant's wish for one track, as the section that serves it knows it. Who may wish what,
//! and which wish gets a section, is the shard's matter.

use crate::id::TrackKey;

/// A wish that has a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subscription {
    /// For what.
    pub(super) track: TrackKey,
    /// Wanted, but not now: the section stays bound and sends nothing.
    pub(super) paused: bool,
}

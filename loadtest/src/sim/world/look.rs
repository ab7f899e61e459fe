//! What can be looked at in a world.

use std::collections::BTreeMap;

use sfu::error::{CommandError, LeaveReason};
use sfu::id::{ParticipantId, RoomId, TrackId};
use sfu::shard::Shard;
use sfu::shard::event::{LayersFacts, SectionBinding, SubscriptionFacts};
use sfu::time::Instant;

use super::{Published, World};
use crate::robot::Robot;
use crate::sim::checks::Violation;
use crate::sim::link::Link;
use crate::sim::trace::Trace;

impl World {
    /// The seed.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Virtual time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// The shard, or the first of several.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "a world is made with one at least")]
    pub fn shard(&self) -> &Shard {
        &self.shards[0]
    }

    /// All shards.
    #[must_use]
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// How many have joined, whether or not they are still here.
    #[must_use]
    pub const fn members(&self) -> usize {
        self.members.len()
    }

    /// A member's robot.
    #[must_use]
    pub fn robot(&self, member: usize) -> Option<&Robot> {
        self.members.get(member).map(|it| &it.robot)
    }

    /// A member's name towards the shard.
    #[must_use]
    pub fn names(&self, member: usize) -> Option<(RoomId, ParticipantId)> {
        self.members.get(member).map(|it| (it.room, it.participant))
    }

    /// Why a member is out, where the shard has said so.
    #[must_use]
    pub fn left(&self, member: usize) -> Option<LeaveReason> {
        self.members.get(member).and_then(|it| it.left)
    }

    /// A member's links: up, down.
    #[must_use]
    pub fn links(&self, member: usize) -> Option<(&Link, &Link)> {
        self.members.get(member).map(|it| (&it.up, &it.down))
    }

    /// Which of a member's m-lines shows which track, as the shard told it last.
    #[must_use]
    pub fn bindings(&self, member: usize) -> &[SectionBinding] {
        self.members
            .get(member)
            .map_or(&[], |it| it.bindings.as_slice())
    }

    /// What became of a member's wishes, as the shard told it last.
    #[must_use]
    pub fn subscriptions(&self, member: usize) -> &[SubscriptionFacts] {
        self.members
            .get(member)
            .map_or(&[], |it| it.subscriptions.as_slice())
    }

    /// What a member is given of each picture and why, as the shard told it last.
    #[must_use]
    pub fn given(&self, member: usize) -> Option<&LayersFacts> {
        self.members.get(member)?.given.as_ref()
    }

    /// Offers of the server to a member, and how many of its answers were taken.
    #[must_use]
    pub fn offers(&self, member: usize) -> (u64, u64) {
        self.members.get(member).map_or((0, 0), |it| it.offers)
    }

    /// The tracks there are, as the shard told it.
    #[must_use]
    pub const fn tracks(&self) -> &BTreeMap<TrackId, Published> {
        &self.tracks
    }

    /// Commands the shard has refused, by member (`usize::MAX`: nobody's).
    #[must_use]
    pub fn refusals(&self) -> &[(usize, CommandError)] {
        &self.refusals
    }

    /// What the laws have found.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        self.laws.violations()
    }

    /// Outgoing streams the laws have watched.
    #[must_use]
    pub fn sections_watched(&self) -> usize {
        self.laws.sections()
    }

    /// The trace so far.
    #[must_use]
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }
}

//! Which transport a datagram is for: by path once a check has proved it, by ufrag for STUN.

use std::collections::HashMap;

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;
use slab::Slab;

use crate::id::{MemberKey, RoomKey};
use crate::limits;
use crate::path::{LocalId, Path};

/// A transport's place: its room and its member in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) room: RoomKey,
    pub(super) member: MemberKey,
}

/// All transports of a shard, and the proved paths that lead to them.
#[derive(Debug)]
pub(super) struct Places {
    transports: Slab<Place>,
    /// Keyed by what a remote chooses, so hashed with a secret seed; never walked in its order.
    paths: HashMap<Path, Place, SeedableRandomState>,
}

impl Places {
    pub(super) fn new(seed: u64) -> Self {
        let state = SeedableRandomState::with_seed(seed, SharedSeed::global_fixed());
        Self {
            transports: Slab::new(),
            paths: HashMap::with_hasher(state),
        }
    }

    /// A transport key for `place`; none where the table is full.
    pub(super) fn add(&mut self, place: Place) -> Option<u32> {
        if self.transports.len() >= limits::TRANSPORTS {
            return None;
        }
        u32::try_from(self.transports.insert(place)).ok()
    }

    /// The transport of `place` is gone. Of its paths, those leave that nobody else has proved.
    pub(super) fn remove(
        &mut self,
        transport: u32,
        place: Place,
        paths: impl Iterator<Item = Path>,
    ) {
        self.transports.try_remove(transport as usize);
        for path in paths {
            self.forget(path, place);
        }
    }

    /// The transport of `from` stands at `to` now, with all its paths.
    pub(super) fn relocate(
        &mut self,
        transport: u32,
        (from, to): (Place, Place),
        paths: impl Iterator<Item = Path>,
    ) {
        if let Some(place) = self.transports.get_mut(transport as usize) {
            *place = to;
        }
        for path in paths {
            // Not one that somebody else has proved meanwhile.
            if self.by_path(path) == Some(from) {
                self.paths.insert(path, to);
            }
        }
    }

    pub(super) fn by_transport(&self, transport: u32) -> Option<Place> {
        self.transports.get(transport as usize).copied()
    }

    pub(super) fn by_path(&self, path: Path) -> Option<Place> {
        self.paths.get(&path).copied()
    }

    /// A check proved that `path` leads to `place`. A path has one owner: the last to prove it,
    /// since a NAT hands a port to another host once the first is gone.
    pub(super) fn prove(&mut self, path: Path, place: Place) {
        self.paths.insert(path, place);
    }

    /// `place` does not use `path` any more.
    pub(super) fn forget(&mut self, path: Path, place: Place) {
        if self.by_path(path) == Some(place) {
            self.paths.remove(&path);
        }
    }

    /// A local address or connection is gone, and every path over it.
    pub(super) fn close(&mut self, local: LocalId) {
        self.paths.retain(|path, _| path.local != local);
    }

    pub(super) fn paths(&self) -> usize {
        self.paths.len()
    }
}

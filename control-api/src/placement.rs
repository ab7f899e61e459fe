//! Which shard takes a room: the one with the fewest participants, then the fewest rooms.

use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug, Default)]
struct Load {
    rooms: AtomicUsize,
    participants: AtomicUsize,
}

/// How loaded each shard is, as the registry knows it.
#[derive(Debug)]
pub struct Placement(Vec<Load>);

impl Placement {
    /// For so many shards, all empty.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        Self((0..shards).map(|_| Load::default()).collect())
    }

    /// The least loaded shard.
    #[must_use]
    pub fn choose(&self) -> usize {
        let load = |load: &Load| {
            let participants = load.participants.load(Ordering::Relaxed);
            (participants, load.rooms.load(Ordering::Relaxed))
        };
        let least = self.0.iter().enumerate().min_by_key(|(_, it)| load(it));
        least.map_or(0, |(index, _)| index)
    }

    /// Rooms on all shards.
    #[must_use]
    pub fn rooms(&self) -> usize {
        self.0
            .iter()
            .map(|load| load.rooms.load(Ordering::Relaxed))
            .sum()
    }

    /// Participants on all shards.
    #[must_use]
    pub fn participants(&self) -> usize {
        self.0
            .iter()
            .map(|load| load.participants.load(Ordering::Relaxed))
            .sum()
    }

    pub(crate) fn room_made(&self, shard: usize) {
        if let Some(load) = self.0.get(shard) {
            load.rooms.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn room_gone(&self, shard: usize, participants: usize) {
        if let Some(load) = self.0.get(shard) {
            load.rooms.fetch_sub(1, Ordering::Relaxed);
            load.participants.fetch_sub(participants, Ordering::Relaxed);
        }
    }

    pub(crate) fn entered(&self, shard: usize) {
        if let Some(load) = self.0.get(shard) {
            load.participants.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn left(&self, shard: usize) {
        if let Some(load) = self.0.get(shard) {
            load.participants.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_goes_to_the_shard_with_the_fewest_participants_then_rooms() {
        let placement = Placement::new(3);
        assert_eq!(placement.choose(), 0);
        placement.room_made(0);
        assert_eq!(placement.choose(), 1);
        placement.room_made(1);
        placement.room_made(2);
        placement.entered(0);
        placement.entered(1);
        assert_eq!(placement.choose(), 2);
        placement.entered(2);
        placement.left(1);
        assert_eq!(placement.choose(), 1);
        assert_eq!((placement.rooms(), placement.participants()), (3, 2));
        placement.room_gone(0, 1);
        assert_eq!((placement.rooms(), placement.participants()), (2, 1));
    }
}

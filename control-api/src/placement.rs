//! Which shard takes a room: the one with the fewest participants, then the fewest rooms. And which
//! takes a newcomer: one its room is on, until that has as many as it may have while others have less.
//! Nobody is moved: a transport stays where it is.

use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug, Default)]
struct Load {
    rooms: AtomicUsize,
    participants: AtomicUsize,
}

/// How loaded each shard is, as the registry knows it.
#[derive(Debug)]
pub struct Placement {
    loads: Vec<Load>,
    /// A shard with so many participants is full for a newcomer; 0: none is.
    participants_full: usize,
}

impl Placement {
    /// For so many shards, all empty. Rooms are spread once a shard has `participants_full`; 0: never.
    #[must_use]
    pub fn new(shards: usize, participants_full: usize) -> Self {
        Self {
            loads: (0..shards).map(|_| Load::default()).collect(),
            participants_full,
        }
    }

    /// Where a newcomer goes to a room that is on the shards `there`: to the one of them with the
    /// fewest participants, or, where that is full, to one that is not.
    #[must_use]
    pub fn seat(&self, there: &[usize]) -> usize {
        let least = there.iter().copied().min_by_key(|&it| self.load(it));
        let least = least.unwrap_or_else(|| self.choose());
        let is_full = |shard| {
            let (participants, _) = self.load(shard);
            self.participants_full > 0 && participants >= self.participants_full
        };
        let other = self.choose();
        if is_full(least) && !is_full(other) {
            other
        } else {
            least
        }
    }

    fn load(&self, shard: usize) -> (usize, usize) {
        self.loads.get(shard).map_or((usize::MAX, 0), |load| {
            let participants = load.participants.load(Ordering::Relaxed);
            (participants, load.rooms.load(Ordering::Relaxed))
        })
    }

    /// The least loaded shard.
    #[must_use]
    pub fn choose(&self) -> usize {
        let all = 0..self.loads.len();
        all.min_by_key(|&shard| self.load(shard)).unwrap_or(0)
    }

    /// Participants on all shards.
    #[must_use]
    pub fn participants(&self) -> usize {
        self.loads
            .iter()
            .map(|load| load.participants.load(Ordering::Relaxed))
            .sum()
    }

    pub(crate) fn room_made(&self, shard: usize) {
        if let Some(load) = self.loads.get(shard) {
            load.rooms.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn room_gone(&self, shard: usize) {
        if let Some(load) = self.loads.get(shard) {
            load.rooms.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn entered(&self, shard: usize) {
        if let Some(load) = self.loads.get(shard) {
            load.participants.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn left(&self, shard: usize) {
        if let Some(load) = self.loads.get(shard) {
            load.participants.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_stays_whole_until_its_shard_is_full_and_another_is_not() {
        let never = Placement::new(4, 0);
        let placement = Placement::new(4, 2);
        for _ in 0..2 {
            never.entered(1);
            assert_eq!(placement.seat(&[1]), 1);
            placement.entered(1);
        }
        assert_eq!(never.seat(&[1]), 1, "rooms are not spread");
        assert_eq!(placement.seat(&[1]), 0);
        placement.entered(0);
        assert_eq!(
            placement.seat(&[1, 0]),
            0,
            "the less loaded of those it is on"
        );
        placement.entered(0);
        assert_eq!(placement.seat(&[1, 0]), 2);
        placement.left(1);
        assert_eq!(placement.seat(&[1, 0]), 1);
        placement.entered(1);
        for shard in [2, 3] {
            placement.entered(shard);
            placement.entered(shard);
        }
        assert_eq!(placement.seat(&[1]), 1, "all are full: it stays whole");
        let alone = Placement::new(1, 1);
        alone.entered(0);
        assert_eq!(alone.seat(&[0]), 0);
    }

    #[test]
    fn newcomers_of_many_rooms_fill_64_shards_evenly() {
        let placement = Placement::new(64, 100);
        let mut rooms: Vec<Vec<usize>> = Vec::new();
        for _ in 0..200 {
            let shard = placement.choose();
            placement.room_made(shard);
            rooms.push(vec![shard]);
        }
        // Every tenth room is large.
        for round in 0..150 {
            for (place, room) in rooms.iter_mut().enumerate() {
                if round >= 20 && place % 10 != 0 {
                    continue;
                }
                let shard = placement.seat(room);
                placement.entered(shard);
                if !room.contains(&shard) {
                    placement.room_made(shard);
                    room.push(shard);
                }
            }
        }
        let loads: Vec<usize> = (0..64).map(|shard| placement.load(shard).0).collect();
        assert_eq!(loads.iter().sum::<usize>(), 200 * 20 + 20 * 130);
        assert!(loads.iter().all(|&load| load <= 110), "{loads:?}");
        let whole = rooms
            .iter()
            .enumerate()
            .filter(|(place, _)| place % 10 != 0);
        assert!(
            whole.clone().all(|(_, room)| room.len() == 1),
            "small rooms are whole"
        );
    }

    #[test]
    fn a_room_goes_to_the_shard_with_the_fewest_participants_then_rooms() {
        let placement = Placement::new(3, 0);
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
        assert_eq!(placement.participants(), 2);
        placement.left(0);
        placement.room_gone(0);
        assert_eq!(placement.participants(), 1);
        assert_eq!(placement.choose(), 0, "the fewest rooms");
    }
}

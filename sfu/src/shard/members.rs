//! The members of a room by their places: those with a transport on this shard. A place may also be
//! kept for a participant of another shard, whom the router knows as a member and nobody else does.

use slab::Slab;

use super::room::Member;

/// Members, and places kept.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// None: kept for one of another shard.
    places: Slab<Option<Member>>,
    distant: usize,
}

impl Members {
    pub(super) fn get(&self, place: usize) -> Option<&Member> {
        self.places.get(place)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut Member> {
        self.places.get_mut(place)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Member)> {
        let places = self.places.iter();
        places.filter_map(|(place, member)| Some((place, member.as_ref()?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Member)> {
        let places = self.places.iter_mut();
        places.filter_map(|(place, member)| Some((place, member.as_mut()?)))
    }

    /// How many have a transport here.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.distant
    }

    /// No place is at or above this.
    pub(super) fn capacity(&self) -> usize {
        self.places.capacity()
    }

    /// Where the next one will be.
    pub(super) fn vacant_key(&self) -> usize {
        self.places.vacant_key()
    }

    pub(super) fn insert(&mut self, member: Member) {
        self.places.insert(Some(member));
    }

    pub(super) fn try_remove(&mut self, place: usize) -> Option<Member> {
        self.get(place)?;
        self.places.try_remove(place)?
    }

    /// Keeps a place for one of another shard.
    pub(super) fn keep(&mut self) -> usize {
        self.distant += 1;
        self.places.insert(None)
    }

    /// A place is kept no more.
    pub(super) fn release(&mut self, place: usize) {
        if matches!(self.places.get(place), Some(None)) {
            self.places.remove(place);
            self.distant -= 1;
        }
    }
}

//! Tokens made void: those for a room issued before it was deleted cannot make it again, those of
//! a participant issued before it was removed do not bring it back. Bounded; forgotten once the
//! longest-lived token from before has expired.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use super::name::{ParticipantName, RoomName};
use crate::clock::UnixTime;
use crate::limits::{TOKEN_TTL_MAX, TOMBSTONES};

type Key = (RoomName, Option<ParticipantName>);

/// What is void.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    at: BTreeMap<Key, UnixTime>,
    order: VecDeque<(UnixTime, Key)>,
}

impl Tombstones {
    /// Tokens issued up to `now` for this are void.
    pub(super) fn add(
        &mut self,
        room: RoomName,
        participant: Option<ParticipantName>,
        now: UnixTime,
    ) {
        let key = (room, participant);
        self.at.insert(key.clone(), now);
        self.order.push_back((now, key));
        let old = |time: UnixTime| time.after(TOKEN_TTL_MAX) < now;
        while self.order.len() > TOMBSTONES || self.order.front().is_some_and(|(at, _)| old(*at)) {
            let Some((at, key)) = self.order.pop_front() else {
                break;
            };
            // A younger stone for the same key stays.
            if self.at.get(&key) == Some(&at) {
                self.at.remove(&key);
            }
        }
    }

    /// Whether a token issued at `issued_at` is void.
    pub(super) fn covers(
        &self,
        room: &RoomName,
        participant: Option<&ParticipantName>,
        issued_at: UnixTime,
    ) -> bool {
        let key = (room.clone(), participant.cloned());
        self.at.get(&key).is_some_and(|&at| issued_at <= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_older_tokens_of_the_same_name_are_void_and_memory_is_bounded() {
        let room = |n: usize| RoomName::new(format!("r{n}")).unwrap();
        let ada = ParticipantName::new("ada").unwrap();
        let at = UnixTime::from_millis(1_000_000);
        let mut stones = Tombstones::default();
        stones.add(room(0), Some(ada.clone()), at);
        assert!(stones.covers(&room(0), Some(&ada), at));
        assert!(!stones.covers(
            &room(0),
            Some(&ada),
            at.after(std::time::Duration::from_millis(1))
        ));
        assert!(!stones.covers(&room(0), None, at));
        assert!(!stones.covers(&room(1), Some(&ada), at));
        for n in 0..TOMBSTONES {
            stones.add(room(n), None, at);
        }
        assert_eq!(stones.order.len(), TOMBSTONES);
        assert!(!stones.covers(&room(0), Some(&ada), at));
        stones.add(room(1), None, at.after(TOKEN_TTL_MAX * 2));
        assert_eq!((stones.order.len(), stones.at.len()), (1, 1));
    }
}

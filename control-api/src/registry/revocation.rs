//! Tokens made void, and who may not come back for a while.
//!
//! Tokens for a room issued before it was deleted cannot make it again; those of a participant
//! issued before it was removed do not bring it back; a backend may void any. All of it is bounded
//! and forgotten once the longest-lived token from before has expired.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use sfu::error::LeaveReason;

use super::name::{ParticipantName, RoomName};
use super::room::Room;
use super::{JoinRequest, Registry, Seat, carried_through};
use crate::clock::UnixTime;
use crate::limits::{BANS, TOKEN_ID_BYTES, TOKEN_IDS, TOKEN_TTL_MAX, TOMBSTONES};
use crate::status::{Failure, Reason};

/// Which tokens are void from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Of which room.
    pub room: RoomName,
    /// Of which participant; none: of everybody.
    pub participant: Option<ParticipantName>,
    /// Single tokens, by `jti`; empty: all of them.
    pub ids: Vec<String>,
    /// Those issued up to then; none: up to now.
    pub issued_at_max: Option<UnixTime>,
    /// Who is inside by one of them is put out.
    pub remove: bool,
}

/// What tokens of a certain age cannot do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stone {
    /// Make this room again.
    Remake(RoomName),
    /// Enter this room.
    Room(RoomName),
    /// Enter this room as this one.
    Participant(RoomName, ParticipantName),
    /// The single token of this `jti` for this room: anything, whatever its age.
    Token(RoomName, String),
}

/// What is void.
#[derive(Debug, Default)]
pub(super) struct Voided {
    stones: BTreeMap<Stone, (UnixTime, UnixTime)>,
    order: VecDeque<(UnixTime, Stone)>,
    bans: BTreeMap<(RoomName, ParticipantName), UnixTime>,
}

impl Voided {
    /// Tokens issued up to `issued_at_max` are void.
    fn add(&mut self, stone: Stone, issued_at_max: UnixTime, now: UnixTime) {
        let known = self.stones.get(&stone).map(|(max, _)| *max);
        let max = known.unwrap_or_default().max(issued_at_max);
        self.stones.insert(stone.clone(), (max, now));
        self.order.push_back((now, stone));
        let old = |time: UnixTime| time.after(TOKEN_TTL_MAX) < now;
        while self.order.len() > TOMBSTONES || self.order.front().is_some_and(|(at, _)| old(*at)) {
            let Some((at, stone)) = self.order.pop_front() else {
                break;
            };
            // One that was renewed stays.
            if self
                .stones
                .get(&stone)
                .is_some_and(|(_, added)| *added == at)
            {
                self.stones.remove(&stone);
            }
        }
    }

    fn covers(&self, stone: &Stone, issued_at: UnixTime) -> bool {
        let max = self.stones.get(stone);
        max.is_some_and(|(max, _)| issued_at <= *max)
    }

    fn ban(&mut self, who: (RoomName, ParticipantName), until: UnixTime, now: UnixTime) {
        self.bans.insert(who, until);
        if self.bans.len() > BANS {
            self.bans.retain(|_, until| *until > now);
        }
        if self.bans.len() > BANS {
            let first = self.bans.iter().min_by_key(|(_, until)| **until);
            if let Some(who) = first.map(|(who, _)| who.clone()) {
                self.bans.remove(&who);
            }
        }
    }

    /// Whether whoever asks may come in at all.
    fn refuse(&self, request: &JoinRequest, now: UnixTime) -> Result<(), Failure> {
        let room = &request.room;
        if let Some(name) = &request.participant {
            let until = self.bans.get(&(room.clone(), name.clone()));
            if until.is_some_and(|until| now < *until) {
                return Err(Failure::of(Reason::ParticipantBanned));
            }
        }
        let single = request.token_id.clone();
        let single = single.map(|id| Stone::Token(room.clone(), id));
        let named = request.participant.clone();
        let named = named.map(|name| Stone::Participant(room.clone(), name));
        let Some(issued_at) = request.issued_at else {
            return Ok(());
        };
        let mut stones = [Some(Stone::Room(room.clone())), named, single].into_iter();
        let void = |stone: Option<Stone>| stone.is_some_and(|it| self.covers(&it, issued_at));
        match stones.any(void) {
            true => Err(Failure::of(Reason::TokenRevoked)),
            false => Ok(()),
        }
    }
}

impl Registry {
    /// Tokens are void from now on; how many were put out.
    ///
    /// # Errors
    /// `FIELD_INVALID`.
    pub async fn revoke_tokens(&self, revocation: Revocation) -> Result<usize, Failure> {
        if revocation.ids.len() > TOKEN_IDS {
            let why = format!("at most {TOKEN_IDS}");
            return Err(Failure::field("token_ids", why));
        }
        let bad = |id: &String| id.is_empty() || id.len() > TOKEN_ID_BYTES;
        if let Some(index) = revocation.ids.iter().position(bad) {
            let why = format!("1 to {TOKEN_ID_BYTES} bytes");
            return Err(Failure::field(format!("token_ids[{index}]"), why));
        }
        let this = self.clone();
        carried_through(async move {
            let now = UnixTime::now();
            let max = revocation.issued_at_max.unwrap_or(now);
            this.void(&revocation, max, now).await;
            if !revocation.remove {
                return Ok(0);
            }
            let (room, _turn) = match this.enter(&revocation.room).await {
                Err(failure) if failure.reason == Reason::RoomNotFound => return Ok(0),
                entered => entered?,
            };
            let bearers = bearers(&*this.room(room)?, &revocation, max);
            for seat in &bearers {
                this.put_out(*seat, LeaveReason::TokenRevoked, None);
            }
            Ok(bearers.len())
        })
        .await
    }

    async fn void(&self, revocation: &Revocation, max: UnixTime, now: UnixTime) {
        let room = &revocation.room;
        let mut voided = self.0.voided.lock().await;
        for id in &revocation.ids {
            let stone = Stone::Token(room.clone(), id.clone());
            voided.add(stone, UnixTime::from_millis(u64::MAX), now);
        }
        if revocation.ids.is_empty() {
            let stone = match revocation.participant.clone() {
                Some(name) => Stone::Participant(room.clone(), name),
                None => Stone::Room(room.clone()),
            };
            voided.add(stone, max, now);
        }
    }

    /// Tokens issued up to now are void for this.
    pub(super) async fn make_void(&self, stone: Stone) {
        let now = UnixTime::now();
        self.0.voided.lock().await.add(stone, now, now);
    }

    /// It may not come back for so long.
    pub(super) async fn ban(&self, room: RoomName, name: ParticipantName, time: Duration) {
        let now = UnixTime::now();
        let mut voided = self.0.voided.lock().await;
        voided.ban((room, name), now.after(time), now);
    }

    /// Whether a token of that age cannot make the room again.
    pub(super) async fn is_past(&self, room: &RoomName, issued_at: Option<UnixTime>) -> bool {
        let Some(issued_at) = issued_at else {
            return false;
        };
        let voided = self.0.voided.lock().await;
        voided.covers(&Stone::Remake(room.clone()), issued_at)
    }

    pub(super) async fn refuse_void(&self, request: &JoinRequest) -> Result<(), Failure> {
        let voided = self.0.voided.lock().await;
        voided.refuse(request, UnixTime::now())
    }
}

/// Who is inside, or waits, by a token that is void now.
fn bearers(room: &Room, revocation: &Revocation, max: UnixTime) -> Vec<Seat> {
    let all = room.members().chain(room.waiting());
    let named = all.filter(|member| {
        let name = revocation.participant.as_ref();
        name.is_none_or(|name| *name == member.name)
    });
    let by_one = named.filter(|member| {
        let id = member.token_id.as_ref();
        match revocation.ids.is_empty() {
            true => member.issued_at.is_some_and(|issued_at| issued_at <= max),
            false => id.is_some_and(|id| revocation.ids.contains(id)),
        }
    });
    by_one
        .map(|member| Seat {
            room: room.id,
            participant: member.id,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Door, MissingRoom, ParticipantSpec};
    use super::*;

    fn room(n: usize) -> RoomName {
        RoomName::new(format!("r{n}")).unwrap()
    }

    fn ada() -> ParticipantName {
        ParticipantName::new("ada").unwrap()
    }

    const AT: UnixTime = UnixTime::from_millis(1_000_000);

    #[test]
    fn only_older_tokens_of_the_same_name_are_void_and_memory_is_bounded() {
        let stone = |n| Stone::Participant(room(n), ada());
        let mut voided = Voided::default();
        voided.add(stone(0), AT, AT);
        assert!(voided.covers(&stone(0), AT));
        assert!(!voided.covers(&stone(0), AT.after(Duration::from_millis(1))));
        assert!(!voided.covers(&Stone::Room(room(0)), AT));
        assert!(!voided.covers(&stone(1), AT));
        // An earlier bound does not bring back what a later one took.
        voided.add(stone(0), UnixTime::from_millis(1), AT);
        assert!(voided.covers(&stone(0), AT));
        for n in 0..TOMBSTONES {
            voided.add(Stone::Remake(room(n)), AT, AT);
        }
        assert_eq!(voided.order.len(), TOMBSTONES);
        assert!(!voided.covers(&stone(0), AT));
        let later = AT.after(TOKEN_TTL_MAX * 2);
        voided.add(Stone::Remake(room(1)), later, later);
        assert_eq!((voided.order.len(), voided.stones.len()), (1, 1));
    }

    #[test]
    fn whoever_is_void_or_banned_is_refused_with_its_reason() {
        let mut voided = Voided::default();
        voided.add(Stone::Room(room(1)), AT, AT);
        voided.add(Stone::Participant(room(2), ada()), AT, AT);
        voided.add(
            Stone::Token(room(3), "j".into()),
            UnixTime::from_millis(u64::MAX),
            AT,
        );
        voided.add(Stone::Remake(room(4)), AT, AT);
        voided.ban((room(5), ada()), AT.after(Duration::from_secs(9)), AT);
        let (old, new) = (Some(AT), Some(AT.after(Duration::from_millis(1))));
        for (n, named, token_id, issued_at, expected) in [
            (0, true, "j", old, None),
            (1, true, "j", old, Some(Reason::TokenRevoked)),
            (1, false, "j", old, Some(Reason::TokenRevoked)),
            (1, true, "j", new, None),
            (1, true, "j", None, None),
            (2, true, "j", old, Some(Reason::TokenRevoked)),
            (2, true, "j", new, None),
            (2, false, "j", old, None),
            (3, true, "j", new, Some(Reason::TokenRevoked)),
            (3, true, "k", new, None),
            // It cannot make the room again, and may enter one that is there.
            (4, true, "j", old, None),
            (5, true, "j", new, Some(Reason::ParticipantBanned)),
            (5, true, "j", None, Some(Reason::ParticipantBanned)),
            (5, false, "j", new, None),
        ] {
            let request = JoinRequest {
                room: room(n),
                participant: named.then(ada),
                spec: ParticipantSpec::default(),
                door: Door::WebSocket,
                missing_room: MissingRoom::Refuse,
                issued_at,
                token_id: Some(token_id.to_owned()),
                resume_token: None,
            };
            let refused = voided.refuse(&request, AT).err().map(|it| it.reason);
            assert_eq!(refused, expected, "{n} {named} {token_id} {issued_at:?}");
        }
        let over = AT.after(Duration::from_secs(9));
        voided.ban((room(6), ada()), over, AT);
        assert!(voided.bans.values().all(|until| *until <= over));
    }

    #[test]
    fn bans_are_bounded_and_the_one_that_ends_first_leaves() {
        let mut voided = Voided::default();
        for n in 0..=BANS {
            let until = AT.after(Duration::from_secs(1 + n as u64));
            voided.ban((room(n), ada()), until, AT);
        }
        assert_eq!(voided.bans.len(), BANS);
        assert!(!voided.bans.contains_key(&(room(0), ada())));
    }
}

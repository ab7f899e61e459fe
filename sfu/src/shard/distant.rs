//! Participants whose transports are on other shards, in a room that is spread over several. Here
//! they are publishers and nothing else: a place among the members of the router, a name, and tracks
//! that came in through the pipe to their shard. They are there as long as they publish; who else is
//! in the meeting, the world knows and no shard needs to.
//!
//! Each shard tells every other of its own participants' tracks, so a packet is carried once to each
//! shard that wants it, never on from there.

use super::Shard;
use super::command::Reply;
use super::room::{Published, Room};
use crate::error::{CommandError, DropReason};
use crate::id::{MemberKey, Mid, ParticipantId, PortId, RoomId, RoomKey, TrackId};
use crate::limits;
use crate::time::Instant;
use crate::wire::port::{self, PortMessage, PortTrack};

/// A participant of another shard that publishes.
#[derive(Debug)]
pub(super) struct Distant {
    pub(super) id: ParticipantId,
    pub(super) name: String,
    pub(super) key: MemberKey,
    /// The pipe it is at the other end of.
    pub(super) port: PortId,
    pub(super) published: Vec<Published>,
}

/// A pipe of one of this shard's rooms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pipe {
    port: PortId,
    room: RoomKey,
    /// Where it leads.
    shard: u16,
}

impl Pipe {
    pub(super) fn is_of(&self, room: RoomKey) -> bool {
        self.room == room
    }
}

impl Shard {
    /// Joins a room to the same room on another shard. The same again: done.
    pub(super) fn open_pipe(
        &mut self,
        room: RoomId,
        port: PortId,
        shard: u16,
    ) -> Result<Reply, CommandError> {
        let key = self.room_key(room)?;
        if self.ports.get(&port).is_some_and(|known| *known != key) {
            return Err(CommandError::AlreadyExists { what: "port" });
        }
        let found = self.rooms.get_mut(key.index());
        found.ok_or(CommandError::Closed)?.router.open_pipe(port)?;
        self.ports.insert(port, key);
        if !self.pipes.iter().any(|pipe| pipe.port == port) {
            let room = key;
            self.pipes.push(Pipe { port, room, shard });
        }
        Ok(Reply::Done)
    }

    /// What a pipe leads to is gone.
    pub(super) fn forget_pipe(&mut self, now: Instant, room: RoomKey, port: PortId) {
        self.pipes.retain(|pipe| pipe.port != port);
        self.lose_distant(now, room, port);
    }

    /// Whether any room of this shard is on others too.
    #[must_use]
    pub fn is_spread(&self) -> bool {
        !self.pipes.is_empty()
    }

    /// All that waits of one room for another shard, in place of what `parcel` holds: for which shard,
    /// and through which port it goes in there.
    pub fn poll_pipe(&mut self, parcel: &mut Vec<u8>) -> Option<(u16, PortId)> {
        for pipe in &self.pipes {
            self.current = Some(pipe.room);
            if let Some(room) = self.rooms.get_mut(pipe.room.index())
                && room.router.poll_pipe(pipe.port, parcel)
            {
                return Some((pipe.shard, pipe.port));
            }
        }
        None
    }

    /// What another shard said through a pipe: as [`Shard::poll_pipe`] gave it there. What comes for a
    /// room that is gone leads nowhere.
    pub fn handle_parcel(&mut self, now: Instant, port: PortId, mut parcel: &[u8]) {
        self.current = None;
        let Some(key) = self.ports.get(&port).copied() else {
            return;
        };
        self.current = Some(key);
        while let Some(bytes) = port::split(&mut parcel) {
            let taken = PortMessage::decode(bytes)
                .and_then(|message| self.take_message(now, (key, port), &message));
            self.commons.stats.pipe_refused += u64::from(taken.is_err());
        }
        self.settle_room(now, key);
        let Some(room) = self.rooms.get_mut(key.index()) else {
            return;
        };
        room.take_beginnings(now);
        if room.take_track_change() {
            self.place_tracks_in(now, key);
        }
    }

    fn take_message(
        &mut self,
        now: Instant,
        (key, port): (RoomKey, PortId),
        message: &PortMessage<'_>,
    ) -> Result<(), DropReason> {
        match message {
            PortMessage::Opened => {
                self.lose_distant(now, key, port);
                Ok(())
            }
            PortMessage::TrackChanged(told) => self.distant_changed(now, (key, port), told),
            PortMessage::TrackUnpublished { track } => {
                self.distant_unpublished(now, (key, port), *track)
            }
            PortMessage::Media(_)
            | PortMessage::EncodingStarted { .. }
            | PortMessage::EncodingEnded { .. }
            | PortMessage::Clock { .. }
            | PortMessage::Level { .. }
            | PortMessage::Muted { .. }
            | PortMessage::Gap { .. }
            | PortMessage::KeyframeWanted { .. }
            | PortMessage::EncodingsWanted { .. }
            | PortMessage::BitrateMax { .. } => {
                let room = self.rooms.get_mut(key.index());
                let room = room.ok_or(DropReason::UnknownTrack)?;
                room.router
                    .handle_port(now, port, message, &mut self.commons.pages)
            }
        }
    }

    /// A track of another shard is there, or something about it changed.
    fn distant_changed(
        &mut self,
        now: Instant,
        (key, port): (RoomKey, PortId),
        told: &PortTrack<'_>,
    ) -> Result<(), DropReason> {
        let room = self.rooms.get_mut(key.index());
        let room = room.ok_or(DropReason::UnknownTrack)?;
        if let Some((member, track)) = room.track(told.track) {
            if !room.is_distant(member, port) {
                return Err(DropReason::UnknownTrack);
            }
            room.router
                .update_distant(now, track, told, &mut self.commons.pages);
            room.track_turned(told.track);
            self.settle_news(key);
            return Ok(());
        }
        room.publish_distant(now, port, told)?;
        self.place_tracks_in(now, key);
        Ok(())
    }

    fn distant_unpublished(
        &mut self,
        now: Instant,
        (key, port): (RoomKey, PortId),
        track: TrackId,
    ) -> Result<(), DropReason> {
        let room = self.rooms.get_mut(key.index());
        let room = room.ok_or(DropReason::UnknownTrack)?;
        let (member, track_key) = room.track(track).ok_or(DropReason::UnknownTrack)?;
        if !room.is_distant(member, port) {
            return Err(DropReason::UnknownTrack);
        }
        room.router
            .unpublish(now, track_key, &mut self.commons.pages);
        for distant in &mut room.distant {
            distant.published.retain(|one| one.id != track);
        }
        room.forget_silent(now, &mut self.commons.pages);
        self.lose_tracks(now, key, &[track]);
        Ok(())
    }

    /// Everybody at the other end of a pipe is gone.
    fn lose_distant(&mut self, now: Instant, key: RoomKey, port: PortId) {
        let Some(room) = self.rooms.get_mut(key.index()) else {
            return;
        };
        let mut lost = Vec::new();
        for distant in room.distant.iter_mut().filter(|one| one.port == port) {
            for one in distant.published.drain(..) {
                room.router.unpublish(now, one.key, &mut self.commons.pages);
                lost.push(one.id);
            }
        }
        room.forget_silent(now, &mut self.commons.pages);
        if !lost.is_empty() {
            self.lose_tracks(now, key, &lost);
        }
    }
}

impl Room {
    fn is_distant(&self, member: MemberKey, port: PortId) -> bool {
        let mut distant = self.distant.iter();
        distant.any(|one| one.key == member && one.port == port)
    }

    fn publish_distant(
        &mut self,
        now: Instant,
        port: PortId,
        told: &PortTrack<'_>,
    ) -> Result<(), DropReason> {
        let known = self
            .distant
            .iter()
            .position(|one| one.id == told.participant && one.port == port);
        let place = match known {
            Some(place) => place,
            None => self.add_distant(port, told)?,
        };
        let distant = self
            .distant
            .get_mut(place)
            .ok_or(DropReason::UnknownTrack)?;
        let key = self.router.publish_distant(now, distant.key, told);
        let (key, mid) = key
            .ok()
            .zip(Mid::new("distant"))
            .ok_or(DropReason::LimitReached)?;
        distant.published.push(Published {
            id: told.track,
            key,
            mid,
            news: false,
        });
        Ok(())
    }

    fn add_distant(&mut self, port: PortId, told: &PortTrack<'_>) -> Result<usize, DropReason> {
        if self.distant.len() >= limits::DISTANT_PER_ROOM {
            return Err(DropReason::LimitReached);
        }
        let key = MemberKey::from_index(self.members.keep());
        self.router.add_distant_member(key, told.name, port);
        self.distant.push(Distant {
            id: told.participant,
            name: told.name.to_owned(),
            key,
            port,
            published: Vec::new(),
        });
        Ok(self.distant.len() - 1)
    }

    /// Those of other shards who publish nothing any more are not known any more.
    fn forget_silent(&mut self, now: Instant, pages: &mut crate::router::PagePool) {
        let Self {
            distant,
            router,
            members,
            ..
        } = self;
        distant.retain(|one| {
            let stays = !one.published.is_empty();
            if !stays {
                router.remove_member(now, one.key, pages);
                members.release(one.key.index());
            }
            stays
        });
    }

    /// Whoever is shown a track is told that it is muted, or speaks again.
    pub(super) fn track_turned(&mut self, track: TrackId) {
        for (_, member) in self.members.iter_mut() {
            let shows = member.sections.iter().any(|one| one.track == Some(track));
            member.dirty.subscriptions |= shows;
            member.adaptation.press();
        }
    }

    /// Everything published by those of other shards.
    pub(super) fn distant_tracks(&self) -> impl Iterator<Item = (MemberKey, &Published)> {
        let distant = self.distant.iter();
        distant.flat_map(|one| one.published.iter().map(move |track| (one.key, track)))
    }

    /// Who sits where, on this shard or as one of another.
    pub(super) fn participant(&self, key: MemberKey) -> Option<(ParticipantId, &str)> {
        if let Some(member) = self.members.get(key.index()) {
            return Some((member.id, &member.name));
        }
        let mut distant = self.distant.iter();
        let found = distant.find(|one| one.key == key)?;
        Some((found.id, &found.name))
    }
}

//! Rooms and participants: made, changed, removed. Every command ends here or in `description`.

use rand_chacha::rand_core::Rng;

use super::adaptation::Adaptation;
use super::command::{
    Command, Inspection, ParticipantParameters, Permissions, Reply, RoomParameters, Wish,
};
use super::data::Channels;
use super::event::Event;
use super::negotiation::Negotiation;
use super::places::Place;
use super::quality::Judgement;
use super::room::{Dirty, Member, Room};
use super::{Due, Shard};
use crate::error::{CommandError, LeaveReason, Missing};
use crate::id::{MemberKey, ParticipantId, RoomId, RoomKey, TrackId};
use crate::limits;
use crate::router::Track;
use crate::time::{Duration, Instant};
use crate::transport::Transport;

impl Shard {
    /// Carries out a command.
    ///
    /// # Errors
    /// Why not; nothing has changed then.
    pub fn handle_command(
        &mut self,
        now: Instant,
        command: Command,
    ) -> Result<Reply, CommandError> {
        self.current = None;
        match command {
            Command::CreateRoom { room, parameters } => self.create_room(now, room, parameters),
            Command::UpdateRoom { room, parameters } => self.update_room(now, room, parameters),
            Command::DeleteRoom { room, reason } => self.delete_room(now, room, reason),
            Command::Join {
                room,
                participant,
                parameters,
            } => self.join(now, room, participant, parameters),
            Command::UpdateParticipant {
                room,
                participant,
                permissions,
            } => self.update_participant(now, (room, participant), permissions),
            Command::Negotiate {
                room,
                participant,
                description,
            } => self.negotiate(now, (room, participant), &description),
            Command::RestartIce { room, participant } => self.restart_ice(now, room, participant),
            Command::RestartRemoteIce {
                room,
                participant,
                ufrag,
                pwd,
            } => self.restart_remote_ice(now, (room, participant), ufrag, pwd),
            Command::MoveParticipant {
                room,
                participant,
                destination,
            } => self.move_participant(now, (room, participant), destination),
            Command::Leave {
                room,
                participant,
                reason,
            } => self.leave(now, room, participant, reason),
            Command::SetSilenceMax {
                room,
                participant,
                silence_max,
            } => self.set_silence_max(now, (room, participant), silence_max),
            Command::HoldByRemb { room, participant } => self.hold_by_remb(room, participant),
            Command::SetTrackMuted { room, track, muted } => {
                self.set_track_muted(now, room, track, muted)
            }
            Command::SetTrackContent {
                room,
                track,
                screen,
            } => self.set_track_content(now, (room, track), screen),
            Command::UnpublishTrack { room, track } => self.unpublish_track(now, room, track),
            Command::UpdateSubscriptions {
                room,
                participant,
                subscribe_all,
                audio_slots,
                wishes,
            } => {
                let all = (subscribe_all, audio_slots);
                self.update_subscriptions(now, (room, participant), all, &wishes)
            }
            Command::RequestKeyframe { room, track } => self.request_keyframe(now, room, track),
            Command::OpenPort { room, port } => self.open_port(room, port),
            Command::ClosePort { port } => self.close_port(now, port),
            Command::OpenPipe { room, port, shard } => self.open_pipe(room, port, shard),
            Command::Inspect => Ok(self.inspect()),
        }
    }

    fn inspect(&self) -> Reply {
        Reply::Inspected(Box::new(Inspection {
            stats: self.commons.stats.clone(),
            sizes: self.sizes(),
        }))
    }

    fn create_room(
        &mut self,
        _now: Instant,
        id: RoomId,
        parameters: RoomParameters,
    ) -> Result<Reply, CommandError> {
        if let Ok(key) = self.room_key(id) {
            let same =
                self.rooms.get(key.index()).map(|room| &room.parameters) == Some(&parameters);
            return if same {
                Ok(Reply::Done)
            } else {
                Err(CommandError::AlreadyExists { what: "room" })
            };
        }
        self.commons.can_part()?;
        if self.rooms.len() >= limits::ROOMS {
            return Err(limit("ROOMS", limits::ROOMS));
        }
        let entry = self.rooms.vacant_entry();
        let key = RoomKey::from_index(entry.key());
        let timer = self.commons.wheel.register(Due::Room(key));
        entry.insert(Room::new(id, parameters, timer, self.commons.config.clock));
        self.room_keys.insert(id, key);
        Ok(Reply::Done)
    }

    fn update_room(
        &mut self,
        now: Instant,
        id: RoomId,
        parameters: RoomParameters,
    ) -> Result<Reply, CommandError> {
        let key = self.room_key(id)?;
        if let Some(room) = self.rooms.get_mut(key.index()) {
            let slots = |it: &RoomParameters| (it.audio_slots, it.audio_slots_above);
            let turns = slots(&room.parameters) != slots(&parameters);
            room.parameters = parameters;
            if turns {
                self.place_tracks_in(now, key);
            }
        }
        Ok(Reply::Done)
    }

    fn delete_room(
        &mut self,
        now: Instant,
        id: RoomId,
        reason: LeaveReason,
    ) -> Result<Reply, CommandError> {
        if let Ok(key) = self.room_key(id) {
            self.current = Some(key);
            self.close_room(now, key, reason);
        }
        Ok(Reply::Done)
    }

    pub(super) fn close_room(&mut self, now: Instant, key: RoomKey, reason: LeaveReason) {
        let Some(room) = self.rooms.get(key.index()) else {
            return;
        };
        let id = room.id;
        let members: Vec<_> = room.members.iter().map(|(index, _)| index).collect();
        for index in members {
            // Those who are next need no news of those who went before.
            self.remove_member(now, Place::new(key, MemberKey::from_index(index)), reason);
        }
        if let Some(mut room) = self.rooms.try_remove(key.index()) {
            room.router.close(&mut self.commons.pages);
            self.commons.wheel.unregister(room.timer);
        }
        self.room_keys.remove(&id);
        self.forget_ports(key);
        self.departing.retain(|one| *one != key);
        self.with_news.retain(|one| *one != key);
        self.commons
            .parting
            .push_back(Event::RoomDeleted { room: id, reason });
    }

    fn join(
        &mut self,
        now: Instant,
        id: RoomId,
        participant: ParticipantId,
        parameters: ParticipantParameters,
    ) -> Result<Reply, CommandError> {
        self.commons.can_part()?;
        let key = self.room_key(id)?;
        self.current = Some(key);
        let room = self.rooms.get_mut(key.index());
        let room = room.ok_or(CommandError::NotFound(Missing::Room(id)))?;
        if let Some(known) = room.member(participant) {
            let known = room.members.get(known.index());
            return if known.is_some_and(|member| member.name == parameters.name) {
                Ok(Reply::Done)
            } else {
                Err(CommandError::AlreadyExists {
                    what: "participant",
                })
            };
        }
        let most = room.parameters.participants_max;
        let most = most.min(limits::PARTICIPANTS_PER_ROOM);
        if room.members.len() >= most {
            return Err(limit("participants_max", most));
        }
        let index = room.members.vacant_key();
        let place = Place::new(key, MemberKey::from_index(index));
        let transport_key = self.commons.places.add(place);
        let transport_key = transport_key.ok_or_else(|| limit("TRANSPORTS", limits::TRANSPORTS))?;
        let member = self
            .commons
            .new_member(now, place, transport_key, participant, parameters);
        room.router.add_member(place.member, &member.name);
        room.router.set_participant(place.member, participant);
        // Until its transport is connected nothing piles up for it.
        room.router.set_receiving(now, place.member, false);
        room.members.insert(member);
        self.commons.stats.joins += 1;
        self.place_tracks_of(now, place);
        self.settle_member(now, place);
        Ok(Reply::Done)
    }

    fn update_participant(
        &mut self,
        now: Instant,
        (room, participant): (RoomId, ParticipantId),
        permissions: Permissions,
    ) -> Result<Reply, CommandError> {
        let place = self.place(room, participant)?;
        self.current = Some(place.room);
        let Some(member) = self.member_mut(place) else {
            return Ok(Reply::Done);
        };
        member.permissions = permissions;
        let (audio, video) = (permissions.publish_audio, permissions.publish_video);
        member.negotiation.request_grants(audio, video);
        self.enforce_publishing(now, place);
        if !permissions.subscribe {
            self.halt_sections(now, place);
        }
        if !permissions.send_data
            && let Some(room) = self.rooms.get_mut(place.room.index())
        {
            room.drop_early(participant);
        }
        self.place_tracks_of(now, place);
        self.settle_member(now, place);
        Ok(Reply::Done)
    }

    /// Nothing more leaves towards a participant, not even what waits for it already.
    fn halt_sections(&mut self, now: Instant, place: Place) {
        let Some(room) = self.rooms.get_mut(place.room.index()) else {
            return;
        };
        let Some(member) = room.members.get_mut(place.member.index()) else {
            return;
        };
        for section in &mut member.sections {
            room.router.halt_section(now, section.key);
            member.dirty.subscriptions |= section.track.take().is_some();
        }
    }

    /// What a participant may no longer publish ends at ingress at once, without SDP.
    pub(super) fn enforce_publishing(&mut self, now: Instant, place: Place) {
        let Some(room) = self.rooms.get_mut(place.room.index()) else {
            return;
        };
        let Some(member) = room.members.get_mut(place.member.index()) else {
            return;
        };
        for (count, track) in member.published.iter_mut().enumerate() {
            let kind = room.router.track(track.key).map(Track::kind);
            let may = kind.is_some_and(|kind| member.permissions.publishes(kind))
                && count < member.permissions.tracks_max;
            room.router
                .set_forbidden(now, track.key, !may, &mut self.commons.pages);
            track.news = true;
        }
    }

    fn leave(
        &mut self,
        now: Instant,
        room: RoomId,
        participant: ParticipantId,
        reason: LeaveReason,
    ) -> Result<Reply, CommandError> {
        if let Ok(place) = self.place(room, participant) {
            self.current = Some(place.room);
            self.close_member(now, place, reason);
        }
        Ok(Reply::Done)
    }

    /// Everything a participant owned is freed; the others lose its tracks.
    pub(super) fn close_member(&mut self, now: Instant, place: Place, reason: LeaveReason) {
        if let Some(gone) = self.remove_member(now, place, reason) {
            self.lose_tracks(now, place.room, &gone);
        }
    }

    /// Frees everything a participant owned; the tracks that the others have yet to lose.
    fn remove_member(
        &mut self,
        now: Instant,
        place: Place,
        reason: LeaveReason,
    ) -> Option<Vec<TrackId>> {
        let room = self.rooms.get_mut(place.room.index())?;
        let mut member = room.members.try_remove(place.member.index())?;
        self.commons.say_goodbye(now, &mut member.transport);
        room.router
            .remove_member(now, place.member, &mut self.commons.pages);
        room.visits.retain(|one| *one != place.member);
        self.commons.wheel.unregister(member.timer);
        self.commons
            .places
            .remove(member.transport_key, place, member.transport.paths());
        self.handshakes.forget(place);
        room.close_relayed(now, member.id, None);
        self.commons.parting.push_back(Event::ParticipantLeft {
            room: room.id,
            participant: member.id,
            reason,
        });
        Some(member.published.iter().map(|track| track.id).collect())
    }

    fn hold_by_remb(
        &mut self,
        room: RoomId,
        participant: ParticipantId,
    ) -> Result<Reply, CommandError> {
        let place = self.place(room, participant)?;
        self.current = Some(place.room);
        if let Some(room) = self.rooms.get_mut(place.room.index()) {
            room.router.hold_by_remb(place.member);
            if let Some(member) = room.members.get_mut(place.member.index()) {
                member.is_held_by_remb = true;
            }
        }
        Ok(Reply::Done)
    }

    fn set_silence_max(
        &mut self,
        now: Instant,
        (room, participant): (RoomId, ParticipantId),
        silence_max: Duration,
    ) -> Result<Reply, CommandError> {
        let place = self.place(room, participant)?;
        self.current = Some(place.room);
        if let Some(member) = self.member_mut(place) {
            let silence_max = silence_max.min(limits::CONSENT_TIMEOUT);
            let is_watched = silence_max < limits::CONSENT_TIMEOUT;
            let was_watched = member.silence_max < limits::CONSENT_TIMEOUT;
            if is_watched != was_watched {
                // Who was not asked for longer than that is asked first.
                member.silence_from = if is_watched { now } else { Instant::ZERO };
                member.transport.watch(now, is_watched);
            }
            member.silence_max = silence_max;
        }
        self.settle_member(now, place);
        Ok(Reply::Done)
    }

    fn set_track_muted(
        &mut self,
        now: Instant,
        room: RoomId,
        track: TrackId,
        muted: bool,
    ) -> Result<Reply, CommandError> {
        let key = self.room_key(room)?;
        self.current = Some(key);
        let missing = CommandError::NotFound(Missing::Track(track));
        let room = self.rooms.get_mut(key.index());
        let room = room.ok_or_else(|| missing.clone())?;
        let (member, track_key) = room.track(track).ok_or(missing)?;
        room.router
            .set_muted(now, track_key, muted, &mut self.commons.pages);
        if let Some(member) = room.members.get_mut(member.index()) {
            for published in member.published.iter_mut().filter(|one| one.id == track) {
                published.news = true;
            }
        }
        for (_, member) in room.members.iter_mut() {
            let shows = member.sections.iter().any(|one| one.track == Some(track));
            member.dirty.subscriptions |= shows;
        }
        self.settle_room(now, key);
        Ok(Reply::Done)
    }

    fn set_track_content(
        &mut self,
        now: Instant,
        (room, track): (RoomId, TrackId),
        screen: bool,
    ) -> Result<Reply, CommandError> {
        let key = self.room_key(room)?;
        self.current = Some(key);
        let missing = CommandError::NotFound(Missing::Track(track));
        let room = self.rooms.get_mut(key.index());
        let room = room.ok_or_else(|| missing.clone())?;
        let (member, track_key) = room.track(track).ok_or(missing)?;
        room.router.set_screen(track_key, screen);
        if let Some(member) = room.members.get_mut(member.index()) {
            for published in member.published.iter_mut().filter(|one| one.id == track) {
                published.news = true;
            }
        }
        for (_, member) in room.members.iter_mut() {
            member.adaptation.press();
        }
        self.settle_room(now, key);
        Ok(Reply::Done)
    }

    fn update_subscriptions(
        &mut self,
        now: Instant,
        (room, participant): (RoomId, ParticipantId),
        (subscribe_all, audio_slots): (Option<bool>, Option<usize>),
        wishes: &[Wish],
    ) -> Result<Reply, CommandError> {
        let place = self.place(room, participant)?;
        self.current = Some(place.room);
        let room = self.rooms.get(place.room.index());
        for wish in wishes {
            let missing = CommandError::NotFound(Missing::Track(wish.track));
            // What another shard has told the world may not have been told here yet.
            let is_there =
                |room: &&Room| room.router.is_spread() || room.track(wish.track).is_some();
            room.filter(is_there).ok_or(missing)?;
        }
        let Some(member) = self.member_mut(place) else {
            return Ok(Reply::Done);
        };
        let new = wishes
            .iter()
            .filter(|wish| !member.wishes.iter().any(|w| w.track == wish.track));
        if member.wishes.len() + new.count() > limits::SUBSCRIPTIONS_PER_PARTICIPANT {
            let most = limits::SUBSCRIPTIONS_PER_PARTICIPANT;
            return Err(limit("SUBSCRIPTIONS_PER_PARTICIPANT", most));
        }
        member.subscribe_all = subscribe_all.unwrap_or(member.subscribe_all);
        member.audio_slots = audio_slots.or(member.audio_slots);
        for wish in wishes {
            member.set_wish(*wish);
        }
        member.adaptation.press();
        // What became of a wish is told even where no section changes hands: paused, for one.
        member.dirty.subscriptions = true;
        self.place_tracks_of(now, place);
        self.settle_member(now, place);
        Ok(Reply::Done)
    }

    fn request_keyframe(
        &mut self,
        now: Instant,
        room: RoomId,
        track: TrackId,
    ) -> Result<Reply, CommandError> {
        let key = self.room_key(room)?;
        self.current = Some(key);
        let missing = CommandError::NotFound(Missing::Track(track));
        let room = self.rooms.get_mut(key.index());
        let room = room.ok_or_else(|| missing.clone())?;
        let (member, track) = room.track(track).ok_or(missing)?;
        room.router.request_keyframe(now, track);
        room.visit(member);
        self.settle_room(now, key);
        Ok(Reply::Done)
    }
}

impl super::Commons {
    fn new_member(
        &mut self,
        now: Instant,
        place: Place,
        transport_key: u32,
        id: ParticipantId,
        parameters: ParticipantParameters,
    ) -> Member {
        let transport = Transport::new(
            &self.transports,
            transport_key,
            self.config.index,
            now,
            &mut self.random,
        );
        // RFC 9429 §5.2.1: 62 random bits.
        let mut negotiation = Negotiation::new(self.random.next_u64() >> 2);
        negotiation.expect_offer(now + limits::FIRST_OFFER_PATIENCE);
        Member {
            id,
            name: parameters.name,
            permissions: parameters.permissions,
            subscribe_all: parameters.subscribe_all,
            offers: parameters.offers,
            is_held_by_remb: false,
            wishes: Vec::new(),
            audio_slots: None,
            slot_sizes: 0,
            slots_changed: false,
            transport,
            transport_key,
            negotiation,
            timer: self.wheel.register(Due::Member(place)),
            published: smallvec::SmallVec::new(),
            sections: Vec::new(),
            resting: Vec::new(),
            unplaced: Vec::new(),
            channels: Channels::default(),
            adaptation: Adaptation::default(),
            offer: None,
            dirty: Dirty::default(),
            visiting: false,
            silence_max: limits::CONSENT_TIMEOUT,
            silence_from: Instant::ZERO,
            silent: false,
            judgement: Judgement::default(),
            rtcp_ssrc: Self::draw_ssrc(&mut self.random, &[]),
            heard_ssrc: 0,
        }
    }
}

pub(super) fn limit(limit: &'static str, value: usize) -> CommandError {
    CommandError::LimitReached {
        limit,
        value: value as u64,
    }
}

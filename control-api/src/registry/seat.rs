//! What one who is inside may do. A [`Seat`] is one join: after a replacement or a removal it is
//! void, and every operation says `PARTICIPANT_NOT_FOUND`.

use std::sync::Arc;
use std::time::Duration;

use sfu::error::LeaveReason;
use sfu::id::{Mid, ParticipantId, RoomId};
use sfu::sdp::Description;
use sfu::sdp::description::IceCredentials;
use sfu::shard::command::{Command, Negotiated, Reply};

use super::name::{ParticipantName, RoomName};
use super::news::DataMessage;
use super::room::{MuteOrder, Room};
use super::spec::{TrackSource, not_permitted};
use super::{Joined, Registry, drawn_id};
use crate::clock::{Ulid, UnixTime};
use crate::limits;
use crate::status::{Failure, Reason};

/// One join of one participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat {
    /// The room.
    pub room: RoomId,
    /// The participant.
    pub participant: ParticipantId,
}

impl Registry {
    /// It leaves. Missing: done.
    pub fn leave(&self, seat: Seat, reason: LeaveReason) {
        self.put_out(seat, reason, None);
    }

    /// Its description, for the shard's negotiation.
    ///
    /// # Errors
    /// `SDP_INVALID`, `SDP_UNSUPPORTED_CODEC`, `PARTICIPANT_NOT_FOUND`, `NODE_OVERLOADED`.
    pub async fn negotiate(
        &self,
        seat: Seat,
        description: Description,
    ) -> Result<Negotiated, Failure> {
        let seat = self.locate(seat);
        let offer = {
            let room = self.room(seat.room)?;
            let news = room.member(seat.participant)?.news.as_ref();
            news.and_then(|news| news.standing().offer)
        };
        let sections = description.sections.iter();
        let lines: Vec<usize> = sections.map(|section| section.line).collect();
        let command = Command::Negotiate {
            room: seat.room,
            participant: seat.participant,
            description: Box::new(description),
        };
        let reply = self.ask(seat, command).await.map_err(|mut failure| {
            // The shard counts m-lines; who wrote the text counts its lines.
            let line = failure.section.and_then(|section| lines.get(section));
            failure.line = failure.line.or_else(|| line.copied());
            failure
        })?;
        match reply {
            Reply::Negotiated(negotiated) => {
                // Whatever they said, our offer is answered or void by it, but where it was passed
                // over because ours stands.
                if let (Some(offer), false) = (offer, matches!(negotiated, Negotiated::Ignored))
                    && let Ok(room) = self.room(seat.room)
                    && let Ok(member) = room.member(seat.participant)
                    && let Some(news) = &member.news
                {
                    news.answered(&offer);
                }
                Ok(negotiated)
            }
            Reply::Done | Reply::Inspected(_) | Reply::Restarted { .. } => {
                Err(Failure::of(Reason::ServerFailed))
            }
        }
    }

    /// A server offer with new ICE credentials follows.
    ///
    /// # Errors
    /// `PARTICIPANT_NOT_FOUND`, `NODE_OVERLOADED`.
    pub async fn restart_ice(&self, seat: Seat) -> Result<(), Failure> {
        let seat = self.locate(seat);
        let command = Command::RestartIce {
            room: seat.room,
            participant: seat.participant,
        };
        self.ask(seat, command).await.map(drop)
    }

    /// The other side has new ICE credentials, said without a description; ours, new as well.
    ///
    /// # Errors
    /// `PARTICIPANT_NOT_FOUND`, `NODE_OVERLOADED`.
    pub async fn restart_remote_ice(
        &self,
        seat: Seat,
        theirs: IceCredentials,
    ) -> Result<IceCredentials, Failure> {
        let seat = self.locate(seat);
        let command = Command::RestartRemoteIce {
            room: seat.room,
            participant: seat.participant,
            ufrag: theirs.ufrag,
            pwd: theirs.password,
        };
        match self.ask(seat, command).await? {
            Reply::Restarted { ufrag, pwd } => Ok(IceCredentials {
                ufrag,
                password: pwd,
            }),
            Reply::Done | Reply::Negotiated(_) | Reply::Inspected(_) => {
                Err(Failure::of(Reason::ServerFailed))
            }
        }
    }

    /// What its own m-lines are.
    ///
    /// # Errors
    /// `PERMISSION_MISSING`, `LIMIT_EXCEEDED`, `PARTICIPANT_NOT_FOUND`.
    pub fn describe_tracks(
        &self,
        seat: Seat,
        sources: &[(Mid, TrackSource)],
    ) -> Result<(), Failure> {
        let seat = self.locate(seat);
        let mut room = self.room_mut(seat.room)?;
        let orders = room.note_sources(seat.participant, sources)?;
        for order in orders {
            self.order_mute(&room, order);
        }
        self.tell_screens(&mut room, seat.participant);
        Ok(())
    }

    /// Mutes or unmutes an own m-line.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED`, `PARTICIPANT_NOT_FOUND`.
    pub fn mute(&self, seat: Seat, mid: Mid, muted: bool) -> Result<(), Failure> {
        let seat = self.locate(seat);
        let mut room = self.room_mut(seat.room)?;
        if let Some(order) = room.note_muted(seat.participant, mid, muted)? {
            self.order_mute(&room, order);
        }
        Ok(())
    }

    /// A message to others, and with `keep` to those who join later; says how many it goes to.
    ///
    /// # Errors
    /// `PERMISSION_MISSING`, `FIELD_INVALID`, `PARTICIPANT_NOT_FOUND`.
    pub fn send_data(
        &self,
        seat: Seat,
        topic: String,
        to: Vec<ParticipantName>,
        payload: String,
        keep: bool,
    ) -> Result<usize, Failure> {
        if payload.len() > limits::DATA_BYTES {
            return Err(Failure::field("payload", "at most 64 KiB"));
        }
        if topic.len() > limits::TOPIC_BYTES {
            return Err(Failure::field("topic", "at most 256 bytes"));
        }
        if to.len() > limits::DATA_RECIPIENTS {
            return Err(Failure::field("to", "at most 256 names"));
        }
        let seat = self.locate(seat);
        let mut room = self.room_mut(seat.room)?;
        let member = room.member(seat.participant)?;
        if !member.spec.permissions.send_data {
            return Err(not_permitted("send_data"));
        }
        if let Some(index) = to.iter().position(|name| room.id_of(name).is_none()) {
            let mut failure = Failure::of(Reason::ParticipantNotFound);
            failure.field = Some(format!("to[{index}]"));
            return Err(failure);
        }
        let data = DataMessage {
            from: Some(member.name.clone()),
            from_name: member.spec.display_name.clone(),
            topic,
            to,
            payload,
            time: UnixTime::now(),
            keep,
        };
        Ok(room.relay(Some(seat.participant), &Arc::new(data)))
    }

    /// Its room and its id, as people know them.
    ///
    /// # Errors
    /// It is not inside any more.
    pub fn names(&self, seat: Seat) -> Result<(RoomName, ParticipantName), Failure> {
        let seat = self.locate(seat);
        let room = self.room(seat.room)?;
        let member = room.member(seat.participant)?;
        Ok((room.name.clone(), member.name.clone()))
    }

    /// Its socket closed without a word: media may live on for `resume_window`, and is missed from
    /// 6 s on. News go on waiting for it.
    pub fn socket_closed(&self, seat: Seat) {
        let seat = self.locate(seat);
        let Ok(mut room) = self.room_mut(seat.room) else {
            return;
        };
        let Some(gone_at) = room.socket_closed(seat.participant) else {
            return;
        };
        let shard = room.shard_of(seat.participant);
        drop(room);
        // It is asked from now on whether it is there: who is only there is so seldom otherwise.
        self.set_silence_max(shard, seat, limits::SILENCE_WITHOUT_SOCKET * 2);
        // Not at once: after a broken network the media has been silent for longer already, and
        // another socket is on its way.
        let this = self.clone();
        drop(tokio::spawn(async move {
            tokio::time::sleep(limits::SILENCE_WITHOUT_SOCKET).await;
            let seat = this.locate(seat);
            let still_gone = |room: &Room| {
                let member = room.member(seat.participant);
                member.is_ok_and(|member| member.gone_at == Some(gone_at))
            };
            let shard = {
                let Ok(room) = this.room(seat.room) else {
                    return;
                };
                if !still_gone(&room) {
                    return;
                }
                room.shard_of(seat.participant)
            };
            this.set_silence_max(shard, seat, limits::SILENCE_WITHOUT_SOCKET);
        }));
    }

    /// Another socket goes on where one closed; the proof for the next time.
    ///
    /// # Errors
    /// It is not inside any more: `ROOM_NOT_FOUND`, `PARTICIPANT_NOT_FOUND`.
    pub fn socket_resumed(&self, seat: Seat) -> Result<String, Failure> {
        let seat = self.locate(seat);
        let token = drawn_id("s")?;
        let shard = {
            let mut room = self.room_mut(seat.room)?;
            room.socket_resumed(seat.participant, token.clone())?;
            room.shard_of(seat.participant)
        };
        self.set_silence_max(shard, seat, sfu::limits::CONSENT_TIMEOUT);
        Ok(token)
    }

    /// The uid of one that is inside.
    ///
    /// # Errors
    /// It is not: `ROOM_NOT_FOUND`, `PARTICIPANT_NOT_FOUND`.
    pub fn uid_of(&self, seat: Seat) -> Result<Ulid, Failure> {
        let seat = self.locate(seat);
        self.room(seat.room)?.uid_of(seat.participant)
    }

    /// All there is now, and a fresh queue for what follows, in place of one that was cut.
    ///
    /// # Errors
    /// It is not inside any more: `ROOM_NOT_FOUND`, `PARTICIPANT_NOT_FOUND`.
    pub fn snapshot(&self, seat: Seat) -> Result<Joined, Failure> {
        let mut room = self.room_mut(self.locate(seat).room)?;
        room.snapshot(seat.participant)
    }

    fn set_silence_max(&self, shard: usize, seat: Seat, silence_max: Duration) {
        let command = Command::SetSilenceMax {
            room: seat.room,
            participant: seat.participant,
            silence_max,
        };
        self.insist(shard, command);
    }

    pub(super) async fn ask(&self, seat: Seat, command: Command) -> Result<Reply, Failure> {
        let shard = {
            let room = self.room(seat.room)?;
            room.member(seat.participant)?.shard
        };
        self.call(shard, command).await
    }

    /// Tells the shard which tracks of a member show a screen, where it does not know.
    pub(super) fn tell_screens(&self, room: &mut Room, owner: ParticipantId) {
        for (track, screen) in room.screens_untold(owner) {
            let command = Command::SetTrackContent {
                room: room.id,
                track,
                screen,
            };
            self.insist(room.shard_of(owner), command);
        }
    }

    pub(super) fn order_mute(&self, room: &Room, order: MuteOrder) {
        let command = Command::SetTrackMuted {
            room: room.id,
            track: order.track,
            muted: order.muted,
        };
        self.insist(room.shard_of_track(order.track), command);
    }
}

//! Whether a member is there: its socket, its media, and how long either may be missing.
//!
//! Socket and media there: ACTIVE. One of them missing: RESUMING. Socket closed and nothing heard
//! for 6 s, or `resume_window` over: gone. Media alone may be silent for 30 s (the shard's
//! `CONSENT_TIMEOUT`); after 20 s the others are told.

use sfu::id::ParticipantId;
use tokio::time::Instant;

use super::news::channel_after;
use super::room::Room;
use super::spec::ParticipantState;
use super::{Arrival, Joined, Seat};
use crate::limits::SILENCE_WITHOUT_SOCKET;
use crate::status::{Failure, Reason};

impl Room {
    /// ICE and DTLS are up.
    pub(super) fn connected(&mut self, id: ParticipantId) {
        if let Ok(member) = self.member_mut(id)
            && member.state == ParticipantState::Joining
        {
            member.state = ParticipantState::Active;
            self.settle_presence(id);
            self.updated(id);
        }
    }

    /// Its media fell silent, or is heard again.
    pub(super) fn silent(&mut self, id: ParticipantId, silent: bool) {
        if let Ok(member) = self.member_mut(id) {
            member.silent = silent;
        }
        if self.settle_presence(id) {
            self.updated(id);
        }
    }

    /// The socket closed without `leave`: media may live on for a while. News go on waiting for
    /// another socket. Since when it is gone; none: it is not inside.
    pub(super) fn socket_closed(&mut self, id: ParticipantId) -> Option<Instant> {
        let window = self.spec.config.resume_window;
        let member = self.member_mut(id).ok()?;
        // Without media there is nothing that could prove life.
        let alive_for = match member.state {
            ParticipantState::Waiting | ParticipantState::Joining => {
                SILENCE_WITHOUT_SOCKET.min(window)
            }
            ParticipantState::Active | ParticipantState::Resuming | ParticipantState::Left => {
                window
            }
        };
        let gone_at = Instant::now() + alive_for;
        member.gone_at = Some(gone_at);
        if self.settle_presence(id) {
            self.updated(id);
        }
        Some(gone_at)
    }

    /// Another socket goes on, with `token` as the proof for the next one.
    pub(super) fn socket_resumed(
        &mut self,
        id: ParticipantId,
        token: String,
    ) -> Result<(), Failure> {
        let member = self.member_mut(id)?;
        if member.gone_at.is_some_and(|at| at <= Instant::now()) {
            // The next sweep puts it out.
            return Err(Failure::of(Reason::ParticipantNotFound));
        }
        member.gone_at = None;
        member.resume_token = token;
        if self.settle_presence(id) {
            self.updated(id);
        }
        Ok(())
    }

    /// All there is now for a member, and a fresh queue for what follows.
    pub(super) fn snapshot(&mut self, seat: Seat) -> Result<Joined, Failure> {
        let id = seat.participant;
        let standing = self.member(id)?.news.as_ref().map(|news| news.standing());
        let (sender, news) = channel_after(standing.unwrap_or_default());
        let member = self.member_mut(id)?;
        member.news = Some(sender);
        let resume_token = member.resume_token.clone();
        let mut others = self.views();
        others.retain(|view| view.id != id);
        let view = self.view_of(self.member(id)?);
        let arrival = Arrival {
            seat,
            view,
            others,
            room: self.view(),
            history: Vec::new(),
            resume_token,
        };
        Ok(Joined { arrival, news })
    }

    /// Members whose socket closed too long ago.
    pub(super) fn overdue(&self, now: Instant) -> Vec<ParticipantId> {
        let due = |member: &&super::room::Member| member.gone_at.is_some_and(|at| at <= now);
        let members = self.members().filter(due);
        members.map(|member| member.id).collect()
    }

    /// The state that socket and media come to. True: it is another one.
    fn settle_presence(&mut self, id: ParticipantId) -> bool {
        let Ok(member) = self.member_mut(id) else {
            return false;
        };
        let missing = member.gone_at.is_some() || member.silent;
        let state = match (member.state, missing) {
            (ParticipantState::Active | ParticipantState::Resuming, true) => {
                ParticipantState::Resuming
            }
            (ParticipantState::Active | ParticipantState::Resuming, false) => {
                ParticipantState::Active
            }
            (state, _) => state,
        };
        std::mem::replace(&mut member.state, state) != state
    }
}

//! Whether a member is there: its socket, its media, and how long either may be missing.
//!
//! Socket and media there: ACTIVE. One of them missing: RESUMING. Socket closed and nothing heard
//! for 6 s, or `resume_window` over: gone. Media alone may be silent for 30 s (the shard's
//! `CONSENT_TIMEOUT`); after 20 s the others are told.

use sfu::error::LeaveReason;
use sfu::id::ParticipantId;
use tokio::time::Instant;

use super::Joined;
use super::news::channel_after;
use super::room::{Member, Room};
use crate::clock::Ulid;
use crate::limits::SILENCE_WITHOUT_SOCKET;
use crate::status::{Failure, Reason};

impl Room {
    /// ICE and DTLS are up, with this cipher.
    pub(super) fn connected(&mut self, id: ParticipantId, srtp: &'static str) {
        self.settle_presence(id, |member| member.srtp = Some(srtp));
    }

    /// Its media fell silent, or is heard again.
    pub(super) fn silent(&mut self, id: ParticipantId, silent: bool) {
        self.settle_presence(id, |member| member.silent = silent);
    }

    /// The socket closed without `leave`: media may live on for a while, waiting to be admitted
    /// does not. News go on waiting for another socket. When it is out; none: it is not inside.
    pub(super) fn socket_closed(&mut self, id: ParticipantId) -> Option<Instant> {
        if self.is_waiting(id) {
            self.exit(id, LeaveReason::LeftItself, None);
            return None;
        }
        let window = self.spec.config.resume_window;
        let member = self.member(id).ok()?;
        // Without media there is nothing that could prove life.
        let alive_for = match member.srtp {
            None => SILENCE_WITHOUT_SOCKET.min(window),
            Some(_) => window,
        };
        let gone_at = Instant::now() + alive_for;
        self.settle_presence(id, |member| member.gone_at = Some(gone_at));
        Some(gone_at)
    }

    /// Another socket goes on, with `token` as the proof for the next one.
    pub(super) fn socket_resumed(
        &mut self,
        id: ParticipantId,
        token: String,
    ) -> Result<(), Failure> {
        let gone_at = self.member(id)?.gone_at;
        if gone_at.is_some_and(|at| at <= Instant::now()) {
            // The next sweep puts it out.
            return Err(Failure::of(Reason::ParticipantNotFound));
        }
        self.settle_presence(id, |member| {
            member.gone_at = None;
            member.resume_token = token;
        });
        Ok(())
    }

    pub(super) fn uid_of(&self, id: ParticipantId) -> Result<Ulid, Failure> {
        Ok(self.member(id)?.uid)
    }

    /// All there is now for a member, and a fresh queue for what follows.
    pub(super) fn snapshot(&mut self, id: ParticipantId) -> Result<Joined, Failure> {
        let standing = self.member(id)?.news.as_ref().map(|news| news.standing());
        let (sender, news) = channel_after(standing.unwrap_or_default());
        let member = self.member_mut(id)?;
        member.news = Some(sender);
        let arrival = self.arrival(id)?;
        Ok(Joined { arrival, news })
    }

    /// Members whose socket closed too long ago.
    pub(super) fn overdue(&self, now: Instant) -> Vec<ParticipantId> {
        let due = |member: &&Member| member.gone_at.is_some_and(|at| at <= now);
        let members = self.members().filter(due);
        members.map(|member| member.id).collect()
    }

    /// Socket or media came or went: the others are told where it comes to another state.
    fn settle_presence(&mut self, id: ParticipantId, change: impl FnOnce(&mut Member)) {
        let Ok(member) = self.member_mut(id) else {
            return;
        };
        let before = member.state();
        change(member);
        if member.state() != before {
            self.updated(id);
        }
    }
}

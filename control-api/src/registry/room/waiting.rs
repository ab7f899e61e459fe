//! Who waits to be admitted: known here alone, no shard has heard of it yet.

use std::sync::Arc;

use sfu::id::ParticipantId;

use super::{Member, Room};
use crate::limits::WAITING_PER_ROOM;
use crate::registry::log::EventKind;
use crate::registry::name::ParticipantName;
use crate::registry::news::RoomNews;
use crate::status::{Failure, Reason};

impl Room {
    /// One more waits; admins are told. The same name waits no more: that one is to be put out
    /// before.
    pub(in crate::registry) fn wait(&mut self, mut member: Member) -> Result<(), Failure> {
        if self.waiting.len() >= WAITING_PER_ROOM {
            let why = format!("{WAITING_PER_ROOM} wait already");
            return Err(Failure::new(Reason::LimitExceeded, why));
        }
        member.admitted = false;
        self.empty_at = None;
        let view = self.view_of(&member);
        self.waiting.insert(member.id, member);
        self.record_participant(EventKind::ParticipantWaiting, view);
        self.tell_admins();
        Ok(())
    }

    /// Who of that name waits.
    pub(in crate::registry) fn waiting_of(&self, name: &ParticipantName) -> Option<ParticipantId> {
        let mut waiting = self.waiting.values();
        waiting
            .find(|member| member.name == *name)
            .map(|member| member.id)
    }

    pub(in crate::registry) fn is_waiting(&self, id: ParticipantId) -> bool {
        self.waiting.contains_key(&id)
    }

    pub(in crate::registry) fn waiting(&self) -> impl Iterator<Item = &Member> {
        self.waiting.values()
    }

    /// It waits no more, because it comes in. None: it has gone away.
    pub(in crate::registry) fn stop_waiting(&mut self, id: ParticipantId) -> Option<Member> {
        let mut member = self.waiting.remove(&id)?;
        member.admitted = true;
        Some(member)
    }

    /// The list changed, or somebody has become an admin.
    pub(in crate::registry) fn tell_admins(&self) {
        let views = self.waiting.values().map(|member| self.view_of(member));
        let views = Arc::new(views.collect::<Vec<_>>());
        for member in self.members.values().filter(|member| member.is_admin()) {
            member.tell(RoomNews::Waiting(Arc::clone(&views)));
        }
    }

    /// What one who has just come in as an admin is to know.
    pub(in crate::registry) fn tell_admin(&self, id: ParticipantId) {
        let admin = self.members.get(&id).filter(|member| member.is_admin());
        if let Some(admin) = admin
            && !self.waiting.is_empty()
        {
            let views = self.waiting.values().map(|member| self.view_of(member));
            admin.tell(RoomNews::Waiting(Arc::new(views.collect())));
        }
    }
}

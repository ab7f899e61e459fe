//! The way out: members with something to send, and their tickets in order.

use std::collections::VecDeque;

use crate::error::DropReason;
use crate::id::{EncodingKey, MemberKey};
use crate::prefetch::prefetch;
use crate::router::rewriter::Rewriter;
use crate::router::ticket::Ticket;
use crate::router::{Router, member_mut};
use crate::time::Instant;

impl Router {
    /// Where nothing waits but one packet of sound, it leaves at once. The shard calls this before
    /// [`Router::ready`] when it is otherwise idle. A lone packet of a picture is the first of its
    /// frame: a frame of one packet is whole and does not wait.
    pub fn release_lone(&mut self, now: Instant) {
        if let Some(key) = self.lone() {
            self.release(now, key);
        }
    }

    /// What [`Router::release_lone`] would let go.
    #[must_use]
    pub fn lone(&self) -> Option<EncodingKey> {
        if self.held != 1 || self.tickets != 0 {
            return None;
        }
        let waiting = self.holds_audio.iter().rev().map(|&(_, key)| key);
        let mut waiting = waiting.filter(|key| {
            let encoding = self.encodings.get(key.index());
            encoding.is_some_and(|encoding| !encoding.held.is_empty())
        });
        waiting.next()
    }

    /// Members with tickets or RTCP that may leave at `now`, as a count of places for
    /// [`Router::ready_member`]. Call at the start of each departure.
    pub fn ready(&mut self, now: Instant) -> usize {
        self.release_due(now);
        let members = &mut self.members;
        self.active.retain(|&key| {
            let Some(member) = member_mut(members, key) else {
                return false;
            };
            member.active = member.has_ready();
            member.active
        });
        self.active.len()
    }

    /// Whether [`Router::ready`] would find anybody.
    #[must_use]
    pub fn has_ready(&self, now: Instant) -> bool {
        let due = |holds: &VecDeque<(Instant, EncodingKey)>| {
            holds.front().is_some_and(|&(due, _)| due <= now)
        };
        !self.active.is_empty() || due(&self.holds_audio) || due(&self.holds_video)
    }

    /// One of the members of the last [`Router::ready`].
    #[must_use]
    pub fn ready_member(&self, place: usize) -> Option<MemberKey> {
        self.active.get(place).copied()
    }

    /// Asks for what is kept of a member.
    pub(crate) fn prefetch_member(&self, key: MemberKey) {
        if let Some(member) = self.member(key) {
            prefetch(&member.queue);
            prefetch(&member.held);
            prefetch(&member.repairs);
        }
    }

    /// For its tickets.
    pub(crate) fn prefetch_queue(&self, key: MemberKey) {
        if let Some(ticket) = self.next_of(key) {
            prefetch(ticket);
        }
    }

    /// For the section of its next ticket.
    pub(crate) fn prefetch_section(&self, key: MemberKey) {
        let section = self.next_of(key).map(|ticket| ticket.section.index());
        if let Some(section) = section.and_then(|key| self.sections.get(key)) {
            prefetch(section);
        }
    }

    /// And for what that remembers of its last packets.
    pub(crate) fn prefetch_ring(&self, key: MemberKey) {
        let section = self.next_of(key).map(|ticket| ticket.section.index());
        if let Some(section) = section.and_then(|key| self.sections.get(key)) {
            section.numbers.prefetch_ring();
        }
    }

    fn next_of(&self, key: MemberKey) -> Option<&Ticket> {
        self.member(key)?.queue.front()
    }

    /// Pictures and repairs of a member wait from now on, or may leave again.
    pub fn hold_pictures(&mut self, member: MemberKey, held: bool) {
        if let Some(found) = member_mut(&mut self.members, member)
            && std::mem::replace(&mut found.held, held) != held
        {
            self.activate(member);
        }
    }

    /// Bytes of pictures and repairs that wait, at most: each packet counts as a full one.
    #[must_use]
    pub fn waiting_pictures(&self, member: MemberKey) -> u64 {
        self.member(member)
            .map_or(0, |found| found.queue.picture_bytes())
    }

    /// Whoever writes the next packets of a member: those that have class, section and encoding in
    /// common. `None`: it has none that may leave.
    ///
    /// # Errors
    /// Why its next packet is void; it is gone.
    pub fn rewriter(
        &mut self,
        now: Instant,
        member: MemberKey,
    ) -> Option<Result<Rewriter<'_>, DropReason>> {
        let subscriber = member_mut(&mut self.members, member)?;
        let first = subscriber.queue.next(!subscriber.held)?;
        let section = self.sections.get_mut(first.section.index());
        let encoding = self.encodings.get(first.encoding.index());
        let track = encoding.and_then(|encoding| self.tracks.get(encoding.track.index()));
        let (Some(section), Some(encoding), Some(track)) = (section, encoding, track) else {
            subscriber.queue.take_like(&first);
            self.tickets = self.tickets.saturating_sub(1);
            return Some(Err(DropReason::Expired));
        };
        Some(Ok(Rewriter::new(
            (now, first),
            (&mut subscriber.queue, &mut self.tickets),
            &mut subscriber.repairs,
            (&mut self.dues, &mut self.due_next),
            (track, encoding, &self.encodings),
            section,
        )))
    }

    /// The next packet of a member is void. False: none may leave.
    pub fn drop_packet(&mut self, member: MemberKey) -> bool {
        let subscriber = member_mut(&mut self.members, member);
        let dropped = subscriber.and_then(|it| {
            let first = it.queue.next(!it.held)?;
            it.queue.take_like(&first)
        });
        self.tickets = self.tickets.saturating_sub(usize::from(dropped.is_some()));
        dropped.is_some()
    }
}

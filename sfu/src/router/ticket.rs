//! Orders to send: 16 bytes each, in one bounded queue per member.

use std::collections::VecDeque;

use crate::id::{EncodingKey, SectionKey};
use crate::limits::TICKETS_PER_TRANSPORT;

/// What becomes of a ticket when the budget is short, and which queue it waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketClass {
    /// Never held, never dropped for video.
    Audio,
    /// A retransmission.
    Repair,
    /// Pictures.
    Video,
}

/// An order to send one packet of an encoding through a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Through which section.
    pub section: SectionKey,
    pub(super) encoding: EncodingKey,
    /// The number shifted by 8, and the class.
    place: u64,
}

impl Ticket {
    /// `number` is the extended input sequence; of a retransmission the extended outgoing one.
    pub(super) const fn new(
        section: SectionKey,
        encoding: EncodingKey,
        number: u64,
        class: TicketClass,
    ) -> Self {
        Self {
            section,
            encoding,
            place: (number << 8) | class as u64,
        }
    }

    pub(super) const fn number(self) -> u64 {
        self.place >> 8
    }

    /// Its class.
    #[must_use]
    pub const fn class(self) -> TicketClass {
        match self.place & 0xFF {
            0 => TicketClass::Audio,
            1 => TicketClass::Repair,
            _ => TicketClass::Video,
        }
    }
}

/// The tickets of one member: sound first, then repairs, then pictures.
#[derive(Debug, Default)]
pub(super) struct TicketQueue {
    audio: VecDeque<Ticket>,
    repair: VecDeque<Ticket>,
    video: VecDeque<Ticket>,
}

impl TicketQueue {
    /// Takes a ticket in. Full: the oldest picture leaves, then the oldest repair, then the
    /// oldest sound, and is given back.
    pub(super) fn push(&mut self, ticket: Ticket) -> Option<Ticket> {
        let dropped = if self.len() >= TICKETS_PER_TRANSPORT {
            self.video
                .pop_front()
                .or_else(|| self.repair.pop_front())
                .or_else(|| self.audio.pop_front())
        } else {
            None
        };
        match ticket.class() {
            TicketClass::Audio => self.audio.push_back(ticket),
            TicketClass::Repair => self.repair.push_back(ticket),
            TicketClass::Video => self.video.push_back(ticket),
        }
        dropped
    }

    pub(super) fn pop(&mut self) -> Option<Ticket> {
        take(&mut self.audio)
            .or_else(|| take(&mut self.repair))
            .or_else(|| take(&mut self.video))
    }

    /// The next one, where it is sound or `pictures` may leave too.
    pub(super) fn pop_if(&mut self, pictures: bool) -> Option<Ticket> {
        if pictures {
            return self.pop();
        }
        take(&mut self.audio)
    }

    /// What is next, where pictures may leave too.
    pub(super) fn front(&self) -> Option<&Ticket> {
        let sound = self.audio.front().or_else(|| self.repair.front());
        sound.or_else(|| self.video.front())
    }

    /// Pictures and repairs.
    pub(super) fn pictures(&self) -> usize {
        self.repair.len() + self.video.len()
    }

    pub(super) fn has_audio(&self) -> bool {
        !self.audio.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.audio.len() + self.repair.len() + self.video.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A section's place may be given to another: nothing of the old one may come out.
    pub(super) fn remove_section(&mut self, section: SectionKey) {
        for queue in [&mut self.audio, &mut self.repair, &mut self.video] {
            queue.retain(|ticket| ticket.section != section);
        }
    }
}

/// The first one. An empty queue begins again at its beginning: what is used of it stays a line or
/// two of the cache, and does not wander through all its room.
fn take(queue: &mut VecDeque<Ticket>) -> Option<Ticket> {
    let first = queue.pop_front();
    if queue.is_empty() {
        queue.clear();
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(number: u64, class: TicketClass) -> Ticket {
        Ticket::new(SectionKey(1), EncodingKey(2), number, class)
    }

    #[test]
    fn a_ticket_is_16_bytes_and_keeps_what_it_was_given() {
        assert_eq!(size_of::<Ticket>(), 16);
        for class in [TicketClass::Audio, TicketClass::Repair, TicketClass::Video] {
            let ticket = ticket(0x00FF_FFFF_FFFF_FFFF, class);
            assert_eq!(
                (ticket.class(), ticket.number()),
                (class, 0x00FF_FFFF_FFFF_FFFF)
            );
        }
    }

    #[test]
    fn a_full_queue_drops_the_oldest_picture_and_keeps_sound() {
        let mut queue = TicketQueue::default();
        assert_eq!(queue.push(ticket(0, TicketClass::Audio)), None);
        for number in 1..TICKETS_PER_TRANSPORT as u64 {
            assert_eq!(queue.push(ticket(number, TicketClass::Video)), None);
        }
        let dropped = queue.push(ticket(9_999, TicketClass::Video));
        assert_eq!(dropped, Some(ticket(1, TicketClass::Video)));
        assert_eq!(queue.len(), TICKETS_PER_TRANSPORT);
        assert_eq!(queue.pop(), Some(ticket(0, TicketClass::Audio)));
        assert_eq!(queue.pop(), Some(ticket(2, TicketClass::Video)));
        queue.remove_section(SectionKey(1));
        assert!(queue.is_empty());
    }
}

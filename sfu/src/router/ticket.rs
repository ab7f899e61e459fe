//! Orders to send: 16 bytes each, in one bounded queue per member.

use std::collections::VecDeque;

use crate::id::{EncodingKey, SectionKey};
use crate::limits::{PACKET_BYTES, TICKETS_PER_TRANSPORT};

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

/// An order to send one packet of an encoding through a section, or several that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Through which section.
    pub section: SectionKey,
    pub(super) encoding: EncodingKey,
    /// The number of the first packet shifted by 16, how many there are shifted by 8, and the class.
    place: u64,
}

/// One more packet, in a ticket's place.
const ONE: u64 = 1 << 8;

impl Ticket {
    /// Of one packet. `number` is the extended input sequence, of 48 bits; of a retransmission the
    /// extended outgoing one.
    pub(super) const fn new(
        section: SectionKey,
        encoding: EncodingKey,
        number: u64,
        class: TicketClass,
    ) -> Self {
        Self {
            section,
            encoding,
            place: (number << 16) | ONE | class as u64,
        }
    }

    /// Of `count` packets instead of one, the first of which is the one it is of.
    pub(super) const fn and_following(self, count: u8) -> Self {
        let place = (self.place & !0xFF00) | (count as u64) << 8;
        Self { place, ..self }
    }

    /// Of its first packet.
    pub(super) const fn number(self) -> u64 {
        self.place >> 16
    }

    /// Of those after the first, where there are any.
    const fn without_first(self) -> Self {
        // One number on, one packet less.
        let place = self.place + (1 << 16) - ONE;
        Self { place, ..self }
    }

    /// How many packets it is of.
    const fn count(self) -> usize {
        (self.place >> 8 & 0xFF) as usize
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
    /// Packets of sound, and of the others.
    sounds: usize,
    pictures: usize,
}

impl TicketQueue {
    /// Takes a ticket in. Full: the oldest pictures leave, be they of this ticket, then the oldest
    /// repairs, then the oldest sound, packet by packet; how many have left.
    pub(super) fn push(&mut self, mut ticket: Ticket) -> u64 {
        let mut dropped = 0;
        while self.len() + ticket.count() > TICKETS_PER_TRANSPORT {
            if self.video.is_empty() && ticket.count() > 1 {
                ticket = ticket.without_first();
            } else if !self.drop_oldest() {
                break;
            }
            dropped += 1;
        }
        *self.packets(ticket.class()) += ticket.count();
        self.queue(ticket.class()).push_back(ticket);
        dropped
    }

    fn drop_oldest(&mut self) -> bool {
        let oldest = self.video.front().or_else(|| self.repair.front());
        let oldest = oldest.or_else(|| self.audio.front()).copied();
        oldest.is_some_and(|oldest| self.take_like(&oldest).is_some())
    }

    const fn queue(&mut self, class: TicketClass) -> &mut VecDeque<Ticket> {
        match class {
            TicketClass::Audio => &mut self.audio,
            TicketClass::Repair => &mut self.repair,
            TicketClass::Video => &mut self.video,
        }
    }

    const fn packets(&mut self, class: TicketClass) -> &mut usize {
        match class {
            TicketClass::Audio => &mut self.sounds,
            TicketClass::Repair | TicketClass::Video => &mut self.pictures,
        }
    }

    #[cfg(test)]
    pub(super) fn pop(&mut self) -> Option<u64> {
        let first = self.next(true)?;
        self.take_like(&first)
    }

    /// The next one, where it is sound or `pictures` may leave too.
    pub(super) fn next(&self, pictures: bool) -> Option<Ticket> {
        if pictures {
            return self.front().copied();
        }
        self.audio.front().copied()
    }

    /// The number of the next packet of its class, where it leads where `ticket` does; it is taken out.
    pub(super) fn take_like(&mut self, ticket: &Ticket) -> Option<u64> {
        let class = ticket.class();
        let queue = self.queue(class);
        let next = queue.front_mut()?;
        if (next.section, next.encoding) != (ticket.section, ticket.encoding) {
            return None;
        }
        let number = next.number();
        if next.count() > 1 {
            *next = next.without_first();
        } else {
            queue.pop_front();
            // An empty queue begins again at its beginning: what is used of it stays a line or two of
            // the cache, and does not wander through all its room.
            if queue.is_empty() {
                queue.clear();
            }
        }
        let packets = self.packets(class);
        *packets = packets.saturating_sub(1);
        Some(number)
    }

    /// What is next, where pictures may leave too.
    pub(super) fn front(&self) -> Option<&Ticket> {
        let sound = self.audio.front().or_else(|| self.repair.front());
        sound.or_else(|| self.video.front())
    }

    /// Bytes of pictures and repairs, at most: each packet counts as a full one.
    pub(super) const fn picture_bytes(&self) -> u64 {
        self.pictures as u64 * PACKET_BYTES as u64
    }

    pub(super) const fn has_audio(&self) -> bool {
        self.sounds > 0
    }

    /// Packets in all.
    pub(super) const fn len(&self) -> usize {
        self.sounds + self.pictures
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A section's place may be given to another: nothing of the old one may come out.
    pub(super) fn remove_section(&mut self, section: SectionKey) {
        for class in [TicketClass::Audio, TicketClass::Repair, TicketClass::Video] {
            self.queue(class).retain(|ticket| ticket.section != section);
        }
        let count = |queue: &VecDeque<Ticket>| queue.iter().map(|it| it.count()).sum::<usize>();
        self.sounds = count(&self.audio);
        self.pictures = count(&self.repair) + count(&self.video);
    }
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
            for count in [1, 2, u8::MAX] {
                let ticket = ticket((1 << 48) - 1, class).and_following(count);
                assert_eq!(
                    (ticket.class(), ticket.number(), ticket.count()),
                    (class, (1 << 48) - 1, count.into())
                );
            }
        }
    }

    #[test]
    fn a_full_queue_drops_the_oldest_picture_and_keeps_sound() {
        let mut queue = TicketQueue::default();
        assert_eq!(queue.push(ticket(0, TicketClass::Audio)), 0);
        for number in 1..TICKETS_PER_TRANSPORT as u64 {
            assert_eq!(queue.push(ticket(number, TicketClass::Video)), 0);
        }
        assert_eq!(queue.push(ticket(9_999, TicketClass::Video)), 1);
        assert_eq!(queue.len(), TICKETS_PER_TRANSPORT);
        assert_eq!(queue.pop(), Some(0));
        assert_eq!(queue.pop(), Some(2));
        queue.remove_section(SectionKey(1));
        assert!(queue.is_empty());
    }

    #[test]
    fn a_picture_that_is_too_much_pushes_out_one_sound_and_no_more() {
        let mut queue = TicketQueue::default();
        for number in 0..TICKETS_PER_TRANSPORT as u64 {
            assert_eq!(queue.push(ticket(number, TicketClass::Audio)), 0);
        }
        let picture = ticket(7, TicketClass::Video).and_following(20);
        assert_eq!(queue.push(picture), 20);
        assert_eq!((queue.pictures, queue.len()), (1, TICKETS_PER_TRANSPORT));
        assert_eq!(queue.pop(), Some(1));
        queue.remove_section(SectionKey(1));
        assert!(queue.is_empty());
    }

    #[test]
    fn packets_of_one_ticket_come_out_and_are_dropped_one_by_one() {
        let mut queue = TicketQueue::default();
        let many = TICKETS_PER_TRANSPORT as u64 / 200;
        for place in 0..many {
            let first = ticket(place * 200, TicketClass::Video);
            assert_eq!(queue.push(first.and_following(200)), 0);
        }
        let room = TICKETS_PER_TRANSPORT as u64 - many * 200;
        let last = ticket(many * 200, TicketClass::Video);
        assert_eq!(queue.push(last.and_following(200)), 200 - room);
        assert_eq!(queue.pictures, TICKETS_PER_TRANSPORT);
        let left: Vec<u64> = std::iter::from_fn(|| queue.pop()).collect();
        assert!(left.into_iter().eq(200 - room..(many + 1) * 200));
        assert!(queue.is_empty() && !queue.has_audio());
    }
}

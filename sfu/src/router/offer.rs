//! Packets of an encoding offered to the sections of its track: of what passes each makes tickets.

use slab::Slab;
use smallvec::SmallVec;

use crate::id::{EncodingKey, SectionKey};
use crate::limits::{CATCH_UP_PACKETS, HOLD_PACKETS};
use crate::prefetch::prefetch;
use crate::router::encoding::Encoding;
use crate::router::history::{Entry, History};
use crate::router::layers::Offered;
use crate::router::member::Member;
use crate::router::patience::{is_rise, wait};
use crate::router::section::Section;
use crate::router::selector::{Candidate, Passage};
use crate::router::ticket::{Ticket, TicketClass};
use crate::router::track::Track;
use crate::router::{Router, member_mut};
use crate::time::Instant;
use crate::units::MediaKind;

/// Packets of which each [`continues`](Entry::continues) the one before it: what becomes of the first
/// becomes of all.
#[derive(Clone, Copy, Debug)]
struct Stretch<'a> {
    head: &'a Entry,
    count: u8,
}

impl Stretch<'_> {
    const fn last(&self) -> u64 {
        self.head.sequence + (self.count as u64).saturating_sub(1)
    }

    /// How many of its packets are not before `sequence`.
    fn from(&self, sequence: u64) -> u8 {
        let before = u8::try_from(sequence.saturating_sub(self.head.sequence));
        self.count.saturating_sub(before.unwrap_or(u8::MAX))
    }
}

/// The same for all sections, so it is found out once.
fn stretches<'a>(history: &'a History, sequences: &[u64]) -> SmallVec<[Stretch<'a>; HOLD_PACKETS]> {
    let mut found: SmallVec<[Stretch<'a>; HOLD_PACKETS]> = SmallVec::new();
    let mut before: Option<&Entry> = None;
    for entry in sequences.iter().filter_map(|&it| history.get(it)) {
        let goes_on = before.is_some_and(|before| entry.continues(before));
        before = Some(entry);
        match found.last_mut().filter(|_| goes_on) {
            Some(stretch) if stretch.count < u8::MAX => stretch.count += 1,
            Some(_) | None => found.push(Stretch {
                head: entry,
                count: 1,
            }),
        }
    }
    found
}

impl Router {
    /// Offers packets of an encoding to every section of its track, and to ports.
    pub(super) fn offer(&mut self, now: Instant, key: EncodingKey, sequences: &[u64]) {
        let Some(encoding) = self.encodings.get(key.index()) else {
            return;
        };
        let Some(track) = self.tracks.get(encoding.track.index()) else {
            return;
        };
        let stretches = stretches(&encoding.history, sequences);
        let mut lacks_keyframe = false;
        for (place, &section_key) in track.sections.iter().enumerate() {
            prefetch_next(track, place, &self.sections, &self.members);
            let Some(section) = self.sections.get_mut(section_key.index()) else {
                continue;
            };
            let Some(subscriber) = member_mut(&mut self.members, section.member) else {
                continue;
            };
            if !section.is_open() || !subscriber.receiving {
                continue;
            }
            let before = subscriber.queue.len();
            let offer = Offer {
                key,
                encoding,
                track,
                section: section_key,
                stretches: &stretches,
                sequences,
            };
            if section.selector.current() == Some(key) && encoding.kind == MediaKind::Video {
                let waits = wait(section, track, &self.encodings);
                section.patience.note(now, waits);
                let is_weary = section.patience.is_weary(now);
                if is_weary && section.aim(track) != Some(key) {
                    section.layers.leave(true);
                } else {
                    section.layers.set_weary(is_weary);
                }
            }
            let shown = section.shown();
            self.stats.queue_full += offer.to(section, subscriber);
            if section.shown() != shown {
                let rises = is_rise(shown, section.shown(), &self.encodings);
                section.patience.rose_at = rises.then_some(now);
            }
            lacks_keyframe |=
                section.selector.current() == Some(key) && section.layers.lacks_keyframe();
            self.tickets = (self.tickets + subscriber.queue.len()).saturating_sub(before);
            if !subscriber.active && subscriber.has_ready() {
                subscriber.active = true;
                self.active.push(section.member);
            }
        }
        drop(stretches);
        self.offer_to_ports(now, key, sequences);
        if lacks_keyframe {
            self.want_keyframe(now, key);
        }
    }
}

/// So many turns before its own a section is asked for.
const AHEAD: usize = 4;

/// Asks for a section whose turn comes, and for the member of another, which is here and comes sooner.
fn prefetch_next(
    track: &Track,
    place: usize,
    sections: &Slab<Section>,
    members: &[Option<Member>],
) {
    let after = |places: usize| sections.get(track.sections.get(place + places)?.index());
    if let Some(section) = after(AHEAD) {
        prefetch(&section.selector);
        prefetch(&section.layers);
        prefetch(&section.patience);
        prefetch(&section.subscription);
        prefetch(&section.starved);
    }
    let member = after(AHEAD / 2).and_then(|section| members.get(section.member.index())?.as_ref());
    if let Some(member) = member {
        prefetch(&member.queue);
        prefetch(&member.held);
    }
}

/// Packets of one encoding offered to one section.
struct Offer<'a> {
    key: EncodingKey,
    encoding: &'a Encoding,
    track: &'a Track,
    section: SectionKey,
    stretches: &'a [Stretch<'a>],
    /// All of them.
    sequences: &'a [u64],
}

impl Offer<'_> {
    /// Makes tickets of what passes. How many packets left the queue for them.
    fn to(&self, section: &mut Section, subscriber: &mut Member) -> u64 {
        let is_shown = section.selector.current() == Some(self.key);
        // Of what is shown already the selector does not ask.
        let is_target = !is_shown && section.aim(self.track) == Some(self.key);
        let history = &self.encoding.history;
        let mut started = None;
        let mut dropped = 0;
        for stretch in self.stretches {
            let sequences = stretch.head.sequence..=stretch.last();
            for entry in sequences.filter_map(|it| history.get(it)) {
                let sequence = entry.sequence;
                let Some(begins) = self.passes(section, entry, is_target) else {
                    dropped += self.make_good(section, subscriber, sequence);
                    continue;
                };
                started = if begins { Some(sequence) } else { started };
                match self.sift(section, entry, begins) {
                    Offered::Passes => {
                        if !entry.empty {
                            section.layers.go_on(stretch.last());
                        }
                        dropped += self.queue(subscriber, sequence, stretch.from(sequence));
                        break;
                    }
                    Offered::Fills => dropped += self.queue(subscriber, sequence, 1),
                    Offered::Stays => {}
                }
            }
        }
        if let Some(start) = started {
            dropped += self.catch_up(section, subscriber, start);
        }
        dropped
    }

    /// Whether a packet is of what the section shows, and if so whether that begins with it.
    fn passes(&self, section: &mut Section, entry: &Entry, is_target: bool) -> Option<bool> {
        let sequence = entry.sequence;
        let candidate = Candidate {
            encoding: self.key,
            sequence,
            starts: entry.starts,
            is_target: is_target && !entry.empty && carries(self.track, section, entry),
        };
        match section.selector.passes(self.encoding.kind, candidate) {
            Passage::No => None,
            Passage::Yes => Some(false),
            Passage::Started => {
                let serial = self.encoding.serial;
                section.numbers.bind(self.key, serial, sequence);
                Some(true)
            }
        }
    }

    /// A first packet that came late (of a key frame, or of sound when somebody just came): what
    /// arrived before it and belongs behind it, which no section took, follows.
    fn catch_up(&self, section: &mut Section, subscriber: &mut Member, start: u64) -> u64 {
        let encoding = self.encoding;
        let newest = encoding.newest_sequence().unwrap_or(start);
        let mut dropped = 0;
        for sequence in start + 1..=newest.min(start + CATCH_UP_PACKETS) {
            let entry = encoding.history.get(sequence).filter(|e| !e.empty);
            let comes = self.sequences.contains(&sequence) || encoding.held.contains(&sequence);
            let entry = entry.filter(|_| !comes);
            if entry.is_some_and(|it| self.sift(section, it, false) != Offered::Stays) {
                dropped += self.queue(subscriber, sequence, 1);
            }
        }
        dropped
    }

    /// Queues what comes late of an encoding that has been left since, where a place was kept for it:
    /// a hole that stays is asked for again and again.
    fn make_good(&self, section: &Section, subscriber: &mut Member, sequence: u64) -> u64 {
        let newest = self.encoding.newest_sequence();
        let is_late = newest.is_some_and(|newest| sequence < newest);
        let encoding = (self.key, self.encoding.serial);
        if is_late && section.numbers.keeps_place(encoding, sequence) {
            self.queue(subscriber, sequence, 1)
        } else {
            0
        }
    }

    /// Whether the layer of a packet passes.
    fn sift(&self, section: &mut Section, entry: &Entry, begins: bool) -> Offered {
        if entry.empty {
            return Offered::Passes;
        }
        let of = (section.numbers.binding(), section.numbers.departed());
        let frames = &self.encoding.frames;
        section.layers.offer(of, entry, begins, frames)
    }

    /// So many packets from `sequence` on.
    fn queue(&self, subscriber: &mut Member, sequence: u64, count: u8) -> u64 {
        let class = match self.encoding.kind {
            MediaKind::Audio => TicketClass::Audio,
            MediaKind::Video => TicketClass::Video,
        };
        let first = Ticket::new(self.section, self.key, sequence, class);
        subscriber.queue.push(first.and_following(count))
    }
}

/// Whether a section has a payload type for a packet.
fn carries(track: &Track, section: &Section, entry: &Entry) -> bool {
    let format = track.plan.payload(entry.payload_type);
    format.is_some_and(|(plan, _)| section.plan.for_format(&plan.format).is_some())
}

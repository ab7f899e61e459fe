//! The way out: members with something to send, their tickets in order, and a packet written for
//! its section, in plaintext, straight from the history.

use std::collections::VecDeque;

use crate::error::DropReason;
use crate::id::{EncodingKey, MemberKey};
use crate::limits::PACKET_BYTES;
use crate::prefetch::prefetch;
use crate::router::again::Stamps;
use crate::router::decode_target::FrameChange;
use crate::router::encoding::Encoding;
use crate::router::forwarder::PictureOffsets;
use crate::router::history::Entry;
use crate::router::layers::Verdict;
use crate::router::redundancy::wrap;
use crate::router::section::{Offsets, Placed, Section};
use crate::router::ticket::{Ticket, TicketClass};
use crate::router::track::Track;
use crate::router::{Router, member_mut, touch};
use crate::sdp::negotiate::PayloadPlan;
use crate::time::Instant;
use crate::units::MediaKind;
use crate::wire::extension::{Extension, ExtensionValues};
use crate::wire::payload::Codec;
use crate::wire::rtp::{RtpHeader, Tail, mark_padded, pad};
use crate::wire::template::Filling;

/// A packet written for departure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewritten<'a> {
    /// Bytes of plaintext in the slot.
    pub len: usize,
    /// What follows them: a payload that is the same for everybody stays in the history until it is
    /// sealed.
    pub tail: Tail<'a>,
    /// Its class.
    pub class: TicketClass,
    /// Whether its number is a new one.
    pub seal: Seal,
    /// Its arrival is told by SSRC and sequence number (RFC 8888).
    pub is_reported: bool,
}

/// How a packet is to be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// Under a number that was never used.
    Once,
    /// As it was, under the number it had, which is used up.
    Again {
        /// The transport-wide number it had; the packet arrives later than that was sent.
        transport_sequence: Option<u16>,
    },
}

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
        let tickets = self.member(member).map(|found| found.queue.pictures());
        tickets.unwrap_or_default() as u64 * PACKET_BYTES as u64
    }

    /// The next ticket of a member. Have a slot before asking: a ticket is given once.
    pub fn next_ticket(&mut self, _now: Instant, member: MemberKey) -> Option<Ticket> {
        let found = member_mut(&mut self.members, member)?;
        let ticket = found.queue.pop_if(!found.held)?;
        self.tickets = self.tickets.saturating_sub(1);
        Some(ticket)
    }

    /// Writes the packet of a ticket, in plaintext. `transport_sequence` is asked for only where
    /// the number will be used; `abs_send` is 6.18 fixed point.
    ///
    /// # Errors
    /// Why the ticket is void; the slot may be used for another.
    pub fn rewrite(
        &mut self,
        now: Instant,
        ticket: Ticket,
        transport_sequence: impl FnOnce() -> u16,
        abs_send: u32,
        out: &mut [u8],
    ) -> Result<Rewritten<'_>, DropReason> {
        let section = self
            .sections
            .get_mut(ticket.section.index())
            .ok_or(DropReason::Expired)?;
        let encoding = self
            .encodings
            .get(ticket.encoding.index())
            .ok_or(DropReason::Expired)?;
        let track = self
            .tracks
            .get(encoding.track.index())
            .ok_or(DropReason::Expired)?;
        let wants_sequence = section.plan.extensions.id(Extension::TransportWideCc);
        let stamps = || Stamps {
            transport_sequence: wants_sequence.map(|_| transport_sequence()),
            abs_send_time: abs_send,
        };
        let class = ticket.class();
        let subscriber = section.member;
        let is_reported = section.is_reported;
        let before = section.timeline.shown();
        let before = before.filter(|&(key, _)| key != ticket.encoding);
        let before = before.and_then(|(key, timestamp)| {
            let before = self.encodings.get(key.index())?;
            (before.track == encoding.track).then_some((before, timestamp))
        });
        let departure = Departure {
            track,
            encoding,
            key: ticket.encoding,
            before,
            section,
        };
        let (len, tail, seal) = match class {
            TicketClass::Audio | TicketClass::Video => {
                let (len, tail, first) = departure.packet(now, ticket.number(), stamps, out)?;
                if first {
                    touch(&mut self.dues, &mut self.due_next, subscriber, Some(now));
                }
                if let Some(found) = member_mut(&mut self.members, subscriber) {
                    found.repairs.sent(len + tail.len());
                }
                (len, tail, Seal::Once)
            }
            TicketClass::Repair => {
                let (len, seal) = departure.repeat(ticket.number(), stamps, out)?;
                (len, Tail::default(), seal)
            }
        };
        Ok(Rewritten {
            len,
            tail,
            class,
            seal,
            is_reported,
        })
    }
}

/// One packet on its way through one section.
struct Departure<'a> {
    track: &'a Track,
    encoding: &'a Encoding,
    key: EncodingKey,
    /// Another encoding of the track that was shown last, and its timestamp then.
    before: Option<(&'a Encoding, u32)>,
    section: &'a mut Section,
}

impl<'a> Departure<'a> {
    /// Writes an input packet. The length of what is written, what follows it, and whether a sender
    /// report should go with it.
    fn packet(
        mut self,
        now: Instant,
        input: u64,
        stamps: impl FnOnce() -> Stamps,
        out: &mut [u8],
    ) -> Result<(usize, Tail<'a>, bool), DropReason> {
        let encoding = self.encoding;
        let entry = encoding.history.get(input).ok_or(DropReason::Expired)?;
        let verdict = self.verdict(entry);
        // Of some there is no more to send than their number.
        if entry.empty || verdict.is_some_and(|verdict| !verdict.passes) {
            let of = (self.key, encoding);
            let len = fill(self.section, of, (entry, verdict), stamps, out)?;
            return Ok((len, Tail::default(), false));
        }
        let (payload_type, codec) = self.format(entry)?;
        let payload = encoding.history.payload(entry).ok_or(DropReason::Expired)?;
        let (placed, offsets) = self.place((entry, verdict), codec, payload)?;
        let section = self.section;
        // RFC 3551 §4.1: sound that begins anew carries the marker.
        let begins = placed.first && encoding.kind == MediaKind::Audio;
        let copies = section.redundancy.copies(payload_type);
        let red = copies.and_then(|(red, copies)| {
            let which = (copies, placed.start);
            let wrapped = wrap(&encoding.history, entry, payload, payload_type, which)?;
            Some((red, wrapped))
        });
        let header = RtpHeader {
            payload_type: red.as_ref().map_or(payload_type, |(red, _)| *red),
            marker: entry.marker || begins || placed.ends_picture,
            sequence: low_16(placed.number),
            timestamp: entry.timestamp.wrapping_add(offsets.timestamp),
            ssrc: section.ssrc,
        };
        let stamps = stamps();
        let described = Described::of(encoding, entry, placed.change);
        let start = write_header(section, &header, &described, stamps, out)?;
        // What is the same for everybody is not copied.
        let is_as_it_came = red.is_none() && offsets.pictures.is_none();
        let is_shared = is_as_it_came && section.numbers.again().is_none();
        let written = match red {
            Some((_, red)) => {
                let place = out.get_mut(start..).ok_or(DropReason::TooLarge)?;
                let len = red.write(place).ok_or(DropReason::TooLarge)?;
                place.get(..len).unwrap_or_default()
            }
            None if is_shared => payload,
            None => write_payload(payload, codec, offsets.pictures, start, out)?,
        };
        if placed.newest {
            let shown = (self.key, entry.timestamp);
            section
                .timeline
                .sent(header.timestamp, (shown, entry.arrived_at), codec, written);
        }
        section.payload_type = payload_type;
        let first = section.report.count(now, written.len(), placed.first);
        if is_shared {
            let tail = share(payload, entry.pad, start, out).ok_or(DropReason::TooLarge)?;
            return Ok((start, tail, first));
        }
        let end = start + written.len();
        let len = level(out, end, entry);
        let packet = out.get(..len).ok_or(DropReason::TooLarge)?;
        section.numbers.went_out(placed.number, stamps, packet);
        Ok((len, Tail::default(), first))
    }

    /// What the section makes of a packet, where it is bound to it.
    fn verdict(&self, entry: &Entry) -> Option<Verdict> {
        let of = (self.key, self.encoding.serial);
        let binding = self.section.numbers.binding_of(of, entry.sequence)?;
        self.section.layers.verdict(binding, entry)
    }

    /// What a packet is coded in, and what the section calls that.
    fn format(&mut self, entry: &Entry) -> Result<(u8, Codec), DropReason> {
        let input = self.track.plan.payload(entry.payload_type);
        let (input, _) = input.ok_or(DropReason::UnknownPayloadType)?;
        let payload_type = self.section.payload_type_of(&input.format);
        let payload_type = payload_type.ok_or(DropReason::UnknownPayloadType)?;
        Ok((payload_type, input.format.codec))
    }

    /// The number of a packet, and what is added to what it says.
    fn place(
        &mut self,
        (entry, verdict): (&Entry, Option<Verdict>),
        codec: Codec,
        payload: &[u8],
    ) -> Result<(Placed, Offsets), DropReason> {
        let (encoding, clock_rate) = (self.encoding, codec.clock_rate());
        let before = self.before;
        let told = before.and_then(|it| encoding.taken_after(entry.timestamp, it, clock_rate));
        let timeline = self.section.timeline;
        self.section.numbers.place(
            (self.key, encoding.serial),
            (entry, verdict),
            (&encoding.history, &self.section.layers),
            |first| Offsets {
                timestamp: timeline.timestamp_offset(
                    entry.timestamp,
                    entry.arrived_at,
                    (clock_rate, told),
                    first,
                ),
                pictures: timeline.picture_offsets(codec, payload),
            },
        )
    }

    /// Writes outgoing packet `number` again: as a retransmission (RFC 4588 §4), or as it was.
    fn repeat(
        self,
        number: u64,
        stamps: impl FnOnce() -> Stamps,
        out: &mut [u8],
    ) -> Result<(usize, Seal), DropReason> {
        let Self {
            encoding, section, ..
        } = self;
        let repeated = section.numbers.repeated(number);
        let repeated = repeated.ok_or(DropReason::Expired)?;
        if (repeated.encoding, repeated.serial) != (self.key, encoding.serial) {
            return Err(DropReason::Expired);
        }
        let entry = encoding.history.get(repeated.input);
        let entry = entry.ok_or(DropReason::Expired)?;
        let payload = if repeated.is_filling {
            &[]
        } else {
            encoding.history.payload(entry).ok_or(DropReason::Expired)?
        };
        let plan = payload_plan(self.track, section, entry)?;
        let codec = plan.format.codec;
        let Some((payload_type, ssrc)) = plan.rtx.zip(section.rtx_ssrc) else {
            return again(section, plan, number, (encoding, entry, payload), out);
        };
        let header = RtpHeader {
            payload_type,
            marker: (entry.marker && !repeated.is_filling) || repeated.ends_picture,
            sequence: section.next_rtx_sequence(),
            timestamp: entry.timestamp.wrapping_add(repeated.offsets.timestamp),
            ssrc,
        };
        let value = (!repeated.is_filling).then_some((encoding, repeated.change));
        let described = Described { entry, value };
        let start = write_header(section, &header, &described, stamps(), out)?;
        let place = out.get_mut(start..start + 2).ok_or(DropReason::TooLarge)?;
        place.copy_from_slice(&low_16(number).to_be_bytes());
        write_payload(payload, codec, repeated.offsets.pictures, start + 2, out)?;
        Ok((start + 2 + payload.len(), Seal::Once))
    }
}

/// Writes outgoing packet `number` as it was, stamps and all.
fn again(
    section: &Section,
    plan: &PayloadPlan,
    number: u64,
    (encoding, entry, payload): (&Encoding, &Entry, &[u8]),
    out: &mut [u8],
) -> Result<(usize, Seal), DropReason> {
    let known = section.numbers.again().filter(|_| plan.nack);
    let known = known.ok_or(DropReason::Unsupported)?;
    let stamps = known.stamps(number).ok_or(DropReason::Expired)?;
    let repeated = section.numbers.repeated(number);
    let repeated = repeated.ok_or(DropReason::Expired)?;
    let header = RtpHeader {
        payload_type: plan.payload_type,
        marker: entry.marker || repeated.ends_picture,
        sequence: low_16(number),
        timestamp: entry.timestamp.wrapping_add(repeated.offsets.timestamp),
        ssrc: section.ssrc,
    };
    let described = Described::of(encoding, entry, repeated.change);
    let start = write_header(section, &header, &described, stamps, out)?;
    let (codec, pictures) = (plan.format.codec, repeated.offsets.pictures);
    write_payload(payload, codec, pictures, start, out)?;
    let len = level(out, start + payload.len(), entry);
    known.check(number, out.get(..len).ok_or(DropReason::TooLarge)?)?;
    let transport_sequence = stamps.transport_sequence;
    Ok((len, Seal::Again { transport_sequence }))
}

/// Makes a packet as long as those it leaves with; its length. Inside the encryption, so that only
/// its receiver sees it.
fn level(out: &mut [u8], len: usize, entry: &Entry) -> usize {
    let target = len + usize::from(entry.pad);
    if pad(out, len, target) { target } else { len }
}

/// The same of a payload that stays where it is, behind a header of `start` bytes. `None` where
/// `out` has no room for both.
fn share<'a>(payload: &'a [u8], pad: u8, start: usize, out: &mut [u8]) -> Option<Tail<'a>> {
    let room = out.len().checked_sub(start + payload.len())?;
    let padding = if room < pad.into() { 0 } else { pad };
    if padding > 0 {
        mark_padded(out);
    }
    Some(Tail {
        bytes: payload,
        padding,
    })
}

/// Fills a number that was kept for an input which turned out to be padding.
fn fill(
    section: &mut Section,
    (key, encoding): (EncodingKey, &Encoding),
    (entry, verdict): (&Entry, Option<Verdict>),
    stamps: impl FnOnce() -> Stamps,
    out: &mut [u8],
) -> Result<usize, DropReason> {
    let nothing = |_| Offsets {
        timestamp: 0,
        pictures: PictureOffsets::default(),
    };
    let place = (key, encoding.serial);
    let (placed, offsets) = section.numbers.place(
        place,
        (entry, verdict),
        (&encoding.history, &section.layers),
        nothing,
    )?;
    let header = RtpHeader {
        payload_type: section.payload_type,
        marker: false,
        sequence: low_16(placed.number),
        timestamp: entry.timestamp.wrapping_add(offsets.timestamp),
        ssrc: section.ssrc,
    };
    let bare = Described { entry, value: None };
    let len = write_header(section, &header, &bare, stamps(), out)?;
    if pad(out, len, len + 1) {
        Ok(len + 1)
    } else {
        Err(DropReason::TooLarge)
    }
}

/// What a section calls what a packet is coded in.
fn payload_plan<'a>(
    track: &Track,
    section: &'a Section,
    entry: &Entry,
) -> Result<&'a PayloadPlan, DropReason> {
    let (input, _) = track
        .plan
        .payload(entry.payload_type)
        .ok_or(DropReason::UnknownPayloadType)?;
    section
        .plan
        .for_format(&input.format)
        .ok_or(DropReason::UnknownPayloadType)
}

/// A packet with its dependency descriptor.
struct Described<'a> {
    entry: &'a Entry,
    value: Option<(&'a Encoding, FrameChange)>,
}

impl<'a> Described<'a> {
    const fn of(encoding: &'a Encoding, entry: &'a Entry, change: FrameChange) -> Self {
        Self {
            entry,
            value: Some((encoding, change)),
        }
    }

    /// Its publisher described it.
    const fn is_described(&self) -> bool {
        self.value.is_some() && self.entry.descriptor > 0
    }

    /// As the receiver is told it; empty: it has none.
    fn write<'o>(&self, out: &'o mut [u8]) -> &'o [u8] {
        let Some((encoding, change)) = self.value else {
            return &[];
        };
        let value = encoding.history.descriptor(self.entry);
        let len = change.write(value, &self.entry.frame, &encoding.frames, out);
        out.get(..len).unwrap_or_default()
    }
}

/// The rid is the publisher's affair; what an m-line did not negotiate is left out by its map.
fn write_header(
    section: &Section,
    header: &RtpHeader,
    described: &Described<'_>,
    stamps: Stamps,
    out: &mut [u8],
) -> Result<usize, DropReason> {
    let entry = described.entry;
    let is_plain = entry.passed.is_plain() && !described.is_described();
    if is_plain && section.playout.value().is_none() {
        let filling = Filling {
            audio_level: entry.passed.audio_level,
            abs_send_time: stamps.abs_send_time,
            transport_sequence: stamps.transport_sequence,
        };
        if let Some(len) = section.header.write(header, &filling, out) {
            return Ok(len);
        }
    }
    let mut room;
    let own: &[u8] = if described.is_described() {
        room = [0; u8::MAX as usize];
        described.write(&mut room)
    } else {
        &[]
    };
    let values = ExtensionValues {
        mid: Some(section.plan.mid),
        rid: None,
        repaired_rid: None,
        audio_level: entry.passed.audio_level,
        abs_send_time: Some(stamps.abs_send_time),
        transport_sequence: stamps.transport_sequence,
        orientation: entry.passed.orientation,
        playout_delay: {
            let asked = || section.playout.value();
            entry.passed.playout_delay.or_else(asked)
        },
        abs_capture_time: entry.passed.abs_capture_time,
    };
    header
        .write_described(&values, own, &section.plan.extensions, out)
        .ok_or(DropReason::TooLarge)
}

/// Copies a payload behind its header and makes its picture numbers the section's.
fn write_payload<'a>(
    payload: &[u8],
    codec: Codec,
    pictures: PictureOffsets,
    start: usize,
    out: &'a mut [u8],
) -> Result<&'a [u8], DropReason> {
    let place = out
        .get_mut(start..start + payload.len())
        .ok_or(DropReason::TooLarge)?;
    place.copy_from_slice(payload);
    pictures.apply(codec, place);
    Ok(place)
}

const fn low_16(number: u64) -> u16 {
    let [.., high, low] = number.to_be_bytes();
    u16::from_be_bytes([high, low])
}

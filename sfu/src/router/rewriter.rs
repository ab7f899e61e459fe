//! A packet written for its section, in plaintext, straight from the history.

use slab::Slab;

use crate::error::DropReason;
use crate::id::EncodingKey;
use crate::router::again::Stamps;
use crate::router::decode_target::FrameChange;
use crate::router::encoding::Encoding;
use crate::router::forwarder::{PictureOffsets, Timeline};
use crate::router::history::Entry;
use crate::router::layers::Verdict;
use crate::router::redundancy::wrap;
use crate::router::repair::RepairBudget;
use crate::router::section::{Offsets, Placed, Section, Stance, Tied};
use crate::router::ticket::{Ticket, TicketClass, TicketQueue};
use crate::router::touch;
use crate::router::track::Track;
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
    /// sealed. Where anything follows, what is in the slot is a header and no more.
    pub tail: Tail<'a>,
    /// Whether its number is a new one.
    pub seal: Seal,
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

/// Tickets of one member that have class, section and encoding in common, in their order: what is the
/// same for all of them is looked up once.
#[derive(Debug)]
pub struct Rewriter<'a> {
    now: Instant,
    /// The first ticket; the others are like it.
    first: Ticket,
    queue: &'a mut TicketQueue,
    /// Packets of all members that wait.
    waiting: &'a mut usize,
    repairs: &'a mut RepairBudget,
    dues: (&'a mut Vec<Instant>, &'a mut Instant),
    track: &'a Track,
    encoding: &'a Encoding,
    encodings: &'a Slab<Encoding>,
    section: &'a mut Section,
    wants_sequence: bool,
    /// By what a packet is called that came as this payload type.
    format: Option<(u8, (u8, Codec))>,
    /// The packet before, where the next one may be written like it.
    model: Option<Model<'a>>,
}

/// A packet of a picture with nothing unusual in its header. What [`continues`](Entry::continues) it is
/// not looked at anew, but for its number, marker and payload.
#[derive(Clone, Copy, Debug)]
struct Model<'a> {
    entry: &'a Entry,
    place: usize,
    verdict: Verdict,
    header: RtpHeader,
    codec: Codec,
    pictures: PictureOffsets,
}

impl Model<'_> {
    fn serves(&self, entry: &Entry) -> bool {
        entry.continues(self.entry)
            && entry.payload_type == self.entry.payload_type
            && entry.facts.ends_frame != Some(true)
            && is_plain(entry)
    }
}

impl<'a> Rewriter<'a> {
    pub(super) fn new(
        (now, first): (Instant, Ticket),
        (queue, waiting): (&'a mut TicketQueue, &'a mut usize),
        repairs: &'a mut RepairBudget,
        dues: (&'a mut Vec<Instant>, &'a mut Instant),
        (track, encoding, encodings): (&'a Track, &'a Encoding, &'a Slab<Encoding>),
        section: &'a mut Section,
    ) -> Self {
        let wants_sequence = section
            .plan
            .extensions
            .id(Extension::TransportWideCc)
            .is_some();
        Self {
            now,
            first,
            queue,
            waiting,
            repairs,
            dues,
            track,
            encoding,
            encodings,
            section,
            wants_sequence,
            format: None,
            model: None,
        }
    }

    /// Of all its packets.
    #[must_use]
    pub const fn class(&self) -> TicketClass {
        self.first.class()
    }

    /// Arrivals of its packets are told by SSRC and sequence number (RFC 8888).
    #[must_use]
    pub const fn is_reported(&self) -> bool {
        self.section.is_reported
    }

    /// Bytes of pictures and repairs that wait, at most: as [`Router::waiting_pictures`].
    ///
    /// [`Router::waiting_pictures`]: crate::router::Router::waiting_pictures
    #[must_use]
    pub fn waiting_pictures(&self) -> u64 {
        self.queue.picture_bytes()
    }

    /// The number of the next packet, for [`Rewriter::write`]. Have a slot before asking: it is given
    /// once. `None`: what follows is of another kind.
    pub fn take(&mut self) -> Option<u64> {
        let number = self.queue.take_like(&self.first)?;
        *self.waiting = self.waiting.saturating_sub(1);
        Some(number)
    }

    /// Whether the next packet is written like the last.
    #[cfg(test)]
    pub(super) fn is_alike(&self, number: u64) -> bool {
        let entry = self.encoding.history.get(number);
        let model = self.model.as_ref().zip(entry);
        model.is_some_and(|(model, entry)| model.serves(entry))
    }

    /// Writes the packet of a number that was taken, in plaintext. `transport_sequence` is asked for
    /// only where the number will be used; `abs_send` is 6.18 fixed point.
    ///
    /// # Errors
    /// Why the ticket is void; the slot may be used for another.
    pub fn write(
        &mut self,
        number: u64,
        transport_sequence: impl FnOnce() -> u16,
        abs_send: u32,
        out: &mut [u8],
    ) -> Result<Rewritten<'a>, DropReason> {
        let wants_sequence = self.wants_sequence;
        let stamps = || Stamps {
            transport_sequence: wants_sequence.then(transport_sequence),
            abs_send_time: abs_send,
        };
        if self.class() == TicketClass::Repair {
            let (len, seal) = self.repeat(number, stamps, out)?;
            let tail = Tail::default();
            return Ok(Rewritten { len, tail, seal });
        }
        let (len, tail) = self.packet(number, stamps, out)?;
        self.repairs.sent(len + tail.len());
        let seal = Seal::Once;
        Ok(Rewritten { len, tail, seal })
    }

    /// Writes an input packet. The length of what is written, and what follows it.
    fn packet(
        &mut self,
        input: u64,
        stamps: impl FnOnce() -> Stamps,
        out: &mut [u8],
    ) -> Result<(usize, Tail<'a>), DropReason> {
        let encoding = self.encoding;
        let entry = encoding.history.get(input).ok_or(DropReason::Expired)?;
        // What came empty has none, and yet a number that was kept for it.
        let payload = match encoding.history.payload(entry) {
            Some(payload) => payload,
            None if entry.empty => &[],
            None => return Err(DropReason::Expired),
        };
        if self.fits_model(entry)
            && let Some(model) = &self.model
        {
            return write_like((self.now, self.section), model, payload, stamps(), out);
        }
        self.model = None;
        let of = (self.first.encoding, encoding.serial);
        let tied = self.section.numbers.tied(of, input);
        // What the section makes of it, where it is bound to it.
        let verdict = tied.and_then(|tied| self.section.layers.verdict(tied.binding, entry));
        // Of some there is no more to send than their number.
        if entry.empty || verdict.is_some_and(|verdict| !verdict.passes) {
            let of = (tied, encoding);
            let len = fill(self.section, of, (entry, verdict), stamps, out)?;
            return Ok((len, Tail::default()));
        }
        self.write_anew((entry, payload), (tied, verdict), stamps, out)
    }

    /// Whether a packet is like the one before it; if so the model has its number and marker.
    fn fits_model(&mut self, entry: &'a Entry) -> bool {
        let Some(model) = self.model.as_mut().filter(|model| model.serves(entry)) else {
            return false;
        };
        let numbers = &mut self.section.numbers;
        let number = numbers.next_number(model.place, entry.sequence, &model.verdict);
        let Some(number) = number else {
            return false;
        };
        model.entry = entry;
        model.header.marker = entry.marker;
        model.header.sequence = low_16(number);
        true
    }

    /// Writes a packet that passes, unlike the one before it.
    fn write_anew(
        &mut self,
        (entry, payload): (&'a Entry, &'a [u8]),
        (tied, verdict): (Option<Tied>, Option<Verdict>),
        stamps: impl FnOnce() -> Stamps,
        out: &mut [u8],
    ) -> Result<(usize, Tail<'a>), DropReason> {
        let encoding = self.encoding;
        let (payload_type, codec) = self.format(entry)?;
        let (placed, offsets) = self.place(tied, (entry, verdict), codec, payload)?;
        let section = &mut *self.section;
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
        if entry.passed.orientation.is_some_and(|it| it != 0) {
            section.stance = Stance::Turned;
        }
        let described = Described::of(encoding, entry, placed.change);
        let start = write_header(section, &header, &described, stamps, out)?;
        // What is the same for everybody is not copied.
        let is_as_it_came = red.is_none() && offsets.pictures.is_none();
        let is_shared = is_as_it_came && section.numbers.again().is_none();
        let is_usual = red.is_none() && section.numbers.again().is_none() && section.is_plain();
        let is_model = is_usual && encoding.kind == MediaKind::Video && !placed.ends_picture;
        if is_model && placed.newest {
            self.model = tied.zip(verdict).map(|(tied, verdict)| Model {
                entry,
                place: tied.place,
                verdict,
                header,
                codec,
                pictures: offsets.pictures,
            });
        }
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
            let shown = (self.first.encoding, entry.timestamp);
            section
                .timeline
                .sent(header.timestamp, (shown, entry.arrived_at), codec, written);
        }
        section.payload_type = payload_type;
        if section.report.count(self.now, written.len(), placed.first) {
            let (dues, next) = &mut self.dues;
            touch(dues, next, section.member, Some(self.now));
        }
        if is_shared {
            let tail = share(payload, entry.pad, start, out).ok_or(DropReason::TooLarge)?;
            return Ok((start, tail));
        }
        let end = start + written.len();
        let len = level(out, end, entry);
        let packet = out.get(..len).ok_or(DropReason::TooLarge)?;
        section.numbers.went_out(placed.number, stamps, packet);
        Ok((len, Tail::default()))
    }

    /// What a packet is called as it is sent, and what it is coded in.
    fn format(&mut self, entry: &Entry) -> Result<(u8, Codec), DropReason> {
        if let Some((came_as, known)) = self.format
            && came_as == entry.payload_type
        {
            return Ok(known);
        }
        let input = self.track.plan.payload(entry.payload_type);
        let (input, _) = input.ok_or(DropReason::UnknownPayloadType)?;
        let payload_type = self.section.payload_type_of(&input.format);
        let payload_type = payload_type.ok_or(DropReason::UnknownPayloadType)?;
        let known = (payload_type, input.format.codec);
        self.format = Some((entry.payload_type, known));
        Ok(known)
    }

    /// The number of a packet, and what is added to what it says.
    fn place(
        &mut self,
        tied: Option<Tied>,
        (entry, verdict): (&Entry, Option<Verdict>),
        codec: Codec,
        payload: &[u8],
    ) -> Result<(Placed, Offsets), DropReason> {
        let (encoding, encodings) = (self.encoding, self.encodings);
        let own = self.first.encoding;
        let timeline = &self.section.timeline;
        let tie = |first| {
            let clock_rate = codec.clock_rate();
            let told = before(timeline, own, encoding, encodings)
                .and_then(|it| encoding.taken_after(entry.timestamp, it, clock_rate));
            Offsets {
                timestamp: timeline.timestamp_offset(
                    entry.timestamp,
                    entry.arrived_at,
                    (clock_rate, told),
                    first,
                ),
                pictures: timeline.picture_offsets(codec, payload),
            }
        };
        let known = (&encoding.history, &self.section.layers);
        self.section
            .numbers
            .place(tied, (entry, verdict), known, tie)
    }

    /// Writes outgoing packet `number` again: as a retransmission (RFC 4588 §4), or as it was.
    fn repeat(
        &mut self,
        number: u64,
        stamps: impl FnOnce() -> Stamps,
        out: &mut [u8],
    ) -> Result<(usize, Seal), DropReason> {
        let (encoding, section) = (self.encoding, &mut *self.section);
        let repeated = section.numbers.repeated(number);
        let repeated = repeated.ok_or(DropReason::Expired)?;
        if (repeated.encoding, repeated.serial) != (self.first.encoding, encoding.serial) {
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

/// Writes the packet of a model.
fn write_like<'a>(
    (now, section): (Instant, &mut Section),
    model: &Model<'a>,
    payload: &'a [u8],
    stamps: Stamps,
    out: &mut [u8],
) -> Result<(usize, Tail<'a>), DropReason> {
    let (entry, header) = (model.entry, &model.header);
    let filling = filling(entry, &stamps);
    let start = match section.header.write(header, &filling, out) {
        Some(start) => start,
        None => write_header(section, header, &Described::bare(entry), stamps, out)?,
    };
    section.timeline.also_sent(entry.arrived_at);
    // The report that goes with a binding's first packet went with that.
    section.report.count(now, payload.len(), false);
    if model.pictures.is_none() {
        let tail = share(payload, entry.pad, start, out).ok_or(DropReason::TooLarge)?;
        return Ok((start, tail));
    }
    write_payload(payload, model.codec, model.pictures, start, out)?;
    let len = level(out, start + payload.len(), entry);
    Ok((len, Tail::default()))
}

/// Another encoding of the track that was shown last, and its timestamp then.
fn before<'a>(
    timeline: &Timeline,
    own: EncodingKey,
    encoding: &Encoding,
    encodings: &'a Slab<Encoding>,
) -> Option<(&'a Encoding, u32)> {
    let (key, timestamp) = timeline.shown().filter(|&(key, _)| key != own)?;
    let before = encodings.get(key.index())?;
    (before.track == encoding.track).then_some((before, timestamp))
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
    (tied, encoding): (Option<Tied>, &Encoding),
    (entry, verdict): (&Entry, Option<Verdict>),
    stamps: impl FnOnce() -> Stamps,
    out: &mut [u8],
) -> Result<usize, DropReason> {
    let nothing = |_| Offsets {
        timestamp: 0,
        pictures: PictureOffsets::default(),
    };
    let (placed, offsets) = section.numbers.place(
        tied,
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
    let bare = Described::bare(entry);
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

    /// Its descriptor does not go along.
    const fn bare(entry: &'a Entry) -> Self {
        Self { entry, value: None }
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

/// Nothing but what a template holds is in its header.
const fn is_plain(entry: &Entry) -> bool {
    entry.passed.is_plain() && entry.descriptor == 0
}

const fn filling(entry: &Entry, stamps: &Stamps) -> Filling {
    Filling {
        audio_level: entry.passed.audio_level,
        abs_send_time: stamps.abs_send_time,
        transport_sequence: stamps.transport_sequence,
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
    if is_plain && section.is_plain() {
        let filling = filling(entry, &stamps);
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

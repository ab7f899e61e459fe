//! One outgoing m-line: its SSRCs, its numbering, what it remembers for repeats, its sender report.
//! It is bound to a track; the binding may change, the numbers run on.
//!
//! **Numbering.** A number is given when a packet departs. Within one binding the outgoing number
//! is the input's plus an offset, and the offset shrinks by one for each input that arrived and
//! will never be forwarded (padding, muted). An input that has *not* arrived when a newer one
//! departs keeps its number reserved: should it come yet, by a repair, it is sent under exactly
//! that number and lands in its place. So, per section and SSRC, every number is used at most once;
//! numbers lie without gaps over re-bindings; and each hole stands for an input that was lost on
//! its way to us (or here, by `queue_full`). A receiver asks for a hole as for any loss, and a
//! decoder sees that something is missing, which compacted numbers would hide from it. A reserved
//! number whose input turns out to be padding is filled with a packet of padding.
//!
//! **Repeats.** A NACK is answered from the shared history, in RTX form (RFC 4588), under the RTX
//! stream's own numbering. Where only generic NACK was negotiated the packet itself is sent again,
//! under its own number. That is the same SRTP index, and other bytes under it would break AES-GCM
//! (RFC 7714 §8.2): so it is written anew from the same history with the same stamps (transport
//! sequence, send time), and goes out only where it came out as it was.

use arrayvec::ArrayVec;

use crate::error::DropReason;
use crate::id::{EncodingKey, MemberKey, TrackKey};
use crate::limits::{BINDINGS_PER_SECTION, RETRANSMISSIONS_PER_PACKET, SENT_RING, SENT_RING_AUDIO};
use crate::prefetch::prefetch;
use crate::router::again::{Again, Stamps};
use crate::router::decode_target::FrameChange;
use crate::router::forwarder::{PictureOffsets, Timeline};
use crate::router::history::{Entry, History};
use crate::router::layers::{Layers, Verdict};
use crate::router::patience::{Patience, Shown};
use crate::router::playout::Playout;
use crate::router::redundancy::Redundancy;
use crate::router::selector::Selector;
use crate::router::sent::Sent;
use crate::router::subscription::Subscription;
use crate::router::track::Track;
use crate::sdp::negotiate::MediaPlan;
use crate::time::{Duration, Instant};
use crate::units::MediaKind;
use crate::wire::payload::{Codec, Format};
use crate::wire::template::HeaderTemplate;

/// A packet is not repeated twice within this, or within a round trip where that is shorter.
const REPEAT_WINDOW: Duration = Duration::from_millis(100);
/// Sender reports of pictures.
const REPORT_INTERVAL_VIDEO: Duration = Duration::from_secs(1);
/// Sender reports of sound.
const REPORT_INTERVAL_AUDIO: Duration = Duration::from_secs(2);

/// A section's tie to one encoding, from one packet on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binding {
    /// Tells bindings of a section apart.
    number: u16,
    pub(super) encoding: EncodingKey,
    serial: u32,
    /// The first input sequence.
    start: u64,
    anchor: Option<Anchor>,
}

/// How a binding's inputs become outputs, known once its first packet departs.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    /// Outgoing less input sequence, of inputs after `highest`.
    offset: i64,
    highest: u64,
    timestamp: u32,
    pictures: PictureOffsets,
}

/// The binding of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tied {
    pub(super) place: usize,
    /// Its number.
    pub(super) binding: u16,
}

/// Where a departing packet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) number: u64,
    /// Newer than all sent before.
    pub(super) newest: bool,
    /// The first of its binding.
    pub(super) first: bool,
    /// The input its binding starts with.
    pub(super) start: u64,
    /// It ends its picture as it is sent.
    pub(super) ends_picture: bool,
    /// What its dependency descriptor tells instead.
    pub(super) change: FrameChange,
}

/// What is to be added to a packet's input to send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offsets {
    pub(super) timestamp: u32,
    pub(super) pictures: PictureOffsets,
}

/// What a NACK asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) encoding: EncodingKey,
    /// As it was sent.
    pub(super) number: u64,
    /// As it came in.
    pub(super) input: u64,
    /// It was repeated already, and did not arrive.
    pub(super) is_again: bool,
}

/// What a repeat repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repeated {
    pub(super) encoding: EncodingKey,
    pub(super) serial: u32,
    pub(super) input: u64,
    pub(super) offsets: Offsets,
    /// Nothing was sent but the number: of what was left out a repeat shows nothing either.
    pub(super) is_filling: bool,
    /// It ended its picture as it was sent.
    pub(super) ends_picture: bool,
    /// What its dependency descriptor told instead.
    pub(super) change: FrameChange,
}

/// How pictures of a section have stood so far (3GPP TS 26.114 §7.4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stance {
    /// Upright, which goes without saying.
    Upright,
    /// Not always upright: from then on each packet says how.
    Turned,
}

/// One outgoing m-line.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) member: MemberKey,
    pub(super) ssrc: u32,
    pub(super) rtx_ssrc: Option<u32>,
    pub(super) plan: MediaPlan,
    pub(super) subscription: Option<Subscription>,
    /// What it shows is wanted however loud it is.
    pub(super) is_pinned: bool,
    pub(super) selector: Selector,
    /// Of the encoding that passes.
    pub(super) layers: Layers,
    /// The encoding it is given; none: the best there is.
    pub(super) target: Option<EncodingKey>,
    /// Its subscriber's path carries none of it: it waits, bound and closed.
    pub(super) starved: bool,
    pub(super) patience: Patience,
    pub(super) timeline: Timeline,
    pub(super) numbers: Numbers,
    pub(super) redundancy: Redundancy,
    pub(super) playout: Playout,
    /// Of packets of its plan that have nothing unusual.
    pub(super) header: HeaderTemplate,
    pub(super) report: ReportState,
    pub(super) stance: Stance,
    /// Payload type last sent, for filling.
    pub(super) payload_type: u8,
    rtx_sequence: u16,
    /// [`MediaPlan::reports_packets`] of its plan.
    pub(super) is_reported: bool,
    /// What [`Section::payload_type_of`] said last.
    asked: Option<(Format, u8)>,
}

impl Section {
    /// `first` are the first sequence number, timestamp and RTX sequence number.
    pub(super) fn new(
        member: MemberKey,
        plan: &MediaPlan,
        (ssrc, rtx_ssrc): (u32, Option<u32>),
        first: (u16, u32, u16),
    ) -> Self {
        let (first_sequence, first_timestamp, rtx_sequence) = first;
        let mut numbers = Numbers::new(first_sequence, first_timestamp, repeats(plan, rtx_ssrc));
        if repeats_itself(plan, rtx_ssrc) {
            numbers.keep_stamps();
        }
        let mut redundancy = Redundancy::default();
        redundancy.negotiated(plan);
        // Sound is plain unless copies are wanted.
        let mut plain = plan
            .payloads
            .iter()
            .filter(|p| p.format.codec != Codec::Red);
        let payload_type = plain.next().map_or(0, |p| p.payload_type);
        Self {
            member,
            ssrc,
            rtx_ssrc,
            plan: plan.clone(),
            subscription: None,
            is_pinned: false,
            selector: Selector::default(),
            layers: Layers::default(),
            target: None,
            starved: false,
            patience: Patience::default(),
            timeline: Timeline::default(),
            numbers,
            redundancy,
            playout: Playout::default(),
            header: HeaderTemplate::new(plan.mid, &plan.extensions),
            report: ReportState::default(),
            stance: Stance::Upright,
            payload_type,
            rtx_sequence,
            is_reported: plan.reports_packets(),
            asked: None,
        }
    }

    /// What it shows.
    pub(super) fn track(&self) -> Option<TrackKey> {
        self.subscription.map(|subscription| subscription.track)
    }

    /// The encoding it should show of `track`.
    pub(super) fn aim(&self, track: &Track) -> Option<EncodingKey> {
        self.target.or(track.best)
    }

    /// Bound and not paused: it shows something, if the path carries it.
    pub(super) fn is_wanted(&self) -> bool {
        self.subscription
            .is_some_and(|subscription| !subscription.paused)
    }

    /// What passes, by encoding and spatial layer.
    pub(super) fn shown(&self) -> Shown {
        let spatial = self.layers.shown().map_or(0, |layer| layer.spatial);
        self.selector.current().map(|encoding| (encoding, spatial))
    }

    /// Something passes.
    pub(super) fn is_open(&self) -> bool {
        self.is_wanted() && !self.starved
    }

    /// It was negotiated again.
    pub(super) fn negotiated(&mut self, plan: &MediaPlan) {
        self.plan = plan.clone();
        self.header = HeaderTemplate::new(plan.mid, &plan.extensions);
        self.is_reported = plan.reports_packets();
        self.asked = None;
        self.redundancy.negotiated(plan);
        if repeats_itself(plan, self.rtx_ssrc) {
            self.numbers.keep_stamps();
        }
    }

    /// What it calls `format`. The plan is elsewhere in memory, and has left the cache since the last
    /// frame: it is looked at once.
    pub(super) fn payload_type_of(&mut self, format: &Format) -> Option<u8> {
        if let Some((known, payload_type)) = self.asked
            && known == *format
        {
            return Some(payload_type);
        }
        let payload_type = self.plan.for_format(format)?.payload_type;
        self.asked = Some((*format, payload_type));
        Some(payload_type)
    }

    /// What has nothing unusual in its header comes from the template.
    pub(super) fn is_plain(&self) -> bool {
        self.stance == Stance::Upright && self.playout.value().is_none()
    }

    /// Whether a NACK is answered.
    pub(super) fn repeats(&self) -> bool {
        repeats(&self.plan, self.rtx_ssrc)
    }

    /// The next number of the RTX stream.
    pub(super) const fn next_rtx_sequence(&mut self) -> u16 {
        let sequence = self.rtx_sequence;
        self.rtx_sequence = sequence.wrapping_add(1);
        sequence
    }
}

/// Whether a NACK can be answered, one way or the other.
fn repeats(plan: &MediaPlan, rtx_ssrc: Option<u32>) -> bool {
    rtx_ssrc.is_some() && plan.retransmits() || repeats_itself(plan, rtx_ssrc)
}

/// Whether some packets are repeated as they were.
fn repeats_itself(plan: &MediaPlan, rtx_ssrc: Option<u32>) -> bool {
    let without = |rtx: Option<u8>| rtx.is_none() || rtx_ssrc.is_none();
    plan.payloads.iter().any(|p| p.nack && without(p.rtx))
}

/// What a sender report tells, and when the next is due.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReportState {
    pub(super) packets: u32,
    pub(super) bytes: u32,
    pub(super) due: Option<Instant>,
    /// What `packets` said in the last one.
    told: Option<u32>,
}

impl ReportState {
    /// A packet departs. True where a report should go with it: lip-sync waits for one after the
    /// very first packet, and after the `first` of a binding, whose clock is another.
    pub(super) fn count(&mut self, now: Instant, payload_bytes: usize, first: bool) -> bool {
        self.packets = self.packets.wrapping_add(1);
        let bytes = u32::try_from(payload_bytes).unwrap_or(0);
        self.bytes = self.bytes.wrapping_add(bytes);
        let first = first || self.due.is_none();
        if first {
            self.due = Some(now);
        }
        first
    }

    /// Nothing has left since the last report: one who does not send has none to make (RFC 3550
    /// §6.4).
    pub(super) fn rests(&self) -> bool {
        self.told == Some(self.packets)
    }

    /// A report was written.
    pub(super) fn reported(&mut self, now: Instant, kind: MediaKind) {
        self.told = Some(self.packets);
        self.due = Some(match kind {
            MediaKind::Audio => now + REPORT_INTERVAL_AUDIO,
            MediaKind::Video => now + REPORT_INTERVAL_VIDEO,
        });
    }
}

/// Outgoing numbers and what stands behind each.
#[derive(Debug)]
pub(super) struct Numbers {
    /// Made when something is bound: who is never shown anything needs none.
    ring: Box<[Sent]>,
    ring_length: usize,
    /// The next number never given; its low 16 bits go on the wire.
    next: u64,
    first_timestamp: u32,
    bindings: ArrayVec<Binding, BINDINGS_PER_SECTION>,
    next_binding: u16,
    again: Option<Again>,
}

impl Numbers {
    fn new(first_sequence: u16, first_timestamp: u32, repeats: bool) -> Self {
        let ring_length = if repeats { SENT_RING } else { SENT_RING_AUDIO };
        Self {
            ring: Box::default(),
            ring_length,
            // One lap above zero, so that a NACK's look back does not underflow.
            next: (1 << 16) | u64::from(first_sequence),
            first_timestamp,
            bindings: ArrayVec::new(),
            next_binding: 0,
            again: None,
        }
    }

    /// From now on what each packet went out with is remembered, so that it can go out again.
    fn keep_stamps(&mut self) {
        self.again.get_or_insert_default();
    }

    /// A packet went out under `number`, as `packet`.
    pub(super) fn went_out(&mut self, number: u64, stamps: Stamps, packet: &[u8]) {
        if let Some(again) = self.again.as_mut() {
            again.remember(number, stamps, packet);
        }
    }

    /// Asks for the places of the next four numbers.
    pub(super) fn prefetch_ring(&self) {
        let place = slot(&self.ring, self.next);
        let end = self.ring.len().min(place.saturating_add(4));
        prefetch(self.ring.get(place..end).unwrap_or_default());
    }

    /// What the packet under `number` went out with.
    pub(super) fn again(&self) -> Option<&Again> {
        self.again.as_ref()
    }

    /// From `start` on the section shows this encoding.
    pub(super) fn bind(&mut self, encoding: EncodingKey, serial: u32, start: u64) {
        if self.ring.is_empty() {
            self.ring = vec![Sent::default(); self.ring_length].into_boxed_slice();
        }
        if self.bindings.is_full() {
            self.bindings.remove(0);
        }
        self.bindings.push(Binding {
            number: self.next_binding,
            encoding,
            serial,
            start,
            anchor: None,
        });
        self.next_binding = self.next_binding.wrapping_add(1);
    }

    /// The number of the newest binding.
    pub(super) fn binding(&self) -> u16 {
        self.bindings.last().map_or(0, |binding| binding.number)
    }

    /// The newest input of the newest binding that has its number; those before it have theirs, or a
    /// place that is kept, or none.
    pub(super) fn departed(&self) -> u64 {
        let anchor = self.bindings.last().and_then(|binding| binding.anchor);
        anchor.map_or(0, |anchor| anchor.highest)
    }

    /// The binding that an input belongs to.
    pub(super) fn tied(&self, encoding: (EncodingKey, u32), input: u64) -> Option<Tied> {
        let is_of = |binding: &Binding| {
            (binding.encoding, binding.serial) == encoding && binding.start <= input
        };
        let place = self.bindings.iter().rposition(is_of)?;
        let binding = self.bindings.get(place)?.number;
        Some(Tied { place, binding })
    }

    /// The encodings behind these keys are gone: their packets can neither be sent nor repeated.
    pub(super) fn forget(&mut self, encoding: EncodingKey) {
        self.bindings.retain(|binding| binding.encoding != encoding);
    }

    /// Whatever was shown, nothing of it is sent or repeated any more.
    pub(super) fn forget_all(&mut self) {
        self.bindings.clear();
    }

    /// Gives `entry` its number; `verdict` is the [`Layers`]' of it. `tie` says what is added to the
    /// inputs of a binding that starts.
    ///
    /// # Errors
    /// `TooLate` where it has no place any more, `Duplicate` where it was sent, `Padding` where it
    /// has nothing to fill.
    pub(super) fn place(
        &mut self,
        tied: Option<Tied>,
        (entry, verdict): (&Entry, Option<Verdict>),
        (history, layers): (&History, &Layers),
        tie: impl FnOnce(u32) -> Offsets,
    ) -> Result<(Placed, Offsets), DropReason> {
        let input = entry.sequence;
        let place = tied.ok_or(DropReason::TooLate)?.place;
        let passing = verdict.filter(|verdict| verdict.passes && !entry.empty);
        if let Some(found) = passing.and_then(|verdict| self.follow(place, input, &verdict)) {
            return Ok(found);
        }
        let anchored = self.bindings.iter().rposition(|b| b.anchor.is_some());
        let overtaken = anchored.is_some_and(|anchored| place < anchored);
        let next = self.next;
        let first_timestamp = self.first_timestamp;
        let binding = self.bindings.get_mut(place).ok_or(DropReason::Bug)?;
        let first = binding.anchor.is_none();
        // What its section has left out fills a place that was kept for it, no more.
        let passes = !entry.empty && verdict.ok_or(DropReason::Expired)?.passes;
        let verdict = verdict.unwrap_or_default();
        if (first || overtaken) && !passes {
            return Err(DropReason::Padding);
        }
        let start = binding.start;
        let anchor = binding.anchor.get_or_insert_with(|| {
            let offsets = tie(first_timestamp);
            Anchor {
                offset: distance(next, start),
                highest: start.saturating_sub(1),
                timestamp: offsets.timestamp,
                pictures: offsets.pictures,
            }
        });
        let offsets = Offsets {
            timestamp: anchor.timestamp,
            pictures: anchor.pictures.less(verdict.dropped),
        };
        let (number, newest) = if input > anchor.highest && !overtaken {
            if !passes {
                return Err(DropReason::Padding);
            }
            (self.advance(place, input, (history, layers))?, true)
        } else {
            (self.fill(place, input)?, false)
        };
        self.note(number, verdict, passes);
        let placed = Placed {
            number,
            newest,
            first,
            start,
            ends_picture: passes && verdict.ends_picture,
            change: verdict.change,
        };
        Ok((placed, offsets))
    }

    /// As [`Numbers::place`], of the next input of the newest binding, which nearly every one is.
    fn follow(&mut self, place: usize, input: u64, verdict: &Verdict) -> Option<(Placed, Offsets)> {
        let number = self.next_number(place, input, verdict)?;
        let binding = self.bindings.get(place)?;
        let anchor = binding.anchor?;
        let placed = Placed {
            number,
            newest: true,
            first: false,
            start: binding.start,
            ends_picture: verdict.ends_picture,
            change: verdict.change,
        };
        let offsets = Offsets {
            timestamp: anchor.timestamp,
            pictures: anchor.pictures.less(verdict.dropped),
        };
        Some((placed, offsets))
    }

    /// The number of an input that passes, where it is the next one of the newest binding.
    #[inline]
    pub(super) fn next_number(
        &mut self,
        place: usize,
        input: u64,
        verdict: &Verdict,
    ) -> Option<u64> {
        let is_newest = place + 1 == self.bindings.len();
        let binding = self.bindings.get_mut(place).filter(|_| is_newest)?;
        let anchor = binding.anchor.as_mut()?;
        if input != anchor.highest + 1 {
            return None;
        }
        anchor.highest = input;
        let number = input.saturating_add_signed(anchor.offset);
        self.next = number + 1;
        let slot = slot(&self.ring, number);
        if let Some(sent) = self.ring.get_mut(slot) {
            *sent = Sent::new(number, input, binding.number, true);
            sent.note(verdict, true);
        }
        Some(number)
    }

    /// What stands behind a number that a NACK asks for. `None`: not sent, forgotten, asked again
    /// too soon, or too often.
    pub(super) fn asked(&self, now: Instant, sequence: u16, rtt: Duration) -> Option<Asked> {
        let newest = self.next.checked_sub(1)?;
        let [.., high, low] = newest.to_be_bytes();
        let back = u16::from_be_bytes([high, low]).wrapping_sub(sequence);
        let number = newest.checked_sub(u64::from(back))?;
        let sent = self.sent(number)?;
        let binding = self.bindings.iter().find(|b| b.number == sent.binding)?;
        // Who asks again after a round trip asks a little sooner now and then, as jitter has it.
        let window = rtt.min(REPEAT_WINDOW) * 3 / 4;
        let is_too_soon = sent.is_answered_within(now, window);
        if sent.answers >= RETRANSMISSIONS_PER_PACKET || is_too_soon {
            return None;
        }
        Some(Asked {
            encoding: binding.encoding,
            number,
            input: sent.input(binding.anchor?.highest),
            is_again: sent.answers > 0,
        })
    }

    /// A number that was asked for is answered.
    pub(super) fn answered(&mut self, now: Instant, number: u64) {
        let slot = slot(&self.ring, number);
        if let Some(sent) = self.ring.get_mut(slot) {
            sent.answer(now);
        }
    }

    /// What stands behind a number that was sent.
    pub(super) fn repeated(&self, number: u64) -> Option<Repeated> {
        let sent = self.sent(number)?;
        let binding = self.bindings.iter().find(|b| b.number == sent.binding)?;
        let anchor = binding.anchor?;
        Some(Repeated {
            encoding: binding.encoding,
            serial: binding.serial,
            input: sent.input(anchor.highest),
            offsets: Offsets {
                timestamp: anchor.timestamp,
                pictures: anchor.pictures.less(sent.dropped),
            },
            is_filling: sent.is_filling(),
            ends_picture: sent.ends_picture(),
            change: sent.change(),
        })
    }

    /// A repeat of `number` shall be like it.
    fn note(&mut self, number: u64, verdict: Verdict, passes: bool) {
        let slot = slot(&self.ring, number);
        if let Some(sent) = self.ring.get_mut(slot) {
            sent.note(&verdict, passes);
        }
    }

    /// What is added to the timestamps of an encoding that is shown now.
    pub(super) fn timestamp_offset(&self, encoding: EncodingKey, serial: u32) -> Option<u32> {
        let newest = self.bindings.iter().rev().find(|b| b.anchor.is_some())?;
        let is_it = (newest.encoding, newest.serial) == (encoding, serial);
        newest.anchor.filter(|_| is_it).map(|a| a.timestamp)
    }

    fn sent(&self, number: u64) -> Option<&Sent> {
        let sent = self.ring.get(slot(&self.ring, number))?;
        (sent.is(number) && sent.is_sent()).then_some(sent)
    }

    /// A number for an input newer than all: passes over what lies between.
    fn advance(
        &mut self,
        place: usize,
        input: u64,
        (history, layers): (&History, &Layers),
    ) -> Result<u64, DropReason> {
        let binding = self.bindings.get_mut(place).ok_or(DropReason::Bug)?;
        let number = binding.number;
        let anchor = binding.anchor.as_mut().ok_or(DropReason::Bug)?;
        let reserve = |ring: &mut [Sent], out: u64, input: u64, sent: bool| {
            let place = slot(ring, out);
            if let Some(place) = ring.get_mut(place) {
                *place = Sent::new(out, input, number, sent);
            }
        };
        if input - anchor.highest > self.ring.len() as u64 {
            // Too much is missing to keep places for: one hole says that something is.
            anchor.offset = distance(self.next + 1, input);
        } else {
            for between in anchor.highest + 1..input {
                let stays = |entry: &Entry| {
                    let verdict = layers.verdict(number, entry);
                    entry.empty || verdict.is_some_and(|verdict| !verdict.passes)
                };
                if history.get(between).is_some_and(stays) {
                    anchor.offset -= 1;
                } else {
                    let out = between.saturating_add_signed(anchor.offset);
                    reserve(&mut self.ring, out, between, false);
                }
            }
        }
        anchor.highest = input;
        let out = input.saturating_add_signed(anchor.offset);
        reserve(&mut self.ring, out, input, true);
        self.next = out + 1;
        Ok(out)
    }

    /// Whether a number is kept for an input that has not been sent.
    pub(super) fn keeps_place(&self, encoding: (EncodingKey, u32), input: u64) -> bool {
        let tied = self.tied(encoding, input);
        let place = tied.and_then(|tied| self.place_of(tied.place, input));
        let kept = place.and_then(|(_, place)| self.ring.get(place));
        kept.is_some_and(|kept| !kept.is_sent())
    }

    /// Where in the ring an input of a binding stands that has a number, or had one kept.
    fn place_of(&self, place: usize, input: u64) -> Option<(u64, usize)> {
        let binding = self.bindings.get(place)?;
        let anchor = binding.anchor.filter(|anchor| input <= anchor.highest)?;
        // Paddings only push it upwards from here.
        let from = input.saturating_add_signed(anchor.offset);
        let oldest = self.next.saturating_sub(self.ring.len() as u64);
        let mut places = (from.max(oldest)..self.next).map(|out| (out, slot(&self.ring, out)));
        let is_it = |&(out, place): &(u64, usize)| {
            let sent = self.ring.get(place);
            sent.is_some_and(|sent| {
                sent.is(out) && sent.binding == binding.number && sent.is_of(input)
            })
        };
        places.find(is_it)
    }

    /// The number that was kept for a late input.
    fn fill(&mut self, place: usize, input: u64) -> Result<u64, DropReason> {
        let (number, place) = self.place_of(place, input).ok_or(DropReason::TooLate)?;
        let sent = self.ring.get_mut(place).ok_or(DropReason::Bug)?;
        if !sent.send() {
            return Err(DropReason::Duplicate);
        }
        Ok(number)
    }
}

const _: () = assert!(SENT_RING.is_power_of_two() && SENT_RING_AUDIO.is_power_of_two());

/// By a mask, which costs less than the remainder it stands for.
fn slot(ring: &[Sent], number: u64) -> usize {
    usize::try_from(number & (ring.len() as u64).wrapping_sub(1)).unwrap_or(usize::MAX)
}

/// `a - b` of two sequences, which lie far below 2^63.
fn distance(a: u64, b: u64) -> i64 {
    a.wrapping_sub(b).cast_signed()
}

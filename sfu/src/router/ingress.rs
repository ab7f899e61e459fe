//! The way in: one decrypted packet to its encoding, into its history, and, once its frame is
//! gathered, as tickets to every section that takes it.
//!
//! A packet finds its encoding by SSRC. An unknown SSRC is learned once: by declaration, by mid
//! with rid or repaired rid, or by a payload type that only one m-line of the member has
//! (RFC 9143 §9.2).

use arrayvec::ArrayVec;

use crate::error::DropReason;
use crate::id::{EncodingKey, MemberKey, Rid, TrackKey};
use crate::limits::{RED_BLOCKS, SSRCS_PER_TRANSPORT};
use crate::router::encoding::{Arrival, Encoding, Origin};
use crate::router::history::{Entry, PagePool, Passed};
use crate::router::layers::Layering;
use crate::router::loudest::gate::hear;
use crate::router::member::{Member, Source};
use crate::router::redundancy::place;
use crate::router::track::Track;
use crate::router::{Router, member_mut, touch};
use crate::sdp::negotiate::PayloadPlan;
use crate::time::{Duration, Instant};
use crate::units::{Layer, MediaKind};
use crate::wheel::soonest;
use crate::wire::extension::{ExtensionValues, descriptor};
use crate::wire::payload::red::{Block, Red};
use crate::wire::payload::{Codec, Format, describe, heights, vp8};
use crate::wire::rtp::RtpPacket;

/// A publisher is told early how its packets arrive.
const FIRST_REPORT: Duration = Duration::from_millis(100);

/// What `route` made of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Routed {
    /// Transport-wide sequence number, where the packet carried one: for the arrival log, whatever
    /// became of the packet.
    pub transport_sequence: Option<u16>,
    /// SSRC and sequence number, where its sender is told of those (RFC 8888).
    pub reported: Option<(u32, u16)>,
    /// It reached its track. False with no `dropped`: consumed (padding).
    pub forwarded: bool,
    /// Why it went no further.
    pub dropped: Option<DropReason>,
}

/// A packet with what it came with.
struct Input<'a> {
    now: Instant,
    arrived_at: Instant,
    member: MemberKey,
    packet: RtpPacket<'a>,
    values: ExtensionValues,
    /// The dependency descriptor; empty where there is none.
    descriptor: &'a [u8],
}

/// What an unknown SSRC turns out to be.
enum Learned {
    Stream(TrackKey, Origin),
    RepairOf(EncodingKey),
}

/// A packet of an encoding, be it the original or its repeat.
pub(super) struct Media<'a> {
    pub(super) payload_type: u8,
    pub(super) format: Format,
    /// Its gaps are worth asking for.
    pub(super) repairs: bool,
    pub(super) repeat: bool,
    pub(super) number: u16,
    pub(super) payload: &'a [u8],
    /// Copies of earlier packets.
    pub(super) copies: ArrayVec<Block<'a>, RED_BLOCKS>,
}

/// When a packet came, and what it says of itself beside its content: over a transport or a port.
pub(super) struct Arrived<'a> {
    pub(super) now: Instant,
    pub(super) arrived_at: Instant,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    /// Whether what is gathered leaves with it; none: that is to be seen by the packet.
    pub(super) leaves: Option<bool>,
    pub(super) passed: Passed,
    pub(super) descriptor: &'a [u8],
}

impl<'a> From<&Input<'a>> for Arrived<'a> {
    fn from(input: &Input<'a>) -> Self {
        let values = &input.values;
        Self {
            now: input.now,
            arrived_at: input.arrived_at,
            timestamp: input.packet.timestamp(),
            marker: input.packet.marker(),
            leaves: None,
            passed: Passed {
                audio_level: values.audio_level,
                orientation: values.orientation,
                playout_delay: values.playout_delay,
                abs_capture_time: values.abs_capture_time,
            },
            descriptor: input.descriptor,
        }
    }
}

impl Router {
    /// One decrypted RTP packet of a member.
    ///
    /// # Errors
    /// Only where the header cannot be read or the member is not there; all else is in [`Routed`].
    pub fn route(
        &mut self,
        now: Instant,
        arrived_at: Instant,
        member: MemberKey,
        bytes: &[u8],
        pages: &mut PagePool,
    ) -> Result<Routed, DropReason> {
        let packet = RtpPacket::parse(bytes)?;
        let publisher = self.member(member).ok_or(DropReason::UnknownTrack)?;
        let values = ExtensionValues::read(&packet, &publisher.extensions);
        let reported = publisher.is_reported;
        let reported = reported.then(|| (packet.ssrc(), packet.sequence()));
        let input = Input {
            now,
            arrived_at,
            member,
            packet,
            values,
            descriptor: descriptor(&packet, &publisher.extensions),
        };
        let (forwarded, dropped) = match self.accept(&input, pages) {
            Ok(forwarded) => (forwarded, None),
            Err(reason) => (false, Some(reason)),
        };
        Ok(Routed {
            transport_sequence: values.transport_sequence,
            reported,
            forwarded,
            dropped,
        })
    }

    /// True: it reached its track. False: consumed.
    fn accept(&mut self, input: &Input<'_>, pages: &mut PagePool) -> Result<bool, DropReason> {
        let key = self.source(input, pages)?;
        let source = key.encoding;
        let publisher = self.member(input.member);
        if publisher.is_some_and(|found| found.report_due.is_none()) {
            self.report_soon(input);
        }
        let encoding = self.encodings.get(source.index());
        let track = encoding.and_then(|encoding| self.tracks.get(encoding.track.index()));
        let track = track.ok_or(DropReason::UnknownTrack)?;
        match read(track, input, key.repair)? {
            Some(media) => self.take_in(source, &Arrived::from(input), &media, pages),
            None => Ok(false),
        }
    }

    /// A packet of an encoding, wherever from. True: it reached its track. False: consumed.
    pub(super) fn take_in(
        &mut self,
        source: EncodingKey,
        input: &Arrived<'_>,
        media: &Media<'_>,
        pages: &mut PagePool,
    ) -> Result<bool, DropReason> {
        let is_shut = self.ends_at_door(source);
        let encoding = self
            .encodings
            .get_mut(source.index())
            .ok_or(DropReason::UnknownTrack)?;
        let track = self
            .tracks
            .get_mut(encoding.track.index())
            .ok_or(DropReason::UnknownTrack)?;
        let member = encoding.member;
        let publisher = self.members.get(member.index()).and_then(Option::as_ref);
        let rtt = publisher.map_or(Duration::ZERO, |found| found.rtt);
        let stops = if track.is_silent() {
            Some(DropReason::Muted)
        } else {
            is_shut.then_some(DropReason::Quieter)
        };
        let of = (member, encoding.track);
        let is_sound = encoding.kind == MediaKind::Audio && !track.is_silent();
        let received = receive(encoding, stops, input, media, pages);
        // Gaps that this packet showed, or a hopeless loss, are asked for soon.
        let due = soonest([encoding.nack.next_due(rtt), encoding.keyframe.next_due()]);
        touch(&mut self.dues, &mut self.due_next, member, due);
        let is_new = matches!(received, Ok((Arrival::New(_), _)));
        if is_sound && (is_new || received == Err(DropReason::Quieter)) {
            let level = input.passed.audio_level.map(|(level, _)| level);
            let ears = (&mut self.speakers, &mut self.loudest);
            hear(input.now, ears, of, level, media.payload.len());
        }
        let (_, entry) = received?;
        let recovered = recover(encoding, media, &entry, pages);
        if is_new && !media.repeat && !entry.empty && track.comes_in(input.now, media.format) {
            self.changed.push(encoding.track);
        }
        let leaves = is_new
            && !entry.empty
            && encoding.hold(
                input.now,
                entry.sequence,
                input.leaves.unwrap_or_else(|| ends(encoding.kind, &entry)),
            );
        // They belong before it.
        if !recovered.is_empty() {
            self.offer(input.now, source, &recovered);
        }
        if entry.empty {
            // Where a place was kept for it, it is filled.
            if is_new {
                self.offer_to_ports(input.now, source, &[entry.sequence]);
            } else {
                self.offer(input.now, source, &[entry.sequence]);
            }
            return Ok(false);
        }
        if is_new {
            self.held += 1;
            self.schedule_release(input.now, source, leaves);
        } else {
            self.offer(input.now, source, &[entry.sequence]);
        }
        Ok(true)
    }

    /// The encoding a packet belongs to.
    fn source(&mut self, input: &Input<'_>, pages: &mut PagePool) -> Result<Source, DropReason> {
        let publisher = self.member(input.member).ok_or(DropReason::UnknownTrack)?;
        let ssrc = input.packet.ssrc();
        if let Some(source) = publisher.source(ssrc) {
            return Ok(source);
        }
        if publisher.is_barred(ssrc) {
            return Err(DropReason::UnknownTrack);
        }
        if publisher.sources.len() >= SSRCS_PER_TRANSPORT {
            return Err(DropReason::LimitReached);
        }
        let learned = self.learn(publisher, input)?;
        let source = match learned {
            Learned::RepairOf(encoding) => Source {
                ssrc,
                encoding,
                repair: true,
            },
            Learned::Stream(track, origin) => Source {
                ssrc,
                encoding: self.begin(input, track, origin, pages)?,
                repair: false,
            },
        };
        if let Some(publisher) = member_mut(&mut self.members, input.member) {
            publisher.add_source(source);
        }
        Ok(source)
    }

    /// A publisher of whom nothing was heard for a while, or ever, is told how its packets arrive.
    fn report_soon(&mut self, input: &Input<'_>) {
        let first_report = input.now + FIRST_REPORT;
        if let Some(publisher) = member_mut(&mut self.members, input.member) {
            publisher.report_due = Some(first_report);
        }
        self.touch(input.member, first_report);
    }

    fn learn(&self, publisher: &Member, input: &Input<'_>) -> Result<Learned, DropReason> {
        let ssrc = input.packet.ssrc();
        let tracks = || {
            publisher
                .tracks
                .iter()
                .filter_map(|&key| Some((key, self.track(key)?)))
        };
        for (key, track) in tracks() {
            for &(main, rtx) in &track.plan.ssrcs {
                if main == ssrc {
                    return Ok(Learned::Stream(key, Origin::Declared));
                }
                if rtx == Some(ssrc) {
                    let main = publisher.source(main).ok_or(DropReason::UnknownTrack)?;
                    return Ok(Learned::RepairOf(main.encoding));
                }
            }
        }
        let payload_type = input.packet.payload_type();
        let (key, track) = match input.values.mid {
            Some(mid) => tracks().find(|(_, track)| track.mid() == mid),
            None => {
                let mut with = tracks().filter(|(_, t)| t.plan.payload(payload_type).is_some());
                with.next().filter(|_| with.next().is_none())
            }
        }
        .ok_or(DropReason::UnknownTrack)?;
        let (_, repair) = track
            .plan
            .payload(payload_type)
            .ok_or(DropReason::UnknownPayloadType)?;
        let known = |rid: Rid| track.plan.rids.contains(&rid);
        if repair {
            // RFC 8852 §3.2; without simulcast there is only one it can repair.
            let rid = input.values.repaired_rid.or(input.values.rid);
            let origin = rid
                .filter(|&rid| known(rid))
                .map_or(Origin::Only, Origin::Rid);
            let main = self.encoding_of(track, origin);
            let main = main.or_else(|| {
                track
                    .encodings
                    .first()
                    .copied()
                    .filter(|_| track.encodings.len() == 1)
            });
            return main.map(Learned::RepairOf).ok_or(DropReason::UnknownTrack);
        }
        match input.values.rid {
            Some(rid) if known(rid) => Ok(Learned::Stream(key, Origin::Rid(rid))),
            None | Some(_) if track.plan.rids.is_empty() => Ok(Learned::Stream(key, Origin::Only)),
            None | Some(_) => Err(DropReason::UnknownTrack),
        }
    }

    /// A stream begins: a new encoding, or one whose publisher changed its SSRC.
    fn begin(
        &mut self,
        input: &Input<'_>,
        track: TrackKey,
        origin: Origin,
        pages: &mut PagePool,
    ) -> Result<EncodingKey, DropReason> {
        let planned = self.track(track).map(|track| &track.plan.rids);
        let is_planned = |rid: &Rid| planned.is_some_and(|rids| rids.contains(rid));
        let rid = input.values.rid.filter(is_planned);
        let of = (track, input.member);
        let key = self.begin_encoding(input.now, of, (origin, input.packet.ssrc()), pages)?;
        if let Some(encoding) = self.encodings.get_mut(key.index()) {
            encoding.rid = rid;
        }
        Ok(key)
    }

    /// Notes when what an encoding holds must leave; lets it leave where it should now.
    fn schedule_release(&mut self, now: Instant, key: EncodingKey, leaves: bool) {
        if leaves {
            self.release(now, key);
            return;
        }
        let Some(encoding) = self.encodings.get(key.index()) else {
            return;
        };
        if let Some(due) = encoding.hold_due.filter(|_| encoding.held.len() == 1) {
            let holds = match encoding.kind {
                MediaKind::Audio => &mut self.holds_audio,
                MediaKind::Video => &mut self.holds_video,
            };
            holds.push_back((due, key));
        }
    }

    /// What an encoding has gathered becomes tickets.
    pub(super) fn release(&mut self, now: Instant, key: EncodingKey) {
        let Some(encoding) = self.encodings.get_mut(key.index()) else {
            return;
        };
        let mut gathered = std::mem::take(&mut encoding.held);
        encoding.hold_due = None;
        self.held -= gathered.len();
        // Order within what was gathered is mended here for nothing.
        gathered.sort_unstable();
        encoding.history.level(&gathered);
        self.offer(now, key, &gathered);
    }
}

/// Whether a packet ends what its encoding gathers.
const fn ends(kind: MediaKind, entry: &Entry) -> bool {
    matches!(kind, MediaKind::Video) && entry.marker
}

/// What a packet carries, its retransmission taken out of its wrapping (RFC 4588 §4). `None`: an
/// RTX packet without content, which only probes.
fn read<'a>(
    track: &Track,
    input: &Input<'a>,
    repair: bool,
) -> Result<Option<Media<'a>>, DropReason> {
    let packet = input.packet;
    let (plan, repeat): (&PayloadPlan, bool) = track
        .plan
        .payload(packet.payload_type())
        .ok_or(DropReason::UnknownPayloadType)?;
    if repeat != repair {
        return Err(DropReason::UnknownPayloadType);
    }
    let (number, payload) = if repair {
        match packet.payload().split_first_chunk::<2>() {
            Some((number, payload)) => (u16::from_be_bytes(*number), payload),
            None if packet.payload().is_empty() => return Ok(None),
            None => return Err(DropReason::Malformed),
        }
    } else {
        (packet.sequence(), packet.payload())
    };
    let mut media = Media {
        payload_type: plan.payload_type,
        format: plan.format,
        repairs: plan.nack,
        repeat,
        number,
        payload,
        copies: ArrayVec::new(),
    };
    if plan.format.codec == Codec::Red && !payload.is_empty() {
        unwrap(track, &mut media)?;
    }
    Ok(Some(media))
}

/// Takes RED apart: inside the house sound is plain (see `redundancy`).
fn unwrap(track: &Track, media: &mut Media<'_>) -> Result<(), DropReason> {
    let red = Red::parse(media.payload)?;
    let (inside, _) = track
        .plan
        .payload(red.primary.payload_type)
        .filter(|(plan, _)| plan.format.codec == Codec::Opus)
        .ok_or(DropReason::UnknownPayloadType)?;
    media.payload_type = inside.payload_type;
    media.format = inside.format;
    media.repairs |= inside.nack;
    media.payload = red.primary.bytes;
    media.copies = red.redundant;
    media
        .copies
        .retain(|copy| copy.payload_type == inside.payload_type && !copy.bytes.is_empty());
    Ok(())
}

/// Takes in what was missing and is among the copies that a packet brought.
fn recover(
    encoding: &mut Encoding,
    media: &Media<'_>,
    newest: &Entry,
    pages: &mut PagePool,
) -> ArrayVec<u64, RED_BLOCKS> {
    let mut found = ArrayVec::new();
    for copy in &media.copies {
        let timestamp = newest.timestamp.wrapping_sub(copy.offset);
        let sequence = place(&encoding.history, newest, timestamp, &media.copies);
        let Some(sequence) = sequence.filter(|it| encoding.recover(*it).is_ok()) else {
            continue;
        };
        let mut entry = Entry::new(sequence, timestamp, newest.arrived_at);
        entry.payload_type = media.payload_type;
        if encoding.history.insert(entry, copy.bytes, pages) {
            found.push(sequence);
        }
    }
    found
}

/// Takes a packet into its encoding: statistics, gaps, history. `stops`: why it goes no further.
fn receive(
    encoding: &mut Encoding,
    stops: Option<DropReason>,
    input: &Arrived<'_>,
    media: &Media<'_>,
    pages: &mut PagePool,
) -> Result<(Arrival, Entry), DropReason> {
    let arrival = if media.repeat {
        encoding.repair(media.number)?
    } else {
        encoding.receive(input.now, media.number, media.repairs && stops.is_none())?
    };
    let (Arrival::New(sequence) | Arrival::Late(sequence)) = arrival;
    let timestamp = input.timestamp;
    let mut entry = Entry::new(sequence, timestamp, input.arrived_at);
    entry.payload_type = media.payload_type;
    entry.marker = input.marker;
    if stops.is_some() || media.payload.is_empty() {
        encoding.history.insert_empty(entry);
        return stops.map_or(Ok((arrival, entry)), Err);
    }
    encoding.orientation = input.passed.orientation.or(encoding.orientation);
    entry.passed = Passed {
        // Said on every packet, so that late joiners know and sizes within a frame are equal.
        orientation: encoding.orientation,
        ..input.passed
    };
    judge(encoding, &mut entry, input.descriptor, media);
    entry.empty = false;
    let described = match entry.layering {
        Layering::Descriptor => input.descriptor,
        Layering::None | Layering::Vp8 | Layering::Vp9 => &[],
    };
    let history = &mut encoding.history;
    if !history.insert_described(entry, described, media.payload, pages) {
        return Err(DropReason::LimitReached);
    }
    let keyframe_before = encoding.keyframe_at;
    if entry.facts.keyframe || entry.starts {
        encoding.keyframe_at = Some(timestamp);
    }
    // Of some codecs only its first packet says what it belongs to.
    let is_key = encoding.keyframe_at == Some(timestamp);
    let bytes = media.payload.len() as u64;
    encoding.flow.count(input.arrived_at, bytes, is_key);
    if is_key {
        let begins = keyframe_before != Some(timestamp);
        encoding.keyframe_size.count(bytes, begins);
    }
    if encoding.kind == MediaKind::Video {
        measure(encoding, &entry, is_key, media);
    }
    if entry.starts {
        encoding.keyframe.satisfy();
        encoding.nack.give_up_before(sequence);
        encoding.newest_start = encoding.newest_start.max(Some(sequence));
    }
    if arrival == Arrival::New(sequence) {
        encoding.newest = Some((timestamp, input.arrived_at));
        let clock_rate = media.format.codec.clock_rate();
        encoding.measure(input.arrived_at, timestamp, clock_rate);
    }
    Ok((arrival, entry))
}

/// What a packet says of itself: by its dependency descriptor, without a look at the payload, or
/// by its payload.
fn judge(encoding: &mut Encoding, entry: &mut Entry, descriptor: &[u8], media: &Media<'_>) {
    let codec = media.format.codec;
    let by_descriptor = match codec {
        Codec::Av1 | Codec::H264 | Codec::Vp9 => true,
        // Who numbers the pictures in the payload wants them counted without gaps; Chromium leaves
        // that out where a descriptor goes along.
        Codec::Vp8 => vp8::Descriptor::parse(media.payload)
            .is_ok_and(|it| it.picture_id.is_none() && it.temporal.is_none()),
        Codec::Opus | Codec::Red | Codec::Pcmu | Codec::Pcma | Codec::H265 => false,
    };
    let described = by_descriptor.then(|| encoding.frames.read(entry.sequence, descriptor));
    // What cannot be told from it, because the structure is lost or beyond our bounds, the payload may.
    let can_tell = encoding.frames.structure().is_some();
    let described = described
        .flatten()
        .filter(|frame| can_tell || frame.told.is_some());
    if let Some(frame) = described {
        entry.layering = Layering::Descriptor;
        entry.frame = frame;
        entry.starts = frame.starts && frame.told.is_some_and(|told| told.brings_structure);
        return;
    }
    let facts = describe(codec, media.payload);
    entry.starts = encoding.kind == MediaKind::Video
        && facts.keyframe
        && (codec != Codec::H264
            || encoding
                .head
                .starts(entry.timestamp, facts.decodable_parameters));
    entry.layering = Layering::of(codec);
    entry.facts = facts;
}

/// Counts a picture's packet for its layer, and learns sizes.
fn measure(encoding: &mut Encoding, entry: &Entry, is_key: bool, media: &Media<'_>) {
    // Layers that cannot be told apart in every packet are one.
    let layer = match entry.layering {
        Layering::None => Layer::default(),
        Layering::Vp8 | Layering::Vp9 => entry.facts.layer,
        Layering::Descriptor => entry.frame.told.unwrap_or_default().layer,
    };
    let bytes = if is_key { 0 } else { media.payload.len() };
    encoding.rates.count(layer, bytes, entry.timestamp);
    let is_described = entry.frame.told.is_some_and(|told| told.brings_structure);
    if is_described {
        encoding.rates.learn(&encoding.frames);
    }
    if entry.facts.keyframe || is_described && !encoding.frames.tells_sizes() {
        let heights = heights(media.format.codec, media.payload);
        for (height, spatial) in heights.iter().zip(0..) {
            encoding.rates.learn_height(spatial, *height);
        }
    }
    if entry.starts {
        encoding.keyframe.learn_height(encoding.rates.tallest());
    }
}

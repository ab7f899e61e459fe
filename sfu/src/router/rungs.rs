//! What of a simulcast track each section is given: the best rung, or the one its subscriber's path
//! carries. And padding by which a path is asked whether it carries more.

use arrayvec::ArrayVec;
use slab::Slab;

use super::report::FLOW_STEP;
use super::{Router, member_mut};
use crate::id::{EncodingKey, MemberKey, SectionKey, TrackKey};
use crate::limits::{LAYERS_PER_TRACK, RUNGS_AT_ONCE};
use crate::router::encoding::Encoding;
use crate::router::layers::EVERYTHING;
use crate::router::orders::ladder;
use crate::router::section::Section;
use crate::time::{Duration, Instant};
use crate::units::{Bitrate, Layer, MediaKind};
use crate::wire::extension::{Extension, ExtensionValues};
use crate::wire::rtp::{RtpHeader, pad};

/// Most of a padding packet: the last byte says how much (RFC 3550 §5.1).
const PADDING: usize = 255;

/// What a section can be given of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which encoding.
    pub encoding: EncodingKey,
    /// And the highest layer within it; above what there is: all.
    pub layer: Layer,
}

/// One rung of a track: a layer of one of its encodings, with all below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Which.
    pub target: Target,
    /// Its size among all of the track, and its temporal layer.
    pub rank: Layer,
    /// Of the picture; doubled from rung to rung where none is told.
    pub height: u16,
    /// Pictures a second.
    pub fps: u8,
    /// Of its payloads, measured; zero: it does not flow now, and would not if it was asked for.
    pub bitrate: Bitrate,
}

/// The rungs of a track that have flowed, lowest first.
pub type Rungs = ArrayVec<Rung, LAYERS_PER_TRACK>;

/// Of the lowest picture, where its height is not told.
const HEIGHT_LEAST: u16 = 180;
/// Where the pictures a second are not known.
const FPS: u8 = 30;
/// Of one measurement.
pub(super) const STEP_MILLIS: u64 = 500;

/// Between two looks whether a rung that is given has stopped.
pub(super) const STOPS_EVERY: Duration = Duration::from_millis(100);
/// It has where a lower one has gone on for so many pictures without it,
const STOPPED_PICTURES: u32 = 6;
/// and for this long at least; and in any case for this long,
const STOPPED_LEAST: Duration = Duration::from_millis(200);
const STOPPED: Duration = Duration::from_millis(300);
/// and for this long behind a key frame, after which encoders leave pictures out.
const STOPPED_BEHIND_KEY: Duration = Duration::from_millis(1_000);

impl Router {
    /// The sections of a member that show pictures, or would if its path carried them, and what.
    pub fn pictures(&self, member: MemberKey) -> impl Iterator<Item = (SectionKey, TrackKey)> {
        let sections = self.member(member).map(|found| found.sections.as_slice());
        sections.unwrap_or_default().iter().filter_map(|&key| {
            let section = self.sections.get(key.index())?;
            let is_picture = section.plan.kind == MediaKind::Video && section.is_wanted();
            is_picture.then_some((key, section.track()?))
        })
    }

    /// The rungs of a track that have flowed, lowest first.
    #[must_use]
    pub fn rungs(&self, track: TrackKey) -> Rungs {
        let mut rungs = Rungs::new();
        let Some(track) = self.track(track) else {
            return rungs;
        };
        let ladder = ladder(track, &self.encodings);
        for (rank, &encoding) in ladder.iter().enumerate() {
            let is_dry = self.is_dry(&ladder, rank);
            self.push_layers(encoding, is_dry, &mut rungs);
        }
        rungs
    }

    /// Whether a rung cannot be given: it has stopped. An encoder stops at the top; where a higher one
    /// flows, one that pauses only leaves pictures out.
    fn is_dry(&self, ladder: &[EncodingKey], rank: usize) -> bool {
        let known = |key: &EncodingKey| self.encodings.get(key.index());
        let Some(found) = ladder.get(rank).and_then(known) else {
            return true;
        };
        if found.order.can_be_had() {
            return false;
        }
        if found.flow.rate() > 0 {
            return self.outlives(ladder, rank).is_some();
        }
        let mut higher = ladder.iter().skip(rank + 1).filter_map(known);
        !(found.flow.stutters() && higher.any(|above| above.flow.rate() > 0))
    }

    /// Adds the layers of an encoding above those that are there.
    fn push_layers(&self, key: EncodingKey, is_dry: bool, rungs: &mut Rungs) {
        let Some(encoding) = self.encodings.get(key.index()) else {
            return;
        };
        let flow = encoding.flow;
        let usual = if is_dry { 0 } else { flow.usual() };
        let below = rungs.last().copied();
        let base = below.map_or(0, |last| last.rank.spatial + 1);
        // One camera makes all of them.
        let fps = below.map_or(FPS, |last| last.fps);
        for rate in encoding.rates.layers(STEP_MILLIS) {
            let spatial = base.saturating_add(rate.layer.spatial);
            let least = below.map_or(0, |last| last.height);
            let guess = match least {
                0 => HEIGHT_LEAST.checked_shl(spatial.into()).unwrap_or(u16::MAX),
                least => least.saturating_mul(2 << rate.layer.spatial),
            };
            let rung = Rung {
                target: Target {
                    encoding: key,
                    layer: rate.layer,
                },
                rank: Layer {
                    spatial,
                    temporal: rate.layer.temporal,
                },
                // What carries more and says it is no larger is not believed.
                height: Some(rate.height).filter(|&it| it > least).unwrap_or(guess),
                fps: Some(rate.fps).filter(|&it| it > 0).unwrap_or(fps),
                bitrate: bitrate(usual.saturating_mul(rate.share) / 1_024),
            };
            // Beyond the bound the highest are not given.
            let _full = rungs.try_push(rung);
        }
    }

    /// What a target within `encoding` means: the highest layer is all there is, so that what is
    /// added later passes too.
    fn wish_for(&self, target: Target) -> Layer {
        let top = self.encodings.get(target.encoding.index());
        let top = top.map_or(EVERYTHING, |found| found.rates.top());
        let all = |wished: u8, top: u8| if wished >= top { u8::MAX } else { wished };
        Layer {
            spatial: all(target.layer.spatial, top.spatial),
            temporal: all(target.layer.temporal, top.temporal),
        }
    }

    /// From now on the section is given this of its track, or the best. What it shows now goes on
    /// until the other begins with a key frame, which is asked for where one is needed. Some: it has
    /// been tried in vain, and is not before this; what is shown is given.
    pub fn set_target(
        &mut self,
        now: Instant,
        section: SectionKey,
        target: Option<Target>,
    ) -> Option<Instant> {
        let wish = target.map_or(EVERYTHING, |target| self.wish_for(target));
        let found = self.sections.get_mut(section.index())?;
        let track = found.track().and_then(|key| self.tracks.get(key.index()));
        let track = track?;
        let target = target.filter(|target| track.encodings.contains(&target.encoding));
        let in_vain = target.and_then(|target| found.patience.given_up_until(now, target));
        if in_vain.is_some() && found.target.is_some() {
            // Nor is it left for what was given meanwhile.
            if let Some(shown) = found.selector.current() {
                found.target = Some(shown);
                found.layers.leave(false);
            }
            return in_vain;
        }
        let before = found.aim(track);
        found.target = target.map(|target| target.encoding);
        let aim = found.aim(track);
        let shown = found.selector.current();
        found.layers.set_wish(wish);
        found.layers.leave(is_left(&self.encodings, (shown, aim)));
        let is_open = found.is_open();
        let is_needed = if aim == shown {
            found.layers.needs_keyframe()
        } else {
            aim != before
        };
        if aim != before {
            self.touch_orders(now);
        }
        if is_needed
            && is_open
            && let Some(aim) = aim
        {
            self.want_keyframe(now, aim);
        }
        None
    }

    /// What a section leaves for a lower rung costs its path nothing it lacks: all of it passes until
    /// the other begins, unless that takes long.
    pub fn spare(&mut self, section: SectionKey) {
        if let Some(found) = self.sections.get_mut(section.index()) {
            found.layers.leave(false);
        }
    }

    /// A long queue stands before a participant: what is being left for a lower rung ends now. What
    /// waits in the queue is seen for as long as the key frame of the lower one takes, which would
    /// otherwise wait behind all that follows.
    pub fn leave_at_once(&mut self, section: SectionKey) {
        let Some(found) = self.sections.get_mut(section.index()) else {
            return;
        };
        let Some(track) = found.track().and_then(|key| self.tracks.get(key.index())) else {
            return;
        };
        let shown = found.selector.current();
        if is_left(&self.encodings, (shown, found.aim(track))) {
            found.selector.cut();
        }
    }

    /// A queue drains before a participant: of what a section is given only the temporal base layer
    /// passes meanwhile, which costs no key frame. Or it has drained.
    pub fn set_thin(&mut self, section: SectionKey, is_thin: bool) {
        if let Some(found) = self.sections.get_mut(section.index()) {
            found.layers.set_thin(is_thin);
        }
    }

    /// The path carries nothing of a section's track, or does again: then it starts with a key
    /// frame.
    pub fn set_starved(&mut self, now: Instant, section: SectionKey, starved: bool) {
        let Some(found) = self.sections.get_mut(section.index()) else {
            return;
        };
        if std::mem::replace(&mut found.starved, starved) != starved {
            self.restart_section(now, section);
        }
    }

    /// Whether something of a picture passes a section now.
    #[must_use]
    pub fn shows(&self, section: SectionKey) -> bool {
        let found = self.sections.get(section.index());
        found.is_some_and(|found| found.is_open() && found.selector.is_showing())
    }

    /// Whether a section waits for its path.
    #[must_use]
    pub fn is_starved(&self, section: SectionKey) -> bool {
        let found = self.sections.get(section.index());
        found.is_some_and(|found| found.starved)
    }

    /// What a section is given and shows now.
    #[must_use]
    pub fn target(&self, section: SectionKey) -> Option<Target> {
        let found = self.sections.get(section.index())?;
        let encoding = found.target?;
        let top = self.encodings.get(encoding.index())?.rates.top();
        let wish = found.layers.wish();
        let layer = Layer {
            spatial: wish.spatial.min(top.spatial),
            temporal: wish.temporal.min(top.temporal),
        };
        Some(Target { encoding, layer })
    }

    /// Who is given a rung that has run dry is given the next one below that flows, or else the next
    /// one above, until its path is asked again.
    pub(super) fn leave_dry_rungs(&mut self, now: Instant) {
        let mut dry: ArrayVec<(EncodingKey, Option<EncodingKey>), RUNGS_AT_ONCE> = ArrayVec::new();
        for (_, section) in &self.sections {
            let Some(target) = section.target else {
                continue;
            };
            let is_known = dry.iter().any(|&(key, _)| key == target);
            // Beyond the bound the rest is found at the next step.
            if !is_known && !dry.is_full() {
                dry.extend(self.instead_of(target).map(|other| (target, other)));
            }
        }
        for (key, other) in dry {
            self.retarget(key, other);
            let best = || {
                let track = self.encodings.get(key.index())?.track;
                self.track(track)?.best
            };
            if let Some(next) = other.or_else(best) {
                self.want_keyframe(now, next);
            }
        }
    }

    /// Who is given a rung that has just stopped at its source is given the next one below, sooner
    /// than a measurement would tell. Whether any is given at all.
    pub(super) fn leave_stopped_rungs(&mut self, now: Instant) -> bool {
        let mut given: ArrayVec<EncodingKey, RUNGS_AT_ONCE> = ArrayVec::new();
        for (_, section) in &self.sections {
            // Beyond the bound the rest is found when flows are compared.
            if let Some(target) = section.target
                && !given.contains(&target)
                && !given.is_full()
            {
                given.push(target);
            }
        }
        for &key in &given {
            if let Some(below) = self.outlived_by(key) {
                self.retarget(key, Some(below));
                self.want_keyframe(now, below);
            }
        }
        !given.is_empty()
    }

    /// The next lower rung, where that has gone on without this one for too long.
    fn outlived_by(&self, key: EncodingKey) -> Option<EncodingKey> {
        let found = self.encodings.get(key.index())?;
        let track = self.track(found.track)?;
        if track.encodings.len() < 2 {
            return None;
        }
        let ladder = ladder(track, &self.encodings);
        let rank = ladder.iter().position(|&other| other == key)?;
        self.outlives(&ladder, rank)
    }

    /// The next rung below one of a ladder, where that has gone on without it for too long.
    fn outlives(&self, ladder: &[EncodingKey], rank: usize) -> Option<EncodingKey> {
        let found = self.encodings.get(ladder.get(rank)?.index())?;
        let (timestamp, newest) = found.newest.filter(|_| !found.order.can_be_had())?;
        let is_behind_key = found.keyframe_at == Some(timestamp);
        let goes_on = |other: &&EncodingKey| {
            let Some(other) = self.encodings.get(other.index()) else {
                return false;
            };
            let (_, at) = other.newest.unwrap_or_default();
            let patience = if is_behind_key {
                STOPPED_BEHIND_KEY
            } else {
                stopped_after(other)
            };
            at.since(newest) >= patience
        };
        ladder.iter().take(rank).rev().find(goes_on).copied()
    }

    /// Where a rung has run dry: the one to give instead, if there is any.
    pub(super) fn instead_of(&self, target: EncodingKey) -> Option<Option<EncodingKey>> {
        let Some(found) = self.encodings.get(target.index()) else {
            return Some(None);
        };
        let Some(track) = self.track(found.track) else {
            return Some(None);
        };
        let ladder = ladder(track, &self.encodings);
        let Some(rank) = ladder.iter().position(|&key| key == target) else {
            return (found.flow.rate() == 0).then_some(None);
        };
        if !self.is_dry(&ladder, rank) {
            return None;
        }
        let flows = |key: &&EncodingKey| {
            let found = self.encodings.get(key.index());
            found.is_some_and(|found| found.flow.rate() > 0)
        };
        let below = ladder.iter().take(rank).rev().find(flows);
        let above = || ladder.iter().skip(rank + 1).find(flows);
        Some(below.or_else(above).copied())
    }

    /// Who is given one encoding is given all of another, or the best; whether somebody was.
    pub(super) fn retarget(&mut self, key: EncodingKey, other: Option<EncodingKey>) -> bool {
        let mut was_given = false;
        for (_, section) in &mut self.sections {
            if section.target == Some(key) {
                section.target = other;
                section.layers.set_wish(EVERYTHING);
                was_given = true;
            }
        }
        was_given
    }

    /// Whether a member's path can be asked: some m-line has RTX, and packets are told of.
    #[must_use]
    pub fn can_probe(&self, member: MemberKey) -> bool {
        let sections = self.member(member).map(|found| found.sections.as_slice());
        sections.unwrap_or_default().iter().any(|key| {
            let section = self.sections.get(key.index());
            section.is_some_and(|section| {
                let is_told = section.plan.extensions.id(Extension::TransportWideCc);
                let is_told = is_told.is_some() || section.is_reported;
                section.rtx_ssrc.is_some() && is_told
            })
        })
    }

    /// Whether [`Router::write_padding`] has a stream to put padding on.
    #[must_use]
    pub fn can_pad(&self, member: MemberKey) -> bool {
        self.padded(member).is_some()
    }

    fn padded(&self, member: MemberKey) -> Option<SectionKey> {
        let sections = self.member(member)?.sections.iter().copied();
        sections.into_iter().find(|key| {
            let section = self.sections.get(key.index());
            section.is_some_and(|section| padding_type(section).is_some())
        })
    }

    /// Writes one packet of nothing but padding, as a retransmission that repeats nothing (RFC 4588
    /// has no word for it; libwebrtc sends and takes them). Its length; none: there is no stream
    /// for it.
    pub fn write_padding(
        &mut self,
        member: MemberKey,
        transport_sequence: u16,
        abs_send: u32,
        out: &mut [u8],
    ) -> Option<usize> {
        member_mut(&mut self.members, member)?;
        let key = self.padded(member)?;
        let section = self.sections.get_mut(key.index())?;
        let header = RtpHeader {
            payload_type: padding_type(section)?,
            marker: false,
            sequence: section.next_rtx_sequence(),
            // A stream that has not begun has no clock: nobody looks at the time of padding.
            timestamp: section.timeline.timestamp().unwrap_or_default(),
            ssrc: section.rtx_ssrc?,
        };
        let values = ExtensionValues {
            mid: Some(section.plan.mid),
            abs_send_time: Some(abs_send),
            transport_sequence: Some(transport_sequence),
            ..ExtensionValues::default()
        };
        let start = header.write(&values, &section.plan.extensions, out)?;
        pad(out, start, start + PADDING).then_some(start + PADDING)
    }
}

/// How long a lower rung has to go on without a higher one that has stopped.
fn stopped_after(lower: &Encoding) -> Duration {
    let rates = lower.rates.layers(STEP_MILLIS);
    let fps = rates.last().map_or(0, |rate| u32::from(rate.fps));
    let pictures = Duration::from_secs(u64::from(STOPPED_PICTURES)).checked_div(fps);
    pictures.unwrap_or(STOPPED).clamp(STOPPED_LEAST, STOPPED)
}

/// Whether what is shown gives way to something that costs less.
fn is_left(
    encodings: &Slab<Encoding>,
    (shown, aim): (Option<EncodingKey>, Option<EncodingKey>),
) -> bool {
    let usual = |key: Option<EncodingKey>| {
        let found = key.and_then(|key| encodings.get(key.index()));
        found.map_or(0, |found| found.flow.usual())
    };
    aim != shown && usual(aim) < usual(shown)
}

/// The RTX payload type of a section that can carry padding: its packets are told of. It need not
/// show anything: where all is paused, padding is the only way to learn that it fits again.
fn padding_type(section: &Section) -> Option<u8> {
    let is_told = section
        .plan
        .extensions
        .id(Extension::TransportWideCc)
        .is_some();
    section.rtx_ssrc?;
    let payload = section
        .plan
        .payloads
        .iter()
        .find(|payload| payload.payload_type == section.payload_type)?;
    payload.rtx.filter(|_| is_told)
}

/// Bits per second of bytes per step.
fn bitrate(bytes: u64) -> Bitrate {
    let micros = u64::try_from(FLOW_STEP.as_micros()).unwrap_or(u64::MAX);
    Bitrate::from_bps(bytes.saturating_mul(8_000_000) / micros.max(1))
}

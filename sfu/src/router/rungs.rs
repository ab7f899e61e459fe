//! What of a simulcast track each section is given: the best rung, or the one its subscriber's path
//! carries. And padding by which a path is asked whether it carries more.

use arrayvec::ArrayVec;

use super::report::FLOW_STEP;
use super::{Router, member_mut};
use crate::id::{EncodingKey, MemberKey, SectionKey, TrackKey};
use crate::limits::ENCODINGS_PER_TRACK;
use crate::router::section::Section;
use crate::time::Instant;
use crate::units::{Bitrate, MediaKind};
use crate::wire::extension::{Extension, ExtensionValues};
use crate::wire::rtp::{RtpHeader, pad};

/// Most of a padding packet: the last byte says how much (RFC 3550 §5.1).
const PADDING: usize = 255;

/// One rung of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Which.
    pub encoding: EncodingKey,
    /// Of its payloads, measured; zero: it does not flow now.
    pub bitrate: Bitrate,
}

/// The rungs of a track that have flowed, lowest first.
pub type Rungs = ArrayVec<Rung, ENCODINGS_PER_TRACK>;

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

    /// The rungs of a track that have flowed, lowest first. Their order stands while they do: what
    /// one usually carries decides, not what it carries now.
    #[must_use]
    pub fn rungs(&self, track: TrackKey) -> Rungs {
        let encodings = self.track(track).map(|track| track.encodings.as_slice());
        let mut known: ArrayVec<(u64, Rung), ENCODINGS_PER_TRACK> = encodings
            .unwrap_or_default()
            .iter()
            .filter_map(|&key| {
                let flow = self.encodings.get(key.index())?.flow;
                let rung = Rung {
                    encoding: key,
                    bitrate: bitrate(if flow.rate() > 0 { flow.usual() } else { 0 }),
                };
                (flow.usual() > 0).then_some((flow.usual(), rung))
            })
            .collect();
        known.sort_unstable_by_key(|&(usual, rung)| (usual, rung.encoding));
        known.into_iter().map(|(_, rung)| rung).collect()
    }

    /// From now on the section is given this encoding of its track, or the best. What it shows now
    /// goes on until the other begins with a key frame, which is asked for.
    pub fn set_target(&mut self, now: Instant, section: SectionKey, target: Option<EncodingKey>) {
        let Some(found) = self.sections.get_mut(section.index()) else {
            return;
        };
        let track = found.track().and_then(|key| self.tracks.get(key.index()));
        let Some(track) = track else {
            return;
        };
        let target = target.filter(|target| track.encodings.contains(target));
        let before = found.aim(track);
        found.target = target;
        let aim = found.aim(track);
        if aim != before
            && found.is_open()
            && aim != found.selector.current()
            && let Some(aim) = aim
        {
            self.want_keyframe(now, aim);
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
        found.is_some_and(|found| found.is_open() && found.selector.current().is_some())
    }

    /// Whether a section waits for its path.
    #[must_use]
    pub fn is_starved(&self, section: SectionKey) -> bool {
        let found = self.sections.get(section.index());
        found.is_some_and(|found| found.starved)
    }

    /// What a section is given and shows now.
    #[must_use]
    pub fn target(&self, section: SectionKey) -> Option<EncodingKey> {
        self.sections.get(section.index())?.target
    }

    /// Nobody is given an encoding any more; whether somebody was.
    pub(super) fn untarget(&mut self, key: EncodingKey) -> bool {
        let mut was_given = false;
        for (_, section) in &mut self.sections {
            if section.target == Some(key) {
                section.target = None;
                was_given = true;
            }
        }
        was_given
    }

    /// Who is given a rung that has run dry is given the best one, until its path is asked again.
    pub(super) fn leave_dry_rungs(&mut self, now: Instant) {
        let mut dry: ArrayVec<EncodingKey, 64> = ArrayVec::new();
        for (_, section) in &self.sections {
            let Some(target) = section.target else {
                continue;
            };
            let flow = self.encodings.get(target.index()).map(|found| found.flow);
            let is_dry = flow.is_none_or(|flow| flow.rate() == 0);
            // Beyond the bound the rest is found at the next step.
            if is_dry && !dry.contains(&target) && !dry.is_full() {
                dry.push(target);
            }
        }
        for key in dry {
            let track = self.encodings.get(key.index()).map(|found| found.track);
            if self.untarget(key)
                && let Some(best) = track.and_then(|track| self.track(track)?.best)
            {
                self.want_keyframe(now, best);
            }
        }
    }

    /// Whether a member's path can be asked: some m-line has RTX, and packets are told of.
    #[must_use]
    pub fn can_probe(&self, member: MemberKey) -> bool {
        let sections = self.member(member).map(|found| found.sections.as_slice());
        sections.unwrap_or_default().iter().any(|key| {
            let section = self.sections.get(key.index());
            section.is_some_and(|section| {
                let is_told = section.plan.extensions.id(Extension::TransportWideCc);
                section.rtx_ssrc.is_some() && is_told.is_some()
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

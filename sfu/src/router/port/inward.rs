//! Tracks whose publishers are on the other side of a port. Here they are tracks like all others,
//! with encodings and histories of their own: a subscriber here is served, and repaired, from here.
//! Back goes only which encodings somebody has use for, and that a key frame is waited for.
//!
//! Nothing is asked for again through a port: the other side repairs, and what comes late is taken in
//! late. What leaves together there leaves together here, without another wait.

use super::PortEncoding;
use crate::error::{CommandError, DropReason};
use crate::id::{EncodingKey, MemberKey, Mid, PortId, Rid, TrackId, TrackKey};
use crate::limits::ENCODINGS_PER_TRACK;
use crate::router::encoding::{ClockReport, Origin};
use crate::router::history::{PagePool, Passed};
use crate::router::ingress::{Arrived, Media};
use crate::router::{NEVER, Router, Track, member_mut};
use crate::sdp::negotiate::{MediaPlan, PayloadPlan};
use crate::time::{Duration, Instant, NtpTime};
use crate::units::MediaKind;
use crate::wire::extension::ExtensionMap;
use crate::wire::port::{PortMedia, PortMessage, PortTrack};

/// An encoding that comes in through a port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inflow {
    number: PortEncoding,
    pub(super) key: EncodingKey,
}

impl Router {
    /// A participant whose transport is on another shard: it publishes, and is sent nothing from here.
    pub fn add_distant_member(&mut self, member: MemberKey, cname: &str, port: PortId) {
        self.add_member(member, cname);
        if let Some(found) = member_mut(&mut self.members, member) {
            found.port = Some(port);
            found.receiving = false;
        }
    }

    /// A track came in through a port.
    ///
    /// # Errors
    /// As [`Router::publish`]; `Invalid` where it has too many encodings.
    pub fn publish_distant(
        &mut self,
        now: Instant,
        member: MemberKey,
        told: &PortTrack<'_>,
    ) -> Result<TrackKey, CommandError> {
        let plan = plan_of(told).ok_or(CommandError::Closed)?;
        let port = self.member(member).and_then(|found| found.port);
        let key = self.publish(now, member, told.track, &plan)?;
        if let Some(track) = self.tracks.get_mut(key.index()) {
            track.port = port;
            track.screen = told.screen;
            (track.muted, track.forbidden) = (told.muted, told.forbidden);
        }
        // Who is loud is seen by its packets alone.
        if told.kind == MediaKind::Audio {
            self.tell_wanted(key, 1);
        }
        self.touch_orders(now);
        Ok(key)
    }

    /// Something about a track of the other side changed.
    pub fn update_distant(
        &mut self,
        now: Instant,
        track: TrackKey,
        told: &PortTrack<'_>,
        pages: &mut PagePool,
    ) {
        if let Some(plan) = plan_of(told)
            && self
                .track(track)
                .is_some_and(|known| !is_alike(&known.plan, &plan))
        {
            self.update_track(now, track, &plan, pages);
        }
        self.set_screen(track, told.screen);
        self.set_muted(now, track, told.muted, pages);
        self.set_forbidden(now, track, told.forbidden, pages);
    }

    /// An encoding is carried from here on, for the first time or again.
    pub(super) fn start_inflow(
        &mut self,
        now: Instant,
        place: usize,
        (number, track, rung): (PortEncoding, TrackId, u8),
        pages: &mut PagePool,
    ) -> Result<(), DropReason> {
        let port = self.ports.get(place).ok_or(DropReason::NoPath)?;
        let mut tracks = self.tracks.iter();
        let found = tracks.find(|(_, found)| found.id() == track && found.port == Some(port.id));
        let (index, found) = found.ok_or(DropReason::UnknownTrack)?;
        let origin = match found.plan.rids.get(usize::from(rung)) {
            Some(&rid) => Origin::Rid(rid),
            None if rung == 0 => Origin::Only,
            None => return Err(DropReason::UnknownTrack),
        };
        let of = (TrackKey::from_index(index), found.member());
        let key = self.begin_encoding(now, of, (origin, u32::from(number.0)), pages)?;
        let port = self.ports.get_mut(place).ok_or(DropReason::NoPath)?;
        port.inflows.retain(|inflow| inflow.key != key);
        let at = port.inflow_place(number);
        let inflow = Inflow { number, key };
        match at {
            Ok(at) => {
                if let Some(known) = port.inflows.get_mut(at) {
                    *known = inflow;
                }
            }
            Err(at) => port.inflows.insert(at, inflow),
        }
        Ok(())
    }

    /// An encoding is not carried any more. What was measured of it stays known: it can be had again.
    pub(super) fn end_inflow(
        &mut self,
        now: Instant,
        place: usize,
        number: PortEncoding,
        pages: &mut PagePool,
    ) -> Result<(), DropReason> {
        let port = self.ports.get_mut(place).ok_or(DropReason::NoPath)?;
        let at = port.inflow_place(number);
        let at = at.map_err(|_| DropReason::UnknownTrack)?;
        let key = port.inflows.remove(at).key;
        self.clear_encoding(key, pages);
        self.halt_encoding(now, key);
        Ok(())
    }

    /// A packet.
    pub(super) fn take_media(
        &mut self,
        now: Instant,
        place: usize,
        media: &PortMedia<'_>,
        pages: &mut PagePool,
    ) -> Result<(), DropReason> {
        let port = self.ports.get(place).ok_or(DropReason::NoPath)?;
        let at = port.inflow_place(media.encoding);
        let inflow = at.ok().and_then(|at| port.inflows.get(at));
        let key = inflow.ok_or(DropReason::UnknownTrack)?.key;
        let encoding = self.encodings.get(key.index());
        let track = encoding.and_then(|encoding| self.track(encoding.track));
        let track = track.ok_or(DropReason::UnknownTrack)?;
        let (format, _) = track
            .plan
            .payload(media.payload_type)
            .ok_or(DropReason::UnknownPayloadType)?;
        let values = media.values;
        // The other side has it unwrapped; here the lower half is unwrapped again.
        let number = u16::try_from(media.sequence & 0xFFFF).unwrap_or(0);
        let timestamp = u32::try_from(media.timestamp & u64::from(u32::MAX)).unwrap_or(0);
        let content = Media {
            payload_type: media.payload_type,
            format: format.format,
            repairs: false,
            repeat: false,
            number,
            payload: media.payload,
            copies: arrayvec::ArrayVec::new(),
        };
        let arrived = Arrived {
            now,
            arrived_at: media.arrived_at,
            timestamp,
            marker: media.marker,
            leaves: Some(media.leaves),
            passed: Passed {
                audio_level: values.audio_level,
                orientation: values.orientation,
                playout_delay: values.playout_delay,
                abs_capture_time: values.abs_capture_time,
            },
            descriptor: media.descriptor,
        };
        self.stats.piped_in += 1;
        self.take_in(key, &arrived, &content, pages).map(|_| ())
    }

    /// Where an encoding's clock stands: already on the server's.
    pub(super) fn take_clock(
        &mut self,
        now: Instant,
        place: usize,
        (number, timestamp, server): (PortEncoding, u64, NtpTime),
    ) -> Result<(), DropReason> {
        let port = self.ports.get(place).ok_or(DropReason::NoPath)?;
        let at = port.inflow_place(number);
        let inflow = at.ok().and_then(|at| port.inflows.get(at));
        let key = inflow.ok_or(DropReason::UnknownTrack)?.key;
        let encoding = self.encodings.get_mut(key.index());
        let encoding = encoding.ok_or(DropReason::UnknownTrack)?;
        encoding.clock = Some(ClockReport {
            ntp: server,
            rtp: u32::try_from(timestamp & u64::from(u32::MAX)).unwrap_or(0),
            arrived_at: now,
        });
        if let Some(publisher) = member_mut(&mut self.members, encoding.member) {
            publisher.clock.report(server, server);
        }
        self.tell_ports_clock(now, key);
        Ok(())
    }

    /// Something was dropped on the other side, and nobody knows of which encoding: pictures go on with
    /// their next key frames.
    pub(super) fn mend_gap(&mut self, now: Instant, place: usize) {
        let port = self.ports.get(place);
        let keys = port.map_or_else(Vec::new, |port| {
            port.inflows.iter().map(|inflow| inflow.key).collect()
        });
        for key in keys {
            self.want_keyframe(now, key);
        }
    }

    /// Key frames of a distant member that are waited for are asked for, where they may be.
    pub(in crate::router) fn ask_distant(&mut self, now: Instant, member: MemberKey) {
        let port = self.member(member).and_then(|found| found.port);
        let place = port.and_then(|port| self.port_place(port));
        let keys: Vec<EncodingKey> = self.encodings_of(member).collect();
        let mut next = NEVER;
        for key in keys {
            let wanted = self.is_wanted(key);
            let Some(encoding) = self.encodings.get_mut(key.index()) else {
                continue;
            };
            let track = self.tracks.get(encoding.track.index());
            if !wanted || track.is_none_or(Track::is_silent) {
                encoding.keyframe.satisfy();
            }
            let asks = encoding.keyframe.take_due(now);
            next = next.min(encoding.keyframe.next_due().unwrap_or(NEVER));
            if asks && let Some(port) = place.and_then(|place| self.ports.get_mut(place)) {
                let inflow = port.inflows.iter().find(|inflow| inflow.key == key);
                if let Some(&Inflow { number, .. }) = inflow {
                    let encoding = number;
                    port.queue.push(&PortMessage::KeyframeWanted { encoding });
                }
            }
        }
        if let Some(due) = self.dues.get_mut(member.index()) {
            *due = next.max(now + Duration::from_micros(1));
        }
    }

    fn encodings_of(&self, member: MemberKey) -> impl Iterator<Item = EncodingKey> + '_ {
        let tracks = self.member(member).map(|found| found.tracks.as_slice());
        let tracks = tracks.unwrap_or_default().iter();
        let tracks = tracks.filter_map(|&key| self.track(key));
        tracks.flat_map(|track| track.encodings.iter().copied())
    }

    /// As if the other side had not been told yet.
    pub(super) fn forget_wanted(&mut self, key: TrackKey) {
        if let Some(track) = self.tracks.get_mut(key.index()) {
            track.wanted = 0;
        }
    }

    /// The other side is told which encodings of a track are wanted, where that is news.
    pub(in crate::router) fn tell_wanted(&mut self, key: TrackKey, mask: u8) {
        let Some(track) = self.tracks.get_mut(key.index()) else {
            return;
        };
        if std::mem::replace(&mut track.wanted, mask) == mask {
            return;
        }
        let id = track.id();
        let place = track.port.and_then(|port| self.port_place(port));
        if let Some(port) = place.and_then(|place| self.ports.get_mut(place)) {
            port.queue
                .push(&PortMessage::EncodingsWanted { track: id, mask });
        }
    }
}

impl super::Port {
    fn inflow_place(&self, number: PortEncoding) -> Result<usize, usize> {
        self.inflows
            .binary_search_by_key(&number, |inflow| inflow.number)
    }
}

/// What its m-line would have been.
fn plan_of(told: &PortTrack<'_>) -> Option<MediaPlan> {
    let payloads = told
        .formats
        .iter()
        .map(|(payload_type, format)| PayloadPlan {
            payload_type,
            rtx: None,
            format,
            parameters: String::new(),
            nack: false,
            pli: true,
            fir: false,
            transport_cc: false,
            ccfb: false,
            remb: false,
        });
    let rungs = usize::from(told.rungs).min(ENCODINGS_PER_TRACK);
    let rids = (0..rungs).filter(|_| rungs > 1);
    Some(MediaPlan {
        mid: Mid::new("distant")?,
        kind: told.kind,
        payloads: payloads.collect(),
        extensions: ExtensionMap::default(),
        reduced_size: true,
        rids: rids
            .filter_map(|rung| Rid::new(&rung.to_string()))
            .collect(),
        ssrcs: Vec::new(),
        msid: None,
    })
}

/// Whether two plans differ in nothing but what comes first.
fn is_alike(known: &MediaPlan, told: &MediaPlan) -> bool {
    let has = |payload: &PayloadPlan| known.payloads.contains(payload);
    known.rids == told.rids
        && known.payloads.len() == told.payloads.len()
        && told.payloads.iter().all(has)
}

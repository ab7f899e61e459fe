//! What a door is told: which tracks there are (a pipe), and of what it wants encodings and media.

use super::PortFlow;
use crate::id::{EncodingKey, TrackId, TrackKey};
use crate::limits::ENCODINGS_PER_TRACK;
use crate::router::encoding::Origin;
use crate::router::{Port, Router, Track};
use crate::time::{Duration, Instant, NtpTime};
use crate::units::MediaKind;
use crate::wire::payload::{Codec, Format};
use crate::wire::port::{PortEncoding, PortFormats, PortMedia, PortMessage, PortTrack, PortValues};
use crate::wire::sequence::TimestampUnwrapper;

impl Router {
    /// Which rung of which track an encoding is: its place in the description, so that it keeps it.
    pub(in crate::router) fn rung(&self, key: EncodingKey) -> Option<(TrackId, u8)> {
        let encoding = self.encodings.get(key.index())?;
        let track = self.track(encoding.track)?;
        let rung = match encoding.origin {
            Origin::Rid(rid) => track.plan.rids.iter().position(|&known| known == rid)?,
            Origin::Declared => {
                let mut declared = track.plan.ssrcs.iter();
                declared.position(|&(ssrc, _)| ssrc == encoding.ssrc)?
            }
            Origin::Only => 0,
        };
        Some((track.id(), u8::try_from(rung).ok()?))
    }

    /// Says anew all there is to say to a pipe: at first, and where something of it was lost.
    pub(super) fn tell_all(&mut self, place: usize) {
        let Some(port) = self.ports.get_mut(place) else {
            return;
        };
        port.queue.clear();
        port.queue.is_broken = false;
        port.wants.clear();
        port.flows.clear();
        port.queue.push(&PortMessage::Opened);
        let id = port.id;
        for index in 0..self.tracks.capacity() {
            let key = TrackKey::from_index(index);
            self.tell_track(place, key);
            // What is wanted of the other side was dropped with the rest.
            let theirs = self.track(key).filter(|track| track.port == Some(id));
            if let Some(mask) = theirs.map(|track| track.wanted) {
                self.forget_wanted(key);
                self.tell_wanted(key, mask);
            }
        }
    }

    /// A track of one of this shard is there, or something about it changed.
    pub(in crate::router) fn tell_pipes(&mut self, track: TrackKey) {
        for place in 0..self.ports.len() {
            self.tell_track(place, track);
        }
    }

    fn tell_track(&mut self, place: usize, key: TrackKey) {
        let Self {
            tracks,
            members,
            ports,
            ..
        } = self;
        let port = ports.get_mut(place).filter(|port| port.is_pipe);
        let track = tracks.get(key.index()).filter(|track| track.port.is_none());
        let Some((port, track)) = port.zip(track) else {
            return;
        };
        let publisher = members.get(track.member().index());
        let Some(publisher) = publisher.and_then(Option::as_ref) else {
            return;
        };
        let mut formats = Vec::new();
        port.queue.push(&PortMessage::TrackChanged(PortTrack {
            track: track.id(),
            participant: publisher.participant,
            name: &publisher.cname,
            kind: track.kind(),
            muted: track.muted,
            forbidden: track.forbidden,
            screen: track.screen,
            rungs: rungs(track),
            formats: PortFormats::write(formats_of(track), &mut formats),
        }));
    }

    pub(super) fn start_flow(&mut self, now: Instant, place: usize, key: EncodingKey) {
        let Some((track_id, rung)) = self.rung(key) else {
            return;
        };
        let Some(track) = self
            .encodings
            .get(key.index())
            .map(|encoding| encoding.track)
        else {
            return;
        };
        let Some(track) = self.tracks.get(track.index()) else {
            return;
        };
        let Some(port) = self.ports.get_mut(place) else {
            return;
        };
        let number = PortEncoding(port.next_number);
        let Err(at) = port.flow_place(key) else {
            return;
        };
        port.next_number = port.next_number.wrapping_add(1);
        let flow = PortFlow {
            key,
            number,
            timestamps: TimestampUnwrapper::default(),
        };
        port.flows.insert(at, flow);
        port.queue.push(&PortMessage::EncodingStarted {
            encoding: number,
            track: track_id,
            rung,
            format: track.format(),
            parameters: track
                .payload_plan()
                .map_or("", |plan| plan.parameters.as_str()),
        });
        if track.kind() == MediaKind::Video {
            self.want_keyframe(now, key);
        }
        self.tell_ports_clock(now, key);
    }

    pub(super) fn end_flow(&mut self, place: usize, key: EncodingKey) {
        let Some(port) = self.ports.get_mut(place) else {
            return;
        };
        if let Ok(at) = port.flow_place(key) {
            let encoding = port.flows.remove(at).number;
            port.queue.push(&PortMessage::EncodingEnded { encoding });
        }
    }

    /// An encoding began, or began anew.
    pub(in crate::router) fn tell_ports_started(&mut self, now: Instant, key: EncodingKey) {
        for place in 0..self.ports.len() {
            self.end_flow(place, key);
            let wanted = self.rung(key).zip(self.ports.get(place));
            if wanted.is_some_and(|((track, rung), port)| port.wants(track, rung)) {
                self.start_flow(now, place, key);
            }
        }
    }

    /// An encoding is over.
    pub(in crate::router) fn tell_ports_ended(&mut self, key: EncodingKey) {
        for place in 0..self.ports.len() {
            self.end_flow(place, key);
            // And nothing comes in for it any more: its key is free.
            if let Some(port) = self.ports.get_mut(place) {
                port.inflows.retain(|inflow| inflow.key != key);
            }
        }
    }

    pub(in crate::router) fn tell_ports_muted(&mut self, track: TrackKey, muted: bool) {
        let Some(id) = self.track(track).map(Track::id) else {
            return;
        };
        // A pipe is told all of a track at once.
        let wants =
            |port: &&mut Port| !port.is_pipe && port.wants.iter().any(|&(wanted, _)| wanted == id);
        for port in self.ports.iter_mut().filter(wants) {
            port.queue.push(&PortMessage::Muted { track: id, muted });
        }
    }

    /// The track is gone for good: nobody can want it any more.
    pub(in crate::router) fn forget_in_ports(&mut self, track: &Track) {
        let id = track.id();
        let is_own = track.port.is_none();
        for port in &mut self.ports {
            port.wants.retain(|&(wanted, _)| wanted != id);
            if port.is_pipe && is_own {
                port.queue
                    .push(&PortMessage::TrackUnpublished { track: id });
            }
        }
    }

    /// Where an encoding's clock stands, as far as its publisher has said.
    pub(in crate::router) fn tell_ports_clock(&mut self, now: Instant, key: EncodingKey) {
        let Some(encoding) = self.encodings.get(key.index()) else {
            return;
        };
        let Some(report) = encoding.clock else {
            return;
        };
        let clock = self.member(encoding.member).map(|m| &m.clock);
        let Some(ago) = clock.and_then(|c| c.micros_ago(now, report.ntp, &self.clock)) else {
            return;
        };
        let server = self.server_time(now, ago);
        for port in &mut self.ports {
            if let Some(flow) = port.flow(key) {
                let message = PortMessage::Clock {
                    encoding: flow.number,
                    timestamp: flow.timestamps.peek(report.rtp),
                    server,
                };
                port.queue.push(&message);
            }
        }
    }

    fn server_time(&self, now: Instant, micros_ago: i64) -> NtpTime {
        let distance = Duration::from_micros(micros_ago.unsigned_abs());
        self.clock.ntp(if micros_ago < 0 {
            now + distance
        } else {
            now - distance
        })
    }

    /// Whether some port takes an encoding.
    pub(in crate::router) fn is_wanted_by_port(&self, key: EncodingKey) -> bool {
        let takes = |port: &Port| port.flow_place(key).is_ok();
        self.ports.iter().any(takes)
    }

    /// Packets of an encoding, which leave together, to every port that takes it.
    pub(in crate::router) fn offer_to_ports(
        &mut self,
        now: Instant,
        key: EncodingKey,
        sequences: &[u64],
    ) {
        let mut missed = false;
        let Some(encoding) = self.encodings.get(key.index()) else {
            return;
        };
        for port in &mut self.ports {
            let is_pipe = port.is_pipe;
            let Ok(at) = port.flow_place(key) else {
                continue;
            };
            let Some(flow) = port.flows.get_mut(at) else {
                continue;
            };
            for (place, &sequence) in sequences.iter().enumerate() {
                let entry = encoding.history.get(sequence);
                let Some(entry) = entry.filter(|entry| is_pipe || !entry.empty) else {
                    continue;
                };
                let payload = match entry.empty {
                    true => Some([].as_slice()),
                    false => encoding.history.payload(entry),
                };
                let Some(payload) = payload else {
                    continue;
                };
                let passed = entry.passed;
                let media = PortMedia {
                    encoding: flow.number,
                    payload_type: entry.payload_type,
                    sequence,
                    timestamp: flow.timestamps.unwrap(entry.timestamp),
                    arrived_at: entry.arrived_at,
                    marker: entry.marker,
                    leaves: place + 1 == sequences.len(),
                    values: PortValues {
                        audio_level: passed.audio_level,
                        orientation: passed.orientation,
                        playout_delay: passed.playout_delay,
                        abs_capture_time: passed.abs_capture_time,
                    },
                    descriptor: encoding.history.descriptor(entry),
                    payload,
                };
                let queued = port.queue.push(&PortMessage::Media(media));
                missed |= !queued;
                if is_pipe {
                    self.stats.piped += u64::from(queued);
                    self.stats.pipe_full += u64::from(!queued);
                }
                if let Some((level, voice)) = passed.audio_level.filter(|_| !is_pipe) {
                    port.queue.push(&PortMessage::Level {
                        encoding: flow.number,
                        level,
                        voice,
                    });
                }
            }
        }
        if missed {
            self.want_keyframe(now, key);
        }
    }
}

/// How many encodings a track may come in.
fn rungs(track: &Track) -> u8 {
    let declared = track.plan.rids.len().max(track.plan.ssrcs.len());
    u8::try_from(declared.clamp(1, ENCODINGS_PER_TRACK)).unwrap_or(1)
}

/// What its payload types mean, first the one it is coded in. Sound is plain inside the house.
fn formats_of(track: &Track) -> impl Iterator<Item = (u8, Format)> + '_ {
    let plain = track.plan.payloads.iter();
    let plain = plain.filter(|payload| payload.format.codec != Codec::Red);
    let all = plain.map(|payload| (payload.payload_type, payload.format));
    let is_now = |&(_, format): &(u8, Format)| format == track.format();
    let now = all.clone().filter(is_now);
    now.chain(all.filter(move |it| !is_now(it)))
}

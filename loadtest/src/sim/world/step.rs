//! One step after the other: what lands, what departs, what the laws are asked.

use std::cmp::Reverse;
use std::net::SocketAddr;

use sfu::error::{CommandError, DropReason};
use sfu::id::{Mid, ParticipantId, TrackId};
use sfu::path::{Ecn, LocalId, Path};
use sfu::sdp::Description;
use sfu::sdp::description::SdpType;
use sfu::shard::command::Negotiated;
use sfu::shard::event::{SectionBinding, WantedEncodings};
use sfu::shard::{Command, Datagram, Departed, Event, Reply, Shard};
use sfu::time::{Duration, Instant};

use super::{Flight, Published, SERVER, World};
use crate::robot::publication::{Publication, RIDS};
use crate::robot::reception::Source;
use crate::robot::{Robot, Signal, Transmit};
use crate::sim::datagram::{RtpSeen, Seen};
use crate::sim::link::{Arrivals, Link};

/// What any DTLS record costs a bottleneck: the real ones differ by a few bytes from run to run,
/// since signatures do.
const DTLS_BYTES: usize = 1_000;
/// Steps in so much time; beyond, somebody wants to be woken for nothing.
const STEPS_MAX: u32 = 10_000;
/// For so many steps.
const STEPS_WINDOW: Duration = Duration::from_millis(10);
/// How often table sizes are looked at.
const SIZES_INTERVAL: Duration = Duration::from_millis(50);

impl World {
    /// The next moment at which something happens, or false: nothing until `until`.
    pub(super) fn step(&mut self, until: Instant) -> bool {
        let flight = self.flying.peek().map(|Reverse(it)| it.0);
        let robot = self.wakes.iter().flatten().min().copied();
        let shard = self.shards.iter().filter_map(Shard::poll_timeout).min();
        let Some(next) = [flight, robot, shard].into_iter().flatten().min() else {
            return false;
        };
        if next > until {
            return false;
        }
        if next >= self.steps_since + STEPS_WINDOW {
            (self.steps_since, self.steps) = (next, 0);
        }
        self.steps += 1;
        if self.steps > STEPS_MAX {
            let flight = self.flying.peek().map(|Reverse(it)| it.0);
            let who = format!("flight {flight:?}, robot {robot:?}, shard {shard:?}");
            self.laws.handle_standstill(self.now, &who);
            return false;
        }
        self.now = self.now.max(next);
        while self
            .flying
            .peek()
            .is_some_and(|Reverse(it)| it.0 <= self.now)
        {
            if let Some(Reverse((_, _, flight))) = self.flying.pop() {
                self.land(flight);
            }
        }
        for member in 0..self.members.len() {
            if self
                .wakes
                .get(member)
                .copied()
                .flatten()
                .is_some_and(|at| at <= self.now)
            {
                if let Some(it) = self.members.get_mut(member) {
                    it.robot.handle_timeout(self.now);
                }
                self.handle_robot(member);
            }
        }
        for shard in &mut self.shards {
            if shard.poll_timeout().is_some_and(|at| at <= self.now) {
                shard.handle_timeout(self.now);
            }
        }
        self.depart();
        self.check();
        true
    }

    fn land(&mut self, flight: Flight) {
        match flight {
            Flight::ToServer {
                member,
                source,
                bytes,
            } => self.land_at_server(member, source, bytes),
            Flight::ToRobot { member, bytes } => {
                let Some(it) = self.members.get_mut(member) else {
                    return;
                };
                self.trace.datagram(self.now, (member, "down"), &bytes);
                it.robot.handle_datagram(self.now, SERVER, &bytes);
                self.handle_robot(member);
            }
            Flight::SignalToServer { member, signal } => self.land_signal(member, signal),
            Flight::OrderToRobot { member, order } => self.land_order(member, order),
            Flight::Parcel { shard, port, bytes } => {
                if let Some(shard) = self.shards.get_mut(shard) {
                    shard.handle_parcel(self.now, port, &bytes);
                }
            }
            Flight::SignalToRobot {
                member,
                signal: (offer, text),
            } => {
                let Some(it) = self.members.get_mut(member) else {
                    return;
                };
                self.trace.text(self.now, (member, "signal down"), &text);
                let signal = if offer {
                    Signal::Offer(text)
                } else {
                    Signal::Answer(text)
                };
                it.robot.handle_signal(self.now, &signal);
                self.handle_robot(member);
            }
        }
    }

    fn land_at_server(&mut self, member: usize, source: SocketAddr, mut bytes: Vec<u8>) {
        self.trace.datagram(self.now, (member, "up"), &bytes);
        let seen = Seen::of(&bytes);
        if let Seen::StunRequest { nominates } = seen {
            self.laws.handle_check(member, source, nominates);
        }
        let refused = self.refused();
        self.datagrams.0 += 1;
        let datagram = Datagram {
            path: Path {
                local: LocalId(0),
                remote: source,
            },
            arrived_at: self.now,
            ecn: Ecn::NotEct,
            bytes: &mut bytes,
        };
        let shard = self.members.get(member).map_or(0, |it| it.shard);
        if let Some(shard) = self.shards.get_mut(shard) {
            shard.handle_datagram(self.now, datagram);
        }
        if let Seen::Rtp(packet) = seen
            && self.refused() == refused
        {
            self.count_delivered(member, source, &packet);
        }
    }

    /// Media that reached the shard and was not for it to forward: as good as lost on the way.
    fn refused(&self) -> u64 {
        let dropped = self.shards.iter().map(|shard| &shard.stats().dropped);
        let refused =
            dropped.map(|it| it.get(DropReason::Muted) + it.get(DropReason::UnknownTrack));
        refused.sum()
    }

    /// From a place nobody has proved, or of somebody who has left, a packet is as good as lost.
    fn count_delivered(&mut self, member: usize, source: SocketAddr, packet: &RtpSeen) {
        if !self.laws.is_proved(source) || self.left(member).is_some() {
            return;
        }
        let publications = self
            .robot(member)
            .map(Robot::publications)
            .unwrap_or_default();
        let ours = publications.iter().find(|it| it.sends(packet.ssrc));
        if let Some(publication) = ours.map(Publication::source) {
            self.laws.handle_delivered(publication, packet);
        }
    }

    fn land_signal(&mut self, member: usize, signal: (bool, String)) {
        let (offer, text) = signal;
        let Some((room, participant)) = self.names(member) else {
            return;
        };
        self.trace.text(self.now, (member, "signal up"), &text);
        let sdp_type = if offer {
            SdpType::Offer
        } else {
            SdpType::Answer
        };
        let description = match sfu::sdp::parse(sdp_type, &text) {
            Ok(description) => Box::new(description),
            Err(error) => {
                let why = error.to_string();
                self.refusals
                    .push((member, CommandError::Unusable { section: None, why }));
                return;
            }
        };
        let command = Command::Negotiate {
            room,
            participant,
            description,
        };
        match self.carry_out(command) {
            Ok(Reply::Negotiated(Negotiated::Answer(answer))) => self.signal(member, &answer),
            Ok(Reply::Negotiated(Negotiated::Accepted)) => {
                if let Some(it) = self.members.get_mut(member) {
                    it.offers.1 += 1;
                }
            }
            Ok(_) => {}
            Err(error) => self.refusals.push((member, error)),
        }
    }

    /// A description of the server sets out.
    fn signal(&mut self, member: usize, description: &Description) {
        let text = sfu::sdp::write(description);
        self.laws.handle_description(member, &text);
        let signal = (description.sdp_type == SdpType::Offer, text);
        let Some(it) = self.members.get_mut(member) else {
            return;
        };
        it.offers.0 += u64::from(signal.0);
        let arrival = (self.now + it.signal_delay).max(it.signals_until[1]);
        it.signals_until[1] = arrival;
        self.fly(arrival, Flight::SignalToRobot { member, signal });
    }

    /// What a publisher is asked for goes the way of signals.
    fn order(&mut self, member: usize, tracks: &[WantedEncodings]) {
        let Some(it) = self.members.get(member).filter(|it| it.obeys) else {
            return;
        };
        let arrival = self.now + it.signal_delay;
        for track in tracks {
            let asked = |rid: &str| track.rids.iter().any(|asked| asked.as_str() == rid);
            let order = (track.mid, RIDS.map(asked));
            self.fly(arrival, Flight::OrderToRobot { member, order });
        }
    }

    fn land_order(&mut self, member: usize, (mid, asked): (Mid, [bool; RIDS.len()])) {
        let Some(it) = self.members.get_mut(member) else {
            return;
        };
        if let Some(track) = it.robot.publication_at_mut(mid.as_str()) {
            for (encoding, is_asked) in (0..).zip(asked) {
                track.set_sent(encoding, is_asked);
            }
        }
    }

    /// Takes what a robot has to say.
    pub(super) fn handle_robot(&mut self, member: usize) {
        while let Some(signal) = self
            .members
            .get_mut(member)
            .and_then(|it| it.robot.poll_signal())
        {
            self.signal_up(member, signal);
        }
        while let Some(it) = self
            .members
            .get_mut(member)
            .and_then(|it| it.robot.poll_transmit())
        {
            self.send_up(member, it);
        }
        while let Some(observed) = self
            .members
            .get_mut(member)
            .and_then(|it| it.robot.poll_observed())
        {
            self.trace.observed(self.now, member, &observed);
            let observed = self.tap.observed(member, observed);
            self.laws.handle_observed(self.now, member, &observed);
        }
        while let Some(rtcp) = self
            .members
            .get_mut(member)
            .and_then(|it| it.robot.poll_rtcp())
        {
            self.trace.rtcp(self.now, member, &rtcp);
        }
        let wake = self
            .members
            .get(member)
            .and_then(|it| it.robot.poll_timeout());
        if let Some(it) = self.wakes.get_mut(member) {
            *it = wake;
        }
    }

    fn signal_up(&mut self, member: usize, signal: Signal) {
        let signal = match signal {
            Signal::Offer(text) => (true, text),
            Signal::Answer(text) => (false, text),
        };
        let Some(it) = self.members.get_mut(member) else {
            return;
        };
        let arrival = (self.now + it.signal_delay).max(it.signals_until[0]);
        it.signals_until[0] = arrival;
        self.fly(arrival, Flight::SignalToServer { member, signal });
    }

    fn send_up(&mut self, member: usize, transmit: Transmit) {
        let Some(it) = self.members.get_mut(member) else {
            return;
        };
        let seen = Seen::of(&transmit.bytes);
        if let Seen::Rtp(packet) = &seen
            && let Some(ours) = it
                .robot
                .publications()
                .iter()
                .find(|it| it.sends(packet.ssrc))
        {
            self.laws.handle_published(ours.source(), packet);
        }
        let source = it.outside;
        let arrivals = travel(&mut it.up, self.now, (&seen, transmit.bytes.len()));
        if transmit.destination != SERVER {
            return;
        }
        for arrival in arrivals.into_iter().flatten() {
            let bytes = transmit.bytes.clone();
            self.fly(
                arrival,
                Flight::ToServer {
                    member,
                    source,
                    bytes,
                },
            );
        }
    }

    /// Everything that may leave the shard leaves it, and its news is heard.
    pub(super) fn depart(&mut self) {
        for shard in 0..self.shards.len() {
            self.hand_over(shard);
            self.depart_from(shard);
            self.hand_over(shard);
        }
    }

    fn depart_from(&mut self, shard: usize) {
        let mut outbox = std::mem::take(&mut self.outbox);
        while let Some(it) = self.shards.get_mut(shard) {
            let departed = it.depart(self.now, &mut outbox);
            for run in outbox.runs() {
                for datagram in run.datagrams() {
                    self.send_down(run.path.remote, datagram);
                }
            }
            outbox.clear();
            if departed == Departed::Done {
                break;
            }
        }
        self.outbox = outbox;
        while let Some(event) = self.shards.get_mut(shard).and_then(Shard::poll_event) {
            self.handle_event(event);
        }
    }

    fn send_down(&mut self, destination: SocketAddr, bytes: &[u8]) {
        self.datagrams.1 += 1;
        let seen = Seen::of(bytes);
        let (shown_to, shown) = self.tap.departure(destination, seen);
        self.laws.handle_departure(self.now, shown_to, &shown);
        let Some(member) = self.outsides.get(&destination).copied() else {
            return;
        };
        let Some(it) = self.members.get_mut(member) else {
            return;
        };
        let arrivals = travel(&mut it.down, self.now, (&seen, bytes.len()));
        for arrival in arrivals.into_iter().flatten() {
            self.fly(
                arrival,
                Flight::ToRobot {
                    member,
                    bytes: bytes.to_vec(),
                },
            );
        }
    }

    fn handle_event(&mut self, event: Event) {
        match event {
            Event::ParticipantLeft {
                participant,
                reason,
                ..
            } => {
                if let Some(member) = self.member_of(participant) {
                    self.laws.handle_left(self.now, member);
                    self.members
                        .get_mut(member)
                        .map(|it| it.left.get_or_insert(reason));
                }
            }
            Event::Offer {
                participant,
                description,
                ..
            } => {
                if let Some(member) = self.member_of(participant) {
                    self.signal(member, &description);
                }
            }
            Event::TrackChanged { facts, .. } => {
                if let Some(member) = self.member_of(facts.participant) {
                    self.lines.insert(facts.track, (member, facts.mid));
                    self.tracks.insert(facts.track, Published { member, facts });
                }
            }
            Event::TrackUnpublished { track, .. } => {
                self.tracks.remove(&track);
            }
            Event::SubscriptionsChanged {
                participant,
                sections,
                subscriptions,
                ..
            } => {
                if let Some(member) = self.member_of(participant) {
                    self.bind(member, sections);
                    if let Some(it) = self.members.get_mut(member) {
                        it.subscriptions = subscriptions;
                    }
                }
            }
            Event::LayersChanged {
                participant, facts, ..
            } => {
                let member = self.member_of(participant);
                if let Some(it) = member.and_then(|it| self.members.get_mut(it)) {
                    it.given = Some(facts);
                }
            }
            Event::EncodingsWanted {
                participant,
                tracks,
                ..
            } => {
                if let Some(member) = self.member_of(participant) {
                    self.order(member, &tracks);
                }
            }
            Event::ParticipantConnected { .. }
            | Event::ParticipantSilent { .. }
            | Event::QualityChanged { .. }
            | Event::RoomDeleted { .. }
            | Event::SpeakersChanged { .. }
            | Event::DataChannelOpened { .. } => {}
        }
    }

    /// What a member's m-lines show from now on.
    fn bind(&mut self, member: usize, sections: Vec<SectionBinding>) {
        let Some(it) = self.members.get_mut(member) else {
            return;
        };
        let before = std::mem::replace(&mut it.bindings, sections);
        let gone = before.iter().filter(|old| !it.bindings.contains(old));
        let gone: Vec<TrackId> = gone.filter_map(|old| old.track).collect();
        for track in gone {
            if let Some(source) = self.source_of(track) {
                self.laws.handle_unbound(member, source);
            }
        }
    }

    /// Whose a track is or was, as payloads say.
    pub(super) fn source_of(&self, track: TrackId) -> Option<Source> {
        let (member, mid) = self.lines.get(&track)?;
        let robot = self.robot(*member)?;
        robot.publication_at(mid.as_str()).map(Publication::source)
    }

    /// Asks the laws what is asked in every step.
    fn check(&mut self) {
        let counted = self.tap.counted(self.datagrams);
        self.laws.handle_stats(self.now, &self.stats(), counted);
        if self.now >= self.sizes_at {
            self.sizes_at = self.now + SIZES_INTERVAL;
            let here = self.members.iter().filter(|it| it.left.is_none()).count();
            let sizes = self.tap.sizes(self.sizes());
            let rooms = self.rooms.len() * self.shards.len();
            self.laws.handle_sizes(self.now, &sizes, (rooms, here));
        }
    }

    pub(super) fn member_of(&self, participant: ParticipantId) -> Option<usize> {
        self.members
            .iter()
            .position(|it| it.participant == participant)
    }

    pub(super) fn fly(&mut self, arrival: Instant, flight: Flight) {
        self.flights += 1;
        self.flying.push(Reverse((arrival, self.flights, flight)));
    }
}

/// Sends a datagram through a link. It costs a bottleneck its IPv4 and UDP headers as well.
fn travel(link: &mut Link, now: Instant, (seen, bytes): (&Seen, usize)) -> Arrivals {
    let identity = seen.identity(now, bytes);
    match seen {
        Seen::Dtls => link.send_dtls(now, DTLS_BYTES, identity),
        Seen::StunRequest { .. } | Seen::Stun | Seen::Rtp(_) | Seen::Rtcp { .. } | Seen::Other => {
            link.send(now, bytes + 28, identity)
        }
    }
}

//! The way in: one datagram, in order. Ingress never sends.
//!
//! A datagram ends forwarded, consumed, or dropped with a reason. Inwards the corridor returns
//! `Result<Taken, DropReason>`, so that `?` reads naturally; [`Shard::handle_datagram`] counts.

use std::collections::VecDeque;

use super::places::Place;
use super::{Datagram, Shard};
use crate::error::DropReason;
use crate::limits;
use crate::path::Path;
use crate::time::Instant;
use crate::transport::username_key;
use crate::wire::demux::{self, Class};

/// What became of a datagram that was not dropped.
enum Taken {
    Forwarded,
    Consumed,
}

impl Shard {
    /// A datagram arrived.
    pub fn handle_datagram(&mut self, now: Instant, datagram: Datagram<'_>) {
        self.current = None;
        let stats = &mut self.commons.stats;
        stats.datagrams_in += 1;
        stats.bytes_in += datagram.bytes.len() as u64;
        let taken = match demux::classify(datagram.bytes) {
            Some(Class::Stun) => self.take_stun(now, &datagram),
            Some(Class::Dtls) => self.take_dtls(now, datagram),
            Some(Class::Rtp) => self.take_rtp(now, datagram),
            Some(Class::Rtcp) => self.take_rtcp(now, datagram),
            None => Err(DropReason::Unclassified),
        };
        let stats = &mut self.commons.stats;
        match taken {
            Ok(Taken::Forwarded) => stats.forwarded += 1,
            Ok(Taken::Consumed) => stats.consumed += 1,
            Err(reason) => stats.dropped.count(reason),
        }
    }

    fn take_stun(&mut self, now: Instant, datagram: &Datagram<'_>) -> Result<Taken, DropReason> {
        let path = datagram.path;
        // Requests say by their USERNAME whom they are for; answers to our own checks come by a
        // path that is known.
        let place = match username_key(datagram.bytes) {
            Some(parts) if parts.shard == self.commons.config.index => {
                self.commons.places.by_transport(parts.key)
            }
            Some(_) => None,
            None => self.commons.places.by_path(path),
        };
        let place = place.ok_or(DropReason::UnknownUfrag)?;
        self.current = Some(place.room);
        let room = self.rooms.get_mut(place.room.index());
        let room = room.ok_or(DropReason::UnknownUfrag)?;
        let member = room.members.get_mut(place.member.index());
        let member = member.ok_or(DropReason::UnknownUfrag)?;
        let outcome = member.transport.handle_stun(now, path, datagram.bytes)?;
        if let Some(rtt) = member.transport.rtt() {
            // One who only publishes reports on nothing: this is all that is known of its distance.
            room.router.set_rtt(place.member, rtt);
        }
        for lost in outcome.lost_paths {
            self.commons.places.forget(lost, place);
        }
        // A known path too: another may have proved it meanwhile, by a forged source or since a NAT
        // took it back and gave it away.
        let is_ours = outcome.new_path || member.transport.paths().any(|known| known == path);
        if is_ours {
            self.commons.places.prove(path, place);
        }
        self.settle_alone(now, place);
        Ok(Taken::Consumed)
    }

    fn take_dtls(&mut self, now: Instant, datagram: Datagram<'_>) -> Result<Taken, DropReason> {
        let path = datagram.path;
        let place = self.known(path)?;
        let member = self.member_mut(place).ok_or(DropReason::UnknownPath)?;
        // A flight of a handshake costs a hundred times a packet: one each slice, the rest waits.
        if !member.transport.is_connected() && !self.handshakes.may_start() {
            self.handshakes.wait(place, path, datagram.bytes)?;
            return Ok(Taken::Consumed);
        }
        self.shake_hand(now, place, path, datagram.bytes)?;
        Ok(Taken::Consumed)
    }

    fn shake_hand(
        &mut self,
        now: Instant,
        place: Place,
        path: Path,
        bytes: &mut [u8],
    ) -> Result<(), DropReason> {
        let member = self.member_mut(place).ok_or(DropReason::UnknownPath)?;
        let taken = member.transport.handle_dtls(now, path, bytes);
        self.settle_alone(now, place);
        taken
    }

    /// One handshake datagram that had to wait for its slice.
    pub(super) fn shake_next_hand(&mut self, now: Instant) {
        if let Some((place, path, mut bytes)) = self.handshakes.next() {
            self.current = Some(place.room);
            // It was counted as consumed when it was taken in.
            let _taken = self.shake_hand(now, place, path, &mut bytes);
        }
    }

    fn take_rtp(&mut self, now: Instant, datagram: Datagram<'_>) -> Result<Taken, DropReason> {
        let place = self.known(datagram.path)?;
        let room = self.rooms.get_mut(place.room.index());
        let room = room.ok_or(DropReason::UnknownPath)?;
        let member = room.members.get_mut(place.member.index());
        let member = member.ok_or(DropReason::UnknownPath)?;
        let length = member
            .transport
            .open_rtp(now, datagram.path, datagram.bytes)?;
        let back = member.silent && member.note_presence(now);
        let packet = datagram.bytes.get(..length).ok_or(DropReason::Malformed)?;
        let routed = room.router.route(
            now,
            datagram.arrived_at,
            place.member,
            packet,
            &mut self.commons.pages,
        )?;
        if let Some(sequence) = routed.transport_sequence {
            member.transport.log_arrival(sequence, datagram.arrived_at);
            member.heard_ssrc = crate::wire::rtp::RtpPacket::parse(packet)?.ssrc();
        }
        if let Some((ssrc, sequence)) = routed.reported {
            let arrived_at = datagram.arrived_at;
            member.transport.log_packet(ssrc, sequence, arrived_at);
        }
        // Feedback may have become due sooner than what the wheel knows of this member.
        if let Some(due) = member.transport.feedback_due()
            && self
                .commons
                .wheel
                .due(member.timer)
                .is_none_or(|at| due < at)
        {
            self.commons.wheel.schedule(member.timer, due);
        }
        if room.router.has_feedback(place.member) {
            room.visit(place.member);
        }
        room.take_beginnings(now);
        let changed = room.take_track_change();
        self.settle_departure(now, place.room);
        if back {
            self.settle_news(place.room);
        }
        if changed {
            self.place_tracks_in(now, place.room);
        }
        match routed.dropped {
            Some(reason) => Err(reason),
            None if routed.forwarded => Ok(Taken::Forwarded),
            None => Ok(Taken::Consumed),
        }
    }

    fn take_rtcp(&mut self, now: Instant, datagram: Datagram<'_>) -> Result<Taken, DropReason> {
        let place = self.known(datagram.path)?;
        let member = self.member_mut(place).ok_or(DropReason::UnknownPath)?;
        let length = member
            .transport
            .open_rtcp(now, datagram.path, datagram.bytes)?;
        if member.silent {
            member.note_presence(now);
        }
        let compound = datagram.bytes.get(..length).ok_or(DropReason::Malformed)?;
        let taken = self.take_compound(now, place, compound);
        if self
            .member_mut(place)
            .is_some_and(|member| member.has_news())
        {
            self.settle_news(place.room);
        }
        self.settle_departure(now, place.room);
        taken.map(|()| Taken::Consumed)
    }

    fn known(&mut self, path: Path) -> Result<Place, DropReason> {
        let place = self.commons.places.by_path(path);
        let place = place.ok_or(DropReason::UnknownPath)?;
        self.current = Some(place.room);
        Ok(place)
    }

    pub(super) fn member_mut(&mut self, place: Place) -> Option<&mut super::room::Member> {
        let room = self.rooms.get_mut(place.room.index())?;
        room.members.get_mut(place.member.index())
    }
}

/// Handshake datagrams that wait for their slice; at most `HANDSHAKE_FLIGHTS_QUEUE`, and
/// `HANDSHAKE_FLIGHTS_EACH` of one transport. What finds no room is dropped: its sender repeats it (RFC 6347 §4.2.4).
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    waiting: VecDeque<(Place, Path, Vec<u8>)>,
    spent: bool,
}

impl Handshakes {
    /// Whether this slice still has its handshake datagram, which is spent by asking.
    fn may_start(&mut self) -> bool {
        let may = !self.spent && self.waiting.is_empty();
        self.spent = true;
        may
    }

    pub(super) fn wait(
        &mut self,
        place: Place,
        path: Path,
        bytes: &[u8],
    ) -> Result<(), DropReason> {
        let own = self.waiting.iter().filter(|(other, ..)| *other == place);
        if self.waiting.len() >= limits::HANDSHAKE_FLIGHTS_QUEUE
            || own.count() >= limits::HANDSHAKE_FLIGHTS_EACH
        {
            return Err(DropReason::HandshakeBusy);
        }
        self.waiting.push_back((place, path, bytes.to_vec()));
        Ok(())
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn next(&mut self) -> Option<(Place, Path, Vec<u8>)> {
        self.waiting.pop_front()
    }

    /// A departure ended: a new slice begins.
    pub(super) fn next_slice(&mut self) {
        self.spent = false;
    }

    /// The transport is gone.
    pub(super) fn forget(&mut self, place: Place) {
        self.waiting.retain(|(waiting, ..)| *waiting != place);
    }
}

//! The only way out: transport by transport, control first (STUN, DTLS), then one RTCP compound,
//! then tickets. Packets are written and sealed now, straight into the outbox.

use super::room::{Member, Room};
use super::{Commons, Departed, Shard, ShardStats};
use crate::error::DropReason;
use crate::id::MemberKey;
use crate::limits;
use crate::outbox::Outbox;
use crate::path::Path;
use crate::prefetch::prefetch;
use crate::router::{Rewriter, Router, Seal, TicketClass};
use crate::time::Instant;
use crate::transport::{BudgetClass, SRTCP_OVERHEAD, SRTP_OVERHEAD, Transport, wire_bytes};
use crate::units::Bitrate;
use crate::wire::extension::abs_send_time;

/// So many turns before a member's own what is kept of it is asked for. Nearer ones ask for what that
/// points to.
const AHEAD: usize = 4;

/// The outbox is full.
struct Full;

impl Shard {
    /// Fills `outbox` with what may leave now.
    pub fn depart(&mut self, now: Instant, outbox: &mut Outbox) -> Departed {
        self.current = None;
        if self.commons.depart_goodbyes(outbox).is_err() {
            return Departed::Full;
        }
        let lone = self.departing.len() == 1;
        while let Some(key) = self.departing.front().copied() {
            self.current = Some(key);
            let room = self.rooms.get_mut(key.index());
            if let Some(room) = room {
                if lone {
                    room.router.release_lone(now);
                }
                if room.depart(now, &mut self.commons, outbox).is_err() {
                    return Departed::Full;
                }
                room.departing = false;
            }
            self.departing.pop_front();
            self.settle_departed(now, key);
        }
        self.handshakes.next_slice();
        Departed::Done
    }

    /// Deadlines may have moved: reports were written, tickets left.
    fn settle_departed(&mut self, now: Instant, key: crate::id::RoomKey) {
        let Some(room) = self.rooms.get_mut(key.index()) else {
            return;
        };
        room.collect_stats(&mut self.commons.stats);
        let mut has_news = false;
        while let Some(member) = room.departed.pop() {
            let Some(member) = room.members.get_mut(member.index()) else {
                continue;
            };
            has_news |= member.has_news();
            let due = member.due();
            self.commons.schedule(now, member.timer, due);
        }
        // Its turn is over, even where a member has RTCP waiting and no path yet to send it on:
        // taking its place again at once would never end.
        self.settle_deadline(now, key);
        if has_news {
            self.settle_news(key);
        }
    }
}

impl Commons {
    /// The other side learns at once that its transport is gone, not by silence: a close_notify
    /// leaves with the next departure, its owner is gone by then. Not where nobody listens.
    pub(super) fn say_goodbye(&mut self, now: Instant, transport: &mut Transport) {
        if !transport.is_connected() || transport.selected_path().is_none() {
            return;
        }
        transport.close(now);
        while let Some((path, length)) = transport.poll_control(now, &mut self.scratch) {
            let bytes = self.scratch.get(..length).unwrap_or_default();
            if self.goodbyes.len() < limits::GOODBYES {
                self.goodbyes.push_back((path, bytes.to_vec()));
            }
        }
    }

    fn depart_goodbyes(&mut self, outbox: &mut Outbox) -> Result<(), Full> {
        while let Some((path, bytes)) = self.goodbyes.front() {
            let slot = outbox.slot(*path, bytes.len()).ok_or(Full)?;
            slot.copy_from_slice(bytes);
            outbox.commit(bytes.len());
            self.stats.datagrams_out += 1;
            self.stats.bytes_out += bytes.len() as u64;
            self.goodbyes.pop_front();
        }
        Ok(())
    }
}

impl Room {
    fn depart(
        &mut self,
        now: Instant,
        commons: &mut Commons,
        outbox: &mut Outbox,
    ) -> Result<(), Full> {
        for place in 0..self.router.ready(now) {
            if let Some(next) = self.router.ready_member(place + AHEAD)
                && let Some(member) = self.members.get(next.index())
            {
                prefetch(&member.visiting);
            }
            if let Some(member) = self.router.ready_member(place) {
                self.visit(member);
            }
        }
        let abs_send = abs_send_time(commons.config.clock.ntp(now));
        while let Some(key) = self.visits.front().copied() {
            self.prefetch();
            if let Some(member) = self.members.get_mut(key.index()) {
                commons.stats.visits += 1;
                let mut visit = Visit {
                    now,
                    abs_send,
                    key,
                    member,
                    router: &mut self.router,
                    commons,
                    moved: false,
                };
                let through = visit.all(outbox);
                // Whose packets alone left has the deadlines it had.
                if visit.moved {
                    self.departed.push(key);
                }
                through?;
                member.visiting = false;
            }
            self.visits.pop_front();
        }
        Ok(())
    }
}

impl Room {
    /// Asks for what the visits after this one will look at: of the farthest what lies in tables, of the
    /// one before it what the tables point to, and so on, so that no pointer is followed that is not
    /// here yet.
    fn prefetch(&self) {
        if let Some(&key) = self.visits.get(AHEAD) {
            if let Some(member) = self.members.get(key.index()) {
                prefetch(&member.visiting);
                member.adaptation.prefetch();
                member.transport.prefetch();
            }
            self.router.prefetch_member(key);
        }
        if let Some(&key) = self.visits.get(AHEAD - 1) {
            if let Some(member) = self.members.get(key.index()) {
                member.transport.prefetch_parts();
            }
            self.router.prefetch_queue(key);
        }
        if let Some(&key) = self.visits.get(AHEAD - 2) {
            if let Some(member) = self.members.get(key.index()) {
                member.transport.prefetch_rings();
            }
            self.router.prefetch_section(key);
        }
        if let Some(&key) = self.visits.get(AHEAD - 3) {
            self.router.prefetch_ring(key);
        }
    }

    fn collect_stats(&mut self, stats: &mut ShardStats) {
        let router = self.router.take_stats();
        stats.nacks_in += router.nacks_in;
        stats.nacks_out += router.nacks_out;
        stats.keyframe_requests_in += router.keyframe_requests_in;
        stats.keyframe_requests_out += router.keyframe_requests_out;
        stats.pipe_packets_out += router.piped;
        stats.pipe_packets_dropped += router.pipe_full;
        stats.pipe_packets_in += router.piped_in;
        stats
            .tickets_dropped
            .count_many(DropReason::QueueFull, router.queue_full);
        stats
            .tickets_dropped
            .count_many(DropReason::Throttled, router.throttled);
        stats
            .tickets_dropped
            .count_many(DropReason::RepairBudget, router.over_budget);
        stats
            .tickets_dropped
            .count_many(DropReason::NackStorm, router.nack_storms);
    }
}

/// One transport's turn.
struct Visit<'a> {
    now: Instant,
    /// The same as 6.18 fixed point.
    abs_send: u32,
    key: MemberKey,
    member: &'a mut Member,
    router: &'a mut Router,
    commons: &'a mut Commons,
    /// Its deadlines may have moved.
    moved: bool,
}

impl Visit<'_> {
    fn all(&mut self, outbox: &mut Outbox) -> Result<(), Full> {
        let data = self.member.transport.charged(BudgetClass::Data);
        self.control(outbox)?;
        let before = self.commons.stats.datagrams_out;
        let through = self.media(outbox);
        let has_data = self.member.transport.charged(BudgetClass::Data) != data;
        if has_data || self.commons.stats.datagrams_out != before {
            self.moved |= self.member.transport.use_path();
        }
        through
    }

    fn media(&mut self, outbox: &mut Outbox) -> Result<(), Full> {
        self.reports(outbox)?;
        self.tickets(outbox)?;
        self.probe(outbox)
    }

    fn control(&mut self, outbox: &mut Outbox) -> Result<(), Full> {
        while self.member.transport.has_control() {
            if !outbox.has_room(limits::PACKET_BYTES) {
                return Err(Full);
            }
            let scratch = &mut self.commons.scratch;
            let Some((path, length)) = self.member.transport.poll_control(self.now, scratch) else {
                break;
            };
            self.moved = true;
            let bytes = scratch.get(..length).unwrap_or_default();
            let class = BudgetClass::Control;
            self.member.transport.charge(class, length);
            if let Some(slot) = outbox.slot(path, length) {
                slot.copy_from_slice(bytes);
                outbox.commit(length);
                self.count(length);
            }
        }
        Ok(())
    }

    fn reports(&mut self, outbox: &mut Outbox) -> Result<(), Full> {
        let transport = &self.member.transport;
        let is_due = self.router.has_feedback(self.key) || transport.has_twcc(self.now);
        if !is_due || !transport.is_connected() {
            return Ok(());
        }
        let Some(path) = transport.selected_path() else {
            return Ok(());
        };
        if !outbox.has_room(limits::PACKET_BYTES) {
            return Err(Full);
        }
        let Some(slot) = outbox.slot(path, limits::PACKET_BYTES) else {
            return Err(Full);
        };
        let space = limits::PACKET_BYTES - SRTCP_OVERHEAD;
        let written = super::report::write(
            self.now,
            self.key,
            self.member,
            self.router,
            slot.get_mut(..space).unwrap_or_default(),
        );
        if written == 0 {
            return Ok(());
        }
        self.moved = true;
        match self.member.transport.seal_rtcp(slot, written) {
            Ok(length) => {
                outbox.commit(length);
                let class = BudgetClass::Control;
                self.member.transport.charge(class, length);
                self.count(length);
            }
            Err(reason) => self.commons.stats.tickets_dropped.count(reason),
        }
        Ok(())
    }

    fn tickets(&mut self, outbox: &mut Outbox) -> Result<(), Full> {
        let path = self.member.transport.selected_path();
        loop {
            if !outbox.has_room(limits::PACKET_BYTES) {
                return Err(Full);
            }
            self.pace();
            let Some(path) = path else {
                if !self.router.drop_packet(self.key) {
                    return Ok(());
                }
                // What follows could not be decoded without this one.
                self.router.set_receiving(self.now, self.key, false);
                self.commons.stats.tickets_dropped.count(DropReason::NoPath);
                continue;
            };
            match self.router.rewriter(self.now, self.key) {
                None => return Ok(()),
                Some(Err(reason)) => self.commons.stats.tickets_dropped.count(reason),
                Some(Ok(rewriter)) => {
                    let mut leaving = Leaving {
                        now: self.now,
                        abs_send: self.abs_send,
                        path,
                        given: self.member.adaptation.given,
                        rewriter,
                        transport: &mut self.member.transport,
                        stats: &mut self.commons.stats,
                        packets: 0,
                        bytes: 0,
                        datagram_bytes: 0,
                    };
                    let through = leaving.all(outbox);
                    leaving.settle();
                    through?;
                }
            }
        }
    }

    /// Holds pictures back where they would leave faster than the path carries them.
    fn pace(&mut self) {
        if !self.member.transport.is_paced() {
            return;
        }
        let waiting = self.router.waiting_pictures(self.key);
        if waiting == 0 || self.member.adaptation.paced_until.is_some() {
            return;
        }
        let given = self.member.adaptation.given;
        if let Some(at) = self.member.transport.poll_pacer(self.now, given, waiting) {
            self.member.adaptation.paced_until = Some(at);
            self.moved = true;
            self.router.hold_pictures(self.key, true);
        }
    }

    /// Padding that is due, while a probe is being sent.
    fn probe(&mut self, outbox: &mut Outbox) -> Result<(), Full> {
        let path = self.member.transport.selected_path();
        while let Some(probing) = self.member.adaptation.probing {
            self.moved = true;
            if probing.at > self.now {
                break;
            }
            if !outbox.has_room(limits::PACKET_BYTES) {
                return Err(Full);
            }
            // Without a way or a stream for it the probe ends; the estimator takes it as lost.
            let sent = path.and_then(|path| self.padding(path, probing.id, outbox));
            self.member.adaptation.probing = sent.and_then(|bytes| probing.after(bytes));
        }
        Ok(())
    }

    /// One packet of padding; its bytes on the wire.
    fn padding(&mut self, path: Path, probe: u32, outbox: &mut Outbox) -> Option<u32> {
        let slot = outbox.slot(path, limits::PACKET_BYTES)?;
        let plain = slot.get_mut(..limits::PACKET_BYTES - SRTP_OVERHEAD)?;
        let transport = &mut self.member.transport;
        let abs_send = self.abs_send;
        if !self.router.can_pad(self.key) {
            return None;
        }
        let number = transport.next_transport_sequence();
        let written = self
            .router
            .write_padding(self.key, number, abs_send, plain)?;
        let length = transport.seal_rtp(slot, written).ok()?;
        if self.router.is_reported(self.key) {
            transport.note_numbered(slot, false);
        }
        outbox.commit(length);
        transport.charge(BudgetClass::Probe, length);
        let bytes = wire_bytes(path, length);
        transport.note_sent(self.now, bytes, probe);
        self.commons.stats.probes_out += 1;
        self.count(length);
        Some(bytes)
    }

    fn count(&mut self, length: usize) {
        self.commons.stats.datagrams_out += 1;
        self.commons.stats.bytes_out += length as u64;
    }
}

/// Packets of one class, encoding and section on their way into the outbox.
struct Leaving<'a> {
    now: Instant,
    abs_send: u32,
    path: Path,
    given: Bitrate,
    rewriter: Rewriter<'a>,
    transport: &'a mut Transport,
    stats: &'a mut ShardStats,
    /// What has left and is not charged yet: packets, bytes on the wire, and bytes of datagrams.
    packets: u64,
    bytes: usize,
    datagram_bytes: u64,
}

impl Leaving<'_> {
    /// As many as there is room for and as the path may carry now; the first in any case.
    fn all(&mut self, outbox: &mut Outbox) -> Result<(), Full> {
        loop {
            let slot = if self.packets == 0 {
                outbox.slot(self.path, limits::PACKET_BYTES)
            } else {
                outbox.another(limits::PACKET_BYTES)
            };
            let slot = slot.ok_or(Full)?;
            let Some(number) = self.rewriter.take() else {
                return Ok(());
            };
            match self.one(number, slot) {
                Ok(length) => outbox.commit(length),
                Err(reason) => self.stats.tickets_dropped.count(reason),
            }
            if self.is_too_fast() {
                return Ok(());
            }
        }
    }

    /// The pacer holds what is left, as [`Visit::pace`] will hear from it too. Where nothing is left it
    /// is not asked: it would take note that it was full.
    fn is_too_fast(&mut self) -> bool {
        if self.rewriter.class() == TicketClass::Audio || !self.transport.is_paced() {
            return false;
        }
        let waiting = self.rewriter.waiting_pictures();
        let poll = |transport: &mut Transport| transport.poll_pacer(self.now, self.given, waiting);
        waiting > 0 && poll(self.transport).is_some()
    }

    /// Writes and seals a packet; its length.
    fn one(&mut self, number: u64, slot: &mut [u8]) -> Result<usize, DropReason> {
        let space = limits::PACKET_BYTES - SRTP_OVERHEAD;
        let plain = slot.get_mut(..space).ok_or(DropReason::TooLarge)?;
        let transport = &mut *self.transport;
        let mut numbered = false;
        let written = self.rewriter.write(
            number,
            || {
                numbered = true;
                transport.next_transport_sequence()
            },
            self.abs_send,
            plain,
        )?;
        let length = match written.seal {
            Seal::Once => transport.seal_rtp_tail(slot, written.len, written.tail)?,
            Seal::Again { transport_sequence } => {
                let length = transport.reseal_rtp(slot, written.len)?;
                transport.forget_sent(transport_sequence);
                length
            }
        };
        if self.rewriter.is_reported() && written.seal == Seal::Once {
            transport.note_numbered(slot, !numbered);
            numbered = true;
        }
        let bytes = wire_bytes(self.path, length);
        if numbered {
            transport.note_sent(self.now, bytes, 0);
        }
        self.packets += 1;
        self.bytes += bytes as usize;
        self.datagram_bytes += length as u64;
        Ok(length)
    }

    /// What has left is charged.
    fn settle(&mut self) {
        let class = match self.rewriter.class() {
            TicketClass::Audio => BudgetClass::Audio,
            TicketClass::Repair => BudgetClass::Retransmission,
            TicketClass::Video => BudgetClass::Video,
        };
        self.transport.charge(class, self.bytes);
        let repeats = if class == BudgetClass::Retransmission {
            self.packets
        } else {
            0
        };
        self.stats.packets_out += self.packets;
        self.stats.retransmissions_out += repeats;
        self.stats.datagrams_out += self.packets;
        self.stats.bytes_out += self.datagram_bytes;
    }
}

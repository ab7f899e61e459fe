//! RTCP of a room, in and out, and everything that is due by the clock.
//!
//! Sender reports are on the server's clock: the publisher's NTP time plus the smallest offset
//! measured, one for all its streams, so that sound and picture of one person stay together at
//! every receiver. Before its first report, arrival stands for sending.

use arrayvec::ArrayVec;

use crate::id::{EncodingKey, MemberKey, SectionKey, TrackKey};
use crate::limits::RUNGS_AT_ONCE;
use crate::router::encoding::{ClockReport, ticks};
use crate::router::history::PagePool;
use crate::router::member::Source;
use crate::router::rungs::{STEP_MILLIS, STOPS_EVERY};
use crate::router::section::Section;
use crate::router::selector::best;
use crate::router::{NEVER, Router, member_mut};
use crate::time::{Duration, Instant, NtpTime};
use crate::units::MediaKind;
use crate::wheel::soonest;
use crate::wire::rtcp::{CompoundWriter, ReportBlock, SenderReport};

/// Receiver reports to a publisher.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// RTCP that could not leave (no path, no room) is offered again after this.
const RTCP_RETRY: Duration = Duration::from_millis(20);
/// Flows of simulcast encodings are compared this often.
pub(super) const FLOW_STEP: Duration = Duration::from_millis(STEP_MILLIS);
/// Report blocks of one packet (RFC 3550 §6.4.1).
const BLOCKS: usize = 31;
/// The SSRC of RTCP from one who sends no media.
const SILENT_SSRC: u32 = 1;

impl Router {
    /// The publisher's clock.
    pub fn handle_sender_report(
        &mut self,
        now: Instant,
        member: MemberKey,
        ssrc: u32,
        ntp: NtpTime,
        rtp: u32,
    ) {
        let arrived = self.clock.ntp(now);
        let Some(publisher) = member_mut(&mut self.members, member) else {
            return;
        };
        let Some(source) = publisher.source(ssrc).filter(|source| !source.repair) else {
            return;
        };
        publisher.clock.report(arrived, ntp);
        if let Some(encoding) = self.encodings.get_mut(source.encoding.index()) {
            encoding.clock = Some(ClockReport {
                ntp,
                rtp,
                arrived_at: now,
            });
        }
        self.tell_ports_clock(now, source.encoding);
    }

    /// The publisher ended a stream. What was shown of it is shown of another one, where there is
    /// one. A rung of simulcast keeps its SSRC: a browser says BYE where it switches one off, and
    /// does not say mid and rid again where it switches it on.
    pub fn handle_bye(&mut self, now: Instant, member: MemberKey, ssrc: u32, pages: &mut PagePool) {
        let source = self.member(member).and_then(|m| m.source(ssrc));
        let Some(Source { encoding: key, .. }) = source.filter(|source| !source.repair) else {
            return;
        };
        let Some(encoding) = self.encodings.get_mut(key.index()) else {
            return;
        };
        let track = encoding.track;
        let before = self.tracks.get(track.index()).and_then(|t| t.best);
        if encoding.rid.is_some() {
            self.halt_encoding(now, key);
            return;
        }
        self.end_encoding(key, pages);
        let best = self.tracks.get(track.index()).and_then(|t| t.best);
        if let Some(best) = best.filter(|_| best != before) {
            self.want_keyframe(now, best);
        }
    }

    /// An encoding has stopped and may go on. What was shown of it is shown of another one, where there
    /// is one.
    pub(super) fn halt_encoding(&mut self, now: Instant, key: EncodingKey) {
        let Some(encoding) = self.encodings.get_mut(key.index()) else {
            return;
        };
        encoding.nack.clear();
        encoding.keyframe.satisfy();
        encoding.flow.stop();
        let track = encoding.track;
        let before = self.tracks.get(track.index()).and_then(|t| t.best);
        if before == Some(key) {
            self.choose_best(track);
        }
        let best = self.tracks.get(track.index()).and_then(|t| t.best);
        let other = self.instead_of(key).flatten().or(best);
        if self.retarget(key, other)
            && let Some(other) = other
        {
            self.want_keyframe(now, other);
        }
        if let Some(best) = best.filter(|_| best != before) {
            self.want_keyframe(now, best);
        }
    }

    /// Shows the encoding of a track that flows most.
    fn choose_best(&mut self, track: TrackKey) {
        let Some(found) = self.tracks.get_mut(track.index()) else {
            return;
        };
        let flows = found.encodings.iter().filter_map(|&key| {
            let encoding = self.encodings.get(key.index())?;
            Some((key, encoding.flow.rate()))
        });
        found.best = best(found.best, flows);
    }

    /// A subscriber cannot go on without a key frame (PLI or FIR).
    pub fn handle_keyframe_request(&mut self, now: Instant, member: MemberKey, media_ssrc: u32) {
        self.stats.keyframe_requests_in += 1;
        let Some((_, section)) = self.section_by_ssrc(member, media_ssrc) else {
            return;
        };
        if !section.is_open() {
            return;
        }
        let shown = section.selector.current();
        let track = section.track().and_then(|key| self.track(key));
        let aim = track.and_then(|track| section.aim(track));
        // Of the one that is shown, and of the one it waits to switch to.
        for encoding in [shown, aim.filter(|_| aim != shown)].into_iter().flatten() {
            self.want_keyframe(now, encoding);
        }
    }

    /// Thousandths lost of what a member sends, of its encoding that loses most, as it was last told.
    pub fn uplink_loss(&self, member: MemberKey) -> u16 {
        let tracks = self.member(member).map(|found| &found.tracks);
        let tracks = tracks.into_iter().flatten();
        let encodings = tracks.filter_map(|key| Some(&self.track(*key)?.encodings));
        let found = encodings
            .flatten()
            .filter_map(|key| self.encodings.get(key.index()));
        let worst = found.map(|encoding| encoding.lost_lately).max();
        u16::from(worst.unwrap_or(0)) * 125 / 32
    }

    /// A subscriber tells how a section arrives.
    pub fn handle_report_block(&mut self, now: Instant, member: MemberKey, block: &ReportBlock) {
        let Some((section, _)) = self.section_by_ssrc(member, block.ssrc) else {
            return;
        };
        // What its publisher has lost counts here too: it is asked where nothing better is known.
        let is_told = self.member(member).is_some_and(|m| m.repairs.is_told());
        if let Some(section) = self.sections.get_mut(section.index()).filter(|_| !is_told) {
            let lost = u16::from(block.fraction_lost) * 125 / 32;
            section.redundancy.note_loss(now, lost);
        }
        if block.last_sr == 0 {
            return;
        }
        // RFC 3550 §6.4.1: A - LSR - DLSR, in 65,536ths of a second.
        let passed = self.clock.ntp(now).middle().wrapping_sub(block.last_sr);
        let rtt = passed.wrapping_sub(block.delay_since_sr);
        // Clocks of DLSR round: a little below zero is zero, half a day is nonsense.
        let rtt = if rtt.cast_signed() < 0 { 0 } else { rtt };
        let rtt = Duration::from_micros(u64::from(rtt) * 1_000_000 / 65_536);
        if rtt > Duration::from_secs(10) {
            return;
        }
        if let Some(subscriber) = member_mut(&mut self.members, member) {
            subscriber.rtt = (subscriber.rtt * 3 + rtt) / 4;
        }
    }

    /// A member's round trip as its transport knows it (STUN), for those who report none.
    pub fn set_rtt(&mut self, member: MemberKey, rtt: Duration) {
        if let Some(found) = member_mut(&mut self.members, member) {
            found.rtt = rtt;
        }
    }

    /// A member's round trip, as its receiver reports say.
    #[must_use]
    pub fn rtt(&self, member: MemberKey) -> Duration {
        self.member(member).map_or(Duration::ZERO, |m| m.rtt)
    }

    /// Whether RTCP waits to be written for a member.
    #[must_use]
    pub fn has_feedback(&self, member: MemberKey) -> bool {
        self.member(member).is_some_and(|m| m.rtcp_pending)
    }

    /// Writes SR and RR where due, each with its SDES; an empty RR where only feedback waits and
    /// the peer takes no reduced-size RTCP (RFC 5506). Call before [`Router::write_feedback`],
    /// into the same writer.
    pub fn write_reports(
        &mut self,
        now: Instant,
        member: MemberKey,
        writer: &mut CompoundWriter<'_>,
    ) {
        let sender = self.sender_ssrc(member);
        let Some(found) = self.member(member) else {
            return;
        };
        let due = found.report_due.is_some_and(|due| due <= now);
        let leads = !found.reduced_size && writer.is_empty();
        if due || leads {
            let blocks = if due {
                self.report_blocks(now, member)
            } else {
                ArrayVec::new()
            };
            let cname = self.member(member).map_or("", |m| m.cname.as_str());
            let written =
                writer.receiver_report(sender, &blocks) && writer.sdes_cname(sender, cname);
            let heard = !blocks.is_empty();
            if let Some(found) = member_mut(&mut self.members, member).filter(|_| due && written) {
                // One who sends nothing any more needs no further report until it does.
                found.report_due = heard.then(|| now + REPORT_INTERVAL);
            }
        }
        let mut place = 0;
        while let Some(&key) = self.member(member).and_then(|m| m.sections.get(place)) {
            self.write_sender_report(now, key, writer);
            place += 1;
        }
    }

    /// Writes NACK, PLI, FIR and REMB to a publisher where due.
    pub fn write_feedback(
        &mut self,
        now: Instant,
        member: MemberKey,
        writer: &mut CompoundWriter<'_>,
    ) {
        let sender = self.sender_ssrc(member);
        let mut track_place = 0;
        while let Some(&track) = self.member(member).and_then(|m| m.tracks.get(track_place)) {
            track_place += 1;
            let mut place = 0;
            while let Some(&key) = self.track(track).and_then(|t| t.encodings.get(place)) {
                place += 1;
                self.write_feedback_of(now, (sender, key), writer);
            }
        }
        self.write_allowance(now, (sender, member), writer);
        let next = self.next_rtcp(member);
        if let Some(due) = self.dues.get_mut(member.index()) {
            *due = next.unwrap_or(NEVER).max(now + Duration::from_micros(1));
            self.due_next = self.due_next.min(*due);
        }
        if let Some(found) = member_mut(&mut self.members, member) {
            found.rtcp_pending = false;
        }
    }

    /// When [`Router::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        soonest([
            self.holds_audio.front().map(|&(due, _)| due),
            self.holds_video.front().map(|&(due, _)| due),
            (self.due_next != NEVER).then_some(self.due_next),
            self.speakers.next_due(),
            self.ranking_due(),
            self.flows_due,
            self.stops_due,
            self.orders_due,
        ])
    }

    /// Holds, NACKs, key frame requests, reports and speakers that are due; then depart.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.release_due(now);
        self.speakers.handle_timeout(now);
        if self.ranking_due().is_some() {
            self.loudest.handle_timeout(now);
        }
        if self.stops_due.is_some_and(|due| due <= now) {
            self.stops_due = self.leave_stopped_rungs(now).then(|| now + STOPS_EVERY);
        }
        if self.flows_due.is_some_and(|due| due <= now) {
            self.compare_flows(now);
        }
        if self.orders_due.is_some_and(|due| due <= now) {
            self.review_orders(now);
        }
        if self.due_next > now {
            return;
        }
        self.due_next = NEVER;
        for place in 0..self.dues.len() {
            let Some(due) = self.dues.get_mut(place) else {
                continue;
            };
            if *due <= now {
                // Written soon, and set anew then; should nobody write it, no spinning.
                *due = now + RTCP_RETRY;
                let member = MemberKey::from_index(place);
                let found = member_mut(&mut self.members, member);
                if found.as_ref().is_some_and(|found| found.port.is_some()) {
                    self.ask_distant(now, member);
                } else if let Some(found) = found {
                    found.rtcp_pending = true;
                    self.activate(member);
                }
            }
            let due = self.dues.get(place).copied().unwrap_or(NEVER);
            self.due_next = self.due_next.min(due);
        }
    }

    /// What was gathered long enough leaves.
    pub(super) fn release_due(&mut self, now: Instant) {
        for kind in [MediaKind::Audio, MediaKind::Video] {
            loop {
                let holds = match kind {
                    MediaKind::Audio => &mut self.holds_audio,
                    MediaKind::Video => &mut self.holds_video,
                };
                let Some(&(due, key)) = holds.front() else {
                    break;
                };
                let encoding = self.encodings.get(key.index());
                let live = encoding.is_some_and(|encoding| encoding.hold_due == Some(due));
                if live && due > now {
                    break;
                }
                holds.pop_front();
                if live {
                    self.release(now, key);
                }
            }
        }
    }

    pub(super) fn activate(&mut self, member: MemberKey) {
        let Some(found) = member_mut(&mut self.members, member) else {
            return;
        };
        if !found.active && found.has_ready() {
            found.active = true;
            self.active.push(member);
        }
    }

    pub(super) fn section_by_ssrc(
        &self,
        member: MemberKey,
        ssrc: u32,
    ) -> Option<(SectionKey, &Section)> {
        let keys = self.member(member)?.sections.iter();
        keys.filter_map(|&key| Some((key, self.sections.get(key.index())?)))
            .find(|(_, section)| section.ssrc == ssrc)
    }

    /// Who RTCP to a member comes from: its first section, so that it is a known SSRC.
    fn sender_ssrc(&self, member: MemberKey) -> u32 {
        let first = self.member(member).and_then(|m| m.sections.first());
        let section = first.and_then(|key| self.sections.get(key.index()));
        section.map_or(SILENT_SSRC, |section| section.ssrc)
    }

    fn report_blocks(&mut self, now: Instant, member: MemberKey) -> ArrayVec<ReportBlock, BLOCKS> {
        let mut blocks = ArrayVec::new();
        let Some(found) = member_mut(&mut self.members, member) else {
            return blocks;
        };
        let tracks = found
            .tracks
            .iter()
            .filter_map(|&key| self.tracks.get(key.index()));
        for key in tracks.flat_map(|track| &track.encodings) {
            let Some(encoding) = self.encodings.get_mut(key.index()) else {
                continue;
            };
            if !encoding.is_heard() {
                // What it lost last says nothing of the path as it is now.
                encoding.lost_lately = 0;
                continue;
            }
            if blocks.try_push(encoding.report_block(now)).is_err() {
                break;
            }
        }
        blocks
    }

    fn write_sender_report(
        &mut self,
        now: Instant,
        key: SectionKey,
        writer: &mut CompoundWriter<'_>,
    ) {
        let Some(section) = self.sections.get(key.index()) else {
            return;
        };
        if section.report.due.is_none_or(|due| due > now) {
            return;
        }
        let kind = section.plan.kind;
        let timestamp = if section.report.rests() {
            None
        } else {
            self.timestamp_now(now, section)
        };
        let cname = self.cname(section).unwrap_or_default();
        let written = timestamp.map(|rtp| {
            let report = SenderReport {
                ssrc: section.ssrc,
                ntp: self.clock.ntp(now),
                rtp,
                packets: section.report.packets,
                bytes: section.report.bytes,
            };
            writer.sender_report(&report, &[]) && writer.sdes_cname(section.ssrc, cname)
        });
        if let Some(section) = self.sections.get_mut(key.index()) {
            match written {
                Some(true) => section.report.reported(now, kind),
                Some(false) => {}
                // Nothing is shown now, or sent: the next packet asks again.
                None => section.report.due = None,
            }
        }
    }

    fn cname(&self, section: &Section) -> Option<&str> {
        let track = self.track(section.track()?)?;
        Some(self.member(track.member())?.cname.as_str())
    }

    /// What a section's timestamp would be now, by what is known of its publisher's clock.
    fn timestamp_now(&self, now: Instant, section: &Section) -> Option<u32> {
        let key = section.selector.current()?;
        let encoding = self.encodings.get(key.index())?;
        let publisher = self.member(encoding.member)?;
        let offset = section.numbers.timestamp_offset(key, encoding.serial)?;
        let rate = self.track(encoding.track)?.codec().clock_rate();
        let by_report = encoding.clock.and_then(|report| {
            let ago = publisher.clock.micros_ago(now, report.ntp, &self.clock)?;
            Some((report.rtp, ago))
        });
        let (timestamp, ago) = by_report.or_else(|| {
            let (timestamp, arrived_at) = encoding.newest?;
            let ago = i64::try_from(now.since(arrived_at).as_micros()).ok()?;
            Some((timestamp, ago))
        })?;
        let passed = ticks(Duration::from_micros(ago.unsigned_abs()), rate);
        let timestamp = if ago < 0 {
            timestamp.wrapping_sub(passed)
        } else {
            timestamp.wrapping_add(passed)
        };
        Some(timestamp.wrapping_add(offset))
    }

    fn write_feedback_of(
        &mut self,
        now: Instant,
        (sender, key): (u32, EncodingKey),
        writer: &mut CompoundWriter<'_>,
    ) {
        let wanted = self.is_wanted(key);
        let Some(encoding) = self.encodings.get_mut(key.index()) else {
            return;
        };
        let Some(track) = self.tracks.get(encoding.track.index()) else {
            return;
        };
        let Some(publisher) = member_mut(&mut self.members, encoding.member) else {
            return;
        };
        let Some(plan) = track.payload_plan() else {
            return;
        };
        if track.is_silent() {
            encoding.nack.clear();
        }
        if !wanted || track.is_silent() || !(plan.pli || plan.fir) {
            encoding.keyframe.satisfy();
        }
        let gaps = encoding.nack.take_due(now, publisher.rtt);
        if writer.nack(sender, encoding.ssrc, &gaps) {
            self.stats.nacks_out += gaps.len() as u64;
        }
        if encoding.keyframe.take_due(now) {
            let asked = if plan.pli {
                writer.pli(sender, encoding.ssrc)
            } else {
                publisher.fir_number = publisher.fir_number.wrapping_add(1);
                writer.fir(sender, encoding.ssrc, publisher.fir_number)
            };
            self.stats.keyframe_requests_out += u64::from(asked);
        }
    }

    /// Whether anybody is shown an encoding's track.
    pub(super) fn is_wanted(&self, key: EncodingKey) -> bool {
        let encoding = self.encodings.get(key.index());
        let track = encoding.and_then(|encoding| self.track(encoding.track));
        track.is_some_and(|track| !track.sections.is_empty()) || self.is_wanted_by_port(key)
    }

    /// When RTCP of a member is due next.
    fn next_rtcp(&self, member: MemberKey) -> Option<Instant> {
        let found = self.member(member)?;
        let sections = found
            .sections
            .iter()
            .filter_map(|key| self.sections.get(key.index()));
        let reports = sections.filter_map(|section| section.report.due).min();
        let tracks = found.tracks.iter().filter_map(|&key| self.track(key));
        let encodings = tracks
            .flat_map(|track| &track.encodings)
            .filter_map(|key| self.encodings.get(key.index()));
        let feedback = encodings
            .filter_map(|encoding| {
                soonest([
                    encoding.nack.next_due(found.rtt),
                    encoding.keyframe.next_due(),
                ])
            })
            .min();
        let allowance = found.allowance.and_then(|allowance| allowance.next_due());
        soonest([found.report_due, reports, feedback, allowance])
    }

    /// Chooses the encoding each simulcast track should show.
    fn compare_flows(&mut self, now: Instant) {
        for (_, encoding) in &mut self.encodings {
            let is_off = encoding.order.can_be_had();
            encoding.flow.step((now, FLOW_STEP), is_off);
            encoding.rates.step(is_off);
        }
        let mut changed: ArrayVec<EncodingKey, RUNGS_AT_ONCE> = ArrayVec::new();
        let mut several = false;
        for (_, track) in &mut self.tracks {
            // What one rung costs has to be known as well, where budgets are short.
            several |= track.kind() == MediaKind::Video;
            if track.encodings.len() < 2 {
                continue;
            }
            let flows = track.encodings.iter().filter_map(|&key| {
                let encoding = self.encodings.get(key.index())?;
                Some((key, encoding.flow.rate()))
            });
            let found = best(track.best, flows);
            // Beyond the bound the rest is found at the next step.
            if found != track.best && changed.remaining_capacity() > 0 {
                track.best = found;
                changed.extend(found);
            }
        }
        for key in changed {
            self.want_keyframe(now, key);
        }
        self.leave_dry_rungs(now);
        self.give_up_rises(now);
        self.review_orders(now);
        self.flows_due = several.then(|| now + FLOW_STEP);
        if several && self.stops_due.is_none() {
            self.stops_due = Some(now);
        }
    }
}

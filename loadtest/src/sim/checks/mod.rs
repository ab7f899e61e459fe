//! The laws: what holds in every scene, whatever is lost, late or asked.
//!
//! The world reports what it sees on the wire, what robots decrypt, and what a shard says of
//! itself; the laws are asked on every report. They know nothing of how the server works.
//!
//! | file | what it is |
//! |---|---|
//! | [`numbers`] | which numbers of a stream were seen |
//! | `section` | the laws of one outgoing stream |
//! | `pictures` | what of an outgoing stream's pictures can be decoded |

pub mod numbers;
mod pictures;
mod section;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use sfu::limits;
use sfu::shard::{ShardStats, TableSizes};
use sfu::time::{Duration, Instant};

use crate::media::Spoiled;
use crate::robot::reception::{Observed, Source};
use crate::sim::datagram::{RtpSeen, Seen};
use numbers::{Numbers, Verdict};
use section::Section;

/// Violations kept; the first ones tell the most.
const VIOLATIONS_MAX: usize = 16;
/// What was queued for somebody when it left (close_notify) may still be on its way out.
const FAREWELL: Duration = Duration::from_millis(200);

/// An invariant of the house (house.md §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// No SRTP index of an SSRC is used for two different packets (RFC 3711 §9.1).
    IndexOnce,
    /// No SRTCP index is used twice, and they rise.
    ReportIndexOnce,
    /// Numbers of a section have holes only where the publisher's packets did not arrive.
    Gapless,
    /// Timestamps of a section never run back as its numbers rise.
    TimeForward,
    /// A video section shows one encoding at a time, whole frames of layers in their order, each
    /// with all that it leans on before it; it begins and changes its encoding at a key frame.
    Decodable,
    /// Pictures of a section are counted as a decoder expects: numbers without gaps, one media time
    /// and one marker for each.
    PicturesCounted,
    /// Nothing goes to an address from which no check has come, no media to one not nominated,
    /// and nothing to somebody who has left.
    ProvedAddress,
    /// Every datagram in is forwarded, consumed or dropped, and every one out is counted.
    Counted,
    /// Tables stay under their limits, and hold as many participants as there are.
    Bounded,
    /// When all have left, nothing is left.
    Empty,
    /// Nobody wants to be woken again and again for nothing.
    Moving,
    /// Payloads arrive as somebody made them.
    Intact,
    /// Nobody receives himself, or anybody of another room.
    OthersOnly,
}

/// A law that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{law:?} does not hold at {} µs: {detail}", at.as_micros())]
pub struct Violation {
    /// Which.
    pub law: Law,
    /// When it was found.
    pub at: Instant,
    /// What was seen.
    pub detail: String,
}

/// Who may be sent something, and where.
#[derive(Clone, Copy, Debug)]
struct Proof {
    member: usize,
    nominated: bool,
}

/// One who joined.
#[derive(Clone, Copy, Debug)]
struct Member {
    room: u64,
    left_at: Option<Instant>,
    /// Nothing reaches it: what it is sent cannot be told.
    is_cut: bool,
}

/// What a publisher sent and the server received, by number.
#[derive(Debug, Default)]
struct Upstream {
    sent: Numbers,
    delivered: Numbers,
}

/// All laws with what they remember.
#[derive(Debug, Default)]
pub struct Laws {
    violations: Vec<Violation>,
    members: BTreeMap<usize, Member>,
    proofs: BTreeMap<SocketAddr, Proof>,
    /// By source and SSRC.
    upstreams: BTreeMap<(Source, u32), Upstream>,
    sections: BTreeMap<(usize, u32), Section>,
    repairs: BTreeSet<(usize, u32)>,
    reports: BTreeMap<(usize, u32), u32>,
}

impl Laws {
    /// What did not hold so far.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Outgoing streams seen so far.
    #[must_use]
    pub fn sections(&self) -> usize {
        self.sections.len()
    }

    /// Robot `member` joined `room`.
    pub fn handle_join(&mut self, member: usize, room: u64) {
        self.members.insert(
            member,
            Member {
                room,
                left_at: None,
                is_cut: false,
            },
        );
    }

    /// `member` wishes something else: what its sections still owed it is a choice now, not a loss.
    pub fn handle_wish(&mut self, member: usize) {
        let theirs = self.sections.range_mut((member, 0)..=(member, u32::MAX));
        theirs.for_each(|(_, section)| section.excuse());
    }

    /// A section of `member` does not show `source` any more: what comes of that from now on has no
    /// way to it.
    pub fn handle_unbound(&mut self, member: usize, source: Source) {
        let theirs = self.sections.range_mut((member, 0)..=(member, u32::MAX));
        for (_, section) in theirs.filter(|(_, section)| section.has_shown(&source)) {
            section.excuse();
        }
    }

    /// `source` is muted by the server: nothing of what it made before leaves any more.
    pub fn handle_muted(&mut self, source: Source) {
        let sections = self.sections.values_mut();
        for section in sections.filter(|section| section.has_shown(&source)) {
            section.excuse();
        }
    }

    /// Nothing reaches `member` from now on, or something does again. Whose packets its sections
    /// carry is known by what it reads: meanwhile it cannot be told what explains their holes.
    pub fn handle_cut(&mut self, member: usize, is_cut: bool) {
        if let Some(member) = self.members.get_mut(&member) {
            member.is_cut = is_cut;
        }
        self.handle_wish(member);
    }

    /// The shard said that `member` is out.
    pub fn handle_left(&mut self, now: Instant, member: usize) {
        self.handle_wish(member);
        if let Some(member) = self.members.get_mut(&member) {
            member.left_at.get_or_insert(now);
        }
    }

    /// A description of the server for `member`: which streams are retransmissions.
    pub fn handle_description(&mut self, member: usize, text: &str) {
        let groups = text
            .lines()
            .filter_map(|line| line.strip_prefix("a=ssrc-group:FID "));
        let repairs = groups.filter_map(|group| group.split_ascii_whitespace().nth(1));
        let repairs = repairs.filter_map(|ssrc| ssrc.parse().ok());
        self.repairs.extend(repairs.map(|ssrc| (member, ssrc)));
    }

    /// A publisher sent a media packet of `source`.
    pub fn handle_published(&mut self, source: Source, packet: &RtpSeen) {
        let upstream = self.upstreams.entry((source, packet.ssrc)).or_default();
        upstream.sent.see(packet.sequence, packet.digest);
    }

    /// A media packet of `source` reached the server.
    pub fn handle_delivered(&mut self, source: Source, packet: &RtpSeen) {
        let upstream = self.upstreams.entry((source, packet.ssrc)).or_default();
        upstream.delivered.see(packet.sequence, packet.digest);
    }

    /// Whether a check has come from `source`.
    #[must_use]
    pub fn is_proved(&self, source: SocketAddr) -> bool {
        self.proofs.contains_key(&source)
    }

    /// A check of `member` from `source` reached the server.
    pub fn handle_check(&mut self, member: usize, source: SocketAddr, nominates: bool) {
        let proof = Proof {
            member,
            nominated: false,
        };
        let proof = self.proofs.entry(source).or_insert(proof);
        proof.nominated |= nominates;
    }

    /// The shard sent a datagram.
    pub fn handle_departure(&mut self, now: Instant, destination: SocketAddr, seen: &Seen) {
        let Some(proof) = self.proofs.get(&destination).copied() else {
            let what = seen.name();
            self.violate(
                Law::ProvedAddress,
                now,
                format!("{what} to {destination}: never checked"),
            );
            return;
        };
        let left_at = self.members.get(&proof.member).and_then(|it| it.left_at);
        if left_at.is_some_and(|at| now.since(at) > FAREWELL) {
            let detail = format!("{} to robot {}, who left", seen.name(), proof.member);
            self.violate(Law::ProvedAddress, now, detail);
        }
        match seen {
            Seen::Rtp(packet) => self.handle_media(now, proof, packet),
            Seen::Rtcp { ssrc, index } => self.handle_report(now, proof, (*ssrc, *index)),
            Seen::StunRequest { .. } | Seen::Stun | Seen::Dtls | Seen::Other => {}
        }
    }

    /// A robot decrypted a media packet.
    pub fn handle_observed(&mut self, now: Instant, member: usize, observed: &Observed) {
        let packet = match observed.packet {
            Ok(packet) => packet,
            Err(spoiled) => {
                self.handle_spoiled(now, (member, observed), spoiled);
                return;
            }
        };
        let (sender, track) = (packet.stamp().sender, packet.stamp().track);
        let room = |member: Option<&Member>| member.map(|it| it.room);
        let from = usize::try_from(sender).ok();
        let sender_room = room(from.and_then(|from| self.members.get(&from)));
        if from == Some(member) || sender_room != room(self.members.get(&member)) {
            let detail = format!("robot {member} received track {track} of robot {sender}");
            self.violate(Law::OthersOnly, now, detail);
        }
        let missing = |source: &Source| missing(&self.upstreams, *source);
        let Some(section) = self.sections.get_mut(&(member, observed.ssrc)) else {
            return;
        };
        let found = section.handle_observed(now, (observed, &packet), missing);
        self.report(now, (member, observed.ssrc), found);
    }

    /// What a shard says of itself, beside what the world counted of it.
    pub fn handle_stats(&mut self, now: Instant, stats: &ShardStats, counted: (u64, u64)) {
        let ended = stats.forwarded + stats.consumed + stats.dropped.total();
        if stats.datagrams_in != ended || stats.datagrams_in != counted.0 {
            let detail = format!(
                "{} datagrams handed in, {} counted, {} forwarded, {} consumed, {} dropped",
                counted.0,
                stats.datagrams_in,
                stats.forwarded,
                stats.consumed,
                stats.dropped.total()
            );
            self.violate(Law::Counted, now, detail);
        }
        if stats.datagrams_out != counted.1 {
            let detail = format!(
                "{} datagrams left, {} counted",
                counted.1, stats.datagrams_out
            );
            self.violate(Law::Counted, now, detail);
        }
    }

    /// How full a shard's tables are, beside how many participants and rooms it has.
    pub fn handle_sizes(&mut self, now: Instant, sizes: &TableSizes, present: (usize, usize)) {
        let transports = limits::TRANSPORTS;
        let published = sizes.participants * limits::TRACKS_PER_PARTICIPANT;
        let bounds = [
            ("rooms", sizes.rooms, limits::ROOMS),
            ("participants", sizes.participants, transports),
            ("tracks", sizes.tracks, published),
            (
                "encodings",
                sizes.encodings,
                published * limits::ENCODINGS_PER_TRACK,
            ),
            (
                "sections",
                sizes.sections,
                sizes.participants * limits::SECTIONS_PER_TRANSPORT,
            ),
            (
                "subscriptions",
                sizes.subscriptions,
                sizes.participants * limits::SUBSCRIPTIONS_PER_PARTICIPANT,
            ),
            (
                "paths",
                sizes.paths,
                sizes.participants * limits::PATHS_PER_TRANSPORT,
            ),
            (
                "history pages",
                sizes.history_pages,
                sizes.encodings * limits::HISTORY_PAGES_PER_ENCODING,
            ),
        ];
        for (table, size, bound) in bounds {
            if size > bound {
                self.violate(
                    Law::Bounded,
                    now,
                    format!("{size} {table}, at most {bound}"),
                );
            }
        }
        if (sizes.rooms, sizes.participants) != present {
            let detail = format!(
                "tables hold {} rooms, {} participants; there are {present:?}",
                sizes.rooms, sizes.participants
            );
            self.violate(Law::Bounded, now, detail);
        }
    }

    /// All have left and every room is deleted.
    pub fn handle_end(&mut self, now: Instant, sizes: &TableSizes) {
        if *sizes != TableSizes::default() {
            self.violate(Law::Empty, now, format!("{sizes:?}"));
        }
    }

    /// Time does not pass any more: `who` wants what, and when.
    pub fn handle_standstill(&mut self, now: Instant, who: &str) {
        self.violate(Law::Moving, now, who.to_owned());
    }

    /// Nothing is on its way any more: what is missing now is missing for good.
    pub fn handle_rest(&mut self, now: Instant) {
        let mut found = Vec::new();
        for (key, section) in &self.sections {
            let is_cut = self.members.get(&key.0).is_some_and(|it| it.is_cut);
            let missing = |source: &Source| missing(&self.upstreams, *source);
            let gaps = section.check_gaps(missing).filter(|_| !is_cut);
            found.extend(gaps.map(|it| (*key, it)));
            found.extend(section.check_pictures().map(|it| (*key, it)));
        }
        for (key, it) in found {
            self.report(now, key, Some(it));
        }
    }

    fn handle_media(&mut self, now: Instant, proof: Proof, packet: &RtpSeen) {
        let key = (proof.member, packet.ssrc);
        if !proof.nominated {
            let detail = format!(
                "media to robot {}, by an address not nominated",
                proof.member
            );
            self.violate(Law::ProvedAddress, now, detail);
        }
        let repair = self.repairs.contains(&key);
        let section = self
            .sections
            .entry(key)
            .or_insert_with(|| Section::new(repair));
        let found = section.handle_departure(packet);
        self.report(now, key, found);
    }

    fn handle_report(&mut self, now: Instant, proof: Proof, report: (u32, u32)) {
        let (ssrc, index) = report;
        let last = self.reports.insert((proof.member, ssrc), index);
        if last.is_some_and(|last| index <= last) {
            let detail = format!(
                "robot {}, SSRC {ssrc:08x}: {index} after {last:?}",
                proof.member
            );
            self.violate(Law::ReportIndexOnce, now, detail);
        }
    }

    fn handle_spoiled(&mut self, now: Instant, what: (usize, &Observed), spoiled: Spoiled) {
        let (member, observed) = what;
        let detail = format!(
            "robot {member}, SSRC {:08x}, number {}: {spoiled}",
            observed.ssrc, observed.sequence
        );
        self.violate(Law::Intact, now, detail);
    }

    fn report(&mut self, now: Instant, key: (usize, u32), found: Option<(Law, String)>) {
        if let Some((law, detail)) = found {
            self.violate(
                law,
                now,
                format!("robot {}, SSRC {:08x}: {detail}", key.0, key.1),
            );
        }
    }

    fn violate(&mut self, law: Law, at: Instant, detail: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation { law, at, detail });
        }
    }
}

impl Upstream {
    fn missing(&self) -> u64 {
        self.sent.count().saturating_sub(self.delivered.count())
    }
}

/// Packets of all encodings of a source that have not reached the server.
fn missing(upstreams: &BTreeMap<(Source, u32), Upstream>, source: Source) -> u64 {
    let ours = upstreams.range((source, 0)..=(source, u32::MAX));
    ours.map(|(_, upstream)| upstream.missing()).sum()
}

/// For `section`: what seeing a number again means.
fn repeated(verdict: Verdict, sequence: u16) -> Option<(Law, String)> {
    match verdict {
        Verdict::New | Verdict::Same => None,
        Verdict::Different => Some((Law::IndexOnce, format!("number {sequence} for two packets"))),
    }
}

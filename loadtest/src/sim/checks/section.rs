//! The laws of one outgoing stream: numbers and media time; `pictures` has those of what it shows.

use std::collections::BTreeSet;

use sfu::time::{Duration, Instant};

use super::numbers::Numbers;
use super::pictures::Pictures;
use super::{Law, repeated};
use crate::robot::reception::{Observed, Packet, Source};
use crate::sim::datagram::RtpSeen;

/// A frame is gathered for less than this before it departs.
const HELD_MAX: Duration = Duration::from_millis(50);

/// One outgoing stream.
#[derive(Debug)]
pub(super) struct Section {
    /// It carries retransmissions: numbers of its own, media times of others.
    repair: bool,
    numbers: Numbers,
    /// (number, media time) of the newest.
    newest: Option<(u64, u32)>,
    /// The number it began with.
    first: Option<u16>,
    sources: BTreeSet<Source>,
    pictures: Pictures,
    /// Since when there have been more holes than upstream explains.
    unexplained_since: Option<Instant>,
    /// Holes that were there when its subscriber chose otherwise.
    excused: u64,
}

impl Section {
    pub(super) fn new(repair: bool) -> Self {
        Self {
            repair,
            numbers: Numbers::default(),
            newest: None,
            first: None,
            sources: BTreeSet::new(),
            pictures: Pictures::default(),
            unexplained_since: None,
            excused: 0,
        }
    }

    /// Its subscriber chooses otherwise: what is late by now is not sent any more.
    pub(super) const fn excuse(&mut self) {
        self.excused = self.numbers.holes();
    }

    /// Whether anything of `source` has come by it.
    pub(super) fn has_shown(&self, source: &Source) -> bool {
        self.sources.contains(source)
    }

    /// A packet of it left the server.
    pub(super) fn handle_departure(&mut self, packet: &RtpSeen) -> Option<(Law, String)> {
        let number = self.numbers.unwrap(packet.sequence);
        let verdict = self.numbers.see(packet.sequence, packet.digest);
        self.first.get_or_insert(packet.sequence);
        if let Some(found) = repeated(verdict, packet.sequence) {
            return Some(found);
        }
        if self.repair {
            let holes = self.numbers.holes();
            return (holes > 0)
                .then(|| (Law::Gapless, format!("{holes} holes among retransmissions")));
        }
        let (newest, time) = self.newest.unwrap_or((number, packet.timestamp));
        if number < newest {
            return None;
        }
        self.newest = Some((number, packet.timestamp));
        // Half the range is forward (RFC 3550 §5.1, modulo 2^32).
        let advance = packet.timestamp.wrapping_sub(time);
        let back = advance >= 1 << 31;
        back.then(|| {
            let back = time.wrapping_sub(packet.timestamp);
            (
                Law::TimeForward,
                format!("number {number} is {back} before {newest}"),
            )
        })
    }

    /// The robot could read a packet of it. `missing`: packets of a source that have not reached
    /// the server.
    pub(super) fn handle_observed(
        &mut self,
        now: Instant,
        (observed, packet): (&Observed, &Packet),
        missing: impl Fn(&Source) -> u64,
    ) -> Option<(Law, String)> {
        let stamp = *packet.stamp();
        self.sources.insert((stamp.sender, stamp.track));
        // What has reached the server may be held for a moment before it departs.
        let gaps = self.check_gaps(missing);
        let since = gaps.as_ref().map(|_| self.unexplained_since.unwrap_or(now));
        self.unexplained_since = since;
        if since.is_some_and(|since| now.since(since) > HELD_MAX) {
            return gaps;
        }
        match packet {
            Packet::Audio(_) => None,
            Packet::Video(video) => {
                let low_bits = u16::try_from(observed.sequence & 0xffff).ok();
                let is_first = low_bits == self.first && self.numbers.count() < 1 << 15;
                self.pictures.handle_observed(observed, video, is_first)
            }
        }
    }

    /// All that will come has come: what is still open about its pictures.
    pub(super) fn check_pictures(&self) -> Option<(Law, String)> {
        self.pictures.check_rest()
    }

    /// Holes beyond what upstream has lost.
    pub(super) fn check_gaps(&self, missing: impl Fn(&Source) -> u64) -> Option<(Law, String)> {
        let holes = self.numbers.holes();
        if self.repair || self.sources.is_empty() || holes == 0 {
            return None;
        }
        let missing: u64 = self.sources.iter().map(missing).sum();
        (holes > missing + self.excused).then(|| {
            let which: Vec<u64> = self.numbers.missing().take(4).collect();
            let (newest, sources) = (self.numbers.newest(), &self.sources);
            let detail = format!(
                "{holes} holes {which:?} up to {newest:?}, though upstream misses only {missing} of {sources:?}"
            );
            (Law::Gapless, detail)
        })
    }
}

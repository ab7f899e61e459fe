//! A hash over all that happens: the same seed gives the same one.
//!
//! It covers virtual time, path and kind of every datagram in the order of arrival, the whole of
//! STUN, the clear header of RTP, the plaintext of media and reports as robots decrypt them, and
//! every description. Left out, since libraries draw their own keys: the bytes of DTLS records
//! and of ciphertext. Left out, since the robots' stack takes them from the wall clock: NTP times.

use std::hash::{DefaultHasher, Hasher};

use sfu::time::Instant;

use super::datagram::Seen;
use crate::robot::reception::{Observed, Packet};

/// A hash in the making. Without [`Trace::start`] it costs and knows nothing.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    hasher: Option<DefaultHasher>,
    /// Entries of this moment.
    now: Instant,
    entries_now: Vec<String>,
    entries: u64,
    /// For finding out where two runs part.
    log: Vec<String>,
}

impl Trace {
    /// Begins.
    pub fn start(&mut self) {
        // Its keys are constants, which is what is wanted here.
        self.hasher = Some(DefaultHasher::new());
    }

    /// Whether it was started.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.hasher.is_some()
    }

    /// The hash up to the last moment that has passed, and over how many entries.
    #[must_use]
    pub fn hash(&self) -> (u64, u64) {
        (self.hasher.as_ref().map_or(0, Hasher::finish), self.entries)
    }

    /// The entries as text.
    #[must_use]
    pub fn log(&self) -> &[String] {
        &self.log
    }

    pub(super) fn datagram(&mut self, now: Instant, path: (usize, &str), bytes: &[u8]) {
        if !self.is_on() {
            return;
        }
        let seen = Seen::of(bytes);
        let shown = match seen {
            Seen::Dtls => &[],
            Seen::Rtp(_) => bytes.get(..12).unwrap_or_default(),
            Seen::Rtcp { .. } => bytes.get(..4).unwrap_or_default(),
            Seen::StunRequest { .. } | Seen::Stun | Seen::Other => bytes,
        };
        let length = if seen == Seen::Dtls { 0 } else { bytes.len() };
        self.entry(now, path, &format!("{} {length} {shown:02x?}", seen.name()));
    }

    pub(super) fn observed(&mut self, now: Instant, member: usize, observed: &Observed) {
        if !self.is_on() {
            return;
        }
        let picture_id = match observed.packet {
            Ok(Packet::Video(video)) => Some(video.numbers.picture),
            Ok(Packet::Audio(_)) | Err(_) => None,
        };
        self.entry(
            now,
            (member, "media"),
            &format!("{observed:?} {picture_id:?}"),
        );
    }

    pub(super) fn rtcp(&mut self, now: Instant, member: usize, rtcp: &str) {
        if self.is_on() {
            self.entry(now, (member, "rtcp"), &without_ntp(rtcp));
        }
    }

    pub(super) fn text(&mut self, now: Instant, path: (usize, &str), text: &str) {
        if self.is_on() {
            self.entry(now, path, text);
        }
    }

    fn entry(&mut self, now: Instant, path: (usize, &str), what: &str) {
        if now > self.now {
            self.pass();
            self.now = now;
        }
        let entry = format!("{} {path:?} {what}", now.as_micros());
        self.entries_now.push(entry);
    }

    /// A moment has passed: what happened in it counts, in a fixed order.
    fn pass(&mut self) {
        let Some(hasher) = &mut self.hasher else {
            return;
        };
        self.entries_now.sort_unstable();
        for entry in &self.entries_now {
            hasher.write(entry.as_bytes());
            self.entries += 1;
        }
        self.log.append(&mut self.entries_now);
    }
}

/// Reports without what follows from the wall clock.
fn without_ntp(rtcp: &str) -> String {
    let mut kept = String::with_capacity(rtcp.len());
    let mut rest = rtcp;
    while let Some(at) = rest.find("_time: ") {
        let (before, after) = rest.split_at(at + "_time: ".len());
        kept.push_str(before);
        let wall = before.ends_with("last_sr_time: ") || before.ends_with("ntp_time: ");
        let length = if after.starts_with("SystemTime") {
            after.find('}').map_or(after.len(), |end| end + 1)
        } else {
            after.find([',', ' ', '}']).unwrap_or(after.len())
        };
        let (value, after) = after.split_at(length);
        kept.push_str(if wall { "?" } else { value });
        rest = after;
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wall_clock_times_are_left_out_of_reports() {
        let check = |text: &str, kept: &str| assert_eq!(without_ntp(text), kept);
        check(
            "R { last_sr_time: 7, last_sr_delay: 3 }",
            "R { last_sr_time: ?, last_sr_delay: 3 }",
        );
        check(
            "S { ntp_time: SystemTime { tv_sec: 1, tv_nsec: 2 }, rtp_time: 5 }",
            "S { ntp_time: ?, rtp_time: 5 }",
        );
        check("T", "T");
    }
}

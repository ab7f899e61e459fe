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
    entries: u64,
    /// For finding out where two runs part: the hash after each entry.
    log: Vec<String>,
    logged: bool,
}

impl Trace {
    /// Begins.
    pub fn start(&mut self) {
        // Its keys are constants, which is what is wanted here.
        self.hasher = Some(DefaultHasher::new());
    }

    /// Keeps every entry as text as well, for looking at.
    pub const fn keep_log(&mut self) {
        self.logged = true;
    }

    /// Whether it was started.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.hasher.is_some()
    }

    /// The hash so far, and over how many entries.
    #[must_use]
    pub fn hash(&self) -> (u64, u64) {
        (self.hasher.as_ref().map_or(0, Hasher::finish), self.entries)
    }

    /// The entries, where they are kept.
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
        self.entry(now, path, format!("{} {length} {shown:02x?}", seen.name()));
    }

    pub(super) fn observed(&mut self, now: Instant, member: usize, observed: &Observed) {
        if !self.is_on() {
            return;
        }
        let picture_id = match observed.packet {
            Ok(Packet::Video(video)) => Some(video.picture_id),
            Ok(Packet::Audio(_)) | Err(_) => None,
        };
        self.entry(
            now,
            (member, "media"),
            format!("{observed:?} {picture_id:?}"),
        );
    }

    pub(super) fn rtcp(&mut self, now: Instant, member: usize, rtcp: &str) {
        if self.is_on() {
            self.entry(now, (member, "rtcp"), without_ntp(rtcp));
        }
    }

    pub(super) fn text(&mut self, now: Instant, path: (usize, &str), text: &str) {
        if self.is_on() {
            self.entry(now, path, text.to_owned());
        }
    }

    fn entry(&mut self, now: Instant, path: (usize, &str), what: String) {
        let Some(hasher) = &mut self.hasher else {
            return;
        };
        hasher.write_u64(now.as_micros());
        hasher.write_usize(path.0);
        hasher.write(path.1.as_bytes());
        hasher.write(what.as_bytes());
        self.entries += 1;
        if self.logged {
            self.log
                .push(format!("{} {path:?} {what}", now.as_micros()));
        }
    }
}

/// Reports without what follows from the wall clock.
fn without_ntp(rtcp: &str) -> String {
    rtcp.to_owned()
}

//! SRTP and SRTCP contexts of one transport: rollover per SSRC, replay windows, sealing and
//! opening in place (RFC 3711, RFC 7714). Keys come from DTLS (RFC 5764 §4.2).
//!
//! An unauthenticated packet creates no state. No outgoing index is ever used twice: under GCM
//! that would give the key away.
//!
//! | file | what it is |
//! |---|---|
//! | `suite` | the protection suites over one packet, and key derivation |

mod suite;
#[cfg(test)]
mod tests;

pub use suite::SrtpProfile;

use suite::{Place, Suite, Use};

use crate::error::DropReason;
use crate::invariant;
use crate::limits::{REPLAY_WINDOW_PACKETS, SSRCS_PER_TRANSPORT, SSRCS_SENT_PER_TRANSPORT};
use crate::prefetch::prefetch;
use crate::wire::rtp::{self, Tail};

/// Words of a replay window's bit field.
const WINDOW_WORDS: usize = 16;
const _: () = assert!(WINDOW_WORDS as u64 * 64 == REPLAY_WINDOW_PACKETS);
/// RFC 3711 §3.3.1: 32 bits of rollover counter, 16 of sequence number.
const RTP_INDEX_MAX: u64 = (1 << 48) - 1;
/// RFC 3711 §3.4: 31 bits.
const RTCP_INDEX_MAX: u64 = (1 << 31) - 1;

/// Both directions of a transport.
#[derive(Debug)]
pub struct Srtp {
    profile: SrtpProfile,
    inbound: Inbound,
    outbound: Outbound,
}

impl Srtp {
    /// From exported keying material: client key, server key, client salt, server salt (RFC 5764
    /// §4.2). None where its length is not the profile's.
    #[must_use]
    pub fn new(profile: SrtpProfile, material: &[u8], we_are_client: bool) -> Option<Self> {
        let (key, salt) = profile.sizes();
        let (client_key, rest) = material.split_at_checked(key)?;
        let (server_key, rest) = rest.split_at_checked(key)?;
        let (client_salt, server_salt) = rest.split_at_checked(salt)?;
        let client = (client_key, client_salt);
        let server = (server_key, server_salt);
        let (ours, theirs) = if we_are_client {
            (client, server)
        } else {
            (server, client)
        };
        Some(Self {
            profile,
            inbound: Inbound {
                rtp: Suite::derived(profile, theirs.0, theirs.1, Use::Rtp)?,
                rtcp: Suite::derived(profile, theirs.0, theirs.1, Use::Rtcp)?,
                rtp_streams: Streams::default(),
                rtcp_streams: Streams::default(),
            },
            outbound: Outbound {
                rtp: Suite::derived(profile, ours.0, ours.1, Use::Rtp)?,
                rtcp: Suite::derived(profile, ours.0, ours.1, Use::Rtcp)?,
                sent: Vec::new(),
                last: 0,
                rtcp_index: 0,
            },
        })
    }

    /// Asks for what sealing will look at.
    pub(crate) fn prefetch(&self) {
        prefetch(&self.outbound.rtp);
        prefetch(&self.outbound.sent);
        prefetch(&self.outbound.last);
    }

    /// And for what that points to.
    pub(crate) fn prefetch_sent(&self) {
        if let Some(used) = self.outbound.sent.get(self.outbound.last) {
            prefetch(used);
        }
    }

    /// What both directions are protected with.
    #[must_use]
    pub const fn profile(&self) -> SrtpProfile {
        self.profile
    }

    /// Opens an SRTP packet in place; the plaintext's length.
    ///
    /// # Errors
    /// Why it was dropped; nothing has changed then.
    pub fn open_rtp(&mut self, packet: &mut [u8]) -> Result<usize, DropReason> {
        self.inbound.open_rtp(packet)
    }

    /// Opens an SRTCP compound in place; the plaintext's length.
    ///
    /// # Errors
    /// Why it was dropped; nothing has changed then.
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, DropReason> {
        self.inbound.open_rtcp(packet)
    }

    /// Seals the RTP packet `slot[..length]` in place; the whole length.
    ///
    /// # Errors
    /// Why it must not be sent.
    pub fn seal_rtp(&mut self, slot: &mut [u8], length: usize) -> Result<usize, DropReason> {
        self.outbound.seal_rtp(slot, length, Tail::default())
    }

    /// Seals the RTP packet of which `slot[..length]` is the header and `tail` the rest, into the slot;
    /// the whole length. An empty tail: as [`Srtp::seal_rtp`].
    ///
    /// # Errors
    /// Why it must not be sent.
    pub fn seal_rtp_tail(
        &mut self,
        slot: &mut [u8],
        length: usize,
        tail: Tail<'_>,
    ) -> Result<usize, DropReason> {
        self.outbound.seal_rtp(slot, length, tail)
    }

    /// Seals an RTP packet that was sealed before and is the same, byte for byte: the one case in
    /// which an index is used again, since the result is the same as well.
    ///
    /// # Errors
    /// `Expired`: its index lies too far back to tell, or was never used.
    pub fn reseal_rtp(&self, slot: &mut [u8], length: usize) -> Result<usize, DropReason> {
        self.outbound.reseal_rtp(slot, length)
    }

    /// Seals the RTCP compound `slot[..length]` in place; the whole length.
    ///
    /// # Errors
    /// Why it must not be sent.
    pub fn seal_rtcp(&mut self, slot: &mut [u8], length: usize) -> Result<usize, DropReason> {
        self.outbound.seal_rtcp(slot, length)
    }

    /// A received SSRC is of no use any more: its place is free for another. Should it come back,
    /// only packets newer than all before are taken.
    pub fn forget(&mut self, ssrc: u32) {
        self.inbound.rtp_streams.forget(ssrc);
        self.inbound.rtcp_streams.forget(ssrc);
    }

    /// Received SSRCs with state, RTP and RTCP.
    #[must_use]
    pub fn ssrcs(&self) -> usize {
        self.inbound.rtp_streams.table.len() + self.inbound.rtcp_streams.table.len()
    }
}

/// SSRC and sequence number of an RTP packet long enough to have them.
fn identify(packet: &[u8]) -> Option<(u32, u16)> {
    let &[_, _, q0, q1, _, _, _, _, s0, s1, s2, s3] = packet.first_chunk()?;
    Some((
        u32::from_be_bytes([s0, s1, s2, s3]),
        u16::from_be_bytes([q0, q1]),
    ))
}

/// The index `sequence` most likely stands for, given the highest so far (RFC 3711 §3.3.1). None
/// where that would lie before the stream's beginning or after its end.
fn guess_index(highest: u64, sequence: u16) -> Option<u64> {
    let [.., high, low] = highest.to_be_bytes();
    let ahead = sequence.wrapping_sub(u16::from_be_bytes([high, low]));
    highest
        .checked_add_signed(i64::from(ahead.cast_signed()))
        .filter(|index| *index <= RTP_INDEX_MAX)
}

/// The side that receives.
#[derive(Debug)]
struct Inbound {
    rtp: Suite,
    rtcp: Suite,
    rtp_streams: Streams,
    rtcp_streams: Streams,
}

impl Inbound {
    fn open_rtp(&mut self, packet: &mut [u8]) -> Result<usize, DropReason> {
        let header = rtp::header_bytes(packet)?;
        let (ssrc, sequence) = identify(packet).ok_or(DropReason::Malformed)?;
        let found = self.rtp_streams.find_or_recall(ssrc);
        let index = match found.and_then(|at| self.rtp_streams.table.get(at)) {
            Some(stream) => guess_index(stream.highest, sequence).ok_or(DropReason::Replayed)?,
            // A stream is joined from its beginning, where the rollover counter is 0.
            None => u64::from(sequence),
        };
        self.rtp_streams.check(found, index)?;
        let length = self.rtp.open_rtp(packet, header, Place { ssrc, index })?;
        self.rtp_streams.accept(found, ssrc, index);
        Ok(length)
    }

    fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, DropReason> {
        let &[first, _, _, _, s0, s1, s2, s3] =
            packet.first_chunk().ok_or(DropReason::Malformed)?;
        if first >> 6 != 2 {
            return Err(DropReason::Malformed);
        }
        let ssrc = u32::from_be_bytes([s0, s1, s2, s3]);
        let (index, encrypted) = self.rtcp.rtcp_index(packet).ok_or(DropReason::Malformed)?;
        let index = u64::from(index);
        let found = self.rtcp_streams.find_or_recall(ssrc);
        self.rtcp_streams.check(found, index)?;
        let length = self
            .rtcp
            .open_rtcp(packet, Place { ssrc, index }, encrypted)?;
        self.rtcp_streams.accept(found, ssrc, index);
        Ok(length)
    }
}

/// Replay state of a received SSRC.
#[derive(Debug)]
struct Stream {
    ssrc: u32,
    highest: u64,
    /// Bit n: `highest - n` was accepted.
    window: [u64; WINDOW_WORDS],
}

impl Stream {
    fn is_new(&self, index: u64) -> bool {
        let Some(behind) = self.highest.checked_sub(index) else {
            return true;
        };
        let Some((word, bit)) = window_place(behind) else {
            return false;
        };
        self.window.get(word).is_some_and(|word| word & bit == 0)
    }

    fn accept(&mut self, index: u64) {
        if let Some(ahead) = index.checked_sub(self.highest) {
            self.advance(ahead);
            self.highest = index;
        }
        if let Some((word, bit)) = window_place(self.highest - index)
            && let Some(word) = self.window.get_mut(word)
        {
            *word |= bit;
        }
    }

    /// Shifts the window by `ahead` places.
    fn advance(&mut self, ahead: u64) {
        let words = usize::try_from(ahead / 64).unwrap_or(usize::MAX);
        if words >= WINDOW_WORDS {
            self.window = [0; WINDOW_WORDS];
            return;
        }
        if words > 0 {
            self.window.copy_within(..WINDOW_WORDS - words, words);
            for word in self.window.iter_mut().take(words) {
                *word = 0;
            }
        }
        let bits = ahead % 64;
        if bits > 0 {
            let mut carried = 0;
            for word in &mut self.window {
                let carry = *word >> (64 - bits);
                *word = (*word << bits) | carried;
                carried = carry;
            }
        }
    }
}

fn window_place(behind: u64) -> Option<(usize, u64)> {
    if behind >= REPLAY_WINDOW_PACKETS {
        return None;
    }
    Some((usize::try_from(behind / 64).ok()?, 1 << (behind % 64)))
}

/// Replay state by SSRC: at most `SSRCS_PER_TRANSPORT`, the last used one found at once.
#[derive(Debug, Default)]
struct Streams {
    table: Vec<Stream>,
    last: usize,
    /// Highest index by forgotten SSRC, in order of SSRC.
    forgotten: Vec<(u32, u64)>,
}

impl Streams {
    fn find(&mut self, ssrc: u32) -> Option<usize> {
        if self
            .table
            .get(self.last)
            .is_some_and(|stream| stream.ssrc == ssrc)
        {
            return Some(self.last);
        }
        let at = self.table.iter().position(|stream| stream.ssrc == ssrc)?;
        self.last = at;
        Some(at)
    }

    /// As [`Streams::find`]; a forgotten SSRC gets its state back where there is room. That
    /// state was earned by authenticated packets, so a forged one may recall it.
    fn find_or_recall(&mut self, ssrc: u32) -> Option<usize> {
        if let Some(found) = self.find(ssrc) {
            return Some(found);
        }
        let at = self
            .forgotten
            .binary_search_by_key(&ssrc, |(known, _)| *known)
            .ok()?;
        if self.table.len() >= SSRCS_PER_TRANSPORT {
            return None;
        }
        let (ssrc, highest) = self.forgotten.remove(at);
        self.last = self.table.len();
        self.table.push(Stream {
            ssrc,
            highest,
            window: [u64::MAX; WINDOW_WORDS],
        });
        Some(self.last)
    }

    /// Where no more can be remembered the state stays.
    fn forget(&mut self, ssrc: u32) {
        if self.forgotten.len() >= SSRCS_SENT_PER_TRANSPORT {
            return;
        }
        if let Some(at) = self.find(ssrc) {
            let stream = self.table.remove(at);
            if let Err(at) = self
                .forgotten
                .binary_search_by_key(&ssrc, |(known, _)| *known)
            {
                self.forgotten.insert(at, (ssrc, stream.highest));
            }
        }
    }

    /// Before any cryptography: is there room, and is it no replay?
    fn check(&self, found: Option<usize>, index: u64) -> Result<(), DropReason> {
        match found.and_then(|at| self.table.get(at)) {
            Some(stream) if stream.is_new(index) => Ok(()),
            Some(_) => Err(DropReason::Replayed),
            None if self.table.len() < SSRCS_PER_TRANSPORT => Ok(()),
            None => Err(DropReason::LimitReached),
        }
    }

    /// After authentication only.
    fn accept(&mut self, found: Option<usize>, ssrc: u32, index: u64) {
        if let Some(stream) = found.and_then(|at| self.table.get_mut(at)) {
            stream.accept(index);
        } else {
            let mut window = [0; WINDOW_WORDS];
            if let Some(word) = window.first_mut() {
                *word = 1;
            }
            self.last = self.table.len();
            self.table.push(Stream {
                ssrc,
                highest: index,
                window,
            });
        }
    }
}

/// Which indexes of an outgoing SSRC are used up. Not only the highest: a section keeps the number
/// of an input that is missing, and sends it late when a repair brings it.
#[derive(Debug)]
struct Used {
    ssrc: u32,
    highest: u64,
    /// Bit `index % REPLAY_WINDOW_PACKETS`, of the indexes that far below `highest`.
    window: [u64; WINDOW_WORDS],
}

impl Used {
    fn first(ssrc: u32, index: u64) -> Self {
        let mut used = Self {
            ssrc,
            highest: index,
            window: [0; WINDOW_WORDS],
        };
        used.mark(index, true);
        used
    }

    /// Uses `index` up; false where it is already, or too old to tell.
    #[inline]
    fn take(&mut self, index: u64) -> bool {
        if index <= self.highest {
            let free = window_place(self.highest - index).is_some() && !self.is_marked(index);
            if free {
                self.mark(index, true);
            }
            return free;
        }
        let oldest = index.saturating_sub(REPLAY_WINDOW_PACKETS - 1);
        for between in oldest.max(self.highest + 1)..index {
            self.mark(between, false);
        }
        self.highest = index;
        self.mark(index, true);
        true
    }

    /// The index of `sequence`, which from now on is used up.
    #[inline]
    fn next(&mut self, sequence: u16) -> Result<u64, DropReason> {
        let index = guess_index(self.highest, sequence).filter(|index| self.take(*index));
        // RFC 7714 §8.4: one nonce, one packet. Sections never repeat a number.
        invariant!(index.is_some(), "an outgoing SRTP index is used once");
        index.ok_or(DropReason::Bug)
    }

    /// Whether `index` is known to be used.
    fn is_used(&self, index: u64) -> bool {
        let behind = self.highest.checked_sub(index);
        behind.and_then(window_place).is_some() && self.is_marked(index)
    }

    fn is_marked(&self, index: u64) -> bool {
        let place = window_place(index % REPLAY_WINDOW_PACKETS);
        place.is_some_and(|(word, bit)| self.window.get(word).is_some_and(|it| it & bit != 0))
    }

    fn mark(&mut self, index: u64, used: bool) {
        let place = window_place(index % REPLAY_WINDOW_PACKETS);
        if let Some((word, bit)) = place
            && let Some(word) = self.window.get_mut(word)
        {
            *word = if used { *word | bit } else { *word & !bit };
        }
    }
}

/// The side that sends.
#[derive(Debug)]
struct Outbound {
    rtp: Suite,
    rtcp: Suite,
    /// Indexes used by SSRC, in order of SSRC. Entries stay: an index is never used again.
    sent: Vec<Used>,
    /// The slot used last; departures send runs of one SSRC.
    last: usize,
    rtcp_index: u64,
}

impl Outbound {
    fn seal_rtp(
        &mut self,
        slot: &mut [u8],
        length: usize,
        tail: Tail<'_>,
    ) -> Result<usize, DropReason> {
        let packet = slot.get(..length).ok_or(DropReason::TooLarge)?;
        let (ssrc, sequence) = identify(packet).ok_or(DropReason::Malformed)?;
        if !tail.is_empty() {
            debug_assert_eq!(rtp::header_bytes(packet), Ok(length), "a header, no more");
            let index = self.next_index(ssrc, sequence)?;
            let place = Place { ssrc, index };
            return self.rtp.seal_rtp_tail(slot, length, tail, place);
        }
        let header = rtp::header_bytes(packet)?;
        let index = self.next_index(ssrc, sequence)?;
        self.rtp
            .seal_rtp(slot, length, header, Place { ssrc, index })
    }

    fn reseal_rtp(&self, slot: &mut [u8], length: usize) -> Result<usize, DropReason> {
        let packet = slot.get(..length).ok_or(DropReason::TooLarge)?;
        let header = rtp::header_bytes(packet)?;
        let (ssrc, sequence) = identify(packet).ok_or(DropReason::Malformed)?;
        let at = self.sent.binary_search_by_key(&ssrc, |used| used.ssrc);
        let used = at.ok().and_then(|at| self.sent.get(at));
        let used = used.ok_or(DropReason::Expired)?;
        let index = guess_index(used.highest, sequence).filter(|index| used.is_used(*index));
        let index = index.ok_or(DropReason::Expired)?;
        self.rtp
            .seal_rtp(slot, length, header, Place { ssrc, index })
    }

    /// The index of `sequence`, which from now on is used up.
    #[inline]
    fn next_index(&mut self, ssrc: u32, sequence: u16) -> Result<u64, DropReason> {
        if let Some(used) = self.sent.get_mut(self.last)
            && used.ssrc == ssrc
        {
            return used.next(sequence);
        }
        self.next_index_of(ssrc, sequence)
    }

    /// The same, of another SSRC than the last packet's.
    #[inline(never)]
    fn next_index_of(&mut self, ssrc: u32, sequence: u16) -> Result<u64, DropReason> {
        match self.sent.binary_search_by_key(&ssrc, |used| used.ssrc) {
            Ok(at) => {
                self.last = at;
                let used = self.sent.get_mut(at).ok_or(DropReason::Bug)?;
                used.next(sequence)
            }
            Err(_) if self.sent.len() >= SSRCS_SENT_PER_TRANSPORT => Err(DropReason::LimitReached),
            Err(at) => {
                self.sent.insert(at, Used::first(ssrc, u64::from(sequence)));
                self.last = at;
                Ok(u64::from(sequence))
            }
        }
    }

    fn seal_rtcp(&mut self, slot: &mut [u8], length: usize) -> Result<usize, DropReason> {
        let packet = slot.get(..length).ok_or(DropReason::TooLarge)?;
        let &[_, _, _, _, s0, s1, s2, s3] = packet.first_chunk().ok_or(DropReason::Malformed)?;
        let ssrc = u32::from_be_bytes([s0, s1, s2, s3]);
        // One counter for all SSRCs: each then has its own increasing indexes.
        let index = self.rtcp_index + 1;
        if index > RTCP_INDEX_MAX {
            return Err(DropReason::LimitReached);
        }
        self.rtcp_index = index;
        self.rtcp.seal_rtcp(slot, length, Place { ssrc, index })
    }
}

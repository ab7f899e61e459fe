//! Recent packets of one encoding, for every section that forwards or repeats them: a ring of
//! index entries by sequence, and payload bytes in pages of a pool that all rooms of a shard share.
//!
//! One copy is made when a packet arrives; everything later reads from here. Bounded twice: by
//! `HISTORY_PAGES_PER_ENCODING` and by age (a page older than two seconds is used again before a
//! new one is taken). Inputs that will never be forwarded (padding, muted) have an entry without
//! bytes, so that numbering can tell them from inputs that were lost.

use std::collections::VecDeque;

use crate::limits::{
    HISTORY_PACKETS_PER_AUDIO_ENCODING, HISTORY_PACKETS_PER_ENCODING, HISTORY_PAGE_BYTES,
    HISTORY_PAGES, HISTORY_PAGES_PER_ENCODING, HISTORY_POOL_PAGES, LEVEL_BYTES,
};
use crate::router::decode_target::Frame;
use crate::router::layers::Layering;
use crate::time::{Duration, Instant};
use crate::units::{AudioLevel, MediaKind};
use crate::wire::extension::AbsCaptureTime;
use crate::wire::payload::PayloadFacts;

/// A page whose newest packet is older than this serves nobody: no NACK comes that late.
const PAGE_AGE: Duration = Duration::from_secs(2);

/// Pages that no history uses now, and how many are in use.
#[derive(Debug, Default)]
pub struct PagePool {
    free: Vec<Box<[u8]>>,
    in_use: usize,
}

impl PagePool {
    /// An empty pool; pages are made when first needed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Pages that histories hold.
    #[must_use]
    pub const fn in_use(&self) -> usize {
        self.in_use
    }

    fn take(&mut self) -> Option<Box<[u8]>> {
        if self.in_use >= HISTORY_PAGES {
            return None;
        }
        self.in_use += 1;
        let page = self.free.pop();
        Some(page.unwrap_or_else(|| vec![0; HISTORY_PAGE_BYTES].into_boxed_slice()))
    }

    fn give(&mut self, page: Box<[u8]>) {
        self.in_use = self.in_use.saturating_sub(1);
        if self.free.len() < HISTORY_POOL_PAGES {
            self.free.push(page);
        }
    }
}

/// Header extension values that are handed on as they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) audio_level: Option<(AudioLevel, bool)>,
    pub(super) orientation: Option<u8>,
    pub(super) playout_delay: Option<[u8; 3]>,
    pub(super) abs_capture_time: Option<AbsCaptureTime>,
}

impl Passed {
    /// Nothing but a level is handed on, and that a picture stands upright, which goes without saying
    /// (3GPP TS 26.114 §7.4.5) where nothing else was said.
    pub(super) const fn is_plain(&self) -> bool {
        matches!(self.orientation, None | Some(0))
            && self.playout_delay.is_none()
            && self.abs_capture_time.is_none()
    }
}

/// What is known of one received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    pub(super) timestamp: u32,
    pub(super) arrived_at: Instant,
    pub(super) payload_type: u8,
    pub(super) marker: bool,
    /// A decoder can start with this packet.
    pub(super) starts: bool,
    /// Arrived, and is never forwarded.
    pub(super) empty: bool,
    /// Who tells of its layers.
    pub(super) layering: Layering,
    /// What its payload says of itself.
    pub(super) facts: PayloadFacts,
    /// What its dependency descriptor says, where that tells of its layers.
    pub(super) frame: Frame,
    pub(super) passed: Passed,
    /// Padding it leaves with, bytes.
    pub(super) pad: u8,
    page: u32,
    offset: u16,
    len: u16,
    /// Bytes of its dependency descriptor, which lies before its payload.
    pub(super) descriptor: u8,
}

impl Entry {
    /// An entry without bytes yet.
    pub(super) fn new(sequence: u64, timestamp: u32, arrived_at: Instant) -> Self {
        Self {
            sequence,
            timestamp,
            arrived_at,
            payload_type: 0,
            marker: false,
            starts: false,
            empty: true,
            layering: Layering::None,
            facts: PayloadFacts::default(),
            frame: Frame::default(),
            passed: Passed::default(),
            pad: 0,
            page: 0,
            offset: 0,
            len: 0,
            descriptor: 0,
        }
    }

    /// It is of the same picture as the packet before it, and of the same layer: what payload
    /// descriptors say of that holds for this.
    pub(super) fn continues(&self, before: &Self) -> bool {
        self.sequence == before.sequence + 1
            && self.timestamp == before.timestamp
            && self.layering == before.layering
            && self.layering != Layering::Descriptor
            && self.facts.layer == before.facts.layer
            && !self.starts
            && !self.empty
            && !before.empty
    }

    /// Bytes of its payload.
    pub(super) fn bytes(&self) -> usize {
        usize::from(self.len)
    }
}

#[derive(Debug)]
struct Page {
    bytes: Box<[u8]>,
    newest_at: Instant,
}

/// The packets.
#[derive(Debug)]
pub(super) struct History {
    /// By sequence modulo its length; a slot belongs to the sequence written in it.
    entries: Box<[Option<Entry>]>,
    pages: VecDeque<Page>,
    pages_max: usize,
    /// The number of the first page in `pages`; numbers only grow.
    first_page: u32,
    /// Bytes used of the last page.
    used: usize,
}

const _: () = assert!(
    HISTORY_PACKETS_PER_ENCODING.is_power_of_two()
        && HISTORY_PACKETS_PER_AUDIO_ENCODING.is_power_of_two()
);

impl History {
    pub(super) fn new(kind: MediaKind) -> Self {
        let (packets, pages_max) = match kind {
            MediaKind::Audio => (HISTORY_PACKETS_PER_AUDIO_ENCODING, 2),
            MediaKind::Video => (HISTORY_PACKETS_PER_ENCODING, HISTORY_PAGES_PER_ENCODING),
        };
        Self {
            entries: vec![None; packets].into_boxed_slice(),
            pages: VecDeque::with_capacity(pages_max),
            pages_max,
            first_page: 0,
            used: 0,
        }
    }

    /// How far back a sequence may lie and still have a slot.
    pub(super) const fn reach(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Keeps a packet with its bytes. False where the pool is exhausted: nothing was kept.
    pub(super) fn insert(&mut self, entry: Entry, payload: &[u8], pool: &mut PagePool) -> bool {
        self.insert_described(entry, &[], payload, pool)
    }

    /// The same of a packet with a dependency descriptor.
    pub(super) fn insert_described(
        &mut self,
        entry: Entry,
        descriptor: &[u8],
        payload: &[u8],
        pool: &mut PagePool,
    ) -> bool {
        let lengths = (u16::try_from(payload.len()), u8::try_from(descriptor.len()));
        let (Ok(len), Ok(described)) = lengths else {
            return false;
        };
        if !self.make_room(descriptor.len() + payload.len(), entry.arrived_at, pool) {
            return false;
        }
        let Some(page) = self.pages.back_mut() else {
            return false;
        };
        let start = self.used + descriptor.len();
        let end = start + payload.len();
        let Some(room) = page.bytes.get_mut(self.used..end) else {
            return false;
        };
        let (before, behind) = room.split_at_mut(descriptor.len());
        before.copy_from_slice(descriptor);
        behind.copy_from_slice(payload);
        page.newest_at = page.newest_at.max(entry.arrived_at);
        let last = u32::try_from(self.pages.len().saturating_sub(1)).unwrap_or(0);
        let kept = Entry {
            empty: false,
            page: self.first_page.wrapping_add(last),
            offset: u16::try_from(start).unwrap_or(u16::MAX),
            len,
            descriptor: described,
            ..entry
        };
        self.used = end;
        self.place(kept);
        true
    }

    /// Remembers that a sequence arrived and will never be forwarded.
    pub(super) fn insert_empty(&mut self, entry: Entry) {
        self.place(Entry {
            empty: true,
            len: 0,
            ..entry
        });
    }

    /// Packets that leave together, in their order, get padding where that makes them one run: a
    /// browser splits a frame into packets that differ by a byte. Once for all sections.
    pub(super) fn level(&mut self, sequences: &[u64]) {
        let Some((last, mut rest)) = sequences.split_last() else {
            return;
        };
        let bytes = |history: &Self, sequence| history.get(sequence).map_or(0, Entry::bytes);
        while !rest.is_empty() {
            let (mut shortest, mut longest) = (usize::MAX, 0);
            // The last one may be shorter than the rest of its run, not longer.
            let alike = rest.iter().chain([last]).take_while(|&&sequence| {
                let bytes = bytes(self, sequence);
                let (low, high) = (shortest.min(bytes), longest.max(bytes));
                let fits = high - low <= LEVEL_BYTES;
                if fits {
                    (shortest, longest) = (low, high);
                }
                fits
            });
            let count = alike.count().clamp(1, rest.len());
            let (group, behind) = rest.split_at(count);
            rest = behind;
            if longest == shortest {
                continue;
            }
            for &sequence in group {
                self.pad(sequence, longest);
            }
        }
    }

    fn pad(&mut self, sequence: u64, length: usize) {
        let slot = self.slot(sequence);
        if let Some(Some(entry)) = self.entries.get_mut(slot)
            && entry.sequence == sequence
        {
            entry.pad = u8::try_from(length.saturating_sub(entry.bytes())).unwrap_or(0);
        }
    }

    /// The entry of a sequence, if it arrived and its bytes are still there.
    pub(super) fn get(&self, sequence: u64) -> Option<&Entry> {
        let entry = self.entries.get(self.slot(sequence))?.as_ref()?;
        let age = entry.page.wrapping_sub(self.first_page) as usize;
        (entry.sequence == sequence && (entry.empty || age < self.pages.len())).then_some(entry)
    }

    /// Whether a sequence arrived, even where its bytes are gone.
    pub(super) fn has_seen(&self, sequence: u64) -> bool {
        let entry = self.entries.get(self.slot(sequence)).copied().flatten();
        entry.is_some_and(|entry| entry.sequence == sequence)
    }

    /// The bytes of an entry.
    pub(super) fn payload(&self, entry: &Entry) -> Option<&[u8]> {
        let page = entry.page.wrapping_sub(self.first_page) as usize;
        let start = usize::from(entry.offset);
        let page = self.pages.get(page)?;
        page.bytes.get(start..start + usize::from(entry.len))
    }

    /// The dependency descriptor of an entry; empty where it came without.
    pub(super) fn descriptor(&self, entry: &Entry) -> &[u8] {
        let page = entry.page.wrapping_sub(self.first_page) as usize;
        let end = usize::from(entry.offset);
        let start = end.saturating_sub(entry.descriptor.into());
        let page = self.pages.get(page).filter(|_| !entry.empty);
        page.and_then(|page| page.bytes.get(start..end))
            .unwrap_or_default()
    }

    /// Gives every page back; forgets everything.
    pub(super) fn clear(&mut self, pool: &mut PagePool) {
        self.entries.fill(None);
        while let Some(page) = self.pages.pop_front() {
            self.first_page = self.first_page.wrapping_add(1);
            pool.give(page.bytes);
        }
        self.used = 0;
    }

    fn place(&mut self, entry: Entry) {
        let slot = self.slot(entry.sequence);
        if let Some(place) = self.entries.get_mut(slot) {
            *place = Some(entry);
        }
    }

    /// By a mask, which costs less than the remainder it stands for.
    fn slot(&self, sequence: u64) -> usize {
        usize::try_from(sequence & self.reach().wrapping_sub(1)).unwrap_or(usize::MAX)
    }

    fn make_room(&mut self, len: usize, now: Instant, pool: &mut PagePool) -> bool {
        if len > HISTORY_PAGE_BYTES {
            return false;
        }
        if !self.pages.is_empty() && self.used + len <= HISTORY_PAGE_BYTES {
            return true;
        }
        let stale = |page: Option<&Page>| page.is_some_and(|page| page.newest_at + PAGE_AGE < now);
        // A burst is over: what it took goes back.
        while self.pages.len() > 2 && stale(self.pages.get(1)) {
            if let Some(page) = self.pages.pop_front() {
                self.first_page = self.first_page.wrapping_add(1);
                pool.give(page.bytes);
            }
        }
        let full = self.pages.len() >= self.pages_max;
        let old = self.pages.len() > 1 && stale(self.pages.front());
        let taken = if full || old { None } else { pool.take() };
        let page = match taken {
            Some(bytes) => Page {
                bytes,
                newest_at: now,
            },
            None => {
                let Some(oldest) = self.pages.pop_front() else {
                    return false;
                };
                self.first_page = self.first_page.wrapping_add(1);
                oldest
            }
        };
        self.pages.push_back(page);
        self.used = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_that_leave_together_are_levelled_where_little_is_missing() {
        for (lengths, pads) in [
            (vec![1_000, 1_000, 1_001, 1_001], vec![1, 1, 0, 0]),
            // The last one may be shorter, never longer.
            (vec![1_001, 1_000, 1_000], vec![0, 1, 0]),
            (vec![1_000, 1_000, 1_003], vec![3, 3, 0]),
            (vec![1_100, 1_100, 300], vec![0, 0, 0]),
            (vec![1_000, 1_001, 300], vec![1, 0, 0]),
            // Two layers, each a run of its own.
            (vec![500, 501, 900, 899, 901], vec![1, 0, 1, 2, 0]),
            (vec![1_000, 984, 1_000], vec![0, 16, 0]),
            (vec![1_000, 983, 1_000], vec![0, 0, 0]),
            (vec![700], vec![0]),
            (vec![], vec![]),
        ] {
            let mut pool = PagePool::new();
            let mut history = History::new(MediaKind::Video);
            let sequences: Vec<u64> = (0..).take(lengths.len()).collect();
            for (&sequence, &length) in sequences.iter().zip(&lengths) {
                insert(&mut history, &mut pool, sequence, 0, &vec![1; length]);
            }
            history.level(&sequences);
            let got: Vec<u8> = sequences
                .iter()
                .map(|&sequence| history.get(sequence).expect("kept").pad)
                .collect();
            assert_eq!(got, pads, "{lengths:?}");
        }
    }

    fn insert(history: &mut History, pool: &mut PagePool, sequence: u64, at: u64, payload: &[u8]) {
        let entry = Entry::new(sequence, 0, Instant::from_millis(at));
        assert!(history.insert(entry, payload, pool));
    }

    #[test]
    fn packets_are_read_back_until_their_page_is_used_again() {
        let mut pool = PagePool::new();
        let mut history = History::new(MediaKind::Video);
        for sequence in 0..1_200u64 {
            let payload = [sequence.to_be_bytes()[7]; 1_000];
            insert(&mut history, &mut pool, sequence, sequence, &payload);
            assert!(pool.in_use() <= HISTORY_PAGES_PER_ENCODING);
        }
        assert_eq!(history.get(0), None, "16 pages hold 1,040 packets");
        let entry = *history.get(1_000).expect("recent");
        assert_eq!(history.payload(&entry), Some(&[0xE8; 1_000][..]));
        history.clear(&mut pool);
        assert_eq!(pool.in_use(), 0);
        assert_eq!(history.get(1_199), None);
    }

    #[test]
    fn old_pages_are_used_again_before_new_ones_are_taken() {
        let mut pool = PagePool::new();
        let mut history = History::new(MediaKind::Video);
        for sequence in 0..3_000u64 {
            insert(
                &mut history,
                &mut pool,
                sequence,
                sequence * 33,
                &[1; 1_000],
            );
        }
        // 2 s are 61 packets of 1,000 bytes: less than a page.
        assert!(pool.in_use() <= 3, "{} pages", pool.in_use());
    }

    #[test]
    fn an_empty_input_is_known_without_bytes() {
        let mut history = History::new(MediaKind::Audio);
        history.insert_empty(Entry::new(7, 0, Instant::ZERO));
        assert!(history.get(7).is_some_and(|entry| entry.empty));
        assert_eq!(history.get(8), None);
        assert_eq!(history.get(7 + history.reach()), None);
    }
}

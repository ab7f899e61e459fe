//! What a departure fills and the engine sends: a fixed arena of runs, one destination each.
//!
//! A run is contiguous bytes to one path: segments of equal size, the last one may be shorter
//! (the kernel's rule for UDP_SEGMENT). Packets are encrypted in place in their slot. The bytes
//! are valid until the engine clears the outbox, after sending.

use crate::limits::{GSO_SEGMENT_BYTES, OUTBOX_BYTES, OUTBOX_RUNS, RUN_BYTES, RUN_SEGMENTS};
use crate::path::Path;

/// One run's place in the arena.
#[derive(Clone, Copy, Debug)]
struct Extent {
    path: Path,
    start: usize,
    end: usize,
    segment_size: usize,
    segments: usize,
    /// A shorter segment ended it, or its size forbids company.
    closed: bool,
}

/// Datagrams of one size to one path, ready to be sent with one call.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Where it goes.
    pub path: Path,
    /// Size of every segment but the last, which may be shorter. Bytes.
    pub segment_size: usize,
    /// The segments, one after the other.
    pub bytes: &'a [u8],
}

impl<'a> Run<'a> {
    /// How many datagrams it has.
    #[must_use]
    pub const fn count(&self) -> u64 {
        let segment = if self.segment_size == 0 {
            1
        } else {
            self.segment_size
        };
        self.bytes.len().div_ceil(segment) as u64
    }

    /// The datagrams of this run.
    pub fn datagrams(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.bytes.chunks(self.segment_size.max(1))
    }
}

/// The arena of one departure.
#[derive(Debug)]
pub struct Outbox {
    bytes: Box<[u8]>,
    used: usize,
    runs: Vec<Extent>,
    /// Room that was given for the next datagram.
    reserved: Option<usize>,
    /// Where it goes; none: where the last run goes.
    path: Option<Path>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Outbox {
    /// An empty arena of `OUTBOX_BYTES`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bytes: vec![0; OUTBOX_BYTES].into_boxed_slice(),
            used: 0,
            runs: Vec::with_capacity(OUTBOX_RUNS),
            reserved: None,
            path: None,
        }
    }

    /// Room for one datagram of up to `capacity` bytes to `path`; none: full, send first.
    /// Write into it, then [`Outbox::commit`] what was written, or take another slot instead.
    pub fn slot(&mut self, path: Path, capacity: usize) -> Option<&mut [u8]> {
        self.reserve(Some(path), capacity)
    }

    /// The same, for one more datagram on the path of the last one that was committed.
    pub fn another(&mut self, capacity: usize) -> Option<&mut [u8]> {
        if self.runs.is_empty() {
            return None;
        }
        self.reserve(None, capacity)
    }

    fn reserve(&mut self, path: Option<Path>, capacity: usize) -> Option<&mut [u8]> {
        if self.runs.len() >= OUTBOX_RUNS {
            return None;
        }
        let end = self.used.checked_add(capacity)?;
        let slot = self.bytes.get_mut(self.used..end)?;
        self.reserved = Some(capacity);
        self.path = path;
        Some(slot)
    }

    /// Whether a slot of `capacity` bytes would be given.
    #[must_use]
    pub fn has_room(&self, capacity: usize) -> bool {
        self.runs.len() < OUTBOX_RUNS && self.bytes.len() - self.used >= capacity
    }

    /// The last slot holds a datagram of `length` bytes.
    #[inline]
    pub fn commit(&mut self, length: usize) {
        let Some(capacity) = self.reserved.take() else {
            return;
        };
        let length = length.min(capacity);
        if length == 0 {
            return;
        }
        let start = self.used;
        self.used += length;
        let last = self.runs.last_mut();
        match last.filter(|run| self.path.is_none_or(|path| path == run.path)) {
            Some(run) if run.takes(length) => {
                run.end = self.used;
                run.segments += 1;
                run.closed = length < run.segment_size;
            }
            _ => self.begin(start, length),
        }
    }

    /// A run of its own. Rarer than the rest of [`Outbox::commit`], which is the shorter for it.
    #[inline(never)]
    fn begin(&mut self, start: usize, length: usize) {
        let last = self.runs.last().map(|run| run.path);
        let Some(path) = self.path.or(last) else {
            return;
        };
        self.runs.push(Extent {
            path,
            start,
            end: start + length,
            segment_size: length,
            segments: 1,
            closed: length > GSO_SEGMENT_BYTES,
        });
    }

    /// What is to be sent, in order.
    pub fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        self.runs.iter().map(|run| self.read(run))
    }

    fn read(&self, run: &Extent) -> Run<'_> {
        Run {
            path: run.path,
            segment_size: run.segment_size,
            bytes: self.bytes.get(run.start..run.end).unwrap_or_default(),
        }
    }

    /// How many runs there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.runs.len()
    }

    /// The run at `place`, in the order of [`Outbox::runs`].
    #[must_use]
    pub fn run(&self, place: usize) -> Option<Run<'_>> {
        self.runs.get(place).map(|run| self.read(run))
    }

    /// Whether nothing is to be sent.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// All was sent.
    pub fn clear(&mut self) {
        self.runs.clear();
        self.used = 0;
        self.reserved = None;
    }
}

impl Extent {
    fn takes(&self, length: usize) -> bool {
        !self.closed
            && length <= self.segment_size
            && self.segments < RUN_SEGMENTS
            && self.end - self.start + length <= RUN_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::LocalId;

    fn path(port: u16) -> Path {
        Path {
            local: LocalId(0),
            remote: ([127, 0, 0, 1], port).into(),
        }
    }

    fn put(outbox: &mut Outbox, port: u16, length: usize) {
        outbox.slot(path(port), 1_500).expect("room").fill(7);
        outbox.commit(length);
    }

    #[test]
    fn equal_segments_join_a_shorter_one_ends_the_run() {
        let mut outbox = Outbox::new();
        for length in [1_000, 1_000, 900, 900, 1_450, 1_450] {
            put(&mut outbox, 1, length);
        }
        put(&mut outbox, 2, 900);
        let shape: Vec<_> = outbox
            .runs()
            .map(|run| (run.segment_size, run.bytes.len()))
            .collect();
        assert_eq!(
            shape,
            [
                (1_000, 2_900),
                (900, 900),
                (1_450, 1_450),
                (1_450, 1_450),
                (900, 900)
            ]
        );
        let sizes: Vec<_> = outbox
            .runs()
            .next()
            .into_iter()
            .flat_map(|r| r.datagrams().map(<[u8]>::len).collect::<Vec<_>>())
            .collect();
        assert_eq!(sizes, [1_000, 1_000, 900]);
    }

    #[test]
    fn another_goes_where_the_last_one_went_in_its_run_or_in_one_of_its_own() {
        let mut outbox = Outbox::new();
        assert!(outbox.another(1_500).is_none(), "there is no last one");
        put(&mut outbox, 1, 1_000);
        for length in [1_000, 700, 900] {
            outbox.another(1_500).expect("room").fill(7);
            outbox.commit(length);
        }
        // A slot that is given up leaves no trace.
        assert!(outbox.slot(path(3), 1_500).is_some());
        outbox.another(1_500).expect("room").fill(7);
        outbox.commit(900);
        put(&mut outbox, 2, 900);
        let runs: Vec<_> = outbox
            .runs()
            .map(|run| (run.path.remote.port(), run.segment_size, run.bytes.len()))
            .collect();
        assert_eq!(runs, [(1, 1_000, 2_700), (1, 900, 1_800), (2, 900, 900)]);
        outbox.clear();
        assert!(outbox.another(1_500).is_none());
        outbox.commit(5);
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_full_arena_says_so_and_is_empty_after_clear() {
        let mut outbox = Outbox::new();
        let mut count = 0;
        while outbox.slot(path(1), 1_472).is_some() {
            outbox.commit(1_200);
            count += 1;
        }
        assert!(count > OUTBOX_BYTES / 1_472, "{count}");
        outbox.clear();
        assert!(outbox.is_empty() && outbox.slot(path(1), 1_472).is_some());
    }
}

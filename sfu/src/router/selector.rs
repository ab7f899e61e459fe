//! Which packets of which encoding pass a section now.
//!
//! The highest encoding that flows is the target. A section goes on with what it has until a
//! packet of the target arrives with which a decoder can start; sound starts anywhere. What is
//! older than the packet a section started with never passes: it belongs to a picture that was
//! never begun.

use crate::id::EncodingKey;
use crate::time::{Duration, Instant};
use crate::units::MediaKind;

/// What the selector says of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// Not through this section.
    No,
    /// Like the one before.
    Yes,
    /// It is the first of this encoding: numbering has to be tied anew.
    Started,
}

/// A packet, as far as the choice depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) encoding: EncodingKey,
    pub(super) sequence: u64,
    /// A decoder can start with it.
    pub(super) starts: bool,
    /// Its encoding is the one the section should show.
    pub(super) is_target: bool,
}

/// What passes a section.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Selector {
    current: Option<(EncodingKey, u64)>,
    /// What passed was ended for something that is to begin any moment.
    is_cut: bool,
}

impl Selector {
    /// Whether a packet passes.
    pub(super) fn passes(&mut self, kind: MediaKind, packet: Candidate) -> Passage {
        if let Some((encoding, start)) = self.current
            && encoding == packet.encoding
        {
            return if packet.sequence >= start {
                Passage::Yes
            } else {
                Passage::No
            };
        }
        let startable = kind == MediaKind::Audio || packet.starts;
        if packet.is_target && startable {
            self.current = Some((packet.encoding, packet.sequence));
            self.is_cut = false;
            return Passage::Started;
        }
        Passage::No
    }

    /// What passes now.
    pub(super) fn current(&self) -> Option<EncodingKey> {
        self.current.map(|(encoding, _)| encoding)
    }

    /// Nothing passes until a packet with which a decoder can start.
    pub(super) const fn stop(&mut self) {
        self.current = None;
        self.is_cut = false;
    }

    /// The same, for the sake of a target that takes the place of what passed.
    pub(super) const fn cut(&mut self) {
        self.is_cut = self.current.is_some();
        self.current = None;
    }

    /// Whether something passes, or will with the next key frame.
    pub(super) const fn is_showing(&self) -> bool {
        self.current.is_some() || self.is_cut
    }
}

/// What began too late in a step says too little of how much a step is.
const STEP_LEAST: Duration = Duration::from_millis(200);

/// Steps, two seconds of them: for less, an encoder leaves pictures out that it cannot afford. That
/// of Chromium, libvpx, makes key frames of all rungs where one is asked for, and one of the lowest
/// may cost as much as a second of it.
const STUTTER: u8 = 4;

/// How fast an encoding flows, measured in steps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flow {
    bytes: u64,
    /// Of those, what key frames were.
    key_bytes: u64,
    /// Where this step began, or the flow in it.
    since: Instant,
    /// Bytes of the last whole step.
    last: u64,
    /// Bytes of a step while it flows, key frames excepted, evened out over a few: one asked for by a
    /// viewer says nothing of what the next second costs. Its rank among the rungs of a track, which
    /// does not change when it pauses.
    usual: u64,
    /// What that was before the last step in which anything came.
    usual_before: u64,
    /// Steps since something came.
    silent: u8,
}

impl Flow {
    /// A packet of `bytes` arrived; of a key frame, which is paid once, or not.
    pub(super) const fn count(&mut self, now: Instant, bytes: u64, is_key: bool) {
        if self.bytes == 0 && self.last == 0 {
            self.since = now;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if is_key {
            self.key_bytes = self.key_bytes.saturating_add(bytes);
        }
    }

    /// A step of `step` has ended. `is_off`: nothing is to come, by our own wish.
    pub(super) fn step(&mut self, (now, step): (Instant, Duration), is_off: bool) {
        let part = now.since(self.since).min(step);
        let whole = u64::try_from(step.as_micros()).unwrap_or(u64::MAX);
        let part = u64::try_from(part.as_micros()).unwrap_or(whole);
        self.since = now;
        self.last = std::mem::take(&mut self.bytes);
        let key_bytes = std::mem::take(&mut self.key_bytes);
        if self.last == 0 {
            // It ended within the step before this one, which is no measure of what a whole one
            // carries: what has been switched off would seem cheaper than what flows.
            if is_off && self.silent == 0 && self.usual_before > 0 {
                self.usual = self.usual_before;
            }
            self.silent = self.silent.saturating_add(1);
            return;
        }
        self.silent = 0;
        self.usual_before = self.usual;
        if u128::from(part) < STEP_LEAST.as_micros() {
            return;
        }
        let lasting = self.last.saturating_sub(key_bytes);
        self.usual = match (self.usual, lasting) {
            (0, 0) => self.last.saturating_mul(whole) / part,
            (0, _) => lasting.saturating_mul(whole) / part,
            (usual, 0) => usual,
            (usual, _) => {
                let rate = lasting.saturating_mul(whole) / part;
                // What grows is believed sooner: too little known costs a queue, too much a layer.
                let slow = if rate > usual { 1 } else { 3 };
                (usual * slow + rate).div_ceil(slow + 1)
            }
        };
    }

    /// Nothing has come for a step or more, and not for so long that it must have stopped: its
    /// encoder may be leaving pictures out.
    pub(super) const fn stutters(&self) -> bool {
        self.last == 0 && self.bytes == 0 && self.silent < STUTTER
    }

    /// It has ended; should it begin again it will flow as it used to.
    pub(super) const fn stop(&mut self) {
        (self.bytes, self.key_bytes, self.last) = (0, 0, 0);
        self.silent = STUTTER;
    }

    /// Bytes of a step, as far as is known; 0 where it has never flowed.
    pub(super) const fn usual(&self) -> u64 {
        self.usual
    }

    /// Bytes in the last whole step; what has begun counts as the least.
    pub(super) fn rate(&self) -> u64 {
        self.last.max(u64::from(self.bytes > 0))
    }
}

/// The encoding to show: the one that carries most, unless the present one nearly does.
pub(super) fn best(
    present: Option<EncodingKey>,
    flows: impl Iterator<Item = (EncodingKey, u64)>,
) -> Option<EncodingKey> {
    let mut most: Option<(EncodingKey, u64)> = None;
    let mut present_rate = 0;
    for (encoding, rate) in flows {
        if present == Some(encoding) {
            present_rate = rate;
        }
        if rate > 0 && most.is_none_or(|(_, found)| rate > found) {
            most = Some((encoding, rate));
        }
    }
    match most {
        // A quarter more: a rung above carries at least twice as much, noise does not.
        Some((encoding, rate)) if rate > present_rate.saturating_add(present_rate / 4) => {
            Some(encoding)
        }
        Some(_) | None => present,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(encoding: u32, sequence: u64, starts: bool, is_target: bool) -> Candidate {
        Candidate {
            encoding: EncodingKey(encoding),
            sequence,
            starts,
            is_target,
        }
    }

    #[test]
    fn a_switch_waits_for_a_packet_a_decoder_can_start_with() {
        let mut selector = Selector::default();
        let video = MediaKind::Video;
        let mut check = |encoding, sequence, starts, is_target, expected| {
            let packet = candidate(encoding, sequence, starts, is_target);
            assert_eq!(selector.passes(video, packet), expected, "{packet:?}");
        };
        check(0, 1, false, true, Passage::No);
        check(0, 2, true, true, Passage::Started);
        check(0, 3, false, true, Passage::Yes);
        check(0, 1, false, true, Passage::No);
        check(1, 50, true, false, Passage::No);
        check(0, 4, false, false, Passage::Yes);
        check(1, 51, false, true, Passage::No);
        check(1, 52, true, true, Passage::Started);
        check(0, 5, false, false, Passage::No);
        selector.stop();
        assert_eq!(selector.current(), None);
        let sound = selector.passes(MediaKind::Audio, candidate(0, 9, false, true));
        assert_eq!(sound, Passage::Started);
    }

    #[test]
    fn a_flow_that_begins_within_a_step_is_measured_by_the_time_it_had() {
        let step = Duration::from_millis(500);
        for (begins, known) in [(0, true), (250, true), (400, false)] {
            let mut flow = Flow::default();
            for at in (begins..500).step_by(10) {
                flow.count(Instant::from_millis(at), 1_000, false);
            }
            flow.step((Instant::from_millis(500), step), false);
            assert!(flow.rate() > 0);
            let expected = if known { 49_000..=51_000 } else { 0..=0 };
            assert!(expected.contains(&flow.usual()), "{begins}: {flow:?}");
            for at in (500..1_000).step_by(10) {
                flow.count(Instant::from_millis(at), 1_000, false);
            }
            flow.step((Instant::from_millis(1_000), step), false);
            assert_eq!(flow.usual(), 50_000, "{begins}");
        }
    }

    #[test]
    fn what_a_rung_usually_carries_is_told_without_key_frames_and_pauses() {
        let step = Duration::from_millis(500);
        let mut flow = Flow::default();
        // Bytes of each step, of key frames among them; what it usually carries; whether it stutters.
        let steps = [
            (30_000, 30_000, 30_000, false),
            (10_000, 0, 25_000, false),
            (10_000, 0, 21_250, false),
            // A key frame, and a second of nothing.
            (30_000, 30_000, 21_250, false),
            (0, 0, 21_250, true),
            (0, 0, 21_250, true),
            (31_250, 10_000, 21_250, false),
            (41_250, 0, 31_250, false),
            // It is switched off within a step, which says nothing, and comes back as it was.
            (5_000, 0, 24_688, false),
            (0, 0, 31_250, true),
            (0, 0, 31_250, true),
            (0, 0, 31_250, true),
            (0, 0, 31_250, false),
            (31_250, 0, 31_250, false),
        ];
        for (end, (bytes, key_bytes, usual, stutters)) in (1..).zip(steps) {
            let began = Instant::from_millis(end * 500 - 500);
            if key_bytes > 0 {
                flow.count(began, key_bytes, true);
            }
            if bytes > key_bytes {
                flow.count(began, bytes - key_bytes, false);
            }
            let is_off = (10..=13).contains(&end);
            flow.step((Instant::from_millis(end * 500), step), is_off);
            assert_eq!((flow.usual(), flow.stutters()), (usual, stutters), "{end}");
        }
        flow.stop();
        assert!(!flow.stutters());
    }

    #[test]
    fn the_encoding_that_carries_most_is_best_with_some_inertia() {
        let check = |present: Option<u32>, rates: &[u64], expected: Option<u32>| {
            let flows = rates
                .iter()
                .zip(0..)
                .map(|(&rate, key)| (EncodingKey(key), rate));
            let found = best(present.map(EncodingKey), flows);
            assert_eq!(found, expected.map(EncodingKey), "{present:?} {rates:?}");
        };
        check(None, &[], None);
        check(None, &[0, 1], Some(1));
        check(Some(0), &[100, 300, 200], Some(1));
        check(Some(0), &[100, 110], Some(0));
        check(Some(1), &[100, 0], Some(0));
        check(Some(1), &[0, 0], Some(1));
    }
}

//! Many subscribers' requests become few to the publisher: at most one per `KEYFRAME_INTERVAL`
//! and encoding, repeated until a key frame arrives.

use crate::limits::KEYFRAME_INTERVAL;
use crate::time::Instant;

/// The requests for one encoding.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyframeGate {
    waiting: bool,
    asked_at: Option<Instant>,
}

impl KeyframeGate {
    /// Somebody cannot go on without a key frame.
    pub(super) const fn request(&mut self) {
        self.waiting = true;
    }

    /// A key frame has come, or nobody waits any more.
    pub(super) const fn satisfy(&mut self) {
        self.waiting = false;
    }

    /// Whether to ask the publisher now; if so it counts as asked.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        let due = self.next_due().is_some_and(|due| due <= now);
        if due {
            self.asked_at = Some(now);
        }
        due
    }

    /// When to ask next: at once the first time, then an interval after the last.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let after_last = |asked_at| asked_at + KEYFRAME_INTERVAL;
        self.waiting
            .then(|| self.asked_at.map_or(Instant::ZERO, after_last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_gathered_and_repeated_until_a_key_frame_arrives() {
        let mut gate = KeyframeGate::default();
        assert!(!gate.take_due(Instant::from_millis(1)));
        let mut asked = Vec::new();
        for ms in 0..1_200 {
            if ms < 900 {
                gate.request();
            }
            if ms == 1_100 {
                gate.satisfy();
            }
            if gate.take_due(Instant::from_millis(ms)) {
                asked.push(ms);
            }
        }
        assert_eq!(asked, [0, 500, 1_000]);
        assert_eq!(gate.next_due(), None);
        gate.request();
        assert_eq!(gate.next_due(), Some(Instant::from_millis(1_500)));
    }
}

//! Where key frames begin, and who asks for them. Many subscribers' requests become few to the publisher: at most one per `KEYFRAME_INTERVAL`
//! and encoding, repeated until a key frame arrives.

use crate::limits::{KEYFRAME_INTERVAL, KEYFRAME_INTERVAL_LARGE};
use crate::time::Instant;

/// The requests for one encoding.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyframeGate {
    waiting: bool,
    asked_at: Option<Instant>,
    is_large: bool,
}

/// From so many lines on a key frame is large.
const LARGE: u16 = 720;

impl KeyframeGate {
    /// Somebody cannot go on without a key frame.
    pub(super) const fn request(&mut self) {
        self.waiting = true;
    }

    /// A key frame said how many lines there are.
    pub(super) const fn learn_height(&mut self, lines: u16) {
        self.is_large = lines >= LARGE;
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
        let interval = if self.is_large {
            KEYFRAME_INTERVAL_LARGE
        } else {
            KEYFRAME_INTERVAL
        };
        let after_last = |asked_at| asked_at + interval;
        self.waiting
            .then(|| self.asked_at.map_or(Instant::ZERO, after_last))
    }
}

/// Repairs come within this, in ticks of 90 kHz: ten seconds.
const REPAIRED: u32 = 900_000;

/// Where an H264 key frame begins: with its parameters, which often come in a packet of their own
/// before the IDR picture. Where that packet is lost the picture must wait for its repair; a start
/// at the picture could not be decoded. Some senders send bare pictures, though, with parameters
/// once or in SDP only: what the last key frame was decides.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyframeHead {
    /// RTP timestamp of the newest key frame.
    timestamp: Option<u32>,
    /// Its parameters have come.
    has_parameters: bool,
    /// The one before it had none.
    is_bare: bool,
}

impl KeyframeHead {
    /// Whether a decoder can start with this packet of a key frame.
    pub(super) fn starts(&mut self, timestamp: u32, parameters: bool) -> bool {
        // What lies further behind is no repair but another clock.
        let is_older = |newest: u32| (1..REPAIRED).contains(&newest.wrapping_sub(timestamp));
        if self.timestamp.is_some_and(is_older) {
            return parameters;
        }
        if self.timestamp != Some(timestamp) {
            self.is_bare = self.timestamp.is_some() && !self.has_parameters;
            self.timestamp = Some(timestamp);
            self.has_parameters = false;
        }
        self.has_parameters |= parameters;
        parameters || (self.is_bare && !self.has_parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_waits_for_parameters_unless_key_frames_come_without() {
        let mut head = KeyframeHead::default();
        let mut starts = |timestamp, parameters| head.starts(timestamp, parameters);
        // In order; then the parameters come late; then an old picture's come again.
        assert_eq!((starts(10, true), starts(10, false)), (true, false));
        assert_eq!((starts(20, false), starts(20, true)), (false, true));
        assert_eq!((starts(10, true), starts(10, false)), (true, false));
        assert!(!starts(20, false));
        // From here on bare ones: the first of them could be one whose parameters are late.
        assert!(!starts(1 << 31, false));
        assert!(starts(u32::MAX, false) && starts(9, false));
        assert_eq!((starts(30, true), starts(30, false)), (true, false));
        assert!(!starts(40, false));
        // Another clock, behind the one before.
        assert!(starts(40_u32.wrapping_sub(900_000), false));
    }

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
        assert_eq!(asked, [0, 300, 600, 900]);
        assert_eq!(gate.next_due(), None);
        gate.request();
        assert_eq!(gate.next_due(), Some(Instant::from_millis(1_200)));
        gate.learn_height(720);
        assert_eq!(gate.next_due(), Some(Instant::from_millis(1_400)));
    }
}

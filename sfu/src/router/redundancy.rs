//! Copies of sound within later packets (RED, RFC 2198): how many a subscriber gets with each, which
//! are taken from the shared history, and what a publisher's copies bring back.
//!
//! Inside the house sound is always plain: a publisher's RED is taken apart at the door. So one who
//! negotiated RED can be given as many copies as its losses ask for, and one who did not is given
//! what was lost on the way here all the same.

use arrayvec::ArrayVec;

use crate::limits::{RED_BLOCKS, RED_BYTES};
use crate::router::history::{Entry, History};
use crate::sdp::negotiate::MediaPlan;
use crate::time::{Duration, Instant};
use crate::wire::payload::Codec;
use crate::wire::payload::red::{BLOCK_BYTES_MAX, Block, OFFSET_MAX, Red};

/// A loss above this, in thousandths, asks for one copy, or two. With one copy the square of the
/// loss is missed, with two the cube: at 3 % one copy would miss one in 1,100.
const ON: [u16; 2] = [20, 30];
/// Below this they are not needed any more.
const OFF: [u16; 2] = [10, 20];
/// And only after they have not been needed for this long.
const KEPT: Duration = Duration::from_secs(5);
/// A frame of at most this is silence (RFC 7587 §3.1.3), not worth a copy.
const SILENCE_BYTES: usize = 2;
/// How far back a copy's place is looked for; copies reach 341 ms at most.
const REACH: u64 = 40;

/// How many copies a section gives.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Redundancy {
    copies: u8,
    /// When so many were needed last.
    needed_at: Instant,
    /// Payload types of RED and of what is in it, where they were negotiated.
    types: Option<(u8, u8)>,
}

impl Redundancy {
    /// As an m-line negotiated it.
    pub(super) fn negotiated(&mut self, plan: &MediaPlan) {
        let red = plan.payloads.iter().find(|p| p.format.codec == Codec::Red);
        self.types = red.and_then(|red| {
            // RFC 2198 §5: the payload types inside, the newest first.
            let inside = red.parameters.split('/').next()?.trim().parse().ok();
            let mut opus = plan.payloads.iter();
            let opus = opus.find(|p| {
                p.format.codec == Codec::Opus && inside.is_none_or(|it: u8| it == p.payload_type)
            })?;
            Some((red.payload_type, opus.payload_type))
        });
    }

    /// So much is lost on the way, in thousandths.
    pub(super) fn note_loss(&mut self, now: Instant, loss: u16) {
        let above = |levels: [u16; 2]| {
            let [one, two] = levels.map(|level| u8::from(loss > level));
            one + two
        };
        if above(OFF) >= self.copies {
            self.needed_at = now;
        }
        if above(ON) > self.copies {
            self.copies = above(ON);
        } else if now.since(self.needed_at) >= KEPT {
            self.copies = above(OFF);
            self.needed_at = now;
        }
    }

    /// RED's payload type where a packet of `payload_type` is to have copies, and how many.
    pub(super) fn copies(&self, payload_type: u8) -> Option<(u8, u8)> {
        let (red, inside) = self.types?;
        (inside == payload_type && self.copies > 0).then_some((red, self.copies))
    }
}

/// What a packet that leaves carries: itself, and before it so many of those that were sent before
/// it, `start` being the first that may be.
pub(super) fn wrap<'a>(
    history: &'a History,
    entry: &Entry,
    payload: &'a [u8],
    payload_type: u8,
    (copies, start): (u8, u64),
) -> Option<Red<'a>> {
    let mut red = Red {
        redundant: ArrayVec::new(),
        primary: Block {
            payload_type,
            offset: 0,
            bytes: payload,
        },
    };
    for back in (1..=u64::from(copies)).rev() {
        let sequence = entry.sequence.checked_sub(back);
        let copy = sequence.filter(|sequence| *sequence >= start);
        let copy = copy.and_then(|sequence| history.get(sequence));
        let copy = copy.filter(|copy| !copy.empty && copy.payload_type == entry.payload_type);
        let Some((copy, bytes)) = copy.and_then(|copy| Some((copy, history.payload(copy)?))) else {
            continue;
        };
        let offset = entry.timestamp.wrapping_sub(copy.timestamp);
        let is_silence = bytes.len() <= SILENCE_BYTES;
        if (1..=OFFSET_MAX).contains(&offset) && bytes.len() <= BLOCK_BYTES_MAX && !is_silence {
            // Never full: two at most.
            let _full = red.redundant.try_push(Block {
                payload_type,
                offset,
                bytes,
            });
        }
    }
    while red.bytes() > RED_BYTES && !red.redundant.is_empty() {
        red.redundant.remove(0);
    }
    (!red.redundant.is_empty()).then_some(red)
}

/// The sequence number of a packet that is missing and was stamped `timestamp`, seen from the packet
/// `newest` that brought a copy of it. `None`: it is not missing, or its place is not clear.
pub(super) fn place(
    history: &History,
    newest: &Entry,
    timestamp: u32,
    copies: &ArrayVec<Block<'_>, RED_BLOCKS>,
) -> Option<u64> {
    let is_before = |a: u32, b: u32| a.wrapping_sub(b).cast_signed() < 0;
    let mut above = (newest.sequence, newest.timestamp);
    let oldest = newest.sequence.saturating_sub(REACH);
    let mut sequence = newest.sequence;
    let below = loop {
        sequence = sequence.checked_sub(1).filter(|it| *it >= oldest)?;
        match history.get(sequence) {
            Some(known) if known.timestamp == timestamp => return None,
            Some(known) if is_before(known.timestamp, timestamp) => break known,
            Some(known) => above = (sequence, known.timestamp),
            None if history.has_seen(sequence) => return None,
            None => {}
        }
    };
    let missing = below.sequence + 1..above.0;
    if missing.clone().count() == 1 {
        return Some(missing.start);
    }
    // Several are missing: frames are equally long, as long as the shortest step that is known.
    let stamps = copies.iter().map(|copy| copy.offset);
    let steps = stamps.clone().zip(stamps.skip(1).chain([0]));
    let step = steps.map(|(older, newer)| older.saturating_sub(newer));
    let step = step.filter(|step| *step > 0).min()?;
    let behind = above.1.wrapping_sub(timestamp);
    let place = above.0.checked_sub(u64::from(behind / step));
    place.filter(|place| behind.is_multiple_of(step) && missing.contains(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_come_with_loss_and_go_with_hysteresis() {
        let mut redundancy = Redundancy::default();
        let mut check = |seconds: u64, loss: u16, expected: u8| {
            redundancy.note_loss(Instant::from_millis(seconds * 1_000), loss);
            assert_eq!(redundancy.copies, expected, "{seconds} s, {loss}");
        };
        check(10, 20, 0);
        check(11, 21, 1);
        check(12, 15, 1);
        check(40, 11, 1);
        check(41, 31, 2);
        check(42, 25, 2);
        check(43, 15, 2);
        check(46, 15, 2);
        check(47, 15, 1);
        check(48, 0, 1);
        check(51, 0, 1);
        check(53, 0, 0);
        check(54, 500, 2);
    }
}

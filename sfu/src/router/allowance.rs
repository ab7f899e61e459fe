//! How much a publisher that takes no orders may send, told by REMB (draft-alvestrand-rmcat-remb-03).
//! Who came by WHIP or gRPC is not told which of its rungs are wanted. But its encoder fills them
//! from the lowest up, and leaves out what does not fit: so it is held under what the rungs up to the
//! highest that is asked for need (see [`super::orders`], whose patience counts here too).
//!
//! What is asked for is never made less: each rung is allowed what a browser gives one of its size at
//! most, and more than it has carried. Where that cannot be known (a picture in one encoding, a rung
//! that has not come yet) nothing is limited. A limit is said again each second, since REMB may be
//! lost; that it has ended, a few times.

use arrayvec::ArrayVec;

use super::{Router, member_mut, touch};
use crate::id::MemberKey;
use crate::limits::SSRCS_PER_REMB;
use crate::router::encoding::Encoding;
use crate::router::member::Member;
use crate::router::orders::ladder;
use crate::router::rungs::STEP_MILLIS;
use crate::router::track::Track;
use crate::time::{Duration, Instant};
use crate::units::{Bitrate, MediaKind};
use crate::wire::rtcp::CompoundWriter;

/// A limit is said so often, and its end.
const EVERY: Duration = Duration::from_secs(1);
/// How often it is said that a limit has ended.
const ENDS_SAID: u8 = 3;
/// No limit, in a number that any receiver can hold: some take zero for none, others for nothing.
const OPEN: Bitrate = Bitrate::from_kbps(1_000_000);

/// What browsers give a rung of a camera at most, by its pixels: libwebrtc's table says 200 kb/s for
/// 320x180 and less, 700 for 640x360, 2,500 for 1280x720.
const BITS_PER_PIXEL: u64 = 3;
const RUNG_LEAST: u64 = 200_000;
/// Sound at what browsers send by themselves, with headers.
const SOUND_LEAST: u64 = 64_000;
/// Beside what a picture's packets carry: headers, in hundredths.
const HEADERS: u64 = 10;
/// Beside what has been carried: room for more, in hundredths. Less is known a step later, and the
/// room with it.
const SLACK: u64 = 25;

/// Of `Needs::rungs`: 16 tracks of 4 encodings fit.
const BITS_PER_TRACK: u32 = 4;

/// What a publisher is held under, and when that is said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Allowance {
    held: Option<Needs>,
    due: Option<Instant>,
    /// How often the end of a limit has yet to be said.
    ends: u8,
}

/// What the rungs that are asked for need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Needs {
    /// How many of each track, in `BITS_PER_TRACK`.
    rungs: u64,
    bits_per_second: u64,
}

impl Allowance {
    /// Of one who may have been held elsewhere: its limit has ended.
    pub(super) const fn ended(now: Instant) -> Self {
        Self {
            held: None,
            due: Some(now),
            ends: ENDS_SAID,
        }
    }

    /// So much is needed now; none: nothing is to be limited.
    fn step(&mut self, now: Instant, needs: Option<Needs>) {
        let before = self.held;
        self.held = match (before, needs) {
            // Of the same rungs what was once needed may be needed again.
            (Some(held), Some(needs)) if held.rungs == needs.rungs => Some(Needs {
                bits_per_second: held.bits_per_second.max(needs.bits_per_second),
                ..held
            }),
            (_, needs) => needs,
        };
        if self.held == before {
            return;
        }
        self.due = Some(now);
        if self.held.is_none() {
            self.ends = ENDS_SAID;
        }
    }

    pub(super) const fn next_due(&self) -> Option<Instant> {
        self.due
    }

    /// What is to be said now.
    fn take_due(&mut self, now: Instant) -> Option<Bitrate> {
        self.due.filter(|due| *due <= now)?;
        if let Some(held) = self.held {
            self.due = Some(now + EVERY);
            return Some(Bitrate::from_bps(held.bits_per_second));
        }
        self.ends = self.ends.saturating_sub(1);
        self.due = (self.ends > 0).then(|| now + EVERY);
        Some(OPEN)
    }
}

impl Router {
    /// A member takes no orders: it is held by REMB, where it offers that.
    pub fn hold_by_remb(&mut self, member: MemberKey) {
        if let Some(found) = member_mut(&mut self.members, member) {
            found.allowance.get_or_insert_default();
        }
    }

    /// The same, of one who comes from another room: what held it there does no more.
    pub fn release_by_remb(&mut self, now: Instant, member: MemberKey) {
        if let Some(found) = member_mut(&mut self.members, member) {
            found.allowance = Some(Allowance::ended(now));
        }
        touch(&mut self.dues, &mut self.due_next, member, Some(now));
    }

    /// Looks what each of those that take no orders may send.
    pub(super) fn review_allowances(&mut self, now: Instant) {
        for place in 0..self.members.len() {
            let member = MemberKey::from_index(place);
            let held = self.member(member).filter(|it| it.allowance.is_some());
            let Some(needs) = held.map(|held| self.needs(held)) else {
                continue;
            };
            let found = member_mut(&mut self.members, member);
            let Some(allowance) = found.and_then(|found| found.allowance.as_mut()) else {
                continue;
            };
            allowance.step(now, needs);
            let due = allowance.next_due();
            touch(&mut self.dues, &mut self.due_next, member, due);
        }
    }

    /// Writes REMB where it is due.
    pub(super) fn write_allowance(
        &mut self,
        now: Instant,
        (sender, member): (u32, MemberKey),
        writer: &mut CompoundWriter<'_>,
    ) {
        let Some(found) = self.member(member) else {
            return;
        };
        let tracks = found.tracks.iter().filter_map(|key| self.track(*key));
        let limited = tracks.filter(|track| track.takes_remb());
        let encodings = limited.flat_map(|track| &track.encodings);
        let ssrcs = encodings.filter_map(|key| Some(self.encodings.get(key.index())?.ssrc));
        let ssrcs: ArrayVec<u32, SSRCS_PER_REMB> = ssrcs.take(SSRCS_PER_REMB).collect();
        let found = member_mut(&mut self.members, member);
        let allowance = found.and_then(|found| found.allowance.as_mut());
        if let Some(bitrate) = allowance.and_then(|allowance| allowance.take_due(now)) {
            writer.remb(sender, bitrate, &ssrcs);
        }
    }

    /// What a member has to send for what is asked of it; none where that is all it has, or cannot
    /// be known.
    fn needs(&self, member: &Member) -> Option<Needs> {
        let mut needs = Needs {
            rungs: 0,
            bits_per_second: 0,
        };
        let mut is_less = false;
        for track in member.tracks.iter().filter_map(|key| self.track(*key)) {
            if track.kind() == MediaKind::Audio {
                needs.bits_per_second += self.sound_of(track);
                continue;
            }
            let ladder = ladder(track, &self.encodings);
            if !track.takes_remb() || ladder.len() < track.plan.rids.len() {
                return None;
            }
            let rungs = ladder.iter();
            let rungs = rungs.filter_map(|key| self.encodings.get(key.index()));
            // An encoder fills the lower ones first, whoever wants them.
            let ranks = rungs.clone().zip(1_usize..);
            let on = ranks.filter(|(rung, _)| rung.order.is_on());
            let asked = on.last().map_or(1, |(_, rank)| rank);
            is_less |= asked < ladder.len();
            needs.bits_per_second += rungs.take(asked).map(most_of).sum::<u64>();
            needs.rungs = needs.rungs << BITS_PER_TRACK | asked as u64;
        }
        is_less.then_some(needs)
    }

    /// What a sound needs.
    fn sound_of(&self, track: &Track) -> u64 {
        let encodings = track
            .encodings
            .iter()
            .filter_map(|key| self.encodings.get(key.index()));
        let bytes: u64 = encodings.map(|it| it.flow.usual()).sum();
        (bytes * 8_000 / STEP_MILLIS * 2).max(SOUND_LEAST)
    }
}

/// What a rung may need: what one of its size is given at most, or more than it has carried.
fn most_of(rung: &Encoding) -> u64 {
    let pixels = u64::from(rung.rates.tallest()).pow(2) * 16 / 9;
    let carried = rung.flow.usual() * 8_000 / STEP_MILLIS;
    let roomy = carried * (100 + SLACK) / 100;
    let most = (pixels * BITS_PER_PIXEL).max(RUNG_LEAST).max(roomy);
    most * (100 + HEADERS) / 100
}

impl Track {
    /// Its publisher sends several sizes, and can be held by REMB.
    fn takes_remb(&self) -> bool {
        self.has_rungs() && self.payload_plan().is_some_and(|plan| plan.remb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_said_again_raised_at_once_and_its_end_said_three_times() {
        let mut allowance = Allowance::default();
        let needs = |rungs: u64, kbps: u64| {
            Some(Needs {
                rungs,
                bits_per_second: kbps * 1_000,
            })
        };
        let mut at = |ms: u64, needs: Option<Needs>| {
            let now = Instant::from_millis(ms);
            allowance.step(now, needs);
            allowance.take_due(now).map(|said| said.as_bps() / 1_000)
        };
        assert_eq!(at(0, None), None);
        assert_eq!(at(500, needs(2, 900)), Some(900));
        assert_eq!(at(1_000, needs(2, 900)), None);
        assert_eq!(at(1_500, needs(2, 900)), Some(900));
        // The same rungs carry less now, and may carry more again.
        assert_eq!(at(2_000, needs(2, 700)), None);
        assert_eq!(at(2_100, needs(2, 950)), Some(950));
        assert_eq!(at(2_200, needs(1, 300)), Some(300));
        assert_eq!(at(2_300, needs(2, 900)), Some(900), "at once");
        assert_eq!(at(2_400, None), Some(1_000_000), "at once");
        assert_eq!(at(3_000, None), None);
        assert_eq!(at(3_400, None), Some(1_000_000));
        assert_eq!(at(4_400, None), Some(1_000_000));
        assert_eq!(at(9_000, None), None);
    }
}

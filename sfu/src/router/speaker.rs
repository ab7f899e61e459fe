//! Audio levels (RFC 6464) to who can be heard: smoothed per member, with a louder threshold to
//! enter than to stay, told at most every 200 ms and only where something changed.

use crate::id::MemberKey;
use crate::limits::SPEAKERS;
use crate::time::{Duration, Instant};
use crate::units::AudioLevel;

/// At most one judgement in this time.
const INTERVAL: Duration = Duration::from_millis(200);
/// A smoothed level this loud (-dBov) makes a speaker.
const ENTER: i32 = 38;
/// A speaker stays until the level is fainter than this.
const LEAVE: i32 = 50;
/// A speaker stays at least this long after it was last loud, so that a breath is no turn.
const HOLD: Duration = Duration::from_millis(800);
/// No packet for this long is silence (DTX sends one each 400 ms).
const SILENT_AFTER: Duration = Duration::from_millis(600);
/// Somebody must be this much louder than the loudest to take the first place.
const DISPLACE: i32 = 3;
/// Levels are kept in 256ths of a dB.
const SCALE: i32 = 256;

/// One member's loudness.
#[derive(Clone, Copy, Debug)]
struct Voice {
    member: MemberKey,
    /// Smoothed, in 256ths of -dBov: smaller is louder.
    level: i32,
    heard_at: Instant,
    /// When it was last loud enough to enter.
    loud_at: Option<Instant>,
}

impl Voice {
    fn is_speaking(&self, now: Instant) -> bool {
        let held = |loud_at| now.since(loud_at) < HOLD || self.level <= LEAVE * SCALE;
        now.since(self.heard_at) < SILENT_AFTER && self.loud_at.is_some_and(held)
    }
}

/// The levels of a room.
#[derive(Debug, Default)]
pub(super) struct Speakers {
    /// In order of member.
    voices: Vec<Voice>,
    told: Vec<MemberKey>,
    /// The first of those told last, also after it fell silent.
    active: Option<MemberKey>,
    judged_at: Option<Instant>,
    news: Option<Vec<(MemberKey, AudioLevel)>>,
}

impl Speakers {
    /// A packet of `member` says how loud it is.
    pub(super) fn heard(&mut self, now: Instant, member: MemberKey, level: AudioLevel) {
        let sample = i32::from(level.0.min(127)) * SCALE;
        let place = match self.voices.binary_search_by_key(&member, |v| v.member) {
            Ok(place) => place,
            Err(place) => {
                let voice = Voice {
                    member,
                    level: 127 * SCALE,
                    heard_at: now,
                    loud_at: None,
                };
                self.voices.insert(place, voice);
                place
            }
        };
        let Some(voice) = self.voices.get_mut(place) else {
            return;
        };
        // Up in about 80 ms, down in about 320 ms of 20 ms packets.
        let weight = if sample < voice.level { 4 } else { 16 };
        voice.level += (sample - voice.level) / weight;
        voice.heard_at = now;
        if voice.level <= ENTER * SCALE {
            voice.loud_at = Some(now);
        }
    }

    /// A member is gone, or its sound is muted.
    pub(super) fn forget(&mut self, member: MemberKey) {
        self.voices.retain(|voice| voice.member != member);
        self.active.take_if(|active| *active == member);
    }

    /// Who spoke last, or speaks: a pause is no reason to look away.
    pub(super) const fn active(&self) -> Option<MemberKey> {
        self.active
    }

    /// Judges, where that is due.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.next_due().is_none_or(|due| due > now) {
            return;
        }
        self.judged_at = Some(now);
        for voice in &mut self.voices {
            if !voice.is_speaking(now) {
                voice.loud_at = None;
            }
        }
        let mut speaking: Vec<(i32, MemberKey, i32)> = self
            .voices
            .iter()
            .filter(|voice| voice.is_speaking(now))
            .map(|voice| {
                let first = self.told.first() == Some(&voice.member);
                let bonus = if first { DISPLACE * SCALE } else { 0 };
                (voice.level - bonus, voice.member, voice.level)
            })
            .collect();
        speaking.sort_unstable();
        speaking.truncate(SPEAKERS);
        let first = speaking.first().map(|&(_, member, _)| member);
        let same = self.told.len() == speaking.len()
            && self.told.first().copied() == first
            && speaking
                .iter()
                .all(|(_, member, _)| self.told.contains(member));
        if same {
            return;
        }
        self.active = first.or(self.active);
        self.told = speaking.iter().map(|&(_, member, _)| member).collect();
        let level = |level: i32| AudioLevel(u8::try_from(level.max(0) / SCALE).unwrap_or(127));
        let news = speaking
            .iter()
            .map(|&(_, member, loudness)| (member, level(loudness)));
        self.news = Some(news.collect());
    }

    /// Who can be heard, where that changed.
    pub(super) const fn take_news(&mut self) -> Option<Vec<(MemberKey, AudioLevel)>> {
        self.news.take()
    }

    /// When to judge next; never while nobody speaks and nobody has.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let loud = self.voices.iter().any(|voice| voice.loud_at.is_some());
        let due = self.judged_at.map_or(Instant::ZERO, |at| at + INTERVAL);
        (loud || !self.told.is_empty()).then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds 20 ms packets and collects what is told, as (ms, members).
    fn told(ms: u64, level: impl Fn(u64, u32) -> Option<u8>) -> Vec<(u64, Vec<u32>)> {
        let mut speakers = Speakers::default();
        let mut told = Vec::new();
        for now in (0..ms).step_by(20) {
            for member in 0..3 {
                if let Some(level) = level(now, member) {
                    let at = Instant::from_millis(now);
                    speakers.heard(at, MemberKey(member), AudioLevel(level));
                }
            }
            speakers.handle_timeout(Instant::from_millis(now));
            if let Some(news) = speakers.take_news() {
                told.push((now, news.iter().map(|&(member, _)| member.0).collect()));
            }
        }
        told
    }

    #[test]
    fn one_who_talks_is_told_once_and_again_when_silent() {
        let news = told(5_000, |now, member| {
            Some(if member == 1 && (1_000..3_000).contains(&now) {
                25
            } else {
                90
            })
        });
        assert_eq!(news.len(), 2, "{news:?}");
        assert!(news[0].0 <= 1_400 && news[0].1 == [1], "{news:?}");
        assert!(
            (3_000..4_200).contains(&news[1].0) && news[1].1.is_empty(),
            "{news:?}"
        );
    }

    #[test]
    fn a_level_between_the_thresholds_neither_enters_nor_leaves() {
        let quiet = told(3_000, |_, member| Some(if member == 0 { 44 } else { 127 }));
        assert!(quiet.is_empty(), "{quiet:?}");
        let stays = told(6_000, |now, member| {
            Some(match (member, now) {
                (0, 0..1_000) => 20,
                (0, _) => 44,
                _ => 127,
            })
        });
        assert_eq!(stays.len(), 1, "{stays:?}");
    }

    #[test]
    fn nearly_equal_voices_do_not_take_turns() {
        let news = told(6_000, |now, member| match member {
            0 => Some(30 + u8::from(now % 800 < 400)),
            1 => Some(30 + u8::from(now % 800 >= 400)),
            _ => None,
        });
        assert!(news.len() <= 2, "{news:?}");
    }

    #[test]
    fn one_who_stops_sending_is_silent_and_the_clock_stops() {
        let mut speakers = Speakers::default();
        for now in (0..1_000).step_by(20) {
            speakers.heard(Instant::from_millis(now), MemberKey(0), AudioLevel(10));
            speakers.handle_timeout(Instant::from_millis(now));
        }
        assert!(speakers.take_news().is_some());
        speakers.handle_timeout(Instant::from_millis(2_000));
        assert_eq!(speakers.take_news(), Some(Vec::new()));
        assert_eq!(speakers.active(), Some(MemberKey(0)), "still looked at");
        assert_eq!(speakers.next_due(), None);
        speakers.forget(MemberKey(0));
        assert!(speakers.voices.is_empty());
        assert_eq!(speakers.active(), None);
    }
}

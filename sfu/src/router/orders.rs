//! Which rungs of a simulcast track its publisher is asked for: those somebody is given or would
//! be. The others it need not encode (dynacast); that it does not send them is no failure, and they
//! can be had again by asking.
//!
//! Up at once, down after a while: what is switched off costs whoever wants it next the time of a key
//! frame. A rung that has never come is asked for as long as anybody looks, since nobody can be given
//! what is not known. Who publishes may not obey (a page without our library): then what is not
//! wanted flows all the same, and nothing here minds (but see [`super::allowance`]).

use arrayvec::ArrayVec;

use super::Router;
use crate::id::{EncodingKey, Rid, TrackKey};
use crate::limits::ENCODINGS_PER_TRACK;
use crate::router::encoding::Encoding;
use crate::router::section::Section;
use crate::router::track::Track;
use crate::time::{Duration, Instant};
use crate::units::MediaKind;
use slab::Slab;

/// Wishes that come together are looked at together.
const SETTLE: Duration = Duration::from_millis(20);
/// What nobody has been given for this long is switched off.
const DOWN: Duration = Duration::from_secs(5);
/// The lowest rung, which goes only where nobody looks at all: last.
const DOWN_LOWEST: Duration = Duration::from_secs(10);
/// What was asked for has come by then, or its publisher cannot send it.
const COMES: Duration = Duration::from_secs(2);
/// And is not counted on before this.
const AGAIN: Duration = Duration::from_secs(30);

/// What was asked of the publisher for one rung.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Order {
    state: State,
    unwanted_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    On,
    Off,
    /// Asked for, and not there yet.
    Coming {
        since: Instant,
    },
    /// It did not come.
    Failed {
        until: Instant,
    },
}

impl Order {
    /// It is asked for.
    pub(super) fn is_on(self) -> bool {
        self.state != State::Off
    }

    /// It does not flow since it was switched off by us, and comes if asked for.
    pub(super) const fn can_be_had(self) -> bool {
        match self.state {
            State::Off | State::Coming { .. } => true,
            State::On | State::Failed { .. } => false,
        }
    }

    /// True where the publisher has to be told.
    fn step(&mut self, now: Instant, (wanted, flows): (bool, bool), down: Duration) -> bool {
        if wanted {
            self.unwanted_since = None;
        }
        let is_over = !wanted && now.since(*self.unwanted_since.get_or_insert(now)) >= down;
        let before = self.is_on();
        self.state = match self.state {
            State::Off if wanted => State::Coming { since: now },
            State::On | State::Coming { .. } if is_over => State::Off,
            State::Coming { .. } | State::Failed { .. } if flows => State::On,
            State::Coming { since } if now.since(since) >= COMES => {
                State::Failed { until: now + AGAIN }
            }
            State::Failed { until } if until <= now => State::On,
            State::On | State::Off | State::Coming { .. } | State::Failed { .. } => self.state,
        };
        before != self.is_on()
    }
}

impl Router {
    /// What is wanted may have changed: looked at soon.
    pub(super) fn touch_orders(&mut self, now: Instant) {
        let due = now + SETTLE;
        self.orders_due = Some(self.orders_due.map_or(due, |at| at.min(due)));
    }

    /// Looks what is wanted of each track, and what is to be asked of its publisher.
    pub(super) fn review_orders(&mut self, now: Instant) {
        self.orders_due = None;
        for index in 0..self.tracks.capacity() {
            let asks = |track: &&Track| track.has_rungs() || track.is_distant_picture();
            let Some(track) = self.tracks.get(index).filter(asks) else {
                continue;
            };
            let is_distant = track.port.is_some();
            let ladder = ladder(track, &self.encodings);
            let wanted = self.wanted(track, &ladder);
            let mut changed = false;
            for (rank, &key) in ladder.iter().enumerate() {
                let Some(encoding) = self.encodings.get_mut(key.index()) else {
                    continue;
                };
                let down = if rank == 0 { DOWN_LOWEST } else { DOWN };
                let seen = (wanted.contains(&key), encoding.flow.rate() > 0);
                changed |= encoding.order.step(now, seen, down);
            }
            let key = TrackKey::from_index(index);
            if is_distant {
                let mask = self.wanted_mask(key);
                self.tell_wanted(key, mask);
            } else if changed && !self.ordered_anew.contains(&key) {
                self.ordered_anew.push(key);
            }
        }
        self.review_allowances(now);
    }

    /// Which rungs of a picture of another shard are wanted here: bit i stands for rung i. Those that
    /// are not known yet where anybody looks.
    fn wanted_mask(&self, key: TrackKey) -> u8 {
        let Some(track) = self.track(key) else {
            return 0;
        };
        let mut sections = track.sections.iter();
        let looks = sections.any(|key| {
            let section = self.sections.get(key.index());
            section.is_some_and(Section::is_wanted)
        });
        let is_on = |rung: u8| {
            let mut encodings = track.encodings.iter().copied();
            let known = encodings.find(|&key| self.rung(key).is_some_and(|(_, of)| of == rung));
            let known = known.and_then(|key| self.encodings.get(key.index()));
            let known = known.filter(|known| known.flow.usual() > 0);
            known.map_or(looks, |known| known.order.is_on())
        };
        let rungs = u8::try_from(track.plan.rids.len().max(1)).unwrap_or(1);
        let on = (0..rungs).filter(|&rung| is_on(rung));
        on.fold(0, |mask, rung| mask | 1 << rung)
    }

    /// A track of which other rungs are asked for than before.
    pub fn poll_order_change(&mut self) -> Option<TrackKey> {
        self.ordered_anew.pop()
    }

    /// The rungs its publisher is asked for; none: it has none to choose from.
    #[must_use]
    pub fn ordered(&self, track: TrackKey) -> Option<ArrayVec<Rid, ENCODINGS_PER_TRACK>> {
        let track = self.track(track).filter(|track| track.has_rungs())?;
        let order = |rid: Rid| {
            let mut encodings = track.encodings.iter();
            let known = encodings.find_map(|key| {
                let encoding = self.encodings.get(key.index())?;
                (encoding.rid == Some(rid)).then_some(encoding)
            });
            known.filter(|known| known.flow.usual() > 0)
        };
        let lowest = ladder(track, &self.encodings).first().copied();
        let lowest = lowest.and_then(|key| self.encodings.get(key.index()));
        let is_watched = lowest.is_none_or(|lowest| lowest.order.is_on());
        let is_on = |rid: &Rid| order(*rid).map_or(is_watched, |known| known.order.is_on());
        Some(track.plan.rids.iter().copied().filter(is_on).collect())
    }

    /// What somebody is given, shown or would be given.
    fn wanted(
        &self,
        track: &Track,
        ladder: &[EncodingKey],
    ) -> ArrayVec<EncodingKey, ENCODINGS_PER_TRACK> {
        let mut wanted = ArrayVec::new();
        let mut want = |key: Option<EncodingKey>| {
            let fresh = key.filter(|key| ladder.contains(key) && !wanted.contains(key));
            if let Some(key) = fresh.filter(|_| !wanted.is_full()) {
                wanted.push(key);
            }
        };
        for key in &track.sections {
            let section = self.sections.get(key.index());
            let Some(section) = section.filter(|section| section.is_wanted()) else {
                continue;
            };
            want(ladder.first().copied());
            if section.is_open() {
                want(section.target.or_else(|| ladder.last().copied()));
                want(section.selector.current());
            }
        }
        for &key in ladder {
            want(Some(key).filter(|key| self.is_wanted_by_port(*key)));
        }
        wanted
    }
}

impl Track {
    /// A picture whose publisher is on another shard: what nobody here looks at is not carried.
    fn is_distant_picture(&self) -> bool {
        self.kind() == MediaKind::Video && self.port.is_some()
    }

    /// Its publisher sends several sizes, by rid.
    pub(super) fn has_rungs(&self) -> bool {
        self.kind() == MediaKind::Video && self.plan.rids.len() > 1
    }
}

/// The encodings of a track that have flowed, lowest first: by height, which key frames tell. Where
/// they do not, by what one usually carries, not by what it carries now, so that the order stands;
/// a dull picture may carry less than a smaller one, though.
pub(super) fn ladder(
    track: &Track,
    encodings: &Slab<Encoding>,
) -> ArrayVec<EncodingKey, ENCODINGS_PER_TRACK> {
    let known = track.encodings.iter().filter_map(|&key| {
        let found = encodings.get(key.index())?;
        let usual = found.flow.usual();
        (usual > 0).then_some((found.rates.tallest(), usual, key))
    });
    let mut known: ArrayVec<_, ENCODINGS_PER_TRACK> = known.take(ENCODINGS_PER_TRACK).collect();
    if known.iter().all(|&(height, ..)| height > 0) {
        known.sort_unstable();
    } else {
        known.sort_unstable_by_key(|&(_, usual, key)| (usual, key));
    }
    known.into_iter().map(|(.., key)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rung_goes_after_a_while_comes_back_when_asked_and_is_not_counted_on_when_it_does_not() {
        let mut order = Order::default();
        let mut at = |ms: u64, wanted: bool, flows: bool| {
            let told = order.step(Instant::from_millis(ms), (wanted, flows), DOWN);
            (told, order.is_on(), order.can_be_had())
        };
        assert_eq!(at(0, true, true), (false, true, false));
        assert_eq!(at(1_000, false, true), (false, true, false));
        assert_eq!(at(5_999, false, true), (false, true, false));
        assert_eq!(at(6_000, false, true), (true, false, true));
        assert_eq!(at(7_000, true, false), (true, true, true));
        assert_eq!(at(7_500, true, true), (false, true, false));
        // Wanted for a moment only: the waiting begins anew.
        assert_eq!(at(8_000, false, true), (false, true, false));
        assert_eq!(at(12_000, true, true), (false, true, false));
        assert_eq!(at(13_000, false, true), (false, true, false));
        assert_eq!(at(18_000, false, false), (true, false, true));
        // Its publisher does not send it any more.
        assert_eq!(at(20_000, true, false), (true, true, true));
        assert_eq!(at(22_000, true, false), (false, true, false));
        assert_eq!(at(40_000, false, false), (false, true, false));
        assert_eq!(at(52_000, false, false), (false, true, false));
        assert_eq!(at(52_500, false, false), (true, false, true));
    }
}

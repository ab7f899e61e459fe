//! How long a section waits for the key frame that leads to another size.
//!
//! Up: what passes goes on until it comes; where none has come within a second the rise is given up,
//! nobody is asked any more, and for a while it is not tried again. Down: after 300 ms only the temporal
//! base layer of what passes goes on; where the path is full, at once (see `rungs`).

use crate::id::{EncodingKey, SectionKey};
use crate::router::Router;
use crate::router::encoding::Encoding;
use crate::router::layers::EVERYTHING;
use crate::router::rungs::Target;
use crate::router::section::Section;
use crate::router::track::Track;
use crate::time::{Duration, Instant};
use crate::units::Layer;
use slab::Slab;

/// A rise that has not begun by then is given up.
const RISES_WITHIN: Duration = Duration::from_secs(1);
/// And not tried again for so long.
const GIVEN_UP_FOR: Duration = Duration::from_secs(2);
/// A fall that has not begun by then is made cheaper.
const FALLS_WITHIN: Duration = Duration::from_millis(300);

/// Which key frame is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// That of a larger picture.
    Rise,
    /// That of a smaller one.
    Fall,
}

/// What a section waits for, and what it does not any more.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Patience {
    wait: Option<(Wait, Instant)>,
    /// When a larger picture took the place of a smaller one, where nothing else has since.
    pub(super) rose_at: Option<Instant>,
    given_up: Option<(Target, Instant)>,
}

impl Patience {
    /// What is waited for at `now`.
    pub(super) fn note(&mut self, now: Instant, wait: Option<Wait>) {
        let since = self.wait.filter(|(known, _)| Some(*known) == wait);
        self.wait = wait.map(|wait| (wait, since.map_or(now, |(_, since)| since)));
    }

    /// Until the smaller picture comes only the base layer of the larger one passes.
    pub(super) fn is_weary(&self, now: Instant) -> bool {
        self.has_waited(now, Wait::Fall, FALLS_WITHIN)
    }

    fn has_waited(&self, now: Instant, wait: Wait, within: Duration) -> bool {
        self.wait
            .is_some_and(|(known, since)| known == wait && now.since(since) >= within)
    }

    /// Until when a target is given up, where it has been.
    pub(super) fn given_up_until(&self, now: Instant, target: Target) -> Option<Instant> {
        let (given_up, until) = self.given_up?;
        let is_it =
            target.encoding == given_up.encoding && target.layer.spatial >= given_up.layer.spatial;
        (is_it && now < until).then_some(until)
    }
}

/// An encoding, and the highest spatial layer of it that is shown.
pub(super) type Shown = Option<(EncodingKey, u8)>;

/// Whether a larger picture has taken the place of a smaller one.
pub(super) fn is_rise(before: Shown, after: Shown, encodings: &Slab<Encoding>) -> bool {
    let usual = |key: EncodingKey| encodings.get(key.index()).map(|found| found.flow.usual());
    before.zip(after).is_some_and(|(before, after)| {
        if before.0 == after.0 {
            before.1 < after.1
        } else {
            usual(before.0) < usual(after.0)
        }
    })
}

/// What the section waits for.
pub(super) fn wait(section: &Section, track: &Track, encodings: &Slab<Encoding>) -> Option<Wait> {
    let (shown, aim) = (section.selector.current()?, section.aim(track)?);
    if shown == aim {
        return section.layers.wait();
    }
    let usual = |key: EncodingKey| encodings.get(key.index()).map(|found| found.flow.usual());
    Some(if usual(aim) > usual(shown) {
        Wait::Rise
    } else {
        Wait::Fall
    })
}

impl Router {
    /// When a larger picture took a smaller one's place in a section, and the bytes of its key frame;
    /// none where the section has been given something else since.
    #[must_use]
    pub fn risen(&self, section: SectionKey) -> Option<(Instant, u64)> {
        let section = self.sections.get(section.index())?;
        let rose_at = section.patience.rose_at?;
        let encoding = section.selector.current()?;
        Some((rose_at, self.keyframe_bytes(encoding)))
    }

    /// Rises that have been waited for long enough are given up.
    pub(super) fn give_up_rises(&mut self, now: Instant) {
        for index in 0..self.sections.capacity() {
            let key = SectionKey::from_index(index);
            if let Some(aim) = self.give_up_rise(now, key)
                && !self.is_awaited(aim)
                && let Some(encoding) = self.encodings.get_mut(aim.index())
            {
                encoding.keyframe.satisfy();
            }
        }
    }

    /// The encoding of which no key frame came.
    fn give_up_rise(&mut self, now: Instant, key: SectionKey) -> Option<EncodingKey> {
        let section = self.sections.get_mut(key.index())?;
        let is_over = section.patience.has_waited(now, Wait::Rise, RISES_WITHIN);
        if !is_over || !section.is_open() {
            return None;
        }
        let (shown, aim) = (section.selector.current()?, section.target?);
        // What does not flow yet is its publisher's matter (see `orders`).
        let flows = self.encodings.get(aim.index())?.flow.rate() > 0;
        if !flows {
            return None;
        }
        let wish = section.layers.wish();
        let layer = if shown == aim {
            let spatial = section.layers.shown()?.spatial;
            let given_up = Layer {
                spatial: spatial.saturating_add(1),
                temporal: 0,
            };
            section.layers.set_wish(Layer { spatial, ..wish });
            given_up
        } else {
            section.layers.set_wish(EVERYTHING);
            Layer::default()
        };
        let given_up = Target {
            encoding: aim,
            layer,
        };
        section.target = Some(shown);
        section.patience.wait = None;
        section.patience.given_up = Some((given_up, now + GIVEN_UP_FOR));
        self.touch_orders(now);
        Some(aim)
    }

    /// Whether anybody may wait for a key frame of an encoding: one who aims at it, a port, or one
    /// who is shown it and lost some of it.
    fn is_awaited(&self, key: EncodingKey) -> bool {
        let Some(encoding) = self.encodings.get(key.index()) else {
            return false;
        };
        let Some(track) = self.track(encoding.track) else {
            return false;
        };
        let mut sections = track
            .sections
            .iter()
            .filter_map(|key| self.sections.get(key.index()));
        sections.any(|section| {
            let shows = section.selector.current() == Some(key);
            let aims = section.aim(track) == Some(key);
            section.is_open() && (shows || aims)
        }) || self.is_wanted_by_port(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_spatial_layer_of_the_same_encoding_is_a_rise() {
        let (key, none) = (EncodingKey::from_index(3), Slab::new());
        let between = |before, after| is_rise(Some((key, before)), Some((key, after)), &none);
        assert!(between(0, 1) && between(0, 2) && between(1, 2));
        assert!(!between(1, 1) && !between(2, 0));
        assert!(!is_rise(None, Some((key, 2)), &none), "nothing was shown");
        assert!(!is_rise(Some((key, 0)), None, &none), "nothing is shown");
    }
}

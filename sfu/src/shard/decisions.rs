//! What a participant is told of the decisions about it: what its path carries and why, what it is
//! given of each picture and why. Told when it changes, at most every [`PACE`]; where figures alone
//! have moved, every [`PACE_FIGURES`].

use super::event::{EstimateFacts, GivenLayer, LayerFacts, LayersFacts};
use crate::id::TrackId;
use crate::router::allocator::Reason;
use crate::time::{Duration, Instant};
use crate::transport::congestion::Estimate;
use crate::units::Bitrate;

/// Between two tellings.
const PACE: Duration = Duration::from_millis(500);
/// And where nothing is given that was not given before.
const PACE_FIGURES: Duration = Duration::from_secs(2);
/// A figure that has moved by less than this part has not moved.
const MOVED: u64 = 10;

/// What was decided last, and what was told of it.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    latest: Option<LayersFacts>,
    told: Option<LayersFacts>,
    told_at: Option<Instant>,
    /// `latest` waits to be asked for.
    has_news: bool,
    /// When `latest` may be told.
    due: Option<Instant>,
}

/// How far two decisions are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Difference {
    Nothing,
    Figures,
    Layers,
}

impl Decisions {
    /// A decision begins; what it says of each picture follows by [`Decisions::note`].
    pub(super) fn begin(&mut self, now: Instant, estimate: Option<&Estimate>) {
        let mut subscriptions = self
            .latest
            .take()
            .map(|latest| latest.subscriptions)
            .unwrap_or_default();
        subscriptions.clear();
        self.latest = Some(LayersFacts {
            estimate: estimate.map(|estimate| EstimateFacts {
                bitrate: estimate.fast,
                cause: estimate.cause,
            }),
            decided_at: now,
            subscriptions,
        });
    }

    /// What is given of one picture.
    pub(super) fn note(&mut self, track: TrackId, layer: Option<GivenLayer>, reason: Reason) {
        if let Some(latest) = &mut self.latest {
            latest.subscriptions.push(LayerFacts {
                track,
                layer,
                reason,
            });
        }
    }

    /// The decision is complete, or time has passed: whether there is something to tell by now.
    pub(super) fn review(&mut self, now: Instant) {
        self.due = None;
        let Some(latest) = &self.latest else {
            return;
        };
        let pace = match self.told.as_ref().map(|told| difference(told, latest)) {
            Some(Difference::Nothing) => return,
            Some(Difference::Figures) => PACE_FIGURES,
            Some(Difference::Layers) | None => PACE,
        };
        match self.told_at.map(|at| at + pace).filter(|due| *due > now) {
            Some(due) => self.due = Some(due),
            None => {
                self.has_news = true;
                self.told_at = Some(now);
                self.told.clone_from(&self.latest);
            }
        }
    }

    /// When to look again without a decision.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) const fn has_news(&self) -> bool {
        self.has_news
    }

    /// What is to be told, once.
    pub(super) fn take_news(&mut self) -> Option<LayersFacts> {
        let is_news = std::mem::take(&mut self.has_news);
        self.told.clone().filter(|_| is_news)
    }
}

fn difference(told: &LayersFacts, latest: &LayersFacts) -> Difference {
    let pairs = || told.subscriptions.iter().zip(&latest.subscriptions);
    let same_layers = told.subscriptions.len() == latest.subscriptions.len()
        && pairs().all(|(told, latest)| {
            let layer = |facts: &LayerFacts| facts.layer.map(|given| given.layer);
            told.track == latest.track
                && layer(told) == layer(latest)
                && std::mem::discriminant(&told.reason) == std::mem::discriminant(&latest.reason)
        });
    if !same_layers {
        return Difference::Layers;
    }
    let carries = match (told.estimate, latest.estimate) {
        (Some(told), Some(latest)) => {
            told.cause != latest.cause || has_moved(told.bitrate, latest.bitrate)
        }
        (told, latest) => told != latest,
    };
    let has_moved = carries || pairs().any(|(told, latest)| figures_moved(told, latest));
    if has_moved {
        Difference::Figures
    } else {
        Difference::Nothing
    }
}

fn figures_moved(told: &LayerFacts, latest: &LayerFacts) -> bool {
    let bitrate = |facts: &LayerFacts| {
        facts
            .layer
            .map_or_else(Bitrate::default, |given| given.bitrate)
    };
    has_moved(bitrate(told), bitrate(latest))
        || match (told.reason, latest.reason) {
            (
                Reason::Budget { needed, available }
                | Reason::Paused { needed, available }
                | Reason::MayNotPause { needed, available },
                Reason::Budget {
                    needed: needed_now,
                    available: available_now,
                }
                | Reason::Paused {
                    needed: needed_now,
                    available: available_now,
                }
                | Reason::MayNotPause {
                    needed: needed_now,
                    available: available_now,
                },
            ) => has_moved(needed, needed_now) || has_moved(available, available_now),
            (told, latest) => told != latest,
        }
}

fn has_moved(from: Bitrate, to: Bitrate) -> bool {
    let (from, to) = (from.as_bps(), to.as_bps());
    from.abs_diff(to) > from.max(to) / MOVED
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::congestion::Cause;
    use crate::units::Layer;

    fn decide(decisions: &mut Decisions, ms: u64, kbps: u64, spatial: Option<u8>) -> bool {
        let now = Instant::from_millis(ms);
        let estimate = Estimate {
            fast: Bitrate::from_kbps(kbps),
            carried: Bitrate::from_kbps(kbps),
            stable: Bitrate::from_kbps(kbps),
            queue: Duration::ZERO,
            ahead: Duration::ZERO,
            loss: 0.0,
            rtt: Duration::ZERO,
            cause: Cause::Growing,
        };
        decisions.begin(now, Some(&estimate));
        let layer = spatial.map(|spatial| GivenLayer {
            layer: Layer {
                spatial,
                temporal: 0,
            },
            bitrate: Bitrate::from_kbps(150),
        });
        decisions.note(TrackId(1), layer, Reason::Full);
        decisions.review(now);
        decisions.take_news().is_some()
    }

    #[test]
    fn another_layer_is_told_twice_a_second_at_most_and_the_last_one_for_sure() {
        let mut decisions = Decisions::default();
        assert!(decide(&mut decisions, 0, 300, Some(0)));
        assert!(!decide(&mut decisions, 50, 300, Some(0)));
        assert_eq!(decisions.due(), None);
        assert!(!decide(&mut decisions, 100, 300, Some(1)));
        assert!(!decide(&mut decisions, 200, 300, None));
        assert_eq!(decisions.due(), Some(Instant::from_millis(500)));
        decisions.review(Instant::from_millis(500));
        let told = decisions.take_news().expect("it is due");
        assert_eq!(told.subscriptions[0].layer, None);
        assert_eq!(decisions.take_news(), None);
        assert!(decide(&mut decisions, 1_000, 300, Some(1)));
    }

    #[test]
    fn figures_alone_are_told_where_they_move_and_every_two_seconds() {
        let mut decisions = Decisions::default();
        assert!(decide(&mut decisions, 0, 1_000, Some(0)));
        assert!(!decide(&mut decisions, 3_000, 1_050, Some(0)));
        assert_eq!(decisions.due(), None);
        assert!(decide(&mut decisions, 3_500, 1_500, Some(0)));
        assert!(!decide(&mut decisions, 4_500, 3_000, Some(0)));
        assert_eq!(decisions.due(), Some(Instant::from_millis(5_500)));
        // A change of layer does not wait for that.
        assert!(decide(&mut decisions, 4_600, 3_000, Some(1)));
    }
}

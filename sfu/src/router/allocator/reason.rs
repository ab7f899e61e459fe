//! What is answered, with the figures that led to it.

use super::claim::Budget;
use super::share::{Entry, Move, Reach, Share};
use crate::id::SectionKey;
use crate::time::Instant;
use crate::units::Bitrate;

/// Why a section is given what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The best there is; larger pictures that stutter do not count, unless it is a screen.
    Full,
    /// The best of those that are not larger than wanted.
    WantedSize {
        /// What was wanted.
        height: u16,
    },
    /// The next layer does not fit.
    Budget {
        /// What the next layer costs.
        needed: Bitrate,
        /// What there is for this section: what it is given, and what is left over.
        available: Bitrate,
    },
    /// Nothing is given: not even the lowest layer fits.
    Paused {
        /// What the lowest layer costs.
        needed: Bitrate,
        /// What is left over.
        available: Bitrate,
    },
    /// The next layer would fit, but had to be taken back before.
    Held {
        /// Not before this.
        until: Instant,
    },
    /// The lowest layer does not fit, and is given all the same: it may not pause.
    MayNotPause {
        /// What it costs.
        needed: Bitrate,
        /// What the others leave.
        available: Bitrate,
    },
    /// Nothing is given: the viewer does not look.
    NotWanted,
    /// Nothing is given: no layer flows.
    NoLayer,
}

/// What one section is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Which.
    pub section: SectionKey,
    /// A place among the claim's layers; none: nothing is sent.
    pub layer: Option<usize>,
    /// Why.
    pub reason: Reason,
}

/// The end of the first hold that keeps something back.
pub(super) fn earliest_hold(decisions: &[Decision]) -> Option<Instant> {
    let holds = decisions
        .iter()
        .filter_map(|decision| match decision.reason {
            Reason::Held { until } => Some(until),
            Reason::Full
            | Reason::WantedSize { .. }
            | Reason::Budget { .. }
            | Reason::Paused { .. }
            | Reason::MayNotPause { .. }
            | Reason::NotWanted
            | Reason::NoLayer => None,
        });
    holds.min()
}

/// Says why.
#[derive(Clone, Copy, Debug)]
pub(super) struct Teller<'a> {
    pub(super) budget: Budget,
    pub(super) share: Share<'a>,
}

impl Teller<'_> {
    /// What `entry` is told, who is given `level`.
    pub(super) fn decision(&self, entry: &Entry, level: usize) -> Decision {
        let step = entry.ladder.step(level);
        Decision {
            section: entry.section,
            layer: step.map(|step| usize::from(step.layer)),
            reason: self.reason(entry, level),
        }
    }

    fn reason(&self, entry: &Entry, level: usize) -> Reason {
        if entry.is_hidden {
            return Reason::NotWanted;
        }
        if entry.ladder.top() == 0 {
            return Reason::NoLayer;
        }
        let cost = entry.ladder.cost(level);
        let used = self.share.used;
        let fast = self.budget.fast.as_bps();
        if level == 1 && !entry.may_pause && used > fast {
            return Reason::MayNotPause {
                needed: Bitrate::from_bps(cost),
                available: Bitrate::from_bps(fast.saturating_sub(used.saturating_sub(cost))),
            };
        }
        if level == entry.ladder.top() {
            return match entry.ladder.cut_at {
                Some(height) => Reason::WantedSize { height },
                None => Reason::Full,
            };
        }
        let limit = entry.limit(level + 1, self.budget.stable.as_bps());
        let needed = entry.ladder.cost(level + 1);
        let available = cost.saturating_add(limit.saturating_sub(used));
        if let Some(until) = entry.held_until.filter(|_| needed <= available) {
            return Reason::Held { until };
        }
        let needed = Bitrate::from_bps(needed);
        let available = Bitrate::from_bps(available);
        if level == 0 {
            return Reason::Paused { needed, available };
        }
        Reason::Budget { needed, available }
    }

    /// How much `fast` has to grow for the best upgrade: the heaviest track that is paused, or else
    /// the step that is worth most for its bits.
    pub(super) fn next_useful(&self) -> Option<Bitrate> {
        let Share {
            entries,
            order,
            levels,
            used,
        } = self.share;
        let reach = |ceiling| Reach {
            ceiling,
            except: 0..0,
        };
        let mut best: Option<Move> = None;
        for (rank, standing) in (0..).zip(order) {
            let at = (rank, standing.place);
            let place = usize::from(standing.place);
            let (Some(entry), Some(&level)) = (entries.get(place), levels.get(place)) else {
                continue;
            };
            if entry.held_until.is_some() || level == entry.ladder.top() {
                continue;
            }
            if level == 0 {
                best = Move::best(entry, at, 0, &reach(1));
                break;
            }
            best = best.max(Move::best(entry, at, level, &reach(entry.ladder.top())));
        }
        let best = best?;
        let entry = entries.get(best.place())?;
        let needed = entry.stable_for(best.level(), used.saturating_add(best.cost));
        let more = needed.checked_sub(self.budget.fast.as_bps())?;
        (more > 0).then(|| Bitrate::from_bps(more))
    }
}

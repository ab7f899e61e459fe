//! One participant's bitrate shared out: which layer of each track it is sent, and why.
//!
//! | file | what it is |
//! |---|---|
//! | `claim` | what is asked: layers, weights, budget |
//! | `ladder` | the layers worth having, with what each costs and what it is worth |
//! | `share` | who gets what: lowest layers by weight, then the most worth for a bit |
//! | `memory` | what was given last time, and how long a failed upgrade is held off |
//! | `reason` | what is answered: decisions, each with its figures |
//!
//! A pure function of (time, budget, claims, what it gave last time). Three shares are computed:
//!
//! 1. *Kept*: what is given now, cut to what fits `fast`. Nothing rises.
//! 2. *Grown*: on top of that, what fits `stable`. Nobody loses anything for it.
//! 3. *Fresh*: all of it anew within `stable`, as if nothing had been given yet.
//!
//! Fresh is taken where it shows a heavier track, or where what it wins is clearly more than what
//! it costs; so a new active speaker gets its layers from the others, and noise moves nothing.
//!
//! Not decided here: when a switch can happen (that is the selector's), and audio, which is paid
//! before the budget comes here.

mod claim;
mod ladder;
mod memory;
mod reason;
mod share;

#[cfg(test)]
mod tests;

use crate::id::SectionKey;
use crate::limits::SECTIONS_PER_TRANSPORT;
use crate::time::Instant;
use crate::units::Bitrate;

use memory::Past;
use reason::Teller;
use share::{Entry, Share, Workspace};

pub use claim::{Budget, Claim, Layer, Weight};
pub use reason::{Decision, Reason};

/// What one participant was given, and what was learnt of upgrades that failed.
#[derive(Clone, Debug, Default)]
pub struct Allocator {
    past: Vec<Past>,
}

/// Buffers of the computation, to be lent to one allocator after the other; one per shard does.
#[derive(Debug, Default)]
pub struct Scratch {
    work: Workspace,
    past: Vec<Past>,
    decisions: Vec<Decision>,
}

/// The answer.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// One for each claim, in the order of the claims.
    pub decisions: &'a [Decision],
    /// What the given layers cost together. More than `fast` only by tracks that may not pause.
    pub used: Bitrate,
    /// What all that is wanted costs, larger layers than wanted left out.
    pub wanted: Bitrate,
    /// How much `fast` has to grow, and to stay grown, for the best upgrade that is still to be
    /// had: what a demand probe should look for. None where nothing more is wanted, or where only
    /// patience is missing.
    pub next_useful: Option<Bitrate>,
    /// When a held upgrade may be tried again, if nothing else changes before.
    pub reconsider_at: Option<Instant>,
    /// What it is all worth; a number to compare outcomes for the same claims with.
    pub utility: u64,
}

impl Allocator {
    /// A section shows something else from now on: what was learnt of it is void.
    pub fn forget(&mut self, section: SectionKey) {
        self.past.retain(|past| past.section != section);
    }

    /// Decides. `claims` beyond [`SECTIONS_PER_TRANSPORT`] are left out: no transport has as many
    /// sections. A section that is not among the claims is forgotten.
    #[expect(
        single_use_lifetimes,
        reason = "`impl Trait` takes no anonymous lifetime"
    )]
    pub fn allocate<'a, 's>(
        &mut self,
        scratch: &'s mut Scratch,
        now: Instant,
        budget: Budget,
        claims: impl IntoIterator<Item = Claim<'a>>,
    ) -> Outcome<'s> {
        let Scratch {
            work,
            past,
            decisions,
        } = scratch;
        let budget = budget.ordered();
        work.begin(budget);
        for (place, claim) in claims.into_iter().take(SECTIONS_PER_TRANSPORT).enumerate() {
            let known = memory::find(&self.past, place, claim.section);
            work.push(Entry::new(now, &claim, known));
        }
        work.decide();
        let share = work.share();
        past.clear();
        decisions.clear();
        let teller = Teller { budget, share };
        let kept_cost = share.kept_cost();
        for (place, (entry, &level)) in share.entries.iter().zip(share.levels).enumerate() {
            let decision = teller.decision(entry, level);
            let known = memory::find(&self.past, place, entry.section);
            past.push(Past::after(
                &entry.turn(now, level, budget, kept_cost),
                known,
            ));
            decisions.push(decision);
        }
        std::mem::swap(&mut self.past, past);
        let next_useful = teller.next_useful();
        let Share { used, entries, .. } = share;
        let tops = entries.iter().map(|entry| &entry.ladder);
        let wanted = tops.map(|ladder| ladder.cost(ladder.top()));
        let wanted = wanted.fold(0, u64::saturating_add);
        Outcome {
            utility: share.utility(),
            used: Bitrate::from_bps(used),
            wanted: Bitrate::from_bps(wanted),
            next_useful,
            reconsider_at: reason::earliest_hold(decisions),
            decisions,
        }
    }
}

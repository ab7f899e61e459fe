//! What a participant is given of each picture, by what its path carries, and the probes that ask
//! whether it carries more.
//!
//! | file | what it is |
//! |---|---|
//! | `beginnings` | how many pictures begin at once |
//! | `pictures` | what is shown, as the allocator wants to know it |
//! | `rises` | the queue that the key frame of a larger picture makes |
//!
//! Asked when feedback comes: twice a second, and at once where less fits than is given or where
//! something new is to be shown. Sound is paid first, then what repairs losses. A participant whose
//! path cannot be asked (no feedback, or no RTX to put padding on) is given what it says it takes
//! (REMB), or where it says nothing the best of everything.
//!
//! What is shown is not taken away lightly. A queue that drains makes the estimate dip below what
//! the path carries, and a new path is not known yet: so a picture is paused only where even the
//! least of all does not fit for a while, on a path that shows why.

mod beginnings;
mod pictures;
mod rises;

use super::decisions::Decisions;
use super::event::{GivenLayer, PauseReason};
use super::room::{Member, Room};
use crate::id::{MemberKey, SectionKey};
use crate::prefetch::prefetch;
use crate::router::allocator::{Allocator, Budget, Decision, Layer, Reason};
use crate::router::{Router, Track};
use crate::time::{Duration, Instant};
use crate::transport::BudgetClass;
use crate::transport::congestion::{Cause, Estimate, Probe, START};
use crate::units::Bitrate;

use beginnings::Beginnings;
pub(super) use pictures::Scratch;

/// Between two decisions, where nothing presses.
const INTERVAL: Duration = Duration::from_millis(500);
/// And where less fits than is given: two feedbacks or so.
const INTERVAL_PRESSED: Duration = Duration::from_millis(50);
/// By so much, in hundredths, a path has to have turned out to be wider for that to press.
const WIDER: u64 = 150;
/// The encodings of a picture begin together, and are looked at together.
const SETTLE: Duration = Duration::from_millis(20);
/// Of the estimate, in hundredths, for sound and pictures; the rest is for what repairs them.
const SHARE: u64 = 92;
/// Of the estimate, at most this part is kept for repairs beside that, where much is lost.
const REPAIR_MOST: f64 = 0.25;
/// Who has said nothing of what arrives by then never will.
const UNHEARD: Duration = Duration::from_secs(2);
/// Something new flows, and is not measured yet: it may be this much.
const UNMEASURED: Bitrate = Bitrate::from_kbps(100_000);
/// A picture that is not measured yet is up to this at its best, where nothing else is known of it,
const LARGEST: Bitrate = Bitrate::from_kbps(2_000);
/// and about this at its lowest.
const LOWEST: Bitrate = Bitrate::from_kbps(150);
/// Of what the path carries, in hundredths, what is given may cost where nothing shows a fault, and
/// what is kept where it turns out to carry less.
const KEPT_CLEAR: u64 = 125;
const KEPT_FALLEN: u64 = 70;
const KEPT_DEEP: u64 = 60;
/// Queues up to this come of pictures and key frames, and go by themselves.
const QUEUE_SHORT: Duration = Duration::from_millis(100);
/// Beyond this sound suffers, and a queue does not go while nearly all that fits is sent.
const QUEUE_LONG: Duration = Duration::from_millis(150);
/// Below this it has drained.
const QUEUE_GONE: Duration = Duration::from_millis(60);
/// A drained queue is gone by then: what does not fit now will not.
const STARVING: Duration = Duration::from_millis(700);

/// What is kept of one participant.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own; any of them may hold"
)]
pub(super) struct Adaptation {
    allocator: Allocator,
    decided_at: Option<Instant>,
    /// What was known of the path then, and whether less was given than is wanted.
    decided_on: Bitrate,
    lacks: bool,
    /// What was given last, on the wire.
    pub(super) given: Bitrate,
    sound: Meter,
    beginnings: Beginnings,
    /// What the world is told of it.
    pub(super) decisions: Decisions,
    /// A probe that is being sent.
    pub(super) probing: Option<Probing>,
    /// Until then its pictures wait for the pacer.
    pub(super) paced_until: Option<Instant>,
    /// Since when it is given the least until its path is known.
    unheard_since: Option<Instant>,
    /// Since when not even the least of what is given fits.
    starving_since: Option<Instant>,
    /// When it is looked at again though no feedback comes: where all is paused there is none.
    look_at: Option<Instant>,
    /// Something that was decided upon has not begun yet.
    is_waiting: bool,
    /// Something has just begun, or waits to: it is looked at again soon.
    is_beginning: bool,
    /// It has starved: the path is known well enough not to try what does not fit.
    has_starved: bool,
    /// A long queue drains: as few pictures a second as there are.
    is_thin: bool,
    /// All that is given has fewer pictures a second to give.
    can_be_thin: bool,
    /// What waits before it is the key frame of a picture that has just become larger.
    is_of_a_rise: bool,
}

impl Adaptation {
    /// Asks for what a departure looks at.
    pub(super) fn prefetch(&self) {
        prefetch(&self.probing);
        prefetch(&self.paced_until);
        prefetch(&self.given);
    }
}

/// Why nothing is sent, where its path is the reason.
const fn lack(reason: Reason) -> Option<PauseReason> {
    match reason {
        Reason::Paused { needed, available } => Some(PauseReason::Bandwidth { needed, available }),
        Reason::Full
        | Reason::WantedSize { .. }
        | Reason::Budget { .. }
        | Reason::Held { .. }
        | Reason::MayNotPause { .. }
        | Reason::NotWanted
        | Reason::NoLayer => None,
    }
}

/// A probe, packet by packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probing {
    pub(super) id: u32,
    rate: Bitrate,
    left: u32,
    /// When its next packet is due.
    pub(super) at: Instant,
}

impl Probing {
    fn new(now: Instant, probe: Probe) -> Self {
        Self {
            id: probe.id,
            rate: probe.rate,
            left: probe.bytes,
            at: now,
        }
    }

    /// A packet of so many wire bytes has left. None: it was the last.
    pub(super) fn after(self, bytes: u32) -> Option<Self> {
        let left = self.left.checked_sub(bytes).filter(|left| *left > 0)?;
        let micros = u64::from(bytes) * 8_000_000 / self.rate.as_bps().max(1);
        Some(Self {
            left,
            at: self.at + Duration::from_micros(micros),
            ..self
        })
    }
}

/// Bytes of a counter, per second.
#[derive(Clone, Copy, Debug, Default)]
struct Meter {
    last: Option<(Instant, u64)>,
    rate: u64,
}

impl Meter {
    /// The counter stands at `bytes`.
    fn read(&mut self, now: Instant, bytes: u64) -> Bitrate {
        if let Some((at, before)) = self.last {
            let micros = u64::try_from(now.since(at).as_micros()).unwrap_or(u64::MAX);
            // A rate of less is none.
            if micros < 100_000 {
                return Bitrate::from_bps(self.rate);
            }
            self.rate = bytes.saturating_sub(before).saturating_mul(8_000_000) / micros;
        }
        self.last = Some((now, bytes));
        Bitrate::from_bps(self.rate)
    }
}

impl Adaptation {
    /// `fits` is what may be kept, `stable` what new things have to fit in.
    fn is_due(&self, now: Instant, (fits, stable): (Bitrate, Bitrate)) -> bool {
        let before = self.decided_on.as_bps().saturating_mul(WIDER) / 100;
        let is_wider = self.lacks && stable.as_bps() > before;
        let interval = if fits < self.given || is_wider {
            INTERVAL_PRESSED
        } else {
            INTERVAL
        };
        self.decided_at.is_none_or(|at| now.since(at) >= interval)
    }

    /// Something else is wanted: the next feedback brings a decision.
    pub(super) const fn press(&mut self) {
        self.decided_at = None;
    }

    /// What is sent arrives from now on: what waited for that may begin.
    pub(super) fn reached(&mut self, now: Instant) {
        if let Some(since) = &mut self.unheard_since {
            *since = now;
        }
        if self.is_waiting {
            (self.is_beginning, self.look_at) = (true, Some(now));
        }
    }

    /// What there is for pictures; before anything is known of the path, what it may be sent.
    /// `is_limited`: it says itself how much it takes.
    fn budget(&self, (estimate, is_limited): (Option<Estimate>, bool), sound: Bitrate) -> Budget {
        let Some(estimate) = estimate else {
            let start = net(START, sound, 0.0);
            return Budget {
                fast: start,
                carried: start,
                stable: start,
            };
        };
        let kept = if is_limited {
            estimate.carried
        } else {
            self.kept_within(&estimate)
        };
        Budget {
            fast: net(kept, sound, estimate.loss),
            carried: net(estimate.carried, sound, estimate.loss),
            stable: net(estimate.stable, sound, estimate.loss),
        }
    }

    /// Whether the least of what is given has not fitted for long enough to take some away.
    fn is_starving(&mut self, now: Instant, lacks: bool) -> bool {
        if !lacks {
            self.starving_since = None;
            return false;
        }
        let since = *self.starving_since.get_or_insert(now);
        let is_starving = now.since(since) >= STARVING;
        self.has_starved |= is_starving;
        is_starving
    }

    /// What all that was given may cost to be kept. Measured rates of layers swing: where the path
    /// shows no fault, a little more than it is known to carry is no reason to take anything away.
    /// Where it shows one, and less fits than was given, what is left has to leave room for the queue
    /// to drain, or the next cut follows within a second, with a key frame of its own; pictures of
    /// several temporal layers have that room in themselves ([`Router::set_thin`]).
    fn kept_within(&self, estimate: &Estimate) -> Bitrate {
        let carried = estimate.carried.as_bps();
        let is_less = self.given > estimate.carried && self.given != UNMEASURED;
        if self.is_of_a_rise {
            let given = self.given.as_bps().min(self.decided_on.as_bps());
            return Bitrate::from_bps(carried.max(given).saturating_mul(KEPT_CLEAR) / 100);
        }
        let parts = match estimate.cause {
            Cause::Growing | Cause::Unused => KEPT_CLEAR,
            Cause::Queue if estimate.ahead < QUEUE_SHORT => KEPT_CLEAR,
            Cause::Queue if is_ours(estimate) && self.can_be_thin => 100,
            Cause::Queue if is_ours(estimate) && estimate.queue >= QUEUE_LONG => KEPT_DEEP,
            _ if is_less => KEPT_FALLEN,
            Cause::Queue | Cause::Loss | Cause::Silence => 100,
        };
        Bitrate::from_bps(carried.saturating_mul(parts) / 100)
    }

    /// A long queue drains: only base layers pass.
    pub(super) const fn is_thin(&self) -> bool {
        self.is_thin
    }

    /// When something is to be done without anything having come.
    pub(super) fn due(&self) -> Option<Instant> {
        let unheard = self.unheard_since.map(|since| since + UNHEARD);
        let probing = self.probing.map(|probing| probing.at);
        crate::wheel::soonest([
            probing,
            unheard,
            self.paced_until,
            self.look_at,
            self.decisions.due(),
        ])
    }
}

impl Room {
    /// Sections begin to show something: the least of it until the path is known.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        key: MemberKey,
        sections: &[SectionKey],
        scratch: &mut Scratch,
    ) {
        let Some(member) = self.members.get_mut(key.index()) else {
            return;
        };
        for &section in sections {
            member.adaptation.allocator.forget(section);
        }
        for open in &mut member.sections {
            open.has_begun &= !sections.contains(&open.key);
        }
        if !self.router.can_probe(key) && !member.transport.is_limited() {
            return;
        }
        if member.transport.estimate().is_none() {
            member.adaptation.unheard_since.get_or_insert(now);
        }
        self.decide(now, key, scratch);
    }

    /// Pictures of which nothing had come have begun: who is shown them is given what its path
    /// carries, as soon as all that begins with them is there.
    pub(super) fn take_beginnings(&mut self, now: Instant) {
        let mut viewers = Vec::new();
        while let Some(key) = self.router.poll_begun() {
            let Some(track) = self.router.track(key).map(Track::id) else {
                continue;
            };
            for (index, member) in self.members.iter_mut() {
                let mut shown = member.sections.iter().filter_map(|open| open.track);
                if member.adaptation.decided_at.is_some() && shown.any(|shown| shown == track) {
                    member.adaptation.is_beginning = true;
                    member.adaptation.look_at = Some(now + SETTLE);
                    viewers.push(MemberKey::from_index(index));
                }
            }
        }
        for key in viewers {
            self.visit(key);
            self.departed.push(key);
        }
    }

    /// What waited for the pacer may leave; and where more is wanted than is given, it is time to
    /// look again.
    pub(super) fn adapt_due(&mut self, now: Instant, key: MemberKey, scratch: &mut Scratch) {
        let Some(member) = self.members.get_mut(key.index()) else {
            return;
        };
        let looks = member.adaptation.look_at.take_if(|at| *at <= now);
        let due = member.adaptation.paced_until.take_if(|at| *at <= now);
        if due.is_some() {
            self.router.hold_pictures(key, false);
        }
        if looks.is_none() {
            return;
        }
        // Who never says what arrives has been given everything.
        let is_given_all =
            member.transport.estimate().is_none() && member.adaptation.unheard_since.is_none();
        if member.adaptation.is_beginning && !is_given_all {
            self.decide(now, key, scratch);
        }
        self.adapt(now, key, scratch);
    }

    /// Its path says nothing: it is given the best of everything.
    pub(super) fn give_all(&mut self, now: Instant, key: MemberKey) {
        let Some(member) = self.members.get_mut(key.index()) else {
            return;
        };
        let Some(since) = member.adaptation.unheard_since else {
            return;
        };
        if member.transport.estimate().is_some() {
            member.adaptation.unheard_since = None;
        } else if now.since(since) >= UNHEARD {
            member.adaptation.unheard_since = None;
            for section in &mut member.sections {
                section.lacks = None;
                section.has_begun = true;
                self.router.set_target(now, section.key, None);
                self.router.set_starved(now, section.key, false);
            }
            member.dirty.subscriptions = true;
        }
    }

    /// Feedback has come: decides anew where it is time to.
    pub(super) fn adapt(&mut self, now: Instant, key: MemberKey, scratch: &mut Scratch) {
        let Some(member) = self.members.get_mut(key.index()) else {
            return;
        };
        let Some(estimate) = member.transport.estimate() else {
            // It said something once, and does so no more.
            if member.adaptation.decided_at.is_some() {
                member.adaptation.unheard_since.get_or_insert(now);
            }
            return;
        };
        let is_asked = self.router.can_probe(key);
        if !is_asked && !member.transport.is_limited() {
            return;
        }
        member.look_at_rises(now, &self.router);
        let fits = member.adaptation.kept_within(&estimate);
        if member.adaptation.is_due(now, (fits, estimate.stable)) {
            self.decide(now, key, scratch);
        }
        let Some(member) = self.members.get_mut(key.index()) else {
            return;
        };
        let is_long = is_ours(&estimate) && estimate.ahead >= QUEUE_LONG;
        if is_long {
            for section in &member.sections {
                self.router.leave_at_once(section.key);
            }
        }
        // Somebody else's queue stands for as long as they like.
        let drains = is_ours(&estimate) && estimate.queue >= QUEUE_GONE;
        let is_thin = is_long || member.adaptation.is_thin && drains;
        if std::mem::replace(&mut member.adaptation.is_thin, is_thin) != is_thin {
            for section in &member.sections {
                self.router.set_thin(section.key, is_thin);
            }
        }
        // Of a path that only says a sum no probe would be told of.
        if is_asked
            && member.transport.is_paced()
            && member.adaptation.probing.is_none()
            && let Some(probe) = member.transport.poll_probe(now)
        {
            member.adaptation.probing = Some(Probing::new(now, probe));
            self.visit(key);
        }
    }

    /// Shares out what the path carries, or what it may be sent before anything is known of it.
    fn decide(&mut self, now: Instant, key: MemberKey, scratch: &mut Scratch) {
        let Some(member) = self.members.get_mut(key.index()) else {
            return;
        };
        scratch.look(now, member, key, &self.router);
        member.look_at_rises(now, &self.router);
        member.adaptation.can_be_thin = scratch.can_be_thin();
        let estimate = member.transport.estimate();
        let charged = member.transport.charged(BudgetClass::Audio);
        let sound = member.adaptation.sound.read(now, charged);
        let sound = sound.max(self.router.foreseen_sound(key));
        let is_limited = member.transport.is_limited();
        let budget = member.adaptation.budget((estimate, is_limited), sound);
        let is_full = estimate.is_some_and(|estimate| estimate.cause.is_full());
        if !member
            .adaptation
            .is_starving(now, is_full && scratch.least() > budget.fast)
        {
            scratch.keep_given();
        }
        if !is_full && !member.adaptation.has_starved {
            scratch.begin_one();
        }
        let claims = scratch
            .pictures
            .iter()
            .map(|picture| picture.claim(&scratch.layers));
        let allocator = &mut member.adaptation.allocator;
        let outcome = allocator.allocate(&mut scratch.allocator, now, budget, claims);
        let (given, wanted) = (outcome.used, outcome.wanted);
        scratch.decisions.clear();
        scratch.decisions.extend_from_slice(outcome.decisions);
        member.adaptation.decisions.begin(now, estimate.as_ref());
        // What was taken back once has to fit with room to spare.
        let most = gross(wanted, sound).as_bps();
        member.transport.want(Bitrate::from_bps(most + most / 4));
        let unmeasured = scratch.unmeasured();
        let is_wide = budget.stable >= sum(given, LARGEST, unmeasured);
        member.adaptation.given = match unmeasured {
            0 => gross(given, sound),
            // One alone floods nothing.
            1 => UNMEASURED,
            _ if is_wide => UNMEASURED,
            _ => gross(sum(given, LOWEST, unmeasured), sound),
        };
        let spare = budget.stable.as_bps().saturating_sub(given.as_bps());
        let spare = (!is_wide).then_some(spare);
        self.hand_out(now, key, (estimate, spare), scratch);
        let Some(member) = self.members.get_mut(key.index()) else {
            return;
        };
        member.adaptation.decisions.review(now);
        member.adaptation.decided_at = Some(now);
        // While the key frame of a rise passes, what is read is rough: what was known before counts.
        if !member.adaptation.is_of_a_rise {
            member.adaptation.decided_on = estimate.map_or(START, |it| it.stable);
        }
        member.adaptation.lacks = given < wanted;
        let soon = member.adaptation.beginnings.due();
        let soon = soon.or_else(|| (unmeasured > 0).then(|| now + INTERVAL_PRESSED));
        let later = (given < wanted).then(|| now + INTERVAL);
        member.adaptation.look_at = soon.or(later);
        member.adaptation.is_beginning = soon.is_some();
    }

    /// Does what was decided; what begins does so as fast as the path takes its key frames. `spare` is
    /// left for what is not measured yet; none: more than enough.
    fn hand_out(
        &mut self,
        now: Instant,
        key: MemberKey,
        (estimate, spare): (Option<Estimate>, Option<u64>),
        scratch: &mut Scratch,
    ) {
        let Some(member) = self.members.get_mut(key.index()) else {
            return;
        };
        let is_reachable = member.transport.is_reachable();
        let carried = estimate.map_or(START, |estimate| estimate.carried);
        let is_clear = estimate.is_none_or(|it| !is_ours(&it) || it.queue < QUEUE_SHORT);
        let beginnings = &mut member.adaptation.beginnings;
        beginnings.drain(now, carried);
        scratch.look_at_beginnings(&self.router);
        let mut places = scratch.places(spare);
        scratch.waiting.retain(|one| {
            let has_place = one.is_measured || places > 0;
            let may_begin = is_reachable && has_place;
            let begins = may_begin && beginnings.admit(carried, one.keyframe, is_clear);
            places -= u64::from(begins && !one.is_measured);
            !begins
        });
        member.adaptation.is_waiting = !scratch.waiting.is_empty();
        for (picture, decision) in scratch.pictures.iter().zip(&scratch.decisions) {
            let layers = picture.claim(&scratch.layers).layers;
            let layer = decision.layer.and_then(|layer| layers.get(layer));
            let waits = scratch.waits(picture.section);
            let comes = layer.is_some() || picture.has_come && decision.reason == Reason::NoLayer;
            let rung = decision.layer.and_then(|layer| picture.rungs.get(layer));
            let target = rung.filter(|_| picture.rungs.len() > 1);
            let lowest = picture.lowest.filter(|_| spare.is_some());
            let target = target.map(|rung| rung.target).or(lowest);
            let router = &mut self.router;
            let in_vain = give(now, router, (decision, waits), target);
            let Some(until) = in_vain else {
                member.give(decision, layer.copied(), comes && !waits);
                continue;
            };
            // What passes is told, not what no key frame came for.
            let passes = picture.passes(router).and_then(|place| layers.get(place));
            let decision = Decision {
                reason: Reason::Held { until },
                ..*decision
            };
            member.give(&decision, passes.copied(), comes && !waits);
        }
    }
}

/// Does what was decided for one section. Some: it was tried in vain, and is not before this.
fn give(
    now: Instant,
    router: &mut Router,
    (decision, waits): (&Decision, bool),
    target: Option<crate::router::rungs::Target>,
) -> Option<Instant> {
    let is_starved = waits || matches!(decision.reason, Reason::Paused { .. });
    // Where nothing flows, or nothing is known to, what comes may be shown.
    let in_vain = router.set_target(now, decision.section, target);
    // Nothing presses: what is left goes on as it is until the smaller one begins.
    if matches!(decision.reason, Reason::Full | Reason::WantedSize { .. }) {
        router.spare(decision.section);
    }
    router.set_starved(now, decision.section, is_starved);
    in_vain
}

impl Member {
    /// Notes what was decided; figures that merely moved are no news.
    fn give(&mut self, decision: &Decision, layer: Option<Layer>, has_begun: bool) {
        let mut sections = self.sections.iter_mut();
        let Some(section) = sections.find(|open| open.key == decision.section) else {
            return;
        };
        if let Some(track) = section.track {
            let layer = layer.map(|layer| GivenLayer {
                layer: crate::units::Layer {
                    spatial: layer.spatial,
                    temporal: layer.temporal,
                },
                bitrate: layer.bitrate,
            });
            let decisions = &mut self.adaptation.decisions;
            decisions.note(track, layer, decision.reason);
        }
        section.has_begun = has_begun;
        let lacks = lack(decision.reason);
        self.dirty.subscriptions |= lacks.is_some() != section.lacks.is_some();
        section.lacks = lacks;
    }
}

/// Whether a queue of ours drains: beside somebody else's no less is sent than is fair.
fn is_ours(estimate: &Estimate) -> bool {
    estimate.cause == Cause::Queue && estimate.fast < estimate.carried
}

/// So many of `each`, and what is there.
fn sum(there: Bitrate, each: Bitrate, count: u64) -> Bitrate {
    let more = each.as_bps().saturating_mul(count);
    Bitrate::from_bps(there.as_bps().saturating_add(more))
}

/// What an estimate leaves for pictures.
fn net(estimate: Bitrate, sound: Bitrate, loss: f64) -> Bitrate {
    let share = estimate.as_bps().saturating_mul(SHARE) / 100;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of 1,000; casts of floats saturate"
    )]
    let repair = (loss.clamp(0.0, REPAIR_MOST) * 1_000.0) as u64;
    let share = share.saturating_sub(share / 1_000 * repair);
    Bitrate::from_bps(share.saturating_sub(sound.as_bps()))
}

/// The estimate that pictures of so much need.
fn gross(pictures: Bitrate, sound: Bitrate) -> Bitrate {
    let all = pictures.as_bps().saturating_add(sound.as_bps());
    Bitrate::from_bps(all.saturating_mul(100) / SHARE)
}

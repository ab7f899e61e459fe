//! What a participant is given of each picture, by what its path carries, and the probes that ask
//! whether it carries more.
//!
//! Asked when feedback comes: twice a second, and at once where less fits than is given. Sound is
//! paid first. A participant whose path cannot be asked (no feedback, or no RTX to put padding on)
//! is given the best of everything.

use std::ops::Range;

use super::room::{Member, Room};
use crate::id::{MemberKey, SectionKey};
use crate::router::allocator::{self, Allocator, Budget, Claim, Layer, Weight};
use crate::router::rungs::Rungs;
use crate::time::{Duration, Instant};
use crate::transport::BudgetClass;
use crate::transport::congestion::Probe;
use crate::units::Bitrate;

/// Between two decisions, where nothing presses.
const INTERVAL: Duration = Duration::from_millis(500);
/// And where less fits than is given: two feedbacks or so.
const INTERVAL_PRESSED: Duration = Duration::from_millis(50);
/// Of the estimate, in hundredths, for sound and pictures; the rest is for what repairs them.
const SHARE: u64 = 92;
/// A payload with its headers on the wire, in hundredths of the payload.
const WIRE: u64 = 108;
/// Who has said nothing of what arrives by then never will.
const UNHEARD: Duration = Duration::from_secs(2);

/// What is kept of one participant.
#[derive(Debug, Default)]
pub(super) struct Adaptation {
    allocator: Allocator,
    decided_at: Option<Instant>,
    /// What was given last, on the wire.
    given: Bitrate,
    sound: Meter,
    /// A probe that is being sent.
    pub(super) probing: Option<Probing>,
    /// Since when it is given the least until its path is known.
    pub(super) unheard_since: Option<Instant>,
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

/// One picture that is shown.
#[derive(Debug)]
struct Picture {
    section: SectionKey,
    rungs: Rungs,
    weight: Weight,
    current: Option<usize>,
    /// Its place in the layers.
    layers: Range<usize>,
}

/// Buffers of a decision; one for a shard.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    allocator: allocator::Scratch,
    pictures: Vec<Picture>,
    layers: Vec<Layer>,
}

impl Adaptation {
    fn is_due(&self, now: Instant, fits: Bitrate) -> bool {
        let interval = if fits < self.given {
            INTERVAL_PRESSED
        } else {
            INTERVAL
        };
        self.decided_at.is_none_or(|at| now.since(at) >= interval)
    }

    /// When something is to be done without anything having come.
    pub(super) fn due(&self) -> Option<Instant> {
        let unheard = self.unheard_since.map(|since| since + UNHEARD);
        crate::wheel::soonest([self.probing.map(|probing| probing.at), unheard])
    }
}

impl Room {
    /// A section begins to show something: the least of it until the path is known.
    pub(super) fn begin_low(&mut self, now: Instant, key: MemberKey, section: SectionKey) {
        let Some(member) = self.members.get_mut(key.index()) else {
            return;
        };
        if !self.router.can_probe(key) {
            return;
        }
        let track = self.router.bound(section);
        let rungs = track.map(|track| self.router.rungs(track));
        let Some(lowest) = rungs
            .filter(|it| it.len() > 1)
            .and_then(|it| it.first().copied())
        else {
            return;
        };
        self.router.set_target(now, section, Some(lowest.encoding));
        if member.transport.estimate().is_none() {
            member.adaptation.unheard_since.get_or_insert(now);
        }
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
            for section in &member.sections {
                self.router.set_target(now, section.key, None);
            }
        }
    }

    /// Feedback has come: decides anew where it is time to.
    pub(super) fn adapt(&mut self, now: Instant, key: MemberKey, scratch: &mut Scratch) {
        let Some(member) = self.members.get_mut(key.index()) else {
            return;
        };
        let Some(estimate) = member.transport.estimate() else {
            return;
        };
        if !self.router.can_probe(key) {
            return;
        }
        let charged = member.transport.charged(BudgetClass::Audio);
        if member.adaptation.is_due(now, estimate.fast) {
            let sound = member.adaptation.sound.read(now, charged);
            let budget = Budget {
                fast: net(estimate.fast, sound),
                stable: net(estimate.stable, sound),
            };
            scratch.look(member, key, &self.router);
            let claims = scratch
                .pictures
                .iter()
                .map(|picture| picture.claim(&scratch.layers));
            let allocator = &mut member.adaptation.allocator;
            let outcome = allocator.allocate(&mut scratch.allocator, now, budget, claims);
            let (given, most) = (outcome.used, most(&scratch.pictures, &scratch.layers));
            for (picture, decision) in scratch.pictures.iter().zip(outcome.decisions) {
                let rung = decision.layer.and_then(|layer| picture.rungs.get(layer));
                let target = rung.filter(|_| picture.rungs.len() > 1);
                let target = target.map(|rung| rung.encoding);
                self.router.set_target(now, picture.section, target);
            }
            member.adaptation.decided_at = Some(now);
            member.adaptation.given = gross(given, sound);
            // What was taken back once has to fit with room to spare.
            let most = gross(most, sound).as_bps();
            member.transport.want(Bitrate::from_bps(most + most / 4));
        }
        if member.adaptation.probing.is_none()
            && let Some(probe) = member.transport.poll_probe(now)
        {
            member.adaptation.probing = Some(Probing::new(now, probe));
            self.visit(key);
        }
    }
}

impl Scratch {
    /// Takes in what `member` is shown.
    fn look(&mut self, member: &Member, key: MemberKey, router: &crate::router::Router) {
        self.pictures.clear();
        self.layers.clear();
        for (section, track) in router.pictures(key) {
            let rungs = router.rungs(track);
            let start = self.layers.len();
            let layers = (0_u8..).zip(&rungs).map(|(rank, rung)| Layer {
                spatial: rank,
                temporal: 0,
                // Sizes are not known here: each rung counts as twice the one below.
                height: 180_u16.checked_shl(rank.into()).unwrap_or(u16::MAX),
                fps: 30,
                bitrate: Bitrate::from_bps(rung.bitrate.as_bps() * WIRE / 100),
            });
            self.layers.extend(layers);
            let open = member.sections.iter().find(|open| open.key == section);
            let wish = open
                .and_then(|open| open.track)
                .map(|track| member.wish(track));
            let target = router.target(section);
            self.pictures.push(Picture {
                section,
                current: rungs.iter().position(|rung| Some(rung.encoding) == target),
                rungs,
                weight: Weight {
                    priority: wish.map_or(128, |wish| wish.priority),
                    is_active_speaker: false,
                    is_pinned: false,
                    is_screen_share: false,
                },
                layers: start..self.layers.len(),
            });
        }
    }
}

impl Picture {
    fn claim<'a>(&self, layers: &'a [Layer]) -> Claim<'a> {
        Claim {
            section: self.section,
            weight: self.weight,
            wanted_height: 0,
            may_pause: false,
            is_hidden: false,
            layers: layers.get(self.layers.clone()).unwrap_or_default(),
            current: self.current,
        }
    }
}

/// What all of it would cost.
fn most(pictures: &[Picture], layers: &[Layer]) -> Bitrate {
    let tops = pictures.iter().map(|picture| {
        let layers = layers.get(picture.layers.clone()).unwrap_or_default();
        layers.iter().map(|layer| layer.bitrate.as_bps()).max()
    });
    Bitrate::from_bps(tops.flatten().sum())
}

/// What an estimate leaves for pictures.
fn net(estimate: Bitrate, sound: Bitrate) -> Bitrate {
    let share = estimate.as_bps().saturating_mul(SHARE) / 100;
    Bitrate::from_bps(share.saturating_sub(sound.as_bps()))
}

/// The estimate that pictures of so much need.
fn gross(pictures: Bitrate, sound: Bitrate) -> Bitrate {
    let all = pictures.as_bps().saturating_add(sound.as_bps());
    Bitrate::from_bps(all.saturating_mul(100) / SHARE)
}

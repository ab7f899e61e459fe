//! Ladders, claims, and a participant that goes by what it is told.

use std::collections::VecDeque;

use super::super::{Allocator, Budget, Claim, Decision, Layer, Reason, Scratch, Weight};
use crate::id::SectionKey;
use crate::time::{Duration, Instant};
use crate::units::Bitrate;

pub(super) const fn kbps(kbps: u64) -> Bitrate {
    Bitrate::from_kbps(kbps)
}

pub(super) const fn layer(name: (u8, u8), height: u16, fps: u8, rate: u64) -> Layer {
    Layer {
        spatial: name.0,
        temporal: name.1,
        height,
        fps,
        bitrate: kbps(rate),
    }
}

/// Simulcast without temporal layers.
pub(super) fn three() -> Vec<Layer> {
    vec![
        layer((0, 0), 180, 30, 150),
        layer((1, 0), 360, 30, 500),
        layer((2, 0), 720, 30, 1_500),
    ]
}

/// Three sizes at three rates each: 40, 60 and 100 % of the bits.
pub(super) fn nine() -> Vec<Layer> {
    let sizes = [(180, 150), (360, 500), (720, 1_500)];
    let mut layers = Vec::new();
    for ((height, rate), spatial) in sizes.into_iter().zip(0..) {
        for ((fps, percent), temporal) in [(7, 40), (15, 60), (30, 100)].into_iter().zip(0..) {
            layers.push(layer(
                (spatial, temporal),
                height,
                fps,
                rate * percent / 100,
            ));
        }
    }
    layers
}

pub(super) const PLAIN: Weight = Weight {
    priority: 128,
    is_active_speaker: false,
    is_pinned: false,
    is_screen_share: false,
};

pub(super) const SPEAKER: Weight = Weight {
    is_active_speaker: true,
    ..PLAIN
};

pub(super) const fn claim(section: u32, layers: &[Layer]) -> Claim<'_> {
    Claim {
        section: SectionKey(section),
        weight: PLAIN,
        wanted_height: 0,
        may_pause: true,
        is_hidden: false,
        layers,
        current: None,
    }
}

pub(super) const fn budget(fast: u64, stable: u64) -> Budget {
    Budget {
        fast: kbps(fast),
        carried: kbps(fast),
        stable: kbps(stable),
    }
}

/// What an allocator without a past answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) decisions: Vec<Decision>,
    pub(super) used: Bitrate,
    pub(super) next_useful: Option<Bitrate>,
    pub(super) reconsider_at: Option<Instant>,
    pub(super) utility: u64,
}

impl Answer {
    pub(super) fn layers(&self) -> Vec<Option<usize>> {
        let decisions = self.decisions.iter();
        decisions.map(|decision| decision.layer).collect()
    }

    pub(super) fn reasons(&self) -> Vec<Reason> {
        let decisions = self.decisions.iter();
        decisions.map(|decision| decision.reason).collect()
    }
}

pub(super) fn once(budget: Budget, claims: &[Claim<'_>]) -> Answer {
    ask(&mut Allocator::default(), Instant::ZERO, budget, claims)
}

pub(super) fn ask(
    allocator: &mut Allocator,
    now: Instant,
    budget: Budget,
    claims: &[Claim<'_>],
) -> Answer {
    let mut scratch = Scratch::default();
    let outcome = allocator.allocate(&mut scratch, now, budget, claims.iter().copied());
    Answer {
        decisions: outcome.decisions.to_vec(),
        used: outcome.used,
        next_useful: outcome.next_useful,
        reconsider_at: outcome.reconsider_at,
        utility: outcome.utility,
    }
}

/// One track as the participant sees it.
#[derive(Clone, Debug)]
pub(super) struct Tile {
    pub(super) weight: Weight,
    pub(super) wanted_height: u16,
    pub(super) layers: Vec<Layer>,
    pub(super) given: Option<usize>,
    /// When its layer changed.
    pub(super) switches: Vec<Instant>,
    /// How often it went from something to nothing.
    pub(super) n_pauses: usize,
}

impl Tile {
    pub(super) fn new(layers: &[Layer]) -> Self {
        Self {
            weight: PLAIN,
            wanted_height: 0,
            layers: layers.to_vec(),
            given: None,
            switches: Vec::new(),
            n_pauses: 0,
        }
    }

    /// The most switches within any minute.
    pub(super) fn switches_per_minute(&self) -> usize {
        let counts = self.switches.iter().map(|&from| {
            let within = |at: &&Instant| **at >= from && at.since(from) < Duration::from_secs(60);
            self.switches.iter().filter(within).count()
        });
        counts.max().unwrap_or(0)
    }
}

/// A participant on a link.
#[derive(Debug, Default)]
pub(super) struct Viewer {
    pub(super) now: Instant,
    pub(super) tiles: Vec<Tile>,
    allocator: Allocator,
    /// The last 2.5 s of the estimate.
    window: VecDeque<(Instant, Bitrate)>,
}

impl Viewer {
    pub(super) fn new(tiles: Vec<Tile>) -> Self {
        Self {
            tiles,
            ..Self::default()
        }
    }

    /// An estimate arrives, 100 ms after the one before.
    pub(super) fn step(&mut self, fast: Bitrate) -> Answer {
        self.now += Duration::from_millis(100);
        self.window.push_back((self.now, fast));
        let from = self.now - Duration::from_millis(2_500);
        self.window.retain(|&(at, _)| at >= from);
        let stable = self.window.iter().map(|&(_, rate)| rate).min();
        let budget = Budget {
            fast,
            carried: fast,
            stable: stable.unwrap_or(fast),
        };
        let tiles = self.tiles.iter().zip(0..);
        let claims: Vec<_> = tiles
            .map(|(tile, section)| Claim {
                weight: tile.weight,
                wanted_height: tile.wanted_height,
                current: tile.given,
                ..claim(section, &tile.layers)
            })
            .collect();
        let answer = ask(&mut self.allocator, self.now, budget, &claims);
        assert!(answer.used <= fast, "{answer:?} at {fast}");
        for (tile, decision) in self.tiles.iter_mut().zip(&answer.decisions) {
            if tile.given != decision.layer {
                tile.switches.push(self.now);
                tile.n_pauses += usize::from(decision.layer.is_none());
            }
            tile.given = decision.layer;
        }
        answer
    }

    /// The same estimate for so long.
    pub(super) fn run(&mut self, fast: Bitrate, time: Duration) {
        for _ in 0..time.as_millis() / 100 {
            self.step(fast);
        }
    }

    /// What was counted is forgotten.
    pub(super) fn count_anew(&mut self) {
        for tile in &mut self.tiles {
            tile.switches.clear();
            tile.n_pauses = 0;
        }
    }
}

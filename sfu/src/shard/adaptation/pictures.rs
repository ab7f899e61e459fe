//! What a participant is shown, as the allocator wants to know it: what flows of each picture, how
//! large it is wanted, how much it matters.

use std::cmp::Reverse;
use std::ops::Range;

use super::beginnings::Beginning;
use crate::id::{MemberKey, SectionKey};
use crate::router::allocator::{self, Claim, Decision, Layer, Reason, Weight};
use crate::router::rungs::{Rungs, Target};
use crate::router::{Router, Track};
use crate::shard::room::Member;
use crate::time::Instant;
use crate::units::Bitrate;

/// A payload with its headers on the wire, in hundredths of the payload.
const WIRE: u64 = 108;

/// One picture that is shown, or would be.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own; any of them may hold"
)]
pub(super) struct Picture {
    pub(super) section: SectionKey,
    pub(super) rungs: Rungs,
    weight: Weight,
    height: u16,
    current: Option<usize>,
    /// Something of it is given now.
    pub(super) is_given: bool,
    /// It was let begin before.
    has_begun: bool,
    /// Something of it has come to the house.
    pub(super) has_come: bool,
    /// Its lowest encoding, where none is measured yet.
    pub(super) lowest: Option<Target>,
    may_pause: bool,
    /// Its place in the layers.
    layers: Range<usize>,
}

/// Buffers of a decision; one for a shard.
#[derive(Debug, Default)]
pub(in crate::shard) struct Scratch {
    pub(super) allocator: allocator::Scratch,
    pub(super) pictures: Vec<Picture>,
    pub(super) layers: Vec<Layer>,
    pub(super) decisions: Vec<Decision>,
    /// Of what was decided, what begins, or has to wait for that.
    pub(super) waiting: Vec<Beginning>,
}

impl Scratch {
    /// Takes in what `member` is shown.
    pub(super) fn look(&mut self, now: Instant, member: &Member, key: MemberKey, router: &Router) {
        self.pictures.clear();
        self.layers.clear();
        let speaker = router.active_speaker();
        for (section, track) in router.pictures(key) {
            let rungs = router.rungs(track);
            let start = self.layers.len();
            let layers = rungs.iter().map(|rung| Layer {
                spatial: rung.rank.spatial,
                temporal: rung.rank.temporal,
                height: rung.height,
                fps: rung.fps,
                bitrate: Bitrate::from_bps(rung.bitrate.as_bps() * WIRE / 100),
            });
            self.layers.extend(layers);
            let open = member.sections.iter().find(|open| open.key == section);
            let wish = open
                .and_then(|open| open.track)
                .map(|track| member.wish(track));
            let shown = router.track(track);
            let publisher = shown.map(Track::member);
            let is_starved = router.is_starved(section);
            let is_given = !is_starved && router.shows(section);
            let lowest = rungs.is_empty().then(|| router.lowest_unmeasured(track));
            let target = router.target(section);
            let current = match rungs.len() {
                _ if is_starved => None,
                1 => Some(0),
                _ => rungs.iter().position(|rung| Some(rung.target) == target),
            };
            self.pictures.push(Picture {
                section,
                current,
                is_given,
                has_begun: is_given || open.is_some_and(|open| open.has_begun),
                has_come: !rungs.is_empty() || router.has_come(now, track),
                lowest: lowest.flatten(),
                rungs,
                weight: Weight {
                    priority: wish.map_or(128, |wish| wish.priority),
                    is_active_speaker: speaker.is_some() && publisher == speaker,
                    is_pinned: false,
                    is_screen_share: shown.is_some_and(Track::is_screen),
                },
                height: wish.map_or(0, |wish| wish.height),
                may_pause: true,
                layers: start..self.layers.len(),
            });
        }
    }

    /// Of how many that have come it is not known how much they carry.
    pub(super) fn unmeasured(&self) -> u64 {
        let unmeasured = |picture: &&Picture| picture.has_come && picture.rungs.is_empty();
        self.pictures.iter().filter(unmeasured).count() as u64
    }

    /// Finds what is to begin by what was decided, heaviest first.
    pub(super) fn look_at_beginnings(&mut self, router: &Router) {
        self.waiting.clear();
        for (picture, decision) in self.pictures.iter().zip(&self.decisions) {
            let rung = decision.layer.and_then(|layer| picture.rungs.get(layer));
            // What is measured and does not flow is muted, or has stopped: nothing of it begins now.
            let is_unmeasured = picture.has_come && picture.rungs.is_empty();
            let is_first = is_unmeasured && decision.reason == Reason::NoLayer;
            if picture.has_begun || rung.is_none() && !is_first {
                continue;
            }
            let encoding = rung.map(|rung| rung.target.encoding);
            let encoding = encoding.or_else(|| picture.lowest.map(|lowest| lowest.encoding));
            self.waiting.push(Beginning {
                weight: Reverse(picture.weight.factor()),
                section: picture.section,
                is_measured: !is_first,
                keyframe: encoding.map_or(0, |encoding| router.keyframe_bytes(encoding)),
            });
        }
        self.waiting.sort_unstable();
    }

    /// How many more may begin of which it is not known what they carry, where so many bits a second
    /// are left for them; where nothing is shown, one in any case.
    pub(super) fn places(&self, spare: Option<u64>) -> u64 {
        let Some(spare) = spare else {
            return u64::MAX;
        };
        let begun = self.pictures.iter().filter(|picture| picture.has_begun);
        let unmeasured = begun.clone().filter(|it| it.rungs.is_empty()).count() as u64;
        let places = spare / super::LOWEST.as_bps();
        let least = u64::from(begun.count() == 0);
        places.saturating_sub(unmeasured).max(least)
    }

    /// Whether a picture that was decided upon has to wait for others.
    pub(super) fn waits(&self, section: SectionKey) -> bool {
        self.waiting.iter().any(|one| one.section == section)
    }

    /// Whether of every picture that is given fewer a second can be sent without another key frame.
    pub(super) fn can_be_thin(&self) -> bool {
        let is_layered = |picture: &Picture| {
            let current = picture.current.and_then(|place| picture.rungs.get(place));
            let encoding = current.map(|rung| rung.target.encoding);
            let mut layers = picture.rungs.iter();
            layers.any(|rung| {
                Some(rung.target.encoding) == encoding && rung.target.layer.temporal > 0
            })
        };
        let mut given = self.pictures.iter().filter(|picture| picture.is_given);
        given.all(is_layered)
    }

    /// What the least of all that is given costs.
    pub(super) fn least(&self) -> Bitrate {
        let given = self.pictures.iter().filter(|picture| picture.is_given);
        let least = given.filter_map(|picture| {
            let layers = picture.layers(&self.layers).iter();
            let flowing = layers.map(|layer| layer.bitrate.as_bps());
            flowing.filter(|&bitrate| bitrate > 0).min()
        });
        Bitrate::from_bps(least.sum())
    }

    /// What is given now may not be taken away, unless for something that matters more.
    pub(super) fn keep_given(&mut self) {
        let waiting = self.pictures.iter().filter(|picture| !picture.is_given);
        let heaviest = waiting.map(|picture| picture.weight.factor()).max();
        for picture in &mut self.pictures {
            let yields = heaviest.is_some_and(|heaviest| heaviest > picture.weight.factor());
            picture.may_pause = !picture.is_given || yields;
        }
    }

    /// Where nothing is given, the picture that matters most begins whatever it costs.
    pub(super) fn begin_one(&mut self) {
        if self.pictures.iter().any(|picture| picture.is_given) {
            return;
        }
        let heaviest = self
            .pictures
            .iter_mut()
            .max_by_key(|picture| (picture.weight.factor(), Reverse(picture.section)));
        if let Some(heaviest) = heaviest {
            heaviest.may_pause = false;
        }
    }
}

impl Picture {
    fn layers<'a>(&self, layers: &'a [Layer]) -> &'a [Layer] {
        layers.get(self.layers.clone()).unwrap_or_default()
    }

    /// The place of what its section is given now.
    pub(super) fn passes(&self, router: &Router) -> Option<usize> {
        let target = router.target(self.section)?;
        self.rungs.iter().position(|rung| rung.target == target)
    }

    pub(super) fn claim<'a>(&self, layers: &'a [Layer]) -> Claim<'a> {
        Claim {
            section: self.section,
            weight: self.weight,
            wanted_height: self.height,
            may_pause: self.may_pause,
            is_hidden: false,
            layers: self.layers(layers),
            current: self.current,
        }
    }
}

//! Both sides offer whenever they like: our side against a model of a browser that follows the
//! perfect negotiation of W3C webrtc §10.7 as the polite peer. In the end both are stable and
//! agree on every m-line.

use std::collections::VecDeque;

use super::tests::{Side, request};
use super::*;
use crate::sdp::fixtures::{self, Chance};

#[test]
fn a_thousand_seeds_of_glare_end_in_agreement() {
    let mut collisions = 0;
    let template = fixtures::offer("chromium-everything");
    for seed in 0..1_000 {
        let mut world = World::new(seed, template.clone());
        for _ in 0..world.chance.below(60) {
            world.step();
        }
        world.settle();
        world.check(seed);
        collisions += world.ignored;
    }
    // Without collisions it would show nothing.
    assert!(collisions > 500, "{collisions} offers met");
}

/// The W3C's polite peer: transceivers, m-lines, signaling state.
struct Polite {
    transceivers: Vec<Transceiver>,
    lines: Vec<Line>,
    /// The m-lines and names before our offer, while it stands.
    before_offer: Option<(Vec<Line>, Vec<Option<Mid>>)>,
    ice_generation: u32,
    wants_restart: bool,
    mids_made: u32,
    /// What its m-lines say of codecs.
    template: Description,
}

#[derive(Clone)]
struct Transceiver {
    kind: MediaKind,
    direction: Direction,
    mid: Option<Mid>,
    stopped: bool,
    /// A description has named its track, which all that follow do as well.
    named: bool,
}

#[derive(Clone)]
struct Line {
    mid: Mid,
    kind: SectionKind,
    stopped: bool,
    /// As both agreed, seen by the browser.
    current: Direction,
    /// As its own last description says.
    said: Direction,
    /// What the offer allowed, where its last description was an answer.
    allowed: Option<Direction>,
    /// Its last description says `a=msid`.
    named: bool,
}

impl Polite {
    /// W3C webrtc §4.7.3, "check if negotiation is needed".
    fn needs_negotiation(&self) -> bool {
        let line = |mid: Mid| {
            self.lines
                .iter()
                .find(|line| line.mid == mid && !line.stopped)
        };
        let needs = |one: &Transceiver| match (one.mid.and_then(line), one.stopped) {
            (None, stopped) => !stopped,
            (Some(_), true) => true,
            (Some(line), false) if one.direction.sends() && !line.named => true,
            (Some(line), false) => match line.allowed {
                Some(allowed) => line.said != both(one.direction, allowed),
                None => one.direction != line.said && one.direction != line.current,
            },
        };
        self.wants_restart || self.transceivers.iter().any(needs)
    }

    fn is_stable(&self) -> bool {
        self.before_offer.is_none()
    }

    fn transceiver(&mut self, mid: Mid) -> Option<&mut Transceiver> {
        self.transceivers
            .iter_mut()
            .find(|one| one.mid == Some(mid))
    }

    /// setLocalDescription in stable: an offer.
    fn offer(&mut self) -> Description {
        let mids = self.transceivers.iter().map(|one| one.mid).collect();
        self.before_offer = Some((self.lines.clone(), mids));
        if self.wants_restart {
            self.ice_generation += 1;
        }
        for index in 0..self.lines.len() {
            let mid = self.lines[index].mid;
            let Some(one) = self.transceiver(mid).map(|one| one.clone()) else {
                continue;
            };
            let line = &mut self.lines[index];
            line.said = one.direction;
            line.allowed = None;
            line.stopped |= one.stopped;
        }
        for index in 0..self.transceivers.len() {
            let one = self.transceivers[index].clone();
            if one.mid.is_some() || one.stopped {
                continue;
            }
            self.mids_made += 1;
            let mid = Mid::new(&self.mids_made.to_string()).expect("a number");
            self.transceivers[index].mid = Some(mid);
            let line = Line {
                mid,
                kind: SectionKind::Media(one.kind),
                stopped: false,
                current: Direction::Inactive,
                said: one.direction,
                allowed: None,
                named: false,
            };
            let agreed = self.before_offer.as_ref().map(|(lines, _)| lines.clone());
            let free = (0..self.lines.len()).find(|index| {
                // RFC 9429 §5.2.2: only what was agreed to be off may be used again.
                let off = agreed
                    .iter()
                    .flatten()
                    .nth(*index)
                    .is_some_and(|line| line.stopped);
                off && self.lines[*index].stopped && self.lines[*index].kind != SectionKind::Data
            });
            match free {
                Some(index) => self.lines[index] = line,
                None => self.lines.push(line),
            }
        }
        self.describe(SdpType::Offer)
    }

    /// Rollback: new m-lines and names are gone, wishes stay.
    fn roll_back(&mut self) {
        if let Some((lines, mids)) = self.before_offer.take() {
            self.lines = lines;
            let mids = mids.into_iter().chain(std::iter::repeat(None));
            for (one, mid) in self.transceivers.iter_mut().zip(mids) {
                one.mid = mid;
            }
        }
    }

    /// setRemoteDescription of an offer, then setLocalDescription: an answer.
    fn answer(&mut self, offer: &Description) -> Description {
        self.roll_back();
        for (index, offered) in offer.sections.iter().enumerate() {
            self.take_offered(index, offered);
        }
        self.describe(SdpType::Answer)
    }

    fn take_offered(&mut self, index: usize, offered: &SectionDescription) {
        if let Some(line) = self.lines.get(index) {
            assert!(
                line.stopped || line.mid == offered.mid,
                "m-lines keep their order"
            );
        }
        let allowed = offered.direction.reversed();
        let mut line = Line {
            mid: offered.mid,
            kind: offered.kind,
            stopped: offered.rejected,
            current: Direction::SendRecv,
            said: Direction::SendRecv,
            allowed: None,
            named: false,
        };
        if let SectionKind::Media(kind) = offered.kind {
            if self.transceiver(offered.mid).is_none() && !offered.rejected {
                // RFC 9429 §5.10: a transceiver that only receives.
                let direction = Direction::RecvOnly;
                let mid = Some(offered.mid);
                self.transceivers.push(Transceiver {
                    kind,
                    direction,
                    mid,
                    stopped: false,
                    named: false,
                });
            }
            let wish = self.transceiver(offered.mid).map(|one| {
                one.stopped |= offered.rejected;
                (one.direction, one.stopped)
            });
            let (direction, stopped) = wish.unwrap_or((Direction::Inactive, true));
            line.stopped |= stopped;
            line.said = both(direction, allowed);
            line.current = line.said;
            line.allowed = Some(allowed);
        }
        match self.lines.get_mut(index) {
            Some(place) => *place = line,
            None => self.lines.push(line),
        }
    }

    /// setRemoteDescription of an answer.
    fn hear(&mut self, answer: &Description) {
        assert!(
            self.before_offer.take().is_some(),
            "an answer, but no offer stands"
        );
        self.wants_restart = false;
        assert_eq!(answer.sections.len(), self.lines.len());
        for (line, section) in self.lines.iter_mut().zip(&answer.sections) {
            assert_eq!(line.mid, section.mid, "m-lines keep their order");
            line.stopped |= section.rejected;
            line.current = both(line.said, section.direction.reversed());
            let stopped = line.stopped;
            let mid = line.mid;
            let mut transceivers = self.transceivers.iter_mut();
            if let Some(one) = transceivers.find(|one| one.mid == Some(mid)) {
                one.stopped |= stopped;
            }
        }
    }

    fn describe(&mut self, sdp_type: SdpType) -> Description {
        for line in &mut self.lines {
            let mut transceivers = self.transceivers.iter_mut();
            let one = transceivers.find(|one| one.mid == Some(line.mid));
            line.named = one.is_some_and(|one| {
                one.named |= one.direction.sends();
                one.named
            });
        }
        let template = self.template.clone();
        let ice = IceCredentials {
            ufrag: format!("generation{}", self.ice_generation),
            password: "p".repeat(22),
        };
        let sections = self.lines.iter().map(|line| {
            let index = match line.kind {
                SectionKind::Media(MediaKind::Audio) => 0,
                SectionKind::Media(MediaKind::Video) => 1,
                SectionKind::Data | SectionKind::Unknown => 4,
            };
            let mut section = template.sections[index].clone();
            section.mid = line.mid;
            section.direction = line.said;
            section.rejected = line.stopped;
            section.msids.truncate(usize::from(line.named));
            let setup = if sdp_type == SdpType::Offer {
                Setup::ActPass
            } else {
                Setup::Active
            };
            add_transport(&mut section, &ice, [9; 32], setup);
            section
        });
        let sections: Vec<SectionDescription> = sections.collect();
        let in_use = sections.iter().filter(|section| !section.rejected);
        let bundle = in_use.map(|section| section.mid).collect();
        Description {
            sdp_type,
            bundle,
            sections,
            ..template
        }
    }
}

/// Both sides and what is on its way between them.
struct World {
    chance: Chance,
    polite: Polite,
    side: Side,
    /// Sections our side wants open altogether.
    wanted: usize,
    to_us: VecDeque<Description>,
    to_them: VecDeque<Description>,
    ignored: usize,
    our_generation: u32,
}

impl World {
    fn new(seed: u64, template: Description) -> Self {
        Self {
            chance: Chance(seed),
            polite: Polite {
                template,
                transceivers: Vec::new(),
                lines: Vec::new(),
                before_offer: None,
                ice_generation: 0,
                wants_restart: false,
                mids_made: 0,
            },
            side: Side::new(),
            wanted: 0,
            to_us: VecDeque::new(),
            to_them: VecDeque::new(),
            ignored: 0,
            our_generation: 0,
        }
    }

    fn step(&mut self) {
        self.side.now += Duration::from_millis(self.chance.below(80) as u64);
        match self.chance.below(10) {
            0 => self.add_transceiver(),
            1 => self.change_direction(),
            2 if self.chance.below(4) == 0 => self.stop_transceiver(),
            3 if self.chance.below(4) == 0 && !self.polite.lines.is_empty() => {
                self.polite.wants_restart = true;
            }
            4 if self.wanted < 12 => self.wanted += 1,
            5 if self.chance.below(6) == 0 => self.restart(),
            6 if self.chance.below(6) == 0 => self.side.negotiation.request_data(),
            7 => self.negotiate(),
            8 => self.deliver_to_us(),
            _ => self.deliver_to_them(),
        }
        self.want_sections();
        if self.chance.below(3) == 0 {
            self.to_them.extend(self.side.offers());
        }
    }

    fn add_transceiver(&mut self) {
        use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
        if self.polite.transceivers.len() >= 12 {
            return;
        }
        let kind = [MediaKind::Audio, MediaKind::Video][self.chance.below(2)];
        let direction = [SendRecv, SendOnly, RecvOnly, Inactive][self.chance.below(4)];
        self.polite.transceivers.push(Transceiver {
            kind,
            direction,
            mid: None,
            stopped: false,
            named: false,
        });
    }

    fn change_direction(&mut self) {
        use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
        let index = self.chance.below(self.polite.transceivers.len());
        if let Some(one) = self.polite.transceivers.get_mut(index) {
            one.direction = [SendRecv, SendOnly, RecvOnly, Inactive][self.chance.below(4)];
        }
    }

    fn stop_transceiver(&mut self) {
        let index = self.chance.below(self.polite.transceivers.len());
        if let Some(one) = self.polite.transceivers.get_mut(index) {
            one.stopped = true;
        }
    }

    fn restart(&mut self) {
        self.our_generation += 1;
        self.side.ice.ufrag = format!("ours{}", self.our_generation);
        self.side.negotiation.request_restart();
    }

    /// onnegotiationneeded.
    fn negotiate(&mut self) {
        if self.polite.is_stable() && self.polite.needs_negotiation() {
            let offer = self.polite.offer();
            self.to_us.push_back(offer);
        }
    }

    fn deliver_to_us(&mut self) {
        let Some(description) = self.to_us.pop_front() else {
            return;
        };
        if description.sdp_type == SdpType::Answer {
            self.side.hears(&description);
            return;
        }
        if self
            .side
            .negotiation
            .is_restart(self.side.now, &description)
        {
            self.our_generation += 1;
            self.side.ice.ufrag = format!("ours{}", self.our_generation);
        }
        match self
            .side
            .try_take(&description)
            .expect("an offer that can be used")
        {
            OfferOutcome::Ignored => self.ignored += 1,
            OfferOutcome::Answer { answer, .. } => self.to_them.push_back(answer),
        }
    }

    fn deliver_to_them(&mut self) {
        let Some(description) = self.to_them.pop_front() else {
            return;
        };
        if description.sdp_type == SdpType::Answer {
            self.polite.hear(&description);
        } else {
            let answer = self.polite.answer(&description);
            self.to_us.push_back(answer);
        }
    }

    fn want_sections(&mut self) {
        let open = self.side.negotiation.open_sections().count();
        let missing = self.wanted.saturating_sub(open);
        let requests = vec![request(Codec::Vp8, "lin"); missing];
        self.side.negotiation.set_requests(&requests);
    }

    /// Nothing new is wished; what is on its way arrives.
    fn settle(&mut self) {
        for _ in 0..400 {
            // A browser that answers our m-lines inactive leaves the wish for a section open for
            // ever; it is not what is shown here.
            self.wanted = self
                .wanted
                .min(self.side.negotiation.open_sections().count());
            self.want_sections();
            self.side.now += Duration::from_millis(100);
            self.to_them.extend(self.side.offers());
            self.deliver_to_them();
            self.deliver_to_us();
            self.negotiate();
        }
    }

    fn check(&self, seed: u64) {
        assert!(
            self.to_us.is_empty() && self.to_them.is_empty(),
            "seed {seed}: still speaking"
        );
        assert!(
            self.polite.is_stable() && self.side.negotiation.is_stable(),
            "seed {seed}"
        );
        assert!(
            !self.polite.needs_negotiation(),
            "seed {seed}: a wish of theirs is open"
        );
        for one in self.polite.transceivers.iter().filter(|one| !one.stopped) {
            let mut lines = self.polite.lines.iter();
            let line = lines.find(|line| Some(line.mid) == one.mid && !line.stopped);
            // Of what we made, whether it was able to say so or not.
            let line = line.filter(|line| line.mid.as_str().starts_with('s'));
            assert!(
                line.is_none_or(|line| line.current.sends() || !one.direction.sends()),
                "seed {seed}: mid {:?} would send",
                one.mid
            );
        }
        assert_eq!(
            self.side.negotiation.poll_timeout(),
            None,
            "seed {seed}: one of ours is"
        );
        let ours = &self.side.negotiation.sections;
        assert_eq!(ours.len(), self.polite.lines.len(), "seed {seed}");
        for (ours, theirs) in ours.iter().zip(&self.polite.lines) {
            assert_eq!(ours.mid, theirs.mid, "seed {seed}");
            assert_eq!(
                ours.is_stopped(),
                theirs.stopped,
                "seed {seed}: mid {}",
                ours.mid
            );
            if let Some(media) = ours.media() {
                let seen = Direction::of(media.sending.is_some(), media.receiving);
                assert_eq!(
                    seen.reversed(),
                    theirs.current,
                    "seed {seed}: mid {}",
                    ours.mid
                );
            }
        }
    }
}

/// What two directions of the same side have in common.
fn both(one: Direction, other: Direction) -> Direction {
    Direction::of(
        one.sends() && other.sends(),
        one.receives() && other.receives(),
    )
}

//! Which tracks a WHEP viewer is shown: pure. News in, wishes out.
//!
//! By rule: named tracks, one participant's, or those of whoever speaks. Somebody else who speaks
//! takes the picture after 1.5 s, so that a cough does not; until anybody has spoken, the first with a
//! picture is shown. With more m-lines than one person fills, the others follow in order of joining.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sfu::id::TrackId;
use sfu::shard::command::Wish;
use sfu::units::MediaKind;
use tokio::time::Instant;

use crate::registry::{ParticipantName, ParticipantView, RoomNews, TrackSource, TrackView};

/// Somebody else must speak this long to be shown.
const HYSTERESIS: Duration = Duration::from_millis(1_500);
/// A pause up to this long is part of speaking.
const PAUSE: Duration = Duration::from_secs(1);

/// What is to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Whoever speaks.
    Speaker,
    /// This participant, whenever it is there.
    Participant(ParticipantName),
    /// These tracks.
    Tracks(Vec<TrackId>),
}

/// How many tracks of each kind can be shown at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) audio: usize,
    pub(super) video: usize,
}

#[derive(Clone, Copy, Debug)]
struct Track {
    id: TrackId,
    kind: MediaKind,
    source: TrackSource,
    muted: bool,
}

impl From<&TrackView> for Track {
    fn from(view: &TrackView) -> Self {
        Self {
            id: view.id,
            kind: view.kind,
            source: view.source,
            muted: view.muted(),
        }
    }
}

/// Somebody who may take over.
#[derive(Clone, Debug)]
struct Rival {
    name: ParticipantName,
    since: Instant,
    /// Since when nobody speaks at all.
    silent_at: Option<Instant>,
}

impl Rival {
    /// When it has spoken long enough, or been silent too long; true: the former.
    fn due(&self) -> (Instant, bool) {
        let takes = self.since + HYSTERESIS;
        match self.silent_at.map(|at| at + PAUSE) {
            Some(gives_up) if gives_up < takes => (gives_up, false),
            Some(_) | None => (takes, true),
        }
    }
}

/// One viewer's choice.
#[derive(Debug)]
pub(super) struct Follow {
    rule: Rule,
    places: Places,
    /// The viewer itself, which is never shown.
    own: ParticipantName,
    /// In order of joining, as far as is known.
    people: Vec<ParticipantName>,
    tracks: BTreeMap<TrackId, (ParticipantName, Track)>,
    /// Whose turn it is.
    speaker: Option<ParticipantName>,
    /// Who speaks instead.
    rival: Option<Rival>,
    /// What the shard was told to be wanted.
    wanted: BTreeSet<TrackId>,
}

impl Follow {
    /// With everybody who is there.
    pub(super) fn new(
        rule: Rule,
        places: Places,
        own: &ParticipantName,
        others: &[ParticipantView],
    ) -> Self {
        let mut follow = Self {
            rule,
            places,
            own: own.clone(),
            people: Vec::new(),
            tracks: BTreeMap::new(),
            speaker: None,
            rival: None,
            wanted: BTreeSet::new(),
        };
        for view in others {
            follow.meet(view);
        }
        follow
    }

    /// Everything is about another room from now on; wishes for the old one have ended.
    fn move_to(&mut self, others: &[ParticipantView]) {
        let (rule, places) = (self.rule.clone(), self.places);
        *self = Self::new(rule, places, &self.own.clone(), others);
    }

    fn meet(&mut self, view: &ParticipantView) {
        if !self.people.contains(&view.name) {
            self.people.push(view.name.clone());
        }
        for track in &view.tracks {
            self.take(track);
        }
    }

    fn take(&mut self, view: &TrackView) {
        let owner = view.participant.clone();
        if !self.people.contains(&owner) {
            self.people.push(owner.clone());
        }
        self.tracks.insert(view.id, (owner, Track::from(view)));
    }

    fn lose(&mut self, track: TrackId) {
        self.tracks.remove(&track);
        // Its wish ended in the shard as well.
        self.wanted.remove(&track);
    }

    fn part(&mut self, name: &ParticipantName) {
        self.people.retain(|one| one != name);
        let own = self.tracks.iter().filter(|(_, (owner, _))| owner == name);
        let own: Vec<TrackId> = own.map(|(id, _)| *id).collect();
        own.into_iter().for_each(|track| self.lose(track));
        if self.speaker.as_ref() == Some(name) {
            self.speaker = None;
        }
        if self.rival.as_ref().is_some_and(|rival| rival.name == *name) {
            self.rival = None;
        }
    }

    /// Takes one piece of news.
    pub(super) fn hear(&mut self, now: Instant, news: RoomNews) {
        match news {
            RoomNews::Joined(view) | RoomNews::Updated(view) => {
                if view.name != self.own {
                    self.meet(&view);
                }
            }
            RoomNews::Left(name, _) => self.part(&name),
            RoomNews::Published(track) | RoomNews::TrackUpdated(track) => self.take(&track),
            RoomNews::Unpublished(track) => self.lose(track),
            RoomNews::Moved(arrival) => self.move_to(&arrival.others),
            RoomNews::Speakers(speakers) => {
                let first = speakers.first().map(|(name, _)| name.clone());
                self.heard(now, first);
            }
            RoomNews::RoomUpdated(_)
            | RoomNews::Waiting(_)
            | RoomNews::Admitted(_)
            | RoomNews::Quality(..)
            | RoomNews::Subscriptions(_)
            | RoomNews::Layers(_)
            | RoomNews::Encodings(_)
            | RoomNews::Offer(_)
            | RoomNews::Data(_)
            | RoomNews::DataChannel { .. }
            | RoomNews::Leave { .. } => {}
        }
    }

    fn heard(&mut self, now: Instant, loudest: Option<ParticipantName>) {
        let Some(name) = loudest else {
            if let Some(rival) = &mut self.rival {
                rival.silent_at.get_or_insert(now);
            }
            return;
        };
        match &self.speaker {
            None => self.speaker = Some(name),
            Some(speaker) if *speaker == name => {}
            Some(_) => {
                let known = self.rival.take().filter(|rival| rival.name == name);
                let since = known.map_or(now, |rival| rival.since);
                self.rival = Some(Rival {
                    name,
                    since,
                    silent_at: None,
                });
                return;
            }
        }
        self.rival = None;
    }

    /// When the choice changes without news.
    pub(super) fn due(&self) -> Option<Instant> {
        self.rival.as_ref().map(|rival| rival.due().0)
    }

    /// What to tell the shard: what is wanted from now on and what no more.
    pub(super) fn wishes(&mut self, now: Instant) -> Vec<Wish> {
        if let Some(rival) = self.rival.take_if(|rival| rival.due().0 <= now)
            && rival.due().1
        {
            self.speaker = Some(rival.name);
        }
        let chosen = self.chosen();
        let gone = self.wanted.difference(&chosen).map(|&id| (id, false));
        let new = chosen.difference(&self.wanted).map(|&id| (id, true));
        let wish = |(track, wanted)| Wish {
            track,
            wanted,
            paused: false,
            priority: 128,
            height: 0,
            pinned: false,
        };
        gone.chain(new).map(wish).collect()
    }

    /// The shard knows them.
    pub(super) fn stated(&mut self, wishes: &[Wish]) {
        for wish in wishes {
            // One that is gone meanwhile needs no undoing.
            if wish.wanted && self.tracks.contains_key(&wish.track) {
                self.wanted.insert(wish.track);
            } else {
                self.wanted.remove(&wish.track);
            }
        }
    }

    fn chosen(&self) -> BTreeSet<TrackId> {
        let of_kind = |kind, most| {
            let mut tracks = self.eligible(kind);
            tracks.truncate(most);
            tracks
        };
        let audio = of_kind(MediaKind::Audio, self.places.audio);
        let video = of_kind(MediaKind::Video, self.places.video);
        audio.into_iter().chain(video).collect()
    }

    /// What could be shown, best first.
    fn eligible(&self, kind: MediaKind) -> Vec<TrackId> {
        if let Rule::Tracks(ids) = &self.rule {
            let known = |id: &&TrackId| self.tracks.get(id).is_some_and(|(_, it)| it.kind == kind);
            return ids.iter().filter(known).copied().collect();
        }
        let mut ranked: Vec<_> = self
            .tracks
            .values()
            .filter(|(owner, track)| track.kind == kind && self.is_meant(owner))
            .map(|(owner, track)| (self.rank(owner, track), track.id))
            .collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, id)| id).collect()
    }

    fn is_meant(&self, owner: &ParticipantName) -> bool {
        match &self.rule {
            Rule::Participant(name) => name == owner,
            Rule::Speaker | Rule::Tracks(_) => *owner != self.own,
        }
    }

    /// Smaller is better: what can be seen or heard at all, whoever speaks, the order of joining,
    /// a face before a screen.
    fn rank(&self, owner: &ParticipantName, track: &Track) -> (bool, bool, usize, usize) {
        let speaks = self.speaker.as_ref() == Some(owner);
        let place = self.people.iter().position(|one| one == owner);
        let source = match track.source {
            TrackSource::Camera | TrackSource::Microphone => 0,
            TrackSource::Screen | TrackSource::ScreenAudio => 1,
            TrackSource::Other => 2,
        };
        (track.muted, !speaks, place.unwrap_or(usize::MAX), source)
    }
}

#[cfg(test)]
mod tests;

//! Events from dirty bits: what is asked late is told once, as it is then.

use super::Shard;
use super::event::{
    Event, PauseReason, SectionBinding, Speaker, SubscriptionFacts, TrackFacts, WantedEncodings,
};
use super::room::{Member, Room};
use crate::id::TrackId;
use crate::router::{Router, Track};

impl Shard {
    /// The next piece of news.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.commons.parting.pop_front() {
            return Some(event);
        }
        while let Some(key) = self.with_news.front().copied() {
            self.current = Some(key);
            if let Some(room) = self.rooms.get_mut(key.index()) {
                if let Some(event) = room.next_news() {
                    return Some(event);
                }
                room.has_news = false;
            }
            self.with_news.pop_front();
        }
        None
    }
}

impl Room {
    /// The router's ranking of speakers, in names the world knows.
    pub(super) fn take_speakers(&mut self) {
        let Some(ranking) = self.router.poll_speakers() else {
            return;
        };
        let named = ranking.into_iter().filter_map(|(member, level)| {
            let (participant, _) = self.participant(member)?;
            Some(Speaker { participant, level })
        });
        self.speakers = Some(named.collect());
    }

    fn next_news(&mut self) -> Option<Event> {
        let room = self.id;
        let told = self.members.iter_mut().map(|(_, member)| member);
        for member in told.filter(|member| member.has_news()) {
            if let Some(event) = member.next_news(room, &self.router) {
                return Some(event);
            }
        }
        let speakers = self.speakers.take()?;
        Some(Event::SpeakersChanged { room, speakers })
    }
}

impl Member {
    fn next_news(&mut self, room: crate::id::RoomId, router: &Router) -> Option<Event> {
        let participant = self.id;
        if let Some(event) = self.connection_news(room) {
            return Some(event);
        }
        if let Some(track) = self.published.iter_mut().find(|track| track.news) {
            track.news = false;
            let known = router.track(track.key)?;
            let facts = TrackFacts {
                track: track.id,
                participant,
                mid: track.mid,
                kind: known.kind(),
                codec: known.codec(),
                muted: known.muted(),
                screen: known.is_screen(),
            };
            return Some(Event::TrackChanged { room, facts });
        }
        if std::mem::take(&mut self.dirty.subscriptions) {
            let sections = self.sections.iter().map(|section| SectionBinding {
                mid: section.plan.mid,
                track: section.track,
            });
            return Some(Event::SubscriptionsChanged {
                room,
                participant,
                sections: sections.collect(),
                subscriptions: self.subscription_facts(router),
            });
        }
        if std::mem::take(&mut self.dirty.encodings) {
            return Some(Event::EncodingsWanted {
                room,
                participant,
                tracks: self.wanted_encodings(router),
            });
        }
        if let Some(facts) = self.adaptation.decisions.take_news() {
            return Some(Event::LayersChanged {
                room,
                participant,
                facts,
            });
        }
        if let Some(description) = self.offer.take() {
            return Some(Event::Offer {
                room,
                participant,
                description,
            });
        }
        let (stream, from) = self.channels.take_news()?;
        Some(Event::DataChannelOpened {
            room,
            participant,
            stream,
            from,
        })
    }

    /// That its connection is up, silent, or of another quality.
    fn connection_news(&mut self, room: crate::id::RoomId) -> Option<Event> {
        let participant = self.id;
        if std::mem::take(&mut self.dirty.connected) {
            return Some(Event::ParticipantConnected {
                room,
                participant,
                srtp: self.transport.srtp_profile().unwrap_or_default(),
            });
        }
        if std::mem::take(&mut self.dirty.presence) {
            return Some(Event::ParticipantSilent {
                room,
                participant,
                silent: self.silent,
            });
        }
        if std::mem::take(&mut self.dirty.quality) {
            return Some(Event::QualityChanged {
                room,
                participant,
                quality: self.judgement.quality(),
            });
        }
        None
    }

    fn wanted_encodings(&self, router: &Router) -> Vec<WantedEncodings> {
        let tracks = self.published.iter().filter_map(|track| {
            let rids = router.ordered(track.key)?;
            Some(WantedEncodings {
                mid: track.mid,
                rids: rids.into_iter().collect(),
            })
        });
        tracks.collect()
    }

    fn subscription_facts(&self, router: &Router) -> Vec<SubscriptionFacts> {
        let placed = self.sections.iter().filter_map(|section| {
            let track = section.track?;
            let muted = router
                .bound(section.key)
                .and_then(|track| router.track(track))
                .is_some_and(Track::muted);
            let paused = if self.wish(track).paused {
                Some(PauseReason::Wished)
            } else if muted {
                Some(PauseReason::Muted)
            } else {
                section.lacks
            };
            Some(SubscriptionFacts {
                track,
                mid: Some(section.plan.mid),
                paused,
            })
        });
        let unplaced = self.unplaced.iter().map(|one| SubscriptionFacts {
            track: one.track,
            mid: None,
            paused: one.why,
        });
        // Who is not among the loudest is told only to one who has said something of it: a large room
        // has too many of them.
        let named = |track: TrackId| {
            let sections = self.sections.iter().map(|section| section.track);
            let unplaced = self.unplaced.iter().map(|one| Some(one.track));
            sections.chain(unplaced).any(|it| it == Some(track))
        };
        let wishes = self
            .wishes
            .iter()
            .filter(|wish| router.selects() && wish.wanted && !wish.paused && !named(wish.track));
        let quieter = wishes.map(|wish| SubscriptionFacts {
            track: wish.track,
            mid: None,
            paused: Some(PauseReason::Quieter),
        });
        placed.chain(unplaced).chain(quieter).collect()
    }
}

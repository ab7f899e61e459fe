//! A participant's record: one who is inside, or waits to be.

use std::collections::BTreeMap;
use std::sync::Arc;

use sfu::id::{Mid, ParticipantId, TrackId};
use sfu::shard::command::Wish;
use sfu::shard::event::{LayerFacts, LayersFacts, SubscriptionFacts};
use tokio::time::Instant;

use crate::clock::{Ulid, UnixTime};
use crate::registry::name::ParticipantName;
use crate::registry::news::{NewsSender, RoomNews};
use crate::registry::quality::Quality;
use crate::registry::spec::{
    Door, ParticipantSpec, ParticipantState, SubscriptionView, TrackSource, is_viewer,
};

/// What a participant said of an own m-line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MidNote {
    pub(super) source: Option<TrackSource>,
    pub(super) muted: bool,
}

/// A participant's record.
#[derive(Debug)]
pub(in crate::registry) struct Member {
    pub(in crate::registry) id: ParticipantId,
    pub(in crate::registry) name: ParticipantName,
    pub(in crate::registry) uid: Ulid,
    pub(in crate::registry) spec: Arc<ParticipantSpec>,
    pub(in crate::registry) door: Door,
    /// The shard its transport is on, once it is inside.
    pub(in crate::registry) shard: usize,
    pub(in crate::registry) join_time: UnixTime,
    pub(in crate::registry) resume_token: String,
    /// The `jti` of the token it came with.
    pub(in crate::registry) token_id: Option<String>,
    /// When that was issued; none: it came without.
    pub(in crate::registry) issued_at: Option<UnixTime>,
    pub(in crate::registry) news: Option<NewsSender>,
    /// Its socket is closed: when it is out.
    pub(in crate::registry) gone_at: Option<Instant>,
    pub(in crate::registry) revision: u64,
    /// The cipher, once ICE and DTLS are up.
    pub(in crate::registry) srtp: Option<&'static str>,
    pub(super) admitted: bool,
    /// Nothing authenticated has come for a while.
    pub(in crate::registry) silent: bool,
    /// While it is not silent.
    pub(super) quality: Quality,
    /// The others have been told of it.
    pub(super) shown: bool,
    pub(super) mids: BTreeMap<Mid, MidNote>,
    pub(super) wishes: BTreeMap<TrackId, Wish>,
    pub(super) facts: Vec<SubscriptionFacts>,
    /// What it is given of each picture, where its path can be asked.
    pub(super) layers: Option<Arc<LayersFacts>>,
}

impl Member {
    pub(in crate::registry) fn new(
        id: ParticipantId,
        name: ParticipantName,
        uid: Ulid,
        spec: Arc<ParticipantSpec>,
        door: Door,
    ) -> Self {
        Self {
            id,
            name,
            uid,
            spec,
            door,
            shard: 0,
            join_time: UnixTime::now(),
            resume_token: String::new(),
            token_id: None,
            issued_at: None,
            news: None,
            gone_at: None,
            revision: 0,
            srtp: None,
            admitted: true,
            silent: false,
            quality: Quality::Good,
            shown: false,
            mids: BTreeMap::new(),
            wishes: BTreeMap::new(),
            facts: Vec::new(),
            layers: None,
        }
    }

    pub(in crate::registry) fn state(&self) -> ParticipantState {
        match self.srtp {
            _ if !self.admitted => ParticipantState::Waiting,
            None => ParticipantState::Joining,
            Some(_) if self.silent || self.gone_at.is_some() => ParticipantState::Resuming,
            Some(_) => ParticipantState::Active,
        }
    }

    pub(super) fn quality(&self) -> Quality {
        match self.state() {
            ParticipantState::Resuming => Quality::Lost,
            ParticipantState::Waiting
            | ParticipantState::Joining
            | ParticipantState::Active
            | ParticipantState::Left => self.quality,
        }
    }

    pub(in crate::registry) fn is_viewer(&self) -> bool {
        is_viewer(self.spec.kind, self.door)
    }

    pub(super) fn is_admin(&self) -> bool {
        self.spec.permissions.admin
    }

    pub(in crate::registry) fn tell(&self, news: RoomNews) {
        if let Some(queue) = &self.news {
            queue.tell(news);
        }
    }

    /// What it wishes, and what became of it, in order of track.
    pub(in crate::registry) fn subscriptions(&self) -> Vec<SubscriptionView> {
        let unsaid = |track| Wish {
            track,
            wanted: true,
            paused: false,
            priority: 128,
            height: 0,
            pinned: false,
        };
        let mut views = BTreeMap::new();
        for &facts in &self.facts {
            let track = facts.track;
            let wish = self.wishes.get(&track).copied();
            let view = SubscriptionView {
                track,
                wish: wish.unwrap_or_else(|| unsaid(track)),
                facts: Some(facts),
                layer: self.layer(track),
            };
            views.insert(track, view);
        }
        for (&track, &wish) in &self.wishes {
            views.entry(track).or_insert(SubscriptionView {
                track,
                wish,
                facts: None,
                layer: None,
            });
        }
        views.into_values().collect()
    }

    fn layer(&self, track: TrackId) -> Option<LayerFacts> {
        let layers = self.layers.as_ref()?.subscriptions.iter();
        layers.copied().find(|facts| facts.track == track)
    }

    /// It is in another room now: what it said of the old one's tracks means nothing there.
    pub(in crate::registry) fn moved(&mut self) {
        self.wishes.clear();
        self.facts.clear();
        self.layers = None;
        self.shown = false;
    }
}

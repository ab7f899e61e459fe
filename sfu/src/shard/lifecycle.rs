//! What a transport reports of itself: connected, failed, data channels.

use super::Shard;
use super::data::Message;
use super::places::Place;
use super::room::Member;
use crate::limits;
use crate::time::{Duration, Instant};
use crate::transport::TransportEvent;
use crate::wheel::soonest;

/// A deadline that has passed without being met is looked at again after this.
pub(super) const AGAIN_AFTER: Duration = Duration::from_millis(1);

impl Shard {
    pub(super) fn take_transport_events(&mut self, now: Instant, place: Place) {
        while let Some(event) = self
            .member_mut(place)
            .and_then(|m| m.transport.poll_event())
        {
            match event {
                TransportEvent::Connected => {
                    self.commons.stats.handshakes += 1;
                    if let Some(room) = self.rooms.get_mut(place.room.index()) {
                        room.connected(now, place.member);
                    }
                }
                TransportEvent::PathSelected(path) => {
                    tracing::debug!(?path, "path selected");
                    if let Some(room) = self.rooms.get_mut(place.room.index()) {
                        room.reachable(now, place.member);
                    }
                }
                TransportEvent::Failed(reason) => {
                    self.close_member(now, place, reason);
                    return;
                }
                TransportEvent::DataOpened {
                    stream,
                    label,
                    protocol,
                    reliability,
                } => {
                    if let Some(member) = self.member_mut(place) {
                        member.channels.opened(stream, label, protocol, reliability);
                    }
                }
                TransportEvent::DataMessage {
                    stream,
                    text,
                    payload,
                } => self.relay(
                    now,
                    place,
                    &Message {
                        stream,
                        text,
                        payload,
                    },
                ),
                TransportEvent::DataClosed { stream, .. } => {
                    self.data_closed(now, place, stream);
                }
            }
        }
    }

    fn relay(&mut self, now: Instant, place: Place, message: &Message) {
        let Some(room) = self.rooms.get_mut(place.room.index()) else {
            return;
        };
        let asked = room.relay_data(now, place.member, message, &mut self.commons.stats);
        for member in asked {
            self.settle_member(now, Place::new(place.room, member));
        }
        self.settle_room(now, place.room);
    }

    fn data_closed(&mut self, now: Instant, place: Place, stream: u16) {
        let Some(room) = self.rooms.get_mut(place.room.index()) else {
            return;
        };
        let Some(member) = room.members.get_mut(place.member.index()) else {
            return;
        };
        if member.channels.closed(stream) {
            let from = member.id;
            room.close_relayed(now, from, Some(stream));
            self.settle_room(now, place.room);
        }
    }
}

impl Member {
    /// When anything of this member is due next.
    pub(super) fn due(&self) -> Option<Instant> {
        soonest([
            self.transport.poll_timeout(),
            self.negotiation.poll_timeout().filter(|_| self.offers),
            self.silent_at(),
            self.silence_told_at(),
            self.adaptation.due(),
        ])
    }

    /// When silence ends the membership. Who has described no transport yet (one who only chats, or
    /// waits) has none that could be silent; its door says when it is gone.
    pub(super) fn silent_at(&self) -> Option<Instant> {
        let has_transport = self.negotiation.has_begun();
        let counts = has_transport || self.silence_max < limits::CONSENT_TIMEOUT;
        let since = self.transport.last_authenticated_at();
        counts.then(|| since.max(self.silence_from) + self.silence_max)
    }

    /// When its silence is told; nobody is silent before there is a transport.
    fn silence_told_at(&self) -> Option<Instant> {
        let counts = !self.silent && self.negotiation.has_begun();
        counts.then(|| self.transport.last_authenticated_at() + limits::SILENCE_TOLD)
    }

    /// Looks whether it is silent by now; true where that is news.
    pub(super) fn note_presence(&mut self, now: Instant) -> bool {
        let since = now.since(self.transport.last_authenticated_at());
        let silent = self.negotiation.has_begun() && since >= limits::SILENCE_TOLD;
        let news = silent != self.silent;
        self.silent = silent;
        // Gone and back before anybody has asked: nothing to tell.
        self.dirty.presence ^= news;
        news
    }
}

impl super::room::Room {
    /// Keys are there: what waited for them starts, pictures with a key frame.
    fn connected(&mut self, now: Instant, key: crate::id::MemberKey) {
        let Some(member) = self.members.get_mut(key.index()) else {
            return;
        };
        member.dirty.connected = true;
        self.reachable(now, key);
    }

    /// Keys and path come in either order, and the path may go for a while: pictures begin when
    /// both are there.
    pub(super) fn reachable(&mut self, now: Instant, key: crate::id::MemberKey) {
        let Some(member) = self.members.get_mut(key.index()) else {
            return;
        };
        if member.transport.is_reachable() {
            self.router.set_receiving(now, key, true);
            member.adaptation.reached(now);
        }
    }

    /// Other rungs are asked of a publisher than before.
    pub(super) fn take_order_changes(&mut self) {
        while let Some(key) = self.router.poll_order_change() {
            let publisher = self.router.track(key).map(crate::router::Track::member);
            if let Some(member) = publisher.and_then(|key| self.members.get_mut(key.index())) {
                member.dirty.encodings = true;
            }
        }
    }

    /// A publisher switched to another codec; true where somebody must be looked at again.
    pub(super) fn take_track_change(&mut self) -> bool {
        let mut changed = false;
        while let Some(key) = self.router.poll_track_change() {
            changed = true;
            let tracks = self
                .members
                .iter_mut()
                .flat_map(|(_, m)| m.published.iter_mut());
            for track in tracks.filter(|track| track.key == key) {
                track.news = true;
            }
        }
        changed
    }
}

//! What changes without being asked: shards' events go into the records and from there to the
//! members; rooms and participants whose time is over go.

use std::sync::Arc;

use sfu::error::LeaveReason;
use sfu::shard::Event;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::news::RoomNews;
use super::{Registry, Seat};
use crate::limits::SWEEP_INTERVAL;

impl Registry {
    /// Keeps the records true: one task for each shard's events, one for what expires. They end
    /// with the set.
    #[must_use]
    pub fn run(&self, events: Vec<mpsc::Receiver<Event>>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for (shard, mut receiver) in events.into_iter().enumerate() {
            let this = self.clone();
            tasks.spawn(async move {
                while let Some(event) = receiver.recv().await {
                    if !this.is_told_elsewhere(shard, &event) {
                        this.apply(event);
                    }
                }
            });
        }
        let this = self.clone();
        tasks.spawn(async move {
            let mut ticks = interval(SWEEP_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                this.sweep(Instant::now()).await;
            }
        });
        tasks
    }

    /// Who speaks is known on every shard a room is on: the one it was made on tells. And that a room
    /// is gone from a shard to which it was to be spread says nothing of the room.
    fn is_told_elsewhere(&self, shard: usize, event: &Event) -> bool {
        match event {
            Event::SpeakersChanged { room, .. } => {
                self.room(*room).is_ok_and(|room| room.shard != shard)
            }
            Event::RoomDeleted { room, reason } if *reason != LeaveReason::ServerFailed => {
                let is_on = |room: &super::room::Room| room.shards().any(|it| it == shard);
                self.room(*room).is_ok_and(|room| !is_on(&room))
            }
            Event::RoomDeleted { .. }
            | Event::ParticipantConnected { .. }
            | Event::ParticipantSilent { .. }
            | Event::QualityChanged { .. }
            | Event::ParticipantLeft { .. }
            | Event::Offer { .. }
            | Event::TrackChanged { .. }
            | Event::TrackUnpublished { .. }
            | Event::SubscriptionsChanged { .. }
            | Event::EncodingsWanted { .. }
            | Event::LayersChanged { .. }
            | Event::DataChannelOpened { .. } => false,
        }
    }

    /// One event into the records. Rooms and participants that are gone by now have none; of one who
    /// is on its way into a room, they wait for it there.
    pub(super) fn apply(&self, event: Event) {
        let Some(event) = self.park(event) else {
            return;
        };
        match event {
            Event::RoomDeleted { room, reason } => self.close_room(room, reason, None),
            Event::TrackChanged { room, facts } => {
                if let Ok(mut room) = self.room_mut(room) {
                    if let Some(order) = room.track_changed(&facts) {
                        self.order_mute(&room, order);
                    }
                    self.tell_screens(&mut room, facts.participant);
                }
            }
            Event::TrackUnpublished { room, track, .. } => {
                if let Ok(mut room) = self.room_mut(room) {
                    room.track_unpublished(track);
                }
            }
            Event::SpeakersChanged { room, speakers } => {
                if let Ok(mut room) = self.room_mut(room) {
                    room.speakers_changed(speakers);
                }
            }
            Event::ParticipantLeft {
                room,
                participant,
                reason,
            } => drop(self.record_exit(Seat { room, participant }, reason, None)),
            event @ (Event::ParticipantConnected { .. }
            | Event::ParticipantSilent { .. }
            | Event::QualityChanged { .. }
            | Event::Offer { .. }
            | Event::SubscriptionsChanged { .. }
            | Event::LayersChanged { .. }
            | Event::EncodingsWanted { .. }
            | Event::DataChannelOpened { .. }) => self.apply_to_member(event),
        }
    }

    /// An event of one participant's own. What was said before it was moved holds where it is now.
    fn apply_to_member(&self, event: Event) {
        let Some(seat) = about(&event) else { return };
        let Ok(mut room) = self.room_mut(self.locate(seat).room) else {
            return;
        };
        let id = seat.participant;
        match event {
            Event::ParticipantConnected { srtp, .. } => room.connected(id, srtp),
            Event::ParticipantSilent { silent, .. } => room.silent(id, silent),
            Event::QualityChanged { quality, .. } => room.quality_changed(id, quality.into()),
            Event::Offer { description, .. } => room.tell(id, RoomNews::Offer(description)),
            Event::SubscriptionsChanged {
                sections,
                subscriptions,
                ..
            } => room.subscriptions_changed(id, sections, subscriptions),
            Event::EncodingsWanted { tracks, .. } => {
                room.tell(id, RoomNews::Encodings(Arc::new(tracks)));
            }
            Event::LayersChanged { facts, .. } => room.layers_changed(id, facts),
            Event::DataChannelOpened { stream, from, .. } => {
                if let Ok(from) = room.member(from) {
                    let from = from.name.clone();
                    room.tell(id, RoomNews::DataChannel { stream, from });
                }
            }
            Event::ParticipantLeft { .. }
            | Event::RoomDeleted { .. }
            | Event::TrackChanged { .. }
            | Event::TrackUnpublished { .. }
            | Event::SpeakersChanged { .. } => {}
        }
    }

    /// Keeps an event about one who is on its way into the event's room; gives back any other.
    fn park(&self, event: Event) -> Option<Event> {
        let Some(seat) = about(&event) else {
            return Some(event);
        };
        match self.room_mut(seat.room) {
            Ok(mut room) => room.park(seat.participant, event),
            Err(_) => Some(event),
        }
    }

    /// Ends what is overdue at `now`.
    async fn sweep(&self, now: Instant) {
        let (mut rooms, mut seats) = (Vec::new(), Vec::new());
        for room in &self.0.rooms {
            if room.expired(now).is_some() {
                rooms.push(room.name.clone());
            }
            let overdue = room.overdue(now).into_iter();
            seats.extend(overdue.map(|participant| Seat {
                room: room.id,
                participant,
            }));
        }
        for seat in seats {
            self.put_out(seat, LeaveReason::TransportFailed, None);
        }
        for name in rooms {
            // Somebody may have joined since: asked again, in turn.
            let Ok((id, _turn)) = self.enter(&name).await else {
                continue;
            };
            let due = self.room(id).ok().and_then(|room| room.expired(now));
            if let Some(reason) = due {
                self.close_room(id, reason, None);
            }
        }
    }
}

/// Whom an event is about, of those that are about one participant.
fn about(event: &Event) -> Option<Seat> {
    let (room, participant) = match event {
        Event::ParticipantConnected {
            room, participant, ..
        }
        | Event::ParticipantSilent {
            room, participant, ..
        }
        | Event::QualityChanged {
            room, participant, ..
        }
        | Event::ParticipantLeft {
            room, participant, ..
        }
        | Event::Offer {
            room, participant, ..
        }
        | Event::SubscriptionsChanged {
            room, participant, ..
        }
        | Event::LayersChanged {
            room, participant, ..
        }
        | Event::EncodingsWanted {
            room, participant, ..
        }
        | Event::DataChannelOpened {
            room, participant, ..
        }
        | Event::TrackUnpublished {
            room, participant, ..
        } => (*room, *participant),
        Event::TrackChanged { room, facts } => (*room, facts.participant),
        Event::RoomDeleted { .. } | Event::SpeakersChanged { .. } => return None,
    };
    Some(Seat { room, participant })
}

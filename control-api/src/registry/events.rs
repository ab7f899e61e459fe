//! What changes without being asked: shards' events go into the records and from there to the
//! members; rooms and participants whose time is over go.

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
        for mut receiver in events {
            let this = self.clone();
            tasks.spawn(async move {
                while let Some(event) = receiver.recv().await {
                    this.apply(event);
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

    /// One event into the records. Rooms and participants that are gone by now have none.
    fn apply(&self, event: Event) {
        match event {
            Event::ParticipantConnected {
                room, participant, ..
            } => {
                if let Ok(mut room) = self.room_mut(room) {
                    room.connected(participant);
                }
            }
            Event::ParticipantSilent {
                room,
                participant,
                silent,
            } => {
                if let Ok(mut room) = self.room_mut(room) {
                    room.silent(participant, silent);
                }
            }
            Event::ParticipantLeft {
                room,
                participant,
                reason,
            } => self.left(Seat { room, participant }, reason),
            Event::RoomDeleted { room, reason } => self.close_room(room, reason, None),
            Event::Offer {
                room,
                participant,
                description,
            } => {
                if let Ok(room) = self.room(room) {
                    room.tell(participant, RoomNews::Offer(description));
                }
            }
            Event::TrackChanged { room, facts } => {
                if let Ok(mut room) = self.room_mut(room)
                    && let Some(order) = room.track_changed(&facts)
                {
                    self.order_mute(&room, order);
                }
            }
            Event::TrackUnpublished { room, track, .. } => {
                if let Ok(mut room) = self.room_mut(room) {
                    room.track_unpublished(track);
                }
            }
            Event::SubscriptionsChanged {
                room,
                participant,
                sections,
                subscriptions,
            } => {
                if let Ok(room) = self.room(room) {
                    room.subscriptions_changed(participant, sections, subscriptions);
                }
            }
            Event::SpeakersChanged { room, speakers } => {
                if let Ok(room) = self.room(room) {
                    room.speakers_changed(&speakers);
                }
            }
            Event::DataChannelOpened {
                room,
                participant,
                stream,
                from,
            } => {
                if let Ok(room) = self.room(room)
                    && let Ok(from) = room.member(from)
                {
                    let from = from.name.clone();
                    room.tell(participant, RoomNews::DataChannel { stream, from });
                }
            }
        }
    }

    /// The shard let somebody go.
    fn left(&self, seat: Seat, reason: LeaveReason) {
        let Ok(mut room) = self.room_mut(seat.room) else {
            return;
        };
        if room.exit(seat.participant, reason, None) {
            tracing::info!(room = %room.name, ?reason, "participant left");
            self.0.placement.left(room.shard);
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

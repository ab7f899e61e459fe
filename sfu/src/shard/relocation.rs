//! A participant goes to another room of the shard. Its transport lives on: keys, paths, SSRCs and
//! the numbers of its sections, so that no SRTP index is used twice and no browser notices more than
//! other pictures. Its tracks are unpublished in the one room and published in the other.

use super::membership::limit;
use super::places::Place;
use super::room::{Member, OpenSection, Published};
use super::{Due, Event, Reply, Shard};
use crate::error::CommandError;
use crate::id::{MemberKey, Mid, ParticipantId, RoomId, RoomKey, TrackId};
use crate::limits;
use crate::router::{DetachedSection, Track};
use crate::sdp::negotiate::MediaPlan;
use crate::time::Instant;

/// A participant between two rooms.
struct Traveller {
    member: Member,
    tracks: Vec<Luggage>,
    barred: Vec<(Mid, u32)>,
    sections: Vec<(OpenSection, DetachedSection)>,
    resting: Vec<(OpenSection, DetachedSection)>,
}

/// One of its tracks.
struct Luggage {
    id: TrackId,
    mid: Mid,
    plan: MediaPlan,
    muted: bool,
}

impl Shard {
    pub(super) fn move_participant(
        &mut self,
        now: Instant,
        (room, participant): (RoomId, ParticipantId),
        destination: RoomId,
    ) -> Result<Reply, CommandError> {
        let to = self.room_key(destination);
        let to = to.map_err(|_| CommandError::OnOtherShard(destination))?;
        let there = self.rooms.get(to.index()).ok_or(CommandError::Closed)?;
        if there.member(participant).is_some() {
            // The same command again.
            return Ok(Reply::Done);
        }
        let from = self.place(room, participant)?;
        self.commons.can_part()?;
        let most = there.parameters.participants_max;
        let most = most.min(limits::PARTICIPANTS_PER_ROOM);
        if there.members.len() >= most {
            return Err(limit("participants_max", most));
        }
        self.current = Some(from.room);
        let traveller = self.depart_from(now, from).ok_or(CommandError::Closed)?;
        self.current = Some(to);
        self.arrive_in(now, from, to, traveller);
        Ok(Reply::Done)
    }

    /// Takes a participant out of its room; the others lose its tracks.
    fn depart_from(&mut self, now: Instant, from: Place) -> Option<Traveller> {
        let room = self.rooms.get_mut(from.room.index())?;
        let mut member = room.members.try_remove(from.member.index())?;
        let router = &mut room.router;
        let tracks = member.published.iter().filter_map(|track| {
            Some(Luggage {
                id: track.id,
                mid: track.mid,
                plan: member.negotiation.received(track.mid)?.clone(),
                muted: router.track(track.key).is_some_and(Track::muted),
            })
        });
        let tracks: Vec<Luggage> = tracks.collect();
        let lost: Vec<TrackId> = member.published.drain(..).map(|track| track.id).collect();
        let mut detach = |sections: &mut Vec<OpenSection>| {
            let sections = std::mem::take(sections).into_iter();
            let detached = sections.filter_map(|section| {
                let detached = router.detach_section(now, section.key)?;
                Some((section, detached))
            });
            detached.collect::<Vec<_>>()
        };
        let sections = detach(&mut member.sections);
        let resting = detach(&mut member.resting);
        let barred = router.barred(from.member);
        router.remove_member(now, from.member, &mut self.commons.pages);
        while let Some((key, ssrc)) = router.poll_forgotten() {
            // Its place in the room is free for another by now: its own are named by its key.
            if key == from.member {
                member.transport.forget_ssrc(ssrc);
            } else if let Some(other) = room.members.get_mut(key.index()) {
                other.transport.forget_ssrc(ssrc);
            }
        }
        room.visits.retain(|one| *one != from.member);
        room.departed.retain(|one| *one != from.member);
        room.close_relayed(now, member.id, None);
        for stream in member.channels.forget_others() {
            member.transport.close_data(now, stream);
        }
        self.handshakes.forget(from);
        self.commons.wheel.unregister(member.timer);
        for track in &lost {
            self.commons.parting.push_back(Event::TrackUnpublished {
                room: room.id,
                participant: member.id,
                track: *track,
            });
        }
        self.lose_tracks(now, from.room, &lost);
        Some(Traveller {
            member,
            tracks,
            barred,
            sections,
            resting,
        })
    }

    /// Puts a participant into a room that has a place for it.
    fn arrive_in(&mut self, now: Instant, from: Place, to: RoomKey, traveller: Traveller) {
        let Some(room) = self.rooms.get_mut(to.index()) else {
            return;
        };
        let Traveller {
            mut member,
            tracks,
            barred,
            sections,
            resting,
        } = traveller;
        let place = Place::new(to, MemberKey::from_index(room.members.vacant_key()));
        member.timer = self.commons.wheel.register(Due::Member(place));
        let paths = member.transport.paths();
        let transport = member.transport_key;
        self.commons
            .places
            .relocate(transport, (from, place), paths);
        member.forget_room();
        let router = &mut room.router;
        router.add_member(place.member, &member.name);
        if member.is_held_by_remb {
            router.release_by_remb(now, place.member);
        }
        router.set_participant(place.member, member.id);
        router.set_receiving(now, place.member, false);
        router.set_barred(place.member, barred);
        if let Some(rtt) = member.transport.rtt() {
            router.set_rtt(place.member, rtt);
        }
        for (list, detached) in [
            (&mut member.sections, sections),
            (&mut member.resting, resting),
        ] {
            list.extend(detached.into_iter().filter_map(|(section, detached)| {
                let key = router.attach_section(place.member, detached)?;
                let track = None;
                Some(OpenSection {
                    key,
                    track,
                    lacks: None,
                    has_begun: false,
                    ..section
                })
            }));
        }
        for track in tracks {
            // As many as were published there.
            if let Ok(key) = router.publish(now, place.member, track.id, &track.plan) {
                router.set_muted(now, key, track.muted, &mut self.commons.pages);
                member.published.push(Published {
                    id: track.id,
                    key,
                    mid: track.mid,
                    news: true,
                });
                // There it may have been asked for less.
                member.dirty.encodings |= track.plan.rids.len() > 1;
            }
        }
        room.members.insert(member);
        room.reachable(now, place.member);
        self.enforce_publishing(now, place);
        self.place_tracks_in(now, to);
    }
}

impl Member {
    /// What it wished for and was shown belongs to the room it leaves.
    fn forget_room(&mut self) {
        self.wishes.clear();
        self.slot_sizes = 0;
        self.unplaced.clear();
        self.dirty.subscriptions = true;
        self.visiting = false;
    }
}

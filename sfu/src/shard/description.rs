//! A description arrives: what it changes in transport and router. And ours leave.

use super::Shard;
use super::command::{Negotiated, Permissions, Reply};
use super::negotiation::{Change, LocalParameters, OfferOutcome};
use super::places::Place;
use super::room::{OpenSection, Published};
use crate::error::{CommandError, Missing};
use crate::id::{Mid, ParticipantId, RoomId, TrackId};
use crate::sdp::description::{Description, IceCredentials, SdpType};
use crate::sdp::negotiate::MediaPlan;
use crate::time::Instant;
use crate::transport::RemoteParameters;
use crate::units::MediaKind;
use rand_chacha::rand_core::Rng;

impl Permissions {
    /// Whether media of `kind` may be sent.
    #[must_use]
    pub const fn publishes(&self, kind: MediaKind) -> bool {
        match kind {
            MediaKind::Audio => self.publish_audio,
            MediaKind::Video => self.publish_video,
        }
    }
}

/// What an exchange of descriptions did to the tracks of the room.
#[derive(Debug, Default)]
struct Effects {
    published: bool,
    lost: Vec<TrackId>,
}

impl Shard {
    pub(super) fn negotiate(
        &mut self,
        now: Instant,
        (room, participant): (RoomId, ParticipantId),
        description: &Description,
    ) -> Result<Reply, CommandError> {
        self.commons.can_part()?;
        let place = self.place(room, participant)?;
        self.current = Some(place.room);
        if description.sdp_type != SdpType::Answer {
            // Nobody has seen an offer that is not told yet: theirs need not wait for it.
            self.withdraw_offer(place);
        }
        let (negotiated, changes) = match description.sdp_type {
            SdpType::Offer => self.take_remote_offer(now, place, description)?,
            SdpType::Answer => (
                Negotiated::Accepted,
                self.take_answer(now, place, description)?,
            ),
            SdpType::Rollback => {
                if let Some(member) = self.member_mut(place) {
                    member.negotiation.handle_rollback();
                }
                (Negotiated::Accepted, Vec::new())
            }
        };
        // Sections first, tracks onto them afterwards: half-way through, a track would seem to lack
        // a section that the next change opens.
        self.forget_resting(place);
        let mut effects = Effects::default();
        let mut applied = Ok(());
        for change in changes {
            let outcome = self.apply(now, place, change, &mut effects);
            applied = applied.and(outcome);
        }
        if !effects.lost.is_empty() {
            self.lose_tracks(now, place.room, &effects.lost);
        }
        if effects.published {
            self.place_tracks_in(now, place.room);
        } else {
            self.place_tracks_of(now, place);
            self.settle_member(now, place);
        }
        applied?;
        Ok(Reply::Negotiated(negotiated))
    }

    fn take_remote_offer(
        &mut self,
        now: Instant,
        place: Place,
        offer: &Description,
    ) -> Result<(Negotiated, Vec<Change>), CommandError> {
        // New credentials in the offer mean an ICE restart: our answer carries new ones as well
        // (RFC 9429 §5.3.1), so they are made before it.
        if let Some(member) = self
            .rooms
            .get_mut(place.room.index())
            .and_then(|room| room.members.get_mut(place.member.index()))
            && member.negotiation.is_restart(now, offer)
        {
            member.transport.restart_ice(now, &mut self.commons.random);
        }
        let outcome = self.with_negotiation(place, |negotiation, local, ssrc| {
            negotiation.handle_offer(now, offer, local, ssrc)
        })?;
        Ok(match outcome {
            OfferOutcome::Ignored => (Negotiated::Ignored, Vec::new()),
            OfferOutcome::Answer { answer, changes } => {
                (Negotiated::Answer(Box::new(answer)), changes)
            }
        })
    }

    fn take_answer(
        &mut self,
        now: Instant,
        place: Place,
        answer: &Description,
    ) -> Result<Vec<Change>, CommandError> {
        self.with_negotiation(place, |negotiation, local, _| {
            negotiation.handle_answer(now, answer, local)
        })
    }

    /// Lends the negotiation of `place` what descriptions are made of.
    fn with_negotiation<T>(
        &mut self,
        place: Place,
        act: impl FnOnce(
            &mut super::negotiation::Negotiation,
            &LocalParameters<'_>,
            &mut dyn FnMut() -> u32,
        ) -> Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        let room = self.rooms.get_mut(place.room.index());
        let room = room.ok_or(CommandError::Closed)?;
        let member = room.members.get_mut(place.member.index());
        let member = member.ok_or(CommandError::Closed)?;
        let commons = &mut self.commons;
        let local = LocalParameters {
            ice: member.transport.local_credentials(),
            fingerprint: commons.config.identity.fingerprint,
            candidates: &commons.config.candidates,
            codecs: &room.parameters.codecs,
            cname: &member.name,
            publish_audio: member.permissions.publish_audio,
            publish_video: member.permissions.publish_video,
            tracks_max: member.permissions.tracks_max,
        };
        let random = &mut commons.random;
        // The negotiation refuses one that its transport has in use and draws again.
        let mut ssrc = || random.next_u32().max(1);
        act(&mut member.negotiation, &local, &mut ssrc)
    }

    fn apply(
        &mut self,
        now: Instant,
        place: Place,
        change: Change,
        effects: &mut Effects,
    ) -> Result<(), CommandError> {
        match change {
            Change::Ice {
                credentials,
                fingerprints,
                setup,
                ..
            } => {
                let remote = RemoteParameters {
                    ice: credentials,
                    fingerprints,
                    setup,
                };
                if let Some(member) = self.member_mut(place) {
                    member.transport.set_remote(now, remote)?;
                }
            }
            Change::Data { sctp_port, .. } => {
                if let Some(member) = self.member_mut(place) {
                    member.transport.enable_data(now, sctp_port);
                }
            }
            Change::ReceiveStarted(plan) => {
                self.publish(now, place, &plan)?;
                effects.published = true;
            }
            Change::ReceiveUpdated(plan) => {
                self.update_published(now, place, &plan);
                effects.published = true;
            }
            Change::ReceiveStopped(mid) => effects.lost.extend(self.unpublish(now, place, mid)),
            Change::SendOpened {
                plan,
                ssrc,
                rtx_ssrc,
            } => self.open_section(now, place, plan, (ssrc, rtx_ssrc)),
            Change::SendUpdated(plan) => self.update_section(now, place, plan),
            Change::SendClosed(mid) => self.close_section(now, place, mid),
            Change::SectionRefused(request) => {
                if let Some(member) = self.member_mut(place) {
                    member.refuse(request.format);
                }
            }
        }
        Ok(())
    }

    fn publish(
        &mut self,
        now: Instant,
        place: Place,
        plan: &MediaPlan,
    ) -> Result<(), CommandError> {
        let id = TrackId(self.commons.draw());
        let Some(room) = self.rooms.get_mut(place.room.index()) else {
            return Ok(());
        };
        let key = room.router.publish(now, place.member, id, plan)?;
        if let Some(member) = room.members.get_mut(place.member.index()) {
            let muted = member.permissions.muted_at_first;
            room.router
                .set_muted(now, key, muted, &mut self.commons.pages);
            member.published.push(Published {
                id,
                key,
                mid: plan.mid,
                news: true,
            });
            // Said in any case: a later word may be missed where there was none before.
            member.dirty.encodings |= plan.rids.len() > 1;
        }
        Ok(())
    }

    fn update_published(&mut self, now: Instant, place: Place, plan: &MediaPlan) {
        let Some(room) = self.rooms.get_mut(place.room.index()) else {
            return;
        };
        let Some(member) = room.members.get_mut(place.member.index()) else {
            return;
        };
        if let Some(track) = member.published.iter_mut().find(|one| one.mid == plan.mid) {
            room.router
                .update_track(now, track.key, plan, &mut self.commons.pages);
            track.news = true;
        }
    }

    fn unpublish(&mut self, now: Instant, place: Place, mid: Mid) -> Option<TrackId> {
        let room = self.rooms.get_mut(place.room.index())?;
        let member = room.members.get_mut(place.member.index())?;
        let index = member.published.iter().position(|one| one.mid == mid)?;
        let track = member.published.remove(index);
        let participant = member.id;
        room.router
            .unpublish(now, track.key, &mut self.commons.pages);
        self.commons
            .parting
            .push_back(super::Event::TrackUnpublished {
                room: room.id,
                participant,
                track: track.id,
            });
        Some(track.id)
    }

    /// Sections whose m-lines are gone for good.
    fn forget_resting(&mut self, place: Place) {
        let Some(room) = self.rooms.get_mut(place.room.index()) else {
            return;
        };
        if let Some(member) = room.members.get_mut(place.member.index()) {
            let negotiation = &member.negotiation;
            member.resting.retain(|section| {
                let stays = negotiation.keeps_ssrc(section.ssrc);
                if !stays {
                    room.router.close_section(section.key);
                }
                stays
            });
        }
    }

    fn open_section(
        &mut self,
        now: Instant,
        place: Place,
        plan: MediaPlan,
        (ssrc, rtx_ssrc): (u32, Option<u32>),
    ) {
        let Some(room) = self.rooms.get_mut(place.room.index()) else {
            return;
        };
        let Some(member) = room.members.get_mut(place.member.index()) else {
            return;
        };
        let rested = member.resting.iter().position(|one| one.ssrc == ssrc);
        let key = match rested.map(|index| member.resting.remove(index).key) {
            Some(key) => {
                room.router.update_section(now, key, &plan);
                Some(key)
            }
            None => room.router.open_section(
                place.member,
                &plan,
                ssrc,
                rtx_ssrc,
                &mut self.commons.random,
            ),
        };
        let Some(key) = key else {
            return;
        };
        // A section that has rested comes back as it was.
        room.router.set_thin(key, member.adaptation.is_thin());
        member.sections.push(OpenSection {
            key,
            ssrc,
            plan,
            lacks: None,
            has_begun: false,
            track: None,
        });
        member.retry_refused();
        member.dirty.subscriptions = true;
    }

    fn update_section(&mut self, now: Instant, place: Place, plan: MediaPlan) {
        let Some(room) = self.rooms.get_mut(place.room.index()) else {
            return;
        };
        let Some(member) = room.members.get_mut(place.member.index()) else {
            return;
        };
        if let Some(section) = member
            .sections
            .iter_mut()
            .find(|one| one.plan.mid == plan.mid)
        {
            room.router.update_section(now, section.key, &plan);
            section.plan = plan;
            member.dirty.subscriptions = true;
        }
    }

    fn close_section(&mut self, now: Instant, place: Place, mid: Mid) {
        let Some(room) = self.rooms.get_mut(place.room.index()) else {
            return;
        };
        let Some(member) = room.members.get_mut(place.member.index()) else {
            return;
        };
        if let Some(index) = member.sections.iter().position(|one| one.plan.mid == mid) {
            let mut section = member.sections.remove(index);
            section.track = None;
            if member.negotiation.keeps_ssrc(section.ssrc) {
                room.router.halt_section(now, section.key);
                member.resting.push(section);
            } else {
                room.router.close_section(section.key);
            }
            member.dirty.subscriptions = true;
        }
    }

    /// An offer of ours that has not been told is void; what it asked for is asked again.
    fn withdraw_offer(&mut self, place: Place) {
        if let Some(member) = self.member_mut(place)
            && member.offer.take().is_some()
        {
            member.negotiation.handle_rollback();
        }
    }

    /// An offer of ours, where the negotiation has one to make now.
    pub(super) fn take_offer(&mut self, now: Instant, place: Place) {
        if !self.member_mut(place).is_some_and(|member| member.offers) {
            return;
        }
        let offer = self.with_negotiation(place, |negotiation, local, ssrc| {
            Ok(negotiation.poll_offer(now, local, ssrc))
        });
        if let Ok(Some(offer)) = offer
            && let Some(member) = self.member_mut(place)
        {
            member.offer = Some(Box::new(offer));
        }
    }

    pub(super) fn restart_ice(
        &mut self,
        now: Instant,
        room: RoomId,
        participant: ParticipantId,
    ) -> Result<Reply, CommandError> {
        let place = self.place(room, participant)?;
        self.current = Some(place.room);
        let room = self.rooms.get_mut(place.room.index());
        if let Some(member) = room.and_then(|room| room.members.get_mut(place.member.index())) {
            if !member.offers {
                let why = "takes no offers; it restarts ICE itself".to_owned();
                let field = "participant";
                return Err(CommandError::Invalid { field, why });
            }
            member.transport.restart_ice(now, &mut self.commons.random);
            member.negotiation.request_restart();
        }
        self.settle_member(now, place);
        Ok(Reply::Done)
    }

    /// Their new credentials without a description (RFC 9725 §4.3.3).
    pub(super) fn restart_remote_ice(
        &mut self,
        now: Instant,
        (room, participant): (RoomId, ParticipantId),
        ufrag: String,
        pwd: String,
    ) -> Result<Reply, CommandError> {
        let place = self.place(room, participant)?;
        self.current = Some(place.room);
        let theirs = IceCredentials::checked(ufrag, pwd)?;
        self.withdraw_offer(place);
        let room = self.rooms.get_mut(place.room.index());
        let member = room.and_then(|room| room.members.get_mut(place.member.index()));
        let member = member.ok_or(CommandError::Closed)?;
        if !member.negotiation.knows_credentials(&theirs)? {
            member.transport.restart_ice(now, &mut self.commons.random);
            let ours = member.transport.local_credentials().clone();
            if let Some(remote) = member.negotiation.take_credentials(theirs, ours) {
                member.transport.set_remote(now, remote)?;
            }
        }
        let told = member.negotiation.told().ok_or(CommandError::Closed)?;
        let reply = Reply::Restarted {
            ufrag: told.ufrag.clone(),
            pwd: told.password.clone(),
        };
        self.settle_member(now, place);
        Ok(reply)
    }

    /// A track is gone, though its m-line stands: what comes on it belongs to nothing.
    pub(super) fn unpublish_track(
        &mut self,
        now: Instant,
        room: RoomId,
        track: TrackId,
    ) -> Result<Reply, CommandError> {
        self.commons.can_part()?;
        let key = self.room_key(room)?;
        self.current = Some(key);
        let missing = CommandError::NotFound(Missing::Track(track));
        let found = self.rooms.get_mut(key.index()).and_then(|room| {
            let (member, track_key) = room.track(track)?;
            let publisher = room.members.get(member.index())?;
            let published = publisher.published.iter().find(|one| one.id == track)?;
            let mid = published.mid;
            room.router.bar(track_key);
            Some((member, mid))
        });
        let (member, mid) = found.ok_or(missing)?;
        let lost = self.unpublish(now, Place::new(key, member), mid);
        self.lose_tracks(now, key, lost.as_slice());
        Ok(Reply::Done)
    }
}

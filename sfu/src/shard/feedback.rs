//! RTCP of a participant: what concerns its own tracks, and what it says of what we send it.

use super::Shard;
use super::places::Place;
use crate::error::DropReason;
use crate::time::Instant;
use crate::wire::feedback::Feedback;
use crate::wire::rtcp::{self, RtcpPacket};

impl Shard {
    /// One decrypted compound. A packet in it that is not well formed ends it; what stood before
    /// has been acted upon.
    pub(super) fn take_compound(
        &mut self,
        now: Instant,
        place: Place,
        compound: &[u8],
    ) -> Result<(), DropReason> {
        let room = self.rooms.get_mut(place.room.index());
        let room = room.ok_or(DropReason::UnknownPath)?;
        let member = place.member;
        let mut is_told = false;
        for packet in rtcp::packets(compound) {
            match packet? {
                RtcpPacket::SenderReport {
                    ssrc,
                    ntp,
                    rtp,
                    reports,
                    ..
                } => {
                    room.router
                        .handle_sender_report(now, member, ssrc, ntp, rtp);
                    for block in reports {
                        room.router.handle_report_block(now, member, &block);
                    }
                }
                RtcpPacket::ReceiverReport { reports, .. } => {
                    for block in reports {
                        room.router.handle_report_block(now, member, &block);
                    }
                }
                RtcpPacket::Bye(bye) => {
                    for ssrc in bye {
                        room.router
                            .handle_bye(now, member, ssrc, &mut self.commons.pages);
                    }
                }
                RtcpPacket::Feedback(feedback) => {
                    is_told |= matches!(
                        feedback,
                        Feedback::TransportWide(_) | Feedback::Control(_) | Feedback::Remb { .. }
                    );
                    room.take_feedback(now, member, feedback);
                }
                // Names and what we do not know ask for nothing.
                RtcpPacket::Sdes(_) | RtcpPacket::Unknown { .. } => {}
            }
        }
        room.judge_quality(now, member);
        if is_told {
            room.adapt(now, member, &mut self.commons.adapting);
        }
        Ok(())
    }
}

impl super::room::Room {
    fn take_feedback(&mut self, now: Instant, key: crate::id::MemberKey, feedback: Feedback<'_>) {
        match feedback {
            Feedback::Nack {
                media, sequences, ..
            } => self.router.handle_nack(now, key, media, sequences),
            Feedback::Pli { media, .. } => {
                self.router.handle_keyframe_request(now, key, media);
            }
            Feedback::Fir { entries, .. } => {
                for (ssrc, _) in entries {
                    self.router.handle_keyframe_request(now, key, ssrc);
                }
            }
            Feedback::TransportWide(feedback) => {
                if let Some(member) = self.members.get_mut(key.index()) {
                    member.transport.handle_transport_feedback(now, &feedback);
                }
                self.note_estimate(now, key);
            }
            Feedback::Control(feedback) => {
                if let Some(member) = self.members.get_mut(key.index()) {
                    member.transport.handle_control_feedback(now, &feedback);
                }
                self.note_estimate(now, key);
            }
            Feedback::Remb { bitrate, .. } => {
                if let Some(member) = self.members.get_mut(key.index()) {
                    member.transport.handle_ceiling(now, bitrate);
                }
                self.note_estimate(now, key);
            }
            Feedback::Unknown => {}
        }
    }

    /// Repairs and copies of sound go by what is known of the path.
    fn note_estimate(&mut self, now: Instant, key: crate::id::MemberKey) {
        let Some(member) = self.members.get(key.index()) else {
            return;
        };
        if let Some(estimate) = member.transport.estimate() {
            self.router.set_estimate(now, key, Some(estimate.fast));
            // A sum alone says nothing of losses; reports of sources do.
            if member.transport.is_paced() {
                self.router.set_loss(now, key, thousandths(estimate.loss));
            }
        }
    }
}

/// Of a part between 0 and 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is clamped, and casts of floats saturate"
)]
pub(super) fn thousandths(part: f64) -> u16 {
    (part.clamp(0.0, 1.0) * 1_000.0) as u16
}

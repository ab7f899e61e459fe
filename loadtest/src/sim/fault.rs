//! Planted faults: what the laws are shown instead of what happened, once each.
//!
//! A law that cannot fail proves nothing. A tap sits between the world and the laws and distorts
//! one observation, so that each law is seen to catch what it is there for.

use std::net::SocketAddr;

use sfu::shard::TableSizes;

use super::datagram::{RtpSeen, Seen};
use crate::media::Spoiled;
use crate::robot::reception::{Observed, Packet};

/// A fault to be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A media packet has the number of the one before it.
    RepeatedIndex,
    /// A report has the index of the one before it.
    RepeatedReportIndex,
    /// A media packet leaves unseen: its number is a hole.
    SkippedNumber,
    /// A media time runs back.
    TimeBack,
    /// A packet says that it is a frame later than it is.
    LostFrame,
    /// A picture has the number of another.
    MiscountedPicture,
    /// A datagram goes to an address that never sent a check.
    Stranger,
    /// One more datagram was handed in than is counted.
    MiscountedIn,
    /// One more datagram has left than is counted.
    MiscountedOut,
    /// A table holds one participant too many.
    ForgottenParticipant,
    /// A timer is left over at the end.
    LeftOver,
    /// A payload is damaged.
    Damaged,
    /// Somebody receives himself.
    Echo,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::RepeatedIndex,
        Self::RepeatedReportIndex,
        Self::SkippedNumber,
        Self::TimeBack,
        Self::LostFrame,
        Self::MiscountedPicture,
        Self::Stranger,
        Self::MiscountedIn,
        Self::MiscountedOut,
        Self::ForgottenParticipant,
        Self::LeftOver,
        Self::Damaged,
        Self::Echo,
    ];
}

/// Sits between the world and the laws; without a fault it changes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tap {
    fault: Option<Fault>,
    /// Chances to strike that pass unused, so that there is something before it.
    patience: u32,
    last: Option<RtpSeen>,
    last_report: Option<(u32, u32)>,
}

impl Tap {
    /// Plants `fault` at the hundredth chance.
    #[must_use]
    pub const fn with(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            patience: 100,
            last: None,
            last_report: None,
        }
    }

    /// Whether `fault` strikes now; it strikes once.
    fn strikes(&mut self, fault: Fault) -> bool {
        if self.fault != Some(fault) {
            return false;
        }
        self.patience = self.patience.saturating_sub(1);
        let strikes = self.patience == 0;
        if strikes {
            self.fault = None;
        }
        strikes
    }

    pub(super) fn departure(&mut self, to: SocketAddr, seen: Seen) -> (SocketAddr, Seen) {
        match seen {
            Seen::Rtp(packet) => self.media(to, packet),
            Seen::Rtcp { ssrc, index } => {
                let last = self.last_report.filter(|last| last.0 == ssrc);
                // Reports are rare: the second one of an SSRC has to do.
                if let Some((_, last)) = last
                    && self.fault == Some(Fault::RepeatedReportIndex)
                {
                    self.fault = None;
                    return (to, Seen::Rtcp { ssrc, index: last });
                }
                self.last_report = Some((ssrc, index));
                (to, seen)
            }
            Seen::StunRequest { .. } | Seen::Stun | Seen::Dtls | Seen::Other => (to, seen),
        }
    }

    fn media(&mut self, to: SocketAddr, packet: RtpSeen) -> (SocketAddr, Seen) {
        let mut shown = packet;
        let mut shown_to = to;
        let last = self.last.filter(|last| last.ssrc == packet.ssrc);
        if let Some(last) = last {
            if self.strikes(Fault::RepeatedIndex) {
                shown.sequence = last.sequence;
            } else if self.strikes(Fault::TimeBack) {
                shown.timestamp = last.timestamp.wrapping_sub(9_000);
            } else if self.strikes(Fault::SkippedNumber) {
                return (to, Seen::Other);
            }
        }
        if self.strikes(Fault::Stranger) {
            shown_to = ([203, 0, 113, 9], 9).into();
        }
        self.last = Some(packet);
        (shown_to, Seen::Rtp(shown))
    }

    pub(super) fn observed(&mut self, member: usize, observed: Observed) -> Observed {
        let mut shown = observed;
        if self.strikes(Fault::Damaged) {
            shown.packet = Err(Spoiled::Damaged);
        }
        match &mut shown.packet {
            Ok(Packet::Audio(stamp)) => {
                if self.strikes(Fault::Echo) {
                    stamp.sender = u32::try_from(member).unwrap_or(u32::MAX);
                }
            }
            Ok(Packet::Video(video)) => {
                if self.strikes(Fault::LostFrame) {
                    video.stamp.frame += 1;
                }
                if self.strikes(Fault::MiscountedPicture) {
                    video.numbers.picture ^= 1;
                }
            }
            Err(_) => {}
        }
        shown
    }

    pub(super) fn counted(&mut self, counted: (u64, u64)) -> (u64, u64) {
        let more = |strikes| u64::from(strikes);
        let into = more(self.strikes(Fault::MiscountedIn));
        (
            counted.0 + into,
            counted.1 + more(self.strikes(Fault::MiscountedOut)),
        )
    }

    pub(super) fn sizes(&mut self, sizes: TableSizes) -> TableSizes {
        let mut shown = sizes;
        if sizes.participants > 0 && self.fault == Some(Fault::ForgottenParticipant) {
            self.fault = None;
            shown.participants += 1;
        }
        if sizes.rooms == 0 && self.fault == Some(Fault::LeftOver) {
            self.fault = None;
            shown.timers += 1;
        }
        shown
    }
}

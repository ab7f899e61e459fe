//! A published track: what its m-line negotiated, its encodings, and the sections that show it.

use crate::id::{EncodingKey, MemberKey, Mid, PortId, SectionKey, TrackId};
use crate::sdp::negotiate::{MediaPlan, PayloadPlan};
use crate::time::{Duration, Instant};
use crate::units::MediaKind;
use crate::wire::payload::{Codec, Format};

/// A change of format makes the shard look at everybody in the room, so a publisher that takes turns
/// with its payload types is believed this often.
const FORMAT_INTERVAL: Duration = Duration::from_millis(500);

/// One published audio or video source.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own; no two exclude each other"
)]
pub struct Track {
    id: TrackId,
    member: MemberKey,
    /// Its publisher is on the other side of this.
    pub(super) port: Option<PortId>,
    /// Which encodings the other side was told to send: bit i stands for rung i.
    pub(super) wanted: u8,
    pub(super) plan: MediaPlan,
    pub(super) muted: bool,
    pub(super) screen: bool,
    /// Its publisher has lost the permission.
    pub(super) forbidden: bool,
    /// It is among the loudest that somebody is sent.
    pub(super) is_ranked: bool,
    /// Sections that show it however loud it is.
    pub(super) pins: usize,
    /// It is among the router's changed tracks.
    pub(super) changed: bool,
    /// What it is coded in now.
    pub(super) format: Format,
    /// When that was said last.
    format_at: Option<Instant>,
    pub(super) encodings: Vec<EncodingKey>,
    pub(super) sections: Vec<SectionKey>,
    /// The encoding its sections should show.
    pub(super) best: Option<EncodingKey>,
}

impl Track {
    pub(super) fn new(id: TrackId, member: MemberKey, plan: &MediaPlan) -> Self {
        Self {
            id,
            member,
            port: None,
            wanted: 0,
            plan: plan.clone(),
            muted: false,
            screen: false,
            forbidden: false,
            is_ranked: false,
            pins: 0,
            changed: false,
            format: first_format(plan),
            format_at: None,
            encodings: Vec::new(),
            sections: Vec::new(),
            best: None,
        }
    }

    /// Its name outside.
    #[must_use]
    pub const fn id(&self) -> TrackId {
        self.id
    }

    /// Who publishes it.
    #[must_use]
    pub const fn member(&self) -> MemberKey {
        self.member
    }

    /// The publisher's m-line.
    #[must_use]
    pub const fn mid(&self) -> Mid {
        self.plan.mid
    }

    /// Audio or video.
    #[must_use]
    pub const fn kind(&self) -> MediaKind {
        self.plan.kind
    }

    /// What it is coded in now; the first negotiated one before its first packet.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.format.codec
    }

    /// The same with its profile.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Muted by the server.
    #[must_use]
    pub const fn muted(&self) -> bool {
        self.muted
    }

    /// It shows a screen, not a camera.
    #[must_use]
    pub const fn is_screen(&self) -> bool {
        self.screen
    }

    /// Nothing of it is forwarded, whatever its publisher sends.
    pub(super) const fn is_silent(&self) -> bool {
        self.muted || self.forbidden
    }

    /// A packet in `format`. True where that is news: who can be shown the track may have changed.
    pub(super) fn comes_in(&mut self, now: Instant, format: Format) -> bool {
        let settles = |at| now.since(at) >= FORMAT_INTERVAL;
        if self.format == format || !self.format_at.is_none_or(settles) {
            return false;
        }
        self.format = format;
        self.format_at = Some(now);
        !std::mem::replace(&mut self.changed, true)
    }

    /// The m-line was negotiated again.
    pub(super) fn update(&mut self, plan: &MediaPlan) {
        if !plan.payloads.iter().any(|p| p.format == self.format) {
            self.format = first_format(plan);
        }
        self.plan = plan.clone();
    }

    /// What the publisher negotiated for what it sends now.
    pub(super) fn payload_plan(&self) -> Option<&PayloadPlan> {
        self.plan.for_format(&self.format)
    }
}

/// What a publisher will most likely send: its first choice, which is never redundancy.
fn first_format(plan: &MediaPlan) -> Format {
    let mut formats = plan.payloads.iter().map(|payload| payload.format);
    formats
        .find(|format| format.codec != Codec::Red)
        .unwrap_or_else(|| {
            Format::of(match plan.kind {
                MediaKind::Audio => Codec::Opus,
                MediaKind::Video => Codec::Vp8,
            })
        })
}

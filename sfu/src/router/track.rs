//! A published track and its encodings.

use crate::id::{MemberKey, Mid, TrackId};
use crate::units::MediaKind;
use crate::wire::payload::Codec;

/// One published audio or video source.
#[derive(Clone, Debug)]
pub struct Track {
    id: TrackId,
    member: MemberKey,
    mid: Mid,
    kind: MediaKind,
    codec: Codec,
    muted: bool,
}

impl Track {
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
        self.mid
    }

    /// Audio or video.
    #[must_use]
    pub const fn kind(&self) -> MediaKind {
        self.kind
    }

    /// What it is coded in now; the first negotiated one before its first packet.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// Muted by the server.
    #[must_use]
    pub const fn muted(&self) -> bool {
        self.muted
    }
}

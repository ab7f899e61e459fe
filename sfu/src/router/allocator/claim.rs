//! What is asked of the allocator.

use crate::id::SectionKey;
use crate::units::Bitrate;

/// A layer that a section could be sent, with everything below it that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Spatial layer or simulcast rung, lowest is 0.
    pub spatial: u8,
    /// Temporal layer, lowest is 0.
    pub temporal: u8,
    /// Pixels from top to bottom.
    pub height: u16,
    /// Pictures per second.
    pub fps: u8,
    /// Wire bytes for this target, lower layers that go with it included. Zero: it does not flow,
    /// and cannot be given.
    pub bitrate: Bitrate,
}

/// How much one track matters to this participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// 1 (least) to 255; 0 counts as 1.
    pub priority: u8,
    /// Its owner speaks now.
    pub is_active_speaker: bool,
    /// The viewer has chosen to look at it.
    pub is_pinned: bool,
    /// It shows a screen: sharp pictures matter, smooth ones less.
    pub is_screen_share: bool,
}

/// Who speaks counts as much as four who do not.
const SPEAKER_FACTOR: u32 = 4;
/// What the viewer chose outweighs who happens to speak.
const PINNED_FACTOR: u32 = 8;
/// A screen is what the talk is about.
const SCREEN_SHARE_FACTOR: u32 = 4;

impl Weight {
    /// One number.
    #[must_use]
    pub fn factor(self) -> u32 {
        let mut factor = u32::from(self.priority.max(1));
        if self.is_active_speaker {
            factor *= SPEAKER_FACTOR;
        }
        if self.is_pinned {
            factor *= PINNED_FACTOR;
        }
        if self.is_screen_share {
            factor *= SCREEN_SHARE_FACTOR;
        }
        factor
    }
}

/// One section's claim on the bitrate.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Whose it is.
    pub section: SectionKey,
    /// How much it matters.
    pub weight: Weight,
    /// Pixels from top to bottom it is shown at; 0 is unlimited. Layers above are worth nothing,
    /// but the lowest height always counts.
    pub wanted_height: u16,
    /// False: the lowest layer is sent even where it does not fit.
    pub may_pause: bool,
    /// The viewer does not look, or has paused it.
    pub is_hidden: bool,
    /// At most [`LAYERS_PER_TRACK`](crate::limits::LAYERS_PER_TRACK), by rank, lowest first.
    pub layers: &'a [Layer],
    /// What is sent now, as a place in `layers`. Asked for only where the allocator sees the
    /// section for the first time; from then on it goes by what it gave.
    pub current: Option<usize>,
}

/// What there is for video: net of audio and of what is reserved for retransmissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// What is given now may cost so much: what does not fit goes down at once.
    pub fast: Bitrate,
    /// What the path carries by what is known: what has to be taken back although nearly all of it
    /// was carried is a matter of the path's noise.
    pub carried: Bitrate,
    /// The least of `carried` in the last 2.5 s: what goes up has to fit in it.
    pub stable: Bitrate,
}

impl Budget {
    /// `stable` is never above `fast`, whatever the caller's windows say.
    pub(super) fn ordered(self) -> Self {
        Self {
            fast: self.fast,
            carried: self.carried,
            stable: self.stable.min(self.fast),
        }
    }
}

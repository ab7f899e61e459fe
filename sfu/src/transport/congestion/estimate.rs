//! What is known of a path, and why no more may be sent.

use crate::time::Duration;
use crate::units::Bitrate;

/// Why the target is what it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cause {
    /// It grows.
    #[default]
    Growing,
    /// Less is sent than would be allowed: nothing new is learned.
    Unused,
    /// A queue stands on the way.
    Queue,
    /// More is lost than the path loses by itself.
    Loss,
    /// Nothing is heard from the receiver.
    Silence,
}

impl Cause {
    /// The path shows that it carries no more, or does not answer.
    #[must_use]
    pub const fn is_full(self) -> bool {
        match self {
            Self::Queue | Self::Loss | Self::Silence => true,
            Self::Growing | Self::Unused => false,
        }
    }

    /// As logs, the API and the page write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Growing => "growing",
            Self::Unused => "unused",
            Self::Queue => "queue",
            Self::Loss => "loss",
            Self::Silence => "silence",
        }
    }
}

/// What is known of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// What may be sent now, wire bytes.
    pub fast: Bitrate,
    /// For keeping what is given: what the path carries, also while less is sent so that a queue
    /// drains.
    pub carried: Bitrate,
    /// For going up: the least of `carried` in the last 2.5 s, and no more than `fast`.
    pub stable: Bitrate,
    /// Time packets wait on the way, the newest that were told of.
    pub queue: Duration,
    /// Time a packet would wait that is sent now, where a queue of ours stands: what has been sent
    /// since and was not told of stands before it.
    pub ahead: Duration,
    /// Lost of sent, 0 to 1.
    pub loss: f64,
    /// Round trip, the receiver's waiting excluded.
    pub rtt: Duration,
    /// Why `fast` is what it is.
    pub cause: Cause,
}

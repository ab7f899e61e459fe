//! How good a connection is, in one word, as participants are told it of each other.

use sfu::shard::event;

/// How good a participant's connection is, both ways together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quality {
    /// What gets lost is not noticed.
    #[default]
    Good,
    /// More than 2 % is lost, or it takes more than 200 ms there and back.
    Fair,
    /// More than 8 %, or more than 500 ms.
    Poor,
    /// Nothing comes.
    Lost,
}

impl Quality {
    /// As the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "GOOD",
            Self::Fair => "FAIR",
            Self::Poor => "POOR",
            Self::Lost => "LOST",
        }
    }
}

impl From<event::Quality> for Quality {
    fn from(quality: event::Quality) -> Self {
        match quality {
            event::Quality::Good => Self::Good,
            event::Quality::Fair => Self::Fair,
            event::Quality::Poor => Self::Poor,
        }
    }
}

//! How good a connection is, in one word, as participants are told it of each other.

use sfu::shard::event::Quality;

/// How good a participant's connection is, both ways together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectionQuality {
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

impl ConnectionQuality {
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

impl From<Quality> for ConnectionQuality {
    fn from(quality: Quality) -> Self {
        match quality {
            Quality::Good => Self::Good,
            Quality::Fair => Self::Fair,
            Quality::Poor => Self::Poor,
        }
    }
}

//! Packets that go out a second time as they were: under their own SSRC and number, for those who ask
//! again without having negotiated RTX.
//!
//! The number is the SRTP index, and one index stands for one packet: with other bytes under it
//! AES-GCM would give its key away (RFC 7714 §8.2). No copies are kept: what a packet was stamped
//! with is remembered, and a digest that tells whether it came out the same again.

use foldhash::quality::FixedState;
use std::hash::BuildHasher;

use crate::error::DropReason;
use crate::limits::SENT_RING;

/// What is a packet's own only by the moment it left in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamps {
    pub(super) transport_sequence: Option<u16>,
    pub(super) abs_send_time: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Gone {
    number: u64,
    digest: u64,
    stamps: Stamps,
}

/// How the last packets of a section went out, by their numbers.
#[derive(Debug)]
pub(super) struct Again {
    ring: Box<[Gone]>,
}

impl Default for Again {
    fn default() -> Self {
        Self {
            ring: vec![Gone::default(); SENT_RING].into_boxed_slice(),
        }
    }
}

impl Again {
    /// A packet went out.
    pub(super) fn remember(&mut self, number: u64, stamps: Stamps, packet: &[u8]) {
        let place = self.place(number);
        if let Some(place) = self.ring.get_mut(place) {
            *place = Gone {
                number,
                digest: digest(packet),
                stamps,
            };
        }
    }

    /// What a packet is to be stamped with, to be the same again.
    pub(super) fn stamps(&self, number: u64) -> Option<Stamps> {
        self.gone(number).map(|gone| gone.stamps)
    }

    /// Whether `packet` is what went out under `number`.
    ///
    /// # Errors
    /// `Expired`: it is not, or was forgotten.
    pub(super) fn check(&self, number: u64, packet: &[u8]) -> Result<(), DropReason> {
        let same = self
            .gone(number)
            .is_some_and(|gone| gone.digest == digest(packet));
        same.then_some(()).ok_or(DropReason::Expired)
    }

    fn gone(&self, number: u64) -> Option<&Gone> {
        let gone = self.ring.get(self.place(number))?;
        (gone.number == number).then_some(gone)
    }

    fn place(&self, number: u64) -> usize {
        usize::try_from(number % (self.ring.len() as u64).max(1)).unwrap_or(0)
    }
}

fn digest(packet: &[u8]) -> u64 {
    FixedState::with_seed(0).hash_one(packet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_packet_goes_out_again() {
        let mut again = Again::default();
        let stamps = Stamps {
            transport_sequence: Some(7),
            abs_send_time: 9,
        };
        again.remember(70_000, stamps, b"a packet");
        assert_eq!(again.stamps(70_000), Some(stamps));
        assert_eq!(again.check(70_000, b"a packet"), Ok(()));
        assert_eq!(again.check(70_000, b"another"), Err(DropReason::Expired));
        assert_eq!(again.check(70_001, b"a packet"), Err(DropReason::Expired));
        again.remember(70_000 + SENT_RING as u64, stamps, b"a packet");
        assert_eq!(again.check(70_000, b"a packet"), Err(DropReason::Expired));
        assert_eq!(again.stamps(70_000), None);
    }
}

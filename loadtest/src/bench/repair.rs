//! A lossy path to each peer: one packet in so many is thrown away before it is looked at, what is
//! missing is asked for again (generic NACK, RFC 4585 §6.2.1), and repeats (RTX, RFC 4588) are held
//! against what was thrown away.

use fastrand::Rng;
use sfu::time::Duration;
use sfu::wire::rtp::header_bytes;

use super::offer::RTX_PAYLOAD_TYPE;
use super::peer::Peer;
use super::publication::label;
use super::received::Stream;

/// Until what was asked for and did not come is asked for again.
const ASK_EVERY: Duration = Duration::from_millis(25);
/// Asked so often, a packet is given up.
const ASKED_MAX: u32 = 30;
/// Packets of one peer that are missing at the same time; of more the oldest are given up.
const MISSING_MAX: usize = 256;

/// What all peers missed and got.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Repairs {
    /// Packets thrown away, not counting repeats.
    pub(super) thrown_away: u64,
    /// Of them those that were found to be missing.
    pub(super) missed: u64,
    /// Repeats that came, also those thrown away.
    pub(super) repeats: u64,
    /// Missing packets that came with their first, second and third repeat.
    pub(super) recovered: [u64; 3],
    /// Repeats that are not the packet they stand for.
    pub(super) spoiled: u64,
}

impl Repairs {
    /// The share of what was missed that the first `repeats` repeats brought back.
    pub(super) fn share(&self, repeats: usize) -> f64 {
        let recovered: u64 = self.recovered.iter().take(repeats).sum();
        recovered as f64 / self.missed as f64
    }
}

/// A packet that did not come.
#[derive(Clone, Copy, Debug)]
struct Missing {
    sequence: u16,
    asked: u32,
    asked_at: Duration,
    /// Its repeats so far.
    repeats: usize,
}

/// The lossy path to one peer.
#[derive(Debug)]
pub(super) struct Path {
    chance: Rng,
    missing: Vec<Missing>,
}

impl Path {
    pub(super) fn new(number: usize) -> Self {
        Self {
            chance: Rng::with_seed(number as u64),
            missing: Vec::new(),
        }
    }

    /// Nothing is missing any more.
    pub(super) fn forget(&mut self) {
        self.missing.clear();
    }

    /// Whether a packet is thrown away, by the path's loss in thousandths.
    pub(super) fn takes(&mut self, per_mille: u32, is_repeat: bool, all: &mut Repairs) -> bool {
        let takes = self.chance.u32(..1_000) < per_mille;
        all.thrown_away += u64::from(takes && !is_repeat);
        takes
    }

    /// These numbers of the peer's stream were passed over.
    pub(super) fn pass_over(&mut self, numbers: impl Iterator<Item = u16>, all: &mut Repairs) {
        for sequence in numbers {
            all.missed += 1;
            self.missing.push(Missing {
                sequence,
                asked: 0,
                asked_at: Duration::ZERO,
                repeats: 0,
            });
        }
        let surplus = self.missing.len().saturating_sub(MISSING_MAX);
        self.missing.drain(..surplus);
    }

    /// A packet of a repair stream; `arrives`: it is not thrown away.
    pub(super) fn take_repeat(
        &mut self,
        peer: &mut Peer,
        streams: &[Stream],
        (bytes, arrives): (&mut [u8], bool),
        all: &mut Repairs,
    ) {
        let Some(length) = peer.open_packet(bytes) else {
            all.spoiled += 1;
            return;
        };
        let packet = bytes.get(..length).unwrap_or_default();
        let payload = header_bytes(packet).ok().and_then(|it| packet.get(it..));
        // Padding that probes a path has no payload; nor has it the number of a packet.
        let number = payload.and_then(|it| it.split_first_chunk());
        let Some((&number, payload)) = number.filter(|(_, payload)| label(payload).is_some())
        else {
            return;
        };
        let sequence = u16::from_be_bytes(number);
        all.repeats += 1;
        let Some(place) = self.missing.iter().position(|it| it.sequence == sequence) else {
            return;
        };
        let Some(missing) = self.missing.get_mut(place) else {
            return;
        };
        missing.repeats += 1;
        if !arrives {
            return;
        }
        if let Some(count) = all.recovered.get_mut(missing.repeats - 1) {
            *count += 1;
        }
        self.missing.swap_remove(place);
        let promised = streams.first().and_then(|stream| stream.label(sequence));
        all.spoiled += u64::from(label(payload) != promised);
    }

    /// Asks for what is missing and was not asked for lately.
    pub(super) fn ask(
        &mut self,
        at: Duration,
        peer: &mut Peer,
        streams: &[Stream],
    ) -> anyhow::Result<()> {
        let Some(stream) = streams.first() else {
            return Ok(());
        };
        let mut wanted: Vec<u16> = Vec::new();
        for missing in &mut self.missing {
            if missing.asked == 0 || at.saturating_sub(missing.asked_at) >= ASK_EVERY {
                (missing.asked, missing.asked_at) = (missing.asked + 1, at);
                wanted.push(missing.sequence);
            }
        }
        self.missing.retain(|missing| missing.asked < ASKED_MAX);
        if wanted.is_empty() {
            return Ok(());
        }
        wanted.sort_unstable();
        peer.ask_for(stream.ssrc, &wanted)
    }
}

/// Whether an RTP packet is of a repair stream.
pub(super) fn is_repeat(packet: &[u8]) -> bool {
    packet
        .get(1)
        .is_some_and(|second| second & 0x7F == RTX_PAYLOAD_TYPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_loses_about_as_much_as_it_is_told_to() {
        let (mut path, mut all) = (Path::new(7), Repairs::default());
        let lost = (0..10_000).filter(|_| path.takes(20, false, &mut all));
        assert!((150..250).contains(&lost.count()));
        assert!(!Path::new(7).takes(0, false, &mut all));
    }

    #[test]
    fn shares_are_of_everything_that_was_missed() {
        let all = Repairs {
            missed: 1_000,
            recovered: [970, 28, 1],
            ..Repairs::default()
        };
        assert_eq!((all.share(1), all.share(3)), (0.97, 0.999));
    }
}

//! Which packet had which of our own numbers, for those who tell of packets by SSRC and sequence
//! number (RFC 8888): the estimator knows only numbers over the whole transport.

use crate::limits::{SECTIONS_PER_TRANSPORT, SENT_RING};

/// The last packets of one source, by sequence number.
#[derive(Debug)]
struct Source {
    ssrc: u32,
    ring: Box<[(u16, u64)]>,
}

/// The sources of a transport: media and repairs of each section.
#[derive(Debug, Default)]
pub(super) struct Numbered {
    /// In order of SSRC.
    sources: Vec<Source>,
}

impl Numbered {
    /// A packet left under `number`, which is not 0.
    pub(super) fn sent(&mut self, ssrc: u32, sequence: u16, number: u64) {
        let place = match self.sources.binary_search_by_key(&ssrc, |it| it.ssrc) {
            Ok(place) => place,
            Err(_) if self.sources.len() >= 2 * SECTIONS_PER_TRANSPORT => return,
            Err(place) => {
                let ring = vec![(0, 0); SENT_RING].into_boxed_slice();
                self.sources.insert(place, Source { ssrc, ring });
                place
            }
        };
        let entry = self.sources.get_mut(place);
        let entry = entry.and_then(|it| it.ring.get_mut(usize::from(sequence) % SENT_RING));
        if let Some(entry) = entry {
            *entry = (sequence, number);
        }
    }

    /// The number of a packet; given once.
    pub(super) fn take(&mut self, ssrc: u32, sequence: u16) -> Option<u64> {
        let place = self.sources.binary_search_by_key(&ssrc, |it| it.ssrc);
        let source = self.sources.get_mut(place.ok()?)?;
        let entry = source.ring.get_mut(usize::from(sequence) % SENT_RING)?;
        let (known, number) = *entry;
        if known != sequence || number == 0 {
            return None;
        }
        *entry = (0, 0);
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_found_once_by_its_source_and_number() {
        let mut numbered = Numbered::default();
        numbered.sent(9, 65_535, 1);
        numbered.sent(4, 65_535, 2);
        numbered.sent(9, 0, 3);
        assert_eq!(numbered.take(9, 65_535), Some(1));
        assert_eq!(numbered.take(9, 65_535), None);
        assert_eq!(numbered.take(4, 65_535), Some(2));
        assert_eq!(numbered.take(4, 0), None);
        assert_eq!(numbered.take(5, 0), None);
        numbered.sent(9, 1_024, 4);
        assert_eq!(numbered.take(9, 0), None, "overwritten");
        assert_eq!(numbered.take(9, 1_024), Some(4));
        for ssrc in 0..10_000 {
            numbered.sent(ssrc, 1, 5);
        }
        assert_eq!(numbered.sources.len(), 2 * SECTIONS_PER_TRANSPORT);
    }
}

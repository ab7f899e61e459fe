//! Plain counters of one shard's sockets and thread. What datagrams mean is counted by the shard.

/// How many datagrams the kernel's messages carry: counted by powers of two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunLengths([u64; 7]);

impl RunLengths {
    /// The longest runs of each count; the last holds every run there can be.
    pub const BOUNDS: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];

    /// A message of `datagrams` left.
    pub(super) fn add(&mut self, datagrams: u64) {
        let place = Self::BOUNDS.iter().position(|&bound| datagrams <= bound);
        let last = self.0.len() - 1;
        if let Some(count) = self.0.get_mut(place.unwrap_or(last)) {
            *count += 1;
        }
    }

    /// Messages of at most so many datagrams each, for every bound.
    pub fn up_to(&self) -> impl Iterator<Item = (u64, u64)> {
        let sums = self.0.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        Self::BOUNDS.into_iter().zip(sums)
    }
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoStats {
    /// Receive calls that gave something.
    pub batches_in: u64,
    /// Receive calls that failed (other than by having nothing).
    pub receive_errors: u64,
    /// GSO runs and single datagrams handed to the kernel.
    pub sends: u64,
    /// Calls they were handed over with.
    pub send_calls: u64,
    /// Datagrams in them.
    pub datagrams_out: u64,
    /// How the datagrams were spread over them.
    pub run_lengths: RunLengths,
    /// Runs the kernel refused whole, which were sent datagram by datagram.
    pub runs_split: u64,
    /// Times a full socket buffer was waited for.
    pub send_waits: u64,
    /// Datagrams given up because the socket buffer stayed full.
    pub dropped_full: u64,
    /// Datagrams to where there is no route.
    pub dropped_unreachable: u64,
    /// Datagrams above the interface's MTU.
    pub dropped_too_large: u64,
    /// Datagrams the kernel refused for another reason (a firewall, a vanished address).
    pub dropped_refused: u64,
    /// Parcels handed to other shards.
    pub parcels_out: u64,
    /// Parcels that came from other shards.
    pub parcels_in: u64,
    /// Panics caught around the shard.
    pub panics: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_counted_up_to_their_bounds() {
        let mut lengths = RunLengths::default();
        for datagrams in [1, 1, 2, 3, 4, 16, 17, 64] {
            lengths.add(datagrams);
        }
        let expected = [(1, 2), (2, 3), (4, 5), (8, 5), (16, 6), (32, 7), (64, 8)];
        assert!(lengths.up_to().eq(expected));
    }
}

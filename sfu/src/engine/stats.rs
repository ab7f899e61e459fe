//! Plain counters of one shard's sockets and thread. What datagrams mean is counted by the shard.

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
    /// Panics caught around the shard.
    pub panics: u64,
}

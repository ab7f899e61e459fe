//! Plain counters of a shard and their snapshot.

use crate::error::DropReason;

/// Counters since the shard's start. `datagrams_in = packets_forwarded + consumed + dropped` holds
/// at every moment: each datagram ends in exactly one of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Datagrams handed in.
    pub datagrams_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Media packets that reached a track (whether or not anybody takes it).
    pub forwarded: u64,
    /// STUN, DTLS, RTCP, SCTP: acted upon.
    pub consumed: u64,
    /// Datagrams dropped, by reason.
    pub dropped: Drops,
    /// Packets of tickets that were not sent, by reason.
    pub tickets_dropped: Drops,
    /// Datagrams put into the outbox.
    pub datagrams_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// Media packets sealed and sent, retransmissions included.
    pub packets_out: u64,
    /// Retransmissions among them.
    pub retransmissions_out: u64,
    /// Packets of padding sent to learn what paths carry.
    pub probes_out: u64,
    /// NACKed sequence numbers received from subscribers.
    pub nacks_in: u64,
    /// Sequence numbers asked of publishers.
    pub nacks_out: u64,
    /// PLI and FIR received.
    pub keyframe_requests_in: u64,
    /// PLI sent.
    pub keyframe_requests_out: u64,
    /// Handshakes completed.
    pub handshakes: u64,
    /// Runs put into the outbox.
    pub runs_out: u64,
    /// Participants that joined.
    pub joins: u64,
    /// Deadlines of rooms and participants that came: what time alone costs.
    pub deadlines: u64,
    /// Participants that had their turn in a departure.
    pub visits: u64,
    /// Packets of media handed to other shards.
    pub pipe_packets_out: u64,
    /// Packets that did not go to another shard: too much waited for it.
    pub pipe_packets_dropped: u64,
    /// Packets of media that came from other shards.
    pub pipe_packets_in: u64,
    /// Messages of other shards that led nowhere: of a track or a room that is gone.
    pub pipe_refused: u64,
    /// Data channel messages received.
    pub data_messages_in: u64,
    /// Data channel messages sent.
    pub data_messages_out: u64,
}

/// A counter for each [`DropReason`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drops([u64; DropReason::ALL.len()]);

impl Default for Drops {
    fn default() -> Self {
        Self([0; DropReason::ALL.len()])
    }
}

impl Drops {
    /// One more of `reason`.
    pub fn count(&mut self, reason: DropReason) {
        if let Some(counter) = self.0.get_mut(reason as usize) {
            *counter += 1;
        }
    }

    /// `count` more of `reason`.
    pub fn count_many(&mut self, reason: DropReason, count: u64) {
        if let Some(counter) = self.0.get_mut(reason as usize) {
            *counter += count;
        }
    }

    /// How many of `reason`.
    #[must_use]
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// How many in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Every reason with its counter.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL
            .iter()
            .map(|&reason| (reason, self.get(reason)))
    }
}

/// How full the tables of a shard are. All zero once everybody has left and every room is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableSizes {
    /// Rooms.
    pub rooms: usize,
    /// Participants, each with its transport.
    pub participants: usize,
    /// Published tracks.
    pub tracks: usize,
    /// Their encodings.
    pub encodings: usize,
    /// Outgoing m-lines.
    pub sections: usize,
    /// Wishes.
    pub subscriptions: usize,
    /// Proved paths.
    pub paths: usize,
    /// Timers registered in the wheel.
    pub timers: usize,
    /// Pages of packet history in use.
    pub history_pages: usize,
    /// Plaintext doors.
    pub ports: usize,
}

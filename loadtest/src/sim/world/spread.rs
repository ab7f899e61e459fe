//! Rooms that are on several shards: who is asked what, and parcels between them.

use sfu::error::CommandError;
use sfu::id::{PortId, RoomId, TrackId};
use sfu::shard::stats::TableSizes;
use sfu::shard::{Command, Reply, ShardStats};
use sfu::time::Duration;

use super::{Flight, World};
use rand_chacha::rand_core::Rng as _;

/// From one thread to another.
const PARCEL_DELAY: Duration = Duration::from_micros(50);

impl World {
    /// Joins the shards of a room, each two of them.
    pub(super) fn join_shards(&mut self, room: RoomId) {
        let shards = u16::try_from(self.shards.len()).unwrap_or(u16::MAX);
        for (one, other) in (0..shards).flat_map(|one| (0..one).map(move |other| (one, other))) {
            let port = PortId(self.chance.next_u64());
            for (from, shard) in [(one, other), (other, one)] {
                let open = Command::OpenPipe { room, port, shard };
                let opened = self.ask(from.into(), open);
                self.note_refusal(opened);
            }
        }
    }

    fn note_refusal(&mut self, reply: Result<Reply, CommandError>) {
        if let Err(error) = reply {
            self.refusals.push((usize::MAX, error));
        }
    }

    /// A command to the shard it concerns, as the registry does; of a room to all.
    pub(super) fn carry_out(&mut self, command: Command) -> Result<Reply, CommandError> {
        if let Some(shard) = self.shard_of(&command) {
            return self.ask(shard, command);
        }
        for shard in 1..self.shards.len() {
            self.ask(shard, command.clone())?;
        }
        self.ask(0, command)
    }

    fn ask(&mut self, shard: usize, command: Command) -> Result<Reply, CommandError> {
        let shard = self.shards.get_mut(shard).ok_or(CommandError::Closed)?;
        shard.handle_command(self.now, command)
    }

    fn shard_of(&self, command: &Command) -> Option<usize> {
        match command {
            Command::Join { participant, .. }
            | Command::UpdateParticipant { participant, .. }
            | Command::Negotiate { participant, .. }
            | Command::RestartIce { participant, .. }
            | Command::RestartRemoteIce { participant, .. }
            | Command::MoveParticipant { participant, .. }
            | Command::HoldByRemb { participant, .. }
            | Command::Leave { participant, .. }
            | Command::SetSilenceMax { participant, .. }
            | Command::UpdateSubscriptions { participant, .. } => {
                self.shard_of_member(self.member_of(*participant))
            }
            Command::SetTrackMuted { track, .. }
            | Command::SetTrackContent { track, .. }
            | Command::UnpublishTrack { track, .. }
            | Command::RequestKeyframe { track, .. } => self.shard_of_track(*track),
            Command::OpenPort { .. }
            | Command::ClosePort { .. }
            | Command::OpenPipe { .. }
            | Command::Inspect => Some(0),
            Command::CreateRoom { .. }
            | Command::UpdateRoom { .. }
            | Command::DeleteRoom { .. } => None,
        }
    }

    fn shard_of_track(&self, track: TrackId) -> Option<usize> {
        self.shard_of_member(self.lines.get(&track).map(|(member, _)| *member))
    }

    fn shard_of_member(&self, member: Option<usize>) -> Option<usize> {
        Some(
            member
                .and_then(|member| self.members.get(member))
                .map_or(0, |it| it.shard),
        )
    }

    /// What a shard has to say to others sets out.
    pub(super) fn hand_over(&mut self, shard: usize) {
        let mut bytes = Vec::new();
        while let Some(it) = self.shards.get_mut(shard) {
            let Some((to, port)) = it.poll_pipe(&mut bytes) else {
                return;
            };
            let parcel = Flight::Parcel {
                shard: to.into(),
                port,
                bytes: std::mem::take(&mut bytes),
            };
            self.fly(self.now + PARCEL_DELAY, parcel);
        }
    }

    /// Counters that the laws look at, of all shards.
    pub(super) fn stats(&self) -> ShardStats {
        let mut all = self.shard().stats().clone();
        for stats in self.shards.iter().skip(1).map(sfu::shard::Shard::stats) {
            all.datagrams_in += stats.datagrams_in;
            all.forwarded += stats.forwarded;
            all.consumed += stats.consumed;
            all.datagrams_out += stats.datagrams_out;
            for (reason, count) in stats.dropped.iter() {
                all.dropped.count_many(reason, count);
            }
        }
        all
    }

    /// How full the tables are, of all shards.
    pub(super) fn sizes(&self) -> TableSizes {
        let mut all = TableSizes::default();
        for sizes in self.shards.iter().map(sfu::shard::Shard::sizes) {
            all.rooms += sizes.rooms;
            all.participants += sizes.participants;
            all.tracks += sizes.tracks;
            all.encodings += sizes.encodings;
            all.sections += sizes.sections;
            all.subscriptions += sizes.subscriptions;
            all.paths += sizes.paths;
            all.timers += sizes.timers;
            all.history_pages += sizes.history_pages;
            all.ports += sizes.ports;
        }
        all
    }
}

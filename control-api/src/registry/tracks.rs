//! Tracks by their names: listed, muted, ended, asked for key frames.

use sfu::id::TrackId;
use sfu::shard::command::Command;

use super::name::RoomName;
use super::page::{self, Page, PageRequest};
use super::spec::TrackView;
use super::{Registry, carried_through};
use crate::status::{Failure, Reason};

impl Registry {
    /// Tracks of a room in order of publishing, of those to `keep`.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `PAGE_TOKEN_INVALID`.
    pub fn list_tracks(
        &self,
        room: &RoomName,
        request: &PageRequest,
        keep: impl Fn(&TrackView) -> bool,
    ) -> Result<Page<TrackView>, Failure> {
        let views = {
            let record = self.room(self.id_of(room)?)?;
            let kept = record.track_views().filter(|view| keep(view));
            kept.cloned().collect()
        };
        page::cut(request, &format!("rooms/{room}/tracks"), views)
    }

    /// One track.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `TRACK_NOT_FOUND`.
    pub fn get_track(&self, room: &RoomName, track: TrackId) -> Result<TrackView, Failure> {
        self.room(self.id_of(room)?)?.track(track).cloned()
    }

    /// The server's mute of a track.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `TRACK_NOT_FOUND`.
    pub async fn set_track_muted(
        &self,
        room: &RoomName,
        track: TrackId,
        muted: bool,
    ) -> Result<TrackView, Failure> {
        let id = self.id_of(room)?;
        let (order, shard) = {
            let mut room = self.room_mut(id)?;
            (
                room.mute_by_server(track, muted)?,
                room.shard_of_track(track),
            )
        };
        if let Some(order) = order {
            let command = Command::SetTrackMuted {
                room: id,
                track: order.track,
                muted: order.muted,
            };
            self.call(shard, command).await?;
        }
        self.room(id)?.track(track).cloned()
    }

    /// Ends a track for everybody, until its publisher negotiates it anew. Missing: done.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`.
    pub async fn unpublish_track(&self, room: &RoomName, track: TrackId) -> Result<(), Failure> {
        let (this, id) = (self.clone(), self.id_of(room)?);
        carried_through(async move {
            let shard = {
                let room = this.room(id)?;
                if room.track(track).is_err() {
                    return Ok(());
                }
                room.shard_of_track(track)
            };
            let command = Command::UnpublishTrack { room: id, track };
            match this.call(shard, command).await {
                Err(failure) if failure.reason != Reason::TrackNotFound => return Err(failure),
                Ok(_) | Err(_) => {}
            }
            // The shard's event says the same later.
            this.room_mut(id)?.track_unpublished(track);
            Ok(())
        })
        .await
    }

    /// Asks the publisher for a key frame.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `TRACK_NOT_FOUND`.
    pub async fn request_keyframe(&self, room: &RoomName, track: TrackId) -> Result<(), Failure> {
        let id = self.id_of(room)?;
        let shard = {
            let room = self.room(id)?;
            room.track(track)?;
            room.shard_of_track(track)
        };
        let command = Command::RequestKeyframe { room: id, track };
        self.call(shard, command).await.map(drop)
    }
}

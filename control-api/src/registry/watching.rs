//! What is, and what happened: for backends that watch. Events are recorded by whoever holds the
//! room they are about.

use std::sync::Arc;

use super::Registry;
use super::log::{EventKind, Recorded, Subject, Watcher};
use super::name::RoomName;
use super::page::{self, Page, PageRequest};
use super::room::Room;
use super::spec::{ParticipantView, RoomView};
use crate::status::{Failure, Reason};

/// A room and who is inside, between two events.
#[derive(Clone, Debug)]
pub struct RoomSnapshot {
    /// The newest event that is in it already.
    pub sequence: u64,
    /// The room.
    pub room: RoomView,
    /// Who is inside, with what they publish.
    pub participants: Vec<ParticipantView>,
}

impl Registry {
    /// Something happened to the room as a whole.
    pub(super) fn record_room(&self, room: &Room, kind: EventKind) {
        let subject = Subject::Room(room.view());
        self.0.log.record(&room.name, room.uid, kind, subject);
    }

    /// Events from `position`; none: from now on.
    ///
    /// # Errors
    /// `RESUME_TOKEN_EXPIRED`.
    pub fn watch_events(&self, position: Option<u64>) -> Result<Watcher, Failure> {
        let watcher = self.0.log.watch(position);
        watcher.map_err(|_| Failure::of(Reason::ResumeTokenExpired))
    }

    /// Where the next event will stand.
    #[must_use]
    pub fn events_end(&self) -> u64 {
        self.0.log.end()
    }

    /// Events that are still kept and wanted, oldest first. `query` says what is wanted.
    ///
    /// # Errors
    /// `PAGE_TOKEN_INVALID`.
    pub fn list_events(
        &self,
        request: &PageRequest,
        query: &str,
        keep: impl Fn(&Recorded) -> bool,
    ) -> Result<Page<Arc<Recorded>>, Failure> {
        page::cut(request, query, self.0.log.kept(keep))
    }

    /// The rooms there are, of those that are `visible`.
    pub fn room_names(&self, visible: impl Fn(&RoomName) -> bool) -> Vec<RoomName> {
        let rooms = self.0.rooms.iter().filter(|room| visible(&room.name));
        rooms.map(|room| room.name.clone()).collect()
    }

    /// A room as it is between two events. None: it is not there.
    #[must_use]
    pub fn room_snapshot(&self, name: &RoomName) -> Option<RoomSnapshot> {
        let room = self.room(self.id_of(name).ok()?).ok()?;
        Some(RoomSnapshot {
            sequence: self.0.log.sequence_of(room.uid),
            room: room.view(),
            participants: room.views(),
        })
    }
}

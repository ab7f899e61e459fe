//! What happened, in order: a bounded ring that any number of watchers read at their own pace.
//!
//! A watcher holds a place in the ring and nothing else, so a slow one costs no memory: it is cut
//! once it is `WATCH_BACKLOG` events behind, and may come back with its place. Sequences grow by one
//! per room incarnation, from its `room.created`; whoever changes a room records the change while it
//! holds that room, so the order here is the order there.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::sync::watch;

use super::name::RoomName;
use super::spec::{ParticipantView, RoomView, TrackView};
use crate::clock::{Ulid, UnixTime};
use crate::limits::{EVENT_LOG_AGE, EVENT_LOG_BYTES, EVENT_LOG_EVENTS, WATCH_BACKLOG};

macro_rules! kinds {
    ($($name:ident $label:literal;)*) => {
        /// What kind of thing happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind { $(#[doc = $label] $name,)* }

        impl EventKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As the API writes it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }
        }
    };
}

kinds! {
    RoomCreated "room.created";
    RoomUpdated "room.updated";
    RoomDeleted "room.deleted";
    ParticipantWaiting "participant.waiting";
    ParticipantJoined "participant.joined";
    ParticipantUpdated "participant.updated";
    ParticipantResuming "participant.resuming";
    ParticipantMoved "participant.moved";
    ParticipantLeft "participant.left";
    TrackPublished "track.published";
    TrackUpdated "track.updated";
    TrackMuted "track.muted";
    TrackUnpublished "track.unpublished";
}

impl EventKind {
    /// From the API's word.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str() == label)
    }
}

/// What an event is about, whole, as it was then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A room.
    Room(RoomView),
    /// A participant.
    Participant(Box<ParticipantView>),
    /// A track.
    Track(TrackView),
}

impl Subject {
    /// What it weighs in memory, roughly: what callers can make large.
    fn bytes(&self) -> usize {
        use super::page::Item as _;
        match self {
            Self::Room(view) => view.bytes(),
            Self::Participant(view) => view.bytes(),
            Self::Track(_) => 1 << 10,
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its id; ids of one process grow.
    pub id: Ulid,
    /// Its place among all of this process.
    pub position: u64,
    /// Grows by one for each event of a room incarnation, from 1.
    pub sequence: u64,
    /// Where.
    pub room: RoomName,
    /// The room's incarnation.
    pub room_uid: Ulid,
    /// When.
    pub time: UnixTime,
    /// What kind.
    pub kind: EventKind,
    /// What it is about.
    pub subject: Subject,
}

impl super::page::Item for Arc<Recorded> {
    fn uid(&self) -> Ulid {
        self.id
    }

    fn bytes(&self) -> usize {
        self.subject.bytes()
    }
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Arc<Recorded>>,
    /// Position of the oldest that is kept.
    first: u64,
    bytes: usize,
    last_millis: u64,
    /// The newest sequence of each room that is there.
    sequences: BTreeMap<Ulid, u64>,
}

impl Ring {
    fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    fn at(&self, position: u64) -> Option<&Arc<Recorded>> {
        let index = usize::try_from(position.checked_sub(self.first)?).ok()?;
        self.events.get(index)
    }

    /// The next sequence of a room. None: the room has not begun, or has ended.
    fn number(&mut self, room_uid: Ulid, kind: EventKind) -> Option<u64> {
        if kind == EventKind::RoomCreated {
            self.sequences.entry(room_uid).or_default();
        }
        let sequence = self.sequences.get_mut(&room_uid)?;
        *sequence += 1;
        let number = *sequence;
        if kind == EventKind::RoomDeleted {
            self.sequences.remove(&room_uid);
        }
        Some(number)
    }

    fn push(&mut self, event: Recorded) {
        self.bytes = self.bytes.saturating_add(event.subject.bytes());
        self.events.push_back(Arc::new(event));
    }

    fn trim(&mut self, now: UnixTime) {
        while let Some(oldest) = self.events.front() {
            let old = now.since(oldest.time) > EVENT_LOG_AGE;
            if !old && self.events.len() <= EVENT_LOG_EVENTS && self.bytes <= EVENT_LOG_BYTES {
                return;
            }
            self.bytes = self.bytes.saturating_sub(oldest.subject.bytes());
            self.events.pop_front();
            self.first += 1;
        }
    }
}

/// The log of one process.
#[derive(Debug, Default)]
pub(super) struct EventLog(watch::Sender<Ring>);

impl EventLog {
    /// Something happened in a room, which the caller holds. Of a room that has not begun or has
    /// ended, nothing is recorded.
    pub(super) fn record(
        &self,
        room: &RoomName,
        room_uid: Ulid,
        kind: EventKind,
        subject: Subject,
    ) {
        self.record_at(UnixTime::now(), (room, room_uid), kind, subject);
    }

    fn record_at(
        &self,
        now: UnixTime,
        (room, room_uid): (&RoomName, Ulid),
        kind: EventKind,
        subject: Subject,
    ) {
        self.0.send_if_modified(|ring| {
            let Some(sequence) = ring.number(room_uid, kind) else {
                return false;
            };
            let position = ring.end();
            // A clock set back must not turn the order of ids around.
            ring.last_millis = ring.last_millis.max(now.as_millis());
            let id = u128::from(ring.last_millis) << 80 | u128::from(position);
            ring.push(Recorded {
                id: Ulid::from_u128(id),
                position,
                sequence,
                room: room.clone(),
                room_uid,
                time: now,
                kind,
                subject,
            });
            ring.trim(now);
            true
        });
    }

    /// The newest sequence of a room's incarnation.
    pub(super) fn sequence_of(&self, room_uid: Ulid) -> u64 {
        let ring = self.0.borrow();
        ring.sequences.get(&room_uid).copied().unwrap_or_default()
    }

    /// What is kept and wanted, oldest first.
    pub(super) fn kept(&self, keep: impl Fn(&Recorded) -> bool) -> Vec<Arc<Recorded>> {
        let ring = self.0.borrow();
        let wanted = ring.events.iter().filter(|event| keep(event));
        wanted.cloned().collect()
    }

    /// Where the next event will stand.
    pub(super) fn end(&self) -> u64 {
        self.0.borrow().end()
    }

    /// Reads on from `position`; none: from now on.
    ///
    /// # Errors
    /// The ring does not reach back to there.
    pub(super) fn watch(&self, position: Option<u64>) -> Result<Watcher, Forgotten> {
        let mut receiver = self.0.subscribe();
        let next = {
            let ring = receiver.borrow_and_update();
            match position {
                Some(position) if position < ring.first || position > ring.end() => {
                    return Err(Forgotten);
                }
                Some(position) => position,
                None => ring.end(),
            }
        };
        Ok(Watcher {
            receiver,
            next,
            caught_up: false,
        })
    }
}

/// The ring does not reach back that far, or never was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten;

/// Why a watcher hears no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchEnd {
    /// It fell behind; it may come back with its place.
    TooSlow,
    /// The process ends.
    Closed,
}

/// Events looked at before others get their turn.
const SCAN: u64 = 256;

/// One reader's place in the log.
#[derive(Debug)]
pub struct Watcher {
    receiver: watch::Receiver<Ring>,
    next: u64,
    /// It has once read all there was: from then on it may not fall far behind.
    caught_up: bool,
}

impl Watcher {
    /// The position it reads next: a later watcher that begins there misses nothing.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.next
    }

    /// The next event that is wanted. Dropped while it waits, it has lost none.
    ///
    /// # Errors
    /// None will come.
    pub async fn next(
        &mut self,
        keep: impl Fn(&Recorded) -> bool,
    ) -> Result<Arc<Recorded>, WatchEnd> {
        loop {
            let more = {
                let ring = self.receiver.borrow_and_update();
                let behind = ring.end().saturating_sub(self.next);
                if self.next < ring.first || self.caught_up && behind > WATCH_BACKLOG as u64 {
                    return Err(WatchEnd::TooSlow);
                }
                let until = ring.end().min(self.next + SCAN);
                while self.next < until {
                    let event = ring.at(self.next);
                    self.next += 1;
                    if let Some(event) = event.filter(|event| keep(event)) {
                        return Ok(Arc::clone(event));
                    }
                }
                self.next < ring.end()
            };
            if more {
                tokio::task::yield_now().await;
            } else {
                self.caught_up = true;
                let changed = self.receiver.changed().await;
                changed.map_err(|_| WatchEnd::Closed)?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sfu::id::TrackId;
    use sfu::units::MediaKind;
    use sfu::wire::payload::Codec;

    use super::super::name::ParticipantName;
    use super::super::spec::TrackSource;
    use super::*;

    fn room(name: &str) -> RoomName {
        RoomName::new(name).unwrap()
    }

    fn track() -> Subject {
        Subject::Track(TrackView {
            id: TrackId(1),
            uid: Ulid::from_u128(1),
            create_time: UnixTime::default(),
            participant: ParticipantName::new("ada").unwrap(),
            mid: sfu::id::Mid::new("0").unwrap(),
            kind: MediaKind::Video,
            source: TrackSource::Camera,
            codec: Codec::Vp8,
            muted_by_publisher: false,
            muted_by_server: false,
            forbidden: false,
        })
    }

    fn at(log: &EventLog, millis: u64, uid: u128, kind: EventKind) {
        let time = UnixTime::from_millis(millis);
        let key = (&room("standup"), Ulid::from_u128(uid));
        log.record_at(time, key, kind, track());
    }

    fn numbers(log: &EventLog) -> Vec<(u128, u64)> {
        let kept = log.kept(|_| true);
        kept.iter()
            .map(|event| (event.room_uid.as_u128(), event.sequence))
            .collect()
    }

    #[test]
    fn sequences_grow_by_one_per_incarnation_from_its_creation_to_its_end() {
        let log = EventLog::default();
        at(&log, 1, 1, EventKind::TrackPublished);
        at(&log, 2, 1, EventKind::RoomCreated);
        at(&log, 3, 1, EventKind::TrackPublished);
        at(&log, 4, 2, EventKind::RoomCreated);
        at(&log, 5, 1, EventKind::RoomDeleted);
        at(&log, 6, 1, EventKind::TrackUnpublished);
        at(&log, 7, 2, EventKind::TrackPublished);
        assert_eq!(numbers(&log), [(1, 1), (1, 2), (2, 1), (1, 3), (2, 2)]);
        assert_eq!(log.sequence_of(Ulid::from_u128(1)), 0);
        assert_eq!(log.sequence_of(Ulid::from_u128(2)), 2);
    }

    #[test]
    fn ids_grow_even_where_the_clock_is_set_back() {
        let log = EventLog::default();
        for millis in [5_000, 1_000, 1_000, 6_000] {
            at(&log, millis, 1, EventKind::RoomCreated);
        }
        let ids: Vec<_> = log.kept(|_| true).iter().map(|event| event.id).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
    }

    #[test]
    fn what_is_too_old_or_too_much_is_forgotten_oldest_first() {
        let log = EventLog::default();
        at(&log, 0, 1, EventKind::RoomCreated);
        at(&log, 1_000, 1, EventKind::TrackPublished);
        let age = u64::try_from(EVENT_LOG_AGE.as_millis()).unwrap();
        at(&log, age + 500, 1, EventKind::TrackPublished);
        assert_eq!(numbers(&log), [(1, 2), (1, 3)]);
        for _ in 0..EVENT_LOG_EVENTS {
            at(&log, age + 600, 1, EventKind::TrackUpdated);
        }
        let kept = numbers(&log);
        assert!(kept.len() <= EVENT_LOG_EVENTS);
        assert!(kept.len() * 1_024 <= EVENT_LOG_BYTES);
        assert_eq!(kept.last(), Some(&(1, 3 + EVENT_LOG_EVENTS as u64)));
        assert_eq!(log.watch(Some(0)).err(), Some(Forgotten));
        assert_eq!(log.watch(Some(u64::MAX)).err(), Some(Forgotten));
    }

    #[tokio::test]
    async fn a_watcher_reads_on_from_any_place_without_a_gap_or_a_repeat() {
        let log = EventLog::default();
        at(&log, 1, 1, EventKind::RoomCreated);
        let mut position = 0;
        let mut seen = Vec::new();
        for round in 0..100 {
            for _ in 0..round % 4 {
                at(&log, 2, 1, EventKind::TrackUpdated);
            }
            let mut watcher = log.watch(Some(position)).unwrap();
            while watcher.position() < log.0.borrow().end() {
                seen.push(watcher.next(|_| true).await.unwrap().sequence);
                if seen.len() % 3 == 0 {
                    break;
                }
            }
            position = watcher.position();
        }
        let expected: Vec<u64> = (1..=seen.len() as u64).collect();
        assert_eq!(seen, expected);
        assert!(seen.len() > 90);
    }

    #[tokio::test]
    async fn a_watcher_that_waits_is_woken_and_passes_over_what_it_does_not_want() {
        let log = EventLog::default();
        let mut watcher = log.watch(None).unwrap();
        let wanted = |event: &Recorded| event.kind == EventKind::TrackMuted;
        let mut waiting = Box::pin(watcher.next(wanted));
        assert!(
            tokio::time::timeout(Duration::from_millis(1), waiting.as_mut())
                .await
                .is_err()
        );
        at(&log, 1, 1, EventKind::RoomCreated);
        at(&log, 1, 1, EventKind::TrackMuted);
        assert_eq!(waiting.as_mut().await.unwrap().sequence, 2);
        drop(waiting);
        assert_eq!(watcher.position(), 2);
        drop(log);
        assert_eq!(watcher.next(wanted).await, Err(WatchEnd::Closed));
    }

    #[tokio::test]
    async fn a_watcher_that_falls_behind_is_cut_and_comes_back_with_its_place() {
        let log = EventLog::default();
        at(&log, 1, 1, EventKind::RoomCreated);
        let mut watcher = log.watch(Some(0)).unwrap();
        watcher.next(|_| true).await.unwrap();
        // Reading all there is counts as having caught up.
        let idle = tokio::time::timeout(Duration::from_millis(1), watcher.next(|_| true));
        assert!(idle.await.is_err());
        for _ in 0..=WATCH_BACKLOG {
            at(&log, 2, 1, EventKind::TrackUpdated);
        }
        assert_eq!(watcher.next(|_| true).await, Err(WatchEnd::TooSlow));
        let mut back = log.watch(Some(watcher.position())).unwrap();
        for sequence in 2..100 {
            assert_eq!(back.next(|_| true).await.unwrap().sequence, sequence);
        }
    }
}

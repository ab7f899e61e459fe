//! EventService: what is and what happens, as a stream that can be taken up again. Webhooks are not
//! acted on yet.
//!
//! A stream is pulled: it holds a place in the log and asks for the next item when the connection
//! has room for one. With a snapshot, what happens while it is read comes before `snapshot_end`, so
//! that everything after it is new to its reader and each token stands for one place.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::pin::Pin;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::Stream;
use proto::v1;
use proto::v1::event_service_server::EventService;
use proto::v1::watch_events_response::Item;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};
use tonic::{Request, Response, Status};

use super::call::Deadline;
use super::{Covered, absent, opened};
use crate::clock::Ulid;
use crate::convert;
use crate::limits::{BOOKMARK_INTERVAL, WATCHERS};
use crate::node::Node;
use crate::registry::{EventKind, Recorded, RoomName, WatchEnd, Watcher};
use crate::server::Aging;
use crate::status::{Failure, Reason};

/// EventService over a node.
#[derive(Clone, Debug)]
pub struct Events {
    node: Node,
    places: Arc<Semaphore>,
    /// Tokens of another process are of another log.
    process: u64,
}

impl Events {
    /// Over this node.
    #[must_use]
    pub fn new(node: Node) -> Self {
        Self {
            node,
            places: Arc::new(Semaphore::new(WATCHERS)),
            process: RandomState::new().hash_one(WATCHERS),
        }
    }

    /// A place in the log as its reader may keep it.
    fn token(&self, position: u64) -> String {
        let bytes = [self.process.to_be_bytes(), position.to_be_bytes()].concat();
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn position(&self, token: &str) -> Result<u64, Failure> {
        let wrong = || Failure::field("resume_token", "is none of ours");
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
        let (process, rest) = bytes.split_first_chunk::<8>().ok_or_else(wrong)?;
        let position = <[u8; 8]>::try_from(rest).map_err(|_| wrong())?;
        if u64::from_be_bytes(*process) != self.process {
            return Err(Failure::of(Reason::ResumeTokenExpired));
        }
        Ok(u64::from_be_bytes(position))
    }
}

/// What a stream or a list is about.
struct Wanted {
    covered: Covered,
    room: Option<RoomName>,
    kinds: Vec<EventKind>,
}

impl Wanted {
    fn new(covered: Covered, parent: &str, types: &[String]) -> Result<Self, Failure> {
        let room = convert::parent("parent", parent)?;
        if let Some(room) = &room {
            covered.check(room)?;
        }
        let kinds = types.iter().map(|label| {
            let why = || Failure::field("types", format!("{label:?} is no event's type"));
            EventKind::from_label(label).ok_or_else(why)
        });
        let kinds = kinds.collect::<Result<_, _>>()?;
        Ok(Self {
            covered,
            room,
            kinds,
        })
    }

    fn room(&self, room: &RoomName) -> bool {
        self.covered.covers(room) && self.room.as_ref().is_none_or(|only| only == room)
    }

    fn kind(&self, kind: EventKind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    fn event(&self, event: &Recorded) -> bool {
        self.room(&event.room) && self.kind(event.kind)
    }

    /// Whether a snapshot shows things of this kind: where any of their events is wanted.
    fn thing(&self, kind: EventKind) -> bool {
        let subject = |kind: EventKind| kind.as_str().split_once('.').map(|(subject, _)| subject);
        let same = |wanted: &EventKind| subject(*wanted) == subject(kind);
        self.kinds.is_empty() || self.kinds.iter().any(same)
    }
}

/// A snapshot that is being read.
struct Reading {
    rooms: VecDeque<RoomName>,
    items: VecDeque<v1::Event>,
    /// The newest sequence of each room that was in what has been read.
    read: BTreeMap<Ulid, u64>,
    /// Set once all rooms have been read: events before it come before the end.
    until: Option<u64>,
}

/// One stream.
struct Watch {
    events: Events,
    wanted: Wanted,
    watcher: Watcher,
    reading: Option<Reading>,
    /// When its caller stops to wait.
    deadline: Option<Instant>,
    /// Its connection is to end.
    aging: Aging,
    _place: OwnedSemaphorePermit,
}

impl Watch {
    /// The next item; an error is the last.
    async fn next(&mut self) -> Result<v1::WatchEventsResponse, Status> {
        let (deadline, mut aging) = (self.deadline, self.aging.clone());
        let late = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = late => Err(Status::deadline_exceeded("the deadline has passed")),
            () = aging.ended() => {
                let why = "this connection is old: resume on another";
                Err(Failure::new(Reason::NodeDraining, why).into())
            }
            item = self.next_item() => item,
        }
    }

    async fn next_item(&mut self) -> Result<v1::WatchEventsResponse, Status> {
        while let Some(reading) = &mut self.reading {
            if let Some(item) = reading.items.pop_front() {
                return Ok(untokened(Item::SnapshotItem(item)));
            }
            if let Some(room) = reading.rooms.pop_front() {
                self.read_room(&room);
            } else if let Some(item) = self.catch_up().await? {
                return Ok(item);
            }
        }
        let wanted = &self.wanted;
        let event = self.watcher.next(|event| wanted.event(event));
        let ending = self.events.node.ending();
        let item = tokio::select! {
            event = timeout(BOOKMARK_INTERVAL, event) => match event {
                Ok(event) => {
                    let event = event.map_err(ended)?;
                    Item::Event(convert::event(&event))
                }
                Err(_) => Item::Bookmark(()),
            },
            () = ending => return Err(Failure::of(Reason::NodeDraining).into()),
        };
        Ok(self.tokened(item))
    }

    fn read_room(&mut self, room: &RoomName) {
        let snapshot = self.events.node.registry().room_snapshot(room);
        if let (Some(reading), Some(snapshot)) = (&mut self.reading, snapshot) {
            reading.read.insert(snapshot.room.uid, snapshot.sequence);
            reading.items = convert::snapshot(&snapshot, |kind| self.wanted.thing(kind)).into();
        }
    }

    /// All rooms have been read: what happened meanwhile and was in none of them, then the end.
    async fn catch_up(&mut self) -> Result<Option<v1::WatchEventsResponse>, Status> {
        let Some(reading) = &mut self.reading else {
            return Ok(None);
        };
        let end = self.events.node.registry().events_end();
        let until = *reading.until.get_or_insert(end);
        while self.watcher.position() < until {
            let wanted = &self.wanted;
            let before = |event: &Recorded| event.position + 1 == until || wanted.event(event);
            let event = self.watcher.next(before).await.map_err(ended)?;
            let read = reading.read.get(&event.room_uid);
            if wanted.event(&event) && read.is_none_or(|read| event.sequence > *read) {
                return Ok(Some(untokened(Item::Event(convert::event(&event)))));
            }
        }
        self.reading = None;
        Ok(Some(self.tokened(Item::SnapshotEnd(()))))
    }

    fn tokened(&self, item: Item) -> v1::WatchEventsResponse {
        v1::WatchEventsResponse {
            item: Some(item),
            resume_token: self.events.token(self.watcher.position()),
        }
    }
}

/// Part of a snapshot: there is no place in the log that stands for it.
const fn untokened(item: Item) -> v1::WatchEventsResponse {
    v1::WatchEventsResponse {
        item: Some(item),
        resume_token: String::new(),
    }
}

fn ended(end: WatchEnd) -> Status {
    Failure::of(match end {
        WatchEnd::TooSlow => Reason::WatcherTooSlow,
        WatchEnd::Closed => Reason::NodeDraining,
    })
    .into()
}

type Items = Pin<Box<dyn Stream<Item = Result<v1::WatchEventsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl EventService for Events {
    type WatchEventsStream = Items;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Items>, Status> {
        let extensions = request.extensions();
        let deadline = extensions.get::<Deadline>().map(|deadline| deadline.0);
        let aging = extensions.get::<Aging>().cloned().unwrap_or_default();
        let (covered, request) = opened(request)?;
        let wanted = Wanted::new(covered, &request.parent, &request.types)?;
        if request.snapshot && !request.resume_token.is_empty() {
            let why = "a snapshot begins anew; leave one of the two out";
            return Err(Failure::field("snapshot", why).into());
        }
        let position = match request.resume_token.as_str() {
            "" => None,
            token => Some(self.position(token)?),
        };
        let full = || {
            Failure::new(
                Reason::LimitExceeded,
                format!("{WATCHERS} streams are open"),
            )
        };
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| full())?;
        let registry = self.node.registry();
        // First the place, then the rooms: what happens between is told, never missed.
        let watcher = registry.watch_events(position)?;
        let reading = request.snapshot.then(|| Reading {
            rooms: registry.room_names(|room| wanted.room(room)).into(),
            items: VecDeque::new(),
            read: BTreeMap::new(),
            until: None,
        });
        let watch = Watch {
            events: self.clone(),
            wanted,
            watcher,
            reading,
            deadline,
            aging,
            _place: place,
        };
        let items = futures_util::stream::unfold(Some(watch), async |watch| {
            let mut watch = watch?;
            let item = watch.next().await;
            let rest = item.is_ok().then_some(watch);
            Some((item, rest))
        });
        Ok(Response::new(Box::pin(items)))
    }

    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        let (covered, request) = opened(request)?;
        let filter = convert::event_filter(&request.filter)?;
        let wanted = Wanted::new(covered, &request.parent, &[])?;
        let page = convert::page(request.page_size, request.page_token, &request.filter)?;
        let query = format!("{}/events", request.parent);
        let registry = self.node.registry();
        let page = registry.list_events(&page, &query, |event| {
            wanted.event(event) && filter.passes(event)
        })?;
        Ok(Response::new(v1::ListEventsResponse {
            events: page
                .items
                .iter()
                .map(|event| convert::event(event))
                .collect(),
            next_page_token: page.next_token,
        }))
    }

    async fn create_webhook(
        &self,
        _: Request<v1::CreateWebhookRequest>,
    ) -> Result<Response<v1::Webhook>, Status> {
        Err(absent("plenum.v1.EventService/CreateWebhook"))
    }

    async fn get_webhook(
        &self,
        _: Request<v1::GetWebhookRequest>,
    ) -> Result<Response<v1::Webhook>, Status> {
        Err(absent("plenum.v1.EventService/GetWebhook"))
    }

    async fn list_webhooks(
        &self,
        _: Request<v1::ListWebhooksRequest>,
    ) -> Result<Response<v1::ListWebhooksResponse>, Status> {
        Err(absent("plenum.v1.EventService/ListWebhooks"))
    }

    async fn update_webhook(
        &self,
        _: Request<v1::UpdateWebhookRequest>,
    ) -> Result<Response<v1::Webhook>, Status> {
        Err(absent("plenum.v1.EventService/UpdateWebhook"))
    }

    async fn delete_webhook(
        &self,
        _: Request<v1::DeleteWebhookRequest>,
    ) -> Result<Response<()>, Status> {
        Err(absent("plenum.v1.EventService/DeleteWebhook"))
    }

    async fn test_webhook(
        &self,
        _: Request<v1::TestWebhookRequest>,
    ) -> Result<Response<v1::TestWebhookResponse>, Status> {
        Err(absent("plenum.v1.EventService/TestWebhook"))
    }

    async fn redeliver_events(
        &self,
        _: Request<v1::RedeliverEventsRequest>,
    ) -> Result<Response<v1::RedeliverEventsResponse>, Status> {
        Err(absent("plenum.v1.EventService/RedeliverEvents"))
    }
}

//! What a participant is told: typed news in a bounded queue, one for each socket.
//!
//! A reader who falls behind is cut off from the queue, never fed from growing memory: it is given
//! a fresh queue and a fresh roster. What replaces itself and must not be lost with the queue
//! (which m-line shows what, who waits, an offer of ours, the farewell) is kept beside it, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use sfu::error::LeaveReason;
use sfu::id::TrackId;
use sfu::sdp::Description;
use sfu::shard::event::{LayersFacts, SectionBinding, SubscriptionFacts, WantedEncodings};
use sfu::units::AudioLevel;
use tokio::sync::{mpsc, watch};

use super::Arrival;
use super::name::ParticipantName;
use super::quality::Quality;
use super::spec::{ParticipantView, RoomView, TrackView};
use crate::clock::UnixTime;
use crate::limits::{NEWS_PER_BATCH, OUTBOUND_BYTES, OUTBOUND_NEWS};

/// What the page is to do once it is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaveAction {
    /// It is over.
    Stop,
    /// Join again.
    Rejoin,
}

impl LeaveAction {
    /// What follows from a reason.
    #[must_use]
    pub const fn of(reason: LeaveReason) -> Self {
        match reason {
            LeaveReason::ConsentExpired
            | LeaveReason::TransportFailed
            | LeaveReason::NodeDrained
            | LeaveReason::ServerFailed => Self::Rejoin,
            LeaveReason::LeftItself
            | LeaveReason::Removed
            | LeaveReason::Replaced
            | LeaveReason::Moved
            | LeaveReason::RoomDeleted
            | LeaveReason::RoomExpired
            | LeaveReason::TokenRevoked
            | LeaveReason::LimitReached => Self::Stop,
        }
    }

    /// As the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "STOP",
            Self::Rejoin => "REJOIN",
        }
    }
}

/// A message to participants.
#[derive(Debug, PartialEq, Eq)]
pub struct DataMessage {
    /// Who sends; none: the backend.
    pub from: Option<ParticipantName>,
    /// How it is called, then.
    pub from_name: String,
    /// What it is about.
    pub topic: String,
    /// To whom; empty: everybody else.
    pub to: Vec<ParticipantName>,
    /// JSON text.
    pub payload: String,
    /// When it was sent.
    pub time: UnixTime,
    /// Kept for those who join later.
    pub keep: bool,
}

/// One piece of news for one participant.
#[derive(Clone, Debug)]
pub enum RoomNews {
    /// Somebody is there.
    Joined(Arc<ParticipantView>),
    /// Something about somebody changed.
    Updated(Arc<ParticipantView>),
    /// Somebody is gone.
    Left(ParticipantName, LeaveReason),
    /// A track is there.
    Published(Arc<TrackView>),
    /// Something about a track changed.
    TrackUpdated(Arc<TrackView>),
    /// A track is gone.
    Unpublished(TrackId),
    /// What our m-lines show and what became of our wishes: the whole map.
    Subscriptions(Arc<(Vec<SectionBinding>, Vec<SubscriptionFacts>)>),
    /// Which sizes of our own pictures are asked for: all that come in several.
    Encodings(Arc<Vec<WantedEncodings>>),
    /// What our path carries and what we are given of each picture: all of it.
    Layers(Arc<LayersFacts>),
    /// Somebody's connection is better or worse.
    Quality(ParticipantName, Quality),
    /// Who can be heard, loudest first.
    Speakers(Arc<Vec<(ParticipantName, AudioLevel)>>),
    /// An offer of the server.
    Offer(Box<Description>),
    /// A message.
    Data(Arc<DataMessage>),
    /// Something about the room changed.
    RoomUpdated(Arc<RoomView>),
    /// Who waits to be admitted: the whole list, for admins.
    Waiting(Arc<Vec<ParticipantView>>),
    /// We waited and are inside now; news of the room follow this moment.
    Admitted(Arc<Arrival>),
    /// We are in another room now, with the transport we had; news of that room follow.
    Moved(Arc<Arrival>),
    /// A data channel was opened towards us, carrying what `from` sends.
    DataChannel {
        /// SCTP stream id.
        stream: u16,
        /// Who sends.
        from: ParticipantName,
    },
    /// We are out. Nothing follows.
    Leave {
        /// Why.
        reason: LeaveReason,
        /// What to do.
        action: LeaveAction,
        /// Words of whoever ended it.
        message: Option<String>,
    },
}

impl RoomNews {
    /// Bytes counted against `OUTBOUND_BYTES`: what a sender can make large.
    fn bytes(&self) -> usize {
        match self {
            Self::Data(data) => data.payload.len(),
            Self::Joined(view) | Self::Updated(view) => view.spec.metadata.len(),
            Self::RoomUpdated(view) => view.spec.metadata.len(),
            Self::Left(..)
            | Self::Published(_)
            | Self::TrackUpdated(_)
            | Self::Unpublished(_)
            | Self::Subscriptions(_)
            | Self::Layers(_)
            | Self::Encodings(_)
            | Self::Quality(..)
            | Self::Speakers(_)
            | Self::Offer(_)
            | Self::DataChannel { .. }
            // Once for each who comes or goes; a roster cannot be had in parts here.
            | Self::Waiting(_)
            | Self::Admitted(_)
            | Self::Moved(_)
            | Self::Leave { .. } => 0,
        }
    }
}

/// The newest of each kind of news that replaces itself.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// What our m-lines show and what became of our wishes.
    pub subscriptions: Option<RoomNews>,
    /// What we are given of each picture.
    pub layers: Option<RoomNews>,
    /// Which sizes of our own pictures are asked for.
    pub encodings: Option<RoomNews>,
    /// Who waits to be admitted.
    pub waiting: Option<RoomNews>,
    /// Our offer that was not answered yet.
    pub offer: Option<Arc<Description>>,
    /// How many offers there were.
    pub offers: u64,
    /// We are out.
    pub leave: Option<RoomNews>,
}

impl Standing {
    fn take(&mut self, news: &RoomNews) {
        match news {
            RoomNews::Subscriptions(_) => self.subscriptions = Some(news.clone()),
            RoomNews::Layers(_) => self.layers = Some(news.clone()),
            RoomNews::Encodings(_) => self.encodings = Some(news.clone()),
            RoomNews::Waiting(_) => self.waiting = Some(news.clone()),
            RoomNews::Leave { .. } => self.leave = Some(news.clone()),
            RoomNews::Offer(offer) => {
                self.offer = Some(Arc::new(Description::clone(offer)));
                self.offers += 1;
            }
            RoomNews::Joined(_)
            | RoomNews::Updated(_)
            | RoomNews::Left(..)
            | RoomNews::Published(_)
            | RoomNews::TrackUpdated(_)
            | RoomNews::Unpublished(_)
            | RoomNews::Quality(..)
            | RoomNews::Speakers(_)
            | RoomNews::Data(_)
            | RoomNews::RoomUpdated(_)
            | RoomNews::Admitted(_)
            | RoomNews::Moved(_)
            | RoomNews::DataChannel { .. } => {}
        }
    }
}

#[derive(Debug, Default)]
struct Backlog {
    bytes: AtomicUsize,
    cut: AtomicBool,
}

/// The registry's end of a socket's queue.
#[derive(Debug)]
pub(super) struct NewsSender {
    queue: mpsc::Sender<RoomNews>,
    backlog: Arc<Backlog>,
    standing: watch::Sender<Standing>,
}

/// The socket's end.
#[derive(Debug)]
pub struct NewsReceiver {
    queue: mpsc::Receiver<RoomNews>,
    backlog: Arc<Backlog>,
    standing: watch::Receiver<Standing>,
}

/// The reader fell behind and has been cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSlow;

pub(super) fn channel() -> (NewsSender, NewsReceiver) {
    channel_after(Standing::default())
}

/// In place of one that was cut: what stands goes on standing.
pub(super) fn channel_after(standing: Standing) -> (NewsSender, NewsReceiver) {
    let (told, stands) = watch::channel(standing);
    let (sender, receiver) = mpsc::channel(OUTBOUND_NEWS);
    let backlog = Arc::new(Backlog::default());
    (
        NewsSender {
            queue: sender,
            backlog: Arc::clone(&backlog),
            standing: told,
        },
        NewsReceiver {
            queue: receiver,
            backlog,
            standing: stands,
        },
    )
}

impl NewsSender {
    /// Puts news in, or cuts the reader.
    pub(super) fn tell(&self, news: RoomNews) {
        let stands = matches!(
            news,
            RoomNews::Subscriptions(_)
                | RoomNews::Layers(_)
                | RoomNews::Encodings(_)
                | RoomNews::Waiting(_)
                | RoomNews::Leave { .. }
                | RoomNews::Offer(_)
        );
        if stands {
            self.standing.send_modify(|standing| standing.take(&news));
        }
        let bytes = news.bytes();
        let before = self.backlog.bytes.fetch_add(bytes, Ordering::AcqRel);
        if before.saturating_add(bytes) > OUTBOUND_BYTES || self.queue.try_send(news).is_err() {
            self.backlog.cut.store(true, Ordering::Release);
        }
    }

    /// What stands now.
    pub(super) fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// What stands, as it changes.
    pub(super) fn watch(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// `offer` has been answered, unless another one stands by now.
    pub(super) fn answered(&self, offer: &Arc<Description>) {
        let stands = |it: &Arc<Description>| Arc::ptr_eq(it, offer);
        self.standing.send_if_modified(|standing| {
            let done = standing.offer.as_ref().is_some_and(stands);
            if done {
                standing.offer = None;
            }
            done
        });
    }
}

impl NewsReceiver {
    /// Waits for news and takes up to `NEWS_PER_BATCH` of them. False: none will follow.
    ///
    /// # Errors
    /// The reader fell behind.
    pub async fn receive(&mut self, batch: &mut Vec<RoomNews>) -> Result<bool, TooSlow> {
        let count = self.queue.recv_many(batch, NEWS_PER_BATCH).await;
        if self.backlog.cut.load(Ordering::Acquire) {
            return Err(TooSlow);
        }
        let bytes = batch.iter().map(RoomNews::bytes).sum();
        self.backlog.bytes.fetch_sub(bytes, Ordering::AcqRel);
        Ok(count > 0)
    }

    /// What stands now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// Whether the reader fell behind.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.backlog.cut.load(Ordering::Acquire)
    }

    /// Waits until nobody can tell anything any more, without reading.
    pub async fn ended(&mut self) {
        while self.standing.changed().await.is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(bytes: usize) -> RoomNews {
        RoomNews::Data(Arc::new(DataMessage {
            from: Some(ParticipantName::new("ada").unwrap()),
            from_name: "Ada".into(),
            topic: "chat".into(),
            to: Vec::new(),
            payload: "x".repeat(bytes),
            time: UnixTime::default(),
            keep: false,
        }))
    }

    #[tokio::test]
    async fn news_arrive_in_order_and_end_with_the_sender() {
        let (sender, mut receiver) = channel();
        sender.tell(RoomNews::Unpublished(TrackId(1)));
        sender.tell(RoomNews::Unpublished(TrackId(2)));
        drop(sender);
        let mut batch = Vec::new();
        assert_eq!(receiver.receive(&mut batch).await, Ok(true));
        assert_eq!(batch.len(), 2);
        assert!(matches!(batch[0], RoomNews::Unpublished(TrackId(1))));
        batch.clear();
        assert_eq!(receiver.receive(&mut batch).await, Ok(false));
    }

    #[tokio::test]
    async fn a_slow_reader_is_cut_by_count_and_by_bytes() {
        let (sender, mut receiver) = channel();
        for _ in 0..=OUTBOUND_NEWS {
            sender.tell(RoomNews::Unpublished(TrackId(1)));
        }
        assert_eq!(receiver.receive(&mut Vec::new()).await, Err(TooSlow));

        let (sender, mut receiver) = channel();
        sender.tell(data(OUTBOUND_BYTES));
        let mut batch = Vec::new();
        assert_eq!(receiver.receive(&mut batch).await, Ok(true));
        sender.tell(data(OUTBOUND_BYTES));
        sender.tell(data(1));
        assert_eq!(receiver.receive(&mut Vec::new()).await, Err(TooSlow));
    }
}

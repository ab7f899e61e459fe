//! What outlives a socket: the numbers of its messages, the last of them, and the queue of news.
//!
//! One socket at a time holds a participant's line. When it dies the line rests, its queue fills,
//! and whoever shows the resume token takes it over: from a socket that is gone, or from one that
//! the server still takes for living; the newest holds.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use dashmap::DashMap;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::time::timeout;

use super::incoming::DescriptionIn;
use super::outgoing::Outgoing;
use super::socket::{End, Turn};
use crate::clock::UnixTime;
use crate::limits::{MESSAGE_BYTES_OUT, REPLAY_BYTES, REPLAY_MESSAGES, WRITE_TIMEOUT};
use crate::node::Node;
use crate::registry::{NewsReceiver, Permissions, Seat};
use crate::status::{Failure, Reason};

/// Messages sent, from the oldest kept one to the newest.
#[derive(Debug, Default)]
struct Sent {
    texts: VecDeque<(u64, Utf8Bytes)>,
    bytes: usize,
}

impl Sent {
    fn keep(&mut self, sequence: u64, text: Utf8Bytes) {
        self.bytes += text.len();
        self.texts.push_back((sequence, text));
        while self.bytes > REPLAY_BYTES || self.texts.len() > REPLAY_MESSAGES {
            let Some((_, oldest)) = self.texts.pop_front() else {
                return;
            };
            self.bytes -= oldest.len();
        }
    }

    /// Those after `sequence`; none where not all of them are here any more.
    fn after(&self, sequence: u64, last: u64) -> Option<Vec<Utf8Bytes>> {
        if sequence == last {
            return Some(Vec::new());
        }
        let (first, _) = self.texts.front()?;
        if sequence > last || *first > sequence + 1 {
            return None;
        }
        let missed = self.texts.iter().filter(|(number, _)| *number > sequence);
        Some(missed.map(|(_, text)| text.clone()).collect())
    }
}

/// One participant's side of its sockets.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) seat: Seat,
    pub(super) news: NewsReceiver,
    /// The proof for the next resume; empty: not inside yet.
    pub(super) token: String,
    /// The first offer of one who waits.
    pub(super) waiting_offer: Option<DescriptionIn>,
    /// What it was last told it may do.
    pub(super) permissions: Option<Permissions>,
    /// When its token ends, until that has been said.
    pub(super) token_ends: Option<UnixTime>,
    sequence: u64,
    sent: Sent,
    /// Offers of ours that were told, and the number of the last one.
    offers: (u64, u64),
}

impl Line {
    /// `sequence`: of the last message before it.
    pub(super) fn new(seat: Seat, news: NewsReceiver, sequence: u64) -> Self {
        Self {
            seat,
            news,
            token: String::new(),
            waiting_offer: None,
            permissions: None,
            token_ends: None,
            sequence,
            sent: Sent::default(),
            offers: (0, 0),
        }
    }

    /// Not admitted yet: nothing can be resumed, and there is no token for it.
    pub(super) const fn is_waiting(&self) -> bool {
        self.token.is_empty()
    }

    /// The number of the last message.
    pub(super) const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// A message gets its number and is kept; what to write.
    pub(super) fn number(&mut self, message: &Outgoing) -> Result<Utf8Bytes, End> {
        let failed = |_| End::Refused(Failure::of(Reason::ServerFailed));
        if message.is_unnumbered() {
            return Ok(message.text(self.sequence).map_err(failed)?.into());
        }
        self.sequence += 1;
        let text: Utf8Bytes = message.text(self.sequence).map_err(failed)?.into();
        debug_assert!(text.len() <= MESSAGE_BYTES_OUT, "every list is cut before");
        if message.is_offer() {
            self.offers = (self.offers.0 + 1, self.sequence);
        }
        self.sent.keep(self.sequence, text.clone());
        Ok(text)
    }

    /// What was sent after `sequence`; none where that cannot be told any more.
    pub(super) fn missed(&self, sequence: u64) -> Option<Vec<Utf8Bytes>> {
        self.sent.after(sequence, self.sequence)
    }

    /// An offer of ours that was told up to `sequence` and not answered: the answer was lost, if
    /// not the offer.
    pub(super) fn unanswered(&self, sequence: u64) -> Option<Outgoing> {
        let standing = self.news.standing();
        let (told, at) = self.offers;
        let offer = standing.offer.filter(|_| standing.offers == told);
        offer
            .filter(|_| at <= sequence)
            .map(|offer| Outgoing::offer(&offer))
    }

    /// The queue was replaced: what was told of it has been told.
    pub(super) fn renew(&mut self, news: NewsReceiver) {
        self.offers.0 = news.standing().offers;
        self.news = news;
    }
}

/// A line, and which socket is the newest to ask for it.
#[derive(Debug)]
pub(super) struct Slot {
    line: Arc<Mutex<Line>>,
    newest: watch::Sender<u64>,
}

/// The lines of all who are inside, by their resume tokens; as many as participants.
#[derive(Debug, Default)]
pub(crate) struct Lines(DashMap<String, Arc<Slot>>);

/// A line in the hands of one socket. However the socket ends, the room learns of it.
pub(super) struct Held<'n> {
    node: &'n Node,
    slot: Arc<Slot>,
    pub(super) line: OwnedMutexGuard<Line>,
    /// The room takes us for there.
    present: bool,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.absent();
    }
}

impl<'n> Held<'n> {
    /// A line that begins.
    pub(super) fn new(node: &'n Node, line: Line) -> Result<(Self, Turn), End> {
        let token = line.token.clone();
        let slot = Arc::new(Slot {
            line: Arc::new(Mutex::new(line)),
            newest: watch::Sender::new(0),
        });
        let failed = |_| End::Refused(Failure::of(Reason::ServerFailed));
        let line = Arc::clone(&slot.line).try_lock_owned().map_err(failed)?;
        let turn = Turn::new(slot.newest.subscribe(), 0);
        let held = Self {
            node,
            slot,
            line,
            present: true,
        };
        if !token.is_empty() {
            held.enlist(token);
        }
        Ok((held, turn))
    }

    fn enlist(&self, token: String) {
        let slot = Arc::clone(&self.slot);
        self.node.lines().0.insert(token, slot);
    }

    /// Takes a line over by its token.
    pub(super) async fn take(node: &'n Node, token: &str) -> Result<(Self, Turn), End> {
        let void = || End::Refused(Failure::of(Reason::ResumeTokenExpired));
        let slot = node.lines().0.get(token).map(|slot| Arc::clone(&slot));
        let slot = slot.ok_or_else(void)?;
        let mut own = 0;
        slot.newest.send_modify(|newest| {
            *newest += 1;
            own = *newest;
        });
        let turn = Turn::new(slot.newest.subscribe(), own);
        // The other socket ends its write at once, a message it acts on a little later.
        let waited = timeout(WRITE_TIMEOUT, Arc::clone(&slot.line).lock_owned()).await;
        let overloaded = |_| End::Refused(Failure::of(Reason::NodeOverloaded));
        let line = waited.map_err(overloaded)?;
        if turn.has_passed() {
            return Err(End::Superseded);
        }
        if line.token != token {
            return Err(void());
        }
        let mut held = Self {
            node,
            slot,
            line,
            present: false,
        };
        // Who was removed, revoked or closed out meanwhile is not inside any more.
        let renewed = node.registry().socket_resumed(held.line.seat);
        held.present = renewed.is_ok();
        held.renew_token(renewed.map_err(|_| void())?);
        Ok((held, turn))
    }

    /// Another token for the next resume; the old one is void.
    pub(super) fn renew_token(&mut self, token: String) {
        let old = std::mem::replace(&mut self.line.token, token.clone());
        self.node.lines().0.remove(&old);
        self.enlist(token);
    }

    pub(super) const fn node(&self) -> &'n Node {
        self.node
    }

    /// The room learns that no socket is there.
    pub(super) fn absent(&mut self) {
        if std::mem::replace(&mut self.present, false) {
            self.node.registry().socket_closed(self.line.seat);
        }
    }

    /// Another socket has taken over, or will at once: the room need not know.
    pub(super) fn hand_over(mut self) {
        self.present = false;
    }

    /// It is over: nothing can be resumed.
    pub(super) fn end(self) {
        self.node.lines().0.remove(&self.line.token);
    }

    /// Without a socket: until another one takes over or there is nothing left to resume.
    pub(super) async fn rest(mut self, turn: Option<Turn>) {
        let Some(mut turn) = turn.filter(|_| !self.line.token.is_empty()) else {
            return;
        };
        tokio::select! {
            () = turn.passed() => self.hand_over(),
            () = self.line.news.ended() => self.end(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(sent: &Sent, after: u64, last: u64) -> Option<Vec<String>> {
        let texts = sent.after(after, last)?;
        Some(texts.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_was_missed_is_told_once_or_not_at_all() {
        let mut sent = Sent::default();
        let last = REPLAY_MESSAGES as u64 + 10;
        for number in 1..=last {
            sent.keep(number, number.to_string().into());
        }
        assert_eq!(sent.texts.len(), REPLAY_MESSAGES);
        assert_eq!(numbers(&sent, last, last), Some(Vec::new()));
        assert_eq!(
            numbers(&sent, last - 2, last).unwrap(),
            [(last - 1).to_string(), last.to_string()]
        );
        assert_eq!(numbers(&sent, 10, last).unwrap().len(), REPLAY_MESSAGES);
        for uncovered in [0, 9, last + 1] {
            assert_eq!(numbers(&sent, uncovered, last), None, "{uncovered}");
        }
    }

    #[test]
    fn long_messages_push_older_ones_out() {
        let mut sent = Sent::default();
        for number in 1..=3 {
            sent.keep(number, "x".repeat(REPLAY_BYTES / 2).into());
        }
        assert!(sent.bytes <= REPLAY_BYTES);
        assert_eq!(sent.after(1, 3).unwrap().len(), 2);
        sent.keep(4, "x".repeat(REPLAY_BYTES + 1).into());
        assert_eq!((sent.bytes, sent.texts.len()), (0, 0));
        assert!(sent.after(3, 4).is_none());
    }
}

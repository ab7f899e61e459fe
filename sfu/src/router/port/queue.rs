//! What waits behind a door: messages behind their lengths, in one run of bytes that is handed over
//! as it is.

use crate::limits::{PIPE_QUEUE_BYTES, PIPE_QUEUE_MESSAGES, PORT_QUEUE_BYTES, PORT_QUEUE_MESSAGES};
use crate::wire::port::{self, PortMessage};

/// Media leaves this share of the queue to what is said about tracks and encodings.
const RESERVE: usize = 8;

/// Bounds of a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    bytes: usize,
    messages: usize,
}

impl Bounds {
    /// To a reader of its own pace.
    pub(super) const PORT: Self = Self {
        bytes: PORT_QUEUE_BYTES,
        messages: PORT_QUEUE_MESSAGES,
    };
    /// To another shard, which reads a batch at a time.
    pub(super) const PIPE: Self = Self {
        bytes: PIPE_QUEUE_BYTES,
        messages: PIPE_QUEUE_MESSAGES,
    };
}

/// Messages that wait.
#[derive(Debug)]
pub(super) struct PortQueue {
    /// A parcel (`wire::port`); what stands before `read` has gone.
    bytes: Vec<u8>,
    read: usize,
    messages: usize,
    bounds: Bounds,
    /// Media dropped since the last `Gap`.
    missed: u32,
    /// Something else than media was dropped: the other side knows not what there is.
    pub(super) is_broken: bool,
}

impl PortQueue {
    pub(super) const fn new(bounds: Bounds) -> Self {
        Self {
            bytes: Vec::new(),
            read: 0,
            messages: 0,
            bounds,
            missed: 0,
            is_broken: false,
        }
    }

    /// False: there was no room, and the message was dropped.
    pub(super) fn push(&mut self, message: &PortMessage<'_>) -> bool {
        let is_media = matches!(message, PortMessage::Media(_) | PortMessage::Level { .. });
        if self.missed > 0 && self.has_room(is_media) {
            let messages = std::mem::take(&mut self.missed);
            self.put(&PortMessage::Gap { messages }, false);
        }
        let queued = self.missed == 0 && self.put(message, is_media)
            || !is_media && self.put(message, false);
        if !queued && is_media {
            self.missed = self.missed.saturating_add(1);
        }
        self.is_broken |= !queued && !is_media;
        queued
    }

    fn put(&mut self, message: &PortMessage<'_>, is_media: bool) -> bool {
        if !self.has_room(is_media) {
            return false;
        }
        let bytes_max = self.bounds.bytes + self.read;
        let fits = port::append(message, &mut self.bytes, bytes_max);
        self.messages += usize::from(fits);
        fits
    }

    /// A message may be put in: of media where its share is not full yet.
    fn has_room(&self, is_media: bool) -> bool {
        let share = if is_media { RESERVE - 1 } else { RESERVE };
        let waiting = self.bytes.len() - self.read;
        let longest = if is_media { port::MESSAGE_BYTES_MAX } else { 0 };
        waiting + longest <= self.bounds.bytes / RESERVE * share
            && self.messages < self.bounds.messages / RESERVE * share
    }

    /// The next message into `out`; its length. What does not fit is dropped.
    pub(super) fn pop(&mut self, out: &mut [u8]) -> Option<usize> {
        let mut rest = self.bytes.get(self.read..)?;
        let message = port::split(&mut rest)?;
        let place = out.get_mut(..message.len());
        let fits = place.map(|place| place.copy_from_slice(message));
        let len = message.len();
        self.read = self.bytes.len() - rest.len();
        self.messages = self.messages.saturating_sub(1);
        if self.read >= self.bounds.bytes / 2 || self.read == self.bytes.len() {
            self.bytes.drain(..self.read);
            self.read = 0;
        }
        fits.map(|()| len)
    }

    /// All that waits, into `parcel`, whose own bytes are dropped and whose room is kept for what
    /// comes. False: nothing waits.
    pub(super) fn take(&mut self, parcel: &mut Vec<u8>) -> bool {
        if self.messages == 0 {
            return false;
        }
        self.bytes.drain(..self.read);
        parcel.clear();
        std::mem::swap(&mut self.bytes, parcel);
        self.read = 0;
        self.messages = 0;
        true
    }

    /// Nothing that waits is said.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.read = 0;
        self.messages = 0;
        self.missed = 0;
    }
}

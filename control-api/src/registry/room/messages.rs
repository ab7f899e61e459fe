//! Messages to members, and those that are kept for who joins later.

use std::collections::VecDeque;
use std::sync::Arc;

use sfu::id::ParticipantId;

use super::Room;
use crate::limits::MESSAGE_HISTORY_BYTES;
use crate::registry::name::ParticipantName;
use crate::registry::news::{DataMessage, RoomNews};
use crate::registry::spec::Door;

/// The newest messages that were to be kept.
#[derive(Debug, Default)]
pub(super) struct History {
    messages: VecDeque<Arc<DataMessage>>,
    bytes: usize,
}

impl History {
    fn keep(&mut self, message: Arc<DataMessage>, most: usize) {
        self.bytes = self.bytes.saturating_add(message.payload.len());
        self.messages.push_back(message);
        self.trim(most);
    }

    /// The room keeps fewer now, or one more has come.
    pub(super) fn trim(&mut self, most: usize) {
        while self.messages.len() > most || self.bytes > MESSAGE_HISTORY_BYTES {
            let Some(oldest) = self.messages.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(oldest.payload.len());
        }
    }
}

impl Room {
    /// Oldest first.
    pub(in crate::registry) fn history(&self) -> Vec<Arc<DataMessage>> {
        self.history.messages.iter().cloned().collect()
    }

    /// A message of one member, or of the backend, to others; says how many it went to.
    pub(in crate::registry) fn relay(
        &mut self,
        from: Option<ParticipantId>,
        data: &Arc<DataMessage>,
    ) -> usize {
        let mut count = 0;
        let named = |name: &ParticipantName| data.to.is_empty() || data.to.contains(name);
        for member in self.members.values() {
            if Some(member.id) != from && member.door == Door::WebSocket && named(&member.name) {
                member.tell(RoomNews::Data(Arc::clone(data)));
                count += 1;
            }
        }
        // What is for some is not for those who come later.
        if data.keep && data.to.is_empty() {
            let most = self.spec.config.message_history_max;
            self.history.keep(Arc::clone(data), most);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;

    fn message(n: usize, bytes: usize) -> Arc<DataMessage> {
        Arc::new(DataMessage {
            from: None,
            from_name: String::new(),
            topic: n.to_string(),
            to: Vec::new(),
            payload: "x".repeat(bytes),
            time: UnixTime::default(),
            keep: true,
        })
    }

    #[test]
    fn the_newest_messages_are_kept_within_count_and_bytes() {
        for (bytes, most, sent, kept) in [
            (1, 3, 5, 3),
            (1, 0, 2, 0),
            (MESSAGE_HISTORY_BYTES / 2, 200, 5, 2),
            (MESSAGE_HISTORY_BYTES + 1, 200, 1, 0),
        ] {
            let mut history = History::default();
            for n in 0..sent {
                history.keep(message(n, bytes), most);
            }
            let topics = history.messages.iter().map(|message| message.topic.clone());
            let expected: Vec<_> = (sent - kept..sent).map(|n| n.to_string()).collect();
            assert_eq!(
                topics.collect::<Vec<_>>(),
                expected,
                "{bytes} bytes, {most}"
            );
            assert_eq!(history.bytes, kept * bytes);
        }
    }
}

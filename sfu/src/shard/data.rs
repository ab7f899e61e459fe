//! Data channels across a room: what one participant sends on a channel of its own reaches the
//! others on a channel of ours with the same label, protocol and reliability.
//!
//! A protocol of the form `to:ada` makes a channel private to participant "ada"; a message to someone
//! who is not there is dropped, never made public. Any other protocol is the application's own, and
//! the channel speaks to the room. Each sender's channel has a channel of its own at each
//! receiver, so that who speaks is never in doubt; it is opened with the first message. A receiver
//! who has no data m-line yet is offered one, and what comes meanwhile waits, bounded.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::id::{MemberKey, ParticipantId};
use crate::limits;
use crate::shard::room::{Member, Room};
use crate::shard::stats::ShardStats;
use crate::time::Instant;
use crate::transport::Reliability;

/// What a private channel's protocol begins with.
const PRIVATE: &str = "to:";

/// A channel the participant opened.
#[derive(Clone, Debug)]
struct Incoming {
    stream: u16,
    label: String,
    protocol: String,
    reliability: Reliability,
}

impl Incoming {
    fn is_for(&self, name: &str) -> bool {
        let alone = self.protocol.strip_prefix(PRIVATE);
        alone.is_none_or(|alone| alone == name)
    }
}

/// A channel of ours towards the participant.
#[derive(Clone, Copy, Debug)]
struct Outgoing {
    from: ParticipantId,
    from_stream: u16,
    stream: u16,
    /// The world has yet to be told whose it is.
    news: bool,
}

/// A message that came before its receiver had an association.
#[derive(Debug)]
struct Early {
    from: ParticipantId,
    channel: Incoming,
    message: Message,
}

impl Early {
    fn bytes(&self) -> usize {
        let names = self.channel.label.len() + self.channel.protocol.len();
        self.message.payload.len() + names + size_of::<Self>()
    }
}

/// One member's data channels, both ways; at most `DATA_CHANNELS_PER_TRANSPORT` each way.
#[derive(Debug, Default)]
pub(super) struct Channels {
    incoming: Vec<Incoming>,
    outgoing: Vec<Outgoing>,
    /// At most `DATA_BACKLOG_BYTES`; full: the oldest leaves.
    early: VecDeque<Early>,
    early_bytes: usize,
    /// The member has been asked for a data m-line; once is enough.
    asked: bool,
}

impl Channels {
    pub(super) fn has_news(&self) -> bool {
        self.outgoing.iter().any(|channel| channel.news)
    }

    /// The next channel of ours to be told of: (stream, sender).
    pub(super) fn take_news(&mut self) -> Option<(u16, ParticipantId)> {
        let channel = self.outgoing.iter_mut().find(|channel| channel.news)?;
        channel.news = false;
        Some((channel.stream, channel.from))
    }

    /// The participant opened a channel; the surplus is ignored.
    pub(super) fn opened(
        &mut self,
        stream: u16,
        label: String,
        protocol: String,
        reliability: Reliability,
    ) {
        self.incoming.retain(|channel| channel.stream != stream);
        if self.incoming.len() < limits::DATA_CHANNELS_PER_TRANSPORT {
            self.incoming.push(Incoming {
                stream,
                label,
                protocol,
                reliability,
            });
        }
    }

    fn keep_early(&mut self, early: Early) {
        self.early_bytes += early.bytes();
        self.early.push_back(early);
        while self.early_bytes > limits::DATA_BACKLOG_BYTES {
            let Some(oldest) = self.early.pop_front() else {
                break;
            };
            self.early_bytes -= oldest.bytes();
        }
    }

    /// Nobody it has heard so far is here any more: forgets what carried their messages, and says
    /// by which streams. Channels of its own stay.
    pub(super) fn forget_others(&mut self) -> Vec<u16> {
        self.early.clear();
        self.early_bytes = 0;
        let ours = std::mem::take(&mut self.outgoing);
        ours.into_iter().map(|channel| channel.stream).collect()
    }

    fn drop_early(&mut self, from: ParticipantId) {
        self.early.retain(|early| early.from != from);
        self.early_bytes = self.early.iter().map(Early::bytes).sum();
    }

    /// A channel closed, whichever side it was of; true where it was the participant's own.
    pub(super) fn closed(&mut self, stream: u16) -> bool {
        self.outgoing.retain(|channel| channel.stream != stream);
        let before = self.incoming.len();
        self.incoming.retain(|channel| channel.stream != stream);
        self.incoming.len() < before
    }

    /// Forgets the channels that carry what `from` sends (on `stream`, or on all); returns ours.
    fn forget(&mut self, from: ParticipantId, stream: Option<u16>) -> Vec<u16> {
        let stays = |early: &Early| {
            early.from != from || stream.is_some_and(|stream| stream != early.channel.stream)
        };
        self.early.retain(stays);
        self.early_bytes = self.early.iter().map(Early::bytes).sum();
        let carries = |channel: &Outgoing| {
            channel.from == from && stream.is_none_or(|stream| stream == channel.from_stream)
        };
        let ours = self.outgoing.iter().filter(|channel| carries(channel));
        let ours = ours.map(|channel| channel.stream).collect();
        self.outgoing.retain(|channel| !carries(channel));
        ours
    }
}

impl Room {
    /// `from` may send nothing more: what waits for receivers without an association is dropped.
    /// Its channels stay, for it may be allowed again.
    pub(super) fn drop_early(&mut self, from: ParticipantId) {
        for (_, receiver) in self.members.iter_mut() {
            receiver.channels.drop_early(from);
        }
    }

    /// Carries one message from `from` to whom its channel names; says who is to be offered a data
    /// m-line for it.
    pub(super) fn relay_data(
        &mut self,
        now: Instant,
        from: MemberKey,
        message: &Message,
        stats: &mut ShardStats,
    ) -> Vec<MemberKey> {
        let mut asked = Vec::new();
        stats.data_messages_in += 1;
        let Some(sender) = self.members.get(from.index()) else {
            return asked;
        };
        if !sender.permissions.send_data {
            return asked;
        }
        let channel = |one: &&Incoming| one.stream == message.stream;
        let Some(channel) = sender.channels.incoming.iter().find(channel).cloned() else {
            return asked;
        };
        let sender = sender.id;
        for index in 0..self.members.capacity() {
            let Some(receiver) = self.members.get_mut(index) else {
                continue;
            };
            if index == from.index() || !channel.is_for(&receiver.name) {
                continue;
            }
            if !receiver.transport.has_data() {
                if receiver.ask_data(sender, &channel, message) {
                    asked.push(MemberKey::from_index(index));
                }
                continue;
            }
            if receiver.deliver(now, sender, &channel, message) {
                stats.data_messages_out += 1;
                self.visit(MemberKey::from_index(index));
            }
        }
        asked
    }

    /// `from` closed its channel `stream` (or left: all of them); ours close too.
    pub(super) fn close_relayed(&mut self, now: Instant, from: ParticipantId, stream: Option<u16>) {
        for index in 0..self.members.capacity() {
            let Some(receiver) = self.members.get_mut(index) else {
                continue;
            };
            let ours = receiver.channels.forget(from, stream);
            for stream in &ours {
                receiver.transport.close_data(now, *stream);
            }
            if !ours.is_empty() {
                self.visit(MemberKey::from_index(index));
            }
        }
    }
}

/// One data channel message.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) stream: u16,
    pub(super) text: bool,
    pub(super) payload: Bytes,
}

impl Member {
    /// The message waits for an association; true where one is asked for just now.
    fn ask_data(&mut self, from: ParticipantId, channel: &Incoming, message: &Message) -> bool {
        self.channels.keep_early(Early {
            from,
            channel: channel.clone(),
            message: message.clone(),
        });
        if self.channels.asked {
            return false;
        }
        self.channels.asked = true;
        self.negotiation.request_data();
        true
    }

    /// There is an association now: what waited for it goes out.
    pub(super) fn deliver_early(&mut self, now: Instant, stats: &mut ShardStats) {
        if self.channels.early.is_empty() || !self.transport.has_data() {
            return;
        }
        self.channels.early_bytes = 0;
        for early in std::mem::take(&mut self.channels.early) {
            if self.deliver(now, early.from, &early.channel, &early.message) {
                stats.data_messages_out += 1;
            }
        }
    }

    fn deliver(
        &mut self,
        now: Instant,
        from: ParticipantId,
        channel: &Incoming,
        message: &Message,
    ) -> bool {
        let known = self
            .channels
            .outgoing
            .iter()
            .find(|one| one.from == from && one.from_stream == channel.stream)
            .map(|one| one.stream);
        let Some(stream) = known.or_else(|| self.open_relayed(now, from, channel)) else {
            return false;
        };
        self.transport
            .send_data(now, stream, message.text, &message.payload)
            .is_ok()
    }

    fn open_relayed(
        &mut self,
        now: Instant,
        from: ParticipantId,
        channel: &Incoming,
    ) -> Option<u16> {
        if self.channels.outgoing.len() >= limits::DATA_CHANNELS_PER_TRANSPORT {
            return None;
        }
        let opened =
            self.transport
                .open_data(now, &channel.label, &channel.protocol, channel.reliability);
        let stream = opened.ok()?;
        self.channels.outgoing.push(Outgoing {
            from,
            from_stream: channel.stream,
            stream,
            news: true,
        });
        Some(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::ReliabilityLimit;

    #[test]
    fn what_waits_of_one_who_may_send_no_more_is_dropped_and_the_rest_still_waits() {
        let mut channels = Channels::default();
        for (from, word) in [(1, "ada's"), (2, "lin's"), (1, "ada's too")] {
            channels.keep_early(Early {
                from: ParticipantId(from),
                channel: Incoming {
                    stream: 0,
                    label: String::new(),
                    protocol: String::new(),
                    reliability: Reliability {
                        ordered: true,
                        limit: ReliabilityLimit::Unlimited,
                    },
                },
                message: Message {
                    stream: 0,
                    text: true,
                    payload: Bytes::from_static(word.as_bytes()),
                },
            });
        }
        channels.drop_early(ParticipantId(1));
        let left: Vec<&[u8]> = channels
            .early
            .iter()
            .map(|early| &early.message.payload[..])
            .collect();
        assert_eq!(left, [b"lin's"]);
        let bytes: usize = channels.early.iter().map(Early::bytes).sum();
        assert_eq!(channels.early_bytes, bytes);
    }

    #[test]
    fn a_protocol_addresses_only_where_it_says_to() {
        let channel = |protocol: &str| Incoming {
            stream: 0,
            label: "chat".to_owned(),
            protocol: protocol.to_owned(),
            reliability: Reliability {
                ordered: true,
                limit: ReliabilityLimit::Unlimited,
            },
        };
        for (protocol, ada, lin) in [
            ("", true, true),
            ("to:ada", true, false),
            ("to:nobody", false, false),
            ("to:", false, false),
            ("ada", true, true),
            ("chat.v1", true, true),
        ] {
            let channel = channel(protocol);
            assert_eq!(channel.is_for("ada"), ada, "{protocol}");
            assert_eq!(channel.is_for("lin"), lin, "{protocol}");
        }
    }
}

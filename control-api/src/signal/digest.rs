//! News coalesced into few messages. Order is kept: only neighbours of one kind are joined, and of
//! facts that replace each other the newest stays.

use sfu::id::ParticipantId;

use super::layers::LayersOut;
use super::outgoing::{
    LeftOut, Outgoing, ParticipantOut, ParticipantsOut, PermissionsOut, QualityOut, RoomOut,
    SectionOut, SubscriptionOut, TrackOut, TracksOut, unpublished,
};
use crate::limits::MESSAGE_BYTES_OUT;
use crate::registry::spec::leave_label;
use crate::registry::{Permissions, RoomNews};

/// Messages of one batch of news for `own`, who was last told of `permissions`.
pub(super) fn messages(
    batch: &[RoomNews],
    own: ParticipantId,
    permissions: &mut Option<Permissions>,
) -> Vec<Outgoing> {
    let mut messages: Vec<Outgoing> = Vec::new();
    let mut bytes = 0;
    for news in batch {
        if let RoomNews::Updated(view) = news
            && view.id == own
            && permissions.as_ref() != Some(&view.spec.permissions)
        {
            *permissions = Some(view.spec.permissions.clone());
            messages.push(Outgoing::Permissions {
                permissions: PermissionsOut::from(&view.spec.permissions),
            });
        }
        let next = message(news);
        let Some(next) = next else { continue };
        let size = size(&next);
        let fits = bytes + size <= MESSAGE_BYTES_OUT / 2;
        let rest = match messages.last_mut() {
            Some(last) if fits => merge(last, next),
            Some(_) | None => Some(next),
        };
        match rest {
            Some(next) => {
                bytes = size;
                messages.push(next);
            }
            None => bytes += size,
        }
    }
    messages
}

/// Participants in portions that fit a message each, the first one with `reserved` bytes of other
/// things in it.
pub(super) fn portions(
    participants: Vec<ParticipantOut>,
    reserved: usize,
) -> Vec<Vec<ParticipantOut>> {
    // What is left is for an answer in SDP and the rest of a welcome.
    const MOST: usize = MESSAGE_BYTES_OUT / 8 * 7;
    let mut portions = vec![Vec::new()];
    let mut bytes = reserved;
    for participant in participants {
        let size = participant.bytes();
        if bytes + size > MOST && bytes > 0 {
            portions.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        if let Some(portion) = portions.last_mut() {
            portion.push(participant);
        }
    }
    portions
}

fn message(news: &RoomNews) -> Option<Outgoing> {
    let participants = |participants| Some(Outgoing::Participants(participants));
    let tracks = |tracks| Some(Outgoing::Tracks(tracks));
    match news {
        RoomNews::Joined(view) => participants(ParticipantsOut {
            joined: vec![ParticipantOut::from(&**view)],
            ..ParticipantsOut::default()
        }),
        RoomNews::Updated(view) => participants(ParticipantsOut {
            updated: vec![ParticipantOut::from(&**view)],
            ..ParticipantsOut::default()
        }),
        RoomNews::Left(name, reason) => participants(ParticipantsOut {
            left: vec![LeftOut {
                participant: name.to_string(),
                reason: leave_label(*reason),
            }],
            ..ParticipantsOut::default()
        }),
        RoomNews::Published(view) => tracks(TracksOut {
            published: vec![TrackOut::from(&**view)],
            ..TracksOut::default()
        }),
        RoomNews::TrackUpdated(view) => tracks(TracksOut {
            updated: vec![TrackOut::from(&**view)],
            ..TracksOut::default()
        }),
        RoomNews::Unpublished(track) => tracks(TracksOut {
            unpublished: vec![unpublished(*track)],
            ..TracksOut::default()
        }),
        RoomNews::Subscriptions(map) => tracks(TracksOut {
            sections: Some(map.0.iter().map(SectionOut::from).collect()),
            subscriptions: Some(map.1.iter().map(SubscriptionOut::from).collect()),
            ..TracksOut::default()
        }),
        RoomNews::Encodings(tracks) => Some(Outgoing::encodings(tracks)),
        RoomNews::Layers(facts) => Some(Outgoing::Layers(LayersOut::from(&**facts))),
        RoomNews::Quality(name, quality) => Some(Outgoing::Quality {
            participants: vec![QualityOut {
                participant: name.to_string(),
                quality: quality.as_str(),
            }],
        }),
        RoomNews::Speakers(speakers) => Some(Outgoing::speakers(speakers)),
        RoomNews::Offer(description) => Some(Outgoing::offer(description)),
        RoomNews::Data(data) => Outgoing::data(data),
        RoomNews::DataChannel { stream, from } => Some(Outgoing::Channel {
            channel: *stream,
            from: from.to_string(),
        }),
        RoomNews::RoomUpdated(view) => Some(Outgoing::Room {
            room: Box::new(RoomOut::from(&**view)),
        }),
        RoomNews::Waiting(views) => Some(Outgoing::Waiting {
            participant: None,
            participants: Some(views.iter().map(ParticipantOut::brief).collect()),
        }),
        // A welcome follows these, which is no matter of one message.
        RoomNews::Admitted(_) | RoomNews::Moved(_) => None,
        RoomNews::Leave {
            reason,
            action,
            message,
        } => Some(Outgoing::leave(*reason, *action, message.clone())),
    }
}

fn size(message: &Outgoing) -> usize {
    match message {
        Outgoing::Participants(participants) => {
            let all = participants.joined.iter().chain(&participants.updated);
            all.map(ParticipantOut::bytes).sum::<usize>() + participants.left.len() * 256
        }
        Outgoing::Tracks(tracks) => {
            (tracks.published.len() + tracks.updated.len() + tracks.unpublished.len()) * 400
        }
        Outgoing::Welcome(_)
        | Outgoing::Layers(_)
        | Outgoing::Encodings { .. }
        | Outgoing::Quality { .. }
        | Outgoing::Speakers { .. }
        | Outgoing::Data(_)
        | Outgoing::Channel { .. }
        | Outgoing::Leave { .. }
        | Outgoing::Error { .. }
        | Outgoing::Reply { .. }
        | Outgoing::Resumed { .. }
        | Outgoing::IceServers { .. }
        | Outgoing::Snapshot(_)
        | Outgoing::Lobby { .. }
        | Outgoing::Waiting { .. }
        | Outgoing::Room { .. }
        | Outgoing::Permissions { .. }
        | Outgoing::History { .. }
        | Outgoing::TokenNeeded { .. }
        | Outgoing::Pong {}
        | Outgoing::Description { .. } => 0,
    }
}

/// Joins `next` to `last` where nothing is lost by it; else gives it back.
fn merge(last: &mut Outgoing, next: Outgoing) -> Option<Outgoing> {
    match (&mut *last, next) {
        (Outgoing::Participants(last), Outgoing::Participants(next)) => {
            let kinds = |it: &ParticipantsOut| {
                (
                    it.joined.is_empty(),
                    it.updated.is_empty(),
                    it.left.is_empty(),
                )
            };
            if kinds(last) != kinds(&next) {
                return Some(Outgoing::Participants(next));
            }
            last.joined.extend(next.joined);
            last.updated.extend(next.updated);
            last.left.extend(next.left);
            None
        }
        (Outgoing::Tracks(last), Outgoing::Tracks(next)) => {
            let kinds = |it: &TracksOut| {
                let map = it.sections.is_none();
                (
                    it.published.is_empty(),
                    it.updated.is_empty(),
                    it.unpublished.is_empty(),
                    map,
                )
            };
            if kinds(last) != kinds(&next) {
                return Some(Outgoing::Tracks(next));
            }
            last.published.extend(next.published);
            last.updated.extend(next.updated);
            last.unpublished.extend(next.unpublished);
            last.sections = next.sections;
            last.subscriptions = next.subscriptions;
            None
        }
        (Outgoing::Quality { participants: last }, Outgoing::Quality { participants: next }) => {
            last.retain(|old| next.iter().all(|new| new.participant != old.participant));
            last.extend(next);
            None
        }
        (Outgoing::Speakers { speakers: last }, Outgoing::Speakers { speakers: next }) => {
            *last = next;
            None
        }
        (Outgoing::Layers(last), Outgoing::Layers(next)) => {
            *last = next;
            None
        }
        (Outgoing::Room { room: last }, Outgoing::Room { room: next }) => {
            *last = next;
            None
        }
        (_, next) => Some(next),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sfu::error::LeaveReason;
    use sfu::id::{ParticipantId, TrackId};

    use super::*;
    use crate::registry::ParticipantName;

    fn texts(batch: &[RoomNews]) -> Vec<String> {
        messages(batch, ParticipantId(0), &mut None)
            .iter()
            .map(|message| message.text(0).unwrap())
            .collect()
    }

    #[test]
    fn neighbours_of_one_kind_become_one_message_and_order_is_kept() {
        let left = |name: &str| {
            RoomNews::Left(ParticipantName::new(name).unwrap(), LeaveReason::LeftItself)
        };
        let batch = [
            left("ada"),
            left("lin"),
            RoomNews::Unpublished(TrackId(1)),
            RoomNews::Unpublished(TrackId(2)),
            left("bob"),
            RoomNews::Speakers(Arc::new(vec![(
                ParticipantName::new("eve").unwrap(),
                sfu::units::AudioLevel(9),
            )])),
            RoomNews::Speakers(Arc::default()),
            RoomNews::Subscriptions(Arc::default()),
        ];
        let texts = texts(&batch);
        assert_eq!(texts.len(), 5, "{texts:#?}");
        assert!(texts[0].contains("ada") && texts[0].contains("lin"));
        assert!(texts[1].contains(r#""unpublished":["t1","t2"]"#));
        assert!(texts[2].contains("bob"));
        assert!(texts[3].contains(r#""speakers":[]"#));
        // An empty map is news too: nothing is shown any more.
        assert!(texts[4].contains(r#""sections":[]"#));
    }
}

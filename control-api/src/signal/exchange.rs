//! What each message of a browser does, once it has joined.

use sfu::error::LeaveReason;
use sfu::id::Mid;
use sfu::shard::command::{Negotiated, Wish};

use super::incoming::{DataIn, Incoming, MuteIn, SubscribeIn, TokenIn, TracksIn, UpdateIn};
use super::line::Held;
use super::outgoing::Outgoing;
use super::{command, join};
use crate::limits::TRACKS_PER_MESSAGE;
use crate::node::Node;
use crate::registry::spec::track_from_label;
use crate::registry::{ParticipantName, Seat, SelfChange, TrackSource, Wishes};
use crate::status::{Failure, Reason};

/// Acts on a message; what is to be answered, if anything.
///
/// # Errors
/// It was refused; the socket lives on.
pub(super) async fn act(
    held: &mut Held<'_>,
    message: Incoming,
) -> Result<Option<Outgoing>, Failure> {
    let (node, seat) = (held.node(), held.line.seat);
    if held.line.is_waiting() && !may_while_waiting(&message) {
        return match message.id() {
            Some(_) => Err(Failure::new(Reason::PermissionMissing, "not admitted yet")),
            // What is said of own m-lines is said again after the welcome.
            None => Ok(None),
        };
    }
    match message {
        Incoming::Description(text) => {
            return Ok(match join::negotiate(node, seat, &text).await? {
                Negotiated::Answer(answer) => Some(Outgoing::offer(&answer)),
                Negotiated::Accepted | Negotiated::Ignored => None,
            });
        }
        Incoming::Tracks(tracks) => describe(node, seat, &tracks)?,
        Incoming::Mute(MuteIn { mid, muted }) => {
            node.registry().mute(seat, mid_of(&mid, "mid")?, muted)?;
        }
        Incoming::Subscribe(subscribe) => wish(node, seat, &subscribe).await?,
        Incoming::Data(data) => {
            let id = data.id.clone();
            let count = send(node, seat, data)?;
            return Ok(id.map(|id| Outgoing::reply(id, Ok(recipients(count)))));
        }
        Incoming::Restart => node.registry().restart_ice(seat).await?,
        Incoming::Leave => node.registry().leave(seat, LeaveReason::LeftItself),
        Incoming::Update(update) => change_self(node, seat, update).await?,
        Incoming::Command(command) => {
            let body = command::carry_out(node, seat, &command).await?;
            return Ok(Some(Outgoing::reply(command.id, Ok(body))));
        }
        Incoming::Token(fresh) => {
            node.authority().learn(&fresh.token).await;
            renew_token(held, &fresh)?;
        }
        Incoming::Join(_) | Incoming::Resume(_) | Incoming::Look(_) => {
            return Err(Failure::new(
                Reason::MessageInvalid,
                "this socket has joined already",
            ));
        }
        Incoming::Ping => return Ok(Some(Outgoing::Pong {})),
        Incoming::Nothing => {}
    }
    Ok(None)
}

async fn change_self(node: &Node, seat: Seat, update: UpdateIn) -> Result<(), Failure> {
    let change = SelfChange {
        display_name: update.display_name,
        metadata: update.metadata,
        attributes: update.attributes,
    };
    node.registry().update_self(seat, change).await.map(drop)
}

/// A token of the same room, and of the same participant where it names one.
fn renew_token(held: &mut Held<'_>, fresh: &TokenIn) -> Result<(), Failure> {
    let node = held.node();
    let grant = node.authority().participant(&fresh.token)?;
    let (room, own) = node.registry().names(held.line.seat)?;
    if grant.room != room {
        return Err(Failure::field("token", "is of another room"));
    }
    if grant.participant.is_some_and(|name| name != own) {
        return Err(Failure::field("token", "is another participant's"));
    }
    held.line.token_ends = Some(grant.expires_at);
    Ok(())
}

fn describe(node: &Node, seat: Seat, message: &TracksIn) -> Result<(), Failure> {
    check_count(message.tracks.len())?;
    let mut sources = Vec::with_capacity(message.tracks.len());
    for (index, track) in message.tracks.iter().enumerate() {
        let mid = mid_of(&track.mid, &format!("tracks[{index}].mid"))?;
        let source = TrackSource::from_label(&track.source).ok_or_else(|| {
            let why = "must be CAMERA, MICROPHONE, SCREEN, SCREEN_AUDIO or OTHER";
            Failure::field(format!("tracks[{index}].source"), why)
        })?;
        sources.push((mid, source));
    }
    node.registry().describe_tracks(seat, &sources)
}

async fn wish(node: &Node, seat: Seat, message: &SubscribeIn) -> Result<(), Failure> {
    check_count(message.tracks.len())?;
    let mut wishes = Vec::with_capacity(message.tracks.len());
    for (index, wish) in message.tracks.iter().enumerate() {
        let track = track_from_label(&wish.track)
            .ok_or_else(|| Failure::field(format!("tracks[{index}].track"), "is no track's id"))?;
        if wish.priority == 0 {
            return Err(Failure::field(
                format!("tracks[{index}].priority"),
                "from 1 to 255",
            ));
        }
        wishes.push(Wish {
            track,
            wanted: wish.wanted,
            paused: wish.paused,
            priority: wish.priority,
            height: wish.height,
            pinned: wish.pinned,
        });
    }
    let wishes = Wishes {
        subscribe_all: message.all,
        audio_slots: message.audio_slots,
        tracks: wishes,
    };
    node.registry().subscribe(seat, wishes).await
}

const fn may_while_waiting(message: &Incoming) -> bool {
    matches!(
        message,
        Incoming::Leave | Incoming::Ping | Incoming::Token(_) | Incoming::Join(_)
    )
}

fn recipients(count: usize) -> serde_json::Value {
    serde_json::json!({ "recipient_count": count })
}

fn send(node: &Node, seat: Seat, message: DataIn) -> Result<usize, Failure> {
    if message.to.len() > crate::limits::DATA_RECIPIENTS {
        return Err(Failure::field("to", "at most 256 names"));
    }
    let to = message.to.into_iter().map(ParticipantName::new);
    let to = to.collect::<Result<_, _>>()?;
    let payload = message.payload.get().to_owned();
    node.registry()
        .send_data(seat, message.topic, to, payload, message.keep)
}

fn check_count(count: usize) -> Result<(), Failure> {
    if count > TRACKS_PER_MESSAGE {
        return Err(Failure::field("tracks", "at most 256 entries"));
    }
    Ok(())
}

fn mid_of(text: &str, field: &str) -> Result<Mid, Failure> {
    Mid::new(text).ok_or_else(|| Failure::field(field, "is no mid"))
}

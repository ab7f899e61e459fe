//! How a socket comes to belong to a participant: any number of looks, then `join` or `resume`.

use axum::extract::ws::Utf8Bytes;
use tokio::time::Instant;

use super::incoming::{self, Incoming, JoinIn, ResumeIn};
use super::line::{Held, Line};
use super::outgoing::{Outgoing, ParticipantOut};
use super::rate::Rates;
use super::socket::{End, Socket};
use super::websocket::{arrive, first_text};
use super::{digest, join, lobby};
use crate::clock::{Ulid, UnixTime};
use crate::limits::{JOIN_TIMEOUT, LOOK_TIMEOUT};
use crate::node::Node;
use crate::registry::Entered;
use crate::status::{Failure, Reason};

/// A socket's line, and what is to be said first.
pub(super) struct Entrance<'n> {
    pub(super) held: Held<'n>,
    pub(super) first: Vec<Utf8Bytes>,
}

/// Waits for `join` or `resume`. On an error also the number of the last message said.
pub(super) async fn enter<'n>(
    socket: &mut Socket,
    node: &'n Node,
) -> Result<Entrance<'n>, (End, u64)> {
    let mut said = 0;
    let entered = entering(socket, node, &mut said).await;
    entered.map_err(|end| (end, said))
}

async fn entering<'n>(
    socket: &mut Socket,
    node: &'n Node,
    said: &mut u64,
) -> Result<Entrance<'n>, End> {
    let mut deadline = Instant::now() + JOIN_TIMEOUT;
    let mut rates = Rates::new(Instant::now());
    loop {
        let text = first_text(socket, deadline).await?;
        let message = incoming::read(&text).map_err(End::Refused)?;
        rates
            .check(&message, Instant::now())
            .map_err(End::Refused)?;
        let answer = match message {
            Incoming::Join(message) => return enter_by_join(socket, node, *message, *said).await,
            Incoming::Resume(message) => return enter_by_resume(socket, node, &message).await,
            Incoming::Look(look) => {
                // Who looks may think for a while.
                deadline = Instant::now() + LOOK_TIMEOUT;
                *said += 1;
                if let Some(token) = &look.token {
                    node.authority().learn(token).await;
                }
                let seen = lobby::lobby(node, &look);
                seen.unwrap_or_else(|failure| Outgoing::error(&failure, false))
            }
            Incoming::Ping => Outgoing::Pong {},
            Incoming::Tracks(_)
            | Incoming::Mute(_)
            | Incoming::Subscribe(_)
            | Incoming::Data(_)
            | Incoming::Update(_)
            | Incoming::Command(_)
            | Incoming::Token(_)
            | Incoming::Restart
            | Incoming::Leave
            | Incoming::Description(_)
            | Incoming::Nothing => {
                let why = "the first message must be join, resume or look";
                return Err(End::Refused(Failure::new(Reason::MessageInvalid, why)));
            }
        };
        let failed = |_| End::Refused(Failure::of(Reason::ServerFailed));
        let text = answer.text(*said).map_err(failed)?;
        socket.say(text.into()).await?;
    }
}

async fn enter_by_join<'n>(
    socket: &mut Socket,
    node: &'n Node,
    message: JoinIn,
    said: u64,
) -> Result<Entrance<'n>, End> {
    if let Some(token) = &message.token {
        node.authority().learn(token).await;
    }
    let (request, token_ends) = join::request(node, &message).map_err(End::Refused)?;
    let entered = node.registry().join(request).await.map_err(End::Refused)?;
    let (mut held, turn, messages) = match entered {
        Entered::Inside(joined) => {
            let mut line = Line::new(joined.arrival.seat, joined.news, said);
            line.waiting_offer = message.description;
            line.token_ends = token_ends;
            let (mut held, turn) = Held::new(node, line)?;
            let messages = arrive(&mut held, &joined.arrival).await;
            (held, turn, messages)
        }
        Entered::Waiting(waiting) => {
            let mut line = Line::new(waiting.seat, waiting.news, said);
            line.waiting_offer = message.description;
            line.token_ends = token_ends;
            let (held, turn) = Held::new(node, line)?;
            let participant = ParticipantOut::brief(&waiting.view);
            let says = Outgoing::Waiting {
                participant: Some(Box::new(participant)),
                participants: None,
            };
            (held, turn, vec![says])
        }
    };
    socket.turn = Some(turn);
    let first = messages.iter().map(|message| held.line.number(message));
    let first = first.collect::<Result<_, _>>()?;
    Ok(Entrance { held, first })
}

/// Goes on behind `sequence`: with what was sent since, or with all there is now.
async fn enter_by_resume<'n>(
    socket: &mut Socket,
    node: &'n Node,
    message: &ResumeIn,
) -> Result<Entrance<'n>, End> {
    let (mut held, turn) = Held::take(node, &message.resume_token).await?;
    socket.turn = Some(turn);
    let resume_token = held.line.token.clone();
    let covered = (!held.line.news.is_cut())
        .then(|| held.line.missed(message.sequence))
        .flatten();
    let (after, mut missed) = match covered {
        Some(missed) => (message.sequence, missed),
        None => {
            let after = held.line.sequence();
            let messages = snapshot(&mut held)?;
            let texts = messages.iter().map(|message| held.line.number(message));
            (after, texts.collect::<Result<_, _>>()?)
        }
    };
    if let Some(offer) = held.line.unanswered(after) {
        missed.push(held.line.number(&offer)?);
    }
    let failed = |_| End::Refused(Failure::of(Reason::ServerFailed));
    // Who is out by now is told so by what was missed, and needs no servers.
    let uid = node.registry().uid_of(held.line.seat);
    let now = UnixTime::now();
    let told = |uid: Ulid| node.ice_servers().told(&uid.to_string(), now);
    let resumed = Outgoing::Resumed {
        resume_token,
        missed: missed.len(),
        ice_servers: uid.map(told).unwrap_or_default(),
    };
    let first = resumed.text(after).map_err(failed)?;
    let first = [first.into()].into_iter().chain(missed).collect();
    Ok(Entrance { held, first })
}

/// A fresh queue and all there is now; the farewell alone where it is over.
pub(super) fn snapshot(held: &mut Held<'_>) -> Result<Vec<Outgoing>, End> {
    let standing = held.line.news.standing();
    let line = &mut *held.line;
    let own = line.seat.participant;
    if let Some(leave) = standing.leave {
        return Ok(digest::messages(&[leave], own, &mut line.permissions));
    }
    let renewed = held.node().registry().snapshot(held.line.seat);
    let slow = |_| End::Refused(Failure::of(Reason::WatcherTooSlow));
    let joined = renewed.map_err(slow)?;
    let standing = joined.news.standing();
    let line = &mut *held.line;
    line.permissions = Some(joined.arrival.view.spec.permissions.clone());
    line.renew(joined.news);
    let mut messages = join::snapshot(&joined.arrival);
    let stands = [
        standing.subscriptions,
        standing.layers,
        standing.encodings,
        standing.waiting,
    ];
    let stands: Vec<_> = stands.into_iter().flatten().collect();
    messages.extend(digest::messages(&stands, own, &mut line.permissions));
    messages.extend(standing.offer.map(|offer| Outgoing::offer(&offer)));
    Ok(messages)
}

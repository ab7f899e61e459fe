//! `/v1/connect`, subprotocol `plenum.v1.json`: one socket from its first message to its last
//! frame.
//!
//! One task per socket. It reads a message, acts on it, and only then reads the next, so that
//! messages of one browser never overtake each other; between them it writes what its queue holds.
//! When the socket dies the task goes on without it, until another one has taken its line over.

use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{Utf8Bytes, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::Response;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::Instrument as _;

use super::entrance::{self, Entrance};
use super::incoming;
use super::line::Held;
use super::outgoing::{Outgoing, moment};
use super::rate::Rates;
use super::socket::{End, Heard, Socket, Turn};
use super::{digest, exchange, join};
use crate::clock::UnixTime;
use crate::http::{origin, refused};
use crate::limits::{
    ICE_SERVERS_INTERVAL_MIN, MESSAGE_BYTES_IN, NEWS_PER_BATCH, PING_INTERVAL, PONG_TIMEOUT,
    SOCKET_READ_BYTES, SOCKET_WRITE_BYTES, TOKEN_NEEDED_BEFORE,
};
use crate::node::Node;
use crate::registry::{Arrival, RoomNews};
use crate::status::{Failure, Reason};

/// What has no time of its own is not looked at before.
const FAR: Duration = Duration::from_secs(86_400);

/// The version of the messages.
const SUBPROTOCOL: &str = "plenum.v1.json";

/// The upgrade.
pub(crate) async fn connect(
    State(node): State<Node>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let allowed = &node.config().cors.origins;
    if let Err(failure) = origin::check(&headers, allowed, node.is_development()) {
        return refused(&failure);
    }
    let open = match node.socket_opened() {
        Ok(open) => open,
        Err(failure) => return refused(&failure),
    };
    upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(SOCKET_READ_BYTES)
        .write_buffer_size(0)
        // Pongs pile up here where somebody sends pings and never reads.
        .max_write_buffer_size(SOCKET_WRITE_BYTES)
        // Somewhat more than a browser may send: so it can be told that it was too much.
        .max_message_size(2 * MESSAGE_BYTES_IN)
        .max_frame_size(2 * MESSAGE_BYTES_IN)
        .on_upgrade(move |socket| async move {
            if let Some((held, turn)) = run(Socket::new(socket), &node).await {
                drop(open);
                held.rest(turn).await;
            }
        })
}

/// The socket's life; what is left to be resumed afterwards.
async fn run(mut socket: Socket, node: &Node) -> Option<(Held<'_>, Option<Turn>)> {
    let Entrance { mut held, first } = match entrance::enter(&mut socket, node).await {
        Ok(entrance) => entrance,
        Err((end, sequence)) => {
            farewell(&end);
            socket.close(end, sequence + 1).await;
            return None;
        }
    };
    let span = tracing::info_span!("socket", participant = %held.line.seat.participant);
    let end = stay(&mut socket, &mut held, first).instrument(span).await;
    farewell(&end);
    let next = held.line.sequence() + 1;
    match end {
        End::Superseded => {
            held.hand_over();
            socket.close(end, next).await;
            None
        }
        End::Left => {
            held.end();
            socket.close(end, next).await;
            None
        }
        End::Gone | End::Refused(_) => {
            held.absent();
            let turn = socket.turn.take();
            socket.close(end, next).await;
            Some((held, turn))
        }
    }
}

fn farewell(end: &End) {
    if let End::Refused(failure) = end {
        tracing::debug!(reason = %failure.reason, "socket refused");
    }
}

/// Reads and writes until one side has had enough.
async fn stay(socket: &mut Socket, held: &mut Held<'_>, first: Vec<Utf8Bytes>) -> End {
    for text in first {
        if let Err(end) = socket.say(text).await {
            return end;
        }
    }
    let now = Instant::now();
    let mut rates = Rates::new(now);
    let (mut ping_at, mut pong_by) = (now + PING_INTERVAL, None::<Instant>);
    // A socket begins with what it was just told.
    let mut ice_at = ice_servers_at(held, now);
    let mut ice_servers = held.node().watch_ice_servers();
    let mut batch: Vec<RoomNews> = Vec::with_capacity(NEWS_PER_BATCH);
    loop {
        let token_at = token_needed_at(held);
        let wake_at = pong_by
            .unwrap_or(ping_at)
            .min(ping_at)
            .min(token_at)
            .min(ice_at);
        let step = tokio::select! {
            // In an order drawn each time: a browser that never stops talking still hears that it
            // is out and is asked whether it reads, and one with much to hear is still heard.
            told = held.line.news.receive(&mut batch) => match told {
                Ok(true) => tell(socket, held, &mut batch).await,
                Ok(false) => Err(End::Left),
                Err(_) => {
                    batch.clear();
                    start_over(socket, held).await
                }
            },
            heard = socket.hear() => match heard {
                Ok(Heard::Text(text)) => answer(socket, held, &text, &mut rates).await,
                Ok(Heard::Pong) => {
                    pong_by = None;
                    Ok(())
                }
                Ok(Heard::Nothing) => Ok(()),
                Err(end) => Err(end),
            },
            Ok(()) = ice_servers.changed() => {
                ice_at = ice_servers_at(held, Instant::now());
                say_ice_servers(socket, held).await
            }
            () = sleep_until(wake_at) => {
                let now = Instant::now();
                if token_at <= now {
                    say_token_needed(socket, held).await
                } else if ice_at <= now {
                    ice_at = ice_servers_at(held, now);
                    say_ice_servers(socket, held).await
                } else if pong_by.is_some_and(|by| by <= now) {
                    tracing::debug!("no pong came");
                    Err(End::Gone)
                } else if ping_at <= now {
                    ping_at = now + PING_INTERVAL;
                    pong_by = pong_by.or(Some(now + PONG_TIMEOUT));
                    socket.ping().await
                } else {
                    Ok(())
                }
            }
        };
        if let Err(end) = step {
            return end;
        }
    }
}

/// Gives messages their numbers, all of them before the first is written: what a socket does not
/// take any more, the next one is told.
async fn say(socket: &mut Socket, held: &mut Held<'_>, messages: &[Outgoing]) -> Result<(), End> {
    let texts = messages.iter().map(|message| held.line.number(message));
    let texts = texts.collect::<Result<Vec<_>, End>>()?;
    for text in texts {
        socket.say(text).await?;
    }
    Ok(())
}

/// Writes a batch of news.
async fn tell(
    socket: &mut Socket,
    held: &mut Held<'_>,
    batch: &mut Vec<RoomNews>,
) -> Result<(), End> {
    let is_last = matches!(batch.last(), Some(RoomNews::Leave { .. }));
    let mut messages = Vec::new();
    let mut rest = batch.drain(..).peekable();
    while rest.peek().is_some() {
        let mut before = Vec::new();
        let mut arrival = None;
        for news in rest.by_ref() {
            if let RoomNews::Admitted(there) | RoomNews::Moved(there) = news {
                arrival = Some(there);
                break;
            }
            before.push(news);
        }
        let line = &mut *held.line;
        let own = line.seat.participant;
        messages.extend(digest::messages(&before, own, &mut line.permissions));
        if let Some(arrival) = arrival {
            messages.extend(arrive(held, &arrival).await);
        }
    }
    drop(rest);
    say(socket, held, &messages).await?;
    if is_last { Err(End::Left) } else { Ok(()) }
}

/// One who waited is inside, or one who was inside is elsewhere: a welcome.
pub(super) async fn arrive(held: &mut Held<'_>, arrival: &Arrival) -> Vec<Outgoing> {
    held.line.seat = arrival.seat;
    held.line.permissions = Some(arrival.view.spec.permissions.clone());
    held.renew_token(arrival.resume_token.clone());
    // A first offer that cannot be used does not undo the join: the browser is told, and may offer
    // again.
    let negotiated = match held.line.waiting_offer.take() {
        Some(offer) => Some(join::negotiate(held.node(), arrival.seat, &offer).await),
        None => None,
    };
    let answer = negotiated.as_ref().and_then(|it| it.as_ref().ok());
    let mut messages = join::welcome(held.node(), arrival, answer);
    if let Some(Err(failure)) = &negotiated {
        messages.push(Outgoing::error(failure, false));
    }
    messages
}

/// The news ran over: a fresh queue and all there is now.
async fn start_over(socket: &mut Socket, held: &mut Held<'_>) -> Result<(), End> {
    let messages = entrance::snapshot(held)?;
    say(socket, held, &messages).await?;
    let is_last = matches!(messages.last(), Some(Outgoing::Leave { .. }));
    if is_last { Err(End::Left) } else { Ok(()) }
}

/// Acts on one text and says what came of it, if anything.
async fn answer(
    socket: &mut Socket,
    held: &mut Held<'_>,
    text: &str,
    rates: &mut Rates,
) -> Result<(), End> {
    let now = Instant::now();
    let message = match incoming::read(text) {
        Ok(message) => message,
        Err(failure) if rates.check_garbage(now) => {
            return say(socket, held, &[Outgoing::error(&failure, false)]).await;
        }
        Err(failure) => return Err(End::Refused(failure)),
    };
    let id = message.id().cloned();
    let acted = match rates.check(&message, now) {
        Ok(()) => exchange::act(held, message).await,
        Err(failure) => Err(failure),
    };
    let said = match (acted, id) {
        (Ok(Some(answer)), _) => answer,
        (Ok(None), None) => return Ok(()),
        (Ok(None), Some(id)) => Outgoing::reply(id, Ok(serde_json::json!({}))),
        (Err(failure), Some(id)) => Outgoing::reply(id, Err(failure)),
        (Err(failure), None) => Outgoing::error(&failure, false),
    };
    say(socket, held, &[said]).await
}

/// When the browser is to be told anew by whom to gather.
fn ice_servers_at(held: &Held<'_>, now: Instant) -> Instant {
    let after = held.node().ice_servers().again_after().unwrap_or(FAR);
    now + after.clamp(ICE_SERVERS_INTERVAL_MIN, FAR)
}

async fn say_ice_servers(socket: &mut Socket, held: &mut Held<'_>) -> Result<(), End> {
    let node = held.node();
    // Who is out by now is told so by the news.
    let Ok(uid) = node.registry().uid_of(held.line.seat) else {
        return Ok(());
    };
    let known = node.ice_servers();
    let ice_servers = known.told(&uid.to_string(), UnixTime::now());
    say(socket, held, &[Outgoing::IceServers { ice_servers }]).await
}

/// When the browser is to be told that its token ends; far away where it is not.
fn token_needed_at(held: &Held<'_>) -> Instant {
    let left = held.line.token_ends.map_or(FAR, |ends| {
        let left = ends.as_millis().saturating_sub(UnixTime::now().as_millis());
        Duration::from_millis(left).saturating_sub(TOKEN_NEEDED_BEFORE)
    });
    Instant::now() + left.min(FAR)
}

async fn say_token_needed(socket: &mut Socket, held: &mut Held<'_>) -> Result<(), End> {
    let Some(ends) = held.line.token_ends.take() else {
        return Ok(());
    };
    let expire_time = moment(ends);
    say(socket, held, &[Outgoing::TokenNeeded { expire_time }]).await
}

/// The first text, within a deadline.
pub(super) async fn first_text(socket: &mut Socket, by: Instant) -> Result<Utf8Bytes, End> {
    let text = async {
        loop {
            if let Heard::Text(text) = socket.hear().await? {
                return Ok(text);
            }
        }
    };
    let heard = timeout_at(by, text).await;
    heard.unwrap_or_else(|_| {
        let why = "no join came within 10 s";
        Err(End::Refused(Failure::new(Reason::MessageInvalid, why)))
    })
}

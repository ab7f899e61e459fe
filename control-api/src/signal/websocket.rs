//! `/v1/connect`, subprotocol `plenum.v1.json`: one socket from `join` to its last frame.
//!
//! One task per socket. It reads a message, acts on it, and only then reads the next, so that
//! messages of one browser never overtake each other; between them it writes what its queue holds.

use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::Response;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tracing::Instrument as _;

use super::incoming::{self, Incoming, JoinIn};
use super::outgoing::Outgoing;
use super::rate::Rates;
use super::{digest, exchange, join};
use crate::http::{origin, refused};
use crate::limits::{
    JOIN_TIMEOUT, MESSAGE_BYTES_IN, MESSAGE_BYTES_OUT, NEWS_PER_BATCH, PING_INTERVAL, PONG_TIMEOUT,
    SOCKET_READ_BYTES, SOCKET_WRITE_BYTES, WRITE_TIMEOUT,
};
use crate::node::Node;
use crate::registry::{Entered, Joined, NewsReceiver, RoomNews, Seat};
use crate::status::{Failure, Reason};

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
        .max_message_size(MESSAGE_BYTES_IN)
        .max_frame_size(MESSAGE_BYTES_IN)
        .on_upgrade(move |socket| async move {
            run(Line::new(socket), node).await;
            drop(open);
        })
}

/// Why a socket is over.
#[derive(Debug)]
enum End {
    /// The other side is gone, or too slow to write to.
    Gone,
    /// `leave` has been sent.
    Left,
    /// It is ended for a reason, which it is told.
    Refused(Failure),
}

/// The socket with its numbering.
struct Line {
    socket: WebSocket,
    sequence: u64,
}

impl Line {
    const fn new(socket: WebSocket) -> Self {
        Self {
            socket,
            sequence: 0,
        }
    }

    async fn write(&mut self, message: Message) -> Result<(), End> {
        let sent = timeout(WRITE_TIMEOUT, self.socket.send(message)).await;
        sent.map_or(Err(End::Gone), |sent| sent.map_err(|_| End::Gone))
    }

    async fn say(&mut self, message: &Outgoing) -> Result<(), End> {
        if !matches!(message, Outgoing::Pong {}) {
            self.sequence += 1;
        }
        let failed = || End::Refused(Failure::of(Reason::ServerFailed));
        let text = message.text(self.sequence).map_err(|_| failed())?;
        debug_assert!(text.len() <= MESSAGE_BYTES_OUT, "every list is cut before");
        self.write(Message::Text(text.into())).await
    }

    /// The next text of the browser; pongs and the like are told apart.
    async fn hear(&mut self) -> Result<Heard, End> {
        match self.socket.recv().await {
            Some(Ok(Message::Text(text))) => Ok(Heard::Text(text.as_str().to_owned())),
            Some(Ok(Message::Pong(_))) => Ok(Heard::Pong),
            // Pings are answered by the library below.
            Some(Ok(Message::Ping(_))) => Ok(Heard::Nothing),
            Some(Ok(Message::Binary(_))) => {
                let why = "binary messages are not understood here";
                Err(End::Refused(Failure::new(Reason::MessageInvalid, why)))
            }
            Some(Ok(Message::Close(_))) | None => Err(End::Gone),
            Some(Err(error)) => {
                tracing::debug!(%error, "the socket failed");
                Err(End::Gone)
            }
        }
    }

    async fn close(mut self, end: End) {
        let (code, reason) = match &end {
            End::Gone => return,
            End::Left => (1_000, ""),
            End::Refused(failure) => {
                if self.say(&Outgoing::error(failure, true)).await.is_err() {
                    return;
                }
                (failure.reason.close_code(), failure.reason.as_str())
            }
        };
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        if self.write(Message::Close(Some(frame))).await.is_err() {
            return;
        }
        // The other side's close ends the handshake (RFC 6455 §7.1.1); it need not come.
        let rest = async { while let Some(Ok(_)) = self.socket.recv().await {} };
        drop(timeout(Duration::from_secs(1), rest).await);
    }
}

enum Heard {
    Text(String),
    Pong,
    Nothing,
}

/// A seat that this socket holds. However the socket ends, the room learns of it.
struct Held<'a> {
    node: &'a Node,
    seat: Seat,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Of one who has left, the room knows nothing any more, and nothing happens.
        self.node.registry().socket_closed(self.seat);
    }
}

async fn run(mut line: Line, node: Node) {
    let end = match enter(&mut line, &node).await {
        Ok((held, room, news)) => {
            let seat = held.seat;
            let span = tracing::info_span!("socket", %room, participant = %seat.participant);
            let end = stay(&mut line, &node, seat, news).instrument(span).await;
            drop(held);
            end
        }
        Err(end) => end,
    };
    if let End::Refused(failure) = &end {
        tracing::debug!(reason = %failure.reason, "socket refused");
    }
    line.close(end).await;
}

/// Waits for `join` and welcomes.
async fn enter<'a>(
    line: &mut Line,
    node: &'a Node,
) -> Result<(Held<'a>, String, NewsReceiver), End> {
    let deadline = Instant::now() + JOIN_TIMEOUT;
    let heard = timeout_at(deadline, first_text(line)).await;
    let text = heard.map_err(|_| {
        let why = "no join came within 10 s";
        End::Refused(Failure::new(Reason::MessageInvalid, why))
    })??;
    let message = incoming::read(&text).map_err(End::Refused)?;
    let Incoming::Join(message) = message else {
        let why = "the first message must be join";
        return Err(End::Refused(Failure::new(Reason::MessageInvalid, why)));
    };
    let request = join::request(node, &message).map_err(End::Refused)?;
    let entered = node.registry().join(request).await;
    let joined = entered.and_then(Entered::inside).map_err(End::Refused)?;
    let seat = joined.seat;
    let held = Held { node, seat };
    welcome(line, node, &message, &joined).await?;
    let room = joined.room.name.to_string();
    Ok((held, room, joined.news))
}

async fn first_text(line: &mut Line) -> Result<String, End> {
    loop {
        if let Heard::Text(text) = line.hear().await? {
            return Ok(text);
        }
    }
}

async fn welcome(line: &mut Line, node: &Node, join: &JoinIn, joined: &Joined) -> Result<(), End> {
    // A first offer that cannot be used does not undo the join: the browser is told, and may offer
    // again.
    let negotiated = match &join.description {
        Some(text) => Some(join::negotiate(node, joined.seat, text).await),
        None => None,
    };
    let answer = negotiated.as_ref().and_then(|it| it.as_ref().ok());
    for message in join::welcome(joined, answer) {
        line.say(&message).await?;
    }
    if let Some(Err(failure)) = negotiated {
        line.say(&Outgoing::error(&failure, false)).await?;
    }
    Ok(())
}

/// Reads and writes until one side has had enough.
async fn stay(line: &mut Line, node: &Node, seat: Seat, mut news: NewsReceiver) -> End {
    let now = Instant::now();
    let mut rates = Rates::new(now);
    let (mut ping_at, mut pong_by) = (now + PING_INTERVAL, None::<Instant>);
    let mut batch: Vec<RoomNews> = Vec::with_capacity(NEWS_PER_BATCH);
    loop {
        let wake_at = pong_by.unwrap_or(ping_at).min(ping_at);
        let step = tokio::select! {
            // In an order drawn each time: a browser that never stops talking still hears that it
            // is out and is asked whether it reads, and one with much to hear is still heard.
            told = news.receive(&mut batch) => match told {
                Ok(true) => tell(line, &mut batch).await,
                Ok(false) => Err(End::Left),
                Err(_) => Err(End::Refused(Failure::of(Reason::WatcherTooSlow))),
            },
            heard = line.hear() => match heard {
                Ok(Heard::Text(text)) => answer(line, node, seat, &text, &mut rates).await,
                Ok(Heard::Pong) => {
                    pong_by = None;
                    Ok(())
                }
                Ok(Heard::Nothing) => Ok(()),
                Err(end) => Err(end),
            },
            () = sleep_until(wake_at) => {
                let now = Instant::now();
                if pong_by.is_some_and(|by| by <= now) {
                    tracing::debug!("no pong came");
                    Err(End::Gone)
                } else {
                    ping_at = now + PING_INTERVAL;
                    pong_by = Some(now + PONG_TIMEOUT);
                    line.write(Message::Ping(Vec::new().into())).await
                }
            }
        };
        if let Err(end) = step {
            return end;
        }
    }
}

/// Writes a batch of news.
async fn tell(line: &mut Line, batch: &mut Vec<RoomNews>) -> Result<(), End> {
    let is_last = matches!(batch.last(), Some(RoomNews::Leave { .. }));
    for message in digest::messages(batch) {
        line.say(&message).await?;
    }
    batch.clear();
    if is_last { Err(End::Left) } else { Ok(()) }
}

/// Acts on one text and says what came of it, if anything.
async fn answer(
    line: &mut Line,
    node: &Node,
    seat: Seat,
    text: &str,
    rates: &mut Rates,
) -> Result<(), End> {
    let now = Instant::now();
    let message = match incoming::read(text) {
        Ok(message) => message,
        Err(failure) if rates.check_garbage(now) => {
            return line.say(&Outgoing::error(&failure, false)).await;
        }
        Err(failure) => return Err(End::Refused(failure)),
    };
    let acted = match rates.check(&message, now) {
        Ok(()) => exchange::act(node, seat, message).await,
        Err(failure) => Err(failure),
    };
    match acted {
        Ok(Some(answer)) => line.say(&answer).await,
        Ok(None) => Ok(()),
        Err(failure) => line.say(&Outgoing::error(&failure, false)).await,
    }
}

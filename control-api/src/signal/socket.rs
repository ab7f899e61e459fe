//! One WebSocket: reads and writes that end when the other side is gone, when another socket takes
//! over, or when their time is up; and the farewell.

use std::future::pending;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use tokio::sync::watch;
use tokio::time::timeout;

use super::outgoing::Outgoing;
use crate::limits::{MESSAGE_BYTES_IN, WRITE_TIMEOUT};
use crate::status::{Failure, Reason};

/// Why a socket is over.
#[derive(Debug)]
pub(super) enum End {
    /// The other side is gone, or too slow to write to.
    Gone,
    /// `leave` has been sent.
    Left,
    /// Another socket goes on.
    Superseded,
    /// It is ended for a reason, which it is told.
    Refused(Failure),
}

/// What a browser said.
pub(super) enum Heard {
    Text(Utf8Bytes),
    Pong,
    Nothing,
}

/// A place in the order of the sockets of one participant: the newest holds.
#[derive(Debug)]
pub(super) struct Turn {
    newest: watch::Receiver<u64>,
    own: u64,
}

impl Turn {
    pub(super) const fn new(newest: watch::Receiver<u64>, own: u64) -> Self {
        Self { newest, own }
    }

    pub(super) fn has_passed(&self) -> bool {
        *self.newest.borrow() != self.own
    }

    /// Resolves once another socket is newer.
    pub(super) async fn passed(&mut self) {
        let own = self.own;
        // Without a sender nothing newer can come.
        if self.newest.wait_for(|turn| *turn != own).await.is_err() {
            pending::<()>().await;
        }
    }
}

/// The socket. Until it belongs to a participant nobody can take over.
pub(super) struct Socket {
    socket: WebSocket,
    pub(super) turn: Option<Turn>,
}

impl Socket {
    pub(super) const fn new(socket: WebSocket) -> Self {
        Self { socket, turn: None }
    }

    pub(super) async fn say(&mut self, text: Utf8Bytes) -> Result<(), End> {
        self.write(Message::Text(text)).await
    }

    pub(super) async fn ping(&mut self) -> Result<(), End> {
        self.write(Message::Ping(Vec::new().into())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), End> {
        let Self { socket, turn } = self;
        tokio::select! {
            sent = timeout(WRITE_TIMEOUT, socket.send(message)) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(End::Gone),
            },
            () = passed(turn) => Err(End::Superseded),
        }
    }

    /// The next text of the browser; pongs and the like are told apart.
    pub(super) async fn hear(&mut self) -> Result<Heard, End> {
        let Self { socket, turn } = self;
        let received = tokio::select! {
            received = socket.recv() => received,
            () = passed(turn) => return Err(End::Superseded),
        };
        match received {
            Some(Ok(Message::Text(text))) if text.len() > MESSAGE_BYTES_IN => Err(too_long()),
            Some(Ok(Message::Text(text))) => Ok(Heard::Text(text)),
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
                Err(match broken(&error) {
                    Broken::Size => too_long(),
                    Broken::Other => End::Gone,
                })
            }
        }
    }

    /// Says why, where there is something to say; `sequence` is the next number.
    pub(super) async fn close(mut self, end: End, sequence: u64) {
        self.turn = None;
        let (code, reason) = match &end {
            End::Gone => return,
            End::Left => (1_000, ""),
            End::Superseded => {
                let reason = Reason::ResumeTokenExpired;
                (reason.close_code(), reason.as_str())
            }
            End::Refused(failure) => {
                let Ok(text) = Outgoing::error(failure, true).text(sequence) else {
                    return;
                };
                if self.say(text.into()).await.is_err() {
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

async fn passed(turn: &mut Option<Turn>) {
    match turn {
        Some(turn) => turn.passed().await,
        None => pending().await,
    }
}

fn too_long() -> End {
    let why = format!("a message has at most {MESSAGE_BYTES_IN} bytes");
    End::Refused(Failure::new(Reason::LimitExceeded, why))
}

enum Broken {
    Size,
    Other,
}

/// What reading failed by. The library below tells a message that is too long apart only in words.
fn broken(error: &axum::Error) -> Broken {
    if error.to_string().contains("too long") {
        Broken::Size
    } else {
        Broken::Other
    }
}

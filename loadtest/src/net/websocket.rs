//! Signaling by a server's WebSocket (subprotocol `plenum.v1.json`), as the page does it.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{FarWire, NetError, Wire, wire};
use crate::robot::Signal;

/// Name of what is spoken.
const SUBPROTOCOL: &str = "plenum.v1.json";
/// A welcome that takes longer is none.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);

/// Who wants to enter which room, and by what right.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// Such as `ws://127.0.0.1:8080/v1/connect`.
    pub url: String,
    /// The room; taken from the token where there is one.
    pub room: String,
    /// The participant.
    pub participant: String,
    /// None in development mode.
    pub token: Option<String>,
}

/// Enters a room. The task ends, and the socket closes, when the robot's end is dropped.
///
/// # Errors
/// The server does not answer, or says no.
pub async fn join(ticket: &Ticket) -> Result<Wire, NetError> {
    let signaling = |error: String| NetError::Signaling(error);
    let mut request = ticket
        .url
        .as_str()
        .into_client_request()
        .map_err(|error| signaling(error.to_string()))?;
    let protocol = HeaderValue::from_static(SUBPROTOCOL);
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", protocol);
    let (mut socket, _) = connect_async(request)
        .await
        .map_err(|error| signaling(error.to_string()))?;
    let mut join = json!({
        "type": "join",
        "room": ticket.room,
        "participant": ticket.participant,
        "display_name": ticket.participant,
    });
    if let (Some(token), Some(join)) = (&ticket.token, join.as_object_mut()) {
        join.insert("token".to_owned(), Value::String(token.clone()));
    }
    send(&mut socket, &join).await?;
    let welcome = tokio::time::timeout(WELCOME_TIMEOUT, welcome(&mut socket));
    welcome
        .await
        .map_err(|_| signaling("no welcome".to_owned()))??;
    let (near, far) = wire();
    tokio::spawn(serve(socket, far));
    Ok(near)
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn welcome(socket: &mut Socket) -> Result<(), NetError> {
    while let Some(message) = socket.next().await {
        let message = message.map_err(|error| NetError::Signaling(error.to_string()))?;
        let Some(value) = read(&message) else {
            continue;
        };
        match value.get("type").and_then(Value::as_str) {
            Some("welcome") => return Ok(()),
            Some("error" | "leave") => return Err(NetError::Signaling(value.to_string())),
            Some(_) | None => {}
        }
    }
    Err(NetError::Signaling("closed before the welcome".to_owned()))
}

async fn serve(mut socket: Socket, mut far: FarWire) {
    loop {
        tokio::select! {
            signal = far.incoming.recv() => {
                let Some(signal) = signal else {
                    drop(send(&mut socket, &json!({"type": "leave"})).await);
                    drop(socket.close(None).await);
                    return;
                };
                let (kind, sdp) = match signal {
                    Signal::Offer(text) => ("offer", text),
                    Signal::Answer(text) => ("answer", text),
                };
                let message = json!({"description": {"type": kind, "sdp": sdp}});
                if send(&mut socket, &message).await.is_err() {
                    return;
                }
            }
            message = socket.next() => {
                let Some(Ok(message)) = message else { return };
                let Some(value) = read(&message) else { continue };
                if let Some("error" | "leave") = value.get("type").and_then(Value::as_str) {
                    tracing::warn!(%value, "the server says");
                }
                if let Some(signal) = description(&value)
                    && far.outgoing.send(signal).await.is_err()
                {
                    return;
                }
            }
        }
    }
}

fn read(message: &Message) -> Option<Value> {
    serde_json::from_str(message.to_text().ok()?).ok()
}

fn description(value: &Value) -> Option<Signal> {
    let description = value.get("description")?;
    let sdp = description.get("sdp")?.as_str()?.to_owned();
    match description.get("type")?.as_str()? {
        "offer" => Some(Signal::Offer(sdp)),
        "answer" => Some(Signal::Answer(sdp)),
        _ => None,
    }
}

async fn send(socket: &mut Socket, value: &Value) -> Result<(), NetError> {
    let message = Message::text(value.to_string());
    socket
        .send(message)
        .await
        .map_err(|error| NetError::Signaling(error.to_string()))
}

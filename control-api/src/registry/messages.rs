//! Messages of a backend to those inside.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Registry;
use super::name::{ParticipantName, RoomName};
use super::news::DataMessage;
use crate::clock::UnixTime;
use crate::limits::{DATA_BYTES, DATA_RECIPIENTS, TOPIC_BYTES};
use crate::status::{Failure, Reason};

/// A message of a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendMessage {
    /// What it is about.
    pub topic: String,
    /// The message.
    pub payload: Vec<u8>,
    /// The payload is UTF-8 text. Otherwise it is told in base64: messages are JSON.
    pub text: bool,
    /// To whom; empty: everybody.
    pub to: Vec<ParticipantName>,
}

impl BackendMessage {
    /// As members are told it: a JSON string.
    fn json(self) -> Result<DataMessage, Failure> {
        if self.payload.len() > DATA_BYTES {
            return Err(Failure::field("payload", "at most 64 KiB"));
        }
        if self.topic.len() > TOPIC_BYTES {
            return Err(Failure::field("topic", "at most 256 bytes"));
        }
        if self.to.len() > DATA_RECIPIENTS {
            return Err(Failure::field("participants", "at most 256 names"));
        }
        let payload = if self.text {
            String::from_utf8(self.payload)
                .map_err(|_| Failure::field("payload", "is not UTF-8, as text says"))?
        } else {
            STANDARD.encode(self.payload)
        };
        Ok(DataMessage {
            from: None,
            from_name: String::new(),
            topic: self.topic,
            to: self.to,
            payload: serde_json::Value::from(payload).to_string(),
            time: UnixTime::now(),
            keep: false,
        })
    }
}

impl Registry {
    /// A message of the backend; how many it goes to: those who came by the WebSocket.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `PARTICIPANT_NOT_FOUND`, `FIELD_INVALID`.
    pub fn send_message(&self, room: &RoomName, message: BackendMessage) -> Result<usize, Failure> {
        let data = Arc::new(message.json()?);
        let mut room = self.room_mut(self.id_of(room)?)?;
        let missing = |name: &ParticipantName| room.id_of(name).is_none();
        if let Some(index) = data.to.iter().position(missing) {
            let mut failure = Failure::of(Reason::ParticipantNotFound);
            failure.field = Some(format!("participants[{index}]"));
            return Err(failure);
        }
        Ok(room.relay(None, &data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_becomes_json_or_is_refused_by_its_field() {
        for (payload, text, expected) in [
            (b"hi \"you\"".to_vec(), true, Ok(r#""hi \"you\"""#)),
            (b"hi".to_vec(), false, Ok(r#""aGk=""#)),
            (Vec::new(), true, Ok(r#""""#)),
            (vec![0xff], false, Ok(r#""/w==""#)),
            (vec![0xff], true, Err("payload")),
            (vec![b'x'; DATA_BYTES + 1], true, Err("payload")),
        ] {
            let message = BackendMessage {
                payload,
                text,
                ..BackendMessage::default()
            };
            let read = message.json();
            let read = read.as_ref().map(|data| data.payload.as_str());
            let read = read.map_err(|failure| failure.field.as_deref().unwrap());
            assert_eq!(read, expected);
        }
    }
}

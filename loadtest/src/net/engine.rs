//! Signaling with an engine in this process: text is read and written as a door does it, then
//! goes to the shard as a command.

use std::collections::BTreeMap;

use sfu::engine::{CallError, EngineHandle};
use sfu::error::LeaveReason;
use sfu::id::{ParticipantId, RoomId};
use sfu::sdp::description::SdpType;
use sfu::shard::command::{Negotiated, ParticipantParameters, Permissions, RoomParameters};
use sfu::shard::{Command, Event, Reply};
use tokio::sync::mpsc;

use super::{FarWire, Wire, wire};
use crate::robot::Signal;

/// Requests that may wait for the dispatcher.
const REQUESTS: usize = 256;
/// Offers that may wait for one robot: the shard has one out at a time.
const OFFERS: usize = 8;

/// Who wants to hear, and who no more.
#[derive(Debug)]
enum Request {
    Listen(ParticipantId, mpsc::Sender<String>),
    Forget(ParticipantId),
}

/// The way to one shard of an engine in this process.
#[derive(Clone, Debug)]
pub struct Lobby {
    engine: EngineHandle,
    shard: usize,
    requests: mpsc::Sender<Request>,
}

/// A participant in a room, and its end of the signaling.
#[derive(Debug)]
pub struct Joined {
    room: RoomId,
    participant: ParticipantId,
    /// The robot's end.
    pub wire: Wire,
}

impl Lobby {
    /// Hears a shard's news from now on.
    #[must_use]
    pub fn open(engine: EngineHandle, shard: usize, news: mpsc::Receiver<Event>) -> Self {
        let (requests, waiting) = mpsc::channel(REQUESTS);
        tokio::spawn(dispatch(news, waiting));
        Self {
            engine,
            shard,
            requests,
        }
    }

    /// The engine.
    #[must_use]
    pub const fn engine(&self) -> &EngineHandle {
        &self.engine
    }

    /// Makes a room.
    ///
    /// # Errors
    /// The shard says why.
    pub async fn create_room(&self, room: RoomId) -> Result<(), CallError> {
        let parameters = RoomParameters::default();
        self.call(Command::CreateRoom { room, parameters }).await
    }

    /// Removes a room with everybody in it.
    ///
    /// # Errors
    /// The shard says why.
    pub async fn delete_room(&self, room: RoomId) -> Result<(), CallError> {
        let reason = LeaveReason::RoomDeleted;
        self.call(Command::DeleteRoom { room, reason }).await
    }

    /// Enters a room.
    ///
    /// # Errors
    /// The shard says why.
    pub async fn join(
        &self,
        room: RoomId,
        participant: ParticipantId,
    ) -> Result<Joined, CallError> {
        let parameters = ParticipantParameters {
            name: format!("robot{participant}"),
            permissions: Permissions::default(),
            subscribe_all: true,
            offers: true,
        };
        self.call(Command::Join {
            room,
            participant,
            parameters,
        })
        .await?;
        let (wire, far) = wire();
        let (offers_in, offers) = mpsc::channel(OFFERS);
        let listen = Request::Listen(participant, offers_in);
        self.requests
            .send(listen)
            .await
            .map_err(|_| CallError::Closed)?;
        let server = Server {
            engine: self.engine.clone(),
            shard: self.shard,
            room,
            participant,
            far,
        };
        tokio::spawn(server.serve(offers));
        Ok(Joined {
            room,
            participant,
            wire,
        })
    }

    /// Leaves a room, for everybody to see.
    ///
    /// # Errors
    /// The shard says why.
    pub async fn leave(&self, joined: Joined) -> Result<(), CallError> {
        let (room, participant) = (joined.room, joined.participant);
        self.forget(joined).await?;
        let reason = LeaveReason::LeftItself;
        self.call(Command::Leave {
            room,
            participant,
            reason,
        })
        .await
    }

    /// Closes the signaling alone; what the shard finds out, it finds out by itself.
    ///
    /// # Errors
    /// The dispatcher is gone.
    pub async fn forget(&self, joined: Joined) -> Result<(), CallError> {
        let forget = Request::Forget(joined.participant);
        self.requests
            .send(forget)
            .await
            .map_err(|_| CallError::Closed)
    }

    async fn call(&self, command: Command) -> Result<(), CallError> {
        self.engine.call(self.shard, command).await.map(drop)
    }
}

/// Brings offers of the shard to whom they are for.
async fn dispatch(mut news: mpsc::Receiver<Event>, mut requests: mpsc::Receiver<Request>) {
    let mut listeners: BTreeMap<ParticipantId, mpsc::Sender<String>> = BTreeMap::new();
    loop {
        tokio::select! {
            biased;
            request = requests.recv() => match request {
                Some(Request::Listen(participant, to)) => drop(listeners.insert(participant, to)),
                Some(Request::Forget(participant)) => drop(listeners.remove(&participant)),
                None => return,
            },
            event = news.recv() => {
                let Some(event) = event else { return };
                if let Event::Offer { participant, description, .. } = event
                    && let Some(listener) = listeners.get(&participant)
                {
                    let text = sfu::sdp::write(&description);
                    // Full or closed: the robot is on its way out.
                    drop(listener.try_send(text));
                }
            }
        }
    }
}

/// The server's end of one robot's signaling.
struct Server {
    engine: EngineHandle,
    shard: usize,
    room: RoomId,
    participant: ParticipantId,
    far: FarWire,
}

impl Server {
    /// Brings what the robot says to the shard, answers and offers back, until the robot is gone.
    /// Replies and events come by different ways: an offer waits for the reply that is due, since
    /// the shard made it after that.
    async fn serve(mut self, mut offers: mpsc::Receiver<String>) {
        loop {
            let down = tokio::select! {
                biased;
                signal = self.far.incoming.recv() => {
                    let Some(signal) = signal else { return };
                    match self.negotiate(&signal).await {
                        Ok(answer) => answer,
                        Err(why) => {
                            tracing::debug!(why, "a description was refused");
                            return;
                        }
                    }
                }
                offer = offers.recv() => match offer {
                    Some(text) => Some(Signal::Offer(text)),
                    None => return,
                },
            };
            if let Some(signal) = down
                && self.far.outgoing.send(signal).await.is_err()
            {
                return;
            }
        }
    }

    async fn negotiate(&self, signal: &Signal) -> Result<Option<Signal>, String> {
        let (sdp_type, text) = match signal {
            Signal::Offer(text) => (SdpType::Offer, text),
            Signal::Answer(text) => (SdpType::Answer, text),
        };
        let description = sfu::sdp::parse(sdp_type, text).map_err(|error| error.to_string())?;
        let command = Command::Negotiate {
            room: self.room,
            participant: self.participant,
            description: Box::new(description),
        };
        match self.engine.call(self.shard, command).await {
            Ok(Reply::Negotiated(Negotiated::Answer(answer))) => {
                Ok(Some(Signal::Answer(sfu::sdp::write(&answer))))
            }
            Ok(_) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}

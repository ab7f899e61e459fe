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

/// Who wants to hear, and who no more.
#[derive(Debug)]
enum Request {
    Listen(ParticipantId, mpsc::Sender<Signal>),
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
        };
        self.call(Command::Join {
            room,
            participant,
            parameters,
        })
        .await?;
        let (wire, far) = wire();
        let listen = Request::Listen(participant, far.outgoing.clone());
        self.requests
            .send(listen)
            .await
            .map_err(|_| CallError::Closed)?;
        tokio::spawn(serve(
            self.engine.clone(),
            self.shard,
            (room, participant),
            far,
        ));
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
    let mut listeners: BTreeMap<ParticipantId, mpsc::Sender<Signal>> = BTreeMap::new();
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
                    drop(listener.try_send(Signal::Offer(text)));
                }
            }
        }
    }
}

/// Brings what one robot says to the shard, and the answers back, until the robot is gone.
async fn serve(
    engine: EngineHandle,
    shard: usize,
    names: (RoomId, ParticipantId),
    mut far: FarWire,
) {
    let (room, participant) = names;
    while let Some(signal) = far.incoming.recv().await {
        let (sdp_type, text) = match &signal {
            Signal::Offer(text) => (SdpType::Offer, text),
            Signal::Answer(text) => (SdpType::Answer, text),
        };
        let description = match sfu::sdp::parse(sdp_type, text) {
            Ok(description) => Box::new(description),
            Err(error) => {
                tracing::error!(%error, "a robot's description is refused");
                return;
            }
        };
        let command = Command::Negotiate {
            room,
            participant,
            description,
        };
        match engine.call(shard, command).await {
            Ok(Reply::Negotiated(Negotiated::Answer(answer))) => {
                let text = sfu::sdp::write(&answer);
                if far.outgoing.send(Signal::Answer(text)).await.is_err() {
                    return;
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "a description came too late");
                return;
            }
        }
    }
}

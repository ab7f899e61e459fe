//! TransportService: a participant driven by an app backend, which carries the descriptions of
//! whoever sends and receives the media.
//!
//! The server is ICE-lite: it reaches the other side where that side's checks come from (RFC 8445
//! §2.5), so candidates are read and need not be kept. What the server offers stands in the answers;
//! a NegotiateTransport that describes nothing asks for it.

use std::sync::Arc;

use dashmap::DashMap;
use proto::v1;
use proto::v1::transport_service_server::TransportService;
use sfu::error::LeaveReason;
use sfu::sdp::Description;
use sfu::shard::command::Negotiated;
use tokio::time::timeout;
use tonic::{Request, Response, Status};

use super::opened;
use crate::convert;
use crate::limits::{CANDIDATE_BYTES, CANDIDATES_PER_REQUEST, OFFER_TIMEOUT};
use crate::node::Node;
use crate::registry::{
    Door, JoinRequest, MissingRoom, ParticipantName, ParticipantSpec, RoomName, Seat,
};
use crate::status::{Failure, Reason};

/// What a transport was made of, and the answer it was given: for a create that is repeated.
#[derive(Debug)]
struct Made {
    seat: Seat,
    offer: String,
    spec: ParticipantSpec,
    answer: Option<Description>,
    withheld: Vec<v1::WithheldSection>,
}

/// TransportService over a node.
#[derive(Clone, Debug)]
pub struct Transports {
    node: Node,
    /// Of participants who are inside by this door; looked through as it grows.
    made: Arc<DashMap<(RoomName, ParticipantName), Made>>,
}

impl Transports {
    /// Over this node.
    #[must_use]
    pub fn new(node: Node) -> Self {
        Self {
            node,
            made: Arc::default(),
        }
    }

    /// The seat of one who came in by this door.
    fn seat(&self, room: &RoomName, name: &ParticipantName) -> Result<Seat, Failure> {
        let registry = self.node.registry();
        if registry.get_participant(room, name)?.door != Door::Grpc {
            let why = "this participant came in by another door, which negotiates for it";
            return Err(Failure::field("name", why));
        }
        registry.seat(room, name)
    }

    fn shown(
        &self,
        (room, name): (&RoomName, &ParticipantName),
        answer: Option<&Description>,
        withheld_sections: Vec<v1::WithheldSection>,
    ) -> Result<Response<v1::Transport>, Status> {
        let view = self.node.registry().transport(room, name)?;
        let shown = convert::transport((room, name), &view, answer);
        Ok(Response::new(v1::Transport {
            withheld_sections,
            ..shown
        }))
    }

    /// One who is inside under the name already: the same create again, or another one.
    fn existing(
        &self,
        (room, name): (&RoomName, &ParticipantName),
        spec: &ParticipantSpec,
        offer: &str,
    ) -> Result<Option<Response<v1::Transport>>, Status> {
        let Ok(seat) = self.node.registry().seat(room, name) else {
            return Ok(None);
        };
        let made = self.made.get(&(room.clone(), name.clone()));
        match made.filter(|it| it.seat == seat && it.offer == offer && it.spec == *spec) {
            Some(made) => {
                let withheld = made.withheld.clone();
                self.shown((room, name), made.answer.as_ref(), withheld)
                    .map(Some)
            }
            None => {
                let why = format!("{name} is inside already, made otherwise");
                Err(Failure::new(Reason::ConfigDiffers, why).into())
            }
        }
    }

    /// Keeps what a transport was made of while its participant is inside.
    fn keep(&self, room: &RoomName, name: &ParticipantName, made: Made) {
        let registry = self.node.registry();
        // Who has left since is forgotten: the table is no larger than twice those inside.
        if self.made.len() > 2 * registry.counts().1 {
            self.made
                .retain(|(room, name), made| registry.seat(room, name).ok() == Some(made.seat));
        }
        self.made.insert((room.clone(), name.clone()), made);
    }
}

#[tonic::async_trait]
impl TransportService for Transports {
    async fn create_transport(
        &self,
        request: Request<v1::CreateTransportRequest>,
    ) -> Result<Response<v1::Transport>, Status> {
        let (covered, request) = opened(request)?;
        let room = convert::room_name("room", &request.room)?;
        covered.check(&room)?;
        let participant = convert::chosen_participant_id("participant_id", request.participant_id)?;
        let spec = ParticipantSpec {
            permissions: convert::permissions("permissions", request.permissions)?,
            ..ParticipantSpec::default()
        };
        let offer = convert::offer("sdp_offer", &request.sdp_offer)?;
        if let Some(name) = &participant
            && let Some(there) = self.existing((&room, name), &spec, &request.sdp_offer)?
        {
            return Ok(there);
        }
        let registry = self.node.registry();
        let missing_room = match self.node.is_development() {
            true => MissingRoom::Create(Box::new(self.node.room_spec(None))),
            false => MissingRoom::Refuse,
        };
        let joined = registry.join(JoinRequest {
            room: room.clone(),
            participant,
            spec: spec.clone(),
            door: Door::Grpc,
            missing_room,
            issued_at: None,
            token_id: None,
            resume_token: None,
        });
        let joined = joined.await?.inside()?;
        let (seat, name) = (joined.seat, joined.view.name.clone());
        let (answer, withheld) = match registry.negotiate(seat, offer.clone()).await {
            Ok(Negotiated::Answer(answer)) => {
                let withheld = convert::withheld(&joined.view.spec.permissions, &offer, &answer);
                (Some(*answer), withheld)
            }
            Ok(Negotiated::Accepted | Negotiated::Ignored) => (None, Vec::new()),
            Err(failure) => {
                // All or nothing: an offer that cannot be used leaves nobody inside.
                registry.leave(seat, LeaveReason::LeftItself);
                return Err(convert::described_as("sdp_offer")(failure).into());
            }
        };
        let shown = self.shown((&room, &name), answer.as_ref(), withheld.clone());
        let made = Made {
            seat,
            offer: request.sdp_offer,
            spec,
            answer,
            withheld,
        };
        self.keep(&room, &name, made);
        shown
    }

    async fn negotiate_transport(
        &self,
        request: Request<v1::NegotiateTransportRequest>,
    ) -> Result<Response<v1::Transport>, Status> {
        let (covered, request) = opened(request)?;
        let (room, name) = convert::transport_name("name", &request.name)?;
        covered.check(&room)?;
        let description = request.description.map(convert::description).transpose()?;
        let seat = self.seat(&room, &name)?;
        let Some(description) = description else {
            return self.shown((&room, &name), None, Vec::new());
        };
        let registry = self.node.registry();
        let negotiated = registry.negotiate(seat, description.clone()).await;
        match negotiated.map_err(convert::described_as("description"))? {
            Negotiated::Answer(answer) => {
                let view = registry.get_participant(&room, &name)?;
                let withheld = convert::withheld(&view.spec.permissions, &description, &answer);
                self.shown((&room, &name), Some(&answer), withheld)
            }
            // An offer while ours stands is ignored: ours is in the answer, without one to theirs.
            Negotiated::Accepted | Negotiated::Ignored => {
                self.shown((&room, &name), None, Vec::new())
            }
        }
    }

    async fn add_candidates(
        &self,
        request: Request<v1::AddCandidatesRequest>,
    ) -> Result<Response<()>, Status> {
        let (covered, request) = opened(request)?;
        let (room, name) = convert::transport_name("name", &request.name)?;
        covered.check(&room)?;
        if request.candidates.len() > CANDIDATES_PER_REQUEST {
            let why = format!("at most {CANDIDATES_PER_REQUEST}");
            return Err(Failure::field("candidates", why).into());
        }
        let good = |candidate: &String| {
            let line = candidate.strip_prefix("a=").unwrap_or(candidate);
            let named = line.starts_with("candidate:") && !line.contains(['\r', '\n']);
            line.is_empty() || named && line.len() <= CANDIDATE_BYTES
        };
        if !request.candidates.iter().all(good) {
            let why = "write candidate:… lines; an empty one ends them";
            return Err(Failure::field("candidates", why).into());
        }
        self.seat(&room, &name)?;
        Ok(Response::new(()))
    }

    async fn restart_ice(
        &self,
        request: Request<v1::RestartIceRequest>,
    ) -> Result<Response<v1::Transport>, Status> {
        let (covered, request) = opened(request)?;
        let (room, name) = convert::transport_name("name", &request.name)?;
        covered.check(&room)?;
        let seat = self.seat(&room, &name)?;
        let registry = self.node.registry();
        // Asked before it can come: it is a news of its own, behind the reply.
        let offered = registry.next_offer(seat)?;
        registry.restart_ice(seat).await?;
        // Without one in time the answer shows how things stand.
        drop(timeout(OFFER_TIMEOUT, offered).await);
        self.shown((&room, &name), None, Vec::new())
    }

    async fn delete_transport(
        &self,
        request: Request<v1::DeleteTransportRequest>,
    ) -> Result<Response<()>, Status> {
        let (covered, request) = opened(request)?;
        let (room, name) = convert::transport_name("name", &request.name)?;
        covered.check(&room)?;
        match self.seat(&room, &name) {
            Ok(seat) => {
                self.node.registry().leave(seat, LeaveReason::LeftItself);
                self.made.remove(&(room, name));
            }
            // Missing: done.
            Err(failure) if failure.reason.code() == tonic::Code::NotFound => {}
            Err(failure) => return Err(failure.into()),
        }
        Ok(Response::new(()))
    }
}

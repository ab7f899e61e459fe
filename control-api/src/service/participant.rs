//! ParticipantService: who is inside, what they may do, putting them out.

use proto::v1;
use proto::v1::participant_service_server::ParticipantService;
use tonic::{Request, Response, Status};

use super::{absent, opened};
use crate::convert;
use crate::node::Node;
use crate::registry::ParticipantView;

/// ParticipantService over a node.
#[derive(Clone, Debug)]
pub struct Participants(Node);

impl Participants {
    /// Over this node.
    #[must_use]
    pub const fn new(node: Node) -> Self {
        Self(node)
    }
}

#[tonic::async_trait]
impl ParticipantService for Participants {
    async fn get_participant(
        &self,
        request: Request<v1::GetParticipantRequest>,
    ) -> Result<Response<v1::Participant>, Status> {
        let (covered, request) = opened(request)?;
        let (room, name) = convert::participant_name("name", &request.name)?;
        covered.check(&room)?;
        let view = self.0.registry().get_participant(&room, &name)?;
        Ok(Response::new(convert::participant(&view)))
    }

    async fn list_participants(
        &self,
        request: Request<v1::ListParticipantsRequest>,
    ) -> Result<Response<v1::ListParticipantsResponse>, Status> {
        let (covered, request) = opened(request)?;
        convert::refuse_set(&[(!request.filter.is_empty(), "filter")])?;
        let room = convert::parent("parent", &request.parent)?;
        if let Some(room) = &room {
            covered.check(room)?;
        }
        let page = convert::page(request.page_size, &request.page_token, &request.filter)?;
        let keep = |view: &ParticipantView| covered.covers(&view.room) && !view.is_unlisted();
        let registry = self.0.registry();
        let page = registry.list_participants(room.as_ref(), &page, keep)?;
        Ok(Response::new(v1::ListParticipantsResponse {
            participants: page.items.iter().map(convert::participant).collect(),
            next_page_token: convert::next_page_token(page.next_token, &request.filter),
            viewer_count: 0,
        }))
    }

    async fn update_participant(
        &self,
        request: Request<v1::UpdateParticipantRequest>,
    ) -> Result<Response<v1::Participant>, Status> {
        let (covered, request) = opened(request)?;
        let participant = request.participant.unwrap_or_default();
        convert::refuse_set(&[(!participant.etag.is_empty(), "participant.etag")])?;
        let (room, name) = convert::participant_name("participant.name", &participant.name)?;
        covered.check(&room)?;
        let edit = convert::ParticipantEdit::new(participant, request.update_mask)?;
        let change = |spec: &mut _| {
            edit.apply(spec);
            Ok(())
        };
        let registry = self.0.registry();
        let view = registry
            .update_participant(&room, &name, None, change)
            .await;
        let view = view.map_err(convert::within("participant"))?;
        Ok(Response::new(convert::participant(&view)))
    }

    async fn admit_participant(
        &self,
        _: Request<v1::AdmitParticipantRequest>,
    ) -> Result<Response<v1::Participant>, Status> {
        Err(absent("plenum.v1.ParticipantService/AdmitParticipant"))
    }

    async fn remove_participant(
        &self,
        request: Request<v1::RemoveParticipantRequest>,
    ) -> Result<Response<()>, Status> {
        let (covered, request) = opened(request)?;
        convert::refuse_set(&[(request.ban_duration.is_some(), "ban_duration")])?;
        let (room, name) = convert::participant_name("name", &request.name)?;
        covered.check(&room)?;
        let message = convert::words("message", request.message)?;
        let registry = self.0.registry();
        registry
            .remove_participant(&room, &name, message, None)
            .await?;
        Ok(Response::new(()))
    }

    async fn move_participant(
        &self,
        _: Request<v1::MoveParticipantRequest>,
    ) -> Result<Response<v1::Participant>, Status> {
        Err(absent("plenum.v1.ParticipantService/MoveParticipant"))
    }
}

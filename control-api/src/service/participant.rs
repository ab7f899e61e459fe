//! ParticipantService: who is inside, what they may do, putting them out.

use proto::v1;
use proto::v1::participant_service_server::ParticipantService;
use tonic::{Request, Response, Status};

use super::opened;
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
        let wanted = convert::participant_filter(&request.filter)?;
        let room = convert::parent("parent", &request.parent)?;
        if let Some(room) = &room {
            covered.check(room)?;
        }
        let page = convert::page(request.page_size, request.page_token, &request.filter)?;
        let keep = |view: &ParticipantView| covered.covers(&view.room) && wanted(view);
        let registry = self.0.registry();
        let page = registry.list_participants(room.as_ref(), &page, keep)?;
        let viewers = registry.count_viewers(room.as_ref(), |room| covered.covers(room));
        Ok(Response::new(v1::ListParticipantsResponse {
            participants: page.items.iter().map(convert::participant).collect(),
            next_page_token: page.next_token,
            viewer_count: convert::count(viewers),
        }))
    }

    async fn update_participant(
        &self,
        request: Request<v1::UpdateParticipantRequest>,
    ) -> Result<Response<v1::Participant>, Status> {
        let (covered, request) = opened(request)?;
        let mut participant = request.participant.unwrap_or_default();
        let etag = convert::said(std::mem::take(&mut participant.etag));
        let (room, name) = convert::participant_name("participant.name", &participant.name)?;
        covered.check(&room)?;
        let edit = convert::ParticipantEdit::new(participant, request.update_mask)?;
        let change = |spec: &mut _| {
            edit.apply(spec);
            Ok(())
        };
        let registry = self.0.registry();
        let view = registry
            .update_participant(&room, &name, etag, change)
            .await;
        let view = view.map_err(convert::within("participant"))?;
        Ok(Response::new(convert::participant(&view)))
    }

    async fn admit_participant(
        &self,
        request: Request<v1::AdmitParticipantRequest>,
    ) -> Result<Response<v1::Participant>, Status> {
        let (covered, request) = opened(request)?;
        let (room, name) = convert::participant_name("name", &request.name)?;
        covered.check(&room)?;
        let view = self.0.registry().admit_participant(&room, &name).await?;
        Ok(Response::new(convert::participant(&view)))
    }

    async fn remove_participant(
        &self,
        request: Request<v1::RemoveParticipantRequest>,
    ) -> Result<Response<()>, Status> {
        let (covered, request) = opened(request)?;
        let (room, name) = convert::participant_name("name", &request.name)?;
        covered.check(&room)?;
        let message = convert::words("message", request.message)?;
        let ban = convert::duration("ban_duration", request.ban_duration)?;
        let ban = ban.filter(|ban| !ban.is_zero());
        let registry = self.0.registry();
        registry
            .remove_participant(&room, &name, message, ban)
            .await?;
        Ok(Response::new(()))
    }

    async fn move_participant(
        &self,
        request: Request<v1::MoveParticipantRequest>,
    ) -> Result<Response<v1::Participant>, Status> {
        let (covered, request) = opened(request)?;
        let (room, name) = convert::participant_name("name", &request.name)?;
        let destination = convert::room_name("destination_room", &request.destination_room)?;
        covered.check(&room)?;
        covered.check(&destination)?;
        let registry = self.0.registry();
        let view = registry
            .move_participant(&room, &name, &destination)
            .await?;
        Ok(Response::new(convert::participant(&view)))
    }
}

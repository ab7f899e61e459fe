//! TokenService: tokens signed for participants.

use proto::v1;
use proto::v1::token_service_server::TokenService;
use tonic::{Request, Response, Status};

use super::opened;
use crate::auth::TokenRequest;
use crate::convert;
use crate::limits::TOKEN_TTL;
use crate::node::Node;
use crate::registry::Revocation;

/// TokenService over a node.
#[derive(Clone, Debug)]
pub struct Tokens(Node);

impl Tokens {
    /// Over this node.
    #[must_use]
    pub const fn new(node: Node) -> Self {
        Self(node)
    }
}

#[tonic::async_trait]
impl TokenService for Tokens {
    async fn issue_token(
        &self,
        request: Request<v1::IssueTokenRequest>,
    ) -> Result<Response<v1::IssueTokenResponse>, Status> {
        let (covered, mut request) = opened(request)?;
        let room = convert::room_name("room", &request.room)?;
        covered.check(&room)?;
        let id = std::mem::take(&mut request.participant_id);
        let config = request.room_config.take();
        let defaults = self.0.config().room_config();
        let config = config
            .map(|config| convert::room_config("room_config", Some(config), &defaults))
            .transpose()?;
        if let Some(config) = &config {
            config.check().map_err(convert::as_room_config)?;
        }
        let wanted = TokenRequest {
            room,
            participant: convert::chosen_participant_id("participant_id", id)?,
            spec: convert::token_spec(&mut request)?,
            ttl: convert::duration("ttl", request.ttl)?.unwrap_or(TOKEN_TTL),
            room_config: config,
        };
        let issued = self.0.authority().issue(&wanted)?;
        let participant = wanted.participant.as_ref();
        let urls = self.0.urls();
        Ok(Response::new(v1::IssueTokenResponse {
            token_id: issued.id.to_string(),
            expire_time: convert::moment(issued.expire_time),
            participant: participant
                .map(|participant| convert::participant_path(&wanted.room, participant))
                .unwrap_or_default(),
            connect_url: urls.connect(),
            page_url: urls.page(&wanted.room, Some(&issued.token)),
            whip_url: urls.whip(&wanted.room),
            whep_url: urls.whep(&wanted.room),
            token: issued.token,
        }))
    }

    async fn revoke_tokens(
        &self,
        request: Request<v1::RevokeTokensRequest>,
    ) -> Result<Response<v1::RevokeTokensResponse>, Status> {
        let (covered, request) = opened(request)?;
        let (room, participant) = convert::room_or_participant_name("name", &request.name)?;
        covered.check(&room)?;
        let revocation = Revocation {
            room,
            participant,
            ids: request.token_ids,
            issued_at_max: convert::moment_in("issue_time_max", request.issue_time_max)?,
            remove: request.remove,
        };
        let removed = self.0.registry().revoke_tokens(revocation).await?;
        Ok(Response::new(v1::RevokeTokensResponse {
            removed_count: convert::count(removed),
        }))
    }
}

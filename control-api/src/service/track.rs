//! TrackService: what is published, and the server's say in it.

use proto::v1;
use proto::v1::track_service_server::TrackService;
use tonic::{Request, Response, Status};

use super::opened;
use crate::convert;
use crate::node::Node;

/// TrackService over a node.
#[derive(Clone, Debug)]
pub struct Tracks(Node);

impl Tracks {
    /// Over this node.
    #[must_use]
    pub const fn new(node: Node) -> Self {
        Self(node)
    }
}

#[tonic::async_trait]
impl TrackService for Tracks {
    async fn list_tracks(
        &self,
        request: Request<v1::ListTracksRequest>,
    ) -> Result<Response<v1::ListTracksResponse>, Status> {
        let (covered, request) = opened(request)?;
        let filter = convert::track_filter(&request.filter)?;
        let room = convert::room_name("parent", &request.parent)?;
        covered.check(&room)?;
        let page = convert::page(request.page_size, request.page_token, &request.filter)?;
        let registry = self.0.registry();
        let page = registry.list_tracks(&room, &page, |track| filter.passes(track))?;
        let tracks = page.items.iter();
        Ok(Response::new(v1::ListTracksResponse {
            tracks: tracks.map(|track| convert::track(&room, track)).collect(),
            next_page_token: page.next_token,
        }))
    }

    async fn get_track(
        &self,
        request: Request<v1::GetTrackRequest>,
    ) -> Result<Response<v1::Track>, Status> {
        let (covered, request) = opened(request)?;
        let (room, track) = convert::track_name("name", &request.name)?;
        covered.check(&room)?;
        let view = self.0.registry().get_track(&room, track)?;
        Ok(Response::new(convert::track(&room, &view)))
    }

    async fn set_track_muted(
        &self,
        request: Request<v1::SetTrackMutedRequest>,
    ) -> Result<Response<v1::Track>, Status> {
        let (covered, request) = opened(request)?;
        let (room, track) = convert::track_name("name", &request.name)?;
        covered.check(&room)?;
        let registry = self.0.registry();
        let view = registry
            .set_track_muted(&room, track, request.muted)
            .await?;
        Ok(Response::new(convert::track(&room, &view)))
    }

    async fn unpublish_track(
        &self,
        request: Request<v1::UnpublishTrackRequest>,
    ) -> Result<Response<()>, Status> {
        let (covered, request) = opened(request)?;
        let (room, track) = convert::track_name("name", &request.name)?;
        covered.check(&room)?;
        match self.0.registry().unpublish_track(&room, track).await {
            Err(failure) if failure.reason.code() != tonic::Code::NotFound => Err(failure.into()),
            // Missing, with its room or alone: done.
            Ok(()) | Err(_) => Ok(Response::new(())),
        }
    }

    async fn request_keyframe(
        &self,
        request: Request<v1::RequestKeyframeRequest>,
    ) -> Result<Response<()>, Status> {
        let (covered, request) = opened(request)?;
        let (room, track) = convert::track_name("name", &request.name)?;
        covered.check(&room)?;
        self.0.registry().request_keyframe(&room, track).await?;
        Ok(Response::new(()))
    }
}

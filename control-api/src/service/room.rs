//! RoomService: rooms made, found, changed, ended.

use proto::v1;
use proto::v1::room_service_server::RoomService;
use tonic::{Request, Response, Status};

use super::opened;
use crate::convert;
use crate::node::Node;
use crate::registry::{BackendMessage, RoomView};
use crate::status::Failure;

/// RoomService over a node.
#[derive(Clone, Debug)]
pub struct Rooms(Node);

impl Rooms {
    /// Over this node.
    #[must_use]
    pub const fn new(node: Node) -> Self {
        Self(node)
    }
}

#[tonic::async_trait]
impl RoomService for Rooms {
    async fn create_room(
        &self,
        request: Request<v1::CreateRoomRequest>,
    ) -> Result<Response<v1::Room>, Status> {
        let (covered, request) = opened(request)?;

        let name = convert::chosen_room_id("room_id", request.room_id)?;
        let room = request.room.unwrap_or_default();
        if !room.name.is_empty() && Some(convert::room_name("room.name", &room.name)?) != name {
            let why = "room_id chooses the name; leave this empty, or say the same";
            return Err(Failure::field("room.name", why).into());
        }
        match &name {
            Some(name) => covered.check(name)?,
            None => covered.check_drawn()?,
        }
        let spec = convert::room_spec(room, &self.0.config().room_config())?;
        let view = self.0.registry().create_room(name, spec).await?;
        Ok(Response::new(convert::room(&view)))
    }

    async fn get_room(
        &self,
        request: Request<v1::GetRoomRequest>,
    ) -> Result<Response<v1::Room>, Status> {
        let (covered, request) = opened(request)?;
        let name = convert::room_name("name", &request.name)?;
        covered.check(&name)?;
        let view = self.0.registry().get_room(&name)?;
        Ok(Response::new(convert::room(&view)))
    }

    async fn list_rooms(
        &self,
        request: Request<v1::ListRoomsRequest>,
    ) -> Result<Response<v1::ListRoomsResponse>, Status> {
        let (covered, request) = opened(request)?;
        let filter = convert::room_filter(&request.filter)?;
        let page = convert::page(request.page_size, request.page_token, &request.filter)?;
        let keep = |room: &RoomView| covered.covers(&room.name) && filter.passes(room);
        let page = self.0.registry().list_rooms(&page, keep)?;
        Ok(Response::new(v1::ListRoomsResponse {
            rooms: page.items.iter().map(convert::room).collect(),
            next_page_token: page.next_token,
        }))
    }

    async fn update_room(
        &self,
        request: Request<v1::UpdateRoomRequest>,
    ) -> Result<Response<v1::Room>, Status> {
        let (covered, request) = opened(request)?;
        let mut room = request.room.unwrap_or_default();
        let etag = convert::said(std::mem::take(&mut room.etag));
        let name = convert::room_name("room.name", &room.name)?;
        covered.check(&name)?;
        let defaults = self.0.config().room_config();
        let edit = convert::RoomEdit::new(room, request.update_mask, &defaults)?;
        let change = |spec: &mut _| {
            edit.apply(spec);
            Ok(())
        };
        let view = self.0.registry().update_room(&name, etag, change).await;
        let view = view.map_err(convert::within("room"))?;
        Ok(Response::new(convert::room(&view)))
    }

    async fn delete_room(
        &self,
        request: Request<v1::DeleteRoomRequest>,
    ) -> Result<Response<()>, Status> {
        let (covered, request) = opened(request)?;
        let name = convert::room_name("name", &request.name)?;
        covered.check(&name)?;
        let message = convert::words("message", request.message)?;
        let etag = convert::said(request.etag);
        self.0.registry().delete_room(&name, etag, message).await?;
        Ok(Response::new(()))
    }

    async fn send_message(
        &self,
        request: Request<v1::SendMessageRequest>,
    ) -> Result<Response<v1::SendMessageResponse>, Status> {
        let (covered, request) = opened(request)?;
        convert::refuse_set(&[(request.unreliable, "unreliable")])?;
        let name = convert::room_name("name", &request.name)?;
        covered.check(&name)?;
        if request.text && std::str::from_utf8(&request.payload).is_err() {
            return Err(Failure::field("payload", "text is UTF-8").into());
        }
        let to = request.participants.iter().map(|path| {
            let (room, participant) = convert::participant_name("participants", path)?;
            let why = || Failure::field("participants", format!("all are of rooms/{name}"));
            (room == name).then_some(participant).ok_or_else(why)
        });
        let message = BackendMessage {
            topic: request.topic,
            payload: request.payload,
            text: request.text,
            to: to.collect::<Result<_, _>>()?,
        };
        let recipients = self.0.registry().send_message(&name, message)?;
        Ok(Response::new(v1::SendMessageResponse {
            recipient_count: convert::count(recipients),
        }))
    }
}

//! `look`: who is in a room, told to one who is not.

use super::incoming::LookIn;
use super::outgoing::{LobbyRoomOut, Outgoing};
use crate::limits::LOBBY_NAMES;
use crate::node::Node;
use crate::registry::{PageRequest, ParticipantKind, ParticipantView, RoomName};
use crate::status::{Failure, Reason};

/// What is told: at most `LOBBY_NAMES` display names, and how many there are. A room that a join
/// would make is one without anybody.
///
/// # Errors
/// What a join with this token would be refused for: `TOKEN_INVALID`, `ROOM_NOT_FOUND`, ….
pub(super) fn lobby(node: &Node, look: &LookIn) -> Result<Outgoing, Failure> {
    let name = RoomName::new(look.room.clone())?;
    let mut may_make = node.is_development();
    match &look.token {
        Some(token) => {
            let grant = node.authority().participant(token)?;
            if grant.room != name {
                return Err(Failure::field("room", "is not the token's"));
            }
            may_make |= grant.room_config.is_some();
        }
        None if node.is_development() => {}
        None => return Err(Failure::new(Reason::TokenInvalid, "a token is needed")),
    }
    let registry = node.registry();
    let room = match registry.get_room(&name) {
        Ok(room) => room,
        Err(failure) if failure.reason == Reason::RoomNotFound && may_make => {
            return Ok(empty(&name));
        }
        Err(failure) => return Err(failure),
    };
    let request = PageRequest {
        size: LOBBY_NAMES,
        ..PageRequest::default()
    };
    let page = registry.list_participants(Some(&name), &request, is_seen)?;
    let called = |view: &ParticipantView| match view.spec.display_name.as_str() {
        "" => view.name.to_string(),
        name => name.to_owned(),
    };
    let participants: Vec<String> = page.items.iter().map(called).collect();
    // One page has them all, or the record's own count says how many there are.
    let count = match page.next_token.as_str() {
        "" => participants.len(),
        _ => room.participant_count,
    };
    Ok(Outgoing::Lobby {
        room: LobbyRoomOut {
            name: name.to_string(),
            display_name: room.spec.display_name.clone(),
            locked: room.spec.locked,
            waiting_room: room.spec.config.waiting_room,
        },
        participants,
        count,
    })
}

/// Whether those inside see it, too.
fn is_seen(view: &ParticipantView) -> bool {
    use crate::registry::ParticipantState;
    let hidden = view.spec.permissions.hidden || view.spec.kind == ParticipantKind::Viewer;
    !hidden && view.state != ParticipantState::Waiting
}

fn empty(name: &RoomName) -> Outgoing {
    Outgoing::Lobby {
        room: LobbyRoomOut {
            name: name.to_string(),
            display_name: String::new(),
            locked: false,
            waiting_room: false,
        },
        participants: Vec::new(),
        count: 0,
    }
}

//! The first message: who is it, where to, and the welcome.

use sfu::shard::command::Negotiated;

use super::description;
use super::digest::portions;
use super::incoming::{DescriptionIn, JoinIn};
use super::outgoing::{Outgoing, ParticipantOut, ParticipantsOut, SnapshotOut, WelcomeOut};
use crate::clock::UnixTime;
use crate::node::Node;
use crate::registry::{
    Arrival, Door, JoinRequest, MissingRoom, ParticipantName, ParticipantSpec, RoomName, Seat,
};
use crate::status::{Failure, Reason};

/// What a `join` asks of the registry, its token checked; and when that token ends.
///
/// # Errors
/// What is wrong with token or fields.
pub(super) fn request(
    node: &Node,
    join: &JoinIn,
) -> Result<(JoinRequest, Option<UnixTime>), Failure> {
    let room = join.room.clone().map(RoomName::new).transpose()?;
    let participant = join
        .participant
        .clone()
        .map(ParticipantName::new)
        .transpose()?;
    let own_words = |spec: &mut ParticipantSpec| {
        // A token's words about its bearer stand; what it leaves open, the bearer fills in.
        if spec.display_name.is_empty() {
            spec.display_name = join.display_name.clone().unwrap_or_default();
        }
        if spec.metadata.is_empty() {
            spec.metadata = join.metadata.clone().unwrap_or_default();
        }
        if spec.attributes.is_empty() {
            spec.attributes.clone_from(&join.attributes);
        }
    };
    let mut missing_room = MissingRoom::Refuse;
    if node.is_development() {
        missing_room = MissingRoom::Create(Box::new(node.room_spec(None)));
    }
    let Some(token) = &join.token else {
        if !node.is_development() {
            return Err(Failure::new(Reason::TokenInvalid, "a token is needed"));
        }
        let mut spec = ParticipantSpec::default();
        own_words(&mut spec);
        let request = JoinRequest {
            room: room.ok_or_else(|| Failure::field("room", "is needed without a token"))?,
            participant,
            spec,
            door: Door::WebSocket,
            missing_room,
            issued_at: None,
            token_id: None,
            resume_token: join.resume_token.clone(),
        };
        return Ok((request, None));
    };
    let grant = node.authority().participant(token)?;
    if room.is_some_and(|room| room != grant.room) {
        return Err(Failure::field("room", "is not the token's"));
    }
    if participant.is_some() && grant.participant.is_some() && participant != grant.participant {
        return Err(Failure::field("participant", "is not the token's"));
    }
    if let Some(config) = grant.room_config {
        missing_room = MissingRoom::Create(Box::new(node.room_spec(Some(config))));
    }
    let mut spec = grant.spec;
    own_words(&mut spec);
    let request = JoinRequest {
        room: grant.room,
        participant: grant.participant,
        spec,
        door: Door::WebSocket,
        missing_room,
        issued_at: Some(grant.issued_at),
        token_id: grant.token_id,
        resume_token: join.resume_token.clone(),
    };
    Ok((request, Some(grant.expires_at)))
}

/// The welcome, the rest of a roster that is too long for one message, and what was said before.
pub(super) fn welcome(
    node: &Node,
    arrival: &Arrival,
    negotiated: Option<&Negotiated>,
) -> Vec<Outgoing> {
    let answer = match negotiated {
        Some(Negotiated::Answer(answer)) => Some(&**answer),
        Some(Negotiated::Accepted | Negotiated::Ignored) | None => None,
    };
    whole(arrival, |first| {
        let uid = arrival.view.uid.to_string();
        let ice_servers = node.ice_servers().told(&uid, UnixTime::now());
        Outgoing::Welcome(Box::new(WelcomeOut::new(
            arrival,
            first,
            answer,
            ice_servers,
        )))
    })
}

/// All there is, where news were lost.
pub(super) fn snapshot(arrival: &Arrival) -> Vec<Outgoing> {
    whole(arrival, |first| {
        Outgoing::Snapshot(Box::new(SnapshotOut::new(arrival, first)))
    })
}

fn whole(arrival: &Arrival, first: impl FnOnce(Vec<ParticipantOut>) -> Outgoing) -> Vec<Outgoing> {
    let others = arrival.others.iter().map(ParticipantOut::from).collect();
    // An escaped byte takes up to six.
    let room = (arrival.room.spec.metadata.len() + arrival.room.spec.display_name.len()) * 6;
    let reserved = ParticipantOut::from(&arrival.view).bytes() + room;
    let mut portions = portions(others, reserved).into_iter();
    let first = first(portions.next().unwrap_or_default());
    let rest = portions.map(|joined| {
        Outgoing::Participants(ParticipantsOut {
            joined,
            ..ParticipantsOut::default()
        })
    });
    [first]
        .into_iter()
        .chain(rest)
        .chain(Outgoing::history(&arrival.history))
        .collect()
}

/// A description of a browser, through the shard.
///
/// # Errors
/// What is wrong with it, with the line.
pub(super) async fn negotiate(
    node: &Node,
    seat: Seat,
    text: &DescriptionIn,
) -> Result<Negotiated, Failure> {
    let description = description::read(text)?;
    node.registry().negotiate(seat, description).await
}

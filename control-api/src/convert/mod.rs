//! Protocol buffers to and from domain types: beside `status.rs` the only place that names both.
//!
//! | file | what it is |
//! |---|---|
//! | `name` | resource names and ids |
//! | `mask` | update masks |
//! | `filter` | filters of lists |
//! | `list` | what is asked of a list |
//! | `time` | times and durations |
//! | `room` | rooms and their configuration |
//! | `participant` | participants |
//! | `permissions` | what a participant may do |
//! | `track` | tracks |
//! | `subscription` | subscriptions |
//! | `transport` | descriptions and transports |
//! | `event` | events |
//!
//! A request becomes checked domain values or a failure that names the field, as the request's
//! path. A field this build does not act on is refused where it is set to anything but what we do
//! anyway. What the server alone writes is passed over in requests (AIP-203), so that an answer,
//! edited, can be sent back.

mod event;
mod filter;
mod list;
mod mask;
mod name;
mod participant;
mod permissions;
mod room;
mod subscription;
mod time;
mod track;
mod transport;

use std::collections::{BTreeMap, HashMap};

use crate::limits::FAREWELL_BYTES;
use crate::status::Failure;

pub(crate) use event::{event, event_filter, snapshot};
pub(crate) use list::page;
pub(crate) use name::{
    chosen_participant_id, chosen_room_id, parent, participant_name, participant_path, room_name,
    room_or_participant_name, track_name, transport_name,
};
pub(crate) use participant::{ParticipantEdit, participant, participant_filter, token_spec};
pub(crate) use permissions::permissions;
pub(crate) use room::{RoomEdit, as_room_config, room, room_config, room_filter, room_spec};
pub(crate) use subscription::{subscription, wishes};
pub(crate) use time::{duration, moment, moment_in};
pub(crate) use track::{track, track_filter};
pub(crate) use transport::{described_as, description, offer, transport, withheld};

// Refusals.

/// Refuses the first field that is set: nothing here acts on it.
pub(crate) fn refuse_set(fields: &[(bool, &'static str)]) -> Result<(), Failure> {
    match fields.iter().find(|(set, _)| *set) {
        Some((_, field)) => Err(Failure::absent(*field)),
        None => Ok(()),
    }
}

/// A failure of a part, as one of the request that holds it: `config.codecs` of `room` is
/// `room.config.codecs`.
pub(crate) fn within(prefix: &'static str) -> impl Fn(Failure) -> Failure {
    move |failure| {
        let field = failure
            .field
            .as_ref()
            .map(|field| format!("{prefix}.{field}"));
        renamed(failure, field)
    }
}

/// A failure as one of this field.
fn at(field: &'static str) -> impl Fn(Failure) -> Failure {
    move |failure| renamed(failure, Some(field.to_owned()))
}

fn renamed(failure: Failure, field: Option<String>) -> Failure {
    let Some(field) = field else {
        return failure;
    };
    let old = failure.field.as_deref().unwrap_or_default();
    let why = failure.message.strip_prefix(old);
    let why = why.unwrap_or(&failure.message).trim_start_matches(": ");
    Failure {
        message: format!("{field}: {why}"),
        field: Some(field),
        ..failure
    }
}

/// What is said; none: empty.
pub(crate) fn said(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A count for an answer.
pub(crate) fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Words for those who are put out; none: empty.
pub(crate) fn words(field: &'static str, words: String) -> Result<Option<String>, Failure> {
    if words.len() > FAREWELL_BYTES {
        let why = format!("at most {FAREWELL_BYTES} bytes");
        return Err(Failure::field(field, why));
    }
    Ok((!words.is_empty()).then_some(words))
}

fn map_in(map: HashMap<String, String>) -> BTreeMap<String, String> {
    map.into_iter().collect()
}

fn map_out(map: &BTreeMap<String, String>) -> HashMap<String, String> {
    map.clone().into_iter().collect()
}

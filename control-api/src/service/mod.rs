//! The gRPC door: each method converts, calls the registry, converts back.
//!
//! | file | what it is |
//! |---|---|
//! | [`room`] | RoomService |
//! | [`participant`] | ParticipantService |
//! | [`token`] | TokenService |
//! | [`event`] | EventService |
//! | [`track`] | TrackService |
//! | [`subscription`] | SubscriptionService |
//! | [`transport`] | TransportService |
//! | [`server`] | ServerService |
//! | `call` | around every call: token, scope, deadline, message |
//! | `methods` | what each method needs, by the descriptors |
//! | `shape` | messages by their descriptors |
//! | `repeats` | `request_id` |
//!
//! Methods that are in none of them answer UNIMPLEMENTED / FEATURE_ABSENT from [`absent`], after
//! their token has been checked like everybody's.

pub(crate) mod call;
pub mod event;
mod methods;
pub mod participant;
pub(crate) mod repeats;
pub mod room;
pub mod server;
mod shape;
pub mod subscription;
pub mod token;
pub mod track;
pub mod transport;

use tonic::{Request, Status};

use crate::auth::BackendGrant;
use crate::registry::RoomName;
use crate::status::{Failure, Reason};

/// The refusal of a method nothing acts on.
pub(crate) fn absent(method: &str) -> Status {
    let method = method.trim_start_matches('/');
    let failure = Failure::new(
        Reason::FeatureAbsent,
        format!("{method} is not acted on by this server"),
    );
    failure.into()
}

/// The request's message, and what its token covers.
fn opened<T>(request: Request<T>) -> Result<(Covered, T), Failure> {
    let (_, extensions, message) = request.into_parts();
    let grant = extensions.get::<BackendGrant>().cloned();
    let grant = grant.ok_or_else(|| Failure::of(Reason::ServerFailed))?;
    Ok((Covered(grant), message))
}

/// What the caller's token covers; its scope has been checked.
struct Covered(BackendGrant);

impl Covered {
    fn check(&self, room: &RoomName) -> Result<(), Failure> {
        if self.0.covers(room) {
            return Ok(());
        }
        let why = format!("the token does not cover rooms/{room}");
        Err(Failure::new(Reason::ScopeMissing, why))
    }

    /// For a room whose name the server draws.
    fn check_drawn(&self) -> Result<(), Failure> {
        if self.0.covers_all() {
            return Ok(());
        }
        let why = "the token covers rooms by name: choose room_id";
        Err(Failure::new(Reason::ScopeMissing, why))
    }

    fn covers(&self, room: &RoomName) -> bool {
        self.0.covers(room)
    }
}

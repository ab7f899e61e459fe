//! What a POST to `/whip/{room}` or `/whep/{room}` makes: a participant without a socket, known to
//! the HTTP side by a URL nobody can guess. The URL is the credential for PATCH and DELETE; it is
//! gone with the participant.
//!
//! PATCH (RFC 9725 §4.3): trickled candidates, which only have to be well formed, and ICE restarts.
//! The ETag names the ICE credentials in force.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dashmap::DashMap;
use sfu::error::LeaveReason;
use sfu::id::Mid;
use sfu::sdp::Description;
use sfu::sdp::description::{Candidate, IceCredentials};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::request;
use super::sdpfrag::{self, Fragment};
use crate::clock::random;
use crate::http::problem::Refusal;
use crate::limits::{HTTP_RESOURCES, RESTART_INTERVAL};
use crate::node::Node;
use crate::registry::{Door, RoomName, Seat};
use crate::status::{Failure, Reason};

/// The media type of a PATCH.
pub(super) const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
/// What may be asked of a resource.
pub(super) const ALLOWED: &str = "GET, HEAD, PATCH, DELETE, OPTIONS";

/// 128 random bits, as hexadecimal digits.
pub(super) type ResourceId = String;

/// One participant that came by WHIP or WHEP.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) seat: Seat,
    room: RoomName,
    door: Door,
    /// Where media is taken: told again with each restart.
    tagged: Option<Mid>,
    candidates: Vec<Candidate>,
    // PATCHes may overlap; they are taken one by one.
    ice: Mutex<Ice>,
}

/// The ICE credentials in force.
#[derive(Debug)]
struct Ice {
    etag: String,
    /// Theirs.
    remote: Option<IceCredentials>,
    restarted_at: Option<Instant>,
}

impl Resource {
    /// With what `offer` and `answer` agreed.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub(super) fn new(
        room: RoomName,
        door: Door,
        seat: Seat,
        offer: &Description,
        answer: &Description,
    ) -> Result<Self, Failure> {
        let mut sections = answer.sections.iter();
        let tagged = sections.find(|section| !section.candidates.is_empty());
        let remote = tagged.and_then(|tagged| {
            let mut offered = offer.sections.iter();
            let offered = offered.find(|section| section.mid == tagged.mid)?;
            offered.ice.clone()
        });
        Ok(Self {
            seat,
            room,
            door,
            tagged: tagged.map(|section| section.mid),
            candidates: tagged.map_or_else(Vec::new, |section| section.candidates.clone()),
            ice: Mutex::new(Ice {
                etag: new_etag()?,
                remote,
                restarted_at: None,
            }),
        })
    }

    /// The ETag of the credentials in force.
    pub(super) async fn etag(&self) -> String {
        self.ice.lock().await.etag.clone()
    }
}

/// All of them. Bounded by `HTTP_RESOURCES`.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    table: DashMap<ResourceId, Arc<Resource>>,
    count: AtomicUsize,
}

impl Resources {
    /// Whether one more fits, before anything is done for it.
    ///
    /// # Errors
    /// `NODE_OVERLOADED`.
    pub(super) fn check_room(&self) -> Result<(), Failure> {
        if self.count.load(Ordering::Acquire) < HTTP_RESOURCES {
            return Ok(());
        }
        let why = format!("the node has {HTTP_RESOURCES} WHIP and WHEP participants, its most");
        Err(Failure::new(Reason::NodeOverloaded, why))
    }

    /// Puts one in, under a new id.
    ///
    /// # Errors
    /// `NODE_OVERLOADED`.
    pub(super) fn add(&self, resource: Resource) -> Result<(ResourceId, Arc<Resource>), Failure> {
        self.check_room()?;
        let id = format!("{:032x}", u128::from_le_bytes(random::<16>()?));
        let resource = Arc::new(resource);
        self.table.insert(id.clone(), Arc::clone(&resource));
        self.count.fetch_add(1, Ordering::AcqRel);
        Ok((id, resource))
    }

    /// Takes one out. None: it was out already.
    pub(super) fn remove(&self, id: &str) -> Option<Arc<Resource>> {
        let (_, resource) = self.table.remove(id)?;
        self.count.fetch_sub(1, Ordering::AcqRel);
        Some(resource)
    }

    fn find(&self, door: Door, room: &str, id: &str) -> Result<Arc<Resource>, Refusal> {
        let found = self.table.get(id).map(|found| Arc::clone(&found));
        let fits = |found: &Arc<Resource>| found.door == door && found.room.as_str() == room;
        found.filter(fits).ok_or_else(missing)
    }
}

fn missing() -> Refusal {
    let why = "there is nothing here, or nothing any more; POST again";
    Failure::new(Reason::ParticipantNotFound, why).into()
}

/// RFC 9110 §8.8.3: strong and quoted.
fn new_etag() -> Result<String, Failure> {
    Ok(format!("\"{:016x}\"", u64::from_le_bytes(random::<8>()?)))
}

/// PATCH of a publisher.
pub(super) async fn change_publisher(
    State(node): State<Node>,
    Path((room, id)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    change(&node, Door::Whip, (&room, &id), request).await
}

/// PATCH of a viewer.
pub(super) async fn change_viewer(
    State(node): State<Node>,
    Path((room, id)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    change(&node, Door::Whep, (&room, &id), request).await
}

/// DELETE of a publisher.
pub(super) async fn end_publisher(
    State(node): State<Node>,
    Path((room, id)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    end(&node, Door::Whip, &room, &id)
}

/// DELETE of a viewer.
pub(super) async fn end_viewer(
    State(node): State<Node>,
    Path((room, id)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    end(&node, Door::Whep, &room, &id)
}

/// OPTIONS of a resource.
pub(super) async fn options() -> [(HeaderName, &'static str); 2] {
    [
        (header::ALLOW, ALLOWED),
        (HeaderName::from_static("accept-patch"), FRAGMENT),
    ]
}

/// GET and HEAD of a publisher: there is one, and no more to say (RFC 9725 §4.1).
pub(super) async fn publisher(
    State(node): State<Node>,
    Path((room, id)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    node.resources().find(Door::Whip, &room, &id)?;
    Ok(StatusCode::NO_CONTENT)
}

/// GET and HEAD of a viewer.
pub(super) async fn viewer(
    State(node): State<Node>,
    Path((room, id)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    node.resources().find(Door::Whep, &room, &id)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Any other method.
pub(super) async fn other_method() -> Refusal {
    Refusal::method(ALLOWED)
}

fn end(node: &Node, door: Door, room: &str, id: &str) -> Result<StatusCode, Refusal> {
    let resources = node.resources();
    resources.find(door, room, id)?;
    // Of two at the same time, one finds it gone.
    let resource = resources.remove(id).ok_or_else(missing)?;
    node.registry()
        .leave(resource.seat, LeaveReason::LeftItself);
    Ok(StatusCode::OK)
}

async fn change(
    node: &Node,
    door: Door,
    (room, id): (&str, &str),
    request: Request,
) -> Result<Response, Refusal> {
    let resource = node.resources().find(door, room, id)?;
    let condition = Condition::of(request.headers())?;
    let text = request::body(request, FRAGMENT)
        .await
        .map_err(|refusal| refusal.with(HeaderName::from_static("accept-patch"), FRAGMENT))?;
    let fragment = sdpfrag::read(&text)?;
    let mut ice = resource.ice.lock().await;
    let Some(credentials) = restart_of(&fragment, ice.remote.as_ref())? else {
        condition.check_trickle(&ice.etag)?;
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    condition.check_restart(&ice.etag)?;
    restart(node, &resource, &mut ice, credentials).await
}

async fn restart(
    node: &Node,
    resource: &Resource,
    ice: &mut Ice,
    theirs: IceCredentials,
) -> Result<Response, Refusal> {
    let now = Instant::now();
    if ice
        .restarted_at
        .is_some_and(|at| now.saturating_duration_since(at) < RESTART_INTERVAL)
    {
        let why = "ICE was restarted just now; try again in a moment";
        return Err(Failure::new(Reason::LimitExceeded, why).into());
    }
    let etag = new_etag()?;
    let registry = node.registry();
    let ours = registry
        .restart_remote_ice(resource.seat, theirs.clone())
        .await?;
    let body = sdpfrag::write(&ours, resource.tagged, &resource.candidates);
    *ice = Ice {
        etag: etag.clone(),
        remote: Some(theirs),
        restarted_at: Some(now),
    };
    let headers = [
        (header::CONTENT_TYPE, FRAGMENT.to_owned()),
        (header::ETAG, etag),
    ];
    Ok((StatusCode::OK, headers, body).into_response())
}

/// The new credentials of a fragment, where it has some (RFC 9725 §4.3.3: that is a restart).
fn restart_of(
    fragment: &Fragment,
    known: Option<&IceCredentials>,
) -> Result<Option<IceCredentials>, Failure> {
    let Some(ufrag) = &fragment.ufrag else {
        return Ok(None);
    };
    let password = fragment.password.as_ref();
    let same = known.is_some_and(|known| {
        known.ufrag == *ufrag && password.is_none_or(|password| *password == known.password)
    });
    if same {
        return Ok(None);
    }
    match password {
        Some(password) => Ok(Some(IceCredentials {
            ufrag: ufrag.clone(),
            password: password.clone(),
        })),
        None => {
            let why = "a=ice-ufrag is new, and a=ice-pwd is missing; a restart wants both";
            Err(Failure::new(Reason::SdpInvalid, why))
        }
    }
}

/// `If-Match` (RFC 9110 §13.1.1).
#[derive(Debug, PartialEq, Eq)]
enum Condition {
    /// There is none.
    Missing,
    /// Whatever is in force.
    Any,
    /// One of these.
    Tags(Vec<String>),
}

impl Condition {
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut tags = Vec::new();
        for value in headers.get_all(header::IF_MATCH) {
            let Ok(value) = value.to_str() else {
                let why = "If-Match cannot be read";
                return Err(Failure::new(Reason::MessageInvalid, why).into());
            };
            let each = value.split(',').map(str::trim);
            tags.extend(each.filter(|tag| !tag.is_empty()).map(str::to_owned));
        }
        // RFC 9725's example of a restart writes the asterisk in quotes.
        if tags.iter().any(|tag| tag == "*" || tag == "\"*\"") {
            return Ok(Self::Any);
        }
        Ok(match headers.contains_key(header::IF_MATCH) {
            true => Self::Tags(tags),
            false => Self::Missing,
        })
    }

    /// Candidates for other credentials than those in force are of no use; without a word about it
    /// they are let through, since nothing hangs on them.
    fn check_trickle(&self, etag: &str) -> Result<(), Refusal> {
        match self {
            Self::Missing | Self::Any => Ok(()),
            Self::Tags(tags) if tags.iter().any(|tag| tag == etag) => Ok(()),
            Self::Tags(_) => Err(mismatch()),
        }
    }

    /// RFC 9725 §4.3.3: `*`; who names the one in force is sure as well.
    fn check_restart(&self, etag: &str) -> Result<(), Refusal> {
        match self {
            Self::Any => Ok(()),
            Self::Tags(tags) if tags.iter().any(|tag| tag == etag) => Ok(()),
            Self::Tags(_) => Err(mismatch()),
            Self::Missing => {
                let why = "an ICE restart wants If-Match: \"*\", or the ETag in force";
                let status = StatusCode::PRECONDITION_REQUIRED;
                Err(Refusal::new(status, Reason::EtagMismatch, why))
            }
        }
    }
}

fn mismatch() -> Refusal {
    let why = "If-Match does not name the ETag in force; ICE was restarted meanwhile";
    Failure::new(Reason::EtagMismatch, why).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_credentials_is_a_restart() {
        let known = IceCredentials {
            ufrag: "abcd".into(),
            password: "0123456789012345678901".into(),
        };
        let fragment = |ufrag: Option<&str>, password: Option<&str>| Fragment {
            ufrag: ufrag.map(str::to_owned),
            password: password.map(str::to_owned),
            ..Fragment::default()
        };
        let other = "9123456789012345678901";
        for (ufrag, password, restarts) in [
            (None, None, Some(false)),
            (Some("abcd"), Some("0123456789012345678901"), Some(false)),
            (Some("abcd"), None, Some(false)),
            (Some("abcd"), Some(other), Some(true)),
            (Some("efgh"), Some(other), Some(true)),
            (Some("efgh"), None, None),
        ] {
            let read = restart_of(&fragment(ufrag, password), Some(&known));
            assert_eq!(
                read.ok().map(|it| it.is_some()),
                restarts,
                "{ufrag:?} {password:?}"
            );
        }
    }

    #[test]
    fn if_match_is_compared_strongly() {
        let of = |value: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(header::IF_MATCH, value.parse().unwrap());
            }
            let condition = Condition::of(&headers).unwrap();
            let ok = |checked: Result<(), Refusal>| checked.is_ok();
            (
                ok(condition.check_trickle("\"a\"")),
                ok(condition.check_restart("\"a\"")),
            )
        };
        for (value, trickle, restart) in [
            (None, true, false),
            (Some("*"), true, true),
            (Some("\"*\""), true, true),
            (Some("\"a\""), true, true),
            (Some("\"b\", \"a\""), true, true),
            (Some("W/\"a\""), false, false),
            (Some("a"), false, false),
            (Some("\"b\""), false, false),
            (Some(""), false, false),
        ] {
            assert_eq!(of(value), (trickle, restart), "{value:?}");
        }
    }
}

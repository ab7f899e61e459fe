//! WHIP (RFC 9725): POST to `/whip/{room}` publishes by one offer and one answer. Whoever comes is
//! a participant like any other; it lives by its media (RFC 7675) or until DELETE.
//!
//! Nothing is taken by halves (RFC 9725 §4.4.3): where one m-line cannot be used, or may not be
//! published, the whole offer is refused and nobody has joined.

use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::Response;
use axum::routing::{patch, post};
use axum::{Router, middleware};
use sfu::error::LeaveReason;
use sfu::id::Mid;
use sfu::sdp::Description;
use sfu::sdp::description::{Direction, SectionKind};
use sfu::units::MediaKind;
use tracing::Instrument as _;

use super::entry::{Entry, carried_through, check_usable, unusable};
use super::request::{self, OwnWords, SDP};
use super::resource::{self, ResourceId};
use super::whep;
use crate::http::cors;
use crate::http::problem::Refusal;
use crate::node::Node;
use crate::registry::spec::not_permitted;
use crate::registry::{Door, NewsReceiver, Permissions, RoomName, TrackSource};
use crate::status::{Failure, Reason};

/// What may be asked of `/whip/{room}` and `/whep/{room}`.
const ALLOWED: &str = "GET, HEAD, POST, OPTIONS";
/// What a POST is made of (W3C LDP §7.1).
pub(super) const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");

/// The addresses of WHIP and WHEP.
pub(crate) fn routes(node: &Node) -> Router<Node> {
    let publishers = patch(resource::change_publisher)
        .delete(resource::end_publisher)
        .get(resource::publisher);
    let viewers = patch(resource::change_viewer)
        .delete(resource::end_viewer)
        .get(resource::viewer);
    Router::new()
        .route("/whip/{room}", post(publish).get(nothing).options(options))
        .route(
            "/whep/{room}",
            post(whep::view).get(nothing).options(options),
        )
        .method_not_allowed_fallback(other_method)
        .merge(
            Router::new()
                .route(
                    "/whip/{room}/{resource}",
                    publishers.options(resource::options),
                )
                .route(
                    "/whep/{room}/{resource}",
                    viewers.options(resource::options),
                )
                .method_not_allowed_fallback(resource::other_method),
        )
        .layer(middleware::from_fn_with_state(node.clone(), cors::guard))
}

async fn options() -> [(HeaderName, &'static str); 2] {
    [(header::ALLOW, ALLOWED), (ACCEPT_POST, SDP)]
}

/// GET and HEAD of an address that has no representation (RFC 9725 §4.1).
async fn nothing(Path(room): Path<String>) -> Result<StatusCode, Refusal> {
    RoomName::new(room)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn other_method() -> Refusal {
    Refusal::method(ALLOWED)
}

async fn publish(
    State(node): State<Node>,
    Path(room): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let grant = request::grant(&node, request.headers()).await?;
    let room = RoomName::new(room)?;
    let own = OwnWords::of(&request::query(request.uri())?)?;
    let mut offer = request::offer(&request::post(request).await?)?;
    only_sending(&mut offer)?;
    check_usable(&offer)?;
    let join = request::join(&node, room, grant, own, Door::Whip)?;
    let sources = sources(&offer, &join.spec.permissions)?;
    carried_through(async move {
        let entry = Entry::join(&node, join).await?;
        node.registry().describe_tracks(entry.seat(), &sources)?;
        let (response, id, joined) = entry.answer(offer).await?;
        let span = tracing::info_span!("whip", room = %joined.room.name);
        drop(tokio::spawn(stay(node, id, joined.news).instrument(span)));
        Ok(response)
    })
    .await
}

/// Waits until the participant is gone; nothing is told to it.
async fn stay(node: Node, id: ResourceId, mut news: NewsReceiver) {
    news.ended().await;
    forget(&node, &id);
}

/// The resource is over; so is its participant, where it is not gone yet.
pub(super) fn forget(node: &Node, id: &str) {
    if let Some(resource) = node.resources().remove(id) {
        let registry = node.registry();
        registry.leave(resource.seat, LeaveReason::TransportFailed);
    }
}

/// RFC 9725 §4.2: `sendonly`, or `sendrecv`, which is answered `recvonly` all the same.
fn only_sending(offer: &mut Description) -> Result<(), Failure> {
    let is_media = |kind| matches!(kind, SectionKind::Media(_));
    let mut sections = offer.sections.iter();
    let wrong = sections.position(|it| is_media(it.kind) && !it.rejected && !it.direction.sends());
    if let Some(index) = wrong {
        let why = "a publisher's is sendonly or sendrecv";
        return Err(unusable(offer, index, why));
    }
    let mut sends = false;
    for section in offer.sections.iter_mut().filter(|it| is_media(it.kind)) {
        section.direction = Direction::SendOnly;
        sends |= !section.rejected;
    }
    if sends {
        return Ok(());
    }
    let why = "nothing would be published: there is no audio and no video m-line";
    Err(Failure::new(Reason::SdpInvalid, why))
}

/// What each m-line is: a microphone or a camera, or what else the permissions allow.
fn sources(
    offer: &Description,
    permissions: &Permissions,
) -> Result<Vec<(Mid, TrackSource)>, Failure> {
    const SOUND: [TrackSource; 3] = [
        TrackSource::Microphone,
        TrackSource::ScreenAudio,
        TrackSource::Other,
    ];
    const PICTURE: [TrackSource; 3] =
        [TrackSource::Camera, TrackSource::Screen, TrackSource::Other];
    let mut sources = Vec::new();
    for (index, section) in offer.sections.iter().enumerate() {
        let known = match section.kind {
            _ if section.rejected => continue,
            SectionKind::Media(MediaKind::Audio) => SOUND,
            SectionKind::Media(MediaKind::Video) => PICTURE,
            SectionKind::Data | SectionKind::Unknown => continue,
        };
        let mut known = known.into_iter();
        let source = known.find(|source| permissions.may_publish(*source));
        let source = source.ok_or_else(|| Failure {
            section: Some(index),
            line: Some(section.line),
            ..not_permitted(&format!("publishing {}", section.media))
        })?;
        sources.push((section.mid, source));
    }
    match permissions.tracks_max {
        Some(most) if sources.len() > most => {
            Err(not_permitted(&format!("more than {most} tracks")))
        }
        Some(_) | None => Ok(sources),
    }
}

//! The way in by WHIP and WHEP: join, one offer, one answer, and the resource that stands for it.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sfu::error::LeaveReason;
use sfu::sdp::Description;
use sfu::sdp::description::SectionKind;
use sfu::shard::command::Negotiated;
use tracing::Instrument as _;

use super::request::SDP;
use super::resource::{Resource, ResourceId};
use crate::clock::UnixTime;
use crate::http::problem::Refusal;
use crate::node::Node;
use crate::registry::{Door, JoinRequest, Joined, Seat};
use crate::status::{Failure, Reason};

/// Runs to its end, whether or not the other side waits for it: nobody who has joined is left
/// without an owner.
pub(super) async fn carried_through(
    work: impl Future<Output = Result<Response, Refusal>> + Send + 'static,
) -> Result<Response, Refusal> {
    let task = tokio::spawn(work.in_current_span());
    task.await
        .unwrap_or_else(|_| Err(Failure::of(Reason::ServerFailed).into()))
}

/// Whether each m-line is something we can carry: asked before anybody joins.
///
/// # Errors
/// `SDP_INVALID`, `SDP_UNSUPPORTED_CODEC`, with the m-line.
pub(super) fn check_usable(offer: &Description) -> Result<(), Failure> {
    for (index, section) in offer.sections.iter().enumerate() {
        let is_media = matches!(section.kind, SectionKind::Media(_));
        if is_media && !section.rejected && !section.rtcp_mux {
            // RFC 9725 §4.4.1.
            return Err(unusable(offer, index, "a=rtcp-mux is missing"));
        }
        let usable = match section.kind {
            SectionKind::Media(_) => sfu::sdp::negotiate::plan(section, &[]).is_some(),
            SectionKind::Data => true,
            SectionKind::Unknown => false,
        };
        if !usable && !section.rejected {
            return Err(unsupported(offer, index));
        }
    }
    Ok(())
}

fn unsupported(offer: &Description, index: usize) -> Failure {
    let section = offer.sections.get(index);
    let offered = section.map(sfu::sdp::negotiate::names_offered);
    let why = match offered.as_deref() {
        None | Some("") => format!("m-line {index} is of a kind that is not understood here"),
        Some(offered) => format!("no codec in common in m-line {index}: it offers {offered}"),
    };
    Failure {
        section: Some(index),
        line: section.map(|section| section.line),
        ..Failure::new(Reason::SdpUnsupportedCodec, why)
    }
}

/// An m-line that cannot be used as it is.
pub(super) fn unusable(offer: &Description, index: usize, why: &str) -> Failure {
    Failure {
        section: Some(index),
        line: offer.sections.get(index).map(|section| section.line),
        ..Failure::new(Reason::SdpInvalid, format!("m-line {index}: {why}"))
    }
}

/// Somebody who has joined and has no resource yet. Dropped, it leaves again.
pub(super) struct Entry {
    node: Node,
    seat: Seat,
    door: Door,
    joined: Option<Joined>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.joined.is_some() {
            let registry = self.node.registry();
            registry.leave(self.seat, LeaveReason::LeftItself);
        }
    }
}

impl Entry {
    /// Joins.
    ///
    /// # Errors
    /// As the registry's `join`; `NODE_OVERLOADED`.
    pub(super) async fn join(node: &Node, request: JoinRequest) -> Result<Self, Failure> {
        node.resources().check_room()?;
        let door = request.door;
        let joined = node.registry().join(request).await?.inside()?;
        Ok(Self {
            node: node.clone(),
            seat: joined.seat,
            door,
            joined: Some(joined),
        })
    }

    /// Whoever joined.
    pub(super) const fn seat(&self) -> Seat {
        self.seat
    }

    /// Negotiates, and gives the answer to the POST, the resource's id, and what was joined.
    ///
    /// # Errors
    /// As the registry's `negotiate`; `SDP_UNSUPPORTED_CODEC` where any m-line was turned down.
    pub(super) async fn answer(
        mut self,
        offer: Description,
    ) -> Result<(Response, ResourceId, Joined), Refusal> {
        let negotiate = self.node.registry().negotiate(self.seat, offer.clone());
        let Negotiated::Answer(answer) = negotiate.await? else {
            return Err(Failure::of(Reason::ServerFailed).into());
        };
        check_whole(&offer, &answer)?;
        let room = match &self.joined {
            Some(joined) => joined.room.name.clone(),
            None => return Err(Failure::of(Reason::ServerFailed).into()),
        };
        let path = match self.door {
            Door::Whep => "whep",
            Door::Whip | Door::WebSocket | Door::Grpc => "whip",
        };
        let location = format!("/{path}/{room}/");
        let resource = Resource::new(room, self.door, self.seat, &offer, &answer)?;
        let (id, resource) = self.node.resources().add(resource)?;
        let Some(joined) = self.joined.take() else {
            return Err(Failure::of(Reason::ServerFailed).into());
        };
        let headers = [
            (header::CONTENT_TYPE, SDP.to_owned()),
            (header::ETAG, resource.etag().await),
            // Relative, so that it holds under whatever name we were asked (RFC 9110 §10.2.2).
            (header::LOCATION, format!("{location}{id}")),
        ];
        let text = sfu::sdp::write::write(&answer);
        let mut response = (StatusCode::CREATED, headers, text).into_response();
        let no_store = HeaderValue::from_static("no-store");
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, no_store);
        let uid = joined.view.uid.to_string();
        for link in self.node.ice_servers().links(&uid, UnixTime::now()) {
            if let Ok(link) = HeaderValue::try_from(link) {
                response.headers_mut().append(header::LINK, link);
            }
        }
        Ok((response, id, joined))
    }
}

/// RFC 9725 §4.4.3: no answer that takes one m-line and turns down another.
fn check_whole(offer: &Description, answer: &Description) -> Result<(), Failure> {
    let sections = offer.sections.iter().zip(&answer.sections);
    for (index, (offered, answered)) in sections.enumerate() {
        if answered.rejected && !offered.rejected {
            return Err(unsupported(offer, index));
        }
    }
    Ok(())
}

//! Transports: descriptions and states.

use proto::v1;
use sfu::sdp::Description;
use sfu::sdp::description::{SdpType, SectionKind};
use sfu::units::MediaKind;

use super::name::participant_path;
use crate::registry::spec::not_permitted;
use crate::registry::{ParticipantName, Permissions, RoomName, TransportState, TransportView};
use crate::status::{Failure, Reason};

/// A transport for an answer; with what we answered to its offer, where it made one.
pub(crate) fn transport(
    (room, participant): (&RoomName, &ParticipantName),
    view: &TransportView,
    answer: Option<&Description>,
) -> v1::Transport {
    let text = |description: &Description| sfu::sdp::write::write(description);
    v1::Transport {
        name: format!("{}/transport", participant_path(room, participant)),
        state: match view.state {
            TransportState::Connecting => v1::transport::State::Connecting,
            TransportState::Connected => v1::transport::State::Connected,
        }
        .into(),
        sdp_answer: answer.map(text).unwrap_or_default(),
        sdp_offer: view.offer.as_deref().map(text).unwrap_or_default(),
        srtp_cipher: view.srtp.unwrap_or_default().to_owned(),
        withheld_sections: Vec::new(),
    }
}

/// What an offer would have published and its answer does not take, with the reason.
pub(crate) fn withheld(
    permissions: &Permissions,
    offer: &Description,
    answer: &Description,
) -> Vec<v1::WithheldSection> {
    let sections = offer.sections.iter().zip(&answer.sections);
    let not_taken = sections.filter_map(|(asked, given)| {
        let SectionKind::Media(kind) = asked.kind else {
            return None;
        };
        let taken = given.rejected || given.direction.receives();
        (!asked.rejected && asked.direction.sends() && !taken).then_some((asked.mid, kind))
    });
    let shown = not_taken.map(|(mid, kind)| {
        let parameters = permissions.parameters();
        let what = match kind {
            _ if parameters.publishes(kind) => {
                format!("more than {} tracks", parameters.tracks_max)
            }
            MediaKind::Audio => "publishing audio".to_owned(),
            MediaKind::Video => "publishing video".to_owned(),
        };
        let failure = not_permitted(&what);
        v1::WithheldSection {
            mid: mid.to_string(),
            reason: failure.reason.as_str().to_owned(),
            message: failure.message,
        }
    });
    shown.collect()
}

/// An offer of the other side.
pub(crate) fn offer(field: &'static str, text: &str) -> Result<Description, Failure> {
    read(field, SdpType::Offer, text)
}

/// What the other side says of its media.
pub(crate) fn description(
    described: v1::negotiate_transport_request::Description,
) -> Result<Description, Failure> {
    use v1::negotiate_transport_request::Description as Said;
    match described {
        Said::SdpOffer(text) => read("sdp_offer", SdpType::Offer, &text),
        Said::SdpAnswer(text) => read("sdp_answer", SdpType::Answer, &text),
    }
}

fn read(field: &'static str, sdp_type: SdpType, text: &str) -> Result<Description, Failure> {
    sfu::sdp::parse::parse(sdp_type, text).map_err(|error| Failure {
        field: Some(field.to_owned()),
        line: Some(error.line),
        ..Failure::new(Reason::SdpInvalid, format!("{field}: {error}"))
    })
}

/// A failure of a description, as one of this field.
pub(crate) fn described_as(field: &'static str) -> impl Fn(Failure) -> Failure {
    move |failure| {
        if [Reason::SdpInvalid, Reason::SdpUnsupportedCodec].contains(&failure.reason) {
            return super::at(field)(failure);
        }
        failure
    }
}

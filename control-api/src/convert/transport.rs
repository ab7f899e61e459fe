//! Transports: descriptions and states.

use proto::v1;
use sfu::sdp::Description;
use sfu::sdp::description::SdpType;

use super::name::participant_path;
use crate::registry::{ParticipantName, RoomName, TransportState, TransportView};
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
    }
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

//! SDP text to values and back: shards take and give values only.

use sfu::sdp::Description;
use sfu::sdp::description::SdpType;

use super::incoming::DescriptionIn;
use super::outgoing::DescriptionOut;
use crate::status::{Failure, Reason};

/// A browser's description.
///
/// # Errors
/// `SDP_INVALID`, with the line.
pub(super) fn read(description: &DescriptionIn) -> Result<Description, Failure> {
    let sdp_type = match description.sdp_type.as_str() {
        "offer" => SdpType::Offer,
        "answer" => SdpType::Answer,
        "rollback" => SdpType::Rollback,
        _ => {
            let why = "must be offer, answer or rollback";
            return Err(Failure::field("description.type", why));
        }
    };
    sfu::sdp::parse::parse(sdp_type, &description.sdp).map_err(|error| Failure {
        field: Some("description.sdp".to_owned()),
        line: Some(error.line),
        ..Failure::new(Reason::SdpInvalid, error.to_string())
    })
}

/// A description of ours.
pub(super) fn write(description: &Description) -> DescriptionOut {
    DescriptionOut {
        sdp_type: match description.sdp_type {
            SdpType::Offer => "offer",
            SdpType::Answer => "answer",
            SdpType::Rollback => "rollback",
        },
        sdp: sfu::sdp::write::write(description),
    }
}

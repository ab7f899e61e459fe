//! ServerService: the server about itself. Features are tested, not versions.

use std::collections::HashMap;

use proto::v1;
use proto::v1::server_service_server::ServerService;
use sfu::wire::payload::Codec;
use tonic::{Request, Response, Status};

use crate::limits;
use crate::node::Node;
use crate::registry::spec::codec_label;

/// What is on in this build. A method or a field that is in none of them is FEATURE_ABSENT.
pub const FEATURES: &[&str] = &[
    "ban",
    "etag",
    "events",
    "filter",
    "hidden",
    "ice_restart",
    "message_history",
    "move_participant",
    "reflection",
    "request_id",
    "revoke_tokens",
    "send_message",
    "subscriptions",
    "tracks",
    "transports",
    "viewers",
    "waiting_room",
    "websocket",
    "whep",
    "whip",
];

/// Fields and methods that will go, each for two minor releases: none so far.
pub const DEPRECATIONS: &[&str] = &[];

/// ServerService: the same answer for as long as the process lives.
#[derive(Clone, Copy, Debug)]
pub struct Server;

impl Server {
    /// Of any node.
    #[must_use]
    pub fn new(_: Node) -> Self {
        Self
    }
}

#[tonic::async_trait]
impl ServerService for Server {
    async fn get_server_info(
        &self,
        _: Request<v1::GetServerInfoRequest>,
    ) -> Result<Response<v1::ServerInfo>, Status> {
        let limits = sfu::limits::ALL.iter().chain(limits::ALL);
        let limits: HashMap<_, _> = limits
            .map(|limit| {
                let value = i64::try_from(limit.value).unwrap_or(i64::MAX);
                (limit.name.to_ascii_lowercase(), value)
            })
            .collect();
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Ok(Response::new(v1::ServerInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            limits,
            codecs: Codec::ALL.into_iter().map(codec_label).collect(),
            features: words(FEATURES),
            deprecations: words(DEPRECATIONS),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::methods::METHODS;

    /// Each by a method without which it is not there. The rest are fields, doors and permissions.
    const BY_METHOD: [(&str, &str); 17] = [
        ("diagnostics", "DiagnosticsService/GetConnectReport"),
        ("events", "EventService/WatchEvents"),
        ("events", "EventService/ListEvents"),
        ("filter", "RoomService/ListRooms"),
        ("ice_restart", "TransportService/RestartIce"),
        ("mixes", "MixService/CreateMix"),
        ("move_participant", "ParticipantService/MoveParticipant"),
        ("nodes", "NodeService/DrainNode"),
        ("recordings", "RecordingService/StartRecording"),
        ("revoke_tokens", "TokenService/RevokeTokens"),
        ("send_message", "RoomService/SendMessage"),
        ("stats", "StatsService/WatchStats"),
        ("subscriptions", "SubscriptionService/UpdateSubscriptions"),
        ("tracks", "TrackService/SetTrackMuted"),
        ("transports", "TransportService/CreateTransport"),
        ("waiting_room", "ParticipantService/AdmitParticipant"),
        ("webhooks", "EventService/CreateWebhook"),
    ];

    #[test]
    fn a_feature_is_named_where_its_methods_are_acted_on_and_only_there() {
        for (feature, method) in BY_METHOD {
            let known = METHODS.get(&format!("/plenum.v1.{method}"));
            let acted_on = known.map(|known| known.acted_on);
            assert_eq!(
                acted_on,
                Some(FEATURES.contains(&feature)),
                "{feature}: {method}"
            );
        }
        assert!(FEATURES.is_sorted(), "{FEATURES:?}");
    }
}

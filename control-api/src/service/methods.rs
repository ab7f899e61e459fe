//! What each method needs, by a rule over the descriptors: the scope of its service's resource, read
//! for Get, List and Watch, write for the rest. A new method is guarded before it does anything.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use prost::Message as _;
use prost_types::{
    DescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
};

use super::shape::Shapes;
use crate::auth::SCOPES;

/// What a caller must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// A token, of a backend or of a participant.
    AnyToken,
    /// A backend's token with this scope.
    Scope(&'static str),
    /// A backend's token: nothing here knows the method.
    Backend,
}

/// One method of the contract.
#[derive(Debug)]
pub(crate) struct Method {
    /// What its caller must show.
    pub(crate) needs: Needs,
    /// Something acts on it.
    pub(crate) acted_on: bool,
    /// The request's message, as descriptors name it.
    pub(crate) request: String,
    /// The number of `request_id` in it, where it has one.
    pub(crate) request_id: Option<u32>,
}

/// All methods, and the shapes of their messages.
#[derive(Debug)]
pub(crate) struct Methods {
    by_path: BTreeMap<String, Method>,
    /// Every message.
    pub(crate) shapes: Shapes,
}

/// Services and methods the next issues bring. A name ends where a method is meant.
const ABSENT: &[&str] = &[
    "MixService/",
    "RecordingService/",
    "StatsService/",
    "DiagnosticsService/",
    "NodeService/",
    "EventService/CreateWebhook",
    "EventService/GetWebhook",
    "EventService/ListWebhooks",
    "EventService/UpdateWebhook",
    "EventService/DeleteWebhook",
    "EventService/TestWebhook",
    "EventService/RedeliverEvents",
];

/// The contract, read once.
pub(crate) static METHODS: LazyLock<Methods> = LazyLock::new(|| {
    // Compiled in and held fresh by a test of `proto`: what cannot be read leaves no method open,
    // as each then needs a backend's token and is absent.
    let set = FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap_or_default();
    Methods::new(&set)
});

impl Methods {
    fn new(set: &FileDescriptorSet) -> Self {
        let mut by_path = BTreeMap::new();
        for file in set.file.iter().filter(|file| file.package() == "plenum.v1") {
            let find = |method: &MethodDescriptorProto| {
                let name = method.input_type().trim_start_matches(".plenum.v1.");
                file.message_type
                    .iter()
                    .find(|message| message.name() == name)
            };
            for service in &file.service {
                for method in &service.method {
                    let short = format!("{}/{}", service.name(), method.name());
                    let known = Method::new(service, method, find(method), &short);
                    by_path.insert(format!("/plenum.v1.{short}"), known);
                }
            }
        }
        Self {
            by_path,
            shapes: Shapes::new(set),
        }
    }

    /// The method of a path.
    pub(crate) fn get(&self, path: &str) -> Option<&Method> {
        self.by_path.get(path)
    }
}

impl Method {
    fn new(
        service: &ServiceDescriptorProto,
        method: &MethodDescriptorProto,
        request: Option<&DescriptorProto>,
        short: &str,
    ) -> Self {
        let mut fields = request.iter().flat_map(|request| &request.field);
        let field = fields.find(|field| field.name() == "request_id");
        let absent =
            |name: &&str| short == *name || (name.ends_with('/') && short.starts_with(*name));
        Self {
            needs: needs(service.name(), method.name()),
            acted_on: !ABSENT.iter().any(absent),
            request: method.input_type().to_owned(),
            request_id: field.and_then(|field| u32::try_from(field.number()).ok()),
        }
    }
}

fn needs(service: &str, method: &str) -> Needs {
    let resource = match service {
        "ServerService" => return Needs::AnyToken,
        "TokenService" => return Needs::Scope("tokens.issue"),
        "RoomService" => "rooms",
        "ParticipantService" | "TransportService" | "SubscriptionService" => "participants",
        "TrackService" => "tracks",
        "MixService" => "mixes",
        "RecordingService" => "recordings",
        "EventService" => "events",
        "StatsService" => "stats",
        "DiagnosticsService" => "diagnostics",
        "NodeService" => "nodes",
        _ => return Needs::Backend,
    };
    let reads = ["Get", "List", "Watch"];
    let access = match reads.iter().any(|verb| method.starts_with(verb)) {
        true => "read",
        false => "write",
    };
    let scope = SCOPES
        .iter()
        .find(|scope| scope.split_once('.') == Some((resource, access)));
    scope.map_or(Needs::Backend, |scope| Needs::Scope(scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_needs_a_scope_or_is_the_servers() {
        assert!(METHODS.by_path.len() >= 60, "{}", METHODS.by_path.len());
        for (path, method) in &METHODS.by_path {
            let open = path.starts_with("/plenum.v1.ServerService/");
            assert_eq!(method.needs == Needs::AnyToken, open, "{path}");
            assert_ne!(method.needs, Needs::Backend, "{path}");
        }
    }

    #[test]
    fn the_rule_gives_the_scopes_the_contract_states() {
        for (path, scope) in [
            ("RoomService/CreateRoom", "rooms.write"),
            ("RoomService/ListRooms", "rooms.read"),
            ("RoomService/SendMessage", "rooms.write"),
            ("ParticipantService/MoveParticipant", "participants.write"),
            ("TransportService/CreateTransport", "participants.write"),
            ("TransportService/AddCandidates", "participants.write"),
            ("SubscriptionService/ListSubscriptions", "participants.read"),
            (
                "SubscriptionService/UpdateSubscriptions",
                "participants.write",
            ),
            ("TrackService/RequestKeyframe", "tracks.write"),
            ("EventService/WatchEvents", "events.read"),
            ("TokenService/RevokeTokens", "tokens.issue"),
            ("RecordingService/PauseRecording", "recordings.write"),
        ] {
            let method = METHODS.get(&format!("/plenum.v1.{path}")).unwrap();
            assert_eq!(method.needs, Needs::Scope(scope), "{path}");
        }
    }

    #[test]
    fn what_is_absent_is_named_rightly() {
        for name in ABSENT {
            let mut paths = METHODS.by_path.keys();
            let prefix = format!("/plenum.v1.{name}");
            assert!(paths.any(|path| path.starts_with(&prefix)), "{name}");
        }
    }
}

//! A node, a caller, and what a refusal looks like.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use control_api::auth::{Authority, Keys, TokenRequest};
use control_api::config::Config;
use control_api::node::Running;
use control_api::registry::{
    Door, JoinRequest, Joined, MissingRoom, ParticipantName, ParticipantSpec, RoomName,
};
use prost_types::FieldMask;
use proto::v1;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

pub(crate) fn config() -> Config {
    Config::on_free_ports()
}

/// What somebody offers who sends sound and pictures and takes both.
pub(crate) const OFFER: &str = "v=0\r
o=- 1 1 IN IP4 127.0.0.1\r
s=-\r
t=0 0\r
a=group:BUNDLE 0 1 2 3\r
a=msid-semantic: WMS *\r
m=audio 9 UDP/TLS/RTP/SAVPF 111\r
c=IN IP4 0.0.0.0\r
a=rtcp-mux\r
a=ice-ufrag:abcd\r
a=ice-pwd:0123456789abcdef01234567\r
a=fingerprint:sha-256 \
00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:\
00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r
a=setup:actpass\r
a=mid:0\r
a=sendonly\r
a=rtpmap:111 opus/48000/2\r
a=ssrc:1001 cname:a\r
m=video 9 UDP/TLS/RTP/SAVPF 96\r
c=IN IP4 0.0.0.0\r
a=rtcp-mux\r
a=ice-ufrag:abcd\r
a=ice-pwd:0123456789abcdef01234567\r
a=fingerprint:sha-256 \
00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:\
00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r
a=setup:actpass\r
a=mid:1\r
a=sendonly\r
a=rtpmap:96 VP8/90000\r
a=rtcp-fb:96 nack\r
a=rtcp-fb:96 nack pli\r
a=ssrc:1002 cname:a\r
m=audio 9 UDP/TLS/RTP/SAVPF 111\r
c=IN IP4 0.0.0.0\r
a=rtcp-mux\r
a=ice-ufrag:abcd\r
a=ice-pwd:0123456789abcdef01234567\r
a=fingerprint:sha-256 \
00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:\
00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r
a=setup:actpass\r
a=mid:2\r
a=recvonly\r
a=rtpmap:111 opus/48000/2\r
m=video 9 UDP/TLS/RTP/SAVPF 96\r
c=IN IP4 0.0.0.0\r
a=rtcp-mux\r
a=ice-ufrag:abcd\r
a=ice-pwd:0123456789abcdef01234567\r
a=fingerprint:sha-256 \
00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:\
00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r
a=setup:actpass\r
a=mid:3\r
a=recvonly\r
a=rtpmap:96 VP8/90000\r
a=rtcp-fb:96 nack\r
a=rtcp-fb:96 nack pli\r
";

/// A participant's token by the key of a guarded bench.
pub(crate) fn participant_token(room: &str) -> String {
    let keys = Keys::parse(&format!("main: {SECRET}")).unwrap();
    let issued = Authority::new(keys).issue(&TokenRequest {
        room: RoomName::new(room).unwrap(),
        participant: None,
        spec: ParticipantSpec::default(),
        ttl: Duration::from_secs(3_600),
        room_config: None,
    });
    issued.unwrap().token
}

/// A node and a caller.
pub(crate) struct Bench {
    pub(crate) running: Running,
    pub(crate) channel: Channel,
    /// Shown with each call; empty: none.
    pub(crate) token: String,
}

impl Bench {
    /// In development mode: no token is needed.
    pub(crate) async fn open() -> Self {
        Self::start(config()).await
    }

    /// With a signing key; `test` names its file.
    pub(crate) async fn guarded(test: &str) -> Self {
        let name = format!("plenum-grpc-{test}-{}", std::process::id());
        let path: PathBuf = std::env::temp_dir().join(name);
        std::fs::write(&path, format!("main: {SECRET}\n")).unwrap();
        let keys_file = Some(path.clone());
        let bench = Self::start(Config {
            keys_file,
            ..config()
        })
        .await;
        std::fs::remove_file(path).unwrap();
        bench
    }

    pub(crate) async fn start(config: Config) -> Self {
        let running = Running::start(config).await.unwrap();
        let url = format!("http://{}", running.grpc);
        let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
        let token = String::new();
        Self {
            running,
            channel,
            token,
        }
    }

    /// The same node, by a token.
    pub(crate) fn show(&mut self, scopes: &[&str], rooms: &[&str]) {
        let keys = Keys::parse(&format!("main: {SECRET}")).unwrap();
        let own = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let hour = Duration::from_secs(3_600);
        let issued = Authority::new(keys).issue_backend(own(scopes), own(rooms), hour);
        self.token = issued.unwrap().token;
    }

    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if !self.token.is_empty() {
            let value = format!("Bearer {}", self.token).parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        request
    }

    /// Any method by its name: `RoomService/CreateRoom`.
    pub(crate) async fn call<Q, A>(&self, method: &str, message: Q) -> Result<A, Status>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        grpc.ready().await.unwrap();
        let path = format!("/plenum.v1.{method}").parse().unwrap();
        let codec = tonic_prost::ProstCodec::<Q, A>::default();
        let answer = grpc.unary(self.request(message), path, codec);
        answer.await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn create(&self, request: v1::CreateRoomRequest) -> Result<v1::Room, Status> {
        self.call("RoomService/CreateRoom", request).await
    }

    pub(crate) async fn get(&self, name: &str) -> Result<v1::Room, Status> {
        self.call(
            "RoomService/GetRoom",
            v1::GetRoomRequest { name: name.into() },
        )
        .await
    }

    pub(crate) async fn list(
        &self,
        request: v1::ListRoomsRequest,
    ) -> Result<v1::ListRoomsResponse, Status> {
        self.call("RoomService/ListRooms", request).await
    }

    pub(crate) async fn update(&self, room: v1::Room, mask: &[&str]) -> Result<v1::Room, Status> {
        let request = v1::UpdateRoomRequest {
            room: Some(room),
            update_mask: field_mask(mask),
            request_id: String::new(),
        };
        self.call("RoomService/UpdateRoom", request).await
    }

    pub(crate) async fn delete(&self, request: v1::DeleteRoomRequest) -> Result<(), Status> {
        self.call("RoomService/DeleteRoom", request).await
    }

    pub(crate) async fn issue(
        &self,
        request: v1::IssueTokenRequest,
    ) -> Result<v1::IssueTokenResponse, Status> {
        self.call("TokenService/IssueToken", request).await
    }

    pub(crate) async fn get_participant(&self, name: &str) -> Result<v1::Participant, Status> {
        self.call(
            "ParticipantService/GetParticipant",
            v1::GetParticipantRequest { name: name.into() },
        )
        .await
    }

    pub(crate) async fn participants(
        &self,
        request: v1::ListParticipantsRequest,
    ) -> Result<v1::ListParticipantsResponse, Status> {
        self.call("ParticipantService/ListParticipants", request)
            .await
    }

    pub(crate) async fn update_participant(
        &self,
        participant: v1::Participant,
        mask: &[&str],
    ) -> Result<v1::Participant, Status> {
        let request = v1::UpdateParticipantRequest {
            participant: Some(participant),
            update_mask: field_mask(mask),
            request_id: String::new(),
        };
        self.call("ParticipantService/UpdateParticipant", request)
            .await
    }

    pub(crate) async fn remove(&self, request: v1::RemoveParticipantRequest) -> Result<(), Status> {
        self.call("ParticipantService/RemoveParticipant", request)
            .await
    }

    /// Somebody comes in by the WebSocket's way.
    pub(crate) async fn join(&self, room: &str, participant: &str) -> Joined {
        let spec = ParticipantSpec::default();
        let joined = self.running.node.registry().join(JoinRequest {
            room: RoomName::new(room).unwrap(),
            participant: Some(ParticipantName::new(participant).unwrap()),
            spec,
            door: Door::WebSocket,
            missing_room: MissingRoom::Refuse,
            issued_at: None,
            token_id: None,
            resume_token: None,
        });
        joined.await.unwrap().inside().unwrap()
    }
}

pub(crate) fn field_mask(paths: &[&str]) -> Option<FieldMask> {
    let paths: Vec<_> = paths.iter().map(|&path| path.to_owned()).collect();
    (!paths.is_empty()).then_some(FieldMask { paths })
}

pub(crate) fn create(room_id: &str) -> v1::CreateRoomRequest {
    v1::CreateRoomRequest {
        room_id: room_id.into(),
        ..v1::CreateRoomRequest::default()
    }
}

pub(crate) fn with_config(room_id: &str, config: v1::RoomConfig) -> v1::CreateRoomRequest {
    v1::CreateRoomRequest {
        room: Some(v1::Room {
            config: Some(config),
            ..v1::Room::default()
        }),
        ..create(room_id)
    }
}

pub(crate) fn named(name: &str) -> v1::Room {
    v1::Room {
        name: name.into(),
        ..v1::Room::default()
    }
}

pub(crate) fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

/// The call was refused like this: code, reason, and the field where one is at fault.
pub(crate) async fn refused<T: std::fmt::Debug>(
    call: impl Future<Output = Result<T, Status>>,
    code: Code,
    reason: &str,
    field: &str,
) {
    let status = call.await.expect_err(reason);
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("{status:?}"));
    assert_eq!(
        (status.code(), info.reason.as_str()),
        (code, reason),
        "{status:?}"
    );
    assert_eq!(info.domain, "plenum");
    let violations = details.bad_request().map(|it| it.field_violations.clone());
    let at = violations.unwrap_or_default();
    let at = at.first().map(|violation| violation.field.as_str());
    assert_eq!(at.unwrap_or_default(), field, "{status:?}");
    assert!(status.message().contains(field), "{status:?}");
}

/// A message of `v1` by the fields it sets.
macro_rules! of {
    ($name:ident { $($field:ident: $value:expr),* }) => {
        v1::$name { $($field: $value.into(),)* ..v1::$name::default() }
    };
}
pub(crate) use of;

/// Refusals, one a row: the call, the code, the reason, the field at fault.
macro_rules! table {
    ($($call:expr => $code:ident $reason:literal at $field:expr;)*) => {
        $(crate::support::refused($call, tonic::Code::$code, $reason, $field).await;)*
    };
}
pub(crate) use table;

//! What stands around every call: reflection, the server about itself, silent connections.

use std::time::Duration;

use control_api::limits;
use proto::v1;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::support::{Bench, participant_token};

/// The services reflection tells of.
async fn reflected(bench: &Bench) -> Result<Vec<String>, tonic::Status> {
    let asked = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let asked = bench.request(futures_util::stream::iter([asked]));
    let mut client = ServerReflectionClient::new(bench.channel.clone());
    let answer = client.server_reflection_info(asked).await?;
    let answer = answer.into_inner().message().await?.unwrap();
    let response = answer.message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = response else {
        panic!("{response:?}");
    };
    let services = list.service.into_iter();
    Ok(services.map(|service| service.name).collect())
}

#[tokio::test]
async fn reflection_needs_a_backends_token_outside_development() {
    let bench = Bench::open().await;
    let services = reflected(&bench).await.unwrap();
    for service in ["plenum.v1.RoomService", "grpc.health.v1.Health"] {
        assert!(services.iter().any(|it| it == service), "{services:?}");
    }
    bench.running.end().await;

    let mut bench = Bench::guarded("reflection").await;
    let refused = reflected(&bench).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    bench.token = participant_token("standup");
    let refused = reflected(&bench).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);
    bench.show(&["rooms.read"], &[]);
    assert!(!reflected(&bench).await.unwrap().is_empty());
    bench.running.end().await;
}

#[tokio::test]
async fn the_server_tells_what_it_is_and_does() {
    let mut bench = Bench::guarded("info").await;
    bench.token = participant_token("standup");
    let asked = v1::GetServerInfoRequest {};
    let info: v1::ServerInfo = bench
        .call("ServerService/GetServerInfo", asked)
        .await
        .unwrap();
    assert_eq!(info.version, env!("CARGO_PKG_VERSION"));
    assert!(info.codecs.iter().any(|codec| codec == "video/VP8"));
    assert!(info.features.is_sorted() && info.features.iter().any(|it| it == "request_id"));
    let bound = i64::try_from(limits::GRPC_MESSAGE_BYTES).unwrap();
    assert_eq!(info.limits["grpc_message_bytes"], bound);
    assert_eq!(
        info.limits.len(),
        limits::ALL.len() + sfu::limits::ALL.len(),
        "no two bounds have one name"
    );
    bench.running.end().await;
}

#[tokio::test]
async fn whoever_does_not_greet_gives_the_place_back() {
    let bench = Bench::open().await;
    let mut greeting = TcpStream::connect(bench.running.grpc).await.unwrap();
    greeting.write_all(b"PRI * HTTP/2.0").await.unwrap();
    let mut other = TcpStream::connect(bench.running.grpc).await.unwrap();
    other
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    // Whoever speaks something else is gone at once, an unfinished greeting after its time.
    for (stream, at_most) in [
        (&mut other, Duration::from_secs(5)),
        (
            &mut greeting,
            limits::HTTP_HEADER_TIMEOUT + Duration::from_secs(5),
        ),
    ] {
        let read = timeout(at_most, stream.read(&mut [0; 1])).await;
        // Closed, or reset where something of it was not read.
        assert!(matches!(read, Ok(Ok(0) | Err(_))), "{read:?}");
    }
    bench.running.end().await;
}

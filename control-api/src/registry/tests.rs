//! Operations that meet: what one who waits for its turn finds when it comes.

use std::time::Duration;

use sfu::engine::{Engine, EngineConfig};
use sfu::transport::Identity;

use super::*;
use crate::clock::UnixTime;

/// Over one shard on loopback.
fn registry() -> Registry {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["plenum".to_owned()]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    let identity = Identity::new(certificate.der().to_vec(), key.serialize_der());
    let config = EngineConfig {
        udp: vec![([127, 0, 0, 1], 0).into()],
        shards: Some(1),
        ..EngineConfig::default()
    };
    let (engine, _events) = Engine::start(config, Arc::new(identity)).unwrap();
    Registry::new(engine)
}

fn room() -> RoomName {
    RoomName::new("standup").unwrap()
}

fn ada() -> ParticipantName {
    ParticipantName::new("ada").unwrap()
}

fn request(participant: Option<ParticipantName>, issued_at: Option<UnixTime>) -> JoinRequest {
    JoinRequest {
        room: room(),
        participant,
        spec: ParticipantSpec::default(),
        door: Door::WebSocket,
        missing_room: MissingRoom::Create(Box::default()),
        issued_at,
        token_id: None,
        resume_token: None,
    }
}

/// What becomes of a join that waits for its turn while `first` has it before.
async fn join_after<F>(first: impl FnOnce(Registry) -> F) -> Reason
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let registry = registry();
    let issued_at = Some(UnixTime::now());
    registry.join(request(Some(ada()), None)).await.unwrap();
    let (id, turn) = registry.enter(&room()).await.unwrap();
    let turnstile = Arc::clone(&registry.room(id).unwrap().turnstile);
    let first = tokio::spawn(first(registry.clone()));
    // Held here, by the one who has the turn, and by each who waits for it.
    let waiting = async |count: usize| {
        while Arc::strong_count(&turnstile) < 3 + count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    waiting(1).await;
    let this = registry.clone();
    let join = tokio::spawn(async move { this.join(request(Some(ada()), issued_at)).await });
    // One that is refused at once never waits.
    while !join.is_finished() && Arc::strong_count(&turnstile) < 5 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(turn);
    first.await.unwrap().unwrap();
    let refused = join.await.unwrap().unwrap_err().reason;
    registry.engine().shutdown().await;
    refused
}

#[tokio::test]
async fn a_token_from_before_a_removal_or_deletion_is_void_for_those_who_wait_at_the_door() {
    let refused = join_after(|registry| async move {
        registry
            .remove_participant(&room(), &ada(), None, None)
            .await
    });
    assert_eq!(refused.await, Reason::TokenRevoked);
    let refused =
        join_after(|registry| async move { registry.delete_room(&room(), None, None).await });
    assert_eq!(refused.await, Reason::RoomNotFound);
}

#[tokio::test]
async fn who_is_named_is_that_one_whatever_it_resumes() {
    let registry = registry();
    let lin = registry.join(request(None, None)).await.unwrap();
    let lin = lin.inside().unwrap();
    for (participant, expected) in [(Some(ada()), "ada"), (None, lin.view.name.as_str())] {
        let joined = registry.join(JoinRequest {
            resume_token: Some(lin.resume_token.clone()),
            ..request(participant, None)
        });
        let joined = joined.await.unwrap().inside().unwrap();
        assert_eq!(joined.view.name.as_str(), expected);
    }
    registry.engine().shutdown().await;
}

//! The engine on loopback: whole threads and sockets, no network beyond.

use std::future::Future as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::bundle::Headers;
use super::*;
use crate::error::DropReason;
use crate::id::{ParticipantId, RoomId};
use crate::sdp::fixtures;
use crate::shard::command::{
    Command, Negotiated, ParticipantParameters, Permissions, Reply, RoomParameters,
};

#[tokio::test]
async fn each_shard_has_a_port_and_answers_commands() {
    let engine = start(&["127.0.0.1:0", "[::1]:0"], 2);
    assert_eq!(engine.handle.shards(), 2);
    let mut ports: Vec<u16> = engine
        .handle
        .addresses()
        .iter()
        .map(|a| a[0].port())
        .collect();
    ports.dedup();
    assert_eq!(ports.len(), 2, "{ports:?}");
    for (shard, addresses) in engine.handle.addresses().iter().enumerate() {
        assert!(addresses.iter().all(|a| a.port() == addresses[0].port()));
        let reply = engine.handle.call(shard, Command::Inspect).await;
        match reply {
            Ok(Reply::Inspected(_)) | Err(CallError::Command(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    let refused = engine.handle.call(2, Command::Inspect).await;
    assert!(matches!(refused, Err(CallError::Command(_))), "{refused:?}");
    engine.handle.shutdown().await;
}

#[tokio::test]
async fn garbage_is_counted_by_reason_on_both_families_and_changes_nothing() {
    let engine = start(&["127.0.0.1:0", "[::1]:0"], 1);
    let mut sent = 0;
    for address in engine.handle.addresses()[0].clone() {
        let local: SocketAddr = if address.is_ipv4() {
            ([127, 0, 0, 1], 0).into()
        } else {
            "[::1]:0".parse().expect("address")
        };
        let socket = UdpSocket::bind(local).await.expect("a free port");
        for length in [1, 20, 1_200, 3_000] {
            // 0xff belongs to no protocol (RFC 7983 §7).
            let garbage = vec![0xff; length];
            socket.send_to(&garbage, address).await.expect("loopback");
            sent += 1;
        }
    }
    let inspected = engine
        .wait_for(|i| i.inspection.stats.datagrams_in == sent)
        .await;
    let stats = &inspected.inspection.stats;
    assert_eq!(stats.dropped.get(DropReason::Unclassified), sent);
    // 3,000 bytes count as what a datagram may have at most.
    assert_eq!(stats.bytes_in, 2 * (1 + 20 + 1_200 + 1_500));
    assert_eq!(inspected.io.datagrams_out, 0);
    assert_eq!(inspected.io.panics, 0);
    engine.handle.shutdown().await;
}

#[tokio::test]
async fn after_shutdown_callers_are_refused_at_once() {
    let engine = start(&["127.0.0.1:0"], 2);
    engine.handle.shutdown().await;
    engine.handle.shutdown().await;
    let late = engine.handle.call(0, Command::Inspect).await;
    assert_eq!(late.expect_err("the engine is down"), CallError::Closed);
}

#[tokio::test]
async fn an_engine_without_handles_ends_by_itself() {
    let Started { handle, mut news } = start(&["127.0.0.1:0"], 1);
    drop(handle);
    let end = tokio::time::timeout(Duration::from_secs(20), news[0].recv()).await;
    assert!(
        matches!(end, Ok(None)),
        "the shard's end of the channel goes with its thread"
    );
}

#[tokio::test]
async fn a_port_in_use_is_an_error_with_the_address_and_the_cure() {
    let taken = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let error = Engine::start(config(&[&address], 1), identity()).expect_err("taken");
    let text = error.to_string();
    assert!(text.contains(&address) && text.contains("--udp"), "{text}");
}

#[tokio::test]
async fn runs_leave_from_the_address_they_were_asked_at() {
    let receiver = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let remote = receiver.local_addr().expect("bound");
    let mut sockets =
        socket::Sockets::new(socket::bind(&config(&["0.0.0.0:0"], 1), 0).expect("a free port"))
            .expect("sockets");
    let local = sockets.local(0, Some([127, 0, 0, 9].into()));
    assert_eq!(local, sockets.local(0, Some([127, 0, 0, 9].into())));
    let mut outbox = crate::outbox::Outbox::new();
    let path = crate::path::Path { local, remote };
    for (fill, length) in [(1, 1_000), (2, 1_000), (3, 400)] {
        outbox.slot(path, 1_472).expect("room").fill(fill);
        outbox.commit(length);
    }
    assert_eq!(outbox.runs().count(), 1);
    let mut stats = IoStats::default();
    sockets.send(&outbox, &mut Headers::new(), &mut stats).await;
    assert_eq!(stats.datagrams_out, 3, "{stats:?}");
    // One call where the kernel cuts the run into datagrams itself.
    let calls = if sockets.gso().all(|gso| gso) { 1 } else { 3 };
    assert_eq!(stats.sends, calls, "{stats:?}");
    for (fill, length) in [(1, 1_000), (2, 1_000), (3, 400)] {
        let mut bytes = [0; 2_000];
        let (received, from) = receiver.recv_from(&mut bytes).await.expect("a datagram");
        assert_eq!(
            (received, bytes[0], from.ip().to_string()),
            (length, fill, "127.0.0.9".into())
        );
    }
}

#[tokio::test]
async fn one_call_carries_runs_to_many_and_one_that_is_refused_harms_no_other() {
    for (bound, source, anywhere) in [
        ("0.0.0.0:0", Some("127.0.0.9"), "127.0.0.1:0"),
        ("127.0.0.1:0", None, "127.0.0.1:0"),
        ("[::]:0", Some("::1"), "[::1]:0"),
    ] {
        let bound = socket::bind(&config(&[bound], 1), 0).expect("a free port");
        let mut sockets = socket::Sockets::new(bound).expect("sockets");
        if !sockets.gso().all(|gso| gso) {
            return;
        }
        let local = sockets.local(0, source.map(|ip| ip.parse().expect("an address")));
        let mut receivers = Vec::new();
        for _ in 0..3 {
            receivers.push(UdpSocket::bind(anywhere).await.expect("a free port"));
        }
        let mut remotes: Vec<SocketAddr> = receivers
            .iter()
            .map(|receiver| receiver.local_addr().expect("bound"))
            .collect();
        remotes.insert(1, anywhere.parse().expect("port 0, which nobody has"));
        let mut outbox = crate::outbox::Outbox::new();
        for &remote in &remotes {
            for length in [900, 900, 300] {
                let path = crate::path::Path { local, remote };
                outbox.slot(path, length).expect("room").fill(5);
                outbox.commit(length);
            }
        }
        let mut stats = IoStats::default();
        sockets.send(&outbox, &mut Headers::new(), &mut stats).await;
        assert_eq!(
            (stats.datagrams_out, stats.sends, stats.runs_split),
            (9, 3, 1),
            "{anywhere}: {stats:?}"
        );
        // One before the refused run, one behind it.
        assert_eq!(
            (stats.send_calls, stats.dropped_refused),
            (2, 3),
            "{stats:?}"
        );
        for receiver in &receivers {
            let mut bytes = [0; 2_000];
            for length in [900, 900, 300] {
                let (received, from) = receiver.recv_from(&mut bytes).await.expect("a datagram");
                assert_eq!((received, bytes[0]), (length, 5));
                let wanted = source.unwrap_or("127.0.0.1");
                assert_eq!(from.ip().to_string(), wanted);
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_counted_by_reason() {
    let mut sockets =
        socket::Sockets::new(socket::bind(&config(&["127.0.0.1:0"], 1), 0).expect("a free port"))
            .expect("sockets");
    let local = sockets.local(0, None);
    let nowhere = crate::path::LocalId(9_999);
    let mut outbox = crate::outbox::Outbox::new();
    for (local, remote) in [
        (local, SocketAddr::from(([127, 0, 0, 1], 0))),
        (nowhere, SocketAddr::from(([127, 0, 0, 1], 9))),
    ] {
        for _ in 0..2 {
            outbox
                .slot(crate::path::Path { local, remote }, 100)
                .expect("room")
                .fill(0);
            outbox.commit(100);
        }
    }
    let mut stats = IoStats::default();
    sockets.send(&outbox, &mut Headers::new(), &mut stats).await;
    assert_eq!(
        (stats.dropped_refused, stats.datagrams_out),
        (4, 0),
        "{stats:?}"
    );
}

#[tokio::test]
async fn the_deadline_timer_is_finer_than_a_millisecond() {
    let clock = Clock::start();
    let mut deadline = clock::Deadline::new(clock).expect("a timer");
    // The best of many tries: a busy machine may delay any one of them.
    let mut best = Duration::MAX;
    for _ in 0..50 {
        let asked = Duration::from_micros(300);
        let started = clock.now();
        deadline.set(Some(started + asked)).expect("a timer");
        deadline.passed().await;
        let took = clock.now().since(started);
        assert!(took >= asked, "{took:?}");
        best = best.min(took);
    }
    assert!(best < Duration::from_micros(900), "{best:?}");
}

#[tokio::test]
async fn the_answer_to_an_offer_can_be_read_before_the_offer_that_comes_after_it() {
    let mut engine = start(&["127.0.0.1:0"], 1);
    let room = RoomId(1);
    let parameters = RoomParameters::default();
    engine.call(Command::CreateRoom { room, parameters }).await;
    let everything = fixtures::offer("chromium-sendrecv");
    let mut sound = everything.clone();
    sound.sections.truncate(1);
    sound.bundle.truncate(1);
    // The publisher's pictures find no section in the offers of those who only ask for sound.
    engine.join(room, 1).await;
    engine.call(negotiate(room, 1, &everything)).await;
    for id in 2..40 {
        engine.join(room, id).await;
        let handle = engine.handle.clone();
        let mut reply = Box::pin(handle.call(0, negotiate(room, id, &sound)));
        let mut answered = None;
        loop {
            tokio::select! {
                biased;
                reply = &mut reply, if answered.is_none() => answered = Some(reply),
                event = engine.news[0].recv() => {
                    let Some(Event::Offer { participant, description, .. }) = event else {
                        continue;
                    };
                    if participant != ParticipantId(id) {
                        continue;
                    }
                    // The rule for doors: before news, look for the reply.
                    let reply = match answered.take() {
                        Some(reply) => reply,
                        None => std::future::poll_fn(|context| match reply.as_mut().poll(context) {
                            std::task::Poll::Ready(reply) => std::task::Poll::Ready(reply),
                            std::task::Poll::Pending => panic!("{id}: the offer overtook the answer"),
                        })
                        .await,
                    };
                    let Ok(Reply::Negotiated(Negotiated::Answer(answer))) = reply else {
                        panic!("{id}: no answer but {reply:?}");
                    };
                    assert!(answer.session_version < description.session_version);
                    break;
                }
            }
        }
    }
    engine.handle.shutdown().await;
}

fn negotiate(room: RoomId, id: u64, offer: &crate::sdp::Description) -> Command {
    Command::Negotiate {
        room,
        participant: ParticipantId(id),
        description: Box::new(offer.clone()),
    }
}

struct Started {
    handle: EngineHandle,
    news: Vec<mpsc::Receiver<Event>>,
}

impl Started {
    async fn call(&self, command: Command) {
        let reply = self.handle.call(0, command).await;
        assert!(reply.is_ok(), "{reply:?}");
    }

    async fn join(&self, room: RoomId, id: u64) {
        let parameters = ParticipantParameters {
            name: format!("p{id}"),
            permissions: Permissions::default(),
            subscribe_all: true,
            offers: true,
        };
        let participant = ParticipantId(id);
        self.call(Command::Join {
            room,
            participant,
            parameters,
        })
        .await;
    }

    async fn wait_for(&self, reached: impl Fn(&ShardInspection) -> bool) -> ShardInspection {
        let wait = async {
            loop {
                let mut inspections = self.handle.inspect().await.expect("the engine is up");
                let first = inspections.swap_remove(0);
                if reached(&first) {
                    return first;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let patience = Duration::from_secs(20);
        tokio::time::timeout(patience, wait).await.expect("in time")
    }
}

fn start(udp: &[&str], shards: usize) -> Started {
    let (handle, news) = Engine::start(config(udp, shards), identity()).expect("free ports");
    Started { handle, news }
}

fn config(udp: &[&str], shards: usize) -> EngineConfig {
    EngineConfig {
        udp: udp.iter().map(|text| text.parse().expect(text)).collect(),
        shards: Some(shards),
        ..EngineConfig::default()
    }
}

fn identity() -> Arc<Identity> {
    let drawn = rcgen::generate_simple_self_signed(Vec::new()).expect("a certificate");
    let key = drawn.signing_key.serialize_der();
    Arc::new(Identity::new(drawn.cert.der().to_vec(), key))
}

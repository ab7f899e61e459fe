//! A transport against a remote host made of the libraries, in virtual time.

use rand_chacha::rand_core::SeedableRng as _;

use super::support::{Host, Peer, identities};
use super::*;
use crate::limits::{CONSENT_TIMEOUT, HANDSHAKE_TIMEOUT};
use crate::path::LocalId;

const NOW: Instant = Instant::from_millis(1_000);

fn path(port: u16) -> Path {
    Path {
        local: LocalId(0),
        remote: format!("192.0.2.7:{port}").parse().unwrap(),
    }
}

fn transport() -> Transport {
    let (node, _) = identities();
    let shared = TransportShared::new(&node).unwrap();
    let mut rng = ChaCha20Rng::from_seed([9; 32]);
    Transport::new(&shared, 7, 1, NOW, &mut rng)
}

fn events(transport: &mut Transport) -> Vec<TransportEvent> {
    std::iter::from_fn(|| transport.poll_event()).collect()
}

fn connected(we_are_server: bool) -> (Transport, Host) {
    let mut transport = transport();
    let mut host = Host::new(&transport, path(1), we_are_server);
    transport.set_remote(NOW, host.parameters()).unwrap();
    host.connect(NOW, &mut transport);
    assert!(transport.is_connected());
    let expected = [
        TransportEvent::PathSelected(path(1)),
        TransportEvent::Connected,
    ];
    assert_eq!(events(&mut transport), expected);
    (transport, host)
}

fn rtp(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 96, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7, 1, 2, 3];
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet
}

#[test]
fn as_server_and_as_client_keys_fit_the_other_side_s() {
    for we_are_server in [true, false] {
        let (mut transport, mut host) = connected(we_are_server);
        let theirs = host.srtp.as_mut().unwrap();
        let mut slot = rtp(1);
        slot.resize(15 + SRTP_OVERHEAD, 0);
        let length = transport.seal_rtp(&mut slot, 15).unwrap();
        let opened = theirs.open_rtp(&mut slot[..length]).unwrap();
        assert_eq!(slot[..opened], rtp(1));
        let length = theirs.seal_rtp(&mut slot, 15).unwrap();
        let elsewhere = transport.open_rtp(NOW, path(2), &mut slot[..length]);
        assert_eq!(elsewhere, Err(DropReason::UnknownPath));
        let opened = transport
            .open_rtp(NOW, path(1), &mut slot[..length])
            .unwrap();
        assert_eq!(slot[..opened], rtp(1));
        let mut again = slot[..length].to_vec();
        assert!(transport.open_rtp(NOW, path(1), &mut again).is_err());
    }
}

#[test]
fn an_early_client_hello_is_kept_until_the_description_comes() {
    let mut transport = transport();
    let mut host = Host::new(&transport, path(1), true);
    // One good check, no nomination, no description yet.
    transport
        .handle_stun(NOW, path(1), &host.peer.check())
        .unwrap();
    host.exchange(NOW, &mut transport);
    assert!(host.srtp.is_some(), "the handshake has been answered");
    assert!(!transport.is_connected());
    let mut slot = rtp(1);
    slot.resize(15 + SRTP_OVERHEAD, 0);
    let length = host.srtp.as_mut().unwrap().seal_rtp(&mut slot, 15).unwrap();
    let opened = transport.open_rtp(NOW, path(1), &mut slot[..length]);
    assert_eq!(
        opened,
        Err(DropReason::NotReady),
        "nothing is opened before the fingerprint"
    );
    transport.set_remote(NOW, host.parameters()).unwrap();
    assert_eq!(events(&mut transport), [TransportEvent::Connected]);
    assert!(
        transport
            .open_rtp(NOW, path(1), &mut slot[..length])
            .is_ok()
    );
}

#[test]
fn a_wrong_fingerprint_ends_the_transport_before_anything_is_opened() {
    for early in [true, false] {
        let mut transport = transport();
        let mut host = Host::new(&transport, path(1), true);
        let mut parameters = host.parameters();
        parameters.fingerprints = vec![Fingerprint::Sha256([1; 32]), Fingerprint::Sha512([2; 64])];
        if early {
            transport
                .handle_stun(NOW, path(1), &host.peer.check())
                .unwrap();
            host.exchange(NOW, &mut transport);
        }
        transport.set_remote(NOW, parameters).unwrap();
        host.connect(NOW, &mut transport);
        assert!(!transport.is_connected());
        let news = events(&mut transport);
        assert!(
            news.contains(&TransportEvent::Failed(LeaveReason::TransportFailed)),
            "{news:?}"
        );
        assert!(!news.contains(&TransportEvent::Connected));
        assert!(transport.seal_rtp(&mut [0; 64], 15).is_err());
    }
}

#[test]
fn any_listed_strong_hash_will_do() {
    let mut transport = transport();
    let mut host = Host::new(&transport, path(1), true);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA384, &host.identity.certificate);
    let mut parameters = host.parameters();
    let sha384 = Fingerprint::Sha384(digest.as_ref().try_into().unwrap());
    parameters.fingerprints = vec![Fingerprint::Sha256([1; 32]), sha384];
    transport.set_remote(NOW, parameters).unwrap();
    host.connect(NOW, &mut transport);
    assert!(transport.is_connected());
}

#[test]
fn descriptions_are_refused_where_they_would_change_what_counts() {
    let (mut transport, host) = connected(true);
    assert!(transport.set_remote(NOW, host.parameters()).is_ok());
    let mut none = host.parameters();
    none.fingerprints.clear();
    let mut other = host.parameters();
    other.fingerprints = vec![Fingerprint::Sha256([1; 32])];
    let mut role = host.parameters();
    role.setup = Setup::Passive;
    for parameters in [none, other, role] {
        let refused = transport.set_remote(NOW, parameters);
        assert!(
            matches!(refused, Err(CommandError::Invalid { .. })),
            "{refused:?}"
        );
    }
    assert!(transport.is_connected());
}

/// Six kinds of spoofed records from an established or handshaking path.
fn spoofed() -> [Vec<u8>; 6] {
    let record = |kind: u8, epoch: u8, body: &[u8]| {
        let length = u8::try_from(body.len()).unwrap();
        let head = [kind, 0xFE, 0xFD, 0, epoch, 0, 0, 0, 0, 0, 99, 0, length];
        [&head, body].concat()
    };
    [
        record(21, 0, &[2, 40]),
        record(21, 0, &[1, 0]),
        record(21, 1, &[2; 40]),
        record(22, 0, &[1, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4]),
        record(23, 1, &[7; 60]),
        vec![22; 60],
    ]
}

#[test]
fn spoofed_records_end_no_established_transport() {
    let (mut transport, mut host) = connected(true);
    for round in 0..2_000_usize {
        let mut datagram = spoofed()[round % 6].clone();
        // Whatever becomes of it.
        transport
            .handle_dtls(NOW, path(1), &mut datagram)
            .unwrap_or_default();
        let strange = transport.handle_dtls(NOW, path(9), &mut datagram);
        assert_eq!(strange, Err(DropReason::UnknownPath));
    }
    assert!(transport.is_connected());
    assert_eq!(events(&mut transport), []);
    let theirs = host.srtp.as_mut().unwrap();
    let mut slot = rtp(1);
    slot.resize(15 + SRTP_OVERHEAD, 0);
    let length = theirs.seal_rtp(&mut slot, 15).unwrap();
    assert!(
        transport
            .open_rtp(NOW, path(1), &mut slot[..length])
            .is_ok()
    );
    transport.close(NOW);
    host.exchange(NOW, &mut transport);
    assert!(host.closed, "the library still works");
}

#[test]
fn spoofed_records_delay_a_handshake_by_three_seconds_at_most() {
    for kind in 0..6 {
        let mut transport = transport();
        let mut host = Host::new(&transport, path(1), true);
        transport.set_remote(NOW, host.parameters()).unwrap();
        transport
            .handle_stun(NOW, path(1), &host.peer.nomination())
            .unwrap();
        let mut now = NOW;
        while !transport.is_connected() && now.since(NOW) < Duration::from_secs(3) {
            for _ in 0..3 {
                let mut datagram = spoofed()[kind].clone();
                transport
                    .handle_dtls(now, path(1), &mut datagram)
                    .unwrap_or_default();
            }
            transport.handle_timeout(now);
            // One datagram each way at a time, junk between them.
            let mut out = [0; 1_472];
            if let Some((_, length)) = transport.poll_control(now, &mut out)
                && let Some(answer) = host.handle(&out[..length])
            {
                transport.handle_stun(now, path(1), &answer).unwrap();
            }
            for mut datagram in host.drain(now) {
                transport
                    .handle_dtls(now, path(1), &mut datagram)
                    .unwrap_or_default();
            }
            now += Duration::from_millis(20);
        }
        assert!(transport.is_connected(), "kind {kind}");
    }
}

#[test]
fn a_lossy_handshake_ends_well() {
    for lost in 0..12 {
        for we_are_server in [true, false] {
            let mut transport = transport();
            let mut host = Host::new(&transport, path(1), we_are_server);
            transport.set_remote(NOW, host.parameters()).unwrap();
            transport
                .handle_stun(NOW, path(1), &host.peer.nomination())
                .unwrap();
            let mut now = NOW;
            let mut count = 0;
            while !(transport.is_connected() && host.srtp.is_some())
                && now.since(NOW) < Duration::from_secs(8)
            {
                let mut out = [0; 1_472];
                while let Some((_, length)) = transport.poll_control(now, &mut out) {
                    count += 1;
                    if count != lost
                        && let Some(answer) = host.handle(&out[..length])
                    {
                        transport.handle_stun(now, path(1), &answer).unwrap();
                    }
                }
                for mut datagram in host.drain(now) {
                    count += 1;
                    if count != lost {
                        transport
                            .handle_dtls(now, path(1), &mut datagram)
                            .unwrap_or_default();
                    }
                }
                now += Duration::from_millis(10);
                transport.handle_timeout(now);
            }
            assert!(transport.is_connected(), "{lost} {we_are_server}");
        }
    }
}

#[test]
fn a_handshake_that_does_not_end_frees_everything_in_thirty_seconds() {
    let mut transport = transport();
    let mut host = Host::new(&transport, path(1), true);
    transport.set_remote(NOW, host.parameters()).unwrap();
    transport
        .handle_stun(NOW, path(1), &host.peer.nomination())
        .unwrap();
    let mut hello = host.drain(NOW).remove(0);
    transport.handle_dtls(NOW, path(1), &mut hello).unwrap();
    let mut now = NOW;
    while now < NOW + HANDSHAKE_TIMEOUT {
        now = transport
            .poll_timeout()
            .unwrap()
            .max(now + Duration::from_millis(1));
        transport
            .handle_stun(now, path(1), &host.peer.check())
            .unwrap();
        transport.handle_timeout(now);
        while transport.poll_control(now, &mut [0; 1_472]).is_some() {}
    }
    let news = events(&mut transport);
    assert_eq!(news, [TransportEvent::Failed(LeaveReason::TransportFailed)]);
}

#[test]
fn goodbye_is_heard_on_both_sides() {
    let (mut transport, mut host) = connected(true);
    host.dtls.close().unwrap();
    host.exchange(NOW, &mut transport);
    assert_eq!(
        events(&mut transport),
        [TransportEvent::Failed(LeaveReason::TransportFailed)]
    );
    assert!(!transport.is_connected());
    let (mut transport, mut host) = connected(false);
    transport.close(NOW);
    host.exchange(NOW, &mut transport);
    assert!(host.closed);
}

#[test]
fn silence_ends_sending_and_a_restart_brings_it_back() {
    let (mut transport, mut host) = connected(true);
    let mut now = NOW;
    while transport.selected_path().is_some() {
        now = transport.poll_timeout().unwrap();
        assert!(now <= NOW + CONSENT_TIMEOUT);
        transport.handle_timeout(now);
    }
    let expired = TransportEvent::Failed(LeaveReason::ConsentExpired);
    assert_eq!(events(&mut transport), [expired]);
    while transport.poll_control(now, &mut [0; 1_472]).is_some() {}
    let mut rng = ChaCha20Rng::from_seed([3; 32]);
    transport.restart_ice(now, &mut rng);
    host.peer = Peer::new(transport.local_credentials(), "peer2");
    host.path = path(5);
    transport.set_remote(now, host.parameters()).unwrap();
    host.connect(now, &mut transport);
    assert_eq!(
        events(&mut transport),
        [TransportEvent::PathSelected(path(5))]
    );
    assert!(transport.is_connected());
}

#[test]
fn strangers_hear_nothing() {
    let (mut transport, _) = connected(true);
    for first in 0..=255_u8 {
        let mut noise = vec![first; 60];
        assert!(transport.handle_stun(NOW, path(66), &noise).is_err());
        assert!(transport.handle_dtls(NOW, path(66), &mut noise).is_err());
        assert!(transport.open_rtp(NOW, path(66), &mut noise).is_err());
    }
    assert_eq!(transport.poll_control(NOW, &mut [0; 1_472]), None);
    assert!(!transport.paths().any(|known| known == path(66)));
}

#[test]
fn the_control_queue_is_bounded() {
    let (mut transport, host) = connected(true);
    for _ in 0..1_000 {
        transport
            .handle_stun(NOW, path(1), &host.peer.check())
            .unwrap();
    }
    let mut sent = 0;
    while transport.poll_control(NOW, &mut [0; 1_472]).is_some() {
        sent += 1;
    }
    assert_eq!(sent, CONTROL_QUEUE);
}

#[test]
fn an_unusable_key_is_refused_at_start() {
    let (node, _) = identities();
    let broken = Identity::new(node.certificate, vec![1, 2, 3]);
    assert!(TransportShared::new(&broken).is_err());
    let empty = Identity::new(Vec::new(), node.private_key);
    assert!(TransportShared::new(&empty).is_err());
}

#[test]
fn data_waits_for_dtls_and_then_begins() {
    for we_are_server in [true, false] {
        let mut transport = transport();
        let mut host = Host::new(&transport, path(1), we_are_server);
        transport.enable_data(NOW, 5_000);
        transport.set_remote(NOW, host.parameters()).unwrap();
        let reliability = Reliability {
            ordered: true,
            limit: ReliabilityLimit::Unlimited,
        };
        let early = transport.open_data(NOW, "a", "", reliability);
        assert_eq!(early, Err(CommandError::Closed));
        host.connect(NOW, &mut transport);
        // As DTLS client we begin with an INIT (chunk type 1), as server we wait for one.
        let first = host.data.first().and_then(|packet| packet.get(12).copied());
        assert_eq!(first, (!we_are_server).then_some(1));
        let stream = transport.open_data(NOW, "a", "", reliability).unwrap();
        assert_eq!(stream, u16::from(we_are_server));
        transport
            .send_data(NOW, stream, true, &Bytes::from_static(b"x"))
            .unwrap();
        let next = transport.next_transport_sequence();
        assert_eq!(transport.next_transport_sequence(), next.wrapping_add(1));
        assert!(transport.charged(BudgetClass::Control) > 0);
    }
}

#[test]
fn the_largest_sctp_packet_makes_one_datagram_that_fits() {
    let (mut transport, mut host) = connected(true);
    let packet = vec![5; 1_400];
    let progress = transport.dtls.send(NOW, &packet).unwrap();
    assert_eq!(progress.datagrams.len(), 1);
    assert!(progress.datagrams[0].len() <= crate::limits::PACKET_BYTES);
    host.handle(&progress.datagrams[0]);
    host.drain(NOW);
    assert_eq!(host.data, [packet]);
}

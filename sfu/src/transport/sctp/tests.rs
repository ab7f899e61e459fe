//! Two associations of ours, one begins, the other waits; in virtual time, without DTLS.

use super::*;
use crate::time::Duration;

const RELIABLE: Reliability = Reliability {
    ordered: true,
    limit: ReliabilityLimit::Unlimited,
};
const UNRELIABLE: Reliability = Reliability {
    ordered: false,
    limit: ReliabilityLimit::Retransmits(0),
};

/// The two ends and their clock.
struct Pair {
    begins: Sctp,
    waits: Sctp,
    now: std::time::Instant,
    packets: usize,
}

impl Pair {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "an anchor for virtual time")]
        let now = std::time::Instant::now();
        Self {
            begins: Sctp::new(PORT, true),
            waits: Sctp::new(PORT, false),
            now,
            packets: 0,
        }
    }

    fn connected() -> Self {
        let mut pair = Self::new();
        pair.run(|_| false);
        assert!(pair.begins.stage == Stage::Established && pair.waits.stage == Stage::Established);
        pair
    }

    /// Until both are silent, then whatever time brings within ten seconds. `lost` says which
    /// packet, by its number, does not arrive.
    fn run(&mut self, lost: impl Fn(usize) -> bool) {
        self.steps(1_000, lost);
    }

    /// So many steps of 10 ms.
    fn steps(&mut self, count: usize, lost: impl Fn(usize) -> bool) {
        for _ in 0..count {
            self.exchange(&lost);
            self.now += Duration::from_millis(10);
            self.begins.handle_timeout(self.now);
            self.waits.handle_timeout(self.now);
        }
    }

    fn exchange(&mut self, lost: impl Fn(usize) -> bool) {
        loop {
            let mut quiet = true;
            while let Some(packet) = self.begins.poll_packet(self.now) {
                quiet = false;
                self.packets += 1;
                // The library does not count the padding of small chunks it bundles.
                assert!(packet.len() <= 1_400, "{}", packet.len());
                if !lost(self.packets) {
                    self.waits
                        .handle(self.now, packet.to_vec())
                        .unwrap_or_default();
                }
            }
            while let Some(packet) = self.waits.poll_packet(self.now) {
                quiet = false;
                self.packets += 1;
                if !lost(self.packets) {
                    self.begins
                        .handle(self.now, packet.to_vec())
                        .unwrap_or_default();
                }
            }
            if quiet {
                return;
            }
        }
    }
}

fn events(sctp: &mut Sctp) -> Vec<TransportEvent> {
    std::iter::from_fn(|| sctp.poll_event()).collect()
}

fn messages(sctp: &mut Sctp) -> Vec<(bool, Bytes)> {
    events(sctp)
        .into_iter()
        .filter_map(|event| match event {
            TransportEvent::DataMessage { text, payload, .. } => Some((text, payload)),
            TransportEvent::Connected
            | TransportEvent::PathSelected(_)
            | TransportEvent::Failed(_)
            | TransportEvent::DataOpened { .. }
            | TransportEvent::DataClosed { .. } => None,
        })
        .collect()
}

#[test]
fn either_side_opens_channels_of_every_kind_with_label_and_protocol() {
    let mut pair = Pair::connected();
    let limits = [
        ReliabilityLimit::Unlimited,
        ReliabilityLimit::Retransmits(3),
        ReliabilityLimit::Lifetime(Duration::from_millis(500)),
    ];
    for (limit, ordered) in limits
        .into_iter()
        .flat_map(|limit| [(limit, true), (limit, false)])
    {
        let reliability = Reliability { ordered, limit };
        for we_begin in [true, false] {
            let (one, _) = if we_begin {
                (&mut pair.begins, &mut pair.waits)
            } else {
                (&mut pair.waits, &mut pair.begins)
            };
            let stream = one.open("tópico", "proto", reliability).unwrap();
            assert_eq!(stream.is_multiple_of(2), we_begin, "RFC 8832 §6");
            pair.exchange(|_| false);
            let opened = [TransportEvent::DataOpened {
                stream,
                label: "tópico".to_owned(),
                protocol: "proto".to_owned(),
                reliability,
            }];
            assert_eq!(events(&mut pair.begins), opened);
            assert_eq!(events(&mut pair.waits), opened);
        }
    }
}

#[test]
fn messages_sent_before_the_association_is_up_arrive_after_it() {
    let mut pair = Pair::new();
    let stream = pair.begins.open("early", "", RELIABLE).unwrap();
    pair.begins
        .send(stream, true, &Bytes::from_static(b"first"))
        .unwrap();
    pair.run(|_| false);
    assert_eq!(
        messages(&mut pair.waits),
        [(true, Bytes::from_static(b"first"))]
    );
}

#[test]
fn text_binary_and_empty_messages_keep_their_kind_and_bytes() {
    let mut pair = Pair::connected();
    let stream = pair.waits.open("a", "", RELIABLE).unwrap();
    pair.exchange(|_| false);
    events(&mut pair.begins);
    events(&mut pair.waits);
    let large: Bytes = (0..DATA_MESSAGE_BYTES)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect();
    let sent = [
        (true, Bytes::from_static("grüß".as_bytes())),
        (false, Bytes::from_static(&[0, 1, 2])),
        (true, Bytes::new()),
        (false, Bytes::new()),
        (false, large),
    ];
    for (text, payload) in &sent {
        pair.waits.send(stream, *text, payload).unwrap();
        pair.begins.send(stream, *text, payload).unwrap();
    }
    pair.run(|_| false);
    assert_eq!(messages(&mut pair.begins), sent);
    assert_eq!(messages(&mut pair.waits), sent);
    let too_large = Bytes::from(vec![0; DATA_MESSAGE_BYTES + 1]);
    assert_eq!(
        pair.waits.send(stream, false, &too_large),
        Err(DropReason::TooLarge)
    );
}

#[test]
fn a_reliable_channel_bears_loss_and_keeps_order() {
    let mut pair = Pair::connected();
    let stream = pair.waits.open("a", "", RELIABLE).unwrap();
    pair.exchange(|_| false);
    events(&mut pair.begins);
    let sent: Vec<_> = (0..200_u8)
        .map(|at| (false, Bytes::from(vec![at; 900])))
        .collect();
    for (text, payload) in &sent {
        pair.waits.send(stream, *text, payload).unwrap();
    }
    pair.run(|packet| packet % 7 == 3);
    assert_eq!(messages(&mut pair.begins), sent);
}

#[test]
fn a_full_backlog_drops_the_oldest_of_an_unreliable_channel() {
    let mut pair = Pair::connected();
    let stream = pair.waits.open("a", "", UNRELIABLE).unwrap();
    pair.exchange(|_| false);
    events(&mut pair.begins);
    // The receiver hears nothing meanwhile: nothing is pulled.
    for at in 0..300_u16 {
        let payload = Bytes::from([&at.to_be_bytes()[..], &[0; 9_998]].concat());
        pair.waits.send(stream, false, &payload).unwrap();
        assert!(pair.waits.backlog() <= DATA_BACKLOG_BYTES);
    }
    pair.run(|_| false);
    let got: Vec<_> = messages(&mut pair.begins)
        .into_iter()
        .map(|(_, payload)| u16::from_be_bytes([payload[0], payload[1]]))
        .collect();
    assert_eq!(got.len(), DATA_BACKLOG_BYTES / 10_000);
    assert_eq!(got.last(), Some(&299));
}

#[test]
fn a_full_backlog_closes_a_reliable_channel_and_says_why() {
    let mut pair = Pair::connected();
    let stream = pair.waits.open("a", "", RELIABLE).unwrap();
    let other = pair.waits.open("b", "", RELIABLE).unwrap();
    pair.exchange(|_| false);
    events(&mut pair.waits);
    events(&mut pair.begins);
    let payload = Bytes::from(vec![1; 100_000]);
    let refused = (0..20).find_map(|_| pair.waits.send(stream, false, &payload).err());
    assert_eq!(refused, Some(DropReason::QueueFull));
    let closed = TransportEvent::DataClosed {
        stream,
        reason: DataCloseReason::BacklogFull,
    };
    assert_eq!(events(&mut pair.waits), [closed]);
    pair.waits
        .send(other, true, &Bytes::from_static(b"still here"))
        .unwrap();
    pair.run(|_| false);
    let news = events(&mut pair.begins);
    let closed = TransportEvent::DataClosed {
        stream,
        reason: DataCloseReason::Closed,
    };
    assert!(news.contains(&closed), "{news:?}");
    assert!(news.iter().any(
        |event| matches!(event, TransportEvent::DataMessage { stream, .. } if *stream == other)
    ));
}

#[test]
fn either_side_closes_and_a_hundred_channels_come_and_go() {
    let mut pair = Pair::connected();
    for round in 0..100_u16 {
        let (one, other) = (&mut pair.begins, &mut pair.waits);
        let opener = if round % 2 == 0 { one } else { other };
        let stream = opener.open("x", "", RELIABLE).unwrap();
        pair.exchange(|_| false);
        let closer = if round % 3 == 0 {
            &mut pair.begins
        } else {
            &mut pair.waits
        };
        closer.close(stream);
        // The reset waits for the acknowledgement of what was sent, which may be delayed.
        pair.steps(50, |_| false);
        for end in [&mut pair.begins, &mut pair.waits] {
            let news = events(end);
            assert!(
                matches!(news.last(), Some(TransportEvent::DataClosed { .. })),
                "{round} {news:?}"
            );
            assert!(end.channels.is_empty());
        }
        assert!(stream < 4, "ids are used again: {stream}");
    }
}

#[test]
fn channels_are_bounded_on_both_sides() {
    let mut pair = Pair::connected();
    for _ in 0..DATA_CHANNELS_PER_TRANSPORT {
        pair.begins.open("x", "", RELIABLE).unwrap();
    }
    let refused = pair.begins.open("x", "", RELIABLE);
    assert!(matches!(refused, Err(CommandError::LimitReached { .. })));
    pair.run(|_| false);
    assert!(matches!(
        pair.waits.open("x", "", RELIABLE),
        Err(CommandError::LimitReached { .. })
    ));
    assert_eq!(pair.waits.channels.len(), DATA_CHANNELS_PER_TRANSPORT);
    let long = "x".repeat(DATA_LABEL_BYTES + 1);
    assert!(pair.begins.open(&long, "", RELIABLE).is_err());
}

#[test]
fn a_channel_with_the_wrong_parity_or_a_long_label_is_closed() {
    for (stream, label) in [(3, 1), (2_000, 1), (4, DATA_LABEL_BYTES + 1)] {
        let mut pair = Pair::connected();
        let open = dcep::Open {
            label: "x".repeat(label),
            protocol: String::new(),
            reliability: RELIABLE,
        };
        let (_, association) = pair.begins.association.as_mut().unwrap();
        // The association itself refuses stream ids beyond what was negotiated.
        if let Ok(mut stream) = association.open_stream(stream, Ppid::Dcep) {
            stream
                .write_sctp(&Bytes::from(open.encode()), Ppid::Dcep)
                .unwrap();
        }
        pair.begins.dirty = true;
        pair.run(|_| false);
        assert_eq!(events(&mut pair.waits), [], "{stream}");
        assert!(pair.waits.channels.is_empty());
        assert!(pair.waits.stage == Stage::Established);
    }
}

#[test]
fn when_both_begin_the_other_side_s_association_is_taken() {
    let mut pair = Pair::new();
    pair.waits = Sctp::new(PORT, true);
    // A browser's stack answers our INIT and keeps its own; here it does not even hear ours.
    let lost = pair.waits.poll_packet(pair.now);
    assert!(lost.is_some());
    pair.run(|_| false);
    assert!(pair.begins.stage == Stage::Established && pair.waits.stage == Stage::Established);
}

#[test]
fn noise_changes_nothing() {
    let mut pair = Pair::connected();
    for length in 0..200 {
        for fill in [0, 1, 0x80, 0xFF] {
            let noise = vec![fill; length];
            assert!(pair.waits.handle(pair.now, noise).is_err());
        }
    }
    assert!(pair.waits.stage == Stage::Established);
}

#[test]
fn an_init_out_of_place_changes_nothing_and_inits_are_bounded() {
    let init = || {
        let mut other = Sctp::new(PORT, true);
        #[expect(clippy::disallowed_methods, reason = "an anchor for virtual time")]
        let packet = other
            .poll_packet(std::time::Instant::now())
            .unwrap()
            .to_vec();
        assert_eq!(packet[12], CHUNK_INIT);
        packet
    };
    let mut pair = Pair::connected();
    let stream = pair.begins.open("x", "", RELIABLE).unwrap();
    pair.exchange(|_| false);
    for _ in 0..3 {
        let late = pair.waits.handle(pair.now, init());
        assert_eq!(late, Err(DropReason::SctpRejected));
    }
    pair.begins
        .send(stream, true, &Bytes::from_static(b"x"))
        .unwrap();
    pair.exchange(|_| false);
    assert_eq!(messages(&mut pair.waits).len(), 1);
    let mut fresh = Sctp::new(PORT, false);
    let taken = (0..50)
        .filter(|_| fresh.handle(pair.now, init()).is_ok())
        .count();
    assert_eq!(taken, ASSOCIATIONS);
}

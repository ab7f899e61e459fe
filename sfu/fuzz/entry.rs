//! What is done with fuzzed bytes: the same functions for the fuzz targets and for the test that
//! replays the corpus (`sfu/tests/corpus.rs`).
//!
//! Each parses, walks everything that came out, and where there is a writer writes it again and
//! compares. A panic is the finding. `route` (one room) and `datagram` (a whole shard) run the bytes
//! as a program.

#[path = "datagram.rs"]
mod datagram;
#[path = "descriptor.rs"]
mod descriptor;
#[path = "program.rs"]
mod program;
#[path = "route.rs"]
mod route;

use std::collections::BTreeSet;

pub(crate) use datagram::datagram;
pub(crate) use descriptor::dependency_descriptor;
pub(crate) use route::route;

use sfu::id::{Mid, Rid};
use sfu::limits::RED_BLOCKS;
use sfu::sdp::description::{Direction, SdpType};
use sfu::sdp::{negotiate, parse, write};
use sfu::time::Instant;
use sfu::wire::demux::classify;
use sfu::wire::extension::{Extension, ExtensionMap, ExtensionValues};
use sfu::wire::feedback::Feedback;
use sfu::wire::payload::red::Red;
use sfu::wire::payload::{self, Codec, vp8, vp9};
use sfu::wire::port::PortMessage;
use sfu::wire::rtcp::{CompoundWriter, RtcpPacket, SenderReport, packets};
use sfu::wire::rtp::{self as wire_rtp, RtpPacket};
use sfu::wire::stun as wire_stun;
use sfu::wire::twcc::{TransportFeedback, TransportFeedbackWriter};

/// An entry.
pub(crate) type Entry = fn(&[u8]);

/// All of them, by the name of the target.
pub(crate) const ALL: &[(&str, Entry)] = &[
    ("stun", stun),
    ("rtp", rtp),
    ("extension", extension),
    ("dependency_descriptor", dependency_descriptor),
    ("rtcp", rtcp),
    ("twcc", twcc),
    ("payload", payload),
    ("port", port),
    ("sdp", sdp),
    ("route", route),
    ("datagram", datagram),
];

/// A datagram: what class, and a STUN message.
pub(crate) fn stun(bytes: &[u8]) {
    let _ = classify(bytes);
    let Ok(message) = wire_stun::Message::parse(bytes) else {
        return;
    };
    let key = wire_stun::IntegrityKey::new(b"passwordpasswordpassword");
    let _ = message.verify(&key);
    let mut out = [0; 2_000];
    let mut writer = wire_stun::Writer::new(&mut out, message.class(), message.transaction());
    if let Some(username) = message.username() {
        writer.username(username);
    }
    if let Some(priority) = message.priority() {
        writer.priority(priority);
    }
    if message.use_candidate() {
        writer.use_candidate();
    }
    if let Some(role) = message.role() {
        writer.role(role);
    }
    if let Some(address) = message.mapped_address() {
        writer.mapped_address(address);
    }
    let Some(len) = writer.finish(&key) else {
        return;
    };
    let again = wire_stun::Message::parse(&out[..len]).expect("what is written parses");
    assert!(again.verify(&key));
    assert!(again.has_fingerprint());
    assert_eq!(again.class(), message.class());
    assert_eq!(again.transaction(), message.transaction());
    assert_eq!(again.username(), message.username());
    assert_eq!(again.priority(), message.priority());
    assert_eq!(again.use_candidate(), message.use_candidate());
    assert_eq!(again.role(), message.role());
    assert_eq!(again.mapped_address(), message.mapped_address());
}

/// An RTP packet.
pub(crate) fn rtp(bytes: &[u8]) {
    let Ok(packet) = RtpPacket::parse(bytes) else {
        return;
    };
    assert_eq!(wire_rtp::header_bytes(bytes), Ok(packet.header_bytes()));
    let parts = packet.header_bytes() + packet.payload().len() + packet.padding();
    assert_eq!(parts, bytes.len());
    assert!(packet.csrcs().count() <= 15);
    for (id, value) in packet.extensions() {
        assert!(id != 0 && value.len() <= 255);
    }
    let mut out = [0; 600];
    let (values, map) = (ExtensionValues::default(), ExtensionMap::default());
    let len = packet
        .header()
        .write(&values, &map, &mut out)
        .expect("there is room");
    let again = RtpPacket::parse(&out[..len]).expect("what is written parses");
    assert_eq!(again.header(), packet.header());
    let target = len + usize::from(packet.sequence() % 300);
    if wire_rtp::pad(&mut out, len, target) {
        let padded = RtpPacket::parse(&out[..target]).expect("padding is well formed");
        assert_eq!(
            (padded.header(), padded.padding()),
            (packet.header(), target - len)
        );
    }
}

/// Nine ids, then an RTP packet.
pub(crate) fn extension(bytes: &[u8]) {
    let Some((ids, bytes)) = bytes.split_first_chunk::<9>() else {
        return;
    };
    let mut map = ExtensionMap::default();
    for (extension, id) in Extension::ALL.into_iter().zip(*ids) {
        map.set(extension, id);
    }
    for extension in Extension::ALL {
        assert!(
            map.id(extension)
                .is_none_or(|id| map.extension(id) == Some(extension))
        );
    }
    let Ok(packet) = RtpPacket::parse(bytes) else {
        return;
    };
    let values = ExtensionValues::read(&packet, &map);
    for text in [
        values.mid.as_ref().map(Mid::as_str),
        values.rid.as_ref().map(Rid::as_str),
    ] {
        assert!(text.is_none_or(|text| !text.is_empty() && text.len() <= 16));
    }
    let mut out = [0; 400];
    let len = packet
        .header()
        .write(&values, &map, &mut out)
        .expect("there is room");
    let again = RtpPacket::parse(&out[..len]).expect("what is written parses");
    assert_eq!(again.header(), packet.header());
    assert_eq!(ExtensionValues::read(&again, &map), values);
    assert!(again.payload().is_empty());
}

/// An RTCP compound.
pub(crate) fn rtcp(bytes: &[u8]) {
    let mut out = [0; 4_000];
    for packet in packets(bytes).flatten() {
        let mut writer = CompoundWriter::new(&mut out);
        match packet {
            RtcpPacket::SenderReport { .. } | RtcpPacket::ReceiverReport { .. } => {
                report(packet, &mut out);
            }
            RtcpPacket::Sdes(sdes) => {
                for (ssrc, name) in sdes.cnames() {
                    let mut writer = CompoundWriter::new(&mut out);
                    assert!(writer.sdes_cname(ssrc, name));
                    let len = writer.len();
                    let RtcpPacket::Sdes(again) = one(&out[..len]) else {
                        panic!("{packet:?}");
                    };
                    assert!(again.cnames().eq([(ssrc, name)]));
                }
            }
            RtcpPacket::Bye(ssrcs) => {
                let ssrcs: Vec<_> = ssrcs.collect();
                assert!(writer.bye(&ssrcs));
                let len = writer.len();
                let RtcpPacket::Bye(again) = one(&out[..len]) else {
                    panic!("{packet:?}");
                };
                assert!(again.eq(ssrcs));
            }
            RtcpPacket::Feedback(told) => feedback(told, &mut out),
            RtcpPacket::Unknown { packet_type } => assert!(!(205..=206).contains(&packet_type)),
        }
    }
}

fn one(compound: &[u8]) -> RtcpPacket<'_> {
    let mut all = packets(compound);
    let first = all
        .next()
        .expect("a packet was written")
        .expect("what is written parses");
    assert!(all.next().is_none());
    first
}

fn report(told: RtcpPacket<'_>, out: &mut [u8]) {
    let mut writer = CompoundWriter::new(out);
    if let RtcpPacket::SenderReport {
        ssrc,
        ntp,
        rtp,
        packets,
        bytes,
        reports,
    } = told
    {
        let sender = SenderReport {
            ssrc,
            ntp,
            rtp,
            packets,
            bytes,
        };
        assert!(writer.sender_report(&sender, &reports.collect::<Vec<_>>()));
        let len = writer.len();
        let RtcpPacket::SenderReport {
            ntp: again,
            reports: same,
            ..
        } = one(&out[..len])
        else {
            panic!("{told:?}");
        };
        assert_eq!(again, ntp);
        assert!(same.eq(reports));
    } else if let RtcpPacket::ReceiverReport { ssrc, reports } = told {
        assert!(writer.receiver_report(ssrc, &reports.collect::<Vec<_>>()));
        let len = writer.len();
        let RtcpPacket::ReceiverReport {
            ssrc: again,
            reports: same,
        } = one(&out[..len])
        else {
            panic!("{told:?}");
        };
        assert_eq!(again, ssrc);
        assert!(same.eq(reports));
    }
}

fn feedback(told: Feedback<'_>, out: &mut [u8]) {
    let mut writer = CompoundWriter::new(out);
    match told {
        Feedback::Nack {
            sender,
            media,
            sequences,
        } => {
            let asked: Vec<u16> = sequences.take(2_000).collect();
            if writer.nack(sender, media, &asked) {
                let len = writer.len();
                let RtcpPacket::Feedback(Feedback::Nack { sequences, .. }) = one(&out[..len])
                else {
                    panic!("{told:?}");
                };
                let asked: BTreeSet<u16> = asked.into_iter().collect();
                assert_eq!(sequences.collect::<BTreeSet<u16>>(), asked);
            }
        }
        Feedback::Pli { sender, media } => {
            assert!(writer.pli(sender, media));
            let len = writer.len();
            assert!(matches!(
                one(&out[..len]),
                RtcpPacket::Feedback(Feedback::Pli { .. })
            ));
        }
        Feedback::Fir { sender, entries } => {
            for (media, number) in entries {
                let mut writer = CompoundWriter::new(out);
                assert!(writer.fir(sender, media, number));
                let len = writer.len();
                let RtcpPacket::Feedback(Feedback::Fir { mut entries, .. }) = one(&out[..len])
                else {
                    panic!("{told:?}");
                };
                assert_eq!(entries.next(), Some((media, number)));
            }
        }
        Feedback::Remb {
            sender,
            bitrate,
            ssrcs,
        } => {
            let ssrcs: Vec<u32> = ssrcs.collect();
            assert!(writer.remb(sender, bitrate, &ssrcs));
            let len = writer.len();
            let RtcpPacket::Feedback(Feedback::Remb {
                bitrate: again,
                ssrcs: same,
                ..
            }) = one(&out[..len])
            else {
                panic!("{told:?}");
            };
            // No limit at all becomes the most that can be written.
            assert!(again == bitrate || bitrate == sfu::units::Bitrate::UNLIMITED);
            assert!(same.eq(ssrcs));
        }
        Feedback::TransportWide(feedback) => transport_feedback(&feedback),
        Feedback::Control(feedback) => {
            let reports: Vec<_> = feedback.iter().collect();
            // Each takes a half word of what was read, and the same bytes say the same.
            assert!(reports.len() <= 2 * usize::from(u16::MAX));
            assert!(feedback.iter().eq(reports.iter().copied()));
        }
        Feedback::Unknown => {}
    }
}

/// The body of a transport-wide feedback; then the same bytes as arrivals to be written.
pub(crate) fn twcc(bytes: &[u8]) {
    if let Ok(feedback) = TransportFeedback::parse(bytes) {
        transport_feedback(&feedback);
    }
    let mut at = 1_u64 << 30;
    let arrivals: Vec<Option<u64>> = bytes
        .iter()
        .map(|&byte| {
            // Small steps, then large ones, then back, then what is lost.
            at = match byte {
                0..=127 => at + u64::from(byte) * 97,
                128..=191 => at + u64::from(byte) * 40_000,
                192..=223 => at.saturating_sub(u64::from(byte) * 20_000),
                224.. => return None,
            };
            Some(at)
        })
        .collect();
    write_feedback(
        u16::from(bytes.first().copied().unwrap_or(0)) << 8,
        &arrivals,
    );
}

fn transport_feedback(feedback: &TransportFeedback<'_>) {
    // Its 24 bits as an unsigned number: the writer's clock does not run below zero.
    let reference = i64::from(feedback.reference_time() & 0x00FF_FFFF) * 64_000;
    let mut sequence = feedback.base_sequence();
    let mut arrivals = Vec::new();
    for (told, arrival) in feedback {
        assert_eq!(told, sequence);
        sequence = sequence.wrapping_add(1);
        let at = arrival.map(|arrival| reference + arrival);
        // Before the reference's start the writer would count another one.
        arrivals.push(at.and_then(|at| u64::try_from(at).ok()));
    }
    assert_eq!(arrivals.len(), usize::from(feedback.packet_count()));
    write_feedback(feedback.base_sequence(), &arrivals);
}

/// Writes the arrivals in as many packets as it takes and reads them back.
fn write_feedback(base: u16, arrivals: &[Option<u64>]) {
    let mut base = base;
    let mut rest = arrivals;
    let writer = TransportFeedbackWriter {
        sender: 1,
        media: 2,
        feedback_count: 3,
    };
    let room = 100 + usize::from(base % 1_000);
    let mut out = [0; 1_200];
    loop {
        let given = rest.iter().map(|at| at.map(Instant::from_micros));
        let Some(written) = writer.write(base, given, &mut out[..room]) else {
            // More is missing at the front than a packet tells of, or nothing arrived.
            let missing = rest.iter().take_while(|at| at.is_none()).count();
            assert!(
                missing == rest.len() || missing > 100,
                "{missing} of {}",
                rest.len()
            );
            return;
        };
        let packet = one(&out[..written.bytes]);
        let RtcpPacket::Feedback(Feedback::TransportWide(feedback)) = packet else {
            panic!("{packet:?}");
        };
        assert_eq!(feedback.packet_count(), written.packets);
        let reference = i64::from(feedback.reference_time() & 0x00FF_FFFF) * 64_000;
        for ((sequence, got), given) in feedback.iter().zip(rest) {
            assert_eq!(sequence, base);
            let got = got.map(|got| reference + got);
            // The reference time wraps at 24 bits.
            let given = given.map(|at| (at / 250 * 250) as i64);
            let lap = 64_000 << 24;
            assert_eq!(
                got.map(|at| at.rem_euclid(lap)),
                given.map(|at| at.rem_euclid(lap))
            );
            base = base.wrapping_add(1);
        }
        rest = &rest[usize::from(written.packets)..];
    }
}

/// A byte that chooses the codec, three with numbers to rewrite, then a payload.
pub(crate) fn payload(bytes: &[u8]) {
    let Some(([choice, high, low, tl0], bytes)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    let codec = Codec::ALL[usize::from(*choice) % Codec::ALL.len()];
    let facts = payload::describe(codec, bytes);
    assert!(!facts.keyframe || facts.starts_frame);
    assert!(facts.layer.spatial < 8 && facts.layer.temporal < 8);
    if codec == Codec::Red
        && let Ok(red) = Red::parse(bytes)
    {
        let mut out = vec![0; bytes.len()];
        let written = red.write(&mut out).expect("it was no longer");
        assert_eq!(written, red.bytes());
        assert_eq!(Red::parse(&out[..written]).as_ref(), Ok(&red));
        assert!(red.redundant.len() == RED_BLOCKS || out[..written] == *bytes);
    }
    let picture_id = u16::from_be_bytes([*high, *low]);
    let mut rewritten = bytes.to_vec();
    if codec == Codec::Vp8 && vp8::rewrite(&mut rewritten, Some(picture_id), Some(*tl0)) {
        let mut descriptor = vp8::Descriptor::parse(bytes).expect("it was rewritten");
        let again = vp8::Descriptor::parse(&rewritten).expect("it was written");
        if let Some(id) = &mut descriptor.picture_id {
            id.value = picture_id & if id.long { 0x7FFF } else { 0x7F };
        }
        descriptor.tl0_index = Some(*tl0);
        assert_eq!(again, descriptor);
        assert_eq!(rewritten[again.bytes..], bytes[again.bytes..]);
        assert_eq!(payload::describe(codec, &rewritten), facts);
    }
    if codec == Codec::Vp9 && vp9::rewrite(&mut rewritten, Some(picture_id), None) {
        let mut descriptor = vp9::Descriptor::parse(bytes).expect("it was rewritten");
        let again = vp9::Descriptor::parse(&rewritten).expect("it was written");
        if let Some(id) = &mut descriptor.picture_id {
            id.value = picture_id & if id.long { 0x7FFF } else { 0x7F };
        }
        assert_eq!(again, descriptor);
        assert_eq!(rewritten[again.bytes..], bytes[again.bytes..]);
        assert_eq!(payload::describe(codec, &rewritten), facts);
    }
}

/// A message of a port: what decodes has exactly these bytes.
pub(crate) fn port(bytes: &[u8]) {
    let Ok(message) = PortMessage::decode(bytes) else {
        return;
    };
    let mut out = [0; 2_000];
    let len = message
        .encode(&mut out)
        .expect("what is read can be written");
    assert_eq!(&out[..len], bytes);
}

/// A byte that chooses offer or answer, then the text of a description.
pub(crate) fn sdp(bytes: &[u8]) {
    let Some((choice, text)) = bytes.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let sdp_type = if choice % 2 == 0 {
        SdpType::Offer
    } else {
        SdpType::Answer
    };
    let Ok(description) = parse(sdp_type, text) else {
        return;
    };
    assert!(description.sections.len() <= sfu::limits::SECTIONS_PER_TRANSPORT);
    for section in &description.sections {
        drop(negotiate::names_offered(section));
        assert!(negotiate::reject(section).rejected);
        if let Some(plan) = negotiate::plan(section, &Codec::ALL) {
            drop(negotiate::describe(&plan, Direction::SendRecv));
            drop(negotiate::plan_answered(&plan, section));
        }
    }
    // What is written is a normal form: read and written again, it stays.
    let written = write(&description);
    if let Ok(again) = parse(sdp_type, &written) {
        assert_eq!(write(&again), written);
    }
}

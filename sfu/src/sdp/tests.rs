//! Descriptions against real browsers' offers, and against harm.

use super::description::{Direction, Extmap, SdpType, SectionDescription, SectionKind, Setup};
use super::fixtures::{self, Chance, offer, text};
use super::negotiate::{self, MediaPlan};
use super::numbers::Numbers;
use super::{Description, parse, write};
use crate::id::Mid;
use crate::limits;
use crate::units::MediaKind;
use crate::wire::extension::Extension;
use crate::wire::payload::{Codec, Format};

const AUDIO: SectionKind = SectionKind::Media(MediaKind::Audio);
const VIDEO: SectionKind = SectionKind::Media(MediaKind::Video);

#[test]
fn every_m_line_of_a_browser_is_understood() {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    let table: &[(&str, &[(SectionKind, Direction)])] = &[
        ("chromium-sendrecv", &[(AUDIO, SendRecv), (VIDEO, SendRecv)]),
        ("firefox-sendrecv", &[(AUDIO, SendRecv), (VIDEO, SendRecv)]),
        ("chromium-recvonly", &[(AUDIO, RecvOnly), (VIDEO, RecvOnly)]),
        ("firefox-recvonly", &[(AUDIO, RecvOnly), (VIDEO, RecvOnly)]),
        (
            "chromium-simulcast",
            &[(AUDIO, SendOnly), (VIDEO, SendOnly)],
        ),
        ("firefox-simulcast", &[(AUDIO, SendOnly), (VIDEO, SendOnly)]),
        ("chromium-screen", &[(VIDEO, SendOnly)]),
        ("firefox-screen", &[(VIDEO, SendOnly)]),
        ("chromium-data", &[(SectionKind::Data, SendRecv)]),
        ("firefox-data", &[(SectionKind::Data, SendRecv)]),
    ];
    for (name, expected) in table {
        let offer = offer(name);
        let found: Vec<_> = offer
            .sections
            .iter()
            .map(|one| (one.kind, one.direction))
            .collect();
        assert_eq!(&found, expected, "{name}");
        assert_eq!(offer.bundle.len(), offer.sections.len(), "{name}");
        for section in &offer.sections {
            assert!(section.ice.is_some(), "{name}: ICE");
            assert_eq!(section.fingerprints.len(), 1, "{name}: fingerprint");
            assert_eq!(section.setup, Some(Setup::ActPass), "{name}");
        }
    }
    let kinds: Vec<_> = offer("chromium-everything")
        .sections
        .iter()
        .map(|one| one.direction)
        .collect();
    assert_eq!(kinds, [SendRecv, SendRecv, RecvOnly, Inactive, SendRecv]);
}

#[test]
fn only_candidates_that_can_be_used_are_kept() {
    let chromium = offer("chromium-everything");
    let addresses: Vec<_> = chromium.sections[0]
        .candidates
        .iter()
        .map(|one| one.address.ip())
        .collect();
    // Four UDP host candidates; the four TCP ones are left out.
    assert_eq!(addresses.len(), 4);
    // Firefox hides its addresses behind .local names.
    assert_eq!(offer("firefox-sendrecv").sections[0].candidates, []);
}

#[test]
fn what_is_written_reads_back_the_same() {
    for (name, text) in fixtures::ALL {
        let read = without_lines(parse(SdpType::Offer, text).unwrap());
        let again = without_lines(parse(SdpType::Offer, &write(&read)).unwrap());
        assert!(read == again, "{name}");
        // LF alone is as good.
        let unix = without_lines(parse(SdpType::Offer, &text.replace("\r\n", "\n")).unwrap());
        assert!(read == unix, "{name}: LF");
    }
}

#[test]
fn session_attributes_hold_for_each_m_line() {
    let fixture = text("firefox-sendrecv");
    let session = fixture.replacen("a=sendrecv", "a=recvonly", 1);
    // The m-lines' own direction counts, the session's fills in.
    let cut = session.replace("a=sendrecv\r\n", "");
    assert_eq!(
        parse(SdpType::Offer, &session).unwrap().sections[0].direction,
        Direction::SendRecv
    );
    assert_eq!(
        parse(SdpType::Offer, &cut).unwrap().sections[0].direction,
        Direction::RecvOnly
    );
}

/// What is replaced by what, the line at fault before that, and a part of the reason.
const BROKEN: &[(&str, &str, &str, &str)] = &[
    ("v=0", "v=1", "v=0", "`v=0`"),
    ("m=audio ", "m=audio", "m=audio", "m= wants"),
    ("a=mid:0", "a=mid:", "a=mid:0", "1 to 16"),
    ("a=mid:1", "a=mid:0", "m=video", "each wants its own"),
    (
        "a=group:BUNDLE 0 1",
        "a=group:BUNDLE 0 7",
        "BUNDLE",
        "no m-line",
    ),
    ("a=setup:actpass", "a=setup:holdconn", "a=setup", "actpass"),
    ("a=ice-ufrag:", "a=ice-ufrag:a ", "a=ice-ufrag", "4 to 256"),
    ("a=ice-pwd:", "a=ice-pwd-not:", "m=audio", "a=ice-pwd"),
    (
        "a=rtpmap:111 opus/48000/2",
        "a=rtpmap:111 opus",
        "opus/",
        "a=rtpmap wants",
    ),
    (
        "a=extmap:1 urn",
        "a=extmap:urn",
        "a=extmap:1 urn",
        "a=extmap wants",
    ),
    (
        "a=fingerprint:sha-256 ",
        "a=fingerprint:sha-256 0",
        "a=fingerprint",
        "32 bytes",
    ),
    (
        "a=fingerprint:sha-256 ",
        "a=fingerprint:sha-1 ",
        "a=fingerprint",
        "not trusted",
    ),
    ("s=-", "s", "s=-", "<letter>=<value>"),
    ("s=-", "s=\u{1}", "s=-", "control character"),
    (
        " UDP/TLS/RTP/SAVPF 111",
        " UDP/TLS/RTP/SAVPF 128 111",
        "m=audio",
        "0 to 127",
    ),
];

#[test]
fn an_error_names_its_line_and_what_would_be_right() {
    let fixture = text("chromium-sendrecv");
    let line_of = |part: &str| {
        1 + fixture
            .lines()
            .position(|line| line.contains(part))
            .expect("a line with it")
    };
    for (from, to, line, why) in BROKEN {
        // Every fingerprint at once: one that holds for the whole BUNDLE group would do.
        let broken = fixture.replace(from, to);
        let error = parse(SdpType::Offer, &broken).expect_err(to);
        assert_eq!(error.line, line_of(line), "{to}: {error}");
        assert!(error.why.contains(why), "{to}: {error}");
    }
}

#[test]
fn more_than_a_bound_is_refused_or_ignored() {
    let head = text("chromium-sendrecv");
    let times = |line: &str, count: usize| format!("{head}{}", line.repeat(count));
    let most = limits::SDP_LINES_PER_SECTION;
    let refused: &[(&str, String)] = &[
        ("bytes", times("a=x\r\n", limits::SDP_BYTES / 4)),
        ("lines", times("i=\r\n", limits::SDP_LINES)),
        (
            "line",
            times(
                &format!("a=x:{}\r\n", "y".repeat(limits::SDP_LINE_BYTES)),
                1,
            ),
        ),
        ("attributes", times("a=x\r\n", most)),
        (
            "ssrc",
            times("a=ssrc:1 cname:x\r\n", limits::SDP_SSRC_LINES + 1),
        ),
        (
            "extensions",
            (1..=14).chain(16..50).fold(head.to_owned(), |all, id| {
                format!("{all}a=extmap:{id} urn:x{id}\r\n")
            }),
        ),
        (
            "sections",
            times("m=x 0 y z\r\n", limits::SECTIONS_PER_TRANSPORT),
        ),
        (
            "payloads",
            head.replacen("SAVPF 111", &format!("SAVPF{}", " 111".repeat(65)), 1),
        ),
    ];
    for (name, text) in refused {
        assert!(parse(SdpType::Offer, text).is_err(), "{name}");
    }
    let candidate = "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n";
    let many = parse(SdpType::Offer, &times(candidate, 500)).unwrap();
    assert_eq!(many.sections[1].candidates.len(), limits::SDP_CANDIDATES);
    let feedback = (0..100).fold(head.to_owned(), |all, n| {
        format!("{all}a=rtcp-fb:* x{n}\r\n")
    });
    let many = parse(SdpType::Offer, &feedback).unwrap();
    assert!(
        many.sections[1]
            .payloads
            .iter()
            .all(|one| one.feedback.len() <= limits::SDP_FEEDBACK)
    );
}

#[test]
fn the_worst_text_is_read_in_bounded_steps() {
    // 16,000 attributes, spread over as many m-lines as it takes: threats.md asks for 50 ms in
    // release; here only that it ends, without quadratic work, in the time of a unit test.
    let section = |index: usize| {
        let payloads: String = (0..64).map(|number| format!(" {}", number + 32)).collect();
        let head = format!("m=video 9 UDP/TLS/RTP/SAVPF{payloads}\r\na=mid:{index}\r\n");
        head + &"a=rtcp-fb:127 a\r\n".repeat(118)
    };
    let text: String = std::iter::once("v=0\r\n".to_owned())
        .chain((0..112).map(section))
        .collect();
    assert!(text.len() < limits::SDP_BYTES, "{}", text.len());
    assert!(
        parse(SdpType::Offer, &text).is_err(),
        "it has no credentials"
    );
}

#[test]
fn ten_thousand_damaged_offers_harm_nothing() {
    let mut chance = Chance(7);
    let mut read = 0;
    for round in 0..10_000 {
        let (_, fixture) = fixtures::ALL[round % fixtures::ALL.len()];
        let damaged = damage(fixture, &mut chance);
        if let Ok(description) = parse(SdpType::Offer, &damaged) {
            read += 1;
            assert!(description.sections.len() <= limits::SECTIONS_PER_TRANSPORT);
            let again = parse(SdpType::Offer, &write(&description));
            assert!(again.is_ok(), "{again:?}\n{damaged}");
            for section in &description.sections {
                if let Some(plan) = negotiate::plan(section, &[]) {
                    let text = negotiate::describe(&plan, section.direction.reversed());
                    assert!(text.payloads.len() <= 2 * limits::SDP_PAYLOADS);
                }
            }
        }
    }
    // Were all of them refused, the test would show nothing.
    assert!(read > 1_000, "{read} of 10,000 were read");
}

#[test]
fn answers_keep_order_and_numbers() {
    let table: &[(&str, usize, &str)] = &[
        ("chromium-sendrecv", 0, "111 63 0 8"),
        ("firefox-sendrecv", 0, "109 0 8"),
        (
            "chromium-sendrecv",
            1,
            "96 97 102 103 104 107 108 109 114 115 116 117 39 40 45 46 98 99 100 101",
        ),
        ("firefox-sendrecv", 1, "120 124 121 125 99 100"),
        (
            "chromium-recvonly",
            1,
            "96 97 98 99 100 101 102 103 104 107 108 109 114 115 116 117 39 40 41 42 43 44 45 46 47 48",
        ),
    ];
    for (name, index, expected) in table {
        let offer = offer(name);
        let plan = negotiate::plan(&offer.sections[*index], &[]).unwrap();
        let answer = negotiate::describe(&plan, Direction::RecvOnly);
        assert_eq!(answer.formats.join(" "), *expected, "{name}");
        for extension in &answer.extensions {
            let mut offered = offer.sections[*index].extensions.iter();
            let theirs = offered
                .find(|theirs| theirs.uri == extension.uri)
                .expect("offered");
            assert_eq!(theirs.id, extension.id, "{name}: {}", extension.uri);
        }
    }
}

#[test]
fn a_room_may_restrict_codecs_and_order_them() {
    let section = &offer("chromium-sendrecv").sections[1];
    let plan = negotiate::plan(section, &[Codec::Vp9, Codec::Vp8]).unwrap();
    let codecs: Vec<Codec> = plan.payloads.iter().map(|one| one.format.codec).collect();
    assert_eq!(codecs, [Codec::Vp9, Codec::Vp9, Codec::Vp8]);
    assert_eq!(negotiate::plan(section, &[Codec::Opus]), None);
}

#[test]
fn red_stands_where_the_other_side_put_it_and_goes_with_its_opus() {
    let section = &mut offer("chromium-sendrecv").sections[0];
    let codecs = |section: &SectionDescription, room: &[Codec]| {
        let plan = negotiate::plan(section, room).unwrap();
        let payloads = plan.payloads.iter();
        payloads.map(|one| one.format.codec).collect::<Vec<_>>()
    };
    let (red, opus) = (Codec::Red, Codec::Opus);
    assert_eq!(codecs(section, &[]), [opus, red, Codec::Pcmu, Codec::Pcma]);
    assert_eq!(codecs(section, &[Codec::Pcmu]), [Codec::Pcmu]);
    // First in the offer and in the answer: it is what they send.
    section.payloads.swap(0, 1);
    assert_eq!(codecs(section, &[]), [red, opus, Codec::Pcmu, Codec::Pcma]);
    assert_eq!(
        codecs(section, &[Codec::Pcmu, opus]),
        [Codec::Pcmu, red, opus],
        "a room of Opus takes it twice"
    );
    let answered = negotiate::plan(section, &[]).unwrap();
    let text = negotiate::describe(&answered, Direction::RecvOnly);
    let [first, second] = [&text.payloads[0], &text.payloads[1]];
    assert_eq!(
        (first.name.as_str(), first.parameters.as_str()),
        ("red", "111/111")
    );
    assert_eq!(second.parameters, "minptime=10;useinbandfec=1");
    section.payloads.retain(|payload| payload.name != "opus");
    assert_eq!(codecs(section, &[]), [Codec::Pcmu, Codec::Pcma]);
}

#[test]
fn in_band_fec_and_dtx_are_answered_as_they_are_asked_for() {
    let section = &mut offer("chromium-sendrecv").sections[0];
    let asked = "minptime=10;useinbandfec=1;usedtx=1;stereo=1";
    section.payloads[0].parameters = asked.to_owned();
    let plan = negotiate::plan(section, &[]).unwrap();
    let answer = negotiate::describe(&plan, Direction::RecvOnly);
    assert_eq!(answer.payloads[0].parameters, asked);
}

#[test]
fn formats_are_told_apart_by_what_a_decoder_needs() {
    let h264 = |profile, packetization_mode| {
        Some(Format {
            codec: Codec::H264,
            profile,
            packetization_mode,
        })
    };
    let with = |codec, profile| {
        Some(Format {
            codec,
            profile,
            packetization_mode: 0,
        })
    };
    let table: &[(&str, &str, Option<Format>)] = &[
        ("VP8/90000", "", with(Codec::Vp8, 0)),
        ("vp8/90000", "max-fs=12288", with(Codec::Vp8, 0)),
        ("VP9/90000", "", with(Codec::Vp9, 0)),
        ("VP9/90000", "profile-id=2", with(Codec::Vp9, 2)),
        ("VP9/90000", "profile-id=1", None),
        (
            "AV1/90000",
            "level-idx=5;profile=1;tier=0",
            with(Codec::Av1, 1),
        ),
        (
            "H265/90000",
            "level-id=180; profile-id=1",
            with(Codec::H265, 1),
        ),
        (
            "H264/90000",
            "profile-level-id=42e01f;packetization-mode=1",
            h264(0x42e0, 1),
        ),
        (
            "H264/90000",
            "packetization-mode=1; profile-level-id=42C01E",
            h264(0x42e0, 1),
        ),
        ("H264/90000", "profile-level-id=4d801f", h264(0x42e0, 0)),
        ("H264/90000", "profile-level-id=42001f", h264(0x4200, 0)),
        (
            "H264/90000",
            "profile-level-id=640c1f;packetization-mode=1",
            h264(0x640c, 1),
        ),
        ("H264/90000", "packetization-mode=2", None),
        ("H264/90000", "profile-level-id=zz", None),
        ("VP8/8000", "", None),
        ("ulpfec/90000", "", None),
    ];
    for (rtpmap, fmtp, expected) in table {
        let text = format!(
            "v=0\r\nm=video 0 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 {rtpmap}\r\na=fmtp:96 {fmtp}\r\n"
        );
        let description = parse(SdpType::Offer, &text).unwrap();
        let plan = negotiate::plan(&description.sections[0], &[]);
        assert_eq!(
            plan.map(|plan| plan.payloads[0].format),
            *expected,
            "{rtpmap} {fmtp}"
        );
    }
}

#[test]
fn remb_is_agreed_only_without_transport_wide_feedback() {
    let section = &mut offer("chromium-sendrecv").sections[1];
    let first =
        |section: &SectionDescription| negotiate::plan(section, &[]).unwrap().payloads.remove(0);
    let agreed = first(section);
    assert!(agreed.transport_cc && agreed.nack && agreed.pli && agreed.fir && !agreed.remb);
    section
        .extensions
        .retain(|one| one.uri != Extension::TransportWideCc.uri());
    let agreed = first(section);
    assert!(!agreed.transport_cc && agreed.remb);
}

#[test]
fn remb_is_agreed_beside_transport_wide_feedback_by_who_only_sends() {
    let section = &mut offer("chromium-sendrecv").sections[1];
    section.direction = Direction::SendOnly;
    let agreed = negotiate::plan(section, &[]).unwrap().payloads.remove(0);
    assert!(agreed.transport_cc && agreed.remb);
}

#[test]
fn descriptors_come_with_what_is_sent_but_not_with_vp8() {
    let mut section = offer("chromium-sendrecv").sections[1].clone();
    let dependencies = Extension::DependencyDescriptor;
    section
        .extensions
        .retain(|one| one.uri != dependencies.uri());
    section.extensions.push(Extmap {
        id: 12,
        direction: Direction::SendRecv,
        uri: dependencies.uri().to_owned(),
    });
    for (codecs, direction, id) in [
        (vec![], Direction::SendRecv, None),
        (vec![Codec::Vp8, Codec::Av1], Direction::SendOnly, None),
        (vec![Codec::Av1, Codec::Vp8], Direction::SendRecv, Some(12)),
        (vec![Codec::H264], Direction::SendOnly, Some(12)),
        // A viewer may be shown whatever another sends.
        (vec![], Direction::RecvOnly, Some(12)),
    ] {
        section.direction = direction;
        let plan = negotiate::plan(&section, &codecs).unwrap();
        assert_eq!(
            plan.extensions.id(dependencies),
            id,
            "{codecs:?} {direction:?}"
        );
    }
}

#[test]
fn ids_of_our_offers_are_never_what_chromium_uses_for_something_else() {
    // It keeps its ids when it rolls its offer back for ours; the next one then collided with
    // itself ("codec collision for header extension id=6") and nothing was published.
    let mut numbers = Numbers::default();
    let mut ours = 0;
    for kind in [MediaKind::Audio, MediaKind::Video] {
        let plan = numbers.offer(Mid::new("s1").unwrap(), kind, None, &[]);
        for name in ["chromium-sendrecv", "chromium-simulcast"] {
            for theirs in offer(name).sections.iter().flat_map(|one| &one.extensions) {
                let Some(ours_there) = plan.extensions.extension(theirs.id) else {
                    continue;
                };
                assert_eq!(theirs.uri, ours_there.uri(), "id {} of {name}", theirs.id);
                ours += 1;
            }
        }
    }
    assert!(ours > 8, "{ours} ids compared");
}

#[test]
fn simulcast_needs_its_extension_and_keeps_its_order() {
    for name in ["chromium-simulcast", "firefox-simulcast"] {
        let section = &mut offer(name).sections[1];
        let rids = |section: &SectionDescription| {
            let plan = negotiate::plan(section, &[]).unwrap();
            let text = write(&Description {
                sections: vec![negotiate::describe(&plan, Direction::RecvOnly)],
                ..offer(name)
            });
            (plan.rids.len(), text.contains("a=simulcast:recv q;h;f"))
        };
        assert_eq!(rids(section), (3, true), "{name}");
        section
            .extensions
            .retain(|one| one.uri != Extension::Rid.uri());
        assert_eq!(rids(section), (0, false), "{name}");
    }
}

#[test]
fn declared_ssrcs_come_with_their_retransmissions() {
    let video = |name: &str| negotiate::plan(&offer(name).sections[1], &[]).unwrap();
    for name in ["chromium-sendrecv", "firefox-sendrecv"] {
        let plan: MediaPlan = video(name);
        assert!(
            matches!(plan.ssrcs.as_slice(), [(_, Some(_))]),
            "{name}: {:?}",
            plan.ssrcs
        );
        assert!(plan.msid.is_some(), "{name}");
    }
    assert_eq!(video("chromium-recvonly").ssrcs, []);
}

#[test]
fn an_answer_counts_only_where_it_agrees_with_the_offer() {
    let section = &mut offer("chromium-sendrecv").sections[1];
    let ours = negotiate::plan(section, &[]).unwrap();
    assert_eq!(negotiate::plan_answered(&ours, section), Some(ours.clone()));
    // VP8 under another number, and an extension under another id: neither was agreed.
    section.payloads[0].payload_type = 77;
    section
        .extensions
        .iter_mut()
        .filter(|one| one.id == 3)
        .for_each(|one| one.id = 12);
    let agreed = negotiate::plan_answered(&ours, section).unwrap();
    assert_eq!(agreed.payloads.len(), ours.payloads.len() - 1);
    assert_eq!(agreed.extensions.id(Extension::TransportWideCc), None);
}

fn without_lines(mut description: Description) -> Description {
    for section in &mut description.sections {
        section.line = 0;
    }
    description
}

/// A few cuts, copies, swaps and strange characters.
fn damage(text: &str, chance: &mut Chance) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for _ in 0..=chance.below(4) {
        let index = chance.below(lines.len());
        match chance.below(7) {
            0 => drop(lines.remove(index)),
            1 => lines.insert(index, lines[index].clone()),
            2 => {
                let other = chance.below(lines.len());
                lines.swap(index, other);
            }
            3 => {
                let kept = chance.below(lines[index].len());
                lines[index].truncate(kept);
            }
            4 => {
                let mut bytes = lines[index].clone().into_bytes();
                let place = chance.below(bytes.len());
                bytes[place] = u8::try_from(chance.below(128)).unwrap();
                lines[index] = String::from_utf8(bytes).unwrap();
            }
            5 => {
                let number = ["0", "-1", "99999999999999999999", "128", ""][chance.below(5)];
                lines[index] = lines[index].replacen(char::is_numeric, number, 1);
            }
            _ => lines[index] = lines[index].replacen(' ', "\u{fffd} ", 1),
        }
        if lines.is_empty() {
            break;
        }
    }
    lines.concat()
}

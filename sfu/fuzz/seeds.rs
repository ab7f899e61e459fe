//! Seeds of the fuzz corpora, made by our own writers: one well-formed input of each shape, from
//! which the fuzzer goes on. `PLENUM_BLESS=1 cargo test -p sfu --test corpus` puts them in place.

use std::net::SocketAddr;

use sfu::id::{Mid, ParticipantId, Rid, TrackId};
use sfu::sdp::description::SdpType;
use sfu::sdp::{parse, write};
use sfu::time::{Instant, NtpTime};
use sfu::units::{AudioLevel, Bitrate, MediaKind};
use sfu::wire::extension::{AbsCaptureTime, Extension, ExtensionMap, ExtensionValues};
use sfu::wire::payload::{Codec, Format};
use sfu::wire::port::{PortEncoding, PortFormats, PortMedia, PortMessage, PortTrack};
use sfu::wire::rtcp::{CompoundWriter, ReportBlock, SenderReport};
use sfu::wire::rtp::{RtpHeader, pad};
use sfu::wire::stun::{Class, IceRole, IntegrityKey, Writer};
use sfu::wire::twcc::TransportFeedbackWriter;

/// Target, name, bytes.
pub(crate) type Seed = (&'static str, String, Vec<u8>);

/// All seeds.
pub(crate) fn all() -> Vec<Seed> {
    let mut seeds = Vec::new();
    stun(&mut seeds);
    rtp(&mut seeds);
    dependency_descriptor(&mut seeds);
    rtcp(&mut seeds);
    twcc(&mut seeds);
    payload(&mut seeds);
    port(&mut seeds);
    port_tracks(&mut seeds);
    sdp(&mut seeds);
    route(&mut seeds);
    datagram(&mut seeds);
    seeds
}

fn stun(seeds: &mut Vec<Seed>) {
    let key = IntegrityKey::new(b"passwordpasswordpassword");
    for (name, class, address) in [
        ("request", Class::Request, None),
        ("indication", Class::Indication, None),
        ("success_v4", Class::Success, Some("192.0.2.7:40000")),
        ("success_v6", Class::Success, Some("[2001:db8::7]:40000")),
        ("error", Class::Error, None),
    ] {
        let mut out = [0; 400];
        let mut writer = Writer::new(&mut out, class, *b"transactions");
        if class == Class::Request {
            writer.username(b"abcdefgh:ijkl");
            writer.priority(0x6E7F_1EFF);
            writer.use_candidate();
            writer.role(IceRole::Controlling(7));
        }
        if class == Class::Error {
            writer.error_code(487);
        }
        if let Some(address) = address {
            writer.mapped_address(address.parse::<SocketAddr>().unwrap());
        }
        let len = writer.finish(&key).unwrap();
        seeds.push(("stun", name.to_owned(), out[..len].to_vec()));
    }
}

fn values() -> ExtensionValues {
    ExtensionValues {
        mid: Mid::new("0"),
        rid: Rid::new("hi"),
        repaired_rid: Rid::new("lo"),
        audio_level: Some((AudioLevel(42), true)),
        abs_send_time: Some(0x0A_BC_DE),
        transport_sequence: Some(0xFEDC),
        orientation: Some(3),
        playout_delay: Some([1, 2, 3]),
        abs_capture_time: Some(AbsCaptureTime {
            ntp: NtpTime(0x0102_0304_0506_0708),
            offset: Some(-5),
        }),
    }
}

fn rtp(seeds: &mut Vec<Seed>) {
    let header = RtpHeader {
        payload_type: 96,
        marker: true,
        sequence: 0x1234,
        timestamp: 3_000,
        ssrc: 0xCAFE_BABE,
    };
    for (name, first_id) in [("one_byte", 1), ("two_byte", 20)] {
        let mut map = ExtensionMap::default();
        let ids: Vec<u8> = (first_id..).take(Extension::ALL.len()).collect();
        for (extension, id) in Extension::ALL.into_iter().zip(&ids) {
            map.set(extension, *id);
        }
        let mut out = [7; 300];
        let len = header.write(&values(), &map, &mut out).unwrap() + 20;
        seeds.push(("rtp", name.to_owned(), out[..len].to_vec()));
        seeds.push(("extension", name.to_owned(), [&ids, &out[..len]].concat()));
        assert!(pad(&mut out, len, 290));
        seeds.push(("rtp", format!("{name}_padded"), out[..290].to_vec()));
    }
    let mut out = [7; 60];
    let len = header
        .write(
            &ExtensionValues::default(),
            &ExtensionMap::default(),
            &mut out,
        )
        .unwrap();
    // What a writer took back is no header's.
    out[len..].fill(7);
    seeds.push(("rtp", "bare".to_owned(), out[..len + 20].to_vec()));
    out[0] |= 2;
    seeds.push(("rtp", "two_csrcs".to_owned(), out[..len + 20].to_vec()));
}

macro_rules! capture {
    ($name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/dependency_descriptor/",
            $name,
            ".hex"
        ))
    };
}

/// What Chromium sent first, each value behind a byte that says what is done and one with its
/// length; before them a wish for the highest layer, then others.
fn dependency_descriptor(seeds: &mut Vec<Seed>) {
    for (name, text) in [
        ("l1t3", capture!("chromium-av1-l1t3")),
        ("l3t3", capture!("chromium-av1-l3t3")),
        ("s2t3", capture!("chromium-av1-s2t3")),
        ("without_chains", capture!("chromium-vp8-l1t3")),
        ("l3t3_key", capture!("chromium-vp9-l3t3-key")),
    ] {
        let mut out = vec![0xF3, 0];
        for (line, at) in text.lines().zip(1..=60_u8) {
            let pairs = (0..line.len()).step_by(2);
            let value = pairs.map(|at| u8::from_str_radix(&line[at..at + 2], 16).unwrap());
            let value: Vec<u8> = value.collect();
            if at % 20 == 0 {
                out.extend([0x53, 0]);
            }
            // Every 25th comes late.
            out.extend([
                if at % 25 == 0 { 0x0C } else { 0 },
                u8::try_from(line.len() / 2).unwrap(),
            ]);
            out.extend(value);
        }
        seeds.push(("dependency_descriptor", name.to_owned(), out));
    }
}

/// Congestion control feedback of two sources (RFC 8888 §3.1).
const CONTROL: [u8; 40] = [
    0x8B, 205, 0, 9, 0, 0, 0, 1, 0, 0, 0, 7, 0xFF, 0xFF, 0, 3, 0x80, 0x66, 0, 0, 0x80, 0x33, 0, 0,
    0, 0, 0, 8, 0, 5, 0, 1, 0x9F, 0xFE, 0, 0, 0, 1, 0x80, 0,
];

fn rtcp(seeds: &mut Vec<Seed>) {
    seeds.push(("rtcp", "control".to_owned(), CONTROL.to_vec()));
    let block = ReportBlock {
        ssrc: 0xDEAD_BEEF,
        fraction_lost: 64,
        packets_lost: -3,
        sequence_highest: 0x0001_FFFF,
        jitter: 90,
        last_sr: 0x1234_5678,
        delay_since_sr: 65_536,
    };
    let sender = SenderReport {
        ssrc: 1,
        ntp: NtpTime(0xE900_0000_8000_0000),
        rtp: 3,
        packets: 4,
        bytes: 5,
    };
    let mut put = |name: &str, write: &dyn Fn(&mut CompoundWriter<'_>) -> bool| {
        let mut out = [0; 600];
        let mut writer = CompoundWriter::new(&mut out);
        assert!(write(&mut writer));
        let len = writer.len();
        seeds.push(("rtcp", name.to_owned(), out[..len].to_vec()));
    };
    put("sender", &|out| {
        out.sender_report(&sender, &[block, block]) && out.sdes_cname(1, "cname")
    });
    put("receiver", &|out| {
        out.receiver_report(1, &[block]) && out.bye(&[1, 2])
    });
    put("nack", &|out| out.nack(1, 2, &[65_530, 65_535, 3, 10, 200]));
    put("pli", &|out| out.pli(1, 2) && out.pli(1, 3));
    put("fir", &|out| out.fir(1, 2, 200));
    put("remb", &|out| {
        out.remb(1, Bitrate::from_kbps(2_500), &[2, 3])
    });
    put("extended", &|out| out.raw(&[0x80, 207, 0, 1, 0, 0, 0, 1]));
    put("feedback", &|out| {
        let mut packet = [0; 200];
        let arrivals = (0..60_u64).map(|at| (at % 7 != 3).then(|| Instant::from_millis(at * 9)));
        let written = TransportFeedbackWriter::default().write(9, arrivals, &mut packet);
        out.raw(&packet[..written.unwrap().bytes])
    });
}

fn twcc(seeds: &mut Vec<Seed>) {
    for (name, step, lost) in [
        ("runs", 1_000, 0),
        ("one_bit", 3_000, 3),
        ("two_bit", 90_000, 2),
    ] {
        let mut out = [0; 400];
        let arrivals = (0..80_u64).map(|at| {
            (lost == 0 || at % lost != 1)
                .then(|| Instant::from_micros(at * step + at % 5 * step * 3))
        });
        let writer = TransportFeedbackWriter {
            sender: 1,
            media: 2,
            feedback_count: 3,
        };
        let written = writer.write(65_500, arrivals, &mut out).unwrap();
        seeds.push(("twcc", name.to_owned(), out[4..written.bytes].to_vec()));
    }
}

/// Payloads by name.
const PAYLOADS: &[(&str, Codec, &[u8])] = &[
    ("opus", Codec::Opus, &[0x78, 0xC3, 0x11, 0x90]),
    (
        "red",
        Codec::Red,
        &[0x80 | 111, 0x0F, 0x00, 3, 111, 1, 2, 3, 0x78, 1, 2, 3],
    ),
    (
        "red_two",
        Codec::Red,
        &[
            0x80 | 111,
            0x1E,
            0x00,
            1,
            0x80 | 111,
            0x0F,
            0x00,
            2,
            111,
            1,
            2,
            3,
            0x78,
        ],
    ),
    (
        "vp8_key",
        Codec::Vp8,
        &[
            0x90, 0xF0, 0x92, 0x34, 0x07, 0x00, 0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A,
        ],
    ),
    (
        "vp8_short",
        Codec::Vp8,
        &[0xB0, 0xE0, 0x7F, 0x07, 0xA0, 0x11, 1, 2],
    ),
    ("vp8_bare", Codec::Vp8, &[0x10, 0x51, 0x1A, 0x00]),
    (
        "vp9_structure",
        Codec::Vp9,
        &[
            0x8E, 0x92, 0x34, 0x18, 0x02, 0x80, 0x01, 0x68, 0x01, 0x04, 0x01, 0x82, 0x49,
        ],
    ),
    (
        "vp9_layers",
        Codec::Vp9,
        &[0xEC, 0x05, 0x52, 0x08, 0x86, 1, 2],
    ),
    (
        "vp9_flexible",
        Codec::Vp9,
        &[0xF8, 0x05, 0x20, 0x03, 0x04, 0x86, 1],
    ),
    ("h264_single", Codec::H264, &[0x65, 0xB8, 0x00, 0x04]),
    (
        "h264_aggregate",
        Codec::H264,
        &[
            0x78, 0, 4, 0x67, 0x42, 0xC0, 0x1F, 0, 4, 0x68, 0xCE, 0x3C, 0x80,
        ],
    ),
    (
        "h264_fragment",
        Codec::H264,
        &[0x7C, 0x85, 0xB8, 0x00, 0x04],
    ),
    ("h265_single", Codec::H265, &[0x26, 0x01, 0xAF, 0x08]),
    (
        "h265_aggregate",
        Codec::H265,
        &[0x60, 0x01, 0, 3, 0x40, 1, 0x0C, 0, 3, 0x42, 1, 1],
    ),
    (
        "h265_fragment",
        Codec::H265,
        &[0x62, 0x01, 0x93, 0xAF, 0x08],
    ),
    (
        "h265_paci",
        Codec::H265,
        &[0x64, 0x01, 0x26, 0x30, 1, 2, 3, 0xAF],
    ),
    (
        "av1_key",
        Codec::Av1,
        &[
            0x28, 0x0B, 0x08, 0, 0, 0, 0x42, 0xA7, 0xBF, 0xE6, 0x2E, 0xDF, 0xC8, 0x30, 0x10, 0,
        ],
    ),
    (
        "av1_layers",
        Codec::Av1,
        &[0xA0, 0x02, 0x08, 0x08, 0x34, 0x48, 0x20],
    ),
    (
        "av1_uncounted",
        Codec::Av1,
        &[0x00, 0x01, 0x30, 0x82, 0x00, 0x08, 0x00],
    ),
    ("pcmu", Codec::Pcmu, &[0xFF; 20]),
];

/// The first byte is the codec's place in `Codec::ALL`, then come a picture id and a base layer
/// index to write.
fn payload(seeds: &mut Vec<Seed>) {
    for &(name, codec, bytes) in PAYLOADS {
        let place = Codec::ALL.iter().position(|&known| known == codec).unwrap();
        let head = [u8::try_from(place).unwrap(), 0x55, 0xAA, 9];
        seeds.push(("payload", name.to_owned(), [&head, bytes].concat()));
    }
}

fn port_tracks(seeds: &mut Vec<Seed>) {
    let track = TrackId(0x0304_0506_0708_090A);
    let format = Format {
        codec: Codec::H264,
        profile: 0x42_E0,
        packetization_mode: 1,
    };
    let mut formats = Vec::new();
    let told = PortTrack {
        track,
        participant: ParticipantId(5),
        name: "ada",
        kind: MediaKind::Video,
        muted: false,
        forbidden: false,
        screen: true,
        rungs: 3,
        formats: PortFormats::write([(100, format)].into_iter(), &mut formats),
    };
    for (name, message) in [
        ("opened", PortMessage::Opened),
        ("track", PortMessage::TrackChanged(told)),
        ("unpublished", PortMessage::TrackUnpublished { track }),
    ] {
        let mut out = [0; 200];
        let len = message.encode(&mut out).unwrap();
        seeds.push(("port", name.to_owned(), out[..len].to_vec()));
    }
}

fn port(seeds: &mut Vec<Seed>) {
    let encoding = PortEncoding(3);
    let track = TrackId(0x0304_0506_0708_090A);
    let media = |orientation| {
        let mut media = PortMedia::plain(encoding, 1 << 40, (1 << 33) + 90, &[0x90, 0x80, 1, 2]);
        media.arrived_at = Instant::from_millis(5);
        media.marker = true;
        media.values.orientation = orientation;
        PortMessage::Media(media)
    };
    let format = Format {
        codec: Codec::H264,
        profile: 0x42_E0,
        packetization_mode: 1,
    };
    let parameters = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
    for (name, message) in [
        ("media", media(None)),
        ("media_turned", media(Some(1))),
        (
            "started",
            PortMessage::EncodingStarted {
                encoding,
                track,
                rung: 1,
                format,
                parameters,
            },
        ),
        ("ended", PortMessage::EncodingEnded { encoding }),
        (
            "clock",
            PortMessage::Clock {
                encoding,
                timestamp: 90_000,
                server: NtpTime(1 << 60),
            },
        ),
        (
            "level",
            PortMessage::Level {
                encoding,
                level: AudioLevel(30),
                voice: true,
            },
        ),
        ("muted", PortMessage::Muted { track, muted: true }),
        ("gap", PortMessage::Gap { messages: 7 }),
        ("keyframe", PortMessage::KeyframeWanted { encoding }),
        ("wanted", PortMessage::EncodingsWanted { track, mask: 5 }),
        (
            "bitrate",
            PortMessage::BitrateMax {
                track,
                bitrate: Bitrate::from_kbps(800),
            },
        ),
    ] {
        let mut out = [0; 200];
        let len = message.encode(&mut out).unwrap();
        seeds.push(("port", name.to_owned(), out[..len].to_vec()));
    }
}

const SESSION: &str = "v=0\r\no=- 42 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
const TRANSPORT: &str = "c=IN IP4 0.0.0.0\r\na=ice-ufrag:ufra\r\n\
    a=ice-pwd:passwordpasswordpasswo\r\na=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:\
    0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\r\na=setup:SETUP\r\n";

/// Descriptions by name: what follows `SESSION`, `TRANSPORT` standing for the attributes of ICE
/// and DTLS.
const DESCRIPTIONS: [(&str, &str); 5] = [
    (
        "audio",
        "a=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\nTRANSPORTa=mid:0\r\n\
         a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=sendrecv\r\n\
         a=msid:s t\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\n\
         a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\n\
         a=fmtp:63 111/111\r\na=ssrc:7 cname:c\r\n",
    ),
    (
        "video",
        "a=group:BUNDLE v\r\na=extmap-allow-mixed\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 97 103 98\r\n\
         TRANSPORTa=mid:v\r\na=sendonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\n\
         a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n\
         a=rtcp-fb:96 ccm fir\r\na=rtcp-fb:96 goog-remb\r\na=rtpmap:97 rtx/90000\r\n\
         a=fmtp:97 apt=96\r\na=rtpmap:103 H264/90000\r\na=fmtp:103 level-asymmetry-allowed=1;\
         packetization-mode=1;profile-level-id=42e01f\r\na=rtpmap:98 VP9/90000\r\n\
         a=fmtp:98 profile-id=0\r\na=ssrc-group:FID 1 2\r\na=ssrc:1 cname:c\r\na=ssrc:2 cname:c\r\n",
    ),
    (
        "simulcast",
        "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nTRANSPORTa=mid:1\r\n\
         a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\na=sendonly\r\n\
         a=rtcp-mux\r\na=rtpmap:96 AV1/90000\r\na=rid:q send\r\na=rid:h send\r\n\
         a=rid:f send\r\na=simulcast:send q;h;f\r\n",
    ),
    (
        "data",
        "a=group:BUNDLE d\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nTRANSPORT\
         a=mid:d\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n",
    ),
    (
        "candidates",
        "a=ice-lite\r\nm=audio 40000 UDP/TLS/RTP/SAVPF 0\r\nTRANSPORT\
         a=candidate:1 1 udp 2130706431 192.0.2.7 40000 typ host\r\n\
         a=candidate:2 1 udp 2130706175 2001:db8::7 40000 typ host\r\na=end-of-candidates\r\n\
         a=mid:0\r\na=recvonly\r\na=rtcp-mux\r\na=rtpmap:0 PCMU/8000\r\n\
         m=video 0 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=inactive\r\n",
    ),
];

fn sdp(seeds: &mut Vec<Seed>) {
    for (choice, sdp_type, setup) in [
        (0, SdpType::Offer, "actpass"),
        (1, SdpType::Answer, "active"),
    ] {
        for (name, text) in DESCRIPTIONS {
            let transport = TRANSPORT.replace("SETUP", setup);
            let text = format!("{SESSION}{}", text.replace("TRANSPORT", &transport));
            let written = write(&parse(sdp_type, &text).unwrap());
            let bytes = [&[choice], written.as_bytes()].concat();
            seeds.push(("sdp", format!("{name}_{setup}"), bytes));
        }
    }
}

/// Programs for `route`: a stream of packets of one kind with time passing, and what receivers ask
/// for between them.
fn route(seeds: &mut Vec<Seed>) {
    for (name, track, choice, payload) in [
        ("sound", 0, 0, &[0x78, 1, 2, 3][..]),
        (
            "vp8",
            1,
            1,
            &[0x90, 0x80, 0x81, 0x23, 0x10, 0x02, 0x00, 0x9D],
        ),
        ("simulcast", 1, 1, &[0x90, 0x80, 0x81, 0x24, 0x11, 0x02]),
        ("late", 3, 0, &[0x10, 0x50, 1, 2]),
    ] {
        let mut program = Vec::new();
        for at in 0..20_u8 {
            let ahead = if name == "late" {
                at.wrapping_mul(37)
            } else {
                0
            };
            let flags = 0x40 | if at % 3 == 2 { 0x20 } else { 0 };
            let len = u8::try_from(payload.len()).unwrap();
            program.extend([track, choice, ahead, flags, len]);
            program.extend(payload);
            program.extend([128, 5]);
            match at % 5 {
                1 => program.extend([161, at, 1, 0, 0]),
                2 => program.extend([162, at, 0, 0, 0]),
                3 => program.extend([196, at, 0]),
                4 => program.extend([225, track, 7, 226, 0, 0]),
                _ => {}
            }
        }
        seeds.push(("route", name.to_owned(), program));
    }
}

const CHECK: &[u8] = &[32, 0, 2, 1, 1];
const HELLO: &[u8] = &[96, 0, 0, 0, 0];
const WAIT: &[u8] = &[128, 50, 0];
const ACCEPT: &[u8] = &[200, 2, 0, 201, 2, 0];

/// Programs for `datagram`, in steps.
const PROGRAMS: &[(&str, &[&[u8]])] = &[
    (
        "nominates",
        &[
            CHECK,
            &[33, 1, 2, 1, 1],
            WAIT,
            &[80, 0, 81, 0],
            &[128, 200, 250],
        ],
    ),
    (
        "shakes_hands",
        &[CHECK, HELLO, WAIT, HELLO, &[96, 1, 1, 0, 0, 3, 9, 9, 9]],
    ),
    (
        "negotiates",
        &[
            CHECK,
            ACCEPT,
            &[168, 2, 0],
            WAIT,
            ACCEPT,
            &[169, 3, 1, 0, 1, 0],
        ],
    ),
    (
        "wishes",
        &[
            CHECK,
            &[216, 4, 0, 1],
            &[217, 0x84, 1, 3],
            &[216, 0, 0, 1],
            &[217, 2, 0, 0],
            WAIT,
        ],
    ),
    (
        "restarts",
        &[CHECK, &[144, 3, 0], WAIT, ACCEPT, CHECK, &[128, 255, 255]],
    ),
    (
        "strangers",
        &[
            &[0, 4, 22, 254, 253, 0],
            &[3, 9, 0x80, 96, 0, 1, 0, 0, 0, 1, 0],
            &[248],
        ],
    ),
    (
        "leaves",
        &[
            CHECK,
            &[152, 0],
            &[153, 0],
            &[154, 1],
            &[144, 1, 0],
            &[144, 0, 0],
            WAIT,
        ],
    ),
];

fn datagram(seeds: &mut Vec<Seed>) {
    let programs = PROGRAMS.iter();
    seeds.extend(programs.map(|(name, steps)| ("datagram", (*name).to_owned(), steps.concat())));
}

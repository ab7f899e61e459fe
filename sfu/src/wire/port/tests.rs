//! Every message, as it is on the wire.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "tests look for one kind among many"
)]

use super::*;
use crate::id::ParticipantId;
use crate::time::Instant;
use crate::wire::extension::AbsCaptureTime;

const ENCODING: PortEncoding = PortEncoding(0x0102);
const TRACK: TrackId = TrackId(0x0304_0506_0708_090A);

fn media(orientation: Option<u8>, payload: &[u8]) -> PortMessage<'_> {
    let mut media = PortMedia::plain(ENCODING, 1 << 40, (1 << 33) + 90, payload);
    media.arrived_at = Instant::from_millis(5);
    media.marker = true;
    media.values.orientation = orientation;
    PortMessage::Media(media)
}

/// A packet that says everything a packet can say.
fn wordy(descriptor: &'static [u8], payload: &'static [u8]) -> PortMessage<'static> {
    PortMessage::Media(PortMedia {
        payload_type: 0x7F,
        leaves: true,
        values: PortValues {
            audio_level: Some((AudioLevel(3), true)),
            orientation: Some(1),
            playout_delay: Some([1, 2, 3]),
            abs_capture_time: Some(AbsCaptureTime {
                ntp: NtpTime(9),
                offset: Some(-1),
            }),
        },
        descriptor,
        ..PortMedia::plain(ENCODING, 1, 2, payload)
    })
}

/// A track with H264 under payload type 100, and VP8 under 101.
const FORMATS: [u8; 14] = [100, 7, 0, 0, 0x42, 0xE0, 1, 101, 5, 0, 0, 0, 0, 0];

fn told(name: &'static str) -> PortTrack<'static> {
    let text = [&[2, 9][..], &[0; 16], &[0x01, 1, 0], &FORMATS].concat();
    let text: &'static [u8] = text.leak();
    let Ok(PortMessage::TrackChanged(told)) = PortMessage::decode(text) else {
        panic!("a sound track");
    };
    PortTrack {
        track: TRACK,
        participant: ParticipantId(5),
        name,
        screen: true,
        rungs: 3,
        ..told
    }
}

fn every_kind() -> Vec<PortMessage<'static>> {
    let encoding = ENCODING;
    let track = TRACK;
    let mut all = vec![
        media(None, &[]),
        media(None, &[1, 2, 3]),
        media(Some(0), &[4]),
        media(Some(3), &[9; limits::PACKET_BYTES]),
        wordy(&[], &[]),
        wordy(&[8; 255], &[9; limits::PACKET_BYTES]),
        PortMessage::Opened,
        PortMessage::TrackChanged(told("ada")),
        PortMessage::TrackChanged(told("")),
        PortMessage::TrackUnpublished { track: TRACK },
        PortMessage::EncodingEnded { encoding },
        PortMessage::Clock {
            encoding,
            timestamp: u64::MAX,
            server: NtpTime(7),
        },
        PortMessage::Level {
            encoding,
            level: AudioLevel(42),
            voice: true,
        },
        PortMessage::Muted { track, muted: true },
        PortMessage::Muted {
            track,
            muted: false,
        },
        PortMessage::Gap {
            messages: 1_000_000,
        },
        PortMessage::KeyframeWanted { encoding },
        PortMessage::EncodingsWanted { track, mask: 0b101 },
        PortMessage::BitrateMax {
            track,
            bitrate: Bitrate::UNLIMITED,
        },
    ];
    all.extend(Codec::ALL.map(|codec| PortMessage::EncodingStarted {
        encoding,
        track,
        rung: 2,
        format: Format {
            codec,
            profile: 0x42_E0,
            packetization_mode: 1,
        },
        parameters: "level-asymmetry-allowed=1;profile-level-id=42e01f",
    }));
    all
}

fn check(input: &[u8], expected: Result<PortMessage<'_>, DropReason>) {
    assert_eq!(PortMessage::decode(input), expected, "{input:02x?}");
}

#[test]
fn every_message_is_read_back_as_written() {
    for message in every_kind() {
        let mut out = [0xEE; 2_000];
        let len = message.encode(&mut out).unwrap();
        check(&out[..len], Ok(message));
        for short in 0..len {
            assert_eq!(message.encode(&mut out[..short]), None);
        }
    }
}

#[test]
fn a_message_cut_short_is_malformed_unless_its_end_is_open() {
    for message in every_kind() {
        let mut out = [0; 2_000];
        let len = message.encode(&mut out).unwrap();
        assert!(len <= MESSAGE_BYTES_MAX && len <= message.bytes_max());
        let open = if let PortMessage::Media(media) = message {
            media.payload.len()
        } else if let PortMessage::TrackChanged(_) = message {
            FORMATS.len()
        } else if let PortMessage::EncodingStarted { parameters, .. } = message {
            parameters.len()
        } else {
            0
        };
        for short in 0..len - open {
            check(&out[..short], Err(DropReason::Malformed));
        }
        if matches!(message, PortMessage::TrackChanged(_)) {
            continue;
        }
        if open == 0 && !matches!(message, PortMessage::Media(_)) {
            check(&out[..=len], Err(DropReason::Malformed));
        }
        let inside = match message {
            PortMessage::Media(media) => media.descriptor.len(),
            _ => 0,
        };
        assert!(len - open - inside <= HEADER_BYTES_MAX);
    }
}

#[test]
fn the_form_is_fixed() {
    check(&[2, 7, 0, 0, 0, 9], Ok(PortMessage::Gap { messages: 9 }));
    let level = PortMessage::Level {
        encoding: ENCODING,
        level: AudioLevel(5),
        voice: false,
    };
    check(&[2, 5, 1, 2, 5, 0], Ok(level));
    check(&[2, 5, 1, 2, 5, 2], Err(DropReason::Malformed));
    check(&[2, 5, 1, 2, 128, 0], Err(DropReason::Malformed));
    check(&[1, 7, 0, 0, 0, 9], Err(DropReason::Unsupported));
    check(&[2, 99], Err(DropReason::Unsupported));
    check(&[], Err(DropReason::Malformed));
    let head = [2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    check(
        &[&head[..], &[10, 0, 0, 0, 0, 0]].concat(),
        Err(DropReason::Unsupported),
    );
    check(
        &[&head[..], &[1, 0, 0, 0, 0, 0, 0xFF]].concat(),
        Err(DropReason::Malformed),
    );
    let mut bytes = [0; 40];
    let len = media(None, &[1]).encode(&mut bytes).unwrap();
    // A flag that is not known; an offset of a capture time that is not said; a payload type of
    // eight bits.
    for (at, value) in [(29, 0x80), (29, 0x20), (4, 0x80)] {
        let mut bytes = bytes;
        bytes[at] |= value;
        check(&bytes[..len], Err(DropReason::Malformed));
    }
}

#[test]
fn a_track_says_what_can_be() {
    let message = PortMessage::TrackChanged(told("ada"));
    let mut bytes = [0; 100];
    let len = message.encode(&mut bytes).unwrap();
    let formats: Vec<(u8, Format)> = told("ada").formats.iter().collect();
    let h264 = Format {
        codec: Codec::H264,
        profile: 0x42E0,
        packetization_mode: 1,
    };
    assert_eq!(formats, [(100, h264), (101, Format::of(Codec::Vp8))]);
    let mut written = Vec::new();
    let again = PortFormats::write(formats.into_iter(), &mut written);
    assert_eq!(again, told("ada").formats);
    // A flag that is not known; no rung, or too many; a name that is no text; sound among pictures; a
    // payload type of eight bits; half a format.
    for (at, value) in [
        (18, 0x80),
        (19, 0),
        (19, 9),
        (21, 0xFF),
        (25, 1),
        (24, 0xFF),
    ] {
        let mut bytes = bytes;
        bytes[at] = value;
        check(&bytes[..len], Err(DropReason::Malformed));
    }
    check(&bytes[..len - 1], Err(DropReason::Malformed));
}

#[test]
fn a_parcel_gives_back_what_was_put_in_and_ends_where_it_is_cut() {
    let mut parcel = Vec::new();
    for message in every_kind() {
        assert!(append(&message, &mut parcel, 100_000));
    }
    let before = parcel.len();
    assert!(!append(&media(None, &[1; 50]), &mut parcel, before + 49));
    assert_eq!(parcel.len(), before, "what finds no room leaves no trace");
    let mut rest = parcel.as_slice();
    for message in every_kind() {
        check(split(&mut rest).unwrap(), Ok(message));
    }
    assert_eq!((split(&mut rest), rest.len()), (None, 0));
    let mut cut = &parcel[..parcel.len() - 1];
    let whole = std::iter::from_fn(|| split(&mut cut)).count();
    assert_eq!(whole, every_kind().len() - 1);
}

#[test]
fn what_is_too_long_is_neither_written_nor_read() {
    let mut out = [0; 4_000];
    assert_eq!(
        media(None, &[0; limits::PACKET_BYTES + 1]).encode(&mut out),
        None
    );
    let len = media(None, &[0; limits::PACKET_BYTES])
        .encode(&mut out)
        .unwrap();
    check(&out[..=len], Err(DropReason::Malformed));
    let parameters = "p".repeat(limits::PORT_PARAMETERS_BYTES + 1);
    let started = PortMessage::EncodingStarted {
        encoding: ENCODING,
        track: TRACK,
        rung: 0,
        format: Format::of(Codec::Vp8),
        parameters: &parameters,
    };
    assert_eq!(started.encode(&mut out), None);
}

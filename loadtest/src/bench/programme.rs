//! Every scenario there is: a row each of the tables in `docs/performance.md`, or a small one for tests.

use sfu::time::Duration;

use super::floor::Mode;
use super::scenario::{Encoding, Kind, Media, Scenario};

/// 1 Mb/s at 30 frames a second.
const PICTURE: &[Encoding] = &[Encoding {
    rid: "",
    frame_packets: 4,
    payload_bytes: 1_040,
    height: 0,
}];

/// 4 Mb/s.
const LARGE_PICTURE: &[Encoding] = &[Encoding {
    rid: "",
    frame_packets: 16,
    payload_bytes: 1_040,
    height: 0,
}];

/// 20 ms of Opus.
const SOUND: &[Encoding] = &[Encoding {
    rid: "",
    frame_packets: 1,
    payload_bytes: 100,
    height: 0,
}];

/// 0.15, 0.4 and 1.2 Mb/s.
const SIMULCAST: &[Encoding] = &[
    Encoding {
        rid: "q",
        frame_packets: 1,
        payload_bytes: 625,
        height: 180,
    },
    Encoding {
        rid: "h",
        frame_packets: 2,
        payload_bytes: 833,
        height: 360,
    },
    Encoding {
        rid: "f",
        frame_packets: 5,
        payload_bytes: 1_000,
        height: 720,
    },
];

const VIDEO: Scenario = Scenario {
    name: "",
    about: "",
    publishers: 1,
    speakers: 1,
    viewers: 100,
    rooms: 1,
    kind: Kind::Forwarding,
    mutual: false,
    media: Media::Video,
    encodings: PICTURE,
    estimated: false,
    uneven: false,
    interval: Duration::from_micros(33_333),
    floor: Mode::Gather,
    gate: 1.5,
    aim: 1.2,
    latency_gate: None,
    last_gate: None,
};

const AUDIO: Scenario = Scenario {
    publishers: 100,
    speakers: 3,
    viewers: 0,
    mutual: true,
    media: Media::Audio,
    encodings: SOUND,
    interval: Duration::from_millis(20),
    floor: Mode::Sendmmsg,
    gate: 1.2,
    aim: 1.0,
    ..VIDEO
};

/// All of them.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "broadcast-100",
        about: "1 Mb/s video (30 x 4 packets) to 100",
        ..VIDEO
    },
    Scenario {
        name: "broadcast-500",
        about: "1 Mb/s video to 500",
        viewers: 500,
        ..VIDEO
    },
    Scenario {
        name: "broadcast-uneven-100",
        about: "1 Mb/s video to 100, the last two packets of a frame a byte longer",
        uneven: true,
        ..VIDEO
    },
    Scenario {
        name: "broadcast-4m-50",
        about: "4 Mb/s video (30 x 16 packets) to 50",
        viewers: 50,
        encodings: LARGE_PICTURE,
        ..VIDEO
    },
    Scenario {
        name: "conference-10",
        about: "10 send pictures in three sizes and see one large and eight small ones; estimation on",
        publishers: 10,
        speakers: 10,
        viewers: 0,
        mutual: true,
        encodings: SIMULCAST,
        estimated: true,
        gate: 1.8,
        aim: 1.3,
        ..VIDEO
    },
    Scenario {
        name: "audio-room-100",
        about: "100 in a room, all send sound, the 3 loudest are forwarded",
        ..AUDIO
    },
    Scenario {
        name: "audio-forward-100",
        about: "one sound of 50 packets a second to 100",
        publishers: 1,
        speakers: 1,
        viewers: 100,
        mutual: false,
        gate: 1.3,
        ..AUDIO
    },
    Scenario {
        name: "audio-forward-20",
        about: "the same to 20",
        publishers: 1,
        speakers: 1,
        viewers: 20,
        mutual: false,
        gate: 1.3,
        ..AUDIO
    },
    Scenario {
        name: "idle-1000",
        about: "1,000 receive-only participants in rooms of 100, where nobody sends",
        publishers: 0,
        viewers: 1_000,
        rooms: 10,
        kind: Kind::Idle,
        ..VIDEO
    },
    Scenario {
        name: "idle-10000",
        about: "10,000 of them",
        publishers: 0,
        viewers: 10_000,
        rooms: 100,
        kind: Kind::Idle,
        ..VIDEO
    },
    Scenario {
        name: "join-storm-500",
        about: "1 Mb/s video to 20; then 500 more join within a second",
        viewers: 520,
        kind: Kind::Storm { newcomers: 500 },
        ..VIDEO
    },
    Scenario {
        name: "join-storm-50",
        about: "the same with 50 in a tenth of a second",
        viewers: 70,
        kind: Kind::Storm { newcomers: 50 },
        ..VIDEO
    },
    Scenario {
        name: "loss-100",
        about: "1 Mb/s video to 100, each of whom loses 2 % and asks for it again",
        kind: Kind::Loss { per_mille: 20 },
        ..VIDEO
    },
    Scenario {
        name: "loss-10",
        about: "the same to 10",
        viewers: 10,
        kind: Kind::Loss { per_mille: 20 },
        ..VIDEO
    },
    Scenario {
        name: "hot-room",
        about: "1 Mb/s video to 100, half of them on a second shard: all threads, beside one shard; \
                received over loopback, both shards on one core",
        kind: Kind::Spread { shards: 2 },
        ..VIDEO
    },
    Scenario {
        name: "hot-room-500",
        about: "the same to 500",
        viewers: 500,
        kind: Kind::Spread { shards: 2 },
        ..VIDEO
    },
    Scenario {
        name: "hot-room-10",
        about: "the same to 10",
        viewers: 10,
        kind: Kind::Spread { shards: 2 },
        ..VIDEO
    },
    Scenario {
        name: "latency-1",
        about: "1 Mb/s video to one: median latency above the floor's",
        viewers: 1,
        gate: f64::INFINITY,
        aim: f64::INFINITY,
        latency_gate: Some(Duration::from_micros(30)),
        ..VIDEO
    },
    Scenario {
        name: "latency-100",
        about: "1 Mb/s video to 100: the median until the last of them has a frame",
        gate: f64::INFINITY,
        aim: f64::INFINITY,
        last_gate: Some(Duration::from_micros(1_500)),
        ..VIDEO
    },
    Scenario {
        name: "latency-loaded",
        about: "the same in each of 17 rooms, one after the other: about half of a core",
        publishers: 17,
        speakers: 17,
        viewers: 1_700,
        rooms: 17,
        gate: f64::INFINITY,
        aim: f64::INFINITY,
        last_gate: Some(Duration::from_micros(1_500)),
        ..VIDEO
    },
];

//! What is measured: who publishes what to how many, against which floor, and what counts as good.

use sfu::time::Duration;

use super::floor::Mode;
use super::idle::ROOM_PARTICIPANTS;

/// A kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// Frames of several packets.
    Video,
    /// One small packet at a time, with its level in the clear.
    Audio,
}

/// One row of the table in `docs/performance.md`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    /// As it is asked for.
    pub(super) name: &'static str,
    /// In one line.
    pub(super) about: &'static str,
    /// The first of the peers publish.
    pub(super) publishers: usize,
    /// The loud ones among them, whose packets are forwarded.
    pub(super) speakers: usize,
    /// Everybody is in rooms of so many, in their order.
    pub(super) room_participants: usize,
    /// Nothing is sent: what is measured is being there.
    pub(super) idle: bool,
    /// Who receives and does not publish.
    pub(super) viewers: usize,
    /// Publishers receive, too: all but their own.
    pub(super) mutual: bool,
    pub(super) media: Media,
    /// Packets of a frame.
    pub(super) frame_packets: u16,
    /// Bytes of a packet's RTP payload.
    pub(super) payload_bytes: usize,
    /// The last packets of a frame are one byte longer than the first, as libwebrtc splits it.
    pub(super) uneven: bool,
    /// Between two frames.
    pub(super) interval: Duration,
    /// The best way to forward it with nothing around.
    pub(super) floor: Mode,
    /// CPU of a forwarded packet, as a multiple of the floor's: at most.
    pub(super) gate: f64,
    /// What is hoped for.
    pub(super) aim: f64,
    /// Medians of latency may be so far above the floor's; none: reported alone.
    pub(super) latency_gate: Option<Duration>,
}

const VIDEO: Scenario = Scenario {
    name: "",
    about: "",
    publishers: 1,
    speakers: 1,
    viewers: 100,
    room_participants: usize::MAX,
    idle: false,
    mutual: false,
    media: Media::Video,
    frame_packets: 4,
    payload_bytes: 1_040,
    uneven: false,
    interval: Duration::from_micros(33_333),
    floor: Mode::Gather,
    gate: 1.5,
    aim: 1.2,
    latency_gate: None,
};

const AUDIO: Scenario = Scenario {
    publishers: 100,
    speakers: 3,
    viewers: 0,
    mutual: true,
    media: Media::Audio,
    frame_packets: 1,
    payload_bytes: 100,
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
        frame_packets: 16,
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
        room_participants: ROOM_PARTICIPANTS,
        idle: true,
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
];

impl Scenario {
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }

    /// Everybody.
    pub(super) const fn peers(&self) -> usize {
        self.publishers + self.viewers
    }

    /// Packets that are to arrive for each frame of each of the speakers.
    pub(super) fn copies(&self) -> usize {
        let others = if self.mutual { self.publishers - 1 } else { 0 };
        usize::from(self.frame_packets) * (self.viewers + others)
    }

    /// Bytes of RTP payload of packet `index` of a frame.
    pub(super) fn payload_bytes(&self, index: u16) -> usize {
        self.payload_bytes + usize::from(self.uneven && index * 2 >= self.frame_packets)
    }
}

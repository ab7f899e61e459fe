//! What is measured: who publishes what to how many, against which floor, and what counts as good.
//! All there is stands in `programme`.

use sfu::time::Duration;

use super::floor::Mode;
use super::programme::SCENARIOS;

/// A kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// Frames of several packets.
    Video,
    /// One small packet at a time, with its level in the clear.
    Audio,
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What a forwarded packet costs.
    Forwarding,
    /// What being there costs, where nothing is sent.
    Idle,
    /// What it costs that the last of the viewers, so many, join at once.
    Storm {
        /// They.
        newcomers: usize,
    },
    /// What a repeat costs where so many of 1,000 packets are lost, and how many of these come back.
    Loss {
        /// They.
        per_mille: u32,
    },
    /// What it costs more that the room is on so many shards, beside the same room on one.
    Spread {
        /// They.
        shards: usize,
    },
}

/// One encoding of what somebody publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoding {
    /// Its restriction identifier; empty where there is one encoding only.
    pub(super) rid: &'static str,
    /// Packets of a frame.
    pub(super) frame_packets: u16,
    /// Bytes of a packet's RTP payload.
    pub(super) payload_bytes: usize,
    /// Lines of the picture; 0: not told.
    pub(super) height: u16,
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
    /// Publishers and viewers are dealt out to so many rooms.
    pub(super) rooms: usize,
    pub(super) kind: Kind,
    /// Who receives and does not publish.
    pub(super) viewers: usize,
    /// Publishers receive, too: all but their own.
    pub(super) mutual: bool,
    pub(super) media: Media,
    /// What each publishes, the lowest first.
    pub(super) encodings: &'static [Encoding],
    /// Peers tell what arrives (transport-wide feedback), so that paths are known to the server.
    pub(super) estimated: bool,
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
    /// The median until the last peer has a frame may be so high; none: reported alone.
    pub(super) last_gate: Option<Duration>,
}

impl Scenario {
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }

    /// Everybody.
    pub(super) const fn peers(&self) -> usize {
        self.publishers + self.viewers
    }

    /// The room of peer `number`.
    pub(super) const fn room(&self, number: usize) -> usize {
        let place = if number < self.publishers {
            number
        } else {
            number - self.publishers
        };
        place % self.rooms
    }

    /// The most that are in one room.
    pub(super) const fn room_participants(&self) -> usize {
        self.publishers.div_ceil(self.rooms) + self.viewers.div_ceil(self.rooms)
    }

    /// Which encoding of `publisher` peer `number` is to be shown. Where there are several,
    /// everybody sees one large: the next one's; of the others the smallest.
    pub(super) fn shown(&self, number: usize, publisher: usize) -> Option<usize> {
        let receives = self.mutual || number >= self.publishers;
        let forwarded = publisher < self.speakers && number != publisher;
        if !receives || !forwarded || self.room(number) != self.room(publisher) {
            return None;
        }
        if let [_one] = self.encodings {
            return Some(0);
        }
        let is_large = publisher == (number + 1) % self.publishers;
        Some(if is_large {
            self.encodings.len() - 1
        } else {
            0
        })
    }

    /// Packets that are to arrive for a frame of `publisher`.
    pub(super) fn copies(&self, publisher: usize) -> u64 {
        let shown = (0..self.peers()).filter_map(|number| self.shown(number, publisher));
        let encodings = shown.filter_map(|place| self.encodings.get(place));
        encodings.map(|it| u64::from(it.frame_packets)).sum()
    }

    /// Whether frames come in several packets.
    pub(super) fn gathers(&self) -> bool {
        self.encodings.iter().any(|it| it.frame_packets > 1)
    }

    /// Bytes of RTP payload of packet `index` of a frame.
    pub(super) fn payload_bytes(&self, encoding: &Encoding, index: u16) -> usize {
        let longer = self.uneven && index * 2 >= encoding.frame_packets;
        encoding.payload_bytes + usize::from(longer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_in_a_conference_sees_one_large_and_eight_small_pictures() {
        let scenario = Scenario::find("conference-10").unwrap();
        for number in 0..10 {
            let shown = (0..10).filter_map(|publisher| scenario.shown(number, publisher));
            let mut shown: Vec<usize> = shown.collect();
            shown.sort_unstable();
            assert_eq!(shown, [0, 0, 0, 0, 0, 0, 0, 0, 2]);
            assert_eq!(scenario.copies(number), 8 + 5);
        }
    }

    #[test]
    fn what_is_to_arrive_follows_from_who_sees_whom() {
        for (name, copies) in [
            ("broadcast-100", 400),
            ("broadcast-4m-50", 800),
            ("audio-room-100", 99),
            ("audio-forward-20", 20),
            ("latency-loaded", 400),
        ] {
            assert_eq!(Scenario::find(name).unwrap().copies(0), copies, "{name}");
        }
        let quiet = Scenario::find("audio-room-100").unwrap().copies(3);
        assert_eq!(quiet, 0);
    }
}

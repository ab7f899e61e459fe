//! What peers received: counted, its times taken, a sample of it opened and looked into.

use sfu::time::Duration;

use super::peer::Peer;
use super::publication::{Label, MARKER, Publication, label};
use crate::report::Histogram;

/// One packet in so many of a peer's is opened and looked into.
const SAMPLE_EVERY: u64 = 64;

/// What arrived.
#[derive(Clone, Debug, Default)]
pub(super) struct Received {
    pub(super) packets: u64,
    /// Sequence numbers that were passed over and did not come later.
    pub(super) lost: u64,
    /// Opened.
    pub(super) samples: u64,
    /// Of them those that could not be opened, or were not what their number said.
    pub(super) spoiled: u64,
    /// Packets of repair streams: repeats, and padding that probes a path.
    pub(super) repairs: u64,
    /// Receive calls that gave something.
    pub(super) calls: u64,
    /// From sending to the end of the receive call.
    pub(super) latency: Histogram,
    /// The same of the last of all peers, for the last packet of each frame.
    last: Last,
}

/// The last arrivals of packets that are still arriving, and the finished ones' latency.
#[derive(Clone, Debug, Default)]
struct Last {
    /// By stream; few at a time.
    open: Vec<(Label, Duration)>,
    done: Histogram,
}

/// Of a stream so many packets may be on their way at the same time.
const OPEN_MAX: usize = 64;

impl Last {
    fn add(&mut self, label: Label, latency: Duration) {
        if let Some((_, last)) = self.open.iter_mut().rfind(|(open, _)| *open == label) {
            *last = latency.max(*last);
            return;
        }
        if self.open.len() >= OPEN_MAX {
            let (_, latency) = self.open.remove(0);
            self.done.add(latency);
        }
        self.open.push((label, latency));
    }

    fn all(&self) -> Histogram {
        let mut all = self.done.clone();
        for &(_, latency) in &self.open {
            all.add(latency);
        }
        all
    }
}

/// How a packet came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// Since the fleet's epoch.
    pub(super) at: Duration,
    /// Its latency counts.
    pub(super) is_timed: bool,
}

/// Numbers that did not come before a later one did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PassedOver {
    from: u16,
    count: u16,
}

impl PassedOver {
    const fn len(self) -> u16 {
        self.count
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u16> {
        (0..self.count).map(move |it| self.from.wrapping_add(it))
    }
}

/// One SSRC as one peer receives it.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) ssrc: u32,
    /// Its first packet came.
    pub(super) since: Duration,
    next: u16,
    packets: u64,
    /// Which stream's packets these are, and how far their numbers are shifted; from the first sample.
    shift: Option<(usize, u16)>,
}

impl Received {
    /// From sending a frame's last packet until the last peer has it.
    pub(super) fn last(&self) -> Histogram {
        self.last.all()
    }

    pub(super) fn take(
        &mut self,
        arrival: Arrival,
        peer: &mut Peer,
        streams: &mut Vec<Stream>,
        bytes: &mut [u8],
        publication: &Publication,
    ) -> PassedOver {
        let Some(&[_, second, q0, q1, _, _, _, _, s0, s1, s2, s3]) = bytes.first_chunk() else {
            return PassedOver::default();
        };
        let (sequence, ssrc) = (
            u16::from_be_bytes([q0, q1]),
            u32::from_be_bytes([s0, s1, s2, s3]),
        );
        let known = streams.iter().position(|stream| stream.ssrc == ssrc);
        let place = known.unwrap_or(streams.len());
        if known.is_none() {
            streams.push(Stream {
                ssrc,
                since: arrival.at,
                next: sequence,
                packets: 0,
                shift: None,
            });
        }
        let Some(stream) = streams.get_mut(place) else {
            return PassedOver::default();
        };
        self.packets += 1;
        let passed_over = stream.gap(sequence);
        self.lost += u64::from(passed_over.len());
        let sampled = stream.packets.is_multiple_of(SAMPLE_EVERY);
        stream.packets += 1;
        if sampled {
            self.samples += 1;
            let length = peer.open_packet(bytes);
            let plain = length.and_then(|length| bytes.get(..length));
            let right = plain
                .and_then(label)
                .is_some_and(|label| stream.agrees(sequence, label));
            self.spoiled += u64::from(!right);
        }
        let label = stream.label(sequence);
        let sent_at = label.and_then(|label| Some((label, publication.sent_at(label)?)));
        if let Some((label, sent_at)) = sent_at.filter(|_| arrival.is_timed) {
            let latency = arrival.at.saturating_sub(sent_at);
            self.latency.add(latency);
            if second & MARKER != 0 {
                self.last.add(label, latency);
            }
        }
        passed_over
    }
}

impl Stream {
    /// Forgets whose packets these were.
    pub(super) const fn learn_anew(&mut self) {
        (self.shift, self.packets) = (None, 0);
    }

    /// Which numbers `sequence` passes over; what is late fills none.
    fn gap(&mut self, sequence: u16) -> PassedOver {
        let (from, ahead) = (self.next, sequence.wrapping_sub(self.next));
        if ahead >= 1 << 15 {
            return PassedOver::default();
        }
        self.next = sequence.wrapping_add(1);
        PassedOver { from, count: ahead }
    }

    /// Whether a sample is what the samples before it promised.
    fn agrees(&mut self, sequence: u16, label: Label) -> bool {
        let shift = (label.stream, sequence.wrapping_sub(label.sequence));
        *self.shift.get_or_insert(shift) == shift
    }

    /// Which packet has this number.
    pub(super) fn label(&self, sequence: u16) -> Option<Label> {
        self.shift.map(|(stream, shift)| Label {
            stream,
            sequence: sequence.wrapping_sub(shift),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_what_lies_between_and_what_is_late_makes_none() {
        let mut stream = Stream {
            ssrc: 1,
            since: Duration::ZERO,
            next: 65_534,
            packets: 0,
            shift: None,
        };
        for (sequence, expected) in [
            (65_534, vec![]),
            (1, vec![65_535, 0]),
            (0, vec![]),
            (2, vec![]),
        ] {
            let passed_over: Vec<u16> = stream.gap(sequence).iter().collect();
            assert_eq!(passed_over, expected, "{sequence}");
        }
    }

    #[test]
    fn the_last_of_all_peers_counts_and_each_packet_once() {
        let mut last = Last::default();
        for sequence in 0..200 {
            for latency in [3, 9, 5] {
                let label = Label {
                    stream: 0,
                    sequence,
                };
                last.add(label, Duration::from_millis(latency));
            }
        }
        let all = last.all();
        assert_eq!(all.count(), 200);
        assert_eq!(all.quantile(1), Duration::from_millis(9));
    }
}

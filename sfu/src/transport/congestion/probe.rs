//! Probes: a few packets sent faster than the target, whose arrival tells whether more would fit.

use crate::time::{Duration, Instant};
use crate::units::Bitrate;

/// A probe and the media beside it are what the target carries in this time: that long the queue
/// will be if nothing of it fits.
const COST: f64 = 0.020;
/// At least this long, for the clocks' ticks,
const SPAN_MIN: f64 = 0.006;
/// and so many times the path's jitter, or chance decides what is read, as long as no more is sent
/// than the target carries in this time.
const SPAN_NOISES: f64 = 12.0;
const COST_NOISY: f64 = 0.040;
/// Packets of a probe, at least: fewer say nothing about a rate.
const PACKETS_MIN: u32 = 5;
/// Bytes of one packet on the wire, at most and at least.
const PACKET_BYTES: (u32, u32) = (200, 1_200);
/// A probe that was told of no more for this long beyond the round trip is evaluated as it is.
const PATIENCE: Duration = Duration::from_millis(250);
/// Arrived slower than sent by this factor, it met the bottleneck.
const SATURATED: f64 = 0.9;

/// Arrived faster than sent by this factor on a path without jitter, it was read in one go by a busy
/// receiver: when the first of it came is not known, and so nothing is.
const PRESSED: f64 = 4.0;

/// What the edge is asked to send: retransmissions or padding, at `rate`, marked by `id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Given back with each of its packets ([`super::Estimator::sent`]); never 0.
    pub id: u32,
    /// How fast, beside the media.
    pub rate: Bitrate,
    /// How much, in wire bytes, beside the media.
    pub bytes: u32,
    /// In packets of about this size.
    pub packet_bytes: u32,
}

/// What a probe found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Found {
    /// Bits per second that went through.
    pub(super) rate: f64,
    /// It met the bottleneck: more would not go through.
    pub(super) is_saturated: bool,
}

/// The probe that is on its way.
#[derive(Debug)]
struct Flight {
    probe: Probe,
    until: Instant,
    /// Of the probe's own bytes, how many left.
    own: u32,
    /// Sent and told, media beside it included.
    sent_bytes: u32,
    told: u32,
    arrived: u32,
    bytes: u32,
    /// Of arrived packets: first and last by our clock, the bytes of the last, which no span covers.
    sent: Option<(Instant, Instant, u32)>,
    line: Line,
}

/// How long a byte takes to leave and to arrive: the slopes of both times over the bytes so far, by
/// least squares. First and last alone would be pulled apart by jitter, and so read every path as
/// narrow.
#[derive(Debug, Default)]
struct Line {
    /// The first packet, by our clock and by theirs (µs).
    origin: Option<(Instant, i64)>,
    bytes: f64,
    count: f64,
    /// Sums: of bytes and their squares, of times, and of their products with bytes.
    along: (f64, f64),
    sent: (f64, f64),
    arrived: (f64, f64),
}

impl Line {
    fn add(&mut self, bytes: u32, sent_at: Instant, arrived: i64) {
        let (first, first_arrived) = *self.origin.get_or_insert((sent_at, arrived));
        let sent = sent_at.since(first).as_secs_f64() - first.since(sent_at).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a span of milliseconds")]
        let arrived = (arrived - first_arrived) as f64 / 1e6;
        self.bytes += f64::from(bytes);
        self.count += 1.0;
        self.along.0 += self.bytes;
        self.along.1 += self.bytes * self.bytes;
        self.sent.0 += sent;
        self.sent.1 += sent * self.bytes;
        self.arrived.0 += arrived;
        self.arrived.1 += arrived * self.bytes;
    }

    /// Seconds a byte took to leave, and to arrive.
    fn slopes(&self) -> (f64, f64) {
        let spread = (self.count * self.along.1 - self.along.0 * self.along.0).max(1.0);
        let slope = |(sum, product): (f64, f64)| {
            ((self.count * product - self.along.0 * sum) / spread).max(1e-9)
        };
        (slope(self.sent), slope(self.arrived))
    }
}

/// Sends one probe at a time and reads it.
#[derive(Debug, Default)]
pub(super) struct Prober {
    flight: Option<Flight>,
    last_id: u32,
}

impl Prober {
    /// Begins a probe of `goal` bits per second in all, beside media of `media`; `target` is what
    /// is known to fit, `noise` the path's jitter in µs.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is positive; casts of floats saturate"
    )]
    pub(super) fn begin(
        &mut self,
        now: Instant,
        target: f64,
        goal: f64,
        (media, noise): (f64, f64),
        rtt: Duration,
    ) -> Probe {
        self.last_id = self.last_id.wrapping_add(1).max(1);
        let rate = (goal - media).max(goal * 0.3);
        let carried = target / goal.max(1.0);
        let noisy = (noise * SPAN_NOISES / 1e6).min(carried * COST_NOISY);
        let lasts = (carried * COST).max(SPAN_MIN).max(noisy);
        let (least, most) = PACKET_BYTES;
        let bytes = ((rate * lasts / 8.0) as u32).max(PACKETS_MIN * least);
        let probe = Probe {
            id: self.last_id,
            rate: Bitrate::from_bps(rate as u64),
            bytes,
            packet_bytes: (bytes / PACKETS_MIN).clamp(least, most),
        };
        let lasts = Duration::from_secs_f64(f64::from(bytes) * 8.0 / rate.max(1_000.0));
        self.flight = Some(Flight {
            probe,
            until: now + lasts + rtt + PATIENCE,
            own: 0,
            sent_bytes: 0,
            told: 0,
            arrived: 0,
            bytes: 0,
            sent: None,
            line: Line::default(),
        });
        probe
    }

    /// Whether one is on its way.
    pub(super) const fn is_busy(&self) -> bool {
        self.flight.is_some()
    }

    /// A packet left, of probe `id` or of media (0). Media between the probe's packets belongs to
    /// what is measured: the id that the packet is to be remembered by.
    pub(super) fn sent(&mut self, id: u32, bytes: u32) -> u32 {
        let Some(flight) = self.flight.as_mut() else {
            return 0;
        };
        let is_own = id == flight.probe.id;
        if is_own {
            flight.own += bytes;
        } else if flight.own == 0 || flight.own >= flight.probe.bytes {
            return 0;
        }
        flight.sent_bytes += bytes;
        flight.probe.id
    }

    /// A packet of probe `id` was told of: sent then, arrived then (µs by the receiver) or lost.
    pub(super) fn told(&mut self, id: u32, bytes: u32, sent_at: Instant, arrived: Option<i64>) {
        let Some(flight) = self.flight.as_mut().filter(|flight| flight.probe.id == id) else {
            return;
        };
        flight.told += bytes;
        let Some(at) = arrived else { return };
        flight.arrived += 1;
        flight.bytes += bytes;
        flight.sent = Some(match flight.sent {
            None => (sent_at, sent_at, bytes),
            Some((first, last, size)) if sent_at < last => (first.min(sent_at), last, size),
            Some((first, _, _)) => (first, sent_at, bytes),
        });
        flight.line.add(bytes, sent_at, at);
    }

    /// What was found, once all is told or the time is up. On a `steady` path, one without jitter,
    /// packets that come pressed together say nothing.
    pub(super) fn take(&mut self, now: Instant, steady: bool) -> Option<Option<Found>> {
        let flight = self.flight.as_ref()?;
        let is_whole = flight.own >= flight.probe.bytes && flight.told >= flight.sent_bytes;
        if !is_whole && now < flight.until {
            return None;
        }
        let flight = self.flight.take()?;
        Some(read(&flight, steady))
    }

    /// Gives up what is on its way.
    pub(super) fn clear(&mut self) {
        self.flight = None;
    }
}

/// The rate that a flight showed, if enough of it arrived.
fn read(flight: &Flight, steady: bool) -> Option<Found> {
    if flight.arrived < PACKETS_MIN - 1
        || u64::from(flight.bytes) * 10 < u64::from(flight.sent_bytes) * 7
    {
        return None;
    }
    let (first, last, last_bytes) = flight.sent?;
    let out = last.since(first).as_secs_f64().max(1e-4);
    let sent = f64::from(flight.bytes - last_bytes) * 8.0 / out;
    let (left, arrived) = flight.line.slopes();
    if steady && arrived * PRESSED < left {
        return None;
    }
    // Faster than it was sent it cannot have gone: jitter pressed it together.
    Some(Found {
        rate: sent.min(8.0 / arrived),
        is_saturated: arrived * SATURATED > left,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flown(sent_every: u64, arrived_every: i64, lost: usize) -> Option<Option<Found>> {
        let mut prober = Prober::default();
        let rtt = Duration::from_millis(50);
        let probe = prober.begin(Instant::ZERO, 1.5e6, 2e6, (0.0, 0.0), rtt);
        assert_eq!((probe.id, probe.bytes, probe.packet_bytes), (1, 3_750, 750));
        for packet in 0..5_u64 {
            assert_eq!(prober.sent(1, 750), 1);
            let at = Instant::from_micros(packet * sent_every);
            let arrived = 100_000 + i64::try_from(packet).unwrap() * arrived_every;
            let is_lost = usize::try_from(packet).unwrap() < lost;
            prober.told(1, 750, at, (!is_lost).then_some(arrived));
        }
        assert_eq!(prober.sent(0, 750), 0, "media after it");
        prober.take(Instant::from_millis(100), true)
    }

    #[test]
    fn a_probe_reads_what_went_through() {
        let clear = flown(3_000, 3_000, 0).flatten().unwrap();
        assert!(
            (clear.rate - 2e6).abs() < 1e3 && !clear.is_saturated,
            "{clear:?}"
        );
        let full = flown(3_000, 6_000, 0).flatten().unwrap();
        assert!(
            (full.rate - 1e6).abs() < 1e3 && full.is_saturated,
            "{full:?}"
        );
        let pressed = flown(3_000, 1_000, 0).flatten().unwrap();
        assert!((pressed.rate - 2e6).abs() < 1e3, "{pressed:?}");
        assert_eq!(flown(3_000, 500, 0), Some(None), "read in one go");
        assert_eq!(flown(3_000, 3_000, 2), Some(None), "too little arrived");
    }

    #[test]
    fn a_probe_nobody_tells_of_ends_by_itself() {
        let mut prober = Prober::default();
        let probe = prober.begin(
            Instant::ZERO,
            0.5e6,
            1e6,
            (0.5e6, 0.0),
            Duration::from_millis(50),
        );
        assert_eq!(prober.sent(0, 1_200), 0, "media before it");
        assert_eq!(prober.sent(probe.id, 375), probe.id);
        assert_eq!(prober.sent(0, 1_200), probe.id, "media beside it");
        assert_eq!(prober.take(Instant::from_millis(300), true), None);
        assert_eq!(prober.take(Instant::from_millis(400), true), Some(None));
        assert!(!prober.is_busy());
    }
}

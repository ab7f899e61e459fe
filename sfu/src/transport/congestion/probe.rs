//! Probes: a few packets sent faster than the target, whose arrival tells whether more would fit.

use crate::time::{Duration, Instant};
use crate::units::Bitrate;

/// A probe and the media beside it are what the target carries in this time: that long the queue
/// will be if nothing of it fits.
const COST: f64 = 0.020;
/// At least this long, for the clocks' ticks.
const SPAN_MIN: f64 = 0.006;
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
    /// Of arrived packets: first and last, by our clock and by theirs (µs); the bytes of the last
    /// sent and of the first arrived, which no span covers.
    sent: Option<(Instant, Instant, u32)>,
    received: Option<(i64, i64, u32)>,
}

/// Sends one probe at a time and reads it.
#[derive(Debug, Default)]
pub(super) struct Prober {
    flight: Option<Flight>,
    last_id: u32,
}

impl Prober {
    /// Begins a probe of `goal` bits per second in all, beside media of `media`; `target` is what
    /// is known to fit.
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
        media: f64,
        rtt: Duration,
    ) -> Probe {
        self.last_id = self.last_id.wrapping_add(1).max(1);
        let rate = (goal - media).max(goal * 0.3);
        let lasts = (target * COST / goal.max(1.0)).max(SPAN_MIN);
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
            received: None,
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
        flight.received = Some(match flight.received {
            None => (at, at, bytes),
            Some((first, last, _)) if at < first => (at, last, bytes),
            Some((first, last, size)) => (first, last.max(at), size),
        });
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
    let (sent_first, sent_last, last_bytes) = flight.sent?;
    let (first, last, first_bytes) = flight.received?;
    let out = sent_last.since(sent_first).as_secs_f64().max(1e-4);
    #[expect(clippy::cast_precision_loss, reason = "a span of milliseconds")]
    let back = ((last - first) as f64 / 1e6).max(1e-4);
    let sent = f64::from(flight.bytes - last_bytes) * 8.0 / out;
    let received = f64::from(flight.bytes - first_bytes) * 8.0 / back;
    if steady && received > sent * PRESSED {
        return None;
    }
    // Faster than it was sent it cannot have gone: jitter pressed it together.
    Some(Found {
        rate: sent.min(received),
        is_saturated: received < sent * SATURATED,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flown(sent_every: u64, arrived_every: i64, lost: usize) -> Option<Option<Found>> {
        let mut prober = Prober::default();
        let rtt = Duration::from_millis(50);
        let probe = prober.begin(Instant::ZERO, 1.5e6, 2e6, 0.0, rtt);
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
        let probe = prober.begin(Instant::ZERO, 0.5e6, 1e6, 0.5e6, Duration::from_millis(50));
        assert_eq!(prober.sent(0, 1_200), 0, "media before it");
        assert_eq!(prober.sent(probe.id, 375), probe.id);
        assert_eq!(prober.sent(0, 1_200), probe.id, "media beside it");
        assert_eq!(prober.take(Instant::from_millis(300), true), None);
        assert_eq!(prober.take(Instant::from_millis(400), true), Some(None));
        assert!(!prober.is_busy());
    }
}

//! The receiving side of one RTP stream: order, loss, jitter, its report block, its history, what
//! it misses and who waits for its key frame.
//!
//! Sequence numbers are unwrapped to 64 bits here, once; everything behind works with those. A
//! retransmission (RFC 4588) fills a gap of the original stream and is never counted as received:
//! the report block tells of the network, not of the repair.

use arrayvec::ArrayVec;

use crate::error::DropReason;
use crate::id::{MemberKey, Rid, TrackKey};
use crate::limits::{GATHER_AUDIO, GATHER_VIDEO, HOLD_PACKETS};
use crate::router::decode_target::Frames;
use crate::router::foresight::KeyframeSize;
use crate::router::history::History;
use crate::router::keyframe::{KeyframeGate, KeyframeHead};
use crate::router::nack::{NackList, Repair};
use crate::router::orders::Order;
use crate::router::rates::Rates;
use crate::router::selector::Flow;
use crate::sdp::negotiate::MediaPlan;
use crate::time::{Duration, Instant, NtpTime};
use crate::units::MediaKind;
use crate::wire::rtcp::ReportBlock;
use crate::wire::sequence::SequenceUnwrapper;

/// A jump of more packets than this is a restart, not a loss (RFC 3550 A.1, MAX_DROPOUT).
const DROPOUT_MAX: u64 = 3_000;

/// Which stream of its track it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Named by its rid.
    Rid(Rid),
    /// Declared in SDP by its SSRC.
    Declared,
    /// The m-line's only one, known by mid or payload type.
    Only,
}

impl Origin {
    /// Whether an m-line that was negotiated as `plan` has such a stream. One that was declared
    /// gives way only to another that is.
    pub(super) fn is_in(self, plan: &MediaPlan) -> bool {
        match self {
            Self::Rid(rid) => plan.rids.contains(&rid),
            Self::Declared => true,
            Self::Only => plan.rids.is_empty(),
        }
    }
}

/// A publisher's sender report.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClockReport {
    pub(super) ntp: NtpTime,
    pub(super) rtp: u32,
    pub(super) arrived_at: Instant,
}

/// How a packet stands to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Newer than all.
    New(u64),
    /// Fills a gap.
    Late(u64),
}

/// One RTP stream of a track.
#[derive(Debug)]
pub(super) struct Encoding {
    pub(super) track: TrackKey,
    pub(super) member: MemberKey,
    pub(super) kind: MediaKind,
    /// Tells this stream from an earlier one in the same place.
    pub(super) serial: u32,
    pub(super) origin: Origin,
    /// Its name among the rungs of its track, also where its SSRC was declared: Firefox declares both.
    pub(super) rid: Option<Rid>,
    pub(super) ssrc: u32,
    pub(super) history: History,
    pub(super) nack: NackList,
    pub(super) keyframe: KeyframeGate,
    pub(super) head: KeyframeHead,
    /// RTP timestamp of the newest key frame.
    pub(super) keyframe_at: Option<u32>,
    pub(super) keyframe_size: KeyframeSize,
    pub(super) flow: Flow,
    pub(super) rates: Rates,
    /// What its publisher was asked for.
    pub(super) order: Order,
    pub(super) frames: Frames,
    /// Packets gathered, not offered to sections yet.
    pub(super) held: ArrayVec<u64, HOLD_PACKETS>,
    /// When what is held leaves at the latest.
    pub(super) hold_due: Option<Instant>,
    pub(super) clock: Option<ClockReport>,
    /// Timestamp and arrival of the newest packet with a payload.
    pub(super) newest: Option<(u32, Instant)>,
    /// The newest packet a decoder can start with.
    pub(super) newest_start: Option<u64>,
    /// Video orientation as last said; browsers say it rarely.
    pub(super) orientation: Option<u8>,
    /// Lost of what was due in the time of the last report block, in 256ths.
    pub(super) lost_lately: u8,
    sequences: SequenceUnwrapper,
    reception: Reception,
}

impl Encoding {
    pub(super) fn new(
        (track, member): (TrackKey, MemberKey),
        kind: MediaKind,
        origin: Origin,
        ssrc: u32,
        serial: u32,
    ) -> Self {
        Self {
            track,
            member,
            kind,
            serial,
            origin,
            rid: None,
            ssrc,
            history: History::new(kind),
            nack: NackList::default(),
            keyframe: KeyframeGate::default(),
            head: KeyframeHead::default(),
            keyframe_at: None,
            keyframe_size: KeyframeSize::default(),
            flow: Flow::default(),
            rates: Rates::default(),
            order: Order::default(),
            frames: Frames::default(),
            held: ArrayVec::new(),
            hold_due: None,
            clock: None,
            newest: None,
            newest_start: None,
            orientation: None,
            sequences: SequenceUnwrapper::default(),
            lost_lately: 0,
            reception: Reception::default(),
        }
    }

    /// The place is taken over by another stream. The history must have been cleared.
    pub(super) fn restart(&mut self, ssrc: u32, serial: u32) {
        self.ssrc = ssrc;
        self.serial = serial;
        self.nack.clear();
        self.head = KeyframeHead::default();
        self.rates.forget();
        self.frames.forget();
        self.held.clear();
        self.hold_due = None;
        self.clock = None;
        self.newest = None;
        self.newest_start = None;
        self.sequences = SequenceUnwrapper::default();
        self.reception = Reception::default();
    }

    /// A packet of the stream itself. `repairs`: gaps are worth asking for.
    ///
    /// # Errors
    /// `Duplicate`, `TooLate`.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        number: u16,
        repairs: bool,
    ) -> Result<Arrival, DropReason> {
        let sequence = self.sequences.peek(number);
        let arrival = match self.sequences.newest() {
            Some(newest) if sequence <= newest => self.fill(sequence, newest)?,
            newest => {
                self.sequences.unwrap(number);
                if let Some(newest) = newest {
                    self.jumped(now, newest + 1, sequence, repairs);
                }
                self.nack.count_packet();
                Arrival::New(sequence)
            }
        };
        self.reception.count(sequence);
        Ok(arrival)
    }

    /// A retransmission of packet `number`.
    ///
    /// # Errors
    /// `Duplicate` where it was not missed, `TooLate` where it is out of reach.
    pub(super) fn repair(&mut self, number: u16) -> Result<Arrival, DropReason> {
        let sequence = self.sequences.peek(number);
        match self.sequences.newest() {
            Some(newest) if sequence <= newest => self.fill(sequence, newest),
            // Nothing newer can have been asked for; the original is what counts.
            Some(_) | None => Err(DropReason::TooLate),
        }
    }

    /// A copy of packet `sequence` came within a newer one.
    ///
    /// # Errors
    /// As [`Encoding::repair`].
    pub(super) fn recover(&mut self, sequence: u64) -> Result<(), DropReason> {
        let newest = self.sequences.newest().ok_or(DropReason::TooLate)?;
        self.fill(sequence, newest).map(|_| ())
    }

    /// The newest sequence received.
    pub(super) const fn newest_sequence(&self) -> Option<u64> {
        self.sequences.newest()
    }

    /// Jitter by RFC 3550 A.8, of packets in order.
    pub(super) fn measure(&mut self, arrived_at: Instant, timestamp: u32, clock_rate: u32) {
        self.reception.measure(arrived_at, timestamp, clock_rate);
    }

    /// By how much, in microseconds, the picture of `timestamp` was taken after one of another
    /// encoding of the same publisher; none: reports of both have not come.
    pub(super) fn taken_after(
        &self,
        timestamp: u32,
        (before, earlier): (&Self, u32),
        clock_rate: u32,
    ) -> Option<i64> {
        let (clock, other) = (self.clock?, before.clock?);
        let since_report = |timestamp: u32, clock: ClockReport| {
            let ticks = i64::from(timestamp.wrapping_sub(clock.rtp).cast_signed());
            ticks * 1_000_000 / i64::from(clock_rate.max(1))
        };
        let reports = clock.ntp.micros_since(other.ntp);
        Some(reports + since_report(timestamp, clock) - since_report(earlier, other))
    }

    /// Gathers a packet. True where what is held should leave now.
    pub(super) fn hold(&mut self, now: Instant, sequence: u64, ends_frame: bool) -> bool {
        // Never full here: what fills it makes it leave.
        let _full = self.held.try_push(sequence);
        if self.hold_due.is_none() {
            self.hold_due = Some(match self.kind {
                MediaKind::Audio => now + GATHER_AUDIO,
                MediaKind::Video => now + GATHER_VIDEO,
            });
        }
        ends_frame || self.held.is_full()
    }

    /// Whether anything was received since the last report block: none is due otherwise (RFC 3550
    /// §6.4).
    pub(super) const fn is_heard(&self) -> bool {
        self.reception.received > self.reception.received_before
    }

    /// What was received since the last report block, as the next one (RFC 3550 §6.4.1).
    pub(super) fn report_block(&mut self, now: Instant) -> ReportBlock {
        let (fraction_lost, packets_lost) = self.reception.losses();
        self.lost_lately = fraction_lost;
        let (last_sr, delay_since_sr) = self.clock.map_or((0, 0), |report| {
            let delay = now.since(report.arrived_at).as_micros() * 65_536 / 1_000_000;
            (
                report.ntp.middle(),
                u32::try_from(delay).unwrap_or(u32::MAX),
            )
        });
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost,
            packets_lost,
            sequence_highest: self.reception.highest_on_the_wire(),
            jitter: self.reception.jitter(),
            last_sr,
            delay_since_sr,
        }
    }

    fn fill(&mut self, sequence: u64, newest: u64) -> Result<Arrival, DropReason> {
        if newest - sequence >= self.history.reach() {
            return Err(DropReason::TooLate);
        }
        if self.history.has_seen(sequence) {
            return Err(DropReason::Duplicate);
        }
        self.nack.arrived(sequence);
        Ok(Arrival::Late(sequence))
    }

    fn jumped(&mut self, now: Instant, from: u64, to: u64, repairs: bool) {
        if from == to {
            return;
        }
        let repair = if to - from > DROPOUT_MAX {
            self.nack.clear();
            Repair::Hopeless
        } else if repairs {
            self.nack.missing(now, from, to)
        } else {
            return;
        };
        if repair == Repair::Hopeless && self.kind == MediaKind::Video {
            self.keyframe.request();
        }
    }
}

/// Counters of RFC 3550 A.3 and A.8.
#[derive(Clone, Copy, Debug, Default)]
struct Reception {
    base: Option<u64>,
    highest: u64,
    received: u64,
    expected_before: u64,
    received_before: u64,
    /// Of the newest packet: arrival less timestamp, both in clock units.
    transit: Option<u32>,
    /// In 16ths of a clock unit.
    jitter: u64,
}

impl Reception {
    fn count(&mut self, sequence: u64) {
        // What is older than the first packet was never expected.
        let base = *self.base.get_or_insert(sequence);
        if sequence >= base {
            self.received += 1;
            self.highest = self.highest.max(sequence);
        }
    }

    fn measure(&mut self, arrived_at: Instant, timestamp: u32, clock_rate: u32) {
        let arrival = ticks(Duration::from_micros(arrived_at.as_micros()), clock_rate);
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let distance = transit.wrapping_sub(before).cast_signed().unsigned_abs();
            // RFC 3550 A.8, the integer form.
            self.jitter =
                (self.jitter + u64::from(distance)).saturating_sub((self.jitter + 8) >> 4);
        }
    }

    fn jitter(&self) -> u32 {
        u32::try_from(self.jitter >> 4).unwrap_or(u32::MAX)
    }

    /// Fraction since the last call in 256ths, and the 24-bit sum since the beginning.
    fn losses(&mut self) -> (u8, i32) {
        let Some(base) = self.base else {
            return (0, 0);
        };
        let expected = self.highest - base + 1;
        let lost = i64::try_from(expected).unwrap_or(i64::MAX)
            - i64::try_from(self.received).unwrap_or(i64::MAX);
        let expected_now = expected - self.expected_before;
        let lost_now = expected_now.saturating_sub(self.received - self.received_before);
        self.expected_before = expected;
        self.received_before = self.received;
        let fraction = (lost_now * 256).checked_div(expected_now).unwrap_or(0);
        // RFC 3550 §6.4.1: a signed 24-bit number, kept at its limits.
        let sum = lost.clamp(-0x80_0000, 0x7F_FFFF);
        (
            u8::try_from(fraction).unwrap_or(u8::MAX),
            i32::try_from(sum).unwrap_or(0),
        )
    }

    /// Cycles and highest sequence number. The unwrapper starts one lap above zero.
    fn highest_on_the_wire(&self) -> u32 {
        let extended = self.highest.saturating_sub(1 << 16);
        u32::try_from(extended & 0xFFFF_FFFF).unwrap_or(0)
    }
}

/// A time in clock units, wrapping as timestamps do.
pub(super) fn ticks(time: Duration, clock_rate: u32) -> u32 {
    let ticks = time.as_micros() * u128::from(clock_rate) / 1_000_000;
    u32::try_from(ticks & 0xFFFF_FFFF).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoding() -> Encoding {
        let place = (TrackKey(0), MemberKey(0));
        Encoding::new(place, MediaKind::Video, Origin::Only, 7, 0)
    }

    fn receive(encoding: &mut Encoding, number: u16) -> Result<Arrival, DropReason> {
        let arrival = encoding.receive(Instant::ZERO, number, true)?;
        let (Arrival::New(sequence) | Arrival::Late(sequence)) = arrival;
        let entry = crate::router::history::Entry::new(sequence, 0, Instant::ZERO);
        encoding.history.insert_empty(entry);
        Ok(arrival)
    }

    #[test]
    fn loss_is_counted_as_rfc_3550_a3_does() {
        let mut stream = encoding();
        for number in (65_530..=65_535).chain(0..4).chain(5..10) {
            assert!(receive(&mut stream, number).is_ok());
        }
        // 16 expected, 15 received.
        let block = stream.report_block(Instant::ZERO);
        assert_eq!((block.fraction_lost, block.packets_lost), (16, 1));
        assert_eq!(block.sequence_highest, (1 << 16) + 9);
        assert_eq!(receive(&mut stream, 4), Ok(Arrival::Late(2 * 65_536 + 4)));
        assert_eq!(receive(&mut stream, 4), Err(DropReason::Duplicate));
        let block = stream.report_block(Instant::ZERO);
        assert_eq!((block.fraction_lost, block.packets_lost), (0, 0));
    }

    #[test]
    fn a_retransmission_repairs_and_is_not_counted_as_received() {
        let mut stream = encoding();
        for number in [10, 11, 13] {
            assert!(receive(&mut stream, number).is_ok());
        }
        assert_eq!(stream.repair(12), Ok(Arrival::Late(65_536 + 12)));
        assert_eq!(stream.repair(11), Err(DropReason::Duplicate));
        assert_eq!(stream.repair(14), Err(DropReason::TooLate));
        assert_eq!(stream.report_block(Instant::ZERO).packets_lost, 1);
        assert_eq!(stream.nack.next_due(Duration::ZERO), None);
    }

    #[test]
    fn jitter_follows_a8() {
        let mut stream = encoding();
        // Packets each 20 ms of timestamp, arriving alternately 0 and 8 ms late.
        for n in 0..200u32 {
            let late = u64::from(n % 2) * 8;
            let arrived_at = Instant::from_millis(u64::from(n) * 20 + late);
            stream.measure(
                arrived_at,
                (n * 1_800).wrapping_add(u32::MAX - 5_000),
                90_000,
            );
        }
        let jitter = stream.report_block(Instant::ZERO).jitter;
        assert!(
            (700..=720).contains(&jitter),
            "8 ms are 720 units: {jitter}"
        );
    }

    #[test]
    fn a_restart_of_the_numbers_asks_for_a_key_frame_and_for_nothing_else() {
        let mut stream = encoding();
        assert!(receive(&mut stream, 0).is_ok());
        assert!(receive(&mut stream, 20_000).is_ok());
        assert_eq!(stream.nack.next_due(Duration::ZERO), None);
        assert!(stream.keyframe.next_due().is_some());
    }
}

//! What a transport tells its estimator, and asks it: what left, what arrived, how fast one may send.

use super::{Transport, congestion};
use crate::prefetch::prefetch;
use crate::time::{Duration, Instant};
use crate::units::Bitrate;
use crate::wire::ccfb::{self, ControlFeedback};
use crate::wire::twcc::TransportFeedback;

impl Transport {
    /// Asks for what sending a packet will look at.
    pub(crate) fn prefetch(&self) {
        self.ice.prefetch();
        self.dtls.prefetch();
        self.arrivals.prefetch();
        prefetch(&self.reception);
        prefetch(&self.ceiling);
        prefetch(&self.control);
        prefetch(&self.told);
        prefetch(&self.pacer);
        prefetch(&self.srtp);
        prefetch(&self.estimator);
        prefetch(&self.budget);
    }

    /// For what that points to.
    pub(crate) fn prefetch_parts(&self) {
        if let Some(srtp) = self.srtp.as_deref() {
            srtp.prefetch();
        }
        if let Some(estimator) = self.estimator.as_deref() {
            estimator.prefetch();
        }
    }

    /// And for what that points to.
    pub(crate) fn prefetch_rings(&self) {
        if let Some(srtp) = self.srtp.as_deref() {
            srtp.prefetch_sent();
        }
        if let Some(estimator) = self.estimator.as_deref() {
            estimator.prefetch_history(self.transport_sequence + 1);
        }
    }

    /// The next transport-wide sequence number.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low half is what is sent"
    )]
    pub const fn next_transport_sequence(&mut self) -> u16 {
        self.transport_sequence += 1;
        self.transport_sequence as u16
    }

    /// The packet that got the last transport-wide number leaves: `bytes` on the wire, of probe
    /// `probe` or of none (0).
    pub fn note_sent(&mut self, now: Instant, bytes: u32, probe: u32) {
        let estimator = self
            .estimator
            .get_or_insert_with(|| Box::new(congestion::Estimator::new(now, congestion::START)));
        // Of packets that leave together the first tells the time.
        let is_later = !estimator.has_sent_at(now);
        if is_later {
            self.ceiling.tick(now);
        }
        estimator.sent(now, self.transport_sequence, bytes, probe);
        if is_later {
            estimator.tick(now);
        }
        if probe == 0 {
            self.pacer.spend(bytes);
        }
    }

    /// The arrival of the packet in `slot` is told by its SSRC and sequence number: remembers which
    /// of our numbers it has, the next where it has none yet.
    pub fn note_numbered(&mut self, slot: &[u8], next: bool) {
        if next {
            self.next_transport_sequence();
        }
        if let Some(&[_, _, q0, q1, _, _, _, _, s0, s1, s2, s3]) = slot.first_chunk() {
            let ssrc = u32::from_be_bytes([s0, s1, s2, s3]);
            let sequence = u16::from_be_bytes([q0, q1]);
            self.numbered.sent(ssrc, sequence, self.transport_sequence);
        }
    }

    /// The other side says what arrived, by SSRC and sequence number.
    pub fn handle_control_feedback(&mut self, now: Instant, feedback: &ControlFeedback<'_>) {
        let Some(estimator) = self.estimator.as_deref_mut() else {
            return;
        };
        let numbered = &mut self.numbered;
        let mut told: Vec<(u64, Option<ccfb::Arrival>)> = feedback
            .iter()
            .filter_map(|it| Some((numbered.take(it.ssrc, it.sequence)?, it.arrival)))
            .collect();
        told.sort_unstable_by_key(|(number, _)| *number);
        estimator.control_feedback(now, feedback.timestamp, &told);
    }

    /// A packet leaves a second time under the transport-wide number it had: when that arrives
    /// tells nothing of the path.
    pub fn forget_sent(&mut self, transport_sequence: Option<u16>) {
        if let Some((estimator, sequence)) = self.estimator.as_deref_mut().zip(transport_sequence) {
            estimator.forget(sequence);
        }
    }

    /// Whether pictures are paced: the other side says what arrives.
    #[must_use]
    pub fn is_paced(&self) -> bool {
        let estimator = self.estimator.as_deref();
        estimator.is_some_and(congestion::Estimator::is_heard)
    }

    /// When the next picture packet may leave; none: now. So many bytes wait, and so much was
    /// `given`: more than the target, where nothing shows yet that the path does not carry it. Ask
    /// only where [`Transport::is_paced`]: of others nobody knows how fast would be right.
    pub fn poll_pacer(&mut self, now: Instant, given: Bitrate, waiting: u64) -> Option<Instant> {
        let estimator = self.estimator.as_deref()?;
        let target = estimator.target();
        let rate = if estimator.cause().is_full() {
            target
        } else {
            target.max(given)
        };
        self.pacer.poll(now, rate, waiting)
    }

    /// How much would be sent if it fitted.
    pub fn want(&mut self, wanted: Bitrate) {
        if let Some(estimator) = self.estimator.as_deref_mut() {
            estimator.want(wanted);
        }
    }

    /// A probe to send, where it is time for one.
    pub fn poll_probe(&mut self, now: Instant) -> Option<congestion::Probe> {
        self.estimator.as_deref_mut()?.probe(now)
    }

    /// The other side says what arrived.
    pub fn handle_transport_feedback(&mut self, now: Instant, feedback: &TransportFeedback<'_>) {
        if let Some(estimator) = self.estimator.as_deref_mut() {
            estimator.feedback(now, feedback);
        }
    }

    /// The other side says how much it takes (REMB).
    pub fn handle_ceiling(&mut self, now: Instant, bitrate: Bitrate) {
        self.ceiling.say(now, bitrate);
    }

    /// Whether the other side says how much it takes.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.ceiling.over(None, Duration::ZERO).is_some()
    }

    /// What the path carries; none where the other side has said nothing of it. Where it says a
    /// sum only, that is the estimate; where it says more, the sum is a ceiling.
    #[must_use]
    pub fn estimate(&self) -> Option<congestion::Estimate> {
        let estimator = self.estimator.as_deref();
        let heard = estimator.filter(|estimator| estimator.is_heard());
        let own = heard.map(congestion::Estimator::estimate);
        self.ceiling.over(own, self.rtt().unwrap_or_default())
    }
}

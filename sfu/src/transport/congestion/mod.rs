//! The one byte budget of a transport: RTP, retransmissions, probes, SCTP and DTLS share it.
//!
//! Nothing is refused yet: the estimator and the pacer that fill the budget come into this folder
//! later, on the same call. Audio, RTCP and STUN are charged but never held.

use crate::time::Instant;

/// What the bytes are for; decides who waits when there is a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BudgetClass {
    /// STUN, DTLS handshake and RTCP: charged, never held.
    Control,
    /// Audio: charged, never held.
    Audio,
    /// Video, first sent.
    Video,
    /// Answers to NACK.
    Retransmission,
    /// Data channels.
    Data,
    /// Padding sent to learn the capacity.
    Probe,
}

/// Bytes charged so far, by class.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    charged: [u64; 6],
}

impl Budget {
    /// Whether `bytes` of `class` may leave now; charged if so.
    pub fn allow(&mut self, class: BudgetClass, bytes: usize, _now: Instant) -> bool {
        if let Some(sum) = self.charged.get_mut(class as usize) {
            *sum = sum.saturating_add(bytes as u64);
        }
        true
    }

    /// Bytes charged to `class` so far.
    #[must_use]
    pub fn charged(&self, class: BudgetClass) -> u64 {
        self.charged.get(class as usize).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_sent_is_charged_to_its_class() {
        let mut budget = Budget::default();
        assert!(budget.allow(BudgetClass::Audio, 100, Instant::ZERO));
        assert!(budget.allow(BudgetClass::Video, 1_200, Instant::ZERO));
        assert!(budget.allow(BudgetClass::Audio, 50, Instant::ZERO));
        assert_eq!(budget.charged(BudgetClass::Audio), 150);
        assert_eq!(budget.charged(BudgetClass::Video), 1_200);
        assert_eq!(budget.charged(BudgetClass::Data), 0);
    }
}

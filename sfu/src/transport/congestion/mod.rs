//! How fast a transport may send, and the one byte budget that RTP, retransmissions, probes, SCTP
//! and DTLS share.
//!
//! | module | what it knows |
//! |---|---|
//! | [`estimator`] | the target rate, from the four below |
//! | `history` | what was sent and not told of yet |
//! | `acked` | what arrived per second |
//! | `owd` | time spent in queues |
//! | `loss` | loss of the path and loss of our making |
//! | [`probe`] | whether more would fit |
//!
//! Nothing is refused by the budget yet: the estimator is measured (`loadtest`, `network-bench`)
//! and not yet asked. Audio, RTCP and STUN are charged but never held.

mod acked;
pub mod estimator;
mod history;
mod loss;
mod owd;
pub mod probe;

pub use estimator::{Cause, Estimate, Estimator, START};
pub use probe::Probe;

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

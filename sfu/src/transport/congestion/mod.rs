//! How fast a transport may send, how soon the next packet may leave, and what each class of bytes
//! has taken.
//!
//! | module | what it knows |
//! |---|---|
//! | [`estimate`] | what is known of a path |
//! | [`estimator`] | the target rate, from the four below |
//! | `history` | what was sent and not told of yet |
//! | `clock` | the receiver's clock |
//! | `ceiling` | what the receiver itself says (REMB) |
//! | `acked` | what arrived per second |
//! | `train` | how fast a link serves what stands in line |
//! | `owd` | time spent in queues |
//! | `loss` | loss of the path and loss of our making |
//! | [`probe`] | whether more would fit |
//! | [`pacer`] | when the next picture packet may leave |
//! | `rival` | whether the queue is somebody else's |
//!
//! Audio, RTCP and STUN are charged but never held.

mod acked;
mod ceiling;
mod clock;
pub mod estimate;
pub mod estimator;
mod history;
mod loss;
mod owd;
pub mod pacer;
pub mod probe;
mod rival;
mod train;

#[cfg(test)]
mod tests;

pub(crate) use ceiling::Ceiling;
pub use estimate::{Cause, Estimate};
pub use estimator::{Estimator, START};
pub use pacer::Pacer;
pub use probe::Probe;

/// What the bytes are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BudgetClass {
    /// STUN, DTLS handshake and RTCP: charged, never held.
    Control,
    /// Audio: charged, never held.
    Audio,
    /// Video, first sent; paced.
    Video,
    /// Answers to NACK; paced.
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
    /// `bytes` of `class` leave.
    pub fn charge(&mut self, class: BudgetClass, bytes: usize) {
        if let Some(sum) = self.charged.get_mut(class as usize) {
            *sum = sum.saturating_add(bytes as u64);
        }
    }

    /// Bytes charged to `class` so far.
    #[must_use]
    pub fn charged(&self, class: BudgetClass) -> u64 {
        self.charged.get(class as usize).copied().unwrap_or(0)
    }
}

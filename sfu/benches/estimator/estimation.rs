//! One transport's estimator and pacer at work: packets that leave, and feedback of every sixteenth.

use std::hint::black_box;

use sfu::time::{Duration, Instant};
use sfu::transport::congestion::{Estimator, Pacer, START};
use sfu::units::Bitrate;
use sfu::wire::twcc::{TransportFeedback, TransportFeedbackWriter};

/// Bytes of a packet on the wire.
pub(crate) const BYTES: u32 = 1_200;
/// Packets between two feedbacks: 3 Mb/s are 312 a second, told of each 50 ms.
pub(crate) const TOLD: usize = 16;

pub(crate) struct Estimation {
    estimator: Estimator,
    pacer: Pacer,
    now: Instant,
    sequence: u64,
    count: u8,
    queue: u64,
    feedback: Vec<u8>,
    arrivals: [Option<Instant>; TOLD],
}

impl Estimation {
    /// Packets wait up to `queue` µs, by turns.
    pub(crate) fn new(queue: u64) -> Self {
        Self {
            estimator: Estimator::new(Instant::ZERO, START),
            pacer: Pacer::default(),
            now: Instant::from_millis(1),
            sequence: 0,
            count: 0,
            queue,
            feedback: vec![0; 1_200],
            arrivals: [None; TOLD],
        }
    }

    /// So many feedbacks and their packets; `is_idle`: only what the receiver does for them.
    pub(crate) fn play(&mut self, feedbacks: u32, is_idle: bool) {
        for turn in 0..u64::from(feedbacks) {
            let first = self.sequence;
            for place in 0..TOLD {
                self.now += Duration::from_micros(3_200);
                if !is_idle {
                    self.measured_send();
                }
                self.sequence += 1;
                let waits = self.queue * (turn / 8 % 8) / 8;
                self.arrivals[place] = Some(self.now + Duration::from_micros(20_000 + waits));
            }
            let bytes = self.write(first);
            if is_idle {
                black_box(TransportFeedback::parse(&self.feedback[4..bytes]).is_ok());
            } else {
                self.measured_told(bytes);
            }
        }
    }

    /// What the receiver tells of the packets from `first` on; its bytes.
    fn write(&mut self, first: u64) -> usize {
        let writer = TransportFeedbackWriter {
            sender: 1,
            media: 2,
            feedback_count: self.count,
        };
        self.count = self.count.wrapping_add(1);
        let [.., high, low] = first.to_be_bytes();
        let base = u16::from_be_bytes([high, low]);
        let told = self.arrivals.iter().copied();
        let written = writer.write(base, told, &mut self.feedback);
        written.expect("sixteen packets fit").bytes
    }

    /// A packet leaves. By this name callgrind knows it, as the next one.
    #[inline(never)]
    fn measured_send(&mut self) {
        let target = self.estimator.estimate().fast;
        black_box(self.pacer.poll(self.now, target, u64::from(BYTES)));
        self.pacer.spend(BYTES);
        self.estimator.sent(self.now, self.sequence, BYTES, 0);
    }

    /// Feedback of so many bytes is read and acted upon.
    #[inline(never)]
    fn measured_told(&mut self, bytes: usize) {
        let parsed = TransportFeedback::parse(&self.feedback[4..bytes]);
        let feedback = parsed.expect("it is ours");
        self.estimator.want(Bitrate::from_kbps(3_000));
        self.estimator.feedback(self.now, &feedback);
        self.estimator.tick(self.now);
        black_box(self.estimator.estimate());
    }
}

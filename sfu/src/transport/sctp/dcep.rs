//! The data channel establishment protocol: OPEN and ACK (RFC 8832 §5).

use super::super::{Reliability, ReliabilityLimit};
use crate::time::Duration;

const TYPE_ACK: u8 = 0x02;
const TYPE_OPEN: u8 = 0x03;
/// Added to the channel type where messages need no order.
const UNORDERED: u8 = 0x80;
/// DATA_CHANNEL_ACK.
pub(super) const ACK: [u8; 1] = [TYPE_ACK];

/// DATA_CHANNEL_OPEN. The priority is neither kept nor chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) label: String,
    pub(super) protocol: String,
    pub(super) reliability: Reliability,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Ack,
    Open(Open),
}

/// None where it is neither, or not well formed.
pub(super) fn decode(bytes: &[u8]) -> Option<Message> {
    match *bytes.first()? {
        TYPE_ACK => Some(Message::Ack),
        TYPE_OPEN => decode_open(bytes).map(Message::Open),
        _ => None,
    }
}

fn decode_open(bytes: &[u8]) -> Option<Open> {
    let (head, rest) = bytes.split_first_chunk::<12>()?;
    let [_, kind, _, _, r0, r1, r2, r3, l0, l1, p0, p1] = *head;
    let value = u32::from_be_bytes([r0, r1, r2, r3]);
    let label = rest.get(..usize::from(u16::from_be_bytes([l0, l1])))?;
    let protocol = rest.get(label.len()..)?;
    if protocol.len() != usize::from(u16::from_be_bytes([p0, p1])) {
        return None;
    }
    let limit = match kind & !UNORDERED {
        0 => ReliabilityLimit::Unlimited,
        1 => ReliabilityLimit::Retransmits(u16::try_from(value).unwrap_or(u16::MAX)),
        2 => ReliabilityLimit::Lifetime(Duration::from_millis(u64::from(value))),
        _ => return None,
    };
    Some(Open {
        label: String::from_utf8(label.to_vec()).ok()?,
        protocol: String::from_utf8(protocol.to_vec()).ok()?,
        reliability: Reliability {
            ordered: kind & UNORDERED == 0,
            limit,
        },
    })
}

impl Open {
    pub(super) fn encode(&self) -> Vec<u8> {
        let (kind, value) = match self.reliability.limit {
            ReliabilityLimit::Unlimited => (0, 0),
            ReliabilityLimit::Retransmits(times) => (1, u32::from(times)),
            ReliabilityLimit::Lifetime(time) => {
                (2, u32::try_from(time.as_millis()).unwrap_or(u32::MAX))
            }
        };
        let kind = if self.reliability.ordered {
            kind
        } else {
            kind | UNORDERED
        };
        // Both are bounded by `DATA_LABEL_BYTES`.
        let label = u16::try_from(self.label.len()).unwrap_or(0);
        let protocol = u16::try_from(self.protocol.len()).unwrap_or(0);
        let mut bytes = vec![TYPE_OPEN, kind, 0, 0];
        bytes.extend(value.to_be_bytes());
        bytes.extend(label.to_be_bytes());
        bytes.extend(protocol.to_be_bytes());
        bytes.extend(self.label.as_bytes());
        bytes.extend(self.protocol.as_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_channel_survives_the_round_trip() {
        let limits = [
            ReliabilityLimit::Unlimited,
            ReliabilityLimit::Retransmits(3),
            ReliabilityLimit::Lifetime(Duration::from_millis(1_500)),
        ];
        for (limit, ordered) in limits
            .into_iter()
            .flat_map(|limit| [(limit, true), (limit, false)])
        {
            let open = Open {
                label: "tópico".to_owned(),
                protocol: "p".to_owned(),
                reliability: Reliability { ordered, limit },
            };
            assert_eq!(decode(&open.encode()), Some(Message::Open(open)));
        }
    }

    #[test]
    fn what_is_not_well_formed_is_none() {
        let good = Open {
            label: "ab".to_owned(),
            protocol: "c".to_owned(),
            reliability: Reliability {
                ordered: true,
                limit: ReliabilityLimit::Unlimited,
            },
        }
        .encode();
        for length in 0..good.len() {
            assert_eq!(decode(&good[..length]), None, "{length}");
        }
        let longer = [good.as_slice(), &[0]].concat();
        assert_eq!(decode(&longer), None);
        let mut kind = good.clone();
        kind[1] = 5;
        assert_eq!(decode(&kind), None);
        let mut not_utf8 = good;
        not_utf8[12] = 0xFF;
        assert_eq!(decode(&not_utf8), None);
        assert_eq!(decode(&ACK), Some(Message::Ack));
        assert_eq!(decode(&[7]), None);
    }
}

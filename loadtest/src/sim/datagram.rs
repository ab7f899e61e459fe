//! What a bystander can tell of a datagram without a key: its protocol (RFC 7983) and the fields
//! that travel in the clear. Written for itself, so that it can judge the server's own parsers.

use sfu::time::Instant;

/// A datagram, as far as it can be seen through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A STUN Binding request, and whether it nominates (RFC 8445 §7.1.2).
    StunRequest {
        /// USE-CANDIDATE is there.
        nominates: bool,
    },
    /// Other STUN.
    Stun,
    /// A DTLS record.
    Dtls,
    /// A media packet; the payload is sealed.
    Rtp(RtpSeen),
    /// Reports; all but the first eight bytes are sealed.
    Rtcp {
        /// Of the compound's first packet.
        ssrc: u32,
        /// The SRTCP index, where the profile is AEAD (RFC 7714 §9): the last four bytes.
        index: u32,
    },
    /// Nothing of ours.
    Other,
}

/// The clear part of a media packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpSeen {
    /// The stream.
    pub ssrc: u32,
    /// Its number.
    pub sequence: u16,
    /// Its media time.
    pub timestamp: u32,
    /// Seven bits.
    pub payload_type: u8,
    /// Of header and tag: two different packets differ here.
    pub digest: u64,
}

impl Seen {
    /// Looks at a datagram.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match bytes {
            [0, 1, ..] if bytes.len() >= 20 => Self::StunRequest {
                nominates: nominates(bytes),
            },
            [0..=3, _, ..] if bytes.len() >= 20 => Self::Stun,
            [20..=63, ..] => Self::Dtls,
            // RFC 5761 §4: types 64 to 95 are RTCP's.
            [128..=191, second, ..] if (64..96).contains(&(second & 0x7f)) => rtcp(bytes),
            [128..=191, ..] => rtp(bytes),
            _ => Self::Other,
        }
    }

    /// A name that gives a datagram its fate: what a media packet says of itself; kind, moment and
    /// size for the rest, so that none depends on another's turn.
    #[must_use]
    pub fn identity(&self, now: Instant, bytes: usize) -> u64 {
        let bytes = u64::try_from(bytes).unwrap_or(0) & 0x7ff;
        let (kind, bytes) = match self {
            Self::Rtp(seen) => return (u64::from(seen.ssrc) << 16) | u64::from(seen.sequence),
            Self::StunRequest { .. } | Self::Stun => (1, bytes),
            // Signatures differ in length from run to run.
            Self::Dtls => (2, 0),
            Self::Rtcp { .. } => (3, bytes),
            Self::Other => (4, bytes),
        };
        (kind << 60) | (now.as_micros() << 11) | bytes
    }

    /// A word for traces.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::StunRequest { .. } => "stun request",
            Self::Stun => "stun",
            Self::Dtls => "dtls",
            Self::Rtp(_) => "rtp",
            Self::Rtcp { .. } => "rtcp",
            Self::Other => "other",
        }
    }
}

/// Whether USE-CANDIDATE (0x0025) is among the attributes.
fn nominates(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(20..).unwrap_or_default();
    while let [t0, t1, l0, l1, after @ ..] = rest {
        if [*t0, *t1] == [0x00, 0x25] {
            return true;
        }
        let length = usize::from(u16::from_be_bytes([*l0, *l1])).next_multiple_of(4);
        rest = after.get(length..).unwrap_or_default();
    }
    false
}

fn rtp(bytes: &[u8]) -> Seen {
    let Some(&[_, second, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3]) = bytes.first_chunk::<12>()
    else {
        return Seen::Other;
    };
    let tag = bytes.len().saturating_sub(16).max(12);
    let digest = bytes.iter().take(12).chain(bytes.iter().skip(tag));
    Seen::Rtp(RtpSeen {
        ssrc: u32::from_be_bytes([i0, i1, i2, i3]),
        sequence: u16::from_be_bytes([s0, s1]),
        timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
        payload_type: second & 0x7f,
        digest: digest.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        }),
    })
}

fn rtcp(bytes: &[u8]) -> Seen {
    match (bytes.get(4..8), bytes.last_chunk::<4>()) {
        (Some(&[a, b, c, d]), Some(&index)) => Seen::Rtcp {
            ssrc: u32::from_be_bytes([a, b, c, d]),
            index: u32::from_be_bytes(index) & 0x7fff_ffff,
        },
        (_, _) => Seen::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_told_apart_by_their_first_bytes() {
        let stun = |attribute: &[u8]| [&[0, 1, 0, 8][..], &[0; 16], attribute].concat();
        let check = |bytes: &[u8], seen: Seen| assert_eq!(Seen::of(bytes), seen, "{bytes:?}");
        check(
            &stun(&[0, 0x24, 0, 3, 1, 2, 3, 0]),
            Seen::StunRequest { nominates: false },
        );
        check(
            &stun(&[0, 0x24, 0, 1, 1, 0, 0, 0, 0, 0x25, 0, 0]),
            Seen::StunRequest { nominates: true },
        );
        check(&[1, 1].repeat(10), Seen::Stun);
        check(&[22, 254, 253], Seen::Dtls);
        check(
            &[128, 201, 0, 1, 0, 0, 0, 7, 0x80, 0, 0, 5],
            Seen::Rtcp { ssrc: 7, index: 5 },
        );
        check(&[128, 96, 1], Seen::Other);
        check(&[], Seen::Other);
    }

    #[test]
    fn a_media_packet_shows_its_header() {
        let bytes = [
            &[128, 0x80 | 96, 1, 2, 0, 0, 0, 3, 0, 0, 0, 4][..],
            &[9; 40],
        ]
        .concat();
        let Seen::Rtp(seen) = Seen::of(&bytes) else {
            panic!("rtp")
        };
        assert_eq!(
            (seen.ssrc, seen.sequence, seen.timestamp, seen.payload_type),
            (4, 0x102, 3, 96)
        );
    }
}

//! STUN, DTLS, RTP or RTCP, by the first bytes of a datagram (RFC 7983 §7).
//!
//! TURN channels, ZRTP and QUIC are none of ours: such datagrams have no class.

/// What a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A STUN message.
    Stun,
    /// DTLS records.
    Dtls,
    /// An SRTP packet.
    Rtp,
    /// An SRTCP packet.
    Rtcp,
}

/// The class of a datagram; none where it belongs to no protocol of ours.
#[must_use]
pub fn classify(datagram: &[u8]) -> Option<Class> {
    match (datagram.first()?, datagram.get(1)) {
        (0..=3, _) => Some(Class::Stun),
        (20..=63, _) => Some(Class::Dtls),
        // RFC 5761 §4: with RTP and RTCP on one port, the second byte of RTCP is 192 to 223, which
        // as a payload type with marker is 64 to 95 and never negotiated.
        (128..=191, Some(192..=223)) => Some(Class::Rtcp),
        (128..=191, Some(_)) => Some(Class::Rtp),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_decides() {
        let expected = |first: u8| match first {
            0..=3 => Some(Class::Stun),
            20..=63 => Some(Class::Dtls),
            128..=191 => Some(Class::Rtp),
            _ => None,
        };
        for first in 0..=255 {
            assert_eq!(classify(&[first, 96]), expected(first), "{first}");
        }
    }

    #[test]
    fn rtcp_is_told_from_rtp_by_its_packet_type() {
        for (second, class) in [
            (191, Class::Rtp),
            (192, Class::Rtcp),
            (200, Class::Rtcp),
            (223, Class::Rtcp),
            (224, Class::Rtp),
            (96, Class::Rtp),
        ] {
            assert_eq!(classify(&[0x80, second]), Some(class), "{second}");
        }
        assert_eq!(classify(&[]), None);
        assert_eq!(classify(&[0x80]), None);
    }
}

//! What our ICE user fragments say: base64 of shard, transport key, generation and chance, so that
//! one parse of the first STUN message finds shard and transport.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::wire::stun;

/// Shard (2), key (4), generation (1), chance (5): 96 bits, 16 characters, no padding.
const BYTES: usize = 12;
/// Of them in base64, all of them ice-chars (RFC 8839 §5.4).
const CHARS: usize = 16;

/// Whom a user fragment of ours belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UfragParts {
    /// The shard's index.
    pub shard: u16,
    /// The transport's key in its shard.
    pub key: u32,
    /// Which generation of its credentials.
    pub generation: u8,
}

/// The user fragment of `parts`, with 40 bits of `random`.
#[must_use]
pub fn encode(parts: UfragParts, random: u64) -> String {
    let mut bytes = [0; BYTES];
    let fields = parts
        .shard
        .to_be_bytes()
        .into_iter()
        .chain(parts.key.to_be_bytes())
        .chain([parts.generation])
        .chain(random.to_be_bytes().into_iter().skip(3));
    for (to, from) in bytes.iter_mut().zip(fields) {
        *to = from;
    }
    STANDARD_NO_PAD.encode(bytes)
}

/// Whose user fragment this is; none where it cannot be one of ours.
#[must_use]
pub fn decode(ufrag: &str) -> Option<UfragParts> {
    decode_bytes(ufrag.as_bytes())
}

fn decode_bytes(ufrag: &[u8]) -> Option<UfragParts> {
    if ufrag.len() != CHARS {
        return None;
    }
    let mut bytes = [0; BYTES];
    let length = STANDARD_NO_PAD.decode_slice(ufrag, &mut bytes).ok()?;
    if length != BYTES {
        return None;
    }
    let [s0, s1, k0, k1, k2, k3, generation, ..] = bytes;
    Some(UfragParts {
        shard: u16::from_be_bytes([s0, s1]),
        key: u32::from_be_bytes([k0, k1, k2, k3]),
        generation,
    })
}

/// Which transport a STUN request is for: the first half of its USERNAME (RFC 8445 §7.2.2). Only a
/// hint for finding the transport, which then verifies the whole.
#[must_use]
pub fn username_key(datagram: &[u8]) -> Option<UfragParts> {
    let message = stun::Message::parse(datagram).ok()?;
    let username = message.username()?;
    let local = username.split(|byte| *byte == b':').next()?;
    decode_bytes(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_fragment_tells_its_transport() {
        let parts = UfragParts {
            shard: 3,
            key: 0x0102_0304,
            generation: 9,
        };
        let ufrag = encode(parts, u64::MAX);
        assert_eq!(ufrag.len(), 16);
        assert!(
            ufrag
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
        );
        assert_eq!(decode(&ufrag), Some(parts));
        assert_ne!(ufrag, encode(parts, 1));
    }

    #[test]
    fn what_is_not_ours_is_none() {
        for ufrag in [
            "",
            "abcd",
            "AAAAAAAAAAAAAAAA=",
            "AAAA AAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(decode(ufrag), None, "{ufrag:?}");
        }
    }
}

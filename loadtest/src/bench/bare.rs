//! AEAD_AES_256_GCM over RTP packets with nothing around it: what the floor pays for cryptography.
//!
//! The shape is RFC 7714's, the keys are constants by number, and the rollover counter stays 0: a
//! nonce may come back after 65,536 packets. The floor protects nothing.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// An RTP header without extensions.
pub(super) const HEADER_BYTES: usize = 12;
/// Behind the payload.
pub(super) const TAG_BYTES: usize = 16;
/// SSRC of stream 0; the others follow.
const SSRC_BASE: usize = 1_000;

/// What a stream's packets are marked with: the first publisher's encodings come first.
pub(super) fn ssrc_of(stream: usize) -> u32 {
    u32::try_from(SSRC_BASE + stream).unwrap_or(u32::MAX)
}

/// Which stream's packets are marked so.
pub(super) fn stream_of(ssrc: u32) -> usize {
    usize::try_from(ssrc)
        .unwrap_or(usize::MAX)
        .wrapping_sub(SSRC_BASE)
}

/// One peer's key, for both directions.
#[derive(Debug)]
pub(super) struct BareKey {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl BareKey {
    /// The key of peer `number`.
    pub(super) fn of(number: usize) -> Option<Self> {
        let mut bytes = [0x5A; 32];
        let (first, _) = bytes.split_first_chunk_mut()?;
        *first = number.to_be_bytes();
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).ok()?);
        let salt = [0xA5; 12];
        Some(Self { key, salt })
    }

    /// Writes `packet` sealed into `out`, without copying it first; the whole length.
    pub(super) fn seal_into(&self, packet: &[u8], out: &mut [u8]) -> Option<usize> {
        let (header, payload) = packet.split_first_chunk::<HEADER_BYTES>()?;
        let length = packet.len() + TAG_BYTES;
        let (place, sealed) = out.get_mut(..length)?.split_first_chunk_mut()?;
        *place = *header;
        let (ciphertext, tag) = sealed.split_at_mut_checked(payload.len())?;
        let (nonce, aad) = (self.nonce(header), Aad::from(header));
        self.key
            .seal_out_of_place_scatter(nonce, aad, payload, ciphertext, &[], tag)
            .ok()?;
        Some(length)
    }

    /// Opens a packet in place; the plaintext's length.
    pub(super) fn open(&self, packet: &mut [u8]) -> Option<usize> {
        let (header, sealed) = packet.split_first_chunk_mut::<HEADER_BYTES>()?;
        let (nonce, aad) = (self.nonce(header), Aad::from(&*header));
        let plain = self.key.open_in_place(nonce, aad, sealed).ok()?;
        Some(HEADER_BYTES + plain.len())
    }

    /// RFC 7714 §8.1: SSRC, rollover counter and sequence number, over the salt.
    fn nonce(&self, header: &[u8; HEADER_BYTES]) -> Nonce {
        let &[_, _, q0, q1, _, _, _, _, s0, s1, s2, s3] = header;
        let mut nonce = [0, 0, s0, s1, s2, s3, 0, 0, 0, 0, q0, q1];
        for (byte, salt) in nonce.iter_mut().zip(self.salt) {
            *byte ^= salt;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_seals_the_other_opens_and_nobody_else() {
        let (one, other) = (BareKey::of(1).unwrap(), BareKey::of(2).unwrap());
        let mut packet = [7; 100];
        packet[2..4].copy_from_slice(&9_u16.to_be_bytes());
        let mut sealed = [0; 200];
        let length = one.seal_into(&packet, &mut sealed).unwrap();
        assert_eq!(length, 100 + TAG_BYTES);
        let mut stolen = sealed;
        assert_eq!(other.open(&mut stolen[..length]), None);
        assert_eq!(one.open(&mut sealed[..length]), Some(100));
        assert_eq!(sealed[..100], packet);
    }
}

//! The floor: copy a packet and seal it with AES-256-GCM, once for each subscriber. No lookup, no
//! header, no history, no statistics.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::FRAME_PACKETS;

/// Bytes of an RTP header: authenticated, not encrypted.
const HEADER_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

pub(crate) struct Bare {
    keys: Vec<LessSafeKey>,
    packets: Vec<Vec<u8>>,
    arena: Vec<u8>,
    counter: u64,
}

impl Bare {
    /// `fan_out` receivers of packets of so many bytes.
    pub(crate) fn new(fan_out: usize, bytes: usize) -> Self {
        let key = |index: usize| {
            let bytes = [u8::try_from(index % 251).unwrap_or(0); 32];
            LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).expect("32 bytes"))
        };
        Self {
            keys: (0..fan_out).map(key).collect(),
            packets: vec![vec![7; bytes]; FRAME_PACKETS],
            arena: vec![0; (bytes + TAG_BYTES) * FRAME_PACKETS * fan_out],
            counter: 0,
        }
    }

    pub(crate) fn play(&mut self, frames: usize) {
        for _ in 0..frames {
            let bytes = self.packets.first().map_or(0, Vec::len);
            let mut slots = self.arena.chunks_exact_mut(bytes + TAG_BYTES);
            for key in &self.keys {
                for packet in &self.packets {
                    let slot = slots.next().expect("a slot each");
                    slot[..bytes].copy_from_slice(packet);
                    self.counter += 1;
                    let mut nonce = [0; 12];
                    nonce[4..].copy_from_slice(&self.counter.to_be_bytes());
                    let (header, rest) = slot.split_at_mut(HEADER_BYTES);
                    let (payload, tag) = rest.split_at_mut(bytes - HEADER_BYTES);
                    let nonce = Nonce::assume_unique_for_key(nonce);
                    let sealed = key
                        .seal_in_place_separate_tag(nonce, Aad::from(&*header), payload)
                        .expect("it seals");
                    tag.copy_from_slice(sealed.as_ref());
                }
            }
            std::hint::black_box(&self.arena);
        }
    }
}

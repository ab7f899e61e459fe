//! The three protection suites: key derivation (RFC 3711 §4.3), AES counter mode with HMAC-SHA1
//! (RFC 3711 §4) and AES-GCM (RFC 7714), each in place over one packet.
//!
//! Indexes are the caller's: nothing here knows of rollover, replay or SSRC tables.

use aws_lc_rs::aead::{self, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{self, EncryptingKey, EncryptionContext, UnboundCipherKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

use crate::error::DropReason;
use crate::limits::LEVEL_BYTES;
use crate::wire::rtp::Tail;

/// Longest part of an SRTP packet behind its payload: a GCM tag.
const GCM_TAG_BYTES: usize = 16;
/// HMAC-SHA1-80's tag.
const SHA1_TAG_BYTES: usize = 10;
/// The E flag and the SRTCP index.
const SRTCP_INDEX_BYTES: usize = 4;
/// The clear part of an SRTCP compound: the first packet's header and SSRC.
const SRTCP_HEADER_BYTES: usize = 8;
/// Set where the SRTCP compound is encrypted.
const E_FLAG: u32 = 1 << 31;

/// A protection profile (RFC 5764 §4.1.2, RFC 7714 §14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SrtpProfile {
    /// `AEAD_AES_256_GCM`.
    Aes256Gcm,
    /// `AEAD_AES_128_GCM`.
    Aes128Gcm,
    /// `AES_CM_128_HMAC_SHA1_80`.
    Aes128CmSha1,
}

impl SrtpProfile {
    /// Its name in the IANA registry of DTLS-SRTP protection profiles.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aes256Gcm => "AEAD_AES_256_GCM",
            Self::Aes128Gcm => "AEAD_AES_128_GCM",
            Self::Aes128CmSha1 => "SRTP_AES128_CM_HMAC_SHA1_80",
        }
    }

    /// Bytes of a master key and of a master salt.
    #[must_use]
    pub const fn sizes(self) -> (usize, usize) {
        match self {
            Self::Aes256Gcm => (32, 12),
            Self::Aes128Gcm => (16, 12),
            Self::Aes128CmSha1 => (16, 14),
        }
    }
}

/// What a suite's keys are for: the labels of RFC 3711 §4.3.2, to which the kind of key is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Rtp = 0,
    Rtcp = 3,
}

/// Session keys of one direction and use.
pub(super) enum Suite {
    /// RFC 7714.
    Gcm { key: LessSafeKey, salt: [u8; 12] },
    /// RFC 3711.
    Cm {
        key: Box<EncryptingKey>,
        salt: [u8; 14],
        mac: Box<Hmac<Sha1>>,
    },
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Suite")
    }
}

/// `AES-CM` key stream of `label`, the pseudo-random function of RFC 3711 §4.3.3, into `out`.
/// A 96-bit salt counts as padded with zeros (RFC 7714 §11).
pub(super) fn derive(master: &[u8], salt: &[u8], label: u8, out: &mut [u8]) -> Option<()> {
    let mut iv = [0; 16];
    for (to, from) in iv.iter_mut().take(14).zip(salt) {
        *to = *from;
    }
    // The label stands left of the 48-bit index, both right-aligned in 112 bits.
    if let Some(place) = iv.get_mut(7) {
        *place ^= label;
    }
    let algorithm = match master.len() {
        16 => &cipher::AES_128,
        32 => &cipher::AES_256,
        _ => return None,
    };
    out.fill(0);
    let key = EncryptingKey::ctr(UnboundCipherKey::new(algorithm, master).ok()?).ok()?;
    key.less_safe_encrypt(out, EncryptionContext::Iv128(iv.into()))
        .ok()?;
    Some(())
}

impl Suite {
    /// Session keys from master keys; none where their sizes are not the profile's.
    pub(super) fn derived(
        profile: SrtpProfile,
        master: &[u8],
        salt: &[u8],
        of: Use,
    ) -> Option<Self> {
        let (key_bytes, salt_bytes) = profile.sizes();
        if master.len() != key_bytes || salt.len() != salt_bytes {
            return None;
        }
        let label = of as u8;
        let mut key = [0; 32];
        let key = key.get_mut(..key_bytes)?;
        derive(master, salt, label, key)?;
        let mut session_salt = [0; 14];
        derive(master, salt, label + 2, &mut session_salt)?;
        let mut auth = [0; 20];
        derive(master, salt, label + 1, &mut auth)?;
        Self::from_session_keys(profile, key, session_salt, &auth)
    }

    /// From session keys as they are; the vectors of RFC 7714 begin here.
    pub(super) fn from_session_keys(
        profile: SrtpProfile,
        key: &[u8],
        salt: [u8; 14],
        auth: &[u8],
    ) -> Option<Self> {
        let algorithm = match profile {
            SrtpProfile::Aes256Gcm => &aead::AES_256_GCM,
            SrtpProfile::Aes128Gcm => &aead::AES_128_GCM,
            SrtpProfile::Aes128CmSha1 => {
                let key = UnboundCipherKey::new(&cipher::AES_128, key).ok()?;
                return Some(Self::Cm {
                    key: Box::new(EncryptingKey::ctr(key).ok()?),
                    salt,
                    mac: Box::new(Hmac::new_from_slice(auth).ok()?),
                });
            }
        };
        Some(Self::Gcm {
            key: LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?),
            salt: *salt.first_chunk()?,
        })
    }

    /// Seals the RTP packet `slot[..length]`, whose header is `header` bytes; the whole length.
    pub(super) fn seal_rtp(
        &self,
        slot: &mut [u8],
        length: usize,
        header: usize,
        place: Place,
    ) -> Result<usize, DropReason> {
        match self {
            Self::Gcm { key, salt } => {
                let nonce = Nonce::assume_unique_for_key(gcm_nonce(salt, place));
                seal_gcm(key, nonce, slot, length, header)
            }
            Self::Cm { key, salt, mac } => {
                let (packet, rest) = slot
                    .split_at_mut_checked(length)
                    .ok_or(DropReason::TooLarge)?;
                let payload = packet.get_mut(header..).ok_or(DropReason::Malformed)?;
                cm_apply(key, cm_iv(salt, place), payload)?;
                let tag = rest
                    .first_chunk_mut::<SHA1_TAG_BYTES>()
                    .ok_or(DropReason::TooLarge)?;
                // RFC 3711 §4.2: the rollover counter is authenticated, not sent.
                copy_tag(tag, cm_mac(mac, packet, &place.rollover().to_be_bytes()))?;
                Ok(length + SHA1_TAG_BYTES)
            }
        }
    }

    /// Seals an RTP packet of which `slot` has the `header` and `tail` the rest; the whole length. Out
    /// of place, where the suite can: a payload that goes to many is not copied for each of them.
    pub(super) fn seal_rtp_tail(
        &self,
        slot: &mut [u8],
        header: usize,
        tail: Tail<'_>,
        place: Place,
    ) -> Result<usize, DropReason> {
        let Self::Gcm { key, salt } = self else {
            let length = tail.copy(slot, header).ok_or(DropReason::TooLarge)?;
            return self.seal_rtp(slot, length, header, place);
        };
        let padding = padding(tail.padding);
        let padding = padding.get(..usize::from(tail.padding));
        let padding = padding.ok_or(DropReason::TooLarge)?;
        let bytes = tail.bytes;
        let length = header + bytes.len() + padding.len() + GCM_TAG_BYTES;
        let packet = slot.get_mut(..length).ok_or(DropReason::TooLarge)?;
        let (header, rest) = packet.split_at_mut(header);
        let (sealed, behind) = rest.split_at_mut(bytes.len());
        let nonce = Nonce::assume_unique_for_key(gcm_nonce(salt, place));
        key.seal_out_of_place_scatter(
            nonce,
            aead::Aad::from(&*header),
            bytes,
            sealed,
            padding,
            behind,
        )
        .map_err(|_| DropReason::Bug)?;
        Ok(length)
    }

    /// Verifies and opens an RTP packet whose header is `header` bytes; the plaintext's length.
    pub(super) fn open_rtp(
        &self,
        packet: &mut [u8],
        header: usize,
        place: Place,
    ) -> Result<usize, DropReason> {
        match self {
            Self::Gcm { key, salt } => {
                let nonce = Nonce::assume_unique_for_key(gcm_nonce(salt, place));
                let (header, payload) = packet
                    .split_at_mut_checked(header)
                    .ok_or(DropReason::Malformed)?;
                let plain = open_gcm(key, nonce, header, payload)?;
                Ok(header.len() + plain)
            }
            Self::Cm { key, salt, mac } => {
                let (packet, tag) = packet
                    .split_last_chunk_mut::<SHA1_TAG_BYTES>()
                    .ok_or(DropReason::Malformed)?;
                let payload_at = packet.get(header..).ok_or(DropReason::Malformed)?.len();
                verify(cm_mac(mac, packet, &place.rollover().to_be_bytes()), tag)?;
                let length = packet.len();
                let payload = packet.get_mut(length - payload_at..);
                cm_apply(
                    key,
                    cm_iv(salt, place),
                    payload.ok_or(DropReason::Malformed)?,
                )?;
                Ok(length)
            }
        }
    }

    /// Seals the RTCP compound `slot[..length]` under `index`; the whole length.
    pub(super) fn seal_rtcp(
        &self,
        slot: &mut [u8],
        length: usize,
        place: Place,
    ) -> Result<usize, DropReason> {
        let word = (E_FLAG | place.index_u32()).to_be_bytes();
        match self {
            Self::Gcm { key, salt } => {
                // RFC 7714 §9.2: header and index word are associated, not contiguous.
                let header = *slot
                    .first_chunk::<SRTCP_HEADER_BYTES>()
                    .ok_or(DropReason::Malformed)?;
                let body = slot
                    .get_mut(SRTCP_HEADER_BYTES..length)
                    .ok_or(DropReason::Malformed)?;
                let nonce = Nonce::assume_unique_for_key(gcm_nonce(salt, place));
                let tag = key
                    .seal_in_place_separate_tag(
                        nonce,
                        aead::Aad::from(rtcp_aad(header, word)),
                        body,
                    )
                    .map_err(|_| DropReason::Bug)?;
                put(slot, length, tag.as_ref())?;
                put(slot, length + GCM_TAG_BYTES, &word)?;
                Ok(length + GCM_TAG_BYTES + SRTCP_INDEX_BYTES)
            }
            Self::Cm { key, salt, mac } => {
                let body = slot
                    .get_mut(SRTCP_HEADER_BYTES..length)
                    .ok_or(DropReason::Malformed)?;
                cm_apply(key, cm_iv(salt, place), body)?;
                put(slot, length, &word)?;
                let covered = length + SRTCP_INDEX_BYTES;
                let mut tag = [0; SHA1_TAG_BYTES];
                let packet = slot.get(..covered).ok_or(DropReason::TooLarge)?;
                copy_tag(&mut tag, cm_mac(mac, packet, &[]))?;
                put(slot, covered, &tag)?;
                Ok(covered + SHA1_TAG_BYTES)
            }
        }
    }

    /// Where the SRTCP index word and what it covers lie: (index, encrypted).
    pub(super) fn rtcp_index(&self, packet: &[u8]) -> Option<(u32, bool)> {
        let behind = match self {
            Self::Gcm { .. } => 0,
            Self::Cm { .. } => SHA1_TAG_BYTES,
        };
        let (before, _) = packet.split_at_checked(packet.len().checked_sub(behind)?)?;
        let word = u32::from_be_bytes(*before.last_chunk::<SRTCP_INDEX_BYTES>()?);
        Some((word & !E_FLAG, word & E_FLAG != 0))
    }

    /// Verifies and opens an RTCP compound; the plaintext's length.
    pub(super) fn open_rtcp(
        &self,
        packet: &mut [u8],
        place: Place,
        encrypted: bool,
    ) -> Result<usize, DropReason> {
        match self {
            Self::Gcm { key, salt } => {
                let (sealed, word) = packet
                    .split_last_chunk_mut::<SRTCP_INDEX_BYTES>()
                    .ok_or(DropReason::Malformed)?;
                let nonce = Nonce::assume_unique_for_key(gcm_nonce(salt, place));
                if !encrypted {
                    return verify_gcm_clear(key, nonce, sealed, *word);
                }
                let (header, body) = sealed
                    .split_first_chunk_mut::<SRTCP_HEADER_BYTES>()
                    .ok_or(DropReason::Malformed)?;
                let plain = open_gcm(key, nonce, &rtcp_aad(*header, *word), body)?;
                Ok(SRTCP_HEADER_BYTES + plain)
            }
            Self::Cm { key, salt, mac } => {
                let (covered, tag) = packet
                    .split_last_chunk_mut::<SHA1_TAG_BYTES>()
                    .ok_or(DropReason::Malformed)?;
                let length = covered
                    .len()
                    .checked_sub(SRTCP_INDEX_BYTES)
                    .filter(|length| *length >= SRTCP_HEADER_BYTES)
                    .ok_or(DropReason::Malformed)?;
                verify(cm_mac(mac, covered, &[]), tag)?;
                if encrypted {
                    let body = covered.get_mut(SRTCP_HEADER_BYTES..length);
                    cm_apply(key, cm_iv(salt, place), body.ok_or(DropReason::Malformed)?)?;
                }
                Ok(length)
            }
        }
    }
}

/// The first `count` bytes are so much padding (RFC 3550 §5.1); more than `LEVEL_BYTES` is not there.
fn padding(count: u8) -> [u8; LEVEL_BYTES] {
    let mut padding = [0; LEVEL_BYTES];
    let last = usize::from(count).checked_sub(1);
    if let Some(last) = last.and_then(|last| padding.get_mut(last)) {
        *last = count;
    }
    padding
}

/// Which packet of which stream: 48 bits of index (31 for SRTCP).
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) ssrc: u32,
    pub(super) index: u64,
}

impl Place {
    fn rollover(self) -> u32 {
        let [_, _, a, b, c, d, ..] = self.index.to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    fn index_u32(self) -> u32 {
        let [.., a, b, c, d] = self.index.to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

/// RFC 7714 §8.1 and §9.1: two zeros, SSRC, 48 bits of index, over the salt.
fn gcm_nonce(salt: &[u8; 12], place: Place) -> [u8; 12] {
    let [a, b, c, d, low @ ..] = *salt;
    let high = u32::from_be_bytes([a, b, c, d]) ^ (place.ssrc >> 16);
    let low = u64::from_be_bytes(low) ^ (u64::from(place.ssrc) << 48) ^ place.index;
    let [a, b, c, d] = high.to_be_bytes();
    let [e, f, g, h, i, j, k, l] = low.to_be_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l]
}

/// RFC 3711 §4.1.1: salt at 2^16, SSRC at 2^64, index at 2^16.
fn cm_iv(salt: &[u8; 14], place: Place) -> [u8; 16] {
    let mut iv = [0; 16];
    let mask = place.ssrc.to_be_bytes().into_iter();
    let mask = mask.chain(place.index.to_be_bytes().into_iter().skip(2));
    let mask = [0; 4].into_iter().chain(mask);
    for ((to, salt), mask) in iv.iter_mut().zip(salt).zip(mask) {
        *to = salt ^ mask;
    }
    iv
}

fn cm_apply(key: &EncryptingKey, iv: [u8; 16], bytes: &mut [u8]) -> Result<(), DropReason> {
    let context = EncryptionContext::Iv128(iv.into());
    key.less_safe_encrypt(bytes, context)
        .map(|_| ())
        .map_err(|_| DropReason::Bug)
}

fn cm_mac(mac: &Hmac<Sha1>, packet: &[u8], tail: &[u8]) -> Hmac<Sha1> {
    let mut mac = mac.clone();
    mac.update(packet);
    mac.update(tail);
    mac
}

/// Constant time.
fn verify(mac: Hmac<Sha1>, tag: &[u8; SHA1_TAG_BYTES]) -> Result<(), DropReason> {
    mac.verify_truncated_left(tag)
        .map_err(|_| DropReason::Unauthenticated)
}

fn copy_tag(tag: &mut [u8; SHA1_TAG_BYTES], mac: Hmac<Sha1>) -> Result<(), DropReason> {
    let whole = mac.finalize().into_bytes();
    *tag = *whole.first_chunk().ok_or(DropReason::Bug)?;
    Ok(())
}

fn put(slot: &mut [u8], at: usize, bytes: &[u8]) -> Result<(), DropReason> {
    slot.get_mut(at..at + bytes.len())
        .ok_or(DropReason::TooLarge)?
        .copy_from_slice(bytes);
    Ok(())
}

fn rtcp_aad(header: [u8; SRTCP_HEADER_BYTES], word: [u8; 4]) -> [u8; 12] {
    let mut aad = [0; 12];
    for (to, from) in aad.iter_mut().zip(header.into_iter().chain(word)) {
        *to = from;
    }
    aad
}

fn seal_gcm(
    key: &LessSafeKey,
    nonce: Nonce,
    slot: &mut [u8],
    length: usize,
    header: usize,
) -> Result<usize, DropReason> {
    let (packet, rest) = slot
        .split_at_mut_checked(length)
        .ok_or(DropReason::TooLarge)?;
    let place = rest
        .first_chunk_mut::<GCM_TAG_BYTES>()
        .ok_or(DropReason::TooLarge)?;
    let (header, payload) = packet
        .split_at_mut_checked(header)
        .ok_or(DropReason::Malformed)?;
    let tag = key
        .seal_in_place_separate_tag(nonce, aead::Aad::from(header), payload)
        .map_err(|_| DropReason::Bug)?;
    place.copy_from_slice(tag.as_ref());
    Ok(length + GCM_TAG_BYTES)
}

fn open_gcm(
    key: &LessSafeKey,
    nonce: Nonce,
    associated: &[u8],
    sealed: &mut [u8],
) -> Result<usize, DropReason> {
    if sealed.len() < GCM_TAG_BYTES {
        return Err(DropReason::Malformed);
    }
    key.open_in_place(nonce, aead::Aad::from(associated), sealed)
        .map(|plain| plain.len())
        .map_err(|_| DropReason::Unauthenticated)
}

/// RFC 7714 §9.3: an SRTCP compound that is only tagged is all associated data. Rare, so it may
/// cost a copy.
fn verify_gcm_clear(
    key: &LessSafeKey,
    nonce: Nonce,
    sealed: &mut [u8],
    word: [u8; 4],
) -> Result<usize, DropReason> {
    let (clear, tag) = sealed
        .split_last_chunk_mut::<GCM_TAG_BYTES>()
        .ok_or(DropReason::Malformed)?;
    if clear.len() < SRTCP_HEADER_BYTES {
        return Err(DropReason::Malformed);
    }
    let associated = [&*clear, &word[..]].concat();
    open_gcm(key, nonce, &associated, &mut tag[..])?;
    Ok(clear.len())
}

//! STUN messages as ICE uses them (RFC 8489, RFC 8445 §7): one pass to parse, integrity and
//! fingerprint over the bytes as they came, a writer into the caller's buffer.
//!
//! No long-term credentials, no SHA-256 integrity, no TURN: an ICE-lite agent needs none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

use crate::error::DropReason;

const HEADER_BYTES: usize = 20;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
/// The Binding method, the only one ICE uses.
const BINDING: u16 = 0x0001;
const INTEGRITY_BYTES: usize = 20;
const FINGERPRINT_BYTES: usize = 4;
/// RFC 8489 §14.7.
const FINGERPRINT_XOR: u32 = 0x5354_554E;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;
const ICE_CONTROLLING: u16 = 0x802A;

/// The role its sender claims (RFC 8445 §7.1.3), with its tie-breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IceRole {
    /// ICE-CONTROLLED.
    Controlled(u64),
    /// ICE-CONTROLLING.
    Controlling(u64),
}

/// What kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Wants an answer.
    Request,
    /// Wants none.
    Indication,
    /// The good answer.
    Success,
    /// The bad answer.
    Error,
}

/// Names a request and its answer.
pub type TransactionId = [u8; 12];

/// A password, ready for HMAC-SHA1; a clone of the keyed state per message.
#[derive(Clone)]
pub struct IntegrityKey(Hmac<Sha1>);

impl IntegrityKey {
    /// From a password (short-term credentials, RFC 8489 §9.1.1).
    #[must_use]
    pub fn new(password: &[u8]) -> Self {
        // HMAC takes keys of any length; the empty key stands for the error that cannot be.
        Self(Hmac::new_from_slice(password).unwrap_or_else(|_| Hmac::new(&Default::default())))
    }

    /// HMAC of the message up to MESSAGE-INTEGRITY at `at`, with the length field as it would be
    /// if that attribute were the last (RFC 8489 §14.5).
    fn mac(&self, bytes: &[u8], at: usize) -> Option<Hmac<Sha1>> {
        let length = u16::try_from(
            at.checked_add(4 + INTEGRITY_BYTES)?
                .checked_sub(HEADER_BYTES)?,
        );
        let mut mac = self.0.clone();
        mac.update(bytes.get(..2)?);
        mac.update(&length.ok()?.to_be_bytes());
        mac.update(bytes.get(4..at)?);
        Some(mac)
    }
}

impl std::fmt::Debug for IntegrityKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IntegrityKey")
    }
}

/// A well-formed Binding message. Nothing in it is to be believed before [`Message::verify`].
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    class: Class,
    transaction: TransactionId,
    username: Option<&'a [u8]>,
    integrity_at: Option<usize>,
    fingerprint: bool,
    mapped: Option<SocketAddr>,
    priority: Option<u32>,
    use_candidate: bool,
    role: Option<IceRole>,
    error: Option<u16>,
}

impl<'a> Message<'a> {
    /// Parses a whole datagram; a fingerprint is checked where there is one.
    ///
    /// # Errors
    /// `Malformed`, `Unsupported` for other methods, `Unauthenticated` for a wrong fingerprint.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DropReason> {
        let (header, mut rest) = bytes
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or(DropReason::Malformed)?;
        let [t0, t1, l0, l1, c0, c1, c2, c3, transaction @ ..] = *header;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if [c0, c1, c2, c3] != MAGIC_COOKIE || length != rest.len() || length % 4 != 0 {
            return Err(DropReason::Malformed);
        }
        let mut message = Self {
            bytes,
            class: class(u16::from_be_bytes([t0, t1]))?,
            transaction,
            username: None,
            integrity_at: None,
            fingerprint: false,
            mapped: None,
            priority: None,
            use_candidate: false,
            role: None,
            error: None,
        };
        while let Some((head, after)) = rest.split_first_chunk::<4>() {
            let at = bytes.len() - rest.len();
            let [k0, k1, n0, n1] = *head;
            let size = usize::from(u16::from_be_bytes([n0, n1]));
            let value = after.get(..size).ok_or(DropReason::Malformed)?;
            rest = after
                .get(size.next_multiple_of(4)..)
                .ok_or(DropReason::Malformed)?;
            message.attribute(u16::from_be_bytes([k0, k1]), at, value)?;
            if message.fingerprint && !rest.is_empty() {
                // RFC 8489 §14.7: FINGERPRINT is the last attribute.
                return Err(DropReason::Malformed);
            }
        }
        Ok(message)
    }

    fn attribute(&mut self, kind: u16, at: usize, value: &'a [u8]) -> Result<(), DropReason> {
        // RFC 8489 §14.5: what follows MESSAGE-INTEGRITY is not covered by it; ignored.
        if self.integrity_at.is_some() && kind != FINGERPRINT {
            return Ok(());
        }
        let number = || value.try_into().map_err(|_| DropReason::Malformed);
        match kind {
            USERNAME => self.username = Some(value),
            MESSAGE_INTEGRITY => {
                if value.len() != INTEGRITY_BYTES {
                    return Err(DropReason::Malformed);
                }
                self.integrity_at = Some(at);
            }
            FINGERPRINT => {
                let said = value.try_into().map_err(|_| DropReason::Malformed)?;
                let covered = self.bytes.get(..at).ok_or(DropReason::Malformed)?;
                if crc32(covered) ^ FINGERPRINT_XOR != u32::from_be_bytes(said) {
                    return Err(DropReason::Unauthenticated);
                }
                self.fingerprint = true;
            }
            XOR_MAPPED_ADDRESS => self.mapped = Some(read_address(value, &self.transaction)?),
            PRIORITY => {
                let value = value.try_into().map_err(|_| DropReason::Malformed)?;
                self.priority = Some(u32::from_be_bytes(value));
            }
            USE_CANDIDATE => self.use_candidate = true,
            ICE_CONTROLLED => {
                self.role = Some(IceRole::Controlled(u64::from_be_bytes(number()?)));
            }
            ICE_CONTROLLING => {
                self.role = Some(IceRole::Controlling(u64::from_be_bytes(number()?)));
            }
            ERROR_CODE => {
                let &[_, _, hundreds, rest, ..] = value else {
                    return Err(DropReason::Malformed);
                };
                self.error = Some(u16::from(hundreds & 7) * 100 + u16::from(rest));
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether MESSAGE-INTEGRITY is there and right under `key`. Constant time.
    #[must_use]
    pub fn verify(&self, key: &IntegrityKey) -> bool {
        let Some(at) = self.integrity_at else {
            return false;
        };
        let said = self.bytes.get(at + 4..at + 4 + INTEGRITY_BYTES);
        let (Some(said), Some(mac)) = (said, key.mac(self.bytes, at)) else {
            return false;
        };
        mac.verify_slice(said).is_ok()
    }

    /// Request, indication or answer.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// Its transaction.
    #[must_use]
    pub fn transaction(&self) -> TransactionId {
        self.transaction
    }

    /// USERNAME as it came.
    #[must_use]
    pub fn username(&self) -> Option<&'a [u8]> {
        self.username
    }

    /// Whether there is a fingerprint (it is right, then).
    #[must_use]
    pub fn has_fingerprint(&self) -> bool {
        self.fingerprint
    }

    /// XOR-MAPPED-ADDRESS.
    #[must_use]
    pub fn mapped_address(&self) -> Option<SocketAddr> {
        self.mapped
    }

    /// PRIORITY.
    #[must_use]
    pub fn priority(&self) -> Option<u32> {
        self.priority
    }

    /// USE-CANDIDATE: its sender nominates the path.
    #[must_use]
    pub fn use_candidate(&self) -> bool {
        self.use_candidate
    }

    /// The role its sender claims.
    #[must_use]
    pub fn role(&self) -> Option<IceRole> {
        self.role
    }

    /// ERROR-CODE.
    #[must_use]
    pub fn error_code(&self) -> Option<u16> {
        self.error
    }
}

/// RFC 8489 §5: the class bits lie between the method's.
fn class(kind: u16) -> Result<Class, DropReason> {
    let method = (kind & 0x000F) | ((kind & 0x00E0) >> 1) | ((kind & 0x3E00) >> 2);
    if kind & 0xC000 != 0 {
        return Err(DropReason::Malformed);
    }
    if method != BINDING {
        return Err(DropReason::Unsupported);
    }
    Ok(match (kind & 0x0100 != 0, kind & 0x0010 != 0) {
        (false, false) => Class::Request,
        (false, true) => Class::Indication,
        (true, false) => Class::Success,
        (true, true) => Class::Error,
    })
}

/// What an address is masked with: the cookie, then the transaction (RFC 8489 §14.2).
fn address_mask(transaction: &TransactionId) -> [u8; 16] {
    let mut mask = [0; 16];
    let source = MAGIC_COOKIE.iter().chain(transaction);
    for (to, from) in mask.iter_mut().zip(source) {
        *to = *from;
    }
    mask
}

fn read_address(value: &[u8], transaction: &TransactionId) -> Result<SocketAddr, DropReason> {
    let (&[_, family, p0, p1], masked) = value
        .split_first_chunk::<4>()
        .ok_or(DropReason::Malformed)?;
    let [m0, m1, ..] = MAGIC_COOKIE;
    let port = u16::from_be_bytes([p0 ^ m0, p1 ^ m1]);
    let mut address = address_mask(transaction);
    for (to, from) in address.iter_mut().zip(masked) {
        *to ^= *from;
    }
    let ip = match (family, masked.len()) {
        (1, 4) => {
            let [a, b, c, d, ..] = address;
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        (2, 16) => IpAddr::V6(Ipv6Addr::from(address)),
        _ => return Err(DropReason::Malformed),
    };
    Ok(SocketAddr::new(ip, port))
}

/// Writes one message into a buffer. What does not fit is told by [`Writer::finish`].
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut [u8],
    length: usize,
    full: bool,
    transaction: TransactionId,
}

impl<'a> Writer<'a> {
    /// Begins a Binding message.
    pub fn new(out: &'a mut [u8], class: Class, transaction: TransactionId) -> Self {
        let kind: u16 = match class {
            Class::Request => 0x0001,
            Class::Indication => 0x0011,
            Class::Success => 0x0101,
            Class::Error => 0x0111,
        };
        let mut writer = Self {
            out,
            length: 0,
            full: false,
            transaction,
        };
        writer.put(&kind.to_be_bytes());
        writer.put(&[0, 0]);
        writer.put(&MAGIC_COOKIE);
        writer.put(&transaction);
        writer
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        match self.out.get_mut(self.length..end) {
            Some(place) if !self.full => {
                place.copy_from_slice(bytes);
                self.length = end;
            }
            _ => self.full = true,
        }
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        let Ok(size) = u16::try_from(value.len()) else {
            self.full = true;
            return;
        };
        self.put(&kind.to_be_bytes());
        self.put(&size.to_be_bytes());
        self.put(value);
        let padding = value.len().next_multiple_of(4) - value.len();
        self.put([0; 3].get(..padding).unwrap_or_default());
    }

    /// USERNAME.
    pub fn username(&mut self, username: &[u8]) {
        self.attribute(USERNAME, username);
    }

    /// PRIORITY.
    pub fn priority(&mut self, priority: u32) {
        self.attribute(PRIORITY, &priority.to_be_bytes());
    }

    /// USE-CANDIDATE.
    pub fn use_candidate(&mut self) {
        self.attribute(USE_CANDIDATE, &[]);
    }

    /// ICE-CONTROLLED or ICE-CONTROLLING.
    pub fn role(&mut self, role: IceRole) {
        match role {
            IceRole::Controlled(tie) => self.attribute(ICE_CONTROLLED, &tie.to_be_bytes()),
            IceRole::Controlling(tie) => self.attribute(ICE_CONTROLLING, &tie.to_be_bytes()),
        }
    }

    /// XOR-MAPPED-ADDRESS.
    pub fn mapped_address(&mut self, address: SocketAddr) {
        let mask = address_mask(&self.transaction);
        let [m0, m1, ..] = mask;
        let [p0, p1] = address.port().to_be_bytes();
        let mut value = [0; 20];
        let family = if address.is_ipv4() { 1 } else { 2 };
        let head = [0, family, p0 ^ m0, p1 ^ m1];
        let mut octets = [0; 16];
        let used = match address.ip() {
            IpAddr::V4(ip) => {
                octets = ip.to_ipv6_compatible().octets();
                octets.rotate_left(12);
                4
            }
            IpAddr::V6(ip) => {
                octets.copy_from_slice(&ip.octets());
                16
            }
        };
        let masked = octets.iter().zip(mask).map(|(octet, mask)| octet ^ mask);
        for (to, from) in value.iter_mut().zip(head.into_iter().chain(masked)) {
            *to = from;
        }
        self.attribute(
            XOR_MAPPED_ADDRESS,
            value.get(..4 + used).unwrap_or_default(),
        );
    }

    /// ERROR-CODE without a phrase: an answer must not outweigh its question.
    pub fn error_code(&mut self, code: u16) {
        let hundreds = u8::try_from(code / 100).unwrap_or(5);
        let rest = u8::try_from(code % 100).unwrap_or(0);
        self.attribute(ERROR_CODE, &[0, 0, hundreds, rest]);
    }

    /// Adds integrity under `key` and the fingerprint; the whole length, none where `out` is too
    /// small.
    #[must_use]
    pub fn finish(mut self, key: &IntegrityKey) -> Option<usize> {
        let at = self.length;
        let tag = key.mac(self.out.get(..at)?, at)?.finalize().into_bytes();
        self.attribute(MESSAGE_INTEGRITY, &tag);
        let at = self.length;
        // The length field counts FINGERPRINT before it is computed (RFC 8489 §14.7).
        let length = u16::try_from(
            at.checked_add(4 + FINGERPRINT_BYTES)?
                .checked_sub(HEADER_BYTES)?,
        );
        self.out
            .get_mut(2..4)?
            .copy_from_slice(&length.ok()?.to_be_bytes());
        let sum = crc32(self.out.get(..at)?) ^ FINGERPRINT_XOR;
        self.attribute(FINGERPRINT, &sum.to_be_bytes());
        (!self.full).then_some(self.length)
    }
}

/// CRC-32 of ISO 3309 as FINGERPRINT uses it, bit by bit ahead of time.
const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0_u32;
    while index < 256 {
        let mut value = index;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                (value >> 1) ^ 0xEDB8_8320
            } else {
                value >> 1
            };
            bit += 1;
        }
        #[expect(
            clippy::indexing_slicing,
            reason = "computed by the compiler, index < 256"
        )]
        {
            table[index as usize] = value;
        }
        index += 1;
    }
    table
};

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        let [low, ..] = sum.to_le_bytes();
        let entry = CRC_TABLE.get(usize::from(low ^ byte)).copied();
        (sum >> 8) ^ entry.unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text
            .bytes()
            .filter(u8::is_ascii_hexdigit)
            .map(|digit| u8::try_from(char::from(digit).to_digit(16).unwrap()).unwrap())
            .collect();
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()
    }

    /// RFC 5769 §2: "VOkJxbRl1RmTxUk/WvJxBt".
    const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";

    /// RFC 5769 §2.1.
    const REQUEST: &str = "00010058 2112a442 b7e7a701 bc34d686 fa87dfae
        80220010 5354554e 20746573 7420636c 69656e74 00240004 6e0001ff
        80290008 932ff9b1 51263b36 00060009 6576746a 3a683676 59202020
        00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2 80280004 e57a3bcf";
    /// RFC 5769 §2.2.
    const RESPONSE_V4: &str = "0101003c 2112a442 b7e7a701 bc34d686 fa87dfae
        8022000b 74657374 20766563 746f7220 00200008 0001a147 e112a643
        00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96";
    /// RFC 5769 §2.3.
    const RESPONSE_V6: &str = "01010048 2112a442 b7e7a701 bc34d686 fa87dfae
        8022000b 74657374 20766563 746f7220 00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9
        00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41 80280004 c8fb0b4c";
    /// RFC 5769 §2.4: a long USERNAME in UTF-8, and no fingerprint.
    const LONG_TERM: &str = "00010060 2112a442 78ad3433 c6ad72c0 29da412e
        00060012 e3839ee3 8388e383 aae38383 e382afe3 82b90000
        0015001c 662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341
        0014000b 6578616d 706c652e 6f726700
        00080014 f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666";

    #[test]
    fn the_sample_request_of_rfc_5769_is_read_and_verified() {
        let bytes = hex(REQUEST);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.class(), Class::Request);
        assert_eq!(message.transaction()[..2], [0xb7, 0xe7]);
        assert_eq!(message.username(), Some(&b"evtj:h6vY"[..]));
        assert_eq!(message.priority(), Some(0x6e00_01ff));
        assert_eq!(
            message.role(),
            Some(IceRole::Controlled(0x932f_f9b1_5126_3b36))
        );
        assert!(message.has_fingerprint());
        assert!(message.verify(&IntegrityKey::new(PASSWORD)));
        assert!(!message.verify(&IntegrityKey::new(b"VOkJxbRl1RmTxUk/WvJxBu")));
    }

    #[test]
    fn the_sample_responses_of_rfc_5769_give_their_addresses() {
        for (vector, address) in [
            (RESPONSE_V4, "192.0.2.1:32853"),
            (RESPONSE_V6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
        ] {
            let bytes = hex(vector);
            let message = Message::parse(&bytes).unwrap();
            assert_eq!(message.class(), Class::Success);
            assert_eq!(message.mapped_address(), Some(address.parse().unwrap()));
            assert!(message.has_fingerprint());
            assert!(message.verify(&IntegrityKey::new(PASSWORD)), "{address}");
        }
    }

    #[test]
    fn the_long_term_request_of_rfc_5769_is_verified_by_its_hashed_key() {
        let bytes = hex(LONG_TERM);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.username(), Some("マトリックス".as_bytes()));
        assert!(!message.has_fingerprint());
        // RFC 8489 §9.2.2: MD5 of "マトリックス:example.org:TheMatrIX".
        let key = hex("e8ca7ad59d5eb0518e312911d2dab2a9");
        assert!(message.verify(&IntegrityKey::new(&key)));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let key = IntegrityKey::new(PASSWORD);
        for address in ["192.0.2.1:1", "[2001:db8::7]:65535"] {
            let address = address.parse().unwrap();
            let mut out = [0; 256];
            let mut writer = Writer::new(&mut out, Class::Request, [7; 12]);
            writer.username(b"abcde:f");
            writer.priority(5);
            writer.use_candidate();
            writer.role(IceRole::Controlling(u64::MAX));
            writer.mapped_address(address);
            writer.error_code(487);
            let length = writer.finish(&key).unwrap();
            let message = Message::parse(&out[..length]).unwrap();
            assert!(message.verify(&key) && message.has_fingerprint() && message.use_candidate());
            assert_eq!(message.transaction(), [7; 12]);
            assert_eq!(message.username(), Some(&b"abcde:f"[..]));
            assert_eq!(message.priority(), Some(5));
            assert_eq!(message.role(), Some(IceRole::Controlling(u64::MAX)));
            assert_eq!(message.mapped_address(), Some(address));
            assert_eq!(message.error_code(), Some(487));
        }
    }

    #[test]
    fn an_answer_masks_its_address_as_rfc_5769_does() {
        let mut out = [0; 128];
        let mut writer = Writer::new(&mut out, Class::Success, [7; 12]);
        writer.mapped_address("192.0.2.1:32853".parse().unwrap());
        let length = writer.finish(&IntegrityKey::new(PASSWORD)).unwrap();
        // Header 20, address 12, integrity 24, fingerprint 8.
        assert_eq!(length, 64);
        assert_eq!(out[24..32], hex("0001a147 e112a643"));
    }

    #[test]
    fn a_buffer_too_small_gives_nothing() {
        for size in 0..64 {
            let mut out = vec![0; size];
            let mut writer = Writer::new(&mut out, Class::Success, [0; 12]);
            writer.mapped_address("192.0.2.1:32853".parse().unwrap());
            assert_eq!(writer.finish(&IntegrityKey::new(PASSWORD)), None, "{size}");
        }
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let good = hex(REQUEST);
        let key = IntegrityKey::new(PASSWORD);
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let believed = Message::parse(&bytes)
                .is_ok_and(|message| message.verify(&key) && message.has_fingerprint());
            assert!(!believed, "bit {bit}");
        }
    }

    #[test]
    fn every_cut_is_refused() {
        let good = hex(REQUEST);
        for length in 0..good.len() {
            assert!(Message::parse(&good[..length]).is_err(), "{length}");
        }
        let mut longer = good;
        longer.extend([0; 4]);
        assert_eq!(Message::parse(&longer).unwrap_err(), DropReason::Malformed);
    }

    #[test]
    fn attributes_behind_the_integrity_are_not_believed() {
        let key = IntegrityKey::new(PASSWORD);
        let mut out = [0; 128];
        let length = Writer::new(&mut out, Class::Request, [1; 12])
            .finish(&key)
            .unwrap();
        // Cut the fingerprint, add USE-CANDIDATE in its place, repair the length.
        let mut bytes = out[..length - 8].to_vec();
        bytes.extend([0x00, 0x25, 0, 0]);
        let size = u16::try_from(bytes.len() - 20).unwrap();
        bytes[2..4].copy_from_slice(&size.to_be_bytes());
        let message = Message::parse(&bytes).unwrap();
        assert!(message.verify(&key));
        assert!(!message.use_candidate());
    }

    #[test]
    fn other_methods_are_told_apart() {
        let mut bytes = hex(REQUEST);
        bytes[1] = 3; // Allocate.
        assert_eq!(Message::parse(&bytes).unwrap_err(), DropReason::Unsupported);
    }
}

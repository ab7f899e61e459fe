//! Signing keys: `key-id: secret`, one per line of `--keys-file`. Secrets are never shown.

use std::fmt;

use jsonwebtoken::{DecodingKey, EncodingKey};

use crate::clock::random;
use crate::limits::SIGNING_KEYS;
use crate::status::Failure;

/// HMAC-SHA-256 keys below this are weaker than their digest (RFC 7518 §3.2).
pub const SECRET_BYTES_MIN: usize = 32;

/// What makes a keys file unusable. Names lines and key ids, never secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A line is not `key-id: secret`.
    #[error("line {0}: write \"key-id: secret\"")]
    Line(usize),
    /// A secret is too short.
    #[error("key {0}: a secret has at least 32 bytes")]
    Short(String),
    /// Two keys of one id.
    #[error("key {0} is there twice")]
    Twice(String),
    /// Too many keys.
    #[error("there are more than {SIGNING_KEYS} keys in it; take out those that sign no more")]
    Many,
    /// No key at all.
    #[error("there is no key in it")]
    Empty,
}

/// One key.
pub(super) struct Key {
    pub(super) id: String,
    pub(super) sign: EncodingKey,
    pub(super) check: DecodingKey,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, …)", self.id)
    }
}

impl Key {
    fn new(id: String, secret: &[u8]) -> Self {
        Self {
            id,
            sign: EncodingKey::from_secret(secret),
            check: DecodingKey::from_secret(secret),
        }
    }
}

/// The keys of a node. The first one signs.
#[derive(Debug)]
pub struct Keys(pub(super) Vec<Key>);

impl Keys {
    /// From the text of a keys file. Empty lines and lines that start with `#` are passed over.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut keys: Vec<Key> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (id, secret) = line.split_once(':').ok_or(KeyError::Line(index + 1))?;
            let (id, secret) = (id.trim(), secret.trim());
            if id.is_empty() || secret.is_empty() {
                return Err(KeyError::Line(index + 1));
            }
            if secret.len() < SECRET_BYTES_MIN {
                return Err(KeyError::Short(id.to_owned()));
            }
            if keys.iter().any(|key| key.id == id) {
                return Err(KeyError::Twice(id.to_owned()));
            }
            if keys.len() == SIGNING_KEYS {
                return Err(KeyError::Many);
            }
            keys.push(Key::new(id.to_owned(), secret.as_bytes()));
        }
        if keys.is_empty() {
            return Err(KeyError::Empty);
        }
        Ok(Self(keys))
    }

    /// No key: nothing is signed here, and nothing of ours is taken.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    pub(super) fn find(&self, id: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.id == id)
    }

    /// One random key that lives as long as the process.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn drawn() -> Result<Self, Failure> {
        let secret = random::<32>()?;
        Ok(Self(vec![Key::new("development".to_owned(), &secret)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keys_file_is_taken_or_refused_by_its_line() {
        let long = "s".repeat(32);
        for (text, expected) in [
            (format!("# ours\n\nfirst: {long}\r\nsecond:{long}\n"), Ok(2)),
            (String::new(), Err(KeyError::Empty)),
            (format!("first {long}"), Err(KeyError::Line(1))),
            (format!("\n: {long}"), Err(KeyError::Line(2))),
            (
                "first: short".to_owned(),
                Err(KeyError::Short("first".into())),
            ),
            (
                format!("a: {long}\na: {long}"),
                Err(KeyError::Twice("a".into())),
            ),
            (
                (0..=SIGNING_KEYS)
                    .map(|id| format!("{id}: {long}\n"))
                    .collect(),
                Err(KeyError::Many),
            ),
        ] {
            assert_eq!(
                Keys::parse(&text).map(|keys| keys.0.len()),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let keys = Keys::parse(&format!("first: {}", "hush".repeat(8))).unwrap();
        assert!(!format!("{keys:?}").contains("hush"));
    }
}

//! A JSON Web Key Set (RFC 7517): public keys of another issuer, EdDSA (RFC 8037) and RS256.
//!
//! Which algorithm a token of a key is signed with follows from the key, never from the token. Keys
//! for anything else (encryption, secrets shared, other curves) are passed over, each by itself.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use crate::limits::{JWKS_KEYS, KEY_ID_BYTES};

/// RFC 7518 §3.3: RSA keys of less are refused; of more than 8192 bits, our library refuses them.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

/// What makes a set unusable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// It is no JSON of this form.
    #[error("it is no JSON Web Key Set: write {{\"keys\": [...]}}")]
    Form,
    /// It has too many keys.
    #[error("it has more than {JWKS_KEYS} keys")]
    Many,
}

/// One key.
pub(super) struct PublicKey {
    id: String,
    pub(super) algorithm: Algorithm,
    pub(super) check: DecodingKey,
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({}, {:?})", self.id, self.algorithm)
    }
}

/// The usable keys of a set, each under an id of its own.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<PublicKey>);

#[derive(Deserialize)]
struct Members {
    keys: Vec<serde_json::Value>,
}

/// The members of a JWK that are acted on (RFC 7517 §4, RFC 7518 §6.3.1, RFC 8037 §2).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl KeySet {
    /// # Errors
    /// What is wrong with the set as a whole.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, JwksError> {
        let members: Members = serde_json::from_slice(bytes).map_err(|_| JwksError::Form)?;
        if members.keys.len() > JWKS_KEYS {
            return Err(JwksError::Many);
        }
        let mut keys: Vec<PublicKey> = Vec::new();
        for member in members.keys {
            let Some(key) = PublicKey::of(member) else {
                continue;
            };
            // RFC 7517 §4.5 allows it for keys of other kinds; which one is meant nobody could say.
            if keys.iter().any(|known| known.id == key.id) {
                tracing::debug!(kid = key.id, "a kid is there twice: the first key counts");
                continue;
            }
            keys.push(key);
        }
        Ok(Self(keys))
    }

    pub(super) fn find(&self, id: &str) -> Option<&PublicKey> {
        self.0.iter().find(|key| key.id == id)
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }
}

impl PublicKey {
    /// None: it does not sign tokens, or cannot be read.
    fn of(member: serde_json::Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(member).ok()?;
        if jwk.kid.is_empty() || jwk.kid.len() > KEY_ID_BYTES {
            return None;
        }
        if jwk.usage.is_some_and(|usage| usage != "sig") {
            return None;
        }
        // RFC 7517 §4.3.
        if jwk
            .key_ops
            .is_some_and(|ops| !ops.iter().any(|it| it == "verify"))
        {
            return None;
        }
        let (algorithm, names, check) = match jwk.kty.as_str() {
            // RFC 9864 names the curve where RFC 8037 did not.
            "OKP" if jwk.crv.as_deref() == Some("Ed25519") => (
                Algorithm::EdDSA,
                &["EdDSA", "Ed25519"][..],
                edwards(jwk.x.as_deref()?)?,
            ),
            "RSA" => {
                let check = rsa(jwk.n.as_deref()?, jwk.e.as_deref()?)?;
                (Algorithm::RS256, &["RS256"][..], check)
            }
            _ => return None,
        };
        if jwk.alg.is_some_and(|alg| !names.contains(&alg.as_str())) {
            return None;
        }
        Some(Self {
            id: jwk.kid,
            algorithm,
            check,
        })
    }
}

fn edwards(x: &str) -> Option<DecodingKey> {
    let point = URL_SAFE_NO_PAD.decode(x).ok()?;
    (point.len() == 32).then(|| DecodingKey::from_ed_der(&point))
}

fn rsa(modulus: &str, exponent: &str) -> Option<DecodingKey> {
    let modulus = URL_SAFE_NO_PAD.decode(modulus).ok()?;
    let exponent = URL_SAFE_NO_PAD.decode(exponent).ok()?;
    // Some writers pad with a zero, against RFC 7518 §6.3.1.1.
    let zeros = modulus.iter().take_while(|&&byte| byte == 0).count();
    let (modulus, first) = (modulus.get(zeros..)?, *modulus.get(zeros)?);
    let bits = modulus.len() * 8 - usize::try_from(first.leading_zeros()).ok()?;
    // An exponent of 1 would make every signature good.
    let is_odd = exponent.last().is_some_and(|last| last & 1 == 1);
    let is_sane = is_odd && exponent != [1] && exponent.len() <= 8;
    (MODULUS_BITS.contains(&bits) && is_sane)
        .then(|| DecodingKey::from_rsa_raw_components(modulus, &exponent))
}

//! Another issuer, whose tokens are taken by its public keys: where the keys come from, when they
//! are asked for anew, and what its claims mean here.
//!
//! The last good set stays in use whatever happens to the source. A token signed by a key that is
//! not known yet makes the source be asked at once, though not oftener than
//! `JWKS_REFETCH_INTERVAL`: whoever makes up key ids costs one request in that time.
//!
//! | file | what it is |
//! |---|---|
//! | `jwks` | a set of public keys |
//! | `fetch` | the file or the URL it comes from |
//! | `claims` | which of their claims is which of ours |

mod claims;
mod fetch;
mod jwks;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, decode};
use serde_json::Value;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::{Instant, sleep};

use super::claims::Claims;
use super::{invalid, refusal, validation};
use crate::files;
use crate::limits::{JWKS_BYTES, JWKS_REFETCH_INTERVAL, JWKS_RETRY_INTERVAL};
use crate::status::Failure;

pub use claims::ClaimRule;
pub use fetch::{JwksUrl, KeySource, check_authorities};
pub use jwks::JwksError;
use jwks::KeySet;

/// Whether a file of keys can be used.
///
/// # Errors
/// Why not.
pub fn check_keys(path: &Path) -> Result<(), String> {
    let bytes = files::read(path, JWKS_BYTES).map_err(|error| error.to_string())?;
    let keys = KeySet::parse(&bytes).map_err(|error| error.to_string());
    keys.map(drop)
}

/// What is configured of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerRules {
    /// What `iss` must say.
    pub issuer: String,
    /// What `aud` must say.
    pub audience: String,
    /// Which of its claims is which of ours; empty: it writes ours.
    pub claims: Vec<ClaimRule>,
    /// Where its keys come from.
    pub source: KeySource,
    /// They are asked for this often.
    pub refresh: Duration,
}

/// What became of asking for keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IssuerCounts {
    /// Sets taken.
    pub taken: u64,
    /// Sets that could not be had, or were no good.
    pub failed: u64,
    /// Keys in use.
    pub keys: usize,
}

/// An issuer with its newest good keys. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Issuer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rules: IssuerRules,
    keys: watch::Sender<Arc<KeySet>>,
    /// Who holds it asks; the rest wait for the outcome.
    asking: Mutex<Asked>,
    reading: Arc<Semaphore>,
    taken: AtomicU64,
    failed: AtomicU64,
}

#[derive(Debug, Default)]
struct Asked {
    last: Option<Instant>,
    /// Said once for each fault, not each time it is seen.
    complaint: String,
}

impl Issuer {
    /// Without keys until [`Issuer::reload`] or [`Issuer::run`] has got some.
    #[must_use]
    pub fn new(rules: IssuerRules) -> Self {
        Self(Arc::new(Inner {
            rules,
            keys: watch::Sender::new(Arc::new(KeySet::default())),
            asking: Mutex::default(),
            reading: Arc::new(Semaphore::new(1)),
            taken: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }))
    }

    /// Asks for keys now, and then again and again. Never ends.
    pub async fn run(self) {
        loop {
            let wait = match self.reload().await {
                Ok(()) => self.0.rules.refresh,
                Err(_) => self.0.rules.refresh.min(JWKS_RETRY_INTERVAL),
            };
            sleep(wait).await;
        }
    }

    /// Asks for keys now.
    ///
    /// # Errors
    /// One sentence; the old keys stay in use.
    pub async fn reload(&self) -> Result<(), String> {
        let mut asked = self.0.asking.lock().await;
        self.0.ask(&mut asked).await
    }

    /// Whether keys of this id are known; where they are not, asks for them if that was not just
    /// done, and waits.
    pub(super) async fn learn(&self, id: &str) {
        if self.0.keys.borrow().find(id).is_some() {
            return;
        }
        let (issuer, id) = (self.clone(), id.to_owned());
        // In a task of its own: whoever asked may be gone before the answer is there, and would
        // leave everybody else without for a while.
        let asking = tokio::spawn(async move {
            let mut asked = issuer.0.asking.lock().await;
            let is_known = issuer.0.keys.borrow().find(&id).is_some();
            let last = asked.last.map(|last| last.elapsed());
            if !is_known && last.is_none_or(|since| since >= JWKS_REFETCH_INTERVAL) {
                drop(issuer.0.ask(&mut asked).await);
            }
        });
        drop(asking.await);
    }

    /// The key of this id, with the only algorithm it may be used by.
    pub(super) fn key(&self, id: &str) -> Option<(Algorithm, DecodingKey)> {
        let keys = self.0.keys.borrow();
        let key = keys.find(id)?;
        Some((key.algorithm, key.check.clone()))
    }

    /// A token of a key of this issuer, as one of ours.
    ///
    /// # Errors
    /// `TOKEN_INVALID`, `TOKEN_EXPIRED`.
    pub(super) fn check(
        &self,
        token: &str,
        (algorithm, key): (Algorithm, &DecodingKey),
    ) -> Result<Claims, Failure> {
        let rules = &self.0.rules;
        let validation = validation(algorithm, &rules.issuer, &rules.audience);
        let theirs = decode::<Value>(token, key, &validation).map_err(|error| {
            refusal(
                error.kind(),
                &rules.audience,
                "the issuer that is configured",
            )
        })?;
        let theirs = theirs.claims;
        let (sub, plenum) = claims::ours(&rules.claims, &theirs).map_err(|member| {
            invalid(format!(
                "the claim that stands for {member} is missing or no text"
            ))
        })?;
        if !plenum.is_object() {
            return Err(invalid(
                "there is no plenum claim, and jwks.claims maps none",
            ));
        }
        // What revocations go by must not get lost because it is written otherwise.
        let wrong = |name: &str| invalid(format!("{name} has the wrong type"));
        let claim = |name: &str| theirs.get(name).filter(|value| !value.is_null());
        let iat = claim("iat").map(|it| it.as_f64().ok_or_else(|| wrong("iat")));
        let jti = claim("jti").map(|it| it.as_str().ok_or_else(|| wrong("jti")));
        Ok(Claims {
            iss: rules.issuer.clone(),
            aud: Value::Null,
            // The library has seen that it is a number.
            exp: claim("exp")
                .and_then(Value::as_f64)
                .ok_or_else(|| wrong("exp"))?,
            iat: iat.transpose()?,
            jti: jti.transpose()?.map(str::to_owned),
            sub,
            plenum,
        })
    }

    /// How often keys were asked for, and what there is.
    #[must_use]
    pub fn counts(&self) -> IssuerCounts {
        IssuerCounts {
            taken: self.0.taken.load(Ordering::Relaxed),
            failed: self.0.failed.load(Ordering::Relaxed),
            keys: self.0.keys.borrow().len(),
        }
    }
}

impl Inner {
    async fn ask(&self, asked: &mut Asked) -> Result<(), String> {
        asked.last = Some(Instant::now());
        let source = &self.rules.source;
        let read = source.read(&self.reading).await;
        let keys = read.and_then(|bytes| KeySet::parse(&bytes).map_err(|error| error.to_string()));
        // Counted from the answer: a slow source is not asked without a pause.
        asked.last = Some(Instant::now());
        match keys {
            Ok(keys) => {
                let before = self.taken.fetch_add(1, Ordering::Relaxed);
                if keys.len() == 0 {
                    // All of them withdrawn: an issuer's way to say that none is good any longer.
                    let complaint = format!("{source}: no key of the set signs tokens");
                    if complaint != asked.complaint {
                        tracing::warn!("no token of this issuer is good: {complaint}");
                        asked.complaint = complaint;
                    }
                } else if before == 0 || !asked.complaint.is_empty() {
                    tracing::info!(keys = keys.len(), "{source}: the keys are there");
                    asked.complaint.clear();
                }
                drop(self.keys.send_replace(Arc::new(keys)));
                Ok(())
            }
            Err(why) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                let complaint = format!("{source}: {why}");
                if complaint != asked.complaint {
                    let keys = self.keys.borrow().len();
                    tracing::warn!(keys, "the keys known so far stay in use: {complaint}");
                    asked.complaint.clone_from(&complaint);
                }
                Err(complaint)
            }
        }
    }
}

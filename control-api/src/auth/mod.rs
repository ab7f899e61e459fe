//! Tokens: JWTs, signed and checked here and nowhere else. Ours are HS256; another issuer's are of
//! its public keys.
//!
//! `iss` = `kid` = key id, `aud` = "plenum", `exp` required, `sub` = participant id (absent: an
//! invitation). The `plenum` claim says whether it is a participant's or a backend's; each is
//! refused where the other belongs. What is wrong with a token is said; nothing about secrets is.
//!
//! | file | what it is |
//! |---|---|
//! | [`keys`] | signing keys and their file |
//! | `claims` | the JSON of a token |
//! | [`issuer`] | another issuer's keys and claims |

mod claims;
pub mod issuer;
pub mod keys;

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode};

use crate::clock::{Ulid, UnixTime};
use crate::limits::{
    CLOCK_SKEW, KEY_ID_BYTES, TOKEN_BYTES, TOKEN_ID_BYTES, TOKEN_TTL_MAX, TOKEN_TTL_MIN,
};
use crate::registry::{ParticipantName, ParticipantSpec, RoomConfig, RoomName};
use crate::status::{Failure, Reason};
use tokio::sync::watch;

use claims::{BackendClaim, Claims, ParticipantClaim};
pub use issuer::Issuer;
pub use keys::{KeyError, Keys};

/// Whom our own tokens are for, and those of others where nothing else is configured.
pub const AUDIENCE: &str = "plenum";

/// What a backend's token may cover, besides `*`.
pub const SCOPES: &[&str] = &[
    "rooms.read",
    "rooms.write",
    "participants.read",
    "participants.write",
    "tracks.read",
    "tracks.write",
    "mixes.read",
    "mixes.write",
    "recordings.read",
    "recordings.write",
    "events.read",
    "events.write",
    "stats.read",
    "stats.write",
    "diagnostics.read",
    "diagnostics.write",
    "nodes.read",
    "nodes.write",
    "tokens.issue",
];

/// What a participant's token grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantGrant {
    /// Where it may join.
    pub room: RoomName,
    /// As whom; none: an invitation, each join gets its own id.
    pub participant: Option<ParticipantName>,
    /// How it is described.
    pub spec: ParticipantSpec,
    /// Makes a missing room like this.
    pub room_config: Option<RoomConfig>,
    /// Its `jti`.
    pub token_id: Option<String>,
    /// When it was issued; the epoch where the token does not say.
    pub issued_at: UnixTime,
    /// When it ends; the stay does not end with it.
    pub expires_at: UnixTime,
}

/// What a backend's token grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendGrant {
    /// Whose it is: the key and the `sub` of its token, or its certificate; empty: none was asked for.
    holder: String,
    scopes: Vec<String>,
    rooms: Vec<String>,
}

impl BackendGrant {
    /// Everything: for development mode, where tokens are optional.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            holder: String::new(),
            scopes: vec!["*".to_owned()],
            rooms: Vec::new(),
        }
    }

    /// Everything, for the holder of the certificate of this fingerprint.
    #[must_use]
    pub fn of_certificate(fingerprint: &str) -> Self {
        Self {
            // No key's id has a colon.
            holder: format!("certificate: {fingerprint}"),
            ..Self::everything()
        }
    }

    /// Who it is, for telling one's repeats of calls from another's: whose key or certificate it
    /// is, and what it may do.
    #[must_use]
    pub fn principal(&self) -> String {
        format!("{:?} {:?} {:?}", self.holder, self.scopes, self.rooms)
    }

    /// Whether it covers `scope`, in `room` where the request names one.
    ///
    /// # Errors
    /// `SCOPE_MISSING`.
    pub fn check(&self, scope: &'static str, room: Option<&RoomName>) -> Result<(), Failure> {
        if !self.scopes.iter().any(|it| it == "*" || it == scope) {
            let why = format!("the token does not have the scope {scope}");
            return Err(Failure::new(Reason::ScopeMissing, why));
        }
        match room {
            Some(room) if !self.covers(room) => {
                let why = format!("the token does not cover rooms/{room}");
                Err(Failure::new(Reason::ScopeMissing, why))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether it covers every room, whatever its name.
    #[must_use]
    pub fn covers_all(&self) -> bool {
        self.rooms.is_empty() || self.rooms.iter().any(|pattern| pattern == "*")
    }

    /// Whether it covers a room: for lists, which leave the others out.
    #[must_use]
    pub fn covers(&self, room: &RoomName) -> bool {
        let matches = |pattern: &String| match pattern.strip_suffix('*') {
            Some(prefix) => room.as_str().starts_with(prefix),
            None => room.as_str() == pattern,
        };
        self.rooms.is_empty() || self.rooms.iter().any(matches)
    }
}

/// What a token for a participant is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// Where.
    pub room: RoomName,
    /// As whom; none: an invitation.
    pub participant: Option<ParticipantName>,
    /// How it is described.
    pub spec: ParticipantSpec,
    /// 10 s to 24 h.
    pub ttl: Duration,
    /// Makes a missing room like this.
    pub room_config: Option<RoomConfig>,
}

/// A signed token.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// The JWT.
    pub token: String,
    /// Its `jti`.
    pub id: Ulid,
    /// Its `exp`.
    pub expire_time: UnixTime,
}

impl std::fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IssuedToken({}, …)", self.id)
    }
}

/// Signs and checks.
#[derive(Debug)]
pub struct Authority {
    keys: watch::Sender<Arc<Keys>>,
    issuer: Option<Issuer>,
}

impl Authority {
    /// With these keys; the first one signs.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        Self {
            keys: watch::Sender::new(Arc::new(keys)),
            issuer: None,
        }
    }

    /// Takes another issuer's tokens too.
    #[must_use]
    pub fn with_issuer(self, issuer: Option<Issuer>) -> Self {
        Self { issuer, ..self }
    }

    /// The other issuer, if there is one.
    #[must_use]
    pub const fn issuer(&self) -> Option<&Issuer> {
        self.issuer.as_ref()
    }

    /// From now on these keys and no others: tokens of a key that is gone are refused. Who is inside
    /// may stay.
    pub fn replace_keys(&self, keys: Keys) {
        drop(self.keys.send_replace(Arc::new(keys)));
    }

    /// To be awaited before a token is checked: where it is signed by a key that is not known yet,
    /// the issuer is asked for it.
    pub async fn learn(&self, token: &str) {
        let Some(issuer) = &self.issuer else {
            return;
        };
        if token.len() > TOKEN_BYTES {
            return;
        }
        // Whatever else is wrong with it is said by the check.
        let Some(id) = decode_header(token).ok().and_then(|header| header.kid) else {
            return;
        };
        if id.len() <= KEY_ID_BYTES && self.keys.borrow().find(&id).is_none() {
            issuer.learn(&id).await;
        }
    }

    /// Checks a participant's token.
    ///
    /// # Errors
    /// `TOKEN_INVALID`, `TOKEN_EXPIRED`, `TOKEN_KIND`, `FEATURE_ABSENT`.
    pub fn participant(&self, token: &str) -> Result<ParticipantGrant, Failure> {
        let claims = self.check(token)?;
        if claims.plenum.get("scopes").is_some() {
            let why = "this is a backend's token; a participant's is needed";
            return Err(Failure::new(Reason::TokenKind, why));
        }
        let claim: ParticipantClaim = serde_json::from_value(claims.plenum)
            .map_err(|error| invalid(format!("plenum: {error}")))?;
        let room = claim.room.strip_prefix("rooms/").unwrap_or(&claim.room);
        let in_token = |failure: Failure| {
            if failure.reason == Reason::FeatureAbsent {
                return failure;
            }
            invalid(failure.message)
        };
        let iat = claims
            .iat
            .ok_or_else(|| invalid("iat is missing: a participant's says when it was issued"))?;
        let expires_at = last_moment(claims.exp, iat)?;
        // Kept for as long as its bearer is inside.
        if claims
            .jti
            .as_ref()
            .is_some_and(|id| id.len() > TOKEN_ID_BYTES)
        {
            return Err(invalid(format!(
                "jti is longer than {TOKEN_ID_BYTES} bytes"
            )));
        }
        let room_config = claim
            .room_config
            .as_ref()
            .map(claims::RoomConfigClaim::config);
        Ok(ParticipantGrant {
            room: RoomName::new(room).map_err(in_token)?,
            participant: claims
                .sub
                .map(ParticipantName::new)
                .transpose()
                .map_err(in_token)?,
            spec: claim.spec().map_err(in_token)?,
            room_config: room_config.transpose().map_err(in_token)?,
            token_id: claims.jti,
            issued_at: moment(iat),
            expires_at,
        })
    }

    /// Checks a backend's token.
    ///
    /// # Errors
    /// `TOKEN_INVALID`, `TOKEN_EXPIRED`, `TOKEN_KIND`.
    pub fn backend(&self, token: &str) -> Result<BackendGrant, Failure> {
        let claims = self.check(token)?;
        if claims.plenum.get("scopes").is_none() {
            let why = "this is a participant's token; a backend's is needed";
            return Err(Failure::new(Reason::TokenKind, why));
        }
        let claim: BackendClaim = serde_json::from_value(claims.plenum)
            .map_err(|error| invalid(format!("plenum: {error}")))?;
        check_scopes(&claim.scopes)?;
        Ok(BackendGrant {
            holder: format!("{} {}", claims.iss, claims.sub.unwrap_or_default()),
            scopes: claim.scopes,
            rooms: claim.rooms,
        })
    }

    /// Signs a participant's token.
    ///
    /// # Errors
    /// `FIELD_INVALID`, `NO_SIGNING_KEY`.
    pub fn issue(&self, request: &TokenRequest) -> Result<IssuedToken, Failure> {
        request.spec.check()?;
        let claim = ParticipantClaim::new(
            request.room.as_str(),
            &request.spec,
            request.room_config.as_ref(),
        );
        let sub = request
            .participant
            .as_ref()
            .map(|name| name.as_str().to_owned());
        self.sign(sub, serde_json::to_value(claim), request.ttl)
    }

    /// Signs a backend's token, for `rooms` (patterns; empty: all).
    ///
    /// # Errors
    /// `FIELD_INVALID`, `NO_SIGNING_KEY`.
    pub fn issue_backend(
        &self,
        scopes: Vec<String>,
        rooms: Vec<String>,
        ttl: Duration,
    ) -> Result<IssuedToken, Failure> {
        check_scopes(&scopes)?;
        let claim = BackendClaim { scopes, rooms };
        self.sign(None, serde_json::to_value(claim), ttl)
    }

    fn sign(
        &self,
        sub: Option<String>,
        plenum: serde_json::Result<serde_json::Value>,
        ttl: Duration,
    ) -> Result<IssuedToken, Failure> {
        if !(TOKEN_TTL_MIN..=TOKEN_TTL_MAX).contains(&ttl) {
            return Err(Failure::field("ttl", "from 10 s to 24 h"));
        }
        let keys = Arc::clone(&self.keys.borrow());
        let key = keys.0.first();
        let key = key.ok_or_else(|| Failure::of(Reason::NoSigningKey))?;
        let now = UnixTime::now();
        let id = Ulid::new(now)?;
        let expire_time = now.after(ttl);
        let claims = Claims {
            iss: key.id.clone(),
            sub,
            aud: AUDIENCE.into(),
            exp: seconds(expire_time).floor(),
            // To the millisecond: a token issued after a removal within the same second is good.
            iat: Some(seconds(now)),
            jti: Some(id.to_string()),
            plenum: plenum.map_err(|_| Failure::of(Reason::ServerFailed))?,
        };
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(key.id.clone());
        let token = encode(&header, &claims, &key.sign);
        Ok(IssuedToken {
            token: token.map_err(|_| Failure::of(Reason::NoSigningKey))?,
            id,
            expire_time,
        })
    }

    fn check(&self, token: &str) -> Result<Claims, Failure> {
        let claims = self.verified(token)?;
        // One from the future would outlive a revocation of all that were issued before it.
        let latest = UnixTime::now().after(CLOCK_SKEW);
        if claims.iat.is_some_and(|iat| moment(iat) > latest) {
            return Err(invalid(
                "iat is in the future; write seconds, by a clock that is right",
            ));
        }
        Ok(claims)
    }

    fn verified(&self, token: &str) -> Result<Claims, Failure> {
        if token.len() > TOKEN_BYTES {
            return Err(invalid("it is longer than any token of ours"));
        }
        let header = decode_header(token).map_err(|_| invalid("it is no JWT"))?;
        let id = header.kid.ok_or_else(|| invalid("its header has no kid"))?;
        // RFC 8725 §3.1: the key says the algorithm; what the header says must be the same.
        let is = |algorithm: Algorithm| match header.alg == algorithm {
            true => Ok(()),
            false => Err(invalid(format!(
                "alg must be {algorithm:?}, as its key has it"
            ))),
        };
        let keys = Arc::clone(&self.keys.borrow());
        if let Some(key) = keys.find(&id) {
            is(Algorithm::HS256)?;
            let validation = validation(Algorithm::HS256, &key.id, AUDIENCE);
            return match decode::<Claims>(token, &key.check, &validation) {
                Ok(token) => Ok(token.claims),
                Err(error) => Err(refusal(error.kind(), AUDIENCE, "the key id, as kid")),
            };
        }
        let issuer = self.issuer.as_ref();
        let found = issuer.and_then(|issuer| Some((issuer, issuer.key(&id)?)));
        let (issuer, (algorithm, key)) =
            found.ok_or_else(|| invalid("there is no key of its kid here"))?;
        is(algorithm)?;
        issuer.check(token, (algorithm, &key))
    }
}

/// What every token must hold, besides its signature.
fn validation(algorithm: Algorithm, issuer: &str, audience: &str) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&[audience]);
    validation.set_issuer(&[issuer]);
    validation.set_required_spec_claims(&["exp", "aud", "iss"]);
    validation.validate_nbf = true;
    validation.leeway = CLOCK_SKEW.as_secs();
    validation
}

/// Until when a participant's token is good: `exp`, but `TOKEN_TTL_MAX` after its issue at the
/// latest, whoever issued it. Revocations are forgotten after that time.
fn last_moment(exp: f64, iat: f64) -> Result<UnixTime, Failure> {
    let last = moment(iat).after(TOKEN_TTL_MAX).min(moment(exp));
    if last.after(CLOCK_SKEW) < UnixTime::now() {
        return Err(Failure::of(Reason::TokenExpired));
    }
    Ok(last)
}

fn check_scopes(scopes: &[String]) -> Result<(), Failure> {
    match scopes
        .iter()
        .find(|it| *it != "*" && !SCOPES.contains(&it.as_str()))
    {
        Some(_) => Err(invalid("plenum.scopes names a scope that does not exist")),
        None => Ok(()),
    }
}

fn invalid(why: impl std::fmt::Display) -> Failure {
    Failure::new(
        Reason::TokenInvalid,
        format!("the token is not valid: {why}"),
    )
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's list is open; whatever it adds, the token is not valid"
)]
fn refusal(kind: &ErrorKind, audience: &str, issuer: &str) -> Failure {
    match kind {
        ErrorKind::ExpiredSignature => Failure::of(Reason::TokenExpired),
        ErrorKind::InvalidSignature => invalid("its signature does not verify"),
        ErrorKind::InvalidAudience => invalid(format!("aud must be {audience:?}")),
        ErrorKind::InvalidIssuer => invalid(format!("iss must be {issuer}")),
        ErrorKind::ImmatureSignature => invalid("it is not valid yet (nbf)"),
        ErrorKind::MissingRequiredClaim(claim) => invalid(format!("{claim} is missing")),
        ErrorKind::InvalidClaimFormat(claim) => invalid(format!("{claim} has the wrong type")),
        ErrorKind::Json(error) => invalid(format!("its claims cannot be read: {error}")),
        _ => invalid("it cannot be read"),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 are far below 2^53"
)]
fn seconds(time: UnixTime) -> f64 {
    time.as_millis() as f64 / 1_000.0
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float is cut to the nearest whole number there is, which is what is meant"
)]
fn moment(seconds: f64) -> UnixTime {
    UnixTime::from_millis((seconds * 1_000.0).round() as u64)
}

#[cfg(test)]
mod tests;

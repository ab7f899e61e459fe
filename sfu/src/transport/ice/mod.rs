//! An ICE-lite agent (RFC 8445 §2.5): answers checks, follows nominations, proves the way back.
//!
//! It never gathers, never pairs candidates and is always controlled. What it adds to the RFC's
//! lite agent: before media moves to a nominated path, and every 5 s after, one Binding request of
//! ours must be answered there (RFC 7675), so that nobody can aim media at a stranger. While nothing
//! is sent nothing can be aimed (§5.1): then it is asked less often whether the other side is there.
//! Whatever fails integrity or is for an unknown user fragment gets no answer at all.

#[cfg(test)]
mod tests;

use arrayvec::ArrayVec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng as _;

use super::ufrag::{self, UfragParts};
use crate::error::DropReason;
use crate::limits::{
    CONSENT_BEAT, CONSENT_INTERVAL, CONSENT_INTERVAL_UNUSED, CONSENT_INTERVAL_WATCHED,
    CONSENT_TIMEOUT, PATHS_PER_TRANSPORT, RESTART_OVERLAP,
};
use crate::path::Path;
use crate::prefetch::prefetch;
use crate::sdp::description::IceCredentials;
use crate::time::{Duration, Instant};
use crate::wire::stun::{Class, IceRole, IntegrityKey, Message, TransactionId, Writer};

/// First repetition of an unanswered proof of a path that media waits for; doubles each time.
const PROOF_INTERVAL: Duration = Duration::from_millis(100);
/// Repetitions of a proof in quick succession; after that it is tried at `CONSENT_INTERVAL`.
const PROOF_TRIES: u32 = 6;
/// Binding requests of ours whose answers are still awaited.
const PENDING: usize = 8;
/// Type preference of a host candidate, local preference and component (RFC 8445 §5.1.2).
const PRIORITY: u32 = (126 << 24) | (65_535 << 8) | 255;
/// A STUN message of ours: header, USERNAME up to 513 bytes, the rest fixed.
pub(super) const STUN_BYTES: usize = 640;

/// The first beat that is not before `at`.
fn at_beat(at: Instant) -> Instant {
    let beat = u64::try_from(CONSENT_BEAT.as_micros()).unwrap_or(1);
    Instant::from_micros(at.as_micros().next_multiple_of(beat))
}

/// A STUN message to be sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) path: Path,
    pub(super) bytes: Vec<u8>,
}

/// What a message changed.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) new_path: bool,
    pub(super) lost_paths: ArrayVec<Path, PATHS_PER_TRANSPORT>,
    pub(super) answer: Option<Outgoing>,
}

/// One generation of credentials, with the other side's where known.
#[derive(Debug)]
struct Generation {
    number: u8,
    credentials: IceCredentials,
    key: IntegrityKey,
    remote: Option<(IceCredentials, IntegrityKey)>,
}

/// A path with at least one good check.
#[derive(Debug)]
struct Candidate {
    path: Path,
    generation: u8,
    checked_at: Instant,
    /// When the other side answered a request of ours there.
    proved_at: Option<Instant>,
}

/// A request of ours.
#[derive(Debug)]
struct Pending {
    transaction: TransactionId,
    path: Path,
    generation: u8,
    sent_at: Instant,
}

/// The path the other side wants, not yet proved.
#[derive(Debug)]
struct Proof {
    path: Path,
    generation: u8,
    tries: u32,
    next_at: Instant,
}

/// The agent of one transport.
#[derive(Debug)]
pub(super) struct Agent {
    shard: u16,
    key: u32,
    newest: IceCredentials,
    /// Oldest first; two during a restart.
    generations: ArrayVec<Generation, 2>,
    /// When the older generation goes, once the newer one is known to both sides.
    retire_at: Option<Instant>,
    candidates: Vec<Candidate>,
    selected: Option<(Path, u8)>,
    proof: Option<Proof>,
    pending: ArrayVec<Pending, PENDING>,
    next_consent_at: Instant,
    /// When the selected path was asked last.
    asked_at: Instant,
    /// Media or reports have left by the selected path since then.
    in_use: bool,
    /// It is to be known within seconds whether the other side is still there.
    is_watched: bool,
    /// Anything authenticated, by any path: the other side is there.
    authenticated_at: Instant,
    /// The same by the selected path alone: it may be sent to (RFC 7675 §5.1).
    consented_at: Instant,
    /// Of the last request of ours that was answered.
    rtt: Option<Duration>,
    expired: bool,
    tie_breaker: u64,
    transactions: [u8; 12],
    sent: u64,
}

impl Agent {
    pub(super) fn new(shard: u16, key: u32, now: Instant, rng: &mut ChaCha20Rng) -> Self {
        let mut transactions = [0; 12];
        rng.fill_bytes(&mut transactions);
        let mut agent = Self {
            shard,
            key,
            newest: IceCredentials {
                ufrag: String::new(),
                password: String::new(),
            },
            generations: ArrayVec::new(),
            retire_at: None,
            candidates: Vec::new(),
            selected: None,
            proof: None,
            pending: ArrayVec::new(),
            next_consent_at: now,
            asked_at: now,
            in_use: false,
            is_watched: false,
            authenticated_at: now,
            consented_at: now,
            rtt: None,
            expired: false,
            tie_breaker: rng.next_u64(),
            transactions,
            sent: 0,
        };
        agent.restart(rng);
        agent
    }

    /// A new generation of credentials.
    pub(super) fn restart(&mut self, rng: &mut ChaCha20Rng) {
        let number = self
            .generations
            .last()
            .map_or(0, |last| last.number.wrapping_add(1));
        let parts = UfragParts {
            shard: self.shard,
            key: self.key,
            generation: number,
        };
        // RFC 8445 §5.3: the password has at least 128 bits of chance.
        let mut secret = [0; 18];
        rng.fill_bytes(&mut secret);
        let credentials = IceCredentials {
            ufrag: ufrag::encode(parts, rng.next_u64()),
            password: STANDARD_NO_PAD.encode(secret),
        };
        if self.generations.is_full() {
            // The generation in use stays; one that was never nominated makes room.
            let in_use = self.selected.map(|(_, generation)| generation);
            let oldest_is_used = self.generations.first().map(|oldest| oldest.number) == in_use;
            self.generations.remove(usize::from(oldest_is_used));
        }
        self.retire_at = None;
        self.newest = credentials.clone();
        self.generations.push(Generation {
            number,
            key: IntegrityKey::new(credentials.password.as_bytes()),
            credentials,
            remote: None,
        });
    }

    /// Our credentials of the newest generation.
    pub(super) fn credentials(&self) -> &IceCredentials {
        &self.newest
    }

    /// The other side's credentials; those of an older generation said again change nothing.
    pub(super) fn set_remote(&mut self, now: Instant, remote: IceCredentials) {
        let known = self.generations.iter().any(|generation| {
            generation
                .remote
                .as_ref()
                .is_some_and(|(known, _)| *known == remote)
        });
        if known {
            return;
        }
        let overlap = self.generations.len() > 1;
        if let Some(newest) = self.generations.last_mut() {
            let key = IntegrityKey::new(remote.password.as_bytes());
            newest.remote = Some((remote, key));
        }
        // A nomination may have come before the description: now it can be proved.
        if let Some(proof) = self.proof.as_mut() {
            proof.next_at = now;
            proof.tries = 0;
        }
        if overlap {
            self.retire_at = Some(now + RESTART_OVERLAP);
        } else if self.selected.is_none() {
            self.authenticated_at = now;
        }
    }

    pub(super) fn has_remote(&self) -> bool {
        self.generations
            .iter()
            .any(|generation| generation.remote.is_some())
    }

    /// A STUN message from `path`.
    pub(super) fn handle(
        &mut self,
        now: Instant,
        path: Path,
        bytes: &[u8],
    ) -> Result<Outcome, DropReason> {
        let message = Message::parse(bytes)?;
        match message.class() {
            Class::Request => self.handle_request(now, path, &message),
            Class::Success => self.handle_success(now, path, &message),
            // An error answer grants no consent (RFC 7675 §5.1), an indication asks for nothing.
            Class::Error | Class::Indication => Err(DropReason::Unsupported),
        }
    }

    fn handle_request(
        &mut self,
        now: Instant,
        path: Path,
        message: &Message<'_>,
    ) -> Result<Outcome, DropReason> {
        let username = message.username().ok_or(DropReason::Unauthenticated)?;
        let colon = username.iter().position(|byte| *byte == b':');
        let (local, remote) = username.split_at(colon.ok_or(DropReason::Malformed)?);
        let generation = self
            .generations
            .iter()
            .find(|generation| generation.credentials.ufrag.as_bytes() == local)
            .ok_or(DropReason::UnknownUfrag)?;
        // RFC 8445 §7.1: a check has both.
        if !message.has_fingerprint() || !message.verify(&generation.key) {
            return Err(DropReason::Unauthenticated);
        }
        if let Some((known, _)) = &generation.remote
            && remote.get(1..) != Some(known.ufrag.as_bytes())
        {
            return Err(DropReason::Unauthenticated);
        }
        if let Some(IceRole::Controlled(_)) = message.role() {
            // RFC 8445 §7.3.1.1: a lite agent cannot take the other role, so the peer must.
            let answer = self.answer(path, message, Class::Error, &generation.key);
            return Ok(Outcome {
                answer,
                ..Outcome::default()
            });
        }
        let answer = self.answer(path, message, Class::Success, &generation.key);
        let number = generation.number;
        let mut outcome = self.note_check(now, path, number);
        outcome.answer = answer;
        self.note_authenticated(now, path);
        if message.use_candidate() {
            self.nominate(now, path, number, &mut outcome);
        }
        Ok(outcome)
    }

    fn answer(
        &self,
        path: Path,
        message: &Message<'_>,
        class: Class,
        key: &IntegrityKey,
    ) -> Option<Outgoing> {
        let mut bytes = vec![0; 128];
        let mut writer = Writer::new(&mut bytes, class, message.transaction());
        if class == Class::Error {
            writer.error_code(487);
        } else {
            writer.mapped_address(path.remote);
        }
        let length = writer.finish(key)?;
        bytes.truncate(length);
        Some(Outgoing { path, bytes })
    }

    /// A good check came from `path`: it is one of ours now.
    fn note_check(&mut self, now: Instant, path: Path, generation: u8) -> Outcome {
        let mut outcome = Outcome::default();
        if let Some(known) = self.candidates.iter_mut().find(|known| known.path == path) {
            known.checked_at = now;
            if self
                .generations
                .last()
                .is_some_and(|newest| newest.number == generation)
            {
                known.generation = generation;
            }
            return outcome;
        }
        if self.candidates.len() >= PATHS_PER_TRANSPORT {
            let oldest = self
                .candidates
                .iter()
                .enumerate()
                .filter(|(_, known)| !self.is_in_use(known.path))
                .min_by_key(|(_, known)| known.checked_at)
                .map(|(at, _)| at);
            if let Some(at) = oldest {
                outcome.lost_paths.push(self.candidates.remove(at).path);
            }
        }
        self.candidates.push(Candidate {
            path,
            generation,
            checked_at: now,
            proved_at: None,
        });
        outcome.new_path = true;
        outcome
    }

    fn is_in_use(&self, path: Path) -> bool {
        self.selected.is_some_and(|(selected, _)| selected == path)
            || self.proof.as_ref().is_some_and(|proof| proof.path == path)
    }

    /// The other side wants media at `path`.
    fn nominate(&mut self, now: Instant, path: Path, generation: u8, outcome: &mut Outcome) {
        if self.selected == Some((path, generation)) {
            // Unless a newer generation is about to take over, the other side changed its mind.
            self.proof.take_if(|proof| proof.generation == generation);
            return;
        }
        let newest = self.generations.last().map(|newest| newest.number);
        let is_old = Some(generation) != newest;
        let in_use = self.selected.map(|(_, generation)| generation);
        if is_old
            && (in_use == newest || self.proof.as_ref().map(|proof| proof.generation) == newest)
        {
            return;
        }
        let is_fresh = |at: Instant| now.since(at) < CONSENT_TIMEOUT;
        let proved = self.candidates.iter().any(|known| {
            let proved = known.proved_at.is_some_and(is_fresh);
            known.path == path && proved && known.generation == generation
        });
        if proved && in_use == Some(generation) {
            self.select(now, path, generation, outcome);
        } else if self
            .proof
            .as_ref()
            .is_none_or(|proof| proof.path != path || proof.generation != generation)
        {
            self.proof = Some(Proof {
                path,
                generation,
                tries: 0,
                next_at: now,
            });
        }
    }

    fn select(&mut self, now: Instant, path: Path, generation: u8, outcome: &mut Outcome) {
        self.selected = Some((path, generation));
        self.consented_at = now;
        self.proof = None;
        self.expired = false;
        self.asked_at = now;
        self.in_use = false;
        self.next_consent_at = self.consent_due(now, self.unused_interval());
        if self
            .generations
            .last()
            .is_some_and(|newest| newest.number == generation)
        {
            // The restart is over: the older generation and what only it knew are gone.
            self.retire(outcome);
        }
    }

    fn retire(&mut self, outcome: &mut Outcome) {
        self.retire_at = None;
        while self.generations.len() > 1 {
            self.generations.remove(0);
        }
        let newest = self.generations.last().map(|newest| newest.number);
        let selected = self.selected.map(|(path, _)| path);
        self.candidates.retain(|known| {
            let stays = Some(known.generation) == newest || Some(known.path) == selected;
            if !stays {
                outcome.lost_paths.push(known.path);
            }
            stays
        });
    }

    fn handle_success(
        &mut self,
        now: Instant,
        path: Path,
        message: &Message<'_>,
    ) -> Result<Outcome, DropReason> {
        let transaction = message.transaction();
        let at = self
            .pending
            .iter()
            .position(|pending| pending.transaction == transaction && pending.path == path)
            .ok_or(DropReason::UnknownUfrag)?;
        let generation = self.pending.get(at).map(|pending| pending.generation);
        let key = self
            .generations
            .iter()
            .find(|known| Some(known.number) == generation)
            .and_then(|known| known.remote.as_ref());
        let (Some((_, key)), Some(generation)) = (key, generation) else {
            return Err(DropReason::UnknownUfrag);
        };
        if !message.verify(key) {
            return Err(DropReason::Unauthenticated);
        }
        let answered = self.pending.remove(at);
        self.rtt = Some(now.since(answered.sent_at));
        self.note_authenticated(now, path);
        if let Some(known) = self.candidates.iter_mut().find(|known| known.path == path) {
            known.proved_at = Some(now);
        }
        if self.selected() == Some(path) && !self.in_use {
            self.next_consent_at = self.consent_due(self.asked_at, self.unused_interval());
        }
        let mut outcome = Outcome::default();
        if self
            .proof
            .as_ref()
            .is_some_and(|proof| proof.path == path && proof.generation == generation)
        {
            self.select(now, path, generation, &mut outcome);
        }
        Ok(outcome)
    }

    /// Round trip of the last answered request of ours.
    pub(super) fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// An authenticated datagram of any kind came by `path`: the other side is there, and where it
    /// is the selected path, can be reached there. What comes by another path says nothing of the
    /// one that media goes to.
    pub(super) fn note_authenticated(&mut self, now: Instant, path: Path) {
        self.authenticated_at = self.authenticated_at.max(now);
        if self.selected() == Some(path) {
            self.consented_at = self.consented_at.max(now);
        }
    }

    /// Media or a report leaves by the selected path. True where consent is to be asked for sooner
    /// than it would have been.
    pub(super) fn note_sent(&mut self) -> bool {
        if std::mem::replace(&mut self.in_use, true) {
            return false;
        }
        let due = self.consent_due(self.asked_at, CONSENT_INTERVAL);
        let sooner = due < self.next_consent_at;
        self.next_consent_at = self.next_consent_at.min(due);
        sooner
    }

    /// From now on it is to be known within seconds whether the other side is there, or not any more.
    pub(super) fn watch(&mut self, now: Instant, is_watched: bool) {
        self.is_watched = is_watched;
        if is_watched {
            self.next_consent_at = self.next_consent_at.min(now);
        }
    }

    const fn unused_interval(&self) -> Duration {
        if self.is_watched {
            CONSENT_INTERVAL_WATCHED
        } else {
            CONSENT_INTERVAL_UNUSED
        }
    }

    /// `interval` ± 20 % after `last` (RFC 7675 §5.1), here by what the transaction ids have of
    /// chance; then at the next beat, so that a shard full of idle participants wakes for many of
    /// them at once.
    fn consent_due(&self, last: Instant, interval: Duration) -> Instant {
        let [seed, ..] = self.next_transaction();
        // No later than 1.2 times the interval with the beat.
        let spread = (interval.mul_f64(0.4) - CONSENT_BEAT).mul_f64(f64::from(seed) / 255.0);
        at_beat(last + interval.mul_f64(0.8) + spread)
    }

    fn next_transaction(&self) -> TransactionId {
        let mut transaction = self.transactions;
        // Any bijection will do: the answer is believed for its integrity, not for its number.
        let mixed = (self.sent + 1)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .to_be_bytes();
        for (to, from) in transaction.iter_mut().zip(mixed) {
            *to ^= from;
        }
        transaction
    }

    /// What is due by `now` is done; at most one request comes of it.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Outgoing> {
        if self.retire_at.is_some_and(|at| at <= now) {
            self.retire_oldest(now);
        }
        if self.consent_deadline().is_some_and(|at| at <= now) {
            // RFC 7675 §5.1: nothing more is sent there. The other side may be alive elsewhere.
            self.selected = None;
        }
        if self.expiry().is_some_and(|at| at <= now) {
            self.expired = true;
            self.selected = None;
            self.proof = None;
            return None;
        }
        if let Some(proof) = self.proof.as_mut().filter(|proof| proof.next_at <= now) {
            let (path, generation) = (proof.path, proof.generation);
            proof.next_at = now
                + if proof.tries < PROOF_TRIES {
                    PROOF_INTERVAL * (1 << proof.tries)
                } else {
                    CONSENT_INTERVAL
                };
            proof.tries = proof.tries.saturating_add(1);
            return self.request(now, path, generation);
        }
        let (path, generation) = self.selected?;
        if self.next_consent_at > now {
            return None;
        }
        let enough = CONSENT_INTERVAL.min(self.unused_interval());
        if !self.in_use && now.since(self.consented_at) < enough {
            // It has said so by itself: browsers check every few seconds.
            self.next_consent_at = self.consent_due(self.consented_at, self.unused_interval());
            return None;
        }
        self.asked_at = now;
        let request = self.request(now, path, generation);
        // Until it is answered, as if the path were in use: an answer may be lost.
        self.in_use = false;
        self.next_consent_at = self.consent_due(now, enough);
        request
    }

    /// The older generation has had its time. A restart that was begun and not completed leaves
    /// media where it was, and consent there is asked for with the credentials it began with.
    fn retire_oldest(&mut self, now: Instant) {
        let oldest = self.generations.first().map(|oldest| oldest.number);
        let in_use = self.selected.map(|(_, generation)| generation);
        if in_use.is_some() && in_use == oldest {
            self.retire_at = Some(now + CONSENT_INTERVAL);
            return;
        }
        self.retire_at = None;
        if self.generations.len() > 1 {
            self.generations.remove(0);
        }
    }

    /// A Binding request of ours; none where the other side's credentials are not known yet.
    fn request(&mut self, now: Instant, path: Path, generation: u8) -> Option<Outgoing> {
        let transaction = self.next_transaction();
        let generation = self
            .generations
            .iter()
            .find(|known| known.number == generation)?;
        let (remote, key) = generation.remote.as_ref()?;
        let mut bytes = vec![0; STUN_BYTES];
        let mut writer = Writer::new(&mut bytes, Class::Request, transaction);
        // RFC 8445 §7.2.2: theirs first.
        writer.username(format!("{}:{}", remote.ufrag, generation.credentials.ufrag).as_bytes());
        writer.priority(PRIORITY);
        writer.role(IceRole::Controlled(self.tie_breaker));
        let length = writer.finish(key)?;
        bytes.truncate(length);
        if self.pending.is_full() {
            self.pending.remove(0);
        }
        self.pending.push(Pending {
            transaction,
            path,
            generation: generation.number,
            sent_at: now,
        });
        self.sent += 1;
        Some(Outgoing { path, bytes })
    }

    /// When the selected path may not be sent to any more.
    fn consent_deadline(&self) -> Option<Instant> {
        self.selected.map(|_| self.consented_at + CONSENT_TIMEOUT)
    }

    /// When the other side counts as gone.
    fn expiry(&self) -> Option<Instant> {
        (!self.expired && self.has_remote()).then(|| self.authenticated_at + CONSENT_TIMEOUT)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let proof = self.proof.as_ref().filter(|proof| {
            let mut known = self.generations.iter();
            known.any(|known| known.number == proof.generation && known.remote.is_some())
        });
        let consent = self.selected.map(|_| self.next_consent_at);
        [
            proof.map(|proof| proof.next_at),
            consent,
            self.retire_at,
            self.consent_deadline(),
            self.expiry(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Silent for too long: nothing is sent any more until a path is nominated and proved anew.
    pub(super) fn is_expired(&self) -> bool {
        self.expired
    }

    pub(super) fn authenticated_at(&self) -> Instant {
        self.authenticated_at
    }

    /// Asks for what sending looks at.
    pub(super) fn prefetch(&self) {
        prefetch(&self.selected);
        prefetch(&self.in_use);
    }

    pub(super) fn selected(&self) -> Option<Path> {
        self.selected.map(|(path, _)| path)
    }

    /// Where a handshake may go before anything is selected: the nominated path, else the latest.
    pub(super) fn provisional(&self) -> Option<Path> {
        self.selected()
            .or_else(|| self.proof.as_ref().map(|proof| proof.path))
            .or_else(|| {
                self.candidates
                    .iter()
                    .max_by_key(|known| known.checked_at)
                    .map(|known| known.path)
            })
    }

    pub(super) fn is_known(&self, path: Path) -> bool {
        self.selected() == Some(path) || self.candidates.iter().any(|known| known.path == path)
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = Path> + '_ {
        self.candidates.iter().map(|known| known.path)
    }
}

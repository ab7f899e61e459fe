//! Repeats of retries: a call with a `request_id` is carried out once, and whoever repeats it gets
//! the answer of the first.
//!
//! (principal, method, id) -> hash of the request and the answer, for `REPEAT_TTL`. A twin of one in
//! flight waits for it. The call is carried through even where its caller has gone away, so that the
//! one who asks again learns what came of it. UNAVAILABLE, ABORTED and DEADLINE_EXCEEDED are not
//! kept: the same may go well the next time.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};
use tracing::Instrument as _;

use crate::limits::{CALL_TIMEOUT, REPEAT_BYTES, REPEAT_ID_BYTES, REPEAT_TTL, REPEATS};
use crate::status::{Failure, Reason};

/// A hash; also what a call is known by.
type Digest = [u8; 32];

/// What one entry weighs beside its answer: two hashes, places in two tables, some headers.
const ENTRY_BYTES: usize = 1 << 10;

/// A whole answer.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    trailers: Option<HeaderMap>,
}

#[derive(Debug)]
struct Entry {
    request: Digest,
    answer: watch::Receiver<Option<Arc<Answer>>>,
    bytes: usize,
    /// Which of the calls known by the same key it is.
    serial: u64,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<Digest, Entry>,
    /// In order of arrival; one whose serial has no entry is gone already.
    order: VecDeque<(Instant, Digest, u64)>,
    bytes: usize,
    serial: u64,
}

/// The calls of this node that may be repeated.
#[derive(Clone, Debug, Default)]
pub(crate) struct Repeats(Arc<Mutex<Table>>);

/// One call with a `request_id`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// Who.
    pub(crate) principal: &'a str,
    /// Which method.
    pub(crate) method: &'a str,
    /// The id.
    pub(crate) id: &'a str,
    /// The request's one form.
    pub(crate) request: &'a [u8],
}

impl Repeats {
    /// Carries the call out, or gives the answer of the one it repeats.
    pub(crate) async fn once(
        &self,
        asked: Asked<'_>,
        call: impl Future<Output = Response> + Send + 'static,
    ) -> Response {
        if asked.id.len() > REPEAT_ID_BYTES {
            let why = format!("at most {REPEAT_ID_BYTES} bytes");
            return refused(Failure::field("request_id", why));
        }
        let request = digest(&[asked.request]);
        let key = digest(&[asked.principal, asked.method, asked.id].map(str::as_bytes));
        let mut answer = match self.begin(key, request).await {
            Ok(Begun::Repeat(answer)) => answer,
            Ok(Begun::First(serial, sender)) => {
                let answer = sender.subscribe();
                let this = self.clone();
                let run = async move { this.carry_out(key, serial, call, sender).await };
                drop(tokio::spawn(run.in_current_span()));
                answer
            }
            Err(failure) => return refused(failure),
        };
        match answer.wait_for(Option::is_some).await {
            Ok(answer) => match answer.as_ref() {
                Some(answer) => answer.response(),
                None => refused(Failure::of(Reason::ServerFailed)),
            },
            // The call ended without an answer: it failed badly.
            Err(_) => refused(Failure::of(Reason::ServerFailed)),
        }
    }

    async fn begin(&self, key: Digest, request: Digest) -> Result<Begun, Failure> {
        let mut table = self.0.lock().await;
        table.forget_old(Instant::now());
        if let Some(entry) = table.entries.get(&key) {
            let dead = entry.answer.borrow().is_none() && entry.answer.has_changed().is_err();
            if !dead && entry.request != request {
                let mut failure = Failure::of(Reason::RequestIdReused);
                failure.field = Some("request_id".to_owned());
                return Err(failure);
            }
            if !dead {
                return Ok(Begun::Repeat(entry.answer.clone()));
            }
            table.remove(&key);
        }
        table.make_place()?;
        table.serial += 1;
        let (serial, (sender, answer)) = (table.serial, watch::channel(None));
        table.order.push_back((Instant::now(), key, serial));
        table.bytes += ENTRY_BYTES;
        let entry = Entry {
            request,
            answer,
            bytes: ENTRY_BYTES,
            serial,
        };
        table.entries.insert(key, entry);
        Ok(Begun::First(serial, sender))
    }

    async fn carry_out(
        &self,
        key: Digest,
        serial: u64,
        call: impl Future<Output = Response>,
        sender: watch::Sender<Option<Arc<Answer>>>,
    ) {
        let answered = timeout(CALL_TIMEOUT, async { Answer::of(call.await).await });
        let late = Status::deadline_exceeded("the deadline has passed");
        let answer = match answered.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(failure)) => Answer::refused(failure.into()),
            Err(_) => Answer::refused(late),
        };
        let keep = !matches!(
            answer.code(),
            Code::Unavailable | Code::Aborted | Code::DeadlineExceeded
        );
        let mut table = self.0.lock().await;
        let mine = table
            .entries
            .get(&key)
            .is_some_and(|it| it.serial == serial);
        if mine && keep {
            table.weigh(&key, ENTRY_BYTES + answer.bytes());
        } else if mine {
            table.remove(&key);
        }
        sender.send_replace(Some(Arc::new(answer)));
        // One in flight in front: the next call makes the place.
        drop(table.shrink(REPEATS, REPEAT_BYTES));
    }
}

enum Begun {
    First(u64, watch::Sender<Option<Arc<Answer>>>),
    Repeat(watch::Receiver<Option<Arc<Answer>>>),
}

impl Table {
    fn forget_old(&mut self, now: Instant) {
        while let Some(&(arrived, key, serial)) = self.order.front() {
            let gone = self.entries.get(&key).is_none_or(|it| it.serial != serial);
            if !gone && now.duration_since(arrived) < REPEAT_TTL {
                return;
            }
            self.order.pop_front();
            if !gone {
                self.remove(&key);
            }
        }
    }

    /// Until there is place for one more: the oldest goes. One in flight cannot.
    fn make_place(&mut self) -> Result<(), Failure> {
        self.shrink(REPEATS - 1, REPEAT_BYTES - ENTRY_BYTES)
    }

    fn shrink(&mut self, most: usize, bytes: usize) -> Result<(), Failure> {
        while self.order.len() > most || self.bytes > bytes {
            let Some(&(_, key, serial)) = self.order.front() else {
                return Ok(());
            };
            let mine = self.entries.get(&key).filter(|it| it.serial == serial);
            if mine.is_some_and(|entry| entry.answer.borrow().is_none()) {
                let why = "too many calls with a request_id are under way";
                return Err(Failure::new(Reason::NodeOverloaded, why));
            }
            if mine.is_some() {
                self.remove(&key);
            }
            self.order.pop_front();
        }
        Ok(())
    }

    fn weigh(&mut self, key: &Digest, bytes: usize) {
        if let Some(entry) = self.entries.get_mut(key) {
            self.bytes = self.bytes - entry.bytes + bytes;
            entry.bytes = bytes;
        }
    }

    fn remove(&mut self, key: &Digest) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry.bytes;
        }
    }
}

impl Answer {
    async fn of(response: Response) -> Result<Self, Failure> {
        let (parts, body) = response.into_parts();
        let failed = |_| Failure::of(Reason::ServerFailed);
        let collected = body.collect().await.map_err(failed)?;
        let trailers = collected.trailers().cloned();
        Ok(Self {
            status: parts.status,
            headers: parts.headers,
            body: collected.to_bytes(),
            trailers,
        })
    }

    fn refused(status: Status) -> Self {
        let (parts, ()) = status.into_http::<()>().into_parts();
        Self {
            status: parts.status,
            headers: parts.headers,
            body: Bytes::new(),
            trailers: None,
        }
    }

    fn code(&self) -> Code {
        // A refusal has it in the headers, an answer behind its body.
        let maps = self.trailers.iter().chain([&self.headers]);
        let mut found = maps.filter_map(|map| map.get("grpc-status"));
        let code = found.next().map(|code| Code::from_bytes(code.as_bytes()));
        code.unwrap_or(Code::Unknown)
    }

    fn bytes(&self) -> usize {
        let of = |map: &HeaderMap| -> usize {
            map.iter()
                .map(|(name, value)| name.as_str().len() + value.len())
                .sum()
        };
        self.body.len() + of(&self.headers) + self.trailers.as_ref().map_or(0, of)
    }

    fn response(&self) -> Response {
        let trailers = self.trailers.clone();
        let body = Full::new(self.body.clone());
        let mut response = Response::new(match trailers {
            Some(trailers) => Body::new(body.with_trailers(async { Some(Ok(trailers)) })),
            None => Body::new(body),
        });
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }
}

fn refused(failure: Failure) -> Response {
    Status::from(failure).into_http()
}

/// Of all parts, each with its length, so that none runs into the next.
fn digest(parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    let mut out = Digest::default();
    for (to, from) in out.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests;

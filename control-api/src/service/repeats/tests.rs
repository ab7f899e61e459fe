//! Repeats over a clock that stands still until it is moved.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::advance;

use super::*;

/// A method that counts its calls and answers `code` once the gate lets it.
#[derive(Clone)]
struct Method {
    calls: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
    code: Code,
    body: usize,
}

impl Method {
    fn new(code: Code) -> Self {
        Self {
            calls: Arc::default(),
            gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            code,
            body: 8,
        }
    }

    async fn call(self) -> Response {
        let number = self.calls.fetch_add(1, Ordering::AcqRel);
        self.gate.acquire().await.unwrap().forget();
        let mut response = Status::new(self.code, "").into_http();
        let body = format!("{}{number}", "0".repeat(self.body - 1));
        *response.body_mut() = Body::from(body);
        response
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Acquire)
    }
}

async fn ask(repeats: &Repeats, asked: Asked<'_>, method: &Method) -> (Code, String) {
    let response = repeats.once(asked, method.clone().call()).await;
    let answer = Answer::of(response).await.unwrap();
    (
        answer.code(),
        String::from_utf8(answer.body.to_vec()).unwrap(),
    )
}

const FIRST: Asked<'static> = Asked {
    principal: "ada",
    method: "/CreateRoom",
    id: "1",
    request: b"x",
};

#[tokio::test(start_paused = true)]
async fn a_repeat_gets_the_first_answer_for_ten_minutes() {
    let (repeats, method) = (Repeats::default(), Method::new(Code::Ok));
    let zero = (Code::Ok, "00000000".to_owned());
    assert_eq!(ask(&repeats, FIRST, &method).await, zero);
    advance(REPEAT_TTL - Duration::from_secs(1)).await;
    assert_eq!(ask(&repeats, FIRST, &method).await, zero);
    assert_eq!(method.calls(), 1);
    advance(Duration::from_secs(1)).await;
    assert_eq!(ask(&repeats, FIRST, &method).await.1, "00000001");
}

#[tokio::test(start_paused = true)]
async fn only_the_same_principal_method_and_id_repeat() {
    let (repeats, method) = (Repeats::default(), Method::new(Code::Ok));
    for (number, asked) in [
        FIRST,
        Asked {
            principal: "lin",
            ..FIRST
        },
        Asked {
            method: "/DeleteRoom",
            ..FIRST
        },
        Asked { id: "2", ..FIRST },
    ]
    .into_iter()
    .enumerate()
    {
        ask(&repeats, asked, &method).await;
        assert_eq!(method.calls(), number + 1, "{asked:?}");
    }
    let other = Asked {
        request: b"y",
        ..FIRST
    };
    assert_eq!(ask(&repeats, other, &method).await.0, Code::InvalidArgument);
    let long = "x".repeat(REPEAT_ID_BYTES + 1);
    let long = Asked { id: &long, ..FIRST };
    assert_eq!(ask(&repeats, long, &method).await.0, Code::InvalidArgument);
    assert_eq!(method.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_may_go_well_the_next_time_is_not_kept() {
    for (code, kept) in [
        (Code::Unavailable, false),
        (Code::Aborted, false),
        (Code::DeadlineExceeded, false),
        (Code::NotFound, true),
        (Code::ResourceExhausted, true),
    ] {
        let (repeats, method) = (Repeats::default(), Method::new(code));
        for _ in 0..2 {
            assert_eq!(ask(&repeats, FIRST, &method).await.0, code);
        }
        assert_eq!(method.calls(), if kept { 1 } else { 2 }, "{code:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_twin_waits_for_the_one_in_flight_even_where_its_caller_is_gone() {
    let (repeats, mut method) = (Repeats::default(), Method::new(Code::Ok));
    method.gate = Arc::new(Semaphore::new(0));
    let gone = timeout(Duration::from_millis(1), ask(&repeats, FIRST, &method));
    assert!(gone.await.is_err());
    let (opened, twin) = tokio::join!(
        async {
            advance(Duration::from_millis(5)).await;
            method.gate.add_permits(1);
            method.calls()
        },
        ask(&repeats, FIRST, &method),
    );
    assert_eq!((opened, method.calls()), (1, 1));
    assert_eq!(twin, (Code::Ok, "00000000".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn one_that_never_ends_is_late_and_forgotten() {
    let (repeats, mut method) = (Repeats::default(), Method::new(Code::Ok));
    method.gate = Arc::new(Semaphore::new(0));
    assert_eq!(
        ask(&repeats, FIRST, &method).await.0,
        Code::DeadlineExceeded
    );
    method.gate.add_permits(1);
    assert_eq!(ask(&repeats, FIRST, &method).await.0, Code::Ok);
    assert_eq!(repeats.0.lock().await.entries.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_table_is_bounded_in_bytes_and_the_oldest_goes() {
    let (repeats, mut method) = (Repeats::default(), Method::new(Code::Ok));
    method.body = REPEAT_BYTES / 4;
    for id in ["1", "2", "3", "4", "5"] {
        ask(&repeats, Asked { id, ..FIRST }, &method).await;
        let table = repeats.0.lock().await;
        assert!(table.bytes <= REPEAT_BYTES, "{}", table.bytes);
    }
    let before = method.calls();
    ask(&repeats, Asked { id: "5", ..FIRST }, &method).await;
    assert_eq!(method.calls(), before);
    ask(&repeats, FIRST, &method).await;
    assert_eq!(method.calls(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_table_refuses_only_while_its_oldest_is_under_way() {
    let (repeats, mut method) = (Repeats::default(), Method::new(Code::Ok));
    method.gate = Arc::new(Semaphore::new(0));
    {
        let mut table = repeats.0.lock().await;
        let now = Instant::now();
        for serial in 0..u64::try_from(REPEATS).unwrap() {
            let mut key = Digest::default();
            key[..8].copy_from_slice(&serial.to_be_bytes());
            table.order.push_back((now, key, serial));
        }
    }
    // Those have gone already: they are no reason to refuse.
    let first = timeout(Duration::from_millis(1), ask(&repeats, FIRST, &method));
    assert!(first.await.is_err());
    {
        let mut table = repeats.0.lock().await;
        let mine = *table.order.back().unwrap();
        table.order.clear();
        table.order.push_back(mine);
        table.bytes = REPEAT_BYTES;
    }
    let second = Asked { id: "2", ..FIRST };
    assert_eq!(
        ask(&repeats, second, &method).await.0,
        Code::ResourceExhausted
    );
}

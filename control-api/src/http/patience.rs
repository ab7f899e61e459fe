//! How long a connection may be silent, and a request's body on its way.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::Frame;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A connection that fails once nothing could be read or written for so long. Sockets of browsers
/// are pinged more often than that.
#[derive(Debug)]
pub(super) struct Quiet<S> {
    inner: S,
    most: Duration,
    /// When something last went through.
    last: Instant,
    timer: Pin<Box<Sleep>>,
}

impl<S> Quiet<S> {
    pub(super) fn new(inner: S, most: Duration) -> Self {
        Self {
            inner,
            most,
            last: Instant::now(),
            timer: Box::pin(sleep(most)),
        }
    }

    /// Notes what went through, or fails what has waited for too long.
    fn note<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.last = Instant::now();
            return polled;
        }
        // The timer is moved when it rings, not with each packet.
        while self.timer.as_mut().poll(cx).is_ready() {
            let end = self.last + self.most;
            if end <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.timer.as_mut().reset(end);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Quiet<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_read(cx, buffer);
        this.note(cx, polled)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Quiet<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_write(cx, bytes);
        this.note(cx, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_write_vectored(cx, slices);
        this.note(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

/// A body that must be complete in time.
#[derive(Debug)]
pub(super) struct TimedBody {
    inner: Body,
    most: Duration,
    /// Set once somebody waits for the rest.
    timer: Option<Pin<Box<Sleep>>>,
}

impl TimedBody {
    pub(super) const fn new(inner: Body, most: Duration) -> Self {
        Self {
            inner,
            most,
            timer: None,
        }
    }
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let most = this.most;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(most)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Some(Err("the body took too long".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    /// Far from what a busy machine may delay.
    const MOST: Duration = Duration::from_millis(600);

    #[tokio::test]
    async fn a_silent_connection_fails_and_a_talking_one_does_not() {
        let (near, mut far) = duplex(64);
        let mut near = Quiet::new(near, MOST);
        let before = Instant::now();
        while before.elapsed() < MOST * 2 {
            far.write_all(b"x").await.unwrap();
            assert_eq!(near.read_u8().await.unwrap(), b'x');
            sleep(Duration::from_millis(1)).await;
        }
        let before = Instant::now();
        let error = near.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(before.elapsed() > MOST / 2, "{:?}", before.elapsed());
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_an_error() {
        let never = Body::new(Forever);
        let body = Body::new(TimedBody::new(never, MOST));
        let before = Instant::now();
        assert!(axum::body::to_bytes(body, 10).await.is_err());
        assert!(before.elapsed() >= MOST, "{:?}", before.elapsed());
        let whole = Body::new(TimedBody::new(Body::from("all"), MOST));
        assert_eq!(axum::body::to_bytes(whole, 10).await.unwrap(), "all");
    }

    struct Forever;

    impl HttpBody for Forever {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Poll::Pending
        }
    }
}

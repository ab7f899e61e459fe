//! Real time: one monotonic clock for the whole engine, its Unix reading for reports, and a timer
//! that wakes a thread to the microsecond (tokio's own round up to 1 ms).

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::{Duration, Instant as Monotonic, SystemTime};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::time::{Instant, ServerClock};

/// A kernel timestamp older than this means that the wall clock was set in between.
const KERNEL_TIME_AGE_MAX: Duration = Duration::from_secs(1);

/// Reads time for every shard of the engine: the same moment has the same [`Instant`] everywhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    started: Monotonic,
    started_unix: Duration,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            started: Monotonic::now(),
            started_unix: unix_time(),
        }
    }

    pub(super) fn now(&self) -> Instant {
        let micros = self.started.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// The NTP side of this clock. It follows the monotonic clock: a wall clock that is set while
    /// the engine runs does not move reports.
    pub(super) fn server_clock(&self) -> ServerClock {
        ServerClock::from_unix(self.started_unix)
    }
}

/// The wall clock.
pub(super) fn unix_time() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// When a datagram arrived, by the kernel's wall clock stamp; `now` and `wall` are the same moment.
pub(super) fn arrived_at(now: Instant, wall: Duration, stamp: Option<Duration>) -> Instant {
    match stamp.and_then(|stamp| wall.checked_sub(stamp)) {
        Some(age) if age <= KERNEL_TIME_AGE_MAX => now - age,
        Some(_) | None => now,
    }
}

/// What tokio wants of a descriptor.
#[derive(Debug)]
struct Timer(TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// One deadline of one thread.
#[derive(Debug)]
pub(super) struct Deadline(AsyncFd<Timer>);

impl Deadline {
    /// Must be called inside a runtime.
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for types whose descriptor may change; Timer owns its one"
        )]
        let timer = AsyncFd::with_interest(Timer(timer), Interest::READABLE)?;
        Ok(Self(timer))
    }

    /// [`Deadline::passed`] ends `after` from now; an earlier setting is forgotten.
    pub(super) fn set(&self, after: Duration) -> io::Result<()> {
        // Zero would disarm it.
        let after = after.max(Duration::from_nanos(1));
        let expiration = Expiration::OneShot(TimeSpec::from_duration(after));
        let Timer(timer) = self.0.get_ref();
        Ok(timer.set(expiration, TimerSetTimeFlags::empty())?)
    }

    /// [`Deadline::passed`] does not end.
    pub(super) fn unset(&self) -> io::Result<()> {
        Ok(self.0.get_ref().0.unset()?)
    }

    /// Ends at the deadline, or before it for no reason: look at the clock again.
    pub(super) async fn passed(&self) {
        match self.0.readable().await {
            Ok(mut guard) => {
                // EAGAIN where it was set again after it had passed: nothing to take then.
                let _taken = guard.get_inner().0.wait();
                guard.clear_ready();
            }
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_time_counts_back_from_now_unless_the_wall_clock_was_set() {
        let now = Instant::from_millis(5_000);
        let wall = Duration::from_secs(1_700_000_000);
        for (stamp, expected) in [
            (None, 5_000),
            (Some(wall - Duration::from_millis(3)), 4_997),
            (Some(wall + Duration::from_millis(3)), 5_000),
            (Some(wall - Duration::from_secs(3_600)), 5_000),
        ] {
            let arrived = arrived_at(now, wall, stamp);
            assert_eq!(arrived, Instant::from_millis(expected), "{stamp:?}");
        }
    }
}

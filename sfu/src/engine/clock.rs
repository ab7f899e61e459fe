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
pub(super) struct Deadline {
    timer: AsyncFd<Timer>,
    clock: Clock,
    /// What the kernel's timer stands at. Setting it costs a system call, and in a virtual machine
    /// often an exit to its host.
    set: Option<Instant>,
}

impl Deadline {
    /// Must be called inside a runtime.
    pub(super) fn new(clock: Clock) -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for types whose descriptor may change; Timer owns its one"
        )]
        let timer = AsyncFd::with_interest(Timer(timer), Interest::READABLE)?;
        let set = None;
        Ok(Self { timer, clock, set })
    }

    /// [`Deadline::passed`] ends at `due`, or where that is none, never; what was set before is
    /// forgotten. Once it has ended it must be set anew.
    pub(super) fn set(&mut self, due: Option<Instant>) -> io::Result<()> {
        if self.set == due {
            return Ok(());
        }
        let Timer(timer) = self.timer.get_ref();
        match due {
            Some(due) => {
                // Zero would disarm it.
                let after = due.since(self.clock.now()).max(Duration::from_nanos(1));
                let expiration = Expiration::OneShot(TimeSpec::from_duration(after));
                timer.set(expiration, TimerSetTimeFlags::empty())?;
            }
            None => timer.unset()?,
        }
        // That the one before has passed is no reason to wake.
        let _cleared = self.timer.try_io(Interest::READABLE, |_| {
            Err::<(), _>(io::ErrorKind::WouldBlock.into())
        });
        self.set = due;
        Ok(())
    }

    /// Ends at the deadline, or before it for no reason: look at the clock again.
    pub(super) async fn passed(&mut self) {
        match self.timer.readable_mut().await {
            // That it has passed need not be read from it: setting it anew takes it back.
            Ok(mut guard) => guard.clear_ready(),
            Err(_) => return std::future::pending().await,
        }
        self.set = None;
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

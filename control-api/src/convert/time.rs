//! Times and durations.

use std::time::Duration;

use prost_types::Timestamp;

use crate::clock::UnixTime;
use crate::status::Failure;

pub(super) fn timestamp(time: UnixTime) -> Timestamp {
    let millis = time.as_millis();
    Timestamp {
        seconds: i64::try_from(millis / 1_000).unwrap_or(i64::MAX),
        nanos: i32::try_from(millis % 1_000 * 1_000_000).unwrap_or_default(),
    }
}

/// When something happened, as an answer's field.
pub(crate) fn moment(time: UnixTime) -> Option<Timestamp> {
    Some(timestamp(time))
}

/// A duration that is not negative; none: not set.
pub(crate) fn duration(
    field: &str,
    duration: Option<prost_types::Duration>,
) -> Result<Option<Duration>, Failure> {
    // The range of google.protobuf.Duration: 10,000 years.
    const SECONDS_MAX: u64 = 315_576_000_000;
    let read = |duration: prost_types::Duration| {
        let seconds = u64::try_from(duration.seconds).ok();
        let nanos = u32::try_from(duration.nanos).ok();
        seconds
            .zip(nanos)
            .filter(|(seconds, nanos)| *seconds <= SECONDS_MAX && *nanos < 1_000_000_000)
            .map(|(seconds, nanos)| Duration::new(seconds, nanos))
            .ok_or_else(|| Failure::field(field, "no duration from 0 to 315576000000 s"))
    };
    duration.map(read).transpose()
}

pub(super) fn duration_out(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
    }
}

/// A moment since 1970; none: not set.
pub(crate) fn moment_in(field: &str, time: Option<Timestamp>) -> Result<Option<UnixTime>, Failure> {
    let read = |time: Timestamp| {
        let seconds = u64::try_from(time.seconds).ok();
        let nanos = u64::try_from(time.nanos)
            .ok()
            .filter(|it| *it < 1_000_000_000);
        let millis = seconds.zip(nanos);
        let millis = millis.and_then(|(s, ns)| s.checked_mul(1_000)?.checked_add(ns / 1_000_000));
        millis
            .map(UnixTime::from_millis)
            .ok_or_else(|| Failure::field(field, "no time after 1970"))
    };
    time.map(read).transpose()
}

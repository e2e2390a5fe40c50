//! Moments as all parts of this program write them: microseconds of the wall clock since 1970, as the engine says them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plugin_engine_wire::Time;

/// Microseconds since 1970.
pub(crate) type Micros = u64;

pub(crate) const SECOND: Micros = 1_000_000;

pub(crate) fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    micros(since.unwrap_or_default())
}

pub(crate) fn micros(duration: Duration) -> Micros {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The moment that the engine says.
pub(crate) fn of(time: Time) -> Micros {
    time.0.as_unix_nanos() / 1_000
}

//! Two kinds of time: a monotonic one that schedules, and the wall clock that people read.

use std::num::NonZeroU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment of the engine's monotonic clock: nanoseconds since the clock was made. 584 years fit.
///
/// ```
/// use plugin_engine_core::Moment;
/// use std::time::Duration;
///
/// let start = Moment::from_nanos(500);
/// let later = start.saturating_add(Duration::from_nanos(100));
/// assert_eq!(later.as_nanos(), 600);
/// assert_eq!(later.saturating_since(start), Duration::from_nanos(100));
/// assert_eq!(start.saturating_since(later), Duration::ZERO);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// Before everything.
    pub const ZERO: Self = Self(0);
    /// After everything.
    pub const FAR: Self = Self(u64::MAX);

    /// The moment `nanos` after the clock was made.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock was made.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This moment and `later`; the end of time rather than an overflow.
    #[must_use]
    #[inline]
    pub fn saturating_add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(nanos(later)))
    }

    /// How long ago `earlier` was; zero if it is not earlier.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in whole nanoseconds, at most 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A moment of the wall clock: nanoseconds since 1970-01-01 UTC, without leap seconds, to the year 2554.
///
/// The first nanosecond of 1970 stands for everything before it, too, so that an absent time takes no room of its own.
///
/// ```
/// use plugin_engine_core::WallTime;
/// use std::time::Duration;
///
/// let start = WallTime::from_unix_nanos(1_000_000_000);
/// let later = start.saturating_add(Duration::from_millis(250));
/// assert_eq!(later.to_string(), "1970-01-01T00:00:01.250Z");
/// assert_eq!(later.as_unix_nanos(), 1_250_000_000);
/// assert_eq!(later.saturating_since(start), Duration::from_millis(250));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(NonZeroU64);

impl Default for WallTime {
    fn default() -> Self {
        Self(NonZeroU64::MIN)
    }
}

impl WallTime {
    /// The moment `nanos` after 1970-01-01 UTC.
    #[must_use]
    #[inline]
    pub const fn from_unix_nanos(nanos: u64) -> Self {
        match NonZeroU64::new(nanos) {
            Some(nanos) => Self(nanos),
            None => Self(NonZeroU64::MIN),
        }
    }

    /// Nanoseconds since 1970-01-01 UTC.
    #[must_use]
    #[inline]
    pub const fn as_unix_nanos(self) -> u64 {
        self.0.get()
    }

    /// How long after `earlier` this is; zero if it is not later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }

    /// This time and `later`; the end of time rather than an overflow.
    #[must_use]
    pub fn saturating_add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(nanos(later)))
    }
}

impl From<SystemTime> for WallTime {
    /// Times before 1970 become 1970.
    fn from(time: SystemTime) -> Self {
        Self::from_unix_nanos(time.duration_since(UNIX_EPOCH).map_or(0, nanos))
    }
}

impl From<WallTime> for SystemTime {
    fn from(time: WallTime) -> Self {
        UNIX_EPOCH + Duration::from_nanos(time.0.get())
    }
}

impl std::fmt::Display for WallTime {
    /// RFC 3339 in UTC with milliseconds.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        humantime::format_rfc3339_millis((*self).into()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_times_read_as_rfc_3339() {
        // Reference values from `date --utc --date=@N`.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (1_795_313_912, "2026-11-22T02:18:32.000Z"),
        ] {
            assert_eq!(
                WallTime::from_unix_nanos(seconds * 1_000_000_000).to_string(),
                text
            );
        }
    }
}

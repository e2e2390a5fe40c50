//! Moments in words: when exactly, and how long ago or ahead.

use std::time::SystemTime;

use plugin_engine::WallTime;
use plugin_engine_wire::Time;

use crate::table::span;

/// The present.
pub(crate) fn now() -> WallTime {
    SystemTime::now().into()
}

/// How long ago it was, or how far ahead it lies.
pub(crate) fn from_now(Time(at): Time, now: WallTime) -> String {
    if at > now {
        format!("in {}", span(at.saturating_since(now)))
    } else {
        format!("{} ago", span(now.saturating_since(at)))
    }
}

/// When exactly, to the millisecond in UTC, and how far that is from now.
pub(crate) fn at_and_from_now(time: Time, now: WallTime) -> String {
    format!("{} ({})", time.0, from_now(time, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_from_where_the_reader_stands() {
        let now = WallTime::from_unix_nanos(1_767_225_600_000_000_000);
        let other = |seconds: i64| {
            let nanos = now.as_unix_nanos().cast_signed() + seconds * 1_000_000_000;
            Time(WallTime::from_unix_nanos(nanos.cast_unsigned()))
        };
        assert_eq!(from_now(other(-5), now), "5.0s ago");
        assert_eq!(from_now(other(0), now), "0.0s ago");
        assert_eq!(from_now(other(90), now), "in 1m30s");
        assert_eq!(
            at_and_from_now(other(-60), now),
            "2025-12-31T23:59:00.000Z (1m00s ago)"
        );
    }
}

//! Times as they are written: RFC 3339.

use std::fmt;

use plugin_engine::WallTime;
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A moment of the wall clock. Written as RFC 3339 in UTC with microseconds, so that times which the engine adds up still add up when
/// read; what is finer is cut off. Any number of digits is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub WallTime);

impl From<WallTime> for Time {
    fn from(time: WallTime) -> Self {
        Self(time)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_micros(self.0.into()).fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time as RFC 3339, such as 2026-01-31T12:00:00Z")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                let time = humantime::parse_rfc3339(text)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))?;
                // Microseconds are what is written: finer ones would be read once and never again.
                let nanos = WallTime::from(time).as_unix_nanos();
                Ok(Time(WallTime::from_unix_nanos(nanos - nanos % 1_000)))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_microseconds_and_read_with_any_digits() {
        let time = Time(WallTime::from_unix_nanos(1_767_225_600_123_456_789));
        let written = serde_json::to_string(&time).unwrap();
        assert_eq!(written, "\"2026-01-01T00:00:00.123456Z\"");
        let read: Time = serde_json::from_str(&written).unwrap();
        assert_eq!(read.0.as_unix_nanos(), 1_767_225_600_123_456_000);
        let whole: Time = serde_json::from_str("\"2026-01-01T00:00:00Z\"").unwrap();
        assert_eq!(whole.0.as_unix_nanos(), 1_767_225_600_000_000_000);
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_it_should_be() {
        for bad in ["\"yesterday\"", "\"\"", "7", "null"] {
            let error = serde_json::from_str::<Time>(bad).unwrap_err().to_string();
            assert!(error.contains("a time as RFC 3339"), "{bad}: {error}");
        }
    }
}

//! What an engine takes of a plugin, at most. Numbers and the form of a name; who refuses is elsewhere.

/// The longest payload of an event, in bytes.
pub const EVENT_PAYLOAD_LEN_MAX: usize = 64 * 1024;

/// The longest view, in bytes. A longer one is a broken contract, not a truncated picture.
pub const VIEW_LEN_MAX: usize = 16 * 1024 * 1024;

/// The longest state that is handed over at a reload, in bytes.
pub const STATE_LEN_MAX: usize = 64 * 1024 * 1024;

/// The longest JSON Schema of settings, in bytes.
pub const SCHEMA_LEN_MAX: usize = 256 * 1024;

/// The first part of the names that only the engine publishes.
const RESERVED: [&str; 8] = [
    "state",
    "unhealthy",
    "healthy",
    "degraded",
    "health",
    "reload",
    "refused",
    "engine",
];

/// Whether a plugin may publish under this name: it is of the form `[a-z0-9][a-z0-9_.-]{0,63}`, and its first part, up to a dot, is none of
/// the engine's own.
///
/// ```
/// use plugin_api::limits::is_event_name;
///
/// assert!(is_event_name("count") && is_event_name("disk.full"));
/// assert!(!is_event_name("Count") && !is_event_name("state") && !is_event_name("health.mine"));
/// ```
#[must_use]
pub fn is_event_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let fits = (1..=64).contains(&bytes.len())
        && (bytes[0].is_ascii_lowercase() || bytes[0].is_ascii_digit())
        && bytes
            .iter()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.'));
    let first = bytes.split(|byte| *byte == b'.').next();
    fits && !RESERVED.iter().any(|own| first == Some(own.as_bytes()))
}

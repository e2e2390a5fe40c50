//! How a call of a plugin ended, where it did not complete.

use std::fmt;
use std::time::Duration;

/// A call of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// `Plugin::create`.
    Create,
    /// `Plugin::update`.
    Update,
    /// `Plugin::display`.
    Display,
    /// `Plugin::save_state`.
    SaveState,
    /// `Plugin::restore_state`.
    RestoreState,
    /// `Plugin::destroy`.
    Destroy,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Display => "display",
            Self::SaveState => "save_state",
            Self::RestoreState => "restore_state",
            Self::Destroy => "destroy",
        })
    }
}

/// Why a call did not complete.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// It returned an error.
    #[error("{call} failed: {message}")]
    Failed {
        /// The call.
        call: Call,
        /// What the plugin says of it.
        message: String,
        /// The Rust type of the error, or the name that the plugin gave it; or empty.
        type_name: String,
        /// Whether trying again can help, as the plugin says.
        recoverable: bool,
        /// After what delay the plugin wants to be tried again; `None` for one interval.
        retry_after: Option<Duration>,
    },
    /// It panicked. The next call is made of a new instance.
    #[error("{call} panicked at {location}: {message}")]
    Panicked {
        /// The call.
        call: Call,
        /// The panic's message.
        message: String,
        /// File, line and column.
        location: String,
    },
    /// It returned after its deadline; by then nobody waited for it, and what it returned is discarded.
    #[error("{call} returned after its deadline of {timeout:?}, so its result was discarded")]
    TimedOut {
        /// The call.
        call: Call,
        /// How long it might take.
        timeout: Duration,
        /// What the late result was, had it been in time; `None` if it completed. An engine does not tell.
        late: Option<Box<CallError>>,
    },
    /// It was not made: the settings violate the plugin's schema.
    #[error("the settings do not fit the plugin's schema: {}", violations.join("; "))]
    SettingsRefused {
        /// Each with the key below `settings` that it is about.
        violations: Vec<String>,
    },
    /// It was not made: the settings that the test gives are no object with keys.
    #[error("settings are a table of keys and values, and the test gives {found}")]
    SettingsNoTable {
        /// What they are instead.
        found: String,
    },
    /// It was not made: what `settings_schema` returns is no JSON Schema. An engine refuses the plugin file.
    #[error("settings_schema returns no JSON Schema: {reason}")]
    BadSchema {
        /// Why.
        reason: String,
    },
    /// It broke the contract, as by a view that is too large.
    #[error("{call} broke the contract: {reason}")]
    Breach {
        /// The call.
        call: Call,
        /// How.
        reason: String,
    },
    /// It was not made: there is no instance, because an update failed permanently or an instance could not be created anew.
    #[error("{call} was not made: the plugin has no instance any more; reset it")]
    NoInstance {
        /// The call.
        call: Call,
    },
}

impl CallError {
    /// What the plugin itself said: the message of its error or its panic. For what the host says, the whole text.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Failed { message, .. } | Self::Panicked { message, .. } => message.clone(),
            other => other.to_string(),
        }
    }

    /// Whether an engine tries again by itself, sooner or later, without anybody changing anything.
    #[must_use]
    pub fn is_recoverable(&self) -> bool {
        match self {
            Self::Failed { recoverable, .. } => *recoverable,
            Self::Panicked { .. } | Self::TimedOut { .. } => true,
            _ => false,
        }
    }

    /// Whether the call panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked { .. })
    }

    /// Whether the call returned after its deadline.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut { .. })
    }

    /// After what delay the plugin wants to be tried again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Failed { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

//! What a plugin has said, for a test to look at.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An event that a plugin has published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The last part of the topic: `count` in `plugin.<id>.count`.
    pub name: String,
    /// What it says.
    pub payload: String,
}

/// How urgent a line of log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Something has failed.
    Error,
    /// Something is not as it should be.
    Warn,
    /// Worth knowing.
    Info,
    /// For whoever looks for a fault.
    Debug,
    /// Everything else.
    Trace,
}

impl Level {
    pub(crate) fn from_number(number: u8) -> Self {
        match number {
            0 | 1 => Self::Error,
            2 => Self::Warn,
            3 => Self::Info,
            4 => Self::Debug,
            _ => Self::Trace,
        }
    }
}

/// A line that a plugin has logged through `tracing` or `log`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How urgent it is.
    pub level: Level,
    /// Where it was logged, mostly the module's path.
    pub target: String,
    /// The message with its fields, as ` key=value` each.
    pub message: String,
    /// The spans that were entered, outermost first, joined by `:`; or empty.
    pub spans: String,
}

/// What was heard of one plugin so far, also once it is destroyed. Clones are the same recording.
#[derive(Debug, Clone, Default)]
pub struct Recording(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    published: Vec<Published>,
    log: Vec<LogLine>,
    progress: u64,
}

impl Recording {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it has published, oldest first.
    #[must_use]
    pub fn published(&self) -> Vec<Published> {
        self.heard().published.clone()
    }

    /// What it has logged, oldest first.
    #[must_use]
    pub fn log(&self) -> Vec<LogLine> {
        self.heard().log.clone()
    }

    /// How often it has recorded progress.
    #[must_use]
    pub fn progress(&self) -> u64 {
        self.heard().progress
    }

    /// Forgets what was heard so far.
    pub fn clear(&self) {
        *self.heard() = Heard::default();
    }

    pub(crate) fn add_published(&self, events: impl IntoIterator<Item = Published>) {
        self.heard().published.extend(events);
    }

    pub(crate) fn add_line(&self, line: LogLine) {
        self.heard().log.push(line);
    }

    pub(crate) fn add_progress(&self) {
        self.heard().progress += 1;
    }
}

//! What a child is told, in one line on its standard input, and what it tells, a line for each thing that happens.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::check::{Check, Outcome};

/// The checks that are made in one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Part {
    Load,
    Create,
    Settings,
    Updates,
    Cancellation,
    Display,
    Leftovers,
    Unload,
    Reload,
}

impl Part {
    /// The checks of it, in their order.
    pub(crate) const fn checks(self) -> &'static [Check] {
        match self {
            Self::Load => &[Check::Load],
            Self::Create => &[Check::Create, Check::Destroy],
            Self::Settings => &[Check::Settings],
            Self::Updates => &[
                Check::Updates,
                Check::Duration,
                Check::Panics,
                Check::Output,
                Check::Progress,
            ],
            Self::Cancellation => &[Check::Cancellation],
            Self::Display => &[Check::Display],
            Self::Leftovers => &[Check::Threads, Check::Descriptors, Check::Memory],
            Self::Unload => &[Check::ThreadKeys, Check::Unload],
            Self::Reload => &[Check::Reload],
        }
    }
}

/// What a child is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) part: Part,
    /// The copy of the file, in a directory of the child's own.
    pub(crate) file: PathBuf,
    /// The id in its manifest.
    pub(crate) id: String,
    /// Copies of the files that it is loaded together with.
    pub(crate) beside: Vec<PathBuf>,
    /// The settings as TOML, if any were given.
    pub(crate) settings: Option<String>,
    /// How many updates are made where updates are what is checked.
    pub(crate) updates: u64,
    /// Whether updates can be made where something else is checked.
    pub(crate) updates_are_good: bool,
    /// How long one update may take by the manifest, in milliseconds.
    pub(crate) timeout_ms: u64,
    pub(crate) interval_ms: u64,
    /// How long a check goes on.
    pub(crate) limit_ms: u64,
}

impl Task {
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_millis(self.limit_ms)
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// How long an update is waited for: no longer than a check goes on.
    pub(crate) fn update_timeout(&self) -> Duration {
        self.timeout().min(self.limit())
    }
}

/// What a child tells.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Told {
    /// It begins with a check.
    Begun(Check),
    Ended(Outcome),
    /// The checks could not be made, and why.
    NotRun(String),
    Done,
}

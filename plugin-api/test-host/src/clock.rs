//! The engine's clock, as a test has it: one that stands still until it is moved, or the machine's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Where a plugin's deadlines are read. Clones are the same clock, on whichever thread.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    /// Nanoseconds since it was made.
    Manual(Arc<AtomicU64>),
    System(Instant),
}

impl Clock {
    /// A clock that stands still until it is moved.
    #[must_use]
    pub fn manual() -> Self {
        Self(Source::Manual(Arc::default()))
    }

    /// The machine's clock, for plugins that really wait.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System(Instant::now()))
    }

    /// Moves a manual clock. The machine's takes no notice of it.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &self.0 {
            let by = nanos(by);
            let add = |now: u64| Some(now.saturating_add(by));
            // It fails only where the closure says so.
            let _ = now.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
        }
    }

    /// Moves a manual clock to this moment, if it is not there yet.
    pub(crate) fn advance_to(&self, moment: u64) {
        if let Source::Manual(now) = &self.0 {
            now.fetch_max(moment, Ordering::SeqCst);
        }
    }

    /// How long ago it was made.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            Source::Manual(now) => Duration::from_nanos(now.load(Ordering::SeqCst)),
            Source::System(start) => start.elapsed(),
        }
    }

    pub(crate) fn now_ns(&self) -> u64 {
        nanos(self.elapsed())
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::manual()
    }
}

/// A duration in nanoseconds, as the boundary has it.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

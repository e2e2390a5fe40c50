//! What whoever started a task has of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use plugin_engine_core::{Moment, TaskEnd};

use super::task::{Phase, Task};

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskState {
    /// It runs.
    Running,
    /// It has panicked, and is started again.
    Waiting {
        /// When, by the engine's clock.
        until: Moment,
    },
    /// It has returned.
    Ended,
    /// It was cancelled, or the runtime that ran it is gone.
    Cancelled,
    /// It has panicked more often than its policy allows.
    GaveUp,
}

/// A supervised task. Clones are the same; dropping the last of them lets the task run on.
///
/// ```
/// use plugin_engine::TaskState;
/// use std::time::Duration;
///
/// # let engine = plugin_engine::Engine::builder().build()?;
/// let task = engine.supervise("feeder", |cx| cx.wait_for_cancel())?;
/// assert_eq!((task.name(), task.restarts()), ("feeder", 0));
/// assert!(!task.join_within(Duration::ZERO), "it waits");
/// task.cancel();
/// task.join();
/// assert_eq!(task.state(), TaskState::Cancelled);
/// # Ok::<(), plugin_engine::Error>(())
/// ```
#[derive(Clone)]
pub struct TaskHandle {
    task: Arc<Task>,
}

impl TaskHandle {
    pub(super) fn new(task: Arc<Task>) -> Self {
        Self { task }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.task.name
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> TaskState {
        match self.task.phase() {
            Phase::Running => TaskState::Running,
            Phase::Waiting { until } => TaskState::Waiting { until },
            Phase::Over(TaskEnd::Returned) => TaskState::Ended,
            Phase::Over(TaskEnd::Cancelled) => TaskState::Cancelled,
            Phase::Over(TaskEnd::GaveUp) => TaskState::GaveUp,
        }
    }

    /// How often it was started again after a panic.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.task.restarts()
    }

    /// Tells it to end, and does not wait for that. A task that waits to be started again ends at once, and so does a future, which is
    /// dropped where it is; one that runs on a thread ends when it looks at [`TaskContext::is_cancelled`](crate::TaskContext::is_cancelled)
    /// or waits by its context.
    pub fn cancel(&self) {
        self.task.cancel();
    }

    /// Blocks until it is over. From within the task itself, returns at once.
    pub fn join(&self) {
        if !self.task.is_current() {
            self.task.join(None);
        }
    }

    /// [`TaskHandle::join`] for no longer than `limit` of real time. Says whether it is over.
    pub fn join_within(&self, limit: Duration) -> bool {
        !self.task.is_current() && self.task.join(Instant::now().checked_add(limit))
    }

    /// [`TaskHandle::join`] until a moment, `None` for ever.
    pub(crate) fn join_until(&self, until: Option<Instant>) {
        if !self.task.is_current() {
            self.task.join(until);
        }
    }

    /// [`TaskHandle::join`] as a future, for any executor.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// let task = engine.supervise("short", |_| ())?;
    /// runtime.block_on(task.ended());
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    pub async fn ended(&self) {
        loop {
            let mut rang = std::pin::pin!(self.task.rang.notified());
            rang.as_mut().enable();
            if self.task.end().is_some() {
                return;
            }
            rang.await;
        }
    }
}

impl std::fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskHandle")
            .field("name", &self.name())
            .field("state", &self.state())
            .field("restarts", &self.restarts())
            .finish()
    }
}

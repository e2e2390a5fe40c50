//! What a task gets: whether it is to end, how to wait, and how to say that it makes progress.

use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::{Moment, TaskRun};

use super::PERIOD;
use super::as_future::Sleep;
use super::task::{self, Task};

/// What a supervised task knows of itself. Clones are the same, and may be handed to other threads, so that they know when to end.
///
/// Progress is that of the task's own loop: [`TaskContext::record_progress`], [`TaskContext::busy`] and [`TaskContext::protect`] count only on the
/// thread that runs the task, or within the poll of its future. From a thread that helps it they do nothing, so that a loop which is dead is
/// known to be dead although its helper still beats.
///
/// ```
/// use std::time::Duration;
///
/// # let engine = plugin_engine::Engine::builder().build()?;
/// let task = engine.supervise("digest", |cx| {
///     while !cx.is_cancelled() {
///         let busy = cx.busy();               // "busy since" tells of what is done here
///         println!("{} works", cx.name());
///         drop(busy);
///         cx.record_progress();
///         let zone = cx.protect();            // known to be long: not stale however long it lasts
///         drop(zone);
///         if !cx.sleep(Duration::from_secs(60)) {
///             break;
///         }
///     }
/// })?;
/// task.cancel();
/// task.join();
/// # Ok::<(), plugin_engine::Error>(())
/// ```
#[derive(Clone)]
pub struct TaskContext {
    task: Arc<Task>,
    pub(super) run: TaskRun,
    number: u64,
}

/// Where a fault can be injected, for tests of the engine.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultPoint {
    /// At the beginning of a round of a background task.
    Round,
    /// At the beginning of something that is known to be long.
    Protected,
}

/// Called by the tasks themselves, at the points named.
pub(crate) type FaultHook = Arc<dyn Fn(&TaskContext, FaultPoint) + Send + Sync>;

impl TaskContext {
    pub(super) fn new(task: Arc<Task>, run: TaskRun, number: u64) -> Self {
        Self { task, run, number }
    }

    /// The task's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.task.name
    }

    /// Whether the task is to end. From any thread.
    #[must_use]
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.task.is_cancelled()
    }

    /// Blocks until the task is to end.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// let task = engine.supervise("holds-a-lock", |cx| {
    ///     // Takes the lock, and gives it back when it is told to end.
    ///     cx.wait_for_cancel();
    /// })?;
    /// task.cancel();
    /// task.join();
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    pub fn wait_for_cancel(&self) {
        self.task.wait_for_cancel();
    }

    /// Blocks for as long, by the engine's clock, or until the task is to end. Says whether it may go on.
    pub fn sleep(&self, time: Duration) -> bool {
        let until = self.task.pulse.now().saturating_add(time);
        self.task.wait_until(until)
    }

    /// [`TaskContext::sleep`] as a future, which needs no timer of the runtime. A future that is cancelled is dropped where it is, so this
    /// does not have to say so.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # runtime.block_on(async {
    /// let once = engine.supervise_async("once", |cx| async move {
    ///     cx.sleep_async(Duration::from_millis(1)).await;
    /// })?;
    /// once.ended().await;
    /// # Ok::<(), plugin_engine::Error>(()) })?;
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    pub fn sleep_async(&self, time: Duration) -> Sleep {
        let until = self.task.pulse.now().saturating_add(time);
        Sleep::until(Arc::clone(&self.task), until)
    }

    /// Says that the task makes progress. Cheap enough for once a millisecond, and meant for the end of each round.
    pub fn record_progress(&self) {
        if self.is_own_loop() {
            let now = self.task.pulse.now();
            self.task.pulse.liveness.lock().progress(self.run, now);
        }
    }

    /// Says that the task is busy with something until the guard is dropped. A task that is busy for longer than it may be without progress
    /// is stale all the same; [`TaskContext::protect`] says that this is meant to be.
    #[must_use = "dropping it ends what the task is busy with"]
    pub fn busy(&self) -> Busy {
        let counts = self.is_own_loop();
        if counts {
            let now = self.task.pulse.now();
            self.task.pulse.liveness.lock().begin_busy(self.run, now);
        }
        Busy {
            context: counts.then(|| self.clone()),
        }
    }

    /// Says that what the task does until the guard is dropped is known to be long: it is busy, and not stale however long that lasts. Nothing
    /// that could hang should be done in there. Zones may lie in one another. Coming out of one is progress.
    #[must_use = "dropping it ends the protected zone"]
    pub fn protect(&self) -> Protected {
        let counts = self.is_own_loop();
        if counts {
            let now = self.task.pulse.now();
            self.task.pulse.liveness.lock().enter_zone(self.run, now);
        }
        let zone = Protected {
            context: counts.then(|| self.clone()),
        };
        if counts {
            self.fault(FaultPoint::Protected);
        }
        zone
    }

    fn is_own_loop(&self) -> bool {
        task::is_current(self.number)
    }

    /// Does something as the loop of this run.
    pub(super) fn as_current<R>(&self, act: impl FnOnce() -> R) -> R {
        task::as_current(self.number, act)
    }

    fn fault(&self, point: FaultPoint) {
        if let Some(faults) = &self.task.pulse.faults {
            faults(self, point);
        }
    }
}

/// For the engine's own tasks.
impl TaskContext {
    /// One round: busy until it is over, and progress at its end.
    pub(crate) fn round<R>(&self, act: impl FnOnce() -> R) -> R {
        let busy = self.busy();
        self.fault(FaultPoint::Round);
        let done = act();
        drop(busy);
        self.record_progress();
        done
    }

    /// How long an idle task may wait in real time before it has to record progress; `None` if it is woken when the clock is moved.
    pub(crate) fn beat(&self) -> Option<Duration> {
        let next = self.task.pulse.now().saturating_add(PERIOD);
        self.task.pulse.real_time_until(next)
    }

    /// The next moment at which an idle task has to record progress.
    pub(crate) fn next_beat(&self) -> Moment {
        self.task.pulse.now().saturating_add(PERIOD)
    }
}

impl std::fmt::Debug for TaskContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskContext")
            .field("name", &self.name())
            .field("is_cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

/// A task is busy until this is dropped.
#[must_use = "dropping it ends what the task is busy with"]
#[derive(Debug)]
pub struct Busy {
    /// `None` where it does not count.
    context: Option<TaskContext>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(context) = &self.context {
            context.task.pulse.liveness.lock().end_busy(context.run);
        }
    }
}

/// A task is in a protected zone until this is dropped.
#[must_use = "dropping it ends the protected zone"]
#[derive(Debug)]
pub struct Protected {
    /// `None` where it does not count.
    context: Option<TaskContext>,
}

impl Drop for Protected {
    fn drop(&mut self) {
        let Some(context) = &self.context else {
            return;
        };
        // Before the zone ends, so that no look in between finds it stale. A panic comes out of it without any progress.
        if !std::thread::panicking() {
            context.record_progress();
        }
        context.task.pulse.liveness.lock().leave_zone(context.run);
    }
}

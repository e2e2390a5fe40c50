//! What an embedder calls of tasks: having them supervised, and asking who is alive. The rest of the façade is in `engine`.

use std::time::Duration;

use crate::engine::Engine;
use crate::liveness::{self, StaleTasks, TaskLiveness};
use crate::supervisor::{SuperviseError, TaskBuilder, TaskContext, TaskHandle};

/// Tasks.
impl Engine {
    /// Runs a task of the embedder's on a thread of its own, under the supervisor that runs the engine's own: if it panics, that is logged
    /// with its stack, and it is called again after 1 s, doubling to 30 s, beginning at 1 s again once it ran for 60 s. When it
    /// returns, it is over. Waits are by the engine's clock.
    ///
    /// A shutdown of the engine tells all tasks to end and waits for them within its budget; those that have not ended are named in the
    /// log and by [`Engine::liveness`]. A task that holds a handle of the engine keeps it from being dropped, so such an engine has to be shut
    /// down. At most 256 tasks of the embedder run at the same time.
    ///
    /// The process's panic hook is called as ever. When the first engine of a process is built, one is put in front of it that looks at panics of
    /// supervised tasks; where the program puts another in place of that, the log does not know the stack.
    ///
    /// ```no_run
    /// # fn feed() {}
    /// # fn start(engine: &plugin_engine::Engine) -> Result<(), plugin_engine::Error> {
    /// let feeder = engine.supervise("feeder", |cx| {
    ///     while cx.sleep(std::time::Duration::from_secs(1)) {
    ///         feed();
    ///         cx.record_progress();
    ///     }
    /// })?;
    /// # feeder.cancel(); Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The name is taken or not one for a task, there are too many tasks, no thread can be had, or the engine was shut down.
    pub fn supervise(
        &self,
        name: &str,
        task: impl FnMut(&TaskContext) + Send + 'static,
    ) -> Result<TaskHandle, SuperviseError> {
        self.task(name).start(task)
    }

    /// [`Engine::supervise`] for a future, on the tokio runtime from within which this is called; the closure makes a new one for each run. A
    /// future that is cancelled is dropped where it is.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # runtime.block_on(async {
    /// let poller = engine.supervise_async("poller", |cx| async move {
    ///     loop {
    ///         cx.record_progress();
    ///         cx.sleep_async(Duration::from_secs(1)).await;
    ///     }
    /// })?;
    /// poller.cancel();
    /// poller.ended().await;
    /// # Ok::<(), plugin_engine::Error>(()) })?;
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Engine::supervise`], or there is no runtime here.
    pub fn supervise_async<F, Fut>(&self, name: &str, task: F) -> Result<TaskHandle, SuperviseError>
    where
        F: FnMut(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.task(name).start_async(task)
    }

    /// [`Engine::supervise`] and [`Engine::supervise_async`] with more to be said: how often the task means to record progress, whether it is
    /// expected to, how it is restarted.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// let feeder = engine
    ///     .task("feeder")
    ///     .period(Duration::from_secs(60))
    ///     .expected()
    ///     .start(|cx| cx.wait_for_cancel())?;
    /// feeder.cancel();
    /// feeder.join();
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    pub fn task<'a>(&'a self, name: &'a str) -> TaskBuilder<'a> {
        TaskBuilder::new(&self.shared().supervisor, name)
    }

    /// What is known of the engine's background tasks and the embedder's, and of the plugins that have ever recorded progress: who makes
    /// progress, who is busy since when, who is stale. A copy, in the order in which they were started. Never waits for any of them.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// for task in engine.liveness() {
    ///     let stale = if task.stale.is_some() { "stale" } else { "well" };
    ///     println!("{} ({}): {stale}, {:?} s ago", task.name, task.kind, task.seconds_ago);
    /// }
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn liveness(&self) -> Vec<TaskLiveness> {
        liveness::all(self.shared())
    }

    /// Whether the tasks of these names, the engine's own, and those of the embedder that are [`TaskBuilder::expected`] make progress. One that
    /// has returned or was cancelled does not have to; one that was never started is stale. Without `threshold`, each may go without for
    /// three times its own period, and at least 5 s; with it, for as long as that. Plugins count only if they are named, as
    /// `plugin.<id>`.
    ///
    /// A task that was started just now is stale until it has recorded progress for the first time.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// let error = engine.is_healthy(&["feeder"], None).unwrap_err();
    /// assert!(error.tasks.iter().any(|stale| &*stale.name == "feeder"), "nobody has started it");
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those that are stale, each with why.
    pub fn is_healthy(
        &self,
        expected: &[&str],
        threshold: Option<Duration>,
    ) -> Result<(), StaleTasks> {
        liveness::check(self.shared(), expected, threshold)
    }
}

//! How a task gets under the supervisor.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use plugin_engine_core::{RestartPolicy, TaskFacts, TaskKind};

use super::context::TaskContext;
use super::error::SuperviseError;
use super::handle::TaskHandle;
use super::task::Task;
use super::{PERIOD_DEFAULT, RESTARTS, Supervisor, as_future, on_thread, panics};
use crate::joining::Thread;

/// A task that was entered and is about to be run. Dropped without that, nothing is left of it.
pub(crate) struct Entry {
    task: Arc<Task>,
    policy: RestartPolicy,
}

impl Entry {
    pub(super) fn new(task: Arc<Task>, policy: RestartPolicy) -> Self {
        panics::watch();
        Self { task, policy }
    }

    /// Its handle.
    pub(crate) fn handle(&self) -> TaskHandle {
        TaskHandle::new(Arc::clone(&self.task))
    }

    /// Runs it on this thread, to its end.
    pub(crate) fn run(self, body: impl FnMut(&TaskContext)) {
        on_thread::run(&self.task, self.policy, body);
    }

    /// Runs it on a thread of its own.
    pub(crate) fn spawn(
        self,
        thread: &str,
        body: impl FnMut(&TaskContext) + Send + 'static,
    ) -> Result<(), SuperviseError> {
        let task = Arc::clone(&self.task);
        #[cfg(feature = "simulation")]
        if crate::simulation::is_staged() {
            let started = crate::simulation::start(thread, move || self.run(body));
            return started
                .unwrap_or(Ok(()))
                .map_err(|source| SuperviseError::Thread {
                    name: task.name.clone(),
                    source,
                });
        }
        let spawned = crate::threading::thread::Builder::new()
            .name(thread.to_owned())
            .spawn(move || self.run(body));
        match spawned {
            Ok(handle) => {
                task.keep_thread(Thread::new(handle));
                Ok(())
            }
            Err(source) => Err(SuperviseError::Thread {
                name: task.name.clone(),
                source,
            }),
        }
    }

    /// Runs it on the tokio runtime of this thread.
    fn spawn_future<F, Fut>(self, make: F) -> Result<(), SuperviseError>
    where
        F: FnMut(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return Err(SuperviseError::NoRuntime {
                name: self.task.name.clone(),
            });
        };
        let (task, policy) = (Arc::clone(&self.task), self.policy);
        task.is_future.store(true, Ordering::SeqCst);
        runtime.spawn(async move {
            let entry = self;
            as_future::run(task, policy, make).await;
            drop(entry);
        });
        Ok(())
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // One that was run is over by now.
        if self.task.end().is_none() {
            self.task.forget();
        }
    }
}

/// What is said of a task before it starts. See [`Engine::task`](crate::Engine::task).
///
/// ```
/// use plugin_engine::RestartPolicy;
/// use std::time::Duration;
///
/// # let engine = plugin_engine::Engine::builder().build()?;
/// let feeder = engine
///     .task("feeder")
///     .period(Duration::from_secs(60))
///     .expected()
///     .restart(RestartPolicy { max_restarts: Some(3), ..RestartPolicy::default() })
///     .start(|cx| {
///         while cx.sleep(Duration::from_secs(60)) {
///             cx.record_progress();
///         }
///     })?;
/// feeder.cancel();
/// # Ok::<(), plugin_engine::Error>(())
/// ```
#[must_use = "a task does nothing until it is started"]
#[derive(Clone, Copy)]
pub struct TaskBuilder<'a> {
    supervisor: &'a Supervisor,
    name: &'a str,
    facts: TaskFacts,
    policy: RestartPolicy,
}

impl<'a> TaskBuilder<'a> {
    pub(crate) fn new(supervisor: &'a Supervisor, name: &'a str) -> Self {
        Self {
            supervisor,
            name,
            facts: TaskFacts {
                kind: TaskKind::Embedder,
                period: PERIOD_DEFAULT,
                expected: false,
            },
            policy: RESTARTS,
        }
    }

    /// How often the task means to record progress, by default every 10 s. It is stale after three times that, and at least 5 s, without
    /// any.
    pub fn period(mut self, period: Duration) -> Self {
        self.facts.period = period;
        self
    }

    /// That the task is stale as long as it has never recorded progress, and that [`Engine::is_healthy`](crate::Engine::is_healthy) looks
    /// at it without being told to. Otherwise it is judged only from its first progress on.
    pub fn expected(mut self) -> Self {
        self.facts.expected = true;
        self
    }

    /// How the task is started again after a panic: by default after 1 s doubling to 30 s, beginning anew after 60 s without a panic, as
    /// often as it takes.
    pub fn restart(mut self, policy: RestartPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Starts it on a thread of its own, which has its name. See [`Engine::supervise`](crate::Engine::supervise).
    ///
    /// # Errors
    /// The name is taken or not one for a task, there are too many tasks, no thread can be had, or the engine was shut down.
    pub fn start(
        self,
        task: impl FnMut(&TaskContext) + Send + 'static,
    ) -> Result<TaskHandle, SuperviseError> {
        let entry = self.enter()?;
        let handle = entry.handle();
        entry.spawn(self.name, task)?;
        Ok(handle)
    }

    /// Starts it on the tokio runtime from within which this is called. See [`Engine::supervise_async`](crate::Engine::supervise_async).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # runtime.block_on(async {
    /// let poller = engine.task("poller").expected().start_async(|cx| async move {
    ///     cx.record_progress();
    /// })?;
    /// poller.ended().await;
    /// # Ok::<(), plugin_engine::Error>(()) })?;
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`TaskBuilder::start`], or there is no runtime here.
    pub fn start_async<F, Fut>(self, task: F) -> Result<TaskHandle, SuperviseError>
    where
        F: FnMut(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let entry = self.enter()?;
        let handle = entry.handle();
        self.supervisor.start_timer()?;
        entry.spawn_future(task)?;
        Ok(handle)
    }

    fn enter(&self) -> Result<Entry, SuperviseError> {
        self.supervisor
            .enter_of_embedder(self.name, self.facts, self.policy)
    }
}

impl std::fmt::Debug for TaskBuilder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskBuilder")
            .field("name", &self.name)
            .field("facts", &self.facts)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

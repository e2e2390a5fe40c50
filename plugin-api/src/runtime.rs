//! The runtime of one asynchronous plugin: lives with the instance, and is gone with it within a bound.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// How often a call that waits looks whether it is still waited for: the engine has no way to wake it.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How many threads there may be for what blocks (`spawn_blocking`, files), beside the workers.
const BLOCKING_THREADS_MAX: usize = 16;

/// Where a plugin starts what goes on between its calls. Clones are the same.
///
/// Tasks end with the instance: at their next `await` once it is destroyed.
#[derive(Debug, Clone)]
pub struct Tasks {
    handle: Handle,
    running: Arc<Running>,
}

#[derive(Debug, Default)]
struct Running {
    last: AtomicU64,
    /// The tasks that have a thread at this moment, by number.
    at_work: Mutex<BTreeMap<u64, Arc<str>>>,
    threads: AtomicUsize,
}

impl Running {
    fn at_work(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<str>>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists a task until what is returned is dropped, be it by a panic of the task.
    fn list<'a>(&'a self, number: u64, name: &Arc<str>) -> impl Drop + use<'a> {
        struct Listed<'a>(&'a Running, u64);
        impl Drop for Listed<'_> {
            fn drop(&mut self) {
                self.0.at_work().remove(&self.1);
            }
        }
        self.at_work().insert(number, Arc::clone(name));
        Listed(self, number)
    }
}

impl Tasks {
    /// Starts a task. The name is what is told of it should it not end with the instance, because it never comes to an `await`.
    ///
    /// ```
    /// use plugin_api::prelude::*;
    ///
    /// struct Counts;
    ///
    /// impl AsyncPlugin for Counts {
    ///     async fn create(_: &CreateContext<'_>, tasks: &Tasks) -> Result<Self, PluginError> {
    ///         let sum = tasks.spawn("sum", async { (1..=4).sum::<u32>() });
    ///         assert_eq!(sum.await?, 10);
    ///         Ok(Self)
    ///     }
    /// #
    /// #     async fn update(&mut self, _: &UpdateContext<'_>) -> Result<(), PluginError> {
    /// #         Ok(())
    /// #     }
    /// }
    /// #
    /// # fn main() -> Result<(), plugin_test_host::CallError> {
    /// #     plugin_test_host::TestHost::new().create::<Async<Counts>>()?.destroy()
    /// # }
    /// ```
    pub fn spawn<F>(&self, name: impl Into<String>, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let number = self.running.last.fetch_add(1, Ordering::Relaxed);
        let (running, name) = (Arc::clone(&self.running), Arc::from(name.into()));
        self.handle.spawn(async move {
            let mut task = pin!(task);
            poll_fn(|context| {
                let _listed = running.list(number, &name);
                task.as_mut().poll(context)
            })
            .await
        })
    }
}

/// Why a call did not wait for the end of its future, which it has dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupted {
    Cancelled,
    DeadlinePassed,
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cancelled => "the call was cancelled while it waited",
            Self::DeadlinePassed => "the deadline of the call has passed while it waited",
        })
    }
}

impl std::error::Error for Interrupted {}

/// A runtime with threads of its own. Dropped, it shuts down as by [`InstanceRuntime::shut_down`].
pub(crate) struct InstanceRuntime {
    runtime: Option<Runtime>,
    tasks: Tasks,
    shutdown_limit: Duration,
}

impl InstanceRuntime {
    /// Starts a runtime whose threads bear the plugin's id, of which the system shows 15 characters.
    pub(crate) fn start(
        id: &str,
        workers: usize,
        shutdown_limit: Duration,
    ) -> std::io::Result<Self> {
        let running = Arc::new(Running::default());
        let (started, stopped) = (Arc::clone(&running), Arc::clone(&running));
        let runtime = Builder::new_multi_thread()
            .worker_threads(workers.max(1))
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_name(id)
            .on_thread_start(move || {
                started.threads.fetch_add(1, Ordering::SeqCst);
            })
            .on_thread_stop(move || {
                stopped.threads.fetch_sub(1, Ordering::SeqCst);
            })
            .enable_all()
            .build()?;
        let tasks = Tasks {
            handle: runtime.handle().clone(),
            running,
        };
        Ok(Self {
            runtime: Some(runtime),
            tasks,
            shutdown_limit,
        })
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Waits for a future on this thread, for as long as `interrupted` says nothing. Then the future is dropped where it waits.
    ///
    /// The looks are at the time of this thread, not of the runtime: a task that keeps all workers from working keeps no call from
    /// returning.
    pub(crate) fn wait_for<F: Future>(
        &self,
        interrupted: impl Fn() -> Option<Interrupted>,
        future: F,
    ) -> Result<F::Output, Interrupted> {
        let _entered = self.tasks.handle.enter();
        let alarm = Arc::new(Alarm::default());
        let waker = Waker::from(Arc::clone(&alarm));
        let mut context = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            if let Some(why) = interrupted() {
                return Err(why);
            }
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return Ok(output);
            }
            alarm.sleep(LOOK_EVERY);
        }
    }

    /// Waits for the end of a future that belongs to no call with a context, for as long as the shutdown may take.
    pub(crate) fn wait_for_a_while<F: Future>(&self, future: F) -> Result<F::Output, Interrupted> {
        let until = Instant::now() + self.shutdown_limit;
        let passed = || (Instant::now() >= until).then_some(Interrupted::DeadlinePassed);
        self.wait_for(passed, future)
    }

    /// Drops all tasks where they wait, and waits for the threads to end. Those that have not ended within the limit are told, with the
    /// tasks that keep them.
    pub(crate) fn shut_down(&mut self) {
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        runtime.shutdown_timeout(self.shutdown_limit);
        let running = &self.tasks.running;
        let threads = running.threads.load(Ordering::SeqCst);
        if threads == 0 {
            return;
        }
        let names: Vec<_> = running.at_work().values().cloned().collect();
        let tasks = if names.is_empty() {
            "one that was started without a name".to_owned()
        } else {
            names.join(", ")
        };
        let limit = self.shutdown_limit;
        tracing::error!(
            target: "plugin_api",
            threads,
            %tasks,
            "a task of the plugin has not ended within {limit:?} of its end, and keeps its thread and the plugin's file"
        );
    }
}

impl Drop for InstanceRuntime {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// Wakes a thread that waits for a future. Without the standard library's handle of the thread, which would leave something on it.
#[derive(Default)]
struct Alarm {
    rung: Mutex<bool>,
    bell: Condvar,
}

impl Alarm {
    fn sleep(&self, at_most: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut rung, _) = self
            .bell
            .wait_timeout_while(rung, at_most, |rung| !*rung)
            .unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.bell.notify_one();
    }
}

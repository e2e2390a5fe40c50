//! Runs tasks and starts them again when they panic: the engine's own background threads, and the embedder's threads and futures.
//!
//! What lives here: how tasks are run, told to end and waited for, and what they report of themselves. What never will: what any of them
//! does. It knows the clock and nothing else of the engine.

mod as_future;
mod context;
mod entry;
mod error;
mod handle;
mod on_thread;
mod panics;
mod pulse;
mod runs;
mod task;
#[cfg(feature = "simulation")]
pub(crate) use task::swap_local;
mod timer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use plugin_engine_core::{EnterError, RestartPolicy, TaskFacts, TaskKind};

pub use as_future::Sleep;
pub use context::{Busy, FaultPoint, Protected, TaskContext};
pub use entry::TaskBuilder;
pub use error::SuperviseError;
pub use handle::{TaskHandle, TaskState};

pub(crate) use context::FaultHook;
pub(crate) use entry::Entry;
pub(crate) use pulse::Pulse;

use crate::clock::Clock;
use crate::threading::Mutex;
use task::{Task, Wake};

/// How often the engine's own tasks record progress when there is nothing to do. A wake-up each, which is nothing; and one that is dead is
/// known to be so after three times that.
pub(crate) const PERIOD: Duration = Duration::from_secs(2);
/// The period of an embedder's task that does not say otherwise.
const PERIOD_DEFAULT: Duration = Duration::from_secs(10);
/// The longest name of a task, in bytes.
const NAME_LEN_MAX: usize = 64;
/// How often a shutdown looks whether the threads of tasks that are over have ended.
const LOOK_EVERY: Duration = Duration::from_micros(500);

/// How tasks are restarted that do not say otherwise: after 1 s doubling to 30 s, for ever.
const RESTARTS: RestartPolicy = RestartPolicy {
    first_delay: Duration::from_secs(1),
    longest_delay: Duration::from_secs(30),
    jitter_percent: 0,
    healthy_period: Duration::from_secs(60),
    max_restarts: None,
    window: Duration::from_secs(600),
};

/// What becomes of a task of the engine whose name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfTaken {
    /// It takes the place of the one before, which is about to end.
    Succeeds,
    /// It gets a number behind its name, because there may be several.
    IsNumbered,
}

/// All tasks of an engine.
pub(crate) struct Supervisor {
    pub(crate) pulse: Arc<Pulse>,
    tasks: Mutex<Tasks>,
}

#[derive(Default)]
struct Tasks {
    /// Those that are not over, and some that are.
    list: Vec<Arc<Task>>,
    /// Whether embedders may start no more.
    closed: bool,
    has_timer: bool,
}

impl Supervisor {
    pub(crate) fn new(clock: Arc<dyn Clock>, faults: Option<FaultHook>) -> Self {
        Self {
            pulse: Arc::new(Pulse::new(clock, faults)),
            tasks: Mutex::default(),
        }
    }

    /// Enters a task of the engine, to be run by whoever gets it. `wake` ends whatever wait it may be in, so that it can record progress
    /// when the clock was moved by hand, or end.
    ///
    /// # Errors
    /// There are too many.
    pub(crate) fn enter(
        &self,
        name: &str,
        if_taken: IfTaken,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Entry, SuperviseError> {
        let facts = TaskFacts {
            kind: TaskKind::Engine,
            period: PERIOD,
            expected: true,
        };
        let mut tasks = self.tasks.lock();
        let mut liveness = self.pulse.liveness.lock();
        let mut name = name.to_owned();
        let mut entered = match if_taken {
            IfTaken::Succeeds => liveness.succeed(&name, facts),
            IfTaken::IsNumbered => liveness.enter(&name, facts),
        };
        let mut number = 1;
        let first = name.clone();
        while entered == Err(EnterError::Taken) {
            number += 1;
            name = format!("{first}-{number}");
            entered = liveness.enter(&name, facts);
        }
        drop(liveness);
        let id = entered.map_err(|source| SuperviseError::NotEntered {
            name: name.clone().into(),
            source,
        })?;
        let wake: Wake = Some(Box::new(wake));
        let task = Task::new(&name, id, TaskKind::Engine, &self.pulse, wake);
        Ok(tasks.add(task, RESTARTS))
    }

    /// Enters a task of the embedder.
    fn enter_of_embedder(
        &self,
        name: &str,
        facts: TaskFacts,
        policy: RestartPolicy,
    ) -> Result<Entry, SuperviseError> {
        check_name(name)?;
        let mut tasks = self.tasks.lock();
        if tasks.closed {
            return Err(SuperviseError::ShutDown { name: name.into() });
        }
        let entered = self.pulse.liveness.lock().enter(name, facts);
        let id = entered.map_err(|source| SuperviseError::NotEntered {
            name: name.into(),
            source,
        })?;
        let task = Task::new(name, id, facts.kind, &self.pulse, None);
        Ok(tasks.add(task, policy))
    }

    /// Starts the thread that wakes futures by time, if it is wanted for the first time.
    fn start_timer(&self) -> Result<(), SuperviseError> {
        if std::mem::replace(&mut self.tasks.lock().has_timer, true) {
            return Ok(());
        }
        let started = timer::start(self);
        if started.is_err() {
            self.tasks.lock().has_timer = false;
        }
        started
    }

    /// The clock was moved by hand: whoever waits for it looks.
    pub(crate) fn clock_moved(&self) {
        for task in self.running() {
            task.ring();
        }
    }

    fn running(&self) -> Vec<Arc<Task>> {
        let tasks = self.tasks.lock();
        let running = tasks.list.iter().filter(|task| task.end().is_none());
        running.map(Arc::clone).collect()
    }

    /// Tells the embedder's tasks to end, and lets them start no more.
    pub(crate) fn close(&self) {
        self.tasks.lock().closed = true;
        self.cancel(|kind| kind == TaskKind::Embedder);
    }

    /// Tells all tasks to end.
    pub(crate) fn cancel_all(&self) {
        self.cancel(|_| true);
    }

    fn cancel(&self, is_meant: impl Fn(TaskKind) -> bool) {
        for task in self.running() {
            if is_meant(task.kind) {
                task.cancel();
            }
        }
    }

    /// Waits until all tasks have ended, but for one that calls this, and no longer than until a moment. Returns the names of those that
    /// have not.
    pub(crate) fn join_all(&self, until: Option<Instant>) -> Vec<Box<str>> {
        let tasks = self.tasks.lock().list.clone();
        let others = tasks.iter().filter(|task| !task.is_current());
        let left = others.filter(|task| !task.join(until));
        left.map(|task| task.name.clone()).collect()
    }
}

impl Tasks {
    fn add(&mut self, task: Task, policy: RestartPolicy) -> Entry {
        let task = Arc::new(task);
        self.list.retain(|task| task.end().is_none());
        self.list.push(Arc::clone(&task));
        Entry::new(task, policy)
    }
}

/// Whether an embedder's task may have this name.
fn check_name(name: &str) -> Result<(), SuperviseError> {
    let bad = |why| {
        Err(SuperviseError::Name {
            name: name.into(),
            why,
        })
    };
    if name.is_empty() || name.len() > NAME_LEN_MAX {
        return bad("it must have 1 to 64 bytes");
    }
    if name.chars().any(char::is_control) {
        return bad("it has a control character");
    }
    if name.starts_with("plugin-") || name.starts_with("plugin.") {
        return bad(
            "names that begin with \"plugin-\" or \"plugin.\" are those of the engine and of plugins",
        );
    }
    Ok(())
}

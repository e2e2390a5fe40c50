//! Which tasks make progress, and which are stale: data and judgement.
//!
//! What lives here: what the own loop of a task has reported, and what follows from it at a moment. What never will: who runs a task, or
//! starts it again; a clock.

mod judgement;

use std::fmt;
use std::time::Duration;

use crate::Moment;

pub use judgement::{PluginProgress, Stale, Staleness, TaskReport};

/// The most tasks of one kind that may run at the same time. As many that have ended are remembered, the last of them.
pub const TASKS_MAX: usize = 256;

/// Whose task it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskKind {
    /// One of the engine's own background tasks.
    Engine,
    /// One that the embedder has put under the engine's supervisor.
    Embedder,
    /// A plugin that records progress in its calls.
    Plugin,
}

impl TaskKind {
    /// The kind in one word.
    ///
    /// ```
    /// assert_eq!(plugin_engine_core::TaskKind::Engine.name(), "engine");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Embedder => "embedder",
            Self::Plugin => "plugin",
        }
    }
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a task does not run any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskEnd {
    /// It has returned, or its plugin was unloaded.
    Returned,
    /// It was cancelled.
    Cancelled,
    /// It has panicked more often than its policy allows.
    GaveUp,
}

impl TaskEnd {
    /// The end in a word or two.
    ///
    /// ```
    /// assert_eq!(plugin_engine_core::TaskEnd::GaveUp.name(), "gave_up");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::Cancelled => "cancelled",
            Self::GaveUp => "gave_up",
        }
    }
}

impl fmt::Display for TaskEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is said of a task before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskFacts {
    /// Whose it is.
    pub kind: TaskKind,
    /// How often it means to record progress. It is stale after three times that, and at least [`STALE_AFTER_MIN`], without any.
    pub period: Duration,
    /// Whether it is stale as long as it has never recorded any. Others are judged only from their first progress on.
    pub expected: bool,
}

/// Nothing is stale sooner than this after its last progress, unless somebody asks by another threshold.
pub const STALE_AFTER_MIN: Duration = Duration::from_secs(5);
/// After how many of its periods without progress a task is stale.
pub const STALE_AFTER_PERIODS: u32 = 3;

/// After how long without progress a task of this period is stale.
#[must_use]
pub fn stale_after(period: Duration) -> Duration {
    period
        .saturating_mul(STALE_AFTER_PERIODS)
        .max(STALE_AFTER_MIN)
}

/// Why a task was not entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnterError {
    /// A task of this name runs.
    #[error("a task of this name runs already")]
    Taken,
    /// As many tasks run as may.
    #[error("{TASKS_MAX} tasks of this kind run already, which is the most there may be")]
    Full,
}

/// A task. Of two with one name, entered one after another, each has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskId(u64);

/// One run of a task: what its own loop reports with. What is reported with an earlier one is not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskRun {
    task: TaskId,
    run: u32,
}

/// What tasks have reported.
#[derive(Debug, Default)]
pub struct Liveness {
    /// In the order in which they were entered.
    tasks: Vec<Task>,
    last_id: u64,
}

#[derive(Debug)]
struct Task {
    id: TaskId,
    name: Box<str>,
    facts: TaskFacts,
    /// How often it was begun.
    runs: u32,
    last_progress: Option<Moment>,
    busy: u32,
    busy_since: Option<Moment>,
    /// How many protected zones its loop is in.
    zones: u32,
    ended: Option<TaskEnd>,
}

impl Liveness {
    /// Enters a task. One of the same name that has ended is forgotten for it; so is the first that has ended, where too many are
    /// remembered.
    ///
    /// # Errors
    /// A task of this name, or too many of this kind, have not ended.
    pub fn enter(&mut self, name: &str, facts: TaskFacts) -> Result<TaskId, EnterError> {
        let same = self.tasks.iter().position(|task| &*task.name == name);
        if same.is_some_and(|at| self.tasks[at].ended.is_none()) {
            return Err(EnterError::Taken);
        }
        let of_kind = |task: &&Task| task.facts.kind == facts.kind;
        let running = |task: &&Task| task.ended.is_none();
        if self.tasks.iter().filter(of_kind).filter(running).count() >= TASKS_MAX {
            return Err(EnterError::Full);
        }
        match same {
            Some(at) => {
                self.tasks.remove(at);
            }
            None => self.forget_the_oldest(facts.kind),
        }
        self.last_id += 1;
        let id = TaskId(self.last_id);
        self.tasks.push(Task {
            id,
            name: name.into(),
            facts,
            runs: 0,
            last_progress: None,
            busy: 0,
            busy_since: None,
            zones: 0,
            ended: None,
        });
        Ok(id)
    }

    /// [`Liveness::enter`] in place of a task of the same name, ended or not, which is heard no more.
    ///
    /// # Errors
    /// Too many of this kind have not ended.
    pub fn succeed(&mut self, name: &str, facts: TaskFacts) -> Result<TaskId, EnterError> {
        let same = self.tasks.iter_mut().find(|task| &*task.name == name);
        if let Some(same) = same {
            same.ended.get_or_insert(TaskEnd::Returned);
        }
        self.enter(name, facts)
    }

    /// Keeps what has ended of one kind to as many as may run.
    fn forget_the_oldest(&mut self, kind: TaskKind) {
        let ended = |task: &&Task| task.facts.kind == kind && task.ended.is_some();
        if self.tasks.iter().filter(ended).count() >= TASKS_MAX {
            let oldest = self.tasks.iter().position(|task| ended(&task));
            oldest.map(|at| self.tasks.remove(at));
        }
    }

    fn task(&mut self, id: TaskId) -> Option<&mut Task> {
        self.tasks.iter_mut().find(|task| task.id == id)
    }

    /// The task of a run, if that is its latest one.
    fn running(&mut self, run: TaskRun) -> Option<&mut Task> {
        let task = self.task(run.task)?;
        (task.runs == run.run && task.ended.is_none()).then_some(task)
    }

    /// A task begins, or begins again. Whatever its run before was in, it is in no more.
    pub fn begin(&mut self, id: TaskId) -> TaskRun {
        let mut run = 0;
        if let Some(task) = self.task(id) {
            task.runs = task.runs.saturating_add(1);
            (task.busy, task.busy_since, task.zones) = (0, None, 0);
            run = task.runs;
        }
        TaskRun { task: id, run }
    }

    /// The run is over, and the task waits for its next one.
    pub fn pause(&mut self, run: TaskRun) {
        if let Some(task) = self.running(run) {
            (task.busy, task.busy_since, task.zones) = (0, None, 0);
        }
    }

    /// The task has ended for good.
    pub fn end(&mut self, id: TaskId, end: TaskEnd) {
        if let Some(task) = self.task(id) {
            (task.busy, task.busy_since, task.zones) = (0, None, 0);
            task.ended.get_or_insert(end);
        }
    }

    /// A task that was entered never began, and is forgotten.
    pub fn forget(&mut self, id: TaskId) {
        self.tasks.retain(|task| task.id != id);
    }

    /// The task has made progress.
    pub fn progress(&mut self, run: TaskRun, now: Moment) {
        if let Some(task) = self.running(run) {
            task.last_progress = task.last_progress.max(Some(now));
        }
    }

    /// The task begins something that it is busy with, maybe within something else.
    pub fn begin_busy(&mut self, run: TaskRun, now: Moment) {
        if let Some(task) = self.running(run) {
            task.busy = task.busy.saturating_add(1);
            task.busy_since.get_or_insert(now);
        }
    }

    /// It is done with what it began last.
    pub fn end_busy(&mut self, run: TaskRun) {
        if let Some(task) = self.running(run) {
            task.busy = task.busy.saturating_sub(1);
            if task.busy == 0 {
                task.busy_since = None;
            }
        }
    }

    /// The task begins something that is known to be long, maybe within something else that is. Until it is done, it is not stale.
    pub fn enter_zone(&mut self, run: TaskRun, now: Moment) {
        self.begin_busy(run, now);
        if let Some(task) = self.running(run) {
            task.zones = task.zones.saturating_add(1);
        }
    }

    /// It is done with what it began last that is known to be long.
    pub fn leave_zone(&mut self, run: TaskRun) {
        if let Some(task) = self.running(run) {
            task.zones = task.zones.saturating_sub(1);
        }
        self.end_busy(run);
    }
}

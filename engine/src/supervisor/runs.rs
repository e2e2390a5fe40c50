//! What follows from how a run has ended: the task is over, or begins again after a while.

use std::sync::Arc;

use plugin_engine_core::{Moment, RestartDecision, RestartPolicy, Restarts, TaskEnd};

use super::context::TaskContext;
use super::panics::{self, PanicReport};
use super::task::Task;

/// The runs of one task, one after another.
pub(super) struct Runs {
    pub(super) task: Arc<Task>,
    restarts: Restarts,
    began: Moment,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It begins again then.
    At(Moment),
    Over(TaskEnd),
}

impl Runs {
    pub(super) fn new(task: &Arc<Task>, policy: RestartPolicy) -> Self {
        // Each task of a policy with jitter waits for another time.
        let seed = task.name.bytes().fold(0, |seed: u64, byte| {
            seed.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        Self {
            task: Arc::clone(task),
            restarts: Restarts::new(policy, seed),
            began: Moment::ZERO,
        }
    }

    /// The next run. `None` if the task was told to end.
    pub(super) fn begin(&mut self) -> Option<TaskContext> {
        self.began = self.task.pulse.now();
        self.task.begin()
    }

    /// A run has ended.
    pub(super) fn ended(&mut self, context: &TaskContext, end: Result<(), PanicReport>) -> Next {
        let Err(report) = end else {
            return Next::Over(match self.task.is_cancelled() {
                true => TaskEnd::Cancelled,
                false => TaskEnd::Returned,
            });
        };
        let now = self.task.pulse.now();
        let ran = now.saturating_since(self.began);
        if ran >= self.restarts.policy().healthy_period {
            self.restarts.recovered();
        }
        let next = if self.task.is_cancelled() {
            Next::Over(TaskEnd::Cancelled)
        } else {
            match self.restarts.after_failure(now) {
                RestartDecision::In(delay) => Next::At(now.saturating_add(delay)),
                RestartDecision::GiveUp { .. } => Next::Over(TaskEnd::GaveUp),
            }
        };
        if let Next::At(until) = next {
            self.task.pause(context, until);
        }
        // A subscriber that panics must not end the supervision.
        let _ = panics::caught(|| log(&self.task.name, &report, next, now));
        next
    }
}

fn log(task: &str, report: &PanicReport, next: Next, now: Moment) {
    let PanicReport {
        message,
        location,
        stack,
    } = report;
    let location = location.as_deref().unwrap_or("an unknown place");
    let stack = stack.as_deref().unwrap_or("unknown");
    let follows = match next {
        Next::At(until) => {
            let delay = humantime::format_duration(until.saturating_since(now));
            format!("it is started again in {delay}")
        }
        Next::Over(TaskEnd::Cancelled) => "it was to end anyway".to_owned(),
        Next::Over(_) => "it has done so too often and is not started again".to_owned(),
    };
    tracing::error!(target: "plugin_engine", task, location, stack, "the task {task} panicked at {location}: {message}; {follows}");
}

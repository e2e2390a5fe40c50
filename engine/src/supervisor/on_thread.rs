//! A task that runs on a thread: on its own, or on that of whoever runs it.

use std::sync::Arc;

use plugin_engine_core::{RestartPolicy, TaskEnd};

use super::context::TaskContext;
use super::panics;
use super::runs::{Next, Runs};
use super::task::Task;

/// Runs a task until it returns, is told to end, or is given up.
pub(super) fn run(task: &Arc<Task>, policy: RestartPolicy, mut body: impl FnMut(&TaskContext)) {
    let mut runs = Runs::new(task, policy);
    let end = loop {
        let Some(context) = runs.begin() else {
            break TaskEnd::Cancelled;
        };
        let end = context.as_current(|| panics::caught(|| body(&context)));
        match runs.ended(&context, end) {
            Next::Over(end) => break end,
            Next::At(until) if task.wait_until(until) => {}
            Next::At(_) => break TaskEnd::Cancelled,
        }
    };
    task.drop_as_own(body);
    task.finish(end);
}

//! What is not called because no thread is there for it: the claim is released, the tick is counted, and the reason recorded;
//! what it was to be done to is given back. Never who decides that.

use std::sync::Arc;

use plugin_engine_core::{CreateReason, Event, FaultKind, FaultReport};

use super::batch::{Batch, Tally, Verdict};
use super::{Executor, Task, TaskCall};
use crate::cell::{Applied, Cell as PluginCell};
use crate::instance::Instance;

/// Sees to it that nothing is lost with a call for which no thread could be had, whoever waits for it: that is told by itself.
pub(super) fn give_back(executor: &Executor, task: &mut Task) {
    match std::mem::replace(&mut task.call, TaskCall::Update) {
        TaskCall::Destroy { instance, .. } => put_back(executor, task, instance),
        TaskCall::Create(CreateReason::Load | CreateReason::RequirementMet) => {
            let report = no_thread_for(executor, "created");
            let ledger = &executor.board.ledger;
            task.cell.record(ledger, Event::CreateRefused(report));
        }
        // Asked for by somebody, who hears of it, or tried again with the next tick.
        TaskCall::Create(_) | TaskCall::Update | TaskCall::Display | TaskCall::Save(_) => {}
    }
}

/// Gives the plugin back the instance that no thread could be had to destroy. Where it is not the plugin's any more, a cycle destroys
/// it as soon as there is a thread: the ticker goes on until then.
fn put_back(executor: &Executor, task: &Task, instance: Box<Instance>) {
    let mut guarded = task.cell.lock();
    guarded.instance.get_or_insert(instance);
    if guarded.has_leftover() {
        let ledger = &executor.board.ledger;
        let interval = guarded.machine.schedule().interval();
        ledger.rearm(task.cell.index, Some(ledger.time.now()), interval);
    }
}

/// Refuses what nobody has taken of a batch.
pub(super) fn refuse_rest(executor: &Arc<Executor>, batch: &Batch) {
    while let Some(range) = batch.take_chunk() {
        refuse_all(executor, batch, range);
    }
}

pub(super) fn refuse_all(executor: &Arc<Executor>, batch: &Batch, (low, high): (u32, u32)) {
    for cell in (low..high)
        .filter_map(|at| batch.item(at))
        .filter_map(|index| executor.board.registry.at(index))
    {
        refuse(executor, cell);
        batch.settle(Tally::one(Verdict::Skipped), 0, || {
            executor.board.ledger.time.now()
        });
    }
}

/// Records that a due update or restart was not made because there is no thread for it.
pub(super) fn refuse(executor: &Executor, cell: &PluginCell) {
    let now = executor.board.ledger.time.now();
    let what = match cell.lock().machine.restart_is_due(now) {
        true => "restarted",
        false => "called",
    };
    let report = no_thread_for(executor, what);
    if let Some(applied) = refuse_for(executor, cell, report) {
        applied.log();
    }
}

/// Why something was not done, in words.
fn no_thread_for(executor: &Executor, what: &str) -> FaultReport {
    let (threads, slow) = executor.threads();
    let no_more = if threads < executor.threads_max {
        "no other can be started".to_owned()
    } else {
        format!("the limit is {}", executor.threads_max)
    };
    let text = format!(
        "not {what}: {slow} of {threads} threads are in calls that do not return, and {no_more}"
    );
    FaultReport::new(FaultKind::Refused, text)
}

/// Records that a due update was not made, and why. What came of it is to be logged.
pub(super) fn refuse_for(
    executor: &Executor,
    cell: &PluginCell,
    report: FaultReport,
) -> Option<Applied> {
    let mut guarded = cell.lock();
    let now = executor.board.ledger.time.now();
    let applied = cell.apply(
        &executor.board.ledger,
        &mut guarded,
        now,
        Event::CallRefused(report),
    );
    if applied.is_err() {
        let _ = cell.apply(
            &executor.board.ledger,
            &mut guarded,
            now,
            Event::TickSkipped,
        );
    }
    applied.ok()
}

//! A worker: takes work, makes calls, counts what came of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use plugin_engine_core::Moment;
use plugin_engine_crash_marks::Role;

use super::batch::{Batch, Verdict};
use super::call::Caller;
use super::queue::{News, Queue, Rest};
use super::slot::{OnBehalf, Slot, TaskEnd};
use super::{Executor, Task, TaskCall, WORKER};
use crate::cell::Cell;
use crate::registry::Registry;
use crate::transition_log::hold_log;

/// Calls that take no longer than this, records and all, are made by one worker: numbering transitions is the one thing that
/// workers share, and two that do little else spend more on passing that number to and fro than they gain.
const SHORT_CALL: Duration = Duration::from_micros(2);

/// What a worker takes from the queue.
pub(super) enum Work {
    Task(Task),
    News(News),
    Rest(Rest),
    /// One plugin that was slow the last time.
    Slow(Rest),
    Batch(Arc<Batch>),
}

/// The whole life of a worker.
pub(super) fn run(executor: &Arc<Executor>, index: usize) {
    let executor = &executor;
    let slot = &executor.slots[index];
    WORKER.set((executor.address(), index));
    let _recorded = executor.board.crashes.attach(Role::Worker);
    while let Some(work) = next_work(executor, index) {
        // Said before the first call, so that a watchdog that is about to sleep deeply sees it, or is woken.
        slot.busy.store(true, Ordering::SeqCst);
        executor.watchdog.wake_if_deep();
        match work {
            Work::Task(task) => run_task(executor, slot, task),
            Work::News(news) => slot.outside(|| news.say()),
            Work::Rest(Rest { batch, range }) | Work::Slow(Rest { batch, range }) => {
                slot.work_for(OnBehalf::Cycle(Arc::clone(&batch)));
                let now = executor.board.ledger.time.now();
                let done = run_chunk(executor, slot, &batch, range, now);
                // It was to be slow, and nobody has seen it take a millisecond this time. One that was not called has shown nothing.
                if slot.is_foreseen()
                    && done.was_called
                    && let Some(index) = batch.item(range.0)
                {
                    executor.slow_plugins.remove(index);
                }
            }
            Work::Batch(batch) => {
                slot.work_for(OnBehalf::Cycle(Arc::clone(&batch)));
                let mut now = executor.board.ledger.time.now();
                while let Some(range) = batch.take_chunk() {
                    let began = now;
                    now = run_chunk(executor, slot, &batch, range, now).now;
                    if slot.is_slow() {
                        break;
                    }
                    let len = range.1 - range.0;
                    if now.saturating_since(began) > SHORT_CALL * len && batch.has_more() {
                        executor.share();
                    }
                }
            }
        }
        slot.work_for(OnBehalf::Nobody);
        slot.busy.store(false, Ordering::SeqCst);
        if slot.is_slow() && executor.recover(index) {
            break;
        }
    }
    executor.leave(index);
}

/// Waits for work. `None` when there will be no more.
fn next_work(executor: &Arc<Executor>, index: usize) -> Option<Work> {
    let mut queue = executor.queue.lock();
    loop {
        if executor.slots[index].leaves.load(Ordering::Relaxed) {
            return None;
        }
        if let Some(work) = wanted_work(executor, &mut queue) {
            if matches!(work, Work::Slow(_)) {
                executor.foresee(&mut queue, &executor.slots[index]);
                if queue.has_slow() {
                    executor.call_for_hands(&mut queue);
                }
            }
            return Some(work);
        }
        if queue.closed {
            return None;
        }
        queue.idle.push(index);
        // Whoever wakes this worker takes it off the list first.
        while queue.idle.contains(&index) {
            executor.slots[index].work_came.wait(&mut queue);
        }
    }
}

/// What a worker is to take. Nothing where others are at work, as many as are wanted: one that comes back from a slow call would be one more.
/// Each of them looks for more when it is done, and calls for others when it becomes slow or leaves.
pub(super) fn wanted_work(executor: &Executor, queue: &mut Queue) -> Option<Work> {
    if executor.fast_at_work(queue) > executor.workers && !queue.closed {
        return None;
    }
    take_work(queue)
}

fn take_work(queue: &mut Queue) -> Option<Work> {
    if let Some(task) = queue.tasks.pop_front() {
        return Some(Work::Task(task));
    }
    if let Some(news) = queue.news.pop_front() {
        return Some(Work::News(news));
    }
    if let Some(rest) = queue.rests.pop_front() {
        return Some(Work::Rest(rest));
    }
    while let Some(batch) = queue.batches.front() {
        if batch.has_more() {
            return Some(Work::Batch(Arc::clone(batch)));
        }
        queue.batches.pop_front();
    }
    queue.take_slow().map(Work::Slow)
}

/// How many updates ahead the memory of a plugin is asked for: where its cell is, the cell, and what that names. Each is needed for the next,
/// and comes while a few updates are made.
const PLACE_AHEAD: u32 = 8;
const CELL_AHEAD: u32 = 4;
const NAMED_AHEAD: u32 = 2;

/// The plugins of a batch, one after another, with the memory of those that come next asked for. A thousand of them do not fit into the nearest
/// caches, so that without this most of what an update costs is waiting. Each is looked up once, and nothing is waited for, as long as what is looked
/// into was asked for before.
struct Upcoming<'a> {
    registry: &'a Registry,
    batch: &'a Batch,
    /// The plugins of the items from the next one on, each in the place that its item has by the remainder.
    cells: [Option<&'a Arc<Cell>>; CELL_AHEAD as usize],
}

impl<'a> Upcoming<'a> {
    fn from(registry: &'a Registry, batch: &'a Batch, first: u32) -> Self {
        let mut upcoming = Self {
            registry,
            batch,
            cells: [None; CELL_AHEAD as usize],
        };
        for item in first..first.saturating_add(CELL_AHEAD) {
            upcoming.cells[Self::place(item)] = upcoming.find(item);
        }
        upcoming
    }

    fn place(item: u32) -> usize {
        (item % CELL_AHEAD) as usize
    }

    fn find(&self, item: u32) -> Option<&'a Arc<Cell>> {
        self.registry.at(self.batch.item(item)?)
    }

    /// The plugin of this item, which comes after the one that was taken before.
    #[inline]
    fn take(&mut self, item: u32) -> Option<&'a Arc<Cell>> {
        // Past the end of a chunk, too: the next one is mostly taken by the same worker.
        if let Some(index) = self.batch.item(item.saturating_add(PLACE_AHEAD)) {
            self.registry.prefetch(index);
        }
        let ahead = self.find(item.saturating_add(CELL_AHEAD));
        if let Some(cell) = ahead {
            cell.prefetch();
        }
        if let Some(cell) = self.cells[Self::place(item.saturating_add(NAMED_AHEAD))] {
            cell.prefetch_named();
        }
        std::mem::replace(&mut self.cells[Self::place(item)], ahead)
    }
}

/// How a chunk was done.
struct Done {
    now: Moment,
    /// Whether the last plugin of it was called, and not skipped.
    was_called: bool,
}

/// Calls the plugins of a chunk, one after another. The end of one call is the start of the next, so that there is one read
/// of the clock per call.
fn run_chunk(
    executor: &Arc<Executor>,
    slot: &Slot,
    batch: &Batch,
    range: (u32, u32),
    mut now: Moment,
) -> Done {
    let mut was_called = false;
    slot.set_range(range);
    let mut upcoming = Upcoming::from(&executor.board.registry, batch, range.0);
    while let Some(item) = slot.next_item() {
        let Some(cell) = upcoming.take(item) else {
            continue;
        };
        let caller = Caller {
            executor,
            slot,
            cell,
        };
        let ended = caller.update(now, false);
        slot.count(ended.verdict);
        was_called = ended.verdict != Verdict::Skipped;
        now = ended.now;
        if let Some(instance) = ended.leftover {
            // The item is counted; what this destroy comes to is not the cycle's business any more.
            slot.is_counted.store(true, Ordering::SeqCst);
            // Told before that: of a worker that is known to be slow already nobody takes the count again.
            batch.settle(slot.take_tally(), 0, || executor.board.ledger.time.now());
            caller.destroy(*instance, false);
            slot.is_counted.store(false, Ordering::SeqCst);
            now = executor.board.ledger.time.now();
        }
        if slot.is_slow() {
            break;
        }
    }
    // If the watchdog has taken the rest, this is empty. If it came too late for that, the rest is done by others all the same.
    if let Some(range) = slot.take_rest() {
        let mut queue = executor.queue.lock();
        let batch = batch_of(slot);
        if let Some(batch) = batch {
            queue.rests.push_back(Rest { batch, range });
            executor.call_for_hands(&mut queue);
        }
    }
    batch.settle(slot.finish_tally(), 0, || executor.board.ledger.time.now());
    Done { now, was_called }
}

fn batch_of(slot: &Slot) -> Option<Arc<Batch>> {
    match slot.on_behalf() {
        OnBehalf::Cycle(batch) => Some(batch),
        _ => None,
    }
}

fn run_task(executor: &Arc<Executor>, slot: &Slot, mut task: Task) {
    let held = hold_log();
    let waiter = Arc::clone(&task.waiter);
    slot.work_for(OnBehalf::Command(Arc::clone(&waiter)));
    let cell = Arc::clone(&task.cell);
    let caller = Caller {
        executor,
        slot,
        cell: &cell,
    };
    let call = std::mem::replace(&mut task.call, TaskCall::Update);
    let (end, leftover) = match call {
        TaskCall::Update => {
            let ended = caller.update(executor.board.ledger.time.now(), true);
            (ended.task_end(), ended.leftover)
        }
        TaskCall::Create(reason) => (caller.create(reason), None),
        TaskCall::Display => (caller.display(), None),
        TaskCall::Save(into) => (caller.save(&into), None),
        TaskCall::Destroy { instance, current } => {
            let verdict = caller.destroy(*instance, current);
            (TaskEnd::Ended(verdict, None), None)
        }
    };
    waiter.tell(end);
    slot.outside(|| drop(held));
    if let Some(instance) = leftover {
        caller.destroy(*instance, false);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
#[path = "worker_tests.rs"]
mod tests;

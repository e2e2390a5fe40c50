//! Calls plugins: a pool of workers that take due plugins in chunks and call them directly, and a watchdog that samples them.
//!
//! A call cannot be stopped, so a worker that is stuck in one is written off: its share goes to others, another worker takes
//! its place, and whatever the stuck one brings home is discarded. The number of threads is bounded by the workers plus the
//! calls that are slow or abandoned, and by a limit.

mod aside;
mod batch;
mod call;
#[cfg(all(test, not(any(loom, shuttle))))]
mod call_tests;
mod metering;
mod other_calls;
#[cfg(all(test, not(any(loom, shuttle))))]
mod pool_tests;
mod queue;
mod refusal;
mod restart;
mod rotation;
#[cfg(all(test, not(any(loom, shuttle))))]
mod rotation_tests;
mod slot;
mod slow;
#[cfg(all(test, not(any(loom, shuttle))))]
mod test_rig;
#[cfg(all(test, not(any(loom, shuttle))))]
mod waiter_tests;
mod watchdog;
mod worker;

use std::cell::Cell;
use std::sync::Arc;

use plugin_engine_core::{Moment, Transition, WallTime};

pub(crate) use aside::{Aside, AsideEnd, Asides, STUCK_MAX};
pub use batch::CycleReport;
pub(crate) use batch::{Batch, Verdict};
pub(crate) use queue::{Task, TaskCall};
pub(crate) use slot::{Slot, TaskEnd, Waiter};
pub(crate) use watchdog::{Watchdog, abandon_all};
#[cfg(all(test, any(loom, shuttle)))]
pub(crate) use {batch::Tally, slot::Sample};

use crate::board::Board;
use crate::cell::Cell as PluginCell;
use crate::error::Error;
use crate::joining::{Joining, Thread};
use crate::supervisor::Supervisor;
use crate::threading::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};
use crate::transition_log::log;
use queue::{News, Queue, Rest};
use refusal::{give_back, refuse_all, refuse_rest};
use slot::OnBehalf;
use slow::SlowPlugins;

thread_local! {
    /// On a worker: the address of its executor and the number of its slot.
    static WORKER: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

#[cfg(feature = "simulation")]
pub(crate) fn swap_local(worker: &mut (usize, usize), aside: &mut (usize, u32)) {
    *worker = WORKER.replace(*worker);
    aside::swap_local(aside);
}

/// The pool.
pub(crate) struct Executor {
    board: Arc<Board>,
    workers: usize,
    threads_max: usize,
    slots: Box<[Slot]>,
    /// How many slots have ever been used; the watchdog looks no further.
    slots_used: AtomicUsize,
    /// How many workers are in a call that has lasted a millisecond. Changed inside the lock of the queue.
    slow: AtomicUsize,
    /// Which plugins were slow the last time.
    slow_plugins: SlowPlugins,
    queue: Mutex<Queue>,
    /// Threads that ran code of plugins and that have to be joined before that code can be unmapped: workers that have left, and
    /// whoever else runs such code for the engine.
    pub(crate) joining: Arc<Joining>,
    pub(crate) watchdog: Watchdog,
    /// Calls beside those of the plugins.
    pub(crate) asides: Arc<Asides>,
}

impl Executor {
    pub(crate) fn new(board: Arc<Board>, workers: usize, threads_max: usize) -> Self {
        let joining = Arc::<Joining>::default();
        let asides = Asides::new(Arc::clone(&joining), Arc::clone(&board.crashes));
        Self {
            board,
            workers,
            threads_max,
            slots: (0..threads_max).map(|_| Slot::default()).collect(),
            slots_used: AtomicUsize::new(0),
            slow: AtomicUsize::new(0),
            slow_plugins: SlowPlugins::default(),
            queue: Mutex::new(Queue {
                foreseen_max: workers.saturating_sub(1).max(1),
                ..Queue::default()
            }),
            asides: Arc::new(asides),
            joining,
            watchdog: Watchdog::default(),
        }
    }

    pub(crate) fn workers(&self) -> usize {
        self.workers
    }

    /// The threads that call plugins: all, and those that are in a call which has lasted a millisecond.
    pub(crate) fn threads(&self) -> (usize, usize) {
        (self.queue.lock().threads, self.slow.load(Ordering::Relaxed))
    }

    /// Starts the first workers, so that a machine that has no threads left says so at once.
    pub(crate) fn start(self: &Arc<Self>, supervisor: &Supervisor) -> Result<(), Error> {
        let mut queue = self.queue.lock();
        for _ in 0..self.workers {
            self.start_worker(&mut queue)
                .map_err(|source| Error::Thread {
                    name: "plugin-worker",
                    source,
                })?;
        }
        drop(queue);
        watchdog::start(self, supervisor)
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Whether this thread is in a call of that plugin, so that it must not wait for the call's end.
    pub(crate) fn is_called_by_this_thread(&self, cell: u32) -> bool {
        if cfg!(all(test, any(loom, shuttle))) {
            // All threads of a model are on one of the system's, and none of them gives a command from within a call.
            return false;
        }
        let (executor, slot) = WORKER.get();
        let by_worker = executor == self.address()
            && self.slots[slot]
                .sample()
                .is_some_and(|sample| sample.cell == cell);
        by_worker || self.asides.is_on_this_thread(cell)
    }

    /// The batch of these plugins, which are due.
    pub(crate) fn batch(&self, mut due: Vec<u32>, now: Moment, at: WallTime) -> Arc<Batch> {
        let quick = self.slow_plugins.put_last(&mut due);
        Arc::new(Batch::new(due, quick, self.workers, now, at))
    }

    /// Hands over a batch to one worker, and returns at once. That worker calls for others if the calls are not all short. Plugins that were slow the
    /// last time are taken by others, where fewer than wanted are at work, and after everything else.
    pub(crate) fn submit(self: &Arc<Self>, batch: &Arc<Batch>) {
        let slow = batch.slow();
        let mut queue = self.queue.lock();
        if queue.closed {
            drop(queue);
            refuse_rest(self, batch);
            refuse_all(self, batch, slow);
            return;
        }
        if batch.has_more() {
            queue.batches.push_back(Arc::clone(batch));
            self.call_for_hands(&mut queue);
        }
        if slow.0 < slow.1 {
            let (batch, range) = (Arc::clone(batch), slow);
            queue.slow.push_back(Rest { batch, range });
            if queue.has_slow() {
                self.call_for_hands(&mut queue);
            }
        }
    }

    /// Calls for another worker, because the calls of a batch take long enough for that to pay.
    fn share(self: &Arc<Self>) {
        self.call_for_hands(&mut self.queue.lock());
    }

    /// Hands over one call, and returns what its end can be waited for on.
    pub(crate) fn submit_task(
        self: &Arc<Self>,
        cell: &Arc<PluginCell>,
        call: TaskCall,
    ) -> Arc<Waiter> {
        let waiter = Arc::new(Waiter::default());
        self.submit_task_for(cell, call, Arc::clone(&waiter));
        waiter
    }

    /// [`Executor::submit_task`], for somebody who waits already.
    pub(crate) fn submit_task_for(
        self: &Arc<Self>,
        cell: &Arc<PluginCell>,
        call: TaskCall,
        waiter: Arc<Waiter>,
    ) {
        let task = Task {
            cell: Arc::clone(cell),
            call,
            waiter,
        };
        let mut queue = self.queue.lock();
        if queue.closed {
            drop(queue);
            drop(task);
            return;
        }
        queue.tasks.push_back(task);
        self.call_for_hands(&mut queue);
    }

    /// Has a worker tell the embedder's subscriber of a transition, for a thread of the engine that must not be held up: who listens
    /// may wait for a call whose deadline only the watchdog sees.
    pub(crate) fn tell_of(self: &Arc<Self>, transition: Box<Transition>) {
        let mut queue = self.queue.lock();
        if queue.closed {
            drop(queue);
            log(&transition);
            return;
        }
        queue.news.push_back(News::Transition(transition));
        self.call_for_hands(&mut queue);
    }

    /// Sees to it that somebody takes the work that is there: where fewer than the wanted number are fast and at work, wakes an idle worker,
    /// or starts one.
    fn call_for_hands(self: &Arc<Self>, queue: &mut Queue) {
        let fast = self.fast(queue);
        if self.fast_at_work(queue) >= self.workers {
            // Each of them looks for more when it is done. One that becomes slow, or leaves, calls for others.
            return;
        }
        if let Some(index) = queue.idle.pop() {
            self.slots[index].work_came.notify_one();
            return;
        }
        if fast == 0 {
            // Should no thread be had below, the watchdog answers for the work that nobody takes.
            self.watchdog.wake();
        }
        if fast < self.workers && queue.threads < self.threads_max && !queue.closed {
            match self.start_worker(queue) {
                Ok(()) => queue.start_failed = false,
                Err(error) => {
                    // Work stays where it is; the watchdog tries again while there is any.
                    if !std::mem::replace(&mut queue.start_failed, true) {
                        // Not said here, inside the lock: who listens may ask the engine.
                        queue.news.push_back(News::NoThread(error));
                    }
                }
            }
        }
    }

    /// How many threads are in no slow call.
    fn fast(&self, queue: &Queue) -> usize {
        queue.threads - self.slow.load(Ordering::Relaxed).min(queue.threads)
    }

    /// How many of those do not wait for work.
    fn fast_at_work(&self, queue: &Queue) -> usize {
        self.fast(queue).saturating_sub(queue.idle.len())
    }

    fn start_worker(self: &Arc<Self>, queue: &mut Queue) -> std::io::Result<()> {
        let slot = queue
            .free_slots
            .pop()
            .unwrap_or_else(|| self.slots_used.fetch_add(1, Ordering::Relaxed));
        let shared = Arc::clone(self);
        #[cfg(feature = "simulation")]
        if crate::simulation::is_staged() {
            let body = move || worker::run(&shared, slot);
            return match crate::simulation::start("plugin-worker", body) {
                Some(Err(error)) => {
                    queue.free_slots.push(slot);
                    Err(error)
                }
                _ => {
                    queue.threads += 1;
                    Ok(())
                }
            };
        }
        let started = crate::threading::thread::Builder::new()
            .name("plugin-worker".to_owned())
            .spawn(move || worker::run(&shared, slot));
        match started {
            Ok(handle) => {
                queue.threads += 1;
                // The worker cannot leave before: that needs the lock of the queue.
                *self.slots[slot].thread.lock() = Some(Thread::new(handle));
                Ok(())
            }
            Err(error) => {
                queue.free_slots.push(slot);
                Err(error)
            }
        }
    }

    /// The call in this slot has lasted a millisecond: gives its worker's share to others.
    fn relieve(self: &Arc<Self>, index: usize, ticket: u64) {
        let slot = &self.slots[index];
        let mut queue = self.queue.lock();
        let sample = slot.sample().filter(|sample| sample.ticket == ticket);
        let Some(sample) = sample else {
            return;
        };
        if slot.is_slow() {
            self.proves_slow(&mut queue, slot);
            return;
        }
        slot.set_slow(true);
        self.slow.fetch_add(1, Ordering::Relaxed);
        if let OnBehalf::Cycle(batch) = slot.on_behalf() {
            self.slow_plugins.insert(sample.cell);
            if let Some(range) = slot.take_rest() {
                let batch = Arc::clone(&batch);
                queue.rests.push_back(Rest { batch, range });
            }
            let tally = slot.take_tally();
            drop(queue);
            batch.settle(tally, 0, || self.board.ledger.time.now());
            queue = self.queue.lock();
        }
        if queue.has_work() {
            self.call_for_hands(&mut queue);
        }
    }

    /// A worker that counted as slow because of the last time has been for a millisecond: the next one may follow.
    fn proves_slow(self: &Arc<Self>, queue: &mut Queue, slot: &Slot) {
        if slot.is_foreseen() {
            slot.set_foreseen(false);
            queue.foreseen -= 1;
            if queue.has_work() {
                self.call_for_hands(queue);
            }
        }
    }

    /// The worker of this slot is about to call a plugin that was slow the last time, so it counts as slow from the beginning.
    fn foresee(&self, queue: &mut Queue, slot: &Slot) {
        slot.set_slow(true);
        slot.set_foreseen(true);
        self.slow.fetch_add(1, Ordering::Relaxed);
        queue.foreseen += 1;
    }

    /// The worker of this slot is fast again. Says whether it is one too many.
    fn recover(self: &Arc<Self>, index: usize) -> bool {
        let mut queue = self.queue.lock();
        let slot = &self.slots[index];
        if slot.is_slow() {
            slot.set_slow(false);
            self.slow.fetch_sub(1, Ordering::Relaxed);
        }
        // Fast again before anybody is called: mostly this one comes for the next that was slow itself.
        self.proves_slow(&mut queue, slot);
        // As many again as are wanted may wait for the next slow call; more go.
        self.fast(&queue) > 2 * self.workers
    }

    /// Whether so many threads are in slow calls that a plugin which hung the last time must not take another.
    #[inline]
    pub(crate) fn is_crowded(&self, slot: &Slot) -> bool {
        let slow = self.slow.load(Ordering::Relaxed);
        let is_full = |slow| slow + self.workers >= self.threads_max;
        // The worker of this slot may be among them, because the plugin that it is about to call was slow the last time.
        is_full(slow) && is_full(slow.saturating_sub(usize::from(slot.is_slow())))
    }

    /// Called by the watchdog while it is awake: work that nobody takes gets hands, or an answer.
    fn tend(self: &Arc<Self>) {
        let mut queue = self.queue.lock();
        if !queue.has_work() || !queue.idle.is_empty() {
            return;
        }
        if self.fast(&queue) > 0 {
            return;
        }
        self.call_for_hands(&mut queue);
        if self.fast(&queue) > 0 {
            return;
        }
        // Every thread is in a slow call and no other can be had: the work is refused, in words, rather than left lying.
        let mut tasks = std::mem::take(&mut queue.tasks);
        let news = std::mem::take(&mut queue.news);
        let mut rests = std::mem::take(&mut queue.rests);
        rests.append(&mut queue.slow);
        let batches = std::mem::take(&mut queue.batches);
        drop(queue);
        for task in &mut tasks {
            give_back(self, task);
        }
        drop(tasks);
        news.iter().for_each(News::say);
        for Rest { batch, range } in rests {
            refuse_all(self, &batch, range);
        }
        for batch in batches {
            refuse_rest(self, &batch);
        }
    }

    /// Lets idle workers go, and others when they come back. Nothing is started any more.
    pub(crate) fn close(self: &Arc<Self>) {
        let mut queue = self.queue.lock();
        queue.closed = true;
        let idle = std::mem::take(&mut queue.idle);
        let tasks = std::mem::take(&mut queue.tasks);
        let news = std::mem::take(&mut queue.news);
        let mut rests = std::mem::take(&mut queue.rests);
        rests.append(&mut queue.slow);
        let batches = std::mem::take(&mut queue.batches);
        // The share of a worker that is stuck without the watchdog having seen it yet; nobody looks any more from now on.
        for slot in &self.slots {
            if let OnBehalf::Cycle(batch) = slot.on_behalf() {
                rests.extend(slot.take_rest().map(|range| Rest {
                    batch: Arc::clone(&batch),
                    range,
                }));
                batch.settle(slot.take_tally(), 0, || self.board.ledger.time.now());
            }
        }
        drop(queue);
        drop(tasks);
        news.iter().for_each(News::say);
        for Rest { batch, range } in rests {
            refuse_all(self, &batch, range);
        }
        for batch in batches {
            refuse_rest(self, &batch);
        }
        for index in idle {
            self.slots[index].work_came.notify_one();
        }
        self.watchdog.wake();
    }
}
